/*
 * One writer, one reader: ${head} belongs to the writer, ${tail} to the reader; each publishes its own with release and reads
 * the other's with acquire.  They lie on lines of their own, so that the two threads do not fight over one.
 */
#include <stdlib.h>
#include "events.h"

#define CACHE_LINE 64

/* What remote packets can trigger: a token bucket per kind.  The others say that an SA must be looked after, are few by
 * themselves, and are never held back. */
#define BUCKET_BURST	  100
#define BUCKET_PER_SECOND 50

struct bucket {
	uint64_t
	    thousandths; /* of a token: PER_SECOND per second is PER_SECOND thousandths per ms */
	uint64_t at;	 /* ms, when it was filled up last */
	uint64_t held_back;
};

struct events {
	/* writer's */
	_Alignas(CACHE_LINE) unsigned head;
	unsigned tail_seen; /* the reader's tail when the writer last looked */
	uint64_t lost;
	struct bucket bucket[EV_MAX];
	/* reader's */
	_Alignas(CACHE_LINE) unsigned tail;
	/* constant */
	_Alignas(CACHE_LINE) unsigned mask;
	struct event ring[];
};

struct events *
events_new(unsigned size)
{
	size_t octets = sizeof(struct events) + size * sizeof(struct event);
	struct events *e;

	if (size == 0 || (size & (size - 1)) != 0)
		return NULL;
	octets = (octets + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
	if ((e = aligned_alloc(CACHE_LINE, octets)) == NULL)
		return NULL;
	*e = (struct events){.mask = size - 1};
	for (int k = 0; k < EV_MAX; k++)
		e->bucket[k].thousandths = BUCKET_BURST * 1000;
	return e;
}

void
events_free(struct events *e)
{
	free(e);
}

static bool
limited(uint8_t kind)
{
	return kind == EV_AUDIT || kind == EV_ACQUIRE || kind == EV_NEIGHBOUR || kind == EV_PEER;
}

/* May one more event go at ${now}?  Takes nothing yet. */
static bool
bucket_ready(struct bucket *b, uint64_t now)
{
	uint64_t add;

	if (now > b->at) {
		/* Past this many ms it is full anyway; so the product cannot overflow. */
		add = now - b->at < BUCKET_BURST * 1000 ? now - b->at : BUCKET_BURST * 1000;
		b->thousandths += add * BUCKET_PER_SECOND;
		if (b->thousandths > BUCKET_BURST * 1000)
			b->thousandths = BUCKET_BURST * 1000;
	}
	b->at = now;
	return b->thousandths >= 1000;
}

bool
events_push(struct events *e, const struct event *ev)
{
	struct bucket *b = &e->bucket[ev->kind];
	struct event *slot;

	if (limited(ev->kind) && !bucket_ready(b, ev->now)) {
		b->held_back++;
		return false;
	}
	if (e->head - e->tail_seen > e->mask) {
		e->tail_seen = __atomic_load_n(&e->tail, __ATOMIC_ACQUIRE);
		if (e->head - e->tail_seen > e->mask) {
			__atomic_store_n(&e->lost, e->lost + 1, __ATOMIC_RELAXED);
			return false;
		}
	}
	slot = &e->ring[e->head & e->mask];
	*slot = *ev;
	slot->held_back = b->held_back;
	b->held_back = 0;
	if (limited(ev->kind))
		b->thousandths -= 1000;
	__atomic_store_n(&e->head, e->head + 1, __ATOMIC_RELEASE);
	return true;
}

bool
events_pop(struct events *e, struct event *ev)
{
	unsigned tail = e->tail;

	if (__atomic_load_n(&e->head, __ATOMIC_ACQUIRE) == tail)
		return false;
	*ev = e->ring[tail & e->mask];
	__atomic_store_n(&e->tail, tail + 1, __ATOMIC_RELEASE);
	return true;
}

bool
events_pending(const struct events *e)
{
	return __atomic_load_n(&e->head, __ATOMIC_ACQUIRE) !=
	       __atomic_load_n(&e->tail, __ATOMIC_ACQUIRE);
}

uint64_t
events_lost(const struct events *e)
{
	return __atomic_load_n(&e->lost, __ATOMIC_RELAXED);
}

const char *
event_name(enum event_kind k)
{
	static const char *const name[EV_MAX] = {
	    [EV_AUDIT] = "audit",
	    [EV_ACQUIRE] = "acquire",
	    [EV_SA_SOFT] = "sa_soft",
	    [EV_SA_HARD] = "sa_hard",
	    [EV_SEQ_LOW] = "seq_low",
	    [EV_NEIGHBOUR] = "neighbour",
	    [EV_PEER] = "peer",
	};

	return k < EV_MAX ? name[k] : "unknown";
}
