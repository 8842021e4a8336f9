// SPDX-License-Identifier: GPL-2.0
/*
 * Portlock tests: the programs of the user's guide
 *
 * The programs are those of Documentation/userspace-api/portlock.rst, taken out
 * of the page and compiled.  Each of them runs this program, which then makes
 * one call and exits with its error.
 */

#define _GNU_SOURCE
#include "../kselftest_harness.h"
#include "common.h"

#define FOLDER "/guest/doc"
#define AGENT FOLDER "/agent"
#define SERVER FOLDER "/server 198.51.100.1 8443"
#define CLIENT FOLDER "/client"

/* What the programs exit with if they do not run their command. */
#define NOT_RUN 1

/* The call, in the sandbox */

static socklen_t read_addr(union addr *addr, const char *text, __u16 port)
{
	memset(addr, 0, sizeof(*addr));
	if (inet_pton(AF_INET, text, &addr->in.sin_addr) == 1) {
		addr->in.sin_family = AF_INET;
		addr->in.sin_port = htons(port);
		return sizeof(addr->in);
	}
	addr->in6.sin6_family = AF_INET6;
	addr->in6.sin6_port = htons(port);
	inet_pton(AF_INET6, text, &addr->in6.sin6_addr);
	return sizeof(addr->in6);
}

/* Uses @fd, or a new socket if @fd is negative.  Returns 0 or an errno. */
static int use(int fd, const char *what, const char *kind, const char *address,
	       __u16 port)
{
	const bool is_udp = !strcmp(kind, "udp");
	union addr addr;
	const socklen_t len = read_addr(&addr, address, port);

	if (fd < 0)
		fd = make_socket(addr.sa.sa_family,
				 is_udp ? SOCK_DGRAM : SOCK_STREAM,
				 strcmp(kind, "mptcp") ? 0 : IPPROTO_MPTCP);
	if (fd < 0)
		return -fd;
	if (!strcmp(what, "connect"))
		return connect(fd, &addr.sa, len) ? errno : 0;
	if (!strcmp(what, "send"))
		return sendto(fd, "x", 1, 0, &addr.sa, len) < 0 ? errno : 0;
	if (bind(fd, &addr.sa, len))
		return errno;
	return !strcmp(what, "listen") && listen(fd, 1) ? errno : 0;
}

static int call(char *const argv[])
{
	if (!strcmp(argv[0], "socket")) {
		const int fd = socket(atoi(argv[1]), atoi(argv[2]),
				      atoi(argv[3]));

		return fd < 0 ? errno : 0;
	}
	if (!strcmp(argv[0], "close"))
		return close(atoi(argv[1])) ? errno : 0;
	if (!strcmp(argv[0], "stdin"))
		return use(STDIN_FILENO, argv[1], argv[2], argv[3],
			   atoi(argv[4]));
	return use(-1, argv[0], argv[1], argv[2], atoi(argv[3]));
}

/* The sandbox */

/* Appends the words of @text, which is changed, to @argv. */
static int append(char **argv, int argc, char *text)
{
	char *word;

	while ((word = strsep(&text, " ")))
		argv[argc++] = word;
	return argc;
}

/*
 * Runs @program, which runs this one, which makes the call of @words.  Returns
 * the exit status or a negative errno.
 */
static int run(const char *program, const char *words)
{
	char before[64], after[64], self[64] = {};
	char *argv[16] = {};
	pid_t child;
	int argc;

	if (snprintf(before, sizeof(before), "%s", program) >= 64 ||
	    snprintf(after, sizeof(after), "call %s", words) >= 64 ||
	    readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return -EDOM;
	argc = append(argv, 0, before);
	argv[argc++] = self;
	append(argv, argc, after);

	child = fork();
	if (child < 0)
		return -errno;
	if (child == 0) {
		execv(argv[0], argv);
		_exit(127);
	}
	return wait_child(child);
}

/* The agent and the client need Portlock.  Without it they do nothing. */
static int here(int expected)
{
	return is_c_landlock() ? NOT_RUN : expected;
}

/* The server falls back to Landlock, which allows more. */
static int refused_here(void)
{
	return is_c_landlock() ? 0 : EACCES;
}

/* The network */

/* Gives the loopback interface one more address, with its network. */
static int add_ipv4(const char *alias, const char *address, const char *netmask)
{
	const int fd = make_socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq ifr = {};
	union addr addr;
	int ret;

	if (fd < 0)
		return fd;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", alias);
	memcpy(&ifr.ifr_addr, &addr, read_addr(&addr, address, 0));
	ret = ioctl(fd, SIOCSIFADDR, &ifr) ? -errno : 0;
	memcpy(&ifr.ifr_netmask, &addr, read_addr(&addr, netmask, 0));
	if (!ret && ioctl(fd, SIOCSIFNETMASK, &ifr))
		ret = -errno;
	close(fd);
	return ret;
}

static int add_ipv6(const char *address)
{
	/* struct in6_ifreq, whose header is at odds with the C library. */
	struct {
		struct in6_addr address;
		__u32 prefix_len;
		int index;
	} ifr = {
		.prefix_len = 128,
		.index = 1,
	};
	const int fd = make_socket(AF_INET6, SOCK_DGRAM, 0);
	int ret;

	if (fd < 0)
		return fd;
	inet_pton(AF_INET6, address, &ifr.address);
	ret = ioctl(fd, SIOCSIFADDR, &ifr) ? -errno : 0;
	close(fd);
	return ret;
}

/* Listens on all addresses of both families. */
static int serve(__u16 port)
{
	const int fd = make_socket(AF_INET6, SOCK_STREAM, 0);
	union addr addr;
	const socklen_t len = read_addr(&addr, "::", port);

	if (fd < 0)
		return fd;
	return bind(fd, &addr.sa, len) || listen(fd, 64) ? -errno : 0;
}

FIXTURE(doc)
{
};

/* All hosts are this one, and listen, so that only a sandbox can refuse. */
FIXTURE_SETUP(doc)
{
	static const __u16 ports[] = { 53, 80, 443, 3128, 3129 };
	size_t i;

	if (access(FOLDER, X_OK))
		SKIP(return, "no " FOLDER " in this guest");
	ASSERT_EQ(0, own_network());
	ASSERT_EQ(0, add_ipv4("lo:1", "192.0.2.53", "255.255.255.254"));
	ASSERT_EQ(0, add_ipv4("lo:2", "198.51.100.1", "255.255.254.0"));
	ASSERT_EQ(0, add_ipv6("2001:db8::53"));
	ASSERT_EQ(0, add_ipv6("2001:db8:1::7"));
	ASSERT_EQ(0, add_ipv6("2001:db8:2::7"));
	for (i = 0; i < ARRAY_SIZE(ports); i++)
		ASSERT_EQ(0, serve(ports[i]));
}

FIXTURE_TEARDOWN(doc)
{
}

/* The agent */

TEST_F(doc, agent_connects_to_the_proxy)
{
	EXPECT_EQ(here(0), run(AGENT, "connect tcp 127.0.0.1 3128"));
	EXPECT_EQ(here(0), run(AGENT, "connect mptcp 127.0.0.1 3128"));
	/* The same host, from a socket of IPv6. */
	EXPECT_EQ(here(0), run(AGENT, "connect tcp ::ffff:127.0.0.1 3128"));
}

TEST_F(doc, agent_connects_nowhere_else)
{
	EXPECT_EQ(here(EACCES), run(AGENT, "connect tcp 127.0.0.1 3129"));
	EXPECT_EQ(here(EACCES), run(AGENT, "connect mptcp 127.0.0.1 3129"));
	EXPECT_EQ(here(EACCES), run(AGENT, "connect tcp 127.0.0.2 3128"));
	EXPECT_EQ(here(EACCES), run(AGENT, "connect tcp ::1 3128"));
	EXPECT_EQ(here(EACCES), run(AGENT, "connect tcp 0.0.0.0 3128"));
	EXPECT_EQ(here(EACCES), run(AGENT, "connect tcp 198.51.100.7 3128"));
	EXPECT_EQ(here(EACCES), run(AGENT, "connect tcp 2001:db8:1::7 443"));
}

TEST_F(doc, agent_listens_on_loopback)
{
	EXPECT_EQ(here(0), run(AGENT, "listen tcp 127.0.0.1 8080"));
	EXPECT_EQ(here(0), run(AGENT, "listen tcp 127.9.9.9 0"));
	EXPECT_EQ(here(0), run(AGENT, "listen tcp ::1 8080"));
	EXPECT_EQ(here(0), run(AGENT, "listen mptcp 127.0.0.1 8080"));
}

TEST_F(doc, agent_listens_nowhere_else)
{
	EXPECT_EQ(here(EACCES), run(AGENT, "listen tcp 0.0.0.0 8080"));
	EXPECT_EQ(here(EACCES), run(AGENT, "listen tcp :: 8080"));
	EXPECT_EQ(here(EACCES), run(AGENT, "listen tcp 198.51.100.7 8080"));
	EXPECT_EQ(here(EACCES), run(AGENT, "bind tcp 2001:db8:1::7 8080"));
}

TEST_F(doc, agent_makes_sockets_of_tcp_only)
{
	/* UDP, raw, UNIX, netlink, packet, vsock. */
	EXPECT_EQ(here(0), run(AGENT, "socket 2 1 0"));
	EXPECT_EQ(here(0), run(AGENT, "socket 10 1 6"));
	EXPECT_EQ(here(EACCES), run(AGENT, "socket 2 2 0"));
	EXPECT_EQ(here(EACCES), run(AGENT, "socket 10 2 17"));
	EXPECT_EQ(here(EACCES), run(AGENT, "socket 2 3 1"));
	EXPECT_EQ(here(EACCES), run(AGENT, "socket 1 1 0"));
	EXPECT_EQ(here(EACCES), run(AGENT, "socket 16 3 0"));
	EXPECT_EQ(here(EACCES), run(AGENT, "socket 17 3 768"));
	EXPECT_EQ(here(EACCES), run(AGENT, "socket 40 1 0"));
}

/* A datagram socket that somebody else made. */
TEST_F(doc, agent_sends_no_datagrams)
{
	const int fd = make_socket(AF_INET, SOCK_DGRAM, 0);

	ASSERT_EQ(STDIN_FILENO, dup2(fd, STDIN_FILENO));
	EXPECT_EQ(here(EACCES), run(AGENT, "stdin send udp 127.0.0.1 3128"));
	EXPECT_EQ(here(EACCES), run(AGENT, "stdin connect udp 127.0.0.1 3128"));
	EXPECT_EQ(here(EACCES), run(AGENT, "stdin bind udp 127.0.0.1 3128"));
}

TEST_F(doc, agent_gets_no_other_descriptors)
{
	ASSERT_EQ(9, dup2(STDOUT_FILENO, 9));
	EXPECT_EQ(here(EBADF), run(AGENT, "close 9"));
	EXPECT_EQ(here(0), run(AGENT, "close 1"));
}

/* The server */

TEST_F(doc, server_serves_its_address)
{
	EXPECT_EQ(0, run(SERVER, "listen tcp 198.51.100.1 8443"));
	EXPECT_EQ(0, run(SERVER, "listen mptcp 198.51.100.1 8443"));
}

TEST_F(doc, server_serves_no_other_address)
{
	EXPECT_EQ(refused_here(), run(SERVER, "listen tcp 198.51.100.2 8443"));
	EXPECT_EQ(refused_here(), run(SERVER, "bind tcp 0.0.0.0 8443"));
	EXPECT_EQ(refused_here(), run(SERVER, "bind tcp 127.0.0.1 8443"));
	EXPECT_EQ(refused_here(), run(SERVER, "bind tcp ::1 8443"));
}

TEST_F(doc, server_serves_no_other_port)
{
	EXPECT_EQ(EACCES, run(SERVER, "bind tcp 198.51.100.1 8444"));
	EXPECT_EQ(EACCES, run(SERVER, "bind tcp 198.51.100.1 0"));
	EXPECT_EQ(refused_here(), run(SERVER, "bind mptcp 198.51.100.1 8444"));
}

TEST_F(doc, server_connects_nowhere)
{
	EXPECT_EQ(EACCES, run(SERVER, "connect tcp 127.0.0.1 443"));
	EXPECT_EQ(EACCES, run(SERVER, "connect tcp 198.51.100.1 443"));
	EXPECT_EQ(refused_here(), run(SERVER, "connect mptcp 127.0.0.1 443"));
	EXPECT_EQ(EACCES, run(SERVER, "send udp 192.0.2.53 53"));
}

TEST_F(doc, server_has_unix_sockets_only_beside)
{
	EXPECT_EQ(0, run(SERVER, "socket 1 1 0"));
	EXPECT_EQ(refused_here(), run(SERVER, "socket 16 3 0"));
	EXPECT_EQ(refused_here(), run(SERVER, "socket 2 2 0"));
	EXPECT_EQ(refused_here(), run(SERVER, "socket 17 3 768"));
}

/* The client */

TEST_F(doc, client_asks_its_resolvers)
{
	EXPECT_EQ(here(0), run(CLIENT, "send udp 192.0.2.53 53"));
	EXPECT_EQ(here(0), run(CLIENT, "connect udp 192.0.2.53 53"));
	EXPECT_EQ(here(0), run(CLIENT, "send udp 2001:db8::53 53"));
	EXPECT_EQ(here(0), run(CLIENT, "connect tcp 192.0.2.53 53"));
	EXPECT_EQ(here(0), run(CLIENT, "connect tcp 2001:db8::53 53"));
}

TEST_F(doc, client_asks_nobody_else)
{
	EXPECT_EQ(here(EACCES), run(CLIENT, "send udp 192.0.2.52 53"));
	EXPECT_EQ(here(EACCES), run(CLIENT, "send udp 192.0.2.53 54"));
	EXPECT_EQ(here(EACCES), run(CLIENT, "connect udp 127.0.0.1 53"));
	EXPECT_EQ(here(EACCES), run(CLIENT, "send udp 0.0.0.0 53"));
	EXPECT_EQ(here(EACCES), run(CLIENT, "send udp 198.51.100.7 443"));
	EXPECT_EQ(here(EACCES), run(CLIENT, "send udp 2001:db8:1::7 53"));
	EXPECT_EQ(here(EACCES), run(CLIENT, "connect tcp 192.0.2.52 53"));
}

TEST_F(doc, client_connects_to_its_networks)
{
	EXPECT_EQ(here(0), run(CLIENT, "connect tcp 198.51.100.0 443"));
	EXPECT_EQ(here(0), run(CLIENT, "connect tcp 198.51.100.255 443"));
	EXPECT_EQ(here(0), run(CLIENT, "connect tcp ::ffff:198.51.100.7 443"));
	EXPECT_EQ(here(0), run(CLIENT, "connect tcp 2001:db8:1::7 443"));
}

TEST_F(doc, client_connects_nowhere_else)
{
	EXPECT_EQ(here(EACCES), run(CLIENT, "connect tcp 198.51.101.0 443"));
	EXPECT_EQ(here(EACCES), run(CLIENT, "connect tcp 192.0.2.53 443"));
	EXPECT_EQ(here(EACCES), run(CLIENT, "connect tcp 198.51.100.7 80"));
	EXPECT_EQ(here(EACCES), run(CLIENT, "connect tcp 127.0.0.1 443"));
	EXPECT_EQ(here(EACCES), run(CLIENT, "connect tcp 2001:db8:2::7 443"));
	EXPECT_EQ(here(EACCES), run(CLIENT, "connect mptcp 127.0.0.1 443"));
}

TEST_F(doc, client_serves_nobody)
{
	EXPECT_EQ(here(EACCES), run(CLIENT, "bind tcp 127.0.0.1 8080"));
	EXPECT_EQ(here(EACCES), run(CLIENT, "bind tcp 198.51.100.1 0"));
	EXPECT_EQ(here(EACCES), run(CLIENT, "bind udp 127.0.0.1 5353"));
	/* A resolver's answer needs a port. */
	EXPECT_EQ(here(0), run(CLIENT, "bind udp 0.0.0.0 0"));
}

TEST_F(doc, client_has_the_sockets_of_a_look_up_only)
{
	EXPECT_EQ(here(0), run(CLIENT, "socket 16 3 0"));
	EXPECT_EQ(here(0), run(CLIENT, "socket 1 1 0"));
	EXPECT_EQ(here(EACCES), run(CLIENT, "socket 16 3 9"));
	EXPECT_EQ(here(EACCES), run(CLIENT, "socket 2 3 1"));
	EXPECT_EQ(here(EACCES), run(CLIENT, "socket 2 2 1"));
	EXPECT_EQ(here(EACCES), run(CLIENT, "socket 17 3 768"));
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "call"))
		return call(argv + 2);
	return test_harness_run(argc, argv);
}
