// SPDX-License-Identifier: GPL-2.0-only
/*
 * Portlock - Functions that need Landlock's private headers
 *
 * Rust cannot use Landlock's structures and trace events directly: they have
 * bit-fields, flexible arrays and inline functions.  The functions below
 * translate for Rust and decide nothing.  Their only caller is landlock.rs.
 */

#include <linux/cred.h>
#include <linux/lockdep.h>
#include <linux/lsm_audit.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <net/sock.h>

#include "../landlock/access.h"
#include "../landlock/cred.h"
#include "../landlock/domain.h"
#include "../landlock/limits.h"
#include "../landlock/log.h"
#include "../landlock/ruleset.h"
#include "portlock.h"

#include <trace/events/landlock.h>

/* After Landlock's events, which are defined elsewhere. */
#define CREATE_TRACE_POINTS
#include <trace/events/portlock.h>

/* Takes the lock that landlock_merge_cred() and the functions below need. */
void portlock_lock_ruleset(struct landlock_ruleset *const ruleset)
{
	mutex_lock(&ruleset->lock);
}

void portlock_unlock_ruleset(struct landlock_ruleset *const ruleset)
{
	mutex_unlock(&ruleset->lock);
}

/**
 * portlock_count_rule - Count a rule
 *
 * @ruleset: Landlock's part of the ruleset, whose lock is held.
 *
 * To be called before the rule is traced.
 */
void portlock_count_rule(struct landlock_ruleset *const ruleset)
{
	lockdep_assert_held(&ruleset->lock);
#ifdef CONFIG_TRACEPOINTS
	ruleset->version++;
#endif /* CONFIG_TRACEPOINTS */
}

/**
 * portlock_trace_net_port_rule - Trace a rule of %LANDLOCK_RULE_NET_PORT
 *
 * @ruleset: Landlock's part of the ruleset, whose lock is held.
 * @port: Port of the rule, in host byte order.
 * @access: Absolute access rights of the rule.
 * @flags: Flags of sys_landlock_add_rule().
 */
void portlock_trace_net_port_rule(const struct landlock_ruleset *const ruleset,
				  const u16 port, const u32 access,
				  const u32 flags)
{
	trace_landlock_add_rule_net_port(ruleset, flags, access, port);
}

/**
 * portlock_trace_net_rule - Trace a network rule of an extended ruleset
 *
 * @ruleset: Landlock's part of the ruleset, whose lock is held.
 * @attr: The rule.
 * @flags: Flags of sys_landlock_add_rule().
 */
void portlock_trace_net_rule(const struct landlock_ruleset *const ruleset,
			     const struct portlock_net_attr *const attr,
			     const u32 flags)
{
	trace_portlock_add_rule_net(ruleset, flags, attr);
}

/**
 * portlock_trace_socket_rule - Trace a rule about kinds of sockets
 *
 * @ruleset: Landlock's part of the ruleset, whose lock is held.
 * @attr: The rule.
 */
void portlock_trace_socket_rule(const struct landlock_ruleset *const ruleset,
				const struct portlock_socket_attr *const attr)
{
	trace_portlock_add_rule_socket(ruleset, attr);
}

/**
 * portlock_trace_opened_rule - Trace a rule about a socket
 *
 * @ruleset: Landlock's part of the ruleset, whose lock is held.
 * @access: Access rights of the rule.
 * @sk: The socket, which has a cookie.
 */
void portlock_trace_opened_rule(const struct landlock_ruleset *const ruleset,
				const u64 access, const struct sock *const sk)
{
	trace_portlock_add_rule_opened(ruleset, access, sk);
}

/**
 * portlock_trace_check - Trace the rules that were evaluated for a port
 *
 * @port: Requested port, in host byte order.
 * @access_request: Requested access rights.
 * @layers: Rights that each layer with a rule for @port grants, by ascending
 *          level.
 * @num_layers: Number of @layers, at most %LANDLOCK_MAX_NUM_LAYERS.
 */
void portlock_trace_check(const u16 port, const u32 access_request,
			  const struct portlock_layer *const layers,
			  const u32 num_layers)
{
	DEFINE_FLEX(struct landlock_rule, rule, layers, num_layers,
		    LANDLOCK_MAX_NUM_LAYERS);

	const struct landlock_domain *const domain =
		landlock_get_current_domain();

	/* The event reads the domain. */
	if (!domain || WARN_ON_ONCE(num_layers > LANDLOCK_MAX_NUM_LAYERS))
		return;

	RB_CLEAR_NODE(&rule->node);
	rule->key.data = (__force uintptr_t)htons(port);
	rule->num_layers = num_layers;
	for (size_t i = 0; i < num_layers; i++) {
		rule->layers[i].level = layers[i].level;
		rule->layers[i].flags.quiet = layers[i].quiet;
		rule->layers[i].access = layers[i].access;
	}
	trace_landlock_check_rule_net_port(domain, rule, access_request, port);
}

/* Traces what landlock_log_denial() has just counted. */
static void
trace_front_denial(const struct landlock_cred_security *const subject,
		   const struct portlock_denial *const denial)
{
#ifdef CONFIG_TRACEPOINTS
	const struct landlock_hierarchy *hierarchy = subject->domain->hierarchy;
	const bool same_exec = subject->domain_exec & BIT(denial->level - 1);
	bool logged;

	if (!trace_portlock_deny_enabled())
		return;

	/* The first node is that of the youngest layer. */
	for (u32 i = subject->domain->num_layers; i > denial->level; i--)
		hierarchy = hierarchy->parent;

	/* As is_denial_logged() decides. */
	logged = READ_ONCE(hierarchy->log_status) != LANDLOCK_LOG_DISABLED &&
		 (same_exec ? hierarchy->log_same_exec :
			      hierarchy->log_new_exec) &&
		 !denial->quiet;
	trace_portlock_deny(hierarchy, same_exec, logged, denial);
#endif /* CONFIG_TRACEPOINTS */
}

/**
 * portlock_log_front_denial - Log what Landlock has no name for
 *
 * @denial: What is denied.
 */
void portlock_log_front_denial(const struct portlock_denial *const denial)
{
	const struct landlock_cred_security *const subject =
		landlock_cred(current_cred());
	struct lsm_network_audit audit_net = {
		.sk = denial->sk,
		.family = denial->address_family,
	};
	const bool is_ipv6 = denial->address_family == AF_INET6;

	/* The record names the layer by its place in the domain. */
	if (!subject->domain ||
	    WARN_ON_ONCE(denial->level == 0 ||
			 denial->level > subject->domain->num_layers))
		return;

	/* Audit prints no port without a family, and no address that is zero. */
	if (denial->port >= 0) {
		if (!audit_net.family)
			audit_net.family = denial->family;
		if (denial->is_local_port)
			audit_net.sport = htons(denial->port);
		else
			audit_net.dport = htons(denial->port);
	}
	if (is_ipv6)
		memcpy(denial->is_local_address ? &audit_net.v6info.saddr :
						  &audit_net.v6info.daddr,
		       denial->address, 16);
	else
		memcpy(denial->is_local_address ? &audit_net.v4info.saddr :
						  &audit_net.v4info.daddr,
		       denial->address, 4);

	landlock_log_denial(subject, &(struct landlock_request){
					     .type = LANDLOCK_REQUEST_FRONT,
					     .audit.type = LSM_AUDIT_DATA_NET,
					     .audit.u.net = &audit_net,
					     .layer_plus_one = denial->level,
					     .front_blockers = denial->blockers,
					     .front_quiet = denial->quiet,
				     });
	trace_front_denial(subject, denial);
}

/**
 * portlock_log_denial - Log a denied network access
 *
 * @audit_net: Socket and the part of the address that audit prints.
 * @address: Address that the hook got.
 * @addrlen: Length of @address, in bytes.
 * @socket_family: Family of the socket when it was checked.
 * @layer: Youngest layer that refuses, with the refused access rights.
 */
void portlock_log_denial(struct lsm_network_audit *const audit_net,
			 const struct sockaddr *const address,
			 const int addrlen, const u16 socket_family,
			 const struct portlock_layer *const layer)
{
	struct layer_masks layer_masks = {};
	const size_t index = layer->level - 1;
	const struct landlock_domain *const domain =
		landlock_get_current_domain();

	/* The record names the layer by its place in the domain. */
	if (!domain || WARN_ON_ONCE(index >= domain->num_layers))
		return;

	layer_masks.layers[index].access = layer->access;
#ifdef CONFIG_SECURITY_LANDLOCK_LOG
	layer_masks.layers[index].quiet = layer->quiet;
#endif /* CONFIG_SECURITY_LANDLOCK_LOG */

	landlock_log_denial(
		landlock_cred(current_cred()),
		&(struct landlock_request){
			.type = LANDLOCK_REQUEST_NET_ACCESS,
			.audit.type = LSM_AUDIT_DATA_NET,
			.audit.u.net = audit_net,
			.access = layer->access,
			.layer_masks = &layer_masks,
#ifdef CONFIG_TRACEPOINTS
			.trace_net =
				&(struct landlock_net_trace){
					.address = address,
					.addrlen = addrlen,
					.socket_family = socket_family,
				},
#endif /* CONFIG_TRACEPOINTS */
		});
}
