#!/usr/bin/env bash
# The camera path, tried on a Linux kernel that has cameras (most build machines have none).
#
#   tests/camera-vm.sh             build nijigen (release) and check it
#   tests/camera-vm.sh BINARY      check this one
#
# A kernel of Debian's runs in QEMU over this machine's files (read-only) with two cameras: vivid, the kernel's test
# camera, is /dev/video0; v4l2loopback, to which frames are written from outside or by nijigen, is /dev/video10. One line is
# printed for each check; the exit status is 0 only if every check ran and held.
#
# Needs an x86-64 Debian and root: the first run installs QEMU and what builds the kernel module, and fetches a kernel and
# virtme-ng (300 MB) into ~/.cache/nijigen-camera-vm (NIJIGEN_VM_CACHE names another folder).
# The processor is emulated (AVX2 at most, slow), since nested virtualization seldom works where tests run;
# NIJIGEN_VM_KVM=1 uses KVM.
set -euo pipefail

readonly script=$(realpath "$0")
readonly cache=${NIJIGEN_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/nijigen-camera-vm}
readonly patience=1500 # seconds until a machine that says nothing more is given up

# v4l2loopback of Debian 13, besides that of the distribution: from 0.14 on it differs in whom it takes for a writer.
readonly newer_loopback=v4l2loopback-0.15.0
readonly newer_deb=http://deb.debian.org/debian/pool/main/v/v4l2loopback/v4l2loopback-dkms_0.15.0-2_all.deb
readonly newer_sha256=d9b768037e28852070d31af3376d90c8b448f9807de29d664587082bb7784cd4

die() {
    echo "camera-vm: $*" >&2
    exit 1
}

# ---- before the machine starts -------------------------------------------------------------------------------------

# The cache may be older than this installation of the system.
is_set_up() {
    local tool
    for tool in qemu-system-x86_64 busybox depmod v4l2-ctl ffmpeg; do
        command -v "$tool" >/dev/null || return 1
    done
    [[ -e $cache/.ready ]]
}

# A kernel with its modules, v4l2loopback built for it, and virtme-ng, which boots it.
set_up() {
    [[ $(uname -m) == x86_64 ]] || die "needs an x86-64 machine, this is $(uname -m)"
    [[ $EUID == 0 ]] || die "needs root for its first run, which installs packages"
    command -v apt-get >/dev/null || die "needs apt (Debian), which is not here"
    echo "camera-vm: setting up $cache (once)"
    rm -rf "$cache"
    mkdir -p "$cache/deb"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq qemu-system-x86 busybox-static kmod v4l-utils udev ffmpeg gcc make python3-venv >/dev/null

    local image release headers
    image=$(apt-cache depends linux-image-amd64 | awk '/Depends: linux-image/ {print $2; exit}')
    [[ $image ]] || die "apt offers no kernel (linux-image-amd64)"
    release=${image#linux-image-}
    headers=linux-headers-$release
    apt-get install -y -qq --no-install-recommends "$headers" >/dev/null
    (cd "$cache/deb" && apt-get download -qq -o APT::Sandbox::User=root "$image" v4l2loopback-dkms)
    local deb loopback
    for deb in "$cache"/deb/*.deb; do dpkg -x "$deb" "$cache/root"; done
    loopback=$(echo "$cache"/root/usr/src/v4l2loopback-*)
    make -s -C "/usr/src/$headers" M="$loopback" modules
    install -D "$loopback/v4l2loopback.ko" "$cache/root/lib/modules/$release/extra/v4l2loopback.ko"
    depmod -b "$cache/root" "$release"
    python3 -m venv "$cache/venv"
    "$cache/venv/bin/pip" install -q virtme-ng
    rm -rf "$cache/deb"
    echo "$release" >"$cache/.ready"
}

# The newer v4l2loopback, built for the same kernel.
add_newer_loopback() {
    local release deb=$cache/$newer_loopback.deb
    release=$(<"$cache/.ready")
    if [[ ! -d /usr/src/linux-headers-$release ]]; then
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends "linux-headers-$release" make gcc >/dev/null
    fi
    python3 -c 'import sys, urllib.request; urllib.request.urlretrieve(*sys.argv[1:])' "$newer_deb" "$deb"
    sha256sum --quiet --check <<<"$newer_sha256  $deb" || die "$newer_deb is not what it was"
    dpkg -x "$deb" "$cache/newer"
    make -s -C "/usr/src/linux-headers-$release" M="$cache/newer/usr/src/$newer_loopback" modules
    cp "$cache/newer/usr/src/$newer_loopback/v4l2loopback.ko" "$cache/$newer_loopback.ko"
    rm -rf "$deb" "$cache/newer"
}

# Boots the machine, which runs this script with --inside; $1 is the folder that both sides share.
boot() {
    local release
    release=$(<"$cache/.ready")
    mkdir -p /lib/modules
    ln -sfn "$cache/root/lib/modules/$release" "/lib/modules/$release"
    local kvm=(--disable-kvm)
    [[ ${NIJIGEN_VM_KVM:-} ]] && kvm=()
    timeout --foreground "$patience" "$cache/venv/bin/virtme-run" --kimg "$cache/root/boot/vmlinuz-$release" --mods auto \
        --memory 3G --cpus 2 --force-9p --disable-microvm "${kvm[@]}" --rwdir "$1" \
        --script-sh "bash '$script' --inside '$1'" </dev/null 2>&1 | sed -u 's|\r||g'
}

outside() {
    local project binary="" work
    project=$(dirname "$(dirname "$script")")
    is_set_up || set_up
    [[ -e $cache/$newer_loopback.ko ]] || add_newer_loopback

    work=$(mktemp -d)
    [[ $# == 0 ]] || binary=$(realpath "$1")
    cd "$project"
    local messages
    messages=$(cargo test --release --locked --workspace --test camera_vm_fixtures --no-run --message-format=json)
    binary=${binary:-$(built bin nijigen <<<"$messages")}
    [[ -x $binary ]] || die "there is no program '$binary'"
    cargo test --release --locked --quiet --workspace --test camera_vm_fixtures >/dev/null
    cp "$(dirname "$(dirname "$(built bin nijigen <<<"$messages")")")"/tmp/camera-vm/* "$work"
    cp "$binary" "$work/nijigen"
    cp "$cache/$newer_loopback.ko" "$work"

    boot "$work" || true
    local verdict
    verdict=$(cat "$work/verdict" 2>/dev/null || true)
    if [[ $verdict == "0 failed"* ]]; then
        echo "camera-vm: $verdict"
        rm -rf "$work"
    else
        die "${verdict:-the machine ended before the checks did}; what was written is in $work"
    fi
}

# The path of what cargo built, from its messages: a kind and a name.
built() {
    python3 -c '
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    target = message.get("target", {})
    if message["reason"] == "compiler-artifact" and [target["name"], sys.argv[1]] == [sys.argv[2], target["kind"][0]]:
        print(message["executable"])
' "$1" "$2"
}

# ---- inside the machine --------------------------------------------------------------------------------------------

failed=0
passed=0

# One check: a sentence, then a function (or a command) that fails where the sentence is not true. What it leaves running
# is ended.
check() {
    local sentence=$1 status=0
    shift
    # Not as a condition: within one, bash would ignore failures inside the function.
    set +e
    (
        set -e
        trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
        "$@"
    ) >"$TMPDIR/said" 2>&1
    status=$?
    set -e
    if [[ $status == 0 ]]; then
        echo "ok      $sentence"
        passed=$((passed + 1))
    else
        echo "FAILED  $sentence"
        tail -n 15 "$TMPDIR/said" | cut -c 1-500 | sed 's/^/        /'
        failed=$((failed + 1))
    fi
}

nijigen() { "$TMPDIR/nijigen" "$@"; }

# Runs nijigen for its failure: exit status 1 and an error that contains $1. It may take 60 seconds.
refuses() {
    local text=$1 status=0
    shift
    timeout 60 "$TMPDIR/nijigen" "$@" >"$TMPDIR/out" 2>"$TMPDIR/err" || status=$?
    cat "$TMPDIR/err"
    [[ $status == 1 ]] && grep -qF -- "$text" "$TMPDIR/err"
}

lists_vivid() {
    nijigen devices >"$TMPDIR/list"
    cat "$TMPDIR/list"
    grep -q '^0  vivid.*  /dev/video0$' "$TMPDIR/list"
    local format
    for format in YUYV NV12; do
        grep -A 5 "^   $format" "$TMPDIR/list" | grep '320x180 .*\b60, 50, 40, 30\b.* fps$' >/dev/null
    done
    nijigen devices --json | python3 -c '
import json, sys
camera = json.load(sys.stdin)[0]
sizes = {(mode["format"], mode["sizes"]["width"], mode["sizes"]["height"]): mode["rates"] for mode in camera["modes"]}
assert camera["path"] == "/dev/video0" and 30.0 in sizes["NV12", 320, 180], camera'
}

# 50 frames in a format, which the log names.
captures() {
    nijigen -v run --source "camera:/dev/video0,format=$1" --size 320x180 --fps 30 --style off --sink null --frames 50 \
        2>&1 | tee "$TMPDIR/log"
    grep -qF "$1 320x180" "$TMPDIR/log"
    grep -q '^50 frames' "$TMPDIR/log"
}

# A Y4M file ($1) of at least $2 frames, each the eight colour bars of 75 % brightness.
shows_bars() {
    python3 - "$1" "$2" <<'PY'
import sys
with open(sys.argv[1], "rb") as file:
    header = file.readline().split()
    width, height = (int(next(f[1:] for f in header if f[:1] == key)) for key in (b"W", b"H"))
    assert (width, height) == (320, 180), header
    count = 0
    while file.readline().startswith(b"FRAME"):
        y, u, v = (file.read(w * h) for w, h in ((width, height), (width // 2, height // 2), (width // 2, height // 2)))
        for bar, rgb in enumerate([(1, 1, 1), (1, 1, 0), (0, 1, 1), (0, 1, 0), (1, 0, 1), (1, 0, 0), (0, 0, 1), (0, 0, 0)]):
            for row in (5, 90, 175):
                column = bar * 40 + 20
                luma = (y[row * width + column] - 16) / 219
                cb, cr = ((plane[row // 2 * (width // 2) + column // 2] - 128) / 224 for plane in (u, v))
                red, blue = luma + 1.402 * cr, luma + 1.772 * cb
                got = [red, (luma - 0.299 * red - 0.114 * blue) / 0.587, blue]
                for channel, wanted in zip(got, rgb):
                    assert abs(channel * 255 - wanted * 191) < 8, f"frame {count} bar {bar} row {row}: {got}"
        count += 1
    assert count >= int(sys.argv[2]), f"{count} frames"
PY
}

picture_is_right() {
    rm -f "$TMPDIR/bars.y4m"
    # The newest frame wins, so that a slow machine may lose some before the file.
    nijigen run --source "camera:vivid,format=$1" --size 320x180 --style off --sink "$TMPDIR/bars.y4m" --frames 20
    shows_bars "$TMPDIR/bars.y4m" 3
}

stylizes() {
    rm -f "$TMPDIR/styled.y4m"
    nijigen run --source camera --size 320x180 --style "$TMPDIR/tiny.onnx" --sink "$TMPDIR/styled.y4m" --frames 20
    # Whole frames, and no longer the picture of the camera.
    local bytes frame=$((6 + 320 * 180 * 3 / 2))
    bytes=$(tail -n +2 "$TMPDIR/styled.y4m" | wc -c)
    ((bytes >= 3 * frame && bytes % frame == 0))
    ! shows_bars "$TMPDIR/styled.y4m" 3
}

says_what_it_got() {
    nijigen run --source camera --size 333x180 --style off --sink null --frames 1 2>&1 | tee "$TMPDIR/log"
    grep -qF 'asked 333x180, got 320x180' "$TMPDIR/log"
}

# Starts a run (of these sources and options) that would never end, waits until it has the camera, or waits for one, and
# leaves its number in $endless.
start_endless_run() {
    # An earlier one may still write to its own.
    rm -f "$TMPDIR/endless" "$TMPDIR/stats"
    "$TMPDIR/nijigen" -v run --source "$@" --size 320x180 --style off --sink null --stats json \
        2>"$TMPDIR/endless" >"$TMPDIR/stats" &
    endless=$!
    local turn
    for turn in {1..100}; do
        grep -q 'INFO.*camera.*320x180' "$TMPDIR/endless" && break
        sleep 0.3
    done
    [[ $turn != 100 ]]
    sleep 2
}

# The endless run ends well within 20 seconds when it is asked to; then of its statistics (`stats`) is true what $1, in
# Python, says.
ends_well() {
    local status=0
    kill -TERM "$endless"
    timeout 20 tail --pid="$endless" -f /dev/null || {
        echo "it hangs"
        kill -9 "$endless"
    }
    wait "$endless" || status=$?
    tail -n 5 "$TMPDIR/endless"
    cat "$TMPDIR/stats"
    [[ $status == 0 ]]
    python3 -c "import json; stats = json.load(open('$TMPDIR/stats')); assert $1, stats"
}

# Waits, up to 60 seconds, until the endless run has said $2 at least $1 times.
has_said() {
    local turn
    for turn in {1..300}; do
        (($(grep -cF -- "$2" "$TMPDIR/endless") >= $1)) && return
        sleep 0.2
    done
    echo "it has not said '$2' $1 times:"
    cat "$TMPDIR/endless"
    return 1
}

is_busy() {
    start_endless_run camera:0
    refuses 'in use by another program' run --source camera:0 --size 320x180 --style off --sink null --frames 1
}

# ---- a camera for hours --------------------------------------------------------------------------------------------

readonly driver=/sys/bus/platform/drivers/vivid
readonly replugs=100 # 3 to 7 seconds each

unplug() { echo vivid.0 >$driver/unbind; }

plug() {
    [[ -e $driver/vivid.0 ]] || echo vivid.0 >$driver/bind
    udevadm settle
}

# The device file of vivid.
vivid() {
    local name
    name=$(grep -l vivid /sys/class/video4linux/video*/name)
    basename "$(dirname "$name")" | sed 's|^|/dev/|'
}

# Chosen by its number, which is another one every third time: somebody keeps the old device file open.
comes_back() {
    plug
    local turn numbers="" began=$SECONDS
    start_endless_run "camera:$(vivid | tr -dc 0-9)"
    for ((turn = 1; turn <= replugs; turn++)); do
        ((turn % 3 == 0)) && exec 9<"$(vivid)"
        unplug
        has_said "$turn" 'is gone'
        plug
        exec 9<&-
        numbers+=" $(vivid)"
        has_said "$turn" 'is back after'
    done
    echo "$replugs times in $((SECONDS - began)) seconds, as$numbers" | tee "$TMPDIR/replugged"
    [[ $(tr ' ' '\n' <<<"$numbers" | grep /dev | sort -u | wc -l) -ge 2 ]]
    ends_well "stats['source_status'] == {'state': 'running', 'reconnects': $replugs} and stats['placeholders'] > $replugs \
        and stats['stylized'] > $replugs"
}

ends_while_it_is_gone() {
    plug
    start_endless_run camera:vivid
    unplug
    has_said 1 'is gone'
    sleep 3
    ends_well "stats['source_status']['state'] == 'retrying' and stats['source_status']['attempt'] >= 1 \
        and stats['source_status']['reconnects'] == 0 and stats['placeholders'] >= 5"
    plug
}

waits_for_a_camera() {
    plug
    unplug
    refuses "there is no camera named 'vivid'" run --source camera:vivid --style off --sink null
    start_endless_run camera:vivid --wait
    plug
    has_said 1 'is here after'
    sleep 2
    ends_well "stats['source_status'] == {'state': 'running', 'reconnects': 0} and stats['stylized'] > 5"
}

# In use by another run, which then ends.
waits_for_a_busy_camera() {
    plug
    start_endless_run camera:vivid
    local other=$endless
    start_endless_run camera:vivid --wait
    grep -qF 'in use by another program' "$TMPDIR/endless"
    kill -TERM "$other"
    has_said 1 'is here after'
    ends_well "stats['source_status']['state'] == 'running'"
}

# ---- other troubles ------------------------------------------------------------------------------------------------

# Nobody but root may open it.
needs_permission() {
    chmod 600 /dev/video0
    local status=0
    setpriv --reuid=65534 --clear-groups "$TMPDIR/nijigen" run --source camera:0 --style off --sink null --frames 1 \
        2>"$TMPDIR/err" || status=$?
    chmod 660 /dev/video0
    cat "$TMPDIR/err"
    [[ $status == 1 ]] && grep -q 'no permission.*usermod' "$TMPDIR/err"
}

# Writes the JPEG files $2… in turn to the loopback camera, $1 in all; then nothing, until there is a file "again"; then
# goes on.
write_mjpeg() {
    python3 - "$@" <<'PY' &
import fcntl, itertools, os, struct, sys, time
# struct v4l2_format (64-bit) with VIDIOC_S_FMT: video output, 320x180, MJPEG, no field order.
camera = open("/dev/video10", "r+b", buffering=0)
pixels = struct.pack("IIIIIII", 320, 180, int.from_bytes(b"MJPG", "little"), 1, 0, 320 * 180 * 2, 8)
fcntl.ioctl(camera, 0xC0D05605, bytearray(struct.pack("II", 2, 0) + pixels.ljust(200, b"\0")))
frames = [open(name, "rb").read() for name in sys.argv[2:]]
again = os.path.join(os.environ["TMPDIR"], "again")
for turn in itertools.count():
    while turn >= int(sys.argv[1]) and not os.path.exists(again):
        time.sleep(0.1)
    camera.write(frames[turn % len(frames)])
    time.sleep(0.1)
PY
    local turn
    for turn in {1..100}; do
        v4l2-ctl --device /dev/video10 --list-formats | grep MJPG >/dev/null && break
        sleep 0.3
    done
    [[ $turn != 100 ]]
}

reads_mjpeg() {
    write_mjpeg 1000 "$TMPDIR"/{whole,bare,half}.jpg
    rm -f "$TMPDIR/mjpeg.y4m"
    timeout 120 "$TMPDIR/nijigen" -vv run --source camera:10,format=MJPG --size 320x180 --style off \
        --sink "$TMPDIR/mjpeg.y4m" --frames 12 2>&1 | tee "$TMPDIR/log"
    grep -q 'skipped frame.*JPEG' "$TMPDIR/log"
    shows_bars "$TMPDIR/mjpeg.y4m" 8
}

comes_back_from_silence() {
    rm -f "$TMPDIR/again"
    write_mjpeg 60 "$TMPDIR/whole.jpg"
    start_endless_run camera:10
    has_said 1 'sends no frames (none for 2 seconds)'
    touch "$TMPDIR/again"
    has_said 1 'is back after'
    # A slow machine may be silent for two seconds more than once.
    ends_well "stats['source_status']['reconnects'] >= 1"
}

# ---- the virtual camera --------------------------------------------------------------------------------------------

readonly virtual=/dev/video10

# Makes the virtual camera anew: of the distribution's v4l2loopback or of the newer one, with exclusive_caps $2.
load_loopback() {
    local turn module=v4l2loopback insert=modprobe
    [[ $1 == distribution ]] || module=$TMPDIR/$newer_loopback.ko insert=insmod
    # Programs that were ended may not be gone yet.
    for turn in {1..100}; do
        rmmod v4l2loopback 2>/dev/null && break
        sleep 0.2
    done
    "$insert" "$module" video_nr=10 card_label=nijigen "exclusive_caps=$2"
    udevadm settle
}

# Starts a run that writes to the virtual camera, waits until it does, and leaves its number in $writer.
start_writer() {
    "$TMPDIR/nijigen" -v run --style off "$@" 2>"$TMPDIR/writer" &
    writer=$!
    local turn
    for turn in {1..100}; do
        grep -q 'the newest frame wins' "$TMPDIR/writer" && break
        sleep 0.3
    done
    [[ $turn != 100 ]] || { cat "$TMPDIR/writer"; return 1; }
    sleep 1
}

# The writer is still there, and ends well when it is asked to.
stop_writer() {
    kill -INT "$writer"
    wait "$writer"
    ! grep WARN "$TMPDIR/writer"
}

# Writes $2 frames that a reader gets into the file $1.
read_frames() {
    timeout 60 v4l2-ctl --device "$virtual" --stream-mmap --stream-count="$2" --stream-to="$1" >/dev/null 2>&1
}

# What vivid gives of itself, and what comes out of the virtual camera, both in the format $1, are the same picture.
passes_vivid_on() {
    v4l2-ctl --device /dev/video0 --set-fmt-video=width=320,height=180,pixelformat="$1" --stream-mmap --stream-skip=3 \
        --stream-count=1 --stream-to="$TMPDIR/direct.raw" >/dev/null 2>&1
    start_writer --source camera:vivid --size 320x180 --sink "v4l2:$virtual,format=$1"
    v4l2-ctl --device "$virtual" --get-fmt-video | tee "$TMPDIR/format"
    grep -q "'$1'" "$TMPDIR/format" && grep -q '320/180' "$TMPDIR/format"
    read_frames "$TMPDIR/through.raw" 5
    stop_writer
    python3 - "$TMPDIR/direct.raw" "$TMPDIR/through.raw" <<'PY'
import math, sys
direct, through = (open(name, "rb").read() for name in sys.argv[1:])
assert len(through) == 5 * len(direct), (len(direct), len(through))
for start in range(0, len(through), len(direct)):
    error = sum((a - b) ** 2 for a, b in zip(direct, through[start:])) / len(direct)
    psnr = math.inf if error == 0 else 10 * math.log10(255 ** 2 / error)
    print(f"PSNR {psnr:.1f} dB")
    assert psnr >= 40
PY
}

# Of a made-up scene of an odd size, every frame that v4l2-ctl and ffmpeg read is, byte by byte, one of those that it
# consists of, less the last row and column.
keeps_every_byte() {
    nijigen run --source synthetic --size 323x183 --style off --frames 24 --sink "$TMPDIR/scene.y4m"
    start_writer --source synthetic --size 323x183 --fps 10 --sink "v4l2:$virtual,format=YU12"
    read_frames "$TMPDIR/v4l2-ctl.raw" 8
    timeout 120 ffmpeg -v error -f v4l2 -i "$virtual" -fps_mode passthrough -frames:v 8 -f rawvideo "$TMPDIR/ffmpeg.raw" \
        </dev/null
    stop_writer
    python3 - "$TMPDIR"/{scene.y4m,v4l2-ctl.raw,ffmpeg.raw} <<'PY'
import sys
def cropped(plane, width, kept, rows):
    return b"".join(plane[row * width:][:kept] for row in range(rows))
scene = set()
with open(sys.argv[1], "rb") as file:
    assert b" W323 H183 " in file.readline()
    while file.readline():
        y, u, v = file.read(323 * 183), file.read(162 * 92), file.read(162 * 92)
        scene.add(cropped(y, 323, 322, 182) + cropped(u, 162, 161, 91) + cropped(v, 162, 161, 91))
assert len(scene) == 24
for name in sys.argv[2:]:
    read = open(name, "rb").read()
    size = 322 * 182 * 3 // 2
    frames = [read[at:at + size] for at in range(0, len(read), size)]
    assert len(frames) == 8 and len(set(frames)) >= 4, f"{name}: {len(frames)}, {len(set(frames))} different"
    assert all(frame in scene for frame in frames), name
PY
}

# Readers end, are killed, and do nothing; the writer goes on.
outlasts_readers() {
    start_writer --source synthetic --size 160x90 --fps 20 --sink "v4l2:$virtual"
    local turn
    for turn in 1 2 3; do
        read_frames "$TMPDIR/read.raw" 5
        [[ $(stat -c %s "$TMPDIR/read.raw") == $((5 * 160 * 90 * 2)) ]]
        v4l2-ctl --device "$virtual" --stream-mmap --stream-count=10000 >/dev/null 2>&1 &
        sleep 1
        kill -9 $!
        wait $! || true
        sleep 0.2 <"$virtual"
    done
    read_frames "$TMPDIR/read.raw" 5
    stop_writer
}

# What the virtual camera says that it is: Capture, Output, or both.
role_is() {
    v4l2-ctl --device "$virtual" --info | sed -n '/Device Caps/,$p' | grep -oE 'Video (Capture|Output)' | tee "$TMPDIR/role"
    [[ $(sed 's/Video //' "$TMPDIR/role" | sort | xargs) == "$1" ]]
}

# With exclusive_caps it is a camera while it is written to and no longer, even when the writer was killed; Chromium takes
# nothing else for a camera.
is_either_camera_or_output() {
    local arguments=(--source synthetic --size 160x90 --fps 20 --sink "v4l2:$virtual")
    role_is Output
    start_writer "${arguments[@]}"
    role_is Capture
    stop_writer
    role_is Output
    start_writer "${arguments[@]}"
    kill -9 "$writer"
    wait "$writer" || true
    role_is Output
    start_writer "${arguments[@]}"
    role_is Capture
    stop_writer
}

# A run that is started again with another size goes on with the size that a reader holds.
keeps_the_size_of_a_reader() {
    start_writer --source synthetic --size 160x90 --fps 20 --sink "v4l2:$virtual"
    rm -f "$TMPDIR/held.raw"
    v4l2-ctl --device "$virtual" --stream-mmap --stream-count=10000 --stream-to="$TMPDIR/held.raw" >/dev/null 2>&1 &
    local turn before
    for turn in {1..100}; do
        [[ -s $TMPDIR/held.raw ]] && break
        sleep 0.2
    done
    stop_writer
    before=$(stat -c %s "$TMPDIR/held.raw")
    start_writer --source synthetic --size 320x240 --fps 20 --sink "v4l2:$virtual"
    grep -q "stays at YUYV 160x90 while other programs use it" "$TMPDIR/writer"
    sleep 2
    [[ $(($(stat -c %s "$TMPDIR/held.raw") - before)) -gt $((10 * 160 * 90 * 2)) ]]
    kill -INT "$writer"
    wait "$writer"
}

says_what_is_no_virtual_camera() {
    local run=(run --source synthetic --style off --frames 1 --sink)
    refuses "/dev/video0 is vivid (driver vivid) and no virtual camera; there is v4l2:$virtual (nijigen)" \
        "${run[@]}" v4l2:/dev/video0
    refuses "there is no /dev/video99; there is v4l2:$virtual" "${run[@]}" v4l2:/dev/video99
    start_writer --source synthetic --size 160x90 --fps 20 --sink "v4l2:$virtual"
    refuses "another program writes to $virtual" "${run[@]}" "v4l2:$virtual"
    stop_writer
    chmod 600 "$virtual"
    local status=0
    setpriv --reuid=65534 --clear-groups "$TMPDIR/nijigen" "${run[@]}" "v4l2:$virtual" 2>"$TMPDIR/err" || status=$?
    chmod 660 "$virtual"
    cat "$TMPDIR/err"
    [[ $status == 1 ]] && grep -q 'no permission.*usermod' "$TMPDIR/err"
    rmmod v4l2loopback
    refuses "sudo modprobe v4l2loopback video_nr=10 card_label=nijigen exclusive_caps=1" "${run[@]}" "v4l2:$virtual"
}

check_virtual_camera() {
    local version caps
    for version in distribution newer; do
        for caps in 0 1; do
            local which="$version v4l2loopback, exclusive_caps=$caps"
            load_loopback "$version" "$caps"
            check "the virtual camera outlasts its readers ($which)" outlasts_readers
            check "it keeps the size that a reader holds ($which)" keeps_the_size_of_a_reader
            case $version$caps in
            distribution0)
                check "vivid's picture comes out of it in YUYV" passes_vivid_on YUYV
                check "not a byte is lost in YU12, odd sizes lose a row and a column" keeps_every_byte
                ;;
            newer0) check "vivid's picture comes out of it in YU12" passes_vivid_on YU12 ;;
            *1) check "it is either camera or output ($which)" is_either_camera_or_output ;;
            esac
        done
    done
    check "what is no virtual camera, or may not be written to, is said" says_what_is_no_virtual_camera
    modprobe v4l2loopback video_nr=10 card_label=nijigen
    udevadm settle
}

finds_none() {
    plug
    unplug
    modprobe -r v4l2loopback
    refuses 'no camera found' devices
    refuses 'no camera found' run --style off --sink null
}

inside() {
    mount -t tmpfs tmpfs /mnt
    export TMPDIR=/mnt
    cp "$1"/* /mnt
    chmod 755 /mnt /mnt/nijigen
    modprobe vivid n_devs=1 node_types=0x1 num_inputs=1 input_types=0x0
    modprobe v4l2loopback video_nr=10 card_label=nijigen
    udevadm settle
    # Bars alone, without the text over them.
    v4l2-ctl --device /dev/video0 --set-ctrl osd_text_mode=2

    check "devices lists vivid with its formats, sizes and rates" lists_vivid
    check "run captures 50 frames in YUYV" captures YUYV
    check "run captures 50 frames in NV12" captures NV12
    check "the picture is right in YUYV" picture_is_right YUYV
    check "the picture is right in NV12" picture_is_right NV12
    check "frames are stylized" stylizes
    check "a size that the camera has not is answered by 'asked …, got …'" says_what_it_got
    check "MJPEG is read, without Huffman tables too, and half a frame is skipped" reads_mjpeg
    check "a camera that falls silent is opened again until it sends frames" comes_back_from_silence
    check "a camera that is in use is an error" is_busy
    check "a camera that may not be opened is an error" needs_permission
    check "a camera that is not there is an error that says what is" \
        refuses 'found camera 0 (vivid' run --source camera:brio --style off --sink null
    check_virtual_camera
    check "a run waits for a camera that is in use" waits_for_a_busy_camera
    check "a run waits for a camera that is plugged in later" waits_for_a_camera
    check "a run ends well while its camera is gone" ends_while_it_is_gone
    check "a camera pulled and plugged in $replugs times, at times under another number, comes back each time" comes_back
    [[ ! -e $TMPDIR/replugged ]] || sed 's/^/        /' "$TMPDIR/replugged"
    check "no camera at all is an error" finds_none
    echo "$failed failed, $passed passed" >"$1/verdict"
}

case ${1:-} in
--inside) inside "$2" ;;
--help | -h) sed -n '2,/^set /{/^set /!s/^# \{0,1\}//p}' "$script" ;;
*) outside "$@" ;;
esac
