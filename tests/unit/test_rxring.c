/* links: bits_edge */
/* The ring's arithmetic, on memory that no kernel writes to. */
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "rxring.h"
#include "vnet.h"

static struct rxring r;

static int
setup(void **state)
{
	r = (struct rxring){.map = calloc(RXRING_SLOTS, RXRING_SLOT)};
	return r.map ? 0 : -1;
}

static int
teardown(void **state)
{
	free(r.map);
	return 0;
}

static struct tpacket2_hdr *
slot(uint32_t n)
{
	return (struct tpacket2_hdr *)(void *)(r.map + (size_t)n * RXRING_SLOT);
}

/* What the kernel does with a frame of ${len} octets in slot ${n}. */
static void
arrive(uint32_t n, uint32_t status, uint32_t len)
{
	struct tpacket2_hdr *h = slot(n);

	h->tp_mac = 76;
	h->tp_len = len;
	h->tp_snaplen = len < RXRING_SLOT - 76 ? len : RXRING_SLOT - 76;
	memset((uint8_t *)h + 76, (int)(n & 0xff), h->tp_snaplen);
	h->tp_status = TP_STATUS_USER | status;
}

/* Each slot in turn, and the first again behind the last; a slot is the kernel's as soon as it is let go. */
static void
test_turns(void **state)
{
	struct rxring_frame f;

	for (uint32_t i = 0; i < 2 * RXRING_SLOTS + 3; i++) {
		uint32_t n = i % RXRING_SLOTS;

		assert_true(rxring_empty(&r));
		assert_false(rxring_peek(&r, &f));
		arrive(n, 0, 60);
		assert_false(rxring_empty(&r));
		assert_true(rxring_peek(&r, &f));
		assert_true(rxring_peek(&r, &f)); /* it waits */
		assert_int_equal(f.len, 60);
		assert_int_equal(f.data[59], n & 0xff);
		assert_ptr_equal(f.data, (uint8_t *)slot(n) + 76);
		assert_ptr_equal(f.vnet, f.data - VNET_HLEN);
		assert_false(f.cut || f.queued);
		rxring_next(&r);
		assert_int_equal(slot(n)->tp_status, TP_STATUS_KERNEL);
	}
	/* the number wraps where its slot does */
	r.at = UINT32_MAX;
	arrive(RXRING_SLOTS - 1, 0, 60);
	assert_true(rxring_peek(&r, &f));
	rxring_next(&r);
	arrive(0, 0, 61);
	assert_true(rxring_peek(&r, &f));
	assert_int_equal(f.len, 61);
}

static void
test_longer(void **state)
{
	struct rxring_frame f;

	arrive(0, 0, RXRING_SLOT - 76);
	assert_true(rxring_peek(&r, &f));
	assert_false(f.cut);
	arrive(0, 0, RXRING_SLOT - 75);
	assert_true(rxring_peek(&r, &f));
	assert_true(f.cut && !f.queued);
	arrive(0, TP_STATUS_COPY, 9000);
	assert_true(rxring_peek(&r, &f));
	assert_true(f.cut && f.queued);
}

static void
test_tags(void **state)
{
	struct rxring_frame f;

	arrive(0, 0, 60);
	slot(0)->tp_vlan_tci = 7;
	assert_true(rxring_peek(&r, &f));
	assert_int_equal(f.tpid, 0);
	slot(0)->tp_status |= TP_STATUS_VLAN_VALID;
	assert_true(rxring_peek(&r, &f));
	assert_int_equal(f.tpid, ETH_P_8021Q);
	assert_int_equal(f.tci, 7);
	slot(0)->tp_status |= TP_STATUS_VLAN_TPID_VALID;
	slot(0)->tp_vlan_tpid = ETH_P_8021AD;
	assert_true(rxring_peek(&r, &f));
	assert_int_equal(f.tpid, ETH_P_8021AD);
}

/* Nothing outside of the slot is read, whatever stands in it. */
static void
test_bounds(void **state)
{
	static const uint16_t mac[] = {0, 10, 41, 42, RXRING_SLOT - 1, RXRING_SLOT, 65535};
	struct rxring_frame f;

	for (size_t i = 0; i < sizeof mac / sizeof *mac; i++) {
		arrive(0, 0, 60);
		slot(0)->tp_mac = mac[i];
		slot(0)->tp_snaplen = slot(0)->tp_len = 1u << 31;
		assert_true(rxring_peek(&r, &f));
		assert_true(f.data >= (uint8_t *)slot(0) && f.data + f.len <= (uint8_t *)slot(1));
		assert_true(f.cut);
		assert_true(
		    f.vnet == NULL || f.vnet >= (uint8_t *)slot(0) + sizeof(struct tpacket2_hdr));
		assert_true(f.vnet == NULL || f.vnet + VNET_HLEN <= (uint8_t *)slot(1));
	}
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_turns),
	    T(test_longer),
	    T(test_tags),
	    T(test_bounds),
	};

	return cmocka_run_group_tests_name("rxring", tests, NULL, NULL);
}
