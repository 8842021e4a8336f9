// SPDX-License-Identifier: GPL-2.0
/*
 * Portlock tests: the boot switch
 *
 * The list of security modules of the boot decides who answers the system
 * calls.  If it names both Landlock and Portlock, in either order, Portlock
 * answers.  If it names only Landlock, C Landlock answers as without Portlock.
 * Otherwise nobody answers.  PORTLOCK_BOOT says what the list names: both,
 * reversed, landlock, portlock or neither.  Without this variable, the test
 * reads the kernel's command line.
 */

#include <sys/mount.h>

#include "kselftest_harness.h"
#include "extended.h"

#define LSM_LIST "/sys/kernel/security/lsm"
#define TRACING "/sys/kernel/tracing"
#define CHECK_EVENT TRACING "/events/landlock/landlock_check_rule_net_port"

/* The position of @name in a list that is separated by commas, or -1. */
static int place_in(const char *list, const char *name)
{
	const size_t len = strlen(name);
	int place = 0;

	while (*list) {
		const size_t item = strcspn(list, ",\n ");

		if (item == len && !strncmp(list, name, len))
			return place;
		list += item;
		if (*list != ',')
			break;
		list++;
		place++;
	}
	return -1;
}

/* The last lsm= of the command line.  Without one, the active modules. */
static int named_modules(char *list, size_t size)
{
	char line[4096];
	const char *at, *found = NULL;
	int ret;

	ret = read_text("/proc/cmdline", line, sizeof(line));
	if (ret)
		return ret;
	for (at = line; *at; at += strcspn(at, "\n "), at += strspn(at, "\n "))
		if (!strncmp(at, "lsm=", 4))
			found = at + 4;
	if (!found)
		return read_text(LSM_LIST, list, size);
	snprintf(list, size, "%.*s", (int)strcspn(found, "\n "), found);
	return 0;
}

enum boot {
	BOTH,
	REVERSED,
	LANDLOCK,
	PORTLOCK,
	NEITHER,
	UNKNOWN,
};

static const char *const boot_names[] = {
	[BOTH] = "both",	 [REVERSED] = "reversed",
	[LANDLOCK] = "landlock", [PORTLOCK] = "portlock",
	[NEITHER] = "neither",
};

static enum boot current_boot(void)
{
	const char *const told = getenv("PORTLOCK_BOOT");
	int landlock, portlock;
	char list[4096];

	if (told && *told) {
		enum boot boot;

		for (boot = BOTH; boot < UNKNOWN; boot++) {
			if (!strcmp(told, boot_names[boot]))
				break;
		}
		return boot;
	}
	if (named_modules(list, sizeof(list)))
		return UNKNOWN;
	landlock = place_in(list, "landlock");
	portlock = place_in(list, "portlock");
	if (landlock >= 0 && portlock >= 0)
		return landlock < portlock ? BOTH : REVERSED;
	if (landlock >= 0)
		return LANDLOCK;
	return portlock >= 0 ? PORTLOCK : NEITHER;
}

FIXTURE(boot)
{
	enum boot boot;
	/* C Landlock or Portlock answers the system calls. */
	bool landlock_on;
	/* Portlock answers them. */
	bool portlock_on;
};

FIXTURE_SETUP(boot)
{
	self->boot = current_boot();
	ASSERT_NE(UNKNOWN, self->boot)
		TH_LOG("PORTLOCK_BOOT is %s", getenv("PORTLOCK_BOOT"));
	self->portlock_on = self->boot == BOTH || self->boot == REVERSED;
	self->landlock_on = self->portlock_on || self->boot == LANDLOCK;
	ASSERT_EQ(0, own_network());
}

FIXTURE_TEARDOWN(boot)
{
}

/* The kernel lists the modules that the boot names, even if they are off. */
TEST_F(boot, lists_the_named_modules)
{
	int landlock, portlock;
	char list[4096];

	ASSERT_EQ(0, read_text(LSM_LIST, list, sizeof(list)));
	landlock = place_in(list, "landlock");
	portlock = place_in(list, "portlock");
	EXPECT_EQ(self->landlock_on, landlock >= 0)
		TH_LOG("active: %s", list);
	EXPECT_EQ(self->portlock_on || self->boot == PORTLOCK, portlock >= 0)
		TH_LOG("active: %s", list);
	if (self->boot == BOTH)
		EXPECT_LT(landlock, portlock);
	if (self->boot == REVERSED)
		EXPECT_LT(portlock, landlock);
}

TEST_F(boot, answers_the_system_calls_when_landlock_is_named)
{
	if (!self->landlock_on)
		SKIP(return, "this boot names no landlock");
	EXPECT_EQ(11, create_ruleset(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION));
	EXPECT_LE(0, create_ruleset(NULL, 0, LANDLOCK_CREATE_RULESET_ERRATA));
	ASSERT_EQ(0, restrict_to_port(ALL_NET, 1024, ALL_NET & ~BIND_UDP));
	EXPECT_EQ(0, try_bind(AF_INET, SOCK_STREAM, 1024));
	EXPECT_EQ(-EACCES, try_bind(AF_INET, SOCK_STREAM, 1025));
	EXPECT_EQ(-ECONNREFUSED, try_connect(AF_INET, SOCK_STREAM, 1024));
	EXPECT_EQ(-EACCES, try_connect(AF_INET, SOCK_STREAM, 1025));
	EXPECT_EQ(-EACCES, try_bind(AF_INET, SOCK_DGRAM, 1024));
	EXPECT_EQ(-EACCES, try_sendto(AF_INET, 1024));
}

TEST_F(boot, enforces_paths_when_landlock_is_named)
{
	const struct landlock_ruleset_attr attr = {
		.handled_access_fs = LANDLOCK_ACCESS_FS_READ_DIR,
	};
	struct landlock_path_beneath_attr path = {
		.allowed_access = LANDLOCK_ACCESS_FS_READ_DIR,
	};
	int ruleset_fd, fd;

	if (!self->landlock_on)
		SKIP(return, "this boot names no landlock");
	ruleset_fd = create_ruleset(&attr, sizeof(attr), 0);
	ASSERT_LE(0, ruleset_fd);
	path.parent_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LE(0, path.parent_fd);
	ASSERT_EQ(0, add_rule(ruleset_fd, LANDLOCK_RULE_PATH_BENEATH, &path,
			      0));
	ASSERT_EQ(0, enforce(ruleset_fd));
	fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	EXPECT_LE(0, fd);
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(-1, open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(0, close(path.parent_fd));
}

/* The error is EOPNOTSUPP for all arguments, before any other error. */
TEST_F(boot, refuses_the_system_calls_when_landlock_is_not_named)
{
	const struct landlock_ruleset_attr attr = {
		.handled_access_net = BIND_TCP,
	};
	const struct landlock_net_port_attr port = {
		.allowed_access = BIND_TCP,
		.port = 1024,
	};

	if (self->landlock_on)
		SKIP(return, "this boot names landlock");
	EXPECT_EQ(-EOPNOTSUPP, create_ruleset(&attr, sizeof(attr), 0));
	EXPECT_EQ(-EOPNOTSUPP, create_ruleset(NULL, 0, 0));
	EXPECT_EQ(-EOPNOTSUPP,
		  create_ruleset(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION));
	EXPECT_EQ(-EOPNOTSUPP,
		  create_ruleset(NULL, 0, LANDLOCK_CREATE_RULESET_ERRATA));
	EXPECT_EQ(-EOPNOTSUPP, create_ruleset(NULL, 0, ~0U));
	EXPECT_EQ(-EOPNOTSUPP, create_ruleset(NULL, 0, 1U << 31));
	EXPECT_EQ(-EOPNOTSUPP, create_ruleset(NULL, 0, 1U << 30));
	EXPECT_EQ(-EOPNOTSUPP, add_rule(0, LANDLOCK_RULE_NET_PORT, &port, 0));
	EXPECT_EQ(-EOPNOTSUPP, add_rule(-1, 0, NULL, ~0U));
	EXPECT_EQ(-EOPNOTSUPP, restrict_self(0, 0));
	EXPECT_EQ(-EOPNOTSUPP, restrict_self(-1, ~0U));
	EXPECT_EQ(-EOPNOTSUPP, restrict_self(-1,
				LANDLOCK_RESTRICT_SELF_NO_NEW_PRIVS));
	EXPECT_EQ(0, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	EXPECT_EQ(0, try_bind(AF_INET, SOCK_STREAM, 1024));
	EXPECT_EQ(-ECONNREFUSED, try_connect(AF_INET, SOCK_STREAM, 1024));
	EXPECT_EQ(0, try_sendto(AF_INET, 1024));
}

/* Stock Landlock knows none of it. */
TEST_F(boot, knows_extended_rulesets_when_portlock_decides)
{
	const struct portlock_ruleset_attr attr = {
		.handled_access_net = BIND_TCP,
	};
	int fd;

	if (!self->landlock_on)
		SKIP(return, "this boot names no landlock");
	EXPECT_EQ(self->portlock_on ? 1 : -EINVAL, create_extended(NULL, 0));
	fd = create_extended(&attr, sizeof(attr));
	if (!self->portlock_on) {
		EXPECT_EQ(-EINVAL, fd);
		fd = net_ruleset(BIND_TCP);
		ASSERT_LE(0, fd);
		EXPECT_EQ(-EINVAL, add_net(fd, BIND_TCP, 1024, 1024, NULL));
		EXPECT_EQ(-EINVAL, add_socket(fd, AF_INET, SOCK_STREAM, 0));
		EXPECT_EQ(0, close(fd));
		return;
	}
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, add_net(fd, BIND_TCP, 1024, 1024, "127.0.0.1/32"));
	ASSERT_EQ(0, enforce(fd));
	EXPECT_EQ(0, tcp_bind("127.0.0.1", 1024));
	EXPECT_EQ(-EACCES, tcp_bind("127.0.0.2", 1024));
}

/* What the kernel's log says about one module. */
struct log_lines {
	/* Later lines have overwritten the first ones. */
	bool lost;
	int up;
	int off;
	int all;
};

static int read_log(const char *prefix, struct log_lines *lines)
{
	const int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	bool first = true;
	char record[8192];

	memset(lines, 0, sizeof(*lines));
	if (fd < 0)
		return -errno;
	while (true) {
		const ssize_t len = read(fd, record, sizeof(record) - 1);
		unsigned long long sequence;
		const char *text;

		if (len < 0 && errno == EPIPE)
			continue;
		if (len <= 0)
			break;
		record[len] = '\0';
		if (first && sscanf(record, "%*u,%llu,", &sequence) == 1)
			lines->lost = sequence > 0;
		first = false;
		text = strchr(record, ';');
		if (!text || strncmp(text + 1, prefix, strlen(prefix)))
			continue;
		text += 1 + strlen(prefix);
		/*
		 * Counts only lines of the boot: later lines start in another
		 * way.
		 */
		lines->all++;
		if (strcasestr(text, "up and running"))
			lines->up++;
		if (!strncasecmp(text, "off", 3) && strstr(text, "landlock"))
			lines->off++;
	}
	close(fd);
	return first ? -ENODATA : 0;
}

TEST_F(boot, logs_who_decides)
{
	struct log_lines portlock, landlock;

	ASSERT_EQ(0, read_log("portlock: ", &portlock));
	ASSERT_EQ(0, read_log("landlock: ", &landlock));
	if (portlock.lost && !portlock.all)
		SKIP(return, "the log has lost its beginning");
	EXPECT_EQ(self->portlock_on, portlock.up);
	EXPECT_EQ(self->boot == PORTLOCK, portlock.off);
	EXPECT_EQ(self->landlock_on, landlock.up);
	/* A module that is not named prints nothing. */
	if (self->boot == LANDLOCK || self->boot == NEITHER)
		EXPECT_EQ(0, portlock.all);
}

/*
 * Every check that finds a rule is traced.  If the hooks of both were
 * registered, an allowed call would be traced twice, or the one without the
 * rules would refuse it.
 */
TEST_F(boot, decides_each_call_once)
{
	char trace[65536];
	const char *at;
	int found = 0;

	if (!self->landlock_on)
		SKIP(return, "this boot names no landlock");
	if (access(TRACING "/trace", F_OK) &&
	    mount("tracefs", TRACING, "tracefs", 0, NULL))
		SKIP(return, "no tracefs: %s", strerror(errno));
	if (access(CHECK_EVENT, F_OK))
		SKIP(return, "no event landlock_check_rule_net_port");

	ASSERT_EQ(0, restrict_to_port(BIND_TCP | CONNECT_TCP, 1024,
				      BIND_TCP | CONNECT_TCP));
	ASSERT_EQ(0, write_text(TRACING "/trace", ""));
	ASSERT_EQ(0, write_text(CHECK_EVENT "/enable", "1"));
	EXPECT_EQ(0, try_bind(AF_INET, SOCK_STREAM, 1024));
	EXPECT_EQ(-ECONNREFUSED, try_connect(AF_INET, SOCK_STREAM, 1024));
	EXPECT_EQ(0, write_text(CHECK_EVENT "/enable", "0"));
	ASSERT_EQ(0, read_text(TRACING "/trace", trace, sizeof(trace)));
	ASSERT_EQ(0, write_text(TRACING "/trace", ""));
	for (at = trace; (at = strstr(at, "landlock_check_rule_net_port:"));
	     at++)
		found++;
	EXPECT_EQ(2, found)
		TH_LOG("%s", trace);
}

TEST_HARNESS_MAIN
