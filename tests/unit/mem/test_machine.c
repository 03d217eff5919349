// SPDX-License-Identifier: BSD-3-Clause
// What the machine has, read from made-up files; the sum of a configuration against it.
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

#include "mem_test.h"

#define GIB ((uint64_t)1 << 30)

static char root[64];

static void file_write(const char *path, const char *text)
{
	char full[512];
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')) != NULL; p++) {
		*p = '\0';
		mkdir(full, 0700);
		*p = '/';
	}
	f = fopen(full, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int root_make(void **state)
{
	strcpy(root, "/tmp/lcached-mem-XXXXXX");
	if (mkdtemp(root) == NULL)
		return -1;
	file_write("/proc/meminfo",
		"MemTotal:       16777216 kB\nMemFree: 1 kB\nMemAvailable:    8388608 kB\n");
	return 0;
}

static int one_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int root_remove(void **state)
{
	return nftw(root, one_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static struct mem_machine machine(void)
{
	struct mem_machine m;

	assert_int_equal(mem_machine_read(&m, root), 0);
	return m;
}

static void a_bare_machine_has_its_memory_and_no_limit(void **state)
{
	struct mem_machine m = machine();

	assert_int_equal(m.total_bytes, 16 * GIB);
	assert_int_equal(m.available_bytes, 8 * GIB);
	assert_int_equal(m.cgroup_limit_bytes, UINT64_MAX);
	assert_int_equal(m.nodes, 1);
	assert_int_equal(m.huge_total[0], 0);
	assert_int_equal(m.thp, MEM_THP_UNKNOWN);
}

static void the_smallest_limit_of_the_groups_above_holds(void **state)
{
	struct mem_machine m;

	file_write("/proc/self/cgroup", "0::/a.slice/b.service\n");
	file_write("/sys/fs/cgroup/a.slice/memory.max", "4294967296\n");
	file_write("/sys/fs/cgroup/a.slice/memory.current", "1073741824\n");
	file_write("/sys/fs/cgroup/a.slice/b.service/memory.max", "max\n");
	m = machine();
	assert_int_equal(m.cgroup_limit_bytes, 4 * GIB);
	assert_int_equal(m.cgroup_used_bytes, GIB);
	file_write("/sys/fs/cgroup/a.slice/b.service/memory.max", "2147483648\n");
	assert_int_equal(machine().cgroup_limit_bytes, 2 * GIB);
}

static void version_1_of_control_groups_is_read_too(void **state)
{
	file_write("/proc/self/cgroup", "3:cpu:/x\n7:memory:/x\n");
	file_write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
	assert_int_equal(machine().cgroup_limit_bytes, UINT64_MAX);
	file_write("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "1073741824\n");
	assert_int_equal(machine().cgroup_limit_bytes, GIB);
}

static void a_groups_path_that_a_container_does_not_show_falls_back_to_the_mount(void **state)
{
	file_write("/proc/self/cgroup", "0::/docker/abc\n");
	file_write("/sys/fs/cgroup/memory.max", "1073741824\n");
	assert_int_equal(machine().cgroup_limit_bytes, GIB);
}

static void hugepages_are_counted_by_node(void **state)
{
	struct mem_machine m;
	char how[128];

	file_write("/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages", "4\n");
	file_write(
		"/sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages", "3\n");
	file_write(
		"/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages", "100\n");
	file_write(
		"/sys/devices/system/node/node1/hugepages/hugepages-2048kB/free_hugepages", "50\n");
	file_write("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
	m = machine();
	assert_int_equal(m.nodes, 2);
	assert_int_equal(m.huge_total[1], 100);
	assert_int_equal(m.huge_free[0], 3);
	assert_int_equal(m.thp, MEM_THP_MADVISE);
	mem_huge_advice(&m, 1, 28, how, sizeof(how));
	assert_string_equal(how,
		"echo 128 > "
		"/sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages");
	mem_huge_advice(&m, -1, 28, how, sizeof(how));
	assert_string_equal(how, "sysctl vm.nr_hugepages=132");
}

static void a_sum_fits_is_tight_or_too_much(void **state)
{
	struct mem_machine m = {.total_bytes = 16 * GIB,
		.available_bytes = 8 * GIB,
		.cgroup_limit_bytes = UINT64_MAX,
		.nodes = 1};
	struct mem_budget b = {.maxmemory_bytes = 4 * GIB, .mbuf_bytes = GIB};
	char msg[512] = "";

	assert_int_equal(mem_budget_check(&m, &b, msg, sizeof(msg)), MEM_FITS);
	b.index_bytes = 3 * GIB;
	assert_int_equal(mem_budget_check(&m, &b, msg, sizeof(msg)), MEM_TIGHT);
	assert_non_null(strstr(msg, "maxmemory 4096 + packet buffers 1024 + index growth 3072"));
	assert_non_null(strstr(msg, "8192 MiB are still wanted"));
	b.held_bytes = 4 * GIB; // a change while serving
	assert_int_equal(mem_budget_check(&m, &b, msg, sizeof(msg)), MEM_FITS);
	b.held_bytes = 0;
	b.maxmemory_bytes = 20 * GIB;
	assert_int_equal(mem_budget_check(&m, &b, msg, sizeof(msg)), MEM_TOO_MUCH);
	assert_non_null(strstr(msg, "the machine has 16384"));
	b.maxmemory_bytes = GIB;
	b.index_bytes = 0;
	m.cgroup_limit_bytes = GIB;
	assert_int_equal(mem_budget_check(&m, &b, msg, sizeof(msg)), MEM_TOO_MUCH);
	assert_non_null(strstr(msg, "the control group has 1024"));
}

static void a_region_beyond_the_hugepages_is_too_much_with_the_way_out(void **state)
{
	struct mem_machine m = {.total_bytes = 16 * GIB,
		.available_bytes = 8 * GIB,
		.cgroup_limit_bytes = UINT64_MAX,
		.nodes = 1,
		.huge_total = {512},
		.huge_free = {512}};
	struct mem_budget b = {.maxmemory_bytes = GIB, .region_bytes = GIB, .mbuf_bytes = GIB / 2};
	char msg[512] = "";

	assert_int_equal(mem_budget_check(&m, &b, msg, sizeof(msg)), MEM_FITS);
	b.mbuf_huge = true;
	assert_int_equal(mem_budget_check(&m, &b, msg, sizeof(msg)), MEM_TOO_MUCH);
	assert_non_null(strstr(msg, "1536 MiB of hugepages are wanted, 1024 are free"));
	assert_non_null(strstr(msg, "sysctl vm.nr_hugepages=768"));
	b.mbuf_huge = false;
	b.maxmemory_bytes = 2 * GIB;
	assert_int_equal(mem_budget_check(&m, &b, msg, sizeof(msg)), MEM_TIGHT);
}

static void sizes_are_read_with_units_or_as_a_part(void **state)
{
	uint64_t v = 0;

	assert_int_equal(mem_bytes_parse("2gb", 0, &v), 0);
	assert_int_equal(v, 2 * GIB);
	assert_int_equal(mem_bytes_parse("40%", 1000, &v), 0);
	assert_int_equal(v, 400);
	assert_int_equal(mem_bytes_parse("100%", 1000, &v), 0);
	assert_int_equal(mem_bytes_parse("101%", 1000, &v), -ERANGE);
	assert_int_equal(mem_bytes_parse("%", 1000, &v), -EINVAL);
	assert_int_equal(mem_bytes_parse("-1%", 1000, &v), -EINVAL);
	assert_int_equal(mem_bytes_parse("", 1000, &v), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_bare_machine_has_its_memory_and_no_limit, root_make, root_remove),
		cmocka_unit_test_setup_teardown(
			the_smallest_limit_of_the_groups_above_holds, root_make, root_remove),
		cmocka_unit_test_setup_teardown(
			version_1_of_control_groups_is_read_too, root_make, root_remove),
		cmocka_unit_test_setup_teardown(
			a_groups_path_that_a_container_does_not_show_falls_back_to_the_mount,
			root_make, root_remove),
		cmocka_unit_test_setup_teardown(
			hugepages_are_counted_by_node, root_make, root_remove),
		cmocka_unit_test(a_sum_fits_is_tight_or_too_much),
		cmocka_unit_test(a_region_beyond_the_hugepages_is_too_much_with_the_way_out),
		cmocka_unit_test(sizes_are_read_with_units_or_as_a_part),
	};

	base_log_level_set(BASE_LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
