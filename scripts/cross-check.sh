#!/usr/bin/env bash
# Type-checks the library, without the command line, for a system that this machine is not.
#
#   cross-check.sh TARGET    for one of Rust's targets
#   cross-check.sh --list    names those that CI checks: a browser, macOS, Windows
#
# Rust's standard library for the target is needed. A toolchain that has it is used as it is ('rustup target add TARGET'
# brings it); else one that has its source checks it too ('rustup component add rust-src', or Debian's rust-web-src). On
# Debian and its kin, Debian's packages are installed where neither is there.
#
# Exit status: 77 where no toolchain for it can be had here. LIMBECK_NO_INSTALL=1 installs none.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PATH=$PATH:${CARGO_HOME:-${HOME-}/.cargo}/bin # rustup's default folder
cannot_run=77 # as in .ci/run
packages=(rustc-web cargo-web rust-web-src binutils-mingw-w64-x86-64)

main() {
    case $#:${1-} in
        1:--list) printf '%s\n' wasm32-unknown-unknown aarch64-apple-darwin x86_64-pc-windows-gnu ;;
        1:*) check_target "$1" ;;
        *) echo "expected one target, or --list" >&2 && exit 1 ;;
    esac
}

check_target() {
    local target=$1 bin
    # The standard library of Windows makes import libraries.
    [[ $target != *windows-gnu ]] || command -v x86_64-w64-mingw32-dlltool >/dev/null || install_source || return 77
    for bin in "$(dirname "$(command -v cargo || echo /none/cargo)")" /usr/bin; do
        if has_std "$bin" "$target"; then
            check "$bin" --target "$target"
            return
        fi
    done
    find_source || install_source || exit "$cannot_run"
    # The switch to unstable options: with them cargo checks the standard library as one more dependency.
    export RUSTC_BOOTSTRAP=1
    check "$source_bin" --target "$target" -Zbuild-std="$(std_crates "$target")"
}

# check BIN ARGUMENTS...: with the cargo and rustc in the folder BIN. Compilers differ, and so do folders of what they
# make: the other stages find theirs as it was. Macros run for a moment only: optimised, they would take longer.
check() {
    local bin=$1
    shift
    echo "checking with $("$bin/rustc" --version)"
    PATH=$bin:$PATH RUSTC=$bin/rustc "$bin/cargo" check --locked --lib --no-default-features \
        --target-dir target/cross --config 'profile.dev.package."*".opt-level=0' "$@"
}

# A browser has no unwinding; the other systems' standard library wants it.
std_crates() {
    case $1 in
        wasm32-*) echo std,panic_abort ;;
        *) echo std,panic_abort,panic_unwind ;;
    esac
}

has_std() { compiler_is_new_enough "$1" && [[ -d $("$1/rustc" --print sysroot)/lib/rustlib/$2/lib ]]; }

find_source() {
    local bin
    for bin in "$(dirname "$(command -v cargo || echo /none/cargo)")" /usr/bin; do
        if compiler_is_new_enough "$bin" &&
            [[ -f $("$bin/rustc" --print sysroot)/lib/rustlib/src/rust/library/std/Cargo.toml ]]; then
            source_bin=$bin
            return 0
        fi
    done
    return 1
}

compiler_is_new_enough() {
    [[ -x $1/cargo && -x $1/rustc ]] || return 1
    local wanted have
    wanted=$(sed -n 's/^rust-version *= *"\([0-9.]*\)".*/\1/p' Cargo.toml)
    have=$("$1/rustc" --version | sed 's/^rustc \([0-9.]*\).*/\1/') || return 1
    [[ $(printf '%s\n' "$wanted" "$have" | sort -V | head -n 1) == "$wanted" ]]
}

install_source() {
    if [[ -n ${LIMBECK_NO_INSTALL-} ]] || ! command -v apt-get >/dev/null; then
        echo "no source of Rust's standard library is here: 'rustup component add rust-src' brings it" >&2
        return 1
    fi
    local as_root=()
    [[ $(id -u) -eq 0 ]] || as_root=(sudo -n)
    echo "installing ${packages[*]}"
    # A mirror can be out of order for a moment; and with old package lists the packages may still come.
    local attempt
    for attempt in 1 2 3; do
        [[ $attempt -eq 1 ]] || sleep 10
        ${as_root[@]+"${as_root[@]}"} apt-get update </dev/null || true
        ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y --no-install-recommends "${packages[@]}" </dev/null && break
    done
    find_source || {
        echo "this system's packages have no source of a Rust standard library that is new enough" >&2
        return 1
    }
}

main "$@"
