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

static bool
move(struct shim *s, struct sa *out, const struct event *ev)
{
	struct sa_peer *peer = malloc(sizeof *peer), *old;
	char text[IPADDR_STRLEN];

	if (!peer) {
		log_warn("SPI 0x%08x cannot follow its peer", out->spi);
		return false;
	}
	peer->addr =
	    out->p.mode == MODE_TUNNEL && ev->src.af == out->p.dst.af ? ev->src : out->p.dst;
	peer->port = ev->key.rport;
	old = __atomic_exchange_n(&out->peer, peer, __ATOMIC_ACQ_REL);
	shim_synchronize(s);
	free(old);
	log_info("SPI 0x%08x now sends to %s port %u, where its peer was heard", out->spi,
	    ipaddr_print(&peer->addr, text), peer->port);
	return true;
}

bool
peer_moved(struct shim *s, const struct event *ev)
{
	const struct sadb *sad = shim_gen(s)->sad;
	const struct sa *in = sadb_in(sad, IPSEC_ESP, ev->spi, &ev->dst);
	bool moved = false;

	for (size_t i = 0; in && i < sadb_count(sad); i++) {
		struct sa *out = sadb_at(sad, i);

		if (twins(in, out))
			moved |= move(s, out, ev);
	}
	return moved;
}
