/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Portlock tests: observers, permissive layers and rules about single sockets
 *
 * As those of common.h, they return 0 or a result, or a negative errno.
 */

#ifndef PORTLOCK_OBSERVERS_H
#define PORTLOCK_OBSERVERS_H

#include <poll.h>

#include "extended.h"

/* How many records an observer has room for. */
#define CAPACITY 1024

/* The number of the observed rulesets of these tests. */
#define COOKIE 0x1122334455667788ULL

static inline int new_observer(void)
{
	const struct portlock_observer_attr attr = {};

	return create_ruleset(&attr, sizeof(attr), PORTLOCK_CREATE_OBSERVER);
}

/* An observer whose read(2) does not wait. */
static inline int new_nonblocking_observer(void)
{
	const int fd = new_observer();

	if (fd >= 0 && fcntl(fd, F_SETFL, O_NONBLOCK))
		return -errno;
	return fd;
}

static inline int observed_with(int observer, __u64 cookie, __u64 access_net,
				__u64 quiet, __u64 permissions)
{
	const struct portlock_ruleset_attr attr = {
		.handled_access_net = access_net,
		.quiet_access_net = quiet,
		.handled_permissions = permissions,
		.flags = PORTLOCK_RULESET_OBSERVED,
		.observer_fd = observer,
		.observer_cookie = cookie,
	};

	return create_extended(&attr, sizeof(attr));
}

/* Returns a ruleset that @observer hears of. */
static inline int observed(int observer, __u64 access_net)
{
	return observed_with(observer, COOKIE, access_net, 0, 0);
}

/* Enforces @ruleset_fd, with @flags, and closes it. */
static inline int enforce_as(int ruleset_fd, __u32 flags)
{
	int ret = ruleset_fd < 0 ? ruleset_fd : no_new_privs();

	if (!ret)
		ret = restrict_self(ruleset_fd, flags);
	if (ruleset_fd >= 0)
		close(ruleset_fd);
	return ret;
}

static inline int enforce_permissive(int ruleset_fd)
{
	return enforce_as(ruleset_fd, PORTLOCK_RESTRICT_SELF_PERMISSIVE);
}

/* Reads one record.  Returns 1, or 0 at the end. */
static inline int next_event(int observer, struct portlock_event *event)
{
	const ssize_t ret = read(observer, event, sizeof(*event));

	if (ret < 0)
		return -errno;
	return ret == sizeof(*event) ? 1 : ret == 0 ? 0 : -EIO;
}

/* Reads all records that are there, and returns how many. */
static inline int drain(int observer)
{
	struct portlock_event event;
	int ret, count = 0;

	while ((ret = next_event(observer, &event)) == 1)
		count++;
	return ret == -EAGAIN || !ret ? count : ret;
}

/* Returns what poll(2) says at once. */
static inline int ready(int observer)
{
	struct pollfd fd = {
		.fd = observer,
		.events = POLLIN,
	};

	return poll(&fd, 1, 0) < 0 ? -errno : fd.revents;
}

/* Grants @access on the socket of @fd. */
static inline int add_opened(int ruleset_fd, __u64 access, int fd)
{
	const struct portlock_opened_attr attr = {
		.allowed_access = access,
		.fd = fd,
	};

	return add_rule(ruleset_fd, PORTLOCK_RULE_OPENED, &attr, 0);
}

static inline pid_t get_tid(void)
{
	return syscall(__NR_gettid);
}

#endif /* PORTLOCK_OBSERVERS_H */
