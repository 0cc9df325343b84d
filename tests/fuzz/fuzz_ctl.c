/* links: bits_control bits_edge bits_walk bits_spd PkgConfig::EVENT PkgConfig::JANSSON */
/*
 * The control socket's messages: header and body of any content, answered by a bump without a NIC.  Whatever is asked, the answer is a JSON
 * object with a status, and keys are not in it unless root asked for them.
 */
#include <event2/event.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "../unit/mem_store.h"
#include "bump.h"
#include "ctl_msg.h"
#include "ctl_verb.h"
#include "log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define MARK "5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2" /* 20 octets */
#define POLICY                                                                                     \
	"esp transport from 10.9.0.1 to 10.9.0.2 spi 0x1001 enc aes-128-gcm enckey 0x" MARK        \
	"\nflow from any to any type bypass\n"

static struct bump bump;
static struct mem mem;

static void
start(void)
{
	struct nic_opts o = {0};
	struct event_base *base = event_base_new();

	log_init("fuzz", false, 0, NULL);
	if (!base || bump_new(&bump, base, &o, mem_keeper(&mem, "aa")) < 0)
		abort();
}

/* Asks as ${uid}; aborts unless the answer is one. */
static void
ask(uid_t uid, const char *body, size_t len)
{
	struct wipebuf reply = {0};
	json_t *j;

	ctl_verb_handle(&bump, uid, body, len, &reply);
	j = reply.len ? json_loadb(reply.text, reply.len, 0, NULL) : NULL;
	if (!json_is_object(j) || !json_is_integer(json_object_get(j, "status")))
		abort();
	if (uid != 0 && strstr(reply.text, MARK) && !memmem(body, len, MARK, strlen(MARK)))
		abort();
	json_decref(j);
	wipebuf_free(&reply);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct ctl_header h;
	json_t *req;
	char *text;

	if (!bump.shim)
		start();
	mem.n = 0;
	if (len >= CTL_HEADER && ctl_header_get(data, &h) == 0 &&
	    (h.len > CTL_BODY_MAX || h.type < CTL_REQUEST))
		abort();
	req = json_pack("{s:s, s:s}", "verb", "load", "text", POLICY);
	if (!req || (text = json_dumps(req, 0)) == NULL)
		abort();
	ask(0, text, strlen(text));
	free(text);
	json_decref(req);
	ask(1000, (const char *)data, len);
	ask(0, (const char *)data, len);
	return 0;
}
