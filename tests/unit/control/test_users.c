// SPDX-License-Identifier: BSD-3-Clause
// The file of users: what is read, and what is refused with which words.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/control.h"

static char err[512];

static int load(const char *text, struct worker_users *users)
{
	char path[] = "/tmp/lcached-users-XXXXXX";
	int fd = mkstemp(path), rc;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	err[0] = '\0';
	rc = control_users_load(path, users, err, sizeof(err));
	unlink(path);
	return rc;
}

static void refused(const char *text, const char *words)
{
	struct worker_users users;

	assert_true(load(text, &users) < 0);
	if (strstr(err, words) == NULL)
		fail_msg("'%s' is not in '%s'", words, err);
	assert_int_equal(users.count, 0);
	for (size_t i = 0; i < sizeof(users.user[0].line); i++)
		assert_int_equal(users.user[0].line[i], 0); // no password is left
}

static void users_are_lines(void **state)
{
	struct worker_users users;

	assert_int_equal(load("a:b\n\nuser:pass:word::\r\nlast:x", &users), 0);
	assert_int_equal(users.count, 3);
	assert_string_equal(users.user[0].line, "a:b");
	assert_int_equal(users.user[0].name_len, 1);
	assert_string_equal(users.user[1].line, "user:pass:word::");
	assert_int_equal(users.user[1].name_len, 4);
	assert_string_equal(users.user[2].line, "last:x");
}

static void what_is_no_user_is_refused(void **state)
{
	refused("", "no user in it");
	refused("\n\n", "no user in it");
	refused("a:b\nnobody\n", ":2: not NAME:PASSWORD");
	refused("a:b\n:b\n", ":2: not NAME:PASSWORD");
}

static void a_line_has_255_bytes_at_most(void **state)
{
	struct worker_users users;
	char line[WORKER_USER_BYTES + 1];

	memset(line, 'x', sizeof(line));
	line[1] = ':';
	line[WORKER_USER_BYTES] = '\0';
	refused(line, ":1: longer than 255 bytes");
	line[WORKER_USER_BYTES - 1] = '\0';
	assert_int_equal(load(line, &users), 0);
	assert_string_equal(users.user[0].line, line);
}

static void there_are_64_at_most(void **state)
{
	struct worker_users users;
	char text[(WORKER_USERS_MAX + 1) * 4 + 1] = "";

	for (int i = 0; i < WORKER_USERS_MAX; i++)
		strcat(text, "a:b\n");
	assert_int_equal(load(text, &users), 0);
	assert_int_equal(users.count, WORKER_USERS_MAX);
	strcat(text, "a:b\n");
	refused(text, ":65: more than 64 users");
}

static void a_file_that_is_not_there(void **state)
{
	struct worker_users users;

	assert_true(control_users_load("/nonexistent/users", &users, err, sizeof(err)) < 0);
	assert_string_equal(err, "/nonexistent/users: No such file or directory");
}

static void a_file_without_end(void **state)
{
	struct worker_users users;
	char *blank = malloc(1 << 16);

	memset(blank, '\n', (1 << 16) - 1);
	blank[(1 << 16) - 1] = '\0';
	refused(blank, ":4097: more than 4096 lines");
	free(blank);
	assert_true(control_users_load("/dev/zero", &users, err, sizeof(err)) < 0);
	assert_non_null(strstr(err, ":1: longer than 255 bytes, or no text"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(users_are_lines),
		cmocka_unit_test(what_is_no_user_is_refused),
		cmocka_unit_test(a_line_has_255_bytes_at_most),
		cmocka_unit_test(there_are_64_at_most),
		cmocka_unit_test(a_file_that_is_not_there),
		cmocka_unit_test(a_file_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
