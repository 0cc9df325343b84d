/* links: bits_ctlmsg */
/*
 * The header of control messages, and the buffer that forgets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "ctl_msg.h"
#include "wipebuf.h"

static void
test_there_and_back(void **state)
{
	static const uint32_t lens[] = {0, 1, 255, 256, 65536, CTL_BODY_MAX};
	uint8_t buf[CTL_HEADER];
	struct ctl_header h;

	for (unsigned type = CTL_REQUEST; type <= CTL_EVENT; type++)
		for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
			ctl_header_put(
			    &(struct ctl_header){.type = (uint8_t)type, .len = lens[i]}, buf);
			assert_int_equal(ctl_header_get(buf, &h), 0);
			assert_int_equal(h.type, type);
			assert_int_equal(h.len, lens[i]);
		}
}

static void
test_on_the_wire(void **state)
{
	static const uint8_t want[CTL_HEADER] = {'B', 'I', 'T', 'S', 1, 2, 0, 0, 0, 1, 2, 3};
	uint8_t buf[CTL_HEADER];

	ctl_header_put(&(struct ctl_header){.type = CTL_REPLY, .len = 0x010203}, buf);
	assert_memory_equal(buf, want, sizeof want);
}

static void
test_refused(void **state)
{
	uint8_t good[CTL_HEADER], bad[CTL_HEADER];
	struct ctl_header h;

	ctl_header_put(&(struct ctl_header){.type = CTL_REQUEST, .len = 5}, good);
	for (int i = 0; i < 8;
	     i++) { /* magic, version, type and zeros: no other value of any octet */
		for (int v = 0; v < 256; v++) {
			memcpy(bad, good, sizeof bad);
			bad[i] = (uint8_t)v;
			if (v == good[i] || (i == 5 && v >= CTL_REQUEST && v <= CTL_EVENT))
				assert_int_equal(ctl_header_get(bad, &h), 0);
			else
				assert_int_equal(ctl_header_get(bad, &h), -1);
		}
	}
	ctl_header_put(&(struct ctl_header){.type = CTL_REQUEST, .len = CTL_BODY_MAX + 1}, bad);
	assert_int_equal(ctl_header_get(bad, &h), -1);
	memset(bad + 8, 0xff, 4);
	assert_int_equal(ctl_header_get(bad, &h), -1);
}

static void
test_wipebuf(void **state)
{
	struct wipebuf b = {0};
	FILE *f;

	assert_int_equal(wipebuf_add(&b, "", 0), 0);
	assert_int_equal(b.len, 0);
	f = wipebuf_open(&b);
	assert_non_null(f);
	for (int i = 0; i < 1000; i++)
		assert_true(fprintf(f, "%03d,", i) > 0);
	assert_int_equal(fflush(f), 0);
	assert_int_equal(b.len, 4000);
	for (int i = 0; i < 10000; i++) /* more than its buffer holds */
		assert_true(fprintf(f, "%03d,", i % 1000) > 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(b.len, 44000);
	assert_memory_equal(b.text + 43996, "999,", 5); /* NUL behind */
	b.len = 4000;
	b.text[4000] = '\0';
	assert_memory_equal(b.text + 3996, "999,", 5); /* NUL behind */
	assert_int_equal(wipebuf_room(&b, SIZE_MAX / 2), -1);
	assert_int_equal(b.len, 4000);
	wipebuf_free(&b);
	assert_null(b.text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_there_and_back),
	    cmocka_unit_test(test_on_the_wire),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_wipebuf),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
