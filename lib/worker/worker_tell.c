// SPDX-License-Identifier: BSD-3-Clause
// A worker's lines for those who watch: a ring with one writer and any readers, who notice when
// they were overtaken.
//
//	word:  head of a record   its text           head of the next one
//	       +----------------+------------------+----
//	       | bytes | kind | | 8 bytes a word   |
//	       | number         |                  |
//	       +----------------+------------------+----

#include "worker/worker_admin.h"

#define TELL_WORDS (1u << 15) // 256 KiB

struct worker_tell {
	_Alignas(BASE_CACHE_LINE) uint64_t begun; // words up to which it has been written over
	uint64_t head;                            // words that are whole
	uint64_t number;                          // of the next record
	uint64_t word[TELL_WORDS];
};

static_assert(1 + WORKER_TELL_MAX / 8 < TELL_WORDS / 8, "some records");

struct worker_tell *worker_tell_open(void)
{
	struct worker_tell *t = aligned_alloc(BASE_CACHE_LINE, sizeof(*t));

	if (t != NULL)
		t->begun = t->head = t->number = 0; // its pages come when it is used
	return t;
}

void worker_tell_write(struct worker *w, unsigned kind, const char *text, unsigned len)
{
	struct worker_tell *t = worker_tell_own(w->group, w->id);
	uint64_t at = t->head, words = 1 + (len + 7) / 8;

	base_assert(len > 0 && len <= WORKER_TELL_MAX);
	__atomic_store_n(&t->begun, at + words, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	__atomic_store_n(&t->word[at++ % TELL_WORDS], len | (uint64_t)kind << 16 | t->number << 24,
		__ATOMIC_RELAXED);
	for (unsigned i = 0; i < len; i += 8) {
		uint64_t word = 0;

		memcpy(&word, text + i, base_min_u64(8, len - i));
		__atomic_store_n(&t->word[at++ % TELL_WORDS], word, __ATOMIC_RELAXED);
	}
	t->number++;
	__atomic_store_n(&t->head, at, __ATOMIC_RELEASE);
}

void worker_tell_place(struct worker_group *g, unsigned from, struct worker_tell_place *out)
{
	const struct worker_tell *t = worker_tell_own(g, from);

	*out = (struct worker_tell_place){
		.at = __atomic_load_n(&t->head, __ATOMIC_ACQUIRE),
	};
}

// Copies the record at p. 0: it has been written over meanwhile.
static unsigned record_read(const struct worker_tell *t, const struct worker_tell_place *p,
	char *text, uint64_t *record)
{
	uint64_t at = p->at;
	unsigned len;

	*record = __atomic_load_n(&t->word[at++ % TELL_WORDS], __ATOMIC_RELAXED);
	len = *record & UINT16_MAX;
	if (len == 0 || len > WORKER_TELL_MAX)
		return 0;
	for (unsigned i = 0; i < len; i += 8) {
		uint64_t word = __atomic_load_n(&t->word[at++ % TELL_WORDS], __ATOMIC_RELAXED);

		memcpy(text + i, &word, base_min_u64(8, len - i));
	}
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&t->begun, __ATOMIC_RELAXED) - p->at <= TELL_WORDS ? len : 0;
}

unsigned worker_tell_read(struct worker_group *g, unsigned from, struct worker_tell_place *p,
	char *text, unsigned *kind, uint64_t *missed)
{
	const struct worker_tell *t = worker_tell_own(g, from);
	uint64_t head = __atomic_load_n(&t->head, __ATOMIC_ACQUIRE), record;
	unsigned len;

	if (head == p->at)
		return 0;
	len = head - p->at <= TELL_WORDS ? record_read(t, p, text, &record) : 0;
	if (len == 0) {
		p->at = head; // where the next record will begin; its number says what was lost
		return 0;
	}
	if (p->numbered)
		*missed += (record >> 24) - p->number;
	p->numbered = true;
	p->number = (record >> 24) + 1;
	p->at += 1 + (len + 7) / 8;
	*kind = record >> 16 & 0xff;
	return len;
}
