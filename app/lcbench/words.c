// SPDX-License-Identifier: BSD-3-Clause
#include "words.h"

#include <string.h>

#include "base/base.h"
#include "options.h"
#include "words_form.h"

#define DIGITS 8
#define HALF   10000 // 4 digits

void words_open(struct words *w, const struct bench_options *o)
{
	static const struct words_form *const forms[] = {[COMMANDS_TEXT] = &words_text,
		[COMMANDS_META] = &words_meta,
		[COMMANDS_BINARY] = &words_binary};

	*w = (struct words){.form = forms[o->commands],
		.key_size = o->key_size,
		.ttl_s = o->ttl_s,
		.due_from = o->due_keys ? o->keys : UINT32_MAX,
		.due_at = o->due_at};
	memset(w->key, 'k', o->key_size);
}

char *words_key_put(const struct words *w, char *to, uint32_t key)
{
	char *digits = to + w->key_size - DIGITS;
	// two halves side by side: a division waits for the one before it
	uint32_t high = key / HALF, low = key % HALF;

	memcpy(to, w->key, w->key_size - DIGITS);
	for (int i = DIGITS / 2 - 1; i >= 0; i--, high /= 10, low /= 10) {
		digits[i] = (char)('0' + high % 10);
		digits[i + DIGITS / 2] = (char)('0' + low % 10);
	}
	return to + w->key_size;
}

bool words_key_take(const struct words *w, const char *from, uint32_t *key)
{
	uint32_t ks = w->key_size - DIGITS;

	if (memcmp(from, w->key, ks) != 0)
		return false;
	*key = 0;
	for (const char *at = from + ks; at < from + w->key_size; at++) {
		if (*at < '0' || *at > '9')
			return false;
		*key = *key * 10 + (uint32_t)(*at - '0');
	}
	return true;
}

void words_key_write(const struct words *w, uint32_t key, char *to)
{
	*words_key_put(w, to, key) = '\0';
}

size_t words_get_max(const struct words *w, uint32_t keys)
{
	return w->form->get_max(w, keys);
}

size_t words_set_max(const struct words *w)
{
	return w->form->set_max(w);
}

size_t words_get_write(const struct words *w, const uint32_t *key, uint32_t keys, char *to)
{
	base_assert(keys > 0);
	return w->form->get_write(w, key, keys, to);
}

size_t words_set_write(
	const struct words *w, uint32_t key, uint32_t version, uint32_t size, char *to)
{
	uint32_t ttl_s = base_likely(key < w->due_from) ? w->ttl_s : w->due_at;

	return w->form->set_write(w, key, version, size, ttl_s, to);
}

const char *words_value_end(const struct words *w)
{
	return w->form->value_end;
}

bool words_end_follows(const struct words *w, uint32_t keys)
{
	return w->form->end_follows(keys);
}

size_t words_tail_match(const struct words *w, const char *data, size_t len)
{
	return w->form->tail_match ? w->form->tail_match(data, len) : 0;
}

size_t words_head_take(const struct words *w, const char *have, size_t have_len, const char *data,
	size_t len, bool *whole)
{
	return w->form->head_take(have, have_len, data, len, whole);
}

struct words_head words_head_read(const struct words *w, const char *head, size_t len)
{
	return w->form->head_read(w, head, len);
}

void words_head_show(const struct words *w, const char *head, size_t len, char *to)
{
	w->form->head_show(head, len, to);
}
