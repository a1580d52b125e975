#!/bin/sh
# Tests scripts/setup.sh without touching the machine: each case runs it in a sandbox whose PATH holds only fakes, which
# log how they were called, and whose LIMBECK_SETUP_ROOT is an invented file system.
set -eu
cd "$(dirname "$0")/.."

sandbox=$(mktemp -d)
trap 'rm -rf "$sandbox"' EXIT
mkdir "$sandbox/scripts"
cp scripts/setup.sh "$sandbox/scripts"
echo 'rust-version = "1.90"' >"$sandbox/Cargo.toml"
bin=$sandbox/bin root=$sandbox/root log=$sandbox/log output=$sandbox/output
passed=0 failed=0 case_name='' status=0

main() {
    for shell in sh dash bash; do
        shell_path=$(command -v "$shell") || continue
        all_cases
    done
    echo "test-setup: $passed passed, $failed failed"
    [ "$failed" -eq 0 ]
}

all_cases() {
    begin "everything there: nothing is done"
    run
    expect_status 0
    expect_no_log
    expect_output "ready: rustc 1.95.0, a C compiler and a Vulkan driver"

    begin "everything there, with OpenGL for the tests"
    run --tests
    expect_status 0
    expect_no_log
    expect_output "and OpenGL for the tests"

    for place in etc/vulkan usr/local/share/vulkan home/user/.local/share/vulkan home/user/.config/vulkan etc/xdg/vulkan; do
        begin "driver in /$place"
        no_driver
        touch_file "$place/icd.d/some_icd.json"
        run
        expect_status 0
        expect_no_log
    done

    begin "driver in one of XDG_DATA_DIRS"
    no_driver
    touch_file "opt/two/vulkan/icd.d/some_icd.json"
    run_with XDG_DATA_DIRS=/opt/one:/opt/two
    expect_status 0
    expect_no_log

    for override in VK_DRIVER_FILES VK_ICD_FILENAMES; do
        begin "driver named by $override"
        no_driver
        touch_file "opt/some_icd.json"
        run_with "$override=/opt/absent.json:/opt/some_icd.json"
        expect_status 0
        expect_no_log

        begin "$override names no file"
        run_with "$override=/opt/absent.json"
        expect_status 1
        expect_no_log
        expect_output "$override is '/opt/absent.json', and there is no such file"
    done

    begin "VK_DRIVER_FILES names a folder"
    no_driver
    touch_file "opt/drivers/some_icd.json"
    run_with VK_DRIVER_FILES=/opt/drivers
    expect_status 0
    expect_no_log

    begin "apt, no driver, as root"
    no_driver
    run
    expect_status 0
    expect_log "apt-get update" \
        "apt-get install -y --no-install-recommends libvulkan1 mesa-vulkan-drivers (noninteractive)"
    expect_output "missing: the Vulkan loader"
    expect_output "ready"
    : >"$log"
    run
    expect_status 0
    expect_no_log

    begin "apt, driver but no loader"
    libraries libEGL.so.1 libEGL_mesa.so.0
    run
    expect_status 0
    expect_log "apt-get update" \
        "apt-get install -y --no-install-recommends libvulkan1 mesa-vulkan-drivers (noninteractive)"

    begin "no ldconfig: the loader is found as a file"
    rm "$bin/ldconfig"
    touch_file usr/lib/x86_64-linux-gnu/libvulkan.so.1
    run
    expect_status 0
    expect_no_log

    begin "ldconfig outside PATH"
    mkdir -p "$root/sbin"
    mv "$bin/ldconfig" "$root/sbin/ldconfig"
    run
    expect_status 0
    expect_no_log

    begin "apt, no OpenGL: only the tests ask for it"
    libraries libvulkan.so.1
    run
    expect_status 0
    expect_no_log
    run --tests
    expect_status 0
    expect_log "apt-get update" "apt-get install -y --no-install-recommends libegl1 libgl1-mesa-dri (noninteractive)"

    begin "apt, EGL without the driver on the CPU"
    rm "$root/usr/lib/x86_64-linux-gnu/dri/swrast_dri.so"
    run --tests
    expect_status 0
    expect_log "apt-get update" "apt-get install -y --no-install-recommends libegl1 libgl1-mesa-dri (noninteractive)"

    begin "llvmpipe inside libgallium"
    rm "$root/usr/lib/x86_64-linux-gnu/dri/swrast_dri.so"
    touch_file usr/lib/x86_64-linux-gnu/libgallium-25.0.7.so
    run --tests
    expect_status 0
    expect_no_log

    begin "apt, nothing there"
    no_driver
    libraries
    rm "$bin/cc"
    run --tests
    expect_status 0
    expect_log "apt-get update" "apt-get install -y --no-install-recommends gcc libc6-dev libvulkan1 mesa-vulkan-drivers\
 libegl1 libgl1-mesa-dri (noninteractive)"

    begin "another compiler, named by CC"
    rm "$bin/cc"
    run_with CC=clang
    expect_status 0
    expect_no_log

    begin "sudo for someone who is not root"
    no_driver
    not_root
    run
    expect_status 0
    expect_log "sudo -n apt-get update" "apt-get update" \
        "sudo -n env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends libvulkan1 mesa-vulkan-drivers" \
        "apt-get install -y --no-install-recommends libvulkan1 mesa-vulkan-drivers (noninteractive)"

    begin "neither root nor sudo"
    no_driver
    not_root
    rm "$bin/sudo"
    run
    expect_status 1
    expect_no_log
    expect_output "(as root) env DEBIAN_FRONTEND=noninteractive apt-get install"
    expect_output "nothing was installed"

    begin "LIMBECK_NO_INSTALL prints and fails"
    no_driver
    not_root
    run_with LIMBECK_NO_INSTALL=1
    expect_status 1
    expect_no_log
    expect_output "sudo -n apt-get update"
    expect_output "apt-get install -y --no-install-recommends libvulkan1 mesa-vulkan-drivers"

    begin "LIMBECK_NO_INSTALL with nothing to install"
    run_with LIMBECK_NO_INSTALL=1
    expect_status 0
    expect_no_log

    begin "apt-get update fails, the installation works"
    no_driver
    touch_file fail/update
    run
    expect_status 0
    expect_output "'apt-get update' failed"

    begin "the installation fails"
    no_driver
    touch_file fail/install
    run
    expect_status 1
    expect_output "the installation failed; apt-get's message is above"
    expect_log_lines 2

    begin "the installation fails three times in CI"
    no_driver
    touch_file fail/install
    run_with CI=true
    expect_status 1
    expect_log_lines 6

    begin "the packages bring no driver"
    no_driver
    touch_file fail/empty
    run
    expect_status 1
    expect_output "still there is no Vulkan loader"

    begin "dnf"
    distribution 'ID=fedora'
    no_driver
    libraries
    run --tests
    expect_status 0
    expect_log "dnf install -y vulkan-loader mesa-vulkan-drivers mesa-libEGL mesa-dri-drivers"

    begin "pacman"
    distribution 'ID=arch'
    no_driver
    libraries
    run --tests
    expect_status 0
    expect_log "pacman -S --needed --noconfirm vulkan-icd-loader vulkan-swrast mesa"

    begin "pacman fails"
    distribution 'ID=endeavouros' 'ID_LIKE="arch"'
    no_driver
    touch_file fail/install
    run
    expect_status 1
    expect_output "pacman -Syu"

    begin "zypper"
    distribution 'ID="opensuse-tumbleweed"' 'ID_LIKE="opensuse suse"'
    no_driver
    libraries
    run --tests
    expect_status 0
    expect_log "zypper --non-interactive install libvulkan1 libvulkan_lvp Mesa-libEGL1 Mesa-dri"

    begin "unnamed distribution: its package manager tells"
    rm "$root/etc/os-release" "$bin/apt-get"
    no_driver
    run
    expect_status 0
    expect_log "dnf install -y vulkan-loader mesa-vulkan-drivers"

    begin "unknown distribution: what to install is named"
    distribution 'ID=plan10'
    rm "$bin/apt-get" "$bin/dnf" "$bin/pacman" "$bin/zypper"
    no_driver
    libraries
    run --tests
    expect_status 1
    expect_output "libvulkan.so.1"
    expect_output "lavapipe"
    expect_output "libEGL.so.1"
    expect_output "install what the lines above name"

    begin "macOS needs nothing"
    system Darwin
    no_driver
    run --tests
    expect_status 0
    expect_no_log
    expect_output "Metal"

    begin "Windows needs nothing"
    system MINGW64_NT-10.0-22631
    no_driver
    run
    expect_status 0
    expect_no_log
    expect_output "DirectX 12"

    begin "no Rust: said before anything is installed"
    no_driver
    rm "$bin/cargo" "$bin/rustc"
    run
    expect_status 1
    expect_no_log
    expect_output "cargo not found. limbeck needs Rust"
    expect_output "https://rustup.rs"

    begin "Rust in rustup's folder, which is not in PATH"
    mkdir -p "$sandbox/cargo-home/bin"
    mv "$bin/cargo" "$bin/rustc" "$sandbox/cargo-home/bin"
    run_with CARGO_HOME="$sandbox/cargo-home"
    expect_status 0

    for version in 1.89.0 1.9.0 0.99.0; do
        begin "rustc $version is too old"
        fake rustc "echo 'rustc $version (0123456789 2020-01-01)'"
        run
        expect_status 1
        expect_no_log
        expect_output "rustc is $version"
        expect_output "rustup update"
    done

    for version in 1.90.0 1.100.0-nightly 2.0.0; do
        begin "rustc $version is new enough"
        fake rustc "echo 'rustc $version (0123456789 2030-01-01)'"
        run
        expect_status 0
    done

    begin "rustup without a toolchain"
    fake rustc 'exit 1'
    run
    expect_status 1
    expect_output "rustup default stable"

    begin "unknown argument"
    run --test
    expect_status 1
    expect_output "unknown argument '--test'"
}

# --- the sandbox ---

# begin NAME: a Debian machine that has everything, where the user is root.
begin() {
    case_name="$shell: $1"
    rm -rf "$bin" "$root" "$sandbox/cargo-home"
    mkdir -p "$bin" "$root"
    : >"$log"
    for tool in sed dirname env sleep cat mkdir touch; do
        ln -s "$(command -v "$tool")" "$bin/$tool"
    done

    fake cargo 'exit 0'
    fake rustc "echo 'rustc 1.95.0 (0123456789 2026-04-14)'"
    fake cc 'exit 0'
    fake id 'echo 0'
    # shellcheck disable=SC2016 # the fakes expand these
    {
        fake sudo 'echo "sudo $*" >>"$LOG"; [ "$1" != -n ] || shift; exec "$@"'
        fake ldconfig 'cat "$LIMBECK_SETUP_ROOT/libraries"'
        fake apt-get 'echo "apt-get $*${DEBIAN_FRONTEND:+ ($DEBIAN_FRONTEND)}" >>"$LOG"
case $1 in update) [ ! -f "$LIMBECK_SETUP_ROOT/fail/update" ]; exit ;; esac'"
$install_fake"
        for manager in dnf pacman zypper; do
            fake "$manager" "echo \"$manager \$*\" >>\"\$LOG\"
$install_fake"
        done
    }
    system Linux
    distribution 'ID=debian'
    libraries libvulkan.so.1 libEGL.so.1 libEGL_mesa.so.0
    touch_file usr/share/vulkan/icd.d/lvp_icd.x86_64.json
    touch_file usr/lib/x86_64-linux-gnu/dri/swrast_dri.so
}

# What a package manager's fake does to install: it brings everything, or fails, or brings nothing.
# shellcheck disable=SC2016
install_fake='[ ! -f "$LIMBECK_SETUP_ROOT/fail/install" ] || exit 100
[ ! -f "$LIMBECK_SETUP_ROOT/fail/empty" ] || exit 0
mkdir -p "$LIMBECK_SETUP_ROOT/usr/share/vulkan/icd.d" "$LIMBECK_SETUP_ROOT/usr/lib64/dri"
touch "$LIMBECK_SETUP_ROOT/usr/share/vulkan/icd.d/lvp_icd.x86_64.json"
touch "$LIMBECK_SETUP_ROOT/usr/lib64/dri/swrast_dri.so"
for name in libvulkan.so.1 libEGL.so.1 libEGL_mesa.so.0; do
    echo "	$name (libc6,x86-64) => /lib/$name" >>"$LIMBECK_SETUP_ROOT/libraries"
done
echo "#!/bin/sh" >"${0%/*}/cc"
"$CHMOD" +x "${0%/*}/cc"'

fake() {
    printf '#!%s\n%s\n' "$(command -v sh)" "$2" >"$bin/$1"
    chmod +x "$bin/$1"
}

system() { fake uname "echo $1"; }

not_root() { fake id 'echo 1000'; }

no_driver() { rm -rf "$root/usr/share/vulkan"; }

distribution() {
    mkdir -p "$root/etc"
    printf '%s\n' "$@" >"$root/etc/os-release"
}

# libraries NAME...: what ldconfig -p lists.
libraries() {
    : >"$root/libraries"
    for name in "$@"; do
        printf '\t%s (libc6,x86-64) => /lib/%s\n' "$name" "$name" >>"$root/libraries"
    done
}

touch_file() {
    mkdir -p "$root/$(dirname "$1")"
    touch "$root/$1"
}

run() { execute '' "$@"; }

# run_with VARIABLE=VALUE [ARGUMENT...]
run_with() { execute "$@"; }

execute() {
    variable=$1
    shift
    status=0
    env -i PATH="$bin" HOME=/home/user LOG="$log" CHMOD="$(command -v chmod)" LIMBECK_SETUP_ROOT="$root" \
        LIMBECK_RETRY_SECONDS=0 ${variable:+"$variable"} \
        "$shell_path" "$sandbox/scripts/setup.sh" "$@" </dev/null >"$output" 2>&1 || status=$?
}

# --- what is expected ---

verdict() { # verdict STATUS WHAT
    if [ "$1" -eq 0 ]; then
        passed=$((passed + 1))
        return
    fi
    failed=$((failed + 1))
    echo "FAILED: $case_name: $2"
    echo "  status $status; output:"
    sed 's/^/    /' "$output"
    echo "  calls:"
    sed 's/^/    /' "$log"
}

expect_status() {
    result=0
    [ "$status" -eq "$1" ] || result=1
    verdict "$result" "expected status $1"
}

expect_output() {
    result=0
    grep -qF -- "$1" "$output" || result=1
    verdict "$result" "expected in the output: $1"
}

# expect_log LINE...: exactly these calls.
expect_log() {
    result=0
    printf '%s\n' "$@" | cmp -s - "$log" || result=1
    verdict "$result" "expected these calls: $*"
}

expect_no_log() {
    result=0
    [ ! -s "$log" ] || result=1
    verdict "$result" "expected no call"
}

expect_log_lines() {
    result=0
    [ "$(wc -l <"$log")" -eq "$1" ] || result=1
    verdict "$result" "expected $1 calls"
}

main
