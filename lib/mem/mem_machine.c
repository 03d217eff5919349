// SPDX-License-Identifier: BSD-3-Clause
// What the machine and the process's control groups have: memory, nodes, hugepages.
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "mem/mem_internal.h"

#define PATH_BYTES 512
#define HUGE_DIR   "hugepages/hugepages-2048kB"

// The beginning of a file as text; the length, or -errno.
__attribute__((format(printf, 3, 4))) static ssize_t file_text(
	char *buf, size_t len, const char *fmt, ...)
{
	char path[PATH_BYTES];
	va_list args;
	ssize_t n;
	int fd;

	va_start(args, fmt);
	vsnprintf(path, sizeof(path), fmt, args);
	va_end(args);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, buf, len - 1);
	close(fd);
	if (n < 0)
		return -EIO;
	buf[n] = '\0';
	return n;
}

static int total_read(struct mem_machine *m, const char *root)
{
	char buf[4096];
	const char *total, *available;
	ssize_t n = file_text(buf, sizeof(buf), "%s/proc/meminfo", root);

	if (n < 0)
		return (int)n;
	total = strstr(buf, "MemTotal:");
	available = strstr(buf, "MemAvailable:");
	if (total == NULL || available == NULL)
		return -EINVAL;
	m->total_bytes = strtoull(total + strlen("MemTotal:"), NULL, 10) << 10;
	m->available_bytes = strtoull(available + strlen("MemAvailable:"), NULL, 10) << 10;
	return 0;
}

// ---- control groups ----------------------------------------------------------------------------
struct cgroup_files {
	const char *mount, *limit, *used;
};

// "max", and version 1's huge number, mean none.
static void group_read(
	struct mem_machine *m, const char *root, const struct cgroup_files *f, const char *path)
{
	char buf[64];
	uint64_t limit;

	if (file_text(buf, sizeof(buf), "%s%s%s/%s", root, f->mount, path, f->limit) <= 0 ||
		buf[0] < '0' || buf[0] > '9')
		return;
	limit = strtoull(buf, NULL, 10);
	if (limit >= m->cgroup_limit_bytes || limit >= INT64_MAX / 2)
		return;
	m->cgroup_limit_bytes = limit;
	m->cgroup_used_bytes = 0;
	if (file_text(buf, sizeof(buf), "%s%s%s/%s", root, f->mount, path, f->used) > 0)
		m->cgroup_used_bytes = strtoull(buf, NULL, 10);
}

// This group and all above it. In a container the group's path may not exist under the mount:
// there the mount itself is the group.
static void groups_read(
	struct mem_machine *m, const char *root, const struct cgroup_files *f, const char *line)
{
	char path[PATH_BYTES / 2];

	snprintf(path, sizeof(path), "%.*s", (int)strcspn(line, "\n"), line);
	while (path[0] != '\0') {
		char *slash = strrchr(path, '/');

		group_read(m, root, f, strcmp(path, "/") == 0 ? "" : path);
		if (slash == NULL)
			break;
		*slash = '\0';
	}
	group_read(m, root, f, "");
}

static void cgroup_read(struct mem_machine *m, const char *root)
{
	static const struct cgroup_files v1 = {
		"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"};
	static const struct cgroup_files v2 = {"/sys/fs/cgroup", "memory.max", "memory.current"};
	char buf[4096];
	const char *at;

	m->cgroup_limit_bytes = UINT64_MAX;
	if (file_text(buf, sizeof(buf), "%s/proc/self/cgroup", root) <= 0)
		return;
	at = strstr(buf, ":memory:");
	if (at != NULL)
		groups_read(m, root, &v1, at + strlen(":memory:"));
	at = strncmp(buf, "0::", 3) == 0 ? buf : strstr(buf, "\n0::");
	if (at != NULL)
		groups_read(m, root, &v2, strstr(at, "::") + 2);
}

// ---- hugepages ---------------------------------------------------------------------------------
static bool huge_read(struct mem_machine *m, const char *root, const char *dir, unsigned int node)
{
	char buf[32];

	if (file_text(buf, sizeof(buf), "%s%s/" HUGE_DIR "/nr_hugepages", root, dir) <= 0)
		return false;
	m->huge_total[node] = strtoull(buf, NULL, 10);
	if (file_text(buf, sizeof(buf), "%s%s/" HUGE_DIR "/free_hugepages", root, dir) > 0)
		m->huge_free[node] = strtoull(buf, NULL, 10);
	return true;
}

static void nodes_read(struct mem_machine *m, const char *root)
{
	char dir[64];

	m->nodes = 0;
	for (unsigned int n = 0; n < MEM_NODES; n++) {
		snprintf(dir, sizeof(dir), "/sys/devices/system/node/node%u", n);
		if (huge_read(m, root, dir, n))
			m->nodes = n + 1;
	}
	if (m->nodes > 0)
		return;
	m->nodes = 1;
	huge_read(m, root, "/sys/kernel/mm", 0);
}

static void thp_read(struct mem_machine *m, const char *root)
{
	char buf[64];

	m->thp = MEM_THP_UNKNOWN;
	if (file_text(buf, sizeof(buf), "%s/sys/kernel/mm/transparent_hugepage/enabled", root) <= 0)
		return;
	if (strstr(buf, "[always]") != NULL)
		m->thp = MEM_THP_ALWAYS;
	else if (strstr(buf, "[madvise]") != NULL)
		m->thp = MEM_THP_MADVISE;
	else if (strstr(buf, "[never]") != NULL)
		m->thp = MEM_THP_NEVER;
}

int mem_machine_read(struct mem_machine *out, const char *root)
{
	int rc;

	memset(out, 0, sizeof(*out));
	rc = total_read(out, root);
	if (rc < 0)
		return rc;
	cgroup_read(out, root);
	nodes_read(out, root);
	thp_read(out, root);
	return 0;
}

void mem_huge_advice(
	const struct mem_machine *m, int numa_node, uint64_t pages, char *buf, size_t len)
{
	uint64_t total = 0;

	if (numa_node >= 0 && (unsigned int)numa_node < m->nodes) {
		snprintf(buf, len,
			"echo %llu > /sys/devices/system/node/node%d/" HUGE_DIR "/nr_hugepages",
			(unsigned long long)(m->huge_total[numa_node] + pages), numa_node);
		return;
	}
	for (unsigned int n = 0; n < m->nodes; n++)
		total += m->huge_total[n];
	snprintf(buf, len, "sysctl vm.nr_hugepages=%llu", (unsigned long long)(total + pages));
}
