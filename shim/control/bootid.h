/*
 * Which boot of the machine this is: what was true in another one may not be now.
 */
#ifndef BITS_BOOTID_H
#define BITS_BOOTID_H

#define BOOTID_LEN 40 /* a UUID as text, and NUL; the rest zero */

/** bootid(id): the kernel's id of this boot.  0, or -1: not to be had, and ${id} is empty. */
int bootid(char id[static BOOTID_LEN]);

#endif
