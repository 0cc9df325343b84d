#include "xdpprog.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "nssock.h"

#define SEND_BUFFER                                                                                \
	(16 << 20) /* more than XSK_SEND frames are to the kernel, which would rather say EAGAIN */

static int map = -1, program = -1; /* the process's: NIC and sockets come and go */

static int
bpf(int cmd, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, cmd, attr, sizeof *attr);
}

static int
make_map(void)
{
	union bpf_attr a;

	memset(&a, 0, sizeof a);
	a.map_type = BPF_MAP_TYPE_XSKMAP;
	a.key_size = a.value_size = sizeof(uint32_t);
	a.max_entries = 1;
	memcpy(a.map_name, "bits_xsk", sizeof "bits_xsk");
	return bpf(BPF_MAP_CREATE, &a);
}

/* return bpf_redirect_map(&map, ctx->rx_queue_index, XDP_DROP) */
static int
make_program(void)
{
	const struct bpf_insn insn[] = {
	    {BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1,
		offsetof(struct xdp_md, rx_queue_index), 0},
	    {BPF_LD | BPF_DW | BPF_IMM, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, map},
	    {0, 0, 0, 0, 0},
	    {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_3, 0, 0, XDP_DROP},
	    {BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_redirect_map},
	    {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
	};
	union bpf_attr a;

	memset(&a, 0, sizeof a);
	a.prog_type = BPF_PROG_TYPE_XDP;
	a.expected_attach_type = BPF_XDP;
	a.insns = (uintptr_t)insn;
	a.insn_cnt = sizeof insn / sizeof *insn;
	a.license = (uintptr_t) "ISC";
	memcpy(a.prog_name, "bits_xdp", sizeof "bits_xdp");
	return bpf(BPF_PROG_LOAD, &a);
}

int
xdpprog_load(void)
{
	int saved;

	if (program != -1)
		return 0;
	if ((map = make_map()) == -1)
		return -1;
	if ((program = make_program()) != -1)
		return 0;
	saved = errno;
	close(map);
	map = -1;
	errno = saved;
	return -1;
}

/* ${fd} gets what comes in on the first queue. */
static int
give(int fd)
{
	uint32_t queue = 0, socket = (uint32_t)fd;
	union bpf_attr a;

	memset(&a, 0, sizeof a);
	a.map_fd = (uint32_t)map;
	a.key = (uintptr_t)&queue;
	a.value = (uintptr_t)&socket;
	return bpf(BPF_MAP_UPDATE_ELEM, &a);
}

int
xdpprog_socket(int netns)
{
	int fd, buffer = SEND_BUFFER, saved;

	if (xdpprog_load() == -1)
		return -1;
	fd = nssock_socket(netns, AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof buffer) == -1)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
	if (give(fd) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

int
xdpprog_hang(int netns, unsigned ifindex, bool generic)
{
	union bpf_attr a;
	int fd, back = -1;

	if (xdpprog_load() == -1 || (netns != -1 && (back = nssock_enter(netns)) == -1))
		return -1;
	memset(&a, 0, sizeof a);
	a.link_create.prog_fd = (uint32_t)program;
	a.link_create.target_ifindex = ifindex;
	a.link_create.attach_type = BPF_XDP;
	a.link_create.flags = generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
	fd = bpf(BPF_LINK_CREATE, &a);
	if (back != -1)
		nssock_leave(back);
	if (fd == -1 && errno == EBUSY)
		errno = EEXIST;
	return fd;
}
