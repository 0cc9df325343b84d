/* links: bits_edge bits_walk bits_base bits_spd bits_sadb */
/*
 * Whatever the host's stack sends, under a policy that protects all of it by tunnel: nothing but ESP of that tunnel reaches the wire,
 * and the peer gets the very packet back, or the packet was dropped and counted.
 */
#include <netinet/in.h>
#include "world.h"

static struct pair pr;
static bool made;
static uint8_t frame[PKT_FRAME_MAX], wire[PKT_FRAME_MAX], got[PKT_FRAME_MAX];

static uint64_t
drops(const struct host *x)
{
	uint64_t n = 0;

	for (int d = 0; d < 2; d++)
		for (int r = 0; r < DROP_MAX; r++)
			n += x->stats.drop[d][r];
	return n;
}

/* A protects everything by one tunnel, b is its other end; whatever is in the built-in rules is denied. */
static void
policy(const struct pair_sa *s)
{
	struct host *host[2] = {&pr.a, &pr.b};

	pair_protect(&pr, s, 1, NULL, NULL);
	for (int i = 0; i < 2; i++) {
		const struct gen *g = host[i]->w.gen;
		enum builtin_set builtins[BUILTIN_MAX];
		struct policy *rule = spd_at(g->spd, 0);
		struct sa *sas[2] = {sadb_at(g->sad, 0), sadb_at(g->sad, 1)};

		for (int b = 0; b < BUILTIN_MAX; b++)
			builtins[b] = BUILTIN_NONE;
		host[i]->w.gen = gen_new(g->number, &rule, 1, builtins, sas, 2);
		assert_non_null(host[i]->w.gen);
		gen_free((struct gen *)g);
	}
}

/* On the wire: ESP between the tunnel's ends, nothing else. */
static void
check_wire(const uint8_t *f, int len, bool outer6)
{
	struct pkt *p = frame_pkt(pr.b.w.pool, f, (uint32_t)len);

	assert_int_equal(classify(p, DIR_IN), DROP_NONE);
	assert_int_equal(p->af, outer6 ? 6 : 4);
	assert_int_equal(p->key.proto, IPSEC_ESP);
	assert_true((uint32_t)len - p->l3 <= pr.a.w.mtu);
	pkt_free(pr.b.w.pool, p);
}

/* What a packet must have to get far, where the input wants it: EtherType and version, length, checksum, no fragment. */
static void
mend(uint8_t fix, uint32_t len)
{
	bool six = fix & 1;
	uint8_t *h = frame + 14;

	if (len < 14 + 40)
		return;
	if (fix & 2) {
		put16(frame + 12, six ? ETYPE_IP6 : ETYPE_IP4);
		h[0] = six ? 0x60 | (h[0] & 0xf) : 0x45;
	}
	if (fix & 4)
		put16(h + (six ? 4 : 2), (uint16_t)(six ? len - 54 : len - 14));
	if ((fix & 8) && !six)
		put16(h + 6, fix & 16 ? 0x4000 : 0);
	if ((fix & 32) && !six && (h[0] & 0xf) >= 5 && 14 + (h[0] & 0xfu) * 4 <= len)
		put16(h + 10, cksum_ip4(h, (h[0] & 0xfu) * 4));
	if ((fix & 64) && six)
		h[6] = IPPROTO_UDP;
}

static void
one(struct input *in, bool outer6)
{
	uint8_t fix = input8(in);
	uint32_t len = input_octets(in, frame, 4000), l3;
	uint64_t dropped = drops(&pr.a) + drops(&pr.b);
	int n, back;
	struct pkt *p;

	mend(fix, len);
	host_send1(&pr.a, frame, len);
	host_balance(&pr.a);
	while ((n = edge_mem_take(pr.a.w.lower, wire, sizeof wire)) >= 0) {
		check_wire(wire, n, outer6);
		host_receive1(&pr.b, wire, (uint32_t)n);
	}
	host_balance(&pr.b);
	back = edge_mem_take(pr.b.w.upper, got, sizeof got);
	if (back < 0) {
		assert_true(drops(&pr.a) + drops(&pr.b) + reasm_held(pr.a.w.reasm) +
				reasm_held(pr.b.w.reasm) >
			    dropped);
	} else if (pr.a.stats.consumed[DIR_OUT] + pr.b.stats.consumed[DIR_IN] == 0) {
		/* Not cut, not put together: the same IP packet, octet by octet. */
		p = frame_pkt(pr.b.w.pool, frame, len);
		assert_int_equal(classify(p, DIR_OUT), DROP_NONE);
		l3 = p->l3;
		assert_int_equal(back, p->l3end);
		assert_int_equal(memcmp(got + l3, frame + l3, p->l3end - l3), 0);
		pkt_free(pr.b.w.pool, p);
	}
	while (edge_mem_take(pr.a.w.upper, got, sizeof got) >= 0)
		; /* ICMP to the host */
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	uint8_t how = input8(&in);
	bool outer6 = how & 1;
	struct pair_sa s = {
	    .proto = IPSEC_ESP,
	    .mode = MODE_TUNNEL,
	    .src = world_src(outer6),
	    .dst = world_dst(outer6),
	    .enc = how & 2 ? "aes-128-gcm" : "null",
	    .auth = how & 2 ? NULL : "aes-cmac",
	    .esn = how & 4,
	    .tfc = how & 8 ? 200 : 0,
	    .encap = 0,
	    .df = (enum df_policy)(how >> 4 & 1),
	};

	if (!made) {
		pair_init(&pr);
		pr.a.w.rng = pr.b.w.rng = rng_seeded(3);
		made = true;
	}
	world_forget(&pr.a);
	world_forget(&pr.b);
	pr.a.w.mtu = how & 32 ? 1500 : 1280 + input8(&in);
	policy(&s);
	for (unsigned i = 0; i < 8 && in.left; i++)
		one(&in, outer6);
	return 0;
}
