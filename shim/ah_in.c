/*
 * Inbound AH (RFC 4302 3.4): length, replay check, ICV, replay window, header off.
 */
#include <netinet/in.h>
#include "ah.h"

static enum drop
ah_check(
    struct sa *sa, struct pkt *p, struct walk *w, struct ah_cover *cover, struct crypto_mac_job *j)
{
	uint32_t hlen = ah_len(sa, sa->in, p->af);
	const uint8_t *h = pkt_get(p, p->l4, hlen);
	enum drop d;

	if (!h || p->l3end - p->l4 < hlen)
		return DROP_RUNT;
	if ((h[1] + 2u) * 4 != hlen)
		return DROP_BAD_LENGTH;
	p->seq = replay_infer(&sa->replay, get32(h + 8));
	if ((d = xform_begin(sa, w)) != DROP_NONE ||
	    (d = replay_check(&sa->replay, p->seq)) != DROP_NONE)
		return d;
	return ah_cover(cover, j, p, p->l4, sa->in, (uint32_t)(p->seq >> 32));
}

static bool
ah_right(const struct sa *sa, const struct pkt *p, const struct crypto_mac_job *j)
{
	return j->ok && crypto_equal(j->icv, pkt_data(p) + p->l4 + AH_FIXED + sa->in->iv_len,
			    sa->in->icv_len);
}

/* Is the ICV right with a higher half of the number, the one we have being lost perhaps (RFC 4303 A3)? */
static bool
ah_probe(struct sa *sa, struct pkt *p)
{
	uint32_t low = get32(pkt_data(p) + p->l4 + 8);
	struct crypto_mac_job j;
	struct ah_cover cover;

	for (unsigned k = 1; k <= REPLAY_GUESSES; k++) {
		uint64_t seq = replay_guess(&sa->replay, low, k);

		if (ah_cover(&cover, &j, p, p->l4, sa->in, (uint32_t)(seq >> 32)) != DROP_NONE)
			return false;
		crypto_mac(sa->in, &j, 1);
		if (ah_right(sa, p, &j)) {
			p->seq = seq;
			return true;
		}
	}
	return false;
}

static enum drop
ah_accept(struct sa *sa, struct pkt *p, struct walk *w, const struct crypto_mac_job *j)
{
	uint32_t hlen = ah_len(sa, sa->in, p->af);
	uint8_t *frame = pkt_data(p), next = frame[p->l4];
	bool right = ah_right(sa, p, j) ||
		     (sa->in->esn && replay_probe(&sa->replay, w->now) && ah_probe(sa, p));
	enum drop d;

	replay_verified(&sa->replay, right);
	if (!right)
		return DROP_AUTH_FAILED;
	if ((d = xform_begin(sa, w)) != DROP_NONE ||
	    (d = replay_advance(&sa->replay, p->seq)) != DROP_NONE)
		return d;
	__atomic_store_n(&sa->cin.lost, sa->replay.lost, __ATOMIC_RELAXED);
	xform_account(sa, w, &sa->cin, p->l3end - p->l4 - hlen);
	if (sa->p.mode == MODE_TUNNEL) {
		if (next != IPPROTO_IPIP && next != IPPROTO_IPV6)
			return DROP_BAD_NEXT_HEADER;
		if (!pkt_get(p, p->l4 + hlen, 1) ||
		    frame[p->l4 + hlen] >> 4 != (next == IPPROTO_IPIP ? 4 : 6))
			return DROP_BAD_INNER;
		return tunnel_pop(p, p->l4 + hlen, &sa->cin);
	}
	frame[p->l4nh] = next;
	memmove(frame + hlen, frame, p->l4);
	pkt_pull(p, hlen);
	ip_finish(p);
	return DROP_NONE;
}

void
ah_open(struct sa *sa, struct pkt **p, unsigned n, struct walk *w)
{
	struct crypto_mac_job job[BURST_MAX];
	struct ah_cover cover[BURST_MAX];
	struct pkt *of[BURST_MAX];
	unsigned jobs = 0;

	for (unsigned i = 0; i < n; i++) {
		p[i]->drop = ah_check(sa, p[i], w, &cover[jobs], &job[jobs]);
		if (p[i]->drop == DROP_NONE)
			of[jobs++] = p[i];
		else
			xform_count(sa, p[i]->drop);
	}
	crypto_mac(sa->in, job, jobs);
	for (unsigned i = 0; i < jobs; i++) {
		of[i]->drop = job[i].ok ? ah_accept(sa, of[i], w, &job[i]) : DROP_CRYPTO;
		xform_count(sa, of[i]->drop);
	}
}
