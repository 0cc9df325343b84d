/*
 * Shared by conf_*.c, nobody else's business: tokens, the reader of a statement, lists of hosts and ports.
 *
 * A statement is one logical line.  conf_lex.c turns it into an array of tokens with macros already expanded, so the
 * statement readers look as far ahead as they like; an error gives the statement up and the next line is read.
 */
#ifndef BITS_CONF_INT_H
#define BITS_CONF_INT_H

#include <sys/types.h>
#include "conf.h"

/* A file that was read. */
struct conf_file {
	struct conf_file *next;
	const char *name;   /* as messages show it; one of conf.file */
	const char *unsafe; /* why keys may not stand in it; NULL: they may */
	bool complained;
	dev_t dev;
	ino_t ino;
	struct conf_file *by; /* the file that includes it */
};

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_STRING, TOKEN_PUNCT };

struct token {
	enum token_kind kind;
	size_t off; /* of its text in parser.text */
	size_t len;
	unsigned line, col;	/* of the word, or of the $macro it came from */
	struct conf_file *file; /* where line and col are */
	struct conf_file *from; /* where its octets were written: that file must be safe for keys */
};

struct macro {
	struct macro *next;
	char *name;
	char *value; /* may hold a key: wiped */
	size_t len;
	bool fixed; /* by -D: the file's own definition is passed over */
	bool used, busy;
	struct conf_file *from;
	unsigned line, col;
};

/* Text being read: a file, or the value of a macro within it. */
struct source {
	struct source *up;
	const char *text;
	size_t len, pos;
	unsigned line, col;
	struct conf_file *file; /* positions are told in it */
	struct conf_file *from;
	struct macro *macro; /* NULL: a file */
};

struct parser {
	const struct conf_opts *o;
	struct conf *c;
	struct diags *ds;
	size_t errors; /* ds->errors when we began */
	bool stop;
	struct conf_file *files;
	struct macro *macros;
	size_t expanded; /* octets pushed by macros so far */
	unsigned depth;	 /* of includes */

	/* the statement */
	struct token *tok; /* ends with TOKEN_END */
	size_t ntok, captok;
	size_t at;  /* the next to be read */
	char *text; /* of all tokens; wiped with the statement */
	size_t ntext, captext;
};

/* conf_file.c */

/**
 * conf_file_read(p, path, at, main, text, len):
 * All of ${path} ("-": standard input) into a new *${text}, NUL-terminated; the caller wipes and frees it with
 * conf_file_drop().  ${at}: the token to blame, NULL: the file as a whole.  ${main} allows pipes.  NULL: reported.
 */
struct conf_file *conf_file_read(struct parser *p, const char *path, const struct token *at,
    bool main, char **text, size_t *len);
void conf_file_drop(char *text, size_t len);
/** conf_file_beside(f, path): a new string: ${path}, seen from the folder of ${f} where it is relative.  NULL: out of memory. */
char *conf_file_beside(const struct conf_file *f, const char *path);
/** conf_file_named(p, name): a record for text that is in no file.  NULL: reported. */
struct conf_file *conf_file_named(struct parser *p, const char *name);
/** conf_file_key(p, t): a key is (in) token ${t}: may it be?  0; -1 reported. */
int conf_file_key(struct parser *p, const struct token *t);
/** conf_file_secret(p, t, path, text, len): the text of key file ${path} without its newline; as conf_file_read(). */
int conf_file_secret(
    struct parser *p, const struct token *t, const char *path, char **text, size_t *len);

/* conf_lex.c */

/** conf_lex_statement(p, s): the next statement of ${s} into p->tok.  1; 0 at the end; -1: reported, go on. */
int conf_lex_statement(struct parser *p, struct source *s);
/** conf_lex_macro(p, name, value, len, t): define; ${t} NULL: by -D, and for good.  0; -1 reported. */
int conf_lex_macro(
    struct parser *p, const char *name, const char *value, size_t len, const struct token *t);
/** conf_lex_clear(p): wipe the statement.  conf_lex_fini(p): and macros and files. */
void conf_lex_clear(struct parser *p);
void conf_lex_fini(struct parser *p);

/* conf_token.c */

const struct token *token_peek(const struct parser *p);
const struct token *token_next(struct parser *p);
const char *token_text(const struct parser *p, const struct token *t);
/** token_is(p, word): is ${word} next?  token_accept(p, word): and step over it.  token_punct(p, c): the same for a sign. */
bool token_is(const struct parser *p, const char *word);
bool token_accept(struct parser *p, const char *word);
bool token_punct(struct parser *p, char c);
/** token_word(p, what): the next token, a word or string, and step over it; else reports that ${what} is missing. */
const struct token *token_word(struct parser *p, const char *what);

/**
 * conf_error(p, t, hint, fmt): report "fmt, near 'token'; hint" at ${t}.  Long hexadecimal numbers are never shown.
 * Returns -1.  conf_warning(): the same as a warning, without near and hint.
 */
int conf_error(struct parser *p, const struct token *t, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void conf_warning(struct parser *p, const struct token *t, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int conf_nomem(struct parser *p);

/** token_mask(s, len, buf, cap): ${s} as a message may show it: printable, at most ${cap} octets, and of more than 16
 * hexadecimal digits in a row only that they were there, because they may be a key.  Returns ${buf}. */
char *token_mask(const char *s, size_t len, char *buf, size_t cap);

/** token_number(p, what, min, max, v): a decimal or 0x number.  0; -1 reported. */
int token_number(struct parser *p, const char *what, uint64_t min, uint64_t max, uint64_t *v);
/** number_parse(s, end, v): digits from ${s} up to ${end} (NULL: all).  0, or -1. */
int number_parse(const char *s, const char *end, uint64_t *v);

/**
 * token_list(p, what, item, arg):
 * One item or "{ item, item ... }" (lists may stand in lists): calls ${item} for each with its token.  0; -1 reported.
 */
int token_list(struct parser *p, const char *what,
    int (*item)(struct parser *, const struct token *, void *), void *arg);

/** conf_once(p, t, said): a clause may stand once.  0; -1 reported. */
int conf_once(struct parser *p, const struct token *t, bool *said);

/* conf_host.c */

struct hosts {
	struct iprange *r;
	size_t n, cap;
};

struct ports { /* a list of port ranges, or of ICMP types and codes */
	struct {
		uint8_t match;
		struct portrange r;
	} * p;
	size_t n, cap;
};

struct protos {
	struct {
		uint8_t proto;
		bool any, opaque;
	} * p;
	size_t n, cap;
};

/** host_list(p, h), port_list(p, l), proto_list(p, l): what stands behind from/to, port and proto.  0; -1 reported. */
int host_list(struct parser *p, struct hosts *h);
int port_list(struct parser *p, struct ports *l);
int proto_list(struct parser *p, struct protos *l);
/** host_address(p, what, af, a): one address, of family ${af} where a name has several (0: whichever); "any": af 0. */
int host_address(struct parser *p, const char *what, unsigned af, struct ipaddr *a);
/** service_number(name): its port, or -1.  service_name(port): a name of it, or NULL. */
int service_number(const char *name);
const char *service_name(unsigned port);
/** list_grow(v, n, cap, size): room for one more; NULL when there is none. */
void *list_grow(void *v, size_t n, size_t *cap, size_t size);

/* conf_flow.c, conf_sa.c, conf_foreign.c: a statement, its first word read.  0; -1 reported. */
int conf_flow(struct parser *p, const struct token *first);
int conf_sa(struct parser *p, const struct token *first, enum ipsec_proto proto);
int conf_foreign(struct parser *p, const struct token *first, const char *kind);

/* conf_for.c: what stands behind `for` of an SA and `pfp` of a flow.  0; -1 reported. */
int conf_for(struct parser *p, struct sa_selector *s);
int conf_pfp(struct parser *p, uint8_t *pfp);
void conf_print_pfp(uint8_t pfp, FILE *out);

/** conf_quote(s, out): a string in quotes, so that reading it gives ${s}.  conf_print.c. */
void conf_quote(const char *s, FILE *out);

/** conf_reserved(word): is it a word of the language, so that it names neither macro nor host?  conf_parse.c. */
bool conf_reserved(const char *word);

/* conf_parse.c: append to p->c.  0; -1 reported, and ${rule} is given up (${sa}: still the caller's). */
int conf_add_rule(struct parser *p, const struct token *at, struct policy *rule);
int conf_add_sa(struct parser *p, const struct token *at, const struct sa_params *sa);
int conf_add_foreign(struct parser *p, const struct token *at, const char *text, const char *why);

#endif
