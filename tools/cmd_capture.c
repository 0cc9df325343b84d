/*
 * capture: the worker writes into memory that we share with it; this reads, filters and writes pcapng or a line a packet.  bitsd never waits for us.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "capnote.h"
#include "capring.h"
#include "export_keys.h"
#include "ipsecctl.h"
#include "wipebuf.h"

#define LOOK_MS 10 /* between two looks into an empty ring */

struct capturing {
	const char *point, *path;
	uint64_t left; /* packets to go */
	struct capring *ring;
	struct bpf_program filter;
	bool filters;
	struct capnote note;
	FILE *out; /* NULL: lines */
	uint64_t written;
	uint8_t octets[PKT_FRAME_MAX];
};

static volatile sig_atomic_t stop;

static void
on_signal(int sig)
{
	stop = 1;
}

/* The words that are left, as one filter.  0, or an exit status: told. */
static int
compile(struct capturing *k, int argc, char **argv)
{
	struct wipebuf words = {0};
	pcap_t *dead = pcap_open_dead(DLT_EN10MB, PKT_FRAME_MAX);
	int rc = EXIT_DONE;

	for (int i = 0; i < argc; i++)
		if (wipebuf_add(&words, argv[i], strlen(argv[i])) < 0 ||
		    wipebuf_add(&words, i + 1 < argc ? " " : "", 1) < 0)
			rc = EXIT_WRONG;
	if (rc == EXIT_DONE && argc > 0) {
		if (dead == NULL ||
		    pcap_compile(dead, &k->filter, words.text, 1, PCAP_NETMASK_UNKNOWN) < 0) {
			fprintf(stderr, "ipsecctl: '%s' is no filter: %s\n", words.text,
			    dead ? pcap_geterr(dead) : strerror(errno));
			rc = EXIT_WRONG;
		} else {
			k->filters = true;
		}
	}
	wipebuf_free(&words);
	if (dead)
		pcap_close(dead);
	return rc;
}

/* The words of the command line; what is left is the filter.  0, or an exit status: told. */
static int
parse(struct capturing *k, int argc, char **argv)
{
	static const struct option longs[] = {
	    {"point", required_argument, NULL, 'p'}, {NULL, 0, NULL, 0}};
	static const char *const points[] = {"host", "wire", "drop", "all"};
	char *end;
	int o, which;

	optind = 0; /* main() has used getopt */
	while ((o = getopt_long(argc, argv, "+c:w:", longs, NULL)) != -1) {
		switch (o) {
		case 'c':
			k->left = strtoull(optarg, &end, 10);
			if (end == optarg || *end || k->left == 0 || *optarg == '-')
				ctl_usage("-c takes a number of packets, not ", optarg);
			break;
		case 'w':
			k->path = optarg;
			break;
		case 'p':
			if ((which = ctl_word(optarg, points, 4)) < 0)
				ctl_usage("--point takes host, wire, drop or all, not ", optarg);
			k->point = points[which];
			break;
		default:
			ctl_usage(NULL, NULL);
		}
	}
	return compile(k, argc - optind, argv + optind);
}

static int
cannot_write(const struct capturing *k)
{
	fprintf(
	    stderr, "ipsecctl: %s: %s\n", k->path ? k->path : "standard output", strerror(errno));
	return EXIT_WRONG;
}

/* What is captured is in clear: a file for its owner alone. */
static int
open_out(struct capturing *k)
{
	if (!k->path)
		return EXIT_DONE;
	if (strcmp(k->path, "-") == 0 && isatty(STDOUT_FILENO))
		ctl_usage("-w - writes a capture, which a terminal cannot show", NULL);
	k->out = strcmp(k->path, "-") == 0 ? stdout : export_open(k->path);
	if (!k->out ||
	    capnote_begin(&k->note, k->out, "ipsecctl " BITS_VERSION, LINK_ETHER, LINK_ETHER) < 0 ||
	    fflush(k->out) == EOF)
		return cannot_write(k);
	return EXIT_DONE;
}

/* The memory that bitsd passed. */
static int
map_ring(struct capturing *k)
{
	int fd = ctl_client_passed();
	struct stat st;
	void *at = MAP_FAILED;

	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size == (off_t)sizeof *k->ring)
		at = mmap(NULL, sizeof *k->ring, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd >= 0)
		close(fd);
	if (at == MAP_FAILED || ((struct capring *)at)->magic != CAPRING_MAGIC) {
		fprintf(stderr,
		    "ipsecctl: bitsd passed no memory for packets (is it of another version?)\n");
		return EXIT_NO_DAEMON;
	}
	k->ring = at;
	return EXIT_DONE;
}

static void
print_line(const struct capture_rec *r)
{
	char when[16], text[CAPTURE_TEXT];
	time_t s = (time_t)(r->ts / 1000000000);
	struct tm tm;

	strftime(when, sizeof when, "%T", localtime_r(&s, &tm));
	printf("%s.%06" PRIu64 " %s %s %" PRIu64 " %s, %" PRIu32 " octets\n", when,
	    r->ts % 1000000000 / 1000, r->point == CAPTURE_HOST ? "host" : "wire",
	    r->dir == DIR_OUT ? "out" : "in", r->number, capture_text(r, text), r->len);
}

static bool
wanted(const struct capturing *k, const struct capture_rec *r)
{
	struct pcap_pkthdr h = {.caplen = r->caplen, .len = r->len};

	return !k->filters || pcap_offline_filter(&k->filter, &h, k->octets) != 0;
}

/* Everything there is now.  0, or an exit status; *${more} false: nothing was there. */
static int
drain(struct capturing *k, bool *more)
{
	struct capture_rec r;
	int got = 0;

	*more = false;
	while (k->left && !stop &&
	       (got = capring_get(k->ring, &r, k->octets, sizeof k->octets)) == 1) {
		*more = true;
		if (!wanted(k, &r))
			continue;
		if (!k->out)
			print_line(&r);
		else if (capnote_put(&k->note, &r, k->octets) < 0)
			return cannot_write(k);
		k->left--;
		k->written++;
	}
	if (got < 0) {
		fprintf(stderr, "ipsecctl: the shared memory is damaged\n");
		return EXIT_WRONG;
	}
	return fflush(k->out ? k->out : stdout) == EOF ? cannot_write(k) : EXIT_DONE;
}

/* Until enough packets came, a signal, or bitsd hangs up. */
static int
follow(struct capturing *k, int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	bool more;
	int rc = EXIT_DONE;

	while (rc == EXIT_DONE && k->left && !stop) {
		rc = drain(k, &more);
		if (rc == EXIT_DONE && !more && k->left && poll(&p, 1, LOOK_MS) > 0) {
			rc = drain(k, &more); /* what it wrote before it ended */
			fprintf(stderr, "ipsecctl: bitsd hung up\n");
			return rc == EXIT_DONE ? EXIT_NO_DAEMON : rc;
		}
	}
	return rc;
}

static int
finish(struct capturing *k, int rc)
{
	uint64_t lost = k->ring ? capring_lost(k->ring) : 0;

	if (k->out && k->ring && rc != EXIT_WRONG && capnote_end(&k->note, lost) < 0)
		rc = cannot_write(k);
	if (k->out && (k->out == stdout ? fflush(stdout) : fclose(k->out)) == EOF &&
	    rc == EXIT_DONE)
		rc = cannot_write(k);
	if (k->ring) {
		fprintf(
		    stderr, "%" PRIu64 " packets captured, %" PRIu64 " lost\n", k->written, lost);
		munmap(k->ring, sizeof *k->ring);
	}
	if (k->filters)
		pcap_freecode(&k->filter);
	return rc;
}

int
cmd_capture(const struct ctl *c, int argc, char **argv)
{
	static struct capturing k;
	struct sigaction sa = {.sa_handler = on_signal};
	json_t *req, *reply;
	int fd, rc;

	k = (struct capturing){.point = "all", .left = UINT64_MAX};
	if ((rc = parse(&k, argc, argv)) != EXIT_DONE)
		return rc;
	if ((fd = ctl_client_connect(c->nic, c->socket)) < 0) {
		rc = -fd;
		goto out;
	}
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	req = json_pack("{s:s, s:s}", "verb", "capture", "point", k.point);
	rc = ctl_client_ask(fd, req, &reply);
	json_decref(req);
	if (rc == 0)
		rc = (int)json_integer_value(json_object_get(reply, "status"));
	if (rc != 0 && reply)
		ctl_tell(reply);
	json_decref(reply);
	if (rc == EXIT_DONE)
		rc = map_ring(&k);
	if (rc == EXIT_DONE)
		rc = open_out(&k);
	if (rc == EXIT_DONE)
		rc = follow(&k, fd);
	close(fd);
out:
	return finish(&k, rc);
}
