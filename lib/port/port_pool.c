// SPDX-License-Identifier: BSD-3-Clause
// How many packet buffers a worker's pool has, and what they cost.
#include <unistd.h>

#include <rte_mempool.h>

#include "base/base.h"
#include "port/port_internal.h"

#define CONN_MBUFS      16     // a connection: half a 32 KiB window out, as much in flight inwards
#define CONNS_MBUFS_MIN 8192   // a worker, so that few connections may have large windows
#define CONNS_MBUFS_MAX 262144 // a worker
#define BURST_MBUFS     2048   // between queues: bursts, steering rings, fragments
#define L2_BYTES        (14 + 8 + 4) // Ethernet, two VLAN tags, CRC
#define MEMORY_SHARE    8            // pools take at most this part of the machine's memory

uint16_t port_mbuf_room(const struct port_config *cfg)
{
	unsigned data = (cfg->mtu + L2_BYTES + 63) & ~63u;

	return (uint16_t)(RTE_PKTMBUF_HEADROOM + (data > 2048 ? data : 2048));
}

uint64_t port_pool_bytes(const struct port_config *cfg, unsigned mbufs, bool hugepages)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t each = rte_mempool_calc_obj_size(
		(uint32_t)sizeof(struct rte_mbuf) + port_mbuf_room(cfg), 0, NULL);

	// without hugepages a buffer may not cross a page, as pages need not be adjacent for a
	// device
	if (!hugepages)
		each = each <= page ? page / (page / each) : (each + 2 * page - 1) / page * page;
	return mbufs * each;
}

unsigned port_pool_size(const struct port_config *cfg, unsigned workers, unsigned conns)
{
	uint64_t ram = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t each = port_pool_bytes(cfg, 1, false);
	uint64_t least, share, most;

	base_assert(workers > 0);
	if (cfg->pool_mbufs)
		return cfg->pool_mbufs;
	// any lcore may hold a cache's worth of any pool: the cache is flushed at 1.5 times its
	// size
	least = cfg->rx_desc + cfg->tx_desc + (workers + 1) * (PORT_CACHE_MBUFS * 3 / 2) +
		BURST_MBUFS;
	share = (uint64_t)CONN_MBUFS * conns / workers;
	share = base_min_u64(base_max_u64(share, CONNS_MBUFS_MIN), CONNS_MBUFS_MAX);
	most = ram / MEMORY_SHARE / workers / each;
	return (unsigned)base_max_u64(least, base_min_u64(least + share, most));
}
