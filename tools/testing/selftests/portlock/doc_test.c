// SPDX-License-Identifier: GPL-2.0
/*
 * Portlock tests: the programs of the user's guide
 *
 * The programs are those of Documentation/userspace-api/portlock.rst, taken out
 * of the page and compiled.  Each of them runs this program, which then makes
 * one call and exits with its error, or tells it to a client.
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

/* These are in Rust too. */
#define ACTIVATED FOLDER "/activated"
#define LEARN FOLDER "/learn"
#define WATCH FOLDER "/watch"

/* The port of the server, the intranet, the worker and the activated server. */
#define SERVED_PORT 8443

/* How many refusals a flood has: more than an observer has room for. */
#define FLOOD 1500

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

static int call(char *const argv[]);

/* Makes a call, and sends its error to the client. */
static int report(char *const argv[])
{
	const char error = call(argv);

	return send(STDIN_FILENO, &error, 1, MSG_NOSIGNAL) == 1 ? 0 : errno;
}

/* Whether a process is stopped, which it may be some time after the signal. */
static bool is_stopped(pid_t pid)
{
	char path[32], text[512];
	const char *state;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (read_text(path, text, sizeof(text)))
		return true;
	/* After the name, which is in parentheses. */
	state = strrchr(text, ')');
	return !state || state[2] == 'T';
}

/* Makes many calls that are refused, while the parent cannot look. */
static int flood(char *const argv[])
{
	const pid_t parent = getppid();
	int i, ret = 0;

	if (kill(parent, SIGSTOP))
		return errno;
	while (!is_stopped(parent))
		pause_ms(1);
	for (i = 0; i < FLOOD; i++) {
		ret = call(argv);
		/* The socket that it used. */
		close_range(3, ~0U, 0);
	}
	return kill(parent, SIGCONT) ? errno : ret;
}

static int call(char *const argv[])
{
	if (!strcmp(argv[0], "report"))
		return report(argv + 1);
	if (!strcmp(argv[0], "flood"))
		return flood(argv + 1);
	if (!strcmp(argv[0], "twice"))
		return call(argv + 1) ?: call(argv + 1);
	if (!strcmp(argv[0], "answer"))
		return relay(STDIN_FILENO, STDIN_FILENO);
	if (!strcmp(argv[0], "die"))
		return kill(getpid(), SIGKILL);
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

/* The socket that start() hands over as a manager of services does, or none. */
static int activation = -1;

/* Hands the socket over to this process. */
static int hand_over(void)
{
	char pid[16];

	if (activation < 0)
		return 0;
	snprintf(pid, sizeof(pid), "%d", getpid());
	return dup2(activation, 3) != 3 || fcntl(3, F_SETFD, 0) ||
	       setenv("LISTEN_PID", pid, 1) || setenv("LISTEN_FDS", "1", 1) ?
		       -errno : 0;
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
		if (dup2(handed, STDERR_FILENO) >= 0 && !hand_over())
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

/* Returns a socket that listens on all addresses of both families. */
static int serve_at(__u16 port)
{
	const int fd = make_socket(AF_INET6, SOCK_STREAM, 0);
	union addr addr;
	const socklen_t len = read_addr(&addr, "::", port);

	if (fd < 0)
		return fd;
	return bind(fd, &addr.sa, len) || listen(fd, 64) ? -errno : fd;
}

static int serve(__u16 port)
{
	const int fd = serve_at(port);

	return fd < 0 ? fd : 0;
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
	/* No right is about a send over UDP to the peer. */
	EXPECT_EQ(here(0), run(INTRANET, "fd 0 send"));

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

TEST_F(doc, commands_get_no_other_descriptors)
{
	ASSERT_EQ(9, dup2(STDOUT_FILENO, 9));
	EXPECT_EQ(here(EBADF), run(AGENT, "close 9"));
	EXPECT_EQ(here(0), run(AGENT, "close 1"));
	EXPECT_EQ(EBADF, run(SERVER, "close 9"));
	EXPECT_EQ(here(EBADF), run(CLIENT, "close 9"));
	EXPECT_EQ(here(EBADF), run(INTRANET, "close 9"));
	EXPECT_EQ(here(EBADF), work("close 9", STDERR_FILENO));
}

/* The programs in C and in Rust, run by an ordinary user */

FIXTURE(user)
{
	/* The socket of the activated server. */
	int listener;
};

FIXTURE_VARIANT(user)
{
	const char *activated, *learn, *watch;
};

/* clang-format off */
FIXTURE_VARIANT_ADD(user, c) { ACTIVATED, LEARN, WATCH " 443" };
FIXTURE_VARIANT_ADD(user, rust)
{
	ACTIVATED "-rust", LEARN "-rust", WATCH "-rust 443"
};
/* clang-format on */

/* All hosts are this one, as for the other programs. */
FIXTURE_SETUP(user)
{
	if (access(FOLDER, X_OK))
		SKIP(return, "no " FOLDER " in this guest");
	ASSERT_EQ(0, own_network());
	ASSERT_EQ(0, add_ipv4("lo:1", "198.51.100.1", "255.255.254.0"));
	ASSERT_EQ(0, serve(80));
	ASSERT_EQ(0, serve(443));
	self->listener = serve_at(SERVED_PORT);
	ASSERT_LE(0, self->listener);
	ASSERT_EQ(0, setresgid(1000, 1000, 1000));
	ASSERT_EQ(0, setresuid(1000, 1000, 1000));
}

FIXTURE_TEARDOWN(user)
{
}

/* Starts the activated server @program with @listener. */
static pid_t activate(const char *program, const char *words, int listener,
		      int handed)
{
	pid_t child;

	activation = listener;
	child = start(program, words, handed);
	activation = -1;
	return child;
}

/*
 * Sends a byte from @address to the activated server.  Returns the byte that it
 * answers, or a negative errno.
 */
static int ask(const char *address)
{
	const struct timeval limit = {
		.tv_sec = 20,
	};
	const int client = connect_from(address, SERVED_PORT);
	char answer = 0;
	int ret;

	if (client < 0)
		return client;
	if (setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &limit,
		       sizeof(limit)) ||
	    send(client, "x", 1, MSG_NOSIGNAL) != 1 ||
	    recv(client, &answer, 1, 0) < 0)
		ret = -errno;
	else
		ret = answer;
	close(client);
	return ret;
}

/* Starts the activated server for one client, which asks from @address. */
static int ask_activated(const char *program, const char *words, int listener,
			 const char *address, int handed)
{
	pid_t child;
	int ret;

	/* Then it does not serve, says so, and nobody would answer. */
	if (is_c_landlock())
		handed = STDERR_FILENO;
	child = activate(program, words, listener, handed);
	if (child < 0)
		return child;
	if (is_c_landlock())
		return wait_child(child) == NOT_RUN ? -ENOTCONN : -ECHILD;
	ret = ask(address);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	return ret;
}

/* What the activated server answers, if it can serve. */
static int answers(int expected)
{
	return is_c_landlock() ? -ENOTCONN : expected;
}

#define ASK(words, address) \
	ask_activated(variant->activated, words, self->listener, address, \
		      STDERR_FILENO)

#define ASK_WITH(fd, words) \
	ask_activated(variant->activated, words, self->listener, "127.0.0.1", fd)

TEST_F(user, activated_serves_whoever_calls)
{
	EXPECT_EQ(answers('x'), ASK("answer", "127.0.0.1"));
	EXPECT_EQ(answers('x'), ASK("answer", "198.51.100.7"));
	EXPECT_EQ(answers('x'), ASK("answer", "::1"));
}

TEST_F(user, activated_serves_one_after_the_other)
{
	const pid_t child = activate(variant->activated, "answer",
				     self->listener, STDERR_FILENO);
	int i;

	ASSERT_LE(0, child);
	for (i = 0; i < 3 && !is_c_landlock(); i++)
		EXPECT_EQ('x', ask("127.0.0.1"));
	EXPECT_EQ(0, kill(child, SIGKILL));
	EXPECT_EQ(child, waitpid(child, NULL, 0));
}

TEST_F(user, activated_commands_use_their_connection)
{
	EXPECT_EQ(answers(0), ASK("report fd 0 getsockopt", "127.0.0.1"));
	EXPECT_EQ(answers(0), ASK("report fd 0 setsockopt", "127.0.0.1"));
	/* The first byte is the one that it sends. */
	EXPECT_EQ(answers('x'), ASK("report fd 0 send", "127.0.0.1"));
	/* The listener is not theirs. */
	EXPECT_EQ(answers(EBADF), ASK("report close 3", "127.0.0.1"));
	EXPECT_EQ(answers(EACCES),
		  ASK("report fd 0 bind tcp ::1 0", "127.0.0.1"));
	EXPECT_EQ(answers(EACCES),
		  ASK("report fd 0 connect tcp ::1 443", "127.0.0.1"));
}

TEST_F(user, activated_commands_have_no_other_network)
{
	static const char *const calls[] = { "report socket 2 1 0",
					     "report socket 10 2 17",
					     "report socket 1 1 0",
					     "report socket 16 3 0" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(calls); i++)
		EXPECT_EQ(answers(EACCES), ASK(calls[i], "127.0.0.1"));
}

TEST_F(user, activated_commands_have_no_use_for_other_sockets)
{
	const int connected = connect_from("127.0.0.1", 80);
	const int udp = make_socket(AF_INET, SOCK_DGRAM, 0);
	const int listener = listen_on(AF_INET, 0, 8080);

	ASSERT_LE(0, connected);
	ASSERT_LE(0, udp);
	ASSERT_LE(0, listener);
	EXPECT_EQ(answers(EACCES), ASK_WITH(connected, "report fd 2 send"));
	EXPECT_EQ(answers(EACCES), ASK_WITH(connected, "report fd 2 receive"));
	EXPECT_EQ(answers(EACCES), ASK_WITH(connected, "report fd 2 shutdown"));
	EXPECT_EQ(answers(EACCES),
		  ASK_WITH(udp, "report fd 2 send udp 127.0.0.1 443"));
	EXPECT_EQ(answers(EACCES), ASK_WITH(udp, "report fd 2 receive"));
	EXPECT_EQ(answers(EACCES), ASK_WITH(listener, "report fd 2 accept"));
}

TEST_F(user, activated_needs_a_socket_of_tcp)
{
	int usock[2];
	pid_t child;

	/* Nobody hands it a socket. */
	EXPECT_EQ(NOT_RUN, run(variant->activated, "answer"));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, usock));
	child = activate(variant->activated, "answer", usock[0], STDERR_FILENO);
	ASSERT_LE(0, child);
	EXPECT_EQ(NOT_RUN, wait_child(child));
}

/*
 * Runs @program, and writes what it says to @text.  Returns the exit status or a
 * negative errno.
 */
static int run_told(const char *program, const char *words, char *text,
		    size_t size)
{
	size_t len = 0;
	int pipes[2];
	pid_t child;
	ssize_t ret;

	if (pipe2(pipes, O_CLOEXEC))
		return -errno;
	child = start(program, words, pipes[1]);
	close(pipes[1]);
	if (child < 0)
		return child;
	while ((ret = read(pipes[0], text + len, size - 1 - len)) > 0)
		len += ret;
	close(pipes[0]);
	text[len] = '\0';
	return ret < 0 ? -EIO : wait_child(child);
}

/* Whether @text has the whole line @line. */
static bool has_line(const char *text, const char *line)
{
	const size_t len = strlen(line);

	for (; text; text = strchr(text, '\n')) {
		text += *text == '\n';
		if (!strncmp(text, line, len) && text[len] == '\n')
			return true;
	}
	return false;
}

/* Expects a line of what a program says, if it can run. */
#define EXPECT_LINE(text, line)						\
	do {								\
		const bool is_there = has_line(text, line);		\
									\
		EXPECT_TRUE(is_there || is_c_landlock())		\
			TH_LOG("no \"%s\" in:\n%s", line, text);		\
	} while (0)

TEST_F(user, learn_allows_and_tells)
{
	char text[1024];

	EXPECT_EQ(here(0), run_told(variant->learn,
				    "connect tcp 198.51.100.7 443", text,
				    sizeof(text)));
	EXPECT_LINE(text, "      1 create a socket (2, 1, 0)");
	EXPECT_LINE(text, "      1 connect TCP 198.51.100.7:443");

	EXPECT_EQ(here(0), run_told(variant->learn, "listen tcp ::1 8080", text,
				    sizeof(text)));
	EXPECT_LINE(text, "      1 create a socket (10, 1, 0)");
	EXPECT_LINE(text, "      1 bind TCP [::1]:8080");
	EXPECT_LINE(text, "      1 listen TCP [::1]:8080");

	/* A socket of UDP needs a port. */
	EXPECT_EQ(here(0), run_told(variant->learn, "send udp 127.0.0.1 53",
				    text, sizeof(text)));
	EXPECT_LINE(text, "      1 create a socket (2, 2, 0)");
	EXPECT_LINE(text, "      1 send UDP 127.0.0.1:53");
	EXPECT_LINE(text, "      1 bind UDP 0.0.0.0:0");
}

TEST_F(user, learn_counts)
{
	char text[1024];

	EXPECT_EQ(here(0), run_told(variant->learn,
				    "twice connect tcp 127.0.0.1 443", text,
				    sizeof(text)));
	EXPECT_LINE(text, "      2 create a socket (2, 1, 0)");
	EXPECT_LINE(text, "      2 connect TCP 127.0.0.1:443");
}

TEST_F(user, learn_accepts_what_it_would_refuse)
{
	char text[1024];
	int pipes[2];
	ssize_t len;

	ASSERT_EQ(0, close(self->listener));
	ASSERT_EQ(0, pipe2(pipes, O_CLOEXEC));
	EXPECT_EQ(here(0), run_for("198.51.100.7", variant->learn,
				   "serve tcp 0.0.0.0 8443", pipes[1]));
	EXPECT_EQ(0, close(pipes[1]));
	len = read(pipes[0], text, sizeof(text) - 1);
	ASSERT_LE(0, len);
	text[len] = '\0';
	/* Once for the listener, and once for the connection. */
	EXPECT_LINE(text, "      1 accept TCP *:8443");
	EXPECT_LINE(text, "      1 accept TCP 198.51.100.7:8443");
}

/* What another layer refuses stays refused, and is told as well. */
TEST_F(user, learn_frees_from_nothing)
{
	char text[1024];

	ASSERT_EQ(0, restrict_to_port(CONNECT_TCP, 443, CONNECT_TCP));
	EXPECT_EQ(here(EACCES), run_told(variant->learn,
					 "connect tcp 127.0.0.1 80", text,
					 sizeof(text)));
	EXPECT_LINE(text, "      1 connect TCP 127.0.0.1:80");
	EXPECT_EQ(here(0), run_told(variant->learn, "connect tcp 127.0.0.1 443",
				    text, sizeof(text)));
	EXPECT_LINE(text, "      1 connect TCP 127.0.0.1:443");
}

TEST_F(user, learn_ends_as_the_command)
{
	EXPECT_EQ(here(EBADF), run(variant->learn, "close 99"));
	EXPECT_EQ(here(128 + SIGKILL), run(variant->learn, "die"));
}

/* Whether @text has one line, which tells of a thread's @refusal. */
static bool tells(const char *text, const char *refusal)
{
	char line[64];
	int tid, end = 0;

	if (sscanf(text, "thread %d: %n", &tid, &end) != 1 || tid <= 1)
		return false;
	snprintf(line, sizeof(line), "%s\n", refusal);
	return end && !strcmp(text + end, line);
}

#define EXPECT_TOLD(text, refusal)					\
	do {								\
		const bool is_told = tells(text, refusal);		\
									\
		EXPECT_TRUE(is_told || is_c_landlock())			\
			TH_LOG("not \"%s\":\n%s", refusal, text);	\
	} while (0)

TEST_F(user, watch_lets_connect_to_its_port)
{
	char text[1024];

	EXPECT_EQ(here(0), run_told(variant->watch,
				    "connect tcp 198.51.100.7 443", text,
				    sizeof(text)));
	EXPECT_TRUE(is_c_landlock() || !*text)
		TH_LOG("%s", text);
	EXPECT_EQ(here(0), run_told(variant->watch, "connect tcp ::1 443", text,
				    sizeof(text)));
	EXPECT_TRUE(is_c_landlock() || !*text)
		TH_LOG("%s", text);
}

TEST_F(user, watch_tells_what_is_refused)
{
	char text[1024];

	EXPECT_EQ(here(EACCES), run_told(variant->watch,
					 "connect tcp 198.51.100.7 80", text,
					 sizeof(text)));
	EXPECT_TOLD(text, "connect TCP 198.51.100.7:80");
	EXPECT_EQ(here(EACCES), run_told(variant->watch, "connect tcp ::1 80",
					 text, sizeof(text)));
	EXPECT_TOLD(text, "connect TCP [::1]:80");
	EXPECT_EQ(here(EACCES), run_told(variant->watch,
					 "bind tcp 127.0.0.1 8080", text,
					 sizeof(text)));
	EXPECT_TOLD(text, "bind TCP 127.0.0.1:8080");
	EXPECT_EQ(here(EACCES), run_told(variant->watch,
					 "listen_unbound tcp 0.0.0.0 0", text,
					 sizeof(text)));
	EXPECT_TOLD(text, "listen TCP 0.0.0.0:0");
	EXPECT_EQ(here(EACCES), run_told(variant->watch,
					 "send udp 127.0.0.1 53", text,
					 sizeof(text)));
	EXPECT_TOLD(text, "send UDP 127.0.0.1:53");
}

TEST_F(user, watch_counts_what_is_lost)
{
	static char text[1 << 17];
	unsigned long lost, total = 0, all_lost = 0;
	const char *line;

	EXPECT_EQ(here(EACCES), run_told(variant->watch,
					 "flood connect tcp 127.0.0.1 80", text,
					 sizeof(text)));
	if (is_c_landlock())
		return;
	for (line = text; *line; line = strchr(line, '\n') + 1) {
		if (sscanf(line, "lost refusals: %lu", &lost) == 1)
			all_lost += lost;
		else
			total++;
		ASSERT_NE(NULL, strchr(line, '\n'));
	}
	EXPECT_LT(0, all_lost);
	EXPECT_EQ(FLOOD, total + all_lost);
}

TEST_F(user, watch_ends_as_the_command)
{
	EXPECT_EQ(here(EBADF), run(variant->watch, "close 99"));
	EXPECT_EQ(here(128 + SIGKILL), run(variant->watch, "die"));
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "call"))
		return call(argv + 2);
	return test_harness_run(argc, argv);
}
