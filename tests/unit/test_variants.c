/* links: bits_edge bits_walk bits_base bits_spd bits_sadb */
/*
 * Every algorithm of the table: each short, overlong, truncated and bit-flipped variant of a valid packet is dropped under its reason, and
 * changes nothing of the SA but its counters of failures; the packet itself is then taken, and once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "ah.h"
#include "pair.h"

static struct pair pr;
static struct sa *in;
static uint8_t valid[600], frame[700], got[600];
static uint32_t len, at; /* of the packet; of its ESP or AH header */
static bool ah, six;
static uint64_t want[DROP_MAX]; /* what was expected so far */

/* What no packet may change that was not authentic. */
struct state {
	uint64_t top, lost, packets, octets, last, bits[2];
	uint32_t state;
	struct sa_peer heard;
};

static struct state
look(void)
{
	struct state s;

	memset(&s, 0, sizeof s);
	s.top = in->replay.top;
	s.lost = in->replay.lost;
	s.packets = in->cin.packets;
	s.octets = in->cin.octets;
	s.last = in->cin.last_ms;
	for (uint32_t i = 0; i < in->replay.words && i < 2; i++)
		s.bits[i] = in->replay.bitmap[i];
	s.state = in->state;
	s.heard = in->heard;
	return s;
}

/* ${frame}, ${n} octets, is dropped for ${why}. */
static void
refused(uint32_t n, enum drop why, const char *what, uint32_t which)
{
	struct state before = look(), after;

	want[why]++;
	host_receive1(&pr.b, frame, n);
	after = look();
	if (pr.b.stats.drop[DIR_IN][why] != want[why])
		for (int r = 0; r < DROP_MAX; r++)
			if (pr.b.stats.drop[DIR_IN][r] != want[r])
				print_message("%s: %lu, expected %lu\n", drop_name(r),
				    (unsigned long)pr.b.stats.drop[DIR_IN][r],
				    (unsigned long)want[r]);
	if (pr.b.stats.drop[DIR_IN][why] != want[why] || edge_mem_take(pr.b.w.upper, got, 600) >= 0)
		fail_msg("%s %s, %s %u: not dropped as %s", in->p.enc ? in->p.enc->name : "ah",
		    in->p.auth ? in->p.auth->name : "-", what, which, drop_name(why));
	if (memcmp(&before, &after, sizeof before) != 0)
		fail_msg("%s %u changes the SA's state", what, which);
}

/* The IP header fits ${n} octets of frame. */
static void
mend(uint32_t n)
{
	if (six) {
		put16(frame + 18, (uint16_t)(n - 54));
	} else {
		put16(frame + 16, (uint16_t)(n - 14));
		put16(frame + 24, cksum_ip4(frame + 14, 20));
	}
	if (in->p.encap_dport)
		put16(frame + at - 4, (uint16_t)(n + 8 - at));
}

/* By RFC 4303 3.4 and 4302 3.4: what a packet with ${n} octets from the IPsec header on is worth when its ICV is wrong. */
static enum drop
by_length(uint32_t n)
{
	const struct crypto *c = in->in;
	uint32_t around = 8u + c->iv_len + c->icv_len;

	if (ah)
		return n < ah_len(in, c, six ? 6 : 4) ? DROP_RUNT : DROP_AUTH_FAILED;
	if (n < around + c->block)
		return DROP_RUNT;
	return (n - around) % c->block ? DROP_BAD_LENGTH : DROP_AUTH_FAILED;
}

/* The end is missing, on the wire or before lengths were written. */
static void
short_ones(void)
{
	for (uint32_t n = 0; n < len; n++) {
		memcpy(frame, valid, len);
		refused(n, DROP_TRUNCATED, "truncated to", n);
	}
	for (uint32_t n = at; n < len; n++) {
		/* four octets or fewer behind UDP that are no marker are nothing at all */
		if (in->p.encap_dport && n - at < 4)
			continue;
		memcpy(frame, valid, len);
		mend(n);
		refused(n, by_length(n - at), "short", n);
	}
}

static void
long_ones(void)
{
	for (uint32_t more = 1; more <= 40; more++) {
		memcpy(frame, valid, len);
		memset(frame + len, (int)more, more);
		mend(len + more);
		refused(len + more, by_length(len + more - at), "overlong", more);
	}
}

static enum drop
by_octet(uint32_t i)
{
	uint32_t spi = ah ? 4 : 0, seq = ah ? 8 : 4;
	enum drop d;

	if (ah && i == 1)
		return DROP_BAD_LENGTH;
	if (i >= spi && i < spi + 4)
		return DROP_UNKNOWN_SPI;
	if (i >= seq && i < seq + 4 &&
	    (d = replay_check(&in->replay, replay_infer(&in->replay, get32(frame + at + seq)))) !=
		DROP_NONE)
		return d;
	return DROP_AUTH_FAILED;
}

static void
flipped_ones(void)
{
	for (uint32_t bit = 0; bit < (len - at) * 8; bit++) {
		memcpy(frame, valid, len);
		frame[at + bit / 8] ^= (uint8_t)(1u << (bit % 8));
		refused(len, by_octet(bit / 8), "bit", bit);
	}
}

/* The IPv4 header has a checksum, and a length that may not be the frame's. */
static void
flipped_header4(void)
{
	for (uint32_t bit = 0; bit < 20 * 8; bit++) {
		uint32_t total;

		memcpy(frame, valid, len);
		frame[14 + bit / 8] ^= (uint8_t)(1u << (bit % 8));
		total = get16(frame + 16);
		refused(len,
		    frame[14] == 0x45 && total > len - 14 ? DROP_TRUNCATED : DROP_BAD_HEADER,
		    "header bit", bit);
	}
}

/*
 * The IPv6 header has no checksum: its version, a length that is the frame's or not, and a destination that no SA has.  Of the rest, what is
 * no business of the ICV's goes through, and AH's would be wrong.
 */
static void
flipped_header6(void)
{
	for (uint32_t bit = 0; bit < 40 * 8; bit++) {
		uint32_t total;
		enum drop why;

		memcpy(frame, valid, len);
		frame[14 + bit / 8] ^= (uint8_t)(1u << (bit % 8));
		total = 40u + get16(frame + 18);
		if (bit < 8 && bit >= 4)
			why = DROP_BAD_HEADER;
		else if (bit / 8 == 4 || bit / 8 == 5)
			why = total > len - 14	 ? DROP_TRUNCATED
			      : total + 14 <= at ? DROP_RUNT
						 : by_length(total + 14 - at);
		else if (bit / 8 >= 24)
			why = DROP_UNKNOWN_SPI;
		else if (ah && bit / 8 >= 8)
			why = DROP_AUTH_FAILED;
		else
			continue;
		refused(len, why, "header bit", bit);
	}
}

static void
taken_once(void)
{
	struct state before = look(), after;
	uint8_t padded[660];

	memcpy(padded, valid, len);
	memset(padded + len, 0xee, 40); /* link padding is no part of it */
	host_receive1(&pr.b, padded, len + 40);
	assert_true(edge_mem_take(pr.b.w.upper, got, sizeof got) > 0);
	after = look();
	assert_int_equal(after.packets, before.packets + 1);
	assert_int_equal(pr.b.stats.protected_[DIR_IN], after.packets);
	memcpy(frame, valid, len);
	refused(len, DROP_REPLAY_DUP, "again", 0);
	assert_int_equal(in->cin.auth_failed, want[DROP_AUTH_FAILED]);
	assert_int_equal(in->cin.replay_dup, want[DROP_REPLAY_DUP]);
	assert_int_equal(in->cin.replay_old, want[DROP_REPLAY_OLD]);
}

static void
variants(const struct pair_sa *s)
{
	const char *src = s->mode != MODE_TUNNEL ? s->src
			  : strchr(s->src, ':')	 ? "fd01::1"
						 : "10.1.0.1",
		   *dst = s->mode != MODE_TUNNEL ? s->dst
			  : strchr(s->src, ':')	 ? "fd02::1"
						 : "10.2.0.1";
	uint8_t f[200];
	uint32_t n = frame_make_udp(f, src, dst, 1, 2, 0x4000, 10);
	struct event ev;
	int took;

	memset(want, 0, sizeof want);
	pair_init(&pr);
	pair_protect(&pr, s, 1, src, dst);
	in = sadb_at(pr.b.w.gen->sad, 0);
	assert_true(in->in != NULL && in->spi == 0x1001);
	ah = s->proto == IPSEC_AH;
	six = strchr(s->src, ':') != NULL;
	/* two go through; the third is the one that is varied */
	for (int i = 0; i < 3; i++) {
		host_send1(&pr.a, f, n);
		took = edge_mem_take(pr.a.w.lower, valid, sizeof valid);
		assert_true(took > 0);
		len = (uint32_t)took;
		if (i < 2) {
			host_receive1(&pr.b, valid, len);
			assert_true(edge_mem_take(pr.b.w.upper, got, sizeof got) > 0);
		}
	}
	at = (six ? 54 : 34) + (s->encap ? 8 : 0);
	short_ones();
	long_ones();
	flipped_ones();
	if (!six)
		flipped_header4();
	else if (!s->encap) /* whose UDP header says the length too */
		flipped_header6();
	while (events_pop(pr.b.w.events, &ev))
		assert_int_equal(ev.kind, EV_AUDIT); /* nobody is told of a peer that moved */
	taken_once();
	host_balance(&pr.b);
	pair_fini(&pr);
}

/* ${s} over IPv4 and over IPv6. */
static void
families(struct pair_sa s)
{
	s.src = "10.0.0.1";
	s.dst = "10.0.0.2";
	variants(&s);
	s.src = "fd00::1";
	s.dst = "fd00::2";
	variants(&s);
}

static void
test_esp(void **state)
{
	const struct alg *a;
	unsigned n = 0;

	for (size_t i = 0; (a = alg_at(i)) != NULL; i++) {
		struct pair_sa s = {.proto = IPSEC_ESP,
		    .mode = n % 2 ? MODE_TUNNEL : MODE_TRANSPORT,
		    .esn = n % 3 == 0};

		if (a->is_auth ? a->kind == ALG_AH_GMAC : a->kind == ALG_NONE)
			continue;
		s.enc = a->is_auth ? "aes-128" : a->name;
		s.auth = a->is_auth ? a->name : a->aead ? NULL : "hmac-sha2-256";
		families(s);
		n++;
	}
	assert_true(n > 30);
}

static void
test_ah(void **state)
{
	const struct alg *a;
	unsigned n = 0;

	for (size_t i = 0; (a = alg_at(i)) != NULL; i++) {
		struct pair_sa s = {.proto = IPSEC_AH,
		    .mode = n % 2 ? MODE_TUNNEL : MODE_TRANSPORT,
		    .auth = a->name,
		    .esn = n % 3 == 0};

		if (!a->is_auth || a->kind == ALG_NONE)
			continue;
		families(s);
		n++;
	}
	assert_true(n >= 9);
}

static void
test_udpencap(void **state)
{
	for (int mode = MODE_TRANSPORT; mode <= MODE_TUNNEL; mode++) {
		struct pair_sa s = {.proto = IPSEC_ESP,
		    .mode = mode,
		    .enc = "aes-128-gcm",
		    .follow = true,
		    .encap = 4500};

		families(s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_esp),
	    cmocka_unit_test(test_ah),
	    cmocka_unit_test(test_udpencap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
