#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Makes the series in a scratch repository that holds only the affected stock files.
#
#   export.sh                             writes build/export: the patches, each with the files of the
#                                         overlay that it wires, as mails that git am takes; proves
#                                         that they make the tree that make apply made
#   export.sh --refresh [PATCH [FILE...]] writes all of patches/ anew, named and numbered as git
#                                         format-patch does; the edits of build/linux go into PATCH.
#                                         FILEs are those that no patch changed before: FILE.orig
#                                         holds the stock content, if there is any
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
((${#patches[@]})) || die "There is nothing to export: patches/series names no patch."
refresh=
if [[ ${1:-} == --refresh ]]; then
	refresh=1 edited=${2:-}
	edited=${edited#patches/}
	shift $(($# < 2 ? $# : 2))
	# Patches that were changed by hand must be in build/linux, or they would count as edits.
	"$ROOT/scripts/apply.sh"
elif (($#)); then
	die "export.sh: unknown argument $1"
fi
FORMAT=(--zero-commit --no-signature --no-base)

# start_repo DIR [FILE...]: a repository of the affected stock files, and of FILEs from FILE.orig.
start_repo() {
	local dir=$1 f
	shift
	rm -rf "$dir"
	mkdir -p "$dir"
	git -C "$dir" init -q -b main
	cp -r "$STATE/stock/." "$dir/"
	for f in "$@"; do
		mkdir -p "$dir/$(dirname "$f")"
		[[ ! -e $TREE/$f.orig ]] || cp --preserve=mode "$TREE/$f.orig" "$dir/$f"
	done
	git -C "$dir" add -A -f
	git -C "$dir" commit -q --allow-empty -m "Linux $(tree_version "$TREE"), the files that the series changes"
	git -C "$dir" tag base
}

# take PATCH: commits a patch. One of a new patch may hold no more than the header and the text.
take() {
	git -C "$WORK" am -q --keep-non-patch --empty=keep "$ROOT/patches/$1" >/dev/null ||
		die "git am does not take patches/$1: it must be a mail, with From, Date and Subject."
	# For a mail without a date, git am takes the time of day.
	grep -q '^Date: ' "$ROOT/patches/$1" || git -C "$WORK" commit -q --amend --no-edit --date="$GIT_AUTHOR_DATE"
}

if [[ -n $refresh ]]; then
	start_repo "$WORK" "$@"
	target=
	for p in "${patches[@]}"; do
		take "$p"
		[[ $p != "$edited" ]] || target=$(git -C "$WORK" rev-parse HEAD)
	done
	[[ -z $edited || -n $target ]] || die "patches/series names no $edited."
	while IFS= read -r f; do
		[[ -e $ROOT/$f || ! -e $TREE/$f ]] || cp --preserve=mode "$TREE/$f" "$WORK/$f"
	done < <(cat "$STATE/files"; (($# == 0)) || printf '%s\n' "$@")
	git -C "$WORK" add -A -f
	if ! git -C "$WORK" diff --cached --quiet; then
		[[ -n $target ]] || die "build/linux was edited: name the patch that the edits belong to."
		git -C "$WORK" commit -q --fixup="$target"
		git -C "$WORK" -c sequence.editor=: rebase -q -i --autosquash base >/dev/null 2>&1 ||
			die "A later patch changes the same lines as your edit of $edited: make the edit in that one, or change both by hand."
	fi
	git -C "$WORK" format-patch -q -N --subject-prefix="PATCH" "${FORMAT[@]}" -o "$NEW" base..main >/dev/null
	mapfile -t names < <(ls "$NEW")
	((${#names[@]} == ${#patches[@]})) || die "A patch became empty by the edit: take it out of patches/series."
	(cd "$ROOT/patches" && rm -f -- "${patches[@]}")
	for n in "${!names[@]}"; do
		# The index lines would change with every patch before: nobody needs them.
		sed '/^index [0-9a-f]*\.\.[0-9a-f]*/d' "$NEW/${names[n]}" >"$ROOT/patches/${names[n]}"
		sed -i "s|^${patches[n]}|${names[n]}|" "$ROOT/patches/series"
	done
	for f in "$@"; do
		# make apply looks for the stock content here.
		if [[ -e $TREE/$f.orig ]]; then mv -f "$TREE/$f.orig" "$TREE/$f"; else rm -f "${TREE:?}/$f"; fi
	done
	say export "${#names[@]} patches written anew"
	"$ROOT/scripts/apply.sh"
	exit
fi

check_overlay
start_repo "$WORK"
for p in "${patches[@]}"; do
	take "$p"
	mapfile -t files < <(overlay_of "$p")
	((${#files[@]})) || continue
	(cd "$ROOT" && cp --parents --preserve=mode -- "${files[@]}" "$WORK")
	git -C "$WORK" add -f -- "${files[@]}"
	git -C "$WORK" commit -q --amend --no-edit
done

rm -rf "$NEW"
git -C "$WORK" format-patch -q --subject-prefix="PATCH" -n "${FORMAT[@]}" -o "$NEW" base..main >/dev/null
if grep -lE '^Signed-off-by:' "$NEW"/*.patch; then
	die "A mail of the series carries a sign-off, which only the person who sends it can give."
fi

# The proof: the mails alone make the tree that make apply made.
start_repo "$WORK.check"
git -C "$WORK.check" am -q --whitespace=nowarn "$NEW"/*.patch >/dev/null || die "git am does not take the exported series."
while IFS= read -r f; do
	cmp -s "$WORK.check/$f" "$STATE/last/$f" || die "The exported series does not give make apply's $f."
done <"$STATE/files"
n=$(git -C "$WORK.check" ls-files | wc -l)
rm -rf "$OUT"
mv "$NEW" "$OUT"
say export "$(find "$OUT" -name '*.patch' | wc -l) mails in build/export, checked: git am gives the same $n files"
