// SPDX-License-Identifier: BSD-3-Clause
// DPDK's telemetry callbacks get no argument of ours: the server's control core is found by the one
// global of the project.

#include <errno.h>

#include "lcached.h"

static struct control *lcached_control; // writer: main, before registration and after shutdown

static int on_command(const char *cmd, const char *params, struct rte_tel_data *reply)
{
	struct control *c = __atomic_load_n(&lcached_control, __ATOMIC_ACQUIRE);

	return c == NULL ? -1 : control_call(c, cmd, params, reply);
}

int lcached_telemetry_open(struct control *control)
{
	__atomic_store_n(&lcached_control, control, __ATOMIC_RELEASE);
	for (const struct control_command *c = control_commands; c->name != NULL; c++) {
		int rc = rte_telemetry_register_cmd(c->name, on_command, c->help);

		if (rc < 0) {
			base_error("telemetry command %s: %s", c->name, strerror(-rc));
			return rc;
		}
	}
	return 0;
}

// Commands cannot be taken back from DPDK; from now on they answer an error.
void lcached_telemetry_close(void)
{
	__atomic_store_n(&lcached_control, NULL, __ATOMIC_RELEASE);
}
