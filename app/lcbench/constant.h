// SPDX-License-Identifier: BSD-3-Clause
// Answers without a store (--answer): every key is there and has the same value, every set is
// stored. The least that a server of the protocol does; what remains is the link, the stack, and
// lcbench itself. Text requests; meta's `mg KEY v f` and `ms`; binary get, getkq, noop and set.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct constant {
	uint8_t commands;     // enum bench_commands
	uint32_t value_bytes; // of every value, and of what sets bring
	// text: what follows the key, " 0 SIZE", the value and its "\r\n"; meta: the whole answer;
	// binary: the value
	char *tail;
	size_t tail_len;
};

struct constant_conn { // zeroed: a connection from which nothing has come
	char *part;    // the beginning of a line or a binary head whose end has not come
	size_t part_len;
	size_t skip; // bytes of a set's value that have not come
};

// Writes a piece of the answer.
typedef void (*constant_put)(void *arg, const char *bytes, size_t len);

// `commands`: enum bench_commands. 0 or -ENOMEM.
int constant_open(struct constant *k, uint8_t commands, uint32_t value_bytes);
void constant_close(struct constant *k);
// Bytes of requests, in any pieces. False: no request that is known here (or no memory).
bool constant_feed(const struct constant *k, struct constant_conn *c, const char *data, size_t len,
	constant_put put, void *arg);
void constant_conn_close(struct constant_conn *c);
