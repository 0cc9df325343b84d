/* links: bits_sadb */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "addr.h"

static struct ipaddr
addr(const char *text)
{
	struct ipaddr a;

	assert_int_equal(ipaddr_parse(text, &a), 0);
	return a;
}

static struct iprange
range(const char *text)
{
	struct iprange r;

	assert_int_equal(iprange_parse(text, &r), 0);
	return r;
}

static void
text_in_and_out(void **state)
{
	static const char *const same[] = {"0.0.0.0", "10.0.0.1", "255.255.255.255", "::", "::1",
	    "2001:db8::1", "2001:db8:0:1:1:1:1:1", "2001:db8::1:0:0:1",
	    "fe80::", "::ffff:192.0.2.1"};
	static const char *const canon[][2] = {{"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
	    {"0:0:0:0:0:0:0:0", "::"}, {"2001:0db8::0001", "2001:db8::1"},
	    {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"}};
	static const char *const bad[] = {"", "10", "10.0.0", "10.0.0.256", "10.0.0.1 ",
	    " 10.0.0.1", "10.0.0.1.2", ":::", "2001:db8", "fe80::1%eth0", "any", "10.0.0.1/8",
	    "g::1", "1:2:3:4:5:6:7:8:9"};
	char buf[IPADDR_STRLEN];
	struct ipaddr a, was;

	for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
		a = addr(same[i]);
		assert_string_equal(ipaddr_print(&a, buf), same[i]);
	}
	for (size_t i = 0; i < sizeof canon / sizeof *canon; i++) {
		a = addr(canon[i][0]);
		assert_string_equal(ipaddr_print(&a, buf), canon[i][1]);
	}
	a = was = addr("10.1.2.3");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (ipaddr_parse(bad[i], &a) != -1)
			fail_msg("\"%s\" was taken", bad[i]);
		assert_true(ipaddr_eq(&a, &was));
	}
	a = (struct ipaddr){.af = 0};
	assert_string_equal(ipaddr_print(&a, buf), "any");
	assert_int_equal(ipaddr_len(&a), 0);
}

static void
order_and_classes(void **state)
{
	struct ipaddr a = addr("10.0.0.1"), b = addr("10.0.0.2"), c = addr("::1"), none = {.af = 0};

	assert_true(ipaddr_cmp(&a, &b) < 0 && ipaddr_cmp(&b, &a) > 0 && ipaddr_cmp(&a, &a) == 0);
	assert_true(ipaddr_cmp(&b, &c) < 0 && ipaddr_cmp(&c, &b) > 0 && ipaddr_cmp(&none, &a) < 0);
	assert_int_equal(ipaddr_len(&a), 4);
	assert_int_equal(ipaddr_len(&c), 16);

	static const struct {
		const char *text;
		bool multicast, unspecified;
	} t[] = {{"223.255.255.255", 0, 0}, {"224.0.0.0", 1, 0}, {"239.255.255.255", 1, 0},
	    {"240.0.0.0", 0, 0}, {"0.0.0.0", 0, 1}, {"0.0.0.1", 0, 0}, {"ff02::1", 1, 0},
	    {"fe80::1", 0, 0}, {"::", 0, 1}, {"::1", 0, 0}};
	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		a = addr(t[i].text);
		assert_int_equal(ipaddr_multicast(&a), t[i].multicast);
		assert_int_equal(ipaddr_unspecified(&a), t[i].unspecified);
	}
	assert_false(ipaddr_multicast(&none) || ipaddr_unspecified(&none));
}

static void
ranges_in_and_out(void **state)
{
	static const struct {
		const char *in, *out;
		int prefix;
	} good[] = {{"any", "any", -1}, {"10.0.0.1", "10.0.0.1", 32},
	    {"10.1.2.3/8", "10.0.0.0/8", 8}, {"10/8", "10.0.0.0/8", 8},
	    {"192.168.1/24", "192.168.1.0/24", 24}, {"0.0.0.0/0", "0.0.0.0/0", 0},
	    {"::/0", "::/0", 0}, {"10.0.0.1/32", "10.0.0.1", 32},
	    {"10.0.0.1/31", "10.0.0.0/31", 31}, {"fd02::5/48", "fd02::/48", 48},
	    {"2001:db8::ff/121", "2001:db8::80/121", 121},
	    {"10.0.0.0-10.0.0.255", "10.0.0.0/24", 24},
	    {"203.0.113.0-203.0.113.9", "203.0.113.0-203.0.113.9", -1},
	    {"10.0.0.1-10.0.0.1", "10.0.0.1", 32},
	    {"10.0.0.255-10.0.1.0", "10.0.0.255-10.0.1.0", -1},
	    {"0.0.0.0-255.255.255.255", "0.0.0.0/0", 0},
	    {"fd00::1-fd00::ffff", "fd00::1-fd00::ffff", -1}, {"10.0.0.0/08", "10.0.0.0/8", 8},
	    {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff0/124", 124}};
	static const struct {
		const char *in;
		int rc;
	} bad[] = {{"", -1}, {"Any", -1}, {"10.0.0.0/", -1}, {"/8", -1}, {"10.0.0.0/+8", -1},
	    {"10.0.0.0/8 ", -1}, {"10.0.0.0/8/8", -1}, {"10.0.0.0/-1", -1}, {"10.0.0.0/0008", -1},
	    {"10.0.0.0/33", -2}, {"::/129", -2}, {"10.0.0.0/999", -2}, {"10.0.0.2-10.0.0.1", -2},
	    {"10.0.0.1-::1", -2}, {"10.0.0.1-", -1}, {"-10.0.0.1", -1},
	    {"10.0.0.1-10.0.0.2-10.0.0.3", -1}, {"10", -1}, {"10./8", -1}, {"host", -1},
	    {"999/8", -1}, {"fd02/16", -1}};
	char buf[IPRANGE_STRLEN], longest[200];
	struct iprange r, was;

	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct iprange again;

		r = range(good[i].in);
		assert_string_equal(iprange_print(&r, buf), good[i].out);
		assert_int_equal(iprange_prefix(&r), good[i].prefix);
		again = range(buf);
		assert_memory_equal(&again, &r, sizeof r);
	}
	r = was = range("10.0.0.0/8");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (iprange_parse(bad[i].in, &r) != bad[i].rc)
			fail_msg("\"%s\" gave %d", bad[i].in, iprange_parse(bad[i].in, &r));
		assert_memory_equal(&r, &was, sizeof r);
	}
	memset(longest, '1', sizeof longest);
	longest[sizeof longest - 1] = '\0';
	assert_int_equal(iprange_parse(longest, &r), -1);
	/* a short address that fills the buffer: no room to complete it */
	memset(longest, '1', IPRANGE_STRLEN - 3);
	strcpy(longest + IPRANGE_STRLEN - 3, "/8");
	assert_int_equal(iprange_parse(longest, &r), -1);
}

static void
ranges_hold(void **state)
{
	struct iprange any = range("any"), v4 = range("0.0.0.0/0"), net = range("10.0.0.0/8"),
		       odd = range("10.0.0.5-10.0.0.9");
	struct iprange v6 = range("fd00::/8");
	struct ipaddr a;

	assert_true(iprange_contains(&any, &any) && iprange_contains(&any, &v4) &&
		    iprange_contains(&any, &v6));
	assert_true(iprange_contains(&v4, &net) && iprange_contains(&net, &odd) &&
		    iprange_contains(&odd, &odd));
	assert_false(iprange_contains(&v4, &any) || iprange_contains(&odd, &net) ||
		     iprange_contains(&v4, &v6));

	static const struct {
		const char *text;
		bool in;
	} t[] = {{"10.0.0.4", 0}, {"10.0.0.5", 1}, {"10.0.0.9", 1}, {"10.0.0.10", 0}, {"::1", 0}};
	for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
		a = addr(t[i].text);
		assert_int_equal(iprange_has(&odd, &a), t[i].in);
		assert_true(iprange_has(&any, &a));
	}
	assert_true(iprange_single(&(struct iprange){a, a}));
	assert_false(iprange_single(&any) || iprange_single(&net));
}

/* Every prefix length of random addresses: the range is what a bit by bit reading says. */
static void
prefixes_bit_by_bit(void **state)
{
	srandom(1);
	for (int round = 0; round < 200; round++) {
		unsigned af = round % 2 ? 4 : 6, bits = af == 4 ? 32 : 128;
		uint8_t octets[16];
		char text[IPADDR_STRLEN], with[IPADDR_STRLEN + 8];

		for (size_t i = 0; i < sizeof octets; i++)
			octets[i] = (uint8_t)random();
		struct ipaddr a = ipaddr_from(af, octets);
		for (unsigned len = 0; len <= bits; len++) {
			struct iprange r;

			snprintf(with, sizeof with, "%s/%u", ipaddr_print(&a, text), len);
			r = range(with);
			assert_int_equal(iprange_prefix(&r), (int)len);
			for (unsigned i = 0; i < bits; i++) {
				unsigned was = a.b[i / 8] >> (7 - i % 8) & 1;

				assert_int_equal(
				    r.lo.b[i / 8] >> (7 - i % 8) & 1, i < len ? was : 0);
				assert_int_equal(
				    r.hi.b[i / 8] >> (7 - i % 8) & 1, i < len ? was : 1);
			}
			if (af == 4)
				assert_memory_equal(r.hi.b + 4, (uint8_t[12]){0}, 12);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(text_in_and_out),
	    cmocka_unit_test(order_and_classes),
	    cmocka_unit_test(ranges_in_and_out),
	    cmocka_unit_test(ranges_hold),
	    cmocka_unit_test(prefixes_bit_by_bit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
