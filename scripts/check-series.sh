#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Every prefix of the series builds: the whole overlay without a patch, which shows that its files
# do nothing by themselves, then each prefix of what make export sends: the first patches with the
# files that they wire. In build/series, a copy of the tree by hard links (apply.sh replaces files,
# never writes into them) and an object folder of its own. FROM=n starts at the n-th patch.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
take_lock
load_toolchain

mapfile -t overlay < <(overlay_files)
mapfile -t patches < <(series_patches)
check_overlay
start=$SECONDS
first=${FROM:-0}
SERIES_TREE=$BUILD/series/linux
SERIES_STATE=$BUILD/series/apply
need_space 4000 "A build of every prefix of the series"

# The copy follows build/linux's stock content: a new one for each run costs seconds.
rm -rf "$SERIES_TREE" "$SERIES_STATE"
mkdir -p "$BUILD/series"
cp -al "$TREE" "$SERIES_TREE"
cp -a "$BUILD/apply" "$SERIES_STATE"
rm -f "$SERIES_STATE/inputs"

for ((n = first; n <= ${#patches[@]}; n++)); do
	if ((n == 0)); then
		what="the overlay alone"
	else
		what="patch $n of ${#patches[@]}, ${patches[n - 1]}"
	fi
	say series "$what"
	"$ROOT/scripts/apply.sh" --tree "$SERIES_TREE" --state "$SERIES_STATE" --patches "$n"
	# Until the last patch has come, options of Portlock's own may be unknown.
	lenient=()
	if ((n < ${#patches[@]})); then
		lenient=(--allow-unknown)
	fi
	"$ROOT/scripts/build.sh" --tree "$SERIES_TREE" --out "$BUILD/series/kernel" "${lenient[@]}" vmlinux modules ||
		die "The series does not build after $what: a prefix must build, so that a bisection can stop there."
done
say series "every prefix builds: $((${#patches[@]} - first + 1)) builds in $(elapsed $((SECONDS - start)))"
