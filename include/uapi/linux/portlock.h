/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Portlock - User space API
 *
 * Portlock takes Landlock's system calls.  What Landlock has is declared in
 * linux/landlock.h and means the same.  This header declares what is new:
 * extended rulesets, and observers of what they refuse.
 */

#ifndef _UAPI_LINUX_PORTLOCK_H
#define _UAPI_LINUX_PORTLOCK_H

#include <linux/types.h>

/**
 * DOC: portlock_create_ruleset_flags
 *
 * Flags of sys_landlock_create_ruleset(), each of which must stand alone:
 *
 * %PORTLOCK_CREATE_RULESET
 *     Create an extended ruleset.  The attribute is a &struct
 *     portlock_ruleset_attr.  If it is NULL and its size is zero, the call
 *     returns the version of Portlock's ABI instead.
 *
 * %PORTLOCK_CREATE_OBSERVER
 *     Create an observer.  The attribute is a &struct portlock_observer_attr.
 *     The file descriptor can be read and polled.
 */
/* clang-format off */
#define PORTLOCK_CREATE_RULESET			(1U << 31)
#define PORTLOCK_CREATE_OBSERVER		(1U << 30)
/* clang-format on */

/**
 * struct portlock_observer_attr - Definition of an observer
 *
 * Argument of sys_landlock_create_ruleset() with %PORTLOCK_CREATE_OBSERVER.
 */
struct portlock_observer_attr {
	/**
	 * @flags: No flag is defined yet: must be 0.
	 */
	__u64 flags;
};

/**
 * DOC: portlock_ruleset_flags
 *
 * In ``portlock_ruleset_attr.flags``:
 *
 * %PORTLOCK_RULESET_OBSERVED
 *     What the layers made of the ruleset refuse is told to the observer of
 *     ``observer_fd``.  Without this flag, ``observer_fd`` and
 *     ``observer_cookie`` must be 0.
 */
/* clang-format off */
#define PORTLOCK_RULESET_OBSERVED		(1U << 0)
/* clang-format on */

/**
 * struct portlock_ruleset_attr - Definition of an extended ruleset
 *
 * Argument of sys_landlock_create_ruleset() with %PORTLOCK_CREATE_RULESET.
 */
struct portlock_ruleset_attr {
	/**
	 * @handled_access_net: Network rights that need a rule: bits 0 to 31
	 * are Landlock's (``LANDLOCK_ACCESS_NET_*``), the others Portlock's
	 * (``PORTLOCK_ACCESS_NET_*``, cf. `Network rights`_).
	 */
	__u64 handled_access_net;
	/**
	 * @quiet_access_net: Network rights whose denials are kept out of the
	 * logs, and from the observer, by rules with %LANDLOCK_ADD_RULE_QUIET.
	 * They must be handled.
	 */
	__u64 quiet_access_net;
	/**
	 * @handled_permissions: Permissions that need a rule
	 * (``PORTLOCK_PERMISSION_*``, cf. `Permissions`_).
	 */
	__u64 handled_permissions;
	/**
	 * @flags: %PORTLOCK_RULESET_OBSERVED, or 0.
	 */
	__u32 flags;
	/**
	 * @observer_fd: File descriptor of an observer.
	 */
	__s32 observer_fd;
	/**
	 * @observer_cookie: Number that comes back in each record, to tell the
	 * rulesets of one observer apart.
	 */
	__u64 observer_cookie;
};

/**
 * DOC: portlock_rule_types
 *
 * Types of rules of sys_landlock_add_rule(), for extended rulesets only:
 *
 * %PORTLOCK_RULE_NET
 *     Network rights on ports and addresses, cf. &struct portlock_net_attr.
 *
 * %PORTLOCK_RULE_SOCKET
 *     Permissions on kinds of sockets, cf. &struct portlock_socket_attr.
 *
 * %PORTLOCK_RULE_OPENED
 *     Network rights on one socket that is open, cf. &struct
 *     portlock_opened_attr.
 *
 * %LANDLOCK_RULE_NET_PORT works in an extended ruleset too.  It is a
 * %PORTLOCK_RULE_NET for one port and any address.
 */
/* clang-format off */
#define PORTLOCK_RULE_NET			0x40000001
#define PORTLOCK_RULE_SOCKET			0x40000002
#define PORTLOCK_RULE_OPENED			0x40000003
/* clang-format on */

/**
 * struct portlock_net_attr - Rule about ports and addresses
 *
 * Argument of sys_landlock_add_rule() with %PORTLOCK_RULE_NET.
 */
struct portlock_net_attr {
	/**
	 * @allowed_access: Network rights that the rule grants, all of them
	 * handled by the ruleset.
	 */
	__u64 allowed_access;
	/**
	 * @port_first: First port, in host byte order.
	 */
	__u64 port_first;
	/**
	 * @port_last: Last port, in host byte order, at most 65535.
	 */
	__u64 port_last;
	/**
	 * @family: %AF_INET or %AF_INET6, or 0 for any address of both
	 * families.
	 */
	__u32 family;
	/**
	 * @prefix_len: Number of bits of @address that must be equal: at most
	 * 32 for %AF_INET and 128 for %AF_INET6, 0 if @family is 0.
	 */
	__u32 prefix_len;
	/**
	 * @address: Address in network byte order.  That of %AF_INET is in the
	 * first four bytes.  All other bits, and those after @prefix_len, must
	 * be 0.
	 */
	__u8 address[16];
	/**
	 * @ifindex: Must be 0.
	 */
	__u32 ifindex;
	/**
	 * @reserved: Must be 0.
	 */
	__u32 reserved;
};

/**
 * struct portlock_socket_attr - Rule about kinds of sockets
 *
 * Argument of sys_landlock_add_rule() with %PORTLOCK_RULE_SOCKET.  The numbers
 * are those that a program passes to socket(2).  There are no aliases:
 * protocol 0 and %IPPROTO_TCP are two protocols.
 */
struct portlock_socket_attr {
	/**
	 * @permissions: Permissions that the rule grants, all of them handled
	 * by the ruleset.
	 */
	__u64 permissions;
	/**
	 * @family: Address family, 0 to 254.
	 */
	__s32 family;
	/**
	 * @type: Type without %SOCK_NONBLOCK and %SOCK_CLOEXEC, 0 to 254, or -1
	 * for any.
	 */
	__s32 type;
	/**
	 * @protocol: Protocol, 0 to 65534, or -1 for any.
	 */
	__s32 protocol;
	/**
	 * @reserved: Must be 0.
	 */
	__u32 reserved;
};

/**
 * struct portlock_opened_attr - Rule about one socket that is open
 *
 * Argument of sys_landlock_add_rule() with %PORTLOCK_RULE_OPENED.  The rule is
 * about the socket and not about the file descriptor: it holds for each
 * descriptor of the socket, whatever its ports and addresses, until the socket
 * is closed.  It does not keep the socket open.
 *
 * What a listening socket accepts has the rights to send, to receive, to shut
 * down, and to read and set options of the rule, as long as it is the connection
 * that accept(2) returned.
 */
struct portlock_opened_attr {
	/**
	 * @allowed_access: Network rights that the rule grants, all of them
	 * handled by the ruleset.
	 */
	__u64 allowed_access;
	/**
	 * @fd: File descriptor of a TCP, MPTCP or UDP socket.
	 */
	__s32 fd;
	/**
	 * @reserved: Must be 0.
	 */
	__u32 reserved;
};

/**
 * DOC: portlock_restrict_self_flags
 *
 * Flag of sys_landlock_restrict_self(), for extended rulesets only:
 *
 * %PORTLOCK_RESTRICT_SELF_PERMISSIVE
 *     The new layer refuses nothing that its ruleset handles.  What it would
 *     refuse is logged and told to its observer, and allowed unless another
 *     layer refuses it.  Landlock's rules about ptrace(2) hold.
 */
/* clang-format off */
#define PORTLOCK_RESTRICT_SELF_PERMISSIVE	(1U << 31)
/* clang-format on */

/**
 * DOC: portlock_event_flags
 *
 * In ``portlock_event.flags``:
 *
 * %PORTLOCK_EVENT_PERMISSIVE
 *     The layer is permissive: it let this pass.
 */
/* clang-format off */
#define PORTLOCK_EVENT_PERMISSIVE		(1U << 0)
/* clang-format on */

/**
 * struct portlock_event - Record of an observer
 *
 * read(2) of an observer returns whole records.
 */
struct portlock_event {
	/**
	 * @size: Size of this record, in bytes.  A reader skips what it does
	 * not know.
	 */
	__u32 size;
	/**
	 * @flags: ``PORTLOCK_EVENT_*``.
	 */
	__u32 flags;
	/**
	 * @id: Number of the record.  An observer's numbers rise, and are not 0.
	 * A record that could not be copied to one reader may come to another
	 * one after later records.
	 */
	__u64 id;
	/**
	 * @lost: Number of records that were lost since the one before.  A
	 * record that only tells this has neither rights nor permissions.
	 */
	__u64 lost;
	/**
	 * @cookie: &portlock_ruleset_attr.observer_cookie.
	 */
	__u64 cookie;
	/**
	 * @access_net: Network rights that were refused, in the bits of the
	 * ruleset.
	 */
	__u64 access_net;
	/**
	 * @permissions: Permissions that were refused, likewise.
	 */
	__u64 permissions;
	/**
	 * @tid: Thread, as it is numbered in the PID namespace of the one who
	 * created the observer, or 0 if it has no number there.
	 */
	__s32 tid;
	/**
	 * @family: Family of the socket, or of the one that was asked for.
	 */
	__s32 family;
	/**
	 * @type: Type, likewise.
	 */
	__s32 type;
	/**
	 * @protocol: Protocol, likewise.
	 */
	__s32 protocol;
	/**
	 * @port: Port that was compared with the rules, in host byte order, or
	 * 0 if none was.
	 */
	__u32 port;
	/**
	 * @address_family: %AF_INET or %AF_INET6, or 0 if no address was asked
	 * about.
	 */
	__u32 address_family;
	/**
	 * @address: Address that was compared with the rules, in network byte
	 * order.  That of %AF_INET is in the first four bytes.
	 */
	__u8 address[16];
};

/**
 * DOC: portlock_access_net
 *
 * Network rights
 * ~~~~~~~~~~~~~~
 *
 * Besides Landlock's, in ``portlock_ruleset_attr.handled_access_net``:
 *
 * - %PORTLOCK_ACCESS_NET_LISTEN_TCP: Make a TCP socket listen for connections
 *   on a local port and address.  A socket that is not bound has port 0.
 * - %PORTLOCK_ACCESS_NET_ACCEPT_TCP: Accept a TCP connection, by the local port
 *   and the address of the peer.  If no rule is for the port, the call fails
 *   with %EACCES.  A connection that no rule is for is closed, and the call
 *   fails with %ECONNABORTED.
 * - %PORTLOCK_ACCESS_NET_SEND_TCP: Send on a TCP connection, by whatever call.
 * - %PORTLOCK_ACCESS_NET_RECEIVE_TCP: Receive on a TCP connection, by whatever
 *   call.
 * - %PORTLOCK_ACCESS_NET_SHUTDOWN_TCP: Shut a TCP connection down with
 *   shutdown(2).
 * - %PORTLOCK_ACCESS_NET_GETSOCKOPT_TCP: Read an option of a TCP socket.
 * - %PORTLOCK_ACCESS_NET_SETSOCKOPT_TCP: Set an option of a TCP socket.
 * - %PORTLOCK_ACCESS_NET_RECEIVE_UDP: Receive on a UDP socket, by the local port
 *   that bind(2) named, or port 0 if the kernel has chosen it, or if the
 *   socket was disconnected before bind(2) named one.  A rule with an address
 *   cannot grant this.
 * - %PORTLOCK_ACCESS_NET_SHUTDOWN_UDP: Shut a UDP socket down with shutdown(2).
 * - %PORTLOCK_ACCESS_NET_GETSOCKOPT_UDP: Read an option of a UDP socket.
 * - %PORTLOCK_ACCESS_NET_SETSOCKOPT_UDP: Set an option of a UDP socket.
 *
 * Send, receive (TCP), shutdown and the options are granted by the *service
 * port* and the address of the peer.  The service port of a connection that
 * accept(2) returned is the local port.  That of any other socket is the remote
 * port if it has one, else the local port if it has one, else 0.
 */
/* clang-format off */
#define PORTLOCK_ACCESS_NET_LISTEN_TCP		(1ULL << 32)
#define PORTLOCK_ACCESS_NET_ACCEPT_TCP		(1ULL << 33)
#define PORTLOCK_ACCESS_NET_SEND_TCP		(1ULL << 34)
#define PORTLOCK_ACCESS_NET_RECEIVE_TCP		(1ULL << 35)
#define PORTLOCK_ACCESS_NET_SHUTDOWN_TCP	(1ULL << 36)
#define PORTLOCK_ACCESS_NET_GETSOCKOPT_TCP	(1ULL << 37)
#define PORTLOCK_ACCESS_NET_SETSOCKOPT_TCP	(1ULL << 38)
#define PORTLOCK_ACCESS_NET_RECEIVE_UDP		(1ULL << 39)
#define PORTLOCK_ACCESS_NET_SHUTDOWN_UDP	(1ULL << 40)
#define PORTLOCK_ACCESS_NET_GETSOCKOPT_UDP	(1ULL << 41)
#define PORTLOCK_ACCESS_NET_SETSOCKOPT_UDP	(1ULL << 42)
/* clang-format on */

/**
 * DOC: portlock_permission
 *
 * Permissions
 * ~~~~~~~~~~~
 *
 * In ``portlock_ruleset_attr.handled_permissions``:
 *
 * - %PORTLOCK_PERMISSION_SOCKET_CREATE: Create a socket with socket(2),
 *   socketpair(2) or io_uring.
 */
/* clang-format off */
#define PORTLOCK_PERMISSION_SOCKET_CREATE	(1ULL << 32)
/* clang-format on */

#endif /* _UAPI_LINUX_PORTLOCK_H */
