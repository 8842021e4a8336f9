// SPDX-License-Identifier: GPL-2.0
/*
 * Portlock tests: existing programs that use Landlock
 *
 * The test runs the kernel's samples/landlock/sandboxer and util-linux's
 * setpriv unmodified.  They run a program that makes one network operation and
 * prints the result.
 */

#define _GNU_SOURCE
#include "../kselftest_harness.h"
#include "common.h"

#define SANDBOXER "/bin/sandboxer"
#define SETPRIV "/usr/bin/setpriv"
#define PROBE "/bin/probe"

#define REFUSED "EACCES 13 Permission denied\n"

/*
 * Runs @argv with @envp and reads what it prints to standard output, at most
 * @size bytes with the terminator.  Returns the wait status or a negative errno.
 */
static int run(char *const argv[], char *const envp[], char *const out,
	       const size_t size)
{
	size_t len = 0;
	int fds[2], status;
	ssize_t count;
	pid_t child;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	child = fork();
	if (child < 0)
		return -errno;
	if (child == 0) {
		if (dup2(fds[1], STDOUT_FILENO) < 0)
			_exit(126);
		execve(argv[0], argv, envp);
		_exit(127);
	}
	close(fds[1]);
	while (len < size - 1) {
		count = read(fds[0], out + len, size - 1 - len);
		if (count <= 0)
			break;
		len += count;
	}
	out[len] = '\0';
	close(fds[0]);
	if (waitpid(child, &status, 0) != child)
		return -errno;
	return status;
}

FIXTURE(sandboxer)
{
	char out[256];
};

FIXTURE_VARIANT(sandboxer)
{
	const char *operation;
	const char *port;
	const char *rule;
	const char *answer;
};

/* Bind and connect, TCP and UDP, on the allowed port and on the next one. */

/* clang-format off */
FIXTURE_VARIANT_ADD(sandboxer, tcp_bind_allowed) {
	/* clang-format on */
	.operation = "tcp-bind",
	.port = "8080",
	.rule = "LL_TCP_BIND=8080",
	.answer = "ok\n",
};

/* clang-format off */
FIXTURE_VARIANT_ADD(sandboxer, tcp_bind_refused) {
	/* clang-format on */
	.operation = "tcp-bind",
	.port = "8081",
	.rule = "LL_TCP_BIND=8080",
	.answer = REFUSED,
};

/* clang-format off */
FIXTURE_VARIANT_ADD(sandboxer, tcp_connect_allowed) {
	/* clang-format on */
	.operation = "tcp-connect",
	.port = "9",
	.rule = "LL_TCP_CONNECT=9",
	/* The rule allows it, and nobody listens. */
	.answer = "ECONNREFUSED 111 Connection refused\n",
};

/* clang-format off */
FIXTURE_VARIANT_ADD(sandboxer, tcp_connect_refused) {
	/* clang-format on */
	.operation = "tcp-connect",
	.port = "10",
	.rule = "LL_TCP_CONNECT=9",
	.answer = REFUSED,
};

/* clang-format off */
FIXTURE_VARIANT_ADD(sandboxer, udp_bind_allowed) {
	/* clang-format on */
	.operation = "udp-bind",
	.port = "5353",
	.rule = "LL_UDP_BIND=5353",
	.answer = "ok\n",
};

/* clang-format off */
FIXTURE_VARIANT_ADD(sandboxer, udp_bind_refused) {
	/* clang-format on */
	.operation = "udp-bind",
	.port = "5354",
	.rule = "LL_UDP_BIND=5353",
	.answer = REFUSED,
};

/* clang-format off */
FIXTURE_VARIANT_ADD(sandboxer, no_rule_restricts_nothing) {
	/* clang-format on */
	.operation = "tcp-bind",
	.port = "8081",
	.rule = "LL_UNUSED=",
	.answer = "ok\n",
};

FIXTURE_SETUP(sandboxer)
{
	if (access(SANDBOXER, X_OK) || access(PROBE, X_OK))
		SKIP(return, "no " SANDBOXER " and " PROBE " in this guest");
}

FIXTURE_TEARDOWN(sandboxer)
{
}

TEST_F(sandboxer, holds_a_program_to_its_port)
{
	char *const argv[] = { SANDBOXER, PROBE, (char *)variant->operation,
			       (char *)variant->port, NULL };
	char *const envp[] = { "LL_FS_RO=/", "LL_FS_RW=/",
			       (char *)variant->rule, NULL };

	ASSERT_LE(0, run(argv, envp, self->out, sizeof(self->out)));
	EXPECT_STREQ(variant->answer, self->out);
}

TEST(setpriv_restricts_paths_and_leaves_the_network_alone)
{
	char *const help[] = { SETPRIV, "--help", NULL };
	char *const argv[] = { SETPRIV,
			       "--landlock-access", "fs",
			       "--landlock-rule", "path-beneath:read-file,execute:/",
			       "--no-new-privs", PROBE, "tcp-bind", "8080",
			       NULL };
	char *const write[] = { SETPRIV,
				"--landlock-access", "fs",
				"--landlock-rule", "path-beneath:read-file,execute:/",
				"--no-new-privs", "/bin/busybox", "touch",
				"/tmp/setpriv", NULL };
	char *const envp[] = { NULL };
	char out[8192];

	if (access(SETPRIV, X_OK) ||
	    run(help, envp, out, sizeof(out)) ||
	    !strstr(out, "--landlock-access"))
		SKIP(return, "no setpriv that knows Landlock in this guest");

	EXPECT_EQ(0, run(argv, envp, out, sizeof(out)));
	EXPECT_STREQ("ok\n", out);

	EXPECT_NE(0, run(write, envp, out, sizeof(out)));
	EXPECT_NE(0, access("/tmp/setpriv", F_OK));
}

TEST_HARNESS_MAIN
