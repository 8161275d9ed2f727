/* The cap on memory, on pins and on address space, each reached. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define VALUE_LEN 1000
#define PAIRS 500

static void full_stores(void) {
    nyala_store *store = open_store(4 * MIB, NULL, NULL);
    static char value[VALUE_LEN];
    nyala_statistics stats;
    nyala_status status = NYALA_OK;
    uint32_t stored, i;
    size_t len;
    uint32_t refused = 0, numbers_of[PAIRS];
    nyala_pair pairs[PAIRS];
    nyala_statistics_init(&stats, sizeof stats);
    memset(value, 'x', sizeof value);
    for (stored = 0; stored < 100000; stored++) {
        status = nyala_set(store, &stored, sizeof stored, value, sizeof value);
        if (status != NYALA_OK) break;
    }
    FAILS(NYALA_ERR_FULL, "max_bytes = 4194304 bytes", status);
    /* 80 % of the cap in keys, values and 32 bytes an entry always fit. */
    CHECK(stored >= (uint32_t)(4 * MIB * 8 / 10 / (VALUE_LEN + sizeof stored + 32)));
    ANSWERS(NYALA_OK, nyala_stats(store, &stats));
    CHECK(stats.entries == stored && stats.used_bytes <= stats.max_bytes);

    /* Another key may still find room. Where it does not, nothing was done and nothing written. */
    for (i = 0; i < 500; i++) {
        uint32_t key = 1000000 + i;
        nyala_status found;
        len = 7;
        status = nyala_append(store, &key, sizeof key, value, sizeof value, &len);
        found = nyala_exists(store, &key, sizeof key);
        if (status == NYALA_OK && found == NYALA_OK && len == sizeof value) continue;
        if (status != NYALA_ERR_FULL || found != NYALA_NOT_FOUND || len != 7) break;
        refused++;
    }
    CHECK(i == 500 && refused > 0);

    /* A batch tells which of its pairs found none. */
    for (i = 0; i < PAIRS; i++) {
        numbers_of[i] = 2000000 + i;
        pairs[i].key = slice_of(&numbers_of[i], sizeof numbers_of[i]);
        pairs[i].value = slice_of(value, sizeof value);
        pairs[i].status = 99;
    }
    FAILS(NYALA_ERR_FULL, "pairs[", nyala_set_many(store, pairs, PAIRS));
    for (i = 0; i < PAIRS; i++) {
        nyala_status found = nyala_exists(store, pairs[i].key.data, pairs[i].key.len);
        if (pairs[i].status == NYALA_OK && found == NYALA_OK) continue;
        if (pairs[i].status != NYALA_ERR_FULL || found != NYALA_NOT_FOUND) break;
    }
    CHECK(i == PAIRS);

    /* Nothing was lost. */
    for (i = 0; i < stored && nyala_exists(store, &i, sizeof i) == NYALA_OK; i++) {
    }
    CHECK(i == stored);

    /* Deleting is never Full, and makes room. */
    for (i = 0; i < stored; i += 2) {
        if (nyala_delete(store, &i, sizeof i) != NYALA_OK) break;
    }
    CHECK(i >= stored);
    for (i = 0; i < stored / 4; i++) {
        uint32_t key = 3000000 + i;
        if (nyala_set(store, &key, sizeof key, value, sizeof value) != NYALA_OK) break;
    }
    CHECK(i == stored / 4);
    nyala_close(store);
}

static void many_pins(void) {
    nyala_store *store = open_store(4 * MIB, NULL, NULL);
    static char value[VALUE_LEN];
    static nyala_pinned *pinned[2000];
    nyala_status status = NYALA_OK;
    uint32_t stored, pins, i;
    for (stored = 0; stored < 2000; stored++) {
        memcpy(value, &stored, sizeof stored);
        if (nyala_set(store, &stored, sizeof stored, value, sizeof value) != NYALA_OK) break;
    }
    CHECK(stored == 2000);
    for (pins = 0; pins < stored; pins++) {
        status = nyala_pin(store, &pins, sizeof pins, &pinned[pins]);
        if (status != NYALA_OK) break;
    }
    CHECK(pins > 0);
    FAILS(NYALA_ERR_BUSY, "the limit is", status);
    /* Writers go on, or are told that the store is full: pins block nobody. */
    for (i = 0; i < 20000; i++) {
        uint32_t key = i % 2000;
        status = nyala_set(store, &key, sizeof key, value, 1 + i % VALUE_LEN);
        if (status != NYALA_OK && status != NYALA_ERR_FULL) break;
    }
    CHECK(i == 20000);
    for (i = 0; i < pins; i++) {
        uint32_t number = 0;
        memcpy(&number, nyala_pinned_data(pinned[i]), sizeof number);
        if (number != i || nyala_pinned_len(pinned[i]) != VALUE_LEN) break;
    }
    CHECK(i == pins);
    for (i = 0; i < pins; i++) nyala_unpin(pinned[i]);
    i = 0;
    ANSWERS(NYALA_OK, nyala_pin(store, &i, sizeof i, &pinned[0]));
    nyala_unpin(pinned[0]);
    printf("many_pins: %u of 2000 values pinned at once\n", (unsigned)pins);
    nyala_close(store);
}

/* A sanitizer's own memory does not fit under the limit. */
#ifndef __SANITIZE_ADDRESS__
static void no_address_space(void) {
    int status = 0;
    int failed_before = checks_failed;
    pid_t child;
    fflush(stdout);
    child = fork();
    if (child == 0) {
        struct rlimit limit;
        nyala_options options;
        nyala_store *store = NULL;
        limit.rlim_cur = limit.rlim_max = 1024 * MIB;
        CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
        nyala_options_init(&options, sizeof options);
        options.max_bytes = MIB * MIB;
        FAILS(NYALA_ERR_NO_MEMORY, "bytes were refused", nyala_open(&options, &store));
        CHECK(store == NULL);
        fflush(stdout);
        _exit(checks_failed == failed_before ? 0 : 1);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
#endif

int main(void) {
    RUN(full_stores);
    RUN(many_pins);
#ifndef __SANITIZE_ADDRESS__
    RUN(no_address_space);
#endif
    return finish("limits");
}
