/* links: bits_edge bits_walk bits_base bits_spd bits_sadb */
/*
 * Inbound ESP: every algorithm class, mode and family.  Packets are octets of the input behind the right SPI, or the input's text
 * sealed with the SA's own key, so that padding, next header and what is inside are the attacker's; or a sealed one tampered with.
 */
#include <netinet/in.h>
#include "world.h"

enum { RAW, SEALED, SEALED_TRAILER, TAMPERED };

static struct world w;
static uint8_t frame[WORLD_FRAME + 512], got[PKT_FRAME_MAX];

/* The number of the next packet; ${how} says how far from the last. */
static uint64_t
number(uint8_t how, struct input *in)
{
	switch (how & 3) {
	case 0:
		return w.seq++;
	case 1:
		return w.seq - 1; /* again */
	case 2:
		return w.seq - input16(in);
	default:
		w.seq += input16(in);
		return w.seq++;
	}
}

static void
one(struct input *in)
{
	uint8_t op = input8(in), tos = op & 0x40 ? input8(in) : 0, hopopts[8] = {IPPROTO_ESP};
	uint32_t front = 14 + (w.shape.outer6 ? 40 : 20), len, n;
	bool options = w.shape.outer6 && (op & 0x20), authentic = false;
	uint8_t *h = frame + front + (options ? 8 : 0);
	uint64_t seq = number(op >> 2, in);

	if (op & 0x10)
		w.h.w.now += input16(in);
	if ((op & 3) == RAW) {
		put32(h, WORLD_SPI);
		put32(h + 4, (uint32_t)seq);
		n = 4 + input_octets(in, h + 4, WORLD_FRAME - 200);
	} else {
		len = input_octets(in, h + 8 + w.seal->iv_len, WORLD_FRAME - 200);
		if ((op & 3) != SEALED)
			len = world_trailer(&w, h + 8 + w.seal->iv_len, len, input8(in));
		n = world_seal_esp(&w, h, seq, len);
		authentic = true;
	}
	if ((op & 3) == TAMPERED) {
		uint8_t bit = input8(in);

		h[input16(in) % n] ^= (uint8_t)(1 << (bit & 7));
		authentic = false;
	}
	if (options) {
		memcpy(frame + front, hopopts, 8);
		frame[front + 2] = 1; /* PadN */
		frame[front + 3] = 4;
		n += 8;
	}
	world_outer(&w, frame, options ? 0 : IPPROTO_ESP, tos, n);
	world_receive(&w, frame, front + n, authentic, false, got);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint32_t windows[] = {64, 4096, 32, 1024};
	struct input in = {data, size};
	uint8_t alg = input8(&in), how = input8(&in);
	struct world_shape s = {
	    .proto = IPSEC_ESP,
	    .mode = how & 1 ? MODE_TUNNEL : MODE_TRANSPORT,
	    .outer6 = how & 2,
	    .inner6 = how & 4,
	    .alg = alg,
	    .esn = how & 8,
	    .replay = windows[how >> 4 & 3],
	    .hard = how & 0x80 ? 3 : 0,
	};

	world_begin(&w, &s);
	if (how & 0x40) { /* just before the low half comes round */
		w.in->replay.top = UINT64_C(0xfffffff8);
		w.seq = w.in->replay.top + 1;
	}
	for (unsigned i = 0; i < 16 && in.left; i++)
		one(&in);
	return 0;
}
