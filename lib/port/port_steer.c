// SPDX-License-Identifier: BSD-3-Clause
// Datagrams to the shards' own ports, put into the shards' queues by the device (rte_flow): one
// rule a port and family, all of them or none.
#include <errno.h>

#include <rte_ethdev.h>
#include <rte_flow.h>

#include "base/base.h"
#include "port/port_internal.h"

#define PATTERN_MAX 5 // Ethernet, VLAN, IP, UDP, end

static void pattern_fill(struct rte_flow_item *item, enum port_family family, bool vlan,
	const struct rte_flow_item_udp *udp)
{
	static const struct rte_flow_item_udp mask = {.hdr.dst_port = UINT16_MAX};

	(item++)->type = RTE_FLOW_ITEM_TYPE_ETH;
	if (vlan)
		(item++)->type = RTE_FLOW_ITEM_TYPE_VLAN;
	(item++)->type = family == PORT_IP4 ? RTE_FLOW_ITEM_TYPE_IPV4 : RTE_FLOW_ITEM_TYPE_IPV6;
	*item++ =
		(struct rte_flow_item){.type = RTE_FLOW_ITEM_TYPE_UDP, .spec = udp, .mask = &mask};
	item->type = RTE_FLOW_ITEM_TYPE_END;
}

static int rule_add(struct port *port, enum port_family family, bool vlan, uint16_t udp_port,
	uint16_t queue, struct rte_flow_error *error)
{
	const struct rte_flow_item_udp udp = {.hdr.dst_port = rte_cpu_to_be_16(udp_port)};
	const struct rte_flow_action_queue to = {.index = queue};
	const struct rte_flow_action action[] = {{.type = RTE_FLOW_ACTION_TYPE_QUEUE, .conf = &to},
		{.type = RTE_FLOW_ACTION_TYPE_END}};
	const struct rte_flow_attr attr = {.ingress = 1};
	struct rte_flow_item item[PATTERN_MAX] = {0};
	struct rte_flow **rule = &port->udp_rule[family][queue];
	int rc;

	pattern_fill(item, family, vlan, &udp);
	rc = rte_flow_validate(port->port_id, &attr, item, action, error);
	if (rc)
		return rc;
	*rule = rte_flow_create(port->port_id, &attr, item, action, error);
	return *rule ? 0 : -rte_errno;
}

void port_udp_unsteer(struct port *port)
{
	struct rte_flow_error error;

	for (unsigned f = 0; f < PORT_FAMILIES; f++) {
		for (unsigned q = 0; q < PORT_WORKERS_MAX; q++) {
			if (port->udp_rule[f][q])
				rte_flow_destroy(port->port_id, port->udp_rule[f][q], &error);
			port->udp_rule[f][q] = NULL;
		}
	}
}

static int rules_add(struct port *port, const struct port_config *cfg, uint16_t first,
	struct rte_flow_error *error)
{
	int rc = 0;

	for (uint16_t q = 0; !rc && q < port->queues; q++) {
		rc = rule_add(port, PORT_IP4, cfg->vlan, (uint16_t)(first + q), q, error);
		if (!rc && port_config_has_ip6(cfg))
			rc = rule_add(port, PORT_IP6, cfg->vlan, (uint16_t)(first + q), q, error);
	}
	return rc;
}

bool port_udp_steer(struct port *port, const struct port_config *cfg, uint16_t first)
{
	struct rte_flow_error error = {0};
	const char *why = "fewer queues than workers";
	int rc;

	base_assert(first + port->workers - 1 <= UINT16_MAX);
	if (port->queues == port->workers) {
		rc = rules_add(port, cfg, first, &error);
		if (!rc) {
			base_info("port: udp ports steered by the device");
			return true;
		}
		port_udp_unsteer(port);
		why = error.message ? error.message : rte_strerror(-rc);
	}
	base_info("port: udp ports steered by workers (%s: %s)", port->driver, why);
	return false;
}
