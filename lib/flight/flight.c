// SPDX-License-Identifier: BSD-3-Clause
// Rings to a file. The file explains itself: its table says how each type is printed, so that a
// decoder of another version reads it.
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "flight/flight.h"

#define FILE_MAGIC   "lcflight"
#define FILE_VERSION 1
// enum proto_op
#define OPS \
	"get|end|set|delete|arithmetic|touch|mg|mn|me|flush_all|stats|version|verbosity|quit|" \
	"error|close|auth|admin"
// enum tcp_state
#define STATES \
	"CLOSED|SYN-SENT|SYN-RECEIVED|ESTABLISHED|CLOSE-WAIT|FIN-WAIT-1|FIN-WAIT-2|CLOSING|" \
	"LAST-ACK"
#define DROPS "flags|checksum|option|no connection"

// A line a type: name, then how a, b and c are shown. {x} hexadecimal, {d} decimal, {p} two ports,
// {i} an IPv4 address, {s} connection << 8 | status, {k} four characters, {o:A|B|C} a word of a
// list. "-": not used.
static const char table[] = "none\t-\t-\t-\n"
			    "request\t{o:" OPS "}\t{s}\tkey ..{k}\n"
			    "turn-long\tupkeep {o:none|store|memory|store and memory}\t{d} us\t-\n"
			    "stall\t-\tconn {x}\t-\n"
			    "client-evicted\t-\tconn {x}\t{d} bytes\n"
			    "flush\t-\t-\t-\n"
			    "tcp-open\t{o:by the peer|by us}\tconn {x}\t{p}\n"
			    "tcp-peer\t-\tconn {x}\t{i}\n"
			    "tcp-close\tin {o:" STATES "}\tconn {x}\t-\n"
			    "tcp-rst-in\t-\tconn {x}\t-\n"
			    "tcp-rst-out\t-\t-\t{p}\n"
			    "tcp-rto\tattempt {d}\tconn {x}\tafter {d} us\n"
			    "tcp-recovery\t-\tconn {x}\tcwnd {d}\n"
			    "tcp-probe\t{o:window|loss}\tconn {x}\t-\n"
			    "tcp-drop\t{o:" DROPS "}\t-\t{p}\n";

struct file_head {
	char magic[8];
	uint32_t version, table_bytes, rings, record_bytes;
	uint64_t wall_us, mono_us;
};

struct file_ring {
	char name[FLIGHT_NAME_MAX];
	uint32_t kind; // 0 events, 1 requests
	uint32_t records;
	uint64_t next; // when the first of them was written; once more behind the last
};

void flight_init(struct flight *f, const char *name)
{
	memset(f, 0, sizeof(*f));
	strncpy(f->name, name, sizeof(f->name) - 1);
	f->requests = (struct flight_ring){.mask = FLIGHT_REQUESTS - 1, .record = f->room};
	f->events = (struct flight_ring){
		.mask = FLIGHT_EVENTS - 1, .record = f->room + FLIGHT_REQUESTS};
}

static int bytes_write(int fd, const void *bytes, size_t len)
{
	const char *at = bytes;

	while (len > 0) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += n;
		len -= (size_t)n;
	}
	return 0;
}

// The records as they are in memory. Those that the owner overwrote meanwhile are known by how far
// it has got afterwards.
static int ring_write(int fd, const struct flight *f, const struct flight_ring *r, uint32_t kind)
{
	struct file_ring head = {.kind = kind, .records = r->mask + 1};
	uint64_t next;
	int rc;

	memcpy(head.name, f->name, sizeof(head.name));
	head.next = __atomic_load_n(&r->next, __ATOMIC_ACQUIRE);
	rc = bytes_write(fd, &head, sizeof(head));
	if (!rc)
		rc = bytes_write(fd, r->record, (size_t)head.records * sizeof(*r->record));
	next = __atomic_load_n(&r->next, __ATOMIC_ACQUIRE);
	return rc ? rc : bytes_write(fd, &next, sizeof(next));
}

int flight_write(int fd, struct flight *const *flights, unsigned count, struct base_now now)
{
	struct file_head head = {.magic = FILE_MAGIC,
		.version = FILE_VERSION,
		.table_bytes = sizeof(table) - 1,
		.rings = 2 * count,
		.record_bytes = sizeof(struct flight_record),
		.wall_us = now.wall_s * 1000000,
		.mono_us = now.mono_us};
	int rc = bytes_write(fd, &head, sizeof(head));

	if (!rc)
		rc = bytes_write(fd, table, sizeof(table) - 1);
	for (unsigned i = 0; i < count && !rc; i++) {
		rc = ring_write(fd, flights[i], &flights[i]->events, 0);
		if (!rc)
			rc = ring_write(fd, flights[i], &flights[i]->requests, 1);
	}
	return rc;
}
