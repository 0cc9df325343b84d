#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "ctl_verb.h"
#include "log.h"

static const struct {
	const char *name;
	int (*fn)(struct ctl_ask *a);
} verbs[] = {
    {"load", ctl_edit_load},
    {"sync", ctl_edit_sync},
    {"confirm", ctl_edit_confirm},
    {"revert", ctl_edit_revert},
    {"add", ctl_edit_add},
    {"remove", ctl_edit_remove},
    {"flush", ctl_edit_flush},
    {"delete", ctl_edit_delete},
    {"move", ctl_edit_move},
    {"show", ctl_show},
    {"trace", ctl_trace},
    {"capture", ctl_capture},
    {"monitor", ctl_life_monitor},
    {"attach", ctl_life_attach},
    {"detach", ctl_life_detach},
    {"pause", ctl_life_pause},
    {"restart", ctl_life_restart},
    {"selftest", ctl_life_selftest},
    {"version", ctl_life_version},
};

json_t *
ctl_verb_text(const char *s)
{
	json_t *j = json_string(s);
	size_t n = strlen(s), k = 0;
	char *escaped;

	if (j != NULL || (escaped = malloc(4 * n + 1)) == NULL)
		return j;
	for (size_t i = 0; i < n; i++) {
		if ((unsigned char)s[i] < 0x80)
			escaped[k++] = s[i];
		else
			k += (size_t)sprintf(escaped + k, "\\x%02x", (unsigned char)s[i]);
	}
	escaped[k] = '\0';
	j = json_string(escaped);
	free(escaped);
	return j;
}

int
ctl_verb_error(struct ctl_ask *a, const char *fmt, ...)
{
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	json_object_set_new(a->reply, "error", ctl_verb_text(text));
	return 1;
}

const char *
ctl_verb_string(const struct ctl_ask *a, const char *key)
{
	return json_string_value(json_object_get(a->req, key));
}

int
ctl_verb_number(const struct ctl_ask *a, const char *key, size_t *n)
{
	const json_t *j = json_object_get(a->req, key);

	if (!json_is_integer(j) || json_integer_value(j) < 0)
		return -1;
	*n = (size_t)json_integer_value(j);
	return 0;
}

/* Diagnostics as a list; their texts come from what the operator wrote. */
static void
add_diags(struct ctl_ask *a)
{
	json_t *list = json_array();

	for (size_t i = 0; i < a->diags.n; i++) {
		const struct diag *d = &a->diags.d[i];

		json_array_append_new(list,
		    json_pack("{s:o, s:i, s:i, s:b, s:o}", "file",
			ctl_verb_text(d->file ? d->file : "?"), "line", (int)d->line, "col",
			(int)d->col, "warning", (int)d->warning, "text", ctl_verb_text(d->text)));
	}
	json_object_set_new(a->reply, "diags", list);
}

static int
dispatch(struct ctl_ask *a)
{
	const char *verb = ctl_verb_string(a, "verb");

	if (!verb)
		return ctl_verb_error(a, "the request has no verb");
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (strcmp(verb, verbs[i].name) == 0) {
			log_debug("ctl", "%s, by uid %u", verb, (unsigned)a->uid);
			return verbs[i].fn(a);
		}
	return ctl_verb_error(a,
	    "this bitsd (%s) does not know what that is; is ipsecctl of another version?",
	    BITS_VERSION);
}

static int
append(const char *octets, size_t n, void *ctx)
{
	return wipebuf_add(ctx, octets, n);
}

bool
ctl_verb_handle(void *b, uid_t uid, const char *body, size_t len, struct wipebuf *reply)
{
	struct ctl_ask a = {.b = b, .uid = uid, .reply = json_object()};
	int status;

	a.req = json_loadb(body, len, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(a.req))
		status = dispatch(&a);
	else
		status = ctl_verb_error(&a, "the request is not a JSON object");
	json_object_set_new(a.reply, "status", json_integer(status));
	if (a.diags.n)
		add_diags(&a);
	if (json_dump_callback(a.reply, append, reply, JSON_COMPACT) < 0)
		wipebuf_free(reply); /* the server says that memory ran out */
	json_decref(a.req);
	json_decref(a.reply);
	diags_free(&a.diags);
	return a.monitor;
}
