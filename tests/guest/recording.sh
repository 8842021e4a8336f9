#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
#
# The session that scripts/recording.py draws. Root starts a resolver and a web server on loopback. Then an ordinary
# user works on a terminal, and each command is shown before it runs.

commands='
	portlock watch --connect tcp:443 --dns -- curl -sS http://www.example.org/hello
	portlock learn -o curl.toml -- curl -sS http://www.example.org/hello
	cat curl.toml
	portlock run --profile curl.toml -- curl -sS http://www.example.org/hello
	portlock watch --profile curl.toml -- curl -sS http://192.0.2.20/hello
'

case $1 in
session)
	cd "$(mktemp -d)" || exit
	echo "$commands" | while read -r command; do
		[ -n "$command" ] || continue
		printf '\033[1m$ %s\033[0m\n' "$command"
		sh -c "$command" </dev/null
	done
	;;
*)
	# Addresses and names for documents. Nothing leaves the guest.
	ip address add 192.0.2.10/32 dev lo
	ip address add 192.0.2.20/32 dev lo
	echo 'nameserver 127.0.0.1' >/etc/resolv.conf
	echo 'hosts: dns' >/etc/nsswitch.conf
	dnsmasq -u root -C /dev/null --no-hosts --no-resolv --pid-file= --address=/www.example.org/192.0.2.10
	mkdir -p /srv
	echo 'Hello!' >/srv/hello
	httpd -p 80 -h /srv
	for port in 0035 0050; do
		until grep -q ":$port 0*:0000 0A" /proc/net/tcp /proc/net/tcp6; do usleep 20000; done
	done
	su -s /bin/sh nobody -c "exec socat -u 'SYSTEM:sh $0 session,pty,setsid,stderr' -"
	;;
esac
