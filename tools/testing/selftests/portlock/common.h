/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Portlock tests: functions that several tests use
 *
 * These functions return 0 or a result, or a negative errno.  A test then needs
 * only one line to check a result, and a failed check shows the errno.
 */

#ifndef PORTLOCK_COMMON_H
#define PORTLOCK_COMMON_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <linux/userfaultfd.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

#define BIND_TCP LANDLOCK_ACCESS_NET_BIND_TCP
#define CONNECT_TCP LANDLOCK_ACCESS_NET_CONNECT_TCP
#define BIND_UDP LANDLOCK_ACCESS_NET_BIND_UDP
#define SEND_UDP LANDLOCK_ACCESS_NET_CONNECT_SEND_UDP
#define ALL_NET (BIND_TCP | CONNECT_TCP | BIND_UDP | SEND_UDP)

/* The shortest IPv6 address: without sin6_scope_id. */
#define SIN6_LEN_MIN 24

#define MAX_LAYERS 16

/* A port that no test binds for long: a connection gets ECONNREFUSED. */
#define CLOSED_PORT 9

/* System calls */

static inline int create_ruleset(const void *attr, size_t size, __u32 flags)
{
	const int ret = syscall(__NR_landlock_create_ruleset, attr, size,
				flags);

	return ret < 0 ? -errno : ret;
}

static inline int add_rule(int ruleset_fd, int type, const void *attr,
			   __u32 flags)
{
	return syscall(__NR_landlock_add_rule, ruleset_fd, type, attr, flags) ?
		       -errno : 0;
}

static inline int restrict_self(int ruleset_fd, __u32 flags)
{
	return syscall(__NR_landlock_restrict_self, ruleset_fd, flags) ?
		       -errno : 0;
}

static inline int net_ruleset(__u64 handled)
{
	const struct landlock_ruleset_attr attr = {
		.handled_access_net = handled,
	};

	return create_ruleset(&attr, sizeof(attr), 0);
}

static inline int add_port(int ruleset_fd, __u64 port, __u64 access)
{
	const struct landlock_net_port_attr attr = {
		.allowed_access = access,
		.port = port,
	};

	return add_rule(ruleset_fd, LANDLOCK_RULE_NET_PORT, &attr, 0);
}

static inline int no_new_privs(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? -errno : 0;
}

/* Enforces @ruleset_fd on the calling thread and closes it. */
static inline int enforce(int ruleset_fd)
{
	int ret;

	if (ruleset_fd < 0)
		return ruleset_fd;
	ret = no_new_privs();
	if (!ret)
		ret = restrict_self(ruleset_fd, 0);
	if (close(ruleset_fd) && !ret)
		ret = -errno;
	return ret;
}

/* Adds a layer that handles @handled and allows @access on @port. */
static inline int restrict_to_port(__u64 handled, __u64 port, __u64 access)
{
	const int ruleset_fd = net_ruleset(handled);
	int ret;

	if (ruleset_fd < 0)
		return ruleset_fd;
	ret = add_port(ruleset_fd, port, access);
	if (ret) {
		close(ruleset_fd);
		return ret;
	}
	return enforce(ruleset_fd);
}

/* Adds a layer that handles @handled and allows nothing. */
static inline int restrict_all(__u64 handled)
{
	return enforce(net_ruleset(handled));
}

/* Capabilities, without a library so that the programs stay small. */

static inline int set_caps(__u64 effective, __u64 permitted)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2] = {
		{
			.effective = (__u32)effective,
			.permitted = (__u32)permitted,
		},
		{
			.effective = (__u32)(effective >> 32),
			.permitted = (__u32)(permitted >> 32),
		},
	};

	return syscall(__NR_capset, &head, data) ? -errno : 0;
}

static inline int drop_all_caps(void)
{
	return set_caps(0, 0);
}

/* Network */

/* Gives the calling thread its own network namespace, with the loopback up. */
static inline int own_network(void)
{
	struct ifreq ifr = {
		.ifr_name = "lo",
	};
	int fd, ret = 0;

	if (unshare(CLONE_NEWNET))
		return -errno;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, SIOCGIFFLAGS, &ifr))
		ret = -errno;
	ifr.ifr_flags |= IFF_UP;
	if (!ret && ioctl(fd, SIOCSIFFLAGS, &ifr))
		ret = -errno;
	close(fd);
	return ret;
}

union addr {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
	struct sockaddr_storage storage;
};

/* Writes the loopback address of @family and returns its length. */
static inline socklen_t loopback(union addr *addr, int family, __u16 port)
{
	memset(addr, 0, sizeof(*addr));
	addr->sa.sa_family = family;
	if (family == AF_INET6) {
		addr->in6.sin6_port = htons(port);
		addr->in6.sin6_addr = in6addr_loopback;
		return sizeof(addr->in6);
	}
	addr->in.sin_port = htons(port);
	addr->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return sizeof(addr->in);
}

static inline int make_socket(int family, int type, int protocol)
{
	const int fd = socket(family, type | SOCK_CLOEXEC, protocol);
	const int one = 1;

	if (fd < 0)
		return -errno;
	if ((family == AF_INET || family == AF_INET6) &&
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one))) {
		close(fd);
		return -errno;
	}
	return fd;
}

static inline int bind_fd(int fd, int family, __u16 port)
{
	union addr addr;
	const socklen_t len = loopback(&addr, family, port);

	return bind(fd, &addr.sa, len) ? -errno : 0;
}

static inline int connect_fd(int fd, int family, __u16 port)
{
	union addr addr;
	const socklen_t len = loopback(&addr, family, port);

	return connect(fd, &addr.sa, len) ? -errno : 0;
}

/* Sends one byte to @port, or to the socket's peer when @family is 0. */
static inline int send_fd_to(int fd, int family, __u16 port)
{
	union addr addr;
	socklen_t len;

	if (!family)
		return send(fd, "x", 1, MSG_NOSIGNAL) == 1 ? 0 : -errno;
	len = loopback(&addr, family, port);
	return sendto(fd, "x", 1, MSG_NOSIGNAL, &addr.sa, len) == 1 ? 0 :
								    -errno;
}

/* Binds a new socket. */
static inline int try_bind(int family, int type, __u16 port)
{
	const int fd = make_socket(family, type, 0);
	int ret;

	if (fd < 0)
		return fd;
	ret = bind_fd(fd, family, port);
	close(fd);
	return ret;
}

/* Connects a new socket that is not bound. */
static inline int try_connect(int family, int type, __u16 port)
{
	const int fd = make_socket(family, type, 0);
	int ret;

	if (fd < 0)
		return fd;
	ret = connect_fd(fd, family, port);
	close(fd);
	return ret;
}

/* Sends a datagram from a new socket that is not bound. */
static inline int try_sendto(int family, __u16 port)
{
	const int fd = make_socket(family, SOCK_DGRAM, 0);
	int ret;

	if (fd < 0)
		return fd;
	ret = send_fd_to(fd, family, port);
	close(fd);
	return ret;
}

/* Returns a socket that listens on @port, or a negative errno. */
static inline int listen_on(int family, int protocol, __u16 port)
{
	const int fd = make_socket(family, SOCK_STREAM, protocol);
	int ret;

	if (fd < 0)
		return fd;
	ret = bind_fd(fd, family, port);
	if (!ret && listen(fd, 8))
		ret = -errno;
	if (ret) {
		close(fd);
		return ret;
	}
	return fd;
}

/* Returns the socket of the next connection, or a negative errno. */
static inline int try_accept(int listener)
{
	const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Whether a domain forbids the calling task to bind TCP port @port. */
static inline bool bind_refused(__u16 port)
{
	return try_bind(AF_INET, SOCK_STREAM, port) == -EACCES;
}

/* Files */

/* Reads a whole small file as a string. */
static inline int read_text(const char *path, char *text, size_t size)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t ret;

	if (fd < 0)
		return -errno;
	do {
		ret = read(fd, text + len, size - 1 - len);
		if (ret > 0)
			len += ret;
	} while (ret > 0 && len < size - 1);
	close(fd);
	if (ret < 0)
		return -errno;
	text[len] = '\0';
	return 0;
}

/*
 * Replaces the content of a file with @text, or writes @text to a kernel file.
 */
static inline int write_text(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	const ssize_t len = strlen(text);
	int ret;

	if (fd < 0)
		return -errno;
	ret = write(fd, text, len) == len ? 0 : -errno;
	close(fd);
	return ret;
}

/* Processes */

/* Waits for @child and returns its exit status, or a negative errno. */
static inline int wait_child(pid_t child)
{
	int status;

	if (waitpid(child, &status, 0) != child)
		return -errno;
	if (!WIFEXITED(status))
		return -ECHILD;
	return WEXITSTATUS(status);
}

static inline int send_descriptor(int usock, int fd)
{
	char control[CMSG_SPACE(sizeof(fd))] = {};
	struct iovec iov = {
		.iov_base = "f",
		.iov_len = 1,
	};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *const cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return sendmsg(usock, &msg, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

static inline int receive_descriptor(int usock)
{
	char control[CMSG_SPACE(sizeof(int))] = {};
	char data;
	struct iovec iov = {
		.iov_base = &data,
		.iov_len = sizeof(data),
	};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	int fd;

	if (recvmsg(usock, &msg, MSG_CMSG_CLOEXEC) != 1)
		return -errno;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg || cmsg->cmsg_type != SCM_RIGHTS ||
	    cmsg->cmsg_len != CMSG_LEN(sizeof(fd)))
		return -EBADMSG;
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));
	return fd;
}

/* Whether C Landlock decides in this boot: it has no extended rulesets. */
static inline bool is_c_landlock(void)
{
	const char *const boot = getenv("PORTLOCK_BOOT");

	return boot && !strcmp(boot, "landlock");
}

static inline long now_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static inline void pause_ms(long ms)
{
	const struct timespec time = {
		.tv_sec = ms / 1000,
		.tv_nsec = ms % 1000 * 1000000,
	};

	nanosleep(&time, NULL);
}

/* Returns a page that nobody can use until someone fills it. */
static inline char *missing_page(int *userfault)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	char *const map = mmap(NULL, page, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_api api = {
		.api = UFFD_API,
	};
	struct uffdio_register region = {
		.range = { (uintptr_t)map, page },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	*userfault = syscall(__NR_userfaultfd, O_CLOEXEC);
	if (map == MAP_FAILED || *userfault < 0 ||
	    ioctl(*userfault, UFFDIO_API, &api) ||
	    ioctl(*userfault, UFFDIO_REGISTER, &region))
		return NULL;
	return map;
}

/* Renames a file from one directory to another and back. */
static inline int rename_across(void)
{
	if (rename("a/file", "b/file"))
		return -errno;
	return rename("b/file", "a/file") ? -errno : 0;
}

#endif /* PORTLOCK_COMMON_H */
