/*
 * ipsecreplay: the product's walk over capture files.  replay.c reads the command line, replay_run.c runs the packets,
 * replay_report.c says what became of them, replay_keys.c writes Wireshark's file.
 */
#ifndef BITS_REPLAY_TOOL_H
#define BITS_REPLAY_TOOL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "datapath.h"
#include "stats.h"

struct conf;

struct replay_opts {
	const char *conf;
	const char *from_host, *to_wire, *from_wire, *to_host; /* NULL: not given */
	const char *keys;                                      /* -k */
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
	json_t *packets;     /* -v with --json: one object each */
	bool failed;         /* a file could not be read or written to its end; told */
};

/** replay_run(r, c): runs everything by the policy and SAs of ${c}.  0, or -1: told on standard error; what was read until
 * then has been written and counted.  replay_free(r) afterwards in either case. */
int replay_run(struct rerun *r, const struct conf *c);
void replay_free(struct rerun *r);

/** replay_verdict(ctx, dir, p): the walk's verdict callback; ${ctx} is the struct rerun. */
void replay_verdict(void *ctx, enum dir dir, const struct pkt *p);

/** replay_report(r): the counters, as text or as one JSON document.  0, or -1 when they could not be written. */
int replay_report(const struct rerun *r);

/** replay_keys(path, c): the SAs of ${c} as Wireshark's esp_sa table, in a file only its owner can read.  0, or -1: told. */
int replay_keys(const char *path, const struct conf *c);

#endif
