#!/usr/bin/env bash
# The Debian package, as somebody has it who installs, upgrades, removes and purges it.
#
#   tests/packaging.sh
#
# Packs the program of the last `cargo build --release`, looks into the package, and installs it, with what docs/kiosk.md
# says that a kiosk needs, into a copy of this system that is written to memory and forgotten at the end. One line is
# printed for each check; the exit status is 0 only if every check held.
#
# Needs Debian, root, a kernel with overlay file systems, and Rust; installs cargo-deb and what else is missing.
set -euo pipefail

readonly script=$(realpath "$0")
readonly unit=nijigen-kiosk.service config=/etc/nijigen/kiosk.toml state=/var/lib/nijigen

die() {
    echo "packaging: $*" >&2
    exit 1
}

failed=0

# A sentence, then a command that fails where the sentence is not true.
check() {
    local sentence=$1
    shift
    if "$@" >/tmp/packaging.said 2>&1; then
        echo "ok      $sentence"
    else
        echo "FAILED  $sentence"
        tail -n 20 /tmp/packaging.said | sed 's/^/        /'
        failed=$((failed + 1))
    fi
}

# ---- outside -------------------------------------------------------------------------------------------------------

outside() {
    cd "$(dirname "$(dirname "$script")")"
    [[ $EUID == 0 ]] || die "needs root"
    command -v apt-get >/dev/null || die "needs apt (Debian)"
    if ! command -v systemd-analyze dpkg-shlibdeps systemd-sysusers deb-systemd-helper unshare >/dev/null; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends systemd dpkg-dev \
            init-system-helpers util-linux >/dev/null
    fi
    local package
    package=$(packaging/build-deb --no-build | tail -n 1)
    [[ -s $package ]] || die "there is no package"
    unshare --mount --propagation private "$script" --copied "$(realpath "$package")"
}

# In a mount namespace of our own: the copy of the system.
copied() {
    local root
    root=$(mktemp -d)
    mount -t tmpfs tmpfs "$root"
    mkdir "$root"/{upper,work,all}
    mount -t overlay overlay -o "lowerdir=/,upperdir=$root/upper,workdir=$root/work" "$root/all" ||
        die "this kernel has no overlay file systems"
    root=$root/all
    mount --bind /proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/tmp"
    mount -t tmpfs tmpfs "$root/run"
    cp "$1" "$root/tmp/nijigen.deb"
    cp "$script" "$root/tmp/packaging.sh"
    cp -L /etc/resolv.conf "$root/tmp/resolv.conf" 2>/dev/null && cp "$root/tmp/resolv.conf" "$root/etc/" || true
    chroot "$root" /tmp/packaging.sh --inside
}

# ---- inside --------------------------------------------------------------------------------------------------------

contains() {
    dpkg-deb --contents /tmp/nijigen.deb >/tmp/contents
    cat /tmp/contents
    local line
    for line in '-rwxr-xr-x ./usr/bin/nijigen' "-rw-r----- .$config" "-rw-r--r-- ./usr/lib/systemd/system/$unit" \
        '-rw-r--r-- ./usr/lib/sysusers.d/nijigen.conf' '-rw-r--r-- ./usr/share/man/man1/nijigen-run.1.gz' \
        '-rw-r--r-- ./usr/share/bash-completion/completions/nijigen' '-rw-r--r-- ./usr/share/doc/nijigen/kiosk.md' \
        '-rw-r--r-- ./usr/share/doc/nijigen/copyright'; do
        awk '{print $1, $6}' /tmp/contents | grep -xF -- "$line" >/dev/null || { echo "without $line"; return 1; }
    done
}

belongs_to_root() { ! dpkg-deb --contents /tmp/nijigen.deb | grep -v ' 0/0 \| root/root '; }
has_mode() { [[ $(stat -c '%a %U:%G' "$1") == "$2" ]]; }
as() { setpriv --reuid="$1" --regid="$1" --init-groups "${@:2}"; }
nobody_reads_it() { ! setpriv --reuid=65534 --regid=65534 --clear-groups cat "$config"; }
has_user() { getent passwd nijigen | grep -q ":$state:/usr/sbin/nologin$"; }
is_enabled() { [[ -e /etc/systemd/system/multi-user.target.wants/$unit ]]; }
is_not_enabled() { ! is_enabled; }
shows_settings() { as nijigen nijigen config show --preset kiosk --config "$config" | grep -F "$1" | grep -F "# $config"; }
prints_manual() { zcat /usr/share/man/man1/nijigen-run.1.gz | grep 'full.-screen' >/dev/null; }
is_there() { [[ -e $1 ]]; }
verifies() { [[ -z $(systemd-analyze verify --man=no "$unit" 2>&1 | grep -F "${unit%.service}" | tee /dev/stderr) ]]; }
named() { find /etc /usr /var /run -xdev -name '*nijigen*' | sort; }
nothing_is_left() { diff /tmp/before <(named); }

inside() {
    export DEBIAN_FRONTEND=noninteractive HOME=/root
    umask 022
    named >/tmp/before
    check "the package contains what it should" contains
    check "all of it belongs to root" belongs_to_root
    check "its settings are a conffile" grep -qx "$config" <(dpkg-deb --info /tmp/nijigen.deb conffiles)

    apt-get update -qq
    # The command of docs/kiosk.md.
    check "it is installed" apt-get install -y --no-install-recommends /tmp/nijigen.deb cage xwayland seatd kbd
    check "the program starts" nijigen --version
    check "its manual page is there" prints_manual
    check "there is the kiosk's user, who cannot log in" has_user
    check "the settings are for root and that user" has_mode "$config" "640 root:nijigen"
    check "nobody else reads them" nobody_reads_it
    check "that user does" shows_settings 'lock = "quit"'
    check "the unit is right" verifies
    check "nobody is given a kiosk who did not ask for it" is_not_enabled

    systemctl enable "$unit" 2>/dev/null
    check "the kiosk is switched on" is_enabled
    sed -i 's/^lock = .*/lock = "other"/' "$config"
    check "it is installed anew" dpkg --install /tmp/nijigen.deb
    check "an upgrade keeps what was set" shows_settings 'lock = "other"'
    check "and who may read it" has_mode "$config" "640 root:nijigen"
    check "and the kiosk switched on" is_enabled

    mkdir -p "$state/snapshots"
    touch "$state/snapshots/nijigen-2026-01-01-000000.jpg"
    check "it is removed" apt-get remove -y nijigen
    check "the settings stay" is_there "$config"
    check "the pictures stay" is_there "$state/snapshots"
    check "it is purged" apt-get purge -y nijigen
    check "nothing is left of it" nothing_is_left
    check "but the user" has_user
    exit "$((failed > 0))"
}

case ${1:-} in
--copied) copied "$2" ;;
--inside) inside ;;
*) outside ;;
esac
