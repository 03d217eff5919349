// SPDX-License-Identifier: BSD-3-Clause
// What a test of the parser is: bytes in, requests out, in the words of proto_feed.h.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto_feed.h"

#define ITEM_MAX    (UINT64_C(1) << 20)

#define K10         "kkkkkkkkkk"
#define K50         K10 K10 K10 K10 K10
#define K250        K50 K50 K50 K50 K50
#define K251        K250 "k"
#define O31         "OOOOOOOOOOOOOOOOOOOOOOOOOOOOOOO"

#define ERROR       "reply 'ERROR'\n"
#define BAD_FORMAT  "reply 'CLIENT_ERROR bad command line format'\n"
#define BAD_EXPTIME "reply 'CLIENT_ERROR invalid exptime argument'\n"
#define BAD_DELTA   "reply 'CLIENT_ERROR invalid numeric delta argument'\n"
#define SILENT      "reply ''\n"

struct proto_case {
	const char *in, *out;
};

// In one piece, byte by byte, and cut in two at every place, with and without the way of plain
// lines: the same requests each time.
static inline void case_check(const struct proto_case *c)
{
	size_t len = strlen(c->in);

	for (size_t i = 0; i < 2 * (len + 2); i++) {
		size_t cut = i / 2;
		struct feed f;

		feed_open(&f, ITEM_MAX);
		f.plain = i & 1;
		if (cut <= len)
			feed_split(&f, c->in, len, cut);
		else
			feed_by_byte(&f, c->in, len);
		if (strcmp(f.text, c->out) != 0)
			fail_msg("input:\n%s\nwanted:\n%s\ngot, cut at %zu of %zu:\n%s", c->in,
				c->out, cut, len, f.text);
		feed_close(&f);
	}
}

static inline void cases_check(const struct proto_case *c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		case_check(&c[i]);
}

#define CASES_CHECK(...) \
	do { \
		static const struct proto_case cases[] = {__VA_ARGS__}; \
		cases_check(cases, sizeof(cases) / sizeof(cases[0])); \
	} while (0)
