// SPDX-License-Identifier: GPL-2.0
/*
 * Executes programs of system calls and prints what each call returned.
 *
 *   fuzz FILE
 *
 * tests/harness/fuzz.py writes FILE.  It contains programs, with one operation
 * in each line:
 *
 *   program 12 [trace] [observe]
 *   0 ruleset 0 48 0 0 0 3 0 0 0 0 0
 *   1 restrict 0 0
 *   end
 *
 * The first number of an operation is the thread that runs it.  Thread 0 is the
 * first thread of the process.  Others are created when they are first used.
 * Each program runs in its own process and network namespace.
 *
 * The output for each program begins with "= NUMBER".  Then comes a line for
 * each operation that was reached, in their order: its place and its result (a
 * number that is not negative, or a negative errno).  With "trace", Landlock's
 * trace events follow, each after a "|".  Last comes "! STATUS" with the wait
 * status of the process.
 *
 * With "observe", a line "~ STATE" comes before the result of an operation on a
 * socket.  It says what was known of the socket before the operation, for
 * tests/spec/predict.rs.  A line "+ STATE" says what was known after it of the
 * socket that it made or connected.
 *
 * Operations name descriptors by slots.  No operation waits for long: sockets
 * do not block, and a program that does not end is killed.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/if_tun.h>
#include <linux/landlock.h>
#include <linux/portlock.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define MAX_OPS 1024
#define MAX_ARGS 16
#define MAX_THREADS 4
#define MAX_DEPTH 8
#define SLOTS 16
#define FIRST_SLOT_FD 100
#define SHARED_FD 121
#define WATCHER_FD 122
#define MAX_TEXT (MAX_OPS * 128)
#define PATIENCE_SECONDS 20
#define LEISURE_MICROSECONDS 5000
#define EVENTS "/sys/kernel/tracing/events/landlock/enable"
#define TRACE "/sys/kernel/tracing/trace"
#define PLAYGROUND "/tmp/fuzz"

/*
 * Memory that all processes of a program share.  Results of a killed process
 * stay.
 */
struct shared {
	struct {
		int64_t value;
		int64_t reached;
		char state[256], after[256];
	} result[MAX_OPS];
	char text[MAX_TEXT];
};

struct op {
	int thread;
	const struct kind *kind;
	int count;
	uint64_t arg[MAX_ARGS];
};

struct kind {
	const char *name;
	int64_t (*run)(const uint64_t *arg);
	/* Whether the first argument is the slot of a socket. */
	bool has_socket;
	/* Which argument, from 1, is the slot of what it makes or connects. */
	int changed;
};

/* What a process of a program asks its watcher: see watch(). */
struct request {
	pid_t pid;
	int at;
	bool is_after;
};

static struct op ops[MAX_OPS];
static int op_count;
static struct shared *shared;
/* The next operation, and the first one that this process does not run. */
static int next_op, end_op;

/*
 * Whether a program uses MPTCP, which does much of its work in a kernel thread.
 * After each operation, the program then waits for this thread.  Otherwise the
 * results would depend on which is faster.
 */
static bool is_leisurely;

/* Whether the state of sockets is told. */
static bool is_observed;

/*
 * The network namespaces of a program that is observed, and their cookies.  It
 * begins in the first one.  The second one is there if an operation enters it.
 */
static bool has_second_network;
static int networks[2];
static uint64_t network_cookies[2];

/* The end of a page.  The next page is not mapped. */
static char *edge;

static void die(const char *const what)
{
	fprintf(stderr, "fuzz: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static int64_t answer(const int64_t ret)
{
	return ret < 0 ? -errno : ret;
}

/* Slots */

static int fd_of(const uint64_t slot)
{
	static const int odd[] = { -1, 99999, INT_MIN, AT_FDCWD };

	if (slot < SLOTS)
		return FIRST_SLOT_FD + slot;
	return odd[slot % ARRAY_SIZE(odd)];
}

/*
 * Moves a new descriptor to its slot.  Returns its first number, which shows
 * whether an operation before left a descriptor open.
 */
static int64_t keep(const int fd, const uint64_t slot)
{
	int flags;

	if (fd < 0)
		return -errno;
	flags = fcntl(fd, F_GETFD);
	dup3(fd, FIRST_SLOT_FD + slot % SLOTS,
	     flags & FD_CLOEXEC ? O_CLOEXEC : 0);
	close(fd);
	return fd | (flags & FD_CLOEXEC ? 1 << 16 : 0);
}

/* Copies @size bytes to the place that @how selects. */
static void *place(const void *const bytes, const size_t size,
		   const uint64_t how)
{
	static __thread char buffer[8192];

	switch (how) {
	case 1:
		return NULL;
	case 2:
		return (void *)1;
	case 3:
		/* All bytes are mapped, and no byte after them. */
		memcpy(edge - size, bytes, size);
		return edge - size;
	case 4:
		/* The last byte is not mapped. */
		memcpy(edge - size + 1, bytes, size ? size - 1 : 0);
		return edge - size + 1;
	default:
		memcpy(buffer, bytes, size);
		return buffer;
	}
}

/*
 * Addresses take six arguments: layout, family, host, port, length, place.  Or
 * layout 3, their bytes as four numbers, and the length.
 */

union address {
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
	char bytes[256];
};

static void *address_of(const uint64_t *const arg, socklen_t *const len)
{
	static const char *const hosts4[] = {
		"127.0.0.1", "0.0.0.0", "192.0.2.1", "127.0.0.2", "224.0.0.1",
		"255.255.255.255",
	};
	static const char *const hosts6[] = {
		"::1", "::", "::ffff:127.0.0.1", "2001:db8::1",
		"::ffff:0.0.0.0", "fe80::1",
	};
	union address address = {};

	if (arg[0] == 3) {
		memcpy(address.bytes, arg + 1, 4 * sizeof(*arg));
		*len = arg[5];
		return place(&address, *len <= 256 ? *len : 128, 0);
	}
	switch (arg[0]) {
	case 0:
		inet_pton(AF_INET, hosts4[arg[2] % 6], &address.in.sin_addr);
		address.in.sin_port = htons(arg[3]);
		/* Padding says nothing. */
		memset(address.in.sin_zero, arg[3] & 1 ? 0xff : 0,
		       sizeof(address.in.sin_zero));
		break;
	case 1:
		inet_pton(AF_INET6, hosts6[arg[2] % 6],
			  &address.in6.sin6_addr);
		address.in6.sin6_port = htons(arg[3]);
		address.in6.sin6_scope_id = arg[2] == 5;
		break;
	default:
		/* Abstract, or a path in the playground. */
		snprintf(address.un.sun_path + (arg[2] & 1),
			 sizeof(address.un.sun_path) - 1, PLAYGROUND "/%u",
			 (unsigned int)arg[3]);
	}
	address.in.sin_family = arg[1];
	*len = arg[4];
	return place(&address, (int)*len > 0 && *len <= 256 ? *len : 128,
		     arg[5]);
}

/* Landlock */

static int64_t op_ruleset(const uint64_t *const arg)
{
	struct {
		uint64_t field[6];
		char rest[8192 - 6 * sizeof(uint64_t)];
	} attr = {};
	const uint64_t size = arg[1];

	for (int i = 0; i < 6; i++)
		attr.field[i] = arg[4 + i];
	/* A byte after the fields that the kernel knows. */
	if (arg[10])
		attr.rest[arg[10] % 64] = 1;
	return keep(syscall(__NR_landlock_create_ruleset,
			    place(&attr, size < sizeof(attr) ? size : 64,
				  arg[3]),
			    size, (uint32_t)arg[2]),
		    arg[0]);
}

/* create_ruleset() with flags that ask for information. */
static int64_t op_about(const uint64_t *const arg)
{
	return answer(syscall(__NR_landlock_create_ruleset,
			      (void *)(arg[0] ? 1UL : 0UL), arg[1],
			      (uint32_t)arg[2]));
}

static int64_t op_port(const uint64_t *const arg)
{
	const struct landlock_net_port_attr attr = {
		.allowed_access = arg[4],
		.port = arg[5],
	};

	return answer(syscall(__NR_landlock_add_rule, fd_of(arg[0]),
			      (uint32_t)arg[2],
			      place(&attr, sizeof(attr), arg[3]),
			      (uint32_t)arg[1]));
}

/* Extended rulesets */

static int64_t op_extended(const uint64_t *const arg)
{
	struct {
		struct portlock_ruleset_attr attr;
		char rest[8192 - sizeof(struct portlock_ruleset_attr)];
	} attr = {
		.attr = {
			.handled_access_net = arg[4],
			.quiet_access_net = arg[5],
			.handled_permissions = arg[6],
			.flags = arg[7],
			.observer_fd = arg[8],
			.observer_cookie = arg[9],
		},
	};
	const uint64_t size = arg[1];

	/* A byte after the fields that the kernel knows. */
	if (arg[10])
		attr.rest[arg[10] % 64] = 1;
	return keep(syscall(__NR_landlock_create_ruleset,
			    place(&attr, size < sizeof(attr) ? size : 64,
				  arg[3]),
			    size, (uint32_t)arg[2]),
		    arg[0]);
}

static int64_t op_net(const uint64_t *const arg)
{
	struct portlock_net_attr attr = {
		.allowed_access = arg[3],
		.port_first = arg[4],
		.port_last = arg[5],
		.family = arg[6],
		.prefix_len = arg[7],
		.ifindex = arg[10],
		.reserved = arg[11],
	};

	memcpy(attr.address, arg + 8, sizeof(attr.address));
	return answer(syscall(__NR_landlock_add_rule, fd_of(arg[0]),
			      PORTLOCK_RULE_NET,
			      place(&attr, sizeof(attr), arg[2]),
			      (uint32_t)arg[1]));
}

static int64_t op_kind(const uint64_t *const arg)
{
	const struct portlock_socket_attr attr = {
		.permissions = arg[3],
		.family = arg[4],
		.type = arg[5],
		.protocol = arg[6],
		.reserved = arg[7],
	};

	return answer(syscall(__NR_landlock_add_rule, fd_of(arg[0]),
			      PORTLOCK_RULE_SOCKET,
			      place(&attr, sizeof(attr), arg[2]),
			      (uint32_t)arg[1]));
}

/* A rule about a socket. */
static int64_t op_opened(const uint64_t *const arg)
{
	const struct portlock_opened_attr attr = {
		.allowed_access = arg[4],
		.fd = fd_of(arg[0]),
		.reserved = arg[5],
	};

	return answer(syscall(__NR_landlock_add_rule, fd_of(arg[1]),
			      PORTLOCK_RULE_OPENED,
			      place(&attr, sizeof(attr), arg[3]),
			      (uint32_t)arg[2]));
}

/*
 * Reads a record of an observer, and returns a number that tells it from others:
 * all of it but the thread and the number of the record, which only has to be
 * greater than the last one.  tests/spec/predict.rs computes the same.
 */
static int64_t op_event(const uint64_t *const arg)
{
	const int fd = fd_of(arg[0]);
	struct portlock_event event;
	uint64_t words[12], hash = 0xcbf29ce484222325;
	ssize_t ret;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	ret = read(fd, &event, sizeof(event));
	if (ret != sizeof(event))
		return answer(ret);
	words[0] = event.flags;
	words[1] = event.lost;
	words[2] = event.cookie;
	words[3] = event.access_net;
	words[4] = event.permissions;
	words[5] = (uint32_t)event.family;
	words[6] = (uint32_t)event.type;
	words[7] = (uint32_t)event.protocol;
	words[8] = event.port;
	words[9] = event.address_family;
	memcpy(words + 10, event.address, sizeof(event.address));
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		hash = (hash ^ words[i]) * 0x100000001b3;
	/* A number that is not an error, and not the end. */
	hash = (hash & INT64_MAX) | 1;
	return event.size == sizeof(event) && event.id && event.tid ? hash : 2;
}

static int64_t op_path(const uint64_t *const arg)
{
	const struct landlock_path_beneath_attr attr = {
		.allowed_access = arg[3],
		.parent_fd = fd_of(arg[4]),
	};

	return answer(syscall(__NR_landlock_add_rule, fd_of(arg[0]),
			      LANDLOCK_RULE_PATH_BENEATH,
			      place(&attr, sizeof(attr), arg[2]),
			      (uint32_t)arg[1]));
}

static int64_t op_restrict(const uint64_t *const arg)
{
	return answer(syscall(__NR_landlock_restrict_self, fd_of(arg[0]),
			      (uint32_t)arg[1]));
}

/* Privileges, only of the calling thread */

static int64_t op_nnp(const uint64_t *const arg)
{
	return answer(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

static int64_t op_has_nnp(const uint64_t *const arg)
{
	return answer(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

static int64_t op_uid(const uint64_t *const arg)
{
	return answer(syscall(__NR_setresuid, (uid_t)arg[0], (uid_t)arg[0],
			      (uid_t)arg[0]));
}

static int64_t op_drop_caps(const uint64_t *const arg)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2] = {};

	return answer(syscall(__NR_capset, &head, data));
}

static int64_t op_user_namespace(const uint64_t *const arg)
{
	return answer(unshare(CLONE_NEWUSER));
}

/* Sockets */

/* A reset connection leaves no state that the next program could find. */
static void reset_on_close(const int fd)
{
	const struct linger linger = { .l_onoff = 1 };
	const int error = errno;

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	errno = error;
}

static int64_t op_socket(const uint64_t *const arg)
{
	const int fd = socket(arg[1], (int)arg[2] | SOCK_NONBLOCK, arg[3]);

	if (!is_observed)
		reset_on_close(fd);
	return keep(fd, arg[0]);
}

static int64_t op_pair(const uint64_t *const arg)
{
	int fds[2];

	if (socketpair(arg[2], (int)arg[3] | SOCK_NONBLOCK, arg[4], fds))
		return -errno;
	keep(fds[0], arg[0]);
	keep(fds[1], arg[1]);
	return fds[0];
}

static int64_t op_bind(const uint64_t *const arg)
{
	socklen_t len;
	const void *const address = address_of(arg + 1, &len);

	return answer(bind(fd_of(arg[0]), address, len));
}

static int64_t op_connect(const uint64_t *const arg)
{
	socklen_t len;
	const void *const address = address_of(arg + 1, &len);

	return answer(connect(fd_of(arg[0]), address, len));
}

static int64_t op_sendto(const uint64_t *const arg)
{
	socklen_t len;
	const void *const address = address_of(arg + 3, &len);

	return answer(sendto(fd_of(arg[0]), "portlock", arg[2] % 9,
			     (int)arg[1] | MSG_DONTWAIT | MSG_NOSIGNAL,
			     address, len));
}

static int64_t op_sendmsg(const uint64_t *const arg)
{
	struct iovec part = { "portlock", arg[2] % 9 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	message.msg_name = address_of(arg + 3, &message.msg_namelen);
	return answer(sendmsg(fd_of(arg[0]), &message,
			      (int)arg[1] | MSG_DONTWAIT | MSG_NOSIGNAL));
}

/* Four messages: two to each of two addresses. */
static int64_t op_sendmmsg(const uint64_t *const arg)
{
	struct iovec part = { "portlock", arg[2] % 9 };
	struct mmsghdr messages[4] = {};
	char names[2][256];

	for (int i = 0; i < 4; i++) {
		struct msghdr *const message = &messages[i].msg_hdr;
		const uint64_t *const which = arg + (i < 2 ? 3 : 9);
		void *const name = address_of(which, &message->msg_namelen);

		message->msg_iov = &part;
		message->msg_iovlen = 1;
		/* address_of() has one buffer for each thread. */
		if (which[0] != 3 && which[5]) {
			message->msg_name = name;
		} else {
			memcpy(names[i / 2], name, sizeof(names[0]));
			message->msg_name = names[i / 2];
		}
	}
	return answer(sendmmsg(fd_of(arg[0]), messages, 4,
			       (int)arg[1] | MSG_DONTWAIT | MSG_NOSIGNAL));
}

static int64_t op_send(const uint64_t *const arg)
{
	return answer(send(fd_of(arg[0]), "portlock", arg[2] % 9,
			   (int)arg[1] | MSG_DONTWAIT | MSG_NOSIGNAL));
}

static int64_t op_recv(const uint64_t *const arg)
{
	char buffer[16];

	return answer(recv(fd_of(arg[0]), buffer, sizeof(buffer),
			   (int)arg[1] | MSG_DONTWAIT));
}

/* Receives into a pipe. */
static int64_t op_splice(const uint64_t *const arg)
{
	int64_t ret;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	ret = answer(splice(fd_of(arg[0]), NULL, ends[1], NULL, 16,
			    SPLICE_F_NONBLOCK));
	close(ends[0]);
	close(ends[1]);
	return ret;
}

/* A message with a control message, and without a destination if len is 0. */
static int64_t op_control(const uint64_t *const arg)
{
	struct iovec part = { "portlock", 4 };
	union {
		char bytes[CMSG_SPACE(3 * sizeof(*arg))];
		struct cmsghdr align;
	} control = {};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_SPACE(arg[10]),
	};
	struct cmsghdr *const head = &control.align;

	if (arg[10] > 3 * sizeof(*arg))
		return -EINVAL;
	message.msg_name = address_of(arg + 2, &message.msg_namelen);
	head->cmsg_level = arg[8];
	head->cmsg_type = arg[9];
	head->cmsg_len = CMSG_LEN(arg[10]);
	memcpy(CMSG_DATA(head), arg + 11, arg[10]);
	return answer(sendmsg(fd_of(arg[0]), &message,
			      (int)arg[1] | MSG_DONTWAIT | MSG_NOSIGNAL));
}

static int64_t op_listen(const uint64_t *const arg)
{
	return answer(listen(fd_of(arg[0]), arg[1]));
}

static int64_t op_accept(const uint64_t *const arg)
{
	const int fd = accept4(fd_of(arg[0]), NULL, NULL,
			       SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (!is_observed)
		reset_on_close(fd);
	return keep(fd, arg[1]);
}

static int64_t op_shutdown(const uint64_t *const arg)
{
	return answer(shutdown(fd_of(arg[0]), arg[1]));
}

static int64_t op_setsockopt(const uint64_t *const arg)
{
	const int value = arg[3];

	return answer(setsockopt(fd_of(arg[0]), arg[1], arg[2], &value,
				 sizeof(value)));
}

/* setsockopt() with up to 32 bytes. */
static int64_t op_option(const uint64_t *const arg)
{
	return answer(setsockopt(fd_of(arg[0]), arg[1], arg[2], arg + 4,
				 arg[3] % 33));
}

/* Enters a network namespace of the program. */
static int64_t op_network(const uint64_t *const arg)
{
	return answer(setns(networks[arg[0] % 2], CLONE_NEWNET));
}

static int64_t op_getsockopt(const uint64_t *const arg)
{
	socklen_t len = sizeof(int);
	int value = 0;

	if (getsockopt(fd_of(arg[0]), arg[1], arg[2], &value, &len))
		return -errno;
	return (uint32_t)value;
}

/* Family and port of a socket's own address or of its peer. */
static int64_t op_name(const uint64_t *const arg)
{
	union address address = {};
	socklen_t len = sizeof(address);
	const int fd = fd_of(arg[0]);
	uint16_t port = 0;

	if (arg[1] ? getpeername(fd, (struct sockaddr *)&address, &len) :
		     getsockname(fd, (struct sockaddr *)&address, &len))
		return -errno;
	if (address.in.sin_family == AF_INET ||
	    address.in.sin_family == AF_INET6)
		port = ntohs(address.in.sin_port);
	/* Ports that the kernel chose differ between boots. */
	if (port >= 32768 && port <= 60999)
		port = 40000;
	return (int64_t)address.in.sin_family << 16 | port;
}

static int option_of(const int fd, const int level, const int name)
{
	socklen_t len = sizeof(int);
	int value = 0;

	return getsockopt(fd, level, name, &value, &len) ? 0 : value;
}

static uint64_t long_option_of(const int fd, const int name)
{
	uint64_t value = 0;
	socklen_t len = sizeof(value);

	getsockopt(fd, SOL_SOCKET, name, &value, &len);
	return value;
}

/* Whether an option of variable length has a value. */
static bool has_option(const int fd, const int level, const int name)
{
	char value[128];
	socklen_t len = sizeof(value);

	return !getsockopt(fd, level, name, value, &len) && len;
}

/* In hexadecimal.  A peer is told in every state of the socket. */
static void print_name(char *const text, const int fd, const bool of_peer)
{
	static const socklen_t sizes[] = {
		sizeof(struct sockaddr_in6),
		sizeof(struct sockaddr_in),
	};
	uint8_t bytes[128];
	socklen_t len = sizeof(bytes);
	int ret = -1;

	if (!of_peer)
		ret = getsockname(fd, (struct sockaddr *)bytes, &len);
	/* It is not told into a buffer that is longer. */
	for (int i = 0; of_peer && ret && i < 2; i++) {
		len = sizes[i];
		ret = getsockopt(fd, SOL_SOCKET, SO_PEERNAME, bytes, &len);
	}
	strcpy(text, "-");
	for (socklen_t i = 0; !ret && i < len && i < 28; i++)
		sprintf(text + 2 * i, "%02x", bytes[i]);
}

/*
 * What is known of a socket: the cookie of its namespace; family, type and
 * protocol; whether it listens; devices; whether it has a route; its own
 * address and that of its peer; what it is ready for.
 */
static void observe(const int fd, char *const text)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN | POLLOUT };
	char local[64], peer[64];

	*text = '\0';
	if (!option_of(fd, SOL_SOCKET, SO_TYPE))
		return;
	print_name(local, fd, false);
	print_name(peer, fd, true);
	poll(&ready, 1, 0);
	sprintf(text, "%llu %d %d %d %d %d %u %u %d %s %s %d",
		(unsigned long long)long_option_of(fd, SO_NETNS_COOKIE),
		option_of(fd, SOL_SOCKET, SO_DOMAIN),
		option_of(fd, SOL_SOCKET, SO_TYPE),
		option_of(fd, SOL_SOCKET, SO_PROTOCOL),
		option_of(fd, SOL_SOCKET, SO_ACCEPTCONN),
		option_of(fd, SOL_SOCKET, SO_BINDTOIFINDEX),
		ntohl(option_of(fd, IPPROTO_IP, IP_UNICAST_IF)),
		ntohl(option_of(fd, IPPROTO_IPV6, IPV6_UNICAST_IF)),
		has_option(fd, IPPROTO_IP, IP_OPTIONS) ||
			has_option(fd, IPPROTO_IPV6, IPV6_RTHDR) ||
			option_of(fd, IPPROTO_IP, IP_FREEBIND) ||
			option_of(fd, IPPROTO_IP, IP_TRANSPARENT) ||
			option_of(fd, SOL_SOCKET, SO_DONTROUTE),
		local, peer, ready.revents);
}

/* Descriptors */

static int64_t op_close(const uint64_t *const arg)
{
	return answer(close(fd_of(arg[0])));
}

static int64_t op_dup(const uint64_t *const arg)
{
	return keep(dup(fd_of(arg[0])), arg[1]);
}

static int64_t op_read(const uint64_t *const arg)
{
	char buffer[16];

	return answer(read(fd_of(arg[0]), buffer, arg[1] % 17));
}

static int64_t op_write(const uint64_t *const arg)
{
	return answer(write(fd_of(arg[0]), "portlock", arg[1] % 9));
}

static int64_t op_seek(const uint64_t *const arg)
{
	return answer(lseek(fd_of(arg[0]), 1, SEEK_SET));
}

static int64_t op_ioctl(const uint64_t *const arg)
{
	int value = 0;

	return answer(ioctl(fd_of(arg[0]), FIONREAD, &value)) + value;
}

static int64_t op_flags(const uint64_t *const arg)
{
	const int fd = fd_of(arg[0]);
	const int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	return (int64_t)fcntl(fd, F_GETFD) << 32 | flags;
}

static int64_t op_mode(const uint64_t *const arg)
{
	struct stat status;

	if (fstat(fd_of(arg[0]), &status))
		return -errno;
	return status.st_mode;
}

/* The name in /proc without its numbers, and whether it can be opened again. */
static int64_t op_proc(const uint64_t *const arg)
{
	char path[64], name[256] = "";
	uint32_t sum = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd_of(arg[0]));
	if (readlink(path, name, sizeof(name) - 1) < 0)
		return -errno;
	for (const char *c = name; *c && *c != '['; c++)
		if (!isdigit(*c))
			sum = sum * 31 + *c;
	if (strstr(name, "landlock"))
		for (const char *c = name; *c; c++)
			sum = sum * 31 + *c;
	if (!strstr(name, "landlock"))
		return sum & 0xffff;
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return (sum & 0xffff) | (int64_t)errno << 16;
	close(fd);
	return sum & 0xffff;
}

static int64_t op_epoll(const uint64_t *const arg)
{
	struct epoll_event event = { .events = EPOLLIN };
	const int fd = epoll_create1(EPOLL_CLOEXEC);
	int64_t ret;

	if (fd < 0)
		return -errno;
	ret = answer(epoll_ctl(fd, EPOLL_CTL_ADD, fd_of(arg[0]), &event));
	close(fd);
	return ret;
}

union control {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

/* Sends the descriptor of a slot over a unix socket. */
static int64_t op_pass(const uint64_t *const arg)
{
	const int fd = fd_of(arg[1]);
	struct iovec part = { "x", 1 };
	union control control = {};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control.bytes),
	};
	struct cmsghdr *const head = CMSG_FIRSTHDR(&message);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	return answer(sendmsg(fd_of(arg[0]), &message,
			      MSG_DONTWAIT | MSG_NOSIGNAL));
}

static int64_t op_take(const uint64_t *const arg)
{
	char byte;
	struct iovec part = { &byte, 1 };
	union control control = {};
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control.bytes),
	};
	const int64_t ret = answer(recvmsg(fd_of(arg[0]), &message,
					   MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
	struct cmsghdr *const head = CMSG_FIRSTHDR(&message);
	int fd;

	if (ret < 0 || !head || head->cmsg_type != SCM_RIGHTS ||
	    head->cmsg_len != CMSG_LEN(sizeof(fd)))
		return ret;
	memcpy(&fd, CMSG_DATA(head), sizeof(fd));
	return 1000 + keep(fd, arg[1]);
}

/* Files, for the part of a ruleset that C Landlock keeps */

static const char *path_of(const uint64_t number)
{
	static const char *const paths[] = {
		PLAYGROUND, PLAYGROUND "/a", PLAYGROUND "/b",
		PLAYGROUND "/a/file", PLAYGROUND "/b/file", "/", "/dev/null",
		"/proc/self/status",
	};

	return paths[number % ARRAY_SIZE(paths)];
}

static int64_t op_open(const uint64_t *const arg)
{
	static const int flags[] = {
		O_PATH, O_RDONLY, O_RDWR, O_RDWR | O_CREAT, O_DIRECTORY,
	};

	return keep(open(path_of(arg[1]), flags[arg[2] % 5] | O_CLOEXEC, 0600),
		    arg[0]);
}

static int64_t op_rename(const uint64_t *const arg)
{
	return answer(rename(path_of(3 + arg[0] % 2), path_of(3 + arg[1] % 2)));
}

static int64_t op_link(const uint64_t *const arg)
{
	return answer(link(path_of(3 + arg[0] % 2), path_of(3 + arg[1] % 2)));
}

/* Whether this process may signal its parent.  A scope can forbid it. */
static int64_t op_signal(const uint64_t *const arg)
{
	return answer(kill(getppid(), 0));
}

/* Flow of control: run by the process, not by a thread */

static void run_until(int end);

static int join_of(int at)
{
	static const char *const fork_name = "fork", *const join_name = "join";

	for (int depth = 1; at < op_count; at++) {
		if (!strcmp(ops[at].kind->name, fork_name))
			depth++;
		if (!strcmp(ops[at].kind->name, join_name) && !--depth)
			return at;
	}
	return op_count;
}

static void forget_threads(void);

/*
 * The child runs the operations before the join, and the parent those after it.
 */
static int64_t op_fork(const uint64_t *const arg)
{
	const int begin = next_op, end = join_of(begin);
	const pid_t child = fork();
	int status;

	if (child < 0)
		return -errno;
	if (!child) {
		forget_threads();
		end_op = end;
		run_until(end);
		_exit(0);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	next_op = end;
	return status;
}

static int64_t op_join(const uint64_t *const arg)
{
	return 0;
}

/* Continues in a new image, which finds the slots by their numbers. */
static int64_t op_exec(const uint64_t *const arg)
{
	char at[16], end[16];
	char *argv[] = { "fuzz", "--resume", at, end, NULL };
	char *envp[] = { NULL };

	snprintf(at, sizeof(at), "%d", next_op);
	snprintf(end, sizeof(end), "%d", end_op);
	shared->result[next_op - 1].value = 0;
	shared->result[next_op - 1].reached = 1;
	execve("/proc/self/exe", argv, envp);
	return -errno;
}

static const struct kind kinds[] = {
	{ "about", op_about },
	{ "accept", op_accept, true, 2 },
	{ "bind", op_bind, true },
	{ "close", op_close },
	{ "connect", op_connect, true, 1 },
	{ "control", op_control, true, 1 },
	{ "drop_caps", op_drop_caps },
	{ "dup", op_dup },
	{ "epoll", op_epoll },
	{ "exec", op_exec },
	{ "extended", op_extended },
	{ "flags", op_flags },
	{ "fork", op_fork },
	{ "getsockopt", op_getsockopt, true },
	{ "has_nnp", op_has_nnp },
	{ "ioctl", op_ioctl },
	{ "join", op_join },
	{ "kind", op_kind },
	{ "opened", op_opened, true },
	{ "event", op_event },
	{ "link", op_link },
	{ "listen", op_listen, true },
	{ "mode", op_mode },
	{ "name", op_name },
	{ "net", op_net },
	{ "network", op_network },
	{ "nnp", op_nnp },
	{ "open", op_open },
	{ "option", op_option, true },
	{ "pair", op_pair },
	{ "pass", op_pass },
	{ "path", op_path },
	{ "port", op_port },
	{ "proc", op_proc },
	{ "read", op_read, true },
	{ "recv", op_recv, true },
	{ "rename", op_rename },
	{ "restrict", op_restrict },
	{ "ruleset", op_ruleset },
	{ "seek", op_seek },
	{ "send", op_send, true },
	{ "sendmmsg", op_sendmmsg, true, 1 },
	{ "sendmsg", op_sendmsg, true, 1 },
	{ "sendto", op_sendto, true, 1 },
	{ "setsockopt", op_setsockopt, true },
	{ "shutdown", op_shutdown, true },
	{ "signal", op_signal },
	{ "socket", op_socket, false, 1 },
	{ "splice", op_splice, true },
	{ "take", op_take },
	{ "uid", op_uid },
	{ "user_namespace", op_user_namespace },
	{ "write", op_write, true },
};

/* Threads: each runs one operation when asked, and the caller waits for it. */

static struct worker {
	bool started;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	const struct op *todo;
	int64_t value;
} workers[MAX_THREADS];

static void forget_threads(void)
{
	memset(workers, 0, sizeof(workers));
}

static void *work(void *const data)
{
	struct worker *const worker = data;

	pthread_mutex_lock(&worker->lock);
	for (;;) {
		while (!worker->todo)
			pthread_cond_wait(&worker->changed, &worker->lock);
		worker->value = worker->todo->kind->run(worker->todo->arg);
		worker->todo = NULL;
		pthread_cond_broadcast(&worker->changed);
	}
	return NULL;
}

static int64_t run_in_thread(struct worker *const worker,
			     const struct op *const op)
{
	int64_t value;

	if (!worker->started) {
		pthread_mutex_init(&worker->lock, NULL);
		pthread_cond_init(&worker->changed, NULL);
		errno = pthread_create(&worker->thread, NULL, work, worker);
		if (errno)
			return -errno;
		worker->started = true;
	}
	pthread_mutex_lock(&worker->lock);
	worker->todo = op;
	pthread_cond_broadcast(&worker->changed);
	while (worker->todo)
		pthread_cond_wait(&worker->changed, &worker->lock);
	value = worker->value;
	pthread_mutex_unlock(&worker->lock);
	return value;
}

/*
 * Observes the socket of an operation.  The watcher does it, since a domain may
 * forbid this process to read options.
 */
static void ask_watcher(const int at, const bool is_after)
{
	const struct request request = { getpid(), at, is_after };
	char done;

	if (write(WATCHER_FD, &request, sizeof(request)) < 0 ||
	    read(WATCHER_FD, &done, sizeof(done)) < 0)
		die("watcher");
}

static void observe_before(const struct op *const op, const int at)
{
	if (op->kind->run == op_restrict)
		sprintf(shared->result[at].state, "%llu %llu",
			(unsigned long long)network_cookies[0],
			(unsigned long long)network_cookies[1]);
	else if (op->kind->has_socket)
		ask_watcher(at, false);
}

static void run_until(const int end)
{
	while (next_op < end) {
		const int at = next_op++;
		const struct op *const op = &ops[at];
		const bool is_flow = op->kind->run == op_fork ||
				     op->kind->run == op_exec ||
				     op->kind->run == op_join;
		int64_t value;

		if (is_observed)
			observe_before(op, at);
		if (op->thread && !is_flow)
			value = run_in_thread(&workers[op->thread], op);
		else
			value = op->kind->run(op->arg);
		shared->result[at].value = value;
		shared->result[at].reached = 1;
		if (is_leisurely)
			usleep(LEISURE_MICROSECONDS);
		if (is_observed && op->kind->changed)
			ask_watcher(at, true);
	}
}

/* Programs */

static void parse_op(char *const line)
{
	struct op *const op = &ops[op_count];
	char *rest = line, *word;

	if (op_count == MAX_OPS) {
		fprintf(stderr, "fuzz: more than %d operations\n", MAX_OPS);
		exit(EXIT_FAILURE);
	}
	memset(op, 0, sizeof(*op));
	op->thread = strtoul(rest, &rest, 0) % MAX_THREADS;
	word = strsep(&rest, " ");
	word = strsep(&rest, " ");
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (word && !strcmp(word, kinds[i].name))
			op->kind = &kinds[i];
	if (!op->kind) {
		fprintf(stderr, "fuzz: no operation is named \"%s\"\n", word);
		exit(EXIT_FAILURE);
	}
	while (op->count < MAX_ARGS && (word = strsep(&rest, " ")))
		op->arg[op->count++] = strtoull(word, NULL, 0);
	op_count++;
	if (op->kind->run == op_socket && op->arg[3] == IPPROTO_MPTCP)
		is_leisurely = true;
	if (op->kind->run == op_network)
		has_second_network = true;
}

/* Parses the operations in the shared text. */
static void parse(void)
{
	char line[512];

	op_count = 0;
	is_leisurely = has_second_network = false;
	for (const char *text = shared->text; *text;) {
		const char *const end = strchrnul(text, '\n');

		snprintf(line, sizeof(line), "%.*s", (int)(end - text), text);
		if (*line)
			parse_op(line);
		text = *end ? end + 1 : end;
	}
}

static void prepare_memory(void)
{
	const long page = sysconf(_SC_PAGESIZE);
	char *const pages = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED || munmap(pages + 3 * page, page))
		die("mmap");
	edge = pages + 3 * page;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED,
		      SHARED_FD, 0);
	if (shared == MAP_FAILED)
		die("mmap");
}

static void own_network(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	if (unshare(CLONE_NEWNET))
		die("unshare");
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request))
		die("lo");
	close(fd);
}

/* A second interface, tap0: no packet comes back from it. */
static void add_device(void)
{
	struct ifreq request = {
		.ifr_name = "tap0",
		.ifr_flags = IFF_TAP | IFF_NO_PI,
	};
	const int tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	const int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct sockaddr_in *const address =
		(struct sockaddr_in *)&request.ifr_addr;

	if (tap < 0 || fd < 0 || ioctl(tap, TUNSETIFF, &request))
		die("tap0");
	request.ifr_flags = IFF_UP;
	if (ioctl(fd, SIOCSIFFLAGS, &request))
		die("tap0");
	address->sin_family = AF_INET;
	address->sin_port = 0;
	address->sin_addr.s_addr = htonl(0x0a000001);
	if (ioctl(fd, SIOCSIFADDR, &request))
		die("tap0");
	close(fd);
}

/* The networks of a program that is observed, with a second interface each. */
static void own_networks(void)
{
	for (int i = has_second_network; i >= 0; i--) {
		int fd;

		own_network();
		add_device();
		networks[i] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
		fd = socket(AF_INET, SOCK_DGRAM, 0);
		network_cookies[i] = long_option_of(fd, SO_NETNS_COOKIE);
		if (networks[i] < 0 || !network_cookies[i])
			die("network");
		close(fd);
	}
}

static void make_playground(void)
{
	static const char *const folders[] = {
		PLAYGROUND, PLAYGROUND "/a", PLAYGROUND "/b",
	};
	char path[64];
	int fd;

	/* Unix sockets in the playground have names that come from ports. */
	for (int i = 0; i < 10; i++) {
		snprintf(path, sizeof(path), PLAYGROUND "/%d", i);
		unlink(path);
	}
	unlink(PLAYGROUND "/b/file");
	for (int i = 0; i < 3; i++) {
		mkdir(folders[i], 0777);
		chmod(folders[i], 0777);
	}
	fd = open(PLAYGROUND "/a/file", O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC,
		  0666);
	if (fd < 0)
		die(PLAYGROUND);
	close(fd);
}

/* Sees to it that only Portlock answers EACCES, and observes a socket. */
static void answer_request(const struct request *const request)
{
	const struct op *const op = &ops[request->at];
	const uint64_t slot =
		op->arg[request->is_after ? op->kind->changed - 1 : 0];
	const int pid_fd = syscall(__NR_pidfd_open, request->pid, 0);
	const int fd = syscall(__NR_pidfd_getfd, pid_fd, fd_of(slot), 0);
	const int on = 1;

	if (pid_fd < 0)
		die("pidfd_open");
	close(pid_fd);
	if (fd < 0)
		return;
	if (request->is_after) {
		reset_on_close(fd);
		setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on));
		observe(fd, shared->result[request->at].after);
	} else {
		observe(fd, shared->result[request->at].state);
	}
	close(fd);
}

/*
 * Answers the requests of the processes of a program, until @child ends.  The
 * watcher is in no domain.  Returns false if they are silent for too long.
 */
static bool watch(const int watched, const pid_t child)
{
	struct pollfd fds[] = {
		{ .fd = watched, .events = POLLIN },
		{ .fd = syscall(__NR_pidfd_open, child, 0), .events = POLLIN },
	};
	struct request request;

	while (poll(fds, 2, PATIENCE_SECONDS * 1000) > 0 && !fds[1].revents &&
	       read(watched, &request, sizeof(request)) == sizeof(request)) {
		answer_request(&request);
		if (write(watched, "", 1) != 1)
			break;
	}
	close(fds[1].fd);
	return fds[1].revents;
}

static int run_program(void)
{
	static const struct timespec patience = {
		.tv_sec = PATIENCE_SECONDS,
	};
	static const struct timespec none;
	int status, ends[2] = { -1, -1 };
	sigset_t chld;
	pid_t child;

	memset(shared->result, 0, op_count * sizeof(*shared->result));
	make_playground();
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigtimedwait(&chld, NULL, &none);
	if (is_observed &&
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		die("socketpair");
	child = fork();
	if (child < 0)
		die("fork");
	if (!child) {
		setpgid(0, 0);
		if (is_observed)
			dup2(ends[1], WATCHER_FD);
		close(ends[0]);
		close(ends[1]);
		if (is_observed)
			own_networks();
		else
			own_network();
		next_op = 0;
		end_op = op_count;
		run_until(op_count);
		_exit(0);
	}
	close(ends[1]);
	if (is_observed ? !watch(ends[0], child) :
			  sigtimedwait(&chld, NULL, &patience) < 0)
		kill(-child, SIGKILL);
	close(ends[0]);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	kill(-child, SIGKILL);
	return status;
}

static void write_file(const char *const path, const char *const text)
{
	const int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		die(path);
	close(fd);
}

static void print_trace(void)
{
	FILE *const trace = fopen(TRACE, "re");
	char line[4096];

	if (!trace)
		die(TRACE);
	while (fgets(line, sizeof(line), trace))
		if (*line != '#')
			printf("|%s", line);
	fclose(trace);
	write_file(TRACE, " ");
}

/* Runs the programs of the file, one after the other. */
static void run_all(const char *const path)
{
	FILE *const file = fopen(path, "re");
	bool traced = false;
	char line[512];
	sigset_t chld;
	int memory;

	if (!file)
		die(path);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	signal(SIGPIPE, SIG_IGN);
	memory = memfd_create("shared", MFD_CLOEXEC);
	if (memory < 0 || dup2(memory, SHARED_FD) < 0 ||
	    ftruncate(SHARED_FD, sizeof(*shared)))
		die("memfd");
	close(memory);
	prepare_memory();
	while (fgets(line, sizeof(line), file)) {
		unsigned int number;
		size_t len = 0;
		bool trace;
		int status;

		if (sscanf(line, "program %u", &number) != 1) {
			fprintf(stderr, "fuzz: \"%s\" begins no program\n",
				line);
			exit(EXIT_FAILURE);
		}
		trace = strstr(line, " trace");
		is_observed = strstr(line, " observe");
		while (fgets(line, sizeof(line), file) &&
		       strcmp(line, "end\n")) {
			if (len + strlen(line) >= sizeof(shared->text)) {
				fprintf(stderr, "fuzz: program %u is too long\n",
					number);
				exit(EXIT_FAILURE);
			}
			len += sprintf(shared->text + len, "%s", line);
		}
		shared->text[len] = '\0';
		parse();
		if (trace != traced) {
			write_file(EVENTS, trace ? "1" : "0");
			write_file(TRACE, " ");
			traced = trace;
		}
		status = run_program();
		printf("= %u\n", number);
		for (int i = 0; i < op_count; i++)
			if (shared->result[i].reached) {
				if (*shared->result[i].state)
					printf("~ %s\n",
					       shared->result[i].state);
				if (*shared->result[i].after)
					printf("+ %s\n",
					       shared->result[i].after);
				printf("%d %lld\n", i,
				       (long long)shared->result[i].value);
			}
		if (trace)
			print_trace();
		printf("! %d\n", status);
	}
	fclose(file);
	if (fflush(stdout))
		die("the results");
}

int main(int argc, char *argv[])
{
	if (argc == 4 && !strcmp(argv[1], "--resume")) {
		prepare_memory();
		parse();
		next_op = atoi(argv[2]);
		end_op = atoi(argv[3]);
		run_until(end_op);
		return EXIT_SUCCESS;
	}
	if (argc != 2) {
		fprintf(stderr, "usage: %s FILE\n", argv[0]);
		return EXIT_FAILURE;
	}
	run_all(argv[1]);
	return EXIT_SUCCESS;
}
