#include "bootid.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int
bootid(char id[static BOOTID_LEN])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = 0;
	char *end;

	memset(id, 0, BOOTID_LEN);
	if (fd != -1) {
		n = read(fd, id, BOOTID_LEN - 1);
		close(fd);
	}
	if ((end = strchr(id, '\n')) != NULL)
		memset(end, 0, (size_t)(id + BOOTID_LEN - end));
	return n <= 0 ? -1 : 0;
}
