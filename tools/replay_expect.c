/*
 * --expect: what comes out is held against a capture, packet by packet as it is made; the first that differs is shown field by field.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "edge.h"
#include "log.h"
#include "replay_fields.h"
#include "replay_tool.h"

struct expect {
	struct edge *golden;
	struct pktpool *pool;
	const char *name;
	uint64_t number; /* of the packet that was compared last */
	bool differs;
};

static void
differ(struct expect *x, const struct pkt *p, const struct pkt *g, uint64_t ts)
{
	struct field a[FIELDS_MAX], b[FIELDS_MAX];
	unsigned na = fields_of(p, a), nb = fields_of(g, b);
	bool same_octets =
	    p->link == g->link && p->len == g->len && memcmp(pkt_data(p), pkt_data(g), p->len) == 0;

	if (same_octets && ts == g->ts_ns)
		return;
	x->differs = true;
	fprintf(stderr, "%s: packet %" PRIu64 " differs; made of packet %" PRIu64 " of the input\n",
	    x->name, x->number, p->number);
	if (ts != g->ts_ns)
		fprintf(stderr,
		    "  frame.time_epoch is %" PRIu64 ".%09" PRIu64 ", not %" PRIu64 ".%09" PRIu64
		    "\n",
		    ts / 1000000000, ts % 1000000000, g->ts_ns / 1000000000, g->ts_ns % 1000000000);
	if (p->len != g->len)
		fprintf(stderr, "  frame.len is %" PRIu32 ", not %" PRIu32 "\n", p->len, g->len);
	fields_differ(a, na, b, nb, stderr);
}

static void
watch(void *ctx, const struct pkt *p, uint64_t ts)
{
	struct expect *x = ctx;
	struct burst b;

	if (x->differs)
		return;
	x->number++;
	if (edge_recv(x->golden, x->pool, &b, 1) != 1) {
		fprintf(stderr,
		    "%s: packet %" PRIu64 " is not there; made of packet %" PRIu64
		    " of the input\n",
		    x->name, x->number, p->number);
		x->differs = true;
		return;
	}
	differ(x, p, b.p[0], ts);
	pkt_free(x->pool, b.p[0]);
}

int
replay_expect(struct rerun *r)
{
	struct expect *x = calloc(1, sizeof *x);

	if ((r->expect = x) == NULL || (x->pool = pktpool_new(1, PKT_FRAME_MAX)) == NULL) {
		log_warn("buffers");
		return -1;
	}
	x->name = r->o->expect;
	if ((x->golden = edge_pcap_new(x->name, NULL, r->o->mtu)) == NULL) {
		log_warn("%s", x->name);
		return -1;
	}
	if (edge_bind(x->golden) == -1 || edge_restart(x->golden) == -1)
		return -1; /* told */
	edge_pcap_watch(r->o->from_host != NULL ? r->wire : r->host, watch, x);
	return 0;
}

int
replay_expect_end(struct rerun *r)
{
	struct expect *x = r->expect;
	uint64_t ts;
	int status;

	if (x == NULL)
		return 0;
	if (x->golden != NULL && !x->differs && r->ran && edge_pcap_peek(x->golden, &ts)) {
		fprintf(stderr, "%s: packet %" PRIu64 " did not come\n", x->name, x->number + 1);
		x->differs = true;
	}
	if (x->golden != NULL && r->ran && edge_pcap_error(x->golden) != NULL) {
		log_warnx("%s", edge_pcap_error(x->golden));
		x->differs = true;
	}
	status = x->differs ? -1 : 0;
	edge_free(x->golden);
	pktpool_free(x->pool);
	free(x);
	r->expect = NULL;
	return status;
}
