/* links: bits_control bits_base */
/* root */
/*
 * The NIC is taken and given back, and the host's tools see no difference.
 */
#include "nicbed.h"

/* One of each that a host may have.  "other" is a second NIC, which nobody takes. */
static const char rich[] =
    "set -e\n"
    "ip link add other type veth peer name otherp; ip link set other up; ip link set otherp up\n"
    "ip addr add 192.0.2.1/24 dev other\n"
    "ip link set eth0 mtu 1400 txqueuelen 555 group 7 alias 'the NIC' promisc on\n"
    "ip link property add dev eth0 altname enp0s9 altname enx0011\n"
    "sysctl -qw net.ipv4.conf.eth0.rp_filter=2 net.ipv4.conf.eth0.arp_announce=2 "
    "net.ipv4.neigh.eth0.gc_stale_time=77"
    " net.ipv6.conf.eth0.accept_ra=0 net.ipv6.neigh.eth0.base_reachable_time_ms=40000\n"
    "ip link set eth0 up\n"
    "ip addr add 10.9.0.1/24 brd + dev eth0\n"
    "ip addr add 10.9.0.11/24 dev eth0 label eth0:1\n"
    "ip addr add 10.9.1.1/16 dev eth0 noprefixroute\n"
    "ip addr add 10.77.0.1 peer 10.77.0.2/32 dev eth0\n"
    "ip addr add 169.254.7.7/16 scope link metric 900 dev eth0\n"
    "ip addr add 10.9.0.21/24 dev eth0 valid_lft 5000 preferred_lft 3000\n"
    "ip addr add fd09::1/64 dev eth0\n"
    "ip addr add fd09::5/64 dev eth0 nodad\n"
    "ip addr add fd0a::1/64 dev eth0 noprefixroute valid_lft 5000 preferred_lft 0\n"
    "ip addr add fd0b::1 peer fd0b::2/128 dev eth0 valid_lft 9000 preferred_lft 8000 mngtmpaddr "
    "2>/dev/null ||"
    " ip addr add fd0b::1 peer fd0b::2/128 dev eth0 valid_lft 9000 preferred_lft 8000\n"
    "ip route add default via 10.9.0.254 metric 100\n"
    "ip route add default via 10.9.0.253 metric 200 proto dhcp src 10.9.0.11\n"
    "ip route add 10.50.0.0/16 via 203.0.113.1 dev eth0 onlink\n"
    "ip route add 10.51.0.0/16 via 10.9.0.254 mtu lock 1300 advmss 1200 initcwnd 20 quickack 1\n"
    "ip route add 10.52.0.0/16 dev eth0 scope link proto static table 100\n"
    "ip route add default via 10.9.0.254 table 100\n"
    "ip route add 10.53.0.0/16 nexthop via 10.9.0.254 weight 3 nexthop via 192.0.2.9 dev other "
    "weight 1\n"
    "ip route add 10.54.0.0/16 via inet6 fd09::9 dev eth0\n"
    "ip route add 10.55.0.0/16 via 192.0.2.7 dev other src 10.9.0.1\n"
    "ip route add 10.56.0.0/16 via 10.9.0.254 tos 0x10\n"
    "ip route add unreachable 10.57.0.0/16\n"
    "ip route add 10.58.0.0/24 via 10.50.0.9 dev eth0 onlink\n"
    "ip route del 169.254.0.0/16 dev eth0 proto kernel\n"
    "ip -6 route add default via fe80::99 dev eth0 proto ra metric 1024 expires 1700 pref high\n"
    "ip -6 route add fd50::/48 via fd09::9 mtu 1290\n"
    "ip -6 route add fd51::/48 nexthop via fd09::9 dev eth0 nexthop via fe80::1 dev other\n"
    "ip -6 route add fd52::/48 dev eth0 table 100\n"
    "ip route del default via 10.9.0.253; ip route add default via 10.9.0.253 metric 200 proto "
    "dhcp src 10.9.0.11\n"
    "ip nexthop add id 41 via 10.9.0.250 dev eth0\n"
    "ip nexthop add id 42 via 192.0.2.3 dev other\n"
    "ip nexthop add id 43 group 41,2/42\n"
    "ip route add 10.60.0.0/16 nhid 41\n"
    "ip route add 10.61.0.0/16 nhid 43\n"
    "ip neigh add 10.9.0.40 lladdr 02:00:00:00:00:40 dev eth0 nud permanent\n"
    "ip neigh add fd09::40 lladdr 02:00:00:00:00:41 dev eth0 nud permanent\n"
    "ip neigh add proxy 10.9.0.41 dev eth0\n"
    "ip rule add from 10.9.0.11 table 100 pref 500; ip rule add oif eth0 table 100 pref 501\n";

/* What the stack over there must not have. */
static void
assert_private(bool up)
{
	assert_int_equal(sh("ip -n %s addr show dev eth0 | grep -q inet", bed.priv), 1);
	assert_int_equal(sh("ip -n %s link show eth0 | grep -q NOARP", bed.priv), 0);
	assert_int_equal(
	    sh("ip -n %s link show eth0 | grep -q '[<,]UP[,>]'", bed.priv), up ? 0 : 1);
	assert_int_equal(
	    sh("test -z \"$(ip -n %s route show table all; ip -n %s -6 route show table all)\"",
		bed.priv, bed.priv),
	    0);
}

static void
nobody(void *ctx, enum nic_event ev)
{
}

static void
round_trip(const char *script)
{
	struct nic_info i;
	struct nic *n;
	char *before, *after, *before_tap, *during;
	int fd;

	bed_configure(script);
	before = bed_look(false);
	before_tap = bed_look(true);
	assert_int_equal(nic_check(&bed.o, bed.why, sizeof bed.why), 0);
	n = bed_take();
	nic_info(n, &i);
	assert_false(i.resumed);
	assert_int_equal(sh("ip link show eth0 | grep -q NO-CARRIER"), 0);
	/* with carrier, as nexthop objects are refused without */
	fd = bed_attach();
	assert_true(until(bed_link, 2000));
	nic_event_read(n, nobody, NULL);
	during = bed_look(true);
	assert_looks(before_tap, during);
	close(fd);
	if (i.way == NIC_MOVED)
		assert_private(true);
	bed_give_back(n);
	after = bed_look(false);
	assert_looks(before, after);
	bed_nothing_left();
	free(before);
	free(before_tap);
	free(during);
	free(after);
}

static void
test_round_trip(void **state)
{
	round_trip(rich);
}

static void
test_round_trip_guarded(void **state)
{
	bed.o.stay = true;
	round_trip(rich);
}

static void
test_info(void **state)
{
	struct ipaddr a[8], want;
	struct nic_info i;
	char mac[24], *have;
	struct nic *n;
	int count, found = 0;

	bed_configure(bed_plain);
	n = bed_take();
	nic_info(n, &i);
	assert_int_equal(i.way, NIC_MOVED);
	assert_string_equal(i.lower, "eth0");
	assert_int_equal(i.mtu, 1500);
	assert_true(i.up);
	snprintf(mac, sizeof mac, "%02x:%02x:%02x:%02x:%02x:%02x\n", i.mac[0], i.mac[1], i.mac[2],
	    i.mac[3], i.mac[4], i.mac[5]);
	have = out("ip -o link show eth0 | sed 's/.*ether \\([^ ]*\\).*/\\1/'");
	assert_string_equal(have, mac);
	free(have);
	assert_true(netns_same(nic_host_netns(n), bed.host_fd));
	assert_false(netns_same(nic_netns(n), bed.host_fd));
	assert_int_equal(nic_addresses(n, a, 1), 1);
	count = nic_addresses(n, a, 8);
	assert_int_equal(count, 3); /* and the link-local one */
	assert_int_equal(ipaddr_parse("10.9.0.1", &want), 0);
	for (int k = 0; k < count; k++)
		found += ipaddr_eq(&a[k], &want);
	assert_int_equal(ipaddr_parse("fd09::1", &want), 0);
	for (int k = 0; k < count; k++)
		found += ipaddr_eq(&a[k], &want);
	assert_int_equal(found, 2);
	bed_give_back(n);
}

static void
test_down_stays_down(void **state)
{
	char *before, *after;
	struct nic_info i;
	struct nic *n;

	assert_int_equal(sh("ip addr add 10.9.0.1/24 dev eth0"), 0);
	before = bed_look(false);
	n = bed_take();
	nic_info(n, &i);
	assert_false(i.up);
	assert_private(false);
	assert_int_equal(sh("ip link show eth0 | grep -q '[<,]UP[,>]'"), 1);
	bed_give_back(n);
	after = bed_look(false);
	assert_looks(before, after);
	free(before);
	free(after);
}

/* IPv6 switched off on the NIC, or its link-local address kept away: so it is on the TAP, and afterwards. */
static void
test_without_ipv6(void **state)
{
	static const char *const how[] = {
	    "sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1", "ip link set eth0 addrgenmode none"};

	for (int k = 0; k < 2; k++) {
		char *before, *after;
		struct nic *n;

		assert_int_equal(sh("ip link set eth0 down; sysctl -qw "
				    "net.ipv6.conf.eth0.disable_ipv6=0; %s; ip link set eth0 up;"
				    " ip addr replace 10.9.0.1/24 dev eth0",
				     how[k]),
		    0);
		before = bed_look(false);
		assert_null(strstr(before, "inet6 fe80"));
		n = bed_take();
		assert_int_equal(sh("ip addr show dev eth0 | grep -q inet6"), 1);
		bed_give_back(n);
		after = bed_look(false);
		assert_looks(before, after);
		free(before);
		free(after);
	}
}

/* A start after a death picks up what is there and leaves alone what the host changed; all of that goes back to the NIC. */
static void
test_resume(void **state)
{
	struct nic_info i;
	struct nic *n;
	char *one, *two, *back;

	bed_configure(bed_plain);
	n = bed_take();
	nic_free(n);
	assert_int_equal(sh("ip addr add 10.9.0.99/24 dev eth0; ip addr del fd09::1/64 dev eth0; "
			    "ip route add 10.8.0.0/16 via 10.9.0.7;"
			    " ip route del default; ip link set eth0 alias changed"),
	    0);
	one = bed_look(false);
	n = bed_take();
	nic_info(n, &i);
	assert_true(i.resumed);
	two = bed_look(false);
	assert_looks(one, two);
	free(one);
	free(two);
	one = bed_look(true);
	bed_give_back(n);
	back = bed_look(true);
	assert_looks(one, back);
	assert_non_null(strstr(back, "10.9.0.99"));
	assert_null(strstr(back, "inet6 fd09::1/"));
	free(one);
	free(back);
	bed_nothing_left();
}

/* A TAP that somebody deleted comes back as it was when the NIC was taken. */
static void
test_tap_deleted(void **state)
{
	struct nic_info i;
	struct nic *n;
	char *before, *after;

	bed_configure(rich);
	before = bed_look(false);
	n = bed_take();
	nic_free(n);
	assert_int_equal(sh("ip link del eth0"), 0);
	n = bed_take();
	nic_info(n, &i);
	assert_false(i.resumed);
	/* and once more, so that it is the saved state that gives back */
	assert_int_equal(sh("ip link del eth0"), 0);
	bed_give_back(n);
	after = bed_look(false);
	assert_looks(before, after);
	free(before);
	free(after);
	bed_nothing_left();
}

/* The state file got lost: NIC and TAP are still one host's. */
static void
test_state_lost(void **state)
{
	struct nic *n;
	char *before, *after;

	bed_configure(bed_plain);
	before = bed_look(false);
	nic_free(bed_take());
	assert_int_equal(sh("rm %s/eth0.*.nic", bed.dir), 0);
	n = bed_take();
	bed_give_back(n);
	after = bed_look(false);
	assert_looks(before, after);
	free(before);
	free(after);
	/* an unreadable one is no reason to guess */
	nic_free(bed_take());
	assert_int_equal(sh("echo '{' > $(echo %s/eth0.*.nic)", bed.dir), 0);
	assert_null(nic_take(&bed.o, bed.why, sizeof bed.why));
	assert_non_null(strstr(bed.why, ".nic cannot be read"));
	assert_private(true);
}

/* The file is written for one boot; after another the NIC is where it was, with what the host gave it since. */
static void
test_other_boot(void **state)
{
	struct nic *n;
	char *before, *after;

	bed_configure(bed_plain);
	nic_free(bed_take());
	assert_int_equal(sh("cp %s/eth0.*.nic %s.old && basename %s/eth0.*.nic >%s.name", bed.dir, bed.dir, bed.dir, bed.dir), 0);
	n = bed_take();
	bed_give_back(n);
	assert_int_equal(
	    sh("sed 's/\"boot\": \"[^\"]*\"/\"boot\": \"x\"/' %s.old > %s/$(cat %s.name); rm %s.old %s.name;"
	       " ip addr add 10.9.0.55/24 dev eth0",
		bed.dir, bed.dir, bed.dir, bed.dir, bed.dir),
	    0);
	before = bed_look(false);
	n = bed_take();
	/* those of other namespaces, of this boot and of others */
	assert_int_equal(sh("cd %s && cp eth0.*.nic 7 && mv 7 eth0.7.nic && cp eth0.7.nic eth1.8.nic && "
			    "sed 's/\"boot\": \"[^\"]*\"/\"boot\": \"x\"/' eth0.7.nic >eth0.8.nic",
			     bed.dir),
	    0);
	bed_give_back(n);
	n = bed_take();
	assert_int_equal(sh("cd %s && test -e eth0.7.nic && test -e eth1.8.nic && test ! -e eth0.8.nic && "
			    "rm eth0.7.nic eth1.8.nic",
			     bed.dir),
	    0);
	bed_give_back(n);
	after = bed_look(false);
	assert_looks(before, after);
	free(before);
	free(after);
}

/* A failure in the midst: all is as before, and the reason is told. */
static void
test_undone(void **state)
{
	char *before, *after;

	bed_configure(bed_plain);
	assert_int_equal(sh("ip link set eth0 mtu 65535"), 0); /* more than a TAP can have */
	before = bed_look(false);
	assert_null(nic_take(&bed.o, bed.why, sizeof bed.why));
	assert_non_null(strstr(bed.why, "MTU 65535"));
	assert_non_null(strstr(bed.why, "(undone)"));
	after = bed_look(false);
	assert_looks(before, after);
	free(after);
	bed_nothing_left();
	/* the same in the other way */
	bed.o.stay = true;
	assert_null(nic_take(&bed.o, bed.why, sizeof bed.why));
	assert_non_null(strstr(bed.why, "(undone)"));
	after = bed_look(false);
	assert_looks(before, after);
	free(after);
	bed_nothing_left();
	/* nothing may change that cannot be written down before */
	bed.o.state_dir = "/proc/nowhere";
	assert_null(nic_take(&bed.o, bed.why, sizeof bed.why));
	assert_non_null(strstr(bed.why, "/proc/nowhere"));
	after = bed_look(false);
	assert_looks(before, after);
	free(after);
	free(before);
}

int
main(void)
{
#define BED(t) cmocka_unit_test_setup_teardown(t, bed_up, bed_down)
	const struct CMUnitTest tests[] = {
	    BED(test_round_trip),
	    BED(test_round_trip_guarded),
	    BED(test_info),
	    BED(test_down_stays_down),
	    BED(test_without_ipv6),
	    BED(test_resume),
	    BED(test_tap_deleted),
	    BED(test_state_lost),
	    BED(test_other_boot),
	    BED(test_undone),
	};

	if (geteuid() != 0)
		return 77;
	return cmocka_run_group_tests_name("nic", tests, NULL, NULL);
}
