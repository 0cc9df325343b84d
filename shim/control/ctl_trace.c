/*
 * "trace": what would become of a packet, by the walk's own code (trace.h).  The packet is said as a flow statement, so that there is one
 * language and one parser for what a rule covers and for what a packet is.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include "bump.h"
#include "ctl_path.h"
#include "ctl_verb.h"
#include "mono.h"
#include "shim.h"
#include "trace.h"

#define BEFORE_MAX  1000 /* rules that do not match, told one by one */
#define ACCEPTS_MAX 100
#define MTU_UNKNOWN 1500  /* no NIC was ever bound */
#define PORT_UNSAID 49152 /* the first dynamic one (RFC 6335 6) */

static json_t *
number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

/* Ports, or type and code, that ${s} leaves open get what is usual; NULL, or why it is no single packet. */
static const char *
key_ports(const struct selector *s, unsigned af, struct flowkey *k)
{
	bool echo4 = s->proto == IPPROTO_ICMP && af == 4,
	     echo6 = s->proto == IPPROTO_ICMPV6 && af == 6;

	if (s->lmatch == MATCH_OPAQUE || s->rmatch == MATCH_OPAQUE)
		return "a traced packet is whole, so its ports are not opaque";
	k->lport = s->lport.lo;
	if (proto_has_ports(s->proto)) {
		k->ports = PORTS_PORTS;
		k->rport = s->rport.lo;
		if (s->lmatch == MATCH_ANY)
			k->lport = PORT_UNSAID;
		if (s->rmatch == MATCH_ANY)
			k->rport = PORT_UNSAID;
		if ((s->lmatch == MATCH_RANGE && s->lport.lo != s->lport.hi) ||
		    (s->rmatch == MATCH_RANGE && s->rport.lo != s->rport.hi))
			return "a packet has one port at each end, no range";
	} else if (echo4 || echo6) {
		k->ports = PORTS_ICMP; /* a type alone: code 0 */
		if (s->lmatch == MATCH_ANY)
			k->lport = echo4 ? 8 << 8 : 128 << 8;
		else if (s->lport.lo >> 8 != s->lport.hi >> 8)
			return "a packet has one type, no range";
	} else if (s->proto == IPPROTO_MH) {
		k->ports = PORTS_MH;
		k->lport = s->lmatch == MATCH_ANY ? 0 : s->lport.lo & 0xff00;
	} else {
		k->lport = 0;
	}
	return NULL;
}

/* The packet that ${p} covers; NULL, or why there is none, or more than one. */
static const char *
key_of(const struct policy *p, struct flowkey *k)
{
	const struct selector *s = &p->sel;

	memset(k, 0, sizeof *k);
	if (!iprange_single(&s->local) || !iprange_single(&s->remote))
		return "a packet goes from one address to one address";
	if (s->proto_any || s->proto_opaque)
		return "say the packet's protocol: proto P";
	if (p->dirs != 1 << DIR_OUT && p->dirs != 1 << DIR_IN)
		return "say in or out";
	k->dir = p->dirs == 1 << DIR_OUT ? DIR_OUT : DIR_IN;
	k->local = s->local.lo;
	k->remote = s->remote.lo;
	k->proto = s->proto;
	k->vlan = s->vlan;
	return key_ports(s, k->local.af, k);
}

static const char *
parse(struct ctl_ask *a, struct flowkey *k)
{
	struct conf_opts o = {.no_files = true, .any_owner = true};
	const char *text = ctl_verb_string(a, "text"), *why;
	struct conf c;

	if (!text)
		return "say which packet: a flow statement";
	conf_init(&c);
	if (conf_parse_text("packet", text, strlen(text), &o, &c, &a->diags) < 0)
		why = a->diags.n ? a->diags.d[0].text : "that is no packet";
	else if (c.nrules != 1 || c.nsas || c.nforeign)
		why = "one packet at a time";
	else
		why = key_of(c.rule[0], k);
	conf_free(&c);
	return why;
}

static json_t *
packet(const struct flowkey *k, uint32_t size)
{
	char local[IPADDR_STRLEN], remote[IPADDR_STRLEN];
	json_t *j = json_pack("{s:s, s:i, s:s, s:s, s:I}", "dir", k->dir == DIR_OUT ? "out" : "in",
	    "proto", (int)k->proto, "local", ipaddr_print(&k->local, local), "remote",
	    ipaddr_print(&k->remote, remote), "size", (json_int_t)size);

	if (k->ports == PORTS_PORTS) {
		json_object_set_new(j, "local_port", number(k->lport));
		json_object_set_new(j, "remote_port", number(k->rport));
	} else if (k->ports == PORTS_ICMP || k->ports == PORTS_MH) {
		json_object_set_new(j, "type", number(k->lport >> 8));
		json_object_set_new(j, "code", number(k->lport & 0xff));
	}
	if (k->vlan != VLAN_NONE)
		json_object_set_new(j, "vlan", number(k->vlan));
	return j;
}

/* A rule's text, with what ${why} says of it unless that is NULL. */
static json_t *
rule(const struct policy *p, size_t place, const char *why)
{
	struct wipebuf text = {0};
	FILE *out = wipebuf_open(&text);
	json_t *j = json_object();

	json_object_set_new(j, "place", number(place));
	if (out) {
		conf_print_rule(p, out);
		fclose(out);
	}
	if (text.len)
		json_object_set_new(j, "text", json_stringn(text.text, text.len - 1));
	json_object_set_new(j, "type", json_string(flow_type_name((enum flow_type)p->type)));
	json_object_set_new(j, "action", json_string(action_name((enum policy_action)p->action)));
	if (why)
		json_object_set_new(j, "differs", json_string(why));
	wipebuf_free(&text);
	return j;
}

static json_t *
one_sa(const struct sa *sa)
{
	char src[IPADDR_STRLEN], dst[IPADDR_STRLEN], spi[16];

	snprintf(spi, sizeof spi, "0x%08x", sa->spi);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I}", "proto",
	    sa->p.proto == IPSEC_AH ? "ah" : "esp", "mode",
	    sa->p.mode == MODE_TUNNEL ? "tunnel" : "transport", "spi", spi, "src",
	    ipaddr_print(&sa->p.src, src), "dst", ipaddr_print(&sa->p.dst, dst), "reqid",
	    (json_int_t)sa->p.reqid);
}

/* The rules that were tried before. */
static void
add_before(struct ctl_ask *a, const struct flowkey *k, const struct trace *t)
{
	const struct spd *spd = shim_gen(a->b->shim)->spd;
	size_t n = t->place == TRACE_NOWHERE ? spd_count(spd) : t->place, i;
	json_t *list = json_array();

	if (!t->policy && t->is_builtin && t->set != BUILTIN_NONE)
		n = 0; /* the rules were not asked */
	for (i = 0; i < n && i < BEFORE_MAX; i++)
		json_array_append_new(list, rule(spd_at(spd, i), i, trace_why(spd_at(spd, i), k)));
	json_object_set_new(a->reply, "before", list);
	json_object_set_new(a->reply, "before_left_out", number(n - i));
}

/* Outbound: the SAs, and what they make of the packet. */
static void
add_steps(struct ctl_ask *a, const struct trace *t, uint32_t octets)
{
	static const char *const fits[] = {[FIT_WHOLE] = "whole",
	    [FIT_BEFORE] = "before",
	    [FIT_AFTER] = "after",
	    [FIT_NOT] = "not"};
	json_t *list = json_array(), *j;
	char src[IPADDR_STRLEN], dst[IPADDR_STRLEN];

	for (unsigned i = 0; !t->bypass && i < t->nsas; i++) {
		j = one_sa(t->sa[i]);
		json_object_set_new(j, "may_send",
		    json_boolean(__atomic_load_n(&t->sa[i]->seq.next, __ATOMIC_RELAXED) <
				 __atomic_load_n(&t->sa[i]->seq.reserved, __ATOMIC_RELAXED)));
		if (t->drop == DROP_NONE) {
			json_object_set_new(j, "size", number(t->size[i]));
			json_object_set_new(j, "parts",
			    ctl_parts(t->sa[i], i ? t->size[i - 1] : octets, t->clear[i]));
		}
		json_array_append_new(list, j);
	}
	json_object_set_new(a->reply, "steps", list);
	if (t->drop == DROP_NO_SA) {
		const struct sa_template *m = &t->policy->step[t->nsas];

		json_object_set_new(a->reply, "missing",
		    json_pack("{s:s, s:s, s:s, s:s, s:I}", "proto",
			m->proto == IPSEC_AH ? "ah" : "esp", "mode",
			m->mode == MODE_TUNNEL ? "tunnel" : "transport", "src",
			ipaddr_print(&t->src, src), "dst", ipaddr_print(&t->dst, dst), "reqid",
			(json_int_t)m->reqid));
	}
	if (t->drop == DROP_NONE) {
		json_object_set_new(a->reply, "path_mtu", number(t->path));
		json_object_set_new(a->reply, "largest", number(t->largest));
		json_object_set_new(a->reply, "fit", json_string(fits[t->fit]));
	}
}

/* Inbound: from which SAs such a packet would be taken. */
static void
add_accepts(struct ctl_ask *a, struct pkt *p)
{
	const struct gen *g = shim_gen(a->b->shim);
	json_t *list = json_array();

	for (size_t i = 0; i < sadb_count(g->sad) && json_array_size(list) < ACCEPTS_MAX; i++) {
		struct sa *sa = sadb_at(g->sad, i);

		if (sa->in && trace_accepts(g, p, sa))
			json_array_append_new(list, one_sa(sa));
	}
	json_object_set_new(a->reply, "accepts", list);
}

static void
answer(struct ctl_ask *a, struct pkt *p, uint32_t size)
{
	const struct gen *g = shim_gen(a->b->shim);
	uint32_t mtu = shim_mtu(a->b->shim);
	const struct flowkey k = p->key;
	struct trace t;

	mtu = mtu ? mtu : MTU_UNKNOWN;
	trace_walk(g, mtu, mono_ms(), p, &t);
	json_object_set_new(a->reply, "generation", number(g->number));
	json_object_set_new(a->reply, "packet", packet(&k, size));
	json_object_set_new(a->reply, "verdict",
	    json_string(t.drop != DROP_NONE ? "drop"
			: t.bypass	    ? "bypass"
					    : "protect"));
	json_object_set_new(
	    a->reply, "drop", t.drop != DROP_NONE ? json_string(drop_name(t.drop)) : json_null());
	json_object_set_new(a->reply, "drop_text",
	    t.drop != DROP_NONE ? json_string(drop_text(t.drop)) : json_null());
	json_object_set_new(a->reply, "builtin",
	    t.is_builtin ? json_pack("{s:s, s:s}", "name", builtin_name(t.builtin), "set",
			       builtin_set_name(t.set))
			 : json_null());
	json_object_set_new(
	    a->reply, "rule", t.policy ? rule(t.policy, t.place, NULL) : json_null());
	add_before(a, &k, &t);
	json_object_set_new(a->reply, "mtu", number(mtu));
	if (k.dir == DIR_OUT)
		add_steps(a, &t, size);
	else
		add_accepts(a, p);
}

int
ctl_trace(struct ctl_ask *a)
{
	struct pktpool *pool;
	struct flowkey k;
	const char *why = parse(a, &k);
	size_t size = 0;
	struct pkt *p;

	if (why)
		return ctl_verb_error(a, "%s", why);
	if (json_object_get(a->req, "size") &&
	    (ctl_verb_number(a, "size", &size) < 0 || size == 0 || size > 65535))
		return ctl_verb_error(a, "a packet's size is a number from 1 to 65535");
	if ((pool = pktpool_new(1, PKT_FRAME_MAX)) == NULL)
		return ctl_verb_error(a, "out of memory");
	if ((p = trace_packet(pool, &k, (uint32_t)size)) != NULL) {
		answer(a, p, p->l3end - p->l3);
		pkt_free(pool, p);
	}
	pktpool_free(pool);
	return p ? 0
		 : ctl_verb_error(a,
		       size ? "there is no such packet of %zu octets" : "there is no such packet",
		       size);
}
