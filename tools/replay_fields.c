#include "replay_fields.h"

#include <inttypes.h>
#include <netinet/in.h>
#include "addr.h"

/* A field of a header: where it begins and how many bits it has. */
struct row {
	const char *name;
	uint16_t bit, bits;
	uint8_t kind;
};

#define ROWS(t) (sizeof(t) / sizeof *(t))

static const struct row ether[] = {
    {"eth.dst", 0, 48, FIELD_MAC}, {"eth.src", 48, 48, FIELD_MAC}, {"eth.type", 96, 16, FIELD_HEX}};
static const struct row vlan[] = {{"vlan.priority", 0, 3, FIELD_DEC}, {"vlan.dei", 3, 1, FIELD_DEC},
    {"vlan.id", 4, 12, FIELD_DEC}, {"vlan.etype", 16, 16, FIELD_HEX}};
static const struct row ip4[] = {{"ip.version", 0, 4, FIELD_DEC}, {"ip.hdr_len", 4, 4, FIELD_DEC},
    {"ip.dsfield.dscp", 8, 6, FIELD_DEC}, {"ip.dsfield.ecn", 14, 2, FIELD_DEC},
    {"ip.len", 16, 16, FIELD_DEC}, {"ip.id", 32, 16, FIELD_HEX}, {"ip.flags.rb", 48, 1, FIELD_DEC},
    {"ip.flags.df", 49, 1, FIELD_DEC}, {"ip.flags.mf", 50, 1, FIELD_DEC},
    {"ip.frag_offset", 51, 13, FIELD_DEC}, {"ip.ttl", 64, 8, FIELD_DEC},
    {"ip.proto", 72, 8, FIELD_DEC}, {"ip.checksum", 80, 16, FIELD_HEX},
    {"ip.src", 96, 32, FIELD_IP4}, {"ip.dst", 128, 32, FIELD_IP4}};
static const struct row ip6[] = {{"ipv6.version", 0, 4, FIELD_DEC},
    {"ipv6.tclass.dscp", 4, 6, FIELD_DEC}, {"ipv6.tclass.ecn", 10, 2, FIELD_DEC},
    {"ipv6.flow", 12, 20, FIELD_HEX}, {"ipv6.plen", 32, 16, FIELD_DEC},
    {"ipv6.nxt", 48, 8, FIELD_DEC}, {"ipv6.hlim", 56, 8, FIELD_DEC},
    {"ipv6.src", 64, 128, FIELD_IP6}, {"ipv6.dst", 192, 128, FIELD_IP6}};
static const struct row frag6[] = {{"ipv6.fraghdr.nxt", 0, 8, FIELD_DEC},
    {"ipv6.fraghdr.reserved_octet", 8, 8, FIELD_DEC}, {"ipv6.fraghdr.offset", 16, 13, FIELD_DEC},
    {"ipv6.fraghdr.reserved_bits", 29, 2, FIELD_DEC}, {"ipv6.fraghdr.more", 31, 1, FIELD_DEC},
    {"ipv6.fraghdr.ident", 32, 32, FIELD_HEX}};
static const struct row esp[] = {
    {"esp.spi", 0, 32, FIELD_HEX}, {"esp.sequence", 32, 32, FIELD_DEC}};
static const struct row ah[] = {{"ah.next_header", 0, 8, FIELD_DEC}, {"ah.length", 8, 8, FIELD_DEC},
    {"ah.reserved", 16, 16, FIELD_HEX}, {"ah.spi", 32, 32, FIELD_HEX},
    {"ah.sequence", 64, 32, FIELD_DEC}};
static const struct row udp[] = {{"udp.srcport", 0, 16, FIELD_DEC},
    {"udp.dstport", 16, 16, FIELD_DEC}, {"udp.length", 32, 16, FIELD_DEC},
    {"udp.checksum", 48, 16, FIELD_HEX}};
static const struct row tcp[] = {{"tcp.srcport", 0, 16, FIELD_DEC},
    {"tcp.dstport", 16, 16, FIELD_DEC}, {"tcp.seq_raw", 32, 32, FIELD_DEC},
    {"tcp.ack_raw", 64, 32, FIELD_DEC}, {"tcp.hdr_len", 96, 4, FIELD_DEC},
    {"tcp.flags", 100, 12, FIELD_HEX}, {"tcp.window_size_value", 112, 16, FIELD_DEC},
    {"tcp.checksum", 128, 16, FIELD_HEX}, {"tcp.urgent_pointer", 144, 16, FIELD_DEC}};
static const struct row icmp[] = {{"icmp.type", 0, 8, FIELD_DEC}, {"icmp.code", 8, 8, FIELD_DEC},
    {"icmp.checksum", 16, 16, FIELD_HEX}};
static const struct row icmp6[] = {{"icmpv6.type", 0, 8, FIELD_DEC},
    {"icmpv6.code", 8, 8, FIELD_DEC}, {"icmpv6.checksum", 16, 16, FIELD_HEX}};

/* Where the frame is read, and what was found. */
struct reader {
	const uint8_t *at;
	uint32_t left;
	struct field *f;
	unsigned n;
};

static uint32_t
number(const uint8_t *h, unsigned bit, unsigned bits)
{
	uint64_t v = 0;

	for (unsigned i = bit / 8; i <= (bit + bits - 1) / 8; i++)
		v = v << 8 | h[i];
	v >>= 7 - (bit + bits - 1) % 8;
	return (uint32_t)(v & ((UINT64_C(1) << bits) - 1));
}

static void
advance(struct reader *r, uint32_t len)
{
	r->at += len;
	r->left -= len;
}

/* ${len} octets without further structure; nothing for none. */
static void
octets(struct reader *r, const char *name, uint32_t len)
{
	if (len > r->left)
		len = r->left;
	if (len == 0 || r->n == FIELDS_MAX)
		return;
	r->f[r->n++] = (struct field){.name = name, .kind = FIELD_OCTETS, .at = r->at, .len = len};
	advance(r, len);
}

/* A header of ${n} rows; false: it is not all there, or there is no room. */
static bool
header(struct reader *r, const struct row *rows, size_t n)
{
	uint32_t len = (rows[n - 1].bit + rows[n - 1].bits + 7u) / 8;

	if (r->left < len || r->n + n >= FIELDS_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct row *w = &rows[i];
		struct field *f = &r->f[r->n++];

		*f = (struct field){.name = w->name,
		    .kind = w->kind,
		    .at = r->at + w->bit / 8,
		    .len = w->bits / 8u};
		if (w->kind == FIELD_DEC || w->kind == FIELD_HEX) {
			f->bits = (uint8_t)w->bits;
			f->value = number(r->at, w->bit, w->bits);
		}
	}
	advance(r, len);
	return true;
}

static void layer(struct reader *r, unsigned proto, unsigned depth);

static void
layer_ip(struct reader *r, unsigned depth)
{
	const uint8_t *h = r->at;
	uint32_t hlen;

	if (r->left == 0 || depth > 4)
		return;
	if (*h >> 4 == 6 && header(r, ip6, ROWS(ip6))) {
		layer(r, h[6], depth);
	} else if (*h >> 4 == 4 && header(r, ip4, ROWS(ip4))) {
		hlen = (*h & 15u) * 4;
		octets(r, "ip.opt", hlen > 20 ? hlen - 20 : 0);
		if ((get16(h + 6) & 0x1fff) == 0)
			layer(r, h[9], depth);
	}
}

/* An IPv6 extension header of the common form. */
static void
layer_options(struct reader *r, const char *name, unsigned depth)
{
	unsigned next = r->left >= 2 ? r->at[0] : IPPROTO_NONE;

	octets(r, name, r->left >= 2 ? r->at[1] * 8u + 8 : r->left);
	layer(r, next, depth);
}

static void
layer(struct reader *r, unsigned proto, unsigned depth)
{
	const uint8_t *h = r->at;

	switch (proto) {
	case IPPROTO_IPIP:
	case IPPROTO_IPV6:
		layer_ip(r, depth + 1);
		break;
	case IPPROTO_HOPOPTS:
		layer_options(r, "ipv6.hopopts", depth);
		break;
	case IPPROTO_ROUTING:
		layer_options(r, "ipv6.routing", depth);
		break;
	case IPPROTO_DSTOPTS:
		layer_options(r, "ipv6.dstopts", depth);
		break;
	case IPPROTO_FRAGMENT:
		if (header(r, frag6, ROWS(frag6)) && (get16(h + 2) & 0xfff8) == 0)
			layer(r, h[0], depth);
		break;
	case IPPROTO_ESP:
		if (header(r, esp, ROWS(esp)))
			octets(r, "esp.encrypted_data", r->left);
		break;
	case IPPROTO_AH:
		if (header(r, ah, ROWS(ah))) {
			octets(r, "ah.icv", (h[1] + 2u) * 4 > 12 ? (h[1] + 2u) * 4 - 12 : 0);
			layer(r, h[0], depth);
		}
		break;
	case IPPROTO_UDP:
		if (header(r, udp, ROWS(udp)) && (get16(h) == 4500 || get16(h + 2) == 4500) &&
		    r->left >= 8 && get32(r->at) != 0)
			layer(r, IPPROTO_ESP, depth); /* RFC 3948 2.2 */
		break;
	case IPPROTO_TCP:
		if (header(r, tcp, ROWS(tcp)) && (h[12] >> 4) > 5)
			octets(r, "tcp.options", ((h[12] >> 4) - 5u) * 4);
		break;
	case IPPROTO_ICMP:
		header(r, icmp, ROWS(icmp));
		break;
	case IPPROTO_ICMPV6:
		header(r, icmp6, ROWS(icmp6));
		break;
	}
}

unsigned
fields_of(const struct pkt *p, struct field f[static FIELDS_MAX])
{
	struct reader r = {.at = pkt_data(p), .left = p->len, .f = f};
	uint16_t etype = 0;

	if (p->link == LINK_RAWIP) {
		layer_ip(&r, 0);
	} else if (header(&r, ether, ROWS(ether))) {
		etype = get16(r.at - 2);
		while (
		    (etype == ETYPE_8021Q || etype == ETYPE_8021AD) && header(&r, vlan, ROWS(vlan)))
			etype = get16(r.at - 2);
		if (etype == ETYPE_IP4 || etype == ETYPE_IP6)
			layer_ip(&r, 0);
	}
	octets(&r, "data.data", r.left);
	return r.n;
}

static void
print(const struct field *f, FILE *out)
{
	char text[IPADDR_STRLEN];
	struct ipaddr a;

	switch ((enum field_kind)f->kind) {
	case FIELD_DEC:
		fprintf(out, "%" PRIu32, f->value);
		break;
	case FIELD_HEX:
		fprintf(out, "0x%0*" PRIx32, (f->bits + 3) / 4, f->value);
		break;
	case FIELD_IP4:
	case FIELD_IP6:
		a = ipaddr_from(f->kind == FIELD_IP4 ? 4 : 6, f->at);
		fputs(ipaddr_print(&a, text), out);
		break;
	case FIELD_MAC:
	case FIELD_OCTETS:
		for (uint32_t i = 0; i < f->len && i < 32; i++)
			fprintf(out, "%s%02x", i && f->kind == FIELD_MAC ? ":" : "", f->at[i]);
		if (f->kind == FIELD_OCTETS)
			fprintf(out, "%s (%" PRIu32 " octets)", f->len > 32 ? "..." : "", f->len);
		break;
	}
}

static bool
same(const struct field *a, const struct field *b)
{
	if (a->kind == FIELD_DEC || a->kind == FIELD_HEX)
		return a->value == b->value;
	return a->len == b->len && memcmp(a->at, b->at, a->len) == 0;
}

/* Octets, from the first that differs. */
static void
differ_octets(const struct field *a, const struct field *b, FILE *out)
{
	struct field x = *a, y = *b;
	uint32_t at = 0;

	while (at < a->len && at < b->len && a->at[at] == b->at[at])
		at++;
	x.at += at;
	x.len -= at;
	y.at += at;
	y.len -= at;
	fprintf(out, "  %s from octet %" PRIu32 " is ", a->name, at);
	print(&x, out);
	fputs(", not ", out);
	print(&y, out);
	fputc('\n', out);
}

unsigned
fields_differ(const struct field *a, unsigned na, const struct field *b, unsigned nb, FILE *out)
{
	unsigned lines = 0, i;

	for (i = 0; i < na && i < nb && strcmp(a[i].name, b[i].name) == 0; i++) {
		if (same(&a[i], &b[i]))
			continue;
		lines++;
		if (a[i].kind == FIELD_OCTETS) {
			differ_octets(&a[i], &b[i], out);
			continue;
		}
		fprintf(out, "  %s is ", a[i].name);
		print(&a[i], out);
		fputs(", not ", out);
		print(&b[i], out);
		fputc('\n', out);
	}
	if (i < na || i < nb) {
		lines++;
		fprintf(out, "  then comes %s, not %s\n", i < na ? a[i].name : "the end",
		    i < nb ? b[i].name : "the end");
	}
	return lines;
}
