/*
 * "capture": the one who asks gets the memory into which the worker writes; it ends when that client hangs up.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include "bump.h"
#include "capture.h"
#include "ctl_verb.h"
#include "taps.h"

int
ctl_capture(struct ctl_ask *a)
{
	static const struct {
		const char *name;
		unsigned points;
	} known[] = {{"host", CAPTURE_AT_HOST}, {"wire", CAPTURE_AT_WIRE},
	    {"drop", CAPTURE_DROPPED}, {"all", CAPTURE_AT_HOST | CAPTURE_AT_WIRE}};
	const char *point = ctl_verb_string(a, "point");
	int tap;

	if (a->uid != 0 && a->uid != geteuid()) {
		ctl_verb_error(a, "permission denied: only root may see what passes");
		return 3;
	}
	for (size_t i = 0; point && i < sizeof known / sizeof *known; i++) {
		if (strcmp(point, known[i].name) != 0)
			continue;
		if ((tap = taps_add(a->b->taps, known[i].points)) < 0)
			return ctl_verb_error(a, "%s",
			    errno == EBUSY ? "too many capture at the same time" : strerror(errno));
		a->b->tap = tap;
		return 0;
	}
	return ctl_verb_error(a, "capture at one point: host, wire, drop or all");
}

int
ctl_capture_fd(void *b, int *tap)
{
	struct bump *bump = b;

	if ((*tap = bump->tap) < 0)
		return -1;
	bump->tap = -1;
	return taps_fd(bump->taps, *tap);
}

void
ctl_capture_gone(void *b, int tap)
{
	taps_remove(((struct bump *)b)->taps, tap);
}
