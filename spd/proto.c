#include <string.h>
#include "selector.h"

/*
 * Names as in OpenBSD's and Debian's /etc/protocols, where they agree; the first row of a number is the one that is
 * printed.  A table of our own: what a file means must not hang on what a host's administrator wrote into another.
 */
static const struct {
	uint8_t number;
	const char *name;
} protos[] = {
    {1, "icmp"},
    {2, "igmp"},
    {4, "ipencap"},
    {4, "ipip"},
    {6, "tcp"},
    {17, "udp"},
    {33, "dccp"},
    {41, "ipv6"},
    {46, "rsvp"},
    {47, "gre"},
    {50, "esp"},
    {51, "ah"},
    {58, "ipv6-icmp"},
    {58, "icmp6"},
    {88, "eigrp"},
    {89, "ospf"},
    {97, "etherip"},
    {103, "pim"},
    {108, "ipcomp"},
    {112, "carp"},
    {112, "vrrp"},
    {115, "l2tp"},
    {132, "sctp"},
    {135, "mobility-header"},
    {135, "mh"},
    {136, "udplite"},
    {137, "mpls-in-ip"},
};

const char *
proto_name(unsigned p)
{
	for (size_t i = 0; i < sizeof protos / sizeof *protos; i++)
		if (protos[i].number == p)
			return protos[i].name;
	return NULL;
}

int
proto_number(const char *name)
{
	for (size_t i = 0; i < sizeof protos / sizeof *protos; i++)
		if (strcmp(protos[i].name, name) == 0)
			return protos[i].number;
	return -1;
}

bool
proto_has_ports(unsigned p)
{
	return p == 6 || p == 17 || p == 33 || p == 132 || p == 136;
}
