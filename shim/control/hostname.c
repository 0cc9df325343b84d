#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>
#include "hostname.h"

/* Appends ${sa}'s address unless it is there; n, or n + 1. */
static int
add(struct ipaddr *out, int n, int cap, const struct sockaddr *sa)
{
	struct ipaddr a;

	if (!sa || n >= cap)
		return n;
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)sa;

		a = ipaddr_from(4, (const uint8_t *)&in->sin_addr);
	} else if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)sa;

		a = ipaddr_from(6, in6->sin6_addr.s6_addr);
	} else {
		return n;
	}
	for (int i = 0; i < n; i++)
		if (ipaddr_eq(&out[i], &a))
			return n;
	out[n] = a;
	return n + 1;
}

static int
of_interface(const char *name, struct ipaddr *out, int cap)
{
	struct ifaddrs *list;
	int n = 0;

	if (getifaddrs(&list) < 0)
		return -1;
	for (struct ifaddrs *i = list; i; i = i->ifa_next)
		if (strcmp(i->ifa_name, name) == 0)
			n = add(out, n, cap, i->ifa_addr);
	freeifaddrs(list);
	return n;
}

int
hostname_resolve(void *ctx, const char *name, struct ipaddr *out, int cap)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list;
	int n = 0;

	if (if_nametoindex(name) > 0)
		return of_interface(name, out, cap);
	if (getaddrinfo(name, NULL, &hints, &list) != 0)
		return -1;
	for (struct addrinfo *i = list; i; i = i->ai_next)
		n = add(out, n, cap, i->ai_addr);
	freeaddrinfo(list);
	return n > 0 ? n : -1;
}
