#!/usr/bin/env python3
"""What a live run takes and gives, on this machine: benches/live.py NIJIGEN [--threads N] [--minutes M] [--only FIGURE]

Prints one line for each figure. Needs Linux (/proc), and a machine that does nothing else meanwhile.
"""
import argparse
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time

parser = argparse.ArgumentParser()
parser.add_argument("nijigen")
parser.add_argument("--minutes", type=float, default=30, help="how long memory is watched")
parser.add_argument("--only", choices=["throughput", "first_picture", "readers", "share", "latency", "memory"])
parser.add_argument("--threads", default=str(os.cpu_count()))
options = parser.parse_args()
program = os.path.abspath(options.nijigen)
home = tempfile.TemporaryDirectory()
environment = {**os.environ, **{name: home.name for name in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"]}}
SYNTHETIC = ["run", "--source", "synthetic", "--threads", options.threads]
SERVED = ["--sink", "null", "--serve", "127.0.0.1:0"]
TICKS = os.sysconf("SC_CLK_TCK")


def said(name, value, remark=""):
    print(f"{name:<58} {value}{'  ' + remark if remark else ''}", flush=True)


def finished(*arguments):
    """The statistics of a run to its end."""
    done = subprocess.run([program, *SYNTHETIC, "--stats", "json", *arguments], env=environment, check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return json.loads(done.stdout)


class Served:
    """A run that is served, for as long as this is open."""

    def __init__(self, *arguments):
        self.run = subprocess.Popen([program, *SYNTHETIC, *SERVED, "--stats", "json", *arguments], env=environment,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.address = next(match[0] for match in map(lambda line: re.search("http://[0-9.:]+", line), self.run.stderr)
                            if match)
        self.stopped = threading.Event()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def watch(self, readers):
        """Reads the stream as so many machines elsewhere would: what comes is thrown away uncopied (tcp(7), MSG_TRUNC),
        since their reading does not cost this one anything."""
        host, port = self.address.removeprefix("http://").split(":")

        def read():
            with socket.create_connection((host, int(port))) as stream:
                stream.sendall(f"GET /stream.mjpg HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
                room = bytearray(1 << 20)
                while not self.stopped.is_set() and stream.recv_into(room, 0, socket.MSG_TRUNC):
                    pass

        for _ in range(readers):
            threading.Thread(target=read, daemon=True).start()

    def cpu(self):
        """Processor time in seconds so far."""
        fields = open(f"/proc/{self.run.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def held(self, name="VmRSS"):
        """Memory held now, or at most so far (VmHWM), in MB of 10^6 bytes."""
        line = next(line for line in open(f"/proc/{self.run.pid}/status") if line.startswith(name))
        return int(line.split()[1]) * 1024 / 1e6

    def end(self):
        """The statistics of the run."""
        if self.run.poll() is not None:
            return None
        self.stopped.set()
        self.run.send_signal(signal.SIGINT)
        return json.loads(self.run.communicate(timeout=20)[0])


def throughput():
    for stability, what in [("0", "every block computed"), ("0.5", "one person moves")]:
        for size in ["1280x720", "640x480"]:
            stats = finished("--sink", "null", "--stability", stability, "--size", size, "--frames", "1200")
            said(f"frames per second, {size}, {what}", f"{stats['fps']:.1f}")


def first_picture():
    times = []
    for _ in range(5):
        began = time.monotonic()
        run = subprocess.Popen([program, *SYNTHETIC, "--size", "640x480", "--sink", "-", "--frames", "1"],
                               env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        run.stdout.readline()
        run.stdout.read(len("FRAME\n") + 640 * 480 * 3 // 2)
        times.append((time.monotonic() - began) * 1000)
        run.wait()
    said("first picture after the start, 640x480, median of 5", f"{sorted(times)[2]:.0f} ms", f"all: {[round(t) for t in times]}")


def is_held(size, rate, readers):
    # Once more, since a machine has other things to do now and then.
    for _ in range(2):
        with Served("--size", size, "--fps", f"{rate:.2f}", "--stability", "0") as run:
            run.watch(readers)
            time.sleep(6)
            stats = run.end()
        if stats["scale_steps"] == 0 and stats["dropped"] <= stats["captured"] / 50:
            return True
    return False


def held(size, readers):
    """The highest rate, to 3 %, at which every frame is drawn, and drawn whole, while so many read."""
    low, high = 10.0, 320.0
    while high / low > 1.03:
        rate = (low * high) ** 0.5
        low, high = (rate, high) if is_held(size, rate, readers) else (low, rate)
    return low


def readers():
    for size in ["640x480", "1280x720"]:
        alone, watched = held(size, 0), held(size, 8)
        said(f"frames per second held, {size}, served, nobody reads", f"{alone:.1f}")
        said(f"the same with 8 readers of /stream.mjpg", f"{watched:.1f}", f"{100 * (1 - watched / alone):.0f} % less")


def share():
    with Served("--size", "1280x720", "--fps", "120", "--stability", "0", "--cpu", "50") as run:
        time.sleep(10)
        began, before = time.monotonic(), run.cpu()
        time.sleep(30)
        percent = 100 * (run.cpu() - before) / (time.monotonic() - began) / os.cpu_count()
        stats = run.end()
    said("share of the machine taken with --cpu 50, 1280x720 at 120", f"{percent:.1f} %",
         f"{stats['fps']:.1f} frames per second at scale {stats['scale']}")


def latency():
    for rate in ["30", "60"]:
        done = subprocess.run([program, "bench", "--live", "--fps", rate, "--frames", str(20 * int(rate)), "--size", "1280x720",
                               "--threads", options.threads, "--json"], env=environment, check=True, stdout=subprocess.PIPE)
        figures = json.loads(done.stdout)
        live = figures["live"]
        said(f"latency from camera to sink, 1280x720 at {rate}, 95 %", f"{figures['latency_ms']['p95']:.1f} ms",
             f"a period and 10 ms are {live['latency_limit_ms']:.1f}; scale {live['scale']:g}, {live['dropped']} dropped")


def memory():
    with Served("--size", "1280x720", "--fps", "30") as run:
        # One who reads and one who has gone, as in an evening.
        run.watch(1)
        samples, began = [], time.monotonic()
        while time.monotonic() - began < options.minutes * 60:
            time.sleep(5)
            samples.append(((time.monotonic() - began) / 60, run.held()))
        most = run.held("VmHWM")
        run.end()
    def slope(settled):
        mean = [sum(values) / len(settled) for values in zip(*settled)]
        return sum((t - mean[0]) * (m - mean[1]) for t, m in settled) / sum((t - mean[0]) ** 2 for t, _ in settled)

    said(f"memory, 1280x720 at 30, a reader, {options.minutes:.0f} minutes: most", f"{most:.1f} MB")
    # The first minute fills buffers; what the thumbnails and the first styles took is given back later.
    said("its slope after the first minute", f"{slope([s for s in samples if s[0] > 1]) * 60:.2f} MB per hour")
    half = [s for s in samples if s[0] > options.minutes / 2]
    said("its slope in the second half", f"{slope(half) * 60:.2f} MB per hour", f"{half[0][1]:.1f} to {half[-1][1]:.1f} MB")


said("processor", next(line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")),
     f"{os.cpu_count()} cores, --threads {options.threads}")
for measure in [throughput, first_picture, readers, share, latency, memory]:
    if options.only in (None, measure.__name__):
        measure()
