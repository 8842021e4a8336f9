// SPDX-License-Identifier: GPL-2.0
/*
 * Portlock tests: connections that several domains share
 *
 * What a domain may send and receive on a connection is kept in the socket, and
 * so is the connection that accept(2) returned.  Other domains use the socket
 * too, and it gets another peer.  Each call must get what its own domain says
 * of the peer that the socket has.
 */

#include "races.h"
#include "connections.h"

#define TRANSFER (SEND_TCP | RECEIVE_TCP)

/* The peers: with a rule, with another address, and with another port. */
#define OPEN_PORT 1024
#define SHUT_PORT 1025

/* Sends nothing, so that this can be done any number of times. */
static int try_send(int fd)
{
	return send(fd, "", 0, MSG_DONTWAIT | MSG_NOSIGNAL) ? -errno : 0;
}

static int try_receive(int fd)
{
	char byte;

	if (recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno != EAGAIN)
		return -errno;
	return 0;
}

/* Both, twice: the second time the verdict may be in the socket. */
static bool all_get(int expected, int fd)
{
	return try_send(fd) == expected && try_receive(fd) == expected &&
	       try_receive(fd) == expected && try_send(fd) == expected;
}

static bool has_protocol(int protocol)
{
	return new_socket(AF_INET, SOCK_STREAM, protocol) == 0;
}

/* One after the other */

FIXTURE(shared)
{
	int listener;
	int fd;
	/* For the other process, and for this one. */
	int pair[2];
};

FIXTURE_VARIANT(shared)
{
	int protocol;
	/* What the rule for OPEN_PORT is about. */
	const char *prefix;
	/* A peer that no rule is for. */
	const char *shut_address;
	__u16 shut_port;
};

FIXTURE_VARIANT_ADD(shared, port)
{
	.shut_address = "127.0.0.1",
	.shut_port = SHUT_PORT,
};

FIXTURE_VARIANT_ADD(shared, address)
{
	.prefix = "127.0.0.1/32",
	.shut_address = "127.0.0.2",
	.shut_port = OPEN_PORT,
};

FIXTURE_VARIANT_ADD(shared, port_of_an_address)
{
	.prefix = "127.0.0.1/32",
	.shut_address = "127.0.0.1",
	.shut_port = SHUT_PORT,
};

FIXTURE_VARIANT_ADD(shared, mptcp_address)
{
	.protocol = IPPROTO_MPTCP,
	.prefix = "127.0.0.1/32",
	.shut_address = "127.0.0.2",
	.shut_port = OPEN_PORT,
};

FIXTURE_SETUP(shared)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	if (!has_protocol(variant->protocol))
		SKIP(return, "no MPTCP");
	ASSERT_EQ(0, own_network());
	self->listener = listen_at(variant->protocol, "127.0.0.1", OPEN_PORT);
	ASSERT_LE(0, self->listener);
	self->fd = make_socket(AF_INET, SOCK_STREAM, variant->protocol);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, self->pair));
}

FIXTURE_TEARDOWN(shared)
{
}

/* Allows the first peer, or the other one. */
static int allow_open(const FIXTURE_VARIANT(shared) *variant)
{
	return restrict_to(TRANSFER, TRANSFER, OPEN_PORT, OPEN_PORT,
			   variant->prefix);
}

static int allow_shut(const FIXTURE_VARIANT(shared) *variant)
{
	char prefix[INET_ADDRSTRLEN + 3];

	snprintf(prefix, sizeof(prefix), "%s/32", variant->shut_address);
	return restrict_to(TRANSFER, TRANSFER, variant->shut_port,
			   variant->shut_port,
			   variant->prefix ? prefix : NULL);
}

/* Passes the turn with a byte, and gets it with another.  0 is the end. */
static int pass(int fd, char byte)
{
	return write(fd, &byte, 1) == 1 ? 0 : -errno;
}

static int get(int fd)
{
	char byte;

	return read(fd, &byte, 1) == 1 ? byte : 0;
}

#define TURNS 50000

TEST_F_TIMEOUT(shared, a_verdict_is_for_the_domain_that_asked, TIMEOUT)
{
	pid_t child;
	int i;

	ASSERT_EQ(0, connect_to(self->fd, "127.0.0.1", OPEN_PORT));
	child = fork();
	ASSERT_LE(0, child);
	if (child == 0) {
		close(self->pair[0]);
		if (allow_shut(variant))
			_exit(2);
		while (get(self->pair[1])) {
			if (try_send(self->fd) != -EACCES ||
			    try_receive(self->fd) != -EACCES)
				_exit(1);
			pass(self->pair[1], 1);
		}
		_exit(0);
	}
	close(self->pair[1]);
	ASSERT_EQ(0, allow_open(variant));
	for (i = 0; i < TURNS; i++) {
		ASSERT_EQ(0, try_send(self->fd));
		ASSERT_EQ(0, try_receive(self->fd));
		ASSERT_EQ(0, pass(self->pair[0], 1));
		ASSERT_EQ(1, get(self->pair[0]));
	}
	close(self->pair[0]);
	EXPECT_EQ(0, wait_child(child));
}

TEST_F(shared, another_peer_is_refused_from_the_first_call)
{
	const int shut = listen_at(variant->protocol, variant->shut_address,
				   variant->shut_port);
	int i, fd;

	ASSERT_LE(0, shut);
	ASSERT_EQ(0, allow_open(variant));
	for (i = 0; i < 200; i++) {
		ASSERT_EQ(0, connect_to(self->fd, "127.0.0.1", OPEN_PORT));
		ASSERT_TRUE(all_get(0, self->fd));
		ASSERT_EQ(0, disconnect(self->fd));
		fd = try_accept(self->listener);
		ASSERT_LE(0, fd);
		close(fd);

		ASSERT_EQ(0, connect_to(self->fd, variant->shut_address,
					variant->shut_port));
		/* First one, then the other. */
		if (i % 2)
			ASSERT_EQ(-EACCES, try_send(self->fd));
		ASSERT_EQ(-EACCES, try_receive(self->fd));
		ASSERT_TRUE(all_get(-EACCES, self->fd));
		ASSERT_EQ(0, disconnect(self->fd));
		fd = try_accept(shut);
		ASSERT_LE(0, fd);
		close(fd);
	}
}

TEST_F(shared, what_was_accepted_is_known_to_another_process_at_once)
{
	const int shut = listen_at(variant->protocol, "127.0.0.1", SHUT_PORT);
	pid_t child;
	int i, fd;

	ASSERT_LE(0, shut);
	child = fork();
	ASSERT_LE(0, child);
	if (child == 0) {
		close(self->pair[0]);
		if (allow_open(variant))
			_exit(2);
		for (i = 0; (fd = receive_descriptor(self->pair[1])) >= 0; i++) {
			if (!all_get(i % 2 ? -EACCES : 0, fd))
				_exit(1);
			close(fd);
			pass(self->pair[1], 1);
		}
		/* The descriptors ended with the connection. */
		_exit(i == 400 ? 0 : 3);
	}
	close(self->pair[1]);
	for (i = 0; i < 400; i++) {
		const int client = make_socket(AF_INET, SOCK_STREAM,
					       variant->protocol);

		ASSERT_LE(0, client);
		ASSERT_EQ(0, connect_to(client, "127.0.0.1",
					i % 2 ? SHUT_PORT : OPEN_PORT));
		fd = try_accept(i % 2 ? shut : self->listener);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, send_descriptor(self->pair[0], fd));
		ASSERT_EQ(1, get(self->pair[0]));
		close(fd);
		close(client);
	}
	close(self->pair[0]);
	EXPECT_EQ(0, wait_child(child));
}

/* At the same time */

static int protocol;
static int listeners[2];

/* Calls as long as another thread gives the socket another peer. */
static void use_meanwhile(int round, int send_operation, int receive_operation)
{
	do {
		count(send_operation, try_send(race.fd));
		count(receive_operation, try_receive(race.fd));
		if (!random_below(8))
			relax();
	} while (load(&race.finished) <= round);
}

static void take_from(int listener)
{
	const int fd = try_accept(listener);

	need(fd, "accept");
	close(fd);
}

/*
 * A socket has two peers in turn, and two domains use it, each of which allows
 * one peer.  While it gets another peer, a call may be judged by the one and
 * reach the other.  Once it has it, each call gets the answer that is right.
 */

enum { PEER_CONNECT, PEER_SEND, PEER_RECEIVE };

static const char *const peers[] = { "127.0.0.1", "127.0.0.2" };

/* An IPv6 socket has the same peers, at mapped addresses. */
static bool is_mapped;

static int connect_to_peer(int number)
{
	char address[INET6_ADDRSTRLEN];

	snprintf(address, sizeof(address), "%s%s", is_mapped ? "::ffff:" : "",
		 peers[number]);
	return connect_to(race.fd, address, OPEN_PORT);
}

static void prepare_peers(void)
{
	int i;

	for (i = 0; i < 2; i++) {
		listeners[i] = listen_at(protocol, peers[i], OPEN_PORT);
		need(listeners[i], "listener");
	}
	race.fd = make_socket(is_mapped ? AF_INET6 : AF_INET, SOCK_STREAM,
			      protocol);
	need(race.fd, "socket");
}

static void give_peers(void)
{
	int i;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		meet_and_stagger();
		linger();
		need(disconnect(race.fd), "disconnect");
		linger();
		need(count(PEER_CONNECT, connect_to_peer(i % 2)), "connect");
		store(&race.finished, i + 1);
		meet();
		must(all_get(0, race.fd), "a task without a domain is refused",
		     i);
		meet();
		take_from(listeners[i % 2]);
	}
}

static void allow_peer(int mine)
{
	char prefix[32];
	int i;

	snprintf(prefix, sizeof(prefix), "%s/32", peers[mine]);
	need(restrict_to(TRANSFER, TRANSFER, OPEN_PORT, OPEN_PORT, prefix),
	     "domain");
	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		meet_and_stagger();
		use_meanwhile(i, PEER_SEND, PEER_RECEIVE);
		meet();
		must(all_get(i % 2 == mine ? 0 : -EACCES, race.fd),
		     "a call got the answer for another domain or peer", i);
		meet();
	}
}

static void allow_first_peer(void)
{
	allow_peer(0);
}

static void allow_second_peer(void)
{
	allow_peer(1);
}

static const struct plan peers_plan = {
	.prepare = prepare_peers,
	.racers = {
		give_peers,
		allow_first_peer,
		allow_second_peer,
	},
	.rounds = ROUNDS_WITHOUT,
	.operations = {
		"connect",
		"send",
		"receive",
	},
};

TEST_F_TIMEOUT(races, each_domain_is_held_to_its_own_peer, TIMEOUT)
{
	expect_order(_metadata, &peers_plan);
}

TEST_F_TIMEOUT(races, each_domain_is_held_to_its_own_mapped_peer, TIMEOUT)
{
	is_mapped = true;
	expect_order(_metadata, &peers_plan);
}

TEST_F_TIMEOUT(races, each_domain_is_held_to_its_own_mapped_mptcp_peer, TIMEOUT)
{
	if (!has_protocol(IPPROTO_MPTCP))
		SKIP(return, "no MPTCP");
	is_mapped = true;
	protocol = IPPROTO_MPTCP;
	expect_order(_metadata, &peers_plan);
}

TEST_F_TIMEOUT(races, each_domain_is_held_to_its_own_mptcp_peer, TIMEOUT)
{
	if (!has_protocol(IPPROTO_MPTCP))
		SKIP(return, "no MPTCP");
	protocol = IPPROTO_MPTCP;
	expect_order(_metadata, &peers_plan);
}

/*
 * A socket that was accepted is for the port of its listener, which the domains
 * allow.  When it connects to another port, it is for that one, although it has
 * the same port and the same peer's address as before.
 */

enum { OLD_CONNECT, OLD_SEND, OLD_RECEIVE };

static void prepare_accepted(void)
{
	listeners[0] = listen_at(protocol, "127.0.0.1", OPEN_PORT);
	need(listeners[0], "listener");
	listeners[1] = listen_at(protocol, "127.0.0.1", SHUT_PORT);
	need(listeners[1], "listener");
}

static void accept_and_connect(void)
{
	int i, client;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		client = make_socket(AF_INET, SOCK_STREAM, protocol);
		need(client, "client");
		need(connect_to(client, "127.0.0.1", OPEN_PORT), "connect");
		race.fd = try_accept(listeners[0]);
		need(race.fd, "accept");
		meet();
		meet_and_stagger();
		linger();
		need(disconnect(race.fd), "disconnect");
		/* Nobody listens there, and the port stays. */
		need(bind_to(race.fd, "127.0.0.2", OPEN_PORT), "bind");
		linger();
		need(count(OLD_CONNECT,
			   connect_to(race.fd, "127.0.0.1", SHUT_PORT)),
		     "connect of what was accepted");
		store(&race.finished, i + 1);
		meet();
		must(all_get(0, race.fd), "a task without a domain is refused",
		     i);
		meet();
		/* Without TIME-WAIT, so that the next one can connect so too. */
		need(disconnect(race.fd), "disconnect");
		close(race.fd);
		close(client);
		take_from(listeners[1]);
	}
}

static void use_accepted(const char *prefix)
{
	int i;

	need(restrict_to(TRANSFER, TRANSFER, OPEN_PORT, OPEN_PORT, prefix),
	     "domain");
	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		meet();
		must(all_get(0, race.fd), "what was accepted is refused", i);
		meet_and_stagger();
		use_meanwhile(i, OLD_SEND, OLD_RECEIVE);
		meet();
		must(all_get(-EACCES, race.fd),
		     "a new connection is taken for the accepted one", i);
		meet();
	}
}

static void use_accepted_by_port(void)
{
	use_accepted(NULL);
}

static void use_accepted_by_address(void)
{
	use_accepted("127.0.0.0/8");
}

static const struct plan accepted_plan = {
	.prepare = prepare_accepted,
	.racers = {
		accept_and_connect,
		use_accepted_by_port,
		use_accepted_by_address,
	},
	.rounds = ROUNDS_WITHOUT,
	.operations = {
		"connect",
		"send",
		"receive",
	},
};

TEST_F_TIMEOUT(races, an_accepted_socket_is_that_until_it_connects, TIMEOUT)
{
	expect_order(_metadata, &accepted_plan);
}

TEST_F_TIMEOUT(races, an_accepted_mptcp_socket_is_that_until_it_connects,
	       TIMEOUT)
{
	if (!has_protocol(IPPROTO_MPTCP))
		SKIP(return, "no MPTCP");
	protocol = IPPROTO_MPTCP;
	expect_order(_metadata, &accepted_plan);
}

TEST_HARNESS_MAIN
