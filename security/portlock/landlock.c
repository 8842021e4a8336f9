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
#include <linux/overflow.h>

#include "../landlock/access.h"
#include "../landlock/cred.h"
#include "../landlock/domain.h"
#include "../landlock/limits.h"
#include "../landlock/log.h"
#include "../landlock/ruleset.h"
#include "portlock.h"

#include <trace/events/landlock.h>

/**
 * portlock_note_net_rule - Count and trace a network rule
 *
 * @ruleset: Landlock's part of the ruleset, whose lock is held.
 * @port: Port of the rule, in host byte order.
 * @access: Absolute access rights of the rule.
 * @flags: Flags of sys_landlock_add_rule().
 */
void portlock_note_net_rule(struct landlock_ruleset *const ruleset,
			    const u16 port, const u32 access, const u32 flags)
{
	lockdep_assert_held(&ruleset->lock);
#ifdef CONFIG_TRACEPOINTS
	ruleset->version++;
#endif /* CONFIG_TRACEPOINTS */
	trace_landlock_add_rule_net_port(ruleset, flags, access, port);
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
