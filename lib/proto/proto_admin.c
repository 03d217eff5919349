// SPDX-License-Identifier: BSD-3-Clause
// Commands for operators: lru_crawler, cache_memlimit, shutdown, watch, debugtime; and lru, slabs
// and the crawler's knobs, which tune parts of memcached that have no counterpart here: their words
// are checked as memcached checks them, and OK is all that follows.
#include <errno.h>
#include <stdlib.h>

#include "proto/proto_internal.h"

#define TEXT_BAD_CLASS  "BADCLASS invalid class id\r\n"
#define CLASSES         63 // memcached's slab classes are 1 to this; all items here are in 1
#define CRAWLER_SLEEP   1000000
#define WINDOW_MIN      3
#define WINDOW_MAX      1800
#define LRU_PERCENT_MAX 80

static void ok(struct proto_request *r)
{
	proto_refuse(r, PROTO_TEXT_OK);
}

static void admin(struct proto_request *r, enum proto_admin what, uint64_t number)
{
	r->op = PROTO_OP_ADMIN;
	r->mode = (uint8_t)what;
	r->delta = number;
}

static bool u32_read(const struct proto_tokens *t, unsigned i, uint32_t *out)
{
	return t->n > i && proto_u32_parse(t->t[i].s, t->t[i].len, out);
}

static bool factor_read(const struct proto_tokens *t, unsigned i, double *out)
{
	char text[32], *end;

	if (t->n <= i || t->t[i].len >= sizeof(text))
		return false;
	memcpy(text, t->t[i].s, t->t[i].len);
	text[t->t[i].len] = '\0';
	errno = 0;
	*out = strtod(text, &end);
	return end != text && *end == '\0' && errno == 0;
}

// all, hash, or numbers with commas between.
static enum proto_class class_read(const struct proto_token *t)
{
	enum proto_class found = PROTO_CLASS_EMPTY;
	uint64_t id = 0;
	bool digits = false;

	if (proto_token_is(t, "all") || proto_token_is(t, "hash"))
		return PROTO_CLASS_ITEMS;
	for (unsigned i = 0; i <= t->len; i++) {
		if (i < t->len && t->s[i] >= '0' && t->s[i] <= '9') {
			id = base_min_u64(id * 10 + (uint64_t)(t->s[i] - '0'), CLASSES + 1);
			digits = true;
			continue;
		}
		if (i < t->len && t->s[i] != ',')
			return PROTO_CLASS_BAD;
		if (digits && (id == 0 || id > CLASSES))
			return PROTO_CLASS_BAD;
		if (id == 1)
			found = PROTO_CLASS_ITEMS;
		id = 0;
		digits = false;
	}
	return found;
}

static void crawler_number_parse(
	const struct proto_tokens *t, uint64_t most, struct proto_request *r)
{
	uint32_t n;

	if (!u32_read(t, 2, &n))
		proto_refuse(r, PROTO_TEXT_BAD_FORMAT);
	else if (n > most)
		proto_refuse(r, "CLIENT_ERROR sleep must be one second or less\r\n");
	else
		ok(r);
}

// lru_crawler enable|disable; crawl|metadump|mgdump CLASSES; sleep|tocrawl N
static void crawler_parse(const struct proto_tokens *t, struct proto_request *r)
{
	const struct proto_token *what = &t->t[1];

	if (t->n == 2 && (proto_token_is(what, "enable") || proto_token_is(what, "disable")))
		ok(r);
	else if (t->n != 3)
		proto_refuse(r, PROTO_TEXT_ERROR);
	else if (proto_token_is(what, "metadump"))
		admin(r, PROTO_ADMIN_METADUMP, class_read(&t->t[2]));
	else if (proto_token_is(what, "mgdump"))
		admin(r, PROTO_ADMIN_MGDUMP, class_read(&t->t[2]));
	else if (proto_token_is(what, "crawl"))
		proto_refuse(r,
			class_read(&t->t[2]) == PROTO_CLASS_BAD ? TEXT_BAD_CLASS : PROTO_TEXT_OK);
	else if (proto_token_is(what, "sleep"))
		crawler_number_parse(t, CRAWLER_SLEEP, r);
	else if (proto_token_is(what, "tocrawl"))
		crawler_number_parse(t, UINT32_MAX, r);
	else
		proto_refuse(r, PROTO_TEXT_ERROR);
}

// lru tune HOT WARM HOT_FACTOR WARM_FACTOR
static void lru_tune_parse(const struct proto_tokens *t, struct proto_request *r)
{
	uint32_t hot, warm;
	double hot_factor, warm_factor;

	if (!u32_read(t, 2, &hot) || !u32_read(t, 3, &warm) || !factor_read(t, 4, &hot_factor) ||
		!factor_read(t, 5, &warm_factor))
		proto_refuse(r, PROTO_TEXT_ERROR);
	else if ((uint64_t)hot + warm > LRU_PERCENT_MAX)
		proto_refuse(r, "ERROR hot and warm pcts must not exceed 80\r\n");
	else if (!(hot_factor > 0) || !(warm_factor > 0))
		proto_refuse(r, "ERROR hot/warm age factors must be greater than 0\r\n");
	else
		ok(r);
}

// lru tune ...; mode flat|segmented; temp_ttl SECONDS
static void lru_parse(const struct proto_tokens *t, struct proto_request *r)
{
	int64_t ttl;

	if (t->n > 1 && proto_token_is(&t->t[1], "tune"))
		lru_tune_parse(t, r);
	else if (t->n > 2 && proto_token_is(&t->t[1], "mode") &&
		(proto_token_is(&t->t[2], "flat") || proto_token_is(&t->t[2], "segmented")))
		ok(r);
	else if (t->n > 2 && proto_token_is(&t->t[1], "temp_ttl") &&
		proto_i64_parse(t->t[2].s, t->t[2].len, &ttl) && ttl == (int32_t)ttl)
		ok(r);
	else
		proto_refuse(r, PROTO_TEXT_ERROR);
}

// slabs automove 0|1|2, ratio|freeratio X, window N
static void automove_parse(const struct proto_tokens *t, struct proto_request *r)
{
	bool window = proto_token_is(&t->t[2], "window");
	uint32_t level = 0;
	double ratio;

	if (proto_token_is(&t->t[2], "ratio") || proto_token_is(&t->t[2], "freeratio"))
		proto_refuse(r, factor_read(t, 3, &ratio) ? PROTO_TEXT_OK : PROTO_TEXT_ERROR);
	else if (!u32_read(t, window ? 3 : 2, &level))
		proto_refuse(r, PROTO_TEXT_BAD_FORMAT);
	else if (window && (level < WINDOW_MIN || level > WINDOW_MAX))
		proto_refuse(r, "CLIENT_ERROR automove window too low or too high\r\n");
	else
		proto_refuse(r, window || level <= 2 ? PROTO_TEXT_OK : PROTO_TEXT_ERROR);
}

// slabs reassign FROM TO; automove ...
static void slabs_parse(const struct proto_tokens *t, struct proto_request *r)
{
	if (t->n == 4 && proto_token_is(&t->t[1], "reassign"))
		proto_refuse(r, "CLIENT_ERROR slab reassignment disabled\r\n");
	else if (t->n >= 3 && proto_token_is(&t->t[1], "automove"))
		automove_parse(t, r);
	else
		proto_refuse(r, PROTO_TEXT_ERROR);
}

// cache_memlimit MEGABYTES [noreply]
static void memlimit_parse(const struct proto_tokens *t, struct proto_request *r)
{
	uint32_t mb;

	if (!u32_read(t, 1, &mb))
		proto_refuse(r, PROTO_TEXT_ERROR);
	else if (mb < PROTO_MEMLIMIT_MIN_MB)
		proto_refuse(r, "MEMLIMIT_TOO_SMALL cannot set maxbytes to less than 8m\r\n");
	else if (mb > PROTO_MEMLIMIT_MAX_MB)
		proto_refuse(r, "MEMLIMIT_ADJUST_FAILED input value is megabytes not bytes\r\n");
	else
		admin(r, PROTO_ADMIN_MEMLIMIT, mb);
}

// shutdown [graceful]
static void shutdown_parse(const struct proto_tokens *t, struct proto_request *r)
{
	bool valid = t->n == 1 || (t->n == 2 && proto_token_is(&t->t[1], "graceful"));

	admin(r, PROTO_ADMIN_SHUTDOWN, valid);
}

// watch [KIND...]
void proto_watch_parse(const struct proto_tokens *t, struct proto_request *r)
{
	static const struct {
		const char *word;
		unsigned kinds;
	} word[] = {
		{"fetchers", PROTO_WATCH_FETCHERS},
		{"mutations", PROTO_WATCH_MUTATIONS},
		{"evictions", PROTO_WATCH_EVICTIONS},
		{"connevents", PROTO_WATCH_CONNEVENTS},
		{"deletions", PROTO_WATCH_DELETIONS},
		{"rawcmds", PROTO_WATCH_NOTHING},
		{"sysevents", PROTO_WATCH_NOTHING},
	};
	unsigned kinds = t->n == 1 ? PROTO_WATCH_FETCHERS : 0;

	for (unsigned i = 1; i < t->n; i++) {
		unsigned k = 0;

		while (k < BASE_ARRAY_LEN(word) && !proto_token_is(&t->t[i], word[k].word))
			k++;
		if (k == BASE_ARRAY_LEN(word)) {
			proto_refuse(r, PROTO_TEXT_ERROR);
			return;
		}
		kinds |= word[k].kinds;
	}
	admin(r, PROTO_ADMIN_WATCH, kinds);
}

// debugtime SECONDS
static void clock_parse(const struct proto_tokens *t, struct proto_request *r)
{
	int64_t s;

	if (t->n < 2 || !proto_i64_parse(t->t[1].s, t->t[1].len, &s) || s > PROTO_CLOCK_MAX_S ||
		s < -PROTO_CLOCK_MAX_S)
		proto_refuse(r, PROTO_TEXT_ERROR);
	else
		admin(r, PROTO_ADMIN_CLOCK, (uint64_t)s);
}

bool proto_admin_parse(const struct proto_tokens *t, struct proto_request *r)
{
	static const struct {
		const char *name;
		void (*parse)(const struct proto_tokens *t, struct proto_request *r);
	} command[] = {
		{"lru_crawler", crawler_parse},
		{"lru", lru_parse},
		{"slabs", slabs_parse},
		{"cache_memlimit", memlimit_parse},
		{"shutdown", shutdown_parse},
		{"debugtime", clock_parse},
	};

	for (size_t i = 0; i < BASE_ARRAY_LEN(command); i++) {
		if (proto_token_is(&t->t[0], command[i].name)) {
			r->noreply = proto_line_noreply(t);
			command[i].parse(t, r);
			return true;
		}
	}
	return false;
}
