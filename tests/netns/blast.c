/*
 * blast NIC FILE.pcap SECONDS [RATE]: sends the file's frames over and over, RATE a second or as fast as the wire takes them, and prints how
 * many went out and how many a second that is.  For floods that a script is too slow for.
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { FRAMES_MAX = 4096, BURST = 64 };

static struct mmsghdr msg[FRAMES_MAX];
static struct iovec iov[FRAMES_MAX];

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "blast: %s: %s\n", what, why);
	exit(1);
}

static double
now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* The frames of ${path} into msg[]; how many. */
static unsigned
frames_read(const char *path)
{
	char err[PCAP_ERRBUF_SIZE];
	pcap_t *file = pcap_open_offline(path, err);
	struct pcap_pkthdr *h;
	const u_char *octets;
	unsigned n = 0;

	if (file == NULL)
		die(path, err);
	while (n < FRAMES_MAX && pcap_next_ex(file, &h, &octets) == 1) {
		iov[n].iov_len = h->caplen;
		if ((iov[n].iov_base = malloc(h->caplen)) == NULL)
			die(path, strerror(errno));
		memcpy(iov[n].iov_base, octets, h->caplen);
		msg[n].msg_hdr.msg_iov = &iov[n];
		msg[n].msg_hdr.msg_iovlen = 1;
		n++;
	}
	pcap_close(file);
	if (n == 0)
		die(path, "no frame in it");
	return n;
}

static int
wire_open(const char *nic)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(nic)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), on = 1;

	if (to.sll_ifindex == 0 || fd == -1 || bind(fd, (struct sockaddr *)&to, sizeof to) == -1)
		die(nic, strerror(errno));
	setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on);
	return fd;
}

int
main(int argc, char **argv)
{
	unsigned n, at = 0;
	unsigned long long sent = 0;
	double start, end, rate;
	int fd;

	if ((argc != 4 && argc != 5) || atof(argv[3]) <= 0) {
		fprintf(stderr, "usage: blast NIC FILE.pcap SECONDS [RATE]\n");
		return 2;
	}
	n = frames_read(argv[2]);
	fd = wire_open(argv[1]);
	rate = argc == 5 ? atof(argv[4]) : 0;
	start = now_s();
	end = start + atof(argv[3]);
	while (now_s() < end) {
		int took;

		if (rate > 0 && (double)sent > rate * (now_s() - start)) {
			nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
			continue;
		}
		took = sendmmsg(fd, &msg[at], n - at < BURST ? n - at : BURST, 0);

		if (took == -1 && errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
			die(argv[1], strerror(errno));
		took = took == -1 ? 0 : took;
		sent += (unsigned)took;
		at = (at + (unsigned)took) % n;
	}
	printf("%llu frames, %.0f a second\n", sent, (double)sent / (now_s() - start));
	return 0;
}
