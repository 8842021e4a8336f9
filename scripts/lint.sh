#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Looks over everything that is ours. Every check runs, and any finding makes the whole fail.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
take_lock
load_toolchain

failed=()
mkdir -p "$LOGS"

# check NAME TEXT COMMAND...: silent when all is well, else shows the output.
check() {
	local name=$1 text=$2 log=$LOGS/lint-$1.log
	shift 2
	if "$@" >"$log" 2>&1 </dev/null; then
		say lint "$name: $text"
	else
		head -n 60 "$log"
		say lint "$name: FAILED, $text (build/log/lint-$name.log)"
		failed+=("$name")
	fi
}

skip() {
	say lint "$1: nothing to look at"
}

cd "$ROOT"
mapfile -t overlay < <(overlay_files)
mapfile -t patches < <(series_patches)
mapfile -t rust < <(printf '%s\n' "${overlay[@]}" | grep '\.rs$' || true)
mapfile -t c < <(printf '%s\n' "${overlay[@]}" | grep '\.[ch]$' || true)
mapfile -t kernel_text < <(printf '%s\n' "${overlay[@]}" |
	grep -E '\.([ch]|rs)$|(^|/)(Kconfig|Makefile)$' || true)
# Existing Rust files that a patch changes, and headers that it adds.
mapfile -t patched_rust < <(grep '\.rs$' "$BUILD/apply/files" | grep -vxF -f <(printf '%s\n' "${rust[@]:-}") || true)
mapfile -t added_headers < <(grep '\.h$' "$BUILD/apply/files" | while IFS= read -r f; do
	[[ -e $BUILD/apply/stock/$f || -e $ROOT/$f ]] || printf '%s\n' "$f"
done)
if [[ -d .git ]]; then
	mapfile -t own < <(git ls-files -co --exclude-standard -- Makefile .ci scripts tests tools rust security)
else
	mapfile -t own < <(find .ci scripts tests tools rust security -type f)
fi

# --- Rust ---
rustfmt_check() {
	"$RUSTFMT" --check --color never --edition 2021 --config-path "$TREE/.rustfmt.toml" "$@"
}
if ((${#rust[@]} + ${#patched_rust[@]})); then
	programs=(tests/interleave/*.rs tests/module/*.rs tests/spec/*.rs)
	check rustfmt "$((${#rust[@]} + ${#patched_rust[@]} + ${#programs[@]})) files" \
		rustfmt_check "${rust[@]}" "${patched_rust[@]/#/$TREE/}" "${programs[@]}"
else
	skip rustfmt
fi

# Clippy runs as the kernel's compiler, on the real objects with their tests, in a folder of its own.
clippy() {
	local out=$BUILD/clippy log=$LOGS/clippy.log key findings
	mkdir -p "$out"
	cat tests/config/product.config tests/config/test.config security/portlock/.kunitconfig 2>/dev/null |
		grep -E '^CONFIG_' >"$out/portlock.fragment.new" || true
	key=$({ cat "$out/portlock.fragment.new" "$TOOLCHAIN" "$BUILD/base"; cat "$BUILD/apply/kconfig"; } | sha256sum)
	if [[ ! -f $out/.config || ! -f $out/portlock.key || $(<"$out/portlock.key") != "$key" ]]; then
		step clippy-config "the kernel's options and the unit tests" kmake "$TREE" "$out" \
			KCONFIG_ALLCONFIG="$out/portlock.fragment.new" allnoconfig || return
		printf '%s\n' "$key" >"$out/portlock.key"
	fi
	# Warnings show only when something is compiled.
	rm -f "$out"/rust/kernel.o "$out"/rust/libmacros*.so "$out"/security/portlock/*.o
	step clippy "the kernel crate, the macros and security/portlock" \
		kmake "$TREE" "$out" CLIPPY=1 prepare rust/ security/portlock/ || return
	# A finding names its place in the line or two after it.
	findings=$(awk -v ours="$(printf '%s\n' "${rust[@]}" "${patched_rust[@]}")" '
		BEGIN { n = split(ours, name, "\n") }
		/^(warning|error)/ { block = $0; open = 1; next }
		/^[[:space:]]*$/ { open = 0 }
		open {
			block = block "\n" $0
			if ($1 == "-->") {
				for (i = 1; i <= n; i++)
					if (name[i] != "" && index($2, name[i] ":")) { print block; break }
				open = 0
			}
		}' "$log")
	if [[ -n $findings ]]; then
		printf '%s\n' "$findings"
		return 1
	fi
}
if ((${#rust[@]})) && [[ -f $TREE/security/portlock/Makefile ]] && ((${#patches[@]})); then
	if out=$(clippy 2>&1); then
		say lint "clippy: the kernel crate and security/portlock"
	else
		printf '%s\n' "$out"
		say lint "clippy: FAILED (build/log/clippy.log)"
		failed+=(clippy)
	fi
else
	skip clippy
fi

check command "rustfmt and clippy of tools/portlock" scripts/portlock.sh lint

# What STYLE asks of the policy: no unsafe code, and no bindings. Comments may name them.
policy() {
	local f bad=0
	for f in access endpoint ports nets columns rules frozen ruleset domain index verdict service flow cached socket subject \
		hooks denial kinds prefixes opened spec model; do
		f=security/portlock/$f.rs
		[[ -f $f ]] || continue
		if sed 's|//.*||' "$f" | grep -nE '\bunsafe\b|\bbindings\b'; then
			printf '%s: policy is safe Rust and does not see the C bindings\n' "$f"
			bad=1
		fi
	done
	return "$bad"
}
check policy "no unsafe and no bindings in the policy modules" policy
check layers "the files of security/portlock import one way, down the list in portlock.rs" \
	python3 -B scripts/layers.py security/portlock/portlock.rs

# The specification stands alone: its examples, and laws that its answers keep.
specification() {
	mkdir -p "$BUILD/spec"
	"$RUSTC" --edition 2021 --test -D warnings -o "$BUILD/spec/examples" security/portlock/spec.rs &&
		"$BUILD/spec/examples" &&
		"$RUSTC" --edition 2021 -D warnings -o "$BUILD/spec/predict" tests/spec/predict.rs &&
		"$RUSTC" --edition 2021 -O -D warnings -o "$BUILD/spec/laws" tests/spec/laws.rs &&
		"$BUILD/spec/laws"
}
check spec "the specification agrees with its examples, and keeps its laws" specification

# --- C, patches and texts ---
# FILE_PATH_CHANGES asks for MAINTAINERS, which a series outside the tree leaves alone;
# MACRO_ARG_UNUSED does not know macros that count their arguments.
CHECKPATCH=(perl "$TREE/scripts/checkpatch.pl" --root="$TREE" --no-signoff --quiet --show-types --color=never
	--ignore "FILE_PATH_CHANGES,MISSING_SIGN_OFF,NO_AUTHOR_SIGN_OFF,UNKNOWN_COMMIT_ID,MACRO_ARG_UNUSED")
checkpatch_files() {
	local f rc=0 more
	for f in "$@"; do
		more=()
		case $f in
		# Programs: no kernel macros, ENOSYS is what they see, and the harness's macros mislead SPACING.
		tools/*) more=(--ignore "ENOSYS,PREFER_DEFINED_ATTRIBUTE_MACRO,SPACING") ;;
		esac
		(cd "$TREE" && "${CHECKPATCH[@]}" "${more[@]}" -f "$f") || rc=1
	done
	return "$rc"
}
checkpatch_patches() {
	local p rc=0
	for p in "$@"; do
		(cd "$TREE" && "${CHECKPATCH[@]}" "$ROOT/patches/$p") || { printf 'in patches/%s\n' "$p"; rc=1; }
	done
	return "$rc"
}
kernel_doc() {
	(cd "$TREE" && python3 scripts/kernel-doc -none -Wall -Werror "$@")
}
if ((${#kernel_text[@]})); then
	check checkpatch "${#kernel_text[@]} files of the overlay" checkpatch_files "${kernel_text[@]}"
else
	skip checkpatch
fi
# The series names every patch once, in the order of their numbers, and leaves out none of these.
numbers() {
	local p due=1 rc=0
	for p in "${patches[@]}"; do
		if [[ $p != [0-9][0-9][0-9][0-9]-* ]] || ((10#${p%%-*} != due)); then
			printf 'patches/series names %s where number %04d is due\n' "$p" "$due"
			rc=1
		fi
		[[ $p != [0-9][0-9][0-9][0-9]-* ]] || due=$((10#${p%%-*} + 1))
	done
	while IFS= read -r p; do
		printf 'patches/%s is not named in patches/series\n' "$p"
		rc=1
	done < <(find patches -name '*.patch' -printf '%P\n' | grep -vxF -f <(printf '%s\n' "${patches[@]}"))
	return "$rc"
}
check numbers "patches are numbered without a gap" numbers
if ((${#patches[@]})); then
	check checkpatch-patches "${#patches[@]} patches" checkpatch_patches "${patches[@]}"
else
	skip checkpatch-patches
fi
mapfile -t documented < <(printf '%s\n' "${c[@]}" "${added_headers[@]}" | grep -v '^tools/' | sed '/^$/d' || true)
if ((${#documented[@]})); then
	check kernel-doc "${#documented[@]} C files" kernel_doc "${documented[@]}"
else
	skip kernel-doc
fi

# --- Scripts ---
mapfile -t shell < <(printf '%s\n' "${own[@]}" | while IFS= read -r f; do
	if [[ -f $f ]] && head -n 1 "$f" | grep -qE '^#!.*\b(ba|da|)sh\b' || [[ $f == *.sh ]]; then
		printf '%s\n' "$f"
	fi
done)
mapfile -t python < <(printf '%s\n' "${own[@]}" | grep '\.py$' || true)
# SC2187: a busybox script is checked as dash, which is right.
check shellcheck "${#shell[@]} scripts" shellcheck --exclude=SC2187 "${shell[@]}"
python_compile() {
	python3 - "$@" <<-'END'
		import ast, sys
		for name in sys.argv[1:]:
		    with open(name, encoding="utf-8") as f:
		        compile(f.read(), name, "exec", ast.PyCF_ONLY_AST)
	END
}
if ((${#python[@]})); then
	check python "${#python[@]} files compile" python_compile "${python[@]}"
fi
check harness "the harness passes its own tests" \
	python3 -B -m unittest discover -q -s tests/harness -t tests

# Every file of the repository says its licence; patches carry it inside.
licence() {
	local f rc=0
	while IFS= read -r f; do
		case $f in
		COPYING | KERNEL_VERSION | patches/*.patch) continue ;;
		# cargo writes it.
		tools/portlock/Cargo.lock) continue ;;
		# The kernel's own files of these names have none: tools read them whole.
		*.json | *.txt | */.kunitconfig | tools/testing/selftests/*/config) continue ;;
		esac
		[[ -s $f ]] || continue
		head -n 5 "$f" | grep -q 'SPDX-License-Identifier:' || { printf '%s has no SPDX line\n' "$f"; rc=1; }
	done < <(git ls-files)
	return "$rc"
}
if [[ -d .git ]]; then
	check licence "an SPDX line in every file" licence
fi

if ((${#failed[@]})); then
	die "make lint found something in: ${failed[*]}."
fi
say lint "all clean"
