// SPDX-License-Identifier: BSD-3-Clause
// Log lines and broken invariants, to stderr. The level is the one piece of global state in lib/.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/base.h"

static int log_level = BASE_LOG_INFO; // atomic; set at start

static const char *const level_names[] = {"error", "warning", "info", "debug"};

void base_log_level_set(enum base_log_level level)
{
	__atomic_store_n(&log_level, (int)level, __ATOMIC_RELAXED);
}

// A line leaves in one write, so that lines of several threads do not mix.
static void line_write(const char *line, size_t len)
{
	while (len > 0) {
		ssize_t n = write(STDERR_FILENO, line, len);

		if (n <= 0)
			return; // nobody to tell
		line += n;
		len -= (size_t)n;
	}
}

void base_log(enum base_log_level level, const char *fmt, ...)
{
	char line[1024];
	size_t len;
	va_list args;
	int n;

	if ((int)level > __atomic_load_n(&log_level, __ATOMIC_RELAXED))
		return;
	len = (size_t)snprintf(line, sizeof(line), "lcached %s: ", level_names[level]);
	va_start(args, fmt);
	n = vsnprintf(line + len, sizeof(line) - len, fmt, args);
	va_end(args);
	if (n > 0)
		len += (size_t)n;
	len = base_min_u64(len, sizeof(line) - 1); // cut, with room for the end of the line
	line[len++] = '\n';
	line_write(line, len);
}

void base_assert_fail(const char *expr, const char *file, int line, const char *func)
{
	base_error("broken invariant at %s:%d in %s: %s", file, line, func, expr);
	abort();
}
