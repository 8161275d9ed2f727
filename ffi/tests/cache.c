/* Caches: full, they make room; a new cap makes them larger and smaller. */
#include "check.h"

#define VALUE_LEN 1000

static nyala_statistics statistics_of(nyala_store *store) {
    nyala_statistics stats;
    nyala_statistics_init(&stats, sizeof stats);
    ANSWERS(NYALA_OK, nyala_stats(store, &stats));
    CHECK(stats.used_bytes <= stats.max_bytes);
    return stats;
}

/* Sets entries from..to, each with a value that starts with its number; how many were stored. */
static uint32_t set_numbers(nyala_store *store, uint32_t from, uint32_t to) {
    static char value[VALUE_LEN];
    uint32_t number, stored = 0;
    for (number = from; number < to; number++) {
        memcpy(value, &number, sizeof number);
        if (nyala_set(store, &number, sizeof number, value, sizeof value) == NYALA_OK) stored++;
    }
    return stored;
}

/* How many of the entries 0..to are there; a value that is another's fails. */
static uint32_t count_numbers(nyala_store *store, uint32_t to) {
    static char value[VALUE_LEN];
    uint32_t number, found = 0, wrong = 0;
    size_t len = 0;
    for (number = 0; number < to; number++) {
        if (nyala_get(store, &number, sizeof number, value, sizeof value, &len) != NYALA_OK) continue;
        found++;
        if (len != VALUE_LEN || memcmp(value, &number, sizeof number) != 0) wrong++;
    }
    CHECK(wrong == 0);
    return found;
}

static void a_cache_is_never_full(void) {
    nyala_store *cache = open_cache(4 * MIB);
    nyala_statistics stats;
    uint32_t found;
    CHECK(set_numbers(cache, 0, 50000) == 50000);
    stats = statistics_of(cache);
    CHECK(stats.evicted > 0 && stats.bytes_evicted > stats.evicted * VALUE_LEN);
    CHECK(stats.entries + stats.evicted == 50000);
    found = count_numbers(cache, 50000);
    CHECK(found == stats.entries && found > 4 * MIB / 2 / VALUE_LEN);
    nyala_close(cache);
}

static void what_is_read_stays(void) {
    nyala_store *cache = open_cache(4 * MIB);
    uint32_t number, kept = 0;
    set_numbers(cache, 0, 100);
    for (number = 100; number < 50000; number += 100) {
        set_numbers(cache, number, number + 100);
        count_numbers(cache, 100);
    }
    kept = count_numbers(cache, 100);
    printf("what_is_read_stays: %u of 100 entries\n", (unsigned)kept);
    CHECK(kept > 90);
    nyala_close(cache);
}

static void a_store_keeps_everything(void) {
    nyala_store *store = open_store(4 * MIB, NULL, NULL);
    uint32_t stored = set_numbers(store, 0, 50000);
    nyala_statistics stats = statistics_of(store);
    CHECK(stored < 50000 && stats.entries == stored && stats.evicted == 0 && stats.bytes_evicted == 0);
    CHECK(count_numbers(store, 50000) == stored);
    nyala_close(store);
}

static void a_cache_changes_its_size(void) {
    nyala_store *cache = open_cache(8 * MIB);
    uint64_t small, large;
    set_numbers(cache, 0, 50000);
    ANSWERS(NYALA_OK, nyala_set_max_bytes(cache, 2 * MIB));
    CHECK(statistics_of(cache).max_bytes == 2 * MIB);
    CHECK(set_numbers(cache, 0, 50000) == 50000);
    small = statistics_of(cache).entries;
    ANSWERS(NYALA_OK, nyala_set_max_bytes(cache, 32 * MIB));
    CHECK(set_numbers(cache, 0, 50000) == 50000);
    large = statistics_of(cache).entries;
    CHECK(large > 8 * small && count_numbers(cache, 50000) == large);
    ANSWERS(NYALA_OK, nyala_set_max_bytes(cache, 8 * MIB));
    CHECK(statistics_of(cache).used_bytes <= 8 * MIB);
    nyala_close(cache);
}

static void a_store_changes_its_size(void) {
    nyala_store *store = open_store(8 * MIB, NULL, NULL);
    CHECK(set_numbers(store, 0, 5000) == 5000);
    FAILS(NYALA_ERR_FULL, "max_bytes = ", nyala_set_max_bytes(store, 2 * MIB));
    CHECK(statistics_of(store).max_bytes == 8 * MIB && count_numbers(store, 5000) == 5000);
    CHECK(set_numbers(store, 5000, 20000) < 15000);
    ANSWERS(NYALA_OK, nyala_set_max_bytes(store, 32 * MIB));
    CHECK(set_numbers(store, 0, 20000) == 20000 && count_numbers(store, 20000) == 20000);
    ANSWERS(NYALA_OK, nyala_clear(store));
    CHECK(set_numbers(store, 0, 1000) == 1000);
    ANSWERS(NYALA_OK, nyala_set_max_bytes(store, 2 * MIB));
    CHECK(count_numbers(store, 1000) == 1000);
    nyala_close(store);
}

static void large_values_have_pages_of_their_own(void) {
    nyala_store *cache = open_cache(64 * MIB);
    size_t value_len = (size_t)(16 * MIB), len = 0;
    char *value = (char *)malloc(value_len), *copy = (char *)malloc(value_len);
    nyala_pinned *pinned = NULL;
    nyala_statistics stats;
    uint32_t i;
    CHECK(value != NULL && copy != NULL);
    if (value != NULL && copy != NULL) {
        for (i = 0; i < 20; i++) {
            memset(value, 'a' + (int)i, value_len);
            if (nyala_set(cache, &i, sizeof i, value, value_len) != NYALA_OK) break;
        }
        CHECK(i == 20);
        stats = statistics_of(cache);
        CHECK(stats.runs == stats.entries && stats.runs > 0 && stats.run_bytes >= stats.runs * value_len);
        i = 19;
        ANSWERS(NYALA_OK, nyala_get(cache, &i, sizeof i, copy, value_len, &len));
        CHECK(len == value_len && memcmp(copy, value, len) == 0);
        ANSWERS(NYALA_OK, nyala_pin(cache, &i, sizeof i, &pinned));
        ANSWERS(NYALA_OK, nyala_delete(cache, &i, sizeof i));
        CHECK(nyala_pinned_len(pinned) == value_len && memcmp(nyala_pinned_data(pinned), value, value_len) == 0);
        nyala_unpin(pinned);
        FAILS(NYALA_ERR_TOO_LARGE, "the limit is 16777216 bytes", nyala_set(cache, &i, sizeof i, value, value_len + 1));
    }
    free(value);
    free(copy);
    nyala_close(cache);
}

int main(void) {
    RUN(a_cache_is_never_full);
    RUN(what_is_read_stays);
    RUN(a_store_keeps_everything);
    RUN(a_cache_changes_its_size);
    RUN(a_store_changes_its_size);
    RUN(large_values_have_pages_of_their_own);
    return finish("cache");
}
