// SPDX-License-Identifier: GPL-2.0
/*
 * Portlock tests: calls that meet in domains of extended rulesets
 *
 * Threads of a domain use one socket at the same time: one call is judged by an
 * address or a port that another call changes meanwhile.  What comes out must
 * be what some order of the calls allows.
 */

#include "races.h"
#include "extended.h"

/* Ports with a rule and without one. */
#define OPEN_PORT 1024
#define SHUT_PORT 1025

/* What the plans of a test share: the socket's type and protocol. */
static int type, protocol;

static int new_socket_of(int family)
{
	const int fd = make_socket(family, type | SOCK_NONBLOCK, protocol);

	need(fd, "socket");
	return fd;
}

static void restrict_by(int fd)
{
	need(fd, "ruleset");
	need(restrict_self(fd, 0), "restrict_self");
	close(fd);
}

/* Adds a layer with one rule, which is for the loopback address. */
static void restrict_by_one(__u64 access, __u16 port)
{
	need(restrict_to(access, access, port, port, "127.0.0.1/32"),
	     "ruleset");
}

static int option_of(int fd, int level, int number)
{
	int value = 0;
	socklen_t len = sizeof(value);

	need(getsockopt(fd, level, number, &value, &len) ? -errno : 0,
	     "getsockopt");
	return value;
}

/*
 * A link-local address names a device, which then stays with the socket.  So a
 * socket is bound to a device, or granted something by an address, not both.
 */

enum { DEVICE_BOUND, DEVICE_CONNECTED, DEVICE_GRANTED };

#define LINK_LOCAL "fe80::1%2"

static void prepare_devices(void)
{
	const int fd = extended(TCP | UDP, 0);

	need(make_device(), "device");
	need(fd, "ruleset");
	need(add_net(fd, TCP | UDP, 0, UINT16_MAX, ALL_IPV4), "rule");
	need(add_net(fd, TCP | UDP, 0, UINT16_MAX, ALL_IPV6), "rule");
	restrict_by(fd);
}

static bool is_success(int ret)
{
	return ret == 0 || ret == -EINPROGRESS || ret == -ECONNREFUSED;
}

static void connect_by_address(void)
{
	int i, ret;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		race.fd = new_socket_of(AF_INET6);
		meet_and_stagger();
		if (i % 4 == 0)
			linger();
		ret = count(DEVICE_GRANTED,
			    connect_to(race.fd, "::1", OPEN_PORT));
		meet();
		/* The other calls have ended, and no device may have come. */
		if (is_success(ret))
			must(option_of(race.fd, SOL_SOCKET,
				       SO_BINDTOIFINDEX) == 0,
			     "a socket has an address and a device", ret);
		meet();
		close(race.fd);
	}
}

static void bind_to_link(void)
{
	int i;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		meet_and_stagger();
		if (i % 4 == 1)
			linger();
		/* Nobody here has the address, but the device stays. */
		count(DEVICE_BOUND, bind_to(race.fd, LINK_LOCAL, 0));
		meet();
		meet();
	}
}

static void connect_to_link(void)
{
	int i;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		meet_and_stagger();
		if (i % 4)
			linger();
		count(DEVICE_CONNECTED,
		      connect_to(race.fd, LINK_LOCAL, OPEN_PORT));
		meet();
		meet();
	}
}

static const struct plan device_plan = {
	.prepare = prepare_devices,
	.racers = {
		connect_by_address,
		bind_to_link,
		connect_to_link,
	},
	.rounds = ROUNDS_WITHOUT,
	.operations = {
		"bind to a link",
		"connect to a link",
		"connect by address",
	},
};

/* The namespace of each process has the second interface for itself. */
static void prepare_own_devices(void)
{
	need(own_network(), "network");
	prepare_devices();
}

TEST_F_TIMEOUT(races, a_datagram_socket_has_a_device_or_an_address, TIMEOUT)
{
	struct plan plan = device_plan;

	plan.prepare = prepare_own_devices;
	type = SOCK_DGRAM;
	expect_order(_metadata, &plan);
}

TEST_F_TIMEOUT(races, a_stream_socket_has_a_device_or_an_address, TIMEOUT)
{
	struct plan plan = device_plan;

	plan.prepare = prepare_own_devices;
	type = SOCK_STREAM;
	expect_order(_metadata, &plan);
}

/* What becomes a listener has the port that was judged. */

enum { LISTEN_LISTEN, LISTEN_BIND, LISTEN_OTHER, LISTEN_PORT };

/* Any port may be bound, and no socket may listen on most of them. */
static void restrict_listeners(void)
{
	const int fd = extended(TCP, 0);

	need(fd, "ruleset");
	need(add_net(fd, BIND_TCP | CONNECT_TCP, 0, UINT16_MAX, NULL), "rule");
	/* The port that the kernel chooses, and one more. */
	need(add_net(fd, LISTEN_TCP, 0, 0, NULL), "rule");
	need(add_net(fd, LISTEN_TCP, OPEN_PORT, OPEN_PORT, NULL), "rule");
	restrict_by(fd);
}

static void check_listener(void)
{
	const bool listens = option_of(race.fd, SOL_SOCKET, SO_ACCEPTCONN);

	count(LISTEN_PORT, listens ? COUNT_IN : COUNT_OUT);
	if (listens)
		must(port_of(race.fd) != SHUT_PORT,
		     "a socket listens on a port of no rule", 0);
}

static void listen_while_binding(void)
{
	int i;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		race.fd = new_socket_of(AF_INET);
		meet_and_stagger();
		linger();
		count(LISTEN_LISTEN, try_listen(race.fd));
		meet();
		check_listener();
		meet();
		close(race.fd);
	}
}

static void bind_while_listening(void)
{
	int i;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		meet_and_stagger();
		count(LISTEN_BIND, bind_to(race.fd, "127.0.0.1", SHUT_PORT));
		meet();
		meet();
	}
}

static void bind_elsewhere_while_listening(void)
{
	int i;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		meet_and_stagger();
		linger();
		/* Another thread that listens, too. */
		count(LISTEN_OTHER, random_below(2) ?
			      try_listen(race.fd) :
			      bind_to(race.fd, "127.0.0.1", OPEN_PORT));
		meet();
		meet();
	}
}

static const struct plan listen_plan = {
	.prepare = restrict_listeners,
	.racers = {
		listen_while_binding,
		bind_while_listening,
		bind_elsewhere_while_listening,
	},
	.rounds = ROUNDS_WITHOUT,
	.operations = {
		"listen",
		"bind to a shut port",
		"bind to an open port, or listen",
		"listener (in: there is one)",
	},
};

static bool has_mptcp(void)
{
	return new_socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP) == 0;
}

TEST_F_TIMEOUT(races, a_listener_has_the_port_that_was_judged, TIMEOUT)
{
	type = SOCK_STREAM;
	expect_order(_metadata, &listen_plan);
}

TEST_F_TIMEOUT(races, a_listener_of_mptcp_has_the_port_that_was_judged, TIMEOUT)
{
	if (!has_mptcp())
		SKIP(return, "no MPTCP");
	type = SOCK_STREAM;
	protocol = IPPROTO_MPTCP;
	expect_order(_metadata, &listen_plan);
}

/*
 * What was accepted has the port of its listener, until it is disconnected.  It
 * must not listen there.
 */

enum { OLD_DISCONNECT, OLD_LISTEN, OLD_BIND, OLD_PORT };

static int old_listener;

static void prepare_accepted(void)
{
	old_listener = listen_on(AF_INET, protocol, SHUT_PORT);
	need(old_listener, "listener");
	restrict_listeners();
}

static int accept_one(void)
{
	const int client = make_socket(AF_INET, SOCK_STREAM, protocol);
	int fd;

	need(client, "client");
	need(connect_to(client, "127.0.0.1", SHUT_PORT), "connect");
	fd = try_accept(old_listener);
	need(fd, "accept");
	close(client);
	return fd;
}

static void disconnect_while_listening(void)
{
	bool listens;
	int i;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		race.fd = accept_one();
		meet_and_stagger();
		count(OLD_DISCONNECT, disconnect(race.fd));
		meet();
		listens = option_of(race.fd, SOL_SOCKET, SO_ACCEPTCONN);
		count(OLD_PORT, listens ? COUNT_IN : COUNT_OUT);
		if (listens)
			must(port_of(race.fd) != SHUT_PORT,
			     "an old connection listens on its port", 0);
		meet();
		close(race.fd);
	}
}

static void listen_while_disconnecting(void)
{
	int i;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		meet_and_stagger();
		linger();
		count(OLD_LISTEN, try_listen(race.fd));
		meet();
		meet();
	}
}

static void bind_while_disconnecting(void)
{
	int i;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		meet_and_stagger();
		linger();
		count(OLD_BIND, bind_to(race.fd, "127.0.0.2", SHUT_PORT));
		meet();
		meet();
	}
}

static const struct plan accepted_plan = {
	.prepare = prepare_accepted,
	.racers = {
		disconnect_while_listening,
		listen_while_disconnecting,
		bind_while_disconnecting,
	},
	.rounds = ROUNDS_WITHOUT,
	.operations = {
		"disconnect",
		"listen",
		"bind to a shut port",
		"listener (in: there is one)",
	},
};

TEST_F_TIMEOUT(races, what_was_accepted_never_listens_on_its_port, TIMEOUT)
{
	expect_order(_metadata, &accepted_plan);
}

TEST_F_TIMEOUT(races, what_mptcp_accepted_never_listens_on_its_port, TIMEOUT)
{
	if (!has_mptcp())
		SKIP(return, "no MPTCP");
	protocol = IPPROTO_MPTCP;
	expect_order(_metadata, &accepted_plan);
}

/*
 * Another thread turns the socket into one of IPv4 while an address is judged.
 * What the network stack makes of the address was judged too.
 */

enum { FORM_TURN, FORM_SEND, FORM_CONNECT };

static int shut_receivers[2], open_receiver;

static int receiver_on(const char *address)
{
	const int fd = make_socket(AF_INET, SOCK_DGRAM, 0);

	need(fd, "receiver");
	need(bind_to(fd, address, OPEN_PORT), "bind of the receiver");
	return fd;
}

static bool receives(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) >= 0;
}

static void prepare_forms(void)
{
	const int fd = extended(SEND_UDP, 0);

	shut_receivers[0] = receiver_on("127.0.0.2");
	shut_receivers[1] = receiver_on("127.0.0.3");
	open_receiver = receiver_on("127.0.0.1");
	need(fd, "ruleset");
	need(add_net(fd, SEND_UDP, OPEN_PORT, OPEN_PORT, "127.0.0.1/32"),
	     "rule");
	/* None of these is an address of IPv4. */
	need(add_net(fd, SEND_UDP, OPEN_PORT, OPEN_PORT, ALL_IPV6), "rule");
	restrict_by(fd);
}

static void turn_into_ipv4(void)
{
	const int ipv4 = AF_INET;
	int i;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		race.fd = make_socket(AF_INET6, SOCK_DGRAM, 0);
		need(race.fd, "socket");
		need(connect_to(race.fd, "::ffff:127.0.0.1", OPEN_PORT),
		     "connect");
		meet_and_stagger();
		count(FORM_TURN, set_option(race.fd, SOL_IPV6, IPV6_ADDRFORM,
					    &ipv4, sizeof(ipv4)));
		meet();
		must(!receives(shut_receivers[0]) &&
		     !receives(shut_receivers[1]),
		     "a datagram reached an address of no rule", 0);
		while (receives(open_receiver))
			;
		meet();
		close(race.fd);
	}
}

/* The wrong addresses, in the ways to write them. */
static socklen_t wrong_address(union addr *addr)
{
	static const char *const addresses[] = {
		"::ffff:127.0.0.2", "127.0.0.3", "::ffff:127.0.0.3",
		"127.0.0.2",
	};
	const unsigned int which = random_below(5);
	socklen_t len;

	if (which < ARRAY_SIZE(addresses))
		return read_addr(addr, addresses[which], OPEN_PORT);
	len = read_addr(addr, "127.0.0.2", OPEN_PORT);
	addr->sa.sa_family = AF_UNSPEC;
	return len;
}

static bool is_refusal(int ret)
{
	return ret == -EACCES || ret == -EINVAL || ret == -EAFNOSUPPORT;
}

static void send_while_turning(void)
{
	union addr addr;
	int i, ret;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		const socklen_t len = wrong_address(&addr);

		meet_and_stagger();
		ret = sendto(race.fd, "x", 1, MSG_NOSIGNAL, &addr.sa, len) < 0 ?
			      -errno : 0;
		count(FORM_SEND, ret);
		must(is_refusal(ret), "a datagram was sent", ret);
		meet();
		meet();
	}
}

static void connect_while_turning(void)
{
	union addr addr;
	socklen_t len;
	int i, ret;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		do {
			len = wrong_address(&addr);
		} while (addr.sa.sa_family == AF_UNSPEC);
		meet_and_stagger();
		linger();
		ret = connect(race.fd, &addr.sa, len) ? -errno : 0;
		count(FORM_CONNECT, ret);
		must(is_refusal(ret), "an address of no rule was used", ret);
		meet();
		meet();
	}
}

TEST_F_TIMEOUT(races, a_turned_socket_is_held_to_its_addresses, TIMEOUT)
{
	static const struct plan plan = {
		.prepare = prepare_forms,
		.racers = {
			turn_into_ipv4,
			send_while_turning,
			connect_while_turning,
		},
		.rounds = ROUNDS_WITHOUT,
		.operations = {
			"IPV6_ADDRFORM",
			"sendto a wrong address",
			"connect to a wrong address",
		},
	};

	expect_order(_metadata, &plan);
}

/*
 * Threads of two domains and of none use one socket.  While it gets and loses
 * peers, a thread is answered for a peer that it has or just had.  After that,
 * each is answered for the peer that it has.
 */

enum { USE_PEER, USE_OPEN, USE_NONE, USE_ACCEPT };

#define USES (ACCEPT_TCP | SEND_TCP | RECEIVE_TCP | USE_TCP)

/* Uses of each thread in a round. */
#define NUM_USES 8

/* These serve on an open and on a shut port. */
static int servers[2];
/* The one whose port the socket is connected to. */
static int server;

static void prepare_servers(void)
{
	static const __u16 ports[] = { OPEN_PORT, SHUT_PORT };
	int i;

	for (i = 0; i < 2; i++) {
		servers[i] = listen_on(AF_INET, protocol, ports[i]);
		need(servers[i], "listener");
		need(fcntl(servers[i], F_SETFL, O_NONBLOCK), "fcntl");
	}
}

static void empty_queues(void)
{
	int which, fd;

	for (which = 0; which < 2; which++) {
		while ((fd = try_accept(servers[which])) >= 0)
			close(fd);
	}
}

enum use { USE_GET, USE_SET, USE_RECEIVE, USE_SEND, USE_SHUTDOWN, NUM_KINDS };

static int use(int fd, enum use how)
{
	int value = 1, ret = -1;
	socklen_t size = sizeof(value);

	switch (how) {
	case USE_GET:
		ret = getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &size);
		break;
	case USE_SET:
		ret = setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, size);
		break;
	case USE_RECEIVE:
		ret = recv(fd, &value, 1, MSG_DONTWAIT);
		break;
	case USE_SEND:
		ret = send(fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		break;
	case USE_SHUTDOWN:
		ret = shutdown(fd, SHUT_RDWR);
		break;
	case NUM_KINDS:
		break;
	}
	return ret < 0 ? -errno : 0;
}

/* What the network stack answers, depending on the state. */
static bool is_answer(int ret)
{
	static const int errors[] = { EAGAIN, EPIPE, ENOTCONN, ECONNRESET,
				      EINPROGRESS, EALREADY, EISCONN,
				      ECONNABORTED };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		if (ret == -errors[i])
			return true;
	}
	return ret == 0;
}

static void change_peers(void)
{
	static const __u16 ports[] = { OPEN_PORT, SHUT_PORT };
	int i, j;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		race.fd = make_socket(AF_INET, SOCK_STREAM, protocol);
		need(race.fd, "socket");
		meet_and_stagger();
		for (j = 0; j < NUM_USES; j++) {
			const unsigned int which = random_below(3);

			must(is_answer(count(USE_PEER, which < 2 ?
				     connect_to(race.fd, "127.0.0.1",
						ports[which]) :
				     disconnect(race.fd))),
			     "a peer could not be changed", which);
		}
		meet();
		/* The others wait, so this is the peer that they find. */
		empty_queues();
		need(disconnect(race.fd), "disconnect");
		server = random_below(2);
		need(connect_to(race.fd, "127.0.0.1", ports[server]),
		     "connect");
		meet();
		meet();
		close(race.fd);
		empty_queues();
	}
}

/* Uses what there is for a peer at an open port. */
static void use_open_ones(void)
{
	int i, j, ret;

	restrict_by_one(USES, OPEN_PORT);
	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		meet_and_stagger();
		for (j = 0; j < NUM_USES; j++) {
			ret = count(USE_OPEN,
				    use(race.fd, random_below(NUM_KINDS)));
			must(ret == -EACCES || is_answer(ret),
			     "a use failed", ret);
			must(try_accept(servers[1]) == -EACCES,
			     "a connection came from a shut port", 0);
			ret = try_accept(servers[0]);
			count(USE_ACCEPT, ret < 0 ? ret : COUNT_IN);
			must(ret != -EACCES && ret != -ECONNABORTED,
			     "a connection was refused", ret);
			if (ret < 0)
				continue;
			must(is_answer(use(ret, random_below(NUM_KINDS))),
			     "a connection cannot be used", ret);
			close(ret);
		}
		meet();
		meet();
		for (j = 0; j < NUM_KINDS; j++) {
			ret = use(race.fd, j);
			must(server ? ret == -EACCES : is_answer(ret),
			     "the answer is for another peer", ret);
		}
		meet();
	}
}

/* There is no rule for any port that the socket has. */
static void use_none(void)
{
	int i, j, ret;

	restrict_by_one(USES, CLOSED_PORT);
	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		meet_and_stagger();
		for (j = 0; j < NUM_USES; j++) {
			ret = count(USE_NONE,
				    use(race.fd, random_below(NUM_KINDS)));
			must(ret == -EACCES, "a use without a rule", ret);
			ret = try_accept(servers[random_below(2)]);
			must(ret == -EACCES, "accept without a rule", ret);
		}
		meet();
		meet();
		for (j = 0; j < NUM_KINDS; j++) {
			ret = use(race.fd, j);
			must(ret == -EACCES, "a use without a rule", ret);
		}
		meet();
	}
}

static const struct plan use_plan = {
	.prepare = prepare_servers,
	.racers = {
		change_peers,
		use_open_ones,
		use_none,
	},
	.rounds = ROUNDS_WITHOUT,
	.operations = {
		"connect or disconnect",
		"use in a domain with a rule for one peer",
		"use in a domain without a rule",
		"accept (in: a connection)",
	},
};

TEST_F_TIMEOUT(races, uses_are_judged_by_the_peer_and_the_domain, TIMEOUT)
{
	expect_order(_metadata, &use_plan);
}

TEST_F_TIMEOUT(races, uses_of_mptcp_are_judged_likewise, TIMEOUT)
{
	if (!has_mptcp())
		SKIP(return, "no MPTCP");
	protocol = IPPROTO_MPTCP;
	expect_order(_metadata, &use_plan);
}

/*
 * A socket loses a port that the kernel had chosen, and gets one that may be
 * read.  What came to the first stays in its queue, and may never be.
 */

enum { LOST_BIND, LOST_RECEIVE };

static void prepare_loss(void)
{
	need(restrict_to(RECEIVE_UDP, RECEIVE_UDP, OPEN_PORT, OPEN_PORT, NULL),
	     "ruleset");
}

static void lose_the_port(void)
{
	const int peer = make_socket(AF_INET, SOCK_DGRAM, 0);
	int i;

	need(peer, "peer");
	need(bind_to(peer, "127.0.0.1", SHUT_PORT), "bind of the peer");
	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		race.fd = make_socket(AF_INET, SOCK_DGRAM, 0);
		need(race.fd, "socket");
		need(connect_to(race.fd, "127.0.0.1", SHUT_PORT), "connect");
		need(send_to(peer, "127.0.0.1", port_of(race.fd), 0), "send");
		store(&race.finished, 0);
		meet_and_stagger();
		linger();
		need(disconnect(race.fd), "disconnect");
		count(LOST_BIND, bind_to(race.fd, "127.0.0.1", OPEN_PORT));
		store(&race.finished, 1);
		meet();
		close(race.fd);
	}
	close(peer);
}

static void receive_meanwhile(void)
{
	int i, ret;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		meet_and_stagger();
		do {
			ret = count(LOST_RECEIVE, use(race.fd, USE_RECEIVE));
			must(ret == -EACCES, "a datagram was within reach",
			     ret);
		} while (!load(&race.finished));
		meet();
	}
}

TEST_F_TIMEOUT(races, what_came_to_a_lost_port_is_never_read, TIMEOUT)
{
	static const struct plan plan = {
		.prepare = prepare_loss,
		.racers = {
			lose_the_port,
			receive_meanwhile,
			receive_meanwhile,
		},
		.rounds = ROUNDS_WITHOUT,
		.operations = {
			"bind",
			"receive",
		},
	};

	expect_order(_metadata, &plan);
}

/* A rule that is added while the ruleset is enforced is in it or is not. */

enum { RULE, RULE_ADDED, RULE_OTHER };

/* A port and an address of this round, which nobody binds in fact. */
static int ask_round(int round)
{
	const int fd = make_socket(AF_INET, SOCK_STREAM, 0);
	char address[16];
	int ret;

	need(fd, "socket");
	snprintf(address, sizeof(address), "192.0.2.%d", round + 1);
	ret = bind_to(fd, address, 100 + round);
	close(fd);
	if (ret == -EADDRNOTAVAIL)
		ret = 0;
	must(ret == 0 || ret == -EACCES, "a probe failed", ret);
	return ret;
}

static int add_round(int fd, int round)
{
	char prefix[32];

	snprintf(prefix, sizeof(prefix), "192.0.2.%d/32", round + 1);
	return add_net(fd, BIND_TCP, 100 + round, 100 + round, prefix);
}

/* A ruleset for all rounds but one. */
static int ruleset_without(int round)
{
	const int fd = extended(BIND_TCP, 0);
	int i;

	need(fd, "ruleset");
	for (i = 0; i < ROUNDS_OF_LAYERS; i++) {
		if (i != round)
			need(add_round(fd, i), "rule");
	}
	return fd;
}

static void add_while_enforcing(void)
{
	int i;

	for (i = 0; i < ROUNDS_OF_LAYERS; i++) {
		race.fd = ruleset_without(i);
		meet_and_stagger();
		count(RULE_ADDED, add_round(race.fd, i));
		count(RULE_OTHER, add_net(race.fd, BIND_TCP, i, 300 + i,
					  "2001:db8::/32"));
		meet();
		close(race.fd);
	}
}

static void enforce_while_adding(void)
{
	int answers[ROUNDS_OF_LAYERS];
	int i, j;

	for (i = 0; i < ROUNDS_OF_LAYERS; i++) {
		meet_and_stagger();
		need(restrict_self(race.fd, 0), "restrict_self");
		answers[i] = ask_round(i);
		count(RULE, answers[i] ? COUNT_OUT : COUNT_IN);
		meet();
		for (j = 0; j <= i; j++)
			must(ask_round(j) == answers[j], "an answer changed",
			     answers[j]);
		for (; j < ROUNDS_OF_LAYERS; j++)
			must(ask_round(j) == 0, "a rule is missing", j);
	}
}

TEST_F_TIMEOUT(races, addresses_are_in_or_out, TIMEOUT)
{
	static const struct plan plan = {
		.racers = {
			add_while_enforcing,
			enforce_while_adding,
			enforce_while_adding,
		},
		.rounds = ROUNDS_OF_LAYERS,
		.operations = {
			"rule in the domain",
			"add_rule",
			"add_rule of another",
		},
	};

	expect_order(_metadata, &plan);
}

/* Rules that a ruleset and domains share are freed by the last of them. */

enum { FREE_CHILD, FREE_CLOSE };

#define NUM_FREED 64

static int ruleset_to_free(void)
{
	const int fd = extended(BIND_TCP, SOCKET_CREATE);
	int i;

	need(fd, "ruleset");
	need(add_socket(fd, AF_INET, SOCK_STREAM, 0), "rule");
	for (i = 0; i < NUM_FREED; i++) {
		char prefix[32];

		snprintf(prefix, sizeof(prefix), "192.0.2.%d/32", i);
		need(add_net(fd, BIND_TCP, 100 + i, 100 + i, prefix), "rule");
	}
	return fd;
}

/* Returns how many answers are wrong in a domain of that ruleset. */
static int look_around(void)
{
	int i, wrong = 0;

	for (i = 0; i < NUM_FREED - 1; i += 9) {
		char address[16];

		snprintf(address, sizeof(address), "192.0.2.%d", i);
		wrong += tcp_bind(address, 100 + i) != -EADDRNOTAVAIL;
		wrong += tcp_bind(address, 101 + i) != -EACCES;
	}
	return wrong + (new_socket(AF_INET, SOCK_DGRAM, 0) != -EACCES);
}

static void live_and_leave(void)
{
	int i, ret;

	for (i = 0; i < ROUNDS_OF_LAYERS; i++) {
		pid_t child;

		meet_and_stagger();
		child = fork();
		if (child == 0) {
			ret = restrict_self(race.fd, 0);
			_exit(ret == -EBADF ? 100 : ret ? 101 : look_around());
		}
		ret = child < 0 ? -errno : wait_child(child);
		count(FREE_CHILD, ret == 100 ? COUNT_OUT : ret);
		must(ret == 0 || ret == 100, "a child was wrong", ret);
		meet();
	}
}

static void close_meanwhile(void)
{
	int i;

	for (i = 0; i < ROUNDS_OF_LAYERS; i++) {
		race.fd = ruleset_to_free();
		meet_and_stagger();
		linger();
		count(FREE_CLOSE, close(race.fd) ? -errno : 0);
		meet();
	}
}

TEST_F_TIMEOUT(races, rules_are_freed_by_the_last_that_has_them, TIMEOUT)
{
	static const struct plan plan = {
		.racers = {
			close_meanwhile,
			live_and_leave,
			live_and_leave,
		},
		.rounds = ROUNDS_OF_LAYERS,
		.operations = {
			"child (out: the ruleset was closed)",
			"close",
		},
	};

	expect_order(_metadata, &plan);
}

TEST_HARNESS_MAIN
