// SPDX-License-Identifier: BSD-3-Clause
// EAL with a device that sends nothing, and frames made by hand.
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <rte_byteorder.h>
#include <rte_eal.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "../../any_cpu.h"
#include "capture/capture_internal.h"

static struct rte_mempool *pool;

static int eal_open(void **state)
{
	char *argv[] = {"t", "--no-huge", "--no-pci", "--no-shconf", "-m", "128", "--no-telemetry",
		"--lcores", any_cpu(), "--iova-mode=va", "--log-level=error", "--vdev",
		"net_null0"};

	if (rte_eal_init(BASE_ARRAY_LEN(argv), argv) < 0)
		return -1;
	pool = rte_pktmbuf_pool_create("frames", 255, 0, 0, 2048, SOCKET_ID_ANY);
	return pool != NULL ? 0 : -1;
}

static int eal_close(void **state)
{
	if (rte_mempool_avail_count(pool) != 255)
		return -1;
	rte_mempool_free(pool);
	return rte_eal_cleanup();
}

// A UDP datagram of `payload` bytes, from 10.0.0.1 port `from` to 10.0.0.2 port 11211.
static __attribute__((unused)) struct rte_mbuf *frame_udp(uint16_t from, uint16_t payload)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	struct rte_ether_hdr *ether;
	struct rte_ipv4_hdr *ip;
	struct rte_udp_hdr *udp;

	assert_non_null(m);
	ether = (void *)rte_pktmbuf_append(m, (uint16_t)(42 + payload));
	assert_non_null(ether);
	memset(ether, 0, 42);
	ip = (void *)(ether + 1);
	udp = (void *)(ip + 1);
	ether->ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
	ip->version_ihl = 0x45;
	ip->time_to_live = 64;
	ip->next_proto_id = IPPROTO_UDP;
	ip->total_length = rte_cpu_to_be_16((uint16_t)(28 + payload));
	ip->src_addr = RTE_BE32(RTE_IPV4(10, 0, 0, 1));
	ip->dst_addr = RTE_BE32(RTE_IPV4(10, 0, 0, 2));
	udp->src_port = rte_cpu_to_be_16(from);
	udp->dst_port = RTE_BE16(11211);
	udp->dgram_len = rte_cpu_to_be_16((uint16_t)(8 + payload));
	for (unsigned i = 0; i < payload; i++)
		((char *)(udp + 1))[i] = (char)(from + i);
	return m;
}
