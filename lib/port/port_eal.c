// SPDX-License-Identifier: BSD-3-Clause
// EAL's command line: lcores, memory, devices, the operator's own arguments; and its start.
#include <errno.h>
#include <inttypes.h>
#include <numa.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

#include "base/base.h"
#include "port/port_internal.h"

#define OVERHEAD_BYTES \
	(64ull << 20) // EAL's heap, queues of the drivers, hash tables of the libraries
#define CPUS_MAX RTE_MAX_LCORE

__attribute__((format(printf, 2, 3))) static int arg_add(struct port_eal *eal, const char *fmt, ...)
{
	size_t left = sizeof(eal->text) - eal->text_used;
	char *at = eal->text + eal->text_used;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(at, left, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= left || eal->argc >= PORT_EAL_ARGS_MAX) {
		base_error("port: more EAL arguments than fit");
		return -ENOSPC;
	}
	eal->text_used += (size_t)n + 1;
	eal->argv[eal->argc++] = at;
	eal->argv[eal->argc] = NULL;
	return 0;
}

// Does `arg` give the option `name`: --name, --name=value, -n value or -nvalue?
static bool arg_is(const char *arg, const char *name)
{
	size_t len = strlen(name);

	if (strncmp(arg, name, len))
		return false;
	return name[1] != '-' || arg[len] == '\0' || arg[len] == '=';
}

// Has the operator (or the driver's file) given one of these options?
static bool given(
	const struct port_config *cfg, const struct port_eal_options *opt, const char *const *names)
{
	for (; *names; names++) {
		for (int i = 0; i < opt->extra_argc; i++)
			if (arg_is(opt->extra_argv[i], *names))
				return true;
		for (unsigned i = 0; i < cfg->eals; i++)
			if (arg_is(cfg->eal[i], *names))
				return true;
	}
	return false;
}

#define GIVEN(cfg, opt, ...) given(cfg, opt, (const char *const[]){__VA_ARGS__, NULL})

// The CPUs that this process may use, ascending, with their nodes.
static unsigned cpus_list(unsigned *cpus, int *nodes)
{
	bool numa = numa_available() >= 0;
	unsigned n = 0;
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set))
		CPU_ZERO(&set);
	for (unsigned c = 0; c < CPU_SETSIZE && n < CPUS_MAX; c++) {
		if (!CPU_ISSET(c, &set))
			continue;
		nodes[n] = numa ? numa_node_of_cpu((int)c) : 0;
		cpus[n++] = c;
	}
	if (!n) { // EAL will say what is wrong
		cpus[0] = 0;
		nodes[0] = 0;
		n = 1;
	}
	return n;
}

static int lcores_add(
	struct port_eal *eal, const struct port_config *cfg, const struct port_eal_options *opt)
{
	unsigned cpus[CPUS_MAX], count;
	char buf[1024];
	int nodes[CPUS_MAX], rc;

	if (GIVEN(cfg, opt, "--lcores", "-l", "-c"))
		return 0;
	count = cpus_list(cpus, nodes);
	rc = port_lcores_format(
		buf, sizeof(buf), cpus, nodes, count, port_numa_guess(cfg), opt->workers);
	if (rc) {
		base_error("port: %u workers are too many", opt->workers);
		return rc;
	}
	if (count < opt->workers + 1)
		base_info("port: %u CPUs for %u workers and the control core: they share", count,
			opt->workers);
	rc = arg_add(eal, "--lcores=%s", buf);
	return rc ? rc : arg_add(eal, "--main-lcore=0");
}

// Free hugepage bytes of a node (-1: of all nodes).
static uint64_t hugepages_free(int node)
{
	static const unsigned sizes_kb[] = {2048, 1048576};
	uint64_t bytes = 0;

	for (int n = 0; n < RTE_MAX_NUMA_NODES; n++) {
		for (unsigned i = 0; i < BASE_ARRAY_LEN(sizes_kb); i++) {
			uint64_t pages;
			char path[128];
			FILE *f;

			if (node >= 0 && n != node)
				continue;
			snprintf(path, sizeof(path),
				"/sys/devices/system/node/node%d/hugepages/hugepages-%ukB/"
				"free_hugepages",
				n, sizes_kb[i]);
			f = fopen(path, "re");
			if (!f)
				continue;
			if (fscanf(f, "%" SCNu64, &pages) == 1)
				bytes += pages * sizes_kb[i] * 1024;
			fclose(f);
		}
	}
	return bytes;
}

static uint64_t bytes_needed(const struct port_config *cfg, const struct port_eal_options *opt)
{
	unsigned mbufs = port_pool_size(cfg, opt->workers, opt->conns);

	return port_pool_bytes(cfg, mbufs) * opt->workers + OVERHEAD_BYTES + opt->memory_bytes;
}

// --in-memory: no files to leave behind, no hugetlbfs mount needed; --single-file-segments keeps
// the regions that a vhost peer must map below its limit of 8.
static int memory_add(
	struct port_eal *eal, const struct port_config *cfg, const struct port_eal_options *opt)
{
	uint64_t free_mb = hugepages_free(port_numa_guess(cfg)) >> 20;
	uint64_t need_mb = bytes_needed(cfg, opt) >> 20;
	bool ordinary = GIVEN(cfg, opt, "--no-huge"); // EAL alone would take 64 MB then
	int rc;

	eal->memory_bytes = bytes_needed(cfg, opt);
	if (GIVEN(cfg, opt, "--in-memory", "--legacy-mem", "--socket-mem", "-m", "--huge-dir")) {
		eal->hugepages = !ordinary;
		base_info("memory: as the EAL arguments say, %s hugepages",
			eal->hugepages ? "with" : "without");
		return 0;
	}
	eal->hugepages = free_mb >= need_mb && !ordinary;
	if (eal->hugepages) {
		base_info("memory: hugepages (%" PRIu64 " MB free, about %" PRIu64 " MB needed)",
			free_mb, need_mb);
		rc = arg_add(eal, "--in-memory");
		return rc ? rc : arg_add(eal, "--single-file-segments");
	}
	if (cfg->memory == PORT_MEMORY_HUGE) {
		base_error("memory: %s needs hugepages: about %" PRIu64 " MB, %" PRIu64
			   " MB free (scripts/bind-nic hugepages %" PRIu64 "M)",
			cfg->name, need_mb, free_mb, need_mb);
		return -ENOMEM;
	}
	if (ordinary)
		base_info("memory: ordinary pages as the EAL arguments say, about %" PRIu64 " MB",
			need_mb);
	else
		base_info("memory: no hugepages (%" PRIu64 " MB free, about %" PRIu64
			  " MB needed): ordinary pages, slower",
			free_mb, need_mb);
	rc = arg_add(eal, "--no-huge");
	rc = rc ? rc : arg_add(eal, "--no-shconf");
	return rc ? rc : arg_add(eal, "-m%" PRIu64, need_mb);
}

int port_eal_base_args(
	struct port_eal *eal, const struct port_config *cfg, const struct port_eal_options *opt)
{
	int rc;

	base_assert(opt->workers > 0 && opt->workers <= PORT_WORKERS_MAX);
	memset(eal, 0, sizeof(*eal));
	for (unsigned i = 0; i < PORT_VDEVS_MAX; i++)
		eal->claim_fd[i] = -1;
	rc = arg_add(eal, "%s", opt->program ? opt->program : "lcached");
	if (!rc)
		rc = lcores_add(eal, cfg, opt);
	if (!rc)
		rc = memory_add(eal, cfg, opt);
	if (!rc && !cfg->pcis && !GIVEN(cfg, opt, "-a", "--allow", "--no-pci"))
		rc = arg_add(eal, "--no-pci");
	if (!rc && !cfg->pcis && !GIVEN(cfg, opt, "--iova-mode"))
		rc = arg_add(eal, "--iova-mode=va"); // no device sees physical addresses
	if (!rc && opt->file_prefix && !GIVEN(cfg, opt, "--file-prefix"))
		rc = arg_add(eal, "--file-prefix=%s", opt->file_prefix);
	return rc;
}

// Replaces every `%c` in a string of `len` bytes' room. 0 or -ENOSPC.
static int placeholder_replace(char *s, size_t len, char c, const char *with)
{
	const char mark[] = {'%', c, '\0'};
	size_t with_len = strlen(with);

	for (char *p = strstr(s, mark); p; p = strstr(p + with_len, mark)) {
		if (strlen(s) - 2 + with_len >= len)
			return -ENOSPC;
		memmove(p + with_len, p + 2, strlen(p + 2) + 1);
		memcpy(p, with, with_len);
	}
	return 0;
}

static int placeholders_replace(struct port_config *cfg, unsigned queues)
{
	char count[12];
	int rc = 0;

	snprintf(count, sizeof(count), "%u", queues);
	for (unsigned i = 0; !rc && i < cfg->vdevs; i++) {
		rc = placeholder_replace(cfg->vdev[i], sizeof(cfg->vdev[i]), 'q', count);
		if (!rc)
			rc = placeholder_replace(
				cfg->vdev[i], sizeof(cfg->vdev[i]), 'h', cfg->host_iface);
	}
	return rc;
}

int port_eal_args(struct port_config *cfg, unsigned queues, char **argv, int argc, int argv_max)
{
	int rc = placeholders_replace(cfg, queues);

	if (rc)
		return rc;
	if (argc + (int)(2 * cfg->vdevs + 2 * cfg->pcis + cfg->eals) > argv_max)
		return -ENOSPC;
	for (unsigned i = 0; i < cfg->vdevs; i++) {
		argv[argc++] = (char *)(uintptr_t) "--vdev"; // EAL's argv is char **, but only read
		argv[argc++] = cfg->vdev[i];
	}
	for (unsigned i = 0; i < cfg->pcis; i++) {
		argv[argc++] = (char *)(uintptr_t) "-a";
		argv[argc++] = cfg->pci[i];
	}
	for (unsigned i = 0; i < cfg->eals; i++)
		argv[argc++] = cfg->eal[i];
	return argc;
}

// Last on the line, as the first pattern that a log type matches wins: the driver file's may be
// narrower. An operator who gives one gets what he asks for.
static int log_levels_add(struct port_eal *eal, const struct port_eal_options *opt)
{
	int rc = 0;

	for (int i = 0; i < opt->extra_argc; i++)
		if (arg_is(opt->extra_argv[i], "--log-level"))
			return 0;
	if (opt->verbose)
		return 0;
	rc = arg_add(eal, "--log-level=lib.telemetry:error"); // warns of what nobody asked for
	return rc ? rc : arg_add(eal, "--log-level=*:warning");
}

int port_eal_build(
	struct port_eal *eal, struct port_config *cfg, const struct port_eal_options *opt)
{
	unsigned queues = opt->workers < cfg->queues_max ? opt->workers : cfg->queues_max;
	int rc = port_eal_base_args(eal, cfg, opt);

	if (rc)
		return rc;
	rc = port_eal_args(cfg, queues, eal->argv, eal->argc, PORT_EAL_ARGS_MAX);
	if (rc < 0) {
		base_error("port: device arguments: %s", strerror(-rc));
		return rc;
	}
	eal->argc = rc;
	eal->argv[rc] = NULL;
	rc = 0;
	for (int i = 0; !rc && i < opt->extra_argc; i++)
		rc = arg_add(eal, "%s", opt->extra_argv[i]);
	if (!rc)
		rc = log_levels_add(eal, opt);
	if (!rc)
		rc = port_devices_check(eal, cfg);
	if (rc)
		port_eal_release(eal);
	return rc;
}

int port_eal_init(struct port_eal *eal)
{
	char *argv[PORT_EAL_ARGS_MAX + 1]; // getopt reorders it
	struct port_signals signals;
	int rc;

	memcpy(argv, eal->argv, sizeof(argv));
	rte_openlog_stream(stderr);
	signal(SIGPIPE, SIG_IGN); // virtio-user writes to its peer's socket, gone or not
	port_signals_hold(&signals);
	rc = rte_eal_init(eal->argc, argv);
	port_signals_release(&signals);
	if (rc < 0) {
		rc = rte_errno ? -rte_errno : -EINVAL;
		base_error("port: EAL does not start: %s", rte_strerror(-rc));
		port_eal_release(eal);
		return rc;
	}
	return 0;
}

void port_eal_release(struct port_eal *eal)
{
	for (unsigned i = 0; i < PORT_VDEVS_MAX; i++) {
		if (eal->claim_fd[i] >= 0)
			close(eal->claim_fd[i]);
		eal->claim_fd[i] = -1;
	}
}

void port_eal_cleanup(struct port_eal *eal)
{
	rte_eal_cleanup();
	port_eal_release(eal);
}
