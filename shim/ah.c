/*
 * Which octets an AH ICV covers, and with which value (RFC 4302 3.3.3.1 and Appendix A).
 *
 * A trap for interoperation: of an IPv6 option whose change bit is set only the data counts as zero, its type and length count as they
 * are (3.3.3.1.2.2).  Linux and scapy do that; the BSDs clear the whole option.
 */
#include <netinet/in.h>
#include "ah.h"

enum {
	OPT_EOL = 0,
	OPT_NOP = 1,
	OPT_SEC = 130,
	OPT_LSRR = 131,
	OPT_ESEC = 133,
	OPT_CIPSO = 134,
	OPT_SSRR = 137,
	OPT_RA = 148,
	OPT_SDB = 149
};

uint32_t
ah_len(const struct sa *sa, const struct crypto *c, unsigned af)
{
	uint32_t align = af == 6 ? 8 : sa->p.ahpad,
		 len = AH_FIXED + (uint32_t)c->iv_len + c->icv_len;

	return (len + align - 1) / align * align;
}

/* IPv4 options, RFC 4302 A1: immutable ones as they are, the others zero as a whole.  A source route also tells the destination. */
static enum drop
ah_options4(uint8_t *h, uint32_t hlen)
{
	for (uint32_t i = 20, n; i < hlen; i += n) {
		uint8_t *o = h + i;

		if (o[0] == OPT_EOL)
			return DROP_NONE;
		if (o[0] == OPT_NOP) {
			n = 1;
			continue;
		}
		if (i + 1 >= hlen || (n = o[1]) < 2 || n > hlen - i)
			return DROP_BAD_HEADER;
		switch (o[0]) {
		case OPT_SEC:
		case OPT_ESEC:
		case OPT_CIPSO:
		case OPT_RA:
		case OPT_SDB:
			continue;
		case OPT_LSRR:
		case OPT_SSRR:
			/* Addresses left to visit: the last of them is where the packet ends. */
			if (n >= 7 && o[2] <= n - 3u)
				memcpy(h + 16, o + n - 4, 4);
			break;
		}
		memset(o, 0, n);
	}
	return DROP_NONE;
}

static enum drop
ah_immutable4(uint8_t *h, uint32_t len)
{
	h[1] = 0;	  /* DSCP, ECN */
	put16(h + 6, 0);  /* flags, fragment offset */
	h[8] = 0;	  /* TTL */
	put16(h + 10, 0); /* checksum */
	return ah_options4(h, len);
}

/* Hop-by-hop and destination options: the data of those whose change bit is set. */
static enum drop
ah_options6(uint8_t *x, uint32_t len)
{
	for (uint32_t i = 2, n; i < len; i += n) {
		if (x[i] == 0) { /* Pad1 */
			n = 1;
			continue;
		}
		if (i + 1 >= len || (n = 2u + x[i + 1]) > len - i)
			return DROP_HEADER_CHAIN;
		if (x[i] & 0x20)
			memset(x + i + 2, 0, n - 2);
	}
	return DROP_NONE;
}

/*
 * A routing header of type 0 as the destination will see it (RFC 4302 3.3.3.1.2.3): segments left 0, each address moved one place on, the last
 * in the IPv6 header.  Type 2 (RFC 6275 6.4) is the same with one address.  Others with segments left cannot be foretold.
 */
static enum drop
ah_routing(uint8_t *h, uint8_t *x, uint32_t len)
{
	uint32_t n = (len - 8) / 16, left = x[3];
	uint8_t last[16];

	if (left == 0)
		return DROP_NONE;
	if ((x[2] != 0 && x[2] != 2) || len % 16 != 8 || left > n)
		return DROP_HEADER_CHAIN;
	memcpy(last, x + 8 + 16 * (n - 1), 16);
	/* segments still to visit are the last ${left} addresses; the header's destination takes the first one's place */
	memmove(x + 8 + 16 * (n - left + 1), x + 8 + 16 * (n - left), 16 * (left - 1));
	memcpy(x + 8 + 16 * (n - left), h + 24, 16);
	memcpy(h + 24, last, 16);
	x[3] = 0;
	return DROP_NONE;
}

static enum drop
ah_immutable6(uint8_t *h, uint32_t len)
{
	uint8_t next = h[6];
	enum drop d = DROP_NONE;

	put32(h, 6u << 28); /* class, flow label */
	h[7] = 0;	    /* hop limit */
	for (uint32_t at = 40, n; at < len && d == DROP_NONE; at += n) {
		uint8_t *x = h + at;

		if (len - at < 8 || next == IPPROTO_FRAGMENT || (n = (x[1] + 1u) * 8) > len - at)
			return DROP_HEADER_CHAIN;
		if (next == IPPROTO_ROUTING)
			d = ah_routing(h, x, n);
		else if (next == IPPROTO_HOPOPTS || next == IPPROTO_DSTOPTS)
			d = ah_options6(x, n);
		else
			return DROP_HEADER_CHAIN;
		next = x[0];
	}
	return d;
}

enum drop
ah_immutable(uint8_t *h, uint32_t len, unsigned af)
{
	return af == 4 ? ah_immutable4(h, len) : ah_immutable6(h, len);
}

enum drop
ah_cover(struct ah_cover *cover, struct crypto_mac_job *j, const struct pkt *p, uint32_t at,
    const struct crypto *c, uint32_t seq_hi)
{
	static const uint8_t zeros[AH_ZEROS];
	const uint8_t *frame = pkt_data(p);
	uint32_t front = at - p->l3, icv = (uint32_t)c->iv_len + c->icv_len,
		 rest = at + AH_FIXED + icv;
	struct crypto_iov *v = cover->iov;
	enum drop d;

	if (front > AH_HEADERS || icv > AH_ZEROS)
		return DROP_HEADER_CHAIN;
	memcpy(cover->header, frame + p->l3, front);
	if ((d = ah_immutable(cover->header, front, p->af)) != DROP_NONE)
		return d;
	*v++ = (struct crypto_iov){cover->header, front};
	*v++ = (struct crypto_iov){frame + at, AH_FIXED};
	*v++ = (struct crypto_iov){zeros, icv};
	/* The ICV's padding counts as it is, and Linux sends whatever was there (RFC 4302 3.3.3.2.1). */
	*v++ = (struct crypto_iov){frame + rest, p->l3end - rest};
	if (c->esn) {
		put32(cover->esn, seq_hi);
		*v++ = (struct crypto_iov){cover->esn, 4};
	}
	j->iov = cover->iov;
	j->niov = (unsigned)(v - cover->iov);
	j->iv = c->iv_len ? frame + at + AH_FIXED : NULL;
	j->ok = false;
	return DROP_NONE;
}
