/*
 * Why a packet did not go through.  One list yields the enum, the counters' names, the JSON keys and
 * metric labels, the sentence `ipsecctl -s drops -v` prints and the table of the man page.
 *
 * To add a reason: add a line here, return it where it happens, and give it a test.
 */
#ifndef BITS_DROP_H
#define BITS_DROP_H

#include <stdbool.h>

/* X(CONSTANT, name, audit, sentence): ${audit} says whether RFC 4301 4.4.4, RFC 4302 4 or RFC 4303 4
 * make it an auditable event. */
#define DROP_REASONS(X)                                                                                        \
	X(NOT_RUNNING, not_running, 0, "the bump is paused or halted")                                         \
	X(TRUNCATED, truncated, 0, "the frame is shorter than its headers say")                                \
	X(BAD_HEADER, bad_header, 0, "the IP header is malformed")                                             \
	X(HEADER_CHAIN, header_chain, 0, "the IPv6 extension headers are malformed or too many")               \
	X(POLICY_DISCARD, policy_discard, 1, "a rule says deny")                                               \
	X(POLICY_DEFAULT, policy_default, 1, "no rule matched, and the default is discard")                    \
	X(NO_SA, no_sa, 1, "a rule demands protection and there is no SA for it")                              \
	X(ACQUIRE_FULL, acquire_full, 1, "no room to wait for an SA that a rule demands")                      \
	X(ACQUIRE_TIMEOUT, acquire_timeout, 1, "no SA came in time for a packet that waited")                  \
	X(UNKNOWN_SPI, unknown_spi, 1, "an ESP or AH packet names an SA that does not exist")                  \
	X(SA_EXPIRED, sa_expired, 1, "the SA has reached a hard limit of its lifetime")                        \
	X(SEQ_EXHAUSTED, seq_exhausted, 1, "the SA's sequence numbers are used up")                            \
	X(SEQ_UNRESERVED, seq_unreserved, 1, "sequence numbers are not durably reserved in the state directory") \
	X(FRAGMENT_OUT, fragment_out, 0, "transport mode protects whole datagrams, this is a fragment")        \
	X(FRAGMENT_IN, fragment_in, 1, "an ESP or AH packet that is a fragment")                               \
	X(RUNT, runt, 1, "an ESP or AH packet shorter than its algorithm needs")                               \
	X(BAD_LENGTH, bad_length, 1, "the length of ESP, AH or UDP is not one the SA can have")                 \
	X(REPLAY_OLD, replay_old, 1, "the sequence number lies left of the replay window")                     \
	X(REPLAY_DUP, replay_dup, 1, "the sequence number was received before")                                \
	X(AUTH_FAILED, auth_failed, 1, "the integrity check value is wrong")                                   \
	X(BAD_PAD, bad_pad, 1, "the padding of an authentic ESP packet is malformed")                          \
	X(DUMMY, dummy, 0, "a dummy packet (next header 59), thrown away as RFC 4303 2.6 asks")                \
	X(BAD_NEXT_HEADER, bad_next_header, 1, "the protected protocol does not fit the SA's mode")            \
	X(BAD_INNER, bad_inner, 1, "the packet inside a tunnel is malformed")                                  \
	X(SELECTOR_MISMATCH, selector_mismatch, 1, "an opened packet is not what its SA's policy covers")      \
	X(CLEAR_DENIED, clear_denied, 1, "a clear packet that policy wants protected")                         \
	X(TOO_BIG, too_big, 0, "does not fit the path after protection (the host was told by ICMP), or IP at all")            \
	X(NO_ROOM, no_room, 0, "no room in the packet's buffer for the headers to add")                        \
	X(NO_NEIGHBOUR, no_neighbour, 0, "the link address of the tunnel's next hop is not known yet")         \
	X(NESTING, nesting, 1, "more layers of IPsec than a policy can have")                                  \
	X(ECN, ecn, 1, "congestion experienced outside, not ECN-capable inside (RFC 6040 4.2)")                \
	X(CRYPTO, crypto, 1, "the cryptographic back end failed")                                              \
	X(NO_BUFFER, no_buffer, 0, "the packet pool is empty")                                                 \
	X(EDGE_FULL, edge_full, 0, "the device's queue is full")                                               \
	X(EDGE_ERROR, edge_error, 0, "the device refused the packet")                                          \
	X(LINK_DOWN, link_down, 0, "the device is down or gone")                                               \
	X(FRAG_OVERLAP, frag_overlap, 0, "overlapping fragments, the datagram is dropped (RFC 5722)")          \
	X(FRAG_TIMEOUT, frag_timeout, 0, "fragments of a datagram did not arrive in time")                     \
	X(FRAG_FULL, frag_full, 0, "the reassembly table is full")                                             \
	X(FRAG_BAD, frag_bad, 0, "a malformed fragment (length, offset or size of the datagram)")              \
	X(MARTIAN, martian, 1, "a source or destination address that cannot come from the wire")               \
	X(KEEPALIVE, keepalive, 0, "a NAT keepalive, swallowed as RFC 3948 2.3 asks")                         \
	X(ICMP_HEARD, icmp_heard, 0, "an ICMP error about an ESP or AH packet of ours, taken note of")         \
	X(ICMP_DENIED, icmp_denied, 1, "an ICMP error about an ESP or AH packet, of a kind that policy refuses") \
	X(ICMP_UNSENT, icmp_unsent, 1, "an ICMP error about an ESP or AH packet that was not sent lately")     \
	X(ICMP_QUOTE, icmp_quote, 1, "an ICMP error about a packet that policy would not have sent that way")  \
	X(ICMP_BAD, icmp_bad, 0, "a malformed ICMP error, or one that quotes too little of its packet")

enum drop {
	DROP_NONE = 0, /* goes through */
#define X(id, name, audit, text) DROP_##id,
	DROP_REASONS(X)
#undef X
	DROP_HELD, /* not a drop: taken out of the burst, waits (for its other fragments, say) */
	DROP_MAX
};

/**
 * drop_name(d):
 * The reason's name as users and scripts read it ("replay_dup"); "none" and "held" for the two that
 * are no drops.  Never NULL.
 */
const char *drop_name(enum drop d);

/**
 * drop_text(d):
 * One sentence without a full stop that explains ${d}.  Never NULL.
 */
const char *drop_text(enum drop d);

/**
 * drop_audit(d):
 * Is ${d} an auditable event (RFC 4301 4.4.4, RFC 4302 4, RFC 4303 4)?
 */
bool drop_audit(enum drop d);

#endif
