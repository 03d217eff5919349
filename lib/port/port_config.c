// SPDX-License-Identifier: BSD-3-Clause
// The settings of a driver configuration: one table, its value parsers, and the rules between
// settings. port_config_file.c finds and reads the files.
#include "port/port_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <rte_ip.h>

#include "base/base.h"

struct setting {
	const char *name;
	// Stores value; returns NULL or what is allowed.
	const char *(*set)(struct port_config *cfg, const struct setting *s, const char *value);
	size_t offset;       // of the member that set() writes
	uint64_t min, max;   // numbers alone
	const char *allowed; // said when the value is refused
	bool list;           // may stand several times
};

static void *member(struct port_config *cfg, const struct setting *s)
{
	return (char *)cfg + s->offset;
}

static const char *set_unsigned(struct port_config *cfg, const struct setting *s, const char *value)
{
	uint64_t v;

	if (base_u64_parse(value, strlen(value), &v) || v < s->min || v > s->max)
		return s->allowed;
	*(unsigned *)member(cfg, s) = (unsigned)v;
	return NULL;
}

static const char *set_vlan(struct port_config *cfg, const struct setting *s, const char *value)
{
	uint64_t v;

	if (base_u64_parse(value, strlen(value), &v) || v > s->max)
		return s->allowed;
	cfg->vlan = (uint16_t)v;
	return NULL;
}

static const char *set_bool(struct port_config *cfg, const struct setting *s, const char *value)
{
	bool on = !strcmp(value, "on");

	if (!on && strcmp(value, "off"))
		return s->allowed;
	*(bool *)member(cfg, s) = on;
	return NULL;
}

static const char *set_spread(struct port_config *cfg, const struct setting *s, const char *value)
{
	if (!strcmp(value, "device"))
		cfg->spread = PORT_SPREAD_DEVICE;
	else if (!strcmp(value, "toeplitz"))
		cfg->spread = PORT_SPREAD_TOEPLITZ;
	else
		return s->allowed;
	return NULL;
}

static const char *set_memory(struct port_config *cfg, const struct setting *s, const char *value)
{
	if (!strcmp(value, "any"))
		cfg->memory = PORT_MEMORY_ANY;
	else if (!strcmp(value, "hugepages"))
		cfg->memory = PORT_MEMORY_HUGE;
	else
		return s->allowed;
	return NULL;
}

static const char *set_hash(struct port_config *cfg, const struct setting *s, const char *value)
{
	uint64_t hf;

	if (strlen(value) >= sizeof(cfg->rss_hash) || port_rss_parse(value, &hf))
		return s->allowed;
	strcpy(cfg->rss_hash, value);
	return NULL;
}

static bool has_space(const char *s)
{
	return strpbrk(s, " \t") != NULL;
}

static const char *set_vdev(struct port_config *cfg, const struct setting *s, const char *value)
{
	if (cfg->vdevs == PORT_VDEVS_MAX)
		return "at most 8 of them";
	if (strncmp(value, "net_", 4) || has_space(value) || strlen(value) >= sizeof(cfg->vdev[0]))
		return s->allowed;
	strcpy(cfg->vdev[cfg->vdevs++], value);
	return NULL;
}

static const char *set_pci(struct port_config *cfg, const struct setting *s, const char *value)
{
	unsigned domain, bus, dev, fn;
	int end = 0;

	if (cfg->pcis == PORT_VDEVS_MAX)
		return "at most 8 of them";
	if (strlen(value) >= sizeof(cfg->pci[0]))
		return s->allowed;
	if ((sscanf(value, "%4x:%2x:%2x.%1x%n", &domain, &bus, &dev, &fn, &end) != 4 || !end) &&
		(sscanf(value, "%2x:%2x.%1x%n", &bus, &dev, &fn, &end) != 3 || !end))
		return s->allowed;
	if (value[end] != '\0' && value[end] != ',') // device arguments may follow
		return s->allowed;
	strcpy(cfg->pci[cfg->pcis++], value);
	return NULL;
}

static const char *set_eal(struct port_config *cfg, const struct setting *s, const char *value)
{
	if (cfg->eals == PORT_VDEVS_MAX)
		return "at most 8 of them";
	if (value[0] != '-' || has_space(value) || strlen(value) >= sizeof(cfg->eal[0]))
		return s->allowed;
	strcpy(cfg->eal[cfg->eals++], value);
	return NULL;
}

static bool host_address_valid(const struct base_ip *ip)
{
	static const struct base_ip loopback = {.b[15] = 1};
	uint8_t first;

	if (!base_ip_is4(ip))
		return ip->b[0] != 0xff && !base_ip_none(ip) && !base_ip_same(ip, &loopback);
	first = ip->b[12];
	return first != 0 && first != 127 && first < 224;
}

static bool host_prefix_parse(const char *value, struct port_address *a)
{
	return base_ip_prefix_parse(value, &a->ip, &a->prefix_len) == 0 && a->prefix_len != 0 &&
		host_address_valid(&a->ip);
}

static const char *set_address(struct port_config *cfg, const struct setting *s, const char *value)
{
	struct port_address a;

	if (!host_prefix_parse(value, &a))
		return s->allowed;
	if (cfg->addresses == PORT_ADDRESSES_MAX)
		return "at most 32 of them";
	for (unsigned i = 0; i < cfg->addresses; i++) {
		if (base_ip_same(&cfg->address[i].ip, &a.ip))
			return "given once";
	}
	cfg->address[cfg->addresses++] = a;
	return NULL;
}

static const char *set_host_address(
	struct port_config *cfg, const struct setting *s, const char *value)
{
	struct port_address a;

	if (!host_prefix_parse(value, &a))
		return s->allowed;
	strcpy(cfg->host_address, value); // it was parsed, so it is short
	return NULL;
}

static enum port_family family_of(const struct base_ip *ip)
{
	return base_ip_is4(ip) ? PORT_IP4 : PORT_IP6;
}

static const char *set_gateway(struct port_config *cfg, const struct setting *s, const char *value)
{
	struct base_ip ip;

	if (base_ip_parse(value, &ip) || !host_address_valid(&ip))
		return s->allowed;
	cfg->gateway[family_of(&ip)] = ip;
	return NULL;
}

static const char *set_route(struct port_config *cfg, const struct setting *s, const char *value)
{
	size_t prefix_len = strcspn(value, " \t");
	const char *via = value + prefix_len + strspn(value + prefix_len, " \t");
	struct base_ip mask, none = {.w64 = {0, 0}};
	char prefix[64];
	struct port_route r;

	if (cfg->routes == PORT_ROUTES_MAX)
		return "at most 64 of them";
	snprintf(prefix, sizeof(prefix), "%.*s", (int)prefix_len, value);
	if (prefix_len >= sizeof(prefix) || base_ip_prefix_parse(prefix, &r.prefix, &r.len) ||
		base_ip_parse(via, &r.via) || !host_address_valid(&r.via) ||
		family_of(&r.via) != family_of(&r.prefix))
		return s->allowed;
	mask = base_ip_mask(&r.prefix, r.len);
	for (unsigned i = 0; i < 2; i++) // what the mask leaves over
		mask.w64[i] = ~mask.w64[i];
	if (!base_ip_masked_same(&r.prefix, &none, &mask))
		return "no address bits beyond the prefix length";
	cfg->route[cfg->routes++] = r;
	return NULL;
}

static const char *set_iface(struct port_config *cfg, const struct setting *s, const char *value)
{
	if (strlen(value) >= sizeof(cfg->host_iface) || strpbrk(value, " \t/:,%"))
		return s->allowed;
	strcpy(cfg->host_iface, value);
	return NULL;
}

#define AT(m) offsetof(struct port_config, m)
#define NUMBER(n, m, lo, hi, text) \
	{ \
		n, set_unsigned, AT(m), lo, hi, "a number, " text, false \
	}
#define SWITCH(n, m) \
	{ \
		n, set_bool, AT(m), 0, 0, "on or off", false \
	}
#define LINE(n, fn, text) \
	{ \
		n, fn, 0, 0, 0, text, false \
	}
#define LIST(n, fn, text) \
	{ \
		n, fn, 0, 0, 0, text, true \
	}

static const struct setting settings[] = {
	LIST("vdev", set_vdev, "an EAL virtual device without spaces, as net_tap0,iface=%h"),
	LIST("pci", set_pci, "a PCI address, as 0000:3b:00.0"),
	LIST("eal", set_eal, "one EAL argument without spaces, as --iova-mode=va"),
	LINE("memory", set_memory, "any or hugepages"),
	NUMBER("queues", queues_max, 1, PORT_WORKERS_MAX, "1 to 64"),
	NUMBER("rx-descriptors", rx_desc, 32, 16384, "32 to 16384"),
	NUMBER("tx-descriptors", tx_desc, 32, 16384, "32 to 16384"),
	NUMBER("mtu", mtu, 576, 9216, "576 to 9216"),
	LINE("spread", set_spread, "device or toeplitz"),
	SWITCH("rss", rss),
	LINE("rss-hash", set_hash, "a comma-separated list of ip, tcp, udp"),
	SWITCH("offload-checksum", offload_checksum),
	SWITCH("offload-multi-segs", offload_multi_segs),
	SWITCH("offload-tso", offload_tso),
	SWITCH("offload-lro", offload_lro),
	LIST("address", set_address,
		"a host's address with its prefix, as 198.18.211.2/24 or fd00::2/64"),
	LIST("gateway", set_gateway, "a host's address"),
	LIST("route", set_route, "PREFIX/LEN GATEWAY, as 10.0.0.0/8 198.18.211.1"),
	{"vlan", set_vlan, AT(vlan), 0, 4094, "a number, 0 (untagged) to 4094", false},
	NUMBER("mbufs", pool_mbufs, 0, 1u << 24, "0 (by the queues and connections) to 16777216"),
	LINE("host-interface", set_iface, "an interface's name, up to 15 characters"),
	LIST("host-address", set_host_address, "a host's address with its prefix"),
};

static_assert(BASE_ARRAY_LEN(settings) <= PORT_SETTINGS_MAX, "lines seen are kept a setting");

int port_setting_find(const char *name, bool *list)
{
	for (unsigned i = 0; i < BASE_ARRAY_LEN(settings); i++) {
		if (!strcmp(settings[i].name, name)) {
			*list = settings[i].list;
			return (int)i;
		}
	}
	return -ENOENT;
}

static const char *setting_name(unsigned i)
{
	return i < BASE_ARRAY_LEN(settings) ? settings[i].name : NULL;
}

bool port_config_has(const char *name)
{
	bool list;

	return port_setting_find(name, &list) >= 0;
}

int port_config_set(
	struct port_config *cfg, const char *name, const char *value, char *err, size_t err_len)
{
	const char *allowed;
	bool list;
	int i = port_setting_find(name, &list);

	if (i < 0) {
		const char *near = base_name_nearest(name, setting_name);

		snprintf(err, err_len, "%s: no such setting (%s%s)", name,
			near ? "nearest: " : "see drivers-config/README.md", near ? near : "");
		return -EINVAL;
	}
	if (!*value) {
		snprintf(err, err_len, "%s: no value; allowed: %s", name, settings[i].allowed);
		return -EINVAL;
	}
	allowed = settings[i].set(cfg, &settings[i], value);
	if (allowed) {
		snprintf(err, err_len, "%s %s: not allowed; must be: %s", name, value, allowed);
		return -EINVAL;
	}
	return 0;
}

void port_config_init(struct port_config *cfg)
{
	memset(cfg, 0, sizeof(*cfg));
	cfg->queues_max = PORT_WORKERS_MAX;
	cfg->rx_desc = cfg->tx_desc = 1024;
	cfg->mtu = 1500;
	cfg->rss = true;
	strcpy(cfg->rss_hash, "ip,tcp,udp");
	cfg->offload_checksum = cfg->offload_multi_segs = true;
}

void port_config_addresses_clear(struct port_config *cfg, bool gateways)
{
	cfg->addresses = 0;
	if (gateways)
		memset(cfg->gateway, 0, sizeof(cfg->gateway));
}

// Another host on the link. Every IPv6 interface has a link-local address, too.
static bool on_link(const struct port_config *cfg, const struct base_ip *ip)
{
	bool on = false;

	for (unsigned i = 0; i < cfg->addresses; i++) {
		const struct port_address *a = &cfg->address[i];
		struct base_ip mask = base_ip_mask(&a->ip, a->prefix_len);

		if (base_ip_same(ip, &a->ip))
			return false;
		on |= base_ip_masked_same(ip, &a->ip, &mask) ||
			(!base_ip_is4(&a->ip) && ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80);
	}
	return on;
}

bool port_config_has_ip6(const struct port_config *cfg)
{
	for (unsigned i = 0; i < cfg->addresses; i++) {
		if (!base_ip_is4(&cfg->address[i].ip))
			return true;
	}
	return false;
}

static const char *net_check(const struct port_config *cfg)
{
	if (cfg->addresses == 0)
		return "no address: an address line is needed";
	if (port_config_has_ip6(cfg) && cfg->mtu < RTE_IPV6_MIN_MTU)
		return "mtu: IPv6 needs 1280 at least";
	for (unsigned f = 0; f < PORT_FAMILIES; f++) {
		if (!base_ip_none(&cfg->gateway[f]) && !on_link(cfg, &cfg->gateway[f]))
			return "gateway: not another host of an address' prefix";
	}
	for (unsigned i = 0; i < cfg->routes; i++) {
		if (!on_link(cfg, &cfg->route[i].via))
			return "route: its gateway is not another host of an address' prefix";
	}
	return NULL;
}

int port_config_check(const struct port_config *cfg, char *err, size_t err_len)
{
	const char *wrong = NULL;

	if (!cfg->vdevs && !cfg->pcis)
		wrong = "no device: a vdev or pci line is needed";
	else
		wrong = net_check(cfg);
	for (unsigned i = 0; !wrong && i < cfg->vdevs; i++)
		if (strstr(cfg->vdev[i], "%h") && !cfg->host_iface[0])
			wrong = "vdev: has %h, but no host-interface is named";
	if (!wrong)
		return 0;
	snprintf(err, err_len, "%s", wrong);
	return -EINVAL;
}
