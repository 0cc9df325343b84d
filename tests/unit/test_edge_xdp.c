/* root */
/* links: bits_edge */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>
#include "edge.h"
#include "frame.h"
#include "netlab.h"
#include "xdpprog.h"
#include "xsk.h"

/* A wire: our NIC w0, the peer's end w1.  The peer is a packet socket, and what it sends has nothing left to do. */
static struct edge *e;
static struct pktpool *pool;
static int peer;

static const uint8_t everyone[6] = {255, 255, 255, 255, 255, 255}, stranger[6] = {2, 9, 9, 9, 9, 9},
		     moved[6] = {2, 0, 0, 0, 0, 0x77};

static int
setup(void **state)
{
	struct sockaddr_ll sll = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	int on = 1;

	pool = pktpool_new(128, 4096);
	if (lab("ip link add w0 address 02:00:00:00:00:01 type veth peer name w1 address "
		"02:00:00:00:00:02 && ip link set w0 up && ip link set w1 up") != 0 ||
	    !lab_wait("ip link show w0 | grep -q 'state UP'"))
		return -1;
	peer = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	sll.sll_ifindex = (int)if_nametoindex("w1");
	setsockopt(peer, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
	if (bind(peer, (struct sockaddr *)&sll, sizeof sll) != 0)
		return -1;
	e = edge_xdp_new("w0", -1);
	return e && pool && edge_bind(e) == 0 && edge_restart(e) == 0 ? 0 : -1;
}

static bool
program(void)
{
	return lab("ip link show w0 | grep -q xdp") == 0;
}

static int
teardown(void **state)
{
	int left = (int)pktpool_left(pool), rc = 0;

	edge_free(e);
	if (program())
		rc = -1;
	pktpool_free(pool);
	close(peer);
	lab("ip link del w0 2>/dev/null");
	return left == 128 ? rc : -1;
}

/* The next frame, NULL: none comes. */
static struct pkt *
next(void)
{
	struct burst b;

	for (int idle = 0; idle < 20; idle++) {
		assert_true(edge_recv(e, pool, &b, 1) >= 0);
		if (b.n)
			return b.p[0];
		usleep(5000);
	}
	return NULL;
}

/* A frame of ${n} octets of payload behind the Ethernet header. */
static uint32_t
make(uint8_t *f, const uint8_t dst[6], uint16_t etype, uint32_t n)
{
	uint32_t at = frame_ether(f, dst, frame_mac_peer, etype);

	for (uint32_t i = 0; i < n; i++)
		f[at + i] = (uint8_t)(i * 7 + n);
	return at + n;
}

static void
peer_sends(const uint8_t *f, uint32_t len)
{
	assert_int_equal(send(peer, f, len, 0), len);
}

static void
expect_same(const uint8_t *f, uint32_t len)
{
	struct pkt *p;

	peer_sends(f, len);
	assert_non_null(p = next());
	assert_int_equal(p->drop, DROP_NONE);
	assert_int_equal(p->link, LINK_ETHER);
	assert_int_equal(p->len, len);
	assert_memory_equal(pkt_data(p), f, len);
	pkt_free(pool, p);
}

static unsigned
send_one(const uint8_t *f, uint32_t len, enum drop *d)
{
	struct burst b = {.n = 1, .p = {pkt_new(pool)}};
	unsigned n;

	memcpy(pkt_put(b.p[0], len), f, len);
	n = edge_send(e, &b);
	*d = b.p[0]->drop;
	pkt_free(pool, b.p[0]);
	return n;
}

static void
expect_sent(const uint8_t *f, uint32_t len)
{
	uint8_t got[4096];
	enum drop d;

	assert_int_equal(send_one(f, len, &d), 1);
	assert_int_equal(d, DROP_NONE);
	assert_true(lab_readable(peer, 1000));
	assert_int_equal(recv(peer, got, sizeof got, 0), len);
	assert_memory_equal(got, f, len);
}

/* Whatever it is, it comes as it is; but for other hosts it does not come, nor what we send. */
static void
test_kinds(void **state)
{
	static const uint16_t etype[] = {ETYPE_IP4, ETYPE_IP6, ETYPE_ARP, 0x88cc, ETYPE_8021Q, 60};
	uint8_t f[2000];

	assert_true(program());
	for (size_t i = 0; i < sizeof etype / sizeof *etype; i++) {
		expect_same(f, make(f, frame_mac_host, etype[i], 46));
		expect_same(f, make(f, everyone, etype[i], 1500));
	}
	peer_sends(f, make(f, stranger, ETYPE_IP4, 60));
	assert_null(next());
	expect_sent(f, make(f, frame_mac_peer, ETYPE_IP4, 60));
	expect_sent(f, make(f, frame_mac_host, ETYPE_IP4, 60));
	assert_null(next());
}

/* The NIC has another address from now on. */
static void
test_address(void **state)
{
	uint8_t f[200];

	assert_int_equal(lab("ip link set w0 address 02:00:00:00:00:77"), 0);
	assert_int_equal(edge_look(e), 0);
	expect_same(f, make(f, moved, ETYPE_IP4, 60));
	peer_sends(f, make(f, frame_mac_host, ETYPE_IP4, 60));
	assert_null(next());
}

/* Several times around all rings, in bursts both ways. */
static void
test_around(void **state)
{
	struct burst b;
	uint8_t f[1514], got[1600];
	uint32_t len;

	for (uint32_t i = 0; i < 100; i++) {
		unsigned n = 0;

		for (uint32_t k = 0; k < 60; k++) {
			len = make(f, frame_mac_host, ETYPE_IP4, 100 + (i * 60 + k) % 1400);
			peer_sends(f, len);
		}
		b.n = 0;
		for (int idle = 0; idle < 50 && n < 60;) {
			if (edge_recv(e, pool, &b, BURST_MAX) == 0) {
				usleep(1000);
				idle++;
			}
			for (unsigned k = 0; k < b.n; k++, n++) {
				len = make(f, frame_mac_host, ETYPE_IP4, 100 + (i * 60 + n) % 1400);
				assert_int_equal(b.p[k]->len, len);
				assert_memory_equal(pkt_data(b.p[k]), f, len);
			}
			assert_int_equal(edge_send(e, &b), b.n);
			for (unsigned k = 0; k < b.n; k++) {
				assert_true(lab_readable(peer, 1000));
				assert_int_equal(recv(peer, got, sizeof got, 0), b.p[k]->len);
				assert_memory_equal(got, pkt_data(b.p[k]), b.p[k]->len);
				pkt_free(pool, b.p[k]);
			}
		}
		assert_int_equal(n, 60);
	}
}

/* Up to the MTU and a tag. */
static void
test_sizes(void **state)
{
	static const struct {
		uint16_t etype;
		uint32_t n;
		enum drop d;
	} k[] = {
	    {ETYPE_IP4, 1500, DROP_NONE},
	    {ETYPE_IP4, 1501, DROP_EDGE_ERROR},
	    {ETYPE_8021Q, 1504, DROP_NONE},
	    {ETYPE_8021Q, 1505, DROP_EDGE_ERROR},
	    {ETYPE_IP4, 3000, DROP_EDGE_ERROR},
	    {ETYPE_IP4, 46, DROP_NONE},
	};
	uint8_t f[4000];
	enum drop d;

	for (size_t i = 0; i < sizeof k / sizeof *k; i++) {
		assert_int_equal(send_one(f, make(f, frame_mac_peer, k[i].etype, k[i].n), &d),
		    k[i].d == DROP_NONE);
		assert_int_equal(d, k[i].d);
	}
	/* larger ones take larger pieces of memory */
	assert_int_equal(edge_look(e), 0);
	assert_int_equal(lab("ip link set w0 mtu 3400 && ip link set w1 mtu 3400"), 0);
	assert_int_equal(edge_look(e), -1);
	edge_unbind(e);
	assert_int_equal(edge_bind(e), 0);
	assert_int_equal(edge_restart(e), 0);
	assert_int_equal(edge_look(e), 0);
	expect_same(f, make(f, frame_mac_host, ETYPE_IP4, 3400));
	while (lab_readable(peer, 20))
		recv(peer, f, sizeof f, 0);
	expect_sent(f, make(f, frame_mac_peer, ETYPE_IP4, 3400));
}

/* What is thrown away for want of room is told, as a number; and the pool's end loses nothing. */
static void
test_lost(void **state)
{
	struct pktpool *small = pktpool_new(2, 1518);
	const uint64_t sent = 2 * XSK_RECV;
	struct edge_caps c;
	struct burst b;
	uint64_t got = 0;
	uint8_t f[200];
	uint32_t len = make(f, frame_mac_host, ETYPE_IP4, 100);

	edge_caps(e, &c);
	assert_int_equal(c.lost, 0);
	for (uint64_t i = 0; i < sent; i++)
		peer_sends(f, len);
	usleep(20000);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(edge_recv(e, small, &b, BURST_MAX), 2);
		got += 2;
		pkt_free(small, b.p[0]);
		pkt_free(small, b.p[1]);
	}
	while (edge_recv(e, pool, &b, BURST_MAX) > 0) {
		got += b.n;
		for (unsigned i = 0; i < b.n; i++)
			pkt_free(pool, b.p[i]);
	}
	edge_caps(e, &c);
	assert_true(c.lost > 0);
	assert_int_equal(got + c.lost, sent);
	expect_same(f, len);
	/* what waits is thrown away by restart */
	edge_pause(e);
	peer_sends(f, len);
	usleep(20000);
	assert_int_equal(edge_restart(e), 0);
	assert_null(next());
	pktpool_free(small);
}

/* Down is not gone. */
static void
test_down_and_up(void **state)
{
	struct edge_caps c;
	enum drop d;
	uint8_t f[200];
	uint32_t len = make(f, frame_mac_host, ETYPE_IP4, 60);

	edge_caps(e, &c);
	assert_true(c.link);
	assert_int_equal(c.mtu, 1500);
	assert_memory_equal(c.mac, frame_mac_host, 6);
	assert_int_equal(lab("ip link set w0 down"), 0);
	edge_caps(e, &c);
	assert_false(c.link);
	(void)send_one(f, len, &d); /* it may stay in the ring until the NIC is up again */
	for (int i = 0; i < 600; i++) {
		assert_int_equal(send_one(f, len, &d), 0);
		assert_int_equal(d, DROP_LINK_DOWN);
	}
	assert_int_equal(lab("ip link set w0 up"), 0);
	assert_true(lab_wait("ip link show w0 | grep -q 'state UP'"));
	expect_same(f, len);
	for (int i = 0; i < 600; i++)
		assert_int_equal(send_one(f, len, &d), 1);
}

/* A peer that is down has no link, and every frame is counted. */
static void
test_no_carrier(void **state)
{
	struct burst b = {.n = 8};
	uint8_t f[200];
	uint32_t len = make(f, frame_mac_peer, ETYPE_IP4, 60);

	assert_int_equal(lab("ip link set w1 down"), 0);
	for (unsigned i = 0; i < b.n; i++) {
		b.p[i] = pkt_new(pool);
		memcpy(pkt_put(b.p[i], len), f, len);
	}
	b.p[3]->drop = DROP_POLICY_DISCARD;
	assert_int_equal(edge_send(e, &b), 0);
	for (unsigned i = 0; i < b.n; i++) {
		assert_int_equal(b.p[i]->drop, i == 3 ? DROP_POLICY_DISCARD : DROP_EDGE_FULL);
		pkt_free(pool, b.p[i]);
	}
}

/* Gone: an error until it is back and bound again. */
static void
test_gone(void **state)
{
	struct burst b;
	enum drop d;
	uint8_t f[200];
	uint32_t len = make(f, frame_mac_host, ETYPE_IP4, 60);

	assert_int_equal(lab("ip link del w0"), 0);
	for (int i = 0; i < 2; i++) {
		errno = 0;
		assert_int_equal(edge_recv(e, pool, &b, BURST_MAX), -1);
		assert_int_equal(errno, ENODEV);
	}
	(void)send_one(f, len, &d);
	assert_int_equal(send_one(f, len, &d), 0);
	assert_int_equal(d, DROP_LINK_DOWN);
	edge_unbind(e);
	assert_int_equal(edge_bind(e), -1);
	assert_int_equal(errno, ENODEV);
	edge_free(e);
	close(peer);
	pktpool_free(pool);
	assert_int_equal(setup(state), 0);
	expect_same(f, len);
}

/* Two do not get one NIC; the program is there as long as who has it, and where the driver cannot have it the kernel runs it. */
static void
test_program(void **state)
{
	struct edge *second = edge_xdp_new("w0", -1);
	uint8_t f[200];
	uint32_t len = make(f, frame_mac_host, ETYPE_IP4, 60);

	assert_int_equal(edge_bind(second), -1);
	assert_int_equal(errno, EEXIST);
	edge_free(second);
	edge_unbind(e);
	assert_false(program());
	/* a veth takes no program while its peer's frames may be longer than a page */
	assert_int_equal(lab("ip link set w1 mtu 9000"), 0);
	assert_int_equal(edge_bind(e), 0);
	assert_int_equal(edge_restart(e), 0);
	assert_int_equal(lab("ip link show w0 | grep -q xdpgeneric"), 0);
	expect_same(f, len);
	expect_sent(f, len);
	assert_null(edge_xdp_new("", -1));
	assert_null(edge_xdp_new("a-name-of-16-oct", -1));
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_kinds),
	    T(test_address),
	    T(test_around),
	    T(test_sizes),
	    T(test_lost),
	    T(test_down_and_up),
	    T(test_no_carrier),
	    T(test_gone),
	    T(test_program),
	};
	int status = lab_enter();

	if (status != 0)
		return status;
	if (xdpprog_load() == -1) {
		perror("skipped: an XDP program");
		return 77;
	}
	return cmocka_run_group_tests_name("edge_xdp", tests, NULL, NULL);
}
