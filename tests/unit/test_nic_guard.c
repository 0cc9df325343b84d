/* links: bits_control bits_base */
/* root */
/*
 * Nothing gets around the bump, whichever way the NIC was taken, and whether anybody runs or not: plaintext for the host's
 * address and MAC reaches no socket, ARP and ND are not answered, and what the stack sends does not leave.  All-protocol
 * taps, which bitsd reads, still see the frames.
 */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include "nicbed.h"

static const uint8_t peer_mac[6] = {2, 0, 0, 0, 0, 2};
static uint8_t host_mac[6];

static void
doze(int ms)
{
	struct timespec t = {.tv_nsec = (long)ms * 1000000};

	nanosleep(&t, NULL);
}

static int
tap_on(int netns, const char *dev, uint16_t protocol)
{
	int s = netns_socket(netns, AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0), t, on = 1;
	struct ifreq ifr = {0};
	struct sockaddr_ll ll = {.sll_family = AF_PACKET, .sll_protocol = htons(protocol)};

	assert_true(s >= 0);
	snprintf(ifr.ifr_name, sizeof ifr.ifr_name, "%s", dev);
	t = ioctl(s, SIOCGIFINDEX, &ifr);
	assert_int_equal(t, 0);
	ll.sll_ifindex = ifr.ifr_ifindex;
	assert_int_equal(setsockopt(s, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on), 0);
	assert_int_equal(bind(s, (struct sockaddr *)&ll, sizeof ll), 0);
	return s;
}

/* How many frames with ${text} in them wait on ${s}. */
static int
count(int s, const void *text, size_t len)
{
	uint8_t buf[2048];
	ssize_t n;
	int hits = 0;

	while ((n = recv(s, buf, sizeof buf, 0)) > 0)
		hits += memmem(buf, (size_t)n, text, len) != NULL;
	return hits;
}

static uint16_t
sum(const void *data, size_t len, uint32_t start)
{
	const uint8_t *p = data;
	uint32_t s = start;

	for (size_t i = 0; i + 1 < len; i += 2)
		s += (uint32_t)p[i] << 8 | p[i + 1];
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return htons((uint16_t)~s);
}

/* A UDP datagram "attack" to port 7777 of the host, from the wire. */
static void
inject4(int s)
{
	uint8_t f[14 + 20 + 8 + 6];
	struct iphdr ip = {.version = 4,
	    .ihl = 5,
	    .tot_len = htons(34),
	    .ttl = 64,
	    .protocol = IPPROTO_UDP,
	    .saddr = inet_addr("10.9.0.2"),
	    .daddr = inet_addr("10.9.0.1")};
	struct udphdr udp = {.source = htons(7), .dest = htons(7777), .len = htons(14)};

	ip.check = sum(&ip, sizeof ip, 0);
	memcpy(f, host_mac, 6);
	memcpy(f + 6, peer_mac, 6);
	memcpy(f + 12, "\x08\x00", 2);
	memcpy(f + 14, &ip, 20);
	memcpy(f + 34, &udp, 8);
	memcpy(f + 42, "attack", 6);
	assert_int_equal(send(s, f, sizeof f, 0), sizeof f);
}

static void
inject6(int s)
{
	uint8_t f[14 + 40 + 8 + 6], pseudo[32 + 8 + 14] = {0};
	struct ip6_hdr ip = {.ip6_flow = htonl(6u << 28),
	    .ip6_plen = htons(14),
	    .ip6_nxt = IPPROTO_UDP,
	    .ip6_hlim = 64};
	struct udphdr udp = {.source = htons(7), .dest = htons(7777), .len = htons(14)};

	inet_pton(AF_INET6, "fd09::2", &ip.ip6_src);
	inet_pton(AF_INET6, "fd09::1", &ip.ip6_dst);
	memcpy(pseudo, &ip.ip6_src, 32);
	pseudo[35] = 14;
	pseudo[39] = IPPROTO_UDP;
	memcpy(pseudo + 40, &udp, 8);
	memcpy(pseudo + 48, "attack", 6);
	udp.check = sum(pseudo, sizeof pseudo, 0);
	memcpy(f, host_mac, 6);
	memcpy(f + 6, peer_mac, 6);
	memcpy(f + 12, "\x86\xdd", 2);
	memcpy(f + 14, &ip, 40);
	memcpy(f + 54, &udp, 8);
	memcpy(f + 62, "attack", 6);
	assert_int_equal(send(s, f, sizeof f, 0), sizeof f);
}

static void
ask_arp(int s)
{
	uint8_t f[42] = {[12] = 8, [13] = 6, [15] = 1, [16] = 8, [18] = 6, [19] = 4, [21] = 1};

	memset(f, 0xff, 6);
	memcpy(f + 6, peer_mac, 6);
	memcpy(f + 22, peer_mac, 6);
	memcpy(f + 28, "\x0a\x09\x00\x02", 4);
	memcpy(f + 38, "\x0a\x09\x00\x01", 4);
	assert_int_equal(send(s, f, sizeof f, 0), sizeof f);
}

/* Answers on the wire to one ARP request for the host's address. */
static int
arp_answers(int s)
{
	static const uint8_t reply[8] = {0, 1, 8, 0, 6, 4, 0, 2};

	while (count(s, "x", 1) > 0)
		continue;
	ask_arp(s);
	doze(400);
	return count(s, reply, sizeof reply);
}

/* Datagrams that come through to a listening socket, of one each of IPv4 and IPv6. */
static int
come_through(int wire, int listener)
{
	char buf[64];
	int hits = 0;

	inject4(wire);
	inject6(wire);
	doze(200);
	while (recv(listener, buf, sizeof buf, MSG_DONTWAIT) > 0)
		hits++;
	return hits;
}

static int
listener(void)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(7777)};
	int s = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), off = 0;

	assert_int_equal(setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off), 0);
	assert_int_equal(bind(s, (struct sockaddr *)&a, sizeof a), 0);
	return s;
}

static void
prepare(const char *dev)
{
	char *mac;

	assert_int_equal(sh("ip addr add 10.9.0.1/24 dev %s; ip addr add fd09::1/64 dev %s nodad; "
			    "ip link set %s up;"
			    " ip -n %s neigh add 10.9.0.77 lladdr 02:00:00:00:00:77 dev w0",
			     dev, dev, dev, bed.wire),
	    0);
	mac = out(
	    "cat /proc/net/dev >/dev/null; ip -o link show %s | sed 's/.*ether \\([^ ]*\\).*/\\1/'",
	    dev);
	assert_int_equal(sscanf(mac, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &host_mac[0], &host_mac[1],
			     &host_mac[2], &host_mac[3], &host_mac[4], &host_mac[5]),
	    6);
	free(mac);
	assert_int_equal(sh("ip addr show dev %s | grep -q 'inet6 fd09'", dev), 0);
	/* bridges learn for a moment before they forward */
	assert_int_equal(sh("for i in $(seq 50); do ping -c1 -W1 -q 10.9.0.2 >/dev/null && exit 0; "
			    "done; exit 1"),
	    0);
}

static void
attack(const char *dev, enum nic_way way)
{
	int wire = tap_on(bed.wire_fd, "w0", ETH_P_ALL), in, all, some, raw;
	unsigned mark = NIC_MARK;
	struct nic_info i;
	struct nic *n;

	prepare(dev);
	in = listener();
	/* the attack works: without the bump both datagrams come in, and ARP is answered */
	assert_int_equal(come_through(wire, in), 2);
	assert_int_equal(arp_answers(wire), 1);
	bed.o.name = dev;
	n = bed_take();
	nic_info(n, &i);
	assert_int_equal(i.way, way);
	all = tap_on(nic_netns(n), i.lower, ETH_P_ALL);
	some = tap_on(nic_netns(n), i.lower, ETH_P_IP);
	assert_int_equal(come_through(wire, in), 0);
	assert_int_equal(count(all, "attack", 6), 2);
	/* proof of the ingress hook: sockets of one EtherType come behind it */
	assert_int_equal(count(some, "attack", 6), way == NIC_MOVED ? 1 : 0);
	assert_int_equal(arp_answers(wire), 0);
	if (way == NIC_GUARDED) {
		/* what is not marked as bitsd's does not leave; what is does */
		raw = tap_on(nic_netns(n), i.lower, 0);
		(void)count(wire, "x", 1);
		(void)send(raw, "\2\0\0\0\0\2\2\0\0\0\0\1\x88\xb5stranger.........", 31, 0);
		doze(100);
		assert_int_equal(count(wire, "stranger", 8), 0);
		assert_int_equal(setsockopt(raw, SOL_SOCKET, SO_MARK, &mark, sizeof mark), 0);
		assert_int_equal(
		    send(raw, "\2\0\0\0\0\2\2\0\0\0\0\1\x88\xb5ourselves.........", 32, 0), 32);
		doze(100);
		assert_int_equal(count(wire, "ourselves", 9), 1);
		close(raw);
		(void)sh(
		    "nft flush ruleset 2>/dev/null"); /* a firewall's reload; the guard is not its business */
		assert_int_equal(come_through(wire, in), 0);
		assert_int_equal(arp_answers(wire), 0);
	}
	/* dead as alive */
	nic_free(n);
	assert_int_equal(come_through(wire, in), 0);
	assert_int_equal(arp_answers(wire), 0);
	(void)count(some, "x", 1);
	n = bed_take();
	assert_int_equal(come_through(wire, in), 0);
	assert_int_equal(count(some, "attack", 6), way == NIC_MOVED ? 1 : 0);
	close(all);
	close(some);
	bed_give_back(n);
	assert_int_equal(sh("for i in $(seq 50); do ping -c1 -W1 -q 10.9.0.2 >/dev/null && exit 0; "
			    "done; exit 1"),
	    0);
	assert_int_equal(come_through(wire, in), 2);
	assert_int_equal(arp_answers(wire), 1);
	close(in);
	close(wire);
}

static void
test_moved(void **state)
{
	attack("eth0", NIC_MOVED);
}

static void
test_told_to_stay(void **state)
{
	bed.o.stay = true;
	attack("eth0", NIC_GUARDED);
}

/* A bridge is bound to its namespace. */
static void
test_bridge(void **state)
{
	if (sh("ip link add br0 type bridge 2>/dev/null") != 0)
		skip();
	assert_int_equal(sh("ip link set eth0 master br0 up"), 0);
	attack("br0", NIC_GUARDED);
}

/* A name as long as names can be still has a guarded one. */
static void
test_long_name(void **state)
{
	struct nic_info i;
	struct nic *n;

	assert_int_equal(sh("ip link set eth0 name enx001122334455"), 0);
	bed.o.name = "enx001122334455";
	bed.o.stay = true;
	n = bed_take();
	nic_info(n, &i);
	assert_true(strlen(i.lower) <= 15);
	assert_int_equal(strncmp(i.lower, "enx00", 5), 0);
	assert_int_equal(sh("ip link show %s >/dev/null", i.lower), 0);
	nic_free(n);
	n = bed_take();
	bed_give_back(n);
	assert_int_equal(sh("ip link show %s >/dev/null 2>&1", i.lower), 1);
}

int
main(void)
{
#define BED(t) cmocka_unit_test_setup_teardown(t, bed_up, bed_down)
	const struct CMUnitTest tests[] = {
	    BED(test_moved),
	    BED(test_told_to_stay),
	    BED(test_bridge),
	    BED(test_long_name),
	};

	if (geteuid() != 0)
		return 77;
	return cmocka_run_group_tests_name("nic_guard", tests, NULL, NULL);
}
