#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Builds the kernel of build/linux in build/kernel: bzImage and the modules. The build of the modules
# also makes what an out-of-tree module needs. The configuration comes only from the fragments, and each
# option that they name must end up as they say.
#
#   build.sh [--tree DIR --out DIR] [--base FILE] [--allow-unknown] [TARGET...]
#
# With --base, the built-in options of FILE, a whole configuration, are kept where the fragments name no other.
#
# FRAGMENTS="a b" in the environment replaces product.config and test.config.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
take_lock
load_toolchain

OUT=$BUILD/kernel
name=kernel
unknown=refuse
base=
while (($#)); do
	case $1 in
	--tree) TREE=$2; shift 2 ;;
	--out) OUT=$2; name=$(basename "$2"); shift 2 ;;
	--base) base=$(realpath -e "$2"); shift 2 ;;
	--allow-unknown) unknown='allow'; shift ;;
	*) break ;;
	esac
done
targets=("$@")

cd "$ROOT"
# The kernel's make runs in the tree and would look for a relative folder there.
OUT=$(realpath -m "$OUT")
read -ra fragments <<<"${FRAGMENTS:-tests/config/product.config tests/config/test.config}"
for f in "${fragments[@]}"; do
	[[ -f $f ]] || die "The configuration fragment $f does not exist." \
		"FRAGMENTS names files relative to the top of the repository."
done
[[ -d $TREE ]] || die "There is no kernel tree in build/linux: run make apply."
mkdir -p "$OUT"

# wanted: the last setting of each option in the fragments, in the format of .config.
wanted() {
	cat "${fragments[@]}" | awk '
		match($0, /^CONFIG_[A-Za-z0-9_]+=/) { name = substr($0, 1, RLENGTH - 1) }
		match($0, /^# CONFIG_[A-Za-z0-9_]+ is not set/) { name = $2 }
		/^(CONFIG_|# CONFIG_.* is not set)/ {
			if (!(name in line)) order[++n] = name
			line[name] = $0
		}
		END { for (i = 1; i <= n; i++) print line[order[i]] }'
}

kconfig_state() {
	cat "$TOOLCHAIN" "${fragments[@]}" ${base:+"$base"} "$BUILD/base"
	cat "$(dirname "$TREE")/apply/kconfig" 2>/dev/null || true
}

configure() {
	local key want missing=()
	key=$(kconfig_state | sha256sum)
	if [[ -f $OUT/.config && -f $OUT/portlock.key && $(<"$OUT/portlock.key") == "$key" ]]; then
		return
	fi
	rm -f "$OUT/portlock.key"
	wanted >"$OUT/portlock.fragment"
	local how=(KCONFIG_ALLCONFIG="$OUT/portlock.fragment" allnoconfig)
	if [[ -n $base ]]; then
		sed -E 's/^(CONFIG_[A-Za-z0-9_]+)=m$/# \1 is not set/' "$base" | cat - "$OUT/portlock.fragment" >"$OUT/.config"
		how=(olddefconfig)
	fi
	step "config" "$(wc -l <"$OUT/portlock.fragment") options from ${fragments[*]##*/}" kmake "$TREE" "$OUT" "${how[@]}" ||
		die "The kernel could not be configured."
	while IFS= read -r want; do
		# An option that must not be set may also be absent.
		if [[ $want == '# '* ]]; then
			want=${want#\# }
			want=${want%% *}
			if grep -q "^$want=" "$OUT/.config"; then
				missing+=("${want} (wanted unset)")
			fi
		elif [[ $want == *=n ]]; then
			if grep -q "^${want%=n}=" "$OUT/.config"; then
				missing+=("${want}")
			fi
		elif ! grep -qxF -- "$want" "$OUT/.config"; then
			if [[ $unknown == allow ]] && ! stock_option "${want%%=*}"; then
				continue
			fi
			missing+=("$want")
		fi
	done <"$OUT/portlock.fragment"
	if ((${#missing[@]})); then
		die "The kernel did not accept these options: ${missing[*]}." \
			"Check their names, and that the fragments also set the options that they depend on."
	fi
	printf '%s\n' "$key" >"$OUT/portlock.key"
}

# stock_option CONFIG_X: is it an option of the stock kernel? Kconfig does not know the overlay's options
# until a patch names the overlay's file.
stock_option() {
	grep -rqE --include='Kconfig*' --exclude-dir=portlock "^[[:space:]]*(menu)?config ${1#CONFIG_}\$" "$TREE"
}

configure

if ((${#targets[@]} == 0)); then
	targets=(bzImage)
	if grep -q '^CONFIG_MODULES=y' "$OUT/.config"; then
		targets+=(modules)
	fi
	# Kbuild takes many seconds to find that there is nothing to do. Comparing file times takes one.
	stamp=$OUT/portlock.stamp
	if [[ -f $stamp && -f $OUT/arch/x86/boot/bzImage && ! $OUT/portlock.key -nt $stamp ]] &&
		[[ ! $TOOLCHAIN -nt $stamp && ! $BUILD/apply/inputs -nt $stamp && -z $(find "$TREE" -type f -newer "$stamp" -print -quit) ]]; then
		say "$name" "nothing to do: ${OUT#"$ROOT"/}/arch/x86/boot/bzImage is up to date"
		exit 0
	fi
	touch "$stamp.new"
	if [[ ! -f $OUT/vmlinux ]]; then
		need_space 4000 "The kernel's build"
	fi
	step "$name" "building ${targets[*]}" kmake "$TREE" "$OUT" "${targets[@]}" ||
		die "The kernel did not build. The whole log is build/log/$name.log."
	mv "$stamp.new" "$stamp"
	say "$name" "${OUT#"$ROOT"/}/arch/x86/boot/bzImage, $(($(stat -c %s "$OUT/arch/x86/boot/bzImage") / 1024)) KiB"
else
	step "$name" "building ${targets[*]}" kmake "$TREE" "$OUT" "${targets[@]}" ||
		die "The kernel did not build. The whole log is build/log/$name.log."
fi
