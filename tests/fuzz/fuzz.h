/*
 * What fuzz targets share: reading the input octet by octet, and checks that abort, under CMocka's names so that the helpers of
 * tests/unit serve here too.
 */
#ifndef BITS_FUZZ_H
#define BITS_FUZZ_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define fail_msg(...)                                                                              \
	do {                                                                                       \
		fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                    \
		fprintf(stderr, __VA_ARGS__);                                                      \
		fputc('\n', stderr);                                                               \
		abort();                                                                           \
	} while (0)
#define assert_true(what)                                                                          \
	do {                                                                                       \
		if (!(what))                                                                       \
			fail_msg("not true: %s", #what);                                           \
	} while (0)
#define assert_non_null(what) assert_true((what) != NULL)
#define assert_int_equal(a, b)                                                                     \
	do {                                                                                       \
		long long a_ = (long long)(a), b_ = (long long)(b);                                \
		if (a_ != b_)                                                                      \
			fail_msg("%s is %lld, %s is %lld", #a, a_, #b, b_);                        \
	} while (0)

/* What is left of the input; past its end all octets are 0. */
struct input {
	const uint8_t *p;
	size_t left;
};

static inline uint8_t
input8(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->p++;
}

static inline uint16_t
input16(struct input *in)
{
	uint16_t hi = input8(in);

	return (uint16_t)(hi << 8 | input8(in));
}

static inline uint32_t
input32(struct input *in)
{
	uint32_t hi = input16(in);

	return hi << 16 | input16(in);
}

/* At most ${cap} octets, as many as a length in front of them says and are there; their number. */
static inline uint32_t
input_octets(struct input *in, uint8_t *out, uint32_t cap)
{
	uint32_t n = input16(in) % (cap + 1);

	if (n > in->left)
		n = (uint32_t)in->left;
	if (n)
		memcpy(out, in->p, n);
	in->p += n;
	in->left -= n;
	return n;
}

#endif
