#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "nssock.h"
#include "pksock.h"
#include "rxring.h"
#include "tapflags.h"

#define RECV_BUFFER (8 << 20)
#define SEND_BUFFER (4 << 20)

#define AD(field)	  ((uint32_t)SKF_AD_OFF + SKF_AD_##field)
#define LOAD(field)	  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AD(field))
#define IF_EQ(k, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, yes, no)
#define TAKE		  BPF_STMT(BPF_RET | BPF_K, 0xffffffff)
#define REFUSE		  BPF_STMT(BPF_RET | BPF_K, 0)

/* PKSOCK_IP4, _IP6, _ALL: the socket's protocol says the rest.  The mark says of a frame whose type was changed on its way to the first two
 * that it is ours. */
static struct sock_filter ours[] = {
    LOAD(MARK),
    IF_EQ(NIC_TAKEN_MARK, 4, 0),
    LOAD(PKTTYPE),
    IF_EQ(PACKET_OTHERHOST, 1, 0),
    IF_EQ(PACKET_OUTGOING, 0, 1),
    REFUSE,
    TAKE,
};

/* PKSOCK_REST: a tag with a VLAN id, or neither IPv4 nor IPv6. */
static struct sock_filter rest[] = {
    LOAD(PKTTYPE),
    IF_EQ(PACKET_OTHERHOST, 8, 0),
    IF_EQ(PACKET_OUTGOING, 7, 0),
    LOAD(VLAN_TAG_PRESENT),
    IF_EQ(0, 2, 0),
    LOAD(VLAN_TAG),
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x0fff, 4, 0),
    LOAD(PROTOCOL),
    IF_EQ(ETH_P_IP, 1, 0),
    IF_EQ(ETH_P_IPV6, 0, 1),
    REFUSE,
    TAKE,
};

static int
set(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof value);
}

static int
bind_to(int fd, int ifindex, uint16_t protocol)
{
	struct sockaddr_ll sll = {
	    .sll_family = AF_PACKET,
	    .sll_protocol = htons(protocol),
	    .sll_ifindex = ifindex,
	};

	return bind(fd, (struct sockaddr *)&sll, sizeof sll);
}

/* Frames for multicast addresses that the host's stack joined on the TAP: the NIC cannot know which, so it takes all. */
static int
take_multicast(int fd, int ifindex)
{
	struct packet_mreq mr = {.mr_ifindex = ifindex, .mr_type = PACKET_MR_ALLMULTI};

	return setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &mr, sizeof mr);
}

static int
set_receive(int fd, int ifindex, enum pksock_take take, bool ring)
{
	static const uint16_t protocol[] = {
	    [PKSOCK_IP4] = ETH_P_IP,
	    [PKSOCK_IP6] = ETH_P_IPV6,
	    [PKSOCK_REST] = ETH_P_ALL,
	    [PKSOCK_ALL] = ETH_P_ALL,
	};
	struct sock_fprog prog = {.len = sizeof ours / sizeof ours[0], .filter = ours};

	if (take == PKSOCK_REST)
		prog = (struct sock_fprog){.len = sizeof rest / sizeof rest[0], .filter = rest};
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof prog) == -1 ||
	    set(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1) == -1 ||
	    set(fd, SOL_PACKET, PACKET_AUXDATA, 1) == -1 ||
	    set(fd, SOL_PACKET, PACKET_VNET_HDR, 1) == -1 || take_multicast(fd, ifindex) == -1)
		return -1;
	if (set(fd, SOL_SOCKET, SO_RCVBUFFORCE, RECV_BUFFER) == -1)
		(void)set(fd, SOL_SOCKET, SO_RCVBUF, RECV_BUFFER);
	if (ring && rxring_set(fd) == -1)
		return -1;
	/* last: only now frames come in, and each meets the filter */
	return bind_to(fd, ifindex, protocol[take]);
}

static int
set_send(int fd, int ifindex, int option)
{
	if (set(fd, SOL_PACKET, option, 1) == -1)
		return -1;
	/* what goes by the queues all the same gets past the guard of a NIC that stayed by this */
	(void)set(fd, SOL_SOCKET, SO_MARK, (int)NIC_MARK);
	if (set(fd, SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER) == -1)
		(void)set(fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER);
	return bind_to(fd, ifindex, 0);
}

/* Protocol 0: a socket that receives nothing until it is bound to one. */
static int
make(int netns)
{
	return nssock_socket(netns, AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static int
close_failed(int fd)
{
	int saved = errno;

	close(fd);
	errno = saved;
	return -1;
}

int
pksock_receive(int netns, int ifindex, enum pksock_take take)
{
	int fd = make(netns);

	if (fd != -1 && set_receive(fd, ifindex, take, false) == -1)
		return close_failed(fd);
	return fd;
}

int
pksock_ring(int netns, int ifindex)
{
	int fd = make(netns);

	if (fd != -1 && set_receive(fd, ifindex, PKSOCK_ALL, true) == -1)
		return close_failed(fd);
	return fd;
}

int
pksock_ask(int netns, int ifindex)
{
	int fd = make(netns);

	if (fd != -1 && (take_multicast(fd, ifindex) == -1 || bind_to(fd, ifindex, 0) == -1))
		return close_failed(fd);
	return fd;
}

int
pksock_index(int fd)
{
	struct sockaddr_ll sll;
	socklen_t len = sizeof sll;

	memset(&sll, 0, sizeof sll);
	if (getsockname(fd, (struct sockaddr *)&sll, &len) == -1)
		return -1;
	if (sll.sll_ifindex > 0)
		return sll.sll_ifindex;
	errno = ENODEV;
	return -1;
}

bool
pksock_gone(int fd)
{
	return pksock_index(fd) == -1 && errno == ENODEV;
}

static int
make_send(int netns, int ifindex, int option)
{
	int fd = make(netns);

	if (fd != -1 && set_send(fd, ifindex, option) == -1)
		return close_failed(fd);
	return fd;
}

int
pksock_send(int netns, int ifindex)
{
	return make_send(netns, ifindex, PACKET_QDISC_BYPASS);
}

int
pksock_send_whole(int netns, int ifindex)
{
	return make_send(netns, ifindex, PACKET_VNET_HDR);
}
