// SPDX-License-Identifier: GPL-2.0
/*
 * Portlock tests: limits of extended rulesets
 *
 * As many layers, prefixes and rules about addresses as there can be.  Answers
 * are compared with what a loop over all rules says.
 */

#include <time.h>

#include "kselftest_harness.h"
#include "extended.h"

/* Seconds, in a guest with an emulated processor. */
#define TIMEOUT 600

/* A rule as the loop reads it: @bits of @address are fixed. */
struct rule {
	int family, bits;
	unsigned char address[16];
	__u16 first, last;
	__u64 access;
};

static int add(int fd, const struct rule *rule)
{
	struct portlock_net_attr attr = {
		.allowed_access = rule->access,
		.port_first = rule->first,
		.port_last = rule->last,
		.family = rule->family,
		.prefix_len = rule->bits,
	};

	memcpy(attr.address, rule->address, sizeof(attr.address));
	return add_rule(fd, PORTLOCK_RULE_NET, &attr, 0);
}

static bool matches(const struct rule *rule, int family,
		    const unsigned char *address, __u16 port)
{
	int bit;

	if (rule->family != family || port < rule->first || port > rule->last)
		return false;
	for (bit = 0; bit < rule->bits; bit++) {
		if ((rule->address[bit / 8] ^ address[bit / 8]) &
		    0x80 >> bit % 8)
			return false;
	}
	return true;
}

static __u64 granted(const struct rule *rules, size_t num, int family,
		     const unsigned char *address, __u16 port)
{
	__u64 access = 0;
	size_t i;

	for (i = 0; i < num; i++) {
		if (matches(&rules[i], family, address, port))
			access |= rules[i].access;
	}
	return access;
}

/*
 * Asks whether an address and port are allowed: returns 0 or -EACCES.  The
 * address is not of this machine, and there is no route, so one socket can ask
 * for all.
 */
static int ask(int fd, bool for_bind, int family, const unsigned char *address,
	       __u16 port)
{
	union addr addr;
	const socklen_t len = loopback(&addr, family, port);

	if (family == AF_INET)
		memcpy(&addr.in.sin_addr, address, 4);
	else
		memcpy(&addr.in6.sin6_addr, address, 16);
	if (!(for_bind ? bind(fd, &addr.sa, len) :
			 connect(fd, &addr.sa, len)))
		return -EPROTO;
	return errno == (for_bind ? EADDRNOTAVAIL : ENETUNREACH) ? 0 : -errno;
}

/* Sockets of both families, and random numbers. */
static int sockets[2];
static __u32 state = 1;

static __u32 next_random(void)
{
	/* Xorshift. */
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

/* An address with few different bytes, so that prefixes contain each other. */
static void random_address(int family, unsigned char *address)
{
	int i;

	memset(address, 0, 16);
	if (family == AF_INET) {
		address[0] = 10;
		for (i = 1; i < 4; i++)
			address[i] = next_random() % 4 * 85;
		return;
	}
	address[0] = 0x20;
	address[1] = 0x01;
	for (i = 2; i < 16; i++)
		address[i] = i % 5 ? 0 : next_random() % 4 * 85;
}

static struct rule random_rule(void)
{
	static const __u64 rights[] = { BIND_TCP, CONNECT_TCP,
					BIND_TCP | CONNECT_TCP };
	struct rule rule = {
		.family = next_random() % 2 ? AF_INET : AF_INET6,
		.access = rights[next_random() % 3],
	};
	const int all = rule.family == AF_INET ? 32 : 128;
	int i;

	random_address(rule.family, rule.address);
	/* Not so short that it contains everything. */
	rule.bits = 8 + next_random() % (all - 8 + 1);
	for (i = rule.bits; i < 128; i++)
		rule.address[i / 8] &= ~(0x80 >> i % 8);
	rule.first = next_random();
	rule.last = rule.first;
	if (next_random() % 2)
		rule.last += next_random() % (65536 - rule.first) / 64;
	return rule;
}

/* Asks at random, and at the ends of rules.  Returns the wrong answers. */
static int count_wrong(const struct rule *rules, size_t num, int tries)
{
	int i, wrong = 0, allowed = 0;

	for (i = 0; i < tries; i++) {
		const struct rule *const rule = &rules[next_random() % num];
		const int family = next_random() % 2 ? AF_INET : AF_INET6;
		const int fd = sockets[family == AF_INET6];
		unsigned char address[16];
		__u16 port = next_random();
		__u64 access;

		random_address(family, address);
		if (next_random() % 4)
			port = (next_random() % 2 ? rule->first : rule->last) +
			       next_random() % 3 - 1;
		if (next_random() % 2 && rule->family == family)
			memcpy(address, rule->address, 16);
		access = granted(rules, num, family, address, port);
		allowed += access != 0;
		wrong += ask(fd, true, family, address, port) !=
			 (access & BIND_TCP ? 0 : -EACCES);
		wrong += ask(fd, false, family, address, port) !=
			 (access & CONNECT_TCP ? 0 : -EACCES);
	}
	ksft_print_msg("%d of %d questions had a rule\n", allowed, tries);
	/* Questions of one kind would prove nothing. */
	return allowed > tries / 16 && allowed < tries * 15 / 16 ? wrong :
								   -EDOM;
}

FIXTURE(limits)
{
};

FIXTURE_SETUP(limits)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, own_network());
	ASSERT_EQ(0, no_new_privs());
	sockets[0] = make_socket(AF_INET, SOCK_STREAM, 0);
	sockets[1] = make_socket(AF_INET6, SOCK_STREAM, 0);
	ASSERT_LE(0, sockets[0]);
	ASSERT_LE(0, sockets[1]);
}

FIXTURE_TEARDOWN(limits)
{
	EXPECT_EQ(0, close(sockets[0]));
	EXPECT_EQ(0, close(sockets[1]));
}

#define NUM_RULES 4096

static struct rule rules[NUM_RULES];

TEST_F_TIMEOUT(limits, thousands_of_rules_that_overlap, TIMEOUT)
{
	static const size_t numbers[] = { 1, 16, 256, NUM_RULES };
	size_t i, j;

	for (i = 0; i < NUM_RULES; i++)
		rules[i] = random_rule();
	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		const size_t num = numbers[i];
		const int fd = extended(BIND_TCP | CONNECT_TCP, 0);
		const pid_t child = fork();
		long start, added;

		ASSERT_LE(0, fd);
		ASSERT_LE(0, child);
		if (child) {
			EXPECT_EQ(0, wait_child(child));
			EXPECT_EQ(0, close(fd));
			continue;
		}
		start = now_ms();
		for (j = 0; j < num; j++)
			ASSERT_EQ(0, add(fd, &rules[j]));
		added = now_ms();
		ASSERT_EQ(0, restrict_self(fd, 0));
		TH_LOG("%zu rules: %ld ms to add, %ld ms to enforce", num,
		       added - start, now_ms() - added);
		EXPECT_EQ(0, count_wrong(rules, num, num < 256 ? 200 : 2000));
		_exit(_metadata->exit_code);
	}
}

/* Each layer takes something away. */
TEST_F_TIMEOUT(limits, sixteen_layers_of_addresses, TIMEOUT)
{
	const int more = extended(BIND_TCP, 0);
	int layer, i;

	ASSERT_LE(0, more);
	for (layer = 0; layer < MAX_LAYERS; layer++) {
		const int fd = extended(BIND_TCP, 0);

		ASSERT_LE(0, fd);
		for (i = 0; i <= MAX_LAYERS; i++) {
			char prefix[32];

			snprintf(prefix, sizeof(prefix), "192.0.2.%d/32", i);
			if (i != layer)
				ASSERT_EQ(0, add_net(fd, BIND_TCP, i, 100 + i,
						     prefix));
		}
		ASSERT_EQ(0, enforce(fd));
		for (i = 0; i <= MAX_LAYERS; i++) {
			const unsigned char address[16] = { 192, 0, 2, i };

			EXPECT_EQ(i <= layer ? -EACCES : 0,
				  ask(sockets[0], true, AF_INET, address, 50))
				TH_LOG("layer %d, address %d", layer, i);
			EXPECT_EQ(-EACCES, ask(sockets[0], true, AF_INET,
					       address, 101 + i));
		}
	}
	EXPECT_EQ(-E2BIG, restrict_self(more, 0));
	EXPECT_EQ(-E2BIG, restrict_all(BIND_TCP));
	/* A layer too many refuses nothing. */
	EXPECT_EQ(0, tcp_connect("127.0.0.1", 1) + ECONNREFUSED);
	EXPECT_EQ(0, ask(sockets[0], true, AF_INET,
			 (const unsigned char[16]){ 192, 0, 2, 16 }, 50));
	EXPECT_EQ(0, close(more));
}

/* All layers of one ruleset share its rules. */
TEST_F_TIMEOUT(limits, sixteen_layers_of_one_ruleset, TIMEOUT)
{
	const int fd = extended(BIND_TCP | CONNECT_TCP, 0);
	int layer, i;

	ASSERT_LE(0, fd);
	for (i = 0; i < 256; i++) {
		rules[i] = random_rule();
		ASSERT_EQ(0, add(fd, &rules[i]));
	}
	for (layer = 0; layer < MAX_LAYERS; layer++)
		ASSERT_EQ(0, restrict_self(fd, 0));
	EXPECT_EQ(-E2BIG, restrict_self(fd, 0));
	EXPECT_EQ(0, count_wrong(rules, 256, 1000));
	EXPECT_EQ(0, close(fd));
}

/* The number of address @i, with gaps between neighbours. */
static void write_number(int family, __u32 i, unsigned char *address)
{
	const __u32 number = htonl(i * 2);

	memset(address, 0, 16);
	address[0] = family == AF_INET ? 10 : 0x20;
	if (family == AF_INET)
		memcpy(address + 1, (const char *)&number + 1, 3);
	else
		memcpy(address + 12, &number, sizeof(number));
}

static int add_number(int fd, int family, __u32 i)
{
	struct rule rule = {
		.family = family,
		.bits = family == AF_INET ? 32 : 128,
		.first = i % 1000,
		.last = i % 1000 + 1,
		.access = BIND_TCP,
	};

	write_number(family, i, rule.address);
	return add(fd, &rule);
}

/* Asks about every @step-th prefix, and beside it. */
static int count_wrong_numbers(__u32 num, __u32 step)
{
	int wrong = 0;
	__u32 i;

	for (i = 0; i < num; i += step) {
		const int family = i / step % 2 ? AF_INET : AF_INET6;
		const int fd = sockets[family == AF_INET6];
		const int last = family == AF_INET ? 3 : 15;
		const __u16 port = i % 1000;
		unsigned char address[16];

		write_number(family, i, address);
		wrong += ask(fd, true, family, address, port) != 0;
		wrong += ask(fd, true, family, address, port + 1) != 0;
		wrong += ask(fd, true, family, address, port + 2) != -EACCES;
		address[last]++;
		wrong += ask(fd, true, family, address, port) != -EACCES;
	}
	return wrong;
}

/*
 * As many prefixes as there can be, of both families.  A kernel that would work
 * on them for too long at a time would complain in its log, which fails the run.
 */
TEST_F_TIMEOUT(limits, all_prefixes_of_both_families, TIMEOUT)
{
	static const unsigned char no_rule[16] = { 192, 0, 2, 1 };
	const int fd = extended(BIND_TCP, 0);
	long start = now_ms();
	pid_t child;
	__u32 i;

	ASSERT_LE(0, fd);
	for (i = 0; i < MAX_PREFIXES; i++) {
		ASSERT_EQ(0, add_number(fd, AF_INET, i));
		ASSERT_EQ(0, add_number(fd, AF_INET6, i));
	}
	TH_LOG("%ld ms to add twice %d prefixes", now_ms() - start,
	       MAX_PREFIXES);
	EXPECT_EQ(-E2BIG, add_net(fd, BIND_TCP, 0, 65535, "192.0.2.0/24"));
	EXPECT_EQ(-E2BIG, add_net(fd, BIND_TCP, 0, 65535, "2001:db8::/32"));
	/* The same address with another length is another prefix. */
	EXPECT_EQ(-E2BIG, add_net(fd, BIND_TCP, 0, 65535, "10.0.0.0/8"));
	/* Known prefixes, and rules without one, have room. */
	EXPECT_EQ(0, add_number(fd, AF_INET, 7));
	EXPECT_EQ(0, add_net(fd, BIND_TCP, 5000, 5000, "10.0.0.14/32"));
	EXPECT_EQ(0, add_net(fd, BIND_TCP, 6000, 6000, NULL));

	child = fork();
	ASSERT_LE(0, child);
	if (child == 0) {
		start = now_ms();
		ASSERT_EQ(0, restrict_self(fd, 0));
		TH_LOG("%ld ms to enforce first", now_ms() - start);
		start = now_ms();
		ASSERT_EQ(0, restrict_self(fd, 0));
		TH_LOG("%ld ms to enforce again", now_ms() - start);
		EXPECT_EQ(0, count_wrong_numbers(MAX_PREFIXES, 331));
		/* What was refused is not there. */
		EXPECT_EQ(-EACCES, ask(sockets[0], true, AF_INET, no_rule, 80));
		EXPECT_EQ(0, ask(sockets[0], true, AF_INET, no_rule, 6000));
		/* A plain layer fits on it. */
		ASSERT_EQ(0, restrict_to_port(BIND_TCP, 7, BIND_TCP));
		EXPECT_EQ(-EACCES, ask(sockets[0], true, AF_INET, no_rule,
				       6000));
		EXPECT_EQ(0, ask(sockets[0], true, AF_INET,
				 (const unsigned char[16]){ 10, 0, 0, 14 }, 7));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, wait_child(child));

	/* The ruleset is as open as before, and copies what is frozen. */
	EXPECT_EQ(-E2BIG, add_net(fd, BIND_TCP, 0, 65535, "192.0.2.0/24"));
	EXPECT_EQ(0, add_net(fd, BIND_TCP, 6001, 6001, "10.0.0.0/32"));
	EXPECT_EQ(-E2BIG, add_net(fd, BIND_TCP, 0, 65535, "192.0.2.0/24"));
	start = now_ms();
	ASSERT_EQ(0, restrict_self(fd, 0));
	EXPECT_EQ(0, count_wrong_numbers(MAX_PREFIXES, 997));
	EXPECT_EQ(0, close(fd));
	TH_LOG("%ld ms to enforce and ask", now_ms() - start);
}

/* Many kinds of sockets: as many as one wants. */
TEST_F_TIMEOUT(limits, thousands_of_kinds_of_sockets, TIMEOUT)
{
	const int fd = extended(0, SOCKET_CREATE);
	int protocol;

	ASSERT_LE(0, fd);
	for (protocol = 0; protocol < 65535; protocol += 7)
		ASSERT_EQ(0, add_socket(fd, AF_INET, SOCK_STREAM, protocol));
	ASSERT_EQ(0, restrict_self(fd, 0));
	EXPECT_EQ(0, new_socket(AF_INET, SOCK_STREAM, 0));
	EXPECT_EQ(-EACCES, new_socket(AF_INET, SOCK_STREAM, IPPROTO_TCP));
	/* The kernel knows none of this number. */
	EXPECT_EQ(-EPROTONOSUPPORT, new_socket(AF_INET, SOCK_STREAM, 7));
	EXPECT_EQ(-EACCES, new_socket(AF_INET, SOCK_STREAM, 8));
	EXPECT_EQ(0, close(fd));
}

TEST_HARNESS_MAIN
