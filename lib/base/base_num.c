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

size_t base_u64_format(char *buf, uint64_t v)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	memcpy(buf, digits + at, sizeof(digits) - at);
	return sizeof(digits) - at;
}
