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
#include <sys/stat.h>
#include <unistd.h>
#include "capfile.h"
#include "caplink.h"
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
	uint64_t latest; /* time stamp of all that were taken */
	uint64_t back,
	    back_first; /* packets older than one before them, and the first such one's number */
	off_t size;	/* of the input, 0: not known */
	void (*watch)(void *ctx, const struct pkt *p, uint64_t ts);
	void *watch_ctx;
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
	case DLT_NULL:
		return LINKTYPE_NULL;
	case DLT_LOOP:
		return LINKTYPE_LOOP;
	case DLT_LINUX_SLL:
		return LINKTYPE_SLL;
	case DLT_LINUX_SLL2:
		return LINKTYPE_SLL2;
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
	struct stat st;

	if (stat(c->in_name, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0) {
		set_error(c, "%s: the file is empty", c->in_name);
		errno = EINVAL;
		return -1;
	}
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
		set_error(c,
		    "%s: link type %s is neither Ethernet nor raw IP, Linux cooked or BSD loopback",
		    c->in_name, name != NULL ? name : "unknown");
		errno = EPROTONOSUPPORT;
		return -1;
	}
	if (fstat(fileno(pcap_file(c->in)), &st) == 0 && S_ISREG(st.st_mode))
		c->size = st.st_size;
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
	c->number = c->latest = c->back = c->back_first = 0;
	c->size = 0;
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

/* The packet at hand into ${p}, as the walk sees it. */
static void
take(struct edge_pcap *c, struct pkt *p)
{
	uint32_t len = c->head->caplen;
	struct caplink l;
	uint8_t *octets;

	p->link = (uint8_t)caplink_pkt(c->in_type);
	p->ts_ns = stamp(c->head);
	p->number = ++c->number;
	p->drop = caplink_in(c->in_type, c->octets, len, &l);
	if ((octets = pkt_put(p, l.n + len - l.cut)) == NULL) {
		p->drop = DROP_NO_ROOM;
	} else {
		memcpy(octets, l.head, l.n);
		if (len > l.cut)
			memcpy(octets + l.n, c->octets + l.cut, len - l.cut);
	}
	if (len < c->head->len)
		p->drop = DROP_TRUNCATED;
	if (p->ts_ns < c->latest && c->back++ == 0)
		c->back_first = p->number;
	if (p->ts_ns > c->latest)
		c->latest = p->ts_ns;
	c->head = NULL;
}

static int
cap_recv(struct edge *e, struct pktpool *pool, struct burst *b, unsigned max)
{
	struct edge_pcap *c = (struct edge_pcap *)e;
	struct pkt *p;

	while (b->n < max && ahead(c)) {
		if ((p = pkt_new(pool)) == NULL)
			break;
		take(c, p);
		b->p[b->n++] = p;
	}
	if (b->n == 0 && c->ended && c->error[0] != '\0') {
		errno = EIO;
		return -1;
	}
	return (int)b->n;
}

/* One packet that goes on; its fate. */
static enum drop
put(struct edge_pcap *c, const struct pkt *p)
{
	uint64_t ts = p->ts_ns ? p->ts_ns : c->clock;
	struct capfile_packet f = {.ts = ts};
	struct caplink l;

	if (c->out != NULL) { /* nobody may want to see it: that is no reason to call it dropped */
		if (caplink_out(c->out_type, p, &l) == -1)
			return DROP_EDGE_ERROR;
		f.head = l.head;
		f.nhead = l.n;
		f.data = pkt_data(p) + l.cut;
		f.len = p->len - l.cut;
		if (capfile_packet(c->out, c->form, &f) == -1) {
			set_error(c, "%s: %s", c->out_name, strerror(errno));
			return DROP_EDGE_ERROR;
		}
	}
	if (c->watch != NULL)
		c->watch(c->watch_ctx, p, ts);
	return DROP_NONE;
}

static unsigned
cap_send(struct edge *e, struct burst *b)
{
	unsigned sent = 0;

	for (unsigned i = 0; i < b->n; i++) {
		struct pkt *p = b->p[i];

		if (p->drop == DROP_NONE && (p->drop = put((struct edge_pcap *)e, p)) == DROP_NONE)
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
	caps->linktype = (uint8_t)(c->in_type == -1 ? LINK_ETHER : caplink_pkt(c->in_type));
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

uint64_t
edge_pcap_backwards(const struct edge *e, uint64_t *first)
{
	const struct edge_pcap *c = (const struct edge_pcap *)e;

	*first = c->back_first;
	return c->back;
}

bool
edge_pcap_progress(const struct edge *e, uint64_t *done, uint64_t *size)
{
	const struct edge_pcap *c = (const struct edge_pcap *)e;
	off_t at = c->in != NULL && c->size > 0 ? ftello(pcap_file(c->in)) : -1;

	if (at < 0)
		return false;
	*done = (uint64_t)at;
	*size = (uint64_t)c->size;
	return true;
}

void
edge_pcap_watch(
    struct edge *e, void (*watch)(void *ctx, const struct pkt *p, uint64_t ts), void *ctx)
{
	struct edge_pcap *c = (struct edge_pcap *)e;

	c->watch = watch;
	c->watch_ctx = ctx;
}
