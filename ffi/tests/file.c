/* Stores in files: what is there when they are opened again, what is refused and how, and what a fork leaves alone. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include <fcntl.h>
#include <sys/wait.h>

#include "folder.h"

/* A name for a store, and one that no store has. */
static char path[PATH_BYTES], other[PATH_BYTES];

/* Another store begins in the same place. */
static void start_over(void) {
    unlink(path);
    unlink(other);
}

static const struct {
    uint32_t durability;
    uint64_t sync_interval_ms;
} levels[] = {{NYALA_DURABILITY_PROCESS, 0},
              {NYALA_DURABILITY_INTERVAL, 1},
              {NYALA_DURABILITY_INTERVAL, UINT64_MAX},
              {NYALA_DURABILITY_SYNC, 0}};

static void entries_are_there_again(void) {
    size_t level;
    for (level = 0; level < sizeof levels / sizeof levels[0]; level++) {
        nyala_options options = options_of(path);
        nyala_store *store;
        nyala_statistics stats;
        struct stat found;
        uint64_t entries = 0;
        int64_t number = 0;
        uint32_t i;
        int round;
        nyala_statistics_init(&stats, sizeof stats);
        start_over();
        options.durability = levels[level].durability;
        options.sync_interval_ms = levels[level].sync_interval_ms;
        store = open_with(&options);
        ANSWERS(NYALA_OK, nyala_stats(store, &stats));
        CHECK(stats.max_bytes == (uint64_t)256 << 30);
        for (i = 0; i < 300; i++) {
            if (nyala_set(store, &i, sizeof i, &i, sizeof i) != NYALA_OK) break;
        }
        CHECK(i == 300);
        for (i = 0; i < 300; i += 3) nyala_delete(store, &i, sizeof i);
        ANSWERS(NYALA_OK, nyala_set(store, TEXT("greeting"), TEXT("hello")));
        ANSWERS(NYALA_OK, nyala_set(store, TEXT("empty"), NULL, 0));
        ANSWERS(NYALA_OK, nyala_increment(store, TEXT("visits"), 42, 0, &number));
        ANSWERS(NYALA_OK, nyala_sync(store));
        ANSWERS(NYALA_OK, nyala_close(store));
        CHECK(stat(path, &found) == 0 && (found.st_mode & 0777) == 0600);
        for (round = 0; round < 2; round++) {
            store = open_with(&options);
            CHECK(has_value(store, "greeting", "hello") && has_value(store, "empty", "") && has_value(store, "visits", "42"));
            for (i = 0; i < 300; i++) {
                if (nyala_exists(store, &i, sizeof i) != (i % 3 == 0 ? NYALA_NOT_FOUND : NYALA_OK)) break;
            }
            CHECK(i == 300);
            ANSWERS(NYALA_OK, nyala_len(store, &entries));
            CHECK(entries == 203);
            ANSWERS(NYALA_OK, nyala_close(store));
        }
    }
}

/* Longer ones have segments of their own, which no frame takes. */
static void frames_take_values_of_half_a_segment(void) {
    nyala_options options = options_of(path);
    nyala_statistics stats;
    nyala_store *store;
    nyala_pair pairs[2];
    unsigned char *value;
    char said[128];
    size_t limit, found = 0;
    start_over();
    nyala_statistics_init(&stats, sizeof stats);
    options.max_bytes = 64 * MIB;
    store = open_with(&options);
    ANSWERS(NYALA_OK, nyala_stats(store, &stats));
    limit = (size_t)stats.segment_bytes / 2;
    value = (unsigned char *)malloc(limit + 1);
    CHECK(value != NULL);
    if (value == NULL) return;
    memset(value, 7, limit + 1);
    memset(pairs, 0, sizeof pairs);
    pairs[0].key.data = "beside";
    pairs[0].key.len = 6;
    pairs[0].value.data = "1";
    pairs[0].value.len = 1;
    pairs[1].key.data = "longest";
    pairs[1].key.len = 7;
    pairs[1].value.data = value;
    pairs[1].value.len = limit + 1;
    snprintf(said, sizeof said, "pairs[1]: value of %lu bytes is too large: the limit is %lu bytes",
             (unsigned long)(limit + 1), (unsigned long)limit);
    FAILS(NYALA_ERR_TOO_LARGE, said, nyala_set_many_atomic(store, pairs, 2));
    ANSWERS(NYALA_NOT_FOUND, nyala_exists(store, TEXT("beside")));
    ANSWERS(NYALA_OK, nyala_set(store, TEXT("alone"), value, limit + 1));
    pairs[1].value.len = limit;
    ANSWERS(NYALA_OK, nyala_set_many_atomic(store, pairs, 2));
    ANSWERS(NYALA_OK, nyala_close(store));
    store = open_with(&options);
    CHECK(has_value(store, "beside", "1"));
    ANSWERS(NYALA_TRUNCATED, nyala_get(store, TEXT("longest"), NULL, 0, &found));
    CHECK(found == limit);
    ANSWERS(NYALA_OK, nyala_close(store));
    free(value);
}

static void large_values_are_there_again(void) {
    const size_t LEN = (size_t)12 << 20;
    nyala_options options = options_of(path);
    nyala_store *store;
    nyala_pinned *pin = NULL;
    unsigned char *value = (unsigned char *)malloc(LEN + 1), *found = (unsigned char *)malloc(LEN + 1);
    size_t len = 0, i;
    CHECK(value != NULL && found != NULL);
    for (i = 0; i <= LEN; i++) value[i] = (unsigned char)(i * 7 >> 3);
    start_over();
    options.max_bytes = 48 * MIB;
    store = open_with(&options);
    FAILS(NYALA_ERR_TOO_LARGE, "the limit is 12582912 bytes", nyala_set(store, TEXT("large"), value, LEN + 1));
    ANSWERS(NYALA_OK, nyala_set(store, TEXT("large"), value, LEN));
    ANSWERS(NYALA_OK, nyala_close(store));
    store = open_with(&options);
    ANSWERS(NYALA_OK, nyala_get(store, TEXT("large"), found, LEN, &len));
    CHECK(len == LEN && memcmp(value, found, LEN) == 0);
    ANSWERS(NYALA_OK, nyala_pin(store, TEXT("large"), &pin));
    ANSWERS(NYALA_OK, nyala_delete(store, TEXT("large")));
    CHECK(memcmp(nyala_pinned_data(pin), value, LEN) == 0);
    nyala_unpin(pin);
    ANSWERS(NYALA_OK, nyala_close(store));
    free(value);
    free(found);
}

static void caps_of_files(void) {
    nyala_options options = options_of(path);
    nyala_store *store;
    static char value[1 << 20];
    nyala_status status = NYALA_OK;
    uint32_t stored, i;
    start_over();
    options.max_bytes = 4 * MIB - 1;
    REFUSED(NYALA_ERR_INVALID_ARGUMENT, "max_bytes = 4194303 bytes lies outside 4194304 to 4398046511104 bytes", options);
    options.max_bytes = ((uint64_t)1 << 42) + 1;
    REFUSED(NYALA_ERR_INVALID_ARGUMENT, "max_bytes = 4398046511105 bytes lies outside 4194304", options);
    CHECK(size_of(path) == -1);

    options.max_bytes = 4 * MIB;
    store = open_with(&options);
    ANSWERS(NYALA_OK, nyala_set(store, TEXT("long"), value, sizeof value));
    FAILS(NYALA_ERR_TOO_LARGE, "value of 1048577 bytes is too large: the limit is 1048576 bytes",
          nyala_set(store, TEXT("longer"), value, sizeof value + 1));
    for (stored = 0; stored < 10000; stored++) {
        status = nyala_set(store, &stored, sizeof stored, value, 1000);
        if (status != NYALA_OK) break;
    }
    FAILS(NYALA_ERR_FULL, "max_bytes = 4194304 bytes", status);
    CHECK(stored > 1000);
    for (i = 0; i < stored; i += 2) {
        if (nyala_delete(store, &i, sizeof i) != NYALA_OK) break;
    }
    CHECK(i >= stored);
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "max_bytes = 8388608 bytes lies outside 4194304 to 4194304 bytes",
          nyala_set_max_bytes(store, 8 * MIB));
    nyala_close(store);
    CHECK(size_of(path) <= (off_t)(5 * MIB));
    store = open_with(&options);
    for (i = 0; i < stored; i++) {
        if (nyala_exists(store, &i, sizeof i) != (i % 2 == 0 ? NYALA_NOT_FOUND : NYALA_OK)) break;
    }
    CHECK(i == stored);
    nyala_close(store);
}

static void lifetimes_and_versions_go_on(void) {
    nyala_store *store;
    nyala_set_options ttl;
    uint64_t before = 0, after = 0;
    int64_t left = 0;
    size_t len;
    char value[8];
    start_over();
    nyala_set_options_init(&ttl, sizeof ttl);
    ttl.ttl_ms = 1000000;
    store = open_file(path);
    ANSWERS(NYALA_OK, nyala_set_with(store, TEXT("k"), TEXT("v"), &ttl, &before));
    nyala_close(store);
    store = open_file(path);
    ANSWERS(NYALA_OK, nyala_ttl(store, TEXT("k"), &left));
    CHECK(left > 900000 && left <= 1000000);
    ANSWERS(NYALA_OK, nyala_get_versioned(store, TEXT("k"), value, sizeof value, &len, &after));
    CHECK(after == before);
    ANSWERS(NYALA_OK, nyala_set_with(store, TEXT("k"), TEXT("w"), &ttl, &after));
    CHECK(after > before);
    nyala_close(store);
}

static void one_store_at_a_time(void) {
    nyala_options options = options_of(path);
    nyala_store *store;
    nyala_pinned *pinned = NULL;
    nyala_cursor *cursor = NULL;
    nyala_slice key, value;
    char holder[64];
    start_over();
    store = open_file(path);
    REFUSED(NYALA_ERR_LOCKED, path, options);
    sprintf(holder, "process %ld has it open", (long)getpid());
    CHECK(strstr(nyala_last_error(), holder) != NULL || strstr(nyala_last_error(), "another process has it open") != NULL);
    ANSWERS(NYALA_OK, nyala_set(store, TEXT("k"), TEXT("v")));
    nyala_close(store);

    /* Pins and cursors keep the file open. */
    store = open_file(path);
    ANSWERS(NYALA_OK, nyala_pin(store, TEXT("k"), &pinned));
    ANSWERS(NYALA_OK, nyala_scan_open(store, NULL, 0, &cursor));
    nyala_close(store);
    REFUSED(NYALA_ERR_LOCKED, "is locked", options);
    CHECK(nyala_pinned_len(pinned) == 1 && memcmp(nyala_pinned_data(pinned), "v", 1) == 0);
    nyala_unpin(pinned);
    REFUSED(NYALA_ERR_LOCKED, "is locked", options);
    ANSWERS(NYALA_OK, nyala_scan_next(cursor, &key, &value));
    CHECK(key.len == 1 && value.len == 1);
    nyala_scan_close(cursor);
    store = open_file(path);
    CHECK(has_value(store, "k", "v"));
    nyala_close(store);
}

static void bad_paths(void) {
    nyala_options options = options_of("");
    char missing[PATH_BYTES];
    static char endless[6000];
    start_over();
    REFUSED(NYALA_ERR_INVALID_ARGUMENT, "path \"\" is empty", options);
    options.path = folder;
    REFUSED(NYALA_ERR_INVALID_ARGUMENT, "is a directory", options);
    CHECK(strstr(nyala_last_error(), folder) != NULL);
    options.path = "/dev/null";
    REFUSED(NYALA_ERR_INVALID_ARGUMENT, "path /dev/null is not a regular file", options);
    name_file(missing, "missing/store");
    options.path = missing;
    REFUSED(NYALA_ERR_IO, missing, options);
    CHECK(strstr(nyala_last_error(), "cannot open") != NULL && strstr(nyala_last_error(), "No such file") != NULL);
    write_file(other, "x", 1);
    name_file(missing, "other/store");
    REFUSED(NYALA_ERR_IO, "Not a directory", options);
    /* The message ends where its room does. */
    memset(endless, 'x', sizeof endless - 1);
    options.path = endless;
    REFUSED(NYALA_ERR_IO, "cannot open xxxx", options);
    CHECK(strlen(nyala_last_error()) < 512);
    /* A pipe is not waited for. */
    CHECK(unlink(other) == 0 && mkfifo(other, 0600) == 0);
    options.path = other;
    REFUSED(NYALA_ERR_INVALID_ARGUMENT, "is not a regular file", options);
    CHECK(unlink(other) == 0);
}

static void any_bytes_name_a_file(void) {
    char name[PATH_BYTES];
    nyala_store *store;
    name_file(name, "\xff\x01 \xe2\x82");
    store = open_file(name);
    ANSWERS(NYALA_OK, nyala_set(store, TEXT("k"), TEXT("v")));
    nyala_close(store);
    CHECK(size_of(name) > 0);
    /* The path is copied: the caller may let go of it. */
    strcpy(other, name);
    store = open_file(other);
    strcpy(other, "elsewhere");
    CHECK(has_value(store, "k", "v"));
    nyala_close(store);
    unlink(name);
    name_file(other, "other");
}

static void durabilities_outside_the_limits(void) {
    nyala_options options = options_of(path);
    start_over();
    options.durability = NYALA_DURABILITY_SYNC + 1;
    REFUSED(NYALA_ERR_INVALID_ARGUMENT, "nyala_options.durability = 3 lies outside 0 to 2", options);
    options.durability = UINT32_MAX;
    REFUSED(NYALA_ERR_INVALID_ARGUMENT, "nyala_options.durability = 4294967295 lies outside 0 to 2", options);
    options.durability = NYALA_DURABILITY_INTERVAL;
    REFUSED(NYALA_ERR_INVALID_ARGUMENT, "nyala_options.sync_interval_ms = 0 ms: the least with NYALA_DURABILITY_INTERVAL is 1 ms",
            options);
    options.sync_interval_ms = 7;
    options.durability = NYALA_DURABILITY_SYNC;
    REFUSED(NYALA_ERR_INVALID_ARGUMENT, "nyala_options.sync_interval_ms = 7 ms with durability = 2", options);
    options.durability = NYALA_DURABILITY_PROCESS;
    REFUSED(NYALA_ERR_INVALID_ARGUMENT, "must be 0 ms", options);
    options.sync_interval_ms = 0;
    options.reserved = 1;
    REFUSED(NYALA_ERR_UNSUPPORTED, "nyala_options.reserved = 0x1", options);
    CHECK(size_of(path) == -1);

    /* In memory there is nothing to choose. */
    nyala_options_init(&options, sizeof options);
    options.max_bytes = MIB;
    options.durability = NYALA_DURABILITY_SYNC;
    REFUSED(NYALA_ERR_INVALID_ARGUMENT, "nyala_options.durability = 2 without a path", options);
    options.durability = NYALA_DURABILITY_INTERVAL;
    options.sync_interval_ms = 5;
    REFUSED(NYALA_ERR_INVALID_ARGUMENT, "nyala_options.durability = 1 without a path", options);
    options.durability = NYALA_DURABILITY_PROCESS;
    REFUSED(NYALA_ERR_INVALID_ARGUMENT, "nyala_options.sync_interval_ms = 5 ms with durability = 0", options);
    /* Nor a default for the cap. */
    nyala_options_init(&options, sizeof options);
    REFUSED(NYALA_ERR_INVALID_ARGUMENT, "max_bytes = 0 bytes lies outside 1048576", options);
}

static void programs_that_know_no_files(void) {
    nyala_options options = options_of(path);
    nyala_store *store;
    start_over();
    ANSWERS(NYALA_OK, nyala_options_init(&options, offsetof(nyala_options, path)));
    options.path = path;
    options.durability = UINT32_MAX;
    options.max_bytes = MIB;
    store = open_with(&options);
    ANSWERS(NYALA_OK, nyala_set(store, TEXT("k"), TEXT("v")));
    nyala_close(store);
    CHECK(size_of(path) == -1);
}

static void what_is_no_store(void) {
    nyala_options options = options_of(path);
    static char bytes[20000], now[20000];
    nyala_store *store;
    FILE *in;
    start_over();
    memset(bytes, 7, sizeof bytes);
    write_file(path, bytes, sizeof bytes);
    REFUSED(NYALA_ERR_CORRUPT, "corrupt at byte 0", options);
    REFUSED(NYALA_ERR_CORRUPT, path, options);
    in = fopen(path, "rb");
    CHECK(in != NULL && fread(now, 1, sizeof now, in) == sizeof now && memcmp(now, bytes, sizeof now) == 0);
    if (in != NULL) fclose(in);
    CHECK(size_of(path) == (off_t)sizeof bytes);
    write_file(path, "hello", 5);
    REFUSED(NYALA_ERR_CORRUPT, "shorter", options);
    CHECK(size_of(path) == 5);

    /* An empty file becomes a store. */
    write_file(path, "", 0);
    store = open_file(path);
    ANSWERS(NYALA_OK, nyala_set(store, TEXT("k"), TEXT("v")));
    nyala_close(store);
    store = open_file(path);
    CHECK(has_value(store, "k", "v"));
    nyala_close(store);
}

static void syncs(void) {
    nyala_store *store = open_store(MIB, NULL, NULL);
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "store is NULL", nyala_sync(NULL));
    ANSWERS(NYALA_OK, nyala_sync(store));
    nyala_close(store);
    start_over();
    store = open_file(path);
    ANSWERS(NYALA_OK, nyala_sync(store));
    ANSWERS(NYALA_OK, nyala_set(store, TEXT("k"), TEXT("v")));
    ANSWERS(NYALA_OK, nyala_sync(store));
    ANSWERS(NYALA_OK, nyala_clear(store));
    ANSWERS(NYALA_OK, nyala_sync(store));
    nyala_close(store);
    store = open_file(path);
    CHECK(!has_value(store, "k", "v"));
    nyala_close(store);
}

/* Runs a test in a child process, which is killed if it hangs. What it found failed counts here. */
static void in_child(void (*test)(void)) {
    int failed_before = checks_failed, status = 0;
    pid_t child;
    fflush(stdout);
    child = fork();
    if (child == 0) {
        alarm(60);
        test();
        fflush(stdout);
        _exit(checks_failed == failed_before ? 0 : 1);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static nyala_store *parents;

static void uses_the_parents_file(void) {
    nyala_options options = options_of(path);
    nyala_store *own;
    FAILS(NYALA_ERR_FORKED, "fork", nyala_sync(parents));
    FAILS(NYALA_ERR_FORKED, "fork", nyala_set(parents, TEXT("k"), TEXT("child")));
    REFUSED(NYALA_ERR_LOCKED, "is locked", options);
    ANSWERS(NYALA_OK, nyala_close(parents));
    REFUSED(NYALA_ERR_LOCKED, "is locked", options);
    own = open_file(other);
    ANSWERS(NYALA_OK, nyala_set(own, TEXT("k"), TEXT("child")));
    nyala_close(own);
}

static void forked_children_are_told(void) {
    size_t level;
    for (level = 0; level < sizeof levels / sizeof levels[0]; level++) {
        nyala_options options = options_of(path);
        start_over();
        options.durability = levels[level].durability;
        options.sync_interval_ms = levels[level].sync_interval_ms;
        parents = open_with(&options);
        ANSWERS(NYALA_OK, nyala_set(parents, TEXT("k"), TEXT("v")));
        in_child(uses_the_parents_file);
        CHECK(has_value(parents, "k", "v"));
        ANSWERS(NYALA_OK, nyala_set(parents, TEXT("k"), TEXT("w")));
        ANSWERS(NYALA_OK, nyala_sync(parents));
        nyala_close(parents);
        parents = open_with(&options);
        CHECK(has_value(parents, "k", "w"));
        nyala_close(parents);
        parents = open_file(other);
        CHECK(has_value(parents, "k", "child"));
        nyala_close(parents);
    }
}

/* Acknowledged, never closed. */
static void dies(void) {
    nyala_store *store = open_file(path);
    uint32_t i;
    for (i = 0; i < 2000; i++) {
        if (nyala_set(store, &i, sizeof i, &i, sizeof i) != NYALA_OK) _exit(1);
    }
    _exit(0);
}

static void what_a_dead_process_wrote(void) {
    nyala_store *store;
    uint32_t i, found = 0;
    size_t len;
    start_over();
    in_child(dies);
    store = open_file(path);
    for (i = 0; i < 2000; i++) {
        if (nyala_get(store, &i, sizeof i, &found, sizeof found, &len) != NYALA_OK || found != i) break;
    }
    CHECK(i == 2000);
    nyala_close(store);
}

int main(void) {
    make_folder();
    name_file(path, "store");
    name_file(other, "other");
    RUN(entries_are_there_again);
    RUN(frames_take_values_of_half_a_segment);
    RUN(large_values_are_there_again);
    RUN(caps_of_files);
    RUN(lifetimes_and_versions_go_on);
    RUN(one_store_at_a_time);
    RUN(bad_paths);
    RUN(any_bytes_name_a_file);
    RUN(durabilities_outside_the_limits);
    RUN(programs_that_know_no_files);
    RUN(what_is_no_store);
    RUN(syncs);
    RUN(forked_children_are_told);
    RUN(what_a_dead_process_wrote);
    start_over();
    CHECK(rmdir(folder) == 0);
    return finish("file");
}
