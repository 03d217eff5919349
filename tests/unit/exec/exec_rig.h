// SPDX-License-Identifier: BSD-3-Clause
// A shard driven by request text, with a clock that the test moves and allocations that it can
// fail. \n stands for \r\n both ways, so that a test reads like a session.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "exec/exec.h"

struct rig {
	struct mem_domain *mem;
	struct exec ex;
	struct base_now now;
	int fail_skip;  // allocations that still succeed before the failing ones
	int fail_count; // allocations that then fail
	size_t in_len, out_len;
	char in[64 * 1024], out[64 * 1024];
};

static inline bool rig_fails(void *arg)
{
	struct rig *g = arg;

	if (g->fail_count == 0)
		return false;
	if (g->fail_skip > 0) {
		g->fail_skip--;
		return false;
	}
	g->fail_count--;
	return true;
}

static inline void rig_fail(struct rig *g, int skip, int count)
{
	g->fail_skip = skip;
	g->fail_count = count;
}

static inline void rig_pass(struct rig *g, uint64_t seconds)
{
	g->now.wall_s += seconds;
	g->now.mono_us += seconds * 1000000;
	store_turn(g->ex.store, g->now);
}

static inline struct rig *rig_open(uint64_t item_bytes_max)
{
	struct rig *g = calloc(1, sizeof(*g));
	struct store_options so = {
		.seed = 7,
		.item_bytes_max = item_bytes_max,
		.cas_first = 1,
		.cas_step = 1,
		.policy = STORE_NOEVICTION,
		.samples = 5,
	};

	assert_non_null(g);
	assert_int_equal(
		mem_domain_open(&g->mem, &(struct mem_options){.name = "t", .numa_node = -1}), 0);
	so.mem = g->mem;
	assert_int_equal(store_open(&g->ex.store, &so), 0);
	mem_fault_set(g->mem, rig_fails, g);
	g->now = (struct base_now){.mono_us = 1000000, .wall_s = 1700000000};
	store_turn(g->ex.store, g->now);
	return g;
}

// Asserts that every byte comes back.
static inline void rig_close(struct rig *g)
{
	rig_fail(g, 0, 0);
	store_close(g->ex.store);
	assert_int_equal(mem_used_class(g->mem, MEM_ITEMS), 0);
	mem_domain_close(g->mem);
	free(g);
}

static inline void rig_put(struct rig *g, const char *s, size_t len)
{
	assert_true(g->out_len + len < sizeof(g->out));
	for (size_t i = 0; i < len; i++)
		if (s[i] != '\r')
			g->out[g->out_len++] = s[i];
	g->out[g->out_len] = '\0';
}

static inline void rig_put_value(struct rig *g, struct store_item *it)
{
	struct store_span span[2];

	store_value_spans(it, span);
	rig_put(g, span[0].at, span[0].bytes);
	rig_put(g, span[1].at, span[1].bytes);
}

// What stands at `from` of a value.
static inline void assert_value_at(struct store_item *it, uint32_t from, const char *text)
{
	for (; *text; text++, from++) {
		uint32_t together;
		const char *p = store_value_at(it, from, &together);

		assert_true(together > 0);
		assert_int_equal(*p, *text);
	}
}

static inline void rig_answer(struct rig *g, const struct proto_request *r, struct exec_result *res)
{
	char head[PROTO_HEAD_MAX];
	struct proto_reply reply;

	proto_compose(r, &res->proto, head, &reply);
	rig_put(g, head, reply.head_len);
	if (reply.value)
		rig_put_value(g, res->item);
	rig_put(g, reply.tail, reply.tail_len);
	if (res->item)
		store_unref(g->ex.store, res->item);
}

// A storage command whose value stands at `value`. Returns the bytes that it took there.
static inline size_t rig_store(struct rig *g, const struct proto_request *r, const char *value)
{
	uint64_t hash = base_hash(r->key, r->key_len);
	struct store_item *item;
	struct exec_result res;

	exec_reserve(&g->ex, r, hash, &item, &res);
	if (item) {
		store_value_write(item, 0, value, r->value_bytes);
		assert_true(proto_data_end_valid(value + r->value_bytes));
		exec_commit(&g->ex, r, hash, item, &res);
	}
	rig_answer(g, r, &res);
	return (size_t)r->value_bytes + 2;
}

// Executes every request of `text` and returns all the replies.
static inline const char *rig_run(struct rig *g, const char *text)
{
	struct proto_parser p;
	struct proto_request r;
	struct exec_result res;
	size_t at = 0;

	g->in_len = g->out_len = 0;
	g->out[0] = '\0';
	for (; *text; text++) {
		assert_true(g->in_len + 2 < sizeof(g->in));
		if (*text == '\n')
			g->in[g->in_len++] = '\r';
		g->in[g->in_len++] = *text;
	}
	proto_parser_init(&p, UINT32_MAX);
	while (at < g->in_len && proto_parse(&p, g->in + at, g->in_len - at, &r) == PROTO_REQUEST) {
		at += r.consumed;
		if (r.op == PROTO_OP_SET) {
			at += rig_store(g, &r, g->in + at);
		} else if (r.op == PROTO_OP_REPLY) {
			rig_put(g, r.reply_text, strlen(r.reply_text));
		} else {
			exec_apply(&g->ex, &r, base_hash(r.key, r.key_len), &res);
			rig_answer(g, &r, &res);
		}
	}
	assert_int_equal(at, g->in_len);
	return g->out;
}

// The item of a key, without an access.
static inline struct store_item *rig_item(struct rig *g, const char *key)
{
	size_t len = strlen(key);

	return store_find(g->ex.store, key, (uint8_t)len, base_hash(key, len));
}

#define CHECK(g, request, reply) assert_string_equal(rig_run((g), (request)), (reply))

static inline int rig_setup(void **state)
{
	*state = rig_open(1024 * 1024);
	return 0;
}

static inline int rig_teardown(void **state)
{
	rig_close(*state);
	return 0;
}

#define RIG_TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
