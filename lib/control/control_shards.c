// SPDX-License-Identifier: BSD-3-Clause
// /lcached/shards: what a client needs to find the owner of a key, and its UDP port.

#include "control/control_internal.h"

int control_shards_command(struct control *c, const char *params, struct rte_tel_data *d)
{
	struct rte_tel_data *ports = rte_tel_data_alloc();
	const struct control_config *cfg = c->cfg;

	if (ports == NULL)
		return -1;
	rte_tel_data_start_array(ports, RTE_TEL_U64_VAL);
	for (unsigned i = 0; i < c->workers; i++)
		rte_tel_data_add_array_u64(ports, cfg->udp_port + (cfg->udp_shard_ports ? i : 0));
	rte_tel_data_start_dict(d);
	rte_tel_data_add_dict_string(d, "hash", WORKER_HASH_NAME);
	rte_tel_data_add_dict_u64(d, "hash_seed", 0);
	rte_tel_data_add_dict_u64(d, "shards", c->workers);
	rte_tel_data_add_dict_string(d, "owner", WORKER_OWNER_TEXT);
	rte_tel_data_add_dict_string(d, "udp_shard_ports", cfg->udp_shard_ports ? "yes" : "no");
	if (rte_tel_data_add_dict_container(d, "udp_ports", ports, 0) < 0) {
		rte_tel_data_free(ports);
		return -1;
	}
	return 0;
}
