/* links: bits_edge bits_walk bits_base bits_spd bits_sadb */
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include "walkbed.h"

#define AH_AT	54 /* Ethernet, IPv6 */
#define ICV_LEN 16
#define PAD_AT	(AH_AT + 12 + ICV_LEN)

/* The ICV over a packet as it stands, by another hand: RFC 4302 3.3.3. */
static void
icv6(const uint8_t *frame, uint32_t len, uint8_t icv[EVP_MAX_MD_SIZE])
{
	uint8_t text[2000], key[32];
	unsigned n;

	for (unsigned i = 0; i < sizeof key; i++)
		key[i] = (uint8_t)(99 + 7 * i); /* pair_key() */
	memcpy(text, frame + 14, len - 14);
	put32(text, 6u << 28);
	text[7] = 0;
	memset(text + AH_AT - 14 + 12, 0, ICV_LEN);
	assert_non_null(HMAC(EVP_sha256(), key, sizeof key, text, len - 14, icv, &n));
}

/*
 * Behind a 16 octet ICV an IPv6 AH header has four octets of padding.  The sender chooses them and the ICV covers them as they are
 * (3.3.3.2.1); Linux sends what was in the buffer before.
 */
static void
test_padding_is_covered(void **state)
{
	static const struct pair_sa ah6 = {
	    IPSEC_AH, MODE_TRANSPORT, "fd00::1", "fd00::2", NULL, "hmac-sha2-256"};
	uint8_t f[2000], wire[2000], got[2000], icv[EVP_MAX_MD_SIZE];
	uint32_t len = frame_make_udp(f, "fd00::1", "fd00::2", 1111, 2222, 0, 100);
	int n;

	pair_protect(&pr, &ah6, 1, "fd00::1", "fd00::2");
	host_send1(&pr.a, f, len);
	n = edge_mem_take(pr.a.w.lower, wire, sizeof wire);
	assert_int_equal(n, len + 32);
	assert_int_equal(get32(wire + PAD_AT), 0);
	icv6(wire, (uint32_t)n, icv);
	assert_memory_equal(wire + AH_AT + 12, icv, ICV_LEN);

	put32(wire + PAD_AT, 0x9b7d2648); /* on the way: a forgery */
	host_receive1(&pr.b, wire, (uint32_t)n);
	assert_int_equal(edge_mem_take(pr.b.w.upper, got, sizeof got), -1);
	assert_int_equal(dropped(&pr.b, DIR_IN, DROP_AUTH_FAILED), 1);

	icv6(wire, (uint32_t)n, icv); /* by the sender: right */
	memcpy(wire + AH_AT + 12, icv, ICV_LEN);
	host_receive1(&pr.b, wire, (uint32_t)n);
	assert_int_equal(edge_mem_take(pr.b.w.upper, got, sizeof got), len);
	assert_memory_equal(got, f, len);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_padding_is_covered, setup, teardown),
	};

	return walkbed_run("AH", tests, sizeof tests / sizeof tests[0]);
}
