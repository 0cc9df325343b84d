/*
 * The Internet checksum (RFC 1071).  Sums are carried in 64 bits and folded once, so that the compiler can run the loop
 * in vector registers.
 */
#include "datapath.h"

uint64_t
cksum_add(uint64_t sum, const uint8_t *octets, size_t len)
{
	uint32_t word;
	uint16_t half;

	for (; len >= 4; octets += 4, len -= 4) {
		memcpy(&word, octets, 4);
		sum += word;
	}
	if (len >= 2) {
		memcpy(&half, octets, 2);
		sum += half;
		octets += 2;
		len -= 2;
	}
	if (len) {
		half = 0;
		memcpy(&half, octets, 1);
		sum += half;
	}
	return sum;
}

uint16_t
cksum_fold(uint64_t sum)
{
	uint16_t v;

	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	v = (uint16_t)~sum;
	return (uint16_t)get16((const uint8_t *)&v);
}

uint16_t
cksum_ip4(const uint8_t *h, size_t hlen)
{
	uint64_t sum = cksum_add(0, h, 10);

	return cksum_fold(cksum_add(sum, h + 12, hlen - 12));
}
