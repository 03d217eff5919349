// SPDX-License-Identifier: BSD-3-Clause
// Figures of the whole process: the back end's, and the resident set from the kernel.
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "mem/mem_internal.h"

#define STAT_RSS_FIELD 24 // of /proc/self/stat, counted from 1: resident pages

// Without stdio: no allocation while memory is being measured.
static uint64_t rss_read(void)
{
	char buf[1024];
	const char *at;
	ssize_t n;
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return 0;
	buf[n] = '\0';
	at = strrchr(buf, ')'); // field 2 may hold blanks
	for (int field = 2; at != NULL && field < STAT_RSS_FIELD; field++)
		at = strchr(at + 1, ' ');
	return at == NULL ? 0 : strtoull(at, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

void mem_process_read(struct mem_process *out)
{
	memset(out, 0, sizeof(*out));
	mem_backend_process_read(out);
	out->rss_bytes = rss_read();
}
