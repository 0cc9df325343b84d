#include "sa_selector.h"

#include <stdlib.h>

struct sa_selector *
sa_selector_new(const struct sa_selector *from)
{
	struct sa_selector *s = malloc(sizeof *s);

	if (s == NULL)
		return NULL;
	*s = *from;
	s->refs = 1;
	return s;
}

struct sa_selector *
sa_selector_ref(struct sa_selector *s)
{
	if (s != NULL)
		__atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
	return s;
}

void
sa_selector_unref(struct sa_selector *s)
{
	if (s != NULL && __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) == 0)
		free(s);
}

static bool
ports_eq(const struct sa_ports *a, const struct sa_ports *b)
{
	return a->any == b->any && (a->any || (a->lo == b->lo && a->hi == b->hi));
}

static bool
range_eq(const struct iprange *a, const struct iprange *b)
{
	return ipaddr_eq(&a->lo, &b->lo) && ipaddr_eq(&a->hi, &b->hi);
}

bool
sa_selector_eq(const struct sa_selector *a, const struct sa_selector *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return range_eq(&a->src, &b->src) && range_eq(&a->dst, &b->dst) &&
	       a->proto_any == b->proto_any && (a->proto_any || a->proto == b->proto) &&
	       ports_eq(&a->sport, &b->sport) && ports_eq(&a->dport, &b->dport);
}

void
sa_selector_swap(struct sa_selector *s)
{
	struct iprange src = s->src;
	struct sa_ports sport = s->sport;

	s->src = s->dst;
	s->dst = src;
	s->sport = s->dport;
	s->dport = sport;
}

static bool
port_has(const struct sa_ports *p, bool shown, uint16_t v)
{
	return p->any || (shown && v >= p->lo && v <= p->hi);
}

bool
sa_selector_has(const struct sa_selector *s, const struct ipaddr *src, const struct ipaddr *dst,
    int proto, bool shown, uint16_t sport, uint16_t dport)
{
	return iprange_has(&s->src, src) && iprange_has(&s->dst, dst) &&
	       (s->proto_any || s->proto == proto) && port_has(&s->sport, shown, sport) &&
	       port_has(&s->dport, shown, dport);
}
