/* links: bits_control bits_edge bits_walk bits_spd */
/*
 * Every change is one transaction: what stays keeps its counters and numbers, what fails changes nothing, and no key starts again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "mem_store.h"
#include "pair_edge.h"
#include "reload.h"

#define KEY(c) "0x" c c c c c c c c c c c c c c c c c c c c /* 20 octets */
#define GCM                                                                                        \
	"esp transport from 10.9.0.1 to 10.9.0.2 spi 0x1001:0x2001 enc aes-128-gcm enckey " KEY(   \
	    "a1") ":" KEY("b2")
#define GCM2                                                                                       \
	"esp transport from 10.9.0.1 to 10.9.0.3 spi 0x1003:0x2003 enc aes-128-gcm enckey " KEY(   \
	    "c3") ":" KEY("d4")

struct fix {
	struct mem mem;
	struct shim *s;
	struct seqkeeper *k;
	struct reload *r;
	struct ipaddr here[4];
	int nhere;
	int published;
};

static int
addresses(void *ctx, struct ipaddr *out, int cap)
{
	struct fix *f = ctx;

	memcpy(out, f->here, sizeof *out * (size_t)f->nhere);
	return f->nhere;
}

static void
published(void *ctx)
{
	((struct fix *)ctx)->published++;
}

static void
start(struct fix *f)
{
	struct reload_env env = {.addresses = addresses, .published = published, .ctx = f};

	f->s = shim_new(&pair_new()->e, &pair_new()->e);
	f->k = mem_keeper(&f->mem, "aa");
	assert_non_null(f->s);
	assert_non_null(f->k);
	env.shim = f->s;
	env.keeper = f->k;
	f->r = reload_new(&env);
	assert_non_null(f->r);
}

static void
stop(struct fix *f)
{
	reload_free(f->r);
	shim_free(f->s);
	seqkeeper_free(f->k);
}

static int
setup(void **state)
{
	struct fix *f = calloc(1, sizeof *f);

	assert_int_equal(ipaddr_parse("10.9.0.1", &f->here[0]), 0);
	f->nhere = 1;
	start(f);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	stop(*state);
	free(*state);
	return 0;
}

/* Applies ${text}; 0 or -1, and the first error (or warning) in ${why}. */
static char why[512];

static int
say(struct fix *f, const char *text, enum reload_how how, size_t at, bool first_use)
{
	struct conf_opts o = {.no_files = true, .any_owner = true};
	struct diags ds = {0};
	struct conf c;
	int rc;

	why[0] = '\0';
	conf_init(&c);
	rc = conf_parse_text("text", text, strlen(text), &o, &c, &ds);
	if (rc == 0)
		rc = reload_conf(f->r, &c, how, at, first_use, &ds);
	for (size_t i = 0; i < ds.n; i++)
		if (!why[0] || !ds.d[i].warning)
			snprintf(why, sizeof why, "%s", ds.d[i].text);
	conf_free(&c);
	diags_free(&ds);
	return rc;
}

static int
load(struct fix *f, const char *text)
{
	return say(f, text, RELOAD_REPLACE, RELOAD_AT_END, true);
}

static const struct sadb *
sad(struct fix *f)
{
	return shim_gen(f->s)->sad;
}

static const struct spd *
spd(struct fix *f)
{
	return shim_gen(f->s)->spd;
}

static struct sa *
sa_of(struct fix *f, uint32_t spi)
{
	for (size_t i = 0; i < sadb_count(sad(f)); i++)
		if (sadb_at(sad(f), i)->spi == spi)
			return sadb_at(sad(f), i);
	return NULL;
}

static void
test_load(void **state)
{
	struct fix *f = *state;

	assert_int_equal(
	    load(f, GCM "\nflow from any to any type bypass\nbuiltin dhcp type deny\n"), 0);
	assert_int_equal(sadb_count(sad(f)), 2);
	assert_int_equal(spd_count(spd(f)), 1);
	assert_int_equal(spd_builtin(spd(f), BUILTIN_DHCP), BUILTIN_DENY);
	assert_int_equal(spd_builtin(spd(f), BUILTIN_ARP), BUILTIN_BYPASS);
	assert_int_equal(sa_of(f, 0x1001)->p.dir, SA_DIR_OUT);
	assert_int_equal(sa_of(f, 0x2001)->p.dir, SA_DIR_IN);
	assert_int_equal(sa_of(f, 0x1001)->seq.reserved, 1 + SEQSTORE_BLOCK);
	assert_int_equal(sa_of(f, 0x2001)->seq.reserved, 0);
	assert_int_equal(f->published, 1);
	assert_int_equal(f->mem.n, 1); /* one sender, one record */
}

static void
test_the_other_host_reads_the_same_file(void **state)
{
	struct fix *f = *state;

	assert_int_equal(ipaddr_parse("10.9.0.2", &f->here[0]), 0);
	assert_int_equal(load(f, GCM "\n"), 0);
	assert_int_equal(sa_of(f, 0x1001)->p.dir, SA_DIR_IN);
	assert_int_equal(sa_of(f, 0x2001)->p.dir, SA_DIR_OUT);
	assert_null(sa_of(f, 0x1001)->out);
	assert_non_null(sa_of(f, 0x2001)->out);
}

static void
test_what_stays_is_the_same_object(void **state)
{
	struct fix *f = *state;
	struct sa *sa;
	struct policy *p, *q;
	uint64_t seq;

	assert_int_equal(
	    load(f,
		GCM "\nflow from any to 10.1.0.0/16 type deny\nflow from any to any type bypass\n"),
	    0);
	sa = sa_of(f, 0x1001);
	p = spd_at(spd(f), 0);
	q = spd_at(spd(f), 1);
	p->count[DIR_OUT].packets = 17;
	assert_int_equal(seq_take(&sa->seq, &seq), DROP_NONE);
	/* another order, one rule more, one SA more */
	assert_int_equal(
	    load(f,
		GCM2 "\n" GCM
		     "\nflow from any to any type bypass\nflow from any to 10.2.0.0/16 type deny\n"
		     "flow from any to 10.1.0.0/16 type deny\n"),
	    0);
	assert_ptr_equal(sa_of(f, 0x1001), sa);
	assert_int_equal(sa->seq.next, 2);
	assert_ptr_equal(spd_at(spd(f), 0), q);
	assert_ptr_equal(spd_at(spd(f), 2), p);
	assert_int_equal(p->count[DIR_OUT].packets, 17);
	assert_int_equal(shim_gen(f->s)->number, 2);
}

static void
test_equal_rules_each_keep_theirs(void **state)
{
	struct fix *f = *state;
	struct policy *a, *b;

	assert_int_equal(
	    load(f, "flow from any to any type deny\nflow from any to any type deny\n"), 0);
	a = spd_at(spd(f), 0);
	b = spd_at(spd(f), 1);
	assert_ptr_not_equal(a, b);
	assert_int_equal(
	    load(f, "flow from any to any type deny\nflow from any to any type deny\n"), 0);
	assert_ptr_equal(spd_at(spd(f), 0), a);
	assert_ptr_equal(spd_at(spd(f), 1), b);
}

static void
test_one_key_goes_on(void **state)
{
	struct fix *f = *state;
	struct sa *old, *new;
	uint64_t seq, reserved;

	assert_int_equal(load(f, GCM "\n"), 0);
	old = sa_ref(sa_of(f, 0x1001));
	assert_int_equal(seq_take(&old->seq, &seq), DROP_NONE);
	reserved = old->seq.reserved;
	/* an option changed: another object, the same key */
	assert_int_equal(load(f, GCM " replay 128\n"), 0);
	new = sa_of(f, 0x1001);
	assert_ptr_not_equal(new, old);
	assert_true(new->seq.next >= reserved);
	sa_unref(old);
	/* gone, and back under another SPI */
	reserved = new->seq.next;
	assert_int_equal(load(f, ""), 0);
	assert_int_equal(
	    load(
		f, "esp transport from 10.9.0.1 to 10.9.0.2 spi 0x7777 enc aes-128-gcm enckey " KEY(
		       "a1") "\n"),
	    0);
	assert_true(sa_of(f, 0x7777)->seq.next >= reserved);
	assert_int_equal(sa_of(f, 0x7777)->seq.next, reserved); /* an orderly end loses no number */
}

static void
test_over_a_restart(void **state)
{
	struct fix *f = *state;
	uint64_t seq, reserved;

	assert_int_equal(load(f, GCM "\n"), 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(seq_take(&sa_of(f, 0x1001)->seq, &seq), DROP_NONE);
	reserved = sa_of(f, 0x1001)->seq.reserved;
	stop(f); /* as a crash: nothing saved */
	start(f);
	assert_int_equal(say(f, GCM "\n", RELOAD_REPLACE, RELOAD_AT_END, false), 0);
	assert_int_equal(sa_of(f, 0x1001)->seq.next, reserved);
	assert_int_equal(seq_take(&sa_of(f, 0x1001)->seq, &seq), DROP_NONE);
	reload_stop(f->r);
	stop(f); /* orderly */
	start(f);
	assert_int_equal(say(f, GCM "\n", RELOAD_REPLACE, RELOAD_AT_END, false), 0);
	assert_int_equal(sa_of(f, 0x1001)->seq.next, reserved + 1);
}

static void
test_a_start_without_records_stays_closed(void **state)
{
	struct fix *f = *state;
	uint64_t seq;

	assert_int_equal(say(f, GCM "\nflow from any to any type bypass\n", RELOAD_REPLACE,
			     RELOAD_AT_END, false),
	    0);
	assert_int_equal(seq_take(&sa_of(f, 0x1001)->seq, &seq), DROP_SEQ_UNRESERVED);
	assert_int_equal(f->mem.n, 0);
	/* something else is added by hand: that is not this key's first use */
	assert_int_equal(
	    say(f, "flow from any to 10.3.0.0/16 type deny\n", RELOAD_ADD, 0, true), 0);
	assert_int_equal(seq_take(&sa_of(f, 0x1001)->seq, &seq), DROP_SEQ_UNRESERVED);
	/* it is loaded by hand: now it is */
	assert_int_equal(load(f, GCM "\n"), 0);
	assert_int_equal(seq_take(&sa_of(f, 0x1001)->seq, &seq), DROP_NONE);
}

static void
test_a_directory_that_fails_closes(void **state)
{
	struct fix *f = *state;
	uint64_t seq;

	f->mem.fail_replace = EROFS;
	assert_int_equal(load(f, GCM "\n"), 0);
	assert_non_null(strstr(why, "may not send"));
	assert_int_equal(seq_take(&sa_of(f, 0x1001)->seq, &seq), DROP_SEQ_UNRESERVED);
	f->mem.fail_replace = 0;
	assert_int_equal(load(f, GCM "\n"), 0);
	assert_int_equal(seq_take(&sa_of(f, 0x1001)->seq, &seq), DROP_NONE);
}

static void
test_refused_changes_nothing(void **state)
{
	static const char *const bad[] = {
	    /* one key, two senders */
	    GCM "\nesp transport from 10.9.0.1 to 10.9.0.9 spi 0x1009 enc aes-128-gcm enckey " KEY(
		"a1") "\n",
	    /* both directions under one key, where numbers are nonces */
	    "esp transport from 10.9.0.1 to 10.9.0.2 spi 0x1001:0x2001 enc aes-128-gcm enckey " KEY(
		"a1") ":" KEY("a1") "\n",
	    /* one name, two SAs */
	    GCM "\nesp transport from 10.9.0.1 to 10.9.0.2 spi 0x1001 enc aes-128-gcm enckey " KEY(
		"e5") "\n",
	};
	struct fix *f = *state;
	const struct gen *g;
	struct sa *sa;
	int replaces;

	assert_int_equal(load(f, GCM2 "\nflow from any to any type bypass\n"), 0);
	g = shim_gen(f->s);
	sa = sa_of(f, 0x1003);
	replaces = f->mem.replaces;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(load(f, bad[i]), -1);
		assert_true(why[0]);
		assert_ptr_equal(shim_gen(f->s), g);
		assert_ptr_equal(sa_of(f, 0x1003), sa);
		assert_int_equal(f->mem.replaces, replaces);
		assert_int_equal(f->published, 1);
	}
	/* against what is in force */
	assert_int_equal(
	    say(f,
		"esp transport from 10.9.0.1 to 10.9.0.9 spi 0x1009 enc aes-128-gcm enckey " KEY(
		    "c3") "\n",
		RELOAD_ADD, RELOAD_AT_END, true),
	    -1);
	assert_int_equal(say(f, GCM2 "\n", RELOAD_ADD, RELOAD_AT_END, true), -1);
	assert_ptr_equal(shim_gen(f->s), g);
}

static void
test_edit(void **state)
{
	struct fix *f = *state;
	struct diags ds = {0};
	struct policy *a, *b, *c;
	struct ipaddr dst;

	assert_int_equal(
	    load(f, "flow from any to 10.0.0.1 type deny\nflow from any to 10.0.0.2 type deny\n"),
	    0);
	a = spd_at(spd(f), 0);
	b = spd_at(spd(f), 1);
	assert_int_equal(say(f, "flow from any to 10.0.0.3 type deny\n", RELOAD_ADD, 1, true), 0);
	c = spd_at(spd(f), 1);
	assert_ptr_equal(spd_at(spd(f), 0), a);
	assert_ptr_equal(spd_at(spd(f), 2), b);
	assert_int_equal(reload_move_rule(f->r, 0, 2, &ds), 0);
	assert_ptr_equal(spd_at(spd(f), 0), c);
	assert_ptr_equal(spd_at(spd(f), 1), b);
	assert_ptr_equal(spd_at(spd(f), 2), a);
	assert_int_equal(reload_delete_rule(f->r, 1, &ds), 0);
	assert_int_equal(spd_count(spd(f)), 2);
	assert_ptr_equal(spd_at(spd(f), 1), a);
	assert_int_equal(ds.n, 0);
	assert_int_equal(reload_delete_rule(f->r, 2, &ds), -1);
	assert_int_equal(reload_move_rule(f->r, 2, 0, &ds), -1);
	assert_int_equal(reload_move_rule(f->r, 0, 2, &ds), -1);
	assert_int_equal(ds.errors, 3);
	diags_free(&ds);
	assert_int_equal(say(f, "flow from any to 10.0.0.9 type deny\n", RELOAD_ADD, 3, true), -1);
	/* what a file names goes; what is not there is an error, and then nothing goes */
	assert_int_equal(say(f, GCM "\n", RELOAD_ADD, RELOAD_AT_END, true), 0);
	assert_int_equal(say(f, GCM "\nflow from any to 10.0.0.7 type deny\n", RELOAD_DELETE,
			     RELOAD_AT_END, true),
	    -1);
	assert_int_equal(sadb_count(sad(f)), 2);
	assert_int_equal(say(f, "flow from any to 10.0.0.1 type deny\n" GCM "\n", RELOAD_DELETE,
			     RELOAD_AT_END, true),
	    0);
	assert_int_equal(sadb_count(sad(f)), 0);
	assert_int_equal(spd_count(spd(f)), 1);
	/* single SAs */
	assert_int_equal(say(f, GCM "\n", RELOAD_ADD, RELOAD_AT_END, true), 0);
	assert_int_equal(reload_delete_sa(f->r, IPSEC_AH, 0x1001, NULL, &ds), -1);
	assert_int_equal(ipaddr_parse("10.9.0.77", &dst), 0);
	assert_int_equal(reload_delete_sa(f->r, IPSEC_ESP, 0x1001, &dst, &ds), -1);
	diags_free(&ds);
	assert_int_equal(reload_delete_sa(f->r, IPSEC_ESP, 0x1001, NULL, &ds), 0);
	assert_null(sa_of(f, 0x1001));
	assert_non_null(sa_of(f, 0x2001));
}

static void
test_flush(void **state)
{
	struct fix *f = *state;
	struct diags ds = {0};

	assert_int_equal(
	    load(f, GCM "\nflow from any to any type bypass\nbuiltin arp type deny\n"), 0);
	assert_int_equal(reload_flush(f->r, RELOAD_SAS, &ds), 0);
	assert_int_equal(sadb_count(sad(f)), 0);
	assert_int_equal(spd_count(spd(f)), 1);
	assert_int_equal(
	    load(f, GCM "\nflow from any to any type bypass\nbuiltin arp type deny\n"), 0);
	assert_int_equal(reload_flush(f->r, RELOAD_FLOWS, &ds), 0);
	assert_int_equal(sadb_count(sad(f)), 2);
	assert_int_equal(spd_count(spd(f)), 0);
	assert_int_equal(spd_builtin(spd(f), BUILTIN_ARP), BUILTIN_BYPASS);
	assert_int_equal(reload_flush(f->r, RELOAD_ALL, &ds), 0);
	assert_int_equal(sadb_count(sad(f)), 0);
	assert_int_equal(ds.n, 0);
}

static void
test_addresses_come_later(void **state)
{
	struct fix *f = *state;
	struct sa *sa;

	f->nhere = 0;
	assert_int_equal(
	    load(
		f, "esp transport from 10.9.0.2 to 10.9.0.1 spi 0x5005 enc aes-128-gcm enckey " KEY(
		       "a1") "\n"),
	    0);
	assert_int_equal(sa_of(f, 0x5005)->p.dir, SA_DIR_ANY);
	reload_readdress(f->r);
	assert_int_equal(f->published, 1); /* nothing to do */
	sa_of(f, 0x5005)->replay.top = 500;
	f->nhere = 1;
	reload_readdress(f->r);
	sa = sa_of(f, 0x5005);
	assert_int_equal(sa->p.dir, SA_DIR_IN);
	assert_int_equal(f->published, 2);
	/* its window goes on: what came before is not taken again */
	assert_int_equal(replay_check(&sa->replay, 500), DROP_REPLAY_DUP);
	assert_int_not_equal(replay_check(&sa->replay, 460), DROP_NONE);
	assert_int_equal(replay_check(&sa->replay, 501), DROP_NONE);
}

/* The pair of GCM has ended; the file is loaded again. */
static void
again(struct fix *f, uint64_t next)
{
	struct sa *out, *in;

	assert_int_equal(load(f, GCM "\n"), 0);
	out = sa_of(f, 0x1001);
	in = sa_of(f, 0x2001);
	assert_true(sa_usable(out) && sa_usable(in));
	assert_true(out->seq.next >= next); /* no number twice, or GCM is broken */
	assert_true(out->seq.reserved > out->seq.next);
	assert_int_equal(out->cout.packets, 0); /* but its lifetime begins anew */
	assert_int_equal(in->replay.top, 700);
	assert_int_equal(replay_check(&in->replay, 700), DROP_REPLAY_DUP);
	assert_int_not_equal(replay_check(&in->replay, 690), DROP_NONE);
	assert_int_equal(replay_check(&in->replay, 701), DROP_NONE);
}

static void
test_what_ended_comes_back(void **state)
{
	struct fix *f = *state;
	struct diags ds = {0};
	struct sa *out, *in;
	uint64_t next;

	assert_int_equal(load(f, GCM "\n"), 0);
	out = sa_of(f, 0x1001);
	in = sa_of(f, 0x2001);
	out->seq.next = next = 300;
	out->cout.packets = 299;
	in->replay.top = 700;
	assert_true(sa_move(out, SA_DEAD));
	assert_true(sa_move(in, SA_DEAD));
	again(f, next); /* before they were removed */

	next = sa_of(f, 0x1001)->seq.next += 10;
	assert_true(sa_move(sa_of(f, 0x1001), SA_DEAD));
	assert_true(sa_move(sa_of(f, 0x2001), SA_DEAD));
	assert_int_equal(reload_bury(f->r), 0);
	assert_int_equal(sadb_count(sad(f)), 0);
	again(f, next); /* and after that */

	next = sa_of(f, 0x1001)->seq.next += 10;
	assert_int_equal(reload_flush(f->r, RELOAD_SAS, &ds), 0);
	assert_int_equal(load(f, "flow from any to any type deny\n"), 0);
	again(f, next);

	/* Under another SPI it is another SA, and so is one with another key. */
	assert_int_equal(load(f, "esp transport from 10.9.0.2 to 10.9.0.1 spi 0x2002 enc aes-128-gcm enckey " KEY("b2") "\n"
	    "esp transport from 10.9.0.2 to 10.9.0.1 spi 0x2001 enc aes-128-gcm enckey " KEY("e5") "\n"), 0);
	assert_int_equal(sa_of(f, 0x2002)->replay.top, 0);
	assert_int_equal(sa_of(f, 0x2001)->replay.top, 0);
}

static void
test_numbers_are_topped_up(void **state)
{
	struct fix *f = *state;
	struct sa *sa;

	assert_int_equal(load(f, GCM "\n"), 0);
	sa = sa_of(f, 0x1001);
	sa->seq.next = SEQSTORE_BLOCK - 5;
	reload_seq_low(f->r, IPSEC_ESP, 0x1001, &sa->p.dst, 5000);
	assert_int_equal(sa->seq.reserved, 1 + 2 * SEQSTORE_BLOCK);
	reload_seq_low(f->r, IPSEC_ESP, 0x9999, &sa->p.dst, 5000); /* gone meanwhile: nothing */
	sa->seq.next = 2 * SEQSTORE_BLOCK;
	reload_seq_sweep(f->r, 9000);
	assert_int_equal(sa->seq.reserved, 1 + 3 * SEQSTORE_BLOCK);
	/* a directory that fails is told to the caller, who asks again */
	sa->seq.next = 3 * SEQSTORE_BLOCK;
	f->mem.fail_replace = ENOSPC;
	assert_int_equal(reload_seq_low(f->r, IPSEC_ESP, 0x1001, &sa->p.dst, 15000), -1);
	assert_int_equal(reload_seq_sweep(f->r, 16000), -1);
	assert_int_equal(sa->seq.reserved, 1 + 3 * SEQSTORE_BLOCK);
	f->mem.fail_replace = 0;
	assert_int_equal(reload_seq_sweep(f->r, 17000), 0);
	assert_int_equal(sa->seq.reserved, 1 + 4 * SEQSTORE_BLOCK);
}

static void
test_ten_thousand(void **state)
{
	struct fix *f = *state;
	char *text = malloc(10000 * 64), *end = text;
	struct policy *last;

	assert_non_null(text);
	for (int i = 0; i < 10000; i++)
		end += sprintf(end, "flow from any to 10.%d.%d.0/24 type deny\n", i / 256, i % 256);
	assert_int_equal(load(f, text), 0);
	assert_int_equal(spd_count(spd(f)), 10000);
	last = spd_at(spd(f), 9999);
	assert_int_equal(load(f, text), 0);
	assert_ptr_equal(spd_at(spd(f), 9999), last);
	free(text);
}

/* Puts ${text} on trial. */
static int
attempt(struct fix *f, const char *text)
{
	struct conf_opts o = {.no_files = true, .any_owner = true};
	struct diags ds = {0};
	struct conf c;
	int rc;

	conf_init(&c);
	rc = conf_parse_text("text", text, strlen(text), &o, &c, &ds);
	if (rc == 0)
		rc = reload_try(f->r, &c, &ds);
	conf_free(&c);
	diags_free(&ds);
	return rc;
}

static int
revert(struct fix *f)
{
	struct diags ds = {0};
	int rc = reload_revert(f->r, &ds);

	diags_free(&ds);
	return rc;
}

static void
test_what_comes_back_is_the_same_object(void **state)
{
	struct fix *f = *state;
	struct sa *out, *in;
	struct policy *p;
	uint64_t seq, reserved;

	assert_int_equal(load(f, GCM "\nflow from any to 10.1.0.0/16 type deny\n"), 0);
	out = sa_of(f, 0x1001);
	in = sa_of(f, 0x2001);
	p = spd_at(spd(f), 0);
	p->count[DIR_OUT].packets = 17;
	assert_int_equal(seq_take(&out->seq, &seq), DROP_NONE);
	reserved = out->seq.reserved;
	/* the SAs are gone, their numbers are not given up */
	assert_int_equal(attempt(f, GCM2 "\n"), 0);
	assert_true(reload_trying(f->r));
	assert_null(sa_of(f, 0x1001));
	assert_int_equal(revert(f), 0);
	assert_false(reload_trying(f->r));
	assert_ptr_equal(sa_of(f, 0x1001), out);
	assert_ptr_equal(sa_of(f, 0x2001), in);
	assert_ptr_equal(spd_at(spd(f), 0), p);
	assert_int_equal(p->count[DIR_OUT].packets, 17);
	assert_null(sa_of(f, 0x1003));
	assert_int_equal(out->seq.reserved, reserved);
	assert_int_equal(out->seq.next, seq + 1);
	/* a crash now goes on above all of it */
	stop(f);
	start(f);
	assert_int_equal(load(f, GCM "\n"), 0);
	assert_true(sa_of(f, 0x1001)->seq.next >= reserved);
}

static void
test_a_key_used_on_trial_goes_on(void **state)
{
	struct fix *f = *state;
	struct sa *before, *trial, *after;
	uint64_t a, b, c;

	assert_int_equal(load(f, GCM "\n"), 0);
	before = sa_ref(sa_of(f, 0x1001));
	assert_int_equal(seq_take(&before->seq, &a), DROP_NONE);
	assert_int_equal(attempt(f, GCM " replay 128\n"), 0);
	trial = sa_of(f, 0x1001);
	assert_ptr_not_equal(trial, before);
	assert_int_equal(seq_take(&trial->seq, &b), DROP_NONE);
	assert_true(b > a);
	sa_of(f, 0x2001)->replay.top = 4711;
	assert_int_equal(revert(f), 0);
	after = sa_of(f, 0x1001);
	assert_ptr_not_equal(after, before); /* its numbers were overtaken */
	assert_int_equal(after->p.replay, before->p.replay);
	assert_int_equal(seq_take(&after->seq, &c), DROP_NONE);
	assert_true(c > b);
	assert_int_equal(sa_of(f, 0x2001)->replay.top, 4711);
	assert_int_equal(replay_check(&sa_of(f, 0x2001)->replay, 4700), DROP_REPLAY_DUP);
	sa_unref(before);
}

static void
test_confirmed(void **state)
{
	struct fix *f = *state;
	uint64_t seq;

	assert_int_equal(load(f, GCM "\n"), 0);
	assert_int_equal(seq_take(&sa_of(f, 0x1001)->seq, &seq), DROP_NONE);
	assert_int_equal(attempt(f, GCM2 "\n" GCM2 "\n"), -1); /* wrong: nothing is on trial */
	assert_false(reload_trying(f->r));
	assert_non_null(sa_of(f, 0x1001));
	assert_int_equal(attempt(f, GCM2 "\n"), 0);
	reload_confirm(f->r);
	assert_false(reload_trying(f->r));
	/* now the key's record says exactly where it ended */
	assert_int_equal(load(f, GCM "\n"), 0);
	assert_int_equal(sa_of(f, 0x1001)->seq.next, seq + 1);
}

static void
test_a_trial_fails_with_the_directory(void **state)
{
	struct fix *f = *state;

	assert_int_equal(load(f, GCM "\n"), 0);
	assert_int_equal(attempt(f, GCM " replay 128\n"), 0);
	f->mem.fail_replace = EIO;
	assert_int_equal(revert(f), 0);
	assert_int_equal(sa_of(f, 0x1001)->seq.reserved, 0); /* closed rather than twice the same */
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_load),
	    T(test_the_other_host_reads_the_same_file),
	    T(test_what_stays_is_the_same_object),
	    T(test_equal_rules_each_keep_theirs),
	    T(test_one_key_goes_on),
	    T(test_over_a_restart),
	    T(test_a_start_without_records_stays_closed),
	    T(test_a_directory_that_fails_closes),
	    T(test_refused_changes_nothing),
	    T(test_edit),
	    T(test_flush),
	    T(test_addresses_come_later),
	    T(test_what_ended_comes_back), T(test_numbers_are_topped_up),
	    T(test_ten_thousand),
	    T(test_what_comes_back_is_the_same_object),
	    T(test_a_key_used_on_trial_goes_on),
	    T(test_confirmed),
	    T(test_a_trial_fails_with_the_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
