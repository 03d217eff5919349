// SPDX-License-Identifier: BSD-3-Clause
#include "binary.h"

#include <string.h>

#include <rte_byteorder.h>

#include "base/base.h"

struct wire { // the header as it is on the wire
	uint8_t magic, opcode;
	rte_be16_t key_len;
	uint8_t extras_len, data_type;
	rte_be16_t status;
	rte_be32_t body_len, opaque;
	uint8_t cas[8];
};

static_assert(sizeof(struct wire) == BINARY_HEADER, "without holes");

char *binary_header_put(char *to, const struct binary_header *h)
{
	struct wire wire = {.magic = h->magic,
		.opcode = h->opcode,
		.key_len = rte_cpu_to_be_16(h->key_len),
		.extras_len = h->extras_len,
		.status = rte_cpu_to_be_16(h->status),
		.body_len = rte_cpu_to_be_32(h->body_len),
		.opaque = rte_cpu_to_be_32(h->opaque)};

	memcpy(to, &wire, sizeof(wire));
	return to + sizeof(wire);
}

char *binary_u32_put(char *to, uint32_t v)
{
	v = rte_cpu_to_be_32(v);
	memcpy(to, &v, sizeof(v));
	return to + sizeof(v);
}

struct binary_header binary_header_read(const char *from)
{
	struct wire wire;

	memcpy(&wire, from, sizeof(wire));
	return (struct binary_header){.magic = wire.magic,
		.opcode = wire.opcode,
		.extras_len = wire.extras_len,
		.key_len = rte_be_to_cpu_16(wire.key_len),
		.status = rte_be_to_cpu_16(wire.status),
		.body_len = rte_be_to_cpu_32(wire.body_len),
		.opaque = rte_be_to_cpu_32(wire.opaque)};
}

uint32_t binary_u32_read(const char *from)
{
	uint32_t v;

	memcpy(&v, from, sizeof(v));
	return rte_be_to_cpu_32(v);
}

size_t binary_head_bytes(const struct binary_header *h)
{
	uint32_t before_value = (uint32_t)h->extras_len + h->key_len;

	if (h->body_len < before_value)
		return SIZE_MAX;
	return BINARY_HEADER + (size_t)(h->status ? h->body_len : before_value);
}

size_t binary_head_take(
	uint8_t magic, const char *have, size_t have_len, const char *data, size_t len, bool *whole)
{
	char header[BINARY_HEADER];
	const char *from = have_len ? have : data;
	struct binary_header h;
	size_t head;

	*whole = false;
	if ((uint8_t)from[0] != magic)
		return 0;
	if (have_len + len < BINARY_HEADER)
		return len;
	if (have_len && have_len < BINARY_HEADER) { // it lies in both
		memcpy(header, have, have_len);
		memcpy(header + have_len, data, BINARY_HEADER - have_len);
		from = header;
	}
	h = binary_header_read(from);
	head = binary_head_bytes(&h);
	if (head == SIZE_MAX)
		return 0;
	*whole = have_len + len >= head;
	return base_min_u64(len, head - have_len);
}
