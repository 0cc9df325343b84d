/*
 * Capture files as an edge: replay is just another binding.  libpcap reads (pcap of either precision and byte order, pcapng),
 * one packet ahead, so that two files can be merged by time stamp; capfile.c writes.
 */
#include <errno.h>
#include <pcap/pcap.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "capfile.h"
#include "edge.h"
#include "log.h"

struct edge_pcap {
	struct edge e;
	char *in_name, *out_name;
	uint32_t mtu;
	pcap_t *in;
	int in_type, out_type; /* LINKTYPE; out_type -1: not said */
	FILE *out;
	enum capfile_form form;
	bool begun;		  /* the output has its header */
	bool ended;		  /* nothing more to read */
	struct pcap_pkthdr *head; /* of the packet read ahead, NULL: none yet */
	const u_char *octets;
	uint64_t number; /* packets taken from the file */
	uint64_t clock;
	char error[256]; /* "": none.  The first one stays */
};

static void set_error(struct edge_pcap *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
set_error(struct edge_pcap *c, const char *fmt, ...)
{
	va_list ap;

	if (c->error[0] != '\0')
		return;
	va_start(ap, fmt);
	vsnprintf(c->error, sizeof c->error, fmt, ap);
	va_end(ap);
}

/* libpcap knows files by DLT values, which for raw IP are not the file's number. */
static int
linktype_of(pcap_t *in)
{
	switch (pcap_datalink(in)) {
	case DLT_EN10MB:
		return LINKTYPE_ETHERNET;
	case DLT_RAW:
		return LINKTYPE_RAW;
	case DLT_IPV4:
		return LINKTYPE_IPV4;
	case DLT_IPV6:
		return LINKTYPE_IPV6;
	default:
		return -1;
	}
}

static int
open_in(struct edge_pcap *c)
{
	char why[PCAP_ERRBUF_SIZE];
	const char *name;
	size_t len = strlen(c->in_name);

	errno = 0;
	c->in =
	    pcap_open_offline_with_tstamp_precision(c->in_name, PCAP_TSTAMP_PRECISION_NANO, why);
	if (c->in == NULL) {
		if (errno == 0)
			errno = EINVAL;
		/* libpcap begins some of its sentences with the file's name, others not */
		if (strncmp(why, c->in_name, len) == 0 && why[len] == ':')
			set_error(c, "%s", why);
		else
			set_error(c, "%s: %s", c->in_name, why);
		return -1;
	}
	if ((c->in_type = linktype_of(c->in)) == -1) {
		name = pcap_datalink_val_to_name(pcap_datalink(c->in));
		set_error(c, "%s: link type %s is neither Ethernet nor raw IP", c->in_name,
		    name != NULL ? name : "unknown");
		errno = EPROTONOSUPPORT;
		return -1;
	}
	return 0;
}

static void
cap_unbind(struct edge *e)
{
	struct edge_pcap *c = (struct edge_pcap *)e;

	if (c->in != NULL)
		pcap_close(c->in);
	if (c->out != NULL && fclose(c->out) == EOF)
		set_error(c, "%s: %s", c->out_name, strerror(errno));
	c->in = NULL;
	c->out = NULL;
	c->head = NULL;
	e->bound = e->running = false;
}

static int
cap_bind(struct edge *e)
{
	struct edge_pcap *c = (struct edge_pcap *)e;
	int saved;

	c->error[0] = '\0';
	c->ended = c->begun = false;
	c->number = 0;
	c->in_type = c->out_type = -1;
	if (c->in_name != NULL && open_in(c) == -1)
		goto err;
	if (c->out_name != NULL && (c->out = fopen(c->out_name, "we")) == NULL) {
		saved = errno;
		set_error(c, "%s: %s", c->out_name, strerror(errno));
		errno = saved;
		goto err;
	}
	e->bound = true;
	return 0;
err:
	saved = errno;
	log_warnx("%s", c->error);
	cap_unbind(e);
	errno = saved;
	return -1;
}

static int
cap_restart(struct edge *e)
{
	struct edge_pcap *c = (struct edge_pcap *)e;

	if (!e->bound) {
		errno = ENODEV;
		return -1;
	}
	if (c->out != NULL && !c->begun) {
		if (c->out_type == -1)
			c->out_type = c->in_type != -1 ? c->in_type : LINKTYPE_ETHERNET;
		if (capfile_begin(c->out, c->form, c->out_type) == -1) {
			set_error(c, "%s: %s", c->out_name, strerror(errno));
			return -1;
		}
		c->begun = true;
	}
	e->running = true;
	return 0;
}

static void
cap_pause(struct edge *e)
{
	e->running = false;
}

/* Makes sure the next packet is at hand; false: there is none. */
static bool
ahead(struct edge_pcap *c)
{
	if (c->head != NULL)
		return true;
	if (c->in == NULL || c->ended)
		return false;
	switch (pcap_next_ex(c->in, &c->head, &c->octets)) {
	case 1:
		return true;
	case PCAP_ERROR_BREAK:
		break;
	default:
		set_error(c, "%s: packet %llu: %s", c->in_name, (unsigned long long)c->number + 1,
		    pcap_geterr(c->in));
	}
	c->head = NULL;
	c->ended = true;
	return false;
}

/* In a file of nanosecond precision tv_usec holds nanoseconds. */
static uint64_t
stamp(const struct pcap_pkthdr *h)
{
	return (uint64_t)h->ts.tv_sec * 1000000000u + (uint64_t)h->ts.tv_usec;
}

static int
cap_recv(struct edge *e, struct pktpool *pool, struct burst *b, unsigned max)
{
	struct edge_pcap *c = (struct edge_pcap *)e;
	struct pkt *p;
	uint8_t *octets;

	while (b->n < max && ahead(c)) {
		if ((p = pkt_new(pool)) == NULL)
			break;
		p->link = c->in_type == LINKTYPE_ETHERNET ? LINK_ETHER : LINK_RAWIP;
		p->ts_ns = stamp(c->head);
		p->number = ++c->number;
		if ((octets = pkt_put(p, c->head->caplen)) == NULL)
			p->drop = DROP_NO_ROOM;
		else if (c->head->caplen > 0)
			memcpy(octets, c->octets, c->head->caplen);
		if (c->head->caplen < c->head->len)
			p->drop = DROP_TRUNCATED;
		c->head = NULL;
		b->p[b->n++] = p;
	}
	if (b->n == 0 && c->ended && c->error[0] != '\0') {
		errno = EIO;
		return -1;
	}
	return (int)b->n;
}

/* May ${p} stand in a file of that link type?  LINKTYPE_IPV4 and _IPV6 hold one family each. */
static bool
fits(const struct pkt *p, int linktype)
{
	const uint8_t *first = pkt_get(p, 0, 1);

	switch (linktype) {
	case LINKTYPE_ETHERNET:
		return p->link == LINK_ETHER;
	case LINKTYPE_IPV4:
		return p->link == LINK_RAWIP && first != NULL && *first >> 4 == 4;
	case LINKTYPE_IPV6:
		return p->link == LINK_RAWIP && first != NULL && *first >> 4 == 6;
	default:
		return p->link == LINK_RAWIP;
	}
}

static unsigned
cap_send(struct edge *e, struct burst *b)
{
	struct edge_pcap *c = (struct edge_pcap *)e;
	struct pkt *p;
	unsigned sent = 0;

	for (unsigned i = 0; i < b->n; i++) {
		p = b->p[i];
		if (p->drop != DROP_NONE)
			continue;
		if (c->out == NULL) {
			sent++; /* nobody wants to see it: that is no reason to call it dropped */
			continue;
		}
		if (!fits(p, c->out_type)) {
			p->drop = DROP_EDGE_ERROR;
			continue;
		}
		if (capfile_packet(c->out, c->form, p->ts_ns ? p->ts_ns : c->clock, pkt_data(p),
			p->len) == -1) {
			set_error(c, "%s: %s", c->out_name, strerror(errno));
			p->drop = DROP_EDGE_ERROR;
			continue;
		}
		sent++;
	}
	return sent;
}

static int
cap_fds(const struct edge *e, int *fd, int max)
{
	return 0;
}

static void
cap_caps(const struct edge *e, struct edge_caps *caps)
{
	const struct edge_pcap *c = (const struct edge_pcap *)e;

	memset(caps, 0, sizeof *caps);
	caps->mtu = c->mtu;
	caps->link = e->bound;
	caps->linktype =
	    c->in_type == -1 || c->in_type == LINKTYPE_ETHERNET ? LINK_ETHER : LINK_RAWIP;
}

static void
cap_free(struct edge *e)
{
	struct edge_pcap *c = (struct edge_pcap *)e;

	cap_unbind(e);
	free(c->in_name);
	free(c->out_name);
	free(c);
}

static const struct edge_ops cap_ops = {
    .name = "pcap",
    .bind = cap_bind,
    .unbind = cap_unbind,
    .restart = cap_restart,
    .pause = cap_pause,
    .recv_burst = cap_recv,
    .send_burst = cap_send,
    .fds = cap_fds,
    .caps = cap_caps,
    .free = cap_free,
};

struct edge *
edge_pcap_new(const char *in, const char *out, uint32_t mtu)
{
	struct edge_pcap *c = calloc(1, sizeof *c);

	if (c == NULL)
		return NULL;
	c->e.ops = &cap_ops;
	c->mtu = mtu;
	c->in_type = c->out_type = -1;
	if ((in != NULL && (c->in_name = strdup(in)) == NULL) ||
	    (out != NULL && (c->out_name = strdup(out)) == NULL)) {
		cap_free(&c->e);
		errno = ENOMEM;
		return NULL;
	}
	if (out != NULL)
		c->form = capfile_form_of(out);
	return &c->e;
}

bool
edge_pcap_peek(struct edge *e, uint64_t *ts)
{
	struct edge_pcap *c = (struct edge_pcap *)e;

	if (!ahead(c))
		return false;
	*ts = stamp(c->head);
	return true;
}

const char *
edge_pcap_error(const struct edge *e)
{
	const struct edge_pcap *c = (const struct edge_pcap *)e;

	return c->error[0] != '\0' ? c->error : NULL;
}

int
edge_pcap_linktype(const struct edge *e)
{
	return ((const struct edge_pcap *)e)->in_type;
}

void
edge_pcap_write_as(struct edge *e, int linktype)
{
	((struct edge_pcap *)e)->out_type = linktype;
}

void
edge_pcap_clock(struct edge *e, uint64_t ts)
{
	((struct edge_pcap *)e)->clock = ts;
}
