/* Every function on its ordinary way, with every fact that it can answer. */
#include "check.h"

static uint64_t fake_now_ms(void *userdata) { return *(const uint64_t *)userdata; }

static void versions(void) {
    char composed[64];
    sprintf(composed, "%d.%d.%d", NYALA_VERSION_MAJOR, NYALA_VERSION_MINOR, NYALA_VERSION_PATCH);
    CHECK(strcmp(nyala_version(), composed) == 0);
    CHECK(nyala_version_number() == NYALA_VERSION_NUMBER);
    CHECK(nyala_version_number() == NYALA_VERSION_MAJOR * 1000000u + NYALA_VERSION_MINOR * 1000u + NYALA_VERSION_PATCH);
    CHECK(nyala_abi_version() == NYALA_ABI_VERSION);
}

static void status_names(void) {
    CHECK(strcmp(nyala_status_name(NYALA_OK), "NYALA_OK") == 0);
    CHECK(strcmp(nyala_status_name(NYALA_END), "NYALA_END") == 0);
    CHECK(strcmp(nyala_status_name(NYALA_ERR_PANIC), "NYALA_ERR_PANIC") == 0);
    CHECK(strcmp(nyala_status_name(12345), "unknown status") == 0);
    CHECK(nyala_last_error() != NULL);
}

static void get_and_set(void) {
    nyala_store *store = open_store(64 * MIB, NULL, NULL);
    char buffer[8] = "unused!";
    size_t len = 99;

    ANSWERS(NYALA_NOT_FOUND, nyala_get(store, TEXT("colour"), buffer, sizeof buffer, &len));
    CHECK(len == 99 && strcmp(buffer, "unused!") == 0);
    ANSWERS(NYALA_OK, nyala_set(store, TEXT("colour"), TEXT("amber")));
    ANSWERS(NYALA_OK, nyala_get(store, TEXT("colour"), buffer, sizeof buffer, &len));
    CHECK(len == 5 && memcmp(buffer, "amberd!", 5) == 0 && buffer[5] == 'd');

    /* The length alone, with and without a buffer. */
    len = 0;
    ANSWERS(NYALA_TRUNCATED, nyala_get(store, TEXT("colour"), NULL, 0, &len));
    CHECK(len == 5);
    memcpy(buffer, "unused!", 8);
    len = 0;
    ANSWERS(NYALA_TRUNCATED, nyala_get(store, TEXT("colour"), buffer, 4, &len));
    CHECK(len == 5 && strcmp(buffer, "unused!") == 0);
    ANSWERS(NYALA_OK, nyala_get(store, TEXT("colour"), buffer, 5, &len));

    /* An empty value is a value, and any bytes are a key. */
    ANSWERS(NYALA_OK, nyala_set(store, "\0\xff", 2, NULL, 0));
    len = 99;
    ANSWERS(NYALA_OK, nyala_get(store, "\0\xff", 2, NULL, 0, &len));
    CHECK(len == 0);
    ANSWERS(NYALA_NOT_FOUND, nyala_exists(store, "\0", 1));

    ANSWERS(NYALA_OK, nyala_close(store));
}

static void versions_of_values(void) {
    nyala_store *store = open_store(64 * MIB, NULL, NULL);
    char buffer[16];
    size_t len = 0;
    uint64_t first = 0, second = 0, unchanged = 7;

    ANSWERS(NYALA_NOT_FOUND, nyala_get_versioned(store, TEXT("k"), buffer, sizeof buffer, &len, &unchanged));
    CHECK(unchanged == 7);
    ANSWERS(NYALA_OK, nyala_set(store, TEXT("k"), TEXT("one")));
    ANSWERS(NYALA_OK, nyala_get_versioned(store, TEXT("k"), buffer, sizeof buffer, &len, &first));
    CHECK(first != 0 && len == 3 && memcmp(buffer, "one", 3) == 0);
    ANSWERS(NYALA_OK, nyala_set(store, TEXT("k"), TEXT("one")));
    ANSWERS(NYALA_TRUNCATED, nyala_get_versioned(store, TEXT("k"), buffer, 2, &len, &second));
    CHECK(second != first && len == 3);

    ANSWERS(NYALA_CONFLICT, nyala_delete_if(store, TEXT("k"), first));
    ANSWERS(NYALA_OK, nyala_delete_if(store, TEXT("k"), second));
    ANSWERS(NYALA_NOT_FOUND, nyala_delete_if(store, TEXT("k"), second));
    nyala_close(store);
}

static void deleting(void) {
    nyala_store *store = open_store(64 * MIB, NULL, NULL);
    ANSWERS(NYALA_NOT_FOUND, nyala_delete(store, TEXT("k")));
    nyala_set(store, TEXT("k"), TEXT("v"));
    ANSWERS(NYALA_OK, nyala_exists(store, TEXT("k")));
    ANSWERS(NYALA_OK, nyala_delete(store, TEXT("k")));
    ANSWERS(NYALA_NOT_FOUND, nyala_exists(store, TEXT("k")));
    nyala_close(store);
}

static void conditions(void) {
    nyala_store *store = open_store(64 * MIB, NULL, NULL);
    nyala_set_options options;
    uint64_t version = 0, other = 0;
    ANSWERS(NYALA_OK, nyala_set_options_init(&options, sizeof options));
    CHECK(options.struct_size == sizeof options && options.condition == NYALA_SET_ALWAYS);

    options.condition = NYALA_SET_IF_PRESENT;
    ANSWERS(NYALA_NOT_FOUND, nyala_set_with(store, TEXT("k"), TEXT("a"), &options, &version));
    CHECK(version == 0);
    options.condition = NYALA_SET_IF_VERSION;
    options.version = 4711;
    ANSWERS(NYALA_NOT_FOUND, nyala_set_with(store, TEXT("k"), TEXT("a"), &options, NULL));
    options.condition = NYALA_SET_IF_VALUE;
    ANSWERS(NYALA_NOT_FOUND, nyala_set_with(store, TEXT("k"), TEXT("a"), &options, NULL));

    options.condition = NYALA_SET_IF_ABSENT;
    ANSWERS(NYALA_OK, nyala_set_with(store, TEXT("k"), TEXT("a"), &options, &version));
    CHECK(version != 0);
    ANSWERS(NYALA_EXISTS, nyala_set_with(store, TEXT("k"), TEXT("b"), &options, &other));
    CHECK(other == 0 && has_value(store, "k", "a"));

    options.condition = NYALA_SET_IF_VERSION;
    options.version = version + 1000;
    ANSWERS(NYALA_CONFLICT, nyala_set_with(store, TEXT("k"), TEXT("b"), &options, &other));
    options.version = version;
    ANSWERS(NYALA_OK, nyala_set_with(store, TEXT("k"), TEXT("b"), &options, &other));
    CHECK(other != 0 && other != version && has_value(store, "k", "b"));

    options.condition = NYALA_SET_IF_VALUE;
    options.expected = slice_of("a", 1);
    ANSWERS(NYALA_CONFLICT, nyala_set_with(store, TEXT("k"), TEXT("c"), &options, NULL));
    options.expected = slice_of("b", 1);
    ANSWERS(NYALA_OK, nyala_set_with(store, TEXT("k"), NULL, 0, &options, NULL));
    options.expected = slice_of(NULL, 0);
    ANSWERS(NYALA_OK, nyala_set_with(store, TEXT("k"), TEXT("d"), &options, NULL));

    options.condition = NYALA_SET_IF_PRESENT;
    ANSWERS(NYALA_OK, nyala_set_with(store, TEXT("k"), TEXT("e"), &options, NULL));
    CHECK(has_value(store, "k", "e"));
    nyala_close(store);
}

static void lifetimes(void) {
    uint64_t now = 1000000;
    nyala_store *store = open_store(64 * MIB, fake_now_ms, &now);
    nyala_set_options options;
    uint64_t version = 0, later = 0;
    int64_t left = 0;
    size_t len = 0;
    nyala_set_options_init(&options, sizeof options);

    ANSWERS(NYALA_NOT_FOUND, nyala_ttl(store, TEXT("k"), &left));
    ANSWERS(NYALA_NOT_FOUND, nyala_expire(store, TEXT("k"), 10));
    ANSWERS(NYALA_NOT_FOUND, nyala_persist(store, TEXT("k")));

    options.ttl_ms = 500;
    ANSWERS(NYALA_OK, nyala_set_with(store, TEXT("k"), TEXT("v"), &options, &version));
    ANSWERS(NYALA_OK, nyala_ttl(store, TEXT("k"), &left));
    CHECK(left == 500);
    now += 200;
    ANSWERS(NYALA_OK, nyala_ttl(store, TEXT("k"), &left));
    CHECK(left == 300);

    /* Lifetimes change without changing the version. */
    ANSWERS(NYALA_OK, nyala_expire(store, TEXT("k"), 1000));
    ANSWERS(NYALA_OK, nyala_persist(store, TEXT("k")));
    ANSWERS(NYALA_OK, nyala_ttl(store, TEXT("k"), &left));
    CHECK(left == -1);
    ANSWERS(NYALA_OK, nyala_persist(store, TEXT("k")));
    ANSWERS(NYALA_OK, nyala_expire(store, TEXT("k"), 100));
    ANSWERS(NYALA_TRUNCATED, nyala_get_versioned(store, TEXT("k"), NULL, 0, &len, &later));
    CHECK(later == version);

    /* Keeping it, and clearing it. */
    options.ttl_ms = 0;
    options.flags = NYALA_SET_KEEP_TTL;
    ANSWERS(NYALA_OK, nyala_set_with(store, TEXT("k"), TEXT("w"), &options, NULL));
    ANSWERS(NYALA_OK, nyala_ttl(store, TEXT("k"), &left));
    CHECK(left == 100);
    ANSWERS(NYALA_OK, nyala_set(store, TEXT("k"), TEXT("x")));
    ANSWERS(NYALA_OK, nyala_ttl(store, TEXT("k"), &left));
    CHECK(left == -1);

    /* The end. */
    ANSWERS(NYALA_OK, nyala_expire(store, TEXT("k"), 100));
    now += 99;
    ANSWERS(NYALA_OK, nyala_exists(store, TEXT("k")));
    now += 1;
    ANSWERS(NYALA_NOT_FOUND, nyala_exists(store, TEXT("k")));
    ANSWERS(NYALA_NOT_FOUND, nyala_persist(store, TEXT("k")));

    /* A lifetime longer than time itself. */
    options.flags = 0;
    options.ttl_ms = UINT64_MAX;
    ANSWERS(NYALA_OK, nyala_set_with(store, TEXT("k"), TEXT("v"), &options, NULL));
    ANSWERS(NYALA_OK, nyala_exists(store, TEXT("k")));
    nyala_close(store);
}

static void numbers(void) {
    uint64_t now = 1000000;
    nyala_store *store = open_store(64 * MIB, fake_now_ms, &now);
    int64_t sum = 0, left = 0;
    ANSWERS(NYALA_OK, nyala_increment(store, TEXT("n"), 5, 0, &sum));
    CHECK(sum == 5 && has_value(store, "n", "5"));
    ANSWERS(NYALA_OK, nyala_increment(store, TEXT("n"), -12, 50, &sum));
    CHECK(sum == -7 && has_value(store, "n", "-7"));
    ANSWERS(NYALA_OK, nyala_ttl(store, TEXT("n"), &left));
    CHECK(left == -1);
    ANSWERS(NYALA_OK, nyala_increment(store, TEXT("m"), INT64_MIN, 50, &sum));
    CHECK(sum == INT64_MIN && has_value(store, "m", "-9223372036854775808"));
    ANSWERS(NYALA_OK, nyala_ttl(store, TEXT("m"), &left));
    CHECK(left == 50);

    sum = 99;
    FAILS(NYALA_ERR_OVERFLOW, "-9223372036854775808", nyala_increment(store, TEXT("m"), -1, 0, &sum));
    CHECK(sum == 99 && has_value(store, "m", "-9223372036854775808"));
    nyala_set(store, TEXT("t"), TEXT("twelve"));
    FAILS(NYALA_ERR_NOT_A_NUMBER, "6 bytes", nyala_increment(store, TEXT("t"), 1, 0, &sum));
    CHECK(sum == 99 && has_value(store, "t", "twelve"));
    nyala_set(store, TEXT("t"), TEXT("41"));
    ANSWERS(NYALA_OK, nyala_increment(store, TEXT("t"), 1, 0, &sum));
    CHECK(sum == 42);
    nyala_close(store);
}

static void appending(void) {
    nyala_store *store = open_store(64 * MIB, NULL, NULL);
    size_t len = 0;
    int64_t left = 0;
    ANSWERS(NYALA_OK, nyala_append(store, TEXT("k"), TEXT("ab"), &len));
    CHECK(len == 2);
    ANSWERS(NYALA_OK, nyala_expire(store, TEXT("k"), 3600000));
    ANSWERS(NYALA_OK, nyala_append(store, TEXT("k"), TEXT("cde"), &len));
    CHECK(len == 5 && has_value(store, "k", "abcde"));
    ANSWERS(NYALA_OK, nyala_append(store, TEXT("k"), NULL, 0, &len));
    CHECK(len == 5);
    ANSWERS(NYALA_OK, nyala_ttl(store, TEXT("k"), &left));
    CHECK(left > 3500000 && left <= 3600000);
    nyala_close(store);
}

static void pins(void) {
    nyala_store *store = open_store(64 * MIB, NULL, NULL);
    nyala_pinned *pinned = NULL, *empty = NULL;
    size_t len = 0;
    uint64_t version = 0;
    ANSWERS(NYALA_NOT_FOUND, nyala_pin(store, TEXT("k"), &pinned));
    CHECK(pinned == NULL);
    nyala_set(store, TEXT("k"), TEXT("here"));
    ANSWERS(NYALA_OK, nyala_pin(store, TEXT("k"), &pinned));
    ANSWERS(NYALA_TRUNCATED, nyala_get_versioned(store, TEXT("k"), NULL, 0, &len, &version));
    CHECK(nyala_pinned_len(pinned) == 4 && nyala_pinned_version(pinned) == version);
    CHECK(memcmp(nyala_pinned_data(pinned), "here", 4) == 0);

    /* Take, the long way. */
    ANSWERS(NYALA_OK, nyala_delete_if(store, TEXT("k"), nyala_pinned_version(pinned)));
    CHECK(memcmp(nyala_pinned_data(pinned), "here", 4) == 0);
    nyala_unpin(pinned);

    nyala_set(store, TEXT("e"), NULL, 0);
    ANSWERS(NYALA_OK, nyala_pin(store, TEXT("e"), &empty));
    CHECK(nyala_pinned_len(empty) == 0 && nyala_pinned_data(empty) != NULL);
    nyala_unpin(empty);
    nyala_unpin(NULL);
    nyala_close(store);
}

struct seen {
    int visits;
    char found[8];
};

static void note(void *userdata, size_t index, nyala_status status, const void *value, size_t value_len) {
    struct seen *seen = (struct seen *)userdata;
    seen->visits++;
    if (status == NYALA_NOT_FOUND) {
        CHECK(value == NULL && value_len == 0);
        seen->found[index] = '-';
    } else {
        CHECK(status == NYALA_OK && value_len == 1);
        seen->found[index] = *(const char *)value;
    }
}

static void batches(void) {
    nyala_store *store = open_store(64 * MIB, NULL, NULL);
    nyala_pair pairs[4];
    nyala_slice keys[4];
    struct seen seen;
    size_t i, deleted = 99;
    const char *names[4] = {"a", "b", "a", "c"};
    memset(&seen, 0, sizeof seen);
    for (i = 0; i < 4; i++) {
        pairs[i].key = keys[i] = slice_of(names[i], 1);
        pairs[i].value = slice_of(&"1234"[i], 1);
        pairs[i].status = 99;
    }
    ANSWERS(NYALA_OK, nyala_set_many(store, pairs, 3));
    CHECK(pairs[0].status == NYALA_OK && pairs[2].status == NYALA_OK && pairs[3].status == 99);
    ANSWERS(NYALA_OK, nyala_get_many(store, keys, 4, note, &seen));
    CHECK(seen.visits == 4 && memcmp(seen.found, "323-", 4) == 0);
    ANSWERS(NYALA_OK, nyala_delete_many(store, keys, 4, &deleted));
    CHECK(deleted == 2);
    ANSWERS(NYALA_OK, nyala_delete_many(store, keys, 4, &deleted));
    CHECK(deleted == 0);

    /* As one: all or none, and statuses stay as they are. */
    pairs[0].status = pairs[2].status = 99;
    ANSWERS(NYALA_OK, nyala_set_many_atomic(store, pairs, 3));
    CHECK(pairs[0].status == 99 && pairs[2].status == 99);
    memset(&seen, 0, sizeof seen);
    ANSWERS(NYALA_OK, nyala_get_many(store, keys, 4, note, &seen));
    CHECK(seen.visits == 4 && memcmp(seen.found, "323-", 4) == 0);
    pairs[1].key.len = 0;
    pairs[0].value = slice_of("5", 1);
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "pairs[1]", nyala_set_many_atomic(store, pairs, 3));
    memset(&seen, 0, sizeof seen);
    ANSWERS(NYALA_OK, nyala_get_many(store, keys, 4, note, &seen));
    CHECK(memcmp(seen.found, "323-", 4) == 0);
    ANSWERS(NYALA_OK, nyala_delete_many(store, keys, 4, &deleted));
    CHECK(deleted == 2);

    /* None at all. */
    ANSWERS(NYALA_OK, nyala_set_many_atomic(store, NULL, 0));
    ANSWERS(NYALA_OK, nyala_set_many(store, NULL, 0));
    ANSWERS(NYALA_OK, nyala_get_many(store, NULL, 0, note, &seen));
    ANSWERS(NYALA_OK, nyala_delete_many(store, NULL, 0, &deleted));
    CHECK(seen.visits == 4 && deleted == 0);
    nyala_close(store);
}

/* More than the library hands on at a time. */
#define MANY 5000

static void count_visit(void *userdata, size_t index, nyala_status status, const void *value, size_t value_len) {
    uint32_t number = 0;
    if (value_len == sizeof number) memcpy(&number, value, sizeof number);
    if (status == NYALA_OK && number == index) ++*(size_t *)userdata;
}

static void long_batches(void) {
    nyala_store *store = open_store(64 * MIB, NULL, NULL);
    static uint32_t numbers_of[MANY];
    static nyala_pair pairs[MANY];
    static nyala_slice keys[MANY];
    uint32_t i;
    size_t right = 0, deleted = 0;
    uint64_t entries = 0;
    for (i = 0; i < MANY; i++) {
        numbers_of[i] = i;
        pairs[i].key = pairs[i].value = keys[i] = slice_of(&numbers_of[i], sizeof numbers_of[i]);
        pairs[i].status = 99;
    }
    FAILS(NYALA_ERR_TOO_LARGE, "frame of 360000 bytes is too large: the limit is",
          nyala_set_many_atomic(store, pairs, MANY));
    ANSWERS(NYALA_OK, nyala_len(store, &entries));
    CHECK(entries == 0);
    ANSWERS(NYALA_OK, nyala_set_many(store, pairs, MANY));
    for (i = 0; i < MANY && pairs[i].status == NYALA_OK; i++) {
    }
    CHECK(i == MANY);
    ANSWERS(NYALA_OK, nyala_len(store, &entries));
    CHECK(entries == MANY);
    ANSWERS(NYALA_OK, nyala_get_many(store, keys, MANY, count_visit, &right));
    CHECK(right == MANY);
    ANSWERS(NYALA_OK, nyala_delete_many(store, keys, MANY, &deleted));
    CHECK(deleted == MANY);

    /* A pair that fails leaves the others alone, and is named. */
    pairs[3000].key.len = 0;
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "pairs[3000]", nyala_set_many(store, pairs, MANY));
    CHECK(pairs[2999].status == NYALA_OK && pairs[3000].status == NYALA_ERR_INVALID_ARGUMENT &&
          pairs[3001].status == NYALA_OK && pairs[MANY - 1].status == NYALA_OK);
    ANSWERS(NYALA_OK, nyala_len(store, &entries));
    CHECK(entries == MANY - 1);
    nyala_close(store);
}

static void scanning(void) {
    nyala_store *store = open_store(64 * MIB, NULL, NULL);
    nyala_cursor *cursor = NULL;
    nyala_slice key, value;
    char name[24];
    int i, seen[200], total = 0, once = 1;
    memset(seen, 0, sizeof seen);
    for (i = 0; i < 200; i++) {
        sprintf(name, "%s%d", i < 100 ? "low:" : "high:", i);
        nyala_set(store, name, strlen(name), &i, sizeof i);
    }
    ANSWERS(NYALA_OK, nyala_scan_open(store, TEXT("low:"), &cursor));
    while (nyala_scan_next(cursor, &key, &value) == NYALA_OK) {
        CHECK(key.len > 4 && memcmp(key.data, "low:", 4) == 0 && value.len == sizeof i);
        memcpy(&i, value.data, sizeof i);
        seen[i]++;
        total++;
    }
    for (i = 0; i < 100; i++) once = once && seen[i] == 1;
    CHECK(total == 100 && once);
    key = slice_of(NULL, 99);
    ANSWERS(NYALA_END, nyala_scan_next(cursor, &key, &value));
    ANSWERS(NYALA_END, nyala_scan_next(cursor, &key, &value));
    CHECK(key.len == 99);
    nyala_scan_close(cursor);

    /* Everything, and leaving in the middle. */
    ANSWERS(NYALA_OK, nyala_scan_open(store, NULL, 0, &cursor));
    for (total = 0; nyala_scan_next(cursor, &key, &value) == NYALA_OK; total++) {
    }
    CHECK(total == 200);
    nyala_scan_close(cursor);
    ANSWERS(NYALA_OK, nyala_scan_open(store, NULL, 0, &cursor));
    ANSWERS(NYALA_OK, nyala_scan_next(cursor, &key, &value));
    nyala_scan_close(cursor);
    ANSWERS(NYALA_OK, nyala_scan_open(store, TEXT("nobody:"), &cursor));
    ANSWERS(NYALA_END, nyala_scan_next(cursor, &key, &value));
    nyala_scan_close(cursor);
    nyala_scan_close(NULL);
    nyala_close(store);
}

static void whole_store(void) {
    nyala_store *store = open_store(64 * MIB, NULL, NULL);
    nyala_statistics stats;
    uint64_t entries = 99, work_left = 99;
    ANSWERS(NYALA_OK, nyala_statistics_init(&stats, sizeof stats));
    CHECK(stats.struct_size == sizeof stats);
    ANSWERS(NYALA_OK, nyala_len(store, &entries));
    CHECK(entries == 0);
    nyala_set(store, TEXT("a"), TEXT("1"));
    nyala_set(store, TEXT("b"), TEXT("2"));
    ANSWERS(NYALA_OK, nyala_len(store, &entries));
    CHECK(entries == 2);
    ANSWERS(NYALA_OK, nyala_stats(store, &stats));
    CHECK(stats.struct_size == sizeof stats && stats.entries == 2 && stats.max_bytes == 64 * MIB);
    CHECK(stats.used_bytes <= stats.max_bytes);
    ANSWERS(NYALA_OK, nyala_stats(store, &stats));
    ANSWERS(NYALA_OK, nyala_maintain(store, 1000000, &work_left));
    CHECK(work_left != 99);
    ANSWERS(NYALA_OK, nyala_maintain(store, 0, &work_left));
    ANSWERS(NYALA_OK, nyala_clear(store));
    ANSWERS(NYALA_OK, nyala_len(store, &entries));
    CHECK(entries == 0);
    ANSWERS(NYALA_NOT_FOUND, nyala_exists(store, TEXT("a")));
    ANSWERS(NYALA_OK, nyala_close(store));
    ANSWERS(NYALA_OK, nyala_close(NULL));
}

int main(void) {
    RUN(versions);
    RUN(status_names);
    RUN(get_and_set);
    RUN(versions_of_values);
    RUN(deleting);
    RUN(conditions);
    RUN(lifetimes);
    RUN(numbers);
    RUN(appending);
    RUN(pins);
    RUN(batches);
    RUN(long_batches);
    RUN(scanning);
    RUN(whole_store);
    return finish("surface");
}
