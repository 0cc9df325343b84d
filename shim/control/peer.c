#include <stdlib.h>
#include "events.h"
#include "gen.h"
#include "log.h"
#include "peer.h"
#include "shim.h"

/* Does ${out} send where ${in} receives from? */
static bool
twins(const struct sa *in, const struct sa *out)
{
	return out->out && out->p.follow && out->p.proto == in->p.proto &&
	       out->p.mode == in->p.mode && out->p.reqid == in->p.reqid &&
	       ipaddr_eq(&out->p.dst, &in->p.src) && ipaddr_eq(&out->p.src, &in->p.dst);
}

/* ${sa}'s peer is ${peer} from now on.  False: no memory, and nothing has changed. */
static bool
set(struct shim *s, struct sa *sa, const struct sa_peer *peer)
{
	struct sa_peer *copy = malloc(sizeof *copy), *old;

	if (!copy) {
		log_warn("SPI 0x%08x cannot follow its peer", sa->spi);
		return false;
	}
	*copy = *peer;
	old = __atomic_exchange_n(&sa->peer, copy, __ATOMIC_ACQ_REL);
	shim_synchronize(s);
	free(old);
	return true;
}

static bool
move(struct shim *s, struct sa *out, const struct sa_peer *heard)
{
	struct sa_peer peer = *heard;
	char text[IPADDR_STRLEN];

	/* A host addresses its packets itself, so in transport mode only the port can follow; one address with another's port is nobody. */
	if (peer.addr.af != out->p.dst.af ||
	    (out->p.mode != MODE_TUNNEL && !ipaddr_eq(&peer.addr, &out->p.dst)))
		return false;
	if (!set(s, out, &peer))
		return false;
	log_info("SPI 0x%08x now sends to %s port %u, where its peer was heard", out->spi,
	    ipaddr_print(&peer.addr, text), peer.port);
	return true;
}

bool
peer_moved(struct shim *s, const struct event *ev)
{
	const struct sadb *sad = shim_gen(s)->sad;
	struct sa *in = sadb_in(sad, IPSEC_ESP, ev->spi, &ev->dst);
	struct sa_peer heard = {ev->src, ev->key.rport};
	bool moved = false;

	if (in && !in->out)
		(void)set(s, in, &heard); /* for SAs back to it that come later */
	for (size_t i = 0; in && i < sadb_count(sad); i++) {
		struct sa *out = sadb_at(sad, i);

		if (twins(in, out))
			moved |= move(s, out, &heard);
	}
	return moved;
}

void
peer_inherit(struct shim *s)
{
	const struct sadb *sad = shim_gen(s)->sad;

	for (size_t i = 0; i < sadb_count(sad); i++) {
		const struct sa *in = sadb_at(sad, i);

		if (in->out || !sa_peer(in))
			continue;
		for (size_t k = 0; k < sadb_count(sad); k++) {
			struct sa *out = sadb_at(sad, k);

			if (!sa_peer(out) && twins(in, out))
				(void)move(s, out, sa_peer(in));
		}
	}
}
