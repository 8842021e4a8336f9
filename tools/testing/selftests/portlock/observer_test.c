// SPDX-License-Identifier: GPL-2.0
/*
 * Portlock tests: observers, and permissive layers
 *
 * What to expect is said in the documentation and in
 * security/portlock/spec.rs.
 */

#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

#include "kselftest_harness.h"
#include "connections.h"
#include "observers.h"

#define PORT 1024
#define OTHER_PORT 1025

FIXTURE(observer)
{
	int fd;
};

FIXTURE_SETUP(observer)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, own_network());
	self->fd = new_nonblocking_observer();
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(observer)
{
}

/* Refuses one access, which the observer of the layer hears of. */
static int refused_bind(void)
{
	return tcp_bind("127.0.0.1", PORT);
}

/* Creation */

TEST_F(observer, is_created_by_its_attribute)
{
	const struct portlock_observer_attr unknown = {
		.flags = 1,
	};
	const __u32 flag = PORTLOCK_CREATE_OBSERVER;
	__u64 longer[513] = {};
	int fd;

	EXPECT_EQ(-EFAULT, create_ruleset(NULL, 0, flag));
	EXPECT_EQ(-EFAULT, create_ruleset(NULL, 8, flag));
	EXPECT_EQ(-EFAULT, create_ruleset((void *)1, 8, flag));
	EXPECT_EQ(-EINVAL, create_ruleset(longer, 0, flag));
	EXPECT_EQ(-EINVAL, create_ruleset(longer, 7, flag));
	EXPECT_EQ(-E2BIG, create_ruleset(longer, 4097, flag));
	EXPECT_EQ(-EINVAL, create_ruleset(&unknown, sizeof(unknown), flag));
	fd = create_ruleset(longer, 4096, flag);
	EXPECT_LE(0, fd);
	EXPECT_EQ(0, close(fd));
	longer[1] = 1;
	EXPECT_EQ(-E2BIG, create_ruleset(longer, 16, flag));
	fd = create_ruleset(longer, 8, flag);
	EXPECT_LE(0, fd);
	EXPECT_EQ(0, close(fd));

	/* Flags stand alone. */
	longer[1] = 0;
	EXPECT_EQ(-EINVAL, create_ruleset(longer, 8, flag | 1));
	EXPECT_EQ(-EINVAL, create_ruleset(longer, 40,
					  flag | PORTLOCK_CREATE_RULESET));
}

TEST_F(observer, is_a_file_that_is_only_read)
{
	char name[64] = {};
	char path[64];
	char byte = 0;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->fd);
	EXPECT_LT(0, readlink(path, name, sizeof(name) - 1));
	EXPECT_STREQ("anon_inode:[portlock-observer]", name);
	EXPECT_EQ(O_RDONLY, fcntl(self->fd, F_GETFL) & O_ACCMODE);
	EXPECT_EQ(FD_CLOEXEC, fcntl(self->fd, F_GETFD));
	EXPECT_EQ(-1, write(self->fd, &byte, 1));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, lseek(self->fd, 0, SEEK_SET));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(-EBADFD, add_port(self->fd, PORT, BIND_TCP));
	ASSERT_EQ(0, no_new_privs());
	EXPECT_EQ(-EBADFD, restrict_self(self->fd, 0));
}

/* A ruleset does not lead to its observer. */
TEST_F(observer, cannot_be_read_by_a_ruleset)
{
	const int fd = observed(self->fd, BIND_TCP);
	struct portlock_event event;

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EINVAL, next_event(fd, &event));
	EXPECT_EQ(-EBADFD, observed(fd, BIND_TCP));
	EXPECT_EQ(0, close(fd));
}

TEST_F(observer, is_named_by_a_ruleset)
{
	struct portlock_ruleset_attr attr = {
		.handled_access_net = BIND_TCP,
		.flags = PORTLOCK_RULESET_OBSERVED,
		.observer_fd = -1,
	};
	int pipes[2];

	ASSERT_EQ(0, pipe(pipes));
	EXPECT_EQ(-EBADF, create_extended(&attr, sizeof(attr)));
	attr.observer_fd = 9999;
	EXPECT_EQ(-EBADF, create_extended(&attr, sizeof(attr)));
	attr.observer_fd = pipes[0];
	EXPECT_EQ(-EBADFD, create_extended(&attr, sizeof(attr)));

	/* Other errors come first. */
	attr.handled_access_net = 0;
	EXPECT_EQ(-ENOMSG, create_extended(&attr, sizeof(attr)));
	attr.quiet_access_net = BIND_TCP;
	EXPECT_EQ(-EINVAL, create_extended(&attr, sizeof(attr)));
	attr.quiet_access_net = 0;
	attr.handled_access_net = BIND_TCP;
	attr.flags |= 2;
	EXPECT_EQ(-EINVAL, create_extended(&attr, sizeof(attr)));

	/* Without the flag nothing may be named. */
	attr.flags = 0;
	attr.observer_fd = self->fd;
	EXPECT_EQ(-EINVAL, create_extended(&attr, sizeof(attr)));
	attr.observer_fd = 0;
	attr.observer_cookie = 1;
	EXPECT_EQ(-EINVAL, create_extended(&attr, sizeof(attr)));
	/* Nothing of this counts as a writer. */
	EXPECT_EQ(0, ready(self->fd));
}

/* Records */

TEST_F(observer, hears_what_is_refused)
{
	struct portlock_event event;

	ASSERT_EQ(0, enforce(observed(self->fd, TCP)));
	EXPECT_EQ(-EAGAIN, next_event(self->fd, &event));
	EXPECT_EQ(0, ready(self->fd));
	ASSERT_EQ(-EACCES, tcp_connect("127.0.0.2", PORT));
	EXPECT_EQ(POLLIN, ready(self->fd));
	ASSERT_EQ(1, next_event(self->fd, &event));
	EXPECT_EQ(sizeof(event), event.size);
	EXPECT_EQ(0, event.flags);
	EXPECT_EQ(1, event.id);
	EXPECT_EQ(0, event.lost);
	EXPECT_EQ(COOKIE, event.cookie);
	EXPECT_EQ(CONNECT_TCP, event.access_net);
	EXPECT_EQ(0, event.permissions);
	EXPECT_EQ(get_tid(), event.tid);
	EXPECT_EQ(AF_INET, event.family);
	EXPECT_EQ(SOCK_STREAM, event.type);
	EXPECT_EQ(IPPROTO_TCP, event.protocol);
	EXPECT_EQ(PORT, event.port);
	EXPECT_EQ(AF_INET, event.address_family);
	EXPECT_EQ(0, memcmp("\x7f\0\0\x02\0\0\0\0\0\0\0\0\0\0\0", event.address,
			    sizeof(event.address)));
	EXPECT_EQ(-EAGAIN, next_event(self->fd, &event));
	EXPECT_EQ(0, ready(self->fd));

	/* Numbers rise. */
	ASSERT_EQ(-EACCES, refused_bind());
	ASSERT_EQ(1, next_event(self->fd, &event));
	EXPECT_EQ(2, event.id);
	EXPECT_EQ(BIND_TCP, event.access_net);
}

/* What is allowed is not recorded. */
TEST_F(observer, hears_nothing_of_what_is_allowed)
{
	const int ruleset = observed(self->fd, TCP);

	ASSERT_EQ(0, add_net(ruleset, TCP, PORT, PORT, NULL));
	ASSERT_EQ(0, enforce(ruleset));
	EXPECT_EQ(0, refused_bind());
	EXPECT_EQ(-ECONNREFUSED, tcp_connect("127.0.0.1", PORT));
	EXPECT_EQ(0, tcp_listen("127.0.0.1", PORT));
	EXPECT_EQ(0, drain(self->fd));
}

/* Each record, by what is refused. */
struct heard {
	__u64 access_net;
	struct {
		__s32 family, type, protocol;
	};
	struct {
		__u32 port, address_family;
		const char *address;
	};
};

#define EXPECT_HEARD(observer, ...)                                          \
	do {                                                                 \
		const struct heard heard = { __VA_ARGS__ };                  \
		struct portlock_event event = {};                            \
		char address[16] = {};                                       \
									     \
		if (heard.address)                                           \
			inet_pton(heard.address_family, heard.address,       \
				  address);                                  \
		EXPECT_EQ(1, next_event(observer, &event));                  \
		EXPECT_EQ(heard.access_net, event.access_net);               \
		EXPECT_EQ(heard.family, event.family);                       \
		EXPECT_EQ(heard.type, event.type);                           \
		EXPECT_EQ(heard.protocol, event.protocol);                   \
		EXPECT_EQ(heard.port, event.port);                           \
		EXPECT_EQ(heard.address_family, event.address_family);       \
		EXPECT_EQ(0, memcmp(address, event.address, 16));            \
	} while (0)

#define TCP_OVER(family) { family, SOCK_STREAM, IPPROTO_TCP }
#define UDP_OVER(family) { family, SOCK_DGRAM, IPPROTO_UDP }
#define AT_IPV4(port, address) { port, AF_INET, address }
#define AT_IPV6(port, address) { port, AF_INET6, address }
#define AT_PORT(port) { port, 0, NULL }

TEST_F(observer, hears_the_address_that_was_asked_for)
{
	ASSERT_EQ(0, enforce(observed(self->fd, TCP | UDP)));
	EXPECT_EQ(-EACCES, tcp_bind("127.0.0.1", PORT));
	EXPECT_HEARD(self->fd, BIND_TCP, TCP_OVER(AF_INET),
		     AT_IPV4(PORT, "127.0.0.1"));
	EXPECT_EQ(-EACCES, tcp_bind("0.0.0.0", PORT));
	EXPECT_HEARD(self->fd, BIND_TCP, TCP_OVER(AF_INET),
		     AT_IPV4(PORT, "0.0.0.0"));
	EXPECT_EQ(-EACCES, tcp_connect("::1", PORT));
	EXPECT_HEARD(self->fd, CONNECT_TCP, TCP_OVER(AF_INET6),
		     AT_IPV6(PORT, "::1"));
	/* A mapped address is one of IPv4. */
	EXPECT_EQ(-EACCES, tcp_connect("::ffff:10.1.2.3", PORT));
	EXPECT_HEARD(self->fd, CONNECT_TCP, TCP_OVER(AF_INET6),
		     AT_IPV4(PORT, "10.1.2.3"));
	EXPECT_EQ(-EACCES, new_listen(0, "127.0.0.1", PORT));
	EXPECT_HEARD(self->fd, BIND_TCP, TCP_OVER(AF_INET),
		     AT_IPV4(PORT, "127.0.0.1"));
	EXPECT_EQ(-EACCES, udp_bind("::1", PORT));
	EXPECT_HEARD(self->fd, BIND_UDP, UDP_OVER(AF_INET6),
		     AT_IPV6(PORT, "::1"));
	EXPECT_EQ(-EACCES, new_send("127.0.0.1", PORT));
	EXPECT_HEARD(self->fd, SEND_UDP, UDP_OVER(AF_INET),
		     AT_IPV4(PORT, "127.0.0.1"));
	EXPECT_EQ(0, drain(self->fd));
}

TEST_F(observer, hears_of_a_listener)
{
	const int fd = make_socket(AF_INET6, SOCK_STREAM, 0);

	ASSERT_EQ(0, bind_to(fd, "::1", PORT));
	ASSERT_EQ(0, enforce(observed(self->fd, TCP)));
	EXPECT_EQ(-EACCES, try_listen(fd));
	EXPECT_HEARD(self->fd, LISTEN_TCP, TCP_OVER(AF_INET6),
		     AT_IPV6(PORT, "::1"));
	EXPECT_EQ(0, close(fd));
}

TEST_F(observer, hears_the_service_port_and_the_peer)
{
	const int listener = listen_at(0, "127.0.0.1", PORT);
	const int client = dial(0, "127.0.0.1", OTHER_PORT, "127.0.0.1", PORT);
	const int accepted = try_accept(listener);
	const int udp = bound_at(SOCK_DGRAM, 0, "127.0.0.1", PORT);
	char byte;

	ASSERT_LE(0, accepted);
	ASSERT_LE(0, udp);
	ASSERT_EQ(0, enforce(observed(self->fd, ALL_TCP | ALL_UDP)));
	EXPECT_EQ(-EACCES, send_fd_to(client, 0, 0));
	EXPECT_HEARD(self->fd, SEND_TCP, TCP_OVER(AF_INET),
		     AT_IPV4(PORT, "127.0.0.1"));
	EXPECT_EQ(-EACCES, receive_byte(accepted, 0));
	EXPECT_HEARD(self->fd, RECEIVE_TCP, TCP_OVER(AF_INET),
		     AT_IPV4(PORT, "127.0.0.1"));
	EXPECT_EQ(-1, shutdown(client, SHUT_WR));
	EXPECT_HEARD(self->fd, SHUTDOWN_TCP, TCP_OVER(AF_INET),
		     AT_IPV4(PORT, "127.0.0.1"));
	EXPECT_EQ(-EACCES, try_accept(listener));
	EXPECT_HEARD(self->fd, ACCEPT_TCP, TCP_OVER(AF_INET), AT_PORT(PORT));
	EXPECT_EQ(-1, recv(udp, &byte, 1, 0));
	EXPECT_HEARD(self->fd, RECEIVE_UDP, UDP_OVER(AF_INET), AT_PORT(PORT));
	EXPECT_EQ(-EACCES, set_option(client, SOL_SOCKET, SO_KEEPALIVE, &byte,
				      4));
	EXPECT_HEARD(self->fd, SETSOCKOPT_TCP, TCP_OVER(AF_INET),
		     AT_IPV4(PORT, "127.0.0.1"));
	EXPECT_EQ(0, drain(self->fd));
}

/* A disconnect leaves the address of the last peer in a socket of IPv6. */
TEST_F(observer, hears_of_no_peer_that_is_gone)
{
	const struct sockaddr none = { .sa_family = AF_UNSPEC };
	const int fd = make_socket(AF_INET6, SOCK_DGRAM, 0);
	const int ruleset = observed(self->fd, SEND_UDP);

	ASSERT_EQ(0, connect_to(fd, "::1", PORT));
	ASSERT_EQ(0, connect(fd, &none, sizeof(none)));
	ASSERT_EQ(0, add_net(ruleset, SEND_UDP, PORT, PORT, "::1/128"));
	ASSERT_EQ(0, enforce(ruleset));
	EXPECT_EQ(-1, send(fd, "x", 1, MSG_DONTROUTE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_HEARD(self->fd, SEND_UDP, UDP_OVER(AF_INET6), AT_IPV6(0, "::"));
	EXPECT_EQ(0, close(fd));
}

TEST_F(observer, hears_of_a_connection_that_is_closed)
{
	const int listener = listen_at(0, "127.0.0.1", PORT);
	const int client = dial(0, "127.0.0.2", OTHER_PORT, "127.0.0.1", PORT);
	const int ruleset = observed(self->fd, ACCEPT_TCP);

	ASSERT_LE(0, client);
	ASSERT_EQ(0, add_net(ruleset, ACCEPT_TCP, PORT, PORT, "10.0.0.0/8"));
	ASSERT_EQ(0, enforce(ruleset));
	EXPECT_EQ(-ECONNABORTED, try_accept(listener));
	EXPECT_HEARD(self->fd, ACCEPT_TCP, TCP_OVER(AF_INET),
		     AT_IPV4(PORT, "127.0.0.2"));
	EXPECT_EQ(0, drain(self->fd));
}

TEST_F(observer, hears_of_sockets_that_are_not_created)
{
	struct portlock_event event;

	ASSERT_EQ(0, enforce(observed_with(self->fd, 7, 0, 0, SOCKET_CREATE)));
	EXPECT_EQ(-EACCES, new_socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC,
				      0));
	ASSERT_EQ(1, next_event(self->fd, &event));
	EXPECT_EQ(SOCKET_CREATE, event.permissions);
	EXPECT_EQ(0, event.access_net);
	EXPECT_EQ(7, event.cookie);
	EXPECT_EQ(AF_UNIX, event.family);
	EXPECT_EQ(SOCK_SEQPACKET, event.type);
	EXPECT_EQ(0, event.protocol);
	EXPECT_EQ(0, event.port);
	EXPECT_EQ(0, event.address_family);
}

/* An option that would choose a way is refused whatever is handled. */
TEST_F(observer, hears_of_a_way_as_of_an_option)
{
	const int fd = make_socket(AF_INET, SOCK_STREAM, 0);
	const int ruleset = observed(self->fd, CONNECT_TCP);

	ASSERT_EQ(0, add_net(ruleset, CONNECT_TCP, PORT, PORT, "10.0.0.0/8"));
	ASSERT_EQ(0, enforce(ruleset));
	EXPECT_EQ(-EACCES, set_option(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo",
				      3));
	EXPECT_HEARD(self->fd, SETSOCKOPT_TCP, TCP_OVER(AF_INET), AT_PORT(0));
	EXPECT_EQ(0, close(fd));
}

TEST_F(observer, hears_nothing_of_quiet_rules)
{
	const int ruleset = observed_with(self->fd, 0, TCP, BIND_TCP, 0);
	struct portlock_net_attr attr = {
		.port_first = PORT,
		.port_last = PORT,
	};

	ASSERT_EQ(0, add_rule(ruleset, PORTLOCK_RULE_NET, &attr,
			      LANDLOCK_ADD_RULE_QUIET));
	/* The log flags are about audit. */
	ASSERT_EQ(0, enforce_as(ruleset,
				LANDLOCK_RESTRICT_SELF_LOG_SAME_EXEC_OFF));
	EXPECT_EQ(-EACCES, tcp_bind("127.0.0.1", PORT));
	EXPECT_EQ(0, drain(self->fd));
	EXPECT_EQ(-EACCES, tcp_bind("127.0.0.1", OTHER_PORT));
	EXPECT_EQ(-EACCES, tcp_connect("127.0.0.1", PORT));
	EXPECT_EQ(2, drain(self->fd));
}

/* Layers */

TEST_F(observer, hears_of_its_own_layers_only)
{
	const int other = new_nonblocking_observer();
	struct portlock_event event;
	const int both = observed_with(self->fd, 2, BIND_TCP, 0, 0);

	ASSERT_LE(0, other);
	ASSERT_LE(0, both);
	ASSERT_EQ(0, enforce(observed_with(self->fd, 1, BIND_TCP, 0, 0)));
	ASSERT_EQ(0, restrict_extended(BIND_TCP | CONNECT_TCP));
	ASSERT_EQ(0, enforce(observed_with(other, 3, BIND_TCP, 0, 0)));
	ASSERT_EQ(0, enforce(both));
	ASSERT_EQ(0, restrict_extended(BIND_TCP));

	/* Each layer tells for itself, the youngest first. */
	EXPECT_EQ(-EACCES, refused_bind());
	ASSERT_EQ(1, next_event(self->fd, &event));
	EXPECT_EQ(2, event.cookie);
	ASSERT_EQ(1, next_event(self->fd, &event));
	EXPECT_EQ(1, event.cookie);
	EXPECT_EQ(0, drain(self->fd));
	ASSERT_EQ(1, next_event(other, &event));
	EXPECT_EQ(3, event.cookie);
	EXPECT_EQ(1, event.id);
	EXPECT_EQ(0, drain(other));

	/* This one is not observed. */
	EXPECT_EQ(-EACCES, tcp_connect("127.0.0.1", PORT));
	EXPECT_EQ(0, drain(self->fd));
	EXPECT_EQ(0, drain(other));
}

/* Room */

TEST_F(observer, gives_as_many_records_as_fit)
{
	struct portlock_event events[8];

	EXPECT_EQ(-1, read(self->fd, events, sizeof(events[0]) - 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, read(self->fd, events, 0));
	EXPECT_EQ(EINVAL, errno);
	ASSERT_EQ(0, enforce(observed(self->fd, TCP)));
	for (int i = 0; i < 5; i++)
		ASSERT_EQ(-EACCES, refused_bind());
	EXPECT_EQ(2 * sizeof(events[0]),
		  read(self->fd, events, 3 * sizeof(events[0]) - 1));
	EXPECT_EQ(1, events[0].id);
	EXPECT_EQ(2, events[1].id);
	EXPECT_EQ(3 * sizeof(events[0]),
		  read(self->fd, events, sizeof(events)));
	EXPECT_EQ(3, events[0].id);
	EXPECT_EQ(5, events[2].id);
}

TEST_F(observer, loses_nothing_by_a_buffer_that_is_not_there)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	char *const map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct portlock_event event;

	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, munmap(map + page, page));
	ASSERT_EQ(0, enforce(observed(self->fd, TCP)));
	for (int i = 0; i < 3; i++)
		ASSERT_EQ(-EACCES, refused_bind());
	EXPECT_EQ(-1, read(self->fd, map + page, page));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, read(self->fd, map + page - 8, page));
	EXPECT_EQ(EFAULT, errno);
	/* One record and a part of the next. */
	EXPECT_EQ(sizeof(event),
		  read(self->fd, map + page - sizeof(event) - 8, page));
	EXPECT_EQ(1, ((struct portlock_event *)(map + page - sizeof(event) - 8))
			     ->id);
	ASSERT_EQ(1, next_event(self->fd, &event));
	EXPECT_EQ(2, event.id);
	EXPECT_EQ(0, event.lost);
	ASSERT_EQ(1, next_event(self->fd, &event));
	EXPECT_EQ(3, event.id);
	EXPECT_EQ(0, drain(self->fd));
}

TEST_F(observer, counts_what_it_has_no_room_for)
{
	struct portlock_event event;
	__u64 id = 0;

	ASSERT_EQ(0, enforce(observed(self->fd, TCP)));
	for (int i = 0; i < CAPACITY + 5; i++)
		ASSERT_EQ(-EACCES, refused_bind());
	/* The oldest are kept. */
	ASSERT_EQ(1, next_event(self->fd, &event));
	EXPECT_EQ(1, event.id);
	EXPECT_EQ(0, event.lost);

	/* The next that has room tells it. */
	ASSERT_EQ(-EACCES, tcp_connect("127.0.0.1", PORT));
	ASSERT_EQ(-EACCES, refused_bind());
	for (int i = 1; i < CAPACITY; i++) {
		ASSERT_EQ(1, next_event(self->fd, &event));
		ASSERT_EQ(0, event.lost);
		ASSERT_LT(id, event.id);
		ASSERT_EQ(BIND_TCP, event.access_net);
		id = event.id;
	}
	ASSERT_EQ(1, next_event(self->fd, &event));
	EXPECT_EQ(5, event.lost);
	EXPECT_EQ(CONNECT_TCP, event.access_net);
	EXPECT_LT(id, event.id);
	id = event.id;

	/* If none comes, a record of its own does. */
	EXPECT_EQ(POLLIN, ready(self->fd));
	ASSERT_EQ(1, next_event(self->fd, &event));
	EXPECT_EQ(1, event.lost);
	EXPECT_EQ(0, event.access_net);
	EXPECT_EQ(0, event.permissions);
	EXPECT_EQ(sizeof(event), event.size);
	EXPECT_LT(id, event.id);
	EXPECT_EQ(-EAGAIN, next_event(self->fd, &event));
	EXPECT_EQ(0, ready(self->fd));
}

/* The end */

TEST_F(observer, ends_with_the_last_ruleset)
{
	struct portlock_event event;
	int one, other;

	/* Before the first, there is no end. */
	EXPECT_EQ(-EAGAIN, next_event(self->fd, &event));
	EXPECT_EQ(0, ready(self->fd));
	one = observed(self->fd, TCP);
	other = observed(self->fd, TCP);
	ASSERT_LE(0, one);
	ASSERT_LE(0, other);
	EXPECT_EQ(0, close(one));
	EXPECT_EQ(-EAGAIN, next_event(self->fd, &event));
	EXPECT_EQ(0, close(other));
	EXPECT_EQ(POLLHUP, ready(self->fd));
	EXPECT_EQ(0, next_event(self->fd, &event));
	EXPECT_EQ(0, next_event(self->fd, &event));

	/* As a pipe, it can have another writer. */
	one = observed(self->fd, TCP);
	ASSERT_LE(0, one);
	EXPECT_EQ(-EAGAIN, next_event(self->fd, &event));
	EXPECT_EQ(0, ready(self->fd));
	EXPECT_EQ(0, close(one));
	EXPECT_EQ(POLLHUP, ready(self->fd));
}

TEST_F(observer, does_not_end_with_a_ruleset_that_was_not_made)
{
	struct rlimit limit;
	rlim_t most;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	most = limit.rlim_cur;
	limit.rlim_cur = 0;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	EXPECT_EQ(-EMFILE, observed(self->fd, TCP));
	limit.rlim_cur = most;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	EXPECT_EQ(0, ready(self->fd));
}

/* Waits for the end, and returns how many records came before it. */
static int read_to_the_end(int observer)
{
	if (fcntl(observer, F_SETFL, 0))
		return -errno;
	return drain(observer);
}

TEST_F(observer, ends_with_the_last_layer)
{
	const int ruleset = observed(self->fd, TCP);
	pid_t child;

	ASSERT_LE(0, ruleset);
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		if (enforce(ruleset) || refused_bind() != -EACCES ||
		    refused_bind() != -EACCES)
			_exit(1);
		_exit(0);
	}
	EXPECT_EQ(0, close(ruleset));
	EXPECT_EQ(0, wait_child(child));
	EXPECT_EQ(2, read_to_the_end(self->fd));
	EXPECT_EQ(POLLHUP, ready(self->fd));
}

/* What is lost is told before the end. */
TEST_F(observer, tells_what_is_lost_before_the_end)
{
	const int ruleset = observed(self->fd, TCP);
	struct portlock_event event;
	pid_t child;

	ASSERT_LE(0, ruleset);
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		if (enforce(ruleset))
			_exit(1);
		for (int i = 0; i < CAPACITY + 3; i++)
			if (refused_bind() != -EACCES)
				_exit(2);
		_exit(0);
	}
	EXPECT_EQ(0, close(ruleset));
	EXPECT_EQ(0, wait_child(child));
	for (int i = 0; i < CAPACITY; i++)
		ASSERT_EQ(1, next_event(self->fd, &event));
	EXPECT_EQ(POLLIN, ready(self->fd) & POLLIN);
	ASSERT_EQ(0, fcntl(self->fd, F_SETFL, 0));
	ASSERT_EQ(1, next_event(self->fd, &event));
	EXPECT_EQ(3, event.lost);
	EXPECT_EQ(0, event.access_net);
	EXPECT_EQ(0, next_event(self->fd, &event));
}

/* A domain that was not enforced is no writer. */
TEST_F(observer, ends_although_a_ruleset_was_not_enforced)
{
	const int ruleset = observed(self->fd, TCP);

	ASSERT_LE(0, ruleset);
	ASSERT_EQ(0, no_new_privs());
	EXPECT_EQ(-EINVAL, restrict_self(ruleset, 1 << 30));
	for (int i = 0; i < MAX_LAYERS; i++)
		ASSERT_EQ(0, restrict_all(SEND_UDP));
	EXPECT_EQ(-E2BIG, restrict_self(ruleset, 0));
	EXPECT_EQ(0, close(ruleset));
	EXPECT_EQ(0, read_to_the_end(self->fd));
}

/* After the last close, refusals go on and nothing is kept. */
TEST_F(observer, may_be_closed_before_its_layers)
{
	const int again = dup(self->fd);

	ASSERT_LE(0, again);
	ASSERT_EQ(0, enforce(observed(self->fd, TCP)));
	EXPECT_EQ(-EACCES, refused_bind());
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(-EACCES, refused_bind());
	EXPECT_EQ(2, drain(again));
	EXPECT_EQ(0, close(again));
	for (int i = 0; i < 2 * CAPACITY; i++)
		ASSERT_EQ(-EACCES, refused_bind());
}

static __u64 free_bytes(void)
{
	struct sysinfo info = {};

	sysinfo(&info);
	return (__u64)info.freeram * info.mem_unit;
}

TEST_F(observer, keeps_no_room_for_records_once_it_is_closed)
{
	const __u64 room = CAPACITY * sizeof(struct portlock_event);
	int observers[100], rulesets[ARRAY_SIZE(observers)];
	__u64 before;

	for (int i = 0; i < ARRAY_SIZE(observers); i++) {
		observers[i] = new_observer();
		rulesets[i] = observed(observers[i], TCP);
		ASSERT_LE(0, rulesets[i]);
	}
	before = free_bytes();
	for (int i = 0; i < ARRAY_SIZE(observers); i++)
		ASSERT_EQ(0, close(observers[i]));
	EXPECT_LT(before + ARRAY_SIZE(observers) * room / 2, free_bytes());
	for (int i = 0; i < ARRAY_SIZE(observers); i++)
		ASSERT_EQ(0, close(rulesets[i]));
}

/* Waiting */

static void *refuse_later(void *arg)
{
	const int ruleset = (intptr_t)arg;

	usleep(100000);
	return (void *)(intptr_t)(enforce(ruleset) ?: refused_bind());
}

TEST_F(observer, is_waited_for)
{
	const int ruleset = observed(self->fd, TCP);
	struct pollfd fd = {
		.fd = self->fd,
		.events = POLLIN,
	};
	struct epoll_event ready_event = {
		.events = EPOLLIN | EPOLLET,
	};
	const int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct portlock_event event;
	pthread_t thread;
	void *ret;

	ASSERT_LE(0, ruleset);
	ASSERT_LE(0, epoll);
	ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, self->fd, &ready_event));
	EXPECT_EQ(0, epoll_wait(epoll, &ready_event, 1, 0));
	ASSERT_EQ(0, fcntl(self->fd, F_SETFL, 0));

	/* Each of the three ways to wait. */
	ASSERT_EQ(0, pthread_create(&thread, NULL, refuse_later,
				    (void *)(intptr_t)dup(ruleset)));
	EXPECT_EQ(1, poll(&fd, 1, 10000));
	EXPECT_EQ(POLLIN, fd.revents);
	EXPECT_EQ(1, epoll_wait(epoll, &ready_event, 1, 10000));
	ASSERT_EQ(0, pthread_join(thread, &ret));
	EXPECT_EQ(-EACCES, (intptr_t)ret);
	ASSERT_EQ(1, next_event(self->fd, &event));

	ASSERT_EQ(0, pthread_create(&thread, NULL, refuse_later,
				    (void *)(intptr_t)dup(ruleset)));
	EXPECT_EQ(1, next_event(self->fd, &event));
	EXPECT_NE(get_tid(), event.tid);
	EXPECT_EQ(0, epoll_wait(epoll, &ready_event, 1, 0));
	ASSERT_EQ(0, pthread_join(thread, &ret));
	EXPECT_EQ(0, close(epoll));
	EXPECT_EQ(0, close(ruleset));
}

static void ignore_signal(int signal)
{
}

TEST_F(observer, may_be_interrupted)
{
	const struct sigaction action = {
		.sa_handler = ignore_signal,
	};
	const int ruleset = observed(self->fd, TCP);
	struct portlock_event event;

	ASSERT_LE(0, ruleset);
	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	ASSERT_EQ(0, fcntl(self->fd, F_SETFL, 0));
	ualarm(100000, 100000);
	EXPECT_EQ(-EINTR, next_event(self->fd, &event));
	ualarm(0, 0);
	EXPECT_EQ(0, close(ruleset));
}

/* Threads */

TEST_F(observer, numbers_threads_in_the_namespace_of_its_maker)
{
	const int ruleset = observed(self->fd, TCP);
	struct portlock_event event;
	int pipes[2], inner = -1;
	pid_t child, told = 0;

	ASSERT_LE(0, ruleset);
	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(0, unshare(CLONE_NEWPID));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		/* An observer from inside does not know threads outside. */
		inner = new_nonblocking_observer();
		if (getpid() != 1 || inner < 0 || enforce(ruleset) ||
		    enforce(observed(inner, TCP)) ||
		    refused_bind() != -EACCES || next_event(inner, &event) != 1)
			_exit(1);
		_exit(event.tid == 1 ? 0 : 2);
	}
	told = child;
	EXPECT_EQ(0, wait_child(child));
	ASSERT_EQ(1, next_event(self->fd, &event));
	EXPECT_EQ(told, event.tid);
	EXPECT_EQ(0, close(ruleset));
}

/* Who gets the descriptor may read. */
TEST_F(observer, may_be_read_inside_the_layer_and_elsewhere)
{
	struct portlock_event event;
	int socks[2];
	pid_t child;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socks));
	ASSERT_EQ(0, enforce(observed(self->fd, TCP)));
	EXPECT_EQ(-EACCES, refused_bind());
	EXPECT_EQ(-EACCES, refused_bind());
	EXPECT_EQ(1, next_event(self->fd, &event));
	ASSERT_EQ(0, send_descriptor(socks[0], self->fd));
	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		_exit(drain(receive_descriptor(socks[1])));
	EXPECT_EQ(1, wait_child(child));
}

static void *drain_to_the_end(void *arg)
{
	return (void *)(intptr_t)drain((intptr_t)arg);
}

/* Each record is read once. */
TEST_F(observer, may_have_several_readers)
{
	const int ruleset = observed(self->fd, TCP);
	const int total = 700;
	pthread_t threads[3];
	int count = 0;
	pid_t child;

	ASSERT_LE(0, ruleset);
	ASSERT_EQ(0, fcntl(self->fd, F_SETFL, 0));
	for (int i = 0; i < ARRAY_SIZE(threads); i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, drain_to_the_end,
					    (void *)(intptr_t)self->fd));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		if (enforce(ruleset))
			_exit(1);
		for (int i = 0; i < total; i++)
			if (refused_bind() != -EACCES)
				_exit(2);
		_exit(0);
	}
	EXPECT_EQ(0, close(ruleset));
	EXPECT_EQ(0, wait_child(child));
	for (int i = 0; i < ARRAY_SIZE(threads); i++) {
		void *ret;

		ASSERT_EQ(0, pthread_join(threads[i], &ret));
		count += (intptr_t)ret;
	}
	EXPECT_EQ(total, count);
}

/* Permissive layers */

TEST_F(observer, hears_what_a_permissive_layer_would_refuse)
{
	struct portlock_event event;

	ASSERT_EQ(0, enforce_permissive(observed(self->fd, TCP)));
	EXPECT_EQ(0, refused_bind());
	ASSERT_EQ(1, next_event(self->fd, &event));
	EXPECT_EQ(PORTLOCK_EVENT_PERMISSIVE, event.flags);
	EXPECT_EQ(BIND_TCP, event.access_net);
	EXPECT_EQ(PORT, event.port);
	EXPECT_EQ(-ECONNREFUSED, tcp_connect("127.0.0.1", PORT));
	EXPECT_EQ(1, drain(self->fd));
	EXPECT_EQ(0, tcp_listen("127.0.0.1", PORT));
	EXPECT_EQ(2, drain(self->fd));
}

TEST_F(observer, hears_of_permissive_layers_below_others)
{
	struct portlock_event event;

	ASSERT_EQ(0, restrict_extended(BIND_TCP));
	ASSERT_EQ(0, enforce_permissive(observed(self->fd, TCP)));
	ASSERT_EQ(0, restrict_extended(CONNECT_TCP));

	/* Refused by an older layer, and by a younger one. */
	EXPECT_EQ(-EACCES, refused_bind());
	ASSERT_EQ(1, next_event(self->fd, &event));
	EXPECT_EQ(BIND_TCP, event.access_net);
	EXPECT_EQ(-EACCES, tcp_connect("127.0.0.1", PORT));
	ASSERT_EQ(1, next_event(self->fd, &event));
	EXPECT_EQ(CONNECT_TCP, event.access_net);
	EXPECT_EQ(PORTLOCK_EVENT_PERMISSIVE, event.flags);
	EXPECT_EQ(0, drain(self->fd));
}

TEST_F(observer, hears_of_a_socket_that_may_name_a_device)
{
	const int fd = make_socket(AF_INET6, SOCK_DGRAM, 0);
	const int ruleset = observed(self->fd, SEND_UDP);
	struct portlock_event event;

	ASSERT_EQ(0, add_net(ruleset, SEND_UDP, PORT, PORT, "::1/128"));
	ASSERT_EQ(0, enforce_permissive(ruleset));
	/* The layer lets it pass, and the stack misses a scope. */
	EXPECT_EQ(-EINVAL, connect_to(fd, "fe80::1", PORT));
	EXPECT_EQ(1, drain(self->fd));
	ASSERT_EQ(0, restrict_extended(SEND_UDP));

	/* The layer would refuse, whatever the other one does. */
	EXPECT_EQ(-EACCES, send_to(fd, "::1", PORT, 0));
	ASSERT_EQ(1, next_event(self->fd, &event));
	EXPECT_EQ(SEND_UDP, event.access_net);
	EXPECT_EQ(PORTLOCK_EVENT_PERMISSIVE, event.flags);
	EXPECT_EQ(0, drain(self->fd));
	EXPECT_EQ(0, close(fd));
}

FIXTURE(permissive)
{
};

FIXTURE_SETUP(permissive)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, own_network());
}

FIXTURE_TEARDOWN(permissive)
{
}

/*
 * For all else it is an unknown flag, which C Landlock refuses before it looks for a
 * ruleset or for privileges.
 */
TEST_F(permissive, is_for_extended_rulesets_only)
{
	const __u32 flag = PORTLOCK_RESTRICT_SELF_PERMISSIVE;
	const int fds[] = { net_ruleset(BIND_TCP), new_observer(), 0, -1, 12345 };
	size_t i;

	ASSERT_LE(0, fds[0]);
	ASSERT_LE(0, fds[1]);
	ASSERT_EQ(0, drop_all_caps());
	for (i = 0; i < 2 * ARRAY_SIZE(fds); i++) {
		const int fd = fds[i % ARRAY_SIZE(fds)];

		/* Once more with all that else is needed. */
		if (i == ARRAY_SIZE(fds))
			ASSERT_EQ(0, no_new_privs());
		EXPECT_EQ(-EINVAL, restrict_self(fd, flag))
			TH_LOG("fd %d", fd);
		EXPECT_EQ(-EINVAL,
			  restrict_self(fd, flag | LANDLOCK_RESTRICT_SELF_LOG_SUBDOMAINS_OFF))
			TH_LOG("fd %d", fd);
	}
	EXPECT_EQ(0, refused_bind());
}

TEST_F(permissive, refuses_unknown_flags_beside_it)
{
	const int ruleset = extended(BIND_TCP, 0);

	ASSERT_LE(0, ruleset);
	EXPECT_EQ(-EINVAL,
		  restrict_self(ruleset,
				PORTLOCK_RESTRICT_SELF_PERMISSIVE | 1 << 30));
}

TEST_F(permissive, needs_what_other_layers_need)
{
	const int ruleset = extended(BIND_TCP, 0);

	ASSERT_LE(0, ruleset);
	ASSERT_EQ(0, drop_all_caps());
	EXPECT_EQ(-EPERM, restrict_self(ruleset,
					PORTLOCK_RESTRICT_SELF_PERMISSIVE));
	EXPECT_EQ(0, enforce_permissive(ruleset));
	EXPECT_EQ(0, refused_bind());
}

TEST_F(permissive, does_not_weaken_other_layers)
{
	ASSERT_EQ(0, enforce_permissive(extended(ALL_TCP | ALL_UDP,
						 SOCKET_CREATE)));
	EXPECT_EQ(0, refused_bind());
	ASSERT_EQ(0, restrict_to_port(BIND_TCP, OTHER_PORT, BIND_TCP));
	EXPECT_EQ(-EACCES, refused_bind());
	EXPECT_EQ(0, tcp_bind("127.0.0.1", OTHER_PORT));
	ASSERT_EQ(0, enforce_permissive(extended(BIND_TCP, 0)));
	EXPECT_EQ(-EACCES, refused_bind());
	EXPECT_EQ(0, tcp_bind("127.0.0.1", OTHER_PORT));
}

/* One that is granted by address elsewhere is still held to its way. */
TEST_F(permissive, does_not_free_a_socket_granted_by_address)
{
	const int fd = make_socket(AF_INET6, SOCK_STREAM, 0);

	ASSERT_EQ(0, restrict_to(CONNECT_TCP, CONNECT_TCP, PORT, PORT,
				 "::1/128"));
	ASSERT_EQ(0, enforce_permissive(extended(CONNECT_TCP, 0)));
	EXPECT_EQ(-ECONNREFUSED, connect_to(fd, "::1", PORT));
	EXPECT_EQ(-EACCES, bind_to(fd, "fe80::1%1", PORT));
	EXPECT_EQ(-EACCES, set_option(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo",
				      3));
	EXPECT_EQ(0, close(fd));
}

/* What was not granted by address after all may go its own way. */
TEST_F(permissive, does_not_hide_a_refusal_of_an_equal_layer)
{
	const int fd = make_socket(AF_INET6, SOCK_STREAM, 0);
	const int ruleset = extended(CONNECT_TCP, 0);

	ASSERT_LE(0, ruleset);
	ASSERT_EQ(0, restrict_to(CONNECT_TCP, CONNECT_TCP, PORT, PORT,
				 "::1/128"));
	ASSERT_EQ(0, enforce(dup(ruleset)));
	ASSERT_EQ(0, enforce_permissive(ruleset));
	ASSERT_EQ(0, restrict_to(CONNECT_TCP, CONNECT_TCP, PORT, PORT,
				 "::1/128"));
	EXPECT_EQ(-EACCES, connect_to(fd, "::1", PORT));
	EXPECT_EQ(-EADDRNOTAVAIL, bind_to(fd, "fe80::1%1", PORT));
	EXPECT_EQ(0, close(fd));
}

/* Errors of the address hold, refusals do not. */
TEST_F(permissive, keeps_the_errors_of_addresses)
{
	const int tcp = make_socket(AF_INET, SOCK_STREAM, 0);
	const int udp = make_socket(AF_INET6, SOCK_DGRAM, 0);
	union addr addr = {};

	ASSERT_EQ(0, enforce_permissive(extended(TCP | UDP, 0)));
	addr.sa.sa_family = AF_INET;
	EXPECT_EQ(-1, connect(tcp, &addr.sa, 2));
	EXPECT_EQ(EINVAL, errno);
	addr.sa.sa_family = AF_UNSPEC;
	addr.in.sin_addr.s_addr = 1;
	EXPECT_EQ(-1, bind(tcp, &addr.sa, sizeof(addr.in)));
	EXPECT_EQ(EAFNOSUPPORT, errno);
	/* To no family is EACCES in other layers, whatever the rules. */
	memset(&addr, 0, sizeof(addr));
	EXPECT_EQ(-1, sendto(udp, "x", 1, 0, &addr.sa, sizeof(addr.in6)));
	EXPECT_NE(EACCES, errno);
	EXPECT_EQ(0, close(tcp));
	EXPECT_EQ(0, close(udp));
}

/* What is allowed by a permissive layer is asked again each time. */
TEST_F(permissive, records_each_transfer)
{
	const int observer = new_nonblocking_observer();
	const int listener = listen_at(0, "127.0.0.1", PORT);
	const int client = dial(0, "127.0.0.1", 0, "127.0.0.1", PORT);
	const int ruleset = observed(observer, SEND_TCP);

	ASSERT_LE(0, client);
	ASSERT_EQ(0, add_net(ruleset, SEND_TCP, PORT, PORT, "10.0.0.0/8"));
	ASSERT_EQ(0, enforce_permissive(ruleset));
	for (int i = 0; i < 5; i++)
		EXPECT_EQ(0, send_fd_to(client, 0, 0));
	EXPECT_EQ(5, drain(observer));
	EXPECT_EQ(0, close(listener));
}

/* Those of sendmmsg(2) too, also if all have the same destination. */
TEST_F(permissive, records_each_message)
{
	const int observer = new_nonblocking_observer();
	const int fd = make_socket(AF_INET, SOCK_DGRAM, 0);
	struct mmsghdr messages[5] = {};
	union addr addr;

	ASSERT_LE(0, fd);
	for (int i = 0; i < ARRAY_SIZE(messages); i++) {
		messages[i].msg_hdr.msg_name = &addr;
		messages[i].msg_hdr.msg_namelen =
			loopback(&addr, AF_INET, PORT);
	}
	ASSERT_EQ(0, enforce_permissive(observed(observer, SEND_UDP)));
	ASSERT_EQ(5, sendmmsg(fd, messages, ARRAY_SIZE(messages), 0));
	EXPECT_EQ(5, drain(observer));
	EXPECT_EQ(0, close(fd));
}

TEST_F(permissive, accepts_what_it_would_refuse)
{
	const int observer = new_nonblocking_observer();
	const int listener = listen_at(0, "127.0.0.1", PORT);
	const int client = dial(0, "127.0.0.1", OTHER_PORT, "127.0.0.1", PORT);
	int fd;

	ASSERT_LE(0, client);
	ASSERT_EQ(0, enforce_permissive(observed(observer, ACCEPT_TCP)));
	fd = try_accept(listener);
	EXPECT_LE(0, fd);
	/* Once for the listener, and once for the connection. */
	EXPECT_HEARD(observer, ACCEPT_TCP, TCP_OVER(AF_INET), AT_PORT(PORT));
	EXPECT_HEARD(observer, ACCEPT_TCP, TCP_OVER(AF_INET),
		     AT_IPV4(PORT, "127.0.0.1"));
	EXPECT_EQ(0, drain(observer));
	EXPECT_EQ(0, close(fd));
}

TEST_F(permissive, creates_what_it_would_refuse)
{
	const int observer = new_nonblocking_observer();
	struct portlock_event event;

	ASSERT_EQ(0, enforce_permissive(
			     observed_with(observer, 0, 0, 0, SOCKET_CREATE)));
	EXPECT_EQ(0, new_socket(AF_INET, SOCK_STREAM, 0));
	ASSERT_EQ(1, next_event(observer, &event));
	EXPECT_EQ(SOCKET_CREATE, event.permissions);
	EXPECT_EQ(PORTLOCK_EVENT_PERMISSIVE, event.flags);
}

TEST_HARNESS_MAIN
