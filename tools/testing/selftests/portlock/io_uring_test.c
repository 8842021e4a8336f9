// SPDX-License-Identifier: GPL-2.0
/*
 * Portlock tests: sockets used through io_uring
 *
 * A request is checked with the credentials that it runs with.  These are the
 * credentials of the submitter, with two exceptions.  A request that names a
 * personality runs with the credentials that were registered.  If a kernel
 * thread polls the ring, requests run with the credentials of the task that set
 * it up.
 */

#include "kselftest_harness.h"
#include "observers.h"
#include "ring.h"

#define OPEN_PORT 1024
#define SHUT_PORT 1025

/* Binds or connects (@op) a new socket of @type to @port on loopback. */
static int ring_address(struct ring *ring, struct way way, int op, int type,
			__u16 port)
{
	union addr addr;
	const socklen_t len = loopback(&addr, AF_INET, port);
	const int fd = make_socket(AF_INET, type, 0);
	struct io_uring_sqe sqe;
	int ret;

	if (fd < 0)
		return fd;
	fill(&sqe, way, op, fd);
	sqe.addr = (uintptr_t)&addr;
	/* Both take the length here, and addr2 is the same field. */
	sqe.off = len;
	ret = run_request(ring, &sqe);
	close(fd);
	return ret;
}

static int ring_bind(struct ring *ring, struct way way, int type, __u16 port)
{
	return ring_address(ring, way, IORING_OP_BIND, type, port);
}

static int ring_connect(struct ring *ring, struct way way, int type,
			__u16 port)
{
	return ring_address(ring, way, IORING_OP_CONNECT, type, port);
}

static int ring_send(struct ring *ring, struct way way, int op, __u16 port)
{
	union addr addr;
	const socklen_t len = loopback(&addr, AF_INET, port);
	const int fd = make_socket(AF_INET, SOCK_DGRAM, 0);
	struct iovec iov = {
		.iov_base = "x",
		.iov_len = 1,
	};
	struct msghdr msg = {
		.msg_name = &addr,
		.msg_namelen = len,
		.msg_iov = &iov,
		.msg_iovlen = 1,
	};
	struct io_uring_sqe sqe;
	int ret;

	if (fd < 0)
		return fd;
	fill(&sqe, way, op, fd);
	if (op == IORING_OP_SENDMSG) {
		sqe.addr = (uintptr_t)&msg;
		sqe.len = 1;
	} else {
		sqe.addr = (uintptr_t)iov.iov_base;
		sqe.len = 1;
		sqe.addr2 = (uintptr_t)&addr;
		sqe.addr_len = len;
	}
	ret = run_request(ring, &sqe);
	close(fd);
	return ret;
}

static int ring_fast_open(struct ring *ring, struct way way, __u16 port)
{
	union addr addr;
	const socklen_t len = loopback(&addr, AF_INET, port);
	const int fd = make_socket(AF_INET, SOCK_STREAM, 0);
	struct io_uring_sqe sqe;
	int ret;

	if (fd < 0)
		return fd;
	fill(&sqe, way, IORING_OP_SEND, fd);
	sqe.addr = (uintptr_t)"x";
	sqe.len = 1;
	sqe.addr2 = (uintptr_t)&addr;
	sqe.addr_len = len;
	sqe.msg_flags = MSG_FASTOPEN | MSG_NOSIGNAL;
	ret = run_request(ring, &sqe);
	close(fd);
	return ret;
}

/* Tries all kinds of requests on a port that is open or shut. */
static void check_port(struct __test_metadata *_metadata, struct ring *ring,
		       struct way way, __u16 port, bool shut)
{
	EXPECT_EQ(shut ? -EACCES : 0,
		  ring_bind(ring, way, SOCK_STREAM, port));
	EXPECT_EQ(shut ? -EACCES : 0,
		  ring_bind(ring, way, SOCK_DGRAM, port));
	EXPECT_EQ(shut ? -EACCES : -ECONNREFUSED,
		  ring_connect(ring, way, SOCK_STREAM, port));
	EXPECT_EQ(shut ? -EACCES : 0,
		  ring_connect(ring, way, SOCK_DGRAM, port));
	EXPECT_EQ(shut ? -EACCES : 1,
		  ring_send(ring, way, IORING_OP_SEND, port));
	EXPECT_EQ(shut ? -EACCES : 1,
		  ring_send(ring, way, IORING_OP_SENDMSG, port));
	EXPECT_EQ(shut ? -EACCES : 1,
		  ring_send(ring, way, IORING_OP_SEND_ZC, port));
	/* Other results depend on whether the request waits. */
	EXPECT_EQ(shut, ring_fast_open(ring, way, port) == -EACCES);
}

/* Allows one port for all rights, and port 0 so that UDP may use any port. */
static int enter_domain(void)
{
	const int fd = net_ruleset(ALL_NET);
	int ret;

	if (fd < 0)
		return fd;
	ret = add_port(fd, OPEN_PORT, ALL_NET);
	if (!ret)
		ret = add_port(fd, 0, BIND_UDP);
	if (ret) {
		close(fd);
		return ret;
	}
	return enforce(fd);
}

FIXTURE(io_uring)
{
	struct ring ring;
};

FIXTURE_VARIANT(io_uring)
{
	bool async;
};

FIXTURE_VARIANT_ADD(io_uring, at_once)
{
	.async = false,
};

FIXTURE_VARIANT_ADD(io_uring, by_a_worker)
{
	.async = true,
};

FIXTURE_SETUP(io_uring)
{
	if (obstacle())
		SKIP(return, "%s", obstacle());
	ASSERT_EQ(0, own_network());
	ASSERT_EQ(0, open_ring(&self->ring, 0));
}

FIXTURE_TEARDOWN(io_uring)
{
	EXPECT_EQ(0, close_ring(&self->ring));
}

TEST_F(io_uring, requests_are_free_without_a_domain)
{
	const struct way way = {
		.async = variant->async,
	};

	check_port(_metadata, &self->ring, way, OPEN_PORT, false);
	check_port(_metadata, &self->ring, way, SHUT_PORT, false);
}

/* A ring that was made before the domain does not avoid it. */
TEST_F(io_uring, requests_obey_the_domain_of_the_submitter)
{
	const struct way way = {
		.async = variant->async,
	};

	check_port(_metadata, &self->ring, way, SHUT_PORT, false);
	ASSERT_EQ(0, enter_domain());
	check_port(_metadata, &self->ring, way, OPEN_PORT, false);
	check_port(_metadata, &self->ring, way, SHUT_PORT, true);
}

TEST_F(io_uring, requests_on_a_new_ring_obey_the_domain)
{
	const struct way way = {
		.async = variant->async,
	};
	struct ring ring;

	ASSERT_EQ(0, enter_domain());
	ASSERT_EQ(0, open_ring(&ring, 0));
	check_port(_metadata, &ring, way, OPEN_PORT, false);
	check_port(_metadata, &ring, way, SHUT_PORT, true);
	EXPECT_EQ(0, close_ring(&ring));
}

/* On one ring, each submitter is checked by its own domain. */
TEST_F(io_uring, requests_of_a_child_obey_its_own_domain)
{
	const struct way way = {
		.async = variant->async,
	};
	pid_t child = fork();

	ASSERT_LE(0, child);
	if (child == 0) {
		ASSERT_EQ(0, enter_domain());
		EXPECT_EQ(-EACCES, ring_bind(&self->ring, way, SOCK_STREAM,
					     SHUT_PORT));
		EXPECT_EQ(0, ring_bind(&self->ring, way, SOCK_STREAM,
				       OPEN_PORT));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, wait_child(child));
	EXPECT_EQ(0, ring_bind(&self->ring, way, SOCK_STREAM, SHUT_PORT));
}

/* Credentials that were registered before the domain stay without it. */
TEST_F(io_uring, a_personality_from_outside_is_outside)
{
	struct way way = {
		.async = variant->async,
	};
	const int id = syscall(__NR_io_uring_register, self->ring.fd,
			       IORING_REGISTER_PERSONALITY, NULL, 0);

	ASSERT_LT(0, id);
	ASSERT_EQ(0, enter_domain());
	check_port(_metadata, &self->ring, way, SHUT_PORT, true);
	way.personality = id;
	check_port(_metadata, &self->ring, way, SHUT_PORT, false);
	way.personality = 0;
	check_port(_metadata, &self->ring, way, SHUT_PORT, true);
	/* The thread itself is still in the domain. */
	EXPECT_TRUE(bind_refused(SHUT_PORT));
}

/* A task outside can use credentials from inside a domain. */
TEST_F(io_uring, a_personality_from_inside_is_inside)
{
	struct way way = {
		.async = variant->async,
	};
	int to_parent[2], id = 0;
	pid_t child;

	ASSERT_EQ(0, pipe2(to_parent, O_CLOEXEC));
	child = fork();
	ASSERT_LE(0, child);
	if (child == 0) {
		ASSERT_EQ(0, enter_domain());
		id = syscall(__NR_io_uring_register, self->ring.fd,
			     IORING_REGISTER_PERSONALITY, NULL, 0);
		ASSERT_LT(0, id);
		ASSERT_EQ(sizeof(id), write(to_parent[1], &id, sizeof(id)));
		_exit(_metadata->exit_code);
	}
	ASSERT_EQ(0, wait_child(child));
	ASSERT_EQ(sizeof(id), read(to_parent[0], &id, sizeof(id)));

	/* The child is gone, and the ring keeps its domain. */
	check_port(_metadata, &self->ring, way, SHUT_PORT, false);
	way.personality = id;
	check_port(_metadata, &self->ring, way, OPEN_PORT, false);
	check_port(_metadata, &self->ring, way, SHUT_PORT, true);
	EXPECT_EQ(0, syscall(__NR_io_uring_register, self->ring.fd,
			     IORING_UNREGISTER_PERSONALITY, NULL, id));
	way.personality = 0;
	check_port(_metadata, &self->ring, way, SHUT_PORT, false);
	EXPECT_EQ(0, close(to_parent[0]));
	EXPECT_EQ(0, close(to_parent[1]));
}

/* Requests alternate between personalities of different domains. */
TEST_F(io_uring, personalities_do_not_mix)
{
	struct way way = {
		.async = variant->async,
	};
	int ids[4], i, round;

	for (i = 0; i < 4; i++) {
		ids[i] = syscall(__NR_io_uring_register, self->ring.fd,
				 IORING_REGISTER_PERSONALITY, NULL, 0);
		ASSERT_LT(0, ids[i]);
		/* The i-th layer shuts port 2000 + i. */
		if (i < 3) {
			const int fd = net_ruleset(BIND_TCP);
			int port;

			ASSERT_LE(0, fd);
			for (port = 2000; port < 2003; port++) {
				if (port == 2000 + i)
					continue;
				ASSERT_EQ(0, add_port(fd, port, BIND_TCP));
			}
			ASSERT_EQ(0, enforce(fd));
		}
	}
	for (round = 0; round < 3; round++) {
		for (i = 0; i < 4; i++) {
			int port;

			way.personality = ids[i];
			for (port = 0; port < 3; port++) {
				EXPECT_EQ(port < i ? -EACCES : 0,
					  ring_bind(&self->ring, way,
						    SOCK_STREAM, 2000 + port))
					TH_LOG("personality %d, port %d", i,
					       2000 + port);
			}
		}
	}
}

/* The polling thread keeps the credentials of the task that set the ring up. */
TEST(a_polled_ring_acts_as_its_maker)
{
	const struct way way = {};
	struct ring outside, inside;

	if (obstacle())
		SKIP(return, "%s", obstacle());
	ASSERT_EQ(0, own_network());
	ASSERT_EQ(0, open_ring(&outside, IORING_SETUP_SQPOLL));
	check_port(_metadata, &outside, way, SHUT_PORT, false);
	ASSERT_EQ(0, enter_domain());
	check_port(_metadata, &outside, way, SHUT_PORT, false);
	EXPECT_TRUE(bind_refused(SHUT_PORT));

	ASSERT_EQ(0, open_ring(&inside, IORING_SETUP_SQPOLL));
	check_port(_metadata, &inside, way, OPEN_PORT, false);
	check_port(_metadata, &inside, way, SHUT_PORT, true);
	EXPECT_EQ(0, close_ring(&inside));
	EXPECT_EQ(0, close_ring(&outside));
}

/* Extended rulesets */

static int ring_socket(struct ring *ring, struct way way, int family, int type,
		       int protocol)
{
	struct io_uring_sqe sqe;
	int ret;

	fill(&sqe, way, IORING_OP_SOCKET, family);
	sqe.off = type;
	sqe.len = protocol;
	ret = run_request(ring, &sqe);
	if (ret > 0)
		close(ret);
	return ret > 0 ? 0 : ret;
}

/* Binds or connects (@op) a socket to any address. */
static int ring_address_of(struct ring *ring, struct way way, int op, int fd,
			   const char *address, __u16 port)
{
	union addr addr;
	const socklen_t len = read_addr(&addr, address, port);
	struct io_uring_sqe sqe;

	fill(&sqe, way, op, fd);
	sqe.addr = (uintptr_t)&addr;
	sqe.off = len;
	return run_request(ring, &sqe);
}

/* The same with a new socket. */
static int ring_new_address(struct ring *ring, struct way way, int op, int type,
			    const char *address, __u16 port)
{
	const int fd = make_socket(family_of(address), type, 0);
	int ret;

	if (fd < 0)
		return fd;
	ret = ring_address_of(ring, way, op, fd, address, port);
	close(fd);
	return ret;
}

static int ring_listen(struct ring *ring, struct way way, int fd)
{
	struct io_uring_sqe sqe;

	fill(&sqe, way, IORING_OP_LISTEN, fd);
	sqe.len = 1;
	return run_request(ring, &sqe);
}

static int ring_new_listen(struct ring *ring, struct way way,
			   const char *address, __u16 port)
{
	const int fd = make_socket(AF_INET, SOCK_STREAM, 0);
	int ret;

	if (fd < 0)
		return fd;
	ret = ring_address_of(ring, way, IORING_OP_BIND, fd, address, port);
	if (!ret)
		ret = ring_listen(ring, way, fd);
	close(fd);
	return ret;
}

/* Gets or sets (@op) an option. */
static int ring_use_option(struct ring *ring, struct way way, int op, int fd,
			   int level, int number, const void *value,
			   socklen_t size)
{
	struct io_uring_sqe sqe;

	fill(&sqe, way, IORING_OP_URING_CMD, fd);
	sqe.cmd_op = op;
	sqe.level = level;
	sqe.optname = number;
	sqe.optval = (uintptr_t)value;
	sqe.optlen = size;
	return run_request(ring, &sqe);
}

static int ring_option(struct ring *ring, struct way way, int fd, int level,
		       int number, const void *value, socklen_t size)
{
	return ring_use_option(ring, way, SOCKET_URING_OP_SETSOCKOPT, fd,
			       level, number, value, size);
}

static int ring_shutdown(struct ring *ring, struct way way, int fd, int how)
{
	struct io_uring_sqe sqe;

	fill(&sqe, way, IORING_OP_SHUTDOWN, fd);
	sqe.len = how;
	return run_request(ring, &sqe);
}

/* Sends a datagram through @device (0: none), to the peer without @address. */
static int ring_message(struct ring *ring, struct way way, int op, int fd,
			int device, const char *address)
{
	const struct in_pktinfo info = {
		.ipi_ifindex = device,
	};
	union {
		struct cmsghdr cmsg;
		char space[CMSG_SPACE(sizeof(info))];
	} control = {
		.cmsg = {
			.cmsg_level = SOL_IP,
			.cmsg_type = IP_PKTINFO,
			.cmsg_len = CMSG_LEN(sizeof(info)),
		},
	};
	struct iovec iov = {
		.iov_base = "x",
		.iov_len = 1,
	};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct io_uring_sqe sqe;
	union addr addr;

	memcpy(CMSG_DATA(&control.cmsg), &info, sizeof(info));
	if (address) {
		msg.msg_namelen = read_addr(&addr, address, OPEN_PORT);
		msg.msg_name = &addr;
	}
	fill(&sqe, way, op, fd);
	sqe.addr = (uintptr_t)&msg;
	sqe.len = 1;
	return run_request(ring, &sqe);
}

FIXTURE(extended)
{
	struct ring ring;
	struct way way;
	int device;
};

FIXTURE_VARIANT(extended)
{
	bool async;
};

FIXTURE_VARIANT_ADD(extended, at_once)
{
	.async = false,
};

FIXTURE_VARIANT_ADD(extended, by_a_worker)
{
	.async = true,
};

FIXTURE_SETUP(extended)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	if (obstacle())
		SKIP(return, "%s", obstacle());
	ASSERT_EQ(0, own_network());
	self->device = make_device();
	ASSERT_LT(1, self->device);
	/* As a program that wants to keep a ring from before its sandbox. */
	ASSERT_EQ(0, open_ring(&self->ring, 0));
	self->way = (struct way){
		.async = variant->async,
	};
}

FIXTURE_TEARDOWN(extended)
{
	EXPECT_EQ(0, close_ring(&self->ring));
}

TEST_F(extended, rings_create_the_sockets_of_a_rule)
{
	const int fd = extended(0, SOCKET_CREATE);

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, ring_socket(&self->ring, self->way, AF_INET, SOCK_DGRAM,
				 0));
	ASSERT_EQ(0, add_socket(fd, AF_INET, SOCK_STREAM, 0));
	ASSERT_EQ(0, enforce(fd));
	EXPECT_EQ(0, ring_socket(&self->ring, self->way, AF_INET, SOCK_STREAM,
				 0));
	EXPECT_EQ(0, ring_socket(&self->ring, self->way, AF_INET,
				 SOCK_STREAM | SOCK_NONBLOCK, 0));
	EXPECT_EQ(-EACCES, ring_socket(&self->ring, self->way, AF_INET,
				       SOCK_DGRAM, 0));
	EXPECT_EQ(-EACCES, ring_socket(&self->ring, self->way, AF_INET,
				       SOCK_STREAM, IPPROTO_MPTCP));
	EXPECT_EQ(-EACCES, ring_socket(&self->ring, self->way, AF_UNIX,
				       SOCK_STREAM, 0));
}

TEST_F(extended, rings_use_the_addresses_of_a_rule)
{
	struct ring *const ring = &self->ring;
	const int fd = extended(TCP | UDP, 0);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, add_net(fd, TCP | UDP, OPEN_PORT, OPEN_PORT,
			     "127.0.0.1/32"));
	ASSERT_EQ(0, add_net(fd, BIND_UDP, 0, 0, NULL));
	ASSERT_EQ(0, enforce(fd));
	EXPECT_EQ(0, ring_new_address(ring, self->way, IORING_OP_BIND,
				      SOCK_STREAM, "127.0.0.1", OPEN_PORT));
	EXPECT_EQ(-EACCES, ring_new_address(ring, self->way, IORING_OP_BIND,
					    SOCK_STREAM, "127.0.0.2",
					    OPEN_PORT));
	EXPECT_EQ(-EACCES, ring_new_address(ring, self->way, IORING_OP_BIND,
					    SOCK_DGRAM, "0.0.0.0", OPEN_PORT));
	EXPECT_EQ(-ECONNREFUSED,
		  ring_new_address(ring, self->way, IORING_OP_CONNECT,
				   SOCK_STREAM, "::ffff:127.0.0.1",
				   OPEN_PORT));
	EXPECT_EQ(-EACCES, ring_new_address(ring, self->way, IORING_OP_CONNECT,
					    SOCK_STREAM, "127.0.0.2",
					    OPEN_PORT));
	EXPECT_EQ(-EACCES, ring_new_address(ring, self->way, IORING_OP_CONNECT,
					    SOCK_STREAM, "0.0.0.0",
					    OPEN_PORT));
	EXPECT_EQ(0, ring_new_address(ring, self->way, IORING_OP_CONNECT,
				      SOCK_DGRAM, "127.0.0.1", OPEN_PORT));
	EXPECT_EQ(-EACCES, ring_new_address(ring, self->way, IORING_OP_CONNECT,
					    SOCK_DGRAM, "::1", OPEN_PORT));
}

TEST_F(extended, rings_listen_on_the_ports_of_a_rule)
{
	struct ring *const ring = &self->ring;

	EXPECT_EQ(0, ring_new_listen(ring, self->way, "127.0.0.1", SHUT_PORT));
	ASSERT_EQ(0, restrict_to(LISTEN_TCP, LISTEN_TCP, OPEN_PORT, OPEN_PORT,
				 "127.0.0.1/32"));
	EXPECT_EQ(0, ring_new_listen(ring, self->way, "127.0.0.1", OPEN_PORT));
	EXPECT_EQ(-EACCES, ring_new_listen(ring, self->way, "127.0.0.1",
					   SHUT_PORT));
	EXPECT_EQ(-EACCES, ring_new_listen(ring, self->way, "127.0.0.2",
					   OPEN_PORT));
	EXPECT_EQ(-EACCES, ring_new_listen(ring, self->way, "0.0.0.0",
					   OPEN_PORT));
}

/* Sockets that have no descriptor, only a place in the ring. */
TEST_F(extended, sockets_of_the_ring_alone_must_ask_too)
{
	struct ring *const ring = &self->ring;
	struct io_uring_rsrc_register table = {
		.nr = 1,
		.flags = IORING_RSRC_REGISTER_SPARSE,
	};
	struct io_uring_sqe sqe;
	union addr addr;
	const socklen_t len = read_addr(&addr, "127.0.0.1", SHUT_PORT);

	ASSERT_EQ(0, syscall(__NR_io_uring_register, ring->fd,
			     IORING_REGISTER_FILES2, &table, sizeof(table)));
	ASSERT_EQ(0, restrict_to(TCP, BIND_TCP, SHUT_PORT, SHUT_PORT,
				 "127.0.0.1/32"));
	fill(&sqe, self->way, IORING_OP_SOCKET, AF_INET);
	sqe.off = SOCK_STREAM;
	sqe.file_index = 1;
	ASSERT_EQ(0, run_request(ring, &sqe));

	fill(&sqe, self->way, IORING_OP_BIND, 0);
	sqe.flags |= IOSQE_FIXED_FILE;
	sqe.addr = (uintptr_t)&addr;
	sqe.off = len;
	EXPECT_EQ(0, run_request(ring, &sqe));
	fill(&sqe, self->way, IORING_OP_LISTEN, 0);
	sqe.flags |= IOSQE_FIXED_FILE;
	sqe.len = 1;
	EXPECT_EQ(-EACCES, run_request(ring, &sqe));
	fill(&sqe, self->way, IORING_OP_CONNECT, 0);
	sqe.flags |= IOSQE_FIXED_FILE;
	sqe.addr = (uintptr_t)&addr;
	sqe.off = len;
	EXPECT_EQ(-EACCES, run_request(ring, &sqe));
}

TEST_F(extended, rings_send_no_control_message_that_chooses_a_way)
{
	static const int ops[] = { IORING_OP_SENDMSG, IORING_OP_SENDMSG_ZC };
	struct ring *const ring = &self->ring;
	const int fd = make_socket(AF_INET, SOCK_DGRAM, 0);
	const int peer = make_socket(AF_INET, SOCK_DGRAM, 0);
	const int receiver = make_socket(AF_INET, SOCK_DGRAM, 0);
	size_t i;

	ASSERT_LE(0, fd);
	ASSERT_LE(0, peer);
	ASSERT_LE(0, receiver);
	/* So that no error comes back. */
	ASSERT_EQ(0, bind_to(receiver, "127.0.0.1", OPEN_PORT));
	ASSERT_EQ(0, connect_to(peer, "127.0.0.1", OPEN_PORT));
	ASSERT_EQ(0, restrict_to(SEND_UDP, SEND_UDP, OPEN_PORT, OPEN_PORT,
				 "127.0.0.1/32"));
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		EXPECT_EQ(1, ring_message(ring, self->way, ops[i], fd, 0,
					  "127.0.0.1"));
		EXPECT_EQ(-EACCES, ring_message(ring, self->way, ops[i], fd,
						self->device, "127.0.0.1"));
		EXPECT_EQ(1, ring_message(ring, self->way, ops[i], peer, 0,
					  NULL));
		EXPECT_EQ(-EACCES, ring_message(ring, self->way, ops[i], peer,
						self->device, NULL));
		EXPECT_EQ(-EACCES, ring_message(ring, self->way, ops[i], fd, 0,
						"127.0.0.2"));
	}
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, close(peer));
	EXPECT_EQ(0, close(receiver));
}

TEST_F(extended, rings_set_no_option_that_chooses_a_way)
{
	struct ring *const ring = &self->ring;
	const int fd = make_socket(AF_INET, SOCK_STREAM, 0);
	const int one = 1;

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, ring_option(ring, self->way, fd, SOL_SOCKET,
				 SO_BINDTODEVICE, "lo", 3));
	EXPECT_EQ(0, ring_option(ring, self->way, fd, SOL_SOCKET,
				 SO_BINDTODEVICE, "", 0));
	ASSERT_EQ(0, restrict_to(CONNECT_TCP, CONNECT_TCP, OPEN_PORT, OPEN_PORT,
				 "127.0.0.1/32"));
	EXPECT_EQ(0, ring_option(ring, self->way, fd, SOL_SOCKET, SO_KEEPALIVE,
				 &one, sizeof(one)));
	EXPECT_EQ(-EACCES, ring_option(ring, self->way, fd, SOL_SOCKET,
				       SO_BINDTODEVICE, "lo", 3));
	EXPECT_EQ(-EACCES, ring_option(ring, self->way, fd, SOL_SOCKET,
				       SO_BINDTOIFINDEX, &self->device,
				       sizeof(self->device)));
	EXPECT_EQ(-EACCES, ring_option(ring, self->way, fd, SOL_IP, IP_FREEBIND,
				       &one, sizeof(one)));
	EXPECT_EQ(0, close(fd));
}

/* Shuts a socket of @type down, and gets and sets its options. */
static void check_uses(struct __test_metadata *_metadata, struct ring *ring,
		       struct way way, int type, __u16 port, bool is_shut)
{
	const int server = make_socket(AF_INET, type, 0);
	const int fd = make_socket(AF_INET, type, 0);
	const pid_t child = fork();
	int value = 77;

	ASSERT_LE(0, server);
	ASSERT_LE(0, fd);
	ASSERT_LE(0, child);
	if (child) {
		EXPECT_EQ(0, wait_child(child));
		EXPECT_EQ(0, close(server));
		EXPECT_EQ(0, close(fd));
		return;
	}
	ASSERT_EQ(0, bind_to(server, "127.0.0.1", port));
	if (type == SOCK_STREAM)
		ASSERT_EQ(0, try_listen(server));
	ASSERT_EQ(0, connect_to(fd, "127.0.0.1", port));
	ASSERT_EQ(0, restrict_to(USE_TCP | USE_UDP, USE_TCP | USE_UDP,
				 OPEN_PORT, OPEN_PORT, "127.0.0.1/32"));
	/* The first returns the size of the option. */
	EXPECT_EQ(is_shut ? -EACCES : sizeof(value),
		  ring_use_option(ring, way, SOCKET_URING_OP_GETSOCKOPT, fd,
				  SOL_SOCKET, SO_TYPE, &value, sizeof(value)));
	EXPECT_EQ(is_shut ? 77 : type, value);
	EXPECT_EQ(is_shut ? -EACCES : 0,
		  ring_option(ring, way, fd, SOL_SOCKET, SO_KEEPALIVE, &value,
			      sizeof(value)));
	EXPECT_EQ(is_shut ? -EACCES : -EINVAL, ring_shutdown(ring, way, fd, 3));
	EXPECT_EQ(is_shut ? -EACCES : 0,
		  ring_shutdown(ring, way, fd, SHUT_RDWR));
	_exit(_metadata->exit_code);
}

TEST_F(extended, rings_use_sockets_by_their_service_port)
{
	struct ring *const ring = &self->ring;

	check_uses(_metadata, ring, self->way, SOCK_STREAM, OPEN_PORT, false);
	check_uses(_metadata, ring, self->way, SOCK_STREAM, SHUT_PORT, true);
	check_uses(_metadata, ring, self->way, SOCK_DGRAM, OPEN_PORT, false);
	check_uses(_metadata, ring, self->way, SOCK_DGRAM, SHUT_PORT, true);
}

/* Observers and permissive layers */

/* Reads the record of a bind by a thread of this process. */
static void expect_record(struct __test_metadata *_metadata, int observer,
			  bool by_this_thread, __u32 flags)
{
	struct portlock_event event = {};
	char path[64];

	EXPECT_EQ(1, next_event(observer, &event));
	EXPECT_EQ(BIND_TCP, event.access_net);
	EXPECT_EQ(SHUT_PORT, event.port);
	EXPECT_EQ(flags, event.flags);
	EXPECT_EQ(by_this_thread, event.tid == get_tid());
	/* A thread that works for the ring is one of this process. */
	snprintf(path, sizeof(path), "/proc/self/task/%d", event.tid);
	EXPECT_EQ(0, access(path, F_OK));
	EXPECT_EQ(0, drain(observer));
}

TEST_F(extended, observers_hear_which_thread_is_refused)
{
	const int observer = new_nonblocking_observer();

	ASSERT_EQ(0, enforce(observed(observer, BIND_TCP)));
	EXPECT_EQ(-EACCES, ring_bind(&self->ring, self->way, SOCK_STREAM,
				     SHUT_PORT));
	expect_record(_metadata, observer, !variant->async, 0);
}

TEST_F(extended, permissive_layers_let_requests_pass)
{
	const int observer = new_nonblocking_observer();

	ASSERT_EQ(0, enforce_permissive(observed(observer, BIND_TCP)));
	EXPECT_EQ(0, ring_bind(&self->ring, self->way, SOCK_STREAM,
			       SHUT_PORT));
	expect_record(_metadata, observer, !variant->async,
		      PORTLOCK_EVENT_PERMISSIVE);
}

/* Rings read and poll an observer, before there is a record and after. */
TEST_F(extended, rings_read_observers)
{
	const int observer = new_observer();
	const int ruleset = observed(observer, BIND_TCP);
	struct portlock_event events[4] = {};
	struct io_uring_sqe read_sqe, poll_sqe;
	struct io_uring_cqe cqe;
	pid_t child;
	int i;

	ASSERT_LE(0, ruleset);
	fill(&read_sqe, self->way, IORING_OP_READ, observer);
	read_sqe.addr = (uintptr_t)events;
	read_sqe.len = sizeof(events);
	fill(&poll_sqe, self->way, IORING_OP_POLL_ADD, observer);
	poll_sqe.poll32_events = POLLIN;

	for (i = 0; i < 2; i++) {
		/* What waits first is the poll, then the read. */
		ASSERT_EQ(0, submit(&self->ring, i ? &read_sqe : &poll_sqe));
		child = fork();
		ASSERT_LE(0, child);
		if (!child)
			_exit(restrict_self(ruleset,
					    LANDLOCK_RESTRICT_SELF_NO_NEW_PRIVS)
				      ?: tcp_bind("127.0.0.1", SHUT_PORT) !=
						 -EACCES);
		ASSERT_EQ(0, take_completion(&self->ring, &cqe));
		EXPECT_EQ(i ? sizeof(events[0]) : POLLIN, cqe.res);
		ASSERT_EQ(0, wait_child(child));
		/* This record is there already. */
		if (!i)
			EXPECT_EQ(sizeof(events[0]),
				  run_request(&self->ring, &read_sqe));
		EXPECT_EQ(child, events[0].tid);
		EXPECT_EQ(SHUT_PORT, events[0].port);
	}

	/* The end, also for a buffer that is too short. */
	EXPECT_EQ(0, close(ruleset));
	EXPECT_EQ(0, run_request(&self->ring, &read_sqe));
	read_sqe.len = sizeof(events[0]) - 1;
	EXPECT_EQ(-EINVAL, run_request(&self->ring, &read_sqe));
	EXPECT_EQ(POLLHUP, run_request(&self->ring, &poll_sqe));
	EXPECT_EQ(0, close(observer));
}

/* The thread that polls is another one, in the domain of the maker. */
TEST(a_polled_ring_is_observed_as_its_thread)
{
	const int observer = is_c_landlock() ? -1 : new_nonblocking_observer();
	const struct way way = {};
	struct ring ring;

	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	if (obstacle())
		SKIP(return, "%s", obstacle());
	ASSERT_EQ(0, own_network());
	ASSERT_EQ(0, enforce(observed(observer, BIND_TCP)));
	ASSERT_EQ(0, open_ring(&ring, IORING_SETUP_SQPOLL));
	EXPECT_EQ(-EACCES, ring_bind(&ring, way, SOCK_STREAM, SHUT_PORT));
	expect_record(_metadata, observer, false, 0);
	EXPECT_EQ(0, close_ring(&ring));
}

/* Out of reach, as the documentation says: a ring that another task polls. */
TEST(a_polled_ring_creates_and_listens_as_its_maker)
{
	const struct way way = {};
	struct ring outside, inside;
	int fd;

	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	if (obstacle())
		SKIP(return, "%s", obstacle());
	ASSERT_EQ(0, own_network());
	ASSERT_EQ(0, open_ring(&outside, IORING_SETUP_SQPOLL));
	fd = extended(TCP, SOCKET_CREATE);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, add_socket(fd, AF_INET, SOCK_STREAM, 0));
	ASSERT_EQ(0, add_net(fd, TCP, OPEN_PORT, OPEN_PORT, "127.0.0.1/32"));
	ASSERT_EQ(0, enforce(fd));
	EXPECT_EQ(0, ring_socket(&outside, way, AF_INET, SOCK_DGRAM, 0));
	EXPECT_EQ(0, ring_new_listen(&outside, way, "127.0.0.1", SHUT_PORT));

	ASSERT_EQ(0, open_ring(&inside, IORING_SETUP_SQPOLL));
	EXPECT_EQ(0, ring_socket(&inside, way, AF_INET, SOCK_STREAM, 0));
	EXPECT_EQ(-EACCES, ring_socket(&inside, way, AF_INET, SOCK_DGRAM, 0));
	EXPECT_EQ(0, ring_new_listen(&inside, way, "127.0.0.1", OPEN_PORT));
	EXPECT_EQ(-EACCES, ring_new_listen(&inside, way, "127.0.0.1",
					   SHUT_PORT));
	EXPECT_EQ(-EACCES, new_socket(AF_INET, SOCK_DGRAM, 0));
	EXPECT_EQ(0, close_ring(&inside));
	EXPECT_EQ(0, close_ring(&outside));
}

TEST_HARNESS_MAIN
