/*
 * Outbound AH (RFC 4302 3.3).  Lengths are final before the ICV is computed, since it covers them.
 */
#include <netinet/in.h>
#include "ah.h"

/* The AH header at ${at}, and the MAC job. */
static enum drop
ah_prepare(struct sa *sa, struct pkt *p, uint32_t at, uint32_t hlen, uint8_t next, uint32_t octets,
    struct walk *w, struct ah_cover *cover, struct crypto_mac_job *j)
{
	uint8_t *h = pkt_data(p) + at;
	uint64_t seq;
	enum drop d;

	xform_name(sa, p);
	if (p->len - p->l3 > ip_most(p->af))
		return DROP_TOO_BIG;
	if ((d = xform_begin(sa, w)) != DROP_NONE || (d = xform_number(sa, w, &seq)) != DROP_NONE)
		return d;
	memset(h, 0, hlen);
	h[0] = next;
	h[1] = (uint8_t)(hlen / 4 - 2);
	put32(h + 4, sa->spi);
	put32(h + 8, (uint32_t)seq);
	if (sa->out->iv_len)
		put64(h + AH_FIXED, seq); /* GMAC: unique as long as the number is (RFC 4543 3.1) */
	p->seq = seq;
	ip_finish(p);
	if ((d = ah_cover(cover, j, p, at, sa->out, (uint32_t)(seq >> 32))) == DROP_NONE)
		xform_account(sa, w, sa_count(sa, w->worker), octets);
	return d;
}

static enum drop
ah_prepare_transport(
    struct sa *sa, struct pkt *p, struct walk *w, struct ah_cover *cover, struct crypto_mac_job *j)
{
	uint32_t hlen = ah_len(sa, sa->out, p->af), at = p->ins, octets = p->l3end - at;
	uint8_t *frame, next;

	if (p->key.frag)
		return DROP_FRAGMENT_OUT; /* RFC 4302 3.3.4 */
	if (!(frame = pkt_push(p, hlen)))
		return DROP_NO_ROOM;
	memmove(frame, frame + hlen, at);
	next = frame[p->nh];
	frame[p->nh] = IPPROTO_AH;
	p->l4 = p->ins;
	p->l4nh = p->nh;
	return ah_prepare(sa, p, at, hlen, next, octets, w, cover, j);
}

static enum drop
ah_prepare_tunnel(
    struct sa *sa, struct pkt *p, struct walk *w, struct ah_cover *cover, struct crypto_mac_job *j)
{
	uint32_t hlen = ah_len(sa, sa->out, sa->p.dst.af), octets = p->l3end - p->l3;
	uint8_t next = p->af == 4 ? 4 : 41;
	enum drop d = tunnel_push(sa, p, hlen, IPPROTO_AH, w);

	return d != DROP_NONE ? d : ah_prepare(sa, p, p->ins, hlen, next, octets, w, cover, j);
}

static inline __attribute__((always_inline)) void
ah_seal(struct sa *sa, struct pkt **p, unsigned n, struct walk *w,
    enum drop (*prepare)(
	struct sa *, struct pkt *, struct walk *, struct ah_cover *, struct crypto_mac_job *))
{
	struct crypto_mac_job job[BURST_MAX];
	struct ah_cover cover[BURST_MAX];
	struct pkt *of[BURST_MAX];
	unsigned jobs = 0;

	for (unsigned i = 0; i < n; i++) {
		p[i]->drop = prepare(sa, p[i], w, &cover[jobs], &job[jobs]);
		p[i]->encap = 0; /* AH covers a UDP header within as it is */
		if (p[i]->drop == DROP_NONE)
			of[jobs++] = p[i];
	}
	crypto_mac(sa_out(sa, w->worker), job, jobs);
	for (unsigned i = 0; i < jobs; i++) {
		if (job[i].ok)
			memcpy(pkt_data(of[i]) + of[i]->l4 + AH_FIXED + sa->out->iv_len, job[i].icv,
			    sa->out->icv_len);
		else
			of[i]->drop = DROP_CRYPTO;
	}
}

void
ah_seal_transport(struct sa *sa, struct pkt **p, unsigned n, struct walk *w)
{
	ah_seal(sa, p, n, w, ah_prepare_transport);
}

void
ah_seal_tunnel(struct sa *sa, struct pkt **p, unsigned n, struct walk *w)
{
	ah_seal(sa, p, n, w, ah_prepare_tunnel);
}
