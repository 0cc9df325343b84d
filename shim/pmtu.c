/*
 * Does a packet fit after protection, and what if not: the arithmetic.  What a path takes is known by SA (RFC 4301 8.2): the NIC's MTU, until a
 * router says less; that is believed for a while, and then the way may have changed.
 */
#include "datapath.h"
#include "sa.h"

uint32_t
pmtu_sa(const struct walk *w, const struct sa *sa)
{
	uint32_t known = __atomic_load_n(&sa->pmtu, __ATOMIC_RELAXED);

	if (known == 0 || known >= w->mtu ||
	    w->now >= __atomic_load_n(&sa->pmtu_until, __ATOMIC_RELAXED))
		return w->mtu;
	return known;
}

bool
pmtu_lower(const struct walk *w, struct sa *sa, uint32_t mtu)
{
	uint32_t least = sa->p.dst.af == 4 ? PMTU_MIN4 : PMTU_MIN6, now = pmtu_sa(w, sa);

	if (mtu < least)
		mtu = least;
	if (mtu > now || mtu >= w->mtu)
		return false; /* an error never makes it grow (RFC 1191 6, RFC 8201 4) */
	/* Of two workers that hear of it at once the last one is believed, until the next error. */
	__atomic_store_n(
	    &sa->pmtu_until, w->now + (w->pmtu_age ? w->pmtu_age : PMTU_AGE_MS), __ATOMIC_RELAXED);
	__atomic_store_n(&sa->pmtu, mtu, __ATOMIC_RELAXED);
	return mtu < now;
}

uint32_t
pmtu_path(const struct walk *w, const struct pkt *p)
{
	unsigned steps = p->bypass || !p->policy ? 0 : p->policy->nsteps;

	return steps ? pmtu_sa(w, p->sa[steps - 1]) : w->mtu;
}

unsigned
pmtu_sizes(const struct pkt *p, uint32_t size[], uint32_t clear[])
{
	uint32_t octets = p->l3end - p->l3, front = p->ins - p->l3;
	unsigned steps = p->bypass ? 0 : p->policy->nsteps;

	for (unsigned i = 0; i < steps; i++) {
		const struct sa *sa = p->sa[i];

		clear[i] = front;
		size[i] = octets = xform_overhead(sa, octets, front);
		if (sa->p.mode == MODE_TUNNEL)
			front = sa->p.dst.af == 4 ? 20 : 40;
	}
	return steps;
}

/* The largest packet that has at most ${room} octets after all of ${p}'s steps. */
static uint32_t
room_within(const struct pkt *p, const uint32_t clear[], uint32_t room)
{
	for (unsigned i = p->bypass ? 0 : p->policy->nsteps; i-- > 0;)
		room = xform_fit(p->sa[i], room, clear[i]);
	return room;
}

uint32_t
pmtu_room(const struct walk *w, const struct pkt *p, const uint32_t clear[])
{
	return room_within(p, clear, pmtu_path(w, p));
}

/* Protected in one piece, ${p} is larger than the length field of IP can say: no fragments help.  *${mtu} becomes what is not. */
static bool
is_beyond_ip(const struct pkt *p, const uint32_t size[], const uint32_t clear[], unsigned steps,
    uint32_t *mtu)
{
	uint32_t most = ip_most(p->af);

	for (unsigned i = 0; i < steps; i++) {
		if (p->sa[i]->p.mode == MODE_TUNNEL)
			most = ip_most(p->sa[i]->p.dst.af);
		if (size[i] > most) {
			*mtu = room_within(p, clear, most);
			return true;
		}
	}
	return false;
}

uint32_t
pmtu_largest(const struct walk *w, const struct pkt *p)
{
	uint32_t size[POLICY_STEPS_MAX], clear[POLICY_STEPS_MAX], room;

	pmtu_sizes(p, size, clear);
	room = pmtu_room(w, p, clear);
	return p->af == 6 && room < PMTU_MIN6 ? PMTU_MIN6 : room;
}

enum fit
pmtu_fit(const struct walk *w, const struct pkt *p, uint32_t *mtu)
{
	uint32_t size[POLICY_STEPS_MAX], clear[POLICY_STEPS_MAX], octets = p->l3end - p->l3, room;
	unsigned steps = pmtu_sizes(p, size, clear);
	const uint8_t *h = pkt_get(p, p->l3, 20);

	*mtu = pmtu_path(w, p);
	if ((steps ? size[steps - 1] : octets) <= *mtu)
		return FIT_WHOLE;
	*mtu = room = pmtu_room(w, p, clear);
	/* What the host has cut itself, or allowed to be cut, may be cut.  IPv6 knows no path below 1280 (RFC 8200 5): packets up to that size are
	 * cut after protection, larger ones are not made (RFC 2473 7.1). */
	if (!p->cut_ok &&
	    (p->af == 6 ? octets > PMTU_MIN6 || room >= PMTU_MIN6 : (h[6] & 0x40) != 0)) {
		if (p->af == 6 && room < PMTU_MIN6)
			*mtu = PMTU_MIN6;
		return FIT_NOT;
	}
	if (steps && p->sa[0]->p.mode == MODE_TUNNEL && (p->af == 4 || p->cut_ok) &&
	    (p->sa[0]->p.frag != FRAG_AFTER || size[steps - 1] > 65535))
		return FIT_BEFORE;
	return is_beyond_ip(p, size, clear, steps, mtu) ? FIT_NOT : FIT_AFTER;
}
