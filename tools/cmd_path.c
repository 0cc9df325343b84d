/*
 * The arithmetic of protection: "20 clear + 20 payload, + 8 ESP + 8 IV + 2 padding + 2 trailer + 16 ICV".
 */
#include <stdio.h>
#include <string.h>
#include "ipsecctl.h"

void
cmd_path_parts(const json_t *parts, const char *proto)
{
	static const struct {
		const char *key, *name;
	} row[] = {{"outer", "outer IP"}, {"udp", "UDP"}, {"header", NULL}, {"iv", "IV"},
	    {"padding", "padding"}, {"trailer", "trailer"}, {"icv", "ICV"}};
	long long clear = json_integer_value(json_object_get(parts, "clear"));

	if (clear)
		printf("%lld clear + ", clear);
	printf("%lld %s", json_integer_value(json_object_get(parts, "payload")),
	    clear ? "payload" : "inner");
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		long long n = json_integer_value(json_object_get(parts, row[i].key));

		if (n)
			printf(" + %lld %s", n,
			    row[i].name		       ? row[i].name
			    : strcmp(proto, "ah") == 0 ? "AH"
						       : "ESP");
	}
}
