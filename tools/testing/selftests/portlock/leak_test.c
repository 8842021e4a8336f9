// SPDX-License-Identifier: GPL-2.0
/*
 * Portlock tests: memory is freed
 *
 * After thousands of rounds, the kernel uses as much memory as before.  The
 * test would see if each round lost only the smallest object that it makes: the
 * slack below is less than this size times the number of rounds.
 *
 * kmemleak sees each lost object, so where the kernel has it a twentieth of the
 * rounds is enough.
 */

#include <pthread.h>
#include <time.h>

#include "kselftest_harness.h"
#include "observers.h"

#define NUM_ROUNDS 10000
#define NUM_WARM_UP 2000
#define NUM_PORTS 10

/* A leak is visible in each pass. */
#define NUM_PASSES 3

#define KMEMLEAK_DIVISOR 20

/*
 * Slabs grow and shrink by pages, for each processor separately, and the rest
 * of the system also uses memory.  Every object of a rule, a ruleset or a
 * domain is larger than the 40 bytes for each round.
 */
#define SLACK_KB (NUM_ROUNDS * 40 / 1024)

/* How long it may take until objects are freed, with RCU and workers. */
#define SETTLE_TRIES 40
#define SETTLE_MS 250

struct usage {
	/*
	 * Slab memory that cannot be reclaimed, in KiB.  Ours is of this kind.
	 */
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

/* Waits until two readings in a row are equal, or until the time is over. */
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

/*
 * Waits until @now is within the slack of @before, or until the time is over.
 */
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

/* Uses the three system calls in some way, once. */
typedef int (*round_fn)(void);

/* Whether rulesets are extended, and have rules about addresses and sockets. */
static bool is_extended;

static int add_rules(int fd, int i)
{
	static const char *const prefixes[] = { "10.0.0.0/8", "10.0.0.0/24",
						"127.0.0.1/32", "fd00::/8" };
	int ret;

	if (!is_extended)
		return add_port(fd, 1000 + i * 100, ALL_NET);
	/* A rule with an address is for all rights but this one. */
	ret = add_net(fd, (ALL_TCP | ALL_UDP) & ~RECEIVE_UDP, 1000 + i * 100,
		      1100 + i * 200, prefixes[i % ARRAY_SIZE(prefixes)]);
	if (!ret)
		ret = add_net(fd, RECEIVE_UDP, i * 100, 50 + i * 100, NULL);
	return ret ? ret : add_socket(fd, AF_INET, -1, i);
}

static int filled_ruleset(void)
{
	const int fd = is_extended ?
			       extended(ALL_TCP | ALL_UDP, SOCKET_CREATE) :
			       net_ruleset(ALL_NET);
	int i, ret;

	for (i = 0; fd >= 0 && i < NUM_PORTS; i++) {
		ret = add_rules(fd, i);
		if (ret) {
			close(fd);
			return ret;
		}
	}
	return fd;
}

/* Runs @in_child in a child that then ends. */
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
		/* Each layer has other rules than the one before. */
		ret = is_extended ? add_net(fd, ALL_NET, 2000 + i, 3000,
					    "192.0.2.0/24") :
				    add_port(fd, 2000 + i, ALL_NET);
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

/* Calls for extended rulesets that fail. */
static bool fails_rightly(int fd)
{
	struct portlock_ruleset_attr attr = {
		.handled_access_net = ALL_NET,
	};
	struct portlock_net_attr net = {
		.allowed_access = ALL_NET,
		.family = AF_INET,
		.prefix_len = 33,
	};
	struct portlock_socket_attr sock = {
		.permissions = SOCKET_CREATE,
		.family = -1,
	};
	bool right;

	right = create_extended(&attr, 7) == -EINVAL &&
		create_extended(&attr, 1 << 20) == -E2BIG &&
		create_extended(NULL, sizeof(attr)) == -EFAULT &&
		create_extended(NULL, 0) == 1;
	attr.handled_access_net = 2ULL << LAST_RIGHT;
	right &= create_extended(&attr, sizeof(attr)) == -EINVAL;
	attr.handled_access_net = 0;
	right &= create_extended(&attr, sizeof(attr)) == -ENOMSG;
	right &= add_rule(fd, PORTLOCK_RULE_NET, &net, 0) == -EINVAL;
	net.allowed_access = 0;
	right &= add_rule(fd, PORTLOCK_RULE_NET, &net, 0) == -ENOMSG;
	right &= add_net(fd, RECEIVE_UDP, 0, 1, ALL_IPV4) == -EINVAL;
	right &= add_rule(fd, PORTLOCK_RULE_NET, NULL, 0) == -EFAULT;
	right &= add_rule(fd, PORTLOCK_RULE_SOCKET, &sock, 0) == -EINVAL;
	right &= add_rule(fd, PORTLOCK_RULE_SOCKET, NULL, 0) == -EFAULT;
	right &= add_rule(fd, LANDLOCK_RULE_PATH_BENEATH, &net, 0) == -EINVAL;
	return right && restrict_self(fd, PORTLOCK_RESTRICT_SELF_PERMISSIVE |
						  1U << 30) == -EINVAL;
}

/* Calls that fail, one for each step that can fail. */
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
	right = (!is_extended || fails_rightly(fd)) &&
		create_ruleset(&good, 7, 0) == -EINVAL &&
		create_ruleset(&good, 1 << 20, 0) == -E2BIG &&
		create_ruleset(NULL, sizeof(good), 0) == -EFAULT &&
		create_ruleset(&unknown, sizeof(good), 0) == -EINVAL &&
		create_ruleset(&unquiet, sizeof(good), 0) == -EINVAL &&
		create_ruleset(&empty, sizeof(good), 0) == -ENOMSG &&
		create_ruleset(NULL, 0, 1U << 29) == -EINVAL &&
		add_port(-1, 80, BIND_TCP) == -EBADF &&
		add_port(fd, 65536, BIND_TCP) == -EINVAL &&
		add_port(fd, 80, 0) == -ENOMSG &&
		add_port(fd, 80, 1ULL << 63) == -EINVAL &&
		add_rule(fd, LANDLOCK_RULE_NET_PORT, NULL, 0) == -EFAULT &&
		add_rule(fd, 77, &good, 0) == -EINVAL &&
		add_rule(fd, LANDLOCK_RULE_NET_PORT, &good, 2) == -EINVAL &&
		restrict_self(-1, 0) == -EBADF &&
		restrict_self(fd, 1U << 30) == -EINVAL;
	if (close(fd))
		return -errno;
	return right ? 0 : -EPROTO;
}

/* A domain with the maximum of layers, which refuses ten thousand more. */
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

/* One round is one process with ten thousand refusals. */
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
 * Runs @warm_up rounds, then @num rounds, and measures the memory that the
 * latter lost.  A leak grows with each pass, and half-filled slabs do not.  The
 * test therefore fails only if NUM_PASSES passes in a row exceed the slack.
 */
static void check_rounds(struct __test_metadata *_metadata,
			 round_fn one_round, int warm_up, int num)
{
	struct usage before, after;
	int pass;

	if (num > 1 && access("/sys/kernel/debug/kmemleak", F_OK) == 0) {
		warm_up /= KMEMLEAK_DIVISOR;
		num /= KMEMLEAK_DIVISOR;
	}

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

FIXTURE_VARIANT(leak)
{
	bool is_extended;
};

FIXTURE_VARIANT_ADD(leak, plain)
{
	.is_extended = false,
};

FIXTURE_VARIANT_ADD(leak, extended)
{
	.is_extended = true,
};

FIXTURE_SETUP(leak)
{
	is_extended = variant->is_extended;
	if (is_extended && is_c_landlock())
		SKIP(return, C_LANDLOCK);
}

FIXTURE_TEARDOWN(leak)
{
}

/* Seconds for all passes, in a guest with an emulated processor. */
#define TIMEOUT 180

TEST_F_TIMEOUT(leak, rounds_of_one_layer, TIMEOUT)
{
	check_rounds(_metadata, round_of_one_layer, NUM_WARM_UP, NUM_ROUNDS);
}

/* Each round makes sixteen domains, so a tenth of the rounds is enough. */
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

/* Threads end while their siblings are synchronized. */

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

/* Observers, and rules about sockets */

FIXTURE(observed)
{
};

FIXTURE_SETUP(observed)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, own_network());
}

FIXTURE_TEARDOWN(observed)
{
}

/* Observers that were never used, and calls that fail. */
static int round_without_layers(void)
{
	const int fd = new_observer();
	const int ruleset = observed(fd, BIND_TCP);
	const struct portlock_observer_attr unknown = {
		.flags = 1,
	};
	bool right;

	if (ruleset < 0)
		return ruleset;
	right = observed(ruleset, BIND_TCP) == -EBADFD &&
		observed(-1, BIND_TCP) == -EBADF &&
		observed(fd, 0) == -ENOMSG &&
		observed(fd, 1ULL << 63) == -EINVAL &&
		add_opened(ruleset, BIND_TCP, -1) == -EBADF &&
		add_opened(ruleset, BIND_TCP, fd) == -ENOTSOCK &&
		create_ruleset(&unknown, sizeof(unknown),
			       PORTLOCK_CREATE_OBSERVER) == -EINVAL &&
		restrict_self(fd, 0) == -EBADFD;
	if (close(fd) || close(ruleset))
		return -errno;
	return right ? 0 : -EPROTO;
}

TEST_F_TIMEOUT(observed, observers_that_nobody_wrote_to, TIMEOUT)
{
	check_rounds(_metadata, round_without_layers, NUM_WARM_UP, NUM_ROUNDS);
}

/* Which of these is the last to go. */
enum last {
	OBSERVER,
	RULESET,
	LAYER,
	NUM_LASTS,
};

static enum last last;
static int observer, ruleset;

static int be_refused(int fd)
{
	const __u32 flags = LANDLOCK_RESTRICT_SELF_NO_NEW_PRIVS;
	int ret;

	ret = restrict_self(ruleset, flags) ?:
	      restrict_self(ruleset,
			    flags | PORTLOCK_RESTRICT_SELF_PERMISSIVE) ?:
	      close(observer) ?: close(ruleset);
	/* Two layers tell of each. */
	if (ret || bind_fd(fd, AF_INET, 1024) != -EACCES ||
	    bind_fd(fd, AF_INET, 1025) != -EACCES)
		return -EPROTO;
	return 0;
}

/* Its records are never read. */
static int round_of_an_observer(void)
{
	const int fd = make_socket(AF_INET, SOCK_STREAM, 0);
	pid_t child;
	int ret;

	last = (last + 1) % NUM_LASTS;
	observer = new_observer();
	ruleset = observed(observer, BIND_TCP);
	if (fd < 0 || ruleset < 0)
		return ruleset;
	child = fork();
	if (!child)
		_exit(be_refused(fd) ? 1 : 0);
	if (last == LAYER && (close(observer) || close(ruleset)))
		return -errno;
	ret = child < 0 ? -errno : wait_child(child);
	if (last == OBSERVER && (close(ruleset) || close(observer)))
		return -errno;
	if (last == RULESET && (close(observer) || close(ruleset)))
		return -errno;
	return close(fd) ? -errno : ret ? -ECANCELED : 0;
}

TEST_F_TIMEOUT(observed, observers_with_records, TIMEOUT)
{
	check_rounds(_metadata, round_of_an_observer, NUM_WARM_UP / 4,
		     NUM_ROUNDS / 4);
}

/* Rules about sockets that do not live as long as the rules. */
static int round_of_sockets(void)
{
	const int rules = extended(ALL_TCP | ALL_UDP, 0);
	int i, ret = 0;

	if (rules < 0)
		return rules;
	for (i = 0; !ret && i < NUM_PORTS; i++) {
		const int type = i % 2 ? SOCK_STREAM : SOCK_DGRAM;
		const int fd = make_socket(AF_INET, type, 0);

		ret = add_opened(rules, BIND_TCP | BIND_UDP, fd);
		/* Once more, for other rights. */
		if (!ret)
			ret = add_opened(rules, ALL_TCP, fd);
		close(fd);
		/* The rules are frozen, and the next is added to a copy. */
		if (!ret && i == NUM_PORTS / 2)
			ret = with_child(restrict_once, rules);
	}
	if (!ret)
		ret = with_child(restrict_once, rules);
	return close(rules) ? -errno : ret;
}

TEST_F_TIMEOUT(observed, rules_about_sockets_that_are_closed, TIMEOUT)
{
	check_rounds(_metadata, round_of_sockets, NUM_WARM_UP, NUM_ROUNDS);
}

TEST_HARNESS_MAIN
