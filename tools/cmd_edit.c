#include <stdlib.h>
#include <string.h>
#include "ipsecctl.h"

int
cmd_flush(const struct ctl *c, const char *what)
{
	static const char *const words[] = {"flow", "sa", "all"};
	int w = ctl_word(what, words, 3);

	if (w < 0)
		ctl_usage("-F flushes flow, sa or all, not ", what);
	return ctl_simple(c, json_pack("{s:s, s:s}", "verb", "flush", "what", words[w]));
}

/* A place: a number from 0. */
static long
place(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || *end || n < 0)
		ctl_usage("a place is a number from 0, not ", text);
	return n;
}

int
cmd_delete(const struct ctl *c, int argc, char **argv)
{
	json_t *req;

	if (argc == 3 && strcmp(argv[1], "flow") == 0)
		return ctl_simple(c,
		    json_pack("{s:s, s:I}", "verb", "delete", "flow", (json_int_t)place(argv[2])));
	if ((argc != 4 && argc != 6) || (strcmp(argv[1], "esp") && strcmp(argv[1], "ah")) ||
	    strcmp(argv[2], "spi") || (argc == 6 && strcmp(argv[4], "to")))
		ctl_usage("delete flow N, or delete esp|ah spi X [to DST]", NULL);
	req = json_pack("{s:s, s:s, s:s}", "verb", "delete", "proto", argv[1], "spi", argv[3]);
	if (argc == 6)
		json_object_set_new(req, "dst", json_string(argv[5]));
	return ctl_simple(c, req);
}

int
cmd_move(const struct ctl *c, int argc, char **argv)
{
	if (argc != 5 || strcmp(argv[1], "flow") || strcmp(argv[3], "to"))
		ctl_usage("move flow N to M", NULL);
	return ctl_simple(c, json_pack("{s:s, s:I, s:I}", "verb", "move", "from",
				 (json_int_t)place(argv[2]), "to", (json_int_t)place(argv[4])));
}
