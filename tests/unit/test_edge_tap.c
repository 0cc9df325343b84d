/* root */
/* links: bits_edge */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <cmocka.h>
#include "edge.h"
#include "frame.h"
#include "netlab.h"

static struct edge *e;
static struct pktpool *pool;

static int
setup(void **state)
{
	pool = pktpool_new(64, 1514);
	e = edge_tap_new("t0", -1, false);
	return e && pool ? 0 : -1;
}

static int
setup_offload(void **state)
{
	pool = pktpool_new(64, PKT_FRAME_MAX);
	e = edge_tap_new("t0", -1, true);
	return e && pool ? 0 : -1;
}

static int
teardown(void **state)
{
	int left = (int)pktpool_left(pool);

	edge_free(e);
	pktpool_free(pool);
	lab("ip link del t0 2>/dev/null");
	return left == 64 ? 0 : -1;
}

static void
give_back(struct burst *b)
{
	for (unsigned i = 0; i < b->n; i++)
		pkt_free(pool, b->p[i]);
	b->n = 0;
}

static bool
link_up(void)
{
	struct edge_caps c;

	edge_caps(e, &c);
	return c.link;
}

/* Bound, up, carrier, running, 10.0.0.1/24 with a neighbour. */
static void
go(void)
{
	assert_int_equal(edge_bind(e), 0);
	assert_int_equal(lab("ip link set t0 address 02:00:00:00:00:01 mtu 1500 up &&"
			     "ip addr add 10.0.0.1/24 dev t0 &&"
			     "ip neigh replace 10.0.0.2 lladdr 02:00:00:00:00:02 dev t0"),
	    0);
	assert_int_equal(edge_tap_carrier(e, true), 0);
	/* until the kernel's link watch has run, the host's own queue passes nothing */
	assert_true(lab_wait("ip link show t0 | grep -q 'state UP'"));
	assert_int_equal(edge_restart(e), 0);
}

static int
udp(uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
	    .sin_port = htons(port),
	    .sin_addr.s_addr = inet_addr("10.0.0.1")};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

static void
host_sends(int fd, size_t n)
{
	struct sockaddr_in a = {
	    .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = inet_addr("10.0.0.2")};
	uint8_t octets[1472];

	memset(octets, 0xa5, sizeof octets);
	assert_int_equal(sendto(fd, octets, n, 0, (struct sockaddr *)&a, sizeof a), n);
}

/* bind: there, persistent, without carrier until it is said; unbind takes the carrier away and leaves the TAP. */
static void
test_carrier(void **state)
{
	struct edge_caps c;
	int fd;

	assert_int_equal(edge_bind(e), 0);
	assert_int_equal(lab("ip link set t0 address 02:00:00:00:00:01 mtu 1400 up"), 0);
	edge_caps(e, &c);
	assert_int_equal(c.mtu, 1400);
	assert_memory_equal(c.mac, frame_mac_host, 6);
	assert_false(c.link);
	assert_int_equal(edge_fds(e, &fd, 1), 1);
	assert_int_equal(edge_tap_carrier(e, true), 0);
	assert_true(link_up());
	assert_int_equal(edge_tap_carrier(e, false), 0);
	assert_false(link_up());
	assert_int_equal(edge_tap_carrier(e, true), 0);
	edge_unbind(e);
	assert_true(lab_wait("ip link show t0 | grep -q NO-CARRIER"));
	/* attaching again does not raise it by itself */
	assert_int_equal(edge_bind(e), 0);
	assert_false(link_up());
}

/* Frames of the host come whole, with their checksums in them, one a packet, several a burst. */
static void
test_receive(void **state)
{
	struct burst b;
	int fd[2], s;
	const uint8_t *f;

	go();
	s = udp(4000);
	assert_int_equal(edge_fds(e, fd, 2), 1);
	host_sends(s, 0);
	host_sends(s, 5);
	host_sends(s, 1472);
	assert_true(lab_readable(fd[0], 1000));
	assert_int_equal(edge_recv(e, pool, &b, BURST_MAX), 3);
	for (unsigned i = 0; i < 3; i++) {
		f = pkt_data(b.p[i]);
		assert_int_equal(b.p[i]->drop, DROP_NONE);
		assert_int_equal(b.p[i]->link, LINK_ETHER);
		assert_memory_equal(f, frame_mac_peer, 6);
		assert_int_equal(get16(f + 16) + 14, b.p[i]->len);
		assert_int_equal(
		    cksum_fold(cksum_add(cksum_add(0, (uint8_t[]){0, 17, f[38], f[39]}, 4), f + 26,
			b.p[i]->len - 26)),
		    0);
	}
	assert_int_equal(b.p[2]->len, 1514);
	give_back(&b);
	assert_int_equal(edge_recv(e, pool, &b, BURST_MAX), 0);
	host_sends(s, 1);
	host_sends(s, 2);
	assert_int_equal(edge_recv(e, pool, &b, 1), 1); /* no more than asked for */
	give_back(&b);
	assert_int_equal(edge_recv(e, pool, &b, 1), 1);
	give_back(&b);
	close(s);
}

/* A frame longer than a slot is handed out to be counted, not cut in silence. */
static void
test_too_long(void **state)
{
	struct burst b;
	int s;

	go();
	assert_int_equal(lab("ip link set t0 mtu 9000"), 0);
	s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	{
		struct sockaddr_in a = {.sin_family = AF_INET,
		    .sin_port = htons(9),
		    .sin_addr.s_addr = inet_addr("10.0.0.2")};
		static uint8_t octets[5000];

		assert_int_equal(
		    sendto(s, octets, sizeof octets, 0, (struct sockaddr *)&a, sizeof a), 5000);
	}
	close(s);
	assert_int_equal(edge_recv(e, pool, &b, BURST_MAX), 1);
	assert_int_equal(b.p[0]->drop, DROP_NO_ROOM);
	give_back(&b);
}

static struct pkt *
to_host(uint32_t n)
{
	struct pkt *p = pkt_new(pool);
	uint8_t f[1600];
	uint32_t len = frame_make_udp(f, "10.0.0.2", "10.0.0.1", 9, 4000, 0, n);

	memcpy(f, frame_mac_host, 6);
	memcpy(f + 6, frame_mac_peer, 6);
	memcpy(pkt_put(p, len), f, len);
	return p;
}

/* Frames to the host arrive at its sockets; a TAP that is down is LINK_DOWN, a frame that is none EDGE_ERROR. */
static void
test_send(void **state)
{
	struct burst b = {.n = 2};
	uint8_t got[100];
	int s;

	go();
	s = udp(4000);
	b.p[0] = to_host(7);
	b.p[1] = pkt_new(pool);
	memset(pkt_put(b.p[1], 5), 0, 5);
	assert_int_equal(edge_send(e, &b), 1);
	assert_int_equal(b.p[0]->drop, DROP_NONE);
	assert_int_equal(b.p[1]->drop, DROP_EDGE_ERROR);
	assert_true(lab_readable(s, 1000));
	assert_int_equal(recv(s, got, sizeof got, 0), 7);
	assert_int_equal(got[6], 6);

	assert_int_equal(lab("ip link set t0 down"), 0);
	assert_int_equal(edge_send(e, &b), 0);
	assert_int_equal(b.p[0]->drop, DROP_LINK_DOWN);
	b.p[0]->drop = DROP_NONE;
	edge_pause(e);
	assert_int_equal(edge_send(e, &b), 0);
	assert_int_equal(b.p[0]->drop, DROP_NOT_RUNNING);
	give_back(&b);
	close(s);
}

/* What the host sent while we were paused: counted if it is read, thrown away by restart. */
static void
test_pause(void **state)
{
	struct burst b;
	int s;

	go();
	s = udp(4000);
	edge_pause(e);
	host_sends(s, 1);
	host_sends(s, 2);
	assert_int_equal(edge_recv(e, pool, &b, 1), 1);
	assert_int_equal(b.p[0]->drop, DROP_NOT_RUNNING);
	give_back(&b);
	assert_int_equal(edge_restart(e), 0);
	assert_int_equal(edge_recv(e, pool, &b, BURST_MAX), 0);
	host_sends(s, 3);
	assert_int_equal(edge_recv(e, pool, &b, BURST_MAX), 1);
	assert_int_equal(b.p[0]->len, 14 + 20 + 8 + 3);
	give_back(&b);
	close(s);
}

/* kill -9 of the owner: TAP and addresses stay, the carrier does not; the next owner goes on. */
static void
test_killed(void **state)
{
	int fd[2], status, s;
	pid_t pid;
	char c;
	struct burst b;

	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	if ((pid = fork()) == 0) {
		if (edge_bind(e) == -1 ||
		    lab("ip link set t0 up && ip addr add 10.0.0.1/24 dev t0") != 0 ||
		    edge_tap_carrier(e, true) == -1 || !link_up())
			_exit(1);
		(void)!write(fd[1], "x", 1);
		pause();
		_exit(1);
	}
	close(fd[1]);
	assert_int_equal(read(fd[0], &c, 1), 1);
	assert_int_equal(lab("ip link show t0 | grep -q LOWER_UP"), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_true(lab_wait("ip link show t0 | grep -q NO-CARRIER"));
	assert_int_equal(lab("ip addr show t0 | grep -q 10.0.0.1/24"), 0);
	close(fd[0]);

	assert_int_equal(edge_bind(e), 0);
	assert_true(lab_wait("ip link show t0 | grep -q NO-CARRIER"));
	assert_int_equal(lab("ip neigh replace 10.0.0.2 lladdr 02:00:00:00:00:02 dev t0"), 0);
	assert_int_equal(edge_tap_carrier(e, true), 0);
	/* until the kernel's link watch has run, the host's own queue passes nothing */
	assert_true(lab_wait("ip link show t0 | grep -q 'state UP'"));
	assert_true(lab_wait("ip link show t0 | grep -q 'state UP'"));
	assert_int_equal(edge_restart(e), 0);
	s = udp(4000);
	host_sends(s, 9);
	assert_int_equal(edge_recv(e, pool, &b, BURST_MAX), 1);
	give_back(&b);
	close(s);
}

/* An owner before us may have turned offloads on: they are off after our attach. */
static void
test_offloads(void **state)
{
	struct ifreq ifr = {.ifr_name = "t0", .ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	assert_true(fd != -1);
	assert_int_equal(ioctl(fd, TUNSETIFF, &ifr), 0);
	assert_int_equal(ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6), 0);
	assert_int_equal(ioctl(fd, TUNSETPERSIST, 1), 0);
	close(fd);
	assert_int_equal(lab("ethtool -k t0 | grep -q '^tcp-segmentation-offload: on'"), 0);
	assert_int_equal(edge_bind(e), 0);
	assert_int_equal(lab("ethtool -k t0 | grep -q '^tcp-segmentation-offload: off'"), 0);
	assert_int_equal(lab("ethtool -k t0 | grep -q '^tx-checksumming: off'"), 0);
}

/* With them, the host leaves checksums and the cutting of TCP to us, and says so again after another owner. */
static void
test_offloads_on(void **state)
{
	assert_int_equal(edge_bind(e), 0);
	assert_int_equal(lab("ethtool -k t0 | grep -q '^tcp-segmentation-offload: on'"), 0);
	assert_int_equal(lab("ethtool -k t0 | grep -q '^tx-checksumming: on'"), 0);
	edge_unbind(e);
	assert_int_equal(edge_bind(e), 0);
	assert_int_equal(lab("ethtool -k t0 | grep -q '^tcp-segmentation-offload: on'"), 0);
}

/* A socket beside the host's stack: what it sends on t0 is what a stack that sees these offloads would, and it hears what the stack gets. */
static int
beside(void)
{
	struct sockaddr_ll sll = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), on = 1;

	sll.sll_ifindex = (int)if_nametoindex("t0");
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on), 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sll, sizeof sll), 0);
	return fd;
}

/* Segment ${k} of a TCP stream to the host, of ${n} octets. */
static struct pkt *
segment(unsigned k, uint32_t n)
{
	struct pkt *p = pkt_new(pool);
	uint8_t *f = pkt_put(p, 54 + n);

	frame_ether(f, frame_mac_host, frame_mac_peer, ETYPE_IP4);
	memset(f + 34, 0, 20);
	put16(f + 34, 9);
	put16(f + 36, 4000);
	put32(f + 38, k * 1000);
	f[46] = 0x50;
	f[47] = 0x10;
	memset(f + 54, (int)k, n);
	frame_ip4(f + 14, "10.0.0.2", "10.0.0.1", 6, 0x4000, 20 + n);
	put16(f + 18, (uint16_t)k);
	put16(f + 24, cksum_ip4(f + 14, 20));
	put16(f + 50, cksum_l4(f + 14, 6, f + 34, 20 + n));
	p->link = LINK_ETHER;
	assert_int_equal(classify(p, DIR_IN), DROP_NONE);
	return p;
}

/* What the host sends in one piece comes in one piece, told as that; a burst of such ends early. */
static void
test_super_frames(void **state)
{
	static uint8_t f[66000];
	struct virtio_net_hdr h = {
	    VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_TCPV4, 54, 1000, 34, 16};
	struct pkt *p;
	struct burst b;
	int fd;

	go();
	fd = beside();
	p = segment(0, 1000);
	memcpy(f, &h, sizeof h);
	memcpy(f + sizeof h, pkt_data(p), 54);
	memcpy(f + sizeof h, frame_mac_peer, 6);
	memcpy(f + sizeof h + 6, frame_mac_host, 6);
	frame_ip4(f + sizeof h + 14, "10.0.0.1", "10.0.0.2", 6, 0x4000, 60020);
	pkt_free(pool, p);
	for (int i = 0; i < 4; i++)
		assert_int_equal(send(fd, f, sizeof h + 54 + 60000, 0), sizeof h + 54 + 60000);
	assert_int_equal(edge_recv(e, pool, &b, BURST_MAX), 3);
	p = b.p[0];
	assert_int_equal(p->drop, DROP_NONE);
	assert_int_equal(p->len, 54 + 60000);
	assert_int_equal(p->todo.gso, GSO_TCP4);
	assert_int_equal(p->todo.gso_size, 1000);
	assert_true(p->todo.partial);
	assert_int_equal(p->todo.csum_start, 34);
	assert_int_equal(pkt_count(p), 60);
	give_back(&b);
	assert_int_equal(edge_recv(e, pool, &b, BURST_MAX), 1);
	give_back(&b);
	close(fd);
}

/* Segments in a row reach the host as one; cut, they are what they were; alone ones, and a host that is down, as ever. */
static void
test_joined(void **state)
{
	static uint8_t got[66000];
	struct virtio_net_hdr h;
	struct burst b = {.n = 12};
	ssize_t n;
	int fd;

	go();
	fd = beside();
	for (unsigned k = 0; k < 11; k++)
		b.p[k] = segment(k, 1000);
	b.p[3]->drop = DROP_REPLAY_DUP; /* a gap */
	b.p[11] = to_host(7);
	b.p[11]->link = LINK_ETHER;
	assert_int_equal(classify(b.p[11], DIR_IN), DROP_NONE);
	assert_int_equal(edge_send(e, &b), 11);
	for (int i = 0; i < 3; i++) {
		static const uint32_t want[] = {3000 + 54, 7000 + 54, 49};

		assert_true(lab_readable(fd, 1000));
		n = recv(fd, got, sizeof got, 0);
		memcpy(&h, got, sizeof h);
		assert_int_equal(n, sizeof h + want[i]);
		assert_int_equal(h.gso_type, i < 2 ? VIRTIO_NET_HDR_GSO_TCPV4 : 0);
		if (i < 2)
			assert_int_equal(h.gso_size, 1000);
		assert_int_equal(b.p[i]->todo.gso, 0);
	}
	assert_false(lab_readable(fd, 20));
	assert_int_equal(lab("ip link set t0 down"), 0);
	assert_int_equal(edge_send(e, &b), 0);
	for (unsigned k = 0; k < 12; k++)
		assert_int_equal(b.p[k]->drop, k == 3 ? DROP_REPLAY_DUP : DROP_LINK_DOWN);
	give_back(&b);
	close(fd);
}

/* The host's own sockets get datagrams that went in joined one by one. */
static void
test_joined_udp(void **state)
{
	struct burst b = {.n = 9};
	uint8_t got[300];
	int s;

	go();
	s = udp(4000);
	for (unsigned k = 0; k < 9; k++) {
		uint8_t *f;

		b.p[k] = to_host(k == 8 ? 50 : 100);
		b.p[k]->link = LINK_ETHER;
		f = pkt_data(b.p[k]);
		put16(f + 18, (uint16_t)k);
		put16(f + 24, cksum_ip4(f + 14, 20));
		f[42] = (uint8_t)k;
		put16(f + 40, cksum_l4(f + 14, 17, f + 34, b.p[k]->len - 34));
		assert_int_equal(classify(b.p[k], DIR_IN), DROP_NONE);
	}
	assert_int_equal(edge_send(e, &b), 9);
	for (unsigned k = 0; k < 9; k++) {
		assert_true(lab_readable(s, 1000));
		assert_int_equal(recv(s, got, sizeof got, 0), k == 8 ? 50 : 100);
		assert_int_equal(got[0], k);
	}
	give_back(&b);
	close(s);
}

/* Deleted under us: an error each time, and writes say so; a new bind makes a new one. */
static void
test_deleted(void **state)
{
	struct burst b;

	go();
	assert_int_equal(lab("ip link del t0"), 0);
	for (int i = 0; i < 2; i++) {
		errno = 0;
		assert_int_equal(edge_recv(e, pool, &b, BURST_MAX), -1);
		assert_int_equal(errno, ENODEV);
	}
	b.n = 1;
	b.p[0] = to_host(1);
	assert_int_equal(edge_send(e, &b), 0);
	assert_int_equal(b.p[0]->drop, DROP_LINK_DOWN);
	give_back(&b);
	edge_pause(e);
	assert_int_equal(edge_restart(e), -1);
	edge_unbind(e);
	go();
	assert_true(link_up());
}

static void
test_errors(void **state)
{
	struct edge *other = edge_tap_new("t0", -1, false), *nic = edge_tap_new("lo", -1, false);

	assert_int_equal(edge_bind(e), 0);
	assert_int_equal(edge_bind(other), -1);
	assert_int_equal(errno, EBUSY);
	assert_int_equal(edge_bind(nic), -1); /* there is a device of that name that is no TAP */
	assert_int_equal(errno, EINVAL);
	edge_free(other);
	edge_free(nic);
	assert_null(edge_tap_new("tap%d", -1, false));
	assert_null(edge_tap_new("a-name-of-16-oct", -1, false));
	assert_null(edge_tap_new("", -1, false));
}

/* In another namespace, while the caller stays where it is. */
static void
test_namespace(void **state)
{
	int here = lab_self(), there;
	struct edge *far;
	struct edge_caps c;

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	there = lab_self();
	assert_int_equal(setns(here, CLONE_NEWNET), 0);
	far = edge_tap_new("t0", there, false);
	assert_int_equal(edge_bind(far), 0);
	assert_int_not_equal(lab("ip link show t0 2>/dev/null >&2"), 0);
	edge_caps(far, &c);
	assert_int_equal(c.mtu, 1500);
	assert_int_equal(setns(there, CLONE_NEWNET), 0);
	assert_int_equal(lab("ip link show t0 >/dev/null"), 0);
	assert_int_equal(setns(here, CLONE_NEWNET), 0);
	/* destroy attaches by itself where it is not bound */
	edge_unbind(far);
	edge_tap_destroy(far);
	assert_int_equal(setns(there, CLONE_NEWNET), 0);
	assert_int_not_equal(lab("ip link show t0 2>/dev/null >&2"), 0);
	assert_int_equal(setns(here, CLONE_NEWNET), 0);
	edge_free(far);
	close(here);
	close(there);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define O(f) cmocka_unit_test_setup_teardown(f, setup_offload, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_carrier),
	    T(test_receive),
	    T(test_too_long),
	    T(test_send),
	    T(test_pause),
	    T(test_killed),
	    T(test_offloads),
	    O(test_offloads_on),
	    O(test_super_frames),
	    O(test_joined),
	    O(test_joined_udp),
	    O(test_send),
	    O(test_pause),
	    T(test_deleted),
	    T(test_errors),
	    T(test_namespace),
	};
	int status = lab_enter();

	if (status != 0)
		return status;
	if (access("/dev/net/tun", R_OK | W_OK) == -1) {
		perror("skipped: /dev/net/tun");
		return 77;
	}
	return cmocka_run_group_tests_name("edge_tap", tests, NULL, NULL);
}
