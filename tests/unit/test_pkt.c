/* links: bits_base */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "pkt.h"
#include "stats.h"

static void
pool(void **state)
{
	struct pktpool *pool = pktpool_new(5, 1514);
	struct pkt *p[5];

	assert_non_null(pool);
	assert_int_equal(pktpool_left(pool), 5);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 5; i++) {
			assert_non_null(p[i] = pkt_new(pool));
			assert_int_equal(p[i]->off, PKT_HEADROOM);
			assert_int_equal(p[i]->len, 0);
			assert_int_equal(p[i]->drop, DROP_NONE);
			assert_null(p[i]->policy);
			assert_int_equal((uintptr_t)p[i]->slot % 64, 0);
			assert_true(p[i]->size >= PKT_HEADROOM + 1514 + PKT_TAILROOM);
			memset(p[i]->slot, i, p[i]->size); /* slots do not overlap */
			p[i]->drop = DROP_RUNT;
			p[i]->nchain = 3;
		}
		for (int i = 0; i < 5; i++)
			for (uint32_t o = 0; o < p[i]->size; o++)
				assert_int_equal(p[i]->slot[o], i);
		assert_null(pkt_new(pool));
		assert_int_equal(pktpool_left(pool), 0);
		for (int i = 0; i < 5; i++)
			pkt_free(pool, p[i]);
		assert_int_equal(pktpool_left(pool), 5);
	}
	pktpool_free(pool);
	pktpool_free(NULL);
}

static void
bad_sizes(void **state)
{
	errno = 0;
	assert_null(pktpool_new(0, 1500));
	assert_int_equal(errno, EINVAL);
	errno = 0;
	assert_null(pktpool_new(1, PKT_FRAME_MAX + 1));
	assert_int_equal(errno, EINVAL);
	assert_null(pktpool_new(1, 0));
}

static void
bounds(void **state)
{
	struct pktpool *pool = pktpool_new(1, 100);
	struct pkt *p = pkt_new(pool);
	uint8_t *end;

	assert_non_null(pkt_put(p, 40));
	assert_int_equal(p->len, 40);
	assert_non_null(pkt_get(p, 0, 40));
	assert_non_null(pkt_get(p, 40, 0));
	assert_null(pkt_get(p, 0, 41));
	assert_null(pkt_get(p, 41, 0));
	assert_null(pkt_get(p, 1, UINT32_MAX));
	assert_null(pkt_get(p, UINT32_MAX, 1));

	assert_null(pkt_push(p, PKT_HEADROOM + 1));
	assert_ptr_equal(pkt_push(p, PKT_HEADROOM), p->slot);
	assert_int_equal(p->off, 0);
	assert_int_equal(p->len, PKT_HEADROOM + 40);
	assert_null(pkt_push(p, 1));
	assert_null(pkt_pull(p, p->len + 1));
	assert_non_null(pkt_pull(p, PKT_HEADROOM));
	assert_int_equal(p->len, 40);

	end = pkt_put(p, p->size - p->off - p->len);
	assert_ptr_equal(end, pkt_data(p) + 40);
	assert_int_equal(p->off + p->len, p->size);
	assert_null(pkt_put(p, 1));
	pkt_trim(p, 7);
	assert_int_equal(p->len, 7);
	pkt_trim(p, 8);
	assert_int_equal(p->len, 7);
	pkt_free(pool, p);
	pktpool_free(pool);
}

static void
double_free_aborts(void **state)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct pktpool *pool = pktpool_new(2, 100);
		struct pkt *p = pkt_new(pool);

		pkt_free(pool, p);
		close(2);
		pkt_free(pool, p);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void
octets(void **state)
{
	uint8_t b[8];

	put16(b, 0x0102);
	assert_int_equal(b[0], 1);
	assert_int_equal(get16(b), 0x0102);
	put32(b, 0xfffefdfc);
	assert_int_equal(b[3], 0xfc);
	assert_true(get32(b) == 0xfffefdfc);
	put64(b, 0x1122334455667788);
	assert_int_equal(b[0], 0x11);
	assert_int_equal(b[7], 0x88);
}

static void
sums(void **state)
{
	static struct stats a, b;

	stats_add(&a.read[DIR_IN].octets, 100);
	stats_add(&a.drop[DIR_OUT][DROP_RUNT], 1);
	stats_add(&a.events_lost, 4);
	b = a;
	stats_sum(&b, &a);
	stats_sum(&b, &a);
	assert_int_equal(b.read[DIR_IN].octets, 300);
	assert_int_equal(b.drop[DIR_OUT][DROP_RUNT], 3);
	assert_int_equal(b.drop[DIR_IN][DROP_RUNT], 0);
	assert_int_equal(b.events_lost, 12);
	assert_int_equal(a.events_lost, 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pool),
	    cmocka_unit_test(bad_sizes),
	    cmocka_unit_test(bounds),
	    cmocka_unit_test(double_free_aborts),
	    cmocka_unit_test(octets),
	    cmocka_unit_test(sums),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
