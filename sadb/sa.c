#include "sa.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "seqstore.h"
#include "slab.h"
#include "workers.h"

/* Replay window and numbers are what a worker writes per packet; everything up to added_ms is its working set. */
_Static_assert(
    offsetof(struct sa, spi) < 64, "what finds and admits a packet lies in the first cache line");
_Static_assert(
    offsetof(struct sa, p) <= 5 * 64, "the hot part of an SA is at most five cache lines");

static bool
may_send(const struct sa_params *p)
{
	return p->dir != SA_DIR_IN;
}

static bool
may_receive(const struct sa_params *p)
{
	return p->dir != SA_DIR_OUT;
}

static struct crypto *
context(const struct sa_params *p, bool seal)
{
	const struct secret *e = p->enckey, *a = p->authkey;

	return crypto_new(p->enc, e != NULL ? secret_bytes(e) : NULL, e != NULL ? secret_len(e) : 0,
	    p->auth, a != NULL ? secret_bytes(a) : NULL, a != NULL ? secret_len(a) : 0, p->esn,
	    seal);
}

static void
senders_free(struct sa *sa)
{
	for (unsigned i = 0; sa->sender != NULL && i < workers_number(); i++)
		if (sa->sender[i].out != sa->out)
			crypto_free(sa->sender[i].out);
	free(sa->sender);
	sa->sender = NULL;
}

/* 0, or -1 and errno. */
static int
senders_new(struct sa *sa, const struct sa_params *p)
{
	unsigned n = workers_number();

	if (sa->out == NULL || n == 1)
		return 0;
	if ((sa->sender = aligned_alloc(64, n * sizeof *sa->sender)) == NULL)
		return -1;
	memset(sa->sender, 0, n * sizeof *sa->sender);
	for (unsigned i = 0; i < n; i++) {
		sa->sender[i].out = i == 0 || sa->out->shared ? sa->out : context(p, true);
		if (sa->sender[i].out == NULL) {
			int e = errno;

			senders_free(sa);
			errno = e;
			return -1;
		}
	}
	return 0;
}

struct sa *
sa_new(const struct sa_params *p, uint64_t now)
{
	struct sa *sa;
	int e;

	if ((sa = slab_new(sizeof *sa)) == NULL)
		goto err0;
	if (replay_init(&sa->replay, may_receive(p) ? p->replay : 0, p->esn) < 0)
		goto err1;
	if (may_send(p) && (sa->out = context(p, true)) == NULL)
		goto err2;
	if (may_receive(p) && (sa->in = context(p, false)) == NULL)
		goto err3;
	if (senders_new(sa, p) < 0)
		goto err4;
	sa_params_copy(&sa->p, p);
	seq_init(&sa->seq, p->esn);
	sa->spi = p->spi;
	sa->limited = lifetime_set(&p->soft) || lifetime_set(&p->hard);
	sa->block = p->esn ? SEQSTORE_BLOCK_ESN : SEQSTORE_BLOCK;
	sa->added_ms = now;
	sa->state = SA_MATURE;
	sa->refs = 1;
	return sa;

err4:
	e = errno;
	crypto_free(sa->in);
	errno = e;
err3:
	e = errno;
	crypto_free(sa->out);
	errno = e;
err2:
	e = errno;
	replay_fini(&sa->replay);
	errno = e;
err1:
	e = errno;
	slab_free(sa, sizeof *sa);
	errno = e;
err0:
	return NULL;
}

struct sa *
sa_ref(struct sa *sa)
{
	__atomic_add_fetch(&sa->refs, 1, __ATOMIC_RELAXED);
	return sa;
}

void
sa_unref(struct sa *sa)
{
	if (sa == NULL || __atomic_sub_fetch(&sa->refs, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	senders_free(sa);
	if (sa->out != NULL)
		crypto_free(sa->out);
	if (sa->in != NULL)
		crypto_free(sa->in);
	replay_fini(&sa->replay);
	sa_params_fini(&sa->p);
	free(sa->peer);
	slab_free(sa, sizeof *sa);
}

bool
sa_move(struct sa *sa, enum sa_state to)
{
	uint32_t from = __atomic_load_n(&sa->state, __ATOMIC_RELAXED);

	assert(to <= SA_DEAD);
	/* Forward only: a limit that a worker reaches while the control thread deletes the SA must not revive it. */
	while (from < (uint32_t)to) {
		if (__atomic_compare_exchange_n(
			&sa->state, &from, (uint32_t)to, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
			return true;
	}
	return false;
}

static void
add(struct sa_counters *sum, const struct sa_counters *c)
{
	uint64_t last = __atomic_load_n(&c->last_ms, __ATOMIC_RELAXED);

	sum->packets += __atomic_load_n(&c->packets, __ATOMIC_RELAXED);
	sum->octets += __atomic_load_n(&c->octets, __ATOMIC_RELAXED);
	sum->last_ms = last > sum->last_ms ? last : sum->last_ms;
}

void
sa_sent(const struct sa *sa, struct sa_counters *sum)
{
	*sum = (struct sa_counters){0};
	add(sum, &sa->cout);
	for (unsigned i = 0; sa->sender != NULL && i < workers_number(); i++)
		add(sum, &sa->sender[i].count);
}

size_t
sa_footprint(const struct sa *sa)
{
	size_t n = sizeof *sa + sa->replay.words * sizeof *sa->replay.bitmap;

	if (sa->out != NULL)
		n += sa->out->be->footprint(sa->out);
	for (unsigned i = 0; sa->sender != NULL && i < workers_number(); i++)
		n += sizeof *sa->sender +
		     (sa->sender[i].out != sa->out ? sa->out->be->footprint(sa->sender[i].out) : 0);
	if (sa->in != NULL)
		n += sa->in->be->footprint(sa->in);
	return n;
}

const char *
sa_state_name(enum sa_state s)
{
	static const char *const names[] = {"larval", "mature", "dying", "dead"};

	return (unsigned)s < sizeof names / sizeof names[0] ? names[s] : "unknown";
}
