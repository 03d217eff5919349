// SPDX-License-Identifier: BSD-3-Clause
// Internet addresses of both families as text, and their masks.
#include "base/base.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

static_assert(sizeof(struct base_ip) == 16, "two words");

struct base_ip base_ip_mask(const struct base_ip *ip, unsigned len)
{
	unsigned bits = base_ip_is4(ip) ? 96 + len : len;
	struct base_ip mask = {.w64 = {0, 0}};

	base_assert(bits <= 128);
	for (unsigned i = 0; i < bits / 8; i++)
		mask.b[i] = 0xff;
	if (bits % 8)
		mask.b[bits / 8] = (uint8_t)(0xff00 >> bits % 8);
	return mask;
}

struct base_ip base_ip_link_local(const uint8_t mac[6])
{
	static const uint64_t key[2] = {UINT64_C(0x6c636163686564), UINT64_C(0x66653830)};
	struct base_ip ip = {.b = {0xfe, 0x80}};
	uint64_t id = base_siphash(key, mac, 6);

	memcpy(ip.b + 8, &id, sizeof(id));
	return ip;
}

int base_ip_parse(const char *text, struct base_ip *ip)
{
	struct in_addr in;

	if (inet_pton(AF_INET, text, &in) == 1) {
		*ip = base_ip4(in.s_addr);
		return 0;
	}
	if (inet_pton(AF_INET6, text, ip->b) != 1 || base_ip_is4(ip))
		return -EINVAL;
	return 0;
}

int base_ip_prefix_parse(const char *text, struct base_ip *ip, uint8_t *len)
{
	const char *slash = strchr(text, '/');
	char address[BASE_IP_TEXT];
	uint64_t bits;

	if (slash == NULL || (size_t)(slash - text) >= sizeof(address))
		return -EINVAL;
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = '\0';
	if (base_ip_parse(address, ip) || base_u64_parse(slash + 1, strlen(slash + 1), &bits) ||
		bits > (base_ip_is4(ip) ? 32 : 128))
		return -EINVAL;
	*len = (uint8_t)bits;
	return 0;
}

const char *base_ip_format(const struct base_ip *ip, char *buf)
{
	if (base_ip_is4(ip))
		inet_ntop(AF_INET, &ip->w32[3], buf, BASE_IP_TEXT);
	else
		inet_ntop(AF_INET6, ip->b, buf, BASE_IP_TEXT);
	return buf;
}
