/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Portlock - Trace events
 */

#undef TRACE_SYSTEM
#define TRACE_SYSTEM portlock

#if !defined(_TRACE_PORTLOCK_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_PORTLOCK_H

#include <linux/landlock.h>
#include <linux/socket.h>
#include <linux/tracepoint.h>
#include <linux/trace_seq.h>
#include <uapi/linux/portlock.h>

struct landlock_hierarchy;
struct landlock_ruleset;
struct portlock_denial;
struct sock;

#ifdef CREATE_TRACE_POINTS

/*
 * Prints an address whose bytes are in network byte order: those of AF_INET are
 * the first four.  Prints nothing if the family is 0, which is no address.
 */
static inline const char *
__trace_portlock_print_address(struct trace_seq *const p, const u32 family,
			       const u8 *const address)
{
	const char *const ret = trace_seq_buffer_ptr(p);

	if (family == AF_INET)
		trace_seq_printf(p, "%pI4", address);
	else if (family == AF_INET6)
		trace_seq_printf(p, "%pI6c", address);
	trace_seq_putc(p, 0);
	return ret;
}

#endif /* CREATE_TRACE_POINTS */

/* clang-format off */

/* Maps a shared _LANDLOCK_*_NAMES entry to a __print_flags() pair. */
#define _LANDLOCK_NAME_ENTRY(mask, name) { mask, name }

#define _portlock_print_access_net(access) \
	__print_flags_u64(access, "|", _LANDLOCK_ACCESS_NET_NAMES, \
		{ PORTLOCK_ACCESS_NET_LISTEN_TCP, "listen_tcp" }, \
		{ PORTLOCK_ACCESS_NET_ACCEPT_TCP, "accept_tcp" }, \
		{ PORTLOCK_ACCESS_NET_SEND_TCP, "send_tcp" }, \
		{ PORTLOCK_ACCESS_NET_RECEIVE_TCP, "receive_tcp" }, \
		{ PORTLOCK_ACCESS_NET_SHUTDOWN_TCP, "shutdown_tcp" }, \
		{ PORTLOCK_ACCESS_NET_GETSOCKOPT_TCP, "getsockopt_tcp" }, \
		{ PORTLOCK_ACCESS_NET_SETSOCKOPT_TCP, "setsockopt_tcp" }, \
		{ PORTLOCK_ACCESS_NET_RECEIVE_UDP, "receive_udp" }, \
		{ PORTLOCK_ACCESS_NET_SHUTDOWN_UDP, "shutdown_udp" }, \
		{ PORTLOCK_ACCESS_NET_GETSOCKOPT_UDP, "getsockopt_udp" }, \
		{ PORTLOCK_ACCESS_NET_SETSOCKOPT_UDP, "setsockopt_udp" })

#define _PORTLOCK_PERMISSION_NAMES \
	{ PORTLOCK_PERMISSION_SOCKET_CREATE, "socket_create" }

/**
 * DOC: Portlock trace events
 *
 * Portlock keeps Landlock's trace events: for rulesets, domains, rules of
 * %LANDLOCK_RULE_NET_PORT, and denied rights of Landlock's own, in extended
 * rulesets too.  The events below are for what Landlock's cannot express.  What
 * include/trace/events/landlock.h guarantees for its events holds for them:
 * pointers in TP_PROTO are never NULL, pointers behind them may be; a ruleset
 * and a domain have the IDs that Landlock's events give them.
 *
 * Fields that mirror a structure of the user space API have its names, widths
 * and byte order: ports are in host byte order, and the bytes of an address in
 * network byte order, with those of AF_INET first and zeros after them.
 */

/**
 * portlock_add_rule_net - Network rule added to an extended ruleset
 *
 * @ruleset: Modified ruleset (never NULL), whose lock is held.
 * @flags: Flags of this successful call, ``LANDLOCK_ADD_RULE_*``.
 * @attr: The rule, as the caller passed it (never NULL).
 *
 * A rule of %LANDLOCK_RULE_NET_PORT is a %PORTLOCK_RULE_NET for one port and
 * any address: in an extended ruleset it has this event after Landlock's own,
 * with the same version.
 *
 * Fields:
 *
 * - u64 ruleset_id, u64 ruleset_version: The ruleset and the number of rules
 *   that were added to it, this one included.
 * - u32 flags: As the argument.
 * - u64 access_rights: &portlock_net_attr.allowed_access.
 * - u64 port_first, u64 port_last: First and last port, in host byte order.
 * - u32 family: %AF_INET or %AF_INET6, or 0 for any address of both.
 * - u8[16] address: Network byte order, cf. &portlock_net_attr.address.
 * - u32 prefix_len: Number of bits of the address that must be equal.
 */
TRACE_EVENT(portlock_add_rule_net,

	TP_PROTO(const struct landlock_ruleset *ruleset, u32 flags,
		 const struct portlock_net_attr *attr),

	TP_ARGS(ruleset, flags, attr),

	TP_STRUCT__entry(
		__field(u64, ruleset_id)
		__field(u64, ruleset_version)
		__field(u64, access_rights)
		__field(u64, port_first)
		__field(u64, port_last)
		__field(u32, flags)
		__field(u32, family)
		__array(u8, address, 16)
		__field(u32, prefix_len)
	),

	TP_fast_assign(
		lockdep_assert_held(&ruleset->lock);
		__entry->ruleset_id	= ruleset->id;
		__entry->ruleset_version = ruleset->version;
		__entry->access_rights	= attr->allowed_access;
		__entry->port_first	= attr->port_first;
		__entry->port_last	= attr->port_last;
		__entry->flags		= flags;
		__entry->family		= attr->family;
		memcpy(__entry->address, attr->address,
		       sizeof(__entry->address));
		__entry->prefix_len	= attr->prefix_len;
	),

	TP_printk("ruleset=%llx.%llu flags=0x%x access_rights=%s port_first=%llu port_last=%llu family=%u address=%s prefix_len=%u",
		__entry->ruleset_id, __entry->ruleset_version, __entry->flags,
		_portlock_print_access_net(__entry->access_rights),
		__entry->port_first, __entry->port_last, __entry->family,
		__trace_portlock_print_address(p, __entry->family,
					       __entry->address),
		__entry->prefix_len)
);

/**
 * portlock_add_rule_socket - Rule about kinds of sockets added to an extended
 *                            ruleset
 *
 * @ruleset: Modified ruleset (never NULL), whose lock is held.
 * @attr: The rule, as the caller passed it (never NULL).
 *
 * Fields:
 *
 * - u64 ruleset_id, u64 ruleset_version: As in portlock_add_rule_net.
 * - u64 permissions: &portlock_socket_attr.permissions.
 * - s32 family, s32 type, s32 protocol: As in &struct portlock_socket_attr; a
 *   type or protocol of -1 is any.
 */
TRACE_EVENT(portlock_add_rule_socket,

	TP_PROTO(const struct landlock_ruleset *ruleset,
		 const struct portlock_socket_attr *attr),

	TP_ARGS(ruleset, attr),

	TP_STRUCT__entry(
		__field(u64, ruleset_id)
		__field(u64, ruleset_version)
		__field(u64, permissions)
		__field(s32, family)
		__field(s32, type)
		__field(s32, protocol)
	),

	TP_fast_assign(
		lockdep_assert_held(&ruleset->lock);
		__entry->ruleset_id	= ruleset->id;
		__entry->ruleset_version = ruleset->version;
		__entry->permissions	= attr->permissions;
		__entry->family		= attr->family;
		__entry->type		= attr->type;
		__entry->protocol	= attr->protocol;
	),

	TP_printk("ruleset=%llx.%llu permissions=%s family=%d type=%d protocol=%d",
		__entry->ruleset_id, __entry->ruleset_version,
		__print_flags_u64(__entry->permissions, "|", _PORTLOCK_PERMISSION_NAMES),
		__entry->family, __entry->type, __entry->protocol)
);

/**
 * portlock_add_rule_opened - Rule about an open socket added to an extended
 *                            ruleset
 *
 * @ruleset: Modified ruleset (never NULL), whose lock is held.
 * @access: &portlock_opened_attr.allowed_access.
 * @sk: The socket (never NULL).
 *
 * Fields:
 *
 * - u64 ruleset_id, u64 ruleset_version: As in portlock_add_rule_net.
 * - u64 access_rights: As the argument.
 * - u64 cookie: What SO_COOKIE tells of the socket.
 */
TRACE_EVENT(portlock_add_rule_opened,

	TP_PROTO(const struct landlock_ruleset *ruleset, u64 access,
		 const struct sock *sk),

	TP_ARGS(ruleset, access, sk),

	TP_STRUCT__entry(
		__field(u64, ruleset_id)
		__field(u64, ruleset_version)
		__field(u64, access_rights)
		__field(u64, cookie)
	),

	TP_fast_assign(
		lockdep_assert_held(&ruleset->lock);
		__entry->ruleset_id	= ruleset->id;
		__entry->ruleset_version = ruleset->version;
		__entry->access_rights	= access;
		__entry->cookie		= atomic64_read(&sk->sk_cookie);
	),

	TP_printk("ruleset=%llx.%llu access_rights=%s cookie=%llu",
		__entry->ruleset_id, __entry->ruleset_version,
		_portlock_print_access_net(__entry->access_rights),
		__entry->cookie)
);

/**
 * portlock_deny - Access denied that Landlock has no event for
 *
 * @hierarchy: Denying domain's hierarchy node (never NULL); its id is the
 *             domain field.
 * @same_exec: Whether the current task entered the denying domain itself.
 * @logged: The domain's audit-logging decision for this denial.
 * @denial: What was denied (never NULL), cf. security/portlock/portlock.h.
 *
 * Emitted for Portlock's own rights and permissions, and for Landlock's rights
 * where the address is not what was refused: on an SMC socket, or because the
 * socket or the message chooses its own way.  Also emitted for whatever a
 * permissive domain would deny: Landlock's events are about denied accesses.
 *
 * Fields:
 *
 * - u64 domain_id, bool same_exec, bool logged: As in Landlock's denial events.
 *   A quiet rule and the log flags of sys_landlock_restrict_self() clear
 *   logged.
 * - string blockers: What audit prints as blockers: "net.listen_tcp", ...
 * - s32 family, s32 type, s32 protocol: Of the socket.  For "socket.create",
 *   which has no socket yet, what the program asked for.
 * - s32 port: Port that was checked, in host byte order, or -1 if none was.
 *   Zero is a valid port.
 * - u16 address_family: %AF_INET or %AF_INET6, or 0 if no address was checked.
 * - u8[16] address: Network byte order.
 * - bool permissive: The domain let it pass.
 */
TRACE_EVENT(portlock_deny,

	TP_PROTO(const struct landlock_hierarchy *hierarchy, bool same_exec,
		 bool logged, const struct portlock_denial *denial),

	TP_ARGS(hierarchy, same_exec, logged, denial),

	TP_STRUCT__entry(
		__field(u64, domain_id)
		__field(bool, same_exec)
		__field(bool, logged)
		__field(u16, address_family)
		__field(s32, family)
		__field(s32, type)
		__field(s32, protocol)
		__field(s32, port)
		__array(u8, address, 16)
		__string(blockers, denial->blockers)
		__field(bool, permissive)
	),

	TP_fast_assign(
		__entry->domain_id	= hierarchy->id;
		__entry->same_exec	= same_exec;
		__entry->logged		= logged;
		__entry->address_family	= denial->address_family;
		__entry->family		= denial->family;
		__entry->type		= denial->type;
		__entry->protocol	= denial->protocol;
		__entry->port		= denial->port;
		memcpy(__entry->address, denial->address,
		       sizeof(__entry->address));
		__assign_str(blockers);
		__entry->permissive	= hierarchy->permissive;
	),

	TP_printk("domain=%llx same_exec=%d logged=%d blockers=%s family=%d type=%d protocol=%d port=%d address_family=%u address=%s permissive=%d",
		__entry->domain_id, __entry->same_exec, __entry->logged,
		__get_str(blockers), __entry->family, __entry->type,
		__entry->protocol, __entry->port, __entry->address_family,
		__trace_portlock_print_address(p, __entry->address_family,
					       __entry->address),
		__entry->permissive)
);

#undef _PORTLOCK_PERMISSION_NAMES
#undef _portlock_print_access_net
#undef _LANDLOCK_NAME_ENTRY

#endif /* _TRACE_PORTLOCK_H */

/* This part must be outside protection */
#include <trace/define_trace.h>

/* clang-format on */
