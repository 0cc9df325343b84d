/*
 * Telling the service manager (sd_notify(3)): one datagram to $NOTIFY_SOCKET, no library.
 */
#ifndef BITS_NOTIFY_H
#define BITS_NOTIFY_H

/** notify_open(): reaches the service manager now, for later, when its socket cannot be found any more. */
void notify_open(void);

/** notify(state): "READY=1", "STOPPING=1", "STATUS=..."; without a service manager nothing happens.  0, or -1 and errno. */
int notify(const char *state);

#endif
