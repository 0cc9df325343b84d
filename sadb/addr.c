#include "addr.h"

#include <arpa/inet.h>
#include <stdio.h>

static const struct ipaddr none; /* af 0 */

int
ipaddr_cmp(const struct ipaddr *a, const struct ipaddr *b)
{
	if (a->af != b->af)
		return a->af < b->af ? -1 : 1;
	return memcmp(a->b, b->b, sizeof a->b);
}

int
ipaddr_parse(const char *text, struct ipaddr *a)
{
	uint8_t octets[16];

	if (inet_pton(AF_INET, text, octets) == 1)
		*a = ipaddr_from(4, octets);
	else if (inet_pton(AF_INET6, text, octets) == 1)
		*a = ipaddr_from(6, octets);
	else
		return -1;
	return 0;
}

char *
ipaddr_print(const struct ipaddr *a, char buf[static IPADDR_STRLEN])
{
	if (a->af == 0)
		strcpy(buf, "any");
	else if (inet_ntop(a->af == 4 ? AF_INET : AF_INET6, a->b, buf, IPADDR_STRLEN) == NULL)
		strcpy(buf, "?"); /* an af that no parser makes */
	return buf;
}

bool
ipaddr_multicast(const struct ipaddr *a)
{
	if (a->af == 4)
		return (a->b[0] & 0xf0) == 0xe0; /* RFC 5771 */
	return a->af == 6 && a->b[0] == 0xff;	 /* RFC 4291 2.7 */
}

bool
ipaddr_unspecified(const struct ipaddr *a)
{
	return a->af != 0 && memcmp(a->b, none.b, sizeof a->b) == 0;
}

/* The first and the last address that share ${bits} leading bits with ${a}. */
static void
prefix_ends(const struct ipaddr *a, unsigned bits, struct iprange *r)
{
	size_t len = ipaddr_len(a);

	r->lo = r->hi = *a;
	for (size_t i = 0; i < len; i++) {
		unsigned left = bits > 8 * i ? bits - 8 * (unsigned)i : 0;
		uint8_t mask = left >= 8 ? 0xff : (uint8_t)(0xff00 >> left);

		r->lo.b[i] &= mask;
		r->hi.b[i] |= (uint8_t)~mask;
	}
}

/* Decimal 0..999 and nothing else; -1 otherwise. */
static int
small_number(const char *text)
{
	int n = 0, digits = 0;

	for (; *text >= '0' && *text <= '9' && digits < 4; text++, digits++)
		n = 10 * n + (*text - '0');
	return digits >= 1 && digits <= 3 && *text == '\0' ? n : -1;
}

/* The address of a prefix; as OpenBSD's inet_net_pton(3) takes it, IPv4 may leave out octets: 10/8. */
static int
prefix_address(char *text, size_t cap, struct ipaddr *a)
{
	unsigned dots = 0;

	if (ipaddr_parse(text, a) == 0)
		return 0;
	if (*text == '\0' || text[strspn(text, "0123456789.")] != '\0')
		return -1;
	for (const char *p = text; *p != '\0'; p++)
		dots += *p == '.';
	for (; dots < 3 && strlen(text) + 3 <= cap; dots++)
		strcat(text, ".0");
	return ipaddr_parse(text, a);
}

int
iprange_parse(const char *text, struct iprange *r)
{
	char buf[IPRANGE_STRLEN], *sep;
	struct ipaddr a, b;
	int bits;

	if (strlen(text) >= sizeof buf)
		return -1;
	strcpy(buf, text);
	if (strcmp(buf, "any") == 0) {
		r->lo = r->hi = none;
		return 0;
	}
	if ((sep = strchr(buf, '/')) != NULL) {
		*sep++ = '\0';
		/* the length first: completing a short address writes over it */
		if ((bits = small_number(sep)) < 0 || prefix_address(buf, sizeof buf, &a) < 0)
			return -1;
		if ((size_t)bits > 8 * ipaddr_len(&a))
			return -2;
		prefix_ends(&a, (unsigned)bits, r);
		return 0;
	}
	if ((sep = strchr(buf, '-')) != NULL) {
		*sep++ = '\0';
		if (ipaddr_parse(buf, &a) < 0 || ipaddr_parse(sep, &b) < 0)
			return -1;
		if (a.af != b.af || ipaddr_cmp(&a, &b) > 0)
			return -2;
		r->lo = a;
		r->hi = b;
		return 0;
	}
	if (ipaddr_parse(buf, &a) < 0)
		return -1;
	r->lo = r->hi = a;
	return 0;
}

int
iprange_prefix(const struct iprange *r)
{
	size_t len = ipaddr_len(&r->lo);
	struct iprange p;
	unsigned bits = 0;

	if (len == 0)
		return -1;
	while (
	    bits < 8 * len && ((r->lo.b[bits / 8] ^ r->hi.b[bits / 8]) & (0x80 >> bits % 8)) == 0)
		bits++;
	prefix_ends(&r->lo, bits, &p);
	return ipaddr_eq(&p.lo, &r->lo) && ipaddr_eq(&p.hi, &r->hi) ? (int)bits : -1;
}

bool
iprange_single(const struct iprange *r)
{
	return r->lo.af != 0 && ipaddr_eq(&r->lo, &r->hi);
}

bool
iprange_contains(const struct iprange *outer, const struct iprange *inner)
{
	if (outer->lo.af == 0)
		return true;
	return inner->lo.af != 0 && iprange_has(outer, &inner->lo) &&
	       iprange_has(outer, &inner->hi);
}

char *
iprange_print(const struct iprange *r, char buf[static IPRANGE_STRLEN])
{
	char lo[IPADDR_STRLEN], hi[IPADDR_STRLEN];
	int bits = iprange_prefix(r);

	ipaddr_print(&r->lo, lo);
	if (r->lo.af == 0 || iprange_single(r))
		snprintf(buf, IPRANGE_STRLEN, "%s", lo);
	else if (bits >= 0)
		snprintf(buf, IPRANGE_STRLEN, "%s/%d", lo, bits);
	else
		snprintf(buf, IPRANGE_STRLEN, "%s-%s", lo, ipaddr_print(&r->hi, hi));
	return buf;
}
