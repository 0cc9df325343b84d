/* links: bits_spd bits_sadb */
/*
 * The policy language: nothing that is read may crash, and what is accepted prints as text that gives the same again.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int
resolve(void *ctx, const char *name, struct ipaddr *out, int cap)
{
	if (name[0] != 'h' || cap < 2)
		return -1;
	ipaddr_parse("192.0.2.1", &out[0]);
	ipaddr_parse("2001:db8::1", &out[1]);
	return 2;
}

/* The text of ${c}, in OpenBSD's form or ours; the caller frees it. */
static char *
print(const struct conf *c, bool openbsd, size_t *len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, len);

	if (out == NULL)
		abort();
	if (openbsd)
		conf_print_openbsd(c, true, out);
	else
		conf_print(c, true, out);
	fclose(out);
	return text;
}

/* OpenBSD's form may say one rule in several lines; what they are printed as again is the same text. */
static void
reprint(const struct conf *c)
{
	struct diags ds = {0};
	struct conf b;
	char *one, *two;
	size_t l1, l2;

	conf_init(&b);
	one = print(c, true, &l1);
	if (conf_parse_text("openbsd", one, l1, NULL, &b, &ds) == -1) {
		diags_print(&ds, stderr);
		abort();
	}
	two = print(&b, true, &l2);
	if (l1 != l2 || memcmp(one, two, l1) != 0) {
		fprintf(stderr, "%s--\n%s", one, two);
		abort();
	}
	free(one);
	free(two);
	conf_free(&b);
	diags_free(&ds);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct conf_opts o = {.no_files = true, .warn_unused = true, .resolve = resolve};
	struct diags ds = {0}, again = {0};
	struct conf a, b;
	char *ta, *tb;
	size_t la, lb;

	conf_init(&a);
	conf_init(&b);
	if (conf_parse_text("fuzz", (const char *)data, len, &o, &a, &ds) == 0) {
		if (ds.errors != 0)
			abort();
		if (a.nrules + a.nsas > 4096)
			goto out; /* large products are read, but not worth the time to print */
		conf_check(&a, &ds);
		ta = print(&a, false, &la);
		if (conf_parse_text("again", ta, la, NULL, &b, &again) == -1) {
			diags_print(&again, stderr);
			abort();
		}
		if (b.nrules != a.nrules || b.nsas != a.nsas || b.nforeign != a.nforeign)
			abort();
		for (size_t i = 0; i < a.nrules; i++)
			if (!policy_eq(a.rule[i], b.rule[i]))
				abort();
		for (size_t i = 0; i < a.nsas; i++)
			if (!sa_params_eq(&a.sa[i], &b.sa[i]) || a.sa[i].dir != b.sa[i].dir)
				abort();
		tb = print(&b, false, &lb);
		if (la != lb || memcmp(ta, tb, la) != 0)
			abort();
		free(ta);
		free(tb);
		reprint(&a);
	} else if (ds.errors == 0 || a.nrules + a.nsas + a.nforeign != 0) {
		abort(); /* refused without a word, or not wholly */
	}
out:
	conf_free(&a);
	conf_free(&b);
	diags_free(&ds);
	diags_free(&again);
	return 0;
}
