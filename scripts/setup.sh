#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Finds the tools that the build and the tests need, and writes their names to build/toolchain.mk. On
# Debian 12 and 13, as root or with sudo, it installs the missing tools. On other systems it prints their
# names and exits. If no tool is missing, it takes less than a second.
#
# "setup.sh bench" also installs what draws the plots of make bench, and "setup.sh peers" what describes the
# kernel's types to BPF programs, for make bench PEERS=1. "setup.sh deb" installs what make deb and make deb-test
# use to make packages and a disk with Debian.
#
# RUSTC, BINDGEN and LLVM (LLVM=-19 or LLVM=1, for example) in the environment are tried first.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
take_lock

# The minima are those of the kernel's scripts/min-tool-version.sh.
MIN_LLVM=17.0.1
MIN_RUSTC=1.85.0
MIN_BINDGEN=0.71.1
LLVM_WANTED=19		# the Debian releases have it, and Portlock is developed with it
BINDGEN_WANTED=0.72.1

export RUSTUP_AUTO_INSTALL=0
apt_fresh=

debian_release() {
	# shellcheck source=/dev/null
	(. /etc/os-release 2>/dev/null && [[ ${ID:-} == debian ]] && printf '%s' "${VERSION_ID:-}") || true
}
RELEASE=$(debian_release)
RELEASE=${RELEASE%%.*}

# Why this script cannot install anything here, and what to do then. Empty if it can.
cannot=
if ((${RELEASE:-0} < 12)); then
	cannot="This script can install them only on Debian 12 and 13: use your system's package manager."
elif [[ $(id -u) != 0 ]] && ! have sudo; then
	cannot="You need root to install them: run make setup as root once, or install sudo."
fi
terminal=
[[ ! -t 0 ]] || terminal=1

as_root() {
	if [[ $(id -u) == 0 ]]; then
		"$@"
	elif [[ -n $terminal ]]; then
		sudo "$@"
	else
		sudo -n "$@"
	fi
}

# apt_install WHAT PACKAGE...: installs packages. On failure, it prints why and returns 1.
apt_install() {
	local what=$1 log=$LOGS/setup.log
	shift
	[[ -z $cannot ]] || die "Missing: $what (in Debian: $*). $cannot"
	mkdir -p "$LOGS"
	say setup "installing $what: $*"
	if [[ -z $apt_fresh ]]; then
		as_root true || die "sudo does not let this user install packages: run make setup as root once," \
			"or in a terminal, where sudo can ask for the password."
		printf '== apt-get update\n' >>"$log"
		if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update >>"$log" 2>&1 ||
			tail -n 20 "$log" | grep -qE '^(E|W): Failed to fetch'; then
			say setup "apt-get update could not reach every mirror (build/log/setup.log)"
		fi
		apt_fresh=1
	fi
	printf '== apt-get install %s\n' "$*" >>"$log"
	if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
		-o DPkg::Lock::Timeout=300 install "$@" >>"$log" 2>&1 </dev/null; then
		tail -n 8 "$log" >&2
		if tail -n 30 "$log" | grep -qE 'Failed to fetch|Temporary failure|Could not (resolve|connect)|Unable to fetch'; then
			printf 'portlock: %s\n' "Debian's mirror cannot be reached. Check the network and run this again." >&2
		elif tail -n 30 "$log" | grep -qE 'enough free space|No space left'; then
			printf 'portlock: %s\n' "The disk is full. Free some space and run this again." >&2
		elif tail -n 30 "$log" | grep -q 'Unable to locate package'; then
			printf 'portlock: %s\n' "apt does not know a package. Check that /etc/apt names a Debian mirror with main and the security suite." >&2
		fi
		return 1
	fi
}

# --- Plain tools -----------------------------------------------------------------------------------
# Each line has what to look for, and the Debian package that has it:
# - a path is a file, and header:PATH is a file below the include folders;
# - static:NAME is a program that must be linked statically;
# - certificates are what cargo and curl trust (only Debian's path is known);
# - plots is matplotlib for /usr/bin/python3;
# - anything else is a command.
plain_tools() {
	cat <<-END
		make make
		git git
		patch patch
		python3 python3
		perl perl
		gcc gcc
		/usr/include/stdio.h libc6-dev
		flex flex
		bison bison
		bc bc
		xz xz-utils
		gzip gzip
		cpio cpio
		rsync rsync
		curl curl
		certificates ca-certificates
		diff diffutils
		file file
		depmod kmod
		ccache ccache
		header:libelf.h libelf-dev
		header:openssl/ssl.h libssl-dev
		header:sys/capability.h libcap-dev
		qemu-system-x86_64 qemu-system-x86
		static:busybox busybox-static
		shellcheck shellcheck
	END
	case $WHAT in
	bench) echo "plots python3-matplotlib" ;;
	peers) echo "pahole pahole" ;;
	deb) printf '%s\n' "pahole pahole" "header:elfutils/libdw.h libdw-dev" "dh_builddeb debhelper" "dpkg-scanpackages dpkg-dev" "mmdebstrap mmdebstrap" "qemu-img qemu-utils" ;;
	esac
}

present() {
	case $1 in
	header:*) [[ -e /usr/include/${1#header:} || -e /usr/include/x86_64-linux-gnu/${1#header:} ]] ;;
	static:*) have "${1#static:}" && ! ldd "$(command -v "${1#static:}")" 2>/dev/null | grep -q '=>' ;;
	certificates) [[ -z $RELEASE || -e /etc/ssl/certs/ca-certificates.crt ]] ;;
	plots) /usr/bin/python3 -c 'import matplotlib' 2>/dev/null ;;
	/*) [[ -e $1 ]] ;;
	*) have "$1" || [[ -x /usr/sbin/$1 || -x /sbin/$1 ]] ;;
	esac
}

missing_tools() {
	local what package
	while read -r what package; do
		present "$what" || printf '%s %s\n' "$what" "$package"
	done < <(plain_tools)
}

setup_plain() {
	local missing
	missing=$(missing_tools)
	[[ -n $missing ]] || return 0
	# shellcheck disable=SC2046
	apt_install "tools" $(awk '{ print $2 }' <<<"$missing" | sort -u) || die "The tools could not be installed. The log is build/log/setup.log."
	missing=$(missing_tools)
	[[ -z $missing ]] || die "Still missing after the installation: $(awk '{ printf "%s%s", sep, $1; sep = ", " }' <<<"$missing")."
}

# --- LLVM ------------------------------------------------------------------------------------------
llvm_version() {
	"$1" --version 2>/dev/null | sed -nE '1s/.*version ([0-9]+(\.[0-9]+)+).*/\1/p'
}

# try_llvm SUFFIX: are all tools there with this suffix ("-19", or nothing), and new enough?
llvm_too_old=
try_llvm() {
	local s=$1 t v
	for t in clang ld.lld llvm-ar llvm-nm llvm-objcopy llvm-objdump llvm-readelf llvm-strip; do
		have "$t$s" || return 1
	done
	v=$(llvm_version "clang$s")
	if ! at_least "$v" "$MIN_LLVM"; then
		llvm_too_old="clang$s is $v"
		return 1
	fi
	LLVM=${s:-1}
	LLVM_MAJOR=${v%%.*}
}

find_llvm() {
	local s
	if [[ -n ${USER_LLVM:-} ]]; then
		if [[ $USER_LLVM == 1 ]]; then s=''; else s=$USER_LLVM; fi
		try_llvm "$s" && find_libclang && return
		die "LLVM=$USER_LLVM: ${llvm_too_old:-that set of clang, lld and llvm tools is not complete}; Linux $SERIES needs $MIN_LLVM or newer, with libclang of the same version."
	fi
	for s in "-$LLVM_WANTED" '' -21 -20 -18 -17; do
		try_llvm "$s" && find_libclang && return
	done
	return 1
}

# libclang must be of the same major version as clang: bindgen reads the C headers with it.
find_libclang() {
	local d
	for d in "/usr/lib/llvm-$LLVM_MAJOR/lib" "/usr/lib/llvm/$LLVM_MAJOR/lib64" /usr/lib64 /usr/lib; do
		if [[ -n $(compgen -G "$d/libclang*.so*") ]]; then
			LIBCLANG_PATH=$d
			return
		fi
	done
	return 1
}

setup_llvm() {
	find_llvm && return
	apt_install "LLVM $LLVM_WANTED" clang-$LLVM_WANTED lld-$LLVM_WANTED llvm-$LLVM_WANTED libclang-$LLVM_WANTED-dev ||
		die "LLVM could not be installed. The log is build/log/setup.log."
	find_llvm || die "clang, lld, the llvm tools and libclang $MIN_LLVM or newer are needed (${llvm_too_old:-not all found}): apt-get install clang-$LLVM_WANTED lld-$LLVM_WANTED llvm-$LLVM_WANTED libclang-$LLVM_WANTED-dev."
}

# --- Rust ------------------------------------------------------------------------------------------
rust_too_old=
# try_rustc COMMAND: sets RUSTC, RUST_VERSION and RUST_LIB_SRC if COMMAND is new enough and the source of
# its core library is there. If COMMAND is a proxy of rustup, RUSTC is the real compiler.
try_rustc() {
	local v sysroot dir
	v=$("$1" --version 2>/dev/null | sed -nE '1s/^rustc ([0-9]+\.[0-9]+\.[0-9]+).*/\1/p') || return 1
	[[ -n $v ]] || return 1
	if ! at_least "$v" "$MIN_RUSTC"; then
		rust_too_old="$1 is $v"
		return 1
	fi
	sysroot=$("$1" --print sysroot) || return 1
	RUSTC=$(command -v "$1")
	[[ -x $sysroot/bin/rustc ]] && RUSTC=$sysroot/bin/rustc
	RUST_VERSION=$v
	for dir in "$sysroot/lib/rustlib/src/rust/library" "/usr/src/rustc-$v/library"; do
		if [[ -f $dir/core/src/lib.rs ]]; then
			RUST_LIB_SRC=$dir
			return
		fi
	done
	return 1
}

# companion NAME: prints the path of a tool that belongs to RUSTC. It looks beside RUSTC, then in PATH.
companion() {
	local beside
	beside=$(dirname "$RUSTC")/$1
	if [[ -x $beside ]]; then
		printf '%s' "$beside"
	else
		command -v "$1" || printf '%s' "$1"
	fi
}

find_rust() {
	local c
	if [[ -n ${USER_RUSTC:-} ]]; then
		try_rustc "$USER_RUSTC" && return
		die "RUSTC=$USER_RUSTC: ${rust_too_old:-it does not run, or the source of its core library (rust-src) is missing}; Linux $SERIES needs rustc $MIN_RUSTC or newer with rust-src."
	fi
	for c in rustc "$HOME/.cargo/bin/rustc" /usr/bin/rustc; do
		try_rustc "$c" && return
	done
	return 1
}

rustup_command() {
	command -v rustup || { [[ -x $HOME/.cargo/bin/rustup ]] && printf '%s' "$HOME/.cargo/bin/rustup"; }
}

setup_rust() {
	local rustup packages
	find_rust && return
	# If only the source of the library is missing, rustup can install it if it can reach its server.
	if rustup=$(rustup_command) && [[ -z $rust_too_old ]]; then
		say setup "installing rust-src: rustup component add rust-src"
		mkdir -p "$LOGS"
		if ! timeout 180 "$rustup" component add rust-src rustfmt clippy >>"$LOGS/setup.log" 2>&1; then
			say setup "rustup cannot install rust-src here: Debian's Rust is used instead"
		fi
		find_rust && return
	fi
	case $RELEASE in
	12) packages="rustc-web rust-web-src rustfmt-web rust-web-clippy" ;;
	1[3-9]) packages="rustc rust-src rustfmt rust-clippy" ;;
	*) die "rustc $MIN_RUSTC or newer with rust-src is needed (${rust_too_old:-none found with rust-src}): install it with rustup or your system's package manager." ;;
	esac
	# shellcheck disable=SC2086
	apt_install "Rust" $packages || die "Rust could not be installed. The log is build/log/setup.log."
	find_rust || die "rustc $MIN_RUSTC or newer with the source of its core library is needed (${rust_too_old:-none found with rust-src}): rustup toolchain install stable --component rust-src, or RUSTC=path."
}

setup_rust_companions() {
	local missing=() t
	RUSTDOC=$(companion rustdoc)
	RUSTFMT=$(companion rustfmt)
	CLIPPY_DRIVER=$(companion clippy-driver)
	for t in "$RUSTFMT" "$CLIPPY_DRIVER"; do
		"$t" --version >/dev/null 2>&1 || missing+=("${t##*/}")
	done
	((${#missing[@]})) || return 0
	case ${cannot:+cannot }$RUSTC:$RELEASE in
	/usr/bin/rustc:12) apt_install "the Rust lints" rustfmt-web rust-web-clippy || true ;;
	/usr/bin/rustc:1[3-9]) apt_install "the Rust lints" rustfmt rust-clippy || true ;;
	*) say setup "${missing[*]} missing: make lint needs them (rustup component add rustfmt clippy)" ;;
	esac
	RUSTFMT=$(companion rustfmt)
	CLIPPY_DRIVER=$(companion clippy-driver)
}

# --- bindgen ---------------------------------------------------------------------------------------
bindgen_too_old=
try_bindgen() {
	local v
	v=$("$1" --version 2>/dev/null | sed -nE '1s/^bindgen ([0-9]+\.[0-9]+\.[0-9]+).*/\1/p') || return 1
	[[ -n $v ]] || return 1
	if ! at_least "$v" "$MIN_BINDGEN"; then
		bindgen_too_old="$1 is $v"
		return 1
	fi
	BINDGEN=$(command -v "$1")
}

find_bindgen() {
	local c
	if [[ -n ${USER_BINDGEN:-} ]]; then
		try_bindgen "$USER_BINDGEN" && return
		die "BINDGEN=$USER_BINDGEN: ${bindgen_too_old:-it does not run}; Linux $SERIES needs bindgen $MIN_BINDGEN or newer."
	fi
	for c in bindgen "$CACHE/tools/bin/bindgen" "$HOME/.cargo/bin/bindgen"; do
		try_bindgen "$c" && return
	done
	return 1
}

find_cargo() {
	local c
	for c in "$(dirname "$RUSTC")/cargo" cargo "$HOME/.cargo/bin/cargo"; do
		if "$c" --version >/dev/null 2>&1; then
			CARGO=$c
			return
		fi
	done
	return 1
}

# setup_cargo WHY: cargo, installed if it is missing.
setup_cargo() {
	find_cargo && return
	case $RELEASE in
	12) apt_install "cargo" cargo-web || die "cargo could not be installed. The log is build/log/setup.log." ;;
	1[3-9]) apt_install "cargo" cargo || die "cargo could not be installed. The log is build/log/setup.log." ;;
	esac
	find_cargo || die "$1"
}

setup_bindgen() {
	find_bindgen && return
	if [[ -z $cannot ]] && ((RELEASE >= 13)); then
		apt_install "bindgen" bindgen && find_bindgen && return
	fi
	setup_cargo "bindgen $MIN_BINDGEN or newer is needed (${bindgen_too_old:-none found}), and cargo to install it: cargo install --locked bindgen-cli."
	mkdir -p "$CACHE/tools" || die "You cannot write to the cache ($CACHE): name another with PORTLOCK_CACHE."
	# bindgen runs for only seconds in a build, so its own compilation should be short.
	if ! PATH=$(dirname "$RUSTC"):$PATH RUSTC=$RUSTC CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
		CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 step bindgen "installing bindgen-cli $BINDGEN_WANTED with cargo" \
		"$CARGO" install --locked --root "$CACHE/tools" --version "$BINDGEN_WANTED" bindgen-cli; then
		if grep -qE 'failed to (fetch|download|get|query)|download of|network failure|Could(n.t| not) (resolve|connect)' "$LOGS/bindgen.log"; then
			die "cargo cannot reach its registry. Check the network, or install bindgen $MIN_BINDGEN or newer in another way and name it with BINDGEN=path."
		fi
		die "bindgen could not be installed. The log is build/log/bindgen.log."
	fi
	find_bindgen || die "bindgen $MIN_BINDGEN or newer is needed (${bindgen_too_old:-none found}): cargo install --locked bindgen-cli."
}

# --- Where nothing can be installed ----------------------------------------------------------------
# Prints everything that is missing. Tools that rustup or cargo can install are not missing.
name_missing() {
	missing_tools | sed -E 's/^(header|static)://; s/ (.*)/ (in Debian: \1)/'
	find_llvm || echo "clang, lld, the llvm tools and libclang $MIN_LLVM or newer (${llvm_too_old:-no complete set found})"
	find_rust || { rustup_command >/dev/null && [[ -z $rust_too_old ]]; } ||
		echo "rustc $MIN_RUSTC or newer with rust-src (${rust_too_old:-none found with rust-src})"
	find_bindgen || find_cargo ||
		echo "bindgen $MIN_BINDGEN or newer (${bindgen_too_old:-none found}), or cargo"
}

stop_if_missing() {
	local missing
	missing=$(name_missing) || exit 1
	[[ -z $missing ]] || die "Missing: ${missing//$'\n'/, }. $cannot"
}

# --- All of it -------------------------------------------------------------------------------------
[[ $(uname -sm) == "Linux x86_64" ]] || die "Portlock can be built only on x86-64 Linux, and this is $(uname -sm)."
USER_LLVM=${LLVM:-} USER_RUSTC=${RUSTC:-} USER_BINDGEN=${BINDGEN:-}
LLVM='' RUSTC='' BINDGEN='' LIBCLANG_PATH='' RUST_LIB_SRC=''
WHAT=${1:-}
mkdir -p "$BUILD"
[[ -f $LOGS/setup.log ]] && rm -f "$LOGS/setup.log"
if [[ ! -d $TREE ]]; then
	need_space 8000 "The build of the kernel, with its source,"
fi

[[ -z $cannot ]] || stop_if_missing
setup_plain
setup_llvm
setup_rust
setup_rust_companions
setup_bindgen
if [[ $WHAT == portlock ]]; then
	setup_cargo "cargo is needed to build the command: install it with rustup or your system's package manager."
fi

# A link with the compiler's name points to ccache, so that the kernel's make needs no setting for it.
mkdir -p "$BUILD/bin"
if [[ $LLVM == 1 ]]; then clang=clang; else clang=clang$LLVM; fi
if [[ $(readlink "$BUILD/bin/$clang" 2>/dev/null) != "$(command -v ccache)" ]]; then
	rm -rf "${BUILD:?}/bin"
	mkdir -p "$BUILD/bin"
	ln -s "$(command -v ccache)" "$BUILD/bin/$clang"
fi

write_if_changed "$TOOLCHAIN" <<END
# Written by scripts/setup.sh: the tools that the build uses. Both a shell and make can read it.
LLVM=$LLVM
CLANG=$clang
LIBCLANG_PATH=$LIBCLANG_PATH
RUSTC=$RUSTC
RUSTDOC=$RUSTDOC
RUSTFMT=$RUSTFMT
CLIPPY_DRIVER=$CLIPPY_DRIVER
RUST_LIB_SRC=$RUST_LIB_SRC
BINDGEN=$BINDGEN
END
say setup "clang $(llvm_version "$clang"), rustc $RUST_VERSION, $("$BINDGEN" --version)"
