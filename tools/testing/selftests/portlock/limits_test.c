// SPDX-License-Identifier: GPL-2.0
/*
 * Portlock tests: limits
 *
 * A ruleset with all ports, a domain with all layers, and thousands of
 * domains.  The memory of a rule is charged to the memory cgroup of the task
 * that adds the rule, and the memory of a domain to the task that enforces it.
 */

#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include <sys/resource.h>

#include "kselftest_harness.h"
#include "observers.h"

#define NUM_PORTS 65536

#undef TCP
#define TCP (BIND_TCP | CONNECT_TCP)

/* The number in the line that begins with @name, or a negative errno. */
static long read_number(const char *path, const char *name)
{
	char text[8192];
	const char *line;
	const size_t len = strlen(name);
	int ret;

	ret = read_text(path, text, sizeof(text));
	if (ret)
		return ret;
	for (line = text; line; line = strchr(line, '\n')) {
		if (*line == '\n')
			line++;
		if (!strncmp(line, name, len) &&
		    (len == 0 || line[len] == ' ' || line[len] == ':'))
			return strtol(line + len + (len != 0), NULL, 10);
	}
	return -ENODATA;
}

/*
 * Asks whether a port is allowed: returns 0 or -EACCES.  The address is not of
 * this machine.  A socket cannot be bound or connected to it, so the same
 * socket can ask for every port.
 */
static int ask(int fd, bool for_bind, __u16 port)
{
	union addr addr;
	const socklen_t len = loopback(&addr, AF_INET, port);

	/* TEST-NET-1 of RFC 5737. */
	addr.in.sin_addr.s_addr = htonl(0xc0000201);
	if (!(for_bind ? bind(fd, &addr.sa, len) :
			 connect(fd, &addr.sa, len)))
		return -EPROTO;
	return errno == (for_bind ? EADDRNOTAVAIL : ENETUNREACH) ? 0 : -errno;
}

/* Returns the rights that a ruleset grants on a port. */
typedef __u64 (*rights_fn)(int port, int layer);

/* Adds a rule for each port that has rights. */
static int fill(int fd, rights_fn rights, int layer)
{
	int port, ret = 0;

	for (port = 0; !ret && port < NUM_PORTS; port++) {
		if (rights(port, layer))
			ret = add_port(fd, port, rights(port, layer));
	}
	return ret;
}

/* Returns a ruleset with a rule for each port that has rights. */
static int filled_ruleset(rights_fn rights, int layer)
{
	const int fd = net_ruleset(TCP);
	int ret;

	if (fd < 0)
		return fd;
	ret = fill(fd, rights, layer);
	if (ret) {
		close(fd);
		return ret;
	}
	return fd;
}

/*
 * Asks on every @step-th port, in a domain with layers 0 to @num - 1 of
 * @rights.  Returns how many answers are wrong.
 */
static int count_wrong(rights_fn rights, int num, int step)
{
	const int fd = make_socket(AF_INET, SOCK_STREAM, 0);
	int port, layer, wrong = 0;

	if (fd < 0)
		return fd;
	for (port = 0; port < NUM_PORTS; port += step) {
		__u64 allowed = TCP;

		for (layer = 0; layer < num; layer++)
			allowed &= rights(port, layer);
		wrong += ask(fd, true, port) !=
			 (allowed & BIND_TCP ? 0 : -EACCES);
		wrong += ask(fd, false, port) !=
			 (allowed & CONNECT_TCP ? 0 : -EACCES);
	}
	close(fd);
	return wrong;
}

FIXTURE(limits)
{
};

FIXTURE_SETUP(limits)
{
	ASSERT_EQ(0, own_network());
	ASSERT_EQ(0, no_new_privs());
}

FIXTURE_TEARDOWN(limits)
{
}

/* Seconds, in a guest with an emulated processor. */
#define TIMEOUT 600

/* Every port has a rule, and none has all rights. */
static __u64 one_right_each(int port, int layer)
{
	return (port % 3 == 0) == (layer % 2 == 0) ? BIND_TCP : CONNECT_TCP;
}

/* Every port has a rule, and most rules grant all rights. */
static __u64 all_but_some(int port, int layer)
{
	return port % 61 == layer ? CONNECT_TCP : TCP;
}

TEST_F_TIMEOUT(limits, rules_for_all_ports, TIMEOUT)
{
	int fd;

	fd = filled_ruleset(one_right_each, 0);
	ASSERT_LE(0, fd);
	/* Each rule exists already, and may be added again. */
	EXPECT_EQ(0, fill(fd, one_right_each, 0));
	EXPECT_EQ(0, restrict_self(fd, 0));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, count_wrong(one_right_each, 1, 1));

	/*
	 * This layer grants the other right on each port, so that no right is
	 * left.
	 */
	fd = filled_ruleset(one_right_each, 1);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, restrict_self(fd, 0));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, count_wrong(one_right_each, 2, 1));
}

TEST_F_TIMEOUT(limits, rules_for_all_ports_in_all_layers, TIMEOUT)
{
	long adding = 0, enforcing = 0, start;
	int layer, fd;

	for (layer = 0; layer < MAX_LAYERS; layer++) {
		start = now_ms();
		fd = filled_ruleset(all_but_some, layer);
		ASSERT_LE(0, fd);
		adding += now_ms() - start;

		start = now_ms();
		ASSERT_EQ(0, restrict_self(fd, 0));
		enforcing += now_ms() - start;
		ASSERT_EQ(0, close(fd));
		ASSERT_EQ(0, count_wrong(all_but_some, layer + 1, 97));
	}
	EXPECT_EQ(0, count_wrong(all_but_some, MAX_LAYERS, 7));
	fd = net_ruleset(TCP);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-E2BIG, restrict_self(fd, 0));
	EXPECT_EQ(0, close(fd));
	TH_LOG("%d layers of %d rules: %ld ms to add, %ld ms to enforce",
	       MAX_LAYERS, NUM_PORTS, adding, enforcing);
}

/* Memory cgroups */

#define CGROUP "/sys/fs/cgroup"
#define GROUP CGROUP "/portlock-limits"

/* A rule needs at least a node of the tree: a parent and two children. */
#define MIN_RULE_BYTES (3 * sizeof(void *))

/*
 * A domain may share its rules and index with the ruleset.  It always has its
 * own structure, list of layers and place in the hierarchy.
 */
#define MIN_DOMAIN_BYTES 256

/* Half-filled slabs, and memory that each processor may keep for later. */
#define SLACK (32 * 1024)

static __u64 no_pattern(int port, int layer)
{
	/* The last step of MurmurHash3. */
	__u32 hash = port + 1;

	hash ^= hash >> 16;
	hash *= 0x85ebca6b;
	hash ^= hash >> 13;
	hash *= 0xc2b2ae35;
	hash ^= hash >> 16;
	return hash & 1 ? BIND_TCP : CONNECT_TCP;
}

/* Few rules, so that a domain with copies of them is also small. */
static __u64 sparse(int port, int layer)
{
	return port % 4096 ? 0 : no_pattern(port, layer);
}

/* How long charges may take to be visible: each processor keeps some. */
#define SETTLE_TRIES 100
#define SETTLE_MS 250

/* Longer than a tick, so that timers run which an idle processor defers. */
#define BUSY_MS 25

/*
 * Kernel memory that is charged to the group, in bytes.
 *
 * A deferrable timer updates the statistics after small changes.  It runs only
 * when its processor is busy, so this keeps every processor busy for a while.
 */
static long charged(void)
{
	cpu_set_t all, one;
	long end;
	int cpu;

	if (sched_getaffinity(0, sizeof(all), &all))
		return -errno;
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (sched_setaffinity(0, sizeof(one), &one))
			return -errno;
		for (end = now_ms() + BUSY_MS; now_ms() < end;)
			;
	}
	if (sched_setaffinity(0, sizeof(all), &all))
		return -errno;
	return read_number(GROUP "/memory.stat", "kernel");
}

static long settled_charge(void)
{
	long last = -1, now = charged();
	int i, same = 0;

	/* The kernel updates the statistics every two seconds. */
	for (i = 0; i < SETTLE_TRIES && now >= 0 && same < 10; i++) {
		last = now;
		pause_ms(SETTLE_MS);
		now = charged();
		same = now == last ? same + 1 : 0;
	}
	return now;
}

/* Waits until the charge is at least, or at most, @bytes. */
static long wait_for_charge(bool at_least, long bytes)
{
	long now = charged();
	int i;

	for (i = 0; i < SETTLE_TRIES && now >= 0; i++) {
		if (at_least ? now >= bytes : now <= bytes)
			break;
		pause_ms(SETTLE_MS);
		now = charged();
	}
	return now;
}

static int join_group(void)
{
	return write_text(GROUP "/cgroup.procs", "0");
}

/*
 * A process of the group.  Its parent tells it when to continue.  They
 * communicate through memory that was allocated before, because a full group
 * has no memory even for a byte in a pipe.
 */
struct member {
	pid_t pid;
	struct talk {
		int commands;
		int answers;
		int answer;
	} *talk;
};

static void wait_for_command(const struct member *member)
{
	struct talk *const talk = member->talk;

	while (__atomic_load_n(&talk->commands, __ATOMIC_SEQ_CST) ==
	       talk->answers)
		syscall(SYS_futex, &talk->commands, FUTEX_WAIT, talk->answers,
			NULL);
}

static void answer(const struct member *member, int ret)
{
	struct talk *const talk = member->talk;

	talk->answer = ret;
	__atomic_add_fetch(&talk->answers, 1, __ATOMIC_SEQ_CST);
}

/* Lets the member continue, and returns its answer. */
static int command(const struct member *member)
{
	struct talk *const talk = member->talk;
	siginfo_t info = {};

	__atomic_add_fetch(&talk->commands, 1, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &talk->commands, FUTEX_WAKE, 1);
	while (__atomic_load_n(&talk->answers, __ATOMIC_SEQ_CST) <
	       talk->commands) {
		/* It may have been killed. */
		if (waitid(P_PID, member->pid, &info,
			   WEXITED | WNOHANG | WNOWAIT))
			return -errno;
		if (info.si_pid)
			return -ECHILD;
		pause_ms(1);
	}
	return talk->answer;
}

typedef void (*member_fn)(const struct member *member, int fd);

/* Starts a process that joins the group, and waits until it has joined. */
static int start_member(struct member *member, member_fn run, int fd)
{
	int ret;

	member->talk = mmap(NULL, sizeof(*member->talk), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (member->talk == MAP_FAILED)
		return -errno;
	memset(member->talk, 0, sizeof(*member->talk));
	member->pid = fork();
	if (member->pid < 0)
		return -errno;
	if (member->pid == 0) {
		wait_for_command(member);
		ret = join_group();
		/* Without memory, the process could not get a page later. */
		if (!ret && mlockall(MCL_CURRENT))
			ret = -errno;
		answer(member, ret);
		if (!ret)
			run(member, fd);
		_exit(1);
	}
	return command(member);
}

/* Returns the signal that ended it, or a negative errno. */
static int end_member(const struct member *member)
{
	int status;

	kill(member->pid, SIGKILL);
	if (waitpid(member->pid, &status, 0) != member->pid)
		return -errno;
	munmap(member->talk, sizeof(*member->talk));
	return WIFSIGNALED(status) ? WTERMSIG(status) : -ECHILD;
}

FIXTURE(group)
{
};

FIXTURE_SETUP(group)
{
	int ret;

	ret = write_text(CGROUP "/cgroup.subtree_control", "+memory");
	if (ret == -ENOENT || ret == -EINVAL)
		SKIP(return, "there is no memory cgroup at " CGROUP);
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, mkdir(GROUP, 0755));
	ASSERT_EQ(0, own_network());
	ASSERT_EQ(0, no_new_privs());
}

FIXTURE_TEARDOWN(group)
{
	int i, ret = -1;

	/* Kills all processes that are left in the group. */
	write_text(GROUP "/cgroup.kill", "1");
	for (i = 0; ret && i < SETTLE_TRIES; i++) {
		ret = rmdir(GROUP);
		if (ret)
			pause_ms(SETTLE_MS);
	}
	EXPECT_EQ(0, ret);
	EXPECT_EQ(0, write_text(CGROUP "/cgroup.subtree_control", "-memory"));
}

static void add_rules(const struct member *member, int fd)
{
	wait_for_command(member);
	answer(member, fill(fd, one_right_each, 0));
	wait_for_command(member);
	answer(member, close(fd) ? -errno : 0);
	/* The parent ends it. */
	pause();
}

/*
 * The parent, outside the group, makes the ruleset.  Only the rules that the
 * group adds are charged to the group.
 */
TEST_F_TIMEOUT(group, pays_for_the_rules_that_it_adds, TIMEOUT)
{
	const long least = NUM_PORTS * MIN_RULE_BYTES;
	long before, after, end;
	struct member member;
	int fd;

	fd = net_ruleset(TCP);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, start_member(&member, add_rules, fd));
	before = settled_charge();
	ASSERT_LE(0, before);
	ASSERT_EQ(0, command(&member));
	after = wait_for_charge(true, before + least);
	EXPECT_LE(before + least, after);

	/* The rules and their charge stay when the writer has ended. */
	EXPECT_EQ(SIGKILL, end_member(&member));
	EXPECT_LE(least, settled_charge());
	EXPECT_EQ(0, close(fd));
	end = wait_for_charge(false, before + SLACK);
	EXPECT_GE(before + SLACK, end);
	TH_LOG("KiB of kernel memory: %ld, with %d rules %ld, at the end %ld",
	       before / 1024, NUM_PORTS, after / 1024, end / 1024);
}

/* The charge ends with the ruleset. */
TEST_F_TIMEOUT(group, pays_no_longer_than_there_is_a_ruleset, TIMEOUT)
{
	const long least = NUM_PORTS * MIN_RULE_BYTES;
	struct member member;
	long before, end;
	int fd;

	fd = net_ruleset(TCP);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, start_member(&member, add_rules, fd));
	EXPECT_EQ(0, close(fd));
	before = settled_charge();
	ASSERT_LE(0, before);
	ASSERT_EQ(0, command(&member));
	EXPECT_LE(before + least, wait_for_charge(true, before + least));
	ASSERT_EQ(0, command(&member));
	end = wait_for_charge(false, before + SLACK);
	EXPECT_GE(before + SLACK, end);
	EXPECT_EQ(SIGKILL, end_member(&member));
	EXPECT_GE(SLACK, wait_for_charge(false, SLACK));
	TH_LOG("KiB of kernel memory: %ld, without the ruleset %ld",
	       before / 1024, end / 1024);
}

static void enforce_rules(const struct member *member, int fd)
{
	wait_for_command(member);
	/* A first call, for memory that is allocated only once. */
	answer(member, restrict_self(-1,
				     LANDLOCK_RESTRICT_SELF_LOG_SUBDOMAINS_OFF));
	wait_for_command(member);
	answer(member, restrict_self(fd, 0));
	wait_for_command(member);
	answer(member, count_wrong(sparse, 1, 1024));
	pause();
}

/*
 * Charges are counted in pages, and each processor may have up to a page that
 * is charged and not used yet.  All domains together must need more than this.
 */
#define NUM_MEMBERS 128

/* The group pays for the domain, and did not make the ruleset or its rules. */
TEST_F_TIMEOUT(group, pays_for_the_domains_that_it_enforces, TIMEOUT)
{
	const long least = NUM_MEMBERS * MIN_DOMAIN_BYTES;
	struct member members[NUM_MEMBERS];
	long before, after, end;
	int fd, i;

	fd = filled_ruleset(sparse, 0);
	ASSERT_LE(0, fd);
	for (i = 0; i < NUM_MEMBERS; i++) {
		ASSERT_EQ(0, start_member(&members[i], enforce_rules, fd));
		ASSERT_EQ(0, command(&members[i]));
	}
	before = settled_charge();
	ASSERT_LE(0, before);

	for (i = 0; i < NUM_MEMBERS; i++)
		ASSERT_EQ(0, command(&members[i]));
	after = wait_for_charge(true, before + least);
	EXPECT_LE(before + least, after);
	for (i = 0; i < NUM_MEMBERS; i++)
		EXPECT_EQ(0, command(&members[i]));

	for (i = 0; i < NUM_MEMBERS; i++)
		EXPECT_EQ(SIGKILL, end_member(&members[i]));
	/* The ruleset still exists, and is not charged to the group. */
	end = wait_for_charge(false, SLACK);
	EXPECT_GE(SLACK, end);
	EXPECT_EQ(0, close(fd));
	TH_LOG("KiB of kernel memory: %ld, with %d domains %ld, at the end %ld",
	       before / 1024, NUM_MEMBERS, after / 1024, end / 1024);
}

#define NUM_ADDRESSES 16384

/* Two ends of a prefix, with the address and a number for each. */
#define MIN_ADDRESS_BYTES (2 * (sizeof(__u32) + sizeof(__u16)))

static int add_addresses(int fd)
{
	int i, ret = 0;

	for (i = 0; !ret && i < NUM_ADDRESSES; i++) {
		char prefix[32];

		/* Every second address, so that no two are neighbours. */
		snprintf(prefix, sizeof(prefix), "10.0.%d.%d/32", i / 128,
			 i % 128 * 2);
		ret = add_net(fd, TCP, i, i, prefix);
	}
	return ret;
}

static void add_and_enforce(const struct member *member, int fd)
{
	wait_for_command(member);
	answer(member, add_addresses(fd));
	wait_for_command(member);
	answer(member, restrict_self(fd, 0));
	pause();
}

/* The same for rules about addresses, and for what is made of them. */
TEST_F_TIMEOUT(group, pays_for_addresses, TIMEOUT)
{
	const long least_rules = NUM_ADDRESSES * MIN_RULE_BYTES;
	const long least_made = NUM_ADDRESSES * MIN_ADDRESS_BYTES;
	long before, with_rules, with_domain, end;
	struct member member;
	int fd;

	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	fd = extended(TCP, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, start_member(&member, add_and_enforce, fd));
	before = settled_charge();
	ASSERT_LE(0, before);
	ASSERT_EQ(0, command(&member));
	with_rules = settled_charge();
	EXPECT_LE(before + least_rules, with_rules);
	ASSERT_EQ(0, command(&member));
	with_domain = wait_for_charge(true, with_rules + least_made);
	EXPECT_LE(with_rules + least_made, with_domain);

	/* The ruleset keeps what was made of it, and the charge. */
	EXPECT_EQ(SIGKILL, end_member(&member));
	EXPECT_LE(least_rules + least_made, settled_charge());
	EXPECT_EQ(0, close(fd));
	end = wait_for_charge(false, SLACK);
	EXPECT_GE(SLACK, end);
	TH_LOG("KiB of kernel memory: %ld, with %d rules %ld, enforced %ld, at the end %ld",
	       before / 1024, NUM_ADDRESSES, with_rules / 1024,
	       with_domain / 1024, end / 1024);
}

/* The rings of all of them are larger than the limit below. */
#define NUM_OBSERVERS 128

#define RING_BYTES (CAPACITY * sizeof(struct portlock_event))

/*
 * Creates observers until there is an error, or until there are enough, and
 * returns the error.
 */
static int create_observers(int *observers, int *num)
{
	for (*num = 0; *num < NUM_OBSERVERS; (*num)++) {
		const int fd = new_observer();

		if (fd < 0)
			return fd;
		observers[*num] = fd;
	}
	return 0;
}

static int close_all(const int *fds, int num)
{
	int i, ret = 0;

	for (i = 0; !ret && i < num; i++)
		ret = close(fds[i]) ? -errno : 0;
	return ret;
}

static void have_observers(const struct member *member, int fd)
{
	int observers[NUM_OBSERVERS];
	int num, i, ret;

	wait_for_command(member);
	answer(member, create_observers(observers, &num));
	/* What writes to an observer does not keep its records. */
	wait_for_command(member);
	ret = 0;
	for (i = 0; ret >= 0 && i < num; i++)
		ret = observed(observers[i], BIND_TCP);
	answer(member, ret < 0 ? ret : close_all(observers, num));
	pause();
}

TEST_F_TIMEOUT(group, pays_for_observers_until_they_are_closed, TIMEOUT)
{
	const long least = NUM_OBSERVERS * RING_BYTES;
	long before, after, end;
	struct member member;

	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, start_member(&member, have_observers, -1));
	before = settled_charge();
	ASSERT_LE(0, before);
	ASSERT_EQ(0, command(&member));
	after = wait_for_charge(true, before + least);
	EXPECT_LE(before + least, after);
	ASSERT_EQ(0, command(&member));
	end = wait_for_charge(false, before + least / 8);
	EXPECT_GE(before + least / 8, end);
	EXPECT_EQ(SIGKILL, end_member(&member));
	EXPECT_GE(SLACK, wait_for_charge(false, SLACK));
	TH_LOG("KiB of kernel memory: %ld, with %d observers %ld, closed %ld",
	       before / 1024, NUM_OBSERVERS, after / 1024, end / 1024);
}

/* Enough for a process and some rules, and not for many. */
#define SMALL_MAX "6M"

#define MAX_FILLERS 64

/* Adds rules until there is no memory, and returns the error. */
static int fill_the_group(int *fillers, int *num)
{
	int ret = 0;

	for (*num = 0; !ret && *num < MAX_FILLERS; (*num)++) {
		fillers[*num] = net_ruleset(TCP);
		if (fillers[*num] < 0)
			return fillers[*num];
		ret = fill(fillers[*num], one_right_each, *num);
	}
	return ret;
}

static void meet_the_limit(const struct member *member, int fd)
{
	const int sock_fd = make_socket(AF_INET, SOCK_STREAM, 0);
	int fillers[MAX_FILLERS];
	int i, num, ret;

	wait_for_command(member);
	answer(member, sock_fd < 0 ? sock_fd : fill_the_group(fillers, &num));

	/* There is no memory for a domain either. */
	wait_for_command(member);
	answer(member, restrict_self(fd, 0));
	wait_for_command(member);
	ret = ask(sock_fd, true, 3);
	answer(member, ret ? ret : ask(sock_fd, false, 3));

	/* There is memory for a domain when the rulesets are freed. */
	wait_for_command(member);
	for (i = 0; i < num; i++)
		close(fillers[i]);
	for (i = 0; i < SETTLE_TRIES; i++) {
		ret = restrict_self(fd, 0);
		if (ret != -ENOMEM)
			break;
		pause_ms(SETTLE_MS);
	}
	answer(member, ret);
	wait_for_command(member);
	answer(member, count_wrong(no_pattern, 1, 11));
	pause();
}

static int restrict_elsewhere(int fd)
{
	const pid_t child = fork();

	if (child == 0) {
		const int own = filled_ruleset(one_right_each, 0);

		if (own < 0 || restrict_self(own, 0) || restrict_self(fd, 0))
			_exit(1);
		_exit(0);
	}
	return child < 0 ? -errno : wait_child(child);
}

/*
 * The kernel must not kill this process for its memory, so allocations fail
 * instead.  The refusal of rules and of a domain proves that they are charged.
 */
TEST_F_TIMEOUT(group, refuses_what_it_has_no_memory_for, TIMEOUT)
{
	struct member member;
	int fd;

	fd = filled_ruleset(no_pattern, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, write_text(GROUP "/memory.max", SMALL_MAX));
	/* For the child, which inherits it. */
	ASSERT_EQ(0, write_text("/proc/self/oom_score_adj", "-1000"));
	ASSERT_EQ(0, start_member(&member, meet_the_limit, fd));
	ASSERT_EQ(0, write_text("/proc/self/oom_score_adj", "0"));

	EXPECT_EQ(-ENOMEM, command(&member));
	EXPECT_EQ(-ENOMEM, command(&member));
	EXPECT_EQ(0, command(&member))
		TH_LOG("a call that failed restricts");
	EXPECT_LT(0, read_number(GROUP "/memory.events", "oom"));
	EXPECT_EQ(0, read_number(GROUP "/memory.events", "oom_kill"));
	/* Processes outside the group still get memory. */
	EXPECT_EQ(0, restrict_elsewhere(fd));

	EXPECT_EQ(0, command(&member));
	EXPECT_EQ(0, command(&member));
	EXPECT_EQ(SIGKILL, end_member(&member));
	EXPECT_EQ(0, close(fd));
}

static void exhaust_by_observers(const struct member *member, int fd)
{
	int observers[NUM_OBSERVERS];
	int num, ret, i;

	wait_for_command(member);
	answer(member, create_observers(observers, &num));
	wait_for_command(member);
	ret = close_all(observers, num);
	/* There is memory again when the rings are freed. */
	for (i = 0; !ret && i < SETTLE_TRIES; i++) {
		ret = new_observer();
		if (ret != -ENOMEM)
			break;
		ret = 0;
		pause_ms(SETTLE_MS);
	}
	answer(member, ret < 0 ? ret : 0);
	pause();
}

TEST_F_TIMEOUT(group, refuses_observers_that_it_has_no_memory_for, TIMEOUT)
{
	struct member member;

	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, write_text(GROUP "/memory.max", SMALL_MAX));
	ASSERT_EQ(0, write_text("/proc/self/oom_score_adj", "-1000"));
	ASSERT_EQ(0, start_member(&member, exhaust_by_observers, -1));
	ASSERT_EQ(0, write_text("/proc/self/oom_score_adj", "0"));
	EXPECT_EQ(-ENOMEM, command(&member));
	EXPECT_EQ(0, read_number(GROUP "/memory.events", "oom_kill"));
	EXPECT_EQ(0, command(&member));
	EXPECT_EQ(SIGKILL, end_member(&member));
}

static void exceed_the_limit(const struct member *member, int fd)
{
	int fillers[MAX_FILLERS];
	int num;

	wait_for_command(member);
	answer(member, fill_the_group(fillers, &num));
	pause();
}

TEST_F_TIMEOUT(group, is_killed_alone, TIMEOUT)
{
	struct member member;
	int fd;

	fd = filled_ruleset(no_pattern, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, write_text(GROUP "/memory.max", SMALL_MAX));
	ASSERT_EQ(0, start_member(&member, exceed_the_limit, fd));
	EXPECT_EQ(-ECHILD, command(&member));
	EXPECT_EQ(SIGKILL, end_member(&member));
	EXPECT_EQ(1, read_number(GROUP "/memory.events", "oom_kill"));
	EXPECT_EQ(0, restrict_elsewhere(fd));
	EXPECT_EQ(0, close(fd));
}

/* Many observers */

TEST_F(limits, observers_are_descriptors)
{
	const struct rlimit limit = {
		.rlim_cur = NUM_OBSERVERS / 2,
		.rlim_max = NUM_OBSERVERS,
	};
	int observers[NUM_OBSERVERS];
	int i, num, open = 0;

	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	for (i = 0; i < limit.rlim_cur; i++)
		open += fcntl(i, F_GETFD) >= 0;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	EXPECT_EQ(-EMFILE, create_observers(observers, &num));
	EXPECT_EQ(limit.rlim_cur - open, num);
	EXPECT_EQ(-EMFILE, new_observer());
	EXPECT_EQ(0, close(observers[--num]));
	observers[num] = new_observer();
	EXPECT_LE(0, observers[num++]);
	EXPECT_EQ(0, close_all(observers, num));
}

/* As many layers as there can be each tell an observer of their own. */
TEST_F(limits, many_observers)
{
	int observers[NUM_OBSERVERS];
	int i, num, fd;

	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	fd = make_socket(AF_INET, SOCK_STREAM, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, create_observers(observers, &num));
	for (i = 0; i < num; i++) {
		EXPECT_EQ(i < MAX_LAYERS ? 0 : -E2BIG,
			  enforce(observed(observers[i], BIND_TCP)));
	}
	EXPECT_EQ(-EACCES, ask(fd, true, 1));
	for (i = 0; i < num; i++) {
		EXPECT_EQ(0, fcntl(observers[i], F_SETFL, O_NONBLOCK));
		EXPECT_EQ(i < MAX_LAYERS, drain(observers[i]))
			TH_LOG("observer %d", i);
	}
	EXPECT_EQ(0, close_all(observers, num));
	EXPECT_EQ(0, close(fd));
}

/* Many domains */

#define NUM_PROCESSES 10000

/* About the maximum for a process that shares its parent's memory. */
#define PROCESS_KB 64

#define STACK_SIZE 4096

/* How many of them check what they may do. */
#define NUM_ASKED 500

/* The port that only the process with this number may bind. */
static __u16 port_of(int number)
{
	return 1024 + number;
}

/*
 * All processes share this memory, and even errno.  They therefore run on one
 * processor, and only one of them works at a time.
 */
static struct {
	/* How many are in their domain, or have failed. */
	int ready;
	int failed;
	/* Each reads a byte from this pipe before it checks its ports. */
	int command[2];
	/* How many have checked their ports, and how many found an error. */
	int looked;
	int wrong;
	int socket;
} many;

static int add_up(int *counter)
{
	return __atomic_add_fetch(counter, 1, __ATOMIC_SEQ_CST);
}

static int restrict_to_number(int number)
{
	const int fd = net_ruleset(BIND_TCP);
	int ret;

	if (fd < 0)
		return fd;
	ret = add_port(fd, port_of(number), BIND_TCP);
	if (!ret)
		ret = restrict_self(fd, 0);
	close(fd);
	return ret;
}

static int live_in_a_domain(void *data)
{
	const int number = (intptr_t)data;
	char byte;

	if (restrict_to_number(number))
		add_up(&many.failed);
	add_up(&many.ready);
	while (read(many.command[0], &byte, 1) == 1) {
		if (ask(many.socket, true, port_of(number)) ||
		    ask(many.socket, true, port_of(number) + 1) != -EACCES ||
		    ask(many.socket, true, port_of(number) - 1) != -EACCES)
			add_up(&many.wrong);
		add_up(&many.looked);
	}
	return 0;
}

static void wait_for(const int *counter, int value)
{
	while (__atomic_load_n(counter, __ATOMIC_SEQ_CST) < value)
		sched_yield();
}

static int stay_on_one_cpu(void)
{
	cpu_set_t set;
	int cpu = sched_getcpu();

	if (cpu < 0)
		return -errno;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
}

static long slab_kb(void)
{
	return read_number("/proc/meminfo", "SUnreclaim");
}

/* Memory of the tests before may not be freed yet. */
static long settled_slab(void)
{
	long last = -1, now = slab_kb();
	int i;

	for (i = 0; i < SETTLE_TRIES && labs(now - last) > now / 256; i++) {
		last = now;
		pause_ms(4 * SETTLE_MS);
		now = slab_kb();
	}
	return now;
}

/* Waits until slabs use no more than @kb, or until the time is over. */
static long settle_slab(long kb)
{
	long now = slab_kb();
	int i;

	for (i = 0; i < SETTLE_TRIES && now > kb; i++) {
		pause_ms(SETTLE_MS);
		now = slab_kb();
	}
	return now;
}

#define THREADS_MAX "/proc/sys/kernel/threads-max"

static int start_many(char *stacks)
{
	int i, children = 0;

	for (i = 0; i < NUM_PROCESSES; i++) {
		char *const stack = stacks + (i + 1) * STACK_SIZE;

		if (clone(live_in_a_domain, stack,
			  CLONE_VM | CLONE_FS | CLONE_FILES | SIGCHLD,
			  (void *)(intptr_t)i) < 0)
			break;
		children++;
		wait_for(&many.ready, children);
	}
	return children;
}

/* Starts all, lets some check, and ends all.  Returns the slabs in KiB. */
static long run_many(struct __test_metadata *_metadata, char *stacks)
{
	int i, children;
	long peak;

	many.ready = 0;
	many.looked = 0;
	ASSERT_EQ(0, pipe2(many.command, O_CLOEXEC));
	children = start_many(stacks);
	EXPECT_EQ(NUM_PROCESSES, children);
	EXPECT_EQ(0, many.failed);
	peak = slab_kb();

	/* They wait in a queue, so each byte goes to another process. */
	for (i = 0; i < NUM_ASKED; i++) {
		EXPECT_EQ(1, write(many.command[1], "l", 1));
		wait_for(&many.looked, i + 1);
	}
	EXPECT_EQ(0, many.wrong);

	/* All of them read the end of the pipe and exit. */
	EXPECT_EQ(0, close(many.command[1]));
	for (i = 0; i < children; i++)
		ASSERT_LT(0, waitpid(-1, NULL, 0));
	EXPECT_EQ(-1, waitpid(-1, NULL, 0));
	EXPECT_EQ(ECHILD, errno);
	EXPECT_EQ(0, close(many.command[0]));
	return peak;
}

/* A leak is visible in each pass, and half-filled slabs are not. */
#define NUM_PASSES 4

/* For each process, less than the smallest object of a domain. */
#define SLACK_KB (NUM_PROCESSES * 40 / 1024)

TEST_F_TIMEOUT(limits, ten_thousand_domains, TIMEOUT)
{
	long available, before, peak, after = 0;
	char saved[16] = {};
	char *stacks;
	int pass;

	available = read_number("/proc/meminfo", "MemAvailable");
	if (available < NUM_PROCESSES * PROCESS_KB)
		SKIP(return, "%d processes may take %d KiB, and there are %ld",
		     NUM_PROCESSES, NUM_PROCESSES * PROCESS_KB, available);
	ASSERT_EQ(0, read_text(THREADS_MAX, saved, sizeof(saved)));
	ASSERT_EQ(0, write_text(THREADS_MAX, "20000"));
	stacks = mmap(NULL, NUM_PROCESSES * STACK_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, stacks);
	ASSERT_EQ(0, stay_on_one_cpu());
	many.socket = make_socket(AF_INET, SOCK_STREAM, 0);
	ASSERT_LE(0, many.socket);

	for (pass = 0; pass < NUM_PASSES; pass++) {
		before = settled_slab();
		peak = run_many(_metadata, stacks);
		after = settle_slab(before + SLACK_KB);
		TH_LOG("KiB of slabs: %ld, with %d domains %ld, then %ld",
		       before, NUM_PROCESSES, peak, after);
		if (after <= before + SLACK_KB)
			break;
	}
	EXPECT_GE(before + SLACK_KB, after);
	EXPECT_EQ(0, write_text(THREADS_MAX, saved));
}

TEST_HARNESS_MAIN
