/* links: bits_edge bits_walk bits_base bits_spd bits_sadb */
/*
 * The header walk: any octets, both link types and directions.  What it says lies within the frame and in order, touches no octet, is the
 * same a second time, and agrees with a walk of the test's own.
 */
#include <netinet/in.h>
#include "fuzz.h"
#include "frame.h"

/* A second reading of the IPv6 chain, from RFC 8200 4: what follows the headers, and where.  False: a later fragment, or no end. */
static bool
chain6(const uint8_t *h, uint32_t len, uint8_t *proto, uint32_t *at)
{
	uint8_t next = h[6];
	uint32_t i = 40, was;

	while (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS ||
	       next == IPPROTO_FRAGMENT) {
		if (i + 8 > len)
			return false;
		if (next == IPPROTO_FRAGMENT && (h[i + 2] || (h[i + 3] & 0xf8)))
			return false;
		was = i;
		i += next == IPPROTO_FRAGMENT ? 8 : h[i + 1] * 8u + 8;
		next = h[was];
		if (i > len)
			return false;
	}
	*proto = next;
	*at = i;
	return true;
}

static void
check(const struct pkt *p, enum dir dir)
{
	const uint8_t *f = pkt_data(p);
	const struct flowkey *k = &p->key;
	uint32_t at;
	uint8_t proto;

	assert_int_equal(k->dir, dir);
	assert_true(p->l3 <= p->len);
	if (p->af == 0) {
		assert_int_equal(k->ect, 1);
		return;
	}
	assert_true(p->af == 4 || p->af == 6);
	assert_int_equal(f[p->l3] >> 4, p->af);
	assert_int_equal(p->l3end, p->len); /* link padding was cut */
	assert_true(p->l3 < p->nh && p->nh < p->ins && p->ins <= p->l4 && p->l4 <= p->l3end);
	assert_true(p->nh <= p->l4nh && p->l4nh < p->l4);
	assert_int_equal(f[p->l4nh], k->proto);
	assert_true(k->opaque || !p->key.ect);
	if (k->ports == PORTS_PORTS) {
		assert_true(p->l4 + 4u <= p->l3end && proto_has_ports(k->proto));
		assert_int_equal(get16(f + p->l4), dir == DIR_OUT ? k->lport : k->rport);
	}
	if (p->af == 6 && k->ports != PORTS_OPAQUE && !k->opaque) {
		assert_true(chain6(f + p->l3, p->l3end - p->l3, &proto, &at));
		assert_int_equal(proto, k->proto);
		assert_int_equal(p->l3 + at, p->l4);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pktpool *pool;
	struct input in = {data, size};
	uint8_t how = input8(&in);
	enum dir dir = how & 1 ? DIR_IN : DIR_OUT;
	struct pkt *p, first;
	struct burst b = {.n = 1};
	enum builtin kind;
	enum drop d;

	if (pool == NULL && (pool = pktpool_new(2, PKT_FRAME_MAX)) == NULL)
		abort();
	if (in.left > PKT_FRAME_MAX)
		in.left = PKT_FRAME_MAX;
	b.p[0] = p = frame_pkt(pool, in.p, (uint32_t)in.left);
	p->link = how & 2 ? LINK_RAWIP : LINK_ETHER;
	classify_burst(&b, dir);
	d = p->drop;
	assert_true(d == DROP_NONE || d == DROP_TRUNCATED || d == DROP_BAD_HEADER ||
		    d == DROP_HEADER_CHAIN);
	assert_true(in.left == 0 || memcmp(pkt_data(p), in.p, p->len) == 0);
	if (d == DROP_NONE) {
		check(p, dir);
		passthru(p, &kind);
		flow_label(p);
		first = *p;
		assert_int_equal(classify(p, dir), DROP_NONE);
		assert_int_equal(memcmp(&first.key, &p->key, sizeof p->key), 0);
		assert_true(first.l4 == p->l4 && first.ins == p->ins && first.l3end == p->l3end);
	}
	pkt_free(pool, p);
	return 0;
}
