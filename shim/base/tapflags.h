/*
 * What the two openers of the TAP (control/nic_tap.c makes it, edge/upper_tap.c attaches to it) have to agree on: the kernel refuses to
 * attach with other flags than the device was made with.
 */
#ifndef BITS_TAPFLAGS_H
#define BITS_TAPFLAGS_H

#include <linux/if_tun.h>

#define TAP_DEVICE "/dev/net/tun"
#define TAP_FLAGS  (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)

/* SO_MARK of the lower edge's sockets.  Where the NIC is guarded in place (nic_guard.c), only frames that carry it leave. */
#define NIC_MARK 0x62697473u    /* "bits" */

/* Mark of frames that came in and are for us, though they say that they are for another host (nic_aside.c). */
#define NIC_TAKEN_MARK 0x62697474u

#endif
