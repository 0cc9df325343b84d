/*
 * Is this a sanitizers' build?  A sanitizer's report opens files and asks for names of functions in a child; its search for leaks reads /proc
 * and stops the other threads as a debugger does.
 */
#ifndef BITS_SANITIZED_H
#define BITS_SANITIZED_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#endif
