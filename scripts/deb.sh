#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Makes Debian packages of the kernel, of its headers and of the command, in build/deb. The kernel's configuration is
# Debian's for virtual machines, of the same series, with what packaging/ adds.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
take_lock
# It describes the kernel's types to BPF programs.
export PAHOLE=pahole
load_toolchain

SUITE=trixie-backports
CONFIG_PACKAGE=linux-config-$SERIES
FLAVOUR=cloud-amd64
OUT=$BUILD/deb
KERNEL=$OUT/packaged
CONFIG=$CACHE/debian-$SERIES-$FLAVOUR.config
MAINTAINER='Portlock developers <portlock@localhost>'
export SOURCE_DATE_EPOCH
SOURCE_DATE_EPOCH=$(date -d "$KBUILD_BUILD_TIMESTAMP" +%s)

# Packages of a later commit have a higher version. There is no "-": what follows it would be the kernel's build number.
version=$(tree_version "$TREE")+portlock.$(git -C "$ROOT" rev-list --count HEAD 2>/dev/null || echo 0)

# Debian's configuration, from its package.
get_config() {
	local apt=$CACHE/apt log=$LOGS/deb.log deb file
	[[ ! -f $CONFIG ]] || return 0
	say deb "downloading $CONFIG_PACKAGE from Debian's suite $SUITE (about 1 MB)"
	private_apt "$apt" "$SUITE" "$log" || die "$apt_problem"
	rm -f "$apt/archives/$CONFIG_PACKAGE"_*.deb
	(cd "$apt/archives" && apt-get "${apt_options[@]}" download "$CONFIG_PACKAGE") >>"$log" 2>&1 ||
		die "The package $CONFIG_PACKAGE could not be downloaded (see build/log/deb.log)."
	deb=$(find "$apt/archives" -maxdepth 1 -name "${CONFIG_PACKAGE}_*.deb" -print -quit)
	file=./usr/src/$CONFIG_PACKAGE/config.amd64_none_$FLAVOUR.xz
	dpkg-deb --fsys-tarfile "$deb" | tar -xOf - "$file" | xz -d >"$CONFIG.part" ||
		die "The package $CONFIG_PACKAGE has no configuration of the flavour $FLAVOUR."
	mv "$CONFIG.part" "$CONFIG"
	rm -f "$deb"
}

# The kernel's own rules for packages. The one with headers of the C library would take the place of Debian's, and the one
# with debug symbols is large: neither is made.
kernel_packages() {
	rm -f "$OUT"/linux-*.deb
	DEBFULLNAME=${MAINTAINER% <*} DEBEMAIL=portlock@localhost KDEB_PKGVERSION=$version KDEB_CHANGELOG_DIST=unstable \
		KDEB_SOURCENAME=linux-portlock DEB_BUILD_PROFILES=pkg.linux-portlock.nokerneldbg \
		kmake "$TREE" "$KERNEL" DPKG_FLAGS='--target=binary-image,binary-headers' bindeb-pkg
}

# The command with its pages and completions, which it prints itself.
command_package() {
	local root=$OUT/portlock share command=$BUILD/portlock
	rm -rf "$root" "$OUT"/portlock_*.deb
	share=$root/usr/share
	install -D "$command" "$root/usr/bin/portlock"
	mkdir -p "$root/DEBIAN" "$share/doc/portlock" "$share/man/man1"
	complete "$command" bash "$share/bash-completion/completions/portlock"
	complete "$command" zsh "$share/zsh/vendor-completions/_portlock"
	complete "$command" fish "$share/fish/vendor_completions.d/portlock.fish"
	"$command" man "$share/man/man1"
	gzip -9n "$share/man/man1"/*
	printf 'Portlock is under the GNU General Public License, version 2: /usr/share/common-licenses/GPL-2\n' >"$share/doc/portlock/copyright"
	cat >"$root/DEBIAN/control" <<-END
		Package: portlock
		Version: $version
		Architecture: amd64
		Maintainer: $MAINTAINER
		Section: admin
		Priority: optional
		Installed-Size: $(du -sk "$root" | cut -f 1)
		Description: run a program that can only use the network it was given
		 A command for the sandbox of Portlock's kernel, and for Landlock where a kernel has
		 only that. No privileges are needed.
	END
	dpkg-deb --root-owner-group --build "$root" "$OUT"
	rm -rf "$root"
}

complete() {
	mkdir -p "$(dirname "$3")"
	"$1" completions "$2" >"$3"
}

mkdir -p "$OUT" "$LOGS" "$CACHE"
get_config
[[ -f $KERNEL/vmlinux ]] || need_space 9000 "The build of the packages"
FRAGMENTS='packaging/modules.config packaging/kernel.config' \
	"$ROOT/scripts/build.sh" --out "$KERNEL" --base "$CONFIG"
step deb "packages of the kernel and its headers" kernel_packages ||
	die "The packages of the kernel could not be made. The whole log is build/log/deb.log."
step deb "the package of the command" command_package ||
	die "The package of the command could not be made. The whole log is build/log/deb.log."
for deb in "$OUT"/*.deb; do
	say deb "${deb#"$ROOT"/}, $(($(stat -c %s "$deb") / 1024)) KiB"
done
