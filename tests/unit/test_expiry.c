/* links: bits_control bits_edge bits_walk bits_spd */
/*
 * SAs that end: by time without a packet, told once and at the right moment; whatever ended leaves the SAD and takes nothing else along.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <event2/event.h>
#include "expiry.h"
#include "mem_store.h"
#include "pair_edge.h"
#include "reload.h"

#define ESP(spi, octet, life)                                                                      \
	"esp transport from 10.9.0.1 to 10.9.0.2 spi " spi " enc aes-128-gcm enckey 0x" octet      \
	"0102030405060708090a0b0c0d0e0f10111213 " life "\n"

struct fix {
	struct mem mem;
	struct event_base *base;
	struct shim *s;
	struct seqkeeper *k;
	struct reload *r;
	struct expiry *e;
	int soft, hard, published;
	uint32_t spi; /* told of last */
};

static int
addresses(void *ctx, struct ipaddr *out, int cap)
{
	return ipaddr_parse("10.9.0.1", out) == 0;
}

static void
published(void *ctx)
{
	struct fix *f = ctx;

	f->published++;
	if (f->e)
		expiry_retarget(f->e);
}

static void
told(void *ctx, const struct sa *sa, bool hard)
{
	struct fix *f = ctx;

	f->spi = sa->spi;
	*(hard ? &f->hard : &f->soft) += 1;
}

static int
setup(void **state)
{
	struct fix *f = calloc(1, sizeof *f);
	struct reload_env env = {.addresses = addresses, .published = published, .ctx = f};

	assert_non_null(f->base = event_base_new());
	assert_non_null(f->s = shim_new(&pair_new()->e, &pair_new()->e));
	assert_non_null(f->k = mem_keeper(&f->mem, "aa"));
	env.shim = f->s;
	env.keeper = f->k;
	assert_non_null(f->r = reload_new(&env));
	assert_non_null(f->e = expiry_new(f->base, f->s, f->r, told, f));
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fix *f = *state;

	expiry_free(f->e);
	reload_free(f->r);
	shim_free(f->s);
	seqkeeper_free(f->k);
	event_base_free(f->base);
	free(f);
	return 0;
}

static void
load(struct fix *f, const char *text)
{
	struct conf_opts o = {.no_files = true, .any_owner = true};
	struct diags ds = {0};
	struct conf c;

	conf_init(&c);
	assert_int_equal(conf_parse_text("text", text, strlen(text), &o, &c, &ds), 0);
	assert_int_equal(reload_conf(f->r, &c, RELOAD_REPLACE, RELOAD_AT_END, true, &ds), 0);
	conf_free(&c);
	diags_free(&ds);
}

static size_t
count(const struct fix *f)
{
	return sadb_count(shim_gen(f->s)->sad);
}

static struct sa *
at(const struct fix *f, size_t i)
{
	return sadb_at(shim_gen(f->s)->sad, i);
}

static void
test_time(void **state)
{
	struct fix *f = *state;
	struct sa *other;
	uint64_t from;

	load(f, ESP("0x1001", "a1", "lifetime soft 5 seconds lifetime hard 10 seconds")
		    ESP("0x1002", "a2", ""));
	other = at(f, 1);
	from = at(f, 0)->added_ms;
	assert_int_equal(expiry_look(f->e, from), 5000);
	assert_int_equal(expiry_look(f->e, from + 4999), 1);
	assert_int_equal(f->soft, 0);
	assert_int_equal(at(f, 0)->state, SA_MATURE);
	assert_int_equal(expiry_look(f->e, from + 5000), 5000);
	assert_int_equal(f->soft, 1);
	assert_int_equal(f->spi, 0x1001);
	assert_int_equal(at(f, 0)->state, SA_DYING);
	assert_int_equal(expiry_look(f->e, from + 9999), 1);
	assert_int_equal(f->soft, 1); /* said once */
	assert_int_equal(f->hard, 0);
	assert_int_equal(count(f), 2);
	assert_int_equal(expiry_look(f->e, from + 10000), UINT64_MAX);
	assert_int_equal(f->hard, 1);
	assert_int_equal(count(f), 1);
	assert_ptr_equal(at(f, 0), other);
	assert_int_equal(f->published, 2);
}

/* Both limits passed while nobody looked: only the hard one is said. */
static void
test_late(void **state)
{
	struct fix *f = *state;

	load(f, ESP("0x1001", "a1", "lifetime soft 5 seconds lifetime hard 10 seconds"));
	expiry_look(f->e, at(f, 0)->added_ms + 100000);
	assert_int_equal(f->soft, 0);
	assert_int_equal(f->hard, 1);
	assert_int_equal(count(f), 0);
}

/* The timer itself: set by a new generation, by nothing else. */
static void
test_timer(void **state)
{
	struct fix *f = *state;

	load(f, ESP("0x1001", "a1", "lifetime hard 1000 packets"));
	assert_int_equal(event_base_loop(f->base, EVLOOP_NONBLOCK), 1); /* nothing to wait for */
	load(f, ESP("0x1001", "a1", "lifetime hard 3600 seconds"));
	assert_int_equal(event_base_loop(f->base, EVLOOP_NONBLOCK), 0);
	assert_int_equal(count(f), 1);
	at(f, 0)->added_ms -= 3600 * 1000 - 20;
	expiry_retarget(f->e);
	assert_int_equal(count(f), 1);
	assert_int_equal(event_base_loop(f->base, EVLOOP_ONCE), 0);
	assert_int_equal(f->hard, 1);
	assert_int_equal(count(f), 0);
	assert_int_equal(event_base_loop(f->base, EVLOOP_NONBLOCK), 1);
}

/* A worker found the end of packets, octets or numbers: nobody is told again, and the SA goes. */
static void
test_bury(void **state)
{
	struct fix *f = *state;
	struct sa *other;

	load(f, ESP("0x1001", "a1", "lifetime hard 9 packets") ESP("0x1002", "a2", "")
		    ESP("0x1003", "a3", "lifetime hard 3600 seconds"));
	other = at(f, 2);
	assert_true(sa_move(at(f, 0), SA_DEAD));
	assert_true(sa_move(at(f, 1), SA_DEAD));
	assert_in_range(expiry_look(f->e, other->added_ms), 3599000, 3600000);
	assert_int_equal(f->hard + f->soft, 0);
	assert_int_equal(count(f), 1);
	assert_ptr_equal(at(f, 0), other);
	assert_int_equal(expiry_look(f->e, other->added_ms), 3600000);
	assert_int_equal(f->published, 2); /* no burial without a dead one */
	/* its key stays used: the record goes on where it ended */
	load(f, ESP("0x1001", "a1", "lifetime hard 9 packets"));
	assert_int_equal(count(f), 1);
	assert_int_equal(at(f, 0)->state, SA_MATURE);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_time),
	    T(test_late),
	    T(test_timer),
	    T(test_bury),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
