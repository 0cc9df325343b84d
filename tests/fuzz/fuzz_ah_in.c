/* links: bits_edge bits_walk bits_base bits_spd bits_sadb */
/*
 * Inbound AH: IP options and extension headers of the input's making in front of it, the ICV made right or not, what is behind it the
 * input's too.
 */
#include <netinet/in.h>
#include "world.h"

static struct world w;
static uint8_t frame[WORLD_FRAME + 512], got[PKT_FRAME_MAX];

/* The IP header with ${n} octets of options, or extension headers, in front of ${behind} octets; offset of what is behind. */
static uint32_t
header(const uint8_t *options, uint32_t n, uint8_t proto, uint8_t tos, uint32_t behind)
{
	uint32_t at = world_outer(&w, frame, proto, tos, n + behind);

	if (!w.shape.outer6 && n) {
		frame[14] = (uint8_t)(0x45 + n / 4);
		memcpy(frame + at, options, n);
		put16(frame + 24, cksum_ip4(frame + 14, 20 + n));
	} else {
		memcpy(frame + at, options, n);
	}
	return at + n;
}

static void
one(struct input *in)
{
	uint8_t op = input8(in), tos = op & 0x40 ? input8(in) : 0,
		first = op & 0x20 ? input8(in) : 0, options[264] = {0}, next = input8(in);
	uint32_t n = first || (op & 0x10) ? input_octets(in, options, w.shape.outer6 ? 264 : 40)
					  : 0,
		 hlen = ah_len(w.in, w.seal, w.shape.outer6 ? 6 : 4), at, len;
	uint64_t seq = op & 4 ? w.seq - input8(in) : w.seq++;
	bool authentic = false;

	n &= w.shape.outer6 ? ~7u : ~3u;
	len = hlen + input_octets(in, frame + 14 + 40 + n + hlen, 2000);
	if (!w.shape.outer6)
		memmove(frame + 34 + n + hlen, frame + 54 + n + hlen, len - hlen);
	at = header(options, n, w.shape.outer6 && n ? first : IPPROTO_AH, tos, len);
	memset(frame + at, 0, hlen);
	frame[at] = next;
	frame[at + 1] = (uint8_t)(hlen / 4 - 2);
	put32(frame + at + 4, WORLD_SPI);
	put32(frame + at + 8, (uint32_t)seq);
	if (op & 1)
		authentic = world_seal_ah(&w, frame, at + len, seq);
	if (op & 2) {
		uint8_t bit = input8(in);

		frame[at + input16(in) % len] ^= (uint8_t)(1 << (bit & 7));
		authentic = false;
	}
	world_receive(&w, frame, at + len, authentic, false, got);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	uint8_t alg = input8(&in), how = input8(&in);
	struct world_shape s = {
	    .proto = IPSEC_AH,
	    .mode = how & 1 ? MODE_TUNNEL : MODE_TRANSPORT,
	    .outer6 = how & 2,
	    .inner6 = how & 4,
	    .alg = alg,
	    .esn = how & 8,
	    .replay = how & 16 ? 32 : 64,
	};

	world_begin(&w, &s);
	for (unsigned i = 0; i < 16 && in.left; i++)
		one(&in);
	return 0;
}
