# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
# Functions and variables that all scripts use: folders, messages, a way to run a long step with a log,
# and a way to call the kernel's make with the tools that setup.sh chose. Source this file, do not run it.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
BUILD=$(realpath -m "$ROOT/build")
LOGS=$BUILD/log
TREE=$BUILD/linux
CACHE=${PORTLOCK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/portlock}
TOOLCHAIN=$BUILD/toolchain.mk
BASE=$(cat "$ROOT/KERNEL_VERSION")
SERIES=${BASE%.*}	# 7.3.4 -> 7.3: any release of this series is accepted
export LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
umask 022

# say STEP TEXT: prints one line of progress.
say() {
	printf '%-8s %s\n' "$1" "$2"
}

# die SENTENCE: prints what is wrong and what to do about it, and exits.
die() {
	printf 'portlock: %s\n' "$*" >&2
	exit 1
}

have() {
	command -v "$1" >/dev/null 2>&1
}

# at_least VERSION MINIMUM: compares dotted versions.
at_least() {
	[[ $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]
}

elapsed() {
	local s=$1
	if ((s < 60)); then
		printf '%ds' "$s"
	else
		printf '%dm%02ds' $((s / 60)) $((s % 60))
	fi
}

# write_if_changed FILE: writes standard input to FILE, unless FILE has this content already.
write_if_changed() {
	local new=$1.new
	cat >"$new"
	if cmp -s "$new" "$1"; then
		rm -f "$new"
	else
		mv -f "$new" "$1"
	fi
}

# Only one make at a time may run in a clone, because two would write to the same tree.
take_lock() {
	[[ -n ${PORTLOCK_LOCKED:-} ]] && return
	if ! mkdir -p "$BUILD" 2>/dev/null || [[ ! -w $BUILD ]]; then
		die "You cannot write to $BUILD: run this as the owner of the clone, or make a clone of your own."
	fi
	exec 9>"$BUILD/.lock"
	if ! flock -n 9; then
		say "wait" "another make is running in this clone"
		flock 9
	fi
	export PORTLOCK_LOCKED=1
}

# need_space MB WHAT [CACHE]: exits unless build/, or the cache, has this much free space.
need_space() {
	local need_mb=$1 what=$2 dir=${3:-$BUILD} free_mb
	local way="make build/ a symbolic link to a folder on a larger disk"
	[[ $dir == "$BUILD" ]] || way="name a folder on a larger disk with PORTLOCK_CACHE"
	mkdir -p "$dir" 2>/dev/null || die "You cannot write to $dir: $way."
	free_mb=$(df -Pm "$dir" | awk 'NR == 2 { print $4 }')
	if ((free_mb < need_mb)); then
		die "$what needs about $need_mb MB in $dir, and $free_mb MB are free there: free some space, or $way."
	fi
}

# Counts the lines of a kernel build's log that report a built file.
objects_in() {
	grep -cE '^  [A-Z]+ ' "$1" 2>/dev/null || true
}

live_line() {
	local title=$1 log=$2 parent=$3 start=$SECONDS
	while kill -0 "$parent" 2>/dev/null; do
		printf '\r\033[K%s %s objects, %s' "$title" "$(objects_in "$log")" "$(elapsed $((SECONDS - start)))"
		sleep 1
	done
}

show_failure() {
	local log=$1
	if grep -qE 'No space left on device' "$log"; then
		printf 'portlock: the disk is full: free some space (df -h %s) and run this again.\n' "$BUILD" >&2
	fi
	if grep -qE '(^|[: ])(fatal )?error(\[E[0-9]+\])?:|\*\*\* ' "$log"; then
		echo "First errors:" >&2
		grep -nE -A3 '(^|[: ])(fatal )?error(\[E[0-9]+\])?:|\*\*\* ' "$log" | head -n 24 >&2
	fi
	echo "Last lines of ${log#"$ROOT"/}:" >&2
	tail -n 20 "$log" >&2
}

# step NAME TITLE COMMAND...: runs COMMAND and writes its output to build/log/NAME.log. Shows a line
# that is updated every second on a terminal, and one line otherwise. If COMMAND fails, shows why.
# Returns COMMAND's status.
step() {
	local name=$1 title log=$LOGS/$1.log start=$SECONDS rc=0 n built=''
	title=$(printf '%-8s %s:' "$name" "$2")
	shift 2
	mkdir -p "$LOGS"
	: >"$log"
	STEP_MONITOR=
	if [[ -t 1 ]]; then
		live_line "$title" "$log" $$ &
		STEP_MONITOR=$!
		trap 'kill "$STEP_MONITOR" 2>/dev/null || true' EXIT
	else
		printf '%s ' "$title"
	fi
	"$@" >>"$log" 2>&1 </dev/null || rc=$?
	if [[ -n $STEP_MONITOR ]]; then
		kill "$STEP_MONITOR" 2>/dev/null || true
		wait "$STEP_MONITOR" 2>/dev/null || true
		trap - EXIT
		printf '\r\033[K%s ' "$title"
	fi
	n=$(objects_in "$log")
	if ((n > 0)); then
		built="$n objects, "
	fi
	if ((rc == 0)); then
		printf '%s%s\n' "$built" "$(elapsed $((SECONDS - start)))"
	else
		printf 'FAILED after %s%s\n' "$built" "$(elapsed $((SECONDS - start)))"
		show_failure "$log"
	fi
	return "$rc"
}

# Loads the tools that setup.sh found. Also sets what lets ccache use the objects of one clone in another.
load_toolchain() {
	[[ -r $TOOLCHAIN ]] || die "The tools are not set up yet: run make setup."
	# shellcheck source=/dev/null
	. "$TOOLCHAIN"
	PATH=$BUILD/bin:$PATH
	export PATH
	export CCACHE_DIR=$CACHE/ccache CCACHE_BASEDIR=$BUILD CCACHE_NOHASHDIR=1 CCACHE_MAXSIZE=5G
	export KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 2026'
	export KBUILD_BUILD_USER=portlock KBUILD_BUILD_HOST=portlock KBUILD_BUILD_VERSION=1
	if [[ -n ${LIBCLANG_PATH:-} ]]; then
		export LIBCLANG_PATH
	fi
	KMAKE=("LLVM=$LLVM" "RUSTC=$RUSTC" "HOSTRUSTC=$RUSTC" "RUSTDOC=$RUSTDOC" "BINDGEN=$BINDGEN"
		"RUSTFMT=$RUSTFMT" "CLIPPY_DRIVER=$CLIPPY_DRIVER" "RUST_LIB_SRC=$RUST_LIB_SRC"
		# pahole's version is in each configuration. Only who names pahole uses it: else its installation
		# would make every build start from nothing.
		"PAHOLE=${PAHOLE:-none}")
}

# kmake TREE OUT ARGUMENT...: runs the kernel's make. Call load_toolchain first.
kmake() {
	local tree=$1 out=$2
	shift 2
	mkdir -p "$out"
	# The kernel's make must not use the job server and the variables of the caller's make.
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL make -C "$tree" O="$out" -j"$(nproc)" "${KMAKE[@]}" "$@"
}

# tree_version DIR: prints the version in the Makefile of a kernel tree, or nothing.
tree_version() {
	awk '$1 == "VERSION" { v = $3 } $1 == "PATCHLEVEL" { p = $3 } $1 == "SUBLEVEL" { s = $3 }
		NR > 12 { exit } END { if (v != "") print v "." p "." (s == "" ? 0 : s) }' "$1/Makefile" 2>/dev/null
}

# overlay_files: prints the files of the repository that are copied over the kernel tree, one in each line.
# tools/portlock is a program for users, with crates that a kernel tree does not have: it stays here.
overlay_files() {
	if git -C "$ROOT" rev-parse --git-dir >/dev/null 2>&1; then
		git -C "$ROOT" -c core.quotePath=off ls-files -co --exclude-standard -- include rust security Documentation tools
	else
		(cd "$ROOT" && find include rust security Documentation tools -type f ! -name '*.pyc' 2>/dev/null)
	fi | sort -u | while IFS= read -r f; do
		if [[ -f $ROOT/$f && $f != tools/portlock/* ]]; then
			printf '%s\n' "$f"
		fi
	done
}

# series_patches: prints the names in patches/series, in order.
series_patches() {
	[[ -f $ROOT/patches/series ]] || return 0
	sed -e 's/#.*//' -e 's/[[:space:]].*//' -e '/^$/d' "$ROOT/patches/series"
}

# overlay_of PATCH: the overlay's files that patches/series names after PATCH, one a line. Reads the
# array overlay.
overlay_of() {
	local pattern f
	sed -n -e 's/#.*//' -e "s/^$1[[:space:]]\+//p" "$ROOT/patches/series" | xargs -n 1 | while IFS= read -r pattern; do
		# shellcheck disable=SC2154
		for f in "${overlay[@]}"; do
			# shellcheck disable=SC2053 # a pattern on purpose
			[[ $f != $pattern ]] || printf '%s\n' "$f"
		done
	done
}

# check_overlay: each of the overlay's files comes with one patch. Reads the arrays overlay and patches.
check_overlay() {
	local p f
	local -A patch_of=()
	# shellcheck disable=SC2154
	for p in "${patches[@]}"; do
		while IFS= read -r f; do
			[[ -z ${patch_of[$f]:-} ]] || die "patches/series names $f after ${patch_of[$f]} and after $p: keep one."
			patch_of[$f]=$p
		done < <(overlay_of "$p")
	done
	for f in "${overlay[@]}"; do
		[[ -n ${patch_of[$f]:-} ]] || die "patches/series names $f after no patch: name it after the one that wires it."
	done
}

# Prints the mirror and the keyring that this machine's Debian sources use.
debian_source() {
	local files=() f
	for f in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list /etc/apt/sources.list.d/*.sources \
		/etc/apt/sources.list.d/*.list; do
		if [[ -f $f ]]; then
			files+=("$f")
		fi
	done
	((${#files[@]})) || return 1
	# Looks for a stanza or line with a Debian release as suite, with main, and with binary packages.
	awk '
	function flush() {
		if (types ~ /(^| )deb( |$)/ && enabled != "no" && comps ~ /(^| )main( |$)/ &&
		    suites ~ /(^| )(bookworm|trixie|stable|forky|sid)( |$)/ && uris != "") {
			split(uris, u, " ")
			print u[1] "\t" signed
			found = 1
			exit
		}
		types = uris = suites = comps = signed = enabled = ""
	}
	FNR == 1 { flush() }
	/^[[:space:]]*#/ { next }
	FILENAME ~ /\.sources$/ {
		if ($0 ~ /^[[:space:]]*$/) { flush(); next }
		key = tolower($1); value = $0; sub(/^[^:]*:[[:space:]]*/, "", value)
		if (key == "types:") types = value
		else if (key == "uris:") uris = value
		else if (key == "suites:") suites = value
		else if (key == "components:") comps = value
		else if (key == "enabled:") enabled = tolower(value)
		else if (key == "signed-by:" && value ~ /^\//) signed = value
		next
	}
	$1 == "deb" {
		line = $0; options = ""
		if (match(line, /\[[^]]*\]/)) {
			options = substr(line, RSTART + 1, RLENGTH - 2)
			line = substr(line, 1, RSTART - 1) substr(line, RSTART + RLENGTH)
		}
		n = split(line, w, " ")
		types = "deb"; uris = w[2]; suites = w[3]; comps = ""
		for (i = 4; i <= n; i++) comps = comps " " w[i]
		if (match(options, /signed-by=[^ ]*/)) signed = substr(options, RSTART + 10, RLENGTH - 10)
		flush()
	}
	END { if (!found) flush() }' "${files[@]}"
}

# private_apt FOLDER SUITE LOG: makes apt read the index of SUITE, with lists and sources of our own in FOLDER.
# The machine's apt settings do not change, so nothing else can be installed from the suite. Root is not needed.
# Sets apt_options for further calls. On failure, sets apt_problem to a sentence and returns 1.
private_apt() {
	local folder=$1 suite=$2 log=$3 mirror signed
	if ! have apt-get || ! have dpkg-deb; then
		apt_problem="This is not Debian, so there are no packages of the suite $suite."
		return 1
	fi
	IFS=$'\t' read -r mirror signed < <(debian_source) || true
	if [[ -z ${mirror:-} ]]; then
		apt_problem="/etc/apt names no Debian mirror, so nothing can be downloaded from the suite $suite."
		return 1
	fi
	if ! mkdir -p "$folder"/{lists/partial,archives/partial,sources.d,none} "$LOGS" 2>/dev/null; then
		apt_problem="You cannot write to the cache ($CACHE): name another with PORTLOCK_CACHE."
		return 1
	fi
	cat >"$folder/sources.d/debian.sources" <<-END
		Types: deb
		URIs: $mirror
		Suites: $suite
		Components: main
		Signed-By: ${signed:-/usr/share/keyrings/debian-archive-keyring.gpg}
	END
	apt_options=(-o "Dir::Etc::SourceList=/dev/null" -o "Dir::Etc::SourceParts=$folder/sources.d"
		-o "Dir::Etc::Preferences=/dev/null" -o "Dir::Etc::PreferencesParts=$folder/none"
		-o "Dir::State::Lists=$folder/lists" -o "Dir::Cache=$folder" -o "Dir::Cache::pkgcache="
		-o "Dir::Cache::srcpkgcache=" -o "Acquire::Languages=none" -o "Acquire::Retries=2"
		-o "Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false"
		-o "APT::Update::Post-Invoke-Success::=" -o "Debug::NoLocking=1"
		-o "APT::Sandbox::User=$(id -un)")
	if ! apt-get "${apt_options[@]}" update >"$log" 2>&1 || grep -qE '^(E|W): Failed to fetch' "$log"; then
		apt_problem="Debian's mirror could not be reached for the suite $suite (see build/log/${log##*/}). Check the network."
		return 1
	fi
}

# debian_root ROOT SUITE LOG PACKAGE...: unpacks packages of SUITE, with all that they need, into ROOT. None of their
# scripts is run, and nothing is installed on this machine. On failure, sets apt_problem to a sentence and returns 1.
debian_root() {
	local root=$1 suite=$2 log=$3 apt=$CACHE/apt-$2 debs=$1.debs deb
	shift 3
	private_apt "$apt" "$suite" "$log" || return
	# As on a machine where nothing is installed: everything that the packages need is downloaded.
	: >"$apt/status"
	rm -rf "$debs" "$root"
	mkdir -p "$debs/partial" "$root"
	if ! apt-get "${apt_options[@]}" -o "Dir::State::status=$apt/status" -o "Dir::Cache::archives=$debs" -q -y \
		--no-install-recommends --download-only install "$@" >>"$log" 2>&1; then
		apt_problem="The packages could not be downloaded (see build/log/${log##*/})."
		return 1
	fi
	for deb in "$debs"/*.deb; do
		if ! dpkg-deb -x "$deb" "$root" >>"$log" 2>&1; then
			apt_problem="The packages could not be unpacked (see build/log/${log##*/})."
			return 1
		fi
	done
	rm -rf "$debs"
}
