/* Hostile arguments: each is a typed error that names the argument, its value and the limit, and changes nothing. */
#include "check.h"

static nyala_store *store;

#define NULL_IS_REFUSED(name, call) FAILS(NYALA_ERR_INVALID_ARGUMENT, name " is NULL", call)

static void ignore(void *userdata, size_t index, nyala_status status, const void *value, size_t value_len) {
    (void)index, (void)status, (void)value, (void)value_len;
    ++*(int *)userdata;
}

static void ignore_key(void *userdata, const void *key, size_t key_len, uint64_t reads) {
    (void)key, (void)key_len, (void)reads;
    ++*(int *)userdata;
}

static void null_handles(void) {
    char buffer[8];
    size_t len = 7;
    uint64_t number = 7;
    int64_t result = 7;
    int visits = 0;
    nyala_slice slice = slice_of("k", 1);
    nyala_pair pair;
    nyala_pinned *pinned = NULL;
    nyala_cursor *cursor = NULL;
    nyala_statistics stats;
    nyala_set_options options;
    nyala_options open_options;
    nyala_statistics_init(&stats, sizeof stats);
    nyala_set_options_init(&options, sizeof options);
    nyala_options_init(&open_options, sizeof open_options);
    open_options.max_bytes = 64 * MIB;
    pair.key = pair.value = slice;
    pair.status = 7;

    NULL_IS_REFUSED("options", nyala_options_init(NULL, sizeof open_options));
    NULL_IS_REFUSED("options", nyala_set_options_init(NULL, sizeof options));
    NULL_IS_REFUSED("stats", nyala_statistics_init(NULL, sizeof stats));
    NULL_IS_REFUSED("options", nyala_open(NULL, &store));
    NULL_IS_REFUSED("store", nyala_open(&open_options, NULL));
    NULL_IS_REFUSED("store", nyala_get(NULL, TEXT("k"), buffer, sizeof buffer, &len));
    NULL_IS_REFUSED("store", nyala_get_versioned(NULL, TEXT("k"), buffer, sizeof buffer, &len, &number));
    NULL_IS_REFUSED("store", nyala_set(NULL, TEXT("k"), TEXT("v")));
    NULL_IS_REFUSED("store", nyala_set_with(NULL, TEXT("k"), TEXT("v"), &options, &number));
    NULL_IS_REFUSED("store", nyala_delete(NULL, TEXT("k")));
    NULL_IS_REFUSED("store", nyala_delete_if(NULL, TEXT("k"), 1));
    NULL_IS_REFUSED("store", nyala_exists(NULL, TEXT("k")));
    NULL_IS_REFUSED("store", nyala_expire(NULL, TEXT("k"), 1));
    NULL_IS_REFUSED("store", nyala_persist(NULL, TEXT("k")));
    NULL_IS_REFUSED("store", nyala_ttl(NULL, TEXT("k"), &result));
    NULL_IS_REFUSED("store", nyala_increment(NULL, TEXT("k"), 1, 0, &result));
    NULL_IS_REFUSED("store", nyala_append(NULL, TEXT("k"), TEXT("v"), &len));
    NULL_IS_REFUSED("store", nyala_pin(NULL, TEXT("k"), &pinned));
    NULL_IS_REFUSED("store", nyala_get_many(NULL, &slice, 1, ignore, &visits));
    NULL_IS_REFUSED("store", nyala_set_many(NULL, &pair, 1));
    NULL_IS_REFUSED("store", nyala_set_many_atomic(NULL, &pair, 1));
    NULL_IS_REFUSED("store", nyala_delete_many(NULL, &slice, 1, &len));
    NULL_IS_REFUSED("store", nyala_scan_open(NULL, NULL, 0, &cursor));
    NULL_IS_REFUSED("cursor", nyala_scan_next(NULL, &slice, &slice));
    NULL_IS_REFUSED("store", nyala_len(NULL, &number));
    NULL_IS_REFUSED("store", nyala_stats(NULL, &stats));
    NULL_IS_REFUSED("store", nyala_maintain(NULL, 0, &number));
    NULL_IS_REFUSED("store", nyala_clear(NULL));
    NULL_IS_REFUSED("store", nyala_sync(NULL));
    NULL_IS_REFUSED("store", nyala_hottest(NULL, 1, ignore_key, &visits));
    NULL_IS_REFUSED("store", nyala_largest(NULL, 1, ignore_key, &visits));
    NULL_IS_REFUSED("store", nyala_set_max_bytes(NULL, 64 * MIB));
    CHECK(len == 7 && number == 7 && result == 7 && visits == 0 && pair.status == 7);
    CHECK(pinned == NULL && cursor == NULL && stats.entries == 0);

    ANSWERS(NYALA_OK, nyala_close(NULL));
    nyala_unpin(NULL);
    nyala_scan_close(NULL);
    CHECK(nyala_pinned_data(NULL) == NULL && nyala_pinned_len(NULL) == 0 && nyala_pinned_version(NULL) == 0);
}

static void null_outputs(void) {
    char buffer[8];
    size_t len = 7;
    nyala_slice slice = slice_of("k", 1);
    nyala_cursor *cursor = NULL;
    nyala_set(store, TEXT("k"), TEXT("v"));
    NULL_IS_REFUSED("value_len", nyala_get(store, TEXT("k"), buffer, sizeof buffer, NULL));
    NULL_IS_REFUSED("value_len", nyala_get_versioned(store, TEXT("k"), buffer, sizeof buffer, NULL, NULL));
    NULL_IS_REFUSED("version", nyala_get_versioned(store, TEXT("k"), buffer, sizeof buffer, &len, NULL));
    NULL_IS_REFUSED("remaining_ms", nyala_ttl(store, TEXT("k"), NULL));
    NULL_IS_REFUSED("result", nyala_increment(store, TEXT("n"), 1, 0, NULL));
    NULL_IS_REFUSED("value_len", nyala_append(store, TEXT("n"), TEXT("v"), NULL));
    NULL_IS_REFUSED("pinned", nyala_pin(store, TEXT("k"), NULL));
    NULL_IS_REFUSED("visit", nyala_get_many(store, &slice, 1, NULL, NULL));
    NULL_IS_REFUSED("visit", nyala_hottest(store, 1, NULL, NULL));
    NULL_IS_REFUSED("visit", nyala_largest(store, 1, NULL, NULL));
    NULL_IS_REFUSED("deleted", nyala_delete_many(store, &slice, 1, NULL));
    NULL_IS_REFUSED("cursor", nyala_scan_open(store, NULL, 0, NULL));
    NULL_IS_REFUSED("entries", nyala_len(store, NULL));
    NULL_IS_REFUSED("stats", nyala_stats(store, NULL));
    NULL_IS_REFUSED("work_left", nyala_maintain(store, 0, NULL));
    NULL_IS_REFUSED("options", nyala_set_with(store, TEXT("k"), TEXT("w"), NULL, NULL));
    ANSWERS(NYALA_OK, nyala_scan_open(store, NULL, 0, &cursor));
    NULL_IS_REFUSED("key", nyala_scan_next(cursor, NULL, &slice));
    NULL_IS_REFUSED("value", nyala_scan_next(cursor, &slice, NULL));
    nyala_scan_close(cursor);
    CHECK(len == 7 && has_value(store, "k", "v"));
    ANSWERS(NYALA_NOT_FOUND, nyala_exists(store, TEXT("n")));
}

static void null_bytes(void) {
    size_t len = 7;
    nyala_slice slice = slice_of(NULL, 1);
    nyala_pair pair;
    nyala_cursor *cursor = NULL;
    nyala_set_options options;
    int visits = 0;
    nyala_set_options_init(&options, sizeof options);
    pair.key = slice_of("k", 1);
    pair.value = slice;
    pair.status = 7;
    nyala_set(store, TEXT("k"), TEXT("v"));
    NULL_IS_REFUSED("key", nyala_get(store, NULL, 1, NULL, 0, &len));
    NULL_IS_REFUSED("key", nyala_get(store, NULL, 0, NULL, 0, &len));
    NULL_IS_REFUSED("buffer", nyala_get(store, TEXT("k"), NULL, 1, &len));
    NULL_IS_REFUSED("value", nyala_set(store, TEXT("k"), NULL, 1));
    NULL_IS_REFUSED("tail", nyala_append(store, TEXT("k"), NULL, 1, &len));
    NULL_IS_REFUSED("prefix", nyala_scan_open(store, NULL, 1, &cursor));
    options.condition = NYALA_SET_IF_VALUE;
    options.expected = slice;
    NULL_IS_REFUSED("expected", nyala_set_with(store, TEXT("k"), TEXT("w"), &options, NULL));
    NULL_IS_REFUSED("keys", nyala_get_many(store, NULL, 1, ignore, &visits));
    NULL_IS_REFUSED("keys", nyala_delete_many(store, NULL, 1, &len));
    NULL_IS_REFUSED("pairs", nyala_set_many(store, NULL, 1));
    NULL_IS_REFUSED("pairs", nyala_set_many_atomic(store, NULL, 1));
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "keys[0]", nyala_get_many(store, &slice, 1, ignore, &visits));
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "keys[0]", nyala_delete_many(store, &slice, 1, &len));
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "pairs[0]", nyala_set_many(store, &pair, 1));
    CHECK(len == 7 && visits == 0 && pair.status == 7 && cursor == NULL && has_value(store, "k", "v"));
}

static void keys_outside_the_limits(void) {
    static char longest[65536];
    size_t len = 7;
    uint64_t number = 7;
    int64_t result = 7;
    int visits = 0;
    nyala_pinned *pinned = NULL;
    nyala_set_options options;
    nyala_slice keys[2];
    nyala_pair pair;
    memset(longest, 'x', sizeof longest);
    nyala_set_options_init(&options, sizeof options);

#define KEY_IS_REFUSED(status, text, key, key_len)                                               \
    FAILS(status, text, nyala_get(store, key, key_len, NULL, 0, &len));                          \
    FAILS(status, text, nyala_get_versioned(store, key, key_len, NULL, 0, &len, &number));       \
    FAILS(status, text, nyala_set(store, key, key_len, TEXT("v")));                              \
    FAILS(status, text, nyala_set_with(store, key, key_len, TEXT("v"), &options, &number));      \
    FAILS(status, text, nyala_delete(store, key, key_len));                                      \
    FAILS(status, text, nyala_delete_if(store, key, key_len, 1));                                \
    FAILS(status, text, nyala_exists(store, key, key_len));                                      \
    FAILS(status, text, nyala_expire(store, key, key_len, 1));                                   \
    FAILS(status, text, nyala_persist(store, key, key_len));                                     \
    FAILS(status, text, nyala_ttl(store, key, key_len, &result));                                \
    FAILS(status, text, nyala_increment(store, key, key_len, 1, 0, &result));                    \
    FAILS(status, text, nyala_append(store, key, key_len, TEXT("v"), &len));                     \
    FAILS(status, text, nyala_pin(store, key, key_len, &pinned));                                \
    keys[0] = slice_of("k", 1);                                                                  \
    keys[1] = slice_of(key, key_len);                                                            \
    FAILS(status, text, nyala_get_many(store, keys, 2, ignore, &visits));                        \
    FAILS(status, "keys[1]", nyala_get_many(store, keys, 2, ignore, &visits));                   \
    nyala_set(store, TEXT("k"), TEXT("v"));                                                      \
    FAILS(status, "keys[1]", nyala_delete_many(store, keys, 2, &len));                           \
    CHECK(has_value(store, "k", "v"))

    KEY_IS_REFUSED(NYALA_ERR_INVALID_ARGUMENT, "0 bytes", "", 0);
    KEY_IS_REFUSED(NYALA_ERR_TOO_LARGE, "65536 bytes is too large: the limit is 65535 bytes", longest, 65536);
    KEY_IS_REFUSED(NYALA_ERR_TOO_LARGE, "the limit is 65535 bytes", longest, SIZE_MAX);
    CHECK(len == 7 && number == 7 && result == 7 && visits == 0 && pinned == NULL);

    pair.key = slice_of(longest, 65536);
    pair.value = slice_of("v", 1);
    pair.status = 7;
    FAILS(NYALA_ERR_TOO_LARGE, "pairs[0]", nyala_set_many(store, &pair, 1));
    CHECK(pair.status == NYALA_ERR_TOO_LARGE);
    pair.key.len = SIZE_MAX;
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "pairs[0]", nyala_set_many(store, &pair, 1));

    /* The longest key works. */
    ANSWERS(NYALA_OK, nyala_set(store, longest, 65535, TEXT("v")));
    ANSWERS(NYALA_TRUNCATED, nyala_get(store, longest, 65535, NULL, 0, &len));
    ANSWERS(NYALA_OK, nyala_delete(store, longest, 65535));
}

static void values_outside_the_limits(void) {
    size_t too_long = (size_t)(32 * MIB), len = 7;
    char *value = (char *)malloc(too_long);
    nyala_set_options options;
    nyala_pair pairs[2];
    CHECK(value != NULL);
    if (value == NULL) return;
    memset(value, 'x', too_long);
    nyala_set_options_init(&options, sizeof options);
    nyala_set(store, TEXT("k"), TEXT("v"));
    FAILS(NYALA_ERR_TOO_LARGE, "33554432 bytes is too large: the limit is",
          nyala_set(store, TEXT("k"), value, too_long));
    FAILS(NYALA_ERR_TOO_LARGE, "the limit is", nyala_set(store, TEXT("k"), value, SIZE_MAX));
    FAILS(NYALA_ERR_TOO_LARGE, "the limit is", nyala_set_with(store, TEXT("k"), value, too_long, &options, NULL));
    FAILS(NYALA_ERR_TOO_LARGE, "the limit is", nyala_append(store, TEXT("k"), value, too_long, &len));
    FAILS(NYALA_ERR_TOO_LARGE, "the limit is", nyala_append(store, TEXT("k"), value, SIZE_MAX, &len));
    pairs[0].key = slice_of("k", 1);
    pairs[0].value = slice_of(value, too_long);
    pairs[1].key = slice_of("l", 1);
    pairs[1].value = slice_of("w", 1);
    FAILS(NYALA_ERR_TOO_LARGE, "pairs[0]: value of 33554432 bytes", nyala_set_many_atomic(store, pairs, 2));
    CHECK(has_value(store, "k", "v") && nyala_exists(store, TEXT("l")) == NYALA_NOT_FOUND);
    FAILS(NYALA_ERR_TOO_LARGE, "pairs[0]: value of 33554432 bytes", nyala_set_many(store, pairs, 2));
    CHECK(pairs[0].status == NYALA_ERR_TOO_LARGE && pairs[1].status == NYALA_OK);
    CHECK(len == 7 && has_value(store, "k", "v") && has_value(store, "l", "w"));

    /* Appending up to the limit and beyond it. */
    nyala_delete(store, TEXT("k"));
    while (nyala_append(store, TEXT("k"), value, (size_t)MIB, &len) == NYALA_OK && len < too_long) {
    }
    FAILS(NYALA_ERR_TOO_LARGE, "the limit is 16777216 bytes", nyala_append(store, TEXT("k"), value, (size_t)MIB, &len));
    CHECK(len == 16 * MIB);
    {
        size_t now = 0;
        ANSWERS(NYALA_TRUNCATED, nyala_get(store, TEXT("k"), NULL, 0, &now));
        CHECK(now == len);
    }

    /* An expected value that no value can equal. */
    options.condition = NYALA_SET_IF_VALUE;
    options.expected = slice_of(value, too_long);
    ANSWERS(NYALA_CONFLICT, nyala_set_with(store, TEXT("k"), TEXT("v"), &options, NULL));
    options.expected.len = SIZE_MAX;
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "expected of 18446744073709551615 bytes",
          nyala_set_with(store, TEXT("k"), TEXT("v"), &options, NULL));
    free(value);
}

static void impossible_counts(void) {
    nyala_slice key = slice_of("k", 1);
    nyala_pair pair;
    size_t deleted = 7;
    int visits = 0;
    pair.key = pair.value = key;
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "count = ", nyala_get_many(store, &key, SIZE_MAX, ignore, &visits));
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "count = ", nyala_delete_many(store, &key, SIZE_MAX / 2, &deleted));
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "count = ", nyala_set_many(store, &pair, SIZE_MAX));
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "count = ", nyala_set_many_atomic(store, &pair, SIZE_MAX));
    CHECK(visits == 0 && deleted == 7);
}

static void lifetimes_outside_the_limits(void) {
    nyala_set_options options;
    nyala_set(store, TEXT("k"), TEXT("v"));
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "ttl", nyala_expire(store, TEXT("k"), 0));
    nyala_set_options_init(&options, sizeof options);
    options.ttl_ms = 5;
    options.flags = NYALA_SET_KEEP_TTL;
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "ttl", nyala_set_with(store, TEXT("k"), TEXT("w"), &options, NULL));
    CHECK(has_value(store, "k", "v"));
}

static void unknown_conditions_and_flags(void) {
    nyala_set_options options;
    nyala_set_options_init(&options, sizeof options);
    options.condition = 5;
    FAILS(NYALA_ERR_UNSUPPORTED, "condition = 5", nyala_set_with(store, TEXT("k"), TEXT("w"), &options, NULL));
    options.condition = UINT32_MAX;
    FAILS(NYALA_ERR_UNSUPPORTED, "4294967295", nyala_set_with(store, TEXT("k"), TEXT("w"), &options, NULL));
    options.condition = NYALA_SET_ALWAYS;
    options.flags = 6;
    FAILS(NYALA_ERR_UNSUPPORTED, "flags = 0x6", nyala_set_with(store, TEXT("k"), TEXT("w"), &options, NULL));
}

/* A struct of a later version: ours, and eight bytes more. */
struct newer_options {
    nyala_options options;
    uint64_t later;
};
struct newer_set_options {
    nyala_set_options options;
    uint64_t later;
};
struct newer_statistics {
    nyala_statistics stats;
    uint64_t later;
};

/* Sets entries until one is refused: what it answers, NYALA_OK after as many as no store of 1 MiB has. */
static nyala_status fill(nyala_store *filled) {
    char value[100];
    nyala_status status = NYALA_OK;
    uint32_t i;
    memset(value, 'x', sizeof value);
    for (i = 0; i < 100000 && status == NYALA_OK; i++) status = nyala_set(filled, &i, sizeof i, value, sizeof value);
    return status;
}

static void struct_sizes(void) {
    struct newer_options options;
    struct newer_set_options set_options;
    struct newer_statistics stats;
    nyala_store *opened = NULL;
    char says[64];

    FAILS(NYALA_ERR_INVALID_ARGUMENT, "struct_size = 8 bytes lies outside 40",
          nyala_options_init(&options.options, 8));
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "4096 bytes", nyala_options_init(&options.options, SIZE_MAX));
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "nyala_set_options.struct_size = 0",
          nyala_set_options_init(&set_options.options, 0));
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "nyala_statistics.struct_size = 16",
          nyala_statistics_init(&stats.stats, 16));

    /* A program of the first version: what stands behind its structs is not looked at, and not written to. */
    memset(&options, 0xff, sizeof options);
    ANSWERS(NYALA_OK, nyala_options_init(&options.options, offsetof(nyala_options, eviction)));
    CHECK(options.options.eviction == UINT32_MAX);
    options.options.max_bytes = MIB;
    ANSWERS(NYALA_OK, nyala_open(&options.options, &opened));
    memset(&stats, 0xff, sizeof stats);
    ANSWERS(NYALA_OK, nyala_statistics_init(&stats.stats, offsetof(nyala_statistics, runs)));
    ANSWERS(NYALA_OK, nyala_stats(opened, &stats.stats));
    CHECK(stats.stats.max_bytes == MIB && stats.stats.expired == 0 && stats.stats.runs == UINT64_MAX);
    FAILS(NYALA_ERR_FULL, "max_bytes = 1048576 bytes", fill(opened));
    nyala_close(opened);

    /* A newer program: more than this library knows, all zero. */
    memset(&options, 0xff, sizeof options);
    ANSWERS(NYALA_OK, nyala_options_init(&options.options, sizeof options));
    CHECK(options.options.struct_size == sizeof options && options.options.max_bytes == 0 && options.later == 0);
    options.options.max_bytes = MIB;
    ANSWERS(NYALA_OK, nyala_open(&options.options, &opened));
    ANSWERS(NYALA_OK, nyala_set_options_init(&set_options.options, sizeof set_options));
    ANSWERS(NYALA_OK, nyala_set_with(opened, TEXT("k"), TEXT("v"), &set_options.options, NULL));
    ANSWERS(NYALA_OK, nyala_statistics_init(&stats.stats, sizeof stats));
    ANSWERS(NYALA_OK, nyala_stats(opened, &stats.stats));
    CHECK(stats.stats.entries == 1 && stats.later == 0);

    /* The same, using what this library does not know. */
    set_options.later = (uint64_t)1 << 16;
    sprintf(says, "non-zero byte at offset %d", (int)sizeof(nyala_set_options) + 2);
    FAILS(NYALA_ERR_UNSUPPORTED, says, nyala_set_with(opened, TEXT("k"), TEXT("w"), &set_options.options, NULL));
    stats.later = 1;
    FAILS(NYALA_ERR_UNSUPPORTED, "nyala_statistics has a non-zero byte", nyala_stats(opened, &stats.stats));
    CHECK(has_value(opened, "k", "v"));
    nyala_close(opened);
    opened = NULL;
    options.later = 1;
    sprintf(says, "non-zero byte at offset %d", (int)sizeof(nyala_options));
    FAILS(NYALA_ERR_UNSUPPORTED, says, nyala_open(&options.options, &opened));

    /* Too small, or never initialised. */
    options.options.struct_size = sizeof(size_t);
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "struct_size = 8 bytes", nyala_open(&options.options, &opened));
    options.options.struct_size = 0;
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "nyala_options_init", nyala_open(&options.options, &opened));
    options.options.struct_size = (size_t)0xaaaaaaaaaaaaaaaau;
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "4096 bytes", nyala_open(&options.options, &opened));
    set_options.options.struct_size = 1;
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "48", nyala_set_with(store, TEXT("k"), TEXT("w"), &set_options.options, NULL));
    stats.stats.struct_size = 1;
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "nyala_statistics_init", nyala_stats(store, &stats.stats));
    CHECK(opened == NULL);
}

static void sizes_of_stores(void) {
    nyala_options options;
    nyala_store *opened = NULL;
    nyala_status status;
    nyala_options_init(&options, sizeof options);
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "max_bytes = 0 bytes lies outside 1048576", nyala_open(&options, &opened));
    options.max_bytes = 1024;
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "max_bytes = 1024 bytes lies outside 1048576", nyala_open(&options, &opened));
    options.max_bytes = MIB - 1;
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "1048575", nyala_open(&options, &opened));
    options.max_bytes = UINT64_MAX;
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "18446744073709551615", nyala_open(&options, &opened));
    options.max_bytes = MIB;
    options.flags = 2;
    FAILS(NYALA_ERR_UNSUPPORTED, "nyala_options.flags = 0x2", nyala_open(&options, &opened));
    CHECK(opened == NULL);

    options.flags = 0;
    options.eviction = NYALA_EVICTION_ADAPTIVE + 1;
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "nyala_options.eviction = 2 lies outside 0 to 1", nyala_open(&options, &opened));
    options.eviction = UINT32_MAX;
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "eviction = 4294967295", nyala_open(&options, &opened));
    options.eviction = NYALA_EVICTION_ADAPTIVE;
    options.count_reads = NYALA_COUNT_READS_OFF + 1;
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "nyala_options.count_reads = 3 lies outside 0 to 2", nyala_open(&options, &opened));
    CHECK(opened == NULL);

    options.count_reads = NYALA_COUNT_READS_OFF;
    options.eviction = NYALA_EVICTION_NONE;
    ANSWERS(NYALA_OK, nyala_open(&options, &opened));
    ANSWERS(NYALA_OK, nyala_set(opened, TEXT("k"), TEXT("v")));
    CHECK(has_value(opened, "k", "v"));
    nyala_close(opened);

    /* 1 TiB of address space: it opens, or the operating system's refusal is told. */
    opened = NULL;
    options.max_bytes = MIB * MIB;
    status = nyala_open(&options, &opened);
    if (status == NYALA_OK) {
        ANSWERS(NYALA_OK, nyala_set(opened, TEXT("k"), TEXT("v")));
        CHECK(has_value(opened, "k", "v"));
    } else {
        ANSWERS(NYALA_ERR_NO_MEMORY, status);
        CHECK(strstr(nyala_last_error(), "bytes") != NULL);
        printf("1 TiB was refused: %s\n", nyala_last_error());
    }
    nyala_close(opened);
}

static void sizes_to_change_to(void) {
    nyala_store *opened = open_store(8 * MIB, NULL, NULL);
    nyala_statistics stats;
    nyala_statistics_init(&stats, sizeof stats);
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "max_bytes = 0 bytes lies outside 2097152 to 33554432 bytes",
          nyala_set_max_bytes(opened, 0));
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "2097151", nyala_set_max_bytes(opened, 2 * MIB - 1));
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "33554433", nyala_set_max_bytes(opened, 32 * MIB + 1));
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "18446744073709551615", nyala_set_max_bytes(opened, UINT64_MAX));
    ANSWERS(NYALA_OK, nyala_stats(opened, &stats));
    CHECK(stats.max_bytes == 8 * MIB);
    ANSWERS(NYALA_OK, nyala_set_max_bytes(opened, 2 * MIB));
    ANSWERS(NYALA_OK, nyala_set_max_bytes(opened, 32 * MIB));
    ANSWERS(NYALA_OK, nyala_stats(opened, &stats));
    CHECK(stats.max_bytes == 32 * MIB);
    nyala_close(opened);
}

static void messages_stay(void) {
    nyala_set(NULL, TEXT("k"), TEXT("v"));
    CHECK(strstr(nyala_last_error(), "store is NULL") != NULL);
    nyala_set(store, TEXT("k"), TEXT("v"));
    nyala_exists(store, TEXT("nobody"));
    CHECK(strstr(nyala_last_error(), "store is NULL") != NULL);
}

int main(void) {
    store = open_store(64 * MIB, NULL, NULL);
    RUN(null_handles);
    RUN(null_outputs);
    RUN(null_bytes);
    RUN(keys_outside_the_limits);
    RUN(values_outside_the_limits);
    RUN(impossible_counts);
    RUN(lifetimes_outside_the_limits);
    RUN(unknown_conditions_and_flags);
    RUN(struct_sizes);
    RUN(sizes_of_stores);
    RUN(sizes_to_change_to);
    RUN(messages_stay);
    nyala_close(store);
    return finish("bad_input");
}
