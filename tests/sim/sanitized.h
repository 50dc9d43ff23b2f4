/* SPDX-License-Identifier: MIT */
#ifndef MESHD_TESTS_SANITIZED_H
#define MESHD_TESTS_SANITIZED_H

/*
 * SANITIZED: built with AddressSanitizer or ThreadSanitizer, where all takes three to eight times as long. What they look for is in a few runs as
 * much as in many: tests do fewer there. (gcc and clang say it differently.)
 */
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
