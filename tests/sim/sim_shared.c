// SPDX-License-Identifier: BSD-3-Clause
// Keys that everybody writes. Each value tells which write of which key it is, so a reader can say
// that it is whole, that it was written, and that it had not surely been replaced when it was read.
//
//	value: K (key) W (write, 8 hex digits) L (length) '.' and bytes that follow from K and W

#include "sim.h"

static void body_fill(unsigned key, uint32_t write, char *p, uint32_t len)
{
	struct base_rng rng;

	base_rng_seed(&rng, (uint64_t)key << 32 | write);
	sim_bytes_fill(&rng, p, len);
}

uint32_t sim_shared_write(struct sim *s, unsigned key, uint32_t len, char *buf)
{
	struct sim_shared *k = &s->shared[key];
	uint32_t write = k->writes;
	char head[SIM_SHARED_HEAD + 1];

	base_assert(len >= SIM_SHARED_HEAD);
	if (write == SIM_SHARED_LOG)
		return SIM_SHARED_NONE;
	snprintf(head, sizeof(head), "K%02uW%08xL%08x...", key, write, len);
	memcpy(buf, head, SIM_SHARED_HEAD);
	body_fill(key, write, buf + SIM_SHARED_HEAD, len - SIM_SHARED_HEAD);
	k->log[write] = (struct sim_write){.sent = s->stamp, .replied = UINT64_MAX, .len = len};
	k->writes++;
	return write;
}

void sim_shared_written(struct sim *s, unsigned key, uint32_t write, bool stored)
{
	if (stored)
		s->shared[key].log[write].replied = s->stamp;
	else
		s->shared[key].lossy = true; // what was there is gone
}

// The write was over before another began that was over before the read began.
static bool replaced(const struct sim_shared *k, uint32_t write, uint64_t sent)
{
	uint64_t over = k->log[write].replied;

	for (unsigned i = 0; i < k->writes; i++) {
		if (k->log[i].sent > over && k->log[i].replied < sent)
			return true;
	}
	return false;
}

void sim_shared_read(
	struct sim *s, unsigned key, uint64_t sent, const char *value, uint32_t len, uint32_t flags)
{
	const struct sim_shared *k = &s->shared[key];
	char head[SIM_SHARED_HEAD + 1] = "";
	unsigned from, write, bytes;
	char *want;

	s->model.checks++;
	if (len >= SIM_SHARED_HEAD)
		memcpy(head, value, SIM_SHARED_HEAD);
	if (sscanf(head, "K%2uW%8xL%8x...", &from, &write, &bytes) != 3)
		sim_fail(s, "shared key %u: not a value that was written: %.24s", key, head);
	if (from != key || write >= k->writes || bytes != len || flags != write)
		sim_fail(
			s, "shared key %u: value of %s, %u bytes, flags %u", key, head, len, flags);
	want = sim_alloc(s, len);
	body_fill(key, write, want, len - SIM_SHARED_HEAD);
	if (memcmp(want, value + SIM_SHARED_HEAD, len - SIM_SHARED_HEAD) != 0)
		sim_fail(s, "shared key %u: write %u is not whole", key, write);
	sim_free(s, want, len);
	if (replaced(k, write, sent))
		sim_fail(s, "shared key %u: write %u was replaced before it was read", key, write);
}

void sim_shared_missed(struct sim *s, unsigned key, uint64_t sent)
{
	const struct sim_shared *k = &s->shared[key];

	if (k->lossy || sim_refusal_possible(s) || s->cfg.flushes)
		return;
	for (unsigned i = 0; i < k->writes; i++) {
		if (k->log[i].replied < sent)
			sim_fail(s, "shared key %u is gone", key);
	}
}
