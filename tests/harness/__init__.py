# SPDX-License-Identifier: GPL-2.0
"""The QEMU harness: builds a guest out of busybox and kselftests, boots it, reads what it says."""
