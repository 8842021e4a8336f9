// SPDX-License-Identifier: GPL-2.0
/*
 * Portlock tests: who may accept which connections
 *
 * accept(2) is asked about twice.  If no rule is for the port of the listener,
 * the call fails before a connection leaves the queue.  If no rule is for the
 * peer of the connection, the connection is closed.
 */

#include <dirent.h>
#include <poll.h>

#include "kselftest_harness.h"
#include "connections.h"
#include "ring.h"

/* The port of the listener, and one that is refused. */
#define PORT 1024
#define OTHER_PORT 1025

/* An address that no process can map. */
#define BAD_POINTER ((void *)-4096L)

/* Each kind of connection */

FIXTURE(accept)
{
	int listener;
};

FIXTURE_VARIANT(accept)
{
	/* Of the listener, and of its clients. */
	int protocol, client_protocol;
	/* Where it listens. */
	const char *address;
	/* Two clients, and a rule for the first one. */
	const char *friend, *stranger, *rule;
};

FIXTURE_VARIANT_ADD(accept, ipv4)
{
	.address = "127.0.0.1",
	.friend = "127.0.0.2",
	.stranger = "127.0.0.3",
	.rule = "127.0.0.2/32",
};

FIXTURE_VARIANT_ADD(accept, ipv6)
{
	.address = "::",
	.friend = "::1",
	.stranger = "127.0.0.1",
	.rule = "::1/128",
};

/* No rule for IPv6 is for a client that comes by IPv4. */
FIXTURE_VARIANT_ADD(accept, ipv6_whatever_the_address)
{
	.address = "::",
	.friend = "::1",
	.stranger = "127.0.0.1",
	.rule = ALL_IPV6,
};

FIXTURE_VARIANT_ADD(accept, ipv4_on_both)
{
	.address = "::",
	.friend = "127.0.0.1",
	.stranger = "::1",
	.rule = ALL_IPV4,
};

FIXTURE_VARIANT_ADD(accept, two_of_ipv4_on_both)
{
	.address = "::",
	.friend = "127.0.0.2",
	.stranger = "127.0.0.3",
	.rule = "127.0.0.2/32",
};

FIXTURE_VARIANT_ADD(accept, mptcp)
{
	.protocol = IPPROTO_MPTCP,
	.client_protocol = IPPROTO_MPTCP,
	.address = "127.0.0.1",
	.friend = "127.0.0.2",
	.stranger = "127.0.0.3",
	.rule = "127.0.0.2/32",
};

FIXTURE_VARIANT_ADD(accept, mptcp_of_ipv6)
{
	.protocol = IPPROTO_MPTCP,
	.client_protocol = IPPROTO_MPTCP,
	.address = "::",
	.friend = "::1",
	.stranger = "127.0.0.1",
	.rule = "::1/128",
};

FIXTURE_VARIANT_ADD(accept, tcp_from_mptcp)
{
	.protocol = IPPROTO_MPTCP,
	.address = "127.0.0.1",
	.friend = "127.0.0.2",
	.stranger = "127.0.0.3",
	.rule = "127.0.0.2/32",
};

FIXTURE_SETUP(accept)
{
	int ret;

	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ret = new_socket(AF_INET, SOCK_STREAM, variant->protocol);
	if (ret && variant->protocol)
		SKIP(return, "no MPTCP: %s", strerror(-ret));
	ASSERT_EQ(0, own_network());
	self->listener = listen_at(variant->protocol, variant->address, PORT);
	ASSERT_LE(0, self->listener);
}

FIXTURE_TEARDOWN(accept)
{
	EXPECT_EQ(0, close(self->listener));
}

/* Connects from @client to the loopback address of its family. */
static int call_from(int protocol, const char *client, __u16 port)
{
	return dial(protocol, client, 0,
		    family_of(client) == AF_INET ? "127.0.0.1" : "::1", port);
}

/* Accepts a connection, which must be from @client. */
static int accept_from(int listener, const char *client)
{
	char name[INET6_ADDRSTRLEN];
	union addr addr;
	socklen_t len = sizeof(addr);
	const int fd = accept4(listener, &addr.sa, &len, SOCK_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (addr.sa.sa_family == AF_INET ||
	    IN6_IS_ADDR_V4MAPPED(&addr.in6.sin6_addr))
		inet_ntop(AF_INET, addr.sa.sa_family == AF_INET ?
			  (void *)&addr.in.sin_addr :
			  (void *)&addr.in6.sin6_addr.s6_addr[12],
			  name, sizeof(name));
	else
		inet_ntop(AF_INET6, &addr.in6.sin6_addr, name, sizeof(name));
	if (strcmp(client, name)) {
		close(fd);
		return -EPROTO;
	}
	return fd;
}

/* Whether what one end sends comes to the other end. */
static bool are_connected(int fd, int other)
{
	return send_fd_to(fd, 0, 0) == 0 && receive_byte(other, 0) == 1 &&
	       send_fd_to(other, 0, 0) == 0 && receive_byte(fd, 0) == 1;
}

TEST_F(accept, is_granted_by_port)
{
	const int friend = call_from(variant->client_protocol, variant->friend,
				     PORT);
	const int stranger = call_from(variant->client_protocol,
				       variant->stranger, PORT);
	int fd;

	ASSERT_LE(0, friend);
	ASSERT_LE(0, stranger);
	ASSERT_EQ(0, restrict_to(ACCEPT_TCP, ACCEPT_TCP, PORT, PORT, NULL));
	fd = accept_from(self->listener, variant->friend);
	ASSERT_LE(0, fd);
	EXPECT_TRUE(are_connected(friend, fd));
	fd = accept_from(self->listener, variant->stranger);
	ASSERT_LE(0, fd);
	EXPECT_TRUE(are_connected(stranger, fd));
}

TEST_F(accept, by_another_port_leaves_the_connection_to_others)
{
	const int client = call_from(variant->client_protocol, variant->friend,
				     PORT);
	const pid_t child = fork();
	int i, fd;

	ASSERT_LE(0, client);
	ASSERT_LE(0, child);
	if (child == 0) {
		ASSERT_EQ(0, restrict_to(ACCEPT_TCP, ACCEPT_TCP, OTHER_PORT,
					 OTHER_PORT, NULL));
		for (i = 0; i < 10; i++)
			EXPECT_EQ(-EACCES, try_accept(self->listener));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, wait_child(child));
	fd = accept_from(self->listener, variant->friend);
	ASSERT_LE(0, fd);
	EXPECT_TRUE(are_connected(client, fd));
}

/* The child gets what its rule is for, and the parent still gets the rest. */
TEST_F(accept, of_another_peer_closes_one_connection)
{
	const int protocol = variant->client_protocol;
	const int stranger = call_from(protocol, variant->stranger, PORT);
	const int friend = call_from(protocol, variant->friend, PORT);
	int later;
	pid_t child;
	int fd;

	ASSERT_LE(0, stranger);
	ASSERT_LE(0, friend);
	child = fork();
	ASSERT_LE(0, child);
	if (child == 0) {
		ASSERT_EQ(0, restrict_to(ACCEPT_TCP, ACCEPT_TCP, PORT, PORT,
					 variant->rule));
		EXPECT_EQ(-ECONNABORTED, try_accept(self->listener));
		/* The end of the connection, though this task lives on. */
		EXPECT_EQ(0, receive_byte(stranger, 0));
		fd = accept_from(self->listener, variant->friend);
		EXPECT_LE(0, fd);
		EXPECT_TRUE(are_connected(friend, fd));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, wait_child(child));
	later = call_from(protocol, variant->stranger, PORT);
	ASSERT_LE(0, later);
	fd = accept_from(self->listener, variant->stranger);
	ASSERT_LE(0, fd);
	EXPECT_TRUE(are_connected(later, fd));
}

/* The address of the peer stays, and so does the port that it dialled. */
TEST_F(accept, of_a_connection_that_was_reset_is_asked)
{
	const int protocol = variant->client_protocol;
	const int stranger = call_from(protocol, variant->stranger, PORT);
	const int friend = call_from(protocol, variant->friend, PORT);
	int fd;

	ASSERT_LE(0, stranger);
	ASSERT_LE(0, friend);
	ASSERT_EQ(0, close_with_reset(stranger));
	ASSERT_EQ(0, close_with_reset(friend));
	ASSERT_EQ(0, restrict_to(ACCEPT_TCP, ACCEPT_TCP, PORT, PORT,
				 variant->rule));
	EXPECT_EQ(-ECONNABORTED, try_accept(self->listener));
	fd = accept_from(self->listener, variant->friend);
	EXPECT_LE(0, fd);
}

/* Counts the descriptors of this process.  @next is the lowest free one. */
static int count_descriptors(int *next)
{
	DIR *const dir = opendir("/proc/self/fd");
	int num;

	if (!dir)
		return -errno;
	*next = dirfd(dir);
	for (num = 0; readdir(dir); num++)
		;
	closedir(dir);
	return num;
}

TEST_F(accept, that_is_refused_leaves_no_descriptor)
{
	int i, num, next, next_before, clients[4];

	for (i = 0; i < ARRAY_SIZE(clients); i++) {
		clients[i] = call_from(variant->client_protocol,
				       variant->stranger, PORT);
		ASSERT_LE(0, clients[i]);
	}
	ASSERT_EQ(0, restrict_to(ACCEPT_TCP, ACCEPT_TCP, PORT, PORT,
				 variant->rule));
	num = count_descriptors(&next_before);
	ASSERT_LT(0, num);
	for (i = 0; i < ARRAY_SIZE(clients); i++)
		EXPECT_EQ(-ECONNABORTED, try_accept(self->listener));
	EXPECT_EQ(num, count_descriptors(&next));
	EXPECT_EQ(next_before, next);
	ASSERT_EQ(0, restrict_extended(ACCEPT_TCP));
	for (i = 0; i < ARRAY_SIZE(clients); i++)
		EXPECT_EQ(-EACCES, try_accept(self->listener));
	EXPECT_EQ(num, count_descriptors(&next));
	EXPECT_EQ(next_before, next);
}

TEST_F(accept, that_is_refused_tells_nothing_of_the_peer)
{
	const int protocol = variant->client_protocol;
	const int first = call_from(protocol, variant->stranger, PORT);
	const int second = call_from(protocol, variant->stranger, PORT);
	union addr addr, before;
	socklen_t len = sizeof(addr);

	ASSERT_LE(0, first);
	ASSERT_LE(0, second);
	memset(&addr, 0x5a, sizeof(addr));
	before = addr;
	ASSERT_EQ(0, restrict_to(ACCEPT_TCP, ACCEPT_TCP, PORT, PORT,
				 variant->rule));
	EXPECT_EQ(-1, accept(self->listener, &addr.sa, &len));
	EXPECT_EQ(ECONNABORTED, errno);
	EXPECT_EQ(sizeof(addr), len);
	EXPECT_EQ(0, memcmp(&before, &addr, sizeof(addr)));
	/* So a wrong pointer is not noticed. */
	EXPECT_EQ(-1, accept(self->listener, BAD_POINTER, BAD_POINTER));
	EXPECT_EQ(ECONNABORTED, errno);

	ASSERT_EQ(0, restrict_extended(ACCEPT_TCP));
	EXPECT_EQ(-1, accept(self->listener, &addr.sa, &len));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(sizeof(addr), len);
	EXPECT_EQ(0, memcmp(&before, &addr, sizeof(addr)));
}

/* Each form of the call */

FIXTURE(forms)
{
	int listener;
};

FIXTURE_VARIANT(forms)
{
	/* Of accept4(2), or -1 for accept(2). */
	int flags;
	bool names_peer;
};

FIXTURE_VARIANT_ADD(forms, accept)
{
	.flags = -1,
};

FIXTURE_VARIANT_ADD(forms, accept_with_address)
{
	.flags = -1,
	.names_peer = true,
};

FIXTURE_VARIANT_ADD(forms, accept4)
{
	.flags = 0,
	.names_peer = true,
};

FIXTURE_VARIANT_ADD(forms, accept4_cloexec)
{
	.flags = SOCK_CLOEXEC,
};

FIXTURE_VARIANT_ADD(forms, accept4_nonblock)
{
	.flags = SOCK_NONBLOCK,
	.names_peer = true,
};

FIXTURE_VARIANT_ADD(forms, accept4_with_both_flags)
{
	.flags = SOCK_CLOEXEC | SOCK_NONBLOCK,
};

FIXTURE_SETUP(forms)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, own_network());
	self->listener = listen_at(0, "127.0.0.1", PORT);
	ASSERT_LE(0, self->listener);
}

FIXTURE_TEARDOWN(forms)
{
	EXPECT_EQ(0, close(self->listener));
}

static int accept_as(int listener, int flags, bool names_peer)
{
	union addr addr;
	socklen_t len = sizeof(addr);
	struct sockaddr *const sa = names_peer ? &addr.sa : NULL;
	socklen_t *const size = names_peer ? &len : NULL;
	const int fd = flags < 0 ? accept(listener, sa, size) :
				   accept4(listener, sa, size, flags);

	return fd < 0 ? -errno : fd;
}

TEST_F(forms, are_all_asked)
{
	const int stranger = call_from(0, "127.0.0.3", PORT);
	const int friend = call_from(0, "127.0.0.2", PORT);
	const int flags = variant->flags < 0 ? 0 : variant->flags;
	int fd;

	ASSERT_LE(0, stranger);
	ASSERT_LE(0, friend);
	ASSERT_EQ(0, restrict_to(ACCEPT_TCP, ACCEPT_TCP, PORT, PORT,
				 "127.0.0.2/32"));
	EXPECT_EQ(-ECONNABORTED, accept_as(self->listener, variant->flags,
					   variant->names_peer));
	fd = accept_as(self->listener, variant->flags, variant->names_peer);
	ASSERT_LE(0, fd);
	EXPECT_EQ(flags & SOCK_CLOEXEC ? FD_CLOEXEC : 0, fcntl(fd, F_GETFD));
	EXPECT_EQ(flags & SOCK_NONBLOCK ? O_NONBLOCK : 0,
		  fcntl(fd, F_GETFL) & O_NONBLOCK);
	ASSERT_EQ(0, restrict_to(ACCEPT_TCP, ACCEPT_TCP, OTHER_PORT,
				 OTHER_PORT, NULL));
	EXPECT_EQ(-EACCES, accept_as(self->listener, variant->flags,
				     variant->names_peer));
}

/* The connection comes when the call waits for it already. */
TEST_F(forms, are_asked_when_they_wait)
{
	const pid_t child = fork();
	int client;

	ASSERT_LE(0, child);
	if (child == 0) {
		pause_ms(200);
		client = call_from(0, "127.0.0.3", PORT);
		EXPECT_LE(0, client);
		EXPECT_EQ(0, receive_byte(client, 0));
		_exit(_metadata->exit_code);
	}
	ASSERT_EQ(0, restrict_to(ACCEPT_TCP, ACCEPT_TCP, PORT, PORT,
				 "127.0.0.2/32"));
	EXPECT_EQ(-ECONNABORTED, accept_as(self->listener, variant->flags,
					   variant->names_peer));
	EXPECT_EQ(0, wait_child(child));
}

/* Everything else, by TCP */

FIXTURE(net)
{
	int listener;
};

FIXTURE_SETUP(net)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, own_network());
	self->listener = listen_at(0, "127.0.0.1", PORT);
	ASSERT_LE(0, self->listener);
}

FIXTURE_TEARDOWN(net)
{
	EXPECT_EQ(0, close(self->listener));
}

TEST_F(net, wrong_flags_come_first)
{
	ASSERT_EQ(0, restrict_extended(ACCEPT_TCP));
	EXPECT_EQ(-EINVAL, accept_as(self->listener, O_APPEND, false));
	EXPECT_EQ(-EACCES, accept_as(self->listener, 0, false));
}

static int stop_blocking(int fd)
{
	return fcntl(fd, F_SETFL, O_NONBLOCK) ? -errno : 0;
}

/* Waits until a connection is in the queue. */
static int wait_for_client(int listener)
{
	struct pollfd poller = {
		.fd = listener,
		.events = POLLIN,
	};

	return poll(&poller, 1, 5000) == 1 ? 0 : -ETIMEDOUT;
}

TEST_F(net, a_call_that_does_not_block_is_asked)
{
	int client;

	ASSERT_EQ(0, stop_blocking(self->listener));
	ASSERT_EQ(0, restrict_to(ACCEPT_TCP, ACCEPT_TCP, PORT, PORT,
				 "127.0.0.2/32"));
	EXPECT_EQ(-EAGAIN, try_accept(self->listener));
	client = call_from(0, "127.0.0.3", PORT);
	ASSERT_LE(0, client);
	ASSERT_EQ(0, wait_for_client(self->listener));
	EXPECT_EQ(-ECONNABORTED, try_accept(self->listener));
	EXPECT_EQ(-EAGAIN, try_accept(self->listener));
	client = call_from(0, "127.0.0.2", PORT);
	ASSERT_LE(0, client);
	ASSERT_EQ(0, wait_for_client(self->listener));
	EXPECT_LE(0, try_accept(self->listener));
	/* Whether there is a connection is not told. */
	ASSERT_EQ(0, restrict_extended(ACCEPT_TCP));
	EXPECT_EQ(-EACCES, try_accept(self->listener));
}

TEST_F(net, a_task_without_the_right_in_its_layers_is_free)
{
	const int client = call_from(0, "127.0.0.3", PORT);
	int fd;

	ASSERT_LE(0, client);
	ASSERT_EQ(0, restrict_extended(TCP | UDP | SEND_TCP | RECEIVE_UDP));
	fd = accept_from(self->listener, "127.0.0.3");
	EXPECT_LE(0, fd);
}

TEST_F(net, plain_layers_have_no_say)
{
	const int first = call_from(0, "127.0.0.2", PORT);
	const int second = call_from(0, "127.0.0.2", PORT);

	ASSERT_LE(0, first);
	ASSERT_LE(0, second);
	ASSERT_EQ(0, restrict_all(ALL_NET));
	EXPECT_LE(0, try_accept(self->listener));
	ASSERT_EQ(0, restrict_to(ACCEPT_TCP, ACCEPT_TCP, PORT, PORT, NULL));
	ASSERT_EQ(0, restrict_all(ALL_NET));
	EXPECT_LE(0, try_accept(self->listener));
	ASSERT_EQ(0, restrict_extended(ACCEPT_TCP));
	EXPECT_EQ(-EACCES, try_accept(self->listener));
	ASSERT_EQ(0, restrict_to_port(ALL_NET, PORT, ALL_NET));
	EXPECT_EQ(-EACCES, try_accept(self->listener));
}

/* One layer is about a port, and the other one about an address. */
FIXTURE(layers)
{
	int listener, other_listener;
};

FIXTURE_VARIANT(layers)
{
	bool port_first;
};

FIXTURE_VARIANT_ADD(layers, port_then_address)
{
	.port_first = true,
};

FIXTURE_VARIANT_ADD(layers, address_then_port)
{
	.port_first = false,
};

FIXTURE_SETUP(layers)
{
	int i;

	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, own_network());
	self->listener = listen_at(0, "127.0.0.1", PORT);
	ASSERT_LE(0, self->listener);
	self->other_listener = listen_at(0, "127.0.0.1", OTHER_PORT);
	ASSERT_LE(0, self->other_listener);
	for (i = 0; i < 2; i++) {
		ASSERT_LE(0, call_from(0, "127.0.0.3", PORT));
		ASSERT_LE(0, call_from(0, "127.0.0.2", PORT));
		ASSERT_LE(0, call_from(0, "127.0.0.2", OTHER_PORT));
	}
	for (i = 0; i < 2; i++) {
		if ((i == 0) == variant->port_first) {
			ASSERT_EQ(0, restrict_to(ACCEPT_TCP, ACCEPT_TCP, PORT,
						 PORT, NULL));
		} else {
			ASSERT_EQ(0, restrict_to(ACCEPT_TCP, ACCEPT_TCP, 0,
						 UINT16_MAX, "127.0.0.2/32"));
		}
	}
}

FIXTURE_TEARDOWN(layers)
{
	EXPECT_EQ(0, close(self->listener));
	EXPECT_EQ(0, close(self->other_listener));
}

TEST_F(layers, must_all_have_a_rule)
{
	EXPECT_EQ(-EACCES, try_accept(self->other_listener));
	EXPECT_EQ(-ECONNABORTED, try_accept(self->listener));
	EXPECT_LE(0, try_accept(self->listener));
}

TEST_F(layers, with_addresses_agree_on_their_intersection)
{
	ASSERT_EQ(0, restrict_to(ACCEPT_TCP, ACCEPT_TCP, PORT, PORT,
				 "127.0.0.0/31"));
	EXPECT_EQ(-ECONNABORTED, try_accept(self->listener));
	EXPECT_EQ(-ECONNABORTED, try_accept(self->listener));
}

TEST_F(layers, may_be_sixteen)
{
	int i;

	for (i = 2; i < MAX_LAYERS - 1; i++) {
		ASSERT_EQ(0, restrict_to(ACCEPT_TCP, ACCEPT_TCP, PORT, PORT,
					 "127.0.0.0/8"));
	}
	EXPECT_EQ(-ECONNABORTED, try_accept(self->listener));
	EXPECT_LE(0, try_accept(self->listener));
	ASSERT_EQ(0, restrict_to(ACCEPT_TCP, ACCEPT_TCP, PORT, PORT,
				 "127.0.0.3/32"));
	EXPECT_EQ(-ECONNABORTED, try_accept(self->listener));
	EXPECT_EQ(-ECONNABORTED, try_accept(self->listener));
}

/* A queue that is empty: only a port that is refused is not EAGAIN. */
TEST_F(net, ranges_end_with_their_first_and_last_port)
{
	static const struct {
		__u16 port, first, last;
		bool granted;
	} rows[] = {
		{ 1, 0, 0, false },
		{ 1, 0, 1, true },
		{ 1, 1, 1, true },
		{ 1, 2, 65535, false },
		{ 2000, 0, 0, false },
		{ 2000, 0, 1999, false },
		{ 2000, 0, 2000, true },
		{ 2000, 2000, 65535, true },
		{ 2000, 2001, 65535, false },
		{ 65535, 0, 65534, false },
		{ 65535, 0, 65535, true },
		{ 65535, 65535, 65535, true },
	};
	/* The first step asks for no peer. */
	static const char *const prefixes[] = { NULL, "192.0.2.0/24", "::/0" };
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		const int listener = listen_at(0, "127.0.0.1", rows[i].port);

		ASSERT_LE(0, listener);
		ASSERT_EQ(0, stop_blocking(listener));
		for (j = 0; j < ARRAY_SIZE(prefixes); j++) {
			const pid_t child = fork();

			ASSERT_LE(0, child);
			if (child == 0) {
				if (restrict_to(ACCEPT_TCP, ACCEPT_TCP,
						rows[i].first, rows[i].last,
						prefixes[j]))
					_exit(0);
				_exit(-try_accept(listener));
			}
			EXPECT_EQ(rows[i].granted ? EAGAIN : EACCES,
				  wait_child(child))
				TH_LOG("port %d, rule %d-%d of %s",
				       rows[i].port, rows[i].first,
				       rows[i].last, prefixes[j]);
		}
		ASSERT_EQ(0, close(listener));
	}
}

TEST_F(net, addresses_belong_to_the_namespace_of_enforcing)
{
	int listener;

	ASSERT_EQ(0, restrict_to(ACCEPT_TCP, ACCEPT_TCP, 0, UINT16_MAX,
				 ALL_IPV4));
	ASSERT_EQ(0, own_network());
	listener = listen_at(0, "127.0.0.1", PORT);
	ASSERT_LE(0, listener);
	ASSERT_LE(0, call_from(0, "127.0.0.2", PORT));
	EXPECT_EQ(-EACCES, try_accept(listener));
	/* What comes to the old namespace is still matched. */
	ASSERT_EQ(0, stop_blocking(self->listener));
	EXPECT_EQ(-EAGAIN, try_accept(self->listener));
}

TEST_F(net, ports_belong_to_every_namespace)
{
	int listener;

	ASSERT_EQ(0, restrict_to(ACCEPT_TCP, ACCEPT_TCP, PORT, PORT, NULL));
	ASSERT_EQ(0, own_network());
	listener = listen_at(0, "127.0.0.1", PORT);
	ASSERT_LE(0, listener);
	ASSERT_LE(0, call_from(0, "127.0.0.2", PORT));
	EXPECT_LE(0, try_accept(listener));
}

TEST_F(net, what_does_not_listen_is_left_to_the_stack)
{
	const int fd = make_socket(AF_INET, SOCK_STREAM, 0);
	const int bound = bound_at(SOCK_STREAM, 0, "127.0.0.1", OTHER_PORT);
	const int client = call_from(0, "127.0.0.2", PORT);
	const int udp = make_socket(AF_INET, SOCK_DGRAM, 0);

	ASSERT_LE(0, fd);
	ASSERT_LE(0, bound);
	ASSERT_LE(0, client);
	ASSERT_LE(0, udp);
	ASSERT_EQ(0, restrict_extended(ACCEPT_TCP | TCP | UDP));
	EXPECT_EQ(-EINVAL, try_accept(fd));
	EXPECT_EQ(-EINVAL, try_accept(bound));
	EXPECT_EQ(-EINVAL, try_accept(client));
	EXPECT_EQ(-EOPNOTSUPP, try_accept(udp));
	EXPECT_EQ(-EACCES, try_accept(self->listener));
	/* After this it is a listener no longer. */
	ASSERT_EQ(0, shutdown(self->listener, SHUT_RD));
	EXPECT_EQ(-EINVAL, try_accept(self->listener));
}

TEST_F(net, other_sockets_are_free)
{
	union addr addr = {
		.un.sun_family = AF_UNIX,
	};
	socklen_t len = sizeof(addr);
	const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ASSERT_LE(0, listener);
	ASSERT_LE(0, client);
	ASSERT_EQ(0, restrict_extended(ACCEPT_TCP | TCP | UDP));
	ASSERT_EQ(0, bind(listener, &addr.sa, sizeof(addr.un.sun_family)));
	ASSERT_EQ(0, try_listen(listener));
	ASSERT_EQ(0, getsockname(listener, &addr.sa, &len));
	ASSERT_EQ(0, connect(client, &addr.sa, len));
	EXPECT_LE(0, try_accept(listener));
}

/* Accepts by a rule for all addresses, and then by one for the port. */
static void accept_by_port_only(struct __test_metadata *_metadata, int listener)
{
	const pid_t child = fork();

	ASSERT_LE(0, child);
	if (child == 0) {
		ASSERT_EQ(0, restrict_to_both(ACCEPT_TCP, ALL_IPV4, ALL_IPV6));
		EXPECT_EQ(-ECONNABORTED, try_accept(listener));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, wait_child(child));
	ASSERT_EQ(0, restrict_to(ACCEPT_TCP, ACCEPT_TCP, PORT, PORT, NULL));
	EXPECT_LE(0, try_accept(listener));
}

/* The listener's option is that of what it accepts. */
TEST_F(net, a_way_of_the_listener_matches_no_address)
{
	const int one = 1;

	ASSERT_EQ(0, set_option(self->listener, SOL_IP, IP_FREEBIND, &one,
				sizeof(one)));
	ASSERT_LE(0, call_from(0, "127.0.0.2", PORT));
	ASSERT_LE(0, call_from(0, "127.0.0.2", PORT));
	accept_by_port_only(_metadata, self->listener);
}

/* Transparent proxies have this option. */
TEST_F(net, a_transparent_listener_matches_no_address)
{
	const int one = 1;

	ASSERT_EQ(0, set_option(self->listener, SOL_IP, IP_TRANSPARENT, &one,
				sizeof(one)));
	ASSERT_LE(0, call_from(0, "127.0.0.2", PORT));
	ASSERT_LE(0, call_from(0, "127.0.0.2", PORT));
	accept_by_port_only(_metadata, self->listener);
}

/* Packets go back with the options with which they came. */
TEST_F(net, options_of_the_client_match_no_address)
{
	static const unsigned char record_route[] = { 7, 7, 4, 0, 0, 0, 0, 0 };
	int i;

	for (i = 0; i < 2; i++) {
		const int fd = bound_at(SOCK_STREAM, 0, "127.0.0.2", 0);

		ASSERT_LE(0, fd);
		ASSERT_EQ(0, set_option(fd, SOL_IP, IP_OPTIONS, record_route,
					sizeof(record_route)));
		ASSERT_EQ(0, connect_to(fd, "127.0.0.1", PORT));
	}
	accept_by_port_only(_metadata, self->listener);
}

/* The loopback interface is not a device. */
TEST_F(net, a_listener_on_loopback_matches_an_address)
{
	ASSERT_EQ(0, set_option(self->listener, SOL_SOCKET, SO_BINDTODEVICE,
				"lo", 3));
	ASSERT_LE(0, call_from(0, "127.0.0.2", PORT));
	ASSERT_EQ(0, restrict_to(ACCEPT_TCP, ACCEPT_TCP, PORT, PORT,
				 "127.0.0.2/32"));
	EXPECT_LE(0, try_accept(self->listener));
}

/* The client dialled another port than that of the listener. */
TEST_F(net, a_connection_is_judged_by_the_port_that_was_dialled)
{
	const int ret = steer(self->listener, OTHER_PORT);
	int fd, rules;

	if (ret)
		SKIP(return, "no program can steer connections: %s",
		     strerror(-ret));
	ASSERT_LE(0, call_from(0, "127.0.0.2", OTHER_PORT));
	ASSERT_LE(0, call_from(0, "127.0.0.3", OTHER_PORT));
	ASSERT_LE(0, call_from(0, "127.0.0.4", OTHER_PORT));
	ASSERT_LE(0, call_from(0, "127.0.0.5", PORT));
	ASSERT_LE(0, call_from(0, "127.0.0.6", OTHER_PORT));
	fd = accept_from(self->listener, "127.0.0.2");
	ASSERT_LE(0, fd);

	rules = extended(ACCEPT_TCP, 0);
	ASSERT_LE(0, rules);
	ASSERT_EQ(0, add_net(rules, ACCEPT_TCP, PORT, PORT, NULL));
	ASSERT_EQ(0, add_net(rules, ACCEPT_TCP, OTHER_PORT, OTHER_PORT,
			     "127.0.0.4/32"));
	ASSERT_EQ(0, enforce(rules));
	EXPECT_EQ(-ECONNABORTED, try_accept(self->listener));
	fd = accept_from(self->listener, "127.0.0.4");
	EXPECT_LE(0, fd);
	fd = accept_from(self->listener, "127.0.0.5");
	EXPECT_LE(0, fd);
	/* The first step is about the port of the listener. */
	ASSERT_EQ(0, restrict_to(ACCEPT_TCP, ACCEPT_TCP, OTHER_PORT,
				 OTHER_PORT, NULL));
	EXPECT_EQ(-EACCES, try_accept(self->listener));
}

/* What a client sent with its first packet is not read by anybody. */
TEST_F(net, a_connection_that_came_with_data_is_asked)
{
	const int friend = bound_at(SOCK_STREAM, 0, "127.0.0.2", 0);
	const int stranger = bound_at(SOCK_STREAM, 0, "127.0.0.3", 0);
	int fd;

	ASSERT_LE(0, friend);
	ASSERT_LE(0, stranger);
	ASSERT_EQ(0, allow_fast_open());
	ASSERT_EQ(0, send_to(stranger, "127.0.0.1", PORT, MSG_FASTOPEN));
	ASSERT_EQ(0, send_to(friend, "127.0.0.1", PORT, MSG_FASTOPEN));
	ASSERT_EQ(0, restrict_to(ACCEPT_TCP, ACCEPT_TCP, PORT, PORT,
				 "127.0.0.2/32"));
	EXPECT_EQ(-ECONNABORTED, try_accept(self->listener));
	/* There was something to read, so this is a reset. */
	EXPECT_EQ(-ECONNRESET, receive_byte(stranger, 0));
	fd = accept_from(self->listener, "127.0.0.2");
	ASSERT_LE(0, fd);
	EXPECT_EQ(1, receive_byte(fd, 0));
}

/*
 * The kernel accepts for an SMC socket, as itself.  A task in a domain gets
 * nothing of it, and others do.
 */
TEST_F(net, smc_is_refused_and_left_to_others)
{
	const int listener = make_socket(AF_INET, SOCK_STREAM, IPPROTO_SMC);
	int client, fd;
	pid_t child;

	if (listener < 0)
		SKIP(return, "no SMC: %s", strerror(-listener));
	ASSERT_EQ(0, bind_to(listener, "127.0.0.1", OTHER_PORT));
	ASSERT_EQ(0, try_listen(listener));
	client = call_from(0, "127.0.0.2", OTHER_PORT);
	ASSERT_LE(0, client);
	child = fork();
	ASSERT_LE(0, child);
	if (child == 0) {
		ASSERT_EQ(0, restrict_to(ACCEPT_TCP, ACCEPT_TCP, 0, UINT16_MAX,
					 NULL));
		EXPECT_EQ(-EACCES, try_accept(listener));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, wait_child(child));
	fd = try_accept(listener);
	ASSERT_LE(0, fd);
	EXPECT_TRUE(are_connected(client, fd));
	/* Layers without the right do not refuse it. */
	client = call_from(0, "127.0.0.2", OTHER_PORT);
	ASSERT_LE(0, client);
	ASSERT_EQ(0, restrict_extended(LISTEN_TCP));
	EXPECT_LE(0, try_accept(listener));
}

/* io_uring */

FIXTURE(rings)
{
	int listener;
	/* Made before the domain, which does not matter. */
	struct ring ring;
	struct io_uring_sqe sqe;
};

FIXTURE_VARIANT(rings)
{
	bool async;
};

FIXTURE_VARIANT_ADD(rings, at_once)
{
	.async = false,
};

FIXTURE_VARIANT_ADD(rings, by_a_worker)
{
	.async = true,
};

FIXTURE_SETUP(rings)
{
	const struct way way = {
		.async = variant->async,
	};

	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	if (obstacle())
		SKIP(return, "%s", obstacle());
	ASSERT_EQ(0, own_network());
	self->listener = listen_at(0, "127.0.0.1", PORT);
	ASSERT_LE(0, self->listener);
	ASSERT_EQ(0, open_ring(&self->ring, 0));
	fill(&self->sqe, way, IORING_OP_ACCEPT, self->listener);
	ASSERT_LE(0, call_from(0, "127.0.0.3", PORT));
	ASSERT_LE(0, call_from(0, "127.0.0.2", PORT));
}

FIXTURE_TEARDOWN(rings)
{
	EXPECT_EQ(0, close_ring(&self->ring));
	EXPECT_EQ(0, close(self->listener));
}

TEST_F(rings, are_asked)
{
	union addr addr, before;
	socklen_t len = sizeof(addr);
	int num, next, next_before;

	memset(&addr, 0x5a, sizeof(addr));
	before = addr;
	self->sqe.addr = (uintptr_t)&addr;
	self->sqe.addr2 = (uintptr_t)&len;
	ASSERT_EQ(0, restrict_to(ACCEPT_TCP, ACCEPT_TCP, PORT, PORT,
				 "127.0.0.2/32"));
	num = count_descriptors(&next_before);
	EXPECT_EQ(-ECONNABORTED, run_request(&self->ring, &self->sqe));
	EXPECT_EQ(num, count_descriptors(&next));
	EXPECT_EQ(next_before, next);
	EXPECT_EQ(0, memcmp(&before, &addr, sizeof(addr)));
	EXPECT_EQ(sizeof(addr), len);
	EXPECT_LE(0, run_request(&self->ring, &self->sqe));
	EXPECT_EQ(AF_INET, addr.sa.sa_family);
	ASSERT_EQ(0, restrict_extended(ACCEPT_TCP));
	EXPECT_EQ(-EACCES, run_request(&self->ring, &self->sqe));
}

/* Connections that get no descriptor, only a place in the ring. */
TEST_F(rings, are_asked_for_places_of_their_own)
{
	struct io_uring_rsrc_register table = {
		.nr = 1,
		.flags = IORING_RSRC_REGISTER_SPARSE,
	};
	struct io_uring_sqe send;

	ASSERT_EQ(0, syscall(__NR_io_uring_register, self->ring.fd,
			     IORING_REGISTER_FILES2, &table, sizeof(table)));
	fill(&send, (struct way){}, IORING_OP_SEND, 0);
	send.flags |= IOSQE_FIXED_FILE;
	send.addr = (uintptr_t)"x";
	send.len = 1;
	self->sqe.file_index = 1;
	ASSERT_EQ(0, restrict_to(ACCEPT_TCP, ACCEPT_TCP, PORT, PORT,
				 "127.0.0.2/32"));
	EXPECT_EQ(-ECONNABORTED, run_request(&self->ring, &self->sqe));
	EXPECT_EQ(-EBADF, run_request(&self->ring, &send));
	EXPECT_EQ(0, run_request(&self->ring, &self->sqe));
	EXPECT_EQ(1, run_request(&self->ring, &send));
	ASSERT_EQ(0, restrict_extended(ACCEPT_TCP));
	EXPECT_EQ(-EACCES, run_request(&self->ring, &self->sqe));
}

TEST_F(rings, stop_at_the_first_connection_that_is_refused)
{
	struct io_uring_cqe cqe;

	/* The first one is not refused. */
	EXPECT_LE(0, accept_from(self->listener, "127.0.0.3"));
	ASSERT_LE(0, call_from(0, "127.0.0.3", PORT));
	ASSERT_LE(0, call_from(0, "127.0.0.2", PORT));
	self->sqe.ioprio |= IORING_ACCEPT_MULTISHOT;
	ASSERT_EQ(0, restrict_to(ACCEPT_TCP, ACCEPT_TCP, PORT, PORT,
				 "127.0.0.2/32"));
	ASSERT_EQ(0, submit(&self->ring, &self->sqe));
	ASSERT_EQ(0, take_completion(&self->ring, &cqe));
	EXPECT_LE(0, cqe.res);
	EXPECT_NE(0, cqe.flags & IORING_CQE_F_MORE);
	ASSERT_EQ(0, take_completion(&self->ring, &cqe));
	EXPECT_EQ(-ECONNABORTED, cqe.res);
	EXPECT_EQ(0, cqe.flags & IORING_CQE_F_MORE);
	/* The next one waits for another call. */
	EXPECT_LE(0, accept_from(self->listener, "127.0.0.2"));

	ASSERT_LE(0, call_from(0, "127.0.0.2", PORT));
	ASSERT_EQ(0, restrict_extended(ACCEPT_TCP));
	ASSERT_EQ(0, submit(&self->ring, &self->sqe));
	ASSERT_EQ(0, take_completion(&self->ring, &cqe));
	EXPECT_EQ(-EACCES, cqe.res);
	EXPECT_EQ(0, cqe.flags & IORING_CQE_F_MORE);
}

TEST_HARNESS_MAIN
