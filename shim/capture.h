/*
 * What passed and what became of it: each packet as it was at the edge where it came in, and as it left by the other, with the verdict.
 * ipsecreplay --annotate and ipsecctl capture are made from this.
 *
 * A packet is changed on its way, so a copy is kept from where a burst is read until its verdict is known.  Nobody captures: a
 * walk's ->capture is NULL, and that is all it costs.
 */
#ifndef BITS_CAPTURE_H
#define BITS_CAPTURE_H

#include "datapath.h"

enum capture_point { CAPTURE_HOST, CAPTURE_WIRE };

/* What is wanted, or'ed. */
enum { CAPTURE_AT_HOST = 1, CAPTURE_AT_WIRE = 2, CAPTURE_DROPPED = 4 };

enum capture_word {
	CAPTURE_DROP,
	CAPTURE_HELD,    /* a fragment that waits, or a packet that waits for its SA */
	CAPTURE_MADE,    /* by the bump itself, for the host */
	CAPTURE_BYPASS,
	CAPTURE_PROTECT, /* outbound: protected; inbound: opened */
};

#define CAPTURE_NOWHERE UINT32_MAX
#define CAPTURE_SAS     POLICY_STEPS_MAX
#define CAPTURE_TEXT    256

/* One packet at one point.  Stands in shared memory as it is here, so it has no pointers. */
struct capture_rec {
	uint64_t ts;             /* ns since the epoch */
	uint64_t number;         /* struct pkt's */
	uint64_t seq;            /* 0: none known */
	uint32_t len, caplen;    /* octets of the frame, and how many of them follow */
	uint32_t spi;            /* of a packet that no SA took; 0: none */
	uint32_t rule;           /* its place, from 0; CAPTURE_NOWHERE: none decided */
	uint8_t point, dir, word, drop; /* enum capture_point, dir, capture_word, drop */
	uint8_t link;            /* enum pkt_link */
	uint8_t builtin;         /* BUILTIN_MAX: none decided */
	uint8_t nsas;
	uint8_t came;            /* as it came in, not as it leaves */
	uint32_t sa_spi[CAPTURE_SAS]; /* in the order of application; inbound, the outermost first */
	uint8_t sa_proto[CAPTURE_SAS];
};

/* Opaque types. */
struct capture;

/** capture_new(points, snap, sink, ctx): ${sink} gets each record that is wanted, with the ${caplen} octets (at most ${snap}) of its frame;
 * it is called within the walk and keeps to its rules.  NULL and ENOMEM. */
struct capture *capture_new(unsigned points, uint32_t snap,
    void (*sink)(void *ctx, const struct capture_rec *r, const uint8_t *octets), void *ctx);
void capture_free(struct capture *c);

/** capture_time(c, ns): stamps packets that have none of their own. */
void capture_time(struct capture *c, uint64_t ns);

/** capture_read(c, b, dir): the burst ${b} was read.  Live packets get numbers. */
void capture_read(struct capture *c, struct burst *b, enum dir dir);

/** capture_verdict(c, gen, dir, p): the walk is done with ${p}, decided by ${gen}. */
void capture_verdict(struct capture *c, const struct gen *gen, enum dir dir, const struct pkt *p);

/** capture_flush(c): the burst is over; what the walk keeps was held. */
void capture_flush(struct capture *c);

/** capture_decide(gen, dir, p, r): all of ${r} that does not depend on the point: verdict, rule, SAs, numbers. */
void capture_decide(const struct gen *gen, enum dir dir, const struct pkt *p, struct capture_rec *r);

/** capture_wants(points, r): is ${r}, whose point and word are set, one of those that ${points} asks for? */
bool capture_wants(unsigned points, const struct capture_rec *r);

/** capture_word(r): "protected", "opened", "bypassed", "dropped", "held" or "made". */
const char *capture_word(const struct capture_rec *r);

/** capture_text(r, text): "protected rule=0 sa=esp:0x00001001 seq=1", "dropped spi=0x00002001 seq=1 reason=replay_dup".  Returns ${text}. */
char *capture_text(const struct capture_rec *r, char text[static CAPTURE_TEXT]);

#endif
