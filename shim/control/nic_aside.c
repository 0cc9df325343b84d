/*
 * Frames of a NIC in its own namespace are for our sockets alone, but the stack of that namespace sees each one too: it looks for
 * a route, finds none, and throws it away, which was a tenth of a worker's time.  A program at the NIC's ingress (tc, direct
 * action) says of each frame that it is for another host: then IP, IPv6 and ARP let go of it before they do anything, and packet
 * sockets get it all the same.  So that those can still tell who a frame was for, what we want is marked (NIC_TAKEN_MARK), and what
 * is for another host or of a VLAN is left as it is.
 *
 * The program is loaded while we still may (bpf(2) is not among the system calls we keep), and hung onto the NIC each time it is taken.
 * A device that changes its namespace loses it with its queueing disciplines, so there is nothing to give back.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include "log.h"
#include "nic_int.h"
#include "tapflags.h"

#define VID 0x0fff /* of a tag: the VLAN; 0: only a priority */

#define INSN(c, d, s, o, i)                                                                        \
	((struct bpf_insn){                                                                        \
	    .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (int)(i)})
#define LOAD(d, field)                                                                             \
	INSN(BPF_LDX | BPF_MEM | BPF_W, d, BPF_REG_6, offsetof(struct __sk_buff, field), 0)
#define SET(d, i)		 INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define COPY(d, s)		 INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define IF_EQUAL(d, i, skip)	 INSN(BPF_JMP | BPF_JEQ | BPF_K, d, 0, skip, i)
#define IF_NOT_EQUAL(d, i, skip) INSN(BPF_JMP | BPF_JNE | BPF_K, d, 0, skip, i)

static int program = -1; /* the process's: a NIC comes and goes */

void
nic_aside_load(void)
{
	const struct bpf_insn insn[] = {
	    COPY(BPF_REG_6, BPF_REG_1),
	    LOAD(BPF_REG_0, pkt_type),
	    IF_EQUAL(BPF_REG_0, PACKET_OTHERHOST, 8),
	    LOAD(BPF_REG_0, vlan_tci),
	    INSN(BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_0, 0, 0, VID),
	    IF_NOT_EQUAL(BPF_REG_0, 0, 5),
	    SET(BPF_REG_2, NIC_TAKEN_MARK),
	    INSN(BPF_STX | BPF_MEM | BPF_W, BPF_REG_6, BPF_REG_2, offsetof(struct __sk_buff, mark),
		0),
	    COPY(BPF_REG_1, BPF_REG_6),
	    SET(BPF_REG_2, PACKET_OTHERHOST),
	    INSN(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_skb_change_type),
	    SET(BPF_REG_0, TC_ACT_UNSPEC), /* whatever else is there goes on */
	    INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};
	union bpf_attr attr;

	memset(&attr, 0, sizeof attr);
	attr.prog_type = BPF_PROG_TYPE_SCHED_CLS;
	attr.insns = (uintptr_t)insn;
	attr.insn_cnt = sizeof insn / sizeof *insn;
	attr.license = (uintptr_t) "ISC";
	memcpy(attr.prog_name, "bits_aside", sizeof "bits_aside");
	program = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr);
	if (program == -1)
		log_debug("nic", "no program for the ingress: %s", strerror(errno));
}

/* A place for programs at the device's ingress; one that is there already is as good. */
static int
make_place(struct netlink *nl, unsigned index)
{
	struct tcmsg tc = {.tcm_ifindex = (int)index,
	    .tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0),
	    .tcm_parent = TC_H_CLSACT};
	struct nlmsghdr *nlh =
	    netlink_request(nl, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, &tc, sizeof tc);

	mnl_attr_put_strz(nlh, TCA_KIND, "clsact");
	return netlink_talk(nl, nlh) == -1 && errno != EEXIST ? -1 : 0;
}

/* The program of an earlier start, which has this place and number, is replaced. */
static int
hang_up(struct netlink *nl, unsigned index)
{
	struct tcmsg tc = {.tcm_ifindex = (int)index,
	    .tcm_handle = 1,
	    .tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS),
	    .tcm_info = TC_H_MAKE(1u << 16, htons(ETH_P_ALL))};
	struct nlmsghdr *nlh = netlink_request(nl, RTM_NEWTFILTER, NLM_F_CREATE, &tc, sizeof tc);
	struct nlattr *options;

	mnl_attr_put_strz(nlh, TCA_KIND, "bpf");
	options = mnl_attr_nest_start(nlh, TCA_OPTIONS);
	mnl_attr_put_u32(nlh, TCA_BPF_FD, (uint32_t)program);
	mnl_attr_put_strz(nlh, TCA_BPF_NAME, "bits_aside");
	mnl_attr_put_u32(nlh, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
	mnl_attr_nest_end(nlh, options);
	return netlink_talk(nl, nlh);
}

int
nic_aside(struct netlink *nl, unsigned index)
{
	if (program == -1) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return make_place(nl, index) == -1 ? -1 : hang_up(nl, index);
}
