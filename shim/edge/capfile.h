/*
 * Writing capture files: pcap with time stamps in nanoseconds, and pcapng (one section, one interface).  Little-endian on every
 * machine, so that the same packets give the same file.  libpcap writes no pcapng; for reading we use it.
 */
#ifndef BITS_CAPFILE_H
#define BITS_CAPFILE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* The LINKTYPE values a capture of ours can have (https://www.tcpdump.org/linktypes.html). */
#define LINKTYPE_ETHERNET 1
#define LINKTYPE_RAW      101
#define LINKTYPE_IPV4     228
#define LINKTYPE_IPV6     229

enum capfile_form { CAPFILE_PCAP, CAPFILE_PCAPNG };

/** capfile_form_of(name): pcapng for names that end in ".pcapng", else pcap. */
enum capfile_form capfile_form_of(const char *name);

/** capfile_begin(out, form, linktype): the file's header.  0, or -1 and errno. */
int capfile_begin(FILE *out, enum capfile_form form, int linktype);

/** capfile_packet(out, form, ts, frame, len): one packet, captured at ${ts} ns since the epoch.  0, or -1 and errno. */
int capfile_packet(FILE *out, enum capfile_form form, uint64_t ts, const void *frame, uint32_t len);

#endif
