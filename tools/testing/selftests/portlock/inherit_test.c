// SPDX-License-Identifier: GPL-2.0
/*
 * Portlock tests: which threads get a domain, and which do not
 *
 * A domain belongs to the credentials of a thread.  It follows them across
 * fork, exec, and changes of user and namespaces, and nothing removes it.  A
 * socket that is passed to another process does not carry a domain.  With
 * TSYNC, every thread of the process gets the domain, or none.  All this is so
 * for plain and for extended rulesets.
 */

#include <linux/keyctl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "kselftest_harness.h"
#include "observers.h"

/* The port that domains here allow, and one that they do not allow. */
#define OPEN_PORT 1024
#define SHUT_PORT 1025

/*
 * The tests that exec run their own program again with this variable set.  The
 * program then only prints whether ports are refused.
 */
#define PROBE_ENV "PORTLOCK_INHERIT_PROBE"

/* Bits for what a task finds out about its own domain. */
#define SEES_BIND_REFUSED 1
#define SEES_CONNECT_REFUSED 2
#define SEES_SEND_REFUSED 4
#define SEES_OPEN_PORT_REFUSED 8
#define SEES_TROUBLE 16

#define SEES_DOMAIN \
	(SEES_BIND_REFUSED | SEES_CONNECT_REFUSED | SEES_SEND_REFUSED)
#define SEES_FREEDOM 0

static int look(void)
{
	int ret, seen = 0;

	ret = try_bind(AF_INET, SOCK_STREAM, SHUT_PORT);
	if (ret == -EACCES)
		seen |= SEES_BIND_REFUSED;
	else if (ret)
		seen |= SEES_TROUBLE;
	ret = try_connect(AF_INET, SOCK_STREAM, SHUT_PORT);
	if (ret == -EACCES)
		seen |= SEES_CONNECT_REFUSED;
	else if (ret != -ECONNREFUSED)
		seen |= SEES_TROUBLE;
	ret = try_sendto(AF_INET, SHUT_PORT);
	if (ret == -EACCES)
		seen |= SEES_SEND_REFUSED;
	else if (ret)
		seen |= SEES_TROUBLE;
	ret = try_bind(AF_INET, SOCK_STREAM, OPEN_PORT);
	if (ret == -EACCES)
		seen |= SEES_OPEN_PORT_REFUSED;
	else if (ret)
		seen |= SEES_TROUBLE;
	return seen;
}

static void __attribute__((constructor)) probe(void)
{
	const char *const told = getenv(PROBE_ENV);

	/* It may be told which user it should have become. */
	if (told && *told == 'r' && geteuid())
		_exit(SEES_TROUBLE);
	if (told)
		_exit(look());
}

/* Whether rulesets are extended, and allow one address of their port. */
static bool is_extended;

static int handled_rights(void)
{
	return BIND_TCP | CONNECT_TCP | SEND_UDP;
}

/* A ruleset that allows no port. */
static int no_port(void)
{
	if (is_extended)
		return extended(handled_rights() | LISTEN_TCP, 0);
	return net_ruleset(handled_rights());
}

/* A ruleset that allows one port. */
static int one_port(void)
{
	const int fd = no_port();
	int ret;

	if (fd < 0)
		return fd;
	if (is_extended)
		ret = add_net(fd, handled_rights() | LISTEN_TCP, OPEN_PORT,
			      OPEN_PORT, "127.0.0.1/32");
	else
		ret = add_port(fd, OPEN_PORT, handled_rights());
	if (ret) {
		close(fd);
		return ret;
	}
	return fd;
}

FIXTURE(inherit)
{
};

FIXTURE_VARIANT(inherit)
{
	bool is_extended;
};

FIXTURE_VARIANT_ADD(inherit, plain)
{
	.is_extended = false,
};

FIXTURE_VARIANT_ADD(inherit, extended)
{
	.is_extended = true,
};

FIXTURE_SETUP(inherit)
{
	is_extended = variant->is_extended;
	if (is_extended && is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, own_network());
	ASSERT_EQ(SEES_FREEDOM, look());
}

FIXTURE_TEARDOWN(inherit)
{
}

TEST_F(inherit, children_are_in_the_domain)
{
	pid_t child;

	ASSERT_EQ(0, enforce(one_port()));
	ASSERT_EQ(SEES_DOMAIN, look());
	child = fork();
	ASSERT_LE(0, child);
	if (child == 0) {
		child = fork();
		if (child == 0)
			_exit(look());
		EXPECT_LE(0, child);
		EXPECT_EQ(SEES_DOMAIN, wait_child(child));
		EXPECT_EQ(SEES_DOMAIN, look());
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, wait_child(child));
}

TEST_F(inherit, parents_are_not)
{
	pid_t child = fork();

	ASSERT_LE(0, child);
	if (child == 0) {
		EXPECT_EQ(0, enforce(one_port()));
		_exit(look());
	}
	EXPECT_EQ(SEES_DOMAIN, wait_child(child));
	EXPECT_EQ(SEES_FREEDOM, look());
}

/* A child that shares its parent's memory has its own credentials. */
TEST_F(inherit, vfork_children_restrict_themselves_alone)
{
	const int fd = one_port();
	pid_t child;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, no_new_privs());
	child = vfork();
	if (child == 0)
		_exit(restrict_self(fd, 0) ? SEES_TROUBLE : look());
	ASSERT_LE(0, child);
	EXPECT_EQ(SEES_DOMAIN, wait_child(child));
	EXPECT_EQ(SEES_FREEDOM, look());
	EXPECT_EQ(0, close(fd));
}

/* A layer of a child does not reach its parent or the other child. */
TEST_F(inherit, layers_of_relatives_are_apart)
{
	pid_t child;

	ASSERT_EQ(0, enforce(one_port()));
	child = fork();
	ASSERT_LE(0, child);
	if (child == 0) {
		EXPECT_EQ(0, enforce(no_port()));
		_exit(look());
	}
	EXPECT_EQ(SEES_DOMAIN | SEES_OPEN_PORT_REFUSED, wait_child(child));
	child = fork();
	ASSERT_LE(0, child);
	if (child == 0)
		_exit(look());
	EXPECT_EQ(SEES_DOMAIN, wait_child(child));
	EXPECT_EQ(SEES_DOMAIN, look());
}

/* Runs this program again and returns what it sees. */
static int look_after_exec(void)
{
	char *const argv[] = { "inherit_test", NULL };
	char *const envp[] = { PROBE_ENV "=1", NULL };
	const pid_t child = fork();

	if (child < 0)
		return -errno;
	if (child == 0) {
		execve("/proc/self/exe", argv, envp);
		_exit(SEES_TROUBLE);
	}
	return wait_child(child);
}

TEST_F(inherit, exec_stays_in_the_domain)
{
	ASSERT_EQ(SEES_FREEDOM, look_after_exec());
	ASSERT_EQ(0, enforce(one_port()));
	EXPECT_EQ(SEES_DOMAIN, look_after_exec());
	ASSERT_EQ(0, enforce(no_port()));
	EXPECT_EQ(SEES_DOMAIN | SEES_OPEN_PORT_REFUSED, look_after_exec());
}

/* Only the privilege allows it to enforce: no_new_privs is not set. */
TEST_F(inherit, exec_without_no_new_privs_stays_in_the_domain)
{
	const int fd = one_port();

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, restrict_self(fd, 0));
	ASSERT_EQ(0, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	EXPECT_EQ(SEES_DOMAIN, look_after_exec());
	EXPECT_EQ(0, close(fd));
}

TEST_F(inherit, changes_of_user_stay_in_the_domain)
{
	ASSERT_EQ(0, enforce(one_port()));
	ASSERT_EQ(0, setresgid(1000, 1000, 1000));
	EXPECT_EQ(SEES_DOMAIN, look());
	ASSERT_EQ(0, setresuid(1000, 1000, 0));
	EXPECT_EQ(SEES_DOMAIN, look());
	/* Becomes root again. */
	ASSERT_EQ(0, setresuid(0, 0, 0));
	EXPECT_EQ(SEES_DOMAIN, look());
	ASSERT_EQ(0, setresuid(1000, 1000, 1000));
	EXPECT_EQ(SEES_DOMAIN, look());
	EXPECT_EQ(SEES_DOMAIN, look_after_exec());
}

TEST_F(inherit, changes_of_capabilities_stay_in_the_domain)
{
	ASSERT_EQ(0, enforce(one_port()));
	ASSERT_EQ(0, drop_all_caps());
	EXPECT_EQ(SEES_DOMAIN, look());
}

/* A program that becomes another user, without no_new_privs. */
TEST_F(inherit, a_setuid_program_stays_in_the_domain)
{
	static const char program[] = "/tmp/inherit-setuid";
	char *const argv[] = { "inherit_test", NULL };
	char *const envp[] = { PROBE_ENV "=root", NULL };
	const int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	const int to = open(program, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
			    0755);
	const int fd = one_port();
	char buffer[4096];
	ssize_t len;
	pid_t child;

	ASSERT_LE(0, from);
	ASSERT_LE(0, to);
	ASSERT_LE(0, fd);
	while ((len = read(from, buffer, sizeof(buffer))) > 0)
		ASSERT_EQ(len, write(to, buffer, len));
	ASSERT_EQ(0, len);
	ASSERT_EQ(0, fchmod(to, 04755));
	ASSERT_EQ(0, close(from));
	ASSERT_EQ(0, close(to));
	child = fork();
	ASSERT_LE(0, child);
	if (child == 0) {
		ASSERT_EQ(0, restrict_self(fd, 0));
		ASSERT_EQ(0, setresuid(1000, 1000, 1000));
		execve(program, argv, envp);
		_exit(SEES_TROUBLE);
	}
	EXPECT_EQ(SEES_DOMAIN, wait_child(child));
	EXPECT_EQ(0, unlink(program));
	EXPECT_EQ(0, close(fd));
}

/* An address belongs to the namespace of its layer, and a port to all. */
static int sees_in_another_network(void)
{
	return is_extended ? SEES_DOMAIN | SEES_OPEN_PORT_REFUSED : SEES_DOMAIN;
}

TEST_F(inherit, a_new_user_namespace_stays_in_the_domain)
{
	ASSERT_EQ(0, enforce(one_port()));
	ASSERT_EQ(0, unshare(CLONE_NEWUSER));
	EXPECT_EQ(SEES_DOMAIN, look());
	/* Root in its own network namespace, and still in the domain. */
	ASSERT_EQ(0, own_network());
	EXPECT_EQ(sees_in_another_network(), look());
	ASSERT_EQ(0, enforce(no_port()));
	EXPECT_EQ(SEES_DOMAIN | SEES_OPEN_PORT_REFUSED, look());
}

/* A task needs the privilege only in its own user namespace. */
TEST_F(inherit, a_new_user_namespace_gives_the_privilege_to_enforce)
{
	const int fd = one_port();

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, setresuid(1000, 1000, 1000));
	ASSERT_EQ(-EPERM, restrict_self(fd, 0));
	ASSERT_EQ(SEES_FREEDOM, look());
	ASSERT_EQ(0, unshare(CLONE_NEWUSER));
	EXPECT_EQ(0, restrict_self(fd, 0));
	EXPECT_EQ(0, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	EXPECT_EQ(SEES_DOMAIN, look());
	EXPECT_EQ(0, close(fd));
}

/* Other namespaces do not leave the domain either. */
TEST_F(inherit, other_namespaces_stay_in_the_domain)
{
	pid_t child;

	ASSERT_EQ(0, enforce(one_port()));
	ASSERT_EQ(0, unshare(CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWPID));
	child = fork();
	ASSERT_LE(0, child);
	if (child == 0)
		_exit(look());
	EXPECT_EQ(SEES_DOMAIN, wait_child(child));
	ASSERT_EQ(0, own_network());
	EXPECT_EQ(sees_in_another_network(), look());
}

/*
 * A child that installs a session keyring on its parent replaces the parent's
 * credentials.  The hook of this path (cred_transfer) must copy the domain.
 */
TEST_F(inherit, credentials_set_by_a_child_stay_in_the_domain)
{
	pid_t child;

	ASSERT_EQ(0, enforce(one_port()));
	ASSERT_NE(-1, syscall(__NR_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL,
			      0, 0, 0));
	child = fork();
	ASSERT_LE(0, child);
	if (child == 0) {
		EXPECT_NE(-1, syscall(__NR_keyctl, KEYCTL_JOIN_SESSION_KEYRING,
				      NULL, 0, 0, 0));
		EXPECT_EQ(0, syscall(__NR_keyctl, KEYCTL_SESSION_TO_PARENT, 0,
				     0, 0, 0));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, wait_child(child));
	EXPECT_EQ(SEES_DOMAIN, look());
}

/* The parent does not get the domain of the child. */
TEST_F(inherit, credentials_set_by_a_child_bring_no_domain)
{
	pid_t child;

	ASSERT_NE(-1, syscall(__NR_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL,
			      0, 0, 0));
	child = fork();
	ASSERT_LE(0, child);
	if (child == 0) {
		EXPECT_EQ(0, enforce(one_port()));
		EXPECT_NE(-1, syscall(__NR_keyctl, KEYCTL_JOIN_SESSION_KEYRING,
				      NULL, 0, 0, 0));
		EXPECT_EQ(0, syscall(__NR_keyctl, KEYCTL_SESSION_TO_PARENT, 0,
				     0, 0, 0));
		EXPECT_EQ(SEES_DOMAIN, look());
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, wait_child(child));
	EXPECT_EQ(SEES_FREEDOM, look());
}

/* Many generations of children.  Each adds a layer. */
static int descend(int depth)
{
	pid_t child;

	if (enforce(depth == 7 ? no_port() : one_port()))
		return SEES_TROUBLE;
	if (look() != (depth >= 7 ? SEES_DOMAIN | SEES_OPEN_PORT_REFUSED :
				    SEES_DOMAIN))
		return SEES_TROUBLE;
	if (depth == MAX_LAYERS - 1) {
		const int fd = one_port();

		if (fd < 0)
			return SEES_TROUBLE;
		return restrict_self(fd, 0) == -E2BIG ? 0 : SEES_TROUBLE;
	}
	child = fork();
	if (child < 0)
		return SEES_TROUBLE;
	if (child == 0)
		_exit(descend(depth + 1));
	return wait_child(child);
}

TEST_F(inherit, generations_add_layers)
{
	pid_t child = fork();

	ASSERT_LE(0, child);
	if (child == 0)
		_exit(descend(0));
	EXPECT_EQ(0, wait_child(child));
	EXPECT_EQ(SEES_FREEDOM, look());
}

/* Sockets that are passed */

/* It makes no difference whether a socket was made outside or inside. */
TEST_F(inherit, a_socket_from_outside_obeys_the_user)
{
	const int fd = make_socket(AF_INET, SOCK_STREAM, 0);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, enforce(one_port()));
	EXPECT_EQ(-EACCES, bind_fd(fd, AF_INET, SHUT_PORT));
	EXPECT_EQ(-EACCES, connect_fd(fd, AF_INET, SHUT_PORT));
	EXPECT_EQ(0, bind_fd(fd, AF_INET, OPEN_PORT));
	EXPECT_EQ(0, close(fd));
}

TEST_F(inherit, a_received_socket_obeys_the_receiver)
{
	int usocks[2], fd;
	pid_t child;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
				usocks));
	child = fork();
	ASSERT_LE(0, child);
	if (child == 0) {
		/*
		 * In the domain: receives a socket from outside, and sends one
		 * back.
		 */
		ASSERT_EQ(0, enforce(one_port()));
		fd = receive_descriptor(usocks[1]);
		ASSERT_LE(0, fd);
		EXPECT_EQ(-EACCES, bind_fd(fd, AF_INET, SHUT_PORT));
		EXPECT_EQ(0, close(fd));

		/*
		 * A socket that listens already can be used without
		 * restriction.
		 */
		fd = receive_descriptor(usocks[1]);
		ASSERT_LE(0, fd);
		EXPECT_EQ(0, listen(fd, 4));
		EXPECT_EQ(0, close(fd));

		fd = make_socket(AF_INET, SOCK_STREAM, 0);
		ASSERT_LE(0, fd);
		EXPECT_EQ(-EACCES, bind_fd(fd, AF_INET, SHUT_PORT));
		EXPECT_EQ(0, send_descriptor(usocks[1], fd));
		_exit(_metadata->exit_code);
	}
	fd = make_socket(AF_INET, SOCK_STREAM, 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, send_descriptor(usocks[0], fd));
	EXPECT_EQ(0, close(fd));
	fd = listen_on(AF_INET, 0, SHUT_PORT);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, send_descriptor(usocks[0], fd));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, wait_child(child));

	/*
	 * The domain of the child does not restrict the parent's use of the
	 * socket.
	 */
	fd = receive_descriptor(usocks[0]);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, bind_fd(fd, AF_INET, SHUT_PORT));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, close(usocks[0]));
	EXPECT_EQ(0, close(usocks[1]));
}

static int pidfd_open(pid_t pid)
{
	const int fd = syscall(__NR_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

static int pidfd_getfd(int pidfd, int target)
{
	const int fd = syscall(__NR_pidfd_getfd, pidfd, target, 0);

	return fd < 0 ? -errno : fd;
}

TEST_F(inherit, a_fetched_socket_obeys_who_fetched_it)
{
	int to_child[2], to_parent[2], sock_fd, pidfd, fd;
	char byte = 0;
	pid_t child;

	ASSERT_EQ(0, pipe2(to_child, O_CLOEXEC));
	ASSERT_EQ(0, pipe2(to_parent, O_CLOEXEC));
	sock_fd = make_socket(AF_INET, SOCK_STREAM, 0);
	ASSERT_LE(0, sock_fd);

	child = fork();
	ASSERT_LE(0, child);
	if (child == 0) {
		ASSERT_EQ(0, enforce(one_port()));
		EXPECT_EQ(-EACCES, bind_fd(sock_fd, AF_INET, SHUT_PORT));
		ASSERT_EQ(1, write(to_parent[1], &byte, 1));
		ASSERT_EQ(1, read(to_child[0], &byte, 1));

		/*
		 * pidfd_getfd(2) of a task outside the domain is refused, as
		 * ptrace is.
		 */
		pidfd = pidfd_open(getppid());
		ASSERT_LE(0, pidfd);
		EXPECT_EQ(-EPERM, pidfd_getfd(pidfd, sock_fd));
		EXPECT_EQ(0, close(pidfd));
		_exit(_metadata->exit_code);
	}
	ASSERT_EQ(1, read(to_parent[0], &byte, 1));
	pidfd = pidfd_open(child);
	ASSERT_LE(0, pidfd);
	fd = pidfd_getfd(pidfd, sock_fd);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, bind_fd(fd, AF_INET, SHUT_PORT));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, close(pidfd));
	ASSERT_EQ(1, write(to_child[1], &byte, 1));
	EXPECT_EQ(0, wait_child(child));
	EXPECT_EQ(0, close(sock_fd));
}

/* pidfd_getfd(2) of a child in the same domain works. */
TEST_F(inherit, a_socket_fetched_inside_the_domain_obeys_it)
{
	int to_child[2], sock_fd, pidfd, fd;
	char byte = 0;
	pid_t child;

	ASSERT_EQ(0, pipe2(to_child, O_CLOEXEC));
	sock_fd = make_socket(AF_INET, SOCK_STREAM, 0);
	ASSERT_LE(0, sock_fd);
	ASSERT_EQ(0, enforce(one_port()));
	child = fork();
	ASSERT_LE(0, child);
	if (child == 0)
		_exit(read(to_child[0], &byte, 1) != 1);
	pidfd = pidfd_open(child);
	ASSERT_LE(0, pidfd);
	fd = pidfd_getfd(pidfd, sock_fd);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EACCES, bind_fd(fd, AF_INET, SHUT_PORT));
	EXPECT_EQ(0, bind_fd(fd, AF_INET, OPEN_PORT));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, close(pidfd));
	ASSERT_EQ(1, write(to_child[1], &byte, 1));
	EXPECT_EQ(0, wait_child(child));
}

/* Threads */

#define NUM_THREADS 8

/* How a thread changes its own credentials before it waits. */
enum preparation {
	NOTHING,
	OTHER_USER,
	OTHER_CAPS,
	OTHER_DOMAIN,
	CLOSED_DOMAIN,
	NUM_PREPARATIONS,
};

struct worker {
	pthread_t thread;
	enum preparation preparation;
	int error;
	int before;
	int after;
	int nnp;
	int uid;
};

static pthread_barrier_t barrier;

static int prepare(enum preparation preparation)
{
	int fd, ret;

	switch (preparation) {
	case OTHER_USER:
		/* The raw call changes only this thread. */
		return syscall(__NR_setresuid, -1, 1000, -1) ? -errno : 0;
	case OTHER_CAPS:
		return drop_all_caps();
	case OTHER_DOMAIN:
	case CLOSED_DOMAIN:
		fd = preparation == OTHER_DOMAIN ? one_port() : no_port();
		if (fd < 0)
			return fd;
		ret = restrict_self(fd, 0);
		close(fd);
		return ret;
	default:
		return 0;
	}
}

static void *work(void *data)
{
	struct worker *const worker = data;

	worker->error = prepare(worker->preparation);
	worker->before = look();
	pthread_barrier_wait(&barrier);
	/* Here the main thread makes the call that is tested. */
	pthread_barrier_wait(&barrier);
	worker->after = look();
	worker->nnp = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
	worker->uid = geteuid();
	return NULL;
}

static int start_workers(struct worker *workers, bool varied)
{
	int i, ret;

	ret = pthread_barrier_init(&barrier, NULL, NUM_THREADS + 1);
	if (ret)
		return -ret;
	for (i = 0; i < NUM_THREADS; i++) {
		memset(&workers[i], 0, sizeof(workers[i]));
		if (varied)
			workers[i].preparation = i % NUM_PREPARATIONS;
		ret = pthread_create(&workers[i].thread, NULL, work,
				     &workers[i]);
		if (ret)
			return -ret;
	}
	pthread_barrier_wait(&barrier);
	return 0;
}

static int finish_workers(struct worker *workers)
{
	int i, ret;

	pthread_barrier_wait(&barrier);
	for (i = 0; i < NUM_THREADS; i++) {
		ret = pthread_join(workers[i].thread, NULL);
		if (ret)
			return -ret;
	}
	return -pthread_barrier_destroy(&barrier);
}

TEST_F(inherit, threads_are_in_the_domain_of_who_made_them)
{
	struct worker workers[NUM_THREADS];
	int i;

	ASSERT_EQ(0, enforce(one_port()));
	ASSERT_EQ(0, start_workers(workers, false));
	ASSERT_EQ(0, finish_workers(workers));
	for (i = 0; i < NUM_THREADS; i++) {
		EXPECT_EQ(0, workers[i].error);
		EXPECT_EQ(SEES_DOMAIN, workers[i].before);
		EXPECT_EQ(SEES_DOMAIN, workers[i].after);
	}
}

TEST_F(inherit, without_tsync_other_threads_stay_free)
{
	struct worker workers[NUM_THREADS];
	int i;

	ASSERT_EQ(0, start_workers(workers, false));
	ASSERT_EQ(0, enforce(one_port()));
	ASSERT_EQ(0, finish_workers(workers));
	EXPECT_EQ(SEES_DOMAIN, look());
	for (i = 0; i < NUM_THREADS; i++) {
		EXPECT_EQ(0, workers[i].error);
		EXPECT_EQ(SEES_FREEDOM, workers[i].after);
		EXPECT_EQ(0, workers[i].nnp);
	}
}

TEST_F(inherit, tsync_reaches_every_thread)
{
	struct worker workers[NUM_THREADS];
	int fd, i;

	ASSERT_EQ(0, start_workers(workers, false));
	fd = one_port();
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, no_new_privs());
	ASSERT_EQ(0, restrict_self(fd, LANDLOCK_RESTRICT_SELF_TSYNC));
	ASSERT_EQ(0, finish_workers(workers));
	EXPECT_EQ(SEES_DOMAIN, look());
	for (i = 0; i < NUM_THREADS; i++) {
		EXPECT_EQ(0, workers[i].error);
		EXPECT_EQ(SEES_FREEDOM, workers[i].before);
		EXPECT_EQ(SEES_DOMAIN, workers[i].after)
			TH_LOG("thread %d", i);
		EXPECT_EQ(1, workers[i].nnp);
	}
	EXPECT_EQ(0, close(fd));
}

/* A thread with other credentials keeps them, except for the domain. */
TEST_F(inherit, tsync_reaches_threads_of_other_credentials)
{
	struct worker workers[NUM_THREADS];
	int fd, i;

	/* Set before the threads start, so that each may enforce a ruleset. */
	ASSERT_EQ(0, no_new_privs());
	ASSERT_EQ(0, start_workers(workers, true));
	fd = one_port();
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, restrict_self(fd, LANDLOCK_RESTRICT_SELF_TSYNC));
	ASSERT_EQ(0, finish_workers(workers));
	EXPECT_EQ(SEES_DOMAIN, look());
	for (i = 0; i < NUM_THREADS; i++) {
		int before = SEES_FREEDOM;

		if (workers[i].preparation == OTHER_DOMAIN)
			before = SEES_DOMAIN;
		if (workers[i].preparation == CLOSED_DOMAIN)
			before = SEES_DOMAIN | SEES_OPEN_PORT_REFUSED;
		EXPECT_EQ(0, workers[i].error);
		EXPECT_EQ(before, workers[i].before)
			TH_LOG("thread %d", i);
		/*
		 * The domain of the caller replaces the domain of the thread,
		 * even if that was stricter.
		 */
		EXPECT_EQ(SEES_DOMAIN, workers[i].after)
			TH_LOG("thread %d, preparation %d", i,
			       workers[i].preparation);
		EXPECT_EQ(workers[i].preparation == OTHER_USER ? 1000 : 0,
			  workers[i].uid);
	}
	EXPECT_EQ(0, close(fd));
}

TEST_F(inherit, tsync_without_a_ruleset_makes_no_domain)
{
	struct worker workers[NUM_THREADS];
	int i;

	ASSERT_EQ(0, no_new_privs());
	ASSERT_EQ(0, start_workers(workers, false));
	ASSERT_EQ(0, restrict_self(-1,
				   LANDLOCK_RESTRICT_SELF_LOG_SUBDOMAINS_OFF |
				   LANDLOCK_RESTRICT_SELF_TSYNC));
	ASSERT_EQ(0, finish_workers(workers));
	EXPECT_EQ(SEES_FREEDOM, look());
	for (i = 0; i < NUM_THREADS; i++)
		EXPECT_EQ(SEES_FREEDOM, workers[i].after);
}

/* All threads get the domain of the caller. */
TEST_F(inherit, tsync_without_a_ruleset_spreads_the_domain)
{
	struct worker workers[NUM_THREADS];
	int i;

	ASSERT_EQ(0, no_new_privs());
	ASSERT_EQ(0, start_workers(workers, true));
	ASSERT_EQ(0, enforce(one_port()));
	ASSERT_EQ(0, restrict_self(-1,
				   LANDLOCK_RESTRICT_SELF_LOG_SUBDOMAINS_OFF |
				   LANDLOCK_RESTRICT_SELF_TSYNC));
	ASSERT_EQ(0, finish_workers(workers));
	EXPECT_EQ(SEES_DOMAIN, look());
	for (i = 0; i < NUM_THREADS; i++) {
		EXPECT_EQ(SEES_DOMAIN, workers[i].after)
			TH_LOG("thread %d", i);
	}
}

TEST_F(inherit, tsync_sets_no_new_privs_everywhere)
{
	struct worker workers[NUM_THREADS];
	int fd, i;

	ASSERT_EQ(0, start_workers(workers, false));
	fd = one_port();
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, restrict_self(fd, LANDLOCK_RESTRICT_SELF_TSYNC |
				       LANDLOCK_RESTRICT_SELF_NO_NEW_PRIVS));
	ASSERT_EQ(0, finish_workers(workers));
	EXPECT_EQ(1, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	for (i = 0; i < NUM_THREADS; i++) {
		EXPECT_EQ(SEES_DOMAIN, workers[i].after);
		EXPECT_EQ(1, workers[i].nnp);
	}
	EXPECT_EQ(0, close(fd));
}

/* If the call fails, no thread has changed. */
TEST_F(inherit, tsync_that_fails_changes_no_thread)
{
	const __u32 flags = LANDLOCK_RESTRICT_SELF_TSYNC |
			    LANDLOCK_RESTRICT_SELF_NO_NEW_PRIVS;
	struct worker workers[NUM_THREADS];
	int fd, none, i;

	ASSERT_EQ(0, start_workers(workers, false));
	fd = one_port();
	none = no_port();
	ASSERT_LE(0, fd);
	ASSERT_LE(0, none);
	for (i = 0; i < MAX_LAYERS; i++)
		ASSERT_EQ(0, restrict_self(fd, 0));
	EXPECT_EQ(-E2BIG, restrict_self(none, flags));
	EXPECT_EQ(-EBADF, restrict_self(-1, flags));
	EXPECT_EQ(-EBADFD, restrict_self(0, flags));
	EXPECT_EQ(-EINVAL, restrict_self(none, flags | 1U << 5));
	ASSERT_EQ(0, finish_workers(workers));
	EXPECT_EQ(SEES_DOMAIN, look());
	EXPECT_EQ(0, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	for (i = 0; i < NUM_THREADS; i++) {
		EXPECT_EQ(SEES_FREEDOM, workers[i].after);
		EXPECT_EQ(0, workers[i].nnp);
	}
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, close(none));
}

/* The layers of the caller count.  A thread with more layers then has fewer. */
TEST_F(inherit, tsync_counts_the_layers_of_the_caller)
{
	struct worker workers[NUM_THREADS];
	int fd, i;

	ASSERT_EQ(0, no_new_privs());
	ASSERT_EQ(0, start_workers(workers, true));
	fd = one_port();
	ASSERT_LE(0, fd);
	for (i = 0; i < MAX_LAYERS; i++) {
		ASSERT_EQ(0, restrict_self(fd, LANDLOCK_RESTRICT_SELF_TSYNC))
			TH_LOG("layer %d", i);
	}
	EXPECT_EQ(-E2BIG, restrict_self(fd, LANDLOCK_RESTRICT_SELF_TSYNC));
	ASSERT_EQ(0, finish_workers(workers));
	for (i = 0; i < NUM_THREADS; i++)
		EXPECT_EQ(SEES_DOMAIN, workers[i].after);
	EXPECT_EQ(0, close(fd));
}

/*
 * Signals interrupt the call, and it starts again, possibly many times.  In the
 * end, every thread is in a domain with one layer for each call.
 */

static atomic_int signals_seen;

static void on_alarm(int sig)
{
	atomic_fetch_add(&signals_seen, 1);
}

TEST_F(inherit, tsync_survives_signals)
{
	const struct sigaction action = {
		.sa_handler = on_alarm,
	};
	const struct itimerval timer = {
		.it_interval.tv_usec = 500,
		.it_value.tv_usec = 500,
	};
	const struct itimerval stop = {};
	struct worker workers[NUM_THREADS];
	int fd, i;

	ASSERT_EQ(0, no_new_privs());
	ASSERT_EQ(0, start_workers(workers, false));
	fd = one_port();
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &timer, NULL));
	for (i = 0; i < MAX_LAYERS; i++) {
		int before = atomic_load(&signals_seen);

		ASSERT_EQ(0, restrict_self(fd, LANDLOCK_RESTRICT_SELF_TSYNC));
		while (atomic_load(&signals_seen) == before)
			sched_yield();
	}
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &stop, NULL));
	/* No interrupted attempt added a layer, and no layer was lost. */
	EXPECT_EQ(-E2BIG, restrict_self(fd, 0));
	ASSERT_EQ(0, finish_workers(workers));
	for (i = 0; i < NUM_THREADS; i++)
		EXPECT_EQ(SEES_DOMAIN, workers[i].after);
	EXPECT_EQ(0, close(fd));
}

/* Threads that are created during the call must get the domain too. */

#define NUM_SPAWNERS 4

static atomic_int stop_spawning;

struct spawner {
	pthread_t thread;
	int error;
	int spawned;
};

static void *do_nothing(void *data)
{
	return NULL;
}

static void *look_now(void *data)
{
	*(int *)data = look();
	return NULL;
}

static void *spawn(void *data)
{
	struct spawner *const spawner = data;
	int seen = -1;
	pthread_t thread;

	while (!atomic_load(&stop_spawning) && !spawner->error) {
		spawner->error = pthread_create(&thread, NULL, do_nothing,
						NULL);
		if (!spawner->error)
			spawner->error = pthread_join(thread, NULL);
		spawner->spawned++;
	}
	if (spawner->error)
		return NULL;
	/*
	 * A thread that is created now must be in the domain, and this one too.
	 */
	spawner->error = pthread_create(&thread, NULL, look_now, &seen);
	if (!spawner->error)
		spawner->error = pthread_join(thread, NULL);
	if (!spawner->error && (seen != SEES_DOMAIN || look() != SEES_DOMAIN))
		spawner->error = EPERM;
	return NULL;
}

TEST_F(inherit, tsync_reaches_threads_that_are_being_made)
{
	struct spawner spawners[NUM_SPAWNERS] = {};
	int fd, i;

	ASSERT_EQ(0, no_new_privs());
	fd = one_port();
	ASSERT_LE(0, fd);
	for (i = 0; i < NUM_SPAWNERS; i++)
		ASSERT_EQ(0, pthread_create(&spawners[i].thread, NULL, spawn,
					    &spawners[i]));
	for (i = 0; i < MAX_LAYERS; i++) {
		ASSERT_EQ(0, restrict_self(fd, LANDLOCK_RESTRICT_SELF_TSYNC));
		sched_yield();
	}
	atomic_store(&stop_spawning, 1);
	for (i = 0; i < NUM_SPAWNERS; i++) {
		ASSERT_EQ(0, pthread_join(spawners[i].thread, NULL));
		EXPECT_EQ(0, spawners[i].error)
			TH_LOG("%s", strerror(spawners[i].error));
	}
	EXPECT_EQ(0, close(fd));
}

/* Threads make the call at the same time.  All get the layers of all calls. */

struct rival {
	pthread_t thread;
	int fd;
	int error;
	int seen;
};

static pthread_barrier_t start_line, finish_line;

static void *compete(void *data)
{
	struct rival *const rival = data;

	pthread_barrier_wait(&start_line);
	rival->error = restrict_self(rival->fd, LANDLOCK_RESTRICT_SELF_TSYNC);
	pthread_barrier_wait(&finish_line);
	rival->seen = look();
	return NULL;
}

TEST_F(inherit, tsync_by_several_threads_at_once)
{
	struct rival rivals[4] = {};
	const int num = ARRAY_SIZE(rivals);
	int i;

	ASSERT_EQ(0, no_new_privs());
	ASSERT_EQ(0, pthread_barrier_init(&start_line, NULL, num));
	ASSERT_EQ(0, pthread_barrier_init(&finish_line, NULL, num));
	for (i = 0; i < num; i++) {
		/* One of them refuses the port that the others allow. */
		rivals[i].fd = i ? one_port() : no_port();
		ASSERT_LE(0, rivals[i].fd);
		ASSERT_EQ(0, pthread_create(&rivals[i].thread, NULL, compete,
					    &rivals[i]));
	}
	for (i = 0; i < num; i++) {
		ASSERT_EQ(0, pthread_join(rivals[i].thread, NULL));
		EXPECT_EQ(0, rivals[i].error);
		EXPECT_EQ(SEES_DOMAIN | SEES_OPEN_PORT_REFUSED,
			  rivals[i].seen)
			TH_LOG("thread %d", i);
		EXPECT_EQ(0, close(rivals[i].fd));
	}
	EXPECT_EQ(SEES_DOMAIN | SEES_OPEN_PORT_REFUSED, look());
	EXPECT_EQ(0, pthread_barrier_destroy(&start_line));
	EXPECT_EQ(0, pthread_barrier_destroy(&finish_line));
}

/*
 * The call does not reach another process, even if it shares almost everything.
 */
TEST_F(inherit, tsync_stays_in_the_process)
{
	int to_child[2];
	char byte = 0;
	pid_t child;
	int fd;

	ASSERT_EQ(0, pipe2(to_child, O_CLOEXEC));
	child = fork();
	ASSERT_LE(0, child);
	if (child == 0) {
		if (read(to_child[0], &byte, 1) != 1)
			_exit(SEES_TROUBLE);
		_exit(look());
	}
	fd = one_port();
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, no_new_privs());
	ASSERT_EQ(0, restrict_self(fd, LANDLOCK_RESTRICT_SELF_TSYNC));
	ASSERT_EQ(SEES_DOMAIN, look());
	ASSERT_EQ(1, write(to_child[1], &byte, 1));
	EXPECT_EQ(SEES_FREEDOM, wait_child(child));
	EXPECT_EQ(0, close(fd));
}

/* Observed layers of several threads */

/* How many accesses look() asks for that one_port() refuses. */
#define NUM_REFUSED 3

FIXTURE(observed)
{
	int observer;
	int fd;
};

FIXTURE_SETUP(observed)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	is_extended = true;
	ASSERT_EQ(0, own_network());
	ASSERT_EQ(0, no_new_privs());
	self->observer = new_observer();
	ASSERT_LE(0, self->observer);
	self->fd = observed(self->observer, handled_rights());
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, add_net(self->fd, handled_rights(), OPEN_PORT, OPEN_PORT,
			     "127.0.0.1/32"));
}

FIXTURE_TEARDOWN(observed)
{
}

FIXTURE_VARIANT(observed)
{
	__u32 flags;
};

FIXTURE_VARIANT_ADD(observed, enforced)
{
	.flags = 0,
};

FIXTURE_VARIANT_ADD(observed, permissive)
{
	.flags = PORTLOCK_RESTRICT_SELF_PERMISSIVE,
};

/* Restricts all threads of this process, and lets them look. */
static int restrict_workers(int fd, __u32 flags, int sees)
{
	struct worker workers[NUM_THREADS];
	int i;

	if (start_workers(workers, false) ||
	    restrict_self(fd, flags | LANDLOCK_RESTRICT_SELF_TSYNC) ||
	    finish_workers(workers))
		return 1;
	for (i = 0; i < NUM_THREADS; i++) {
		if (workers[i].after != sees)
			return 2;
	}
	return 0;
}

/* All threads are in one layer, and the records end with the last of them. */
TEST_F(observed, tsync_tells_of_every_thread)
{
	const int sees = variant->flags ? SEES_FREEDOM : SEES_DOMAIN;
	struct portlock_event event;
	int num = 0, last_tid = 0, tids = 0;
	const pid_t child = fork();

	ASSERT_LE(0, child);
	if (!child)
		_exit(restrict_workers(self->fd, variant->flags, sees));
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, wait_child(child));
	while (next_event(self->observer, &event) == 1) {
		num++;
		tids += event.tid != last_tid;
		last_tid = event.tid;
		EXPECT_NE(child, event.tid);
		EXPECT_NE(0, event.tid);
		EXPECT_EQ(variant->flags ? PORTLOCK_EVENT_PERMISSIVE : 0,
			  event.flags);
	}
	EXPECT_EQ(NUM_THREADS * NUM_REFUSED, num);
	EXPECT_LE(NUM_THREADS, tids);
	EXPECT_EQ(POLLHUP, ready(self->observer));
}

/* No thread keeps a layer that could not be made for all. */
TEST_F(observed, tsync_that_fails_writes_nothing)
{
	const __u32 flags = variant->flags | LANDLOCK_RESTRICT_SELF_TSYNC;
	struct portlock_event event;
	struct worker workers[NUM_THREADS];
	int i;

	ASSERT_EQ(0, start_workers(workers, false));
	for (i = 0; i < MAX_LAYERS; i++)
		ASSERT_EQ(0, restrict_extended(LISTEN_TCP));
	EXPECT_EQ(-E2BIG, restrict_self(self->fd, flags));
	EXPECT_EQ(-EINVAL, restrict_self(self->fd, flags | 1U << 5));
	EXPECT_EQ(0, close(self->fd));
	/* Waits for the end, while all threads are there. */
	EXPECT_EQ(0, next_event(self->observer, &event));
	ASSERT_EQ(0, finish_workers(workers));
	for (i = 0; i < NUM_THREADS; i++)
		EXPECT_EQ(SEES_FREEDOM, workers[i].after);
	EXPECT_EQ(0, next_event(self->observer, &event));
}

struct observed_thread {
	int fd;
	__u32 flags;
	int error;
};

static void *have_a_layer(void *data)
{
	struct observed_thread *const thread = data;

	thread->error = enforce_as(thread->fd, thread->flags);
	look();
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	look();
	return NULL;
}

/* The domain of the caller replaces the layers of another thread. */
TEST_F(observed, tsync_ends_the_layers_that_it_replaces)
{
	struct observed_thread data = {
		.fd = self->fd,
		.flags = variant->flags,
	};
	pthread_t thread;

	ASSERT_EQ(0, pthread_barrier_init(&barrier, NULL, 2));
	ASSERT_EQ(0, pthread_create(&thread, NULL, have_a_layer, &data));
	pthread_barrier_wait(&barrier);
	EXPECT_EQ(0, data.error);
	EXPECT_EQ(POLLIN, ready(self->observer));
	ASSERT_EQ(0, restrict_self(-1, LANDLOCK_RESTRICT_SELF_TSYNC |
				   LANDLOCK_RESTRICT_SELF_LOG_SUBDOMAINS_OFF));
	/* The end comes while the thread waits. */
	EXPECT_EQ(NUM_REFUSED, drain(self->observer));
	pthread_barrier_wait(&barrier);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	EXPECT_EQ(0, drain(self->observer));
}

TEST_HARNESS_MAIN
