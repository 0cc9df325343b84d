#include "capnote.h"

#include <inttypes.h>

#include "capfile.h"

/* The interface of a point and link, written when it is first wanted: sides are seldom of two kinds. */
static int
interface(struct capnote *n, unsigned point, unsigned link)
{
	static const char *const name[2] = {[CAPTURE_HOST] = "host", [CAPTURE_WIRE] = "wire"};
	static const char *const text[2] = {
	    [CAPTURE_HOST] = "between the host and the bump, in clear",
	    [CAPTURE_WIRE] = "between the bump and the wire, protected"};

	if (n->number[point][link] != 0)
		return 0;
	if (capfile_interface(n->out, link == LINK_ETHER ? LINKTYPE_ETHERNET : LINKTYPE_RAW,
		name[point], text[point]) == -1)
		return -1;
	n->number[point][link] = ++n->interfaces;
	return 0;
}

int
capnote_begin(struct capnote *n, FILE *out, const char *who, enum pkt_link host, enum pkt_link wire)
{
	char text[200];

	*n = (struct capnote){.out = out};
	snprintf(text, sizeof text,
	    "%s: both sides of the bump; what was decided is in the packets' comments; no keys",
	    who);
	if (capfile_section(out, text) == -1 || interface(n, CAPTURE_HOST, host) == -1)
		return -1;
	return interface(n, CAPTURE_WIRE, wire);
}

int
capnote_put(struct capnote *n, const struct capture_rec *r, const uint8_t *octets)
{
	unsigned point = r->point == CAPTURE_WIRE, link = r->link == LINK_RAWIP;
	char text[CAPTURE_TEXT], comment[CAPTURE_TEXT + 200];
	struct capfile_packet p = {.ts = r->ts,
	    .data = octets,
	    .len = r->caplen,
	    .lost = r->len - r->caplen,
	    .comment = comment};
	bool reason = r->word == CAPTURE_DROP && r->drop < DROP_HELD;

	if (interface(n, point, link ? LINK_RAWIP : LINK_ETHER) == -1)
		return -1;
	snprintf(comment, sizeof comment, "%s %" PRIu64 " %s%s%s", r->dir == DIR_OUT ? "out" : "in",
	    r->number, capture_text(r, text), reason ? ": " : "",
	    reason ? drop_text((enum drop)r->drop) : "");
	p.interface = n->number[point][link ? LINK_RAWIP : LINK_ETHER] - 1;
	n->got[point]++;
	if (r->ts > n->last)
		n->last = r->ts;
	return capfile_packet(n->out, CAPFILE_PCAPNG, &p);
}

int
capnote_end(struct capnote *n, uint64_t lost)
{
	for (unsigned point = 0; point < 2; point++)
		for (unsigned link = 0; link < 2; link++) {
			uint64_t gone = point == CAPTURE_HOST ? lost : 0;

			if (n->number[point][link] != 0 &&
			    capfile_statistics(n->out, n->number[point][link] - 1, n->last,
				n->got[point] + gone, gone) == -1)
				return -1;
		}
	return 0;
}
