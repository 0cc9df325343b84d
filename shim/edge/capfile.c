#include <endian.h>
#include <string.h>
#include "capfile.h"

#define SNAPLEN 262144 /* what libpcap takes at most */

#define PCAP_MAGIC_NS 0xa1b23c4d
#define NG_SHB	      0x0a0d0d0a
#define NG_MAGIC      0x1a2b3c4d
#define NG_IDB	      1
#define NG_EPB	      6
#define NG_TSRESOL    9 /* option code; its value 9: units of 10^-9 s */

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

/* pcapng: a Section Header Block and an Interface Description Block. */
static int
begin_ng(FILE *out, int linktype)
{
	uint8_t shb[28] = {0}, idb[32] = {0};

	le32(shb, NG_SHB);
	le32(shb + 4, sizeof shb);
	le32(shb + 8, NG_MAGIC);
	le16(shb + 12, 1);	   /* version 1.0 */
	memset(shb + 16, 0xff, 8); /* length of the section: not said */
	le32(shb + 24, sizeof shb);

	le32(idb, NG_IDB);
	le32(idb + 4, sizeof idb);
	le16(idb + 8, (uint16_t)linktype);
	le32(idb + 12, SNAPLEN);
	le16(idb + 16, NG_TSRESOL);
	le16(idb + 18, 1);
	idb[20] = 9;
	le32(idb + 28, sizeof idb); /* behind opt_endofopt, four zero octets */
	return put(out, shb, sizeof shb) == -1 ? -1 : put(out, idb, sizeof idb);
}

int
capfile_begin(FILE *out, enum capfile_form form, int linktype)
{
	uint8_t h[24] = {0};

	if (form == CAPFILE_PCAPNG)
		return begin_ng(out, linktype);
	le32(h, PCAP_MAGIC_NS);
	le16(h + 4, 2); /* version 2.4 */
	le16(h + 6, 4);
	le32(h + 16, SNAPLEN);
	le32(h + 20, (uint32_t)linktype);
	return put(out, h, sizeof h);
}

/* pcapng: an Enhanced Packet Block without options. */
static int
packet_ng(FILE *out, uint64_t ts, const void *frame, uint32_t len)
{
	static const uint8_t zero[3];
	uint32_t fill = -len & 3, total = 32 + len + fill;
	uint8_t h[28] = {0}, end[4];

	le32(h, NG_EPB);
	le32(h + 4, total);
	le32(h + 12, (uint32_t)(ts >> 32));
	le32(h + 16, (uint32_t)ts);
	le32(h + 20, len);
	le32(h + 24, len);
	le32(end, total);
	if (put(out, h, sizeof h) == -1 || put(out, frame, len) == -1 || put(out, zero, fill) == -1)
		return -1;
	return put(out, end, sizeof end);
}

int
capfile_packet(FILE *out, enum capfile_form form, uint64_t ts, const void *frame, uint32_t len)
{
	uint8_t h[16];

	if (form == CAPFILE_PCAPNG)
		return packet_ng(out, ts, frame, len);
	le32(h, (uint32_t)(ts / 1000000000u));
	le32(h + 4, (uint32_t)(ts % 1000000000u));
	le32(h + 8, len);
	le32(h + 12, len);
	return put(out, h, sizeof h) == -1 ? -1 : put(out, frame, len);
}
