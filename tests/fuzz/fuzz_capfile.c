/* links: bits_edge */
/*
 * A capture file of any content: each packet has its number and a fate, octets within its slot, and reading ends; what is accepted can be
 * written in the file's own link type and is then read as the same octets.
 */
#include <sys/mman.h>
#include <unistd.h>
#include "capfile.h"
#include "edge.h"
#include "fuzz.h"

#define PACKETS_MAX 1000

/* An edge over what ${in} holds, and an output; NULL: no capture file. */
static struct edge *
open_fd(int in, int out)
{
	char name[32], other[32];
	struct edge *e;

	snprintf(name, sizeof name, "/proc/self/fd/%d", in);
	snprintf(other, sizeof other, "/proc/self/fd/%d", out);
	e = edge_pcap_new(name, out == -1 ? NULL : other, 1500);
	assert_true(e != NULL);
	if (edge_bind(e) == 0 && edge_restart(e) == 0)
		return e;
	assert_true(edge_pcap_error(e) != NULL);
	edge_free(e);
	return NULL;
}

/* Everything of ${e} to its output; octets of what was sent are added up in *${sum}. */
static unsigned
pass(struct edge *e, struct pktpool *pool, uint64_t *sum)
{
	unsigned n = 0, sent = 0;
	struct burst b;
	uint64_t ts;

	for (; n < PACKETS_MAX && edge_pcap_peek(e, &ts); n++) {
		assert_true(edge_recv(e, pool, &b, 1) == 1);
		assert_true(b.p[0]->number == n + 1 && b.p[0]->ts_ns == ts);
		assert_true(b.p[0]->off + b.p[0]->len <= b.p[0]->size);
		sent += edge_send(e, &b);
		for (uint32_t i = 0; i < b.p[0]->len && b.p[0]->drop == DROP_NONE; i++)
			*sum = *sum * 31 + pkt_data(b.p[0])[i];
		pkt_free(pool, b.p[0]);
	}
	return sent;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pktpool *pool;
	int in = memfd_create("in", MFD_CLOEXEC), out = memfd_create("out", MFD_CLOEXEC);
	uint64_t sum[2] = {0};
	unsigned n[2];
	struct edge *e;
	bool cooked;

	if (pool == NULL)
		pool = pktpool_new(2, PKT_FRAME_MAX);
	assert_true(in != -1 && out != -1 && pool != NULL);
	assert_true(write(in, data, size) == (ssize_t)size);
	if ((e = open_fd(in, out)) != NULL) {
		cooked =
		    edge_pcap_linktype(e) == LINKTYPE_SLL || edge_pcap_linktype(e) == LINKTYPE_SLL2;
		n[0] = pass(e, pool, &sum[0]);
		edge_free(e);
		e = open_fd(out, -1);
		assert_true(e != NULL);
		n[1] = pass(e, pool, &sum[1]);
		assert_true(edge_pcap_error(e) == NULL && n[0] == n[1]);
		assert_true(
		    cooked || sum[0] == sum[1]); /* a cooked header may say more than we keep */
		edge_free(e);
	}
	assert_true(pktpool_left(pool) == 2); /* every packet is back */
	close(in);
	close(out);
	return 0;
}
