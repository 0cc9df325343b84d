/* links: bits_sadb */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "replay.h"

static const uint32_t sizes[] = {32, 33, 63, 64, 65, 127, 128, 1000, 1024, 4095, 4096};
#define NSIZES (sizeof sizes / sizeof *sizes)

#define OK  DROP_NONE
#define OLD DROP_REPLAY_OLD
#define DUP DROP_REPLAY_DUP

/* A numbered table in the manner of WireGuard's selftest/counter.c; each line moves the window.  W is its size. */
#define T(n, seq, expected)                                                                        \
	do {                                                                                       \
		uint64_t seq_ = (seq);                                                             \
		enum drop check_ = replay_check(&win, seq_), got_ = replay_advance(&win, seq_);    \
		if (check_ != (expected) || got_ != (expected))                                    \
			fail_msg(                                                                  \
			    "size %u, line %d, number %llu: check says %s, advance %s, want %s",   \
			    W, n, (unsigned long long)seq_, drop_name(check_), drop_name(got_),    \
			    drop_name(expected));                                                  \
	} while (0)

static void
table(void **state)
{
	for (size_t i = 0; i < NSIZES; i++)
		for (int esn = 0; esn < 2; esn++) {
			const unsigned W = sizes[i];
			struct replay win;

			assert_int_equal(replay_init(&win, W, esn), 0);
			T(1, 0, OLD);
			T(2, 1, OK);
			T(3, 1, DUP);
			T(4, 9, OK);
			T(5, 8, OK);
			T(6, 7, OK);
			T(7, 7, DUP);
			T(8, 8, DUP);
			T(9, 9, DUP);
			T(10, W, OK);
			T(11, W - 1, OK);
			T(12, W - 1, DUP);
			T(13, W - 2, OK);
			T(14, 2, OK);
			T(15, 2, DUP);
			T(16, W + 16, OK);
			T(17, 3, OLD);
			T(18, 16, OLD);
			T(19, 17, OK);
			T(20, 17, DUP);
			T(21, W + 16, DUP);
			T(22, 4ULL * W, OK);
			T(23, 3ULL * W, OLD);
			T(24, 3ULL * W + 1, OK);
			T(25, 3ULL * W + 1, DUP);
			T(26, 4ULL * W - 1, OK);
			T(27, 0, OLD);
			T(28, 1, OLD);
			T(29, 100000, OK);
			T(30, 100000 - W, OLD);
			T(31, 100000 - W + 1, OK);
			T(32, 100000 - W + 1, DUP);
			T(33, 100000, DUP);
			T(34, 0xfffffffe, OK);
			T(35, 0xffffffff, OK);
			T(36, 0xffffffff, DUP);
			T(37, 0xfffffffe, DUP);
			T(38, 0xfffffffd, OK);
			T(39, 0xffffffffULL - W, OLD);
			T(40, 0xffffffffULL - W + 1, OK);
			T(41, 0x100000000, esn ? OK : OLD);
			T(42, 0, OLD);
			replay_fini(&win);
		}
}

/* In order, backwards within the window, and with a gap, at every alignment of the window to the bitmap's words. */
static void
alignments(void **state)
{
	for (size_t i = 0; i < NSIZES; i++)
		for (uint64_t start = 0; start < 130; start++) {
			const unsigned W = sizes[i];
			struct replay win;

			assert_int_equal(replay_init(&win, W, false), 0);
			T(1, start + W, OK);
			for (uint64_t seq = start + W - 1; seq > start; seq--)
				T(2, seq, OK);
			for (uint64_t seq = start + W; seq > start; seq--)
				T(3, seq, DUP);
			T(4, start, OLD);
			T(5, start + 3ULL * W, OK);
			T(6, start + 2ULL * W, OLD);
			for (uint64_t seq = start + 2ULL * W + 1; seq < start + 3ULL * W; seq++)
				T(7, seq, OK);
			replay_fini(&win);
		}
}

/* Random numbers around a moving top, against a plain set of all numbers. */
static void
against_a_plain_set(void **state)
{
	enum { N = 1 << 17 };
	static uint8_t had[N];

	srandom(42);
	for (size_t i = 0; i < NSIZES; i++)
		for (int style = 0; style < 4; style++) {
			const unsigned W = sizes[i];
			struct replay win;
			uint64_t top = 0, unseen = 0;

			memset(had, 0, sizeof had);
			assert_int_equal(replay_init(&win, W, style & 1), 0);
			while (top < N - 1) {
				uint64_t seq, r = (uint64_t)random();
				enum drop want;

				switch (r % 8) {
				case 0:
					seq =
					    top + 1 + (uint64_t)random() % (style < 2 ? 4 : 3 * W);
					break;
				case 1:
					seq = top > W + 2 ? top - W - 2 + (uint64_t)random() % 5
							  : 0; /* the left edge */
					break;
				case 2:
					seq = (uint64_t)random() % (top + 1);
					break;
				default:
					seq = top + 1 -
					      (uint64_t)random() % (top < W ? top + 1 : W + 1);
				}
				if (seq >= N)
					seq = N - 1;
				want = seq == 0 || seq + W <= top ? OLD : had[seq] ? DUP : OK;
				T(style, seq, want);
				if (want == OK) {
					had[seq] = 1;
					top = seq > top ? seq : top;
				}
				if (win.top != top)
					fail_msg("top is %llu", (unsigned long long)win.top);
			}
			/* what lies left of the bitmap and never came is what the window calls lost */
			for (uint64_t seq = 1; seq < ((top >> 6) - win.words + 1) << 6; seq++)
				unseen += !had[seq];
			assert_int_equal(win.lost, unseen);
			replay_fini(&win);
		}
}

/* Checking moves nothing (RFC 4303 3.4.3: only after the ICV), and what is refused changes nothing. */
static void
bogus_does_not_move(void **state)
{
	const unsigned W = 64;
	struct replay win, was;
	uint64_t bits[8];

	assert_int_equal(replay_init(&win, W, true), 0);
	for (uint64_t seq = 1; seq <= 100; seq += 1 + seq % 2)
		T(1, seq, OK);
	was = win;
	memcpy(bits, win.bitmap, win.words * sizeof *bits);
	assert_int_equal(replay_check(&win, 1000000), OK); /* a forged number far ahead */
	assert_int_equal(replay_check(&win, UINT64_C(1) << 40), OK);
	for (uint64_t seq = 0; seq < 300; seq++)
		replay_check(&win, seq);
	for (uint32_t low = 0; low < 300; low++)
		replay_infer(&win, low * 0x01000193u);
	assert_int_equal(replay_advance(&win, 1), OLD);
	assert_int_equal(replay_advance(&win, 99), DUP);
	assert_int_equal(replay_advance(&win, 0), OLD);
	assert_memory_equal(&win, &was, sizeof win);
	assert_memory_equal(win.bitmap, bits, win.words * sizeof *bits);
	T(2, 98, OK); /* and the genuine old one goes through */
	T(3, 101, OK);
	replay_fini(&win);
}

/* RFC 4303 A2.2, number by number: the inferred number is the one of that low half that lies in
 * (bottom - 1, bottom - 1 + 2^32], bottom being the window's left end. */
static uint64_t
infer_by_search(uint64_t top, uint32_t size, uint32_t low)
{
	uint64_t bottom = top >= size - 1 ? top - (size - 1) : 0;

	for (uint64_t hi = bottom >> 32;; hi++) {
		uint64_t seq = hi << 32 | low;

		if (seq >= bottom)
			return seq;
	}
}

static void
esn_inference(void **state)
{
	static const uint64_t tops[] = {0, 1, 30, 31, 32, 63, 64, 4095, 4096, 0x7fffffff,
	    0xfffff000, 0xfffffff0, 0xfffffffe, 0xffffffff, 0x100000000, 0x100000001, 0x10000001e,
	    0x10000001f, 0x10000003f, 0x100000fff, 0x101000000, 0x1ffffffff, 0x200000000,
	    0x123456789abcdef0, 0xfffffffe00000000, 0xfffffffeffffffff};
	static const uint32_t around[] = {
	    0, 1, 2, 31, 32, 33, 63, 64, 65, 4095, 4096, 4097, 0x7fffffff, 0x80000000, 0x80000001};

	for (size_t i = 0; i < NSIZES; i++)
		for (size_t t = 0; t < sizeof tops / sizeof *tops; t++) {
			const unsigned W = sizes[i];
			struct replay win;

			assert_int_equal(replay_init(&win, W, true), 0);
			win.top = tops[t];
			for (size_t k = 0; k < 2 * (sizeof around / sizeof *around); k++) {
				uint32_t d = around[k / 2],
					 low = (uint32_t)tops[t] + (k % 2 ? d : 0u - d);

				assert_true(
				    replay_infer(&win, low) == infer_by_search(tops[t], W, low));
				low = k % 2 ? d : 0u - d; /* and around the epoch's edge */
				assert_true(
				    replay_infer(&win, low) == infer_by_search(tops[t], W, low));
			}
			win.esn = false;
			assert_true(replay_infer(&win, 0xfffffff0) == 0xfffffff0);
			replay_fini(&win);
		}
}

/* No epoch before the first, none behind the last. */
static void
esn_ends(void **state)
{
	const unsigned W = 64;
	struct replay win;

	assert_int_equal(replay_init(&win, W, true), 0);
	assert_true(replay_infer(&win, 0xffffffff) == 0xffffffff);
	assert_true(replay_infer(&win, 0) == 0);
	T(1, (UINT64_C(1) << 63) + 1, OLD); /* more than 2^63 ahead */
	T(2, UINT64_MAX, OLD);
	T(3, UINT64_C(1) << 63, OK);
	T(4, UINT64_MAX - 1, OK);
	T(5, UINT64_MAX, OK);
	T(6, UINT64_MAX, DUP);
	T(7, UINT64_MAX - 1, DUP);
	T(8, UINT64_MAX - 64, OLD);
	T(9, UINT64_MAX - 63, OK);
	T(10, 0, OLD);
	T(11, 1, OLD);
	/* a low half left of the window in the last epoch: old, not a wrap to the first */
	assert_true(replay_infer(&win, 5) == (UINT64_MAX << 32 | 5));
	T(12, replay_infer(&win, 5), OLD);
	assert_true(win.top == UINT64_MAX);
	replay_fini(&win);
}

/* Over 2^32 in bursts of 1..64 that straddle it, each burst in several orders; the high half is what the header's low half
 * is inferred to, twice: before opening and, after others of the burst moved the window, again. */
static void
esn_wrap_in_bursts(void **state)
{
	static const uint64_t starts[] = {0xfffffff0, 0xfffffffe, 0xffffff80, 0x1fffffff0};

	srandom(7);
	for (size_t i = 0; i < NSIZES; i++)
		for (size_t st = 0; st < sizeof starts / sizeof *starts; st++)
			for (unsigned n = 1; n <= 64; n++)
				for (int order = 0; order < 4; order++) {
					const unsigned W = sizes[i];
					uint64_t seq[64], next = starts[st];
					unsigned burst =
					    n < W ? n
						  : W; /* reordered by no more than the window */
					struct replay win;

					assert_int_equal(replay_init(&win, W, true), 0);
					T(1, next - 1, OK);
					while (next < starts[st] + 200) {
						for (unsigned k = 0; k < burst; k++)
							seq[k] = next++;
						for (unsigned k = 0; k < burst; k++) {
							unsigned j =
							    order == 1 ? burst - 1 - k
							    : order == 2
								? (unsigned)random() % burst
							    : order == 3 ? k ^ 1
									 : k;
							uint64_t swap = seq[k];

							if ((order == 1 && j <= k) ||
							    (order == 3 && (j >= burst || j < k)))
								continue;
							seq[k] = seq[j];
							seq[j] = swap;
						}
						for (unsigned k = 0; k < burst; k++)
							if (replay_infer(&win, (uint32_t)seq[k]) !=
							    seq[k])
								fail_msg(
								    "size %u burst %u order %d", W,
								    n, order);
						for (unsigned k = 0; k < burst; k++) {
							assert_true(
							    replay_infer(&win, (uint32_t)seq[k]) ==
							    seq[k]);
							T(2, seq[k], OK);
						}
						for (unsigned k = 0; k < burst; k++) {
							assert_true(
							    replay_infer(&win, (uint32_t)seq[k]) ==
							    seq[k]);
							T(3, seq[k], DUP);
						}
					}
					replay_fini(&win);
				}
}

/* Linux 4b549ccce941: next number 0xfffffffe, a burst of three segments. */
static void
esn_three_segments(void **state)
{
	const unsigned W = 32;
	struct replay win;

	assert_int_equal(replay_init(&win, W, true), 0);
	T(1, 0xfffffffd, OK);
	for (uint64_t seq = 0xfffffffe; seq <= 0x100000000; seq++) {
		assert_true(replay_infer(&win, (uint32_t)seq) == seq);
		T(2, seq, OK);
	}
	assert_true(win.top == 0x100000000);
	assert_true(replay_infer(&win, 0xfffffffc) ==
		    0xfffffffc); /* case B: a late one of the epoch before */
	T(3, 0xfffffffc, OK);
	replay_fini(&win);
}

/* 2^32 and more numbers lost: a number that was authentic moves the window there at once, and what was before is old. */
static void
far_jumps(void **state)
{
	static const uint64_t jumps[] = {64, 65, 128, 4096, 4097, 8192, 100000, UINT64_C(1) << 32,
	    (UINT64_C(1) << 32) + 1, UINT64_C(1) << 40, UINT64_C(1) << 60};

	for (size_t i = 0; i < NSIZES; i++)
		for (size_t k = 0; k < sizeof jumps / sizeof *jumps; k++) {
			const unsigned W = sizes[i];
			struct replay win;
			uint64_t at = 5 * 4096 + 17 + jumps[k];

			assert_int_equal(replay_init(&win, W, true), 0);
			for (uint64_t seq = 1; seq <= 5 * 4096 + 17; seq++)
				T(1, seq, OK);
			assert_int_equal(win.lost, 0);
			T(2, at, OK);
			T(3, at, DUP);
			T(4, at - W, OLD);
			for (uint64_t seq = at - W + 1; seq < at; seq++)
				T(5, seq, seq <= 5 * 4096 + 17 ? DUP : OK);
			T(6, at + 1, OK);
			replay_fini(&win);
		}
}

static void
window_off(void **state)
{
	const unsigned W = 0;
	struct replay win;

	assert_int_equal(replay_init(&win, 0, false), 0);
	T(1, 5, OK);
	T(2, 5, OK);
	T(3, 0, OK);
	T(4, 1, OK);
	replay_fini(&win);
	/* the high half of an extended number is found all the same */
	assert_int_equal(replay_init(&win, 0, true), 0);
	for (uint64_t seq = 0xffffff00; seq < 0x100002000; seq++) {
		assert_true(replay_infer(&win, (uint32_t)seq) == seq);
		T(5, seq, OK);
	}
	T(6, 7, OK);
	assert_true(win.top == 0x100001fff); /* a repeat does not turn it back */
	assert_int_equal(win.lost, 0);
	replay_fini(&win);
}

/* CVE-2017-7184: a size that does not fit its buffer is refused. */
static void
bogus_sizes(void **state)
{
	static const uint32_t bad[] = {
	    1, 2, 31, 4097, 8192, 65536, 0x7fffffff, 0x80000000, 0xffffffc0, 0xffffffff};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct replay win;

		errno = 0;
		assert_int_equal(replay_init(&win, bad[i], i & 1), -1);
		assert_int_equal(errno, EINVAL);
		assert_null(win.bitmap);
		replay_fini(&win);
	}
	for (uint32_t size = REPLAY_MIN; size <= REPLAY_MAX; size++) {
		struct replay win;

		assert_int_equal(replay_init(&win, size, false), 0);
		assert_int_equal(win.words & (win.words - 1), 0);
		assert_true(64 * (win.words - 1) >= size);
		replay_fini(&win);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(table),
	    cmocka_unit_test(alignments),
	    cmocka_unit_test(against_a_plain_set),
	    cmocka_unit_test(bogus_does_not_move),
	    cmocka_unit_test(esn_inference),
	    cmocka_unit_test(esn_ends),
	    cmocka_unit_test(esn_wrap_in_bursts),
	    cmocka_unit_test(esn_three_segments),
	    cmocka_unit_test(far_jumps),
	    cmocka_unit_test(window_off),
	    cmocka_unit_test(bogus_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
