#!/usr/bin/env bash
# The engine on 64-bit Arm, under emulation.
#
#   tests/aarch64.sh
#
# Builds for aarch64-unknown-linux-gnu, then on each of two processors, a Cortex-A72 (Raspberry Pi 4: no dot products) and
# a Cortex-A76 (Raspberry Pi 5): every kernel that it has against the scalar one, the fused plans, and a small picture
# through the program, which must be the one that the scalar kernel draws. Then clippy. Emulation shows that the code is
# right, not how fast it is.
#
# Needs an x86-64 Debian and rustup; the first run installs what is missing (root). The target folder is
# $CARGO_TARGET_DIR/arm64, or ~/.cache/nijigen-ci/arm64. On two cores the first build takes about ten minutes, later runs
# one to four.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly target=aarch64-unknown-linux-gnu
readonly packages=(gcc-aarch64-linux-gnu g++-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static)
readonly options=(--locked --release --package nijigen --no-default-features --target "$target")

die() {
    echo "aarch64: $*" >&2
    exit 1
}

[[ $(uname -sm) == 'Linux x86_64' ]] || die "needs Linux on x86-64, this is $(uname -sm)"
has_tools() {
    command -v aarch64-linux-gnu-gcc aarch64-linux-gnu-g++ qemu-aarch64-static >/dev/null &&
        [[ -e /usr/aarch64-linux-gnu/include/stdio.h ]]
}
if ! has_tools; then
    [[ $EUID == 0 ]] || die "needs root to install ${packages[*]}"
    command -v apt-get >/dev/null || die "needs apt (Debian) to install ${packages[*]}"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
    has_tools || die "apt has installed ${packages[*]}, and there is still no cross compiler or emulator"
fi
rustup target add "$target"

if [[ ${CARGO_TARGET_DIR:-} ]]; then
    export CARGO_TARGET_DIR=$CARGO_TARGET_DIR/arm64
else
    export CARGO_TARGET_DIR=${XDG_CACHE_HOME:-$HOME/.cache}/nijigen-ci/arm64
fi
export CARGO_TERM_COLOR=never
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
export CC_aarch64_unknown_linux_gnu=aarch64-linux-gnu-gcc CXX_aarch64_unknown_linux_gnu=aarch64-linux-gnu-g++

echo "== build ($(date +%H:%M:%S))"
cargo test "${options[@]}" --lib --no-run
cargo build "${options[@]}" --bin nijigen

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# What benches/pi-estimate runs is built by rustc alone.
rustc --edition 2024 --cap-lints allow --target "$target" --emit metadata -o "$work/spans.rmeta" benches/pi/spans.rs
python3 - "$work/in.png" <<'PY'
import struct, sys, zlib
width, height = 72, 40
rows = b"".join(b"\0" + bytes((x * 3 * c + y * 5 * (3 - c)) % 256 for x in range(width) for c in range(3)) for y in range(height))
def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
with open(sys.argv[1], "wb") as file:
    file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
PY

readonly binary=$CARGO_TARGET_DIR/$target/release/nijigen
while read -ru 3 cpu instructions test; do
    echo "== $cpu ($(date +%H:%M:%S))"
    emulator="qemu-aarch64-static -cpu $cpu -L /usr/aarch64-linux-gnu"
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER=$emulator
    cargo test -q "${options[@]}" --lib -- --ignored --exact "engine::kernels::arm::tests::$test" | tee "$work/log"
    grep -q '^test result: ok. 1 passed' "$work/log" || die "the test $test did not run"
    cargo test -q "${options[@]}" --lib -- engine::kernels engine::fused | tee "$work/log"
    grep -q '^test result: ok. [1-9][0-9]* passed' "$work/log" || die "no test of the engine ran"

    $emulator "$binary" styles -v | tee "$work/log"
    grep -q "fused ($instructions)" "$work/log" || die "the program does not run its style with $instructions"
    $emulator "$binary" image "$work/in.png" -o "$work/$cpu.png"
    $emulator "$binary" image "$work/in.png" -o "$work/scalar-$cpu.png" --isa scalar
    cmp "$work/$cpu.png" "$work/scalar-$cpu.png" || die "the pictures of $instructions and scalar differ"
done 3<<'END'
cortex-a72 neon a_cortex_a72_has_no_dot_products
cortex-a76 neondot a_cortex_a76_has_dot_products
END

echo "== clippy ($(date +%H:%M:%S))"
cargo clippy "${options[@]}" --lib -- -D warnings
echo "== done ($(date +%H:%M:%S))"
