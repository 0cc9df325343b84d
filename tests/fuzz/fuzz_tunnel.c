/* links: bits_edge bits_walk bits_base bits_spd bits_sadb */
/*
 * What comes out of a tunnel: authentic packets whose inside is the input's, with its own ECN field outside.  What the host gets is the
 * inner packet, octet by octet, but for ECN as RFC 6040 says (and the IPv4 checksum that follows), cut to its own length.
 */
#include <netinet/in.h>
#include "world.h"

static struct world w;
static uint8_t frame[WORLD_FRAME + 512], inner[WORLD_FRAME], got[PKT_FRAME_MAX];

/* The pieces of a sound inner packet that the input wants put right: version, addresses, length, checksum, no fragment. */
static void
mend(uint8_t fix, uint32_t len)
{
	bool six = w.shape.inner6;
	struct ipaddr src, dst;

	if (len < (six ? 40 : 20))
		return;
	ipaddr_parse(world_inner(six, false), &src);
	ipaddr_parse(world_inner(six, true), &dst);
	if (fix & 1)
		inner[0] = six ? 0x60 | (inner[0] & 0xf) : 0x45;
	if (fix & 2) {
		memcpy(inner + (six ? 8 : 12), src.b, six ? 16 : 4);
		memcpy(inner + (six ? 24 : 16), dst.b, six ? 16 : 4);
	}
	if (fix & 4)
		put16(inner + (six ? 4 : 2), (uint16_t)(six ? len - 40 : len));
	if ((fix & 8) && !six)
		put16(inner + 6, 0x4000);
	if ((fix & 16) && !six && (inner[0] & 0xfu) * 4 <= len && (inner[0] & 0xf) >= 5)
		put16(inner + 10, cksum_ip4(inner, (inner[0] & 0xfu) * 4));
}

/* RFC 6040 4.2, figure 4, in its own words; -1: drop. */
static int
ecn(int in, int out)
{
	static const int figure4[4][4] = {
	    /* outer:    Not-ECT ECT(1) ECT(0) CE */
	    [0] = {0, 0, 0, -1},
	    [1] = {1, 1, 1, 3},
	    [2] = {2, 1, 2, 3},
	    [3] = {3, 3, 3, 3},
	};

	return figure4[in][out];
}

/* A fragment that is the whole (RFC 6946): its header, 8 octets, is taken away where IPsec is to look behind it. */
static bool
atomic(uint32_t len)
{
	uint8_t next = inner[6];

	for (uint32_t i = 40; i + 8 <= len; i += inner[i + 1] * 8u + 8) {
		if (next == IPPROTO_FRAGMENT)
			return (get16(inner + i + 2) & 0xfff9) == 0;
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS)
			return false;
		next = inner[i];
	}
	return false;
}

static void
check(uint8_t tos, uint32_t len, int n)
{
	bool six = got[14] >> 4 == 6;
	uint32_t total = six ? 40u + get16(inner + 4) : get16(inner + 2);
	uint8_t was = six ? (inner[1] >> 4) & 3 : inner[1] & 3,
		is = six ? (got[15] >> 4) & 3 : got[15] & 3;
	struct stats *s = &w.h.stats;

	if (n < 0)
		return;
	assert_int_equal(get16(got + 12), six ? ETYPE_IP6 : ETYPE_IP4);
	if (s->consumed[DIR_IN])
		return; /* put together from fragments: fuzz_frag's matter */
	assert_true(total <= len);
	if (six && (uint32_t)n < 14 + total && atomic(len)) {
		assert_int_equal((14 + total - (uint32_t)n) % 8, 0);
		return;
	}
	assert_int_equal(n, 14 + total);
	assert_int_equal(is, ecn(was, tos & 3));
	if (six) {
		got[15] = (uint8_t)((got[15] & ~0x30) | was << 4);
	} else {
		got[15] = (uint8_t)((got[15] & ~3) | was);
		memcpy(got + 24, inner + 10, 2);
	}
	assert_int_equal(memcmp(got + 14, inner, total), 0);
}

static void
one(struct input *in)
{
	uint8_t fix = input8(in), tos = input8(in), next = w.shape.inner6 ? 41 : 4;
	uint32_t len = input_octets(in, inner, 2000), at, n, hlen, tfc = fix & 64 ? input8(in) : 0;
	uint8_t *text;

	mend(fix, len);
	if (fix & 128)
		next = input8(in);
	at = 14 + (w.shape.outer6 ? 40 : 20);
	if (w.shape.proto == IPSEC_ESP) {
		text = frame + at + 8 + w.seal->iv_len;
		memcpy(text, inner, len);
		memset(text + len, 0xaa, tfc);
		n = world_seal_esp(
		    &w, frame + at, w.seq++, world_trailer(&w, text, len + tfc, next));
		world_outer(&w, frame, IPPROTO_ESP, tos, n);
	} else {
		hlen = ah_len(w.in, w.seal, w.shape.outer6 ? 6 : 4);
		n = hlen + len;
		world_outer(&w, frame, IPPROTO_AH, tos, n);
		memset(frame + at, 0, hlen);
		frame[at] = next;
		frame[at + 1] = (uint8_t)(hlen / 4 - 2);
		put32(frame + at + 4, WORLD_SPI);
		put32(frame + at + 8, (uint32_t)w.seq);
		memcpy(frame + at + hlen, inner, len);
		assert_true(world_seal_ah(&w, frame, at + n, w.seq++));
	}
	check(tos, len, world_receive(&w, frame, at + n, true, false, got));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	uint8_t how = input8(&in);
	struct world_shape s = {
	    .proto = how & 1 ? IPSEC_AH : IPSEC_ESP,
	    .mode = MODE_TUNNEL,
	    .outer6 = how & 2,
	    .inner6 = how & 4,
	    .alg = how & 1 ? 0 : 8,
	};

	world_begin(&w, &s);
	for (unsigned i = 0; i < 16 && in.left; i++)
		one(&in);
	return 0;
}
