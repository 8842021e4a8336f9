#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Writes build/export: the overlay and the patches as one series of mails that git am takes, made in
# a scratch repository that holds only the affected stock files, and checked by applying it there.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
take_lock

OUT=$BUILD/export
WORK=$BUILD/export.work
STATE=$BUILD/apply
NEW=$BUILD/export.new	# becomes build/export only when it is proven
trap 'rm -rf "$WORK" "$WORK.check" "$NEW"' EXIT
# shellcheck disable=SC2153
export GIT_CEILING_DIRECTORIES=$BUILD GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
export GIT_AUTHOR_NAME='Portlock developers' GIT_AUTHOR_EMAIL='portlock@localhost'
export GIT_COMMITTER_NAME=$GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL=$GIT_AUTHOR_EMAIL
# The same input gives the same mails, so the date is that of the last commit.
when=$(git -C "$ROOT" log -1 --format=%ct 2>/dev/null || true)
export GIT_AUTHOR_DATE="${when:-1767225600} +0000" GIT_COMMITTER_DATE="${when:-1767225600} +0000"

mapfile -t overlay < <(overlay_files)
mapfile -t patches < <(series_patches)
((${#overlay[@]} + ${#patches[@]})) || die "There is nothing to export: no overlay file and no patch."

# start_repo DIR: a repository of the affected stock files.
start_repo() {
	rm -rf "$1"
	mkdir -p "$1"
	git -C "$1" init -q -b main
	cp -r "$STATE/stock/." "$1/"
	git -C "$1" add -A -f
	git -C "$1" commit -q --allow-empty -m "Linux $(tree_version "$TREE"), the files that the series changes"
	git -C "$1" tag base
}

# group NUMBER: which overlay files each mail of the overlay holds, by pattern, the first that fits;
# and what the mail says. The text is the description of the change.
GROUPS_RE=('^rust/' '^security/' '^tools/testing/' '^tools/' '^Documentation/')
subject() {
	case $1 in
	0) echo "rust: add what an LSM in Rust needs" ;;
	1) echo "security: portlock: add the LSM" ;;
	2) echo "selftests/portlock: add tests" ;;
	3) echo "tools: portlock: add the command" ;;
	4) echo "Documentation: portlock: describe the LSM and its abstractions" ;;
	esac
}
body() {
	case $1 in
	0) echo "A security module in Rust registers hooks, keeps typed blobs on kernel objects and
hands out file descriptors; the kernel crate has no safe way to any of these.
Add the abstractions. Nothing builds them yet." ;;
	1) echo "Landlock lets a process name the network ports that it will use. Portlock
decides these rules in Rust, from rules that are frozen when they are enforced.
Add the module. Nothing builds it yet." ;;
	2) echo "What Portlock promises to programs is stated as tests: every errno has one." ;;
	3) echo "People need a way to hold a program to its ports without writing one." ;;
	4) echo "State the interface, the threat model and the invariants beside the code." ;;
	esac
}

start_repo "$WORK"
declare -A taken=()
for i in "${!GROUPS_RE[@]}"; do
	n=0
	for f in "${overlay[@]}"; do
		[[ -z ${taken[$f]:-} && $f =~ ${GROUPS_RE[i]} ]] || continue
		taken[$f]=1
		mkdir -p "$WORK/$(dirname "$f")"
		cp --preserve=mode "$ROOT/$f" "$WORK/$f"
		git -C "$WORK" add -f -- "$f"
		n=$((n + 1))
	done
	if ((n)); then
		git -C "$WORK" commit -q -m "$(subject "$i")" -m "$(body "$i")"
	fi
done
for p in "${patches[@]}"; do
	file=$ROOT/patches/$p
	if grep -q '^From: ' "$file" && grep -q '^Subject: ' "$file"; then
		git -C "$WORK" am -q --keep-non-patch "$file" >/dev/null || die "git am does not take patches/$p."
		# For a mail without a date, git am takes the time of day.
		grep -q '^Date: ' "$file" || git -C "$WORK" commit -q --amend --no-edit --date="$GIT_AUTHOR_DATE"
	else
		# No mail: the text before the first hunk is the message.
		git -C "$WORK" apply --index "$file" || die "patches/$p does not apply."
		message=$(sed -n -e '/^\(diff --git\|--- \|---$\)/q' -e 's/^Subject: *\(\[[^]]*\] *\)*//' -e p "$file")
		[[ -n ${message//[[:space:]]/} ]] || die "patches/$p says nothing before its first hunk: write why."
		git -C "$WORK" commit -q -m "$message"
	fi
done

rm -rf "$NEW"
git -C "$WORK" format-patch -q --zero-commit --no-signature --no-base --subject-prefix="PATCH" -n \
	-o "$NEW" base..main >/dev/null
if grep -lE '^Signed-off-by:' "$NEW"/*.patch; then
	die "A mail of the series carries a sign-off, which only the person who sends it can give."
fi

# The proof: the mails alone make the tree that make apply made.
start_repo "$WORK.check"
git -C "$WORK.check" am -q "$NEW"/*.patch >/dev/null || die "git am does not take the exported series."
while IFS= read -r f; do
	cmp -s "$WORK.check/$f" "$STATE/last/$f" || die "The exported series does not give make apply's $f."
done <"$STATE/files"
n=$(git -C "$WORK.check" ls-files | wc -l)
rm -rf "$OUT"
mv "$NEW" "$OUT"
say export "$(find "$OUT" -name '*.patch' | wc -l) mails in build/export, checked: git am gives the same $n files"
