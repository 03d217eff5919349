// SPDX-License-Identifier: BSD-3-Clause
// Driver configuration files: what is taken, and that every refusal is one line that says where,
// what and what would be allowed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "port/port.h"

static char file[64];

// Writes text to a file and loads it; err[0] stays 0 on success.
static int load(struct port_config *cfg, const char *text, char *err, size_t err_len)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	err[0] = '\0';
	return port_config_load(cfg, file, err, err_len);
}

static const char *text(const struct base_ip *ip)
{
	static char buf[BASE_IP_TEXT];

	return base_ip_format(ip, buf);
}

static int setup(void **state)
{
	snprintf(file, sizeof(file), "/tmp/lcached-port-test-%d.conf", (int)getpid());
	return 0;
}

static int teardown(void **state)
{
	unlink(file);
	return 0;
}

static void every_setting_is_taken(void **state)
{
	struct port_config cfg;
	char err[512];

	assert_int_equal(load(&cfg,
				 "# a comment\n"
				 "vdev net_tap0,iface=%h\n"
				 "pci 0000:3b:00.0\n"
				 "pci 3b:00.1,dv_flow_en=0\n"
				 "eal --iova-mode=va\n"
				 "memory hugepages   # behind a value\n"
				 "queues 4\nrx-descriptors 512\ntx-descriptors 256\n"
				 "\tmtu   9000  \r\n"
				 "spread toeplitz\nrss off\nrss-hash ip,udp\n"
				 "offload-checksum off\noffload-multi-segs off\n"
				 "offload-tso on\noffload-lro on\n"
				 "address 10.1.2.3/16\ngateway 10.1.0.1\n"
				 "address fd00::2/64\ngateway fe80::1\n"
				 "route 10.2.0.0/16 10.1.0.2\nroute 0.0.0.0/0 10.1.0.3\n"
				 "route 2001:db8::/32 fd00::9\n"
				 "vlan 4094\nmbufs 5000\n"
				 "host-interface lc0\nhost-address 10.1.0.1/16",
				 err, sizeof(err)),
		0);
	assert_string_equal(err, "");
	assert_int_equal(cfg.vdevs, 1);
	assert_string_equal(cfg.vdev[0], "net_tap0,iface=%h");
	assert_int_equal(cfg.pcis, 2);
	assert_string_equal(cfg.pci[1], "3b:00.1,dv_flow_en=0");
	assert_int_equal(cfg.eals, 1);
	assert_int_equal(cfg.memory, PORT_MEMORY_HUGE);
	assert_int_equal(cfg.queues_max, 4);
	assert_int_equal(cfg.rx_desc, 512);
	assert_int_equal(cfg.tx_desc, 256);
	assert_int_equal(cfg.mtu, 9000);
	assert_int_equal(cfg.spread, PORT_SPREAD_TOEPLITZ);
	assert_false(cfg.rss);
	assert_string_equal(cfg.rss_hash, "ip,udp");
	assert_false(cfg.offload_checksum);
	assert_false(cfg.offload_multi_segs);
	assert_true(cfg.offload_tso);
	assert_true(cfg.offload_lro);
	assert_int_equal(cfg.addresses, 2);
	assert_string_equal(text(&cfg.address[0].ip), "10.1.2.3");
	assert_int_equal(cfg.address[0].prefix_len, 16);
	assert_string_equal(text(&cfg.address[1].ip), "fd00::2");
	assert_int_equal(cfg.address[1].prefix_len, 64);
	assert_string_equal(text(&cfg.gateway[PORT_IP4]), "10.1.0.1");
	assert_string_equal(text(&cfg.gateway[PORT_IP6]), "fe80::1");
	assert_int_equal(cfg.routes, 3);
	assert_int_equal(cfg.route[0].len, 16);
	assert_int_equal(cfg.route[1].len, 0);
	assert_string_equal(text(&cfg.route[1].via), "10.1.0.3");
	assert_string_equal(text(&cfg.route[2].prefix), "2001:db8::");
	assert_int_equal(cfg.vlan, 4094);
	assert_int_equal(cfg.pool_mbufs, 5000);
	assert_string_equal(cfg.host_iface, "lc0");
	assert_string_equal(cfg.host_address, "10.1.0.1/16");
}

#define GOOD "vdev net_null0\naddress 10.0.0.2/24\n"

static void what_is_not_said_has_a_default(void **state)
{
	struct port_config cfg;
	char err[512];

	assert_int_equal(load(&cfg, GOOD, err, sizeof(err)), 0);
	assert_int_equal(cfg.mtu, 1500);
	assert_int_equal(cfg.queues_max, PORT_WORKERS_MAX);
	assert_true(cfg.rss);
	assert_true(cfg.offload_checksum);
	assert_int_equal(cfg.memory, PORT_MEMORY_ANY);
	assert_int_equal(strncmp(cfg.name, "lcached-port-test-", 18), 0);
	assert_null(strstr(cfg.name, ".conf"));
}

static void a_bad_line_is_named_with_what_is_allowed(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"mtu 99999\n", ":1: mtu 99999: not allowed; must be: a number, 576 to 9216"},
		{GOOD "mtu 9000x\n", ":3: mtu 9000x: not allowed"},
		{GOOD "mtu -1\n", ":3: mtu -1: not allowed"},
		{GOOD "\nqueues 0\n", ":4: queues 0: not allowed; must be: a number, 1 to 64"},
		{GOOD "queues\n", ":3: queues: no value"},
		{GOOD "speed 9\n", ":3: speed: no such setting (see drivers-config/README.md)"},
		{GOOD "rx-descriptor 9\n", "no such setting (nearest: rx-descriptors)"},
		{GOOD "rss yes\n", ":3: rss yes: not allowed; must be: on or off"},
		{GOOD "rss-hash ip,sctp\n", ":3: rss-hash ip,sctp: not allowed"},
		{GOOD "rss-hash ,\n", ":3: rss-hash ,: not allowed"},
		{GOOD "spread rss\n", ":3: spread rss: not allowed; must be: device or toeplitz"},
		{GOOD "vlan 4095\n", ":3: vlan 4095: not allowed"},
		{GOOD "pci 00:1f\n", ":3: pci 00:1f: not allowed; must be: a PCI address"},
		{GOOD "pci 0000:3b:00.0x\n", ":3: pci 0000:3b:00.0x: not allowed"},
		{GOOD "eal iova\n", ":3: eal iova: not allowed; must be: one EAL argument"},
		{GOOD "eal -m 64\n", ":3: eal -m 64: not allowed"},
		{GOOD "memory huge\n", ":3: memory huge: not allowed; must be: any or hugepages"},
		{GOOD "host-interface sixteen_letters_\n",
			":3: host-interface sixteen_letters_: not"},
		{"vdev tap0\n", ":1: vdev tap0: not allowed; must be: an EAL virtual device"},
		{"address 10.0.0.256/24\n", ":1: address 10.0.0.256/24: not allowed"},
		{"address 10.0.0.2\n", ":1: address 10.0.0.2: not allowed"},
		{"address 10.0.0.2/33\n", ":1: address 10.0.0.2/33: not allowed"},
		{"address 224.0.0.1/24\n", ":1: address 224.0.0.1/24: not allowed"},
		{GOOD "address 10.0.0.2/25\n",
			":3: address 10.0.0.2/25: not allowed; must be: given once"},
		{"address fd00::2/129\n", ":1: address fd00::2/129: not allowed"},
		{"address ff02::1/64\n", ":1: address ff02::1/64: not allowed"},
		{"address ::ffff:1.2.3.4/96\n", ":1: address ::ffff:1.2.3.4/96: not allowed"},
		{GOOD "route fd01::1/64 fd00::1\n", "must be: no address bits beyond the prefix"},
		{GOOD "route fd01::/64 10.0.0.1\n", ":3: route fd01::/64 10.0.0.1: not allowed"},
		{GOOD "route 10.9.0.1/16 10.0.0.1\n", "must be: no address bits beyond the prefix"},
		{GOOD "route 10.9.0.0/16\n", ":3: route 10.9.0.0/16: not allowed"},
	};
	struct port_config cfg;
	char err[512];

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(load(&cfg, cases[i].text, err, sizeof(err)), -EINVAL);
		assert_int_equal(strncmp(err, file, strlen(file)), 0);
		if (!strstr(err, cases[i].says))
			fail_msg("%s\nlacks: %s", err, cases[i].says);
		assert_null(strchr(err, '\n'));
	}
}

static void settings_must_agree(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"address 10.0.0.2/24\n", "no device"},
		{"vdev net_null0\n", "no address"},
		{GOOD "gateway 10.0.1.1\n", "gateway: not another host"},
		{GOOD "gateway 10.0.0.2\n", "gateway: not another host"},
		{GOOD "gateway fe80::1\n", "gateway: not another host"}, // no IPv6 address
		{GOOD "address fd00::2/64\ngateway fd01::1\n", "gateway: not another host"},
		{GOOD "address fd00::2/64\nmtu 1279\n", "mtu: IPv6 needs 1280"},
		{GOOD "route 10.9.0.0/16 10.0.1.1\n", "route: its gateway"},
		{"vdev net_tap0,iface=%h\naddress 10.0.0.2/24\n", "no host-interface"},
	};
	struct port_config cfg;
	char err[512];

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(load(&cfg, cases[i].text, err, sizeof(err)), -EINVAL);
		if (!strstr(err, cases[i].says))
			fail_msg("%s\nlacks: %s", err, cases[i].says);
	}
}

static void a_refused_setting_changes_nothing(void **state)
{
	struct port_config cfg, before;
	char err[512];

	assert_int_equal(load(&cfg, GOOD, err, sizeof(err)), 0);
	before = cfg;
	assert_int_equal(port_config_set(&cfg, "address", "10.0.0.9", err, sizeof(err)), -EINVAL);
	assert_int_equal(port_config_set(&cfg, "route", "10.0.0.9", err, sizeof(err)), -EINVAL);
	assert_int_equal(port_config_set(&cfg, "rss-hash", "tcp,x", err, sizeof(err)), -EINVAL);
	assert_memory_equal(&cfg, &before, sizeof(cfg));
	assert_int_equal(port_config_set(&cfg, "address", "10.0.0.9/8", err, sizeof(err)), 0);
	assert_int_equal(cfg.addresses, 2);
	assert_string_equal(text(&cfg.address[1].ip), "10.0.0.9");
	port_config_addresses_clear(&cfg, true);
	assert_int_equal(cfg.addresses, 0);
	assert_true(port_config_has("address"));
	assert_false(port_config_has("maxmemory"));
}

static void lists_have_an_end(void **state)
{
	struct port_config cfg;
	char err[512];

	assert_int_equal(load(&cfg, GOOD, err, sizeof(err)), 0);
	for (unsigned i = cfg.vdevs; i < PORT_VDEVS_MAX; i++)
		assert_int_equal(port_config_set(&cfg, "vdev", "net_null1", err, sizeof(err)), 0);
	assert_int_equal(port_config_set(&cfg, "vdev", "net_null1", err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "at most 8"));
	for (unsigned i = 0; i < PORT_ROUTES_MAX; i++)
		assert_int_equal(
			port_config_set(&cfg, "route", "10.9.0.0/16 10.0.0.1", err, sizeof(err)),
			0);
	assert_int_equal(
		port_config_set(&cfg, "route", "10.9.0.0/16 10.0.0.1", err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "at most 64"));
}

static void a_line_of_any_length_is_bounded(void **state)
{
	struct port_config cfg;
	char text[5000], err[512];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(load(&cfg, text, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, ":1: line longer than"));
}

static void names_are_looked_up_and_files_opened(void **state)
{
	static const char *const drivers[] = {"tap", "af_packet", "af_xdp", "memif", "virtio-user",
		"vhost-user", "virtio-user-bulk", "vhost-user-bulk", "pci"};
	struct port_config cfg;
	char err[512];

	for (unsigned i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++) {
		if (port_config_load(&cfg, drivers[i], err, sizeof(err)))
			fail_msg("%s", err);
		assert_string_equal(cfg.name, drivers[i]);
		assert_string_equal(text(&cfg.address[0].ip), "198.18.211.2");
	}
	assert_int_equal(port_config_load(&cfg, "nosuch", err, sizeof(err)), -ENOENT);
	assert_non_null(
		strstr(err, "nosuch: no such driver configuration (looked for nosuch.conf in"));
	assert_int_equal(port_config_load(&cfg, "/nonexistent/x.conf", err, sizeof(err)), -ENOENT);
	assert_non_null(strstr(err, "/nonexistent/x.conf: cannot be opened"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_setting_is_taken),
		cmocka_unit_test(what_is_not_said_has_a_default),
		cmocka_unit_test(a_bad_line_is_named_with_what_is_allowed),
		cmocka_unit_test(settings_must_agree),
		cmocka_unit_test(a_refused_setting_changes_nothing),
		cmocka_unit_test(lists_have_an_end),
		cmocka_unit_test(a_line_of_any_length_is_bounded),
		cmocka_unit_test(names_are_looked_up_and_files_opened),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
