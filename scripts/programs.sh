#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Gets the programs from Debian that tests/guest/programs runs, with their libraries, into build/programs.
# All come from one suite, whatever release this machine has, and nothing is installed on it. It does
# nothing if they are there. Without them their tests are skipped, so a failure is only reported.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
take_lock

SUITE=trixie
PACKAGES=(curl dnsmasq-base haproxy iperf3 nginx socat strace)
PROGRAMS=(bin/curl bin/iperf3 bin/socat bin/strace sbin/dnsmasq sbin/haproxy sbin/nginx)
OUT=$BUILD/programs
LIBRARIES=usr/lib/x86_64-linux-gnu
key="$SUITE ${PACKAGES[*]} ${PROGRAMS[*]}"
trap 'rm -rf "$OUT.new"' EXIT

# A program's libraries, as its own loader finds them, and the loader.
libraries_of() {
	local root=$1 program=$2
	"$root/$LIBRARIES/ld-linux-x86-64.so.2" --library-path "$root/$LIBRARIES" --list "$root/usr/$program" |
		sed -nE 's|^.* => (/.*) \(0x[0-9a-f]+\)$|\1|p'
}

get() {
	local apt=$CACHE/apt-$SUITE log=$LOGS/programs.log root=$OUT.new/root deb program library
	if ! private_apt "$apt" "$SUITE" "$log"; then
		problem=$apt_problem
		return 1
	fi
	# As on a machine where nothing is installed: everything that the programs need is downloaded.
	: >"$apt/status"
	rm -f "$apt/archives"/*.deb
	say programs "downloading ${PACKAGES[*]} from Debian's suite $SUITE (about 27 MB)"
	if ! apt-get "${apt_options[@]}" -o "Dir::State::status=$apt/status" -q -y --no-install-recommends \
		--download-only install "${PACKAGES[@]}" >>"$log" 2>&1; then
		problem="The packages could not be downloaded (see build/log/programs.log)."
		return 1
	fi
	rm -rf "$OUT.new"
	mkdir -p "$root" "$OUT.new/bin" "$OUT.new/lib" || return
	for deb in "$apt/archives"/*.deb; do
		dpkg-deb -x "$deb" "$root" >>"$log" 2>&1 || return
	done
	cp "$root/$LIBRARIES/ld-linux-x86-64.so.2" "$OUT.new/lib/" || return
	for program in "${PROGRAMS[@]}"; do
		cp "$root/usr/$program" "$OUT.new/bin/" || return
		while IFS= read -r library; do
			cp -u "$library" "$OUT.new/lib/" || return
		done < <(libraries_of "$root" "$program")
	done
	rm -rf "$root" "$apt/archives"/*.deb "$OUT"
	printf '%s\n' "$key" >"$OUT.new/key"
	mv "$OUT.new" "$OUT"
}

[[ ! -f $OUT/key || $(<"$OUT/key") != "$key" ]] || exit 0
problem="The packages could not be unpacked (see build/log/programs.log)."
if get; then
	say programs "${#PROGRAMS[@]} programs from Debian's suite $SUITE"
else
	say programs "the tests of real programs will be skipped. $problem"
fi
