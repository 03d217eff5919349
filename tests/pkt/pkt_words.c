// SPDX-License-Identifier: BSD-3-Clause
// The words of a line: numbers, ranges, times, flags.
#include "pkt.h"

unsigned pkt_words(char *line, char **words, unsigned max)
{
	unsigned n = 0;
	char *save = NULL;

	for (char *w = strtok_r(line, " \t\n", &save); w != NULL && n < max && *w != '#';
		w = strtok_r(NULL, " \t\n", &save))
		words[n++] = w;
	return n;
}

bool pkt_flags(const char *word, uint8_t *flags)
{
	static const char letters[] = "FSRP.UEW"; // by bit
	uint8_t f = 0;

	for (; *word != '\0'; word++) {
		const char *at = strchr(letters, *word);

		if (at == NULL)
			return false;
		f |= (uint8_t)(1 << (at - letters));
	}
	*flags = f;
	return true;
}

bool pkt_number(const char *word, int64_t *v)
{
	char *end;

	*v = strtoll(word, &end, 0);
	return end != word && *end == '\0';
}

bool pkt_within(const char *word, int64_t v)
{
	const char *dots = strstr(word, "..");
	char *end;
	int64_t low, high;

	if (strcmp(word, "*") == 0)
		return true;
	low = strtoll(word, &end, 0);
	high = dots ? strtoll(dots + 2, &end, 0) : low;
	return *end == '\0' && v >= low && v <= high;
}

static bool time_unit(const char *unit, double *us)
{
	if (strcmp(unit, "us") == 0)
		*us = 1;
	else if (strcmp(unit, "ms") == 0)
		*us = 1e3;
	else if (strcmp(unit, "s") == 0)
		*us = 1e6;
	else
		return false;
	return true;
}

// A time alone may be 2 ms late: the stack's timers have ticks of 1 ms.
bool pkt_time(const char *word, uint64_t *low_us, uint64_t *high_us)
{
	const char *dots = strstr(word, "..");
	char *end;
	double low = strtod(word, &end), high, unit;

	if (dots != NULL && end > dots) // "190." took a dot of the range
		end = (char *)(uintptr_t)dots;
	if (dots != NULL) {
		high = strtod(dots + 2, &end);
		if (!time_unit(end, &unit))
			return false;
	} else {
		if (!time_unit(end, &unit))
			return false;
		high = low + 2e3 / unit;
	}
	*low_us = (uint64_t)(low * unit);
	*high_us = (uint64_t)(high * unit);
	return *low_us <= *high_us;
}
