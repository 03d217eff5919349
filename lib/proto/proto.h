// SPDX-License-Identifier: BSD-3-Clause
// proto: bytes to requests and results to bytes, for memcached's classic text and meta commands,
// its binary protocol and its UDP frame. Pure and incremental: allocates nothing, keeps no pointer
// past the call.
//
// Owner thread: the caller; one struct proto_parser a connection (or one for a datagram).
//
//	struct proto_parser p;
//	struct proto_request r;
//	proto_parser_init(&p, item_bytes_max);
//	while (len > 0 && proto_parse(&p, data, len, &r) == PROTO_REQUEST) {
//		... r ...
//		data += r.consumed, len -= r.consumed;
//	}
//
// A retrieval with n keys (get, gets, gat, gats) comes out as n requests and one PROTO_OP_END, so a
// line of any length needs no buffer. A storage command comes out when its command line is
// complete; the caller then receives r.value_bytes and proto_value_end(&r) bytes behind them by
// itself, and checks those with proto_data_end_valid().
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROTO_KEY_MAX    250
#define PROTO_LINE_MAX   2048 // a longer line closes, but for get, gets, gat and gats
#define PROTO_OPAQUE_MAX 32   // with its O
#define PROTO_FLAGS_MAX  20   // tokens of a meta command, its name and key among them
#define PROTO_HEAD_MAX   768  // bytes that proto_compose may write before the value
#define PROTO_TAIL_MAX   8    // and after it

enum proto_op {
	PROTO_OP_GET, // get, and its relatives by `with_cas` and `touch`: one key each
	PROTO_OP_END, // the end of a classic retrieval line: "END"
	PROTO_OP_SET, // set add replace append prepend cas, and ms: see `mode`
	PROTO_OP_DELETE,
	PROTO_OP_ARITH, // incr, decr, ma
	PROTO_OP_TOUCH,
	PROTO_OP_META_GET,   // mg
	PROTO_OP_META_NOOP,  // mn
	PROTO_OP_META_DEBUG, // me
	PROTO_OP_FLUSH_ALL,
	PROTO_OP_STATS, // `args` holds what followed "stats"
	PROTO_OP_VERSION,
	PROTO_OP_VERBOSITY,
	PROTO_OP_QUIT,
	PROTO_OP_REPLY, // nothing to execute: send `reply_text` (an error, or a constant answer)
	PROTO_OP_CLOSE, // nothing to execute: close the connection, after `reply_text` if any
	PROTO_OP_AUTH,  // `key` is a user, `args` a password (NULL: none that could be right)
	PROTO_OP_ADMIN, // of operators: `mode` is an enum proto_admin, `delta` its number
};

enum proto_admin {
	PROTO_ADMIN_METADUMP, // lru_crawler metadump; enum proto_class
	PROTO_ADMIN_MGDUMP,
	PROTO_ADMIN_MEMLIMIT, // MiB, within memcached's bounds
	PROTO_ADMIN_SHUTDOWN, // 0: of a mode that there is not
	PROTO_ADMIN_WATCH,    // PROTO_WATCH_ bits
	PROTO_ADMIN_CLOCK,    // seconds, of an int64_t, that the clock is to go on
};

#define PROTO_CLOCK_MAX_S     1000000000 // either way
#define PROTO_MEMLIMIT_MIN_MB 8
#define PROTO_MEMLIMIT_MAX_MB 1000000000

enum proto_class {
	PROTO_CLASS_EMPTY, // none of them has items
	PROTO_CLASS_ITEMS,
	PROTO_CLASS_BAD,
};

// What a watcher is told. Raw commands and system events exist in memcached, but nothing is ever
// told of the former, nor here of the latter.
#define PROTO_WATCH_FETCHERS   0x01u
#define PROTO_WATCH_MUTATIONS  0x02u
#define PROTO_WATCH_EVICTIONS  0x04u
#define PROTO_WATCH_CONNEVENTS 0x08u
#define PROTO_WATCH_DELETIONS  0x10u
#define PROTO_WATCH_NOTHING    0x20u

enum proto_mode { // of PROTO_OP_SET
	PROTO_MODE_SET,
	PROTO_MODE_ADD,
	PROTO_MODE_REPLACE,
	PROTO_MODE_APPEND,
	PROTO_MODE_PREPEND,
	PROTO_MODE_CAS,
};

// Meta flags present in a request, a bit each (letters as in memcached's protocol document).
// PROTO_FLAG('k') etc.: a..z are bits 0..25, A..Z bits 26..51.
#define PROTO_FLAG(letter) (UINT64_C(1) << ((letter) >= 'a' ? (letter) - 'a' : (letter) - 'A' + 26))
// Among these flags: a binary request, which has `opcode` and four bytes of `opaque`. Of the
// letters it uses C (compare a CAS number) and N (incr and decr make the item).
#define PROTO_BINARY (UINT64_C(1) << 63)

// The parser writes the first part of each request whole, the second part of meta and binary
// commands alone, and the rest where a flag says so: what no flag or op announces is undefined.
struct proto_request {
	// -- set in every request (0 where it does not apply)
	uint8_t op;      // enum proto_op
	uint8_t mode;    // enum proto_mode; binary PROTO_OP_REPLY, _CLOSE: enum proto_binary_status
	uint8_t key_len; // 1..250
	bool meta;       // a meta command: reply in meta's form
	bool noreply;    // classic noreply
	bool quiet;      // meta q; a quiet binary command
	bool with_cas;   // gets, gats
	bool touch;      // gat, gats, touch; meta T
	bool decr;       // decr, ma with mode D
	bool key_base64; // meta b: `key` is decoded, replies encode it again
	bool first_key;  // first key of a retrieval line
	bool rollback;   // the line failed after some of its keys: drop its replies not yet sent
	uint16_t args_len;
	uint8_t opaque_len;
	uint8_t return_count; // meta: number of letters in `returns`
	uint32_t client_flags;
	uint32_t value_bytes; // of a PROTO_OP_SET, without the final \r\n
	uint64_t flags;       // meta: PROTO_FLAG bits of what was given; PROTO_BINARY
	const char *key;      // into the input, or into key_decoded; valid until the input moves
	int64_t exptime;      // classic exptime, meta T; as sent (seconds, <= 30 days relative)
	uint64_t cas_compare; // cas, meta C
	uint64_t delta;       // incr, decr, meta D (1 when not given); verbosity; ADMIN
	// for the caller rather than the executor:
	size_t consumed;        // bytes of the input that this request took
	const char *reply_text; // PROTO_OP_REPLY: constant, with its \r\n, or "" when noreply hides
				// it; PROTO_OP_CLOSE: the same, or NULL. Binary: the body
	uint64_t
		swallow_bytes; // bytes of the stream to drop after this (the body of a refused set)
	const char *args;      // PROTO_OP_STATS: what followed, without spaces around it; AUTH

	// -- set in every meta and binary request
	int64_t vivify_ttl;  // N
	int64_t recache_ttl; // R
	uint64_t cas_set;    // E
	uint64_t initial;    // J
	// Letters to return, in the order asked for; only those that the command can return. N, R
	// and T stand among them, because their place counts ("t T60" shows the old time, "T60 t"
	// the new one); they print nothing.
	char returns[PROTO_FLAGS_MAX]; // return_count of them
	char opaque[PROTO_OPAQUE_MAX]; // opaque_len of them, without the O; binary: four
	uint8_t opcode;                // binary
	char key_decoded[PROTO_KEY_MAX + 6];
};

// 24 bytes a connection. Nothing in it points anywhere: it may be copied and put back.
struct proto_parser {
	uint8_t state; // enum proto_state; 0: at the start of a command
	bool with_cas, touch, first_key;
	bool bad_exptime; // gat with an exptime that is none: an error once a key is seen
	uint8_t sasl;     // enum proto_sasl
	int64_t exptime;
	uint64_t item_bytes_max;
};

enum proto_verdict {
	PROTO_MORE,    // incomplete: call again with these bytes and more behind them
	PROTO_REQUEST, // *r is a request; advance by r->consumed
};

// item_bytes_max: longer values of add, replace, append, prepend and cas are refused here
// (SERVER_ERROR object too large for cache). Those of set and ms come out as requests for all that,
// because their refusal also deletes the old value: the executor refuses them, and the caller then
// drops value_bytes + 2 bytes.
//
// The first byte decides whether the input is text or binary.
void proto_parser_init(struct proto_parser *p, uint64_t item_bytes_max);

enum proto_language { PROTO_AUTO, PROTO_ASCII, PROTO_BINARY_ONLY };

// Right behind proto_parser_init. `locked`: nothing but PROTO_OP_AUTH (and what any binary client
// may ask) comes out before proto_parser_unlock; the language may not be PROTO_AUTO then.
void proto_parser_restrict(struct proto_parser *p, enum proto_language language, bool locked);
// The user of a PROTO_OP_AUTH is known.
void proto_parser_unlock(struct proto_parser *p);

// Takes one request from the front of data[0..len). `len` > 0. With PROTO_MORE nothing was consumed
// but what r->consumed says (keys already handed out are never asked for again). The caller offers
// PROTO_LINE_MAX contiguous bytes as soon as it has them; a line that does not end within them is
// answered with PROTO_OP_CLOSE. How the input is cut into calls never changes what comes out.
enum proto_verdict proto_parse(
	struct proto_parser *p, const char *data, size_t len, struct proto_request *r);

// ---- plain lines -------------------------------------------------------------------------------
#define PROTO_PLAIN_RETURNS 3 // c, f, s

// A key of a `get`, with the end of the line where it is the last; an `mg` that asks for the value
// and for figures that stand beside it; or a `set` with its whole value.
struct proto_plain {
	const char *key; // these point into the input
	const char *value;
	uint32_t consumed; // bytes of the input, a set's value and its \r\n among them
	uint32_t value_bytes, client_flags, exptime;
	uint8_t op; // PROTO_OP_GET, PROTO_OP_META_GET or PROTO_OP_SET
	uint8_t key_len;
	uint8_t return_count;
	char returns[PROTO_PLAIN_RETURNS]; // META_GET: return_count letters of what is shown
	bool first;                        // first key of the line
	bool end; // the line ends behind it (GET: and END is to be answered)
};

// Takes the front of data[0..len) when it is such a thing, spelt plainly (one space, short numbers,
// no option). False: it may be anything; nothing was taken and nothing changed: proto_parse is to
// be asked. proto_parse would have made the same of it: a GET, and an END where `end` says so; a
// META_GET; or a SET.
bool proto_plain_parse(
	struct proto_parser *p, const char *data, size_t len, struct proto_plain *out);
// The parser's state behind a key; `end`: and behind its line.
void proto_plain_after(struct proto_parser *p, bool end);
// The same request in proto_parse's words; `consumed` without the line's end, or the value.
void proto_plain_request(const struct proto_plain *l, struct proto_request *r);

static inline bool proto_is_binary(const struct proto_request *r)
{
	return (r->flags & PROTO_BINARY) != 0;
}

// Bytes behind the value of a PROTO_OP_SET: its \r\n, in text.
static inline uint32_t proto_value_end(const struct proto_request *r)
{
	return proto_is_binary(r) ? 0 : 2;
}

// ---- keys in listings --------------------------------------------------------------------------
// Returns the length written: 4 bytes for each 3 begun.
size_t proto_base64_encode(const char *in, size_t in_len, char *out);
// As in a URI: what is no letter, digit or one of -._~ takes three bytes. Returns the length
// written, at most 3 * in_len.
size_t proto_uri_encode(const char *in, size_t in_len, char *out);

// True when the two bytes behind a value are \r\n.
static inline bool proto_data_end_valid(const char end[2])
{
	return end[0] == '\r' && end[1] == '\n';
}

// ---- results to bytes --------------------------------------------------------------------------
enum proto_status {
	PROTO_OK,          // STORED, DELETED, TOUCHED, OK, VALUE, number; HD, VA
	PROTO_MISS,        // END, NOT_FOUND; EN, NF
	PROTO_NOT_STORED,  // NOT_STORED; NS
	PROTO_EXISTS,      // EXISTS; EX
	PROTO_NON_NUMERIC, // CLIENT_ERROR cannot increment or decrement non-numeric value
	PROTO_NO_MEMORY,   // SERVER_ERROR out of memory storing object
	PROTO_TOO_LARGE,   // SERVER_ERROR object too large for cache
	PROTO_BAD_CHUNK,   // CLIENT_ERROR bad data chunk
	PROTO_DENIED,      // CLIENT_ERROR authentication failure
};

enum proto_binary_status { // as on the wire; below 0x100
	PROTO_BINARY_OK = 0x00,
	PROTO_BINARY_NOT_FOUND = 0x01,
	PROTO_BINARY_EXISTS = 0x02,
	PROTO_BINARY_TOO_LARGE = 0x03,
	PROTO_BINARY_INVALID = 0x04,
	PROTO_BINARY_NOT_STORED = 0x05,
	PROTO_BINARY_NON_NUMERIC = 0x06,
	PROTO_BINARY_AUTH_ERROR = 0x20,
	PROTO_BINARY_AUTH_CONTINUE = 0x21,
	PROTO_BINARY_UNKNOWN = 0x81,
	PROTO_BINARY_NO_MEMORY = 0x82,
};

// What an executor found or did. Values are views: valid while the item is.
struct proto_result {
	uint8_t status; // enum proto_status
	bool has_value; // value_bytes of value follow the head
	bool won;       // meta W
	bool stale;     // meta X
	bool recaching; // meta Z: somebody else has won already
	bool has_number;
	bool fetched;          // meta h: hit before
	bool key_base64;       // meta k: show the key encoded, with b behind it
	uint32_t client_flags; // f
	uint32_t value_bytes;  // s
	int64_t ttl_s;         // t: seconds left, -1 = never expires
	uint64_t idle_s;       // l: seconds since the last access
	uint64_t cas;          // c
	uint64_t number;       // result of incr, decr
};

struct proto_reply {
	uint16_t head_len; // bytes written to head; 0 and no value: nothing is sent
	uint8_t tail_len;  // bytes written to tail
	bool value;        // the value stands between head and tail
	char tail[PROTO_TAIL_MAX];
};

// Writes the reply to (r, res): at most PROTO_HEAD_MAX bytes into head. Suppressed replies
// (noreply, quiet, a miss of a classic get) give head_len 0, and `value` false whatever res says.
// For every op but STATS and ADMIN; res may be NULL for those that nothing executes (END,
// META_NOOP, FLUSH_ALL, VERSION, VERBOSITY, QUIT, REPLY, CLOSE).
void proto_compose(const struct proto_request *r, const struct proto_result *res, char *head,
	struct proto_reply *out);

// The answer to a binary stat, made of the text that answers `stats`: a packet for each line, and
// an empty one; or an error where the text is one. Returns its length, which is at most
// PROTO_STATS_BINARY_MAX(len); `out` is apart from `text`.
#define PROTO_STATS_LINE_MIN 8 // bytes of the shortest line
#define PROTO_STATS_BINARY_MAX(len) \
	((len) + ((len) / PROTO_STATS_LINE_MIN + 2) * (size_t)PROTO_BINARY_HEADER)
#define PROTO_BINARY_HEADER 24
size_t proto_stats_binary(const struct proto_request *r, const char *text, size_t len, char *out);
// The head of a packet of such an answer, up to the value, which has value_bytes. Returns its
// length: PROTO_BINARY_HEADER and the name's.
size_t proto_stats_binary_head(
	const struct proto_request *r, const char *name, uint32_t value_bytes, char *out);

// ---- UDP frame (doc/protocol.txt, "UDP protocol") ----------------------------------------------
#define PROTO_UDP_HEADER  8
#define PROTO_UDP_PAYLOAD 1392 // most payload bytes in a reply datagram, behind the header

struct proto_udp {
	uint16_t request_id;
};

// False: to be dropped in silence (8 bytes or fewer, or total other than 1).
bool proto_udp_parse(const char *data, size_t len, struct proto_udp *out);
void proto_udp_write(
	char header[PROTO_UDP_HEADER], uint16_t request_id, uint16_t sequence, uint16_t total);
