/*
 * The tables of the man pages that are made from the program's own: tables algorithms | drops prints one as mdoc.  It lies in its page
 * between two comments; tests/golden/tables holds the two against each other, and puts the new one there.
 */
#include <stdio.h>
#include <string.h>
#include "alg.h"
#include "drop.h"

/* "none", "20", "16, 24 or 32": what alg_keylen_text() says, without its unit. */
static const char *
lengths(const struct alg *a, char *buf, size_t cap)
{
	char *end;

	if (!a->key[0] && !a->salt)
		return "none";
	end = strstr(alg_keylen_text(a, buf, cap), " octets");

	if (end)
		*end = '\0';
	return buf;
}

static void
algorithms(bool auth)
{
	const struct alg *a;
	char buf[64];

	printf(".Bl -column \"chacha20-poly1305\" \"16, 24 or 32\" \"IV\" \"ICV\" \"RFC 4106\" "
	       "\"IKEv2\"\n"
	       ".It Sy %s Ta Sy key Ta Sy IV Ta Sy ICV Ta Sy %s Ta Sy IKEv2\n",
	    auth ? "auth" : "enc", "from");
	for (size_t i = 0; (a = alg_at(i)) != NULL; i++) {
		if (a->is_auth != auth)
			continue;
		printf(".It Cm %s Ta %s Ta %u Ta %u Ta %s Ta %u%s\n", a->name,
		    lengths(a, buf, sizeof buf), a->iv, a->icv, a->rfc, a->ikev2_id,
		    a->weak ? " Ta weak" : "");
	}
	printf(".El\n");
}

static void
drops(void)
{
	printf(".Bl -tag -width seq_unreserved -compact\n");
	for (int d = DROP_NONE + 1; d < DROP_HELD; d++)
		printf(".It Cm %s\n%s%s\n", drop_name(d), drop_text(d),
		    drop_audit(d) ? "\n.Pq audited" : "");
	printf(".El\n");
}

int
main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "algorithms") == 0) {
		algorithms(false);
		algorithms(true);
	} else if (argc == 2 && strcmp(argv[1], "drops") == 0) {
		drops();
	} else {
		fprintf(stderr, "usage: tables algorithms | drops\n");
		return 2;
	}
	return 0;
}
