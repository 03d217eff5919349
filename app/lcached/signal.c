// SPDX-License-Identifier: BSD-3-Clause
// SIGTERM and SIGINT end the server, SIGHUP has it read its users again.

#include <signal.h>
#include <unistd.h>

#include "lcached.h"

static volatile sig_atomic_t serving, stop_asked, reload_asked;

static void on_signal(int signo)
{
	// A virtio-user server blocks EAL's start until its peer connects. There is nothing to lose
	// yet, and stale sockets are removed by the next start.
	if (!serving)
		_exit(0);
	stop_asked = 1;
}

static void on_hangup(int signo)
{
	reload_asked = 1;
}

void lcached_signals_install(void)
{
	struct sigaction sa = {.sa_handler = on_signal};
	struct sigaction hangup = {.sa_handler = on_hangup, .sa_flags = SA_RESTART};

	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGHUP, &hangup, NULL);
	signal(SIGPIPE, SIG_IGN);
}

void lcached_signals_serving(void)
{
	serving = 1;
}

bool lcached_stop_asked(void)
{
	return stop_asked != 0;
}

bool lcached_reload_asked(void)
{
	if (reload_asked == 0)
		return false;
	reload_asked = 0; // before the file is read: what comes meanwhile counts
	return true;
}
