/*
 * What would become of a packet, and why: the walk's own decision (classify(), passthru(), policy_burst(), pmtu_fit()) about a packet made
 * up for it.  Nothing is sent, counted or asked for.  Control thread.
 */
#ifndef BITS_TRACE_H
#define BITS_TRACE_H

#include <stdint.h>
#include "datapath.h"
#include "gen.h"

#define TRACE_NOWHERE SIZE_MAX

struct trace {
	enum drop drop;                  /* NONE: it goes on, by ->bypass or through sa[] */
	bool bypass;
	bool is_builtin;                 /* of a built-in kind, which one and what that is set to */
	enum builtin builtin;
	enum builtin_set set;
	const struct policy *policy;     /* the rule that decided, and its place; NULL: a built-in, or no rule */
	size_t place;                    /* TRACE_NOWHERE: none */
	unsigned nsas;                   /* outbound, PROTECT: SAs found, all of the rule's steps unless drop is NO_SA */
	struct sa *sa[POLICY_STEPS_MAX];
	struct ipaddr src, dst;          /* NO_SA: the ends of the one wanting, of step nsas */
	uint32_t size[POLICY_STEPS_MAX]; /* octets of IP packet after each step */
	uint32_t clear[POLICY_STEPS_MAX]; /* and of each step's input that transport mode leaves clear */
	uint32_t path;                   /* octets its path takes */
	uint32_t largest;                /* outbound, when it goes on: the largest packet of its kind that fits, 0: none */
	enum fit fit;                    /* the same; *${mtu} of pmtu_fit() is largest */
};

/**
 * trace_packet(pool, k, size):
 * A packet with key ${k} (IP, no fragment) of ${size} octets (0: as few as its headers need), as it comes from the host or the wire;
 * classified.  NULL: there cannot be one, or no buffer; else for pkt_free().
 */
struct pkt *trace_packet(struct pktpool *pool, const struct flowkey *k, uint32_t size);

/** trace_walk(g, mtu, now, p, t): what generation ${g} does at ${now} with ${p} of trace_packet(); inbound: as it came in clear. */
void trace_walk(const struct gen *g, uint32_t mtu, uint64_t now, struct pkt *p, struct trace *t);

/** trace_accepts(g, p, sa): would inbound ${p} be accepted if it had come through ${sa} alone? */
bool trace_accepts(const struct gen *g, struct pkt *p, struct sa *sa);

/** trace_why(policy, k): why this rule does not match: "direction", or selector_field_name(); "" when it does. */
const char *trace_why(const struct policy *policy, const struct flowkey *k);

#endif
