# SPDX-License-Identifier: GPL-2.0
"""The QEMU harness: builds a guest from busybox and kselftests, boots it, and reads its results."""
