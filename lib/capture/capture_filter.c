// SPDX-License-Identifier: BSD-3-Clause
// tcpdump's filters: libpcap compiles them to classic BPF, DPDK that to its own and to machine
// code.
#define ALLOW_EXPERIMENTAL_API // rte_bpf_convert
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <pcap/pcap.h>

#include <rte_bpf.h>
#include <rte_errno.h>
#include <rte_malloc.h>

#include "capture/capture_internal.h"

#define REGISTER_X EBPF_REG_7 // where rte_bpf_convert keeps classic BPF's index

// libpcap would ask name servers for any other word, and whoever compiles would wait for them.
static const char *const words[] = {"ah", "and", "arp", "bcc", "broadcast", "dst", "esp", "ether",
	"fddi", "geneve", "greater", "host", "icmp", "icmp6", "icmp-echo", "icmp-echoreply",
	"icmp-unreach", "icmp-timxceed", "icmp-paramprob", "icmp-redirect", "icmp6-echo",
	"icmp6-echoreply", "icmp6-destinationunreach", "icmp6-packettoobig", "icmp6-timeexceeded",
	"icmp6-parameterproblem", "icmp6-multicastlistenerquery", "icmp6-neighborsolicit",
	"icmp6-neighboradvert", "icmp6-routersolicit", "icmp6-routeradvert", "icmp6-redirect",
	"icmp6code", "icmp6type", "icmpcode", "icmptype", "igmp", "igrp", "ip", "ip6", "len",
	"less", "link", "llc", "mask", "mpls", "multicast", "net", "not", "or", "pim", "port",
	"portrange", "pppoed", "pppoes", "proto", "protochain", "rarp", "sctp", "src", "tcp",
	"tcp-ack", "tcp-cwr", "tcp-ece", "tcp-fin", "tcp-push", "tcp-rst", "tcp-syn", "tcp-urg",
	"tcpflags", "udp", "vlan", "vrrp", "vxlan", NULL};

static const char *word_name(unsigned i)
{
	return words[i];
}

// A keyword, a number, or an address: nothing that has to be looked up.
static bool word_known(const char *w)
{
	size_t len = strlen(w);

	for (unsigned i = 0; words[i] != NULL; i++) {
		if (strcmp(w, words[i]) == 0)
			return true;
	}
	if (strspn(w, "0123456789abcdefABCDEF:.") == len && strchr(w, ':') != NULL)
		return true;
	if (w[0] == '0' && (w[1] == 'x' || w[1] == 'X'))
		return strspn(w + 2, "0123456789abcdefABCDEF") == len - 2;
	return strspn(w, "0123456789.-") == len;
}

static int words_check(const char *text, char *err, size_t err_len)
{
	char w[64];

	while (*text != '\0') {
		size_t n = 0;

		while (isalnum((unsigned char)text[n]) ||
			(text[n] != '\0' && strchr("_.:-", text[n])))
			n++;
		// proto[offset:size] and a - b: the colon and the minus of no word
		if (n == 0 || (n == 1 && !isalnum((unsigned char)*text))) {
			text++;
			continue;
		}
		snprintf(w, sizeof(w), "%.*s", (int)n, text);
		if (n >= sizeof(w) || !word_known(w)) {
			const char *near = base_name_nearest(w, word_name);

			snprintf(err, err_len, "filter: '%s' is no keyword (%s%s)", w,
				near ? "nearest: "
				     : "names are not looked up: give addresses and numbers",
				near ? near : "");
			return -EINVAL;
		}
		text += n;
	}
	return 0;
}

// rte_bpf_convert of DPDK 22.11 takes the size of an indirect load (tcp[13]: byte 13 behind
// register X) for the choice of its register: bytes and words come from behind A, halves alone from
// behind X.
static struct rte_bpf *program_mend(const struct rte_bpf_prm *prm)
{
	struct rte_bpf_prm mended = *prm;
	struct ebpf_insn *ins = malloc(prm->nb_ins * sizeof(*ins));
	struct rte_bpf *program;

	if (ins == NULL) {
		rte_errno = ENOMEM;
		return NULL;
	}
	memcpy(ins, prm->ins, prm->nb_ins * sizeof(*ins));
	for (uint32_t i = 0; i < prm->nb_ins; i++) {
		if (BPF_CLASS(ins[i].code) == BPF_LD && BPF_MODE(ins[i].code) == BPF_IND)
			ins[i].src_reg = REGISTER_X;
	}
	mended.ins = ins;
	program = rte_bpf_load(&mended); // copies them
	free(ins);
	return program;
}

static int program_load(
	struct capture_filter *f, const struct bpf_program *classic, char *err, size_t err_len)
{
	struct rte_bpf_prm *prm = rte_bpf_convert(classic);
	struct rte_bpf_jit jit = {.func = NULL};

	if (prm == NULL) {
		snprintf(err, err_len, "filter: cannot be converted: %s", rte_strerror(rte_errno));
		return -EINVAL;
	}
	f->program = program_mend(prm);
	rte_free(prm);
	if (f->program == NULL) {
		snprintf(err, err_len, "filter: refused: %s", rte_strerror(rte_errno));
		return -EINVAL;
	}
	if (rte_bpf_get_jit(f->program, &jit) == 0)
		f->match = jit.func;
	return 0;
}

int capture_filter_open(struct capture_filter *f, const char *text, char *err, size_t err_len)
{
	struct bpf_program classic;
	pcap_t *pcap;
	int rc;

	*f = (struct capture_filter){NULL, NULL};
	if (text == NULL)
		return 0;
	if (strpbrk(text, "\\\"'") != NULL) {
		snprintf(err, err_len, "filter: no quotes or backslashes, please");
		return -EINVAL;
	}
	if (words_check(text, err, err_len) < 0)
		return -EINVAL;
	pcap = pcap_open_dead(DLT_EN10MB, CAPTURE_SNAP_MAX);
	if (pcap == NULL) {
		snprintf(err, err_len, "filter: no memory");
		return -EINVAL;
	}
	rc = pcap_compile(pcap, &classic, text, 1, PCAP_NETMASK_UNKNOWN);
	if (rc < 0) {
		snprintf(err, err_len, "filter: %s", pcap_geterr(pcap));
	} else {
		rc = program_load(f, &classic, err, err_len);
		pcap_freecode(&classic);
	}
	pcap_close(pcap);
	return rc < 0 ? -EINVAL : 0;
}

void capture_filter_close(struct capture_filter *f)
{
	rte_bpf_destroy(f->program);
	*f = (struct capture_filter){NULL, NULL};
}

bool capture_filter_match(const struct capture_filter *f, struct rte_mbuf *m)
{
	if (f->match != NULL)
		return f->match(m) != 0;
	return f->program == NULL || rte_bpf_exec(f->program, m) != 0;
}
