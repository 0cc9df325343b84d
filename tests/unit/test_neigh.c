/* links: bits_control bits_base */
/* root */
/*
 * Next hops out of the host's own route and neighbour tables.  eth0 of the bed stands for the TAP.
 */
#include "neigh.h"
#include "nicbed.h"

static uint8_t mac[6];

static int
resolve(const char *dst)
{
	struct ipaddr a;

	assert_int_equal(ipaddr_parse(dst, &a), 0);
	memset(mac, 0, 6);
	errno = 0;
	return neigh_resolve(bed.host_fd, "eth0", &a, mac);
}

static void
assert_mac(const char *text)
{
	char have[18];

	snprintf(have, sizeof have, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
	    mac[4], mac[5]);
	assert_string_equal(have, text);
}

static int
up(void **state)
{
	if (bed_up(state) != 0)
		return -1;
	return sh("ip link set eth0 up; ip addr add 10.9.0.1/24 dev eth0; ip addr add fd09::1/64 "
		  "dev eth0 nodad;"
		  " ip -n %s link set w0 address 02:00:00:00:00:22",
	    bed.wire);
}

static const char *dst_now;

static bool
known(void)
{
	return resolve(dst_now) == 1;
}

static void
test_on_link(void **state)
{
	/* the first question makes the kernel ask; soon it knows */
	assert_int_equal(resolve("10.9.0.2"), 0);
	dst_now = "10.9.0.2";
	assert_true(until(known, 3000));
	assert_mac("02:00:00:00:00:22");
	assert_int_equal(resolve("fd09::2"), 0);
	dst_now = "fd09::2";
	assert_true(until(known, 3000));
	assert_mac("02:00:00:00:00:22");
	/* nobody there: never known */
	assert_int_equal(resolve("10.9.0.200"), 0);
	assert_int_equal(resolve("10.9.0.200"), 0);
}

static void
test_gateway(void **state)
{
	assert_int_equal(sh("ip route add 198.51.100.0/24 via 10.9.0.2; ip -6 route add "
			    "2001:db8::/32 via fd09::2;"
			    " ip route add 203.0.113.0/24 via inet6 fd09::2 dev eth0"),
	    0);
	dst_now = "198.51.100.7";
	assert_true(until(known, 3000));
	assert_mac("02:00:00:00:00:22");
	dst_now = "2001:db8::7";
	assert_true(until(known, 3000));
	assert_mac("02:00:00:00:00:22");
	dst_now = "203.0.113.7";
	assert_true(until(known, 3000));
	assert_mac("02:00:00:00:00:22");
}

static void
test_states(void **state)
{
	static const char *const counts[] = {"permanent", "reachable", "stale", "noarp"};

	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(
		    sh("ip neigh replace 10.9.0.50 lladdr 02:00:00:00:00:50 nud %s dev eth0",
			counts[i]),
		    0);
		assert_int_equal(resolve("10.9.0.50"), 1);
		assert_mac("02:00:00:00:00:50");
		assert_int_equal(sh("ip neigh del 10.9.0.50 dev eth0"), 0);
	}
	/* stale knowledge is used, and the kernel goes and looks */
	assert_int_equal(
	    sh("ip neigh replace 10.9.0.51 lladdr 02:00:00:00:00:51 nud stale dev eth0"), 0);
	assert_int_equal(resolve("10.9.0.51"), 1);
	assert_int_equal(sh("ip neigh show to 10.9.0.51 | grep -qE 'DELAY|PROBE|FAILED'"), 0);
	/* a failed one is no knowledge */
	assert_int_equal(
	    sh("ip neigh replace 10.9.0.52 lladdr 02:00:00:00:00:52 nud failed dev eth0"), 0);
	assert_int_equal(resolve("10.9.0.52"), 0);
}

static void
test_algorithmic(void **state)
{
	assert_int_equal(resolve("239.129.3.4"), 1);
	assert_mac("01:00:5e:01:03:04");
	assert_int_equal(resolve("ff02::1:ff00:1234"), 1);
	assert_mac("33:33:ff:00:12:34");
	assert_int_equal(resolve("255.255.255.255"), 1);
	assert_mac("ff:ff:ff:ff:ff:ff");
	assert_int_equal(resolve("10.9.0.255"), 1);
	assert_mac("ff:ff:ff:ff:ff:ff");
}

static void
test_unreachable(void **state)
{
	struct ipaddr none = {0};

	assert_int_equal(sh("ip link add other type veth peer name otherp; ip link set other up; "
			    "ip link set otherp up;"
			    " ip addr add 192.0.2.1/24 dev other; ip route add unreachable "
			    "10.66.0.0/16; ip route add blackhole 10.67.0.0/16;"
			    " ip route add prohibit 10.68.0.0/16"),
	    0);
	/* no route; another device's; refused ones; our own address */
	static const char *const dst[] = {"8.8.8.8", "2001:db8::1", "192.0.2.9", "10.66.1.1",
	    "10.67.1.1", "10.68.1.1", "10.9.0.1", "127.0.0.1"};

	for (size_t i = 0; i < sizeof dst / sizeof *dst; i++) {
		assert_int_equal(resolve(dst[i]), -1);
		assert_int_equal(errno, ENETUNREACH);
	}
	assert_int_equal(neigh_resolve(bed.host_fd, "eth0", &none, mac), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(ipaddr_parse("10.9.0.2", &none), 0);
	assert_int_equal(neigh_resolve(bed.host_fd, "eth9", &none, mac), -1);
	assert_int_equal(errno, ENODEV);
}

/* The tables asked are those of the given namespace, not of the caller's. */
static void
test_other_namespace(void **state)
{
	assert_int_equal(
	    sh("ip neigh replace 10.9.0.60 lladdr 02:00:00:00:00:60 nud permanent dev eth0"), 0);
	assert_int_equal(netns_enter(bed.self), 0);
	assert_int_equal(resolve("10.9.0.60"), 1);
	assert_mac("02:00:00:00:00:60");
	assert_int_equal(netns_enter(bed.host_fd), 0);
}

int
main(void)
{
#define BED(t) cmocka_unit_test_setup_teardown(t, up, bed_down)
	const struct CMUnitTest tests[] = {
	    BED(test_on_link),
	    BED(test_gateway),
	    BED(test_states),
	    BED(test_algorithmic),
	    BED(test_unreachable),
	    BED(test_other_namespace),
	};

	if (geteuid() != 0)
		return 77;
	return cmocka_run_group_tests_name("neigh", tests, NULL, NULL);
}
