/* links: bits_edge bits_walk bits_spd bits_sadb */
/*
 * The program that chooses a worker, run as the kernel's checker and interpreter of classic BPF would: whose packets come together, and whose do
 * not have to.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <linux/if_ether.h>
#include "fanout.h"
#include "pkt.h"

/* Of ${size} octets at ${at}; false: they are not there. */
static bool
load(const uint8_t *p, uint32_t n, uint32_t code, uint64_t at, uint32_t *a)
{
	unsigned size = BPF_SIZE(code) == BPF_W ? 4 : BPF_SIZE(code) == BPF_H ? 2 : 1;

	if (at + size > n)
		return false;
	*a = size == 4 ? get32(p + at) : size == 2 ? get16(p + at) : p[at];
	return true;
}

static uint32_t
run(uint16_t protocol, const uint8_t *p, uint32_t n)
{
	unsigned count;
	const struct sock_filter *f = fanout_program(&count);
	uint32_t a = 0, x = 0, m = 0;

	for (unsigned pc = 0; pc < count; pc++) {
		uint32_t k = f[pc].k;

		switch (f[pc].code) {
		case BPF_LD | BPF_IMM:
			a = k;
			break;
		case BPF_LD | BPF_W | BPF_ABS:
		case BPF_LD | BPF_H | BPF_ABS:
		case BPF_LD | BPF_B | BPF_ABS:
			if (k == (uint32_t)SKF_AD_OFF + SKF_AD_PROTOCOL)
				a = protocol;
			else if (!load(p, n, f[pc].code, k, &a))
				return 0;
			break;
		case BPF_LD | BPF_W | BPF_IND:
		case BPF_LD | BPF_H | BPF_IND:
			if (!load(p, n, f[pc].code, (uint64_t)x + k, &a))
				return 0;
			break;
		case BPF_LDX | BPF_B | BPF_MSH:
			if (k >= n)
				return 0;
			x = 4u * (p[k] & 15);
			break;
		case BPF_LDX | BPF_IMM:
			x = k;
			break;
		case BPF_LDX | BPF_MEM:
			x = m;
			break;
		case BPF_ST:
			m = a;
			break;
		case BPF_MISC | BPF_TAX:
			x = a;
			break;
		case BPF_ALU | BPF_XOR | BPF_X:
			a ^= x;
			break;
		case BPF_ALU | BPF_MUL | BPF_K:
			a *= k;
			break;
		case BPF_ALU | BPF_RSH | BPF_K:
			a >>= k;
			break;
		case BPF_JMP | BPF_JA:
			pc += k;
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
			pc += a == k ? f[pc].jt : f[pc].jf;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			pc += a & k ? f[pc].jt : f[pc].jf;
			break;
		case BPF_RET | BPF_A:
			return a;
		case BPF_RET | BPF_K:
			return k;
		default:
			fail_msg("instruction %u: code %#x", pc, f[pc].code);
		}
	}
	fail_msg("the program runs over its end");
	return 0;
}

/* An IP packet from .${src} to .${dst} whose payload are ${words}. */
struct row {
	uint8_t af, proto, src, dst;
	uint16_t off; /* IPv4: flags and offset */
	uint8_t options;
	uint32_t words[4];
};

static uint32_t
chosen(const struct row *r)
{
	uint8_t p[128] = {0};
	uint32_t hlen = r->af == 4 ? 20u + r->options : 40;

	if (r->af == 4) {
		p[0] = (uint8_t)(0x40 | hlen / 4);
		put16(p + 6, r->off);
		p[9] = r->proto;
		put32(p + 12, 0x0a090000u + r->src);
		put32(p + 16, 0x0a090000u + r->dst);
	} else {
		p[0] = 0x6a; /* a traffic class does not mislead it */
		p[1] = 0xff;
		p[6] = r->proto;
		p[23] = r->src;
		p[39] = r->dst;
	}
	for (unsigned i = 0; i < 4; i++)
		put32(p + hlen + 4 * i, r->words[i]);
	return run(r->af == 4 ? ETH_P_IP : ETH_P_IPV6, p, hlen + 16);
}

#define PORTS(s, d) ((uint32_t)(s) << 16 | (d))

/* The SPI alone decides, wherever it stands: addresses, numbers, options do not. */
static void
by_spi(void **state)
{
	static const struct row rows[] = {
	    {4, 50, 1, 2, 0, 0, {0x12345678, 1}},
	    {4, 50, 7, 9, 0x4000, 0, {0x12345678, 77}},
	    {4, 50, 1, 2, 0, 8, {0x12345678, 2}},
	    {6, 50, 1, 2, 0, 0, {0x12345678, 3}},
	    {4, 51, 1, 2, 0, 0, {0x06040000, 0x12345678, 4}},
	    {6, 51, 3, 2, 0, 0, {0x32040000, 0x12345678, 4}},
	    {4, 17, 1, 2, 0, 0, {PORTS(4500, 4500), 0, 0x12345678, 5}},
	    {4, 17, 1, 2, 0, 4, {PORTS(31234, 4500), 0, 0x12345678, 6}},
	    {6, 17, 1, 2, 0, 0, {PORTS(4500, 1024), 0, 0x12345678, 7}},
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal(chosen(&rows[i]), 0x12345678);
}

/* The same flow, the same number; each another than the first row's. */
static void
by_flow(void **state)
{
	static const struct row flow = {4, 6, 1, 2, 0, 0, {PORTS(40000, 80), 1}},
				again = {4, 6, 1, 2, 0x4000, 4, {PORTS(40000, 80), 99}},
				others[] = {
				    {4, 6, 1, 2, 0, 0, {PORTS(40002, 80), 1}},
				    {4, 6, 1, 3, 0, 0, {PORTS(40000, 80), 1}},
				    {4, 6, 4, 2, 0, 0, {PORTS(40000, 80), 1}},
				    {4, 17, 1, 2, 0, 0, {PORTS(40000, 81), 1}},
				    {6, 6, 1, 9, 0, 0, {PORTS(40000, 80), 1}},
				    {6, 6, 1, 9, 0, 0, {PORTS(40001, 80), 1}},
				    {4, 17, 1, 2, 0, 0, {PORTS(4500, 4500), 0, 0, 1}}, /* IKE */
				    {4, 1, 1, 2, 0, 0, {0x08000000, 1}},
				};

	assert_int_equal(chosen(&flow), chosen(&again));
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		assert_int_not_equal(chosen(&flow), chosen(&others[i]));
}

/* Fragments of all protocols and datagrams between two hosts meet, the first one with the later ones. */
static void
fragments(void **state)
{
	static const struct row rows[] = {
	    {4, 50, 1, 2, 0x2000, 0, {0x12345678, 1}},
	    {4, 50, 1, 2, 0x00b9, 0, {0x99999999, 1}},
	    {4, 17, 1, 2, 0x20b9, 0, {PORTS(4500, 4500), 0, 0x12345678, 1}},
	    {4, 6, 1, 2, 0x0001, 4, {5}},
	};
	static const struct row six[] = {
	    {6, 44, 1, 2, 0, 0, {0x32000001, 7}},
	    {6, 44, 1, 2, 0, 0, {0x320005a8, 7}},
	    {6, 44, 1, 2, 0, 0, {0x11000001, 8}},
	};

	for (size_t i = 1; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal(chosen(&rows[0]), chosen(&rows[i]));
	for (size_t i = 1; i < sizeof six / sizeof six[0]; i++)
		assert_int_equal(chosen(&six[0]), chosen(&six[i]));
}

/* What is not IP, and what ends too early: the first worker, and no octet beyond the end is read. */
static void
others(void **state)
{
	static const uint8_t esp[24] = {0x45, [9] = 50, [20] = 1, [23] = 9}, arp[28] = {0, 1, 8};

	assert_int_equal(run(ETH_P_ARP, arp, sizeof arp), 0);
	assert_int_equal(run(0x88cc, NULL, 0), 0);
	assert_int_equal(run(ETH_P_IP, esp, sizeof esp), 0x01000009);
	for (uint32_t n = 0; n < sizeof esp; n++)
		assert_int_equal(run(ETH_P_IP, esp, n), 0);
}

/* A thousand flows find all of some workers, each about its share. */
static void
spread(void **state)
{
	static const unsigned workers[] = {2, 3, 4, 8};

	for (size_t w = 0; w < sizeof workers / sizeof workers[0]; w++) {
		unsigned n[8] = {0};

		for (uint32_t i = 0; i < 1000; i++) {
			struct row r = {4, 6, 1, 2, 0, 0, {PORTS(32768 + 2 * i, 443)}};

			n[chosen(&r) % workers[w]]++;
		}
		for (unsigned i = 0; i < workers[w]; i++)
			assert_in_range(n[i], 700 / workers[w], 1300 / workers[w]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(by_spi),
	    cmocka_unit_test(by_flow),
	    cmocka_unit_test(fragments),
	    cmocka_unit_test(others),
	    cmocka_unit_test(spread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
