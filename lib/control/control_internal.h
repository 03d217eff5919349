// SPDX-License-Identifier: BSD-3-Clause
// What the files of lib/control share.
#pragma once

#include "control/control.h"
#include "control/control_ledger.h"

// ---- options -----------------------------------------------------------------------------------
enum control_option_type {
	CONTROL_OPTION_BYTES,      // with Redis' units
	CONTROL_OPTION_ITEM_BYTES, // with memcached's
	CONTROL_OPTION_MEGABYTES,  // -m: a plain number of MiB, written to a bytes field
	CONTROL_OPTION_SHARE,      // bytes with Redis' units, or CONTROL_PERCENT and a percentage
	CONTROL_OPTION_NUMBER,
	CONTROL_OPTION_TEXT,
	CONTROL_OPTION_POLICY,
	CONTROL_OPTION_PREFIX,     // A.B.C.D/LEN
	CONTROL_OPTION_ADDRESS,    // A.B.C.D
	CONTROL_OPTION_NOEVICTION, // -M: no value
	CONTROL_OPTION_COUNT,      // -v: no value, counts up
	CONTROL_OPTION_FLAG,       // -h, -V: no value
};

struct control_option {
	const char *name; // NULL: short only
	char letter;      // 0: none
	uint8_t type;
	bool live;
	uint16_t offset;
	uint64_t min, max;
	const char *start; // default, as text
	const char *value; // in --help
	const char *help;
};

// NULL: there is no such option.
const struct control_option *control_option_find(const char *name);
const struct control_option *control_option_letter(char letter);
bool control_option_takes_value(const struct control_option *o);
// 0 or -EINVAL with what is wrong about the value in err.
int control_option_value_set(struct control_config *cfg, const struct control_option *o,
	const char *value, char *err, size_t err_len);

// ---- the control core --------------------------------------------------------------------------
struct control_calls; // commands posted by telemetry threads

// What the last tick saw. used_memory is Redis' word for bytes counted by lib/mem.
struct control_totals {
	struct worker_counters sum;
	uint64_t used_bytes, used_peak_bytes, used_startup_bytes;
	uint64_t peak_wall_s;
	unsigned stalled;
};

struct control {
	struct control_config *cfg;
	struct worker_group *group;
	struct mem_domain *mem;
	const char *driver;
	unsigned workers;
	struct base_now start, now;
	struct control_totals total;
	struct worker_orders orders; // the same for every worker, but for limit_bytes
	struct control_ledger ledger;
	struct worker_report report[WORKER_MAX];
	bool stalled[WORKER_MAX];
	struct control_calls *calls;
};

// maxmemory-clients in bytes; 0: no limit.
uint64_t control_clients_bytes(const struct control_config *cfg);
// Answers one command; on the control core. 0 or -1.
int control_command_run(
	struct control *c, const char *command, const char *params, struct rte_tel_data *reply);
void control_orders_push(struct control *c);

int control_calls_open(struct control *c);
void control_calls_close(struct control *c);
void control_calls_serve(struct control *c);
