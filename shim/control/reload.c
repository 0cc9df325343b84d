#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "graves.h"
#include "log.h"
#include "mono.h"
#include "reload.h"
#include "ruleset.h"
#include "windows.h"

#define ADDRESSES_MAX 1024
#define STOP_MS	      5000 /* exact numbers are saved for so long at a stop; the others lose a block */

struct reload {
	struct reload_env env;
	struct ruleset set;    /* in force; indexed */
	struct ruleset before; /* reload_try(): what to go back to */
	struct graves *graves; /* SAs that have gone */
	bool trying;
	uint64_t number;
	struct ipaddr here[ADDRESSES_MAX];
	int nhere;
};

struct reload *
reload_new(const struct reload_env *env)
{
	struct reload *r = calloc(1, sizeof *r);

	if (!r)
		return NULL;
	r->env = *env;
	ruleset_init(&r->set);
	ruleset_init(&r->before);
	if ((r->graves = graves_new()) == NULL || ruleset_index(&r->set) < 0) {
		graves_free(r->graves);
		free(r);
		return NULL;
	}
	return r;
}

void
reload_keep_windows(struct reload *r, struct windows *w)
{
	r->env.windows = w;
}

void
reload_free(struct reload *r)
{
	if (!r)
		return;
	ruleset_fini(&r->set);
	ruleset_fini(&r->before);
	graves_free(r->graves);
	free(r);
}

static int
no_memory(struct diags *ds)
{
	diags_add(ds, "policy", 0, 0, false, "out of memory; nothing was changed");
	return -1;
}

/* The host's addresses as they are now. */
static void
look_around(struct reload *r)
{
	struct ipaddr here[ADDRESSES_MAX];
	int n = r->env.addresses(r->env.ctx, here, ADDRESSES_MAX);

	if (n < 0)
		return; /* what was known stays: a failed look must not turn SAs round */
	memcpy(r->here, here, (size_t)n * sizeof *here);
	r->nhere = n;
}

static bool
is_here(const struct reload *r, const struct ipaddr *a)
{
	for (int i = 0; i < r->nhere; i++)
		if (ipaddr_eq(&r->here[i], a))
			return true;
	return false;
}

/* From us it sends, to us it receives; where the addresses do not say, the text does. */
static enum sa_dir
direction(const struct reload *r, const struct sa_params *p, enum sa_dir said)
{
	bool src = is_here(r, &p->src), dst = is_here(r, &p->dst);

	if (src && !dst)
		return SA_DIR_OUT;
	if (dst && !src)
		return SA_DIR_IN;
	return said;
}

/* Everything up to ${top} counts as seen in the window of ${sa}, which nobody uses yet: some good packets may be lost, and none is
 * accepted twice. */
static void
raise_window(struct sa *sa, uint64_t top)
{
	if (!sa->p.esn && top > UINT32_MAX)
		top = UINT32_MAX; /* all numbers there are */
	if (!sa->in || top <= sa->replay.top)
		return;
	sa->replay.top = top; /* with ESN and no window too: it has the high half */
	if (sa->replay.size == 0)
		return;
	memset(sa->replay.bitmap, 0xff, sa->replay.words * sizeof *sa->replay.bitmap);
}

static void
carry_window(struct sa *sa, const struct sa *old)
{
	if (old->in)
		raise_window(sa, __atomic_load_n(&old->replay.top, __ATOMIC_RELAXED));
}

/* The object for ${p}: the one in force when it is the same SA in the same direction, else a new one. */
static struct sa *
make_sa(const struct reload *r, const struct sa_params *p, enum sa_dir said)
{
	enum sa_dir dir = direction(r, p, said);
	long i = ruleset_find_sa(&r->set, p->proto, p->spi, &p->dst);
	struct sa *old = i >= 0 ? r->set.sa[i].sa : NULL, *sa;
	struct sa_params resolved;

	/* (a new one's window follows in carry_windows()) */
	if (old && sa_usable(old) && old->p.dir == dir && sa_params_eq(&old->p, p))
		return sa_ref(old);
	sa_params_copy(&resolved, p);
	resolved.dir = dir;
	sa = sa_new(&resolved, mono_ms());
	sa_params_fini(&resolved);
	return sa;
}

/* The SA in force whose window ${sa}, which is not, goes on with; NULL: none. */
static const struct sa *
window_before(const struct ruleset *old, const struct sa *sa)
{
	long i = ruleset_find_sa(old, sa->p.proto, sa->spi, &sa->p.dst);
	const struct sa *was = i >= 0 ? old->sa[i].sa : NULL;

	if (!was || was == sa || !sa->in || !was->in || (sa->replay.size == 0 && !sa->p.esn) ||
	    !sa_params_same_key(&sa->p, &was->p))
		return NULL;
	return was;
}

struct turn {
	const struct ruleset *old;
	struct ruleset *next;
};

/*
 * With the worker parked: what it took in while the new set was being built and its numbers written counts too.
 */
static void
carry_windows(void *ctx)
{
	const struct turn *t = ctx;

	for (size_t i = 0; i < t->next->nsas; i++) {
		struct sa *sa = t->next->sa[i].sa;
		const struct sa *was = window_before(t->old, sa);

		if (was)
			carry_window(sa, was);
	}
}

/* Those of ${next} that came back go on where they were when they went. */
static void
raise_windows(const struct reload *r, const struct ruleset *old, struct ruleset *next)
{
	for (size_t i = 0; i < next->nsas; i++) {
		struct sa *sa = next->sa[i].sa;
		long j = ruleset_find_sa(old, sa->p.proto, sa->spi, &sa->p.dst);

		if (j < 0 || old->sa[j].sa != sa) /* nobody uses it yet */
			raise_window(sa, graves_top(r->graves, sa));
	}
}

/* The windows of SAs that receive and are new go on where the state directory says, and are written there from now on. */
static void
keep_windows(const struct reload *r, struct ruleset *next, bool first_use)
{
	size_t unknown = 0, failed = 0;
	uint64_t top;

	for (size_t i = 0; r->env.windows && i < next->nsas; i++) {
		struct sa *sa = next->sa[i].sa;

		if (!sa->in || sa->replay.kept || (sa->replay.size == 0 && !sa->p.esn))
			continue;
		switch (windows_begin(r->env.windows, sa, &top)) {
		case 1:
			raise_window(sa, top);
			break;
		case 0:
			unknown += sa->replay.size != 0;
			break;
		default:
			failed++;
		}
	}
	if (failed)
		log_warn(
		    "%zu replay windows cannot be kept: after a restart of bitsd, packets captured "
		    "before it could be replayed once",
		    failed);
	if (unknown && !first_use)
		log_warnx(
		    "%zu replay windows have no record: where their keys were used before, packets "
		    "captured then can be replayed once; load such files with ipsecctl -f and new "
		    "keys",
		    unknown);
}

/* SAs of ${old}, which is no longer in force, that are not in force now. */
static void
bury(struct reload *r, const struct ruleset *old)
{
	for (size_t i = 0; i < old->nsas; i++) {
		const struct sa *sa = old->sa[i].sa;
		long j = ruleset_find_sa(&r->set, sa->p.proto, sa->spi, &sa->p.dst);

		if ((j < 0 || r->set.sa[j].sa != sa) && graves_dig(r->graves, sa) < 0)
			log_warn("SPI 0x%08x: its window is forgotten", sa->spi);
	}
}

/* Has ${next} a window to go on with? */
static bool
carries(const struct ruleset *old, const struct ruleset *next)
{
	for (size_t i = 0; i < next->nsas; i++)
		if (window_before(old, next->sa[i].sa))
			return true;
	return false;
}

/* Numbers for each SA that sends and has none.  One that gets none stays in the set, closed. */
static void
begin_numbers(struct reload *r, struct ruleset *set, bool first_use, struct diags *ds)
{
	char why[512];

	for (size_t i = 0; i < set->nsas; i++) {
		struct ruleset_sa *e = &set->sa[i];

		if (!seqkeeper_sends(e->sa) ||
		    __atomic_load_n(&e->sa->seq.reserved, __ATOMIC_RELAXED))
			continue;
		if (e->sa->fp[0] && !e->file)
			continue; /* refused earlier, and not what is being loaded now */
		if (seqkeeper_begin(r->env.keeper, e->sa, first_use, why, sizeof why) == 0)
			continue;
		log_warnx("%s", why);
		diags_add(ds, e->file ? e->file : "policy", e->line, e->col, true, "%s", why);
	}
}

/* SAs of ${old} whose key nobody uses from now on: their records say exactly where they ended. */
static void
end_numbers(struct reload *r, const struct ruleset *old)
{
	struct idmap used;
	uint64_t until = mono_ms() + STOP_MS;
	size_t pos;
	bool stays;
	uint32_t h;
	long j;

	/* What is on trial may have to go. */
	if (r->trying || idmap_init(&used, r->set.nsas) < 0)
		return; /* the records are higher than need be, which is safe */
	for (size_t i = 0; i < r->set.nsas; i++)
		if (r->set.sa[i].sa->fp[0])
			idmap_put(
			    &used, idmap_hash(IDMAP_SEED, r->set.sa[i].sa->fp, SEQSTORE_FP_LEN), i);
	for (size_t i = 0; i < old->nsas && mono_ms() < until; i++) {
		const struct sa *sa = old->sa[i].sa;

		if (!sa->fp[0])
			continue;
		h = idmap_hash(IDMAP_SEED, sa->fp, SEQSTORE_FP_LEN);
		for (pos = 0, stays = false; !stays && (j = idmap_each(&used, h, &pos)) >= 0;)
			stays = memcmp(r->set.sa[j].sa->fp, sa->fp, SEQSTORE_FP_LEN) == 0;
		if (!stays && seqkeeper_stop(r->env.keeper, sa) < 0)
			log_warn("SPI 0x%08x: its record stays higher than need be", sa->spi);
	}
	idmap_fini(&used);
}

/* Checks ${next}, and puts it in force.  Takes ${next} over in any case.  0, or -1 with errors in ${ds}. */
static int
commit(struct reload *r, struct ruleset *next, bool first_use, struct diags *ds)
{
	struct sa **sas = NULL;
	struct ruleset old;
	struct turn turn = {.old = &old, .next = &r->set};
	struct gen *g;

	if (ds->errors || ruleset_check(next, ds) < 0)
		goto err0;
	if (next->nsas && (sas = calloc(next->nsas, sizeof *sas)) == NULL) {
		no_memory(ds);
		goto err0;
	}
	for (size_t i = 0; i < next->nsas; i++)
		sas[i] = next->sa[i].sa;
	g = gen_new(r->number + 1, next->rule, next->nrules, next->builtin, sas, next->nsas);
	free(sas);
	if (!g) {
		diags_add(ds, "policy", 0, 0, false,
		    "cannot build the new policy: %s; nothing was changed", strerror(errno));
		goto err0;
	}
	begin_numbers(r, next, first_use, ds);
	raise_windows(r, &r->set, next);
	keep_windows(r, next, first_use);
	r->number++;
	old = r->set;
	r->set = *next;
	for (size_t i = 0; i < r->set.nsas; i++)
		r->set.sa[i].file = NULL; /* the text goes away with the transaction */
	if (carries(&old, &r->set))
		shim_publish_after(r->env.shim, g, carry_windows, &turn);
	else
		shim_publish(r->env.shim, g);
	bury(r, &old);
	end_numbers(r, &old);
	ruleset_fini(&old);
	if (r->env.published)
		r->env.published(r->env.ctx);
	return 0;
err0:
	ruleset_fini(next);
	return -1;
}

/* Rules of ${c} into ${next} from place ${at} on, each as the object in force where there is an equal one that ${next} does not use
 * yet. */
static int
put_rules(const struct reload *r, const struct conf *c, struct ruleset *next, size_t at, bool reuse)
{
	struct idmap by_rule;
	bool *used = calloc(r->set.nrules + 1, sizeof *used);
	int rc = -1;

	if (!used || idmap_init(&by_rule, r->set.nrules) < 0)
		goto out0;
	for (size_t i = 0; reuse && i < r->set.nrules; i++)
		idmap_put(&by_rule, ruleset_rule_hash(r->set.rule[i]), i);
	for (size_t i = 0; i < c->nrules; i++) {
		struct policy *p = c->rule[i];
		size_t pos = 0;
		long j;

		while ((j = idmap_each(&by_rule, ruleset_rule_hash(p), &pos)) >= 0)
			if (!used[j] && policy_eq(r->set.rule[j], p)) {
				used[j] = true;
				p = r->set.rule[j];
				break;
			}
		if (ruleset_insert(next, at + i, p) < 0)
			goto out1;
	}
	rc = 0;
out1:
	idmap_fini(&by_rule);
out0:
	free(used);
	return rc;
}

static int
put_sas(const struct reload *r, const struct conf *c, struct ruleset *next)
{
	for (size_t i = 0; i < c->nsas; i++) {
		struct ruleset_sa e = {
		    .sa = make_sa(r, &c->sa[i], c->sa[i].dir),
		    .said = c->sa[i].dir,
		    .file = c->sa_at[i].file,
		    .line = c->sa_at[i].line,
		    .col = c->sa_at[i].col,
		};

		if (!e.sa || ruleset_add_sa(next, &e) < 0)
			return -1;
	}
	return 0;
}

/* DELETE: the rules of ${c} leave ${next}; one that is not there is an error. */
static void
take_rules(const struct conf *c, struct ruleset *next, struct diags *ds)
{
	size_t j;

	for (size_t i = 0; i < c->nrules; i++) {
		for (j = 0; j < next->nrules && !policy_eq(next->rule[j], c->rule[i]); j++)
			;
		if (j < next->nrules)
			ruleset_remove(next, j);
		else
			diags_add(ds, c->rule_at[i].file, c->rule_at[i].line, c->rule_at[i].col,
			    false, "there is no such rule");
	}
}

/* The same for SAs, which go by protocol, SPI and destination. */
static int
take_sas(const struct conf *c, struct ruleset *next, struct diags *ds)
{
	bool *goes = calloc(next->nsas + 1, sizeof *goes);
	long k;

	if (!goes || ruleset_index(next) < 0) {
		free(goes);
		return no_memory(ds);
	}
	for (size_t i = 0; i < c->nsas; i++) {
		const struct sa_params *p = &c->sa[i];

		if ((k = ruleset_find_sa(next, p->proto, p->spi, &p->dst)) >= 0)
			goes[k] = true;
		else
			diags_add(ds, c->sa_at[i].file, c->sa_at[i].line, c->sa_at[i].col, false,
			    "there is no such SA");
	}
	for (size_t i = next->nsas; i-- > 0;)
		if (goes[i])
			ruleset_remove_sa(next, i);
	free(goes);
	return 0;
}

int
reload_conf(struct reload *r, const struct conf *c, enum reload_how how, size_t at, bool first_use,
    struct diags *ds)
{
	struct ruleset next;
	int rc;

	look_around(r);
	if (how == RELOAD_REPLACE)
		ruleset_init(&next);
	else if (ruleset_copy(&next, &r->set) < 0)
		return no_memory(ds);
	if (at == RELOAD_AT_END)
		at = next.nrules;
	if (at > next.nrules) {
		diags_add(ds, "policy", 0, 0, false, "there are %zu rules, so place %zu is none",
		    next.nrules, at);
		goto err;
	}
	for (int b = 0; b < BUILTIN_MAX; b++)
		if (c->builtin_said[b])
			next.builtin[b] = how == RELOAD_DELETE ? BUILTIN_BYPASS : c->builtin[b];
	if (how == RELOAD_DELETE) {
		take_rules(c, &next, ds);
		if (take_sas(c, &next, ds) < 0)
			goto err;
	} else {
		rc = put_rules(r, c, &next, at, how == RELOAD_REPLACE);
		if (rc < 0 || put_sas(r, c, &next) < 0) {
			no_memory(ds);
			goto err;
		}
	}
	return commit(r, &next, first_use, ds);
err:
	ruleset_fini(&next);
	return -1;
}

/* What ${c} alone comes to. */
static int
replacement(struct reload *r, const struct conf *c, struct ruleset *next, struct diags *ds)
{
	look_around(r);
	ruleset_init(next);
	for (int b = 0; b < BUILTIN_MAX; b++)
		if (c->builtin_said[b])
			next->builtin[b] = c->builtin[b];
	if (put_rules(r, c, next, 0, true) == 0 && put_sas(r, c, next) == 0)
		return 0;
	ruleset_fini(next);
	return no_memory(ds);
}

int
reload_sync(struct reload *r, const struct conf *c, struct ruleset_diff *d, ruleset_diff_fn each,
    void *ctx, struct diags *ds)
{
	struct ruleset next;

	if (replacement(r, c, &next, ds) < 0)
		return -1;
	if (ruleset_diff(&r->set, &next, d, each, ctx) < 0) {
		ruleset_fini(&next);
		return no_memory(ds);
	}
	if (!ruleset_diff_none(d))
		return commit(r, &next, true, ds);
	ruleset_fini(&next);
	return 0;
}

int
reload_try(struct reload *r, const struct conf *c, struct diags *ds)
{
	struct ruleset next;

	if (replacement(r, c, &next, ds) < 0)
		return -1;
	if (ruleset_copy(&r->before, &r->set) < 0) {
		ruleset_fini(&next);
		return no_memory(ds);
	}
	r->trying = true;
	if (commit(r, &next, true, ds) == 0)
		return 0;
	r->trying = false;
	ruleset_fini(&r->before);
	return -1;
}

bool
reload_trying(const struct reload *r)
{
	return r->trying;
}

void
reload_confirm(struct reload *r)
{
	r->trying = false;
	end_numbers(r, &r->before);
	ruleset_fini(&r->before);
}

/* Another SA of the policy on trial with the key of ${sa}, from *${pos} on; NULL: no more. */
static const struct sa *
same_key(const struct reload *r, const struct idmap *by_key, const struct sa *sa, uint32_t h,
    size_t *pos)
{
	long i;

	while ((i = idmap_each(by_key, h, pos)) >= 0) {
		const struct sa *o = r->set.sa[i].sa;

		if (o != sa && sa_params_same_key(&o->p, &sa->p))
			return o;
	}
	return NULL;
}

/* The object for ${e}, which was in force before the trial.  NULL: no memory. */
static struct sa *
bring_back(const struct reload *r, const struct idmap *by_key, const struct ruleset_sa *e)
{
	enum sa_dir dir = direction(r, &e->sa->p, e->said);
	char fp[SEQSTORE_FP_LEN + 1];
	struct sa_params resolved;
	const struct sa *o;
	size_t pos = 0;
	struct sa *sa;
	uint32_t h;

	if (sa_params_fingerprint(&e->sa->p, fp) < 0)
		return NULL;
	h = idmap_hash(IDMAP_SEED, fp, SEQSTORE_FP_LEN);
	if (!same_key(r, by_key, e->sa, h, &pos) && dir == e->sa->p.dir)
		return sa_ref(e->sa);
	sa_params_copy(&resolved, &e->sa->p);
	resolved.dir = dir;
	sa = sa_new(&resolved, mono_ms());
	sa_params_fini(&resolved);
	if (!sa)
		return NULL;
	carry_window(sa, e->sa);
	for (pos = 0; (o = same_key(r, by_key, e->sa, h, &pos)) != NULL;)
		carry_window(sa, o);
	return sa;
}

/* The places of the SAs in force by their keys' fingerprints.  0, or -1. */
static int
index_keys(const struct reload *r, struct idmap *by_key)
{
	char fp[SEQSTORE_FP_LEN + 1];

	if (idmap_init(by_key, r->set.nsas) < 0)
		return -1;
	for (size_t i = 0; i < r->set.nsas; i++) {
		if (sa_params_fingerprint(&r->set.sa[i].sa->p, fp) < 0) {
			idmap_fini(by_key);
			return -1;
		}
		idmap_put(by_key, idmap_hash(IDMAP_SEED, fp, SEQSTORE_FP_LEN), i);
	}
	return 0;
}

int
reload_revert(struct reload *r, struct diags *ds)
{
	struct ruleset next;
	struct idmap by_key;

	look_around(r);
	if (ruleset_copy(&next, &r->before) < 0)
		return no_memory(ds);
	if (index_keys(r, &by_key) < 0)
		goto err;
	for (size_t i = 0; i < next.nsas; i++) {
		struct sa *sa = bring_back(r, &by_key, &next.sa[i]);

		if (!sa) {
			idmap_fini(&by_key);
			goto err;
		}
		sa_unref(next.sa[i].sa);
		next.sa[i].sa = sa;
	}
	idmap_fini(&by_key);
	r->trying = false;
	if (commit(r, &next, false, ds) < 0) {
		r->trying = true;
		return -1;
	}
	ruleset_fini(&r->before);
	return 0;
err:
	ruleset_fini(&next);
	return no_memory(ds);
}

int
reload_flush(struct reload *r, enum reload_what what, struct diags *ds)
{
	struct ruleset next;

	if (ruleset_copy(&next, &r->set) < 0)
		return no_memory(ds);
	if (what & RELOAD_FLOWS) {
		while (next.nrules)
			ruleset_remove(&next, next.nrules - 1);
		memset(next.builtin, 0, sizeof next.builtin);
	}
	while ((what & RELOAD_SAS) && next.nsas)
		ruleset_remove_sa(&next, next.nsas - 1);
	return commit(r, &next, false, ds);
}

int
reload_delete_rule(struct reload *r, size_t place, struct diags *ds)
{
	struct ruleset next;

	if (place >= r->set.nrules) {
		diags_add(ds, "policy", 0, 0, false, "there are %zu rules, so place %zu is none",
		    r->set.nrules, place);
		return -1;
	}
	if (ruleset_copy(&next, &r->set) < 0)
		return no_memory(ds);
	ruleset_remove(&next, place);
	return commit(r, &next, false, ds);
}

int
reload_move_rule(struct reload *r, size_t from, size_t to, struct diags *ds)
{
	struct ruleset next;
	struct policy *p;

	if (from >= r->set.nrules || to >= r->set.nrules) {
		diags_add(ds, "policy", 0, 0, false, "there are %zu rules, so place %zu is none",
		    r->set.nrules, from >= r->set.nrules ? from : to);
		return -1;
	}
	if (ruleset_copy(&next, &r->set) < 0)
		return no_memory(ds);
	p = policy_ref(next.rule[from]);
	ruleset_remove(&next, from);
	if (ruleset_insert(&next, to, p) < 0) {
		policy_unref(p);
		ruleset_fini(&next);
		return no_memory(ds);
	}
	policy_unref(p);
	return commit(r, &next, false, ds);
}

int
reload_delete_sa(struct reload *r, enum ipsec_proto proto, uint32_t spi, const struct ipaddr *dst,
    struct diags *ds)
{
	struct ruleset next;
	long found = -1;

	for (size_t i = 0; i < r->set.nsas; i++) {
		const struct sa_params *p = &r->set.sa[i].sa->p;

		if (p->proto != proto || p->spi != spi || (dst && !ipaddr_eq(&p->dst, dst)))
			continue;
		if (found >= 0) {
			diags_add(ds, "policy", 0, 0, false,
			    "more than one SA has SPI 0x%08x; say which: to ADDRESS", spi);
			return -1;
		}
		found = (long)i;
	}
	if (found < 0) {
		diags_add(ds, "policy", 0, 0, false, "there is no SA with SPI 0x%08x", spi);
		return -1;
	}
	if (ruleset_copy(&next, &r->set) < 0)
		return no_memory(ds);
	ruleset_remove_sa(&next, (size_t)found);
	return commit(r, &next, false, ds);
}

int
reload_bury(struct reload *r)
{
	struct diags ds = {0};
	struct ruleset next;
	size_t dead = 0;
	int rc;

	for (size_t i = 0; i < r->set.nsas; i++)
		dead += !sa_usable(r->set.sa[i].sa);
	if (dead == 0)
		return 0;
	if (ruleset_copy(&next, &r->set) < 0) {
		log_warn("cannot remove SAs that have ended");
		return -1;
	}
	for (size_t i = next.nsas; i-- > 0;)
		if (!sa_usable(next.sa[i].sa)) {
			log_info("SPI 0x%08x: has ended and is removed", next.sa[i].sa->spi);
			ruleset_remove_sa(&next, i);
		}
	if ((rc = commit(r, &next, false, &ds)) < 0)
		for (size_t i = 0; i < ds.n; i++)
			log_warnx("cannot remove SAs that have ended: %s", ds.d[i].text);
	diags_free(&ds);
	return rc;
}

void
reload_readdress(struct reload *r)
{
	struct diags ds = {0};
	struct ruleset next;
	bool changed = false;

	look_around(r);
	for (size_t i = 0; i < r->set.nsas && !changed; i++) {
		const struct ruleset_sa *e = &r->set.sa[i];

		changed = direction(r, &e->sa->p, e->said) != e->sa->p.dir;
	}
	if (!changed)
		return;
	if (ruleset_copy(&next, &r->set) < 0) {
		log_warn("cannot look at the SAs' directions again");
		return;
	}
	for (size_t i = 0; i < next.nsas; i++) {
		struct sa *sa = make_sa(r, &next.sa[i].sa->p, next.sa[i].said);

		if (!sa) {
			log_warn("cannot look at the SAs' directions again");
			ruleset_fini(&next);
			return;
		}
		sa_unref(next.sa[i].sa);
		next.sa[i].sa = sa;
	}
	if (commit(r, &next, false, &ds) < 0)
		for (size_t i = 0; i < ds.n; i++)
			log_warnx("after a change of addresses: %s", ds.d[i].text);
	else
		log_info("the host's addresses changed: directions of SAs were looked at again");
	diags_free(&ds);
}

static int
top_up(struct reload *r, struct sa *sa, uint64_t now)
{
	if (seqkeeper_top_up(r->env.keeper, sa, now) == 0)
		return 0;
	log_warnx("SPI 0x%08x: cannot reserve more sequence numbers; it stops sending at %llu: %s",
	    sa->spi, (unsigned long long)sa->seq.reserved,
	    errno == EBUSY ? "another bitsd uses its key" : strerror(errno));
	return -1;
}

int
reload_seq_low(
    struct reload *r, unsigned proto, uint32_t spi, const struct ipaddr *dst, uint64_t now)
{
	long i = ruleset_find_sa(&r->set, proto, spi, dst);

	return i >= 0 ? top_up(r, r->set.sa[i].sa, now) : 0;
}

int
reload_seq_sweep(struct reload *r, uint64_t now)
{
	int rc = 0;

	for (size_t i = 0; i < r->set.nsas; i++)
		if (top_up(r, r->set.sa[i].sa, now) < 0)
			rc = -1;
	return rc;
}

void
reload_stop(struct reload *r)
{
	uint64_t until = mono_ms() + STOP_MS;

	for (size_t i = 0; i < r->set.nsas && mono_ms() < until; i++)
		if (seqkeeper_stop(r->env.keeper, r->set.sa[i].sa) < 0)
			log_warn("SPI 0x%08x: its record stays higher than need be",
			    r->set.sa[i].sa->spi);
}
