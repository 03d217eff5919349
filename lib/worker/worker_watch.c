// SPDX-License-Identifier: BSD-3-Clause
// watch: lines about what happens, to connections that do nothing else. While somebody watches,
// each worker writes its lines into a ring that all of them may read; a watcher's worker copies
// from all rings what its client wants and takes. Who reads too slowly is overtaken: it is told how
// many lines it missed, and nobody waits for it.

#include <stdio.h>

#include "worker/worker_admin.h"

#define WATCHES_MAX 20 // of a worker; memcached: of the server
#define WATCH_LINES 64 // that a watcher gets in one turn

struct worker_watch {
	struct base_list node;
	struct worker_conn *conn;
	uint32_t kinds;
	uint32_t seq; // of the wish that has them
	bool begun;   // all workers tell: the client has its OK
	uint32_t left_len, left_sent;
	uint64_t missed; // not yet said
	struct worker_tell_place from[WORKER_MAX];
	char left[WORKER_TELL_MAX + 64]; // a line, or part of it
};

// ---- what is told ------------------------------------------------------------------------------
__attribute__((format(printf, 3, 4))) static void tell(
	struct worker *w, unsigned kind, const char *fmt, ...)
{
	uint64_t wall_s = w->now.wall_s, us = w->now.wall_us;
	char line[WORKER_TELL_MAX];
	va_list args;
	int n, more;

	n = snprintf(line, sizeof(line), "ts=%llu.%llu gid=%llu ", (unsigned long long)wall_s,
		(unsigned long long)us, (unsigned long long)(++w->told * w->count + w->id));
	va_start(args, fmt);
	more = vsnprintf(line + n, sizeof(line) - (size_t)n, fmt, args);
	va_end(args);
	if (more < 0 || (size_t)(n + more) >= sizeof(line))
		return; // never: a key takes three bytes a byte
	worker_tell_write(w, kind, line, (unsigned)(n + more));
	w->n.watch_written++;
}

struct key_text {
	char text[3 * PROTO_KEY_MAX + 1];
};

static const char *key_format(struct key_text *to, const char *key, unsigned len)
{
	to->text[proto_uri_encode(key, len, to->text)] = '\0';
	return to->text;
}

static void tell_exec(void *arg, const struct exec_told *e)
{
	static const char *const command[] = {[PROTO_MODE_SET] = "set",
		[PROTO_MODE_ADD] = "add",
		[PROTO_MODE_REPLACE] = "replace",
		[PROTO_MODE_APPEND] = "append",
		[PROTO_MODE_PREPEND] = "prepend",
		[PROTO_MODE_CAS] = "cas"};
	static const char *const stored[] = {[PROTO_OK] = "stored",
		[PROTO_MISS] = "not_found",
		[PROTO_NOT_STORED] = "not_stored",
		[PROTO_EXISTS] = "exists",
		[PROTO_NON_NUMERIC] = "not_stored",
		[PROTO_NO_MEMORY] = "no_memory",
		[PROTO_TOO_LARGE] = "too_large",
		[PROTO_BAD_CHUNK] = "not_stored"};
	struct worker *w = arg;
	unsigned kinds = w->orders.watch;
	struct key_text k;

	if (worker_detail_on(w))
		worker_detail_told(w, e);
	if (e->op == PROTO_OP_SET && kinds & PROTO_WATCH_MUTATIONS)
		tell(w, PROTO_WATCH_MUTATIONS,
			"type=item_store key=%s status=%s cmd=%s ttl=%lld clsid=%u cfd=%u "
			"size=%u\n",
			key_format(&k, e->key, e->key_len), stored[e->status], command[e->mode],
			(long long)e->ttl_s, e->status == PROTO_OK, w->watch_cfd, e->value_bytes);
	else if (e->op == PROTO_OP_DELETE && e->status == PROTO_OK && kinds & PROTO_WATCH_DELETIONS)
		tell(w, PROTO_WATCH_DELETIONS, "type=deleted key=%s cmd=%s clsid=1 size=%u\n",
			key_format(&k, e->key, e->key_len), e->meta ? "md" : "delete",
			e->value_bytes);
	else if (e->op == PROTO_OP_GET && kinds & PROTO_WATCH_FETCHERS)
		tell(w, PROTO_WATCH_FETCHERS,
			"type=item_get key=%s status=%s clsid=%u cfd=%u size=%u\n",
			key_format(&k, e->key, e->key_len),
			e->status == PROTO_MISS ? "not_found" : "found", e->status != PROTO_MISS,
			w->watch_cfd, e->value_bytes);
}

static void tell_evicted(void *arg, struct store_item *it)
{
	struct worker *w = arg;
	uint64_t now_s = w->now.wall_s;
	struct key_text k;

	tell(w, PROTO_WATCH_EVICTIONS,
		"type=eviction key=%s fetch=%s ttl=%lld la=%llu clsid=1 size=%u\n",
		key_format(&k, store_item_key(it), store_item_key_len(it)),
		it->bits & STORE_ITEM_FETCHED ? "yes" : "no",
		it->deadline_s == 0 ? -1LL : (long long)it->deadline_s - (long long)now_s,
		(unsigned long long)store_item_idle_s(w->store, it), it->value_bytes);
}

void worker_watch_conn(struct worker *w, const struct worker_conn *c, const char *reason)
{
	char ip_text[BASE_IP_TEXT];
	struct base_ip ip;
	uint16_t port;

	tcp_peer(c->tcp, &ip, &port);
	base_ip_format(&ip, ip_text);
	if (reason == NULL)
		tell(w, PROTO_WATCH_CONNEVENTS,
			"type=conn_new rip=%s rport=%u transport=tcp cfd=%u\n", ip_text, port,
			worker_conn_mark(c));
	else
		tell(w, PROTO_WATCH_CONNEVENTS,
			"type=conn_close rip=%s rport=%u transport=tcp reason=%s cfd=%u\n", ip_text,
			port, reason, worker_conn_mark(c));
}

void worker_watch_orders(struct worker *w)
{
	const unsigned exec = PROTO_WATCH_FETCHERS | PROTO_WATCH_MUTATIONS | PROTO_WATCH_DELETIONS;

	w->watched = w->orders.watch != 0 || worker_detail_on(w);
	w->quick_off = w->settings->udp_port == 0 || w->settings->language == PROTO_BINARY_ONLY ||
		worker_watched(w);
	w->exec.tell = w->orders.watch & exec || worker_detail_on(w) ? tell_exec : NULL;
	w->exec.tell_arg = w;
	store_evict_tell(
		w->store, w->orders.watch & PROTO_WATCH_EVICTIONS ? tell_evicted : NULL, w);
}

// ---- who watches -------------------------------------------------------------------------------
static void wanted_set(struct worker *w)
{
	w->admin.watch = 0;
	base_list_for_each (node, &w->watch_list)
		w->admin.watch |= base_container_of(node, struct worker_watch, node)->kinds;
	w->admin.watch_seq++;
	w->report_us = 0;
}

bool worker_watch_begin(struct worker *w, struct worker_conn *c, struct worker_out *o,
	const struct proto_request *r)
{
	const char *text = NULL;
	struct worker_watch *h = NULL;

	if (base_list_empty(&w->slots_free) || !base_list_empty(&c->sink.slots))
		return false; // what was asked for before is answered before
	w->n.requests++;
	if (w->settings->watch_disabled)
		text = "CLIENT_ERROR watch commands not allowed\r\n";
	else if (w->watches == WATCHES_MAX)
		text = "WATCHER_TOO_MANY log watcher limit reached\r\n";
	else if ((h = mem_try_calloc(w->mem, MEM_OUTPUT, sizeof(*h), NULL)) == NULL)
		text = "WATCHER_FAILED failed to add log watcher\r\n";
	if (text != NULL) {
		worker_reply_bytes(w, &c->sink, o, text, (uint32_t)strlen(text));
		return true;
	}
	h->conn = c;
	h->kinds = (uint32_t)r->delta;
	base_list_append(&w->watch_list, &h->node);
	w->watches++;
	w->chores++;
	w->n.watchers++;
	wanted_set(w);
	h->seq = w->admin.watch_seq;
	c->state = WORKER_CONN_WATCH;
	return true;
}

static struct worker_watch *watch_of(struct worker *w, const struct worker_conn *c)
{
	base_list_for_each (node, &w->watch_list) {
		struct worker_watch *h = base_container_of(node, struct worker_watch, node);

		if (h->conn == c)
			return h;
	}
	return NULL;
}

void worker_watch_forget(struct worker *w, const struct worker_conn *c)
{
	struct worker_watch *h = watch_of(w, c);

	if (h == NULL)
		return;
	base_list_remove(&h->node);
	mem_free(w->mem, MEM_OUTPUT, h, sizeof(*h));
	w->watches--;
	w->chores--;
	w->n.watchers--;
	wanted_set(w);
}

// ---- to the client -----------------------------------------------------------------------------
// False: no room for all of it; the rest comes first the next time.
static bool line_write(struct worker *w, struct worker_out *o, struct worker_watch *h)
{
	h->left_sent += worker_out_append(w, o, h->left + h->left_sent, h->left_len - h->left_sent);
	if (h->left_sent < h->left_len)
		return false;
	h->left_len = h->left_sent = 0;
	return true;
}

// The next line of that worker's that is wanted, with a word before it on those that were missed.
static bool line_next(struct worker *w, struct worker_watch *h, unsigned from)
{
	char line[WORKER_TELL_MAX];
	unsigned kind, len;

	while ((len = worker_tell_read(w->group, from, &h->from[from], line, &kind, &h->missed)) >
		0) {
		if (!(kind & h->kinds))
			continue;
		if (h->missed > 0) {
			h->left_len = (uint32_t)snprintf(h->left, sizeof(h->left), "skipped=%llu\n",
				(unsigned long long)h->missed);
			w->n.watch_skipped += h->missed;
			h->missed = 0;
		}
		memcpy(h->left + h->left_len, line, len);
		h->left_len += len;
		w->n.watch_sent++;
		return true;
	}
	return false;
}

static void watch_ok(struct worker *w, struct worker_watch *h)
{
	h->begun = true;
	for (unsigned i = 0; i < w->count; i++)
		worker_tell_place(w->group, i, &h->from[i]);
	memcpy(h->left, "OK\r\n", 4);
	h->left_len = 4;
}

void worker_watch_write(struct worker *w, struct worker_conn *c, struct worker_out *o)
{
	struct worker_watch *h = watch_of(w, c);
	unsigned from = 0;

	base_assert(h != NULL);
	if (!h->begun) {
		// What others have watched before may be ready still, and be taken back.
		if ((int32_t)(w->orders.watch_seq - h->seq) < 0 ||
			(w->orders.watch_ready & h->kinds) != h->kinds)
			return;
		watch_ok(w, h);
	}
	if (!line_write(w, o, h))
		return;
	for (unsigned n = 0; n < WATCH_LINES && from < w->count; n++) {
		if (!line_next(w, h, from)) {
			from++;
			continue;
		}
		if (!line_write(w, o, h))
			return;
	}
}

unsigned worker_watch_turn(struct worker *w)
{
	uint64_t sent = w->n.bytes_written;

	base_list_for_each_safe (node, tmp, &w->watch_list) {
		struct worker_watch *h = base_container_of(node, struct worker_watch, node);

		if (tcp_send_room(w->tcp, h->conn->tcp) > 0)
			worker_conn_resume(w, h->conn);
	}
	return w->n.bytes_written != sent;
}
