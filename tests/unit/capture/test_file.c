// SPDX-License-Identifier: BSD-3-Clause
// A capture's file: blocks as the format has them, limits kept to the byte, failures told.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture_test.h"

#define EPOCH_NS UINT64_C(1700000000123456000)

struct block { // of an enhanced packet
	uint32_t type, bytes, interface, high, low, kept, wire;
	unsigned char frame[];
};

static char dir[] = "/tmp/lcached-capture-XXXXXX";

static struct capture_options options(void)
{
	return (struct capture_options){.dir = dir,
		.name = "x.pcapng",
		.snap_bytes = CAPTURE_SNAP_MAX,
		.size_bytes = 1 << 20,
		.epoch_ns = EPOCH_NS,
		.workers = 2};
}

static struct capture *opened(const struct capture_options *o)
{
	struct capture *c;
	char err[256] = "";

	if (capture_open(&c, o, err, sizeof(err)) != 0)
		fail_msg("%s", err);
	return c;
}

static void way_put(struct capture *c, unsigned worker, enum capture_way way, uint16_t from,
	uint16_t payload, uint64_t us)
{
	struct rte_mbuf *m = frame_udp(from, payload);

	capture_burst(capture_tap(c, worker), &m, 1, way, us);
	rte_pktmbuf_free(m);
}

static void put(struct capture *c, unsigned worker, uint16_t from, uint16_t payload, uint64_t us)
{
	way_put(c, worker, worker ? CAPTURE_OUT : CAPTURE_IN, from, payload, us);
}

// The file, whole blocks to its end; removed. Returns how many blocks there are of a type.
static char *file_read(size_t *len)
{
	char path[256], *data;
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/x.pcapng", dir);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	*len = (size_t)st.st_size;
	data = malloc(*len);
	assert_int_equal(read(fd, data, *len), *len);
	close(fd);
	unlink(path);
	return data;
}

static unsigned blocks(const char *data, size_t len, uint32_t type, const void **first)
{
	unsigned n = 0;

	*first = NULL;
	for (size_t at = 0; at < len;) {
		const struct block *b = (const void *)(data + at);
		uint32_t again;

		assert_true(at + 12 <= len && b->bytes >= 12 && b->bytes % 4 == 0);
		assert_true(at + b->bytes <= len);
		memcpy(&again, data + at + b->bytes - 4, 4);
		assert_int_equal(again, b->bytes);
		if (b->type == type && n++ == 0)
			*first = b;
		at += b->bytes;
	}
	return n;
}

static uint32_t option_u32(const struct block *b, uint16_t code)
{
	const unsigned char *p = b->frame + (b->kept + 3) / 4 * 4;
	uint16_t head[2];
	uint32_t value;

	for (;; p += 4 + (head[1] + 3) / 4 * 4) {
		memcpy(head, p, 4);
		assert_int_not_equal(head[0], 0);
		if (head[0] == code)
			break;
	}
	assert_int_equal(head[1], 4);
	memcpy(&value, p + 4, 4);
	return value;
}

static uint64_t time_of(const struct block *b)
{
	return (uint64_t)b->high << 32 | b->low;
}

static void a_frame_has_its_time_way_worker_and_length(void **state)
{
	struct capture_options o = options();
	const struct block *b;
	const void *first;
	struct capture_state s;
	struct capture *c;
	size_t len;
	char *data;

	o.snap_bytes = 64;
	c = opened(&o);
	put(c, 1, 7, 100, 5000001);
	assert_true(capture_drain(c, 5000100));
	capture_close(c, &s);
	assert_int_equal(s.end, CAPTURE_STOPPED);
	assert_int_equal(s.packets, 1);
	data = file_read(&len);
	assert_int_equal(s.bytes, len);
	assert_int_equal(blocks(data, len, 0x0a0d0d0a, &first), 1);
	assert_int_equal(blocks(data, len, 1, &first), 1);
	assert_int_equal(blocks(data, len, 6, &first), 1);
	b = first;
	assert_int_equal(time_of(b), EPOCH_NS + UINT64_C(5000001000));
	assert_int_equal(b->kept, 64);
	assert_int_equal(b->wire, 142);
	assert_int_equal(option_u32(b, 2) & 3, 2); // epb_flags: outbound
	assert_int_equal(option_u32(b, 6), 1);     // epb_queue
	assert_int_equal(blocks(data, len, 5, &first), 1);
	b = first;
	assert_int_equal(time_of(b), EPOCH_NS + UINT64_C(5000100000));
	free(data);
}

static void workers_are_merged_by_time(void **state)
{
	struct capture_options o = options();
	struct capture *c = opened(&o);
	struct capture_state s;
	uint64_t last = 0;
	const void *first;
	size_t len;
	char *data;

	for (uint16_t i = 0; i < 50; i++)
		put(c, 0, i, 0, 1000u + 2 * i);
	for (uint16_t i = 0; i < 50; i++)
		put(c, 1, i, 0, 1001u + 2 * i);
	capture_close(c, &s);
	data = file_read(&len);
	assert_int_equal(blocks(data, len, 6, &first), 100);
	for (const struct block *b = first; b->type == 6;
		b = (const void *)((const char *)b + b->bytes)) {
		assert_true(time_of(b) > last);
		last = time_of(b);
	}
	free(data);
}

static void of_one_microsecond_what_came_in_is_first(void **state)
{
	struct capture_options o = options();
	struct capture *c = opened(&o);
	struct capture_state s;
	const void *first;
	const struct block *b;
	size_t len;
	char *data;

	way_put(c, 0, CAPTURE_OUT, 1, 0, 1000);
	way_put(c, 1, CAPTURE_IN, 1, 0, 1000);
	capture_close(c, &s);
	data = file_read(&len);
	assert_int_equal(blocks(data, len, 6, &first), 2);
	b = first;
	assert_int_equal(option_u32(b, 2) & 3, 1); // epb_flags: inbound
	free(data);
}

static void it_ends_at_so_many_packets(void **state)
{
	struct capture_options o = options();
	struct capture_state s;
	const void *first;
	struct capture *c;
	size_t len;
	char *data;

	o.packets_max = 70;
	c = opened(&o);
	for (uint16_t i = 0; i < 100; i++)
		put(c, 0, i, 0, 1000);
	assert_false(capture_over(c));
	assert_true(capture_drain(c, 1000));
	assert_true(capture_over(c));
	capture_close(c, &s);
	assert_int_equal(s.end, CAPTURE_END_PACKETS);
	assert_int_equal(s.packets, 70);
	assert_int_equal(s.seen, 100);
	data = file_read(&len);
	assert_int_equal(blocks(data, len, 6, &first), 70);
	assert_int_equal(blocks(data, len, 5, &first), 1);
	free(data);
}

static void it_ends_before_so_many_bytes(void **state)
{
	for (uint64_t size = CAPTURE_SIZE_MIN; size < CAPTURE_SIZE_MIN + 300; size += 7) {
		struct capture_options o = options();
		struct capture_state s;
		const void *first;
		struct capture *c;
		size_t len;
		char *data;

		o.size_bytes = size;
		c = opened(&o);
		for (uint16_t i = 0; i < 60; i++)
			put(c, 0, i, 100, 1000);
		capture_close(c, &s);
		assert_int_equal(s.end, CAPTURE_END_SIZE);
		data = file_read(&len);
		assert_true(len <= size && len > size - 800);
		assert_int_equal(s.bytes, len);
		assert_int_equal(blocks(data, len, 6, &first), s.packets);
		assert_int_equal(blocks(data, len, 5, &first), 1);
		free(data);
	}
}

static void it_ends_at_its_time(void **state)
{
	struct capture_options o = options();
	struct capture_state s;
	struct capture *c;
	size_t len;

	o.end_us = 2000;
	c = opened(&o);
	put(c, 0, 1, 0, 1999);
	put(c, 0, 2, 0, 2000);
	capture_drain(c, 1999);
	assert_false(capture_over(c));
	put(c, 1, 3, 0, 1999); // a worker that was late
	capture_drain(c, 2000);
	assert_true(capture_over(c));
	capture_close(c, &s);
	assert_int_equal(s.end, CAPTURE_END_TIME);
	assert_int_equal(s.packets, 2);
	free(file_read(&len));
}

static void one_drain_is_bounded(void **state)
{
	struct capture_options o = options();
	struct capture *c = opened(&o);
	struct capture_state s;
	size_t len;

	for (uint16_t i = 0; i < CAPTURE_DRAIN_FRAMES + 10; i++)
		put(c, 0, i, 0, 1000);
	assert_false(capture_drain(c, 1000));
	capture_state_get(c, &s);
	assert_int_equal(s.packets, CAPTURE_DRAIN_FRAMES);
	assert_true(capture_drain(c, 1000));
	capture_close(c, &s);
	assert_int_equal(s.packets, CAPTURE_DRAIN_FRAMES + 10);
	free(file_read(&len));
}

static void drops_stand_in_the_statistics(void **state)
{
	struct capture_options o = options();
	struct capture *c;
	struct capture_state s;
	const void *first;
	uint64_t value;
	size_t len;
	char *data;

	o.ring_bytes = 2 * CAPTURE_SNAP_MAX;
	c = opened(&o);
	for (uint16_t i = 0; i < 100; i++)
		put(c, 0, i, 1000, 1000);
	capture_close(c, &s);
	assert_int_equal(s.seen, 100);
	assert_int_equal(s.packets + s.dropped, 100);
	assert_true(s.dropped > 60);
	data = file_read(&len);
	assert_int_equal(blocks(data, len, 5, &first), 1);
	memcpy(&value, (const char *)first + 24, 8); // isb_ifrecv
	assert_int_equal(value, 100);
	memcpy(&value, (const char *)first + 36, 8); // isb_ifdrop
	assert_int_equal(value, s.dropped);
	free(data);
}

// The kernel's limit for files stands for a disk: it takes what there is room for, then nothing.
static void a_full_disk_ends_it_with_whole_blocks(void **state)
{
	for (rlim_t most = 4096; most < 4096 + 300; most += 13) {
		const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY},
				    full = {most, RLIM_INFINITY};
		struct capture_options o = options();
		struct capture *c = opened(&o);
		struct capture_state s;
		const void *first;
		size_t len;
		char *data;

		assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
		for (uint16_t i = 0; i < 60; i++)
			put(c, 0, i, 100, 1000);
		capture_drain(c, 1000);
		assert_true(capture_over(c));
		capture_close(c, &s);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
		assert_int_equal(s.end, CAPTURE_END_ERROR);
		assert_true(s.error == -ENOSPC || s.error == -EFBIG);
		data = file_read(&len);
		assert_true(len <= most);
		assert_int_equal(blocks(data, len, 6, &first), s.packets);
		free(data);
	}
}

static void a_file_is_never_written_over(void **state)
{
	struct capture_options o = options();
	struct capture *c = opened(&o), *d;
	struct capture_state s;
	char err[256];
	size_t len;

	assert_true(capture_open(&d, &o, err, sizeof(err)) < 0);
	capture_close(c, &s);
	assert_int_equal(capture_open(&d, &o, err, sizeof(err)), -EEXIST);
	assert_non_null(strstr(err, "x.pcapng: File exists"));
	free(file_read(&len));
}

static void wrong_names_and_folders_are_refused(void **state)
{
	static const char *const names[] = {
		"", ".", "..", "../x", "a/b", "/etc/x", ".hidden", "a b", "a\nb", "x,y"};
	char too_long[CAPTURE_NAME_MAX + 1];
	struct capture_options o = options();
	struct capture *c;
	char err[256];

	for (unsigned i = 0; i < BASE_ARRAY_LEN(names); i++) {
		o.name = names[i];
		assert_int_equal(capture_open(&c, &o, err, sizeof(err)), -EINVAL);
		assert_true(strncmp(err, "file: a name of", 15) == 0);
	}
	memset(too_long, 'x', CAPTURE_NAME_MAX);
	too_long[CAPTURE_NAME_MAX] = '\0';
	o.name = too_long;
	assert_int_equal(capture_open(&c, &o, err, sizeof(err)), -EINVAL);
	o.name = "x.pcapng";
	o.dir = "/nowhere";
	assert_int_equal(capture_open(&c, &o, err, sizeof(err)), -ENOENT);
	assert_string_equal(err, "/nowhere/x.pcapng: No such file or directory");
	o.dir = dir;
	o.filter = "nonsense";
	assert_int_equal(capture_open(&c, &o, err, sizeof(err)), -EINVAL);
}

static int dir_open(void **state)
{
	signal(SIGXFSZ, SIG_IGN);
	return mkdtemp(dir) == NULL || eal_open(state) < 0 ? -1 : 0;
}

static int dir_close(void **state)
{
	return rmdir(dir) < 0 ? -1 : eal_close(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_has_its_time_way_worker_and_length),
		cmocka_unit_test(workers_are_merged_by_time),
		cmocka_unit_test(of_one_microsecond_what_came_in_is_first),
		cmocka_unit_test(it_ends_at_so_many_packets),
		cmocka_unit_test(it_ends_before_so_many_bytes),
		cmocka_unit_test(it_ends_at_its_time),
		cmocka_unit_test(one_drain_is_bounded),
		cmocka_unit_test(drops_stand_in_the_statistics),
		cmocka_unit_test(a_full_disk_ends_it_with_whole_blocks),
		cmocka_unit_test(a_file_is_never_written_over),
		cmocka_unit_test(wrong_names_and_folders_are_refused),
	};

	return cmocka_run_group_tests(tests, dir_open, dir_close);
}
