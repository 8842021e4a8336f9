// SPDX-License-Identifier: GPL-2.0
/*
 * Portlock tests: trace events and audit records
 *
 * Landlock's own events and records have upstream's tests.  These are about
 * extended rulesets: the events of their rules, and the denials that Landlock
 * has no name for.
 */

#include <linux/audit.h>
#include <linux/netlink.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "kselftest_harness.h"
#include "extended.h"

/* The port that is refused, and another one. */
#define PORT 1025
#define OTHER_PORT 1026

/* Rulesets */

static int extended_with(__u64 access_net, __u64 quiet, __u64 permissions)
{
	const struct portlock_ruleset_attr attr = {
		.handled_access_net = access_net,
		.quiet_access_net = quiet,
		.handled_permissions = permissions,
	};

	return create_ruleset(&attr, sizeof(attr), PORTLOCK_CREATE_RULESET);
}

static int add_net_attr(int ruleset_fd, const struct portlock_net_attr *attr,
			__u32 flags)
{
	return add_rule(ruleset_fd, PORTLOCK_RULE_NET, attr, flags);
}

/* Enforces @ruleset_fd, with @flags, and closes it. */
static int enforce_with(int ruleset_fd, __u32 flags)
{
	int ret = ruleset_fd < 0 ? ruleset_fd : no_new_privs();

	if (!ret)
		ret = restrict_self(ruleset_fd, flags);
	close(ruleset_fd);
	return ret;
}

/* Adds a layer that refuses to listen. */
static int refuse_listen(__u32 flags)
{
	return enforce_with(extended_with(LISTEN_TCP, 0, 0), flags);
}

/* Denials */

static int listen_on_port(int family, int protocol, __u16 port)
{
	const int fd = make_socket(family, SOCK_STREAM, protocol);
	int ret = 0;

	if (fd < 0)
		return fd;
	if (port)
		ret = bind_fd(fd, family, port);
	if (!ret && listen(fd, 1))
		ret = -errno;
	close(fd);
	return ret;
}

static int listen_ipv4(int fd)
{
	return listen_on_port(AF_INET, 0, PORT);
}

static int listen_ipv6(int fd)
{
	return listen_on_port(AF_INET6, 0, PORT);
}

static int listen_mptcp(int fd)
{
	return listen_on_port(AF_INET, IPPROTO_MPTCP, PORT);
}

static int listen_unbound(int fd)
{
	return listen_on_port(AF_INET, 0, 0);
}

/* A ruleset about accept(2), whose rules may be quiet. */
static int accept_ruleset(void)
{
	return extended_with(ACCEPT_TCP, ACCEPT_TCP, 0);
}

/* Accepts a connection from OTHER_PORT on @port. */
static int accept_on(int family, __u16 port)
{
	const int listener = listen_on(family, 0, port);
	const int client = make_socket(family, SOCK_STREAM, 0);
	int ret;

	ret = bind_fd(client, family, OTHER_PORT);
	if (!ret)
		ret = connect_fd(client, family, port);
	if (!ret && accept(listener, NULL, NULL) < 0)
		ret = -errno;
	close(client);
	close(listener);
	return ret;
}

static int accept_on_port(int fd)
{
	return accept_on(AF_INET, PORT);
}

/* The rule is about the port, and not about the peer. */
static int accept_peer(int fd)
{
	const int ret = accept_on(AF_INET6, CLOSED_PORT);

	return ret == -ECONNABORTED ? -EACCES : ret;
}

static int listen_fd(int fd)
{
	return listen(fd, 1) ? -errno : 0;
}

static int connect_to_port(int fd)
{
	return connect_fd(fd, AF_INET, PORT);
}

static int create_udp(int fd)
{
	const int new_fd = make_socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP);

	if (new_fd < 0)
		return new_fd;
	close(new_fd);
	return 0;
}

static int bind_to_device(int fd)
{
	return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) ? -errno :
								      0;
}

static int send_byte(int fd)
{
	return send_fd_to(fd, 0, 0);
}

static int receive_byte(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) < 0 ? -errno : 0;
}

static int get_zero_copy(int fd)
{
	struct tcp_zerocopy_receive none = {};
	socklen_t size = sizeof(none);

	return getsockopt(fd, SOL_TCP, TCP_ZEROCOPY_RECEIVE, &none, &size) ?
		       -errno : 0;
}

static int get_type(int fd)
{
	int value;
	socklen_t size = sizeof(value);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &size) ? -errno : 0;
}

static int set_keepalive(int fd)
{
	const int one = 1;

	return set_option(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
}

static int shut_down(int fd)
{
	return shutdown(fd, SHUT_WR) ? -errno : 0;
}

/*
 * Connects OTHER_PORT to PORT, and returns that end, or the one that was
 * accepted.  The other end stays open.
 */
static int end_of_connection(const char *address, int type, int protocol,
			     bool is_accepted)
{
	const int server = make_socket(family_of(address), type, protocol);
	const int client = make_socket(family_of(address), type, protocol);
	int ret;

	if (server < 0 || client < 0)
		return server < 0 ? server : client;
	ret = bind_to(server, address, PORT);
	if (!ret && type == SOCK_STREAM)
		ret = try_listen(server);
	if (!ret)
		ret = bind_to(client, address, OTHER_PORT);
	if (!ret)
		ret = connect_to(client, address, PORT);
	if (ret || !is_accepted)
		return ret ? ret : client;
	return try_accept(server);
}

/* Sends to the peer with options that may hold a source route. */
static int send_with_options(int fd)
{
	static const unsigned char no_operation[4] = { 1, 1, 1, 0 };
	char control[CMSG_SPACE(sizeof(no_operation))] = {};
	struct iovec iov = {
		.iov_base = "x",
		.iov_len = 1,
	};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *const cmsg = CMSG_FIRSTHDR(&msg);
	int ret;

	ret = bind_fd(fd, AF_INET, PORT);
	if (!ret)
		ret = connect_fd(fd, AF_INET, CLOSED_PORT);
	if (ret)
		return ret;
	cmsg->cmsg_level = SOL_IP;
	cmsg->cmsg_type = IP_RETOPTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(no_operation));
	memcpy(CMSG_DATA(cmsg), no_operation, sizeof(no_operation));
	return sendmsg(fd, &msg, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

/* Trace */

#define TRACEFS "/sys/kernel/tracing"
#define INSTANCE TRACEFS "/instances/portlock_test"

static char trace[1 << 18];

/* Makes a trace buffer of this program's own and enables its events. */
static int start_trace(void)
{
	int ret;

	if (access(TRACEFS "/instances", F_OK) &&
	    mount("tracefs", TRACEFS, "tracefs", 0, NULL))
		return -errno;
	rmdir(INSTANCE);
	if (mkdir(INSTANCE, 0700))
		return -errno;
	ret = write_text(INSTANCE "/events/landlock/enable", "1");
	return ret ? ret :
		     write_text(INSTANCE "/events/portlock/enable", "1");
}

/*
 * Returns what the last event with @name says, or "none", and counts these
 * events.
 */
static const char *event(const char *name, int *num)
{
	static char text[512];
	char key[64];
	const char *at = trace;

	*num = 0;
	strcpy(text, "none");
	if (read_text(INSTANCE "/trace", trace, sizeof(trace)))
		return "unreadable";
	snprintf(key, sizeof(key), ": %s: ", name);
	while ((at = strstr(at, key))) {
		at += strlen(key);
		snprintf(text, sizeof(text), "%.*s", (int)strcspn(at, "\n"),
			 at);
		(*num)++;
	}
	return text;
}

/* Expects one event with @name since the last call. */
#define EXPECT_EVENT(name, fmt, ...)					\
	do {								\
		char expected[512];					\
		int num;						\
									\
		snprintf(expected, sizeof(expected), fmt, ##__VA_ARGS__); \
		EXPECT_STREQ(expected, event(name, &num));		\
		EXPECT_EQ(1, num)					\
			TH_LOG("%s", trace);				\
		EXPECT_EQ(0, write_text(INSTANCE "/trace", ""));	\
	} while (0)

/* Expects one event of a denial, by a layer that is not permissive. */
#define EXPECT_DENIAL(fmt, ...) \
	EXPECT_EVENT("portlock_deny", fmt " permissive=0", ##__VA_ARGS__)

#define EXPECT_NO_EVENT(name)						\
	do {								\
		int num;						\
									\
		EXPECT_STREQ("none", event(name, &num));		\
	} while (0)

/* Returns the ID in the last event with @name, after @key. */
static unsigned long long id_of(const char *name, const char *key)
{
	int num;
	const char *const at = strstr(event(name, &num), key);

	return at ? strtoull(at + strlen(key), NULL, 16) : 0;
}

static unsigned long long last_domain(void)
{
	return id_of("landlock_create_domain", "domain=");
}

FIXTURE(trace)
{
	int fd;
	unsigned long long ruleset;
};

FIXTURE_SETUP(trace)
{
	int ret;

	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ret = start_trace();
	if (ret)
		SKIP(return, "no trace events: %s", strerror(-ret));
	ASSERT_EQ(0, own_network());
	self->fd = extended_with(ALL_NET | LISTEN_TCP, LISTEN_TCP,
				 SOCKET_CREATE);
	ASSERT_LE(0, self->fd);
	self->ruleset = id_of("landlock_create_ruleset", "ruleset=");
	ASSERT_NE(0, self->ruleset);
}

FIXTURE_TEARDOWN(trace)
{
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, rmdir(INSTANCE));
}

TEST_F(trace, events_have_the_layout_of_the_documentation)
{
	static const struct {
		const char *event;
		/* Type and name with the size, in this order. */
		const char *fields[12];
	} layouts[] = {
		{ "portlock_add_rule_net",
		  { "u64 ruleset_id;8", "u64 ruleset_version;8",
		    "u64 access_rights;8", "u64 port_first;8",
		    "u64 port_last;8", "u32 flags;4", "u32 family;4",
		    "u8 address[16];16", "u32 prefix_len;4" } },
		{ "portlock_add_rule_socket",
		  { "u64 ruleset_id;8", "u64 ruleset_version;8",
		    "u64 permissions;8", "s32 family;4", "s32 type;4",
		    "s32 protocol;4" } },
		{ "portlock_deny",
		  { "u64 domain_id;8", "bool same_exec;1", "bool logged;1",
		    "u16 address_family;2", "s32 family;4", "s32 type;4",
		    "s32 protocol;4", "s32 port;4", "u8 address[16];16",
		    "__data_loc char[] blockers;4", "bool permissive;1" } },
		{ "portlock_add_rule_opened",
		  { "u64 ruleset_id;8", "u64 ruleset_version;8",
		    "u64 access_rights;8", "u64 cookie;8" } },
	};
	char path[128], format[4096], field[128];
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(layouts); i++) {
		const char *at = format;

		snprintf(path, sizeof(path),
			 INSTANCE "/events/portlock/%s/format",
			 layouts[i].event);
		ASSERT_EQ(0, read_text(path, format, sizeof(format)));
		/* Each event begins with four common fields. */
		for (j = 0; j < 5 && at; j++)
			at = strstr(at + 1, "\tfield:");
		for (j = 0; layouts[i].fields[j]; j++) {
			const char *size;

			ASSERT_NE(NULL, at)
				TH_LOG("%s", format);
			size = strstr(at, "size:");
			ASSERT_NE(NULL, size);
			snprintf(field, sizeof(field), "%.*s;%d",
				 (int)strcspn(at + 7, ";"), at + 7,
				 atoi(size + 5));
			EXPECT_STREQ(layouts[i].fields[j], field);
			at = strstr(at + 1, "\tfield:");
		}
		EXPECT_EQ(NULL, at)
			TH_LOG("%s has more fields", layouts[i].event);
	}
}

TEST_F(trace, rules_about_networks_have_an_event)
{
	const struct portlock_net_attr ipv4 = {
		.allowed_access = BIND_TCP | LISTEN_TCP,
		.port_first = 8000,
		.port_last = 65535,
		.family = AF_INET,
		.prefix_len = 23,
		.address = { 192, 168, 2 },
	};
	const struct portlock_net_attr ipv6 = {
		.allowed_access = SEND_UDP,
		.family = AF_INET6,
		.prefix_len = 64,
		.address = { 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 1 },
	};
	const struct portlock_net_attr any = {
		.port_first = 443,
		.port_last = 443,
	};

	ASSERT_EQ(0, add_net_attr(self->fd, &ipv4, 0));
	EXPECT_EVENT("portlock_add_rule_net",
		     "ruleset=%llx.1 flags=0x0 access_rights=bind_tcp|listen_tcp port_first=8000 port_last=65535 family=2 address=192.168.2.0 prefix_len=23",
		     self->ruleset);
	ASSERT_EQ(0, add_net_attr(self->fd, &ipv6, 0));
	EXPECT_EVENT("portlock_add_rule_net",
		     "ruleset=%llx.2 flags=0x0 access_rights=connect_send_udp port_first=0 port_last=0 family=10 address=2001:db8:0:1:: prefix_len=64",
		     self->ruleset);
	ASSERT_EQ(0, add_net_attr(self->fd, &any, LANDLOCK_ADD_RULE_QUIET));
	EXPECT_EVENT("portlock_add_rule_net",
		     "ruleset=%llx.3 flags=0x1 access_rights= port_first=443 port_last=443 family=0 address= prefix_len=0",
		     self->ruleset);
	EXPECT_NO_EVENT("landlock_add_rule_net_port");
}

TEST_F(trace, rules_about_networks_name_their_rights)
{
	const struct portlock_net_attr all = {
		.allowed_access = ALL_TCP | ALL_UDP,
		.port_first = 443,
		.port_last = 443,
	};
	const int fd = extended_with(ALL_TCP | ALL_UDP, 0, 0);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, add_net_attr(fd, &all, 0));
	EXPECT_EVENT("portlock_add_rule_net",
		     "ruleset=%llx.1 flags=0x0 access_rights=bind_tcp|connect_tcp|bind_udp|connect_send_udp|listen_tcp|accept_tcp|send_tcp|receive_tcp|shutdown_tcp|getsockopt_tcp|setsockopt_tcp|receive_udp|shutdown_udp|getsockopt_udp|setsockopt_udp port_first=443 port_last=443 family=0 address= prefix_len=0",
		     id_of("landlock_create_ruleset", "ruleset="));
	EXPECT_EQ(0, close(fd));
}

TEST_F(trace, rules_about_sockets_have_an_event)
{
	ASSERT_EQ(0, add_socket(self->fd, AF_INET, SOCK_STREAM, IPPROTO_TCP));
	EXPECT_EVENT("portlock_add_rule_socket",
		     "ruleset=%llx.1 permissions=socket_create family=2 type=1 protocol=6",
		     self->ruleset);
	ASSERT_EQ(0, add_socket(self->fd, AF_UNIX, -1, -1));
	EXPECT_EVENT("portlock_add_rule_socket",
		     "ruleset=%llx.2 permissions=socket_create family=1 type=-1 protocol=-1",
		     self->ruleset);
}

TEST_F(trace, a_rule_for_a_port_has_both_events)
{
	int num;

	ASSERT_EQ(0, add_port(self->fd, 80, CONNECT_TCP | LISTEN_TCP));
	EXPECT_EQ(0, strncmp(event("landlock_add_rule_net_port", &num),
			     "ruleset=", 8));
	EXPECT_EQ(1, num);
	EXPECT_EQ(self->ruleset,
		  id_of("landlock_add_rule_net_port", "ruleset="));
	EXPECT_NE(NULL, strstr(event("landlock_add_rule_net_port", &num),
			       ".1 access_rights=connect_tcp port=80"));
	EXPECT_EVENT("portlock_add_rule_net",
		     "ruleset=%llx.1 flags=0x0 access_rights=connect_tcp|listen_tcp port_first=80 port_last=80 family=0 address= prefix_len=0",
		     self->ruleset);
}

TEST_F(trace, a_plain_ruleset_has_landlocks_events_only)
{
	const int fd = net_ruleset(BIND_TCP);
	int num;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, add_port(fd, 80, BIND_TCP));
	EXPECT_NO_EVENT("portlock_add_rule_net");
	event("landlock_add_rule_net_port", &num);
	EXPECT_EQ(1, num);
	EXPECT_EQ(0, close(fd));
}

TEST_F(trace, a_rule_that_is_not_added_has_no_event)
{
	const struct portlock_net_attr net = {
		.allowed_access = BIND_TCP,
		.port_first = 1,
	};

	ASSERT_EQ(-EINVAL, add_net_attr(self->fd, &net, 0));
	ASSERT_EQ(-EINVAL, add_socket(self->fd, 255, -1, -1));
	EXPECT_NO_EVENT("portlock_add_rule_net");
	EXPECT_NO_EVENT("portlock_add_rule_socket");
	/* Nor is it counted. */
	ASSERT_EQ(0, add_socket(self->fd, 0, 0, 0));
	EXPECT_EVENT("portlock_add_rule_socket",
		     "ruleset=%llx.1 permissions=socket_create family=0 type=0 protocol=0",
		     self->ruleset);
}

TEST_F(trace, landlocks_rights_keep_their_events)
{
	const struct portlock_net_attr rule = {
		.allowed_access = ALL_NET,
		.port_first = PORT,
		.port_last = PORT,
		.family = AF_INET,
		.prefix_len = 32,
		.address = { 10, 0, 0, 1 },
	};
	unsigned long long domain;

	ASSERT_EQ(0, add_net_attr(self->fd, &rule, 0));
	ASSERT_EQ(0, add_socket(self->fd, AF_INET, -1, -1));
	ASSERT_EQ(0, no_new_privs());
	ASSERT_EQ(0, restrict_self(self->fd, 0));
	domain = last_domain();

	/* By port, then by address. */
	EXPECT_EQ(-EACCES, try_bind(AF_INET, SOCK_STREAM, OTHER_PORT));
	EXPECT_EVENT("landlock_deny_access_net",
		     "domain=%llx same_exec=1 logged=1 blockers=bind_tcp port=%d",
		     domain, OTHER_PORT);
	EXPECT_EQ(-EACCES, try_connect(AF_INET, SOCK_STREAM, PORT));
	EXPECT_EVENT("landlock_deny_access_net",
		     "domain=%llx same_exec=1 logged=1 blockers=connect_tcp port=%d",
		     domain, PORT);
	EXPECT_EQ(-EACCES, try_bind(AF_INET, SOCK_DGRAM, PORT));
	EXPECT_EVENT("landlock_deny_access_net",
		     "domain=%llx same_exec=1 logged=1 blockers=bind_udp port=%d",
		     domain, PORT);
	EXPECT_EQ(-EACCES, try_sendto(AF_INET, PORT));
	EXPECT_EVENT("landlock_deny_access_net",
		     "domain=%llx same_exec=1 logged=1 blockers=connect_send_udp port=%d",
		     domain, PORT);
	EXPECT_NO_EVENT("portlock_deny");
}

TEST_F(trace, what_is_allowed_has_no_event)
{
	const struct portlock_net_attr rule = {
		.allowed_access = LISTEN_TCP,
		.port_first = PORT,
		.port_last = PORT,
	};
	const int fd = extended_with(LISTEN_TCP, 0, 0);

	ASSERT_EQ(0, add_net_attr(fd, &rule, 0));
	ASSERT_EQ(0, enforce(fd));
	EXPECT_EQ(0, listen_ipv4(-1));
	EXPECT_NO_EVENT("portlock_deny");
}

/* By port and by address, without the cached answer and with it. */
TEST_F(trace, what_is_allowed_on_a_connection_has_no_event)
{
	const int connected = end_of_connection("127.0.0.1", SOCK_STREAM, 0,
						false);
	const int udp = end_of_connection("127.0.0.1", SOCK_DGRAM, 0, false);
	int i;

	ASSERT_LE(0, connected);
	ASSERT_LE(0, udp);
	ASSERT_EQ(0, restrict_to(ALL_TCP | ALL_UDP, ALL_TCP | ALL_UDP, 0,
				 UINT16_MAX, NULL));
	ASSERT_EQ(0, restrict_to(ALL_TCP, ALL_TCP, PORT, PORT, "127.0.0.0/8"));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, send_byte(connected));
		EXPECT_EQ(-EAGAIN, receive_byte(connected));
		EXPECT_EQ(-EAGAIN, receive_byte(udp));
		EXPECT_EQ(0, get_type(connected));
		EXPECT_EQ(0, get_type(udp));
		EXPECT_EQ(0, set_keepalive(connected));
		EXPECT_EQ(0, set_keepalive(udp));
	}
	EXPECT_EQ(0, shut_down(connected));
	EXPECT_EQ(0, shut_down(udp));
	EXPECT_NO_EVENT("portlock_deny");
}

/* What is the same in every denial to listen on PORT. */
#define LISTEN_DENIED                                             \
	"blockers=net.listen_tcp family=2 type=1 protocol=6 port=1025 " \
	"address_family=2 address=127.0.0.1"

TEST_F(trace, a_denial_names_the_youngest_layer_that_refuses)
{
	unsigned long long first, second;

	ASSERT_EQ(0, refuse_listen(0));
	first = last_domain();
	ASSERT_EQ(0, restrict_all(BIND_UDP));
	ASSERT_EQ(-EACCES, listen_ipv4(-1));
	EXPECT_DENIAL("domain=%llx same_exec=1 logged=1 " LISTEN_DENIED, first);

	ASSERT_EQ(0, refuse_listen(0));
	second = last_domain();
	ASSERT_NE(first, second);
	ASSERT_EQ(-EACCES, listen_ipv4(-1));
	EXPECT_DENIAL("domain=%llx same_exec=1 logged=1 " LISTEN_DENIED, second);
}

TEST_F(trace, denials_count_for_their_domain)
{
	unsigned long long domain;
	char expected[80];
	int num, tries;
	pid_t child;

	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		_exit(refuse_listen(0) || listen_ipv4(-1) != -EACCES ||
		      listen_ipv6(-1) != -EACCES);
	ASSERT_EQ(0, wait_child(child));
	domain = last_domain();
	ASSERT_NE(0, domain);

	/* The kernel frees it a little later, maybe before those of others. */
	snprintf(expected, sizeof(expected),
		 ": landlock_free_domain: domain=%llx denials=2\n", domain);
	for (tries = 0; tries < 100; tries++) {
		event("landlock_free_domain", &num);
		if (strstr(trace, expected))
			break;
		usleep(100000);
	}
	EXPECT_NE(NULL, strstr(trace, expected))
		TH_LOG("%s", trace);
}

TEST_F(trace, a_quiet_rule_clears_logged)
{
	const struct portlock_net_attr rule = {
		.port_first = PORT,
		.port_last = PORT,
		.family = AF_INET,
		.prefix_len = 8,
		.address = { 127 },
	};
	const struct portlock_net_attr other = {
		.allowed_access = LISTEN_TCP,
		.port_first = OTHER_PORT,
		.port_last = OTHER_PORT,
		.family = AF_INET,
		.prefix_len = 8,
		.address = { 10 },
	};
	const int fd = extended_with(LISTEN_TCP, LISTEN_TCP, 0);
	unsigned long long domain;

	ASSERT_EQ(0, add_net_attr(fd, &rule, LANDLOCK_ADD_RULE_QUIET));
	ASSERT_EQ(0, add_net_attr(fd, &other, 0));
	ASSERT_EQ(0, enforce(fd));
	domain = last_domain();
	ASSERT_EQ(-EACCES, listen_ipv4(-1));
	EXPECT_DENIAL("domain=%llx same_exec=1 logged=0 " LISTEN_DENIED, domain);
	/* The rule is about another address. */
	ASSERT_EQ(-EACCES, listen_ipv6(-1));
	EXPECT_DENIAL("domain=%llx same_exec=1 logged=1 blockers=net.listen_tcp family=10 type=1 protocol=6 port=%d address_family=10 address=::1",
		     domain, PORT);
}

TEST_F(trace, a_quiet_rule_may_be_the_only_one_with_an_address)
{
	const struct portlock_net_attr rule = {
		.port_first = PORT,
		.port_last = PORT,
		.family = AF_INET,
		.prefix_len = 8,
		.address = { 127 },
	};
	const int fd = extended_with(LISTEN_TCP, LISTEN_TCP, 0);
	unsigned long long domain;

	ASSERT_EQ(0, add_net_attr(fd, &rule, LANDLOCK_ADD_RULE_QUIET));
	ASSERT_EQ(0, enforce(fd));
	domain = last_domain();
	ASSERT_EQ(-EACCES, listen_ipv4(-1));
	EXPECT_DENIAL("domain=%llx same_exec=1 logged=0 " LISTEN_DENIED, domain);
}

TEST_F(trace, a_quiet_rule_is_about_quiet_rights_only)
{
	const struct portlock_net_attr rule = {
		.port_first = PORT,
		.port_last = PORT,
	};
	const int fd = extended_with(BIND_UDP | LISTEN_TCP, BIND_UDP, 0);
	unsigned long long domain;

	ASSERT_EQ(0, add_net_attr(fd, &rule, LANDLOCK_ADD_RULE_QUIET));
	ASSERT_EQ(0, enforce(fd));
	domain = last_domain();
	ASSERT_EQ(-EACCES, listen_ipv4(-1));
	EXPECT_DENIAL("domain=%llx same_exec=1 logged=1 " LISTEN_DENIED, domain);
}

/* What is the same in every denial to shut TCP down. */
#define SHUTDOWN_DENIED "blockers=net.shutdown_tcp family=%d type=1 protocol=6 "

TEST_F(trace, a_quiet_rule_is_about_the_service_port_and_the_peer)
{
	const struct portlock_net_attr rule = {
		.port_first = PORT,
		.port_last = PORT,
		.family = AF_INET,
		.prefix_len = 8,
		.address = { 127 },
	};
	const int accepted = end_of_connection("127.0.0.1", SOCK_STREAM, 0,
					       true);
	const int connected = end_of_connection("::1", SOCK_STREAM, 0, false);
	const int loose = make_socket(AF_INET, SOCK_STREAM, 0);
	const int fd = extended_with(SHUTDOWN_TCP, SHUTDOWN_TCP, 0);
	unsigned long long domain;

	ASSERT_LE(0, accepted);
	ASSERT_LE(0, connected);
	ASSERT_LE(0, loose);
	ASSERT_EQ(0, add_net_attr(fd, &rule, LANDLOCK_ADD_RULE_QUIET));
	ASSERT_EQ(0, enforce(fd));
	domain = last_domain();
	ASSERT_EQ(-EACCES, shut_down(accepted));
	EXPECT_DENIAL("domain=%llx same_exec=1 logged=0 " SHUTDOWN_DENIED
		     "port=%d address_family=2 address=127.0.0.1",
		     domain, AF_INET, PORT);
	/* The rule is about another address. */
	ASSERT_EQ(-EACCES, shut_down(connected));
	EXPECT_DENIAL("domain=%llx same_exec=1 logged=1 " SHUTDOWN_DENIED
		     "port=%d address_family=10 address=::1",
		     domain, AF_INET6, PORT);
	/* It is about another port, too, and here is no address. */
	ASSERT_EQ(-EACCES, shut_down(loose));
	EXPECT_DENIAL("domain=%llx same_exec=1 logged=1 " SHUTDOWN_DENIED
		     "port=0 address_family=0 address=",
		     domain, AF_INET);
}

/* The first step knows of no peer, so only rules without an address count. */
TEST_F(trace, a_quiet_rule_is_about_the_port_of_a_listener)
{
	struct portlock_net_attr rule = {
		.port_first = PORT,
		.port_last = PORT,
		.family = AF_INET,
		.prefix_len = 8,
		.address = { 127 },
	};
	int fd = accept_ruleset();
	unsigned long long domain;

	ASSERT_EQ(0, add_net_attr(fd, &rule, LANDLOCK_ADD_RULE_QUIET));
	ASSERT_EQ(0, enforce(fd));
	domain = last_domain();
	ASSERT_EQ(-EACCES, accept_on_port(-1));
	EXPECT_DENIAL("domain=%llx same_exec=1 logged=1 blockers=net.accept_tcp family=2 type=1 protocol=6 port=%d address_family=0 address=",
		     domain, PORT);

	fd = accept_ruleset();
	rule.family = 0;
	rule.prefix_len = 0;
	rule.address[0] = 0;
	ASSERT_EQ(0, add_net_attr(fd, &rule, LANDLOCK_ADD_RULE_QUIET));
	ASSERT_EQ(0, enforce(fd));
	domain = last_domain();
	ASSERT_EQ(-EACCES, accept_on_port(-1));
	EXPECT_DENIAL("domain=%llx same_exec=1 logged=0 blockers=net.accept_tcp family=2 type=1 protocol=6 port=%d address_family=0 address=",
		     domain, PORT);
}

TEST_F(trace, a_quiet_rule_is_about_the_peer_that_is_accepted)
{
	const struct portlock_net_attr quiet = {
		.port_first = PORT,
		.port_last = PORT,
		.family = AF_INET,
		.prefix_len = 8,
		.address = { 127 },
	};
	const struct portlock_net_attr other = {
		.allowed_access = ACCEPT_TCP,
		.port_first = PORT,
		.port_last = PORT,
		.family = AF_INET,
		.prefix_len = 8,
		.address = { 10 },
	};
	const int fd = accept_ruleset();
	unsigned long long domain;

	ASSERT_EQ(0, add_net_attr(fd, &quiet, LANDLOCK_ADD_RULE_QUIET));
	ASSERT_EQ(0, add_net_attr(fd, &other, 0));
	ASSERT_EQ(0, enforce(fd));
	domain = last_domain();
	ASSERT_EQ(-ECONNABORTED, accept_on(AF_INET, PORT));
	EXPECT_DENIAL("domain=%llx same_exec=1 logged=0 blockers=net.accept_tcp family=2 type=1 protocol=6 port=%d address_family=2 address=127.0.0.1",
		     domain, PORT);
	ASSERT_EQ(-ECONNABORTED, accept_on(AF_INET6, PORT));
	EXPECT_DENIAL("domain=%llx same_exec=1 logged=1 blockers=net.accept_tcp family=10 type=1 protocol=6 port=%d address_family=10 address=::1",
		     domain, PORT);
}

TEST_F(trace, log_flags_of_the_same_program_clear_logged)
{
	ASSERT_EQ(0, refuse_listen(LANDLOCK_RESTRICT_SELF_LOG_SAME_EXEC_OFF));
	const unsigned long long domain = last_domain();

	ASSERT_EQ(-EACCES, listen_ipv4(-1));
	EXPECT_DENIAL("domain=%llx same_exec=1 logged=0 " LISTEN_DENIED, domain);
}

TEST_F(trace, log_flags_for_subdomains_clear_logged)
{
	ASSERT_EQ(0, enforce_with(net_ruleset(BIND_UDP),
				  LANDLOCK_RESTRICT_SELF_LOG_SUBDOMAINS_OFF));
	ASSERT_EQ(0, refuse_listen(0));
	const unsigned long long domain = last_domain();

	ASSERT_EQ(-EACCES, listen_ipv4(-1));
	EXPECT_DENIAL("domain=%llx same_exec=1 logged=0 " LISTEN_DENIED, domain);
}

/* The tests that exec run their own program again with this variable set. */
#define AFTER_EXEC "PORTLOCK_TRACE_AFTER_EXEC"

__attribute__((constructor)) static void after_exec(void)
{
	if (getenv(AFTER_EXEC))
		_exit(listen_ipv4(-1) != -EACCES);
}

static int look_after_exec(void)
{
	static char *const argv[] = { "trace_test", NULL };
	static char *const envp[] = { AFTER_EXEC "=1", NULL };
	const pid_t child = fork();

	if (child < 0)
		return -errno;
	if (!child) {
		execve("/proc/self/exe", argv, envp);
		_exit(127);
	}
	return wait_child(child);
}

TEST_F(trace, another_program_is_not_logged)
{
	ASSERT_EQ(0, refuse_listen(0));
	const unsigned long long domain = last_domain();

	ASSERT_EQ(0, look_after_exec());
	EXPECT_DENIAL("domain=%llx same_exec=0 logged=0 " LISTEN_DENIED, domain);
}

TEST_F(trace, another_program_is_logged_on_demand)
{
	ASSERT_EQ(0, refuse_listen(LANDLOCK_RESTRICT_SELF_LOG_NEW_EXEC_ON));
	const unsigned long long domain = last_domain();

	ASSERT_EQ(0, look_after_exec());
	EXPECT_DENIAL("domain=%llx same_exec=0 logged=1 " LISTEN_DENIED, domain);
}

/* Audit */

static int audit_send(int fd, __u32 mask, bool on)
{
	const struct {
		struct nlmsghdr head;
		struct audit_status status;
	} message = {
		.head = {
			.nlmsg_len = sizeof(message),
			.nlmsg_type = AUDIT_SET,
			.nlmsg_flags = NLM_F_REQUEST,
		},
		.status = {
			.mask = mask,
			.enabled = on,
			.pid = on ? getpid() : 0,
		},
	};

	return send(fd, &message, sizeof(message), 0) < 0 ? -errno : 0;
}

/* Makes this process the one that gets the records. */
static int start_audit(void)
{
	const struct timeval timeout = {
		.tv_sec = 10,
	};
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC,
			      NETLINK_AUDIT);
	int ret;

	if (fd < 0)
		return -errno;
	ret = setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout,
			 sizeof(timeout)) ?
		      -errno : 0;
	if (!ret)
		ret = audit_send(fd, AUDIT_STATUS_ENABLED | AUDIT_STATUS_PID,
				 true);
	if (ret) {
		close(fd);
		return ret;
	}
	return fd;
}

/*
 * Returns the next record of @type, without its time, or what went wrong.  One
 * of an older domain's end is left out.
 */
static const char *record(int fd, __u16 type)
{
	static struct {
		struct nlmsghdr head;
		char data[4096];
	} message;
	const char *text;
	ssize_t len;

	do {
		len = recv(fd, &message, sizeof(message) - 1, 0);
		if (len < 0)
			return strerror(errno);
		((char *)&message)[len] = '\0';
		text = strstr(message.data, "): ");
	} while (message.head.nlmsg_type != type || !text ||
		 strstr(text, "status=deallocated"));
	return text + 3;
}

/* Denials that Landlock has no name for, in trace and audit */

FIXTURE(denial)
{
	int fd;
	int audit;
	unsigned long long domain;
};

FIXTURE_VARIANT(denial)
{
	/* What the layer handles, and what it grants for a port of 127/8. */
	__u64 access, granted, permissions;
	/* A socket that is made before the layer is enforced, if family. */
	int family, type, protocol;
	/* Or an end of a connection, if address. */
	const char *address;
	bool is_accepted;
	/* Is refused. */
	int (*call)(int fd);
	/* What is said of it. */
	const char *event, *record;
};

/* clang-format off */
#define NO_ADDRESS " port=-1 address_family=0 address="

FIXTURE_VARIANT_ADD(denial, listen_ipv4)
{
	.access = LISTEN_TCP,
	.call = listen_ipv4,
	.event = LISTEN_DENIED,
	.record = "net.listen_tcp laddr=127.0.0.1 lport=1025 saddr=127.0.0.1 src=1025",
};

FIXTURE_VARIANT_ADD(denial, listen_ipv6)
{
	.access = LISTEN_TCP,
	.call = listen_ipv6,
	.event = "blockers=net.listen_tcp family=10 type=1 protocol=6 port=1025 address_family=10 address=::1",
	.record = "net.listen_tcp laddr=::1 lport=1025 saddr=::1 src=1025",
};

/* The rule grants another port. */
FIXTURE_VARIANT_ADD(denial, listen_by_address)
{
	.access = LISTEN_TCP,
	.granted = LISTEN_TCP,
	.call = listen_ipv4,
	.event = LISTEN_DENIED,
	.record = "net.listen_tcp laddr=127.0.0.1 lport=1025 saddr=127.0.0.1 src=1025",
};

FIXTURE_VARIANT_ADD(denial, listen_mptcp)
{
	.access = LISTEN_TCP,
	.call = listen_mptcp,
	.event = "blockers=net.listen_tcp family=2 type=1 protocol=262 port=1025 address_family=2 address=127.0.0.1",
	.record = "net.listen_tcp laddr=127.0.0.1 lport=1025 saddr=127.0.0.1 src=1025",
};

FIXTURE_VARIANT_ADD(denial, listen_unbound)
{
	.access = LISTEN_TCP,
	.call = listen_unbound,
	.event = "blockers=net.listen_tcp family=2 type=1 protocol=6 port=0 address_family=2 address=0.0.0.0",
	.record = "net.listen_tcp",
};

FIXTURE_VARIANT_ADD(denial, accept_on_port)
{
	.access = ACCEPT_TCP,
	.call = accept_on_port,
	.event = "blockers=net.accept_tcp family=2 type=1 protocol=6 port=1025 address_family=0 address=",
	.record = "net.accept_tcp laddr=127.0.0.1 lport=1025 src=1025",
};

FIXTURE_VARIANT_ADD(denial, accept_peer)
{
	.access = ACCEPT_TCP,
	.granted = ACCEPT_TCP,
	.call = accept_peer,
	.event = "blockers=net.accept_tcp family=10 type=1 protocol=6 port=9 address_family=10 address=::1",
	.record = "net.accept_tcp laddr=::1 lport=9 faddr=::1 fport=1026 src=9 daddr=::1",
};

FIXTURE_VARIANT_ADD(denial, socket_create)
{
	.permissions = SOCKET_CREATE,
	.call = create_udp,
	.event = "blockers=socket.create family=2 type=2 protocol=17" NO_ADDRESS,
	.record = "socket.create",
};

FIXTURE_VARIANT_ADD(denial, option_tcp)
{
	.access = CONNECT_TCP,
	.granted = CONNECT_TCP,
	.family = AF_INET,
	.type = SOCK_STREAM,
	.call = bind_to_device,
	.event = "blockers=net.setsockopt_tcp family=2 type=1 protocol=6" NO_ADDRESS,
	.record = "net.setsockopt_tcp",
};

FIXTURE_VARIANT_ADD(denial, option_udp)
{
	.access = SEND_UDP,
	.granted = SEND_UDP,
	.family = AF_INET6,
	.type = SOCK_DGRAM,
	.call = bind_to_device,
	.event = "blockers=net.setsockopt_udp family=10 type=2 protocol=17" NO_ADDRESS,
	.record = "net.setsockopt_udp",
};

FIXTURE_VARIANT_ADD(denial, message_with_options)
{
	.access = SEND_UDP,
	.granted = SEND_UDP,
	.family = AF_INET,
	.type = SOCK_DGRAM,
	.call = send_with_options,
	.event = "blockers=net.connect_send_udp family=2 type=2 protocol=17 port=9 address_family=2 address=127.0.0.1",
	.record = "net.connect_send_udp laddr=127.0.0.1 lport=1025 faddr=127.0.0.1 fport=9 daddr=127.0.0.1 dest=9",
};

FIXTURE_VARIANT_ADD(denial, smc_connect)
{
	.access = CONNECT_TCP,
	.family = AF_SMC,
	.type = SOCK_STREAM,
	.call = connect_to_port,
	.event = "blockers=net.connect_tcp family=43 type=1 protocol=0" NO_ADDRESS,
	.record = "net.connect_tcp",
};

FIXTURE_VARIANT_ADD(denial, smc_listen)
{
	.access = LISTEN_TCP,
	.family = AF_INET,
	.type = SOCK_STREAM,
	.protocol = IPPROTO_SMC,
	.call = listen_fd,
	.event = "blockers=net.listen_tcp family=2 type=1 protocol=256" NO_ADDRESS,
	.record = "net.listen_tcp",
};
FIXTURE_VARIANT_ADD(denial, smc_shutdown)
{
	.access = SHUTDOWN_TCP,
	.family = AF_SMC,
	.type = SOCK_STREAM,
	.call = shut_down,
	.event = "blockers=net.shutdown_tcp family=43 type=1 protocol=0" NO_ADDRESS,
	.record = "net.shutdown_tcp",
};

/* The service port is the remote one. */
#define CONNECTED \
	" laddr=127.0.0.1 lport=1026 faddr=127.0.0.1 fport=1025 " \
	"daddr=127.0.0.1 dest=1025"
/* The service port is the local one. */
#define ACCEPTED \
	" laddr=127.0.0.1 lport=1025 faddr=127.0.0.1 fport=1026 " \
	"src=1025 daddr=127.0.0.1"
#define TCP_DENIED " family=2 type=1 protocol=6 port=1025 address_family=2 address=127.0.0.1"
#define UDP_DENIED " family=2 type=2 protocol=17 port=1025 address_family=2 address=127.0.0.1"

FIXTURE_VARIANT_ADD(denial, send_tcp)
{
	.access = SEND_TCP,
	.type = SOCK_STREAM,
	.address = "127.0.0.1",
	.call = send_byte,
	.event = "blockers=net.send_tcp" TCP_DENIED,
	.record = "net.send_tcp" CONNECTED,
};

/* The rule grants another port. */
FIXTURE_VARIANT_ADD(denial, send_tcp_by_address)
{
	.access = SEND_TCP,
	.granted = SEND_TCP,
	.type = SOCK_STREAM,
	.address = "127.0.0.1",
	.call = send_byte,
	.event = "blockers=net.send_tcp" TCP_DENIED,
	.record = "net.send_tcp" CONNECTED,
};

FIXTURE_VARIANT_ADD(denial, send_tcp_accepted)
{
	.access = SEND_TCP,
	.type = SOCK_STREAM,
	.address = "127.0.0.1",
	.is_accepted = true,
	.call = send_byte,
	.event = "blockers=net.send_tcp" TCP_DENIED,
	.record = "net.send_tcp" ACCEPTED,
};

FIXTURE_VARIANT_ADD(denial, send_mptcp_accepted)
{
	.access = SEND_TCP,
	.type = SOCK_STREAM,
	.protocol = IPPROTO_MPTCP,
	.address = "127.0.0.1",
	.is_accepted = true,
	.call = send_byte,
	.event = "blockers=net.send_tcp family=2 type=1 protocol=262 port=1025 address_family=2 address=127.0.0.1",
	.record = "net.send_tcp" ACCEPTED,
};

FIXTURE_VARIANT_ADD(denial, receive_tcp)
{
	.access = RECEIVE_TCP,
	.type = SOCK_STREAM,
	.address = "127.0.0.1",
	.call = receive_byte,
	.event = "blockers=net.receive_tcp" TCP_DENIED,
	.record = "net.receive_tcp" CONNECTED,
};

FIXTURE_VARIANT_ADD(denial, receive_tcp_by_an_option)
{
	.access = RECEIVE_TCP,
	.type = SOCK_STREAM,
	.address = "127.0.0.1",
	.call = get_zero_copy,
	.event = "blockers=net.receive_tcp" TCP_DENIED,
	.record = "net.receive_tcp" CONNECTED,
};

FIXTURE_VARIANT_ADD(denial, receive_tcp_on_ipv6)
{
	.access = RECEIVE_TCP,
	.type = SOCK_STREAM,
	.address = "::1",
	.is_accepted = true,
	.call = receive_byte,
	.event = "blockers=net.receive_tcp family=10 type=1 protocol=6 port=1025 address_family=10 address=::1",
	.record = "net.receive_tcp laddr=::1 lport=1025 faddr=::1 fport=1026 src=1025 daddr=::1",
};

/* A mapped address is one of IPv4, except where the socket is described. */
FIXTURE_VARIANT_ADD(denial, receive_tcp_on_mapped)
{
	.access = RECEIVE_TCP,
	.type = SOCK_STREAM,
	.address = "::ffff:127.0.0.1",
	.call = receive_byte,
	.event = "blockers=net.receive_tcp family=10 type=1 protocol=6 port=1025 address_family=2 address=127.0.0.1",
	.record = "net.receive_tcp laddr=::ffff:127.0.0.1 lport=1026 faddr=::ffff:127.0.0.1 fport=1025 daddr=127.0.0.1 dest=1025",
};

FIXTURE_VARIANT_ADD(denial, shutdown_tcp)
{
	.access = SHUTDOWN_TCP,
	.type = SOCK_STREAM,
	.address = "127.0.0.1",
	.is_accepted = true,
	.call = shut_down,
	.event = "blockers=net.shutdown_tcp" TCP_DENIED,
	.record = "net.shutdown_tcp" ACCEPTED,
};

FIXTURE_VARIANT_ADD(denial, getsockopt_tcp)
{
	.access = GETSOCKOPT_TCP,
	.type = SOCK_STREAM,
	.address = "127.0.0.1",
	.call = get_type,
	.event = "blockers=net.getsockopt_tcp" TCP_DENIED,
	.record = "net.getsockopt_tcp" CONNECTED,
};

/* Without any port. */
FIXTURE_VARIANT_ADD(denial, getsockopt_tcp_loose)
{
	.access = GETSOCKOPT_TCP,
	.family = AF_INET,
	.type = SOCK_STREAM,
	.call = get_type,
	.event = "blockers=net.getsockopt_tcp family=2 type=1 protocol=6 port=0 address_family=0 address=",
	.record = "net.getsockopt_tcp",
};

FIXTURE_VARIANT_ADD(denial, setsockopt_tcp)
{
	.access = SETSOCKOPT_TCP,
	.type = SOCK_STREAM,
	.address = "127.0.0.1",
	.is_accepted = true,
	.call = set_keepalive,
	.event = "blockers=net.setsockopt_tcp" TCP_DENIED,
	.record = "net.setsockopt_tcp" ACCEPTED,
};

/* The port that bind(2) named, and never the peer. */
FIXTURE_VARIANT_ADD(denial, receive_udp)
{
	.access = RECEIVE_UDP,
	.type = SOCK_DGRAM,
	.address = "127.0.0.1",
	.call = receive_byte,
	.event = "blockers=net.receive_udp family=2 type=2 protocol=17 port=1026 address_family=0 address=",
	.record = "net.receive_udp laddr=127.0.0.1 lport=1026 faddr=127.0.0.1 fport=1025 src=1026",
};

FIXTURE_VARIANT_ADD(denial, receive_udp_loose)
{
	.access = RECEIVE_UDP,
	.family = AF_INET6,
	.type = SOCK_DGRAM,
	.call = receive_byte,
	.event = "blockers=net.receive_udp family=10 type=2 protocol=17 port=0 address_family=0 address=",
	.record = "net.receive_udp",
};

FIXTURE_VARIANT_ADD(denial, shutdown_udp)
{
	.access = SHUTDOWN_UDP,
	.type = SOCK_DGRAM,
	.address = "127.0.0.1",
	.call = shut_down,
	.event = "blockers=net.shutdown_udp" UDP_DENIED,
	.record = "net.shutdown_udp" CONNECTED,
};

FIXTURE_VARIANT_ADD(denial, getsockopt_udp)
{
	.access = GETSOCKOPT_UDP,
	.type = SOCK_DGRAM,
	.address = "127.0.0.1",
	.call = get_type,
	.event = "blockers=net.getsockopt_udp" UDP_DENIED,
	.record = "net.getsockopt_udp" CONNECTED,
};

FIXTURE_VARIANT_ADD(denial, setsockopt_udp)
{
	.access = SETSOCKOPT_UDP,
	.type = SOCK_DGRAM,
	.address = "127.0.0.1",
	.call = set_keepalive,
	.event = "blockers=net.setsockopt_udp" UDP_DENIED,
	.record = "net.setsockopt_udp" CONNECTED,
};
/* clang-format on */

FIXTURE_SETUP(denial)
{
	const struct portlock_net_attr rule = {
		.allowed_access = variant->granted,
		.port_first = CLOSED_PORT,
		.port_last = CLOSED_PORT,
		.family = AF_INET,
		.prefix_len = 8,
		.address = { 127 },
	};
	int fd;

	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	ASSERT_EQ(0, own_network());
	if (variant->family)
		self->fd = make_socket(variant->family, variant->type,
				       variant->protocol);
	if (variant->address)
		self->fd = end_of_connection(variant->address, variant->type,
					     variant->protocol,
					     variant->is_accepted);
	if (self->fd < 0)
		SKIP(return, "no such socket: %s", strerror(-self->fd));
	fd = start_trace();
	if (fd)
		SKIP(return, "no trace events: %s", strerror(-fd));
	self->audit = start_audit();
	ASSERT_LE(0, self->audit);
	fd = extended_with(variant->access, 0, variant->permissions);
	ASSERT_LE(0, fd);
	if (variant->granted)
		ASSERT_EQ(0, add_net_attr(fd, &rule, 0));
	ASSERT_EQ(0, enforce(fd));
	self->domain = last_domain();
	ASSERT_NE(0, self->domain);
}

FIXTURE_TEARDOWN(denial)
{
	EXPECT_EQ(0, audit_send(self->audit,
				AUDIT_STATUS_ENABLED | AUDIT_STATUS_PID,
				false));
	EXPECT_EQ(0, rmdir(INSTANCE));
}

TEST_F(denial, has_an_event)
{
	ASSERT_EQ(-EACCES, variant->call(self->fd));
	EXPECT_DENIAL("domain=%llx same_exec=1 logged=1 %s",
		     self->domain, variant->event);
	EXPECT_NO_EVENT("landlock_deny_access_net");
}

TEST_F(denial, has_records)
{
	char expected[256];

	ASSERT_EQ(-EACCES, variant->call(self->fd));
	snprintf(expected, sizeof(expected), "domain=%llx blockers=%s",
		 self->domain, variant->record);
	EXPECT_STREQ(expected, record(self->audit, AUDIT_LANDLOCK_ACCESS));
	snprintf(expected, sizeof(expected),
		 "domain=%llx status=allocated mode=enforcing pid=%d uid=0 exe=",
		 self->domain, getpid());
	EXPECT_EQ(0, strncmp(expected,
			     record(self->audit, AUDIT_LANDLOCK_DOMAIN),
			     strlen(expected)));
}

FIXTURE(audit)
{
	int fd;
};

FIXTURE_SETUP(audit)
{
	if (is_c_landlock())
		SKIP(return, C_LANDLOCK);
	self->fd = start_audit();
	if (self->fd < 0)
		SKIP(return, "no audit: %s", strerror(-self->fd));
	ASSERT_EQ(0, own_network());
}

FIXTURE_TEARDOWN(audit)
{
	EXPECT_EQ(0, audit_send(self->fd,
				AUDIT_STATUS_ENABLED | AUDIT_STATUS_PID,
				false));
}

/* Returns what the next record of a denial says after the domain. */
static const char *denial_record(int fd)
{
	const char *const text = record(fd, AUDIT_LANDLOCK_ACCESS);
	const char *const space = strchr(text, ' ');

	return space ? space + 1 : text;
}

TEST_F(audit, quiet_denials_have_no_record)
{
	const struct portlock_net_attr rule = {
		.port_first = PORT,
		.port_last = PORT,
	};
	const int fd = extended_with(LISTEN_TCP, LISTEN_TCP, 0);

	ASSERT_EQ(0, add_net_attr(fd, &rule, LANDLOCK_ADD_RULE_QUIET));
	ASSERT_EQ(0, enforce(fd));
	ASSERT_EQ(-EACCES, listen_on_port(AF_INET, 0, PORT));
	ASSERT_EQ(-EACCES, listen_on_port(AF_INET, 0, OTHER_PORT));
	EXPECT_STREQ("blockers=net.listen_tcp laddr=127.0.0.1 lport=1026 saddr=127.0.0.1 src=1026",
		     denial_record(self->fd));
}

TEST_F(audit, log_flags_silence_records)
{
	ASSERT_EQ(0, refuse_listen(LANDLOCK_RESTRICT_SELF_LOG_SAME_EXEC_OFF));
	ASSERT_EQ(-EACCES, listen_on_port(AF_INET, 0, PORT));
	/* A younger layer, which refuses too, tells of it. */
	ASSERT_EQ(0, refuse_listen(0));
	ASSERT_EQ(-EACCES, listen_on_port(AF_INET, 0, OTHER_PORT));
	EXPECT_STREQ("blockers=net.listen_tcp laddr=127.0.0.1 lport=1026 saddr=127.0.0.1 src=1026",
		     denial_record(self->fd));
}

/* Both ends have the same port. */
TEST_F(audit, a_remote_port_is_no_local_one_with_the_same_number)
{
	const int server = listen_on(AF_INET, 0, PORT);
	const int client = make_socket(AF_INET, SOCK_STREAM, 0);
	int accepted;

	ASSERT_LE(0, server);
	ASSERT_EQ(0, bind_to(client, "127.0.0.2", PORT));
	ASSERT_EQ(0, connect_to(client, "127.0.0.1", PORT));
	accepted = try_accept(server);
	ASSERT_LE(0, accepted);
	ASSERT_EQ(0, enforce(extended_with(SHUTDOWN_TCP, 0, 0)));
	ASSERT_EQ(-EACCES, shut_down(client));
	EXPECT_STREQ("blockers=net.shutdown_tcp laddr=127.0.0.2 lport=1025 faddr=127.0.0.1 fport=1025 daddr=127.0.0.1 dest=1025",
		     denial_record(self->fd));
	ASSERT_EQ(-EACCES, shut_down(accepted));
	EXPECT_STREQ("blockers=net.shutdown_tcp laddr=127.0.0.1 lport=1025 faddr=127.0.0.2 fport=1025 src=1025 daddr=127.0.0.2",
		     denial_record(self->fd));
}

TEST_F(audit, landlocks_rights_keep_their_records)
{
	ASSERT_EQ(0, enforce(extended_with(BIND_TCP | CONNECT_TCP, 0, 0)));
	ASSERT_EQ(-EACCES, try_bind(AF_INET, SOCK_STREAM, PORT));
	EXPECT_STREQ("blockers=net.bind_tcp saddr=127.0.0.1 src=1025",
		     denial_record(self->fd));
	ASSERT_EQ(-EACCES, try_connect(AF_INET6, SOCK_STREAM, PORT));
	EXPECT_STREQ("blockers=net.connect_tcp daddr=::1 dest=1025",
		     denial_record(self->fd));
}

/* A permissive layer of an extended ruleset. */
static int permit(__u64 access_net)
{
	return enforce_with(extended_with(access_net, 0, 0),
			    PORTLOCK_RESTRICT_SELF_PERMISSIVE);
}

TEST_F(audit, permissive_layers_say_so_in_their_records)
{
	char expected[64];
	const char *text;

	ASSERT_EQ(0, permit(BIND_TCP | LISTEN_TCP));
	ASSERT_EQ(0, listen_on_port(AF_INET, 0, PORT));
	EXPECT_STREQ("blockers=net.bind_tcp saddr=127.0.0.1 src=1025 permissive=1",
		     denial_record(self->fd));
	text = record(self->fd, AUDIT_LANDLOCK_DOMAIN);
	snprintf(expected, sizeof(expected),
		 "status=allocated mode=permissive pid=%d uid=0 ", getpid());
	EXPECT_NE(NULL, strstr(text, expected))
		TH_LOG("%s", text);
	EXPECT_STREQ("blockers=net.listen_tcp laddr=127.0.0.1 lport=1025 saddr=127.0.0.1 src=1025 permissive=1",
		     denial_record(self->fd));
}

/* Landlock's rules about ptrace(2) hold, so the record is not one of those. */
TEST_F(audit, permissive_layers_refuse_to_trace)
{
	char expected[64];
	const pid_t child = fork();

	ASSERT_LE(0, child);
	if (!child) {
		pause();
		_exit(0);
	}
	EXPECT_EQ(0, permit(BIND_TCP));
	EXPECT_EQ(-1, ptrace(PTRACE_ATTACH, child, NULL, NULL));
	EXPECT_EQ(EPERM, errno);
	snprintf(expected, sizeof(expected),
		 "blockers=ptrace opid=%d ocomm=\"trace_test\"", child);
	EXPECT_STREQ(expected, denial_record(self->fd));
	EXPECT_EQ(0, kill(child, SIGKILL));
	EXPECT_EQ(child, waitpid(child, NULL, 0));
}

TEST_F(audit, each_layer_has_its_mode)
{
	ASSERT_EQ(0, permit(BIND_TCP));
	ASSERT_EQ(0, enforce(extended_with(BIND_TCP, 0, 0)));
	ASSERT_EQ(0, permit(BIND_TCP));
	ASSERT_EQ(-EACCES, try_bind(AF_INET, SOCK_STREAM, PORT));
	EXPECT_STREQ("blockers=net.bind_tcp saddr=127.0.0.1 src=1025 permissive=1",
		     denial_record(self->fd));
	EXPECT_STREQ("blockers=net.bind_tcp saddr=127.0.0.1 src=1025",
		     denial_record(self->fd));
	EXPECT_STREQ("blockers=net.bind_tcp saddr=127.0.0.1 src=1025 permissive=1",
		     denial_record(self->fd));
}

/* An observer hears of each, and audit of the first. */
TEST_F(audit, one_of_several_layers_that_refuse_has_a_record)
{
	const struct portlock_observer_attr attr = {};
	const struct portlock_ruleset_attr observed = {
		.handled_access_net = BIND_TCP,
		.flags = PORTLOCK_RULESET_OBSERVED,
		.observer_fd = create_ruleset(&attr, sizeof(attr),
					      PORTLOCK_CREATE_OBSERVER),
	};

	ASSERT_EQ(0, enforce(create_extended(&observed, sizeof(observed))));
	ASSERT_EQ(0, enforce(create_extended(&observed, sizeof(observed))));
	ASSERT_EQ(-EACCES, try_bind(AF_INET, SOCK_STREAM, PORT));
	ASSERT_EQ(-EACCES, try_bind(AF_INET, SOCK_STREAM, OTHER_PORT));
	EXPECT_STREQ("blockers=net.bind_tcp saddr=127.0.0.1 src=1025",
		     denial_record(self->fd));
	EXPECT_STREQ("blockers=net.bind_tcp saddr=127.0.0.1 src=1026",
		     denial_record(self->fd));
}

TEST_F(trace, a_permissive_layer_has_events_of_its_own)
{
	unsigned long long domain;

	ASSERT_EQ(0, permit(LISTEN_TCP | BIND_TCP));
	domain = last_domain();
	ASSERT_EQ(0, try_bind(AF_INET, SOCK_STREAM, PORT));
	EXPECT_EVENT("portlock_deny",
		     "domain=%llx same_exec=1 logged=1 blockers=net.bind_tcp family=2 type=1 protocol=6 port=1025 address_family=2 address=127.0.0.1 permissive=1",
		     domain);
	/* This is about accesses that were denied. */
	EXPECT_NO_EVENT("landlock_deny_access_net");
}

TEST_F(trace, a_rule_about_a_socket_names_its_cookie)
{
	const int fd = extended_with(BIND_TCP, 0, 0);
	const int sock = make_socket(AF_INET, SOCK_STREAM, 0);
	const struct portlock_opened_attr attr = {
		.allowed_access = BIND_TCP,
		.fd = sock,
	};
	unsigned long long cookie;
	socklen_t size = sizeof(cookie);
	char expected[128];
	int num;

	ASSERT_EQ(0, add_rule(fd, PORTLOCK_RULE_OPENED, &attr, 0));
	ASSERT_EQ(0, getsockopt(sock, SOL_SOCKET, SO_COOKIE, &cookie, &size));
	snprintf(expected, sizeof(expected),
		 ".1 access_rights=bind_tcp cookie=%llu", cookie);
	EXPECT_NE(NULL, strstr(event("portlock_add_rule_opened", &num),
			       expected))
		TH_LOG("%s", trace);
	EXPECT_EQ(1, num);
}

TEST_HARNESS_MAIN
