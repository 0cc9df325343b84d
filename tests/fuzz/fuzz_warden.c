/* links: bits_control bits_edge bits_walk bits_spd */
/*
 * What the process with the privileges takes from the other one: octets of any content and length.  What passes is a request of the list,
 * within its bounds; nothing else does.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "warden_msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* As the list in warden_msg.h has it, said once more. */
static bool
fits(const struct warden_request *r)
{
	static const struct ipaddr none;

	switch (r->op) {
	case WARDEN_CHECK:
	case WARDEN_LOCK:
	case WARDEN_LISTEN:
	case WARDEN_PID:
	case WARDEN_BACKGROUND:
	case WARDEN_GIVE_BACK:
	case WARDEN_FORGET:
	case WARDEN_READ:
		return r->arg == 0 && r->dst.af == 0;
	case WARDEN_TAKE:
		return r->arg <= 1 && r->dst.af == 0;
	case WARDEN_OPEN:
		return r->arg < EDGE_FD_MAX && r->dst.af == 0;
	case WARDEN_RESOLVE:
		return r->arg == 0 && (r->dst.af == 6 || (r->dst.af == 4 && memcmp(r->dst.b + 4,
										none.b, 12) == 0));
	default:
		return false;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct warden_request r, raw;
	bool taken = warden_msg_request(data, len, &r);

	if (taken && (len != sizeof r || !fits(&r)))
		abort();
	if (len != sizeof raw)
		return 0;
	/* and what fits is taken */
	memcpy(&raw, data, sizeof raw);
	if (raw.op == WARDEN_RESOLVE && raw.dst.af == 4)
		memset(raw.dst.b + 4, 0, 12);
	if (fits(&raw) && !taken)
		abort();
	return 0;
}
