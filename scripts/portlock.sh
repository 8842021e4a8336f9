#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Builds the portlock command as a program without shared libraries: build/portlock. It does nothing if
# nothing has changed.
#
#   portlock.sh [test | lint]
#
# With "test", it runs the tests of the workspace instead, and prints what they print. With "lint", it runs
# rustfmt and clippy.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
take_lock
load_toolchain

WORKSPACE=$ROOT/tools/portlock
TARGET=x86_64-unknown-linux-gnu
OUT=$BUILD/portlock
export CARGO_TARGET_DIR=$BUILD/cargo RUSTC RUSTDOC RUSTFMT CLIPPY_DRIVER

CARGO=$(dirname "$RUSTC")/cargo
[[ -x $CARGO ]] || CARGO=$(command -v cargo) || die "cargo is missing: run make setup."
PATH=$(dirname "$RUSTC"):$(dirname "$CARGO"):$PATH

cargo_in() {
	(cd "$WORKSPACE" && "$CARGO" "$@")
}

case ${1:-} in
test)
	cargo_in test --workspace --locked
	exit
	;;
lint)
	cargo_in fmt --all --check
	cargo_in clippy --quiet --workspace --all-targets --locked -- -D warnings
	exit
	;;
esac

# glibc is linked statically, and the target has to be named, or the flag would also be for what runs while building.
if ! RUSTFLAGS="-C target-feature=+crt-static" step portlock "build/portlock, the command" \
	cargo_in build --release --locked --target "$TARGET" -p portlock-cli; then
	if grep -qE 'failed to (fetch|download|get|query)|download of|network failure|Could(n.t| not) (resolve|connect)' "$LOGS/portlock.log"; then
		die "cargo cannot reach its registry. Check the network."
	fi
	die "The command could not be built. The whole log is build/log/portlock.log."
fi
if ! cmp -s "$CARGO_TARGET_DIR/$TARGET/release/portlock" "$OUT"; then
	install -m 755 "$CARGO_TARGET_DIR/$TARGET/release/portlock" "$OUT"
fi
if ldd "$OUT" 2>/dev/null | grep -q '=>'; then
	die "build/portlock needs shared libraries, and should not."
fi
