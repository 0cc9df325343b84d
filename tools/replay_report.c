#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include "addr.h"
#include "capture.h"
#include "edge.h"
#include "gen.h"
#include "log.h"
#include "replay_tool.h"

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
verdict_json(json_t *list, const struct capture_rec *v)
{
	json_t *sas = json_array();

	for (unsigned i = 0; i < v->nsas; i++)
		json_array_append_new(
		    sas, json_pack("{s:s, s:o}", "proto", v->sa_proto[i] == IPSEC_AH ? "ah" : "esp",
			     "spi", spi_json(v->sa_spi[i])));
	json_array_append_new(list,
	    json_pack("{s:s, s:I, s:s, s:o, s:s?, s:o, s:o, s:I, s:s?}", "dir",
		v->dir == DIR_OUT ? "out" : "in", "number", (json_int_t)v->number, "verdict",
		capture_word(v), "place",
		v->rule != CAPTURE_NOWHERE ? json_integer(v->rule) : json_null(), "builtin",
		v->builtin < BUILTIN_MAX ? builtin_name((enum builtin)v->builtin) : NULL, "sas",
		sas, "spi", v->spi ? spi_json(v->spi) : json_null(), "seq", (json_int_t)v->seq,
		"reason", v->word == CAPTURE_DROP ? drop_name((enum drop)v->drop) : NULL));
}

void
replay_verdict(void *ctx, enum dir dir, const struct pkt *p)
{
	struct rerun *r = ctx;
	struct capture_rec v;
	char text[CAPTURE_TEXT];

	if (r->walk.capture != NULL)
		capture_verdict(r->walk.capture, r->gen, dir, p);
	if (r->svg != NULL)
		replay_svg_add(r->svg, dir, p, r->walk.now);
	if (r->explaining)
		replay_explain_verdict(r, dir, p);
	if (!r->o->verbose)
		return;
	capture_decide(r->gen, dir, p, &v);
	if (r->packets != NULL)
		verdict_json(r->packets, &v);
	else
		printf("%s %" PRIu64 " %s\n", dir == DIR_OUT ? "out" : "in", p->number,
		    capture_text(&v, text));
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

static void
row(const char *name, uint64_t out, uint64_t in)
{
	printf("%-24s %14" PRIu64 " %14" PRIu64 "\n", name, out, in);
}

static void
stats_sas(const struct sadb *sad)
{
	printf("\n%-12s %-12s %14s %14s %8s %8s %8s\n", "SA", "SPI", "packets", "octets",
	    "replayed", "ICV", "lost");
	for (size_t i = 0; i < sadb_count(sad); i++) {
		const struct sa *sa = sadb_at(sad, i);
		const char *proto = sa->p.proto == IPSEC_AH ? "ah" : "esp";

		if (sa->p.dir != SA_DIR_IN && sa->cout.packets > 0)
			printf("%-3s %-8s 0x%08x   %14" PRIu64 " %14" PRIu64 "\n", proto, "out",
			    sa->spi, sa->cout.packets, sa->cout.octets);
		if (sa->p.dir != SA_DIR_OUT && sa->cin.packets + sa->cin.replay_old +
						       sa->cin.replay_dup + sa->cin.auth_failed >
						   0)
			printf("%-3s %-8s 0x%08x   %14" PRIu64 " %14" PRIu64 " %8" PRIu64
			       " %8" PRIu64 " %8" PRIu64 "\n",
			    proto, "in", sa->spi, sa->cin.packets, sa->cin.octets,
			    sa->cin.replay_old + sa->cin.replay_dup, sa->cin.auth_failed,
			    sa->cin.lost);
	}
}

/* --stats: everything read has one line, by what became of it. */
static void
report_stats(const struct rerun *r)
{
	const struct stats *s = &r->stats;

	printf("%-24s %14s %14s\n", "packets", "out", "in");
	row("read", s->read[DIR_OUT].packets, s->read[DIR_IN].packets);
	row("  octets", s->read[DIR_OUT].octets, s->read[DIR_IN].octets);
	row("made", s->made[DIR_OUT], s->made[DIR_IN]);
	row("bypassed", s->bypassed[DIR_OUT], s->bypassed[DIR_IN]);
	row("protected, opened", s->protected_[DIR_OUT], s->protected_[DIR_IN]);
	row("put together", s->consumed[DIR_OUT], s->consumed[DIR_IN]);
	printf("%-24s %29" PRIu64 "\n", "still held", r->held);
	for (int d = DROP_NONE + 1; d < DROP_HELD; d++)
		if (s->drop[DIR_OUT][d] + s->drop[DIR_IN][d] > 0)
			row(drop_name((enum drop)d), s->drop[DIR_OUT][d], s->drop[DIR_IN][d]);
	row("sent", s->sent[DIR_OUT].packets, s->sent[DIR_IN].packets);
	row("  octets", s->sent[DIR_OUT].octets, s->sent[DIR_IN].octets);
	stats_sas(r->gen->sad);
}

int
replay_report(const struct rerun *r)
{
	int status = 0;

	if (r->o->json)
		status = report_json(r);
	else if (r->o->stats)
		report_stats(r);
	else
		report_text(r);
	if (fflush(stdout) == EOF || ferror(stdout) || status == -1) {
		log_warn("standard output");
		return -1;
	}
	return 0;
}
