// SPDX-License-Identifier: BSD-3-Clause
// The configuration file written anew: what it said stays where it is still true, what changed is
// changed, and reading it again brings the same configuration.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/control.h"

#define TEXT_MAX 8192

// What the file `old` becomes; NULL with the reason in err.
static const char *rewritten(const struct control_config *cfg, const char *old, char *err)
{
	static char text[TEXT_MAX];
	FILE *from = fmemopen((void *)(uintptr_t)(*old ? old : "\n"), *old ? strlen(old) : 1, "r");
	FILE *to = fmemopen(text, sizeof(text), "w");
	int rc;

	assert_non_null(from);
	assert_non_null(to);
	memset(text, 0, sizeof(text));
	rc = control_config_text(cfg, from, to, err, 256);
	fclose(from);
	fclose(to);
	return rc == 0 ? text : NULL;
}

static void set(struct control_config *cfg, const char *name, const char *value)
{
	char err[256];

	assert_int_equal(control_config_set(cfg, name, value, err, sizeof(err)), 0);
}

static void what_is_still_true_stays(void **state)
{
	static const char old[] = "# the cache\n\nmaxmemory  64mb   # as ever\n\tworkers 1\n";
	struct control_config cfg;
	char err[256];

	control_config_init(&cfg);
	assert_string_equal(rewritten(&cfg, old, err), old);
	set(&cfg, "maxmemory", "67108864"); // the same in other words
	assert_string_equal(rewritten(&cfg, old, err), old);
}

static void what_changed_is_changed_in_its_place(void **state)
{
	struct control_config cfg;
	char err[256];

	control_config_init(&cfg);
	set(&cfg, "maxmemory", "128mb");
	set(&cfg, "maxmemory-policy", "allkeys-lfu");
	assert_string_equal(rewritten(&cfg, "# a\nmaxmemory 64mb # b\n# c\nport 11211\n", err),
		"# a\nmaxmemory 134217728\n# c\nport 11211\n"
		"\n# Written by config rewrite.\nmaxmemory-policy allkeys-lfu\n");
}

static void a_line_that_does_not_fit_changes_nothing(void **state)
{
	struct control_config cfg;
	char old[1100], err[256];

	control_config_init(&cfg);
	memset(old, '#', sizeof(old));
	old[sizeof(old) - 1] = '\0';
	assert_null(rewritten(&cfg, old, err));
	assert_string_equal(err, "a line is longer than 1022 bytes");
}

static void a_percentage_stays_one(void **state)
{
	struct control_config cfg;
	char err[256];

	control_config_init(&cfg);
	set(&cfg, "maxmemory", "50%");
	assert_string_equal(rewritten(&cfg, "maxmemory 64mb\n", err), "maxmemory 50%\n");
	assert_string_equal(rewritten(&cfg, "maxmemory 50%\n", err), "maxmemory 50%\n");
	set(&cfg, "maxmemory-clients", "10%");
	assert_string_equal(rewritten(&cfg, "maxmemory 50%\nmaxmemory-clients 0\n", err),
		"maxmemory 50%\nmaxmemory-clients 10%\n");
}

static void what_is_said_twice_is_said_once(void **state)
{
	struct control_config cfg;
	char err[256];

	control_config_init(&cfg);
	set(&cfg, "address", "198.18.211.2/24");
	set(&cfg, "address", "fd00::2/64");
	assert_string_equal(
		rewritten(&cfg, "address 198.18.211.2/24\nport 11211\naddress fd00::2/64", err),
		"address 198.18.211.2/24,fd00::2/64\nport 11211\n");
}

static void what_no_file_can_say_is_refused(void **state)
{
	struct control_config cfg;
	char err[256];

	control_config_init(&cfg);
	set(&cfg, "flight-dir", "/var/my files");
	assert_null(rewritten(&cfg, "", err));
	assert_non_null(strstr(err, "flight-dir"));
}

// ---- files -------------------------------------------------------------------------------------
static void file_write(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void reading_it_again_brings_the_same(void **state)
{
	char folder[] = "/tmp/rewrite.XXXXXX", path[64], link[64], err[512],
	     *argv[] = {"", "-f", link};
	struct control_config cfg, again;
	struct stat st;
	int eal;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/file", folder);
	snprintf(link, sizeof(link), "%s/link", folder);
	file_write(path, "# kept\nmaxmemory 64mb\n");
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(symlink("file", link), 0);
	control_config_init(&cfg);
	assert_int_equal(control_config_args(&cfg, 3, argv, &eal, err, sizeof(err)), 0);
	set(&cfg, "maxmemory", "100mb");
	set(&cfg, "lazyfree-lazy-user-del", "no");
	set(&cfg, "jemalloc-dirty-decay-ms", "-1");
	assert_int_equal(control_config_rewrite(&cfg, err, sizeof(err)), 0);

	control_config_init(&again);
	assert_int_equal(control_config_args(&again, 3, argv, &eal, err, sizeof(err)), 0);
	assert_memory_equal(&again, &cfg, sizeof(cfg));
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	unlink(link);
	unlink(path);
	assert_int_equal(rmdir(folder), 0); // nothing else was left in it
}

static void without_a_file_there_is_a_reason(void **state)
{
	struct control_config cfg;
	char err[512];

	control_config_init(&cfg);
	assert_int_equal(control_config_rewrite(&cfg, err, sizeof(err)), -ENOENT);
	assert_non_null(strstr(err, "-f FILE"));
	set(&cfg, "config", "/nowhere/lcached.conf");
	assert_int_equal(control_config_rewrite(&cfg, err, sizeof(err)), -ENOENT);
	assert_non_null(strstr(err, "/nowhere/lcached.conf"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_still_true_stays),
		cmocka_unit_test(what_changed_is_changed_in_its_place),
		cmocka_unit_test(a_line_that_does_not_fit_changes_nothing),
		cmocka_unit_test(a_percentage_stays_one),
		cmocka_unit_test(what_is_said_twice_is_said_once),
		cmocka_unit_test(what_no_file_can_say_is_refused),
		cmocka_unit_test(reading_it_again_brings_the_same),
		cmocka_unit_test(without_a_file_there_is_a_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
