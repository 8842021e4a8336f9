# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash disable=SC2034
#
# What the scripts of this folder share. Each function that $tests names is a test: it prints what goes wrong, and
# fails. An ordinary user runs them, in a folder of its own. There are web servers on the ports 8080 and 8081 of
# loopback, and AF_UNIX sockets of another process.

# Prints what is wrong. Fails.
wrong() {
	echo "# $*"
	return 1
}

# expect TEXT COMMAND...: the command prints the text, on either output.
expect() {
	text=$1
	shift
	said=$("$@" 2>&1 </dev/null)
	case $said in
	*"$text"*) ;;
	*) wrong "$*: \"$said\" has no \"$text\"" ;;
	esac
}

# expect_not TEXT COMMAND...: the command does its job, and does not print the text.
expect_not() {
	text=$1
	shift
	status 0 "$@" || return
	! grep -F -e "$text" /tmp/said || wrong "$*: printed \"$text\""
}

# status NUMBER COMMAND...: the command ends so.
status() {
	wanted=$1
	shift
	"$@" >/tmp/said 2>&1 </dev/null
	ended=$?
	[ $ended = "$wanted" ] || wrong "$*: ended with $ended, not $wanted: $(cat /tmp/said)"
}

# The client, which is not told of a sandbox.
client="ask get 127.0.0.1 8080"
other_client="ask get 127.0.0.1 8081"

# Waits until somebody listens on a port of TCP.
listens() {
	socket=$(printf ':%04X 0*:0000 0A' "$1")
	tries=0
	until grep -q "$socket" /proc/net/tcp /proc/net/tcp6; do
		tries=$((tries + 1))
		[ $tries -lt 200 ] || return 1
		usleep 20000
	done
}

# Runs tests, of which the first has the number $1.
run_tests() {
	number=$1
	shift
	for test; do
		if $test; then
			echo "ok $number $test"
		else
			echo "not ok $number $test"
		fi
		number=$((number + 1))
	done
}

# all WHO TEST...: runs $tests as an ordinary user, and then the other tests as root.
all() {
	if [ "$1" = as_user ]; then
		cd "$(mktemp -d)" || exit
		# shellcheck disable=SC2086,SC2154
		run_tests 1 $tests
		exit
	fi
	shift
	count=$(echo "$tests" | wc -w)
	echo "TAP version 13"
	echo "1..$((count + $#))"
	echo 'nameserver 127.0.0.1' >/etc/resolv.conf
	# The clock's list is for root, unless somebody opens it.
	chmod 444 /proc/timer_list
	mkdir -p /srv
	echo hello-there >/srv/hello
	httpd -p 8080 -h /srv
	httpd -p 8081 -h /srv
	# Without a sandbox, everybody can send a ping.
	echo '0 65534' >/proc/sys/net/ipv4/ping_group_range
	for name in /tmp/offered @offered; do
		(umask 0 && exec ask offer $name) &
		until [ "$(ask reach $name)" = success ]; do usleep 20000; done
	done
	listens 8080 && listens 8081
	su -s /bin/sh nobody -c "sh $0 as_user"
	run_tests $((count + 1)) "$@"
}
