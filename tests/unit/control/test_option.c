// SPDX-License-Identifier: BSD-3-Clause
// Options: the command line over the file over the defaults; every bad value says what is wrong.

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/control.h"

#define ARGS_MAX 32

// Reads a command line given as one string. Returns what control_config_args returns.
static int args(struct control_config *cfg, const char *line, int *eal, char *err, size_t len)
{
	static char text[1024];
	char *argv[ARGS_MAX] = {"lcached"}, *save;
	int argc = 1;

	snprintf(text, sizeof(text), "%s", line);
	for (char *w = strtok_r(text, " ", &save); w && argc < ARGS_MAX;
		w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	control_config_init(cfg);
	return control_config_args(cfg, argc, argv, eal, err, len);
}

static void defaults_are_memcached_s(void **state)
{
	struct control_config cfg;
	char err[256];
	int eal;

	assert_int_equal(args(&cfg, "", &eal, err, sizeof(err)), 0);
	assert_int_equal(cfg.maxmemory_bytes, 64 << 20);
	assert_int_equal(cfg.tcp_port, 11211);
	assert_int_equal(cfg.udp_port, 0);
	assert_int_equal(cfg.item_bytes_max, 1 << 20);
	assert_int_equal(cfg.conns_max, 1024);
	assert_int_equal(cfg.policy, STORE_ALLKEYS_LRU);
	assert_string_equal(cfg.driver, "tap");
	assert_int_equal(eal, 1);
}

static void maxmemory_may_be_a_part(void **state)
{
	struct control_config cfg;
	uint64_t half;
	char err[256];
	int eal;

	assert_int_equal(args(&cfg, "--maxmemory 50%", &eal, err, sizeof(err)), 0);
	half = cfg.maxmemory_bytes;
	assert_true(half > 64 << 20);
	assert_int_equal(args(&cfg, "--maxmemory 0", &eal, err, sizeof(err)), 0); // 75 %
	assert_true(cfg.maxmemory_bytes > half && cfg.maxmemory_bytes < 2 * half);
	assert_int_equal(args(&cfg, "--maxmemory 0 -m 100", &eal, err, sizeof(err)), 0);
	assert_int_equal(cfg.maxmemory_bytes, 100 << 20);
	assert_int_equal(args(&cfg, "--maxmemory 50% --memory-region 1gb", &eal, err, sizeof(err)),
		0); // of the region, wherever it stands
	assert_true(cfg.maxmemory_bytes <= 512 << 20 && cfg.maxmemory_bytes > 511 << 20);
	assert_int_equal(args(&cfg, "-m 100 -t 3 -I 40m", &eal, err, sizeof(err)), 0);
}

static void the_delimiter_s_letter_turns_counting_on(void **state)
{
	static const char *const bad[] = {"-D ::", "--stat-key-prefix=\t", "-o stat_key_prefix="};
	struct control_config cfg;
	char err[256];
	int eal;

	assert_int_equal(args(&cfg, "", &eal, err, sizeof(err)), 0);
	assert_string_equal(cfg.prefix_delimiter, ":");
	assert_false(cfg.detail);
	assert_int_equal(args(&cfg, "--stat-key-prefix |", &eal, err, sizeof(err)), 0);
	assert_string_equal(cfg.prefix_delimiter, "|");
	assert_false(cfg.detail);
	assert_int_equal(args(&cfg, "-D / --detail-enabled no", &eal, err, sizeof(err)), 0);
	assert_string_equal(cfg.prefix_delimiter, "/");
	assert_false(cfg.detail);
	assert_int_equal(args(&cfg, "-D.", &eal, err, sizeof(err)), 0);
	assert_string_equal(cfg.prefix_delimiter, ".");
	assert_true(cfg.detail);
	for (size_t i = 0; i < BASE_ARRAY_LEN(bad); i++) {
		assert_int_equal(args(&cfg, bad[i], &eal, err, sizeof(err)), -EINVAL);
		assert_non_null(strstr(err, "not one character"));
	}
}

static void short_and_long_options_are_read(void **state)
{
	struct control_config cfg;
	char err[256];
	int eal;

	assert_int_equal(
		args(&cfg,
			"-m 1024 -p 1 -U2 -t 3 -I 2m -c 7 -M -l 10.0.0.1/8 -vv "
			"--idle-sleep-us=0 --maxmemory-samples 10 --lfu-decay-time 7 -- --no-huge",
			&eal, err, sizeof(err)),
		0);
	assert_int_equal(cfg.maxmemory_bytes, 1 << 30);
	assert_int_equal(cfg.tcp_port, 1);
	assert_int_equal(cfg.udp_port, 2);
	assert_int_equal(cfg.workers, 3);
	assert_int_equal(cfg.item_bytes_max, 2 << 20);
	assert_int_equal(cfg.conns_max, 7);
	assert_int_equal(cfg.policy, STORE_NOEVICTION);
	assert_string_equal(cfg.address, "10.0.0.1/8");
	assert_int_equal(cfg.verbosity, 2);
	assert_int_equal(cfg.idle_sleep_us, 0);
	assert_int_equal(cfg.samples, 10);
	assert_int_equal(cfg.lfu_decay_min, 7);
	assert_true(eal > 1);
}

static void the_last_port_may_be_a_shard_s(void **state)
{
	struct control_config cfg;
	char err[256];
	int eal;

	assert_int_equal(args(&cfg, "-U 65533 -t 3", &eal, err, sizeof(err)), 0);
	assert_false(cfg.udp_shard_ports);
	assert_int_equal(
		args(&cfg, "-U 65533 -t 3 --udp-shard-ports yes", &eal, err, sizeof(err)), 0);
	assert_true(cfg.udp_shard_ports);
	assert_int_equal(control_config_live("udp-shard-ports"), 0);
}

static void bad_values_say_what_is_wrong(void **state)
{
	static const char *const table[][2] = {
		{"--nonsense 1", "unknown option '--nonsense'"},
		{"--maxmemroy 1gb", "unknown option '--maxmemroy' (nearest: --maxmemory)"},
		{"--prot=1", "(nearest: --port)"},
		{"-z", "unknown option '-z'"},
		{"word", "unknown option 'word'"},
		{"-p", "-p wants a value"},
		{"-p 65536", "-p: 65536 is out of range: 0 to 65535"},
		{"-p -1", "-p: '-1' is not a number"},
		{"-p 11211x", "-p: '11211x' is not a number"},
		{"-t 0", "-t: 0 is out of range"},
		{"-t 65", "-t: 65 is out of range"},
		{"-m 0", "-m: 0 is out of range"},
		{"-I 1", "-I: 1 is out of range: 1kb to 1gb"},
		{"-I 2g", "-I: 2g is out of range: 1kb to 1gb"},
		{"--maxmemory 0%", "'0%' is not a percentage from 1% to 100%"},
		{"--maxmemory 101%", "'101%' is not a percentage"},
		{"--maxmemory-clients 5x%", "'5x%' is not a percentage"},
		{"--maxmemory 12parsecs", "'12parsecs' is not a size"},
		{"--maxmemory-policy lru", "'lru' is not one of noeviction, allkeys-lru, "},
		{"--maxmemory-policy Volatile-ttl", "'Volatile-ttl' is not one of"},
		{"--tcp-congestion vegas", "'vegas' is not one of cubic, newreno"},
		{"--maxmemory-samples 0", "--maxmemory-samples: 0 is out of range: 1 to 64"},
		{"--maxmemory-samples 65", "--maxmemory-samples: 65 is out of range: 1 to 64"},
		{"--maxmemory-eviction-tenacity 101", "101 is out of range: 0 to 100"},
		{"--lfu-log-factor x", "--lfu-log-factor: 'x' is not a number"},
		{"--lfu-decay-time 65536", "65536 is out of range: 0 to 65535"},
		{"--lazyfree-lazy-expire maybe",
			"--lazyfree-lazy-expire: 'maybe' is not yes or no"},
		{"--lazyfree-idle-threshold 101", "101 is out of range: 0 to 100"},
		{"--active-expire-effort 11", "11 is out of range: 1 to 10"},
		{"-l 10.0.0.1", "'10.0.0.1' is not an address with its prefix length"},
		{"-l 10.0.0.1/33", "'10.0.0.1/33' is not an address"},
		{"-l 10.0.0.256/24", "'10.0.0.256/24' is not an address"},
		{"--gateway 10.0.0.0/8", "'10.0.0.0/8' is not an address"},
		{"-p 0 -U 0", "nothing to serve"},
		{"--udp-shard-ports maybe", "--udp-shard-ports: 'maybe' is not yes or no"},
		{"--udp-shard-ports yes", "udp-shard-ports: udp-port is 0: UDP is off"},
		{"-U 65534 -t 3 --udp-shard-ports yes",
			"udp-shard-ports: 3 ports from udp-port 65534 on end beyond 65535"},
		{"-m 1 -I 1mb", "item-size-max"},
		{"--memory-region 2mb --maxmemory 1% -I 1k", "maxmemory: 1% are 20971 bytes, less"},
		{"--memory-region 5mb -t 3", "memory-region: 5242880 bytes are less than a huge"},
		{"-f /nonexistent", "/nonexistent: No such file"},
		{"-f /tmp", "/tmp: Is a directory"},
		{"-M=1", "unknown option"},
	};
	struct control_config cfg;
	char err[256];
	int eal;

	for (size_t i = 0; i < BASE_ARRAY_LEN(table); i++) {
		err[0] = '\0';
		assert_int_equal(args(&cfg, table[i][0], &eal, err, sizeof(err)), -EINVAL);
		if (strstr(err, table[i][1]) == NULL)
			fail_msg("'%s' says '%s', not '%s'", table[i][0], err, table[i][1]);
	}
}

// Every option of memory, and every way to get its value wrong.
static void bad_sizes_say_what_is_wrong(void **state)
{
	static const char *const never[] = {"", "-1", "+5", "x", "mb", "1.5gb", "1 gb", " 1gb",
		"12tb", "1e9", "0x100000", "1gbb", "-5%", "%", "101%", "1.5%", "5%%"};
	static const char *const names[] = {"maxmemory", "maxmemory-clients", "memory-region",
		"client-output-buffer-limit", "client-query-buffer-limit", "item-size-max"};
	static const char *const table[][3] = {
		{"maxmemory", "1048575", "1048575 is out of range: 1mb to 1024gb"},
		{"maxmemory", "1025gb", "1025gb is out of range: 1mb to 1024gb"},
		{"maxmemory", "99999999999999999999", "99999999999999999999 is out of range"},
		{"maxmemory", "17179869184gb", "17179869184gb is out of range"}, // 2^64
		{"maxmemory", "18446744073709551617%", "is not a percentage"},
		{"maxmemory-clients", "1025gb", "is out of range: 0 to 1024gb"},
		{"memory-region", "1025gb", "is out of range: 0 to 1024gb"},
		{"client-output-buffer-limit", "0", "is out of range: 64kb to 1gb"},
		{"client-query-buffer-limit", "17mb", "is out of range: 16kb to 16mb"},
		{"lfu-log-factor", "-1", "'-1' is not a number"},
		{"maxmemory-samples", "99999999999999999999", "is out of range: 1 to 64"},
		{"jemalloc-dirty-decay-ms", "-2", "'-2' is not -1 or a number of milliseconds"},
		{"jemalloc-dirty-decay-ms", "2147483648", "milliseconds up to 2147483647"},
		{"jemalloc-muzzy-decay-ms", "", "'' is not -1 or a number of milliseconds"},
		{"jemalloc-bg-thread", "1", "'1' is not yes or no"},
		{"disable-thp", "", "'' is not yes or no"},
		{"lazyfree-lazy-user-flush", "YES", "'YES' is not yes or no"},
		{"maxmemory-policy", "", "'' is not one of noeviction,"},
	};
	struct control_config cfg, before;
	char err[256];

	control_config_init(&cfg);
	before = cfg;
	for (size_t n = 0; n < BASE_ARRAY_LEN(names); n++) {
		for (size_t i = 0; i < BASE_ARRAY_LEN(never); i++) {
			assert_int_equal(
				control_config_set(&cfg, names[n], never[i], err, sizeof(err)),
				-EINVAL);
			assert_true(strncmp(err, names[n], strlen(names[n])) == 0);
			assert_non_null(strstr(err,
				strchr(never[i], '%') && n < 2
					? "is not a percentage from 1% to 100%"
					: "is not a size"));
		}
	}
	for (size_t i = 0; i < BASE_ARRAY_LEN(table); i++) {
		assert_int_equal(
			control_config_set(&cfg, table[i][0], table[i][1], err, sizeof(err)),
			-EINVAL);
		if (strstr(err, table[i][2]) == NULL)
			fail_msg("%s '%s' says '%s'", table[i][0], table[i][1], err);
	}
	assert_memory_equal(&cfg, &before, sizeof(cfg)); // nothing was half taken
}

static void file_write(char *path, const char *text)
{
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void command_line_wins_over_the_file(void **state)
{
	char path[] = "/tmp/lcached-test-XXXXXX", line[128], err[256];
	struct control_config cfg;
	int eal;

	file_write(path, "# a comment\n\nmaxmemory 2gb\nworkers 2 # two\nport 99\n");
	snprintf(line, sizeof(line), "-p 100 -f %s", path);
	assert_int_equal(args(&cfg, line, &eal, err, sizeof(err)), 0);
	assert_true(cfg.maxmemory_bytes == 2ull << 30);
	assert_int_equal(cfg.workers, 2);
	assert_int_equal(cfg.tcp_port, 100);
	unlink(path);
}

static void file_errors_name_the_line(void **state)
{
	static const char *const table[][2] = {
		{"port 1\nworkers many\n", ":2: workers: 'many' is not a number"},
		{"port\n", ":1: 'port' wants one value"},
		{"port 1 2\n", ":1: 'port' wants one value"},
		{"color blue\n", ":1: unknown option 'color'"},
		{"maxmemorypolicy noeviction\n", "'maxmemorypolicy'; nearest: maxmemory-policy"},
		{"config other.conf\n", ":1: a file cannot name another"},
	};
	struct control_config cfg;
	char err[256], line[128];
	int eal;

	for (size_t i = 0; i < BASE_ARRAY_LEN(table); i++) {
		char path[] = "/tmp/lcached-test-XXXXXX";

		file_write(path, table[i][0]);
		snprintf(line, sizeof(line), "-f %s", path);
		assert_int_equal(args(&cfg, line, &eal, err, sizeof(err)), -EINVAL);
		if (strstr(err, table[i][1]) == NULL)
			fail_msg("'%s' says '%s', not '%s'", table[i][0], err, table[i][1]);
		unlink(path);
	}
}

static void a_line_that_does_not_fit_is_not_read_as_two(void **state)
{
	char path[] = "/tmp/lcached-test-XXXXXX", text[1100], line[128], err[256];
	struct control_config cfg;
	int eal;

	// the first 1,023 bytes of the second line, and what would be read as the third
	snprintf(text, sizeof(text), "port 1\n#%01022d port 2\n", 0);
	file_write(path, text);
	snprintf(line, sizeof(line), "-f %s", path);
	assert_int_equal(args(&cfg, line, &eal, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, ":2: longer than 1022 bytes"));
	unlink(path);
	snprintf(text, sizeof(text), "port 1\n#%01021d\nport 2\n", 0);
	strcpy(path + strlen(path) - 6, "XXXXXX");
	file_write(path, text);
	snprintf(line, sizeof(line), "-f %s", path);
	assert_int_equal(args(&cfg, line, &eal, err, sizeof(err)), 0);
	assert_int_equal(cfg.tcp_port, 2);
	unlink(path);
}

static void every_option_can_be_read_back_and_set_again(void **state)
{
	struct control_config cfg, copy;
	char value[CONTROL_TEXT_MAX], err[256];
	const char *name;

	control_config_init(&cfg);
	copy = cfg;
	for (unsigned i = 0; (name = control_config_name(i)) != NULL; i++) {
		assert_int_equal(control_config_get(&cfg, name, value, sizeof(value)), 0);
		if (value[0] != '\0')
			assert_int_equal(
				control_config_set(&copy, name, value, err, sizeof(err)), 0);
	}
	assert_memory_equal(&cfg, &copy, sizeof(cfg));
	assert_int_equal(control_config_get(&cfg, "color", value, sizeof(value)), -ENOENT);
	assert_int_equal(control_config_live("maxmemory"), 1);
	assert_int_equal(control_config_live("port"), 0);
	assert_int_equal(control_config_live("color"), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_memcached_s),
		cmocka_unit_test(maxmemory_may_be_a_part),
		cmocka_unit_test(the_delimiter_s_letter_turns_counting_on),
		cmocka_unit_test(short_and_long_options_are_read),
		cmocka_unit_test(the_last_port_may_be_a_shard_s),
		cmocka_unit_test(bad_values_say_what_is_wrong),
		cmocka_unit_test(bad_sizes_say_what_is_wrong),
		cmocka_unit_test(command_line_wins_over_the_file),
		cmocka_unit_test(file_errors_name_the_line),
		cmocka_unit_test(a_line_that_does_not_fit_is_not_read_as_two),
		cmocka_unit_test(every_option_can_be_read_back_and_set_again),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
