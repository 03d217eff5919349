// SPDX-License-Identifier: BSD-3-Clause
// A crash leaves the flight recorders behind. Only what a signal handler may call is called;
// everything it needs stands ready.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "lcached.h"

#define STACK_BYTES 65536

// The address sanitizer reports crashes itself.
#if defined(__SANITIZE_ADDRESS__)
#define CRASH_HANDLED false
#else
#define CRASH_HANDLED true
#endif

static struct {
	char path[CONTROL_TEXT_MAX + 64];
	struct flight *flight[WORKER_MAX];
	unsigned count; // 0: nothing to write, or it has been begun
	struct base_now start;
	char stack[STACK_BYTES]; // the stack may be what broke
} crash;

static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

static void say(const char *text)
{
	ssize_t n = write(STDERR_FILENO, text, strlen(text));

	(void)n;
}

static void on_crash(int signo)
{
	unsigned count = __atomic_exchange_n(&crash.count, 0, __ATOMIC_ACQ_REL);
	int fd = count ? open(crash.path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600) : -1;

	if (fd >= 0 && flight_write(fd, crash.flight, count, crash.start) == 0) {
		say("lcached: crash: the flight recorders are in ");
		say(crash.path);
		say("\n");
	}
	signal(signo, SIG_DFL);
	raise(signo);
}

void lcached_crash_install(struct worker_group *group, unsigned workers, const char *dir)
{
	stack_t stack = {.ss_sp = crash.stack, .ss_size = sizeof(crash.stack)};
	struct sigaction sa = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK | SA_RESETHAND};

	if (!CRASH_HANDLED)
		return;
	snprintf(crash.path, sizeof(crash.path), "%s/lcached-%d-crash.flight", dir, (int)getpid());
	for (unsigned i = 0; i < workers; i++)
		crash.flight[i] = worker_group_flight(group, i);
	crash.start = base_now_read();
	__atomic_store_n(&crash.count, workers, __ATOMIC_RELEASE);
	sigaltstack(&stack, NULL);
	for (unsigned i = 0; i < BASE_ARRAY_LEN(signals); i++)
		sigaction(signals[i], &sa, NULL);
}

void lcached_crash_remove(void)
{
	__atomic_store_n(&crash.count, 0, __ATOMIC_RELEASE);
}
