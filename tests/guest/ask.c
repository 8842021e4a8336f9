// SPDX-License-Identifier: GPL-2.0
/*
 * ask WHAT...: makes a call and prints the name of its error, or "success".
 *
 * The shell of the guest cannot make these calls.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../tools/testing/selftests/portlock/ring.h"

static int result(long ret)
{
	puts(ret < 0 ? strerrorname_np(errno) : "success");
	return 0;
}

static int kind(char *argv[])
{
	return result(socket(atoi(argv[0]), atoi(argv[1]), atoi(argv[2])));
}

static int pair(char *argv[])
{
	int fds[2];

	return result(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
}

static int key(char *argv[])
{
	return result(syscall(SYS_request_key, "user", "portlock", NULL, 0));
}

static int new_key(char *argv[])
{
	return result(syscall(SYS_add_key, "user", "portlock", "x", 1, -1));
}

/* Makes a request of the terminal, or of what standard input is. */
static int control(char *argv[])
{
	return result(syscall(SYS_ioctl, 0, strtoul(argv[0], NULL, 0), "x"));
}

/* A name that begins with @ is one of the abstract namespace. */
static int unix_call(char *argv[], int (*call)(int fd, const struct sockaddr *,
					       socklen_t))
{
	struct sockaddr_un addr = {
		.sun_family = AF_UNIX,
	};
	const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	const socklen_t len = offsetof(struct sockaddr_un, sun_path) +
			      strlen(argv[0]);

	strncpy(addr.sun_path, argv[0], sizeof(addr.sun_path) - 1);
	if (addr.sun_path[0] == '@')
		addr.sun_path[0] = 0;
	if (fd < 0 || call(fd, (struct sockaddr *)&addr, len))
		return result(-1);
	return fd;
}

static int reach(char *argv[])
{
	return unix_call(argv, connect) ? result(0) : 0;
}

/* Accepts whoever comes, until it is killed. */
static int offer(char *argv[])
{
	const int fd = unix_call(argv, bind);

	if (!fd || listen(fd, 8))
		return 1;
	for (;;)
		close(accept(fd, NULL, NULL));
}

static struct sockaddr_in ipv4(const char *address, const char *port)
{
	struct sockaddr_in addr = {
		.sin_family = AF_INET,
		.sin_port = htons(atoi(port)),
	};

	inet_pton(AF_INET, address, &addr.sin_addr);
	return addr;
}

/* Sends a datagram to an address and port. */
static int datagram(char *argv[])
{
	const struct sockaddr_in addr = ipv4(argv[0], argv[1]);
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);

	return result(fd < 0 ? -1 : sendto(fd, "x", 1, 0,
					   (struct sockaddr *)&addr,
					   sizeof(addr)));
}

/* Ties a TCP socket to the loopback interface. */
static int device(char *argv[])
{
	const int fd = socket(AF_INET, SOCK_STREAM, 0);

	return result(fd < 0 ? -1 : setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE,
					       "lo", 3));
}

/* Listens on a port of the kernel's choice, without bind(2). */
static int unbound(char *argv[])
{
	const int fd = socket(AF_INET, SOCK_STREAM, 0);

	return result(fd < 0 ? -1 : listen(fd, 1));
}

/* Reads more of a text. Returns 0 at its end. */
static int more(int fd, char *text, size_t size)
{
	const size_t len = strlen(text);
	const ssize_t got = read(fd, text + len, size - 1 - len);

	if (got <= 0)
		return 0;
	text[len + got] = 0;
	return 1;
}

/* Becomes a program with these as its first file descriptors. */
static void become(int in, int out, int err, char *argv[])
{
	dup2(in, 0);
	dup2(out, 1);
	dup2(err, 2);
	execvp(argv[0], argv);
	_exit(1);
}

/*
 * Runs a program as the leader of a session on a terminal. When it is ready,
 * presses ^C, or takes the terminal away.
 */
static int terminal(char *argv[])
{
	const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	const int hangs_up = !strcmp(argv[0], "hangup");
	char all[512] = "";
	int status, slave, pressed = 0;
	pid_t pid;

	if (master < 0 || unlockpt(master))
		return result(-1);
	alarm(20);
	pid = fork();
	if (!pid) {
		setsid();
		slave = open(ptsname(master), O_RDWR);
		become(slave, slave, slave, argv + 1);
	}
	while (more(master, all, sizeof(all)))
		if (!pressed && strstr(all, "ready"))
			pressed = hangs_up ? !close(master) :
					     write(master, "\x03", 1);
	waitpid(pid, &status, 0);
	printf("%sstatus %d\n", all, WEXITSTATUS(status));
	return 0;
}

/*
 * Runs a program as a shell runs a job, on a terminal. When it is ready,
 * presses the key ^Z, if that is asked for, and enter. When the job stops,
 * continues all its processes, or only the first one.
 */
static int job(char *argv[])
{
	const int master = posix_openpt(O_RDWR | O_NOCTTY);
	const char *keys = strcmp(argv[0], "^Z") ? "\n" : "\x1a\n";
	const int one = !strcmp(argv[1], "one");
	char all[512] = "";
	int status, slave, stops = 0;
	pid_t pid;

	/* The first of its session gets the terminal. */
	if (setsid() < 0 || master < 0 || unlockpt(master) ||
	    (slave = open(ptsname(master), O_RDWR)) < 0)
		return result(-1);
	alarm(20);
	pid = fork();
	if (!pid) {
		setpgid(0, 0);
		signal(SIGTTOU, SIG_IGN);
		tcsetpgrp(slave, getpid());
		signal(SIGTTOU, SIG_DFL);
		become(slave, slave, slave, argv + 2);
	}
	while (!strstr(all, "ready") && more(master, all, sizeof(all)))
		;
	if (write(master, keys, strlen(keys)) < 0)
		return result(-1);
	while (waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status)) {
		stops++;
		kill(one ? pid : -pid, SIGCONT);
	}
	printf("stopped %d times, status %d\n", stops, WEXITSTATUS(status));
	return 0;
}

/* Prints the number of each signal that it gets. The last one is SIGTERM. */
static int catch(char *argv[])
{
	sigset_t all;
	int signal;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	puts("ready");
	do {
		fflush(stdout);
		signal = sigwaitinfo(&all, NULL);
		printf("%d\n", signal);
	} while (signal != SIGTERM);
	return 0;
}

/*
 * Runs "catch" by a program, and sends that every signal but those of faults,
 * those of libc, and SIGCHLD, SIGKILL and SIGSTOP. The last one is SIGTERM.
 */
static int signals(char *argv[])
{
	static const int others[] = { SIGILL,  SIGTRAP, SIGBUS, SIGFPE,
				      SIGSEGV, SIGSYS,	SIGCHLD, SIGKILL,
				      SIGSTOP, SIGTERM, 32,	33 };
	char line[64] = "";
	int fds[2], count = 0;
	struct pollfd in;
	pid_t pid;

	if (pipe(fds))
		return result(-1);
	pid = fork();
	if (!pid) {
		setsid();
		become(0, fds[1], 2, argv);
	}
	in.fd = fds[0];
	in.events = POLLIN;
	if (read(in.fd, line, sizeof(line)) < 0)
		return result(-1);
	for (int signal = 1; signal <= SIGRTMAX + 1; signal++) {
		const int last = signal > SIGRTMAX;
		const int now = last ? SIGTERM : signal;
		int is_other = 0;

		for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
			is_other |= signal == others[i];
		if (is_other)
			continue;
		memset(line, 0, sizeof(line));
		kill(pid, now);
		if (poll(&in, 1, 5000) != 1 ||
		    read(in.fd, line, sizeof(line) - 1) < 0 ||
		    atoi(line) != now || strchr(line, '\n')[1]) {
			printf("%d: \"%s\"\n", now, line);
			kill(-pid, SIGKILL);
			return 0;
		}
		count++;
	}
	waitpid(pid, NULL, 0);
	printf("%d signals, each once\n", count);
	return 0;
}

/* Becomes a program that gets SIGALRM in a second. */
static int later(char *argv[])
{
	alarm(1);
	execvp(argv[0], argv);
	return result(-1);
}

/*
 * Makes a child that sends a signal to the whole process group, and prints how
 * often that comes.
 */
static int group(char *argv[])
{
	/* These are counted, even if they come at once. */
	const int signal = SIGRTMIN + 1;
	const struct timespec second = {
		.tv_sec = 1,
	};
	sigset_t set;
	int times = 0;

	sigemptyset(&set);
	sigaddset(&set, signal);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (!fork())
		_exit(kill(0, signal));
	while (sigtimedwait(&set, NULL, &second) == signal)
		times++;
	printf("came %d times\n", times);
	return 0;
}

/* Is refused that many times, as fast as it can. */
static int many(char *argv[])
{
	int refused = 0;

	for (int left = atoi(argv[0]); left > 0; left--)
		refused += socket(AF_PACKET, SOCK_RAW, 0) < 0 && errno == EACCES;
	printf("refused %d\n", refused);
	return 0;
}

/* Becomes a program that has a listening socket as its descriptor 3. */
static int pass(char *argv[])
{
	const struct sockaddr_in addr = ipv4("0.0.0.0", argv[0]);
	const int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(fd, 1) || (fd != 3 && dup2(fd, 3) < 0))
		return result(-1);
	execvp(argv[1], argv + 1);
	return result(-1);
}

/* Becomes a program that has a connected socket as its descriptor argv[1]. */
static int inherit(char *argv[])
{
	const struct sockaddr_in addr = ipv4("127.0.0.1", "9999");
	const int fd = atoi(argv[1]);
	int fds[2];

	if (strcmp(argv[0], "udp")) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
			return result(-1);
	} else {
		fds[0] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (connect(fds[0], (const struct sockaddr *)&addr,
			    sizeof(addr)))
			return result(-1);
	}
	if (dup2(fds[0], fd) < 0 || fcntl(fd, F_SETFD, 0))
		return result(-1);
	execvp(argv[2], argv + 2);
	return result(-1);
}

/* Sends a byte to the peer of the descriptor 3. */
static int say(char *argv[])
{
	return result(send(3, "x", 1, 0));
}

/* Serves one client of the descriptor 3. */
static int serve(char *argv[])
{
	const int fd = accept(3, NULL, NULL);
	char request[64];

	if (fd < 0 || read(fd, request, sizeof(request)) < 0 ||
	    write(fd, "passed-on", 9) != 9 || shutdown(fd, SHUT_WR))
		return result(-1);
	return result(0);
}

static int connected(const char *const address, const char *const port)
{
	const struct sockaddr_in addr = ipv4(address, port);
	const int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd >= 0 && connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return -1;
	return fd;
}

/*
 * Runs a program whose descriptor 3 is an AF_UNIX socket, and passes a
 * connection to it.
 */
static int hand(char *argv[])
{
	int pair[2], fd;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return result(-1);
	if (!fork()) {
		dup2(pair[1], 3);
		execvp(argv[2], argv + 2);
		_exit(1);
	}
	fd = connected(argv[0], argv[1]);
	if (fd < 0 || send_descriptor(pair[0], fd))
		return result(-1);
	wait(NULL);
	return 0;
}

/* Uses the connection that hand passes. */
static int handed(char *argv[])
{
	const int fd = receive_descriptor(3);

	if (fd < 0)
		return result(-1);
	return result(write(fd, "GET", 3));
}

/* Connects through io_uring. */
static int ring(char *argv[])
{
	const struct sockaddr_in addr = ipv4(argv[0], argv[1]);
	const int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct io_uring_sqe sqe;
	struct ring ring;
	int ret;

	ret = open_ring(&ring, 0);
	if (!ret) {
		fill(&sqe, (struct way){}, IORING_OP_CONNECT, fd);
		sqe.addr = (uintptr_t)&addr;
		sqe.off = sizeof(addr);
		ret = run_request(&ring, &sqe);
	}
	errno = -ret;
	return result(ret);
}

/* Joins a multicast group on loopback. */
static int join(char *argv[])
{
	const struct ip_mreqn group = {
		.imr_multiaddr.s_addr = htonl(0xef010203),
		.imr_ifindex = 1,
	};
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);

	return result(fd < 0 ? -1 : setsockopt(fd, IPPROTO_IP,
					       IP_ADD_MEMBERSHIP, &group,
					       sizeof(group)));
}

/* Becomes the debugger of a process. */
static int trace(char *argv[])
{
	return result(ptrace(PTRACE_SEIZE, atoi(argv[0]), NULL, NULL));
}

/* Enters the user and network namespace of a process. */
static int enter(char *argv[])
{
	const int pid = syscall(SYS_pidfd_open, atoi(argv[0]), 0);

	return result(pid < 0 ? -1 :
				setns(pid, CLONE_NEWUSER | CLONE_NEWNET));
}

/* Takes a descriptor from a process. */
static int steal(char *argv[])
{
	const int pid = syscall(SYS_pidfd_open, atoi(argv[0]), 0);

	return result(pid < 0 ? -1 : syscall(SYS_pidfd_getfd, pid,
					     atoi(argv[1]), 0));
}

/* Gets a page from a web server, and prints it. */
static int get(char *argv[])
{
	static const char request[] = "GET /hello HTTP/1.0\r\n\r\n";
	struct sockaddr_in in = {
		.sin_family = AF_INET,
		.sin_port = htons(atoi(argv[1])),
	};
	struct sockaddr_in6 in6 = {
		.sin6_family = AF_INET6,
		.sin6_port = in.sin_port,
	};
	const int is_inet6 = inet_pton(AF_INET, argv[0], &in.sin_addr) != 1;
	const int fd = socket(is_inet6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0);
	char answer[512];
	ssize_t len;

	inet_pton(AF_INET6, argv[0], &in6.sin6_addr);
	if (fd < 0 ||
	    connect(fd, is_inet6 ? (void *)&in6 : (void *)&in,
		    is_inet6 ? sizeof(in6) : sizeof(in)) ||
	    write(fd, request, strlen(request)) < 0) {
		result(-1);
		return 1;
	}
	while ((len = read(fd, answer, sizeof(answer))) > 0)
		fwrite(answer, 1, len, stdout);
	return len < 0 ? !result(-1) : 0;
}

static const struct {
	const char *name;
	/* -1 is two or more. */
	int words;
	int (*call)(char *argv[]);
} calls[] = {
	{ "kind", 3, kind },	     { "pair", 0, pair },
	{ "key", 0, key },	     { "new_key", 0, new_key },
	{ "reach", 1, reach },	     { "offer", 1, offer },
	{ "datagram", 2, datagram }, { "get", 2, get },
	{ "many", 1, many },	     { "pass", -1, pass },
	{ "serve", 0, serve },	     { "device", 0, device },
	{ "unbound", 0, unbound },   { "terminal", -1, terminal },
	{ "job", -1, job },	     { "catch", 0, catch },
	{ "signals", -1, signals },  { "group", 0, group },
	{ "alarm", -1, later },
	{ "inherit", -1, inherit },  { "say", 0, say },
	{ "control", 1, control },
	{ "hand", -1, hand },	     { "handed", 0, handed },
	{ "ring", 2, ring },	     { "join", 0, join },
	{ "trace", 1, trace },	     { "steal", 2, steal },
	{ "enter", 1, enter },
};

int main(int argc, char *argv[])
{
	for (size_t i = 0; argc > 1 && i < sizeof(calls) / sizeof(calls[0]); i++)
		if (!strcmp(argv[1], calls[i].name) &&
		    (argc == calls[i].words + 2 ||
		     (calls[i].words < 0 && argc > 3)))
			return calls[i].call(argv + 2);
	fprintf(stderr, "ask: unknown call\n");
	return 1;
}
