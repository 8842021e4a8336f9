#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Gets the packages from Debian whose programs tests/guest/real uses into build/real, a root without what programs
# do not need to run. Nothing is installed on this machine. It does nothing if they are there. Without them their tests
# are skipped, so a failure is only reported.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
take_lock

SUITE=trixie
PACKAGES=(bind9-dnsutils bind9-host chrony curl dnsmasq-base git iputils-ping memcached mosquitto mosquitto-clients
	netcat-openbsd nginx nodejs openssh-client openssh-server openssl perl-base php-cli python3 redis-server rsync
	systemd tinyproxy-bin unbound vsftpd webhook wget)
OUT=$BUILD/real
key="$SUITE ${PACKAGES[*]}"
[[ ! -f $OUT/key || $(<"$OUT/key") != "$key" ]] || exit 0
rm -rf "$OUT.new"
trap 'rm -rf "$OUT.new"' EXIT
mkdir -p "$OUT.new"

say real "downloading ${#PACKAGES[@]} packages and what they need from Debian's suite $SUITE (about 110 MB)"
if ! debian_root "$OUT.new/root" "$SUITE" "$LOGS/real.log" "${PACKAGES[@]}"; then
	say real "the tests of real use will be skipped. $apt_problem"
	exit 0
fi
# What no program needs to run makes up a third of it.
rm -rf "$OUT.new/root/usr"/{include,lib/x86_64-linux-gnu/{gconv,perl},share/{doc,lintian,locale,man,perl}}
printf '%s\n' "$key" >"$OUT.new/key"
chmod -R u+r "$OUT.new/root"
rm -rf "$OUT"
mv "$OUT.new" "$OUT"
say real "$(du -sm "$OUT" | cut -f 1) MB of programs from Debian's suite $SUITE"
