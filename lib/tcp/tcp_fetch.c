// SPDX-License-Identifier: BSD-3-Clause
// Connections of a whole burst are fetched before its first segment is looked at. Every stage reads
// what the one before it has fetched.
//
//	headers > bucket > connection (its lines at once) > owner's part, oldest segment in flight
#include "tcp/tcp_internal.h"

#define CONNS_CACHED 1024u // so many stay in a cache, where fetching is work for nothing
#define OWNER_LINES  3

static void lines_fetch(const void *p, unsigned lines)
{
	for (unsigned i = 0; i < lines; i++)
		base_prefetch_write((const char *)p + i * BASE_CACHE_LINE);
}

// Whoever acknowledges our last segment frees its mbuf.
static void parts_fetch(const struct tcp_conn *c)
{
	if (c->user != NULL)
		lines_fetch(c->user, OWNER_LINES);
	if (c->sent_head != NULL)
		lines_fetch(c->sent_head, sizeof(struct rte_mbuf) / BASE_CACHE_LINE);
}

void tcp_fetch(const struct tcp *tcp, struct rte_mbuf *const m[], unsigned n)
{
	struct tcp_node **bucket[TCP_FETCH_MAX];
	uint32_t hash[TCP_FETCH_MAX];
	unsigned found = 0;

	base_assert(n <= TCP_FETCH_MAX);
	if (tcp->conns <= CONNS_CACHED)
		return;
	for (unsigned i = 0; i < n; i++) {
		struct net_flow flow;
		struct tcp_key key;

		if (!net_flow_peek(tcp->opt.net, m[i], &flow))
			continue;
		key = (struct tcp_key){.peer = base_ip4(flow.src),
			.local = flow.local,
			.local_port = flow.dst_port,
			.peer_port = flow.src_port};
		hash[found] = tcp_table_hash(tcp, &key);
		bucket[found] = tcp_table_bucket(&tcp->table, hash[found]);
		base_prefetch(bucket[found++]);
	}
	for (unsigned i = 0; i < found; i++) {
		if (*bucket[i] != NULL)
			lines_fetch(*bucket[i], sizeof(struct tcp_conn) / BASE_CACHE_LINE);
	}
	for (unsigned i = 0; i < found; i++) {
		const struct tcp_node *node = *bucket[i];

		// behind another in its bucket: what tcp_input would wait for is waited for here
		while (node != NULL && node->hash != hash[i])
			node = node->next;
		if (node == NULL || node->kind != TCP_NODE_CONN)
			continue;
		if (node != *bucket[i])
			lines_fetch(node, sizeof(struct tcp_conn) / BASE_CACHE_LINE);
		parts_fetch(base_container_of(node, const struct tcp_conn, node));
	}
}
