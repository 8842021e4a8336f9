# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=dash disable=SC2034,SC2154 # these are variables of tests/guest/programs/lib.sh
#
# Four tests of the command with a program: its job works under the shortest words and nothing is refused; without one
# word it fails, and watch names the word; learn writes a policy; under that, the job works and nothing is refused. The
# program has prepare, start and transfer, as in tests/guest/programs/lib.sh, and
#   words     what the command is told to allow
#   word      the word that is taken away
#   told      what watch names then, if not this word
#   harmless  what may be refused, as a regular expression, with a comment that says why

# After a look-up, for all.
probes='probed by UDP'
harmless=
told=
watch="portlock watch -q -o /tmp/watched"

# Does the job once with a launcher. Returns whether it worked.
attempt() {
	launcher=$1
	program=
	rm -f /tmp/got /tmp/watched
	: >/tmp/said
	took=0
	start && transfer >/dev/null 2>>/tmp/said
	worked=$?
	if [ -n "$program" ]; then
		kill -TERM -"$program" 2>/dev/null
		wait "$program" 2>/dev/null
	fi
	return $worked
}

tell() {
	[ ! -s /tmp/watched ] || sed 's/^/# watched: /' /tmp/watched
	sed 's/^/# said: /' /tmp/said
}

# Whether somebody watched, and nothing was refused that matters.
is_quiet() {
	[ -f /tmp/watched ] && ! grep -vE "$probes${harmless:+|$harmless}" /tmp/watched
}

one() {
	number=$((number + 1))
	if [ "$1" = 0 ]; then
		echo "ok $number $2"
	else
		tell
		echo "not ok $number $2"
	fi
}

four_tests() {
	attempt "$watch $words $word --" && is_quiet
	one $? "$name.works_under_its_words"

	! attempt "$watch $words --" && grep -q -e "add .*${told:-${word%% *}}" /tmp/watched
	one $? "$name.is_told_of_a_missing_word"

	rm -f "/tmp/$name.toml"
	attempt "portlock learn -o /tmp/$name.toml --" && portlock check "/tmp/$name.toml" >>/tmp/said 2>&1 &&
		! grep PARTIAL "/tmp/$name.toml"
	one $? "$name.is_learned"
	sed -n "/^[^#]/s/^/# seen: $name: /p" "/tmp/$name.toml"

	attempt "$watch --profile /tmp/$name.toml --" && is_quiet
	one $? "$name.is_held_to_it"
}
