// SPDX-License-Identifier: BSD-3-Clause
#include "dpdk.h"

static bool writer_grow(struct dpdk_writer *w)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(w->pool);

	if (m == NULL) {
		w->failed = true;
		return false;
	}
	w->room = RTE_MIN(w->mss, rte_pktmbuf_tailroom(m));
	if (w->head == NULL) {
		w->head = m;
	} else {
		w->tail->next = m;
		w->head->nb_segs++;
	}
	w->tail = m;
	return true;
}

void dpdk_writer_put(struct dpdk_writer *w, const char *bytes, size_t len)
{
	while (len) {
		uint16_t n;

		if (w->room == 0 && !writer_grow(w))
			return;
		n = (uint16_t)RTE_MIN(len, (size_t)w->room);
		memcpy(rte_pktmbuf_mtod_offset(w->tail, char *, w->tail->data_len), bytes, n);
		w->tail->data_len += n;
		w->head->pkt_len += n;
		w->room -= n;
		bytes += n;
		len -= n;
	}
}
