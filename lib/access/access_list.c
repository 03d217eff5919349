// SPDX-License-Identifier: BSD-3-Clause
// Prefix lists: as text, and as rte_acl's trie, which takes some KiB where the tables of rte_lpm
// take 64 MiB a family. Both families are in one trie, told apart by its first byte.

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_acl.h>
#include <rte_byteorder.h>

#include "access/access.h"

#define FAMILY_4 4
#define FAMILY_6 6

// ---- text --------------------------------------------------------------------------------------
static int prefix_parse(const char *text, struct access_prefix *p, char *err, size_t err_len)
{
	struct base_ip mask;
	int rc;

	if (strchr(text, '/') != NULL) {
		rc = base_ip_prefix_parse(text, &p->ip, &p->len);
	} else {
		rc = base_ip_parse(text, &p->ip);
		p->len = rc == 0 && base_ip_is4(&p->ip) ? 32 : 128;
	}
	if (rc < 0) {
		snprintf(err, err_len,
			"'%.64s' is not a prefix (10.0.0.0/8, fd00::/8), an address, all or none",
			text);
		return -EINVAL;
	}
	mask = base_ip_mask(&p->ip, p->len);
	if ((p->ip.w64[0] & ~mask.w64[0]) != 0 || (p->ip.w64[1] & ~mask.w64[1]) != 0) {
		snprintf(err, err_len, "'%.64s' has bits behind its prefix", text);
		return -EINVAL;
	}
	return 0;
}

int access_prefixes_parse(const char *text, struct access_prefix prefix[ACCESS_PREFIXES_MAX],
	unsigned *count, char *err, size_t err_len)
{
	char one[BASE_IP_TEXT + 5];

	*count = 0;
	if (strcmp(text, "none") == 0)
		return 0;
	if (strcmp(text, "all") == 0) {
		prefix[0] = (struct access_prefix){base_ip4(0), 0};
		prefix[1] = (struct access_prefix){{.w64 = {0, 0}}, 0};
		*count = 2;
		return 0;
	}
	for (const char *p = text; p != NULL; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
		size_t n = strcspn(p, ",");

		if (*count == ACCESS_PREFIXES_MAX) {
			snprintf(err, err_len, "more than %d prefixes", ACCESS_PREFIXES_MAX);
			return -EINVAL;
		}
		snprintf(one, sizeof(one), "%.*s", (int)base_min_u64(n, sizeof(one) - 1), p);
		if (prefix_parse(one, &prefix[*count], err, err_len) < 0)
			return -EINVAL;
		(*count)++;
	}
	return 0;
}

// ---- the trie ----------------------------------------------------------------------------------
struct acl_input { // what is looked up, in network order
	uint8_t family;
	uint32_t w[4];
};

enum { FIELD_FAMILY, FIELD_WORD, FIELDS = FIELD_WORD + 4 };
RTE_ACL_RULE_DEF(acl_rule, FIELDS);

struct access_list {
	struct mem_domain *mem;
	struct rte_acl_ctx *acl; // NULL: no prefix but those of all addresses
	bool all4, all6;
};

static void rule_fill(struct acl_rule *r, const struct access_prefix *p)
{
	bool ip4 = base_ip_is4(&p->ip);
	unsigned bits = ip4 ? 96u + p->len : p->len;

	memset(r, 0, sizeof(*r));
	r->data = (struct rte_acl_rule_data){.category_mask = 1, .priority = 1, .userdata = 1};
	r->field[FIELD_FAMILY].value.u8 = ip4 ? FAMILY_4 : FAMILY_6;
	r->field[FIELD_FAMILY].mask_range.u8 = UINT8_MAX;
	for (unsigned i = 0; i < 4; i++) {
		unsigned here = bits > 32 * i ? bits - 32 * i : 0;

		r->field[FIELD_WORD + i].value.u32 = rte_be_to_cpu_32(p->ip.w32[i]);
		r->field[FIELD_WORD + i].mask_range.u32 = here < 32 ? here : 32;
	}
}

static int acl_build(struct rte_acl_ctx *acl)
{
	struct rte_acl_config cfg = {.num_categories = 1, .num_fields = FIELDS};

	cfg.defs[FIELD_FAMILY] = (struct rte_acl_field_def){
		.type = RTE_ACL_FIELD_TYPE_BITMASK, .size = sizeof(uint8_t)};
	for (uint8_t i = 0; i < 4; i++)
		cfg.defs[FIELD_WORD + i] =
			(struct rte_acl_field_def){.type = RTE_ACL_FIELD_TYPE_MASK,
				.size = sizeof(uint32_t),
				.field_index = (uint8_t)(FIELD_WORD + i),
				.input_index = (uint8_t)(FIELD_WORD + i),
				.offset = (uint32_t)offsetof(struct acl_input, w) + i * 4};
	return rte_acl_build(acl, &cfg);
}

static int acl_open(
	struct access_list *l, const struct access_prefix *prefix, unsigned count, const char *name)
{
	struct rte_acl_param param = {.name = name,
		.socket_id = SOCKET_ID_ANY,
		.rule_size = RTE_ACL_RULE_SZ(FIELDS),
		.max_rule_num = count};
	struct acl_rule rule;
	int rc = 0;

	l->acl = rte_acl_create(&param);
	if (l->acl == NULL)
		return -ENOMEM;
	for (unsigned i = 0; rc == 0 && i < count; i++) {
		rule_fill(&rule, &prefix[i]);
		rc = rte_acl_add_rules(l->acl, (const struct rte_acl_rule *)&rule, 1);
	}
	return rc == 0 ? acl_build(l->acl) : rc;
}

int access_list_open(struct access_list **out, struct mem_domain *mem,
	const struct access_prefix *prefix, unsigned count)
{
	struct access_list *l = mem_alloc(mem, MEM_OTHER, sizeof(*l));
	char name[32];
	unsigned some = 0;
	int rc = 0;

	*l = (struct access_list){.mem = mem};
	for (unsigned i = 0; i < count; i++) {
		some += prefix[i].len > 0;
		if (prefix[i].len == 0)
			*(base_ip_is4(&prefix[i].ip) ? &l->all4 : &l->all6) = true;
	}
	snprintf(name, sizeof(name), "acl %p", (void *)l); // DPDK finds one again by its name
	if (some > 0)
		rc = acl_open(l, prefix, count, name);
	if (rc < 0) {
		access_list_close(l);
		return rc;
	}
	*out = l;
	return 0;
}

void access_list_close(struct access_list *l)
{
	if (l == NULL)
		return;
	rte_acl_free(l->acl);
	mem_free(l->mem, MEM_OTHER, l, sizeof(*l));
}

const struct access_list *access_list_everybody(void)
{
	static const struct access_list everybody = {.all4 = true, .all6 = true};

	return &everybody;
}

bool access_list_has_all(const struct access_list *l, bool ip4)
{
	return ip4 ? l->all4 : l->all6;
}

bool access_list_has(const struct access_list *l, const struct base_ip *ip)
{
	bool ip4 = base_ip_is4(ip);
	struct acl_input in = {.family = ip4 ? FAMILY_4 : FAMILY_6};
	const uint8_t *data = (const uint8_t *)&in;
	uint32_t found = 0;

	if (access_list_has_all(l, ip4))
		return true;
	if (l->acl == NULL)
		return false;
	memcpy(in.w, ip->w32, sizeof(in.w));
	rte_acl_classify(l->acl, &data, &found, 1, 1);
	return found != 0;
}
