// SPDX-License-Identifier: BSD-3-Clause
// A list of figures, and its two shapes: a telemetry reply, lines of `stats`.

#include <inttypes.h>

#include "control/control_internal.h"

#define PIECE_MAX  120 // characters; DPDK's limit is 127
#define PIECES_MAX 16

static struct control_metric *row_add(
	struct control_metrics *m, const char *name, enum control_metric_type type)
{
	struct control_metric *row = &m->row[m->count];

	base_assert(m->count < CONTROL_METRICS_MAX);
	m->count++;
	row->name = name;
	row->type = type;
	return row;
}

void control_metric_add(struct control_metrics *m, const char *name, uint64_t value)
{
	row_add(m, name, CONTROL_METRIC_U64)->value = value;
}

void control_metric_add_diff(struct control_metrics *m, const char *name, uint64_t a, uint64_t b)
{
	row_add(m, name, CONTROL_METRIC_I64)->value = a - b;
}

void control_metric_add_text(struct control_metrics *m, const char *name, const char *text)
{
	struct control_metric *row = row_add(m, name, CONTROL_METRIC_TEXT);

	snprintf(row->text, sizeof(row->text), "%s", text);
}

void control_metric_add_ratio(struct control_metrics *m, const char *name, double ratio)
{
	struct control_metric *row = row_add(m, name, CONTROL_METRIC_TEXT);

	snprintf(row->text, sizeof(row->text), "%.2f", ratio);
}

// DPDK has unsigned numbers of 64 bits and signed ones of 32.
static void signed_reply(struct rte_tel_data *d, const char *name, int64_t value)
{
	char text[32];

	if (value >= 0) {
		rte_tel_data_add_dict_u64(d, name, (uint64_t)value);
	} else if (value >= INT32_MIN) {
		rte_tel_data_add_dict_int(d, name, (int)value);
	} else {
		snprintf(text, sizeof(text), "%" PRId64, value);
		rte_tel_data_add_dict_string(d, name, text);
	}
}

void control_metrics_reply(const struct control_metrics *m, struct rte_tel_data *d)
{
	for (unsigned i = 0; i < m->count; i++) {
		const struct control_metric *row = &m->row[i];

		if (row->type == CONTROL_METRIC_U64)
			rte_tel_data_add_dict_u64(d, row->name, row->value);
		else if (row->type == CONTROL_METRIC_I64)
			signed_reply(d, row->name, (int64_t)row->value);
		else
			rte_tel_data_add_dict_string(d, row->name, row->text);
	}
}

size_t control_metrics_stat(const struct control_metrics *m, char *buf, size_t len)
{
	size_t at = 0;

	for (unsigned i = 0; i < m->count; i++) {
		const struct control_metric *row = &m->row[i];
		char value[64];
		int n;

		if (row->type == CONTROL_METRIC_U64)
			snprintf(value, sizeof(value), "%" PRIu64, row->value);
		else if (row->type == CONTROL_METRIC_I64)
			snprintf(value, sizeof(value), "%" PRId64, (int64_t)row->value);
		else
			snprintf(value, sizeof(value), "%s", row->text);
		n = snprintf(buf + at, len - at, "STAT %s %s\r\n", row->name, value);
		if (n < 0 || (size_t)n >= len - at)
			break;
		at += (size_t)n;
	}
	return at;
}

size_t control_text_piece(const char *text, size_t most)
{
	size_t n = strlen(text), cut;

	if (n <= most)
		return n;
	for (cut = most; cut > most / 2; cut--) {
		if (text[cut] == ' ')
			return cut;
	}
	return most;
}

void control_text_reply(struct rte_tel_data *d, const char *name, const char *text)
{
	for (unsigned i = 1; *text != '\0' && i <= PIECES_MAX; i++) {
		size_t n = control_text_piece(text, PIECE_MAX);
		char key[64], piece[PIECE_MAX + 1];

		snprintf(key, sizeof(key), i == 1 ? "%s" : "%s_%u", name, i);
		snprintf(piece, sizeof(piece), "%.*s", (int)n, text);
		rte_tel_data_add_dict_string(d, key, piece);
		text += n;
		text += strspn(text, " ");
	}
}

// ---- by worker ---------------------------------------------------------------------------------
int control_workers_reply(struct control *c, const char *command, unsigned most,
	control_worker_fill *fill, struct rte_tel_data *d)
{
	char text[64];

	for (unsigned i = 0; i < c->workers && i < most; i++) {
		struct rte_tel_data *one = rte_tel_data_alloc();

		if (one == NULL)
			return -1;
		rte_tel_data_start_dict(one);
		fill(c, i, one);
		snprintf(text, sizeof(text), "worker_%u", i);
		if (rte_tel_data_add_dict_container(d, text, one, 0) < 0) {
			rte_tel_data_free(one);
			return -1;
		}
	}
	if (c->workers > most) {
		snprintf(text, sizeof(text), "%s,N for the other workers", command);
		rte_tel_data_add_dict_string(d, "more", text);
	}
	return 0;
}

bool control_worker_named(const struct control *c, const char *command, const char *params,
	unsigned *worker, struct rte_tel_data *d)
{
	uint64_t n;
	char text[64];

	if (params != NULL && base_u64_parse(params, strlen(params), &n) >= 0 && n < c->workers) {
		*worker = (unsigned)n;
		return true;
	}
	snprintf(text, sizeof(text), "%s,N: no such worker", command);
	rte_tel_data_add_dict_string(d, "error", text);
	return false;
}
