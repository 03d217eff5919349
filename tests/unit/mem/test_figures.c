// SPDX-License-Identifier: BSD-3-Clause
// What the figures say: slack by size class, the out-of-memory handler, the kernel's figures.
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>

#include "mem_test.h"

#ifndef MEM_EXACT
static void slack_is_what_was_not_asked_for_by_class(void **state)
{
	struct mem_domain *d = test_domain_open();
	size_t usable = 0, sum = 0;
	void *p[200];
	struct base_rng rng;

	base_rng_seed(&rng, 3);
	for (size_t i = 0; i < 200; i++) {
		p[i] = mem_try_alloc(d, MEM_ITEMS, 1 + i * 37, &usable);
		sum += usable - (1 + i * 37);
		assert_int_equal(mem_slack(d), sum);
	}
	for (size_t i = 0; i < 200; i++) {
		size_t bigger = 1 + base_rng_below(&rng, 20000);

		p[i] = mem_try_realloc(d, MEM_ITEMS, p[i], 1 + i * 37, bigger, &usable);
		mem_free(d, MEM_ITEMS, p[i], bigger);
	}
	for (unsigned i = 0; i < MEM_SIZE_CLASSES; i++)
		assert_int_equal(mem_slack_class(d, i), 0);
	mem_domain_close(d);
}
#endif

#ifdef MEM_JEMALLOC
static void a_size_noted_in_place_keeps_slack_true(void **state)
{
	struct mem_domain *d = test_domain_open();
	void *p = mem_alloc(d, MEM_ITEMS, 100); // of 112

	assert_int_equal(mem_slack(d), 12);
	mem_size_note(d, 100, 110);
	assert_int_equal(mem_slack(d), 2);
	mem_size_note(d, 110, 97);
	assert_int_equal(mem_slack(d), 15);
	assert_int_equal(mem_free(d, MEM_ITEMS, p, 97), 112);
	assert_int_equal(mem_slack(d), 0);
	mem_domain_close(d);
}

// A block's slack is booked under the class whose bounds hold it.
static void classes_are_jemallocs(void **state)
{
	struct mem_domain *d = test_domain_open();

	for (unsigned i = 1; i < MEM_SIZE_CLASSES - 1; i++) {
		size_t class = mem_size_class_bytes(i), asked = mem_size_class_bytes(i - 1) + 1;
		void *p;

		if (class > 64 << 20)
			break;
		assert_int_equal(mem_usable(d, class), class);
		assert_int_equal(mem_usable(d, asked), class);
		assert_int_equal(mem_size_round(class), class);
		assert_int_equal(mem_size_round(asked), class);
		assert_int_equal(mem_size_step(asked), class - (asked - 1));
		p = mem_alloc(d, MEM_ITEMS, asked);
		assert_int_equal(malloc_usable_size(p), class);
		assert_int_equal(mem_slack_class(d, i), class - asked);
		mem_free(d, MEM_ITEMS, p, asked);
	}
	mem_domain_close(d);
}
#endif

static bool always(void *arg)
{
	return true;
}

static int tag;

static void oom_handler(void *arg, const char *name, enum mem_class c, size_t size)
{
	if (arg == &tag && strcmp(name, "tables") == 0 && c == MEM_INDEX && size == 12345)
		_exit(42);
}

static void allocate_without_memory(void *(*f)(struct mem_domain *d))
{
	struct mem_domain *d;

	if (mem_domain_open(&d,
		    &(struct mem_options){.name = "tables",
			    .numa_node = -1,
			    .oom = oom_handler,
			    .oom_arg = &tag}) < 0)
		_exit(1);
	mem_fault_set(d, always, NULL);
	f(d);
	_exit(2);
}

static void *by_alloc(struct mem_domain *d)
{
	return mem_alloc(d, MEM_INDEX, 12345);
}

static void *by_calloc(struct mem_domain *d)
{
	return mem_calloc(d, MEM_INDEX, 12345, NULL);
}

static void *by_aligned(struct mem_domain *d)
{
	return mem_alloc_aligned(d, MEM_INDEX, 64, 12345, NULL);
}

static void *by_realloc(struct mem_domain *d)
{
	void *p;

	mem_fault_set(d, NULL, NULL);
	p = mem_alloc(d, MEM_INDEX, 10);
	mem_fault_set(d, always, NULL);
	return mem_realloc(d, MEM_INDEX, p, 10, 12345, NULL);
}

static void infrastructure_without_memory_asks_the_handler_then_stops(void **state)
{
	void *(*const how[])(struct mem_domain * d) = {by_alloc, by_calloc, by_aligned, by_realloc};

	for (size_t i = 0; i < BASE_ARRAY_LEN(how); i++) {
		int status;
		pid_t pid = fork();

		if (pid == 0) {
			dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
			allocate_without_memory(how[i]);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 42);
	}
}

static void thread_balance_without_a_binding_is_the_counter(void **state)
{
	struct mem_domain *d = test_domain_open();

	mem_thread_mark(d);
	assert_int_equal(mem_held_by_thread(d), 0);
	mem_domain_close(d);
}

static void kernel_figures_are_there(void **state)
{
	struct mem_process p;
	uint64_t dirty = 0;
	volatile char *mine = malloc(40 << 20);

	for (size_t i = 0; i < 40 << 20; i += 4096)
		mine[i] = 1;
	mem_process_read(&p);
	assert_true(p.rss_bytes > 32 << 20);
	assert_int_equal(mem_private_dirty_read(&dirty), 0);
	assert_true(dirty > 32 << 20);
	free((void *)(uintptr_t)mine);
}

static void the_ratio_of_nothing_is_one(void **state)
{
	assert_true(mem_frag_ratio(0, 0) == 1.0);
	assert_true(mem_frag_ratio(50, 100) == 1.5);
}

static void the_report_is_cut_to_the_room(void **state)
{
	static char text[256 << 10];
	size_t n = mem_stats_text(text, sizeof(text));

	assert_int_equal(n, strlen(text));
	assert_true(n > 100);
	memset(text, 'x', 64);
	n = mem_stats_text(text, 40);
	assert_true(n < 40);
	assert_int_equal(text[n], 0);
	assert_int_equal(text[40], 'x');
}

static void decay_is_checked(void **state)
{
	assert_true(mem_decay_set(-2, 0) < 0);
	assert_true(mem_decay_set(0, -2) < 0);
#ifdef MEM_JEMALLOC
	assert_int_equal(mem_decay_set(5000, 0), 0);
	assert_int_equal(mem_decay_set(10000, 0), 0);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#ifndef MEM_EXACT
		cmocka_unit_test(slack_is_what_was_not_asked_for_by_class),
#endif
#ifdef MEM_JEMALLOC
		cmocka_unit_test(a_size_noted_in_place_keeps_slack_true),
		cmocka_unit_test(classes_are_jemallocs),
#endif
		cmocka_unit_test(infrastructure_without_memory_asks_the_handler_then_stops),
		cmocka_unit_test(thread_balance_without_a_binding_is_the_counter),
		cmocka_unit_test(kernel_figures_are_there),
		cmocka_unit_test(the_ratio_of_nothing_is_one),
		cmocka_unit_test(the_report_is_cut_to_the_room),
		cmocka_unit_test(decay_is_checked),
	};

	base_log_level_set(BASE_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
