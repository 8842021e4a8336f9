// SPDX-License-Identifier: GPL-2.0
/*
 * Portlock tests: what only a module can do
 *
 * The first part is about sockets of the kernel, used while a sandboxed task
 * runs.  kernel_bind() and kernel_connect() reach no security hook, so rules do not
 * hold there.  kernel_sendmsg() does reach one, and it looks at the task that
 * happens to run: the rules hold for datagrams, for the local port that they
 * take, and for TCP Fast Open, as under C Landlock.
 *
 * The out-of-tree module portlock_test uses the sockets on our behalf.
 *
 * The second part is about files on anonymous inodes, as Rust code makes them.
 * The module portlock_files makes such files; unlike the kernel it can be
 * unloaded, which must wait for the files.
 */

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/time.h>

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
		SKIP(return, "the module portlock_test is not loaded, and it is not at " MODULE);
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

/* Files on anonymous inodes */

#define FILES_NAME "portlock_files"
#define FILES_DEVICE "/dev/" FILES_NAME

#define OPEN_PLAIN _IO('P', 0)
#define OPEN_READER _IO('P', 1)
#define IS_PLAIN _IO('P', 2)
#define TAKEN _IO('P', 3)

/* Where the module may be, the guest's place first. */
static const char *const files_modules[] = {
	"/modules/" FILES_NAME ".ko",
	"/lib/modules/test/" FILES_NAME ".ko",
};

static int load_files_module(void)
{
	int fd = -1, ret = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(files_modules) && fd < 0; i++)
		fd = open(files_modules[i], O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (syscall(__NR_finit_module, fd, "", 0))
		ret = -errno;
	close(fd);
	return ret;
}

static int unload_files_module(void)
{
	return syscall(__NR_delete_module, FILES_NAME, O_NONBLOCK) ? -errno : 0;
}

/* Asks the device, and returns what it answers or a negative errno. */
static int ask(int device, unsigned long question, long argument)
{
	const int ret = ioctl(device, question, argument);

	return ret < 0 ? -errno : ret;
}

/* Returns the byte that was read, 256 for the end of the file, or a negative errno. */
static int read_byte(int fd)
{
	unsigned char bytes[4];
	const ssize_t len = read(fd, bytes, sizeof(bytes));

	if (len < 0)
		return -errno;
	return len == 1 ? bytes[0] : len ? -EPROTO : 256;
}

/* Returns the events of which the file is ready right now. */
static int ready(int fd)
{
	struct pollfd asked = {
		.fd = fd,
		.events = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM,
	};

	return poll(&asked, 1, 0) < 0 ? -errno : asked.revents;
}

FIXTURE(files)
{
	int device;
};

FIXTURE_SETUP(files)
{
	self->device = open(FILES_DEVICE, O_RDWR | O_CLOEXEC);
	if (self->device < 0 && errno == ENOENT) {
		const int err = load_files_module();

		if (err == -ENOENT)
			SKIP(return, "the module " FILES_NAME " is neither loaded nor at %s",
			     files_modules[0]);
		ASSERT_EQ(0, err);
		self->device = open(FILES_DEVICE, O_RDWR | O_CLOEXEC);
	}
	ASSERT_LE(0, self->device);
}

FIXTURE_TEARDOWN(files)
{
	if (self->device >= 0)
		EXPECT_EQ(0, close(self->device));
}

TEST_F(files, open_files_keep_their_module)
{
	static const unsigned long kinds[] = { OPEN_PLAIN, OPEN_READER };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		const int fd = ask(self->device, kinds[i], 0);
		int copy;

		ASSERT_LE(0, fd);
		ASSERT_EQ(0, close(self->device));
		self->device = -1;

		/* Only the file is left, and then only a copy of its descriptor. */
		EXPECT_EQ(-EWOULDBLOCK, unload_files_module());
		copy = dup(fd);
		ASSERT_LE(0, copy);
		ASSERT_EQ(0, close(fd));
		EXPECT_EQ(-EWOULDBLOCK, unload_files_module());
		ASSERT_EQ(0, close(copy));
		EXPECT_EQ(0, unload_files_module());

		ASSERT_EQ(0, load_files_module());
		self->device = open(FILES_DEVICE, O_RDWR | O_CLOEXEC);
		ASSERT_LE(0, self->device);
	}
}

TEST_F(files, plain_file_is_only_a_handle)
{
	const int fd = ask(self->device, OPEN_PLAIN, 0);
	char byte = 0;

	ASSERT_LE(0, fd);
	EXPECT_EQ(O_RDWR, fcntl(fd, F_GETFL) & O_ACCMODE);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	EXPECT_EQ(-1, read(fd, &byte, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(fd, &byte, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, lseek(fd, 0, SEEK_CUR));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM, ready(fd));
	EXPECT_EQ(0, close(fd));
}

TEST_F(files, files_are_told_apart)
{
	const int plain = ask(self->device, OPEN_PLAIN, 0);
	const int reader = ask(self->device, OPEN_READER, 0);

	ASSERT_LE(0, plain);
	ASSERT_LE(0, reader);
	EXPECT_EQ(0, ask(self->device, IS_PLAIN, plain));
	EXPECT_EQ(0, ask(self->device, TAKEN, reader));
	EXPECT_EQ(-EBADFD, ask(self->device, IS_PLAIN, reader));
	EXPECT_EQ(-EBADFD, ask(self->device, TAKEN, plain));
	EXPECT_EQ(-EBADFD, ask(self->device, IS_PLAIN, self->device));
	EXPECT_EQ(-EBADFD, ask(self->device, TAKEN, self->device));
	EXPECT_EQ(-EBADF, ask(self->device, IS_PLAIN, -1));
	EXPECT_EQ(-EBADF, ask(self->device, TAKEN, -1));
	EXPECT_EQ(0, close(plain));
	EXPECT_EQ(0, close(reader));
}

TEST_F(files, each_file_has_its_state)
{
	const int one = ask(self->device, OPEN_READER, O_NONBLOCK);
	const int other = ask(self->device, OPEN_READER, 0);
	char byte;

	ASSERT_LE(0, one);
	ASSERT_LE(0, other);
	EXPECT_EQ(-EAGAIN, read_byte(one));
	ASSERT_EQ(3, write(self->device, "abc", 3));
	EXPECT_EQ('a', read_byte(one));
	EXPECT_EQ('b', read_byte(other));

	/* A byte that could not be delivered is not lost. */
	EXPECT_EQ(-1, read(one, (void *)1, 1));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ('c', read_byte(one));

	EXPECT_EQ(2, ask(self->device, TAKEN, one));
	EXPECT_EQ(1, ask(self->device, TAKEN, other));

	/* O_NONBLOCK may change while the file is open. */
	ASSERT_EQ(0, fcntl(other, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(-EAGAIN, read_byte(other));

	EXPECT_EQ(-1, write(one, "x", 1));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, pread(one, &byte, 1, 0));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(0, close(one));
	EXPECT_EQ(0, close(other));
}

static void do_nothing(int signal)
{
}

TEST_F(files, a_read_waits_until_there_is_something)
{
	const struct sigaction action = {
		.sa_handler = do_nothing,
	};
	const struct itimerval soon = {
		.it_value.tv_usec = 100000,
	};
	const int reader = ask(self->device, OPEN_READER, 0);
	pid_t child;

	ASSERT_LE(0, reader);
	child = fork();
	ASSERT_LE(0, child);
	if (child == 0) {
		usleep(100000);
		_exit(write(self->device, "x", 1) != 1);
	}
	EXPECT_EQ('x', read_byte(reader));
	EXPECT_EQ(0, wait_child(child));

	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &soon, NULL));
	EXPECT_EQ(-EINTR, read_byte(reader));
	EXPECT_EQ(0, close(reader));
}

TEST_F(files, a_poll_wakes_up)
{
	struct epoll_event event = {
		.events = EPOLLIN,
	};
	const int reader = ask(self->device, OPEN_READER, 0);
	const int epoll = epoll_create1(EPOLL_CLOEXEC);
	pid_t child;

	ASSERT_LE(0, reader);
	ASSERT_LE(0, epoll);
	ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, reader, &event));
	EXPECT_EQ(0, epoll_wait(epoll, &event, 1, 0));
	EXPECT_EQ(0, ready(reader));

	child = fork();
	ASSERT_LE(0, child);
	if (child == 0) {
		usleep(100000);
		_exit(write(self->device, "x", 1) != 1);
	}
	EXPECT_EQ(1, epoll_wait(epoll, &event, 1, 10000));
	EXPECT_EQ(EPOLLIN, event.events);
	EXPECT_EQ(0, wait_child(child));
	EXPECT_EQ(POLLIN, ready(reader));
	EXPECT_EQ('x', read_byte(reader));
	EXPECT_EQ(0, epoll_wait(epoll, &event, 1, 0));

	/* The end of the file is one, too. */
	ASSERT_EQ(0, close(self->device));
	self->device = -1;
	EXPECT_EQ(1, epoll_wait(epoll, &event, 1, 10000));
	EXPECT_EQ(EPOLLHUP, event.events);
	EXPECT_EQ(256, read_byte(reader));

	/* The queue goes with the file, while epoll waits for it. */
	EXPECT_EQ(0, close(reader));
	EXPECT_EQ(0, epoll_wait(epoll, &event, 1, 0));
	EXPECT_EQ(0, close(epoll));
}

TEST_HARNESS_MAIN
