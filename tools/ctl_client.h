/*
 * ipsecctl's end of the control socket.
 */
#ifndef BITS_CTL_CLIENT_H
#define BITS_CTL_CLIENT_H

#include <jansson.h>
#include "ctl_msg.h"

/* Exit statuses of ipsecctl. */
enum { EXIT_DONE = 0, EXIT_WRONG = 1, EXIT_USAGE = 2, EXIT_NO_DAEMON = 3 };

/**
 * ctl_client_connect(nic, path):
 * To bitsd at the socket ${path}; or of ${nic}; or, both NULL, to the one that runs.  Descriptor; or minus an exit status, and the
 * reason is written to stderr.
 */
int ctl_client_connect(const char *nic, const char *path);

/** ctl_client_ask(fd, req, reply): sends ${req} and waits for the answer, which is the caller's.  0; else an exit status, told. */
int ctl_client_ask(int fd, const json_t *req, json_t **reply);

/** ctl_client_send(fd, req), ctl_client_answer(fd, reply): the halves of ctl_client_ask(), for who has something to do meanwhile. */
int ctl_client_send(int fd, const json_t *req);
int ctl_client_answer(int fd, json_t **reply);

/** ctl_client_read(fd, type, doc, timeout_ms): the next message; timeout -1: for ever.  0; else an exit status, told. */
int ctl_client_read(int fd, enum ctl_type *type, json_t **doc, int timeout_ms);

/** ctl_client_passed(): the descriptor that came with the reply read last, and is the caller's now; -1: none. */
int ctl_client_passed(void);

#endif
