// SPDX-License-Identifier: BSD-3-Clause
// access: who may talk to the server, and how much: lists of address prefixes, meters of bytes a
// prefix, connections a source.
//
// Owner threads: a list is made and closed by the control core and read by all workers meanwhile;
// meters are a worker's; sources are shared by all workers, who touch them when a connection opens
// or closes.
//
//	access_prefixes_parse("10.0.0.0/8,fd00::/8", prefix, &n, err, sizeof(err));
//	access_list_open(&list, mem, prefix, n);
//	if (access_list_has(list, &pkt->src)) ...
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "mem/mem.h"

// ---- prefixes as text --------------------------------------------------------------------------
#define ACCESS_PREFIXES_MAX 64

struct access_prefix {
	struct base_ip ip;
	uint8_t len; // 0..32 or 0..128 of its family
};

// "all" (both families), "none", or prefixes with commas between; an address alone is one host.
// *count gets how many there are, of ACCESS_PREFIXES_MAX. 0 or -EINVAL with one line in err.
int access_prefixes_parse(const char *text, struct access_prefix prefix[ACCESS_PREFIXES_MAX],
	unsigned *count, char *err, size_t err_len);

// ---- lists -------------------------------------------------------------------------------------
struct access_list;

// Needs EAL. mem is borrowed; count may be 0. 0 or -errno.
int access_list_open(struct access_list **list, struct mem_domain *mem,
	const struct access_prefix *prefix, unsigned count);
void access_list_close(struct access_list *list); // NULL: nothing
// Any thread, while it is open. About 50 ns where the list holds other prefixes than all or none.
bool access_list_has(const struct access_list *list, const struct base_ip *ip);
// The list that has everybody; not to be closed.
const struct access_list *access_list_everybody(void);
// Every address of the family.
bool access_list_has_all(const struct access_list *list, bool ip4);

// ---- meters ------------------------------------------------------------------------------------
// One token bucket (rte_meter) for each of ACCESS_METERS groups of prefixes: /24 of IPv4, /64 of
// IPv6, hashed with a key. Prefixes of one group share its rate, so no number of sources gets more
// than it is entitled to, or takes more memory.
#define ACCESS_METERS 1024

struct access_meters;

struct access_meters *access_meters_open(struct mem_domain *mem, uint64_t seed);
void access_meters_close(struct access_meters *m); // NULL: nothing
// Bytes a second, a second's at once; 0: no limit. Every bucket is full then.
void access_meters_rate_set(struct access_meters *m, uint64_t bytes_a_s, uint64_t now_us);
// Whether so many bytes may go there now; then they are taken off.
bool access_meters_take(
	struct access_meters *m, const struct base_ip *ip, uint32_t bytes, uint64_t now_us);

// ---- connections, in all and of a source -------------------------------------------------------
// A source is an address of IPv4, a /64 of IPv6. Each has a word in the bucket of its hash, of 8
// words; all that workers do is one atomic step on it, and one on the number of them all.
struct access_sources;

enum access_verdict {
	ACCESS_COUNTED,
	ACCESS_FULL,      // it has as many as it may
	ACCESS_UNCOUNTED, // its bucket is full of other sources: nothing is known of it
};

// For so many connections. NULL: no memory.
struct access_sources *access_sources_open(uint32_t conns_max, uint64_t seed);
void access_sources_close(struct access_sources *s); // NULL: nothing
// One more of all, unless there are `most`. False: there are.
bool access_sources_enter(struct access_sources *s, uint32_t most);
// One less of all; of what has entered.
void access_sources_leave(struct access_sources *s);
// How many there are of all.
uint32_t access_sources_total(const struct access_sources *s);
// One more of this source, unless there are `most` (0: no limit).
enum access_verdict access_sources_add(
	struct access_sources *s, const struct base_ip *ip, uint32_t most);
// One less; of what was ACCESS_COUNTED.
void access_sources_remove(struct access_sources *s, const struct base_ip *ip);
// How many it has now.
uint32_t access_sources_count(const struct access_sources *s, const struct base_ip *ip);
