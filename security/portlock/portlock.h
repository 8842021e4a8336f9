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
#include <uapi/linux/portlock.h>

struct landlock_ruleset;
struct msghdr;
struct sock;
struct sockaddr;

/* The system calls, cf. syscalls.rs and entry.c. */
long portlock_create_ruleset(const struct landlock_ruleset_attr __user *attr,
			     size_t size, __u32 flags);
long portlock_add_rule(int ruleset_fd, enum landlock_rule_type rule_type,
		       const void __user *rule_attr, __u32 flags);
long portlock_restrict_self(int ruleset_fd, __u32 flags);
int portlock_copy_struct_from_user(void *const dst, const size_t ksize,
				   const void __user *const src,
				   const size_t usize);

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

/**
 * struct portlock_denial - What was denied, for audit and trace
 */
struct portlock_denial {
	/**
	 * @blockers: What audit prints as blockers.
	 */
	const char *blockers;
	/**
	 * @sk: The socket, or NULL if there is none.  Only a denied listen(2)
	 * holds its lock.
	 */
	const struct sock *sk;
	/**
	 * @family: Family of the socket, or of the one that was asked for.
	 */
	s32 family;
	/**
	 * @type: Likewise, without the flags of socket(2).
	 */
	s32 type;
	/**
	 * @protocol: Likewise.
	 */
	s32 protocol;
	/**
	 * @port: Port that was checked, in host byte order, or -1 if none was.
	 */
	s32 port;
	/**
	 * @address_family: %AF_INET or %AF_INET6, or 0 if no address was
	 * checked.
	 */
	u16 address_family;
	/**
	 * @level: Position in Landlock's domain of the youngest layer that
	 * refuses, starting from 1.
	 */
	u8 level;
	/**
	 * @quiet: Whether a quiet rule covers the denial.
	 */
	bool quiet;
	/**
	 * @is_local_port: Whether the port is the socket's, and not its peer's.
	 */
	bool is_local_port;
	/**
	 * @is_local_address: Likewise.
	 */
	bool is_local_address;
	/**
	 * @address: Address that was checked, in network byte order: that of
	 * %AF_INET is in the first four bytes.
	 */
	u8 address[16];
};

/* How a socket or a message chooses its own way, cf. socket.c. */
#define PORTLOCK_WAY_DEVICE	1
#define PORTLOCK_WAY_ROUTE	2

u32 portlock_sock_way(const struct sock *const sk);
u32 portlock_msg_way(struct msghdr *const msg);

/* The lock of a ruleset, records of rules and of decisions, cf. landlock.c. */
void portlock_lock_ruleset(struct landlock_ruleset *const ruleset);
void portlock_unlock_ruleset(struct landlock_ruleset *const ruleset);
void portlock_count_rule(struct landlock_ruleset *const ruleset);
void portlock_trace_net_port_rule(const struct landlock_ruleset *const ruleset,
				  const u16 port, const u32 access,
				  const u32 flags);
void portlock_trace_net_rule(const struct landlock_ruleset *const ruleset,
			     const struct portlock_net_attr *const attr,
			     const u32 flags);
void portlock_trace_socket_rule(const struct landlock_ruleset *const ruleset,
				const struct portlock_socket_attr *const attr);
void portlock_trace_opened_rule(const struct landlock_ruleset *const ruleset,
				const u64 access, const struct sock *const sk);
void portlock_trace_check(const u16 port, const u32 access_request,
			  const struct portlock_layer *const layers,
			  const u32 num_layers);
void portlock_log_front_denial(const struct portlock_denial *const denial);
void portlock_log_denial(struct lsm_network_audit *const audit_net,
			 const struct sockaddr *const address,
			 const int addrlen, const u16 socket_family,
			 const struct portlock_layer *const layer);

#endif /* _SECURITY_PORTLOCK_PORTLOCK_H */
