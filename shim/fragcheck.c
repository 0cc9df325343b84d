#include <netinet/in.h>
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>
#include "datapath.h"
#include "fragcheck.h"
#include "gen.h"
#include "reasm.h"

#define WAYS 8

/* What the fragments of one datagram have in common (RFC 791 3.2, RFC 8200 4.5).  Hashed and compared as octets. */
struct datagram_id {
	struct ipaddr local, remote;
	uint64_t sa; /* the SA it came through, 0: clear; the two never mix */
	uint32_t id, spi;
	uint16_t vlan;
	uint8_t proto; /* IPv4 only */
	uint8_t dir;
	uint32_t pad;
};
_Static_assert(sizeof(struct datagram_id) == 2 * sizeof(struct ipaddr) + 24, "no hidden padding");

struct entry {
	struct datagram_id id;
	uint64_t deadline; /* ms; 0: free */
	uint64_t order;	   /* when it came; 0: never */
	uint16_t lport, rport;
	uint8_t proto, ports;
	bool last; /* its end went by: the identification may mean another datagram soon */
};

struct fragcheck {
	uint64_t seed, order;
	struct entry e[FRAGCHECK_MAX];
};

struct fragcheck *
fragcheck_new(uint64_t seed)
{
	struct fragcheck *c = calloc(1, sizeof *c);

	if (c)
		c->seed = seed;
	return c;
}

void
fragcheck_free(struct fragcheck *c)
{
	free(c);
}

static struct datagram_id
id_of(const struct pkt *p, const struct reasm_piece *f)
{
	struct datagram_id id;

	memset(&id, 0, sizeof id);
	id.local = p->key.local;
	id.remote = p->key.remote;
	if (p->nchain) {
		id.sa = (uintptr_t)p->chain[p->nchain - 1];
		id.spi = p->spi;
	}
	id.id = f->id;
	id.vlan = p->key.vlan;
	id.proto = p->af == 4 ? p->key.proto : 0;
	id.dir = p->key.dir;
	return id;
}

static struct entry *
bucket(struct fragcheck *c, const struct datagram_id *id)
{
	return &c->e[XXH3_64bits_withSeed(id, sizeof *id, c->seed) % (FRAGCHECK_MAX / WAYS) * WAYS];
}

static struct entry *
find(struct fragcheck *c, const struct datagram_id *id, uint64_t now)
{
	struct entry *e = bucket(c, id);

	for (unsigned i = 0; i < WAYS; i++)
		if (e[i].deadline > now && memcmp(&e[i].id, id, sizeof *id) == 0)
			return &e[i];
	return NULL;
}

static bool
extension(uint8_t next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS ||
	       next == IPPROTO_FRAGMENT;
}

/* RFC 4301 7.2: does a rule say what becomes of this datagram's fragments behind the first? */
static bool
has_rule(const struct walk *w, const struct pkt *p, const struct reasm_piece *f)
{
	struct flowkey k = p->key;
	const struct policy *rule;

	if (p->af == 6) {
		k.proto = f->next;
		k.opaque = extension(f->next);
	}
	if (p->af == 6 || k.ports != PORTS_NONE) {
		k.ports = PORTS_OPAQUE;
		k.lport = k.rport = 0;
	}
	rule = spd_lookup(w->gen->spd, &k, NULL);
	return rule && policy_names_fragments(rule);
}

/* The place for ${id}: its own, else a free one or the oldest. */
static struct entry *
place(struct fragcheck *c, const struct datagram_id *id, struct entry *own)
{
	struct entry *b = bucket(c, id), *best = b;

	for (unsigned i = 1; !own && i < WAYS; i++)
		if (b[i].order < best->order)
			best = &b[i];
	return own ? own : best;
}

/* Remembers the ports of a first fragment.  DROP_NONE, or FRAG_OVERLAP: its datagram has others. */
static enum drop
remember(struct walk *w, const struct pkt *p, const struct reasm_piece *f)
{
	struct datagram_id id = id_of(p, f);
	struct entry *own = find(w->fragcheck, &id, w->now);

	if (own && !own->last &&
	    (own->lport != p->key.lport || own->rport != p->key.rport ||
		own->proto != p->key.proto))
		return DROP_FRAG_OVERLAP;
	*place(w->fragcheck, &id, own) = (struct entry){
	    .id = id,
	    .order = ++w->fragcheck->order,
	    .deadline = w->now + (p->af == 4 ? REASM_MS4 : REASM_MS6),
	    .lport = p->key.lport,
	    .rport = p->key.rport,
	    .proto = p->key.proto,
	    .ports = p->key.ports,
	};
	return DROP_NONE;
}

static bool
take_first(struct walk *w, struct pkt *p, const struct reasm_piece *f)
{
	bool opaque = has_rule(w, p, f);
	const struct policy *rule = opaque ? NULL : spd_lookup(w->gen->spd, &p->key, NULL);

	if (!opaque && (!rule || rule->frags != FRAGS_CHECK))
		return false;
	if (p->key.ports == PORTS_OPAQUE) /* too short to hold them */
		p->drop = DROP_FRAG_BAD;
	else if (!opaque)
		p->drop = remember(w, p, f);
	return true;
}

static bool
take_later(struct walk *w, struct pkt *p, const struct reasm_piece *f)
{
	struct datagram_id id = id_of(p, f);
	struct entry *e = find(w->fragcheck, &id, w->now);

	if (!e && !has_rule(w, p, f))
		return false;
	if (f->offset < 16 && (e ? e->proto : p->key.proto) == IPPROTO_TCP) {
		p->drop = DROP_FRAG_BAD; /* into the TCP header (RFC 3128) */
		return true;
	}
	if (e) {
		p->key.lport = e->lport;
		p->key.rport = e->rport;
		p->key.proto = e->proto;
		p->key.ports = e->ports;
		p->key.opaque = 0;
		e->last |= !f->more;
	}
	return true;
}

/* ESP and AH want whole packets (RFC 4303 3.4.1), also in UDP. */
static bool
may_be_ipsec(const struct walk *w, const struct pkt *p)
{
	const struct flowkey *k = &p->key;

	if (k->dir != DIR_IN)
		return false;
	if (k->proto == IPPROTO_UDP)
		return k->ports == PORTS_PORTS ? sadb_encap_port(w->gen->sad, k->lport)
					       : sadb_encap_any(w->gen->sad);
	return k->proto == IPPROTO_ESP || k->proto == IPPROTO_AH;
}

bool
fragcheck_take(struct walk *w, struct pkt *p)
{
	struct reasm_piece f;

	if (!w->fragcheck || !w->gen || !spd_fragments(w->gen->spd) || may_be_ipsec(w, p))
		return false;
	if (!reasm_piece_of(p, &f) || reasm_waits(w->reasm, p, &f))
		return false;
	return f.offset == 0 ? take_first(w, p, &f) : take_later(w, p, &f);
}
