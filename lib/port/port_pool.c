// SPDX-License-Identifier: BSD-3-Clause
// A worker's pool of packet buffers: how many, what they cost, and their making.
#include <errno.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_mbuf_pool_ops.h>
#include <rte_mempool.h>
#include <rte_memzone.h>

#include "base/base.h"
#include "port/port_internal.h"

#define CONN_MBUFS      16     // a connection: half a 32 KiB window out, as much in flight inwards
#define CONNS_MBUFS_MIN 8192   // a worker, so that few connections may have large windows
#define CONNS_MBUFS_MAX 262144 // a worker
#define BURST_MBUFS     2048   // between queues: bursts, steering rings, fragments
#define L2_BYTES        (14 + 8 + 4) // Ethernet, two VLAN tags, CRC
#define ZONE_ALIGN      4096         // the kernel wants an AF_XDP area on a page
#define MEMORY_SHARE    8            // pools take at most this part of the machine's memory

uint16_t port_mbuf_room(const struct port_config *cfg)
{
	unsigned data = (cfg->mtu + L2_BYTES + 63) & ~63u;

	return (uint16_t)(RTE_PKTMBUF_HEADROOM + (data > 2048 ? data : 2048));
}

uint64_t port_pool_bytes(const struct port_config *cfg, unsigned mbufs)
{
	return (uint64_t)mbufs *
		rte_mempool_calc_obj_size(
			(uint32_t)sizeof(struct rte_mbuf) + port_mbuf_room(cfg), 0, NULL);
}

unsigned port_pool_size(const struct port_config *cfg, unsigned workers, unsigned conns)
{
	uint64_t ram = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t each = port_pool_bytes(cfg, 1);
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

static void zone_free(struct rte_mempool_memhdr *hdr, void *zone)
{
	rte_memzone_free(zone);
}

// All buffers of the pool side by side in one memory zone. 0 or -errno.
static int pool_populate(struct rte_mempool *pool, const char *name, int node)
{
	size_t bytes =
		(size_t)pool->size * (pool->header_size + pool->elt_size + pool->trailer_size);
	const struct rte_memzone *zone =
		rte_memzone_reserve_aligned(name, bytes, node, 0, ZONE_ALIGN);
	int n;

	if (!zone)
		return -rte_errno;
	n = rte_mempool_populate_iova(
		pool, zone->addr, zone->iova, zone->len, zone_free, (void *)(uintptr_t)zone);
	if (n <= 0) {
		rte_memzone_free(zone);
		return n ? n : -ENOMEM;
	}
	return (unsigned)n == pool->size ? 0 : -ENOMEM;
}

// With virtual I/O addresses every range is as contiguous for a device as for us. DPDK's own way
// would still keep each buffer within a page, so that without hugepages it takes 4 KiB instead
// of 2.3, and af_xdp, which counts on buffers side by side, would lose those in the pool's upper
// half.
struct rte_mempool *port_pool_create(const char *name, unsigned mbufs, uint16_t room, int node)
{
	struct rte_pktmbuf_pool_private private = {.mbuf_data_room_size = room};
	struct rte_mempool *pool;
	int rc;

	if (rte_eal_iova_mode() != RTE_IOVA_VA)
		return rte_pktmbuf_pool_create(name, mbufs, PORT_CACHE_MBUFS, 0, room, node);
	pool = rte_mempool_create_empty(name, mbufs, (unsigned)sizeof(struct rte_mbuf) + room,
		PORT_CACHE_MBUFS, sizeof(private), node, RTE_MEMPOOL_F_NO_IOVA_CONTIG);
	if (!pool)
		return NULL;
	rc = rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), NULL);
	if (!rc) {
		rte_pktmbuf_pool_init(pool, &private);
		rc = pool_populate(pool, name, node);
	}
	if (rc) {
		rte_mempool_free(pool);
		rte_errno = -rc;
		return NULL;
	}
	rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	return pool;
}
