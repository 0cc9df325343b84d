/*
 * Shared by import*.c, nobody else's business: words of a text, and rules that wait to be put in order.
 */
#ifndef BITS_IMPORT_INT_H
#define BITS_IMPORT_INT_H

#include "conf_int.h"
#include "import.h"

/* A word of the text, where it lies: a key is never copied. */
struct word {
	const char *s;
	size_t len;
	unsigned line, col;
	bool first;  /* of its line */
	bool quoted; /* ${s} is between the quotes */
};

struct import_rule {
	struct policy *rule;
	unsigned line, col;
	uint32_t priority; /* the lower decides, as in the kernel */
	size_t order;	   /* and of equal ones the earlier */
	bool fwd;	   /* was for what the host forwards */
};

struct import {
	struct parser p; /* what conf_file.c and conf_add_*() work with; p.c is appended to */
	struct conf_file *file;
	struct word *w; /* of the statement */
	size_t nw, capw, at;
	struct import_rule *rule;
	size_t nrules, caprules;
	bool *anymode; /* by number of the SA in p.c: its mode was not said */
	size_t capany;
};

/** import_add_word(im, s, len, line, col): append to the statement; NULL: reported. */
struct word *import_add_word(
    struct import *im, const char *s, size_t len, unsigned line, unsigned col);
/** import_next(im): the word to be read, and step over it; NULL at the end.  import_peek(im): and stay. */
const struct word *import_next(struct import *im);
const struct word *import_peek(const struct import *im);
/** import_is(w, text): is word ${w} (NULL: no) that text?  import_accept(im, text): is the next one?  Then step over it. */
bool import_is(const struct word *w, const char *text);
bool import_accept(struct import *im, const char *text);
/** import_copy(w, buf, cap): ${w} as a string in ${buf}; not for keys.  NULL: there is no word, or it is too long. */
char *import_copy(const struct word *w, char *buf, size_t cap);
/** import_number(w, v): the number that ${w} begins with in *${v}, and what stands behind it; NULL: it begins with none. */
const char *import_number(const struct word *w, uint64_t *v);

/** import_error(im, w, fmt): why the statement of ${w} is left out; -1.  import_warn(): what is lost of it. */
int import_error(struct import *im, const struct word *w, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void import_warn(struct import *im, const struct word *w, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** import_key(im, w, at, key): hexadecimal with 0x, or text in quotes.  NULL ${w}, or an empty one: no key.  0; -1 reported. */
int import_key(struct import *im, const struct word *w, const struct word *at, struct secret **key);
/** import_add_sa(im, at, sa): checked and appended; the secrets stay the caller's.  0; -1 reported. */
int import_add_sa(struct import *im, const struct word *at, struct sa_params *sa, bool anymode);
/** import_add_rule(im, at, rule, ...): checked and put by; takes the reference over, also where it fails.  0; -1 reported. */
int import_add_rule(
    struct import *im, const struct word *at, struct policy *rule, uint32_t priority, bool fwd);
/** import_tunnel(im, at, rule, t): is the far end of ${rule}'s tunnel step known, or can it be?  0; -1 reported. */
int import_tunnel(
    struct import *im, const struct word *at, const struct policy *rule, struct sa_template *t);

/* import_alg.c: names of the kernel (or of setkey) and octets of the key -> a row of alg.c; ${bits}: of the ICV, 0: as usual there.
 * NULL: *${why} says why there is none. */
const struct alg *import_enc(
    const char *name, size_t octets, bool aead, uint64_t bits, const char **why);
const struct alg *import_auth(const char *name, uint64_t bits, const char **why);

/* import_setkey.c, import_xfrm.c: all of the text; what they cannot turn is reported. */
void import_setkey(struct import *im, const char *text, size_t len);
void import_xfrm(struct import *im, const char *text, size_t len);

#endif
