// SPDX-License-Identifier: GPL-2.0
/*
 * Runs one network operation and prints the result in one line: "ok", or the
 * error as "EACCES 13 Permission denied".
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static const char greeting[] = "hello\n";

static int report(const int err)
{
	if (!err) {
		puts("ok");
		return EXIT_SUCCESS;
	}
	printf("%s %d %s\n", strerrorname_np(err), err, strerror(err));
	return EXIT_FAILURE;
}

static struct sockaddr_in loopback(const char *const port)
{
	const struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(atoi(port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	return address;
}

static int open_socket(const int type)
{
	const int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	const int one = 1;

	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return fd;
}

static int try_bind(const int type, const char *const port)
{
	const struct sockaddr_in address = loopback(port);
	const int fd = open_socket(type);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)))
		return errno;
	close(fd);
	return 0;
}

/*
 * ECONNREFUSED means that the sandbox allowed the connection, and that nobody
 * listens.
 */
static int try_connect(const char *const port)
{
	const struct sockaddr_in address = loopback(port);
	const struct timeval patience = { .tv_sec = 10 };
	const int fd = open_socket(SOCK_STREAM);
	char answer[sizeof(greeting) - 1];

	if (fd < 0)
		return errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)))
		return errno;
	if (recv(fd, answer, sizeof(answer), MSG_WAITALL) != sizeof(answer))
		return errno ? errno : EPROTO;
	close(fd);
	return memcmp(answer, greeting, sizeof(answer)) ? EPROTO : 0;
}

static int try_send(const char *const from, const char *const to)
{
	const struct sockaddr_in local = loopback(from), remote = loopback(to);
	const int fd = open_socket(SOCK_DGRAM);

	if (fd < 0)
		return errno;
	if (strcmp(from, "0") && bind(fd, (const struct sockaddr *)&local, sizeof(local)))
		return errno;
	if (sendto(fd, greeting, sizeof(greeting) - 1, 0, (const struct sockaddr *)&remote,
		   sizeof(remote)) < 0)
		return errno;
	close(fd);
	return 0;
}

/*
 * Greets every client. The parent returns when the socket listens, so that no
 * client comes too early.
 */
static int serve(const char *const port)
{
	const struct sockaddr_in address = loopback(port);
	const int fd = open_socket(SOCK_STREAM);
	pid_t child;

	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) || listen(fd, 8))
		return errno;
	child = fork();
	if (child)
		return child < 0 ? errno : 0;

	/*
	 * A reader of the parent's output must not wait until this process
	 * ends.
	 */
	close(STDOUT_FILENO);
	close(STDERR_FILENO);
	for (;;) {
		const int client = accept(fd, NULL, NULL);

		if (client < 0)
			_exit(EXIT_FAILURE);
		send(client, greeting, sizeof(greeting) - 1, MSG_NOSIGNAL);
		close(client);
	}
}

int main(const int argc, char *const argv[])
{
	if (argc == 3 && !strcmp(argv[1], "serve"))
		return report(serve(argv[2]));
	if (argc == 3 && !strcmp(argv[1], "tcp-bind"))
		return report(try_bind(SOCK_STREAM, argv[2]));
	if (argc == 3 && !strcmp(argv[1], "udp-bind"))
		return report(try_bind(SOCK_DGRAM, argv[2]));
	if (argc == 3 && !strcmp(argv[1], "tcp-connect"))
		return report(try_connect(argv[2]));
	if (argc == 4 && !strcmp(argv[1], "udp-send"))
		return report(try_send(argv[2], argv[3]));

	fprintf(stderr,
		"usage: %1$s serve PORT | tcp-bind PORT | udp-bind PORT | tcp-connect PORT | "
		"udp-send FROM_PORT TO_PORT\n"
		"Everything is on 127.0.0.1.\n",
		argv[0]);
	return 2;
}
