#include <stdlib.h>
#include <string.h>
#include <event2/event.h>
#include <netinet/in.h>
#include "datapath.h"
#include "keepalive.h"
#include "mono.h"
#include "nexthop_keeper.h"
#include "shim.h"

#define UDP_HLEN 8

struct keepalive {
	struct shim *shim;
	struct nexthop_keeper *hops;
	struct event *timer;
};

/* The frame: Ethernet, IP, UDP from our port to the peer's, one octet 0xff.  Its length, 0: nobody knows the way. */
static uint32_t
frame(struct keepalive *k, const struct sa *sa, uint8_t f[static 64])
{
	const struct sa_peer *peer = sa_peer(sa);
	const struct ipaddr *dst = peer ? &peer->addr : &sa->p.dst;
	uint32_t len = UDP_HLEN + 1, hlen;
	uint8_t *h = f + ETH_HLEN_OCTETS, *u;
	struct edge_caps caps;

	if (!nexthop_keeper_mac(k->hops, dst, f))
		return 0;
	edge_caps(shim_lower(k->shim), &caps);
	memcpy(f + 6, caps.mac, 6);
	put16(f + 12, dst->af == 4 ? ETYPE_IP4 : ETYPE_IP6);
	hlen = ip_bare(h, &sa->p.src, dst, IPPROTO_UDP, len, true);
	u = h + hlen;
	put16(u, sa->p.encap_sport);
	put16(u + 2, peer ? peer->port : sa->p.encap_dport);
	put16(u + 4, (uint16_t)len);
	put16(u + 6, 0);
	u[UDP_HLEN] = 0xff;
	if (dst->af == 6)
		put16(u + 6, cksum_l4(h, IPPROTO_UDP, u, len));
	return ETH_HLEN_OCTETS + hlen + len;
}

/* ms until ${sa} has to say something; 0: now. */
static uint64_t
silence_left(const struct sa *sa, uint64_t now)
{
	uint64_t want = sa->p.keepalive * UINT64_C(1000), last;
	struct sa_counters sent;

	sa_sent(sa, &sent);
	last = sent.last_ms;
	if (sa->kept_ms > last)
		last = sa->kept_ms;
	if (last == 0)
		return 0;
	if (last >= now) /* the worker's clock was read later */
		return want;
	return now - last >= want ? 0 : want - (now - last);
}

static void
look(evutil_socket_t fd, short what, void *arg)
{
	struct keepalive *k = arg;
	const struct sadb *sad = shim_gen(k->shim)->sad;
	uint64_t now = mono_ms(), next = UINT64_MAX;
	struct timeval tv;

	for (size_t i = 0; i < sadb_count(sad); i++) {
		struct sa *sa = sadb_at(sad, i);
		uint8_t f[64];
		uint64_t left;
		uint32_t len;

		if (!sa->p.keepalive || !sa->out || !sa_usable(sa))
			continue;
		if ((left = silence_left(sa, now)) == 0) {
			if ((len = frame(k, sa, f)) != 0 && shim_inject(k->shim, f, len))
				sa->kept_ms = now;
			left = sa->kept_ms == now ? sa->p.keepalive * UINT64_C(1000) : 1000;
		}
		if (left < next)
			next = left;
	}
	if (next == UINT64_MAX)
		return;
	tv.tv_sec = (time_t)(next / 1000);
	tv.tv_usec = (suseconds_t)(next % 1000) * 1000;
	evtimer_add(k->timer, &tv);
}

struct keepalive *
keepalive_new(struct event_base *base, struct shim *s, struct nexthop_keeper *hops)
{
	struct keepalive *k = calloc(1, sizeof *k);

	if (!k)
		return NULL;
	k->shim = s;
	k->hops = hops;
	if ((k->timer = evtimer_new(base, look, k)) == NULL) {
		free(k);
		return NULL;
	}
	return k;
}

void
keepalive_free(struct keepalive *k)
{
	if (!k)
		return;
	event_free(k->timer);
	free(k);
}

void
keepalive_retarget(struct keepalive *k)
{
	evtimer_del(k->timer);
	look(-1, 0, k);
}
