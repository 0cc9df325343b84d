/*
 * Inbound ESP (RFC 4303 3.4), in the order of that text: length, replay check, ICV and decryption by one call of the back end for the
 * burst, replay window, padding, header off.  Nothing of a packet is believed before its ICV was right.
 */
#include <netinet/in.h>
#include "crypto.h"
#include "datapath.h"
#include "sa.h"

#define ESP_HLEN 8

/* Lengths and replay check; no octet behind the header is looked at. */
static enum drop
esp_check(struct sa *sa, struct pkt *p, struct walk *w, struct crypto_esp_job *j)
{
	const struct crypto *c = sa->in;
	uint32_t have = p->l3end - p->ipsec, around = ESP_HLEN + (uint32_t)c->iv_len + c->icv_len,
		 len;
	uint8_t *h;
	enum drop d;

	if (have < around + c->block || !(h = pkt_get(p, p->ipsec, have)))
		return DROP_RUNT;
	len = have - around;
	if (len % c->block != 0)
		return DROP_BAD_LENGTH;
	p->seq = replay_infer(&sa->replay, get32(h + 4));
	if ((d = xform_begin(sa, w)) != DROP_NONE ||
	    (d = replay_check(&sa->replay, p->seq)) != DROP_NONE)
		return d;
	j->esp = h;
	j->src = NULL;
	j->dst = h + ESP_HLEN + c->iv_len;
	j->len = len;
	j->seq_hi = (uint32_t)(p->seq >> 32);
	j->ok = false;
	return DROP_NONE;
}

/* Padding is the sender's 1, 2, 3, ... (RFC 4303 2.4); *${len} loses it, pad length and next header. */
static enum drop
esp_unpad(const uint8_t *text, uint32_t *len, uint8_t *next)
{
	uint32_t pad = text[*len - 2];

	*next = text[*len - 1];
	if (pad + 2 > *len)
		return DROP_BAD_PAD;
	*len -= pad + 2;
	for (uint32_t i = 0; i < pad; i++)
		if (text[*len + i] != i + 1)
			return DROP_BAD_PAD;
	return DROP_NONE;
}

/* What was protected takes the place of the ESP header (and of the UDP header in front of it); headers in front of it move up to it. */
static void
esp_strip_transport(struct pkt *p, uint32_t gone, uint32_t len, uint8_t next)
{
	uint8_t *frame = pkt_data(p);
	const uint8_t *text = frame + p->l4 + gone;

	/* What UDP's own length leaves over is padding against traffic analysis (RFC 4303 2.7). */
	if (next == IPPROTO_UDP && len >= 8 && get16(text + 4) >= 8 && get16(text + 4) < len)
		len = get16(text + 4);
	frame[p->l4nh] = next;
	memmove(frame + gone, frame, p->l4);
	pkt_pull(p, gone);
	pkt_trim(p, p->l4 + len);
	ip_finish(p);
}

/* After the ICV was right. */
static enum drop
esp_accept(struct sa *sa, struct pkt *p, struct walk *w, const struct crypto_esp_job *j)
{
	uint32_t at = (uint32_t)(j->dst - pkt_data(p)), len = j->len;
	uint8_t next;
	enum drop d;

	if ((d = xform_begin(sa, w)) != DROP_NONE ||
	    (d = replay_advance(&sa->replay, p->seq)) != DROP_NONE)
		return d;
	__atomic_store_n(&sa->cin.lost, sa->replay.lost, __ATOMIC_RELAXED);
	if (sa->p.follow)
		udpencap_follow(sa, p, w);
	if ((d = esp_unpad(j->dst, &len, &next)) != DROP_NONE)
		return d;
	xform_account(sa, w, &sa->cin, len);
	if (next == IPPROTO_NONE)
		return DROP_DUMMY;
	if (sa->p.mode == MODE_TRANSPORT) {
		esp_strip_transport(p, at - p->l4, len, next);
		return DROP_NONE;
	}
	if (next != IPPROTO_IPIP && next != IPPROTO_IPV6)
		return DROP_BAD_NEXT_HEADER;
	if (len < 20 || (j->dst[0] >> 4) != (next == IPPROTO_IPIP ? 4 : 6))
		return DROP_BAD_INNER;
	pkt_trim(p, at + len);
	return tunnel_pop(p, at);
}

void
esp_open(struct sa *sa, struct pkt **p, unsigned n, struct walk *w)
{
	struct crypto_esp_job job[BURST_MAX];
	struct pkt *of[BURST_MAX];
	unsigned jobs = 0;

	for (unsigned i = 0; i < n; i++) {
		p[i]->drop = esp_check(sa, p[i], w, &job[jobs]);
		if (p[i]->drop == DROP_NONE)
			of[jobs++] = p[i];
		else
			xform_count(sa, p[i]->drop);
	}
	crypto_esp_open(sa->in, job, jobs);
	for (unsigned i = 0; i < jobs; i++) {
		of[i]->drop = job[i].ok ? esp_accept(sa, of[i], w, &job[i]) : DROP_AUTH_FAILED;
		xform_count(sa, of[i]->drop);
	}
}
