// SPDX-License-Identifier: GPL-2.0
/*
 * Runs a command in an extended ruleset that handles every right.  A file says
 * what it grants, a rule in each line:
 *
 *   RIGHT[,RIGHT...] PORT[-PORT] [ADDRESS/LENGTH]
 *   socket_create FAMILY TYPE PROTOCOL
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "extended.h"

#define CREATE "socket_create"
#define BLANKS " \t\n"

struct word {
	const char *name;
	uint64_t value;
};

static const struct word rights[] = {
	{ "bind_tcp", LANDLOCK_ACCESS_NET_BIND_TCP },
	{ "connect_tcp", LANDLOCK_ACCESS_NET_CONNECT_TCP },
	{ "bind_udp", LANDLOCK_ACCESS_NET_BIND_UDP },
	{ "connect_send_udp", LANDLOCK_ACCESS_NET_CONNECT_SEND_UDP },
	{ "listen_tcp", PORTLOCK_ACCESS_NET_LISTEN_TCP },
	{ "accept_tcp", PORTLOCK_ACCESS_NET_ACCEPT_TCP },
	{ "send_tcp", PORTLOCK_ACCESS_NET_SEND_TCP },
	{ "receive_tcp", PORTLOCK_ACCESS_NET_RECEIVE_TCP },
	{ "shutdown_tcp", PORTLOCK_ACCESS_NET_SHUTDOWN_TCP },
	{ "getsockopt_tcp", PORTLOCK_ACCESS_NET_GETSOCKOPT_TCP },
	{ "setsockopt_tcp", PORTLOCK_ACCESS_NET_SETSOCKOPT_TCP },
	{ "receive_udp", PORTLOCK_ACCESS_NET_RECEIVE_UDP },
	{ "shutdown_udp", PORTLOCK_ACCESS_NET_SHUTDOWN_UDP },
	{ "getsockopt_udp", PORTLOCK_ACCESS_NET_GETSOCKOPT_UDP },
	{ "setsockopt_udp", PORTLOCK_ACCESS_NET_SETSOCKOPT_UDP },
	{},
};

static const struct word families[] = {
	{ "unix", AF_UNIX },
	{ "inet", AF_INET },
	{ "inet6", AF_INET6 },
	{ "netlink", AF_NETLINK },
	{},
};

static const struct word types[] = {
	{ "stream", SOCK_STREAM },
	{ "dgram", SOCK_DGRAM },
	{ "raw", SOCK_RAW },
	{},
};

static uint64_t value_of(const struct word *word, const char *const name)
{
	for (; word->name; word++)
		if (name && !strcmp(word->name, name))
			return word->value;
	errx(2, "A rule cannot have the word %s", name ?: "(nothing)");
}

static char *next_word(void)
{
	return strtok(NULL, BLANKS);
}

static unsigned int read_number(const char *const text)
{
	char *end;
	const unsigned long value = strtoul(text ?: "", &end, 10);

	if (!text || end == text || *end)
		errx(2, "%s is not a number", text ?: "(nothing)");
	return value;
}

static int add_socket_rule(const int ruleset)
{
	struct portlock_socket_attr rule = {
		.permissions = PORTLOCK_PERMISSION_SOCKET_CREATE,
	};

	rule.family = value_of(families, next_word());
	rule.type = value_of(types, next_word());
	rule.protocol = read_number(next_word());
	return syscall(__NR_landlock_add_rule, ruleset, PORTLOCK_RULE_SOCKET,
		       &rule, 0);
}

static int add_port_rule(const int ruleset, char *const names)
{
	struct portlock_net_attr rule = {};
	char *const ports = next_word(), *const prefix = next_word();
	char *const last = ports ? strchr(ports, '-') : NULL;
	char *rest;

	if (last)
		*last = '\0';
	rule.port_first = read_number(ports);
	rule.port_last = last ? read_number(last + 1) : rule.port_first;

	if (prefix) {
		char *const length = strchr(prefix, '/');

		if (!length)
			errx(2, "%s is not a prefix", prefix);
		*length = '\0';
		rule.family = strchr(prefix, ':') ? AF_INET6 : AF_INET;
		rule.prefix_len = read_number(length + 1);
		if (inet_pton(rule.family, prefix, rule.address) != 1)
			errx(2, "%s is not an address", prefix);
	}

	for (char *name = strtok_r(names, ",", &rest); name;
	     name = strtok_r(NULL, ",", &rest))
		rule.allowed_access |= value_of(rights, name);
	return add_net_rule(ruleset, &rule);
}

static void add_rules(const int ruleset, const char *const path)
{
	FILE *const file = fopen(path, "re");
	char line[256];

	if (!file)
		err(2, "Cannot open %s", path);
	while (fgets(line, sizeof(line), file)) {
		char *const first = strtok(line, BLANKS);

		if (!first)
			continue;
		if (strcmp(first, CREATE) ? add_port_rule(ruleset, first) :
					    add_socket_rule(ruleset))
			err(2, "Cannot add the rule of %s", first);
	}
	fclose(file);
}

int main(const int argc, char *argv[])
{
	uint64_t handled = 0;
	int ruleset;

	if (argc < 3)
		errx(2, "Usage: %s RULES COMMAND [ARGUMENT...]", argv[0]);
	for (const struct word *right = rights; right->name; right++)
		handled |= right->value;
	ruleset = create_extended(handled, PORTLOCK_PERMISSION_SOCKET_CREATE);
	if (ruleset < 0)
		err(2, "Cannot create an extended ruleset");
	add_rules(ruleset, argv[1]);
	if (syscall(__NR_landlock_restrict_self, ruleset,
		    LANDLOCK_RESTRICT_SELF_NO_NEW_PRIVS))
		err(2, "Cannot enforce the ruleset");
	close(ruleset);

	execvp(argv[2], argv + 2);
	err(2, "Cannot execute %s", argv[2]);
}
