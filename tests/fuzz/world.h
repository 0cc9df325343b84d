/*
 * A host that is attacked: one SA to receive by, nothing bypassed, and whoever attacks has its key when the test wants so: what is
 * behind the ICV's check is reached only that way.
 */
#ifndef BITS_FUZZ_WORLD_H
#define BITS_FUZZ_WORLD_H

#include "fuzz.h"
#include "ah.h"
#include "pair.h"

#define WORLD_SPI   0x1001
#define WORLD_FRAME 2600

struct world_shape {
	enum ipsec_proto proto;
	enum ipsec_mode mode;
	bool outer6, inner6; /* inner6: of a tunnel */
	uint8_t alg;	     /* row of world_algs of that protocol */
	bool esn;
	uint32_t replay;
	uint16_t encap; /* 0: no UDP */
	bool follow;
	uint64_t hard;		  /* packets, 0: no limit */
	const char *bypass_proto; /* "udp": a rule behind the others bypasses it */
};

struct world {
	struct host h;
	struct world_shape shape;
	struct pair_sa cfg;
	struct sa *in;		/* the generation's */
	struct crypto *seal;	/* the peer's */
	struct policy *protect; /* the generation's */
	uint64_t seq, generation;
	bool made;
};

/* The SA's state that only an authentic packet may change. */
struct world_state {
	uint64_t top, lost, packets, octets, last, bits;
	uint32_t state;
	struct sa_peer heard;
};

static const struct world_alg {
	const char *enc, *auth;
	uint32_t keylen;
} world_esp_algs[] =
    {
	{"aes-128-gcm", NULL, 0},
	{"aes-128-gcm-8", NULL, 0},
	{"aes-128-ccm-12", NULL, 0},
	{"chacha20-poly1305", NULL, 0},
	{"aes-128-gmac", NULL, 0},
	{"aes-128", "hmac-sha2-256", 0},
	{"3des", "hmac-sha1", 0},
	{"aes-128-ctr", "hmac-sha2-512", 0},
	{"null", "aes-cmac", 0},
},
  world_ah_algs[] = {
      {NULL, "hmac-sha1", 0},
      {NULL, "hmac-sha2-256", 0},
      {NULL, "hmac-sha2-512", 0},
      {NULL, "aes-xcbc", 0},
      {NULL, "aes-128-gmac", 0},
};

#define WORLD_ESP_ALGS (sizeof world_esp_algs / sizeof *world_esp_algs)
#define WORLD_AH_ALGS  (sizeof world_ah_algs / sizeof *world_ah_algs)

static inline const char *
world_src(bool six)
{
	return six ? "fd00::1" : "10.0.0.1";
}

static inline const char *
world_dst(bool six)
{
	return six ? "fd00::2" : "10.0.0.2";
}

static inline const char *
world_inner(bool six, bool dst)
{
	return six ? (dst ? "fd02::5" : "fd01::5") : (dst ? "10.2.0.5" : "10.1.0.5");
}

/* What the rule covers, as the sender sees it. */
static inline const char *
world_net(const struct world_shape *s, bool dst)
{
	if (s->mode == MODE_TRANSPORT)
		return dst ? world_dst(s->outer6) : world_src(s->outer6);
	return s->inner6 ? (dst ? "fd02::/64" : "fd01::/64")
			 : (dst ? "10.2.0.0/16" : "10.1.0.0/16");
}

static inline struct crypto *
world_sealer(const struct pair_sa *c)
{
	const struct alg *enc = c->enc ? alg_enc(c->enc) : NULL,
			 *auth = c->auth ? alg_auth(c->auth) : NULL;
	struct secret *ek = enc ? pair_key(enc, c->keylen, 17) : NULL,
		      *ak = auth ? pair_key(auth, 0, 99) : NULL;
	struct crypto *k = crypto_new(enc, ek ? secret_bytes(ek) : NULL, ek ? secret_len(ek) : 0,
	    auth, ak ? secret_bytes(ak) : NULL, ak ? secret_len(ak) : 0, c->esn, true);

	secret_unref(ek);
	secret_unref(ak);
	return k;
}

/* Nothing of the input before is left: held fragments time out, counters begin anew. */
static inline void
world_forget(struct host *h)
{
	struct burst none = {0};
	struct event ev;

	h->w.now += 2 * REASM_MS6;
	reasm_burst(&h->w, &none, DIR_IN);
	assert_int_equal(reasm_held(h->w.reasm), 0);
	assert_int_equal(pktpool_left(h->w.pool), 512);
	while (events_pop(h->w.events, &ev))
		;
	h->w.ipid = 0;
	memset(&h->stats, 0, sizeof h->stats);
}

/* A new SA of ${s}'s shape, once for each input. */
static inline void
world_begin(struct world *w, const struct world_shape *s)
{
	const struct world_alg *a = s->proto == IPSEC_AH ? &world_ah_algs[s->alg % WORLD_AH_ALGS]
							 : &world_esp_algs[s->alg % WORLD_ESP_ALGS];
	enum builtin_set builtins[BUILTIN_MAX];
	struct policy *rule[2];
	size_t n = 1;

	if (!w->made) {
		host_init(&w->h);
		w->h.w.rng = rng_seeded(1);
		w->made = true;
	}
	world_forget(&w->h);
	crypto_free(w->seal);
	for (int b = 0; b < BUILTIN_MAX; b++)
		builtins[b] = BUILTIN_DENY;
	w->shape = *s;
	w->cfg = (struct pair_sa){.proto = s->proto,
	    .mode = s->mode,
	    .src = world_src(s->outer6),
	    .dst = world_dst(s->outer6),
	    .enc = a->enc,
	    .auth = a->auth,
	    .keylen = a->keylen,
	    .esn = s->esn,
	    .replay = s->replay,
	    .follow = s->follow,
	    .hard = {.packets = s->hard},
	    .encap = s->encap};
	w->in = pair_sa_new(&w->cfg, WORLD_SPI, false, SA_DIR_IN, w->h.w.now);
	assert_non_null(w->in);
	assert_non_null(w->seal = world_sealer(&w->cfg));
	w->seq = 1;
	w->protect = rule[0] = pair_rule(&w->cfg, 1, world_net(s, false), world_net(s, true), true);
	if (s->bypass_proto) {
		rule[n] = policy_new();
		selector_any(&rule[n]->sel);
		pair_range(&rule[n]->sel.local, NULL);
		pair_range(&rule[n]->sel.remote, NULL);
		rule[n]->sel.proto_any = false;
		rule[n]->sel.proto = (uint8_t)proto_number(s->bypass_proto);
		rule[n]->dirs = 3;
		rule[n]->action = ACT_BYPASS;
		rule[n]->type = FLOW_BYPASS;
		n++;
	}
	gen_free((struct gen *)w->h.w.gen);
	assert_non_null(w->h.w.gen = gen_new(++w->generation, rule, n, builtins, &w->in, 1));
	for (size_t i = 0; i < n; i++)
		policy_unref(rule[i]);
	sa_unref(w->in); /* the generation's reference keeps it */
}

static inline struct world_state
world_look(const struct world *w)
{
	const struct sa *sa = w->in;
	struct world_state s;

	memset(&s, 0, sizeof s);
	s.top = sa->replay.top;
	s.lost = sa->replay.lost;
	for (uint32_t i = 0; sa->replay.bitmap && i < sa->replay.words; i++)
		s.bits = (s.bits << 1 | s.bits >> 63) ^ sa->replay.bitmap[i];
	s.packets = sa->cin.packets;
	s.octets = sa->cin.octets;
	s.last = sa->cin.last_ms;
	s.state = sa->state;
	s.heard = sa->heard;
	return s;
}

static inline bool
world_same(const struct world_state *a, const struct world_state *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

/* IP header of the outer packet in front of ${n} octets, link header too; offset of what is behind. */
static inline uint32_t
world_outer(const struct world *w, uint8_t *f, uint8_t proto, uint8_t tos, uint32_t n)
{
	bool six = w->shape.outer6;

	frame_ether(f, frame_mac_host, frame_mac_peer, six ? ETYPE_IP6 : ETYPE_IP4);
	if (six) {
		frame_ip6(f + 14, world_src(true), world_dst(true), proto, n);
		put16(f + 14, (uint16_t)(0x6000 | tos << 4));
		return 54;
	}
	frame_ip4(f + 14, world_src(false), world_dst(false), proto, 0, n);
	f[15] = tos;
	put16(f + 24, cksum_ip4(f + 14, 20));
	return 34;
}

/* Octets of ESP around a text. */
static inline uint32_t
world_esp_around(const struct world *w)
{
	return 8u + w->seal->iv_len + w->seal->icv_len;
}

/* A sealed ESP packet at ${h} of the ${len} octets of text that lie behind its header and IV; its length.  ${len} is cut to whole blocks. */
static inline uint32_t
world_seal_esp(struct world *w, uint8_t *h, uint64_t seq, uint32_t len)
{
	struct crypto *c = w->seal;
	struct crypto_esp_job j = {
	    .esp = h, .src = h + 8 + c->iv_len, .seq_hi = (uint32_t)(seq >> 32)};

	j.len = len / c->block * c->block;
	put32(h, WORLD_SPI);
	put32(h + 4, (uint32_t)seq);
	memset(h + 8, 0, c->iv_len);
	if (c->iv_len >= 8)
		put64(h + 8, seq);
	crypto_esp_seal(c, &j, 1);
	assert_true(j.ok);
	return 8 + c->iv_len + j.len + c->icv_len;
}

/* Padding, its length and the next header, as a sender would put them behind ${len} octets of text; the new length. */
static inline uint32_t
world_trailer(const struct world *w, uint8_t *text, uint32_t len, uint8_t next)
{
	uint8_t pad = 0;

	for (; (len + 2) % w->seal->block; len++)
		text[len] = ++pad;
	text[len] = pad;
	text[len + 1] = next;
	return len + 2;
}

/* The ICV of the AH packet ${f}, whose header stands where classify() finds it; false where it cannot be covered. */
static inline bool
world_seal_ah(struct world *w, uint8_t *f, uint32_t len, uint64_t seq)
{
	struct pkt *p = frame_pkt(w->h.w.pool, f, len);
	uint32_t hlen = ah_len(w->in, w->seal, w->shape.outer6 ? 6 : 4);
	struct ah_cover cover;
	struct crypto_mac_job j;
	bool ok;

	ok = classify(p, DIR_IN) == DROP_NONE && p->key.proto == IPSEC_AH && !p->key.frag &&
	     p->l4 + hlen <= p->l3end &&
	     ah_cover(&cover, &j, p, p->l4, w->seal, (uint32_t)(seq >> 32)) == DROP_NONE;
	if (ok) {
		crypto_mac(w->seal, &j, 1);
		memcpy(f + p->l4 + AH_FIXED + w->seal->iv_len, j.icv, w->seal->icv_len);
		ok = j.ok;
	}
	pkt_free(w->h.w.pool, p);
	return ok;
}

/* The newest frame handed to the host, its addresses held against the rule; its length, or -1.  ${out} has room for PKT_FRAME_MAX. */
static inline int
world_taken(struct world *w, uint8_t *out)
{
	int len = edge_mem_take(w->h.w.upper, out, PKT_FRAME_MAX);
	struct pkt *p;

	if (len < 0)
		return -1;
	p = frame_pkt(w->h.w.pool, out, (uint32_t)len);
	assert_int_equal(classify(p, DIR_IN), DROP_NONE);
	if (!w->shape.bypass_proto)
		assert_true(selector_match(&w->protect->sel, &p->key));
	pkt_free(w->h.w.pool, p);
	return len;
}

/*
 * ${f} comes from the wire.  One that is not ${authentic} may not get through (unless ${clear_ok}, a rule bypasses it), and changes
 * nothing of the SA.  Length of what the host got, in ${out}; -1: nothing.
 */
static inline int
world_receive(
    struct world *w, const uint8_t *f, uint32_t len, bool authentic, bool clear_ok, uint8_t *out)
{
	struct world_state before = world_look(w), after;
	int got;

	host_receive1(&w->h, f, len);
	host_balance(&w->h);
	got = world_taken(w, out);
	if (!authentic) {
		after = world_look(w);
		assert_true(world_same(&before, &after));
		assert_true(got < 0 || clear_ok);
	}
	assert_int_equal(edge_mem_take(w->h.w.upper, NULL, 0), -1); /* one in, at most one out */
	return got;
}

#endif
