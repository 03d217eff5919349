// SPDX-License-Identifier: BSD-3-Clause
// Who may connect while the lists change, how many over all workers, and what answers over UDP cost
// on narrow links.

#include "lab.h"

static struct worker_counters sum(void)
{
	struct worker_counters all = {0}, n;

	for (unsigned i = 0; i < lab->workers; i++) {
		worker_counters_collect(lab->w[i], &n);
		worker_counters_add(&all, &n);
	}
	return all;
}

static struct access_list *list_open(const char *text)
{
	struct access_prefix prefix[ACCESS_PREFIXES_MAX];
	struct access_list *list;
	char err[200];
	unsigned n;

	assert_int_equal(access_prefixes_parse(text, prefix, &n, err, sizeof(err)), 0);
	assert_int_equal(access_list_open(&list, lab->host_mem, prefix, n), 0);
	return list;
}

static void allow_set(const struct access_list *list)
{
	lab->orders.access.allow = list;
	lab->orders.access_seq++;
	lab_orders_push();
	lab_run(2000);
}

// Its SYN came while it might talk, the rest of its handshake does not.
static void half_open_is_not_let_in_by_an_old_list(void **state)
{
	struct access_list *others;
	struct client *c;

	lab_open(&(struct lab_options){.workers = 1});
	others = list_open("192.0.2.0/24");
	client_abort(client_connect()); // where the server is
	c = client_new(0);
	lab_run(LAB_STEP_US);
	lab->host_paused = true;
	lab_run(10 * LAB_STEP_US);
	assert_int_equal(sum().tcp.passive_opens, 2);
	allow_set(others);
	lab->host_paused = false;
	client_sendf(c, "mn\r\n");
	lab_run(50000);
	assert_int_equal(c->in_len, 0);
	assert_true(c->closed);
	assert_int_equal(sum().conns, 0);
	assert_int_equal(sum().conns_disallowed, 1);
	allow_set(NULL);
	access_list_close(others);
	client_free(c);
	lab_close();
}

// What belongs to no connection is answered by a reset, but not to them.
static void strays_of_who_may_not_talk_get_no_answer(void **state)
{
	static const uint16_t port[] = {11211, 80};
	struct access_list *others;

	lab_open(&(struct lab_options){.workers = 1});
	others = list_open("192.0.2.0/24");
	client_abort(client_connect());
	for (unsigned i = 0; i < BASE_ARRAY_LEN(port); i++) {
		struct base_ip server = lab->net.address[0].ip;
		struct client *c = client_connect();
		uint64_t resets = sum().tcp.resets_out, silent = sum().tcp.not_admitted;

		allow_set(others); // which resets it
		assert_int_equal(sum().tcp.resets_out, resets + 1);
		c->tcp = tcp_connect(
			lab->host_tcp, &server, port[i], TCP_LOCAL_ANY, 0, lab->now.mono_us);
		assert_non_null(c->tcp);
		tcp_user_set(c->tcp, c);
		lab_run(10000);
		assert_int_equal(sum().tcp.resets_out, resets + 1);
		assert_int_equal(sum().tcp.not_admitted, silent + 1);
		client_abort(c);
		allow_set(NULL);
	}
	access_list_close(others);
	lab_close();
}

static unsigned served(struct client *const *c, unsigned n)
{
	unsigned count = 0;

	for (unsigned i = 0; i < n; i++) {
		client_sendf(c[i], "mn\r\n");
		client_wait(c[i], 4);
		count += c[i]->in_len == 4 && memcmp(c[i]->in, "MN\r\n", 4) == 0;
	}
	return count;
}

// However they are spread over the workers.
static void connections_in_all_are_as_many_as_allowed(void **state)
{
	enum { MOST = 20, MORE = 60 };
	struct client *c[MORE];

	lab_open(&(struct lab_options){.workers = 3, .conns_max = MOST});
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < MORE; i++)
			c[i] = client_connect();
		assert_int_equal(served(c, MORE), MOST);
		assert_int_equal(sum().conns, MOST);
		assert_int_equal(access_sources_total(worker_sources(lab->w[0]->group)), MOST);
		assert_int_equal(sum().conns_refused, (round + 1) * (MORE - MOST));
		for (unsigned i = 0; i < MORE; i++)
			client_free(c[i]);
		lab_run(50000);
		assert_int_equal(access_sources_total(worker_sources(lab->w[0]->group)), 0);
	}
	lab_close();
}

// Refused for their source, they do not close: others have room still.
static void refused_clients_of_a_source_leave_room_for_others(void **state)
{
	enum { MOST = 200, OWN = 2 };
	struct client *c[MOST];
	unsigned lingering;

	lab_open(&(struct lab_options){.workers = 1, .conns_max = MOST});
	lab->orders.access.conns_source = OWN;
	lab->orders.access_seq++;
	lab_orders_push();
	for (unsigned i = 0; i < MOST; i++)
		c[i] = client_connect();
	lab_run(50000);
	lingering = tcp_conns(lab->w[0]->tcp);
	assert_int_equal(sum().conns, OWN);
	assert_int_equal(sum().conns_source_refused, MOST - OWN);
	assert_in_range(lingering, OWN, OWN + WORKER_CONNS_SPARE + 1);
	for (unsigned i = 0; i < MOST; i++)
		client_free(c[i]);
	lab_close();
}

// A request of many short ones and its answer are equally long; where the answer leaves in three
// packets it would be more than came in.
static void packets_of_a_narrow_link_count(void **state)
{
	char request[4 * 300];

	for (unsigned i = 0; i < sizeof(request); i += 4)
		memcpy(request + i, "mn\r\n", 4);
	for (unsigned narrow = 0; narrow < 2; narrow++) {
		lab_open(&(struct lab_options){.workers = 1, .mtu = narrow ? 600 : 1500});
		lab->orders.access.udp_allow = NULL;
		lab->orders.access_seq++;
		lab_orders_push();
		udp_send(request, sizeof(request), 1);
		lab_run(20000);
		assert_int_equal(sum().udp_requests, 1);
		assert_int_equal(lab->udp_len, narrow ? 0 : sizeof(request) + 8);
		assert_int_equal(sum().udp_amplified, narrow);
		lab->udp_len = 0;
		udp_send(request, 40, 1);
		lab_run(20000);
		assert_int_equal(lab->udp_len, 48);
		lab_close();
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(half_open_is_not_let_in_by_an_old_list),
	cmocka_unit_test(strays_of_who_may_not_talk_get_no_answer),
	cmocka_unit_test(connections_in_all_are_as_many_as_allowed),
	cmocka_unit_test(refused_clients_of_a_source_leave_room_for_others),
	cmocka_unit_test(packets_of_a_narrow_link_count),
};

LAB_MAIN("access", tests)
