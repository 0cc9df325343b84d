/*
 * Keeps replay windows over restarts: how far the window of each receiving SA has come, in <state_dir>/windows.
 *
 * The file is mapped, and the worker writes each new top into it before the packet is delivered (struct replay's kept): no system call, and
 * what a killed process wrote stays.  So the next bitsd goes on exactly there: everything up to the top counts as seen, no packet is
 * accepted twice, and none that is new is refused but what was overtaken on the way.
 *
 * A machine that dies loses what was not on the disk yet.  So every WINDOWS_SYNC_MS each record is written with where its window may come
 * until the next time (`ahead`), and after a boot that nobody prepared for the window goes on there: a few good packets may be lost.
 *
 * Records stay when their SA goes, so that loading its file again opens no window (graves.h is the same within one process).  One
 * is named by a hash of key and SPI; there is no key on the disk.  Several bitsd may share a directory.
 */
#ifndef BITS_WINDOWS_H
#define BITS_WINDOWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WINDOWS_SYNC_MS 2000

/* Opaque types. */
struct sa;
struct windows;

/**
 * windows_open(state_dir, boot, why, cap):
 * Opens or makes the records; ${boot}: this boot's id, NULL: the kernel's.  A file that is not one of ours is put aside as windows.damaged,
 * with a line in the log.  NULL and ${why}.  Control thread, as all below.
 */
struct windows *windows_open(const char *state_dir, const char *boot, char *why, size_t cap);

/** windows_close(w): tops are on the disk as they are.  No worker may use an SA begun here any more. */
void windows_close(struct windows *w);

/**
 * windows_begin(w, sa, top):
 * For ${sa}, which is not in use yet and receives: its window is written from now on; *${top} is how far such an SA had come.
 * 1: it is known; 0: it is not, *${top} is 0; -1 and errno: there is no record for it, and the window is not kept.
 */
int windows_begin(struct windows *w, struct sa *sa, uint64_t *top);

/** windows_sync(w): every WINDOWS_SYNC_MS.  Blocks for the disk.  0, or -1 and errno. */
int windows_sync(struct windows *w);

#endif
