// SPDX-License-Identifier: GPL-2.0
/*
 * Portlock tests: the service port and the peer of a socket
 *
 * Send, receive, shutdown and options are granted by the service port, and by
 * the address of the peer if there is one.  The service port of a connection
 * that accept(2) returned is its local port.  That of any other socket is the
 * remote port, else the local one, else 0.  Each way to get a socket is a
 * variant here, which says what its service port is.
 */

#include "kselftest_harness.h"
#include "connections.h"

/* The ports of this end, of the other one, and of a third one. */
#define LOCAL 1024
#define REMOTE 2024
#define ELSEWHERE 3024

/* What the ends of a connection are. */
struct ends {
	int type, protocol;
	/* Addresses of this end, and of the other one. */
	const char *local, *peer;
	/* A prefix of the peer, and prefixes of everything else here. */
	const char *same, *others[2];
};

#define IPV4_ENDS                                                     \
	.local = "127.0.0.1", .peer = "127.0.0.2",                    \
	.same = "127.0.0.2/32", .others = { "127.0.0.1/32", ALL_IPV6 }

/* All addresses of this family are one on this machine. */
#define IPV6_ENDS                                                     \
	.local = "::1", .peer = "::1",                                \
	.same = "::1/128", .others = { "2001:db8::/32", ALL_IPV4 }

static const struct ends tcp = {
	.type = SOCK_STREAM,
	IPV4_ENDS,
};

static const struct ends tcp6 = {
	.type = SOCK_STREAM,
	IPV6_ENDS,
};

static const struct ends mapped = {
	.type = SOCK_STREAM,
	.local = "::ffff:127.0.0.1",
	.peer = "::ffff:127.0.0.2",
	.same = "127.0.0.2/32",
	.others = { "127.0.0.1/32", ALL_IPV6 },
};

static const struct ends mptcp = {
	.type = SOCK_STREAM,
	.protocol = IPPROTO_MPTCP,
	IPV4_ENDS,
};

static const struct ends mptcp6 = {
	.type = SOCK_STREAM,
	.protocol = IPPROTO_MPTCP,
	IPV6_ENDS,
};

static const struct ends smc = {
	.type = SOCK_STREAM,
	.protocol = IPPROTO_SMC,
	IPV4_ENDS,
};

static const struct ends udp = {
	.type = SOCK_DGRAM,
	IPV4_ENDS,
};

static const struct ends udp6 = {
	.type = SOCK_DGRAM,
	IPV6_ENDS,
};

static const struct ends udp_mapped = {
	.type = SOCK_DGRAM,
	.local = "::ffff:127.0.0.1",
	.peer = "::ffff:127.0.0.2",
	.same = "127.0.0.2/32",
	.others = { "127.0.0.1/32", ALL_IPV6 },
};

/* Sockets.  What else is opened here stays open. */

static int is_new(const struct ends *ends)
{
	return make_socket(family_of(ends->local), ends->type, ends->protocol);
}

static int is_bound(const struct ends *ends)
{
	return bound_at(ends->type, ends->protocol, ends->local, LOCAL);
}

static int is_listening(const struct ends *ends)
{
	return listen_at(ends->protocol, ends->local, LOCAL);
}

/* Makes @fd a client of a new server on @port of the peer. */
static int join(int fd, const struct ends *ends, __u16 port)
{
	int ret = 0;

	if (fd < 0)
		return fd;
	if (ends->type == SOCK_STREAM)
		ret = listen_at(ends->protocol, ends->peer, port);
	if (ret >= 0)
		ret = connect_to(fd, ends->peer, port);
	return ret ? ret : fd;
}

static int leave(int fd)
{
	const int ret = fd < 0 ? fd : disconnect(fd);

	return ret ? ret : fd;
}

static int is_connected(const struct ends *ends)
{
	return join(is_bound(ends), ends, REMOTE);
}

/* It keeps its port, which bind(2) named. */
static int has_left(const struct ends *ends)
{
	return leave(is_connected(ends));
}

static int is_bound_anew(const struct ends *ends)
{
	const int fd = leave(join(is_new(ends), ends, REMOTE));
	const int ret = fd < 0 ? fd : bind_to(fd, ends->local, LOCAL);

	return ret ? ret : fd;
}

static int is_connected_anew(const struct ends *ends)
{
	return join(has_left(ends), ends, ELSEWHERE);
}

struct connection {
	int listener, client;
};

/* Puts a connection into the queue of a new listener. */
static int get_called(const struct ends *ends, struct connection *connection)
{
	connection->listener = is_listening(ends);
	if (connection->listener < 0)
		return connection->listener;
	connection->client = dial(ends->protocol, ends->peer, REMOTE,
				  ends->local, LOCAL);
	return connection->client < 0 ? connection->client : 0;
}

/* As get_called(), and accepts it. */
static int accept_call(const struct ends *ends, struct connection *connection)
{
	const int ret = get_called(ends, connection);

	return ret ? ret : try_accept(connection->listener);
}

static int is_accepted(const struct ends *ends)
{
	struct connection connection;

	return accept_call(ends, &connection);
}

/* Returns a listener with a connection in its queue. */
static int is_called(const struct ends *ends)
{
	struct connection connection;
	const int ret = get_called(ends, &connection);

	return ret ? ret : connection.listener;
}

/* Returns a socket by which another process passes what it accepts. */
static int is_passed(const struct ends *ends)
{
	struct connection connection;
	int ret = get_called(ends, &connection);
	int pair[2];
	pid_t child;

	if (ret)
		return ret;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	child = fork();
	if (child < 0)
		return -errno;
	if (child == 0) {
		const int fd = try_accept(connection.listener);

		_exit(fd < 0 || send_descriptor(pair[1], fd));
	}
	ret = wait_child(child);
	return ret ? -EPROTO : pair[0];
}

static int is_closed_by_peer(const struct ends *ends)
{
	struct connection connection;
	const int fd = accept_call(ends, &connection);

	if (fd >= 0)
		close(connection.client);
	return fd;
}

static int is_reset(const struct ends *ends)
{
	struct connection connection;
	const int fd = accept_call(ends, &connection);

	if (fd >= 0)
		close_with_reset(connection.client);
	return fd;
}

static int was_reset_in_the_queue(const struct ends *ends)
{
	struct connection connection;
	int ret = get_called(ends, &connection);

	if (!ret)
		ret = close_with_reset(connection.client);
	return ret ? ret : try_accept(connection.listener);
}

static int was_reset_and_has_left(const struct ends *ends)
{
	return leave(is_reset(ends));
}

static int was_reset_in_the_queue_and_has_left(const struct ends *ends)
{
	return leave(was_reset_in_the_queue(ends));
}

/* Nothing is left of the connection, and its ports are free. */
static int has_left_client(const struct ends *ends)
{
	struct connection connection;
	const int fd = leave(accept_call(ends, &connection));

	if (fd >= 0) {
		close(connection.client);
		close(connection.listener);
	}
	return fd;
}

static int has_left_client_for_another(const struct ends *ends)
{
	return join(has_left_client(ends), ends, ELSEWHERE);
}

/* Accepts from the end @first, leaves, and connects from @local to @remote. */
static int call_after(const struct ends *ends, const char *first, __u16 local,
		      __u16 remote)
{
	struct ends accepted = *ends;
	int fd, ret;

	accepted.peer = first;
	fd = has_left_client(&accepted);
	ret = fd < 0 ? fd : bind_to(fd, ends->local, local);
	return ret ? ret : join(fd, ends, remote);
}

/* What accept(2) returned, and this, cannot be told apart. */
static int has_called_back(const struct ends *ends)
{
	return call_after(ends, ends->peer, LOCAL, REMOTE);
}

static int has_called_from_another_port(const struct ends *ends)
{
	return call_after(ends, ends->peer, ELSEWHERE, REMOTE);
}

static int has_called_another_port(const struct ends *ends)
{
	return call_after(ends, ends->peer, LOCAL, ELSEWHERE);
}

static int has_called_another_peer(const struct ends *ends)
{
	return call_after(ends, ends->local, LOCAL, REMOTE);
}

static int is_steered(const struct ends *ends)
{
	const int listener = listen_at(ends->protocol, ends->local, ELSEWHERE);
	int ret = listener < 0 ? listener : steer(listener, LOCAL);

	if (!ret)
		ret = dial(ends->protocol, ends->peer, REMOTE, ends->local,
			   LOCAL);
	return ret < 0 ? ret : try_accept(listener);
}

/* SMC and MPTCP, where the other end knows only TCP. */
static int is_connected_to_tcp(const struct ends *ends)
{
	const int server = listen_at(0, ends->peer, REMOTE);
	const int fd = is_bound(ends);
	const int ret = server < 0 ? server :
				     connect_to(fd, ends->peer, REMOTE);

	return ret ? ret : fd;
}

static int is_accepted_from_tcp(const struct ends *ends)
{
	const int listener = is_listening(ends);
	const int ret = listener < 0 ? listener :
				       dial(0, ends->peer, REMOTE, ends->local,
					    LOCAL);

	return ret < 0 ? ret : try_accept(listener);
}

/* Its own port and address are those of the peer. */
static int is_its_own_peer(const struct ends *ends)
{
	const int fd = bound_at(ends->type, ends->protocol, ends->peer, LOCAL);
	const int ret = fd < 0 ? fd : connect_to(fd, ends->peer, LOCAL);

	return ret ? ret : fd;
}

/* Two sockets connect to each other at once, so nobody accepts. */
static int is_met(const struct ends *ends)
{
	const int other = bound_at(ends->type, ends->protocol, ends->peer,
				   REMOTE);
	const int fd = is_bound(ends);
	int ret;

	if (fd < 0 || other < 0)
		return fd < 0 ? fd : other;
	/* Its first packet leaves by a device, and nobody gets it. */
	ret = make_device();
	if (ret >= 0)
		ret = write_text("/proc/sys/net/ipv4/conf/" DEVICE
				 "/route_localnet", "1");
	if (!ret)
		ret = set_option(fd, SOL_SOCKET, SO_BINDTODEVICE, DEVICE,
				 sizeof(DEVICE));
	if (!ret && fcntl(fd, F_SETFL, O_NONBLOCK))
		ret = -errno;
	if (!ret)
		ret = connect_to(fd, ends->peer, REMOTE);
	if (ret != -EINPROGRESS)
		return ret ? ret : -EPROTO;
	ret = set_option(fd, SOL_SOCKET, SO_BINDTODEVICE, "", 1);
	if (!ret)
		ret = connect_to(other, ends->local, LOCAL);
	if (!ret)
		ret = connect_to(fd, ends->peer, REMOTE);
	return ret ? ret : fd;
}

static int is_accepted_with_data(const struct ends *ends)
{
	const int listener = is_listening(ends);
	const int fd = bound_at(ends->type, ends->protocol, ends->peer, REMOTE);
	int ret = listener < 0 ? listener : allow_fast_open();

	if (!ret)
		ret = fd < 0 ? fd :
			       send_to(fd, ends->local, LOCAL, MSG_FASTOPEN);
	return ret ? ret : try_accept(listener);
}

static int is_connected_with_data(const struct ends *ends)
{
	const int listener = listen_at(ends->protocol, ends->peer, REMOTE);
	const int fd = is_bound(ends);
	int ret = listener < 0 ? listener : allow_fast_open();

	if (!ret)
		ret = fd < 0 ? fd :
			       send_to(fd, ends->peer, REMOTE, MSG_FASTOPEN);
	return ret ? ret : fd;
}

/* connect(2) only notes the peer, to which the first send connects. */
static int is_about_to_connect(const struct ends *ends)
{
	const int fd = is_bound(ends);
	const int one = 1;
	int ret = fd < 0 ? fd : allow_fast_open();

	if (!ret)
		ret = set_option(fd, SOL_TCP, TCP_FASTOPEN_CONNECT, &one,
				 sizeof(one));
	return ret ? ret : join(fd, ends, REMOTE);
}

/* Makes a socket of IPv6 one of IPv4. */
static int change_family(int fd)
{
	const int family = AF_INET;
	const int ret = fd < 0 ? fd : set_option(fd, SOL_IPV6, IPV6_ADDRFORM,
						 &family, sizeof(family));

	return ret ? ret : fd;
}

static int is_connected_and_ipv4_now(const struct ends *ends)
{
	return change_family(is_connected(ends));
}

static int is_accepted_and_ipv4_now(const struct ends *ends)
{
	return change_family(is_accepted(ends));
}

FIXTURE(service)
{
	int fd;
};

FIXTURE_VARIANT(service)
{
	const struct ends *ends;
	/* Makes the socket, or what the task in the domain gets it from. */
	int (*make)(const struct ends *ends);
	/* Gets it in the domain. */
	int (*get)(int fd);
	/* Its service port. */
	__u16 port;
	bool has_peer;
	/* Whether data can be sent, and there are none to receive. */
	bool is_open;
};

/* clang-format off */
#define SOCKET(of, made_by, service_port, ...) \
	.ends = &of, \
	.make = made_by, \
	.port = service_port, \
	__VA_ARGS__
#define PEER .has_peer = true
#define OPEN PEER, .is_open = true

/* What is at its ends, how it is made, its service port. */
FIXTURE_VARIANT_ADD(service, tcp_new)
{
	SOCKET(tcp, is_new, 0)
};
FIXTURE_VARIANT_ADD(service, tcp_bound)
{
	SOCKET(tcp, is_bound, LOCAL)
};
FIXTURE_VARIANT_ADD(service, tcp_listening)
{
	SOCKET(tcp, is_listening, LOCAL)
};
FIXTURE_VARIANT_ADD(service, tcp_connected)
{
	SOCKET(tcp, is_connected, REMOTE, OPEN)
};
FIXTURE_VARIANT_ADD(service, tcp_connected_and_left)
{
	SOCKET(tcp, has_left, LOCAL)
};
FIXTURE_VARIANT_ADD(service, tcp_connected_and_bound_anew)
{
	SOCKET(tcp, is_bound_anew, LOCAL)
};
FIXTURE_VARIANT_ADD(service, tcp_connected_anew)
{
	SOCKET(tcp, is_connected_anew, ELSEWHERE, OPEN)
};
FIXTURE_VARIANT_ADD(service, tcp_accepted_inside)
{
	SOCKET(tcp, is_called, LOCAL, OPEN, .get = try_accept)
};
FIXTURE_VARIANT_ADD(service, tcp_accepted_before)
{
	SOCKET(tcp, is_accepted, LOCAL, OPEN)
};
FIXTURE_VARIANT_ADD(service, tcp_accepted_by_another)
{
	SOCKET(tcp, is_passed, LOCAL, OPEN, .get = receive_descriptor)
};
FIXTURE_VARIANT_ADD(service, tcp_closed_by_peer)
{
	SOCKET(tcp, is_closed_by_peer, LOCAL, PEER)
};
FIXTURE_VARIANT_ADD(service, tcp_reset_by_peer)
{
	SOCKET(tcp, is_reset, LOCAL, PEER)
};
FIXTURE_VARIANT_ADD(service, tcp_reset_in_the_queue)
{
	SOCKET(tcp, was_reset_in_the_queue, LOCAL, PEER)
};
/* getsockname(2) still says the port of those that left. */
FIXTURE_VARIANT_ADD(service, tcp_reset_and_left)
{
	SOCKET(tcp, was_reset_and_has_left, LOCAL)
};
FIXTURE_VARIANT_ADD(service, tcp_reset_in_the_queue_and_left)
{
	SOCKET(tcp, was_reset_in_the_queue_and_has_left, LOCAL)
};
FIXTURE_VARIANT_ADD(service, tcp_accepted_and_left)
{
	SOCKET(tcp, has_left_client, LOCAL)
};
FIXTURE_VARIANT_ADD(service, tcp_accepted_and_left_for_another)
{
	SOCKET(tcp, has_left_client_for_another, ELSEWHERE, OPEN)
};
FIXTURE_VARIANT_ADD(service, tcp_called_back)
{
	SOCKET(tcp, has_called_back, LOCAL, OPEN)
};
FIXTURE_VARIANT_ADD(service, tcp_called_from_another_port)
{
	SOCKET(tcp, has_called_from_another_port, REMOTE, OPEN)
};
FIXTURE_VARIANT_ADD(service, tcp_called_another_port)
{
	SOCKET(tcp, has_called_another_port, ELSEWHERE, OPEN)
};
FIXTURE_VARIANT_ADD(service, tcp_called_another_peer)
{
	SOCKET(tcp, has_called_another_peer, REMOTE, OPEN)
};
FIXTURE_VARIANT_ADD(service, tcp_steered)
{
	SOCKET(tcp, is_steered, LOCAL, OPEN)
};
FIXTURE_VARIANT_ADD(service, tcp_its_own_peer)
{
	SOCKET(tcp, is_its_own_peer, LOCAL, PEER)
};
FIXTURE_VARIANT_ADD(service, tcp_met)
{
	SOCKET(tcp, is_met, REMOTE, OPEN)
};
FIXTURE_VARIANT_ADD(service, tcp_accepted_with_data)
{
	SOCKET(tcp, is_accepted_with_data, LOCAL, PEER)
};
FIXTURE_VARIANT_ADD(service, tcp_connected_with_data)
{
	SOCKET(tcp, is_connected_with_data, REMOTE, OPEN)
};
FIXTURE_VARIANT_ADD(service, tcp_about_to_connect)
{
	SOCKET(tcp, is_about_to_connect, REMOTE, OPEN)
};

FIXTURE_VARIANT_ADD(service, tcp6_bound)
{
	SOCKET(tcp6, is_bound, LOCAL)
};
FIXTURE_VARIANT_ADD(service, tcp6_connected)
{
	SOCKET(tcp6, is_connected, REMOTE, OPEN)
};
FIXTURE_VARIANT_ADD(service, tcp6_connected_and_left)
{
	SOCKET(tcp6, has_left, LOCAL)
};
FIXTURE_VARIANT_ADD(service, tcp6_accepted)
{
	SOCKET(tcp6, is_accepted, LOCAL, OPEN)
};
FIXTURE_VARIANT_ADD(service, tcp6_accepted_inside)
{
	SOCKET(tcp6, is_called, LOCAL, OPEN, .get = try_accept)
};
FIXTURE_VARIANT_ADD(service, tcp6_reset_in_the_queue)
{
	SOCKET(tcp6, was_reset_in_the_queue, LOCAL, PEER)
};
FIXTURE_VARIANT_ADD(service, tcp6_accepted_and_left_for_another)
{
	SOCKET(tcp6, has_left_client_for_another, ELSEWHERE, OPEN)
};

FIXTURE_VARIANT_ADD(service, mapped_connected)
{
	SOCKET(mapped, is_connected, REMOTE, OPEN)
};
FIXTURE_VARIANT_ADD(service, mapped_connected_and_left)
{
	SOCKET(mapped, has_left, LOCAL)
};
FIXTURE_VARIANT_ADD(service, mapped_accepted)
{
	SOCKET(mapped, is_accepted, LOCAL, OPEN)
};
FIXTURE_VARIANT_ADD(service, mapped_connected_and_ipv4_now)
{
	SOCKET(mapped, is_connected_and_ipv4_now, REMOTE, OPEN)
};
FIXTURE_VARIANT_ADD(service, mapped_accepted_and_ipv4_now)
{
	SOCKET(mapped, is_accepted_and_ipv4_now, LOCAL, OPEN)
};
FIXTURE_VARIANT_ADD(service, mapped_accepted_and_left_for_another)
{
	SOCKET(mapped, has_left_client_for_another, ELSEWHERE, OPEN)
};

FIXTURE_VARIANT_ADD(service, mptcp_new)
{
	SOCKET(mptcp, is_new, 0)
};
FIXTURE_VARIANT_ADD(service, mptcp_bound)
{
	SOCKET(mptcp, is_bound, LOCAL)
};
FIXTURE_VARIANT_ADD(service, mptcp_listening)
{
	SOCKET(mptcp, is_listening, LOCAL)
};
FIXTURE_VARIANT_ADD(service, mptcp_connected)
{
	SOCKET(mptcp, is_connected, REMOTE, OPEN)
};
FIXTURE_VARIANT_ADD(service, mptcp_connected_and_left)
{
	SOCKET(mptcp, has_left, LOCAL)
};
FIXTURE_VARIANT_ADD(service, mptcp_connected_and_bound_anew)
{
	SOCKET(mptcp, is_bound_anew, LOCAL)
};
FIXTURE_VARIANT_ADD(service, mptcp_connected_anew)
{
	SOCKET(mptcp, is_connected_anew, ELSEWHERE, OPEN)
};
FIXTURE_VARIANT_ADD(service, mptcp_accepted_inside)
{
	SOCKET(mptcp, is_called, LOCAL, OPEN, .get = try_accept)
};
FIXTURE_VARIANT_ADD(service, mptcp_accepted_before)
{
	SOCKET(mptcp, is_accepted, LOCAL, OPEN)
};
FIXTURE_VARIANT_ADD(service, mptcp_accepted_by_another)
{
	SOCKET(mptcp, is_passed, LOCAL, OPEN, .get = receive_descriptor)
};
FIXTURE_VARIANT_ADD(service, mptcp_closed_by_peer)
{
	SOCKET(mptcp, is_closed_by_peer, LOCAL, PEER)
};
FIXTURE_VARIANT_ADD(service, mptcp_reset_by_peer)
{
	SOCKET(mptcp, is_reset, LOCAL, PEER)
};
FIXTURE_VARIANT_ADD(service, mptcp_reset_in_the_queue)
{
	SOCKET(mptcp, was_reset_in_the_queue, LOCAL, PEER)
};
FIXTURE_VARIANT_ADD(service, mptcp_accepted_and_left)
{
	SOCKET(mptcp, has_left_client, LOCAL)
};
FIXTURE_VARIANT_ADD(service, mptcp_accepted_and_left_for_another)
{
	SOCKET(mptcp, has_left_client_for_another, ELSEWHERE, OPEN)
};
FIXTURE_VARIANT_ADD(service, mptcp_called_back)
{
	SOCKET(mptcp, has_called_back, LOCAL, OPEN)
};
FIXTURE_VARIANT_ADD(service, mptcp_called_from_another_port)
{
	SOCKET(mptcp, has_called_from_another_port, REMOTE, OPEN)
};
FIXTURE_VARIANT_ADD(service, mptcp_called_another_port)
{
	SOCKET(mptcp, has_called_another_port, ELSEWHERE, OPEN)
};
FIXTURE_VARIANT_ADD(service, mptcp_called_another_peer)
{
	SOCKET(mptcp, has_called_another_peer, REMOTE, OPEN)
};
FIXTURE_VARIANT_ADD(service, mptcp_reset_and_left)
{
	SOCKET(mptcp, was_reset_and_has_left, LOCAL)
};
FIXTURE_VARIANT_ADD(service, mptcp_reset_in_the_queue_and_left)
{
	SOCKET(mptcp, was_reset_in_the_queue_and_has_left, LOCAL)
};
FIXTURE_VARIANT_ADD(service, mptcp_connected_to_tcp)
{
	SOCKET(mptcp, is_connected_to_tcp, REMOTE, OPEN)
};
FIXTURE_VARIANT_ADD(service, mptcp_accepted_from_tcp)
{
	SOCKET(mptcp, is_accepted_from_tcp, LOCAL, OPEN)
};
FIXTURE_VARIANT_ADD(service, mptcp6_connected)
{
	SOCKET(mptcp6, is_connected, REMOTE, OPEN)
};
FIXTURE_VARIANT_ADD(service, mptcp6_accepted)
{
	SOCKET(mptcp6, is_accepted, LOCAL, OPEN)
};

FIXTURE_VARIANT_ADD(service, smc_connected_to_tcp)
{
	SOCKET(smc, is_connected_to_tcp, REMOTE, OPEN)
};
FIXTURE_VARIANT_ADD(service, smc_accepted_from_tcp)
{
	SOCKET(smc, is_accepted_from_tcp, LOCAL, OPEN)
};

FIXTURE_VARIANT_ADD(service, udp_new)
{
	SOCKET(udp, is_new, 0)
};
FIXTURE_VARIANT_ADD(service, udp_bound)
{
	SOCKET(udp, is_bound, LOCAL)
};
FIXTURE_VARIANT_ADD(service, udp_connected)
{
	SOCKET(udp, is_connected, REMOTE, OPEN)
};
FIXTURE_VARIANT_ADD(service, udp_connected_and_left)
{
	SOCKET(udp, has_left, LOCAL)
};
FIXTURE_VARIANT_ADD(service, udp_connected_and_bound_anew)
{
	SOCKET(udp, is_bound_anew, LOCAL)
};
FIXTURE_VARIANT_ADD(service, udp_connected_anew)
{
	SOCKET(udp, is_connected_anew, ELSEWHERE, OPEN)
};
FIXTURE_VARIANT_ADD(service, udp6_connected)
{
	SOCKET(udp6, is_connected, REMOTE, OPEN)
};
FIXTURE_VARIANT_ADD(service, udp_mapped_connected)
{
	SOCKET(udp_mapped, is_connected, REMOTE, OPEN)
};
/* clang-format on */

FIXTURE_SETUP(service)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, own_network());
	self->fd = variant->make(variant->ends);
	if (self->fd == -EPROTONOSUPPORT || self->fd == -EPERM)
		SKIP(return, "no such socket: %s", strerror(-self->fd));
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(service)
{
	EXPECT_EQ(0, close(self->fd));
}

static __u64 rights_of(const struct ends *ends)
{
	return ends->type == SOCK_STREAM ? SEND_TCP | RECEIVE_TCP | USE_TCP :
					  USE_UDP;
}

/* Does all that the rights are about. */
static void use(struct __test_metadata *_metadata, int fd, int type,
		bool is_allowed, bool is_open)
{
/* What is allowed fails in the network stack if the connection is not open. */
#define EXPECT_USE(expected, call)                              \
	do {                                                    \
		const int result = (call);                      \
								\
		EXPECT_EQ(is_allowed, result != -EACCES);       \
		if (is_allowed && is_open) {                    \
			EXPECT_EQ(expected, result);            \
		}                                               \
	} while (0)
	int value = 1;
	socklen_t len = sizeof(value);

	EXPECT_EQ(is_allowed ? 0 : -EACCES,
		  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, &value, len));
	EXPECT_EQ(is_allowed ? 0 : -EACCES,
		  getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &len) ? -errno :
								      0);
	if (type == SOCK_STREAM) {
		EXPECT_USE(0, send_fd_to(fd, 0, 0));
		EXPECT_USE(-EAGAIN, receive_byte(fd, MSG_DONTWAIT));
	}
	EXPECT_USE(0, shutdown(fd, SHUT_RDWR) ? -errno : 0);
#undef EXPECT_USE
}

static void get_and_use(struct __test_metadata *_metadata,
			FIXTURE_DATA(service) *self,
			const FIXTURE_VARIANT(service) *variant,
			bool is_allowed)
{
	const int fd = variant->get ? variant->get(self->fd) : self->fd;

	ASSERT_LE(0, fd);
	use(_metadata, fd, variant->ends->type, is_allowed, variant->is_open);
}

TEST_F(service, is_granted_by_its_port)
{
	const __u64 rights = rights_of(variant->ends);

	ASSERT_EQ(0, restrict_to(rights, rights, variant->port, variant->port,
				 NULL));
	get_and_use(_metadata, self, variant, true);
}

TEST_F(service, is_refused_by_all_other_ports)
{
	const __u64 rights = rights_of(variant->ends);
	const int rules = extended(rights, 0);

	ASSERT_LE(0, rules);
	if (variant->port)
		ASSERT_EQ(0, add_net(rules, rights, 0, variant->port - 1,
				     NULL));
	ASSERT_EQ(0, add_net(rules, rights, variant->port + 1, UINT16_MAX,
			     NULL));
	ASSERT_EQ(0, enforce(rules));
	get_and_use(_metadata, self, variant, false);
}

TEST_F(service, is_granted_by_the_peer_it_has)
{
	const __u64 rights = rights_of(variant->ends);

	ASSERT_EQ(0, restrict_to(rights, rights, variant->port, variant->port,
				 variant->ends->same));
	get_and_use(_metadata, self, variant, variant->has_peer);
}

/* Without a peer, no address is right. */
TEST_F(service, is_refused_by_all_other_addresses)
{
	const __u64 rights = rights_of(variant->ends);
	const char *const all[] = { ALL_IPV4, ALL_IPV6 };
	const char *const *const others =
		variant->has_peer ? variant->ends->others : all;

	ASSERT_EQ(0, restrict_to_both(rights, others[0], others[1]));
	get_and_use(_metadata, self, variant, false);
}

/* Sockets that choose their own way */

FIXTURE(device)
{
	int fd;
};

FIXTURE_VARIANT(device)
{
	const struct ends *ends;
	int (*make)(const struct ends *ends);
	__u16 port;
};

FIXTURE_VARIANT_ADD(device, tcp_connected)
{
	.ends = &tcp,
	.make = is_connected,
	.port = REMOTE,
};

FIXTURE_VARIANT_ADD(device, tcp_accepted)
{
	.ends = &tcp,
	.make = is_accepted,
	.port = LOCAL,
};

FIXTURE_VARIANT_ADD(device, tcp6_connected)
{
	.ends = &tcp6,
	.make = is_connected,
	.port = REMOTE,
};

FIXTURE_VARIANT_ADD(device, udp_connected)
{
	.ends = &udp,
	.make = is_connected,
	.port = REMOTE,
};

FIXTURE_SETUP(device)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, own_network());
	ASSERT_LT(1, make_device());
	self->fd = variant->make(variant->ends);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, set_option(self->fd, SOL_SOCKET, SO_BINDTODEVICE, DEVICE,
				sizeof(DEVICE)));
}

FIXTURE_TEARDOWN(device)
{
	EXPECT_EQ(0, close(self->fd));
}

TEST_F(device, from_outside_matches_no_address)
{
	const __u64 rights = rights_of(variant->ends);

	ASSERT_EQ(0, restrict_to_both(rights, ALL_IPV4, ALL_IPV6));
	use(_metadata, self->fd, variant->ends->type, false, false);
}

TEST_F(device, from_outside_matches_a_port)
{
	const __u64 rights = rights_of(variant->ends);

	ASSERT_EQ(0, restrict_to(rights, rights, variant->port, variant->port,
				 NULL));
	use(_metadata, self->fd, variant->ends->type, true, false);
}

/* Data that connect a socket */

FIXTURE(fast_open)
{
	/* Two servers on REMOTE, and a client. */
	int right, wrong, fd;
};

FIXTURE_VARIANT(fast_open)
{
	int protocol;
	/* What an address brings where the socket has a peer already. */
	int with_peer;
};

FIXTURE_VARIANT_ADD(fast_open, tcp)
{
	.protocol = 0,
};

FIXTURE_VARIANT_ADD(fast_open, mptcp)
{
	.protocol = IPPROTO_MPTCP,
	.with_peer = -EINVAL,
};

FIXTURE_SETUP(fast_open)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, own_network());
	ASSERT_EQ(0, allow_fast_open());
	self->fd = make_socket(AF_INET, SOCK_STREAM, variant->protocol);
	if (self->fd == -EPROTONOSUPPORT)
		SKIP(return, "no MPTCP");
	self->right = listen_at(variant->protocol, "127.0.0.1", REMOTE);
	self->wrong = listen_at(variant->protocol, "127.0.0.2", REMOTE);
	ASSERT_LE(0, self->right);
	ASSERT_LE(0, self->wrong);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, fcntl(self->wrong, F_SETFL, O_NONBLOCK));
}

FIXTURE_TEARDOWN(fast_open)
{
	EXPECT_EQ(0, close(self->right));
	EXPECT_EQ(0, close(self->wrong));
	EXPECT_EQ(0, close(self->fd));
}

TEST_F(fast_open, needs_a_rule_for_the_address)
{
	ASSERT_EQ(0, restrict_to(SEND_TCP, SEND_TCP, REMOTE, REMOTE,
				 "127.0.0.1/32"));
	EXPECT_EQ(-EACCES, send_to(self->fd, "127.0.0.2", REMOTE,
				   MSG_FASTOPEN));
	EXPECT_EQ(-EACCES, send_to(self->fd, "127.0.0.1", ELSEWHERE,
				   MSG_FASTOPEN));
	EXPECT_EQ(0, send_to(self->fd, "127.0.0.1", REMOTE, MSG_FASTOPEN));
	EXPECT_EQ(1, receive_byte(try_accept(self->right), 0));
	EXPECT_EQ(-EAGAIN, try_accept(self->wrong));
}

TEST_F(fast_open, needs_both_rights)
{
	const int rules = extended(SEND_TCP | CONNECT_TCP, 0);

	ASSERT_LE(0, rules);
	ASSERT_EQ(0, add_net(rules, SEND_TCP, REMOTE, REMOTE, "127.0.0.0/8"));
	ASSERT_EQ(0, add_net(rules, CONNECT_TCP, 0, UINT16_MAX,
			     "127.0.0.1/32"));
	ASSERT_EQ(0, enforce(rules));
	EXPECT_EQ(-EACCES, send_to(self->fd, "127.0.0.2", REMOTE,
				   MSG_FASTOPEN));
	EXPECT_EQ(-EACCES, send_to(self->fd, "127.0.0.1", ELSEWHERE,
				   MSG_FASTOPEN));
	EXPECT_EQ(0, send_to(self->fd, "127.0.0.1", REMOTE, MSG_FASTOPEN));
	EXPECT_EQ(1, receive_byte(try_accept(self->right), 0));
}

/* Notes a peer, so that the next send connects to it. */
static int note_peer(int fd, const char *address)
{
	const int one = 1;
	const int ret = set_option(fd, SOL_TCP, TCP_FASTOPEN_CONNECT, &one,
				   sizeof(one));

	return ret ? ret : connect_to(fd, address, REMOTE);
}

/* The data go to the peer, whatever address is passed with them. */
TEST_F(fast_open, to_a_peer_needs_a_rule_for_it)
{
	ASSERT_EQ(0, note_peer(self->fd, "127.0.0.2"));
	ASSERT_EQ(0, restrict_to(SEND_TCP, SEND_TCP, REMOTE, REMOTE,
				 "127.0.0.1/32"));
	EXPECT_EQ(-EACCES, send_to(self->fd, "127.0.0.1", REMOTE,
				   MSG_FASTOPEN));
	EXPECT_EQ(-EACCES, send_to(self->fd, "127.0.0.2", REMOTE,
				   MSG_FASTOPEN));
	EXPECT_EQ(-EACCES, send_fd_to(self->fd, 0, 0));
	EXPECT_EQ(-EAGAIN, try_accept(self->wrong));
}

TEST_F(fast_open, to_a_peer_needs_a_rule_for_the_address_too)
{
	ASSERT_EQ(0, note_peer(self->fd, "127.0.0.1"));
	ASSERT_EQ(0, restrict_to(SEND_TCP, SEND_TCP, REMOTE, REMOTE,
				 "127.0.0.1/32"));
	EXPECT_EQ(-EACCES, send_to(self->fd, "127.0.0.2", REMOTE,
				   MSG_FASTOPEN));
	EXPECT_EQ(variant->with_peer, send_to(self->fd, "127.0.0.1", REMOTE,
					      MSG_FASTOPEN));
	EXPECT_EQ(-EAGAIN, try_accept(self->wrong));
}

TEST_F(fast_open, to_a_peer_goes_there)
{
	ASSERT_EQ(0, note_peer(self->fd, "127.0.0.1"));
	ASSERT_EQ(0, restrict_to(SEND_TCP, SEND_TCP, REMOTE, REMOTE, NULL));
	EXPECT_EQ(variant->with_peer, send_to(self->fd, "127.0.0.2", REMOTE,
					      MSG_FASTOPEN));
	EXPECT_EQ(-EAGAIN, try_accept(self->wrong));
	if (!variant->with_peer)
		EXPECT_EQ(1, receive_byte(try_accept(self->right), 0));
}

TEST_F(fast_open, without_an_address_goes_to_the_peer)
{
	ASSERT_EQ(0, note_peer(self->fd, "127.0.0.1"));
	ASSERT_EQ(0, restrict_to(SEND_TCP, SEND_TCP, REMOTE, REMOTE,
				 "127.0.0.1/32"));
	EXPECT_EQ(0, send_fd_to(self->fd, 0, 0));
	EXPECT_EQ(1, receive_byte(try_accept(self->right), 0));
	EXPECT_EQ(-EAGAIN, try_accept(self->wrong));
}

/* Without a peer, an address without MSG_FASTOPEN is nothing. */
static void send_elsewhere(struct __test_metadata *_metadata,
			   FIXTURE_DATA(fast_open) * self)
{
	EXPECT_GT(0, send_to(self->fd, "127.0.0.2", REMOTE, MSG_NOSIGNAL));
	EXPECT_EQ(-EAGAIN, try_accept(self->wrong));
}

TEST_F(fast_open, a_peer_that_was_noted_is_forgotten_with_the_next)
{
	ASSERT_EQ(0, note_peer(self->fd, "127.0.0.1"));
	ASSERT_EQ(0, restrict_to(CONNECT_TCP, CONNECT_TCP, REMOTE, REMOTE,
				 "127.0.0.1/32"));
	ASSERT_EQ(0, disconnect(self->fd));
	send_elsewhere(_metadata, self);
}

TEST_F(fast_open, a_peer_that_was_noted_is_forgotten_by_shutdown)
{
	ASSERT_EQ(0, note_peer(self->fd, "127.0.0.1"));
	ASSERT_EQ(0, restrict_to(CONNECT_TCP, CONNECT_TCP, REMOTE, REMOTE,
				 "127.0.0.1/32"));
	ASSERT_EQ(0, shutdown(self->fd, SHUT_RDWR));
	send_elsewhere(_metadata, self);
}

/* RECEIVE_UDP */

static int is_bound_to_zero(const struct ends *ends)
{
	return bound_at(ends->type, ends->protocol, ends->local, 0);
}

static int has_joined(const struct ends *ends)
{
	return join(is_new(ends), ends, REMOTE);
}

static int is_bound_to_zero_and_has_joined(const struct ends *ends)
{
	return join(is_bound_to_zero(ends), ends, REMOTE);
}

static int has_sent(const struct ends *ends)
{
	const int fd = is_new(ends);
	const int ret = fd < 0 ? fd : send_to(fd, ends->peer, REMOTE, 0);

	return ret ? ret : fd;
}

FIXTURE(receive_udp)
{
	int fd;
};

FIXTURE_VARIANT(receive_udp)
{
	const struct ends *ends;
	int (*make)(const struct ends *ends);
	/* The port that bind(2) named, or 0. */
	__u16 port;
};

/* clang-format off */
#define RECEIVER(of, made_by, named) \
	.ends = &of, \
	.make = made_by, \
	.port = named

FIXTURE_VARIANT_ADD(receive_udp, new)
{
	RECEIVER(udp, is_new, 0),
};
FIXTURE_VARIANT_ADD(receive_udp, bound)
{
	RECEIVER(udp, is_bound, LOCAL),
};
FIXTURE_VARIANT_ADD(receive_udp, bound_to_zero)
{
	RECEIVER(udp, is_bound_to_zero, 0),
};
FIXTURE_VARIANT_ADD(receive_udp, bound_by_connect)
{
	RECEIVER(udp, has_joined, 0),
};
FIXTURE_VARIANT_ADD(receive_udp, bound_by_send)
{
	RECEIVER(udp, has_sent, 0),
};
FIXTURE_VARIANT_ADD(receive_udp, bound_and_connected)
{
	RECEIVER(udp, is_connected, LOCAL),
};
FIXTURE_VARIANT_ADD(receive_udp, bound_and_connected_anew)
{
	RECEIVER(udp, is_connected_anew, LOCAL),
};
FIXTURE_VARIANT_ADD(receive_udp, bound_to_zero_and_connected)
{
	RECEIVER(udp, is_bound_to_zero_and_has_joined, 0),
};
FIXTURE_VARIANT_ADD(receive_udp, left)
{
	RECEIVER(udp, has_left, LOCAL),
};
FIXTURE_VARIANT_ADD(receive_udp, bound_anew)
{
	RECEIVER(udp, is_bound_anew, LOCAL),
};
FIXTURE_VARIANT_ADD(receive_udp, ipv6_bound)
{
	RECEIVER(udp6, is_bound, LOCAL),
};
FIXTURE_VARIANT_ADD(receive_udp, ipv6_bound_by_connect)
{
	RECEIVER(udp6, has_joined, 0),
};
FIXTURE_VARIANT_ADD(receive_udp, mapped_bound)
{
	RECEIVER(udp_mapped, is_bound, LOCAL),
};
FIXTURE_VARIANT_ADD(receive_udp, mapped_bound_by_connect)
{
	RECEIVER(udp_mapped, has_joined, 0),
};
/* clang-format on */

FIXTURE_SETUP(receive_udp)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, own_network());
	self->fd = variant->make(variant->ends);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(receive_udp)
{
	EXPECT_EQ(0, close(self->fd));
}

TEST_F(receive_udp, is_granted_by_the_port_that_was_named)
{
	ASSERT_EQ(0, restrict_to(RECEIVE_UDP, RECEIVE_UDP, variant->port,
				 variant->port, NULL));
	EXPECT_EQ(-EAGAIN, receive_byte(self->fd, MSG_DONTWAIT));
}

TEST_F(receive_udp, is_refused_by_all_other_ports)
{
	const int rules = extended(RECEIVE_UDP, 0);

	ASSERT_LE(0, rules);
	if (variant->port)
		ASSERT_EQ(0, add_net(rules, RECEIVE_UDP, 0, variant->port - 1,
				     NULL));
	ASSERT_EQ(0, add_net(rules, RECEIVE_UDP, variant->port + 1, UINT16_MAX,
			     NULL));
	ASSERT_EQ(0, enforce(rules));
	EXPECT_EQ(-EACCES, receive_byte(self->fd, MSG_DONTWAIT));
}

/* Sends something to the port of @fd. */
static int answer(int from, int fd)
{
	struct sockaddr_in to;
	socklen_t len = sizeof(to);

	if (getsockname(fd, (struct sockaddr *)&to, &len))
		return -errno;
	return sendto(from, "?", 1, 0, (struct sockaddr *)&to, len) == 1 ?
		       0 :
		       -errno;
}

FIXTURE(queue)
{
	int fd, peer;
};

FIXTURE_SETUP(queue)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, own_network());
	self->peer = bound_at(SOCK_DGRAM, 0, "127.0.0.1", REMOTE);
	self->fd = make_socket(AF_INET, SOCK_DGRAM, 0);
	ASSERT_LE(0, self->peer);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, restrict_to(RECEIVE_UDP, RECEIVE_UDP, LOCAL, LOCAL,
				 NULL));
}

FIXTURE_TEARDOWN(queue)
{
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, close(self->peer));
}

/* What came to the port that the kernel had chosen is still there. */
TEST_F(queue, of_a_port_that_was_lost_cannot_be_read)
{
	ASSERT_EQ(0, connect_to(self->fd, "127.0.0.1", REMOTE));
	ASSERT_EQ(0, answer(self->peer, self->fd));
	EXPECT_EQ(-EACCES, receive_byte(self->fd, MSG_DONTWAIT));
	ASSERT_EQ(0, disconnect(self->fd));
	ASSERT_EQ(0, bind_to(self->fd, "127.0.0.1", LOCAL));
	EXPECT_EQ(-EACCES, receive_byte(self->fd, MSG_DONTWAIT));
}

TEST_F(queue, of_a_port_that_was_named_stays_readable)
{
	ASSERT_EQ(0, bind_to(self->fd, "127.0.0.1", LOCAL));
	ASSERT_EQ(0, connect_to(self->fd, "127.0.0.1", REMOTE));
	ASSERT_EQ(0, disconnect(self->fd));
	ASSERT_EQ(0, answer(self->peer, self->fd));
	EXPECT_EQ(1, receive_byte(self->fd, MSG_DONTWAIT));
}

/* TCP_ULP, with which the kernel sends and receives by itself */

FIXTURE(ulp)
{
	int fd;
};

FIXTURE_VARIANT(ulp)
{
	__u64 handled, granted;
	int result;
};

/* clang-format off */
#define ULP(handles, grants, gets) \
	.handled = handles, \
	.granted = grants, \
	.result = gets

FIXTURE_VARIANT_ADD(ulp, granted)
{
	ULP(SEND_TCP | RECEIVE_TCP, SEND_TCP | RECEIVE_TCP, 0),
};
FIXTURE_VARIANT_ADD(ulp, without_send)
{
	ULP(SEND_TCP | RECEIVE_TCP, RECEIVE_TCP, -EACCES),
};
FIXTURE_VARIANT_ADD(ulp, without_receive)
{
	ULP(SEND_TCP | RECEIVE_TCP, SEND_TCP, -EACCES),
};
FIXTURE_VARIANT_ADD(ulp, not_handled)
{
	ULP(SHUTDOWN_TCP, SHUTDOWN_TCP, 0),
};
/* clang-format on */

FIXTURE_SETUP(ulp)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, own_network());
	self->fd = is_connected(&tcp);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(ulp)
{
	EXPECT_EQ(0, close(self->fd));
}

TEST_F(ulp, needs_the_rights_to_send_and_receive)
{
	ASSERT_EQ(0, restrict_to(variant->handled, variant->granted, REMOTE,
				 REMOTE, NULL));
	EXPECT_EQ(variant->result,
		  set_option(self->fd, SOL_TCP, TCP_ULP, "tls", 3));
}

TEST_HARNESS_MAIN
