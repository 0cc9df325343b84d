/*
 * Ways to send and receive on a NIC: what each costs a frame, in ns of this thread's time, the kernel's way from one end of a veth pair to the
 * other included.
 *
 *     sudo bits_bench_wire [OCTETS]
 *
 * One thread sends a burst of 64 from one end and takes it in at the other, so that nothing is woken up and nobody waits ("both"); each figure
 * is the best of some rounds.  Then a thread sends and another, on another processor, receives, and neither ever sleeps: ns a frame by the
 * clock ("two"; on an idle machine only).  In a network namespace of its own, which goes with it.
 *
 *   sendmmsg   AF_PACKET, past the queueing discipline          recvmmsg   AF_PACKET as bitsd has it: vnet header, auxiliary data
 *   xdp        AF_XDP, copied                                   ring2      TPACKET_V2, a slot a frame
 *                                                               ring3      TPACKET_V3, blocks of frames (timeout 1 ms)
 *                                                               xdp        AF_XDP, copied, program in the driver
 *                                                               xdp-skb    the same, program behind the driver ("generic")
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <linux/if_xdp.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
	BURST = 64,
	ROUNDS = 7,
	BURSTS = 400,
	FRAME = 2048,
	FRAMES = 1024,
	RING = 512,
	BLOCK = 1 << 17,
	BLOCKS = 8
};

static uint8_t frame[FRAME], in[BURST][FRAME];
static uint32_t octets = 1450;

static void
die(const char *what)
{
	perror(what);
	exit(1);
}

static double
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void
set(int fd, int level, int option, const void *v, socklen_t len)
{
	if (setsockopt(fd, level, option, v, len) == -1)
		die("setsockopt");
}

static void
set_int(int fd, int level, int option, int v)
{
	set(fd, level, option, &v, sizeof v);
}

static void
bind_packet(int fd, const char *nic, uint16_t protocol)
{
	struct sockaddr_ll sll = {.sll_family = AF_PACKET, .sll_protocol = htons(protocol)};

	sll.sll_ifindex = (int)if_nametoindex(nic);
	if (bind(fd, (struct sockaddr *)&sll, sizeof sll) == -1)
		die("bind");
}

static int
packet(void)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1)
		die("AF_PACKET");
	return fd;
}

enum { FILL, DONE, RX, TX };

/* AF_XDP: a socket, its memory and its four rings. */
struct ring {
	uint32_t *producer, *consumer;
	void *desc;
	uint8_t *map; /* which keeps the socket open, as long as it is there */
	size_t len;
};

struct xsk {
	int fd, map, prog, link;
	uint8_t *memory;
	struct ring ring[4];
};

static struct ring
map_ring(int fd, const struct xdp_ring_offset *o, uint64_t at, size_t desc)
{
	size_t len = o->desc + RING * desc;
	uint8_t *p =
	    mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, (off_t)at);

	if (p == MAP_FAILED)
		die("ring of AF_XDP");
	return (struct ring){(uint32_t *)(void *)(p + o->producer),
	    (uint32_t *)(void *)(p + o->consumer), p + o->desc, p, len};
}

static void
xsk_open(struct xsk *x, const char *nic, bool receive)
{
	struct xdp_umem_reg reg = {.len = FRAMES * FRAME, .chunk_size = FRAME};
	struct sockaddr_xdp a = {.sxdp_family = AF_XDP, .sxdp_flags = XDP_COPY};
	struct xdp_mmap_offsets o;
	socklen_t len = sizeof o;

	a.sxdp_ifindex = if_nametoindex(nic);
	x->memory = mmap(NULL, FRAMES * FRAME, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	reg.addr = (uintptr_t)x->memory;
	if ((x->fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0)) == -1)
		die("AF_XDP");
	set(x->fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof reg);
	set_int(x->fd, SOL_XDP, XDP_UMEM_FILL_RING, RING);
	set_int(x->fd, SOL_XDP, XDP_UMEM_COMPLETION_RING, RING);
	set_int(x->fd, SOL_XDP, receive ? XDP_RX_RING : XDP_TX_RING, RING);
	if (getsockopt(x->fd, SOL_XDP, XDP_MMAP_OFFSETS, &o, &len) == -1)
		die("AF_XDP offsets");
	x->ring[FILL] = map_ring(x->fd, &o.fr, XDP_UMEM_PGOFF_FILL_RING, sizeof(uint64_t));
	x->ring[DONE] = map_ring(x->fd, &o.cr, XDP_UMEM_PGOFF_COMPLETION_RING, sizeof(uint64_t));
	if (receive)
		x->ring[RX] = map_ring(x->fd, &o.rx, XDP_PGOFF_RX_RING, sizeof(struct xdp_desc));
	else
		x->ring[TX] = map_ring(x->fd, &o.tx, XDP_PGOFF_TX_RING, sizeof(struct xdp_desc));
	/* what had the queue before is let go of a little later than it is closed */
	for (int i = 0; bind(x->fd, (struct sockaddr *)&a, sizeof a) == -1; i++) {
		if (errno != EBUSY || i == 100)
			die("bind AF_XDP");
		usleep(10000);
	}
}

static int
bpf(int cmd, union bpf_attr *attr)
{
	int r = (int)syscall(SYS_bpf, cmd, attr, sizeof *attr);

	if (r == -1)
		die("bpf");
	return r;
}

/* All that comes in on ${nic} goes to ${x}. */
static void
xsk_redirect(struct xsk *x, const char *nic, uint32_t flags)
{
	union bpf_attr a = {0};
	uint32_t key = 0;

	a.map_type = BPF_MAP_TYPE_XSKMAP;
	a.key_size = a.value_size = 4;
	a.max_entries = 1;
	x->map = bpf(BPF_MAP_CREATE, &a);
	memset(&a, 0, sizeof a);
	a.map_fd = (uint32_t)x->map;
	a.key = (uintptr_t)&key;
	a.value = (uintptr_t)&x->fd;
	bpf(BPF_MAP_UPDATE_ELEM, &a);

	const struct bpf_insn insn[] = {
	    {BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1,
		offsetof(struct xdp_md, rx_queue_index), 0},
	    {BPF_LD | BPF_DW | BPF_IMM, BPF_REG_1, BPF_PSEUDO_MAP_FD, 0, x->map},
	    {0, 0, 0, 0, 0},
	    {BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_3, 0, 0, XDP_PASS},
	    {BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_redirect_map},
	    {BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
	};

	memset(&a, 0, sizeof a);
	a.prog_type = BPF_PROG_TYPE_XDP;
	a.insns = (uintptr_t)insn;
	a.insn_cnt = sizeof insn / sizeof *insn;
	a.license = (uintptr_t) "ISC";
	x->prog = bpf(BPF_PROG_LOAD, &a);
	memset(&a, 0, sizeof a);
	a.link_create.prog_fd = (uint32_t)x->prog;
	a.link_create.target_ifindex = if_nametoindex(nic);
	a.link_create.attach_type = BPF_XDP;
	a.link_create.flags = flags;
	x->link = bpf(BPF_LINK_CREATE, &a);
}

static void
xsk_close(struct xsk *x)
{
	if (x->link > 0) {
		close(x->link);
		close(x->prog);
		close(x->map);
	}
	for (struct ring *r = x->ring; r < x->ring + 4; r++) {
		if (r->map)
			munmap(r->map, r->len);
		*r = (struct ring){0};
	}
	close(x->fd);
	munmap(x->memory, FRAMES * FRAME);
}

/* Sends a burst; takes a burst in, and says how many came. */
struct way {
	const char *name;
	void (*open)(void);
	unsigned (*go)(void);
	void (*close)(void);
};

static int out, from;
static struct mmsghdr omsg[BURST], imsg[BURST];
static struct iovec oiov[BURST], iiov[BURST][2];
static uint8_t head[BURST][10], aux[BURST][64];
static uint8_t *map;
static unsigned slot;
static struct xsk tx, rx;
static uint64_t chunk;

static void
open_sendmmsg(void)
{
	out = packet();
	set_int(out, SOL_PACKET, PACKET_QDISC_BYPASS, 1);
	bind_packet(out, "w0", 0);
	for (int i = 0; i < BURST; i++) {
		oiov[i] = (struct iovec){frame, octets};
		omsg[i].msg_hdr = (struct msghdr){.msg_iov = &oiov[i], .msg_iovlen = 1};
	}
}

static unsigned
go_sendmmsg(void)
{
	return sendmmsg(out, omsg, BURST, MSG_DONTWAIT) == BURST ? BURST : 0;
}

static void
close_out(void)
{
	close(out);
}

static void
open_txp(void)
{
	xsk_open(&tx, "w0", false);
	chunk = 0;
}

static unsigned
go_txp(void)
{
	uint32_t at = *tx.ring[TX].producer;

	for (int i = 0; i < BURST; i++) {
		struct xdp_desc *d = (struct xdp_desc *)tx.ring[TX].desc + (at++ & (RING - 1));

		*d = (struct xdp_desc){.addr = chunk++ % FRAMES * FRAME, .len = octets};
		memcpy(tx.memory + d->addr, frame, octets);
	}
	__atomic_store_n(tx.ring[TX].producer, at, __ATOMIC_RELEASE);
	while (__atomic_load_n(tx.ring[TX].consumer, __ATOMIC_ACQUIRE) != at)
		if (sendto(tx.fd, NULL, 0, MSG_DONTWAIT, NULL, 0) == -1 && errno != EAGAIN &&
		    errno != EBUSY)
			die("AF_XDP send");
	__atomic_store_n(tx.ring[DONE].consumer,
	    __atomic_load_n(tx.ring[DONE].producer, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
	return BURST;
}

static void
close_txp(void)
{
	xsk_close(&tx);
}

static void
open_from(void)
{
	from = packet();
	set_int(from, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
}

static void
open_recvmmsg(void)
{
	open_from();
	set_int(from, SOL_PACKET, PACKET_AUXDATA, 1);
	set_int(from, SOL_PACKET, PACKET_VNET_HDR, 1);
	set_int(from, SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20);
	bind_packet(from, "w1", ETH_P_IP);
	for (int i = 0; i < BURST; i++) {
		iiov[i][0] = (struct iovec){head[i], sizeof head[i]};
		iiov[i][1] = (struct iovec){in[i], sizeof in[i]};
		imsg[i].msg_hdr =
		    (struct msghdr){.msg_iov = iiov[i], .msg_iovlen = 2, .msg_control = aux[i]};
	}
}

static unsigned
go_recvmmsg(void)
{
	int n;

	for (int i = 0; i < BURST; i++)
		imsg[i].msg_hdr.msg_controllen = sizeof aux[i];
	n = recvmmsg(from, imsg, BURST, MSG_DONTWAIT, NULL);
	return n > 0 ? (unsigned)n : 0;
}

static void
open_ring(int version, void *req, socklen_t len)
{
	open_from();
	set_int(from, SOL_PACKET, PACKET_VERSION, version);
	set_int(from, SOL_PACKET, PACKET_VNET_HDR, 1);
	set(from, SOL_PACKET, PACKET_RX_RING, req, len);
	map = mmap(NULL, (size_t)BLOCK * BLOCKS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
	    from, 0);
	if (map == MAP_FAILED)
		die("ring");
	slot = 0;
	bind_packet(from, "w1", ETH_P_IP);
}

static void
open_ring2(void)
{
	struct tpacket_req req = {.tp_block_size = BLOCK,
	    .tp_block_nr = BLOCKS,
	    .tp_frame_size = FRAME,
	    .tp_frame_nr = BLOCK / FRAME * BLOCKS};

	open_ring(TPACKET_V2, &req, sizeof req);
}

static void
open_ring3(void)
{
	struct tpacket_req3 req = {.tp_block_size = BLOCK,
	    .tp_block_nr = BLOCKS,
	    .tp_frame_size = FRAME,
	    .tp_frame_nr = BLOCK / FRAME * BLOCKS,
	    .tp_retire_blk_tov = 1};

	open_ring(TPACKET_V3, &req, sizeof req);
}

static unsigned
go_ring2(void)
{
	unsigned n;

	for (n = 0; n < BURST; n++) {
		struct tpacket2_hdr *h =
		    (struct tpacket2_hdr *)(void *)(map + (size_t)slot * FRAME);

		if (!(__atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
			break;
		memcpy(in[n], (uint8_t *)h + h->tp_mac, h->tp_snaplen);
		__atomic_store_n(&h->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		slot = (slot + 1) % (BLOCK / FRAME * BLOCKS);
	}
	return n;
}

static unsigned
go_ring3(void)
{
	struct tpacket_block_desc *b =
	    (struct tpacket_block_desc *)(void *)(map + (size_t)slot * BLOCK);
	struct pollfd p = {.fd = from, .events = POLLIN};
	struct tpacket3_hdr *h;
	unsigned n;

	if (!(__atomic_load_n(&b->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER)) {
		(void)poll(&p, 1, 5); /* until the kernel closes the block, full or not */
		return 0;
	}
	h = (struct tpacket3_hdr *)(void *)((uint8_t *)b + b->hdr.bh1.offset_to_first_pkt);
	for (n = 0; n < b->hdr.bh1.num_pkts; n++) {
		memcpy(in[n % BURST], (uint8_t *)h + h->tp_mac, h->tp_snaplen);
		h = (struct tpacket3_hdr *)(void *)((uint8_t *)h + h->tp_next_offset);
	}
	__atomic_store_n(&b->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
	slot = (slot + 1) % BLOCKS;
	return n;
}

static void
close_from(void)
{
	if (map)
		munmap(map, (size_t)BLOCK * BLOCKS);
	map = NULL;
	close(from);
}

static void
give_chunks(uint32_t n, uint64_t *first)
{
	uint32_t at = *rx.ring[FILL].producer;

	while (n-- > 0)
		((uint64_t *)rx.ring[FILL].desc)[at++ & (RING - 1)] = (*first)++ % FRAMES * FRAME;
	__atomic_store_n(rx.ring[FILL].producer, at, __ATOMIC_RELEASE);
}

static uint64_t given;

static void
open_rxp(uint32_t flags)
{
	xsk_open(&rx, "w1", true);
	given = 0;
	give_chunks(RING, &given);
	xsk_redirect(&rx, "w1", flags);
}

static void
open_rxp_drv(void)
{
	open_rxp(XDP_FLAGS_DRV_MODE);
}

static void
open_rxp_skb(void)
{
	open_rxp(XDP_FLAGS_SKB_MODE);
}

static unsigned
go_rxp(void)
{
	uint32_t at = *rx.ring[RX].consumer,
		 end = __atomic_load_n(rx.ring[RX].producer, __ATOMIC_ACQUIRE), n = end - at;

	for (uint32_t i = 0; i < n; i++) {
		const struct xdp_desc *d =
		    (const struct xdp_desc *)rx.ring[RX].desc + (at++ & (RING - 1));

		memcpy(in[i % BURST], rx.memory + d->addr, d->len);
	}
	__atomic_store_n(rx.ring[RX].consumer, at, __ATOMIC_RELEASE);
	give_chunks(n, &given);
	return n;
}

static void
close_rxp(void)
{
	xsk_close(&rx);
}

static const struct way send_way[] = {
    {"sendmmsg", open_sendmmsg, go_sendmmsg, close_out},
    {"xdp", open_txp, go_txp, close_txp},
};
static const struct way recv_way[] = {
    {"recvmmsg", open_recvmmsg, go_recvmmsg, close_from},
    {"ring2", open_ring2, go_ring2, close_from},
    {"ring3", open_ring3, go_ring3, close_from},
    {"xdp", open_rxp_drv, go_rxp, close_rxp},
    {"xdp-skb", open_rxp_skb, go_rxp, close_rxp},
};

/* Both at the same time, each on a processor of its own; ns a frame by the clock. */
static const struct way *receiver;
static volatile bool stop;
static uint64_t received;

static void
pin(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof one, &one);
}

static void *
receive(void *arg)
{
	pin(1);
	while (!stop)
		__atomic_store_n(&received, received + receiver->go(), __ATOMIC_RELEASE);
	return NULL;
}

static double
together(const struct way *s, const struct way *r)
{
	struct timespec a, b;
	uint64_t sent = 0;
	pthread_t t;

	stop = false;
	received = 0;
	receiver = r;
	if (pthread_create(&t, NULL, receive, NULL) != 0)
		die("thread");
	clock_gettime(CLOCK_MONOTONIC, &a);
	while (sent < (uint64_t)BURST * BURSTS * ROUNDS) {
		sent += s->go();
		for (int i = 0;
		     sent - __atomic_load_n(&received, __ATOMIC_ACQUIRE) > 3 * BURST && i < 1000000;
		     i++)
			;
	}
	clock_gettime(CLOCK_MONOTONIC, &b);
	stop = true;
	pthread_join(t, NULL);
	return ((double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec)) /
	       (double)sent;
}

static void
measure(const struct way *s, const struct way *r)
{
	double best_out = 1e9, best_in = 1e9, t0, t1, t2, two;
	unsigned lost = 0;

	r->open();
	s->open();
	usleep(20000);
	for (int round = 0; round < ROUNDS; round++) {
		double a = 0, b = 0;

		for (int i = 0; i < BURSTS; i++) {
			unsigned got = 0, want;

			t0 = now_ns();
			want = s->go();
			t1 = now_ns();
			for (int tries = 0; got < want && tries < 8; tries++)
				got += r->go();
			t2 = now_ns();
			a += t1 - t0;
			b += t2 - t1;
			lost += got < want ? want - got : 0;
		}
		best_out = a < best_out ? a : best_out;
		best_in = b < best_in ? b : best_in;
	}
	two = together(s, r);
	s->close();
	r->close();
	printf("%-9s %-9s %6.0f %6.0f %6.0f %6.0f", s->name, r->name, best_out / (BURST * BURSTS),
	    best_in / (BURST * BURSTS), (best_out + best_in) / (BURST * BURSTS), two);
	if (lost)
		printf("   (%u lost)", lost);
	putchar('\n');
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	if (argc > 1)
		octets = (uint32_t)atoi(argv[1]);
	if (octets < 60 || octets > 1514)
		return fprintf(stderr, "usage: bits_bench_wire [OCTETS], 60 to 1514\n"), 2;
	if (unshare(CLONE_NEWNET) == -1)
		die("a network namespace");
	if (system(
		"ip link add w0 address 02:00:00:00:00:01 type veth peer name w1 address "
		"02:00:00:00:00:02 && sysctl -qw "
		"net.ipv6.conf.all.disable_ipv6=1 && ip link set w0 up && ip link set w1 up") != 0)
		return 1;
	pin(0);
	memcpy(frame,
	    "\2\0\0\0\0\2\2\0\0\0\0\1\x08\0\x45\0\0\0\0\0\x40\0\x40\x32\0\0\xa\x9\0\1\xa\x9\0\2",
	    34);
	printf("%-9s %-9s %6s %6s %6s   ns a frame of %u octets\n", "send", "receive", "out", "in",
	    "both", octets);
	for (size_t s = 0; s < sizeof send_way / sizeof *send_way; s++)
		for (size_t r = 0; r < sizeof recv_way / sizeof *recv_way; r++)
			measure(&send_way[s], &recv_way[r]);
	return 0;
}
