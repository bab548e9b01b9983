#!/usr/bin/env bash
# The engine's tests under the address sanitizer: its kernels form addresses of their own.
#
#   tests/asan.sh
#
# Needs rustup's stable toolchain on x86-64 Linux; the sanitizer comes with it. The target folder is
# $CARGO_TARGET_DIR/asan, or ~/.cache/nijigen-ci/asan.
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ $(uname -sm) != 'Linux x86_64' ]]; then
    echo "asan: needs Linux on x86-64, this is $(uname -sm)" >&2
    exit 1
fi
readonly target=x86_64-unknown-linux-gnu
if [[ ${CARGO_TARGET_DIR:-} ]]; then
    export CARGO_TARGET_DIR=$CARGO_TARGET_DIR/asan
else
    export CARGO_TARGET_DIR=${XDG_CACHE_HOME:-$HOME/.cache}/nijigen-ci/asan
fi
export CARGO_TERM_COLOR=never
# The flag is not stable yet; the runtime behind it is. A target of its own keeps it away from build scripts.
export RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address
# Half of the time would go into optimizing what runs for seconds. The checks for overflow come with the dev profile.
export CARGO_PROFILE_DEV_OPT_LEVEL=1 CARGO_PROFILE_DEV_DEBUG=0

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Without a sanitizer that sees anything, all would pass.
echo 'fn main() { let a = vec![0_u8; 8]; std::process::exit(unsafe { *std::hint::black_box(a.as_ptr()).add(8) }.into()); }' |
    rustc -Zsanitizer=address --target "$target" -o "$work/beyond" -
if "$work/beyond" 2>"$work/said" || ! grep -q 'heap-buffer-overflow' "$work/said"; then
    echo "asan: the sanitizer did not notice a read beyond a vector" >&2
    exit 1
fi

cargo test -q --locked --package nijigen --no-default-features --lib --target "$target" -- \
    engine::kernels engine::fused engine::contract engine::lower engine::load | tee "$work/log"
if ! grep -q '^test result: ok. [1-9][0-9]* passed' "$work/log"; then
    echo "asan: no test ran" >&2
    exit 1
fi
