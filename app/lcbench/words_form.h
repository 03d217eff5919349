// SPDX-License-Identifier: BSD-3-Clause
// What words.c dispatches to: one form for each of text, meta and binary.
#pragma once

#include "words.h"

struct words_form {
	const char *value_end; // what follows a value, in requests and answers
	size_t (*get_max)(const struct words *w, uint32_t keys);
	size_t (*set_max)(const struct words *w);
	size_t (*get_write)(const struct words *w, const uint32_t *key, uint32_t keys, char *to);
	// `ttl_s`: as the request says it, 0 for none
	size_t (*set_write)(const struct words *w, uint32_t key, uint32_t version, uint32_t size,
		uint32_t ttl_s, char *to);
	bool (*end_follows)(uint32_t keys);
	size_t (*tail_match)(const char *data, size_t len); // NULL: nothing can be matched so
	size_t (*head_take)(
		const char *have, size_t have_len, const char *data, size_t len, bool *whole);
	struct words_head (*head_read)(const struct words *w, const char *head, size_t len);
	void (*head_show)(const char *head, size_t len, char *to);
};

extern const struct words_form words_text, words_meta, words_binary;

// The key's bytes; returns the place behind them.
char *words_key_put(const struct words *w, char *to, uint32_t key);
// Reads key_size bytes; false: not one of the keys.
bool words_key_take(const struct words *w, const char *from, uint32_t *key);
