/*
 * Outbound ESP (RFC 4303 3.3): header, padding, IV, then one call of the back end for the whole burst.  A hard limit or the end
 * of the sequence numbers takes effect with the packet that reaches it, not with the burst.
 */
#include <netinet/in.h>
#include "crypto.h"
#include "datapath.h"
#include "sa.h"

#define ESP_HLEN 8
#define UDP_HLEN 8

/* Octets in front of the protected payload. */
static uint32_t
esp_front(const struct sa *sa)
{
	return (sa->p.encap_dport ? UDP_HLEN : 0) + ESP_HLEN + sa->out->iv_len;
}

/*
 * Octets of padding against traffic analysis (RFC 4303 2.7): only where the payload says its own length, so that the receiver can cut
 * them off: a tunnel's inner packet, or UDP.  Never beyond what fits the wire, and only by the outermost SA of a bundle, whose size
 * is the one seen there.
 */
static uint32_t
esp_tfc(const struct sa *sa, const struct pkt *p, uint32_t clear, const uint8_t *text, uint32_t len,
    uint8_t next, const struct walk *w)
{
	uint32_t want = sa->p.tfc, most;

	if (want <= len || sa != p->sa[p->policy->nsteps - 1])
		return 0;
	if (sa->p.mode == MODE_TRANSPORT &&
	    (next != IPPROTO_UDP || len < UDP_HLEN || get16(text + 4) != len))
		return 0;
	most = xform_fit(sa, pmtu_sa(w, sa), clear);
	most = most > clear ? most - clear : 0;
	want = want < most ? want : most;
	return want > len ? want - len : 0;
}

/* ${tfc} zeros, padding (RFC 4303 2.4: 1, 2, 3, ...), pad length, next header, and room for the ICV behind ${len} octets of payload;
 * the protected length, or 0 when there is no room. */
static uint32_t
esp_trailer(struct sa *sa, struct pkt *p, uint32_t len, uint32_t tfc, uint8_t next)
{
	uint32_t block = sa->out->block, pad = (block - (len + tfc + 2) % block) % block;
	uint8_t *t = pkt_put(p, tfc + pad + 2 + sa->out->icv_len);

	if (!t)
		return 0;
	memset(t, 0, tfc);
	t += tfc;
	for (uint32_t i = 0; i < pad; i++)
		*t++ = (uint8_t)(i + 1);
	t[0] = (uint8_t)pad;
	t[1] = next;
	return len + tfc + pad + 2;
}

/* RFC 3948 2.1; the checksum is zero, and the length is known already. */
static uint8_t *
esp_udp(const struct sa *sa, uint8_t *h, uint32_t len)
{
	const struct sa_peer *peer = sa_peer(sa);

	put16(h, sa->p.encap_sport);
	put16(h + 2, peer ? peer->port : sa->p.encap_dport);
	put16(h + 4, (uint16_t)len);
	put16(h + 6, 0);
	return h + UDP_HLEN;
}

/*
 * Everything between the IP header and the payload, and the trailer: ${p} has its new room already and its payload of ${len}
 * octets begins at offset ${at} + esp_front().
 */
static enum drop
esp_prepare(struct sa *sa, struct pkt *p, uint32_t at, uint32_t len, uint8_t next, struct walk *w,
    struct crypto_esp_job *j)
{
	uint8_t *h;
	uint64_t seq;
	uint32_t protected, tfc = 0, clear = sa->p.mode == MODE_TUNNEL ? 0 : at - p->l3;
	enum drop d;

	xform_name(sa, p);
	if (sa->p.tfc)
		tfc = esp_tfc(sa, p, clear, pkt_data(p) + at + esp_front(sa), len, next, w);
	protected = esp_trailer(sa, p, len, tfc, next);
	if (protected == 0)
		return DROP_NO_ROOM;
	if (p->len - p->l3 > ip_most(p->af))
		return DROP_TOO_BIG;
	if ((d = xform_begin(sa, w)) != DROP_NONE || (d = xform_number(sa, w, &seq)) != DROP_NONE)
		return d;

	h = pkt_data(p) + at;
	if (sa->p.encap_dport)
		h = esp_udp(sa, h, p->len - at);
	put32(h, sa->spi);
	put32(h + 4, (uint32_t)seq);
	/* Counter modes: the number is the IV, unique as long as the number is (RFC 4106 3.1 asks no more).  CBC: random. */
	if (sa->p.enc->counter && sa->out->iv_len == 8)
		put64(h + ESP_HLEN, seq);
	else if (sa->out->iv_len)
		w->rng->fill(w->rng, h + ESP_HLEN, sa->out->iv_len);

	p->seq = seq;
	p->encap = sa->p.encap_dport != 0;
	j->esp = h;
	j->src = h + ESP_HLEN + sa->out->iv_len;
	j->dst = NULL;
	j->len = protected;
	j->seq_hi = (uint32_t)(seq >> 32);
	j->ok = false;
	xform_account(sa, w, sa_count(sa, w->worker), len);
	return DROP_NONE;
}

static enum drop
esp_prepare_transport(struct sa *sa, struct pkt *p, struct walk *w, struct crypto_esp_job *j)
{
	uint32_t front = esp_front(sa), at = p->ins, len = p->l3end - at;
	uint8_t *frame, next;

	if (p->key.frag)
		return DROP_FRAGMENT_OUT; /* RFC 4303 3.3.4: whole datagrams only */
	if (!(frame = pkt_push(p, front)))
		return DROP_NO_ROOM;
	memmove(frame, frame + front, at);
	next = frame[p->nh];
	frame[p->nh] = sa->p.encap_dport ? IPPROTO_UDP : IPPROTO_ESP;
	p->l4 = p->ins;
	p->l4nh = p->nh;
	return esp_prepare(sa, p, at, len, next, w, j);
}

static enum drop
esp_prepare_tunnel(struct sa *sa, struct pkt *p, struct walk *w, struct crypto_esp_job *j)
{
	uint32_t front = esp_front(sa), len = p->l3end - p->l3;
	uint8_t next = p->af == 4 ? 4 : 41;
	enum drop d = tunnel_push(sa, p, front, sa->p.encap_dport ? IPPROTO_UDP : IPPROTO_ESP, w);

	return d != DROP_NONE ? d : esp_prepare(sa, p, p->ins, len, next, w, j);
}

/* The two modes differ in how a packet is prepared, and each gets a loop of its own by inlining. */
static inline __attribute__((always_inline)) void
esp_seal(struct sa *sa, struct pkt **p, unsigned n, struct walk *w,
    enum drop (*prepare)(struct sa *, struct pkt *, struct walk *, struct crypto_esp_job *))
{
	struct crypto_esp_job job[BURST_MAX];
	struct pkt *of[BURST_MAX];
	unsigned jobs = 0;

	for (unsigned i = 0; i < n; i++) {
		p[i]->drop = prepare(sa, p[i], w, &job[jobs]);
		if (p[i]->drop == DROP_NONE)
			of[jobs++] = p[i];
	}
	crypto_esp_seal(sa_out(sa, w->worker), job, jobs);
	for (unsigned i = 0; i < jobs; i++) {
		if (!job[i].ok) {
			of[i]->drop = DROP_CRYPTO;
			continue;
		}
		ip_finish(of[i]);
		if (sa->p.encap_dport && of[i]->af == 6)
			udpencap_checksum6(of[i], of[i]->l4);
	}
}

void
esp_seal_transport(struct sa *sa, struct pkt **p, unsigned n, struct walk *w)
{
	esp_seal(sa, p, n, w, esp_prepare_transport);
}

void
esp_seal_tunnel(struct sa *sa, struct pkt **p, unsigned n, struct walk *w)
{
	esp_seal(sa, p, n, w, esp_prepare_tunnel);
}
