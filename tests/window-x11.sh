#!/usr/bin/env bash
# The window, tried on an X server without a screen: it opens, keeps the picture's aspect when it is resized, and closes
# by q and by Esc, before the first frame too.
#
#   tests/window-x11.sh BINARY
#
# Needs Xvfb and xdotool (Debian: xvfb, xdotool). One line is printed for each check; the exit status is 0
# only if every check held.
set -euo pipefail

binary=$(realpath "${1:?the program, target/release/nijigen for example}")
work=$(mktemp -d)
Xvfb -displayfd 3 -screen 0 800x600x24 -fbdir "$work" 3>"$work/display" 2>/dev/null &
server=$!
trap 'kill $server 2>/dev/null || true; rm -rf "$work"' EXIT
for _ in {1..100}; do
    [[ -s $work/display ]] && break
    sleep 0.1
done
DISPLAY=:$(<"$work/display")
export DISPLAY
unset WAYLAND_DISPLAY

failed=0

# Ends the run that shows a window by pressing a key in it, and looks at how it ended.
closes_by() {
    local key=$1 sentence=$2 status=0
    shift 2
    "$binary" run --style off --sink window "$@" 2>"$work/said" <"$work/input" &
    local program=$!
    local window=""
    for _ in {1..100}; do
        window=$(xdotool search --name '^nijigen' 2>/dev/null | head -n 1 || true)
        [[ $window ]] && break
        sleep 0.1
    done
    if [[ $window ]]; then
        [[ ${look:-} ]] && "$look" "$window"
        # There is no window manager that would give it the keyboard.
        xdotool windowfocus "$window"
        xdotool key "$key"
    fi
    timeout 10 tail --pid="$program" -f /dev/null || kill -9 "$program"
    wait "$program" || status=$?
    if [[ $window && $status == 0 ]] && grep -q ' frames\? in ' "$work/said"; then
        echo "ok      $sentence"
    else
        echo "FAILED  $sentence: status $status, window '$window'"
        cat "$work/said"
        failed=$((failed + 1))
    fi
}

# A window of 600x300 shows a 4:3 picture in its middle, black beside it.
keeps_aspect() {
    xdotool windowsize "$1" 600 300
    local verdict=no
    for _ in {1..30}; do
        sleep 0.2
        # The server keeps its screen in a file, in the format of xwd.
        eval "$(xdotool getwindowgeometry --shell "$1")"
        verdict=$(python3 - "$work/Xvfb_screen0" "$X" "$Y" "$WIDTH" "$HEIGHT" <<'PY'
import struct, sys
data = open(sys.argv[1], "rb").read()
left, top, width, height = map(int, sys.argv[2:])
header = struct.unpack(">25I", data[:100])
size, bits, line, colours = header[0], header[11], header[12], header[19]
at = size + colours * 12
def dark(x, y):
    pixel = data[at + (top + y) * line + (left + x) * bits // 8:][:3]
    return max(pixel) < 10
bars = all(dark(x, y) for x in (5, 90, 510, 595) for y in (10, 150, 290))
picture = sum(dark(x, y) for x in range(110, 490, 20) for y in range(10, 300, 20)) < 60
print("yes" if (width, height) == (600, 300) and bars and picture else "no")
PY
)
        [[ $verdict == yes ]] && break
    done
    if [[ $verdict == yes ]]; then
        echo "ok      a resized window keeps the aspect"
    else
        echo "FAILED  a resized window keeps the aspect"
        failed=$((failed + 1))
    fi
}

: >"$work/input"
closes_by q "q closes the window" --source synthetic --size 160x120
closes_by Escape "Esc closes the window" --source synthetic --size 160x120
look=keeps_aspect closes_by q "q closes a resized window" --source synthetic --size 160x120

# A stream that has begun and sends no frame.
rm "$work/input"
mkfifo "$work/input"
(
    printf 'YUV4MPEG2 W160 H120 F25:1 C420jpeg\n'
    sleep 60
) >"$work/input" &
stream=$!
closes_by Escape "Esc closes a window that waits for its first frame" --source -
kill "$stream" 2>/dev/null || true

unset DISPLAY
status=0
"$binary" run --source synthetic --size 32x24 --style off 2>"$work/said" || status=$?
if [[ $status == 1 ]] && grep -q -- '--sink null' "$work/said"; then
    echo "ok      without a display it says which other sinks there are"
else
    echo "FAILED  without a display it says which other sinks there are: status $status"
    cat "$work/said"
    failed=$((failed + 1))
fi
exit "$((failed > 0))"
