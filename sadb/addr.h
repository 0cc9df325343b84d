/*
 * IP addresses as values: one type for both families, ranges of them, text in and out.
 */
#ifndef BITS_ADDR_H
#define BITS_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* An address, network order.  ${af} is 4, 6 or 0 (none given).  For IPv4 b[4..15] are zero, so that
 * memcmp over the whole struct compares two addresses. */
struct ipaddr {
	uint8_t b[16];
	uint8_t af;
	uint8_t pad[3];
};

/* An inclusive range; both ends of one family.  af 0: every address of every family ("any"). */
struct iprange {
	struct ipaddr lo, hi;
};

#define IPADDR_STRLEN  48                          /* longest text of an address, NUL included */
#define IPRANGE_STRLEN (2 * IPADDR_STRLEN + 2)

/** ipaddr_from(af, octets): the address whose 4 or 16 octets (network order) lie at ${octets}. */
static inline struct ipaddr
ipaddr_from(unsigned af, const uint8_t *octets)
{
	struct ipaddr a = {.af = (uint8_t)af};

	memcpy(a.b, octets, af == 4 ? 4 : 16);
	return a;
}

/** ipaddr_len(a): octets of an address of ${a}'s family on the wire: 4 or 16; 0 for none. */
static inline size_t
ipaddr_len(const struct ipaddr *a)
{
	return a->af == 4 ? 4 : a->af == 6 ? 16 : 0;
}

static inline bool
ipaddr_eq(const struct ipaddr *a, const struct ipaddr *b)
{
	return memcmp(a, b, sizeof *a) == 0;
}

/** ipaddr_cmp(a, b): order by family, then by value; like memcmp. */
int ipaddr_cmp(const struct ipaddr *a, const struct ipaddr *b);

/** ipaddr_parse(text, a): numeric IPv4 or IPv6 text, whole string.  0, or -1 and ${a} untouched. */
int ipaddr_parse(const char *text, struct ipaddr *a);

/** ipaddr_print(a, buf): canonical text ("10.0.0.1", RFC 5952 for IPv6; "any" for af 0); returns ${buf}. */
char *ipaddr_print(const struct ipaddr *a, char buf[static IPADDR_STRLEN]);

/** ipaddr_multicast(a), ipaddr_unspecified(a): a class of address; false for af 0. */
bool ipaddr_multicast(const struct ipaddr *a);
bool ipaddr_unspecified(const struct ipaddr *a);

/**
 * iprange_parse(text, r):
 * "any", an address, a prefix a/len (host bits are cleared; IPv4 may be short, 10/8), or a range a-b.  0; -1 when it is none of
 * these; -2 when a range runs backwards or mixes families, or a prefix is too long.
 */
int iprange_parse(const char *text, struct iprange *r);

/** iprange_print(r, buf): shortest text: "any", address, a/len where it is a prefix, else a-b. */
char *iprange_print(const struct iprange *r, char buf[static IPRANGE_STRLEN]);

/** iprange_prefix(r): the prefix length ${r} is, or -1 when it is no prefix ("any": -1). */
int iprange_prefix(const struct iprange *r);

/** iprange_single(r): is it exactly one address? */
bool iprange_single(const struct iprange *r);

/** iprange_contains(outer, inner): is each address of ${inner} in ${outer}? */
bool iprange_contains(const struct iprange *outer, const struct iprange *inner);

/** iprange_has(r, a): is ${a} in ${r}?  Hot path: inline. */
static inline bool
iprange_has(const struct iprange *r, const struct ipaddr *a)
{
	if (r->lo.af == 0)
		return true;
	if (r->lo.af != a->af)
		return false;
	return memcmp(a->b, r->lo.b, 16) >= 0 && memcmp(a->b, r->hi.b, 16) <= 0;
}

#endif
