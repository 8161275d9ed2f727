/* Pins and cursors live as long as their owner wants, whatever happens to the entry and to the store's handle. */
#include <pthread.h>

#include "check.h"

static int holds_pattern(nyala_pinned *pinned, size_t len) {
    const unsigned char *bytes = (const unsigned char *)nyala_pinned_data(pinned);
    size_t i;
    if (nyala_pinned_len(pinned) != len) return 0;
    for (i = 0; i < len; i++) {
        if (bytes[i] != (unsigned char)(i * 7)) return 0;
    }
    return 1;
}

static nyala_pinned *pin_pattern(nyala_store *store, const char *key, size_t len) {
    unsigned char value[4096];
    nyala_pinned *pinned = NULL;
    size_t i;
    for (i = 0; i < len; i++) value[i] = (unsigned char)(i * 7);
    ANSWERS(NYALA_OK, nyala_set(store, key, strlen(key), value, len));
    ANSWERS(NYALA_OK, nyala_pin(store, key, strlen(key), &pinned));
    return pinned;
}

static void pins_outlive_overwriting(void) {
    nyala_store *store = open_store(4 * MIB, NULL, NULL);
    nyala_pinned *pinned = pin_pattern(store, "k", 1000);
    char other[1000];
    uint64_t work_left = 0;
    int round;
    memset(other, 'x', sizeof other);
    /* Several times the store's size: its memory is reclaimed and used again around the pin. */
    for (round = 0; round < 20000; round++) {
        if (nyala_set(store, TEXT("k"), other, sizeof other) != NYALA_OK) break;
        if (nyala_set(store, TEXT("l"), other, 1 + (size_t)round % sizeof other) != NYALA_OK) break;
    }
    CHECK(round == 20000);
    CHECK(holds_pattern(pinned, 1000));
    nyala_delete(store, TEXT("k"));
    ANSWERS(NYALA_OK, nyala_maintain(store, 10000000, &work_left));
    ANSWERS(NYALA_OK, nyala_clear(store));
    CHECK(holds_pattern(pinned, 1000));
    nyala_unpin(pinned);
    nyala_close(store);
}

static void *unpin(void *pinned) {
    int *holds = (int *)malloc(sizeof(int));
    if (holds != NULL) *holds = holds_pattern((nyala_pinned *)pinned, 100);
    nyala_unpin((nyala_pinned *)pinned);
    return holds;
}

static void pins_outlive_close(void) {
    nyala_store *store = open_store(4 * MIB, NULL, NULL);
    nyala_pinned *first = pin_pattern(store, "first", 4096);
    nyala_pinned *second = pin_pattern(store, "second", 100);
    pthread_t thread;
    void *holds = NULL;
    nyala_delete(store, TEXT("first"));
    ANSWERS(NYALA_OK, nyala_close(store));
    CHECK(holds_pattern(first, 4096) && nyala_pinned_version(first) != 0);
    nyala_unpin(first);
    /* The last one frees the memory, in another thread. */
    CHECK(pthread_create(&thread, NULL, unpin, second) == 0);
    CHECK(pthread_join(thread, &holds) == 0);
    CHECK(holds != NULL && *(int *)holds);
    free(holds);
}

static void cursors_outlive_close(void) {
    nyala_store *store = open_store(4 * MIB, NULL, NULL);
    nyala_cursor *cursor = NULL;
    nyala_slice key, value;
    uint32_t i, seen = 0;
    for (i = 0; i < 1000; i++) nyala_set(store, &i, sizeof i, &i, sizeof i);
    ANSWERS(NYALA_OK, nyala_scan_open(store, NULL, 0, &cursor));
    ANSWERS(NYALA_OK, nyala_scan_next(cursor, &key, &value));
    ANSWERS(NYALA_OK, nyala_close(store));
    CHECK(key.len == sizeof i && memcmp(key.data, value.data, sizeof i) == 0);
    for (seen = 1; nyala_scan_next(cursor, &key, &value) == NYALA_OK; seen++) {
        CHECK(key.len == sizeof i && memcmp(key.data, value.data, sizeof i) == 0);
    }
    CHECK(seen == 1000);
    nyala_scan_close(cursor);
}

static void cursors_stand_changes(void) {
    nyala_store *store = open_store(16 * MIB, NULL, NULL);
    nyala_cursor *cursor = NULL;
    nyala_slice key, value;
    uint32_t i, number, seen[2000];
    int right = 1;
    memset(seen, 0, sizeof seen);
    for (i = 0; i < 2000; i++) nyala_set(store, &i, sizeof i, &i, sizeof i);
    ANSWERS(NYALA_OK, nyala_scan_open(store, NULL, 0, &cursor));
    /* Odd keys go, even ones are overwritten, and the index grows, while the cursor is under way. */
    for (i = 0; nyala_scan_next(cursor, &key, &value) == NYALA_OK; i++) {
        uint32_t odd = i * 2 + 1, even = i * 2, more = 1000000 + i;
        memcpy(&number, key.data, sizeof number);
        if (number < 2000) seen[number]++;
        if (odd < 2000) nyala_delete(store, &odd, sizeof odd);
        if (even < 2000) nyala_set(store, &even, sizeof even, TEXT("longer than it was"));
        if (i < 4000) nyala_set(store, &more, sizeof more, TEXT("new"));
        if (i > 100000) break;
    }
    for (i = 0; i < 2000; i += 2) right = right && seen[i] == 1;
    CHECK(right);
    nyala_scan_close(cursor);
    nyala_close(store);
}

static void stores_are_apart(void) {
    nyala_store *one = open_store(4 * MIB, NULL, NULL), *two = open_store(4 * MIB, NULL, NULL);
    nyala_set(one, TEXT("k"), TEXT("one"));
    nyala_set(two, TEXT("k"), TEXT("two"));
    CHECK(has_value(one, "k", "one"));
    nyala_close(one);
    CHECK(has_value(two, "k", "two"));
    nyala_close(two);
}

int main(void) {
    RUN(pins_outlive_overwriting);
    RUN(pins_outlive_close);
    RUN(cursors_outlive_close);
    RUN(cursors_stand_changes);
    RUN(stores_are_apart);
    return finish("lifetime");
}
