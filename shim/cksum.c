/*
 * The Internet checksum (RFC 1071).  Sums are carried in 64 bits and folded once, so that the compiler can run the loop
 * in vector registers.
 */
#include <netinet/in.h>
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

uint16_t
cksum_l4(const uint8_t *ip, uint8_t proto, const uint8_t *l4, uint32_t len)
{
	bool four = ip[0] >> 4 == 4;
	uint8_t rest[8] = {[7] = proto};
	uint64_t sum;
	uint16_t v;

	put32(rest, len);
	sum = cksum_add(cksum_add(0, ip + (four ? 12 : 8), four ? 8 : 32), rest, sizeof rest);
	v = cksum_fold(cksum_add(sum, l4, len));
	return v == 0 && proto == IPPROTO_UDP ? 0xffff : v;
}
