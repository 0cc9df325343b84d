#include <stdio.h>
#include "bump.h"
#include "confirm.h"
#include "crypto.h"
#include "ctl_server.h"
#include "ctl_verb.h"
#include "mono.h"
#include "nexthop_keeper.h"
#include "shim.h"

static json_t *
number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static json_t *
both(const uint64_t v[2])
{
	return json_pack("{s:I, s:I}", "out", (json_int_t)v[0], "in", (json_int_t)v[1]);
}

static json_t *
packets(const struct edge_counters c[2])
{
	return json_pack("{s:{s:I, s:I}, s:{s:I, s:I}}", "out", "packets", (json_int_t)c[0].packets,
	    "octets", (json_int_t)c[0].octets, "in", "packets", (json_int_t)c[1].packets, "octets",
	    (json_int_t)c[1].octets);
}

void
ctl_state_drops(struct ctl_ask *a)
{
	json_t *list = json_array();
	struct stats s;

	shim_stats(a->b->shim, &s);
	for (int d = DROP_NONE + 1; d < DROP_HELD; d++)
		json_array_append_new(list,
		    json_pack("{s:s, s:I, s:I, s:b, s:s}", "reason", drop_name((enum drop)d), "out",
			(json_int_t)s.drop[0][d], "in", (json_int_t)s.drop[1][d], "audit",
			(int)drop_audit((enum drop)d), "text", drop_text((enum drop)d)));
	json_object_set_new(a->reply, "drops", list);
}

void
ctl_state_stats(struct ctl_ask *a)
{
	uint64_t hits, misses;
	struct stats s;

	shim_stats(a->b->shim, &s);
	shim_cache_stats(a->b->shim, &hits, &misses);
	json_object_set_new(a->reply, "read", packets(s.read));
	json_object_set_new(a->reply, "sent", packets(s.sent));
	json_object_set_new(a->reply, "bypassed", both(s.bypassed));
	json_object_set_new(a->reply, "protected", both(s.protected_));
	json_object_set_new(a->reply, "made", both(s.made));
	json_object_set_new(a->reply, "consumed", both(s.consumed));
	json_object_set_new(a->reply, "bursts", both(s.bursts));
	json_object_set_new(a->reply, "events_lost", number(shim_events_lost(a->b->shim)));
	json_object_set_new(a->reply, "flow_cache",
	    json_pack("{s:I, s:I}", "hits", (json_int_t)hits, "misses", (json_int_t)misses));
}

/* What the NIC is and where. */
static void
add_nic(struct ctl_ask *a)
{
	const struct edge *e = shim_lower(a->b->shim);
	struct nic_info i = a->b->nic;
	char mac[18];

	snprintf(mac, sizeof mac, "%02x:%02x:%02x:%02x:%02x:%02x", i.mac[0], i.mac[1], i.mac[2],
	    i.mac[3], i.mac[4], i.mac[5]);
	json_object_set_new(a->reply, "way", json_string(i.way == NIC_MOVED ? "moved" : "guarded"));
	json_object_set_new(a->reply, "lower", json_string(i.lower));
	if (e)
		json_object_set_new(a->reply, "edge", json_string(e->ops->name));
	json_object_set_new(a->reply, "mac", json_string(mac));
	json_object_set_new(a->reply, "mtu", number(i.mtu));
	json_object_set_new(a->reply, "link", json_boolean(i.up));
	if (i.way == NIC_MOVED) {
		char name[32];

		snprintf(name, sizeof name, "bits-%s", a->b->opts.name);
		json_object_set_new(
		    a->reply, "netns", json_string(a->b->opts.netns ? a->b->opts.netns : name));
	}
}

void
ctl_state_nic(struct ctl_ask *a)
{
	size_t known, wanted;
	uint64_t left;

	json_object_set_new(a->reply, "nic", json_string(a->b->opts.name ? a->b->opts.name : ""));
	json_object_set_new(a->reply, "attached", json_boolean(a->b->attached));
	json_object_set_new(
	    a->reply, "state", json_string(shim_state_name(shim_state(a->b->shim))));
	if (a->b->attached)
		add_nic(a);
	nexthop_keeper_counts(a->b->hops, &known, &wanted);
	json_object_set_new(a->reply, "next_hops",
	    json_pack("{s:I, s:I}", "known", (json_int_t)known, "wanted", (json_int_t)wanted));
	json_object_set_new(a->reply, "confirm_ms",
	    confirm_left(a->b->confirm, &left) ? number(left) : json_null());
	json_object_set_new(a->reply, "crypto", json_string(crypto_backend_name()));
	json_object_set_new(a->reply, "version", json_string(BITS_VERSION));
	json_object_set_new(a->reply, "uptime_ms", number(mono_ms() - a->b->started_ms));
	ctl_state_stats(a);
}
