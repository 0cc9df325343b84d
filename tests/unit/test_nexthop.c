/* links: bits_walk */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "nexthop.h"

static struct ipaddr
addr(unsigned af, uint32_t n)
{
	uint8_t o[16] = {10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};

	return ipaddr_from(af, o);
}

static void
finds(void **state)
{
	enum { N = 1000 };
	struct nexthop *list = calloc(N, sizeof *list);
	struct ipaddr none = {0}, other = addr(4, N);
	struct nexthops *t;

	for (uint32_t i = 0; i < N; i++) {
		list[i].dst = addr(i % 2 ? 4 : 6, i);
		memcpy(list[i].mac, &i, sizeof i);
	}
	t = nexthops_new(list, N);
	for (uint32_t i = 0; i < N; i++) {
		struct ipaddr wrong = addr(i % 2 ? 6 : 4, i);

		assert_memory_equal(nexthops_find(t, &list[i].dst), list[i].mac, 6);
		assert_null(nexthops_find(t, &wrong));
	}
	assert_null(nexthops_find(t, &other));
	assert_null(nexthops_find(t, &none));
	nexthops_free(t);
	free(list);
}

static void
empty(void **state)
{
	struct nexthop blank = {0};
	struct nexthops *t = nexthops_new(NULL, 0);
	struct ipaddr a = addr(4, 1), none = {0};

	assert_null(nexthops_find(t, &a));
	nexthops_free(t);
	t = nexthops_new(&blank, 1);
	assert_null(nexthops_find(t, &none));
	nexthops_free(t);
	nexthops_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(finds), cmocka_unit_test(empty)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
