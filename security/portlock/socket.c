// SPDX-License-Identifier: GPL-2.0-only
/*
 * Portlock - What makes a socket choose its own way
 *
 * A rule about an address means the host that has this address.  A socket that
 * names a device, a route or a source address of its own can reach another
 * host by the same address.  The functions below read such states, which are
 * bit-fields, RCU pointers and control messages.  They decide nothing.  Their
 * only caller is way.rs.
 */

#include <linux/ipv6.h>
#include <linux/socket.h>
#include <net/flow.h>
#include <net/inet_sock.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/sock.h>

#if IS_ENABLED(CONFIG_MPTCP)
#include "../../net/mptcp/protocol.h"
#endif
#include "portlock.h"

/* A packet that is bound to the loopback interface stays on this machine. */
static bool is_device(const int ifindex)
{
	return ifindex && ifindex != LOOPBACK_IFINDEX;
}

/* Sockets with these may use a source address that this machine does not have. */
#define SOURCE_FLAGS (BIT(INET_FLAGS_FREEBIND) | BIT(INET_FLAGS_TRANSPARENT))

static bool names_device(const struct sock *const sk)
{
	/* Both are 0 or the loopback interface if they have no higher bit. */
	static_assert(LOOPBACK_IFINDEX == 1);
	return is_device(READ_ONCE(sk->sk_bound_dev_if) |
			 READ_ONCE(inet_sk(sk)->uc_index));
}

static bool names_route(const struct sock *const sk)
{
	return READ_ONCE(inet_sk(sk)->inet_flags) & SOURCE_FLAGS ||
	       sock_flag(sk, SOCK_LOCALROUTE);
}

/* Programs clear IP options by setting none, which leaves an empty list. */
static bool has_options(const struct sock *const sk)
{
	const struct ip_options_rcu *options;

	guard(rcu)();
	options = rcu_dereference(inet_sk(sk)->inet_opt);
	return options && options->opt.optlen;
}

#if IS_ENABLED(CONFIG_IPV6)
static bool ipv6_names_device(const struct ipv6_pinfo *const np)
{
	return is_device(READ_ONCE(np->ucast_oif)) ||
	       is_device(READ_ONCE(np->sticky_pktinfo.ipi6_ifindex));
}

static u32 ipv6_way(const struct ipv6_pinfo *const np)
{
	u32 way = 0;

	if (ipv6_names_device(np))
		way |= PORTLOCK_WAY_DEVICE;
	if (rcu_access_pointer(np->opt))
		way |= PORTLOCK_WAY_ROUTE;
	return way;
}
#endif /* IS_ENABLED(CONFIG_IPV6) */

/* All that is read here, portlock_sock_way() has to test for. */
static noinline u32 sock_way(const struct sock *const sk)
{
	u32 way = 0;

	if (names_device(sk))
		way |= PORTLOCK_WAY_DEVICE;
	if (names_route(sk) || has_options(sk))
		way |= PORTLOCK_WAY_ROUTE;

#if IS_ENABLED(CONFIG_IPV6)
	const struct ipv6_pinfo *const np = READ_ONCE(inet_sk(sk)->pinet6);

	if (rcu_access_pointer(inet_sk(sk)->ipv6_fl_list))
		way |= PORTLOCK_WAY_ROUTE;
	if (np)
		way |= ipv6_way(np);
#endif /* IS_ENABLED(CONFIG_IPV6) */

	return way;
}

/*
 * What an MPTCP socket sends leaves by its subflows, and the first one has
 * states of its own.  To bind, connect or accept by a link-local address ties
 * only the subflow to the device, and after a fallback to TCP the options of IP
 * are set on it.  It stays when the socket disconnects, and is used again.
 */
static u32 mptcp_way(const struct sock *const sk)
{
	u32 way = sock_way(sk);

#if IS_ENABLED(CONFIG_MPTCP)
	/* It is freed only after the close, cf. struct mptcp_sock. */
	const struct sock *const subflow = READ_ONCE(mptcp_sk(sk)->first);

	if (subflow)
		way |= sock_way(subflow);
#endif
	return way;
}

/* The way of IP_PKTINFO, of which a short one is no PKTINFO at all. */
static u32 pktinfo_way(const struct cmsghdr *const cmsg)
{
	const struct in_pktinfo *const info = CMSG_DATA(cmsg);

	if (cmsg->cmsg_len < CMSG_LEN(sizeof(*info)))
		return PORTLOCK_WAY_ROUTE;
	return is_device(info->ipi_ifindex) ? PORTLOCK_WAY_DEVICE : 0;
}

/* The way of IPV6_PKTINFO and IPV6_2292PKTINFO, likewise. */
static u32 pktinfo6_way(const struct cmsghdr *const cmsg)
{
	const struct in6_pktinfo *const info = CMSG_DATA(cmsg);

	if (cmsg->cmsg_len < CMSG_LEN(sizeof(*info)))
		return PORTLOCK_WAY_ROUTE;
	return is_device(info->ipi6_ifindex) ? PORTLOCK_WAY_DEVICE : 0;
}

/**
 * portlock_sock_way - Tell how a socket chooses its own way
 *
 * @sk: Socket of AF_INET or AF_INET6, which need not be locked.
 *
 * Return: %PORTLOCK_WAY_DEVICE if @sk is bound to a device or names one for what
 * it sends, and %PORTLOCK_WAY_ROUTE if it has IP options, a routing header or a
 * flow label, leaves out routers, or may use a source address that this machine
 * does not have.
 */
u32 portlock_sock_way(const struct sock *const sk)
{
	const struct inet_sock *const inet = inet_sk(sk);

	if (unlikely(sk->sk_protocol == IPPROTO_MPTCP))
		return mptcp_way(sk);

	/* Most sockets have none of this. */
	if (unlikely(names_device(sk) || names_route(sk) ||
		     rcu_access_pointer(inet->inet_opt)))
		return sock_way(sk);

#if IS_ENABLED(CONFIG_IPV6)
	const struct ipv6_pinfo *const np = READ_ONCE(inet->pinet6);

	if (unlikely(rcu_access_pointer(inet->ipv6_fl_list) ||
		     (np && (ipv6_names_device(np) ||
			     rcu_access_pointer(np->opt)))))
		return sock_way(sk);
#endif /* IS_ENABLED(CONFIG_IPV6) */

	return 0;
}

/**
 * portlock_msg_way - Tell how control messages choose a way
 *
 * @msg: Message on its way out, whose control messages are in kernel memory.
 *
 * Return: %PORTLOCK_WAY_DEVICE if a control message names a device, and
 * %PORTLOCK_WAY_ROUTE if one names a route or is not well formed, or if the
 * message shall not be routed.
 */
u32 portlock_msg_way(struct msghdr *const msg)
{
	struct cmsghdr *cmsg;
	u32 way = msg->msg_flags & MSG_DONTROUTE ? PORTLOCK_WAY_ROUTE : 0;

	for_each_cmsghdr(cmsg, msg) {
		if (!CMSG_OK(msg, cmsg))
			return PORTLOCK_WAY_ROUTE;

		if (cmsg->cmsg_level == SOL_IP) {
			if (cmsg->cmsg_type == IP_RETOPTS)
				way |= PORTLOCK_WAY_ROUTE;
			else if (cmsg->cmsg_type == IP_PKTINFO)
				way |= pktinfo_way(cmsg);
		} else if (cmsg->cmsg_level == SOL_IPV6) {
			if (cmsg->cmsg_type == IPV6_RTHDR ||
			    cmsg->cmsg_type == IPV6_2292RTHDR)
				way |= PORTLOCK_WAY_ROUTE;
			else if (cmsg->cmsg_type == IPV6_PKTINFO ||
				 cmsg->cmsg_type == IPV6_2292PKTINFO)
				way |= pktinfo6_way(cmsg);
		}
	}
	return way;
}
