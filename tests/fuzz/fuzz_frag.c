/* links: bits_edge bits_walk bits_base bits_spd bits_sadb */
/*
 * Reassembly against a model that knows each octet's state and nothing else: pieces in any order, doubled, overlapping, of two sources and
 * four datagrams, late.  What comes out is what the model has, or nothing.  With the other shape of input, a large packet is cut by
 * the walk, its pieces shuffled, and put together by another host.
 */
#include <netinet/in.h>
#include "world.h"

#define DATAGRAM 2048
#define IDS	 4

struct model {
	uint8_t octet[DATAGRAM + 1024], there[(DATAGRAM + 1024) / 8];
	uint32_t total, have, furthest;
	uint64_t deadline;
	bool live;
};

static struct host h, other;
static struct model model[2][IDS];
static uint8_t frame[PKT_FRAME_MAX], got[PKT_FRAME_MAX];
static bool six;

/* Everything passes. */
static void
open_policy(struct host *x)
{
	enum builtin_set builtins[BUILTIN_MAX];
	struct policy *r = policy_new();

	for (int b = 0; b < BUILTIN_MAX; b++)
		builtins[b] = BUILTIN_NONE;
	selector_any(&r->sel);
	pair_range(&r->sel.local, NULL);
	pair_range(&r->sel.remote, NULL);
	r->dirs = 3;
	r->action = ACT_BYPASS;
	r->type = FLOW_BYPASS;
	assert_non_null(x->w.gen = gen_new(1, &r, 1, builtins, NULL, 0));
	policy_unref(r);
	x->w.rng = rng_seeded(7);
}

/* One fragment of the frame's buffer; its length. */
static uint32_t
piece(unsigned source, unsigned id, uint32_t offset, bool more, const uint8_t *data, uint32_t n)
{
	const char *src =
	    six ? (source ? "fd00::9" : "fd00::1") : (source ? "10.0.0.9" : "10.0.0.1");

	frame_ether(frame, frame_mac_host, frame_mac_peer, six ? ETYPE_IP6 : ETYPE_IP4);
	if (six) {
		frame_ip6(frame + 14, src, "fd00::2", IPPROTO_FRAGMENT, 8 + n);
		frame[54] = 253;
		frame[55] = 0;
		put16(frame + 56, (uint16_t)(offset | more));
		put32(frame + 58, id);
		memcpy(frame + 62, data, n);
		return 62 + n;
	}
	frame_ip4(frame + 14, src, "10.0.0.2", 253, 0, n);
	put16(frame + 18, (uint16_t)id);
	put16(frame + 20, (uint16_t)(offset / 8 | (more ? 0x2000 : 0)));
	put16(frame + 24, cksum_ip4(frame + 14, 20));
	memcpy(frame + 34, data, n);
	return 34 + n;
}

/* What the piece makes of the datagram: true when it is complete and *${m} holds it. */
static bool
model_add(
    struct model *m, uint32_t offset, bool more, const uint8_t *data, uint32_t n, uint64_t now)
{
	uint32_t end = offset + n, taken = 0, blocks = 0;

	if (m->live && m->deadline <= now)
		m->live = false;
	if (!m->live) {
		memset(m, 0, sizeof *m);
		m->live = true;
		m->deadline = now + (six ? REASM_MS6 : REASM_MS4);
	}
	if (n == 0 || (more && n % 8) ||
	    (m->total && (end > m->total || (!more && end != m->total))) ||
	    (!more && m->furthest > end)) {
		m->live = false;
		return false;
	}
	for (uint32_t i = offset; i < end; i += 8, blocks++)
		taken += m->there[i / 8];
	if (taken) {
		/* Only an exact double is forgiven. */
		if (taken != blocks || memcmp(m->octet + offset, data, n) != 0)
			m->live = false;
		return false;
	}
	for (uint32_t i = offset; i < end; i += 8)
		m->there[i / 8] = 1;
	memcpy(m->octet + offset, data, n);
	m->have += n;
	if (end > m->furthest)
		m->furthest = end;
	if (!more)
		m->total = end;
	if (!m->total || m->have != m->total)
		return false;
	m->live = false;
	return true;
}

static void
one(struct input *in)
{
	uint8_t op = input8(in), data[600];
	unsigned source = op & 1, id = op >> 1 & 3;
	bool more = op & 8, whole, clean = op & 16;
	uint32_t offset = input8(in) * 8u, n = op & 32 ? 64 : input16(in) % (sizeof data - 24);
	struct model *m = &model[source][id];
	int len;

	if (clean) { /* the octets this datagram has there, so that doubles match */
		for (uint32_t i = 0; i < n; i++)
			data[i] = (uint8_t)((offset + i) * 7 + id);
	} else {
		for (uint32_t i = 0; i < n; i++)
			data[i] = input8(in);
	}
	if (more)
		n &= ~7u;
	if (op & 64)
		h.w.now += input16(in);
	if (offset == 0 && !more)
		return; /* no fragment at all */
	whole = model_add(m, offset, more, data, n, h.w.now);
	host_receive1(&h, frame, piece(source, id, offset, more, data, n));
	host_balance(&h);
	len = edge_mem_take(h.w.upper, got, sizeof got);
	assert_int_equal(len >= 0, whole);
	if (!whole)
		return;
	assert_int_equal(len, 14 + (six ? 40 : 20) + m->total);
	assert_int_equal(memcmp(got + 14 + (six ? 40 : 20), m->octet, m->total), 0);
	assert_int_equal(got[six ? 20 : 23], 253);
	if (!six)
		assert_int_equal(get16(got + 20), 0);
}

/* A packet larger than the MTU: cut, shuffled, put together. */
static void
cut(struct input *in)
{
	static uint8_t whole[9000], pieces[64][1600];
	uint32_t mtu = 576 + input16(in) % 900, n = input16(in) % 6000, len;
	int plen[64], count = 0;
	uint8_t proto = 253;

	six = input8(in) & 1;
	h.w.mtu = six && mtu < 1280 ? 1280 : mtu;
	frame_ether(whole, frame_mac_peer, frame_mac_host, six ? ETYPE_IP6 : ETYPE_IP4);
	for (uint32_t i = 0; i < n; i++)
		whole[14 + (six ? 40 : 20) + i] = (uint8_t)(i * 5);
	len = 14 + (six ? frame_ip6(whole + 14, "fd00::1", "fd00::2", proto, n)
			: frame_ip4(whole + 14, "10.0.0.1", "10.0.0.2", proto, 0, n));
	host_send1(&h, whole, len);
	host_balance(&h);
	while (count < 64 && (plen[count] = edge_mem_take(h.w.lower, pieces[count], 1600)) >= 0) {
		assert_true((uint32_t)plen[count] <= 14 + h.w.mtu);
		count++;
	}
	if (six && len - 14 > h.w.mtu) { /* the sender cuts IPv6 itself: it is told */
		assert_int_equal(count, 0);
		assert_true(edge_mem_take(h.w.upper, got, sizeof got) > 0);
		return;
	}
	assert_true(count > 0);
	while (count > 0) {
		int pick = input8(in) % count;

		host_receive1(&other, pieces[pick], (uint32_t)plen[pick]);
		count--;
		memmove(pieces[pick], pieces[count], 1600);
		plen[pick] = plen[count];
	}
	assert_int_equal(edge_mem_take(other.w.upper, got, sizeof got), len);
	assert_int_equal(memcmp(got, whole, len), 0);
	host_balance(&other);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	uint8_t how = input8(&in);

	if (h.w.gen == NULL) {
		host_init(&h);
		host_init(&other);
		open_policy(&h);
		open_policy(&other);
	}
	world_forget(&h);
	world_forget(&other);
	memset(model, 0, sizeof model);
	six = how & 1;
	h.w.mtu = 1500;
	if (how & 2) {
		cut(&in);
		return 0;
	}
	for (unsigned i = 0; i < 64 && in.left; i++)
		one(&in);
	return 0;
}
