// SPDX-License-Identifier: GPL-2.0
/*
 * Portlock tests: the three ruleset system calls and the ruleset descriptor
 *
 * C Landlock and Portlock must give a program the same answers.  Each
 * documented errno has a test.  Other tests check the order of the checks:
 * which error a call with two wrong arguments gets.
 */

#include <linux/fs.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "kselftest_harness.h"
#include "common.h"

#define FS_MASK ((LANDLOCK_ACCESS_FS_RESOLVE_UNIX << 1) - 1)
#define SCOPE_MASK ((LANDLOCK_SCOPE_SIGNAL << 1) - 1)

#define ABI_VERSION 11

/* An address that no process can map. */
#define BAD_POINTER ((void *)-4096L)

/* landlock_create_ruleset(2) */

TEST(create_takes_every_known_right)
{
	const struct landlock_ruleset_attr attr = {
		.handled_access_fs = FS_MASK,
		.handled_access_net = ALL_NET,
		.scoped = SCOPE_MASK,
		.quiet_access_fs = FS_MASK,
		.quiet_access_net = ALL_NET,
		.quiet_scoped = SCOPE_MASK,
	};
	const int fd = create_ruleset(&attr, sizeof(attr), 0);

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, close(fd));
}

TEST(create_refuses_sizes_below_the_first_field)
{
	const struct landlock_ruleset_attr attr = {
		.handled_access_fs = LANDLOCK_ACCESS_FS_READ_FILE,
	};
	size_t size;

	for (size = 0; size < 8; size++) {
		EXPECT_EQ(-EINVAL, create_ruleset(&attr, size, 0))
			TH_LOG("size %zu", size);
	}
}

TEST(create_takes_every_size_from_the_first_field_on)
{
	const struct landlock_ruleset_attr attr = {
		.handled_access_fs = LANDLOCK_ACCESS_FS_READ_FILE,
	};
	size_t size;

	for (size = 8; size <= sizeof(attr); size++) {
		const int fd = create_ruleset(&attr, size, 0);

		EXPECT_LE(0, fd)
			TH_LOG("size %zu", size);
		if (fd >= 0)
			EXPECT_EQ(0, close(fd));
	}
}

/* Bytes after @size are not read, so fields there count as zero. */
TEST(create_takes_missing_fields_as_zero)
{
	const struct landlock_ruleset_attr net = {
		.handled_access_net = BIND_TCP,
	};
	const struct landlock_ruleset_attr scope = {
		.scoped = LANDLOCK_SCOPE_SIGNAL,
	};
	int fd;

	EXPECT_EQ(-ENOMSG, create_ruleset(&net, 8, 0));
	fd = create_ruleset(&net, 16, 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, add_port(fd, 1024, BIND_TCP));
	EXPECT_EQ(-EINVAL, add_port(fd, 1024, CONNECT_TCP));
	EXPECT_EQ(0, close(fd));

	EXPECT_EQ(-ENOMSG, create_ruleset(&scope, 16, 0));
	fd = create_ruleset(&scope, 24, 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, close(fd));

	/* If @size ends inside a field, the missing bytes count as zero. */
	fd = create_ruleset(&net, 9, 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, add_port(fd, 1024, BIND_TCP));
	EXPECT_EQ(0, close(fd));
}

TEST(create_wants_zeros_after_what_it_knows)
{
	struct {
		struct landlock_ruleset_attr attr;
		unsigned char tail[16];
	} longer = {
		.attr.handled_access_net = BIND_TCP,
	};
	size_t i;

	for (i = 1; i <= sizeof(longer.tail); i++) {
		const size_t size = sizeof(longer.attr) + i;
		int fd = create_ruleset(&longer, size, 0);

		EXPECT_LE(0, fd)
			TH_LOG("zero tail of %zu bytes", i);
		if (fd >= 0)
			EXPECT_EQ(0, close(fd));

		longer.tail[i - 1] = 1;
		EXPECT_EQ(-E2BIG, create_ruleset(&longer, size, 0))
			TH_LOG("last of %zu bytes set", i);
		longer.tail[i - 1] = 0;
	}

	/* A byte after the given size does not count. */
	longer.tail[1] = 1;
	i = create_ruleset(&longer, sizeof(longer.attr) + 1, 0);
	EXPECT_LE(0, (int)i);
	EXPECT_EQ(0, close(i));
}

TEST(create_takes_at_most_a_page)
{
	const long page = sysconf(_SC_PAGESIZE);
	struct landlock_ruleset_attr *attr;
	int fd;

	ASSERT_LT(0, page);
	attr = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, attr);
	attr->handled_access_net = BIND_TCP;

	fd = create_ruleset(attr, page - 1, 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, close(fd));
	fd = create_ruleset(attr, page, 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(-E2BIG, create_ruleset(attr, page + 1, 0));
	EXPECT_EQ(-E2BIG, create_ruleset(attr, SIZE_MAX, 0));

	((char *)attr)[page - 1] = 1;
	EXPECT_EQ(-E2BIG, create_ruleset(attr, page, 0));
	EXPECT_EQ(0, munmap(attr, 2 * page));
}

TEST(create_refuses_bad_pointers)
{
	const size_t size = sizeof(struct landlock_ruleset_attr);
	const long page = sysconf(_SC_PAGESIZE);
	char *map;

	EXPECT_EQ(-EFAULT, create_ruleset(NULL, size, 0));
	EXPECT_EQ(-EFAULT, create_ruleset(BAD_POINTER, size, 0));
	EXPECT_EQ(-EFAULT, create_ruleset((void *)1, size, 0));

	/* An attribute that continues on an unmapped page. */
	ASSERT_LT(0, page);
	map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, munmap(map + page, page));
	EXPECT_EQ(-EFAULT, create_ruleset(map + page - 8, size, 0));
	EXPECT_EQ(-EFAULT, create_ruleset(map + page - size, size + 1, 0));
	EXPECT_EQ(0, munmap(map, page));
}

TEST(create_looks_at_the_pointer_before_the_size)
{
	const struct landlock_ruleset_attr attr = {
		.handled_access_net = BIND_TCP,
	};
	const long page = sysconf(_SC_PAGESIZE);

	EXPECT_EQ(-EFAULT, create_ruleset(NULL, 0, 0));
	EXPECT_EQ(-EFAULT, create_ruleset(NULL, 7, 0));
	EXPECT_EQ(-EFAULT, create_ruleset(NULL, page + 1, 0));
	/*
	 * Only NULL is checked early.  Another bad pointer fails at the copy.
	 */
	EXPECT_EQ(-EINVAL, create_ruleset(BAD_POINTER, 7, 0));
	EXPECT_EQ(-E2BIG, create_ruleset(BAD_POINTER, page + 1, 0));
	EXPECT_EQ(-EFAULT, create_ruleset(BAD_POINTER, 8, 0));
	EXPECT_EQ(-EINVAL, create_ruleset(&attr, 0, 0));
}

TEST(create_refuses_unknown_bits_in_each_mask)
{
	int bit;

	for (bit = 0; bit < 64; bit++) {
		const __u64 mask = 1ULL << bit;
		const struct landlock_ruleset_attr fs = {
			.handled_access_fs = mask,
		};
		const struct landlock_ruleset_attr net = {
			.handled_access_net = mask,
		};
		const struct landlock_ruleset_attr scope = {
			.scoped = mask,
		};
		const struct {
			const struct landlock_ruleset_attr *attr;
			bool known;
		} cases[] = {
			{ &fs, mask & FS_MASK },
			{ &net, mask & ALL_NET },
			{ &scope, mask & SCOPE_MASK },
		};
		size_t i;

		for (i = 0; i < ARRAY_SIZE(cases); i++) {
			const int fd = create_ruleset(cases[i].attr,
						      sizeof(fs), 0);

			if (cases[i].known) {
				EXPECT_LE(0, fd)
					TH_LOG("mask %zu, bit %d", i, bit);
			} else {
				EXPECT_EQ(-EINVAL, fd)
					TH_LOG("mask %zu, bit %d", i, bit);
			}
			if (fd >= 0)
				EXPECT_EQ(0, close(fd));
		}
	}
}

TEST(create_refuses_an_unknown_bit_beside_known_ones)
{
	const struct landlock_ruleset_attr low = {
		.handled_access_fs = FS_MASK,
		.handled_access_net = ALL_NET | (1ULL << 4),
		.scoped = SCOPE_MASK,
	};
	const struct landlock_ruleset_attr high = {
		.handled_access_net = ALL_NET | (1ULL << 32),
	};

	EXPECT_EQ(-EINVAL, create_ruleset(&low, sizeof(low), 0));
	EXPECT_EQ(-EINVAL, create_ruleset(&high, sizeof(high), 0));
}

TEST(create_wants_quiet_bits_to_be_handled)
{
	int bit;

	for (bit = 0; bit < 64; bit++) {
		const __u64 mask = 1ULL << bit;
		const struct landlock_ruleset_attr fs = {
			.handled_access_fs = FS_MASK & ~mask,
			.quiet_access_fs = mask,
		};
		const struct landlock_ruleset_attr net = {
			.handled_access_net = ALL_NET & ~mask,
			.quiet_access_net = mask,
		};
		const struct landlock_ruleset_attr scope = {
			.scoped = SCOPE_MASK & ~mask,
			.quiet_scoped = mask,
		};

		EXPECT_EQ(-EINVAL, create_ruleset(&fs, sizeof(fs), 0))
			TH_LOG("bit %d", bit);
		EXPECT_EQ(-EINVAL, create_ruleset(&net, sizeof(net), 0))
			TH_LOG("bit %d", bit);
		EXPECT_EQ(-EINVAL, create_ruleset(&scope, sizeof(scope), 0))
			TH_LOG("bit %d", bit);
	}
}

/* A quiet right must be handled in the mask of its own kind. */
TEST(create_does_not_mix_quiet_masks)
{
	const struct landlock_ruleset_attr attr = {
		.handled_access_fs = 1,
		.quiet_access_net = 1,
	};

	EXPECT_EQ(-EINVAL, create_ruleset(&attr, sizeof(attr), 0));
}

TEST(create_refuses_to_handle_nothing)
{
	const struct landlock_ruleset_attr attr = {};

	EXPECT_EQ(-ENOMSG, create_ruleset(&attr, sizeof(attr), 0));
	EXPECT_EQ(-ENOMSG, create_ruleset(&attr, 8, 0));
}

TEST(create_checks_masks_before_emptiness)
{
	const struct landlock_ruleset_attr attr = {
		.quiet_access_net = BIND_TCP,
	};

	EXPECT_EQ(-EINVAL, create_ruleset(&attr, sizeof(attr), 0));
}

TEST(create_checks_the_tail_before_the_masks)
{
	struct {
		struct landlock_ruleset_attr attr;
		__u64 tail;
	} longer = {
		.attr.handled_access_net = 1ULL << 63,
		.tail = 1,
	};

	EXPECT_EQ(-E2BIG, create_ruleset(&longer, sizeof(longer), 0));
}

TEST(version_flag)
{
	const struct landlock_ruleset_attr attr = {
		.handled_access_net = BIND_TCP,
	};
	const __u32 flag = LANDLOCK_CREATE_RULESET_VERSION;

	EXPECT_EQ(ABI_VERSION, create_ruleset(NULL, 0, flag));
	EXPECT_EQ(-EINVAL, create_ruleset(&attr, 0, flag));
	EXPECT_EQ(-EINVAL, create_ruleset(NULL, sizeof(attr), flag));
	EXPECT_EQ(-EINVAL, create_ruleset(&attr, sizeof(attr), flag));
	EXPECT_EQ(-EINVAL, create_ruleset(BAD_POINTER, 0, flag));
	EXPECT_EQ(-EINVAL, create_ruleset(NULL, 1, flag));
}

TEST(errata_flag)
{
	const struct landlock_ruleset_attr attr = {
		.handled_access_net = BIND_TCP,
	};
	const __u32 flag = LANDLOCK_CREATE_RULESET_ERRATA;
	const int errata = create_ruleset(NULL, 0, flag);

	/* Erratum 1, TCP socket identification, is about the network. */
	ASSERT_LE(0, errata);
	EXPECT_EQ(1, errata & 1);
	EXPECT_EQ(-EINVAL, create_ruleset(&attr, 0, flag));
	EXPECT_EQ(-EINVAL, create_ruleset(NULL, sizeof(attr), flag));
	EXPECT_EQ(-EINVAL, create_ruleset(&attr, sizeof(attr), flag));
}

TEST(create_refuses_flags_together)
{
	const __u32 both = LANDLOCK_CREATE_RULESET_VERSION |
			   LANDLOCK_CREATE_RULESET_ERRATA;

	EXPECT_EQ(-EINVAL, create_ruleset(NULL, 0, both));
	EXPECT_EQ(-EINVAL, create_ruleset(NULL, 0, ~0U));
	EXPECT_EQ(-EINVAL, create_ruleset(NULL, 0, ~0U & ~both));
}

TEST(create_refuses_unknown_flags)
{
	const struct landlock_ruleset_attr attr = {
		.handled_access_net = BIND_TCP,
	};
	int bit;

	/* Bits 30 and 31 are Portlock's, cf. extended_test.c and observer_test.c. */
	for (bit = 2; bit < 30; bit++) {
		const __u32 flag = 1U << bit;

		EXPECT_EQ(-EINVAL, create_ruleset(NULL, 0, flag))
			TH_LOG("bit %d", bit);
		EXPECT_EQ(-EINVAL,
			  create_ruleset(NULL, 0,
					 flag | LANDLOCK_CREATE_RULESET_VERSION))
			TH_LOG("bit %d", bit);
		EXPECT_EQ(-EINVAL, create_ruleset(&attr, sizeof(attr), flag))
			TH_LOG("bit %d", bit);
	}
}

TEST(create_runs_out_of_descriptors)
{
	const struct landlock_ruleset_attr attr = {
		.handled_access_net = BIND_TCP,
	};
	int fd, last = -1;

	do {
		fd = create_ruleset(&attr, sizeof(attr), 0);
		if (fd >= 0)
			last = fd;
	} while (fd >= 0);
	EXPECT_EQ(-EMFILE, fd);
	ASSERT_LE(0, last);
	EXPECT_EQ(0, close(last));
	fd = create_ruleset(&attr, sizeof(attr), 0);
	EXPECT_EQ(last, fd);
}

/* Writing a ruleset needs no capability and no no_new_privs. */
TEST(create_and_add_need_no_privilege)
{
	int fd;

	ASSERT_EQ(0, drop_all_caps());
	fd = net_ruleset(ALL_NET);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, add_port(fd, 80, ALL_NET));
	EXPECT_EQ(0, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	EXPECT_EQ(0, close(fd));
}

/* landlock_add_rule(2) */

FIXTURE(add)
{
	/* Handles all rights, and all are quiet. */
	int quiet_fd;
	/* Handles binding TCP and reading files, and no right is quiet. */
	int plain_fd;
	int dir_fd;
};

FIXTURE_SETUP(add)
{
	const struct landlock_ruleset_attr quiet = {
		.handled_access_fs = FS_MASK,
		.handled_access_net = ALL_NET,
		.quiet_access_fs = FS_MASK,
		.quiet_access_net = ALL_NET,
	};
	const struct landlock_ruleset_attr plain = {
		.handled_access_fs = LANDLOCK_ACCESS_FS_READ_FILE,
		.handled_access_net = BIND_TCP,
	};

	self->quiet_fd = create_ruleset(&quiet, sizeof(quiet), 0);
	ASSERT_LE(0, self->quiet_fd);
	self->plain_fd = create_ruleset(&plain, sizeof(plain), 0);
	ASSERT_LE(0, self->plain_fd);
	self->dir_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LE(0, self->dir_fd);
}

FIXTURE_TEARDOWN(add)
{
	EXPECT_EQ(0, close(self->quiet_fd));
	EXPECT_EQ(0, close(self->plain_fd));
	EXPECT_EQ(0, close(self->dir_fd));
}

TEST_F(add, takes_both_kinds_of_rule)
{
	const struct landlock_path_beneath_attr path = {
		.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE,
		.parent_fd = self->dir_fd,
	};

	EXPECT_EQ(0, add_port(self->plain_fd, 1024, BIND_TCP));
	EXPECT_EQ(0, add_rule(self->plain_fd, LANDLOCK_RULE_PATH_BENEATH,
			      &path, 0));
}

TEST_F(add, refuses_a_descriptor_that_is_not_open)
{
	EXPECT_EQ(-EBADF, add_port(-1, 1024, BIND_TCP));
	EXPECT_EQ(-EBADF, add_port(12345, 1024, BIND_TCP));
	EXPECT_EQ(-EBADF, add_port(INT32_MIN, 1024, BIND_TCP));
	EXPECT_EQ(-EBADF, add_port(AT_FDCWD, 1024, BIND_TCP));
}

TEST_F(add, refuses_a_closed_ruleset)
{
	const int fd = dup(self->plain_fd);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, add_port(fd, 1024, BIND_TCP));
	ASSERT_EQ(0, close(fd));
	EXPECT_EQ(-EBADF, add_port(fd, 1024, BIND_TCP));
}

TEST_F(add, refuses_a_descriptor_opened_by_path_only)
{
	char link[64];
	int fd;

	/* A path descriptor never stands for the object behind it. */
	EXPECT_EQ(-EBADF, add_port(self->dir_fd, 1024, BIND_TCP));

	snprintf(link, sizeof(link), "/proc/self/fd/%d", self->plain_fd);
	fd = open(link, O_PATH | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBADF, add_port(fd, 1024, BIND_TCP));
	EXPECT_EQ(-EBADF, restrict_self(fd, 0));
	EXPECT_EQ(0, close(fd));
}

/* So every descriptor of a ruleset can be read and written. */
TEST_F(add, cannot_open_a_ruleset_again_with_another_mode)
{
	const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR };
	char link[64];
	size_t i;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", self->plain_fd);
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		errno = 0;
		EXPECT_EQ(-1, open(link, modes[i] | O_CLOEXEC));
		EXPECT_EQ(ENXIO, errno)
			TH_LOG("mode %d", modes[i]);
	}
}

/* The flags that fcntl(2) may change do not change the modes. */
TEST_F(add, keeps_its_modes)
{
	EXPECT_EQ(O_RDWR, fcntl(self->plain_fd, F_GETFL) & O_ACCMODE);
	EXPECT_EQ(0, fcntl(self->plain_fd, F_SETFL, O_RDONLY | O_NONBLOCK));
	EXPECT_EQ(O_RDWR, fcntl(self->plain_fd, F_GETFL) & O_ACCMODE);
	EXPECT_EQ(0, add_port(self->plain_fd, 1024, BIND_TCP));
}

TEST_F(add, refuses_a_foreign_descriptor)
{
	int pipe_fds[2], fds[6];
	size_t i;

	fds[0] = eventfd(0, EFD_CLOEXEC);
	fds[1] = epoll_create1(EPOLL_CLOEXEC);
	fds[2] = make_socket(AF_INET, SOCK_STREAM, 0);
	fds[3] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_EQ(0, pipe2(pipe_fds, O_CLOEXEC));
	fds[4] = pipe_fds[0];
	fds[5] = pipe_fds[1];
	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		ASSERT_LE(0, fds[i]);
		EXPECT_EQ(-EBADFD, add_port(fds[i], 1024, BIND_TCP))
			TH_LOG("descriptor kind %zu", i);
		EXPECT_EQ(-EBADFD, restrict_self(fds[i], 0))
			TH_LOG("descriptor kind %zu", i);
		EXPECT_EQ(0, close(fds[i]));
	}
}

TEST_F(add, refuses_unknown_rule_types)
{
	const struct landlock_net_port_attr port = {
		.allowed_access = BIND_TCP,
		.port = 1024,
	};
	const int types[] = { 0, 3, 4, -1, INT32_MAX, INT32_MIN, 0x40000000,
			      0x40000001, 0x40000002, 0x40000003 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		EXPECT_EQ(-EINVAL, add_rule(self->plain_fd, types[i], &port, 0))
			TH_LOG("type %#x", types[i]);
		/* The attribute is not read. */
		EXPECT_EQ(-EINVAL, add_rule(self->plain_fd, types[i], NULL, 0))
			TH_LOG("type %#x", types[i]);
	}
}

TEST_F(add, refuses_bad_pointers)
{
	const int types[] = { LANDLOCK_RULE_NET_PORT,
			      LANDLOCK_RULE_PATH_BENEATH };
	const long page = sysconf(_SC_PAGESIZE);
	size_t i;
	char *map;

	ASSERT_LT(0, page);
	map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, munmap(map + page, page));
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		EXPECT_EQ(-EFAULT, add_rule(self->plain_fd, types[i], NULL, 0));
		EXPECT_EQ(-EFAULT, add_rule(self->plain_fd, types[i],
					    BAD_POINTER, 0));
		EXPECT_EQ(-EFAULT, add_rule(self->plain_fd, types[i],
					    map + page - 8, 0));
	}
	EXPECT_EQ(0, munmap(map, page));
}

TEST_F(add, refuses_an_empty_access)
{
	const struct landlock_path_beneath_attr path = {
		.parent_fd = self->dir_fd,
	};

	EXPECT_EQ(-ENOMSG, add_port(self->plain_fd, 1024, 0));
	EXPECT_EQ(-ENOMSG, add_rule(self->plain_fd, LANDLOCK_RULE_PATH_BENEATH,
				    &path, 0));
}

TEST_F(add, refuses_rights_that_the_ruleset_does_not_handle)
{
	int bit;

	for (bit = 1; bit < 64; bit++) {
		EXPECT_EQ(-EINVAL, add_port(self->plain_fd, 1024, 1ULL << bit))
			TH_LOG("bit %d", bit);
		EXPECT_EQ(-EINVAL, add_port(self->plain_fd, 1024,
					    BIND_TCP | 1ULL << bit))
			TH_LOG("bit %d", bit);
	}
}

TEST_F(add, refuses_ports_over_65535)
{
	const __u64 ports[] = { 65536, 65537, 1ULL << 31, 1ULL << 32,
				(1ULL << 32) + 80, 1ULL << 63, UINT64_MAX };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ports); i++) {
		EXPECT_EQ(-EINVAL, add_port(self->plain_fd, ports[i], BIND_TCP))
			TH_LOG("port %llu", (unsigned long long)ports[i]);
	}
	EXPECT_EQ(0, add_port(self->plain_fd, 65535, BIND_TCP));
	EXPECT_EQ(0, add_port(self->plain_fd, 0, BIND_TCP));
}

TEST_F(add, takes_the_quiet_flag_where_something_is_quiet)
{
	const struct landlock_net_port_attr port = {
		.allowed_access = BIND_TCP,
		.port = 1024,
	};
	const struct landlock_net_port_attr empty = {
		.port = 1024,
	};
	const struct landlock_path_beneath_attr path = {
		.parent_fd = self->dir_fd,
	};

	EXPECT_EQ(0, add_rule(self->quiet_fd, LANDLOCK_RULE_NET_PORT, &port,
			      LANDLOCK_ADD_RULE_QUIET));
	/* A quiet rule may allow nothing. */
	EXPECT_EQ(0, add_rule(self->quiet_fd, LANDLOCK_RULE_NET_PORT, &empty,
			      LANDLOCK_ADD_RULE_QUIET));
	EXPECT_EQ(0, add_rule(self->quiet_fd, LANDLOCK_RULE_PATH_BENEATH, &path,
			      LANDLOCK_ADD_RULE_QUIET));
	EXPECT_EQ(-ENOMSG, add_rule(self->quiet_fd, LANDLOCK_RULE_NET_PORT,
				    &empty, 0));
}

TEST_F(add, refuses_the_quiet_flag_where_nothing_is_quiet)
{
	const struct landlock_net_port_attr port = {
		.allowed_access = BIND_TCP,
		.port = 1024,
	};
	const struct landlock_net_port_attr empty = {
		.port = 1024,
	};
	const struct landlock_ruleset_attr fs_only = {
		.handled_access_fs = LANDLOCK_ACCESS_FS_READ_FILE,
		.handled_access_net = BIND_TCP,
		.quiet_access_fs = LANDLOCK_ACCESS_FS_READ_FILE,
	};
	const int fd = create_ruleset(&fs_only, sizeof(fs_only), 0);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EINVAL, add_rule(self->plain_fd, LANDLOCK_RULE_NET_PORT,
				    &port, LANDLOCK_ADD_RULE_QUIET));
	EXPECT_EQ(-EINVAL, add_rule(self->plain_fd, LANDLOCK_RULE_NET_PORT,
				    &empty, LANDLOCK_ADD_RULE_QUIET));
	/* Quiet rights for files do not allow quiet rules for ports. */
	EXPECT_EQ(-EINVAL, add_rule(fd, LANDLOCK_RULE_NET_PORT, &port,
				    LANDLOCK_ADD_RULE_QUIET));
	EXPECT_EQ(0, close(fd));
}

TEST_F(add, refuses_unknown_flags)
{
	const struct landlock_net_port_attr port = {
		.allowed_access = BIND_TCP,
		.port = 1024,
	};
	int bit;

	for (bit = 1; bit < 32; bit++) {
		const __u32 flag = 1U << bit;

		EXPECT_EQ(-EINVAL, add_rule(self->quiet_fd,
					    LANDLOCK_RULE_NET_PORT, &port,
					    flag))
			TH_LOG("bit %d", bit);
		EXPECT_EQ(-EINVAL, add_rule(self->quiet_fd,
					    LANDLOCK_RULE_NET_PORT, &port,
					    flag | LANDLOCK_ADD_RULE_QUIET))
			TH_LOG("bit %d", bit);
	}
}

/* Flags, descriptor, type, copy, emptiness, rights, quiet, port. */
TEST_F(add, checks_its_arguments_in_order)
{
	const struct landlock_net_port_attr empty_and_far = {
		.port = 65536,
	};
	const struct landlock_net_port_attr unhandled_and_far = {
		.allowed_access = CONNECT_TCP,
		.port = 65536,
	};
	const struct landlock_path_beneath_attr empty_path = {
		.parent_fd = -1,
	};
	const struct landlock_path_beneath_attr unhandled_path = {
		.allowed_access = LANDLOCK_ACCESS_FS_EXECUTE,
		.parent_fd = -1,
	};
	const struct landlock_path_beneath_attr good_path = {
		.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE,
		.parent_fd = -1,
	};

	const int foreign_fd = eventfd(0, EFD_CLOEXEC);

	ASSERT_LE(0, foreign_fd);
	/* An unknown flag is checked before the descriptor. */
	EXPECT_EQ(-EINVAL, add_rule(-1, LANDLOCK_RULE_NET_PORT, NULL, 2));
	/* The descriptor is checked before the type and the attribute. */
	EXPECT_EQ(-EBADF, add_rule(-1, 0, NULL, 0));
	EXPECT_EQ(-EBADF, add_rule(-1, LANDLOCK_RULE_NET_PORT, NULL,
				   LANDLOCK_ADD_RULE_QUIET));
	EXPECT_EQ(-EBADFD, add_rule(foreign_fd, 0, NULL, 0));
	/* The attribute is copied before its fields are checked. */
	EXPECT_EQ(-EFAULT, add_rule(self->plain_fd, LANDLOCK_RULE_NET_PORT,
				    NULL, LANDLOCK_ADD_RULE_QUIET));
	/* An empty access is checked before a port that is too high. */
	EXPECT_EQ(-ENOMSG, add_rule(self->plain_fd, LANDLOCK_RULE_NET_PORT,
				    &empty_and_far, 0));
	EXPECT_EQ(-EINVAL, add_rule(self->plain_fd, LANDLOCK_RULE_NET_PORT,
				    &unhandled_and_far, 0));
	/*
	 * With the quiet flag, an empty access is no error.  The port is one.
	 */
	EXPECT_EQ(-EINVAL, add_rule(self->quiet_fd, LANDLOCK_RULE_NET_PORT,
				    &empty_and_far, LANDLOCK_ADD_RULE_QUIET));
	/* The path is checked last. */
	EXPECT_EQ(-ENOMSG, add_rule(self->plain_fd, LANDLOCK_RULE_PATH_BENEATH,
				    &empty_path, 0));
	EXPECT_EQ(-EINVAL, add_rule(self->plain_fd, LANDLOCK_RULE_PATH_BENEATH,
				    &unhandled_path, 0));
	EXPECT_EQ(-EINVAL, add_rule(self->plain_fd, LANDLOCK_RULE_PATH_BENEATH,
				    &good_path, LANDLOCK_ADD_RULE_QUIET));
	EXPECT_EQ(-EBADF, add_rule(self->plain_fd, LANDLOCK_RULE_PATH_BENEATH,
				   &good_path, 0));
	EXPECT_EQ(0, close(foreign_fd));
}

TEST_F(add, refuses_a_ruleset_as_the_parent_of_a_path)
{
	struct landlock_path_beneath_attr path = {
		.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE,
		.parent_fd = self->quiet_fd,
	};
	char link[64];
	int fd;

	EXPECT_EQ(-EBADFD, add_rule(self->plain_fd, LANDLOCK_RULE_PATH_BENEATH,
				    &path, 0));
	path.parent_fd = self->plain_fd;
	EXPECT_EQ(-EBADFD, add_rule(self->plain_fd, LANDLOCK_RULE_PATH_BENEATH,
				    &path, 0));

	snprintf(link, sizeof(link), "/proc/self/fd/%d", self->plain_fd);
	fd = open(link, O_PATH | O_CLOEXEC);
	ASSERT_LE(0, fd);
	path.parent_fd = fd;
	EXPECT_EQ(-EBADFD, add_rule(self->plain_fd, LANDLOCK_RULE_PATH_BENEATH,
				    &path, 0));
	EXPECT_EQ(0, close(fd));
}

TEST_F(add, refuses_parents_that_no_path_leads_to)
{
	struct landlock_path_beneath_attr path = {
		.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE,
	};
	int pipe_fds[2], fds[3];
	size_t i;

	ASSERT_EQ(0, pipe2(pipe_fds, O_CLOEXEC));
	ASSERT_EQ(0, close(pipe_fds[1]));
	fds[0] = pipe_fds[0];
	fds[1] = eventfd(0, EFD_CLOEXEC);
	fds[2] = make_socket(AF_INET, SOCK_STREAM, 0);
	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		ASSERT_LE(0, fds[i]);
		path.parent_fd = fds[i];
		EXPECT_EQ(-EBADFD, add_rule(self->plain_fd,
					    LANDLOCK_RULE_PATH_BENEATH, &path,
					    0))
			TH_LOG("descriptor kind %zu", i);
		EXPECT_EQ(0, close(fds[i]));
	}
}

/* A ruleset that handles one kind of access refuses rules of the other. */
TEST_F(add, keeps_the_two_kinds_of_rights_apart)
{
	const struct landlock_ruleset_attr fs_only = {
		.handled_access_fs = FS_MASK,
	};
	const struct landlock_path_beneath_attr path = {
		.allowed_access = LANDLOCK_ACCESS_FS_EXECUTE,
		.parent_fd = self->dir_fd,
	};
	int fd = create_ruleset(&fs_only, sizeof(fs_only), 0);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EINVAL, add_port(fd, 1024, BIND_TCP));
	EXPECT_EQ(-ENOMSG, add_port(fd, 1024, 0));
	EXPECT_EQ(0, close(fd));

	fd = net_ruleset(ALL_NET);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EINVAL, add_rule(fd, LANDLOCK_RULE_PATH_BENEATH, &path, 0));
	EXPECT_EQ(0, close(fd));
}

/* A refused rule must have no effect when the ruleset is enforced. */
TEST_F(add, leaves_nothing_behind_when_it_fails)
{
	const struct landlock_net_port_attr port = {
		.allowed_access = BIND_TCP,
		.port = 1024,
	};

	ASSERT_EQ(0, own_network());
	EXPECT_EQ(-EINVAL, add_rule(self->plain_fd, LANDLOCK_RULE_NET_PORT,
				    &port, LANDLOCK_ADD_RULE_QUIET));
	EXPECT_EQ(-EINVAL, add_rule(self->plain_fd, LANDLOCK_RULE_NET_PORT,
				    &port, 2));
	EXPECT_EQ(-EINVAL, add_port(self->plain_fd, 1024,
				    BIND_TCP | CONNECT_TCP));
	EXPECT_EQ(-EINVAL, add_port(self->plain_fd, 65536 + 1024, BIND_TCP));
	EXPECT_EQ(0, add_port(self->plain_fd, 1025, BIND_TCP));

	ASSERT_EQ(0, no_new_privs());
	ASSERT_EQ(0, restrict_self(self->plain_fd, 0));
	EXPECT_EQ(-EACCES, try_bind(AF_INET, SOCK_STREAM, 1024));
	EXPECT_EQ(0, try_bind(AF_INET, SOCK_STREAM, 1025));
}

/* landlock_restrict_self(2) */

FIXTURE(restrict_self)
{
	int fd;
};

FIXTURE_SETUP(restrict_self)
{
	ASSERT_EQ(0, own_network());
	self->fd = net_ruleset(BIND_TCP);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, add_port(self->fd, 1024, BIND_TCP));
}

FIXTURE_TEARDOWN(restrict_self)
{
	EXPECT_EQ(0, close(self->fd));
}

TEST_F(restrict_self, refuses_unknown_flags)
{
	int bit;

	ASSERT_EQ(0, no_new_privs());
	for (bit = 5; bit < 32; bit++) {
		EXPECT_EQ(-EINVAL, restrict_self(self->fd, 1U << bit))
			TH_LOG("bit %d", bit);
		EXPECT_EQ(-EINVAL, restrict_self(self->fd, 1U << bit |
					LANDLOCK_RESTRICT_SELF_NO_NEW_PRIVS))
			TH_LOG("bit %d", bit);
	}
	EXPECT_EQ(-EINVAL, restrict_self(self->fd, ~0U));
	EXPECT_EQ(0, try_bind(AF_INET, SOCK_STREAM, 1025));
}

TEST_F(restrict_self, takes_every_known_flag)
{
	int flags;

	ASSERT_EQ(0, no_new_privs());
	for (flags = 0; flags < 32; flags++) {
		const pid_t child = fork();

		ASSERT_LE(0, child);
		if (child == 0) {
			EXPECT_EQ(0, restrict_self(self->fd, flags))
				TH_LOG("flags %#x", flags);
			EXPECT_TRUE(bind_refused(1025));
			EXPECT_EQ(0, try_bind(AF_INET, SOCK_STREAM, 1024));
			_exit(_metadata->exit_code);
		}
		EXPECT_EQ(0, wait_child(child));
	}
}

TEST_F(restrict_self, wants_no_new_privs_or_privilege)
{
	ASSERT_EQ(0, drop_all_caps());
	ASSERT_EQ(0, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	EXPECT_EQ(-EPERM, restrict_self(self->fd, 0));
	EXPECT_EQ(0, try_bind(AF_INET, SOCK_STREAM, 1025));

	ASSERT_EQ(0, no_new_privs());
	EXPECT_EQ(0, restrict_self(self->fd, 0));
	EXPECT_TRUE(bind_refused(1025));
}

TEST_F(restrict_self, does_with_cap_sys_admin_alone)
{
	const __u64 cap = 1ULL << CAP_SYS_ADMIN;

	ASSERT_EQ(0, set_caps(cap, cap));
	EXPECT_EQ(0, restrict_self(self->fd, 0));
	EXPECT_EQ(0, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	EXPECT_TRUE(bind_refused(1025));
}

TEST_F(restrict_self, wants_the_capability_to_be_effective)
{
	ASSERT_EQ(0, set_caps(0, 1ULL << CAP_SYS_ADMIN));
	EXPECT_EQ(-EPERM, restrict_self(self->fd, 0));
}

TEST_F(restrict_self, refuses_a_descriptor_that_is_not_open)
{
	ASSERT_EQ(0, no_new_privs());
	EXPECT_EQ(-EBADF, restrict_self(-1, 0));
	EXPECT_EQ(-EBADF, restrict_self(12345, 0));
	EXPECT_EQ(-EBADF, restrict_self(INT32_MIN, 0));
	EXPECT_EQ(0, try_bind(AF_INET, SOCK_STREAM, 1025));
}

TEST_F(restrict_self, refuses_a_foreign_descriptor)
{
	const int fd = eventfd(0, EFD_CLOEXEC);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, no_new_privs());
	EXPECT_EQ(-EBADFD, restrict_self(fd, 0));
	EXPECT_EQ(-EBADFD, restrict_self(fd,
				LANDLOCK_RESTRICT_SELF_LOG_SUBDOMAINS_OFF));
	EXPECT_EQ(0, try_bind(AF_INET, SOCK_STREAM, 1025));
	EXPECT_EQ(0, close(fd));
}

/* Flags, privilege, descriptor. */
TEST_F(restrict_self, checks_its_arguments_in_order)
{
	ASSERT_EQ(0, drop_all_caps());
	EXPECT_EQ(-EINVAL, restrict_self(-1, 1U << 5));
	EXPECT_EQ(-EPERM, restrict_self(-1, 0));
	EXPECT_EQ(-EPERM, restrict_self(0, 0));
	EXPECT_EQ(-EPERM, restrict_self(-1,
				LANDLOCK_RESTRICT_SELF_LOG_SUBDOMAINS_OFF));
	EXPECT_EQ(-EBADF, restrict_self(-1,
				LANDLOCK_RESTRICT_SELF_NO_NEW_PRIVS));
	EXPECT_EQ(0, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

/* Only the subdomains flag, with or without TSYNC, needs no ruleset. */
TEST_F(restrict_self, takes_no_ruleset_with_one_flag_only)
{
	const __u32 off = LANDLOCK_RESTRICT_SELF_LOG_SUBDOMAINS_OFF;
	__u32 flags;

	ASSERT_EQ(0, no_new_privs());
	for (flags = 0; flags < 32; flags++) {
		const bool good =
			(flags & ~LANDLOCK_RESTRICT_SELF_TSYNC) == off;

		EXPECT_EQ(good ? 0 : -EBADF, restrict_self(-1, flags))
			TH_LOG("flags %#x", flags);
		/* Any other number counts as a descriptor. */
		EXPECT_EQ(-EBADF, restrict_self(-2, flags))
			TH_LOG("flags %#x", flags);
	}
	/* None of these calls made a domain. */
	EXPECT_EQ(0, try_bind(AF_INET, SOCK_STREAM, 1025));
}

/* After such calls, sixteen layers can still be added. */
TEST_F(restrict_self, adds_no_layer_without_a_ruleset)
{
	int i;

	ASSERT_EQ(0, no_new_privs());
	for (i = 0; i < 2 * MAX_LAYERS; i++) {
		ASSERT_EQ(0, restrict_self(-1,
				LANDLOCK_RESTRICT_SELF_LOG_SUBDOMAINS_OFF));
	}
	for (i = 0; i < MAX_LAYERS; i++)
		ASSERT_EQ(0, restrict_self(self->fd, 0));
	EXPECT_EQ(0, restrict_self(-1,
				LANDLOCK_RESTRICT_SELF_LOG_SUBDOMAINS_OFF));
	EXPECT_EQ(-E2BIG, restrict_self(self->fd, 0));
}

TEST_F(restrict_self, stops_after_sixteen_layers)
{
	const int empty = net_ruleset(ALL_NET);
	int i;

	ASSERT_LE(0, empty);
	ASSERT_EQ(0, no_new_privs());
	for (i = 0; i < MAX_LAYERS; i++) {
		ASSERT_EQ(0, restrict_self(self->fd, 0))
			TH_LOG("layer %d", i);
	}
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(-E2BIG, restrict_self(empty, 0));
		EXPECT_EQ(-E2BIG, restrict_self(empty,
					LANDLOCK_RESTRICT_SELF_TSYNC));
		EXPECT_EQ(-E2BIG, restrict_self(self->fd, 0));
	}

	/* The seventeenth would have refused all of these. */
	EXPECT_EQ(0, try_bind(AF_INET, SOCK_STREAM, 1024));
	EXPECT_EQ(-ECONNREFUSED,
		  try_connect(AF_INET, SOCK_STREAM, CLOSED_PORT));
	EXPECT_EQ(0, try_bind(AF_INET, SOCK_DGRAM, 1024));
	EXPECT_TRUE(bind_refused(1025));

	/* Errors in the arguments still come first. */
	EXPECT_EQ(-EBADF, restrict_self(-1, 0));
	EXPECT_EQ(-EINVAL, restrict_self(self->fd, 1U << 5));
	EXPECT_EQ(0, close(empty));
}

/* Layers of all kinds count, also those without network rights. */
TEST_F(restrict_self, counts_every_kind_of_layer)
{
	const struct landlock_ruleset_attr scope = {
		.scoped = LANDLOCK_SCOPE_SIGNAL,
	};
	const struct landlock_ruleset_attr fs = {
		.handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_BLOCK,
	};
	const int scope_fd = create_ruleset(&scope, sizeof(scope), 0);
	const int fs_fd = create_ruleset(&fs, sizeof(fs), 0);
	int i;

	ASSERT_LE(0, scope_fd);
	ASSERT_LE(0, fs_fd);
	ASSERT_EQ(0, no_new_privs());
	for (i = 0; i < MAX_LAYERS; i++) {
		const int fds[] = { scope_fd, fs_fd, self->fd };

		ASSERT_EQ(0, restrict_self(fds[i % 3], 0));
		/* The third layer is the first one with network rights. */
		EXPECT_EQ(i < 2 ? 0 : -EACCES,
			  try_bind(AF_INET, SOCK_STREAM, 1025));
	}
	EXPECT_EQ(-E2BIG, restrict_self(self->fd, 0));
	EXPECT_EQ(-E2BIG, restrict_self(scope_fd, 0));
	EXPECT_EQ(0, try_bind(AF_INET, SOCK_STREAM, 1024));
	EXPECT_EQ(0, close(scope_fd));
	EXPECT_EQ(0, close(fs_fd));
}

TEST_F(restrict_self, sets_no_new_privs_when_it_succeeds)
{
	ASSERT_EQ(0, drop_all_caps());
	EXPECT_EQ(0, restrict_self(self->fd,
				   LANDLOCK_RESTRICT_SELF_NO_NEW_PRIVS));
	EXPECT_EQ(1, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	EXPECT_TRUE(bind_refused(1025));
}

TEST_F(restrict_self, leaves_no_new_privs_when_it_fails)
{
	const __u32 flag = LANDLOCK_RESTRICT_SELF_NO_NEW_PRIVS;
	int i;

	EXPECT_EQ(-EBADF, restrict_self(-1, flag));
	EXPECT_EQ(-EBADFD, restrict_self(0, flag));
	EXPECT_EQ(-EINVAL, restrict_self(self->fd, flag | 1U << 5));
	EXPECT_EQ(-EBADF, restrict_self(-1, flag |
				LANDLOCK_RESTRICT_SELF_LOG_SUBDOMAINS_OFF));
	EXPECT_EQ(0, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));

	/* With the privilege, no_new_privs is not needed. */
	for (i = 0; i < MAX_LAYERS; i++)
		ASSERT_EQ(0, restrict_self(self->fd, 0));
	EXPECT_EQ(-E2BIG, restrict_self(self->fd, flag));
	EXPECT_EQ(-E2BIG, restrict_self(self->fd, flag |
					LANDLOCK_RESTRICT_SELF_TSYNC));
	EXPECT_EQ(0, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

/* The ruleset descriptor */

TEST(fd_has_landlocks_name)
{
	const int fd = net_ruleset(BIND_TCP);
	char link[64], name[64];
	ssize_t len;

	ASSERT_LE(0, fd);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, name, sizeof(name) - 1);
	ASSERT_LT(0, len);
	name[len] = '\0';
	EXPECT_STREQ("anon_inode:[landlock-ruleset]", name);
	EXPECT_EQ(0, close(fd));
}

TEST(fd_is_closed_on_exec)
{
	const int fd = net_ruleset(BIND_TCP);

	ASSERT_LE(0, fd);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	/* A program may change this. */
	EXPECT_EQ(0, fcntl(fd, F_SETFD, 0));
	EXPECT_EQ(0, fcntl(fd, F_GETFD));
	EXPECT_EQ(0, close(fd));
}

TEST(fd_is_the_lowest_free_one)
{
	const int lowest = dup(0), fd = (close(lowest), net_ruleset(BIND_TCP));

	ASSERT_LE(0, lowest);
	EXPECT_EQ(lowest, fd);
	EXPECT_EQ(0, close(fd));
}

TEST(fd_cannot_be_read_or_written)
{
	const int fd = net_ruleset(BIND_TCP);
	char buf[8] = {};
	struct iovec iov = {
		.iov_base = buf,
		.iov_len = sizeof(buf),
	};

	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, read(fd, buf, sizeof(buf)));
	EXPECT_EQ(EINVAL, errno);
	errno = 0;
	EXPECT_EQ(-1, write(fd, buf, sizeof(buf)));
	EXPECT_EQ(EINVAL, errno);
	errno = 0;
	EXPECT_EQ(-1, readv(fd, &iov, 1));
	EXPECT_EQ(EINVAL, errno);
	errno = 0;
	EXPECT_EQ(-1, writev(fd, &iov, 1));
	EXPECT_EQ(EINVAL, errno);
	/* Also with a size of 0. */
	errno = 0;
	EXPECT_EQ(-1, read(fd, buf, 0));
	EXPECT_EQ(EINVAL, errno);
	errno = 0;
	EXPECT_EQ(-1, write(fd, buf, 0));
	EXPECT_EQ(EINVAL, errno);
	/* The buffer is checked before. */
	errno = 0;
	EXPECT_EQ(-1, read(fd, BAD_POINTER, sizeof(buf)));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(0, close(fd));
}

TEST(fd_has_no_position)
{
	const int fd = net_ruleset(BIND_TCP);
	char buf[8] = {};

	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, lseek(fd, 0, SEEK_SET));
	EXPECT_EQ(ESPIPE, errno);
	errno = 0;
	EXPECT_EQ(-1, lseek(fd, 0, SEEK_CUR));
	EXPECT_EQ(ESPIPE, errno);
	errno = 0;
	EXPECT_EQ(-1, pread(fd, buf, sizeof(buf), 0));
	EXPECT_EQ(ESPIPE, errno);
	errno = 0;
	EXPECT_EQ(-1, pwrite(fd, buf, sizeof(buf), 0));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(0, close(fd));
}

TEST(fd_is_no_file)
{
	const int fd = net_ruleset(BIND_TCP);
	int pipe_fds[2], value = 0;

	ASSERT_LE(0, fd);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0));
	EXPECT_EQ(ENODEV, errno);
	errno = 0;
	EXPECT_EQ(-1, ioctl(fd, FIONREAD, &value));
	EXPECT_EQ(ENOTTY, errno);
	errno = 0;
	EXPECT_EQ(-1, ioctl(fd, 0xdead, &value));
	EXPECT_EQ(ENOTTY, errno);
	errno = 0;
	EXPECT_EQ(-1, fsync(fd));
	EXPECT_EQ(EINVAL, errno);
	errno = 0;
	EXPECT_EQ(-1, ftruncate(fd, 0));
	EXPECT_EQ(EINVAL, errno);
	ASSERT_EQ(0, pipe2(pipe_fds, O_CLOEXEC));
	errno = 0;
	EXPECT_EQ(-1, splice(fd, NULL, pipe_fds[1], NULL, 8, 0));
	EXPECT_EQ(EINVAL, errno);
	errno = 0;
	EXPECT_EQ(-1, sendfile(pipe_fds[1], fd, NULL, 8));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(0, close(pipe_fds[0]));
	EXPECT_EQ(0, close(pipe_fds[1]));
	EXPECT_EQ(0, close(fd));
}

/* All anonymous descriptors of this kind share one inode. */
TEST(fd_has_the_anonymous_inode)
{
	const int fd = net_ruleset(BIND_TCP);
	const int other = eventfd(0, EFD_CLOEXEC);
	struct stat st, other_st;

	ASSERT_LE(0, fd);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, fstat(fd, &st));
	ASSERT_EQ(0, fstat(other, &other_st));
	EXPECT_EQ(0600, st.st_mode);
	EXPECT_EQ(other_st.st_mode, st.st_mode);
	EXPECT_EQ(other_st.st_ino, st.st_ino);
	EXPECT_EQ(other_st.st_dev, st.st_dev);
	EXPECT_EQ(0, st.st_size);
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, close(other));
}

TEST(fd_has_nothing_to_wait_for)
{
	const int fd = net_ruleset(BIND_TCP);
	const int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT,
	};
	struct pollfd pollfd = {
		.fd = fd,
		.events = POLLIN | POLLOUT | POLLPRI,
	};

	ASSERT_LE(0, fd);
	ASSERT_LE(0, epoll_fd);
	EXPECT_EQ(-1, epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event));
	EXPECT_EQ(EPERM, errno);
	/* For poll(2), a file without a poll operation is always ready. */
	EXPECT_EQ(1, poll(&pollfd, 1, 0));
	EXPECT_EQ(POLLIN | POLLOUT, pollfd.revents);
	EXPECT_EQ(0, close(epoll_fd));
	EXPECT_EQ(0, close(fd));
}

TEST(fd_copies_are_one_ruleset)
{
	const int fd = net_ruleset(BIND_TCP);
	int copy;

	ASSERT_EQ(0, own_network());
	ASSERT_LE(0, fd);
	copy = dup(fd);
	ASSERT_LE(0, copy);
	/* As for any descriptor, a copy from dup(2) is not closed on exec. */
	EXPECT_EQ(0, fcntl(copy, F_GETFD));
	EXPECT_EQ(0, add_port(copy, 1024, BIND_TCP));
	EXPECT_EQ(0, close(copy));
	EXPECT_EQ(0, add_port(fd, 1025, BIND_TCP));

	ASSERT_EQ(0, enforce(fd));
	EXPECT_EQ(0, try_bind(AF_INET, SOCK_STREAM, 1024));
	EXPECT_EQ(0, try_bind(AF_INET, SOCK_STREAM, 1025));
	EXPECT_TRUE(bind_refused(1026));
}

/* A ruleset does not depend on its writer and on its enforcers. */
TEST(fd_is_sent_to_another_process)
{
	int usocks[2], fd;
	pid_t child;

	ASSERT_EQ(0, own_network());
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
				usocks));
	child = fork();
	ASSERT_LE(0, child);
	if (child == 0) {
		fd = net_ruleset(BIND_TCP);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, add_port(fd, 1024, BIND_TCP));
		ASSERT_EQ(0, send_descriptor(usocks[0], fd));
		_exit(_metadata->exit_code);
	}
	ASSERT_EQ(0, wait_child(child));

	/* The writer has ended, and the ruleset still exists. */
	fd = receive_descriptor(usocks[1]);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, add_port(fd, 1025, BIND_TCP));

	child = fork();
	ASSERT_LE(0, child);
	if (child == 0) {
		ASSERT_EQ(0, enforce(fd));
		EXPECT_EQ(0, try_bind(AF_INET, SOCK_STREAM, 1024));
		EXPECT_EQ(0, try_bind(AF_INET, SOCK_STREAM, 1025));
		EXPECT_TRUE(bind_refused(1026));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, wait_child(child));

	/* The enforcement in the child does not restrict this process. */
	EXPECT_EQ(0, try_bind(AF_INET, SOCK_STREAM, 1026));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, close(usocks[0]));
	EXPECT_EQ(0, close(usocks[1]));
}

/* A process in a domain may write and enforce rulesets like any other. */
TEST(fd_works_inside_a_domain)
{
	ASSERT_EQ(0, own_network());
	ASSERT_EQ(0, restrict_to_port(BIND_TCP, 1024, BIND_TCP));
	ASSERT_EQ(0, restrict_to_port(CONNECT_TCP, CLOSED_PORT, CONNECT_TCP));
	EXPECT_EQ(0, try_bind(AF_INET, SOCK_STREAM, 1024));
	EXPECT_EQ(-ECONNREFUSED,
		  try_connect(AF_INET, SOCK_STREAM, CLOSED_PORT));
	EXPECT_EQ(-EACCES, try_connect(AF_INET, SOCK_STREAM, 10));
}

TEST_HARNESS_MAIN
