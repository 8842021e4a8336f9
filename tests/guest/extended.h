/* SPDX-License-Identifier: GPL-2.0 */
/* The system calls for extended rulesets. */

#ifndef EXTENDED_H
#define EXTENDED_H

#include <linux/landlock.h>
#include <linux/portlock.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline bool has_extended(void)
{
	return syscall(__NR_landlock_create_ruleset, NULL, 0,
		       PORTLOCK_CREATE_RULESET) > 0;
}

static inline int create_extended(const uint64_t access,
				  const uint64_t permissions)
{
	const struct portlock_ruleset_attr attr = {
		.handled_access_net = access,
		.handled_permissions = permissions,
	};

	return syscall(__NR_landlock_create_ruleset, &attr, sizeof(attr),
		       PORTLOCK_CREATE_RULESET);
}

static inline int add_net_rule(const int fd,
			       const struct portlock_net_attr *const rule)
{
	return syscall(__NR_landlock_add_rule, fd, PORTLOCK_RULE_NET, rule, 0);
}

#endif /* EXTENDED_H */
