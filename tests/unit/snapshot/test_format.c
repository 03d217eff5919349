// SPDX-License-Identifier: BSD-3-Clause
#include <fcntl.h>

#include "snapshot_test.h"

#define BLOCK 1024u

struct memory { // a source
	const char *at;
	size_t n, pos;
	size_t most; // bytes a call
};

static int64_t memory_read(void *arg, void *to, uint64_t n)
{
	struct memory *m = arg;
	uint64_t got = base_min_u64(base_min_u64(n, m->n - m->pos), m->most);

	memcpy(to, m->at + m->pos, got);
	m->pos += got;
	return (int64_t)got;
}

// Item i: what all of them look like.
static void item_make(unsigned i, struct snapshot_item *it, char key[64], char *value)
{
	static const uint32_t length[] = {0, 1, 7, 100, 900, 1024, 1025, 5000, 33, 2047};
	uint32_t n = length[i % BASE_ARRAY_LEN(length)];

	snprintf(key, 64, "key-%u-%.*s", i, (int)(i % 40),
		"........................................");
	for (uint32_t k = 0; k < n; k++)
		value[k] = (char)(i * 31 + k * 7);
	*it = (struct snapshot_item){
		.cas = 1000 + i,
		.deadline_s = i % 3 ? 0 : 2000000000 + i,
		.value_bytes = n,
		.client_flags = i % 4 ? 0 : 77 * i,
		.bits = (uint16_t)((i * 2) & SNAPSHOT_BITS),
		.key_len = (uint8_t)strlen(key),
		.key = key,
	};
}

// In blocks of 1 KiB.
static struct bytes file_make(unsigned items, uint32_t file)
{
	struct snapshot_info info = {
		.wall_s = 1700000000, .shards = 3, .file = file, .block_bytes = BLOCK};
	char folder[64], path[128], key[64], value[8192];
	struct snapshot_item it;
	struct snapshot_file f;
	struct bytes b;

	file_path(path, sizeof(path), folder_make(folder), "f");
	assert_int_equal(
		snapshot_file_open(&f, open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600), &info), 0);
	for (unsigned i = 0; i < items; i++) {
		uint32_t cut;

		item_make(i, &it, key, value);
		cut = it.value_bytes / 3; // as of an item of two pieces
		snapshot_file_item(&f, &it,
			(struct store_span[2]){{value, cut}, {value + cut, it.value_bytes - cut}});
	}
	snapshot_file_end(&f, 4321, 1700000009);
	snapshot_file_close(&f);
	assert_int_equal(f.error, 0);
	b = file_take(path);
	assert_int_equal(f.written, b.n);
	unlink(path);
	rmdir(folder);
	return b;
}

struct told { // of a read
	enum snapshot_got got;
	unsigned items;
	struct snapshot_fault fault;
	struct snapshot_info info;
};

// Reads all; items must be the first ones of item_make, in order.
static struct told file_read(const char *at, size_t n, size_t most)
{
	struct memory m = {at, n, 0, most};
	struct snapshot_reader *r;
	struct snapshot_item it, want;
	char key[64], value[8192];
	struct told t = {0};

	assert_int_equal(snapshot_reader_open(&r, &(struct snapshot_source){memory_read, &m}), 0);
	while ((t.got = snapshot_reader_next(r, &it)) == SNAPSHOT_GOT_ITEM) {
		uint32_t done = 0, bytes;
		const char *piece;
		int more;

		item_make(t.items, &want, key, value);
		assert_int_equal(it.key_len, want.key_len);
		assert_memory_equal(it.key, want.key, want.key_len);
		assert_int_equal(it.cas, want.cas);
		assert_int_equal(it.deadline_s, want.deadline_s);
		assert_int_equal(it.client_flags, want.client_flags);
		assert_int_equal(it.bits, want.bits);
		assert_int_equal(it.value_bytes, want.value_bytes);
		while ((more = snapshot_reader_value(r, &piece, &bytes)) > 0) {
			assert_true(done + bytes <= want.value_bytes);
			assert_memory_equal(piece, value + done, bytes);
			done += bytes;
		}
		if (more == 0)
			assert_int_equal(done, want.value_bytes);
		t.items++;
	}
	t.info = *snapshot_reader_info(r);
	if (t.got == SNAPSHOT_GOT_FAULT)
		t.fault = *snapshot_reader_fault(r);
	else
		assert_null(snapshot_reader_fault(r));
	snapshot_reader_close(r);
	return t;
}

static void test_what_was_written_is_read(void **state)
{
	static const unsigned counts[] = {0, 1, 2, 10, 100, 333};

	for (unsigned i = 0; i < BASE_ARRAY_LEN(counts); i++) {
		struct bytes b = file_make(counts[i], 7);
		struct told t = file_read(b.at, b.n, i % 2 ? 100 : SIZE_MAX);

		assert_int_equal(t.got, SNAPSHOT_GOT_END);
		assert_int_equal(t.items, counts[i]);
		assert_int_equal(t.info.items, counts[i]);
		assert_int_equal(t.info.shards, 3);
		assert_int_equal(t.info.wall_s, 1700000000);
		assert_int_equal(t.info.cas_next, 4321);
		free(b.at);
	}
}

static void test_values_may_be_passed_over(void **state)
{
	struct bytes b = file_make(100, 7);
	struct memory m = {b.at, b.n, 0, SIZE_MAX};
	struct snapshot_reader *r;
	struct snapshot_item it;
	unsigned n = 0;

	assert_int_equal(snapshot_reader_open(&r, &(struct snapshot_source){memory_read, &m}), 0);
	while (snapshot_reader_next(r, &it) == SNAPSHOT_GOT_ITEM)
		assert_int_equal(it.cas, 1000 + n++);
	assert_int_equal(n, 100);
	assert_null(snapshot_reader_fault(r));
	snapshot_reader_close(r);
	free(b.at);
}

static void test_no_bit_can_be_wrong_unseen(void **state)
{
	struct bytes b = file_make(40, 7);
	unsigned seed = 1;

	assert_true(b.n > 20 * BLOCK / 2);
	for (size_t at = 0; at < b.n; at++) {
		char was = b.at[at];
		struct told t;

		b.at[at] = (char)(was ^ 1 << (seed++ % 8));
		t = file_read(b.at, b.n, SIZE_MAX);
		assert_int_equal(t.got, SNAPSHOT_GOT_FAULT);
		assert_true(t.fault.byte <= at); // the part that it is in
		assert_true(at - t.fault.byte < SNAPSHOT_BLOCK_HEAD + BLOCK);
		assert_non_null(t.fault.what);
		b.at[at] = was;
	}
	free(b.at);
}

static void test_a_torn_file_is_refused_wherever_it_ends(void **state)
{
	struct bytes b = file_make(40, 7);

	for (size_t n = 0; n < b.n; n++) {
		struct told t = file_read(b.at, n, SIZE_MAX);

		assert_int_equal(t.got, SNAPSHOT_GOT_FAULT);
		assert_int_equal(t.fault.byte, n);
		assert_string_equal(t.fault.what, "the file ends here: it is torn");
	}
	free(b.at);
}

static void test_something_behind_the_end_is_refused(void **state)
{
	struct bytes b = file_make(3, 7);
	char *longer = calloc(1, b.n + 1);

	memcpy(longer, b.at, b.n);
	assert_int_equal(file_read(longer, b.n + 1, SIZE_MAX).got, SNAPSHOT_GOT_FAULT);
	free(longer);
	free(b.at);
}

static size_t block_end(const struct bytes *b, size_t at)
{
	struct snapshot_block head;

	assert_null(snapshot_block_get(b->at + at, &head));
	return at + SNAPSHOT_BLOCK_HEAD + head.bytes;
}

static void test_a_block_that_is_missing_twice_or_another_files_is_refused(void **state)
{
	struct bytes b = file_make(40, 7), c = file_make(40, 8);
	size_t first = SNAPSHOT_HEADER, second = block_end(&b, first);
	size_t third = block_end(&b, second);
	char *made = malloc(b.n + BLOCK * 2);
	struct told t;

	memcpy(made, b.at, first);
	memcpy(made + first, b.at + second, b.n - second);
	t = file_read(made, b.n - (second - first), SIZE_MAX);
	assert_int_equal(t.got, SNAPSHOT_GOT_FAULT);
	assert_string_equal(t.fault.what, "it is not the next one");
	assert_int_equal(t.fault.block, 0);

	memcpy(made, b.at, second);
	memcpy(made + second, b.at + first, b.n - first);
	t = file_read(made, b.n + (second - first), SIZE_MAX);
	assert_int_equal(t.got, SNAPSHOT_GOT_FAULT);
	assert_string_equal(t.fault.what, "it is not the next one");
	assert_int_equal(t.fault.byte, second);

	memcpy(made, b.at, b.n);
	memcpy(made + second, c.at + second, third - second);
	t = file_read(made, b.n, SIZE_MAX);
	assert_int_equal(t.got, SNAPSHOT_GOT_FAULT);
	assert_string_equal(t.fault.what, "it is another file's");
	assert_int_equal(t.fault.block, 1);
	free(made);
	free(b.at);
	free(c.at);
}

// Sums that are right of contents that are not: what a broken writer could leave.
static void test_contents_are_looked_at_even_where_the_sum_is_right(void **state)
{
	struct bytes b = file_make(5, 7);
	char *payload = b.at + SNAPSHOT_HEADER + SNAPSHOT_BLOCK_HEAD;
	struct snapshot_block head;
	unsigned refused = 0;

	assert_null(snapshot_block_get(b.at + SNAPSHOT_HEADER, &head));
	for (unsigned i = 0; i < head.bytes; i++) {
		for (unsigned v = 0; v < 256; v += 51) {
			char was = payload[i];
			struct memory m = {b.at, b.n, 0, SIZE_MAX};
			struct snapshot_reader *r;
			struct snapshot_item it;
			enum snapshot_got got;

			payload[i] = (char)v;
			snapshot_block_put(b.at + SNAPSHOT_HEADER, &head);
			assert_int_equal(snapshot_reader_open(
						 &r, &(struct snapshot_source){memory_read, &m}),
				0);
			while ((got = snapshot_reader_next(r, &it)) == SNAPSHOT_GOT_ITEM)
				;
			refused += got == SNAPSHOT_GOT_FAULT;
			snapshot_reader_close(r);
			payload[i] = was;
		}
	}
	assert_true(refused > 100);
	free(b.at);
}

static void test_a_fault_names_its_place(void **state)
{
	struct snapshot_fault f = {.byte = 4457056, .block = 17, .what = "its sum is wrong"};
	char line[160];

	snapshot_fault_format(&f, line, sizeof(line));
	assert_string_equal(line, "block 17 at byte 4457056: its sum is wrong");
	f.block = UINT64_MAX;
	snapshot_fault_format(&f, line, sizeof(line));
	assert_string_equal(line, "at byte 4457056: its sum is wrong");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_written_is_read),
		cmocka_unit_test(test_values_may_be_passed_over),
		cmocka_unit_test(test_no_bit_can_be_wrong_unseen),
		cmocka_unit_test(test_a_torn_file_is_refused_wherever_it_ends),
		cmocka_unit_test(test_something_behind_the_end_is_refused),
		cmocka_unit_test(test_a_block_that_is_missing_twice_or_another_files_is_refused),
		cmocka_unit_test(test_contents_are_looked_at_even_where_the_sum_is_right),
		cmocka_unit_test(test_a_fault_names_its_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
