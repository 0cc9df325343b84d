#include <stdio.h>
#include <string.h>
#include "bump.h"
#include "ctl_path.h"
#include "ctl_verb.h"
#include "mono.h"
#include "policy.h"
#include "shim.h"

static uint64_t
relaxed(const uint64_t *c)
{
	return __atomic_load_n(c, __ATOMIC_RELAXED);
}

static json_t *
number(uint64_t n)
{
	return json_integer((json_int_t)(n > INT64_MAX ? INT64_MAX : n));
}

/* {packets, octets, idle_ms (null: never)}. */
static json_t *
used(const uint64_t *packets, const uint64_t *octets, const uint64_t *last, uint64_t now)
{
	uint64_t when = relaxed(last);
	json_t *j = json_object();

	json_object_set_new(j, "packets", number(relaxed(packets)));
	json_object_set_new(j, "octets", number(relaxed(octets)));
	json_object_set_new(j, "idle_ms", when ? number(now > when ? now - when : 0) : json_null());
	return j;
}

/* The statement that lies in ${text}, without its newline; ${text} is empty afterwards. */
static json_t *
statement(FILE *out, struct wipebuf *text)
{
	json_t *j;

	fflush(out);
	if (text->len && text->text[text->len - 1] == '\n')
		text->len--;
	j = json_stringn(text->len ? text->text : "", text->len);
	text->len = 0;
	return j;
}

static json_t *
ports(uint8_t match, const struct portrange *r)
{
	char text[16];

	if (match == MATCH_ANY)
		return json_null();
	if (match == MATCH_OPAQUE)
		return json_string("opaque");
	snprintf(text, sizeof text, r->lo == r->hi ? "%u" : "%u-%u", r->lo, r->hi);
	return json_string(text);
}

static json_t *
rule(const struct policy *p, size_t place, FILE *out, struct wipebuf *text, uint64_t now)
{
	static const char *const dirs[] = {"none", "out", "in", "both"};
	char range[IPRANGE_STRLEN];
	json_t *j = json_object(), *steps = json_array();

	conf_print_rule(p, out);
	json_object_set_new(j, "place", number(place));
	json_object_set_new(j, "text", statement(out, text));
	json_object_set_new(j, "type", json_string(flow_type_name(p->type)));
	json_object_set_new(j, "action", json_string(action_name(p->action)));
	json_object_set_new(j, "dir", json_string(dirs[p->dirs & 3]));
	json_object_set_new(j, "local", json_string(iprange_print(&p->sel.local, range)));
	json_object_set_new(j, "remote", json_string(iprange_print(&p->sel.remote, range)));
	json_object_set_new(j, "proto",
	    p->sel.proto_any	  ? json_null()
	    : p->sel.proto_opaque ? json_string("opaque")
				  : json_integer(p->sel.proto));
	json_object_set_new(j, "local_port", ports(p->sel.lmatch, &p->sel.lport));
	json_object_set_new(j, "remote_port", ports(p->sel.rmatch, &p->sel.rport));
	json_object_set_new(
	    j, "vlan", p->sel.vlan == VLAN_NONE ? json_null() : json_integer(p->sel.vlan));
	json_object_set_new(
	    j, "fragments", json_string(p->frags == FRAGS_CHECK ? "check" : "whole"));
	for (unsigned i = 0; i < p->nsteps; i++) {
		const struct sa_template *t = &p->step[i];
		char local[IPADDR_STRLEN], peer[IPADDR_STRLEN];

		json_array_append_new(
		    steps, json_pack("{s:s, s:s, s:s, s:s, s:I}", "proto",
			       t->proto == IPSEC_AH ? "ah" : "esp", "mode",
			       t->mode == MODE_TUNNEL ? "tunnel" : "transport", "local",
			       ipaddr_print(&t->local, local), "peer", ipaddr_print(&t->peer, peer),
			       "reqid", (json_int_t)t->reqid));
	}
	json_object_set_new(j, "steps", steps);
	for (int d = DIR_OUT; d <= DIR_IN; d++) {
		struct policy_counters c;

		policy_counted(p, (unsigned)d, &c);
		json_object_set_new(j, d == DIR_OUT ? "out" : "in",
		    used(&c.packets, &c.octets, &c.last_ms, now));
	}
	return j;
}

static void
show_flows(struct ctl_ask *a, FILE *out, struct wipebuf *text)
{
	const struct spd *spd = shim_gen(a->b->shim)->spd;
	json_t *builtins = json_array(), *flows = json_array();
	uint64_t now = mono_ms();

	for (int b = 0; b < BUILTIN_MAX; b++) {
		enum builtin_set set = spd_builtin(spd, b);

		conf_print_builtin(b, set, out);
		json_array_append_new(
		    builtins, json_pack("{s:s, s:s, s:s, s:o}", "name", builtin_name(b), "set",
				  builtin_set_name(set), "what", builtin_text(b), "text",
				  statement(out, text)));
	}
	for (size_t i = 0; i < spd_count(spd); i++)
		json_array_append_new(flows, rule(spd_at(spd, i), i, out, text, now));
	json_object_set_new(a->reply, "builtins", builtins);
	json_object_set_new(a->reply, "flows", flows);
}

static void
numbers(json_t *j, const struct sa *sa)
{
	uint64_t next = relaxed(&sa->seq.next), reserved = relaxed(&sa->seq.reserved);

	json_object_set_new(j, "next_seq", number(next));
	json_object_set_new(j, "reserved_seq", number(reserved));
	json_object_set_new(
	    j, "left_seq", number(next > sa->seq.last ? 0 : sa->seq.last - next + 1));
	json_object_set_new(j, "may_send", json_boolean(reserved != 0));
}

/* A limit's parts, null where there is none. */
static json_t *
lifetime(const struct lifetime *l)
{
	json_t *j = json_object();

	json_object_set_new(j, "packets", l->packets ? number(l->packets) : json_null());
	json_object_set_new(j, "octets", l->octets ? number(l->octets) : json_null());
	json_object_set_new(j, "ms", l->ms ? number(l->ms) : json_null());
	return j;
}

/* Limits, and what counts against them: both directions' packets and octets, and the age. */
static void
lifetimes(json_t *j, const struct sa *sa, uint64_t age)
{
	json_t *spent = json_object();
	struct sa_counters sent;

	sa_sent(sa, &sent);
	json_object_set_new(spent, "packets", number(sent.packets + relaxed(&sa->cin.packets)));
	json_object_set_new(spent, "octets", number(sent.octets + relaxed(&sa->cin.octets)));
	json_object_set_new(spent, "ms", number(age));
	json_object_set_new(j, "soft", lifetime(&sa->p.soft));
	json_object_set_new(j, "hard", lifetime(&sa->p.hard));
	json_object_set_new(j, "used", spent);
}

/* Ports of ESP in UDP, and where NAT has the peer if that is not where the configuration says. */
static void
encap(json_t *j, const struct sa *sa)
{
	const struct sa_peer *peer = sa_peer(sa);
	char ports[16], addr[IPADDR_STRLEN];

	snprintf(ports, sizeof ports, "%u:%u", sa->p.encap_sport, sa->p.encap_dport);
	json_object_set_new(j, "udpencap", sa->p.encap_dport ? json_string(ports) : json_null());
	json_object_set_new(j, "peer",
	    peer ? json_pack("{s:s, s:i}", "addr", ipaddr_print(&peer->addr, addr), "port",
		       (int)peer->port)
		 : json_null());
}

/* What it is for: "proto tcp from ... to ...". */
static json_t *
traffic(const struct sa_selector *sel, FILE *out, struct wipebuf *text)
{
	conf_print_for(sel, out);
	fputc('\n', out); /* statement() takes it off */
	return statement(out, text);
}

static json_t *
one_sa(const struct sa *sa, bool keys, FILE *out, struct wipebuf *text, uint32_t nic, uint64_t now)
{
	static const char *const dirs[] = {"any", "out", "in"};
	char addr[IPADDR_STRLEN], spi[16];
	json_t *j = json_object(), *in;
	struct sa_counters sent;

	conf_print_sa(&sa->p, keys, out);
	snprintf(spi, sizeof spi, "0x%08x", sa->spi);
	json_object_set_new(j, "text", statement(out, text));
	json_object_set_new(j, "proto", json_string(sa->p.proto == IPSEC_AH ? "ah" : "esp"));
	json_object_set_new(
	    j, "mode", json_string(sa->p.mode == MODE_TUNNEL ? "tunnel" : "transport"));
	json_object_set_new(j, "dir", json_string(dirs[sa->p.dir]));
	json_object_set_new(j, "spi", json_string(spi));
	json_object_set_new(j, "src", json_string(ipaddr_print(&sa->p.src, addr)));
	json_object_set_new(j, "dst", json_string(ipaddr_print(&sa->p.dst, addr)));
	json_object_set_new(j, "enc", sa->p.enc ? json_string(sa->p.enc->name) : json_null());
	json_object_set_new(j, "auth", sa->p.auth ? json_string(sa->p.auth->name) : json_null());
	json_object_set_new(j, "reqid", number(sa->p.reqid));
	json_object_set_new(j, "for", sa->p.sel ? traffic(sa->p.sel, out, text) : json_null());
	json_object_set_new(j, "esn", json_boolean(sa->p.esn));
	json_object_set_new(j, "replay", number(sa->p.replay));
	json_object_set_new(j, "state",
	    json_string(
		sa_state_name((enum sa_state)__atomic_load_n(&sa->state, __ATOMIC_RELAXED))));
	json_object_set_new(j, "age_ms", number(now > sa->added_ms ? now - sa->added_ms : 0));
	lifetimes(j, sa, now > sa->added_ms ? now - sa->added_ms : 0);
	encap(j, sa);
	json_object_set_new(j, "backend", json_string((sa->out ? sa->out : sa->in)->be->name));
	json_object_set_new(j, "memory", number(sa_footprint(sa)));
	if (sa->out) {
		sa_sent(sa, &sent);
		json_object_set_new(
		    j, "out", used(&sent.packets, &sent.octets, &sent.last_ms, now));
		numbers(j, sa);
		json_object_set_new(j, "path", ctl_path(sa, nic, now));
	}
	if (sa->in) {
		in = used(&sa->cin.packets, &sa->cin.octets, &sa->cin.last_ms, now);
		json_object_set_new(in, "replay_old", number(relaxed(&sa->cin.replay_old)));
		json_object_set_new(in, "replay_dup", number(relaxed(&sa->cin.replay_dup)));
		json_object_set_new(in, "auth_failed", number(relaxed(&sa->cin.auth_failed)));
		json_object_set_new(in, "other_failed", number(relaxed(&sa->cin.other_failed)));
		json_object_set_new(in, "lost", number(relaxed(&sa->cin.lost)));
		json_object_set_new(in, "ecn_alarm", number(relaxed(&sa->cin.ecn_alarm)));
		json_object_set_new(in, "top_seq", number(relaxed(&sa->replay.top)));
		json_object_set_new(j, "in", in);
	}
	return j;
}

static void
show_sas(struct ctl_ask *a, bool keys, FILE *out, struct wipebuf *text)
{
	const struct sadb *sad = shim_gen(a->b->shim)->sad;
	json_t *sas = json_array();
	uint32_t nic = shim_mtu(a->b->shim);
	uint64_t now = mono_ms();

	for (size_t i = 0; i < sadb_count(sad); i++)
		json_array_append_new(sas, one_sa(sadb_at(sad, i), keys, out, text, nic, now));
	json_object_set_new(a->reply, "sas", sas);
}

int
ctl_show(struct ctl_ask *a)
{
	const char *what = ctl_verb_string(a, "what");
	bool keys = json_is_true(json_object_get(a->req, "keys")), all;
	struct wipebuf text = {0};
	FILE *out;

	if (!what)
		return ctl_verb_error(a, "say what: flow, sa, all, drops, nic or stats");
	if (keys && a->uid != 0) {
		ctl_verb_error(a, "permission denied: only root may see keys");
		return 3;
	}
	json_object_set_new(a->reply, "generation", number(shim_gen(a->b->shim)->number));
	if (strcmp(what, "drops") == 0) {
		ctl_state_drops(a);
		return 0;
	}
	if (strcmp(what, "nic") == 0) {
		ctl_state_nic(a);
		return 0;
	}
	if (strcmp(what, "stats") == 0) {
		ctl_state_stats(a);
		return 0;
	}
	all = strcmp(what, "all") == 0;
	if (!all && strcmp(what, "flow") && strcmp(what, "sa"))
		return ctl_verb_error(a, "there is flow, sa, all, drops, nic and stats to show");
	if ((out = wipebuf_open(&text)) == NULL)
		return ctl_verb_error(a, "out of memory");
	if (all || strcmp(what, "sa") == 0)
		show_sas(a, keys, out, &text);
	if (all || strcmp(what, "flow") == 0)
		show_flows(a, out, &text);
	fclose(out);
	wipebuf_free(&text);
	return 0;
}
