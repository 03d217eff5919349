// SPDX-License-Identifier: BSD-3-Clause
// Lists, clocks, log lines and broken invariants.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base.h"

struct thing {
	int number;
	struct base_list link;
};

static void list_keeps_order_and_pops_from_the_front(void **state)
{
	struct thing things[3] = {{.number = 0}, {.number = 1}, {.number = 2}};
	struct base_list head;
	int expected = 0;

	base_list_init(&head);
	assert_true(base_list_empty(&head));
	assert_null(base_list_pop(&head));
	for (int i = 0; i < 3; i++)
		base_list_append(&head, &things[i].link);
	base_list_for_each (it, &head)
		assert_int_equal(base_container_of(it, struct thing, link)->number, expected++);
	assert_int_equal(expected, 3);
	for (int i = 0; i < 3; i++)
		assert_ptr_equal(base_list_pop(&head), &things[i].link);
	assert_true(base_list_empty(&head));
}

static void list_node_can_be_removed_twice_and_while_walking(void **state)
{
	struct thing things[4];
	struct base_list head;
	int left = 0;

	base_list_init(&head);
	for (int i = 0; i < 4; i++) {
		things[i].number = i;
		base_list_append(&head, &things[i].link);
	}
	base_list_for_each_safe (it, next, &head)
		if (base_container_of(it, struct thing, link)->number % 2 == 0)
			base_list_remove(it);
	base_list_remove(&things[0].link);
	base_list_for_each (it, &head)
		left += base_container_of(it, struct thing, link)->number;
	assert_int_equal(left, 1 + 3);
}

static void clocks_advance_and_are_never_zero(void **state)
{
	struct base_now a = base_now_read(), b = base_now_read();

	assert_true(a.mono_us > 0);
	assert_true(b.mono_us >= a.mono_us);
	assert_true(a.wall_s > 1600000000);
}

// Runs f in a child and returns its exit status; what it wrote to stderr is in out.
static int child_run(void (*f)(void), char *out, size_t out_size)
{
	int pipe_fds[2], status;
	size_t at = 0;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(pipe_fds), 0);
	pid = fork();
	if (pid == 0) {
		dup2(pipe_fds[1], STDERR_FILENO);
		signal(SIGABRT, SIG_DFL);
		f();
		_exit(0);
	}
	close(pipe_fds[1]);
	while ((n = read(pipe_fds[0], out + at, out_size - 1 - at)) > 0)
		at += (size_t)n;
	out[at] = '\0';
	close(pipe_fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void break_an_invariant(void)
{
	base_assert(1 + 1 == 2);
	base_assert(1 + 1 == 3);
}

static void broken_invariant_names_the_place_and_stops(void **state)
{
	char out[1024];
	int status = child_run(break_an_invariant, out, sizeof(out));

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	assert_non_null(strstr(out, "test_basics.c:"));
	assert_non_null(strstr(out, "1 + 1 == 3"));
}

static void log_at_each_level(void)
{
	base_log_level_set(BASE_LOG_WARN);
	base_error("one %d", 1);
	base_warn("two");
	base_info("three");
	base_debug("four");
	base_log_level_set(BASE_LOG_DEBUG);
	base_debug("five");
}

static void log_writes_a_prefixed_line_from_the_level_up(void **state)
{
	char out[1024];
	int status = child_run(log_at_each_level, out, sizeof(out));

	assert_true(WIFEXITED(status));
	assert_string_equal(
		out, "lcached error: one 1\nlcached warning: two\nlcached debug: five\n");
}

static void log_a_long_line(void)
{
	base_error("%02000d", 7);
}

static void long_log_line_is_cut_and_still_ends(void **state)
{
	char out[4096];

	child_run(log_a_long_line, out, sizeof(out));
	assert_int_equal(strlen(out), 1024);
	assert_int_equal(out[1023], '\n');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(list_keeps_order_and_pops_from_the_front),
		cmocka_unit_test(list_node_can_be_removed_twice_and_while_walking),
		cmocka_unit_test(clocks_advance_and_are_never_zero),
		cmocka_unit_test(broken_invariant_names_the_place_and_stops),
		cmocka_unit_test(log_writes_a_prefixed_line_from_the_level_up),
		cmocka_unit_test(long_log_line_is_cut_and_still_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
