// SPDX-License-Identifier: GPL-2.0
/*
 * Portlock tests: sockets of the kernel, used while a sandboxed task runs
 *
 * kernel_bind() and kernel_connect() reach no security hook, so rules do not
 * hold there.  kernel_sendmsg() does reach one, and it looks at the task that
 * happens to run: the rules hold for datagrams, for the local port that they
 * take, and for TCP Fast Open, as under C Landlock.
 *
 * The out-of-tree module portlock_test uses the sockets on our behalf.
 */

#include "kselftest_harness.h"
#include "common.h"

#define OPEN_PORT 1024
#define SHUT_PORT 1025

#define INTERFACE "/proc/portlock_test"
#define MODULE "/lib/modules/test/portlock_test.ko"

static bool module_is_there(void)
{
	return !access(INTERFACE, F_OK) || !access(MODULE, F_OK);
}

/* Loads the module if nobody did. */
static int load_module(void)
{
	int fd, ret = 0;

	if (!access(INTERFACE, F_OK))
		return 0;
	fd = open(MODULE, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (syscall(__NR_finit_module, fd, "", 0) && errno != EEXIST)
		ret = -errno;
	close(fd);
	return ret;
}

FIXTURE(module)
{
	int fd;
};

FIXTURE_VARIANT(module)
{
	int family;
	const char *tcp;
	const char *udp;
};

FIXTURE_VARIANT_ADD(module, ipv4)
{
	.family = AF_INET,
	.tcp = "tcp",
	.udp = "udp",
};

FIXTURE_VARIANT_ADD(module, ipv6)
{
	.family = AF_INET6,
	.tcp = "tcp6",
	.udp = "udp6",
};

FIXTURE_SETUP(module)
{
	if (!module_is_there())
		SKIP(return, "the module portlock_test is not loaded, nor is it at " MODULE);
	ASSERT_EQ(0, load_module());
	self->fd = open(INTERFACE, O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, own_network());
}

FIXTURE_TEARDOWN(module)
{
	EXPECT_EQ(0, close(self->fd));
}

/* Has the kernel do it, and returns 0 or a negative errno. */
static int kernel_does(int fd, const char *protocol, const char *operation,
		       __u16 port)
{
	char line[64];
	const int len = snprintf(line, sizeof(line), "%s %s %u", protocol,
				 operation, port);

	if (len < 0 || len >= (int)sizeof(line))
		return -EOVERFLOW;
	return write(fd, line, len) == len ? 0 : -errno;
}

TEST_F(module, says_when_it_does_not_understand)
{
	EXPECT_EQ(-EBADMSG, kernel_does(self->fd, "sctp", "bind", 1024));
	EXPECT_EQ(-EBADMSG, kernel_does(self->fd, "tcp", "shutdown", 1024));
	EXPECT_EQ(-1, write(self->fd, "tcp bind", 8));
	EXPECT_EQ(EBADMSG, errno);
}

/* What all of it answers to a task without a domain. */
TEST_F(module, kernel_sockets_work_without_a_domain)
{
	const int listener = listen_on(variant->family, 0, OPEN_PORT);

	ASSERT_LE(0, listener);
	EXPECT_EQ(0, kernel_does(self->fd, variant->tcp, "bind", SHUT_PORT));
	EXPECT_EQ(-EADDRINUSE,
		  kernel_does(self->fd, variant->tcp, "bind", OPEN_PORT));
	EXPECT_EQ(0, kernel_does(self->fd, variant->tcp, "connect",
				 OPEN_PORT));
	EXPECT_EQ(-ECONNREFUSED, kernel_does(self->fd, variant->tcp, "connect",
					     SHUT_PORT));
	EXPECT_EQ(0, kernel_does(self->fd, variant->tcp, "fastopen",
				 OPEN_PORT));
	EXPECT_EQ(0, kernel_does(self->fd, variant->udp, "bind", SHUT_PORT));
	EXPECT_EQ(0, kernel_does(self->fd, variant->udp, "connect",
				 SHUT_PORT));
	EXPECT_EQ(0, kernel_does(self->fd, variant->udp, "send", SHUT_PORT));
	EXPECT_EQ(0, kernel_does(self->fd, variant->udp, "send-bound",
				 SHUT_PORT));
	EXPECT_EQ(0, close(listener));
}

TEST_F(module, kernel_bind_and_connect_reach_no_rule)
{
	const int listener = listen_on(variant->family, 0, OPEN_PORT);

	ASSERT_LE(0, listener);
	ASSERT_EQ(0, restrict_all(ALL_NET));
	ASSERT_EQ(-EACCES, try_bind(variant->family, SOCK_STREAM, SHUT_PORT));
	EXPECT_EQ(0, kernel_does(self->fd, variant->tcp, "bind", SHUT_PORT));
	EXPECT_EQ(0, kernel_does(self->fd, variant->tcp, "connect",
				 OPEN_PORT));
	EXPECT_EQ(-ECONNREFUSED, kernel_does(self->fd, variant->tcp, "connect",
					     SHUT_PORT));
	EXPECT_EQ(0, kernel_does(self->fd, variant->udp, "bind", SHUT_PORT));
	EXPECT_EQ(0, kernel_does(self->fd, variant->udp, "connect",
				 SHUT_PORT));
	EXPECT_EQ(0, close(listener));
}

TEST_F(module, kernel_datagrams_obey_the_rules)
{
	const int fd = net_ruleset(ALL_NET);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, add_port(fd, OPEN_PORT, SEND_UDP));
	ASSERT_EQ(0, add_port(fd, 0, BIND_UDP));
	ASSERT_EQ(0, enforce(fd));
	EXPECT_EQ(0, kernel_does(self->fd, variant->udp, "send", OPEN_PORT));
	EXPECT_EQ(0, kernel_does(self->fd, variant->udp, "send-bound",
				 OPEN_PORT));
	EXPECT_EQ(-EACCES, kernel_does(self->fd, variant->udp, "send",
				       SHUT_PORT));
	EXPECT_EQ(-EACCES, kernel_does(self->fd, variant->udp, "send-bound",
				       SHUT_PORT));
}

/* Taking a local port unasked is a bind to port 0 for the kernel, too. */
TEST_F(module, kernel_datagrams_take_no_local_port_unasked)
{
	ASSERT_EQ(0, restrict_to_port(BIND_UDP, OPEN_PORT, BIND_UDP));
	EXPECT_EQ(-EACCES, kernel_does(self->fd, variant->udp, "send",
				       OPEN_PORT));
	/* It bound the socket itself, which nobody asked about. */
	EXPECT_EQ(0, kernel_does(self->fd, variant->udp, "send-bound",
				 OPEN_PORT));
}

TEST_F(module, kernel_fast_open_obeys_the_rules)
{
	const int open_listener = listen_on(variant->family, 0, OPEN_PORT);
	const int shut_listener = listen_on(variant->family, 0, SHUT_PORT);

	ASSERT_LE(0, open_listener);
	ASSERT_LE(0, shut_listener);
	ASSERT_EQ(0, restrict_to_port(CONNECT_TCP, OPEN_PORT, CONNECT_TCP));
	EXPECT_EQ(0, kernel_does(self->fd, variant->tcp, "fastopen",
				 OPEN_PORT));
	EXPECT_EQ(-EACCES, kernel_does(self->fd, variant->tcp, "fastopen",
				       SHUT_PORT));
	/* The plain way to the same port is open, as said above. */
	EXPECT_EQ(0, kernel_does(self->fd, variant->tcp, "connect",
				 SHUT_PORT));
	EXPECT_EQ(0, close(open_listener));
	EXPECT_EQ(0, close(shut_listener));
}

/* The domain that counts is that of the writer, not of who opened the file. */
TEST_F(module, the_running_task_counts)
{
	pid_t child = fork();

	ASSERT_LE(0, child);
	if (child == 0) {
		ASSERT_EQ(0, restrict_all(SEND_UDP));
		EXPECT_EQ(-EACCES, kernel_does(self->fd, variant->udp, "send",
					       OPEN_PORT));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, wait_child(child));
	EXPECT_EQ(0, kernel_does(self->fd, variant->udp, "send", OPEN_PORT));
}

TEST_HARNESS_MAIN
