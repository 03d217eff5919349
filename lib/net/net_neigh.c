// SPDX-License-Identifier: BSD-3-Clause
// The neighbour table: addresses resolved by ARP and neighbour discovery, and the packets that wait
// for them.
#include "net/net_internal.h"

static uint16_t *bucket_of(struct net_neigh_table *t, const struct base_ip *ip)
{
	return &t->bucket[base_siphash(t->key, ip, sizeof(*ip)) % NET_NEIGH_BUCKETS];
}

static struct net_neigh *entry_find(struct net_neigh_table *t, const struct base_ip *ip)
{
	for (uint16_t i = *bucket_of(t, ip); i != NET_NONE; i = t->entry[i].next) {
		if (base_ip_same(&t->entry[i].ip, ip))
			return &t->entry[i];
	}
	return NULL;
}

// Every path made before this looks again.
static void generation_move(struct net_neigh_table *t)
{
	if (++t->generation == 0)
		t->generation = 1;
}

static void due_set(struct net_neigh_table *t, struct net_neigh *e, uint64_t due_us)
{
	e->due_us = due_us;
	t->due_us = base_min_u64(t->due_us, due_us);
}

static struct rte_mbuf *wait_pop(struct net_neigh_table *t, struct net_neigh *e)
{
	uint16_t slot = e->wait_head;
	struct rte_mbuf *m;

	if (slot == NET_NONE)
		return NULL;
	m = t->wait[slot].m;
	e->wait_head = t->wait[slot].next;
	e->waiting--;
	t->wait[slot].m = NULL;
	t->wait[slot].next = t->free_wait;
	t->free_wait = slot;
	return m;
}

// RFC 1122 2.3.2.2: the latest packet is kept, so the oldest makes room.
static void wait_push(struct net *net, struct net_neigh *e, struct rte_mbuf *m)
{
	struct net_neigh_table *t = &net->neigh;
	uint16_t slot;

	if (e->waiting == NET_NEIGH_QUEUE || (t->free_wait == NET_NONE && e->waiting)) {
		net->n.neigh_dropped++;
		rte_pktmbuf_free(wait_pop(t, e));
	}
	slot = t->free_wait;
	if (slot == NET_NONE) {
		net->n.neigh_dropped++;
		rte_pktmbuf_free(m);
		return;
	}
	t->free_wait = t->wait[slot].next;
	t->wait[slot] = (struct net_wait){.m = m, .next = NET_NONE};
	if (e->waiting++)
		t->wait[e->wait_tail].next = slot;
	else
		e->wait_head = slot;
	e->wait_tail = slot;
}

static void entry_free(struct net *net, struct net_neigh *e)
{
	struct net_neigh_table *t = &net->neigh;
	uint16_t *link = bucket_of(t, &e->ip);
	uint16_t index = (uint16_t)(e - t->entry);
	struct rte_mbuf *m;

	while ((m = wait_pop(t, e)) != NULL) {
		net->n.neigh_dropped++;
		rte_pktmbuf_free(m);
	}
	while (*link != index)
		link = &t->entry[*link].next;
	*link = e->next;
	if (e->state == NET_NEIGH_INCOMPLETE)
		t->open--;
	else
		generation_move(t);
	e->state = NET_NEIGH_FREE;
	e->next = t->free_entry;
	t->free_entry = index;
	t->used--;
}

// Room in a full table comes from what has not been used for a while, and from nothing else.
static bool stale_evict(struct net *net)
{
	struct net_neigh *oldest = NULL;

	for (unsigned i = 0; i < NET_NEIGH_MAX; i++) {
		struct net_neigh *e = &net->neigh.entry[i];

		if (e->state == NET_NEIGH_STALE && (!oldest || e->due_us < oldest->due_us))
			oldest = e;
	}
	if (oldest == NULL)
		return false;
	entry_free(net, oldest);
	return true;
}

static struct net_neigh *entry_make(struct net *net, const struct base_ip *ip)
{
	struct net_neigh_table *t = &net->neigh;
	struct net_neigh *e;
	uint16_t *bucket;

	if (t->free_entry == NET_NONE && !stale_evict(net)) {
		net->n.neigh_full++;
		return NULL;
	}
	e = &t->entry[t->free_entry];
	t->free_entry = e->next;
	t->used++;
	bucket = bucket_of(t, ip);
	*e = (struct net_neigh){
		.ip = *ip, .next = *bucket, .wait_head = NET_NONE, .wait_tail = NET_NONE};
	*bucket = (uint16_t)(e - t->entry);
	return e;
}

static void hop_fill(
	const struct net_neigh_table *t, const struct net_neigh *e, struct net_hop *hop)
{
	hop->generation = t->generation;
	hop->neigh = (uint16_t)(e - t->entry);
}

// Asks for e's address: everybody, or its last known place alone.
static void entry_ask(struct net *net, const struct net_neigh *e, bool everybody)
{
	unsigned local = net_local_for(net, &e->ip);
	const struct rte_ether_addr *mac = everybody ? NULL : &e->mac;

	if (local == NET_OWN_MAX || net->own_state[local] != NET_OWN_VALID)
		return;
	if (base_ip_is4(&e->ip))
		net_arp_request(net, local, base_ip_as4(&e->ip), mac);
	else
		net_nd_solicit(net, local, &e->ip, mac);
}

static struct net_neigh *entry_open(struct net *net, const struct base_ip *ip, uint64_t now_us)
{
	struct net_neigh_table *t = &net->neigh;
	struct net_neigh *e;

	if (t->open >= NET_NEIGH_OPEN_MAX) {
		net->n.neigh_full++;
		return NULL;
	}
	e = entry_make(net, ip);
	if (e == NULL)
		return NULL;
	e->state = NET_NEIGH_INCOMPLETE;
	e->tries = 1;
	t->open++;
	due_set(t, e, now_us + NET_NEIGH_RETRY_US);
	entry_ask(net, e, true);
	return e;
}

bool net_neigh_resolve(struct net *net, const struct base_ip *ip, struct net_hop *hop,
	struct rte_mbuf *m, uint64_t now_us)
{
	struct net_neigh_table *t = &net->neigh;
	struct net_neigh *e = entry_find(t, ip);

	if (e == NULL)
		e = entry_open(net, ip, now_us);
	if (e == NULL) {
		net->n.neigh_dropped++;
		rte_pktmbuf_free(m);
		return false;
	}
	if (e->state == NET_NEIGH_INCOMPLETE) {
		wait_push(net, e, m);
		return false;
	}
	if (e->state == NET_NEIGH_STALE) {
		e->state = NET_NEIGH_PROBE;
		e->tries = 1;
		due_set(t, e, now_us + NET_NEIGH_RETRY_US);
		entry_ask(net, e, false);
	}
	hop_fill(t, e, hop);
	return true;
}

// e is at `mac` from now on, known for sure (FRESH) or from hearsay (STALE).
static void entry_settle(struct net *net, struct net_neigh *e, const struct rte_ether_addr *mac,
	uint8_t state, uint64_t now_us)
{
	struct net_neigh_table *t = &net->neigh;
	struct rte_mbuf *m;

	base_assert(state == NET_NEIGH_FRESH || state == NET_NEIGH_STALE);
	if (e->state == NET_NEIGH_INCOMPLETE)
		t->open--;
	else if (e->state != NET_NEIGH_FREE && state == NET_NEIGH_STALE)
		generation_move(t); // whoever uses it comes back and makes it PROBE
	rte_ether_addr_copy(mac, &e->mac);
	e->state = state;
	due_set(t, e,
		now_us + (state == NET_NEIGH_FRESH ? NET_NEIGH_FRESH_US : NET_NEIGH_STALE_US));
	while ((m = wait_pop(t, e)) != NULL)
		net_packet_output(net, m, mac, net_ether_type(&e->ip));
}

bool net_neigh_update(struct net *net, const struct base_ip *ip, const struct rte_ether_addr *mac,
	bool create, uint64_t now_us)
{
	struct net_neigh *e = entry_find(&net->neigh, ip);

	if (e == NULL && create)
		e = entry_make(net, ip);
	if (e == NULL)
		return false;
	entry_settle(net, e, mac, NET_NEIGH_FRESH, now_us);
	return true;
}

bool net_neigh_heard(struct net *net, const struct base_ip *ip, const struct rte_ether_addr *mac,
	uint64_t now_us)
{
	struct net_neigh *e = entry_find(&net->neigh, ip);

	if (e == NULL)
		e = entry_make(net, ip);
	else if (e->state != NET_NEIGH_INCOMPLETE && rte_is_same_ether_addr(&e->mac, mac))
		return false; // nothing new
	if (e == NULL)
		return false;
	entry_settle(net, e, mac, NET_NEIGH_STALE, now_us);
	return true;
}

bool net_neigh_known(struct net *net, const struct base_ip *ip)
{
	return entry_find(&net->neigh, ip) != NULL;
}

bool net_neigh_advertised(struct net *net, const struct base_ip *ip,
	const struct rte_ether_addr *mac, bool solicited, bool override, uint64_t now_us)
{
	struct net_neigh *e = entry_find(&net->neigh, ip);
	bool same;

	if (e == NULL || (e->state == NET_NEIGH_INCOMPLETE && mac == NULL))
		return false;
	if (mac == NULL)
		mac = &e->mac;
	same = rte_is_same_ether_addr(&e->mac, mac);
	if (e->state != NET_NEIGH_INCOMPLETE && !same && !override) {
		if (e->state == NET_NEIGH_FRESH)
			entry_settle(net, e, &e->mac, NET_NEIGH_STALE, now_us);
		return false;
	}
	if (!solicited && same && e->state != NET_NEIGH_INCOMPLETE)
		return false;
	entry_settle(net, e, mac, solicited ? NET_NEIGH_FRESH : NET_NEIGH_STALE, now_us);
	return true;
}

static void entry_expire(struct net *net, struct net_neigh *e, uint64_t now_us)
{
	struct net_neigh_table *t = &net->neigh;

	switch (e->state) {
	case NET_NEIGH_FRESH:
		e->state = NET_NEIGH_STALE;
		e->due_us = now_us + NET_NEIGH_STALE_US;
		generation_move(t); // paths in use come back and make it PROBE
		break;
	case NET_NEIGH_INCOMPLETE:
	case NET_NEIGH_PROBE:
		if (e->tries < NET_NEIGH_TRIES) {
			e->tries++;
			e->due_us = now_us + NET_NEIGH_RETRY_US;
			entry_ask(net, e, e->state == NET_NEIGH_INCOMPLETE);
			break;
		}
		entry_free(net, e);
		break;
	default:
		entry_free(net, e);
		break;
	}
}

uint64_t net_neigh_timers(struct net *net, uint64_t now_us)
{
	struct net_neigh_table *t = &net->neigh;

	if (base_likely(now_us < t->due_us))
		return t->due_us;
	t->due_us = UINT64_MAX;
	for (unsigned i = 0; i < NET_NEIGH_MAX && t->used; i++) {
		struct net_neigh *e = &t->entry[i];

		if (e->state == NET_NEIGH_FREE)
			continue;
		if (e->due_us <= now_us)
			entry_expire(net, e, now_us);
		if (e->state != NET_NEIGH_FREE)
			t->due_us = base_min_u64(t->due_us, e->due_us);
	}
	return t->due_us;
}

void net_neigh_init(struct net *net)
{
	struct net_neigh_table *t = &net->neigh;
	struct base_rng rng;

	base_rng_seed(&rng, net->opt.seed);
	t->key[0] = base_rng_next(&rng);
	t->key[1] = base_rng_next(&rng);
	t->generation = 1;
	t->due_us = UINT64_MAX;
	for (unsigned i = 0; i < NET_NEIGH_BUCKETS; i++)
		t->bucket[i] = NET_NONE;
	for (unsigned i = 0; i < NET_NEIGH_MAX; i++)
		t->entry[i].next = i + 1 < NET_NEIGH_MAX ? (uint16_t)(i + 1) : NET_NONE;
	for (unsigned i = 0; i < NET_WAIT_MAX; i++)
		t->wait[i].next = i + 1 < NET_WAIT_MAX ? (uint16_t)(i + 1) : NET_NONE;
}

void net_neigh_fini(struct net *net)
{
	for (unsigned i = 0; i < NET_WAIT_MAX; i++)
		rte_pktmbuf_free(net->neigh.wait[i].m);
}
