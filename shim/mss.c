/*
 * The largest segment a TCP connection agrees on, lowered to what fits an SA (RFC 9293 3.7.1): for paths where ICMP errors do not get
 * through.  Only a SYN says it.
 */
#include <netinet/in.h>
#include "datapath.h"
#include "sa.h"

#define TCP_HLEN    20
#define TCP_SYN	    0x02
#define OPT_END	    0
#define OPT_NOP	    1
#define OPT_MSS	    2
#define OPT_MSS_LEN 4

/* The option's value at its place in the SYN ${p}; NULL: not a SYN, or it says nothing. */
static uint8_t *
mss_find(const struct pkt *p)
{
	const uint8_t *tcp = pkt_get(p, p->l4, TCP_HLEN);
	uint32_t at = p->l4 + TCP_HLEN, end;

	if (p->key.frag || !tcp || !(tcp[13] & TCP_SYN))
		return NULL;
	end = p->l4 + (tcp[12] >> 4) * 4u;
	if (end > p->l3end)
		return NULL;
	while (at + OPT_MSS_LEN <= end) {
		uint8_t *o = pkt_get(p, at, OPT_MSS_LEN);

		if (!o || o[0] == OPT_END)
			return NULL;
		if (o[0] == OPT_MSS)
			return o[1] == OPT_MSS_LEN ? o + 2 : NULL;
		if (o[0] != OPT_NOP && o[1] < 2)
			return NULL;
		at += o[0] == OPT_NOP ? 1 : o[1];
	}
	return NULL;
}

/* RFC 1624 3, over the two words the value may straddle. */
static void
mss_write(struct pkt *p, uint8_t *o, uint16_t mss)
{
	uint8_t *sum = pkt_data(p) + p->l4 + 16;
	bool odd = (o - (pkt_data(p) + p->l4)) & 1;
	uint16_t was = get16(o), now = mss;
	uint32_t s;

	if (odd) {
		was = (uint16_t)(was << 8 | was >> 8);
		now = (uint16_t)(now << 8 | now >> 8);
	}
	s = (uint32_t)(uint16_t)~get16(sum) + (uint16_t)~was + now;
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	put16(o, mss);
	put16(sum, (uint16_t)~s);
}

/* The lowest limit of ${n} SAs for a packet like ${p}, which would leave by them; 0: none. */
static uint32_t
mss_limit(const struct walk *w, const struct pkt *p, struct sa *const *sa, unsigned n)
{
	uint32_t least = 0, limit;

	for (unsigned i = 0; i < n; i++) {
		if (sa[i]->p.mss == 0)
			continue;
		limit = sa[i]->p.mss;
		if (limit == MSS_AUTO) {
			uint32_t headers = p->l4 - p->l3 + TCP_HLEN, room = pmtu_largest(w, p);

			limit = room > headers + MSS_MIN ? room - headers : MSS_MIN;
		}
		least = least == 0 || limit < least ? limit : least;
	}
	return least;
}

static void
mss_clamp(struct pkt *p, uint32_t limit)
{
	uint8_t *o = limit ? mss_find(p) : NULL;

	if (o && get16(o) > limit)
		mss_write(p, o, (uint16_t)limit);
}

static bool
is_syn(const struct pkt *p)
{
	const uint8_t *tcp = p->key.frag ? NULL : pkt_get(p, p->l4, TCP_HLEN);

	return tcp && (tcp[13] & TCP_SYN);
}

void
mss_clamp_out(const struct walk *w, struct pkt *p)
{
	if (!p->bypass && p->policy && is_syn(p))
		mss_clamp(p, mss_limit(w, p, p->sa, p->policy->nsteps));
}

/* What the host would answer by counts: it is the host's own segments that have to fit. */
void
mss_clamp_in(const struct walk *w, struct pkt *p)
{
	struct flowkey k = p->key;
	struct ipaddr src, dst;
	struct pkt back;

	if (!p->policy || !is_syn(p))
		return;
	back = *p;
	k.dir = DIR_OUT;
	if (policy_bundle(w, p->policy, &k, back.sa, &src, &dst) == p->policy->nsteps)
		mss_clamp(p, mss_limit(w, &back, back.sa, p->policy->nsteps));
}
