/* links: bits_edge bits_walk bits_base bits_spd bits_sadb */
/*
 * Valid packets, mutated: cut short, grown, truncated where their lengths are mended, bits flipped, octets overwritten, spliced with
 * another packet.  mutate COUNT [KIND]: so many of each kind; prints what became of them.  The numbers are the same each time.
 *
 * What gets through is, in all that is authenticated, the packet it was made of.  What does not changes nothing of the SA.
 */
#include <netinet/in.h>
#include "world.h"

#define POOL	 32  /* valid packets at hand; less than a replay window */
#define TEXT	 24  /* smallest and */
#define TEXT_MAX 300 /* largest payload */

static uint64_t rnd_state;

static uint32_t
rnd(uint32_t n)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return (uint32_t)((rnd_state * 0x2545f4914f6cdd1d >> 33) % n);
}

struct packet {
	uint8_t f[WORLD_FRAME];
	uint32_t len, at; /* at: of the IPsec header */
	uint8_t inner
	    [600]; /* what the host gets when it is opened: its IP packet, or what stands behind the IP header */
	uint32_t ninner;
	uint64_t seq;
};

static struct world w;
static struct packet pool[POOL];
static uint8_t frame[PKT_FRAME_MAX], got[PKT_FRAME_MAX];
static uint64_t verdict[DROP_MAX], held, passed;

/* UDP from one end to the other as the text of ${p}: with IP header of its own in a tunnel. */
static uint32_t
make_text(uint8_t *t)
{
	uint32_t n = TEXT + rnd(TEXT_MAX - TEXT), six = w.shape.inner6, u;

	if (w.shape.mode == MODE_TRANSPORT)
		return frame_udp(t, 1000, 2000, n);
	u = frame_udp(t + (six ? 40 : 20), 1000, 2000, n);
	return six ? frame_ip6(t, world_inner(true, false), world_inner(true, true), 17, u)
		   : frame_ip4(
			 t, world_inner(false, false), world_inner(false, true), 17, 0x4000, u);
}

static uint8_t
text_proto(void)
{
	return w.shape.mode == MODE_TRANSPORT ? 17 : w.shape.inner6 ? 41 : 4;
}

/* Seals what lies in p->inner. */
static void
seal(struct packet *p)
{
	uint32_t front = 14 + (w.shape.outer6 ? 40 : 20), n, hlen;
	uint8_t *h = p->f + front, *text;

	p->at = front;
	if (w.shape.proto == IPSEC_AH) {
		hlen = ah_len(w.in, w.seal, w.shape.outer6 ? 6 : 4);
		n = hlen + p->ninner;
		world_outer(&w, p->f, IPPROTO_AH, 0, n);
		memset(h, 0, hlen);
		h[0] = text_proto();
		h[1] = (uint8_t)(hlen / 4 - 2);
		put32(h + 4, WORLD_SPI);
		put32(h + 8, (uint32_t)w.seq);
		memcpy(h + hlen, p->inner, p->ninner);
		p->len = front + n;
		assert_true(world_seal_ah(&w, p->f, p->len, w.seq++));
		return;
	}
	if (w.shape.encap) {
		p->at += 8;
		h += 8;
	}
	text = h + 8 + w.seal->iv_len;
	memcpy(text, p->inner, p->ninner);
	n = world_seal_esp(&w, h, w.seq++, world_trailer(&w, text, p->ninner, text_proto()));
	if (w.shape.encap) {
		put16(h - 8, w.shape.encap);
		put16(h - 6, w.shape.encap);
		put16(h - 4, (uint16_t)(8 + n));
		put16(h - 2, 0);
		n += 8;
	}
	world_outer(&w, p->f, w.shape.encap ? IPPROTO_UDP : IPPROTO_ESP, 0, n);
	p->len = front + n;
}

static void
make(struct packet *p)
{
	p->ninner = make_text(p->inner);
	p->seq = w.seq;
	seal(p);
}

/* The IP header's length and checksum fit ${len} octets of frame again. */
static void
mend(uint8_t *f, uint32_t len)
{
	if (len >= 54 && w.shape.outer6)
		put16(f + 18, (uint16_t)(len - 54));
	if (len >= 34 && !w.shape.outer6) {
		put16(f + 16, (uint16_t)(len - 14));
		if ((f[14] & 0xf) >= 5 && 14 + (f[14] & 0xfu) * 4 <= len)
			put16(f + 24, cksum_ip4(f + 14, (f[14] & 0xfu) * 4));
	}
}

/* One to three mutations of ${len} octets; the new length, at most ${cap}. */
static uint32_t
mutate(uint8_t *f, uint32_t len, uint32_t cap)
{
	const struct packet *o = &pool[rnd(POOL)];
	uint32_t at, n;

	for (uint32_t times = 1 + rnd(3); times; times--) {
		switch (len == 0 ? 2 : rnd(6)) {
		case 0: /* short */
			len = rnd(len);
			break;
		case 1: /* truncated a little */
			n = 1 + rnd(20);
			len = len > n ? len - n : 0;
			break;
		case 2: /* overlong */
			n = 1 + rnd(rnd(2) ? 8 : 200);
			n = n > cap - len ? cap - len : n;
			for (uint32_t i = 0; i < n; i++)
				f[len + i] = (uint8_t)rnd(256);
			len += n;
			break;
		case 3:
			f[rnd(len)] ^= (uint8_t)(1 << rnd(8));
			break;
		case 4: /* overwritten */
			at = rnd(len);
			n = 1 + rnd(8);
			for (uint32_t i = at; i < at + n && i < len; i++)
				f[i] = (uint8_t)(rnd(4) ? rnd(256) : rnd(2) * 255);
			break;
		default: /* spliced: another packet's end behind our beginning */
			at = rnd(len);
			if (at < o->len) {
				memcpy(f + at, o->f + at, o->len - at);
				len = o->len;
			}
			break;
		}
	}
	return len;
}

/* Which one did the host get? */
static struct packet *
find(const uint8_t *f, uint32_t len)
{
	uint32_t at = w.shape.mode == MODE_TUNNEL ? 14 : 14 + (w.shape.outer6 ? 40 : 20);

	for (unsigned i = 0; i < POOL; i++)
		if (len >= at && len - at == pool[i].ninner &&
		    memcmp(f + at, pool[i].inner, len - at) == 0)
			return &pool[i];
	return NULL;
}

/* The one all of whose ESP or AH header, text and ICV lie in ${f}: what is in front of them ESP does not vouch for. */
static struct packet *
whole(const uint8_t *f, uint32_t len)
{
	for (unsigned i = 0; i < POOL; i++)
		if (memmem(f, len, pool[i].f + pool[i].at, pool[i].len - pool[i].at))
			return &pool[i];
	return NULL;
}

static void
count(const struct stats *before)
{
	for (int r = 0; r < DROP_MAX; r++)
		verdict[r] += w.h.stats.drop[DIR_IN][r] - before->drop[DIR_IN][r];
}

/* A valid packet that is not too old for the window. */
static struct packet *
pick(void)
{
	struct packet *p = &pool[rnd(POOL)];

	if (p->seq + POOL < w.seq)
		make(p);
	return p;
}

/* Mutated on the wire. */
static void
one_outside(void)
{
	struct packet *p = pick();
	struct world_state was = world_look(&w), is;
	struct stats before = w.h.stats;
	uint32_t len;
	int n;

	memcpy(frame, p->f, p->len);
	len = mutate(frame, p->len, WORLD_FRAME);
	if (rnd(4))
		mend(frame, len);
	host_receive1(&w.h, frame, len);
	count(&before);
	n = world_taken(&w, got);
	is = world_look(&w);
	if (n < 0) {
		/* Authentic, and refused for what came with it: another address, a mark of congestion. */
		if (!world_same(&was, &is)) {
			assert_non_null(p = whole(frame, len));
			make(p);
		}
		return;
	}
	/* Opened, so nothing of it was touched but what no ICV covers; a fresh one takes its place, since it cannot come again. */
	passed++;
	if (w.shape.encap && world_same(&was, &is))
		return; /* no longer ESP: clear UDP, which the rule behind lets through */
	assert_non_null(p = find(got, (uint32_t)n));
	make(p);
}

/* Mutated before it was sealed, padding and next header too: the sender is hostile. */
static void
one_inside(void)
{
	struct stats before = w.h.stats;
	uint32_t front = 14 + (w.shape.outer6 ? 40 : 20), n;
	uint8_t *text = frame + front + 8 + w.seal->iv_len;

	n = make_text(text);
	if (rnd(2)) /* the trailer is right */
		n = world_trailer(&w, text, mutate(text, n, 600), text_proto());
	else
		n = mutate(text, world_trailer(&w, text, n, text_proto()), 600);
	n = world_seal_esp(&w, frame + front, w.seq++, n);
	world_outer(&w, frame, IPPROTO_ESP, (uint8_t)rnd(256), n);
	host_receive1(&w.h, frame, front + n);
	count(&before);
	if (world_taken(&w, got) >= 0)
		passed++;
	w.h.w.now += 20;
}

/* Cut in three on the way, one piece mutated. */
static void
one_cut(void)
{
	struct packet *p = pick();
	uint32_t head = 34, all = p->len - head, step = (all / 3 + 8) & ~7u, bad = rnd(4);
	struct stats before = w.h.stats;
	struct world_state was = world_look(&w), is;
	static uint16_t id;
	int n;

	id++;
	for (uint32_t at = 0, i = 0; at < all; at += step, i++) {
		uint32_t len = all - at < step ? all - at : step;

		memcpy(frame, p->f, head);
		memcpy(frame + head, p->f + head + at, len);
		put16(frame + 18, id);
		put16(frame + 20, (uint16_t)(at / 8 | (at + len < all ? 0x2000 : 0)));
		len += head;
		if (i == bad)
			len = mutate(frame, len, WORLD_FRAME);
		if (i != bad || rnd(8))
			mend(frame, len);
		host_receive1(&w.h, frame, len);
	}
	w.h.w.now += 1000; /* what stays incomplete times out some time */
	count(&before);
	n = world_taken(&w, got);
	is = world_look(&w);
	if (n < 0) {
		/* One fragment's mark of congestion is the datagram's, and its text is authentic all the same. */
		if (w.h.stats.drop[DIR_IN][DROP_ECN] != before.drop[DIR_IN][DROP_ECN])
			make(p);
		else
			assert_true(world_same(&was, &is));
		return;
	}
	passed++;
	assert_non_null(p = find(got, (uint32_t)n));
	make(p);
}

/* Chains of IPv6 extension headers, which the rule behind bypasses where they end in UDP. */
static void
one_chain(void)
{
	static const uint8_t kinds[] = {
	    IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS, IPPROTO_FRAGMENT};
	struct stats before = w.h.stats;
	uint32_t n = rnd(6), at = 54, len, nh = 20;

	memset(frame, 0, 54);
	for (uint32_t i = 0; i < n; i++) {
		frame[nh] = i == 0 && rnd(2) ? 0 : kinds[1 + rnd(3)];
		nh = at;
		memset(frame + at, 0, 8 * 4);
		frame[at + 1] = frame[nh] == IPPROTO_FRAGMENT ? 0 : (uint8_t)rnd(3);
		frame[at + 2] = 1;
		frame[at + 3] = 4;
		at += (frame[at + 1] + 1u) * 8;
	}
	frame[nh] = 17;
	len = at + frame_udp(frame + at, 1000, 2000, 40);
	frame_ether(frame, frame_mac_host, frame_mac_peer, ETYPE_IP6);
	nh = frame[20];
	frame_ip6(frame + 14, "fd00::1", "fd00::2", (uint8_t)nh, len - 54);
	if (rnd(8))
		len = mutate(frame, len, WORLD_FRAME);
	if (rnd(4))
		mend(frame, len);
	host_receive1(&w.h, frame, len);
	count(&before);
	while (world_taken(&w, got) >= 0)
		passed++;
	w.h.w.now += 2000;
}

static const struct kind {
	const char *name;
	struct world_shape shape;
	void (*one)(void);
} kinds[] = {
    {"esp-transport4", {IPSEC_ESP, MODE_TRANSPORT, .alg = 0, .replay = 64}, one_outside},
    {"esp-transport6-esn", {IPSEC_ESP, MODE_TRANSPORT, true, .alg = 5, .esn = true, .replay = 64},
	one_outside},
    {"esp-tunnel", {IPSEC_ESP, MODE_TUNNEL, .inner6 = true, .alg = 8, .replay = 64}, one_outside},
    {"esp-in-udp",
	{IPSEC_ESP, MODE_TUNNEL, .alg = 0, .replay = 64, .encap = 4500, .follow = true,
	    .bypass_proto = "udp"},
	one_outside},
    {"ah-transport4", {IPSEC_AH, MODE_TRANSPORT, .alg = 1, .replay = 64}, one_outside},
    {"ah-tunnel6", {IPSEC_AH, MODE_TUNNEL, true, .alg = 1, .replay = 64}, one_outside},
    {"inside-transport4", {IPSEC_ESP, MODE_TRANSPORT, .alg = 0, .replay = 64}, one_inside},
    {"inside-tunnel4", {IPSEC_ESP, MODE_TUNNEL, .alg = 0, .replay = 64}, one_inside},
    {"inside-tunnel6", {IPSEC_ESP, MODE_TUNNEL, .inner6 = true, .alg = 0, .replay = 64},
	one_inside},
    {"fragments", {IPSEC_ESP, MODE_TUNNEL, .alg = 0, .replay = 64}, one_cut},
    {"headers6", {IPSEC_ESP, MODE_TRANSPORT, true, .alg = 0, .bypass_proto = "udp"}, one_chain},
};

static void
run(const struct kind *k, unsigned long n)
{
	rnd_state = 88172645463325252;
	world_begin(&w, &k->shape);
	memset(verdict, 0, sizeof verdict);
	passed = 0;
	for (unsigned i = 0; i < POOL; i++)
		make(&pool[i]);
	for (unsigned long i = 0; i < n; i++) {
		k->one();
		if (i % 256 == 0)
			host_balance(&w.h);
	}
	host_balance(&w.h);
	held = reasm_held(w.h.w.reasm);
	printf("%-20s %8lu mutated, %lu went through:", k->name, n, (unsigned long)passed);
	for (int r = 0; r < DROP_MAX; r++)
		if (verdict[r])
			printf(" %s %lu", drop_name(r), (unsigned long)verdict[r]);
	printf(" held %lu\n", (unsigned long)held);
	fflush(stdout);
	assert_true(passed < n); /* a mutation that does nothing is none */
}

int
main(int argc, char *argv[])
{
	unsigned long n = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000, ran = 0;

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (argc < 3 || strcmp(argv[2], kinds[i].name) == 0) {
			run(&kinds[i], n);
			ran++;
		}
	crypto_free(w.seal);
	if (w.made) {
		rng_free(w.h.w.rng);
		world_forget(&w.h);
		host_fini(&w.h);
	}
	return ran > 0 ? 0 : 2;
}
