/*
 * Wireshark's esp_sa table: one line of quoted fields an SA: family, source, destination, SPI, encryption, its key (salt
 * included), integrity, its key.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "conf.h"
#include "log.h"
#include "replay_tool.h"

#define KEY_TEXT (2 * SECRET_MAX + 3)

/* A file of the owner's alone, whatever was there before. */
static FILE *
open_private(const char *path)
{
	FILE *out;
	int fd, saved;

	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1)
		return NULL;
	if (fchmod(fd, 0600) == 0 && ftruncate(fd, 0) == 0 && (out = fdopen(fd, "w")) != NULL)
		return out;
	saved = errno;
	close(fd);
	errno = saved;
	return NULL;
}

static void
key(const struct secret *s, FILE *out)
{
	char text[KEY_TEXT] = "";

	if (s != NULL && secret_len(s) > 0)
		secret_hex(s, text, sizeof text);
	fprintf(out, ",\"%s\"", text);
	secret_wipe(text, sizeof text);
}

/* false: Wireshark has no name for what this SA uses. */
static bool
line(const struct sa_params *p, FILE *out)
{
	char src[IPADDR_STRLEN], dst[IPADDR_STRLEN];
	const char *auth =
	    p->auth != NULL ? p->auth->wireshark : "NULL"; /* an AEAD's ICV is its cipher's */

	if (p->proto != IPSEC_ESP || p->enc->wireshark == NULL || auth == NULL)
		return false;
	fprintf(out, "\"%s\",\"%s\",\"%s\",\"0x%08x\",\"%s\"", p->src.af == 4 ? "IPv4" : "IPv6",
	    ipaddr_print(&p->src, src), ipaddr_print(&p->dst, dst), p->spi, p->enc->wireshark);
	key(p->enckey, out);
	fprintf(out, ",\"%s\"", auth);
	key(p->authkey, out);
	fputc('\n', out);
	return true;
}

int
replay_keys(const char *path, const struct conf *c)
{
	char buffer[BUFSIZ];
	FILE *out;
	bool bad;

	if ((out = open_private(path)) == NULL) {
		log_warn("%s", path);
		return -1;
	}
	setvbuf(out, buffer, _IOFBF, sizeof buffer); /* ours, so that it can be wiped */
	for (size_t i = 0; i < c->nsas; i++)
		if (!line(&c->sa[i], out))
			log_warnx("%s:%u:%u: Wireshark cannot open this SA; left out",
			    c->sa_at[i].file, c->sa_at[i].line, c->sa_at[i].col);
	bad = ferror(out);
	if (fclose(out) == EOF || bad) {
		log_warn("%s", path);
		secret_wipe(buffer, sizeof buffer);
		return -1;
	}
	secret_wipe(buffer, sizeof buffer);
	return 0;
}
