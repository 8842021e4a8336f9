// SPDX-License-Identifier: GPL-2.0
/*
 * Portlock tests: to shut a socket down, and to get and set its options
 *
 * What these rights grant depends on the service port of a socket and on the
 * address of its peer.  What to expect is said in the documentation and in
 * security/portlock/spec.rs.
 */

#include <netinet/udp.h>
#include <poll.h>

#include "kselftest_harness.h"
#include "extended.h"

#ifndef SOL_MPTCP
#define SOL_MPTCP 284
#endif

#ifndef MPTCP_INFO
#define MPTCP_INFO 1
#endif

/* What is served on, what the clients have, and what nobody connects to. */
#define SERVICE_PORT 1024
#define CLIENT_PORT 2000
#define BOUND_PORT 3000

/* Sockets, by what their service port is. */
enum state {
	/* 0 */
	LOOSE,
	/* Their local port */
	BOUND,
	/* Their remote port */
	CONNECTED,
	/* Their local port, although they have a peer */
	ACCEPTED,
	/* Their local port.  The last, since its end is that of its queue. */
	LISTENING,
	NUM_STATES,
};

static bool has_peer(enum state state)
{
	return state == CONNECTED || state == ACCEPTED;
}

/* UDP has none that listen or are accepted. */
#define NO_SOCKET INT32_MIN

FIXTURE(use)
{
	int fds[NUM_STATES];
	/* The rights that this is about. */
	__u64 uses;
};

FIXTURE_VARIANT(use)
{
	int type, protocol;
	const char *address;
	/* A prefix with the address, and one without. */
	const char *peer, *stranger;
};

/* clang-format off */
#define TCP_SOCKET .type = SOCK_STREAM
#define MPTCP_SOCKET .type = SOCK_STREAM, .protocol = IPPROTO_MPTCP
#define UDP_SOCKET .type = SOCK_DGRAM
#define ON_IPV4 \
	.address = "127.0.0.1", .peer = "127.0.0.0/31", \
	.stranger = "127.0.0.2/31"
#define ON_IPV6 .address = "::1", .peer = "::/127", .stranger = "::2/127"
/* A mapped address is one of IPv4. */
#define ON_MAPPED \
	.address = "::ffff:127.0.0.1", .peer = "127.0.0.1/32", \
	.stranger = ALL_IPV6
/* clang-format on */

FIXTURE_VARIANT_ADD(use, tcp_on_ipv4)
{
	TCP_SOCKET, ON_IPV4
};

FIXTURE_VARIANT_ADD(use, tcp_on_ipv6)
{
	TCP_SOCKET, ON_IPV6
};

FIXTURE_VARIANT_ADD(use, tcp_on_mapped)
{
	TCP_SOCKET, ON_MAPPED
};

FIXTURE_VARIANT_ADD(use, mptcp_on_ipv4)
{
	MPTCP_SOCKET, ON_IPV4
};

FIXTURE_VARIANT_ADD(use, mptcp_on_ipv6)
{
	MPTCP_SOCKET, ON_IPV6
};

FIXTURE_VARIANT_ADD(use, mptcp_on_mapped)
{
	MPTCP_SOCKET, ON_MAPPED
};

FIXTURE_VARIANT_ADD(use, udp_on_ipv4)
{
	UDP_SOCKET, ON_IPV4
};

FIXTURE_VARIANT_ADD(use, udp_on_ipv6)
{
	UDP_SOCKET, ON_IPV6
};

FIXTURE_VARIANT_ADD(use, udp_on_mapped)
{
	UDP_SOCKET, ON_MAPPED
};

/* Returns a new socket that is bound to @port, unless that is 0. */
static int bound_socket(const FIXTURE_VARIANT(use) *variant, __u16 port)
{
	const int fd = make_socket(family_of(variant->address), variant->type,
				   variant->protocol);
	int ret;

	if (fd < 0 || !port)
		return fd;
	ret = bind_to(fd, variant->address, port);
	return ret ? ret : fd;
}

static int connected_socket(const FIXTURE_VARIANT(use) *variant, __u16 port)
{
	const int fd = bound_socket(variant, port);
	const int ret = fd < 0 ? fd : connect_to(fd, variant->address,
						 SERVICE_PORT);

	return ret ? ret : fd;
}

/*
 * Makes a network with a socket in each state.  The peers of connections stay
 * open until the process ends.
 */
static int make_scene(const FIXTURE_VARIANT(use) *variant, int *fds)
{
	int ret = own_network();
	int server, i;

	if (ret)
		return ret;
	server = bound_socket(variant, SERVICE_PORT);
	if (server < 0)
		return server;
	fds[LISTENING] = NO_SOCKET;
	fds[ACCEPTED] = NO_SOCKET;
	if (variant->type == SOCK_STREAM) {
		ret = try_listen(server);
		if (!ret)
			ret = connected_socket(variant, CLIENT_PORT);
		if (ret < 0)
			return ret;
		fds[LISTENING] = server;
		fds[ACCEPTED] = try_accept(server);
	}
	fds[LOOSE] = bound_socket(variant, 0);
	fds[BOUND] = bound_socket(variant, BOUND_PORT);
	fds[CONNECTED] = connected_socket(variant, CLIENT_PORT + 1);
	for (i = 0; i < NUM_STATES; i++) {
		if (fds[i] < 0 && fds[i] != NO_SOCKET)
			return fds[i];
	}
	return 0;
}

FIXTURE_SETUP(use)
{
	int ret;

	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ret = new_socket(family_of(variant->address), variant->type,
			 variant->protocol);
	if (ret && variant->protocol)
		SKIP(return, "no MPTCP: %s", strerror(-ret));
	ASSERT_EQ(0, make_scene(variant, self->fds));
	self->uses = variant->type == SOCK_STREAM ? USE_TCP : USE_UDP;
}

FIXTURE_TEARDOWN(use)
{
}

/* Calls */

/* A number that no level has, and no option. */
#define NO_OPTION 9999

static const struct {
	int level, number;
	const char *name;
} options[] = {
	{ SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE" },
	{ SOL_TCP, TCP_NODELAY, "TCP_NODELAY" },
	{ SOL_UDP, UDP_CORK, "UDP_CORK" },
	{ SOL_MPTCP, MPTCP_INFO, "MPTCP_INFO" },
	{ SOL_IP, IP_TTL, "IP_TTL" },
	{ SOL_IPV6, IPV6_UNICAST_HOPS, "IPV6_UNICAST_HOPS" },
	{ SOL_SOCKET, NO_OPTION, "an unknown option of sockets" },
	{ SOL_TCP, NO_OPTION, "an unknown option of TCP" },
	{ NO_OPTION, 1, "an unknown level" },
};

static int get(int fd, int level, int number)
{
	char value[256] = {};
	socklen_t size = sizeof(value);

	return getsockopt(fd, level, number, value, &size) ? -errno : 0;
}

static int set(int fd, int level, int number)
{
	const int one = 1;

	return set_option(fd, level, number, &one, sizeof(one));
}

static int shut(int fd, int how)
{
	return shutdown(fd, how) ? -errno : 0;
}

static void check_gets(struct __test_metadata *_metadata, int fd, bool allowed)
{
	size_t i;

	EXPECT_EQ(allowed ? 0 : -EACCES, get(fd, SOL_SOCKET, SO_KEEPALIVE));
	for (i = 0; i < ARRAY_SIZE(options); i++) {
		EXPECT_ALLOWED(allowed, get(fd, options[i].level,
					    options[i].number))
			TH_LOG("%s", options[i].name);
	}
}

static void check_sets(struct __test_metadata *_metadata, int fd, bool allowed)
{
	size_t i;

	EXPECT_EQ(allowed ? 0 : -EACCES, set(fd, SOL_SOCKET, SO_KEEPALIVE));
	for (i = 0; i < ARRAY_SIZE(options); i++) {
		EXPECT_ALLOWED(allowed, set(fd, options[i].level,
					    options[i].number))
			TH_LOG("%s", options[i].name);
	}
}

/* What is allowed is done, so that the next call finds another state. */
static void check_shuts(struct __test_metadata *_metadata, int fd,
			enum state state, bool allowed)
{
	const int done = state == LOOSE || state == BOUND ? -ENOTCONN : 0;

	EXPECT_EQ(allowed ? -EINVAL : -EACCES, shut(fd, 3));
	EXPECT_EQ(allowed ? -EINVAL : -EACCES, shut(fd, -1));
	EXPECT_EQ(allowed ? done : -EACCES, shut(fd, SHUT_WR));
	EXPECT_EQ(allowed ? done : -EACCES, shut(fd, SHUT_RD));
	/* By now, what was a listener is none. */
	if (state != LISTENING)
		EXPECT_EQ(allowed ? done : -EACCES, shut(fd, SHUT_RDWR));
}

static void check_uses(struct __test_metadata *_metadata, const int *fds,
		       enum state state, bool allowed)
{
	if (fds[state] < 0)
		return;
	check_gets(_metadata, fds[state], allowed);
	check_sets(_metadata, fds[state], allowed);
	check_shuts(_metadata, fds[state], state, allowed);
}

/* One layer */

enum { ANY, PEER, STRANGER };

static const struct {
	__u16 first, last;
	int whom;
} rules[] = {
	{ 0, UINT16_MAX, ANY },
	{ 0, 0, ANY },
	{ BOUND_PORT, BOUND_PORT, ANY },
	{ SERVICE_PORT, SERVICE_PORT, ANY },
	/* The ports that a connection has on the other side. */
	{ CLIENT_PORT, CLIENT_PORT + 1, ANY },
	{ 0, SERVICE_PORT - 1, ANY },
	{ SERVICE_PORT + 1, UINT16_MAX, ANY },
	{ SERVICE_PORT, SERVICE_PORT, PEER },
	{ 0, UINT16_MAX, PEER },
	{ 0, SERVICE_PORT - 1, PEER },
	{ SERVICE_PORT + 1, UINT16_MAX, PEER },
	{ SERVICE_PORT, SERVICE_PORT, STRANGER },
	{ 0, UINT16_MAX, STRANGER },
};

TEST_F(use, is_granted_by_the_service_port_and_the_peer)
{
	const char *const prefixes[] = { NULL, variant->peer,
					 variant->stranger };
	static const __u16 ports[] = { 0, BOUND_PORT, SERVICE_PORT,
				       SERVICE_PORT, SERVICE_PORT };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rules); i++) {
		const __u16 first = rules[i].first, last = rules[i].last;
		const int whom = rules[i].whom;
		const pid_t child = fork();
		enum state state;

		ASSERT_LE(0, child);
		if (child) {
			EXPECT_EQ(0, wait_child(child));
			continue;
		}
		ASSERT_EQ(0, make_scene(variant, self->fds));
		ASSERT_EQ(0, restrict_to(self->uses, self->uses, first, last,
					 prefixes[whom]));
		for (state = 0; state < NUM_STATES; state++) {
			const __u16 port = ports[state];
			const bool allowed = first <= port && port <= last &&
					     (whom == ANY ||
					      (whom == PEER &&
					       has_peer(state)));

			check_uses(_metadata, self->fds, state, allowed);
			EXPECT_TRUE(__test_passed(_metadata))
				TH_LOG("%u to %u, whom %d, state %d", first,
				       last, whom, state);
		}
		_exit(_metadata->exit_code);
	}
}

TEST_F(use, is_refused_without_a_rule)
{
	enum state state;

	ASSERT_EQ(0, restrict_extended(ALL_TCP | ALL_UDP));
	for (state = 0; state < NUM_STATES; state++)
		check_uses(_metadata, self->fds, state, false);
}

TEST_F(use, is_granted_by_landlocks_rule_for_a_port)
{
	const int rules = extended(self->uses, 0);

	ASSERT_LE(0, rules);
	ASSERT_EQ(0, add_port(rules, SERVICE_PORT, self->uses));
	ASSERT_EQ(0, enforce(rules));
	check_uses(_metadata, self->fds, BOUND, false);
	check_uses(_metadata, self->fds, CONNECTED, true);
	check_uses(_metadata, self->fds, ACCEPTED, true);
}

TEST_F(use, is_free_where_it_is_not_handled)
{
	enum state state;

	ASSERT_EQ(0, restrict_extended((ALL_TCP | ALL_UDP) & ~self->uses));
	for (state = 0; state < NUM_STATES; state++)
		check_uses(_metadata, self->fds, state, true);
}

/* The rights of the other protocol grant nothing here. */
TEST_F(use, needs_the_right_of_the_call_and_the_protocol)
{
	static const __u64 rights[] = { SHUTDOWN_TCP, GETSOCKOPT_TCP,
					SETSOCKOPT_TCP, SHUTDOWN_UDP,
					GETSOCKOPT_UDP, SETSOCKOPT_UDP };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rights); i++) {
		const __u64 allowed = rights[i] & self->uses;
		const pid_t child = fork();

		ASSERT_LE(0, child);
		if (child) {
			EXPECT_EQ(0, wait_child(child))
				TH_LOG("right %zu", i);
			continue;
		}
		ASSERT_EQ(0, make_scene(variant, self->fds));
		ASSERT_EQ(0, restrict_to(USE_TCP | USE_UDP, rights[i], 0,
					 UINT16_MAX, NULL));
		check_gets(_metadata, self->fds[CONNECTED],
			   allowed & (GETSOCKOPT_TCP | GETSOCKOPT_UDP));
		check_sets(_metadata, self->fds[CONNECTED],
			   allowed & (SETSOCKOPT_TCP | SETSOCKOPT_UDP));
		check_shuts(_metadata, self->fds[CONNECTED], CONNECTED,
			    allowed & (SHUTDOWN_TCP | SHUTDOWN_UDP));
		_exit(_metadata->exit_code);
	}
}

TEST_F(use, refused_changes_nothing)
{
	const int fd = self->fds[CONNECTED];
	const __u64 changes = self->uses & ~(GETSOCKOPT_TCP | GETSOCKOPT_UDP);
	int value = -1;
	socklen_t size = sizeof(value);

	ASSERT_EQ(0, restrict_extended(changes));
	EXPECT_EQ(-EACCES, set(fd, SOL_SOCKET, SO_KEEPALIVE));
	EXPECT_EQ(0, getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &size));
	EXPECT_EQ(0, value);
	EXPECT_EQ(-EACCES, shut(fd, SHUT_RDWR));
	EXPECT_EQ(1, send(fd, "x", 1, MSG_NOSIGNAL));

	ASSERT_EQ(0, restrict_extended(self->uses));
	value = 77;
	size = 3;
	EXPECT_EQ(-EACCES, getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value,
				      &size) ? -errno : 0);
	EXPECT_EQ(77, value);
	EXPECT_EQ(3, size);
}

/* The pointers of the caller are not read before. */
TEST_F(use, refused_comes_before_bad_pointers)
{
	const int fd = self->fds[LOOSE];

	EXPECT_EQ(-EFAULT, getsockopt(fd, SOL_SOCKET, SO_TYPE, NULL, NULL) ?
				   -errno : 0);
	EXPECT_EQ(-EFAULT, set_option(fd, SOL_SOCKET, SO_KEEPALIVE, NULL, 4));
	ASSERT_EQ(0, restrict_extended(self->uses));
	EXPECT_EQ(-EACCES, getsockopt(fd, SOL_SOCKET, SO_TYPE, NULL, NULL) ?
				   -errno : 0);
	EXPECT_EQ(-EACCES, set_option(fd, SOL_SOCKET, SO_KEEPALIVE, NULL, 4));
}

/* Names, the length of queues, and the end of a socket need no right. */
TEST_F(use, is_not_asked_for_what_is_no_use)
{
	enum state state;

	ASSERT_EQ(0, restrict_extended(ALL_TCP | ALL_UDP));
	for (state = 0; state < NUM_STATES; state++) {
		const int fd = self->fds[state];
		struct pollfd poll_fd = {
			.fd = fd,
			.events = POLLIN,
		};
		union addr addr;
		socklen_t len = sizeof(addr);
		int value;

		if (fd < 0)
			continue;
		EXPECT_EQ(0, getsockname(fd, &addr.sa, &len));
		len = sizeof(addr);
		if (has_peer(state))
			EXPECT_EQ(0, getpeername(fd, &addr.sa, &len));
		/* The stack has no answer for a listener. */
		if (state != LISTENING) {
			EXPECT_EQ(0, ioctl(fd, FIONREAD, &value));
			EXPECT_EQ(0, ioctl(fd, SIOCOUTQ, &value));
		}
		EXPECT_LE(0, poll(&poll_fd, 1, 0));
		EXPECT_EQ(0, fcntl(fd, F_SETFL, O_NONBLOCK));
		EXPECT_EQ(0, close(fd));
	}
}

/* close(2) ends a connection too, but no right is about it. */
TEST_F(use, is_not_asked_to_close_a_connection)
{
	const bool is_tcp = variant->type == SOCK_STREAM;
	int peer = -1;
	char byte;

	/* It waits in the queue. */
	if (is_tcp)
		peer = try_accept(self->fds[LISTENING]);
	ASSERT_EQ(0, restrict_extended(self->uses));
	EXPECT_EQ(-EACCES, shut(self->fds[CONNECTED], SHUT_WR));
	if (is_tcp)
		EXPECT_EQ(-EAGAIN, recv(peer, &byte, 1, MSG_DONTWAIT) < 0 ?
					   -errno : 0);
	EXPECT_EQ(0, close(self->fds[CONNECTED]));
	if (is_tcp)
		EXPECT_EQ(0, recv(peer, &byte, 1, 0));
}

/* TCP_ZEROCOPY_RECEIVE is an option, and it receives. */

#define GET_AND_RECEIVE (GETSOCKOPT_TCP | RECEIVE_TCP)

TEST_F(use, zero_copy_needs_both_rights_on_tcp)
{
	static const struct {
		__u64 handled, granted;
		bool zerocopy, others;
	} cases[] = {
		{ ALL_TCP & ~GET_AND_RECEIVE, 0, true, true },
		{ GETSOCKOPT_TCP, 0, false, false },
		{ GETSOCKOPT_TCP, GETSOCKOPT_TCP, true, true },
		{ RECEIVE_TCP, 0, false, true },
		{ RECEIVE_TCP, RECEIVE_TCP, true, true },
		{ GET_AND_RECEIVE, 0, false, false },
		{ GET_AND_RECEIVE, GETSOCKOPT_TCP, false, true },
		{ GET_AND_RECEIVE, RECEIVE_TCP, false, false },
		{ GET_AND_RECEIVE, GET_AND_RECEIVE, true, true },
	};
	const bool is_tcp = variant->type == SOCK_STREAM;
	const int fd = self->fds[CONNECTED];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const int rules = extended(cases[i].handled | RECEIVE_UDP, 0);
		const pid_t child = fork();

		ASSERT_LE(0, rules);
		ASSERT_LE(0, child);
		if (child) {
			EXPECT_EQ(0, wait_child(child))
				TH_LOG("case %zu", i);
			EXPECT_EQ(0, close(rules));
			continue;
		}
		if (cases[i].granted)
			ASSERT_EQ(0, add_net(rules, cases[i].granted,
					     SERVICE_PORT, SERVICE_PORT,
					     variant->peer));
		ASSERT_EQ(0, enforce(rules));
		EXPECT_ALLOWED(!is_tcp || cases[i].zerocopy,
			       get(fd, SOL_TCP, TCP_ZEROCOPY_RECEIVE));
		EXPECT_ALLOWED(!is_tcp || cases[i].others,
			       get(fd, SOL_SOCKET, SO_KEEPALIVE));
		/* To set an option is another right. */
		EXPECT_ALLOWED(!is_tcp || !(cases[i].handled & SETSOCKOPT_TCP),
			       set(fd, SOL_TCP, TCP_ZEROCOPY_RECEIVE));
		_exit(_metadata->exit_code);
	}
}

/* A rule with an address for any right of a protocol makes its way matter. */
TEST_F(use, refuses_a_way_beside_an_address_for_any_right)
{
	const bool is_tcp = variant->type == SOCK_STREAM;
	const __u64 rights = (ALL_TCP | ALL_UDP) & ~RECEIVE_UDP;
	int bit;

	for (bit = 0; bit < 64; bit++) {
		const __u64 right = rights & 1ULL << bit;
		const bool is_own = right & (is_tcp ? ALL_TCP : ALL_UDP);
		pid_t child;

		if (!right)
			continue;
		child = fork();
		ASSERT_LE(0, child);
		if (child) {
			EXPECT_EQ(0, wait_child(child))
				TH_LOG("right %d", bit);
			continue;
		}
		/* Without an address, all is granted. */
		ASSERT_EQ(0, restrict_to(ALL_TCP | ALL_UDP, ALL_TCP | ALL_UDP,
					 0, UINT16_MAX, NULL));
		EXPECT_ALLOWED(true, set(self->fds[LOOSE], SOL_SOCKET,
					 SO_BINDTOIFINDEX));
		ASSERT_EQ(0, restrict_to(right, right, 1, 1, ALL_IPV4));
		EXPECT_ALLOWED(!is_own, set(self->fds[LOOSE], SOL_SOCKET,
					    SO_BINDTOIFINDEX));
		_exit(_metadata->exit_code);
	}
}

/* Layers */

TEST_F(use, is_free_in_plain_layers)
{
	int i;

	for (i = 0; i < MAX_LAYERS; i++)
		ASSERT_EQ(0, restrict_all(ALL_NET));
	EXPECT_EQ(1, send(self->fds[CONNECTED], "x", 1, MSG_NOSIGNAL));
	if (variant->type == SOCK_STREAM)
		EXPECT_LE(0, try_accept(self->fds[LISTENING]));
	for (i = 0; i < NUM_STATES; i++)
		check_uses(_metadata, self->fds, i, true);
}

/* Adds the layer that @letter stands for. */
static int add_layer(const FIXTURE_VARIANT(use) *variant, __u64 uses,
		     char letter)
{
	const __u64 all = ALL_TCP | ALL_UDP;

	switch (letter) {
	case 'p':
		return restrict_all(ALL_NET);
	case 's':
		return restrict_to(uses, uses, SERVICE_PORT, SERVICE_PORT,
				   NULL);
	case 'a':
		return restrict_to(uses, uses, 0, UINT16_MAX, variant->peer);
	case 'o':
		return restrict_extended(all & ~uses);
	case 'x':
		return restrict_to(uses, uses, 0, UINT16_MAX,
				   variant->stranger);
	default:
		return restrict_to(uses, uses, 0, SERVICE_PORT - 1, NULL);
	}
}

/*
 * Layers are for the service port (s), for the peer's address (a), plain (p)
 * and about other rights (o).  Others refuse the port (n) or the address (x).
 */
TEST_F(use, is_granted_by_all_layers_in_any_order)
{
	static const struct {
		const char *layers;
		bool allowed;
	} stacks[] = {
		{ "sa", true }, { "as", true }, { "psao", true },
		{ "oasp", true }, { "apos", true },
		{ "aaaaaaaaaaaaaaaa", true }, { "sasasasasasasasa", true },
		{ "ns", false }, { "sn", false },
		{ "an", false }, { "na", false }, { "ax", false },
		{ "xa", false }, { "sx", false }, { "xs", false },
		{ "pnos", false }, { "oxp", false },
		{ "nsasasasasasasas", false }, { "sasasasasasasasn", false },
		{ "xaaaaaaaaaaaaaaa", false }, { "asasasasasasasax", false },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(stacks); i++) {
		const char *const layers = stacks[i].layers;
		const pid_t child = fork();
		size_t at;

		ASSERT_LE(0, child);
		if (child) {
			EXPECT_EQ(0, wait_child(child))
				TH_LOG("%s", layers);
			continue;
		}
		ASSERT_EQ(0, make_scene(variant, self->fds));
		for (at = 0; layers[at]; at++)
			ASSERT_EQ(0, add_layer(variant, self->uses,
					       layers[at]));
		check_uses(_metadata, self->fds, CONNECTED, stacks[i].allowed);
		check_uses(_metadata, self->fds, ACCEPTED, stacks[i].allowed);
		check_uses(_metadata, self->fds, BOUND, false);
		_exit(_metadata->exit_code);
	}
}

TEST_F(use, is_refused_to_children_and_not_to_parents)
{
	pid_t child = fork();

	ASSERT_LE(0, child);
	if (child == 0) {
		ASSERT_EQ(0, restrict_extended(self->uses));
		child = fork();
		ASSERT_LE(0, child);
		if (child == 0) {
			check_uses(_metadata, self->fds, CONNECTED, false);
			_exit(_metadata->exit_code);
		}
		EXPECT_EQ(0, wait_child(child));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, wait_child(child));
	check_uses(_metadata, self->fds, CONNECTED, true);
}

/* The sockets are of an older namespace than the layers. */
TEST_F(use, is_granted_by_addresses_in_their_namespace_only)
{
	ASSERT_EQ(0, own_network());
	ASSERT_EQ(0, restrict_to(self->uses, self->uses, SERVICE_PORT,
				 SERVICE_PORT, NULL));
	check_gets(_metadata, self->fds[CONNECTED], true);
	check_sets(_metadata, self->fds[CONNECTED], true);
	ASSERT_EQ(0, restrict_to(self->uses, self->uses, SERVICE_PORT,
				 SERVICE_PORT, variant->peer));
	check_uses(_metadata, self->fds, CONNECTED, false);
	check_uses(_metadata, self->fds, ACCEPTED, false);
}

/* Rights that a socket which is only bound can show. */
static const __u64 shown[] = { SHUTDOWN_TCP, GETSOCKOPT_TCP, SETSOCKOPT_TCP,
			       LISTEN_TCP,   SHUTDOWN_UDP,   GETSOCKOPT_UDP,
			       SETSOCKOPT_UDP, RECEIVE_UDP };

#define NUM_SETS (1 << ARRAY_SIZE(shown))

static __u64 set_of(int number)
{
	__u64 access = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(shown); i++) {
		if (number & 1 << i)
			access |= shown[i];
	}
	return access;
}

/* Each set of rights has a port. */
TEST(rights_of_neighbours_do_not_mix)
{
	static int tcp[NUM_SETS], udp[NUM_SETS];
	const __u64 all = set_of(NUM_SETS - 1);
	int i, rules;

	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, own_network());
	rules = extended(all, 0);
	ASSERT_LE(0, rules);
	for (i = 0; i < NUM_SETS; i++) {
		const __u16 port = BOUND_PORT + i;

		tcp[i] = make_socket(AF_INET, SOCK_STREAM, 0);
		udp[i] = make_socket(AF_INET, SOCK_DGRAM, 0);
		ASSERT_EQ(0, bind_to(tcp[i], "127.0.0.1", port));
		ASSERT_EQ(0, bind_to(udp[i], "127.0.0.1", port));
		if (i)
			ASSERT_EQ(0, add_net(rules, set_of(i), port, port,
					     NULL));
	}
	ASSERT_EQ(0, enforce(rules));
	for (i = 0; i < NUM_SETS; i++) {
		const __u64 access = set_of(i);
		char byte;

		check_gets(_metadata, tcp[i], access & GETSOCKOPT_TCP);
		check_gets(_metadata, udp[i], access & GETSOCKOPT_UDP);
		check_sets(_metadata, tcp[i], access & SETSOCKOPT_TCP);
		check_sets(_metadata, udp[i], access & SETSOCKOPT_UDP);
		EXPECT_EQ(access & RECEIVE_UDP ? -EAGAIN : -EACCES,
			  recv(udp[i], &byte, 1, MSG_DONTWAIT) < 0 ? -errno :
								     0);
		check_shuts(_metadata, udp[i], BOUND, access & SHUTDOWN_UDP);
		check_shuts(_metadata, tcp[i], BOUND, access & SHUTDOWN_TCP);
		EXPECT_EQ(access & LISTEN_TCP ? 0 : -EACCES,
			  try_listen(tcp[i]));
		EXPECT_TRUE(__test_passed(_metadata))
			TH_LOG("set %d", i);
	}
}

/* Other sockets */

FIXTURE(other)
{
	int fd;
};

FIXTURE_VARIANT(other)
{
	int family, type, protocol;
	/* Whether it counts as TCP that no rule can grant anything to. */
	bool is_refused;
};

FIXTURE_VARIANT_ADD(other, unix_stream)
{
	AF_UNIX, SOCK_STREAM, 0, false
};

FIXTURE_VARIANT_ADD(other, unix_datagram)
{
	AF_UNIX, SOCK_DGRAM, 0, false
};

FIXTURE_VARIANT_ADD(other, netlink)
{
	AF_NETLINK, SOCK_RAW, 0, false
};

FIXTURE_VARIANT_ADD(other, packet)
{
	AF_PACKET, SOCK_DGRAM, 0, false
};

FIXTURE_VARIANT_ADD(other, raw)
{
	AF_INET, SOCK_RAW, IPPROTO_ICMP, false
};

FIXTURE_VARIANT_ADD(other, raw_for_tcp)
{
	AF_INET6, SOCK_RAW, IPPROTO_TCP, false
};

FIXTURE_VARIANT_ADD(other, smc)
{
	AF_SMC, SOCK_STREAM, 0, true
};

FIXTURE_VARIANT_ADD(other, smc_by_protocol)
{
	AF_INET, SOCK_STREAM, IPPROTO_SMC, true
};

FIXTURE_SETUP(other)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, own_network());
	self->fd = socket(variant->family, variant->type | SOCK_CLOEXEC,
			  variant->protocol);
	if (self->fd < 0)
		SKIP(return, "no such socket: %s", strerror(errno));
}

FIXTURE_TEARDOWN(other)
{
	EXPECT_EQ(0, close(self->fd));
}

TEST_F(other, are_free_unless_they_become_tcp)
{
	const bool allowed = !variant->is_refused;
	char byte;

	ASSERT_EQ(0, restrict_to(ALL_TCP | ALL_UDP,
				 (ALL_TCP | ALL_UDP) & ~RECEIVE_UDP, 0,
				 UINT16_MAX, ALL_IPV4));
	ASSERT_EQ(0, restrict_to(ALL_TCP, ALL_TCP, 0, UINT16_MAX, NULL));
	EXPECT_EQ(allowed ? 0 : -EACCES, get(self->fd, SOL_SOCKET, SO_TYPE));
	EXPECT_EQ(allowed ? 0 : -EACCES, set(self->fd, SOL_SOCKET,
					     SO_KEEPALIVE));
	EXPECT_ALLOWED(allowed, get(self->fd, SOL_TCP, TCP_ZEROCOPY_RECEIVE));
	EXPECT_ALLOWED(allowed, shut(self->fd, SHUT_RDWR));
	EXPECT_ALLOWED(allowed, send_fd_to(self->fd, 0, 0));
	EXPECT_ALLOWED(allowed, recv(self->fd, &byte, 1, MSG_DONTWAIT) < 0 ?
					-errno : 0);
}

TEST_F(other, are_free_where_only_udp_is_handled)
{
	ASSERT_EQ(0, restrict_extended(ALL_UDP));
	EXPECT_ALLOWED(true, get(self->fd, SOL_SOCKET, SO_KEEPALIVE));
	EXPECT_ALLOWED(true, set(self->fd, SOL_SOCKET, SO_KEEPALIVE));
	EXPECT_ALLOWED(true, shut(self->fd, SHUT_RDWR));
}

TEST(the_peer_of_a_unix_socket_is_known)
{
	struct ucred peer = {};
	socklen_t size = sizeof(peer);
	const int one = 1;
	int fds[2];

	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	ASSERT_EQ(0, restrict_extended(ALL_TCP | ALL_UDP));
	EXPECT_EQ(0, getsockopt(fds[0], SOL_SOCKET, SO_PEERCRED, &peer, &size));
	EXPECT_EQ(getpid(), peer.pid);
	EXPECT_EQ(0, set_option(fds[0], SOL_SOCKET, SO_PASSCRED, &one,
				sizeof(one)));
	EXPECT_EQ(0, shut(fds[0], SHUT_RDWR));
	EXPECT_EQ(0, close(fds[0]));
	EXPECT_EQ(0, close(fds[1]));
}

TEST_HARNESS_MAIN
