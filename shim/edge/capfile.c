#include <endian.h>
#include <string.h>
#include "capfile.h"

#define SNAPLEN 262144 /* what libpcap takes at most */

#define PCAP_MAGIC_NS 0xa1b23c4d
#define NG_SHB	      0x0a0d0d0a
#define NG_MAGIC      0x1a2b3c4d
#define NG_IDB	      1
#define NG_EPB	      6
#define NG_ISB	      5

/* Options (https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-02.html). */
#define NG_COMMENT	  1
#define NG_IF_NAME	  2
#define NG_IF_DESCRIPTION 3
#define NG_TSRESOL	  9 /* its value 9: units of 10^-9 s */
#define NG_IFRECV	  4
#define NG_IFDROP	  5

#define TEXT_MAX  1000
#define BLOCK_MAX (3 * (TEXT_MAX + 8) + 100)

static void
le16(uint8_t *b, uint16_t v)
{
	v = htole16(v);
	memcpy(b, &v, sizeof v);
}

static void
le32(uint8_t *b, uint32_t v)
{
	v = htole32(v);
	memcpy(b, &v, sizeof v);
}

static int
put(FILE *out, const void *octets, size_t len)
{
	return len == 0 || fwrite(octets, len, 1, out) == 1 ? 0 : -1;
}

enum capfile_form
capfile_form_of(const char *name)
{
	static const char ng[] = ".pcapng";
	size_t len = strlen(name);

	return len >= sizeof ng - 1 && strcmp(name + len - (sizeof ng - 1), ng) == 0
		   ? CAPFILE_PCAPNG
		   : CAPFILE_PCAP;
}

/* An option of a block: code, length, value, filled to four octets.  Returns its size, also for ${b} NULL. */
static size_t
option(uint8_t *b, uint16_t code, const void *value, size_t len)
{
	size_t size = 4 + ((len + 3) & ~(size_t)3);

	if (b != NULL) {
		memset(b, 0, size);
		le16(b, code);
		le16(b + 2, (uint16_t)len);
		memcpy(b + 4, value, len);
	}
	return size;
}

/* Text as an option that may be absent; what is longer than an option can be is cut. */
static size_t
text_option(uint8_t *b, uint16_t code, const char *text)
{
	size_t len = text != NULL ? strlen(text) : 0;

	return text == NULL ? 0 : option(b, code, text, len > TEXT_MAX ? TEXT_MAX : len);
}

/* A whole block: ${len} octets of body without options stand at b + 8 already, ${opts} octets of options behind them; adds
 * opt_endofopt where there are options, and the lengths. */
static int
put_block(FILE *out, uint8_t *b, uint32_t type, size_t len, size_t opts)
{
	uint32_t total = (uint32_t)(8 + len + opts + (opts ? 4 : 0) + 4);

	memset(b + 8 + len + opts, 0, total - 8 - len - opts);
	le32(b, type);
	le32(b + 4, total);
	le32(b + total - 4, total);
	return put(out, b, total);
}

int
capfile_section(FILE *out, const char *comment)
{
	uint8_t b[BLOCK_MAX];
	size_t n;

	le32(b + 8, NG_MAGIC);
	le32(b + 12, 1);	 /* version 1.0 */
	memset(b + 16, 0xff, 8); /* length of the section: not said */
	n = text_option(b + 24, NG_COMMENT, comment);
	return put_block(out, b, NG_SHB, 16, n);
}

int
capfile_interface(FILE *out, int linktype, const char *name, const char *text)
{
	uint8_t b[BLOCK_MAX], ns = 9;
	size_t n;

	le32(b + 8, (uint16_t)linktype);
	le32(b + 12, SNAPLEN);
	n = text_option(b + 16, NG_IF_NAME, name);
	n += text_option(b + 16 + n, NG_IF_DESCRIPTION, text);
	n += option(b + 16 + n, NG_TSRESOL, &ns, 1);
	return put_block(out, b, NG_IDB, 8, n);
}

int
capfile_statistics(FILE *out, uint32_t interface, uint64_t ts, uint64_t got, uint64_t lost)
{
	uint64_t received = htole64(got), dropped = htole64(lost);
	uint8_t b[BLOCK_MAX];
	size_t n;

	le32(b + 8, interface);
	le32(b + 12, (uint32_t)(ts >> 32));
	le32(b + 16, (uint32_t)ts);
	n = option(b + 20, NG_IFRECV, &received, 8);
	n += option(b + 20 + n, NG_IFDROP, &dropped, 8);
	return put_block(out, b, NG_ISB, 12, n);
}

int
capfile_begin(FILE *out, enum capfile_form form, int linktype)
{
	uint8_t h[24] = {0};

	if (form == CAPFILE_PCAPNG)
		return capfile_section(out, NULL) == -1
			   ? -1
			   : capfile_interface(out, linktype, NULL, NULL);
	le32(h, PCAP_MAGIC_NS);
	le16(h + 4, 2); /* version 2.4 */
	le16(h + 6, 4);
	le32(h + 16, SNAPLEN);
	le32(h + 20, (uint32_t)linktype);
	return put(out, h, sizeof h);
}

/* pcapng: an Enhanced Packet Block. */
static int
packet_ng(FILE *out, const struct capfile_packet *p)
{
	static const uint8_t zero[3];
	uint32_t len = p->nhead + p->len, fill = -len & 3;
	uint8_t h[28], end[TEXT_MAX + 16];
	size_t n = text_option(end, NG_COMMENT, p->comment);
	uint32_t total;

	if (n > 0) { /* opt_endofopt */
		memset(end + n, 0, 4);
		n += 4;
	}
	total = (uint32_t)(sizeof h + len + fill + n + 4);
	le32(end + n, total);
	le32(h, NG_EPB);
	le32(h + 4, total);
	le32(h + 8, p->interface);
	le32(h + 12, (uint32_t)(p->ts >> 32));
	le32(h + 16, (uint32_t)p->ts);
	le32(h + 20, len);
	le32(h + 24, len + p->lost);
	if (put(out, h, sizeof h) == -1 || put(out, p->head, p->nhead) == -1 ||
	    put(out, p->data, p->len) == -1 || put(out, zero, fill) == -1)
		return -1;
	return put(out, end, n + 4);
}

int
capfile_packet(FILE *out, enum capfile_form form, const struct capfile_packet *p)
{
	uint8_t h[16];

	if (form == CAPFILE_PCAPNG)
		return packet_ng(out, p);
	le32(h, (uint32_t)(p->ts / 1000000000u));
	le32(h + 4, (uint32_t)(p->ts % 1000000000u));
	le32(h + 8, p->nhead + p->len);
	le32(h + 12, p->nhead + p->len + p->lost);
	if (put(out, h, sizeof h) == -1 || put(out, p->head, p->nhead) == -1)
		return -1;
	return put(out, p->data, p->len);
}
