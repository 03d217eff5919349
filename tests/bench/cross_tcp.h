// SPDX-License-Identifier: BSD-3-Clause
// TCP clients for bench_cross_shard's sources: they stand where a device's queue does, write whole
// segments, and take the answers back. Nothing is lost on this link, so they need no timers.
// Answers are acknowledged with the next question, parts of one when the buffers are polled.
#pragma once

#include <rte_mbuf.h>

#include "base/base.h"

#define CROSS_KEY_BYTES   32
#define CROSS_VALUE_BYTES 32
#define CROSS_CONNS       32
#define CROSS_PIPELINE    16
#define CROSS_LINE_KEYS   100
#define CROSS_TEXT_MAX    3400 // of the questions of a connection
#define CROSS_ANSWER_MAX  8192

enum cross_load { CROSS_NONE, CROSS_MG, CROSS_GET, CROSS_MULTIGET, CROSS_SET };

struct cross_conn {
	uint32_t snd_next, rcv_next, missing; // bytes: missing of the answer
	uint16_t sent;  // bytes of the questions; all of them: answers are due
	bool open, ack; // ack: to be sent
	char text[CROSS_TEXT_MAX];
};

struct cross_tcp {
	enum cross_load load;
	unsigned questions, question_bytes, answer_bytes, letters_at; // letters: in a question
	uint16_t text_bytes;
	unsigned id;
	struct rte_ether_addr server_mac;
	rte_be32_t server_ip, own_ip;
	rte_be16_t server_port;
	const uint32_t *keys; // numbers of those to ask for
	uint32_t key_count;
	struct base_rng rng;
	bool stop;                                     // nothing new is asked
	bool arp;                                      // the server wants to know our address
	unsigned connecting, idles, idle[CROSS_CONNS]; // idle: to be asked with next
	unsigned acks;                                 // connections with `ack`
	struct cross_conn *present;                    // its questions leave
	uint64_t answered, checked, rounds;
	struct cross_conn *check; // whose answer is compared
	uint32_t check_at;
	char want[CROSS_ANSWER_MAX];
	struct cross_conn conn[CROSS_CONNS];
};

// The addresses have been set.
void cross_tcp_open(struct cross_tcp *t, enum cross_load load);
// Fills up to n buffers, all of which are empty; returns how many.
uint16_t cross_tcp_rx(struct cross_tcp *t, struct rte_mbuf **m, uint16_t n);
// Looks at what the server sent. False: it is not for TCP clients.
bool cross_tcp_take(struct cross_tcp *t, const struct rte_mbuf *m);
// Connections that wait for answers, or for the handshake's end.
unsigned cross_tcp_busy(const struct cross_tcp *t);
// Whether cross_tcp_rx has something for at least one buffer.
bool cross_tcp_wants(const struct cross_tcp *t);

void cross_key_write(char to[CROSS_KEY_BYTES], uint32_t number);
void cross_value_write(char to[CROSS_VALUE_BYTES], uint32_t number);
uint64_t cross_letters(uint64_t number);
_Noreturn void cross_die(const char *what);
