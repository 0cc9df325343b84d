/* links: bits_walk bits_base bits_spd bits_sadb */
/*
 * The ring of a capture, with what a writer that is not to be trusted left in it: the reader, which may be root's ipsecctl, takes no octet from
 * outside of the ring and none twice, gives no more than was asked for, and comes to an end.
 */
#include "capring.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct capring *r;
	static uint8_t octets[2000];
	struct input in = {data, len};
	struct capture_rec rec;
	uint32_t cap, at;
	unsigned n = 0;
	uint64_t was;
	int rc;

	if (r == NULL && (r = calloc(1, sizeof *r)) == NULL)
		abort();
	capring_begin(r);
	r->tail = (uint64_t)input32(&in) << 32 | input32(&in);
	r->head =
	    input8(&in) & 1 ? r->tail + input32(&in) : (uint64_t)input32(&in) << 32 | input32(&in);
	cap = input16(&in) % sizeof octets;
	at = (uint32_t)(r->tail % CAPRING_DATA);
	for (size_t i = 0; i < in.left; i++)
		r->data[(at + i) % CAPRING_DATA] = in.p[i];
	do {
		was = r->tail;
		memset(octets + cap, 0xa5, sizeof octets - cap);
		rc = capring_get(r, &rec, octets, cap);
		for (size_t i = cap; i < sizeof octets && i < cap + 64u; i++)
			assert_int_equal(octets[i], 0xa5);
		if (rc == 1) {
			assert_true(rec.caplen <= cap && rec.caplen <= rec.len);
			assert_true(r->tail - was >= sizeof rec && r->tail - was <= r->head - was);
		} else {
			assert_int_equal(r->tail, was);
		}
	} while (rc == 1 && ++n < 1000);
	/* what was written there stays there for the next input no longer */
	for (size_t i = 0; i < in.left; i++)
		r->data[(at + i) % CAPRING_DATA] = 0;
	return 0;
}
