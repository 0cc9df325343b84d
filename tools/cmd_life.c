#include <stdio.h>
#include <string.h>
#include "ipsecctl.h"
#include "writer.h"

int
cmd_life(const struct ctl *c, const char *verb)
{
	return ctl_simple(c, json_pack("{s:s}", "verb", verb));
}

int
cmd_selftest(const struct ctl *c)
{
	json_t *reply, *t;
	size_t i;
	int rc = ctl_request(c, json_pack("{s:s}", "verb", "selftest"), &reply);

	if (reply && c->json) {
		json_object_del(reply, "status");
		writer_json(reply);
	} else if (reply) {
		printf("%-24s %-9s %-9s %s\n", "algorithm", "protocol", "by", "answer");
		json_array_foreach(json_object_get(reply, "tests"), i, t)
		{
			const char *how = !json_is_true(json_object_get(t, "supported"))
					      ? "not in this back end"
					  : json_is_true(json_object_get(t, "ok")) ? "ok"
										   : "WRONG";

			printf("%-24s %-9s %-9s %s\n", json_string_value(json_object_get(t, "alg")),
			    json_string_value(json_object_get(t, "proto")),
			    json_string_value(json_object_get(t, "backend")), how);
		}
	}
	json_decref(reply);
	return rc;
}

int
cmd_version(const struct ctl *c)
{
	json_t *reply;
	int rc = ctl_request(c, json_pack("{s:s}", "verb", "version"), &reply);

	if (c->json) {
		json_t *doc = json_pack("{s:s}", "ipsecctl", BITS_VERSION);

		if (rc == EXIT_DONE)
			json_object_set(doc, "bitsd", json_object_get(reply, "version"));
		writer_json(doc);
		json_decref(doc);
	} else {
		printf("ipsecctl %s\n", BITS_VERSION);
		if (rc == EXIT_DONE)
			printf(
			    "bitsd    %s\n", json_string_value(json_object_get(reply, "version")));
	}
	json_decref(reply);
	return rc;
}
