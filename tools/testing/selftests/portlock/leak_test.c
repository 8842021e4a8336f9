// SPDX-License-Identifier: GPL-2.0
/*
 * Portlock tests: what is given back
 *
 * Thousands of rounds leave the kernel's memory where it was.  A round that
 * kept as little as the smallest object that it makes would show: the slack
 * below is less than that, times the number of rounds.
 */

#include <pthread.h>
#include <time.h>

#include "kselftest_harness.h"
#include "common.h"

#define NUM_ROUNDS 10000
#define NUM_WARM_UP 2000
#define NUM_PORTS 10

/* A leak shows in each pass. */
#define NUM_PASSES 3

/*
 * Slabs are filled and emptied a page at a time, each processor on its own,
 * and the rest of the system does not stand still.  40 bytes a round are
 * below any object of a rule, a ruleset or a domain.
 */
#define SLACK_KB (NUM_ROUNDS * 40 / 1024)

/* How long freed objects may take to come back, RCU and workers included. */
#define SETTLE_TRIES 40
#define SETTLE_MS 250

struct usage {
	/* Slab memory that cannot be reclaimed, which is ours, in KiB. */
	long slab;
	long vmalloc;
	long percpu;
};

static int read_usage(struct usage *usage)
{
	FILE *const file = fopen("/proc/meminfo", "re");
	char line[128];
	int found = 0;

	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file)) {
		found += sscanf(line, "SUnreclaim: %ld kB", &usage->slab) == 1;
		found += sscanf(line, "VmallocUsed: %ld kB",
				&usage->vmalloc) == 1;
		found += sscanf(line, "Percpu: %ld kB", &usage->percpu) == 1;
	}
	fclose(file);
	return found == 3 ? 0 : -ENODATA;
}

static void pause_ms(long ms)
{
	const struct timespec time = {
		.tv_sec = ms / 1000,
		.tv_nsec = ms % 1000 * 1000000,
	};

	nanosleep(&time, NULL);
}

/* Waits until two readings in a row agree, or for as long as is allowed. */
static int settle(struct usage *usage)
{
	struct usage last;
	int i, ret;

	ret = read_usage(usage);
	for (i = 0; !ret && i < SETTLE_TRIES; i++) {
		last = *usage;
		pause_ms(SETTLE_MS);
		ret = read_usage(usage);
		if (!ret && i >= 4 && last.slab == usage->slab &&
		    last.vmalloc == usage->vmalloc)
			break;
	}
	return ret;
}

static bool within_slack(const struct usage *before, const struct usage *now)
{
	return now->slab <= before->slab + SLACK_KB &&
	       now->vmalloc <= before->vmalloc + SLACK_KB &&
	       now->percpu <= before->percpu + SLACK_KB;
}

/* Waits until @now is within the slack of @before, or as long as allowed. */
static int settle_back(const struct usage *before, struct usage *now)
{
	int i, ret;

	for (i = 0; i < SETTLE_TRIES; i++) {
		ret = read_usage(now);
		if (ret || within_slack(before, now))
			return ret;
		pause_ms(SETTLE_MS);
	}
	return 0;
}

/* A way to use the three calls, once. */
typedef int (*round_fn)(void);

static int filled_ruleset(void)
{
	const int fd = net_ruleset(ALL_NET);
	int i, ret;

	for (i = 0; fd >= 0 && i < NUM_PORTS; i++) {
		ret = add_port(fd, 1000 + i * 100, ALL_NET);
		if (ret) {
			close(fd);
			return ret;
		}
	}
	return fd;
}

/* Runs @in_child in a child that ends at once. */
static int with_child(int (*in_child)(int), int fd)
{
	const pid_t child = vfork();
	int ret;

	if (child == 0)
		_exit(in_child(fd) ? 1 : 0);
	if (child < 0)
		return -errno;
	ret = wait_child(child);
	return ret ? -ECANCELED : 0;
}

static int restrict_once(int fd)
{
	return restrict_self(fd, LANDLOCK_RESTRICT_SELF_NO_NEW_PRIVS);
}

/* Create, add, restrict, exit. */
static int round_of_one_layer(void)
{
	const int fd = filled_ruleset();
	int ret;

	if (fd < 0)
		return fd;
	ret = with_child(restrict_once, fd);
	if (close(fd) && !ret)
		ret = -errno;
	return ret;
}

static int restrict_many(int fd)
{
	int i, ret;

	for (i = 0; i < MAX_LAYERS; i++) {
		ret = restrict_once(fd);
		if (ret)
			return ret;
		/* Each layer of other rules than the one before. */
		ret = add_port(fd, 2000 + i, ALL_NET);
		if (ret)
			return ret;
	}
	return restrict_once(fd) == -E2BIG ? 0 : -EPROTO;
}

static int round_of_all_layers(void)
{
	const int fd = filled_ruleset();
	int ret;

	if (fd < 0)
		return fd;
	ret = with_child(restrict_many, fd);
	if (close(fd) && !ret)
		ret = -errno;
	return ret;
}

/* A ruleset that is never enforced. */
static int round_without_a_domain(void)
{
	const int fd = filled_ruleset();

	if (fd < 0)
		return fd;
	return close(fd) ? -errno : 0;
}

/* Calls that fail, at every step at which they can. */
static int round_of_errors(void)
{
	const struct landlock_ruleset_attr good = {
		.handled_access_net = ALL_NET,
	};
	const struct landlock_ruleset_attr unknown = {
		.handled_access_net = 1ULL << 40,
	};
	const struct landlock_ruleset_attr unquiet = {
		.handled_access_net = BIND_TCP,
		.quiet_access_net = CONNECT_TCP,
	};
	const struct landlock_ruleset_attr empty = {};
	const int fd = filled_ruleset();
	bool right;

	if (fd < 0)
		return fd;
	right = create_ruleset(&good, 7, 0) == -EINVAL &&
		create_ruleset(&good, 1 << 20, 0) == -E2BIG &&
		create_ruleset(NULL, sizeof(good), 0) == -EFAULT &&
		create_ruleset(&unknown, sizeof(good), 0) == -EINVAL &&
		create_ruleset(&unquiet, sizeof(good), 0) == -EINVAL &&
		create_ruleset(&empty, sizeof(good), 0) == -ENOMSG &&
		create_ruleset(NULL, 0, 1U << 30) == -EINVAL &&
		add_port(-1, 80, BIND_TCP) == -EBADF &&
		add_port(fd, 65536, BIND_TCP) == -EINVAL &&
		add_port(fd, 80, 0) == -ENOMSG &&
		add_port(fd, 80, 1ULL << 40) == -EINVAL &&
		add_rule(fd, LANDLOCK_RULE_NET_PORT, NULL, 0) == -EFAULT &&
		add_rule(fd, 77, &good, 0) == -EINVAL &&
		add_rule(fd, LANDLOCK_RULE_NET_PORT, &good, 2) == -EINVAL &&
		restrict_self(-1, 0) == -EBADF &&
		restrict_self(fd, 1U << 30) == -EINVAL;
	if (close(fd))
		return -errno;
	return right ? 0 : -EPROTO;
}

/* A domain that is at its limit, which refuses ten thousand more layers. */
static int restrict_too_often(int fd)
{
	int i, ret;

	for (i = 0; i < MAX_LAYERS; i++) {
		ret = restrict_once(fd);
		if (ret)
			return ret;
	}
	for (i = 0; i < NUM_ROUNDS; i++) {
		if (restrict_once(fd) != -E2BIG)
			return -EPROTO;
	}
	return 0;
}

/* One round is ten thousand refusals, at the end of one short life. */
static int round_of_refused_layers(void)
{
	const int fd = filled_ruleset();
	int ret;

	if (fd < 0)
		return fd;
	ret = with_child(restrict_too_often, fd);
	if (close(fd) && !ret)
		ret = -errno;
	return ret;
}

static int run_rounds(round_fn one_round, int num)
{
	int i, ret;

	for (i = 0; i < num; i++) {
		ret = one_round();
		if (ret)
			return ret;
	}
	return 0;
}

/*
 * Runs @num rounds after @warm_up ones and looks at what they kept.  A leak
 * grows each time the rounds are run; what slabs keep half filled does not.
 * So it takes NUM_PASSES passes in a row that are over the slack to fail.
 */
static void check_rounds(struct __test_metadata *_metadata,
			 round_fn one_round, int warm_up, int num)
{
	struct usage before, after;
	int pass;

	ASSERT_EQ(0, run_rounds(one_round, warm_up));
	for (pass = 0; pass < NUM_PASSES; pass++) {
		ASSERT_EQ(0, settle(&before));
		ASSERT_EQ(0, run_rounds(one_round, num));
		ASSERT_EQ(0, settle_back(&before, &after));
		TH_LOG("KiB before and after %d rounds: slab %ld %ld, vmalloc %ld %ld, per-CPU %ld %ld",
		       num, before.slab, after.slab, before.vmalloc,
		       after.vmalloc, before.percpu, after.percpu);
		if (within_slack(&before, &after))
			return;
	}
	EXPECT_GE(SLACK_KB, after.slab - before.slab);
	EXPECT_GE(SLACK_KB, after.vmalloc - before.vmalloc);
	EXPECT_GE(SLACK_KB, after.percpu - before.percpu);
}

FIXTURE(leak)
{
};

FIXTURE_SETUP(leak)
{
}

FIXTURE_TEARDOWN(leak)
{
}

/* Seconds, for a guest that emulates its processor; all passes included. */
#define TIMEOUT 180

TEST_F_TIMEOUT(leak, rounds_of_one_layer, TIMEOUT)
{
	check_rounds(_metadata, round_of_one_layer, NUM_WARM_UP, NUM_ROUNDS);
}

/* Sixteen domains a round, so a tenth of the rounds makes as many and more. */
TEST_F_TIMEOUT(leak, rounds_of_all_layers, TIMEOUT)
{
	check_rounds(_metadata, round_of_all_layers, NUM_ROUNDS / 20,
		     NUM_ROUNDS / 10);
}

TEST_F_TIMEOUT(leak, rulesets_that_nobody_enforced, TIMEOUT)
{
	check_rounds(_metadata, round_without_a_domain, NUM_WARM_UP,
		     NUM_ROUNDS);
}

TEST_F_TIMEOUT(leak, calls_that_failed, TIMEOUT)
{
	check_rounds(_metadata, round_of_errors, NUM_WARM_UP, NUM_ROUNDS);
}

TEST_F_TIMEOUT(leak, layers_that_were_too_many, TIMEOUT)
{
	check_rounds(_metadata, round_of_refused_layers, 1, 1);
}

/* Domains of threads that end while siblings are being synchronised. */

static void *idle(void *data)
{
	pause_ms(1);
	return NULL;
}

static int sync_threads(void)
{
	const int fd = filled_ruleset();
	pthread_t threads[4];
	int i, ret = 0, num = 0;

	if (fd < 0)
		return 1;
	for (i = 0; i < 4; i++)
		num += !pthread_create(&threads[i], NULL, idle, NULL);
	for (i = 0; !ret && i < 4; i++)
		ret = restrict_self(fd, LANDLOCK_RESTRICT_SELF_TSYNC |
				    LANDLOCK_RESTRICT_SELF_NO_NEW_PRIVS);
	for (i = 0; i < num; i++)
		ret |= pthread_join(threads[i], NULL);
	return num != 4 || ret;
}

static int round_of_threads(void)
{
	const pid_t child = fork();

	if (child < 0)
		return -errno;
	if (child == 0)
		_exit(sync_threads());
	return wait_child(child) ? -ECANCELED : 0;
}

TEST_F_TIMEOUT(leak, rounds_of_threads, TIMEOUT)
{
	check_rounds(_metadata, round_of_threads, 500, 1000);
}

TEST_HARNESS_MAIN
