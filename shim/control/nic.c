/*
 * Taking the NIC over and giving it back.  What the state file's phase means for a start after a crash:
 *
 *   moving     The NIC may still be in the host's namespace, untouched: then what it has now counts, as without a file.  Else it
 *              has moved, and what is missing of the TAP is made from the file.
 *   guarding   The NIC may have lost addresses already: the file counts wherever it is.
 *   taken      TAP and NIC are complete and the TAP's configuration is the host's business: touch nothing.  A TAP that is gone
 *              is made again from the file.  A NIC that is back in the host's namespace was put there by somebody: what it has counts.
 *   giving     The file (written from the TAP) counts until the NIC has it all and the file is gone.
 *
 * A NIC is recognised by where it is: under its name in the private namespace, or as NAME-bits.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "log.h"
#include "mono.h"
#include "netns.h"
#include "nic_int.h"

unsigned nic_stop_after;
unsigned nic_link_wait = 2000;

void
nic_step(void)
{
	static unsigned steps;

	if (nic_stop_after && ++steps == nic_stop_after)
		_exit(99);
}

int
nic_why(char *why, size_t cap, const char *fmt, ...)
{
	int e = errno;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, cap, fmt, ap);
	va_end(ap);
	errno = e;
	return -1;
}

int
nic_init(struct nic *n, const struct nic_opts *o, char *why, size_t cap)
{
	memset(n, 0, sizeof *n);
	n->host_fd = n->lower_fd = -1;
	if (!o->name || !*o->name || strlen(o->name) >= IFNAMSIZ || strchr(o->name, '/'))
		return nic_why(why, cap, "\"%s\" is no name of a NIC", o->name ? o->name : "");
	snprintf(n->name, sizeof n->name, "%s", o->name);
	if (o->netns)
		snprintf(n->netns, sizeof n->netns, "%s", o->netns);
	else
		snprintf(n->netns, sizeof n->netns, "bits-%s", o->name);
	snprintf(n->dir, sizeof n->dir, "%s", o->state_dir);
	if (nic_state_file(o, n->file, sizeof n->file) == -1)
		return nic_why(why, cap,
		    "%s: no name for its state: the state directory's is too long, or /proc is "
		    "not there",
		    o->name);
	n->stay = o->stay;
	n->queues = o->workers > 1;
	if ((n->host_fd = netns_self()) == -1 ||
	    (n->host = netlink_open(n->host_fd, NETLINK_ROUTE, 0)) == NULL) {
		nic_why(why, cap, "%s: no netlink: %s", n->name, strerror(errno));
		nic_fini(n);
		return -1;
	}
	return 0;
}

void
nic_fini(struct nic *n)
{
	nic_guard_close(n->guard);
	netlink_close(n->ev_lower);
	netlink_close(n->ev_host);
	netlink_close(n->lower);
	netlink_close(n->host);
	if (n->lower_fd != -1)
		close(n->lower_fd);
	if (n->host_fd != -1)
		close(n->host_fd);
	nic_conf_free(&n->st.conf);
}

static int
save(struct nic *n, enum nic_phase phase, char *why, size_t cap)
{
	enum nic_phase was = n->st.phase;

	n->st.phase = phase;
	n->st.way = n->way;
	snprintf(n->st.lower, sizeof n->st.lower, "%s", n->lower_name);
	if (nic_save_store(n, why, cap) == -1) {
		n->st.phase = was; /* as it is on the disk */
		return -1;
	}
	nic_step();
	return 0;
}

static int
read_conf(struct nic *n, const char *dev, char *why, size_t cap)
{
	if (nic_conf_save(n->host, dev, &n->st.conf) == -1)
		return nic_why(
		    why, cap, "%s: its configuration cannot be read: %s", n->name, strerror(errno));
	n->st.saved_ms = mono_ms();
	return 0;
}

static uint32_t
age(const struct nic *n)
{
	uint64_t now = mono_ms();

	return now > n->st.saved_ms ? (uint32_t)((now - n->st.saved_ms) / 1000) : 0;
}

/* The NIC out of the host's way, from where it is under its own name. */
static int
set_aside(struct nic *n, char *why, size_t cap)
{
	char moved[256] = "told to stay";
	struct nic_link l;

	if (nic_link_get(n->host, n->name, &l) == -1)
		return nic_why(why, cap, "%s: gone meanwhile: %s", n->name, strerror(errno));
	if (!n->stay) {
		n->way = NIC_MOVED;
		if (save(n, n->st.phase == NIC_GIVING ? NIC_GIVING : NIC_MOVING, why, cap) == -1)
			return -1;
		if (nic_place_move(n, &l, why, cap) == 0)
			return save(n, NIC_MOVING, why, cap);
		if (errno != EOPNOTSUPP)
			return -1;
		snprintf(moved, sizeof moved, "%s", why);
	}
	n->way = NIC_GUARDED;
	if (save(n, NIC_GUARDING, why, cap) == -1 || nic_place_guard(n, &l, why, cap) == -1)
		return -1;
	log_info("%s: guarded in place as %s (%s)", n->name, n->lower_name, moved);
	return 0;
}

/* A NIC that had a link gets a moment to have it again: nexthop objects need it, and who looks right behind us wants to see it. */
static void
await_link(struct nic *n, unsigned index)
{
	struct timespec ms = {.tv_nsec = 1000000};
	struct nic_link l;

	if (!(n->st.conf.link.flags & IFF_UP) || !n->had_link)
		return;
	for (unsigned i = 0; i < nic_link_wait; i++) {
		if (nic_link_index(n->host, index, &l) == -1 || (l.carrier && l.running))
			break;
		nanosleep(&ms, NULL);
	}
}

/* What ${st} says goes back onto the NIC; everything of ours goes. */
static int
restore(struct nic *n, char *why, size_t cap)
{
	struct nic_link l;
	char text[256];
	int missing;

	if (nic_place_tap_delete(n, why, cap) == -1)
		return -1;
	if (n->lower_index) {
		n->had_link = n->seen_lower.carrier;
		if (nic_place_home(n, why, cap) == -1)
			return -1;
	}
	if (nic_link_get(n->host, n->name, &l) == -1)
		return nic_why(why, cap, "%s: is not back: %s", n->name, strerror(errno));
	if (memcmp(l.mac, n->st.conf.link.mac, 6) != 0 &&
	    nic_link_mac(n->host, l.index, n->st.conf.link.mac) == -1)
		log_warnx("%s: keeps another MAC: %s", n->name, netlink_why(n->host));
	if ((missing = nic_conf_load(n->host, l.index, &n->st.conf, age(n), text, sizeof text)) ==
	    -1)
		return nic_why(why, cap, "%s: is back, but %s", n->name, text);
	await_link(n, l.index);
	if (missing &&
	    nic_route_load(n->host, l.index, &n->st.conf.addr, &n->st.conf.route, age(n)) > 0)
		log_warnx("%s: is back, but not all of its routes", n->name);
	nic_step();
	if (n->way == NIC_MOVED && netns_remove(n->netns) == -1 && errno != ENOENT)
		log_warn("%s: namespace %s is left over", n->name, n->netns);
	nic_step();
	if (nic_save_remove(n) == -1)
		log_warn("%s: state file %s is left over", n->name, n->file);
	return 0;
}

/* After a failure: as before, or closed. */
static void
undo(struct nic *n, char *why, size_t cap)
{
	char text[512], more[256];
	bool touched = n->st.phase != NIC_NONE;

	snprintf(text, sizeof text, "%s", why);
	if (!touched)
		return;
	/* A disk that is full by now must not keep the host cut off. */
	if (save(n, NIC_GIVING, more, sizeof more) == -1)
		log_warnx("%s", more);
	if (nic_place_look(n, more, sizeof more) == 0 && restore(n, more, sizeof more) == 0) {
		snprintf(why, cap, "%s (undone)", text);
		return;
	}
	snprintf(why, cap, "%s; left closed, as it cannot be undone: %s", text, more);
}

/* A NIC that is in its place without a state file: as the TAP has it, or as bare as the NIC is. */
static int
reconstruct(struct nic *n, char *why, size_t cap)
{
	log_warnx("%s: state file %s is gone; going on from what is there", n->name, n->file);
	if (n->tap_index) {
		if (read_conf(n, n->name, why, cap) == -1)
			return -1;
		return save(n, NIC_TAKEN, why, cap);
	}
	nic_conf_free(&n->st.conf);
	n->st.conf.link = n->seen_lower;
	n->st.conf.link.flags &= ~(unsigned)IFF_NOARP;
	n->st.conf.link.addr_gen = 0;
	n->st.saved_ms = mono_ms();
	return save(n, NIC_MOVING, why, cap);
}

/* The NIC is in its place; now whatever is missing beside it. */
static int
complete(struct nic *n, char *why, size_t cap)
{
	char text[256];

	if (nic_place_settle(n, n->st.conf.link.flags & IFF_UP, why, cap) == -1)
		return -1;
	nic_step();
	if (nic_place_tap(n, &n->st.conf, why, cap) == -1)
		return -1;
	n->late = true;
	if (nic_conf_load(n->host, n->tap_index, &n->st.conf, age(n), text, sizeof text) == -1)
		return nic_why(why, cap, "%s: the TAP: %s", n->name, text);
	nic_step();
	return save(n, NIC_TAKEN, why, cap);
}

static int
take(struct nic *n, const struct nic_opts *o, char *why, size_t cap)
{
	struct nic_link host;

	if (nic_save_load(n, &n->st, why, cap) == -1 && errno == EINVAL)
		return -1;
	n->way = n->st.way;
	if (nic_place_look(n, why, cap) == -1)
		return -1;
	if (n->lower_index && !n->tap_index && nic_link_get(n->host, n->name, &host) == 0)
		return nic_why(why, cap,
		    "%s: is in namespace %s, but another device has its name here: rename or "
		    "delete that",
		    n->name, n->netns);
	if (n->lower_index && n->st.phase == NIC_NONE && reconstruct(n, why, cap) == -1)
		return -1;
	if (n->lower_index && n->tap_index && n->st.phase == NIC_TAKEN) {
		n->info.resumed = true;
		return nic_place_settle(n, n->seen_tap.flags & IFF_UP, why, cap);
	}
	if (n->lower_index)
		return complete(n, why, cap);
	if (n->tap_index)
		return nic_why(why, cap,
		    "%s: its TAP is here, but the NIC is neither in namespace %s nor guarded: plug "
		    "it in, or delete "
		    "the TAP (ip link del %s)",
		    n->name, n->netns, n->name);
	if (nic_check(o, why, cap) == -1)
		return -1;
	if ((n->st.phase == NIC_NONE || n->st.phase == NIC_MOVING || n->st.phase == NIC_TAKEN)) {
		n->st.phase = NIC_NONE;
		if (read_conf(n, n->name, why, cap) == -1)
			return -1;
	}
	if (set_aside(n, why, cap) == 0 && complete(n, why, cap) == 0)
		return 0;
	if (!o->hold)
		undo(n, why, cap);
	return -1;
}

int
nic_state_file(const struct nic_opts *o, char *buf, size_t cap)
{
	int fd = netns_self(), n;
	struct stat st;

	if (fd == -1)
		return -1;
	n = fstat(fd, &st);
	close(fd);
	if (n == -1)
		return -1;
	n = snprintf(
	    buf, cap, "%s/%s.%llu.nic", o->state_dir, o->name, (unsigned long long)st.st_ino);
	return n < 0 || (size_t)n >= cap ? -1 : 0;
}

struct nic *
nic_take(const struct nic_opts *o, char *why, size_t cap)
{
	struct nic *n = malloc(sizeof *n);
	struct nic_link l;

	if (!n || nic_init(n, o, why, cap) == -1) {
		if (!n)
			nic_why(why, cap, "%s: %s", o->name, strerror(errno));
		free(n);
		return NULL;
	}
	if (take(n, o, why, cap) == -1)
		goto err;
	if (nic_event_open(n) == -1) {
		nic_why(why, cap, "%s: no netlink events: %s (closed)", n->name, strerror(errno));
		goto err;
	}
	if (nic_link_index(n->lower, n->lower_index, &l) == 0)
		n->seen_lower = l;
	if (nic_link_index(n->host, n->tap_index, &l) == 0)
		n->seen_tap = l;
	return n;
err:
	nic_fini(n);
	free(n);
	return NULL;
}

void
nic_info(const struct nic *n, struct nic_info *i)
{
	const struct nic_link *l = &n->seen_lower;

	*i = (struct nic_info){.way = n->way,
	    .mtu = l->mtu,
	    .resumed = n->info.resumed,
	    .up = n->lower_index && (l->flags & IFF_UP) && l->carrier};
	memcpy(i->lower, n->lower_name, sizeof i->lower);
	memcpy(i->mac, l->mac, 6);
}

int
nic_netns(const struct nic *n)
{
	return n->lower_fd;
}

int
nic_host_netns(const struct nic *n)
{
	return n->host_fd;
}

/*
 * As the TAP is now.  The kernel throws nexthop objects, their routes and proxy entries away when carrier goes, and it goes before this
 * (the edges are unbound): those come back as they were when the NIC was taken.
 */
static int
read_tap(struct nic *n, char *why, size_t cap)
{
	struct netlink_list objects = {0}, neigh = {0};
	const struct nlmsghdr *m = NULL;
	int r = 0;

	if (n->late || !n->seen_tap.carrier) {
		r = nic_route_objects(&n->st.conf.route, &objects);
		neigh = n->st.conf.neigh;
		n->st.conf.neigh = (struct netlink_list){0};
	}
	if (r == 0)
		r = read_conf(n, n->name, why, cap);
	while (r == 0 && (m = netlink_list_next(&objects, m)) != NULL)
		r = netlink_list_add(&n->st.conf.route, m);
	while (r == 0 && (m = netlink_list_next(&neigh, m)) != NULL)
		r = netlink_list_add(&n->st.conf.neigh, m);
	netlink_list_free(&objects);
	netlink_list_free(&neigh);
	return r;
}

int
nic_give_back(struct nic *n, char *why, size_t cap)
{
	if (nic_place_look(n, why, cap) == -1)
		return -1;
	if (!n->lower_index)
		return nic_why(why, cap, "%s: the NIC is unplugged: nothing to give back", n->name);
	/* From the TAP only where it is complete. */
	if (n->tap_index && n->st.phase == NIC_TAKEN && read_tap(n, why, cap) == -1)
		return -1;
	if (save(n, NIC_GIVING, why, cap) == -1)
		return -1;
	return restore(n, why, cap);
}

void
nic_free(struct nic *n)
{
	if (!n)
		return;
	nic_fini(n);
	free(n);
}
