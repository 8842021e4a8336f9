#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
# Makes build/deb/root.img, a disk with a small Debian that the packages of make deb are tried in, and build/deb/grub, which
# starts what that disk's own grub.cfg says. Both are made of packages of one suite, whatever release this machine has. It
# does nothing if they are there.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
take_lock

SUITE=trixie
OUT=$BUILD/deb
PACKAGES=(apparmor ca-certificates curl dbus e2fsprogs grub-pc-bin grub2-common initramfs-tools iproute2 kmod
	linux-image-cloud-amd64 openssh-client openssh-server python3 systemd-resolved systemd-sysv udev zstd)
UUID=6e0a94b2-7d5c-4c9e-9f35-0c0b5a3f1a11
key=$(sha256sum "$0" | cut -d ' ' -f 1)
[[ ! -f $OUT/root.key || $(<"$OUT/root.key") != "$key" ]] || exit 0

# What becomes of the root before it is a disk: $1 is its folder.
prepare() {
	local root=$1
	echo debian >"$root/etc/hostname"
	printf '127.0.0.1 localhost debian\n::1 localhost\n' >"$root/etc/hosts"
	printf 'UUID=%s / ext4 defaults 0 1\n' "$UUID" >"$root/etc/fstab"
	printf 'root:portlock' | chroot "$root" chpasswd
	printf '[Match]\nName=e*\n[Network]\nDHCP=yes\n' >"$root/etc/systemd/network/lan.network"
	# Only what the tests bring is looked for.
	rm -f "$root"/etc/apt/sources.list "$root"/etc/apt/sources.list.d/*
	cat >"$root/etc/default/grub" <<-END
		GRUB_TIMEOUT=0
		GRUB_CMDLINE_LINUX_DEFAULT=
		GRUB_CMDLINE_LINUX="console=ttyS0 panic=-1 oops=panic"
		GRUB_TERMINAL=serial
		GRUB_DISABLE_OS_PROBER=true
	END
	# The first start. From the first kernel that is installed on, update-grub writes this file.
	mkdir -p "$root/boot/grub"
	cat >"$root/boot/grub/grub.cfg" <<-END
		linux /vmlinuz root=UUID=$UUID ro console=ttyS0 panic=-1 oops=panic
		initrd /initrd.img
		boot
	END
	cat >"$root/etc/systemd/system/harness.service" <<-END
		[Unit]
		Description=The tests that come with the disk named payload
		After=multi-user.target ssh.service apparmor.service
		[Service]
		Type=simple
		ExecStart=/bin/sh -c 'mkdir -p /var/lib/harness && cd /var/lib/harness && tar -xf /dev/disk/by-id/virtio-payload && exec ./run'
		[Install]
		WantedBy=graphical.target
	END
	chroot "$root" systemctl enable harness.service systemd-networkd.service ssh.service
	# Where the drives of any kind are, grub's own loader finds them through the firmware.
	cat >"$root/tmp/early.cfg" <<-END
		serial
		terminal_output serial
		search --set=root --fs-uuid $UUID
		set prefix=(\$root)/boot/grub
		configfile /boot/grub/grub.cfg
	END
	mkdir -p "$root/boot/grub/i386-pc"
	cp "$root"/usr/lib/grub/i386-pc/*.{mod,lst} "$root/boot/grub/i386-pc/"
	chroot "$root" grub-mkimage -O i386-pc -c /tmp/early.cfg -p /boot/grub -o /tmp/core.img \
		biosdisk ext2 search search_fs_uuid configfile normal linux gzio serial terminal boot echo test
	cat "$root/usr/lib/grub/i386-pc/lnxboot.img" "$root/tmp/core.img" >"$OUT/grub"
	rm -f "$root"/tmp/* "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*_*
	rm -f "$OUT/root.img"
	# Bound elsewhere, the root is without the mounts that are in it while it is made.
	mkdir -p "$OUT/root"
	mount --bind "$root" "$OUT/root"
	/sbin/mke2fs -q -t ext4 -U "$UUID" -d "$OUT/root" "$OUT/root.img" 3G
	umount "$OUT/root"
	rmdir "$OUT/root"
}

if [[ ${1:-} == prepare ]]; then
	prepare "$2"
	exit
fi

mkdir -p "$OUT" "$LOGS"
need_space 4000 "The disk with Debian"
IFS=$'\t' read -r mirror signed < <(debian_source) || die "/etc/apt names no Debian mirror."
export TMPDIR=$OUT
step root "a disk with Debian, of ${#PACKAGES[@]} packages and what they need" mmdebstrap --variant=minbase --format=null \
	--keyring="${signed:-/usr/share/keyrings/debian-archive-keyring.gpg}" --components=main \
	--include="$(IFS=,; echo "${PACKAGES[*]}")" --customize-hook="$ROOT/scripts/root.sh prepare \"\$1\"" \
	"$SUITE" /dev/null "$mirror" ||
	die "The disk with Debian could not be made. The whole log is build/log/root.log."
printf '%s\n' "$key" >"$OUT/root.key"
