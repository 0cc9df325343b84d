#include <stdio.h>
#include <string.h>
#include <time.h>
#include "ipsecctl.h"
#include "writer.h"

static void
print_event(const json_t *ev)
{
	const char *name = json_string_value(json_object_get(ev, "event"));
	const char *text = json_string_value(json_object_get(ev, "text"));
	char when[40];
	time_t now = time(NULL);
	struct tm tm;

	strftime(when, sizeof when, "%F %T", localtime_r(&now, &tm));
	if (name && strcmp(name, "lost") == 0)
		printf("%s lost %lld events\n", when,
		    (long long)json_integer_value(json_object_get(ev, "count")));
	else if (json_object_get(ev, "detail"))
		printf("%s %s %s\n", when, name ? name : "-", text ? text : "");
	else
		printf("%s %s\n", when, text ? text : "-");
}

int
cmd_monitor(const struct ctl *c)
{
	json_t *req = json_pack("{s:s}", "verb", "monitor"), *doc;
	enum ctl_type type;
	int fd, rc;

	if ((fd = ctl_client_connect(c->nic, c->socket)) < 0) {
		json_decref(req);
		return -fd;
	}
	rc = ctl_client_ask(fd, req, &doc);
	json_decref(req);
	if (rc == 0)
		rc = (int)json_integer_value(json_object_get(doc, "status"));
	if (rc != 0 && doc)
		fprintf(stderr, "ipsecctl: %s\n", json_string_value(json_object_get(doc, "error")));
	json_decref(doc);
	while (rc == 0 && (rc = ctl_client_read(fd, &type, &doc, -1)) == 0) {
		if (c->json)
			writer_line(doc);
		else
			print_event(doc);
		json_decref(doc);
		if (writer_flush() < 0)
			rc = EXIT_WRONG;
	}
	return rc;
}
