/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Portlock tests: how calls are made to meet
 *
 * A test includes this once.  PORTLOCK_ROUNDS is how many rounds each test does.
 * How often each call had which result is printed, to be read: a race of which
 * only one outcome shows has not been one.
 */

#ifndef PORTLOCK_RACES_H
#define PORTLOCK_RACES_H

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>

#include "kselftest_harness.h"
#include "common.h"

/* Enough for each outcome to show, and few enough for a quick look. */
#define DEFAULT_ROUNDS 64

/*
 * A process serves for some rounds: for as many layers as fit in a domain, or
 * for a few more where no round adds a layer.
 */
#define ROUNDS_OF_LAYERS MAX_LAYERS
#define ROUNDS_WITHOUT 64

#define MAX_RACERS 3

/* Results that are counted are errnos, and these of our own. */
enum {
	COUNT_IN = 160,
	COUNT_OUT,
	NUM_COUNTS,
};

#define MAX_OPERATIONS 6

/* What all processes of a test share. */
static struct shared {
	/* What must not happen, and did first. */
	const char *violation;
	int got;
	unsigned long round;
	/* Results by operation. */
	unsigned long counts[MAX_OPERATIONS][NUM_COUNTS];
} *shared;

/* What the racers of a process share. */
static struct {
	unsigned int num;
	/* The line at which all of them wait for the last. */
	unsigned int waiting;
	unsigned int turn;
	/* The round of all rounds, and of this process. */
	unsigned long total;
	int round;
	/* For the tests, which set them anew as they need. */
	int fd;
	int other_fd;
	int started;
	int finished;
	bool stop;
} race;

static int cpus[MAX_RACERS + 1];
static __thread unsigned int seed;

/* Time */

static inline void relax(void)
{
#if defined(__i386__) || defined(__x86_64__)
	__builtin_ia32_pause();
#else
	sched_yield();
#endif
}

static inline unsigned int random_below(unsigned int limit)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % limit;
}

static inline void meet(void)
{
	const unsigned int turn = __atomic_load_n(&race.turn, __ATOMIC_SEQ_CST);

	if (__atomic_add_fetch(&race.waiting, 1, __ATOMIC_SEQ_CST) ==
	    race.num) {
		__atomic_store_n(&race.waiting, 0, __ATOMIC_SEQ_CST);
		__atomic_store_n(&race.turn, turn + 1, __ATOMIC_SEQ_CST);
		return;
	}
	while (__atomic_load_n(&race.turn, __ATOMIC_SEQ_CST) == turn)
		relax();
}

/* Starts a call at a moment that differs from round to round. */
static inline void meet_and_stagger(void)
{
	unsigned int i;

	meet();
	for (i = random_below(4) ? random_below(200) : 0; i; i--)
		__asm__ __volatile__("" : : : "memory");
}

/* Leaves the others about as much time as a call of theirs takes. */
static inline void linger(void)
{
	unsigned int i;

	for (i = random_below(8); i; i--)
		relax();
}

static inline int load(const int *value)
{
	return __atomic_load_n(value, __ATOMIC_SEQ_CST);
}

static inline void store(int *value, int to)
{
	__atomic_store_n(value, to, __ATOMIC_SEQ_CST);
}

static inline void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpus[cpu], &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/*
 * Where one host thread runs all processors of a guest in turn, they change
 * when a timer is due.  This makes a timer due all the time, so that they change
 * in the middle of a call.
 */
static inline void jitter(void)
{
	struct timespec time = {};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_TIMERSLACK, 1);
	pin(MAX_RACERS);
	for (;;) {
		time.tv_nsec = 2000 + random_below(40000);
		nanosleep(&time, NULL);
	}
}

/* Results */

static inline int count(int operation, int ret)
{
	const int index = ret < 0 ? -ret : ret;

	if (index < NUM_COUNTS)
		__atomic_add_fetch(&shared->counts[operation][index], 1,
				   __ATOMIC_RELAXED);
	return ret;
}

static inline bool must(bool holds, const char *what, int got)
{
	const char *none = NULL;

	if (!holds &&
	    __atomic_compare_exchange_n(&shared->violation, &none, what, false,
					__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
		shared->got = got;
		shared->round = race.total;
	}
	return holds;
}

/* What the race takes to take place.  No racer waits for one that cannot. */
static inline void need(int ret, const char *what)
{
	if (!must(ret >= 0, what, ret))
		_exit(1);
}

static inline const char *count_name(int index)
{
	switch (index) {
	case 0:
		return "success";
	case COUNT_IN:
		return "in";
	case COUNT_OUT:
		return "out";
	default:
		return strerrorname_np(index);
	}
}

static inline void print_counts(const char *const *operations)
{
	int op, i;

	for (op = 0; op < MAX_OPERATIONS && operations[op]; op++) {
		char line[256] = "";
		int len = 0, outcomes = 0;

		for (i = 0; i < NUM_COUNTS && len < (int)sizeof(line); i++) {
			if (!shared->counts[op][i])
				continue;
			outcomes++;
			len += snprintf(line + len, sizeof(line) - len,
					" %s %lu", count_name(i),
					shared->counts[op][i]);
		}
		ksft_print_msg("%s:%s%s\n", operations[op], line,
			       outcomes == 1 ? " (the only outcome)" : "");
	}
}

/* Probes */

/*
 * Whether the calling thread may bind @port: 0 or -EACCES.  The address is
 * that of nobody here, so that no port is ever taken.
 */
static inline int ask(int port)
{
	const int fd = make_socket(AF_INET, SOCK_STREAM, 0);
	union addr addr;
	const socklen_t len = loopback(&addr, AF_INET, port);
	int ret;

	need(fd, "socket");
	/* TEST-NET-1 of RFC 5737. */
	addr.in.sin_addr.s_addr = htonl(0xc0000201);
	ret = bind(fd, &addr.sa, len) ? -errno : -EPROTO;
	close(fd);
	if (ret == -EADDRNOTAVAIL)
		ret = 0;
	must(ret == 0 || ret == -EACCES, "a probe failed", ret);
	return ret;
}

/* The port that @fd has: 0 if it has none. */
static inline int port_of(int fd)
{
	union addr addr;
	socklen_t len = sizeof(addr);

	need(getsockname(fd, &addr.sa, &len) ? -errno : 0, "getsockname");
	return ntohs(addr.in.sin_port);
}

/* Racers */

typedef void (*racer_fn)(void);

struct racer {
	pthread_t thread;
	racer_fn run;
	int cpu;
	unsigned int seed;
};

static inline void *run_racer(void *data)
{
	const struct racer *const racer = data;

	pin(racer->cpu);
	seed = racer->seed;
	racer->run();
	return NULL;
}

struct plan {
	/* What a process does before its racers start, if anything. */
	racer_fn prepare;
	racer_fn racers[MAX_RACERS];
	/* The rounds of a process. */
	int rounds;
	/* What is counted. */
	const char *operations[MAX_OPERATIONS];
};

/* One process: all its racers do all its rounds. */
static inline void run_process(const struct plan *plan)
{
	struct racer racers[MAX_RACERS] = {};
	int i;

	seed = race.total;
	if (plan->prepare)
		plan->prepare();
	for (i = 0; i < MAX_RACERS && plan->racers[i]; i++)
		race.num++;
	for (i = 0; i < race.num; i++) {
		racers[i].run = plan->racers[i];
		racers[i].cpu = i;
		racers[i].seed = race.total * MAX_RACERS + i;
		need(-pthread_create(&racers[i].thread, NULL, run_racer,
				     &racers[i]),
		     "thread");
	}
	for (i = 0; i < race.num; i++)
		need(-pthread_join(racers[i].thread, NULL), "join");
}

static inline unsigned long num_rounds(void)
{
	const char *const told = getenv("PORTLOCK_ROUNDS");
	const unsigned long num = told ? strtoul(told, NULL, 0) : 0;

	return num ? num : DEFAULT_ROUNDS;
}

/* Returns the number of rounds that were done, or a negative errno. */
static inline long run_race(const struct plan *plan)
{
	const unsigned long rounds = num_rounds();

	for (race.total = 0; race.total < rounds && !shared->violation;
	     race.total += plan->rounds) {
		const pid_t child = fork();
		int ret;

		if (child == 0) {
			run_process(plan);
			_exit(0);
		}
		if (child < 0)
			return -errno;
		ret = wait_child(child);
		if (ret < 0)
			return ret;
	}
	return race.total;
}

FIXTURE(races)
{
	pid_t jitter;
};

FIXTURE_SETUP(races)
{
	cpu_set_t set;
	int i, num = 0;

	ASSERT_EQ(0, sched_getaffinity(0, sizeof(set), &set));
	for (i = 0; i < CPU_SETSIZE && num <= MAX_RACERS; i++) {
		if (CPU_ISSET(i, &set))
			cpus[num++] = i;
	}
	if (num < 2)
		SKIP(return, "there is one processor only");
	for (i = num; i <= MAX_RACERS; i++)
		cpus[i] = cpus[i % num];

	ASSERT_EQ(0, own_network());
	ASSERT_EQ(0, no_new_privs());
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, shared);
	self->jitter = fork();
	ASSERT_LE(0, self->jitter);
	if (self->jitter == 0)
		jitter();
}

FIXTURE_TEARDOWN(races)
{
	EXPECT_EQ(0, kill(self->jitter, SIGKILL));
	EXPECT_EQ(self->jitter, waitpid(self->jitter, NULL, 0));
}

/* A race lasts for as many rounds as it is told; who runs it sets the limit. */
#define TIMEOUT 2000000

/* Runs a race and holds it to what it must not do. */
static inline void expect_order(struct __test_metadata *_metadata,
			 const struct plan *plan)
{
	const long rounds = run_race(plan);

	ksft_print_msg("%ld rounds\n", rounds);
	print_counts(plan->operations);
	EXPECT_EQ(NULL, shared->violation)
	{
		TH_LOG("%s: %s, in or after round %lu", shared->violation,
		       strerror(shared->got < 0 ? -shared->got : 0),
		       shared->round);
	}
	EXPECT_LT(0, rounds);
}

#endif /* PORTLOCK_RACES_H */
