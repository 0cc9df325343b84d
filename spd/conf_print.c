/*
 * Rules and SAs -> text.  One statement each, lists never; reading it gives the same again.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "conf_int.h"

enum style { CANONICAL, OPENBSD };

void
conf_quote(const char *s, FILE *out)
{
	fputc('"', out);
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			fputc('\\', out);
		fputc(*s, out);
	}
	fputc('"', out);
}

static void
print_addr(const char *word, const struct ipaddr *a, FILE *out)
{
	char buf[IPADDR_STRLEN];

	if (a->af != 0)
		fprintf(out, " %s %s", word, ipaddr_print(a, buf));
}

static void
print_range(const struct portrange *r, FILE *out)
{
	if (r->lo == r->hi)
		fprintf(out, " %u", r->lo);
	else
		fprintf(out, " %u-%u", r->lo, r->hi);
}

static void
print_port(uint8_t match, const struct portrange *r, enum style style, FILE *out)
{
	const char *name =
	    style == OPENBSD && match == MATCH_RANGE && r->lo == r->hi ? service_name(r->lo) : NULL;

	if (match == MATCH_ANY)
		return;
	fputs(" port", out);
	if (match == MATCH_OPAQUE)
		fputs(" opaque", out);
	else if (name != NULL)
		fprintf(out, " %s", name);
	else
		print_range(r, out);
}

/* ICMP's type and code, the Mobility Header's type: the high and low octet of the range (RFC 4301 4.4.1.1). */
static void
print_types(const struct selector *s, FILE *out)
{
	struct portrange type = {s->lport.lo >> 8, s->lport.hi >> 8};
	struct portrange code = {s->lport.lo & 0xff, s->lport.hi & 0xff};

	if (s->lmatch == MATCH_ANY)
		return;
	fprintf(out, " %s", s->proto == 135 ? "mhtype" : "icmptype");
	if (s->lmatch == MATCH_OPAQUE) {
		fputs(" opaque", out);
		return;
	}
	print_range(&type, out);
	if (code.lo != 0 || code.hi != 0xff) {
		fputs(" code", out);
		print_range(&code, out);
	}
}

static void
print_step(const struct sa_template *t, bool addresses, FILE *out)
{
	fprintf(out, " %s", t->proto == IPSEC_AH ? "ah" : "esp");
	if (t->mode != MODE_ANY)
		fprintf(out, " %s", t->mode == MODE_TUNNEL ? "tunnel" : "transport");
	if (!addresses)
		return;
	print_addr("local", &t->local, out);
	print_addr("peer", &t->peer, out);
	if (t->reqid != 0)
		fprintf(out, " reqid %" PRIu32, t->reqid);
}

/* OpenBSD says the protocol always and knows no mode, because a flow is of tunnels there. */
static void
print_steps(const struct policy *p, enum style style, FILE *out)
{
	if (style == OPENBSD && (p->action != ACT_PROTECT || p->nsteps == 1)) {
		fprintf(out, " %s",
		    p->action == ACT_PROTECT && p->step[0].proto == IPSEC_AH ? "ah" : "esp");
		if (p->action == ACT_PROTECT && p->step[0].mode == MODE_TRANSPORT)
			fputs(" transport", out);
		return;
	}
	for (unsigned i = 0; p->action == ACT_PROTECT && i < p->nsteps; i++)
		print_step(&p->step[i], p->nsteps > 1, out);
}

/* Can ${id} stand without quotes? */
static bool
plain(const char *id)
{
	size_t n = 0;

	while (isgraph((unsigned char)id[n]) && strchr("{}(),=#$\"'\\", id[n]) == NULL)
		n++;
	return n > 0 && id[n] == '\0';
}

static void
print_id(const char *word, const char *id, enum style style, FILE *out)
{
	if (id == NULL)
		return;
	fprintf(out, " %s ", word);
	if (style == OPENBSD && plain(id))
		fputs(id, out);
	else
		conf_quote(id, out);
}

static void
print_rule(const struct policy *p, enum style style, FILE *out)
{
	const struct selector *s = &p->sel;
	bool in = p->dirs == 1 << DIR_IN; /* then remote is where it comes from */
	bool typed = !s->proto_any && (s->proto == 1 || s->proto == 58 || s->proto == 135);
	char buf[IPRANGE_STRLEN];
	const struct sa_template *t = &p->step[0];

	fputs("flow", out);
	print_steps(p, style, out);
	if (in)
		fputs(" in", out);
	else if (p->dirs == 1 << DIR_OUT)
		fputs(" out", out);
	if (s->proto_opaque)
		fputs(" proto opaque", out);
	else if (!s->proto_any && proto_name(s->proto) != NULL)
		fprintf(out, " proto %s", proto_name(s->proto));
	else if (!s->proto_any)
		fprintf(out, " proto %u", s->proto);
	fprintf(out, " from %s", iprange_print(in ? &s->remote : &s->local, buf));
	if (!typed)
		print_port(in ? s->rmatch : s->lmatch, in ? &s->rport : &s->lport, style, out);
	fprintf(out, " to %s", iprange_print(in ? &s->local : &s->remote, buf));
	if (!typed)
		print_port(in ? s->lmatch : s->rmatch, in ? &s->lport : &s->rport, style, out);
	else
		print_types(s, out);
	if (s->vlan != VLAN_NONE)
		fprintf(out, " vlan %u", s->vlan);
	if (p->frags == FRAGS_CHECK)
		fputs(" fragments check", out);
	if (p->action == ACT_PROTECT && p->nsteps == 1) {
		print_addr("local", &t->local, out);
		print_addr("peer", &t->peer, out);
		if (t->reqid != 0)
			fprintf(out, " reqid %" PRIu32, t->reqid);
	}
	if (p->action == ACT_PROTECT)
		conf_print_pfp(p->pfp, out);
	print_id("srcid", p->srcid, style, out);
	print_id("dstid", p->dstid, style, out);
	fprintf(out, " type %s\n", flow_type_name((enum flow_type)p->type));
}

void
conf_print_rule(const struct policy *p, FILE *out)
{
	print_rule(p, CANONICAL, out);
}

/* The family "any" stands for when the other address, or the end of a transport SA, has one; 0: both. */
static unsigned
only_family(const struct policy *p)
{
	const struct sa_template *t = &p->step[0];
	bool transport = p->action == ACT_PROTECT && t->mode == MODE_TRANSPORT;

	if (p->sel.local.lo.af != 0)
		return p->sel.local.lo.af;
	if (p->sel.remote.lo.af != 0)
		return p->sel.remote.lo.af;
	return !transport ? 0 : t->local.af != 0 ? t->local.af : t->peer.af;
}

/* One rule as the flows that OpenBSD makes of it: "any" is one of each family, and what has no direction goes out and comes back in. */
static void
print_flows(const struct policy *p, FILE *out)
{
	static const char *const all[] = {"0.0.0.0/0", "::/0"};
	const struct iprange *local = &p->sel.local, *remote = &p->sel.remote;
	bool any = local->lo.af == 0 || remote->lo.af == 0;
	unsigned af = only_family(p);

	for (unsigned f = 0; f < (any ? 2 : 1); f++) {
		struct policy q = *p;

		if (any && af != 0 && af != (f == 0 ? 4 : 6))
			continue;
		if (local->lo.af == 0)
			iprange_parse(all[f], &q.sel.local);
		if (remote->lo.af == 0)
			iprange_parse(all[f], &q.sel.remote);
		for (int d = DIR_OUT; d <= DIR_IN; d++) {
			q.dirs = (uint8_t)(p->dirs & 1 << d);
			if (q.dirs != 0)
				print_rule(&q, OPENBSD, out);
		}
	}
}

static void
print_lifetime(const char *word, const struct lifetime *l, FILE *out)
{
	if (l->packets != 0)
		fprintf(out, " lifetime %s %" PRIu64 " packets", word, l->packets);
	if (l->octets != 0)
		fprintf(out, " lifetime %s %" PRIu64 " bytes", word, l->octets);
	if (l->ms != 0)
		fprintf(out, " lifetime %s %" PRIu64 " seconds", word, l->ms / 1000);
}

static void
print_key(const char *lead, const char *word, const struct secret *s, FILE *out)
{
	char hex[2 * SECRET_MAX + 3];

	if (s == NULL || secret_hex(s, hex, sizeof hex) == -1)
		return;
	fprintf(out, "%s%s %s", lead, word, hex);
	secret_wipe(hex, sizeof hex);
}

/* Options that differ from the default. */
static void
print_options(const struct sa_params *p, FILE *out)
{
	if (p->weak)
		fputs(" weak", out);
	if (p->reqid != 0)
		fprintf(out, " reqid %" PRIu32, p->reqid);
	if (p->esn)
		fputs(" esn", out);
	if (p->replay != REPLAY_DEFAULT)
		fprintf(out, " replay %" PRIu32, p->replay);
	if (p->encap_sport != 0)
		fprintf(out, " udpencap %u:%u", p->encap_sport, p->encap_dport);
	if (p->follow)
		fputs(" follow", out);
	if (p->keepalive)
		fprintf(out, " keepalive %u", p->keepalive);
	if (p->tfc != 0)
		fprintf(out, " tfc %" PRIu32, p->tfc);
	if (p->proto == IPSEC_AH && p->ahpad == 8)
		fputs(" ahpad 8", out);
	if (p->df != DF_COPY)
		fprintf(out, " df %s", p->df == DF_SET ? "set" : "clear");
	if (p->frag == FRAG_AFTER)
		fputs(" fragment after", out);
	if (p->mss == MSS_AUTO)
		fputs(" mss auto", out);
	else if (p->mss != 0)
		fprintf(out, " mss %u", p->mss);
	if (!p->ecn)
		fputs(" ecn off", out);
	if (p->dscp >= 0)
		fprintf(out, " dscp %d", p->dscp);
	print_lifetime("soft", &p->soft, out);
	print_lifetime("hard", &p->hard, out);
	if (p->sel != NULL)
		conf_print_for(p->sel, out);
}

static void
print_sa(const struct sa_params *p, bool keys, enum style style, bool paired, FILE *out)
{
	char src[IPADDR_STRLEN], dst[IPADDR_STRLEN];

	fprintf(out, "%s %s%s from %s to %s spi 0x%08" PRIx32, p->proto == IPSEC_AH ? "ah" : "esp",
	    p->mode == MODE_TUNNEL ? "tunnel" : "transport",
	    paired		   ? ""
	    : p->dir == SA_DIR_OUT ? " out"
	    : p->dir == SA_DIR_IN  ? " in"
				   : "",
	    ipaddr_print(&p->src, src), ipaddr_print(&p->dst, dst), p->spi);
	if (p->auth != NULL)
		fprintf(out, " auth %s", p->auth->name);
	if (p->enc != NULL)
		fprintf(out, " enc %s",
		    style == OPENBSD && strcmp(p->enc->name, "3des") == 0 ? "3des-cbc"
									  : p->enc->name);
	print_options(p, out);
	if (keys && style == OPENBSD) {
		print_key(" \\\n\t", "authkey", p->authkey, out);
		print_key(" \\\n\t", "enckey", p->enckey, out);
	} else if (keys && (p->authkey != NULL || p->enckey != NULL)) {
		fputs(" \\\n\t", out);
		print_key("", "authkey", p->authkey, out);
		print_key(p->authkey != NULL ? " " : "", "enckey", p->enckey, out);
	}
	fputc('\n', out);
}

void
conf_print_sa(const struct sa_params *p, bool keys, FILE *out)
{
	print_sa(p, keys, CANONICAL, false, out);
}

void
conf_print_builtin(enum builtin b, enum builtin_set s, FILE *out)
{
	fprintf(out, "builtin %s type %s\n", builtin_name(b), builtin_set_name(s));
}

void
conf_print(const struct conf *c, bool keys, FILE *out)
{
	for (size_t i = 0; i < c->nsas; i++)
		conf_print_sa(&c->sa[i], keys, out);
	for (int b = 0; b < BUILTIN_MAX; b++)
		if (c->builtin_said[b])
			conf_print_builtin((enum builtin)b, c->builtin[b], out);
	for (size_t i = 0; i < c->nrules; i++)
		conf_print_rule(c->rule[i], out);
	for (size_t i = 0; i < c->nforeign; i++)
		fprintf(out, "%s\n", c->foreign[i].text);
}

/* Are SAs ${i} and ${i} + 1 the halves of one statement? */
static bool
halves(const struct conf *c, size_t i)
{
	const struct sa_params *a = &c->sa[i], *b = a + 1;

	return i + 1 < c->nsas && a->dir == SA_DIR_OUT && b->dir == SA_DIR_IN &&
	       ipaddr_eq(&a->src, &b->dst) && ipaddr_eq(&a->dst, &b->src) && c->sa_at != NULL &&
	       c->sa_at[i].line != 0 && c->sa_at[i].line == c->sa_at[i + 1].line &&
	       c->sa_at[i].col == c->sa_at[i + 1].col;
}

/* The place in the text of the next rule or SA; the last where there is none. */
static size_t
next(const struct conf_at *at, size_t i, size_t n)
{
	return i >= n ? SIZE_MAX : at != NULL ? at[i].nr : 0;
}

void
conf_print_openbsd(const struct conf *c, bool keys, FILE *out)
{
	size_t rule = 0, sa = 0, other = 0;
	bool second = false;

	for (int b = 0; b < BUILTIN_MAX; b++)
		if (c->builtin_said[b])
			conf_print_builtin((enum builtin)b, c->builtin[b], out);
	while (rule < c->nrules || sa < c->nsas || other < c->nforeign) {
		size_t r = next(c->rule_at, rule, c->nrules), s = next(c->sa_at, sa, c->nsas),
		       f = other < c->nforeign ? c->foreign[other].nr : SIZE_MAX;

		if (sa < c->nsas && s <= r && s <= f) {
			bool pair = halves(c, sa);

			print_sa(&c->sa[sa++], keys, OPENBSD, pair || second, out);
			second = pair;
		} else if (rule < c->nrules && r <= f) {
			print_flows(c->rule[rule++], out);
		} else {
			fprintf(out, "%s\n", c->foreign[other++].text);
		}
	}
}
