# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash disable=SC2034
#
# What the scripts of this folder share. Each of them is about one unmodified program of Debian's, and has
#   rules     the least that the program needs, in lines that held.c reads
#   prepare   starts what the program talks with, outside of the sandbox
#   start     starts the program with "run" if it is a server; a client is started by transfer, with "inside"
#   transfer  does the job with a client that is "timed", and succeeds only if the result is right
# and calls "check". The first test is that the job works under the rules. The next tests take away one right of one
# rule: then the job must fail, and the kernel must tell of a refusal of this right that it did not tell of before. So
# no right is granted that the program does not need. The last test compares the time of the job with and without the
# sandbox. "# seen:" begins a line for the report.

trace=/sys/kernel/tracing
name=${0##*/}
# Enough for several full windows, and enough to measure.
small=$((2 << 20))
large=$((8 << 20))
# The job may take this much longer in the sandbox, in parts of a thousand.
slack=50
rounds=3
# The system call that moves the data, if it matters which.
moves=
strace="strace -f -qq -e trace=%net,read,readv,write,writev,sendfile,splice -e signal=none -o /tmp/calls"

# --- For the scripts ---

# Runs the program in the foreground.
inside() {
	# shellcheck disable=SC2086
	$launcher "$@" 2>>/tmp/said
}

# Runs the program in the background, in a session of its own.
run() {
	# shellcheck disable=SC2086
	setsid $launcher "$@" >>/tmp/said 2>&1 &
	program=$!
}

# Runs something that is not sandboxed in the background.
outside() {
	"$@" >/dev/null 2>&1 &
}

# Waits until somebody listens on a TCP port, as long as the program runs.
listens() {
	socket=$(printf ':%04X 0*:0000 0A' "$1")
	tries=0
	until grep -q "$socket" /proc/net/tcp /proc/net/tcp6; do
		tries=$((tries + 1))
		[ $tries -lt 100 ] && kill -0 "${program:-$!}" 2>/dev/null || return 1
		usleep 20000
	done
}

# Runs a client, and adds its time to $took.
timed() {
	begin=$(nanoseconds)
	"$@"
	status=$?
	took=$((took + $(nanoseconds) - begin))
	return $status
}

# Gets $file from a web server with curl. $2 may be "inside".
fetch() {
	# shellcheck disable=SC2086
	timed $2 curl -sS --max-time 1 -o /tmp/got "$1/$file" && is_got
}

# Whether /tmp/got is $file.
is_got() {
	cmp -s /tmp/got "/srv/$file"
}

web_server() {
	cat >/tmp/nginx.conf <<-END
		daemon off;
		user nobody nogroup;
		pid /tmp/nginx.pid;
		events { }
		http {
			access_log off;
			sendfile on;
			tcp_nopush on;
			client_body_temp_path /tmp/body;
			proxy_temp_path /tmp/proxy;
			fastcgi_temp_path /tmp/fastcgi;
			uwsgi_temp_path /tmp/uwsgi;
			scgi_temp_path /tmp/scgi;
			server { listen $1; root /srv; }
		}
	END
}

# A web server outside of the sandbox, on port 8080.
serve_files() {
	web_server 8080
	outside nginx -e stderr -c /tmp/nginx.conf
	listens 8080
}

# The name server of the tests: a name with one address, and one with more than a datagram has room for.
name_server() {
	echo 'nameserver 127.0.0.1' >/etc/resolv.conf
	echo 'hosts: dns' >/etc/nsswitch.conf
	{
		echo '127.0.0.1 one.test'
		for last in $(seq 2 61); do
			echo "127.0.0.$last many.test"
		done
	} >/tmp/names
	names="dnsmasq -k -u root -C /dev/null --no-hosts --no-resolv --addn-hosts=/tmp/names --pid-file= --log-facility=-"
}

# --- The tests ---

result() {
	number=$((number + 1))
	echo "${1:+not }ok $number $2"
}

# The refusals that the kernel told of, without what changes from run to run.
refusals() {
	sed -n 's/.*: \(landlock_deny_access_net\|portlock_deny\): .* blockers=/\1 blockers=/p' $trace/trace | sort -u
}

# The refused calls of the program, without what changes from run to run, and not too long.
failed_calls() {
	sed -nE '/EACCES|ECONNABORTED/{s/^[0-9]+ +//;s/0x[0-9a-f]+/0x.../;s/^(.{48}).*( = -1 E[A-Z]+).*/\1...\2/;s/ +(= -1 E[A-Z]+).*/ \1/;p}' /tmp/calls
}

# The lines that are not in a file.
but_not() {
	awk -v file="$1" '
		BEGIN {
			while ((getline line <file) > 0)
				known[line]
		}
		!($0 in known)'
}

# Does the job once. Returns whether it worked.
try() {
	program=
	: >/tmp/said
	: >/tmp/calls
	: >$trace/trace
	rm -f /tmp/got
	took=0
	start && transfer >/dev/null 2>>/tmp/said
	worked=$?
	if [ -n "$program" ]; then
		kill -KILL -"$program" 2>/dev/null
		wait "$program" 2>/dev/null
	fi
	return $worked
}

# Prints "line right name" for each right of each rule.
rights() {
	awk '{
		n = split($1, rights, ",")
		where = $2 (/^socket_create/ ? "_" $3 "_" $4 : "")
		gsub("-", "_", where)
		for (i = 1; i <= n; i++)
			print NR, rights[i], rights[i] "_" where
	}' /tmp/rules
}

# Prints the rules without a right of a line.
rules_without() {
	awk -v line="$1" -v right="$2" '
		NR == line {
			gsub("(^|,)" right "(,|$)", ",", $1)
			gsub("^,|,$", "", $1)
			if ($1 == "")
				next
		}
		{ print }' /tmp/rules
}

works() {
	launcher="$strace held /tmp/rules"
	if try && grep -q "^[0-9]* *$moves.*(.* = [1-9]" /tmp/calls; then
		result "" works
	else
		cat /tmp/said
		failed_calls
		refusals
		result failed works
	fi
	refusals >/tmp/harmless
	failed_calls >/tmp/harmless-calls
}

fails_without() {
	launcher="$strace held /tmp/fewer"
	rules_without "$1" "$2" >/tmp/fewer
	try && worked=works || worked=
	told=$(refusals | but_not /tmp/harmless | grep -E "blockers=(net\.)?(${2}|$(echo "$2" | tr _ .)) ")
	if [ -n "$worked" ] || [ -z "$told" ]; then
		echo "# the job ${worked:-fails}; of the right, the kernel says: ${told:-nothing}"
		refusals
		cat /tmp/said
		result failed "without_$3"
		return
	fi
	result "" "without_$3"
	call=$(failed_calls | but_not /tmp/harmless-calls | head -n 1)
	word=$(grep 'denied' /tmp/said || grep -v '^[- ]*$' /tmp/said)
	echo "# seen: $name without $3: ${call:-no call fails}; $(echo "${word:-no word of it}" | tail -n 1)"
}

nanoseconds() {
	sed -n '/^now at/{s/[^0-9]//g;p;q}' /proc/timer_list
}

# Prints the shortest time of a few jobs, in nanoseconds of the guest, which are instructions.
time_of() {
	launcher=$1
	least=
	for _ in $(seq "$rounds"); do
		try || return
		[ "${least:-$took}" -lt $took ] || least=$took
	done
	echo "$least"
}

is_as_fast() {
	file=large
	free=$(time_of "")
	held=$(time_of "held /tmp/rules")
	if [ -z "$free" ] || [ -z "$held" ]; then
		echo "# the job did not work"
		cat /tmp/said
		result failed as_fast
		return
	fi
	ratio=$((held * 1000 / free))
	echo "# seen: $name, $((large >> 20)) MiB: $((held / 1000)) us, and $((free / 1000)) us without the sandbox:" \
		"ratio $((ratio / 1000)).$(printf %03d $((ratio % 1000)))"
	[ $ratio -le $((1000 + slack)) ] && slow='' || slow=yes
	result "$slow" as_fast
}

check() {
	# Of several processors, time would pass on those that wait as well.
	taskset -p 1 $$ >/dev/null
	for event in landlock/landlock_deny_access_net portlock/portlock_deny; do
		echo 1 >$trace/events/$event/enable
	done
	mkdir -p /srv
	[ -e /srv/small ] || head -c $small /dev/urandom >/srv/small
	[ -e /srv/large ] || head -c $large /dev/urandom >/srv/large
	file=small
	number=0
	rules | sed 's/[ 	]*#.*//; /^$/d' >/tmp/rules
	rights >/tmp/rights
	echo "TAP version 13"
	echo "1..$(($(wc -l </tmp/rights) + 2))"
	prepare || echo "# what the program talks with does not start"
	works
	while read -r line right what; do
		fails_without "$line" "$right" "$what" </dev/null
	done </tmp/rights
	is_as_fast
}
