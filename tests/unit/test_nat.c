/* links: bits_control bits_edge bits_walk bits_base bits_spd bits_sadb */
/*
 * RFC 3948 3.1.2: a NAT has changed the addresses that the checksum of TCP or UDP inside transport mode covers; what b's host gets is right
 * for the addresses it sees.  And peer.h: which SA follows a peer that has moved.
 */
#include "walkbed.h"
#include "peer.h"
#include "shim.h"

struct family {
	const char *inside, *nat, *b; /* a's own address, the one NAT gives it, b's */
	uint32_t hlen, src;
};

static const struct family families[] = {
    {"192.168.7.7", "10.0.0.1", "10.0.0.2", 20, 12},
    {"fd77::7", "fd00::1", "fd00::2", 40, 8},
};

/* The Internet checksum as RFC 1071 1 says it, over the pseudo header and ${n} octets of ${proto}: 0 where the one inside is right. */
static uint16_t
naive(const uint8_t *ip, const struct family *fam, uint8_t proto, uint32_t n)
{
	const uint8_t *l4 = ip + fam->hlen;
	uint32_t addrs = 2 * (fam->hlen == 20 ? 4 : 16), sum = proto + n;

	for (uint32_t i = 0; i < addrs; i++)
		sum += (uint32_t)ip[fam->src + i] << (i % 2 ? 0 : 8);
	for (uint32_t i = 0; i < n; i++)
		sum += (uint32_t)l4[i] << (i % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* a's end knows its own address, b's the NAT's. */
static void
begin(const struct family *fam)
{
	struct pair_sa b = {IPSEC_ESP, MODE_TRANSPORT, fam->nat, fam->b, "aes-128-gcm", NULL}, a;
	struct policy *r;
	struct sa *sa;

	b.encap = 4500;
	a = b;
	a.src = fam->inside;
	pair_protect(&pr, &b, 1, fam->nat, fam->b);
	r = pair_rule(&a, 1, fam->inside, fam->b, false);
	sa = pair_sa_new(&a, 0x1001, false, SA_DIR_OUT, 1000);
	host_policy(&pr.a, ++pr.generation, &r, 1, &sa, 1);
}

/* ${f}: a frame for ${n} octets of ${proto}, written already behind both headers, from a; its length. */
static uint32_t
around(uint8_t *f, const struct family *fam, uint8_t proto, uint32_t n)
{
	bool six = fam->hlen == 40;

	frame_ether(f, frame_mac_peer, frame_mac_host, six ? ETYPE_IP6 : ETYPE_IP4);
	return 14 + (six ? frame_ip6(f + 14, fam->inside, fam->b, proto, n)
			 : frame_ip4(f + 14, fam->inside, fam->b, proto, 0x4000, n));
}

/* Sent, through the NAT, and received into ${got}; its length is what was sent. */
static void
through(const struct family *fam, const uint8_t *f, uint32_t len, uint8_t *got)
{
	struct ipaddr nat;
	uint8_t wire[500];
	int n;

	ipaddr_parse(fam->nat, &nat);
	host_send1(&pr.a, f, len);
	n = edge_mem_take(pr.a.w.lower, wire, sizeof wire);
	assert_true(n > 0);
	memcpy(wire + 14 + fam->src, nat.b, fam->hlen == 20 ? 4 : 16);
	if (fam->hlen == 20)
		put16(wire + 24, cksum_ip4(wire + 14, 20));
	host_receive1(&pr.b, wire, (uint32_t)n);
	assert_int_equal(edge_mem_take(pr.b.w.upper, got, 500), len);
	assert_memory_equal(got + 14 + fam->src, nat.b, fam->hlen == 20 ? 4 : 16);
}

static void
test_mend(void **state)
{
	for (const struct family *fam = families; fam < families + 2; fam++)
		for (int tcp = 0; tcp < 2; tcp++) {
			uint8_t proto = tcp ? 6 : 17;
			uint32_t head = tcp ? 20 : 8, at = 14 + fam->hlen,
				 sum = at + (tcp ? 16 : 6);

			begin(fam);
			for (uint32_t n = 0; n < 70; n++) {
				uint8_t f[500] = {0}, got[500];
				uint32_t len;

				frame_udp(f + at, 7, 8, n);
				if (tcp) {
					memset(f + at + 4, 0, 16);
					f[at + 12] = 0x50;
					for (uint32_t i = 0; i < n; i++)
						f[at + 20 + i] = (uint8_t)(0xff - 3 * i);
				}
				len = around(f, fam, proto, head + n);
				put16(f + sum, naive(f + 14, fam, proto, head + n));
				assert_int_equal(naive(f + 14, fam, proto, head + n), 0);
				through(fam, f, len, got);
				assert_int_equal(naive(got + 14, fam, proto, head + n), 0);
				assert_int_not_equal(get16(got + sum), get16(f + sum));
				/* and nothing else has changed */
				put16(got + sum, get16(f + sum));
				assert_memory_equal(got + at, f + at, head + n);
			}
		}
}

/* RFC 768: a sum that comes out as 0 is sent as 0xffff, since 0 says that there is none. */
static void
test_ones(void **state)
{
	for (const struct family *fam = families; fam < families + 2; fam++) {
		uint8_t f[500] = {0}, got[500], seen[500];
		uint32_t at = 14 + fam->hlen, len;
		struct ipaddr nat;

		begin(fam);
		frame_udp(f + at, 7, 8, 2);
		len = around(f, fam, 17, 10);
		/* what makes the sum for the NAT's address come out as 0 */
		ipaddr_parse(fam->nat, &nat);
		memcpy(seen, f, len);
		memcpy(seen + 14 + fam->src, nat.b, fam->hlen == 20 ? 4 : 16);
		put16(seen + at + 8, 0);
		put16(f + at + 8, naive(seen + 14, fam, 17, 10));
		put16(f + at + 6, naive(f + 14, fam, 17, 10));
		through(fam, f, len, got);
		assert_int_equal(get16(got + at + 6), 0xffff);
	}
}

/* A sender of UDP over IPv4 may do without (RFC 768); ICMP's covers no address; a TCP header that is not whole has none. */
static void
test_left_alone(void **state)
{
	const struct family *fam = &families[0];
	static const struct {
		uint8_t proto;
		uint32_t n;
	} row[] = {{17, 30}, {1, 30}, {6, 19}, {132, 40}};

	begin(fam);
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		uint8_t f[500] = {0}, got[500];
		uint32_t len;

		memset(f + 34, 0x5a, row[i].n);
		if (row[i].proto == 17) {
			put16(f + 38, (uint16_t)row[i].n);
			put16(f + 40, 0);
		}
		len = around(f, fam, row[i].proto, row[i].n);
		through(fam, f, len, got);
		assert_memory_equal(got + 34, f + 34, row[i].n);
	}
}

/* --- who follows */

static struct sa *
sa_of(const struct pair_sa *s, uint32_t spi, bool reverse, uint32_t reqid)
{
	struct sa *sa = pair_sa_new(s, spi, reverse, reverse ? SA_DIR_OUT : SA_DIR_IN, 1000);

	sa->p.reqid = reqid;
	return sa;
}

/* b's SAs: the one that hears, and those that might follow, in a bump that does not run. */
static void
test_peer(void **state)
{
	static const struct ipaddr moved = {.af = 4, .b = {198, 51, 100, 9}},
				   other = {.af = 6, .b = {0xfd, [15] = 9}};

	for (int mode = MODE_TRANSPORT; mode <= MODE_TUNNEL; mode++) {
		struct pair_sa s = {IPSEC_ESP, mode, "10.0.0.1", "10.0.0.2", "aes-128-gcm", NULL};
		struct shim *shim = shim_new(NULL, NULL);
		struct event ev = {.kind = EV_PEER,
		    .dir = DIR_IN,
		    .proto = 50,
		    .spi = 0x1001,
		    .src = moved,
		    .key.rport = 31000};
		struct pair_sa still = s, elsewhere = s, not_mode = s;
		struct ipaddr was;
		struct sa *sas[6];

		assert_non_null(shim);
		ipaddr_parse("10.0.0.2", &ev.dst);
		s.encap = still.encap = elsewhere.encap = not_mode.encap = 4500;
		s.follow = elsewhere.follow = not_mode.follow = true;
		elsewhere.src = "10.0.0.3";
		not_mode.mode = mode == MODE_TUNNEL ? MODE_TRANSPORT : MODE_TUNNEL;
		sas[0] = sa_of(&s, 0x1001, false, 7);
		sas[1] = sa_of(&s, 0x2001, true, 7);
		sas[2] = sa_of(&still, 0x2002, true, 7); /* nobody said it may */
		sas[3] = sa_of(&elsewhere, 0x2003, true, 7);
		sas[4] = sa_of(&not_mode, 0x2004, true, 7);
		sas[5] = sa_of(&s, 0x2005, true, 8); /* another SA's twin */
		shim_publish(shim, gen_new(1, NULL, 0, NULL, sas, 6));

		/* a host addresses its packets itself: in transport mode only the port can follow, and only of that address */
		assert_int_equal(peer_moved(shim, &ev), mode == MODE_TUNNEL);
		if (mode == MODE_TRANSPORT) {
			assert_null(sas[1]->peer);
			ev.src = sas[1]->p.dst;
			assert_true(peer_moved(shim, &ev));
		}
		assert_non_null(sas[1]->peer);
		assert_int_equal(sas[1]->peer->port, 31000);
		assert_true(ipaddr_eq(&sas[1]->peer->addr, &ev.src));
		for (int i = 2; i < 6; i++)
			assert_null(sas[i]->peer);

		/* from a family the outer header cannot be of: nobody it could be sent to */
		was = ev.src;
		ev.src = other;
		ev.key.rport = 32000;
		assert_false(peer_moved(shim, &ev));
		assert_int_equal(sas[1]->peer->port, 31000);
		ev.src = was;
		assert_true(peer_moved(shim, &ev));
		assert_int_equal(sas[1]->peer->port, 32000);

		/* an SA that is not there (any more) moves nothing */
		ev.spi = 0x1002;
		ev.key.rport = 33000;
		assert_false(peer_moved(shim, &ev));
		assert_int_equal(sas[1]->peer->port, 32000);
		for (int i = 0; i < 6; i++)
			sa_unref(sas[i]);
		shim_free(shim);
	}
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_mend), T(test_ones), T(test_left_alone), cmocka_unit_test(test_peer)};

	return cmocka_run_group_tests_name("NAT", tests, NULL, NULL);
}
