// SPDX-License-Identifier: BSD-3-Clause
// Numbers from outside: strict, bounded by the length given, and without the locale.
#include <errno.h>

#include "base/base.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

int base_u64_parse(const char *s, size_t len, uint64_t *out)
{
	uint64_t v = 0;
	bool over = false;

	if (len == 0)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (!is_digit(s[i]))
			return -EINVAL;
		over |= __builtin_mul_overflow(v, 10, &v);
		over |= __builtin_add_overflow(v, (uint64_t)(s[i] - '0'), &v);
	}
	if (over)
		return -ERANGE;
	*out = v;
	return 0;
}

int base_i64_parse(const char *s, size_t len, int64_t *out)
{
	bool minus = len > 0 && s[0] == '-';
	bool sign = minus || (len > 0 && s[0] == '+');
	uint64_t v;
	int rc = base_u64_parse(s + sign, len - sign, &v);

	if (rc < 0)
		return rc;
	if (v > (uint64_t)INT64_MAX + minus)
		return -ERANGE;
	*out = (int64_t)(minus ? -v : v);
	return 0;
}

static const struct unit {
	char name[3];
	uint64_t bytes;
} units[] = {
	{"", 1},
	{"b", 1},
	{"k", 1000},
	{"kb", 1024},
	{"m", 1000 * 1000},
	{"mb", 1024 * 1024},
	{"g", 1000 * 1000 * 1000},
	{"gb", 1024 * 1024 * 1024},
};

static char to_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
}

static const struct unit *unit_find(const char *s)
{
	char name[3] = "";

	if (strlen(s) > 2)
		return NULL;
	for (size_t i = 0; s[i] != '\0'; i++)
		name[i] = to_lower(s[i]);
	for (size_t i = 0; i < BASE_ARRAY_LEN(units); i++)
		if (strcmp(units[i].name, name) == 0)
			return &units[i];
	return NULL;
}

int base_bytes_parse(const char *s, uint64_t *bytes)
{
	const struct unit *unit;
	size_t digits = 0;
	uint64_t v;
	int rc;

	while (is_digit(s[digits]))
		digits++;
	unit = unit_find(s + digits);
	if (unit == NULL)
		return -EINVAL;
	rc = base_u64_parse(s, digits, &v);
	if (rc < 0)
		return rc;
	if (__builtin_mul_overflow(v, unit->bytes, &v))
		return -ERANGE;
	*bytes = v;
	return 0;
}

// Digits of v, from its bits: 1233 / 4096 is just above the logarithm of 2.
static unsigned digits_count(uint64_t v)
{
	static const uint64_t least[] = {// of so many digits and one more
		0, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000,
		10000000000, 100000000000, 1000000000000, 10000000000000, 100000000000000,
		1000000000000000, 10000000000000000, 100000000000000000, 1000000000000000000,
		10000000000000000000u};
	unsigned n = (unsigned)((64 - __builtin_clzll(v | 1)) * 1233) >> 12;

	return n + (v >= least[n]);
}

// Two digits at a time: a division less for each pair, and nothing to be copied afterwards.
size_t base_u64_format(char *buf, uint64_t v)
{
	static const char pairs[] = "00010203040506070809101112131415161718192021222324"
				    "25262728293031323334353637383940414243444546474849"
				    "50515253545556575859606162636465666768697071727374"
				    "75767778798081828384858687888990919293949596979899";
	unsigned len = digits_count(v);
	char *at = buf + len;

	for (; v >= 100; v /= 100) {
		at -= 2;
		memcpy(at, pairs + 2 * (v % 100), 2);
	}
	if (v >= 10)
		memcpy(at - 2, pairs + 2 * v, 2);
	else
		at[-1] = (char)('0' + v);
	return len;
}
