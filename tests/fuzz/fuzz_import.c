/* links: bits_spd bits_sadb */
/*
 * setkey.conf(5) and what ip xfrm prints: nothing that is read may crash, and what it is turned into loads, and is the same then.
 * The first octet chooses the kind.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "import.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
compare(const struct conf *a, const struct conf *b)
{
	if (b->nrules != a->nrules || b->nsas != a->nsas || b->nforeign != 0)
		abort();
	for (size_t i = 0; i < a->nrules; i++)
		if (!policy_eq(a->rule[i], b->rule[i]))
			abort();
	for (size_t i = 0; i < a->nsas; i++)
		if (!sa_params_eq(&a->sa[i], &b->sa[i]) || a->sa[i].dir != b->sa[i].dir)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct diags ds = {0}, again = {0};
	char *text = NULL, *copy;
	struct conf a, b;
	size_t size;
	FILE *out;

	if (len == 0)
		return 0;
	/* of exactly that size, so that a step over its end is seen */
	copy = malloc(len > 1 ? len - 1 : 1);
	out = open_memstream(&text, &size);
	if (copy == NULL || out == NULL)
		abort();
	memcpy(copy, data + 1, len - 1);
	conf_init(&a);
	conf_init(&b);
	if ((import_text(data[0] == 'x' ? IMPORT_XFRM : IMPORT_SETKEY, "fuzz", copy, len - 1, NULL,
		 &a, &ds) == 0) != (ds.errors == 0))
		abort();
	conf_print(&a, true, out);
	fclose(out);
	if (conf_parse_text("again", text, size, NULL, &b, &again) == -1 ||
	    conf_check(&b, &again) == -1) {
		diags_print(&again, stderr);
		abort();
	}
	compare(&a, &b);
	free(text);
	free(copy);
	conf_free(&a);
	conf_free(&b);
	diags_free(&ds);
	diags_free(&again);
	return 0;
}
