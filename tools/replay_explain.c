/*
 * --explain N: what the walk does with one packet, step by step.  What can be known beforehand is asked of the parts of the walk itself, on a
 * copy; the verdict is the walk's own.
 */
#include <inttypes.h>
#include <string.h>
#include "capture.h"
#include "conf.h"
#include "edge.h"
#include "gen.h"
#include "log.h"
#include "replay_tool.h"
#include "trace.h"

bool
replay_explains(const struct rerun *r, enum dir dir, uint64_t number)
{
	return number == r->o->explain &&
	       (r->o->explain_dir == -1 || r->o->explain_dir == (int)dir);
}

static struct pkt *
copy_of(struct rerun *r, const struct pkt *p)
{
	struct pkt *m = pkt_new(r->walk.pool);

	if (m == NULL)
		return NULL;
	m->link = p->link;
	m->drop = p->drop;
	if (p->len > 0)
		memcpy(pkt_put(m, p->len), pkt_data(p), p->len);
	return m;
}

static void
print_packet(const struct flowkey *k)
{
	char a[IPADDR_STRLEN], b[IPADDR_STRLEN];
	bool out = k->dir == DIR_OUT;
	const char *name = proto_name(k->proto);

	if (k->local.af == 0) {
		printf("not IP");
		return;
	}
	if (name != NULL)
		printf("%s", name);
	else
		printf("protocol %u", k->proto);
	printf(" from %s", ipaddr_print(out ? &k->local : &k->remote, a));
	if (k->ports == PORTS_PORTS)
		printf(" port %u", out ? k->lport : k->rport);
	printf(" to %s", ipaddr_print(out ? &k->remote : &k->local, b));
	if (k->ports == PORTS_PORTS)
		printf(" port %u", out ? k->rport : k->lport);
	else if (k->ports == PORTS_ICMP)
		printf(" type %u code %u", k->lport >> 8, k->lport & 0xff);
	if (k->frag)
		printf(", a fragment");
}

static void
print_sa(const struct sa *sa)
{
	char src[IPADDR_STRLEN], dst[IPADDR_STRLEN];

	printf("%s %s 0x%08" PRIx32 " %s -> %s, %s", sa->p.proto == IPSEC_AH ? "ah" : "esp",
	    sa->p.mode == MODE_TUNNEL ? "tunnel" : "transport", sa->spi,
	    ipaddr_print(&sa->p.src, src), ipaddr_print(&sa->p.dst, dst),
	    sa_state_name((enum sa_state)sa->state));
}

/* The rules that were asked before the one that decided, and why each did not. */
static void
print_rules(const struct rerun *r, const struct pkt *m, const struct trace *t)
{
	const struct spd *spd = r->gen->spd;
	size_t n = t->place == TRACE_NOWHERE ? spd_count(spd) : t->place;

	if (t->is_builtin && t->set != BUILTIN_NONE && t->policy == NULL) {
		printf("  2 policy    built-in %s says %s, before any rule is asked\n",
		    builtin_name(t->builtin), builtin_set_name(t->set));
		return;
	}
	for (size_t i = n > 10 ? n - 10 : 0; i < n; i++) {
		const char *why = trace_why(spd_at(spd, i), &m->key);

		printf("  2 policy    rule %zu does not match: its %s differs\n", i, why);
	}
	if (t->policy == NULL) {
		printf("  2 policy    no rule matches: discarded\n");
		return;
	}
	printf("  2 policy    rule %zu decides: ", t->place);
	conf_print_rule(t->policy, stdout);
}

static void
explain_out(const struct rerun *r, struct pkt *m)
{
	static const char *const fits[] = {[FIT_WHOLE] = "fits",
	    [FIT_BEFORE] = "is cut in fragments, and each is protected",
	    [FIT_AFTER] = "is protected, and what comes out is cut in fragments",
	    [FIT_NOT] = "may not be cut: the host is told the size that fits"};
	uint32_t octets = m->l3end - m->l3;
	struct trace t;

	trace_walk(r->gen, r->o->mtu, r->walk.now, m, &t);
	print_rules(r, m, &t);
	for (unsigned i = 0; i < t.nsas; i++) {
		printf("  3 SA        ");
		print_sa(t.sa[i]);
		printf(", next number %" PRIu64 "\n", t.sa[i]->seq.next);
	}
	if (t.drop == DROP_NO_SA)
		printf("  3 SA        none of the rule's step %u\n", t.nsas);
	if (t.drop == DROP_NONE && !t.bypass)
		printf("  4 fit       %" PRIu32 " octets become %" PRIu32 " of %" PRIu32
		       ": it %s; %" PRIu32 " would be the largest\n",
		    octets, t.nsas ? t.size[t.nsas - 1] : octets, t.path, fits[t.fit], t.largest);
}

static void
explain_in(const struct rerun *r, struct pkt *m)
{
	static const char *const places[] = {"before the window", "in the window, not seen",
	    "seen before", "beyond the window: it will move"};
	bool esp = m->key.proto == IPSEC_ESP, is = esp || m->key.proto == IPSEC_AH;
	const uint8_t *h = is && !m->key.frag ? pkt_get(m, m->l4, esp ? 8 : 12) : NULL;
	const struct sa *sa;
	uint32_t spi, low;
	uint64_t seq;
	struct trace t;

	if (h == NULL) {
		trace_walk(r->gen, r->o->mtu, r->walk.now, m, &t);
		print_rules(r, m, &t);
		return;
	}
	spi = get32(h + (esp ? 0 : 4));
	low = get32(h + (esp ? 4 : 8));
	printf("  2 SA        SPI 0x%08" PRIx32 ", number %" PRIu32 ": ", spi, low);
	sa = sadb_in(r->gen->sad, esp ? IPSEC_ESP : IPSEC_AH, spi, &m->key.local);
	if (sa == NULL) {
		printf("no SA of ours\n");
		return;
	}
	print_sa(sa);
	putchar('\n');
	seq = replay_infer(&sa->replay, low);
	if (sa->replay.size == 0) {
		printf("  3 replay    the window is off\n");
		return;
	}
	printf("  3 replay    %" PRIu64 " with top %" PRIu64 " and %" PRIu32 " wide: %s\n", seq,
	    sa->replay.top, sa->replay.size,
	    places[replay_check(&sa->replay, seq) == DROP_REPLAY_OLD   ? 0
		   : replay_check(&sa->replay, seq) == DROP_REPLAY_DUP ? 2
		   : seq > sa->replay.top			       ? 3
								       : 1]);
}

void
replay_explain_before(struct rerun *r, enum dir dir, const struct pkt *p)
{
	uint64_t since = p->ts_ns / 1000000 - r->first;
	struct pkt *m = copy_of(r, p);

	r->explaining = r->explained = true;
	printf("packet %s %" PRIu64 ", %" PRIu32 " octets, %" PRIu64 ".%03" PRIu64
	       " s after the first\n",
	    dir == DIR_OUT ? "out" : "in", p->number, p->len, since / 1000, since % 1000);
	if (m == NULL)
		return;
	if (m->drop == DROP_NONE)
		m->drop = classify(m, dir);
	if (m->drop != DROP_NONE) {
		printf("  1 classify  %s\n", drop_text(m->drop));
	} else {
		printf("  1 classify  ");
		print_packet(&m->key);
		putchar('\n');
		if (m->key.frag)
			printf("  2 fragment  it is put together with the others before policy is "
			       "asked, or meets the rules for fragments\n");
		else if (dir == DIR_OUT)
			explain_out(r, m);
		else
			explain_in(r, m);
	}
	pkt_free(r->walk.pool, m);
}

void
replay_explain_verdict(const struct rerun *r, enum dir dir, const struct pkt *p)
{
	struct capture_rec v;
	char text[CAPTURE_TEXT];

	capture_decide(r->gen, dir, p, &v);
	if (dir == DIR_IN && p->nchain > 0 &&
	    (v.word == CAPTURE_PROTECT || v.rule != CAPTURE_NOWHERE)) {
		printf("  6 opened    ");
		print_packet(&p->key);
		putchar('\n');
		if (p->policy != NULL) {
			printf("  7 policy    rule %" PRIu32 " is what its SA is for: ", v.rule);
			conf_print_rule(p->policy, stdout);
		}
	}
	printf("verdict       %s", capture_text(&v, text));
	if (v.word == CAPTURE_DROP)
		printf(": %s", drop_text(p->drop));
	else if (v.word != CAPTURE_HELD)
		printf(", %" PRIu32 " octets to the %s", p->len, dir == DIR_OUT ? "wire" : "host");
	putchar('\n');
}
