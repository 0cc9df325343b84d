/* links: bits_edge bits_walk bits_base bits_spd bits_sadb */
/*
 * Rules in the language, frames as they lie on the wire, in both directions: what each selector of RFC 4301 4.4.1.1 lets through and what it does not.
 */
#include "walkbed.h"
#include "conf.h"

/* Host a's rules. */
static void
use(const char *text)
{
	struct conf_opts o = {.any_owner = true, .no_files = true};
	struct diags ds = {0};
	struct conf c;

	conf_init(&c);
	if (conf_parse_text("test", text, strlen(text), &o, &c, &ds) == -1)
		fail_msg("%s", ds.d[0].text);
	for (size_t i = 0; i < c.nrules; i++)
		policy_ref(c.rule[i]);
	host_policy(&pr.a, ++pr.generation, c.rule, c.nrules, NULL, 0);
	conf_free(&c);
	diags_free(&ds);
}

/* What a packet says: the first two octets of the next layer are ${x}, the two behind ${y}. */
struct what {
	int vlan; /* 0: none */
	unsigned af;
	const char *local, *remote;
	uint8_t proto;
	uint16_t x, y;
};

static uint32_t
frame_of(const struct what *w, bool out, uint8_t *f)
{
	const char *src = out ? w->local : w->remote, *dst = out ? w->remote : w->local;
	uint32_t l2 = frame_ether(f, out ? frame_mac_peer : frame_mac_host,
		     out ? frame_mac_host : frame_mac_peer, w->af == 4 ? ETYPE_IP4 : ETYPE_IP6),
		 n = 24;
	uint8_t *h;

	if (w->vlan) {
		put16(f + 16, get16(f + 12));
		put16(f + 12, ETYPE_8021Q);
		put16(f + 14,
		    (uint16_t)(0xa000 | w->vlan)); /* with a priority, which is no part of it */
		l2 += 4;
	}
	h = f + l2 + (w->af == 4 ? 20 : 40);
	memset(h, 0, n);
	put16(h, out || w->proto == 1 || w->proto == 58 || w->proto == 135 ? w->x : w->y);
	put16(h + 2, out || w->proto == 1 || w->proto == 58 || w->proto == 135 ? w->y : w->x);
	if (w->proto == 6)
		h[12] = 5 << 4;
	if (w->proto == 17)
		put16(h + 4, (uint16_t)n);
	return l2 + (w->af == 4 ? frame_ip4(f + l2, src, dst, w->proto, 0, n)
				: frame_ip6(f + l2, src, dst, w->proto, n));
}

/* How many of the two directions let it through in clear. */
static unsigned
passes(const struct what *w)
{
	uint8_t f[200], got[200];
	uint32_t n;
	unsigned passed = 0;
	int len;

	n = frame_of(w, true, f);
	host_send1(&pr.a, f, n);
	if ((len = edge_mem_take(pr.a.w.lower, got, sizeof got)) >= 0) {
		assert_int_equal(len, n);
		assert_memory_equal(got, f, n);
		passed |= 1u << DIR_OUT;
	}
	n = frame_of(w, false, f);
	host_receive1(&pr.a, f, n);
	if ((len = edge_mem_take(pr.a.w.upper, got, sizeof got)) >= 0) {
		assert_int_equal(len, n);
		assert_memory_equal(got, f, n);
		passed |= 1u << DIR_IN;
	}
	return passed;
}

#define BOTH  (1u << DIR_OUT | 1u << DIR_IN)
#define A     "10.0.0.1"
#define B     "10.0.0.2"
#define A6    "fd00::1"
#define B6    "fd00::2"
#define T(pr) .af = 4, .local = A, .remote = B, .proto = (pr)
#define S(pr) .af = 6, .local = A6, .remote = B6, .proto = (pr)

static void
test_selectors(void **state)
{
	static const struct {
		const char *rule;
		struct what w;
		unsigned want;
	} t[] = {
	    /* 802.1Q: the rule looks inside the tag, and may name the VLAN */
	    {"flow proto udp from " A " to " B " port 53 type bypass", {T(17), .x = 7, .y = 53},
		BOTH},
	    {"flow proto udp from " A " to " B " port 53 type bypass",
		{T(17), .vlan = 9, .x = 7, .y = 53}, BOTH},
	    {"flow proto udp from " A " to " B " port 53 type bypass",
		{T(17), .vlan = 9, .x = 7, .y = 54}, 0},
	    {"flow from any to any vlan 9 type bypass", {T(17), .vlan = 9, .x = 7, .y = 53}, BOTH},
	    {"flow from any to any vlan 9 type bypass", {S(17), .vlan = 9, .x = 7, .y = 53}, BOTH},
	    {"flow from any to any vlan 9 type bypass", {T(17), .vlan = 10, .x = 7, .y = 53}, 0},
	    {"flow from any to any vlan 9 type bypass", {T(17), .x = 7, .y = 53}, 0},
	    {"flow out from any to any vlan 9 type bypass", {T(17), .vlan = 9, .x = 7, .y = 53},
		1u << DIR_OUT},
	    /* Mobility Header: the type is the third octet */
	    {"flow proto mh from any to any mhtype { 1-3, 5 } type bypass",
		{S(135), .x = 0x3b01, .y = 0x0500}, BOTH},
	    {"flow proto mh from any to any mhtype { 1-3, 5 } type bypass",
		{S(135), .x = 0x3b01, .y = 0x0200}, BOTH},
	    {"flow proto mh from any to any mhtype { 1-3, 5 } type bypass",
		{S(135), .x = 0x0505, .y = 0x0405}, 0},
	    {"flow proto mh from any to any mhtype { 1-3, 5 } type bypass",
		{S(17), .x = 0x3b01, .y = 0x0500}, 0},
	    {"flow proto mh from any to any type bypass", {S(135), .x = 0x3b01, .y = 0x0900}, BOTH},
	    /* ICMP types and codes, of one family each; type 0 alone */
	    {"flow proto icmp from any to any icmptype 8 code 0-1 type bypass", {T(1), .x = 0x0801},
		BOTH},
	    {"flow proto icmp from any to any icmptype 8 code 0-1 type bypass", {T(1), .x = 0x0802},
		0},
	    {"flow proto icmp from any to any icmptype 0 type bypass", {T(1), .x = 0x0000}, BOTH},
	    {"flow proto icmp from any to any icmptype 0 type bypass", {T(1), .x = 0x0800}, 0},
	    {"flow proto icmp6 from any to any icmptype { 128-129 } type bypass",
		{S(58), .x = 0x8100}, BOTH},
	    {"flow proto icmp6 from any to any icmptype { 128-129 } type bypass",
		{S(58), .x = 0x8200}, 0},
	    {"flow proto icmp6 from any to any type bypass", {T(1), .x = 0x0800}, 0},
	    {"flow proto icmp from any to any type bypass", {S(58), .x = 0x8000}, 0},
	    /* ranges that are no prefixes, inclusive; lists of them */
	    {"flow from 10.0.0.0-10.0.0.1 to { 10.0.0.9, 10.0.0.2-10.0.0.4 } type bypass",
		{T(6), .x = 1, .y = 2}, BOTH},
	    {"flow from 10.0.0.0-10.0.0.1 to { 10.0.0.9, 10.0.0.3-10.0.0.4 } type bypass",
		{T(6), .x = 1, .y = 2}, 0},
	    {"flow from " A6 " to fd00::-fd00::2 type bypass", {S(6), .x = 1, .y = 2}, BOTH},
	    /* ports of either side */
	    {"flow proto tcp from " A " port 1000-2000 to " B " port { 80, 443 } type bypass",
		{T(6), .x = 2000, .y = 443}, BOTH},
	    {"flow proto tcp from " A " port 1000-2000 to " B " port { 80, 443 } type bypass",
		{T(6), .x = 2001, .y = 443}, 0},
	    {"flow proto tcp from " A " port 1000-2000 to " B " port { 80, 443 } type bypass",
		{T(6), .x = 443, .y = 1000}, 0},
	    {"flow proto sctp from " A " to " B " port 5 type bypass", {T(132), .x = 1, .y = 5},
		BOTH},
	    {"flow proto 47 from any to any type bypass", {T(47), .x = 1, .y = 5}, BOTH},
	    {"flow proto 47 from any to any type bypass", {T(46), .x = 1, .y = 5}, 0},
	    /* whole datagrams: nothing is hidden in them */
	    {"flow proto opaque from ::/0 to any type bypass", {S(17), .x = 1, .y = 5}, 0},
	    {"flow proto udp from any to any port opaque type bypass", {T(17), .x = 1, .y = 5}, 0},
	};

	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		unsigned got;

		use(t[i].rule);
		got = passes(&t[i].w);
		if (got != t[i].want)
			fail_msg(
			    "row %zu: '%s': directions %u, not %u", i, t[i].rule, got, t[i].want);
	}
}

/* The first that matches decides, for each direction by itself; none is discard. */
static void
test_order(void **state)
{
	struct what w = {T(6), .x = 4711, .y = 22};

	use("flow out proto tcp from any to any port 22 type deny\nflow from any to any type "
	    "bypass\n");
	assert_int_equal(passes(&w), 1u << DIR_IN);
	use("flow from any to any type bypass\nflow out proto tcp from any to any port 22 type "
	    "deny\n");
	assert_int_equal(passes(&w), BOTH);
	use("flow in from any to any type bypass\n");
	assert_int_equal(passes(&w), 1u << DIR_IN);
	assert_int_equal(dropped(&pr.a, DIR_OUT, DROP_POLICY_DEFAULT) > 0, true);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_selectors, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_order, setup, teardown),
	};

	return walkbed_run("rules and frames", tests, sizeof tests / sizeof *tests);
}
