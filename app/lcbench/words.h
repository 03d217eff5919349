// SPDX-License-Identifier: BSD-3-Clause
// The bytes of requests, and the lines of answers, in memcached's text and meta commands:
//
//	         one key              several keys                     set
//	text     get K                get K K K                        set K FLAGS TTL SIZE
//	answer   VALUE K FLAGS SIZE   (a VALUE a hit)                  STORED
//	         END                  END
//	meta     mg K v f             mg K v f k q (one each) mn       ms K SIZE F T
//	answer   VA SIZE fFLAGS       VA SIZE fFLAGS kKEY (a hit)      HD
//	         or EN                MN
//
// The flags are the version of the value. Key i is 8 digits behind as many 'k' as its size asks
// for.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORDS_KEY_MIN  8
#define WORDS_KEY_MAX  250
#define WORDS_LINE_MAX 320 // of a command with one key, or of an answer
#define WORDS_NO_KEY   UINT32_MAX

struct bench_options;

struct words {
	bool meta;
	uint32_t key_size;
	uint32_t ttl_s;
	uint32_t due_from, due_at;   // keys from this one on expire at that Unix time
	char key[WORDS_KEY_MAX + 1]; // the 'k's, and room for the digits
};

enum words_kind {
	WORDS_WRONG,  // no line that a good server sends
	WORDS_STORED, // a set was done
	WORDS_VALUE,  // a value follows, then "\r\n"
	WORDS_END,    // the end of a get
};

struct words_line {
	enum words_kind kind;
	uint32_t key; // of a value; WORDS_NO_KEY where the line does not say
	uint32_t version, size;
};

void words_open(struct words *w, const struct bench_options *o);
// Bytes that a get of so many keys, or a set's line, may have.
size_t words_get_max(const struct words *w, uint32_t keys);
size_t words_set_max(const struct words *w);
// Write the request, return its length. A set's value and "\r\n" follow its line.
size_t words_get_write(const struct words *w, const uint32_t *key, uint32_t keys, char *to);
size_t words_set_write(
	const struct words *w, uint32_t key, uint32_t version, uint32_t size, char *to);
// Whether a value is followed by a line that ends the get.
bool words_end_follows(const struct words *w, uint32_t keys);
// The bytes of a value's "\r\n" and the line that ends the get, if data begins with both; else 0,
// which says nothing.
size_t words_tail_match(const struct words *w, const char *data, size_t len);
// Reads a line, its "\n" included.
struct words_line words_line_read(const struct words *w, const char *line, size_t len);
// The key's bytes, for messages: key_size of them, and '\0'.
void words_key_write(const struct words *w, uint32_t key, char *to);
