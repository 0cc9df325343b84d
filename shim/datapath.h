/*
 * The walk: read this first.
 *
 *      host's IP stack                                              host's IP stack
 *           | upper edge (TAP)                                           ^ upper edge
 *           v                                                            |
 *   outbound.c   1 classify          octets -> flowkey, offsets     inbound.c   8 deliver
 *                2 policy            flow cache, SPD                            7 policy check after opening
 *                3 choose SAs        or acquire and wait                        6 classify what came out, again from 2
 *                  cut               super-frames, into packets that fit
 *                4 fit               too big: ICMP to the host, or fragments    5 replay window moves
 *                5 seal              ESP/AH, once per step of the bundle        4 open: ICV, decrypt
 *                6 address           link address of a tunnel's next hop        3 replay check
 *                7 send                                                         2 find the SA
 *                8 account           every packet, one reason                   1 classify, reassemble
 *           |                                                            ^
 *           v lower edge (AF_PACKET)                                     | lower edge
 *          wire                                                         wire
 *
 * Words: outbound = from the host, leaves by the lower edge; inbound = from the wire, leaves by the upper edge.  "rx" and
 * "tx" are used only inside an edge.
 *
 * Everything below runs on a worker, takes bursts, and neither allocates, locks, logs, reads the clock nor makes a system
 * call (the edges do).  Time and randomness come in by struct walk, so that a replay, a fuzzer and a unit test run this very code.
 */
#ifndef BITS_DATAPATH_H
#define BITS_DATAPATH_H

#include <stdbool.h>
#include <stdint.h>
#include "drop.h"
#include "pkt.h"
#include "stats.h"

/* Opaque types. */
struct acquire;
struct capture;
struct crypto_esp_job;
struct edge;
struct events;
struct flowcache;
struct fragcheck;
struct gen;
struct ipaddr;
struct nexthops;
struct reasm;
struct recent;
struct rng;
struct sa;
struct sa_counters;

/* What a worker walks with.  Nothing in it is shared with another worker but what gen points at, of which only an SA's numbers, window,
 * limits and path MTU change (sa.h); and others look into recent. */
struct walk {
	const struct gen *gen;           /* the generation for this burst */
	const struct nexthops *nexthops; /* NULL: keep the frame's own link addresses (replay) */
	struct edge *upper, *lower;
	struct pktpool *pool;
	struct flowcache *cache;
	struct reasm *reasm;             /* datagrams being put together; NULL: fragments are not reassembled */
	struct fragcheck *fragcheck;     /* NULL: every fragment is reassembled */
	struct recent *recent;           /* NULL: no ICMP error is told to the host in terms of its own packet */
	struct recent *const *recents;   /* the other workers', which may have sent what an ICMP error is about */
	unsigned nrecents;
	struct acquire *acquire;         /* NULL: no SA is asked for, and no packet waits for one */
	struct events *events;           /* NULL: nobody listens */
	struct stats *stats;             /* NULL: neither packets nor rules are counted (policy_burst(), policy_opened() only) */
	struct rng *rng;
	unsigned worker;                 /* number of this one */
	bool many;                       /* there are others, which use the same SAs and rules */
	struct { uint64_t next, end; unsigned want; } numbers; /* many: of the SA in hand, see xform_seal() */
	uint64_t now;                    /* ms, read once a burst by the caller */
	uint32_t mtu;                    /* of the lower edge, octets of IP packet */
	uint64_t pmtu_age;               /* ms a path MTU that was told is believed; 0: PMTU_AGE_MS */
	uint16_t ipid;                   /* IPv4 ID of the next outer header */
	uint16_t ipid_skip;              /* IDs between two of ours, which are other workers' */

	bool running;                    /* false: everything read is dropped as NOT_RUNNING */
	struct capture *capture;         /* told of each burst read; NULL: nobody captures */
	/* told of each packet when the walk is done with it (replay's verdict table, capture); may be NULL */
	void (*verdict)(void *ctx, enum dir dir, const struct pkt *p);
	void *verdict_ctx;
};

/* outbound.c, inbound.c: the two lines above.  The burst is consumed: sent, dropped or held, counted and freed. */
void outbound_burst(struct walk *w, struct burst *b);
void inbound_burst(struct walk *w, struct burst *b);

/* What waited for an SA (acquire.h) and meets policy again or has waited too long.  outbound_burst() begins with it. */
void outbound_held(struct walk *w);

/* classify.c */

/**
 * classify(p, dir):
 * Reads link, IP, extension and next layer headers of ${p} strictly, fills key, offsets and etype; cuts link padding behind
 * the IP packet.  Returns DROP_NONE, TRUNCATED, BAD_HEADER or HEADER_CHAIN; bounded work (at most CLASSIFY_HEADERS_MAX
 * extension headers).
 */
enum drop classify(struct pkt *p, enum dir dir);
#define CLASSIFY_HEADERS_MAX 16

/** classify_burst(b, dir): classify() each packet that has no drop yet, into its drop. */
void classify_burst(struct burst *b, enum dir dir);

/** flow_label(p): IPv6 flow label for audit events; 0 for IPv4. */
uint32_t flow_label(const struct pkt *p);

/* passthru.c */

/**
 * passthru(p, b):
 * Is ${p} (classified) one of the built-in kinds of traffic?  Its kind in *${b}.
 */
bool passthru(const struct pkt *p, enum builtin *b);

/* policy_lookup.c */

/** policy_burst(w, b, dir): sets policy, sa[] and bypass or drop of each packet (inbound: clear packets only, chain empty).  Packets that wait for
 * their SA leave the burst. */
void policy_burst(struct walk *w, struct burst *b, enum dir dir);

/** policy_opened(w, p): the check after opening (RFC 4301 5.2 step 4): DROP_NONE, SELECTOR_MISMATCH, ... */
enum drop policy_opened(struct walk *w, struct pkt *p);

/** policy_bundle(w, policy, k, sa, src, dst): the SAs of ${policy}'s steps for an outbound packet with key ${k}, up to the first step that has
 * none: their number, and the ends of the one wanting in *${src} and *${dst}. */
unsigned policy_bundle(const struct walk *w, const struct policy *policy, const struct flowkey *k, struct sa *sa[], struct ipaddr *src,
    struct ipaddr *dst);

/* ahead.c: what a burst will read is fetched into the caches, each stage of it for all packets, before it is read */

/** ahead_pays(w): are there so many SAs that they do not lie in the caches anyhow? */
bool ahead_pays(const struct walk *w);

/** ahead_flows(w, b, dir): decisions in the flow cache for ${b}, classified; outbound also their SAs, contexts and keys. */
void ahead_flows(const struct walk *w, const struct burst *b, enum dir dir);

/** ahead_sa(sa): ${sa} itself.  ahead_context(sa, dir): the head of its context and its window.  ahead_keys(sa, dir): its keys.  In that
 * order, since each reads what the one before has fetched. */
void ahead_sa(const struct sa *sa);
void ahead_context(const struct sa *sa, enum dir dir);
void ahead_keys(const struct sa *sa, enum dir dir);

/* xform.c */

/**
 * xform_bind(sa):
 * Chooses sa->seal and sa->open by protocol and mode.  Control thread, before the SA is published.
 */
void xform_bind(struct sa *sa);

/** xform_overhead(sa, inner, clear): octets of the packet that ${sa}'s protection makes of an IP packet of ${inner} octets, of which
 * transport mode leaves the first ${clear} as they are (IP header and what stands before the ESP header). */
uint32_t xform_overhead(const struct sa *sa, uint32_t inner, uint32_t clear);

/* What an SA's protection puts around a packet, in octets. */
struct xform_parts {
	uint32_t outer, udp, header, iv; /* in front: IP header of a tunnel, UDP, ESP or AH header (of AH with IV and ICV) */
	uint32_t payload;                /* what is protected */
	uint32_t pad, trailer, icv;      /* behind: padding to the cipher's block; its length and next header */
};

/** xform_parts(sa, inner, clear, x): the arithmetic of xform_overhead(), whose value is ${clear} (transport mode) and all parts. */
void xform_parts(const struct sa *sa, uint32_t inner, uint32_t clear, struct xform_parts *x);

/** xform_fit(sa, mtu, clear): the largest IP packet that has at most ${mtu} octets after ${sa}'s protection; 0: none has. */
uint32_t xform_fit(const struct sa *sa, uint32_t mtu, uint32_t clear);

/** xform_seal(sa, p, n, w), xform_open(sa, p, n, w): the SA's transform, by the rules for several workers: windows and limits have one writer at
 * a time, numbers are taken for all ${n} packets at once. */
void xform_seal(struct sa *sa, struct pkt **p, unsigned n, struct walk *w);
void xform_open(struct sa *sa, struct pkt **p, unsigned n, struct walk *w);

/** xform_begin(sa, w): may ${sa} still be used?  DROP_NONE or SA_EXPIRED. */
enum drop xform_begin(struct sa *sa, struct walk *w);

/** xform_number(sa, w, seq): the next outbound sequence number; raises SEQ_LOW, and SA_HARD when there is none left.  DROP_NONE,
 * SEQ_EXHAUSTED or SEQ_UNRESERVED. */
enum drop xform_number(struct sa *sa, struct walk *w, uint64_t *seq);

/** xform_account(sa, w, c, octets): a packet went through: counters, lifetimes, events. */
void xform_account(struct sa *sa, struct walk *w, struct sa_counters *c, uint32_t octets);

/** xform_group(todo, left, step, same): takes the packets of the SA that is sa[${step}] of ${todo}[0] out of the *${left} (not 0) in ${todo}, in order,
 * into ${same}; their number.  So a transform sees all of its packets at once. */
unsigned xform_group(struct pkt **todo, unsigned *left, unsigned step, struct pkt **same);

/** xform_name(sa, p): ${sa} is what is said of ${p} from now on, should it be dropped; its number is not known yet (0). */
void xform_name(const struct sa *sa, struct pkt *p);

/** xform_count(sa, d): the SA's own counter of an inbound failure; none for DROP_NONE and DUMMY. */
void xform_count(struct sa *sa, enum drop d);

/* esp_out.c, esp_in.c (RFC 4303): signatures of sa_xform; AH's (RFC 4302) are in ah.h.
 * Seal: ${p} is classified.  Open: p->ipsec is the offset of the ESP or AH header; afterwards ${p} has to be classified anew. */
void esp_seal_transport(struct sa *sa, struct pkt **p, unsigned n, struct walk *w);
void esp_seal_tunnel(struct sa *sa, struct pkt **p, unsigned n, struct walk *w);
void esp_open(struct sa *sa, struct pkt **p, unsigned n, struct walk *w);

/* udpencap.c (RFC 3948) */

/** udpencap_port(w, p): is ${p} (classified, inbound) UDP to a port that an SA of ours uses? */
bool udpencap_port(const struct walk *w, const struct pkt *p);

/** udpencap_is(w, p): is ${p} (classified, inbound) ESP in UDP to a port that an SA of ours uses?  False also for IKE behind the non-ESP
 * marker, which is ordinary traffic, and for a keepalive, whose drop is set. */
bool udpencap_is(const struct walk *w, struct pkt *p);

/** udpencap_cut(p): cuts ${p}, which is ESP in UDP, where UDP's own length ends it: the ICV lies there.  DROP_NONE, or DROP_BAD_LENGTH. */
enum drop udpencap_cut(struct pkt *p);

/** udpencap_checksum6(p, at): the UDP checksum, which IPv6 wants, of the header at offset ${at}. */
void udpencap_checksum6(struct pkt *p, uint32_t at);

/** udpencap_follow(sa, p, w): ${p}, verified by ${sa} and not opened yet, may come from another address or port than before: tells the
 * control thread, which moves the peer of the SA the other way.  Only the newest packet counts, so that a late one moves nothing back. */
void udpencap_follow(struct sa *sa, const struct pkt *p, struct walk *w);

/** udpencap_mend(p): the checksum (TCP, UDP, UDP-Lite, ICMPv6) of ${p}, opened in transport mode and classified, for the addresses it has now. */
void udpencap_mend(struct pkt *p);

/* tunnel.c */

/**
 * tunnel_push(sa, p, room, proto, w):
 * Puts an outer header of ${sa} (RFC 4301 5.1.2, RFC 6040) in front of the IP packet of ${p}, with ${room} octets free between the
 * two and next header ${proto}; the link header moves to the front and gets the outer family's EtherType.  The outer length is
 * set by tunnel_finish().  DROP_NONE or NO_ROOM.
 */
enum drop tunnel_push(const struct sa *sa, struct pkt *p, uint32_t room, uint8_t proto, struct walk *w);

/** tunnel_pop(p, inner, c): takes off everything between the link header and the inner IP packet at offset ${inner}; cuts what lies behind
 * the inner packet; applies RFC 6040 4.2 to its ECN field, whose odd cases ${c} counts.  DROP_NONE, BAD_INNER or ECN.  The packet has to be classified anew. */
enum drop tunnel_pop(struct pkt *p, uint32_t inner, struct sa_counters *c);

/** ip_bare(h, src, dst, proto, payload, df): a header without options, of ${dst}'s family, for ${payload} octets behind it; TTL 64; ${df} is
 * IPv4's.  Its length, 20 or 40. */
uint32_t ip_bare(uint8_t *h, const struct ipaddr *src, const struct ipaddr *dst, uint8_t proto, uint32_t payload, bool df);

/** ip_most(af): the octets of the largest packet that IP's length field can say, IPv6's header not counted in it. */
static inline uint32_t
ip_most(unsigned af)
{
	return af == 6 ? 65535 + 40 : 65535;
}

/** ip_finish(p): sets the outer IP header's length to the frame's, and the IPv4 checksum. */
void ip_finish(struct pkt *p);

/* gso.c */

struct emit;

/** gso_burst(w, b, dir, emit): each packet of ${b} that has met policy goes to ${emit}: a super-frame, and a checksum that its sender left to
 * others, as it is where it passes without a transform, fits, and the edge it leaves by takes it so; else cut into packets, of
 * TCP no larger than what fits after protection, each with its checksum. */
void gso_burst(struct walk *w, struct burst *b, enum dir dir, struct emit *emit);

/** gso_encap_burst(w, b, emit): inbound, classified: super-frames that may hold ESP in UDP are cut, anything else goes to ${emit} as it is. */
void gso_encap_burst(struct walk *w, struct burst *b, struct emit *emit);

/* pmtu.c */

/* What has to happen to a packet that is on its way to the wire, by its size after protection. */
enum fit {
	FIT_WHOLE,   /* fits */
	FIT_BEFORE,  /* tunnel mode: cut the packet in fragments of *${mtu} octets, protect each */
	FIT_AFTER,   /* transport mode: protect, then cut what comes out */
	FIT_NOT,     /* may not be cut: tell the host that *${mtu} octets would fit */
};

#define PMTU_MIN4   576    /* whatever a router says; every host takes that much (RFC 791) */
#define PMTU_MIN6   1280   /* RFC 8200 5 */
#define PMTU_AGE_MS 600000 /* RFC 1191 6.3, RFC 8201 4 */

/** pmtu_sa(w, sa): octets of outer packet that ${sa}'s path takes now: the NIC's MTU, or what a router said. */
uint32_t pmtu_sa(const struct walk *w, const struct sa *sa);

/** pmtu_lower(w, sa, mtu): a router on ${sa}'s path takes only ${mtu} octets.  Never below PMTU_MIN, never up.  true: that is news. */
bool pmtu_lower(const struct walk *w, struct sa *sa, uint32_t mtu);

/** pmtu_path(w, p): octets of packet that the path of ${p}, which has met policy outbound, takes. */
uint32_t pmtu_path(const struct walk *w, const struct pkt *p);

/** pmtu_largest(w, p): the largest packet like ${p} that fits its path after protection; of IPv6, which knows no path below 1280, at least
 * that: such a packet is cut after protection.  A super-frame is cut into such. */
uint32_t pmtu_largest(const struct walk *w, const struct pkt *p);

/** pmtu_sizes(p, size, clear): octets of IP packet of outbound ${p}, which has met policy, after each step of its protection; and how many of
 * each step's input transport mode leaves clear.  Number of steps. */
unsigned pmtu_sizes(const struct pkt *p, uint32_t size[], uint32_t clear[]);

/** pmtu_room(w, p, clear): the largest packet that fits the path after all of ${p}'s steps; 0: none does. */
uint32_t pmtu_room(const struct walk *w, const struct pkt *p, const uint32_t clear[]);

/** pmtu_fit(w, p, mtu): ${p} has met policy outbound.  RFC 4301 8.2.1, RFC 4303 3.3.4; the size is right to the octet, padding included. */
enum fit pmtu_fit(const struct walk *w, const struct pkt *p, uint32_t *mtu);

/* mss.c */

/** mss_clamp_out(w, p), mss_clamp_in(w, p): where an SA of ${p}, which has met policy, says `mss`: a TCP SYN announces no larger segments than
 * fit the path, or than it says.  Both directions bound what the other end sends and what the host itself does. */
void mss_clamp_out(const struct walk *w, struct pkt *p);
void mss_clamp_in(const struct walk *w, struct pkt *p);

/* icmp_send.c, icmp_in.c */

/** icmp_too_big(w, p, mtu): an ICMP "fragmentation needed" (RFC 792, 1191) or ICMPv6 "packet too big" (RFC 4443 3.2) about ${p}, classified,
 * to its sender, as a new packet; NULL: none may be sent (${p} is an ICMP error, multicast, a later fragment), or no buffer. */
struct pkt *icmp_too_big(struct walk *w, const struct pkt *p, uint32_t mtu);

/** icmp_about_sa(w, p): is ${p} (clear, classified, from the wire) an ICMP error about a packet that an SA sent, or claims to be?  Then it is dealt
 * with: it has a drop, or has become an error about the packet the host sent, with bypass set, for the upper edge. */
bool icmp_about_sa(struct walk *w, struct pkt *p);

/* reasm.c, frag.c */

/** reasm_burst(w, b, dir): fragments among the classified packets of ${b} leave it; a datagram that is complete takes the place of its last
 * fragment, classified, with cut_ok set.  Fragments that meet policy by themselves (fragcheck.h) stay, and all do without w->reasm. */
void reasm_burst(struct walk *w, struct burst *b, enum dir dir);

/** reasm_atomic(p): takes the fragment header off ${p}, classified, when it is an atomic fragment (RFC 6946): a whole datagram, which IPsec takes as
 * one, and AH covers without it.  ${p} is classified anew, and may have a drop. */
void reasm_atomic(struct pkt *p);

/** frag_split(w, p, mtu, emit): cuts ${p} (l3 and af valid) into fragments of at most ${mtu} octets of IP packet, handed to ${emit} in
 * order; consumes ${p}.  One that cannot be cut or finds no buffer goes on whole with a drop. */
struct emit;
void frag_split(struct walk *w, struct pkt *p, uint32_t mtu, struct emit *emit, enum dir dir);

/* A stage that may make more packets than it got: emit_put() runs the rest of the walk whenever a burst is full, emit_end() on what is left. */
struct emit {
	struct walk *w;
	void (*rest)(struct walk *w, struct burst *b);
	struct burst b;
};

static inline void
emit_put(struct emit *e, struct pkt *p)
{
	e->b.p[e->b.n++] = p;
	if (e->b.n == BURST_MAX) {
		e->rest(e->w, &e->b);
		e->b.n = 0;
	}
}

static inline void
emit_end(struct emit *e)
{
	if (e->b.n)
		e->rest(e->w, &e->b);
	e->b.n = 0;
}

/* cksum.c */

/** cksum_add(sum, octets, len): adds to a one's complement sum (RFC 1071); all pieces but the last are of even length.
 * cksum_fold(sum): the checksum, as a host order value to put16(). */
uint64_t cksum_add(uint64_t sum, const uint8_t *octets, size_t len);
uint16_t cksum_fold(uint64_t sum);
/** cksum_copy(to, octets, len): copies, and returns what cksum_add(0, octets, len) would.  The places do not overlap. */
uint64_t cksum_copy(uint8_t *restrict to, const uint8_t *restrict octets, size_t len);
/** cksum_pseudo(ip, proto, len): sum of the pseudo header of ${len} octets behind the IP header at ${ip}. */
uint64_t cksum_pseudo(const uint8_t *ip, uint8_t proto, uint32_t len);
/** cksum_ip4(h, hlen): checksum of an IPv4 header whose checksum field counts as zero; host order value to put16(). */
uint16_t cksum_ip4(const uint8_t *h, size_t hlen);
/** cksum_l4(ip, proto, l4, len): checksum of ${len} octets at ${l4}, whose checksum field is zero, with the pseudo header of the IP header at ${ip}
 * (RFC 768, RFC 9293 3.1, RFC 8200 8.1); host order value to put16().  UDP's is never 0, which would say "none". */
uint16_t cksum_l4(const uint8_t *ip, uint8_t proto, const uint8_t *l4, uint32_t len);
/** cksum_part(ip, proto, l4, len, covered): the same, but of the ${len} octets only the first ${covered} count (UDP-Lite, RFC 3828 3.1). */
uint16_t cksum_part(const uint8_t *ip, uint8_t proto, const uint8_t *l4, uint32_t len, uint32_t covered);

/* account.c */

/** account_read(w, b, dir): the first line of both walks: counts what was read.  False when the bump is not RUNNING: every packet is then
 * marked NOT_RUNNING and must go no further. */
bool account_read(struct walk *w, struct burst *b, enum dir dir);

/** account_burst(w, b, dir): the last line: counts each packet of ${b} under one reason, tells verdict and audit events, frees it. */
void account_burst(struct walk *w, struct burst *b, enum dir dir);

#endif
