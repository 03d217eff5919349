// SPDX-License-Identifier: BSD-3-Clause
// Mistyped names: which one was meant.
#include "base/base.h"

#define NAME_MAX_BYTES 40

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned least = a < b ? a : b;

	return least < c ? least : c;
}

// Letters to change, add, leave out or swap with their neighbour to make one of the other: the
// matrix of all beginnings, three rows of it at a time.
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned rows[3][NAME_MAX_BYTES + 1];
	unsigned *before = rows[0], *above = rows[1], *row = rows[2], *spare;

	base_assert(a_len <= NAME_MAX_BYTES && b_len <= NAME_MAX_BYTES);
	for (unsigned j = 0; j <= b_len; j++)
		before[j] = above[j] = j;
	for (unsigned i = 1; i <= a_len; i++) {
		row[0] = i;
		for (unsigned j = 1; j <= b_len; j++) {
			unsigned changed = above[j - 1] + (a[i - 1] != b[j - 1]);

			row[j] = min3(changed, above[j] + 1, row[j - 1] + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
				before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		spare = before;
		before = above;
		above = row;
		row = spare;
	}
	return above[b_len];
}

const char *base_name_nearest(const char *word, const char *(*name)(unsigned i))
{
	size_t word_len = strlen(word);
	unsigned best = (unsigned)word_len / 3 + 1;
	const char *found = NULL, *n;

	if (word_len < 2 || word_len > NAME_MAX_BYTES)
		return NULL;
	for (unsigned i = 0; (n = name(i)) != NULL; i++) {
		size_t len = strlen(n);
		unsigned d = len > NAME_MAX_BYTES ? best : distance(word, word_len, n, len);

		if (d < best) {
			best = d;
			found = n;
		}
	}
	return found;
}
