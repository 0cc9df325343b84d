/* links: bits_control bits_base */
/* root */
/*
 * What happens to NIC and TAP is told, once each, and one follows the other.
 */
#include "nicbed.h"

static struct nic *nic;
static int seen[NIC_ROUTE + 1];

static void
tell(void *ctx, enum nic_event ev)
{
	seen[ev]++;
}

/* Wait for ${ev}; what else happens meanwhile is counted in seen[]. */
static void
await(enum nic_event ev)
{
	for (int i = 0; i < 30 && !seen[ev]; i++) {
		struct pollfd p[2] = {{.events = POLLIN}, {.events = POLLIN}};
		int fd[2];

		nic_event_fds(nic, fd);
		p[0].fd = fd[0];
		p[1].fd = fd[1];
		(void)poll(p, 2, 100);
		nic_event_read(nic, tell, NULL);
	}
	if (!seen[ev])
		fail_msg("event %d was not told", (int)ev);
}

static void
quiet(void)
{
	struct timespec t = {.tv_nsec = 300000000};

	nanosleep(&t, NULL);
	nic_event_read(nic, tell, NULL);
	memset(seen, 0, sizeof seen);
}

static int
up(void **state)
{
	if (bed_up(state) != 0)
		return -1;
	(void)sh("ip link set eth0 up; ip addr add 10.9.0.1/24 dev eth0");
	if ((nic = nic_take(&bed.o, bed.why, sizeof bed.why)) == NULL)
		return -1;
	quiet();
	return 0;
}

static int
down(void **state)
{
	nic_free(nic);
	return bed_down(state);
}

static void
test_carrier(void **state)
{
	struct nic_info i;

	nic_info(nic, &i);
	assert_true(i.up);
	assert_int_equal(sh("ip -n %s link set w0 down", bed.wire), 0);
	await(NIC_LINK);
	nic_info(nic, &i);
	assert_false(i.up);
	quiet();
	nic_event_read(nic, tell, NULL);
	assert_int_equal(seen[NIC_LINK], 0);
	assert_int_equal(sh("ip -n %s link set w0 up", bed.wire), 0);
	await(NIC_LINK);
	nic_info(nic, &i);
	assert_true(i.up);
}

static void
test_mtu(void **state)
{
	struct nic_info i;

	assert_int_equal(sh("ip -n %s link set eth0 mtu 1280", bed.priv), 0);
	await(NIC_MTU);
	assert_int_equal(seen[NIC_MTU], 1);
	nic_info(nic, &i);
	assert_int_equal(i.mtu, 1280);
	assert_int_equal(sh("ip link show eth0 | grep -q 'mtu 1280'"), 0);
	quiet();
	assert_int_equal(sh("ip -n %s link set eth0 mtu 9000", bed.priv), 0);
	await(NIC_MTU);
	assert_int_equal(sh("ip link show eth0 | grep -q 'mtu 9000'"), 0);
}

static void
test_addresses_and_routes(void **state)
{
	assert_int_equal(
	    sh("ip link add other type veth peer name otherp; ip addr add 10.1.1.1/24 dev other"),
	    0);
	quiet();
	assert_int_equal(sh("ip addr add 10.1.2.1/24 dev other"), 0);
	nic_event_read(nic, tell, NULL);
	assert_int_equal(seen[NIC_ADDR], 0); /* not the TAP's */
	assert_int_equal(sh("ip addr add 10.9.0.7/24 dev eth0"), 0);
	await(NIC_ADDR);
	quiet();
	assert_int_equal(sh("ip route add 10.5.0.0/16 via 10.9.0.254"), 0);
	await(NIC_ROUTE);
	assert_int_equal(seen[NIC_ADDR], 0);
	quiet();
	assert_int_equal(sh("ip neigh add 10.9.0.9 lladdr 02:00:00:00:00:09 dev eth0"), 0);
	await(NIC_ROUTE);
}

static void
test_tap_gone(void **state)
{
	struct nic *again;

	assert_int_equal(sh("ip link del eth0"), 0);
	await(NIC_TAP_GONE);
	assert_int_equal(seen[NIC_TAP_GONE], 1);
	assert_int_equal(nic_addresses(nic, NULL, 0), 0);
	/* a new take makes it again */
	again = bed_take();
	nic_free(nic);
	nic = again;
	assert_int_equal(sh("ip addr show dev eth0 | grep -q 10.9.0.1/24"), 0);
}

/* Unplugged, and plugged in again: it shows up in the host's namespace, under whatever name is free, and is taken in. */
static void
test_unplugged(void **state)
{
	struct nic_info i;
	char mac[24];

	nic_info(nic, &i);
	snprintf(mac, sizeof mac, "%02x:%02x:%02x:%02x:%02x:%02x", i.mac[0], i.mac[1], i.mac[2],
	    i.mac[3], i.mac[4], i.mac[5]);
	assert_int_equal(sh("ip -n %s link del eth0", bed.priv), 0);
	await(NIC_GONE);
	nic_info(nic, &i);
	assert_false(i.up);
	assert_int_equal(nic_give_back(nic, bed.why, sizeof bed.why), -1);
	assert_non_null(strstr(bed.why, "unplugged"));
	quiet();
	/* another device is not ours */
	assert_int_equal(sh("ip link add eth5 type veth peer name eth6 netns %s", bed.wire), 0);
	quiet();
	assert_int_equal(sh("ip link show eth5 >/dev/null"), 0);
	assert_int_equal(sh("ip link add eth1 address %s type veth peer name w1 netns %s; ip -n %s "
			    "link set w1 up",
			     mac, bed.wire, bed.wire),
	    0);
	await(NIC_BACK);
	assert_int_equal(seen[NIC_BACK], 1);
	assert_int_equal(sh("ip link show eth1 >/dev/null 2>&1"), 1);
	assert_int_equal(sh("ip -n %s link show eth0 | grep -q NOARP", bed.priv), 0);
	assert_true(seen[NIC_LINK] || (nic_info(nic, &i), i.up));
}

/* Renamed away in its namespace, and back. */
static void
test_renamed(void **state)
{
	assert_int_equal(
	    sh("ip -n %s link set eth0 down; ip -n %s link set eth0 name away", bed.priv, bed.priv),
	    0);
	await(NIC_GONE);
	quiet();
	assert_int_equal(sh("ip -n %s link set away name eth0", bed.priv), 0);
	await(NIC_BACK);
	assert_int_equal(sh("ip -n %s link show eth0 | grep -q '[<,]UP[,>]'", bed.priv), 0);
}

/* The host sets its NIC, which is the TAP, up or gives it another MAC: the real one follows.  Down it need not go. */
static void
test_host_leads(void **state)
{
	assert_int_equal(sh("ip link set eth0 down"), 0);
	quiet();
	assert_int_equal(sh("ip -n %s link show eth0 | grep -q '[<,]UP[,>]'", bed.priv), 0);
	assert_int_equal(sh("ip -n %s link set eth0 down", bed.priv), 0);
	quiet();
	assert_int_equal(sh("ip link set eth0 up"), 0);
	quiet();
	assert_int_equal(sh("ip -n %s link show eth0 | grep -q '[<,]UP[,>]'", bed.priv), 0);
	assert_int_equal(sh("ip link set eth0 address 02:00:00:00:00:55"), 0);
	quiet();
	assert_int_equal(sh("ip -n %s link show eth0 | grep -q 02:00:00:00:00:55", bed.priv), 0);
	assert_int_equal(sh("ip link set eth0 promisc on"), 0);
	quiet();
	assert_int_equal(sh("ip -n %s link show eth0 | grep -q PROMISC", bed.priv), 0);
	assert_int_equal(sh("ip link set eth0 promisc off"), 0);
	quiet();
	assert_int_equal(sh("ip -n %s link show eth0 | grep -q PROMISC", bed.priv), 1);
}

/* Taken again while the first one still holds the guard: it is inherited, and a flush of the host's firewall does not take it. */
static void
test_guard_inherited(void **state)
{
	struct nic *again;

	assert_int_equal(nic_give_back(nic, bed.why, sizeof bed.why), 0);
	nic_free(nic);
	bed.o.stay = true;
	nic = bed_take();
	quiet();
	again = bed_take();
	nic_free(nic);
	nic = again;
	assert_int_equal(sh("nft list tables | grep -q bits-guard"), 0);
	nic_event_read(nic, tell, NULL);
	/* owned tables are Linux 6.9's; nft says so where it knows them, and the flush shows it */
	if (sh("test $(uname -r | cut -d. -f1) -gt 6 || test $(uname -r | cut -d. -f1) -eq 6 -a "
	       "$(uname -r | cut -d. -f2) -ge 9") == 0)
		(void)sh("nft flush ruleset");
	assert_int_equal(sh("nft list tables | grep -q bits-guard"), 0);
	assert_int_equal(nic_give_back(nic, bed.why, sizeof bed.why), 0);
	assert_int_equal(sh("nft list tables | grep -q bits-guard"), 1);
}

/* A guarded NIC that is renamed loses its hooks (Linux 6.16), so it goes down. */
static void
test_guarded_renamed(void **state)
{
	char lower[16];
	struct nic_info i;

	assert_int_equal(nic_give_back(nic, bed.why, sizeof bed.why), 0);
	nic_free(nic);
	bed.o.stay = true;
	nic = bed_take();
	nic_info(nic, &i);
	memcpy(lower, i.lower, sizeof lower);
	quiet();
	assert_int_equal(sh("ip link set %s name sneaky 2>/dev/null || { ip link set %s down; ip "
			    "link set %s name sneaky; }",
			     lower, lower, lower),
	    0);
	await(NIC_GONE);
	assert_int_equal(sh("ip link show sneaky | grep -q '[<,]UP[,>]'"), 1);
}

int
main(void)
{
#define BED(t) cmocka_unit_test_setup_teardown(t, up, down)
	const struct CMUnitTest tests[] = {
	    BED(test_carrier),
	    BED(test_mtu),
	    BED(test_addresses_and_routes),
	    BED(test_tap_gone),
	    BED(test_unplugged),
	    BED(test_renamed),
	    BED(test_host_leads),
	    BED(test_guard_inherited),
	    BED(test_guarded_renamed),
	};

	if (geteuid() != 0)
		return 77;
	return cmocka_run_group_tests_name("nic_event", tests, NULL, NULL);
}
