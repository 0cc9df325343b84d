/*
 * --svg: a time line of what became of the packets, one panel a direction.  The time a column stands for doubles whenever the capture
 * outgrows the picture, so that its length need not be known and memory stays the same.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include "log.h"
#include "replay_tool.h"

#define COLUMNS 240
#define KINDS	(2 + DROP_HELD) /* bypassed, protected or opened, and each reason */
#define WIDTH	4		/* of a column */
#define HEIGHT	160		/* of a panel */
#define LEFT	70
#define TOP	40
#define GAP	60

struct svg {
	uint64_t first, width; /* ms: of the first column, and of each */
	uint32_t n[2][COLUMNS][KINDS];
};

struct svg *
replay_svg_new(uint64_t first)
{
	struct svg *s = calloc(1, sizeof *s);

	if (s != NULL) {
		s->first = first;
		s->width = 1;
	}
	return s;
}

static void
coarsen(struct svg *s)
{
	for (int dir = 0; dir < 2; dir++)
		for (int c = 0; c < COLUMNS; c++)
			for (int k = 0; k < KINDS; k++)
				s->n[dir][c][k] = c >= COLUMNS / 2 ? 0
								   : s->n[dir][2 * c][k] +
									 s->n[dir][2 * c + 1][k];
	s->width *= 2;
}

void
replay_svg_add(struct svg *s, enum dir dir, const struct pkt *p, uint64_t now)
{
	uint64_t at = now > s->first ? now - s->first : 0;
	int kind = p->drop == DROP_NONE ? !p->bypass : 2 + (int)p->drop;

	if (p->drop == DROP_HELD)
		return;
	while (at / s->width >= COLUMNS)
		coarsen(s);
	s->n[dir][at / s->width][kind]++;
}

static void
kind_name(enum dir dir, int kind, char *text, size_t cap)
{
	if (kind < 2)
		snprintf(text, cap, "%s",
		    kind == 0	     ? "bypassed"
		    : dir == DIR_OUT ? "protected"
				     : "opened");
	else
		snprintf(text, cap, "dropped: %s", drop_name((enum drop)(kind - 2)));
}

/* Accepted green and blue, each reason a warm colour of its own. */
static void
colour(int kind, char *text, size_t cap)
{
	if (kind < 2)
		snprintf(text, cap, "%s", kind == 0 ? "#5b8def" : "#3fa34d");
	else
		snprintf(
		    text, cap, "hsl(%d,75%%,%d%%)", (kind * 47) % 70 + 340, 38 + kind * 7 % 30);
}

static uint64_t
total(const struct svg *s, int dir, int kind)
{
	uint64_t sum = 0;

	for (int c = 0; c < COLUMNS; c++)
		sum += s->n[dir][c][kind];
	return sum;
}

static uint64_t
highest(const struct svg *s)
{
	uint64_t most = 1, sum;

	for (int dir = 0; dir < 2; dir++)
		for (int c = 0; c < COLUMNS; c++) {
			sum = 0;
			for (int k = 0; k < KINDS; k++)
				sum += s->n[dir][c][k];
			most = sum > most ? sum : most;
		}
	return most;
}

static void
bars(const struct svg *s, int dir, int base, uint64_t most, FILE *out)
{
	char fill[32];

	for (int c = 0; c < COLUMNS; c++) {
		double y = base;

		for (int k = 0; k < KINDS; k++) {
			double h = (double)s->n[dir][c][k] * HEIGHT / (double)most;

			if (s->n[dir][c][k] == 0)
				continue;
			colour(k, fill, sizeof fill);
			y -= h;
			fprintf(out, "<rect x='%d' y='%.2f' width='%d' height='%.2f' fill='%s'/>\n",
			    LEFT + c * WIDTH, y, WIDTH, h, fill);
		}
	}
}

static void
legend(const struct svg *s, int dir, int y, FILE *out)
{
	char fill[32], name[64];
	int x = LEFT;

	for (int k = 0; k < KINDS; k++) {
		if (total(s, dir, k) == 0)
			continue;
		colour(k, fill, sizeof fill);
		kind_name((enum dir)dir, k, name, sizeof name);
		fprintf(out,
		    "<rect x='%d' y='%d' width='10' height='10' fill='%s'/>"
		    "<text x='%d' y='%d'>%s %" PRIu64 "</text>\n",
		    x, y, fill, x + 14, y + 9, name, total(s, dir, k));
		x += 210;
	}
}

static void
panel(const struct svg *s, int dir, int top, uint64_t most, FILE *out)
{
	int base = top + HEIGHT, right = LEFT + COLUMNS * WIDTH;

	fprintf(out, "<text x='%d' y='%d' font-weight='bold'>%s</text>\n", LEFT, top - 8,
	    dir == DIR_OUT ? "from the host to the wire" : "from the wire to the host");
	bars(s, dir, base, most, out);
	fprintf(
	    out, "<path d='M%d %dV%dH%d' fill='none' stroke='#444'/>\n", LEFT, top, base, right);
	fprintf(out, "<text x='%d' y='%d' text-anchor='end'>%" PRIu64 "</text>\n", LEFT - 6,
	    top + 9, most);
	for (int i = 0; i <= 4; i++)
		fprintf(out, "<text x='%d' y='%d' text-anchor='middle'>%.3f s</text>\n",
		    LEFT + i * COLUMNS * WIDTH / 4, base + 14,
		    (double)(s->width * COLUMNS) / 1000 * i / 4);
	legend(s, dir, base + 22, out);
}

int
replay_svg_write(const struct svg *s, const char *path)
{
	FILE *out = fopen(path, "we");
	bool bad;

	if (out == NULL) {
		log_warn("%s", path);
		return -1;
	}
	fprintf(out,
	    "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' "
	    "font-family='sans-serif' font-size='11'>\n"
	    "<title>ipsecreplay: packets by what became of them, %" PRIu64 " ms a column</title>\n"
	    "<rect width='100%%' height='100%%' fill='white'/>\n",
	    LEFT + COLUMNS * WIDTH + 40, TOP + 2 * (HEIGHT + GAP) + 20, s->width);
	panel(s, DIR_OUT, TOP, highest(s), out);
	panel(s, DIR_IN, TOP + HEIGHT + GAP, highest(s), out);
	fputs("</svg>\n", out);
	bad = ferror(out);
	if (fclose(out) == EOF || bad) {
		log_warn("%s", path);
		return -1;
	}
	return 0;
}
