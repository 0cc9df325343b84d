/* links: bits_control bits_edge bits_walk bits_base bits_spd bits_sadb */
/*
 * RFC 3948 2.3 and 4: what a keepalive is on the wire, who gets one, and when; through the bump's own lower edge.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* (event.h is libevent's) */
#include <event2/event.h>
#include "keepalive.h"
#include "mono.h"
#include "nexthop_keeper.h"
#include "pair.h"
#include "pair_edge.h"
#include "shim.h"

static struct event_base *base;
static struct shim *bump;
static struct pair_edge *lower;
static struct nexthop_keeper *hops;
static struct keepalive *k;
static int known; /* what resolve() says */

static int
resolve(void *ctx, const struct ipaddr *dst, uint8_t mac[static 6])
{
	memcpy(mac, frame_mac_peer, 6);
	return known;
}

static int
setup(void **state)
{
	struct pair_edge *upper = pair_new();
	struct nexthop_keeper_env env = {.resolve = resolve};

	lower = pair_new();
	base = env.base = event_base_new();
	bump = env.shim = shim_new(&upper->e, &lower->e);
	assert_non_null(bump);
	assert_int_equal(shim_init(bump), 0);
	assert_int_equal(shim_restart(bump), 0);
	hops = nexthop_keeper_new(&env);
	assert_non_null(hops);
	k = keepalive_new(base, bump, hops);
	assert_non_null(k);
	known = 1;
	return 0;
}

static int
teardown(void **state)
{
	keepalive_free(k);
	nexthop_keeper_free(hops);
	shim_free(bump);
	event_base_free(base);
	return 0;
}

/* ${sa} is all there is. */
static void
put(struct sa *sa)
{
	shim_publish(bump, gen_new(1, NULL, 0, NULL, &sa, 1));
	nexthop_keeper_retarget(hops);
	/* the keeper looks for the way before anybody asks it */
	event_base_loop(base, EVLOOP_NONBLOCK);
	keepalive_retarget(k);
}

static struct sa *
sa_new_of(const char *src, const char *dst, enum sa_dir dir, uint16_t seconds)
{
	struct pair_sa s = {.proto = IPSEC_ESP,
	    .mode = MODE_TUNNEL,
	    .src = src,
	    .dst = dst,
	    .enc = "aes-128-gcm",
	    .encap = 4500};
	struct sa *sa = pair_sa_new(&s, 0x1001, false, dir, mono_ms());

	sa->p.keepalive = seconds;
	return sa;
}

/* The next frame on the wire within ${ms}, the timers running meanwhile; -1: none. */
static int
next(uint8_t *f, size_t cap, unsigned ms)
{
	uint64_t end = mono_ms() + ms;
	int n;

	while ((n = pair_take(lower, f, cap, 10)) < 0 && mono_ms() < end)
		event_base_loop(base, EVLOOP_NONBLOCK);
	return n;
}

/* One octet 0xff in UDP, from our port and address to where the peer is. */
static void
is_keepalive(
    const uint8_t *f, int n, const struct ipaddr *src, const struct ipaddr *dst, uint16_t port)
{
	bool six = dst->af == 6;
	uint32_t hlen = six ? 40 : 20, at = 14 + hlen;
	const uint8_t *ip = f + 14, *addr = ip + (six ? 8 : 12);

	assert_int_equal(n, at + 9);
	assert_memory_equal(f, frame_mac_peer, 6);
	assert_int_equal(get16(f + 12), six ? ETYPE_IP6 : ETYPE_IP4);
	assert_memory_equal(addr, src->b, six ? 16 : 4);
	assert_memory_equal(addr + (six ? 16 : 4), dst->b, six ? 16 : 4);
	if (six) {
		assert_int_equal(get16(ip + 4), 9);
		assert_int_equal(ip[6], 17);
		assert_int_not_equal(get16(f + at + 6), 0); /* RFC 8200 8.1 */
	} else {
		assert_int_equal(get16(ip + 2), 29);
		assert_int_equal(ip[9], 17);
		assert_int_equal(get16(ip + 10), cksum_ip4(ip, 20));
		assert_int_equal(get16(f + at + 6), 0);
	}
	assert_int_equal(get16(f + at), 4500);
	assert_int_equal(get16(f + at + 2), port);
	assert_int_equal(get16(f + at + 4), 9);
	assert_int_equal(f[at + 8], 0xff);
}

static void
test_frame(void **state)
{
	static const char *const ends[2][2] = {{"10.0.0.1", "10.0.0.2"}, {"fd00::1", "fd00::2"}};

	for (int i = 0; i < 2; i++) {
		struct sa *sa = sa_new_of(ends[i][0], ends[i][1], SA_DIR_OUT, 20);
		uint8_t f[200], sum[2];
		int n;

		put(sa);
		n = next(f, sizeof f, 2000);
		is_keepalive(f, n, &sa->p.src, &sa->p.dst, 4500);
		if (i) {
			memcpy(sum, f + 14 + 40 + 6, 2);
			put16(f + 14 + 40 + 6, 0);
			assert_int_equal(cksum_l4(f + 14, 17, f + 54, 9), get16(sum));
		}
		/* it has just spoken */
		keepalive_retarget(k);
		assert_int_equal(next(f, sizeof f, 100), -1);
		sa_unref(sa);
	}
}

/* After a second of silence, and again after the next; not while the SA itself sends. */
static void
test_silence(void **state)
{
	struct sa *sa = sa_new_of("10.0.0.1", "10.0.0.2", SA_DIR_OUT, 1);
	uint64_t spoke = mono_ms(), heard;
	uint8_t f[200];

	__atomic_store_n(&sa->cout.last_ms, spoke, __ATOMIC_RELAXED);
	put(sa);
	while (
	    next(f, sizeof f, 300) > 0) /* none, but on a machine that stood still for a second */
		;
	spoke = mono_ms();
	__atomic_store_n(&sa->cout.last_ms, spoke, __ATOMIC_RELAXED); /* traffic again */
	for (int i = 0; i < 2; i++) {
		assert_true(next(f, sizeof f, 5000) > 0);
		heard = mono_ms();
		assert_true(heard - spoke >= 950);
		spoke = heard;
	}
	assert_int_equal(sa->cout.packets,
	    0); /* no traffic of the SA's: it proves nothing, and wears nothing out */
	assert_true(sa->seq.next <= 1);
	sa_unref(sa);
}

/* To where the peer is now. */
static void
test_moved(void **state)
{
	struct sa *sa = sa_new_of("10.0.0.1", "10.0.0.2", SA_DIR_OUT, 20);
	struct sa_peer *peer = malloc(sizeof *peer);
	uint8_t f[200];
	int n;

	*peer = (struct sa_peer){.port = 31000};
	ipaddr_parse("10.0.0.9", &peer->addr);
	sa->peer = peer;
	put(sa);
	n = next(f, sizeof f, 2000);
	is_keepalive(f, n, &sa->p.src, &peer->addr, 31000);
	sa_unref(sa);
}

/* None without the option, from an SA that only receives, that has ended, or while nobody knows the way; then it comes. */
static void
test_none(void **state)
{
	struct sa *sa[] = {sa_new_of("10.0.0.1", "10.0.0.2", SA_DIR_OUT, 0),
	    sa_new_of("10.0.0.1", "10.0.0.2", SA_DIR_IN, 20),
	    sa_new_of("10.0.0.1", "10.0.0.2", SA_DIR_OUT, 20),
	    sa_new_of("10.0.0.1", "10.0.0.5", SA_DIR_OUT, 20)};
	uint8_t f[200];

	assert_true(sa_move(sa[2], SA_DEAD));
	for (int i = 0; i < 4; i++) {
		if (i == 3)
			known = 0;
		put(sa[i]);
		assert_int_equal(next(f, sizeof f, 200), -1);
	}
	known = 1;
	assert_true(next(f, sizeof f, 5000) > 0);
	for (int i = 0; i < 4; i++)
		sa_unref(sa[i]);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_frame), T(test_silence), T(test_moved), T(test_none)};

	return cmocka_run_group_tests_name("keepalive", tests, NULL, NULL);
}
