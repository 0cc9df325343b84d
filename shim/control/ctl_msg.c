#include <string.h>
#include "ctl_msg.h"

static const uint8_t magic[4] = {'B', 'I', 'T', 'S'};

void
ctl_header_put(const struct ctl_header *h, uint8_t buf[static CTL_HEADER])
{
	memcpy(buf, magic, 4);
	buf[4] = CTL_VERSION;
	buf[5] = h->type;
	buf[6] = buf[7] = 0;
	for (int i = 0; i < 4; i++)
		buf[8 + i] = (uint8_t)(h->len >> (24 - 8 * i));
}

int
ctl_header_get(const uint8_t buf[static CTL_HEADER], struct ctl_header *h)
{
	if (memcmp(buf, magic, 4) != 0 || buf[4] != CTL_VERSION || buf[6] != 0 || buf[7] != 0)
		return -1;
	if (buf[5] < CTL_REQUEST || buf[5] > CTL_EVENT)
		return -1;
	h->type = buf[5];
	h->len = (uint32_t)buf[8] << 24 | (uint32_t)buf[9] << 16 | (uint32_t)buf[10] << 8 | buf[11];
	return h->len <= CTL_BODY_MAX ? 0 : -1;
}
