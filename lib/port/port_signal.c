// SPDX-License-Identifier: BSD-3-Clause
// Keeping a driver from signals. When the TAP driver starts it takes the first real-time
// signal that nobody handles, and has the kernel send it for every packet that arrives; its bursts
// read nothing before one was delivered. Such signals queue up to the main thread, which runs their
// handler before anything else: under load, or with other programs on its core, it does not come
// to its ticks. A driver that finds no signal free polls the device instead, as others do.
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "port/port_internal.h"

static void signal_ignore(int signo)
{
}

static bool disposition_free(const struct sigaction *sa)
{
	return !(sa->sa_flags & SA_SIGINFO) &&
		(sa->sa_handler == SIG_DFL || sa->sa_handler == SIG_IGN);
}

void port_signals_hold(struct port_signals *held)
{
	static_assert(PORT_SIGNALS_MAX == _NSIG, "one bit a signal");
	struct sigaction sa, taken = {.sa_handler = signal_ignore, .sa_flags = SA_RESTART};

	memset(held, 0, sizeof(*held));
	for (int signo = SIGRTMIN; signo <= SIGRTMAX; signo++) {
		if (sigaction(signo, NULL, &sa) < 0 || !disposition_free(&sa) ||
			sigaction(signo, &taken, NULL) < 0)
			continue;
		held->held[signo] = true;
		held->ignored[signo] = sa.sa_handler == SIG_IGN;
	}
}

void port_signals_release(const struct port_signals *held)
{
	for (int signo = SIGRTMIN; signo <= SIGRTMAX; signo++) {
		if (held->held[signo])
			signal(signo, held->ignored[signo] ? SIG_IGN : SIG_DFL);
	}
}
