/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Portlock tests: functions that the tests of extended rulesets use
 *
 * As those of common.h, they return 0 or a result, or a negative errno.
 */

#ifndef PORTLOCK_EXTENDED_H
#define PORTLOCK_EXTENDED_H

#include <linux/portlock.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>

#include "common.h"

/* After the C library's declarations, which it then leaves alone. */
#include <linux/in6.h>

#define LISTEN_TCP PORTLOCK_ACCESS_NET_LISTEN_TCP
#define ACCEPT_TCP PORTLOCK_ACCESS_NET_ACCEPT_TCP
#define SEND_TCP PORTLOCK_ACCESS_NET_SEND_TCP
#define RECEIVE_TCP PORTLOCK_ACCESS_NET_RECEIVE_TCP
#define SHUTDOWN_TCP PORTLOCK_ACCESS_NET_SHUTDOWN_TCP
#define GETSOCKOPT_TCP PORTLOCK_ACCESS_NET_GETSOCKOPT_TCP
#define SETSOCKOPT_TCP PORTLOCK_ACCESS_NET_SETSOCKOPT_TCP
#define RECEIVE_UDP PORTLOCK_ACCESS_NET_RECEIVE_UDP
#define SHUTDOWN_UDP PORTLOCK_ACCESS_NET_SHUTDOWN_UDP
#define GETSOCKOPT_UDP PORTLOCK_ACCESS_NET_GETSOCKOPT_UDP
#define SETSOCKOPT_UDP PORTLOCK_ACCESS_NET_SETSOCKOPT_UDP

/* The rights to give a socket its addresses. */
#define TCP (BIND_TCP | CONNECT_TCP | LISTEN_TCP)
#define UDP (BIND_UDP | SEND_UDP)

/* The rights to shut a socket down, and to get and set its options. */
#define USE_TCP (SHUTDOWN_TCP | GETSOCKOPT_TCP | SETSOCKOPT_TCP)
#define USE_UDP (SHUTDOWN_UDP | GETSOCKOPT_UDP | SETSOCKOPT_UDP)

#define ALL_TCP (TCP | ACCEPT_TCP | SEND_TCP | RECEIVE_TCP | USE_TCP)
#define ALL_UDP (UDP | RECEIVE_UDP | USE_UDP)

/* The highest right.  Above it, all bits are unknown. */
#define LAST_RIGHT 42

#define SOCKET_CREATE PORTLOCK_PERMISSION_SOCKET_CREATE

/* The most prefixes of a family in a ruleset. */
#define MAX_PREFIXES 32767

#ifndef IPPROTO_SMC
#define IPPROTO_SMC 256
#endif

#ifndef AF_SMC
#define AF_SMC 43
#endif

#ifndef IPV6_FLOWLABEL_MGR
#define IPV6_FLOWLABEL_MGR 32
#endif

/* All addresses of both families, as two rules with an address. */
#define ALL_IPV4 "0.0.0.0/0"
#define ALL_IPV6 "::/0"

#define C_LANDLOCK "C Landlock has no extended rulesets"

/* Rulesets */

static inline int create_extended(const void *attr, size_t size)
{
	return create_ruleset(attr, size, PORTLOCK_CREATE_RULESET);
}

static inline int extended(__u64 access_net, __u64 permissions)
{
	const struct portlock_ruleset_attr attr = {
		.handled_access_net = access_net,
		.handled_permissions = permissions,
	};

	return create_extended(&attr, sizeof(attr));
}

/* Writes @prefix, such as "127.0.0.0/8", to a rule.  NULL is any address. */
static inline int write_prefix(struct portlock_net_attr *attr,
			       const char *prefix)
{
	char text[INET6_ADDRSTRLEN] = {};
	const char *slash;

	if (!prefix)
		return 0;
	slash = strchr(prefix, '/');
	if (!slash || slash - prefix >= sizeof(text))
		return -EDOM;
	memcpy(text, prefix, slash - prefix);
	attr->family = strchr(text, ':') ? AF_INET6 : AF_INET;
	attr->prefix_len = atoi(slash + 1);
	return inet_pton(attr->family, text, attr->address) == 1 ? 0 : -EDOM;
}

static inline int add_net(int ruleset_fd, __u64 access, __u16 first, __u16 last,
			  const char *prefix)
{
	struct portlock_net_attr attr = {
		.allowed_access = access,
		.port_first = first,
		.port_last = last,
	};
	const int ret = write_prefix(&attr, prefix);

	return ret ? ret : add_rule(ruleset_fd, PORTLOCK_RULE_NET, &attr, 0);
}

static inline int add_socket(int ruleset_fd, int family, int type, int protocol)
{
	const struct portlock_socket_attr attr = {
		.permissions = SOCKET_CREATE,
		.family = family,
		.type = type,
		.protocol = protocol,
	};

	return add_rule(ruleset_fd, PORTLOCK_RULE_SOCKET, &attr, 0);
}

/* Adds an extended layer with one rule. */
static inline int restrict_to(__u64 handled, __u64 access, __u16 first,
			      __u16 last, const char *prefix)
{
	const int fd = extended(handled, 0);
	int ret;

	if (fd < 0)
		return fd;
	ret = add_net(fd, access, first, last, prefix);
	if (ret) {
		close(fd);
		return ret;
	}
	return enforce(fd);
}

/* Adds an extended layer that grants @handled on all ports of two prefixes. */
static inline int restrict_to_both(__u64 handled, const char *one,
				   const char *two)
{
	const int fd = extended(handled, 0);
	int ret;

	if (fd < 0)
		return fd;
	ret = add_net(fd, handled, 0, UINT16_MAX, one);
	if (!ret)
		ret = add_net(fd, handled, 0, UINT16_MAX, two);
	if (ret) {
		close(fd);
		return ret;
	}
	return enforce(fd);
}

/* Adds an extended layer that handles @handled and allows nothing. */
static inline int restrict_extended(__u64 handled)
{
	return enforce(extended(handled, 0));
}

/* Addresses and calls */

/* Reads an address such as "fe80::1%2", and returns its length. */
static inline socklen_t read_addr(union addr *addr, const char *text,
				  __u16 port)
{
	char host[INET6_ADDRSTRLEN] = {};
	const char *const scope = strchr(text, '%');

	memset(addr, 0, sizeof(*addr));
	memcpy(host, text, scope ? scope - text : strlen(text));
	if (!strchr(host, ':')) {
		addr->in.sin_family = AF_INET;
		addr->in.sin_port = htons(port);
		inet_pton(AF_INET, host, &addr->in.sin_addr);
		return sizeof(addr->in);
	}
	addr->in6.sin6_family = AF_INET6;
	addr->in6.sin6_port = htons(port);
	addr->in6.sin6_scope_id = scope ? atoi(scope + 1) : 0;
	inet_pton(AF_INET6, host, &addr->in6.sin6_addr);
	return sizeof(addr->in6);
}

static inline int family_of(const char *address)
{
	return strchr(address, ':') ? AF_INET6 : AF_INET;
}

static inline int bind_to(int fd, const char *address, __u16 port)
{
	union addr addr;
	const socklen_t len = read_addr(&addr, address, port);

	return bind(fd, &addr.sa, len) ? -errno : 0;
}

static inline int connect_to(int fd, const char *address, __u16 port)
{
	union addr addr;
	const socklen_t len = read_addr(&addr, address, port);

	return connect(fd, &addr.sa, len) ? -errno : 0;
}

static inline int disconnect(int fd)
{
	const struct sockaddr sa = {
		.sa_family = AF_UNSPEC,
	};

	return connect(fd, &sa, sizeof(sa)) ? -errno : 0;
}

static inline int send_to(int fd, const char *address, __u16 port, int flags)
{
	union addr addr;
	const socklen_t len = read_addr(&addr, address, port);

	return sendto(fd, "x", 1, flags | MSG_NOSIGNAL, &addr.sa, len) == 1 ?
		       0 : -errno;
}

static inline int try_listen(int fd)
{
	return listen(fd, 1) ? -errno : 0;
}

/* The calls, each on a new socket of the family that the address has. */

static inline int new_bind(int type, int protocol, const char *address,
			   __u16 port)
{
	const int fd = make_socket(family_of(address), type, protocol);
	int ret;

	if (fd < 0)
		return fd;
	ret = bind_to(fd, address, port);
	close(fd);
	return ret;
}

static inline int new_connect(int type, int protocol, const char *address,
			      __u16 port)
{
	const int fd = make_socket(family_of(address), type, protocol);
	int ret;

	if (fd < 0)
		return fd;
	ret = connect_to(fd, address, port);
	close(fd);
	return ret;
}

static inline int new_send(const char *address, __u16 port)
{
	const int fd = make_socket(family_of(address), SOCK_DGRAM, 0);
	int ret;

	if (fd < 0)
		return fd;
	ret = send_to(fd, address, port, 0);
	close(fd);
	return ret;
}

/* Returns what listen(2) returns on a new socket that is bound. */
static inline int new_listen(int protocol, const char *address, __u16 port)
{
	const int fd = make_socket(family_of(address), SOCK_STREAM, protocol);
	int ret;

	if (fd < 0)
		return fd;
	ret = bind_to(fd, address, port);
	if (!ret)
		ret = try_listen(fd);
	close(fd);
	return ret;
}

static inline int tcp_bind(const char *address, __u16 port)
{
	return new_bind(SOCK_STREAM, 0, address, port);
}

static inline int tcp_connect(const char *address, __u16 port)
{
	return new_connect(SOCK_STREAM, 0, address, port);
}

static inline int udp_bind(const char *address, __u16 port)
{
	return new_bind(SOCK_DGRAM, 0, address, port);
}

static inline int udp_connect(const char *address, __u16 port)
{
	return new_connect(SOCK_DGRAM, 0, address, port);
}

static inline int tcp_listen(const char *address, __u16 port)
{
	return new_listen(0, address, port);
}

/* Creates and closes a socket. */
static inline int new_socket(int family, int type, int protocol)
{
	const int fd = socket(family, type, protocol);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* A second interface, without anybody behind it. */
#define DEVICE "br0"

/* Makes the second interface and returns its index. */
static inline int make_device(void)
{
	struct ifreq ifr = {
		.ifr_name = DEVICE,
	};
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, SIOCBRADDBR, DEVICE) || ioctl(fd, SIOCGIFFLAGS, &ifr))
		ret = -errno;
	ifr.ifr_flags |= IFF_UP;
	if (!ret && ioctl(fd, SIOCSIFFLAGS, &ifr))
		ret = -errno;
	if (!ret && ioctl(fd, SIOCGIFINDEX, &ifr))
		ret = -errno;
	close(fd);
	return ret ? ret : ifr.ifr_ifindex;
}

static inline int set_option(int fd, int level, int number, const void *value,
			     socklen_t size)
{
	return setsockopt(fd, level, number, value, size) ? -errno : 0;
}

/* What is allowed may still fail in the network stack. */
#define EXPECT_ALLOWED(allowed, call) EXPECT_EQ(allowed, (call) != -EACCES)

#endif /* PORTLOCK_EXTENDED_H */
