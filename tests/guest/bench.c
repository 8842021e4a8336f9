// SPDX-License-Identifier: GPL-2.0
/*
 * Counts what system calls cost, in instructions, and what domains cost, in
 * bytes.
 *
 * The clock counts the instructions, see clock.h.  A result is a line: what was
 * done, the pattern of the rules, their number, the layers, and the cost of one.
 *
 * The calls that are measured fail right after the hook, so that little more than
 * the hook is in the figure: a bound socket is bound again, a listening one is
 * connected, a datagram is too long, no route leads to an address, an IPv6
 * socket that serves only IPv6 is given an address of IPv4, another socket listens
 * already, a family has no such type of socket, nothing was sent that could be
 * received, there is no such way to shut a socket down.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/portlock.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "extended.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define CALLS 50
#define MAX_LAYERS 16
/* How often a call that cannot be repeated in place is measured; the least counts. */
#define REPEATS 3
#define SETUPS 8

/* Some ticks. */
#define BUSY_NS 10000000
#define PORTS 65536
#define RIGHTS                             \
	(LANDLOCK_ACCESS_NET_BIND_TCP |    \
	 LANDLOCK_ACCESS_NET_CONNECT_TCP | \
	 LANDLOCK_ACCESS_NET_CONNECT_SEND_UDP)
/* With this one, each call that sends asks whether the socket has a port. */
#define ALL_RIGHTS (RIGHTS | LANDLOCK_ACCESS_NET_BIND_UDP)
#define EXTENDED_RIGHTS (ALL_RIGHTS | PORTLOCK_ACCESS_NET_LISTEN_TCP)
/* What a socket is used for once it has its addresses. */
#define SERVICE_RIGHTS                       \
	(PORTLOCK_ACCESS_NET_ACCEPT_TCP |    \
	 PORTLOCK_ACCESS_NET_SEND_TCP |      \
	 PORTLOCK_ACCESS_NET_RECEIVE_TCP |   \
	 PORTLOCK_ACCESS_NET_SHUTDOWN_TCP |  \
	 PORTLOCK_ACCESS_NET_GETSOCKOPT_TCP | \
	 PORTLOCK_ACCESS_NET_SETSOCKOPT_TCP)
/* What is asked about addresses. */
#define TCP_RIGHTS \
	(LANDLOCK_ACCESS_NET_BIND_TCP | LANDLOCK_ACCESS_NET_CONNECT_TCP)
#define GROUP "/sys/fs/cgroup/bench"

static const int rule_counts[] = { 1, 16, 256, 4096, 65536 };

/* Rules about addresses.  A check costs differently in between, too. */
static const int address_counts[] = { 1, 3, 16, 40, 100, 256, 1000, 4096 };

/* Set-up is measured for more of them, in between only where ports have gaps. */
static const struct {
	int count;
	bool gaps_only;
} setups[] = {
	{ 1, false },	{ 2, false },	{ 3, false },	{ 5, true },
	{ 8, true },	{ 16, false },	{ 24, true },	{ 48, true },
	{ 64, false },	{ 100, true },	{ 129, true },	{ 200, true },
	{ 256, false }, { 512, true },	{ 1024, true }, { 2048, true },
	{ 4096, false }, { 65536, false },
};

enum pattern {
	/* Ports far from each other, all with the same rights. */
	SCATTERED,
	/* Ports far from each other, next ones with other rights. */
	SCATTERED_DIFFERENT,
	/* One port after the other, all with the same rights. */
	NEIGHBOURS,
	/* One port after the other, next ones with other rights. */
	NEIGHBOURS_DIFFERENT,
	/* Ports with gaps between them, small and large, all with the same rights. */
	GAPS,
	LANDLOCK_PATTERNS,
	/* These are rules of an extended ruleset.  Ports far from each other. */
	EXTENDED = LANDLOCK_PATTERNS,
	/* Kinds of sockets. */
	KINDS,
	/* Single sockets. */
	OPENED,
	/* Single addresses, each with its own range of ports, or all with one port. */
	HOSTS,
	HOSTS_ONE_PORT,
	/* Networks apart from each other, likewise. */
	NETWORKS,
	NETWORKS_ONE_PORT,
	/* A tree: a network has sixteen others in it, and each of them sixteen. */
	NESTED,
	NESTED_ONE_PORT,
	PATTERNS,
};

static const char *const pattern_names[] = {
	"scattered",
	"scattered-different",
	"neighbours",
	"neighbours-different",
	"gaps",
	"extended",
	"kinds",
	"opened",
	"hosts",
	"hosts-one-port",
	"networks",
	"networks-one-port",
	"nested",
	"nested-one-port",
};
_Static_assert(ARRAY_SIZE(pattern_names) == PATTERNS, "each has a name");

#define MAX_GAP 650

struct rules {
	enum pattern pattern;
	int count;
	/* What the ruleset handles. */
	uint64_t handled;
	/* Whether the addresses are of IPv6. */
	bool is_ipv6;
};

static _Noreturn void die(const char *const what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static void report(const char *const what, const struct rules *const rules,
		   const int layers, const uint64_t cost)
{
	const char *family = "";

	if (rules && rules->pattern >= HOSTS)
		family = rules->is_ipv6 ? "ipv6-" : "ipv4-";
	printf("%s %s%s %d %d %llu\n", what, family,
	       rules ? pattern_names[rules->pattern] : "none",
	       rules ? rules->count : 0, layers, (unsigned long long)cost);
	fflush(stdout);
}

/* The ports of GAPS, the same in each run. */
static uint16_t gap_ports[PORTS];

static void choose_gaps(const int count)
{
	uint32_t state = 1, port = 1999;
	int most = (PORTS - 1 - port) / count;

	if (most > MAX_GAP)
		most = MAX_GAP;
	for (int i = 0; i < count; i++) {
		state = state * 1103515245 + 12345;
		port += 1 + (state >> 16) % most;
		gap_ports[i] = port;
	}
}

static uint16_t port_of(const struct rules *const rules, const int which)
{
	if (rules->pattern == GAPS)
		return gap_ports[which];
	if (rules->pattern == EXTENDED)
		return 2000 + which * (60000 / rules->count);
	if (rules->pattern == NEIGHBOURS ||
	    rules->pattern == NEIGHBOURS_DIFFERENT)
		return rules->count == PORTS ? which : 2000 + which;
	/*
	 * A multiplier without a pattern puts each port somewhere in its share
	 * of all.  The middle is above the ports that take a privilege.
	 */
	return which * (PORTS / rules->count) +
	       (which * 40503U >> 3) % (PORTS / rules->count);
}

static uint64_t rights_of(const struct rules *const rules, const int which)
{
	if ((rules->pattern == SCATTERED_DIFFERENT ||
	     rules->pattern == NEIGHBOURS_DIFFERENT) &&
	    which % 2)
		return LANDLOCK_ACCESS_NET_BIND_TCP;
	return rules->handled;
}

/* Rules about addresses. */

#define BRANCHES 16
#define ONE_PORT 8443

/* Something between 0 and @range, from all over it, for the @which of @count. */
static uint64_t spread(const int which, const int count, const uint64_t range)
{
	const uint64_t share = range / count;

	return which * share + ((which + 1) * 2654435761ULL >> 4) % share;
}

static void put_bytes(uint8_t *const bytes, const int size, const uint64_t value)
{
	for (int i = 0; i < size; i++)
		bytes[i] = value >> 8 * (size - 1 - i);
}

/*
 * All addresses are in 127.0.0.0/8 or fd00::/16, and all prefixes end with a
 * byte.
 */
static void write_address(const struct rules *const rules, const int which,
			  struct portlock_net_attr *const rule)
{
	const int step = rules->is_ipv6 ? 2 : 1;
	uint8_t *const bytes = rule->address;
	int depth = 0;

	rule->family = rules->is_ipv6 ? AF_INET6 : AF_INET;
	bytes[0] = rules->is_ipv6 ? 0xfd : 127;
	switch (rules->pattern) {
	case HOSTS:
	case HOSTS_ONE_PORT:
		rule->prefix_len = rules->is_ipv6 ? 128 : 32;
		if (rules->is_ipv6)
			put_bytes(bytes + 8, 8, which * 2654435761ULL + 1);
		break;
	case NETWORKS:
	case NETWORKS_ONE_PORT:
		rule->prefix_len = rules->is_ipv6 ? 64 : 24;
		break;
	default:
		for (int at = which; at; at = (at - 1) / BRANCHES)
			depth++;
		rule->prefix_len = 8 * step * (depth + 1);
		for (int at = which; at; at = (at - 1) / BRANCHES)
			bytes[step * (depth--) + step - 1] =
				1 + (at - 1) % BRANCHES * 15;
		return;
	}
	if (rules->is_ipv6)
		put_bytes(bytes + 2, 6, spread(which, rules->count, 1ULL << 48));
	else
		put_bytes(bytes + 1, rule->prefix_len / 8 - 1,
			  spread(which, rules->count,
				 1 << (rule->prefix_len - 8)));
}

static struct portlock_net_attr net_rule(const struct rules *const rules,
					 const int which)
{
	struct portlock_net_attr rule = {
		.allowed_access = rules->handled,
		.port_first = ONE_PORT,
		.port_last = ONE_PORT,
	};

	switch (rules->pattern) {
	case EXTENDED:
		rule.port_first = port_of(rules, which);
		rule.port_last = rule.port_first;
		return rule;
	case HOSTS:
	case NETWORKS:
	case NESTED:
		/* The multiplier has no divisor with the other number. */
		rule.port_first = 2000 + which * 37813U % 60000;
		rule.port_last =
			rule.port_first + (which * 40503U >> 3) % 1000;
		break;
	default:
		break;
	}
	write_address(rules, which, &rule);
	return rule;
}

/* The sockets that rules are about. */
#define MAX_OPENED 256
static int opened[MAX_OPENED];

static bool is_extended(const struct rules *const rules)
{
	return rules->pattern >= LANDLOCK_PATTERNS;
}

static int make_ruleset(const struct rules *const rules)
{
	const struct landlock_ruleset_attr attr = {
		.handled_access_net = rules->handled,
	};
	const int fd = is_extended(rules) ?
			       create_extended(rules->handled, 0) :
			       syscall(__NR_landlock_create_ruleset, &attr,
				       sizeof(attr), 0);

	if (fd < 0)
		die("landlock_create_ruleset");
	return fd;
}

static void add_opened_rule(const int fd, const uint64_t access,
			    const int sock)
{
	const struct portlock_opened_attr attr = {
		.allowed_access = access,
		.fd = sock,
	};

	if (syscall(__NR_landlock_add_rule, fd, PORTLOCK_RULE_OPENED, &attr, 0))
		die("landlock_add_rule");
}

static void add_rule(const int fd, const struct rules *const rules,
		     const int which)
{
	const struct landlock_net_port_attr attr = {
		.allowed_access = rights_of(rules, which),
		.port = port_of(rules, which),
	};
	struct portlock_net_attr net;

	if (rules->pattern == OPENED) {
		add_opened_rule(fd, rules->handled, opened[which]);
		return;
	}
	if (is_extended(rules)) {
		net = net_rule(rules, which);
		if (add_net_rule(fd, &net))
			die("landlock_add_rule");
		return;
	}
	if (syscall(__NR_landlock_add_rule, fd, LANDLOCK_RULE_NET_PORT, &attr,
		    0))
		die("landlock_add_rule");
}

/* Neither the first nor the last, so that no shortcut is measured. */
static int middle(const struct rules *const rules)
{
	return rules->count / 2 & ~1;
}

static int full_ruleset(const struct rules *const rules)
{
	const int fd = make_ruleset(rules);

	for (int i = 0; i < rules->count; i++)
		add_rule(fd, rules, i);
	return fd;
}

static void restrict_self(const int fd)
{
	if (syscall(__NR_landlock_restrict_self, fd, 0))
		die("landlock_restrict_self");
}

/* Sockets that hooks are asked about, made before any layer is there. */

struct sockets {
	int bound;
	int bound6;
	int listening;
	int listening6;
	/* Has the address of the one that listens, so that it cannot. */
	int twin;
	/* Both ends of a connection, which do not wait, and where it was accepted. */
	int stream;
	int passive;
	int server;
	/* All of these have a port.  The first one has the number of @listening's. */
	int datagram;
	int datagram6;
	int connected;
	int connected6;
	/* Both ends. */
	int pipe[2];
};

static struct sockaddr_in loopback(const uint16_t port)
{
	const struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	return address;
}

/* The loopback address of IPv4, as IPv6 writes it. */
static struct sockaddr_in6 mapped(const uint16_t port)
{
	const struct sockaddr_in6 address = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(port),
		.sin6_addr.s6_addr = { [10] = 0xff, 0xff, 127, 0, 0, 1 },
	};

	return address;
}

static int tcp_socket(const uint16_t port)
{
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct sockaddr_in any = loopback(port);
	const int one = 1;

	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, (const struct sockaddr *)&any, sizeof(any)))
		die("socket");
	return fd;
}

static int tcp6_socket(void)
{
	const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct sockaddr_in6 any = {
		.sin6_family = AF_INET6,
	};

	if (fd < 0 || bind(fd, (const struct sockaddr *)&any, sizeof(any)))
		die("socket of IPv6");
	return fd;
}

static int udp_socket(const uint16_t port)
{
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const struct sockaddr_in any = loopback(port);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&any, sizeof(any)))
		die("datagram socket");
	return fd;
}

static int udp6_socket(const int only)
{
	const int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const struct sockaddr_in6 any = {
		.sin6_family = AF_INET6,
	};

	if (fd < 0 ||
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only)) ||
	    bind(fd, (const struct sockaddr *)&any, sizeof(any)))
		die("datagram socket of IPv6");
	return fd;
}

union endpoint {
	struct sockaddr any;
	struct sockaddr_in ipv4;
	struct sockaddr_in6 ipv6;
};

static union endpoint address_of(const int fd)
{
	union endpoint address = {};
	socklen_t len = sizeof(address);

	if (getsockname(fd, &address.any, &len))
		die("getsockname");
	return address;
}

/* No socket waits for its last packet. */
static void close_at_once(const int client, const int accepted)
{
	const struct linger linger = {
		.l_onoff = 1,
	};

	if (setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)))
		die("SO_LINGER");
	close(client);
	close(accepted);
}

/* A connection is made to @sockets->server. */
static void open_connection(struct sockets *const sockets)
{
	const union endpoint server = address_of(sockets->server);

	sockets->stream =
		socket(server.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (sockets->stream < 0 ||
	    connect(sockets->stream, &server.any, sizeof(server)))
		die("connect");
	sockets->passive = accept4(sockets->server, NULL, NULL,
				   SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (sockets->passive < 0 ||
	    fcntl(sockets->stream, F_SETFL, O_NONBLOCK))
		die("accept");
}

static void reconnect(struct sockets *const sockets)
{
	close_at_once(sockets->stream, sockets->passive);
	open_connection(sockets);
}

/* @port is where one listens, or 0 if it may be any. */
static void open_sockets(struct sockets *const sockets, const uint16_t port)
{
	/* Nobody listens there. */
	const struct sockaddr_in peer = loopback(8080);
	const struct sockaddr_in6 peer6 = mapped(8080);
	uint16_t server;

	sockets->bound = tcp_socket(0);
	sockets->bound6 = tcp6_socket();
	sockets->listening = tcp_socket(port);
	sockets->listening6 = tcp6_socket();
	server = ntohs(address_of(sockets->listening).ipv4.sin_port);
	sockets->twin = tcp_socket(server);
	if (listen(sockets->listening, 8) || listen(sockets->listening6, 8))
		die("listen");
	sockets->server = sockets->listening;
	open_connection(sockets);
	sockets->datagram = udp_socket(server);
	sockets->datagram6 = udp6_socket(1);
	sockets->connected = udp_socket(0);
	sockets->connected6 = udp6_socket(0);
	if (connect(sockets->connected, (const struct sockaddr *)&peer,
		    sizeof(peer)) ||
	    connect(sockets->connected6, (const struct sockaddr *)&peer6,
		    sizeof(peer6)))
		die("connected datagram socket");
	if (pipe2(sockets->pipe, O_CLOEXEC))
		die("pipe");
}

static void close_sockets(const struct sockets *const sockets)
{
	close(sockets->bound);
	close(sockets->bound6);
	close(sockets->listening);
	close(sockets->listening6);
	close(sockets->twin);
	close(sockets->stream);
	close(sockets->passive);
	close(sockets->datagram);
	close(sockets->datagram6);
	close(sockets->connected);
	close(sockets->connected6);
	close(sockets->pipe[0]);
	close(sockets->pipe[1]);
}

enum call {
	BIND,
	CONNECT,
	SENDTO,
	SEND,
	UDP_CONNECT,
	UDP_SEND,
	UDP6_CONNECT,
	UDP6_SENDTO,
	UDP6_SEND,
	SETUID,
	LISTEN,
	SEND_PASSIVE,
	RECEIVE,
	RECEIVE_PASSIVE,
	SPLICE,
	SHUTDOWN,
	GETSOCKOPT,
	SETSOCKOPT,
	UDP_RECEIVE,
	TRANSFER,
	/* These make sockets. */
	CREATE,
	SOCKET,
	SOCKETPAIR,
};

/* Where calls go: one port, written in each way that they need. */
struct target {
	struct sockaddr_in loopback;
	struct sockaddr_in unroutable;
	struct sockaddr_in6 mapped;
};

/* So many bytes, as programs do that copy much. */
#define TRANSFERRED 16384

static int do_call(const enum call call, const struct sockets *const sockets,
		   const struct target *const target)
{
	/* Longer than any may be. */
	static char datagram[1 << 17];
	const struct sockaddr *const sa =
		(const struct sockaddr *)&target->loopback;
	const struct sockaddr *const unroutable =
		(const struct sockaddr *)&target->unroutable;
	const struct sockaddr *const sa6 =
		(const struct sockaddr *)&target->mapped;
	socklen_t len = sizeof(int);
	const int one = 1;
	int fds[2];

	switch (call) {
	case BIND:
		return bind(sockets->bound, sa, sizeof(target->loopback));
	case CONNECT:
		return connect(sockets->listening, sa,
			       sizeof(target->loopback));
	case SENDTO:
		return sendto(sockets->datagram, datagram, sizeof(datagram), 0,
			      sa, sizeof(target->loopback));
	case SEND:
		return send(sockets->stream, datagram, 0, 0);
	case UDP_CONNECT:
		return connect(sockets->datagram, unroutable,
			       sizeof(target->unroutable));
	case UDP_SEND:
		return send(sockets->connected, datagram, sizeof(datagram), 0);
	case UDP6_CONNECT:
		return connect(sockets->datagram6, sa6,
			       sizeof(target->mapped));
	case UDP6_SENDTO:
		return sendto(sockets->datagram6, datagram, 1, 0, sa6,
			      sizeof(target->mapped));
	case UDP6_SEND:
		return send(sockets->connected6, datagram, sizeof(datagram),
			    0);
	case SETUID:
		/* Prepares credentials, and aborts them. */
		return syscall(__NR_setuid, 1);
	case LISTEN:
		return listen(sockets->twin, 8);
	case SEND_PASSIVE:
		return send(sockets->passive, datagram, 0, 0);
	case RECEIVE:
		return recv(sockets->stream, datagram, 1, 0);
	case RECEIVE_PASSIVE:
		return recv(sockets->passive, datagram, 1, 0);
	case SPLICE:
		return splice(sockets->stream, NULL, sockets->pipe[1], NULL, 1,
			      0);
	case SHUTDOWN:
		return shutdown(sockets->stream, 7);
	case GETSOCKOPT:
		return getsockopt(sockets->stream, SOL_SOCKET, SO_TYPE, fds,
				  &len);
	case SETSOCKOPT:
		return setsockopt(sockets->stream, SOL_SOCKET, SO_REUSEADDR,
				  &one, sizeof(one));
	case UDP_RECEIVE:
		return recv(sockets->datagram, datagram, 1, MSG_DONTWAIT);
	case TRANSFER:
		if (send(sockets->stream, datagram, TRANSFERRED, 0) !=
			    TRANSFERRED ||
		    recv(sockets->passive, datagram, TRANSFERRED, 0) !=
			    TRANSFERRED)
			die("transfer");
		return 0;
	case CREATE:
		/* A type that the family does not have: no socket is made. */
		return socket(AF_UNIX, SOCK_RDM, 0);
	case SOCKET:
		fds[0] = socket(AF_INET, SOCK_STREAM, 0);
		return fds[0] < 0 ? fds[0] : close(fds[0]);
	case SOCKETPAIR:
		if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds))
			return -1;
		close(fds[0]);
		return close(fds[1]);
	}
	return 0;
}

/* Whose records are read in between, so that there is room for the next. */
static int observer = -1;

static void drain(void)
{
	static struct portlock_event events[2 * CALLS];

	while (observer >= 0 && read(observer, events, sizeof(events)) > 0)
		;
}

/*
 * The least cost of a call, which must fail with @expected, or not if that is 0.
 * Calls that make sockets are measured one by one: among fifty, some find no memory
 * ready, and how many differs.
 */
static uint64_t cost_of(const enum call call,
			const struct sockets *const sockets,
			const uint16_t port, const int expected)
{
	struct target target = {
		.loopback = loopback(port),
		.unroutable = loopback(port),
		.mapped = mapped(port),
	};
	const int calls = call >= CREATE ? 1 : CALLS;
	uint64_t least = UINT64_MAX;
	int ret;

	/* TEST-NET-1 of RFC 5737. */
	target.unroutable.sin_addr.s_addr = htonl(0xc0000201);
	ret = do_call(call, sockets, &target);

	if (expected ? !(ret < 0 && errno == expected) : ret < 0) {
		fprintf(stderr, "bench: call %d to port %d: %s\n", call, port,
			ret < 0 ? strerror(errno) : "allowed");
		exit(EXIT_FAILURE);
	}
	for (int batch = 0; batch < BATCHES * CALLS / calls; batch++) {
		uint64_t begin;

		drain();
		begin = now();
		for (int i = 0; i < calls; i++)
			do_call(call, sockets, &target);
		begin = now() - begin;
		if (begin < least)
			least = begin;
	}
	return (least - clock_cost() + calls / 2) / calls;
}

/* Beside the port in the middle, so that the index has a leaf for it. */
static bool has_port_without_rule(const struct rules *const rules,
				  uint16_t *const port)
{
	if (rules->count == PORTS)
		return false;
	if (rules->pattern == NEIGHBOURS ||
	    rules->pattern == NEIGHBOURS_DIFFERENT)
		*port = port_of(rules, 0) - 1;
	else
		*port = port_of(rules, middle(rules)) + 1;
	return true;
}

/*
 * What a socket is used for once it has its addresses.  @how is behind the names of
 * the calls.
 */
static void report_services(const struct sockets *const sockets,
			    const struct rules *const rules, const int layers,
			    const char *const how)
{
	static const struct {
		enum call call;
		int expected;
		const char *name;
	} calls[] = {
		{ SEND, 0, "send" },
		{ SEND_PASSIVE, 0, "send-passive" },
		{ RECEIVE, EAGAIN, "recv" },
		{ RECEIVE_PASSIVE, EAGAIN, "recv-passive" },
		{ SPLICE, EAGAIN, "splice" },
		{ SHUTDOWN, EINVAL, "shutdown" },
		{ GETSOCKOPT, 0, "getsockopt" },
		{ SETSOCKOPT, 0, "setsockopt" },
		{ UDP_RECEIVE, EAGAIN, "udp-recv" },
	};
	char what[64];

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		snprintf(what, sizeof(what), "%s%s", calls[i].name, how);
		report(what, rules, layers,
		       cost_of(calls[i].call, sockets, 0, calls[i].expected));
	}
}

static void report_calls(const struct sockets *const sockets,
			 const struct rules *const rules, const int layers)
{
	const uint16_t allowed = rules ? port_of(rules, middle(rules)) : 8080;
	uint16_t denied;

	report("bind", rules, layers, cost_of(BIND, sockets, allowed, EINVAL));
	report("connect", rules, layers,
	       cost_of(CONNECT, sockets, allowed, EISCONN));
	report("sendto", rules, layers,
	       cost_of(SENDTO, sockets, allowed, EMSGSIZE));
	report("setuid", rules, layers,
	       cost_of(SETUID, sockets, allowed, EPERM));
	if (!rules || is_extended(rules)) {
		report("listen", rules, layers,
		       cost_of(LISTEN, sockets, 0, EADDRINUSE));
		report_services(sockets, rules, layers, "");
	} else {
		report("send", rules, layers, cost_of(SEND, sockets, 0, 0));
	}
	if (!rules || !has_port_without_rule(rules, &denied))
		return;
	report("bind-denied", rules, layers,
	       cost_of(BIND, sockets, denied, EACCES));
	report("connect-denied", rules, layers,
	       cost_of(CONNECT, sockets, denied, EACCES));
	report("sendto-denied", rules, layers,
	       cost_of(SENDTO, sockets, denied, EACCES));
}

/* @free is whether the domain leaves it free who binds a datagram socket. */
static void report_udp_calls(const struct sockets *const sockets,
			     const struct rules *const rules, const int layers,
			     const bool free)
{
	static const struct {
		enum call call;
		int expected;
		const char *name;
		const char *free;
	} calls[] = {
		{ UDP_CONNECT, ENETUNREACH, "udp-connect", "udp-connect-free" },
		{ SENDTO, EMSGSIZE, "udp-sendto", "udp-sendto-free" },
		{ UDP_SEND, EMSGSIZE, "udp-send", "udp-send-free" },
		{ UDP6_CONNECT, ENETUNREACH, "udp6-connect",
		  "udp6-connect-free" },
		{ UDP6_SENDTO, ENETUNREACH, "udp6-sendto", "udp6-sendto-free" },
		{ UDP6_SEND, EMSGSIZE, "udp6-send", "udp6-send-free" },
	};
	const uint16_t port = rules && rules->pattern <= EXTENDED ?
				      port_of(rules, middle(rules)) :
				      8080;

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		report(free ? calls[i].free : calls[i].name, rules, layers,
		       cost_of(calls[i].call, sockets, port,
			       calls[i].expected));
}

static void wait_for(const pid_t child)
{
	int status;

	if (child < 0 || waitpid(child, &status, 0) != child)
		die("fork");
	if (status)
		exit(EXIT_FAILURE);
}

static uint64_t cost_of_fork(void)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < BATCHES; i++) {
		const uint64_t begin = now();
		const pid_t child = fork();
		uint64_t took;

		if (!child)
			_exit(0);
		wait_for(child);
		took = now() - begin;
		if (took < least)
			least = took;
	}
	return least;
}

/* Becomes somebody who may not do everything. */
static void become_nobody(void)
{
	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		die("setresuid");
}

static void keep_least(uint64_t *const least, const uint64_t value)
{
	if (!*least || value < *least)
		*least = value;
}

static bool is_measured(const int layers)
{
	return layers == 1 || layers == 2 || layers == 4 || layers == 8 ||
	       layers == MAX_LAYERS;
}

/* All ports at once take long, and are worth fewer looks. */
static int repeats_of(const struct rules *const rules, const int many,
		      const int few)
{
	return rules->count > 4096 ? few : many;
}

/* What a process pays for its first domain, with all that it makes for it. */
static void measure_setup(const struct rules *const rules)
{
	const struct rules one = {
		.pattern = rules->pattern,
		.count = 1,
		.handled = rules->handled,
		.is_ipv6 = rules->is_ipv6,
	};
	const int repeats = repeats_of(rules, SETUPS, 2);
	uint64_t least = 0;

	for (int repeat = 0; repeat < repeats; repeat++) {
		int fds[2];
		uint64_t took;
		pid_t child;

		if (pipe(fds))
			die("pipe");
		child = fork();
		if (!child) {
			int fd;

			/* Gets the pages that it is going to write to. */
			close(full_ruleset(&one));
			took = now();
			fd = full_ruleset(rules);
			restrict_self(fd);
			took = now() - took;
			if (write(fds[1], &took, sizeof(took)) != sizeof(took))
				die("write");
			_exit(0);
		}
		close(fds[1]);
		if (read(fds[0], &took, sizeof(took)) != sizeof(took))
			die("read");
		keep_least(&least, took);
		close(fds[0]);
		wait_for(child);
		/* What it leaves is freed by now, and not while the next runs. */
		usleep(50000);
	}
	report("setup", rules, 1, least - clock_cost());
}

/*
 * What layers cost who adds them: a fresh ruleset a layer, or one ruleset that
 * is enforced again and again.
 */
static void measure_layers(const struct rules *const rules, const bool again,
			   const int most)
{
	const int repeats = repeats_of(rules, REPEATS, 1);
	uint64_t restrict_cost[MAX_LAYERS + 1] = {};

	for (int repeat = 0; repeat < repeats; repeat++) {
		int fds[2];
		pid_t child;

		if (pipe(fds))
			die("pipe");
		child = fork();
		if (!child) {
			uint64_t cost[MAX_LAYERS + 1] = {};
			int fd = full_ruleset(rules);

			for (int layer = 1; layer <= most; layer++) {
				cost[layer] = now();
				restrict_self(fd);
				cost[layer] = now() - cost[layer];
				if (!again && layer < most) {
					close(fd);
					fd = full_ruleset(rules);
				}
			}
			if (write(fds[1], cost, sizeof(cost)) != sizeof(cost))
				die("write");
			_exit(0);
		}
		close(fds[1]);
		for (int layer = 0; layer <= most; layer++) {
			uint64_t cost;

			if (read(fds[0], &cost, sizeof(cost)) != sizeof(cost))
				die("read");
			keep_least(&restrict_cost[layer], cost);
		}
		close(fds[0]);
		wait_for(child);
	}
	for (int layer = 1; layer <= most; layer++)
		if (is_measured(layer))
			report(again ? "restrict_self-again" : "restrict_self",
			       rules, layer, restrict_cost[layer]);
}

/* What a domain costs who is in it. */
static void measure_being(const struct rules *const rules)
{
	const pid_t child = fork();

	if (!child) {
		struct sockets sockets;

		open_sockets(&sockets,
			     is_extended(rules) ?
				     port_of(rules, middle(rules)) :
				     0);
		for (int layer = 1; layer <= MAX_LAYERS; layer++) {
			const int fd = full_ruleset(rules);

			restrict_self(fd);
			close(fd);
			if (!is_measured(layer))
				continue;
			report_calls(&sockets, rules, layer);
			report("fork", rules, layer, cost_of_fork());
		}
		close_sockets(&sockets);
		fflush(stdout);
		_exit(0);
	}
	wait_for(child);
}

/* What a domain costs who sends datagrams in it, by what it handles. */
static void measure_datagrams(const struct rules *const rules,
			      const uint64_t handled)
{
	const struct rules own = {
		.pattern = rules->pattern,
		.count = rules->count,
		.handled = handled,
	};
	const int layers = repeats_of(rules, MAX_LAYERS, 1);
	const pid_t child = fork();

	if (!child) {
		struct sockets sockets;

		open_sockets(&sockets, 0);
		for (int layer = 1; layer <= layers; layer++) {
			const int fd = full_ruleset(&own);

			restrict_self(fd);
			close(fd);
			if (layer == 1 || layer == MAX_LAYERS)
				report_udp_calls(&sockets, &own, layer,
						 handled == RIGHTS);
		}
		close_sockets(&sockets);
		fflush(stdout);
		_exit(0);
	}
	wait_for(child);
}

/* From the order to exit until it is seen that the last task of a domain did. */
static void measure_leaving(const struct rules *const rules, const int layers)
{
	const int repeats = repeats_of(rules, REPEATS, 1);
	uint64_t least = 0;

	for (int repeat = 0; repeat < repeats; repeat++) {
		int ready[2], go[2];
		uint64_t begin;
		pid_t child;
		char byte;

		if (pipe(ready) || pipe(go))
			die("pipe");
		child = fork();
		if (!child) {
			for (int layer = 0; layer < layers; layer++) {
				const int fd = full_ruleset(rules);

				restrict_self(fd);
				close(fd);
			}
			if (write(ready[1], "", 1) != 1 ||
			    read(go[0], &byte, 1) != 1)
				_exit(1);
			_exit(0);
		}
		if (read(ready[0], &byte, 1) != 1)
			die("read");
		usleep(200000);
		begin = now();
		if (write(go[1], "", 1) != 1)
			die("write");
		wait_for(child);
		keep_least(&least, now() - begin);
		close(ready[0]);
		close(ready[1]);
		close(go[0]);
		close(go[1]);
	}
	report("last-exit", layers ? rules : NULL, layers, least);
}

/* Memory */

/*
 * Small changes show once the work that brings the statistics up to date has
 * run, every two seconds, by a timer that an idle processor puts off.  By then,
 * what was let go of is freed, too.
 */
static uint64_t kernel_bytes(void)
{
	unsigned long long value, found = 0;
	char name[64];
	uint64_t begin;
	FILE *file;

	sleep(3);
	for (begin = now(); now() - begin < BUSY_NS;)
		sched_yield();

	file = fopen(GROUP "/memory.stat", "re");

	if (!file)
		die(GROUP);
	while (fscanf(file, "%63s %llu", name, &value) == 2)
		if (!strcmp(name, "slab") || !strcmp(name, "vmalloc"))
			found += value;
	fclose(file);
	return found;
}

static void write_file(const char *const path, const char *const text)
{
	const int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
	close(fd);
}

/*
 * Processes of a memory cgroup enforce a layer in turns with being counted.  They
 * are several, because a processor may keep a page's worth of charges to itself.
 */
static void measure_memory(const struct rules *const rules, const int most)
{
	const int processes = rules->count > 4096 ? 8 : 16;
	int go[2], ready[2];
	pid_t children[16];
	uint64_t before;
	char byte;

	if (pipe(go) || pipe(ready))
		die("pipe");
	for (int i = 0; i < processes; i++) {
		children[i] = fork();
		if (!children[i]) {
			write_file(GROUP "/cgroup.procs", "0");
			if (write(ready[1], "", 1) != 1)
				_exit(1);
			for (int layer = 0; layer <= most; layer++) {
				int fd;

				if (read(go[0], &byte, 1) != 1)
					_exit(1);
				if (layer == most)
					_exit(0);
				fd = full_ruleset(rules);
				restrict_self(fd);
				close(fd);
				if (write(ready[1], "", 1) != 1)
					_exit(1);
				/* Gives the others their turn. */
				usleep(100000);
			}
		}
	}
	for (int i = 0; i < processes; i++)
		if (read(ready[0], &byte, 1) != 1)
			die("read");
	before = kernel_bytes();
	for (int layer = 1; layer <= most; layer++) {
		/* One at a time: two turns must not go to one process. */
		for (int i = 0; i < processes; i++) {
			if (write(go[1], "", 1) != 1 ||
			    read(ready[0], &byte, 1) != 1)
				die("pipe");
		}
		if (is_measured(layer)) {
			const uint64_t after = kernel_bytes();

			if (after <= before) {
				fputs("bench: A domain takes no memory.\n",
				      stderr);
				exit(EXIT_FAILURE);
			}
			report("memory", rules, layer,
			       (after - before) / processes);
		}
	}
	for (int i = 0; i < processes; i++)
		if (write(go[1], "", 1) != 1)
			die("pipe");
	for (int i = 0; i < processes; i++)
		wait_for(children[i]);
	/* Their domains are freed a little later, and not beside what is next. */
	sleep(1);
	close(go[0]);
	close(go[1]);
	close(ready[0]);
	close(ready[1]);
}

static bool is_chosen(const int count, char *const counts[])
{
	if (!*counts)
		return true;
	for (; *counts; counts++)
		if (atoi(*counts) == count)
			return true;
	return false;
}

/* Making sockets. */

static void report_creation(const struct sockets *const sockets)
{
	report("socket-create", NULL, 0,
	       cost_of(CREATE, sockets, 0, ESOCKTNOSUPPORT));
	report("socket", NULL, 0, cost_of(SOCKET, sockets, 0, 0));
	report("socketpair", NULL, 0, cost_of(SOCKETPAIR, sockets, 0, 0));
}

struct connecting {
	uint64_t handshake;
	uint64_t accept;
	uint64_t close;
};

/*
 * What it takes to connect a socket to a listener on @port and to accept it there, to
 * accept it alone, and to close both ends.  It is not accepted if @expected is not 0.
 */
static struct connecting cost_of_connecting(const uint16_t port,
					    const int expected)
{
	const int listener = tcp_socket(port);
	const union endpoint server = address_of(listener);
	struct connecting least = {};

	if (fcntl(listener, F_SETFL, O_NONBLOCK) || listen(listener, 8))
		die("listen");
	for (int i = 0; i < BATCHES; i++) {
		const int client = tcp_socket(0);
		uint64_t begin, connected, ended, closing;
		int accepted;

		begin = now();
		/* Where a refusal leaves it in the queue, that would be full soon. */
		if (expected != EACCES &&
		    connect(client, &server.any, sizeof(server.ipv4)))
			die("connect");
		connected = now();
		accepted = accept(listener, NULL, NULL);
		ended = now();
		if (expected ? accepted >= 0 || errno != expected :
			       accepted < 0)
			die("accept");
		keep_least(&least.handshake,
			   ended - begin - 2 * clock_cost());
		keep_least(&least.accept, ended - connected - clock_cost());
		closing = now();
		close_at_once(client, accepted);
		keep_least(&least.close, now() - closing - clock_cost());
	}
	close(listener);
	return least;
}

/* What it takes to decide by rules about kinds of sockets. */
static void measure_kinds(const int count)
{
	const struct rules rules = {
		.pattern = KINDS,
		.count = count,
	};
	const pid_t child = fork();

	if (!child) {
		const int fd = create_extended(
			0, PORTLOCK_PERMISSION_SOCKET_CREATE);
		struct sockets sockets;

		become_nobody();
		open_sockets(&sockets, 0);
		for (int i = 0; i < count; i++) {
			/* Two for each family.  The first one is asked for. */
			const struct portlock_socket_attr attr = {
				.permissions =
					PORTLOCK_PERMISSION_SOCKET_CREATE,
				.family = i < 2 ? AF_UNIX : AF_INET + i / 2,
				.type = i % 2 ? SOCK_STREAM : SOCK_RDM,
			};

			if (syscall(__NR_landlock_add_rule, fd,
				    PORTLOCK_RULE_SOCKET, &attr, 0))
				die("landlock_add_rule");
		}
		restrict_self(fd);
		close(fd);
		report("socket-create", &rules, 1,
		       cost_of(CREATE, &sockets, 0, ESOCKTNOSUPPORT));
		fflush(stdout);
		_exit(0);
	}
	wait_for(child);
}

/* Calls decided by address. */

/* How many endpoints are asked for: the mean of them is the figure. */
#define MAX_ASKED 64
#define ADDRESS_BATCHES 10

struct asked {
	int count;
	union endpoint endpoints[MAX_ASKED];
};

/* The rules, to see what they grant. */
static struct portlock_net_attr known_rules[4096];

static bool is_granted(const int count, const uint8_t *const address,
		       const uint16_t port)
{
	for (int i = 0; i < count; i++) {
		const struct portlock_net_attr *const rule = &known_rules[i];

		if (port >= rule->port_first && port <= rule->port_last &&
		    !memcmp(address, rule->address, rule->prefix_len / 8))
			return true;
	}
	return false;
}

/* The rule that a call finds: with a tree, also one some levels up from @which. */
static int up_from(const struct rules *const rules, int which, int levels)
{
	if (rules->pattern == NESTED)
		for (; which && levels; levels--)
			which = (which - 1) / BRANCHES;
	return which;
}

/* Writes to @address one of the rule's that is in no smaller prefix of others. */
static void address_in(const struct portlock_net_attr *const rule,
		       uint8_t *const address)
{
	const int len = rule->prefix_len / 8;

	memcpy(address, rule->address, len);
	/* No branch of a tree has this number. */
	memset(address + len, 0xfb, 16 - len);
}

static void add_asked(struct asked *const asked, const bool is_ipv6,
		      const uint8_t *const address, const uint16_t port)
{
	union endpoint *const endpoint = &asked->endpoints[asked->count++];

	if (is_ipv6) {
		endpoint->ipv6 = (struct sockaddr_in6){
			.sin6_family = AF_INET6,
			.sin6_port = htons(port),
		};
		memcpy(&endpoint->ipv6.sin6_addr, address, 16);
	} else {
		endpoint->ipv4 = loopback(port);
		memcpy(&endpoint->ipv4.sin_addr, address, 4);
	}
}

/* Repeats endpoints, so that the loops over them cost the same however many there are. */
static void fill_up(struct asked *const asked)
{
	for (int i = 0; asked->count < MAX_ASKED; i++)
		asked->endpoints[asked->count++] = asked->endpoints[i];
}

/*
 * Chooses endpoints from all over the rules.  Those that are refused have the
 * address of a rule and the port of another, or, if all rules have one port, an
 * address beside that of a rule.
 */
static void choose_asked(const struct rules *const rules,
			 struct asked *const allowed,
			 struct asked *const refused)
{
	const int count = rules->count;
	const int most = count < MAX_ASKED ? count : MAX_ASKED;
	const bool one_port = rules->pattern == HOSTS_ONE_PORT ||
			      rules->pattern == NETWORKS_ONE_PORT ||
			      rules->pattern == NESTED_ONE_PORT;

	for (int i = 0; i < count; i++)
		known_rules[i] = net_rule(rules, i);
	allowed->count = 0;
	refused->count = 0;
	for (int i = 0; i < most; i++) {
		const int which = (uint64_t)i * count / most;
		const struct portlock_net_attr *const rule = &known_rules[which];
		const struct portlock_net_attr *const found =
			&known_rules[up_from(rules, which, i % 4)];
		uint8_t address[16];
		uint16_t port = (found->port_first + found->port_last) / 2;

		address_in(rule, address);
		add_asked(allowed, rules->is_ipv6, address, port);
		if (one_port) {
			address[rules->pattern == NESTED_ONE_PORT ?
					0 :
					rule->prefix_len / 8 - 1] ^= 1;
		} else if (count == 1) {
			port = rule->port_last + 1;
		} else {
			port = known_rules[(which + count / 2) % count]
				       .port_first;
		}
		if (!is_granted(count, address, port))
			add_asked(refused, rules->is_ipv6, address, port);
	}
	if (!refused->count) {
		fputs("bench: All is allowed.\n", stderr);
		exit(EXIT_FAILURE);
	}
	fill_up(allowed);
	fill_up(refused);
}

static int ask(const bool is_bind, const struct sockets *const sockets,
	       const union endpoint *const endpoint)
{
	if (endpoint->any.sa_family == AF_INET6)
		return is_bind ? bind(sockets->bound6, &endpoint->any,
				      sizeof(endpoint->ipv6)) :
				 connect(sockets->listening6, &endpoint->any,
					 sizeof(endpoint->ipv6));
	return is_bind ? bind(sockets->bound, &endpoint->any,
			      sizeof(endpoint->ipv4)) :
			 connect(sockets->listening, &endpoint->any,
				 sizeof(endpoint->ipv4));
}

/* The mean cost of a call, which fails for each endpoint with @expected. */
static uint64_t mean_cost(const bool is_bind,
			  const struct sockets *const sockets,
			  const struct asked *const asked, const int expected)
{
	const int calls = asked->count;
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < asked->count; i++) {
		errno = 0;
		if (ask(is_bind, sockets, &asked->endpoints[i]) >= 0 ||
		    errno != expected) {
			fprintf(stderr, "bench: %s to endpoint %d: %s\n",
				is_bind ? "bind" : "connect", i,
				strerror(errno));
			exit(EXIT_FAILURE);
		}
	}
	for (int batch = 0; batch < ADDRESS_BATCHES; batch++) {
		uint64_t begin = now();

		for (int i = 0; i < calls; i++)
			ask(is_bind, sockets, &asked->endpoints[i]);
		begin = now() - begin;
		if (begin < least)
			least = begin;
	}
	return (least - clock_cost() + calls / 2) / calls;
}

static void report_asked(const struct sockets *const sockets,
			 const struct rules *const rules, const int layers,
			 const bool is_ipv6, const struct asked *const asked,
			 const char *const how, const bool is_refused)
{
	for (int is_bind = 1; is_bind >= 0; is_bind--) {
		const int expected = is_refused ? EACCES :
				     is_bind	? EINVAL :
						  EISCONN;
		char what[64];

		snprintf(what, sizeof(what), "%s-ipv%d%s",
			 is_bind ? "bind" : "connect", is_ipv6 ? 6 : 4, how);
		report(what, rules, layers,
		       mean_cost(is_bind, sockets, asked, expected));
	}
}

/* Without a domain, all addresses cost the same. */
static void report_base_of_addresses(const struct sockets *const sockets,
				     const bool is_ipv6)
{
	const struct rules rules = {
		.pattern = HOSTS,
		.count = MAX_ASKED,
		.is_ipv6 = is_ipv6,
	};
	struct asked allowed, refused;

	choose_asked(&rules, &allowed, &refused);
	report_asked(sockets, NULL, 0, is_ipv6, &allowed, "", false);
}

/*
 * What a call costs in a domain of up to @most layers, which have one ruleset, or
 * with @anew a ruleset each.
 */
static void measure_asking(const struct rules *const rules, const int most,
			   const bool anew)
{
	const pid_t child = fork();

	if (!child) {
		struct asked allowed, refused;
		struct sockets sockets;
		int fd;

		become_nobody();
		choose_asked(rules, &allowed, &refused);
		open_sockets(&sockets, 0);
		fd = full_ruleset(rules);
		if (!anew)
			report_asked(&sockets, rules, 0, rules->is_ipv6,
				     &allowed, "", false);
		for (int layer = 1; layer <= most; layer++) {
			restrict_self(fd);
			if (layer > 1 && (layer == 2 || layer == most))
				report_asked(&sockets, rules, layer,
					     rules->is_ipv6, &allowed,
					     anew ? "-distinct" : "", false);
			if (layer == 1 && !anew) {
				report_asked(&sockets, rules, layer,
					     rules->is_ipv6, &allowed, "",
					     false);
				report_asked(&sockets, rules, layer,
					     rules->is_ipv6, &refused,
					     "-denied", true);
			}
			if (anew) {
				close(fd);
				fd = full_ruleset(rules);
			}
		}
		fflush(stdout);
		_exit(0);
	}
	wait_for(child);
}

static int bound_to(const union endpoint *const endpoint)
{
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int one = 1;

	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, &endpoint->any, sizeof(endpoint->ipv4)))
		die("socket");
	return fd;
}

/*
 * Other calls of a task with rules about addresses: what some of them decide by
 * address, and what others pay because there are such rules.
 */
static void measure_beside_addresses(const struct rules *const rules)
{
	const pid_t child = fork();

	if (!child) {
		struct portlock_net_attr rule = {
			.allowed_access = rules->handled,
			.port_first = 8080,
			.port_last = 8080,
			.family = AF_INET,
			.prefix_len = 32,
		};
		struct asked ports = {};
		struct asked ports6 = {};
		struct asked allowed, refused;
		struct sockets sockets;
		const int fd = full_ruleset(rules);

		become_nobody();
		choose_asked(rules, &allowed, &refused);
		open_sockets(&sockets, 0);
		/* The one that listens before stays open, too. */
		sockets.twin = bound_to(&allowed.endpoints[allowed.count / 2]);
		if (listen(bound_to(&allowed.endpoints[allowed.count / 2]), 8))
			die("listen");
		/* Where datagrams go. */
		put_bytes(rule.address, 4, INADDR_LOOPBACK);
		if (add_net_rule(fd, &rule))
			die("landlock_add_rule");
		put_bytes(rule.address, 4, 0xc0000201);
		if (add_net_rule(fd, &rule))
			die("landlock_add_rule");
		/* All addresses on one port. */
		rule.family = 0;
		rule.prefix_len = 0;
		rule.port_first = 1999;
		rule.port_last = 1999;
		memset(rule.address, 0, sizeof(rule.address));
		if (add_net_rule(fd, &rule))
			die("landlock_add_rule");
		restrict_self(fd);
		report("listen", rules, 1, cost_of(LISTEN, &sockets, 0, EADDRINUSE));
		report_services(&sockets, rules, 1, "");
		report_udp_calls(&sockets, rules, 1, false);
		for (int i = 0; i < allowed.count; i++) {
			const uint8_t *const address =
				(const uint8_t *)&allowed.endpoints[i]
					.ipv4.sin_addr;
			const uint8_t ipv6[16] = { 0xfd, [15] = i };

			add_asked(&ports, false, address, 1999);
			add_asked(&ports6, true, ipv6, 1999);
		}
		report_asked(&sockets, rules, 1, false, &ports, "-by-port",
			     false);
		report_asked(&sockets, rules, 1, true, &ports6, "-by-port",
			     false);
		fflush(stdout);
		_exit(0);
	}
	wait_for(child);
}

/* Calls decided by the service port and the peer of a connection. */

/* Another task, in a domain of its own, that uses the connection in turns. */
struct other {
	pid_t pid;
	int go[2];
	int done[2];
};

static void start_other(struct other *const other,
			const struct sockets *const sockets, const int fd)
{
	const struct target nowhere = {};
	char byte;

	if (pipe(other->go) || pipe(other->done))
		die("pipe");
	other->pid = fork();
	if (other->pid)
		return;
	close(other->go[1]);
	restrict_self(fd);
	while (read(other->go[0], &byte, 1) == 1) {
		do_call(SEND, sockets, &nowhere);
		do_call(RECEIVE, sockets, &nowhere);
		if (write(other->done[1], "", 1) != 1)
			break;
	}
	_exit(0);
}

static void let_other(const struct other *const other)
{
	char byte;

	if (write(other->go[1], "", 1) != 1 ||
	    read(other->done[0], &byte, 1) != 1)
		die("other task");
}

static void stop_other(const struct other *const other)
{
	close(other->go[0]);
	close(other->go[1]);
	wait_for(other->pid);
	close(other->done[0]);
	close(other->done[1]);
}

/* The cost of a call that is the first one: of the connection, or after that of @other. */
static uint64_t cost_of_first(const enum call call,
			      struct sockets *const sockets,
			      const struct other *const other)
{
	const struct target nowhere = {};
	uint64_t least = 0;

	for (int i = 0; i < BATCHES; i++) {
		uint64_t begin;

		if (other)
			let_other(other);
		else
			reconnect(sockets);
		begin = now();
		do_call(call, sockets, &nowhere);
		keep_least(&least, now() - begin);
	}
	return least - clock_cost();
}

/* A connection to @port gets all that @fd handles by a rule for it. */
static void add_service(const int fd, const struct rules *const rules,
			const uint16_t port)
{
	struct portlock_net_attr rule = {
		.allowed_access = rules->handled,
		.port_first = port,
		.port_last = port,
	};

	if (rules->pattern == HOSTS) {
		rule.family = rules->is_ipv6 ? AF_INET6 : AF_INET;
		rule.prefix_len = rules->is_ipv6 ? 128 : 32;
		put_bytes(rule.address, rules->is_ipv6 ? 16 : 4,
			  rules->is_ipv6 ? 1 : INADDR_LOOPBACK);
	}
	if (add_net_rule(fd, &rule))
		die("landlock_add_rule");
}

/* The other task is in a domain of the ruleset @fd. */
static void report_connection(struct sockets *const sockets,
			      const struct rules *const rules, const int layers,
			      const int fd)
{
	struct other other;

	report_services(sockets, rules, layers, "-granted");
	report("transfer-granted", rules, layers,
	       cost_of(TRANSFER, sockets, 0, 0));
	start_other(&other, sockets, fd);
	report("send-evicted", rules, layers,
	       cost_of_first(SEND, sockets, &other));
	report("recv-evicted", rules, layers,
	       cost_of_first(RECEIVE, sockets, &other));
	stop_other(&other);
	report("send-first", rules, layers, cost_of_first(SEND, sockets, NULL));
	report("recv-first", rules, layers,
	       cost_of_first(RECEIVE, sockets, NULL));
}

static void measure_services(const struct rules *const rules)
{
	const pid_t child = fork();

	if (!child) {
		const int fd = make_ruleset(rules);
		struct sockets sockets;

		become_nobody();
		open_sockets(&sockets, 0);
		if (rules->is_ipv6) {
			sockets.server = sockets.listening6;
			reconnect(&sockets);
		}
		/* This takes the place of the first rule. */
		add_service(fd, rules,
			    ntohs(address_of(sockets.server).ipv4.sin_port));
		for (int i = 1; i < rules->count; i++)
			add_rule(fd, rules, i);
		report_connection(&sockets, rules, 0, fd);
		restrict_self(fd);
		report_connection(&sockets, rules, 1, fd);
		fflush(stdout);
		_exit(0);
	}
	wait_for(child);
}

/* No other rules are about these. */
#define GRANTED_PORT 1981
#define ABORTED_PORT 1982
#define DENIED_PORT 1983

static void measure_accepting(const struct rules *const rules)
{
	const pid_t child = fork();

	if (!child) {
		const int fd = full_ruleset(rules);
		struct portlock_net_attr elsewhere = {
			.allowed_access = rules->handled,
			.port_first = ABORTED_PORT,
			.port_last = ABORTED_PORT,
			.family = AF_INET,
			.prefix_len = 32,
		};

		become_nobody();
		add_service(fd, rules, GRANTED_PORT);
		put_bytes(elsewhere.address, 4, 0xc0000201);
		if (rules->pattern == HOSTS && add_net_rule(fd, &elsewhere))
			die("landlock_add_rule");
		report("accept-granted", rules, 0,
		       cost_of_connecting(GRANTED_PORT, 0).accept);
		restrict_self(fd);
		report("accept-granted", rules, 1,
		       cost_of_connecting(GRANTED_PORT, 0).accept);
		report("accept-denied", rules, 1,
		       cost_of_connecting(DENIED_PORT, EACCES).accept);
		if (rules->pattern == HOSTS)
			report("accept-aborted", rules, 1,
			       cost_of_connecting(ABORTED_PORT, ECONNABORTED)
				       .accept);
		fflush(stdout);
		_exit(0);
	}
	wait_for(child);
}

/* What rules cost who makes them. */
static void measure_making(const struct rules *const rules)
{
	const pid_t child = fork();

	if (!child) {
		become_nobody();
		measure_setup(rules);
		measure_layers(rules, false, 2);
		measure_layers(rules, true, 2);
		_exit(0);
	}
	wait_for(child);
}

/* Observers, permissive layers, and rules about single sockets. */

/* Calls that are granted if @sockets are, or a connection to @port is. */
static void report_uses(const struct sockets *const sockets,
			const struct rules *const rules, const uint16_t port,
			const char *const how, const bool is_refused)
{
	static const struct {
		enum call call;
		int expected;
		const char *name;
	} calls[] = {
		{ BIND, EINVAL, "bind" },
		{ CONNECT, EISCONN, "connect" },
		{ SEND, 0, "send" },
		{ SEND_PASSIVE, 0, "send-passive" },
		{ RECEIVE, EAGAIN, "recv" },
		{ RECEIVE_PASSIVE, EAGAIN, "recv-passive" },
	};
	char what[64];

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		snprintf(what, sizeof(what), "%s%s", calls[i].name, how);
		report(what, rules, 1,
		       cost_of(calls[i].call, sockets, port,
			       is_refused ? EACCES : calls[i].expected));
	}
}

static int create_observer(void)
{
	const struct portlock_observer_attr attr = {};
	const int fd = syscall(__NR_landlock_create_ruleset, &attr,
			       sizeof(attr), PORTLOCK_CREATE_OBSERVER);

	if (fd < 0)
		die("observer");
	return fd;
}

static int observed_ruleset(const uint64_t handled)
{
	const struct portlock_ruleset_attr attr = {
		.handled_access_net = handled,
		.flags = PORTLOCK_RULESET_OBSERVED,
		.observer_fd = observer,
	};
	const int fd = syscall(__NR_landlock_create_ruleset, &attr,
			       sizeof(attr), PORTLOCK_CREATE_RULESET);

	if (fd < 0)
		die("landlock_create_ruleset");
	return fd;
}

static void measure_watching(const struct rules *const rules,
			     const bool is_observed, const bool is_permissive)
{
	const char *const how = is_observed ? "-observed" : "-alone";
	const char *const else_how = is_permissive ? "-let-pass" : "-denied";
	const pid_t child = fork();

	if (!child) {
		struct sockets sockets, others;
		uint16_t port;
		char what[64];
		int fd;

		become_nobody();
		open_sockets(&sockets, 0);
		open_sockets(&others, 0);
		port = ntohs(address_of(sockets.server).ipv4.sin_port);
		if (is_observed) {
			observer = create_observer();
			if (fcntl(observer, F_SETFL, O_NONBLOCK))
				die("observer");
			fd = observed_ruleset(rules->handled);
		} else {
			fd = make_ruleset(rules);
		}
		/* This takes the place of the first rule. */
		add_service(fd, rules, port);
		for (int i = 1; i < rules->count; i++)
			add_rule(fd, rules, i);
		if (syscall(__NR_landlock_restrict_self, fd,
			    is_permissive ? PORTLOCK_RESTRICT_SELF_PERMISSIVE :
					    0))
			die("landlock_restrict_self");
		snprintf(what, sizeof(what), "%s%s",
			 is_permissive ? "-permissive" : "", how);
		report_uses(&sockets, rules, port, what, false);
		snprintf(what, sizeof(what), "%s%s", else_how, how);
		report_uses(&others, rules, DENIED_PORT, what, !is_permissive);
		if (is_observed) {
			/* More than there is room for, by the first call. */
			observer = -1;
			snprintf(what, sizeof(what), "%s-full", else_how);
			report_uses(&others, rules, DENIED_PORT, what,
				    !is_permissive);
		}
		fflush(stdout);
		_exit(0);
	}
	wait_for(child);
}

/* What it takes to make what is there once, and to name it. */
static void measure_making_observers(void)
{
	const uint64_t handled = TCP_RIGHTS;
	uint64_t making = 0, closing = 0, naming = 0, alone = 0;

	for (int i = 0; i < BATCHES; i++) {
		uint64_t begin = now();
		int fd;

		observer = create_observer();
		keep_least(&making, now() - begin);
		begin = now();
		fd = observed_ruleset(handled);
		keep_least(&naming, now() - begin);
		close(fd);
		begin = now();
		close(observer);
		keep_least(&closing, now() - begin);
		observer = -1;
		begin = now();
		fd = create_extended(handled, 0);
		keep_least(&alone, now() - begin);
		close(fd);
	}
	report("create_observer", NULL, 0, making - clock_cost());
	report("close_observer", NULL, 0, closing - clock_cost());
	report("create_ruleset-observed", NULL, 0, naming - clock_cost());
	report("create_ruleset-alone", NULL, 0, alone - clock_cost());
}

static void measure_opened(const struct rules *const rules)
{
	/* Those that are used are the ones in the middle. */
	const int used = rules->count / 2 - 2;
	struct sockets sockets, others, by_port;
	pid_t child;

	open_sockets(&sockets, 0);
	open_sockets(&others, 0);
	open_sockets(&by_port, 0);
	for (int i = 0; i < rules->count; i++)
		opened[i] = tcp_socket(0);
	for (int i = 0; i < 4; i++)
		close(opened[used + i]);
	opened[used] = sockets.listening;
	opened[used + 1] = sockets.bound;
	opened[used + 2] = sockets.stream;
	opened[used + 3] = sockets.datagram;

	child = fork();
	if (!child) {
		const struct rules port = {
			.pattern = EXTENDED,
			.handled = rules->handled,
		};
		const uint16_t server =
			ntohs(address_of(by_port.server).ipv4.sin_port);
		struct other other;
		uint64_t begin;
		int fd;

		become_nobody();
		fd = make_ruleset(rules);
		begin = now();
		for (int i = 0; i < rules->count; i++)
			add_rule(fd, rules, i);
		report("add_rule", rules, 1,
		       (now() - begin - clock_cost()) / rules->count);
		add_service(fd, &port, server);
		restrict_self(fd);
		report_uses(&sockets, rules, DENIED_PORT, "-granted", false);
		start_other(&other, &sockets, fd);
		report("send-evicted", rules, 1,
		       cost_of_first(SEND, &sockets, &other));
		report("recv-evicted", rules, 1,
		       cost_of_first(RECEIVE, &sockets, &other));
		stop_other(&other);
		report("udp-recv-granted", rules, 1,
		       cost_of(UDP_RECEIVE, &sockets, 0, EAGAIN));
		report_uses(&by_port, rules, server, "-by-port", false);
		report_uses(&others, rules, DENIED_PORT, "-denied", true);
		fflush(stdout);
		_exit(0);
	}
	wait_for(child);
	measure_making(rules);
	measure_memory(rules, 2);
	for (int i = 0; i < rules->count; i++)
		if (i < used || i >= used + 4)
			close(opened[i]);
	close_sockets(&sockets);
	close_sockets(&others);
	close_sockets(&by_port);
}

static void measure_addresses(const struct rules *const rules)
{
	const bool has_goal = rules->count == 1 || rules->count == 16 ||
			      rules->count == 256 || rules->count == 4096;
	/* The calls above say what the other patterns do. */
	const bool has_layers = has_goal && (rules->pattern == HOSTS ||
					     rules->pattern == NESTED);

	/* A single rule has no others beside it. */
	if (rules->count == 1 && rules->pattern != HOSTS &&
	    rules->pattern != NETWORKS)
		return;
	measure_asking(rules, has_layers ? MAX_LAYERS : 1, false);
	if (has_layers)
		measure_asking(rules, 4, true);
	if (rules->count > 1 &&
	    (has_layers || (has_goal && rules->pattern == HOSTS_ONE_PORT))) {
		measure_making(rules);
		measure_memory(rules, 2);
	}
}

/* What there is only in extended rulesets. */
static void measure_extended(char *const counts[])
{
	const struct rules beside = {
		.pattern = HOSTS,
		.count = 16,
		.handled = EXTENDED_RIGHTS,
	};
	const struct rules services[] = {
		{ EXTENDED, 16,
		  SERVICE_RIGHTS | PORTLOCK_ACCESS_NET_RECEIVE_UDP },
		{ HOSTS, 1, SERVICE_RIGHTS },
		{ HOSTS, 256, SERVICE_RIGHTS },
		{ HOSTS, 1, SERVICE_RIGHTS, true },
		{ HOSTS, 256, SERVICE_RIGHTS, true },
	};
	const struct rules accepting[] = {
		{ EXTENDED, 16, PORTLOCK_ACCESS_NET_ACCEPT_TCP },
		{ HOSTS, 1, PORTLOCK_ACCESS_NET_ACCEPT_TCP },
		{ HOSTS, 256, PORTLOCK_ACCESS_NET_ACCEPT_TCP },
	};
	const struct rules watched[] = {
		{ EXTENDED, 16, TCP_RIGHTS | SERVICE_RIGHTS },
		{ HOSTS, 16, TCP_RIGHTS | SERVICE_RIGHTS },
	};
	const struct rules sockets[] = {
		{ OPENED, 4, TCP_RIGHTS | SERVICE_RIGHTS |
				     PORTLOCK_ACCESS_NET_RECEIVE_UDP },
		{ OPENED, 256, TCP_RIGHTS | SERVICE_RIGHTS |
				       PORTLOCK_ACCESS_NET_RECEIVE_UDP },
	};
	struct rules rules = {
		.handled = TCP_RIGHTS,
	};

	for (size_t i = 0; i < ARRAY_SIZE(watched); i++)
		for (int how = 0; how < 4; how++)
			if (is_chosen(watched[i].count, counts))
				measure_watching(&watched[i], how & 1, how & 2);
	measure_making_observers();
	for (size_t i = 0; i < ARRAY_SIZE(sockets); i++)
		if (is_chosen(sockets[i].count, counts))
			measure_opened(&sockets[i]);
	for (size_t i = 0; i < ARRAY_SIZE(services); i++)
		if (is_chosen(services[i].count, counts))
			measure_services(&services[i]);
	for (size_t i = 0; i < ARRAY_SIZE(accepting); i++)
		if (is_chosen(accepting[i].count, counts))
			measure_accepting(&accepting[i]);
	for (int count = 1; count <= 16; count += 15)
		if (is_chosen(count, counts))
			measure_kinds(count);
	if (is_chosen(beside.count, counts))
		measure_beside_addresses(&beside);
	for (int is_ipv6 = 0; is_ipv6 < 2; is_ipv6++) {
		for (rules.pattern = HOSTS; rules.pattern < PATTERNS;
		     rules.pattern++) {
			for (size_t i = 0; i < ARRAY_SIZE(address_counts); i++) {
				rules.is_ipv6 = is_ipv6;
				rules.count = address_counts[i];
				if (is_chosen(rules.count, counts))
					measure_addresses(&rules);
			}
		}
	}
}

/* Without any rule: on a kernel without Landlock, all there is to measure. */
static void measure_base(void)
{
	const pid_t child = fork();

	if (!child) {
		struct connecting connecting;
		struct sockets sockets;

		become_nobody();
		open_sockets(&sockets, 0);
		report_calls(&sockets, NULL, 0);
		report_udp_calls(&sockets, NULL, 0, false);
		report_creation(&sockets);
		connecting = cost_of_connecting(0, 0);
		report("handshake", NULL, 0, connecting.handshake);
		report("accept", NULL, 0, connecting.accept);
		report("close", NULL, 0, connecting.close);
		report("transfer", NULL, 0, cost_of(TRANSFER, &sockets, 0, 0));
		for (int is_ipv6 = 0; is_ipv6 < 2; is_ipv6++)
			report_base_of_addresses(&sockets, is_ipv6);
		report("fork", NULL, 0, cost_of_fork());
		fflush(stdout);
		_exit(0);
	}
	wait_for(child);
}

static bool has_landlock(void)
{
	return syscall(__NR_landlock_create_ruleset, NULL, 0,
		       LANDLOCK_CREATE_RULESET_VERSION) > 0;
}

/* Whether there are such rules, which are not those of another pattern as well. */
static bool exist(const struct rules *const rules)
{
	if (rules->count == PORTS)
		return rules->pattern == NEIGHBOURS ||
		       rules->pattern == NEIGHBOURS_DIFFERENT;
	if (rules->pattern == EXTENDED)
		return has_extended();
	return rules->count > 1 || rules->pattern == SCATTERED;
}

static void measure_setup_by_nobody(const struct rules *const rules)
{
	const pid_t child = fork();

	if (!child) {
		become_nobody();
		if (rules->pattern == GAPS)
			choose_gaps(rules->count);
		measure_setup(rules);
		_exit(0);
	}
	wait_for(child);
}

static void measure_all_else(const struct rules *const rules)
{
	pid_t child;

	measure_memory(rules, MAX_LAYERS);
	child = fork();
	if (!child) {
		become_nobody();
		measure_layers(rules, false, MAX_LAYERS);
		measure_layers(rules, true, MAX_LAYERS);
		measure_being(rules);
		/* The calls above say what another pattern does. */
		if (rules->pattern == EXTENDED) {
			measure_datagrams(rules, rules->handled);
		} else if (rules->pattern == SCATTERED ||
			   rules->count == PORTS) {
			measure_datagrams(rules, ALL_RIGHTS);
			measure_datagrams(rules, RIGHTS);
		}
		measure_leaving(rules, 1);
		measure_leaving(rules, MAX_LAYERS);
		_exit(0);
	}
	wait_for(child);
}

/* With arguments, only rulesets of so many rules are measured. */
int main(int argc, char *argv[])
{
	const struct rules none = {};

	measure_base();
	measure_leaving(&none, 0);
	if (!has_landlock())
		return EXIT_SUCCESS;
	if (mkdir(GROUP, 0755) && errno != EEXIST)
		die(GROUP);
	for (enum pattern pattern = 0; pattern <= EXTENDED; pattern++) {
		struct rules rules = {
			.pattern = pattern,
			.handled = pattern == EXTENDED ? EXTENDED_RIGHTS :
							 RIGHTS,
		};

		for (size_t i = 0; i < ARRAY_SIZE(setups); i++) {
			rules.count = setups[i].count;
			/* Ports that are far apart are so with any rights. */
			if (pattern == SCATTERED_DIFFERENT ||
			    (setups[i].gaps_only && pattern != SCATTERED &&
			     pattern != GAPS))
				continue;
			if (exist(&rules) && is_chosen(rules.count, argv + 1))
				measure_setup_by_nobody(&rules);
		}
		for (size_t i = 0; i < ARRAY_SIZE(rule_counts); i++) {
			rules.count = rule_counts[i];
			/* For who is in a domain, gaps are as good as any ports. */
			if (pattern != GAPS && exist(&rules) &&
			    is_chosen(rules.count, argv + 1))
				measure_all_else(&rules);
		}
	}
	if (has_extended())
		measure_extended(argv + 1);
	return EXIT_SUCCESS;
}
