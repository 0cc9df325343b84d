/*
 * A ring of words, as in RFC 6479: the window slides by clearing whole words ahead of it, so that moving by one packet
 * or by a million costs at most one pass over the bitmap.  A number's bit is at (number mod 64 * words).  The ring has
 * one word more than the window needs, so a word is never part of the window's left end and its right end at once.
 */
#include "replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define AHEAD_MAX (UINT64_C(1) << 63)

_Static_assert(REPLAY_MIN >= 1 && REPLAY_MAX % 64 == 0 && REPLAY_DEFAULT >= REPLAY_MIN &&
		   REPLAY_DEFAULT <= REPLAY_MAX,
    "sizes of the window");
_Static_assert(sizeof(struct replay) <= 64, "a window's head fits a cache line");

int
replay_init(struct replay *win, uint32_t size, bool esn)
{
	uint32_t words = 1;

	memset(win, 0, sizeof *win);
	if (size != 0 && (size < REPLAY_MIN || size > REPLAY_MAX)) {
		errno = EINVAL;
		return -1;
	}
	win->esn = esn;
	if (size == 0)
		return 0;
	while (words < (size + 63) / 64 + 1)
		words *= 2;
	if ((win->bitmap = calloc(words, sizeof *win->bitmap)) == NULL)
		return -1;
	win->bitmap[0] = 1; /* number 0 does not exist, so it cannot get lost */
	win->size = size;
	win->words = words;
	return 0;
}

void
replay_fini(struct replay *win)
{
	free(win->bitmap);
	memset(win, 0, sizeof *win);
}

uint64_t
replay_infer(const struct replay *win, uint32_t low)
{
	uint32_t size = win->size != 0 ? win->size : REPLAY_MAX;
	uint32_t tl = (uint32_t)win->top, th = (uint32_t)(win->top >> 32);
	uint32_t bl = tl - size + 1; /* mod 2^32: the left end of the window */

	if (!win->esn)
		return low;
	if (tl >= size - 1) { /* case A: the window lies in one epoch */
		if (low < bl && th != UINT32_MAX)
			th++;
	} else { /* case B: it spans two */
		if (low >= bl && th != 0)
			th--;
	}
	return (uint64_t)th << 32 | low;
}

bool
replay_probe(struct replay *win, uint64_t now)
{
	if (!win->esn || win->failed < REPLAY_FAILED || now - win->probe_ms < REPLAY_PROBE_MS)
		return false;
	win->probe_ms = now;
	return true;
}

uint64_t
replay_guess(const struct replay *win, uint32_t low, unsigned k)
{
	uint64_t seq = replay_infer(win, low), up = (uint64_t)k << 32;

	return seq > UINT64_MAX - up ? UINT64_MAX : seq + up;
}

static inline bool
seen(const struct replay *win, uint64_t seq)
{
	return win->bitmap[(seq >> 6) & (win->words - 1)] >> (seq & 63) & 1;
}

enum drop
replay_check(const struct replay *win, uint64_t seq)
{
	if (win->size == 0)
		return DROP_NONE;
	if (seq == 0 || (!win->esn && seq > UINT32_MAX))
		return DROP_REPLAY_OLD;
	if (seq > win->top)
		return seq - win->top > AHEAD_MAX ? DROP_REPLAY_OLD : DROP_NONE;
	if (win->top - seq >= win->size)
		return DROP_REPLAY_OLD;
	return seen(win, seq) ? DROP_REPLAY_DUP : DROP_NONE;
}

/* ${seq} is the new top.  It is written down before the packet goes anywhere, so that whoever comes after us does not take it again. */
static inline void
set_top(struct replay *win, uint64_t seq)
{
	__atomic_store_n(&win->top, seq, __ATOMIC_RELAXED); /* others read it */
	if (win->kept && *win->kept < seq)
		__atomic_store_n(
		    win->kept, seq, __ATOMIC_RELAXED); /* the control thread reads it */
}

/* Make room for number ${seq} beyond the top; what leaves the bitmap unseen is lost. */
static void
slide(struct replay *win, uint64_t seq)
{
	uint64_t from = win->top >> 6, to = seq >> 6, steps = to - from, lost = 0;
	uint64_t clear = steps < win->words ? steps : win->words;

	for (uint64_t w = from + 1; w <= from + clear; w++) {
		uint64_t *word = &win->bitmap[w & (win->words - 1)];

		if (w >= win->words) /* before that the word held no numbers */
			lost += 64 - (uint64_t)__builtin_popcountll(*word);
		*word = 0;
	}
	lost += 64 * (steps - clear); /* words of numbers that were jumped over */
	set_top(win, seq);
	if (lost != 0)
		__atomic_store_n(
		    &win->lost, win->lost + lost, __ATOMIC_RELAXED); /* others read it */
}

enum drop
replay_advance(struct replay *win, uint64_t seq)
{
	enum drop d = replay_check(win, seq);

	if (d != DROP_NONE)
		return d;
	if (win->size == 0) {
		if (seq > win->top)
			set_top(win, seq);
		return DROP_NONE;
	}
	if (seq > win->top)
		slide(win, seq);
	win->bitmap[(seq >> 6) & (win->words - 1)] |= UINT64_C(1) << (seq & 63);
	return DROP_NONE;
}
