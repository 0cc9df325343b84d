/*
 * UDP datagrams at a rate, and how many of them arrive: what tools/bench/run counts packets with.
 *
 *     bits_bench_udp receive PORT SECONDS               counts until nothing came for 200 ms, at most SECONDS; prints the number
 *     bits_bench_udp send ADDRESS PORT OCTETS RATE SECONDS      RATE a second, 0: as fast as it goes; prints the number
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH	   64
#define OCTETS_MAX 9000

static struct mmsghdr message[BATCH];
static struct iovec piece[BATCH];

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int
die(const char *what)
{
	perror(what);
	return 1;
}

/* All messages of a batch share one buffer: nobody reads what is in them. */
static void
prepare(size_t octets, struct sockaddr_in *to)
{
	static char buffer[OCTETS_MAX];

	for (int i = 0; i < BATCH; i++) {
		piece[i] = (struct iovec){buffer, octets};
		message[i].msg_hdr.msg_iov = &piece[i];
		message[i].msg_hdr.msg_iovlen = 1;
		message[i].msg_hdr.msg_name = to;
		message[i].msg_hdr.msg_namelen = to ? sizeof *to : 0;
	}
}

static int
receive(int fd, uint16_t port, double seconds)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct timeval wait = {.tv_usec = 200000};
	double end = now() + seconds;
	unsigned long got = 0;
	int n, room = 16 << 20;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) < 0 ||
	    bind(fd, (struct sockaddr *)&any, sizeof any) < 0)
		return die("bind");
	printf("ready\n");
	fflush(stdout);
	prepare(OCTETS_MAX, NULL);
	while (now() < end) {
		n = recvmmsg(fd, message, BATCH, MSG_WAITFORONE, NULL);
		if (n > 0)
			got += (unsigned)n;
		else if (got > 0)
			break;
	}
	printf("%lu\n", got);
	return 0;
}

static int
send_at(int fd, struct sockaddr_in *to, size_t octets, double rate, double seconds)
{
	double begin = now(), end = begin + seconds;
	unsigned long sent = 0;

	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	prepare(octets, to);
	for (double t = begin; t < end; t = now()) {
		double due = rate > 0 ? (t - begin) * rate + 1 - (double)sent : BATCH;
		int n;

		if (due < 1) {
			struct timespec pause = {.tv_nsec = 50000}; /* so several go at once */

			nanosleep(&pause, NULL);
			continue;
		}
		n = sendmmsg(fd, message, due < BATCH ? (unsigned)due : BATCH, 0);
		if (n > 0)
			sent += (unsigned)n;
	}
	printf("%lu %.6f\n", sent, now() - begin);
	return 0;
}

int
main(int argc, char **argv)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0)
		return die("socket");
	if (argc == 4 && strcmp(argv[1], "receive") == 0)
		return receive(fd, (uint16_t)atoi(argv[2]), atof(argv[3]));
	if (argc == 7 && strcmp(argv[1], "send") == 0 &&
	    inet_pton(AF_INET, argv[2], &to.sin_addr) == 1) {
		size_t octets = (size_t)atol(argv[4]);

		to.sin_port = htons((uint16_t)atoi(argv[3]));
		return send_at(fd, &to, octets < OCTETS_MAX ? octets : OCTETS_MAX, atof(argv[5]),
		    atof(argv[6]));
	}
	fprintf(stderr,
	    "usage: bits_bench_udp receive PORT SECONDS | send ADDRESS PORT OCTETS RATE SECONDS\n");
	return 2;
}
