/* links: bits_edge bits_walk bits_base bits_spd bits_sadb */
/*
 * SAs that are wanted: one request for each set of selectors, packets that wait for the answer, what PFP flags take from the packet.
 */
#include "walkbed.h"
#include "conf.h"

#define ME   "10.0.0.1"
#define PEER "10.0.0.2"

/* Host a's policy and SAs, in the language; the SAs may send at once. */
static void
use(const char *text)
{
	struct conf_opts o = {.any_owner = true, .no_files = true};
	struct diags ds = {0};
	struct sa **sa;
	struct conf c;

	conf_init(&c);
	if (conf_parse_text("test", text, strlen(text), &o, &c, &ds) == -1)
		fail_msg("%s", ds.d[0].text);
	sa = calloc(c.nsas + 1, sizeof *sa);
	for (size_t i = 0; i < c.nsas; i++) {
		sa[i] = sa_new(&c.sa[i], 1000);
		seq_reserve(&sa[i]->seq, UINT64_MAX);
	}
	for (size_t i = 0; i < c.nrules; i++)
		policy_ref(c.rule[i]);
	host_policy(&pr.a, ++pr.generation, c.rule, c.nrules, sa, c.nsas);
	conf_free(&c);
	diags_free(&ds);
	free(sa);
}

static void
send_udp(const char *dst, uint16_t sport, uint16_t dport)
{
	uint8_t f[200];

	host_send1(&pr.a, f, frame_make_udp(f, ME, dst, sport, dport, 0, 20));
}

static unsigned
sent(void)
{
	uint8_t f[300];
	unsigned n = 0;

	while (edge_mem_take(pr.a.w.lower, f, sizeof f) >= 0)
		n++;
	return n;
}

static unsigned
asked(struct event *last)
{
	struct event ev;
	unsigned n = 0;

	while (events_pop(pr.a.w.events, &ev))
		if (ev.kind == EV_ACQUIRE) {
			*last = ev;
			n++;
		}
	return n;
}

#define KEY  " enc aes-128-gcm enckey 0x000102030405060708090a0b0c0d0e0f10111213\n"
#define KEY2 " enc aes-128-gcm enckey 0x010102030405060708090a0b0c0d0e0f10111213\n"
#define SA   "esp transport out from " ME " to " PEER " spi 0x1001"

/* One event however many packets; they wait, and go in order once the SA is there; nothing goes in clear. */
static void
test_waits(void **state)
{
	struct event ev;

	use("flow esp transport from " ME " to " PEER " type acquire\n");
	for (uint16_t i = 0; i < 5; i++)
		send_udp(PEER, 1000, i);
	assert_int_equal(sent(), 0);
	assert_int_equal(asked(&ev), 1);
	assert_int_equal(ev.step, 0);
	assert_int_equal(acquire_held(pr.a.w.acquire), 5);

	/* Another change of policy is no answer, and nobody is asked again for it. */
	use("flow esp transport from " ME " to " PEER
	    " type acquire\nflow from any to any type deny\n");
	outbound_held(&pr.a.w);
	assert_int_equal(acquire_held(pr.a.w.acquire), 5);
	assert_int_equal(asked(&ev), 0);

	use("flow esp transport from " ME " to " PEER " type acquire\n" SA KEY);
	outbound_held(&pr.a.w);
	assert_int_equal(acquire_held(pr.a.w.acquire), 0);
	assert_int_equal(sent(), 5);
	assert_int_equal(pr.a.stats.protected_[DIR_OUT], 5);
}

/* They meet the policy of then, whatever it says. */
static void
test_policy_changes(void **state)
{
	use("flow esp transport from " ME " to " PEER " type acquire\n");
	send_udp(PEER, 1, 1);
	use("flow from any to any type deny\n");
	outbound_held(&pr.a.w);
	assert_int_equal(dropped(&pr.a, DIR_OUT, DROP_POLICY_DISCARD), 1);
	assert_int_equal(sent(), 0);
}

static void
test_bounds(void **state)
{
	struct event ev;
	char dst[32];

	use("flow esp transport from " ME " to 10.0.0.0/8 type acquire\n");
	for (uint16_t i = 0; i < 3 * ACQUIRE_PACKETS; i++)
		send_udp(PEER, 1, i);
	assert_int_equal(acquire_held(pr.a.w.acquire), ACQUIRE_PACKETS);
	assert_int_equal(dropped(&pr.a, DIR_OUT, DROP_ACQUIRE_FULL), 2 * ACQUIRE_PACKETS);
	assert_int_equal(asked(&ev), 1);
	for (unsigned i = 0; i < 2 * ACQUIRE_MAX; i++) {
		snprintf(dst, sizeof dst, "10.1.%u.1", i);
		send_udp(dst, 1, 1);
		pr.a.w.now += 20; /* events are limited, too */
	}
	assert_int_equal(asked(&ev), ACQUIRE_MAX - 1);
	assert_true(acquire_held(pr.a.w.acquire) <= ACQUIRE_HELD);
	assert_int_equal(acquire_held(pr.a.w.acquire), ACQUIRE_PACKETS + ACQUIRE_MAX - 1);

	/* In time everything ends under its name, and there is room again. */
	pr.a.w.now += ACQUIRE_MS;
	assert_int_equal(acquire_left(pr.a.w.acquire, pr.a.w.now), 0);
	outbound_held(&pr.a.w);
	assert_int_equal(acquire_held(pr.a.w.acquire), 0);
	assert_int_equal(acquire_left(pr.a.w.acquire, pr.a.w.now), -1);
	assert_int_equal(
	    dropped(&pr.a, DIR_OUT, DROP_ACQUIRE_TIMEOUT), ACQUIRE_PACKETS + ACQUIRE_MAX - 1);
	send_udp(PEER, 1, 1);
	assert_int_equal(asked(&ev), 1);
	assert_int_equal(sent(), 0);
}

/* What the event's rate limit holds back is asked by the next packet. */
static void
test_held_back(void **state)
{
	struct event ev = {.kind = EV_ACQUIRE, .now = pr.a.w.now};

	while (events_push(pr.a.w.events, &ev))
		;
	use("flow esp transport from " ME " to " PEER " type acquire\n");
	send_udp(PEER, 1, 1);
	while (events_pop(pr.a.w.events, &ev))
		;
	pr.a.w.now += 1000;
	send_udp(PEER, 1, 1);
	assert_int_equal(asked(&ev), 1);
	assert_int_equal(acquire_held(pr.a.w.acquire), 2);
}

/* require asks and keeps nothing, dontacq does not ask, use sends in clear and does not ask either. */
static void
test_types(void **state)
{
	static const struct {
		const char *type;
		unsigned asked, dropped, sent, held;
	} t[] = {{"require", 1, 2, 0, 0}, {"dontacq", 0, 2, 0, 0}, {"use", 0, 0, 2, 0},
	    {"acquire", 1, 0, 0, 2}};
	char text[100];
	struct event ev;

	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		uint64_t before = dropped(&pr.a, DIR_OUT, DROP_NO_SA);

		snprintf(text, sizeof text, "flow esp transport from " ME " to " PEER " type %s\n",
		    t[i].type);
		use(text);
		send_udp(PEER, 1, 1);
		send_udp(PEER, 1, 1);
		assert_int_equal(asked(&ev), t[i].asked);
		assert_int_equal(dropped(&pr.a, DIR_OUT, DROP_NO_SA) - before, t[i].dropped);
		assert_int_equal(sent(), t[i].sent);
		assert_int_equal(acquire_held(pr.a.w.acquire), t[i].held);
		pr.a.w.now += ACQUIRE_MS;
	}
}

/* RFC 4301 4.4.1.2: each flow its own request, and its own SA; the SA of one serves no other. */
static void
test_pfp(void **state)
{
	struct sa_selector sel;
	struct event ev;

	use("flow esp transport proto udp from " ME
	    " to 10.0.0.0/8 port 1-100 pfp remote ports type acquire\n");
	send_udp(PEER, 1000, 53);
	send_udp(PEER, 1000, 54);
	send_udp(PEER, 1000, 53);
	assert_int_equal(asked(&ev), 2);
	acquire_selectors(spd_at(pr.a.w.gen->spd, 0), &ev.key, &sel);
	assert_true(iprange_single(&sel.dst)); /* from the packet */
	assert_int_equal(sel.dst.lo.b[3], 2);
	assert_int_equal(sel.sport.lo, 1000);
	assert_int_equal(sel.dport.hi, 54);
	assert_false(sel.proto_any);
	assert_true(iprange_single(&sel.src)); /* from the rule, which names one */

	/* One that is for all traffic is no such SA, nor is one that is wider than the flow. */
	use("flow esp transport proto udp from " ME
	    " to 10.0.0.0/8 port 1-100 pfp remote ports type acquire\n" SA KEY
	    "esp transport out from " ME " to " PEER " spi 0x1002 for proto udp from " ME
	    " to " PEER KEY2);
	outbound_held(&pr.a.w);
	assert_int_equal(sent(), 0);
	use("flow esp transport proto udp from " ME
	    " to 10.0.0.0/8 port 1-100 pfp remote ports type acquire\n" SA " for proto udp from " ME
	    " port 1000 to " PEER " port 53" KEY);
	outbound_held(&pr.a.w);
	assert_int_equal(sent(), 2);
	assert_int_equal(acquire_held(pr.a.w.acquire), 1);
	send_udp(PEER, 1001, 53);
	assert_int_equal(sent(), 0);
	send_udp(PEER, 1000, 53);
	assert_int_equal(sent(), 1);
}

/* Without PFP flags the rule's selectors are asked for, once. */
static void
test_no_pfp(void **state)
{
	struct sa_selector sel;
	struct event ev;

	use("flow esp tunnel proto udp from " ME
	    " to 10.0.0.0/8 port 1-100 peer 192.0.2.1 type require\n");
	send_udp(PEER, 1000, 53);
	send_udp("10.7.7.7", 1001, 54);
	assert_int_equal(asked(&ev), 1);
	acquire_selectors(spd_at(pr.a.w.gen->spd, 0), &ev.key, &sel);
	assert_false(iprange_single(&sel.dst));
	assert_true(sel.sport.any);
	assert_int_equal(sel.dport.lo, 1);
	assert_int_equal(sel.dport.hi, 100);
}

/* Inbound: what comes through an SA of one flow is that flow, and a rule with PFP takes no SA of all traffic. */
static void
test_inbound(void **state)
{
	static const struct {
		const char *pfp, *sel;
		bool passes;
	} t[] = {
	    {"", "", true},
	    {"", " for proto udp from " PEER " port 53 to " ME, true},
	    {"", " for proto udp from " PEER " port 54 to " ME, false},
	    {"", " for proto tcp from any to any", false},
	    {"", " for from " PEER " to 10.9.9.9", false},
	    {" pfp ports", "", false},
	    {" pfp ports", " for proto udp from " PEER " port 53 to " ME, false},
	    {" pfp ports", " for proto udp from " PEER " port 53 to " ME " port 1000", true},
	    {" pfp local remote proto ports",
		" for proto udp from " PEER " port 53 to " ME " port 1000", true},
	    {" pfp remote", " for from 10.0.0.0/8 to " ME, false},
	    {" pfp proto", " for from " PEER " to " ME, false},
	};
	char text[400];
	uint8_t f[200], got[300];
	struct policy *rule = pair_rule(&esp4, 1, ME, PEER, true);
	struct sa *out = pair_sa_new(&esp4, 0x1001, true, SA_DIR_OUT, 1000);
	int n;

	host_policy(&pr.b, 1, &rule, 1, &out, 1);
	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		snprintf(text, sizeof text,
		    "flow esp transport from " ME " to " PEER "%s\n"
		    "esp transport in from " PEER " to " ME
		    " spi 0x1001%s replay 0 enc aes-128-gcm enckey "
		    "0x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%02x%"
		    "02x%02x\n",
		    t[i].pfp, t[i].sel, 18, 25, 32, 39, 46, 53, 60, 67, 74, 81, 88, 95, 102, 109,
		    116, 123, 130, 137, 144, 151); /* pair_key() of the way back */
		use(text);
		host_send1(&pr.b, f, frame_make_udp(f, PEER, ME, 53, 1000, 0, 20));
		assert_true((n = edge_mem_take(pr.b.w.lower, got, sizeof got)) > 0);
		host_receive1(&pr.a, got, (uint32_t)n);
		if ((edge_mem_take(pr.a.w.upper, got, sizeof got) > 0) != t[i].passes)
			fail_msg("case %zu", i);
	}
	assert_int_equal(dropped(&pr.a, DIR_IN, DROP_SELECTOR_MISMATCH), 7);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_waits, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_policy_changes, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_held_back, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_types, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_pfp, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_no_pfp, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_inbound, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
