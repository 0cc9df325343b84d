/* links: bits_control bits_base */
/* root */
/*
 * Which NICs are refused, and in which words.
 */
#include "nicbed.h"

static void
refused(const char *name, const char *why)
{
	bed.o.name = name;
	assert_int_equal(nic_check(&bed.o, bed.why, sizeof bed.why), -1);
	if (strncmp(bed.why, why, strlen(why)) != 0)
		fail_msg("\"%s\", not \"%s\"", bed.why, why);
	/* and taking it fails just so, leaving nothing behind */
	assert_null(nic_take(&bed.o, bed.why, sizeof bed.why));
	assert_int_equal(strncmp(bed.why, why, strlen(why)), 0);
	assert_int_equal(
	    sh("test ! -e /run/netns/%s && test -z \"$(ls -A %s 2>/dev/null)\"", bed.priv, bed.dir),
	    0);
}

static void
test_refused(void **state)
{
	refused("eth7", "eth7: no such NIC; there are: lo, eth0");
	refused("lo", "lo: the loopback device carries nothing to protect; name the NIC");
	refused("", "\"\" is no name of a NIC");
	refused(
	    "a-name-that-is-far-too-long", "\"a-name-that-is-far-too-long\" is no name of a NIC");
	refused("../eth0", "\"../eth0\" is no name of a NIC");
	bed.o.name = "eth0";
	assert_int_equal(nic_check(&bed.o, bed.why, sizeof bed.why), 0);
}

static void
test_altname(void **state)
{
	assert_int_equal(sh("ip link property add dev eth0 altname enp0s9"), 0);
	refused("enp0s9", "enp0s9: another name of eth0: say eth0");
}

static void
test_enslaved(void **state)
{
	if (sh("ip link add br0 type bridge 2>/dev/null && ip link set eth0 master br0") != 0)
		skip();
	refused("eth0",
	    "eth0: enslaved to br0: name br0 instead, or take it out (ip link set eth0 nomaster)");
	bed.o.name = "br0";
	assert_int_equal(nic_check(&bed.o, bed.why, sizeof bed.why), 0);
}

static void
test_not_ethernet(void **state)
{
	assert_int_equal(sh("ip tuntap add mode tun name tun7"), 0);
	refused("tun7", "tun7: not an Ethernet device");
}

/* A TAP that stands where the NIC's would: ours, but its NIC is nowhere. */
static void
test_orphaned_tap(void **state)
{
	assert_int_equal(sh("ip tuntap add mode tap name tap7"), 0);
	bed.o.name = "tap7";
	assert_int_equal(nic_check(&bed.o, bed.why, sizeof bed.why), -1);
	assert_non_null(strstr(bed.why, "a persistent TAP, not a NIC"));
	assert_null(nic_take(&bed.o, bed.why, sizeof bed.why));
	assert_non_null(strstr(bed.why, "neither in namespace"));
}

/* What lies on the NIC would go on sending around the bump from above. */
static void
test_stacked(void **state)
{
	if (sh("ip link add link eth0 name mac0 type macvlan 2>/dev/null") != 0)
		skip();
	refused(
	    "eth0", "eth0: macvlan device mac0 on top of it would go on sending around the bump");
	assert_int_equal(sh("ip link del mac0"), 0);
	bed.o.name = "eth0";
	assert_int_equal(nic_check(&bed.o, bed.why, sizeof bed.why), 0);
}

static void
test_other_netns_name(void **state)
{
	struct nic_opts other;
	struct nic *n = bed_take();

	nic_free(n);
	/* taken is fine */
	assert_int_equal(nic_check(&bed.o, bed.why, sizeof bed.why), 0);
	/* but not under another name of the namespace, which would find nothing */
	other = bed.o;
	other.netns = "bitst-other";
	assert_null(nic_take(&other, bed.why, sizeof bed.why));
	assert_non_null(strstr(bed.why, bed.priv));
	/* nor may the host's own namespace be taken for the private one */
	other.netns = bed.host;
	assert_int_equal(sh("rm %s/eth0.*.nic", bed.dir), 0);
	assert_null(nic_take(&other, bed.why, sizeof bed.why));
	assert_non_null(strstr(bed.why, "the host's own"));
}

/* In a container without the device. */
static void
test_no_tun(void **state)
{
	char self[4096];
	char *text;

	assert_non_null(realpath("/proc/self/exe", self));
	text = out("unshare -m sh -c 'mount -t tmpfs none /dev/net && %s %s' 2>&1", self, bed.dir);
	assert_string_equal(text, "no /dev/net/tun (No such file or directory): modprobe tun, or "
				  "give the container the device\n");
	free(text);
}

int
main(int argc, char **argv)
{
#define BED(t) cmocka_unit_test_setup_teardown(t, bed_up, bed_down)
	const struct CMUnitTest tests[] = {
	    BED(test_refused),
	    BED(test_altname),
	    BED(test_enslaved),
	    BED(test_not_ethernet),
	    BED(test_orphaned_tap),
	    BED(test_stacked),
	    BED(test_other_netns_name),
	    BED(test_no_tun),
	};

	if (argc == 2) { /* test_no_tun */
		bed.o = (struct nic_opts){.name = "eth0", .state_dir = argv[1]};
		(void)!nic_check(&bed.o, bed.why, sizeof bed.why);
		puts(bed.why);
		return 0;
	}
	if (geteuid() != 0)
		return 77;
	return cmocka_run_group_tests_name("nic_check", tests, NULL, NULL);
}
