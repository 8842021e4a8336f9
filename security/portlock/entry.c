// SPDX-License-Identifier: GPL-2.0-only
/*
 * Portlock - Entry points of the system calls
 *
 * The SYSCALL_DEFINEn() macros and copy_struct_from_user(), an inline function,
 * exist only in C.  The system calls are documented in
 * security/landlock/syscalls.c and implemented in syscalls.rs.
 */

#include <linux/syscalls.h>
#include <linux/uaccess.h>

#include "portlock.h"

SYSCALL_DEFINE3(landlock_create_ruleset,
		const struct landlock_ruleset_attr __user *const, attr,
		const size_t, size, const __u32, flags)
{
	return portlock_create_ruleset(attr, size, flags);
}

SYSCALL_DEFINE4(landlock_add_rule, const int, ruleset_fd,
		const enum landlock_rule_type, rule_type,
		const void __user *const, rule_attr, const __u32, flags)
{
	return portlock_add_rule(ruleset_fd, rule_type, rule_attr, flags);
}

SYSCALL_DEFINE2(landlock_restrict_self, const int, ruleset_fd, const __u32,
		flags)
{
	return portlock_restrict_self(ruleset_fd, flags);
}

/* For abi.rs. */
int portlock_copy_struct_from_user(void *const dst, const size_t ksize,
				   const void __user *const src,
				   const size_t usize)
{
	return copy_struct_from_user(dst, ksize, src, usize);
}
