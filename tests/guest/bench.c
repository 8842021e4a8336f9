// SPDX-License-Identifier: GPL-2.0
/*
 * Counts what system calls cost, in instructions, and what domains cost, in
 * bytes.
 *
 * QEMU counts the guest's instructions and lets its time pass with them, a
 * nanosecond each (-icount shift=0,sleep=off), so the clock is the counter.  A
 * result is a line: what was done, the pattern of the rules, their number, the
 * layers, and the cost of one.
 *
 * The calls that are measured fail right after the hook, so that little but the
 * hook is in the figure: a bound socket is bound again, a listening one is
 * connected, a datagram is too long.
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
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define BATCHES 60
#define CALLS 50
#define MAX_LAYERS 16
/* How often a call that cannot be repeated in place is measured; the least counts. */
#define REPEATS 3

/* Some ticks. */
#define BUSY_NS 10000000
#define PORTS 65536
#define TCP_RIGHTS                         \
	(LANDLOCK_ACCESS_NET_BIND_TCP |    \
	 LANDLOCK_ACCESS_NET_CONNECT_TCP | \
	 LANDLOCK_ACCESS_NET_CONNECT_SEND_UDP)
#define GROUP "/sys/fs/cgroup/bench"

static const int rule_counts[] = { 1, 16, 256, 4096, 65536 };

enum pattern {
	/* Ports far from each other, all with the same rights. */
	SCATTERED,
	/* Ports far from each other, next ones with other rights. */
	SCATTERED_DIFFERENT,
	/* One port after the other, all with the same rights. */
	NEIGHBOURS,
	/* One port after the other, next ones with other rights. */
	NEIGHBOURS_DIFFERENT,
	PATTERNS,
};

static const char *const pattern_names[] = {
	"scattered",
	"scattered-different",
	"neighbours",
	"neighbours-different",
};

struct rules {
	enum pattern pattern;
	int count;
};

static void die(const char *const what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000ULL + time.tv_nsec;
}

static void report(const char *const what, const struct rules *const rules,
		   const int layers, const uint64_t cost)
{
	printf("%s %s %d %d %llu\n", what,
	       rules ? pattern_names[rules->pattern] : "none",
	       rules ? rules->count : 0, layers, (unsigned long long)cost);
	fflush(stdout);
}

static uint16_t port_of(const struct rules *const rules, const int which)
{
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
	return TCP_RIGHTS;
}

static int make_ruleset(void)
{
	const struct landlock_ruleset_attr attr = {
		.handled_access_net = TCP_RIGHTS,
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
	const int fd = make_ruleset();

	for (int i = 0; i < rules->count; i++)
		add_rule(fd, rules, i);
	return fd;
}

static uint64_t restrict_self(const int fd)
{
	const uint64_t begin = now();

	if (syscall(__NR_landlock_restrict_self, fd, 0))
		die("landlock_restrict_self");
	return now() - begin;
}

/* Sockets that hooks are asked about, made before any layer is there. */

struct sockets {
	int bound;
	int listening;
	int datagram;
	int stream;
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

static void open_sockets(struct sockets *const sockets)
{
	const struct sockaddr_in any = loopback(0);
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
	sockets->datagram = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sockets->datagram < 0 ||
	    bind(sockets->datagram, (const struct sockaddr *)&any,
		 sizeof(any)))
		die("datagram socket");
}

static void close_sockets(const struct sockets *const sockets)
{
	close(sockets->bound);
	close(sockets->listening);
	close(sockets->stream);
	close(sockets->datagram);
}

enum call { BIND, CONNECT, SENDTO, SEND, SETUID };

static int do_call(const enum call call, const struct sockets *const sockets,
		   const struct sockaddr_in *const address)
{
	static char datagram[1 << 17];
	const struct sockaddr *const sa = (const struct sockaddr *)address;

	switch (call) {
	case BIND:
		return bind(sockets->bound, sa, sizeof(*address));
	case CONNECT:
		return connect(sockets->listening, sa, sizeof(*address));
	case SENDTO:
		return sendto(sockets->datagram, datagram, sizeof(datagram), 0,
			      sa, sizeof(*address));
	case SEND:
		return send(sockets->stream, datagram, 0, 0);
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
	const struct sockaddr_in address = loopback(port);
	uint64_t least = UINT64_MAX, clock = UINT64_MAX;
	const int ret = do_call(call, sockets, &address);

	if (expected ? !(ret < 0 && errno == expected) : ret < 0) {
		fprintf(stderr, "bench: call %d to port %d: %s\n", call, port,
			ret < 0 ? strerror(errno) : "allowed");
		exit(EXIT_FAILURE);
	}
	for (int batch = 0; batch < BATCHES; batch++) {
		uint64_t begin = now();

		for (int i = 0; i < CALLS; i++)
			do_call(call, sockets, &address);
		begin = now() - begin;
		if (begin < least)
			least = begin;
		begin = now();
		begin = now() - begin;
		if (begin < clock)
			clock = begin;
	}
	return (least - clock + CALLS / 2) / CALLS;
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

/* What rules and layers cost who makes them: a fresh ruleset a layer. */
static void measure_making(const struct rules *const rules)
{
	uint64_t restrict_cost[MAX_LAYERS + 1] = {}, add_cost = 0;

	for (int repeat = 0; repeat < REPEATS; repeat++) {
		for (int layer = 1; layer <= MAX_LAYERS; layer++) {
			const int fd = make_ruleset();
			const uint64_t begin = now();

			for (int i = 0; i < rules->count; i++)
				add_rule(fd, rules, i);
			keep_least(&add_cost, (now() - begin) / rules->count);
			close(fd);
			if (rules->count > 256)
				break;
		}
	}
	report("add_rule", rules, 0, add_cost);

	for (int repeat = 0; repeat < REPEATS; repeat++) {
		int fds[2];
		pid_t child;

		if (pipe(fds))
			die("pipe");
		child = fork();
		if (!child) {
			uint64_t cost[MAX_LAYERS + 1] = {};

			for (int layer = 1; layer <= MAX_LAYERS; layer++) {
				const int fd = full_ruleset(rules);

				cost[layer] = restrict_self(fd);
				close(fd);
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
			report("restrict_self", rules, layer,
			       restrict_cost[layer]);
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

/* From the order to exit until it is seen that the last task of a domain did. */
static void measure_leaving(const struct rules *const rules, const int layers)
{
	uint64_t least = 0;

	for (int repeat = 0; repeat < REPEATS; repeat++) {
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

/* Processes of a memory cgroup enforce a layer in turns with being counted. */
static void measure_memory(const struct rules *const rules)
{
	const int processes = rules->count > 4096 ? 2 : 16;
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
		for (size_t i = 0; i < ARRAY_SIZE(rule_counts); i++) {
			const struct rules rules = {
				.pattern = pattern,
				.count = rule_counts[i],
			};
			bool chosen = argc < 2;
			pid_t child;

			for (int a = 1; a < argc; a++)
				chosen = chosen || atoi(argv[a]) == rules.count;
			if (!chosen)
				continue;
			/* All ports are neighbours, and one has no other. */
			if ((pattern < NEIGHBOURS && rules.count == PORTS) ||
			    (pattern != SCATTERED && rules.count == 1))
				continue;
			measure_memory(&rules);
			child = fork();
			if (!child) {
				become_nobody();
				measure_making(&rules);
				measure_being(&rules);
				measure_leaving(&rules, 1);
				measure_leaving(&rules, MAX_LAYERS);
				_exit(0);
			}
			wait_for(child);
		}
	}
	return EXIT_SUCCESS;
}
