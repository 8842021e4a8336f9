#!/bin/busybox sh
# SPDX-License-Identifier: GPL-2.0
#
# The scene of `make run`: what a process may do under the kernel's own sandboxer. It prints the results, one
# "name: answer" in each line. tests/harness/scene.py has the expected answers.

tell() {
	echo "$1: $2"
}

# Runs a probe as the sandboxed process. All access to files stays allowed, because the scene is about the network.
held() {
	LL_FS_RO=/ LL_FS_RW=/ \
	LL_TCP_BIND=8080 LL_TCP_CONNECT=4000 \
	LL_UDP_BIND=0 LL_UDP_CONNECT_SEND=5353 \
		sandboxer probe "$@" 2>/tmp/sandboxer.log >/tmp/answer
	if [ -s /tmp/answer ]; then
		cat /tmp/answer
	else
		tail -n 1 /tmp/sandboxer.log
	fi
}

tell kernel "$(uname -r)"
tell lsm "$(cat /sys/kernel/security/lsm)"
tell log "$(dmesg | sed -n 's/^\[[^]]*\] *//; /^portlock: /p' | head -n 1)"

# Two services outside the sandbox.
probe serve 4000 >/dev/null
probe serve 4001 >/dev/null

read -r before _ </proc/uptime
tell bind-own "$(held tcp-bind 8080)"
tell bind-other "$(held tcp-bind 8081)"
tell connect-allowed "$(held tcp-connect 4000)"
tell connect-other "$(held tcp-connect 4001)"
tell send-allowed "$(held udp-send 0 5353)"
tell send-other "$(held udp-send 0 5354)"
tell serve "$(held serve 8080)"
tell served "$(probe tcp-connect 8080)"
tell free-bind "$(probe tcp-bind 8081)"
tell free-connect "$(probe tcp-connect 4001)"
read -r after _ </proc/uptime
tell began "$before"
tell ended "$after"
