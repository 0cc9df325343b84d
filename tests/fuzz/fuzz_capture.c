/* links: bits_edge bits_walk bits_base bits_spd bits_sadb */
/*
 * A capture file from anybody: it is read to its end or refused, no packet is longer than its room, and every one goes back to the pool.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "datapath.h"
#include "edge.h"
#include "pkt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define FRAMES_MAX 4096 /* of a file that never ends */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct pktpool *pool;
	struct edge *e;
	struct burst b;
	char name[64];
	int fd, n, null, err;

	if (!pool && (pool = pktpool_new(BURST_MAX, PKT_FRAME_MAX)) == NULL)
		abort();
	if ((fd = memfd_create("capture", MFD_CLOEXEC)) < 0 || write(fd, data, len) != (ssize_t)len)
		abort();
	snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	/* what is told about a bad file is not what is looked at */
	err = dup(STDERR_FILENO);
	if ((null = open("/dev/null", O_WRONLY | O_CLOEXEC)) >= 0)
		dup2(null, STDERR_FILENO);
	if ((e = edge_pcap_new(name, NULL, 1500)) == NULL)
		abort();
	if (edge_bind(e) == 0 && edge_restart(e) == 0)
		for (int frames = 0; frames < FRAMES_MAX; frames += n) {
			n = edge_recv(e, pool, &b, BURST_MAX);
			if (n <= 0)
				break;
			for (unsigned i = 0; i < b.n; i++) {
				if (b.p[i]->len > PKT_FRAME_MAX)
					abort();
				pkt_free(pool, b.p[i]);
			}
		}
	edge_unbind(e);
	edge_free(e);
	if (pktpool_left(pool) != BURST_MAX)
		abort();
	dup2(err, STDERR_FILENO);
	close(err);
	if (null >= 0)
		close(null);
	close(fd);
	return 0;
}
