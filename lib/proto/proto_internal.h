// SPDX-License-Identifier: BSD-3-Clause
// proto, inside: lines, tokens, numbers, and the texts of errors.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "proto/proto.h"

// memcached's own words.
#define PROTO_TEXT_OK          "OK\r\n"
#define PROTO_TEXT_ERROR       "ERROR\r\n"
#define PROTO_TEXT_BAD_FORMAT  "CLIENT_ERROR bad command line format\r\n"
#define PROTO_TEXT_BAD_EXPTIME "CLIENT_ERROR invalid exptime argument\r\n"
#define PROTO_TEXT_BAD_DELTA   "CLIENT_ERROR invalid numeric delta argument\r\n"
#define PROTO_TEXT_TOO_LARGE   "SERVER_ERROR object too large for cache\r\n"
#define PROTO_TEXT_NOBODY      "CLIENT_ERROR unauthenticated\r\n"
#define PROTO_TEXT_DENIED      "CLIENT_ERROR authentication failure\r\n"
#define PROTO_TEXT_BAD_TOKEN   "CLIENT_ERROR bad authentication token format\r\n"
#define PROTO_TEXT_BAD_END     "CLIENT_ERROR bad command line termination\r\n"

// Longest value that a command line may announce (memcached: INT_MAX less its \r\n).
#define PROTO_VALUE_MAX (INT64_C(0x7fffffff) - 2)

enum proto_state {
	PROTO_STATE_COMMAND, // at the start of a command line
	PROTO_STATE_BEGIN,   // the same, and the first byte ever tells text from binary
	PROTO_STATE_KEYS,    // inside the key list of a retrieval
	PROTO_STATE_SKIP,    // in a retrieval line that has been answered with an error
	PROTO_STATE_BINARY,  // at the start of a packet
	PROTO_STATE_AUTH,    // at the start of a line, and nobody knows who sends it
};

enum proto_sasl {
	PROTO_SASL_OFF,
	PROTO_SASL_LOCKED,
	PROTO_SASL_STARTED, // ... and PLAIN has been chosen, without a message
	PROTO_SASL_UNLOCKED,
};

#define PROTO_BINARY_REQUEST 0x80 // the first byte of a packet
#define PROTO_BINARY_REPLY   0x81

// The most that any command looks at; what follows them in a longer line is not there for it.
#define PROTO_TOKENS_MAX 23

struct proto_token {
	const char *s;
	uint16_t len;
};

struct proto_tokens {
	unsigned n; // PROTO_TOKENS_MAX: that many or more
	struct proto_token t[PROTO_TOKENS_MAX];
};

// Cuts a line (without its end) at spaces.
void proto_tokens_cut(struct proto_tokens *t, const char *line, size_t len);
bool proto_token_is(const struct proto_token *t, const char *word);

// Numbers: digits and nothing else, before them a minus where the result is signed (a minus alone
// is 0). False: no number, not of 64 bits (u32: 32), or of more characters than memcached reads,
// leading zeros among them: 22, and 11 where it has 32 bits (u32, and i64: lengths and times).
bool proto_i64_parse(const char *s, size_t len, int64_t *out);
bool proto_u64_parse(const char *s, size_t len, uint64_t *out);
bool proto_u32_parse(const char *s, size_t len, uint32_t *out);
// The exptime and flags of the classic storage commands, as the C library's strtol family reads
// them: white space and a sign may precede, white space (a tab, say) or a NUL ends. Of the flags
// the low 32 bits are taken.
bool proto_loose_i64_parse(const char *s, size_t len, int64_t *out);
bool proto_loose_flags_parse(const char *s, size_t len, uint32_t *out);
// The length that a storage command announces: 0..PROTO_VALUE_MAX.
bool proto_value_bytes_parse(const char *s, size_t len, uint32_t *out);

// Standard base64 with padding. Decodes in_len bytes into out (3/4 of it fit); 0: not base64.
size_t proto_base64_decode(const char *in, size_t in_len, char *out);

static inline enum proto_verdict proto_more(struct proto_request *r, size_t consumed)
{
	r->consumed = consumed;
	return PROTO_MORE;
}

static inline enum proto_verdict proto_requested(
	struct proto_request *r, enum proto_op op, size_t consumed)
{
	r->op = (uint8_t)op;
	r->consumed = consumed;
	return PROTO_REQUEST;
}

#define PROTO_VERSION_TEXT "1.6.45-lcached-" LC_VERSION

// Makes r an answer without execution.
static inline void proto_refuse(struct proto_request *r, const char *text)
{
	r->op = PROTO_OP_REPLY;
	r->reply_text = r->noreply ? "" : text;
}

// A whole command line, cut into tokens, of which there is at least one. Fills r but for
// `consumed`.
void proto_classic_parse(
	const struct proto_parser *p, const struct proto_tokens *t, struct proto_request *r);
// noreply counts as the last word of a line, whatever else it stands for.
bool proto_line_noreply(const struct proto_tokens *t);
// A line that begins with none of clients' commands, or with spaces, so that it may have no token:
// flush_all, verbosity, what operators ask, or an error.
void proto_other_parse(const struct proto_tokens *t, struct proto_request *r);
// True when the line is a command for operators (watch aside), and r is filled.
bool proto_admin_parse(const struct proto_tokens *t, struct proto_request *r);
void proto_watch_parse(const struct proto_tokens *t, struct proto_request *r);
// True when the line is a meta command (two letters, m first), and r is filled.
bool proto_meta_parse(const struct proto_tokens *t, struct proto_request *r);

// The next packet of data[0..len), or the next line of who has not yet said who he is: as
// proto_parse. The first part of r is cleared.
enum proto_verdict proto_binary_parse(
	struct proto_parser *p, const char *data, size_t len, struct proto_request *r);
enum proto_verdict proto_auth_parse(const char *data, size_t len, struct proto_request *r);

// Replies of binary commands. Returns the end of what was written.
char *proto_compose_binary(const struct proto_request *r, const struct proto_result *res, char *p,
	struct proto_reply *out);
// Replies of meta commands. Returns the end of what was written.
char *proto_compose_meta(const struct proto_request *r, const struct proto_result *res, char *p,
	struct proto_reply *out);
// What errors have in common: the text of a status that is none of the command's own.
const char *proto_status_text(const struct proto_request *r, const struct proto_result *res);

static inline char *proto_put(char *p, const char *text, size_t len)
{
	memcpy(p, text, len);
	return p + len;
}

#define proto_put_text(p, literal) proto_put((p), (literal), sizeof(literal) - 1)

static inline char *proto_put_u64(char *p, uint64_t v)
{
	return p + base_u64_format(p, v);
}
