# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash disable=SC2034
#
# What the scripts of this folder share. Each of them is about one program of Debian's, has what
# tests/guest/command/use.sh says, and calls "use". An ordinary user runs the program and portlock. What it talks with
# is prepared by root.
# shellcheck source=tests/guest/programs/lib.sh
. ../programs/lib.sh
# shellcheck source=tests/guest/command/use.sh
. ../command/use.sh

# Debian's programs before those of busybox.
export PATH=/usr/bin:/usr/sbin:/bin

# A web server on port 8080, and a name server: one.test is 127.0.0.1.
web_by_name() {
	name_server
	# shellcheck disable=SC2086
	outside $names
	serve_files && listens 53
}

# A repository to clone, at /srv/repo.git, with a file "hello".
repository() {
	printf '[safe]\n\tdirectory = *\n[user]\n\tname = nobody\n\temail = nobody@one.test\n' >/etc/gitconfig
	rm -rf /tmp/tree /srv/repo.git
	git init -q /tmp/tree && cp /srv/small /tmp/tree/hello &&
		git -C /tmp/tree add hello && git -C /tmp/tree commit -q -m hello &&
		git clone -q --bare /tmp/tree /srv/repo.git && git -C /srv/repo.git update-server-info
}

# Clones it from a place. $2 may be "inside".
clone() {
	rm -rf /tmp/home/clone
	# shellcheck disable=SC2086
	$2 git clone -q "$1/repo.git" /tmp/home/clone && cmp /tmp/home/clone/hello /srv/small
}

# Keys for a server and a client of ssh, and the server's configuration.
ssh_keys() {
	mkdir -p /run/sshd
	ssh-keygen -q -t ed25519 -N '' -f /tmp/home/host && ssh-keygen -q -t ed25519 -N '' -f /tmp/home/key
	cat >/tmp/home/sshd.conf <<-END
		Port 2222
		HostKey /tmp/home/host
		AuthorizedKeysFile /tmp/home/key.pub
		StrictModes no
		PidFile none
	END
	sshd="/usr/sbin/sshd -D -e -f /tmp/home/sshd.conf"
}

# Runs a command by ssh. $2 may be "inside".
by_ssh() {
	# shellcheck disable=SC2086
	$2 ssh -F /dev/null -i /tmp/home/key -p 2222 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
		-o BatchMode=yes "nobody@$1" cat /srv/small >/tmp/got && is_got
}

# Configures an FTP server for anonymous users, on port 2121.
ftp_server() {
	cat >/tmp/home/vsftpd.conf <<-END
		listen=YES
		listen_port=2121
		background=NO
		run_as_launching_user=YES
		anonymous_enable=YES
		ftp_username=nobody
		anon_root=/srv
		secure_chroot_dir=/srv
		connect_from_port_20=NO
		xferlog_enable=NO
		seccomp_sandbox=NO
	END
}

use() {
	if [ "${1:-}" = as_user ]; then
		number=0
		four_tests
		return
	fi
	echo "TAP version 13"
	echo "1..4"
	# The clock's list is for root, unless somebody opens it.
	chmod 444 /proc/timer_list
	# Ports below 1024 are not what this is about.
	echo 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start
	echo '127.0.0.1 localhost' >/etc/hosts
	rm -rf /tmp/home
	mkdir -p /srv /tmp/home
	[ -e /srv/small ] || head -c $small /dev/urandom >/srv/small
	prepare || echo "# what the program talks with does not start"
	chown -R nobody /tmp/home
	HOME=/tmp/home su -s /bin/sh nobody -c "exec ./$name as_user"
}

file=small
