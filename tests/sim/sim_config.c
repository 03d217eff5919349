// SPDX-License-Identifier: BSD-3-Clause
// A seed makes a configuration: the server's size, the link's faults, what clients do. Most runs
// have few kinds of faults, so that one is not hidden behind another.

#include "sim.h"

static const char *policy_word(const struct sim_config *c)
{
	return c->roomy ? "roomy" : store_policy_name(c->policy);
}

static void server_make(struct sim_config *c, struct base_rng *rng)
{
	static const unsigned credits[] = {16, 64, 1024};
	static const uint64_t items[] = {1 << 20, 1 << 20, 256 << 10, 8 << 10};
	static const uint16_t mtus[] = {1500, 1500, 1500, 1280, 576};

	c->workers = 1 + (unsigned)sim_pick(rng, SIM_WORKERS);
	c->queues = c->workers;
	c->spread = PORT_SPREAD_DEVICE;
	if (c->workers > 1 && sim_pick(rng, 3) == 0) {
		c->spread = PORT_SPREAD_TOEPLITZ;
		c->queues = 1 + (unsigned)sim_pick(rng, c->workers);
	}
	c->credits = credits[sim_pick(rng, BASE_ARRAY_LEN(credits))];
	c->frames = sim_pick(rng, 4) == 0 ? 64 : 2048;
	c->pool = sim_pick(rng, 4) == 0;
	c->item_bytes_max = items[sim_pick(rng, BASE_ARRAY_LEN(items))];
	c->query_bytes = sim_pick(rng, 3) == 0 ? 16 << 10 : 256 << 10;
	c->output_bytes = sim_pick(rng, 3) == 0 ? 64 << 10 : 4 << 20;
	c->mtu = mtus[sim_pick(rng, BASE_ARRAY_LEN(mtus))];
	c->tx_checksums = sim_pick(rng, 2) == 0;
	c->rx_checksums = sim_pick(rng, 2) == 0;
	c->multi_segs = sim_pick(rng, 3) != 0;
	c->tx_keeps = sim_pick(rng, 2) == 0;
	c->tx_short = sim_pick(rng, 6) == 0;
	c->step_us = UINT64_C(1) << sim_pick(rng, 8);
	c->lazyfree = sim_pick(rng, 2) == 0 ? STORE_LAZY_ALL : (unsigned)sim_pick(rng, 64);
}

static void memory_make(struct sim_config *c, struct base_rng *rng)
{
	c->roomy = sim_pick(rng, 5) < 3;
	c->policy = (unsigned)sim_pick(rng, STORE_POLICIES);
	if (c->roomy) // evicts nothing, or else it is seen
		c->policy = STORE_ALLKEYS_LRU;
	c->maxmemory_bytes = c->roomy ? UINT64_C(256) << 20
				      : ((UINT64_C(1) << 20) + sim_pick(rng, 6 << 20)) & ~4095ull;
}

static void link_make(struct sim_link_config *l, struct base_rng *rng)
{
	static const uint32_t losses[] = {1000, 10000, 10000, 30000, 100000};
	static const uint64_t delays[] = {5, 50, 500, 5000, 25000};

	l->delay_us = delays[sim_pick(rng, BASE_ARRAY_LEN(delays))];
	l->jitter_us = sim_pick(rng, l->delay_us / 4 + 1);
	if (sim_pick(rng, 4) == 0)
		return; // a perfect link
	if (sim_pick(rng, 3) != 0)
		l->loss = losses[sim_pick(rng, BASE_ARRAY_LEN(losses))];
	if (sim_pick(rng, 3) == 0)
		l->dup = losses[sim_pick(rng, BASE_ARRAY_LEN(losses))];
	if (sim_pick(rng, 3) == 0) {
		l->reorder = losses[sim_pick(rng, BASE_ARRAY_LEN(losses))] * 2;
		l->reorder_us = 20 + sim_pick(rng, 4 * l->delay_us + 100);
	}
	if (sim_pick(rng, 4) == 0)
		l->corrupt = losses[sim_pick(rng, 4)];
	if (sim_pick(rng, 4) == 0)
		l->old = 2000;
	if (sim_pick(rng, 8) == 0) {
		l->outage_every_us = 500000 + sim_pick(rng, 2000000);
		l->outage_us = 10000 + sim_pick(rng, 500000);
	}
	if (sim_pick(rng, 6) == 0)
		l->bytes_ms = 500 + (uint32_t)sim_pick(rng, 20000);
	if (sim_pick(rng, 8) == 0)
		l->cut_bytes = (uint16_t)(8 * (24 + sim_pick(rng, 100))); // 8 parts at most
}

static void clients_make(struct sim_config *c, struct base_rng *rng)
{
	static const uint32_t values[] = {300, 2000, 20000, 20000, 150000};
	static const unsigned pipelines[] = {1, 4, 16, SIM_PIPELINE};

	c->hosts = 1 + (unsigned)sim_pick(rng, SIM_HOSTS);
	c->clients = 1 + (unsigned)sim_pick(rng, SIM_CLIENTS);
	c->dgram_users = sim_pick(rng, 2) == 0 ? (unsigned)sim_pick(rng, SIM_DGRAM_USERS + 1) : 0;
	c->value_max = values[sim_pick(rng, BASE_ARRAY_LEN(values))];
	c->pipeline = pipelines[sim_pick(rng, BASE_ARRAY_LEN(pipelines))];
	c->requests = c->value_max > 100000 ? 40 : 60 + (unsigned)sim_pick(rng, 160);
	c->churn = sim_pick(rng, 3) == 0;
	c->resets = sim_pick(rng, 3) == 0;
	c->flushes = sim_pick(rng, 4) == 0;
	c->stalls_reading = sim_pick(rng, 3) == 0;
	c->forged = sim_pick(rng, 4) == 0;
	c->live_config = sim_pick(rng, 5) == 0;
}

static void faults_make(struct sim_config *c, struct base_rng *rng)
{
	if (sim_pick(rng, 5) == 0)
		c->fault_memory = 5000 + (uint32_t)sim_pick(rng, 50000);
	if (sim_pick(rng, 5) == 0)
		c->fault_pool = 2000 + (uint32_t)sim_pick(rng, 20000);
	if (sim_pick(rng, 4) == 0)
		c->fault_stall = 5000 + (uint32_t)sim_pick(rng, 50000);
}

// Behind all else: what a seed meant before stays.
static void offloads_make(struct sim_config *c, struct base_rng *rng)
{
	static const uint16_t mbufs[] = {0, 0, 3, 17, 64};

	if (c->tx_checksums && c->multi_segs)
		c->tso_mbufs = mbufs[sim_pick(rng, BASE_ARRAY_LEN(mbufs))];
	c->lro = c->rx_checksums && sim_pick(rng, 2) == 0;
}

static void expiry_make(struct sim_config *c, struct base_rng *rng)
{
	static const unsigned hz[] = {1, 10, 10, 100, 500};

	c->expire_index = sim_pick(rng, 2) == 0;
	c->hz = hz[sim_pick(rng, BASE_ARRAY_LEN(hz))];
}

void sim_config_make(struct sim_config *c, uint64_t seed)
{
	struct base_rng rng;

	memset(c, 0, sizeof(*c));
	c->seed = seed;
	base_rng_seed(&rng, seed * 0x9e3779b97f4a7c15u + 1);
	server_make(c, &rng);
	memory_make(c, &rng);
	link_make(&c->link, &rng);
	if (c->workers > 1 && c->spread == PORT_SPREAD_DEVICE)
		c->link.cut_bytes = 0; // a device does not know whose a fragment is
	clients_make(c, &rng);
	faults_make(c, &rng);
	offloads_make(c, &rng);
	expiry_make(c, &rng);
	c->defrag = sim_pick(&rng, 4) == 0;
}

void sim_config_print(const struct sim_config *c)
{
	const struct sim_link_config *l = &c->link;

	printf("seed %llu: %u workers on %u queues%s, %s, maxmemory %llu, items to %llu, mtu %u, "
	       "step %llu us, tso %u%s, expiry %s at %u Hz%s\n",
		(unsigned long long)c->seed, c->workers, c->queues,
		c->spread == PORT_SPREAD_TOEPLITZ ? " (steered)" : "", policy_word(c),
		(unsigned long long)c->maxmemory_bytes, (unsigned long long)c->item_bytes_max,
		c->mtu, (unsigned long long)c->step_us, c->tso_mbufs, c->lro ? ", lro" : "",
		c->expire_index ? "by index" : "sampled", c->hz, c->defrag ? ", defrag" : "");
	printf("  link: delay %llu+%llu us, loss %.1f%%, dup %.1f%%, reorder %.1f%% by %llu us, "
	       "corrupt %.1f%%, old %.1f%%, outages %llu us, %u bytes/ms, cut %u\n",
		(unsigned long long)l->delay_us, (unsigned long long)l->jitter_us, l->loss / 1e4,
		l->dup / 1e4, l->reorder / 1e4, (unsigned long long)l->reorder_us, l->corrupt / 1e4,
		l->old / 1e4, (unsigned long long)l->outage_us, l->bytes_ms, l->cut_bytes);
	printf("  %u clients on %u hosts, %u over UDP, %u requests each, %u at a time, values to "
	       "%u%s%s%s%s%s%s\n",
		c->clients, c->hosts, c->dgram_users, c->requests, c->pipeline, c->value_max,
		c->churn ? ", churn" : "", c->resets ? ", resets" : "",
		c->flushes ? ", flushes" : "", c->stalls_reading ? ", deaf readers" : "",
		c->forged ? ", forged frames" : "", c->live_config ? ", live changes" : "");
	printf("  faults: memory %.1f%%, packet buffers %.1f%%, stalls %.1f%% of all ms\n",
		c->fault_memory / 1e4, c->fault_pool / 1e4, c->fault_stall / 1e4);
}
