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

/*
 * What UDP's own length leaves over is padding against traffic analysis (RFC 4303 2.7) when it is all zero, as senders make it; anything else there
 * may be options of UDP (RFC 9868), which are the host's.
 */
static uint32_t
esp_untfc(const uint8_t *text, uint32_t len, uint8_t next)
{
	uint32_t own = next == IPPROTO_UDP && len >= 8 ? get16(text + 4) : 0;

	if (own < 8 || own >= len)
		return len;
	for (uint32_t i = own; i < len; i++)
		if (text[i])
			return len;
	return own;
}

/* What was protected takes the place of the ESP header (and of the UDP header in front of it); headers in front of it move up to it. */
static void
esp_strip_transport(struct pkt *p, uint32_t gone, uint32_t len, uint8_t next)
{
	uint8_t *frame = pkt_data(p);
	const uint8_t *text = frame + p->l4 + gone;

	len = esp_untfc(text, len, next);
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
	return tunnel_pop(p, at, &sa->cin);
}

/* A packet as it came, for a second try: opening may be in place. */
struct esp_again {
	const struct crypto_esp_job *job; /* NULL: none */
	uint32_t len;
	uint8_t octets
	    [2048]; /* enough to find a high half with; larger packets wait for a smaller one */
};

static void
esp_keep(struct esp_again *again, const struct sa *sa, const struct crypto_esp_job *j)
{
	again->len = ESP_HLEN + sa->in->iv_len + j->len + sa->in->icv_len;
	if (again->len > sizeof again->octets)
		return;
	again->job = j;
	memcpy(again->octets, j->esp, again->len);
}

/* The high half of the numbers may be lost: others, further on (RFC 4303 A3). */
static void
esp_probe(struct sa *sa, struct pkt *p, struct crypto_esp_job *j, const struct esp_again *again)
{
	uint32_t low = get32(again->octets + 4);

	for (unsigned k = 1; k <= REPLAY_GUESSES && !j->ok; k++) {
		p->seq = replay_guess(&sa->replay, low, k);
		memcpy(j->esp, again->octets, again->len);
		j->seq_hi = (uint32_t)(p->seq >> 32);
		crypto_esp_open(sa->in, j, 1);
	}
}

void
esp_open(struct sa *sa, struct pkt **p, unsigned n, struct walk *w)
{
	struct crypto_esp_job job[BURST_MAX];
	struct pkt *of[BURST_MAX];
	struct esp_again again;
	unsigned jobs = 0;

	again.job = NULL;
	for (unsigned i = 0; i < n; i++) {
		p[i]->drop = esp_check(sa, p[i], w, &job[jobs]);
		if (p[i]->drop == DROP_NONE)
			of[jobs++] = p[i];
		else
			xform_count(sa, p[i]->drop);
	}
	if (jobs && sa->in->esn && replay_probe(&sa->replay, w->now))
		esp_keep(&again, sa, &job[0]);
	crypto_esp_open(sa->in, job, jobs);
	for (unsigned i = 0; i < jobs; i++) {
		if (!job[i].ok && &job[i] == again.job)
			esp_probe(sa, of[i], &job[i], &again);
		replay_verified(&sa->replay, job[i].ok);
		of[i]->drop = job[i].ok ? esp_accept(sa, of[i], w, &job[i]) : DROP_AUTH_FAILED;
		xform_count(sa, of[i]->drop);
	}
}
