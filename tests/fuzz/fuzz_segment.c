/* links: bits_walk bits_base bits_spd bits_sadb */
/*
 * Super-frames, both ways.  Arbitrary octets behind an arbitrary vnet header are cut or refused, and what is cut has the payload and nothing
 * else.  Frames from a few flows, mended so far that some belong together, are joined; cut again they are what they were.
 */
#include <netinet/in.h>
#include "fuzz.h"
#include "frame.h"
#include "gro.h"
#include "segment.h"

static struct pktpool *pool;

static void
cut(struct input *in)
{
	static uint8_t octets[4096];
	struct vnet v = {.partial = input8(in) & 1,
	    .gso = input8(in) % 6,
	    .gso_size = input16(in),
	    .csum_start = input8(in)};
	uint32_t len = (uint32_t)(in->left < sizeof octets ? in->left : sizeof octets), at, n;
	uint8_t *heap =
	    malloc(len ? len : 1); /* of just that length, so that a read behind it is seen */
	struct segment s;

	memcpy(heap, in->p, len);
	if (segment_begin(&s, heap, len, &v) == DROP_NONE) {
		assert_true(s.l3 <= s.l4 && s.l4 < s.hlen && s.hlen <= len);
		at = s.hlen;
		n = segment_left(&s);
		for (; segment_more(&s); n--) {
			struct pkt *p = pkt_new(pool);

			assert_int_equal(segment_left(&s), n);
			segment_next(&s, p);
			assert_int_equal(p->drop, DROP_NONE);
			assert_true(p->len >= s.hlen && p->len - s.hlen <= v.gso_size);
			assert_int_equal(
			    memcmp(pkt_data(p) + s.hlen, heap + at, p->len - s.hlen), 0);
			assert_int_equal(memcmp(pkt_data(p), heap, s.l3), 0);
			if (s.proto == IPPROTO_TCP)
				assert_int_equal(cksum_l4(pkt_data(p) + s.l3, s.proto,
						     pkt_data(p) + s.l4, p->len - s.l4),
				    0);
			at += p->len - s.hlen;
			pkt_free(pool, p);
		}
		assert_int_equal(n, 0);
		assert_int_equal(at, len);
	}
	free(heap);
}

/* One frame of one of four flows; the input says how it differs from what would join. */
static struct pkt *
frame_of(struct input *in, uint32_t *seq, uint16_t *id)
{
	static uint8_t f[1500];
	uint8_t how = input8(in), flow = how & 3, more = input8(in);
	bool six = flow & 1, udp = flow & 2;
	uint32_t l4 = six ? 54 : 34,
		 hlen = l4 + (udp	    ? 8u
				 : more & 4 ? 32u
					    : 20u),
		 n = how & 4 ? input8(in) : 100;
	uint8_t *h = f + l4;
	struct pkt *p;

	memset(f, 0, sizeof f);
	frame_ether(f, frame_mac_host, frame_mac_peer, six ? ETYPE_IP6 : ETYPE_IP4);
	if (udp) {
		frame_udp(h, 4711, 4712, n);
	} else {
		put16(h, 4711);
		put16(h + 2, 4712);
		put32(h + 4, seq[flow]);
		h[12] = (uint8_t)((hlen - l4) / 4 << 4);
		h[13] = how & 8 ? input8(in) : 0x10;
		put16(h + 14, 100);
	}
	for (uint32_t i = 0; i < n; i++)
		f[hlen + i] = (uint8_t)(more + i);
	seq[flow] += n;
	if (six)
		frame_ip6(f + 14, "fd00::2", "fd00::1", udp ? 17 : 6, hlen - l4 + n);
	else
		frame_ip4(f + 14, "10.0.0.2", "10.0.0.1", udp ? 17 : 6, more & 1 ? 0x4000 : 0,
		    hlen - l4 + n);
	if (!six) {
		put16(f + 18, id[flow]);
		id[flow] = (uint16_t)(id[flow] + !(more & 2));
		put16(f + 24, cksum_ip4(f + 14, 20));
	}
	put16(h + (udp ? 6 : 16), 0);
	put16(h + (udp ? 6 : 16), cksum_l4(f + 14, udp ? 17 : 6, h, hlen - l4 + n));
	if (how & 16) { /* anything anywhere */
		f[input8(in) % (hlen + n)] ^= input8(in);
		if (!six)
			put16(f + 24, cksum_ip4(f + 14, 20));
	}
	p = frame_pkt(pool, f, hlen + n);
	p->drop = classify(p, DIR_IN);
	return p;
}

static void
give_back(const struct gro_group *x)
{
	static uint8_t super[70000], was[BURST_MAX][1500];
	uint32_t at, len[BURST_MAX], n = 0;
	struct segment s;
	struct vnet v;

	for (const struct pkt *p = x->first; p; p = p->next, n++) {
		len[n] = p->len;
		memcpy(was[n], pkt_data(p), p->len);
	}
	assert_int_equal(n, x->n);
	if (n == 1)
		return;
	gro_head(x, super, &v);
	at = x->hlen;
	for (const struct pkt *p = x->first; p; at += p->len - x->hlen, p = p->next)
		memcpy(super + at, pkt_data(p) + x->hlen, p->len - x->hlen);
	assert_int_equal(at, x->len);
	assert_int_equal(segment_begin(&s, super, at, &v), DROP_NONE);
	for (uint32_t i = 0; i < n; i++) {
		struct pkt *q = pkt_new(pool);
		uint8_t *f;

		assert_true(segment_more(&s));
		segment_next(&s, q);
		assert_int_equal(q->len, len[i]);
		f = pkt_data(q);
		if (x->first->af == 4 &&
		    get16(was[0] + x->first->l3 + 4) == get16(was[1] + x->first->l3 + 4)) {
			put16(f + x->first->l3 + 4, get16(was[i] + x->first->l3 + 4));
			put16(f + x->first->l3 + 10, cksum_ip4(f + x->first->l3, 20));
		}
		assert_int_equal(memcmp(f, was[i], len[i]), 0);
		pkt_free(pool, q);
	}
	assert_true(!segment_more(&s));
}

static void
join(struct input *in)
{
	static struct gro g;
	struct burst b = {0};
	uint32_t seq[4] = {0}, n = 0;
	uint16_t id[4] = {0};

	g.udp = input8(in) & 1;
	while (in->left && b.n < BURST_MAX)
		b.p[b.n++] = frame_of(in, seq, id);
	for (unsigned i = 0; i < b.n; i++)
		n += b.p[i]->drop == DROP_NONE;
	gro_burst(&g, &b);
	for (unsigned i = 0; i < g.n; i++) {
		n -= g.group[i].n;
		give_back(&g.group[i]);
	}
	assert_int_equal(n, 0);
	for (unsigned i = 0; i < b.n; i++)
		pkt_free(pool, b.p[i]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};

	if (pool == NULL && (pool = pktpool_new(BURST_MAX + 2, 5000)) == NULL)
		abort();
	if (input8(&in) & 1)
		cut(&in);
	else
		join(&in);
	assert_int_equal(pktpool_left(pool), BURST_MAX + 2);
	return 0;
}
