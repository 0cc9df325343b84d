/*
 * What the walk has to tell the control thread: a ring with one writer (the worker) and one reader (the control thread), no
 * lock, no allocation.  Full: the event is lost and counted.  What remote packets can trigger is rate-limited per kind at the
 * writing end, and the number held back travels with the next event.
 */
#ifndef BITS_EVENTS_H
#define BITS_EVENTS_H

#include <stdbool.h>
#include <stdint.h>
#include "addr.h"
#include "drop.h"
#include "selector.h"

enum event_kind {
	EV_AUDIT,        /* an auditable drop: drop, spi, seq, key */
	EV_ACQUIRE,      /* PROTECT without SA: key, step, and src/dst of the SA wanted */
	EV_SA_SOFT,      /* soft lifetime: spi, dst */
	EV_SA_HARD,      /* hard lifetime, or numbers used up: spi, dst, drop */
	EV_SEQ_LOW,      /* reservation half used: spi, dst */
	EV_NEIGHBOUR,    /* no link address for dst */
	EV_PEER,         /* the SA (spi, dst) verified a packet from another place: src, and its port in key.rport */
	EV_MAX
};

struct event {
	uint8_t kind;            /* enum event_kind */
	uint8_t dir;             /* enum dir */
	uint8_t proto;           /* 50, 51 or 0 */
	uint8_t step;            /* ACQUIRE: of the rule's bundle, which SA */
	enum drop drop;
	uint32_t spi;
	uint64_t seq;
	uint64_t now;            /* ms */
	uint64_t held_back;      /* events of this kind not told since the last one */
	struct ipaddr src, dst;  /* of the packet as it was read, or of the SA */
	uint32_t flowlabel;
	struct flowkey key;      /* of the packet, as far as known */
};

/* Opaque types. */
struct events;

/** events_new(size): room for ${size} (a power of two) events; NULL and ENOMEM. */
struct events *events_new(unsigned size);
void events_free(struct events *e);

/** events_push(e, ev): writer's end.  false: held back or lost (counted). */
bool events_push(struct events *e, const struct event *ev);

/** events_pop(e, ev): reader's end; false: empty. */
bool events_pop(struct events *e, struct event *ev);

/** events_pending(e): has anything been pushed that was not popped?  Either end. */
bool events_pending(const struct events *e);
uint64_t events_lost(const struct events *e);

const char *event_name(enum event_kind k);

#endif
