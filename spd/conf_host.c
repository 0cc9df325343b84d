/*
 * What stands behind from, to, port, proto, local and peer.
 */
#include <stdlib.h>
#include <string.h>
#include "conf_int.h"

#define RESOLVE_MAX 64 /* addresses one name may have */

static int
host_add(struct parser *p, struct hosts *h, const struct iprange *r)
{
	struct iprange *v = list_grow(h->r, h->n, &h->cap, sizeof *v);

	if (v == NULL)
		return conf_nomem(p);
	h->r = v;
	v[h->n++] = *r;
	return 0;
}

/* The addresses of name ${t} without its "/prefix"; number of them, or -1 reported. */
static int
names(struct parser *p, const struct token *t, const char *name, struct ipaddr *a)
{
	static const char hint[] =
	    "an address, a.b.c.d/len, a-b, any, or the name of a host or interface";
	int n;

	if (t->kind == TOKEN_WORD && conf_reserved(name))
		return conf_error(p, t, hint, "an address is missing");
	if (p->o->resolve == NULL || name[0] == '\0' || strchr(name, '/') != NULL)
		return conf_error(p, t,
		    p->o->resolve == NULL ? "an address, a.b.c.d/len, a-b or any" : hint,
		    "this is no address");
	n = p->o->resolve(p->o->ctx, name, a, RESOLVE_MAX);
	if (n <= 0)
		return conf_error(p, t, hint, "no host or interface of this name has an address");
	return n < RESOLVE_MAX ? n : RESOLVE_MAX;
}

/* name/len: each address of the name that the length fits. */
static int
host_prefix(
    struct parser *p, const struct token *t, struct hosts *h, const char *name, const char *len)
{
	struct ipaddr a[RESOLVE_MAX];
	char text[IPADDR_STRLEN + 8];
	struct iprange r;
	uint64_t bits;
	int n;

	if (number_parse(len, NULL, &bits) == -1 || bits > 128)
		return conf_error(
		    p, t, "0 to 32 for IPv4, 0 to 128 for IPv6", "the prefix length is wrong");
	if ((n = names(p, t, name, a)) == -1)
		return -1;
	for (int i = 0; i < n; i++) {
		char buf[IPADDR_STRLEN];

		if (bits > 8 * ipaddr_len(&a[i]))
			continue;
		snprintf(text, sizeof text, "%s/%u", ipaddr_print(&a[i], buf), (unsigned)bits);
		if (iprange_parse(text, &r) == 0 && host_add(p, h, &r) == -1)
			return -1;
	}
	return 0;
}

static int
host_item(struct parser *p, const struct token *t, void *arg)
{
	const char *text = token_text(p, t), *slash;
	struct ipaddr a[RESOLVE_MAX];
	struct hosts *h = arg;
	struct iprange r;
	char name[256];
	int n;

	if (token_punct(p, '('))
		return conf_error(p, t, "NAT is the host's own matter",
		    "source NAT, host (address), is not supported here");
	switch (iprange_parse(text, &r)) {
	case 0:
		return host_add(p, h, &r);
	case -2:
		return conf_error(p, t,
		    "a-b with a below b and of one family; /0 to /32 for IPv4, /128 for IPv6",
		    "the range runs backwards or mixes families, or the prefix is too long");
	}
	if ((slash = strchr(text, '/')) != NULL && (size_t)(slash - text) < sizeof name) {
		memcpy(name, text, (size_t)(slash - text));
		name[slash - text] = '\0';
		return host_prefix(p, t, h, name, slash + 1);
	}
	if ((n = names(p, t, text, a)) == -1)
		return -1;
	for (int i = 0; i < n; i++) {
		r.lo = r.hi = a[i];
		if (host_add(p, h, &r) == -1)
			return -1;
	}
	return 0;
}

int
host_list(struct parser *p, struct hosts *h)
{
	return token_list(p, "an address", host_item, h);
}

int
host_address(struct parser *p, const char *what, unsigned af, struct ipaddr *a)
{
	const struct token *t = token_peek(p);
	struct ipaddr all[RESOLVE_MAX];
	int n;

	if (t->kind == TOKEN_PUNCT)
		return conf_error(p, t, NULL, "%s is one address, no list", what);
	if ((t = token_word(p, what)) == NULL)
		return -1;
	memset(a, 0, sizeof *a);
	if (strcmp(token_text(p, t), "any") == 0 || ipaddr_parse(token_text(p, t), a) == 0)
		return 0;
	if (strchr(token_text(p, t), '/') != NULL)
		return conf_error(p, t, NULL, "%s is one address, no prefix", what);
	if ((n = names(p, t, token_text(p, t), all)) == -1)
		return -1;
	*a = all[0];
	for (int i = n - 1; i >= 0; i--)
		if (all[i].af == af)
			*a = all[i];
	return 0;
}

/* As in IANA's registry; a table of our own, so that a file means the same on every host. */
static const struct {
	const char *name;
	uint16_t port;
} services[] = {
    {"bgp", 179},
    {"biff", 512},
    {"bootpc", 68},
    {"bootps", 67},
    {"chargen", 19},
    {"daytime", 13},
    {"dhcpv6-client", 546},
    {"dhcpv6-server", 547},
    {"discard", 9},
    {"domain", 53},
    {"domain-s", 853},
    {"echo", 7},
    {"finger", 79},
    {"ftp", 21},
    {"ftp-data", 20},
    {"ftps", 990},
    {"git", 9418},
    {"gopher", 70},
    {"http", 80},
    {"http-alt", 8080},
    {"https", 443},
    {"imap", 143},
    {"imaps", 993},
    {"ipp", 631},
    {"ipsec-nat-t", 4500},
    {"ipsec-msft", 4500},
    {"isakmp", 500},
    {"iscsi-target", 3260},
    {"kerberos", 88},
    {"l2tp", 1701},
    {"ldap", 389},
    {"ldaps", 636},
    {"microsoft-ds", 445},
    {"ms-sql-s", 1433},
    {"mysql", 3306},
    {"netbios-dgm", 138},
    {"netbios-ns", 137},
    {"netbios-ssn", 139},
    {"nfs", 2049},
    {"nntp", 119},
    {"ntp", 123},
    {"openvpn", 1194},
    {"pop3", 110},
    {"pop3s", 995},
    {"postgresql", 5432},
    {"pptp", 1723},
    {"radius", 1812},
    {"radius-acct", 1813},
    {"rsync", 873},
    {"rtsp", 554},
    {"sip", 5060},
    {"sip-tls", 5061},
    {"smtp", 25},
    {"snmp", 161},
    {"snmp-trap", 162},
    {"snmptrap", 162},
    {"socks", 1080},
    {"ssh", 22},
    {"submission", 587},
    {"submissions", 465},
    {"sunrpc", 111},
    {"syslog", 514},
    {"syslog-tls", 6514},
    {"tacacs", 49},
    {"telnet", 23},
    {"tftp", 69},
    {"time", 37},
    {"whois", 43},
    {"www", 80},
    {"xmpp-client", 5222},
    {"xmpp-server", 5269},
};

int
service_number(const char *name)
{
	for (size_t i = 0; i < sizeof services / sizeof services[0]; i++)
		if (strcmp(services[i].name, name) == 0)
			return services[i].port;
	return -1;
}

const char *
service_name(unsigned port)
{
	if (port == 80)
		return "www"; /* as OpenBSD has it; http is the other name */
	for (size_t i = 0; i < sizeof services / sizeof services[0]; i++)
		if (services[i].port == port)
			return services[i].name;
	return NULL;
}

/* One end of a range, ${len} octets of text. */
static int
port_one(const char *s, size_t len, uint16_t *port)
{
	char name[32];
	uint64_t v;
	int n;

	if (number_parse(s, s + len, &v) == 0) {
		*port = (uint16_t)v;
		return v <= 65535 ? 0 : -1;
	}
	if (len >= sizeof name)
		return -1;
	memcpy(name, s, len);
	name[len] = '\0';
	if ((n = service_number(name)) == -1)
		return -1;
	*port = (uint16_t)n;
	return 0;
}

static int
port_item(struct parser *p, const struct token *t, void *arg)
{
	const char *s = token_text(p, t), *dash;
	uint8_t match = MATCH_RANGE;
	struct portrange r = {0, 0};
	struct ports *l = arg;
	void *v;

	if (strcmp(s, "any") == 0)
		match = MATCH_ANY;
	else if (strcmp(s, "opaque") == 0)
		match = MATCH_OPAQUE;
	else if (port_one(s, t->len, &r.lo) == 0)
		r.hi = r.lo;
	else if ((dash = strchr(s, '-')) == NULL || port_one(s, (size_t)(dash - s), &r.lo) == -1 ||
		 port_one(dash + 1, t->len - (size_t)(dash + 1 - s), &r.hi) == -1)
		return conf_error(p, t, "0 to 65535, a range a-b, a service's name, any or opaque",
		    "this is no port");
	if (r.lo > r.hi)
		return conf_error(p, t, NULL, "the range of ports runs backwards");
	if ((v = list_grow(l->p, l->n, &l->cap, sizeof l->p[0])) == NULL)
		return conf_nomem(p);
	l->p = v;
	l->p[l->n].match = match;
	l->p[l->n++].r = r;
	return 0;
}

int
port_list(struct parser *p, struct ports *l)
{
	return token_list(p, "a port", port_item, l);
}

static int
proto_item(struct parser *p, const struct token *t, void *arg)
{
	const char *s = token_text(p, t);
	bool any = strcmp(s, "any") == 0, opaque = strcmp(s, "opaque") == 0;
	struct protos *l = arg;
	uint64_t number = 0;
	int n = any || opaque ? 0 : proto_number(s);
	void *v;

	if (n == -1) {
		if (number_parse(s, NULL, &number) == -1 || number > 255)
			return conf_error(p, t,
			    "a name such as tcp, udp, icmp, icmp6, or 0 to 255, any or opaque",
			    "this is no protocol");
		n = (int)number;
	}
	if ((v = list_grow(l->p, l->n, &l->cap, sizeof l->p[0])) == NULL)
		return conf_nomem(p);
	l->p = v;
	l->p[l->n].proto = (uint8_t)n;
	l->p[l->n].opaque = opaque;
	l->p[l->n++].any = any;
	return 0;
}

int
proto_list(struct parser *p, struct protos *l)
{
	return token_list(p, "a protocol", proto_item, l);
}
