#!/usr/bin/env bash
# The camera path, tried on a Linux kernel that has cameras (most build machines have none).
#
#   tests/camera-vm.sh             build nijigen (release) and check it
#   tests/camera-vm.sh BINARY      check this one
#
# A kernel of Debian's runs in QEMU over this machine's files (read-only) with two cameras: vivid, the kernel's test
# camera, is /dev/video0; v4l2loopback, to which frames are written from outside, is /dev/video10. One line is printed for
# each check; the exit status is 0 only if every check ran and held.
#
# Needs an x86-64 Debian and root: the first run installs QEMU and what builds the kernel module, and fetches a kernel and
# virtme-ng (300 MB) into ~/.cache/nijigen-camera-vm (NIJIGEN_VM_CACHE names another folder).
# The processor is emulated (AVX2 at most, slow), since nested virtualization seldom works where tests run;
# NIJIGEN_VM_KVM=1 uses KVM.
set -euo pipefail

readonly script=$(realpath "$0")
readonly cache=${NIJIGEN_VM_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/nijigen-camera-vm}
readonly patience=1500 # seconds until a machine that says nothing more is given up

die() {
    echo "camera-vm: $*" >&2
    exit 1
}

# ---- before the machine starts -------------------------------------------------------------------------------------

# The cache may be older than this installation of the system.
is_set_up() {
    local tool
    for tool in qemu-system-x86_64 busybox depmod v4l2-ctl; do
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
    apt-get install -y -qq qemu-system-x86 busybox-static kmod v4l-utils udev gcc make python3-venv >/dev/null

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
    nijigen run --source "camera:vivid,format=$1" --size 320x180 --style off --sink "$TMPDIR/bars.y4m" --frames 6
    shows_bars "$TMPDIR/bars.y4m" 3
}

stylizes() {
    rm -f "$TMPDIR/styled.y4m"
    nijigen run --source camera --size 320x180 --style "$TMPDIR/tiny.onnx" --sink "$TMPDIR/styled.y4m" --frames 6
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
readonly replugs=40

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
    ends_well "stats['source_status'] == {'state': 'running', 'reconnects': 1}"
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
