#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Puts a stock tree of the base kernel into build/linux. It takes the first of these that it can get: the
# tree or tarball that LINUX names, the cache, Debian's source package, kernel.org. It prints which one it
# took. It does nothing if build/linux is of the right series and LINUX does not name another tree.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
take_lock

PACKAGE=linux-source-$SERIES
SUITE=trixie-backports
CHECKSUMS=$ROOT/scripts/checksums
MARK=$BUILD/base	# the source of build/linux
notes=()		# why sources were not used
trap 'rm -rf "$BUILD/linux.new"' EXIT

# listed FILE: is its checksum in scripts/checksums, or in the .sha256 file that from_package wrote?
listed() {
	local sum
	sum=$(sha256sum "$1" | cut -d ' ' -f 1)
	grep -qE "^$sum( |\$)" "$CHECKSUMS" && return 0
	[[ -f $1.sha256 ]] && grep -qE "^$sum( |\$)" "$1.sha256"
}

# check_version DIR WHERE: accepts any release of the base's series, and exits for another series.
check_version() {
	local version
	version=$(tree_version "$1" || true)
	[[ -n $version ]] || die "$2 is not a kernel source tree: it has no Makefile with a version." \
		"Name a $SERIES.y tree or tarball with LINUX=path, or leave LINUX out to fetch one."
	if [[ $version != "$SERIES".* ]]; then
		die "$2 is Linux $version, and Portlock's patches are for $SERIES.y." \
			"Name a $SERIES.y tree with LINUX=path, or leave LINUX out to fetch one."
	fi
	[[ ! -e $1/security/portlock ]] || die "$2 has Portlock already." \
		"Name a tree without Portlock with LINUX=path, or leave LINUX out to fetch one."
	[[ $version == "$BASE" ]] ||
		say fetch "this is Linux $version: the patches were made for $BASE and may not apply"
}

# install_tree KEY TEXT: renames build/linux.new to build/linux.
install_tree() {
	rm -rf "$TREE" "$BUILD/apply"
	mv "$BUILD/linux.new" "$TREE"
	printf '%s\n%s\n' "$1" "$2" >"$MARK"
	say fetch "Linux $(tree_version "$TREE") from $2"
}

extract() {
	local tarball=$1 start=$SECONDS
	need_space 8000 "The build of the kernel, with its source,"
	rm -rf "$BUILD/linux.new"
	mkdir -p "$BUILD/linux.new"
	say fetch "unpacking $tarball"
	tar -xf "$tarball" -C "$BUILD/linux.new" --strip-components=1 ||
		die "$tarball could not be unpacked: it is incomplete or not a tarball." \
			"Name a $SERIES.y tree or tarball with LINUX=path, or leave LINUX out to fetch one."
	say fetch "unpacked in $(elapsed $((SECONDS - start)))"
}

from_user() {
	local path
	path=$(realpath -e -- "$LINUX" 2>/dev/null) || die "LINUX=$LINUX: there is no such file or folder." \
		"Name a $SERIES.y tree or tarball, or leave LINUX out to fetch one."
	if [[ -d $path ]]; then
		local key
		key="tree $path $(stat -c %Y "$path/Makefile" 2>/dev/null || true)"
		[[ -f $MARK && -d $TREE && $(head -n 1 "$MARK") == "$key" ]] && return
		check_version "$path" "$path"
		if [[ -e $path/.config || -d $path/include/config ]]; then
			die "$path was built in place, and the kernel's make then does not accept O=." \
				"Run make mrproper there, or name a clean tree."
		fi
		need_space 8000 "The build of the kernel, with its source,"
		rm -rf "$BUILD/linux.new"
		mkdir -p "$BUILD/linux.new"
		say fetch "copying $path"
		tar -C "$path" --exclude=./.git --exclude=./build -cf - . | tar -C "$BUILD/linux.new" -xf -
		install_tree "$key" "$path (LINUX)"
	else
		local key
		key="tarball $path $(stat -c '%s %Y' "$path")"
		[[ -f $MARK && -d $TREE && $(head -n 1 "$MARK") == "$key" ]] && return
		extract "$path"
		check_version "$BUILD/linux.new" "$path"
		install_tree "$key" "$path (LINUX)"
	fi
}

from_cache() {
	local f why="The cache ($CACHE) has no tarball."
	for f in "$CACHE/$PACKAGE.tar.xz" "$CACHE/linux-$BASE.tar.xz"; do
		[[ -f $f ]] || continue
		if ! listed "$f"; then
			say fetch "$f is not used: its checksum is unknown"
			why="The cached $f does not have the right checksum: delete it."
			continue
		fi
		extract "$f"
		check_version "$BUILD/linux.new" "$f"
		install_tree "cache" "${1:-the cache, $f}"
		return 0
	done
	notes+=("$why")
	return 1
}

# Gets Debian's package through apt.
from_package() {
	local apt=$CACHE/apt log=$LOGS/fetch.log deb version
	say fetch "looking for the package $PACKAGE in $SUITE"
	if ! private_apt "$apt" "$SUITE" "$log"; then
		notes+=("$apt_problem")
		return 1
	fi
	version=$(apt-cache "${apt_options[@]}" policy "$PACKAGE" 2>>"$log" | awk '$1 == "Candidate:" { print $2 }')
	if [[ -z $version || $version == "(none)" ]]; then
		notes+=("The suite $SUITE has no package $PACKAGE any more.")
		return 1
	fi
	need_space 400 "The download of $PACKAGE" "$CACHE"
	say fetch "downloading $PACKAGE $version (about 160 MB)"
	# The signed index has the checksum of the package: apt checks it and refuses another file.
	if ! (cd "$apt/archives" && rm -f "$PACKAGE"_*.deb && apt-get "${apt_options[@]}" download "$PACKAGE") >>"$log" 2>&1; then
		rm -f "$apt/archives/$PACKAGE"_*.deb
		notes+=("The package $PACKAGE could not be downloaded (see build/log/fetch.log). Check the network and the disk space of $CACHE.")
		return 1
	fi
	deb=$(find "$apt/archives" -maxdepth 1 -name "${PACKAGE}_*.deb" -print -quit)
	if ! dpkg-deb --fsys-tarfile "$deb" | tar -xOf - "./usr/src/$PACKAGE.tar.xz" >"$CACHE/$PACKAGE.tar.xz.part"; then
		rm -f "$CACHE/$PACKAGE.tar.xz.part" "$deb"
		notes+=("The package $PACKAGE could not be unpacked into $CACHE. Check its disk space.")
		return 1
	fi
	mv "$CACHE/$PACKAGE.tar.xz.part" "$CACHE/$PACKAGE.tar.xz"
	sha256sum "$CACHE/$PACKAGE.tar.xz" | sed "s|  .*|  $PACKAGE $version|" >"$CACHE/$PACKAGE.tar.xz.sha256"
	rm -f "$deb"
	from_cache "Debian's package $PACKAGE $version"
}

from_kernel_org() {
	local name=linux-$BASE.tar.xz url
	url=https://cdn.kernel.org/pub/linux/kernel/v${BASE%%.*}.x/$name
	if ! grep -qE "^[0-9a-f]{64}  $name\$" "$CHECKSUMS"; then
		notes+=("scripts/checksums has no SHA-256 of kernel.org's $name: add the line from kernel.org's signed sha256sums.asc.")
		return 1
	fi
	have curl || {
		notes+=("curl is missing, so nothing can be downloaded from kernel.org.")
		return 1
	}
	say fetch "downloading $name from kernel.org"
	need_space 400 "The download of $name" "$CACHE"
	if ! curl -fsSL --retry 2 --connect-timeout 20 -o "$CACHE/$name.part" "$url"; then
		rm -f "$CACHE/$name.part"
		notes+=("kernel.org could not be reached for $name. Check the network.")
		return 1
	fi
	if ! listed "$CACHE/$name.part"; then
		rm -f "$CACHE/$name.part"
		notes+=("kernel.org sent a $name that does not have the listed checksum.")
		return 1
	fi
	mv "$CACHE/$name.part" "$CACHE/$name"
	from_cache "kernel.org's $name"
}

mkdir -p "$BUILD"
if [[ -n ${LINUX:-} ]]; then
	from_user
	exit 0
fi
if [[ -f $MARK && -d $TREE && $(tree_version "$TREE" || true) == "$SERIES".* ]]; then
	exit 0
fi
from_cache || from_package || from_kernel_org || {
	printf 'portlock: %s\n' "${notes[@]}" >&2
	die "There is no source of Linux $SERIES. Get a $SERIES.y tree or tarball in another way and name it: make LINUX=path ..."
}
