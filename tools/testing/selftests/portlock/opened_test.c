// SPDX-License-Identifier: GPL-2.0
/*
 * Portlock tests: rules about single sockets
 *
 * What to expect is said in the documentation and in
 * security/portlock/spec.rs.
 */

#include <linux/sock_diag.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <sys/epoll.h>

#include "kselftest_harness.h"
#include "connections.h"
#include "observers.h"

#define PORT 1024
#define OTHER_PORT 1025

/* The rights that a rule about a listener gives on what it accepts. */
#define ACCEPTED (SEND_TCP | RECEIVE_TCP | USE_TCP)

#ifndef __NR_pidfd_getfd
#define __NR_pidfd_getfd 438
#endif

/* Adds a layer that handles @handled and grants @access on @fd. */
static int restrict_to_opened(__u64 handled, __u64 access, int fd)
{
	const int ruleset_fd = extended(handled, 0);
	int ret;

	if (ruleset_fd < 0)
		return ruleset_fd;
	ret = add_opened(ruleset_fd, access, fd);
	if (ret) {
		close(ruleset_fd);
		return ret;
	}
	return enforce(ruleset_fd);
}

static int send_on(int fd)
{
	return send_fd_to(fd, 0, 0);
}

static int shut_down(int fd)
{
	return shutdown(fd, SHUT_WR) ? -errno : 0;
}

static int get_type(int fd)
{
	int value;
	socklen_t size = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &size) ? -errno : 0;
}

static int set_keepalive(int fd)
{
	const int one = 1;

	return set_option(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
}

/* The rule */

FIXTURE(rule)
{
	int ruleset;
	int sock;
};

FIXTURE_SETUP(rule)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, own_network());
	self->ruleset = extended(TCP, 0);
	ASSERT_LE(0, self->ruleset);
	self->sock = make_socket(AF_INET, SOCK_STREAM, 0);
	ASSERT_LE(0, self->sock);
}

FIXTURE_TEARDOWN(rule)
{
}

TEST_F(rule, refuses_wrong_attributes)
{
	struct portlock_opened_attr attr = {
		.allowed_access = BIND_TCP,
		.fd = self->sock,
	};
	const int type = PORTLOCK_RULE_OPENED;
	const int plain = net_ruleset(BIND_TCP);
	const int fd = self->ruleset;

	EXPECT_EQ(-EINVAL, add_rule(plain, type, &attr, 0));
	EXPECT_EQ(-EFAULT, add_rule(fd, type, NULL, 0));
	EXPECT_EQ(-EINVAL, add_rule(fd, type, &attr, 2));
	EXPECT_EQ(-EINVAL, add_rule(fd, type, &attr, LANDLOCK_ADD_RULE_QUIET));
	attr.reserved = 1;
	EXPECT_EQ(-EINVAL, add_rule(fd, type, &attr, 0));
	attr.reserved = 0;
	attr.allowed_access = 0;
	EXPECT_EQ(-ENOMSG, add_rule(fd, type, &attr, 0));
	attr.allowed_access = SEND_TCP;
	EXPECT_EQ(-EINVAL, add_rule(fd, type, &attr, 0));
	attr.allowed_access = 1ULL << 63;
	EXPECT_EQ(-EINVAL, add_rule(fd, type, &attr, 0));
	attr.allowed_access = TCP;
	EXPECT_EQ(0, add_rule(fd, type, &attr, 0));
}

TEST_F(rule, refuses_what_is_no_socket_of_the_right_kind)
{
	int pipes[2], sockets[2];

	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	EXPECT_EQ(-EBADF, add_opened(self->ruleset, BIND_TCP, -1));
	EXPECT_EQ(-EBADF, add_opened(self->ruleset, BIND_TCP, 9999));
	EXPECT_EQ(-ENOTSOCK, add_opened(self->ruleset, BIND_TCP, pipes[0]));
	EXPECT_EQ(-ENOTSOCK,
		  add_opened(self->ruleset, BIND_TCP, self->ruleset));
	EXPECT_EQ(-EOPNOTSUPP,
		  add_opened(self->ruleset, BIND_TCP, sockets[0]));
	EXPECT_EQ(-EOPNOTSUPP,
		  add_opened(self->ruleset, BIND_TCP,
			     socket(AF_INET, SOCK_RAW, IPPROTO_TCP)));
	EXPECT_EQ(-EOPNOTSUPP,
		  add_opened(self->ruleset, BIND_TCP,
			     socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE)));
	/* Other errors come first. */
	EXPECT_EQ(-EINVAL, add_opened(self->ruleset, SEND_TCP, -1));
	/* Nothing was added. */
	ASSERT_EQ(0, enforce(self->ruleset));
	EXPECT_EQ(-EACCES, bind_to(self->sock, "127.0.0.1", PORT));
}

/* The rights of rules about one socket add up. */
TEST_F(rule, is_joined_with_others)
{
	ASSERT_EQ(0, add_opened(self->ruleset, BIND_TCP, self->sock));
	ASSERT_EQ(0, add_opened(self->ruleset, LISTEN_TCP, dup(self->sock)));
	ASSERT_EQ(0, add_net(self->ruleset, CONNECT_TCP, PORT, PORT, NULL));
	ASSERT_EQ(0, enforce(self->ruleset));
	EXPECT_EQ(-EACCES, connect_to(self->sock, "127.0.0.1", OTHER_PORT));
	EXPECT_EQ(-ECONNREFUSED, connect_to(self->sock, "127.0.0.1", PORT));
	EXPECT_EQ(0, bind_to(self->sock, "127.0.0.1", OTHER_PORT));
	EXPECT_EQ(0, try_listen(self->sock));
}

/* Sends to the peer, out of a device that there is not. */
static int send_by_no_device(int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
		struct cmsghdr align;
	} control = {};
	struct iovec data = {
		.iov_base = "x",
		.iov_len = 1,
	};
	const struct msghdr msg = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	const struct in_pktinfo info = {
		.ipi_ifindex = 9999,
	};
	struct cmsghdr *const cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_IP;
	cmsg->cmsg_type = IP_PKTINFO;
	cmsg->cmsg_len = CMSG_LEN(sizeof(info));
	memcpy(CMSG_DATA(cmsg), &info, sizeof(info));
	return sendmsg(fd, &msg, 0) < 0 ? -errno : 0;
}

/* A rule about an address does not match these, and one about a socket does. */
TEST_F(rule, is_about_messages_with_a_way_of_their_own)
{
	const int ruleset = extended(SEND_UDP, 0);
	const int sock = make_socket(AF_INET, SOCK_DGRAM, 0);
	const int other = make_socket(AF_INET, SOCK_DGRAM, 0);

	ASSERT_LE(0, ruleset);
	ASSERT_EQ(0, connect_to(sock, "127.0.0.1", PORT));
	ASSERT_EQ(0, connect_to(other, "127.0.0.1", PORT));
	ASSERT_EQ(0, add_net(ruleset, SEND_UDP, PORT, PORT, "127.0.0.1/32"));
	ASSERT_EQ(0, add_opened(ruleset, SEND_UDP, sock));
	ASSERT_EQ(0, enforce(ruleset));
	EXPECT_EQ(-EACCES, send_by_no_device(other));
	EXPECT_EQ(-ENODEV, send_by_no_device(sock));
}

/* A rule about addresses beside a rule about the socket */

FIXTURE(both)
{
};

FIXTURE_VARIANT(both)
{
	int type, layers;
};

/* clang-format off */
FIXTURE_VARIANT_ADD(both, tcp_in_one_layer) { SOCK_STREAM, 1 };
FIXTURE_VARIANT_ADD(both, tcp_in_two_layers) { SOCK_STREAM, 2 };
FIXTURE_VARIANT_ADD(both, udp_in_one_layer) { SOCK_DGRAM, 1 };
FIXTURE_VARIANT_ADD(both, udp_in_two_layers) { SOCK_DGRAM, 2 };
/* clang-format on */

FIXTURE_SETUP(both)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, own_network());
}

FIXTURE_TEARDOWN(both)
{
}

/* A socket that needs no rule about addresses may still be bound to a device. */
TEST_F(both, leave_the_socket_unmarked)
{
	const bool is_tcp = variant->type == SOCK_STREAM;
	const __u64 access = is_tcp ? TCP : SEND_UDP;
	const int fd = make_socket(AF_INET6, variant->type, 0);
	int i;

	ASSERT_LE(0, fd);
	for (i = 0; i < variant->layers; i++) {
		const int ruleset = extended(access, 0);

		ASSERT_LE(0, ruleset);
		ASSERT_EQ(0, add_opened(ruleset, access, fd));
		ASSERT_EQ(0, add_net(ruleset, access, PORT, PORT, "::1/128"));
		ASSERT_EQ(0, enforce(ruleset));
	}
	EXPECT_EQ(0, is_tcp ? bind_to(fd, "::1", PORT) :
			      connect_to(fd, "::1", PORT));
	/* The stack misses a scope. */
	EXPECT_EQ(-EINVAL, connect_to(fd, "fe80::1", PORT));
	EXPECT_EQ(0, close(fd));
}

/* Sockets that are granted */

FIXTURE(opened)
{
	int sock, other;
};

FIXTURE_VARIANT(opened)
{
	int type, protocol;
	const char *address;
};

/* clang-format off */
FIXTURE_VARIANT_ADD(opened, tcp_on_ipv4) { SOCK_STREAM, 0, "127.0.0.1" };
FIXTURE_VARIANT_ADD(opened, tcp_on_ipv6) { SOCK_STREAM, 0, "::1" };
FIXTURE_VARIANT_ADD(opened, mptcp_on_ipv4)
{
	SOCK_STREAM, IPPROTO_MPTCP, "127.0.0.1"
};
FIXTURE_VARIANT_ADD(opened, mptcp_on_ipv6)
{
	SOCK_STREAM, IPPROTO_MPTCP, "::1"
};
FIXTURE_VARIANT_ADD(opened, udp_on_ipv4) { SOCK_DGRAM, 0, "127.0.0.1" };
FIXTURE_VARIANT_ADD(opened, udp_on_ipv6) { SOCK_DGRAM, 0, "::1" };
/* clang-format on */

FIXTURE_SETUP(opened)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, own_network());
	self->sock = make_socket(family_of(variant->address), variant->type,
				 variant->protocol);
	self->other = make_socket(family_of(variant->address), variant->type,
				  variant->protocol);
	if (self->sock < 0 && variant->protocol)
		SKIP(return, "no MPTCP: %s", strerror(-self->sock));
	ASSERT_LE(0, self->sock);
	ASSERT_LE(0, self->other);
}

FIXTURE_TEARDOWN(opened)
{
}

/* The rights of the variant's protocol. */
static __u64 rights(int type)
{
	return type == SOCK_STREAM ? ALL_TCP : ALL_UDP;
}

TEST_F(opened, are_bound_to_any_port_and_address)
{
	const __u64 access = rights(variant->type);

	ASSERT_EQ(0, restrict_to_opened(access, access, self->sock));
	EXPECT_EQ(-EACCES, bind_to(self->other, variant->address, PORT));
	EXPECT_EQ(0, bind_to(self->sock, variant->address, PORT));
	if (variant->type == SOCK_STREAM) {
		EXPECT_EQ(-EACCES, try_listen(self->other));
		EXPECT_EQ(0, try_listen(self->sock));
	}
	EXPECT_EQ(-EACCES, set_keepalive(self->other));
	EXPECT_EQ(0, set_keepalive(self->sock));
	EXPECT_EQ(-EACCES, get_type(self->other));
	EXPECT_EQ(0, get_type(self->sock));
}

TEST_F(opened, are_connected_anywhere)
{
	const __u64 access = rights(variant->type);
	const bool is_udp = variant->type == SOCK_DGRAM;

	ASSERT_EQ(0, restrict_to_opened(access, access, self->sock));
	EXPECT_EQ(-EACCES,
		  connect_to(self->other, variant->address, CLOSED_PORT));
	EXPECT_EQ(is_udp ? 0 : -ECONNREFUSED,
		  connect_to(self->sock, variant->address, CLOSED_PORT));
	if (is_udp) {
		EXPECT_EQ(-EACCES, receive_byte(self->other, MSG_DONTWAIT));
		EXPECT_EQ(-EAGAIN, receive_byte(self->sock, MSG_DONTWAIT));
		EXPECT_EQ(0, send_to(self->sock, variant->address, PORT, 0));
		EXPECT_EQ(-EACCES,
			  send_to(self->other, variant->address, PORT, 0));
	}
}

/* A grant is about its rights. */
TEST_F(opened, get_the_rights_of_the_rule)
{
	const __u64 access = rights(variant->type);
	const __u64 bind = access & (BIND_TCP | BIND_UDP);

	ASSERT_EQ(0, restrict_to_opened(access, bind, self->sock));
	EXPECT_EQ(0, bind_to(self->sock, variant->address, PORT));
	EXPECT_EQ(-EACCES,
		  connect_to(self->sock, variant->address, CLOSED_PORT));
	EXPECT_EQ(-EACCES, get_type(self->sock));
}

TEST_F(opened, are_refused_by_another_layer)
{
	const __u64 access = rights(variant->type);

	ASSERT_EQ(0, restrict_to_opened(access, access, self->sock));
	ASSERT_EQ(0, restrict_extended(access & (BIND_TCP | BIND_UDP)));
	EXPECT_EQ(-EACCES, bind_to(self->sock, variant->address, PORT));
	EXPECT_EQ(0, get_type(self->sock));
}

/* Each layer may grant the same in its own way. */
TEST_F(opened, are_granted_by_each_layer_in_its_way)
{
	const __u64 access = rights(variant->type);
	const __u64 bind = access & (BIND_TCP | BIND_UDP);
	const bool is_ipv6 = family_of(variant->address) == AF_INET6;

	ASSERT_EQ(0, restrict_to_opened(bind, bind, self->sock));
	ASSERT_EQ(0, restrict_to(bind, bind, PORT, PORT,
				 is_ipv6 ? "::1/128" : "127.0.0.1/32"));
	EXPECT_EQ(-EACCES, bind_to(self->sock, variant->address, OTHER_PORT));
	EXPECT_EQ(-EACCES, bind_to(self->other, variant->address, PORT));
	EXPECT_EQ(0, bind_to(self->sock, variant->address, PORT));
}

/* A descriptor is not a socket: all of one have its grant. */
TEST_F(opened, are_granted_by_whatever_descriptor)
{
	const __u64 access = rights(variant->type);
	const int copy = dup(self->sock);
	int usock[2];
	int passed;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, usock));
	ASSERT_EQ(0, restrict_to_opened(access, access, self->sock));
	ASSERT_EQ(0, send_descriptor(usock[0], self->sock));
	EXPECT_EQ(0, close(self->sock));
	EXPECT_EQ(0, get_type(copy));
	EXPECT_EQ(0, close(copy));
	passed = receive_descriptor(usock[1]);
	ASSERT_LE(0, passed);
	EXPECT_EQ(0, get_type(passed));
	EXPECT_EQ(0, bind_to(passed, variant->address, PORT));
}

/* Another socket that comes later is not granted, whoever made it. */
TEST_F(opened, are_not_those_that_come_later)
{
	const __u64 access = rights(variant->type);
	int usock[2], go[2], fd;
	pid_t child;
	char byte;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, usock));
	ASSERT_EQ(0, pipe(go));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		fd = make_socket(family_of(variant->address), variant->type,
				 variant->protocol);
		send_descriptor(usock[0], fd);
		close(go[1]);
		/* Stays until it is killed, with that socket open. */
		while (read(go[0], &byte, 1) >= 0)
			pause();
	}
	fd = receive_descriptor(usock[1]);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, restrict_to_opened(access, access, self->sock));
	EXPECT_EQ(-EACCES, get_type(fd));
	EXPECT_EQ(-EACCES, bind_to(fd, variant->address, PORT));
	EXPECT_EQ(0, kill(child, SIGKILL));
	EXPECT_EQ(child, waitpid(child, NULL, 0));
}

/* Cookies are not used again. */
TEST_F(opened, are_not_those_made_after_the_last_close)
{
	const __u64 access = rights(variant->type);

	ASSERT_EQ(0, restrict_to_opened(access, access, self->sock));
	EXPECT_EQ(0, close(self->sock));
	/* New sockets get an option here, which is refused. */
	for (int i = 0; i < 200; i++)
		ASSERT_EQ(-EACCES,
			  make_socket(family_of(variant->address),
				      variant->type, variant->protocol));
}

/* A grant does not free a socket from what holds for all. */
TEST_F(opened, choose_no_way_beside_rules_about_addresses)
{
	const __u64 access = rights(variant->type);
	const __u64 bind = access & (BIND_TCP | BIND_UDP);
	const int ruleset = extended(access, 0);

	ASSERT_LE(0, ruleset);
	ASSERT_EQ(0, add_net(ruleset, bind, PORT, PORT, ALL_IPV4));
	ASSERT_EQ(0, add_opened(ruleset, access, self->sock));
	ASSERT_EQ(0, enforce(ruleset));
	EXPECT_EQ(-EACCES, set_option(self->sock, SOL_SOCKET, SO_BINDTODEVICE,
				      "lo", 3));
	EXPECT_EQ(0, set_keepalive(self->sock));
}

/* Listeners and what they accept */

FIXTURE(listener)
{
	int listener;
};

FIXTURE_VARIANT(listener)
{
	int protocol;
	const char *address;
};

/* clang-format off */
FIXTURE_VARIANT_ADD(listener, tcp_on_ipv4) { 0, "127.0.0.1" };
FIXTURE_VARIANT_ADD(listener, tcp_on_ipv6) { 0, "::1" };
FIXTURE_VARIANT_ADD(listener, mptcp_on_ipv4) { IPPROTO_MPTCP, "127.0.0.1" };
FIXTURE_VARIANT_ADD(listener, mptcp_on_ipv6) { IPPROTO_MPTCP, "::1" };
/* clang-format on */

FIXTURE_SETUP(listener)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, own_network());
	self->listener = listen_at(variant->protocol, variant->address, PORT);
	if (self->listener < 0 && variant->protocol)
		SKIP(return, "no MPTCP: %s", strerror(-self->listener));
	ASSERT_LE(0, self->listener);
}

FIXTURE_TEARDOWN(listener)
{
}

/* Connects to the listener. */
static int call(int protocol, const char *address)
{
	return dial(protocol, address, 0, address, PORT);
}

TEST_F(listener, lets_use_what_it_accepts)
{
	const int before_client = call(variant->protocol, variant->address);
	const int before = try_accept(self->listener);
	const int client = call(variant->protocol, variant->address);
	int fd;

	ASSERT_LE(0, before_client);
	ASSERT_LE(0, before);
	ASSERT_LE(0, client);
	ASSERT_EQ(0, restrict_to_opened(ALL_TCP, ALL_TCP, self->listener));
	fd = try_accept(self->listener);
	ASSERT_LE(0, fd);
	for (int i = 0; i < 2; i++) {
		const int accepted = i ? before : fd;

		EXPECT_EQ(0, send_on(accepted));
		EXPECT_EQ(0, set_keepalive(accepted));
		EXPECT_EQ(0, get_type(accepted));
		EXPECT_EQ(-EAGAIN, receive_byte(accepted, MSG_DONTWAIT));
		EXPECT_EQ(0, shut_down(accepted));
	}
	/* The other ends are not granted. */
	EXPECT_EQ(-EACCES, send_on(client));
	EXPECT_EQ(-EACCES, receive_byte(before_client, MSG_DONTWAIT));
}

/* The stack may want no address then, but the right to send is there. */
TEST_F(listener, lets_send_to_an_address)
{
	const int client = call(variant->protocol, variant->address);
	const int fd = try_accept(self->listener);
	const int expected = variant->protocol ? -EINVAL : -EISCONN;

	ASSERT_LE(0, client);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, restrict_to_opened(SEND_TCP, SEND_TCP, self->listener));
	EXPECT_EQ(-EACCES, send_to(client, variant->address, PORT,
				   MSG_FASTOPEN));
	EXPECT_EQ(expected, send_to(fd, variant->address, PORT, MSG_FASTOPEN));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, close(client));
}

/* What is accepted is not given what is about addresses. */
TEST_F(listener, gives_no_other_rights)
{
	const int client = call(variant->protocol, variant->address);
	const int fd = try_accept(self->listener);

	ASSERT_LE(0, client);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, restrict_to_opened(ALL_TCP, ALL_TCP, self->listener));
	EXPECT_EQ(-EACCES, connect_to(fd, variant->address, PORT));
	/* To disconnect is not restricted.  After it there is no grant. */
	EXPECT_EQ(0, disconnect(fd));
	EXPECT_EQ(-EACCES, send_on(fd));
	EXPECT_EQ(-EACCES, get_type(fd));
	EXPECT_EQ(-EACCES, try_listen(fd));
	EXPECT_EQ(-EACCES, bind_to(fd, variant->address, OTHER_PORT));
}

TEST_F(listener, gives_the_rights_of_the_rule)
{
	const int client = call(variant->protocol, variant->address);
	const int fd = try_accept(self->listener);

	ASSERT_LE(0, client);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, restrict_to_opened(ALL_TCP, SEND_TCP, self->listener));
	EXPECT_EQ(0, send_on(fd));
	EXPECT_EQ(-EACCES, receive_byte(fd, MSG_DONTWAIT));
	EXPECT_EQ(-EACCES, try_accept(self->listener));
}

/* A rule about an accepted socket is about it alone. */
TEST_F(listener, is_not_granted_by_what_it_accepted)
{
	const int client = call(variant->protocol, variant->address);
	const int fd = try_accept(self->listener);
	const int next = call(variant->protocol, variant->address);
	const int other = try_accept(self->listener);

	ASSERT_LE(0, client);
	ASSERT_LE(0, next);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, restrict_to_opened(ALL_TCP, ALL_TCP, fd));
	EXPECT_EQ(0, send_on(fd));
	EXPECT_EQ(-EACCES, send_on(other));
	EXPECT_EQ(-EACCES, try_accept(self->listener));
	/* It stays the same socket. */
	EXPECT_EQ(0, disconnect(fd));
	EXPECT_EQ(0, get_type(fd));
}

/* Accepted by a task without a domain, from another listener. */
TEST_F(listener, does_not_answer_for_another)
{
	const int other = listen_at(variant->protocol, variant->address,
				    OTHER_PORT);
	const int client = dial(variant->protocol, variant->address, 0,
				variant->address, OTHER_PORT);
	const int fd = try_accept(other);

	ASSERT_LE(0, client);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, restrict_to_opened(ALL_TCP, ALL_TCP, self->listener));
	EXPECT_EQ(-EACCES, send_on(fd));
	EXPECT_EQ(-EACCES, try_accept(other));
}

static __u64 cookie_of(int fd)
{
	__u64 cookie = 0;
	socklen_t size = sizeof(cookie);

	getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size);
	return cookie;
}

/* Else what is accepted would be granted what the listener is. */
TEST_F(listener, has_a_cookie_of_its_own)
{
	const __u64 cookie = cookie_of(self->listener);
	const int client = call(variant->protocol, variant->address);
	const int fd = try_accept(self->listener);

	ASSERT_LE(0, client);
	ASSERT_LE(0, fd);
	EXPECT_NE(0, cookie);
	EXPECT_EQ(cookie, cookie_of(self->listener));
	EXPECT_NE(0, cookie_of(fd));
	EXPECT_NE(cookie, cookie_of(fd));
	ASSERT_EQ(0, restrict_to_opened(ALL_TCP, ALL_TCP, self->listener));
	EXPECT_EQ(0, send_on(fd));
	EXPECT_EQ(0, disconnect(fd));
	EXPECT_EQ(-EACCES, send_on(fd));
}

/* To look at sockets, as ss(8) does, gives them cookies. */
static int list_sockets(int family)
{
	const int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC,
			      NETLINK_SOCK_DIAG);
	struct {
		struct nlmsghdr head;
		struct inet_diag_req_v2 body;
	} request = {
		.head = {
			.nlmsg_len = sizeof(request),
			.nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		},
		.body = {
			.sdiag_family = family,
			.sdiag_protocol = IPPROTO_TCP,
			.idiag_states = -1,
		},
	};
	static char answer[1 << 16];
	int count = 0;

	if (fd < 0 || send(fd, &request, sizeof(request), 0) < 0)
		return -errno;
	for (;;) {
		ssize_t len = recv(fd, answer, sizeof(answer), 0);
		const struct nlmsghdr *head = (void *)answer;

		if (len < 0)
			return -errno;
		for (; NLMSG_OK(head, len); head = NLMSG_NEXT(head, len)) {
			if (head->nlmsg_type == NLMSG_DONE) {
				close(fd);
				return count;
			}
			if (head->nlmsg_type == NLMSG_ERROR)
				return -EIO;
			count++;
		}
	}
}

TEST_F(listener, is_the_same_whoever_looked_at_it)
{
	const int client = call(variant->protocol, variant->address);
	int fd, count = list_sockets(family_of(variant->address));

	if (count < 0)
		SKIP(return, "no sock_diag: %s", strerror(-count));
	EXPECT_LT(0, count);
	fd = try_accept(self->listener);
	ASSERT_LE(0, client);
	ASSERT_LE(0, fd);
	EXPECT_LT(0, list_sockets(family_of(variant->address)));
	ASSERT_EQ(0, restrict_to_opened(ALL_TCP, ALL_TCP, self->listener));
	EXPECT_EQ(0, send_on(fd));
	EXPECT_EQ(-EACCES, send_on(client));
}

/* What is granted again and again is answered by the socket. */
TEST_F(listener, lets_send_and_receive_many_times)
{
	const int client = call(variant->protocol, variant->address);
	const int fd = try_accept(self->listener);
	int ret = 0;

	ASSERT_LE(0, client);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, send_on(client));
	ASSERT_EQ(0, restrict_to_opened(ALL_TCP, ALL_TCP, self->listener));
	for (int i = 0; i < 1000 && !ret; i++)
		ret = send_on(fd);
	EXPECT_EQ(0, ret);
	EXPECT_EQ(1, receive_byte(fd, 0));
	EXPECT_EQ(-EAGAIN, receive_byte(fd, MSG_DONTWAIT));
	/* Another layer asks anew. */
	ASSERT_EQ(0, restrict_extended(SEND_TCP));
	EXPECT_EQ(-EACCES, send_on(fd));
	EXPECT_EQ(-EAGAIN, receive_byte(fd, MSG_DONTWAIT));
}

TEST_F(listener, is_refused_to_one_that_got_it_later)
{
	int usock[2];
	pid_t child;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, usock));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		const int fresh = make_socket(AF_INET, SOCK_STREAM, 0);
		int fd;

		close(self->listener);
		if (restrict_to_opened(ALL_TCP, ALL_TCP, fresh))
			_exit(1);
		fd = receive_descriptor(usock[1]);
		if (fd < 0)
			_exit(2);
		_exit(try_accept(fd) == -EACCES &&
				      get_type(fd) == -EACCES ?
			      0 : 3);
	}
	ASSERT_EQ(0, send_descriptor(usock[0], self->listener));
	EXPECT_EQ(0, wait_child(child));
}

/* A permissive layer tells what the rule does not grant. */
TEST_F(listener, is_not_reported_where_it_is_granted)
{
	const int observer = new_nonblocking_observer();
	const int ruleset = observed(observer, ALL_TCP);
	const int client = call(variant->protocol, variant->address);
	int fd;

	ASSERT_LE(0, client);
	ASSERT_EQ(0, add_opened(ruleset, ACCEPT_TCP | ACCEPTED,
				self->listener));
	ASSERT_EQ(0, enforce_permissive(ruleset));
	fd = try_accept(self->listener);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, send_on(fd));
	EXPECT_EQ(0, get_type(fd));
	EXPECT_EQ(0, drain(observer));
	EXPECT_EQ(0, send_on(client));
	EXPECT_EQ(1, drain(observer));
}

TEST_HARNESS_MAIN
