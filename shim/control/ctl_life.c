#include <errno.h>
#include <string.h>
#include "bump.h"
#include "crypto.h"
#include "ctl_verb.h"
#include "shim.h"

static int
state(struct ctl_ask *a)
{
	json_object_set_new(
	    a->reply, "state", json_string(shim_state_name(shim_state(a->b->shim))));
	return 0;
}

int
ctl_life_attach(struct ctl_ask *a)
{
	char why[512];

	if (bump_attach(a->b, why, sizeof why) < 0)
		return ctl_verb_error(a, "%s", why);
	return state(a);
}

int
ctl_life_detach(struct ctl_ask *a)
{
	char why[512];

	if (bump_detach(a->b, why, sizeof why) < 0)
		return ctl_verb_error(a, "%s", why);
	return state(a);
}

int
ctl_life_pause(struct ctl_ask *a)
{
	if (shim_state(a->b->shim) == SHIM_HALTED)
		return ctl_verb_error(a, "nothing to pause: no NIC is attached");
	bump_pause(a->b);
	return state(a);
}

int
ctl_life_restart(struct ctl_ask *a)
{
	if (shim_state(a->b->shim) == SHIM_HALTED)
		return ctl_verb_error(a, "nothing to restart: no NIC is attached; ipsecctl attach");
	if (bump_go(a->b) < 0)
		return ctl_verb_error(a, "cannot restart: %s", strerror(errno));
	return state(a);
}

int
ctl_life_monitor(struct ctl_ask *a)
{
	a->monitor = true;
	return state(a);
}

static void
heard(void *ctx, const struct crypto_kat_result *r)
{
	json_array_append_new(
	    ctx, json_pack("{s:s, s:s, s:s, s:b, s:b}", "alg", r->alg, "proto", r->proto, "backend",
		     r->backend, "supported", (int)r->supported, "ok", (int)r->ok));
}

int
ctl_life_selftest(struct ctl_ask *a)
{
	json_t *list = json_array();
	int failed = crypto_kat_run(&crypto_ossl, heard, list);
#ifdef BITS_HAVE_IPSEC_MB
	const char *why;

	/* also where the operator chose the other one: he may want to know before he changes his mind */
	if (crypto_imb_usable(&why))
		failed += crypto_kat_run(&crypto_imb, heard, list);
#endif
	json_object_set_new(a->reply, "tests", list);
	json_object_set_new(a->reply, "backend", json_string(crypto_backend_name()));
	json_object_set_new(a->reply, "failed", json_integer(failed));
	return failed ? ctl_verb_error(a, "%d known answers came out wrong", failed) : 0;
}

int
ctl_life_version(struct ctl_ask *a)
{
	json_object_set_new(a->reply, "version", json_string(BITS_VERSION));
	return state(a);
}
