// SPDX-License-Identifier: BSD-3-Clause
// Figures of the whole process: the back end's, and what the kernel says.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "mem/mem_internal.h"

#define STAT_RSS_FIELD 24 // of /proc/self/stat, counted from 1: resident pages

// Without stdio: no allocation while memory is being measured. The length, or -errno.
static ssize_t file_read(const char *path, char *buf, size_t len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, len - 1);
	if (n < 0)
		n = -errno;
	close(fd);
	if (n >= 0)
		buf[n] = '\0';
	return n;
}

static uint64_t rss_read(void)
{
	char buf[1024];
	const char *at;

	if (file_read("/proc/self/stat", buf, sizeof(buf)) <= 0)
		return 0;
	at = strrchr(buf, ')'); // field 2 may hold blanks
	for (int field = 2; at != NULL && field < STAT_RSS_FIELD; field++)
		at = strchr(at + 1, ' ');
	return at == NULL ? 0 : strtoull(at, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

// A line "NAME:   123 kB" of a text. 0 where there is none.
static uint64_t line_bytes(const char *text, const char *name)
{
	const char *at = strstr(text, name);

	return at == NULL ? 0 : strtoull(at + strlen(name), NULL, 10) << 10;
}

int mem_resident_read(uint64_t *rss_bytes, uint64_t *hugetlb_bytes)
{
	char buf[4096];

	*rss_bytes = rss_read();
	*hugetlb_bytes = 0;
	if (*rss_bytes == 0)
		return -ENOENT;
	if (file_read("/proc/self/status", buf, sizeof(buf)) > 0)
		*hugetlb_bytes = line_bytes(buf, "\nHugetlbPages:");
	return 0;
}

void mem_process_read(struct mem_process *out)
{
	memset(out, 0, sizeof(*out));
	mem_backend_process_read(out);
	mem_resident_read(&out->rss_bytes, &out->hugetlb_bytes);
}

double mem_frag_ratio(uint64_t small_frag_bytes, uint64_t allocated_bytes)
{
	return allocated_bytes == 0 ? 1.0
				    : 1.0 + (double)small_frag_bytes / (double)allocated_bytes;
}

int mem_private_dirty_read(uint64_t *bytes)
{
	char buf[4096];
	ssize_t n = file_read("/proc/self/smaps_rollup", buf, sizeof(buf));

	if (n < 0)
		return (int)n;
	*bytes = line_bytes(buf, "\nPrivate_Dirty:") + line_bytes(buf, "\nPrivate_Hugetlb:");
	return 0;
}

int mem_thp_disable(void)
{
	return prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) < 0 ? -errno : 0;
}
