// SPDX-License-Identifier: BSD-3-Clause
// EAL's command line: lcores, memory, devices, the operator's own arguments; and what is refused
// before EAL starts.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/base.h"
#include "port/port.h"

static const char *lcores(
	char *buf, size_t len, const int *nodes, unsigned count, int node, unsigned workers)
{
	unsigned cpus[16];

	for (unsigned i = 0; i < count; i++)
		cpus[i] = i + 2;
	assert_int_equal(port_lcores_format(buf, len, cpus, nodes, count, node, workers), 0);
	return buf;
}

static void workers_have_a_cpu_each_while_there_are_enough(void **state)
{
	const int nodes[4] = {0};
	char buf[256];

	assert_string_equal(lcores(buf, sizeof(buf), nodes, 4, -1, 3), "0@2,1@3,2@4,3@5");
	assert_string_equal(lcores(buf, sizeof(buf), nodes, 4, -1, 1), "0@2,1@3");
}

static void lcores_share_when_cpus_are_few(void **state)
{
	const int nodes[2] = {0};
	char buf[256];

	assert_string_equal(lcores(buf, sizeof(buf), nodes, 1, -1, 2), "0@2,1@2,2@2");
	assert_string_equal(lcores(buf, sizeof(buf), nodes, 2, -1, 3), "0@2,1@3,2@2,3@3");
}

static void workers_go_to_the_devices_node(void **state)
{
	const int nodes[4] = {0, 0, 1, 1};
	char buf[256];

	assert_string_equal(lcores(buf, sizeof(buf), nodes, 4, 1, 2), "0@2,1@4,2@5");
	// the control core makes room when the workers need the whole node
	assert_string_equal(lcores(buf, sizeof(buf), nodes, 4, 0, 2), "0@4,1@2,2@3");
	assert_string_equal(lcores(buf, sizeof(buf), nodes, 4, 1, 3), "0@2,1@4,2@5,3@3");
}

static void too_long_is_said(void **state)
{
	const unsigned cpus[2] = {100, 101};
	const int nodes[2] = {0};
	char buf[8];

	assert_int_equal(port_lcores_format(buf, sizeof(buf), cpus, nodes, 2, -1, 2), -ENOSPC);
}

static void config(struct port_config *cfg, const char *vdev)
{
	memset(cfg, 0, sizeof(*cfg));
	snprintf(cfg->name, sizeof(cfg->name), "test");
	snprintf(cfg->vdev[0], sizeof(cfg->vdev[0]), "%s", vdev);
	cfg->vdevs = 1;
	cfg->queues_max = 4;
	cfg->rx_desc = cfg->tx_desc = 128;
	cfg->mtu = 1500;
	cfg->pool_mbufs = 1024;
	snprintf(cfg->host_iface, sizeof(cfg->host_iface), "lctest0");
}

static bool has(const struct port_eal *eal, const char *arg)
{
	for (int i = 0; i < eal->argc; i++)
		if (!strncmp(eal->argv[i], arg, strlen(arg)))
			return true;
	return false;
}

static void devices_and_placeholders_are_written_out(void **state)
{
	const struct port_eal_options opt = {.workers = 3, .conns = 10};
	struct port_config cfg;
	struct port_eal eal;

	config(&cfg, "net_null0,a=%q,b=%h,c=%q");
	assert_int_equal(port_eal_build(&eal, &cfg, &opt), 0);
	assert_true(has(&eal, "--vdev"));
	assert_true(has(&eal, "net_null0,a=3,b=lctest0,c=3"));
	assert_true(has(&eal, "--no-pci"));
	assert_true(has(&eal, "--lcores=0@"));
	assert_null(eal.argv[eal.argc]);
	port_eal_release(&eal);
	config(&cfg, "net_null0,a=%q");
	cfg.queues_max = 2;
	assert_int_equal(port_eal_build(&eal, &cfg, &opt), 0);
	assert_true(has(&eal, "net_null0,a=2"));
	port_eal_release(&eal);
}

static void the_operators_arguments_replace_ours(void **state)
{
	char *extra[] = {(char *)(uintptr_t) "-l0", (char *)(uintptr_t) "--no-huge",
		(char *)(uintptr_t) "-m", (char *)(uintptr_t) "99",
		(char *)(uintptr_t) "--iova-mode=pa"};
	struct port_eal_options opt = {
		.workers = 1, .conns = 10, .extra_argc = 5, .extra_argv = extra};
	struct port_config cfg;
	struct port_eal eal;

	config(&cfg, "net_null0");
	assert_int_equal(port_eal_build(&eal, &cfg, &opt), 0);
	assert_false(has(&eal, "--lcores"));
	assert_false(has(&eal, "--in-memory"));
	assert_false(has(&eal, "--iova-mode=va"));
	assert_true(has(&eal, "--iova-mode=pa"));
	assert_true(has(&eal, "99"));
	assert_false(eal.hugepages);
	port_eal_release(&eal);
}

static void ordinary_pages_asked_for_are_as_many_as_are_needed(void **state)
{
	char *extra[] = {(char *)(uintptr_t) "--no-huge"};
	struct port_eal_options opt = {
		.workers = 1, .conns = 10, .extra_argc = 1, .extra_argv = extra};
	struct port_config cfg;
	struct port_eal eal;

	config(&cfg, "net_null0");
	assert_int_equal(port_eal_build(&eal, &cfg, &opt), 0);
	assert_true(has(&eal, "-m"));
	assert_true(has(&eal, "--no-shconf"));
	assert_false(eal.hugepages);
	port_eal_release(&eal);
}

static void hugepages_that_must_be_there_are_asked_for(void **state)
{
	const struct port_eal_options opt = {.workers = 1, .conns = 10, .memory_bytes = 1ull << 50};
	struct port_config cfg;
	struct port_eal eal;

	config(&cfg, "net_null0");
	cfg.memory = PORT_MEMORY_HUGE;
	assert_int_equal(port_eal_build(&eal, &cfg, &opt), -ENOMEM);
}

static void an_interface_has_one_owner(void **state)
{
	struct port_eal_options opt = {.workers = 1, .conns = 10};
	struct port_eal first, second;
	struct port_config cfg;

	config(&cfg, "net_af_packet0,iface=lo");
	assert_int_equal(port_eal_build(&first, &cfg, &opt), 0);
	assert_int_equal(port_eal_build(&second, &cfg, &opt), -EADDRINUSE);
	port_eal_release(&first);
	assert_int_equal(port_eal_build(&second, &cfg, &opt), 0);
	port_eal_release(&second);
	config(&cfg, "net_af_packet0,iface=nosuchif");
	assert_int_equal(port_eal_build(&second, &cfg, &opt), -ENODEV);
	config(&cfg, "net_tap0,iface=lo"); // a TAP that is there already is somebody else's
	if (access("/dev/net/tun", R_OK | W_OK) == 0)
		assert_int_equal(port_eal_build(&second, &cfg, &opt), -EEXIST);
}

static void stale_sockets_go_and_live_ones_stay(void **state)
{
	struct port_eal_options opt = {.workers = 1, .conns = 10};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	char vdev[256], vhost[256];
	struct port_config cfg;
	struct port_eal eal;
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "/tmp/lcached-port-test-%d.sock",
		(int)getpid());
	snprintf(vdev, sizeof(vdev), "net_virtio_user0,path=%s,server=1", addr.sun_path);
	snprintf(vhost, sizeof(vhost), "net_vhost0,iface=%s,client=1", addr.sun_path);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(fd, 1), 0);
	config(&cfg, vdev);
	assert_int_equal(port_eal_build(&eal, &cfg, &opt), -EADDRINUSE);
	assert_int_equal(access(addr.sun_path, F_OK), 0);
	close(fd);
	config(&cfg, vhost); // a client's path is not its own to remove
	assert_int_equal(port_eal_build(&eal, &cfg, &opt), 0);
	port_eal_release(&eal);
	assert_int_equal(access(addr.sun_path, F_OK), 0);
	config(&cfg, vdev);
	assert_int_equal(port_eal_build(&eal, &cfg, &opt), 0);
	port_eal_release(&eal);
	assert_int_not_equal(access(addr.sun_path, F_OK), 0);
}

static void a_socket_needs_a_folder(void **state)
{
	struct port_eal_options opt = {.workers = 1, .conns = 10};
	struct port_config cfg;
	struct port_eal eal;

	config(&cfg, "net_virtio_user0,path=/nonexistent/lcached.sock,server=1");
	assert_int_equal(port_eal_build(&eal, &cfg, &opt), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(workers_have_a_cpu_each_while_there_are_enough),
		cmocka_unit_test(lcores_share_when_cpus_are_few),
		cmocka_unit_test(workers_go_to_the_devices_node),
		cmocka_unit_test(too_long_is_said),
		cmocka_unit_test(devices_and_placeholders_are_written_out),
		cmocka_unit_test(the_operators_arguments_replace_ours),
		cmocka_unit_test(ordinary_pages_asked_for_are_as_many_as_are_needed),
		cmocka_unit_test(hugepages_that_must_be_there_are_asked_for),
		cmocka_unit_test(an_interface_has_one_owner),
		cmocka_unit_test(stale_sockets_go_and_live_ones_stay),
		cmocka_unit_test(a_socket_needs_a_folder),
	};

	base_log_level_set(BASE_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
