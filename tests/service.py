#!/usr/bin/env python3
"""What a service manager is told: tests/service.py NIJIGEN

Listens as systemd does: where NOTIFY_SOCKET points, and at the journal's socket, which needs root and a system without a
journal of its own (a container).
"""
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

# What the service manager waits for a sign of life, in seconds: a loaded machine keeps to it, and the test does not take long.
WATCHDOG = 6
JOURNAL = "/run/systemd/journal/socket"
program = os.path.abspath(sys.argv[1])
ARGUMENTS = ["-v", "run", "--source", "synthetic", "--sink", "null", "--style", "off", "--fps", "30"]


def listen(path):
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(path)
    listener.settimeout(0.2)
    return listener


def heard(listener, seconds, enough=lambda _: False):
    """The datagrams of so many seconds, with when they came."""
    end, all_of_it = time.monotonic() + seconds, []
    while time.monotonic() < end and not enough(all_of_it):
        try:
            all_of_it.append((time.monotonic(), listener.recv(1 << 16).decode(errors="replace")))
        except TimeoutError:
            pass
    return all_of_it


def check(what, ok, detail=""):
    print(("ok    " if ok else "FAIL  ") + what + ("" if ok else f": {detail}"))
    if not ok:
        sys.exit(1)


with tempfile.TemporaryDirectory() as folder:
    home = {"HOME": folder, "XDG_CONFIG_HOME": folder, "XDG_DATA_HOME": folder, "XDG_STATE_HOME": folder}
    service = listen(os.path.join(folder, "notify"))
    environment = {**os.environ, **home, "NOTIFY_SOCKET": os.path.join(folder, "notify"), "WATCHDOG_USEC": str(int(WATCHDOG * 1e6))}
    environment.pop("JOURNAL_STREAM", None)

    def start(*more):
        return subprocess.Popen([program, *ARGUMENTS, *more], env=environment, stderr=subprocess.PIPE)

    began = time.monotonic()
    run = start()
    signs = heard(service, 8 * WATCHDOG, lambda signs: sum("WATCHDOG=1" in text for _, text in signs) >= 3)
    texts = [text for _, text in signs]
    ready = [when - began for when, text in signs if "READY=1" in text]
    check("readiness is told once, when pictures come", len(ready) == 1, texts)
    check("that is within two seconds", ready[0] < 2, ready)
    alive = [when for when, text in signs if "WATCHDOG=1" in text]
    gaps = [b - a for a, b in zip(alive, alive[1:])]
    check("signs of life come sooner than the watchdog barks", len(alive) >= 3 and max(gaps) < WATCHDOG, gaps)
    check("it is still there", run.poll() is None, run.poll())
    run.send_signal(signal.SIGTERM)
    texts = [text for _, text in heard(service, 5, lambda signs: any("STOPPING=1" in text for _, text in signs))]
    check("the end is told", any("STOPPING=1" in text for text in texts), texts)
    check("it ends in peace", run.wait(10) == 0)

    # A source that gives nothing any more: the watchdog has to hear nothing.
    silent = subprocess.Popen(
        [program, "run", "--source", "live:-", "--sink", "null", "--style", "off"], env=environment,
        stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    picture = b"FRAME\n" + bytes([128]) * (16 * 16 * 3 // 2)
    silent.stdin.write(b"YUV4MPEG2 W16 H16 F30:1 C420jpeg\n" + picture * 3)
    silent.stdin.flush()
    # The last sign is of the last picture, half a watchdog after it at the latest.
    signs = heard(service, WATCHDOG)
    check("the pictures before are told", any("READY=1" in text for _, text in signs), signs)
    texts = [text for _, text in heard(service, WATCHDOG)]
    check("without pictures there is no sign of life", texts == [], texts)
    check("and it waits for more of them", silent.poll() is None, silent.poll())
    silent.kill()
    silent.wait()

    if os.path.exists(JOURNAL):
        print("--    the journal of this system is left alone")
        sys.exit(0)
    os.makedirs(os.path.dirname(JOURNAL), exist_ok=True)
    journal = listen(JOURNAL)
    try:
        stream = open(os.path.join(folder, "stderr"), "w+b")
        status = os.fstat(stream.fileno())
        environment["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}"
        run = subprocess.run([program, *ARGUMENTS, "--frames", "60"], env=environment, stderr=stream, check=True)
        entries = [text for _, text in heard(journal, 1)]
        # The first one is empty: it asks whether somebody listens.
        entries = [entry for entry in entries if entry]
        check("events are in the journal", any("MESSAGE" in e and "synthetic: 640x480" in e for e in entries), entries)
        named = all(re.search("^PRIORITY", e, re.M) and re.search("^SYSLOG_IDENTIFIER", e, re.M) for e in entries)
        check("with their level and name", named, entries)
        check("a line for an event and none for a frame", len(entries) < 20, len(entries))
        stream.seek(0)
        check("and not on standard error as well", b"INFO" not in stream.read())
    finally:
        journal.close()
        os.unlink(JOURNAL)
