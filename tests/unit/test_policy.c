/* links: bits_spd bits_sadb */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "policy.h"

static struct ipaddr
ip4(unsigned a, unsigned b, unsigned c, unsigned d)
{
	uint8_t o[4] = {(uint8_t)a, (uint8_t)b, (uint8_t)c, (uint8_t)d};

	return ipaddr_from(4, o);
}

static struct policy *
protect(enum ipsec_mode mode)
{
	struct policy *p = policy_new();

	assert_non_null(p);
	p->action = ACT_PROTECT;
	p->type = FLOW_REQUIRE;
	p->nsteps = 1;
	p->step[0].proto = IPSEC_ESP;
	p->step[0].mode = mode;
	return p;
}

static void
fresh(void **state)
{
	struct policy *p = policy_new();
	struct flowkey k = {.local = ip4(1, 2, 3, 4), .remote = ip4(4, 3, 2, 1), .vlan = VLAN_NONE};

	assert_non_null(p);
	assert_int_equal(p->action, ACT_BYPASS);
	assert_int_equal(p->dirs, 3);
	assert_true(selector_match(&p->sel, &k));
	assert_null(policy_check(p));
	assert_ptr_equal(policy_ref(p), p);
	policy_unref(p);
	p->srcid = strdup("me"); /* freed with it: ASan would tell */
	policy_unref(p);
	policy_unref(NULL);
}

static void
check(void **state)
{
	struct policy *p = protect(MODE_TUNNEL);

	assert_null(policy_check(p));
#define REFUSED(change)                                                                            \
	do {                                                                                       \
		struct policy copy = *p, *c = &copy;                                               \
		struct sa_template step[POLICY_STEPS_MAX];                                         \
                                                                                                   \
		c->step = memcpy(step, p->step, sizeof step);                                      \
		change;                                                                            \
		assert_non_null(policy_check(c));                                                  \
	} while (0)
#define TAKEN(change)                                                                              \
	do {                                                                                       \
		struct policy copy = *p, *c = &copy;                                               \
		struct sa_template step[POLICY_STEPS_MAX];                                         \
                                                                                                   \
		c->step = memcpy(step, p->step, sizeof step);                                      \
		change;                                                                            \
		assert_null(policy_check(c));                                                      \
	} while (0)
	REFUSED(c->dirs = 0);
	REFUSED(c->dirs = 4);
	REFUSED(c->action = ACT_BYPASS);
	REFUSED(c->type = FLOW_DENY);
	REFUSED(c->nsteps = 0);
	REFUSED(c->nsteps = POLICY_STEPS_MAX + 1);
	REFUSED(c->step[0].proto = 6);
	REFUSED(c->step[0].mode = 7);
	REFUSED(c->step[0].local = ip4(1, 1, 1, 1);
		c->step[0].peer = ipaddr_from(6, (const uint8_t[16]){0xfd, 1}));
	REFUSED(c->step[0].peer = ip4(0, 0, 0, 0));
	REFUSED(c->sel.lmatch = MATCH_RANGE);
	REFUSED(c->sel.proto_any = false; c->sel.proto = 47; c->sel.lmatch = MATCH_OPAQUE);
	REFUSED(c->sel.proto_any = false; c->sel.proto = 1; c->sel.rmatch = MATCH_RANGE);
	REFUSED(c->sel.proto_any = false; c->sel.proto = 6; c->sel.lmatch = MATCH_RANGE;
		c->sel.lport.lo = 2; c->sel.lport.hi = 1);
	REFUSED(c->sel.local = ((struct iprange){ip4(1, 0, 0, 2), ip4(1, 0, 0, 1)}));
	REFUSED(c->sel.local = ((struct iprange){ip4(1, 0, 0, 2), {.af = 6, .b = {0xff}}}));
	REFUSED(c->sel.local = ((struct iprange){ip4(1, 0, 0, 2), ip4(1, 0, 0, 2)});
		c->sel.remote = ((struct iprange){{.af = 6, .b = {0xfd}}, {.af = 6, .b = {0xfd}}}));
	REFUSED(c->sel.vlan = 4095);
	TAKEN(c->sel.vlan = 4094);
	TAKEN(c->sel.proto_any = false; c->sel.proto = 1; c->sel.lmatch = MATCH_RANGE);
	TAKEN(c->sel.proto_any = false; c->sel.proto = 6; c->sel.rmatch = MATCH_OPAQUE);
	TAKEN(c->type = FLOW_DENY; c->action = ACT_DISCARD; c->nsteps = 0);
	TAKEN(c->type = FLOW_USE);

	/* Transport mode: other addresses than the packet's cannot be. */
	TAKEN(c->step[0].mode = MODE_TRANSPORT; c->step[0].peer = ip4(10, 0, 0, 2));
	REFUSED(c->step[0].mode = MODE_TRANSPORT; c->step[0].peer = ip4(10, 0, 0, 2);
		c->sel.remote = ((struct iprange){ip4(10, 0, 0, 3), ip4(10, 0, 0, 9)}));
	policy_unref(p);
}

/* A finished rule is what it was, and one without templates may be read as if it had an empty one. */
static void
settle(void **state)
{
	struct policy *p = protect(MODE_TUNNEL), *q = protect(MODE_TUNNEL), *none = policy_new();

	policy_settle(q);
	assert_true(policy_eq(p, q));
	policy_settle(q);
	assert_true(policy_eq(p, q));
	policy_settle(none);
	policy_settle(none);
	assert_int_equal(none->step[0].mode, MODE_ANY);
	assert_null(policy_check(none));
	policy_unref(p);
	policy_unref(q);
	policy_unref(none);
}

static void
eq(void **state)
{
	struct policy *a = protect(MODE_TUNNEL), *b = protect(MODE_TUNNEL);

	assert_true(policy_eq(a, b));
	b->count[0].packets = 7;
	a->mode_said = true;
	a->sel.lport.lo = 9; /* says nothing while lmatch is ANY */
	assert_true(policy_eq(a, b));
	b->step[0].reqid = 1;
	assert_false(policy_eq(a, b));
	b->step[0].reqid = 0;
	b->type = FLOW_USE;
	assert_false(policy_eq(a, b));
	b->type = FLOW_REQUIRE;
	b->dirs = 1;
	assert_false(policy_eq(a, b));
	b->dirs = 3;
	b->sel.remote = (struct iprange){ip4(1, 1, 1, 1), ip4(1, 1, 1, 1)};
	assert_false(policy_eq(a, b));
	b->sel.remote = a->sel.remote;
	b->sel.lmatch = MATCH_RANGE;
	assert_false(policy_eq(a, b));
	b->sel.lmatch = MATCH_ANY;
	b->srcid = strdup("x");
	assert_false(policy_eq(a, b));
	a->srcid = strdup("x");
	assert_true(policy_eq(a, b));
	policy_unref(a);
	policy_unref(b);
}

static void
sa_fits(void **state)
{
	static struct sa in, out;
	struct sa *one[] = {&in}, *two[] = {&out, &in}; /* outermost first */
	struct policy *p = protect(MODE_TRANSPORT);

	in.p.proto = IPSEC_ESP;
	in.p.mode = MODE_TRANSPORT;
	in.p.src = ip4(10, 0, 0, 2);
	in.p.dst = ip4(10, 0, 0, 1);
	in.p.reqid = 5;
	out.p = in.p;
	out.p.proto = IPSEC_AH;
	out.p.mode = MODE_TUNNEL;
	out.p.src = ip4(192, 0, 2, 2);
	out.p.dst = ip4(192, 0, 2, 1);

	assert_true(policy_sa_fits(p, one, 1));
	assert_false(policy_sa_fits(p, one, 0)); /* not protected at all */
	assert_false(policy_sa_fits(p, two, 2)); /* more than was asked */
	p->step[0].reqid = 5;
	assert_true(policy_sa_fits(p, one, 1));
	p->step[0].reqid = 6;
	assert_false(policy_sa_fits(p, one, 1));
	p->step[0].reqid = 0;
	p->step[0].mode = MODE_TUNNEL;
	assert_false(policy_sa_fits(p, one, 1));
	p->step[0].mode = MODE_ANY;
	assert_true(policy_sa_fits(p, one, 1));
	p->step[0].proto = IPSEC_AH;
	assert_false(policy_sa_fits(p, one, 1));
	p->step[0].proto = IPSEC_ESP;

	/* ESP within an AH tunnel: the last step is outermost. */
	p->nsteps = 2;
	p->step[1].proto = IPSEC_AH;
	p->step[1].mode = MODE_TUNNEL;
	p->step[1].local = ip4(192, 0, 2, 1);
	p->step[1].peer = ip4(192, 0, 2, 2);
	assert_true(policy_sa_fits(p, two, 2));
	assert_false(policy_sa_fits(p, one, 1)); /* half of it */
	p->step[1].peer = ip4(192, 0, 2, 3);
	assert_false(policy_sa_fits(p, two, 2));
	p->step[1].peer = ip4(192, 0, 2, 2);
	p->step[1].local = ip4(192, 0, 2, 3);
	assert_false(policy_sa_fits(p, two, 2));
	policy_unref(p);
}

static void
names(void **state)
{
	assert_string_equal(flow_type_name(FLOW_DONTACQ), "dontacq");
	assert_string_equal(flow_type_name(FLOW_DENY), "deny");
	assert_string_equal(action_name(ACT_PROTECT), "protect");
	assert_string_equal(builtin_name(BUILTIN_DHCP6), "dhcp6");
	assert_int_equal(builtin_number("mld"), BUILTIN_MLD);
	assert_int_equal(builtin_number("ike"), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(fresh),
	    cmocka_unit_test(check),
	    cmocka_unit_test(settle),
	    cmocka_unit_test(eq),
	    cmocka_unit_test(sa_fits),
	    cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
