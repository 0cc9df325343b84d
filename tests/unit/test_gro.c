/* links: bits_walk */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "frame.h"
#include "gro.h"
#include "segment.h"

static struct pktpool *pool;
static struct gro g;
static struct burst b;

static int
setup(void **state)
{
	b.n = 0;
	g.udp = true;
	return (pool = pktpool_new(BURST_MAX, 2000)) ? 0 : -1;
}

static int
teardown(void **state)
{
	int left;

	for (unsigned i = 0; i < b.n; i++)
		pkt_free(pool, b.p[i]);
	left = (int)pktpool_left(pool);
	pktpool_free(pool);
	return left == BURST_MAX ? 0 : -1;
}

/* A segment; what is not said is an ordinary one of an ordinary flow. */
struct seg {
	int af, udp;
	uint32_t seq, len;
	uint16_t id, flags, sport, window;
	uint8_t tcp, tos, ttl, options, fill, src;
	uint32_t ack;
};

static struct seg
tcp4(unsigned k)
{
	return (struct seg){.af = 4,
	    .seq = 0xffffff00u + k * 1000,
	    .len = 1000,
	    .id = (uint16_t)(0xfffe + k),
	    .flags = 0x4000,
	    .sport = 80,
	    .window = 500,
	    .tcp = 0x10,
	    .ttl = 60,
	    .options = 12,
	    .fill = (uint8_t)k,
	    .ack = 7};
}

/* The checksum of the transport header, as its sender puts it. */
static void
sum(uint8_t *f, uint32_t l4, uint32_t len, bool udp)
{
	uint8_t *field = f + l4 + (udp ? 6 : 16);

	put16(field, 0);
	put16(field, cksum_l4(f + 14, udp ? 17 : 6, f + l4, len - l4));
}

static struct pkt *
make(const struct seg *s)
{
	static uint8_t f[2000];
	uint32_t l4 = 14 + (s->af == 4 ? 20u : 40u), hlen = l4 + (s->udp ? 8u : 20u + s->options),
		 len = hlen + s->len;
	uint8_t *h = f + l4;
	struct pkt *p;

	memset(f, 0, sizeof f);
	frame_ether(f, frame_mac_host, frame_mac_peer, s->af == 4 ? ETYPE_IP4 : ETYPE_IP6);
	if (s->udp) {
		frame_udp(h, s->sport, 4711, s->len);
	} else {
		put16(h, s->sport);
		put16(h + 2, 4711);
		put32(h + 4, s->seq);
		put32(h + 8, s->ack);
		h[12] = (uint8_t)((20 + s->options) / 4 << 4);
		h[13] = s->tcp;
		put16(h + 14, s->window);
		memset(h + 20, 1, s->options);
	}
	memset(f + hlen, s->fill, s->len);
	if (s->af == 4) {
		frame_ip4(f + 14, s->src ? "10.0.0.3" : "10.0.0.2", "10.0.0.1", s->udp ? 17 : 6,
		    s->flags, len - l4);
		f[15] = s->tos;
		put16(f + 18, s->id);
		f[22] = s->ttl;
		put16(f + 24, cksum_ip4(f + 14, 20));
	} else {
		frame_ip6(
		    f + 14, s->src ? "fd00::3" : "fd00::2", "fd00::1", s->udp ? 17 : 6, len - l4);
		f[15] = s->tos;
		f[21] = s->ttl;
	}
	sum(f, l4, len, s->udp);
	p = frame_pkt(pool, f, len);
	p->drop = classify(p, DIR_IN);
	assert_int_equal(p->drop, DROP_NONE);
	return b.p[b.n++] = p;
}

static void
make_flow(unsigned n)
{
	for (unsigned k = 0; k < n; k++) {
		struct seg s = tcp4(k);

		make(&s);
	}
}

/* Cuts group ${x} again: the packets it was made of, octet by octet. */
static void
check_group(struct gro_group *x)
{
	static uint8_t super[70000], was[BURST_MAX][2000];
	struct pkt *p = x->first, *m;
	uint32_t at, len[BURST_MAX], n = 0;
	struct segment s;
	struct vnet v;

	for (m = p; m; m = m->next) {
		len[n] = m->len;
		memcpy(was[n++], pkt_data(m), m->len);
	}
	assert_int_equal(n, x->n);
	if (n == 1)
		return;
	gro_head(x, super, &v);
	at = x->hlen;
	for (m = p; m; m = m->next) {
		memcpy(super + at, pkt_data(m) + x->hlen, m->len - x->hlen);
		at += m->len - x->hlen;
	}
	assert_int_equal(at, x->len);
	assert_true(at - p->l3 <= 65535);
	assert_int_equal(v.csum_start, p->l4);
	assert_int_equal(segment_begin(&s, super, at, &v), DROP_NONE);
	assert_int_equal(segment_left(&s), n);
	for (uint32_t i = 0; i < n; i++) {
		static uint8_t slot[3000];
		struct pkt q = {.slot = slot, .size = sizeof slot};

		segment_next(&s, &q);
		assert_int_equal(q.len, len[i]);
		if (x->id ==
		    2) { /* ID_SAME: of packets that are never fragments it means nothing */
			put16(slot + 18, get16(was[i] + 18));
			put16(slot + 24, cksum_ip4(slot + 14, 20));
		}
		assert_memory_equal(slot, was[i], len[i]);
	}
	assert_memory_equal(pkt_data(p), was[0], len[0]);
}

static void
test_joined(void **state)
{
	struct gro_group *x = g.group;

	make_flow(40);
	gro_burst(&g, &b);
	assert_int_equal(g.n, 1);
	assert_int_equal(x->n, 40);
	check_group(x);
}

/* Nothing longer than an IP packet. */
static void
test_longest(void **state)
{
	for (unsigned k = 0; k < 64; k++) {
		struct seg s = tcp4(k);

		s.len = 1448;
		s.seq = k * 1448;
		make(&s);
	}
	gro_burst(&g, &b);
	assert_int_equal(g.n, 2);
	assert_int_equal(g.group[0].n, 45);
	assert_int_equal(g.group[1].n, 19);
	check_group(&g.group[0]);
	check_group(&g.group[1]);
}

/* Each of these differences, in the second of three segments, ends a group; and the third never joins the first across it. */
static void
test_differences(void **state)
{
	for (int what = 0;; what++) {
		struct seg s[3] = {tcp4(0), tcp4(1), tcp4(2)}, *m = &s[1];
		unsigned want = 3;

		switch (what) {
		case 0:
			want = 1;
			break;
		case 1:
			m->seq++; /* a gap, then an old number */
			break;
		case 2:
			m->seq -= 1000; /* sent again */
			break;
		case 3:
			m->ack++;
			break;
		case 4:
			m->window++;
			break;
		case 5:
			m->options = 0;
			break;
		case 6:
			m->tos = 4; /* DSCP */
			break;
		case 7:
			m->tos = 3; /* congestion experienced */
			break;
		case 8:
			m->ttl--;
			break;
		case 9:
			m->flags = 0;
			break;
		case 10:
			m->id += 5;
			break;
		case 11:
			m->tcp |= 0x40; /* ECE */
			break;
		case 12:
			m->tcp |= 0x80; /* CWR */
			break;
		case 13:
			m->tcp |= 0x20; /* URG */
			break;
		case 14:
			m->tcp |= 0x04; /* RST */
			break;
		case 15:
			m->tcp |= 0x02; /* SYN */
			break;
		case 16:
			m->tcp = 0;
			break;
		case 17:
			m->len = 0;
			break;
		case 18:
			m->len = 1001; /* longer than the first */
			break;
		case 19:
			m->len = 999; /* joins, as the last */
			want = 2;
			break;
		case 20:
			m->tcp |= 0x08; /* PSH: joins, as the last */
			want = 2;
			break;
		case 21:
			m->tcp |= 0x01; /* FIN */
			want = 2;
			break;
		case 22:
			s[0].tcp |= 0x08; /* PSH on the first: nothing behind it */
			want = 2;
			break;
		case 23:
			s[0].id = s[1].id = s[2].id = 9; /* the same, and never a fragment */
			want = 1;
			break;
		case 24:
			s[0].id = s[1].id = s[2].id = 9;
			s[0].flags = s[1].flags = s[2].flags = 0;
			break;
		case 25:
			s[0].id = s[1].id = 9; /* the same, then counting */
			s[2].id = 11;
			want = 2;
			break;
		case 26:
			m->src =
			    1; /* another host: the first and third join, the flow's order is kept */
			want = 2;
			break;
		case 27:
			m->sport++;
			want = 2;
			break;
		default:
			return;
		}
		if (what == 26 || what == 27) {
			s[2].seq = s[1].seq;
			s[2].id = s[1].id;
		}
		for (int i = 0; i < 3; i++)
			make(&s[i]);
		gro_burst(&g, &b);
		if (g.n != want)
			fail_msg("difference %d: %u groups, not %u", what, g.n, want);
		for (unsigned i = 0; i < g.n; i++)
			check_group(&g.group[i]);
		while (b.n)
			pkt_free(pool, b.p[--b.n]);
	}
}

/* A wrong checksum is the host's to find. */
static void
test_checksum(void **state)
{
	for (unsigned bad = 0; bad < 3; bad++) {
		make_flow(3);
		pkt_data(b.p[bad])[b.p[bad]->len - 1] ^= 1;
		gro_burst(&g, &b);
		assert_int_equal(g.n, bad == 1 ? 3 : 2);
		while (b.n)
			pkt_free(pool, b.p[--b.n]);
	}
}

/* What is dropped already is left out; a fragment between two segments of its host is not overtaken. */
static void
test_between(void **state)
{
	make_flow(3);
	b.p[1]->drop = DROP_REPLAY_DUP;
	gro_burst(&g, &b);
	assert_int_equal(g.n, 2);
	b.p[1]->drop = DROP_NONE;
	b.p[1]->key.frag = 1;
	gro_burst(&g, &b);
	assert_int_equal(g.n, 3);
	b.p[1]->key.frag = 0;
	b.p[0]->todo.partial = true; /* not whole: no checksum to look at */
	gro_burst(&g, &b);
	assert_int_equal(g.n, 2);
	assert_int_equal(g.group[1].n, 2);
	b.p[0]->todo.partial = false;
}

static void
test_udp(void **state)
{
	for (unsigned k = 0; k < 5; k++) {
		struct seg s = tcp4(k);

		s.udp = 1;
		s.len = k == 3 ? 600 : 700;
		make(&s);
	}
	gro_burst(&g, &b);
	assert_int_equal(g.n, 2); /* a shorter one is the last */
	assert_int_equal(g.group[0].n, 4);
	check_group(&g.group[0]);
	g.udp = false;
	gro_burst(&g, &b);
	assert_int_equal(g.n, 5);
	g.udp = true;
	put16(pkt_data(b.p[1]) + 34 + 6, 0); /* its sender did without a checksum */
	gro_burst(&g, &b);
	assert_int_equal(g.n, 4);
	assert_int_equal(g.group[2].n, 2);
}

enum encap { COUNTS, SHORTER, ANY_ID, SIX, ECN, PORT, MAY_CUT, FRAGMENT, ALIEN, CASES };

/* Five packets of ESP in UDP, as they are sealed; the third may be another. */
static void
make_encap(enum encap what)
{
	for (unsigned k = 0; k < 5; k++) {
		struct seg s = tcp4(k);
		struct pkt *p;

		s.udp = 1;
		s.af = what == SIX ? 6 : 4;
		s.len = what == SHORTER && k == 2 ? 600 : 700;
		s.tos = what == ECN && k == 2 ? 3 : 0;
		s.sport = (uint16_t)(80 + (what == PORT && k == 2));
		if (what == ANY_ID)
			s.id = (uint16_t)(k * 77);
		if (what == MAY_CUT) {
			s.id = 3;
			s.flags = 0;
		}
		p = make(&s);
		p->encap = what != ALIEN || k != 2;
		if (what != SIX)
			put16(pkt_data(p) + 40, 0);
		if (what == FRAGMENT && k == 2)
			pkt_data(p)[21] = 1; /* offset 8 */
	}
}

/* The packets, cut from the super-frame that ${x} is. */
static void
check_encap(const struct gro_group *x)
{
	static uint8_t slot[3000], super[8000];
	uint32_t at = x->hlen, l4 = x->first->l4;
	struct segment s;
	struct vnet v;

	gro_head(x, super, &v);
	assert_int_equal(v.gso, GSO_UDP);
	assert_int_equal(v.gso_size, 700);
	for (const struct pkt *p = x->first; p; at += 700, p = p->next)
		memcpy(super + at, pkt_data(p) + x->hlen, 700);
	assert_int_equal(at, x->len);
	assert_int_equal(segment_begin(&s, super, at, &v), DROP_NONE);
	for (unsigned k = 0; k < 5; k++) {
		struct pkt q = {.slot = slot, .size = sizeof slot};

		segment_next(&s, &q);
		assert_int_equal(q.len, b.p[k]->len);
		assert_int_equal(cksum_l4(slot + 14, 17, slot + l4, 708) & 0xffff, 0xffff);
		if (x->first->af == 4)
			put16(slot + l4 + 6, 0); /* it has a checksum more */
		assert_memory_equal(slot, pkt_data(b.p[k]), q.len);
	}
}

/* ESP in UDP for the wire: one length, one pair of ports and ID that counts or means nothing; cut, only the UDP checksum is new. */
static void
test_encap(void **state)
{
	static const unsigned want[CASES] = {1, 2, 1, 1, 3, 3, 5, 3, 3};

	for (enum encap what = 0; what < CASES; what++) {
		make_encap(what);
		gro_encap_burst(&g, &b);
		if (g.n != want[what])
			fail_msg("%d: %u groups, not %u", (int)what, g.n, want[what]);
		if (what == COUNTS || what == SIX)
			check_encap(&g.group[0]);
		gro_alone(&g, &b);
		assert_int_equal(g.n, 5);
		while (b.n)
			pkt_free(pool, b.p[--b.n]);
	}
}

/* At random: several flows, both families, every kind of trouble.  Groups give their packets back, and flows stay in order. */
static void
test_random(void **state)
{
	unsigned joined = 0;

	srandom(4711);
	for (int round = 0; round < 3000; round++) {
		uint32_t seq[6] = {0};
		uint16_t id[6] = {0};
		unsigned n = 1 + (unsigned)random() % BURST_MAX, at[6] = {0};

		for (unsigned k = 0; k < n; k++) {
			unsigned flow = (unsigned)random() % 6;
			struct seg s = tcp4(k);

			s.af = flow & 1 ? 4 : 6;
			s.udp = flow >= 4;
			s.sport = (uint16_t)flow;
			s.seq = seq[flow];
			s.id = id[flow]++;
			s.len = random() % 8 ? 300 : 1 + (uint32_t)random() % 300;
			switch (random() % 24) {
			case 0:
				s.tcp |= (uint8_t)random();
				break;
			case 1:
				s.seq += (uint32_t)random() % 3;
				break;
			case 2:
				s.ack = (uint32_t)random() % 9;
				break;
			case 3:
				s.tos = (uint8_t)random();
				break;
			case 4:
				id[flow] = s.id = (uint16_t)random();
				break;
			case 5:
				s.flags = 0;
				break;
			case 6:
				s.len = 0;
				break;
			}
			if (s.af == 6)
				s.tos &= 0xf0;
			make(&s)->number = k;
			seq[flow] = s.seq + s.len;
		}
		gro_burst(&g, &b);
		n = 0;
		for (unsigned i = 0; i < g.n; i++) {
			for (const struct pkt *p = g.group[i].first; p; p = p->next, n++) {
				unsigned flow = p->key.rport;

				assert_true(at[flow] <= p->number);
				at[flow] = (unsigned)p->number + 1;
			}
			joined += g.group[i].n - 1;
			check_group(&g.group[i]);
		}
		assert_int_equal(n, b.n);
		while (b.n)
			pkt_free(pool, b.p[--b.n]);
	}
	assert_true(joined > 10000);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_joined),
	    T(test_longest),
	    T(test_differences),
	    T(test_checksum),
	    T(test_between),
	    T(test_udp),
	    T(test_encap),
	    T(test_random),
	};

	return cmocka_run_group_tests_name("gro", tests, NULL, NULL);
}
