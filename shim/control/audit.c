#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include "acquire.h"
#include "audit.h"
#include "conf.h"
#include "log.h"
#include "mono.h"
#include "wipebuf.h"

struct audit {
	void (*tell)(void *ctx, const char *json);
	void *ctx;
	uint64_t second; /* the lines below were written in */
	unsigned lines;
	uint64_t left_out;
};

struct audit *
audit_new(void (*tell)(void *ctx, const char *json), void *ctx)
{
	struct audit *a = calloc(1, sizeof *a);

	if (a) {
		a->tell = tell;
		a->ctx = ctx;
	}
	return a;
}

void
audit_free(struct audit *a)
{
	free(a);
}

static const char *
protocol(unsigned proto)
{
	return proto == 50 ? "esp" : proto == 51 ? "ah" : NULL;
}

/* Of a packet, not of an SA alone: then key says what it was. */
static bool
is_packet(const struct event *ev)
{
	return (ev->kind == EV_AUDIT || ev->kind == EV_ACQUIRE) && !ev->key.ect && ev->key.local.af;
}

/* What the packet was besides its addresses: RFC 4301 5.2 asks for the selectors. */
static void
next_layer(const struct event *ev, char *buf, size_t cap)
{
	const struct flowkey *k = &ev->key;
	bool out = ev->dir == DIR_OUT;

	if (k->ports == PORTS_PORTS)
		snprintf(buf, cap, " proto %u port %u to %u", k->proto, out ? k->lport : k->rport,
		    out ? k->rport : k->lport);
	else if (k->ports == PORTS_ICMP)
		snprintf(buf, cap, " proto %u type %u code %u", k->proto, k->lport >> 8,
		    k->lport & 0xff);
	else
		snprintf(buf, cap, " proto %u", k->proto);
}

char *
audit_line(const struct event *ev, char *buf, size_t cap)
{
	char src[IPADDR_STRLEN], dst[IPADDR_STRLEN];
	const char *proto = protocol(ev->proto);
	char sa[80] = "", next[80] = "", what[120] = "";

	if (proto && ev->kind == EV_ACQUIRE)
		snprintf(sa, sizeof sa, " %s", proto);
	else if (proto)
		snprintf(sa, sizeof sa, " %s spi 0x%08x seq %llu", proto, ev->spi,
		    (unsigned long long)ev->seq);
	if (is_packet(ev) && !protocol(ev->key.proto))
		next_layer(ev, next, sizeof next);
	if (ev->drop != DROP_NONE)
		snprintf(what, sizeof what, ": %s", drop_text(ev->drop));
	snprintf(buf, cap, "%s %s %s%s from %s to %s%s flow 0x%05x%s", event_name(ev->kind),
	    ev->dir == DIR_OUT ? "out" : "in", ev->drop != DROP_NONE ? drop_name(ev->drop) : "-",
	    sa, ipaddr_print(&ev->src, src), ipaddr_print(&ev->dst, dst), next, ev->flowlabel,
	    what);
	return buf;
}

static void
to_log(struct audit *a, const struct event *ev)
{
	char line[400];

	if (ev->now / 1000 != a->second) {
		if (a->left_out)
			log_info("%llu audit lines were left out", (unsigned long long)a->left_out);
		a->second = ev->now / 1000;
		a->lines = 0;
		a->left_out = 0;
	}
	if (a->lines++ >= AUDIT_LINES) {
		a->left_out++;
		return;
	}
	audit_line(ev, line, sizeof line);
	if (ev->held_back)
		log_info("%s (%llu more before it)", line, (unsigned long long)ev->held_back);
	else
		log_info("%s", line);
}

/* The keys are in ipsecctl(8). */
static json_t *
to_json(const struct event *ev)
{
	char src[IPADDR_STRLEN], dst[IPADDR_STRLEN], spi[16], line[400], date[MONO_DATE_LEN];
	const char *proto = protocol(ev->proto);
	bool out = ev->dir == DIR_OUT;
	json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:s}", "event",
	    event_name(ev->kind), "time", mono_date(date), "dir", ev->dir == DIR_OUT ? "out" : "in",
	    "src", ipaddr_print(&ev->src, src), "dst", ipaddr_print(&ev->dst, dst), "now_ms",
	    (json_int_t)ev->now, "held_back", (json_int_t)ev->held_back, "text",
	    audit_line(ev, line, sizeof line));

	if (ev->drop != DROP_NONE)
		json_object_set_new(j, "drop", json_string(drop_name(ev->drop)));
	if (is_packet(ev)) {
		json_object_set_new(j, "next", json_integer(ev->key.proto));
		json_object_set_new(j, "flow", json_integer(ev->flowlabel));
		if (ev->key.ports == PORTS_PORTS) {
			json_object_set_new(
			    j, "sport", json_integer(out ? ev->key.lport : ev->key.rport));
			json_object_set_new(
			    j, "dport", json_integer(out ? ev->key.rport : ev->key.lport));
		}
	}
	if (proto) {
		snprintf(spi, sizeof spi, "0x%08x", ev->spi);
		json_object_set_new(j, "proto", json_string(proto));
		json_object_set_new(j, "spi", json_string(spi));
		json_object_set_new(j, "seq", json_integer((json_int_t)ev->seq));
	}
	return j;
}

static void
tell(struct audit *a, json_t *j)
{
	char *text = j ? json_dumps(j, JSON_COMPACT) : NULL;
	json_malloc_t get;
	json_free_t release;

	json_get_alloc_funcs(&get, &release);
	if (text && a->tell)
		a->tell(a->ctx, text);
	if (text)
		release(text);
	json_decref(j);
}

void
audit_event(struct audit *a, const struct event *ev)
{
	if (ev->kind != EV_SEQ_LOW && ev->kind != EV_NEIGHBOUR && ev->kind != EV_PEER)
		to_log(a, ev);
	if (a->tell)
		tell(a, to_json(ev));
}

/* The SA that is wanted, as an operator would write it but for SPI and keys, which are the key daemon's to choose. */
static json_t *
request(const struct event *ev, const struct policy *p)
{
	const struct sa_template *t = &p->step[ev->step];
	const char *mode = t->mode == MODE_TRANSPORT ? "transport" : "tunnel";
	char src[IPADDR_STRLEN], dst[IPADDR_STRLEN];
	struct wipebuf text = {0};
	struct sa_selector sel;
	FILE *out;
	json_t *j;

	if ((out = wipebuf_open(&text)) == NULL)
		return NULL;
	acquire_selectors(p, &ev->key, &sel);
	fprintf(out, "%s %s from %s to %s", protocol(ev->proto), mode, ipaddr_print(&ev->src, src),
	    ipaddr_print(&ev->dst, dst));
	if (t->reqid)
		fprintf(out, " reqid %u", t->reqid);
	if (p->pfp)
		conf_print_for(&sel, out);
	fclose(out);
	j = json_pack("{s:s%, s:s, s:I}", "text", text.text, text.len, "mode", mode, "reqid",
	    (json_int_t)t->reqid);
	wipebuf_free(&text);
	if (p->srcid)
		json_object_set_new(j, "srcid", json_string(p->srcid));
	if (p->dstid)
		json_object_set_new(j, "dstid", json_string(p->dstid));
	return j;
}

void
audit_acquire(struct audit *a, const struct event *ev, const struct policy *policy)
{
	json_t *j, *wanted;

	if (!policy || ev->step >= policy->nsteps || (wanted = request(ev, policy)) == NULL) {
		audit_event(a, ev);
		return;
	}
	to_log(a, ev);
	j = to_json(ev);
	json_object_del(j, "spi"); /* nobody has chosen them yet */
	json_object_del(j, "seq");
	json_object_set_new(j, "text",
	    json_sprintf("acquire %s", json_string_value(json_object_get(wanted, "text"))));
	json_object_set_new(j, "request", wanted);
	tell(a, j);
}

void
audit_note(struct audit *a, const char *name, const char *detail)
{
	if (a->tell)
		tell(a,
		    json_pack("{s:s, s:s, s:s}", "event", name, "detail", detail, "text", detail));
}
