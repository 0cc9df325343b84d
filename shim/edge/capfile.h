/*
 * Writing capture files: pcap with time stamps in nanoseconds, and pcapng (one section).  Little-endian on every
 * machine, so that the same packets give the same file.  libpcap writes no pcapng; for reading we use it.
 */
#ifndef BITS_CAPFILE_H
#define BITS_CAPFILE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* The LINKTYPE values a capture of ours can have (https://www.tcpdump.org/linktypes.html). */
#define LINKTYPE_NULL     0   /* BSD loopback: address family, the capturing machine's byte order */
#define LINKTYPE_ETHERNET 1
#define LINKTYPE_RAW      101
#define LINKTYPE_LOOP     108 /* OpenBSD's: network byte order */
#define LINKTYPE_SLL      113 /* Linux cooked */
#define LINKTYPE_SLL2     276
#define LINKTYPE_IPV4     228
#define LINKTYPE_IPV6     229

enum capfile_form { CAPFILE_PCAP, CAPFILE_PCAPNG };

/** capfile_form_of(name): pcapng for names that end in ".pcapng", else pcap. */
enum capfile_form capfile_form_of(const char *name);

/** capfile_begin(out, form, linktype): the file's header.  0, or -1 and errno. */
int capfile_begin(FILE *out, enum capfile_form form, int linktype);

/* A packet to write: ${nhead} octets of link header, and ${len} octets behind them; of the ${lost} that followed nothing is known. */
struct capfile_packet {
	uint64_t ts;            /* ns since the epoch */
	const void *head, *data;
	uint32_t nhead, len, lost;
	uint32_t interface;     /* pcapng only, from here on */
	const char *comment;    /* NULL: none */
};

/** capfile_packet(out, form, p): one packet.  0, or -1 and errno. */
int capfile_packet(FILE *out, enum capfile_form form, const struct capfile_packet *p);

/** capfile_section(out, comment): a pcapng file without interfaces yet.  capfile_interface(out, linktype, name, text): one more, the first
 * is 0.  capfile_statistics(out, interface, ts, got, lost): how many packets there were, and how many of them are not in the file.
 * 0, or -1 and errno. */
int capfile_section(FILE *out, const char *comment);
int capfile_interface(FILE *out, int linktype, const char *name, const char *text);
int capfile_statistics(FILE *out, uint32_t interface, uint64_t ts, uint64_t got, uint64_t lost);

#endif
