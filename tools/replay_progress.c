/*
 * How far it is, on a terminal, when it takes longer than a moment.
 */
#include <inttypes.h>
#include <unistd.h>
#include "edge.h"
#include "mono.h"
#include "replay_tool.h"

#define FIRST_MS 1000 /* a shorter job needs no bar */
#define EVERY_MS 200
#define BAR	 30

/* Octets read and to read of both inputs. */
static bool
octets(const struct rerun *r, uint64_t *done, uint64_t *size)
{
	uint64_t d, s;

	*done = *size = 0;
	if (edge_pcap_progress(r->host, &d, &s)) {
		*done += d;
		*size += s;
	}
	if (edge_pcap_progress(r->wire, &d, &s)) {
		*done += d;
		*size += s;
	}
	return *size > 0;
}

void
replay_progress(struct rerun *r)
{
	uint64_t now = mono_ms(), done, size, packets, ms, rate;
	char bar[BAR + 1];

	if (r->began == 0) {
		r->began = r->shown = now;
		r->terminal = isatty(STDERR_FILENO);
	}
	if (!r->terminal || now - r->began < FIRST_MS || now - r->shown < EVERY_MS)
		return;
	r->shown = now;
	ms = now - r->began;
	packets = r->stats.read[DIR_OUT].packets + r->stats.read[DIR_IN].packets;
	rate = packets * 1000 / ms;
	if (octets(r, &done, &size) && done > 0) {
		unsigned full = (unsigned)(done * BAR / size);

		for (unsigned i = 0; i < BAR; i++)
			bar[i] = i < full ? '#' : '.';
		bar[BAR] = '\0';
		fprintf(stderr,
		    "\r[%s] %3" PRIu64 " %%  %" PRIu64 " packets/s  %" PRIu64 " s left ", bar,
		    done * 100 / size, rate, ms * (size - done) / done / 1000);
	} else {
		fprintf(stderr, "\r%" PRIu64 " packets  %" PRIu64 " packets/s ", packets, rate);
	}
	r->lines = true;
}

void
replay_progress_end(struct rerun *r)
{
	if (r->lines)
		fputs("\r\033[K", stderr);
	r->lines = false;
}
