// SPDX-License-Identifier: BSD-3-Clause
// lcached: start, serve, stop.
//
// Order of start: options > driver file > memory > EAL > device > workers > control > telemetry >
// ready line. Order of stop: drain > workers > telemetry > device > EAL. Every value is checked
// before a device is touched; a wrong one is one line on stderr and exit status 2.

#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "lcached.h"

#define DRAIN_US      3000000
#define DAD_WAIT_US   1100000 // net checks for a second from its first turn on
#define EXIT_BAD_ARGS 2

// One line, whatever the words on the command line hold.
static int bad_args(char *err)
{
	for (char *c = err; *c != '\0'; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	}
	fprintf(stderr, "lcached: %s\n", err);
	return EXIT_BAD_ARGS;
}

// Each of the values that stand in `values` with commas between.
static int driver_set(
	struct lcached *s, const char *name, const char *values, char *err, size_t err_len)
{
	char list[CONTROL_TEXT_MAX], *save, *one;

	memcpy(list, values, sizeof(list));
	for (one = strtok_r(list, ",", &save); one != NULL; one = strtok_r(NULL, ",", &save)) {
		if (port_config_set(&s->port_cfg, name, one, err, err_len) < 0)
			return -EINVAL;
	}
	return 0;
}

// What the command line says about the network wins over the driver file.
static int driver_load(struct lcached *s, char *err, size_t err_len)
{
	if (port_config_load(&s->port_cfg, s->cfg.driver, err, err_len) < 0)
		return -EINVAL;
	if (s->cfg.address[0] != '\0')
		port_config_addresses_clear(&s->port_cfg, s->cfg.gateway[0] != '\0');
	if (driver_set(s, "address", s->cfg.address, err, err_len) < 0 ||
		driver_set(s, "gateway", s->cfg.gateway, err, err_len) < 0)
		return -EINVAL;
	return port_config_check(&s->port_cfg, err, err_len);
}

static void settings_fill(struct lcached *s)
{
	struct worker_settings *t = &s->settings;

	t->maxmemory_bytes = s->cfg.maxmemory_bytes;
	t->item_bytes_max = s->cfg.item_bytes_max;
	t->conns_max = (uint32_t)s->cfg.conns_max;
	t->client_query_bytes = (uint32_t)s->cfg.client_query_bytes;
	t->client_output_bytes = (uint32_t)s->cfg.client_output_bytes;
	t->tcp_port = (uint16_t)s->cfg.tcp_port;
	t->udp_port = (uint16_t)s->cfg.udp_port;
	t->udp_shard_ports = s->cfg.udp_shard_ports;
	t->tcp_congestion = s->cfg.tcp_congestion;
	t->tcp_keepalive_s = s->cfg.tcp_keepalive_s;
	t->tcp_user_timeout_s = s->cfg.tcp_user_timeout_s;
	t->tcp_ecn = s->cfg.tcp_ecn;
	t->language = (uint8_t)control_language(&s->cfg);
	t->locked = s->users_path != NULL;
	t->auth_file = s->users_path;
	t->verbosity = (unsigned)s->cfg.verbosity;
	t->shutdown_enabled = s->cfg.shutdown_enabled;
	t->flush_disabled = s->cfg.flush_disabled;
	t->dump_disabled = s->cfg.dump_disabled;
	t->watch_disabled = s->cfg.watch_disabled;
	t->debug_enabled = s->cfg.debug_enabled;
	t->track_sizes = s->cfg.track_sizes;
	t->prefix_delimiter = s->cfg.prefix_delimiter[0];
	t->start_wall_s = base_now_read().wall_s;
	t->pid = (uint64_t)getpid();
	t->addresses = s->port_cfg.addresses;
	for (unsigned i = 0; i < t->addresses; i++) {
		size_t used = strlen(t->address);
		char text[BASE_IP_TEXT];

		snprintf(t->address + used, sizeof(t->address) - used, "%s%s", i ? "," : "",
			base_ip_format(&s->port_cfg.address[i].ip, text));
	}
}

static void port_print(const char *proto, const struct base_ip *ip, uint64_t port)
{
	bool ip4 = base_ip_is4(ip);
	char text[BASE_IP_TEXT];

	if (port == 0)
		printf("%s off ", proto);
	else
		printf("%s %s%s%s:%u ", proto, ip4 ? "" : "[", base_ip_format(ip, text),
			ip4 ? "" : "]", (unsigned)port);
}

static void ready_print(const struct lcached *s)
{
	printf("lcached ready ");
	for (unsigned i = 0; i < s->port_cfg.addresses; i++) {
		port_print("tcp", &s->port_cfg.address[i].ip, s->cfg.tcp_port);
		port_print("udp", &s->port_cfg.address[i].ip, s->cfg.udp_port);
	}
	printf("workers %u driver %s\n", (unsigned)s->cfg.workers, s->port_cfg.name);
	fflush(stdout);
}

// A worker that hangs is a server that hangs: systemd hears no sign of life.
static void tick(struct lcached *s)
{
	struct base_now now = base_now_read();

	control_tick(s->control, now);
	if (control_stalled(s->control) == 0)
		lcached_notify_alive(&s->notify, now.mono_us);
	control_wait(s->control);
}

// Brings the workers home: no input, connections reset, no slot under way, a snapshot if one is
// wanted, then out of the loop.
static int workers_stop(struct lcached *s)
{
	uint64_t start_us = base_now_read().mono_us, spent_us;
	int rc;

	base_info("stopping");
	lcached_notify_send(&s->notify, "STOPPING=1");
	control_phase_set(s->control, WORKER_PHASE_DRAIN);
	do {
		tick(s);
		spent_us = base_now_read().mono_us - start_us;
	} while (!control_drained(s->control) && spent_us < DRAIN_US);
	if (!control_drained(s->control))
		base_warn("some workers did not drain within %d ms", DRAIN_US / 1000);
	else
		base_info("drained in %u ms", (unsigned)(spent_us / 1000));
	rc = lcached_snapshot_last(s);
	control_domains_set(s->control, NULL);
	control_phase_set(s->control, WORKER_PHASE_EXIT);
	lcached_threads_join(s);
	control_workers_gone(s->control);
	return rc;
}

static void domains_tell(struct lcached *s)
{
	struct mem_domain *domain[WORKER_MAX] = {NULL};

	for (unsigned i = 0; i < s->cfg.workers; i++)
		domain[i] = s->thread[i].mem;
	control_domains_set(s->control, domain);
}

// RFC 4862 5.4: an IPv6 address is not used before nobody has claimed it for a second.
static int addresses_check(struct lcached *s)
{
	struct base_now start = base_now_read();
	uint64_t taken = 0;
	char text[BASE_IP_TEXT];

	if (!port_config_has_ip6(&s->port_cfg))
		return 0;
	while (taken == 0 && !lcached_stop_asked() &&
		base_now_read().mono_us - start.mono_us < DAD_WAIT_US) {
		tick(s);
		taken = control_addresses_taken(s->control);
	}
	if (taken == 0)
		return 0;
	for (unsigned i = 0; i < s->port_cfg.addresses; i++) {
		if (taken >> i & 1)
			base_error("address %s: another host has it",
				base_ip_format(&s->port_cfg.address[i].ip, text));
	}
	if (taken >> s->port_cfg.addresses != 0)
		base_error("the link-local address made from our MAC: another host has it");
	return -EADDRINUSE;
}

static int serve(struct lcached *s)
{
	int rc, last;

	rc = control_open(
		&s->control, &s->cfg, s->group, s->mem, s->port_cfg.name, s->port.offloads);
	if (rc < 0)
		return rc;
	control_phase_set(s->control, WORKER_PHASE_LOAD); // nobody is served by root
	control_port_set(s->control, &s->port);
	control_packet_bytes_set(s->control, s->eal.memory_bytes, s->eal.hugepages);
	rc = lcached_restore_begin(s);
	if (rc < 0)
		goto stop;
	rc = lcached_threads_start(s);
	if (rc < 0)
		goto stop;
	rc = lcached_telemetry_permit(s);
	if (rc == 0)
		rc = lcached_privileges_drop(s);
	if (rc < 0)
		goto stop;
	if (!s->restores)
		control_phase_set(s->control, WORKER_PHASE_RUN);
	domains_tell(s);
	for (unsigned i = 0; i < 5; i++) // every worker has reported once
		tick(s);
	rc = lcached_restore(s);
	if (rc < 0)
		goto stop;
	rc = addresses_check(s);
	if (rc < 0)
		goto stop;
	control_ready(s->control, base_now_read());
	rc = lcached_telemetry_open(s->control);
	if (rc < 0)
		goto stop;
	lcached_signals_serving();
	ready_print(s);
	lcached_notify_send(&s->notify, "READY=1");
	s->served = true;
	while (!lcached_stop_asked() && !control_shutdown_asked(s->control)) {
		tick(s);
		if (lcached_reload_asked())
			lcached_users_reload(s);
	}
stop:
	lcached_restore_cancel(s);
	last = workers_stop(s);
	lcached_restore_end(s);
	if (rc == 0)
		rc = last;
	lcached_telemetry_close();
	return rc;
}

// Refuses what the machine cannot have, warns where it is tight; before a device is touched. The
// kernel would promise memory that it has not, and end the server when it is asked for.
static int memory_check(struct lcached *s)
{
	char msg[512];

	switch (control_memory_check(
		NULL, &s->cfg, s->eal.memory_bytes, s->eal.hugepages, msg, sizeof(msg))) {
	case MEM_TOO_MUCH:
		base_error("memory: %s", msg);
		return -E2BIG;
	case MEM_TIGHT:
		base_warn("memory: %s", msg);
		break;
	case MEM_FITS:
		break;
	}
	return 0;
}

static int run(struct lcached *s, int eal_argc, char **eal_argv, const char *program)
{
	struct port_eal_options eal = {
		.program = program,
		.workers = (unsigned)s->cfg.workers,
		.conns = (unsigned)s->cfg.conns_max,
		.memory_bytes = s->cfg.workers * worker_dpdk_bytes() + capture_dpdk_bytes(),
		.verbose = s->cfg.verbosity > 1,
		.extra_argc = eal_argc,
		.extra_argv = eal_argv,
	};
	unsigned missing;
	int rc;

	rc = port_eal_build(&s->eal, &s->port_cfg, &eal);
	if (rc < 0)
		return rc;
	rc = memory_check(s);
	if (rc == 0)
		rc = port_eal_init(&s->eal);
	if (rc < 0) {
		port_eal_release(&s->eal);
		return rc;
	}
	rc = port_open(&s->port, &s->port_cfg, eal.workers, eal.conns);
	if (rc < 0)
		goto err_port;
	if (s->cfg.udp_shard_ports)
		port_udp_steer(&s->port, &s->port_cfg, (uint16_t)s->cfg.udp_port);
	rc = worker_group_open(&s->group,
		&(struct worker_group_options){.workers = eal.workers,
			.conns_max = eal.conns,
			.seed = s->seed,
			.detail = s->cfg.detail});
	if (rc < 0)
		goto err_group;
	lcached_users_set(s);
	lcached_crash_install(s->group, eal.workers, s->cfg.flight_dir);
	rc = serve(s);
	lcached_crash_remove();
	worker_group_close(s->group);
err_group:
	missing = port_close(&s->port);
	base_log(missing ? BASE_LOG_WARN : BASE_LOG_INFO, "mbufs missing %u", missing);
err_port:
	port_eal_cleanup(&s->eal);
	// Telemetry is closed: nobody calls the control core any more.
	if (s->control != NULL)
		control_close(s->control);
	return rc;
}

int main(int argc, char **argv)
{
	static struct lcached server;
	struct lcached *s = &server;
	char err[1024];
	int eal_args, rc;

	control_config_init(&s->cfg);
	if (control_config_args(&s->cfg, argc, argv, &eal_args, err, sizeof(err)) < 0)
		return bad_args(err);
	if (s->cfg.help || s->cfg.help_man || s->cfg.help_markdown) {
		s->cfg.help               ? control_config_help(stdout)
			: s->cfg.help_man ? control_config_man(stdout)
					  : control_config_markdown(stdout);
		return 0;
	}
	if (s->cfg.version) {
		printf("lcached %s\n", LC_VERSION);
		return 0;
	}
	base_log_level_set(s->cfg.verbosity == 0 ? BASE_LOG_INFO : BASE_LOG_DEBUG);
	if (lcached_user_find(s, err, sizeof(err)) < 0 || driver_load(s, err, sizeof(err)) < 0)
		return bad_args(err);
	if (lcached_restore_check(s, err, sizeof(err)) < 0)
		return bad_args(err);
	if (lcached_users_check(s, err, sizeof(err)) < 0)
		return bad_args(err);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); // for all threads: there is none yet
	lcached_notify_open(&s->notify);
	lcached_signals_install();
	if (mem_backend_probe() < 0 || base_secret_fill(&s->seed, sizeof(s->seed)) < 0)
		return 1;
	settings_fill(s);
	if (s->cfg.disable_thp && mem_thp_disable() < 0)
		base_warn("disable-thp: the kernel refuses");
	if (mem_domain_open(
		    &s->mem, &(struct mem_options){.name = "control core", .numa_node = -1}) < 0)
		return 1;
	rc = run(s, argc - eal_args, argv + eal_args, argv[0]);
	mem_domain_close(s->mem);
	lcached_notify_close(&s->notify);
	return rc == -E2BIG || rc == -EBADMSG ? EXIT_BAD_ARGS : rc < 0 ? 1 : 0;
}
