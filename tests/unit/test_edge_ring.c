/* root */
/* links: bits_edge */
/* What only a ring does: the rest of it is test_edge_packet.c's. */
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <cmocka.h>
#include "edge.h"
#include "frame.h"
#include "netlab.h"

/*
 * A frame of a kind that has no vnet header (UDP to be cut into fragments, as a virtual machine may send it): the kernel throws it away, and, if it
 * is one that then throws away all that come behind it, that is noticed, and over when the edge is bound again.
 */
static void
test_stands_still(void **state)
{
	struct virtio_net_hdr h = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	    .gso_type = VIRTIO_NET_HDR_GSO_UDP,
	    .hdr_len = 42,
	    .gso_size = 400,
	    .csum_start = 34,
	    .csum_offset = 6};
	struct ifreq ifr = {.ifr_name = "w9", .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	struct edge *far = edge_packet_new("w9", -1, false, false);
	uint8_t f[1500] = {0}, plain[200] = {0};
	uint32_t len, small;
	int tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC), looked = 0;
	struct pktpool *pool = pktpool_new(8, 1518);
	struct burst b;

	assert_int_equal(ioctl(tap, TUNSETIFF, &ifr), 0);
	assert_int_equal(lab("ip link set w9 up"), 0);
	len = (uint32_t)sizeof h +
	      frame_make_udp(f + sizeof h, "10.0.0.2", "10.0.0.1", 9, 9, 0, 1400);
	small = (uint32_t)sizeof h +
		frame_make_udp(plain + sizeof h, "10.0.0.2", "10.0.0.1", 9, 9, 0, 60);
	memset(f + sizeof h, 255, 6);
	memset(plain + sizeof h, 255, 6);
	memcpy(f, &h, sizeof h);
	edge_packet_ring(far);
	assert_int_equal(edge_bind(far), 0);
	assert_int_equal(edge_restart(far), 0);
	assert_int_equal(edge_look(far), 0);
	assert_int_equal(write(tap, f, len), len);
	for (int i = 0; i < 3 && looked == 0; i++) {
		assert_int_equal(write(tap, plain, small), small);
		usleep(10000);
		if (edge_recv(far, pool, &b, BURST_MAX) > 0) { /* this kernel goes on */
			assert_int_equal(i, 0);
			pkt_free(pool, b.p[0]);
			looked = -1;
			break;
		}
		looked = edge_look(far);
	}
	assert_int_equal(looked, -1);
	edge_unbind(far);
	assert_int_equal(edge_bind(far), 0);
	assert_int_equal(edge_restart(far), 0);
	assert_int_equal(write(tap, plain, small), small);
	usleep(10000);
	assert_int_equal(edge_recv(far, pool, &b, BURST_MAX), 1);
	pkt_free(pool, b.p[0]);
	assert_int_equal(edge_look(far), 0);
	edge_free(far);
	pktpool_free(pool);
	close(tap);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_stands_still),
	};
	int status = lab_enter();

	if (status != 0)
		return status;
	return cmocka_run_group_tests_name("edge_ring", tests, NULL, NULL);
}
