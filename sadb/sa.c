#include "sa.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "seqstore.h"
#include "slab.h"

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
	sa_params_copy(&sa->p, p);
	seq_init(&sa->seq, p->esn);
	sa->spi = p->spi;
	sa->limited = lifetime_set(&p->soft) || lifetime_set(&p->hard);
	sa->block = p->esn ? SEQSTORE_BLOCK_ESN : SEQSTORE_BLOCK;
	sa->added_ms = now;
	sa->state = SA_MATURE;
	sa->refs = 1;
	return sa;

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

size_t
sa_footprint(const struct sa *sa)
{
	size_t n = sizeof *sa + sa->replay.words * sizeof *sa->replay.bitmap;

	if (sa->out != NULL)
		n += sa->out->be->footprint(sa->out);
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
