// SPDX-License-Identifier: GPL-2.0
/*
 * Portlock tests: how rules and layers decide bind, connect and send
 *
 * The kernel's net_test checks families and errnos one by one.  This test
 * checks what net_test leaves out: the first and the last ports, several rules
 * for one port, rulesets that change, many layers compared with a model, and
 * other calls that use the network.
 */

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "common.h"

FIXTURE(net)
{
};

FIXTURE_VARIANT(net)
{
	int family;
};

FIXTURE_VARIANT_ADD(net, ipv4)
{
	.family = AF_INET,
};

FIXTURE_VARIANT_ADD(net, ipv6)
{
	.family = AF_INET6,
};

FIXTURE_SETUP(net)
{
	ASSERT_EQ(0, own_network());
}

FIXTURE_TEARDOWN(net)
{
}

/* The first and the last ports */

static const __u16 end_ports[] = { 0, 1, 2, 32767, 32768, 65534, 65535 };

/* What the network stack returns for a bind that is allowed. */
#define BOUND 0

TEST_F(net, end_ports_are_told_apart)
{
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(end_ports); i++) {
		const pid_t child = fork();

		ASSERT_LE(0, child);
		if (child) {
			EXPECT_EQ(0, wait_child(child));
			continue;
		}
		ASSERT_EQ(0, restrict_to_port(BIND_TCP | BIND_UDP |
					      CONNECT_TCP,
					      end_ports[i],
					      BIND_TCP | BIND_UDP |
					      CONNECT_TCP));
		for (j = 0; j < ARRAY_SIZE(end_ports); j++) {
			const __u16 port = end_ports[j];
			const bool same = i == j;

			EXPECT_EQ(same ? BOUND : -EACCES,
				  try_bind(variant->family, SOCK_STREAM, port))
				TH_LOG("rule %u, port %u", end_ports[i], port);
			EXPECT_EQ(same ? BOUND : -EACCES,
				  try_bind(variant->family, SOCK_DGRAM, port))
				TH_LOG("rule %u, port %u", end_ports[i], port);
			EXPECT_EQ(same ? -ECONNREFUSED : -EACCES,
				  try_connect(variant->family, SOCK_STREAM,
					      port))
				TH_LOG("rule %u, port %u", end_ports[i], port);
		}
		_exit(_metadata->exit_code);
	}
}

/* A rule for port 0 allows to ask for any free port, not for a given one. */
TEST_F(net, port_zero_is_a_request_for_a_free_port)
{
	union addr addr;
	socklen_t len = sizeof(addr);
	__u16 given;
	int fd;

	ASSERT_EQ(0, restrict_to_port(BIND_TCP, 0, BIND_TCP));
	fd = make_socket(variant->family, SOCK_STREAM, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, bind_fd(fd, variant->family, 0));
	ASSERT_EQ(0, getsockname(fd, &addr.sa, &len));
	given = ntohs(variant->family == AF_INET ? addr.in.sin_port :
						   addr.in6.sin6_port);
	EXPECT_NE(0, given);
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(-EACCES, try_bind(variant->family, SOCK_STREAM, given));
}

/* listen(2) and connect(2) choose a local port, and this is not a bind. */
TEST_F(net, tcp_picks_local_ports_freely)
{
	int fd, listener;

	listener = listen_on(variant->family, 0, 1024);
	ASSERT_LE(0, listener);
	ASSERT_EQ(0, restrict_all(BIND_TCP));
	fd = make_socket(variant->family, SOCK_STREAM, 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, connect_fd(fd, variant->family, 1024));
	EXPECT_EQ(0, close(fd));
	fd = make_socket(variant->family, SOCK_STREAM, 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, listen(fd, 1));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, close(listener));
}

/* Several rules for one port */

TEST_F(net, a_port_ruled_twice_has_both_rights)
{
	const int fd = net_ruleset(BIND_TCP | CONNECT_TCP | BIND_UDP);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, add_port(fd, 1024, BIND_TCP));
	ASSERT_EQ(0, add_port(fd, 1024, CONNECT_TCP));
	/*
	 * The same rule again changes nothing.  A rule with fewer rights
	 * removes none.
	 */
	ASSERT_EQ(0, add_port(fd, 1024, CONNECT_TCP));
	ASSERT_EQ(0, add_port(fd, 1025, BIND_TCP | CONNECT_TCP));
	ASSERT_EQ(0, add_port(fd, 1025, BIND_TCP));
	ASSERT_EQ(0, enforce(fd));

	EXPECT_EQ(0, try_bind(variant->family, SOCK_STREAM, 1024));
	EXPECT_EQ(-ECONNREFUSED,
		  try_connect(variant->family, SOCK_STREAM, 1024));
	EXPECT_EQ(-EACCES, try_bind(variant->family, SOCK_DGRAM, 1024));
	EXPECT_EQ(0, try_bind(variant->family, SOCK_STREAM, 1025));
	EXPECT_EQ(-ECONNREFUSED,
		  try_connect(variant->family, SOCK_STREAM, 1025));
	EXPECT_EQ(-EACCES, try_connect(variant->family, SOCK_STREAM, 1026));
}

/* A port or right that only one of two layers allows is refused. */
TEST_F(net, layers_intersect)
{
	int fd = net_ruleset(BIND_TCP | CONNECT_TCP);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, add_port(fd, 1024, BIND_TCP));
	ASSERT_EQ(0, add_port(fd, 1025, BIND_TCP | CONNECT_TCP));
	ASSERT_EQ(0, enforce(fd));
	fd = net_ruleset(BIND_TCP | CONNECT_TCP);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, add_port(fd, 1024, CONNECT_TCP));
	ASSERT_EQ(0, add_port(fd, 1025, CONNECT_TCP));
	ASSERT_EQ(0, enforce(fd));

	EXPECT_EQ(-EACCES, try_bind(variant->family, SOCK_STREAM, 1024));
	EXPECT_EQ(-EACCES, try_connect(variant->family, SOCK_STREAM, 1024));
	EXPECT_EQ(-EACCES, try_bind(variant->family, SOCK_STREAM, 1025));
	EXPECT_EQ(-ECONNREFUSED,
		  try_connect(variant->family, SOCK_STREAM, 1025));
}

/* A layer does not restrict rights that it does not handle. */
TEST_F(net, unhandled_rights_are_free)
{
	static const __u64 rights[] = { BIND_TCP, CONNECT_TCP, BIND_UDP,
					SEND_UDP };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rights); i++) {
		const pid_t child = fork();

		ASSERT_LE(0, child);
		if (child) {
			EXPECT_EQ(0, wait_child(child));
			continue;
		}
		ASSERT_EQ(0, restrict_all(rights[i]));
		EXPECT_EQ(rights[i] == BIND_TCP ? -EACCES : 0,
			  try_bind(variant->family, SOCK_STREAM, 1024));
		EXPECT_EQ(rights[i] == CONNECT_TCP ? -EACCES : -ECONNREFUSED,
			  try_connect(variant->family, SOCK_STREAM, 1024));
		EXPECT_EQ(rights[i] == BIND_UDP ? -EACCES : 0,
			  try_bind(variant->family, SOCK_DGRAM, 1024));
		/*
		 * Connecting a UDP socket takes a local port, which is also a
		 * bind.
		 */
		EXPECT_EQ(rights[i] & (BIND_UDP | SEND_UDP) ? -EACCES : 0,
			  try_connect(variant->family, SOCK_DGRAM, 1024));
		EXPECT_EQ(rights[i] & (BIND_UDP | SEND_UDP) ? -EACCES : 0,
			  try_sendto(variant->family, 1024));
		_exit(_metadata->exit_code);
	}
}

/* Only its own rule decides a port, and not the rules of other ports. */
TEST_F(net, each_of_all_ports_is_decided_alone)
{
	__u8 *const allowed = calloc(65536, 1);
	const int ruleset_fd = net_ruleset(SEND_UDP);
	const int fd = make_socket(variant->family, SOCK_DGRAM, 0);
	unsigned int port, wrong = 0;

	ASSERT_NE(NULL, allowed);
	ASSERT_LE(0, ruleset_fd);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, bind_fd(fd, variant->family, 0));

	/* The first and last ports, both sides of each power of two, */
	for (port = 1; port <= 65536; port *= 2)
		allowed[port - 1] = 1;
	/* a range, a range with one hole, every second and every third port, */
	for (port = 4096; port < 4096 + 512; port++)
		allowed[port] = 1;
	for (port = 10000; port < 12000; port++)
		allowed[port] = port != 11111;
	for (port = 20001; port < 20500; port += 2)
		allowed[port] = 1;
	for (port = 30000; port < 30300; port += 3)
		allowed[port] = 1;
	/* and ports from a small generator. */
	for (port = 1; port < 3000; port++)
		allowed[50000 + port * 7919 % 9973] = 1;

	for (port = 0; port < 65536; port++) {
		if (allowed[port])
			ASSERT_EQ(0, add_port(ruleset_fd, port, SEND_UDP));
	}
	ASSERT_EQ(0, enforce(ruleset_fd));

	for (port = 0; port < 65536; port++) {
		const int ret = connect_fd(fd, variant->family, port);

		if ((ret == -EACCES) == !allowed[port])
			continue;
		if (!wrong++)
			TH_LOG("port %u: %s", port, strerror(-ret));
	}
	EXPECT_EQ(0, wrong);
	EXPECT_EQ(0, close(fd));
	free(allowed);
}

/* Layers against a model */

#define NUM_MODEL_PORTS 24

static const __u16 model_ports[NUM_MODEL_PORTS] = {
	0,    1,     2,     63,	   64,	  65,	 127,	128,
	255,  256,   511,   512,   1023,  1024,	 4095,	4096,
	8191, 16383, 16384, 32767, 32768, 49152, 65534, 65535,
};

/* Our own small generator, so that every run has the same layers. */
static __u32 next_random(__u32 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

struct model_layer {
	__u64 handled;
	__u64 rules[NUM_MODEL_PORTS];
};

/* The model: every layer that handles a right must have a rule for it. */
static bool model_allows(const struct model_layer *layers, int num_layers,
			 int port_index, __u64 right)
{
	int i;

	for (i = 0; i < num_layers; i++) {
		if ((layers[i].handled & right) &&
		    !(layers[i].rules[port_index] & right))
			return false;
	}
	return true;
}

static void random_layer(struct model_layer *layer, __u32 *state)
{
	/*
	 * Most rules grant much: otherwise sixteen layers would allow nothing.
	 */
	const __u32 openness = 2 + next_random(state) % 7;
	int i;

	layer->handled = 1 + next_random(state) % ALL_NET;
	for (i = 0; i < NUM_MODEL_PORTS; i++) {
		layer->rules[i] = next_random(state) & layer->handled;
		if (next_random(state) % openness)
			layer->rules[i] |= next_random(state) & layer->handled;
		if (next_random(state) % openness)
			layer->rules[i] = layer->handled;
		if (!(next_random(state) % 16))
			layer->rules[i] = 0;
	}
}

/* Enforces @layer.  Adds its rules in a random order, and some in two parts. */
static int enforce_model(const struct model_layer *layer, __u32 *state)
{
	const int fd = net_ruleset(layer->handled);
	const unsigned int start = next_random(state) % NUM_MODEL_PORTS;
	int i;

	if (fd < 0)
		return fd;
	for (i = 0; i < NUM_MODEL_PORTS; i++) {
		/* 5 and 24 have no common factor, so every port is used. */
		const int at = (start + i * 5) % NUM_MODEL_PORTS;
		const __u64 part = next_random(state) & layer->rules[at];
		int ret = 0;

		if (part)
			ret = add_port(fd, model_ports[at], part);
		if (!ret && layer->rules[at] & ~part)
			ret = add_port(fd, model_ports[at],
				       layer->rules[at] & ~part);
		if (ret) {
			close(fd);
			return ret;
		}
	}
	return enforce(fd);
}

#define NUM_SEEDS 8

TEST_F(net, layers_behave_as_the_model_says)
{
	unsigned int allowed_seen = 0, refused_seen = 0;
	int seed;

	for (seed = 1; seed <= NUM_SEEDS; seed++) {
		struct model_layer layers[MAX_LAYERS];
		const int family = variant->family;
		__u32 state = seed * 2654435761U;
		int bound, num, i;
		pid_t child;

		child = fork();
		ASSERT_LE(0, child);
		if (child) {
			EXPECT_EQ(0, wait_child(child))
				TH_LOG("seed %d", seed);
			continue;
		}

		/* Bound before, so that sending needs only one right. */
		bound = make_socket(family, SOCK_DGRAM, 0);
		ASSERT_LE(0, bound);
		ASSERT_EQ(0, bind_fd(bound, family, 0));

		for (num = 1; num <= MAX_LAYERS; num++) {
			bool auto_bind;

			random_layer(&layers[num - 1], &state);
			ASSERT_EQ(0, enforce_model(&layers[num - 1], &state));
			auto_bind = model_allows(layers, num, 0, BIND_UDP);

			for (i = 0; i < NUM_MODEL_PORTS; i++) {
				const __u16 port = model_ports[i];
				const struct {
					const char *name;
					bool allowed;
					int ret;
				} probes[] = {
					{
						"bind tcp",
						model_allows(layers, num, i,
							     BIND_TCP),
						try_bind(family, SOCK_STREAM,
							 port),
					},
					{
						"connect tcp",
						model_allows(layers, num, i,
							     CONNECT_TCP),
						try_connect(family, SOCK_STREAM,
							    port),
					},
					{
						"bind udp",
						model_allows(layers, num, i,
							     BIND_UDP),
						try_bind(family, SOCK_DGRAM,
							 port),
					},
					{
						"connect udp",
						model_allows(layers, num, i,
							     SEND_UDP),
						connect_fd(bound, family, port),
					},
					{
						"send udp, not bound",
						auto_bind &&
							model_allows(layers,
								     num, i,
								     SEND_UDP),
						try_sendto(family, port),
					},
				};
				size_t j;

				for (j = 0; j < ARRAY_SIZE(probes); j++) {
					if (probes[j].allowed)
						allowed_seen++;
					else
						refused_seen++;
					EXPECT_EQ(probes[j].allowed,
						  probes[j].ret != -EACCES)
						TH_LOG("seed %d, %d layers, %s, port %u: %s",
						       seed, num,
						       probes[j].name, port,
						       strerror(-probes[j].ret));
				}
			}
		}
		/*
		 * If all answers were the same, the test would prove nothing.
		 */
		EXPECT_LT(100, allowed_seen);
		EXPECT_LT(100, refused_seen);
		_exit(_metadata->exit_code);
	}
}

/* Rulesets that change */

TEST_F(net, a_domain_keeps_the_rules_it_was_made_of)
{
	const int fd = net_ruleset(BIND_TCP | CONNECT_TCP);
	pid_t child;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, add_port(fd, 1024, BIND_TCP));

	child = fork();
	ASSERT_LE(0, child);
	if (child == 0) {
		ASSERT_EQ(0, no_new_privs());
		ASSERT_EQ(0, restrict_self(fd, 0));

		/* A new port, and more rights on the old one. */
		ASSERT_EQ(0, add_port(fd, 1025, BIND_TCP));
		ASSERT_EQ(0, add_port(fd, 1024, CONNECT_TCP));
		EXPECT_EQ(0, try_bind(variant->family, SOCK_STREAM, 1024));
		EXPECT_EQ(-EACCES,
			  try_bind(variant->family, SOCK_STREAM, 1025));
		EXPECT_EQ(-EACCES,
			  try_connect(variant->family, SOCK_STREAM, 1024));

		/* The same ruleset once more: the first layer still refuses. */
		ASSERT_EQ(0, restrict_self(fd, 0));
		EXPECT_EQ(0, try_bind(variant->family, SOCK_STREAM, 1024));
		EXPECT_EQ(-EACCES,
			  try_bind(variant->family, SOCK_STREAM, 1025));
		EXPECT_EQ(-EACCES,
			  try_connect(variant->family, SOCK_STREAM, 1024));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, wait_child(child));

	/* A task that enforces it now gets all rules that were added. */
	child = fork();
	ASSERT_LE(0, child);
	if (child == 0) {
		ASSERT_EQ(0, no_new_privs());
		ASSERT_EQ(0, restrict_self(fd, 0));
		EXPECT_EQ(0, try_bind(variant->family, SOCK_STREAM, 1024));
		EXPECT_EQ(0, try_bind(variant->family, SOCK_STREAM, 1025));
		EXPECT_EQ(-ECONNREFUSED,
			  try_connect(variant->family, SOCK_STREAM, 1024));
		EXPECT_EQ(-EACCES,
			  try_connect(variant->family, SOCK_STREAM, 1025));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, wait_child(child));
	EXPECT_EQ(0, close(fd));
}

/* A domain stays when the descriptor of its ruleset is closed. */
TEST_F(net, a_domain_outlives_its_ruleset)
{
	ASSERT_EQ(0, restrict_to_port(BIND_TCP, 1024, BIND_TCP));
	EXPECT_EQ(0, try_bind(variant->family, SOCK_STREAM, 1024));
	EXPECT_EQ(-EACCES, try_bind(variant->family, SOCK_STREAM, 1025));
}

/*
 * Two threads add rules to a ruleset while other threads enforce it.  Each
 * writer adds its ports in order, so a domain must have the first ports of each
 * writer: at least those that were added before the call, and at most those
 * that were started before its end.
 */

#define PORTS_EACH 400
#define FIRST_PORT 10000
#define NUM_ENFORCERS 60

struct race {
	int ruleset_fd;
	int bound_fd;
	int family;
	atomic_int started[2];
	atomic_int done[2];
	atomic_int go;
};

struct race_writer {
	struct race *race;
	int index;
	int error;
	pthread_t thread;
};

static __u16 race_port(int writer, int i)
{
	return FIRST_PORT + 2 * i + writer;
}

static void *write_rules(void *data)
{
	struct race_writer *const writer = data;
	struct race *const race = writer->race;
	int i;

	while (!atomic_load(&race->go))
		sched_yield();
	for (i = 0; i < PORTS_EACH; i++) {
		atomic_store(&race->started[writer->index], i + 1);
		writer->error = add_port(race->ruleset_fd,
					 race_port(writer->index, i), SEND_UDP);
		if (writer->error)
			break;
		atomic_store(&race->done[writer->index], i + 1);
		if (i % 8 == 0)
			sched_yield();
	}
	return NULL;
}

struct race_enforcer {
	struct race *race;
	int error;
	/* The error, or NULL. */
	const char *wrong;
	int held[2];
};

/* Enforces the ruleset on this thread, and checks which rules it got. */
static void *enforce_rules(void *data)
{
	struct race_enforcer *const enforcer = data;
	struct race *const race = enforcer->race;
	int before[2], after[2], writer, i;

	for (writer = 0; writer < 2; writer++)
		before[writer] = atomic_load(&race->done[writer]);
	enforcer->error = restrict_self(race->ruleset_fd, 0);
	for (writer = 0; writer < 2; writer++)
		after[writer] = atomic_load(&race->started[writer]);
	if (enforcer->error)
		return NULL;

	for (writer = 0; writer < 2; writer++) {
		int held = 0;

		for (i = 0; i < PORTS_EACH; i++) {
			const bool allowed =
				connect_fd(race->bound_fd, race->family,
					   race_port(writer, i)) != -EACCES;

			if (allowed && i != held)
				enforcer->wrong = "a later rule without an earlier one";
			if (allowed)
				held++;
		}
		if (held < before[writer])
			enforcer->wrong = "a rule is missing";
		if (held > after[writer])
			enforcer->wrong = "a rule came too early";
		enforcer->held[writer] = held;
	}
	return NULL;
}

TEST_F(net, a_ruleset_is_enforced_while_it_is_written)
{
	struct race race = {
		.family = variant->family,
	};
	struct race_writer writers[2] = {};
	int i;

	ASSERT_EQ(0, no_new_privs());
	race.ruleset_fd = net_ruleset(SEND_UDP);
	ASSERT_LE(0, race.ruleset_fd);
	race.bound_fd = make_socket(variant->family, SOCK_DGRAM, 0);
	ASSERT_LE(0, race.bound_fd);
	ASSERT_EQ(0, bind_fd(race.bound_fd, variant->family, 0));

	for (i = 0; i < 2; i++) {
		writers[i].race = &race;
		writers[i].index = i;
		ASSERT_EQ(0, pthread_create(&writers[i].thread, NULL,
					    write_rules, &writers[i]));
	}
	atomic_store(&race.go, 1);
	for (i = 0; i < NUM_ENFORCERS; i++) {
		struct race_enforcer enforcer = {
			.race = &race,
		};
		pthread_t thread;

		ASSERT_EQ(0, pthread_create(&thread, NULL, enforce_rules,
					    &enforcer));
		ASSERT_EQ(0, pthread_join(thread, NULL));
		EXPECT_EQ(0, enforcer.error);
		EXPECT_EQ(NULL, enforcer.wrong)
			TH_LOG("%s (%d and %d rules)", enforcer.wrong,
			       enforcer.held[0], enforcer.held[1]);
		if (atomic_load(&race.done[0]) == PORTS_EACH &&
		    atomic_load(&race.done[1]) == PORTS_EACH) {
			EXPECT_EQ(true, i < NUM_ENFORCERS);
			break;
		}
	}
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, pthread_join(writers[i].thread, NULL));
		EXPECT_EQ(0, writers[i].error);
	}

	/* No rule was lost. */
	{
		struct race_enforcer enforcer = {
			.race = &race,
		};
		pthread_t thread;

		ASSERT_EQ(0, pthread_create(&thread, NULL, enforce_rules,
					    &enforcer));
		ASSERT_EQ(0, pthread_join(thread, NULL));
		EXPECT_EQ(0, enforcer.error);
		EXPECT_EQ(PORTS_EACH, enforcer.held[0]);
		EXPECT_EQ(PORTS_EACH, enforcer.held[1]);
	}
	EXPECT_EQ(0, close(race.bound_fd));
	EXPECT_EQ(0, close(race.ruleset_fd));
}

/* Filesystem and network together */

FIXTURE(with_fs)
{
};

FIXTURE_SETUP(with_fs)
{
	int fd;

	ASSERT_EQ(0, own_network());
	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	ASSERT_EQ(0, mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	ASSERT_EQ(0, mount("tmp", "/tmp", "tmpfs", 0, "mode=0700"));
	ASSERT_EQ(0, chdir("/tmp"));
	ASSERT_EQ(0, mkdir("a", 0700));
	ASSERT_EQ(0, mkdir("b", 0700));
	fd = open("a/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, close(fd));
	ASSERT_EQ(0, rename_across());
}

FIXTURE_TEARDOWN(with_fs)
{
}

/* A layer for @handled under "/tmp" that allows @allowed there. */
static int restrict_fs(__u64 handled, __u64 allowed)
{
	const struct landlock_ruleset_attr attr = {
		.handled_access_fs = handled,
	};
	struct landlock_path_beneath_attr path = {
		.allowed_access = allowed,
		.parent_fd = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC),
	};
	const int fd = create_ruleset(&attr, sizeof(attr), 0);
	int ret = 0;

	if (path.parent_fd < 0)
		return -errno;
	if (fd < 0) {
		close(path.parent_fd);
		return fd;
	}
	if (allowed)
		ret = add_rule(fd, LANDLOCK_RULE_PATH_BENEATH, &path, 0);
	close(path.parent_fd);
	if (ret) {
		close(fd);
		return ret;
	}
	return enforce(fd);
}

TEST_F(with_fs, a_network_layer_alone_leaves_files_alone)
{
	ASSERT_EQ(0, restrict_all(BIND_TCP));
	EXPECT_EQ(0, rename_across());
	EXPECT_EQ(0, rename("a/file", "a/other"));
	EXPECT_TRUE(bind_refused(1024));
}

/* Landlock refuses REFER in every layer that does not allow it. */
TEST_F(with_fs, a_network_layer_over_a_file_layer_forbids_refer)
{
	const __u64 all = LANDLOCK_ACCESS_FS_REFER |
			  LANDLOCK_ACCESS_FS_MAKE_REG |
			  LANDLOCK_ACCESS_FS_REMOVE_FILE;

	ASSERT_EQ(0, restrict_fs(all, all));
	EXPECT_EQ(0, rename_across());

	ASSERT_EQ(0, restrict_all(BIND_TCP));
	EXPECT_EQ(-EXDEV, rename_across());
	EXPECT_EQ(0, rename("a/file", "a/other"));
	EXPECT_TRUE(bind_refused(1024));
}

TEST_F(with_fs, a_file_layer_over_a_network_layer_forbids_refer)
{
	const __u64 all = LANDLOCK_ACCESS_FS_REFER |
			  LANDLOCK_ACCESS_FS_MAKE_REG |
			  LANDLOCK_ACCESS_FS_REMOVE_FILE;

	ASSERT_EQ(0, restrict_all(BIND_TCP));
	EXPECT_EQ(0, rename_across());

	ASSERT_EQ(0, restrict_fs(all, all));
	EXPECT_EQ(-EXDEV, rename_across());
	EXPECT_EQ(0, rename("a/file", "a/other"));
}

/* One ruleset with both kinds of rules makes one layer of each kind. */
TEST_F(with_fs, one_ruleset_holds_both_kinds_of_rules)
{
	const struct landlock_ruleset_attr attr = {
		.handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_REG |
				     LANDLOCK_ACCESS_FS_READ_FILE,
		.handled_access_net = BIND_TCP,
	};
	struct landlock_path_beneath_attr path = {
		.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE,
		.parent_fd = open("a", O_PATH | O_DIRECTORY | O_CLOEXEC),
	};
	const int ruleset_fd = create_ruleset(&attr, sizeof(attr), 0);
	int fd;

	ASSERT_LE(0, path.parent_fd);
	ASSERT_LE(0, ruleset_fd);
	ASSERT_EQ(0, add_rule(ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &path,
			      0));
	ASSERT_EQ(0, add_port(ruleset_fd, 1024, BIND_TCP));
	ASSERT_EQ(0, enforce(ruleset_fd));
	EXPECT_EQ(0, close(path.parent_fd));

	fd = open("a/file", O_RDONLY | O_CLOEXEC);
	EXPECT_LE(0, fd);
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(-1, open("b/new", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(0, try_bind(AF_INET, SOCK_STREAM, 1024));
	EXPECT_TRUE(bind_refused(1025));
}

/* A layer without network rights refuses no port. */
TEST_F(with_fs, a_file_layer_leaves_ports_alone)
{
	ASSERT_EQ(0, restrict_fs(LANDLOCK_ACCESS_FS_MAKE_REG, 0));
	EXPECT_EQ(0, try_bind(AF_INET, SOCK_STREAM, 1024));
	EXPECT_EQ(-ECONNREFUSED, try_connect(AF_INET, SOCK_STREAM, 1024));
	EXPECT_EQ(0, try_sendto(AF_INET, 1024));
	ASSERT_EQ(0, restrict_all(BIND_TCP));
	EXPECT_TRUE(bind_refused(1024));
}

/* Sockets that are neither TCP nor UDP */

TEST_F(net, mptcp_is_no_business_of_plain_rules)
{
	int listener, fd;

	ASSERT_EQ(0, restrict_all(ALL_NET));
	listener = listen_on(variant->family, IPPROTO_MPTCP, 1024);
	if (listener == -EPROTONOSUPPORT)
		SKIP(return, "MPTCP is not built in");
	ASSERT_LE(0, listener);
	fd = make_socket(variant->family, SOCK_STREAM, IPPROTO_MPTCP);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, connect_fd(fd, variant->family, 1024));
	EXPECT_EQ(0, send_fd_to(fd, 0, 0));
	EXPECT_EQ(0, close(fd));

	/* The same ports with plain TCP. */
	EXPECT_EQ(-EACCES, try_connect(variant->family, SOCK_STREAM, 1024));
	EXPECT_EQ(-EACCES, try_bind(variant->family, SOCK_STREAM, 1025));
	EXPECT_EQ(0, close(listener));
}

TEST_F(net, raw_sockets_are_unaffected)
{
	union addr addr;
	const socklen_t len = loopback(&addr, variant->family, 0);
	int fd;

	ASSERT_EQ(0, restrict_all(ALL_NET));
	/*
	 * A raw UDP socket is not a datagram socket, and no rule is about it.
	 */
	fd = make_socket(variant->family, SOCK_RAW, IPPROTO_UDP);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, bind(fd, &addr.sa, len));
	EXPECT_EQ(0, connect(fd, &addr.sa, len));
	EXPECT_EQ(1, sendto(fd, "x", 1, 0, &addr.sa, len));
	EXPECT_EQ(0, close(fd));
	fd = make_socket(variant->family, SOCK_RAW, IPPROTO_TCP);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, bind(fd, &addr.sa, len));
	EXPECT_EQ(0, connect(fd, &addr.sa, len));
	EXPECT_EQ(0, close(fd));
}

TEST(other_families_are_unaffected)
{
	const struct sockaddr_nl netlink = {
		.nl_family = AF_NETLINK,
	};
	const struct sockaddr_ll packet = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_IP),
	};
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };
	size_t i;
	int fd;

	ASSERT_EQ(0, own_network());
	ASSERT_EQ(0, restrict_all(ALL_NET));
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		const struct sockaddr_un name = {
			.sun_family = AF_UNIX,
			.sun_path = "\0portlock-net-rules",
		};
		const socklen_t len = offsetof(struct sockaddr_un, sun_path) +
				      sizeof("\0portlock-net-rules");
		const int client = make_socket(AF_UNIX, types[i], 0);

		fd = make_socket(AF_UNIX, types[i], 0);
		ASSERT_LE(0, fd);
		ASSERT_LE(0, client);
		EXPECT_EQ(0, bind(fd, (const struct sockaddr *)&name, len));
		if (types[i] != SOCK_DGRAM)
			EXPECT_EQ(0, listen(fd, 1));
		EXPECT_EQ(0, connect(client, (const struct sockaddr *)&name,
				     len));
		EXPECT_EQ(1, send(client, "x", 1, 0));
		EXPECT_EQ(0, close(fd));
		EXPECT_EQ(0, close(client));
	}

	fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, bind(fd, (const struct sockaddr *)&netlink,
			  sizeof(netlink)));
	EXPECT_EQ(0, close(fd));

	fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, bind(fd, (const struct sockaddr *)&packet,
			  sizeof(packet)));
	EXPECT_EQ(0, close(fd));
}

/* Sending */

static void fill_message(struct mmsghdr *message, struct iovec *iov,
			 union addr *addr, int family, __u16 port)
{
	memset(message, 0, sizeof(*message));
	message->msg_hdr.msg_name = addr;
	message->msg_hdr.msg_namelen = loopback(addr, family, port);
	message->msg_hdr.msg_iov = iov;
	message->msg_hdr.msg_iovlen = 1;
}

TEST_F(net, sendmmsg_stops_at_the_first_refused_message)
{
	/* The port of each message, and how many messages are sent. */
	static const struct {
		__u16 ports[4];
		int sent;
	} cases[] = {
		{ { 1024, 1024, 1024, 1024 }, 4 },
		{ { 1024, 1024, 1025, 1024 }, 2 },
		{ { 1024, 1025, 1025, 1024 }, 1 },
		{ { 1024, 1025, 1024, 1025 }, 1 },
		{ { 1024, 1024, 1024, 1025 }, 3 },
		{ { 1025, 1024, 1024, 1024 }, -EACCES },
		{ { 1025, 1025, 1025, 1025 }, -EACCES },
		{ { 1026, 1024, 1026, 1024 }, 4 },
	};
	struct iovec iov = {
		.iov_base = "x",
		.iov_len = 1,
	};
	int ruleset_fd, fd;
	size_t i, j;

	fd = make_socket(variant->family, SOCK_DGRAM, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, bind_fd(fd, variant->family, 0));
	ruleset_fd = net_ruleset(SEND_UDP);
	ASSERT_LE(0, ruleset_fd);
	ASSERT_EQ(0, add_port(ruleset_fd, 1024, SEND_UDP));
	ASSERT_EQ(0, add_port(ruleset_fd, 1026, SEND_UDP));
	ASSERT_EQ(0, enforce(ruleset_fd));

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct mmsghdr messages[4];
		union addr addrs[4];
		int ret;

		for (j = 0; j < 4; j++)
			fill_message(&messages[j], &iov, &addrs[j],
				     variant->family, cases[i].ports[j]);
		ret = sendmmsg(fd, messages, 4, 0);
		if (ret < 0)
			ret = -errno;
		EXPECT_EQ(cases[i].sent, ret)
			TH_LOG("case %zu", i);
	}
	EXPECT_EQ(0, close(fd));
}

/* The first message also needs a local port. */
TEST_F(net, sendmmsg_takes_no_local_port_unasked)
{
	struct iovec iov = {
		.iov_base = "x",
		.iov_len = 1,
	};
	struct mmsghdr messages[2];
	union addr addrs[2];
	int fd;

	fd = make_socket(variant->family, SOCK_DGRAM, 0);
	ASSERT_LE(0, fd);
	fill_message(&messages[0], &iov, &addrs[0], variant->family, 1024);
	fill_message(&messages[1], &iov, &addrs[1], variant->family, 1024);
	ASSERT_EQ(0, restrict_to_port(BIND_UDP, 1025, BIND_UDP));
	EXPECT_EQ(-1, sendmmsg(fd, messages, 2, 0));
	EXPECT_EQ(EACCES, errno);
	ASSERT_EQ(0, bind_fd(fd, variant->family, 1025));
	EXPECT_EQ(2, sendmmsg(fd, messages, 2, 0));
	EXPECT_EQ(0, close(fd));
}

struct batch {
	int fd;
	struct mmsghdr messages[2];
};

static void *send_batch(void *data)
{
	struct batch *const batch = data;

	return (void *)(intptr_t)sendmmsg(batch->fd, batch->messages, 2, 0);
}

/*
 * The socket has a port that the kernel chose, which it loses while the second
 * message waits for its address.  To send it would take another port.
 */
TEST_F(net, sendmmsg_is_asked_about_the_port_of_each_message)
{
	struct iovec iov = {
		.iov_base = "x",
		.iov_len = 1,
	};
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	struct uffdio_copy copy = {};
	struct uffd_msg fault;
	struct batch batch;
	union addr addrs[2];
	pthread_t thread;
	void *page, *sent;
	int receiver, userfault;

	page = missing_page(&userfault);
	if (!page)
		SKIP(return, "no userfaultfd: %s", strerror(errno));
	receiver = make_socket(variant->family, SOCK_DGRAM, 0);
	ASSERT_EQ(0, bind_fd(receiver, variant->family, 1024));
	batch.fd = make_socket(variant->family, SOCK_DGRAM, 0);
	ASSERT_EQ(0, connect_fd(batch.fd, variant->family, 1024));
	fill_message(&batch.messages[0], &iov, &addrs[0], variant->family, 1024);
	fill_message(&batch.messages[1], &iov, &addrs[1], variant->family, 1024);
	batch.messages[1].msg_hdr.msg_name = page;
	ASSERT_EQ(0, restrict_to_port(BIND_UDP, 1025, BIND_UDP));

	ASSERT_EQ(0, pthread_create(&thread, NULL, send_batch, &batch));
	ASSERT_EQ(sizeof(fault), read(userfault, &fault, sizeof(fault)));
	EXPECT_EQ(0, connect(batch.fd, &none, sizeof(none)));
	copy.dst = (uintptr_t)page;
	copy.len = sysconf(_SC_PAGESIZE);
	copy.src = (uintptr_t)calloc(1, copy.len);
	ASSERT_NE(0, copy.src);
	memcpy((void *)(uintptr_t)copy.src, &addrs[1], sizeof(addrs[1]));
	ASSERT_EQ(0, ioctl(userfault, UFFDIO_COPY, &copy));
	ASSERT_EQ(0, pthread_join(thread, &sent));
	EXPECT_EQ(1, (intptr_t)sent);
	EXPECT_EQ(-EACCES, send_fd_to(batch.fd, variant->family, 1024));
	free((void *)(uintptr_t)copy.src);
	EXPECT_EQ(0, close(batch.fd));
	EXPECT_EQ(0, close(receiver));
	EXPECT_EQ(0, close(userfault));
}

static int fast_open(int family, __u16 port)
{
	union addr addr;
	const socklen_t len = loopback(&addr, family, port);
	const int fd = make_socket(family, SOCK_STREAM, 0);
	int ret;

	if (fd < 0)
		return fd;
	ret = sendto(fd, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, &addr.sa, len);
	if (ret < 0)
		ret = -errno;
	close(fd);
	return ret;
}

TEST_F(net, fast_open_is_a_connect)
{
	const int listener = listen_on(variant->family, 0, 1024);
	const int other = listen_on(variant->family, 0, 1025);

	ASSERT_LE(0, listener);
	ASSERT_LE(0, other);
	ASSERT_EQ(1, fast_open(variant->family, 1024));
	ASSERT_EQ(1, fast_open(variant->family, 1025));
	ASSERT_EQ(0, restrict_to_port(CONNECT_TCP, 1024, CONNECT_TCP));
	EXPECT_EQ(1, fast_open(variant->family, 1024));
	EXPECT_EQ(-EACCES, fast_open(variant->family, 1025));
	/* The right to send UDP does not matter here. */
	ASSERT_EQ(0, restrict_all(SEND_UDP | BIND_UDP | BIND_TCP));
	EXPECT_EQ(1, fast_open(variant->family, 1024));
	EXPECT_EQ(0, close(listener));
	EXPECT_EQ(0, close(other));
}

TEST_F(net, fast_open_with_strange_addresses)
{
	const int listener = listen_on(variant->family, 0, 1024);
	const socklen_t least = variant->family == AF_INET ?
					sizeof(struct sockaddr_in) :
					SIN6_LEN_MIN;
	union addr addr;
	socklen_t len;
	int fd;

	ASSERT_LE(0, listener);
	ASSERT_EQ(0, restrict_all(CONNECT_TCP));
	fd = make_socket(variant->family, SOCK_STREAM, 0);
	ASSERT_LE(0, fd);
	loopback(&addr, variant->family, 1024);
	for (len = 1; len < least; len++) {
		EXPECT_EQ(-1, sendto(fd, "x", 1, MSG_FASTOPEN, &addr.sa, len));
		EXPECT_EQ(EINVAL, errno)
			TH_LOG("length %u", len);
	}
	errno = 0;
	EXPECT_EQ(-1, sendto(fd, "x", 1, MSG_FASTOPEN, &addr.sa, least));
	EXPECT_EQ(EACCES, errno);

	/*
	 * An address of the other family is an error of the caller, not a
	 * refusal.
	 */
	len = loopback(&addr, variant->family == AF_INET ? AF_INET6 : AF_INET,
		       1024);
	errno = 0;
	EXPECT_EQ(-1, sendto(fd, "x", 1, MSG_FASTOPEN, &addr.sa, len));
	EXPECT_EQ(EINVAL, errno);

	/* AF_UNSPEC is allowed, and the network stack returns an error. */
	len = loopback(&addr, variant->family, 1024);
	addr.sa.sa_family = AF_UNSPEC;
	errno = 0;
	EXPECT_EQ(-1, sendto(fd, "x", 1, MSG_FASTOPEN, &addr.sa, len));
	EXPECT_EQ(EOPNOTSUPP, errno);

	/* Without an address, nothing is checked. */
	errno = 0;
	EXPECT_EQ(-1, send(fd, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, close(listener));
}

/* Without MSG_FASTOPEN, TCP ignores an address, and so do the rules. */
TEST_F(net, an_address_on_a_tcp_send_is_ignored)
{
	const int listener = listen_on(variant->family, 0, 1024);
	const int fd = make_socket(variant->family, SOCK_STREAM, 0);

	ASSERT_LE(0, listener);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, connect_fd(fd, variant->family, 1024));
	ASSERT_EQ(0, restrict_all(ALL_NET));
	EXPECT_EQ(0, send_fd_to(fd, variant->family, 1025));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, close(listener));
}

/* UDP and its local port */

TEST_F(net, udp_takes_no_local_port_unasked)
{
	const int family = variant->family;
	int fd;

	ASSERT_EQ(0, restrict_to_port(BIND_UDP, 1024, BIND_UDP));
	EXPECT_EQ(-EACCES, try_connect(family, SOCK_DGRAM, 1025));
	EXPECT_EQ(-EACCES, try_sendto(family, 1025));

	/*
	 * The refusal comes before the error of the stack for a missing
	 * address.
	 */
	fd = make_socket(family, SOCK_DGRAM, 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EACCES, send_fd_to(fd, 0, 0));
	EXPECT_EQ(-1, write(fd, "x", 1));
	EXPECT_EQ(EACCES, errno);

	/* When it is bound to an allowed port, it may send. */
	ASSERT_EQ(0, bind_fd(fd, family, 1024));
	EXPECT_EQ(-EDESTADDRREQ, send_fd_to(fd, 0, 0));
	EXPECT_EQ(0, send_fd_to(fd, family, 1025));
	EXPECT_EQ(0, connect_fd(fd, family, 1025));
	EXPECT_EQ(0, close(fd));
}

TEST_F(net, udp_takes_a_local_port_under_a_rule_for_zero)
{
	const int family = variant->family;

	ASSERT_EQ(0, restrict_to_port(BIND_UDP, 0, BIND_UDP));
	EXPECT_EQ(0, try_connect(family, SOCK_DGRAM, 1025));
	EXPECT_EQ(0, try_sendto(family, 1025));
	EXPECT_EQ(-EACCES, try_bind(family, SOCK_DGRAM, 1024));
}

/* A refused call must not take the port. */
TEST_F(net, udp_stays_unbound_when_refused)
{
	const int family = variant->family;
	union addr addr;
	socklen_t len = sizeof(addr);
	int fd;

	ASSERT_EQ(0, restrict_all(BIND_UDP));
	fd = make_socket(family, SOCK_DGRAM, 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EACCES, connect_fd(fd, family, 1025));
	EXPECT_EQ(-EACCES, send_fd_to(fd, family, 1025));
	ASSERT_EQ(0, getsockname(fd, &addr.sa, &len));
	EXPECT_EQ(0, family == AF_INET ? addr.in.sin_port :
					 addr.in6.sin6_port);
	EXPECT_EQ(0, close(fd));
}

/*
 * Dissolving a connection frees the local port, so the next send needs the
 * right.
 */
TEST_F(net, udp_asks_again_after_dissolving)
{
	const int family = variant->family;
	union addr addr = {
		.sa.sa_family = AF_UNSPEC,
	};
	int fd;

	fd = make_socket(family, SOCK_DGRAM, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, connect_fd(fd, family, 1025));
	ASSERT_EQ(0, restrict_all(BIND_UDP));
	EXPECT_EQ(0, connect_fd(fd, family, 1026));
	EXPECT_EQ(0, connect(fd, &addr.sa, sizeof(addr.in6)));
	EXPECT_EQ(-EACCES, connect_fd(fd, family, 1026));
	EXPECT_EQ(-EACCES, send_fd_to(fd, family, 1026));
	EXPECT_EQ(0, connect(fd, &addr.sa, sizeof(addr.in6)));
	EXPECT_EQ(0, close(fd));
}

/* A datagram to the peer is like a write to an open file. */
TEST_F(net, udp_sends_to_its_peer_unasked)
{
	const int family = variant->family;
	int fd;

	fd = make_socket(family, SOCK_DGRAM, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, connect_fd(fd, family, 1025));
	ASSERT_EQ(0, restrict_all(SEND_UDP | BIND_UDP));
	/*
	 * After the first one, the next may get ECONNREFUSED: nobody listens.
	 */
	EXPECT_EQ(0, send_fd_to(fd, 0, 0));
	EXPECT_NE(-EACCES, send_fd_to(fd, 0, 0));
	EXPECT_EQ(-EACCES, send_fd_to(fd, family, 1025));
	EXPECT_EQ(-EACCES, connect_fd(fd, family, 1025));
	EXPECT_EQ(0, close(fd));
}

/* AF_UNSPEC */

TEST_F(net, unspec_dissolves_associations)
{
	union addr addr = {
		.sa.sa_family = AF_UNSPEC,
	};
	const int listener = listen_on(variant->family, 0, 1024);
	int tcp, udp;

	ASSERT_LE(0, listener);
	tcp = make_socket(variant->family, SOCK_STREAM, 0);
	udp = make_socket(variant->family, SOCK_DGRAM, 0);
	ASSERT_LE(0, tcp);
	ASSERT_LE(0, udp);
	ASSERT_EQ(0, connect_fd(tcp, variant->family, 1024));
	ASSERT_EQ(0, connect_fd(udp, variant->family, 1024));
	ASSERT_EQ(0, restrict_all(ALL_NET));

	EXPECT_EQ(0, connect(tcp, &addr.sa, sizeof(addr.in)));
	EXPECT_EQ(0, connect(udp, &addr.sa, sizeof(addr.in)));
	EXPECT_EQ(-EACCES, connect_fd(tcp, variant->family, 1024));
	EXPECT_EQ(-EACCES, connect_fd(udp, variant->family, 1024));

	/* Also without an association, and with only the family as address. */
	EXPECT_EQ(0, connect(tcp, &addr.sa, sizeof(addr.sa.sa_family)));
	EXPECT_EQ(0, connect(udp, &addr.sa, sizeof(addr.sa.sa_family)));
	EXPECT_EQ(-1, connect(tcp, &addr.sa, 1));
	EXPECT_EQ(EINVAL, errno);
	errno = 0;
	EXPECT_EQ(-1, connect(udp, &addr.sa, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, close(tcp));
	EXPECT_EQ(0, close(udp));
	EXPECT_EQ(0, close(listener));
}

static int bind_unspec(int family, int type, __u16 port, __u32 address,
		       socklen_t len)
{
	union addr addr = {};
	const int fd = make_socket(family, type, 0);
	int ret;

	if (fd < 0)
		return fd;
	addr.in.sin_family = AF_UNSPEC;
	addr.in.sin_port = htons(port);
	addr.in.sin_addr.s_addr = htonl(address);
	ret = bind(fd, &addr.sa, len) ? -errno : 0;
	close(fd);
	return ret;
}

TEST(unspec_binds_any_address_of_ipv4)
{
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM };
	const socklen_t len = sizeof(struct sockaddr_in);
	size_t i;

	ASSERT_EQ(0, own_network());
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		EXPECT_EQ(0, bind_unspec(AF_INET, types[i], 1025, INADDR_ANY,
					 len));
	}
	ASSERT_EQ(0, restrict_to_port(BIND_TCP | BIND_UDP, 1024,
				      BIND_TCP | BIND_UDP));
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		socklen_t shorter;

		EXPECT_EQ(0, bind_unspec(AF_INET, types[i], 1024, INADDR_ANY,
					 len));
		EXPECT_EQ(-EACCES, bind_unspec(AF_INET, types[i], 1025,
					       INADDR_ANY, len));
		EXPECT_EQ(-EAFNOSUPPORT, bind_unspec(AF_INET, types[i], 1024,
						     INADDR_LOOPBACK, len));
		EXPECT_EQ(-EAFNOSUPPORT, bind_unspec(AF_INET, types[i], 1025,
						     INADDR_LOOPBACK, len));
		for (shorter = 0; shorter < len; shorter++) {
			EXPECT_EQ(-EINVAL, bind_unspec(AF_INET, types[i], 1024,
						       INADDR_ANY, shorter))
				TH_LOG("length %u", shorter);
		}
	}
}

TEST(unspec_binds_nothing_on_ipv6)
{
	static const int types[] = { SOCK_STREAM, SOCK_DGRAM };
	socklen_t len;
	size_t i;

	ASSERT_EQ(0, own_network());
	ASSERT_EQ(0, restrict_to_port(BIND_TCP | BIND_UDP, 1024,
				      BIND_TCP | BIND_UDP));
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		for (len = 0; len <= sizeof(struct sockaddr_in6); len++) {
			const int expected = len < SIN6_LEN_MIN ?
						     -EINVAL : -EAFNOSUPPORT;

			EXPECT_EQ(expected,
				  bind_unspec(AF_INET6, types[i], 1024,
					      INADDR_ANY, len))
				TH_LOG("length %u", len);
			EXPECT_EQ(expected,
				  bind_unspec(AF_INET6, types[i], 1025,
					      INADDR_ANY, len))
				TH_LOG("length %u", len);
		}
	}
}

static int sendto_unspec(int fd, int family, __u16 port, socklen_t len)
{
	union addr addr;
	const socklen_t full = loopback(&addr, family, port);

	addr.sa.sa_family = AF_UNSPEC;
	return sendto(fd, "x", 1, 0, &addr.sa, len ? len : full) == 1 ?
		       0 : -errno;
}

TEST(unspec_is_ipv4_for_a_datagram_on_ipv4)
{
	socklen_t len;
	int fd;

	ASSERT_EQ(0, own_network());
	fd = make_socket(AF_INET, SOCK_DGRAM, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, bind_fd(fd, AF_INET, 0));
	ASSERT_EQ(0, restrict_to_port(SEND_UDP, 1024, SEND_UDP));
	EXPECT_EQ(0, sendto_unspec(fd, AF_INET, 1024, 0));
	EXPECT_EQ(-EACCES, sendto_unspec(fd, AF_INET, 1025, 0));
	for (len = 1; len < sizeof(struct sockaddr_in); len++) {
		EXPECT_EQ(-EINVAL, sendto_unspec(fd, AF_INET, 1024, len))
			TH_LOG("length %u", len);
	}
	EXPECT_EQ(0, close(fd));
}

/* Refused, because an IPv6 socket may become an IPv4 socket at any time. */
TEST(unspec_is_refused_for_a_datagram_on_ipv6)
{
	int fd;

	ASSERT_EQ(0, own_network());
	fd = make_socket(AF_INET6, SOCK_DGRAM, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, bind_fd(fd, AF_INET6, 0));
	ASSERT_EQ(0, connect_fd(fd, AF_INET6, 1024));
	ASSERT_EQ(0, restrict_to_port(SEND_UDP, 1024, SEND_UDP));
	EXPECT_EQ(-EACCES, sendto_unspec(fd, AF_INET6, 1024, 0));
	EXPECT_EQ(-EACCES, sendto_unspec(fd, AF_INET6, 1025, 0));
	EXPECT_EQ(-EACCES, sendto_unspec(fd, AF_INET6, 1024, 2));
	EXPECT_EQ(-EINVAL, sendto_unspec(fd, AF_INET6, 1024, 1));
	EXPECT_EQ(0, send_fd_to(fd, AF_INET6, 1024));
	EXPECT_EQ(0, close(fd));
}

/* A layer that does not handle sending allows it. */
TEST(unspec_is_let_through_where_sending_is_not_handled)
{
	int fd;

	ASSERT_EQ(0, own_network());
	fd = make_socket(AF_INET6, SOCK_DGRAM, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, connect_fd(fd, AF_INET6, 1024));
	ASSERT_EQ(0, sendto_unspec(fd, AF_INET6, 1024, 0));
	ASSERT_EQ(0, restrict_all(BIND_TCP | CONNECT_TCP | BIND_UDP));
	EXPECT_NE(-EACCES, sendto_unspec(fd, AF_INET6, 1024, 0));
	EXPECT_EQ(0, close(fd));
}

/* A socket that was changed from IPv6 to IPv4 is an IPv4 socket. */
TEST(addrform_makes_an_ipv4_socket)
{
	const int inet = AF_INET;
	union addr addr = {
		.in6 = {
			.sin6_family = AF_INET6,
			.sin6_port = htons(1024),
			.sin6_addr.s6_addr = { [10] = 0xff, [11] = 0xff,
					       [12] = 127, [15] = 1 },
		},
	};
	int fd;

	ASSERT_EQ(0, own_network());
	fd = make_socket(AF_INET6, SOCK_DGRAM, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, connect(fd, &addr.sa, sizeof(addr.in6)));
	ASSERT_EQ(0, restrict_to_port(SEND_UDP, 1024, SEND_UDP));
	EXPECT_EQ(-EACCES, sendto_unspec(fd, AF_INET, 1024, 0));
	EXPECT_EQ(-EINVAL, send_fd_to(fd, AF_INET, 1024));

	ASSERT_EQ(0, setsockopt(fd, IPPROTO_IPV6, IPV6_ADDRFORM, &inet,
				sizeof(inet)));
	EXPECT_EQ(0, sendto_unspec(fd, AF_INET, 1024, 0));
	EXPECT_EQ(-EACCES, sendto_unspec(fd, AF_INET, 1025, 0));
	EXPECT_EQ(-EACCES, send_fd_to(fd, AF_INET, 1025));
	EXPECT_EQ(-EINVAL, send_fd_to(fd, AF_INET6, 1025));
	EXPECT_EQ(0, close(fd));
}

/* Addresses that are too short or of another family */

TEST_F(net, short_addresses_are_errors_before_refusals)
{
	const socklen_t least = variant->family == AF_INET ?
					sizeof(struct sockaddr_in) :
					SIN6_LEN_MIN;
	union addr addr;
	const socklen_t full = loopback(&addr, variant->family, 1024);
	socklen_t len;
	int tcp, udp;

	tcp = make_socket(variant->family, SOCK_STREAM, 0);
	udp = make_socket(variant->family, SOCK_DGRAM, 0);
	ASSERT_LE(0, tcp);
	ASSERT_LE(0, udp);
	ASSERT_EQ(0, restrict_all(ALL_NET));
	for (len = 0; len <= full; len++) {
		const int expected = len < least ? EINVAL : EACCES;

		errno = 0;
		EXPECT_EQ(-1, bind(tcp, &addr.sa, len));
		EXPECT_EQ(expected, errno)
			TH_LOG("bind tcp, length %u", len);
		errno = 0;
		EXPECT_EQ(-1, connect(tcp, &addr.sa, len));
		EXPECT_EQ(expected, errno)
			TH_LOG("connect tcp, length %u", len);
		errno = 0;
		EXPECT_EQ(-1, bind(udp, &addr.sa, len));
		EXPECT_EQ(expected, errno)
			TH_LOG("bind udp, length %u", len);
		errno = 0;
		EXPECT_EQ(-1, connect(udp, &addr.sa, len));
		EXPECT_EQ(expected, errno)
			TH_LOG("connect udp, length %u", len);
		errno = 0;
		EXPECT_EQ(-1, sendto(udp, "x", 1, 0, &addr.sa, len));
		EXPECT_EQ(expected, errno)
			TH_LOG("sendto, length %u", len);
	}
	EXPECT_EQ(0, close(tcp));
	EXPECT_EQ(0, close(udp));
}

/* The port of the shortest valid IPv6 address decides. */
TEST(the_shortest_ipv6_address_is_decided)
{
	union addr addr;
	int tcp;

	ASSERT_EQ(0, own_network());
	ASSERT_EQ(0, restrict_to_port(BIND_TCP, 1024, BIND_TCP));
	tcp = make_socket(AF_INET6, SOCK_STREAM, 0);
	ASSERT_LE(0, tcp);
	loopback(&addr, AF_INET6, 1025);
	EXPECT_EQ(-1, bind(tcp, &addr.sa, SIN6_LEN_MIN));
	EXPECT_EQ(EACCES, errno);
	loopback(&addr, AF_INET6, 1024);
	EXPECT_EQ(0, bind(tcp, &addr.sa, SIN6_LEN_MIN));
	EXPECT_EQ(0, close(tcp));
}

TEST_F(net, the_other_family_is_an_error_before_a_refusal)
{
	const int other = variant->family == AF_INET ? AF_INET6 : AF_INET;
	int tcp, udp, i;

	tcp = make_socket(variant->family, SOCK_STREAM, 0);
	udp = make_socket(variant->family, SOCK_DGRAM, 0);
	ASSERT_LE(0, tcp);
	ASSERT_LE(0, udp);
	ASSERT_EQ(0, restrict_to_port(ALL_NET, 1024, ALL_NET));
	for (i = 0; i < 2; i++) {
		/* A port that a rule allows, and one that no rule allows. */
		EXPECT_EQ(-EINVAL, bind_fd(tcp, other, 1024 + i));
		EXPECT_EQ(-EINVAL, connect_fd(tcp, other, 1024 + i));
		EXPECT_EQ(-EINVAL, bind_fd(udp, other, 1024 + i));
		EXPECT_EQ(-EINVAL, connect_fd(udp, other, 1024 + i));
		EXPECT_EQ(-EINVAL, send_fd_to(udp, other, 1024 + i));
	}
	EXPECT_EQ(0, close(tcp));
	EXPECT_EQ(0, close(udp));
}

/* A domain does not change the answers for a family without ports. */
TEST_F(net, foreign_families_are_left_to_the_stack)
{
	static const int families[] = { AF_UNIX, AF_PACKET, AF_NETLINK, 255 };
	int before[ARRAY_SIZE(families)][5];
	int pass;

	for (pass = 0; pass < 2; pass++) {
		size_t i, j;

		for (i = 0; i < ARRAY_SIZE(families); i++) {
			union addr addr;
			const socklen_t len = loopback(&addr, variant->family,
						       1024);
			int now[5], tcp, udp, fresh;

			addr.sa.sa_family = families[i];
			tcp = make_socket(variant->family, SOCK_STREAM, 0);
			udp = make_socket(variant->family, SOCK_DGRAM, 0);
			fresh = make_socket(variant->family, SOCK_DGRAM, 0);
			ASSERT_LE(0, tcp);
			ASSERT_LE(0, udp);
			ASSERT_LE(0, fresh);
			ASSERT_EQ(0, bind_fd(udp, variant->family, 0));
			now[0] = bind(tcp, &addr.sa, len) ? errno : 0;
			now[1] = connect(tcp, &addr.sa, len) ? errno : 0;
			now[2] = bind(fresh, &addr.sa, len) ? errno : 0;
			now[3] = connect(udp, &addr.sa, len) ? errno : 0;
			now[4] = sendto(udp, "x", 1, 0, &addr.sa, len) < 0 ?
					 errno : 0;
			for (j = 0; j < 5; j++) {
				if (!pass) {
					before[i][j] = now[j];
					EXPECT_NE(0, now[j]);
					EXPECT_NE(EACCES, now[j]);
					continue;
				}
				EXPECT_EQ(before[i][j], now[j])
					TH_LOG("family %d, call %zu",
					       families[i], j);
			}
			EXPECT_EQ(0, close(tcp));
			EXPECT_EQ(0, close(udp));
			EXPECT_EQ(0, close(fresh));
		}
		/* One socket must be bound, to any port. */
		if (!pass)
			ASSERT_EQ(0, restrict_to_port(ALL_NET, 0, BIND_UDP));
	}
}

/* Sockets that are past their first bind or connect */

TEST_F(net, state_errors_come_after_refusals)
{
	const int listener = listen_on(variant->family, 0, 1024);
	int fd;

	ASSERT_LE(0, listener);
	fd = make_socket(variant->family, SOCK_STREAM, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, connect_fd(fd, variant->family, 1024));
	ASSERT_EQ(0, restrict_to_port(BIND_TCP | CONNECT_TCP, 1024,
				      BIND_TCP | CONNECT_TCP));
	EXPECT_EQ(-EISCONN, connect_fd(fd, variant->family, 1024));
	EXPECT_EQ(-EACCES, connect_fd(fd, variant->family, 1025));
	EXPECT_EQ(-EINVAL, bind_fd(listener, variant->family, 1024));
	EXPECT_EQ(-EACCES, bind_fd(listener, variant->family, 1025));

	/* A connected socket and a listening socket continue to work. */
	EXPECT_EQ(0, send_fd_to(fd, 0, 0));
	EXPECT_EQ(0, close(fd));
	fd = try_accept(listener);
	EXPECT_LE(0, fd);
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, close(listener));
}

/* The rules apply to the protocol of the socket, with or without its number. */
TEST_F(net, a_named_protocol_is_the_default_one)
{
	int fd;

	ASSERT_EQ(0, restrict_all(ALL_NET));
	fd = make_socket(variant->family, SOCK_STREAM, IPPROTO_TCP);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EACCES, bind_fd(fd, variant->family, 1024));
	EXPECT_EQ(-EACCES, connect_fd(fd, variant->family, 1024));
	EXPECT_EQ(0, close(fd));
	fd = make_socket(variant->family, SOCK_DGRAM, IPPROTO_UDP);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EACCES, bind_fd(fd, variant->family, 1024));
	EXPECT_EQ(-EACCES, connect_fd(fd, variant->family, 1024));
	EXPECT_EQ(-EACCES, send_fd_to(fd, variant->family, 1024));
	EXPECT_EQ(0, close(fd));
}

TEST_HARNESS_MAIN
