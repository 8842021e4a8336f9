// SPDX-License-Identifier: GPL-2.0
/*
 * Portlock tests: everything at the same time
 *
 * Processes and threads on all CPUs add rules, enforce, close, bind, connect,
 * send, fork, exit, synchronize threads and turn IPv6 sockets into IPv4
 * sockets, in no order.  The checks hold in any order: a domain of this program
 * allows PORT_ALLOWED and refuses PORT_REFUSED at any time.  Unless C Landlock
 * decides, some domains are of plain rulesets, some of extended ones, and some
 * of both.  The extended ones grant rights on one socket, and tell an observer
 * that is drained and replaced meanwhile.  Permissive layers of them change no
 * answer.
 *
 * PORTLOCK_OPERATIONS is the total number of operations.
 */

#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "../kselftest_harness.h"
#include "observers.h"

#define PORT_ALLOWED 20001
#define PORT_REFUSED 20002
#define PROCESSES 3
#define THREADS 3
#define SLOTS 4
#define FIRST_OF_SLOTS 500
#define FIRST_OF_OBSERVERS 600
#define DEFAULT_OPERATIONS 8000
#define TIMEOUT 3000

enum operation {
	ADD_RULE,
	REPLACE_RULESET,
	BIND_REFUSED,
	BIND_ALLOWED,
	CONNECT_REFUSED,
	SEND_REFUSED,
	TURN_SOCKET,
	ADD_EXTENDED_RULE,
	WILDCARD_REFUSED,
	SOCKET_REFUSED,
	OPTION_REFUSED,
	LISTEN_REFUSED,
	OPENED_ALLOWED,
	OBSERVER_READ,
	OBSERVER_REPLACED,
	CHILD,
	SYNCHRONIZED,
	OPERATIONS,
};

static const char *const operation_names[] = {
	"add_rule",	  "ruleset replaced", "bind refused",
	"bind allowed",	  "connect refused",  "send refused",
	"IPV6_ADDRFORM",  "extended rule",    "wildcard refused",
	"socket refused", "option refused",   "listen refused",
	"opened socket",  "observer read",    "observer replaced",
	"fork and enforce", "TSYNC",
};

/* Memory that all processes share. */
static struct storm {
	atomic_long left;
	atomic_long done[OPERATIONS];
	/* How often a descriptor was closed during an operation. */
	atomic_long lost;
	/* How many sockets became IPv4 sockets while others sent with them. */
	atomic_long turned;
	/* What observers told of, and of permissive layers. */
	atomic_long told;
	atomic_long told_permissive;
	/* The line of the first wrong answer. */
	atomic_int wrong;
	atomic_int answer;
} *storm;

/* Rulesets of this process.  Any thread may replace any of them. */
static atomic_int slots[SLOTS];
static atomic_int shared_socket = -1;

/* The observer of the next rulesets.  Any thread may replace it. */
static atomic_int observer = -1;

/* The socket that the extended rulesets of this process grant rights on. */
static int granted_socket;

/* Whether the domain of this thread has a layer of an extended ruleset. */
static __thread bool is_extended;

#define expect(condition, value) \
	do { \
		if (!(condition)) \
			report(__LINE__, value); \
	} while (0)

static void report(const int line, const int value)
{
	int none = 0;

	if (atomic_compare_exchange_strong(&storm->wrong, &none, line))
		atomic_store(&storm->answer, value);
}

static unsigned int next_random(unsigned int *const state)
{
	*state = *state * 1103515245 + 12345;
	return *state >> 16;
}

/* Returns a ruleset with an observer, or without one if that was closed. */
static int observed_or_not(__u64 access)
{
	const int fd = observed_with(atomic_load(&observer), 0, access, 0,
				     SOCKET_CREATE);

	return fd == -EBADF ? extended(access, SOCKET_CREATE) : fd;
}

static int full_extended_ruleset(void)
{
	/* RECEIVE_UDP takes no address, and new sockets set options. */
	const __u64 access = (ALL_TCP | ALL_UDP) &
			     ~(RECEIVE_UDP | SETSOCKOPT_TCP | SETSOCKOPT_UDP);
	const int fd = observed_or_not(access);

	if (fd >= 0 && (add_opened(fd, GETSOCKOPT_TCP, granted_socket) ||
			add_net(fd, access, PORT_ALLOWED, PORT_ALLOWED,
				"127.0.0.1/32") ||
			add_net(fd, access, PORT_ALLOWED, PORT_ALLOWED,
				"::1/128") ||
			/* To listen is refused after this. */
			add_net(fd, BIND_TCP, 0, 0, "127.0.0.0/8") ||
			add_net(fd, BIND_UDP, 0, 0, NULL) ||
			add_socket(fd, AF_INET, -1, -1) ||
			add_socket(fd, AF_INET6, -1, -1))) {
		close(fd);
		return -1;
	}
	return fd;
}

static int full_plain_ruleset(void)
{
	const int fd = net_ruleset(ALL_NET);

	/* With port 0, the kernel may choose a port for a UDP socket. */
	if (fd >= 0 && (add_port(fd, PORT_ALLOWED, ALL_NET) ||
			add_port(fd, 0, BIND_UDP))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The ruleset of a thread, or of its children, which may have both layers. */
static int full_ruleset(void)
{
	return is_extended ? full_extended_ruleset() : full_plain_ruleset();
}

/*
 * Returns a full ruleset for a slot.  Another thread may close the descriptor
 * of a slot at any time.  Its number is then used only for another full
 * ruleset, because a ruleset has a low number until it is full.
 */
static int slot_ruleset(unsigned int *const state)
{
	const int filling = !is_c_landlock() && next_random(state) % 2 ?
				    full_extended_ruleset() :
				    full_plain_ruleset();
	const int fd = fcntl(filling, F_DUPFD_CLOEXEC, FIRST_OF_SLOTS);

	if (filling >= 0)
		close(filling);
	return fd;
}

static int random_family(unsigned int *const state)
{
	return next_random(state) % 2 ? AF_INET : AF_INET6;
}

static int random_type(unsigned int *const state)
{
	return next_random(state) % 2 ? SOCK_STREAM : SOCK_DGRAM;
}

/* The flag of a permissive layer, or none. */
static __u32 random_permissive(unsigned int *const state)
{
	return !is_c_landlock() && next_random(state) % 2 ?
		       PORTLOCK_RESTRICT_SELF_PERMISSIVE : 0;
}

/* Checks what a domain of this program must refuse and allow. */
static void check_domain(unsigned int *const state)
{
	int ret;

	ret = try_connect(random_family(state), random_type(state),
			  PORT_REFUSED);
	expect(ret == -EACCES, ret);
	ret = try_bind(random_family(state), random_type(state), PORT_REFUSED);
	expect(ret == -EACCES, ret);
	ret = try_bind(random_family(state), random_type(state), PORT_ALLOWED);
	expect(ret == 0 || ret == -EADDRINUSE, ret);
}

static void enforce_in_child(const int ruleset_fd, unsigned int *const state)
{
	const pid_t child = fork();
	int status;

	if (child < 0)
		return;
	if (!child) {
		const __u32 flags = random_permissive(state);
		const int ret = restrict_self(ruleset_fd, flags);

		if (!ret) {
			check_domain(state);
			_exit(0);
		}
		/* Another thread closed it, or it is plain. */
		expect(ret == -EBADF || ret == -E2BIG ||
			       (ret == -EINVAL && flags), ret);
		atomic_fetch_add(&storm->lost, 1);
		_exit(0);
	}
	waitpid(child, &status, 0);
	expect(status == 0, status);
}

/* Set when the synchronization has returned: the sibling must be refused. */
static atomic_int synchronized;

static void *sibling(void *const data)
{
	unsigned int state = 7;

	while (atomic_load(&synchronized) == 0)
		try_connect(AF_INET, SOCK_STREAM, PORT_REFUSED);
	if (atomic_load(&synchronized) == 1)
		check_domain(&state);
	return NULL;
}

static void synchronize_in_child(void)
{
	const pid_t child = fork();
	int status;

	if (child < 0)
		return;
	if (!child) {
		const int fd = full_ruleset();
		pthread_t thread;
		int ret;

		atomic_store(&synchronized, 0);
		if (fd < 0 || pthread_create(&thread, NULL, sibling, NULL))
			_exit(0);
		ret = restrict_self(fd, LANDLOCK_RESTRICT_SELF_TSYNC);
		expect(!ret || ret == -E2BIG, ret);
		atomic_store(&synchronized, ret ? 2 : 1);
		pthread_join(thread, NULL);
		_exit(0);
	}
	waitpid(child, &status, 0);
	expect(status == 0, status);
}

/* Turns a socket that other threads send with into an IPv4 socket. */
static void turn_socket(void)
{
	const int to_ipv4 = AF_INET;
	struct sockaddr_in6 peer = {
		.sin6_family = AF_INET6,
		.sin6_port = htons(PORT_ALLOWED),
	};
	const int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	inet_pton(AF_INET6, "::ffff:127.0.0.1", &peer.sin6_addr);
	connect(fd, (const struct sockaddr *)&peer, sizeof(peer));
	close(atomic_exchange(&shared_socket, fd));
	if (!setsockopt(fd, IPPROTO_IPV6, IPV6_ADDRFORM, &to_ipv4,
			sizeof(to_ipv4)))
		atomic_fetch_add(&storm->turned, 1);
}

static void send_with_shared_socket(unsigned int *const state)
{
	union addr addr;
	const socklen_t len =
		loopback(&addr, random_family(state), PORT_REFUSED);
	const int fd = atomic_load(&shared_socket);
	const int ret = sendto(fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL,
			       &addr.sa, len);

	/*
	 * The descriptor may be of another file by now.  The call must still
	 * fail.
	 */
	expect(ret < 0, ret);
}

static void replace_ruleset(unsigned int *const state)
{
	const int fd = slot_ruleset(state);

	if (fd >= 0)
		close(atomic_exchange(&slots[next_random(state) % SLOTS], fd));
}

static void add_random_rule(unsigned int *const state)
{
	const int fd = atomic_load(&slots[next_random(state) % SLOTS]);
	const int ret = add_port(fd, 30000 + next_random(state) % 5000,
				 1 << next_random(state) % 4);

	expect(!ret || ret == -EBADF, ret);
	if (ret)
		atomic_fetch_add(&storm->lost, 1);
}

/* Adds a rule about addresses or sockets, which a plain ruleset refuses. */
static void add_extended_rule(unsigned int *const state)
{
	const int fd = atomic_load(&slots[next_random(state) % SLOTS]);
	const __u16 port = 30000 + next_random(state) % 5000;
	char prefix[32];
	int ret;

	snprintf(prefix, sizeof(prefix), "10.0.%d.0/24",
		 next_random(state) % 256);
	ret = next_random(state) % 4 ?
		      add_net(fd, 1 << next_random(state) % 4, port,
			      port + next_random(state) % 500, prefix) :
		      add_socket(fd, AF_INET, -1, next_random(state) % 256);
	expect(!ret || ret == -EBADF || ret == -EINVAL, ret);
	if (ret == -EBADF)
		atomic_fetch_add(&storm->lost, 1);
}

static void set_refused_option(unsigned int *const state)
{
	const int fd = make_socket(random_family(state), random_type(state), 0);
	int ret;

	if (fd < 0)
		return;
	ret = set_option(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3);
	expect(ret == -EACCES, ret);
	close(fd);
}

static int option_of(const int fd)
{
	int value;
	socklen_t size = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &size) ? -errno : 0;
}

/* Uses the socket that is granted, and one that is not. */
static void use_sockets(void)
{
	const int fd = make_socket(AF_INET, SOCK_STREAM, 0);
	int ret;

	ret = option_of(granted_socket);
	expect(!ret, ret);
	if (fd < 0)
		return;
	ret = option_of(fd);
	expect(ret == -EACCES, ret);
	close(fd);
}

static void read_observer(void)
{
	struct portlock_event event;
	__u64 id = 0;
	int ret;

	while ((ret = next_event(atomic_load(&observer), &event)) == 1) {
		const __u64 rights = event.access_net | event.permissions;

		expect(event.size == sizeof(event) && event.id, event.size);
		expect(rights ? !(rights & (rights - 1)) : event.lost != 0,
		       event.flags);
		/* Other threads read as well, and replace it. */
		if (event.id < id)
			break;
		id = event.id;
		atomic_fetch_add(event.flags ? &storm->told_permissive :
					       &storm->told, 1);
	}
	expect(ret >= 0 || ret == -EAGAIN || ret == -EBADF, ret);
}

/* The number of its descriptor is used only for another observer. */
static void replace_observer(void)
{
	const int new = new_nonblocking_observer();
	const int fd = fcntl(new, F_DUPFD_CLOEXEC, FIRST_OF_OBSERVERS);

	if (new >= 0)
		close(new);
	if (fd >= 0)
		close(atomic_exchange(&observer, fd));
}

static void operate(const enum operation operation, unsigned int *const state)
{
	int ret;

	/* What only an extended layer refuses. */
	if (operation >= WILDCARD_REFUSED && operation <= OBSERVER_REPLACED &&
	    !is_extended)
		return;
	switch (operation) {
	case ADD_RULE:
		add_random_rule(state);
		break;
	case REPLACE_RULESET:
		replace_ruleset(state);
		break;
	case BIND_REFUSED:
		ret = try_bind(random_family(state), random_type(state),
			       PORT_REFUSED);
		expect(ret == -EACCES, ret);
		break;
	case BIND_ALLOWED:
		ret = try_bind(random_family(state), random_type(state),
			       PORT_ALLOWED);
		expect(ret == 0 || ret == -EADDRINUSE, ret);
		break;
	case CONNECT_REFUSED:
		ret = try_connect(random_family(state), random_type(state),
				  PORT_REFUSED);
		expect(ret == -EACCES, ret);
		break;
	case SEND_REFUSED:
		send_with_shared_socket(state);
		break;
	case TURN_SOCKET:
		turn_socket();
		break;
	case ADD_EXTENDED_RULE:
		if (is_c_landlock())
			return;
		add_extended_rule(state);
		break;
	case WILDCARD_REFUSED:
		ret = new_connect(random_type(state), 0,
				  next_random(state) % 2 ? "0.0.0.0" : "::",
				  PORT_ALLOWED);
		expect(ret == -EACCES, ret);
		break;
	case SOCKET_REFUSED:
		ret = new_socket(AF_UNIX, SOCK_STREAM, 0);
		expect(ret == -EACCES, ret);
		break;
	case OPTION_REFUSED:
		set_refused_option(state);
		break;
	case LISTEN_REFUSED:
		ret = tcp_listen("127.0.0.1", 0);
		expect(ret == -EACCES, ret);
		break;
	case OPENED_ALLOWED:
		use_sockets();
		break;
	case OBSERVER_READ:
		read_observer();
		break;
	case OBSERVER_REPLACED:
		/* Most of them hear of something first. */
		if (next_random(state) % 8 == 0)
			replace_observer();
		break;
	case CHILD:
		enforce_in_child(atomic_load(&slots[next_random(state) % SLOTS]),
				 state);
		break;
	case SYNCHRONIZED:
		synchronize_in_child();
		break;
	default:
		break;
	}
	atomic_fetch_add(&storm->done[operation], 1);
}

static void *rage(void *const data)
{
	unsigned int state = getpid() * 31 + (unsigned long)data;

	is_extended = data && !is_c_landlock();
	/* Each thread is in its own domain. */
	while (enforce(full_ruleset()))
		if (atomic_load(&storm->wrong))
			return NULL;
	/* One that would refuse what the domain allows, and changes nothing. */
	if (is_extended)
		expect(!enforce_permissive(observed_or_not(BIND_TCP)), 0);
	while (atomic_fetch_sub(&storm->left, 1) > 0) {
		const unsigned int pick = next_random(&state) % 100;

		/*
		 * Most calls are short, so that many of them run during a long
		 * one.
		 */
		operate(pick < 96 ? pick % CHILD :
			pick < 99 ? CHILD :
				    SYNCHRONIZED,
			&state);
	}
	return NULL;
}

static void rage_in_process(void)
{
	pthread_t threads[THREADS];
	unsigned int state = getpid();

	granted_socket = make_socket(AF_INET, SOCK_STREAM, 0);
	if (!is_c_landlock())
		replace_observer();
	for (int i = 0; i < SLOTS; i++)
		slots[i] = slot_ruleset(&state);
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, rage,
				   (void *)(unsigned long)i))
			_exit(1);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	_exit(0);
}

FIXTURE(storm)
{
};

FIXTURE_SETUP(storm)
{
}

FIXTURE_TEARDOWN(storm)
{
}

TEST_F_TIMEOUT(storm, domains_hold, TIMEOUT)
{
	const char *const told = getenv("PORTLOCK_OPERATIONS");
	const long count = told && atol(told) > 0 ? atol(told) :
						    DEFAULT_OPERATIONS;
	pid_t children[PROCESSES];
	int status;

	storm = mmap(NULL, sizeof(*storm), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, storm);
	atomic_store(&storm->left, count);
	ASSERT_EQ(0, own_network());
	ASSERT_EQ(0, no_new_privs());

	for (int i = 0; i < PROCESSES; i++) {
		children[i] = fork();
		ASSERT_LE(0, children[i]);
		if (!children[i])
			rage_in_process();
	}
	for (int i = 0; i < PROCESSES; i++) {
		ASSERT_EQ(children[i], waitpid(children[i], &status, 0));
		EXPECT_EQ(0, status);
	}

	for (int i = 0; i < OPERATIONS; i++) {
		TH_LOG("%s: %ld", operation_names[i],
		       atomic_load(&storm->done[i]));
		if (!is_c_landlock() || i < ADD_EXTENDED_RULE ||
		    i > OBSERVER_REPLACED)
			EXPECT_LT(0, atomic_load(&storm->done[i]));
	}
	TH_LOG("closed meanwhile: %ld, turned into IPv4: %ld",
	       atomic_load(&storm->lost), atomic_load(&storm->turned));
	EXPECT_LT(0, atomic_load(&storm->turned));
	TH_LOG("observers told of %ld refusals, and of %ld that would be",
	       atomic_load(&storm->told), atomic_load(&storm->told_permissive));
	if (!is_c_landlock()) {
		EXPECT_LT(0, atomic_load(&storm->told));
		EXPECT_LT(0, atomic_load(&storm->told_permissive));
	}
	EXPECT_EQ(0, atomic_load(&storm->wrong))
	{
		TH_LOG("the first wrong answer was %d",
		       atomic_load(&storm->answer));
	}
}

TEST_HARNESS_MAIN
