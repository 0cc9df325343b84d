/*
 * Key bytes.  They live in one arena that is mlocked, left out of core dumps and wiped in a child of fork(2), are wiped when the last
 * reference goes, and have no printing function but secret_hex(), which only `ipsecctl -k`'s path calls.
 */
#ifndef BITS_SECRET_H
#define BITS_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECRET_MAX 256 /* octets: the longest key of any algorithm, with room */

/* Opaque types. */
struct secret;

/** secret_new(bytes, len): a copy of ${len} (1..SECRET_MAX) octets with one reference, or NULL and errno
 * (EINVAL, ENOMEM).  The caller wipes its own copy.  Any thread but the data path's. */
struct secret *secret_new(const uint8_t *bytes, size_t len);

/** secret_ref(s), secret_unref(s): count references; the last unref wipes.  NULL is fine.  Thread-safe. */
struct secret *secret_ref(struct secret *s);
void secret_unref(struct secret *s);

const uint8_t *secret_bytes(const struct secret *s);
size_t secret_len(const struct secret *s);

/** secret_eq(a, b): constant-time comparison of equal-length secrets; NULL equals only NULL. */
bool secret_eq(const struct secret *a, const struct secret *b);

/** secret_hex(s, buf, cap): "0x..." NUL-terminated into ${buf}; -1 when ${cap} < 2 * len + 3. */
int secret_hex(const struct secret *s, char *buf, size_t cap);

/** secret_parse(text, s): "0x" and an even number of hex digits.  0 and *${s} new; -1 bad text, -2 odd number
 * of digits, -3 too long or empty, -4 out of memory. */
int secret_parse(const char *text, struct secret **s);

/** secret_locked(): is every key so far in locked memory?  False once RLIMIT_MEMLOCK was too small: worth a warning. */
bool secret_locked(void);

/** secret_wipe(p, n): overwrite ${n} octets so that no compiler leaves it out. */
void secret_wipe(void *p, size_t n);

#endif
