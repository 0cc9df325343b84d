/* links: bits_edge */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "edge.h"

static struct edge *e;
static struct pktpool *pool;

static int
setup(void **state)
{
	e = edge_mem_new(LINK_ETHER, 1500);
	pool = pktpool_new(8, 200);
	return e && pool && edge_bind(e) == 0 && edge_restart(e) == 0 ? 0 : -1;
}

static int
teardown(void **state)
{
	int left = (int)pktpool_left(pool);

	edge_free(e);
	pktpool_free(pool);
	return left == 8 ? 0 : -1;
}

static void
give_back(struct burst *b)
{
	for (unsigned i = 0; i < b->n; i++)
		pkt_free(pool, b->p[i]);
	b->n = 0;
}

/* A burst as large as was asked for: there may be more.  A smaller one: there is not. */
static void
test_more(void **state)
{
	uint8_t frame[60] = {0};
	struct burst b;

	for (int i = 0; i < 5; i++)
		assert_int_equal(edge_mem_give(e, frame, sizeof frame), 0);
	assert_int_equal(edge_recv(e, pool, &b, 3), 3);
	assert_true(e->more);
	give_back(&b);
	assert_int_equal(edge_recv(e, pool, &b, 3), 2);
	assert_false(e->more);
	give_back(&b);
	assert_int_equal(edge_recv(e, pool, &b, 3), 0);
	assert_false(e->more);
}

/* Frames come out in the order given, at most as many as asked for, also after the buffer was emptied and grown. */
static void
test_order(void **state)
{
	uint8_t frame[150];
	struct burst b;
	unsigned next = 0, given = 0;

	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < round % 7; i++) {
			memset(frame, (int)given, sizeof frame);
			assert_int_equal(edge_mem_give(e, frame, 1 + given % 150), 0);
			given++;
		}
		assert_true(edge_recv(e, pool, &b, 3) <= 3);
		for (unsigned i = 0; i < b.n; i++, next++) {
			assert_int_equal(b.p[i]->len, 1 + next % 150);
			assert_int_equal(*pkt_data(b.p[i]), (uint8_t)next);
			assert_int_equal(b.p[i]->link, LINK_ETHER);
			assert_int_equal(b.p[i]->drop, DROP_NONE);
		}
		give_back(&b);
	}
	while (edge_recv(e, pool, &b, BURST_MAX) > 0) {
		next += b.n;
		give_back(&b);
	}
	assert_int_equal(next, given);
	assert_int_equal(given, 147);
}

/* An empty pool loses nothing: the rest comes with the next call. */
static void
test_empty_pool(void **state)
{
	struct burst b, more;

	for (int i = 0; i < 10; i++)
		assert_int_equal(edge_mem_give(e, &i, sizeof i), 0);
	assert_int_equal(edge_recv(e, pool, &b, BURST_MAX), 8);
	assert_int_equal(edge_recv(e, pool, &more, BURST_MAX), 0);
	give_back(&b);
	assert_int_equal(edge_recv(e, pool, &b, BURST_MAX), 2);
	assert_int_equal(*pkt_data(b.p[1]), 9);
	give_back(&b);
}

/* A frame no slot can take is handed out to be counted. */
static void
test_too_long(void **state)
{
	static uint8_t frame[4000];
	struct burst b;

	assert_int_equal(edge_mem_give(e, frame, sizeof frame), 0);
	assert_int_equal(edge_recv(e, pool, &b, 1), 1);
	assert_int_equal(b.p[0]->drop, DROP_NO_ROOM);
	give_back(&b);
}

static struct pkt *
make(const char *text)
{
	struct pkt *p = pkt_new(pool);

	memcpy(pkt_put(p, (uint32_t)strlen(text)), text, strlen(text));
	return p;
}

static void
test_send(void **state)
{
	struct burst b = {.n = 3, .p = {make("one"), make("two"), make("three")}};
	char got[8] = "";

	b.p[1]->drop = DROP_NO_SA; /* dropped before: stays here, and keeps its reason */
	assert_int_equal(edge_send(e, &b), 2);
	assert_int_equal(b.p[1]->drop, DROP_NO_SA);
	assert_int_equal(edge_mem_take(e, got, sizeof got), 3);
	assert_memory_equal(got, "one", 3);
	assert_int_equal(
	    edge_mem_take(e, got, 2), 5); /* longer than our room: its length all the same */
	assert_memory_equal(got, "th", 2);
	assert_int_equal(edge_mem_take(e, got, sizeof got), -1);

	edge_mem_fail(e, DROP_EDGE_FULL);
	assert_int_equal(edge_send(e, &b), 0);
	assert_int_equal(b.p[0]->drop, DROP_EDGE_FULL);
	assert_int_equal(b.p[1]->drop, DROP_NO_SA);
	edge_mem_fail(e, DROP_NONE);
	b.p[0]->drop = DROP_NONE;
	assert_int_equal(edge_send(e, &b), 1);
	assert_int_equal(edge_mem_take(e, got, sizeof got), 3);
	give_back(&b);
}

/* Nothing passes unless running: what is read is marked, what is sent is refused; and not bound, nothing is read. */
static void
test_life(void **state)
{
	struct burst b, out = {.n = 1, .p = {make("x")}};
	struct edge_caps c;
	char got[8];

	edge_caps(e, &c);
	assert_int_equal(c.mtu, 1500);
	assert_true(c.link);
	edge_pause(e);
	assert_int_equal(edge_mem_give(e, "a", 1), 0);
	assert_int_equal(edge_recv(e, pool, &b, BURST_MAX), 1);
	assert_int_equal(b.p[0]->drop, DROP_NOT_RUNNING);
	give_back(&b);
	assert_int_equal(edge_send(e, &out), 0);
	assert_int_equal(out.p[0]->drop, DROP_NOT_RUNNING);
	assert_int_equal(edge_mem_take(e, got, sizeof got), -1);

	edge_unbind(e);
	edge_caps(e, &c);
	assert_false(c.link);
	assert_int_equal(edge_mem_give(e, "b", 1), 0);
	assert_int_equal(edge_recv(e, pool, &b, BURST_MAX), 0);
	errno = 0;
	assert_int_equal(edge_restart(e), -1);
	assert_int_equal(errno, ENODEV);
	assert_int_equal(edge_bind(e), 0);
	assert_int_equal(edge_restart(e), 0);
	assert_int_equal(edge_recv(e, pool, &b, BURST_MAX), 1);
	assert_int_equal(b.p[0]->drop, DROP_NONE);
	give_back(&b);
	give_back(&out);
}

/* Gone: what was there comes out first, then it is an error until it is bound again. */
static void
test_gone(void **state)
{
	struct burst b;

	assert_int_equal(edge_mem_give(e, "a", 1), 0);
	edge_mem_gone(e);
	assert_int_equal(edge_recv(e, pool, &b, BURST_MAX), 1);
	give_back(&b);
	errno = 0;
	assert_int_equal(edge_recv(e, pool, &b, BURST_MAX), -1);
	assert_int_equal(errno, ENODEV);
	edge_unbind(e);
	assert_int_equal(edge_bind(e), 0);
	assert_int_equal(edge_restart(e), 0);
	assert_int_equal(edge_recv(e, pool, &b, BURST_MAX), 0);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    T(test_more),
	    T(test_order),
	    T(test_empty_pool),
	    T(test_too_long),
	    T(test_send),
	    T(test_life),
	    T(test_gone),
	};

	return cmocka_run_group_tests_name("edge_mem", tests, NULL, NULL);
}
