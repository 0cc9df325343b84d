#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "audit.h"
#include "bump.h"
#include "confirm.h"
#include "ctl_server.h"
#include "expiry.h"
#include "keepalive.h"
#include "log.h"
#include "mono.h"
#include "nexthop_keeper.h"
#include "peer.h"
#include "reload.h"
#include "shim.h"
#include "taps.h"
#include "ward.h"
#include "windows.h"

/* What libevent watches for us. */
struct bump_watch {
	struct event *shim, *nic, *retry, *numbers, *windows;
};

#define RETRY_MIN 100
#define RETRY_MAX 5000
#define NUMBERS_S 2 /* a state directory that refused numbers is asked again */

/* --- what reload and nexthop_keeper ask of us --- */

/* Of ${list}, the addresses that are (${nic}) or are not the NIC's, behind the ${n} that ${out} has; their number then. */
static int
add_addresses(
    const struct bump *b, const struct ifaddrs *list, bool nic, struct ipaddr *out, int n, int cap)
{
	for (const struct ifaddrs *i = list; i && n < cap; i = i->ifa_next) {
		bool its = b->opts.name && strcmp(i->ifa_name, b->opts.name) == 0;

		if (!i->ifa_addr || its != nic)
			continue;
		if (i->ifa_addr->sa_family == AF_INET)
			out[n++] = ipaddr_from(
			    4, (uint8_t *)&((struct sockaddr_in *)i->ifa_addr)->sin_addr);
		else if (i->ifa_addr->sa_family == AF_INET6)
			out[n++] =
			    ipaddr_from(6, ((struct sockaddr_in6 *)i->ifa_addr)->sin6_addr.s6_addr);
	}
	return n;
}

/* The host's addresses: of every interface, since a tunnel may end at one that is not the NIC's; that one's first. */
static int
addresses(void *ctx, struct ipaddr *out, int cap)
{
	struct bump *b = ctx;
	struct ifaddrs *list;
	int n;

	if (getifaddrs(&list) < 0)
		return -1;
	n = add_addresses(b, list, true, out, 0, cap);
	n = add_addresses(b, list, false, out, n, cap);
	freeifaddrs(list);
	return n;
}

static void
published(void *ctx)
{
	struct bump *b = ctx;

	peer_inherit(b->shim); /* first: the next hops are those of the peers' places */
	nexthop_keeper_retarget(b->hops);
	keepalive_retarget(b->keepalive);
	expiry_retarget(b->expiry);
}

static int
resolve(void *ctx, const struct ipaddr *dst, uint8_t mac[static 6])
{
	struct bump *b = ctx;

	if (!b->attached) {
		errno = ENODEV;
		return 0;
	}
	return ward_resolve(b->ward, dst, mac);
}

static void
tell_monitors(void *ctx, const char *json)
{
	struct bump *b = ctx;

	if (b->ctl)
		ctl_server_tell(b->ctl, json);
}

/* --- an edge is gone: NIC unplugged, TAP deleted, ... --- */

static void
retry_later(struct bump *b)
{
	struct timeval tv = {
	    .tv_sec = b->retry_ms / 1000, .tv_usec = (suseconds_t)(b->retry_ms % 1000) * 1000};

	evtimer_add(b->watch->retry, &tv);
	b->retry_ms = b->retry_ms * 2 > RETRY_MAX ? RETRY_MAX : b->retry_ms * 2;
}

/* Something happened that makes a try worth while at once. */
static void
retry_now(struct bump *b)
{
	struct timeval tv = {.tv_usec = 20000};

	b->retry_ms = RETRY_MIN;
	if (b->run)
		evtimer_add(b->watch->retry, &tv);
}

static void
retry(evutil_socket_t fd, short what, void *arg)
{
	struct bump *b = arg;
	char why[512];

	if (!b->run || shim_state(b->shim) == SHIM_RUNNING)
		return;
	if (bump_take(b, why, sizeof why) < 0) {
		log_debug("nic", "not yet: %s", why);
		retry_later(b);
		return;
	}
	reload_readdress(b->reload);
	if (bump_go(b) < 0)
		retry_later(b);
	else
		log_info("both edges are there again: running");
}

/* A worker asks for numbers once, so the asking goes on here while the directory fails. */
static void
numbers(evutil_socket_t fd, short what, void *arg)
{
	struct bump *b = arg;

	if (reload_seq_sweep(b->reload, mono_ms()) < 0)
		bump_numbers_later(b);
}

void
bump_numbers_later(struct bump *b)
{
	struct timeval tv = {.tv_sec = NUMBERS_S};

	if (!evtimer_pending(b->watch->numbers, NULL))
		evtimer_add(b->watch->numbers, &tv);
}

/* The host is told at once that nothing passes; bump_go() gives the carrier back.  (A TAP that is gone has none anyway.) */
static void
drop_carrier(struct bump *b)
{
	if (shim_state(b->shim) != SHIM_HALTED)
		edge_tap_carrier(shim_upper(b->shim), false);
}

/* --- what is watched --- */

static void
on_shim(evutil_socket_t fd, short what, void *arg)
{
	struct bump *b = arg;

	if (!bump_heard(b))
		return;
	log_warnx("an edge is gone: nothing passes until it is back");
	drop_carrier(b);
	audit_note(b->audit, "state", "paused: an edge is gone");
	retry_now(b);
}

/* The NIC's link is the TAP's carrier. */
static void
follow_link(struct bump *b)
{
	if (shim_state(b->shim) == SHIM_RUNNING &&
	    edge_tap_carrier(shim_upper(b->shim), b->nic.up) < 0)
		log_warn("cannot set the carrier of %s", b->opts.name);
	log_info("%s: link %s", b->opts.name, b->nic.up ? "up" : "down");
	audit_note(b->audit, "link", b->nic.up ? "up" : "down");
}

static void
follow_mtu(struct bump *b)
{
	shim_set_mtu(b->shim, b->nic.mtu);
	log_info("%s: MTU %u", b->opts.name, b->nic.mtu);
}

static void
on_nic(evutil_socket_t fd, short what, void *arg)
{
	struct bump *b = arg;

	int64_t seen = ward_event(b->ward, &b->nic);

	if (seen < 0) {
		bump_orphaned(b);
		return;
	}
	b->seen = (uint32_t)seen;
	bump_look(b);
	if (b->seen & 1u << NIC_LINK)
		follow_link(b);
	if (b->seen & 1u << NIC_MTU)
		follow_mtu(b);
	if (b->seen & 1u << NIC_ADDR)
		reload_readdress(b->reload);
	if (b->seen & (1u << NIC_ADDR | 1u << NIC_ROUTE | 1u << NIC_LINK))
		nexthop_keeper_look(b->hops);
	if (b->seen & (1u << NIC_GONE | 1u << NIC_TAP_GONE)) {
		log_warnx("%s: the %s is gone: nothing passes until it is back", b->opts.name,
		    b->seen & 1u << NIC_GONE ? "NIC" : "TAP");
		if (shim_state(b->shim) == SHIM_RUNNING)
			shim_pause(b->shim);
		drop_carrier(b);
	}
	if (b->seen & (1u << NIC_GONE | 1u << NIC_TAP_GONE | 1u << NIC_BACK))
		retry_now(b);
}

void
bump_look(struct bump *b)
{
	if (shim_state(b->shim) != SHIM_RUNNING || shim_look(b->shim) == 0)
		return;
	log_warnx("%s: its edge has to be opened again: nothing passes until it is", b->opts.name);
	shim_pause(b->shim);
	drop_carrier(b);
	retry_now(b);
}

void
bump_orphaned(struct bump *b)
{
	if (!b->orphaned)
		log_warnx("the process that opens NIC and TAP is gone: bitsd ends, to be started "
			  "again; nothing passes until then");
	b->orphaned = true;
	event_base_loopbreak(b->base);
}

static int
watch_nic(struct bump *b)
{
	if (b->watch->nic)
		return 0;
	b->watch->nic = event_new(b->base, ward_event_fd(b->ward), EV_READ | EV_PERSIST, on_nic, b);
	return !b->watch->nic || event_add(b->watch->nic, NULL) < 0 ? -1 : 0;
}

/* Forgets the NIC; it stays as it is. */
static void
drop_nic(struct bump *b)
{
	if (b->attached)
		ward_forget(b->ward);
	b->attached = false;
}

/* --- life --- */

int
bump_new(
    struct bump *b, struct event_base *base, const struct nic_opts *opts, struct seqkeeper *keeper)
{
	struct reload_env re = {.addresses = addresses, .published = published, .ctx = b};
	struct nexthop_keeper_env ne = {.base = base, .resolve = resolve, .ctx = b};

	*b = (struct bump){
	    .base = base, .opts = *opts, .retry_ms = RETRY_MIN, .started_ms = mono_ms(), .tap = -1};
	if ((b->watch = calloc(1, sizeof *b->watch)) == NULL)
		goto err0;
	if ((b->shim = shim_new(NULL, NULL)) == NULL)
		goto err1;
	re.shim = ne.shim = b->shim;
	re.keeper = keeper;
	if ((b->reload = reload_new(&re)) == NULL)
		goto err2;
	if ((b->hops = nexthop_keeper_new(&ne)) == NULL)
		goto err3;
	if ((b->audit = audit_new(tell_monitors, b)) == NULL)
		goto err4;
	if ((b->keepalive = keepalive_new(base, b->shim, b->hops)) == NULL)
		goto err5;
	if ((b->confirm = confirm_new(base, b->reload, b->audit)) == NULL)
		goto err6;
	if ((b->expiry = expiry_new(base, b->shim, b->reload, bump_ended, b)) == NULL)
		goto err7;
	if ((b->watch->retry = evtimer_new(base, retry, b)) == NULL)
		goto err8;
	if ((b->watch->numbers = evtimer_new(base, numbers, b)) == NULL)
		goto err9;
	b->watch->shim = event_new(base, shim_event_fd(b->shim), EV_READ | EV_PERSIST, on_shim, b);
	if (!b->watch->shim || event_add(b->watch->shim, NULL) < 0)
		goto err10;
	if ((b->taps = taps_new(b->shim)) == NULL)
		goto err10;
	b->keeper = keeper;
	return 0;
err10:
	if (b->watch->shim)
		event_free(b->watch->shim);
	event_free(b->watch->numbers);
err9:
	event_free(b->watch->retry);
err8:
	expiry_free(b->expiry);
err7:
	confirm_free(b->confirm);
err6:
	keepalive_free(b->keepalive);
err5:
	audit_free(b->audit);
err4:
	nexthop_keeper_free(b->hops);
err3:
	reload_free(b->reload);
err2:
	shim_free(b->shim);
err1:
	free(b->watch);
err0:
	return -1;
}

static void
sync_windows(evutil_socket_t fd, short what, void *arg)
{
	struct bump *b = arg;

	if (windows_sync(b->windows) < 0)
		log_warn("replay windows cannot be written");
}

int
bump_keep_windows(struct bump *b, struct windows *w)
{
	struct timeval tv = {
	    .tv_sec = WINDOWS_SYNC_MS / 1000, .tv_usec = WINDOWS_SYNC_MS % 1000 * 1000};

	b->watch->windows = event_new(b->base, -1, EV_PERSIST, sync_windows, b);
	if (!b->watch->windows || evtimer_add(b->watch->windows, &tv) < 0)
		return -1;
	b->windows = w;
	reload_keep_windows(b->reload, w);
	return 0;
}

static struct edge *
new_lower(const struct bump *b, const struct nic_info *info)
{
	struct edge *e;

	if (b->opts.lower == LOWER_XDP)
		return edge_xdp_new(info->lower, -1);
	e = edge_packet_new(info->lower, -1, info->way == NIC_GUARDED, !b->opts.no_offload);
	if (e && b->opts.lower == LOWER_RING)
		edge_packet_ring(e);
	return e;
}

/* Two for each worker, into the shim. */
static int
make_edges(struct bump *b, const struct nic_info *info)
{
	const struct edge_opener opener = {ward_open, b->ward};
	unsigned n = b->opts.workers > 1 ? b->opts.workers : 1;

	for (unsigned i = 0; i < n; i++) {
		struct edge *upper, *lower;

		upper = edge_tap_new(b->opts.name, -1, !b->opts.no_offload);
		lower = new_lower(b, info);
		if (!upper || !lower) {
			edge_free(upper);
			edge_free(lower);
			return -1;
		}
		upper->opener = lower->opener = opener;
		if (i == 0)
			shim_set_edges(b->shim, upper, lower);
		else
			shim_add_edges(b->shim, upper, lower);
		if (n > 1) {
			edge_tap_queue(upper);
			edge_packet_share(lower, shim_lower(b->shim));
		}
	}
	return 0;
}

int
bump_take(struct bump *b, char *why, size_t cap)
{
	struct nic_info info;

	if (ward_take(b->ward, b->run, &info, why, cap) < 0)
		return -1;
	shim_halt(b->shim);
	shim_set_edges(b->shim, NULL, NULL);
	b->attached = true;
	b->nic = info;
	if (make_edges(b, &info) < 0) {
		snprintf(why, cap, "cannot make the edges: %s", strerror(errno));
		return -1;
	}
	if (shim_init(b->shim) < 0) {
		if (errno == EINVAL && b->opts.workers > 1) {
			snprintf(why, cap,
			    "%s was made for one worker: give the NIC back first (bitsd -i %s "
			    "--dissolve, or ipsecctl detach before the stop), or start with "
			    "--workers 1",
			    b->opts.name, b->opts.name);
			drop_nic(b);
			return -1;
		}
		if (errno == EBUSY) {
			snprintf(why, cap, "%s is taken by another bitsd, of another run directory",
			    b->opts.name);
			drop_nic(b);
			return -1;
		}
		snprintf(
		    why, cap, "cannot bind the edges of %s: %s", b->opts.name, strerror(errno));
		return -1;
	}
	shim_set_mtu(b->shim, info.mtu);
	if (watch_nic(b) < 0)
		log_warn("cannot watch %s", b->opts.name);
	log_info("%s: taken%s, %s as %s by %s, MTU %u, link %s", b->opts.name,
	    info.resumed ? " (it was before)" : "",
	    info.way == NIC_MOVED ? "in its own namespace" : "in place, guarded", info.lower,
	    shim_lower(b->shim)->ops->name, info.mtu, info.up ? "up" : "down");
	return 0;
}

int
bump_go(struct bump *b)
{
	if (shim_state(b->shim) == SHIM_RUNNING)
		return 0;
	if (shim_state(b->shim) == SHIM_HALTED) {
		errno = ENODEV;
		return -1;
	}
	if (shim_restart(b->shim) < 0)
		return -1;
	b->run = true;
	b->retry_ms = RETRY_MIN;
	if (b->attached && edge_tap_carrier(shim_upper(b->shim), b->nic.up) < 0)
		log_warn("cannot set the carrier of %s", b->opts.name);
	nexthop_keeper_look(b->hops);
	audit_note(b->audit, "state", "running");
	return 0;
}

void
bump_pause(struct bump *b)
{
	b->run = false;
	evtimer_del(b->watch->retry);
	if (shim_state(b->shim) == SHIM_RUNNING)
		shim_pause(b->shim);
	audit_note(b->audit, "state", "paused");
}

int
bump_attach(struct bump *b, char *why, size_t cap)
{
	if (b->attached || !b->ward) {
		snprintf(why, cap,
		    b->attached ? "%s is attached already" : "there is no NIC to attach%s",
		    b->attached ? b->opts.name : "");
		return -1;
	}
	if (ward_check(b->ward, why, cap) < 0 || bump_take(b, why, cap) < 0)
		return -1;
	reload_readdress(b->reload);
	if (bump_go(b) < 0) {
		snprintf(why, cap, "cannot restart: %s; %s stays taken, closed", strerror(errno),
		    b->opts.name);
		return -1;
	}
	return 0;
}

int
bump_detach(struct bump *b, char *why, size_t cap)
{
	if (!b->attached) {
		snprintf(why, cap, "%s is not attached", b->opts.name ? b->opts.name : "the NIC");
		return -1;
	}
	bump_pause(b);
	shim_halt(b->shim);
	if (ward_give_back(b->ward, why, cap) < 0)
		return -1;
	shim_set_edges(b->shim, NULL, NULL);
	drop_nic(b);
	log_info("%s: given back", b->opts.name);
	audit_note(b->audit, "state", "detached");
	return 0;
}

int
bump_stop(struct bump *b, bool restore, char *why, size_t cap)
{
	int rc = 0;

	bump_pause(b);
	shim_halt(b->shim);
	reload_stop(b->reload);
	if (restore && b->attached && !b->orphaned)
		rc = bump_detach(b, why, cap);
	return rc;
}

void
bump_free(struct bump *b)
{
	shim_halt(b->shim);
	drop_nic(b);
	if (b->watch->nic)
		event_free(b->watch->nic);
	event_free(b->watch->shim);
	event_free(b->watch->retry);
	event_free(b->watch->numbers);
	if (b->watch->windows)
		event_free(b->watch->windows);
	taps_free(b->taps);
	confirm_free(b->confirm);
	audit_free(b->audit);
	expiry_free(b->expiry);
	keepalive_free(b->keepalive);
	nexthop_keeper_free(b->hops);
	reload_free(b->reload);
	shim_free(b->shim);
	windows_close(b->windows); /* no SA writes there any more */
	seqkeeper_free(b->keeper);
	free(b->watch);
}
