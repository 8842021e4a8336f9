// SPDX-License-Identifier: GPL-2.0
/*
 * Portlock tests: every call that moves data over a connection
 *
 * Each row is one call.  A process outside connects two sockets.  Its child, in
 * a domain, makes the call on one of them.  Then the process outside looks at
 * what arrived, and at what is still in the queue.
 *
 * The user's guide has a table of these calls.  MSG_SPLICE_PAGES is not a row:
 * only the kernel can set it, as sendfile() and splice() do.
 */

#include <linux/aio_abi.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/kcm.h>
#include <linux/tls.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include "kselftest_harness.h"
#include "extended.h"
#include "ring.h"

#define TRANSFERS (SEND_TCP | RECEIVE_TCP | RECEIVE_UDP)

#ifndef SOL_TLS
#define SOL_TLS 282
#endif

/* The service port. */
#define PORT 1024

/* One page, so that pages can be moved instead of bytes. */
#define SIZE 4096

/* Sent at the end, so that nothing can arrive later unnoticed. */
static const char end[] = "the end";

/* What is in a buffer into which nothing was received. */
static const char nothing[SIZE];

/* Memory that a test shares with its child. */
struct shared {
	/* What the call sends, or where it puts what it receives. */
	char data[SIZE];
	/* What is to be moved. */
	char pattern[SIZE];
	/* What the call returned. */
	ssize_t result;
};

struct row {
	/* Returns how many bytes were moved, or a negative errno. */
	ssize_t (*call)(const struct row *row, int fd, char *data);
	/* What the call is told. */
	int op;
	int flags;
	/* A worker of the ring runs it. */
	bool async;
	/* The ring has buffers to choose from. */
	bool provided;
	/* The peer sends whole pages. */
	bool pages;
	/* kTLS is on top of TCP. */
	bool tls;
	/* Data stay in the queue, or are thrown away if this is a stream. */
	bool keeps;
	bool discards;
	/* What the kernel answers before it asks, always or except to TCP. */
	int error;
	int not_tcp;
};

/* Calls that send */

static ssize_t result(ssize_t ret)
{
	return ret < 0 ? -errno : ret;
}

static ssize_t by_send(const struct row *row, int fd, char *data)
{
	return result(send(fd, data, SIZE, row->flags | MSG_NOSIGNAL));
}

/* A connected socket ignores the address. */
static ssize_t by_sendto(const struct row *row, int fd, char *data)
{
	union addr addr;
	const socklen_t len = loopback(&addr, AF_INET, PORT + 1);

	return result(sendto(fd, data, SIZE, MSG_NOSIGNAL, &addr.sa, len));
}

/* One message, in two halves. */
struct message {
	struct iovec iov[2];
	struct mmsghdr msg;
};

static void set_message(struct message *message, char *data)
{
	*message = (struct message){
		.iov = {
			{ .iov_base = data, .iov_len = SIZE / 2 },
			{ .iov_base = data + SIZE / 2, .iov_len = SIZE / 2 },
		},
		.msg.msg_hdr = {
			.msg_iov = message->iov,
			.msg_iovlen = 2,
		},
	};
}

static ssize_t by_sendmsg(const struct row *row, int fd, char *data)
{
	struct message message;

	set_message(&message, data);
	return result(sendmsg(fd, &message.msg.msg_hdr, MSG_NOSIGNAL));
}

static ssize_t by_sendmmsg(const struct row *row, int fd, char *data)
{
	struct message message;
	int ret;

	set_message(&message, data);
	ret = sendmmsg(fd, &message.msg, 1, MSG_NOSIGNAL);
	return ret == 1 ? message.msg.msg_len : result(ret);
}

static ssize_t by_write(const struct row *row, int fd, char *data)
{
	return result(write(fd, data, SIZE));
}

static ssize_t by_writev(const struct row *row, int fd, char *data)
{
	struct message message;

	set_message(&message, data);
	return result(writev(fd, message.iov, 2));
}

/* A socket has no other position than this one. */
static ssize_t by_pwritev2(const struct row *row, int fd, char *data)
{
	struct message message;

	set_message(&message, data);
	return result(pwritev2(fd, message.iov, 2, -1, 0));
}

static int file_of(const char *data)
{
	const int file = memfd_create("data", MFD_CLOEXEC);

	if (file < 0 || write(file, data, SIZE) != SIZE)
		return -errno;
	return file;
}

static ssize_t by_sendfile(const struct row *row, int fd, char *data)
{
	const int file = file_of(data);
	off_t at = 0;

	return file < 0 ? file : result(sendfile(fd, file, &at, SIZE));
}

static ssize_t by_copy_file_range(const struct row *row, int fd, char *data)
{
	const int file = file_of(data);
	off_t at = 0;

	return file < 0 ? file :
			  result(copy_file_range(file, &at, fd, NULL, SIZE, 0));
}

/* Makes a pipe, with data in it if there are any. */
static int make_pipe(int ends[2], const char *data)
{
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	if (data && write(ends[1], data, SIZE) != SIZE)
		return -errno;
	return 0;
}

static ssize_t by_splice(const struct row *row, int fd, char *data)
{
	int ends[2];
	int ret = make_pipe(ends, data);

	return ret ? ret : result(splice(ends[0], NULL, fd, NULL, SIZE, 0));
}

static ssize_t by_vmsplice(const struct row *row, int fd, char *data)
{
	const struct iovec iov = {
		.iov_base = data,
		.iov_len = SIZE,
	};
	int ends[2];
	int ret = make_pipe(ends, NULL);

	if (ret)
		return ret;
	if (vmsplice(ends[1], &iov, 1, 0) != SIZE)
		return -EIO;
	return result(splice(ends[0], NULL, fd, NULL, SIZE, 0));
}

static ssize_t by_tee(const struct row *row, int fd, char *data)
{
	int from[2], to[2];
	int ret = make_pipe(from, data);

	if (!ret)
		ret = make_pipe(to, NULL);
	if (ret)
		return ret;
	if (tee(from[0], to[1], SIZE, 0) != SIZE)
		return -EIO;
	return result(splice(to[0], NULL, fd, NULL, SIZE, 0));
}

/* Calls that receive */

static ssize_t by_recv(const struct row *row, int fd, char *data)
{
	return result(recv(fd, data, SIZE, row->flags));
}

static ssize_t by_recvfrom(const struct row *row, int fd, char *data)
{
	union addr addr;
	socklen_t len = sizeof(addr);

	return result(recvfrom(fd, data, SIZE, 0, &addr.sa, &len));
}

static ssize_t by_recvmsg(const struct row *row, int fd, char *data)
{
	struct message message;

	set_message(&message, data);
	return result(recvmsg(fd, &message.msg.msg_hdr, row->flags));
}

static ssize_t by_recvmmsg(const struct row *row, int fd, char *data)
{
	struct message message;
	int ret;

	set_message(&message, data);
	ret = recvmmsg(fd, &message.msg, 1, 0, NULL);
	return ret == 1 ? message.msg.msg_len : result(ret);
}

static ssize_t by_read(const struct row *row, int fd, char *data)
{
	return result(read(fd, data, SIZE));
}

static ssize_t by_readv(const struct row *row, int fd, char *data)
{
	struct message message;

	set_message(&message, data);
	return result(readv(fd, message.iov, 2));
}

static ssize_t by_preadv2(const struct row *row, int fd, char *data)
{
	struct message message;

	set_message(&message, data);
	return result(preadv2(fd, message.iov, 2, -1, 0));
}

/* Reads what a call has put into a pipe. */
static ssize_t drain(int pipe, ssize_t ret, char *data)
{
	return ret > 0 ? result(read(pipe, data, ret)) : ret;
}

static ssize_t by_splice_out(const struct row *row, int fd, char *data)
{
	int ends[2];
	ssize_t ret = make_pipe(ends, NULL);

	if (ret)
		return ret;
	ret = result(splice(fd, NULL, ends[1], NULL, SIZE, 0));
	return drain(ends[0], ret, data);
}

static ssize_t by_sendfile_out(const struct row *row, int fd, char *data)
{
	int ends[2];
	ssize_t ret = make_pipe(ends, NULL);

	if (ret)
		return ret;
	ret = result(sendfile(ends[1], fd, NULL, SIZE));
	return drain(ends[0], ret, data);
}

/* Only to a pipe can sendfile() send what has no position. */
static ssize_t by_sendfile_to_file(const struct row *row, int fd, char *data)
{
	const int file = file_of(data);

	return file < 0 ? file : result(sendfile(file, fd, NULL, SIZE));
}

static ssize_t by_copy_file_range_out(const struct row *row, int fd, char *data)
{
	const int file = file_of(data);
	off_t at = 0;

	return file < 0 ? file :
			  result(copy_file_range(fd, NULL, file, &at, SIZE, 0));
}

/* As in linux/tcp.h, which cannot be included beside netinet/tcp.h. */
struct zerocopy_receive {
	__u64 address;
	__u32 length;
	__u32 recv_skip_hint;
	__u32 inq;
	__s32 err;
	__u64 copybuf_address;
	__s32 copybuf_len;
	__u32 flags;
	__u64 msg_control;
	__u64 msg_controllen;
	__u32 msg_flags;
	__u32 reserved;
};

/* Maps pages of the queue, or copies (@op) what is not a page. */
static ssize_t by_zerocopy_receive(const struct row *row, int fd, char *data)
{
	char *const map = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	struct zerocopy_receive receive = {
		.address = (uintptr_t)map,
		.length = SIZE,
		.copybuf_address = (uintptr_t)data,
		.copybuf_len = row->op,
	};
	socklen_t len = sizeof(receive);

	if (map == MAP_FAILED)
		return -errno;
	if (getsockopt(fd, SOL_TCP, TCP_ZEROCOPY_RECEIVE, &receive, &len))
		return -errno;
	memcpy(data, map, receive.length);
	return receive.length + receive.copybuf_len;
}

/* Calls that do both */

static ssize_t by_io_submit(const struct row *row, int fd, char *data)
{
	struct iocb iocb = {
		.aio_lio_opcode = row->op,
		.aio_fildes = fd,
		.aio_buf = (uintptr_t)data,
		.aio_nbytes = SIZE,
	};
	struct iocb *iocbs[] = { &iocb };
	aio_context_t context = 0;
	struct io_event event;

	if (syscall(__NR_io_setup, 1, &context) ||
	    syscall(__NR_io_submit, context, 1, iocbs) != 1 ||
	    syscall(__NR_io_getevents, context, 1, 1, &event, NULL) != 1)
		return -errno;
	return event.res;
}

static int ring_register(struct ring *ring, int op, void *arg, unsigned int nr)
{
	return syscall(__NR_io_uring_register, ring->fd, op, arg, nr) ?
		       -errno : 0;
}

/* Gives the ring @number buffers, which are @data one after the other. */
static int provide(struct ring *ring, char *data, int number)
{
	struct io_uring_buf_ring *const bufs = mmap(NULL, SIZE,
						    PROT_READ | PROT_WRITE,
						    MAP_PRIVATE | MAP_ANONYMOUS,
						    -1, 0);
	struct io_uring_buf_reg reg = {
		.ring_addr = (uintptr_t)bufs,
		.ring_entries = 2,
	};
	int i;

	if (bufs == MAP_FAILED)
		return -errno;
	for (i = 0; i < number; i++) {
		bufs->bufs[i].len = SIZE / number;
		bufs->bufs[i].addr = (uintptr_t)data + i * (SIZE / number);
		bufs->bufs[i].bid = i;
	}
	bufs->tail = number;
	return ring_register(ring, IORING_REGISTER_PBUF_RING, &reg, 1);
}

/* Returns the result of the first completion. */
static ssize_t first_result(struct ring *ring, const struct io_uring_sqe *sqe)
{
	struct io_uring_cqe cqe;
	int ret = submit(ring, sqe);

	if (!ret)
		ret = take_completion(ring, &cqe);
	return ret ? ret : cqe.res;
}

static ssize_t by_ring(const struct row *row, int fd, char *data)
{
	const struct way way = {
		.async = row->async,
	};
	struct iovec iov = {
		.iov_base = data,
		.iov_len = SIZE,
	};
	struct message message;
	struct io_uring_sqe sqe;
	struct ring ring;
	int ret = open_ring(&ring, 0);

	if (!ret)
		ret = ring_register(&ring, IORING_REGISTER_BUFFERS, &iov, 1);
	if (!ret && row->provided)
		ret = provide(&ring, data,
			      row->flags & IORING_RECVSEND_BUNDLE ? 2 : 1);
	if (ret)
		return ret;

	set_message(&message, data);
	fill(&sqe, way, row->op, fd);
	sqe.ioprio = row->flags;
	switch (row->op) {
	case IORING_OP_SENDMSG:
	case IORING_OP_SENDMSG_ZC:
	case IORING_OP_RECVMSG:
		sqe.addr = (uintptr_t)&message.msg.msg_hdr;
		sqe.len = 1;
		break;
	case IORING_OP_READV:
	case IORING_OP_WRITEV:
	case IORING_OP_READV_FIXED:
	case IORING_OP_WRITEV_FIXED:
		sqe.addr = (uintptr_t)message.iov;
		sqe.len = 2;
		break;
	default:
		sqe.addr = (uintptr_t)data;
		sqe.len = SIZE;
	}
	if (row->provided) {
		sqe.flags |= IOSQE_BUFFER_SELECT;
		sqe.addr = 0;
		/* The most that a bundle may have, else what the buffer has. */
		sqe.len = row->flags & IORING_RECVSEND_BUNDLE ? SIZE : 0;
	}
	return first_result(&ring, &sqe);
}

/* One of the two is a pipe. */
static ssize_t ring_splice(int from, int to)
{
	const struct way way = {};
	struct io_uring_sqe sqe;
	struct ring ring;
	const int ret = open_ring(&ring, 0);

	if (ret)
		return ret;
	fill(&sqe, way, IORING_OP_SPLICE, to);
	sqe.splice_fd_in = from;
	sqe.splice_off_in = -1;
	sqe.off = -1;
	sqe.len = SIZE;
	return first_result(&ring, &sqe);
}

static ssize_t by_ring_splice(const struct row *row, int fd, char *data)
{
	int ends[2];
	const int ret = make_pipe(ends, data);

	return ret ? ret : ring_splice(ends[0], fd);
}

static ssize_t by_ring_splice_out(const struct row *row, int fd, char *data)
{
	int ends[2];
	const int ret = make_pipe(ends, NULL);

	return ret ? ret : drain(ends[0], ring_splice(fd, ends[1]), data);
}

/*
 * Zero-copy receive on a ring.  Without a device that has a queue for it, the
 * kernel copies to the ring's area.
 */
static ssize_t by_ring_zero_copy(const struct row *row, int fd, char *data)
{
	const struct way way = {};
	char *const area = mmap(NULL, 9 * SIZE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct io_uring_region_desc region = {
		.user_addr = (uintptr_t)area + 8 * SIZE,
		.size = SIZE,
		.flags = IORING_MEM_REGION_TYPE_USER,
	};
	struct io_uring_zcrx_area_reg area_reg = {
		.addr = (uintptr_t)area,
		.len = 8 * SIZE,
	};
	struct io_uring_zcrx_ifq_reg reg = {
		.rq_entries = 8,
		.flags = ZCRX_REG_NODEV,
		.area_ptr = (uintptr_t)&area_reg,
		.region_ptr = (uintptr_t)&region,
	};
	union {
		struct io_uring_cqe cqe;
		/* The third says where the data are. */
		__u64 words[4];
	} done;
	struct io_uring_sqe sqe;
	struct ring ring;
	ssize_t len = 0;
	int ret;

	if (area == MAP_FAILED)
		return -errno;
	ret = open_ring(&ring, IORING_SETUP_SINGLE_ISSUER |
				       IORING_SETUP_DEFER_TASKRUN |
				       IORING_SETUP_CQE32);
	if (ret)
		return ret;
	/* Older kernels and other configurations do not know it. */
	if (ring_register(&ring, IORING_REGISTER_ZCRX_IFQ, &reg, 1))
		return -ENOSYS;

	fill(&sqe, way, IORING_OP_RECV_ZC, fd);
	sqe.ioprio = IORING_RECV_MULTISHOT;
	sqe.zcrx_ifq_idx = reg.zcrx_id;
	sqe.len = SIZE;
	ret = submit(&ring, &sqe);
	while (!ret && len < SIZE) {
		ret = take_completion(&ring, &done.cqe);
		if (!ret && done.cqe.res <= 0)
			ret = done.cqe.res ?: -ENODATA;
		if (ret)
			break;
		memcpy(data + len,
		       area + (done.words[2] & ~IORING_ZCRX_AREA_MASK),
		       done.cqe.res);
		len += done.cqe.res;
	}
	return ret ? ret : len;
}

/* Sockets */

struct pair {
	/* The one that the child uses. */
	int ours;
	int peer;
};

static void close_pair(struct pair *pair)
{
	close(pair->ours);
	close(pair->peer);
}

/* Makes a call give up, rather than wait for what was not sent. */
static int be_patient(int fd)
{
	const struct timeval time = {
		.tv_sec = 5,
	};

	return set_option(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
}

static int connect_streams(struct pair *pair, int family, int protocol)
{
	const int listener = listen_on(family, protocol, PORT);
	int ret;

	if (listener < 0)
		return listener;
	ret = connect_fd(pair->ours, family, PORT);
	pair->peer = ret ? ret : try_accept(listener);
	close(listener);
	return pair->peer < 0 ? pair->peer : 0;
}

static int connect_datagrams(struct pair *pair, int family)
{
	int ret;

	pair->peer = make_socket(family, SOCK_DGRAM, 0);
	if (pair->peer < 0)
		return pair->peer;
	ret = bind_fd(pair->ours, family, PORT);
	if (!ret)
		ret = bind_fd(pair->peer, family, PORT + 1);
	if (!ret)
		ret = connect_fd(pair->ours, family, PORT + 1);
	return ret ? ret : connect_fd(pair->peer, family, PORT);
}

/* Connects two sockets, so that PORT is the service port of the first one. */
static int make_pair(struct pair *pair, int family, int type, int protocol)
{
	const int one = 1;
	int ret;

	pair->ours = make_socket(family, type, protocol);
	if (pair->ours < 0)
		return pair->ours;
	ret = type == SOCK_DGRAM ? connect_datagrams(pair, family) :
				   connect_streams(pair, family, protocol);
	if (!ret)
		ret = be_patient(pair->ours) ?: be_patient(pair->peer);
	/* MPTCP has neither, and sends as if it were not asked to. */
	if (ret || protocol == IPPROTO_MPTCP)
		return ret;
	ret = set_option(pair->ours, SOL_SOCKET, SO_ZEROCOPY, &one,
			 sizeof(one));
	if (!ret)
		ret = set_option(pair->peer, SOL_SOCKET, SO_ZEROCOPY, &one,
				 sizeof(one));
	/* Urgent data arrive with the rest. */
	if (!ret)
		ret = set_option(pair->peer, SOL_SOCKET, SO_OOBINLINE, &one,
				 sizeof(one));
	return ret;
}

/* Turns kTLS on, with one key for both directions. */
static int set_tls(int fd)
{
	const struct tls12_crypto_info_aes_gcm_128 info = {
		.info.version = TLS_1_2_VERSION,
		.info.cipher_type = TLS_CIPHER_AES_GCM_128,
		.key = "a key of no use",
	};
	int ret = set_option(fd, SOL_TCP, TCP_ULP, "tls", sizeof("tls"));

	if (!ret)
		ret = set_option(fd, SOL_TLS, TLS_TX, &info, sizeof(info));
	return ret ? ret : set_option(fd, SOL_TLS, TLS_RX, &info, sizeof(info));
}

/* Waits until @size bytes can be received. */
static void await(int fd, int size)
{
	const long limit = now_ms() + 1000;
	int queued = 0;

	while (now_ms() < limit && queued < size) {
		if (ioctl(fd, FIONREAD, &queued))
			break;
	}
}

/* Receives @size bytes, in however many pieces. */
static ssize_t collect(int fd, char *data, ssize_t size)
{
	ssize_t len = 0, ret;

	do {
		ret = recv(fd, data + len, size - len, 0);
		if (ret < 0)
			return -errno;
		len += ret;
	} while (ret && len < size);
	return len;
}

/* Domains */

enum rule {
	/* The right is not handled, and no other right is granted. */
	NOT_HANDLED,
	/* The right is granted for the service port, and no other right is. */
	GRANTED,
	/* The right is granted for all other ports, and all other rights are. */
	REFUSED,
	/* The same, and the service port has a rule with the peer's address... */
	GRANTED_BY_ADDRESS,
	/* ...or with another one. */
	REFUSED_BY_ADDRESS,
};

static const char *const rule_names[] = {
	[NOT_HANDLED] = "not handled",
	[GRANTED] = "granted",
	[REFUSED] = "refused",
	[GRANTED_BY_ADDRESS] = "granted by address",
	[REFUSED_BY_ADDRESS] = "refused by address",
};

/* No address can grant to receive over UDP. */
static enum rule last_rule(__u64 right)
{
	return right == RECEIVE_UDP ? REFUSED : REFUSED_BY_ADDRESS;
}

static bool is_refusal(enum rule rule)
{
	return rule == REFUSED || rule == REFUSED_BY_ADDRESS;
}

/* Grants @right on all ports but PORT, and all others everywhere. */
static int grant_the_rest(int fd, __u64 right)
{
	return add_net(fd, TRANSFERS, 0, PORT - 1, NULL) ?:
	       add_net(fd, TRANSFERS, PORT + 1, UINT16_MAX, NULL) ?:
	       add_net(fd, TRANSFERS & ~right, PORT, PORT, NULL);
}

static int make_ruleset(enum rule rule, __u64 right)
{
	const __u64 others = TRANSFERS & ~right;
	const int fd = extended(rule == NOT_HANDLED ? others : TRANSFERS, 0);
	int ret = 0;

	if (fd < 0)
		return fd;
	switch (rule) {
	case NOT_HANDLED:
		break;
	case GRANTED:
		ret = add_net(fd, right, PORT, PORT, NULL);
		break;
	case REFUSED:
		ret = grant_the_rest(fd, right);
		break;
	case GRANTED_BY_ADDRESS:
		ret = grant_the_rest(fd, right) ?:
		      add_net(fd, right, PORT, PORT, "127.0.0.1/32") ?:
		      add_net(fd, right, PORT, PORT, "::1/128");
		break;
	case REFUSED_BY_ADDRESS:
		ret = grant_the_rest(fd, right) ?:
		      add_net(fd, right, PORT, PORT, "127.0.0.2/32") ?:
		      add_net(fd, right, PORT, PORT, "::2/128");
	}
	return ret ? ret : fd;
}

/* Makes the call of @row in a child, and closes @ruleset, which it enforces. */
static void call_inside(struct __test_metadata *_metadata,
			struct shared *shared, int ruleset,
			const struct row *row, int fd)
{
	pid_t child;

	ASSERT_LE(0, ruleset);
	child = fork();
	ASSERT_LE(0, child);
	if (child == 0) {
		const int ret = enforce(ruleset);

		shared->result = ret ? ret : row->call(row, fd, shared->data);
		_exit(0);
	}
	ASSERT_EQ(0, wait_child(child));
	ASSERT_EQ(0, close(ruleset));
}

static struct shared *make_shared(void)
{
	struct shared *const shared = mmap(NULL, sizeof(*shared),
					   PROT_READ | PROT_WRITE,
					   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	size_t i;

	if (shared == MAP_FAILED)
		return NULL;
	/* A piece that is lost, moved or repeated makes a difference. */
	for (i = 0; i < SIZE; i++)
		shared->pattern[i] = i % 251 + 1;
	return shared;
}

/*
 * The rows.  Their names are in the user's guide.
 */

FIXTURE(send)
{
};

FIXTURE_VARIANT(send)
{
	struct row row;
};

FIXTURE_SETUP(send)
{
}

FIXTURE_TEARDOWN(send)
{
}

FIXTURE(receive)
{
};

FIXTURE_VARIANT(receive)
{
	struct row row;
};

FIXTURE_SETUP(receive)
{
}

FIXTURE_TEARDOWN(receive)
{
}

/* clang-format off */
FIXTURE_VARIANT_ADD(send, send) { .row = { .call = by_send } };
FIXTURE_VARIANT_ADD(send, sendto) { .row = { .call = by_sendto } };
FIXTURE_VARIANT_ADD(send, sendmsg) { .row = { .call = by_sendmsg } };
FIXTURE_VARIANT_ADD(send, sendmmsg) { .row = { .call = by_sendmmsg } };
FIXTURE_VARIANT_ADD(send, write) { .row = { .call = by_write } };
FIXTURE_VARIANT_ADD(send, writev) { .row = { .call = by_writev } };
FIXTURE_VARIANT_ADD(send, pwritev2) { .row = { .call = by_pwritev2 } };
FIXTURE_VARIANT_ADD(send, sendfile) { .row = { .call = by_sendfile } };
FIXTURE_VARIANT_ADD(send, copy_file_range) { .row = {
	.call = by_copy_file_range, .error = EINVAL
} };
FIXTURE_VARIANT_ADD(send, splice) { .row = { .call = by_splice } };
FIXTURE_VARIANT_ADD(send, vmsplice) { .row = { .call = by_vmsplice } };
FIXTURE_VARIANT_ADD(send, tee) { .row = { .call = by_tee } };
FIXTURE_VARIANT_ADD(send, io_submit) { .row = {
	.call = by_io_submit, .op = IOCB_CMD_PWRITE
} };
FIXTURE_VARIANT_ADD(send, zero_copy) { .row = {
	.call = by_send, .flags = MSG_ZEROCOPY
} };
FIXTURE_VARIANT_ADD(send, out_of_band) { .row = {
	.call = by_send, .flags = MSG_OOB
} };
FIXTURE_VARIANT_ADD(send, tls) { .row = { .call = by_send, .tls = true } };
FIXTURE_VARIANT_ADD(send, tls_sendfile) { .row = {
	.call = by_sendfile, .tls = true
} };
FIXTURE_VARIANT_ADD(send, ring_send) { .row = {
	.call = by_ring, .op = IORING_OP_SEND
} };
FIXTURE_VARIANT_ADD(send, ring_send_async) { .row = {
	.call = by_ring, .op = IORING_OP_SEND, .async = true
} };
FIXTURE_VARIANT_ADD(send, ring_send_fixed) { .row = {
	.call = by_ring, .op = IORING_OP_SEND,
	.flags = IORING_RECVSEND_FIXED_BUF
} };
FIXTURE_VARIANT_ADD(send, ring_send_bundle) { .row = {
	.call = by_ring, .op = IORING_OP_SEND, .flags = IORING_RECVSEND_BUNDLE,
	.provided = true
} };
FIXTURE_VARIANT_ADD(send, ring_sendmsg) { .row = {
	.call = by_ring, .op = IORING_OP_SENDMSG
} };
FIXTURE_VARIANT_ADD(send, ring_send_zc) { .row = {
	.call = by_ring, .op = IORING_OP_SEND_ZC, .not_tcp = EOPNOTSUPP
} };
FIXTURE_VARIANT_ADD(send, ring_send_zc_fixed) { .row = {
	.call = by_ring, .op = IORING_OP_SEND_ZC,
	.flags = IORING_RECVSEND_FIXED_BUF, .not_tcp = EOPNOTSUPP
} };
FIXTURE_VARIANT_ADD(send, ring_sendmsg_zc) { .row = {
	.call = by_ring, .op = IORING_OP_SENDMSG_ZC, .not_tcp = EOPNOTSUPP
} };
FIXTURE_VARIANT_ADD(send, ring_write) { .row = {
	.call = by_ring, .op = IORING_OP_WRITE
} };
FIXTURE_VARIANT_ADD(send, ring_writev) { .row = {
	.call = by_ring, .op = IORING_OP_WRITEV
} };
FIXTURE_VARIANT_ADD(send, ring_write_fixed) { .row = {
	.call = by_ring, .op = IORING_OP_WRITE_FIXED
} };
FIXTURE_VARIANT_ADD(send, ring_writev_fixed) { .row = {
	.call = by_ring, .op = IORING_OP_WRITEV_FIXED
} };
FIXTURE_VARIANT_ADD(send, ring_splice) { .row = { .call = by_ring_splice } };

FIXTURE_VARIANT_ADD(receive, recv) { .row = { .call = by_recv } };
FIXTURE_VARIANT_ADD(receive, recvfrom) { .row = { .call = by_recvfrom } };
FIXTURE_VARIANT_ADD(receive, recvmsg) { .row = { .call = by_recvmsg } };
FIXTURE_VARIANT_ADD(receive, recvmmsg) { .row = { .call = by_recvmmsg } };
FIXTURE_VARIANT_ADD(receive, read) { .row = { .call = by_read } };
FIXTURE_VARIANT_ADD(receive, readv) { .row = { .call = by_readv } };
FIXTURE_VARIANT_ADD(receive, preadv2) { .row = { .call = by_preadv2 } };
FIXTURE_VARIANT_ADD(receive, splice) { .row = { .call = by_splice_out } };
FIXTURE_VARIANT_ADD(receive, sendfile) { .row = { .call = by_sendfile_out } };
FIXTURE_VARIANT_ADD(receive, sendfile_to_file) { .row = {
	.call = by_sendfile_to_file, .error = EINVAL
} };
FIXTURE_VARIANT_ADD(receive, copy_file_range) { .row = {
	.call = by_copy_file_range_out, .error = EINVAL
} };
FIXTURE_VARIANT_ADD(receive, io_submit) { .row = {
	.call = by_io_submit, .op = IOCB_CMD_PREAD
} };
FIXTURE_VARIANT_ADD(receive, peek) { .row = {
	.call = by_recv, .flags = MSG_PEEK, .keeps = true
} };
FIXTURE_VARIANT_ADD(receive, discard) { .row = {
	.call = by_recv, .flags = MSG_TRUNC, .discards = true
} };
FIXTURE_VARIANT_ADD(receive, zero_copy) { .row = {
	.call = by_zerocopy_receive, .pages = true, .not_tcp = ENODEV
} };
FIXTURE_VARIANT_ADD(receive, zero_copy_copied) { .row = {
	.call = by_zerocopy_receive, .op = SIZE, .not_tcp = ENODEV
} };
FIXTURE_VARIANT_ADD(receive, tls) { .row = { .call = by_recv, .tls = true } };
FIXTURE_VARIANT_ADD(receive, tls_splice) { .row = {
	.call = by_splice_out, .tls = true
} };
FIXTURE_VARIANT_ADD(receive, ring_recv) { .row = {
	.call = by_ring, .op = IORING_OP_RECV
} };
FIXTURE_VARIANT_ADD(receive, ring_recv_async) { .row = {
	.call = by_ring, .op = IORING_OP_RECV, .async = true
} };
FIXTURE_VARIANT_ADD(receive, ring_recv_fixed) { .row = {
	.call = by_ring, .op = IORING_OP_RECV,
	.flags = IORING_RECVSEND_FIXED_BUF
} };
FIXTURE_VARIANT_ADD(receive, ring_recv_provided) { .row = {
	.call = by_ring, .op = IORING_OP_RECV, .provided = true
} };
FIXTURE_VARIANT_ADD(receive, ring_recv_multishot) { .row = {
	.call = by_ring, .op = IORING_OP_RECV, .flags = IORING_RECV_MULTISHOT,
	.provided = true
} };
FIXTURE_VARIANT_ADD(receive, ring_recv_bundle) { .row = {
	.call = by_ring, .op = IORING_OP_RECV, .flags = IORING_RECVSEND_BUNDLE,
	.provided = true
} };
FIXTURE_VARIANT_ADD(receive, ring_recvmsg) { .row = {
	.call = by_ring, .op = IORING_OP_RECVMSG
} };
FIXTURE_VARIANT_ADD(receive, ring_read) { .row = {
	.call = by_ring, .op = IORING_OP_READ
} };
FIXTURE_VARIANT_ADD(receive, ring_readv) { .row = {
	.call = by_ring, .op = IORING_OP_READV
} };
FIXTURE_VARIANT_ADD(receive, ring_read_fixed) { .row = {
	.call = by_ring, .op = IORING_OP_READ_FIXED
} };
FIXTURE_VARIANT_ADD(receive, ring_readv_fixed) { .row = {
	.call = by_ring, .op = IORING_OP_READV_FIXED
} };
FIXTURE_VARIANT_ADD(receive, ring_read_multishot) { .row = {
	.call = by_ring, .op = IORING_OP_READ_MULTISHOT, .provided = true
} };
FIXTURE_VARIANT_ADD(receive, ring_splice) { .row = {
	.call = by_ring_splice_out
} };
FIXTURE_VARIANT_ADD(receive, ring_recv_zc) { .row = {
	.call = by_ring_zero_copy, .not_tcp = EPROTONOSUPPORT
} };
/* clang-format on */

/* Says why a row cannot run here, or NULL. */
static const char *missing(const struct row *row)
{
	const bool is_ring = row->call == by_ring ||
			     row->call == by_ring_splice ||
			     row->call == by_ring_splice_out ||
			     row->call == by_ring_zero_copy;

	if (is_c_landlock())
		return C_LANDLOCK;
	return is_ring ? obstacle() : NULL;
}

/* Everything about one row, for one protocol and the right that it needs. */
static void check(struct __test_metadata *_metadata, const struct row *row,
		  __u64 right, int family, int type, int protocol)
{
	struct shared *const shared = make_shared();
	const bool is_stream = type == SOCK_STREAM;
	const bool is_mptcp = protocol == IPPROTO_MPTCP;
	const bool is_tcp = is_stream && !is_mptcp;
	const bool sends = right == SEND_TCP;
	const int error = is_tcp || !row->not_tcp ? row->error : row->not_tcp;
	enum rule rule;

	if (missing(row))
		SKIP(return, "%s", missing(row));
	ASSERT_NE(NULL, shared);
	ASSERT_EQ(0, own_network());
	for (rule = 0; rule <= last_rule(right); rule++) {
		char expected[SIZE + sizeof(end)], got[SIZE + sizeof(end)];
		const bool is_moved = !error && !is_refusal(rule);
		ssize_t left = 0;
		struct pair pair;
		int ret = make_pair(&pair, family, type, protocol);

		if (is_mptcp && ret == -EPROTONOSUPPORT)
			SKIP(return, "no MPTCP");
		ASSERT_EQ(0, ret);
		if (row->tls) {
			ret = set_tls(pair.ours) ?: set_tls(pair.peer);
			if (!is_tcp) {
				EXPECT_EQ(-ENOPROTOOPT, ret);
				close_pair(&pair);
				return;
			}
			if (ret == -ENOENT)
				SKIP(return, "no kTLS");
			ASSERT_EQ(0, ret);
		}

		memcpy(shared->data, sends ? shared->pattern : nothing, SIZE);
		if (!sends) {
			ASSERT_EQ(SIZE, send(pair.peer, shared->pattern, SIZE,
					     row->pages ? MSG_ZEROCOPY : 0));
			await(pair.ours, SIZE);
		}
		call_inside(_metadata, shared, make_ruleset(rule, right),
			    row, pair.ours);
		if (shared->result == -ENOSYS)
			SKIP(return, "the kernel does not know the call");
		EXPECT_EQ(error ? -error : is_moved ? SIZE : -EACCES,
			  shared->result)
		{
			TH_LOG("the right is %s", rule_names[rule]);
		}

		/* What arrived, or is still there, and then the end. */
		if (sends ? is_moved : !is_moved || row->keeps)
			left = SIZE;
		memcpy(expected, shared->pattern, left);
		memcpy(expected + left, end, sizeof(end));
		left += sizeof(end);
		EXPECT_EQ(sizeof(end), send(sends ? pair.ours : pair.peer, end,
					    sizeof(end), MSG_NOSIGNAL));
		EXPECT_EQ(left, collect(sends ? pair.peer : pair.ours, got,
					left))
		{
			TH_LOG("the right is %s", rule_names[rule]);
		}
		EXPECT_EQ(0, memcmp(expected, got, left));
		if (!sends) {
			const bool has = is_moved &&
					 !(row->discards && is_stream);

			EXPECT_EQ(0, memcmp(has ? shared->pattern : nothing,
					    shared->data, SIZE));
		}
		close_pair(&pair);
	}
}

TEST_F(send, over_ipv4)
{
	check(_metadata, &variant->row, SEND_TCP, AF_INET, SOCK_STREAM, 0);
}

TEST_F(send, over_ipv6)
{
	check(_metadata, &variant->row, SEND_TCP, AF_INET6, SOCK_STREAM, 0);
}

TEST_F(send, over_mptcp)
{
	check(_metadata, &variant->row, SEND_TCP, AF_INET, SOCK_STREAM,
	      IPPROTO_MPTCP);
}

TEST_F(receive, over_ipv4)
{
	check(_metadata, &variant->row, RECEIVE_TCP, AF_INET, SOCK_STREAM, 0);
}

TEST_F(receive, over_ipv6)
{
	check(_metadata, &variant->row, RECEIVE_TCP, AF_INET6, SOCK_STREAM, 0);
}

TEST_F(receive, over_mptcp)
{
	check(_metadata, &variant->row, RECEIVE_TCP, AF_INET, SOCK_STREAM,
	      IPPROTO_MPTCP);
}

TEST_F(receive, over_udp)
{
	check(_metadata, &variant->row, RECEIVE_UDP, AF_INET, SOCK_DGRAM, 0);
}

TEST_F(receive, over_udp_and_ipv6)
{
	check(_metadata, &variant->row, RECEIVE_UDP, AF_INET6, SOCK_DGRAM, 0);
}

/* The task gets a domain while the request waits for more. */
TEST(a_multishot_request_asks_each_time)
{
	struct shared *const shared = make_shared();
	const struct way way = {};
	struct io_uring_sqe sqe;
	struct io_uring_cqe cqe;
	struct pair pair;
	struct ring ring;

	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	if (obstacle())
		SKIP(return, "%s", obstacle());
	ASSERT_NE(NULL, shared);
	ASSERT_EQ(0, own_network());
	ASSERT_EQ(0, make_pair(&pair, AF_INET, SOCK_STREAM, 0));
	ASSERT_EQ(0, open_ring(&ring, 0));
	ASSERT_EQ(0, provide(&ring, shared->data, 2));
	fill(&sqe, way, IORING_OP_RECV, pair.ours);
	sqe.ioprio = IORING_RECV_MULTISHOT;
	sqe.flags |= IOSQE_BUFFER_SELECT;
	ASSERT_EQ(0, submit(&ring, &sqe));

	ASSERT_EQ(0, send_fd_to(pair.peer, 0, 0));
	ASSERT_EQ(0, take_completion(&ring, &cqe));
	EXPECT_EQ(1, cqe.res);
	EXPECT_TRUE(cqe.flags & IORING_CQE_F_MORE);

	ASSERT_EQ(0, enforce(make_ruleset(REFUSED, RECEIVE_TCP)));
	ASSERT_EQ(0, send_fd_to(pair.peer, 0, 0));
	ASSERT_EQ(0, take_completion(&ring, &cqe));
	EXPECT_EQ(-EACCES, cqe.res);
	EXPECT_FALSE(cqe.flags & IORING_CQE_F_MORE);
	EXPECT_EQ('x', shared->data[0]);
	EXPECT_EQ(0, shared->data[SIZE / 2]);
	close_pair(&pair);
}

/* What is received, but is not in the queue */

FIXTURE(aside)
{
};

FIXTURE_VARIANT(aside)
{
	int family;
	int type;
	__u64 right;
	/* Makes it come to the first socket. */
	int (*make)(struct pair *pair, int family);
	struct row row;
	/* What the call returns, and what it returns when nothing is left. */
	int result;
	int nothing;
};

FIXTURE_SETUP(aside)
{
}

FIXTURE_TEARDOWN(aside)
{
}

static int send_urgent(struct pair *pair, int family)
{
	return result(send(pair->peer, "!", 1, MSG_OOB)) == 1 ? 0 : -errno;
}

/* Sends without a copy, and waits for the report that it is sent. */
static int send_pages(struct pair *pair, int family)
{
	struct pollfd poll_fd = {
		.fd = pair->ours,
	};
	char byte;

	if (send(pair->ours, "!", 1, MSG_ZEROCOPY) != 1 ||
	    recv(pair->peer, &byte, 1, 0) != 1)
		return -errno;
	return poll(&poll_fd, 1, 5000) == 1 ? 0 : -ETIMEDOUT;
}

/* Sends to nobody: what was sent comes back. */
static int send_in_vain(struct pair *pair, int family)
{
	const int one = 1;
	int ret;

	if (family == AF_INET)
		ret = set_option(pair->ours, SOL_IP, IP_RECVERR, &one,
				 sizeof(one));
	else
		ret = set_option(pair->ours, SOL_IPV6, IPV6_RECVERR, &one,
				 sizeof(one));
	/* The descriptor stays, so that it can be closed again. */
	if (!ret)
		ret = dup2(pair->ours, pair->peer) < 0 ? -errno : 0;
	return ret ? ret : send_fd_to(pair->ours, 0, 0);
}

/* clang-format off */
FIXTURE_VARIANT_ADD(aside, out_of_band)
{
	.family = AF_INET,
	.type = SOCK_STREAM,
	.right = RECEIVE_TCP,
	.make = send_urgent,
	.row.call = by_recv,
	.row.flags = MSG_OOB,
	.result = 1,
	.nothing = -EINVAL,
};

FIXTURE_VARIANT_ADD(aside, zero_copy_report)
{
	.family = AF_INET,
	.type = SOCK_STREAM,
	.right = RECEIVE_TCP,
	.make = send_pages,
	.row.call = by_recvmsg,
	.row.flags = MSG_ERRQUEUE,
	.result = 0,
	.nothing = -EAGAIN,
};

FIXTURE_VARIANT_ADD(aside, icmp_error)
{
	.family = AF_INET,
	.type = SOCK_DGRAM,
	.right = RECEIVE_UDP,
	.make = send_in_vain,
	.row.call = by_recvmsg,
	.row.flags = MSG_ERRQUEUE,
	.result = 1,
	.nothing = -EAGAIN,
};

FIXTURE_VARIANT_ADD(aside, icmpv6_error)
{
	.family = AF_INET6,
	.type = SOCK_DGRAM,
	.right = RECEIVE_UDP,
	.make = send_in_vain,
	.row.call = by_recvmsg,
	.row.flags = MSG_ERRQUEUE,
	.result = 1,
	.nothing = -EAGAIN,
};
/* clang-format on */

TEST_F(aside, is_received_with_the_right)
{
	struct shared *const shared = make_shared();
	enum rule rule;

	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_NE(NULL, shared);
	ASSERT_EQ(0, own_network());
	for (rule = 0; rule <= last_rule(variant->right); rule++) {
		const bool is_refused = is_refusal(rule);
		struct pair pair;

		ASSERT_EQ(0, make_pair(&pair, variant->family, variant->type,
				       0));
		ASSERT_EQ(0, variant->make(&pair, variant->family));
		memset(shared->data, 0, SIZE);
		call_inside(_metadata, shared,
			    make_ruleset(rule, variant->right),
			    &variant->row, pair.ours);
		EXPECT_EQ(is_refused ? -EACCES : variant->result,
			  shared->result)
		{
			TH_LOG("the right is %s", rule_names[rule]);
		}
		EXPECT_EQ(is_refused ? 0 : variant->result,
			  shared->data[0] != 0);
		/* The same call, outside, tells what is left. */
		EXPECT_EQ(is_refused ? variant->result : variant->nothing,
			  variant->row.call(&variant->row, pair.ours,
					    shared->data))
		{
			TH_LOG("the right is %s", rule_names[rule]);
		}
		close_pair(&pair);
	}
}

/* TCP Fast Open */

/* Connects and sends in one call. */
static ssize_t by_fast_open(const struct row *row, int fd, char *data)
{
	int family;
	socklen_t size = sizeof(family);
	union addr addr;
	socklen_t len;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size))
		return -errno;
	len = loopback(&addr, family, PORT);
	return result(sendto(fd, data, SIZE, MSG_FASTOPEN | MSG_NOSIGNAL,
			     &addr.sa, len));
}

FIXTURE(fast_open)
{
	struct shared *shared;
};

FIXTURE_VARIANT(fast_open)
{
	int family;
	int protocol;
};

FIXTURE_VARIANT_ADD(fast_open, ipv4)
{
	.family = AF_INET,
};

FIXTURE_VARIANT_ADD(fast_open, ipv6)
{
	.family = AF_INET6,
};

FIXTURE_VARIANT_ADD(fast_open, mptcp)
{
	.family = AF_INET,
	.protocol = IPPROTO_MPTCP,
};

FIXTURE_SETUP(fast_open)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	self->shared = make_shared();
	ASSERT_NE(NULL, self->shared);
	memcpy(self->shared->data, self->shared->pattern, SIZE);
	ASSERT_EQ(0, own_network());
	/* Clients and servers, without a cookie. */
	ASSERT_EQ(0, write_text("/proc/sys/net/ipv4/tcp_fastopen", "519"));
}

FIXTURE_TEARDOWN(fast_open)
{
}

/* If it is deferred, connect(2) leaves it to the first send to connect. */
static void check_fast_open(struct __test_metadata *_metadata,
			    struct shared *shared, int family, int protocol,
			    const struct row *row, bool is_deferred)
{
	enum rule rule;

	for (rule = 0; rule <= last_rule(SEND_TCP); rule++) {
		const bool is_refused = is_refusal(rule);
		const int listener = listen_on(family, protocol, PORT);
		const size_t left = is_refused ? 0 : SIZE;
		const int one = 1;
		char got[SIZE + sizeof(end)];
		struct pollfd poll_fd = {
			.fd = listener,
			.events = POLLIN,
		};
		struct pair pair;
		int ret;

		if (listener == -EPROTONOSUPPORT)
			SKIP(return, "no MPTCP");
		ASSERT_LE(0, listener);
		ASSERT_EQ(0, set_option(listener, SOL_TCP, TCP_FASTOPEN, &one,
					sizeof(one)));
		pair.ours = make_socket(family, SOCK_STREAM, protocol);
		ASSERT_LE(0, pair.ours);
		if (is_deferred) {
			ASSERT_EQ(0, set_option(pair.ours, SOL_TCP,
						TCP_FASTOPEN_CONNECT, &one,
						sizeof(one)));
			ASSERT_EQ(0, connect_fd(pair.ours, family, PORT));
		}
		ASSERT_EQ(0, poll(&poll_fd, 1, 0));
		call_inside(_metadata, shared, make_ruleset(rule, SEND_TCP),
			    row, pair.ours);
		EXPECT_EQ(left ? SIZE : -EACCES, shared->result)
		{
			TH_LOG("the right is %s", rule_names[rule]);
		}
		/* A refusal does not even connect. */
		EXPECT_EQ(!is_refused, poll(&poll_fd, 1, 0));
		ret = is_refused && !is_deferred ?
			      connect_fd(pair.ours, family, PORT) : 0;
		ASSERT_EQ(0, ret);
		EXPECT_EQ(sizeof(end),
			  send(pair.ours, end, sizeof(end), MSG_NOSIGNAL));
		pair.peer = try_accept(listener);
		ASSERT_LE(0, pair.peer);
		ASSERT_EQ(0, be_patient(pair.peer));
		EXPECT_EQ(left + sizeof(end),
			  collect(pair.peer, got, left + sizeof(end)));
		EXPECT_EQ(0, memcmp(shared->pattern, got, left));
		EXPECT_EQ(0, memcmp(end, got + left, sizeof(end)));
		close_pair(&pair);
		EXPECT_EQ(0, close(listener));
	}
}

TEST_F(fast_open, with_an_address)
{
	static const struct row row = {
		.call = by_fast_open,
	};

	check_fast_open(_metadata, self->shared, variant->family,
			variant->protocol, &row, false);
}

TEST_F(fast_open, deferred)
{
	static const struct row plain = {
		.call = by_send,
	};
	static const struct row flagged = {
		.call = by_send,
		.flags = MSG_FASTOPEN,
	};

	check_fast_open(_metadata, self->shared, variant->family,
			variant->protocol, &plain, true);
	/* MPTCP takes the flag for a second connect, which is EINVAL. */
	if (variant->protocol != IPPROTO_MPTCP)
		check_fast_open(_metadata, self->shared, variant->family,
				variant->protocol, &flagged, true);
}

/* Filters: with one, a socket tells its owner about what it does not receive */

/* Loads a program that returns @value for every packet. */
static int load_filter(int value)
{
	const struct bpf_insn program[] = {
		{
			.code = BPF_ALU64 | BPF_MOV | BPF_K,
			.dst_reg = BPF_REG_0,
			.imm = value,
		},
		{
			.code = BPF_JMP | BPF_EXIT,
		},
	};
	union bpf_attr load = {
		.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
		.insns = (uintptr_t)program,
		.insn_cnt = ARRAY_SIZE(program),
		.license = (uintptr_t)"GPL",
	};
	const int fd = syscall(__NR_bpf, BPF_PROG_LOAD, &load, sizeof(load));

	return fd < 0 ? -errno : fd;
}

static int attach_classic(int fd, int option)
{
	struct sock_filter filter = BPF_STMT(BPF_RET | BPF_K, SIZE);
	const struct sock_fprog program = {
		.len = 1,
		.filter = &filter,
	};

	return set_option(fd, SOL_SOCKET, option, &program, sizeof(program));
}

FIXTURE(filter)
{
	int fd;
	int program;
};

FIXTURE_VARIANT(filter)
{
	int family;
	int type;
	int protocol;
	/* To receive, over its protocol and the other one. */
	__u64 right;
	__u64 other;
	/* What the kernel answers. */
	int result;
};

/* clang-format off */
FIXTURE_VARIANT_ADD(filter, tcp)
{
	.family = AF_INET,
	.type = SOCK_STREAM,
	.right = RECEIVE_TCP,
	.other = RECEIVE_UDP,
};

FIXTURE_VARIANT_ADD(filter, tcp_over_ipv6)
{
	.family = AF_INET6,
	.type = SOCK_STREAM,
	.right = RECEIVE_TCP,
	.other = RECEIVE_UDP,
};

FIXTURE_VARIANT_ADD(filter, mptcp)
{
	.family = AF_INET,
	.type = SOCK_STREAM,
	.protocol = IPPROTO_MPTCP,
	.right = RECEIVE_TCP,
	.other = RECEIVE_UDP,
	.result = -EOPNOTSUPP,
};

FIXTURE_VARIANT_ADD(filter, udp)
{
	.family = AF_INET,
	.type = SOCK_DGRAM,
	.right = RECEIVE_UDP,
	.other = RECEIVE_TCP,
};

FIXTURE_VARIANT_ADD(filter, udp_over_ipv6)
{
	.family = AF_INET6,
	.type = SOCK_DGRAM,
	.right = RECEIVE_UDP,
	.other = RECEIVE_TCP,
};
/* clang-format on */

FIXTURE_SETUP(filter)
{
	const int one = 1;

	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	self->fd = make_socket(variant->family, variant->type,
			       variant->protocol);
	if (self->fd == -EPROTONOSUPPORT)
		SKIP(return, "no MPTCP");
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, set_option(self->fd, SOL_SOCKET, SO_REUSEPORT, &one,
				sizeof(one)));
	self->program = load_filter(SIZE);
	if (self->program == -ENOSYS)
		SKIP(return, "no bpf(2)");
	ASSERT_LE(0, self->program);
}

FIXTURE_TEARDOWN(filter)
{
	EXPECT_EQ(0, close(self->program));
	EXPECT_EQ(0, close(self->fd));
}

/* Attaches a filter in each way there is. */
static void attach_filters(struct __test_metadata *_metadata, int fd,
			   int program, int expected)
{
	EXPECT_EQ(expected, attach_classic(fd, SO_ATTACH_FILTER));
	EXPECT_EQ(expected, set_option(fd, SOL_SOCKET, SO_ATTACH_BPF, &program,
				       sizeof(program)));
	EXPECT_EQ(expected, attach_classic(fd, SO_ATTACH_REUSEPORT_CBPF));
	EXPECT_EQ(expected, set_option(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_EBPF,
				       &program, sizeof(program)));
}

/* Also where all ports are granted. */
TEST_F(filter, is_refused_where_receiving_is_handled)
{
	const int none = 0;

	attach_filters(_metadata, self->fd, self->program, variant->result);
	ASSERT_EQ(0, restrict_to(variant->right, variant->right, 0, UINT16_MAX,
				 NULL));
	attach_filters(_metadata, self->fd, self->program, -EACCES);
	EXPECT_EQ(variant->result, set_option(self->fd, SOL_SOCKET,
					      SO_DETACH_FILTER, &none,
					      sizeof(none)));
}

TEST_F(filter, is_allowed_where_only_the_other_protocol_is_handled)
{
	ASSERT_EQ(0, restrict_extended(variant->other | SEND_TCP));
	attach_filters(_metadata, self->fd, self->program, variant->result);
}

/* KCM sends and receives messages on TCP sockets that it is given */

#ifndef AF_KCM
#define AF_KCM 41
#endif

/* Attaches @fd to the KCM socket row->op, with the parser row->flags. */
static ssize_t by_kcm_attach(const struct row *row, int fd, char *data)
{
	const struct kcm_attach attach = {
		.fd = fd,
		.bpf_fd = row->flags,
	};

	return result(ioctl(row->op, SIOCKCMATTACH, &attach));
}

FIXTURE(kcm)
{
	struct shared *shared;
	struct pair pair;
	/* The call that attaches. */
	struct row row;
};

FIXTURE_SETUP(kcm)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	self->shared = make_shared();
	ASSERT_NE(NULL, self->shared);
	ASSERT_EQ(0, own_network());
	self->row.call = by_kcm_attach;
	self->row.op = make_socket(AF_KCM, SOCK_DGRAM, KCMPROTO_CONNECTED);
	if (self->row.op == -EAFNOSUPPORT)
		SKIP(return, "no KCM");
	ASSERT_LE(0, self->row.op);
	ASSERT_EQ(0, be_patient(self->row.op));
	/* All messages have one size. */
	self->row.flags = load_filter(SIZE);
	if (self->row.flags == -ENOSYS)
		SKIP(return, "no bpf(2)");
	ASSERT_LE(0, self->row.flags);
	ASSERT_EQ(0, make_pair(&self->pair, AF_INET, SOCK_STREAM, 0));
}

FIXTURE_TEARDOWN(kcm)
{
	EXPECT_EQ(0, close(self->row.op));
	EXPECT_EQ(0, close(self->row.flags));
	close_pair(&self->pair);
}

/* Sends from one to the other, outside. */
static void expect_connected(struct __test_metadata *_metadata,
			     struct shared *shared, int from, int to)
{
	char got[SIZE];

	EXPECT_EQ(SIZE, send(from, shared->pattern, SIZE, MSG_NOSIGNAL));
	EXPECT_EQ(SIZE, collect(to, got, SIZE));
	EXPECT_EQ(0, memcmp(shared->pattern, got, SIZE));
}

TEST_F(kcm, attaches_with_both_rights)
{
	static const __u64 too_few[] = { 0, SEND_TCP, RECEIVE_TCP };
	const __u64 both = SEND_TCP | RECEIVE_TCP;
	struct shared *const shared = self->shared;
	const struct pair *const pair = &self->pair;
	int ruleset;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(too_few); i++) {
		ruleset = extended(both, 0);
		ASSERT_LE(0, ruleset);
		if (too_few[i]) {
			ASSERT_EQ(0, add_net(ruleset, too_few[i], PORT, PORT,
					     NULL));
		}
		call_inside(_metadata, shared, ruleset, &self->row, pair->ours);
		EXPECT_EQ(-EACCES, shared->result)
		{
			TH_LOG("rights %llx", too_few[i]);
		}
		/* The socket is as it was. */
		expect_connected(_metadata, shared, pair->ours, pair->peer);
		expect_connected(_metadata, shared, pair->peer, pair->ours);
	}

	ruleset = extended(both, 0);
	ASSERT_LE(0, ruleset);
	ASSERT_EQ(0, add_net(ruleset, both, PORT, PORT, NULL));
	call_inside(_metadata, shared, ruleset, &self->row, pair->ours);
	EXPECT_EQ(0, shared->result);
	expect_connected(_metadata, shared, self->row.op, pair->peer);
	expect_connected(_metadata, shared, pair->peer, self->row.op);
}

TEST_F(kcm, attaches_where_no_right_is_handled)
{
	const struct pair *const pair = &self->pair;

	call_inside(_metadata, self->shared, extended(RECEIVE_UDP, 0),
		    &self->row, pair->ours);
	EXPECT_EQ(0, self->shared->result);
	expect_connected(_metadata, self->shared, self->row.op, pair->peer);
}

/* Out of reach, as the documentation says: what was attached before. */
TEST_F(kcm, sends_and_receives_on_what_was_attached_outside)
{
	static const struct row send_row = {
		.call = by_send,
	};
	static const struct row receive_row = {
		.call = by_recv,
	};
	struct shared *const shared = self->shared;
	const int kcm = self->row.op, peer = self->pair.peer;
	char got[SIZE];

	ASSERT_EQ(0, by_kcm_attach(&self->row, self->pair.ours, NULL));
	memcpy(shared->data, shared->pattern, SIZE);
	call_inside(_metadata, shared, extended(TRANSFERS, 0), &send_row, kcm);
	EXPECT_EQ(SIZE, shared->result);
	EXPECT_EQ(SIZE, collect(peer, got, SIZE));
	EXPECT_EQ(0, memcmp(shared->pattern, got, SIZE));

	memset(shared->data, 0, SIZE);
	ASSERT_EQ(SIZE, send(peer, shared->pattern, SIZE, 0));
	call_inside(_metadata, shared, extended(TRANSFERS, 0), &receive_row,
		    kcm);
	EXPECT_EQ(SIZE, shared->result);
	EXPECT_EQ(0, memcmp(shared->pattern, shared->data, SIZE));

	/* Nothing was refused in between, which would end the connection. */
	expect_connected(_metadata, shared, kcm, peer);
	expect_connected(_metadata, shared, peer, kcm);
}

TEST_HARNESS_MAIN
