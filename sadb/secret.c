/*
 * The arena: chunks of anonymous memory, each cut into slots of one size, locked, kept out of core dumps, and zeroes in a child.  A free
 * slot holds nothing but the link to the next one.  Chunks are never given back: a host's number of keys is its own.
 * A child finds free slots that lead nowhere, which is an arena that is full.
 */
#include "secret.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <openssl/crypto.h>

#define CHUNK 65536 /* octets; the smallest RLIMIT_MEMLOCK met in the wild */

struct secret {
	unsigned refs; /* atomic */
	uint16_t len;
	uint8_t class; /* index into classes[] */
	uint8_t bytes[];
};

struct slot {
	struct slot *next;
};

/* Most keys fit the first, a SHA-512 key the second. */
static struct {
	const size_t size;
	struct slot *free;
} classes[] = {{64, NULL}, {128, NULL}, {offsetof(struct secret, bytes) + SECRET_MAX + 1, NULL}};
#define NCLASSES (sizeof classes / sizeof classes[0])
_Static_assert((offsetof(struct secret, bytes) + SECRET_MAX + 1) % _Alignof(struct secret) == 0,
    "slots of the last class must keep the alignment of the next slot");

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* over classes[].free */
static bool unlocked;					 /* a chunk could not be locked; atomic */

void
secret_wipe(void *p, size_t n)
{
	OPENSSL_cleanse(p, n);
}

bool
secret_locked(void)
{
	return !__atomic_load_n(&unlocked, __ATOMIC_RELAXED);
}

/* One more chunk for class ${c}; the lock is held. */
static int
grow(unsigned c)
{
	uint8_t *chunk =
	    mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (chunk == MAP_FAILED)
		return -1;
	if (madvise(chunk, CHUNK, MADV_DONTDUMP) < 0) {
		int e = errno;

		munmap(chunk, CHUNK);
		errno = e;
		return -1;
	}
	(void)madvise(chunk, CHUNK, MADV_WIPEONFORK); /* EINVAL: Linux before 4.14 */
	/* An ordinary user's limit may be too small: checking a file must work all the same, and the daemon asks
	 * secret_locked() and says so. */
	if (mlock(chunk, CHUNK) < 0)
		__atomic_store_n(&unlocked, true, __ATOMIC_RELAXED);
	for (size_t at = 0; at + classes[c].size <= CHUNK; at += classes[c].size) {
		struct slot *s = (struct slot *)(void *)(chunk + at);

		s->next = classes[c].free;
		classes[c].free = s;
	}
	return 0;
}

/* A secret of ${len} octets, to be filled by the caller. */
static struct secret *
take(size_t len)
{
	struct secret *s = NULL;
	unsigned c = 0;

	if (len == 0 || len > SECRET_MAX) {
		errno = EINVAL;
		return NULL;
	}
	while (offsetof(struct secret, bytes) + len > classes[c].size)
		c++;
	pthread_mutex_lock(&lock);
	if (classes[c].free != NULL || grow(c) == 0) {
		s = (struct secret *)(void *)classes[c].free;
		classes[c].free = classes[c].free->next;
	}
	pthread_mutex_unlock(&lock);
	if (s == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	s->refs = 1;
	s->len = (uint16_t)len;
	s->class = (uint8_t)c;
	return s;
}

struct secret *
secret_new(const uint8_t *bytes, size_t len)
{
	struct secret *s = take(len);

	if (s != NULL)
		memcpy(s->bytes, bytes, len);
	return s;
}

struct secret *
secret_ref(struct secret *s)
{
	if (s != NULL)
		__atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
	return s;
}

void
secret_unref(struct secret *s)
{
	struct slot *slot = (struct slot *)(void *)s;
	unsigned c;

	if (s == NULL || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) != 0)
		return;
	c = s->class;
	secret_wipe(s, classes[c].size);
	pthread_mutex_lock(&lock);
	slot->next = classes[c].free;
	classes[c].free = slot;
	pthread_mutex_unlock(&lock);
}

const uint8_t *
secret_bytes(const struct secret *s)
{
	return s->bytes;
}

size_t
secret_len(const struct secret *s)
{
	return s->len;
}

bool
secret_eq(const struct secret *a, const struct secret *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return a->len == b->len && CRYPTO_memcmp(a->bytes, b->bytes, a->len) == 0;
}

int
secret_hex(const struct secret *s, char *buf, size_t cap)
{
	static const char digits[] = "0123456789abcdef";

	if (cap < 2 * (size_t)s->len + 3)
		return -1;
	*buf++ = '0';
	*buf++ = 'x';
	for (size_t i = 0; i < s->len; i++) {
		*buf++ = digits[s->bytes[i] >> 4];
		*buf++ = digits[s->bytes[i] & 15];
	}
	*buf = '\0';
	return 0;
}

/* The value of a hex digit, or -1. */
static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int
secret_parse(const char *text, struct secret **s)
{
	size_t n = 0;
	struct secret *new;

	if (text[0] != '0' || (text[1] != 'x' && text[1] != 'X'))
		return -1;
	text += 2;
	for (; text[n] != '\0'; n++) {
		if (hex_value(text[n]) < 0)
			return -1;
	}
	if (n % 2 != 0)
		return -2;
	if (n == 0 || n / 2 > SECRET_MAX)
		return -3;
	/* straight into the arena: no copy on the stack to wipe */
	if ((new = take(n / 2)) == NULL)
		return -4;
	for (size_t i = 0; i < n / 2; i++)
		new->bytes[i] = (uint8_t)(hex_value(text[2 * i]) << 4 | hex_value(text[2 * i + 1]));
	*s = new;
	return 0;
}
