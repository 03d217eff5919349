// SPDX-License-Identifier: BSD-3-Clause
// Answers to plain gets, as text.
#pragma once

#include "base/base.h"
#include "proto/proto.h"
#include "store/store.h"

static inline char *worker_put(char *p, const void *bytes, size_t n)
{
	memcpy(p, bytes, n);
	return p + n;
}

// The value and the ends of two lines: the head's, and its own.
static inline char *worker_value_put(char *p, struct store_item *it)
{
	struct store_span span[2];

	store_value_spans(it, span);
	p = worker_put(p, "\r\n", 2);
	p = worker_put(p, span[0].at, span[0].bytes);
	if (base_unlikely(span[1].bytes > 0))
		p = worker_put(p, span[1].at, span[1].bytes);
	return worker_put(p, "\r\n", 2);
}

// VALUE KEY FLAGS BYTES, and the value. Returns its end.
static inline char *worker_value_compose(char *p, struct store_item *it)
{
	uint32_t client_flags = store_item_client_flags(it);

	p = worker_put(p, "VALUE ", 6);
	p = worker_put(p, store_item_key(it), store_item_key_len(it));
	*p++ = ' ';
	if (base_likely(client_flags == 0))
		*p++ = '0';
	else
		p += base_u64_format(p, client_flags);
	*p++ = ' ';
	p += base_u64_format(p, it->value_bytes);
	return worker_value_put(p, it);
}

// VA BYTES and what `l` asks for, and the value. Returns its end.
static inline char *worker_meta_compose(char *p, const struct proto_plain *l, struct store_item *it)
{
	p = worker_put(p, "VA ", 3);
	p += base_u64_format(p, it->value_bytes);
	for (unsigned i = 0; i < l->return_count; i++) {
		char letter = l->returns[i];

		*p++ = ' ';
		*p++ = letter;
		p += base_u64_format(p,
			letter == 'f'           ? store_item_client_flags(it)
				: letter == 'c' ? it->cas
						: it->value_bytes);
	}
	return worker_value_put(p, it);
}
