/*
 * The Internet checksum (RFC 1071).  Words are added in two halves, so that 32 bits hold the sums of a whole chunk and the compiler
 * can run the loop in vector registers.
 */
#include <netinet/in.h>
#include "datapath.h"

#define CHUNK 65536 /* 16384 words of at most 0xffff a half: no sum overflows */

/* ${len}, a multiple of 4 and at most CHUNK, octets; copied to ${to} when ${copy}, which the compiler knows. */
static inline __attribute__((always_inline)) uint64_t
words(uint64_t sum, uint8_t *restrict to, const uint8_t *restrict octets, size_t len, bool copy)
{
	uint32_t word, low = 0, high = 0;

	for (size_t i = 0; i < len; i += 4) {
		memcpy(&word, octets + i, 4);
		if (copy)
			memcpy(to + i, &word, 4);
		low += word & 0xffff;
		high += word >> 16;
	}
	return sum + low + high;
}

static inline __attribute__((always_inline)) uint64_t
add(uint64_t sum, uint8_t *restrict to, const uint8_t *restrict octets, size_t len, bool copy)
{
	uint8_t last[4] = {0};
	size_t n;

	for (; len >= 4; octets += n, len -= n) {
		n = len < CHUNK ? len & ~(size_t)3 : CHUNK;
		sum = words(sum, to, octets, n, copy);
		if (copy)
			to += n;
	}
	if (len == 0)
		return sum;
	memcpy(last, octets, len);
	if (copy)
		memcpy(to, last, len);
	return words(sum, NULL, last, sizeof last, false);
}

uint64_t
cksum_add(uint64_t sum, const uint8_t *octets, size_t len)
{
	return add(sum, NULL, octets, len, false);
}

uint64_t
cksum_copy(uint8_t *restrict to, const uint8_t *restrict octets, size_t len)
{
	return add(0, to, octets, len, true);
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

uint64_t
cksum_pseudo(const uint8_t *ip, uint8_t proto, uint32_t len)
{
	bool four = ip[0] >> 4 == 4;
	uint8_t rest[8] = {[7] = proto};

	put32(rest, len);
	return cksum_add(cksum_add(0, ip + (four ? 12 : 8), four ? 8 : 32), rest, sizeof rest);
}

uint16_t
cksum_l4(const uint8_t *ip, uint8_t proto, const uint8_t *l4, uint32_t len)
{
	return cksum_part(ip, proto, l4, len, len);
}

uint16_t
cksum_part(const uint8_t *ip, uint8_t proto, const uint8_t *l4, uint32_t len, uint32_t covered)
{
	uint16_t v = cksum_fold(cksum_add(cksum_pseudo(ip, proto, len), l4, covered));

	return v == 0 && (proto == IPPROTO_UDP || proto == IPPROTO_UDPLITE) ? 0xffff : v;
}
