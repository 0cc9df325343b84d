/* links: bits_sadb */
/*
 * A record of the state directory as an accident may have left it: what is believed is what we would have written, octet for octet.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "seqstore.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define NAME "0123456789abcdef0123456789abcdef"

struct file {
	const uint8_t *data;
	size_t len;
	uint8_t written[SEQSTORE_RECORD];
	size_t nwritten;
};

static int
read_file(void *ctx, const char *name, uint8_t *buf, size_t *len)
{
	const struct file *f = ctx;

	*len = f->len < *len ? f->len : *len;
	memcpy(buf, f->data, *len);
	return 0;
}

static int
replace_file(void *ctx, const char *name, const uint8_t *buf, size_t len)
{
	struct file *f = ctx;

	if (len > sizeof f->written)
		abort();
	memcpy(f->written, buf, len);
	f->nwritten = len;
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct file f = {.data = data, .len = len};
	struct seqstore_io io = {.ctx = &f, .read = read_file, .replace = replace_file};
	struct seqstore_record rec;

	if (len == 0)
		return 0;
	switch (seqstore_load(&io, NAME, &rec)) {
	case SEQSTORE_OK:
		if (seqstore_save(&io, NAME, &rec) != SEQSTORE_OK || f.nwritten != len ||
		    memcmp(f.written, data, len) != 0)
			abort();
		break;
	case SEQSTORE_DAMAGED:
		break;
	default: /* nothing failed, and it is there */
		abort();
	}
	return 0;
}
