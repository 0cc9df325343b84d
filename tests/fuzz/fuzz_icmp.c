/* links: bits_edge bits_walk bits_base bits_spd bits_sadb */
/*
 * The reader of ICMP errors: a router's message about a packet that was sent, changed anywhere, cut anywhere, with right checksums or wrong
 * ones.  The path's MTU moves only when the octets where the SPI and the number belong are those of a packet that was sent, never
 * below the least and never up; the host hears of nothing but its own packet.
 */
#include <netinet/in.h>
#include "fuzz.h"
#include "pair.h"
#include "../unit/router.h"

static const struct shape {
	enum ipsec_proto proto;
	enum ipsec_mode mode;
	const char *src, *dst, *local, *remote;
	uint16_t encap;
} shapes[] = {
    {IPSEC_ESP, MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2", 0},
    {IPSEC_ESP, MODE_TRANSPORT, "fd00::1", "fd00::2", "fd00::1", "fd00::2", 0},
    {IPSEC_ESP, MODE_TUNNEL, "10.0.0.1", "10.0.0.2", "fd01::1", "fd02::1", 0},
    {IPSEC_ESP, MODE_TUNNEL, "fd00::1", "fd00::2", "10.1.0.1", "10.2.0.1", 0},
    {IPSEC_ESP, MODE_TUNNEL, "10.0.0.1", "10.0.0.2", "10.1.0.1", "10.2.0.1", 4500},
    {IPSEC_AH, MODE_TRANSPORT, "10.0.0.1", "10.0.0.2", "10.0.0.1", "10.0.0.2", 0},
};
#define NSHAPES (sizeof shapes / sizeof shapes[0])

#define LATEST 1024 /* RECENT_MAX */

static struct host h[NSHAPES];
static uint8_t head[NSHAPES][LATEST][80]; /* of what was sent, by number */
static uint8_t frame[4000], sent[2000], wire[2000], got[PKT_FRAME_MAX];

static void
begin(struct host *x, const struct shape *s)
{
	struct pair_sa c = {s->proto, s->mode, s->src, s->dst,
	    s->proto == IPSEC_AH ? NULL : "aes-128-gcm", s->proto == IPSEC_AH ? "hmac-sha1" : NULL};
	struct policy *r;
	struct sa *sa;

	host_init(x);
	x->w.rng = rng_seeded(3);
	c.encap = s->encap;
	r = pair_rule(&c, 1, s->local, s->remote, false);
	sa = pair_sa_new(&c, 0x1001, false, SA_DIR_OUT, x->w.now);
	host_policy(x, 1, &r, 1, &sa, 1);
}

/* Where the SPI stands in the packet on the wire; the number is behind it. */
static uint32_t
spi_at(const struct shape *s)
{
	return (strchr(s->src, ':') ? 40 : 20) + (s->encap ? 8 : 0) +
	       (s->proto == IPSEC_AH ? 4 : 0);
}

/* Both headers' checksums as they should be, as far as the frame goes. */
static void
mend(bool six, uint32_t len)
{
	uint32_t at = 14 + (six ? 40 : 20);

	if (len < at + 4)
		return;
	put16(frame + at + 2, 0);
	if (six) {
		put16(frame + 18, (uint16_t)(len - at));
		put16(frame + at + 2, cksum_l4(frame + 14, IPPROTO_ICMPV6, frame + at, len - at));
	} else {
		put16(frame + 16, (uint16_t)(len - 14));
		put16(frame + 24, cksum_ip4(frame + 14, 20));
		put16(frame + at + 2, cksum_fold(cksum_add(0, frame + at, len - at)));
	}
}

/* What the host heard is an error, sound, and about what it sent. */
static void
check_heard(struct host *x, const struct shape *s, int len)
{
	struct pkt *p = frame_pkt(x->w.pool, got, (uint32_t)len);
	struct icmp_error e;
	uint32_t quoted, i;

	assert_int_equal(classify(p, DIR_IN), DROP_NONE);
	assert_true(icmp_is_error(p) && icmp_read(p, &e));
	quoted = p->l3end - p->l4 - 8;
	assert_true(quoted <= sizeof head[0][0]);
	for (i = 0; i < LATEST && memcmp(got + p->l4 + 8, head[s - shapes][i], quoted) != 0; i++)
		;
	assert_true(i < LATEST);
	if (e.too_big)
		assert_true(
		    e.mtu > 500 && e.mtu < 1500 && (strchr(s->local, '.') || e.mtu >= 1280));
	pkt_free(x->w.pool, p);
}

static void
one(struct host *x, const struct shape *s, struct input *in)
{
	static const uint8_t type4[] = {3, 11, 12}, type6[] = {1, 2, 3, 4};
	bool six = strchr(s->src, ':') != NULL;
	struct sa *sa = sadb_at(x->w.gen->sad, 0);
	uint8_t op = input8(in), type = six ? type6[op & 3] : type4[(op & 3) % 3];
	uint32_t nsent, len, quote, at, was, least = six ? 1280 : 576, mtu = input16(in) % 2000;
	int n;

	nsent = frame_make_udp(sent, s->local, s->remote, 1, 2, 0x4000, 900 + input8(in) * 2u);
	host_send1(x, sent, nsent);
	n = edge_mem_take(x->w.lower, wire, sizeof wire);
	while (edge_mem_take(x->w.lower, got, sizeof got) >= 0 ||
	       edge_mem_take(x->w.upper, got, sizeof got) >= 0)
		; /* further fragments; and it may be too big by now */
	if (n < 0) {
		sa->pmtu = 0;
		return;
	}
	memcpy(head[s - shapes][(sa->seq.next - 1) % LATEST], sent + 14, sizeof head[0][0]);
	quote = op & 4 ? input16(in) % 200 : 576;
	len = router_says(frame, wire, (uint32_t)n, type,
	    op & 8	       ? input8(in)
	    : six || type != 3 ? 0
			       : 4,
	    mtu, quote);
	at = 14 + (six ? 40 : 20) + 8; /* of the quote */
	for (unsigned i = op >> 4 & 3; i-- > 0;) {
		uint32_t where = (op & 0x80 ? at : 14u) + input8(in);

		if (where < len)
			frame[where] ^= input8(in);
	}
	if (op & 0x40)
		mend(six, len);
	was = sa->pmtu;
	host_receive1(x, frame, len);
	host_balance(x);
	if (sa->pmtu != was) {
		const uint8_t *spi = frame + at + spi_at(s);

		assert_true(sa->pmtu >= least && sa->pmtu < 1500 && (was == 0 || sa->pmtu < was));
		/* extension headers in the quote may have moved it; then it is at least not where it was */
		if (!six || frame[at + 6] == IPPROTO_ESP) {
			if (frame[at] == (six ? 0x60 : 0x45)) {
				assert_int_equal(get32(spi), 0x1001);
				assert_true(get32(spi + 4) < sa->seq.next && get32(spi + 4) > 0);
			}
		}
	}
	n = edge_mem_take(x->w.upper, got, sizeof got);
	if (n >= 0)
		check_heard(x, s, n);
	assert_int_equal(edge_mem_take(x->w.upper, NULL, 0), -1);
	if (op & 8)
		sa->pmtu = 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	size_t which = input8(&in) % NSHAPES;
	struct host *x = &h[which];
	struct event ev;

	if (x->w.gen == NULL)
		begin(x, &shapes[which]);
	sadb_at(x->w.gen->sad, 0)->pmtu = 0;
	for (unsigned i = 0; i < 16 && in.left; i++)
		one(x, &shapes[which], &in);
	while (events_pop(x->w.events, &ev))
		;
	return 0;
}
