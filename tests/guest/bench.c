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
 * socket that serves only IPv6 is given an address of IPv4.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
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
#define GROUP "/sys/fs/cgroup/bench"

static const int rule_counts[] = { 1, 16, 256, 4096, 65536 };

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
	PATTERNS,
};

static const char *const pattern_names[] = {
	"scattered",
	"scattered-different",
	"neighbours",
	"neighbours-different",
	"gaps",
};

#define MAX_GAP 650

struct rules {
	enum pattern pattern;
	int count;
	/* What the ruleset handles. */
	uint64_t handled;
};

static _Noreturn void die(const char *const what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static void report(const char *const what, const struct rules *const rules,
		   const int layers, const uint64_t cost)
{
	printf("%s %s %d %d %llu\n", what,
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

static int make_ruleset(const struct rules *const rules)
{
	const struct landlock_ruleset_attr attr = {
		.handled_access_net = rules->handled,
	};
	const int fd = syscall(__NR_landlock_create_ruleset, &attr,
			       sizeof(attr), 0);

	if (fd < 0)
		die("landlock_create_ruleset");
	return fd;
}

static void add_rule(const int fd, const struct rules *const rules,
		     const int which)
{
	const struct landlock_net_port_attr attr = {
		.allowed_access = rights_of(rules, which),
		.port = port_of(rules, which),
	};

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
	int listening;
	int stream;
	/* All of these have a port. */
	int datagram;
	int datagram6;
	int connected;
	int connected6;
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

static int tcp_socket(void)
{
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct sockaddr_in any = loopback(0);
	const int one = 1;

	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, (const struct sockaddr *)&any, sizeof(any)))
		die("socket");
	return fd;
}

static int udp_socket(void)
{
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const struct sockaddr_in any = loopback(0);

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

static void open_sockets(struct sockets *const sockets)
{
	/* Nobody listens there. */
	const struct sockaddr_in peer = loopback(8080);
	const struct sockaddr_in6 peer6 = mapped(8080);
	struct sockaddr_in server;
	socklen_t len = sizeof(server);

	sockets->bound = tcp_socket();
	sockets->listening = tcp_socket();
	if (listen(sockets->listening, 8) ||
	    getsockname(sockets->listening, (struct sockaddr *)&server, &len))
		die("listen");
	sockets->stream = tcp_socket();
	if (connect(sockets->stream, (const struct sockaddr *)&server, len))
		die("connect");
	sockets->datagram = udp_socket();
	sockets->datagram6 = udp6_socket(1);
	sockets->connected = udp_socket();
	sockets->connected6 = udp6_socket(0);
	if (connect(sockets->connected, (const struct sockaddr *)&peer,
		    sizeof(peer)) ||
	    connect(sockets->connected6, (const struct sockaddr *)&peer6,
		    sizeof(peer6)))
		die("connected datagram socket");
}

static void close_sockets(const struct sockets *const sockets)
{
	close(sockets->bound);
	close(sockets->listening);
	close(sockets->stream);
	close(sockets->datagram);
	close(sockets->datagram6);
	close(sockets->connected);
	close(sockets->connected6);
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
};

/* Where calls go: one port, written in each way that they need. */
struct target {
	struct sockaddr_in loopback;
	struct sockaddr_in unroutable;
	struct sockaddr_in6 mapped;
};

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
	}
	return 0;
}

/* The least cost of a call, which must fail with @expected, or not if that is 0. */
static uint64_t cost_of(const enum call call,
			const struct sockets *const sockets,
			const uint16_t port, const int expected)
{
	struct target target = {
		.loopback = loopback(port),
		.unroutable = loopback(port),
		.mapped = mapped(port),
	};
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
	for (int batch = 0; batch < BATCHES; batch++) {
		uint64_t begin = now();

		for (int i = 0; i < CALLS; i++)
			do_call(call, sockets, &target);
		begin = now() - begin;
		if (begin < least)
			least = begin;
	}
	return (least - clock_cost() + CALLS / 2) / CALLS;
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
	report("send", rules, layers, cost_of(SEND, sockets, allowed, 0));
	report("setuid", rules, layers,
	       cost_of(SETUID, sockets, allowed, EPERM));
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
	const uint16_t port = rules ? port_of(rules, middle(rules)) : 8080;

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
static void measure_layers(const struct rules *const rules, const bool again)
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

			for (int layer = 1; layer <= MAX_LAYERS; layer++) {
				cost[layer] = now();
				restrict_self(fd);
				cost[layer] = now() - cost[layer];
				if (!again && layer < MAX_LAYERS) {
					close(fd);
					fd = full_ruleset(rules);
				}
			}
			if (write(fds[1], cost, sizeof(cost)) != sizeof(cost))
				die("write");
			_exit(0);
		}
		close(fds[1]);
		for (int layer = 0; layer <= MAX_LAYERS; layer++) {
			uint64_t cost;

			if (read(fds[0], &cost, sizeof(cost)) != sizeof(cost))
				die("read");
			keep_least(&restrict_cost[layer], cost);
		}
		close(fds[0]);
		wait_for(child);
	}
	for (int layer = 1; layer <= MAX_LAYERS; layer++)
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

		open_sockets(&sockets);
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

		open_sockets(&sockets);
		for (int layer = 1; layer <= layers; layer++) {
			const int fd = full_ruleset(&own);

			restrict_self(fd);
			close(fd);
			if (layer == 1 || layer == MAX_LAYERS)
				report_udp_calls(&sockets, &own, layer,
						 handled != ALL_RIGHTS);
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
static uint64_t slab_bytes(void)
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
		if (!strcmp(name, "slab"))
			found = value;
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
static void measure_memory(const struct rules *const rules)
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
			for (int layer = 0; layer <= MAX_LAYERS; layer++) {
				int fd;

				if (read(go[0], &byte, 1) != 1)
					_exit(1);
				if (layer == MAX_LAYERS)
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
	before = slab_bytes();
	for (int layer = 1; layer <= MAX_LAYERS; layer++) {
		/* One at a time: two turns must not go to one process. */
		for (int i = 0; i < processes; i++) {
			if (write(go[1], "", 1) != 1 ||
			    read(ready[0], &byte, 1) != 1)
				die("pipe");
		}
		if (is_measured(layer)) {
			const uint64_t after = slab_bytes();

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

/* Without any rule: on a kernel without Landlock, all there is to measure. */
static void measure_base(void)
{
	const pid_t child = fork();

	if (!child) {
		struct sockets sockets;

		become_nobody();
		open_sockets(&sockets);
		report_calls(&sockets, NULL, 0);
		report_udp_calls(&sockets, NULL, 0, false);
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

static bool is_chosen(const int count, char *const counts[])
{
	if (!*counts)
		return true;
	for (; *counts; counts++)
		if (atoi(*counts) == count)
			return true;
	return false;
}

/* Whether there are such rules, which are not those of another pattern as well. */
static bool exist(const struct rules *const rules)
{
	if (rules->count == PORTS)
		return rules->pattern == NEIGHBOURS ||
		       rules->pattern == NEIGHBOURS_DIFFERENT;
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

	measure_memory(rules);
	child = fork();
	if (!child) {
		become_nobody();
		measure_layers(rules, false);
		measure_layers(rules, true);
		measure_being(rules);
		/* The calls above say what another pattern does. */
		if (rules->pattern == SCATTERED || rules->count == PORTS) {
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
	for (enum pattern pattern = 0; pattern < PATTERNS; pattern++) {
		struct rules rules = {
			.pattern = pattern,
			.handled = RIGHTS,
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
	return EXIT_SUCCESS;
}
