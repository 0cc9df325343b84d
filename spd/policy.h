/*
 * One rule of the SPD: direction, selector, action, and for PROTECT the template of the SAs it needs.
 *
 * A policy is shared by generations: a rule that stays over a reload is the same object, so its counters go on.
 */
#ifndef BITS_POLICY_H
#define BITS_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "sa.h"
#include "selector.h"

enum policy_action { ACT_DISCARD, ACT_BYPASS, ACT_PROTECT };

/* The word behind `type`; the action follows from it. */
enum flow_type { FLOW_REQUIRE, FLOW_USE, FLOW_ACQUIRE, FLOW_DONTACQ, FLOW_BYPASS, FLOW_DENY };

#define POLICY_STEPS_MAX 4 /* SAs in a bundle */

/* Fragments under a rule (RFC 4301 7): put together before policy looks at them, or checked one by one. */
enum policy_frags { FRAGS_WHOLE, FRAGS_CHECK };

/* What an SA made for this rule takes from the packet, not from the rule (populate from packet, RFC 4301 4.4.1.2). */
enum policy_pfp { PFP_LOCAL = 1, PFP_REMOTE = 2, PFP_PROTO = 4, PFP_PORTS = 8 };

/* One SA a packet must pass.  Outbound steps are applied in this order, so the last is outermost. */
struct sa_template {
	enum ipsec_proto proto;
	enum ipsec_mode mode;
	struct ipaddr local, peer; /* tunnel: end points; peer af 0: the packet's own (transport); local af 0: any */
	uint32_t reqid;            /* 0: any */
};

/* Packets and octets one rule decided; written by one worker, read by anyone (relaxed). */
struct policy_counters { uint64_t packets, octets, last_ms; };

/* What each of several workers counts for itself. */
struct policy_share {
	_Alignas(64) struct policy_counters count[2]; /* by enum dir */
};

struct policy {
	/* hot */
	struct selector sel;
	uint8_t dirs;              /* bit (1 << DIR_OUT) | bit (1 << DIR_IN) */
	uint8_t action;            /* enum policy_action */
	uint8_t type;              /* enum flow_type */
	uint8_t nsteps;
	uint8_t frags;             /* enum policy_frags */
	uint8_t pfp;               /* enum policy_pfp, or'ed */
	struct sa_template *step;  /* its own: POLICY_STEPS_MAX of them until policy_settle(), never NULL */
	struct policy_counters count[2]; /* by enum dir; with one worker */
	struct policy_share *share;      /* one for each worker; NULL: there is one worker */

	/* cold */
	bool proto_said, mode_said; /* what of the template the line spelled out; for printing */
	char *srcid, *dstid;        /* parsed and printed, for OpenBSD's files; NULL: none */
	unsigned refs;              /* atomic */
};

/** policy_new(): a bypass rule for everything both ways, one reference; NULL and ENOMEM. */
struct policy *policy_new(void);

/** policy_settle(p): the rule is finished: gives back the room of templates it does not use, which is half a rule.  For those who have very many. */
void policy_settle(struct policy *p);
struct policy *policy_ref(struct policy *p);
void policy_unref(struct policy *p);

/** policy_count(p, worker, dir): what that worker counts in. */
static inline struct policy_counters *
policy_count(struct policy *p, unsigned worker, unsigned dir)
{
	return p->share ? &p->share[worker].count[dir] : &p->count[dir];
}

/** policy_counted(p, dir, sum): what all workers have counted.  Any thread. */
void policy_counted(const struct policy *p, unsigned dir, struct policy_counters *sum);

/** policy_names_fragments(p): does it ask for what only later fragments are, OPAQUE ports or protocol (RFC 4301 7.2)? */
static inline bool
policy_names_fragments(const struct policy *p)
{
	return p->sel.lmatch == MATCH_OPAQUE || p->sel.rmatch == MATCH_OPAQUE || p->sel.proto_opaque;
}

/** policy_sel_fits(p, sel, k): ${sel} (NULL: all) is what the innermost SA is for, source and destination as packets of direction k->dir have
 * them.  Is the packet among it, and is it as narrow as ${p}'s PFP flags ask? */
bool policy_sel_fits(const struct policy *p, const struct sa_selector *sel, const struct flowkey *k);

/** policy_eq(a, b): same rule (counters apart)? */
bool policy_eq(const struct policy *a, const struct policy *b);

/** policy_check(p): NULL, or a static sentence why this cannot be a rule. */
const char *policy_check(const struct policy *p);

/**
 * policy_sa_fits(p, chain, n):
 * Inbound: the packet came through ${n} SAs, outermost first.  Are they just what ${p}'s template asks, in that order?
 * Local and peer are the SA's dst and src then.
 */
bool policy_sa_fits(const struct policy *p, struct sa *const *chain, unsigned n);

const char *flow_type_name(enum flow_type t);
const char *action_name(enum policy_action a);

/*
 * Built-in rules: what a host cannot live without and policy cannot sensibly name.  They are looked at before the
 * operator's rules; each can be set to bypass, deny, or none (then the operator's rules decide, or for non-IP: discard).
 * X(CONSTANT, name, sentence)
 */
#define BUILTINS(X)                                                                                       \
	X(ARP, arp, "ARP (EtherType 0x0806)")                                                             \
	X(NONIP, nonip, "other frames that are not IP (LLDP, EAPOL, spanning tree, ...)")                 \
	X(ND, nd, "IPv6 neighbour and router discovery (ICMPv6 133-137, hop limit 255)")                  \
	X(MLD, mld, "IPv6 multicast listener reports (ICMPv6 130-132 and 143, hop limit 1)")              \
	X(DHCP, dhcp, "DHCPv4 (UDP 68 <-> 67)")                                                           \
	X(DHCP6, dhcp6, "DHCPv6 (UDP 546 <-> 547, link-local)")                                           \
	X(ICMP, icmp, "ICMP errors about ESP and AH packets this host has just sent")

enum builtin {
#define X(id, name, text) BUILTIN_##id,
	BUILTINS(X)
#undef X
	BUILTIN_MAX
};

enum builtin_set { BUILTIN_BYPASS, BUILTIN_DENY, BUILTIN_NONE };

const char *builtin_name(enum builtin b);
const char *builtin_text(enum builtin b);
int builtin_number(const char *name); /* -1: none of that name */
const char *builtin_set_name(enum builtin_set s); /* "bypass", "deny", "none" */

#endif
