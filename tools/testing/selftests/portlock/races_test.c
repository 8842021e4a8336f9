// SPDX-License-Identifier: GPL-2.0
/*
 * Portlock tests: calls that meet
 *
 * Threads and processes on several processors use rulesets, domains and sockets
 * at the same time.  Who comes first is open, what comes out is not: in each
 * round the answers must be those of some order of the calls.
 *
 * PORTLOCK_ROUNDS is how many rounds each test does.  How often each call had
 * which result is printed, to be read: a race of which only one outcome shows
 * has not been one.
 */

#include <linux/bpf.h>
#include <stddef.h>
#include <sys/resource.h>

#include "races.h"

/* Ports that all rounds of a process use, and one for each of its rounds. */
#define OPEN_PORT 1
#define SHUT_PORT 2
#define OTHER_OPEN_PORT 3
#define PORT(round) (100 + (round))
#define OTHER_PORT(round) (200 + (round))
#define THIRD_PORT(round) (300 + (round))

static void must_allow(int port, const char *what)
{
	const int ret = ask(port);

	must(ret == 0, what, ret);
}

static void must_deny(int port, const char *what)
{
	const int ret = ask(port);

	must(ret == -EACCES, what, ret);
}

/*
 * A ruleset that leaves open what the rounds of this process are about, but for
 * the ports that are named.
 */
static int ruleset_without(int port, int other_port)
{
	const int fd = net_ruleset(BIND_TCP);
	int i;

	need(fd, "ruleset");
	need(add_port(fd, OPEN_PORT, BIND_TCP), "rule");
	for (i = 0; i < ROUNDS_OF_LAYERS; i++) {
		if (PORT(i) != port)
			need(add_port(fd, PORT(i), BIND_TCP), "rule");
		if (OTHER_PORT(i) != other_port)
			need(add_port(fd, OTHER_PORT(i), BIND_TCP), "rule");
	}
	return fd;
}

/*
 * A rule that is added while the ruleset is being enforced is in the domain or
 * it is not, and stays so.
 */

enum { RULE, RULE_ADDED, RULE_OTHER };

static void check_layers(const int *answers, int round)
{
	int i;

	must_allow(OPEN_PORT, "a port of the ruleset was refused");
	must_deny(SHUT_PORT, "a port of no rule was allowed");
	for (i = 0; i <= round; i++) {
		const int ret = ask(PORT(i));

		must(ret == answers[i], "an answer changed", ret);
	}
}

static void enforce_while_adding(void)
{
	int answers[ROUNDS_OF_LAYERS];
	int i;

	for (i = 0; i < ROUNDS_OF_LAYERS; i++) {
		meet_and_stagger();
		need(restrict_self(race.fd, 0), "restrict_self");
		answers[i] = ask(PORT(i));
		count(RULE, answers[i] ? COUNT_OUT : COUNT_IN);
		check_layers(answers, i);
		meet();
		/* The rule is in the ruleset now, which changes nothing. */
		check_layers(answers, i);
	}
}

static void add_while_enforcing(void)
{
	int i;

	for (i = 0; i < ROUNDS_OF_LAYERS; i++) {
		race.fd = ruleset_without(PORT(i), 0);
		meet_and_stagger();
		count(RULE_ADDED, add_port(race.fd, PORT(i), BIND_TCP));
		count(RULE_OTHER, add_port(race.fd, THIRD_PORT(i), BIND_TCP));
		meet();
		close(race.fd);
	}
	must_allow(SHUT_PORT, "a thread without a domain was restricted");
}

TEST_F_TIMEOUT(races, rules_are_in_or_out, TIMEOUT)
{
	static const struct plan plan = {
		.racers = {
			add_while_enforcing,
			enforce_while_adding,
			enforce_while_adding,
		},
		.rounds = ROUNDS_OF_LAYERS,
		.operations = {
			"rule in the domain",
			"add_rule",
			"add_rule of another",
		},
	};

	expect_order(_metadata, &plan);
	EXPECT_EQ(shared->counts[RULE_ADDED][0],
		  (shared->counts[RULE][COUNT_IN] +
		   shared->counts[RULE][COUNT_OUT]) / 2);
}

/* A descriptor that is closed, or becomes another one's, stands for one. */

/* So far from others that the sockets of probes never take its place. */
#define FAR 100

enum { REUSED_ENFORCED, REUSED_ADDED, REUSED_WHICH };

static void enforce_while_closing(void)
{
	int i;

	for (i = 0; i < ROUNDS_OF_LAYERS; i++) {
		int ret, first, second;

		meet_and_stagger();
		ret = count(REUSED_ENFORCED, restrict_self(race.fd, 0));
		must(ret == 0 || ret == -EBADF, "restrict_self failed", ret);
		first = ask(PORT(i));
		second = ask(OTHER_PORT(i));
		if (ret)
			must(!first && !second,
			     "a call that failed made a domain", ret);
		else
			must(!first != !second,
			     "a domain is of two rulesets or none", first);
		if (!ret)
			count(REUSED_WHICH, first ? COUNT_OUT : COUNT_IN);
		must_allow(OPEN_PORT, "a port of both rulesets was refused");
		meet();
		must(first == ask(PORT(i)), "an answer changed", first);
		must(second == ask(OTHER_PORT(i)), "an answer changed",
		     second);
	}
}

static void close_while_enforcing(void)
{
	int i;

	for (i = 0; i < ROUNDS_OF_LAYERS; i++) {
		const int fd = ruleset_without(0, OTHER_PORT(i));

		race.fd = fd + FAR;
		need(dup2(fd, race.fd), "dup2");
		close(fd);
		race.other_fd = ruleset_without(PORT(i), 0);
		meet_and_stagger();
		if (random_below(2)) {
			close(race.fd);
			linger();
		}
		need(dup2(race.other_fd, race.fd), "dup2");
		meet();
		close(race.fd);
		close(race.other_fd);
	}
}

static void add_while_closing(void)
{
	int i;

	for (i = 0; i < ROUNDS_OF_LAYERS; i++) {
		int ret;

		meet_and_stagger();
		ret = count(REUSED_ADDED,
			    add_port(race.fd, THIRD_PORT(i), BIND_TCP));
		must(ret == 0 || ret == -EBADF, "add_rule failed", ret);
		meet();
	}
}

TEST_F_TIMEOUT(races, a_descriptor_stands_for_one_ruleset, TIMEOUT)
{
	static const struct plan plan = {
		.racers = {
			close_while_enforcing,
			enforce_while_closing,
			add_while_closing,
		},
		.rounds = ROUNDS_OF_LAYERS,
		.operations = {
			"restrict_self",
			"add_rule",
			"first of the two rulesets",
		},
	};

	expect_order(_metadata, &plan);
}

/*
 * Rules that several threads add are all there in the end, also when others
 * enforce the ruleset meanwhile, which freezes what it has so far.
 */

#define NUM_ADDED 8

enum { ADDED_A, ADDED_B, ADDED_SEEN };

static void add_many(int operation, int first, int second)
{
	int i;

	for (i = 0; i < NUM_ADDED; i++) {
		int ret;

		ret = count(operation,
			    add_port(race.fd, first + i, BIND_TCP));
		must(ret == 0, "add_rule failed", ret);
		/* The other's port, with another right. */
		ret = count(operation,
			    add_port(race.fd, second + i, CONNECT_TCP));
		must(ret == 0, "add_rule failed", ret);
	}
}

/* Returns how many of the ports are open, the same each time it looks. */
static int enforce_and_count(void)
{
	int i, num = 0;

	if (restrict_self(race.fd, 0))
		return 100;
	for (i = 0; i < NUM_ADDED; i++)
		num += !ask(PORT(i)) + !ask(OTHER_PORT(i));
	for (i = 0; i < NUM_ADDED; i++)
		num -= !ask(PORT(i)) + !ask(OTHER_PORT(i));
	if (num)
		return 101;
	for (i = 0; i < NUM_ADDED; i++)
		num += !ask(PORT(i)) + !ask(OTHER_PORT(i));
	return ask(SHUT_PORT) ? num : 102;
}

static int enforce_in_child(void)
{
	const pid_t child = vfork();

	if (child == 0)
		_exit(enforce_and_count());
	need(child, "vfork");
	return wait_child(child);
}

static void add_one_half(void)
{
	int i;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		int ret;

		race.fd = net_ruleset(BIND_TCP | CONNECT_TCP);
		need(race.fd, "ruleset");
		meet_and_stagger();
		add_many(ADDED_A, PORT(0), OTHER_PORT(0));
		meet();
		ret = enforce_in_child();
		must(ret == 2 * NUM_ADDED, "a rule was lost", 0);
		close(race.fd);
	}
}

static void add_other_half(void)
{
	int i;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		meet_and_stagger();
		add_many(ADDED_B, OTHER_PORT(0), PORT(0));
		meet();
	}
}

static void enforce_meanwhile(void)
{
	int i;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		int ret;

		meet_and_stagger();
		ret = enforce_in_child();
		must(ret >= 0 && ret <= 2 * NUM_ADDED,
		     "a domain that was enforced meanwhile changed", 0);
		count(ADDED_SEEN, ret == 0		? COUNT_OUT :
				  ret == 2 * NUM_ADDED ? COUNT_IN :
							 0);
		meet();
	}
}

TEST_F_TIMEOUT(races, no_rule_is_lost, TIMEOUT)
{
	static const struct plan plan = {
		.racers = {
			add_one_half,
			add_other_half,
			enforce_meanwhile,
		},
		.rounds = ROUNDS_WITHOUT,
		.operations = {
			"add_rule",
			"add_rule by the other",
			"all of the rules (in), none (out) or some when enforced",
		},
	};

	expect_order(_metadata, &plan);
}

/*
 * Once a thread has restricted all, no sibling can do what the layer forbids;
 * and none is restricted before the call began, or by one that failed.
 */

enum { SYNC_CALL, SYNC_SIBLING, SYNC_NEW };

static void restrict_all_threads(void)
{
	int i, fd, ret;

	meet();
	for (i = 0; i < ROUNDS_OF_LAYERS; i++) {
		fd = ruleset_without(PORT(i), 0);
		store(&race.started, i + 1);
		ret = count(SYNC_CALL,
			    restrict_self(fd, LANDLOCK_RESTRICT_SELF_TSYNC));
		must(ret == 0, "TSYNC failed", ret);
		store(&race.finished, i + 1);
		close(fd);
		must_deny(PORT(i), "the caller was not restricted");
	}
	fd = ruleset_without(0, OTHER_PORT(0));
	ret = count(SYNC_CALL, restrict_self(fd, LANDLOCK_RESTRICT_SELF_TSYNC));
	must(ret == -E2BIG, "a 17th layer was not refused", ret);
	close(fd);
	race.stop = true;
	meet();
	must_allow(OTHER_PORT(0), "a refused layer restricts");
	meet();
}

/* Asks for the port of a round, and knows what may have happened till then. */
static void check_sync(int operation)
{
	const int finished = load(&race.finished);
	const int round = finished && random_below(2) ?
				  finished - 1 :
				  random_below(ROUNDS_OF_LAYERS);
	const int ret = count(operation, ask(PORT(round)));

	if (round < finished)
		must(ret == -EACCES, "a thread escaped", ret);
	if (round >= load(&race.started))
		must(ret == 0, "a thread was restricted too early", ret);
	must_allow(OTHER_PORT(0), "a port of all layers was refused");
}

static void be_restricted(void)
{
	/* The raw call changes this thread and no other. */
	need(syscall(__NR_setresuid, -1, 1000, -1), "setresuid");
	meet();
	while (!__atomic_load_n(&race.stop, __ATOMIC_SEQ_CST)) {
		check_sync(SYNC_SIBLING);
		linger();
	}
	meet();
	must_allow(OTHER_PORT(0), "a refused layer restricts a sibling");
	meet();
}

static void *check_sync_once(void *data)
{
	seed = *(const unsigned int *)data;
	check_sync(SYNC_NEW);
	return NULL;
}

static void make_threads(void)
{
	unsigned int new_seed;
	pthread_t thread;

	meet();
	while (!__atomic_load_n(&race.stop, __ATOMIC_SEQ_CST)) {
		new_seed = random_below(1U << 16);
		need(-pthread_create(&thread, NULL, check_sync_once,
				     &new_seed),
		     "thread");
		check_sync(SYNC_SIBLING);
		need(-pthread_join(thread, NULL), "join");
		linger();
	}
	meet();
	must_allow(OTHER_PORT(0), "a refused layer restricts a sibling");
	meet();
}

TEST_F_TIMEOUT(races, no_sibling_escapes, TIMEOUT)
{
	static const struct plan plan = {
		.racers = {
			restrict_all_threads,
			be_restricted,
			make_threads,
		},
		.rounds = ROUNDS_OF_LAYERS,
		.operations = {
			"restrict_self with TSYNC",
			"bind in a sibling",
			"bind in a new sibling",
		},
	};

	expect_order(_metadata, &plan);
}

/* A child is restricted if its parent was, and only if its parent is. */
static void fork_while_restricted(void)
{
	meet();
	while (!__atomic_load_n(&race.stop, __ATOMIC_SEQ_CST)) {
		const int round = load(&race.finished) % ROUNDS_OF_LAYERS;
		const int before = ask(PORT(round));
		const pid_t child = fork();
		int ret, after;

		if (child == 0) {
			ret = ask(PORT(round));
			_exit(ask(PORT(round)) == ret ? -ret : EPROTO);
		}
		need(child, "fork");
		ret = count(SYNC_NEW, -wait_child(child));
		after = ask(PORT(round));
		must(ret == 0 || ret == -EACCES, "a child's answer changed",
		     ret);
		if (before)
			must(ret == -EACCES, "a child escaped", ret);
		if (ret)
			must(after == -EACCES,
			     "a child was restricted and its parent was not",
			     after);
	}
	meet();
	must_allow(OTHER_PORT(0), "a refused layer restricts a sibling");
	meet();
}

TEST_F_TIMEOUT(races, no_child_escapes, TIMEOUT)
{
	static const struct plan plan = {
		.racers = {
			restrict_all_threads,
			be_restricted,
			fork_while_restricted,
		},
		.rounds = ROUNDS_OF_LAYERS,
		.operations = {
			"restrict_self with TSYNC",
			"bind in a sibling",
			"bind in a child",
		},
	};

	expect_order(_metadata, &plan);
}

/* Each of two calls at once restricts all; a lone one may be overtaken. */

#define ROUNDS_OF_RIVALS (MAX_LAYERS / 3)

enum { RIVAL_CALL, RIVAL_OWN_CALL, RIVAL_OWN_LAYER };

static void check_rivals(int round)
{
	must_deny(PORT(round), "a thread escaped the one call");
	must_deny(OTHER_PORT(round), "a thread escaped the other call");
	must_allow(OPEN_PORT, "a port of all layers was refused");
}

static void restrict_as_rival(bool other)
{
	int i;

	for (i = 0; i < ROUNDS_OF_RIVALS; i++) {
		const int fd = ruleset_without(other ? 0 : PORT(i),
					       other ? OTHER_PORT(i) : 0);
		int ret;

		meet_and_stagger();
		ret = count(RIVAL_CALL,
			    restrict_self(fd, LANDLOCK_RESTRICT_SELF_TSYNC));
		must(ret == 0, "TSYNC failed", ret);
		meet();
		check_rivals(i);
		close(fd);
		meet();
	}
}

static void restrict_as_one(void)
{
	restrict_as_rival(false);
}

static void restrict_as_other(void)
{
	restrict_as_rival(true);
}

static void restrict_alone(void)
{
	int i;

	for (i = 0; i < ROUNDS_OF_RIVALS; i++) {
		/* Its ports are those of the rounds that never come. */
		const int port = PORT(ROUNDS_OF_LAYERS - 1 - i);
		const int fd = ruleset_without(port, 0);
		int ret;

		meet_and_stagger();
		/* The others are at it for longer. */
		if (random_below(2)) {
			while (ask(OTHER_PORT(i)) == 0)
				linger();
		}
		ret = count(RIVAL_OWN_CALL, restrict_self(fd, 0));
		must(ret == 0, "restrict_self failed", ret);
		meet();
		check_rivals(i);
		count(RIVAL_OWN_LAYER, ask(port) ? COUNT_IN : COUNT_OUT);
		close(fd);
		meet();
	}
}

TEST_F_TIMEOUT(races, rivals_restrict_all, TIMEOUT)
{
	static const struct plan plan = {
		.racers = {
			restrict_as_one,
			restrict_as_other,
			restrict_alone,
		},
		.rounds = ROUNDS_OF_RIVALS,
		.operations = {
			"restrict_self with TSYNC",
			"restrict_self",
			"own layer kept (in) or taken over (out)",
		},
	};

	expect_order(_metadata, &plan);
}

/* Processes that share a domain end, and add layers, at the same time. */

enum { SHARED_CHILD };

static int inherit_and_leave(int round)
{
	const int fd = ruleset_without(PORT(0), OTHER_PORT(0));
	int ret;

	if (ask(SHUT_PORT) != -EACCES)
		return 1;
	ret = restrict_self(fd, 0);
	close(fd);
	if (ret)
		return 2;
	return ask(SHUT_PORT) == -EACCES && ask(PORT(0)) == -EACCES &&
			       ask(OPEN_PORT) == 0 ?
		       0 :
		       3;
}

static void make_children(void)
{
	int i;

	for (i = 0; i < ROUNDS_OF_LAYERS - 1; i++) {
		pid_t child;
		int ret;

		meet_and_stagger();
		child = fork();
		if (child == 0)
			_exit(inherit_and_leave(i));
		need(child, "fork");
		ret = count(SHARED_CHILD, wait_child(child));
		must(ret == 0, "a child's domain was wrong", ret);
	}
}

static void leave_the_shared_domain(void)
{
	int i;

	for (i = 0; i < ROUNDS_OF_LAYERS - 1; i++) {
		const int fd = ruleset_without(PORT(i), 0);

		meet_and_stagger();
		need(restrict_self(fd, 0), "restrict_self");
		close(fd);
		must_deny(PORT(i), "the own layer does not hold");
		must_deny(SHUT_PORT, "the shared layer does not hold");
		must_allow(OPEN_PORT, "a port of all layers was refused");
	}
}

static void share_a_domain(void)
{
	const int fd = ruleset_without(0, 0);

	need(restrict_self(fd, 0), "restrict_self");
	close(fd);
}

TEST_F_TIMEOUT(races, domains_are_shared, TIMEOUT)
{
	static const struct plan plan = {
		.prepare = share_a_domain,
		.racers = {
			leave_the_shared_domain,
			make_children,
			make_children,
		},
		.rounds = ROUNDS_OF_LAYERS - 1,
		.operations = {
			"child (success: its layers held)",
		},
	};

	expect_order(_metadata, &plan);
}

/* Sockets */

static int shut_socket, shut_socket6, open_socket;

static int make_receiver(int family, __u16 port)
{
	const int fd = make_socket(family, SOCK_DGRAM, 0);

	need(fd, "receiver");
	need(bind_fd(fd, family, port), "bind of the receiver");
	return fd;
}

static bool receives(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) >= 0;
}

/* Whatever a call returned, this is what it must not have done. */
static void check_receivers(void)
{
	must(!receives(shut_socket) && !receives(shut_socket6),
	     "a datagram reached a port of no rule", 0);
	while (receives(open_socket))
		;
}

static void make_receivers(void)
{
	shut_socket = make_receiver(AF_INET, SHUT_PORT);
	shut_socket6 = make_receiver(AF_INET6, SHUT_PORT);
	open_socket = make_receiver(AF_INET, OPEN_PORT);
}

/* Sending to one port, and binding one. */
static void restrict_udp(int bind_port)
{
	const int fd = net_ruleset(ALL_NET);

	need(fd, "ruleset");
	need(add_port(fd, OPEN_PORT, SEND_UDP | CONNECT_TCP), "rule");
	need(add_port(fd, bind_port, BIND_UDP | BIND_TCP), "rule");
	need(restrict_self(fd, 0), "restrict_self");
	close(fd);
}

static socklen_t mapped(union addr *addr, __u16 port)
{
	const socklen_t len = loopback(addr, AF_INET6, port);

	/* ::ffff:127.0.0.1 */
	memset(&addr->in6.sin6_addr, 0, sizeof(addr->in6.sin6_addr));
	memset(&addr->in6.sin6_addr.s6_addr[10], 0xff, 2);
	addr->in6.sin6_addr.s6_addr[12] = 127;
	addr->in6.sin6_addr.s6_addr[15] = 1;
	return len;
}

/* One of the ways to write the address of @port, which all mean it. */
static socklen_t some_address(union addr *addr, __u16 port)
{
	socklen_t len;

	switch (random_below(4)) {
	case 0:
		return mapped(addr, port);
	case 1:
		return loopback(addr, AF_INET6, port);
	case 2:
		return loopback(addr, AF_INET, port);
	default:
		len = loopback(addr, AF_INET, port);
		addr->sa.sa_family = AF_UNSPEC;
		return len;
	}
}

static int send_byte(int fd, const union addr *addr, socklen_t len)
{
	return sendto(fd, "x", 1, MSG_NOSIGNAL, &addr->sa, len) == 1 ? 0 :
								       -errno;
}

static int disconnect(int fd)
{
	const struct sockaddr addr = {
		.sa_family = AF_UNSPEC,
	};

	return connect(fd, &addr, sizeof(addr)) ? -errno : 0;
}

/*
 * Another thread may turn an IPv6 socket into an IPv4 one while its address is
 * being checked.  What the stack then makes of the address must have been
 * checked, too.
 */

enum { FORM_TURN, FORM_SHUT, FORM_OPEN, FORM_CONNECT, FORM_BIND };

static void prepare_forms(void)
{
	make_receivers();
	/* Any port that is free may be bound. */
	restrict_udp(0);
}

static bool is_refusal(int ret)
{
	return ret == -EACCES || ret == -EINVAL || ret == -EAFNOSUPPORT;
}

static void turn_into_ipv4(void)
{
	const int ipv4 = AF_INET;
	union addr addr;
	socklen_t len;
	int i;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		race.fd = make_socket(AF_INET6, SOCK_DGRAM, 0);
		need(race.fd, "socket");
		len = mapped(&addr, OPEN_PORT);
		need(connect(race.fd, &addr.sa, len), "connect");
		meet_and_stagger();
		count(FORM_TURN,
		      setsockopt(race.fd, IPPROTO_IPV6, IPV6_ADDRFORM, &ipv4,
				 sizeof(ipv4)) ?
			      -errno :
			      0);
		meet();
		check_receivers();
		close(race.fd);
	}
}

static void send_while_turning(void)
{
	union addr addr;
	socklen_t len;
	int i, ret;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		meet_and_stagger();
		len = some_address(&addr, SHUT_PORT);
		ret = count(FORM_SHUT, send_byte(race.fd, &addr, len));
		must(is_refusal(ret), "a datagram was sent", ret);
		len = mapped(&addr, OPEN_PORT);
		count(FORM_OPEN, send_byte(race.fd, &addr, len));
		meet();
	}
}

static void connect_while_turning(void)
{
	union addr addr;
	socklen_t len;
	int i, ret;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		meet_and_stagger();
		do {
			len = some_address(&addr, SHUT_PORT);
		} while (addr.sa.sa_family == AF_UNSPEC);
		if (random_below(2)) {
			ret = connect(race.fd, &addr.sa, len) ? -errno : 0;
			count(FORM_CONNECT, ret);
		} else {
			ret = bind(race.fd, &addr.sa, len) ? -errno : 0;
			count(FORM_BIND, ret);
		}
		must(is_refusal(ret), "a port of no rule was used", ret);
		/* Now and then, it can no longer be turned. */
		if (!random_below(8))
			disconnect(race.fd);
		meet();
	}
}

TEST_F_TIMEOUT(races, a_turned_socket_stays_in_the_domain, TIMEOUT)
{
	static const struct plan plan = {
		.prepare = prepare_forms,
		.racers = {
			turn_into_ipv4,
			send_while_turning,
			connect_while_turning,
		},
		.rounds = ROUNDS_WITHOUT,
		.operations = {
			"IPV6_ADDRFORM",
			"sendto a shut port",
			"sendto an open port",
			"connect to a shut port",
			"bind of a shut port",
		},
	};

	expect_order(_metadata, &plan);
}

/* A socket gets the port that its user may bind, or none. */

enum { AUTO_BIND, AUTO_SEND, AUTO_CONNECT, AUTO_OPTION };

static void prepare_autobind(void)
{
	make_receivers();
	restrict_udp(OTHER_OPEN_PORT);
}

static void bind_while_sending(void)
{
	int i, ret;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		race.fd = make_socket(AF_INET, SOCK_DGRAM, 0);
		need(race.fd, "socket");
		meet_and_stagger();
		ret = count(AUTO_BIND,
			    bind_fd(race.fd, AF_INET, OTHER_OPEN_PORT));
		must(ret == 0, "bind of an open port", ret);
		meet();
		must(port_of(race.fd) == OTHER_OPEN_PORT,
		     "the socket has another port", 0);
		check_receivers();
		close(race.fd);
	}
}

static void send_while_binding(void)
{
	int i, ret;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		meet_and_stagger();
		ret = count(AUTO_SEND,
			    send_fd_to(race.fd, AF_INET, OPEN_PORT));
		must(ret == 0 || ret == -EACCES, "sendto", ret);
		if (ret == 0)
			must(port_of(race.fd) == OTHER_OPEN_PORT,
			     "a port was bound that no rule allows", 0);
		meet();
	}
}

static void connect_while_binding(void)
{
	int i, ret;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		const int value = i % 2;

		meet_and_stagger();
		ret = setsockopt(race.fd, SOL_SOCKET, SO_REUSEADDR, &value,
				 sizeof(value));
		count(AUTO_OPTION, ret ? -errno : 0);
		ret = count(AUTO_CONNECT,
			    connect_fd(race.fd, AF_INET, OPEN_PORT));
		must(ret == 0 || ret == -EACCES, "connect", ret);
		if (ret == 0)
			must(port_of(race.fd) == OTHER_OPEN_PORT,
			     "a port was bound that no rule allows", 0);
		meet();
	}
}

TEST_F_TIMEOUT(races, no_port_is_bound_on_the_way, TIMEOUT)
{
	static const struct plan plan = {
		.prepare = prepare_autobind,
		.racers = {
			bind_while_sending,
			send_while_binding,
			connect_while_binding,
		},
		.rounds = ROUNDS_WITHOUT,
		.operations = {
			"bind",
			"sendto from a socket that may be bound",
			"connect of a socket that may be bound",
			"setsockopt",
		},
	};

	expect_order(_metadata, &plan);
}

/*
 * A bind that fails late shows a port for a moment, which is none: whoever is
 * not allowed to get any port must not send with it, nor get another.
 *
 * A bind is late to fail when its SO_REUSEPORT group is full, and when a BPF
 * program refuses what is bound already.
 */

/* As often as each of the others calls while one binds. */
#define CALLS_WHILE_FAILING 16

enum { LATE_BIND, LATE_SEND, LATE_CONNECT };

/* What each late bind returns, and whether IPv6 sockets take turns. */
static int late_errno;
static bool late_ipv6;

static int late_family(int round)
{
	return late_ipv6 && round % 2 ? AF_INET6 : AF_INET;
}

static void prepare_late_failures(void)
{
	restrict_udp(OTHER_OPEN_PORT);
}

/* Without SO_REUSEADDR, which has a bind look at all sockets of the group. */
static int make_sharing_socket(int family)
{
	const int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const int one = 1;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one))) {
		close(fd);
		return -errno;
	}
	return fd;
}

static void fail_to_bind(void)
{
	int i, ret;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		race.fd = make_sharing_socket(late_family(i));
		need(race.fd, "socket");
		store(&race.finished, 0);
		meet_and_stagger();
		do {
			ret = count(LATE_BIND,
				    bind_fd(race.fd, late_family(i),
					    OTHER_OPEN_PORT));
			must(ret == late_errno, "a bind did not fail late",
			     ret);
		} while (load(&race.finished) < race.num - 1);
		meet();
		must(port_of(race.fd) == 0, "the socket has a port", 0);
		close(race.fd);
	}
}

static void call_while_failing(int operation,
			       int (*call)(int fd, int family, __u16 port))
{
	int i, j, ret;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		meet_and_stagger();
		for (j = 0; j < CALLS_WHILE_FAILING; j++) {
			ret = count(operation, call(race.fd, late_family(i),
						    OPEN_PORT));
			must(ret == -EACCES,
			     "a port was used that no bind got", ret);
			linger();
		}
		__atomic_add_fetch(&race.finished, 1, __ATOMIC_SEQ_CST);
		meet();
	}
}

static void send_while_failing(void)
{
	call_while_failing(LATE_SEND, send_fd_to);
}

static void connect_while_failing(void)
{
	call_while_failing(LATE_CONNECT, connect_fd);
}

static const struct plan late_plan = {
	.prepare = prepare_late_failures,
	.racers = {
		fail_to_bind,
		send_while_failing,
		connect_while_failing,
	},
	.rounds = ROUNDS_WITHOUT,
	.operations = {
		"bind that fails late",
		"sendto from a socket without a port",
		"connect of a socket without a port",
	},
};

/* What a group of sockets that share a port may hold: no array is longer. */
#define FULL_GROUP 32768

/*
 * Fills the group of OTHER_OPEN_PORT and keeps it full for as long as the parent
 * lives.  Returns only if it cannot.
 */
static int fill_group(int ready)
{
	const struct rlimit limit = {
		.rlim_cur = FULL_GROUP + 64,
		.rlim_max = FULL_GROUP + 64,
	};
	int i, fd, ret;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) ||
	    setrlimit(RLIMIT_NOFILE, &limit))
		return -errno;
	for (i = 0; i <= FULL_GROUP; i++) {
		fd = make_sharing_socket(AF_INET);
		if (fd < 0)
			return fd;
		ret = bind_fd(fd, AF_INET, OTHER_OPEN_PORT);
		if (ret && i < FULL_GROUP)
			return ret;
	}
	/* One that did not fit. */
	if (ret != -EADDRINUSE || write(ready, "", 1) != 1)
		return -EPROTO;
	for (;;)
		pause();
}

TEST_F_TIMEOUT(races, a_full_group_gives_no_port, TIMEOUT)
{
	int ready[2];
	pid_t holder;
	char byte;

	ASSERT_EQ(0, pipe2(ready, O_CLOEXEC));
	holder = fork();
	ASSERT_LE(0, holder);
	if (holder == 0)
		_exit(-fill_group(ready[1]));
	ASSERT_EQ(0, close(ready[1]));
	if (read(ready[0], &byte, 1) != 1) {
		const int ret = wait_child(holder);

		if (ret == ENOMEM || ret == ENOBUFS)
			SKIP(return, "no memory for %d sockets", FULL_GROUP);
		ASSERT_EQ(0, ret)
		{
			TH_LOG("no full group: %s", strerror(ret));
		}
	}

	late_errno = -EADDRINUSE;
	late_ipv6 = false;
	expect_order(_metadata, &late_plan);

	EXPECT_EQ(0, kill(holder, SIGKILL));
	EXPECT_EQ(holder, waitpid(holder, NULL, 0));
}

static int bpf_call(int command, union bpf_attr *attr)
{
	const int fd = syscall(__NR_bpf, command, attr, sizeof(*attr));

	return fd < 0 ? -errno : fd;
}

/* Refuses OTHER_OPEN_PORT to a socket that has it, until the result is closed. */
static int refuse_after_bind(int cgroup, enum bpf_attach_type type)
{
	const struct bpf_insn program[] = {
		{
			.code = BPF_LDX | BPF_MEM | BPF_W,
			.dst_reg = BPF_REG_2,
			.src_reg = BPF_REG_1,
			.off = offsetof(struct bpf_sock, src_port),
		},
		{
			.code = BPF_ALU64 | BPF_MOV | BPF_K,
			.dst_reg = BPF_REG_0,
			.imm = 1,
		},
		{
			.code = BPF_JMP | BPF_JNE | BPF_K,
			.dst_reg = BPF_REG_2,
			.off = 1,
			.imm = OTHER_OPEN_PORT,
		},
		{
			.code = BPF_ALU64 | BPF_MOV | BPF_K,
			.dst_reg = BPF_REG_0,
			.imm = 0,
		},
		{
			.code = BPF_JMP | BPF_EXIT,
		},
	};
	union bpf_attr load = {
		.prog_type = BPF_PROG_TYPE_CGROUP_SOCK,
		.expected_attach_type = type,
		.insns = (__u64)(uintptr_t)program,
		.insn_cnt = ARRAY_SIZE(program),
		.license = (__u64)(uintptr_t)"GPL",
	};
	union bpf_attr attach = {};
	const int fd = bpf_call(BPF_PROG_LOAD, &load);
	int link;

	if (fd < 0)
		return fd;
	attach.link_create.prog_fd = fd;
	attach.link_create.target_fd = cgroup;
	attach.link_create.attach_type = type;
	link = bpf_call(BPF_LINK_CREATE, &attach);
	close(fd);
	return link;
}

TEST_F_TIMEOUT(races, a_bind_that_is_refused_late_gives_no_port, TIMEOUT)
{
	const int cgroup = open("/sys/fs/cgroup",
				O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int link, link6;

	if (cgroup < 0)
		SKIP(return, "there is no /sys/fs/cgroup");
	link = refuse_after_bind(cgroup, BPF_CGROUP_INET4_POST_BIND);
	/* Without CGROUP_BPF, and where /sys/fs/cgroup is no cgroup2. */
	if (link == -ENOSYS || link == -EINVAL || link == -EBADF)
		SKIP(return, "no BPF program can refuse a bind");
	ASSERT_LE(0, link);
	link6 = refuse_after_bind(cgroup, BPF_CGROUP_INET6_POST_BIND);
	ASSERT_LE(0, link6);

	late_errno = -EPERM;
	late_ipv6 = true;
	expect_order(_metadata, &late_plan);

	EXPECT_EQ(0, close(link));
	EXPECT_EQ(0, close(link6));
	EXPECT_EQ(0, close(cgroup));
}

/* A socket serves a free thread and a restricted one, each as far as it may. */

enum { BOTH_FREE, BOTH_SEND, BOTH_SEND_OPEN, BOTH_CONNECT, BOTH_BIND };

static void use_freely(void)
{
	int i;

	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		int ret;

		race.fd = make_socket(AF_INET, SOCK_DGRAM, 0);
		race.other_fd = make_socket(AF_INET, SOCK_STREAM, 0);
		need(race.fd, "socket");
		need(race.other_fd, "socket");
		meet_and_stagger();
		ret = count(BOTH_FREE,
			    connect_fd(race.fd, AF_INET, SHUT_PORT));
		must(ret == 0, "a free thread was refused", ret);
		disconnect(race.fd);
		ret = count(BOTH_FREE,
			    connect_fd(race.other_fd, AF_INET, SHUT_PORT));
		must(ret == -ECONNREFUSED, "a free thread was refused", ret);
		meet();
		check_receivers();
		close(race.fd);
		close(race.other_fd);
	}
}

static void send_restricted(void)
{
	int i, ret;

	restrict_udp(0);
	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		meet_and_stagger();
		ret = count(BOTH_SEND,
			    send_fd_to(race.fd, AF_INET, SHUT_PORT));
		must(ret == -EACCES, "a datagram was sent", ret);
		ret = count(BOTH_SEND_OPEN,
			    send_fd_to(race.fd, AF_INET, OPEN_PORT));
		must(ret == 0, "sendto an open port", ret);
		ret = count(BOTH_CONNECT,
			    connect_fd(race.fd, AF_INET, SHUT_PORT));
		must(ret == -EACCES, "a socket was connected", ret);
		meet();
	}
}

static void connect_restricted(void)
{
	int i, ret;

	restrict_udp(0);
	for (i = 0; i < ROUNDS_WITHOUT; i++) {
		meet_and_stagger();
		ret = count(BOTH_CONNECT,
			    connect_fd(race.other_fd, AF_INET, SHUT_PORT));
		must(ret == -EACCES, "a socket was connected", ret);
		ret = count(BOTH_BIND,
			    bind_fd(race.other_fd, AF_INET, SHUT_PORT));
		must(ret == -EACCES, "a socket was bound", ret);
		meet();
	}
}

TEST_F_TIMEOUT(races, a_shared_socket_obeys_its_user, TIMEOUT)
{
	static const struct plan plan = {
		.prepare = make_receivers,
		.racers = {
			use_freely,
			send_restricted,
			connect_restricted,
		},
		.rounds = ROUNDS_WITHOUT,
		.operations = {
			"connect to a shut port by a free thread",
			"sendto a shut port",
			"sendto an open port",
			"connect to a shut port",
			"bind of a shut port",
		},
	};

	expect_order(_metadata, &plan);
}

TEST_HARNESS_MAIN
