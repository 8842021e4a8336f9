// SPDX-License-Identifier: GPL-2.0
/*
 * Counts what mechanisms that hold a task to "these N TCP ports" add to bind(2)
 * and connect(2), in instructions, and what some add to every system call.
 *
 * The clock counts the instructions, see clock.h.  As in bench.c, the calls that
 * are measured fail right after the last place where a mechanism decides: a bound
 * socket is bound again, and no route leads to where a socket connects.
 *
 * Before a figure is printed, the mechanism has to prove in this boot that it
 * enforces: a call that the policy allows succeeds, and one that it does not
 * allow fails with the mechanism's error.
 *
 * The argument is the boot: none, bpf, tomoyo, landlock, portlock.  A line of the
 * results is one of these:
 *   cost CALL MECHANISM RULES INSTRUCTIONS
 *   skip MECHANISM REASON
 *   error MECHANISM REASON
 * Zero rules stand for a task that the mechanism does not restrict, on a kernel
 * where it restricts another one.
 *
 * BPF programs are written here as instructions, so that neither a compiler for
 * BPF nor libbpf is needed.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "extended.h"

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define CALLS 50
#define MAX_LAYERS 16
#define PORTS 65536
/* Another group has the tasks that no BPF program restricts. */
#define GROUP "/sys/fs/cgroup/peers"
#define OTHER_GROUP "/sys/fs/cgroup/others"
#define TOMOYO "/sys/kernel/security/tomoyo/"

/*
 * Where sockets connect: a network for measurements of devices (RFC 2544).  A
 * route that makes its addresses local is there only for the proof.
 */
#define NETWORK 0xc6120000u
#define ROUTE "local 198.18.0.0/15 dev lo"
/* Where sockets are bound; not 127.0.0.1, which has a route of its own. */
#define LOOPBACKS 0x7f000000u
/* In both networks, when addresses do not matter. */
#define ANY_HOST 0x8001

static const int rule_counts[] = { 1, 16, 256, 4096 };

enum call {
	BIND,
	CONNECT,
	/* Nothing restricts it. */
	GETPPID,
};

static const char *const call_names[] = { "bind", "connect", "getppid" };

/* Whose lines are printed. */
static const char *current = "none";

static _Noreturn void fail(const char *const format, ...)
{
	va_list args;

	printf("error %s ", current);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	_exit(EXIT_FAILURE);
}

static _Noreturn void die(const char *const what)
{
	fail("%s: %s", what, strerror(errno));
}

static void report(const enum call call, const int rules, const uint64_t cost)
{
	printf("cost %s %s %d %llu\n", call_names[call], current, rules,
	       (unsigned long long)cost);
	fflush(stdout);
}

static void wait_for(const pid_t child)
{
	int status;

	if (child < 0 || waitpid(child, &status, 0) != child)
		die("fork");
	/* The child said why. */
	if (status == EXIT_FAILURE << 8)
		_exit(EXIT_FAILURE);
	if (status)
		fail("a process ended with status %#x", status);
}

static void write_to(const char *const path, const char *const text)
{
	const int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		die(path);
	close(fd);
}

/* The policy: ports far from each other, and the one in the middle is asked for. */

static uint16_t port_of(const int which, const int count)
{
	const int share = 60000 / count;

	/* The port after each has no rule. */
	return 2000 + which * share + (which * 40503U >> 3) % (share - 1);
}

static uint32_t address_of(const uint32_t network, const int which,
			   const int count)
{
	return network + 1 + port_of(which, count);
}

static int middle(const int count)
{
	return count / 2;
}

/* Where calls go. */
struct target {
	struct sockaddr_in bind;
	struct sockaddr_in connect;
};

static struct sockaddr_in inet(const uint32_t address, const uint16_t port)
{
	const struct sockaddr_in inet = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(address),
	};

	return inet;
}

/* What the policy allows, or with @next what it does not. */
static struct target ports_target(const int count, const bool next)
{
	const uint16_t port = port_of(middle(count), count) + next;
	const struct target target = {
		.bind = inet(LOOPBACKS + ANY_HOST, port),
		.connect = inet(NETWORK + ANY_HOST, port),
	};

	return target;
}

static struct target addresses_target(const int count, const bool next)
{
	const int which = middle(count);
	const struct target target = {
		.bind = inet(address_of(LOOPBACKS, which, count) + next, 8080),
		.connect = inet(address_of(NETWORK, which, count) + next, 8080),
	};

	return target;
}

struct mechanism {
	const char *name;
	/* What a refused call fails with. */
	int error;
	/* Puts it into force for later tasks that enter(). */
	void (*begin)(int count);
	/* Places the calling task under the policy. */
	void (*enter)(enum call call, int count);
	/* Makes the calling task one that is not under the policy. */
	void (*stay_out)(void);
	/* Whether the rules say addresses, and not ports. */
	bool has_addresses;
	/* Whether it only knows that there is a call: the policy is then one call. */
	bool is_blind;
};

static struct target target_of(const struct mechanism *const mechanism,
			       const int count, const bool next)
{
	return mechanism->has_addresses ? addresses_target(count, next) :
					  ports_target(count, next);
}

static int tcp_socket(void)
{
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int one = 1;

	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)))
		die("socket");
	return fd;
}

static int do_call(const enum call call, const int fd,
		   const struct target *const target)
{
	switch (call) {
	case BIND:
		return bind(fd, (const struct sockaddr *)&target->bind,
			    sizeof(target->bind));
	case CONNECT:
		return connect(fd, (const struct sockaddr *)&target->connect,
			       sizeof(target->connect));
	case GETPPID:
		return syscall(__NR_getppid);
	}
	return 0;
}

/* The least cost of a call, which fails after it was allowed. */
static uint64_t cost_of(const enum call call, const struct target *const target)
{
	static const int expected[] = { EINVAL, ENETUNREACH, 0 };
	const int fd = tcp_socket();
	uint64_t least = UINT64_MAX;

	/* A bound socket can bind no more. */
	if (call == BIND && do_call(BIND, fd, target))
		die("the bind before those that are measured");
	errno = 0;
	if ((do_call(call, fd, target) < 0) != !!expected[call] ||
	    errno != expected[call])
		die("the call to measure");
	for (int batch = 0; batch < BATCHES; batch++) {
		uint64_t begin = now();

		for (int i = 0; i < CALLS; i++)
			do_call(call, fd, target);
		begin = now() - begin;
		if (begin < least)
			least = begin;
	}
	close(fd);
	return (least - clock_cost() + CALLS / 2) / CALLS;
}

/* Becomes somebody who may not do everything. */
static void become_nobody(void)
{
	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534) ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		die("setresuid");
}

/* Run by a task under the policy: the allowed call succeeds, the other is refused. */
static void prove(const struct mechanism *const mechanism, const enum call call,
		  const int count)
{
	const struct target allowed = target_of(mechanism, count, false);
	const struct target refused = target_of(mechanism, count, true);
	enum call refused_call = call;
	int ret;

	if (do_call(call, tcp_socket(), &allowed))
		fail("an allowed %s fails: %s", call_names[call],
		     strerror(errno));
	if (mechanism->is_blind)
		refused_call = call == BIND ? CONNECT : BIND;
	ret = do_call(refused_call, tcp_socket(), &refused);
	if (ret >= 0 || errno != mechanism->error)
		fail("a %s that has no rule: %s instead of %s",
		     call_names[refused_call],
		     ret < 0 ? strerror(errno) : "allowed",
		     strerror(mechanism->error));
}

/* Runs the proof while somebody listens where the allowed connect goes. */
static void prove_in_child(const struct mechanism *const mechanism,
			   const enum call call, const int count)
{
	const struct target target = target_of(mechanism, count, false);
	const int listener = tcp_socket();
	pid_t child;

	/* It may still be there after an error. */
	if (system("ip route replace " ROUTE))
		fail("no route could be added");
	if (bind(listener, (const struct sockaddr *)&target.connect,
		 sizeof(target.connect)) ||
	    listen(listener, 8))
		die("listen");
	child = fork();
	if (!child) {
		mechanism->enter(call, count);
		become_nobody();
		prove(mechanism, call, count);
		_exit(EXIT_SUCCESS);
	}
	wait_for(child);
	close(listener);
	if (system("ip route del " ROUTE))
		fail("no route could be removed");
}

static void measure_in_child(const struct mechanism *const mechanism,
			     const enum call call, const int count)
{
	/* For a task that is not under the policy, any target will do. */
	const struct target target =
		target_of(mechanism, count ? count : rule_counts[0], false);
	const pid_t child = fork();

	if (!child) {
		if (count)
			mechanism->enter(call, count);
		else if (mechanism->stay_out)
			mechanism->stay_out();
		become_nobody();
		report(call, count, cost_of(call, &target));
		_exit(EXIT_SUCCESS);
	}
	wait_for(child);
}

/* What every call costs a task that is not under the policy. */
static void measure_unrestricted(const struct mechanism *const mechanism)
{
	for (enum call call = BIND; call <= GETPPID; call++)
		measure_in_child(mechanism, call, 0);
}

static void measure_rules(const struct mechanism *const mechanism,
			  const int count, const bool first)
{
	if (mechanism->begin)
		mechanism->begin(count);
	for (enum call call = BIND; call <= CONNECT; call++) {
		prove_in_child(mechanism, call, count);
		measure_in_child(mechanism, call, count);
	}
	if (!first)
		return;
	measure_in_child(mechanism, GETPPID, count);
	measure_unrestricted(mechanism);
}

/*
 * In a process of its own, so that an error of one mechanism leaves the others
 * alone, and so that what it opened is closed: BPF programs go with their links.
 */
static void measure(const struct mechanism *const mechanism)
{
	current = mechanism->name;
	for (size_t i = 0; i < ARRAY_SIZE(rule_counts); i++) {
		const pid_t child = fork();
		int status;

		if (!child) {
			measure_rules(mechanism, rule_counts[i], !i);
			_exit(EXIT_SUCCESS);
		}
		if (child < 0 || waitpid(child, &status, 0) != child)
			die("fork");
		if (status && status != EXIT_FAILURE << 8)
			printf("error %s its process ended with status %#x\n",
			       current, status);
		/* A mechanism that sees no port has no rules to have more of. */
		if (status || mechanism->is_blind)
			break;
	}
}

/* BPF. */

static int bpf(const enum bpf_cmd command, union bpf_attr *const attr)
{
	return syscall(__NR_bpf, command, attr, sizeof(*attr));
}

static uint64_t pointer(const void *const data)
{
	return (uintptr_t)data;
}

#define INSN(code_, dst, src, off_, imm_)                        \
	((struct bpf_insn){ .code = (code_),                     \
			    .dst_reg = BPF_REG_##dst,            \
			    .src_reg = BPF_REG_##src,            \
			    .off = (off_),                       \
			    .imm = (imm_) })
#define MOV_IMM(dst, imm) INSN(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, imm)
#define MOV(dst, src) INSN(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0)
#define ADD_IMM(dst, imm) INSN(BPF_ALU64 | BPF_ADD | BPF_K, dst, 0, 0, imm)
#define LOAD(size, dst, src, off) \
	INSN(BPF_LDX | BPF_MEM | (size), dst, src, off, 0)
#define STORE(size, dst, off, src) \
	INSN(BPF_STX | BPF_MEM | (size), dst, src, off, 0)
#define STORE_IMM(size, dst, off, imm) \
	INSN(BPF_ST | BPF_MEM | (size), dst, 0, off, imm)
#define JUMP_EQ_IMM(dst, imm, off) \
	INSN(BPF_JMP | BPF_JEQ | BPF_K, dst, 0, off, imm)
#define JUMP_NE_IMM(dst, imm, off) \
	INSN(BPF_JMP | BPF_JNE | BPF_K, dst, 0, off, imm)
#define JUMP_NE(dst, src, off) \
	INSN(BPF_JMP | BPF_JNE | BPF_X, dst, src, off, 0)
#define CALL_HELPER(function) \
	INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_##function)
#define EXIT() INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
/* These two take the place of two instructions. */
#define LOAD_IMM64(dst, imm64)                                            \
	INSN(BPF_LD | BPF_DW | BPF_IMM, dst, 0, 0, (uint32_t)(imm64)),    \
		INSN(0, 0, 0, 0, (uint64_t)(imm64) >> 32)
#define LOAD_MAP(dst, fd)                                                     \
	INSN(BPF_LD | BPF_DW | BPF_IMM, dst, 1, 0, fd), INSN(0, 0, 0, 0, 0)
_Static_assert(BPF_PSEUDO_MAP_FD == BPF_REG_1, "LOAD_MAP names it by number");

static int load_program(const enum bpf_prog_type type,
			const enum bpf_attach_type attach_type,
			const uint32_t btf_id,
			const struct bpf_insn *const instructions,
			const size_t count)
{
	static char log[1 << 16];
	union bpf_attr attr = {
		.prog_type = type,
		.expected_attach_type = attach_type,
		.attach_btf_id = btf_id,
		.insns = pointer(instructions),
		.insn_cnt = count,
		.license = pointer("GPL"),
	};
	int fd = bpf(BPF_PROG_LOAD, &attr);

	if (fd >= 0)
		return fd;
	/* Once more, for the words of the verifier. */
	attr.log_level = 1;
	attr.log_size = sizeof(log);
	attr.log_buf = pointer(log);
	fd = bpf(BPF_PROG_LOAD, &attr);
	fprintf(stderr, "%s\n", log);
	die("BPF_PROG_LOAD");
}

static int make_map(const enum bpf_map_type type, const size_t key_size,
		    const uint32_t flags, const int count)
{
	union bpf_attr attr = {
		.map_type = type,
		.key_size = key_size,
		.value_size = sizeof(uint32_t),
		.max_entries = count,
		.map_flags = flags,
	};
	const int map = bpf(BPF_MAP_CREATE, &attr);

	if (map < 0)
		die("BPF_MAP_CREATE");
	return map;
}

/* What is in the map is allowed: the value does not matter. */
static void put(const int map, const void *const key)
{
	const uint32_t value = 1;
	union bpf_attr attr = {
		.map_fd = map,
		.key = pointer(key),
		.value = pointer(&value),
	};

	if (bpf(BPF_MAP_UPDATE_ELEM, &attr))
		die("BPF_MAP_UPDATE_ELEM");
}

/* The hash is the same in each boot. */
static int make_hash(const int count)
{
	const int map = make_map(BPF_MAP_TYPE_HASH, sizeof(uint32_t),
				 BPF_F_ZERO_SEED, count);

	for (int i = 0; i < count; i++) {
		/* As a context has it: in the order of the network. */
		const uint32_t key = htons(port_of(i, count));

		put(map, &key);
	}
	return map;
}

static int make_trie(const uint32_t network, const int count)
{
	const int map = make_map(BPF_MAP_TYPE_LPM_TRIE, 2 * sizeof(uint32_t),
				 BPF_F_NO_PREALLOC, count);

	for (int i = 0; i < count; i++) {
		const uint32_t key[] = { 32, htonl(address_of(network, i,
							      count)) };

		put(map, key);
	}
	return map;
}

static void join(const char *const group)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	write_to(path, "0");
}

/* A socket belongs to the group that its maker is in. */
static void enter_group(const enum call call, const int count)
{
	join(GROUP);
}

static void enter_other_group(void)
{
	join(OTHER_GROUP);
}

static void attach_to_group(const struct bpf_insn *const program,
			    const size_t count,
			    const enum bpf_attach_type attach_type)
{
	union bpf_attr attr = {
		.link_create.prog_fd = load_program(
			BPF_PROG_TYPE_CGROUP_SOCK_ADDR, attach_type, 0, program,
			count),
		.link_create.target_fd = open(GROUP, O_RDONLY | O_CLOEXEC),
		.link_create.attach_type = attach_type,
	};

	if (bpf(BPF_LINK_CREATE, &attr) < 0)
		die("BPF_LINK_CREATE");
}

#define CONTEXT(field) offsetof(struct bpf_sock_addr, field)

static void attach_port_program(const int map,
				const enum bpf_attach_type attach_type)
{
	const struct bpf_insn program[] = {
		LOAD(BPF_W, 2, 1, CONTEXT(protocol)),
		JUMP_NE_IMM(2, IPPROTO_TCP, 8),
		LOAD(BPF_W, 2, 1, CONTEXT(user_port)),
		STORE(BPF_W, 10, -4, 2),
		MOV(2, 10),
		ADD_IMM(2, -4),
		LOAD_MAP(1, map),
		CALL_HELPER(map_lookup_elem),
		/* Without an element, it is zero: refused. */
		JUMP_EQ_IMM(0, 0, 1),
		MOV_IMM(0, 1),
		EXIT(),
	};

	attach_to_group(program, ARRAY_SIZE(program), attach_type);
}

static void attach_address_program(const int map,
				   const enum bpf_attach_type attach_type)
{
	const struct bpf_insn program[] = {
		LOAD(BPF_W, 2, 1, CONTEXT(protocol)),
		JUMP_NE_IMM(2, IPPROTO_TCP, 9),
		LOAD(BPF_W, 2, 1, CONTEXT(user_ip4)),
		STORE(BPF_W, 10, -4, 2),
		STORE_IMM(BPF_W, 10, -8, 32),
		MOV(2, 10),
		ADD_IMM(2, -8),
		LOAD_MAP(1, map),
		CALL_HELPER(map_lookup_elem),
		JUMP_EQ_IMM(0, 0, 1),
		MOV_IMM(0, 1),
		EXIT(),
	};

	attach_to_group(program, ARRAY_SIZE(program), attach_type);
}

static void begin_cgroup_hash(const int count)
{
	const int map = make_hash(count);

	attach_port_program(map, BPF_CGROUP_INET4_BIND);
	attach_port_program(map, BPF_CGROUP_INET4_CONNECT);
}

static void begin_cgroup_lpm(const int count)
{
	attach_address_program(make_trie(LOOPBACKS, count),
			       BPF_CGROUP_INET4_BIND);
	attach_address_program(make_trie(NETWORK, count),
			       BPF_CGROUP_INET4_CONNECT);
}

/* BTF, the kernel's own description of its types. */

#define BTF "/sys/kernel/btf/vmlinux"

static const struct btf_header *btf;

static void read_btf(void)
{
	static char buffer[32 << 20];
	const int fd = open(BTF, O_RDONLY | O_CLOEXEC);
	size_t size = 0;
	ssize_t got;

	if (fd < 0)
		die(BTF);
	while ((got = read(fd, buffer + size, sizeof(buffer) - size)) > 0)
		size += got;
	close(fd);
	btf = (const struct btf_header *)buffer;
	if (got < 0 || size < sizeof(*btf) || size == sizeof(buffer) ||
	    btf->magic != BTF_MAGIC)
		fail("%s cannot be read", BTF);
}

static const char *btf_name(const uint32_t offset)
{
	return (const char *)btf + btf->hdr_len + btf->str_off + offset;
}

/* The bytes that follow a type's own. */
static size_t btf_more(const struct btf_type *const type)
{
	const size_t count = BTF_INFO_VLEN(type->info);

	switch (BTF_INFO_KIND(type->info)) {
	case BTF_KIND_INT:
		return sizeof(uint32_t);
	case BTF_KIND_ARRAY:
		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return count * sizeof(struct btf_member);
	case BTF_KIND_ENUM:
		return count * sizeof(struct btf_enum);
	case BTF_KIND_ENUM64:
		return count * sizeof(struct btf_enum64);
	case BTF_KIND_FUNC_PROTO:
		return count * sizeof(struct btf_param);
	case BTF_KIND_VAR:
		return sizeof(struct btf_var);
	case BTF_KIND_DATASEC:
		return count * sizeof(struct btf_var_secinfo);
	case BTF_KIND_DECL_TAG:
		return sizeof(struct btf_decl_tag);
	}
	return 0;
}

/* The type of this kind and name, and its id. */
static const struct btf_type *find_type(const uint32_t kind,
					const char *const name,
					uint32_t *const id)
{
	const char *const begin =
		(const char *)btf + btf->hdr_len + btf->type_off;
	const char *place = begin;

	/* No type has the number 0. */
	for (*id = 1; place < begin + btf->type_len; (*id)++) {
		const struct btf_type *const type =
			(const struct btf_type *)place;

		if (BTF_INFO_KIND(type->info) == kind &&
		    !strcmp(btf_name(type->name_off), name))
			return type;
		place += sizeof(*type) + btf_more(type);
	}
	fail("BTF has no %s", name);
}

static uint32_t offset_of(const char *const structure, const char *const name)
{
	uint32_t id;
	const struct btf_type *const type =
		find_type(BTF_KIND_STRUCT, structure, &id);
	const struct btf_member *const members =
		(const struct btf_member *)(type + 1);

	for (uint32_t i = 0; i < BTF_INFO_VLEN(type->info); i++) {
		if (!strcmp(btf_name(members[i].name_off), name))
			return (BTF_INFO_KFLAG(type->info) ?
					BTF_MEMBER_BIT_OFFSET(
						members[i].offset) :
					members[i].offset) /
			       8;
	}
	fail("BTF knows no member %s of struct %s", name, structure);
}

/* The number that the kernel gives a group. */
static uint64_t group_id(void)
{
	struct {
		struct file_handle handle;
		uint64_t id;
	} group = { .handle.handle_bytes = sizeof(group.id) };
	int mount;

	if (name_to_handle_at(AT_FDCWD, GROUP, &group.handle, &mount, 0))
		die("name_to_handle_at");
	return group.id;
}

/*
 * The hook runs for every task, so that the program has to tell who is
 * restricted: who is in the group.
 */
static void attach_to_hook(const char *const hook, const int map)
{
	const struct bpf_insn program[] = {
		MOV(6, 1),
		CALL_HELPER(get_current_cgroup_id),
		LOAD_IMM64(1, group_id()),
		JUMP_NE(0, 1, 19),
		/* The socket: its protocol. */
		LOAD(BPF_DW, 2, 6, 0),
		LOAD(BPF_DW, 2, 2, offset_of("socket", "sk")),
		JUMP_EQ_IMM(2, 0, 16),
		LOAD(BPF_H, 2, 2, offset_of("sock", "sk_protocol")),
		JUMP_NE_IMM(2, IPPROTO_TCP, 14),
		/* The address: both families have the port at the same place. */
		LOAD(BPF_DW, 3, 6, 8),
		LOAD(BPF_H, 2, 3, offsetof(struct sockaddr, sa_family)),
		JUMP_EQ_IMM(2, AF_INET, 1),
		JUMP_NE_IMM(2, AF_INET6, 10),
		LOAD(BPF_H, 2, 3, offsetof(struct sockaddr_in, sin_port)),
		STORE(BPF_W, 10, -4, 2),
		MOV(2, 10),
		ADD_IMM(2, -4),
		LOAD_MAP(1, map),
		CALL_HELPER(map_lookup_elem),
		JUMP_NE_IMM(0, 0, 2),
		MOV_IMM(0, -EACCES),
		EXIT(),
		MOV_IMM(0, 0),
		EXIT(),
	};
	union bpf_attr attr = {};
	uint32_t id;

	find_type(BTF_KIND_FUNC, hook, &id);
	attr.raw_tracepoint.prog_fd = load_program(
		BPF_PROG_TYPE_LSM, BPF_LSM_MAC, id, program,
		ARRAY_SIZE(program));
	if (bpf(BPF_RAW_TRACEPOINT_OPEN, &attr) < 0)
		die("BPF_RAW_TRACEPOINT_OPEN");
}

static void begin_bpf_lsm(const int count)
{
	const int map = make_hash(count);

	read_btf();
	attach_to_hook("bpf_lsm_socket_bind", map);
	attach_to_hook("bpf_lsm_socket_connect", map);
}

/* Seccomp. */

static int install_filter(const struct sock_filter *const filter,
			  const size_t count, const unsigned int flags)
{
	const struct sock_fprog program = {
		.len = count,
		.filter = (struct sock_filter *)filter,
	};
	int fd;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		die("PR_SET_NO_NEW_PRIVS");
	fd = syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
	if (fd < 0)
		die("SECCOMP_SET_MODE_FILTER");
	return fd;
}

#define DATA(field) \
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define SKIP_IF(value, yes, no) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no)
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, action)

/* A filter sees the number that is a pointer, and no address behind it. */
static void enter_seccomp(const enum call call, const int count)
{
	const struct sock_filter filter[] = {
		DATA(arch),
		SKIP_IF(AUDIT_ARCH_X86_64, 1, 0),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		DATA(nr),
		SKIP_IF(call == CONNECT ? __NR_bind : __NR_connect, 0, 1),
		RETURN(SECCOMP_RET_ERRNO | EACCES),
		RETURN(SECCOMP_RET_ALLOW),
	};

	install_filter(filter, ARRAY_SIZE(filter), 0);
}

/* The supervisor's policy. */
static bool is_allowed[PORTS];

static void begin_notify(const int count)
{
	for (int i = 0; i < count; i++)
		is_allowed[port_of(i, count)] = true;
}

static int decide(const struct seccomp_notif *const request)
{
	struct sockaddr_in address = {};
	const struct iovec local = {
		.iov_base = &address,
		.iov_len = sizeof(address),
	};
	const struct iovec remote = {
		.iov_base = (void *)(uintptr_t)request->data.args[1],
		.iov_len = sizeof(address),
	};

	if (request->data.args[2] < sizeof(address) ||
	    process_vm_readv(request->pid, &local, 1, &remote, 1, 0) !=
		    sizeof(address))
		return -EFAULT;
	if (address.sin_family == AF_INET &&
	    !is_allowed[ntohs(address.sin_port)])
		return -EACCES;
	return 0;
}

static void note_end(const int number)
{
}

static _Noreturn void supervise(const int fd, const pid_t task)
{
	int status;

	for (;;) {
		struct seccomp_notif request = {};
		struct seccomp_notif_resp response = {};

		if (ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &request)) {
			/* The task ended. */
			if (waitpid(task, &status, WNOHANG) == task)
				_exit(status ? EXIT_FAILURE : EXIT_SUCCESS);
			continue;
		}
		response.id = request.id;
		response.error = decide(&request);
		/* Was it this task's memory, and not that of the next with its id? */
		if (ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &request.id))
			continue;
		if (!response.error)
			response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &response);
	}
}

/* The caller becomes the supervisor of a new task, which returns. */
static void enter_notify(const enum call call, const int count)
{
	const struct sock_filter filter[] = {
		DATA(arch),
		SKIP_IF(AUDIT_ARCH_X86_64, 1, 0),
		RETURN(SECCOMP_RET_KILL_PROCESS),
		DATA(nr),
		SKIP_IF(__NR_bind, 1, 0),
		SKIP_IF(__NR_connect, 0, 1),
		RETURN(SECCOMP_RET_USER_NOTIF),
		RETURN(SECCOMP_RET_ALLOW),
	};
	/* Without SA_RESTART, so that the end of the task interrupts the wait. */
	const struct sigaction action = { .sa_handler = note_end };
	int ready[2], go[2], fd;
	pid_t task;

	if (sigaction(SIGCHLD, &action, NULL) || pipe(ready) || pipe(go))
		die("pipe");
	task = fork();
	if (task < 0)
		die("fork");
	if (!task) {
		char byte;

		fd = install_filter(filter, ARRAY_SIZE(filter),
				    SECCOMP_FILTER_FLAG_NEW_LISTENER);
		if (write(ready[1], &fd, sizeof(fd)) != sizeof(fd) ||
		    read(go[0], &byte, 1) != 1)
			die("pipe");
		close(fd);
		return;
	}
	if (read(ready[0], &fd, sizeof(fd)) != sizeof(fd))
		die("pipe");
	fd = syscall(__NR_pidfd_getfd, syscall(__NR_pidfd_open, task, 0), fd,
		     0);
	if (fd < 0)
		die("pidfd_getfd");
	/* Who is woken runs on this processor at once. */
	if (ioctl(fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS,
		  SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP))
		die("SECCOMP_IOCTL_NOTIF_SET_FLAGS");
	if (write(go[1], "", 1) != 1)
		die("pipe");
	supervise(fd, task);
}

/* TOMOYO. */

/* A domain of its own for each number of rules. */
static void write_domain(char *const name, const size_t size, const int count)
{
	snprintf(name, size, "<kernel> /ports%d", count);
}

static void begin_tomoyo(const int count)
{
	FILE *const policy = fopen(TOMOYO "domain_policy", "we");
	char domain[64];

	write_to(TOMOYO "profile",
		 "1-CONFIG={ mode=disabled grant_log=no reject_log=no }\n"
		 "1-CONFIG::network={ mode=enforcing grant_log=no reject_log=no }\n");
	write_domain(domain, sizeof(domain), count);
	if (!policy)
		die(TOMOYO "domain_policy");
	setvbuf(policy, NULL, _IOLBF, 0);
	fprintf(policy, "select pid=%d\n", getpid());
	fprintf(policy, "task manual_domain_transition %s\n", domain);
	fprintf(policy, "%s\n", domain);
	fputs("use_profile 1\n", policy);
	for (int i = 0; i < count; i++)
		fprintf(policy,
			"network inet stream bind/connect 0.0.0.0-255.255.255.255 %d\n",
			port_of(i, count));
	if (fclose(policy))
		die(TOMOYO "domain_policy");
}

static void enter_tomoyo(const enum call call, const int count)
{
	char domain[64];

	write_domain(domain, sizeof(domain), count);
	write_to(TOMOYO "self_domain", domain);
}

/* Landlock. */

static void add_layers(const int count, const int layers)
{
	const struct landlock_ruleset_attr attr = {
		.handled_access_net = LANDLOCK_ACCESS_NET_BIND_TCP |
				      LANDLOCK_ACCESS_NET_CONNECT_TCP,
	};
	const int fd = syscall(__NR_landlock_create_ruleset, &attr,
			       sizeof(attr), 0);

	if (fd < 0)
		die("landlock_create_ruleset");
	for (int i = 0; i < count; i++) {
		const struct landlock_net_port_attr rule = {
			.allowed_access = attr.handled_access_net,
			.port = port_of(i, count),
		};

		if (syscall(__NR_landlock_add_rule, fd, LANDLOCK_RULE_NET_PORT,
			    &rule, 0))
			die("landlock_add_rule");
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		die("PR_SET_NO_NEW_PRIVS");
	for (int i = 0; i < layers; i++)
		if (syscall(__NR_landlock_restrict_self, fd, 0))
			die("landlock_restrict_self");
	close(fd);
}

static void enter_landlock(const enum call call, const int count)
{
	add_layers(count, 1);
}

static void enter_all_layers(const enum call call, const int count)
{
	add_layers(count, MAX_LAYERS);
}

/*
 * Portlock: the addresses of the call's network, with all ports, as the trie has
 * them.
 */
static void enter_addresses(const enum call call, const int count)
{
	const uint64_t rights = LANDLOCK_ACCESS_NET_BIND_TCP |
				LANDLOCK_ACCESS_NET_CONNECT_TCP;
	const uint32_t network = call == CONNECT ? NETWORK : LOOPBACKS;
	const int fd = create_extended(rights, 0);

	if (fd < 0)
		die("landlock_create_ruleset");
	for (int i = 0; i < count; i++) {
		struct portlock_net_attr rule = {
			.allowed_access = rights,
			.port_last = PORTS - 1,
			.family = AF_INET,
			.prefix_len = 32,
		};
		const uint32_t address = htonl(address_of(network, i, count));

		memcpy(rule.address, &address, sizeof(address));
		if (add_net_rule(fd, &rule))
			die("landlock_add_rule");
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		die("PR_SET_NO_NEW_PRIVS");
	if (syscall(__NR_landlock_restrict_self, fd, 0))
		die("landlock_restrict_self");
	close(fd);
}

/* The boots. */

/* Whether "lsm=" says so. */
static void check_lsm(const char *const name)
{
	char list[256] = ",";
	char wanted[64];
	FILE *const file = fopen("/sys/kernel/security/lsm", "re");

	if (!file || !fgets(list + 1, sizeof(list) - 2, file))
		die("/sys/kernel/security/lsm");
	fclose(file);
	strcat(list, ",");
	snprintf(wanted, sizeof(wanted), ",%s,", name);
	if (!strstr(list, wanted))
		fail("the kernel runs without it: %s", list);
}

static void boot_none(void)
{
	static const struct mechanism without = { .name = "none" };
	static const struct mechanism mechanisms[] = {
		{
			.name = "cgroup-hash",
			.error = EPERM,
			.begin = begin_cgroup_hash,
			.enter = enter_group,
			.stay_out = enter_other_group,
		},
		{
			.name = "cgroup-lpm",
			.error = EPERM,
			.begin = begin_cgroup_lpm,
			.enter = enter_group,
			.stay_out = enter_other_group,
			.has_addresses = true,
		},
		{
			.name = "seccomp",
			.error = EACCES,
			.enter = enter_seccomp,
			.is_blind = true,
		},
		{
			.name = "notify",
			.error = EACCES,
			.begin = begin_notify,
			.enter = enter_notify,
		},
	};

	measure_unrestricted(&without);
	for (size_t i = 0; i < ARRAY_SIZE(mechanisms); i++)
		measure(&mechanisms[i]);
}

static void boot_bpf(void)
{
	static const struct mechanism idle = { .name = "bpf-lsm-idle" };
	static const struct mechanism mechanism = {
		.name = "bpf-lsm",
		.error = EACCES,
		.begin = begin_bpf_lsm,
		.enter = enter_group,
		.stay_out = enter_other_group,
	};

	if (access(BTF, R_OK)) {
		printf("skip %s the kernel has no BTF: pahole was missing when it was built\n",
		       mechanism.name);
		return;
	}
	check_lsm("bpf");
	/* Before any program is there. */
	current = idle.name;
	measure_unrestricted(&idle);
	measure(&mechanism);
}

static void boot_tomoyo(void)
{
	static const struct mechanism mechanism = {
		.name = "tomoyo",
		.error = EPERM,
		.begin = begin_tomoyo,
		.enter = enter_tomoyo,
	};

	measure(&mechanism);
}

static void boot_landlock(const char *const name, const char *const all_layers)
{
	const struct mechanism mechanisms[] = {
		{
			.name = name,
			.error = EACCES,
			.enter = enter_landlock,
		},
		{
			.name = all_layers,
			.error = EACCES,
			.enter = enter_all_layers,
		},
	};

	for (size_t i = 0; i < ARRAY_SIZE(mechanisms); i++)
		measure(&mechanisms[i]);
}

static void boot_portlock(void)
{
	/* The row to compare with cgroup-lpm. */
	static const struct mechanism addresses = {
		.name = "portlock-addresses",
		.error = EACCES,
		.enter = enter_addresses,
		.has_addresses = true,
	};

	boot_landlock("portlock", "portlock-16");
	measure(&addresses);
}

/*
 * All processes have the same memory layout in each boot.  Under TOMOYO, which
 * learns from the first process on, they are also in a domain that learned
 * nothing.
 */
static void start_again(char *const argv[])
{
	if (personality(0xffffffff) & ADDR_NO_RANDOMIZE)
		return;
	if (!strcmp(argv[1], "tomoyo"))
		write_to(TOMOYO "profile",
			 "0-CONFIG={ mode=disabled grant_log=no reject_log=no }\n");
	personality(ADDR_NO_RANDOMIZE);
	execv("/proc/self/exe", argv);
	die("/proc/self/exe");
}

int main(int argc, char *argv[])
{
	const char *const boot = argc == 2 ? argv[1] : "";

	/* A line is never printed twice: it is out before a process is made. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!argv[1])
		return EXIT_FAILURE;
	start_again(argv);
	mkdir(GROUP, 0755);
	mkdir(OTHER_GROUP, 0755);
	if (!strcmp(boot, "none")) {
		boot_none();
	} else if (!strcmp(boot, "bpf")) {
		boot_bpf();
	} else if (!strcmp(boot, "tomoyo")) {
		check_lsm(boot);
		boot_tomoyo();
	} else if (!strcmp(boot, "landlock")) {
		check_lsm(boot);
		boot_landlock("landlock", "landlock-16");
	} else if (!strcmp(boot, "portlock")) {
		check_lsm(boot);
		boot_portlock();
	} else {
		fail("there is no boot \"%s\"", boot);
	}
	return EXIT_SUCCESS;
}
