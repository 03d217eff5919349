// SPDX-License-Identifier: BSD-3-Clause
#include "cluster.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

#define FIELDS    10
#define FIELD_MAX 512
#define ROW_MAX   2048
#define TTL_MAX_S 2592000 // beyond, a number is a date

enum { KEY_BYTES = 2, VALUE_BYTES = 3, TTL_MIX = 7, OPERATIONS = 8, ZIPF = 9 };

// Fields between commas; one in quotes may have commas. Returns how many there are.
static unsigned fields_split(const char *line, char field[FIELDS][FIELD_MAX])
{
	unsigned n = 0;

	while (n < FIELDS) {
		bool quoted = *line == '"';
		size_t len;

		line += quoted;
		len = strcspn(line, quoted ? "\"\r\n" : ",\r\n");
		if (len >= FIELD_MAX)
			return 0;
		memcpy(field[n], line, len);
		field[n++][len] = '\0';
		line += len;
		line += quoted && *line == '"';
		if (*line != ',')
			break;
		line++;
	}
	return n;
}

static int size_parse(const char *text, uint32_t *out)
{
	uint64_t v;

	if (base_u64_parse(text, strlen(text), &v) || v == 0 || v > UINT32_MAX)
		return -EINVAL;
	*out = (uint32_t)v;
	return 0;
}

// "240s:1.00", "4d:0.59, 2d:0.41": the first is the most frequent.
static int ttl_parse(const char *text, uint32_t *out)
{
	static const struct {
		char name;
		uint32_t s;
	} unit[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	char *end;
	double v = strtod(text, &end);

	*out = 0;
	if (end == text)
		return 0;
	for (unsigned i = 0; i < BASE_ARRAY_LEN(unit); i++) {
		if (*end != unit[i].name)
			continue;
		*out = (uint32_t)base_min_u64((uint64_t)(v * unit[i].s), TTL_MAX_S);
		return v > 0 ? 0 : -EINVAL;
	}
	return -EINVAL;
}

// "get:0.93 set:0.07"
static int gets_parse(const char *text, double *out)
{
	double gets = 0, all = 0;

	while (*text) {
		size_t name = strcspn(text, ":");
		char *end;
		double share;

		if (text[name] != ':')
			return -EINVAL;
		share = strtod(text + name + 1, &end);
		if (end == text + name + 1 || !(share >= 0 && share <= 1))
			return -EINVAL;
		all += share;
		if (!strncmp(text, "get:", 4) || !strncmp(text, "gets:", 5))
			gets += share;
		text = end + strspn(end, " ,");
	}
	if (all <= 0)
		return -EINVAL;
	*out = gets / all;
	return 0;
}

int cluster_parse(const char *line, struct cluster *out)
{
	char field[FIELDS][FIELD_MAX];

	*out = (struct cluster){0};
	if (fields_split(line, field) != FIELDS || size_parse(field[KEY_BYTES], &out->key_bytes) ||
		size_parse(field[VALUE_BYTES], &out->value_bytes) ||
		ttl_parse(field[TTL_MIX], &out->ttl_s) ||
		gets_parse(field[OPERATIONS], &out->get_ratio))
		return -EINVAL;
	out->zipf = strtod(field[ZIPF], NULL); // "NA": not known, as good as 0
	return out->zipf >= 0 ? 0 : -EINVAL;
}

int cluster_read(const char *path, uint64_t number, struct cluster *out)
{
	char line[ROW_MAX], name[32];
	FILE *f = fopen(path, "re");
	int rc = -ENOENT;
	size_t len;

	if (f == NULL)
		return -errno;
	len = (size_t)snprintf(name, sizeof(name), "cluster%" PRIu64 ",", number);
	while (rc == -ENOENT && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, len))
			rc = cluster_parse(line, out);
	fclose(f);
	return rc;
}
