// SPDX-License-Identifier: GPL-2.0
/*
 * Portlock tests: the programs of the user's guide
 *
 * The programs are those of Documentation/userspace-api/portlock.rst, taken out
 * of the page and compiled.  Each of them runs this program, which then makes
 * one call and exits with its error.
 */

#define _GNU_SOURCE
#include <netinet/tcp.h>
#include <signal.h>

#include "../kselftest_harness.h"
#include "common.h"

#define FOLDER "/guest/doc"
#define AGENT FOLDER "/agent"
#define SERVER FOLDER "/server 198.51.100.1 8443"
#define CLIENT FOLDER "/client"
#define INTRANET FOLDER "/intranet 8443"
#define WORKER FOLDER "/worker 8443 127.0.0.1 443"

/* The port of the server, the intranet and the worker. */
#define SERVED_PORT 8443

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

static int open_socket(const char *kind, int family)
{
	return make_socket(family, strcmp(kind, "udp") ? SOCK_STREAM : SOCK_DGRAM,
			   strcmp(kind, "mptcp") ? 0 : IPPROTO_MPTCP);
}

/* Uses a socket in a way that needs no address.  Returns 0 or an errno. */
static int use_socket(int fd, const char *what)
{
	const struct sockaddr nobody = {
		.sa_family = AF_UNSPEC,
	};
	const int yes = 1;
	char data;
	int value;
	socklen_t len = sizeof(value);

	if (!strcmp(what, "send"))
		return send(fd, "x", 1, MSG_NOSIGNAL) < 0 ? errno : 0;
	if (!strcmp(what, "receive"))
		return recv(fd, &data, 1, MSG_DONTWAIT) < 0 ? errno : 0;
	if (!strcmp(what, "shutdown"))
		return shutdown(fd, SHUT_RDWR) ? errno : 0;
	if (!strcmp(what, "getsockopt"))
		return getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &len) ?
			       errno : 0;
	if (!strcmp(what, "setsockopt"))
		return setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes,
				  sizeof(yes)) ? errno : 0;
	if (!strcmp(what, "setdevice"))
		return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2) ?
			       errno : 0;
	if (!strcmp(what, "accept"))
		return accept(fd, NULL, NULL) < 0 ? errno : 0;
	/* Disconnecting is always allowed, and leaves a socket that can listen. */
	if (!strcmp(what, "relisten"))
		return connect(fd, &nobody, sizeof(nobody)) ? -EDOM :
		       listen(fd, 1) ? errno : 0;
	return -EDOM;
}

/* Uses @fd, or a new socket if @fd is negative.  Returns 0 or an errno. */
static int use(int fd, const char *what, const char *kind, const char *address,
	       __u16 port)
{
	union addr addr;
	const socklen_t len = read_addr(&addr, address, port);

	if (fd < 0)
		fd = open_socket(kind, addr.sa.sa_family);
	if (fd < 0)
		return -fd;
	if (!strcmp(what, "listen_unbound"))
		return listen(fd, 1) ? errno : 0;
	if (!strcmp(what, "connect"))
		return connect(fd, &addr.sa, len) ? errno : 0;
	if (!strcmp(what, "send"))
		return sendto(fd, "x", 1, 0, &addr.sa, len) < 0 ? errno : 0;
	if (bind(fd, &addr.sa, len))
		return errno;
	return !strcmp(what, "listen") && listen(fd, 1) ? errno : 0;
}

/* Sends @to the byte that is received on @from, and ends both. */
static int relay(int from, int to)
{
	char data;

	if (recv(from, &data, 1, 0) != 1)
		return errno;
	if (to != from && (send(to, &data, 1, MSG_NOSIGNAL) != 1 ||
			   shutdown(to, SHUT_WR)))
		return errno;
	if (send(from, &data, 1, MSG_NOSIGNAL) != 1 || shutdown(from, SHUT_WR))
		return errno;
	return 0;
}

/* Answers one client, with the options that many servers set. */
static int serve_client(const char *kind, const char *address, __u16 port)
{
	union addr addr;
	const socklen_t len = read_addr(&addr, address, port);
	const int fd = open_socket(kind, addr.sa.sa_family);
	const int yes = 1;
	int client;

	if (fd < 0)
		return -fd;
	if (bind(fd, &addr.sa, len) || listen(fd, 1))
		return errno;
	client = accept(fd, NULL, NULL);
	if (client < 0)
		return errno;
	if (setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)))
		return errno;
	return use_socket(client, "getsockopt") ?: relay(client, client);
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
	if (!strcmp(argv[0], "serve"))
		return serve_client(argv[1], argv[2], atoi(argv[3]));
	if (!strcmp(argv[0], "relay"))
		return relay(STDIN_FILENO, STDOUT_FILENO);
	if (!strcmp(argv[0], "fd") && !argv[3])
		return use_socket(atoi(argv[1]), argv[2]);
	if (!strcmp(argv[0], "fd"))
		return use(atoi(argv[1]), argv[2], argv[3], argv[4],
			   atoi(argv[5]));
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
 * Starts @program, which runs this one, which makes the call of @words.  The
 * standard error is @handed.
 */
static pid_t start(const char *program, const char *words, int handed)
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
		/* The program may complain to a socket that is not connected. */
		signal(SIGPIPE, SIG_IGN);
		if (dup2(handed, STDERR_FILENO) >= 0)
			execv(argv[0], argv);
		_exit(127);
	}
	return child;
}

/* Returns the exit status or a negative errno. */
static int run(const char *program, const char *words)
{
	const pid_t child = start(program, words, STDERR_FILENO);

	return child < 0 ? child : wait_child(child);
}

/* Connects a new socket to @port of @address, from this address. */
static int connect_from(const char *address, __u16 port)
{
	union addr addr;
	socklen_t len = read_addr(&addr, address, 0);
	const int fd = open_socket("tcp", addr.sa.sa_family);
	int ret = 0;

	if (fd < 0)
		return fd;
	if (bind(fd, &addr.sa, len))
		ret = -errno;
	len = read_addr(&addr, address, port);
	if (!ret && connect(fd, &addr.sa, len))
		ret = -errno;
	if (ret) {
		close(fd);
		return ret;
	}
	return fd;
}

/*
 * Runs @program for a client from @address.  A call that succeeds must have
 * answered it.
 */
static int run_for(const char *address, const char *program, const char *words,
		   int handed)
{
	const pid_t child = start(program, words, handed);
	char answer = 0;
	int client, status;

	if (child < 0)
		return child;
	while ((client = connect_from(address, SERVED_PORT)) < 0) {
		/* It does not listen yet, or never will. */
		if (waitpid(child, &status, WNOHANG))
			return WIFEXITED(status) ? WEXITSTATUS(status) :
						   -ECHILD;
		pause_ms(1);
	}
	send(client, "x", 1, MSG_NOSIGNAL);
	status = wait_child(child);
	recv(client, &answer, 1, 0);
	close(client);
	return status == 0 && answer != 'x' ? -ENODATA : status;
}

/* Runs the worker, with @handed as one more descriptor. */
static int work(const char *words, int handed)
{
	return run_for("127.0.0.1", WORKER, words, handed);
}

/* All but the server need Portlock.  Without it they do nothing. */
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
	ASSERT_EQ(0, add_ipv4("lo:3", "10.0.0.1", "255.0.0.0"));
	ASSERT_EQ(0, add_ipv4("lo:4", "11.0.0.1", "255.255.255.0"));
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
	EXPECT_EQ(here(EACCES), run(AGENT, "fd 0 send udp 127.0.0.1 3128"));
	EXPECT_EQ(here(EACCES), run(AGENT, "fd 0 connect udp 127.0.0.1 3128"));
	EXPECT_EQ(here(EACCES), run(AGENT, "fd 0 bind udp 127.0.0.1 3128"));
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

/* The server of one network */

static int serve_from(const char *address, const char *words)
{
	return run_for(address, INTRANET, words, STDERR_FILENO);
}

TEST_F(doc, intranet_serves_its_network)
{
	EXPECT_EQ(here(0), serve_from("10.0.0.1", "serve tcp 0.0.0.0 8443"));
	EXPECT_EQ(here(0), serve_from("10.255.255.254",
				      "serve tcp 0.0.0.0 8443"));
	EXPECT_EQ(here(0), serve_from("10.0.0.1", "serve tcp :: 8443"));
	EXPECT_EQ(here(0), serve_from("10.0.0.1", "serve mptcp :: 8443"));
}

TEST_F(doc, intranet_refuses_clients_from_elsewhere)
{
	const int refused = here(ECONNABORTED);

	EXPECT_EQ(refused, serve_from("11.0.0.1", "serve tcp :: 8443"));
	EXPECT_EQ(refused, serve_from("11.0.0.1", "serve tcp 0.0.0.0 8443"));
	EXPECT_EQ(refused, serve_from("11.0.0.1", "serve mptcp :: 8443"));
	EXPECT_EQ(refused, serve_from("127.0.0.1", "serve tcp :: 8443"));
	EXPECT_EQ(refused, serve_from("192.0.2.53", "serve tcp :: 8443"));
	EXPECT_EQ(refused, serve_from("::1", "serve tcp :: 8443"));
}

TEST_F(doc, intranet_serves_no_other_port)
{
	EXPECT_EQ(here(EACCES), run(INTRANET, "bind tcp 10.0.0.1 8444"));
	EXPECT_EQ(here(EACCES), run(INTRANET, "bind tcp 10.0.0.1 0"));
	EXPECT_EQ(here(EACCES), run(INTRANET, "bind mptcp :: 8444"));
	EXPECT_EQ(here(EACCES), run(INTRANET, "listen_unbound tcp :: 8443"));
}

TEST_F(doc, intranet_connects_nowhere)
{
	EXPECT_EQ(here(EACCES), run(INTRANET, "connect tcp 10.0.0.1 443"));
	EXPECT_EQ(here(EACCES), run(INTRANET, "connect tcp 10.0.0.1 8443"));
	EXPECT_EQ(here(EACCES), run(INTRANET, "connect mptcp 10.0.0.1 443"));
	EXPECT_EQ(here(EACCES), run(INTRANET, "connect tcp ::1 443"));
}

TEST_F(doc, intranet_makes_sockets_of_tcp_only)
{
	EXPECT_EQ(here(0), run(INTRANET, "socket 10 1 6"));
	EXPECT_EQ(here(EACCES), run(INTRANET, "socket 2 2 0"));
	EXPECT_EQ(here(EACCES), run(INTRANET, "socket 2 3 1"));
	EXPECT_EQ(here(EACCES), run(INTRANET, "socket 1 1 0"));
	EXPECT_EQ(here(EACCES), run(INTRANET, "socket 16 3 0"));
	EXPECT_EQ(here(EACCES), run(INTRANET, "socket 17 3 768"));
}

/* Sockets that somebody else made, connected, bound and set to listen. */
TEST_F(doc, intranet_has_no_use_for_sockets_of_others)
{
	static const char *const calls[] = { "fd 0 send", "fd 0 receive",
					     "fd 0 shutdown", "fd 0 getsockopt",
					     "fd 0 setsockopt" };
	const int connected = connect_from("10.0.0.1", 443);
	const int udp = make_socket(AF_INET, SOCK_DGRAM, 0);
	const int listener = listen_on(AF_INET, 0, 8080);
	size_t i;

	ASSERT_LE(0, listener);
	ASSERT_EQ(0, connect_fd(udp, AF_INET, 53));

	ASSERT_EQ(STDIN_FILENO, dup2(connected, STDIN_FILENO));
	for (i = 0; i < ARRAY_SIZE(calls); i++)
		EXPECT_EQ(here(EACCES), run(INTRANET, calls[i]));

	ASSERT_EQ(STDIN_FILENO, dup2(udp, STDIN_FILENO));
	for (i = 1; i < ARRAY_SIZE(calls); i++)
		EXPECT_EQ(here(EACCES), run(INTRANET, calls[i]));
	EXPECT_EQ(here(EACCES), run(INTRANET, "fd 0 send udp 127.0.0.1 53"));

	ASSERT_EQ(STDIN_FILENO, dup2(listener, STDIN_FILENO));
	EXPECT_EQ(here(EACCES), run(INTRANET, "fd 0 accept"));
}

/* Where rules have addresses, a socket must not choose its own way. */
TEST_F(doc, intranet_names_no_device)
{
	const int fd = make_socket(AF_INET, SOCK_STREAM, 0);

	ASSERT_EQ(STDIN_FILENO, dup2(fd, STDIN_FILENO));
	EXPECT_EQ(here(0), run(INTRANET, "fd 0 setsockopt"));
	EXPECT_EQ(here(EACCES), run(INTRANET, "fd 0 setdevice"));
}

/* The worker, whose client is descriptor 0 and whose server is descriptor 1 */

TEST_F(doc, worker_uses_its_connections)
{
	EXPECT_EQ(here(0), work("relay", STDERR_FILENO));
	/* Nothing has come. */
	EXPECT_EQ(here(EAGAIN), work("fd 1 receive", STDERR_FILENO));
}

TEST_F(doc, worker_makes_nothing)
{
	EXPECT_EQ(here(EACCES), work("socket 2 1 0", STDERR_FILENO));
	EXPECT_EQ(here(EACCES), work("socket 10 2 17", STDERR_FILENO));
	EXPECT_EQ(here(EACCES), work("socket 1 1 0", STDERR_FILENO));
	EXPECT_EQ(here(EACCES), work("socket 16 3 0", STDERR_FILENO));
}

TEST_F(doc, worker_gets_no_other_peer)
{
	EXPECT_EQ(here(EACCES), work("fd 0 connect tcp 127.0.0.1 443",
				     STDERR_FILENO));
	EXPECT_EQ(here(EACCES), work("fd 1 connect tcp 127.0.0.1 80",
				     STDERR_FILENO));
	EXPECT_EQ(here(EACCES), work("fd 0 bind tcp 127.0.0.1 0",
				     STDERR_FILENO));
	EXPECT_EQ(here(EACCES), work("fd 0 relisten", STDERR_FILENO));
	EXPECT_EQ(here(EACCES), work("fd 1 relisten", STDERR_FILENO));
}

TEST_F(doc, worker_has_no_options)
{
	EXPECT_EQ(here(EACCES), work("fd 0 getsockopt", STDERR_FILENO));
	EXPECT_EQ(here(EACCES), work("fd 0 setsockopt", STDERR_FILENO));
	EXPECT_EQ(here(EACCES), work("fd 1 getsockopt", STDERR_FILENO));
	EXPECT_EQ(here(EACCES), work("fd 1 setsockopt", STDERR_FILENO));
}

TEST_F(doc, worker_has_no_use_for_other_sockets)
{
	const int connected = connect_from("127.0.0.1", 80);
	const int udp = make_socket(AF_INET, SOCK_DGRAM, 0);
	const int listener = listen_on(AF_INET, 0, 8080);

	ASSERT_LE(0, connected);
	ASSERT_LE(0, udp);
	ASSERT_LE(0, listener);
	EXPECT_EQ(here(EACCES), work("fd 2 send", connected));
	EXPECT_EQ(here(EACCES), work("fd 2 receive", connected));
	EXPECT_EQ(here(EACCES), work("fd 2 shutdown", connected));
	EXPECT_EQ(here(EACCES), work("fd 2 send udp 127.0.0.1 443", udp));
	EXPECT_EQ(here(EACCES), work("fd 2 receive", udp));
	EXPECT_EQ(here(EACCES), work("fd 2 accept", listener));
}

TEST_F(doc, worker_gets_no_other_descriptors)
{
	ASSERT_EQ(9, dup2(STDOUT_FILENO, 9));
	EXPECT_EQ(here(EBADF), work("close 9", STDERR_FILENO));
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "call"))
		return call(argv + 2);
	return test_harness_run(argc, argv);
}
