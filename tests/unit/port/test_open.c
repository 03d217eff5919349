// SPDX-License-Identifier: BSD-3-Clause
// A device opened and closed, on DPDK's ring device (frames sent come back): queues, pools, and the
// count of packet buffers that were not given back.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_dev.h>

#include "base/base.h"
#include "port/port.h"

static struct port_config cfg;
static struct port_eal eal;

static int setup(void **state)
{
	const struct port_eal_options opt = {.workers = 1, .conns = 10};
	char err[256];

	memset(&cfg, 0, sizeof(cfg));
	cfg.queues_max = 4;
	cfg.rx_desc = cfg.tx_desc = 64;
	cfg.mtu = 1500;
	cfg.pool_mbufs = 2047;
	cfg.offload_multi_segs = true;
	if (port_config_set(&cfg, "eal", "--no-huge", err, sizeof(err)) ||
		port_config_set(&cfg, "eal", "--no-shconf", err, sizeof(err)) ||
		port_config_set(&cfg, "eal", "-m256", err, sizeof(err)) ||
		port_config_set(&cfg, "eal", "--no-telemetry", err, sizeof(err)) ||
		port_eal_build(&eal, &cfg, &opt) || port_eal_init(&eal))
		return -1;
	return 0;
}

static int teardown(void **state)
{
	port_eal_cleanup(&eal);
	return 0;
}

static void device_add(void)
{
	assert_int_equal(rte_eal_hotplug_add("vdev", "net_ring0", ""), 0);
}

static void without_a_device_it_says_so(void **state)
{
	struct port port;

	assert_int_equal(port_open(&port, &cfg, 1, 10), -ENODEV);
}

static void frames_pass_and_all_buffers_return(void **state)
{
	struct rte_mbuf *m[4];
	struct port port;

	device_add();
	assert_int_equal(port_open(&port, &cfg, 1, 10), 0);
	assert_int_equal(port.queues, 1);
	assert_int_equal(port.mtu, 1500);
	assert_string_equal(port.driver, "net_ring");
	assert_true(port_link_up(&port));
	for (unsigned i = 0; i < 4; i++) {
		m[i] = rte_pktmbuf_alloc(port.queue[0].pool);
		assert_non_null(rte_pktmbuf_append(m[i], 1514));
	}
	assert_int_equal(port_tx(&port.queue[0], m, 4), 4);
	assert_int_equal(port_rx(&port.queue[0], m, 4), 4);
	for (unsigned i = 0; i < 4; i++)
		rte_pktmbuf_free(m[i]);
	assert_int_equal(port_rx(&port.queue[0], m, 4), 0);
	assert_int_equal(port_close(&port), 0);
	rte_eal_hotplug_remove("vdev", "net_ring0");
}

static void a_buffer_kept_is_counted_as_missing(void **state)
{
	struct rte_mbuf *kept;
	struct port port;

	device_add();
	cfg.pool_mbufs = 1023; // another size, another pool
	assert_int_equal(port_open(&port, &cfg, 1, 10), 0);
	kept = rte_pktmbuf_alloc(port.queue[0].pool);
	assert_int_equal(port_close(&port), 1);
	memset(rte_pktmbuf_mtod(kept, char *), 7, 100); // the pool is still there
	rte_mempool_free(kept->pool);
	rte_eal_hotplug_remove("vdev", "net_ring0");
}

static void workers_without_a_queue_are_marked(void **state)
{
	struct rte_mbuf *m[1];
	struct port port;

	device_add(); // the ring device has as many queues as EAL has lcores: two at least
	cfg.queues_max = 1;
	assert_int_equal(port_open(&port, &cfg, 3, 10), 0);
	assert_int_equal(port.queues, 1);
	assert_int_equal(port.spread, PORT_SPREAD_TOEPLITZ);
	assert_true(port.queue[0].has_rx);
	assert_false(port.queue[1].has_rx);
	assert_false(port.queue[2].has_tx);
	assert_non_null(port.queue[2].pool);
	assert_ptr_not_equal(port.queue[0].pool, port.queue[2].pool);
	assert_int_equal(port_rx(&port.queue[1], m, 1), 0);
	assert_int_equal(port_tx(&port.queue[1], m, 1), 0);
	assert_int_equal(port_close(&port), 0);
	rte_eal_hotplug_remove("vdev", "net_ring0");
}

static void without_rules_the_workers_steer(void **state)
{
	struct rte_flow *const none[PORT_FAMILIES][PORT_WORKERS_MAX] = {{NULL}};
	struct rte_mbuf *m[1];
	struct port port;
	char err[256];

	device_add(); // a ring takes no rules
	cfg.queues_max = 4;
	assert_int_equal(port_config_set(&cfg, "address", "fd00::2/64", err, sizeof(err)), 0);
	assert_int_equal(port_open(&port, &cfg, 1, 10), 0);
	assert_false(port_udp_steer(&port, &cfg, 65535));
	assert_memory_equal(port.udp_rule, none, sizeof(none));
	m[0] = rte_pktmbuf_alloc(port.queue[0].pool);
	assert_non_null(rte_pktmbuf_append(m[0], 64));
	assert_int_equal(port_tx(&port.queue[0], m, 1), 1);
	assert_int_equal(port_rx(&port.queue[0], m, 1), 1); // all else as ever
	rte_pktmbuf_free(m[0]);
	assert_int_equal(port_close(&port), 0);
	port_config_addresses_clear(&cfg, false);
	rte_eal_hotplug_remove("vdev", "net_ring0");
}

static void pools_that_do_not_fit_are_refused(void **state)
{
	struct port port;

	device_add();
	cfg.pool_mbufs = 1u << 20; // 256 MB of memory in all
	assert_int_equal(port_open(&port, &cfg, 2, 10), -ENOMEM);
	rte_eal_hotplug_remove("vdev", "net_ring0");
	device_add();
	cfg.pool_mbufs = 2047;
	assert_int_equal(port_open(&port, &cfg, 2, 10), 0); // nothing was left behind
	assert_int_equal(port_close(&port), 0);
	rte_eal_hotplug_remove("vdev", "net_ring0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_device_it_says_so),
		cmocka_unit_test(frames_pass_and_all_buffers_return),
		cmocka_unit_test(a_buffer_kept_is_counted_as_missing),
		cmocka_unit_test(workers_without_a_queue_are_marked),
		cmocka_unit_test(without_rules_the_workers_steer),
		cmocka_unit_test(pools_that_do_not_fit_are_refused),
	};

	base_log_level_set(BASE_LOG_ERROR);
	return cmocka_run_group_tests(tests, setup, teardown);
}
