#include <stdlib.h>
#include <string.h>
#include "bump.h"
#include "confirm.h"
#include "ctl_verb.h"
#include "log.h"
#include "reload.h"

/* Reads the request's text.  0, or -1 with errors in a->diags. */
static int
parse(struct ctl_ask *a, struct conf *c)
{
	struct conf_opts o = {.no_files = true, .any_owner = true};
	const char *name = ctl_verb_string(a, "name");
	const json_t *text = json_object_get(a->req, "text");

	conf_init(c);
	if (!json_is_string(text)) {
		diags_add(&a->diags, "request", 0, 0, false, "the request has no text");
		return -1;
	}
	return conf_parse_text(name ? name : "request", json_string_value(text),
	    json_string_length(text), &o, c, &a->diags);
}

/* What can be read and not be had.  The rest of conf_check() is for warnings, which ipsecctl gives: comparing each rule with each is
 * nothing for a thread that others wait for.  What must not be in force together is refused by reload (ruleset_check()). */
static int
check(struct ctl_ask *a, const struct conf *c)
{
	for (size_t i = 0; i < c->nforeign; i++)
		diags_add(&a->diags, c->foreign[i].file, c->foreign[i].line, c->foreign[i].col,
		    false, "%s", c->foreign[i].why);
	return c->nforeign ? -1 : 0;
}

static int
done(struct ctl_ask *a, int rc, const char *what)
{
	if (rc < 0) {
		size_t i = 0;

		while (i < a->diags.n && a->diags.d[i].warning)
			i++;
		return ctl_verb_error(a, "%s", i < a->diags.n ? a->diags.d[i].text : "refused");
	}
	log_info("%s: %zu rules, %zu SAs in force", what, spd_count(shim_gen(a->b->shim)->spd),
	    sadb_count(shim_gen(a->b->shim)->sad));
	json_object_set_new(
	    a->reply, "generation", json_integer((json_int_t)shim_gen(a->b->shim)->number));
	return 0;
}

/* While a policy is on trial, what it would go back to must stay what it was. */
static bool
on_trial(struct ctl_ask *a)
{
	uint64_t left;

	if (!confirm_left(a->b->confirm, &left))
		return false;
	ctl_verb_error(a,
	    "a policy is on trial, for %llu s yet: ipsecctl confirm keeps it, ipsecctl revert "
	    "goes back; nothing else can change it meanwhile",
	    (unsigned long long)(left + 999) / 1000);
	return true;
}

static int
apply(struct ctl_ask *a, enum reload_how how, size_t at, const char *what)
{
	struct conf c;
	int rc;

	if (on_trial(a))
		return 1;
	rc = parse(a, &c);
	if (rc == 0 && how != RELOAD_DELETE)
		rc = check(a, &c);
	if (rc == 0)
		rc = reload_conf(a->b->reload, &c, how, at, true, &a->diags);
	conf_free(&c);
	return done(a, rc, what);
}

/* "load" with "confirm". */
static int
try(struct ctl_ask *a)
{
	size_t seconds;
	struct conf c;
	int rc;

	if (ctl_verb_number(a, "confirm", &seconds) < 0 || seconds < 1 || seconds > CONFIRM_MAX)
		return ctl_verb_error(
		    a, "the time to confirm is from 1 to %d seconds", CONFIRM_MAX);
	if (on_trial(a))
		return 1;
	rc = parse(a, &c);
	if (rc == 0)
		rc = check(a, &c);
	if (rc == 0)
		rc = confirm_load(a->b->confirm, &c, (unsigned)seconds, &a->diags);
	conf_free(&c);
	return done(a, rc, "policy replaced, on trial");
}

int
ctl_edit_load(struct ctl_ask *a)
{
	if (json_object_get(a->req, "confirm"))
		return try(a);
	return apply(a, RELOAD_REPLACE, RELOAD_AT_END, "policy replaced");
}

int
ctl_edit_confirm(struct ctl_ask *a)
{
	uint64_t left;

	if (!confirm_left(a->b->confirm, &left))
		return ctl_verb_error(a, "there is nothing to confirm: no policy is on trial");
	confirm_keep(a->b->confirm);
	return done(a, 0, "policy confirmed");
}

int
ctl_edit_revert(struct ctl_ask *a)
{
	uint64_t left;

	if (!confirm_left(a->b->confirm, &left))
		return ctl_verb_error(a, "there is nothing to go back to: no policy is on trial");
	return done(a, confirm_revert(a->b->confirm, &a->diags), "policy reverted");
}

/* What sync lists: the text of what comes and goes, without keys. */
static void
list(void *ctx, bool added, const struct policy *rule, const struct sa *sa)
{
	json_t *reply = ctx;
	struct wipebuf text = {0};
	FILE *out = wipebuf_open(&text);

	if (!out)
		return;
	if (rule)
		conf_print_rule(rule, out);
	else
		conf_print_sa(&sa->p, false, out);
	fclose(out);
	if (text.len)
		json_array_append_new(json_object_get(reply, added ? "added" : "removed"),
		    json_stringn(text.text, text.len - 1));
	wipebuf_free(&text);
}

static json_t *
change(const struct ruleset_change *c)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "added", (json_int_t)c->added, "removed",
	    (json_int_t)c->removed, "kept", (json_int_t)c->kept, "moved", (json_int_t)c->moved);
}

int
ctl_edit_sync(struct ctl_ask *a)
{
	bool tell = json_is_true(json_object_get(a->req, "list"));
	struct ruleset_diff d;
	struct conf c;
	int rc;

	if (on_trial(a))
		return 1;
	if (tell) {
		json_object_set_new(a->reply, "added", json_array());
		json_object_set_new(a->reply, "removed", json_array());
	}
	rc = parse(a, &c);
	if (rc == 0)
		rc = check(a, &c);
	if (rc == 0)
		rc = reload_sync(a->b->reload, &c, &d, tell ? list : NULL, a->reply, &a->diags);
	conf_free(&c);
	if (rc == 0) {
		json_object_set_new(a->reply, "rules", change(&d.rules));
		json_object_set_new(a->reply, "sas", change(&d.sas));
		json_object_set_new(a->reply, "builtins", json_integer((json_int_t)d.builtins));
	}
	return done(a, rc, "policy synchronised");
}

int
ctl_edit_add(struct ctl_ask *a)
{
	size_t at = RELOAD_AT_END;

	if (json_object_get(a->req, "at") && ctl_verb_number(a, "at", &at) < 0)
		return ctl_verb_error(a, "the place has to be a number from 0");
	return apply(a, RELOAD_ADD, at, "policy added to");
}

int
ctl_edit_remove(struct ctl_ask *a)
{
	return apply(a, RELOAD_DELETE, RELOAD_AT_END, "policy taken from");
}

int
ctl_edit_flush(struct ctl_ask *a)
{
	const char *what = ctl_verb_string(a, "what");
	enum reload_what which;

	if (on_trial(a))
		return 1;
	if (!what || strcmp(what, "all") == 0)
		which = RELOAD_ALL;
	else if (strcmp(what, "flow") == 0)
		which = RELOAD_FLOWS;
	else if (strcmp(what, "sa") == 0)
		which = RELOAD_SAS;
	else
		return ctl_verb_error(a, "flow, sa or all can be flushed");
	return done(a, reload_flush(a->b->reload, which, &a->diags), "flushed");
}

int
ctl_edit_delete(struct ctl_ask *a)
{
	const char *proto = ctl_verb_string(a, "proto"), *spi = ctl_verb_string(a, "spi"),
		   *dst = ctl_verb_string(a, "dst");
	unsigned long number;
	struct ipaddr addr;
	size_t place;
	char *end;

	if (on_trial(a))
		return 1;
	if (ctl_verb_number(a, "flow", &place) == 0)
		return done(a, reload_delete_rule(a->b->reload, place, &a->diags), "rule deleted");
	if (!proto || !spi || (strcmp(proto, "esp") && strcmp(proto, "ah")))
		return ctl_verb_error(a, "say which: flow N, or esp or ah and an SPI");
	number = strtoul(spi, &end, 0);
	if (end == spi || *end || number > UINT32_MAX)
		return ctl_verb_error(a, "that is no SPI");
	if (dst && ipaddr_parse(dst, &addr) < 0)
		return ctl_verb_error(a, "the destination is no address");
	return done(a,
	    reload_delete_sa(a->b->reload, strcmp(proto, "esp") ? IPSEC_AH : IPSEC_ESP,
		(uint32_t)number, dst ? &addr : NULL, &a->diags),
	    "SA deleted");
}

int
ctl_edit_move(struct ctl_ask *a)
{
	size_t from, to;

	if (on_trial(a))
		return 1;
	if (ctl_verb_number(a, "from", &from) < 0 || ctl_verb_number(a, "to", &to) < 0)
		return ctl_verb_error(a, "say from which place to which");
	return done(a, reload_move_rule(a->b->reload, from, to, &a->diags), "rule moved");
}
