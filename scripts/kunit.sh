#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# The unit tests under User-Mode Linux: kunit.py configures and runs, the build in between is ours,
# so that it shows progress and leaves a log. NAME=pattern names suites or suite.test, as kunit.py does.
#
#   kunit.sh [build]
#
# With "build", the tests are only built, as build/kunit/linux.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
take_lock
load_toolchain

OUT=$BUILD/kunit
KUNITCONFIG=$TREE/security/portlock
[[ -f $KUNITCONFIG/.kunitconfig ]] || die "security/portlock/.kunitconfig is missing: it says which unit tests to run."
options=()
for o in "${KMAKE[@]}"; do
	options+=(--make_options "$o")
done

kunit() {
	(cd "$TREE" && env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL python3 tools/testing/kunit/kunit.py "$@")
}

key=$({
	cat "$TOOLCHAIN" "$BUILD/base" "$KUNITCONFIG/.kunitconfig"
	cat "$BUILD/apply/kconfig" 2>/dev/null || true
} | sha256sum)
mkdir -p "$OUT"
if [[ ! -f $OUT/.config || ! -f $OUT/portlock.key || $(<"$OUT/portlock.key") != "$key" ]]; then
	rm -f "$OUT/portlock.key"
	step kunit-config "User-Mode Linux from security/portlock/.kunitconfig" \
		kunit config --arch=um "${options[@]}" --kunitconfig "$KUNITCONFIG" --build_dir "$OUT" ||
		die "The unit tests could not be configured."
	printf '%s\n' "$key" >"$OUT/portlock.key"
fi
step kunit "building User-Mode Linux" kmake "$TREE" "$OUT" ARCH=um all ||
	die "The unit tests did not build; the whole log is build/log/kunit.log."

if [[ ${1:-} == build ]]; then
	exit 0
fi

# The result is what was asked for: on the terminal, and kept.
rc=0
kunit exec --arch=um --build_dir "$OUT" --timeout 300 ${NAME:+"$NAME"} 2>&1 </dev/null |
	tee "$LOGS/kunit-run.log" || rc=$?
if ((rc)); then
	die "The unit tests failed; the output is in build/log/kunit-run.log."
fi
