// SPDX-License-Identifier: BSD-3-Clause
// DPDK's telemetry callbacks get no argument of ours: the server's control core is found by the one
// global of the project. DPDK never ends its threads, so callers are counted.

#include <errno.h>
#include <time.h>

#include "lcached.h"

static struct {
	struct control *control; // writer: main, before registration and at shutdown
	unsigned callers;        // inside on_command
} telemetry;

static int on_command(const char *cmd, const char *params, struct rte_tel_data *reply)
{
	struct control *c;
	int rc = -1;

	__atomic_fetch_add(&telemetry.callers, 1, __ATOMIC_SEQ_CST);
	c = __atomic_load_n(&telemetry.control, __ATOMIC_SEQ_CST);
	if (c != NULL)
		rc = control_call(c, cmd, params, reply);
	__atomic_fetch_sub(&telemetry.callers, 1, __ATOMIC_SEQ_CST);
	return rc;
}

int lcached_telemetry_open(struct control *control)
{
	__atomic_store_n(&telemetry.control, control, __ATOMIC_SEQ_CST);
	for (const struct control_command *c = control_commands; c->name != NULL; c++) {
		int rc = rte_telemetry_register_cmd(c->name, on_command, c->help);

		if (rc < 0) {
			base_error("telemetry command %s: %s", c->name, strerror(-rc));
			return rc;
		}
	}
	return 0;
}

// Commands cannot be taken back from DPDK; from now on they answer an error. Returns when nobody is
// inside any more: callers that wait are sent home, so it is soon.
void lcached_telemetry_close(void)
{
	struct timespec ms = {.tv_nsec = 1000 * 1000};
	struct control *c = telemetry.control;

	__atomic_store_n(&telemetry.control, NULL, __ATOMIC_SEQ_CST);
	if (c == NULL)
		return;
	control_calls_refuse(c);
	while (__atomic_load_n(&telemetry.callers, __ATOMIC_SEQ_CST) > 0)
		nanosleep(&ms, NULL);
}
