// SPDX-License-Identifier: BSD-3-Clause
// lru_crawler metadump and mgdump: the items of all shards, one shard after the other, as lines of
// text to one client. A slice of the walk is one text, made by the shard's owner in its own turn;
// the next is made when that one has left for the client, so a client that does not read stops the
// walk and nothing else. One dump at a time in the server.

#include "worker/worker_admin.h"

#define DUMP_ITEMS         32   // of a slice, about
#define DUMP_WANT          16   // of a step of the walk
#define DUMP_STEPS         64   // of a slice: parts of the index may be empty
#define DUMP_LINE_MAX      1024 // of an item: its key takes three bytes a byte at most
#define DUMP_TEXT_SIZE     (256 << 10)

#define CACHEDUMP_STEPS    1024
#define CACHEDUMP_LINE_MAX (PROTO_KEY_MAX + 64)

static_assert((DUMP_ITEMS + STORE_CURSOR_ITEMS) * DUMP_LINE_MAX <= DUMP_TEXT_SIZE,
	"the last step of a slice may bring as many as a step can");
static_assert(3 * PROTO_KEY_MAX + 200 <= DUMP_LINE_MAX, "seven numbers and their names");

enum dump_step {
	DUMP_WALK, // the next slice is to be made
	DUMP_AWAY, // another shard's owner makes it
	DUMP_TEXT, // it waits for the client
};

struct worker_dump {
	struct worker_conn *conn;   // NULL: gone, while the dump was away
	struct store_cursor cursor; // of the present shard
	unsigned shard;
	uint8_t step; // enum dump_step
	uint8_t what; // enum proto_admin
	bool last;    // the text ends the dump
	uint32_t text_len, text_sent;
	char text[DUMP_TEXT_SIZE];
};

// ---- the owner's side --------------------------------------------------------------------------
static char *put_text(char *p, const char *text)
{
	size_t n = strlen(text);

	memcpy(p, text, n);
	return p + n;
}

static char *put_number(char *p, const char *name, uint64_t v)
{
	p = put_text(p, name);
	return p + base_u64_format(p, v);
}

static char *metadump_line(const struct worker *w, struct store_item *it, char *p)
{
	uint64_t now_s = w->now.wall_s;

	p = put_text(p, "key=");
	p += proto_uri_encode(store_item_key(it), store_item_key_len(it), p);
	if (it->deadline_s == 0)
		p = put_text(p, " exp=-1");
	else
		p = put_number(p, " exp=", it->deadline_s);
	p = put_number(p, " la=", now_s - base_min_u64(now_s, store_item_idle_s(w->store, it)));
	p = put_number(p, " cas=", it->cas);
	p = put_text(p, it->bits & STORE_ITEM_FETCHED ? " fetch=yes" : " fetch=no");
	p = put_number(p, " cls=1 size=", store_item_memory(w->store, it).asked_bytes);
	p = put_number(p, " flags=", store_item_client_flags(it));
	*p++ = '\n';
	return p;
}

static char *mgdump_line(struct store_item *it, char *p)
{
	bool base64 = it->bits & STORE_ITEM_BASE64;

	p = put_text(p, "mg ");
	if (base64) {
		p += proto_base64_encode(store_item_key(it), store_item_key_len(it), p);
	} else {
		memcpy(p, store_item_key(it), store_item_key_len(it));
		p += store_item_key_len(it);
	}
	return put_text(p, base64 ? " b\r\n" : "\r\n");
}

void worker_dump_serve(struct worker *w, struct worker_dump *d)
{
	struct store_item *it[STORE_CURSOR_ITEMS];
	char *p = d->text + d->text_len;
	unsigned items = 0;

	for (unsigned step = 0; step < DUMP_STEPS && items < DUMP_ITEMS && !d->cursor.ended;
		step++) {
		unsigned n = store_cursor_next(w->store, &d->cursor, it, DUMP_WANT);

		for (unsigned i = 0; i < n; i++) {
			if (it[i]->deadline_s != 0 && it[i]->deadline_s <= w->now.wall_s)
				continue;
			p = d->what == PROTO_ADMIN_MGDUMP ? mgdump_line(it[i], p)
							  : metadump_line(w, it[i], p);
		}
		items += n;
	}
	d->text_len = (uint32_t)(p - d->text);
	base_assert(d->text_len <= DUMP_TEXT_SIZE);
}

// stats cachedump
size_t worker_cachedump_write(struct worker *w, uint32_t limit, char *buf, size_t size)
{
	struct store_item *it[STORE_CURSOR_ITEMS];
	struct store_cursor cursor = {0};
	char *p = buf;
	uint32_t lines = 0;

	for (unsigned step = 0; step < CACHEDUMP_STEPS && !cursor.ended; step++) {
		unsigned n = store_cursor_next(w->store, &cursor, it, DUMP_WANT);

		for (unsigned i = 0; i < n; i++) {
			uint8_t key_len = store_item_key_len(it[i]);

			if (it[i]->deadline_s != 0 && it[i]->deadline_s <= w->now.wall_s)
				continue;
			if ((limit > 0 && lines == limit) ||
				(size_t)(p - buf) + CACHEDUMP_LINE_MAX > size)
				return (size_t)(p - buf);
			p = put_text(p, "ITEM ");
			memcpy(p, store_item_key(it[i]), key_len);
			p = put_number(p + key_len, " [", it[i]->value_bytes);
			p = put_number(p, " b; ", it[i]->deadline_s);
			p = put_text(p, " s]\r\n");
			lines++;
		}
	}
	return (size_t)(p - buf);
}

// ---- the connection's side ---------------------------------------------------------------------
static const char *dump_end(const struct worker_dump *d)
{
	return d->what == PROTO_ADMIN_MGDUMP ? "EN\r\n" : "END\r\n";
}

// Whether it may be: the answer where it may not.
static const char *dump_refusal(const struct worker *w, const struct proto_request *r)
{
	if (w->settings->dump_disabled)
		return r->mode == PROTO_ADMIN_MGDUMP ? "ERROR key dump not allowed\r\n"
						     : "ERROR metadump not allowed\r\n";
	if (r->delta == PROTO_CLASS_BAD)
		return "BADCLASS invalid class id\r\n";
	return NULL;
}

bool worker_dump_begin(struct worker *w, struct worker_conn *c, struct worker_out *o,
	const struct proto_request *r)
{
	const char *text = dump_refusal(w, r);
	struct worker_dump *d = NULL;

	if (base_list_empty(&w->slots_free) || (text == NULL && !base_list_empty(&c->sink.slots)))
		return false; // what was asked for before is answered before
	w->n.requests++;
	if (text == NULL && !worker_dump_take(w->group))
		text = "BUSY currently processing crawler request\r\n";
	if (text == NULL) {
		d = mem_try_alloc(w->mem, MEM_OUTPUT, sizeof(*d), NULL);
		if (d == NULL) {
			worker_dump_give(w->group);
			text = "SERVER_ERROR out of memory\r\n";
		}
	}
	if (text != NULL) {
		worker_reply_bytes(w, &c->sink, o, text, (uint32_t)strlen(text));
		return true;
	}
	memset(d, 0, offsetof(struct worker_dump, text));
	d->conn = c;
	d->what = r->mode;
	if (r->delta == PROTO_CLASS_EMPTY) {
		d->cursor.ended = true;
		d->shard = w->count - 1;
	}
	w->dump = d;
	w->chores++;
	w->n.dumps++;
	w->n.dumps_now++;
	c->state = WORKER_CONN_DUMP;
	return true;
}

static void dump_free(struct worker *w, struct worker_dump *d)
{
	mem_free(w->mem, MEM_OUTPUT, d, sizeof(*d));
	w->dump = NULL;
	w->chores--;
	w->n.dumps_now--;
	worker_dump_give(w->group);
}

// A slice has been made.
static void dump_sliced(const struct worker *w, struct worker_dump *d)
{
	if (d->cursor.ended && ++d->shard < w->count) {
		d->cursor = (struct store_cursor){0};
	} else if (d->cursor.ended) {
		d->text_len = (uint32_t)(put_text(d->text + d->text_len, dump_end(d)) - d->text);
		d->last = true;
	}
	d->step = d->text_len > 0 ? DUMP_TEXT : DUMP_WALK;
}

static unsigned dump_walk(struct worker *w, struct worker_dump *d)
{
	struct worker_slot *s;

	if (d->cursor.ended || d->shard == w->id) {
		if (!d->cursor.ended)
			worker_dump_serve(w, d);
		dump_sliced(w, d);
		if (d->step == DUMP_TEXT)
			worker_conn_resume(w, d->conn);
		return 1;
	}
	if (!worker_dispatch_ready(w, d->shard))
		return 0;
	s = worker_slot_take(w, NULL);
	s->owner = (uint16_t)d->shard;
	s->payload = (char *)d;
	d->step = DUMP_AWAY;
	worker_msg_send(w, s, WORKER_MSG_DUMP);
	return 1;
}

unsigned worker_dump_turn(struct worker *w)
{
	struct worker_dump *d = w->dump;

	if (d->step == DUMP_WALK)
		return dump_walk(w, d);
	if (d->step == DUMP_AWAY || tcp_send_room(w->tcp, d->conn->tcp) == 0)
		return 0;
	worker_conn_resume(w, d->conn);
	return 1;
}

void worker_dump_home(struct worker *w, struct worker_slot *s)
{
	struct worker_dump *d = (void *)s->payload;

	s->payload = NULL;
	worker_slot_free(w, s);
	if (d->conn == NULL)
		dump_free(w, d);
	else
		dump_sliced(w, d);
}

bool worker_dump_write(struct worker *w, struct worker_conn *c, struct worker_out *o)
{
	struct worker_dump *d = w->dump;

	base_assert(d != NULL && d->conn == c);
	if (d->step != DUMP_TEXT)
		return false;
	d->text_sent += worker_out_append(w, o, d->text + d->text_sent, d->text_len - d->text_sent);
	if (d->text_sent < d->text_len)
		return false;
	if (d->last) {
		c->state = WORKER_CONN_COMMAND;
		dump_free(w, d);
		return true;
	}
	d->text_len = d->text_sent = 0;
	d->step = DUMP_WALK;
	return false;
}

void worker_dump_forget(struct worker *w, const struct worker_conn *c)
{
	struct worker_dump *d = w->dump;

	if (d == NULL || d->conn != c)
		return;
	d->conn = NULL;
	if (d->step != DUMP_AWAY) // else it is freed when it comes home
		dump_free(w, d);
}
