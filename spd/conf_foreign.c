/*
 * Statements of OpenBSD that a bump in the stack has no use for: ike, tcpmd5, ipcomp, ipip.  They are read as far as
 * their words go, printed back (keys left out), and conf_check() refuses them with the reason.
 */
#include <stdlib.h>
#include <string.h>
#include "conf_int.h"

enum { IKE = 1, MD5 = 2, SA = 4, FLOW = 8 };
enum arg { NONE, WORD, LIST, HOSTS, SECRET };

static const struct {
	const char *word;
	unsigned kinds; /* statements it may stand in */
	enum arg arg;
} words[] = {
    {"from", IKE | MD5 | SA | FLOW, HOSTS},
    {"to", IKE | MD5 | SA | FLOW, HOSTS},
    {"port", IKE | FLOW, LIST},
    {"proto", IKE | FLOW, LIST},
    {"local", IKE | FLOW, LIST},
    {"peer", IKE | FLOW, LIST},
    {"srcid", IKE | FLOW, WORD},
    {"dstid", IKE | FLOW, WORD},
    {"esp", IKE, NONE},
    {"ah", IKE, NONE},
    {"ipcomp", IKE | FLOW, NONE},
    {"ipip", IKE | FLOW, NONE},
    {"tunnel", IKE | SA | FLOW, NONE},
    {"transport", IKE | SA | FLOW, NONE},
    {"in", FLOW, NONE},
    {"out", FLOW, NONE},
    {"type", FLOW, WORD},
    {"passive", IKE, NONE},
    {"active", IKE, NONE},
    {"dynamic", IKE, NONE},
    {"main", IKE, NONE},
    {"aggressive", IKE, NONE},
    {"quick", IKE, NONE},
    {"auth", IKE, WORD},
    {"enc", IKE, WORD},
    {"comp", IKE | SA, WORD},
    {"group", IKE, WORD},
    {"lifetime", IKE, WORD},
    {"rsa", IKE, NONE},
    {"psk", IKE, SECRET},
    {"tag", IKE, WORD},
    {"interface", IKE, WORD},
    {"spi", MD5 | SA, WORD},
    {"authkey", MD5, SECRET},
    {"bundle", SA, WORD},
};

static const struct {
	const char *kind;
	unsigned bit;
	const char *why;
} kinds[] = {
    {"ike", IKE, "ike rules need a key daemon, which this is not; give esp or ah SAs their keys"},
    {"tcpmd5", MD5,
	"tcpmd5 is not supported here: a bump in the stack cannot sign the host's TCP, whose own "
	"stack "
	"makes that option"},
    {"ipcomp", SA, "ipcomp is not supported here; leave the compression out"},
    {"ipip", SA,
	"ipip is not supported here: without protection a tunnel is the host's own (ip tunnel)"},
    {"flow", FLOW, "flows through ipcomp or ipip are not supported here; use esp or ah"},
};

static void
put(struct parser *p, const struct token *t, FILE *out)
{
	if (t->kind == TOKEN_STRING)
		conf_quote(token_text(p, t), out);
	else
		fputs(token_text(p, t), out);
}

struct items {
	FILE *out;
	size_t n;
};

static int
item(struct parser *p, const struct token *t, void *arg)
{
	struct items *l = arg;

	fputs(l->n++ > 0 ? ", " : "", l->out);
	put(p, t, l->out);
	if (!token_punct(p, '('))
		return 0;
	if ((t = token_word(p, "an address")) == NULL) /* OpenBSD's source NAT */
		return -1;
	fputs(" (", l->out);
	put(p, t, l->out);
	fputc(')', l->out);
	if (!token_punct(p, ')'))
		return conf_error(p, token_peek(p), NULL, "')' is missing");
	return 0;
}

static int
list(struct parser *p, const char *what, FILE *out)
{
	const struct token *t = token_peek(p);
	bool braces = t->kind == TOKEN_PUNCT && token_text(p, t)[0] == '{';
	struct items l = {.out = out};

	fputs(braces ? " { " : " ", out);
	if (token_list(p, what, item, &l) == -1)
		return -1;
	fputs(braces ? " }" : "", out);
	return 0;
}

/* psk "..." or authkey K or authkey file "path": none of it is kept. */
static int
secret(struct parser *p, FILE *out)
{
	const struct token *t;

	if (token_accept(p, "file")) {
		if (token_word(p, "the path of a key file") == NULL)
			return -1;
		fputs(" file ...", out);
		return 0;
	}
	if ((t = token_word(p, "a key")) == NULL || conf_file_key(p, t) == -1)
		return -1;
	fputs(" ...", out);
	return 0;
}

/* One word and what belongs to it: 1 read, 0 none, -1 reported. */
static int
clause(struct parser *p, unsigned bit, bool *from, bool *to, FILE *out)
{
	const struct token *t;
	int rc = 0;

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (!(words[i].kinds & bit) || !token_accept(p, words[i].word))
			continue;
		fprintf(out, " %s", words[i].word);
		*from |= strcmp(words[i].word, "from") == 0;
		*to |= strcmp(words[i].word, "to") == 0;
		switch (words[i].arg) {
		case NONE:
			break;
		case WORD:
			if ((t = token_word(p, words[i].word)) == NULL)
				return -1;
			fputc(' ', out);
			put(p, t, out);
			break;
		case LIST:
		case HOSTS:
			rc = list(p, words[i].arg == HOSTS ? "an address" : words[i].word, out);
			break;
		case SECRET:
			rc = secret(p, out);
			break;
		}
		return rc == -1 ? -1 : 1;
	}
	return 0;
}

int
conf_foreign(struct parser *p, const struct token *first, const char *kind)
{
	bool from = false, to = false;
	char *text = NULL;
	size_t len, k = 0;
	FILE *out = open_memstream(&text, &len);
	int rc;

	if (out == NULL)
		return conf_nomem(p);
	while (strcmp(kinds[k].kind, kind) != 0)
		k++;
	fputs(kind, out);
	while ((rc = clause(p, kinds[k].bit, &from, &to, out)) == 1)
		;
	if (fclose(out) != 0 && rc == 0)
		rc = conf_nomem(p);
	if (rc == 0 && token_peek(p)->kind != TOKEN_END)
		rc = conf_error(p, token_peek(p), NULL, "this is no part of %s", kind);
	if (rc == 0 && !(from && to))
		rc = conf_error(p, token_peek(p), NULL, "'%s' is missing", from ? "to" : "from");
	if (rc == 0)
		rc = conf_add_foreign(p, first, text, kinds[k].why);
	free(text);
	return rc;
}
