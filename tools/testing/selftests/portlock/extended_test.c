// SPDX-License-Identifier: GPL-2.0
/*
 * Portlock tests: extended rulesets
 *
 * These are what C Landlock does not have: ranges of ports, addresses, listen,
 * kinds of sockets, and MPTCP.  What to expect is said in the documentation and
 * in security/portlock/spec.rs.  Each way around an address has a test.
 */

#include <linux/if_ether.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "extended.h"

#define ABI_VERSION 1

/* An address that no process can map. */
#define BAD_POINTER ((void *)-4096L)

/* landlock_create_ruleset(2) */

FIXTURE(create)
{
	struct portlock_ruleset_attr good;
};

FIXTURE_SETUP(create)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	memset(&self->good, 0, sizeof(self->good));
	self->good.handled_access_net = BIND_TCP;
}

FIXTURE_TEARDOWN(create)
{
}

/* Creates a ruleset, and returns 0 or a negative errno. */
static int created(const void *attr, size_t size)
{
	const int fd = create_extended(attr, size);

	if (fd < 0)
		return fd;
	return close(fd) ? -errno : 0;
}

TEST_F(create, has_the_layouts_of_the_documentation)
{
	EXPECT_EQ(40, sizeof(struct portlock_ruleset_attr));
	EXPECT_EQ(56, sizeof(struct portlock_net_attr));
	EXPECT_EQ(24, sizeof(struct portlock_socket_attr));
	EXPECT_EQ(1ULL << 32, LISTEN_TCP);
	EXPECT_EQ(1ULL << 33, ACCEPT_TCP);
	EXPECT_EQ(1ULL << 34, SEND_TCP);
	EXPECT_EQ(1ULL << 35, RECEIVE_TCP);
	EXPECT_EQ(1ULL << 36, SHUTDOWN_TCP);
	EXPECT_EQ(1ULL << 37, GETSOCKOPT_TCP);
	EXPECT_EQ(1ULL << 38, SETSOCKOPT_TCP);
	EXPECT_EQ(1ULL << 39, RECEIVE_UDP);
	EXPECT_EQ(1ULL << 40, SHUTDOWN_UDP);
	EXPECT_EQ(1ULL << 41, GETSOCKOPT_UDP);
	EXPECT_EQ(1ULL << LAST_RIGHT, SETSOCKOPT_UDP);
	EXPECT_EQ(1ULL << 32, SOCKET_CREATE);
	EXPECT_EQ(1U << 31, PORTLOCK_CREATE_RULESET);
	EXPECT_EQ(0x40000001, PORTLOCK_RULE_NET);
	EXPECT_EQ(0x40000002, PORTLOCK_RULE_SOCKET);
}

TEST_F(create, returns_the_version_without_an_attribute)
{
	EXPECT_EQ(ABI_VERSION, create_extended(NULL, 0));
}

TEST_F(create, refuses_null_with_a_size)
{
	static const size_t sizes[] = { 1, 7, 8, 24, 40, 48, 4096, 4097,
					SIZE_MAX };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		EXPECT_EQ(-EFAULT, create_extended(NULL, sizes[i]))
			TH_LOG("size %zu", sizes[i]);
	}
}

TEST_F(create, refuses_sizes_below_the_first_field)
{
	size_t size;

	for (size = 0; size < 8; size++) {
		EXPECT_EQ(-EINVAL, create_extended(&self->good, size))
			TH_LOG("size %zu", size);
		EXPECT_EQ(-EINVAL, create_extended(BAD_POINTER, size))
			TH_LOG("size %zu", size);
	}
}

TEST_F(create, takes_every_size_from_the_first_field_on)
{
	size_t size;

	for (size = 8; size <= sizeof(self->good); size++) {
		EXPECT_EQ(0, created(&self->good, size))
			TH_LOG("size %zu", size);
	}
}

/* Bytes after @size are not read, so fields there count as zero. */
TEST_F(create, takes_missing_fields_as_zero)
{
	const struct portlock_ruleset_attr permissions = {
		.handled_permissions = SOCKET_CREATE,
	};

	EXPECT_EQ(-ENOMSG, created(&permissions, 8));
	EXPECT_EQ(-ENOMSG, created(&permissions, 16));
	/* The permission is in the fifth byte of its field. */
	EXPECT_EQ(-ENOMSG, created(&permissions, 20));
	EXPECT_EQ(0, created(&permissions, 21));
	EXPECT_EQ(0, created(&permissions, 24));

	self->good.quiet_access_net = CONNECT_TCP;
	EXPECT_EQ(0, created(&self->good, 8));
	EXPECT_EQ(-EINVAL, created(&self->good, 9));
	self->good.quiet_access_net = 0;
	self->good.flags = 2;
	EXPECT_EQ(0, created(&self->good, 24));
	EXPECT_EQ(-EINVAL, created(&self->good, 40));
}

TEST_F(create, wants_zeros_after_what_it_knows)
{
	struct {
		struct portlock_ruleset_attr attr;
		unsigned char tail[16];
	} longer = {
		.attr.handled_access_net = BIND_TCP,
	};
	size_t i;

	for (i = 1; i <= sizeof(longer.tail); i++) {
		const size_t size = sizeof(longer.attr) + i;

		EXPECT_EQ(0, created(&longer, size))
			TH_LOG("zero tail of %zu bytes", i);
		longer.tail[i - 1] = 1;
		EXPECT_EQ(-E2BIG, created(&longer, size))
			TH_LOG("last of %zu bytes set", i);
		/* The byte after the given size does not count. */
		EXPECT_EQ(0, created(&longer, size - 1))
			TH_LOG("byte after %zu set", i - 1);
		longer.tail[i - 1] = 0;
	}
}

TEST_F(create, takes_at_most_a_page)
{
	const long page = sysconf(_SC_PAGESIZE);
	struct portlock_ruleset_attr *attr;

	ASSERT_LT(0, page);
	attr = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, attr);
	*attr = self->good;
	EXPECT_EQ(0, created(attr, page));
	EXPECT_EQ(-E2BIG, created(attr, page + 1));
	EXPECT_EQ(-E2BIG, created(attr, SIZE_MAX));
	((char *)attr)[page - 1] = 1;
	EXPECT_EQ(-E2BIG, created(attr, page));
	EXPECT_EQ(0, munmap(attr, 2 * page));
}

TEST_F(create, refuses_bad_pointers)
{
	const long page = sysconf(_SC_PAGESIZE);
	char *map;

	EXPECT_EQ(-EFAULT, created(BAD_POINTER, 8));
	EXPECT_EQ(-EFAULT, created(BAD_POINTER, 40));
	EXPECT_EQ(-EFAULT, created((void *)1, 40));
	EXPECT_EQ(-E2BIG, created(BAD_POINTER, page + 1));

	/* An attribute that continues on an unmapped page. */
	map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, munmap(map + page, page));
	EXPECT_EQ(-EFAULT, created(map + page - 8, 40));
	EXPECT_EQ(0, munmap(map, page));
}

TEST_F(create, refuses_unknown_rights)
{
	int bit;

	for (bit = 0; bit < 64; bit++) {
		const bool known = bit < 4 || (bit >= 32 && bit <= LAST_RIGHT);

		self->good.handled_access_net = 1ULL << bit;
		EXPECT_EQ(known ? 0 : -EINVAL, created(&self->good, 40))
			TH_LOG("bit %d", bit);
		self->good.handled_access_net |= BIND_TCP;
		EXPECT_EQ(known ? 0 : -EINVAL, created(&self->good, 40))
			TH_LOG("bit %d", bit);
	}
}

TEST_F(create, refuses_unknown_permissions)
{
	int bit;

	for (bit = 0; bit < 64; bit++) {
		self->good.handled_permissions = 1ULL << bit;
		EXPECT_EQ(bit == 32 ? 0 : -EINVAL, created(&self->good, 40))
			TH_LOG("bit %d", bit);
	}
}

TEST_F(create, refuses_quiet_rights_that_are_not_handled)
{
	int bit;

	self->good.handled_access_net = ALL_TCP;
	for (bit = 0; bit < 64; bit++) {
		self->good.quiet_access_net = 1ULL << bit;
		EXPECT_EQ(ALL_TCP & 1ULL << bit ? 0 : -EINVAL,
			  created(&self->good, 40))
			TH_LOG("bit %d", bit);
	}
	self->good.quiet_access_net = ALL_TCP;
	EXPECT_EQ(0, created(&self->good, 40));
	self->good.handled_access_net = ALL_TCP | ALL_UDP;
	self->good.quiet_access_net = ALL_TCP | ALL_UDP;
	EXPECT_EQ(0, created(&self->good, 40));
}

/* Observers are for rulesets with the flag that names one, cf. observer_test.c. */
TEST_F(create, refuses_unknown_flags_and_observers_without_flag)
{
	static const int fds[] = { 1, -1, 12345, INT32_MIN };
	size_t i;

	for (i = 1; i < 32; i++) {
		self->good.flags = 1U << i;
		EXPECT_EQ(-EINVAL, created(&self->good, 40))
			TH_LOG("flag %zu", i);
	}
	self->good.flags = 0;
	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		self->good.observer_fd = fds[i];
		EXPECT_EQ(-EINVAL, created(&self->good, 40))
			TH_LOG("observer_fd %d", fds[i]);
	}
	self->good.observer_fd = 0;
	self->good.observer_cookie = 1;
	EXPECT_EQ(-EINVAL, created(&self->good, 40));
}

TEST_F(create, refuses_to_handle_nothing)
{
	self->good.handled_access_net = 0;
	EXPECT_EQ(-ENOMSG, created(&self->good, 8));
	EXPECT_EQ(-ENOMSG, created(&self->good, 40));
}

/* Size, bytes after the structure, values, emptiness. */
TEST_F(create, checks_its_arguments_in_order)
{
	struct {
		struct portlock_ruleset_attr attr;
		__u64 tail;
	} wrong = {
		.attr.handled_access_net = 2ULL << LAST_RIGHT,
		.tail = 1,
	};

	EXPECT_EQ(-E2BIG, created(&wrong, sizeof(wrong)));
	wrong.tail = 0;
	EXPECT_EQ(-EINVAL, created(&wrong, sizeof(wrong)));
	/* Nothing is handled, and something else is wrong. */
	wrong.attr.handled_access_net = 0;
	wrong.attr.quiet_access_net = BIND_TCP;
	EXPECT_EQ(-EINVAL, created(&wrong, sizeof(wrong)));
	wrong.attr.quiet_access_net = 0;
	wrong.attr.flags = 2;
	EXPECT_EQ(-EINVAL, created(&wrong, sizeof(wrong)));
	wrong.attr.flags = 0;
	EXPECT_EQ(-ENOMSG, created(&wrong, sizeof(wrong)));
	wrong.tail = 1;
	EXPECT_EQ(-E2BIG, created(&wrong, sizeof(wrong)));
}

TEST_F(create, wants_its_flag_alone)
{
	int bit;

	for (bit = 0; bit < 31; bit++) {
		const __u32 flags = PORTLOCK_CREATE_RULESET | 1U << bit;

		EXPECT_EQ(-EINVAL, create_ruleset(&self->good, 40, flags))
			TH_LOG("bit %d", bit);
		EXPECT_EQ(-EINVAL, create_ruleset(NULL, 0, flags))
			TH_LOG("bit %d", bit);
		/* The flags are checked before the pointer and the size. */
		EXPECT_EQ(-EINVAL, create_ruleset(NULL, 40, flags))
			TH_LOG("bit %d", bit);
	}
}

TEST_F(create, leaves_plain_rulesets_as_they_are)
{
	int bit;

	for (bit = 32; bit <= LAST_RIGHT; bit++) {
		struct landlock_ruleset_attr plain = {
			.handled_access_net = BIND_TCP | 1ULL << bit,
		};

		EXPECT_EQ(-EINVAL, create_ruleset(&plain, sizeof(plain), 0))
			TH_LOG("bit %d", bit);
		plain.handled_access_net = BIND_TCP;
		plain.quiet_access_net = 1ULL << bit;
		EXPECT_EQ(-EINVAL, create_ruleset(&plain, sizeof(plain), 0))
			TH_LOG("bit %d", bit);
	}
	EXPECT_EQ(-EFAULT, create_ruleset(NULL, 0, 0));
}

/* landlock_add_rule(2) */

FIXTURE(add)
{
	/* Handles TCP with a quiet right, and SOCKET_CREATE. */
	int fd;
	/* Handles all network rights. */
	int full_fd;
	/* Handles TCP, with no quiet right. */
	int loud_fd;
	int plain_fd;
	struct portlock_net_attr net;
	struct portlock_socket_attr socket;
};

FIXTURE_SETUP(add)
{
	const struct portlock_ruleset_attr attr = {
		.handled_access_net = TCP,
		.quiet_access_net = BIND_TCP,
		.handled_permissions = SOCKET_CREATE,
	};

	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	self->fd = create_extended(&attr, sizeof(attr));
	self->full_fd = extended(ALL_TCP | ALL_UDP, 0);
	self->loud_fd = extended(TCP, 0);
	self->plain_fd = net_ruleset(ALL_NET);
	ASSERT_LE(0, self->fd);
	ASSERT_LE(0, self->full_fd);
	ASSERT_LE(0, self->loud_fd);
	ASSERT_LE(0, self->plain_fd);
	self->net = (struct portlock_net_attr){
		.allowed_access = TCP,
		.port_first = 80,
		.port_last = 89,
		.family = AF_INET,
		.prefix_len = 24,
		.address = { 10, 0, 1 },
	};
	self->socket = (struct portlock_socket_attr){
		.permissions = SOCKET_CREATE,
		.family = AF_INET,
		.type = SOCK_STREAM,
		.protocol = IPPROTO_TCP,
	};
}

FIXTURE_TEARDOWN(add)
{
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, close(self->full_fd));
	EXPECT_EQ(0, close(self->loud_fd));
	EXPECT_EQ(0, close(self->plain_fd));
}

TEST_F(add, takes_rules_of_each_type)
{
	EXPECT_EQ(0, add_rule(self->fd, PORTLOCK_RULE_NET, &self->net, 0));
	EXPECT_EQ(0, add_rule(self->fd, PORTLOCK_RULE_SOCKET, &self->socket,
			      0));
	EXPECT_EQ(0, add_port(self->fd, 80, BIND_TCP | LISTEN_TCP));
	EXPECT_EQ(0, add_rule(self->loud_fd, PORTLOCK_RULE_NET, &self->net,
			      0));
}

TEST_F(add, refuses_types_that_the_ruleset_does_not_have)
{
	static const int unknown[] = { 0,	   3,  4,	 0x40000000,
				       0x40000004, -1, INT32_MIN };
	const struct landlock_path_beneath_attr path = {
		.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE,
		.parent_fd = AT_FDCWD,
	};
	size_t i;

	EXPECT_EQ(-EINVAL, add_rule(self->plain_fd, PORTLOCK_RULE_NET,
				    &self->net, 0));
	EXPECT_EQ(-EINVAL, add_rule(self->plain_fd, PORTLOCK_RULE_SOCKET,
				    &self->socket, 0));
	EXPECT_EQ(-EINVAL, add_rule(self->fd, LANDLOCK_RULE_PATH_BENEATH,
				    &path, 0));
	EXPECT_EQ(-EINVAL, add_rule(self->fd, LANDLOCK_RULE_PATH_BENEATH,
				    &path, LANDLOCK_ADD_RULE_QUIET));

	/* The type is checked before the attribute. */
	EXPECT_EQ(-EINVAL, add_rule(self->plain_fd, PORTLOCK_RULE_NET, NULL,
				    0));
	EXPECT_EQ(-EINVAL, add_rule(self->plain_fd, PORTLOCK_RULE_SOCKET, NULL,
				    0));
	EXPECT_EQ(-EINVAL, add_rule(self->fd, LANDLOCK_RULE_PATH_BENEATH, NULL,
				    0));
	for (i = 0; i < ARRAY_SIZE(unknown); i++) {
		EXPECT_EQ(-EINVAL, add_rule(self->fd, unknown[i], NULL, 0))
			TH_LOG("type %#x", unknown[i]);
	}
}

TEST_F(add, checks_flags_then_the_descriptor)
{
	static const int types[] = { PORTLOCK_RULE_NET, PORTLOCK_RULE_SOCKET,
				     LANDLOCK_RULE_NET_PORT };
	const int foreign_fd = eventfd(0, EFD_CLOEXEC);
	size_t i;
	int bit;

	ASSERT_LE(0, foreign_fd);
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		for (bit = 1; bit < 32; bit++) {
			EXPECT_EQ(-EINVAL, add_rule(-1, types[i], NULL,
						    1U << bit))
				TH_LOG("type %#x, bit %d", types[i], bit);
		}
		EXPECT_EQ(-EBADF, add_rule(-1, types[i], NULL, 0));
		EXPECT_EQ(-EBADF, add_rule(-1, types[i], NULL,
					   LANDLOCK_ADD_RULE_QUIET));
		EXPECT_EQ(-EBADFD, add_rule(foreign_fd, types[i], NULL, 0));
	}
	EXPECT_EQ(0, close(foreign_fd));
}

TEST_F(add, refuses_bad_pointers)
{
	const long page = sysconf(_SC_PAGESIZE);
	char *map;

	EXPECT_EQ(-EFAULT, add_rule(self->fd, PORTLOCK_RULE_NET, NULL, 0));
	EXPECT_EQ(-EFAULT, add_rule(self->fd, PORTLOCK_RULE_SOCKET, NULL, 0));
	EXPECT_EQ(-EFAULT, add_rule(self->fd, LANDLOCK_RULE_NET_PORT, NULL,
				    0));
	EXPECT_EQ(-EFAULT, add_rule(self->fd, PORTLOCK_RULE_NET, BAD_POINTER,
				    LANDLOCK_ADD_RULE_QUIET));
	EXPECT_EQ(-EFAULT, add_rule(self->fd, PORTLOCK_RULE_SOCKET, BAD_POINTER,
				    LANDLOCK_ADD_RULE_QUIET));

	/* The last field of each is on an unmapped page. */
	map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, map);
	ASSERT_EQ(0, munmap(map + page, page));
	EXPECT_EQ(-EFAULT, add_rule(self->fd, PORTLOCK_RULE_NET,
				    map + page - 52, 0));
	EXPECT_EQ(-EFAULT, add_rule(self->fd, PORTLOCK_RULE_SOCKET,
				    map + page - 20, 0));
	EXPECT_EQ(0, munmap(map, page));
}

TEST_F(add, refuses_to_grant_nothing)
{
	self->net.allowed_access = 0;
	self->socket.permissions = 0;
	EXPECT_EQ(-ENOMSG, add_rule(self->fd, PORTLOCK_RULE_NET, &self->net,
				    0));
	EXPECT_EQ(-ENOMSG, add_rule(self->fd, PORTLOCK_RULE_SOCKET,
				    &self->socket, 0));
	EXPECT_EQ(-ENOMSG, add_port(self->fd, 80, 0));

	/* Only a NET rule may be there to be quiet. */
	EXPECT_EQ(0, add_rule(self->fd, PORTLOCK_RULE_NET, &self->net,
			      LANDLOCK_ADD_RULE_QUIET));
	EXPECT_EQ(-ENOMSG, add_rule(self->fd, PORTLOCK_RULE_SOCKET,
				    &self->socket, LANDLOCK_ADD_RULE_QUIET));

	/* Emptiness comes before all that is EINVAL. */
	self->net.port_last = 65536;
	self->net.family = 1;
	self->net.prefix_len = 200;
	self->net.ifindex = 1;
	self->net.reserved = 1;
	EXPECT_EQ(-ENOMSG, add_rule(self->fd, PORTLOCK_RULE_NET, &self->net,
				    0));
	EXPECT_EQ(-EINVAL, add_rule(self->fd, PORTLOCK_RULE_NET, &self->net,
				    LANDLOCK_ADD_RULE_QUIET));
	self->socket.family = -1;
	self->socket.reserved = 1;
	EXPECT_EQ(-ENOMSG, add_rule(self->fd, PORTLOCK_RULE_SOCKET,
				    &self->socket, 0));
}

TEST_F(add, refuses_rights_that_the_ruleset_does_not_handle)
{
	int bit;

	for (bit = 0; bit < 64; bit++) {
		const bool right = TCP & 1ULL << bit;

		self->net.allowed_access = 1ULL << bit;
		EXPECT_EQ(right ? 0 : -EINVAL,
			  add_rule(self->fd, PORTLOCK_RULE_NET, &self->net, 0))
			TH_LOG("right %d", bit);
		EXPECT_EQ(right ? 0 : -EINVAL,
			  add_port(self->fd, 80, 1ULL << bit))
			TH_LOG("right %d", bit);
		self->socket.permissions = 1ULL << bit;
		EXPECT_EQ(bit == 32 ? 0 : -EINVAL,
			  add_rule(self->fd, PORTLOCK_RULE_SOCKET,
				   &self->socket, 0))
			TH_LOG("permission %d", bit);
		EXPECT_EQ(-EINVAL,
			  add_rule(self->loud_fd, PORTLOCK_RULE_SOCKET,
				   &self->socket, 0))
			TH_LOG("permission %d", bit);
	}
}

/* Each of Portlock's rights, in each type of rule that has rights. */
TEST_F(add, takes_the_rights_that_a_full_ruleset_handles)
{
	int bit;

	self->net.prefix_len = 0;
	self->net.family = 0;
	memset(self->net.address, 0, sizeof(self->net.address));
	for (bit = 0; bit < 64; bit++) {
		const __u64 right = 1ULL << bit;
		const bool known = right & (ALL_TCP | ALL_UDP);

		self->net.allowed_access = right;
		EXPECT_EQ(known ? 0 : -EINVAL,
			  add_rule(self->full_fd, PORTLOCK_RULE_NET,
				   &self->net, 0))
			TH_LOG("right %d", bit);
		EXPECT_EQ(known ? 0 : -EINVAL,
			  add_port(self->full_fd, 80, right))
			TH_LOG("right %d", bit);
		EXPECT_EQ(right & ALL_NET ? 0 : -EINVAL,
			  add_port(self->plain_fd, 80, right))
			TH_LOG("right %d", bit);
	}
}

/* connect(2) does not empty the queue of a UDP socket. */
TEST_F(add, refuses_to_receive_datagrams_by_address)
{
	self->net.allowed_access = RECEIVE_UDP;
	EXPECT_EQ(-EINVAL, add_rule(self->full_fd, PORTLOCK_RULE_NET,
				    &self->net, 0));
	/* The length of the prefix, and other rights, make no difference. */
	EXPECT_EQ(-EINVAL, add_net(self->full_fd, RECEIVE_UDP, 0, UINT16_MAX,
				   ALL_IPV4));
	EXPECT_EQ(-EINVAL, add_net(self->full_fd, ALL_UDP, 0, UINT16_MAX,
				   ALL_IPV6));
	EXPECT_EQ(0, add_net(self->full_fd, ALL_UDP & ~RECEIVE_UDP, 0,
			     UINT16_MAX, ALL_IPV4));
	EXPECT_EQ(0, add_net(self->full_fd, RECEIVE_UDP, 0, UINT16_MAX, NULL));
	EXPECT_EQ(0, add_port(self->full_fd, 80, RECEIVE_UDP));
}

TEST_F(add, takes_the_quiet_flag_for_networks_only)
{
	const struct landlock_net_port_attr port = {
		.allowed_access = BIND_TCP,
		.port = 80,
	};

	EXPECT_EQ(0, add_rule(self->fd, PORTLOCK_RULE_NET, &self->net,
			      LANDLOCK_ADD_RULE_QUIET));
	EXPECT_EQ(0, add_rule(self->fd, LANDLOCK_RULE_NET_PORT, &port,
			      LANDLOCK_ADD_RULE_QUIET));
	EXPECT_EQ(-EINVAL, add_rule(self->fd, PORTLOCK_RULE_SOCKET,
				    &self->socket, LANDLOCK_ADD_RULE_QUIET));

	/* Nothing is quiet in the other ruleset. */
	EXPECT_EQ(-EINVAL, add_rule(self->loud_fd, PORTLOCK_RULE_NET,
				    &self->net, LANDLOCK_ADD_RULE_QUIET));
	EXPECT_EQ(-EINVAL, add_rule(self->loud_fd, LANDLOCK_RULE_NET_PORT,
				    &port, LANDLOCK_ADD_RULE_QUIET));
	self->net.allowed_access = 0;
	EXPECT_EQ(-EINVAL, add_rule(self->loud_fd, PORTLOCK_RULE_NET,
				    &self->net, LANDLOCK_ADD_RULE_QUIET));
}

TEST_F(add, refuses_wrong_ports)
{
	static const struct {
		__u64 first, last;
		int expected;
	} ports[] = {
		{ 0, 0, 0 },
		{ 0, 65535, 0 },
		{ 65535, 65535, 0 },
		{ 1, 0, -EINVAL },
		{ 65535, 65534, -EINVAL },
		{ 65535, 65536, -EINVAL },
		{ 65536, 65536, -EINVAL },
		{ 0, 1ULL << 32, -EINVAL },
		{ 1ULL << 32, 1ULL << 32, -EINVAL },
		{ (1ULL << 32) + 80, 89, -EINVAL },
		{ 80, (1ULL << 32) + 89, -EINVAL },
		{ 0, UINT64_MAX, -EINVAL },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ports); i++) {
		self->net.port_first = ports[i].first;
		self->net.port_last = ports[i].last;
		EXPECT_EQ(ports[i].expected,
			  add_rule(self->fd, PORTLOCK_RULE_NET, &self->net, 0))
			TH_LOG("ports %llu to %llu",
			       (unsigned long long)ports[i].first,
			       (unsigned long long)ports[i].last);
	}
	EXPECT_EQ(0, add_port(self->fd, 65535, BIND_TCP));
	EXPECT_EQ(-EINVAL, add_port(self->fd, 65536, BIND_TCP));
}

TEST_F(add, refuses_wrong_addresses)
{
	static const struct {
		const char *prefix;
		int expected;
	} prefixes[] = {
		{ "0.0.0.0/0", 0 },
		{ "128.0.0.0/1", 0 },
		{ "10.0.0.0/31", 0 },
		{ "255.255.255.255/32", 0 },
		{ "10.0.0.0/33", -EINVAL },
		{ "10.0.0.1/31", -EINVAL },
		{ "128.0.0.0/0", -EINVAL },
		{ "10.1.0.0/8", -EINVAL },
		{ "::/0", 0 },
		{ "::/128", 0 },
		{ "8000::/1", 0 },
		{ "2001:db8::2/127", 0 },
		{ "::1/128", 0 },
		{ "::/129", -EINVAL },
		{ "::1/127", -EINVAL },
		{ "8000::/0", -EINVAL },
		{ "2001:db8::/28", -EINVAL },
		/* What contains all mapped addresses may be named. */
		{ "::/95", 0 },
		{ "::fffe:0:0/95", 0 },
		{ "::ffff:0:0/96", -EINVAL },
		{ "::ffff:127.0.0.0/104", -EINVAL },
		{ "::ffff:127.0.0.1/128", -EINVAL },
		/* Deprecated IPv4-compatible addresses are IPv6. */
		{ "::127.0.0.1/128", 0 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(prefixes); i++) {
		EXPECT_EQ(prefixes[i].expected,
			  add_net(self->fd, TCP, 80, 80, prefixes[i].prefix))
			TH_LOG("%s", prefixes[i].prefix);
	}

	/* Bytes after an IPv4 address. */
	for (i = 4; i < 16; i++) {
		self->net.address[i] = 1;
		EXPECT_EQ(-EINVAL, add_rule(self->fd, PORTLOCK_RULE_NET,
					    &self->net, 0))
			TH_LOG("byte %zu", i);
		self->net.address[i] = 0;
	}
	EXPECT_EQ(0, add_rule(self->fd, PORTLOCK_RULE_NET, &self->net, 0));
}

TEST_F(add, refuses_an_address_without_a_family)
{
	size_t i;

	self->net.family = 0;
	EXPECT_EQ(-EINVAL, add_rule(self->fd, PORTLOCK_RULE_NET, &self->net,
				    0));
	memset(self->net.address, 0, sizeof(self->net.address));
	EXPECT_EQ(-EINVAL, add_rule(self->fd, PORTLOCK_RULE_NET, &self->net,
				    0));
	self->net.prefix_len = 0;
	EXPECT_EQ(0, add_rule(self->fd, PORTLOCK_RULE_NET, &self->net, 0));
	for (i = 0; i < 16; i++) {
		self->net.address[i] = 0x80;
		EXPECT_EQ(-EINVAL, add_rule(self->fd, PORTLOCK_RULE_NET,
					    &self->net, 0))
			TH_LOG("byte %zu", i);
		self->net.address[i] = 0;
	}
}

TEST_F(add, refuses_other_families)
{
	static const __u32 families[] = {
		AF_UNIX, AF_PACKET, AF_INET + 65536U, AF_INET6 + 65536U, 65536,
		UINT32_MAX,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(families); i++) {
		self->net.family = families[i];
		EXPECT_EQ(-EINVAL, add_rule(self->fd, PORTLOCK_RULE_NET,
					    &self->net, 0))
			TH_LOG("family %u", families[i]);
	}
	self->net.family = AF_INET;
	self->net.prefix_len = 256 + 24;
	EXPECT_EQ(-EINVAL, add_rule(self->fd, PORTLOCK_RULE_NET, &self->net,
				    0));
}

TEST_F(add, wants_zeros_where_nothing_is_defined)
{
	self->net.ifindex = 1;
	EXPECT_EQ(-EINVAL, add_rule(self->fd, PORTLOCK_RULE_NET, &self->net,
				    0));
	self->net.ifindex = 0;
	self->net.reserved = 1;
	EXPECT_EQ(-EINVAL, add_rule(self->fd, PORTLOCK_RULE_NET, &self->net,
				    0));
	self->net.reserved = 0;
	EXPECT_EQ(0, add_rule(self->fd, PORTLOCK_RULE_NET, &self->net, 0));
	self->socket.reserved = 1;
	EXPECT_EQ(-EINVAL, add_rule(self->fd, PORTLOCK_RULE_SOCKET,
				    &self->socket, 0));
}

TEST_F(add, refuses_kinds_of_sockets_out_of_range)
{
	static const struct {
		int family, type, protocol, expected;
	} kinds[] = {
		{ 0, 0, 0, 0 },
		{ 254, 254, 65534, 0 },
		{ AF_INET, -1, -1, 0 },
		{ AF_INET, SOCK_STREAM, -1, 0 },
		{ AF_INET, -1, IPPROTO_MPTCP, 0 },
		/* A family must be named. */
		{ -1, SOCK_STREAM, 0, -EINVAL },
		{ 255, SOCK_STREAM, 0, -EINVAL },
		{ INT32_MAX, SOCK_STREAM, 0, -EINVAL },
		{ INT32_MIN, SOCK_STREAM, 0, -EINVAL },
		{ AF_INET, -2, 0, -EINVAL },
		{ AF_INET, 255, 0, -EINVAL },
		{ AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0, -EINVAL },
		{ AF_INET, INT32_MIN, 0, -EINVAL },
		{ AF_INET, SOCK_STREAM, -2, -EINVAL },
		{ AF_INET, SOCK_STREAM, 65535, -EINVAL },
		{ AF_INET, SOCK_STREAM, INT32_MAX, -EINVAL },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		EXPECT_EQ(kinds[i].expected,
			  add_socket(self->fd, kinds[i].family, kinds[i].type,
				     kinds[i].protocol))
			TH_LOG("family %d, type %d, protocol %d",
			       kinds[i].family, kinds[i].type,
			       kinds[i].protocol);
	}
}

TEST_F(add, refuses_too_many_prefixes)
{
	const int fd = extended(TCP | RECEIVE_UDP, 0);
	__u32 i;

	ASSERT_LE(0, fd);
	self->net.prefix_len = 32;
	for (i = 0; i < MAX_PREFIXES; i++) {
		const __u32 address = htonl(0x0a000000 + i);

		memcpy(self->net.address, &address, sizeof(address));
		ASSERT_EQ(0, add_rule(fd, PORTLOCK_RULE_NET, &self->net, 0))
			TH_LOG("prefix %u", i);
	}
	EXPECT_EQ(-E2BIG, add_net(fd, TCP, 80, 80, "192.0.2.0/24"));
	EXPECT_EQ(-E2BIG, add_net(fd, TCP, 80, 80, "10.0.0.0/8"));
	/* What else is wrong comes before. */
	EXPECT_EQ(-EINVAL, add_net(fd, UDP, 80, 80, "192.0.2.0/24"));
	EXPECT_EQ(-EINVAL, add_net(fd, TCP, 81, 80, "192.0.2.0/24"));
	EXPECT_EQ(-EINVAL, add_net(fd, RECEIVE_UDP, 80, 80, "192.0.2.0/24"));

	/* Other ports with the same prefix, and the other family. */
	EXPECT_EQ(0, add_net(fd, TCP, 8080, 8080, "10.0.0.1/32"));
	EXPECT_EQ(0, add_net(fd, TCP, 80, 80, NULL));
	EXPECT_EQ(0, add_net(fd, TCP, 80, 80, "2001:db8::/32"));
	EXPECT_EQ(0, close(fd));
}

/* landlock_restrict_self(2) */

TEST_F(add, adds_nothing_on_an_error)
{
	ASSERT_EQ(0, own_network());
	self->net.prefix_len = 0;
	memset(self->net.address, 0, sizeof(self->net.address));
	self->net.family = 0;
	self->net.reserved = 1;
	EXPECT_EQ(-EINVAL, add_rule(self->fd, PORTLOCK_RULE_NET, &self->net,
				    0));
	self->socket.reserved = 1;
	EXPECT_EQ(-EINVAL, add_rule(self->fd, PORTLOCK_RULE_SOCKET,
				    &self->socket, 0));
	ASSERT_EQ(0, add_socket(self->fd, AF_INET, SOCK_STREAM, 0));
	ASSERT_EQ(0, no_new_privs());
	ASSERT_EQ(0, restrict_self(self->fd, 0));
	EXPECT_EQ(-EACCES, tcp_bind("127.0.0.1", 80));
	EXPECT_EQ(-EACCES, new_socket(AF_INET, SOCK_STREAM, IPPROTO_TCP));
}

/* Landlock's flags mean the same for an extended ruleset. */
TEST_F(add, takes_landlocks_flags_to_enforce)
{
	static const __u32 flags[] = {
		LANDLOCK_RESTRICT_SELF_LOG_SAME_EXEC_OFF,
		LANDLOCK_RESTRICT_SELF_LOG_NEW_EXEC_ON,
		LANDLOCK_RESTRICT_SELF_LOG_SUBDOMAINS_OFF,
		LANDLOCK_RESTRICT_SELF_TSYNC,
		LANDLOCK_RESTRICT_SELF_NO_NEW_PRIVS,
	};
	/* The other flag is Portlock's. */
	__u32 unknown = ~PORTLOCK_RESTRICT_SELF_PERMISSIVE;
	__u32 all = 0;
	size_t i;
	int bit;

	ASSERT_EQ(0, own_network());
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		const pid_t child = fork();

		all |= flags[i];
		ASSERT_LE(0, child);
		if (child) {
			EXPECT_EQ(0, wait_child(child));
			continue;
		}
		EXPECT_EQ(0, restrict_self(self->fd, flags[i]));
		EXPECT_EQ(flags[i] == LANDLOCK_RESTRICT_SELF_NO_NEW_PRIVS,
			  prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
		EXPECT_EQ(-EACCES, tcp_bind("127.0.0.1", 1024));
		_exit(_metadata->exit_code);
	}
	unknown &= ~all;
	for (bit = 0; bit < 32; bit++) {
		if (!(unknown & 1U << bit))
			continue;
		EXPECT_EQ(-EINVAL, restrict_self(self->fd, 1U << bit))
			TH_LOG("bit %d", bit);
	}
	EXPECT_EQ(0, tcp_bind("127.0.0.1", 1024));
	EXPECT_EQ(0, restrict_self(self->fd, all));
	EXPECT_EQ(-EACCES, tcp_bind("127.0.0.1", 1024));
}

/* Ranges of ports */

FIXTURE(net)
{
};

FIXTURE_SETUP(net)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, own_network());
}

FIXTURE_TEARDOWN(net)
{
}

FIXTURE(ports)
{
};

FIXTURE_VARIANT(ports)
{
	/* A loopback address. */
	const char *lo;
	/* A prefix with all addresses of its family, or NULL. */
	const char *prefix;
};

FIXTURE_VARIANT_ADD(ports, ipv4)
{
	.lo = "127.0.0.1",
};

FIXTURE_VARIANT_ADD(ports, ipv6)
{
	.lo = "::1",
};

FIXTURE_VARIANT_ADD(ports, mapped)
{
	.lo = "::ffff:127.0.0.1",
};

FIXTURE_VARIANT_ADD(ports, ipv4_of_a_prefix)
{
	.lo = "127.0.0.1",
	.prefix = "127.0.0.0/8",
};

FIXTURE_VARIANT_ADD(ports, ipv6_of_a_prefix)
{
	.lo = "::1",
	.prefix = "::/64",
};

FIXTURE_VARIANT_ADD(ports, mapped_of_a_prefix)
{
	.lo = "::ffff:127.0.0.1",
	.prefix = "127.0.0.0/8",
};

FIXTURE_SETUP(ports)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, own_network());
}

FIXTURE_TEARDOWN(ports)
{
}

static const __u16 end_ports[] = { 0, 1, 7999, 8000, 8001, 8050, 8099, 8100,
				   8101, 65534, 65535 };

static const struct {
	__u16 first, last;
} ranges[] = {
	{ 0, 0 },
	{ 1, 1 },
	{ 0, 65535 },
	{ 1, 65534 },
	{ 8000, 8100 },
	{ 8050, 8050 },
	{ 8101, 65535 },
	{ 65535, 65535 },
};

TEST_F(ports, a_range_ends_with_its_first_and_last_port)
{
	const char *const lo = variant->lo;
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		const __u16 first = ranges[i].first, last = ranges[i].last;
		const __u64 access = BIND_TCP | CONNECT_TCP | BIND_UDP;
		const pid_t child = fork();

		ASSERT_LE(0, child);
		if (child) {
			EXPECT_EQ(0, wait_child(child));
			continue;
		}
		ASSERT_EQ(0, restrict_to(access, access, first, last,
					 variant->prefix));
		for (j = 0; j < ARRAY_SIZE(end_ports); j++) {
			const __u16 port = end_ports[j];
			const bool is_in = first <= port && port <= last;

			EXPECT_EQ(is_in ? 0 : -EACCES, tcp_bind(lo, port))
				TH_LOG("%u to %u: %u", first, last, port);
			EXPECT_EQ(is_in ? 0 : -EACCES, udp_bind(lo, port))
				TH_LOG("%u to %u: %u", first, last, port);
			EXPECT_EQ(is_in ? -ECONNREFUSED : -EACCES,
				  tcp_connect(lo, port))
				TH_LOG("%u to %u: %u", first, last, port);
		}
		_exit(_metadata->exit_code);
	}
}

TEST_F(ports, a_range_is_for_datagrams_too)
{
	const char *const lo = variant->lo;
	const int fd = make_socket(family_of(lo), SOCK_DGRAM, 0);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, restrict_to(SEND_UDP, SEND_UDP, 8000, 8100,
				 variant->prefix));
	EXPECT_EQ(-EACCES, send_to(fd, lo, 7999, 0));
	EXPECT_EQ(0, send_to(fd, lo, 8000, 0));
	EXPECT_EQ(0, send_to(fd, lo, 8100, 0));
	EXPECT_EQ(-EACCES, send_to(fd, lo, 8101, 0));
	EXPECT_EQ(-EACCES, udp_connect(lo, 7999));
	EXPECT_EQ(0, udp_connect(lo, 8000));
	EXPECT_EQ(0, udp_connect(lo, 8100));
	EXPECT_EQ(-EACCES, udp_connect(lo, 8101));
	EXPECT_EQ(0, close(fd));
}

TEST_F(ports, ranges_that_overlap_add_up)
{
	const char *const lo = variant->lo;
	const int fd = extended(BIND_TCP | CONNECT_TCP, 0);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, add_net(fd, BIND_TCP, 8000, 8010, variant->prefix));
	ASSERT_EQ(0, add_net(fd, CONNECT_TCP, 8005, 8020, variant->prefix));
	/* A range inside of another one takes nothing away. */
	ASSERT_EQ(0, add_net(fd, CONNECT_TCP, 8002, 8003, variant->prefix));
	/* Neighbours, and a port that is ruled as Landlock does. */
	ASSERT_EQ(0, add_net(fd, BIND_TCP, 8011, 8011, variant->prefix));
	ASSERT_EQ(0, add_port(fd, 8013, BIND_TCP));
	ASSERT_EQ(0, enforce(fd));

	EXPECT_EQ(-EACCES, tcp_bind(lo, 7999));
	EXPECT_EQ(0, tcp_bind(lo, 8000));
	EXPECT_EQ(-EACCES, tcp_connect(lo, 8000));
	EXPECT_EQ(0, tcp_bind(lo, 8002));
	EXPECT_EQ(-ECONNREFUSED, tcp_connect(lo, 8002));
	EXPECT_EQ(0, tcp_bind(lo, 8004));
	EXPECT_EQ(-EACCES, tcp_connect(lo, 8004));
	EXPECT_EQ(0, tcp_bind(lo, 8005));
	EXPECT_EQ(-ECONNREFUSED, tcp_connect(lo, 8005));
	EXPECT_EQ(0, tcp_bind(lo, 8010));
	EXPECT_EQ(0, tcp_bind(lo, 8011));
	EXPECT_EQ(-EACCES, tcp_bind(lo, 8012));
	EXPECT_EQ(0, tcp_bind(lo, 8013));
	EXPECT_EQ(-EACCES, tcp_bind(lo, 8014));
	EXPECT_EQ(-ECONNREFUSED, tcp_connect(lo, 8020));
	EXPECT_EQ(-EACCES, tcp_connect(lo, 8021));
}

/* What is enforced does not change, and what is enforced later is complete. */
TEST_F(ports, rules_may_be_added_after_enforcing)
{
	const char *const lo = variant->lo;
	const int fd = extended(BIND_TCP, 0);
	pid_t child;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, no_new_privs());
	ASSERT_EQ(0, add_net(fd, BIND_TCP, 8000, 8001, variant->prefix));
	child = fork();
	ASSERT_LE(0, child);
	if (child == 0) {
		ASSERT_EQ(0, restrict_self(fd, 0));
		EXPECT_EQ(0, tcp_bind(lo, 8001));
		EXPECT_EQ(-EACCES, tcp_bind(lo, 8002));
		EXPECT_EQ(0, add_net(fd, BIND_TCP, 8002, 8003,
				     variant->prefix));
		EXPECT_EQ(0, tcp_bind(lo, 8001));
		EXPECT_EQ(-EACCES, tcp_bind(lo, 8002));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, wait_child(child));

	ASSERT_EQ(0, restrict_self(fd, 0));
	EXPECT_EQ(0, tcp_bind(lo, 8001));
	EXPECT_EQ(0, tcp_bind(lo, 8002));
	EXPECT_EQ(0, tcp_bind(lo, 8003));
	EXPECT_EQ(-EACCES, tcp_bind(lo, 8004));
	EXPECT_EQ(0, close(fd));
}

/* A rule for a port is not one for a right that it does not name. */
TEST_F(ports, a_rule_grants_what_it_names)
{
	const char *const lo = variant->lo;
	const int fd = extended(TCP | UDP, 0);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, add_net(fd, BIND_TCP, 1024, 1024, variant->prefix));
	ASSERT_EQ(0, add_net(fd, CONNECT_TCP, 1025, 1025, variant->prefix));
	ASSERT_EQ(0, add_net(fd, BIND_UDP, 1026, 1026, variant->prefix));
	ASSERT_EQ(0, enforce(fd));
	EXPECT_EQ(0, tcp_bind(lo, 1024));
	EXPECT_EQ(-EACCES, tcp_connect(lo, 1024));
	EXPECT_EQ(-EACCES, udp_bind(lo, 1024));
	EXPECT_EQ(-EACCES, tcp_listen(lo, 1024));
	EXPECT_EQ(-ECONNREFUSED, tcp_connect(lo, 1025));
	EXPECT_EQ(-EACCES, tcp_bind(lo, 1025));
	EXPECT_EQ(0, udp_bind(lo, 1026));
	EXPECT_EQ(-EACCES, tcp_bind(lo, 1026));
	EXPECT_EQ(-EACCES, udp_connect(lo, 1026));
}

/* Addresses */

/* The agent held to a proxy. */
TEST_F(net, any_tcp_to_one_proxy_and_nothing_else)
{
	const int listener = listen_on(AF_INET, 0, 3128);
	const int udp = make_socket(AF_INET, SOCK_DGRAM, 0);
	const int fd = extended(TCP | UDP, SOCKET_CREATE);

	ASSERT_LE(0, listener);
	ASSERT_LE(0, udp);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, add_net(fd, CONNECT_TCP, 3128, 3128, "127.0.0.1/32"));
	ASSERT_EQ(0, add_socket(fd, AF_INET, SOCK_STREAM, 0));
	ASSERT_EQ(0, add_socket(fd, AF_INET6, SOCK_STREAM, 0));
	ASSERT_EQ(0, enforce(fd));

	EXPECT_EQ(0, tcp_connect("127.0.0.1", 3128));
	/* This is the same address. */
	EXPECT_EQ(0, tcp_connect("::ffff:127.0.0.1", 3128));

	EXPECT_EQ(-EACCES, tcp_connect("127.0.0.1", 3127));
	EXPECT_EQ(-EACCES, tcp_connect("127.0.0.1", 3129));
	EXPECT_EQ(-EACCES, tcp_connect("127.0.0.0", 3128));
	EXPECT_EQ(-EACCES, tcp_connect("127.0.0.2", 3128));
	EXPECT_EQ(-EACCES, tcp_connect("::ffff:127.0.0.2", 3128));
	EXPECT_EQ(-EACCES, tcp_connect("0.0.0.0", 3128));
	EXPECT_EQ(-EACCES, tcp_connect("::", 3128));
	EXPECT_EQ(-EACCES, tcp_connect("::ffff:0.0.0.0", 3128));
	EXPECT_EQ(-EACCES, tcp_connect("::1", 3128));
	EXPECT_EQ(-EACCES, tcp_connect("::127.0.0.1", 3128));
	EXPECT_EQ(-EACCES, tcp_connect("64:ff9b::127.0.0.1", 3128));
	EXPECT_EQ(-EACCES, tcp_bind("127.0.0.1", 3128));
	EXPECT_EQ(-EACCES, tcp_bind("0.0.0.0", 0));

	EXPECT_EQ(-EACCES, send_to(udp, "127.0.0.1", 3128, 0));
	EXPECT_EQ(-EACCES, connect_to(udp, "127.0.0.1", 3128));
	EXPECT_EQ(-EACCES, bind_to(udp, "127.0.0.1", 0));

	EXPECT_EQ(-EACCES, new_socket(AF_INET, SOCK_DGRAM, 0));
	EXPECT_EQ(-EACCES, new_socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP));
	EXPECT_EQ(-EACCES, new_socket(AF_INET, SOCK_STREAM, IPPROTO_SMC));
	EXPECT_EQ(-EACCES, new_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
	EXPECT_EQ(-EACCES, new_socket(AF_UNIX, SOCK_STREAM, 0));
	EXPECT_EQ(-EACCES, new_socket(AF_PACKET, SOCK_RAW, 0));
	EXPECT_EQ(0, close(udp));
	EXPECT_EQ(0, close(listener));
}

/* The server on loopback. */
TEST_F(net, any_port_of_loopback_to_bind_and_listen_and_no_connection)
{
	const __u64 access = BIND_TCP | LISTEN_TCP;
	const int fd = extended(TCP, 0);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, add_net(fd, access, 0, UINT16_MAX, "127.0.0.0/8"));
	ASSERT_EQ(0, add_net(fd, access, 0, UINT16_MAX, "::1/128"));
	ASSERT_EQ(0, enforce(fd));

	EXPECT_EQ(0, tcp_listen("127.0.0.1", 0));
	EXPECT_EQ(0, tcp_listen("127.0.0.1", 1024));
	EXPECT_EQ(0, tcp_listen("127.255.0.9", 65535));
	EXPECT_EQ(0, tcp_listen("::1", 0));
	EXPECT_EQ(0, tcp_listen("::1", 1024));
	EXPECT_EQ(0, tcp_listen("::ffff:127.0.0.1", 1024));

	EXPECT_EQ(-EACCES, tcp_bind("0.0.0.0", 1024));
	EXPECT_EQ(-EACCES, tcp_bind("::", 1024));
	EXPECT_EQ(-EACCES, tcp_bind("::ffff:0.0.0.0", 1024));
	EXPECT_EQ(-EACCES, tcp_bind("126.255.255.255", 1024));
	EXPECT_EQ(-EACCES, tcp_bind("128.0.0.0", 1024));
	EXPECT_EQ(-EACCES, tcp_bind("::2", 1024));
	EXPECT_EQ(-EACCES, tcp_connect("127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, tcp_connect("::1", 1024));
}

/* Whether @one has the family of @two and all addresses of it. */
static bool covers(const struct portlock_net_attr *one,
		   const struct portlock_net_attr *two)
{
	__u32 bit;

	if (one->family != two->family || one->prefix_len > two->prefix_len)
		return false;
	for (bit = 0; bit < one->prefix_len; bit++) {
		if ((one->address[bit / 8] ^ two->address[bit / 8]) &
		    0x80 >> bit % 8)
			return false;
	}
	return true;
}

/* Grants @all but @holes, and returns the number of rules. */
static int add_complement(int fd, struct portlock_net_attr all,
			  const struct portlock_net_attr *holes, size_t count)
{
	const __u32 bit = all.prefix_len;
	bool is_whole = true;
	int low, high;
	size_t i;

	for (i = 0; i < count; i++) {
		if (covers(&holes[i], &all))
			return 0;
		if (covers(&all, &holes[i]))
			is_whole = false;
	}
	if (is_whole) {
		const int ret = add_rule(fd, PORTLOCK_RULE_NET, &all, 0);

		return ret ? ret : 1;
	}
	all.prefix_len++;
	low = add_complement(fd, all, holes, count);
	if (low < 0)
		return low;
	all.address[bit / 8] |= 0x80 >> bit % 8;
	high = add_complement(fd, all, holes, count);
	return high < 0 ? high : low + high;
}

/* The Internet without private networks. */
TEST_F(net, a_complement_is_written_as_prefixes)
{
	static const char *const private[] = {
		"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
		"169.254.0.0/16", "127.0.0.0/8", "fc00::/7", "fe80::/10",
		"::1/128",
	};
	static const char *const outside[] = {
		"10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255",
		"192.168.0.0", "192.168.255.255", "169.254.0.0",
		"169.254.169.254", "127.0.0.1", "0.0.0.0",
		"::ffff:10.1.2.3", "::ffff:127.0.0.1", "::ffff:0.0.0.0", "::",
		"::1", "fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		"fe80::1%1", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff%1",
	};
	static const char *const inside[] = {
		"9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0",
		"192.167.255.255", "192.169.0.0", "169.253.255.255",
		"126.255.255.255", "128.0.0.0", "1.1.1.1", "::ffff:1.1.1.1",
		"::2", "2001:db8::1", "fbff::", "fe00::", "fec0::",
	};
	struct portlock_net_attr all = {
		.allowed_access = CONNECT_TCP,
		.port_first = 443,
		.port_last = 443,
		.family = AF_INET,
	};
	struct portlock_net_attr holes[ARRAY_SIZE(private)] = {};
	const int fd = extended(CONNECT_TCP, 0);
	size_t i;

	ASSERT_LE(0, fd);
	for (i = 0; i < ARRAY_SIZE(private); i++)
		ASSERT_EQ(0, write_prefix(&holes[i], private[i]));
	ASSERT_LT(0, add_complement(fd, all, holes, ARRAY_SIZE(holes)));
	all.family = AF_INET6;
	ASSERT_LT(0, add_complement(fd, all, holes, ARRAY_SIZE(holes)));
	ASSERT_EQ(0, enforce(fd));
	for (i = 0; i < ARRAY_SIZE(outside); i++) {
		EXPECT_EQ(-EACCES, tcp_connect(outside[i], 443))
			TH_LOG("%s", outside[i]);
	}
	/* There is no route in this namespace. */
	for (i = 0; i < ARRAY_SIZE(inside); i++) {
		EXPECT_EQ(-ENETUNREACH, tcp_connect(inside[i], 443))
			TH_LOG("%s", inside[i]);
		EXPECT_EQ(-EACCES, tcp_connect(inside[i], 444))
			TH_LOG("%s", inside[i]);
	}
}

/* The client of one network, with two resolvers. */
TEST_F(net, two_resolvers_and_two_networks)
{
	const int fd = extended(TCP | UDP, 0);
	int udp;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, add_net(fd, SEND_UDP, 53, 53, "127.0.0.53/32"));
	ASSERT_EQ(0, add_net(fd, SEND_UDP, 53, 53, "::1/128"));
	/* A client needs a port of its own. */
	ASSERT_EQ(0, add_net(fd, BIND_UDP, 0, 0, NULL));
	ASSERT_EQ(0, add_net(fd, CONNECT_TCP, 443, 443, "192.0.2.0/24"));
	ASSERT_EQ(0, add_net(fd, CONNECT_TCP, 443, 443, "2001:db8:1::/48"));
	ASSERT_EQ(0, enforce(fd));

	EXPECT_EQ(0, new_send("127.0.0.53", 53));
	EXPECT_EQ(0, udp_connect("127.0.0.53", 53));
	EXPECT_EQ(0, new_send("::1", 53));
	EXPECT_EQ(-EACCES, new_send("127.0.0.52", 53));
	EXPECT_EQ(-EACCES, new_send("127.0.0.53", 54));
	EXPECT_EQ(-EACCES, new_send("::2", 53));
	EXPECT_EQ(-EACCES, new_send("0.0.0.0", 53));
	EXPECT_EQ(-EACCES, new_send("::", 53));
	EXPECT_EQ(-EACCES, udp_bind("127.0.0.1", 1024));

	/* Sending to another host from one socket is judged each time. */
	udp = make_socket(AF_INET, SOCK_DGRAM, 0);
	ASSERT_LE(0, udp);
	EXPECT_EQ(0, send_to(udp, "127.0.0.53", 53, 0));
	EXPECT_EQ(-EACCES, send_to(udp, "127.0.0.54", 53, 0));
	EXPECT_EQ(0, close(udp));

	EXPECT_EQ(-ENETUNREACH, tcp_connect("192.0.2.0", 443));
	EXPECT_EQ(-ENETUNREACH, tcp_connect("192.0.2.255", 443));
	EXPECT_EQ(-EACCES, tcp_connect("192.0.1.255", 443));
	EXPECT_EQ(-EACCES, tcp_connect("192.0.3.0", 443));
	EXPECT_EQ(-EACCES, tcp_connect("192.0.2.1", 80));
	EXPECT_EQ(-ENETUNREACH, tcp_connect("2001:db8:1::", 443));
	EXPECT_EQ(-ENETUNREACH,
		  tcp_connect("2001:db8:1:ffff:ffff:ffff:ffff:ffff", 443));
	EXPECT_EQ(-EACCES, tcp_connect("2001:db8:0:ffff::", 443));
	EXPECT_EQ(-EACCES, tcp_connect("2001:db8:2::", 443));
}

TEST_F(net, prefixes_have_the_length_that_they_say)
{
	static const struct {
		const char *prefix, *before, *first, *last, *after;
	} cases[] = {
		{ "127.0.0.2/31", "127.0.0.1", "127.0.0.2", "127.0.0.3",
		  "127.0.0.4" },
		{ "127.0.0.2/32", "127.0.0.1", "127.0.0.2", "127.0.0.2",
		  "127.0.0.3" },
		{ "127.128.0.0/9", "127.127.255.255", "127.128.0.0",
		  "127.255.255.254", "128.0.0.0" },
		{ "64.0.0.0/2", "63.255.255.255", "127.0.0.1",
		  "127.255.255.254", "128.0.0.0" },
		{ "127.0.0.1/32", "127.0.0.0", "127.0.0.1", "127.0.0.1",
		  "127.0.0.2" },
		{ "::1/128", "::", "::1", "::1", "::2" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const pid_t child = fork();

		ASSERT_LE(0, child);
		if (child) {
			EXPECT_EQ(0, wait_child(child))
				TH_LOG("%s", cases[i].prefix);
			continue;
		}
		ASSERT_EQ(0, restrict_to(BIND_TCP, BIND_TCP, 1024, 1024,
					 cases[i].prefix));
		EXPECT_EQ(-EACCES, tcp_bind(cases[i].before, 1024));
		EXPECT_EQ(0, tcp_bind(cases[i].first, 1024));
		EXPECT_EQ(0, tcp_bind(cases[i].last, 1024));
		EXPECT_EQ(-EACCES, tcp_bind(cases[i].after, 1024));
		_exit(_metadata->exit_code);
	}
}

/* The shorter prefixes of IPv6 are tried without an address to bind. */
TEST_F(net, prefixes_of_ipv6_have_the_length_that_they_say)
{
	static const struct {
		const char *prefix, *before, *first, *last, *after;
	} cases[] = {
		{ "2001:db8::2/127", "2001:db8::1", "2001:db8::2",
		  "2001:db8::3", "2001:db8::4" },
		{ "2001:db8::8000:0:0:0/65", "2001:db8:0:0:7fff::",
		  "2001:db8::8000:0:0:0", "2001:db8::ffff:0:0:1",
		  "2001:db8:0:1::" },
		{ "2001:db8::/32", "2001:db7:ffff::", "2001:db8::",
		  "2001:db8:ffff::", "2001:db9::" },
		{ "4000::/2", "3fff::", "4000::", "7fff::", "8000::" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const pid_t child = fork();

		ASSERT_LE(0, child);
		if (child) {
			EXPECT_EQ(0, wait_child(child))
				TH_LOG("%s", cases[i].prefix);
			continue;
		}
		ASSERT_EQ(0, restrict_to(CONNECT_TCP, CONNECT_TCP, 80, 80,
					 cases[i].prefix));
		EXPECT_EQ(-EACCES, tcp_connect(cases[i].before, 80));
		EXPECT_EQ(-ENETUNREACH, tcp_connect(cases[i].first, 80));
		EXPECT_EQ(-ENETUNREACH, tcp_connect(cases[i].last, 80));
		EXPECT_EQ(-EACCES, tcp_connect(cases[i].after, 80));
		_exit(_metadata->exit_code);
	}
}

TEST_F(net, a_rule_without_an_address_matches_every_address)
{
	ASSERT_EQ(0, restrict_to(BIND_TCP | CONNECT_TCP, BIND_TCP | CONNECT_TCP,
				 1024, 1024, NULL));
	EXPECT_EQ(0, tcp_bind("127.0.0.1", 1024));
	EXPECT_EQ(0, tcp_bind("0.0.0.0", 1024));
	EXPECT_EQ(0, tcp_bind("::1", 1024));
	EXPECT_EQ(0, tcp_bind("::", 1024));
	EXPECT_EQ(0, tcp_bind("::ffff:127.0.0.1", 1024));
	EXPECT_EQ(-ECONNREFUSED, tcp_connect("127.0.0.1", 1024));
	EXPECT_EQ(-ECONNREFUSED, tcp_connect("0.0.0.0", 1024));
	EXPECT_EQ(-ECONNREFUSED, tcp_connect("::1", 1024));
	EXPECT_EQ(-ECONNREFUSED, tcp_connect("::", 1024));
	EXPECT_EQ(-ECONNREFUSED, tcp_connect("::ffff:127.0.0.1", 1024));
	EXPECT_EQ(-ECONNREFUSED, tcp_connect("::ffff:0.0.0.0", 1024));
}

TEST_F(net, all_of_ipv4_is_not_ipv6)
{
	ASSERT_EQ(0, restrict_to(BIND_TCP | CONNECT_TCP, BIND_TCP | CONNECT_TCP,
				 1024, 1024, ALL_IPV4));
	EXPECT_EQ(0, tcp_bind("127.0.0.1", 1024));
	EXPECT_EQ(0, tcp_bind("::ffff:127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, tcp_bind("::1", 1024));
	EXPECT_EQ(-ECONNREFUSED, tcp_connect("127.0.0.1", 1024));
	EXPECT_EQ(-ECONNREFUSED, tcp_connect("::ffff:127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, tcp_connect("::1", 1024));
	EXPECT_EQ(-EACCES, tcp_connect("127.0.0.1", 1025));
}

TEST_F(net, all_of_ipv6_is_not_ipv4)
{
	ASSERT_EQ(0, restrict_to(BIND_TCP | CONNECT_TCP, BIND_TCP | CONNECT_TCP,
				 1024, 1024, ALL_IPV6));
	EXPECT_EQ(0, tcp_bind("::1", 1024));
	EXPECT_EQ(-EACCES, tcp_bind("127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, tcp_bind("::ffff:127.0.0.1", 1024));
	EXPECT_EQ(-ECONNREFUSED, tcp_connect("::1", 1024));
	EXPECT_EQ(-EACCES, tcp_connect("127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, tcp_connect("::ffff:127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, tcp_connect("::1", 1025));
}

TEST_F(net, wildcards_are_literal_to_bind)
{
	static const struct {
		const char *prefix, *good, *bad, *mapped_good;
	} cases[] = {
		{ "0.0.0.0/0", "0.0.0.0", "::", "::ffff:0.0.0.0" },
		{ "0.0.0.0/32", "0.0.0.0", "127.0.0.1", "::ffff:0.0.0.0" },
		{ "127.0.0.0/8", "127.0.0.1", "0.0.0.0", "::ffff:127.0.0.1" },
		{ "::/0", "::", "0.0.0.0", "::1" },
		{ "::/128", "::", "::1", "::" },
		{ "::1/128", "::1", "::", "::1" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const pid_t child = fork();

		ASSERT_LE(0, child);
		if (child) {
			EXPECT_EQ(0, wait_child(child))
				TH_LOG("%s", cases[i].prefix);
			continue;
		}
		ASSERT_EQ(0, restrict_to_both(TCP | BIND_UDP, cases[i].prefix,
					      cases[i].prefix));
		EXPECT_EQ(0, tcp_bind(cases[i].good, 1024));
		EXPECT_EQ(0, udp_bind(cases[i].good, 1024));
		EXPECT_EQ(0, tcp_listen(cases[i].good, 1024));
		EXPECT_EQ(0, tcp_bind(cases[i].mapped_good, 1024));
		EXPECT_EQ(-EACCES, tcp_bind(cases[i].bad, 1024));
		EXPECT_EQ(-EACCES, udp_bind(cases[i].bad, 1024));
		_exit(_metadata->exit_code);
	}
}

TEST_F(net, wildcards_as_remote_addresses_are_in_no_prefix)
{
	static const char *const wildcards[] = { "0.0.0.0", "::",
						 "::ffff:0.0.0.0" };
	size_t i;

	ASSERT_EQ(0, restrict_to_both(CONNECT_TCP | SEND_UDP, ALL_IPV4,
				      ALL_IPV6));
	for (i = 0; i < ARRAY_SIZE(wildcards); i++) {
		EXPECT_EQ(-EACCES, tcp_connect(wildcards[i], 1024))
			TH_LOG("%s", wildcards[i]);
		EXPECT_EQ(-EACCES, udp_connect(wildcards[i], 1024))
			TH_LOG("%s", wildcards[i]);
		EXPECT_EQ(-EACCES, new_send(wildcards[i], 1024))
			TH_LOG("%s", wildcards[i]);
	}
	EXPECT_EQ(-ECONNREFUSED, tcp_connect("127.0.0.1", 1024));
	EXPECT_EQ(-ECONNREFUSED, tcp_connect("::1", 1024));
	EXPECT_EQ(0, new_send("127.0.0.1", 1024));
	EXPECT_EQ(0, new_send("::1", 1024));
}

/* The port is chosen for the wildcard address of the socket's family. */
TEST_F(net, a_port_for_a_datagram_is_a_bind_to_the_wildcard)
{
	const int fd = extended(UDP, 0);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, add_net(fd, SEND_UDP, 1024, 1024, NULL));
	ASSERT_EQ(0, add_net(fd, BIND_UDP, 0, 0, "127.0.0.0/8"));
	ASSERT_EQ(0, add_net(fd, BIND_UDP, 0, 0, "::/128"));
	ASSERT_EQ(0, enforce(fd));
	EXPECT_EQ(-EACCES, new_send("127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, udp_connect("127.0.0.1", 1024));
	EXPECT_EQ(0, new_send("::1", 1024));
	EXPECT_EQ(0, udp_connect("::1", 1024));
	EXPECT_EQ(0, new_send("::ffff:127.0.0.1", 1024));
}

/* An AF_INET address on an AF_INET6 socket of UDP */

FIXTURE(inet_on_inet6)
{
	int fd;
};

FIXTURE_SETUP(inet_on_inet6)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, own_network());
	self->fd = make_socket(AF_INET6, SOCK_DGRAM, 0);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, bind_to(self->fd, "::", 2000));
	/* The network stack takes such an address. */
	ASSERT_EQ(0, send_to(self->fd, "127.0.0.1", 1024, 0));
	ASSERT_EQ(0, connect_to(self->fd, "127.0.0.1", 1024));
	ASSERT_EQ(0, disconnect(self->fd));
}

FIXTURE_TEARDOWN(inet_on_inet6)
{
	EXPECT_EQ(0, close(self->fd));
}

TEST_F(inet_on_inet6, is_judged_as_ipv4)
{
	ASSERT_EQ(0, restrict_to(SEND_UDP | CONNECT_TCP,
				 SEND_UDP | CONNECT_TCP, 1024, 1024,
				 "127.0.0.1/32"));
	EXPECT_EQ(0, send_to(self->fd, "127.0.0.1", 1024, 0));
	EXPECT_EQ(-EACCES, send_to(self->fd, "127.0.0.1", 1025, 0));
	EXPECT_EQ(-EACCES, send_to(self->fd, "127.0.0.2", 1024, 0));
	EXPECT_EQ(-EACCES, send_to(self->fd, "0.0.0.0", 1024, 0));
	EXPECT_EQ(-EACCES, connect_to(self->fd, "127.0.0.2", 1024));
	EXPECT_EQ(-EACCES, connect_to(self->fd, "0.0.0.0", 1024));
	EXPECT_EQ(0, connect_to(self->fd, "127.0.0.1", 1024));
}

TEST_F(inet_on_inet6, is_not_ipv6)
{
	ASSERT_EQ(0, restrict_to(SEND_UDP, SEND_UDP, 1024, 1024, ALL_IPV6));
	EXPECT_EQ(-EACCES, send_to(self->fd, "127.0.0.1", 1024, 0));
	EXPECT_EQ(-EACCES, connect_to(self->fd, "127.0.0.1", 1024));
	EXPECT_EQ(0, send_to(self->fd, "::1", 1024, 0));
}

TEST_F(inet_on_inet6, is_wrong_to_bind_and_on_tcp)
{
	const int tcp = make_socket(AF_INET6, SOCK_STREAM, 0);
	const int udp = make_socket(AF_INET6, SOCK_DGRAM, 0);

	ASSERT_LE(0, tcp);
	ASSERT_LE(0, udp);
	ASSERT_EQ(0, restrict_to(ALL_NET, ALL_NET, 1024, 1024, NULL));
	EXPECT_EQ(-EINVAL, bind_to(udp, "127.0.0.1", 1024));
	EXPECT_EQ(-EINVAL, bind_to(tcp, "127.0.0.1", 1024));
	EXPECT_EQ(-EINVAL, connect_to(tcp, "127.0.0.1", 1024));
	EXPECT_EQ(-EINVAL, bind_to(udp, "127.0.0.1", 1025));
	EXPECT_EQ(-EINVAL, connect_to(tcp, "127.0.0.1", 1025));
	EXPECT_EQ(0, close(tcp));
	EXPECT_EQ(0, close(udp));
}

TEST_F(inet_on_inet6, is_not_reversed)
{
	const int fd = make_socket(AF_INET, SOCK_DGRAM, 0);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, bind_to(fd, "127.0.0.1", 0));
	ASSERT_EQ(0, restrict_to(ALL_NET, ALL_NET, 1024, 1024, NULL));
	EXPECT_EQ(-EINVAL, send_to(fd, "::ffff:127.0.0.1", 1024, 0));
	EXPECT_EQ(-EINVAL, connect_to(fd, "::ffff:127.0.0.1", 1025));
	EXPECT_EQ(0, close(fd));
}

/* A plain layer keeps its error, and errors come before refusals. */
TEST_F(inet_on_inet6, is_wrong_for_plain_layers)
{
	ASSERT_EQ(0, restrict_to_port(SEND_UDP, 1024, SEND_UDP));
	EXPECT_EQ(-EINVAL, send_to(self->fd, "127.0.0.1", 1024, 0));
	ASSERT_EQ(0, restrict_extended(SEND_UDP));
	EXPECT_EQ(-EINVAL, send_to(self->fd, "127.0.0.1", 1024, 0));
	EXPECT_EQ(-EINVAL, connect_to(self->fd, "127.0.0.1", 1024));
}

TEST_F(inet_on_inet6, is_wrong_for_younger_plain_layers)
{
	ASSERT_EQ(0, restrict_to(SEND_UDP, SEND_UDP, 1024, 1024,
				 "127.0.0.1/32"));
	EXPECT_EQ(0, send_to(self->fd, "127.0.0.1", 1024, 0));
	ASSERT_EQ(0, restrict_to_port(SEND_UDP, 1024, SEND_UDP));
	EXPECT_EQ(-EINVAL, send_to(self->fd, "127.0.0.1", 1024, 0));
	EXPECT_EQ(-EINVAL, connect_to(self->fd, "127.0.0.1", 1024));
}

TEST_F(inet_on_inet6, is_not_for_plain_layers_without_the_right)
{
	ASSERT_EQ(0, restrict_all(BIND_UDP | CONNECT_TCP));
	ASSERT_EQ(0, restrict_to(SEND_UDP, SEND_UDP, 1024, 1024,
				 "127.0.0.1/32"));
	EXPECT_EQ(0, send_to(self->fd, "127.0.0.1", 1024, 0));
	EXPECT_EQ(-EACCES, send_to(self->fd, "127.0.0.2", 1024, 0));
}

/* AF_UNSPEC */

static int send_unspec(int fd, const char *address, __u16 port)
{
	union addr addr;
	const socklen_t len = read_addr(&addr, address, port);

	addr.sa.sa_family = AF_UNSPEC;
	return sendto(fd, "x", 1, MSG_NOSIGNAL, &addr.sa, len) == 1 ? 0 :
								      -errno;
}

TEST_F(net, unspec_is_ipv4_for_a_datagram_on_ipv4)
{
	const int fd = make_socket(AF_INET, SOCK_DGRAM, 0);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, restrict_to(SEND_UDP, SEND_UDP, 1024, 1024,
				 "127.0.0.1/32"));
	EXPECT_EQ(0, send_unspec(fd, "127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, send_unspec(fd, "127.0.0.2", 1024));
	EXPECT_EQ(-EACCES, send_unspec(fd, "0.0.0.0", 1024));
	EXPECT_EQ(0, close(fd));
}

TEST_F(net, unspec_is_refused_for_a_datagram_on_ipv6)
{
	const int fd = make_socket(AF_INET6, SOCK_DGRAM, 0);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, connect_to(fd, "::1", 1024));
	ASSERT_EQ(0, restrict_to(SEND_UDP, SEND_UDP, 0, UINT16_MAX, NULL));
	EXPECT_EQ(-EACCES, send_unspec(fd, "::1", 1024));
	EXPECT_EQ(0, disconnect(fd));
	EXPECT_EQ(0, close(fd));
}

TEST_F(net, unspec_binds_the_wildcard)
{
	union addr addr = {};
	int fd;

	ASSERT_EQ(0, restrict_to(BIND_TCP, BIND_TCP, 1024, 1024,
				 "0.0.0.0/32"));
	fd = make_socket(AF_INET, SOCK_STREAM, 0);
	ASSERT_LE(0, fd);
	addr.in.sin_port = htons(1025);
	EXPECT_EQ(-1, bind(fd, &addr.sa, sizeof(addr.in)));
	EXPECT_EQ(EACCES, errno);
	addr.in.sin_port = htons(1024);
	addr.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	EXPECT_EQ(-1, bind(fd, &addr.sa, sizeof(addr.in)));
	EXPECT_EQ(EAFNOSUPPORT, errno);
	addr.in.sin_addr.s_addr = 0;
	EXPECT_EQ(0, bind(fd, &addr.sa, sizeof(addr.in)));
	EXPECT_EQ(0, close(fd));
}

TEST_F(net, unspec_is_no_wildcard_for_a_rule_about_loopback)
{
	union addr addr = {
		.in.sin_port = htons(1024),
	};
	int fd;

	ASSERT_EQ(0, restrict_to(BIND_TCP, BIND_TCP, 1024, 1024,
				 "127.0.0.0/8"));
	fd = make_socket(AF_INET, SOCK_STREAM, 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, bind(fd, &addr.sa, sizeof(addr.in)));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(0, close(fd));
}

/* A socket that was changed from IPv6 to IPv4 keeps to the same rules. */
TEST_F(net, addrform_gains_nothing)
{
	const int inet = AF_INET;
	const int fd = make_socket(AF_INET6, SOCK_DGRAM, 0);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, restrict_to_both(SEND_UDP, "127.0.0.1/32", ALL_IPV6));
	EXPECT_EQ(-EACCES, connect_to(fd, "::ffff:127.0.0.2", 1024));
	ASSERT_EQ(0, connect_to(fd, "::ffff:127.0.0.1", 1024));
	ASSERT_EQ(0, setsockopt(fd, SOL_IPV6, IPV6_ADDRFORM, &inet,
				sizeof(inet)));
	EXPECT_EQ(0, send_to(fd, "127.0.0.1", 1024, 0));
	EXPECT_EQ(-EACCES, send_to(fd, "127.0.0.2", 1024, 0));
	EXPECT_EQ(-EACCES, connect_to(fd, "127.0.0.2", 1024));
	EXPECT_EQ(-EINVAL, send_to(fd, "::1", 1024, 0));
	EXPECT_EQ(0, close(fd));
}

/* A wrong address is an error before it is a refusal. */
TEST_F(net, errors_come_before_refusals)
{
	union addr addr;
	int fd;

	ASSERT_EQ(0, restrict_extended(TCP | UDP));
	fd = make_socket(AF_INET6, SOCK_STREAM, 0);
	ASSERT_LE(0, fd);
	read_addr(&addr, "::1", 1024);
	EXPECT_EQ(-1, bind(fd, &addr.sa, SIN6_LEN_MIN - 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, bind(fd, &addr.sa, SIN6_LEN_MIN));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(-1, connect(fd, &addr.sa, SIN6_LEN_MIN - 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, connect(fd, &addr.sa, SIN6_LEN_MIN));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(0, close(fd));
}

/* Nobody judges a right that no layer handles. */
TEST_F(net, rights_that_are_not_handled_are_free)
{
	ASSERT_EQ(0, restrict_extended(BIND_UDP));
	EXPECT_EQ(0, tcp_listen("127.0.0.1", 1024));
	EXPECT_EQ(-ECONNREFUSED, tcp_connect("127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, udp_bind("127.0.0.1", 1024));
	EXPECT_EQ(0, new_socket(AF_UNIX, SOCK_STREAM, 0));
}

/* LISTEN_TCP */

FIXTURE(listening)
{
};

FIXTURE_VARIANT(listening)
{
	int protocol;
};

FIXTURE_VARIANT_ADD(listening, tcp)
{
	.protocol = 0,
};

FIXTURE_VARIANT_ADD(listening, mptcp)
{
	.protocol = IPPROTO_MPTCP,
};

FIXTURE_SETUP(listening)
{
	int ret;

	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ret = new_socket(AF_INET, SOCK_STREAM, variant->protocol);
	if (ret && variant->protocol)
		SKIP(return, "no MPTCP: %s", strerror(-ret));
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, own_network());
}

FIXTURE_TEARDOWN(listening)
{
}

TEST_F(listening, needs_a_rule_for_the_local_port)
{
	const int protocol = variant->protocol;

	ASSERT_EQ(0, restrict_to(LISTEN_TCP, LISTEN_TCP, 1024, 1025, NULL));
	EXPECT_EQ(-EACCES, new_listen(protocol, "127.0.0.1", 1023));
	EXPECT_EQ(0, new_listen(protocol, "127.0.0.1", 1024));
	EXPECT_EQ(0, new_listen(protocol, "127.0.0.1", 1025));
	EXPECT_EQ(-EACCES, new_listen(protocol, "127.0.0.1", 1026));
	EXPECT_EQ(0, new_listen(protocol, "0.0.0.0", 1024));
	EXPECT_EQ(0, new_listen(protocol, "::1", 1024));
	EXPECT_EQ(-EACCES, new_listen(protocol, "::1", 1026));
}

TEST_F(listening, needs_a_rule_for_the_local_address)
{
	const int protocol = variant->protocol;

	ASSERT_EQ(0, restrict_to(LISTEN_TCP, LISTEN_TCP, 1024, 1024,
				 "127.0.0.1/32"));
	EXPECT_EQ(0, new_listen(protocol, "127.0.0.1", 1024));
	EXPECT_EQ(0, new_listen(protocol, "::ffff:127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, new_listen(protocol, "127.0.0.2", 1024));
	EXPECT_EQ(-EACCES, new_listen(protocol, "0.0.0.0", 1024));
	EXPECT_EQ(-EACCES, new_listen(protocol, "::", 1024));
	EXPECT_EQ(-EACCES, new_listen(protocol, "::1", 1024));
	EXPECT_EQ(-EACCES, new_listen(protocol, "127.0.0.1", 1025));
}

TEST_F(listening, takes_wildcards_literally)
{
	const int protocol = variant->protocol;

	ASSERT_EQ(0, restrict_to_both(LISTEN_TCP, "0.0.0.0/32", "::/128"));
	EXPECT_EQ(0, new_listen(protocol, "0.0.0.0", 1024));
	EXPECT_EQ(0, new_listen(protocol, "::", 1024));
	EXPECT_EQ(-EACCES, new_listen(protocol, "127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, new_listen(protocol, "::1", 1024));
}

/* The kernel would choose a port for a socket that is not bound. */
TEST_F(listening, without_a_port_needs_a_rule_for_port_zero)
{
	int fd = make_socket(AF_INET, SOCK_STREAM, variant->protocol);
	int other = make_socket(AF_INET, SOCK_STREAM, variant->protocol);

	ASSERT_LE(0, fd);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, restrict_to(LISTEN_TCP, LISTEN_TCP, 0, 0, "0.0.0.0/32"));
	EXPECT_EQ(0, try_listen(fd));
	EXPECT_EQ(-EACCES, new_listen(variant->protocol, "0.0.0.0", 1024));
	ASSERT_EQ(0, restrict_to(LISTEN_TCP, LISTEN_TCP, 1, UINT16_MAX, NULL));
	EXPECT_EQ(-EACCES, try_listen(other));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, close(other));
}

TEST_F(listening, without_a_port_is_on_the_wildcard)
{
	const int fd = make_socket(AF_INET, SOCK_STREAM, variant->protocol);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, restrict_to(LISTEN_TCP, LISTEN_TCP, 0, UINT16_MAX,
				 "127.0.0.0/8"));
	EXPECT_EQ(-EACCES, try_listen(fd));
	EXPECT_EQ(0, close(fd));
}

/* The kernel's choice of bind(2) is a port as any other. */
TEST_F(listening, on_a_chosen_port_needs_a_rule_for_that_port)
{
	union addr addr;
	socklen_t len = sizeof(addr);
	const int fd = make_socket(AF_INET, SOCK_STREAM, variant->protocol);
	int rules;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, bind_to(fd, "127.0.0.1", 0));
	ASSERT_EQ(0, getsockname(fd, &addr.sa, &len));
	ASSERT_EQ(0, restrict_to(LISTEN_TCP, LISTEN_TCP, 0, UINT16_MAX, NULL));
	EXPECT_EQ(0, try_listen(fd));
	EXPECT_EQ(0, shutdown(fd, SHUT_RDWR));
	rules = extended(LISTEN_TCP, 0);
	ASSERT_LE(0, rules);
	ASSERT_EQ(0, add_net(rules, LISTEN_TCP, 0, 0, NULL));
	ASSERT_EQ(0, enforce(rules));
	EXPECT_EQ(-EACCES, new_listen(variant->protocol, "127.0.0.1", 0));
	EXPECT_EQ(0, close(fd));
}

/* This only changes the backlog. */
TEST_F(listening, again_is_allowed)
{
	const int fd = listen_on(AF_INET, variant->protocol, 1024);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, restrict_extended(TCP));
	EXPECT_EQ(0, listen(fd, 5));
	EXPECT_EQ(0, listen(fd, 0));
	EXPECT_EQ(0, close(fd));
}

TEST_F(listening, after_a_shutdown_is_asked)
{
	const int fd = listen_on(AF_INET, variant->protocol, 1024);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, restrict_extended(TCP));
	ASSERT_EQ(0, shutdown(fd, SHUT_RDWR));
	EXPECT_EQ(-EACCES, try_listen(fd));
	EXPECT_EQ(0, close(fd));
}

TEST_F(listening, is_an_error_of_the_stack_when_connected)
{
	const int listener = listen_on(AF_INET, variant->protocol, 1024);
	const int fd = make_socket(AF_INET, SOCK_STREAM, variant->protocol);

	ASSERT_LE(0, listener);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, connect_to(fd, "127.0.0.1", 1024));
	ASSERT_EQ(0, restrict_extended(TCP));
	EXPECT_EQ(-EINVAL, try_listen(fd));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, close(listener));
}

/* Returns a socket that was accepted on port 1024 and has lost its peer. */
static int accepted_and_disconnected(int protocol)
{
	const int listener = listen_on(AF_INET, protocol, 1024);
	const int client = make_socket(AF_INET, SOCK_STREAM, protocol);
	int fd, ret;

	if (listener < 0)
		return listener;
	if (client < 0)
		return client;
	ret = connect_to(client, "127.0.0.1", 1024);
	fd = try_accept(listener);
	if (ret || fd < 0)
		return ret ? ret : fd;
	ret = disconnect(fd);
	close(client);
	close(listener);
	return ret ? ret : fd;
}

TEST_F(listening, on_what_was_accepted_and_disconnected_is_asked)
{
	const int fd = accepted_and_disconnected(variant->protocol);

	ASSERT_LE(0, fd);
	/* It has no port any more, so the old one does not help. */
	ASSERT_EQ(0, restrict_to(TCP, TCP, 1, UINT16_MAX, NULL));
	EXPECT_EQ(-EACCES, try_listen(fd));
	EXPECT_EQ(0, close(fd));
}

TEST_F(listening, on_what_was_accepted_and_disconnected_has_port_zero)
{
	const int fd = accepted_and_disconnected(variant->protocol);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, restrict_to(TCP, TCP, 0, 0, NULL));
	EXPECT_EQ(0, try_listen(fd));
	EXPECT_EQ(0, close(fd));
}

TEST_F(listening, is_not_asked_for_a_connection)
{
	const int listener = listen_on(AF_INET, variant->protocol, 1024);

	ASSERT_LE(0, listener);
	ASSERT_EQ(0, restrict_extended(LISTEN_TCP));
	EXPECT_EQ(0, new_connect(SOCK_STREAM, variant->protocol, "127.0.0.1",
				 1024));
	EXPECT_EQ(0, close(listener));
}

TEST_F(net, udp_cannot_listen_and_is_not_asked)
{
	const int fd = make_socket(AF_INET, SOCK_DGRAM, 0);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, restrict_extended(TCP | UDP));
	EXPECT_EQ(-EOPNOTSUPP, try_listen(fd));
	EXPECT_EQ(0, close(fd));
}

TEST_F(net, other_sockets_may_listen)
{
	union addr addr = {
		.un.sun_family = AF_UNIX,
	};
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, restrict_extended(TCP | UDP));
	EXPECT_EQ(0, bind(fd, &addr.sa, sizeof(addr.un.sun_family)));
	EXPECT_EQ(0, try_listen(fd));
	EXPECT_EQ(0, close(fd));
}

/* SOCKET_CREATE */

TEST_F(net, kinds_of_sockets_are_told_apart)
{
	const int fd = extended(0, SOCKET_CREATE);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, add_socket(fd, AF_INET, SOCK_STREAM, 0));
	ASSERT_EQ(0, add_socket(fd, AF_INET6, SOCK_DGRAM, IPPROTO_UDP));
	ASSERT_EQ(0, enforce(fd));

	EXPECT_EQ(0, new_socket(AF_INET, SOCK_STREAM, 0));
	/* The flags are not part of the type. */
	EXPECT_EQ(0, new_socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	EXPECT_EQ(0, new_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	EXPECT_EQ(0, new_socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP));

	/* Protocol 0 is no other name of a protocol. */
	EXPECT_EQ(-EACCES, new_socket(AF_INET, SOCK_STREAM, IPPROTO_TCP));
	EXPECT_EQ(-EACCES, new_socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP));
	EXPECT_EQ(-EACCES, new_socket(AF_INET6, SOCK_DGRAM, 0));
	EXPECT_EQ(-EACCES, new_socket(AF_INET, SOCK_DGRAM, 0));
	EXPECT_EQ(-EACCES, new_socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
	EXPECT_EQ(-EACCES, new_socket(AF_INET, SOCK_RAW, IPPROTO_RAW));
	EXPECT_EQ(-EACCES, new_socket(AF_INET6, SOCK_STREAM, 0));
	EXPECT_EQ(-EACCES, new_socket(AF_UNIX, SOCK_STREAM, 0));
	EXPECT_EQ(-EACCES, new_socket(AF_NETLINK, SOCK_RAW, 0));
	EXPECT_EQ(-EACCES, new_socket(AF_PACKET, SOCK_RAW, 0));
}

TEST_F(net, minus_one_is_any_type_and_any_protocol)
{
	const int fd = extended(0, SOCKET_CREATE);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, add_socket(fd, AF_INET, SOCK_STREAM, -1));
	ASSERT_EQ(0, add_socket(fd, AF_UNIX, -1, -1));
	ASSERT_EQ(0, add_socket(fd, AF_INET6, -1, 0));
	ASSERT_EQ(0, enforce(fd));

	EXPECT_EQ(0, new_socket(AF_INET, SOCK_STREAM, 0));
	EXPECT_EQ(0, new_socket(AF_INET, SOCK_STREAM, IPPROTO_TCP));
	EXPECT_EQ(-EACCES, new_socket(AF_INET, SOCK_DGRAM, 0));
	EXPECT_EQ(0, new_socket(AF_UNIX, SOCK_STREAM, 0));
	EXPECT_EQ(0, new_socket(AF_UNIX, SOCK_DGRAM, 0));
	EXPECT_EQ(0, new_socket(AF_UNIX, SOCK_SEQPACKET, 0));
	EXPECT_EQ(0, new_socket(AF_INET6, SOCK_STREAM, 0));
	EXPECT_EQ(0, new_socket(AF_INET6, SOCK_DGRAM, 0));
	EXPECT_EQ(-EACCES, new_socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDP));
}

TEST_F(net, socketpairs_are_sockets)
{
	int fds[2], rules;

	rules = extended(0, SOCKET_CREATE);
	ASSERT_LE(0, rules);
	ASSERT_EQ(0, add_socket(rules, AF_UNIX, SOCK_STREAM, 0));
	ASSERT_EQ(0, enforce(rules));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	EXPECT_EQ(0, close(fds[0]));
	EXPECT_EQ(0, close(fds[1]));
	EXPECT_EQ(-1, socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds));
	EXPECT_EQ(EACCES, errno);
}

/* The network stack makes this out of it. */
TEST_F(net, an_obsolete_packet_socket_is_a_packet_socket)
{
	const int protocol = htons(ETH_P_ALL);
	const int inet = extended(0, SOCKET_CREATE);
	const int packet = extended(0, SOCKET_CREATE);
	pid_t child;

	ASSERT_LE(0, inet);
	ASSERT_LE(0, packet);
	ASSERT_EQ(0, new_socket(AF_INET, SOCK_PACKET, protocol));
	ASSERT_EQ(0, add_socket(inet, AF_INET, -1, -1));
	ASSERT_EQ(0, add_socket(packet, AF_PACKET, SOCK_PACKET, protocol));
	child = fork();
	ASSERT_LE(0, child);
	if (child == 0) {
		ASSERT_EQ(0, enforce(inet));
		EXPECT_EQ(-EACCES, new_socket(AF_INET, SOCK_PACKET, protocol));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, wait_child(child));
	ASSERT_EQ(0, enforce(packet));
	EXPECT_EQ(0, new_socket(AF_INET, SOCK_PACKET, protocol));
	EXPECT_EQ(-EACCES, new_socket(AF_INET, SOCK_STREAM, 0));
	EXPECT_EQ(0, close(inet));
}

TEST_F(net, accepted_sockets_are_not_asked_for)
{
	const int listener = listen_on(AF_INET, 0, 1024);
	const int client = make_socket(AF_INET, SOCK_STREAM, 0);
	int fd;

	ASSERT_LE(0, listener);
	ASSERT_LE(0, client);
	ASSERT_EQ(0, enforce(extended(0, SOCKET_CREATE)));
	ASSERT_EQ(0, connect_to(client, "127.0.0.1", 1024));
	fd = try_accept(listener);
	EXPECT_LE(0, fd);
	EXPECT_EQ(-EACCES, new_socket(AF_INET, SOCK_STREAM, 0));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, close(client));
	EXPECT_EQ(0, close(listener));
}

/* The kernel makes subflows for its own use. */
TEST_F(net, subflows_are_not_asked_for)
{
	/* Setting an option would make the first subflow, before the ruleset. */
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC,
			      IPPROTO_MPTCP);

	if (fd < 0)
		SKIP(return, "no MPTCP: %s", strerror(errno));
	ASSERT_EQ(0, enforce(extended(0, SOCKET_CREATE)));
	EXPECT_EQ(0, bind_to(fd, "127.0.0.1", 1024));
	EXPECT_EQ(0, try_listen(fd));
	EXPECT_EQ(0, close(fd));
}

TEST_F(net, every_layer_must_allow_a_socket)
{
	const int one = extended(0, SOCKET_CREATE);
	const int two = extended(0, SOCKET_CREATE);

	ASSERT_LE(0, one);
	ASSERT_LE(0, two);
	ASSERT_EQ(0, add_socket(one, AF_INET, -1, -1));
	ASSERT_EQ(0, add_socket(two, AF_INET, SOCK_STREAM, -1));
	ASSERT_EQ(0, add_socket(two, AF_UNIX, -1, -1));
	ASSERT_EQ(0, enforce(one));
	EXPECT_EQ(0, new_socket(AF_INET, SOCK_DGRAM, 0));
	ASSERT_EQ(0, enforce(two));
	EXPECT_EQ(0, new_socket(AF_INET, SOCK_STREAM, 0));
	EXPECT_EQ(-EACCES, new_socket(AF_INET, SOCK_DGRAM, 0));
	EXPECT_EQ(-EACCES, new_socket(AF_UNIX, SOCK_STREAM, 0));
}

/* MPTCP and SMC */

FIXTURE(mptcp)
{
};

FIXTURE_SETUP(mptcp)
{
	int ret;

	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ret = new_socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);
	if (ret)
		SKIP(return, "no MPTCP: %s", strerror(-ret));
	ASSERT_EQ(0, own_network());
}

FIXTURE_TEARDOWN(mptcp)
{
}

static int mptcp_bind(const char *address, __u16 port)
{
	return new_bind(SOCK_STREAM, IPPROTO_MPTCP, address, port);
}

static int mptcp_connect(const char *address, __u16 port)
{
	return new_connect(SOCK_STREAM, IPPROTO_MPTCP, address, port);
}

/* The subflow listens, and a bind that fails leaves it the device. */
TEST_F(mptcp, does_not_listen_by_address_after_a_bind_to_no_device)
{
	const int fd = make_socket(AF_INET6, SOCK_STREAM, IPPROTO_MPTCP);
	const int other = make_socket(AF_INET6, SOCK_STREAM, IPPROTO_MPTCP);

	ASSERT_LE(0, fd);
	ASSERT_LE(0, other);
	ASSERT_EQ(-ENODEV, bind_to(fd, "fe80::1%99", 1024));
	ASSERT_EQ(0, restrict_to(LISTEN_TCP, LISTEN_TCP, 0, 0, ALL_IPV6));
	EXPECT_EQ(-EACCES, try_listen(fd));
	EXPECT_EQ(0, try_listen(other));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, close(other));
}

/* A rule without an address is about any device. */
TEST_F(mptcp, listens_by_port_after_a_bind_to_no_device)
{
	const int fd = make_socket(AF_INET6, SOCK_STREAM, IPPROTO_MPTCP);

	ASSERT_LE(0, fd);
	ASSERT_EQ(-ENODEV, bind_to(fd, "fe80::1%99", 1024));
	ASSERT_EQ(0, restrict_to(LISTEN_TCP, LISTEN_TCP, 0, 0, NULL));
	EXPECT_EQ(0, try_listen(fd));
	EXPECT_EQ(0, close(fd));
}

TEST_F(mptcp, counts_as_tcp_in_an_extended_layer)
{
	ASSERT_EQ(0, restrict_to(TCP, TCP, 1024, 1024, NULL));
	EXPECT_EQ(0, mptcp_bind("127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, mptcp_bind("127.0.0.1", 1025));
	EXPECT_EQ(-EACCES, mptcp_bind("::1", 1025));
	EXPECT_EQ(-ECONNREFUSED, mptcp_connect("127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, mptcp_connect("127.0.0.1", 1025));
	EXPECT_EQ(-EACCES, mptcp_connect("::1", 1025));
}

TEST_F(mptcp, is_judged_by_address)
{
	ASSERT_EQ(0, restrict_to(TCP, TCP, 1024, 1024, "127.0.0.1/32"));
	EXPECT_EQ(0, mptcp_bind("127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, mptcp_bind("127.0.0.2", 1024));
	EXPECT_EQ(-EACCES, mptcp_bind("0.0.0.0", 1024));
	EXPECT_EQ(-ECONNREFUSED, mptcp_connect("127.0.0.1", 1024));
	EXPECT_EQ(-ECONNREFUSED, mptcp_connect("::ffff:127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, mptcp_connect("127.0.0.2", 1024));
	EXPECT_EQ(-EACCES, mptcp_connect("0.0.0.0", 1024));
	EXPECT_EQ(-EACCES, mptcp_connect("::1", 1024));
}

TEST_F(mptcp, is_ignored_by_plain_layers)
{
	ASSERT_EQ(0, restrict_all(ALL_NET));
	EXPECT_EQ(0, mptcp_bind("127.0.0.1", 1025));
	EXPECT_EQ(-ECONNREFUSED, mptcp_connect("127.0.0.1", 1025));

	/* A layer beside them is asked, and they are not. */
	ASSERT_EQ(0, restrict_to(TCP, TCP, 1024, 1024, NULL));
	EXPECT_EQ(0, mptcp_bind("127.0.0.1", 1024));
	EXPECT_EQ(-ECONNREFUSED, mptcp_connect("127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, mptcp_bind("127.0.0.1", 1025));
	EXPECT_EQ(-EACCES, mptcp_connect("127.0.0.1", 1025));
	EXPECT_EQ(-EACCES, tcp_bind("127.0.0.1", 1024));
}

/* SMC has two names; this is SMCPROTO_SMC6 of net/smc.h. */
#define SMC_OVER_IPV6 1

FIXTURE(smc)
{
	int fd;
};

FIXTURE_VARIANT(smc)
{
	int family, protocol;
};

FIXTURE_VARIANT_ADD(smc, family)
{
	.family = AF_SMC,
};

FIXTURE_VARIANT_ADD(smc, protocol)
{
	.family = AF_INET,
	.protocol = IPPROTO_SMC,
};

FIXTURE_SETUP(smc)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, own_network());
	self->fd = socket(variant->family, SOCK_STREAM | SOCK_CLOEXEC,
			  variant->protocol);
	if (self->fd < 0)
		SKIP(return, "no SMC: %s", strerror(errno));
}

FIXTURE_TEARDOWN(smc)
{
	EXPECT_EQ(0, close(self->fd));
}

TEST_F(smc, is_refused_whatever_the_rules)
{
	ASSERT_EQ(0, bind_to(self->fd, "127.0.0.1", 1024));
	ASSERT_EQ(0, restrict_to(TCP, TCP, 0, UINT16_MAX, NULL));
	EXPECT_EQ(-EACCES, try_listen(self->fd));
	EXPECT_EQ(-EACCES, bind_to(self->fd, "127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, connect_to(self->fd, "127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, send_to(self->fd, "127.0.0.1", 1024, MSG_FASTOPEN));
}

TEST_F(smc, is_ignored_by_layers_without_the_right)
{
	ASSERT_EQ(0, restrict_to(CONNECT_TCP, CONNECT_TCP, 0, UINT16_MAX,
				 NULL));
	ASSERT_EQ(0, restrict_extended(UDP));
	EXPECT_EQ(0, bind_to(self->fd, "127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, connect_to(self->fd, "127.0.0.1", 1024));
	EXPECT_EQ(0, try_listen(self->fd));
}

TEST_F(smc, is_ignored_by_plain_layers)
{
	ASSERT_EQ(0, restrict_all(ALL_NET));
	EXPECT_EQ(0, bind_to(self->fd, "127.0.0.1", 1024));
	EXPECT_EQ(0, try_listen(self->fd));
}

/* The peer does not speak SMC, so the socket becomes one of TCP. */
TEST_F(smc, becomes_tcp_and_must_ask_to_listen)
{
	const int listener = listen_on(AF_INET, 0, 1024);

	ASSERT_LE(0, listener);
	ASSERT_EQ(0, connect_to(self->fd, "127.0.0.1", 1024));
	ASSERT_EQ(0, restrict_to(TCP, TCP, 1, UINT16_MAX, NULL));
	ASSERT_EQ(0, disconnect(self->fd));
	EXPECT_EQ(-EACCES, try_listen(self->fd));
	EXPECT_EQ(0, close(listener));
}

TEST_F(smc, becomes_tcp_and_obeys_its_rules)
{
	const int listener = listen_on(AF_INET, 0, 1024);

	ASSERT_LE(0, listener);
	ASSERT_EQ(0, connect_to(self->fd, "127.0.0.1", 1024));
	ASSERT_EQ(0, restrict_to(TCP, CONNECT_TCP, 1024, 1024, "127.0.0.1/32"));
	ASSERT_EQ(0, disconnect(self->fd));
	EXPECT_EQ(-EACCES, connect_to(self->fd, "127.0.0.2", 1024));
	EXPECT_EQ(0, connect_to(self->fd, "127.0.0.1", 1024));
	EXPECT_EQ(0, close(listener));
}

TEST_F(smc, accepts_tcp_that_must_ask_to_listen)
{
	const int client = make_socket(AF_INET, SOCK_STREAM, 0);
	int fd;

	ASSERT_LE(0, client);
	ASSERT_EQ(0, bind_to(self->fd, "127.0.0.1", 1024));
	ASSERT_EQ(0, try_listen(self->fd));
	ASSERT_EQ(0, connect_to(client, "127.0.0.1", 1024));
	fd = try_accept(self->fd);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, restrict_to(TCP, TCP, 1, UINT16_MAX, NULL));
	ASSERT_EQ(0, disconnect(fd));
	EXPECT_EQ(-EACCES, try_listen(fd));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, close(client));
}

/* The options of an SMC socket are those of its TCP socket. */
TEST_F(smc, sets_no_way_of_its_own)
{
	const int off = 0;

	ASSERT_EQ(0, restrict_to(CONNECT_TCP, CONNECT_TCP, 1024, 1024, NULL));
	EXPECT_ALLOWED(true, set_option(self->fd, SOL_IP, IP_UNICAST_IF, &off,
					sizeof(off)));
	ASSERT_EQ(0, restrict_to(CONNECT_TCP, CONNECT_TCP, 1024, 1024,
				 "127.0.0.1/32"));
	EXPECT_EQ(-EACCES, set_option(self->fd, SOL_IP, IP_UNICAST_IF, &off,
				      sizeof(off)));
	EXPECT_EQ(-EACCES, set_option(self->fd, SOL_SOCKET, SO_BINDTODEVICE,
				      "lo", 3));
	EXPECT_ALLOWED(true, set_option(self->fd, SOL_SOCKET, SO_KEEPALIVE,
					&off, sizeof(off)));
}

TEST_F(smc, names_no_device)
{
	const int fd = make_socket(AF_SMC, SOCK_STREAM, SMC_OVER_IPV6);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, restrict_to(LISTEN_TCP, LISTEN_TCP, 1024, 1024, NULL));
	EXPECT_ALLOWED(true, bind_to(fd, "fe80::1", 1024));
	ASSERT_EQ(0, restrict_to(LISTEN_TCP, LISTEN_TCP, 1024, 1024,
				 "127.0.0.1/32"));
	EXPECT_EQ(-EACCES, bind_to(fd, "fe80::1", 1024));
	EXPECT_EQ(-EACCES, connect_to(fd, "fe80::1", 1024));
	EXPECT_ALLOWED(true, bind_to(fd, "::1", 1024));
	EXPECT_EQ(0, close(fd));
}

/* TCP Fast Open */

FIXTURE(fast_open)
{
};

FIXTURE_VARIANT(fast_open)
{
	int protocol;
};

FIXTURE_VARIANT_ADD(fast_open, tcp)
{
	.protocol = 0,
};

FIXTURE_VARIANT_ADD(fast_open, mptcp)
{
	.protocol = IPPROTO_MPTCP,
};

FIXTURE_SETUP(fast_open)
{
	int ret;

	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ret = new_socket(AF_INET, SOCK_STREAM, variant->protocol);
	if (ret && variant->protocol)
		SKIP(return, "no MPTCP: %s", strerror(-ret));
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, own_network());
}

FIXTURE_TEARDOWN(fast_open)
{
}

static int new_fast_open(int protocol, const char *address, __u16 port)
{
	const int fd = make_socket(family_of(address), SOCK_STREAM, protocol);
	int ret;

	if (fd < 0)
		return fd;
	ret = send_to(fd, address, port, MSG_FASTOPEN);
	close(fd);
	return ret;
}

TEST_F(fast_open, to_an_address_is_a_connect)
{
	const int listener = listen_on(AF_INET, variant->protocol, 1024);
	const int protocol = variant->protocol;

	ASSERT_LE(0, listener);
	ASSERT_EQ(0, new_fast_open(protocol, "127.0.0.1", 1024));
	ASSERT_EQ(0, restrict_to(CONNECT_TCP, CONNECT_TCP, 1024, 1024,
				 "127.0.0.1/32"));
	EXPECT_EQ(0, new_fast_open(protocol, "127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, new_fast_open(protocol, "127.0.0.1", 1025));
	EXPECT_EQ(-EACCES, new_fast_open(protocol, "127.0.0.2", 1024));
	EXPECT_EQ(-EACCES, new_fast_open(protocol, "0.0.0.0", 1024));
	EXPECT_EQ(-EACCES, new_fast_open(protocol, "::1", 1024));
	EXPECT_EQ(0, close(listener));
}

TEST_F(net, fast_open_by_mptcp_is_ignored_by_plain_layers)
{
	const int listener = listen_on(AF_INET, IPPROTO_MPTCP, 1024);

	if (listener < 0)
		SKIP(return, "no MPTCP: %s", strerror(-listener));
	ASSERT_EQ(0, restrict_all(ALL_NET));
	EXPECT_EQ(0, new_fast_open(IPPROTO_MPTCP, "127.0.0.1", 1024));
	EXPECT_EQ(0, close(listener));
}

/* With this option the first send connects, to where connect(2) said. */
TEST_F(net, a_connect_that_waits_for_data_is_asked_at_once)
{
	static const char setting[] = "/proc/sys/net/ipv4/tcp_fastopen";
	const int right = make_socket(AF_INET, SOCK_STREAM, 0);
	const int wrong = make_socket(AF_INET, SOCK_STREAM, 0);
	const int fd = make_socket(AF_INET, SOCK_STREAM, 0);
	const int one = 1;
	union addr addr, peer;
	socklen_t len = sizeof(peer);

	ASSERT_LE(0, right);
	ASSERT_LE(0, wrong);
	ASSERT_LE(0, fd);
	/* No cookie is needed, so connect(2) sends nothing. */
	ASSERT_EQ(0, write_text(setting, "7"));
	ASSERT_EQ(0, bind_to(right, "127.0.0.1", 1024));
	ASSERT_EQ(0, bind_to(wrong, "127.0.0.2", 1024));
	ASSERT_EQ(0, try_listen(right));
	ASSERT_EQ(0, try_listen(wrong));
	ASSERT_EQ(0, set_option(fd, SOL_TCP, TCP_FASTOPEN_CONNECT, &one,
				sizeof(one)));
	ASSERT_EQ(0, restrict_to(CONNECT_TCP, CONNECT_TCP, 1024, 1024,
				 "127.0.0.1/32"));
	EXPECT_EQ(-EACCES, connect_to(fd, "127.0.0.2", 1024));
	EXPECT_EQ(0, connect_to(fd, "127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, connect_to(fd, "127.0.0.2", 1024));
	EXPECT_EQ(-EACCES, send_to(fd, "127.0.0.2", 1024, MSG_FASTOPEN));
	EXPECT_EQ(1, send(fd, "x", 1, MSG_NOSIGNAL));
	EXPECT_EQ(0, getpeername(fd, &peer.sa, &len));
	read_addr(&addr, "127.0.0.1", 1024);
	EXPECT_EQ(addr.in.sin_addr.s_addr, peer.in.sin_addr.s_addr);
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, close(right));
	EXPECT_EQ(0, close(wrong));
}

/* Without the flag, an address says nothing to TCP. */
TEST_F(net, a_send_by_tcp_is_not_a_connect)
{
	const int fd = make_socket(AF_INET, SOCK_STREAM, 0);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, restrict_extended(TCP));
	EXPECT_EQ(-EPIPE, send_to(fd, "127.0.0.1", 1024, 0));
	EXPECT_EQ(0, close(fd));
}

/* Sockets that choose their own way: options */

static const struct option {
	int level, number;
	const char *name;
} own_way[] = {
	{ SOL_SOCKET, SO_DONTROUTE, "SO_DONTROUTE" },
	{ SOL_SOCKET, SO_BINDTODEVICE, "SO_BINDTODEVICE" },
	{ SOL_SOCKET, SO_BINDTOIFINDEX, "SO_BINDTOIFINDEX" },
	{ SOL_IP, IP_OPTIONS, "IP_OPTIONS" },
	{ SOL_IP, IP_FREEBIND, "IP_FREEBIND" },
	{ SOL_IP, IP_TRANSPARENT, "IP_TRANSPARENT" },
	{ SOL_IP, IP_UNICAST_IF, "IP_UNICAST_IF" },
	{ SOL_IPV6, IPV6_RTHDR, "IPV6_RTHDR" },
	{ SOL_IPV6, IPV6_2292PKTOPTIONS, "IPV6_2292PKTOPTIONS" },
	{ SOL_IPV6, IPV6_FLOWLABEL_MGR, "IPV6_FLOWLABEL_MGR" },
	{ SOL_IPV6, IPV6_UNICAST_IF, "IPV6_UNICAST_IF" },
	{ SOL_IPV6, IPV6_PKTINFO, "IPV6_PKTINFO" },
	{ SOL_IPV6, IPV6_FREEBIND, "IPV6_FREEBIND" },
	{ SOL_IPV6, IPV6_TRANSPARENT, "IPV6_TRANSPARENT" },
};

static const struct option joins[] = {
	{ SOL_IP, IP_ADD_MEMBERSHIP, "IP_ADD_MEMBERSHIP" },
	{ SOL_IP, IP_ADD_SOURCE_MEMBERSHIP, "IP_ADD_SOURCE_MEMBERSHIP" },
	{ SOL_IP, IP_BLOCK_SOURCE, "IP_BLOCK_SOURCE" },
	{ SOL_IP, IP_UNBLOCK_SOURCE, "IP_UNBLOCK_SOURCE" },
	{ SOL_IP, IP_MSFILTER, "IP_MSFILTER" },
	{ SOL_IP, MCAST_JOIN_GROUP, "MCAST_JOIN_GROUP" },
	{ SOL_IP, MCAST_JOIN_SOURCE_GROUP, "MCAST_JOIN_SOURCE_GROUP" },
	{ SOL_IP, MCAST_BLOCK_SOURCE, "MCAST_BLOCK_SOURCE" },
	{ SOL_IP, MCAST_UNBLOCK_SOURCE, "MCAST_UNBLOCK_SOURCE" },
	{ SOL_IP, MCAST_MSFILTER, "MCAST_MSFILTER" },
	{ SOL_IPV6, IPV6_ADD_MEMBERSHIP, "IPV6_ADD_MEMBERSHIP" },
	{ SOL_IPV6, IPV6_JOIN_ANYCAST, "IPV6_JOIN_ANYCAST" },
	{ SOL_IPV6, MCAST_JOIN_GROUP, "MCAST_JOIN_GROUP of IPv6" },
	{ SOL_IPV6, MCAST_JOIN_SOURCE_GROUP,
	  "MCAST_JOIN_SOURCE_GROUP of IPv6" },
	{ SOL_IPV6, MCAST_BLOCK_SOURCE, "MCAST_BLOCK_SOURCE of IPv6" },
	{ SOL_IPV6, MCAST_UNBLOCK_SOURCE, "MCAST_UNBLOCK_SOURCE of IPv6" },
	{ SOL_IPV6, MCAST_MSFILTER, "MCAST_MSFILTER of IPv6" },
};

/* Options that have nothing to do with the way, some with the same numbers. */
static const struct option harmless[] = {
	{ SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE" },
	{ SOL_SOCKET, SO_RCVLOWAT, "SO_RCVLOWAT" },
	{ SOL_IP, IP_TTL, "IP_TTL" },
	{ SOL_TCP, TCP_KEEPIDLE, "TCP_KEEPIDLE" },
	{ SOL_TCP, TCP_SYNCNT, "TCP_SYNCNT" },
	{ SOL_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY" },
};

/* Sets an option to @size bytes of zeros. */
static int set_zeros(int fd, const struct option *option, socklen_t size)
{
	const char zeros[64] = {};

	return setsockopt(fd, option->level, option->number, zeros, size) ?
		       -errno : 0;
}

FIXTURE(options)
{
	int fd;
};

FIXTURE_VARIANT(options)
{
	int family, type, protocol;
	/* The rights of this protocol and of the other one. */
	__u64 access, other;
};

FIXTURE_VARIANT_ADD(options, tcp_on_ipv4)
{
	.family = AF_INET,
	.type = SOCK_STREAM,
	.access = TCP,
	.other = UDP,
};

FIXTURE_VARIANT_ADD(options, tcp_on_ipv6)
{
	.family = AF_INET6,
	.type = SOCK_STREAM,
	.access = TCP,
	.other = UDP,
};

FIXTURE_VARIANT_ADD(options, udp_on_ipv4)
{
	.family = AF_INET,
	.type = SOCK_DGRAM,
	.access = UDP,
	.other = TCP,
};

FIXTURE_VARIANT_ADD(options, udp_on_ipv6)
{
	.family = AF_INET6,
	.type = SOCK_DGRAM,
	.access = UDP,
	.other = TCP,
};

FIXTURE_VARIANT_ADD(options, mptcp_on_ipv4)
{
	.family = AF_INET,
	.type = SOCK_STREAM,
	.protocol = IPPROTO_MPTCP,
	.access = TCP,
	.other = UDP,
};

FIXTURE_VARIANT_ADD(options, mptcp_on_ipv6)
{
	.family = AF_INET6,
	.type = SOCK_STREAM,
	.protocol = IPPROTO_MPTCP,
	.access = TCP,
	.other = UDP,
};

FIXTURE_SETUP(options)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, own_network());
	self->fd = make_socket(variant->family, variant->type,
			       variant->protocol);
	if (self->fd < 0 && variant->protocol == IPPROTO_MPTCP)
		SKIP(return, "no MPTCP: %s", strerror(-self->fd));
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(options)
{
	EXPECT_EQ(0, close(self->fd));
}

TEST_F(options, that_choose_a_way_are_refused_beside_an_address)
{
	static const socklen_t sizes[] = { 0, 4, 64 };
	size_t i, j;

	/* Any address of any port is enough. */
	ASSERT_EQ(0, restrict_to(variant->access,
				 variant->access & (CONNECT_TCP | SEND_UDP), 1,
				 1, "192.0.2.1/32"));
	for (i = 0; i < ARRAY_SIZE(own_way); i++) {
		for (j = 0; j < ARRAY_SIZE(sizes); j++) {
			EXPECT_EQ(-EACCES, set_zeros(self->fd, &own_way[i],
						     sizes[j]))
				TH_LOG("%s, %u bytes", own_way[i].name,
				       sizes[j]);
		}
	}
	for (i = 0; i < ARRAY_SIZE(harmless); i++) {
		EXPECT_NE(-EACCES, set_zeros(self->fd, &harmless[i], 4))
			TH_LOG("%s", harmless[i].name);
	}
}

TEST_F(options, that_join_a_group_are_refused_on_tcp)
{
	size_t i;

	ASSERT_EQ(0, restrict_to(variant->access,
				 variant->access & (BIND_TCP | BIND_UDP), 1, 1,
				 ALL_IPV6));
	for (i = 0; i < ARRAY_SIZE(joins); i++) {
		const int ret = set_zeros(self->fd, &joins[i], 64);

		EXPECT_EQ(variant->type == SOCK_STREAM, ret == -EACCES)
			TH_LOG("%s: %d", joins[i].name, ret);
	}
}

/* To listen is a right of TCP as any other. */
TEST_F(options, are_refused_beside_an_address_to_listen_on)
{
	const bool is_tcp = variant->type == SOCK_STREAM;
	size_t i;

	ASSERT_EQ(0, restrict_to(LISTEN_TCP, LISTEN_TCP, 1, 1, ALL_IPV4));
	for (i = 0; i < ARRAY_SIZE(own_way); i++) {
		const int ret = set_zeros(self->fd, &own_way[i], 4);

		EXPECT_EQ(is_tcp, ret == -EACCES)
			TH_LOG("%s: %d", own_way[i].name, ret);
	}
}

/* Any layer is enough. */
TEST_F(options, are_refused_by_an_older_layer)
{
	size_t i;

	ASSERT_EQ(0, restrict_to(variant->access, variant->access, 1, 1,
				 ALL_IPV4));
	ASSERT_EQ(0, restrict_to(variant->access, variant->access, 0,
				 UINT16_MAX, NULL));
	ASSERT_EQ(0, restrict_all(BIND_TCP));
	for (i = 0; i < ARRAY_SIZE(own_way); i++) {
		EXPECT_EQ(-EACCES, set_zeros(self->fd, &own_way[i], 4))
			TH_LOG("%s", own_way[i].name);
	}
}

TEST_F(options, are_free_without_an_address)
{
	size_t i;

	ASSERT_EQ(0, restrict_to(TCP | UDP, TCP | UDP, 1, 1, NULL));
	for (i = 0; i < ARRAY_SIZE(own_way); i++) {
		EXPECT_NE(-EACCES, set_zeros(self->fd, &own_way[i], 4))
			TH_LOG("%s", own_way[i].name);
	}
	for (i = 0; i < ARRAY_SIZE(joins); i++) {
		EXPECT_NE(-EACCES, set_zeros(self->fd, &joins[i], 64))
			TH_LOG("%s", joins[i].name);
	}
}

TEST_F(options, are_free_beside_an_address_for_the_other_protocol)
{
	size_t i;

	ASSERT_EQ(0, restrict_to(TCP | UDP, variant->other, 0, UINT16_MAX,
				 ALL_IPV4));
	for (i = 0; i < ARRAY_SIZE(own_way); i++) {
		EXPECT_NE(-EACCES, set_zeros(self->fd, &own_way[i], 4))
			TH_LOG("%s", own_way[i].name);
	}
	for (i = 0; i < ARRAY_SIZE(joins); i++) {
		EXPECT_NE(-EACCES, set_zeros(self->fd, &joins[i], 64))
			TH_LOG("%s", joins[i].name);
	}
}

TEST_F(net, options_of_other_sockets_are_free)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t i;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, restrict_to_both(TCP | UDP, ALL_IPV4, ALL_IPV6));
	for (i = 0; i < ARRAY_SIZE(own_way); i++) {
		EXPECT_NE(-EACCES, set_zeros(fd, &own_way[i], 4))
			TH_LOG("%s", own_way[i].name);
	}
	EXPECT_EQ(0, close(fd));
}

/* Sockets that choose their own way: states */

/* The states of a socket that has a way of its own, made with @device. */
enum state {
	NO_STATE,
	BOUND_TO_LOOPBACK,
	BOUND_TO_DEVICE,
	BOUND_TO_INDEX,
	UNICAST_INTERFACE,
	IPV4_OPTIONS,
	FREE_TO_BIND,
	TRANSPARENT,
	UNROUTED,
	UNICAST_INTERFACE_6,
	FREE_TO_BIND_6,
	STICKY_PKTINFO,
	STICKY_PKTINFO_OF_LOOPBACK,
	ROUTING_HEADER,
	FLOW_LABEL,
};

static int enter_state(int fd, enum state state, int device)
{
	const int one = 1;
	const int index = htonl(device);
	/* No operation, three times, and the end of the list. */
	const unsigned char options[4] = { 1, 1, 1, 0 };
	const struct in6_pktinfo sticky = {
		.ipi6_ifindex = state == STICKY_PKTINFO ? device : 1,
	};
	/* A segment routing header with one segment, which is reached. */
	const unsigned char header[24] = { 0, 2, 4, 0, [8] = 0xfd, [23] = 1 };
	struct in6_flowlabel_req label = {
		.flr_dst = in6addr_loopback,
		.flr_action = IPV6_FL_A_GET,
		.flr_share = IPV6_FL_S_EXCL,
		.flr_flags = IPV6_FL_F_CREATE,
	};

	switch (state) {
	case NO_STATE:
		return 0;
	case BOUND_TO_LOOPBACK:
		return set_option(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3);
	case BOUND_TO_DEVICE:
		return set_option(fd, SOL_SOCKET, SO_BINDTODEVICE, DEVICE,
				  sizeof(DEVICE));
	case BOUND_TO_INDEX:
		return set_option(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &device,
				  sizeof(device));
	case UNICAST_INTERFACE:
		return set_option(fd, SOL_IP, IP_UNICAST_IF, &index,
				  sizeof(index));
	case IPV4_OPTIONS:
		return set_option(fd, SOL_IP, IP_OPTIONS, options,
				  sizeof(options));
	case FREE_TO_BIND:
		return set_option(fd, SOL_IP, IP_FREEBIND, &one, sizeof(one));
	case TRANSPARENT:
		return set_option(fd, SOL_IP, IP_TRANSPARENT, &one,
				  sizeof(one));
	case UNROUTED:
		return set_option(fd, SOL_SOCKET, SO_DONTROUTE, &one,
				  sizeof(one));
	case UNICAST_INTERFACE_6:
		return set_option(fd, SOL_IPV6, IPV6_UNICAST_IF, &index,
				  sizeof(index));
	case FREE_TO_BIND_6:
		return set_option(fd, SOL_IPV6, IPV6_FREEBIND, &one,
				  sizeof(one));
	case STICKY_PKTINFO:
	case STICKY_PKTINFO_OF_LOOPBACK:
		return set_option(fd, SOL_IPV6, IPV6_PKTINFO, &sticky,
				  sizeof(sticky));
	case ROUTING_HEADER:
		return set_option(fd, SOL_IPV6, IPV6_RTHDR, header,
				  sizeof(header));
	case FLOW_LABEL:
		return set_option(fd, SOL_IPV6, IPV6_FLOWLABEL_MGR, &label,
				  sizeof(label));
	}
	return -EDOM;
}

FIXTURE(states)
{
	int tcp, udp;
};

FIXTURE_VARIANT(states)
{
	enum state state;
	const char *address;
	/* Whether an address may mean another host than its author meant. */
	bool is_own_way;
};

FIXTURE_VARIANT_ADD(states, none)
{
	NO_STATE, "127.0.0.1", false
};

FIXTURE_VARIANT_ADD(states, none_6)
{
	NO_STATE, "::1", false
};

FIXTURE_VARIANT_ADD(states, loopback)
{
	BOUND_TO_LOOPBACK, "127.0.0.1", false
};

FIXTURE_VARIANT_ADD(states, loopback_6)
{
	BOUND_TO_LOOPBACK, "::1", false
};

FIXTURE_VARIANT_ADD(states, device)
{
	BOUND_TO_DEVICE, "127.0.0.1", true
};

FIXTURE_VARIANT_ADD(states, device_6)
{
	BOUND_TO_DEVICE, "::1", true
};

FIXTURE_VARIANT_ADD(states, device_of_mapped)
{
	BOUND_TO_DEVICE, "::ffff:127.0.0.1", true
};

FIXTURE_VARIANT_ADD(states, index)
{
	BOUND_TO_INDEX, "127.0.0.1", true
};

FIXTURE_VARIANT_ADD(states, unicast_interface)
{
	UNICAST_INTERFACE, "127.0.0.1", true
};

FIXTURE_VARIANT_ADD(states, unicast_interface_of_mapped)
{
	UNICAST_INTERFACE, "::ffff:127.0.0.1", true
};

FIXTURE_VARIANT_ADD(states, unicast_interface_6)
{
	UNICAST_INTERFACE_6, "::1", true
};

FIXTURE_VARIANT_ADD(states, options)
{
	IPV4_OPTIONS, "127.0.0.1", true
};

FIXTURE_VARIANT_ADD(states, freebind)
{
	FREE_TO_BIND, "127.0.0.1", true
};

FIXTURE_VARIANT_ADD(states, freebind_6)
{
	FREE_TO_BIND_6, "::1", true
};

FIXTURE_VARIANT_ADD(states, transparent)
{
	TRANSPARENT, "127.0.0.1", true
};

FIXTURE_VARIANT_ADD(states, unrouted)
{
	UNROUTED, "127.0.0.1", true
};

FIXTURE_VARIANT_ADD(states, unrouted_6)
{
	UNROUTED, "::1", true
};

FIXTURE_VARIANT_ADD(states, sticky_pktinfo)
{
	STICKY_PKTINFO, "::1", true
};

FIXTURE_VARIANT_ADD(states, sticky_pktinfo_of_loopback)
{
	STICKY_PKTINFO_OF_LOOPBACK, "::1", false
};

FIXTURE_VARIANT_ADD(states, routing_header)
{
	ROUTING_HEADER, "::1", true
};

FIXTURE_VARIANT_ADD(states, flow_label)
{
	FLOW_LABEL, "::1", true
};

FIXTURE_SETUP(states)
{
	const int family = family_of(variant->address);
	int device;

	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, own_network());
	device = make_device();
	ASSERT_LT(1, device);
	self->tcp = make_socket(family, SOCK_STREAM, 0);
	self->udp = make_socket(family, SOCK_DGRAM, 0);
	ASSERT_LE(0, self->tcp);
	ASSERT_LE(0, self->udp);
	ASSERT_EQ(0, enter_state(self->tcp, variant->state, device));
	ASSERT_EQ(0, enter_state(self->udp, variant->state, device));
}

FIXTURE_TEARDOWN(states)
{
	EXPECT_EQ(0, close(self->tcp));
	EXPECT_EQ(0, close(self->udp));
}

TEST_F(states, of_its_own_way_match_no_address)
{
	const char *const address = variant->address;
	const bool allowed = !variant->is_own_way;

	ASSERT_EQ(0, restrict_to_both(TCP | UDP, ALL_IPV4, ALL_IPV6));
	EXPECT_ALLOWED(allowed, bind_to(self->tcp, address, 1024));
	EXPECT_ALLOWED(allowed, bind_to(self->udp, address, 1024));
	EXPECT_ALLOWED(allowed, connect_to(self->tcp, address, 1025));
	EXPECT_ALLOWED(allowed, send_to(self->udp, address, 1025, 0));
	EXPECT_ALLOWED(allowed, connect_to(self->udp, address, 1025));

	/* The address itself is allowed. */
	EXPECT_EQ(0, tcp_bind(address, 1024 + 1));
}

TEST_F(states, of_its_own_way_match_a_port)
{
	const char *const address = variant->address;

	ASSERT_EQ(0, restrict_to(TCP | UDP, TCP | UDP, 1024, 1025, NULL));
	ASSERT_EQ(0, restrict_to(TCP | UDP, TCP | UDP, 0, UINT16_MAX, NULL));
	EXPECT_ALLOWED(true, bind_to(self->tcp, address, 1024));
	EXPECT_ALLOWED(true, connect_to(self->tcp, address, 1025));
	EXPECT_ALLOWED(true, bind_to(self->udp, address, 1024));
	EXPECT_ALLOWED(false, bind_to(self->udp, address, 1026));
	EXPECT_ALLOWED(false, connect_to(self->tcp, address, 1026));
}

TEST_F(states, of_its_own_way_match_no_address_to_listen)
{
	const char *const address = variant->address;
	const int ret = bind_to(self->tcp, address, 1024);

	/* A device that does not have the address. */
	if (ret)
		ASSERT_EQ(-EADDRNOTAVAIL, ret);
	ASSERT_EQ(0, restrict_to_both(TCP | UDP, ALL_IPV4, ALL_IPV6));
	EXPECT_ALLOWED(!variant->is_own_way, try_listen(self->tcp));
}

TEST_F(net, mptcp_on_a_device_matches_no_address)
{
	const int fd = make_socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP);

	if (fd < 0)
		SKIP(return, "no MPTCP: %s", strerror(-fd));
	ASSERT_LT(1, make_device());
	ASSERT_EQ(0, enter_state(fd, BOUND_TO_DEVICE, 0));
	ASSERT_EQ(0, restrict_to_both(TCP, ALL_IPV4, ALL_IPV6));
	EXPECT_EQ(-EACCES, bind_to(fd, "127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, connect_to(fd, "127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, try_listen(fd));
	EXPECT_EQ(0, close(fd));
}

/* For such a destination, the device is part of the address. */
TEST_F(net, a_device_does_not_count_for_an_address_of_a_link)
{
	const int tcp = make_socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
	const int udp = make_socket(AF_INET, SOCK_DGRAM, 0);
	const int one = 1;

	ASSERT_LE(0, tcp);
	ASSERT_LE(0, udp);
	ASSERT_EQ(0, setsockopt(udp, SOL_SOCKET, SO_BROADCAST, &one,
				sizeof(one)));
	ASSERT_LT(1, make_device());
	ASSERT_EQ(0, enter_state(tcp, BOUND_TO_DEVICE, 0));
	ASSERT_EQ(0, enter_state(udp, BOUND_TO_DEVICE, 0));
	ASSERT_EQ(0, restrict_to_both(CONNECT_TCP | SEND_UDP, ALL_IPV4,
				      ALL_IPV6));
	EXPECT_ALLOWED(true, connect_to(tcp, "fe80::1", 1024));
	EXPECT_ALLOWED(true, send_to(udp, "224.0.0.1", 1024, 0));
	/* IPv4 has no such addresses besides. */
	EXPECT_ALLOWED(false, send_to(udp, "169.254.1.1", 1024, 0));
	EXPECT_ALLOWED(false, send_to(udp, "255.255.255.255", 1024, 0));
	EXPECT_EQ(0, close(tcp));
	EXPECT_EQ(0, close(udp));
}

/* Control messages */

/* Makes a message with one control message, if @size is not 0. */
static void write_message(struct msghdr *msg, union addr *addr, socklen_t len,
			  void *control, int level, int type, const void *data,
			  size_t size)
{
	static struct iovec iov = {
		.iov_base = "x",
		.iov_len = 1,
	};
	struct cmsghdr *cmsg;

	memset(msg, 0, sizeof(*msg));
	msg->msg_iov = &iov;
	msg->msg_iovlen = 1;
	msg->msg_name = len ? addr : NULL;
	msg->msg_namelen = len;
	if (!size)
		return;
	msg->msg_control = control;
	msg->msg_controllen = CMSG_SPACE(size);
	memset(control, 0, msg->msg_controllen);
	cmsg = CMSG_FIRSTHDR(msg);
	cmsg->cmsg_level = level;
	cmsg->cmsg_type = type;
	cmsg->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(cmsg), data, size);
}

enum message {
	NO_CONTROL,
	PKTINFO,
	PKTINFO_6,
	OLD_PKTINFO_6,
	RETURN_OPTIONS,
	ROUTING_HEADER_6,
	OLD_ROUTING_HEADER_6,
};

/* Sends @message about @device to @address, or to the peer if that is NULL. */
static int send_message(int fd, enum message message, int device,
			const char *address)
{
	const struct in_pktinfo info = {
		.ipi_ifindex = device,
	};
	const struct in6_pktinfo info6 = {
		.ipi6_ifindex = device,
	};
	const unsigned char options[4] = { 1, 1, 1, 0 };
	const unsigned char header[24] = { 0, 2, 4, 0, [8] = 0xfd, [23] = 1 };
	static const struct {
		int level, type;
		size_t size;
	} kinds[] = {
		[PKTINFO] = { SOL_IP, IP_PKTINFO, sizeof(info) },
		[PKTINFO_6] = { SOL_IPV6, IPV6_PKTINFO, sizeof(info6) },
		[OLD_PKTINFO_6] = { SOL_IPV6, IPV6_2292PKTINFO, sizeof(info6) },
		[RETURN_OPTIONS] = { SOL_IP, IP_RETOPTS, sizeof(options) },
		[ROUTING_HEADER_6] = { SOL_IPV6, IPV6_RTHDR, sizeof(header) },
		[OLD_ROUTING_HEADER_6] = { SOL_IPV6, IPV6_2292RTHDR,
					   sizeof(header) },
	};
	const void *const data[] = {
		[PKTINFO] = &info,	    [PKTINFO_6] = &info6,
		[OLD_PKTINFO_6] = &info6,   [RETURN_OPTIONS] = options,
		[ROUTING_HEADER_6] = header, [OLD_ROUTING_HEADER_6] = header,
		[NO_CONTROL] = NULL,
	};
	__u64 control[CMSG_SPACE(sizeof(header)) / sizeof(__u64)];
	struct msghdr msg;
	union addr addr;
	const socklen_t len = address ? read_addr(&addr, address, 1024) : 0;

	write_message(&msg, &addr, len, control, kinds[message].level,
		      kinds[message].type, data[message], kinds[message].size);
	return sendmsg(fd, &msg, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

/* The test of this byte of an address is meant for IPv6. */
TEST_F(net, the_padding_of_an_address_marks_no_socket)
{
	const int device = make_device();
	const int ruleset_fd = extended(BIND_UDP | SEND_UDP, 0);
	const int fd = make_socket(AF_INET, SOCK_DGRAM, 0);
	union addr addr;
	const socklen_t len = read_addr(&addr, "127.0.0.1", 1024);

	ASSERT_LT(1, device);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, add_net(ruleset_fd, BIND_UDP, 1024, 1024, NULL));
	ASSERT_EQ(0, add_net(ruleset_fd, BIND_UDP, 1024, 1024, "127.0.0.0/8"));
	ASSERT_EQ(0, add_net(ruleset_fd, SEND_UDP, 0, UINT16_MAX, NULL));
	ASSERT_EQ(0, restrict_self(ruleset_fd, 0));
	memset(addr.in.sin_zero, 0xff, sizeof(addr.in.sin_zero));
	ASSERT_EQ(0, bind(fd, &addr.sa, len));
	ASSERT_EQ(0, connect_to(fd, "127.0.0.1", 1024));
	/* The port alone has allowed it, so the socket may name a device. */
	EXPECT_NE(-EACCES, send_message(fd, PKTINFO, device, NULL));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, close(ruleset_fd));
}

FIXTURE(messages)
{
	int device;
	/* Sockets of UDP: without a peer, and connected. */
	int fd, connected_fd;
};

FIXTURE_VARIANT(messages)
{
	enum message message;
	const char *address;
	bool has_device;
};

FIXTURE_VARIANT_ADD(messages, pktinfo)
{
	PKTINFO, "127.0.0.1", true
};

FIXTURE_VARIANT_ADD(messages, pktinfo_of_mapped)
{
	PKTINFO, "::ffff:127.0.0.1", true
};

FIXTURE_VARIANT_ADD(messages, pktinfo_6)
{
	PKTINFO_6, "::1", true
};

FIXTURE_VARIANT_ADD(messages, old_pktinfo_6)
{
	OLD_PKTINFO_6, "::1", true
};

FIXTURE_VARIANT_ADD(messages, return_options)
{
	RETURN_OPTIONS, "127.0.0.1", false
};

FIXTURE_VARIANT_ADD(messages, routing_header)
{
	ROUTING_HEADER_6, "::1", false
};

FIXTURE_VARIANT_ADD(messages, old_routing_header)
{
	OLD_ROUTING_HEADER_6, "::1", false
};

FIXTURE_SETUP(messages)
{
	const int family = family_of(variant->address);

	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, own_network());
	self->device = make_device();
	ASSERT_LT(1, self->device);
	self->fd = make_socket(family, SOCK_DGRAM, 0);
	self->connected_fd = make_socket(family, SOCK_DGRAM, 0);
	ASSERT_LE(0, self->fd);
	ASSERT_LE(0, self->connected_fd);
	ASSERT_EQ(0, connect_to(self->connected_fd, variant->address, 1024));
}

FIXTURE_TEARDOWN(messages)
{
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, close(self->connected_fd));
}

TEST_F(messages, of_their_own_way_match_no_address)
{
	const enum message message = variant->message;
	const char *const address = variant->address;

	ASSERT_EQ(0, restrict_to_both(SEND_UDP, ALL_IPV4, ALL_IPV6));
	/* One that is refused says nothing about the next. */
	EXPECT_EQ(-EACCES, send_message(self->fd, message, self->device,
					address));
	EXPECT_EQ(0, send_message(self->fd, NO_CONTROL, 0, address));
	EXPECT_EQ(-EACCES, send_message(self->fd, message, self->device,
					address));
	EXPECT_EQ(-EACCES, send_message(self->connected_fd, message,
					self->device, address));
	EXPECT_EQ(-EACCES, send_message(self->connected_fd, message,
					self->device, NULL));
	EXPECT_EQ(0, send_message(self->connected_fd, NO_CONTROL, 0, NULL));
}

TEST_F(messages, of_their_own_way_match_a_port)
{
	const enum message message = variant->message;
	const int fd = extended(SEND_UDP, 0);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, add_net(fd, SEND_UDP, 1024, 1024, NULL));
	ASSERT_EQ(0, add_net(fd, SEND_UDP, 1025, 1025, ALL_IPV4));
	ASSERT_EQ(0, enforce(fd));
	EXPECT_ALLOWED(true, send_message(self->fd, message, self->device,
					  variant->address));
	EXPECT_ALLOWED(true, send_message(self->connected_fd, message,
					  self->device, NULL));
}

/* Without an address in the rules, a datagram to the peer is a write. */
TEST_F(messages, to_the_peer_are_free_without_an_address)
{
	ASSERT_EQ(0, restrict_extended(SEND_UDP));
	EXPECT_ALLOWED(true, send_message(self->connected_fd, variant->message,
					  self->device, NULL));
	EXPECT_ALLOWED(false, send_message(self->fd, variant->message,
					   self->device, variant->address));
}

TEST_F(messages, without_a_device_match_an_address)
{
	const bool allowed = variant->has_device;
	int device;

	ASSERT_EQ(0, restrict_to_both(SEND_UDP, ALL_IPV4, ALL_IPV6));
	/* No interface, and the loopback interface. */
	for (device = 0; device < 2; device++) {
		EXPECT_ALLOWED(allowed, send_message(self->fd, variant->message,
						     device, variant->address));
		EXPECT_ALLOWED(allowed, send_message(self->connected_fd,
						     variant->message, device,
						     NULL));
	}
}

TEST_F(messages, to_the_peer_are_asked_for_by_each_layer)
{
	ASSERT_EQ(0, restrict_to(SEND_UDP, SEND_UDP, 1024, 1024, NULL));
	ASSERT_EQ(0, restrict_to_both(SEND_UDP, ALL_IPV4, ALL_IPV6));
	ASSERT_EQ(0, restrict_to(SEND_UDP, SEND_UDP, 1024, 1024, NULL));
	EXPECT_EQ(-EACCES, send_message(self->connected_fd, variant->message,
					self->device, NULL));
}

/* Another thread may give the socket another peer while it sends. */
TEST_F(messages, to_the_peer_exclude_a_grant_by_address)
{
	const enum message message = variant->message;
	const char *const address = variant->address;
	const int fd = extended(SEND_UDP, 0);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, add_net(fd, SEND_UDP, 1024, 1024, NULL));
	ASSERT_EQ(0, add_net(fd, SEND_UDP, 1025, 1025, ALL_IPV4));
	ASSERT_EQ(0, add_net(fd, SEND_UDP, 1025, 1025, ALL_IPV6));
	ASSERT_EQ(0, enforce(fd));

	EXPECT_ALLOWED(true, send_message(self->connected_fd, message,
					  self->device, NULL));
	EXPECT_EQ(-EACCES, connect_to(self->connected_fd, address, 1025));
	EXPECT_EQ(0, connect_to(self->connected_fd, address, 1024));

	EXPECT_EQ(0, connect_to(self->fd, address, 1025));
	EXPECT_EQ(0, connect_to(self->fd, address, 1024));
	EXPECT_EQ(-EACCES, send_message(self->fd, message, self->device, NULL));
	EXPECT_EQ(0, send_message(self->fd, NO_CONTROL, 0, NULL));
}

/* The second of two messages to one destination is judged as well. */
TEST_F(messages, of_sendmmsg_are_judged_one_by_one)
{
	__u64 control[CMSG_SPACE(sizeof(struct in_pktinfo)) / sizeof(__u64)];
	const struct in_pktinfo info = {
		.ipi_ifindex = self->device,
	};
	const int fd = make_socket(AF_INET, SOCK_DGRAM, 0);
	struct mmsghdr msgs[2] = {};
	union addr addr;
	socklen_t len;

	ASSERT_LE(0, fd);
	len = read_addr(&addr, "127.0.0.1", 1024);
	write_message(&msgs[0].msg_hdr, &addr, len, NULL, 0, 0, NULL, 0);
	write_message(&msgs[1].msg_hdr, &addr, len, control, SOL_IP, IP_PKTINFO,
		      &info, sizeof(info));
	/* The network stack sends both, the second one through the device. */
	ASSERT_EQ(2, sendmmsg(fd, msgs, 2, MSG_NOSIGNAL));
	ASSERT_EQ(0, restrict_to(SEND_UDP, SEND_UDP, 1024, 1024,
				 "127.0.0.1/32"));
	EXPECT_EQ(1, sendmmsg(fd, msgs, 2, MSG_NOSIGNAL));
	EXPECT_EQ(-1, sendmmsg(fd, msgs + 1, 1, MSG_NOSIGNAL));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(0, close(fd));
}

/* Programs clear the options of a socket that they were given. */
TEST_F(net, cleared_options_choose_no_way)
{
	const char no_operation[4] = { 1, 1, 1, 1 };
	const int fd = make_socket(AF_INET, SOCK_DGRAM, 0);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, set_option(fd, SOL_IP, IP_OPTIONS, no_operation,
				sizeof(no_operation)));
	ASSERT_EQ(0, set_option(fd, SOL_IP, IP_OPTIONS, NULL, 0));
	ASSERT_EQ(0, restrict_to(SEND_UDP, SEND_UDP, 1024, 1024,
				 "127.0.0.1/32"));
	EXPECT_EQ(0, connect_to(fd, "127.0.0.1", 1024));
	EXPECT_EQ(0, close(fd));
}

/* What is too short to say an interface may say anything. */
TEST_F(net, a_short_control_message_matches_no_address)
{
	__u64 control[CMSG_SPACE(sizeof(struct in6_pktinfo)) / sizeof(__u64)];
	const int levels[][2] = {
		{ SOL_IP, IP_PKTINFO },
		{ SOL_IPV6, IPV6_PKTINFO },
	};
	const int fd = make_socket(AF_INET6, SOCK_DGRAM, 0);
	struct cmsghdr *cmsg;
	struct msghdr msg;
	union addr addr;
	socklen_t len;
	int i;

	ASSERT_LE(0, fd);
	len = read_addr(&addr, "::1", 1024);
	ASSERT_EQ(0, restrict_to(SEND_UDP, SEND_UDP, 1024, 1024, "::1/128"));
	for (i = 0; i < 2; i++) {
		write_message(&msg, &addr, len, control, levels[i][0],
			      levels[i][1], "", 1);
		/* There is another before it, and nothing behind it. */
		msg.msg_controllen = 2 * CMSG_LEN(0);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg[1] = cmsg[0];
		cmsg[0].cmsg_level = SOL_SOCKET;
		cmsg[0].cmsg_type = 0;
		cmsg[0].cmsg_len = CMSG_LEN(0);
		cmsg[1].cmsg_len = CMSG_LEN(0);
		EXPECT_EQ(-1, sendmsg(fd, &msg, MSG_NOSIGNAL));
		EXPECT_EQ(EACCES, errno);
	}
	EXPECT_EQ(0, close(fd));
}

/* TCP Fast Open may carry them too. */
TEST_F(net, fast_open_with_a_way_matches_no_address)
{
	__u64 control[CMSG_SPACE(sizeof(struct in_pktinfo)) / sizeof(__u64)];
	const struct in_pktinfo info = {
		.ipi_ifindex = make_device(),
	};
	const int listener = listen_on(AF_INET, 0, 1024);
	const int fd = make_socket(AF_INET, SOCK_STREAM, 0);
	struct msghdr msg;
	union addr addr;
	socklen_t len;

	ASSERT_LT(1, info.ipi_ifindex);
	ASSERT_LE(0, listener);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, restrict_to(CONNECT_TCP, CONNECT_TCP, 1024, 1024,
				 "127.0.0.1/32"));
	len = read_addr(&addr, "127.0.0.1", 1024);
	write_message(&msg, &addr, len, control, SOL_IP, IP_PKTINFO, &info,
		      sizeof(info));
	EXPECT_EQ(-1, sendmsg(fd, &msg, MSG_FASTOPEN | MSG_NOSIGNAL));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(0, send_to(fd, "127.0.0.1", 1024, MSG_FASTOPEN));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, close(listener));
}

/* As SO_DONTROUTE, for one message. */
TEST_F(net, a_message_that_is_not_routed_matches_no_address)
{
	const int fd = make_socket(AF_INET, SOCK_DGRAM, 0);
	const int connected = make_socket(AF_INET, SOCK_DGRAM, 0);
	const int receiver = make_socket(AF_INET, SOCK_DGRAM, 0);
	const int rules = extended(SEND_UDP, 0);

	ASSERT_LE(0, fd);
	ASSERT_LE(0, connected);
	ASSERT_LE(0, receiver);
	ASSERT_LE(0, rules);
	ASSERT_EQ(0, bind_to(receiver, "127.0.0.1", 1024));
	ASSERT_EQ(0, connect_to(connected, "127.0.0.1", 1024));
	ASSERT_EQ(0, send_to(fd, "127.0.0.1", 1024, MSG_DONTROUTE));
	ASSERT_EQ(0, add_net(rules, SEND_UDP, 1024, 1024, "127.0.0.1/32"));
	ASSERT_EQ(0, add_net(rules, SEND_UDP, 1025, 1025, NULL));
	ASSERT_EQ(0, enforce(rules));
	EXPECT_EQ(0, send_to(fd, "127.0.0.1", 1024, 0));
	EXPECT_EQ(-EACCES, send_to(fd, "127.0.0.1", 1024, MSG_DONTROUTE));
	EXPECT_EQ(0, send_to(fd, "127.0.0.1", 1025, MSG_DONTROUTE));
	EXPECT_EQ(1, send(connected, "x", 1, MSG_NOSIGNAL));
	EXPECT_EQ(-1, send(connected, "x", 1, MSG_NOSIGNAL | MSG_DONTROUTE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, close(connected));
	EXPECT_EQ(0, close(receiver));
}

/* Sends with the flags that it is told, and tells the result. */
static int send_as_told(int orders, int fd)
{
	int flags, ret;

	while (read(orders, &flags, sizeof(flags)) == sizeof(flags)) {
		ret = send(fd, "x", 1, flags | MSG_NOSIGNAL) == 1 ? 0 : -errno;
		if (write(orders, &ret, sizeof(ret)) != sizeof(ret))
			return 1;
	}
	return 0;
}

static int tell_to_send(int orders, int flags)
{
	int ret;

	if (write(orders, &flags, sizeof(flags)) != sizeof(flags) ||
	    read(orders, &ret, sizeof(ret)) != sizeof(ret))
		return -EPROTO;
	return ret;
}

/* What was granted before is remembered, but not for another way. */
TEST_F(net, a_way_that_comes_later_matches_no_address)
{
	const int listener = listen_on(AF_INET, 0, 1024);
	const int fd = make_socket(AF_INET, SOCK_STREAM, 0);
	const int yes = 1, no = 0;
	int orders[2];
	pid_t child;

	ASSERT_LE(0, listener);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, connect_to(fd, "127.0.0.1", 1024));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, orders));
	child = fork();
	ASSERT_LE(0, child);
	if (child == 0) {
		close(orders[0]);
		_exit(restrict_to(SEND_TCP, SEND_TCP, 1024, 1024,
				  "127.0.0.1/32") ?
			      1 : send_as_told(orders[1], fd));
	}
	EXPECT_EQ(0, close(orders[1]));
	EXPECT_EQ(0, tell_to_send(orders[0], 0));
	EXPECT_EQ(0, tell_to_send(orders[0], 0));
	EXPECT_EQ(-EACCES, tell_to_send(orders[0], MSG_DONTROUTE));
	EXPECT_EQ(0, tell_to_send(orders[0], 0));
	EXPECT_EQ(0, set_option(fd, SOL_SOCKET, SO_DONTROUTE, &yes,
				sizeof(yes)));
	EXPECT_EQ(-EACCES, tell_to_send(orders[0], 0));
	EXPECT_EQ(0, set_option(fd, SOL_SOCKET, SO_DONTROUTE, &no, sizeof(no)));
	EXPECT_EQ(0, tell_to_send(orders[0], 0));
	EXPECT_EQ(0, close(orders[0]));
	EXPECT_EQ(0, wait_child(child));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, close(listener));
}

/* Calls that bind a socket to a device */

FIXTURE(link_local)
{
	int fd;
};

FIXTURE_VARIANT(link_local)
{
	int type, protocol;
	/* Allows to connect by address, and by port. */
	__u64 access;
};

FIXTURE_VARIANT_ADD(link_local, tcp)
{
	.type = SOCK_STREAM,
	.access = BIND_TCP | CONNECT_TCP,
};

FIXTURE_VARIANT_ADD(link_local, udp)
{
	.type = SOCK_DGRAM,
	.access = SEND_UDP,
};

FIXTURE_VARIANT_ADD(link_local, mptcp)
{
	.type = SOCK_STREAM,
	.protocol = IPPROTO_MPTCP,
	.access = BIND_TCP | CONNECT_TCP,
};

/* A link-local address of the second interface, which is the only other one. */
#define LINK_LOCAL "fe80::1%2"
#define GROUP "ff02::1%2"

FIXTURE_SETUP(link_local)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, own_network());
	ASSERT_EQ(2, make_device());
	self->fd = make_socket(AF_INET6, variant->type | SOCK_NONBLOCK,
			       variant->protocol);
	if (self->fd < 0 && variant->protocol == IPPROTO_MPTCP)
		SKIP(return, "no MPTCP: %s", strerror(-self->fd));
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(link_local)
{
	EXPECT_EQ(0, close(self->fd));
}

TEST_F(link_local, then_by_address_is_refused)
{
	ASSERT_EQ(0, restrict_to_both(variant->access, ALL_IPV4, ALL_IPV6));
	EXPECT_ALLOWED(true, connect_to(self->fd, LINK_LOCAL, 1024));
	EXPECT_ALLOWED(false, connect_to(self->fd, "::1", 1024));
	EXPECT_ALLOWED(false, connect_to(self->fd, "::ffff:127.0.0.1", 1024));
	EXPECT_ALLOWED(true, connect_to(self->fd, LINK_LOCAL, 1024));
	/* For ever. */
	disconnect(self->fd);
	EXPECT_ALLOWED(false, connect_to(self->fd, "::1", 1024));
}

TEST_F(link_local, after_by_address_is_refused)
{
	ASSERT_EQ(0, restrict_to_both(variant->access, ALL_IPV4, ALL_IPV6));
	EXPECT_ALLOWED(true, connect_to(self->fd, "::1", 1024));
	EXPECT_ALLOWED(false, connect_to(self->fd, LINK_LOCAL, 1024));
	EXPECT_ALLOWED(false, connect_to(self->fd, GROUP, 1024));
	EXPECT_ALLOWED(false, bind_to(self->fd, LINK_LOCAL, 1024));
	EXPECT_ALLOWED(true, connect_to(self->fd, "::1", 1024));
	disconnect(self->fd);
	EXPECT_ALLOWED(false, connect_to(self->fd, LINK_LOCAL, 1024));
}

TEST_F(link_local, bound_then_by_address_is_refused)
{
	ASSERT_EQ(0, restrict_to_both(variant->access, ALL_IPV4, ALL_IPV6));
	EXPECT_ALLOWED(true, bind_to(self->fd, LINK_LOCAL, 1024));
	EXPECT_ALLOWED(false, connect_to(self->fd, "::1", 1024));
}

TEST_F(link_local, group_then_by_address_is_refused)
{
	ASSERT_EQ(0, restrict_to_both(variant->access, ALL_IPV4, ALL_IPV6));
	EXPECT_ALLOWED(true, connect_to(self->fd, GROUP, 1024));
	EXPECT_ALLOWED(false, connect_to(self->fd, "::1", 1024));
	EXPECT_ALLOWED(true, connect_to(self->fd, LINK_LOCAL, 1024));
}

/* What a port alone allows is no promise about an address. */
TEST_F(link_local, and_by_port_are_allowed_in_any_order)
{
	const int fd = extended(variant->access, 0);
	int other;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, add_net(fd, variant->access, 1024, 1024, NULL));
	ASSERT_EQ(0, add_net(fd, variant->access, 1025, 1025, ALL_IPV6));
	ASSERT_EQ(0, enforce(fd));
	EXPECT_ALLOWED(true, connect_to(self->fd, "::1", 1024));
	EXPECT_ALLOWED(true, connect_to(self->fd, LINK_LOCAL, 1025));
	EXPECT_ALLOWED(true, connect_to(self->fd, "::1", 1024));
	EXPECT_ALLOWED(false, connect_to(self->fd, "::1", 1025));

	other = make_socket(AF_INET6, variant->type | SOCK_NONBLOCK,
			    variant->protocol);
	ASSERT_LE(0, other);
	EXPECT_ALLOWED(true, connect_to(other, "::1", 1025));
	EXPECT_ALLOWED(true, connect_to(other, "::1", 1024));
	EXPECT_ALLOWED(false, connect_to(other, LINK_LOCAL, 1024));
	EXPECT_EQ(0, close(other));
}

TEST_F(link_local, and_by_address_are_free_without_addresses)
{
	ASSERT_EQ(0, restrict_to(variant->access, variant->access, 1024, 1024,
				 NULL));
	EXPECT_ALLOWED(true, connect_to(self->fd, "::1", 1024));
	EXPECT_ALLOWED(true, connect_to(self->fd, LINK_LOCAL, 1024));
	EXPECT_ALLOWED(true, connect_to(self->fd, "::1", 1024));
}

/* Network namespaces */

TEST_F(net, addresses_belong_to_the_namespace_of_enforcing)
{
	const int old = make_socket(AF_INET, SOCK_STREAM, 0);
	const int old_6 = make_socket(AF_INET6, SOCK_STREAM, 0);

	ASSERT_LE(0, old);
	ASSERT_LE(0, old_6);
	ASSERT_EQ(0, restrict_to_both(TCP | UDP, ALL_IPV4, ALL_IPV6));
	EXPECT_EQ(0, tcp_bind("127.0.0.1", 1024));
	ASSERT_EQ(0, own_network());
	EXPECT_EQ(-EACCES, tcp_bind("127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, tcp_bind("::1", 1024));
	EXPECT_EQ(-EACCES, tcp_connect("127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, tcp_connect("::1", 1024));
	EXPECT_EQ(-EACCES, udp_bind("127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, new_send("127.0.0.1", 1024));

	/* The namespace is that of the socket. */
	EXPECT_EQ(0, bind_to(old, "127.0.0.1", 1024));
	EXPECT_EQ(0, bind_to(old_6, "::1", 1024));
	EXPECT_EQ(0, try_listen(old));
	EXPECT_EQ(0, close(old));
	EXPECT_EQ(0, close(old_6));
}

TEST_F(net, ports_belong_to_every_namespace)
{
	ASSERT_EQ(0, restrict_to(TCP | UDP, TCP | UDP, 1024, 1024, NULL));
	ASSERT_EQ(0, own_network());
	EXPECT_EQ(0, tcp_listen("127.0.0.1", 1024));
	EXPECT_EQ(0, tcp_listen("::1", 1024));
	EXPECT_EQ(-ECONNREFUSED, tcp_connect("127.0.0.1", 1024));
	EXPECT_EQ(0, udp_bind("127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, tcp_bind("127.0.0.1", 1025));
	EXPECT_EQ(-EACCES, tcp_connect("127.0.0.1", 1025));
}

TEST_F(net, addresses_to_listen_on_belong_to_a_namespace)
{
	ASSERT_EQ(0, restrict_to_both(LISTEN_TCP, ALL_IPV4, ALL_IPV6));
	EXPECT_EQ(0, tcp_listen("127.0.0.1", 1024));
	ASSERT_EQ(0, own_network());
	EXPECT_EQ(-EACCES, tcp_listen("127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, tcp_listen("::1", 1024));
}

/* Each layer has its own. */
TEST_F(net, layers_of_two_namespaces_agree_nowhere)
{
	const int old = make_socket(AF_INET, SOCK_STREAM, 0);

	ASSERT_LE(0, old);
	ASSERT_EQ(0, restrict_to(BIND_TCP, BIND_TCP, 1024, 1024, ALL_IPV4));
	ASSERT_EQ(0, own_network());
	ASSERT_EQ(0, restrict_to(BIND_TCP, BIND_TCP, 1024, 1024, ALL_IPV4));
	EXPECT_EQ(-EACCES, tcp_bind("127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, bind_to(old, "127.0.0.1", 1024));
	EXPECT_EQ(0, close(old));
}

/* One ruleset that is enforced in two namespaces is one of each. */
TEST_F(net, a_ruleset_is_for_the_namespace_where_it_is_enforced)
{
	const int fd = extended(BIND_TCP, 0);
	pid_t child;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, add_net(fd, BIND_TCP, 1024, 1024, "127.0.0.1/32"));
	ASSERT_EQ(0, no_new_privs());
	child = fork();
	ASSERT_LE(0, child);
	if (child == 0) {
		ASSERT_EQ(0, own_network());
		ASSERT_EQ(0, restrict_self(fd, 0));
		EXPECT_EQ(0, tcp_bind("127.0.0.1", 1024));
		_exit(_metadata->exit_code);
	}
	EXPECT_EQ(0, wait_child(child));
	ASSERT_EQ(0, restrict_self(fd, 0));
	EXPECT_EQ(0, tcp_bind("127.0.0.1", 1024));
	ASSERT_EQ(0, own_network());
	EXPECT_EQ(-EACCES, tcp_bind("127.0.0.1", 1024));
	EXPECT_EQ(0, close(fd));
}

/* Whoever makes a namespace needs no privilege outside. */
TEST_F(net, a_rootless_namespace_is_another_one)
{
	ASSERT_EQ(0, drop_all_caps());
	ASSERT_EQ(0, restrict_to_both(BIND_TCP | CONNECT_TCP, ALL_IPV4,
				      ALL_IPV6));
	EXPECT_EQ(0, tcp_bind("127.0.0.1", 1024));
	ASSERT_EQ(0, unshare(CLONE_NEWUSER));
	EXPECT_EQ(0, tcp_bind("127.0.0.1", 1024));
	ASSERT_EQ(0, own_network());
	EXPECT_EQ(-EACCES, tcp_bind("127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, tcp_connect("127.0.0.1", 1024));
}

static int open_namespace(pid_t pid, const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The namespace of a rootless container, which was there before. */
TEST_F(net, a_namespace_that_is_entered_later_is_another_one)
{
	int to_child[2], to_parent[2], user, net;
	char byte = 0;
	pid_t child;

	ASSERT_EQ(0, pipe2(to_child, O_CLOEXEC));
	ASSERT_EQ(0, pipe2(to_parent, O_CLOEXEC));
	ASSERT_EQ(0, setresuid(1000, 1000, 1000));
	ASSERT_EQ(0, prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	child = fork();
	ASSERT_LE(0, child);
	if (child == 0) {
		ASSERT_EQ(0, unshare(CLONE_NEWUSER));
		ASSERT_EQ(0, own_network());
		ASSERT_EQ(1, write(to_parent[1], &byte, 1));
		ASSERT_EQ(1, read(to_child[0], &byte, 1));
		_exit(_metadata->exit_code);
	}
	ASSERT_EQ(1, read(to_parent[0], &byte, 1));
	user = open_namespace(child, "user");
	net = open_namespace(child, "net");
	ASSERT_LE(0, user);
	ASSERT_LE(0, net);

	ASSERT_EQ(0, restrict_to_both(TCP | UDP, ALL_IPV4, ALL_IPV6));
	EXPECT_EQ(0, tcp_bind("127.0.0.1", 1024));
	ASSERT_EQ(0, setns(user, CLONE_NEWUSER));
	ASSERT_EQ(0, setns(net, CLONE_NEWNET));
	EXPECT_EQ(-EACCES, tcp_bind("127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, tcp_connect("127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, tcp_connect("::1", 1024));
	EXPECT_EQ(-EACCES, new_send("127.0.0.1", 1024));
	ASSERT_EQ(1, write(to_child[1], &byte, 1));
	EXPECT_EQ(0, wait_child(child));
	EXPECT_EQ(0, close(user));
	EXPECT_EQ(0, close(net));
}

/* Stacks */

TEST_F(net, an_address_is_narrowed_by_a_port)
{
	ASSERT_EQ(0, restrict_to(BIND_TCP, BIND_TCP, 0, UINT16_MAX,
				 "127.0.0.1/32"));
	EXPECT_EQ(0, tcp_bind("127.0.0.1", 1025));
	ASSERT_EQ(0, restrict_to(BIND_TCP, BIND_TCP, 1024, 1024, NULL));
	EXPECT_EQ(0, tcp_bind("127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, tcp_bind("127.0.0.1", 1025));
	EXPECT_EQ(-EACCES, tcp_bind("127.0.0.2", 1024));
	EXPECT_EQ(-EACCES, tcp_bind("127.0.0.2", 1025));
}

TEST_F(net, addresses_of_two_layers_are_their_intersection)
{
	ASSERT_EQ(0, restrict_to(BIND_TCP, BIND_TCP, 1000, 1024,
				 "127.0.0.0/8"));
	ASSERT_EQ(0, restrict_to(BIND_TCP, BIND_TCP, 1024, 1030,
				 "127.0.0.2/31"));
	EXPECT_EQ(0, tcp_bind("127.0.0.2", 1024));
	EXPECT_EQ(0, tcp_bind("127.0.0.3", 1024));
	EXPECT_EQ(-EACCES, tcp_bind("127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, tcp_bind("127.0.0.2", 1023));
	EXPECT_EQ(-EACCES, tcp_bind("127.0.0.2", 1025));
}

/* A rule for an address does not narrow a rule for any address beside it. */
TEST_F(net, rules_of_one_layer_add_up)
{
	const int fd = extended(BIND_TCP | CONNECT_TCP, 0);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, add_net(fd, BIND_TCP, 1024, 1030, "127.0.0.1/32"));
	ASSERT_EQ(0, add_net(fd, BIND_TCP, 1024, 1024, NULL));
	ASSERT_EQ(0, add_net(fd, CONNECT_TCP, 1026, 1026, "127.0.0.0/8"));
	ASSERT_EQ(0, add_net(fd, CONNECT_TCP, 1027, 1027, "127.0.0.1/32"));
	ASSERT_EQ(0, enforce(fd));
	EXPECT_EQ(0, tcp_bind("127.0.0.2", 1024));
	EXPECT_EQ(0, tcp_bind("127.0.0.1", 1025));
	EXPECT_EQ(-EACCES, tcp_bind("127.0.0.2", 1025));
	EXPECT_EQ(-ECONNREFUSED, tcp_connect("127.0.0.1", 1026));
	EXPECT_EQ(-ECONNREFUSED, tcp_connect("127.0.0.2", 1026));
	EXPECT_EQ(-ECONNREFUSED, tcp_connect("127.0.0.1", 1027));
	EXPECT_EQ(-EACCES, tcp_connect("127.0.0.2", 1027));
	EXPECT_EQ(-EACCES, tcp_connect("127.0.0.1", 1024));
}

FIXTURE(stack)
{
};

FIXTURE_VARIANT(stack)
{
	bool plain_first;
};

FIXTURE_VARIANT_ADD(stack, plain_first)
{
	.plain_first = true,
};

FIXTURE_VARIANT_ADD(stack, extended_first)
{
	.plain_first = false,
};

FIXTURE_SETUP(stack)
{
	int fd;

	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, own_network());
	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	ASSERT_EQ(0, mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	ASSERT_EQ(0, mount("tmp", "/tmp", "tmpfs", 0, "mode=0700"));
	ASSERT_EQ(0, chdir("/tmp"));
	ASSERT_EQ(0, mkdir("a", 0700));
	ASSERT_EQ(0, mkdir("b", 0700));
	fd = open("a/file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, close(fd));
	ASSERT_EQ(0, rename_across());
}

FIXTURE_TEARDOWN(stack)
{
}

/* Adds two layers in the order of the variant. */
static int stack_both(bool plain_first, int plain, int other)
{
	const int ret = enforce(plain_first ? plain : other);

	return ret ? ret : enforce(plain_first ? other : plain);
}

TEST_F(stack, both_layers_must_allow)
{
	const int plain = net_ruleset(BIND_TCP | CONNECT_TCP);
	const int fd = extended(BIND_TCP | CONNECT_TCP, 0);

	ASSERT_LE(0, plain);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, add_port(plain, 1024, BIND_TCP));
	ASSERT_EQ(0, add_port(plain, 1025, BIND_TCP | CONNECT_TCP));
	ASSERT_EQ(0, add_net(fd, BIND_TCP, 1025, 1030, "127.0.0.1/32"));
	ASSERT_EQ(0, add_net(fd, CONNECT_TCP, 0, 65535, NULL));
	ASSERT_EQ(0, stack_both(variant->plain_first, plain, fd));

	EXPECT_EQ(0, tcp_bind("127.0.0.1", 1025));
	EXPECT_EQ(-EACCES, tcp_bind("127.0.0.2", 1025));
	EXPECT_EQ(-EACCES, tcp_bind("127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, tcp_bind("127.0.0.1", 1026));
	EXPECT_EQ(-ECONNREFUSED, tcp_connect("127.0.0.2", 1025));
	EXPECT_EQ(-EACCES, tcp_connect("127.0.0.2", 1024));
	/* Nobody handles these. */
	EXPECT_EQ(0, udp_bind("127.0.0.1", 1030));
}

TEST_F(stack, has_sixteen_layers_in_all)
{
	const int plain = net_ruleset(BIND_TCP);
	const int fd = extended(BIND_TCP, 0);
	const int empty = extended(BIND_TCP, SOCKET_CREATE);
	int i;

	ASSERT_LE(0, plain);
	ASSERT_LE(0, fd);
	ASSERT_LE(0, empty);
	ASSERT_EQ(0, add_port(plain, 1024, BIND_TCP));
	ASSERT_EQ(0, add_net(fd, BIND_TCP, 1000, 1024, "127.0.0.1/32"));
	ASSERT_EQ(0, no_new_privs());
	for (i = 0; i < MAX_LAYERS; i++) {
		const bool is_plain = (i % 2 == 0) == variant->plain_first;

		ASSERT_EQ(0, restrict_self(is_plain ? plain : fd, 0))
			TH_LOG("layer %d", i);
	}
	EXPECT_EQ(-E2BIG, restrict_self(plain, 0));
	EXPECT_EQ(-E2BIG, restrict_self(fd, 0));
	EXPECT_EQ(-E2BIG, restrict_self(empty, 0));
	EXPECT_EQ(0, tcp_bind("127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, tcp_bind("127.0.0.2", 1024));
	EXPECT_EQ(-EACCES, tcp_bind("127.0.0.1", 1023));
	EXPECT_EQ(0, new_socket(AF_UNIX, SOCK_STREAM, 0));
	EXPECT_EQ(0, close(plain));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, close(empty));
}

TEST_F(stack, has_sixteen_layers_about_sockets)
{
	int i;

	ASSERT_EQ(0, no_new_privs());
	for (i = 0; i < MAX_LAYERS; i++) {
		const int fd = extended(0, SOCKET_CREATE);

		ASSERT_LE(0, fd);
		ASSERT_EQ(0, add_socket(fd, AF_INET, SOCK_STREAM, -1));
		/* The last one refuses what the others allow. */
		if (i < MAX_LAYERS - 1)
			ASSERT_EQ(0, add_socket(fd, AF_UNIX, -1, -1));
		EXPECT_EQ(0, new_socket(AF_UNIX, SOCK_STREAM, 0));
		ASSERT_EQ(0, enforce(fd));
	}
	EXPECT_EQ(-EACCES, new_socket(AF_UNIX, SOCK_STREAM, 0));
	EXPECT_EQ(0, new_socket(AF_INET, SOCK_STREAM, 0));
	EXPECT_EQ(-E2BIG, restrict_extended(TCP));
}

/* A plain layer that handles @handled, and allows it under "/tmp". */
static int fs_ruleset(__u64 handled)
{
	const struct landlock_ruleset_attr attr = {
		.handled_access_fs = handled,
	};
	struct landlock_path_beneath_attr path = {
		.allowed_access = handled,
		.parent_fd = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC),
	};
	const int fd = create_ruleset(&attr, sizeof(attr), 0);
	int ret;

	ret = add_rule(fd, LANDLOCK_RULE_PATH_BENEATH, &path, 0);
	close(path.parent_fd);
	return ret ? ret : fd;
}

TEST_F(stack, keeps_renames_across_folders_that_a_layer_allows)
{
	const int plain = fs_ruleset(LANDLOCK_ACCESS_FS_REFER |
				     LANDLOCK_ACCESS_FS_MAKE_REG |
				     LANDLOCK_ACCESS_FS_REMOVE_FILE);
	const int fd = extended(TCP | UDP, SOCKET_CREATE);

	ASSERT_LE(0, plain);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, stack_both(variant->plain_first, plain, fd));
	EXPECT_EQ(0, rename_across());
}

/* As in a domain of this layer alone. */
TEST_F(stack, keeps_the_refusal_of_a_layer_without_refer)
{
	const int plain = fs_ruleset(LANDLOCK_ACCESS_FS_MAKE_REG);
	const int fd = extended(TCP, 0);

	ASSERT_LE(0, plain);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, stack_both(variant->plain_first, plain, fd));
	EXPECT_EQ(-EXDEV, rename_across());
}

TEST_F(stack, of_extended_layers_leaves_files_alone)
{
	ASSERT_EQ(0, restrict_extended(TCP | UDP));
	ASSERT_EQ(0, enforce(extended(0, SOCKET_CREATE)));
	EXPECT_EQ(0, rename_across());
	EXPECT_EQ(0, unlink("a/file"));
}

TEST_HARNESS_MAIN
