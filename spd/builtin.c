#include <string.h>
#include "policy.h"

static const struct {
	const char *name, *text;
} builtins[BUILTIN_MAX] = {
#define X(id, name, text) [BUILTIN_##id] = {#name, text},
    BUILTINS(X)
#undef X
};

const char *
builtin_name(enum builtin b)
{
	return builtins[b].name;
}

const char *
builtin_text(enum builtin b)
{
	return builtins[b].text;
}

int
builtin_number(const char *name)
{
	for (int b = 0; b < BUILTIN_MAX; b++)
		if (strcmp(name, builtins[b].name) == 0)
			return b;
	return -1;
}

const char *
builtin_set_name(enum builtin_set s)
{
	static const char *const name[] = {"bypass", "deny", "none"};

	return name[s];
}
