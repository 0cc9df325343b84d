#include "drop.h"

static const struct {
	const char *name, *text;
	bool audit;
} reasons[DROP_MAX] = {
    [DROP_NONE] = {"none", "goes through", false},
#define X(id, name, audit, text) [DROP_##id] = {#name, text, audit},
    DROP_REASONS(X)
#undef X
	[DROP_HELD] = {"held", "waits for more", false},
};

const char *
drop_name(enum drop d)
{
	return d < DROP_MAX ? reasons[d].name : "unknown";
}

const char *
drop_text(enum drop d)
{
	return d < DROP_MAX ? reasons[d].text : "unknown";
}

bool
drop_audit(enum drop d)
{
	return d < DROP_MAX && reasons[d].audit;
}
