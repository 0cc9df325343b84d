#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "addr.h"
#include "edge.h"
#include "gen.h"
#include "log.h"
#include "replay_tool.h"

/* What was decided about one packet, as words. */
struct verdict {
	const char *word;    /* "bypassed", "protected", "opened", "dropped", "held", "made" */
	long place;	     /* of the rule, from 0; -1: none decided */
	const char *builtin; /* or the built-in rule; NULL: none */
	const struct sa *sa[2 * POLICY_STEPS_MAX];
	unsigned nsas;
};

static long
place_of(const struct gen *g, const struct policy *p)
{
	for (size_t i = 0; p != NULL && i < spd_count(g->spd); i++)
		if (spd_at(g->spd, i) == p)
			return (long)i;
	return -1;
}

static void
add_sa(struct verdict *v, const struct sa *sa)
{
	if (sa != NULL && v->nsas < 2 * POLICY_STEPS_MAX)
		v->sa[v->nsas++] = sa;
}

static void
decide(const struct rerun *r, enum dir dir, const struct pkt *p, struct verdict *v)
{
	enum builtin b;

	memset(v, 0, sizeof *v);
	v->place = place_of(r->gen, p->policy);
	if (p->drop != DROP_NONE)
		v->word = p->drop == DROP_HELD ? "held" : "dropped";
	else if (p->bypass && p->etype == 0)
		v->word = "made"; /* never classified: by the bump itself, for the host */
	else if (p->bypass)
		v->word = "bypassed";
	else
		v->word = dir == DIR_OUT ? "protected" : "opened";
	if (p->policy == NULL && p->etype != 0 &&
	    (p->drop == DROP_NONE || p->drop == DROP_POLICY_DISCARD) && p->nchain == 0 &&
	    passthru(p, &b))
		v->builtin = builtin_name(b);
	if (dir == DIR_OUT) {
		for (unsigned i = 0; p->policy != NULL && !p->bypass && i < p->policy->nsteps; i++)
			add_sa(v, p->sa[i]);
	} else {
		for (unsigned i = 0; i < p->nchain; i++)
			add_sa(v, p->chain[i]);
	}
}

static void
verdict_text(enum dir dir, const struct pkt *p, const struct verdict *v)
{
	printf("%s %" PRIu64 " %s", dir == DIR_OUT ? "out" : "in", p->number, v->word);
	if (v->place >= 0)
		printf(" rule=%ld", v->place);
	if (v->builtin != NULL)
		printf(" builtin=%s", v->builtin);
	for (unsigned i = 0; i < v->nsas; i++)
		printf("%s%s:0x%08x",
		    i ? "," : " sa=", v->sa[i]->p.proto == IPSEC_AH ? "ah" : "esp", v->sa[i]->spi);
	if (v->nsas == 0 && p->spi != 0)
		printf(" spi=0x%08x", p->spi);
	if (p->seq != 0)
		printf(" seq=%" PRIu64, p->seq);
	if (p->drop != DROP_NONE && p->drop != DROP_HELD)
		printf(" reason=%s", drop_name(p->drop));
	putchar('\n');
}

static json_t *
spi_json(uint32_t spi)
{
	char text[16];

	snprintf(text, sizeof text, "0x%08x", spi);
	return json_string(text);
}

static json_t *
number(uint64_t v)
{
	return json_integer((json_int_t)v);
}

static void
verdict_json(json_t *list, enum dir dir, const struct pkt *p, const struct verdict *v)
{
	json_t *sas = json_array();

	for (unsigned i = 0; i < v->nsas; i++)
		json_array_append_new(sas,
		    json_pack("{s:s, s:o}", "proto", v->sa[i]->p.proto == IPSEC_AH ? "ah" : "esp",
			"spi", spi_json(v->sa[i]->spi)));
	json_array_append_new(
	    list, json_pack("{s:s, s:I, s:s, s:o, s:s?, s:o, s:o, s:I, s:s?}", "dir",
		      dir == DIR_OUT ? "out" : "in", "number", (json_int_t)p->number, "verdict",
		      v->word, "place", v->place >= 0 ? json_integer(v->place) : json_null(),
		      "builtin", v->builtin, "sas", sas, "spi",
		      p->spi ? spi_json(p->spi) : json_null(), "seq", (json_int_t)p->seq, "reason",
		      p->drop != DROP_NONE && p->drop != DROP_HELD ? drop_name(p->drop) : NULL));
}

void
replay_verdict(void *ctx, enum dir dir, const struct pkt *p)
{
	struct rerun *r = ctx;
	struct verdict v;

	decide(r, dir, p, &v);
	if (r->packets != NULL)
		verdict_json(r->packets, dir, p, &v);
	else
		verdict_text(dir, p, &v);
}

static json_t *
both(const uint64_t v[2])
{
	return json_pack("{s:I, s:I}", "out", (json_int_t)v[DIR_OUT], "in", (json_int_t)v[DIR_IN]);
}

static json_t *
traffic(const struct edge_counters c[2])
{
	return json_pack("{s:{s:I, s:I}, s:{s:I, s:I}}", "out", "packets",
	    (json_int_t)c[DIR_OUT].packets, "octets", (json_int_t)c[DIR_OUT].octets, "in",
	    "packets", (json_int_t)c[DIR_IN].packets, "octets", (json_int_t)c[DIR_IN].octets);
}

static json_t *
drops_json(const struct stats *s)
{
	json_t *list = json_array();

	for (int d = DROP_NONE + 1; d < DROP_HELD; d++)
		json_array_append_new(list,
		    json_pack("{s:s, s:I, s:I}", "reason", drop_name((enum drop)d), "out",
			(json_int_t)s->drop[DIR_OUT][d], "in", (json_int_t)s->drop[DIR_IN][d]));
	return list;
}

static json_t *
flows_json(const struct spd *spd)
{
	json_t *list = json_array();

	for (size_t i = 0; i < spd_count(spd); i++) {
		const struct policy *p = spd_at(spd, i);
		uint64_t n[2] = {p->count[DIR_OUT].packets, p->count[DIR_IN].packets};

		json_array_append_new(
		    list, json_pack("{s:I, s:s, s:o}", "place", (json_int_t)i, "type",
			      flow_type_name((enum flow_type)p->type), "packets", both(n)));
	}
	return list;
}

static json_t *
sa_json(const struct sa *sa)
{
	static const char *const dirs[] = {
	    [SA_DIR_ANY] = "any", [SA_DIR_OUT] = "out", [SA_DIR_IN] = "in"};
	char src[IPADDR_STRLEN], dst[IPADDR_STRLEN];
	json_t *j;

	j = json_pack("{s:s, s:s, s:s, s:o, s:s, s:s, s:s}", "proto",
	    sa->p.proto == IPSEC_AH ? "ah" : "esp", "mode",
	    sa->p.mode == MODE_TUNNEL ? "tunnel" : "transport", "dir", dirs[sa->p.dir], "spi",
	    spi_json(sa->spi), "src", ipaddr_print(&sa->p.src, src), "dst",
	    ipaddr_print(&sa->p.dst, dst), "state", sa_state_name((enum sa_state)sa->state));
	if (sa->p.dir != SA_DIR_IN)
		json_object_set_new(j, "out",
		    json_pack("{s:I, s:I, s:I}", "packets", (json_int_t)sa->cout.packets, "octets",
			(json_int_t)sa->cout.octets, "next_seq", (json_int_t)sa->seq.next));
	if (sa->p.dir != SA_DIR_OUT)
		json_object_set_new(j, "in",
		    json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "packets",
			(json_int_t)sa->cin.packets, "octets", (json_int_t)sa->cin.octets,
			"replay_old", (json_int_t)sa->cin.replay_old, "replay_dup",
			(json_int_t)sa->cin.replay_dup, "auth_failed",
			(json_int_t)sa->cin.auth_failed, "other_failed",
			(json_int_t)sa->cin.other_failed, "lost", (json_int_t)sa->cin.lost,
			"ecn_alarm", (json_int_t)sa->cin.ecn_alarm, "top_seq",
			(json_int_t)sa->replay.top));
	return j;
}

static int
report_json(const struct rerun *r)
{
	const struct stats *s = &r->stats;
	json_t *doc = json_object(), *sas = json_array();
	uint64_t first;
	int status = -1;

	for (size_t i = 0; i < sadb_count(r->gen->sad); i++)
		json_array_append_new(sas, sa_json(sadb_at(r->gen->sad, i)));
	json_object_set_new(doc, "read", traffic(s->read));
	json_object_set_new(doc, "sent", traffic(s->sent));
	json_object_set_new(doc, "bypassed", both(s->bypassed));
	json_object_set_new(doc, "protected", both(s->protected_));
	json_object_set_new(doc, "made", both(s->made));
	json_object_set_new(doc, "consumed", both(s->consumed));
	json_object_set_new(doc, "held", number(r->held));
	json_object_set_new(doc, "backwards",
	    json_pack("{s:I, s:I}", "out", (json_int_t)edge_pcap_backwards(r->host, &first), "in",
		(json_int_t)edge_pcap_backwards(r->wire, &first)));
	json_object_set_new(doc, "drops", drops_json(s));
	json_object_set_new(doc, "flows", flows_json(r->gen->spd));
	json_object_set_new(doc, "sas", sas);
	if (r->packets != NULL)
		json_object_set(doc, "packets", r->packets);
	if (json_dumpf(doc, stdout, JSON_INDENT(2)) == 0 && putchar('\n') != EOF)
		status = 0;
	json_decref(doc);
	return status;
}

static void
report_text(const struct rerun *r)
{
	static const char *const name[2] = {[DIR_OUT] = "out", [DIR_IN] = "in"};
	const struct stats *s = &r->stats;

	for (int dir = DIR_OUT; dir <= DIR_IN; dir++) {
		printf("%s: %" PRIu64 " read, %" PRIu64 " %s, %" PRIu64 " bypassed", name[dir],
		    s->read[dir].packets, s->protected_[dir],
		    dir == DIR_OUT ? "protected" : "opened", s->bypassed[dir]);
		for (int d = DROP_NONE + 1; d < DROP_HELD; d++)
			if (s->drop[dir][d] > 0)
				printf(
				    ", %" PRIu64 " %s", s->drop[dir][d], drop_name((enum drop)d));
		printf("; %" PRIu64 " sent\n", s->sent[dir].packets);
	}
	if (r->held > 0)
		printf(
		    "%" PRIu64 " fragments still wait for the rest of their datagrams\n", r->held);
}

int
replay_report(const struct rerun *r)
{
	int status = 0;

	if (r->o->json)
		status = report_json(r);
	else
		report_text(r);
	if (fflush(stdout) == EOF || ferror(stdout) || status == -1) {
		log_warn("standard output");
		return -1;
	}
	return 0;
}
