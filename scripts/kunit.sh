#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Runs the unit tests under User-Mode Linux. kunit.py configures and runs them. This script builds them
# itself, so that it can show progress and leave a log. NAME=pattern selects suites or single tests, as
# kunit.py does: suite or suite.test.
#
#   kunit.sh [build]
#
# With "build", it only builds the tests: build/kunit/linux.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
take_lock
load_toolchain

OUT=$BUILD/kunit
KUNITCONFIG=$TREE/security/portlock
[[ -f $KUNITCONFIG/.kunitconfig ]] || die "security/portlock/.kunitconfig, which selects the unit tests, is missing."
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
	die "The unit tests did not build. The whole log is build/log/kunit.log."

if [[ ${1:-} == build ]]; then
	exit 0
fi

# The output goes to the terminal and to the log.
rc=0
kunit exec --arch=um --build_dir "$OUT" --timeout 300 ${NAME:+"$NAME"} 2>&1 </dev/null |
	tee "$LOGS/kunit-run.log" || rc=$?
if ((rc)); then
	die "The unit tests failed. The output is in build/log/kunit-run.log."
fi
