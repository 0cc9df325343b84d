#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "ruleset.h"
#include "seqkeeper.h"

void
ruleset_init(struct ruleset *s)
{
	*s = (struct ruleset){0}; /* built-ins: all bypass */
}

void
ruleset_fini(struct ruleset *s)
{
	for (size_t i = 0; i < s->nrules; i++)
		policy_unref(s->rule[i]);
	for (size_t i = 0; i < s->nsas; i++)
		sa_unref(s->sa[i].sa);
	free(s->rule);
	free(s->sa);
	idmap_fini(&s->by_id);
	*s = (struct ruleset){0};
}

/* ${array} gets room for one more element of ${size} octets. */
static int
grow(void **array, size_t *cap, size_t n, size_t size)
{
	size_t more = *cap ? *cap * 2 : 16;
	void *p;

	if (n < *cap)
		return 0;
	if ((p = reallocarray(*array, more, size)) == NULL)
		return -1;
	*array = p;
	*cap = more;
	return 0;
}

int
ruleset_insert(struct ruleset *s, size_t at, struct policy *p)
{
	void *rule = s->rule;

	if (grow(&rule, &s->caprules, s->nrules, sizeof *s->rule) < 0)
		return -1;
	s->rule = rule;
	memmove(s->rule + at + 1, s->rule + at, (s->nrules - at) * sizeof *s->rule);
	s->rule[at] = policy_ref(p);
	s->nrules++;
	return 0;
}

void
ruleset_remove(struct ruleset *s, size_t at)
{
	policy_unref(s->rule[at]);
	s->nrules--;
	memmove(s->rule + at, s->rule + at + 1, (s->nrules - at) * sizeof *s->rule);
}

int
ruleset_add_sa(struct ruleset *s, const struct ruleset_sa *e)
{
	void *sa = s->sa;

	if (grow(&sa, &s->capsas, s->nsas, sizeof *s->sa) < 0) {
		sa_unref(e->sa);
		return -1;
	}
	s->sa = sa;
	s->sa[s->nsas++] = *e;
	return 0;
}

void
ruleset_remove_sa(struct ruleset *s, size_t at)
{
	sa_unref(s->sa[at].sa);
	s->nsas--;
	memmove(s->sa + at, s->sa + at + 1, (s->nsas - at) * sizeof *s->sa);
}

int
ruleset_copy(struct ruleset *to, const struct ruleset *from)
{
	ruleset_init(to);
	memcpy(to->builtin, from->builtin, sizeof to->builtin);
	for (size_t i = 0; i < from->nrules; i++)
		if (ruleset_insert(to, i, from->rule[i]) < 0)
			goto err;
	for (size_t i = 0; i < from->nsas; i++) {
		struct ruleset_sa e = {.sa = sa_ref(from->sa[i].sa), .said = from->sa[i].said};

		if (ruleset_add_sa(to, &e) < 0)
			goto err;
	}
	return 0;
err:
	ruleset_fini(to);
	errno = ENOMEM;
	return -1;
}

static uint32_t
id_hash(unsigned proto, uint32_t spi, const struct ipaddr *dst)
{
	uint32_t h = idmap_hash(IDMAP_SEED, &spi, sizeof spi);

	return idmap_hash(h ^ proto, dst, sizeof *dst);
}

int
ruleset_index(struct ruleset *s)
{
	idmap_fini(&s->by_id);
	if (idmap_init(&s->by_id, s->nsas) < 0)
		return -1;
	for (size_t i = 0; i < s->nsas; i++) {
		const struct sa_params *p = &s->sa[i].sa->p;

		idmap_put(&s->by_id, id_hash(p->proto, p->spi, &p->dst), i);
	}
	return 0;
}

long
ruleset_find_sa(const struct ruleset *s, unsigned proto, uint32_t spi, const struct ipaddr *dst)
{
	uint32_t h = id_hash(proto, spi, dst);
	size_t pos = 0;
	long i;

	while ((i = idmap_each(&s->by_id, h, &pos)) >= 0) {
		const struct sa_params *p = &s->sa[i].sa->p;

		if (p->proto == proto && p->spi == spi && ipaddr_eq(&p->dst, dst))
			return i;
	}
	return -1;
}

uint32_t
ruleset_rule_hash(const struct policy *p)
{
	const struct selector *s = &p->sel;
	uint32_t h = idmap_hash(IDMAP_SEED, &s->local, sizeof s->local);

	h = idmap_hash(h, &s->remote, sizeof s->remote);
	h = idmap_hash(h, &p->dirs, 1);
	h = idmap_hash(h, &p->type, 1);
	if (!s->proto_any)
		h = idmap_hash(h, &s->proto, 1);
	if (s->lmatch == MATCH_RANGE)
		h = idmap_hash(h, &s->lport, sizeof s->lport);
	if (s->rmatch == MATCH_RANGE)
		h = idmap_hash(h, &s->rport, sizeof s->rport);
	return h;
}

/* Puts an error where ${e} came from. */
static void
complain(struct diags *ds, const struct ruleset_sa *e, const char *what)
{
	char dst[IPADDR_STRLEN];

	diags_add(ds, e->file ? e->file : "policy in force", e->line, e->col, false,
	    "SA 0x%08x to %s: %s", e->sa->spi, ipaddr_print(&e->sa->p.dst, dst), what);
}

static bool
counter_mode(const struct sa_params *p)
{
	return (p->enc && p->enc->counter) || (p->auth && p->auth->counter);
}

/* One key in two SAs. */
static int
check_keys(struct ruleset *s, struct diags *ds)
{
	struct idmap by_key;
	char fp[SEQSTORE_FP_LEN + 1];
	uint32_t h;
	size_t pos;
	long j;

	if (idmap_init(&by_key, s->nsas) < 0) {
		diags_add(ds, "policy", 0, 0, false, "out of memory");
		return -1;
	}
	for (size_t i = 0; i < s->nsas; i++) {
		struct ruleset_sa *e = &s->sa[i];

		if (sa_params_fingerprint(&e->sa->p, fp) < 0) {
			complain(ds, e, "no fingerprint can be made of its key");
			continue;
		}
		h = idmap_hash(IDMAP_SEED, fp, SEQSTORE_FP_LEN);
		for (pos = 0; (j = idmap_each(&by_key, h, &pos)) >= 0;) {
			const struct ruleset_sa *o = &s->sa[j];

			if (!sa_params_same_key(&o->sa->p, &e->sa->p))
				continue;
			if (seqkeeper_sends(o->sa) && seqkeeper_sends(e->sa))
				complain(ds, e,
				    "its key is another sending SA's too; two senders under one "
				    "key use the same "
				    "numbers: give it a key of its own");
			else if (counter_mode(&e->sa->p))
				complain(ds, e,
				    "its key is another SA's too, and with this algorithm both "
				    "ends would use the same "
				    "nonces: give each direction a key (or at least a salt) of its "
				    "own");
			else
				continue;
			break;
		}
		idmap_put(&by_key, h, i);
	}
	idmap_fini(&by_key);
	return ds->errors ? -1 : 0;
}

int
ruleset_check(struct ruleset *s, struct diags *ds)
{
	if (ruleset_index(s) < 0) {
		diags_add(ds, "policy", 0, 0, false, "out of memory");
		return -1;
	}
	for (size_t i = 0; i < s->nsas; i++) {
		const struct sa_params *p = &s->sa[i].sa->p;

		if (ruleset_find_sa(s, p->proto, p->spi, &p->dst) != (long)i)
			complain(ds, &s->sa[i],
			    "there is an SA with this protocol, SPI and destination already");
	}
	return check_keys(s, ds);
}
