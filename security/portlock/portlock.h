/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Portlock - Functions that C and Rust call from each other in this folder
 *
 * security/landlock/front.h has the functions that C Landlock and Portlock call
 * from each other.
 */

#ifndef _SECURITY_PORTLOCK_PORTLOCK_H
#define _SECURITY_PORTLOCK_PORTLOCK_H

#include <linux/lsm_audit.h>
#include <linux/tracepoint-defs.h>
#include <linux/types.h>
#include <uapi/linux/landlock.h>

struct landlock_ruleset;
struct sockaddr;

/* The system calls, cf. syscalls.rs and entry.c. */
long portlock_create_ruleset(const struct landlock_ruleset_attr __user *attr,
			     size_t size, __u32 flags);
long portlock_add_rule(int ruleset_fd, enum landlock_rule_type rule_type,
		       const void __user *rule_attr, __u32 flags);
long portlock_restrict_self(int ruleset_fd, __u32 flags);

#ifdef CONFIG_TRACEPOINTS
DECLARE_TRACEPOINT(landlock_check_rule_net_port);
#endif /* CONFIG_TRACEPOINTS */

/**
 * struct portlock_layer - Access rights of one layer for a port
 */
struct portlock_layer {
	/**
	 * @access: Access rights.  The function that gets them says which.
	 */
	u32 access;
	/**
	 * @level: Position of the layer in Landlock's domain, starting from 1.
	 */
	u8 level;
	/**
	 * @quiet: Whether the layer's rule for the port is quiet.
	 */
	bool quiet;
};

/* Records of network rules and of decisions, cf. landlock.c. */
void portlock_note_net_rule(struct landlock_ruleset *const ruleset,
			    const u16 port, const u32 access, const u32 flags);
void portlock_trace_check(const u16 port, const u32 access_request,
			  const struct portlock_layer *const layers,
			  const u32 num_layers);
void portlock_log_denial(struct lsm_network_audit *const audit_net,
			 const struct sockaddr *const address,
			 const int addrlen, const u16 socket_family,
			 const struct portlock_layer *const layer);

#endif /* _SECURITY_PORTLOCK_PORTLOCK_H */
