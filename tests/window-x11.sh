#!/usr/bin/env bash
# The window, tried on an X server without a screen: it opens, keeps the picture's aspect when it is resized, does what each
# key says, and closes by q and by Esc, before the first frame too.
#
#   tests/window-x11.sh BINARY
#
# Needs Xvfb, xdotool, ffmpeg, Python and the libraries of a window, which it installs where they are missing (Debian, as
# root). One line is printed for each check; the exit status is 0 only if every check held.
set -euo pipefail

binary=$(realpath "${1:?the program, target/release/nijigen for example}")
has_tools() {
    local tool library
    for tool in Xvfb xdotool ffmpeg ffprobe python3; do
        command -v "$tool" >/dev/null || return 1
    done
    for library in libX11 libXcursor libwayland-client libxkbcommon; do
        # Not grep -q: it ends at the first match, and who still writes to it then fails.
        /sbin/ldconfig -p | grep "$library\.so\." >/dev/null || return 1
    done
}
if ! has_tools; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends xvfb xdotool ffmpeg python3 libx11-6 \
        libxcursor1 libwayland-client0 libwayland-cursor0 libxkbcommon0 >/dev/null
    has_tools || { echo "window-x11: the packages are there, and something is still missing" >&2; exit 1; }
fi
work=$(mktemp -d)
# Without -noreset it begins anew when its last window closes, and refuses whoever comes meanwhile.
Xvfb -noreset -displayfd 3 -screen 0 800x600x24 -fbdir "$work" 3>"$work/display" 2>/dev/null &
server=$!
trap 'kill $server 2>/dev/null || true; rm -rf "$work"' EXIT
for _ in {1..100}; do
    [[ -s $work/display ]] && break
    sleep 0.1
done
DISPLAY=:$(<"$work/display")
export DISPLAY
unset WAYLAND_DISPLAY
# Nobody's own settings.
export XDG_CONFIG_HOME=$work/none XDG_STATE_HOME=$work/none XDG_DATA_HOME=$work/none

failed=0

# Ends the run that shows a window by pressing a key in it, and looks at how it ended.
closes_by() {
    local key=$1 sentence=$2 status=0
    shift 2
    "$binary" -v run --style off --sink window "$@" 2>"$work/said" <"$work/input" &
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

# Reports whether a command held, tried for up to ten seconds.
holds() {
    local sentence=$1
    shift
    for _ in {1..50}; do
        if "$@" >/dev/null 2>&1; then
            echo "ok      $sentence"
            return
        fi
        sleep 0.2
    done
    echo "FAILED  $sentence"
    failed=$((failed + 1))
}

# What the window of the id $1 shows: the mean of all colours in its middle, 0 to 255.
brightness() {
    eval "$(xdotool getwindowgeometry --shell "$1")"
    python3 - "$work/Xvfb_screen0" "$X" "$Y" "$WIDTH" "$HEIGHT" <<'PY'
import struct, sys
data = open(sys.argv[1], "rb").read()
left, top, width, height = map(int, sys.argv[2:])
header = struct.unpack(">25I", data[:100])
at = header[0] + header[19] * 12
values = []
for y in range(top + height // 3, top + height * 2 // 3):
    for x in range(left + width // 3, left + width * 2 // 3):
        values += data[at + y * header[12] + x * header[11] // 8:][:3]
print(sum(values) // len(values))
PY
}

darker_than() { (($(brightness "$2") * 10 < $1 * 7)); }
as_bright_as() { (($(brightness "$2") * 10 > $1 * 9)); }
said() { grep -qF -- "$1" "$work/said"; }
said_twice() { (($(grep -cE -- "$1\$" "$work/said") == 2)); }
size_is() { xdotool getwindowgeometry "$1" | grep -q "Geometry: $2"; }
holds_files() { (($(find "$1" -type f -name "$2" | wc -l) == $3)); }

# Every key, one after the other.
hears_keys() {
    local window=$1 before
    xdotool windowfocus "$window"
    sleep 1
    before=$(brightness "$window")
    xdotool key h
    holds "h shows the keys over the picture" darker_than "$before" "$window"
    xdotool key h
    holds "h hides them again" as_bright_as "$before" "$window"
    xdotool key space
    holds "space turns the style off" said "Style off"
    xdotool key Down
    holds "an arrow weakens the style" said "Strength 90 %"
    xdotool key Up
    holds "and strengthens it" said "Strength 100 %"
    xdotool key Right
    holds "an arrow changes the style" said "Style anime"
    # The slider at the picture's lower end, from its beginning to its middle.
    xdotool mousemove --window "$window" 30 216
    sleep 1
    xdotool mousedown 1
    sleep 0.5
    xdotool mousemove --window "$window" 160 216
    holds "the slider mixes the next style of its base into it" said "Style anime:0.5+comic:0.5"
    xdotool mouseup 1
    xdotool mousemove --window "$window" 160 20
    xdotool key comma comma comma comma comma
    holds "a key takes it out again" said_twice "Style anime"
    xdotool key space
    holds "space turns the style on" said "Style on"
    xdotool key Left
    holds "another arrow changes it back" said_twice "Style off"
    xdotool key c m i
    xdotool key s
    holds "s keeps the picture and its photo" holds_files "$work/snapshots" "nijigen-*.png" 2
    xdotool key r
    holds "r records" said "Recording to $work/recordings/nijigen-"
    sleep 2
    xdotool key r
    holds "r again ends that" said "Recorded "
    holds "one recording is there, under its own name" holds_files "$work/recordings" "nijigen-????-??-??-??????.*" 1
    holds "it lasts as long as it took" lasts "$work/recordings"
    xdotool key f
    holds "f fills the screen" size_is "$window" 800x600
    xdotool key f
    holds "f again gives it back" size_is "$window" 320x240
}

# A kiosk: the word that closes it is typed but for its last letter.
is_locked() {
    local window=$1
    xdotool windowfocus "$window"
    holds "a kiosk fills the screen" size_is "$window" 800x600
    xdotool key q Escape s r space f Right Up c m i h
    # Longer than a snapshot, a recording and a message would take.
    sleep 3
    holds "no other key keeps a snapshot" holds_files "$work/kiosk" "*" 0
    holds "none records" holds_files "$work/kiosk-recordings" "*" 0
    holds "none changes the style, and none ends it" said_nothing_else
    holds "none changes the size" size_is "$window" 800x600
    xdotool key Return
    holds "Enter counts down and keeps a snapshot" holds_files "$work/kiosk" "nijigen-*.png" 1
    # The window hears keys in turn, so that a snapshot by one of those before would be there by now.
    sleep 2
    holds "one snapshot and no more" holds_files "$work/kiosk" "*" 1
    holds "no recording yet" holds_files "$work/kiosk-recordings" "*" 0
    xdotool type qui
}

# Since a key was pressed: nothing of styles, strength, recordings or the end.
said_nothing_else() { ! grep -qE 'Style |Strength |Record| frames? in ' "$work/said"; }

lasts() {
    local seconds
    seconds=$(ffprobe -v error -show_entries format=duration -of csv=p=0 "$1"/nijigen-*.mp4)
    python3 -c "import sys; sys.exit(not 1 < float('$seconds') < 14)"
}

: >"$work/input"
mkdir "$work"/{snapshots,recordings,kiosk,kiosk-recordings}
look=hears_keys closes_by q "q closes a window whose keys were all pressed" --source synthetic --size 320x240 \
    --snapshots "$work/snapshots" --snapshot-original --recordings "$work/recordings"
closes_by q "q closes the window" --source synthetic --size 160x120
closes_by Escape "Esc closes the window" --source synthetic --size 160x120
look=keeps_aspect closes_by q "q closes a resized window" --source synthetic --size 160x120

look=is_locked closes_by t "the word closes a kiosk" --preset kiosk --serve=127.0.0.1:0 --source synthetic --countdown 1 \
    --size 320x240 --snapshots "$work/kiosk" --recordings "$work/kiosk-recordings"

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
