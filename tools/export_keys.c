#include "export_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "conf.h"

#define KEY_TEXT (2 * SECRET_MAX + 3)

int
export_form(const char *name)
{
	static const char *const names[] = {
	    [EXPORT_WIRESHARK] = "wireshark", [EXPORT_TCPDUMP] = "tcpdump"};

	for (int i = 0; i < (int)(sizeof names / sizeof *names); i++)
		if (strcmp(name, names[i]) == 0)
			return i;
	return -1;
}

FILE *
export_open(const char *path)
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
put_key(const struct secret *s, const char *before, const char *behind, FILE *out)
{
	char text[KEY_TEXT] = "";

	if (s != NULL && secret_len(s) > 0)
		secret_hex(s, text, sizeof text);
	fprintf(out, "%s%s%s", before, text, behind);
	secret_wipe(text, sizeof text);
}

/* A line of quoted fields: family, source, destination, SPI, encryption, its key (salt included), integrity, its key. */
static bool
wireshark(const struct sa_params *p, FILE *out)
{
	char src[IPADDR_STRLEN], dst[IPADDR_STRLEN];
	const char *auth =
	    p->auth != NULL ? p->auth->wireshark : "NULL"; /* an AEAD's ICV is its cipher's */

	if (p->proto != IPSEC_ESP || p->enc->wireshark == NULL || auth == NULL)
		return false;
	fprintf(out, "\"%s\",\"%s\",\"%s\",\"0x%08x\",\"%s\"", p->src.af == 4 ? "IPv4" : "IPv6",
	    ipaddr_print(&p->src, src), ipaddr_print(&p->dst, dst), p->spi, p->enc->wireshark);
	put_key(p->enckey, ",\"", "\"", out);
	fprintf(out, ",\"%s\"", auth);
	put_key(p->authkey, ",\"", "\"\n", out);
	return true;
}

/*
 * "SPI@destination CIPHER-hmac96:0xKEY", the cipher by OpenSSL's name in capitals (from a small one tcpdump takes off the "-cbc").  tcpdump checks no ICV; it only knows to leave off one of 96 bits, and
 * takes the octets behind longer ones for padding and next header.
 */
static bool
tcpdump(const struct sa_params *p, FILE *out)
{
	char dst[IPADDR_STRLEN], cipher[32];

	if (p->proto != IPSEC_ESP || p->enc->kind != ALG_CBC || p->auth == NULL ||
	    p->auth->icv != 12)
		return false;
	if (p->enc->block == 8)
		snprintf(cipher, sizeof cipher, "DES-EDE3-CBC");
	else
		snprintf(cipher, sizeof cipher, "AES-%zu-CBC", 8 * secret_len(p->enckey));
	fprintf(out, "0x%08x@%s %s-hmac96", p->spi, ipaddr_print(&p->dst, dst), cipher);
	put_key(p->enckey, ":", "\n", out);
	return true;
}

int
export_keys(enum export_form form, const struct conf *c, FILE *out, const char *who)
{
	char buffer[BUFSIZ];
	int saved = 0;

	setvbuf(out, buffer, _IOFBF, sizeof buffer); /* ours, so that it can be wiped */
	for (size_t i = 0; i < c->nsas; i++) {
		const struct sa_params *p = &c->sa[i];

		if (!(form == EXPORT_WIRESHARK ? wireshark : tcpdump)(p, out))
			fprintf(stderr,
			    "%s: %s:%u:%u: %s cannot open this SA (spi 0x%08x); left out\n", who,
			    c->sa_at[i].file, c->sa_at[i].line, c->sa_at[i].col,
			    form == EXPORT_WIRESHARK ? "Wireshark" : "tcpdump", p->spi);
	}
	if (fflush(out) == EOF)
		saved = errno;
	if (fclose(out) == EOF && saved == 0)
		saved = errno;
	secret_wipe(buffer, sizeof buffer);
	errno = saved;
	return saved == 0 ? 0 : -1;
}
