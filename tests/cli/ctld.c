/*
 * ctld SOCKET: bitsd's control side alone, for tests of ipsecctl: no NIC, no privileges, records in memory.  Says "ready" on standard output,
 * and ends with its standard input or after five minutes.
 */
#include <event2/event.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "../unit/mem_store.h"
#include "bump.h"
#include "ctl_server.h"
#include "ctl_verb.h"
#include "log.h"

static void
on_input(evutil_socket_t fd, short what, void *arg)
{
	char c;

	if (what & EV_TIMEOUT || read(fd, &c, 1) <= 0)
		event_base_loopbreak(arg);
}

int
main(int argc, char **argv)
{
	static struct mem mem;
	static struct bump bump;
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct nic_opts opts = {.name = "t0"};
	struct timeval limit = {.tv_sec = 300};
	struct event_base *base = event_base_new();
	struct ctl_server_env env = {.base = base, .handle = ctl_verb_handle, .take_fd = ctl_capture_fd, .gone = ctl_capture_gone, .ctx = &bump};
	struct event *in;

	if (argc != 2 || !base || strlen(argv[1]) >= sizeof sun.sun_path)
		return 2;
	log_init("ctld", true, 0, NULL);
	json_set_alloc_funcs(malloc, wipebuf_release);
	strcpy(sun.sun_path, argv[1]);
	env.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (env.fd < 0 || bind(env.fd, (struct sockaddr *)&sun, sizeof sun) < 0 ||
	    listen(env.fd, 8) < 0) {
		perror(argv[1]);
		return 1;
	}
	if (bump_new(&bump, base, &opts, mem_keeper(&mem, "aa")) < 0 ||
	    (bump.ctl = ctl_server_new(&env)) == NULL)
		return 1;
	in = event_new(base, STDIN_FILENO, EV_READ | EV_PERSIST, on_input, base);
	if (!in || event_add(in, &limit) < 0)
		return 1;
	puts("ready");
	fflush(stdout);
	event_base_dispatch(base);
	event_free(in);
	ctl_server_free(bump.ctl);
	bump.ctl = NULL;
	bump_free(&bump);
	event_base_free(base);
	unlink(argv[1]);
	return 0;
}
