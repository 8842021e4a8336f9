/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Portlock tests: functions about connections
 *
 * As those of common.h, they return 0 or a result, or a negative errno.  What
 * they open for the other end of a connection stays open until the test ends.
 */

#ifndef PORTLOCK_CONNECTIONS_H
#define PORTLOCK_CONNECTIONS_H

#include <linux/bpf.h>
#include <stddef.h>
#include <sys/time.h>

#include "extended.h"

/*
 * Returns a socket that is bound to @port of @address.  What waits for it, or
 * for what it accepts, does not wait for ever if a test fails.
 */
static inline int bound_at(int type, int protocol, const char *address,
			   __u16 port)
{
	const struct timeval limit = {
		.tv_sec = 5,
	};
	const int fd = make_socket(family_of(address), type, protocol);
	int ret = fd < 0 ? fd : bind_to(fd, address, port);

	if (!ret)
		ret = set_option(fd, SOL_SOCKET, SO_RCVTIMEO, &limit,
				 sizeof(limit));
	if (ret && fd >= 0)
		close(fd);
	return ret ? ret : fd;
}

/* Returns a socket that listens on @port of @address. */
static inline int listen_at(int protocol, const char *address, __u16 port)
{
	const int fd = bound_at(SOCK_STREAM, protocol, address, port);

	if (fd >= 0 && listen(fd, 8)) {
		const int ret = -errno;

		close(fd);
		return ret;
	}
	return fd;
}

/*
 * Returns a socket that is connected from @source_port (0: any) of @source to
 * @port of @address.
 */
static inline int dial(int protocol, const char *source, __u16 source_port,
		       const char *address, __u16 port)
{
	const int fd = bound_at(SOCK_STREAM, protocol, source, source_port);
	const int ret = fd < 0 ? fd : connect_to(fd, address, port);

	if (ret && fd >= 0)
		close(fd);
	return ret ? ret : fd;
}

/* Closes a connection so that the peer gets a reset. */
static inline int close_with_reset(int fd)
{
	const struct linger linger = {
		.l_onoff = 1,
	};
	const int ret = set_option(fd, SOL_SOCKET, SO_LINGER, &linger,
				   sizeof(linger));

	if (close(fd) && !ret)
		return -errno;
	return ret;
}

/* Receives at most one byte.  Returns 0 at the end of the connection. */
static inline int receive_byte(int fd, int flags)
{
	char byte;
	const ssize_t ret = recv(fd, &byte, 1, flags);

	return ret < 0 ? -errno : ret;
}

/*
 * Lets server and client of this namespace connect at once with data, without
 * a cookie and without a further option.
 */
static inline int allow_fast_open(void)
{
	return write_text("/proc/sys/net/ipv4/tcp_fastopen", "1543");
}

static inline int call_bpf(int command, union bpf_attr *attr)
{
	const int ret = syscall(__NR_bpf, command, attr, sizeof(*attr));

	return ret < 0 ? -errno : ret;
}

/*
 * Makes @listener get the connections that clients in this namespace dial on
 * @port, as a transparent proxy gets them.  It keeps its own port.
 */
static inline int steer(int listener, __u16 port)
{
	union bpf_attr map = {
		.map_type = BPF_MAP_TYPE_SOCKMAP,
		.key_size = sizeof(__u32),
		.value_size = sizeof(__u64),
		.max_entries = 1,
	};
	const int map_fd = call_bpf(BPF_MAP_CREATE, &map);
	const struct bpf_insn insns[] = {
#define INSN(op, dst, src, offset, value)                               \
	{                                                               \
		.code = (op), .dst_reg = (dst), .src_reg = (src),       \
		.off = (offset), .imm = (value),                        \
	}
		/* Leave other ports alone. */
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, 6, 1, 0, 0),
		INSN(BPF_LDX | BPF_MEM | BPF_W, 2, 6,
		     offsetof(struct bpf_sk_lookup, local_port), 0),
		INSN(BPF_JMP | BPF_JNE | BPF_K, 2, 0, 14, port),
		/* Look the listener up at place 0. */
		INSN(BPF_ST | BPF_MEM | BPF_W, 10, 0, -4, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, 2, 10, 0, 0),
		INSN(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, -4),
		INSN(BPF_LD | BPF_IMM | BPF_DW, 1, BPF_PSEUDO_MAP_FD, 0,
		     map_fd),
		INSN(0, 0, 0, 0, 0),
		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_map_lookup_elem),
		INSN(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 7, 0),
		/* Give it the connection. */
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, 7, 0, 0, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, 1, 6, 0, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, 2, 7, 0, 0),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, 3, 0, 0, 0),
		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_sk_assign),
		INSN(BPF_ALU64 | BPF_MOV | BPF_X, 1, 7, 0, 0),
		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_sk_release),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, SK_PASS),
		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
#undef INSN
	};
	union bpf_attr program = {
		.prog_type = BPF_PROG_TYPE_SK_LOOKUP,
		.expected_attach_type = BPF_SK_LOOKUP,
		.insns = (uintptr_t)insns,
		.insn_cnt = ARRAY_SIZE(insns),
		.license = (uintptr_t)"GPL",
	};
	const __u32 place = 0;
	const __u64 value = listener;
	union bpf_attr element = {
		.map_fd = map_fd,
		.key = (uintptr_t)&place,
		.value = (uintptr_t)&value,
	};
	union bpf_attr link = {};
	int ret;

	if (map_fd < 0)
		return map_fd;
	ret = call_bpf(BPF_MAP_UPDATE_ELEM, &element);
	if (ret)
		return ret;
	ret = call_bpf(BPF_PROG_LOAD, &program);
	if (ret < 0)
		return ret;
	link.link_create.prog_fd = ret;
	link.link_create.attach_type = BPF_SK_LOOKUP;
	link.link_create.target_fd = open("/proc/thread-self/ns/net",
					  O_RDONLY | O_CLOEXEC);
	/* It holds as long as this descriptor is open. */
	ret = call_bpf(BPF_LINK_CREATE, &link);
	return ret < 0 ? ret : 0;
}

#endif /* PORTLOCK_CONNECTIONS_H */
