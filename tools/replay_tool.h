/*
 * ipsecreplay: the product's walk over capture files.  replay.c reads the command line, replay_run.c runs the packets,
 * replay_report.c says what became of them, replay_annotate.c writes that into a capture.
 */
#ifndef BITS_REPLAY_TOOL_H
#define BITS_REPLAY_TOOL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "datapath.h"
#include "stats.h"

/* Opaque types. */
struct annotate;
struct conf;
struct expect;
struct svg;

struct replay_opts {
	const char *conf;
	const char *from_host, *to_wire, *from_wire, *to_host; /* NULL: not given */
	const char *keys;                                      /* -k */
	const char *annotate, *expect, *svg;
	uint64_t explain;                                      /* 0: no packet */
	int explain_dir;                                       /* enum dir; -1: either */
	bool stats;
	uint32_t mtu;
	bool seeded;
	uint64_t seed;
	bool json, verbose;
};

struct rerun {
	const struct replay_opts *o;
	struct edge *host, *wire;
	struct gen *gen;
	struct walk walk;
	struct stats stats;
	uint64_t first;      /* time of the first packet, ms: when the SAs were added */
	uint64_t held;       /* fragments that still wait at the end */
	struct annotate *annotate;
	struct expect *expect;
	struct svg *svg;
	bool explaining, explained; /* the packet is being walked, was met */
	bool ran;            /* all packets that could be read were */
	uint64_t began, shown; /* ms, of the progress bar */
	bool terminal, lines;
	json_t *packets;     /* -v with --json: one object each */
	bool failed;         /* a file could not be read or written to its end; told */
};

/** replay_run(r, c): runs everything by the policy and SAs of ${c}.  0, or -1: told on standard error; what was read until
 * then has been written and counted.  replay_free(r) afterwards in either case. */
int replay_run(struct rerun *r, const struct conf *c);
void replay_free(struct rerun *r);

/** replay_verdict(ctx, dir, p): the walk's verdict callback; ${ctx} is the struct rerun. */
void replay_verdict(void *ctx, enum dir dir, const struct pkt *p);

/** replay_annotate(r): opens --annotate's file and has the walk tell of its packets; edges are bound.  0, or -1: told.
 * replay_annotate_end(r): 0, or -1: it could not be written, which was told. */
int replay_annotate(struct rerun *r);
int replay_annotate_end(struct rerun *r);

/** replay_expect(r): has what comes out held against --expect's capture; edges are bound.  0, or -1: told.  replay_expect_end(r): 0; -1: it
 * differed, which was told. */
int replay_expect(struct rerun *r);
int replay_expect_end(struct rerun *r);

/** replay_explains(r, dir, number): is that the packet of --explain?  replay_explain_before(r, dir, p): prints what is known before the walk,
 * replay_explain_verdict(r, dir, p) what became of it. */
bool replay_explains(const struct rerun *r, enum dir dir, uint64_t number);
void replay_explain_before(struct rerun *r, enum dir dir, const struct pkt *p);
void replay_explain_verdict(const struct rerun *r, enum dir dir, const struct pkt *p);

/** replay_svg_new(first): an empty time line from ${first} ms on; NULL and ENOMEM; for free().  replay_svg_add(s, dir, p, now): one verdict.
 * replay_svg_write(s, path): 0, or -1: told. */
struct svg *replay_svg_new(uint64_t first);
void replay_svg_add(struct svg *s, enum dir dir, const struct pkt *p, uint64_t now);
int replay_svg_write(const struct svg *s, const char *path);

/** replay_progress(r): now and then: draws how far it is, on a terminal.  replay_progress_end(r): wipes that away. */
void replay_progress(struct rerun *r);
void replay_progress_end(struct rerun *r);

/** replay_report(r): the counters, as text or as one JSON document.  0, or -1 when they could not be written. */
int replay_report(const struct rerun *r);

#endif
