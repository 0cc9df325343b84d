/* links: bits_control bits_sadb */
/*
 * The file of replay windows as an accident may have left it: what is taken as one of ours is no smaller than a record of it says, goes on where
 * it was after a stop, and no window goes back.  The first octet chooses: any octets, or a file of the right form with any records.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fuzz.h"
#include "log.h"
#include "sa.h"
#include "windows.h"

#define CHUNK  65536u
#define RECORD 32u
#define SPI    0x1000

static char dir[64], path[96], damaged[96];

static void
leave(void)
{
	unlink(path);
	unlink(damaged);
	rmdir(dir);
}

static void
begin(void)
{
	snprintf(dir, sizeof dir, "/dev/shm/bits-fuzz.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/windows", dir);
	snprintf(damaged, sizeof damaged, "%s/windows.damaged", dir);
	atexit(leave);
}

static struct sa *
receiver(void)
{
	static const uint8_t key[20] = {1};
	struct sa_params p;
	struct sa *sa;

	sa_params_init(&p);
	p.proto = IPSEC_ESP;
	p.mode = MODE_TRANSPORT;
	p.dir = SA_DIR_IN;
	p.spi = SPI;
	assert_int_equal(ipaddr_parse("10.0.0.1", &p.src), 0);
	assert_int_equal(ipaddr_parse("10.0.0.2", &p.dst), 0);
	p.enc = alg_enc("aes-128-gcm");
	p.enckey = secret_new(key, sizeof key);
	assert_non_null(p.enc);
	assert_non_null(sa = sa_new(&p, 0));
	sa_params_fini(&p);
	return sa;
}

/* How far the window had come; it comes ${more} further. */
static uint64_t
comes(const char *boot, struct sa *sa, uint64_t more)
{
	char why[512] = "";
	struct windows *w = windows_open(dir, boot, why, sizeof why);
	uint64_t top;

	if (w == NULL)
		fail_msg("%s", why);
	sa->replay.kept = NULL;
	assert_true(windows_begin(w, sa, &top) >= 0);
	assert_non_null(sa->replay.kept);
	assert_true(*sa->replay.kept == top);
	if (more <= UINT64_MAX - top)
		*sa->replay.kept = top + more;
	assert_int_equal(windows_sync(w), 0);
	windows_close(w);
	return top;
}

/* The SA's own record, taken from a file that was just made: its name, in ${name}. */
static void
name_of(struct sa *sa, uint8_t name[static 16])
{
	int fd;

	comes("one", sa, 1);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0 && pread(fd, name, 16, CHUNK) == 16);
	close(fd);
	unlink(path);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t file[3 * CHUNK], name[16];
	static struct sa *sa;
	struct input in = {data, len};
	uint64_t top = 0, ahead = 0, first, then;
	bool ours = false, same = false;
	size_t size = 0;
	uint8_t how;
	int fd;

	if (sa == NULL) {
		begin();
		log_by(open(
		    "/dev/null", O_WRONLY)); /* nobody reads what is said of each damaged file */
		sa = receiver();
		name_of(sa, name);
	}
	how = input8(&in);
	memset(file, 0, sizeof file);
	if (how & 1) {
		same = how & 2;
		memcpy(file, "bitswin1", 8);
		memcpy(file + 8, same ? "one" : "two", 3);
		for (unsigned i = 0; i < 64 && in.left > 0; i++) {
			uint8_t *r = file + CHUNK + i * RECORD;
			bool mine = input8(&in) & 1;

			for (unsigned k = 0; k < RECORD; k++)
				r[k] = input8(&in);
			if (mine)
				memcpy(r, name, 16);
			if (memcmp(r, (uint8_t[16]){0}, 16) == 0)
				break; /* a free record is the last */
			if (!ours && memcmp(r, name, 16) == 0) {
				ours = true;
				memcpy(&top, r + 16, 8);
				memcpy(&ahead, r + 24, 8);
			}
		}
		size = how & 4 ? 3 * CHUNK : 2 * CHUNK;
	} else {
		size = in.left < sizeof file ? in.left : sizeof file;
		memcpy(file, in.p, size);
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0 && write(fd, file, size) == (ssize_t)size);
	close(fd);
	first = comes("one", sa, 5);
	if (ours)
		assert_true(first == (same || ahead < top ? top : ahead));
	then = comes("one", sa, 0);
	assert_true(then == (first > UINT64_MAX - 5 ? first : first + 5));
	assert_true(comes("three", sa, 0) >= then);
	return 0;
}
