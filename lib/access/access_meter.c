// SPDX-License-Identifier: BSD-3-Clause
// Token buckets of sources that are not trusted, as many as there are and no more.

#include <errno.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_meter.h>

#include "access/access.h"

struct access_meters {
	struct mem_domain *mem;
	uint64_t key[2];
	uint64_t hz; // of the profile's time
	bool on;
	struct rte_meter_srtcm_profile profile;
	struct rte_meter_srtcm meter[ACCESS_METERS];
};

struct access_meters *access_meters_open(struct mem_domain *mem, uint64_t seed)
{
	struct access_meters *m = mem_alloc(mem, MEM_OTHER, sizeof(*m));

	memset(m, 0, sizeof(*m));
	m->mem = mem;
	m->key[0] = seed;
	m->key[1] = ~seed;
	m->hz = rte_get_tsc_hz();
	return m;
}

void access_meters_close(struct access_meters *m)
{
	if (m != NULL)
		mem_free(m->mem, MEM_OTHER, m, sizeof(*m));
}

// rte_meter counts in cycles of the time-stamp counter: the server's time, at that pace.
static uint64_t meter_time(const struct access_meters *m, uint64_t now_us)
{
	return now_us / 1000000 * m->hz + now_us % 1000000 * m->hz / 1000000;
}

void access_meters_rate_set(struct access_meters *m, uint64_t bytes_a_s, uint64_t now_us)
{
	struct rte_meter_srtcm_params params = {.cir = bytes_a_s, .cbs = bytes_a_s};

	m->on = bytes_a_s > 0 && rte_meter_srtcm_profile_config(&m->profile, &params) == 0;
	if (!m->on)
		return;
	for (unsigned i = 0; i < ACCESS_METERS; i++) {
		rte_meter_srtcm_config(&m->meter[i], &m->profile);
		m->meter[i].time = meter_time(m, now_us);
	}
}

// The last byte of an IPv4 address, the lower half of an IPv6 address do not count.
static unsigned meter_index(const struct access_meters *m, const struct base_ip *ip)
{
	struct base_ip prefix = *ip;

	if (base_ip_is4(ip))
		prefix.b[15] = 0;
	else
		prefix.w64[1] = 0;
	return (unsigned)(base_siphash(m->key, &prefix, sizeof(prefix)) % ACCESS_METERS);
}

bool access_meters_take(
	struct access_meters *m, const struct base_ip *ip, uint32_t bytes, uint64_t now_us)
{
	struct rte_meter_srtcm *meter = &m->meter[meter_index(m, ip)];

	return !m->on ||
		rte_meter_srtcm_color_blind_check(
			meter, &m->profile, meter_time(m, now_us), bytes) == RTE_COLOR_GREEN;
}
