// SPDX-License-Identifier: BSD-3-Clause
// Packets of memcached's binary protocol, as far as gets and sets have them: a header, extras, a
// key, a value. Numbers are big-endian on the wire, and the host's in struct binary_header.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BINARY_HEADER     24
#define BINARY_REQUEST    0x80 // the first byte
#define BINARY_REPLY      0x81
#define BINARY_SET_EXTRAS 8 // flags, seconds to live
#define BINARY_GET_EXTRAS 4 // of an answer: flags

enum binary_opcode {
	BINARY_GET = 0x00,
	BINARY_SET = 0x01,
	BINARY_NOOP = 0x0a,
	BINARY_GETKQ = 0x0d,
};

enum binary_status { BINARY_OK, BINARY_NOT_FOUND };

struct binary_header {
	uint8_t magic, opcode, extras_len;
	uint16_t key_len, status; // a request's is 0
	uint32_t body_len;        // extras, key, value
	uint32_t opaque;
};

// Writes BINARY_HEADER bytes; returns the place behind them.
char *binary_header_put(char *to, const struct binary_header *h);
char *binary_u32_put(char *to, uint32_t v);
// Of BINARY_HEADER bytes, or 4.
struct binary_header binary_header_read(const char *from);
uint32_t binary_u32_read(const char *from);
// Bytes of a packet before its value, or of one without success, whose body is a text, all of them.
// At most 64 KiB and some; or SIZE_MAX: its lengths do not go together.
size_t binary_head_bytes(const struct binary_header *h);
// How many bytes of data (len > 0) belong to the packet's head of which `have` has come; `whole`:
// it ends with them. 0: no such packet.
size_t binary_head_take(uint8_t magic, const char *have, size_t have_len, const char *data,
	size_t len, bool *whole);
