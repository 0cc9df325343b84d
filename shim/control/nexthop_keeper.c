#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <event2/event.h>
#include "idmap.h"
#include "log.h"
#include "mono.h"
#include "nexthop_keeper.h"
#include "shim.h"

#define LOOK_MS	  20 /* changes come in swarms */
#define RETRY_MIN 100
#define RETRY_MAX 5000
#define FRESH_MS  20000 /* before the kernel's 60 s of gc_stale_time */
#define KEEP_MS	  5000	/* a known address stays good for so long while it is looked for again */

struct target {
	struct ipaddr dst;
	uint8_t mac[6];
	bool known;
	bool told;	  /* the log knows that there is no way */
	uint64_t lost_ms; /* since when it is being looked for, 0: it is not */
};

struct nexthop_keeper {
	struct nexthop_keeper_env env;
	struct target *target;
	size_t ntargets;
	unsigned retry_ms;
	struct event *timer;
};

static void
arm(struct nexthop_keeper *k, unsigned ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};

	evtimer_add(k->timer, &tv);
}

/* One target.  true: something the worker has to know changed; *${open}: it has to be looked for again soon. */
static bool
resolve(struct nexthop_keeper *k, struct target *t, bool *open)
{
	uint64_t now = mono_ms();
	uint8_t mac[6];
	char dst[IPADDR_STRLEN];
	bool was = t->known;
	int rc = k->env.resolve(k->env.ctx, &t->dst, mac);

	if (rc == 1) {
		bool same = was && memcmp(mac, t->mac, sizeof mac) == 0;

		memcpy(t->mac, mac, sizeof mac);
		t->known = true;
		t->told = false;
		t->lost_ms = 0;
		return !same;
	}
	*open = true;
	if (rc < 0 && !t->told) {
		log_warn("no way to the tunnel's end %s", ipaddr_print(&t->dst, dst));
		t->told = true;
	}
	if (!t->lost_ms)
		t->lost_ms = now;
	if (rc < 0 || now - t->lost_ms > KEEP_MS)
		t->known = false;
	return t->known != was;
}

/* The worker gets what is known. */
static void
publish(struct nexthop_keeper *k)
{
	struct nexthop *list = calloc(k->ntargets + 1, sizeof *list);
	struct nexthops *t = NULL;
	size_t n = 0;

	for (size_t i = 0; list && i < k->ntargets; i++)
		if (k->target[i].known) {
			list[n].dst = k->target[i].dst;
			memcpy(list[n++].mac, k->target[i].mac, 6);
		}
	if (!list || (t = nexthops_new(list, n)) == NULL)
		log_warn("next hops");
	else
		shim_publish_nexthops(k->env.shim, t);
	free(list);
}

static void
look(evutil_socket_t fd, short what, void *arg)
{
	struct nexthop_keeper *k = arg;
	bool changed = false, open = false;

	for (size_t i = 0; i < k->ntargets; i++)
		changed |= resolve(k, &k->target[i], &open);
	if (changed)
		publish(k);
	if (open) {
		arm(k, k->retry_ms);
		k->retry_ms = k->retry_ms * 2 > RETRY_MAX ? RETRY_MAX : k->retry_ms * 2;
	} else if (k->ntargets) {
		k->retry_ms = RETRY_MIN;
		arm(k, FRESH_MS);
	}
}

struct nexthop_keeper *
nexthop_keeper_new(const struct nexthop_keeper_env *env)
{
	struct nexthop_keeper *k = calloc(1, sizeof *k);

	if (!k)
		return NULL;
	k->env = *env;
	k->retry_ms = RETRY_MIN;
	if ((k->timer = evtimer_new(env->base, look, k)) == NULL) {
		free(k);
		return NULL;
	}
	return k;
}

void
nexthop_keeper_free(struct nexthop_keeper *k)
{
	if (!k)
		return;
	event_free(k->timer);
	free(k->target);
	free(k);
}

/* The target of ${dst} among ${n}, by way of ${m}. */
static long
find(const struct idmap *m, const struct target *t, const struct ipaddr *dst)
{
	uint32_t h = idmap_hash(IDMAP_SEED, dst, sizeof *dst);
	size_t pos = 0;
	long i;

	while ((i = idmap_each(m, h, &pos)) >= 0)
		if (ipaddr_eq(&t[i].dst, dst))
			return i;
	return -1;
}

void
nexthop_keeper_retarget(struct nexthop_keeper *k)
{
	const struct sadb *sad = shim_gen(k->env.shim)->sad;
	size_t nsas = sadb_count(sad), n = 0;
	struct target *t = calloc(nsas + 1, sizeof *t);
	struct idmap old = {0}, new = {0};

	if (!t || idmap_init(&old, k->ntargets) < 0 || idmap_init(&new, nsas) < 0) {
		log_warn("next hops");
		free(t);
		goto out;
	}
	for (size_t i = 0; i < k->ntargets; i++)
		idmap_put(
		    &old, idmap_hash(IDMAP_SEED, &k->target[i].dst, sizeof k->target[i].dst), i);
	for (size_t i = 0; i < nsas; i++) {
		const struct sa *sa = sadb_at(sad, i);
		const struct ipaddr *to = sa_peer(sa) ? &sa_peer(sa)->addr : &sa->p.dst;
		long j;

		if (!sa->out || (sa->p.mode != MODE_TUNNEL && !sa->p.keepalive) || find(&new, t, to) >= 0)
			continue;
		t[n].dst = *to;
		if ((j = find(&old, k->target, to)) >= 0)
			t[n] = k->target[j];
		idmap_put(&new, idmap_hash(IDMAP_SEED, &t[n].dst, sizeof t[n].dst), n);
		n++;
	}
	free(k->target);
	k->target = t;
	k->ntargets = n;
	k->retry_ms = RETRY_MIN;
	look(-1, 0, k);
out:
	idmap_fini(&old);
	idmap_fini(&new);
}

bool
nexthop_keeper_mac(const struct nexthop_keeper *k, const struct ipaddr *dst, uint8_t mac[static 6])
{
	for (size_t i = 0; i < k->ntargets; i++)
		if (k->target[i].known && ipaddr_eq(&k->target[i].dst, dst)) {
			memcpy(mac, k->target[i].mac, 6);
			return true;
		}
	return false;
}

void
nexthop_keeper_look(struct nexthop_keeper *k)
{
	struct timeval left;

	if (!k->ntargets)
		return;
	k->retry_ms = RETRY_MIN;
	if (evtimer_pending(k->timer, &left)) {
		struct timeval now, soon = {.tv_usec = LOOK_MS * 1000};

		event_base_gettimeofday_cached(k->env.base, &now);
		evutil_timeradd(&now, &soon, &soon);
		if (evutil_timercmp(&left, &soon, <))
			return; /* it looks even sooner: a swarm must not push the look away */
	}
	arm(k, LOOK_MS);
}

void
nexthop_keeper_counts(const struct nexthop_keeper *k, size_t *known, size_t *wanted)
{
	*known = 0;
	*wanted = k->ntargets;
	for (size_t i = 0; i < k->ntargets; i++)
		*known += k->target[i].known;
}
