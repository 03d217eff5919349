// SPDX-License-Identifier: BSD-3-Clause
// The connection table: linear hashing (one bucket is split an insertion, two are merged with
// others a removal, once half of them would do), so that no packet ever waits for a rehash. Buckets
// live in segments of 1,024 pointers that stay where they are.
#include <errno.h>

#include "tcp/tcp_internal.h"

__extension__ typedef unsigned __int128 u128;

static size_t segment_bytes(void)
{
	return TCP_BUCKETS * sizeof(struct tcp_node *);
}

static struct tcp_node **bucket_at(const struct tcp_table *t, uint32_t i)
{
	base_assert(i < t->buckets);
	return &t->segment[i / TCP_BUCKETS][i % TCP_BUCKETS];
}

struct tcp_node **tcp_table_bucket(const struct tcp_table *t, uint32_t hash)
{
	uint32_t i = hash & (2 * t->base - 1);

	return bucket_at(t, i < t->buckets ? i : i & (t->base - 1));
}

int tcp_table_open(struct tcp *tcp, uint32_t nodes_max)
{
	struct tcp_table *t = &tcp->table;

	t->segments_max = nodes_max / TCP_BUCKETS + 1;
	t->segment = mem_try_calloc(
		tcp->opt.mem, MEM_CONNS, t->segments_max * sizeof(t->segment[0]), NULL);
	if (t->segment == NULL)
		return -ENOMEM;
	t->segment[0] = mem_try_calloc(tcp->opt.mem, MEM_CONNS, segment_bytes(), NULL);
	if (t->segment[0] == NULL) {
		mem_free(tcp->opt.mem, MEM_CONNS, t->segment,
			t->segments_max * sizeof(t->segment[0]));
		return -ENOMEM;
	}
	t->buckets = t->base = TCP_BUCKETS;
	return 0;
}

void tcp_table_close(struct tcp *tcp)
{
	struct tcp_table *t = &tcp->table;

	base_assert(t->count == 0);
	for (uint32_t i = 0; i < t->segments_max; i++) {
		if (t->segment[i] != NULL)
			mem_free(tcp->opt.mem, MEM_CONNS, t->segment[i], segment_bytes());
	}
	mem_free(tcp->opt.mem, MEM_CONNS, t->segment, t->segments_max * sizeof(t->segment[0]));
}

// Strangers choose the keys and never see the hashes: keyed multiplications, folded.
uint32_t tcp_table_hash(const struct tcp *tcp, const struct tcp_key *key)
{
	uint64_t rest =
		(uint64_t)key->local << 32 | (uint64_t)key->peer_port << 16 | key->local_port;
	u128 p;
	uint64_t h;

	p = (u128)(key->peer.w64[0] ^ tcp->hash_key[2]) * (rest ^ tcp->hash_key[3]);
	h = (uint64_t)p ^ (uint64_t)(p >> 64);
	p = (u128)(key->peer.w64[1] ^ tcp->hash_key[0]) * (h ^ tcp->hash_key[1]);
	h = (uint64_t)p ^ (uint64_t)(p >> 64);
	p = (u128)(h ^ tcp->hash_key[1]) * 0x9e3779b97f4a7c15ull;
	h = (uint64_t)p ^ (uint64_t)(p >> 64);
	return (uint32_t)(h ^ h >> 32);
}

static bool key_same(const struct tcp_key *a, const struct tcp_key *b)
{
	return base_ip_same(&a->peer, &b->peer) && a->peer_port == b->peer_port &&
		a->local_port == b->local_port && a->local == b->local;
}

struct tcp_node *tcp_table_find(const struct tcp *tcp, const struct tcp_key *key, uint32_t hash)
{
	struct tcp_node *n = *tcp_table_bucket(&tcp->table, hash);

	while (n != NULL && (n->hash != hash || !key_same(&n->key, key)))
		n = n->next;
	return n;
}

// Splits the next bucket in turn. Without memory for it the chains get longer: harmless.
static void table_grow(struct tcp *tcp)
{
	struct tcp_table *t = &tcp->table;
	uint32_t seg = t->buckets / TCP_BUCKETS;
	struct tcp_node **from, **to, *n;

	if (seg >= t->segments_max)
		return;
	if (t->segment[seg] == NULL)
		t->segment[seg] = mem_try_calloc(tcp->opt.mem, MEM_CONNS, segment_bytes(), NULL);
	if (t->segment[seg] == NULL)
		return;
	from = bucket_at(t, t->buckets - t->base);
	to = &t->segment[seg][t->buckets % TCP_BUCKETS];
	*to = NULL;
	while ((n = *from) != NULL) {
		if (n->hash & t->base) {
			*from = n->next;
			n->next = *to;
			*to = n;
		} else {
			from = &n->next;
		}
	}
	if (++t->buckets == 2 * t->base)
		t->base *= 2;
}

void tcp_table_add(struct tcp *tcp, struct tcp_node *n)
{
	struct tcp_node **b;

	if (tcp->table.count >= tcp->table.buckets)
		table_grow(tcp);
	b = tcp_table_bucket(&tcp->table, n->hash);
	n->next = *b;
	*b = n;
	tcp->table.count++;
}

static bool table_sparse(const struct tcp_table *t)
{
	return t->buckets > TCP_BUCKETS && t->count < t->buckets / 2;
}

// Merges the last bucket with the one that it was split from: the opposite of table_grow.
static void table_shrink(struct tcp *tcp)
{
	struct tcp_table *t = &tcp->table;
	uint32_t last = t->buckets - 1, seg = last / TCP_BUCKETS;
	struct tcp_node **from, **to;

	if (t->buckets == t->base)
		t->base /= 2;
	from = bucket_at(t, last);
	to = bucket_at(t, last - t->base);
	while (*to != NULL)
		to = &(*to)->next;
	*to = *from;
	t->buckets--;
	if (last % TCP_BUCKETS == 0) {
		mem_free(tcp->opt.mem, MEM_CONNS, t->segment[seg], segment_bytes());
		t->segment[seg] = NULL;
	}
}

void tcp_table_remove(struct tcp *tcp, struct tcp_node *n)
{
	struct tcp_node **at = tcp_table_bucket(&tcp->table, n->hash);

	while (*at != n) {
		base_assert(*at != NULL);
		at = &(*at)->next;
	}
	*at = n->next;
	n->next = NULL;
	tcp->table.count--;
	for (unsigned i = 0; i < 2 && table_sparse(&tcp->table); i++)
		table_shrink(tcp);
}

struct tcp_node *tcp_table_any(const struct tcp *tcp, uint32_t *below)
{
	*below = RTE_MIN(*below, tcp->table.buckets);
	for (; *below > 0; (*below)--) {
		struct tcp_node *n = *bucket_at(&tcp->table, *below - 1);

		if (n != NULL)
			return n;
	}
	return NULL;
}
