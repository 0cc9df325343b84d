/* links: bits_edge bits_walk bits_base bits_spd bits_sadb */
/*
 * ESP in UDP, and what else comes to that port: IKE behind its marker, keepalives, anything.  A rule bypasses UDP, so what is not ESP goes
 * to the host; ESP never does.  Only an authentic packet tells of another address or port of the peer.
 */
#include <netinet/in.h>
#include "world.h"

#define PORT 4500

static struct world w;
static uint8_t frame[WORLD_FRAME + 512], got[PKT_FRAME_MAX];

/* Was anything heard of the peer's place? */
static bool
heard(void)
{
	struct event ev;
	bool any = false;

	while (events_pop(w.h.w.events, &ev))
		any |= ev.kind == EV_PEER;
	return any;
}

static void
one(struct input *in)
{
	uint8_t op = input8(in);
	uint32_t at = 14 + (w.shape.outer6 ? 40 : 20), n;
	uint8_t *u = frame + at, *h = u + 8;
	bool authentic = false;
	int len;

	if (op & 1) {
		n = input_octets(in, h + 8 + w.seal->iv_len, 2000);
		n = world_seal_esp(&w, h, op & 8 ? w.seq - input8(in) : w.seq++,
		    world_trailer(&w, h + 8 + w.seal->iv_len, n, input8(in)));
		authentic = true;
	} else {
		n = input_octets(in, h, 2000);
		if ((op & 0x40) && n >= 4)
			put32(h, op & 0x80 ? 0 : WORLD_SPI);
	}
	if (op & 2) {
		uint8_t bit = input8(in);

		h[input16(in) % (n ? n : 1)] ^= (uint8_t)(1 << (bit & 7));
		authentic = false;
	}
	put16(u, op & 4 ? input16(in) : PORT);
	put16(u + 2, op & 0x20 ? input16(in) : PORT);
	put16(u + 4, op & 0x10 ? input16(in) : (uint16_t)(8 + n));
	put16(u + 6, op & 0x20 ? input16(in) : 0);
	world_outer(&w, frame, IPPROTO_UDP, 0, 8 + n);
	len = world_receive(&w, frame, at + 8 + n, authentic, true, got);
	if (heard())
		assert_true(authentic);
	if (authentic || len < 0)
		return;
	/* In clear: as it was, and no ESP to the port. */
	assert_int_equal(len, at + 8 + n);
	assert_int_equal(memcmp(got, frame, at + 8 + n), 0);
	if (get16(u + 2) == PORT && n >= 4)
		assert_int_equal(get32(h), 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	uint8_t how = input8(&in);
	struct world_shape s = {
	    .proto = IPSEC_ESP,
	    .mode = how & 1 ? MODE_TUNNEL : MODE_TRANSPORT,
	    .outer6 = how & 2,
	    .inner6 = how & 4,
	    .alg = how & 8 ? 0 : 8,
	    .replay = how & 16 ? 1024 : 64,
	    .encap = PORT,
	    .follow = how & 32,
	    .bypass_proto = "udp",
	};

	world_begin(&w, &s);
	for (unsigned i = 0; i < 16 && in.left; i++)
		one(&in);
	return 0;
}
