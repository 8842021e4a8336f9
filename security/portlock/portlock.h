/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Portlock - Functions in Rust that C calls
 *
 * What C Landlock calls is declared in security/landlock/front.h.
 */

#ifndef _SECURITY_PORTLOCK_PORTLOCK_H
#define _SECURITY_PORTLOCK_PORTLOCK_H

#include <linux/types.h>
#include <uapi/linux/landlock.h>

long portlock_create_ruleset(const struct landlock_ruleset_attr __user *attr,
			     size_t size, __u32 flags);
long portlock_add_rule(int ruleset_fd, enum landlock_rule_type rule_type,
		       const void __user *rule_attr, __u32 flags);
long portlock_restrict_self(int ruleset_fd, __u32 flags);

#endif /* _SECURITY_PORTLOCK_PORTLOCK_H */
