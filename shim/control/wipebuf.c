#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "wipebuf.h"

int
wipebuf_room(struct wipebuf *b, size_t n)
{
	size_t cap = b->cap ? b->cap : 256;
	char *text;

	if (n >= SIZE_MAX / 2 - b->len) {
		errno = ENOMEM;
		return -1;
	}
	while (cap < b->len + n + 1)
		cap *= 2;
	if (cap == b->cap)
		return 0;
	if ((text = malloc(cap)) == NULL)
		return -1;
	if (b->len)
		memcpy(text, b->text, b->len);
	text[b->len] = '\0';
	wipebuf_release(b->text);
	b->text = text;
	b->cap = cap;
	return 0;
}

int
wipebuf_add(struct wipebuf *b, const void *octets, size_t n)
{
	if (wipebuf_room(b, n) < 0)
		return -1;
	if (n)
		memcpy(b->text + b->len, octets, n);
	b->len += n;
	b->text[b->len] = '\0';
	return 0;
}

/* What a stream writes through; its octets are wiped, too. */
struct stream {
	struct wipebuf *to;
	char buffer[16384];
};

static ssize_t
append(void *cookie, const char *octets, size_t n)
{
	struct stream *s = cookie;

	return wipebuf_add(s->to, octets, n) < 0 ? 0 : (ssize_t)n;
}

static int
finish(void *cookie)
{
	wipebuf_release(cookie);
	return 0;
}

FILE *
wipebuf_open(struct wipebuf *b)
{
	static const cookie_io_functions_t io = {.write = append, .close = finish};
	struct stream *s = malloc(sizeof *s);
	FILE *f = s ? fopencookie(s, "w", io) : NULL;

	if (!f) {
		free(s);
		return NULL;
	}
	s->to = b;
	setvbuf(f, s->buffer, _IOFBF, sizeof s->buffer);
	return f;
}

void
wipebuf_free(struct wipebuf *b)
{
	wipebuf_release(b->text);
	*b = (struct wipebuf){0};
}

void
wipebuf_release(void *p)
{
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}
