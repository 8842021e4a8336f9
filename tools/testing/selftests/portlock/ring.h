/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Portlock tests: io_uring without a library
 *
 * As those of common.h, these functions return 0 or a result, or a negative
 * errno.
 */

#ifndef PORTLOCK_RING_H
#define PORTLOCK_RING_H

#include <linux/io_uring.h>
#include <sys/mman.h>

#include "common.h"

/* The reason why io_uring cannot be used here, or NULL. */
static inline const char *obstacle(void)
{
	const int fd = open("/proc/sys/kernel/io_uring_disabled",
			    O_RDONLY | O_CLOEXEC);
	char disabled;

	if (fd < 0)
		return "io_uring is not built in";
	if (read(fd, &disabled, 1) != 1)
		disabled = '?';
	close(fd);
	return disabled == '0' ? NULL : "io_uring is turned off by sysctl";
}

#define NUM_ENTRIES 8

struct ring {
	int fd;
	unsigned int flags;
	void *sq_map;
	size_t sq_size;
	void *cq_map;
	size_t cq_size;
	struct io_uring_sqe *sqes;
	size_t sqes_size;
	unsigned int *sq_tail;
	unsigned int *sq_mask;
	unsigned int *sq_array;
	unsigned int *cq_head;
	unsigned int *cq_tail;
	unsigned int *cq_mask;
	char *cqes;
	size_t cqe_size;
};

static inline void *map_ring(int fd, size_t size, off_t offset)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_POPULATE, fd, offset);
}

static inline int open_ring(struct ring *ring, unsigned int flags)
{
	struct io_uring_params params = {
		.flags = flags,
		.sq_thread_idle = 100,
	};
	char *sq, *cq;

	memset(ring, 0, sizeof(*ring));
	ring->fd = syscall(__NR_io_uring_setup, NUM_ENTRIES, &params);
	if (ring->fd < 0)
		return -errno;
	ring->flags = flags;

	ring->sq_size = params.sq_off.array +
			params.sq_entries * sizeof(unsigned int);
	ring->cqe_size = sizeof(struct io_uring_cqe);
	if (flags & IORING_SETUP_CQE32)
		ring->cqe_size *= 2;
	ring->cq_size = params.cq_off.cqes +
			params.cq_entries * ring->cqe_size;
	ring->sqes_size = params.sq_entries * sizeof(struct io_uring_sqe);
	ring->sq_map = map_ring(ring->fd, ring->sq_size, IORING_OFF_SQ_RING);
	ring->cq_map = map_ring(ring->fd, ring->cq_size, IORING_OFF_CQ_RING);
	ring->sqes = map_ring(ring->fd, ring->sqes_size, IORING_OFF_SQES);
	if (ring->sq_map == MAP_FAILED || ring->cq_map == MAP_FAILED ||
	    ring->sqes == MAP_FAILED)
		return -errno;

	sq = ring->sq_map;
	ring->sq_tail = (unsigned int *)(sq + params.sq_off.tail);
	ring->sq_mask = (unsigned int *)(sq + params.sq_off.ring_mask);
	ring->sq_array = (unsigned int *)(sq + params.sq_off.array);
	cq = ring->cq_map;
	ring->cq_head = (unsigned int *)(cq + params.cq_off.head);
	ring->cq_tail = (unsigned int *)(cq + params.cq_off.tail);
	ring->cq_mask = (unsigned int *)(cq + params.cq_off.ring_mask);
	ring->cqes = cq + params.cq_off.cqes;
	return 0;
}

static inline int close_ring(struct ring *ring)
{
	if (munmap(ring->sq_map, ring->sq_size) ||
	    munmap(ring->cq_map, ring->cq_size) ||
	    munmap(ring->sqes, ring->sqes_size) || close(ring->fd))
		return -errno;
	return 0;
}

/*
 * Takes one completion from the ring, and waits for it if necessary.  With
 * IORING_SETUP_CQE32, @cqe has room for 32 bytes.
 */
static inline int take_completion(struct ring *ring, struct io_uring_cqe *cqe)
{
	const unsigned int head = *ring->cq_head;

	while (head == __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE)) {
		if (syscall(__NR_io_uring_enter, ring->fd, 0, 1,
			    IORING_ENTER_GETEVENTS, NULL, 0) < 0)
			return -errno;
	}
	memcpy(cqe, ring->cqes + (head & *ring->cq_mask) * ring->cqe_size,
	       ring->cqe_size);
	__atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
	return 0;
}

/* Submits one request. */
static inline int submit(struct ring *ring, const struct io_uring_sqe *sqe)
{
	const unsigned int tail = *ring->sq_tail;
	const unsigned int at = tail & *ring->sq_mask;
	unsigned int enter = 0;

	ring->sqes[at] = *sqe;
	ring->sq_array[at] = at;
	__atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_SEQ_CST);
	/*
	 * A polling thread takes the request by itself, but it may be asleep.
	 */
	if (ring->flags & IORING_SETUP_SQPOLL)
		enter |= IORING_ENTER_SQ_WAKEUP;
	if (syscall(__NR_io_uring_enter, ring->fd, 1, 0, enter, NULL, 0) < 0)
		return -errno;
	return 0;
}

/* Submits one request, waits for it and returns its result. */
static inline int run_request(struct ring *ring,
			      const struct io_uring_sqe *sqe)
{
	struct io_uring_cqe cqe;
	int ret = submit(ring, sqe);

	if (!ret)
		ret = take_completion(ring, &cqe);
	if (ret)
		return ret;
	ret = cqe.res;
	/* With zero copy, another completion says when the buffer is free. */
	while (cqe.flags & IORING_CQE_F_MORE) {
		const int err = take_completion(ring, &cqe);

		if (err)
			return err;
		if (!(cqe.flags & IORING_CQE_F_NOTIF))
			return -EPROTO;
	}
	return ret;
}

/* How to run a request. */
struct way {
	__u16 personality;
	/* A worker thread runs it from the start. */
	bool async;
};

static inline void fill(struct io_uring_sqe *sqe, struct way way, int op,
			int fd)
{
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = op;
	sqe->fd = fd;
	sqe->personality = way.personality;
	if (way.async)
		sqe->flags |= IOSQE_ASYNC;
}

#endif /* PORTLOCK_RING_H */
