// SPDX-License-Identifier: BSD-3-Clause
// One capture: the workers' rings, their filter, the file, and its limits.
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "capture/capture_internal.h"

#define RING_BYTES      (1u << 20)
#define RING_BYTES_MANY (256u << 10) // each of more than RING_FEW workers
#define RING_FEW        4

struct capture {
	struct capture_filter filter;
	struct capture_file file;
	char path[CAPTURE_PATH_MAX];
	unsigned workers;
	uint64_t packets_max, end_us, now_us;
	// the writer's, but for `asked`; the control core looks at them
	enum capture_end end;
	int error;
	bool asked; // for its end
	bool full;  // nothing more is written
	bool whole; // the file is, and closed
	struct capture_tap tap[CAPTURE_WORKERS_MAX];
};

int capture_name_check(const char *name, char *err, size_t err_len)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < n; i++) {
		if (!isalnum((unsigned char)name[i]) && strchr("._-", name[i]) == NULL)
			n = 0;
	}
	if (n > 0 && n < CAPTURE_NAME_MAX && name[0] != '.')
		return 0;
	snprintf(err, err_len,
		"file: a name of 1 to %d letters, digits, '.', '_' and '-' is wanted, and no '.' "
		"first",
		CAPTURE_NAME_MAX - 1);
	return -EINVAL;
}

static int taps_open(struct capture *c, const struct capture_options *opt)
{
	uint32_t bytes = opt->ring_bytes   ? opt->ring_bytes
		: opt->workers <= RING_FEW ? RING_BYTES
					   : RING_BYTES_MANY;

	for (unsigned i = 0; i < opt->workers; i++) {
		if (capture_tap_open(&c->tap[i], bytes, opt->snap_bytes, &c->filter) < 0)
			return -ENOMEM;
	}
	return 0;
}

static void taps_close(struct capture *c)
{
	for (unsigned i = 0; i < c->workers; i++)
		capture_tap_close(&c->tap[i]);
}

int capture_open(struct capture **out, const struct capture_options *opt, char *err, size_t err_len)
{
	struct capture *c;
	int rc;

	base_assert(opt->workers > 0 && opt->workers <= CAPTURE_WORKERS_MAX);
	base_assert(opt->snap_bytes >= CAPTURE_SNAP_MIN && opt->snap_bytes <= CAPTURE_SNAP_MAX);
	if (capture_name_check(opt->name, err, err_len) < 0)
		return -EINVAL;
	c = aligned_alloc(BASE_CACHE_LINE, sizeof(*c));
	if (c == NULL) {
		snprintf(err, err_len, "no memory");
		return -ENOMEM;
	}
	memset(c, 0, sizeof(*c));
	c->workers = opt->workers;
	c->packets_max = opt->packets_max ? opt->packets_max : UINT64_MAX;
	c->end_us = opt->end_us ? opt->end_us : UINT64_MAX;
	snprintf(c->path, sizeof(c->path), "%s/%s", opt->dir, opt->name);
	rc = capture_filter_open(&c->filter, opt->filter, err, err_len);
	if (rc < 0)
		goto err_filter;
	rc = taps_open(c, opt);
	if (rc < 0) {
		snprintf(err, err_len, "no memory for the rings of %u workers", c->workers);
		goto err_taps;
	}
	rc = capture_file_open(&c->file, c->path, opt->size_bytes, opt->epoch_ns, err, err_len);
	if (rc < 0)
		goto err_taps;
	*out = c;
	return 0;

err_taps:
	taps_close(c);
	capture_filter_close(&c->filter);
err_filter:
	free(c);
	return rc;
}

struct capture_tap *capture_tap(struct capture *c, unsigned worker)
{
	base_assert(worker < c->workers);
	return &c->tap[worker];
}

static void capture_end(struct capture *c, enum capture_end why)
{
	c->full = c->full || why != CAPTURE_END_TIME;
	if (c->end == CAPTURE_RUNS)
		__atomic_store_n(&c->end, why, __ATOMIC_RELAXED);
}

static void file_fail(struct capture *c, int error)
{
	if (c->error == 0) {
		__atomic_store_n(&c->error, error, __ATOMIC_RELAXED);
		__atomic_store_n(&c->end, CAPTURE_END_ERROR, __ATOMIC_RELAXED);
		c->full = true;
	}
}

static void file_flush(struct capture *c)
{
	int rc = capture_file_flush(&c->file);

	if (rc < 0)
		file_fail(c, rc);
}

static void record_write(struct capture *c, unsigned worker, const struct capture_record *r)
{
	if (r->time_us >= c->end_us || c->full)
		return; // came in after the end
	switch (capture_file_put(&c->file, worker, r)) {
	case CAPTURE_PUT_OK:
		break;
	case CAPTURE_PUT_FULL:
		file_flush(c);
		capture_end(c, CAPTURE_END_SIZE);
		return;
	case CAPTURE_PUT_FAILED:
		file_fail(c, -ENOBUFS);
		return;
	}
	if (c->file.packets + c->file.batched == c->packets_max) {
		file_flush(c);
		capture_end(c, CAPTURE_END_PACKETS);
	} else if (c->file.batched == CAPTURE_BATCH) {
		file_flush(c);
	}
}

// Of the same microsecond what came in is before what went out.
static bool is_before(const struct capture_record *a, const struct capture_record *b)
{
	return a->time_us != b->time_us ? a->time_us < b->time_us : a->way < b->way;
}
static_assert(CAPTURE_IN < CAPTURE_OUT, "is_before");

// The oldest record of all rings. They are looked at once more after one has been found: a request
// may have come into a ring that was empty, and its answer, by another worker, into a later one.
static const struct capture_record *oldest(struct capture *c, unsigned *worker)
{
	const struct capture_record *first = NULL;

	for (unsigned i = 0; i < 2 * c->workers; i++) {
		const struct capture_record *r = capture_tap_peek(&c->tap[i % c->workers]);

		if (i == c->workers && first == NULL)
			break;
		if (r != NULL && (first == NULL || is_before(r, first))) {
			first = r;
			*worker = i % c->workers;
		}
	}
	return first;
}

bool capture_drain(struct capture *c, uint64_t now_us)
{
	const struct capture_record *r = NULL;
	unsigned worker = 0;

	c->now_us = now_us;
	for (unsigned n = 0; n < CAPTURE_DRAIN_FRAMES; n++) {
		r = oldest(c, &worker);
		if (r == NULL)
			break;
		record_write(c, worker, r);
		capture_tap_pass(&c->tap[worker], r);
	}
	file_flush(c);
	if (now_us >= c->end_us)
		capture_end(c, CAPTURE_END_TIME);
	return r == NULL;
}

void capture_write_end(struct capture *c)
{
	struct capture_state s;

	while (!capture_drain(c, c->now_us))
		; // nobody fills them any more
	capture_state_get(c, &s);
	capture_file_end(&c->file, &s, c->now_us);
	__atomic_store_n(&c->whole, true, __ATOMIC_RELEASE);
}

bool capture_written(const struct capture *c)
{
	return __atomic_load_n(&c->whole, __ATOMIC_ACQUIRE);
}

bool capture_over(const struct capture *c)
{
	return __atomic_load_n(&c->asked, __ATOMIC_RELAXED) ||
		__atomic_load_n(&c->end, __ATOMIC_RELAXED) != CAPTURE_RUNS;
}

void capture_stop(struct capture *c)
{
	__atomic_store_n(&c->asked, true, __ATOMIC_RELAXED);
}

const char *capture_path(const struct capture *c)
{
	return c->path;
}

void capture_state_get(const struct capture *c, struct capture_state *out)
{
	*out = (struct capture_state){.end = __atomic_load_n(&c->end, __ATOMIC_RELAXED),
		.error = __atomic_load_n(&c->error, __ATOMIC_RELAXED),
		.packets = __atomic_load_n(&c->file.packets, __ATOMIC_RELAXED),
		.bytes = __atomic_load_n(&c->file.bytes, __ATOMIC_RELAXED)};
	if (out->end == CAPTURE_RUNS && __atomic_load_n(&c->asked, __ATOMIC_RELAXED))
		out->end = CAPTURE_STOPPED;
	for (unsigned i = 0; i < c->workers; i++) {
		out->seen += __atomic_load_n(&c->tap[i].seen, __ATOMIC_RELAXED);
		out->dropped += __atomic_load_n(&c->tap[i].dropped, __ATOMIC_RELAXED);
	}
}

void capture_close(struct capture *c, struct capture_state *out)
{
	capture_stop(c);
	if (!capture_written(c))
		capture_write_end(c);
	capture_state_get(c, out);
	capture_file_close(&c->file);
	taps_close(c);
	capture_filter_close(&c->filter);
	free(c);
}
