#include "taps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "live.h"
#include "log.h"
#include "shim.h"

struct taps {
	struct shim *shim;
	struct live *live; /* the worker's; NULL: nobody captures */
	struct live_tap tap[LIVE_TAPS];
	int fd[LIVE_TAPS]; /* -1: handed out */
};

struct taps *
taps_new(struct shim *shim)
{
	struct taps *t = calloc(1, sizeof *t);

	if (t == NULL)
		return NULL;
	t->shim = shim;
	for (int i = 0; i < LIVE_TAPS; i++)
		t->fd[i] = -1;
	return t;
}

/* A ring of zeros that nobody can make shorter under us. */
static struct capring *
make_ring(int *fd)
{
	struct capring *r;
	int saved;

	if ((*fd = memfd_create("bits-capture", MFD_CLOEXEC | MFD_ALLOW_SEALING)) < 0)
		return NULL;
	if (ftruncate(*fd, sizeof *r) < 0 ||
	    fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		goto err;
	r = mmap(NULL, sizeof *r, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, *fd, 0);
	if (r == MAP_FAILED)
		goto err;
	capring_begin(r);
	return r;
err:
	saved = errno;
	close(*fd);
	errno = saved;
	return NULL;
}

/* What the worker does from now on follows from tap[]. */
static int
publish(struct taps *t)
{
	struct live *old = t->live, *fresh = NULL;
	bool any = false;

	for (int i = 0; i < LIVE_TAPS; i++)
		any |= t->tap[i].ring != NULL;
	if (any && (fresh = live_new(t->tap)) == NULL)
		return -1;
	t->live = fresh;
	shim_publish_live(t->shim, fresh);
	live_free(old);
	return 0;
}

int
taps_add(struct taps *t, unsigned points)
{
	struct capring *r;
	int i = 0, fd;

	while (i < LIVE_TAPS && t->tap[i].ring != NULL)
		i++;
	if (i == LIVE_TAPS) {
		errno = EBUSY;
		return -1;
	}
	if ((r = make_ring(&fd)) == NULL)
		return -1;
	shim_publish_live(t->shim, NULL); /* tap[] is read by the worker */
	t->tap[i] = (struct live_tap){.ring = r, .points = points};
	t->fd[i] = fd;
	if (publish(t) < 0) {
		taps_remove(t, i);
		errno = ENOMEM;
		return -1;
	}
	return i;
}

int
taps_fd(struct taps *t, int tap)
{
	int fd = t->fd[tap];

	t->fd[tap] = -1;
	return fd;
}

void
taps_remove(struct taps *t, int tap)
{
	shim_publish_live(t->shim, NULL);
	munmap(t->tap[tap].ring, sizeof *t->tap[tap].ring);
	t->tap[tap].ring = NULL;
	if (t->fd[tap] >= 0)
		close(t->fd[tap]);
	t->fd[tap] = -1;
	if (publish(t) < 0)
		log_warnx("out of memory: the captures that are left get nothing more");
}

void
taps_free(struct taps *t)
{
	if (t == NULL)
		return;
	for (int i = 0; i < LIVE_TAPS; i++)
		if (t->tap[i].ring != NULL)
			taps_remove(t, i);
	free(t);
}
