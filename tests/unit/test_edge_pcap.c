/* links: bits_edge */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "edge.h"

#define ETHER 1
#define RAW   101
#define IPV4  228
#define IPV6  229
#define BSD   0
#define LOOP  108
#define SLL   113
#define SLL2  276

static char dir[64];
static struct pktpool *pool;

static int
setup(void **state)
{
	strcpy(dir, "/tmp/bits-pcap-XXXXXX");
	pool = pktpool_new(4, 2000);
	return mkdtemp(dir) && pool ? 0 : -1;
}

static int
teardown(void **state)
{
	char cmd[100];
	int left = (int)pktpool_left(pool);

	pktpool_free(pool);
	snprintf(cmd, sizeof cmd, "rm -r %s", dir);
	return system(cmd) == 0 && left == 4 ? 0 : -1;
}

/* The path of a file in our folder; two at a time. */
static char *
at(const char *name)
{
	static char path[4][128];
	static int turn;

	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
	return path[turn];
}

static void
write_file(const char *name, const void *octets, size_t len)
{
	FILE *f = fopen(at(name), "w");

	assert_non_null(f);
	assert_int_equal(fwrite(octets, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static size_t
read_file(const char *name, uint8_t *octets, size_t cap)
{
	FILE *f = fopen(at(name), "r");
	size_t n;

	assert_non_null(f);
	n = fread(octets, 1, cap, f);
	fclose(f);
	return n;
}

static void
le32(uint8_t *b, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		b[i] = (uint8_t)(v >> 8 * i);
}

/* A classic pcap by hand: header, then n packets of len octets (captured: caplen), microseconds. */
static size_t
pcap(uint8_t *f, uint32_t linktype, const uint8_t *frame, uint32_t caplen, uint32_t len, unsigned n)
{
	size_t at_octet = 24;

	memset(f, 0, 24);
	le32(f, 0xa1b2c3d4);
	f[4] = 2;
	f[6] = 4;
	le32(f + 16, 65535);
	le32(f + 20, linktype);
	for (unsigned i = 0; i < n; i++) {
		le32(f + at_octet, 1000 + i);
		le32(f + at_octet + 4, 7);
		le32(f + at_octet + 8, caplen);
		le32(f + at_octet + 12, len);
		memcpy(f + at_octet + 16, frame, caplen);
		at_octet += 16 + caplen;
	}
	return at_octet;
}

static void
give_back(struct burst *b)
{
	for (unsigned i = 0; i < b->n; i++)
		pkt_free(pool, b->p[i]);
	b->n = 0;
}

static struct edge *
open_edge(const char *in, const char *out)
{
	struct edge *e = edge_pcap_new(in, out, 1500);

	assert_non_null(e);
	assert_int_equal(edge_bind(e), 0);
	assert_int_equal(edge_restart(e), 0);
	return e;
}

/* Everything of ${in} to ${out}, as the replay does it; packets moved. */
static unsigned
copy(const char *in, const char *out)
{
	struct edge *e = open_edge(in, out);
	struct burst b;
	uint64_t ts;
	unsigned n = 0;

	while (edge_pcap_peek(e, &ts)) {
		assert_int_equal(edge_recv(e, pool, &b, 1), 1);
		assert_int_equal(b.p[0]->ts_ns, ts);
		assert_int_equal(b.p[0]->number, ++n);
		assert_int_equal(edge_send(e, &b), 1);
		give_back(&b);
	}
	assert_int_equal(edge_recv(e, pool, &b, 1), 0);
	edge_unbind(e);
	assert_null(edge_pcap_error(e));
	edge_free(e);
	return n;
}

/* Microseconds in, nanoseconds out, octet by octet as the format says; pcapng and back give the same packets. */
static void
test_round_trip(void **state)
{
	uint8_t f[2000], g[2000], h[2000];
	const uint8_t frame[21] = "\2\0\0\0\0\1\2\0\0\0\0\2\x08\0payload";
	size_t len = pcap(f, ETHER, frame, 21, 21, 3), n;

	write_file("a.pcap", f, len);
	assert_int_equal(copy(at("a.pcap"), at("b.pcap")), 3);
	n = read_file("b.pcap", g, sizeof g);
	assert_int_equal(n, len);
	le32(f, 0xa1b23c4d);
	le32(f + 16, 262144);
	for (int i = 0; i < 3; i++)
		le32(f + 24 + i * 37 + 4, 7000);
	assert_memory_equal(f, g, n);

	assert_int_equal(copy(at("b.pcap"), at("c.pcapng")), 3);
	n = read_file("c.pcapng", h, sizeof h);
	assert_int_equal(n, 28 + 32 + 3 * (32 + 24));
	assert_memory_equal(h, "\x0a\x0d\x0d\x0a", 4);
	assert_int_equal(copy(at("c.pcapng"), at("d.pcap")), 3);
	n = read_file("d.pcap", h, sizeof h);
	assert_int_equal(n, len);
	assert_memory_equal(h, g, n);
}

/* The output has its input's link type; one that was said goes before that. */
static void
test_linktypes(void **state)
{
	static const uint32_t types[] = {ETHER, RAW, IPV4, IPV6};
	const uint8_t ip4[20] = {0x45}, ip6[40] = {0x60};
	uint8_t f[200];
	struct edge *e;
	struct edge_caps c;

	for (size_t i = 0; i < 4; i++) {
		write_file("a.pcap", f,
		    types[i] == IPV6 ? pcap(f, types[i], ip6, 40, 40, 1)
				     : pcap(f, types[i], ip4, 20, 20, 1));
		assert_int_equal(copy(at("a.pcap"), at("b.pcap")), 1);
		read_file("b.pcap", f, sizeof f);
		assert_int_equal(f[20], types[i]);
		e = open_edge(at("b.pcap"), NULL);
		assert_int_equal(edge_pcap_linktype(e), types[i]);
		edge_caps(e, &c);
		assert_int_equal(c.linktype, types[i] == ETHER ? LINK_ETHER : LINK_RAWIP);
		edge_free(e);
	}
	e = edge_pcap_new(NULL, at("b.pcap"), 1500);
	assert_int_equal(edge_bind(e), 0);
	assert_int_equal(edge_pcap_linktype(e), -1);
	edge_pcap_write_as(e, RAW);
	assert_int_equal(edge_restart(e), 0);
	edge_free(e);
	assert_int_equal(read_file("b.pcap", f, sizeof f), 24);
	assert_int_equal(f[20], RAW);
}

/* Cooked and BSD headers: the walk sees Ethernet or IP, and what is written again is what was read, octet by octet. */
static void
test_other_linktypes(void **state)
{
	static const uint8_t v4[4] = {0x45, 0, 0, 4}, v6[4] = {0x60, 0, 0, 0};
	static const struct {
		uint32_t type;
		const uint8_t *head, *ip;
		uint32_t n;
		int link;
		uint16_t etype;
		bool same;
	} rows[] = {
	    {BSD, (const uint8_t *)"\2\0\0\0", v4, 4, LINK_RAWIP, 0, true},
	    {BSD, (const uint8_t *)"\x1e\0\0\0", v6, 4, LINK_RAWIP, 0, true},
	    {BSD, (const uint8_t *)"\0\0\0\x1c", v6, 4, LINK_RAWIP, 0,
		false}, /* FreeBSD, of the other byte order */
	    {LOOP, (const uint8_t *)"\0\0\0\2", v4, 4, LINK_RAWIP, 0, true},
	    {LOOP, (const uint8_t *)"\0\0\0\x18", v6, 4, LINK_RAWIP, 0, true},
	    {SLL, (const uint8_t *)"\0\4\0\1\0\6\2\0\0\0\0\x0a\0\0\x08\0", v4, 16, LINK_ETHER,
		0x0800, true},
	    {SLL, (const uint8_t *)"\0\2\0\1\0\6\2\0\0\0\0\x0a\0\0\x08\x06", v4, 16, LINK_ETHER,
		0x0806, true},
	    {SLL, (const uint8_t *)"\0\0\xff\xfe\0\0\0\0\0\0\0\0\0\0\x86\xdd", v6, 16, LINK_ETHER,
		0x86dd, true},
	    {SLL2, (const uint8_t *)"\x08\0\0\0\0\0\1\7\0\1\0\6\2\0\0\0\0\x0a\0\0", v4, 20,
		LINK_ETHER, 0x0800, true},
	    {SLL2, (const uint8_t *)"\x86\xdd\0\0\0\0\0\3\0\1\1\6\2\0\0\0\0\x0a\0\0", v6, 20,
		LINK_ETHER, 0x86dd, true},
	};
	uint8_t f[200], g[200], frame[24];
	struct burst b;
	struct edge *e;
	size_t len;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		memcpy(frame, rows[i].head, rows[i].n);
		memcpy(frame + rows[i].n, rows[i].ip, 4);
		len = pcap(f, rows[i].type, frame, rows[i].n + 4, rows[i].n + 4, 1);
		write_file("a.pcap", f, len);
		e = open_edge(at("a.pcap"), NULL);
		assert_int_equal(edge_recv(e, pool, &b, 1), 1);
		assert_int_equal(b.p[0]->drop, DROP_NONE);
		assert_int_equal(b.p[0]->link, rows[i].link);
		assert_int_equal(b.p[0]->len, rows[i].link == LINK_ETHER ? 18 : 4);
		if (rows[i].link == LINK_ETHER)
			assert_int_equal(get16(pkt_data(b.p[0]) + 12), rows[i].etype);
		assert_memory_equal(pkt_data(b.p[0]) + b.p[0]->len - 4, rows[i].ip, 4);
		give_back(&b);
		edge_free(e);
		assert_int_equal(copy(at("a.pcap"), at("b.pcap")), 1);
		assert_int_equal(read_file("b.pcap", g, sizeof g), len);
		assert_int_equal(get16(g + 20), get16(f + 20));
		assert_memory_equal(g + 40 + rows[i].n, f + 40 + rows[i].n, 4);
		if (rows[i].same)
			assert_memory_equal(g + 40, f + 40, rows[i].n);
	}
}

/* Link headers that are cut, or that say nothing of an EtherType: counted, whatever follows. */
static void
test_odd_linktypes(void **state)
{
	static const struct {
		uint32_t type, len;
		uint8_t frame[20];
		enum drop drop;
	} rows[] = {
	    {BSD, 3, {2}, DROP_TRUNCATED},
	    {BSD, 0, {0}, DROP_TRUNCATED},
	    {LOOP, 8, {0, 0, 0, 7}, DROP_BAD_HEADER},
	    {SLL, 15, {0}, DROP_TRUNCATED},
	    {SLL, 20, {0, 4, 824 >> 8, 824 & 0xff}, DROP_BAD_HEADER},
	    {SLL2, 19, {8}, DROP_TRUNCATED},
	    {SLL2, 20, {0, 0, 0, 0, 0, 0, 0, 1, 803 >> 8, 803 & 0xff}, DROP_BAD_HEADER},
	};
	uint8_t f[200];
	struct burst b;
	struct edge *e;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		write_file(
		    "a.pcap", f, pcap(f, rows[i].type, rows[i].frame, rows[i].len, rows[i].len, 1));
		e = open_edge(at("a.pcap"), NULL);
		assert_int_equal(edge_recv(e, pool, &b, 1), 1);
		assert_int_equal(b.p[0]->drop, rows[i].drop);
		give_back(&b);
		assert_int_equal(edge_recv(e, pool, &b, 1), 0);
		edge_free(e);
	}
}

/* Stamps that go back are counted, and the first one is named. */
static void
test_backwards(void **state)
{
	static const uint8_t stamp[] = {5, 3, 4, 5, 9, 8};
	const uint8_t frame[20] = {0};
	uint8_t f[400];
	uint64_t first, done, size;
	struct burst b;
	struct edge *e;
	size_t len = pcap(f, ETHER, frame, 20, 20, 6);

	for (size_t i = 0; i < 6; i++)
		le32(f + 24 + 36 * i, stamp[i]);
	write_file("a.pcap", f, len);
	e = open_edge(at("a.pcap"), NULL);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(edge_recv(e, pool, &b, 1), 1);
		give_back(&b);
	}
	assert_int_equal(edge_pcap_backwards(e, &first), 3);
	assert_int_equal(first, 2);
	assert_true(edge_pcap_progress(e, &done, &size));
	assert_int_equal(done, size);
	assert_int_equal(size, len);
	edge_free(e);
}

/* What no capture file can be: told at once, or with the packet's number; never read. */
static void
test_absurd(void **state)
{
	const uint8_t frame[20] = {0};
	uint8_t f[400];
	char want[160];
	struct burst b;
	struct edge *e;

	for (int which = 0; which < 2; which++) {
		write_file("a.pcap", f, pcap(f, ETHER, frame, 20, 20, 2));
		le32(f + 24 + 36 + 8,
		    which ? 0xffffffff : 0x7fffffff); /* the second packet's length */
		write_file("a.pcap", f, 24 + 2 * 36);
		e = open_edge(at("a.pcap"), NULL);
		assert_int_equal(edge_recv(e, pool, &b, 2), 1);
		give_back(&b);
		assert_int_equal(edge_recv(e, pool, &b, 2), -1);
		snprintf(want, sizeof want, "%s: packet 2: ", at("a.pcap"));
		assert_memory_equal(edge_pcap_error(e), want, strlen(want));
		edge_free(e);
	}
}

/* A packet that does not fit its file's link type is refused, not written. */
static void
test_misfit(void **state)
{
	struct edge *e = edge_pcap_new(NULL, at("b.pcap"), 1500);
	struct burst b = {.n = 3, .p = {pkt_new(pool), pkt_new(pool), pkt_new(pool)}};
	uint8_t f[200];

	assert_int_equal(edge_bind(e), 0);
	edge_pcap_write_as(e, IPV4);
	assert_int_equal(edge_restart(e), 0);
	memset(pkt_put(b.p[0], 20), 0x45, 20);
	memset(pkt_put(b.p[1], 40), 0x60, 40);
	memset(pkt_put(b.p[2], 14), 0x45, 14);
	b.p[0]->link = b.p[1]->link = LINK_RAWIP;
	b.p[2]->link = LINK_ETHER;
	edge_pcap_clock(e, 5000000003u);
	assert_int_equal(edge_send(e, &b), 1);
	assert_int_equal(b.p[0]->drop, DROP_NONE);
	assert_int_equal(b.p[1]->drop, DROP_EDGE_ERROR);
	assert_int_equal(b.p[2]->drop, DROP_EDGE_ERROR);
	edge_free(e);
	give_back(&b);
	assert_int_equal(read_file("b.pcap", f, sizeof f), 24 + 16 + 20);
	assert_int_equal(f[24], 5); /* no stamp of its own: the clock's */
	assert_int_equal(f[28], 3);
}

/* Cut at capture: counted, not fatal. */
static void
test_truncated_packet(void **state)
{
	const uint8_t frame[20] = {0};
	uint8_t f[200];
	struct burst b;
	struct edge *e;

	write_file("a.pcap", f, pcap(f, ETHER, frame, 16, 20, 2));
	e = open_edge(at("a.pcap"), NULL);
	assert_int_equal(edge_recv(e, pool, &b, BURST_MAX), 2);
	assert_int_equal(b.p[0]->drop, DROP_TRUNCATED);
	assert_int_equal(b.p[1]->len, 16);
	give_back(&b);
	assert_int_equal(edge_recv(e, pool, &b, BURST_MAX), 0);
	assert_null(edge_pcap_error(e));
	edge_free(e);
}

/* A file that ends in the middle of a packet: what was whole comes out, then the error names file and packet. */
static void
test_truncated_file(void **state)
{
	const uint8_t frame[20] = {0};
	uint8_t f[200];
	struct burst b;
	struct edge *e;
	uint64_t ts;
	char want[160];

	write_file("a.pcap", f, pcap(f, ETHER, frame, 20, 20, 3) - 5);
	e = open_edge(at("a.pcap"), NULL);
	assert_int_equal(edge_recv(e, pool, &b, BURST_MAX), 2);
	give_back(&b);
	errno = 0;
	assert_int_equal(edge_recv(e, pool, &b, BURST_MAX), -1);
	assert_int_equal(errno, EIO);
	assert_false(edge_pcap_peek(e, &ts));
	snprintf(want, sizeof want, "%s: packet 3: ", at("a.pcap"));
	assert_non_null(edge_pcap_error(e));
	assert_memory_equal(edge_pcap_error(e), want, strlen(want));
	edge_free(e);
}

static void
expect_bind_error(const char *in, const char *out, const char *words)
{
	struct edge *e = edge_pcap_new(in, out, 1500);

	assert_int_equal(edge_bind(e), -1);
	assert_non_null(edge_pcap_error(e));
	if (strstr(edge_pcap_error(e), words) == NULL ||
	    strstr(edge_pcap_error(e), in ? in : out) == NULL)
		fail_msg("'%s' does not say '%s'", edge_pcap_error(e), words);
	edge_free(e);
}

static void
test_bad_files(void **state)
{
	uint8_t f[200];

	expect_bind_error(at("none.pcap"), NULL, "No such file");
	expect_bind_error(NULL, at("no/such/dir.pcap"), "No such file");
	write_file("text", "hello, this is not a capture", 28);
	expect_bind_error(at("text"), NULL, "");
	write_file("empty", "", 0);
	expect_bind_error(at("empty"), NULL, "the file is empty");
	write_file("short", "\xd4\xc3\xb2\xa1\2\0\4\0", 8);
	expect_bind_error(at("short"), NULL, "truncated");
	write_file("wifi.pcap", f, pcap(f, 105, f, 0, 0, 0));
	expect_bind_error(at("wifi.pcap"), NULL, "neither Ethernet nor raw IP");
}

/* An output that cannot be written to the end is an error when it is closed. */
static void
test_full_disk(void **state)
{
	struct edge *e = edge_pcap_new(NULL, "/dev/full", 1500);

	assert_int_equal(edge_bind(e), 0);
	assert_int_equal(edge_restart(e), 0);
	edge_unbind(e);
	assert_non_null(edge_pcap_error(e));
	assert_non_null(strstr(edge_pcap_error(e), "/dev/full: No space left"));
	edge_free(e);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_round_trip),
	    T(test_linktypes),
	    T(test_other_linktypes),
	    T(test_odd_linktypes),
	    T(test_backwards),
	    T(test_absurd),
	    T(test_misfit),
	    T(test_truncated_packet),
	    T(test_truncated_file),
	    T(test_bad_files),
	    T(test_full_disk),
	};

	return cmocka_run_group_tests_name("edge_pcap", tests, NULL, NULL);
}
