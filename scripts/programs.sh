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
rm -rf "$OUT.new"
trap 'rm -rf "$OUT.new"' EXIT

# A program's libraries, as its own loader finds them, and the loader.
libraries_of() {
	local root=$1 program=$2
	"$root/$LIBRARIES/ld-linux-x86-64.so.2" --library-path "$root/$LIBRARIES" --list "$root/usr/$program" |
		sed -nE 's|^.* => (/.*) \(0x[0-9a-f]+\)$|\1|p'
}

get() {
	local root=$OUT.new/root program library
	say programs "downloading ${PACKAGES[*]} from Debian's suite $SUITE (about 27 MB)"
	mkdir -p "$OUT.new/bin" "$OUT.new/lib" || return
	debian_root "$root" "$SUITE" "$LOGS/programs.log" "${PACKAGES[@]}" || return
	cp "$root/$LIBRARIES/ld-linux-x86-64.so.2" "$OUT.new/lib/" || return
	for program in "${PROGRAMS[@]}"; do
		cp "$root/usr/$program" "$OUT.new/bin/" || return
		while IFS= read -r library; do
			cp -u "$library" "$OUT.new/lib/" || return
		done < <(libraries_of "$root" "$program")
	done
	rm -rf "$root" "$OUT"
	printf '%s\n' "$key" >"$OUT.new/key"
	mv "$OUT.new" "$OUT"
}

[[ ! -f $OUT/key || $(<"$OUT/key") != "$key" ]] || exit 0
apt_problem="They could not be copied (see build/log/programs.log)."
if get; then
	say programs "${#PROGRAMS[@]} programs from Debian's suite $SUITE"
else
	say programs "the tests of real programs will be skipped. $apt_problem"
fi
