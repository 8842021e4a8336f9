#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Makes build/linux the patched tree: the repository's overlay is laid over the stock tree, then the
# patches of patches/series are applied to it, in order and without fuzz. Everything is worked out
# in a scratch folder first, so a patch that fails leaves the tree as it was; then only files whose
# content differs are written, so that an incremental build stays short.
#
#   apply.sh [--tree DIR --state DIR] [--patches N]
#
# N, for check-series: only the first N patches and the files of the overlay that they wire, which is
# what make export sends; 0 is the whole overlay without a patch.
#
# State, in build/apply: stock/ holds the stock content of every file that is changed, last/ what was
# written last, files the list of both, inputs the checksum of what went in.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
take_lock

LIMIT=600	# changed lines in existing kernel files
STATE=$BUILD/apply
count=all
while (($#)); do
	case $1 in
	--tree) TREE=$2; shift 2 ;;
	--state) STATE=$2; shift 2 ;;
	--patches) count=$2; shift 2 ;;
	*) die "apply.sh: unknown argument $1" ;;
	esac
done
[[ -d $TREE && -f $BUILD/base ]] || die "There is no stock tree in build/linux yet: run make fetch."
mkdir -p "$STATE/stock" "$STATE/last"
touch "$STATE/files"
SCRATCH=$STATE/scratch

mapfile -t overlay < <(overlay_files)
mapfile -t patches < <(series_patches)
if [[ $count != all ]]; then
	patches=("${patches[@]:0:count}")
	if ((count)); then
		mapfile -t overlay < <(for p in "${patches[@]}"; do overlay_of "$p"; done | sort -u)
	fi
fi
for p in "${patches[@]}"; do
	[[ -f $ROOT/patches/$p ]] || die "patches/series names $p, and there is no such file in patches/."
done

inputs=$({
	cat "$BUILD/base" "$ROOT/KERNEL_VERSION" "$ROOT/scripts/apply.sh"
	cd "$ROOT"
	((${#overlay[@]} == 0)) || sha256sum -- "${overlay[@]}"
	((${#patches[@]} == 0)) || sha256sum -- "${patches[@]/#/patches/}"
} | sha256sum)
# edited FILE: is FILE of the tree no longer what the last run wrote?
edited() {
	[[ -e $TREE/$1 && -e $STATE/last/$1 ]] && ! cmp -s "$TREE/$1" "$STATE/last/$1"
}

if [[ -f $STATE/inputs && $(<"$STATE/inputs") == "$inputs" && -z ${FORCE:-} ]]; then
	say apply "nothing to do: $(<"$STATE/summary")"
	while IFS= read -r f; do
		if edited "$f"; then
			say apply "build/linux/$f was edited by hand, and stays so: FORCE=1 drops the edit"
		fi
	done <"$STATE/files"
	exit 0
fi

declare -A ours=()	# what the last run wrote
while IFS= read -r f; do
	ours[$f]=1
done <"$STATE/files"

# stock_of FILE: the path of its stock content; fails if the stock tree has no such file.
stock_of() {
	if [[ -n ${ours[$1]:-} ]]; then
		[[ -e $STATE/stock/$1 ]] && printf '%s' "$STATE/stock/$1"
	else
		[[ -e $TREE/$1 ]] && printf '%s' "$TREE/$1"
	fi
}

rm -rf "$SCRATCH"
mkdir -p "$SCRATCH"

# The overlay.
declare -A target=()	# path -> overlay | patch
for f in "${overlay[@]}"; do
	if stock_of "$f" >/dev/null; then
		die "The overlay's $f exists in the stock tree too: an overlay only adds files, so make it a patch."
	fi
	mkdir -p "$SCRATCH/$(dirname "$f")"
	cp --preserve=mode "$ROOT/$f" "$SCRATCH/$f"
	target[$f]='overlay'
done

# The patches. Git would take the scratch folder for a part of this repository: the ceilings stop it.
GIT_CEILING_DIRECTORIES=$STATE:$(dirname "$TREE")
export GIT_CEILING_DIRECTORIES
mkdir -p "$LOGS"
log=$LOGS/apply.log
: >"$log"
for p in "${patches[@]}"; do
	patch=$ROOT/patches/$p
	if ! numstat=$(cd "$SCRATCH" && git apply --allow-empty --numstat "$patch" 2>>"$log"); then
		tail -n 5 "$log" >&2
		die "patches/$p is no patch that git apply can read: export it again."
	fi
	if (cd "$SCRATCH" && git apply --allow-empty --summary "$patch") | grep -qE '^ (delete|rename|copy) '; then
		die "patches/$p deletes, renames or copies a file: the series only edits files and adds headers."
	fi
	while IFS=$'\t' read -r _ _ f; do
		[[ -n $f ]] || continue
		if [[ ${target[$f]:-} == overlay ]]; then
			die "patches/$p changes $f, which is the overlay's: change it there."
		fi
		if [[ -z ${target[$f]:-} ]]; then
			target[$f]='patch'
			if stock=$(stock_of "$f"); then
				mkdir -p "$SCRATCH/$(dirname "$f")"
				cp --preserve=mode "$stock" "$SCRATCH/$f"
			fi
		fi
	done <<<"$numstat"
	printf '== %s\n' "$p" >>"$log"
	# git apply takes a hunk at another line, never one whose context differs.
	if ! (cd "$SCRATCH" && git apply -v --allow-empty --whitespace=nowarn "$patch") >>"$log" 2>&1; then
		grep -E '^error:' "$log" | head -n 10 >&2
		# A file's first patch is written by editing it in build/linux, which is its only stock copy.
		while IFS=$'\t' read -r _ _ f; do
			if [[ -z ${ours[$f]:-} ]] && (cd "$TREE" && git apply -R --check --include="$f" "$patch") 2>/dev/null; then
				die "build/linux/$f holds what patches/$p does already, edited by hand: take it out with" \
					"patch -d build/linux -p1 -R <patches/$p and run make apply again."
			fi
		done <<<"$numstat"
		die "patches/$p no longer applies without fuzz to Linux $(tree_version "$TREE") ($(sed -n 2p "$BUILD/base"))" \
			"after the patches before it: rebase it on this tree. More is in build/log/apply.log."
	fi
done

# A file edited by hand in build/linux is somebody's work: never overwrite it silently.
for f in "${!ours[@]}"; do
	if [[ -z ${FORCE:-} ]] && edited "$f" && ! cmp -s "$TREE/$f" "$SCRATCH/$f" &&
		! cmp -s "$TREE/$f" "$STATE/stock/$f"; then
		die "build/linux/$f was edited by hand: move the change to the overlay or to a patch," \
			"or run make apply FORCE=1 to drop it."
	fi
done

# Only now the tree. The list first names old and new, so that a run cut short loses nothing.
printf '%s\n' "${!ours[@]}" "${!target[@]}" | sed '/^$/d' | sort -u >"$STATE/files.new"
rm -f "$STATE/inputs"
for f in "${!target[@]}"; do
	if [[ -z ${ours[$f]:-} && -e $TREE/$f ]]; then
		mkdir -p "$STATE/stock/$(dirname "$f")"
		cp -p "$TREE/$f" "$STATE/stock/$f.new"
		mv "$STATE/stock/$f.new" "$STATE/stock/$f"
	fi
done
mv "$STATE/files.new" "$STATE/files"

# put FROM FILE: FILE of the tree gets this content. By rename: the tree may share files with another.
written=0
put() {
	if cmp -s "$1" "$TREE/$2" && [[ $(stat -c %a "$1") == "$(stat -c %a "$TREE/$2")" ]]; then
		return
	fi
	mkdir -p "$TREE/$(dirname "$2")"
	cp --preserve=mode "$1" "$TREE/$2.portlock-new"
	mv -f "$TREE/$2.portlock-new" "$TREE/$2"
	written=$((written + 1))
}
for f in "${!target[@]}"; do
	put "$SCRATCH/$f" "$f"
done
for f in "${!ours[@]}"; do
	[[ -z ${target[$f]:-} ]] || continue
	if [[ -e $STATE/stock/$f ]]; then
		put "$STATE/stock/$f" "$f"
	else
		rm -f "$TREE/$f"
		rmdir -p --ignore-fail-on-non-empty "$TREE/$(dirname "$f")" 2>/dev/null || true
		written=$((written + 1))
	fi
done

rm -rf "$STATE/last"
mv "$SCRATCH" "$STATE/last"

# The price: changed lines of existing files (added and removed), and new files beside them.
changed=0 minus=0 existing=0 added=0 new=0
for f in "${!target[@]}"; do
	[[ ${target[$f]} == patch ]] || continue
	if [[ -e $STATE/stock/$f ]]; then
		while read -r plus less; do
			changed=$((changed + plus + less))
			minus=$((minus + less))
		done < <(diff -U0 "$STATE/stock/$f" "$STATE/last/$f" | sed 1,2d |
			awk '/^[+]/ { p++ } /^-/ { m++ } END { print p + 0, m + 0 }')
		existing=$((existing + 1))
	else
		added=$((added + $(wc -l <"$STATE/last/$f")))
		new=$((new + 1))
	fi
done
printf '%s\n' "${!target[@]}" | sed '/^$/d' | sort >"$STATE/files.new"
mv "$STATE/files.new" "$STATE/files"
# Stock copies go only once nothing refers to them.
for f in "${!ours[@]}"; do
	if [[ -z ${target[$f]:-} ]]; then
		rm -f "$STATE/stock/$f"
	fi
done
# What the configuration depends on, for build.sh.
(cd "$STATE/last" && find . -name 'Kconfig*' -type f -exec sha256sum {} +) | sort | sha256sum >"$STATE/kconfig"
printf '%s overlay files, %s patches: %s changed lines in existing files (+%s -%s in %s, limit %s), %s lines of new files (%s)\n' \
	"${#overlay[@]}" "${#patches[@]}" "$changed" $((changed - minus)) "$minus" "$existing" "$LIMIT" \
	"$added" "$new" >"$STATE/summary"
if ((${#patches[@]} == 0)) && [[ $count == all ]]; then
	say apply "patches/series is missing or empty: only the overlay is laid over the tree"
fi
say apply "$(<"$STATE/summary"); $written written"
if ((changed > LIMIT)); then
	die "The patches change $changed lines of existing kernel files, and the limit is $LIMIT:" \
		"move code to the overlay, or to new headers."
fi
printf '%s\n' "$inputs" >"$STATE/inputs"
