#include "fanout.h"

#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

#ifndef PACKET_FANOUT_FLAG_IGNORE_OUTGOING
#define PACKET_FANOUT_FLAG_IGNORE_OUTGOING 0x4000 /* Linux 5.15 */
#endif

#define NAT_T 4500	  /* RFC 3948 */
#define MIX   0x9e3779b1u /* 2^32 over the golden ratio: neighbours come far apart */

#define LOAD(size, at)	   BPF_STMT(BPF_LD | (size) | BPF_ABS, at)
#define LOAD_X(size, at)   BPF_STMT(BPF_LD | (size) | BPF_IND, at) /* behind X */
#define IF_EQ(k, yes, no)  BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, yes, no)
#define IF_SET(k, yes, no) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, k, yes, no)
#define GO(n)		   BPF_JUMP(BPF_JMP | BPF_JA, n, 0, 0)
#define KEEP		   BPF_STMT(BPF_ST, 0)
#define ANSWER		   BPF_STMT(BPF_RET | BPF_A, 0)

/* What cannot be read (a packet that is too short) answers 0. */
static const struct sock_filter program[] = {
    BPF_STMT(BPF_LD | BPF_IMM, 0),
    KEEP, /* M[0]: ports, where they count */
    LOAD(BPF_W, (uint32_t)SKF_AD_OFF + SKF_AD_PROTOCOL),
    IF_EQ(ETH_P_IP, 2, 0),
    IF_EQ(ETH_P_IPV6, 6, 0),
    BPF_STMT(BPF_RET | BPF_K, 0),
    /* 6: IPv4 */
    LOAD(BPF_H, 6),
    IF_SET(0x3fff, 23, 0), /* a fragment: 31 */
    BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
    LOAD(BPF_B, 9),
    GO(3),
    /* 11: IPv6, whose extension headers are not followed */
    BPF_STMT(BPF_LDX | BPF_IMM, 40),
    LOAD(BPF_B, 6),
    IF_EQ(IPPROTO_FRAGMENT, 17, 0), /* 31 */
    /* 14: protocol in A, its header at X */
    IF_EQ(IPPROTO_ESP, 4, 0),
    IF_EQ(IPPROTO_AH, 5, 0),
    IF_EQ(IPPROTO_UDP, 6, 0),
    IF_EQ(IPPROTO_TCP, 11, 0),
    GO(12), /* 31 */
    /* 19: ESP */
    LOAD_X(BPF_W, 0),
    ANSWER,
    /* 21: AH */
    LOAD_X(BPF_W, 4),
    ANSWER,
    /* 23: UDP */
    LOAD_X(BPF_H, 0),
    IF_EQ(NAT_T, 2, 0),
    LOAD_X(BPF_H, 2),
    IF_EQ(NAT_T, 0, 2),
    LOAD_X(BPF_W, 8), /* SPI, or the marker of what is not ESP */
    IF_EQ(0, 0, 16),  /* 45 */
    /* 29: ports count */
    LOAD_X(BPF_W, 0),
    KEEP,
    /* 31: the last words of the addresses; 6, not 4, has the bit set */
    LOAD(BPF_B, 0),
    IF_SET(0x20, 4, 0), /* 37 */
    LOAD(BPF_W, 12),
    BPF_STMT(BPF_MISC | BPF_TAX, 0),
    LOAD(BPF_W, 16),
    GO(3), /* 40 */
    LOAD(BPF_W, 20),
    BPF_STMT(BPF_MISC | BPF_TAX, 0),
    LOAD(BPF_W, 36),
    /* 40 */
    BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0),
    BPF_STMT(BPF_LDX | BPF_MEM, 0),
    BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0),
    BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, MIX),
    BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 20),
    ANSWER,
};

const struct sock_filter *
fanout_program(unsigned *n)
{
	*n = sizeof program / sizeof program[0];
	return program;
}

/* Joins by number ${id}, or a new group: then the kernel finds a number that nobody in the namespace has. */
static int
join(int fd, int id, unsigned flags)
{
	unsigned what = (PACKET_FANOUT_CBPF | flags | (id < 0 ? PACKET_FANOUT_FLAG_UNIQUEID : 0))
			<< 16;
	int value = (int)(what | (id < 0 ? 0 : (unsigned)id));

	return setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &value, sizeof value);
}

int
fanout_join(int fd, int *group)
{
	struct sock_fprog prog = {.filter = (struct sock_filter *)(uintptr_t)program};
	socklen_t len = sizeof *group;

	prog.len = sizeof program / sizeof program[0];
	/* the group hears of frames in its sockets' place, what we send ourselves included, if it is not told */
	if (join(fd, *group, PACKET_FANOUT_FLAG_IGNORE_OUTGOING) == -1 &&
	    (errno != EINVAL || join(fd, *group, 0) == -1))
		return -1;
	if (*group >= 0)
		return 0;
	if (getsockopt(fd, SOL_PACKET, PACKET_FANOUT, group, &len) == -1)
		return -1;
	*group &= 0xffff; /* the kind is above */
	return setsockopt(fd, SOL_PACKET, PACKET_FANOUT_DATA, &prog, sizeof prog);
}
