/*
 * An SA's   for [proto P] from SRC [port P] to DST [port P]   and a flow's   pfp local remote proto ports.
 */
#include <stdlib.h>
#include <string.h>
#include "conf_int.h"

/* One item of what may be a list elsewhere. */
static int
one_host(struct parser *p, struct iprange *r)
{
	const struct token *t = token_peek(p);
	struct hosts h = {0};
	int rc = host_list(p, &h);

	if (rc == 0 && h.n != 1)
		rc = conf_error(p, t, "an address, prefix or range; an SA for each otherwise",
		    "an SA is for one range of addresses");
	if (rc == 0)
		*r = h.r[0];
	free(h.r);
	return rc;
}

static int
one_port(struct parser *p, struct sa_ports *r)
{
	const struct token *t = token_peek(p);
	struct ports l = {0};
	int rc = port_list(p, &l);

	if (rc == 0 && (l.n != 1 || l.p[0].match == MATCH_OPAQUE))
		rc = conf_error(
		    p, t, "a port, a range a-b or any", "an SA is for one range of ports");
	if (rc == 0)
		*r = (struct sa_ports){
		    .any = l.p[0].match == MATCH_ANY, .lo = l.p[0].r.lo, .hi = l.p[0].r.hi};
	free(l.p);
	return rc;
}

static int
one_proto(struct parser *p, struct sa_selector *s)
{
	const struct token *t = token_peek(p);
	struct protos l = {0};
	int rc = proto_list(p, &l);

	if (rc == 0 && (l.n != 1 || l.p[0].opaque))
		rc = conf_error(p, t, "a protocol, or any", "an SA is for one protocol");
	if (rc == 0) {
		s->proto_any = l.p[0].any;
		s->proto = l.p[0].proto;
	}
	free(l.p);
	return rc;
}

static int
one_side(struct parser *p, const char *word, struct iprange *r, struct sa_ports *ports)
{
	if (!token_accept(p, word))
		return conf_error(p, token_peek(p),
		    "for [proto P] from SRC [port P] to DST [port P]", "'%s' is missing", word);
	if (one_host(p, r) == -1)
		return -1;
	return token_accept(p, "port") ? one_port(p, ports) : 0;
}

int
conf_for(struct parser *p, struct sa_selector *s)
{
	const struct token *t = token_peek(p);

	*s = (struct sa_selector){.proto_any = true, .sport.any = true, .dport.any = true};
	if (token_accept(p, "proto") && one_proto(p, s) == -1)
		return -1;
	if (one_side(p, "from", &s->src, &s->sport) == -1 ||
	    one_side(p, "to", &s->dst, &s->dport) == -1)
		return -1;
	if (s->src.lo.af && s->dst.lo.af && s->src.lo.af != s->dst.lo.af)
		return conf_error(p, t, NULL, "from and to are not of one family");
	if ((!s->sport.any || !s->dport.any) && (s->proto_any || !proto_has_ports(s->proto)))
		return conf_error(p, t, "proto tcp (or udp, sctp, dccp, udplite)",
		    "a port needs a protocol that has ports");
	return 0;
}

/* The words of a flow: what follows a flag that is also the name of a clause. */
static bool
clause_next(const struct parser *p, const struct token *t)
{
	static const char *const words[] = {"local", "remote", "proto", "ports", "from", "to", "in",
	    "out", "peer", "reqid", "type", "icmptype", "mhtype", "vlan", "fragments", "srcid",
	    "dstid", "pfp"};

	if (t->kind == TOKEN_END)
		return true;
	for (size_t i = 0; t->kind == TOKEN_WORD && i < sizeof words / sizeof *words; i++)
		if (strcmp(token_text(p, t), words[i]) == 0)
			return true;
	return false;
}

static const struct {
	const char *word;
	uint8_t flag;
} flags[] = {
    {"local", PFP_LOCAL}, {"remote", PFP_REMOTE}, {"proto", PFP_PROTO}, {"ports", PFP_PORTS}};

/* `local` and `proto` are flags unless a value follows: pfp ports proto tcp. */
static uint8_t
flag_next(struct parser *p)
{
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		if (token_is(p, flags[i].word) && clause_next(p, token_peek(p) + 1)) {
			token_next(p);
			return flags[i].flag;
		}
	return 0;
}

int
conf_pfp(struct parser *p, uint8_t *pfp)
{
	uint8_t one;

	*pfp = 0;
	while ((one = flag_next(p)) != 0)
		*pfp |= one;
	if (*pfp)
		return 0;
	return conf_error(p, token_peek(p), "pfp local remote proto ports, or some of them",
	    "what is taken from the packet is missing");
}

void
conf_print_pfp(uint8_t pfp, FILE *out)
{
	if (pfp)
		fputs(" pfp", out);
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		if (pfp & flags[i].flag)
			fprintf(out, " %s", flags[i].word);
}

static void
print_side(const char *word, const struct iprange *r, const struct sa_ports *p, FILE *out)
{
	char buf[IPRANGE_STRLEN];

	fprintf(out, " %s %s", word, iprange_print(r, buf));
	if (!p->any && p->lo == p->hi)
		fprintf(out, " port %u", p->lo);
	else if (!p->any)
		fprintf(out, " port %u-%u", p->lo, p->hi);
}

void
conf_print_for(const struct sa_selector *s, FILE *out)
{
	fputs(" for", out);
	if (!s->proto_any && proto_name(s->proto) != NULL)
		fprintf(out, " proto %s", proto_name(s->proto));
	else if (!s->proto_any)
		fprintf(out, " proto %u", s->proto);
	print_side("from", &s->src, &s->sport, out);
	print_side("to", &s->dst, &s->dport, out);
}
