// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/file.h>

#include "../store/store_test.h"
#include "snapshot_test.h"

#define WALL 1700000000u

static unsigned owner_of(uint64_t hash, unsigned shards)
{
	return (unsigned)(((hash >> 48) * shards) >> 16);
}

struct server { // shards without workers
	unsigned count;
	struct shard t[4];
};

static void server_open(struct server *sv, unsigned shards, uint64_t limit_bytes, uint8_t policy)
{
	sv->count = shards;
	for (unsigned i = 0; i < shards; i++)
		shard_open(&sv->t[i],
			(struct store_options){.limit_bytes = limit_bytes,
				.policy = (enum store_policy)policy,
				.item_bytes_max = 8 << 20,
				.cas_first = i + 1,
				.cas_step = shards});
}

static void server_close(struct server *sv)
{
	for (unsigned i = 0; i < sv->count; i++)
		shard_close(&sv->t[i]);
}

static struct shard *server_shard(struct server *sv, const struct store_key *k)
{
	return &sv->t[owner_of(k->hash, sv->count)];
}

static uint32_t length_of(uint64_t i)
{
	static const uint32_t length[] = {0, 3, 20, 200, 400, 1000, 1024, 1025, 3000, 20000};

	return i % 4999 == 0 ? 3000000 : length[i % BASE_ARRAY_LEN(length)];
}

static char *value_make(uint64_t i, uint64_t round)
{
	uint32_t n = length_of(i);
	char *v = malloc(n + 1);

	assert_non_null(v);
	for (uint32_t k = 0; k < n; k++)
		v[k] = (char)(i + round * 3 + k * 7 + (k >> 8));
	return v;
}

// Its CAS number.
static uint64_t server_set(struct server *sv, uint64_t i, uint64_t round)
{
	char buf[32], *value = value_make(i, round);
	struct store_key k = shard_key_number(buf, i);
	struct shard *t = server_shard(sv, &k);
	struct store_item *it;

	assert_int_equal(store_reserve(t->s, &k, i % 5 ? 0 : (uint32_t)i + 1,
				 i % 7 ? 0 : WALL + 1000 + (uint32_t)i, length_of(i), &it),
		STORE_OK);
	store_value_write(it, 0, value, length_of(i));
	it->bits |= (uint16_t)((i * 2) & SNAPSHOT_BITS);
	store_commit(t->s, it, k.hash, 0);
	free(value);
	return it->cas;
}

static bool server_has(struct server *sv, uint64_t i, uint64_t round, uint64_t cas)
{
	char buf[32], *value;
	struct store_key k = shard_key_number(buf, i);
	struct store_item *it = store_find(server_shard(sv, &k)->s, k.key, k.len, k.hash);

	if (it == NULL)
		return false;
	value = value_make(i, round);
	assert_int_equal(it->value_bytes, length_of(i));
	assert_value_bytes(it, value);
	assert_int_equal(store_item_client_flags(it), i % 5 ? 0 : i + 1);
	assert_int_equal(it->deadline_s, i % 7 ? 0 : WALL + 1000 + i);
	assert_int_equal(it->bits & SNAPSHOT_BITS, (i * 2) & SNAPSHOT_BITS);
	assert_int_equal(it->cas, cas);
	free(value);
	return true;
}

static struct snapshot *begin(struct server *sv, const char *folder, uint32_t ring_bytes)
{
	struct snapshot *sn;
	char err[512];

	assert_int_equal(snapshot_open(&sn,
				 &(struct snapshot_options){.dir = folder,
					 .name = "s.lc",
					 .workers = sv->count,
					 .wall_s = WALL,
					 .ring_bytes = ring_bytes},
				 err, sizeof(err)),
		0);
	return sn;
}

// To the end; `between` runs between the slices.
static struct snapshot_state finish(struct server *sv, struct snapshot *sn,
	void (*between)(struct server *sv, void *arg), void *arg)
{
	struct snapshot_state st;
	unsigned turn = 0;

	while (!snapshot_finished(sn)) {
		for (unsigned i = 0; i < sv->count; i++)
			snapshot_tap_slice(snapshot_tap(sn, i), sv->t[i].s, 200);
		if (between)
			between(sv, arg);
		if (turn++ % 3 == 0)
			snapshot_turn(sn, WALL + 1);
	}
	for (unsigned i = 0; i < sv->count; i++) {
		snapshot_tap_leave(snapshot_tap(sn, i), sv->t[i].s);
		assert_int_equal(store_counters_get(sv->t[i].s)->pinned_bytes, 0);
	}
	snapshot_state_get(sn, &st);
	snapshot_close(sn);
	return st;
}

static void *feed_run(void *feed)
{
	while (snapshot_feed_turn(feed))
		;
	return NULL;
}

static enum snapshot_got restore(
	struct server *sv, const char *path, struct snapshot_loaded *sum, char *why, size_t len)
{
	enum snapshot_got got = SNAPSHOT_GOT_ITEM;

	*sum = (struct snapshot_loaded){0};
	for (unsigned i = 0; i < sv->count; i++) {
		struct snapshot_load_options opt = {.items = 12000,
			.store = sv->t[i].s,
			.shard = i,
			.shards = sv->count,
			.owner = owner_of};
		struct snapshot_loaded n;
		struct snapshot_load *l;
		pthread_t thread;

		assert_int_equal(snapshot_feed_open(&opt.feed, path, sv->count, why, len), 0);
		for (unsigned other = 0; other < sv->count; other++) {
			if (other != i)
				snapshot_feed_leave(opt.feed, other);
		}
		assert_int_equal(pthread_create(&thread, NULL, feed_run, opt.feed), 0);
		assert_int_equal(snapshot_load_open(&l, &opt), 0);
		while ((got = snapshot_load_step(l, 100000)) == SNAPSHOT_GOT_ITEM)
			store_turn(sv->t[i].s, sv->t[i].now);
		if (got == SNAPSHOT_GOT_FAULT)
			snapshot_load_fault(l, why, len);
		snapshot_load_get(l, &n);
		sum->items += n.items;
		sum->expired += n.expired;
		sum->left_out += n.left_out;
		snapshot_load_close(l);
		assert_int_equal(pthread_join(thread, NULL), 0);
		snapshot_feed_close(opt.feed);
		if (got == SNAPSHOT_GOT_FAULT)
			break;
	}
	return got;
}

static void folder_drop(const char *folder)
{
	char path[128];

	file_path(path, sizeof(path), folder, "s.lc");
	unlink(path);
	assert_int_equal(rmdir(folder), 0); // nothing else was left
}

static void test_all_comes_back_into_any_number_of_shards(void **state)
{
	const uint64_t count = 12000;
	char folder[64], path[128], why[256];
	uint64_t *cas = calloc(count, sizeof(*cas)), most = 0;
	struct snapshot_loaded n;
	struct snapshot_state st;
	struct server sv;

	file_path(path, sizeof(path), folder_make(folder), "s.lc");
	server_open(&sv, 3, 0, STORE_NOEVICTION);
	for (uint64_t i = 0; i < count; i++)
		cas[i] = server_set(&sv, i, 0);
	for (uint64_t i = 0; i < count; i++)
		most = cas[i] > most ? cas[i] : most;
	st = finish(&sv, begin(&sv, folder, SNAPSHOT_RING_MIN), NULL, NULL);
	assert_int_equal(st.error, 0);
	assert_int_equal(st.items, count);
	assert_in_range(st.extra_bytes, 3 * SNAPSHOT_RING_MIN, 16 << 20);
	server_close(&sv);
	for (unsigned shards = 1; shards <= 4; shards++) {
		server_open(&sv, shards, 0, STORE_NOEVICTION);
		assert_int_equal(restore(&sv, path, &n, why, sizeof(why)), SNAPSHOT_GOT_END);
		assert_int_equal(n.items, count);
		for (uint64_t i = 0; i < count; i++)
			assert_true(server_has(&sv, i, 0, cas[i]));
		for (unsigned k = 0; k < shards; k++)
			assert_true(store_cas_next(sv.t[k].s) > most);
		server_close(&sv);
	}
	free(cas);
	folder_drop(folder);
}

struct writes {
	struct base_rng rng;
	uint64_t count, round;
	uint64_t *cas;
	uint8_t *written; // since the snapshot began
};

static void write_some(struct server *sv, void *arg)
{
	struct writes *w = arg;

	for (unsigned k = 0; k < 4; k++) {
		uint64_t i = base_rng_below(&w->rng, w->count / 2); // the other half stays

		server_set(sv, i, ++w->round);
		w->written[i] = 1;
	}
	for (unsigned k = 0; k < 8; k++)
		server_set(sv, w->count + base_rng_below(&w->rng, 100000), 0); // grows
	for (unsigned k = 0; k < sv->count; k++)
		store_step(sv->t[k].s, 64);
}

static void test_under_writes_what_was_left_alone_is_whole(void **state)
{
	const uint64_t count = 12000;
	char folder[64], path[128], why[256];
	struct writes w = {.count = count};
	struct snapshot_loaded n;
	struct server sv;

	w.cas = calloc(count, sizeof(*w.cas));
	w.written = calloc(count, 1);
	base_rng_seed(&w.rng, 3);
	file_path(path, sizeof(path), folder_make(folder), "s.lc");
	server_open(&sv, 2, 0, STORE_NOEVICTION);
	for (uint64_t i = 0; i < count; i++)
		w.cas[i] = server_set(&sv, i, 0);
	assert_int_equal(
		finish(&sv, begin(&sv, folder, SNAPSHOT_RING_MIN), write_some, &w).error, 0);
	server_close(&sv);
	server_open(&sv, 4, 0, STORE_NOEVICTION);
	assert_int_equal(restore(&sv, path, &n, why, sizeof(why)), SNAPSHOT_GOT_END);
	for (uint64_t i = 0; i < count; i++)
		if (!w.written[i])
			assert_true(server_has(&sv, i, 0, w.cas[i]));
	server_close(&sv);
	free(w.cas);
	free(w.written);
	folder_drop(folder);
}

static void test_what_is_due_is_neither_written_nor_restored(void **state)
{
	char folder[64], path[128], why[256];
	struct snapshot_loaded n;
	struct snapshot_state st;
	struct server sv;

	file_path(path, sizeof(path), folder_make(folder), "s.lc");
	server_open(&sv, 1, 0, STORE_NOEVICTION);
	for (unsigned i = 0; i < 300; i++) {
		char key[16];

		snprintf(key, sizeof(key), "k%u", i);
		shard_set_for(&sv.t[0], key, "v", 1, WALL + 10 + 10 * (i % 3));
	}
	shard_sleep(&sv.t[0], 15);
	st = finish(&sv, begin(&sv, folder, 0), NULL, NULL);
	assert_int_equal(st.items, 200);
	server_close(&sv);
	server_open(&sv, 1, 0, STORE_NOEVICTION);
	shard_sleep(&sv.t[0], 25);
	assert_int_equal(restore(&sv, path, &n, why, sizeof(why)), SNAPSHOT_GOT_END);
	assert_int_equal(n.expired, 100);
	assert_int_equal(n.items, 100);
	server_close(&sv);
	folder_drop(folder);
}

// However many items there are, and however long: what a slice of so many units copies has a bound,
// and so has what it goes through when it copies nothing. With that, one that took milliseconds was
// not at work all the time.
static void test_a_slice_copies_no_more_than_its_units_are_good_for(void **state)
{
	static const unsigned units[] = {1, 8, 50, 200, 4096};
	const uint64_t unit_bytes = 280;                        // of a record, with its key
	const uint64_t step_bytes = 16 * (32 + 256 + 1024 + 8); // the step that was begun
	struct snapshot_tap *t;
	unsigned slices = 0;
	struct snapshot *sn;
	char folder[64];
	struct server sv;

	folder_make(folder);
	server_open(&sv, 1, 0, STORE_NOEVICTION);
	for (uint64_t i = 0; i < 30000; i++)
		server_set(&sv, i, 0);
	sn = begin(&sv, folder, 1 << 20);
	t = snapshot_tap(sn, 0);
	for (; !snapshot_finished(sn); slices++) {
		unsigned asked = units[slices % BASE_ARRAY_LEN(units)];
		uint64_t head = t->ring.head, pins = t->pins;
		unsigned left = snapshot_tap_slice(t, sv.t[0].s, asked);

		assert_true(left <= asked);
		assert_true((t->ring.head - head) * BASE_RING_WORD <=
			(asked - left) * unit_bytes + step_bytes);
		assert_true(t->pins <= pins + asked / 2 + 16);
		if (slices % 3 == 0)
			snapshot_turn(sn, WALL + 1);
	}
	assert_true(slices > 100);
	snapshot_tap_leave(t, sv.t[0].s);
	snapshot_close(sn);
	server_close(&sv);
	folder_drop(folder);
}

static void test_a_limit_holds_as_at_a_set(void **state)
{
	const uint64_t limit = 2 << 20;
	char folder[64], path[128], why[256];
	struct snapshot_loaded n;
	struct server sv;

	file_path(path, sizeof(path), folder_make(folder), "s.lc");
	server_open(&sv, 1, 0, STORE_NOEVICTION);
	for (uint64_t i = 1; i < 4000; i++)
		server_set(&sv, i, 0);
	assert_int_equal(finish(&sv, begin(&sv, folder, 0), NULL, NULL).error, 0);
	server_close(&sv);

	server_open(&sv, 1, limit, STORE_NOEVICTION);
	assert_int_equal(restore(&sv, path, &n, why, sizeof(why)), SNAPSHOT_GOT_END);
	assert_true(n.left_out > 0);
	assert_int_equal(n.items + n.left_out, 3999);
	assert_int_equal(store_counters_get(sv.t[0].s)->items, n.items);
	assert_true(shard_used(&sv.t[0]) <= limit);
	server_close(&sv);

	server_open(&sv, 1, limit, STORE_ALLKEYS_LRU);
	assert_int_equal(restore(&sv, path, &n, why, sizeof(why)), SNAPSHOT_GOT_END);
	assert_int_equal(n.left_out, 0);
	assert_int_equal(store_counters_get(sv.t[0].s)->evicted,
		3999 - store_counters_get(sv.t[0].s)->items);
	server_close(&sv);
	folder_drop(folder);
}

// As of a key that the walk met twice: what came first must not outlive what came last.
static void test_no_room_for_the_newer_leaves_no_older(void **state)
{
	char folder[64], path[128], why[256];
	char *longer = calloc(1, 1 << 20);
	struct snapshot_loaded n;
	struct server from, to;

	assert_non_null(longer);
	file_path(path, sizeof(path), folder_make(folder), "s.lc");
	server_open(&from, 1, 0, STORE_NOEVICTION);
	server_open(&to, 1, 512 << 10, STORE_NOEVICTION);
	shard_set_for(&from.t[0], "key", "older", 5, 0);
	assert_int_equal(finish(&from, begin(&from, folder, 0), NULL, NULL).error, 0);
	assert_int_equal(restore(&to, path, &n, why, sizeof(why)), SNAPSHOT_GOT_END);
	assert_int_equal(store_counters_get(to.t[0].s)->items, 1);
	shard_set_for(&from.t[0], "key", longer, 1 << 20, 0);
	assert_int_equal(finish(&from, begin(&from, folder, 0), NULL, NULL).error, 0);
	assert_int_equal(restore(&to, path, &n, why, sizeof(why)), SNAPSHOT_GOT_END);
	assert_int_equal(n.left_out, 1);
	assert_int_equal(store_counters_get(to.t[0].s)->items, 0);
	server_close(&from);
	server_close(&to);
	folder_drop(folder);
	free(longer);
}

static void flush_once(struct server *sv, void *arg)
{
	unsigned *turns = arg;

	if (++*turns == 3)
		store_flush(sv->t[1].s, 0);
}

static void test_a_flush_in_between_makes_it_fail(void **state)
{
	struct snapshot_state st;
	char folder[64];
	unsigned turns = 0;
	struct server sv;

	folder_make(folder);
	server_open(&sv, 2, 0, STORE_NOEVICTION);
	for (uint64_t i = 1; i < 4000; i++)
		server_set(&sv, i, 0);
	st = finish(&sv, begin(&sv, folder, 0), flush_once, &turns);
	assert_int_equal(st.error, -ESTALE);
	assert_string_equal(st.what, "a flush came in between");
	server_close(&sv);
	folder_drop(folder);
}

static void test_one_that_is_given_up_leaves_nothing_and_the_last_file_whole(void **state)
{
	char folder[64], path[128];
	struct snapshot_state st;
	struct snapshot *sn;
	struct bytes b;
	struct server sv;

	file_path(path, sizeof(path), folder_make(folder), "s.lc");
	file_put(path, "before", 6);
	server_open(&sv, 2, 0, STORE_NOEVICTION);
	for (uint64_t i = 1; i < 4000; i++)
		server_set(&sv, i, 0);
	sn = begin(&sv, folder, 0);
	snapshot_tap_slice(snapshot_tap(sn, 0), sv.t[0].s, 2000);
	snapshot_turn(sn, WALL);
	snapshot_cancel(sn);
	st = finish(&sv, sn, NULL, NULL);
	assert_int_equal(st.error, -ECANCELED);
	b = file_take(path);
	assert_int_equal(b.n, 6);
	free(b.at);
	server_close(&sv);
	folder_drop(folder);
}

static bool is_there(const char *folder, const char *name)
{
	char path[128];

	file_path(path, sizeof(path), folder, name);
	return access(path, F_OK) == 0;
}

static void test_what_a_killed_server_left_goes_and_what_is_written_stays(void **state)
{
	static const char *const name[] = {
		".s.lc.1.tmp", ".s.lc.2.tmp", ".s.lc.x.tmp", ".other.3.tmp", "s.lc.1.tmp"};
	char folder[64], path[128];
	struct server sv;
	int fd;

	folder_make(folder);
	for (unsigned i = 0; i < BASE_ARRAY_LEN(name); i++) {
		file_path(path, sizeof(path), folder, name[i]);
		file_put(path, "part", 4);
	}
	file_path(path, sizeof(path), folder, name[1]);
	fd = open(path, O_RDONLY);
	assert_int_equal(flock(fd, LOCK_EX), 0); // as by a server that writes it
	server_open(&sv, 1, 0, STORE_NOEVICTION);
	assert_int_equal(finish(&sv, begin(&sv, folder, 0), NULL, NULL).error, 0);
	assert_false(is_there(folder, name[0]));
	assert_true(is_there(folder, "s.lc"));
	for (unsigned i = 1; i < BASE_ARRAY_LEN(name); i++) {
		file_path(path, sizeof(path), folder, name[i]);
		assert_int_equal(unlink(path), 0);
	}
	close(fd);
	server_close(&sv);
	folder_drop(folder);
}

// The temporary file's descriptor leads to the device that is always full from now on.
static void full_in_place(const char *folder)
{
	char link[64], path[256] = "";
	int full = open("/dev/full", O_WRONLY);

	assert_true(full >= 0);
	for (int fd = 3; fd < 100; fd++) {
		ssize_t n;

		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, path, sizeof(path) - 1);
		if (n <= 0 || strncmp(path, folder, strlen(folder)) != 0)
			continue;
		assert_int_equal(dup2(full, fd), fd);
		close(full);
		return;
	}
	fail_msg("no file of the folder is open");
}

static void test_a_full_disk_is_told_and_nothing_stays_pinned(void **state)
{
	struct snapshot_state st;
	struct snapshot *sn;
	char folder[64];
	struct server sv;

	folder_make(folder);
	server_open(&sv, 1, 0, STORE_NOEVICTION);
	for (uint64_t i = 1; i < 4000; i++)
		server_set(&sv, i, 0);
	sn = begin(&sv, folder, 0);
	full_in_place(folder);
	st = finish(&sv, sn, NULL, NULL);
	assert_int_equal(st.error, -ENOSPC);
	assert_string_equal(st.what, "write");
	server_close(&sv);
	folder_drop(folder);
}

static void test_a_slice_stops_where_the_ring_is_full(void **state)
{
	struct snapshot *sn;
	char folder[64];
	struct server sv;

	folder_make(folder);
	server_open(&sv, 1, 0, STORE_NOEVICTION);
	for (uint64_t i = 1; i < 4000; i++)
		server_set(&sv, i, 0);
	sn = begin(&sv, folder, SNAPSHOT_RING_MIN);
	assert_int_equal(snapshot_tap_slice(snapshot_tap(sn, 0), sv.t[0].s, 100), 0);
	assert_true(snapshot_tap_slice(snapshot_tap(sn, 0), sv.t[0].s, 1000000) > 500000);
	assert_int_equal(snapshot_tap_slice(snapshot_tap(sn, 0), sv.t[0].s, 1000), 1000);
	assert_int_equal(finish(&sv, sn, NULL, NULL).error, 0);
	server_close(&sv);
	folder_drop(folder);
}

static void test_a_corrupted_file_is_refused_with_its_place(void **state)
{
	char folder[64], path[128], why[256];
	struct snapshot_loaded n;
	struct snapshot_info info;
	struct server sv;
	struct bytes b;

	file_path(path, sizeof(path), folder_make(folder), "s.lc");
	server_open(&sv, 1, 0, STORE_NOEVICTION);
	for (uint64_t i = 1; i < 4000; i++)
		server_set(&sv, i, 0);
	assert_int_equal(finish(&sv, begin(&sv, folder, 0), NULL, NULL).error, 0);
	server_close(&sv);
	b = file_take(path);
	assert_int_equal(snapshot_file_check(path, &info, why, sizeof(why)), 0);
	assert_int_equal(info.items, 3999);

	b.at[SNAPSHOT_HEADER + 2 * (SNAPSHOT_BLOCK_HEAD + SNAPSHOT_BLOCK_BYTES)] ^= 4;
	file_put(path, b.at, b.n);
	assert_int_equal(snapshot_file_check(path, &info, why, sizeof(why)), 0); // not looked at
	server_open(&sv, 1, 0, STORE_NOEVICTION);
	assert_int_equal(restore(&sv, path, &n, why, sizeof(why)), SNAPSHOT_GOT_FAULT);
	assert_non_null(strstr(why, "block "));
	assert_non_null(strstr(why, " at byte "));
	server_close(&sv);

	file_put(path, b.at, b.n - 100);
	assert_int_equal(snapshot_file_check(path, &info, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "it is torn"));
	file_put(path, b.at, 70);
	assert_int_equal(snapshot_file_check(path, &info, why, sizeof(why)), -EINVAL);
	unlink(path);
	assert_int_equal(snapshot_file_check(path, &info, why, sizeof(why)), -ENOENT);
	free(b.at);
	folder_drop(folder);
}

static void test_names_that_could_leave_the_folder_are_refused(void **state)
{
	static const char *const bad[] = {
		"", ".", "..", ".hidden", "a/b", "/etc/passwd", "../x", "a b", "a\n", "a%s;"};
	char err[256];

	for (unsigned i = 0; i < BASE_ARRAY_LEN(bad); i++)
		assert_int_equal(snapshot_name_check(bad[i], err, sizeof(err)), -EINVAL);
	assert_int_equal(snapshot_name_check("cache-2026.11.22_a", err, sizeof(err)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_comes_back_into_any_number_of_shards),
		cmocka_unit_test(test_under_writes_what_was_left_alone_is_whole),
		cmocka_unit_test(test_what_is_due_is_neither_written_nor_restored),
		cmocka_unit_test(test_a_slice_copies_no_more_than_its_units_are_good_for),
		cmocka_unit_test(test_a_limit_holds_as_at_a_set),
		cmocka_unit_test(test_no_room_for_the_newer_leaves_no_older),
		cmocka_unit_test(test_a_flush_in_between_makes_it_fail),
		cmocka_unit_test(test_one_that_is_given_up_leaves_nothing_and_the_last_file_whole),
		cmocka_unit_test(test_what_a_killed_server_left_goes_and_what_is_written_stays),
		cmocka_unit_test(test_a_full_disk_is_told_and_nothing_stays_pinned),
		cmocka_unit_test(test_a_slice_stops_where_the_ring_is_full),
		cmocka_unit_test(test_a_corrupted_file_is_refused_with_its_place),
		cmocka_unit_test(test_names_that_could_leave_the_folder_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
