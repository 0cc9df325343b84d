/*
 * A Security Association: what the operator said (struct sa_params, immutable), and the running state beside it.
 *
 * Life: sa_new() -> the loader binds the transform (xform_bind() in shim) -> published in a generation -> workers use
 * it -> last sa_unref().  A generation holds one reference on each of its SAs; an SA that stays over a reload is the same
 * object in both generations, so its numbers, window and counters go on.
 */
#ifndef BITS_SA_H
#define BITS_SA_H

#include <stdbool.h>
#include <stdint.h>
#include "addr.h"
#include "alg.h"
#include "crypto.h"
#include "lifetime.h"
#include "replay.h"
#include "sa_selector.h"
#include "secret.h"
#include "seq.h"
#include "seqstore.h"
#include "spin.h"

/* Opaque types: the walk's own. */
struct sa;
struct pkt;
struct walk;

enum ipsec_proto { IPSEC_ESP = 50, IPSEC_AH = 51 };
enum ipsec_mode { MODE_ANY, MODE_TRANSPORT, MODE_TUNNEL };
enum sa_dir { SA_DIR_ANY, SA_DIR_OUT, SA_DIR_IN };
enum df_policy { DF_COPY, DF_CLEAR, DF_SET };
enum frag_policy { FRAG_BEFORE, FRAG_AFTER }; /* tunnel mode: cut the inner packet, or the outer one */

#define MSS_AUTO 1 /* of sa_params.mss: what fits the path */
#define MSS_MIN  64

#define SPI_MIN 256 /* 0 is never on the wire, 1..255 are IANA's (RFC 4303 2.1) */

/* What a configuration line says.  Host order but for addresses. */
struct sa_params {
	enum ipsec_proto proto;
	enum ipsec_mode mode;          /* MODE_TRANSPORT or MODE_TUNNEL */
	enum sa_dir dir;               /* OUT for the first half of spi A:B, IN for the second, ANY for a lone one */
	uint32_t spi;
	struct ipaddr src, dst;        /* of the outer header; one family */
	const struct alg *enc, *auth;  /* enc NULL: AH; auth NULL: AEAD */
	struct secret *enckey, *authkey; /* one reference each; salt included */
	uint32_t reqid;                /* 0: none */
	bool esn;
	uint32_t replay;               /* packets, 0: off */
	uint16_t encap_sport, encap_dport; /* RFC 3948; 0: no UDP encapsulation */
	uint32_t tfc;                  /* pad to this many octets (RFC 4303 2.7), 0: no */
	uint8_t ahpad;                 /* AH ICV alignment over IPv4: 4 (RFC 4302) or 8 (Linux without align4) */
	enum df_policy df;
	enum frag_policy frag;
	uint16_t mss;                  /* most a TCP SYN may announce (RFC 9293 3.7.1), MSS_AUTO, 0: left alone */
	bool ecn;                      /* RFC 6040 normal mode; false: compatibility mode */
	int16_t dscp;                  /* -1: copy from the inner header, else 0..63 */
	uint16_t keepalive;            /* s of silence after which a NAT keepalive is sent (RFC 3948 4), 0: never */
	bool follow;                   /* follow the peer's address and port after a verified packet */
	bool weak;                     /* the operator said `weak` */
	struct lifetime soft, hard;
	struct sa_selector *sel;       /* what of its policy's traffic it is for; NULL: all.  One reference */
};

/** sa_params_init(p): all defaults (replay REPLAY_DEFAULT, ahpad 4, ecn on, dscp copy, df copy). */
void sa_params_init(struct sa_params *p);
/** sa_params_copy(to, from): references on the secrets and the selector are taken.  sa_params_fini drops them. */
void sa_params_copy(struct sa_params *to, const struct sa_params *from);
void sa_params_fini(struct sa_params *p);
/** sa_params_eq(a, b): is it the same SA, keys and options included (dir apart)?  Then its state may be kept. */
bool sa_params_eq(const struct sa_params *a, const struct sa_params *b);
/** sa_params_same_key(a, b): same proto and same keys: two such SAs may never send both.  Of two counter modes the key with its
 * salt alone counts, whatever the protocol and the integrity key: a nonce is made of nothing else. */
bool sa_params_same_key(const struct sa_params *a, const struct sa_params *b);
/** sa_params_fingerprint(p, fp): the name of the record that ${p}'s numbers are reserved in: the same for two SAs that have the same
 * key in the sense of sa_params_same_key().  0, or -1 and errno. */
int sa_params_fingerprint(const struct sa_params *p, char fp[static SEQSTORE_FP_LEN + 1]);
/** sa_params_check(p): NULL, or a sentence why this cannot be an SA (SPI range, NULL with no integrity, key lengths, families,
 * replay size, weak without `weak`).  It stays until the calling thread's next check. */
const char *sa_params_check(const struct sa_params *p);

enum sa_state { SA_LARVAL, SA_MATURE, SA_DYING, SA_DEAD };

/* Signature of a transform: handles ${n} packets of ${sa}; marks failures in pkt->drop and leaves those packets as
 * they were read or wiped.  Runs on the worker that owns the SA's direction. */
typedef void (*sa_xform)(struct sa *sa, struct pkt **p, unsigned n, struct walk *w);

/* Where the peer of an SA in UDP is, when NAT has mapped it anew since the configuration was written. */
struct sa_peer {
	struct ipaddr addr;
	uint16_t port;       /* host order */
};

/* Counters of one direction; written by one worker at a time, read by anyone (relaxed). */
struct sa_counters {
	uint64_t packets;
	uint64_t octets;     /* of the payload before protection: RFC 4301 4.4.2.1's one stated rule */
	uint64_t last_ms;    /* monotonic time of the last packet, 0: never */
	uint64_t replay_old, replay_dup, auth_failed, other_failed;
	uint64_t lost;       /* numbers the window passed by unseen (inbound) */
	uint64_t ecn_alarm;  /* combinations of ECN fields that no path makes (RFC 6040 4.2; inbound tunnels) */
};

/*
 * What each of several workers that send by one SA has for itself, so that they share nothing per packet and only the numbers per burst.
 */
struct sa_sender {
	_Alignas(64) struct crypto *out; /* sa->out, where that serves any number of threads at once */
	struct sa_counters count;
};

struct sa {
	/* hot: what each packet touches */
	sa_xform seal;             /* outbound: chosen once by protocol, mode and family */
	sa_xform open;             /* inbound */
	struct crypto *out, *in;   /* NULL in the direction the SA does not serve */
	uint32_t state;            /* enum sa_state, atomic */
	uint32_t spi;
	bool limited;              /* has any soft or hard limit */
	bool soft_owed, soft_said; /* the soft event is to be raised; was raised */
	uint8_t lock;              /* sa_lock() */
	struct seq seq;
	struct replay replay;
	struct sa_counters cout, cin; /* out: only with one worker, see sa_sent() */
	uint64_t added_ms;         /* monotonic */
	struct sa_sender *sender;  /* one for each worker; NULL: there is one worker */
	struct sa_peer *peer;      /* where the other end is (outbound: where to send); NULL: where p says.  Replaced whole by the control thread, RCU */

	/* cold */
	struct sa_params p;        /* p.dir resolved: OUT, IN or ANY (both) */
	uint64_t block;            /* numbers reserved at a time; control thread */
	uint64_t kept_ms;          /* when the last NAT keepalive was sent; control thread */
	uint64_t topped_ms;        /* when the last block was added, 0: never; control thread */
	char fp[SEQSTORE_FP_LEN + 1]; /* seqstore fingerprint, "" when nothing needs reserving */
	struct sa_peer heard;      /* inbound: last source told to the control thread; the owning worker's */
	uint64_t pmtu_until;       /* ms, when pmtu is forgotten (RFC 1191 6.3); written by a worker, like pmtu */
	uint32_t pmtu;             /* octets of outer packet the path takes, 0: the NIC's MTU */
	unsigned refs;             /* atomic */
};

/**
 * sa_new(p, now):
 * An SA of the (checked) parameters ${p}, copied, one reference; contexts for the directions p->dir allows, window and
 * numbers fresh, nothing reserved, no fingerprint yet, state MATURE.  NULL and errno.  Control thread.
 */
struct sa *sa_new(const struct sa_params *p, uint64_t now);
/** sa_ref(sa), sa_unref(sa): count references; the last unref wipes the keys and frees.  NULL is fine for sa_unref().  Thread-safe. */
struct sa *sa_ref(struct sa *sa);
void sa_unref(struct sa *sa);

/**
 * sa_move(sa, to):
 * The one way to change the state: forward only, LARVAL -> MATURE -> DYING -> DEAD, steps may be left out.  True when this call
 * did it, so that of several threads one raises the event.  Any thread.
 */
bool sa_move(struct sa *sa, enum sa_state to);

/** sa_footprint(sa): octets of memory of it, contexts included. */
size_t sa_footprint(const struct sa *sa);

/** sa_out(sa, worker), sa_count(sa, worker): what that worker seals by, and counts in. */
static inline struct crypto *
sa_out(const struct sa *sa, unsigned worker)
{
	return sa->sender ? sa->sender[worker].out : sa->out;
}

static inline struct sa_counters *
sa_count(struct sa *sa, unsigned worker)
{
	return sa->sender ? &sa->sender[worker].count : &sa->cout;
}

/** sa_sent(sa, sum): outbound packets, octets and time of the last one, of all workers.  Any thread. */
void sa_sent(const struct sa *sa, struct sa_counters *sum);

/**
 * sa_lock(sa), sa_unlock(sa):
 * With several workers: who opens packets, or seals by an SA that has limits, does so alone, so that a window has one writer at a time and a
 * limit is reached once.  Taken once a burst.  Packets of one SA come to one worker (edge/fanout.h), so nobody waits but on rare ways.
 */
static inline void
sa_lock(struct sa *sa)
{
	spin_lock(&sa->lock);
}

static inline void
sa_unlock(struct sa *sa)
{
	spin_unlock(&sa->lock);
}

/** sa_peer(sa): where to send, NULL: where the configuration says.  Workers; good until the end of the burst. */
static inline const struct sa_peer *
sa_peer(const struct sa *sa)
{
	return __atomic_load_n(&sa->peer, __ATOMIC_CONSUME);
}

static inline bool
sa_usable(const struct sa *sa)
{
	return __atomic_load_n(&sa->state, __ATOMIC_RELAXED) <= SA_DYING;
}

/** sa_state_name(state): "larval", "mature", "dying", "dead". */
const char *sa_state_name(enum sa_state s);

#endif
