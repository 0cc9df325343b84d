/* links: bits_control bits_edge bits_walk bits_spd */
/*
 * A thousand policies one after the other while packets pass: each packet meets the old one or the new one.  Both protect one flow (by
 * different SAs), let another one by and discard a third, so no packet may be lost, leak or go the wrong way.
 */
#include <pthread.h>
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

#define RELOADS 1000
#define BATCH	16 /* of each flow, on their way at a time: no queue is ever full */
#define KEY(c)	"0x" c c c c c c c c c c c c c c c c c c c c /* 20 octets */

static const char *const texts[] = {
    "esp transport from 10.9.0.1 to 10.9.0.2 spi 0x1001:0x2001 enc aes-128-gcm enckey " KEY(
	"a1") ":" KEY("b2") "\nflow esp transport from 10.9.0.1 to 10.9.0.2\n"
			    "flow from 10.9.0.1 to 10.9.0.4 type deny\n"
			    "flow from 10.9.0.1 to 10.9.0.3 type bypass\n",
    "flow from 10.9.0.1 to 10.9.0.3 type bypass\n"
    "flow esp transport from 10.9.0.1 to 10.9.0.2\n"
    "esp transport from 10.9.0.1 to 10.9.0.2 spi 0x1002:0x2002 enc aes-128-gcm enckey " KEY(
	"c3") ":" KEY("d4") "\nflow from any to any type deny\n",
};

struct traffic {
	struct pair_edge *upper, *lower;
	bool stop;
	unsigned batches, lost, leaked, other;
	unsigned by_spi[2];
};

static int
addresses(void *ctx, struct ipaddr *out, int cap)
{
	return ipaddr_parse("10.9.0.1", out) == 0;
}

/* What came out on the wire: counted by what it is. */
static void
look(struct traffic *t, const uint8_t *f, int n, unsigned *esp, unsigned *clear)
{
	if (n > 42 && f[23] == 50 && f[33] == 2 && f[34] == 0 && f[35] == 0 && f[36] == 0x10 &&
	    (f[37] == 1 || f[37] == 2)) {
		++*esp;
		t->by_spi[f[37] - 1]++;
	} else if (n == 46 && f[23] == 17 && f[33] == 3) {
		++*clear;
	} else if (n > 33 && f[23] == 17) {
		t->leaked++;
	} else {
		t->other++;
	}
}

static void *
send_traffic(void *arg)
{
	struct traffic *t = arg;
	uint8_t frame[64], got[2048];

	while (!__atomic_load_n(&t->stop, __ATOMIC_ACQUIRE)) {
		unsigned esp = 0, clear = 0;

		for (unsigned i = 0; i < BATCH; i++)
			for (uint8_t to = 2; to <= 4; to++) {
				size_t n = pair_udp(frame, 1, to, 80);

				if (send(t->upper->test, frame, n, MSG_NOSIGNAL) != (ssize_t)n)
					t->lost++;
			}
		while (esp < BATCH || clear < BATCH) {
			int n = pair_take(t->lower, got, sizeof got, 5000);

			if (n < 0) {
				t->lost += 2 * BATCH - esp - clear;
				break;
			}
			look(t, got, n, &esp, &clear);
		}
		__atomic_store_n(&t->batches, t->batches + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void
a_thousand_times(void **state)
{
	static struct mem mem;
	struct traffic t = {.upper = pair_new(), .lower = pair_new()};
	struct shim *s = shim_new(&t.upper->e, &t.lower->e);
	struct seqkeeper *k = mem_keeper(&mem, "aa");
	struct reload_env env = {.shim = s, .keeper = k, .addresses = addresses};
	struct reload *r = reload_new(&env);
	struct conf conf[2];
	struct diags ds = {0};
	struct conf_opts o = {.no_files = true, .any_owner = true};
	struct stats st;
	pthread_t thread;

	for (int i = 0; i < 2; i++) {
		conf_init(&conf[i]);
		assert_int_equal(
		    conf_parse_text("text", texts[i], strlen(texts[i]), &o, &conf[i], &ds), 0);
	}
	assert_int_equal(reload_conf(r, &conf[0], RELOAD_REPLACE, RELOAD_AT_END, true, &ds), 0);
	assert_int_equal(shim_init(s), 0);
	assert_int_equal(shim_restart(s), 0);
	assert_int_equal(pthread_create(&thread, NULL, send_traffic, &t), 0);
	for (unsigned i = 1; i <= RELOADS; i++) {
		unsigned seen = __atomic_load_n(&t.batches, __ATOMIC_ACQUIRE);

		assert_int_equal(
		    reload_conf(r, &conf[i % 2], RELOAD_REPLACE, RELOAD_AT_END, true, &ds), 0);
		/* now and then the packets of one policy get through undisturbed */
		for (int ms = 0; i % 16 == 0 && ms < 5000 &&
				 __atomic_load_n(&t.batches, __ATOMIC_ACQUIRE) == seen;
		     ms++)
			usleep(1000);
	}
	__atomic_store_n(&t.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	shim_pause(s);
	shim_stats(s, &st);
	assert_int_equal(shim_gen(s)->number, RELOADS + 1);
	assert_int_equal(t.lost, 0);
	assert_int_equal(t.leaked, 0);
	assert_int_equal(t.other, 0);
	assert_true(t.batches > RELOADS / 16);
	assert_true(t.by_spi[0] > 0 && t.by_spi[1] > 0);
	/* and by the bump's own books: nothing was dropped but what both deny */
	assert_int_equal(st.protected_[DIR_OUT], (uint64_t)t.batches * BATCH);
	assert_int_equal(st.bypassed[DIR_OUT], (uint64_t)t.batches * BATCH);
	for (int d = 0; d < DROP_MAX; d++)
		assert_int_equal(st.drop[DIR_OUT][d],
		    d == DROP_POLICY_DISCARD ? (uint64_t)t.batches * BATCH : 0);
	reload_free(r);
	shim_free(s);
	seqkeeper_free(k);
	conf_free(&conf[0]);
	conf_free(&conf[1]);
	diags_free(&ds);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_thousand_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
