/* What the C tests share: checks that count, and a summary. Each test program is compiled as C and as C++. */
#ifndef NYALA_CHECK_H
#define NYALA_CHECK_H

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nyala.h"

/* A test program need not use everything here. */
#define MAYBE_UNUSED __attribute__((unused))

static int checks_done, checks_failed, tests_passed, tests_failed;

static MAYBE_UNUSED void check_that(int holds, const char *what, const char *file, int line) {
    checks_done++;
    if (!holds) {
        checks_failed++;
        printf("%s:%d: %s (last error: %s)\n", file, line, what, nyala_last_error());
    }
}

static MAYBE_UNUSED void check_status(nyala_status status, nyala_status expected, const char *what, const char *file, int line) {
    checks_done++;
    if (status != expected) {
        checks_failed++;
        printf("%s:%d: %s is %s, not %s (last error: %s)\n", file, line, what, nyala_status_name(status),
               nyala_status_name(expected), nyala_last_error());
    }
}

#define CHECK(holds) check_that((holds) ? 1 : 0, #holds, __FILE__, __LINE__)

/* The call answers this status. */
#define ANSWERS(expected, call) check_status(call, expected, #call, __FILE__, __LINE__)

/* The call answers this error, and the message holds this text. */
#define FAILS(expected, text, call)                                                            \
    do {                                                                                       \
        check_status(call, expected, #call, __FILE__, __LINE__);                               \
        check_that(strstr(nyala_last_error(), text) != NULL, #call " says " #text, __FILE__, __LINE__); \
    } while (0)

#define RUN(test)                                \
    do {                                         \
        int failed_before = checks_failed;       \
        test();                                  \
        if (checks_failed == failed_before) {    \
            tests_passed++;                      \
        } else {                                 \
            tests_failed++;                      \
            printf("FAILED: %s\n", #test);       \
        }                                        \
    } while (0)

static MAYBE_UNUSED int finish(const char *program) {
    printf("%s: %d passed, %d failed (%d checks)\n", program, tests_passed, tests_failed, checks_done);
    return tests_failed == 0 ? 0 : 1;
}

/* The program ends if the store does not open. */
static MAYBE_UNUSED nyala_store *open_with(const nyala_options *options) {
    nyala_store *store = NULL;
    nyala_status status = nyala_open(options, &store);
    if (status != NYALA_OK) {
        printf("nyala_open: %s: %s\n", nyala_status_name(status), nyala_last_error());
        exit(1);
    }
    return store;
}

/* A store of this size. */
static MAYBE_UNUSED nyala_store *open_store(uint64_t max_bytes, nyala_now_ms_fn now_ms, void *userdata) {
    nyala_options options;
    nyala_options_init(&options, sizeof options);
    options.max_bytes = max_bytes;
    options.now_ms = now_ms;
    options.now_ms_userdata = userdata;
    return open_with(&options);
}

/* A cache of this size. */
static MAYBE_UNUSED nyala_store *open_cache(uint64_t max_bytes) {
    nyala_options options;
    nyala_options_init(&options, sizeof options);
    options.max_bytes = max_bytes;
    options.eviction = NYALA_EVICTION_ADAPTIVE;
    return open_with(&options);
}

#define MIB ((uint64_t)1 << 20)

/* A key or value given as a string literal, as the two arguments that functions take. */
#define TEXT(literal) (literal), (sizeof(literal) - 1)

static MAYBE_UNUSED nyala_slice slice_of(const void *data, size_t len) {
    nyala_slice slice;
    slice.data = data;
    slice.len = len;
    return slice;
}

/* Whether the value of a key is this text. */
static MAYBE_UNUSED int has_value(nyala_store *store, const char *key, const char *value) {
    char buffer[4096];
    size_t len = 0;
    return nyala_get(store, key, strlen(key), buffer, sizeof buffer, &len) == NYALA_OK && len == strlen(value) &&
           memcmp(buffer, value, len) == 0;
}

#endif
