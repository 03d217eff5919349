// SPDX-License-Identifier: BSD-3-Clause
// The bytes of requests, and the heads of answers, in memcached's commands:
//
//	         one key              several keys                     set
//	text     get K                get K K K                        set K FLAGS TTL SIZE
//	answer   VALUE K FLAGS SIZE   (a VALUE a hit)                  STORED
//	         END                  END
//	meta     mg K v f             mg K v f k q (one each) mn       ms K SIZE F T
//	answer   VA SIZE fFLAGS       VA SIZE fFLAGS kKEY (a hit)      HD
//	         or EN                MN
//	binary   get                  getkq (one each) noop            set
//	answer   flags, value         flags, key, value (a hit)        set
//	         or not found         noop
//
// A head is what stands before a value, or is an answer without one: a line, or a binary packet as
// far as its value. The flags are the version of the value. A binary packet's opaque is the number
// of the key, a noop's that of the first key before it. Key i is 8 digits behind as many 'k' as its
// size asks for.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORDS_KEY_MIN  8
#define WORDS_KEY_MAX  250
#define WORDS_HEAD_MAX 320 // of a command with one key, or of an answer
#define WORDS_SHOW_MAX 160 // of a head for people, '\0' included
#define WORDS_NO_KEY   UINT32_MAX

struct bench_options;
struct words_form; // words_form.h: text, meta or binary

struct words {
	const struct words_form *form;
	uint32_t key_size;
	uint32_t ttl_s;
	uint32_t due_from, due_at;   // keys from this one on expire at that Unix time
	char key[WORDS_KEY_MAX + 1]; // the 'k's, and room for the digits
};

enum words_kind {
	WORDS_WRONG,  // no head that a good server sends
	WORDS_STORED, // a set was done
	WORDS_VALUE,  // a value follows, then what words_value_end says
	WORDS_END,    // the end of a get
};

struct words_head {
	enum words_kind kind;
	uint32_t key; // of a value or a set, the first of a get; WORDS_NO_KEY: it does not say
	uint32_t version, size;
};

void words_open(struct words *w, const struct bench_options *o);
// Bytes that a get of so many keys, or a set besides its value, may have.
size_t words_get_max(const struct words *w, uint32_t keys);
size_t words_set_max(const struct words *w);
// Write the request, return its length. A set's value and words_value_end follow.
size_t words_get_write(const struct words *w, const uint32_t *key, uint32_t keys, char *to);
size_t words_set_write(
	const struct words *w, uint32_t key, uint32_t version, uint32_t size, char *to);
// What follows a value: "\r\n", or nothing.
const char *words_value_end(const struct words *w);
// Whether a value is followed by a head that ends the get.
bool words_end_follows(const struct words *w, uint32_t keys);
// The bytes of a value's end and the head that ends the get, if data begins with both; else 0,
// which says nothing.
size_t words_tail_match(const struct words *w, const char *data, size_t len);
// How many bytes of data (len > 0) belong to the head of which `have` has come; `whole`: it ends
// with them. 0: not the beginning of a head.
size_t words_head_take(const struct words *w, const char *have, size_t have_len, const char *data,
	size_t len, bool *whole);
// Reads a whole head.
struct words_head words_head_read(const struct words *w, const char *head, size_t len);
// A whole head as people may read it: WORDS_SHOW_MAX bytes at most.
void words_head_show(const struct words *w, const char *head, size_t len, char *to);
// The key's bytes, for messages: key_size of them, and '\0'.
void words_key_write(const struct words *w, uint32_t key, char *to);
