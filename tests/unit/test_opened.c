/* links: bits_edge bits_walk bits_base bits_spd bits_sadb */
/*
 * What is wrong with a packet whose ICV is right: padding, next header, what a tunnel carries (RFC 4303 2.4, 2.6 and 3.4.4; RFC 4301 5.2).
 * Each is dropped under its reason, told to audit or not as the reason says, and its number is spent.
 */
#include "walkbed.h"

static const struct pair_sa tunnel4 = {
    IPSEC_ESP, MODE_TUNNEL, "10.0.0.1", "10.0.0.2", "aes-128-gcm", NULL};
static uint32_t number; /* of the last packet made by hand */

/* A frame from a to b whose ESP payload, trailer included, is ${text}: sealed with a's key under the next number. */
static uint32_t
authentic(uint8_t *f, const uint8_t *text, uint32_t n)
{
	struct crypto *c = sadb_at(pr.a.w.gen->sad, 0)->out;
	uint32_t front = 8u + c->iv_len;
	struct crypto_esp_job j = {.esp = f + 34, .src = f + 34 + front, .len = n};

	assert_int_equal(n % c->block, 0);
	memset(f, 0, 34 + front);
	frame_ether(f, frame_mac_peer, frame_mac_host, ETYPE_IP4);
	put32(f + 34, 0x1001);
	put32(f + 38, ++number);
	put32(f + 34 + 8, number); /* an IV */
	memcpy(f + 34 + front, text, n);
	crypto_esp_seal(c, &j, 1);
	assert_true(j.ok);
	return 14 + frame_ip4(f + 14, "10.0.0.1", "10.0.0.2", 50, 0, front + n + c->icv_len);
}

static void
begin(const struct pair_sa *s, const char *local, const char *remote)
{
	number = 0;
	pair_protect(&pr, s, 1, local, remote);
}

/* b drops ${f} for ${why}, and once: its number is spent, whatever was in it. */
static void
wrong(const uint8_t *f, uint32_t len, enum drop why)
{
	const struct sa *in = sadb_at(pr.b.w.gen->sad, 0);
	uint64_t before = dropped(&pr.b, DIR_IN, why), failed = in->cin.other_failed,
		 dup = dropped(&pr.b, DIR_IN, DROP_REPLAY_DUP);
	struct event ev;
	uint8_t got[200];

	while (events_pop(pr.b.w.events, &ev))
		;
	pr.b.w.now += 1000; /* audit holds a swarm back */
	host_receive1(&pr.b, f, len);
	if (dropped(&pr.b, DIR_IN, why) != before + 1)
		fail_msg("not dropped as %s", drop_name(why));
	assert_int_equal(edge_mem_take(pr.b.w.upper, got, sizeof got), -1);
	/* a dummy is what its sender meant to send */
	assert_int_equal(in->cin.other_failed, failed + (why != DROP_DUMMY));
	assert_int_equal(events_pop(pr.b.w.events, &ev), why != DROP_DUMMY);
	if (why != DROP_DUMMY) {
		assert_int_equal(ev.kind, EV_AUDIT);
		assert_int_equal(ev.drop, why);
		assert_int_equal(ev.spi, 0x1001);
		assert_int_equal(ev.seq, in->replay.top);
	}
	host_receive1(&pr.b, f, len);
	assert_int_equal(dropped(&pr.b, DIR_IN, DROP_REPLAY_DUP), dup + 1);
}

/* ${payload}, ${n} octets, then padding 1, 2, 3, ..., its length and ${next}; the whole length. */
static uint32_t
trailer(uint8_t *text, const uint8_t *payload, uint32_t n, uint8_t pad, uint8_t next)
{
	memmove(text, payload, n);
	for (uint32_t i = 0; i < pad; i++)
		text[n + i] = (uint8_t)(i + 1);
	text[n + pad] = pad;
	text[n + pad + 1] = next;
	return n + pad + 2;
}

/* Up to 255 octets of padding are in order (RFC 4303 2.4), each at its place; one that is not, or more than there is, is not. */
static void
test_pad(void **state)
{
	static const struct {
		const char *enc, *auth;
		uint32_t block;
	} suite[] = {{"aes-128-gcm", NULL, 4}, {"aes-128", "hmac-sha2-256", 16},
	    {"chacha20-poly1305", NULL, 4}, {"null", "hmac-sha1", 4}};
	uint8_t udp[64], text[400], f[600], got[600];
	uint32_t len;

	for (size_t i = 0; i < sizeof suite / sizeof *suite; i++) {
		struct pair_sa s = esp4;
		uint32_t n = frame_udp(udp, 1, 2, 6), block = suite[i].block, taken = 0;

		s.enc = suite[i].enc;
		s.auth = suite[i].auth;
		begin(&s, "10.0.0.1", "10.0.0.2");
		for (uint32_t pad = (block - (n + 2) % block) % block; pad < 256; pad += block) {
			uint32_t all = trailer(text, udp, n, (uint8_t)pad, 17);

			host_receive1(&pr.b, f, authentic(f, text, all));
			assert_int_equal(edge_mem_take(pr.b.w.upper, got, sizeof got), 34 + n);
			assert_memory_equal(got + 34, udp, n);
			taken++;
			for (uint32_t k = 0; k < pad; k += 1 + pad / 8) {
				text[n + k]++;
				wrong(f, authentic(f, text, all), DROP_BAD_PAD);
				text[n + k]--;
			}
		}
		assert_true(taken > 10);
		assert_int_equal(sadb_at(pr.b.w.gen->sad, 0)->cin.packets, taken);
		/* all of it padding leaves an empty payload, one more nothing */
		len = 4 * block;
		for (uint32_t k = 0; k < len; k++)
			text[k] = (uint8_t)(k + 1);
		text[len - 1] = 17;
		text[len - 2] = (uint8_t)(len - 1);
		wrong(f, authentic(f, text, len), DROP_BAD_PAD);
		text[len - 2] = 255;
		wrong(f, authentic(f, text, len), DROP_BAD_PAD);
	}
}

/* RFC 4303 2.6: thrown away without a word, in both modes, whatever it carries. */
static void
test_dummy(void **state)
{
	static const uint8_t junk[40] = {1, 2, 3};
	struct pair_sa shape[] = {esp4, tunnel4};
	uint8_t text[100], f[300];

	for (int i = 0; i < 2; i++) {
		const struct sa *in;

		begin(&shape[i], i ? "10.1.0.1" : "10.0.0.1", i ? "10.2.0.1" : "10.0.0.2");
		in = sadb_at(pr.b.w.gen->sad, 0);
		wrong(f, authentic(f, text, trailer(text, junk, 40, 2, 59)), DROP_DUMMY);
		wrong(f, authentic(f, text, trailer(text, junk, 0, 2, 59)), DROP_DUMMY);
		assert_int_equal(in->cin.packets, 2);
		assert_int_equal(in->cin.octets, 40);
		/* its padding is held to the rules of any other's */
		trailer(text, junk, 0, 2, 59);
		text[0] = 7;
		wrong(f, authentic(f, text, 4), DROP_BAD_PAD);
	}
}

/* A tunnel carries IP and nothing else. */
static void
test_next_header(void **state)
{
	uint8_t udp[64], text[100], f[300];
	uint32_t n = frame_udp(udp, 1, 2, 10);

	begin(&tunnel4, "10.1.0.1", "10.2.0.1");
	for (unsigned next = 0; next < 256; next++)
		if (next != 4 && next != 41 && next != 59)
			wrong(f, authentic(f, text, trailer(text, udp, n, 0, (uint8_t)next)),
			    DROP_BAD_NEXT_HEADER);
}

/* One octet of the right packet inside put to ${value}, or its end cut off at ${len}. */
struct inner {
	bool six;
	uint32_t at, value, len;
};

static const struct inner inners[] = {
    {false, 0, 0x65, 48}, /* IPv6 says its version, IPv4 the next header */
    {true, 0, 0x40, 68},
    {false, 0, 0x05, 48},
    {false, 0, 0x44, 48}, /* a header of 16 octets */
    {false, 0, 0x4f, 48}, /* of 60, which are not there */
    {false, 3, 19, 48},	  /* a total length below the header's */
    {false, 3, 49, 48},	  /* one octet more than there is */
    {false, 2, 0xff, 48}, /* many more */
    {false, 0, 0x45, 20}, /* cut */
    {false, 0, 0x45, 19},
    {false, 0, 0x45, 1},
    {false, 0, 0x45, 0},
    {true, 5, 29, 68},
    {true, 4, 0xff, 68},
    {true, 0, 0x60, 39},
    {true, 0, 0x60, 20},
    {true, 0, 0x60, 0},
};

static uint32_t
make_inner(uint8_t *ip, const struct inner *i)
{
	uint8_t f[200];
	uint32_t n = i->six ? frame_make_udp(f, "fd01::1", "fd02::1", 1, 2, 0, 20)
			    : frame_make_udp(f, "10.1.0.1", "10.2.0.1", 1, 2, 0, 20);

	assert_true(i->len <= n - 14);
	memcpy(ip, f + 14, n - 14);
	ip[i->at] = (uint8_t)i->value;
	return i->len;
}

/* What a tunnel carries is looked at before a header in front of it is moved. */
static void
test_inner_esp(void **state)
{
	uint8_t ip[200], text[300], f[500];

	begin(&tunnel4, "10.1.0.1", "10.2.0.1");
	for (size_t i = 0; i < sizeof inners / sizeof *inners; i++) {
		uint32_t n = make_inner(ip, &inners[i]);

		n = trailer(text, ip, n, (uint8_t)((6 - n % 4) % 4), inners[i].six ? 41 : 4);
		wrong(f, authentic(f, text, n), DROP_BAD_INNER);
	}
}

/* The same in AH: a's own end of the SA is in transport mode, so that its host may send what b takes for a tunnel's. */
static void
test_inner_ah(void **state)
{
	struct pair_sa to = {IPSEC_AH, MODE_TUNNEL, "10.0.0.1", "10.0.0.2", NULL, "hmac-sha2-256"},
		       from = to;
	struct policy *r;
	struct sa *sa;
	uint8_t f[300] = {0}, wire[500];
	int n;

	from.mode = MODE_TRANSPORT;
	begin(&to, "10.1.0.1", "10.2.0.1");
	r = pair_rule(&from, 1, "10.0.0.1", "10.0.0.2", false);
	sa = pair_sa_new(&from, 0x1001, false, SA_DIR_OUT, 1000);
	host_policy(&pr.a, ++pr.generation, &r, 1, &sa, 1);
	frame_ether(f, frame_mac_peer, frame_mac_host, ETYPE_IP4);
	for (size_t i = 0; i < sizeof inners / sizeof *inners; i++) {
		uint32_t len = make_inner(f + 34, &inners[i]);

		host_send1(&pr.a, f,
		    14 + frame_ip4(
			     f + 14, "10.0.0.1", "10.0.0.2", inners[i].six ? 41 : 4, 0x4000, len));
		n = edge_mem_take(pr.a.w.lower, wire, sizeof wire);
		assert_true(n > 0);
		wrong(wire, (uint32_t)n, DROP_BAD_INNER);
	}
	for (unsigned next = 0; next < 256; next++) {
		/* what a's classify reads itself, or its policy takes for IPsec, is not sent */
		if (next == 4 || next == 41 || next == 50 || next == 51)
			continue;
		memset(f + 34, 0, 40);
		host_send1(&pr.a, f,
		    14 + frame_ip4(f + 14, "10.0.0.1", "10.0.0.2", (uint8_t)next, 0x4000, 40));
		n = edge_mem_take(pr.a.w.lower, wire, sizeof wire);
		assert_true(n > 0);
		wrong(wire, (uint32_t)n, DROP_BAD_NEXT_HEADER);
	}
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_pad), T(test_dummy), T(test_next_header), T(test_inner_esp), T(test_inner_ah)};

	return walkbed_run("what was opened", tests, sizeof tests / sizeof tests[0]);
}
