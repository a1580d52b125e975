#!/bin/sh
# Readies a machine to build and run limbeck: checks the Rust toolchain and, on Linux, sees that there is a C compiler
# and a Vulkan driver, installing the distribution's packages where one is missing. It changes nothing else.
#
#   setup.sh            what building and running need
#   setup.sh --tests    also what the test suite needs: Mesa's OpenGL on the CPU (llvmpipe)
#
# LIMBECK_NO_INSTALL=1    installs nothing: prints the commands instead, and fails if there are any
# LIMBECK_SETUP_ROOT      looks for the system's files below this folder (scripts/test-setup.sh sets it)
set -eu

root=${LIMBECK_SETUP_ROOT-}
no_install=${LIMBECK_NO_INSTALL-}
[ "$no_install" != 0 ] || no_install=
for_tests=
as_root=

main() {
    case ${1-} in
        '') ;;
        --tests) for_tests=1 ;;
        *) die "unknown argument '$1'; the only one is --tests" ;;
    esac

    check_rust
    case $(uname -s) in
        Linux) set_up_linux ;;
        Darwin) say "ready: rustc $rustc_version; the graphics API is Metal, which is part of macOS" ;;
        MINGW* | MSYS* | CYGWIN*) say "ready: rustc $rustc_version; the graphics API is DirectX 12, which is part of Windows" ;;
        *) say "rustc $rustc_version; on this system limbeck needs a Vulkan driver, which this script cannot look for" ;;
    esac
}

say() { echo "limbeck setup: $*"; }

die() {
    echo "limbeck setup: $*" >&2
    exit 1
}

# --- Rust ---

check_rust() {
    # rustup's default folder, for a shell that was opened before Rust was installed.
    PATH=$PATH:${CARGO_HOME:-${HOME-}/.cargo}/bin
    manifest=$(dirname "$0")/../Cargo.toml
    wanted=$(sed -n 's/^rust-version *= *"\([0-9.]*\)".*/\1/p' "$manifest")

    for tool in cargo rustc; do
        command -v "$tool" >/dev/null ||
            die "$tool not found. limbeck needs Rust $wanted or newer: get it from https://rustup.rs, then run this again."
    done
    version_line=$(rustc --version) ||
        die "'rustc --version' fails. With rustup, 'rustup default stable' installs a toolchain; see https://rustup.rs."
    rustc_version=$(echo "$version_line" | sed 's/^rustc \([0-9.]*\).*/\1/')
    at_least "$rustc_version" "$wanted" ||
        die "rustc is $rustc_version, limbeck needs $wanted or newer. 'rustup update stable' brings it; without rustup," \
            "get it from https://rustup.rs."
}

# at_least 1.95.0 1.90: by major and minor number.
at_least() {
    have_major=${1%%.*} have_minor=${1#*.} want_major=${2%%.*} want_minor=${2#*.}
    have_minor=${have_minor%%.*} want_minor=${want_minor%%.*}
    [ "$have_major" -gt "$want_major" ] || { [ "$have_major" -eq "$want_major" ] && [ "$have_minor" -ge "$want_minor" ]; }
}

# --- Linux: what is there ---

set_up_linux() {
    check_driver_override
    list_libraries
    find_missing
    if [ -n "$missing" ]; then
        install_missing
        list_libraries
        verify
    fi
    if [ -n "$for_tests" ]; then
        say "ready: rustc $rustc_version, a C compiler, a Vulkan driver, and OpenGL for the tests"
    else
        say "ready: rustc $rustc_version, a C compiler and a Vulkan driver"
    fi
}

find_missing() {
    missing=
    has_c_compiler || missing="$missing compiler"
    has_vulkan || missing="$missing vulkan"
    [ -z "$for_tests" ] || has_software_gl || missing="$missing opengl"
}

# rustc links with it, and the TLS library compiles C and assembly.
has_c_compiler() { [ -n "${CC-}" ] || command -v cc >/dev/null; }

has_vulkan() { has_library libvulkan.so.1 && has_vulkan_driver; }

# With either variable set, the Vulkan loader looks nowhere else, so that installing a driver would not help.
check_driver_override() {
    for name in VK_DRIVER_FILES VK_ICD_FILENAMES; do
        eval "value=\${$name-}"
        [ -n "$value" ] || continue
        in_any "$value" '' || in_any "$value" '/*.json' ||
            die "$name is '$value', and there is no such file. The Vulkan loader looks nowhere else: unset $name, or" \
                "set it to a driver's .json file."
        return 0
    done
}

# A driver announces itself to the loader with a .json file in one of these folders.
has_vulkan_driver() {
    [ -z "${VK_DRIVER_FILES-}${VK_ICD_FILENAMES-}" ] || return 0 # check_driver_override has seen the file
    config=${XDG_CONFIG_HOME:-${HOME-}/.config}:${XDG_CONFIG_DIRS:-/etc/xdg}:/etc:/usr/local/etc
    data=${XDG_DATA_HOME:-${HOME-}/.local/share}:${XDG_DATA_DIRS-}:/usr/local/share:/usr/share
    in_any "$config:$data:/run/opengl-driver/share" '/vulkan/icd.d/*.json'
}

# Whether Mesa's EGL is there, with the driver that draws on the CPU: swrast before Mesa 24.3, part of libgallium since.
has_software_gl() {
    has_library libEGL.so.1 && has_library libEGL_mesa.so.0 &&
        { in_any "$library_folders" '/dri/swrast_dri.so' || in_any "$library_folders" '/libgallium-*.so'; }
}

list_libraries() {
    library_cache=
    for ldconfig in "$(command -v ldconfig || true)" "$root/sbin/ldconfig" "$root/usr/sbin/ldconfig"; do
        [ -x "$ldconfig" ] || continue
        library_cache=$("$ldconfig" -p 2>/dev/null || true)
        break
    done
    library_folders=${LD_LIBRARY_PATH-}:/usr/local/lib:/usr/lib:/usr/lib64:/lib:/lib64:/run/opengl-driver/lib
    for folder in "$root"/usr/lib/*-linux-gnu*; do
        library_folders=$library_folders:${folder#"$root"}
    done
}

has_library() {
    case $library_cache in *"$1 ("*) return 0 ;; esac
    in_any "$library_folders" "/$1"
}

# in_any FOLDERS PATTERN: whether FOLDER + PATTERN is a file, for one of the folders, which colons separate.
in_any() {
    rest=$1:
    while [ -n "$rest" ]; do
        folder=${rest%%:*} rest=${rest#*:}
        [ -n "$folder" ] || continue
        for file in "$root$folder"$2; do
            [ ! -f "$file" ] || return 0
        done
    done
    return 1
}

# --- Linux: what to install ---

install_missing() {
    manager=$(package_manager)
    packages=
    for need in $missing; do
        say "$(reason "$need")"
        packages="$packages $(packages_for "$manager:$need")"
    done
    if [ -z "$manager" ]; then
        die "no package manager that limbeck knows (apt-get, dnf, pacman, zypper) is here. Please install what the lines" \
            "above name by this system's own means, then run this again."
    fi

    if [ "$(id -u)" -ne 0 ]; then
        if ! command -v sudo >/dev/null; then
            no_install=1
            as_root="(as root)"
        elif [ -t 0 ]; then
            as_root=sudo
        else
            as_root="sudo -n" # no terminal: fail rather than wait for a password
        fi
    fi
    if [ -n "$no_install" ]; then
        say "to install:"
        install_with "$manager"
        die "nothing was installed; run the commands above, then run this again."
    fi

    say "installing, with $manager:$packages"
    attempts=1
    [ -z "${CI-}" ] || attempts=3 # a mirror can be out of order for a moment
    until install_with "$manager"; do
        attempts=$((attempts - 1))
        [ "$attempts" -gt 0 ] || die "the installation failed; $manager's message is above."
        say "the installation failed; trying again"
        sleep "${LIMBECK_RETRY_SECONDS:-10}"
    done
}

reason() {
    case $1 in
        compiler) echo "missing: a C compiler (cc), which Rust links programs with." ;;
        vulkan)
            echo "missing: the Vulkan loader (libvulkan.so.1) or a Vulkan driver, through which limbeck reaches the GPU." \
                "Mesa's drivers serve most GPUs, and a machine without one (lavapipe runs on the CPU)."
            ;;
        opengl)
            echo "missing: Mesa's EGL and OpenGL (libEGL.so.1, llvmpipe), with which the tests try the OpenGL back end."
            ;;
    esac
}

package_manager() {
    # shellcheck source=/dev/null
    distribution=$(ID='' ID_LIKE='' && [ -f "$root/etc/os-release" ] && . "$root/etc/os-release" && echo "$ID $ID_LIKE") || true
    case " $distribution " in
        *" debian "* | *" ubuntu "*) managers=apt-get ;;
        *" fedora "* | *" rhel "* | *" centos "*) managers=dnf ;;
        *" arch "*) managers=pacman ;;
        *suse*) managers=zypper ;;
        *) managers="apt-get dnf pacman zypper" ;;
    esac
    for candidate in $managers; do
        if command -v "$candidate" >/dev/null; then
            echo "$candidate"
            return 0
        fi
    done
}

packages_for() {
    case $1 in
        apt-get:compiler) echo gcc libc6-dev ;;
        apt-get:vulkan) echo libvulkan1 mesa-vulkan-drivers ;;
        apt-get:opengl) echo libegl1 libgl1-mesa-dri ;;
        dnf:compiler) echo gcc ;;
        dnf:vulkan) echo vulkan-loader mesa-vulkan-drivers ;;
        dnf:opengl) echo mesa-libEGL mesa-dri-drivers ;;
        pacman:compiler) echo gcc ;;
        pacman:vulkan) echo vulkan-icd-loader vulkan-swrast ;;
        pacman:opengl) echo mesa ;;
        zypper:compiler) echo gcc ;;
        zypper:vulkan) echo libvulkan1 libvulkan_lvp ;;
        zypper:opengl) echo Mesa-libEGL1 Mesa-dri ;;
    esac
}

# The exit status is that of the last command. $packages is a list of words.
# shellcheck disable=SC2086
install_with() {
    case $1 in
        apt-get)
            # A stale list may still do: whether the installation works is what counts.
            run_as_root apt-get update || say "'apt-get update' failed; going on with the package lists at hand"
            run_as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $packages
            ;;
        dnf) run_as_root dnf install -y $packages ;;
        pacman)
            # Not -Sy: new packages on an old system are a partial upgrade, which Arch does not support.
            run_as_root pacman -S --needed --noconfirm $packages || {
                say "where pacman finds no such file, its package list is old: 'pacman -Syu' brings the system up to date"
                return 1
            }
            ;;
        zypper) run_as_root zypper --non-interactive install $packages ;;
    esac
}

# shellcheck disable=SC2086
run_as_root() {
    echo "    ${as_root:+$as_root }$*"
    [ -n "$no_install" ] || $as_root "$@" </dev/null
}

verify() {
    has_c_compiler || die "the packages are installed, and still there is no 'cc'."
    has_vulkan || die "the packages are installed, and still there is no Vulkan loader (libvulkan.so.1) or no driver" \
        "(a .json file in /usr/share/vulkan/icd.d)."
    # Not an error: llvmpipe may lie where this script does not look, and the tests say what they find.
    [ -z "$for_tests" ] || has_software_gl || say "the packages are installed, and yet Mesa's llvmpipe was not found"
}

main "$@"
