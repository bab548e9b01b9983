#!/usr/bin/env python3
"""The kiosk, tried on a machine with a screen, a camera and, at first, no keyboard: tests/kiosk-vm.py

A Debian runs in QEMU. The package of the last `cargo build --release` is installed in it, started, steered by keys, killed,
frozen, upgraded, closed and purged; what is on the screen is looked at. One line is printed for each check; the exit status
is 0 only if every check held.

Needs an x86-64 Debian, root and Rust: the first run installs QEMU and mmdebstrap, and makes the Debian (1 GB) in
~/.cache/nijigen-kiosk-vm (NIJIGEN_KIOSK_CACHE names another folder). The processor is emulated, since nested virtualization
seldom works where tests run; NIJIGEN_VM_KVM=1 uses KVM.
"""
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

PROJECT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
CACHE = os.environ.get("NIJIGEN_KIOSK_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "nijigen-kiosk-vm")
# cage, xwayland and seatd are those of docs/kiosk.md; the libraries are what the package recommends for a window.
PACKAGES = ("systemd-sysv,dbus,udev,kbd,kmod,procps,linux-image-amd64,initramfs-tools,cage,xwayland,seatd,libx11-6,"
            "libxcursor1,libwayland-client0,libxkbcommon0")
# Seconds that an emulated machine may take for anything.
PATIENCE = 300
UNIT = "nijigen-kiosk"
failed = 0


def check(sentence, held, what=""):
    global failed
    print("ok     " if held else "FAILED ", sentence, "" if held else what, flush=True)
    failed += not held


def set_up():
    """Makes the Debian, once."""
    tools = {"qemu-system-x86_64": "qemu-system-x86", "mmdebstrap": "mmdebstrap", "mke2fs": "e2fsprogs"}
    if not all(map(shutil.which, tools)):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for step in (["update"], ["install", "-y", "--no-install-recommends", *tools.values()]):
            subprocess.run(["apt-get", "-qq", *step], check=True, stdout=subprocess.DEVNULL, env=environment)
    if os.path.exists(os.path.join(CACHE, "ready")):
        return
    print("kiosk-vm: making a Debian in", CACHE, "(once)", flush=True)
    shutil.rmtree(CACHE, ignore_errors=True)
    os.makedirs(CACHE)
    root = os.path.join(CACHE, "root")
    subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", "bookworm", root,
                    "http://deb.debian.org/debian"], check=True)

    def write(path, text):
        path = os.path.join(root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)

    write("etc/fstab", "/dev/vda / ext4 rw 0 1\n")
    write("etc/hostname", "kiosk\n")
    write("etc/modules-load.d/vivid.conf", "vivid\n")
    write("etc/modprobe.d/vivid.conf", "options vivid n_devs=1 node_types=0x1 num_inputs=1 input_types=0x0\n")
    # Its key is a keyboard's to cage, and a Raspberry Pi has none.
    write("etc/modprobe.d/button.conf", "blacklist button\n")
    write("etc/systemd/system/serial-getty@ttyS0.service.d/login.conf",
          "[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin root --keep-baud 115200 %I dumb\n")
    # An emulated machine is slow, and has no graphics processor.
    write(f"etc/systemd/system/{UNIT}.service.d/emulated.conf",
          f"[Service]\nTimeoutStartSec={PATIENCE}\nEnvironment=WLR_RENDERER=pixman\n")
    subprocess.run(["passwd", "-R", root, "-d", "root"], check=True, stdout=subprocess.DEVNULL)
    for name in ("vmlinuz", "initrd.img"):
        found = [file for file in os.listdir(os.path.join(root, "boot")) if file.startswith(name + "-")]
        shutil.copy(os.path.join(root, "boot", found[0]), os.path.join(CACHE, name))
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", root, os.path.join(CACHE, "disk"), "3G"], check=True)
    shutil.rmtree(root)
    open(os.path.join(CACHE, "ready"), "w").close()


class Machine:
    """A running QEMU, with a shell at its serial port."""

    def __init__(self, folder, package):
        self.folder = folder
        kvm = ["-enable-kvm", "-cpu", "host"] if os.environ.get("NIJIGEN_VM_KVM") else ["-cpu", "max"]
        self.qemu = subprocess.Popen([
            "qemu-system-x86_64", "-machine", "q35,i8042=off", *kvm, "-smp", "2", "-m", "2G", "-snapshot",
            "-kernel", f"{CACHE}/vmlinuz", "-initrd", f"{CACHE}/initrd.img",
            "-append", "root=/dev/vda rw console=ttyS0 quiet loglevel=1",
            "-drive", f"file={CACHE}/disk,if=virtio,format=raw", "-drive", f"file={package},if=virtio,format=raw",
            "-device", "qemu-xhci", "-device", "virtio-vga", "-display", "none", "-nic", "none", "-no-reboot",
            "-monitor", f"unix:{folder}/monitor,server=on,wait=off", "-serial", f"unix:{folder}/serial,server=on,wait=off"])
        self.monitor, self.serial = self.connect("monitor"), self.connect("serial")
        self.heard = ""

    def connect(self, name):
        connection = socket.socket(socket.AF_UNIX)
        for _ in range(100):
            try:
                connection.connect(os.path.join(self.folder, name))
                return connection
            except OSError:
                time.sleep(0.1)
        raise SystemExit("kiosk-vm: QEMU does not start")

    def wait_for(self, pattern):
        """What came before `pattern` at the serial port."""
        self.serial.settimeout(PATIENCE)
        while not (found := re.search(pattern, self.heard)):
            try:
                self.heard += self.serial.recv(4096).decode(errors="replace").replace("\r", "")
            except TimeoutError:
                raise SystemExit(f"kiosk-vm: the machine says nothing more; at last it said: {self.heard[-2000:]}")
        before, self.heard = self.heard[:found.start()], self.heard[found.end():]
        return before, found

    def run(self, command):
        """Exit status and output of a shell command. The marks are put together there, so that the echo has none."""
        self.serial.sendall(f"clear; echo BE''GIN; {command}; echo EN''D $?\n".encode())
        self.wait_for("BEGIN\n")
        output, end = self.wait_for(r"END (\d+)\n")
        return int(end[1]), output.strip()

    def output(self, command):
        return self.run(command)[1]

    def becomes(self, command, text):
        """Whether the output of a command becomes `text`."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if self.output(command) == text:
                return True
            time.sleep(1)
        return False

    def ask(self, *commands):
        """Commands for QEMU's monitor."""
        for command in commands:
            self.monitor.sendall(command.encode() + b"\n")
            time.sleep(0.5)

    def type(self, *keys):
        self.ask(*(f"sendkey {key}" for key in keys))

    def screen(self):
        """Width, height and bytes (RGB) of what is on the screen."""
        path = os.path.join(self.folder, "screen.ppm")
        self.ask(f"screendump {path}")
        time.sleep(1)
        with open(path, "rb") as file:
            header, data = re.match(rb"P6\n(\d+) (\d+)\n255\n", image := file.read()), image
        return int(header[1]), int(header[2]), data[header.end():]

    def bars(self):
        """The colours of the camera's bars over the whole width of the screen, from left to right: black is 0, red is 4."""
        width, height, data = self.screen()
        at = [(height * 7 // 8 * width + width * (2 * bar + 1) // 16) * 3 for bar in range(8)]
        return [sum((data[i + channel] > 100) << (2 - channel) for channel in range(3)) for i in at]

    def shows_bars(self):
        # White, yellow, cyan, green, magenta, red, blue, black, as a mirror shows them.
        wanted = [0, 1, 4, 5, 2, 3, 6, 7]
        for _ in range(30):
            if (bars := self.bars()) == wanted:
                return True, bars
            time.sleep(1)
        return False, bars


def try_it(machine):
    machine.wait_for(r"root@kiosk:~# ")
    machine.run("stty cols 500; export SYSTEMD_PAGER=cat; cp /dev/vdb nijigen.deb")
    status, said = machine.run("dpkg --install nijigen.deb")
    check("the package is installed", status == 0, said)
    machine.run("sed -i 's/^source = .*/source = \"camera:vivid\"\\nsize = \"320x180\"\\nstyle = \"off\"/; s/^attract = .*/attract = 86400/'"
                " /etc/nijigen/kiosk.toml")
    check("nothing is wrong with the unit", machine.output(f"systemctl daemon-reload; systemd-analyze verify --man=no {UNIT}.service") == "")
    status, said = machine.run(f"systemctl enable --now --quiet {UNIT}")
    check("the kiosk starts, without a keyboard", status == 0, said)

    def state(name):
        return machine.output(f"systemctl show {UNIT} --value -p {name}")

    def pid():
        return machine.output("pidof nijigen")

    check("it fills the screen with the mirrored camera", *machine.shows_bars())
    check("what it may take is counted", int(state("MemoryCurrent")) > 20 << 20, state("MemoryCurrent"))
    check("the console's login is gone", machine.output("systemctl is-active getty@tty1") == "inactive")

    machine.ask("device_add usb-kbd")
    check("a keyboard is plugged in", machine.becomes("grep -c 'USB Keyboard' /proc/bus/input/devices", "1"))
    # Xwayland, which shows the kiosk where there is no mouse, loses what is typed first.
    machine.type("shift", "shift")
    time.sleep(10)
    pictures = "ls /var/lib/nijigen/snapshots 2>/dev/null | wc -l"
    first = pid()
    machine.type("s", "r", "spc", "esc", "q", "ctrl-alt-f2")
    time.sleep(10)
    check("keys do nothing", (machine.output(pictures), pid()) == ("0", first))
    check("another console is out of reach", machine.output("cat /sys/class/tty/tty0/active") == "tty1")
    machine.type("ret")
    check("but Enter, which keeps a picture", machine.becomes(pictures, "1"))

    machine.run("kill -KILL $(pidof nijigen)")
    check("killed, it is started anew", machine.becomes(f"systemctl show {UNIT} --value -p NRestarts -p SubState | xargs", "1 running"),
          state("SubState"))
    machine.run("kill -STOP $(pidof nijigen)")
    check("frozen, it is started anew", machine.becomes(f"systemctl show {UNIT} --value -p NRestarts -p SubState | xargs", "2 running"),
          state("SubState"))
    check("and is on the screen again", *machine.shows_bars())
    before = pid()
    machine.run("dpkg --install nijigen.deb")
    check("an upgrade starts it anew", machine.becomes(f"systemctl is-active {UNIT}", "active") and pid() not in ("", before))
    check("and leaves the console's login away", machine.output("systemctl is-active getty@tty1") == "inactive")

    # The first keys are lost again.
    for _ in range(5):
        time.sleep(5)
        machine.type("q", "u", "i", "t")
        time.sleep(5)
        if machine.output(f"systemctl is-active {UNIT}") == "inactive":
            break
    check("the word closes it", machine.output(f"systemctl is-active {UNIT}") == "inactive")
    time.sleep(10)
    check("for good", (state("SubState"), state("Result")) == ("dead", "success"))
    check("and brings the console's login back", machine.becomes("systemctl is-active getty@tty1", "active"))
    machine.run(f"systemctl start {UNIT}")
    machine.run("dpkg --purge nijigen")
    check("a purge ends it", machine.becomes("pidof nijigen cage | wc -l", "0"))
    check("and leaves nothing", machine.output(f"rm -r /etc/systemd/system/{UNIT}.service.d; find /etc /usr /var -name '*nijigen*'") == "")


def main():
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise SystemExit("kiosk-vm: needs root and apt (Debian)")
    set_up()
    said = subprocess.run([os.path.join(PROJECT, "packaging", "build-deb"), "--no-build"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    package = os.path.join(PROJECT, said.strip().splitlines()[-1])
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(folder, package)
        try:
            try_it(machine)
        finally:
            machine.qemu.kill()
            machine.qemu.wait()
    print("kiosk-vm:", failed, "failed")
    sys.exit(failed > 0)


main()
