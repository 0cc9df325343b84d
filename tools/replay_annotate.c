/*
 * --annotate: both sides of the bump in one pcapng file, each packet with what was decided about it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "capnote.h"
#include "edge.h"
#include "log.h"
#include "replay_tool.h"

#define SNAP PKT_FRAME_MAX

struct annotate {
	struct capnote note;
	FILE *out;
	const char *name;
	bool failed; /* told */
};

static void
tell(struct annotate *a)
{
	if (!a->failed)
		log_warn("%s", a->name);
	a->failed = true;
}

static void
sink(void *ctx, const struct capture_rec *r, const uint8_t *octets)
{
	struct annotate *a = ctx;

	if (!a->failed && capnote_put(&a->note, r, octets) == -1)
		tell(a);
}

int
replay_annotate(struct rerun *r)
{
	struct edge_caps host, wire;
	struct annotate *a = calloc(1, sizeof *a);
	bool had_host = r->o->from_host != NULL, had_wire = r->o->from_wire != NULL;

	if ((r->annotate = a) == NULL) {
		log_warn("buffers");
		return -1;
	}
	a->name = r->o->annotate;
	edge_caps(r->host, &host);
	edge_caps(r->wire, &wire);
	if ((a->out = fopen(a->name, "we")) == NULL ||
	    capnote_begin(&a->note, a->out, "ipsecreplay " BITS_VERSION,
		(enum pkt_link)(had_host ? host.linktype : wire.linktype),
		(enum pkt_link)(had_wire ? wire.linktype : host.linktype)) == -1) {
		tell(a);
		return -1;
	}
	if ((r->walk.capture = capture_new(CAPTURE_AT_HOST | CAPTURE_AT_WIRE, SNAP, sink, a)) ==
	    NULL) {
		log_warn("buffers");
		return -1;
	}
	return 0;
}

int
replay_annotate_end(struct rerun *r)
{
	struct annotate *a = r->annotate;
	int status = 0;

	if (a == NULL)
		return 0;
	capture_free(r->walk.capture);
	r->walk.capture = NULL;
	if (a->out != NULL) {
		if (!a->failed && capnote_end(&a->note, 0) == -1)
			tell(a);
		if (fclose(a->out) == EOF)
			tell(a);
	}
	status = a->failed ? -1 : 0;
	free(a);
	r->annotate = NULL;
	return status;
}
