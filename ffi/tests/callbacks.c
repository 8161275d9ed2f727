/* Callbacks run with no lock held: each may call the library, on the same store too. */
#include "check.h"

struct reentrant_clock {
    nyala_store *store;
    uint64_t now;
    int inside, calls, failures;
};

static uint64_t asks_the_store(void *userdata) {
    struct reentrant_clock *clock = (struct reentrant_clock *)userdata;
    clock->calls++;
    if (clock->store != NULL && !clock->inside) {
        uint64_t entries = 0;
        clock->inside = 1;
        if (nyala_set(clock->store, TEXT("from the clock"), TEXT("v")) != NYALA_OK) clock->failures++;
        if (nyala_len(clock->store, &entries) != NYALA_OK || entries == 0) clock->failures++;
        if (nyala_delete(clock->store, TEXT("from the clock")) != NYALA_OK) clock->failures++;
        clock->inside = 0;
    }
    return clock->now;
}

static void clock_calls_the_store(void) {
    struct reentrant_clock clock;
    nyala_set_options options;
    int64_t left = 0, sum = 0;
    size_t len = 0;
    memset(&clock, 0, sizeof clock);
    clock.now = 1000;
    clock.store = open_store(64 * MIB, asks_the_store, &clock);
    nyala_set_options_init(&options, sizeof options);
    options.ttl_ms = 100;
    ANSWERS(NYALA_OK, nyala_set_with(clock.store, TEXT("k"), TEXT("1"), &options, NULL));
    ANSWERS(NYALA_OK, nyala_ttl(clock.store, TEXT("k"), &left));
    CHECK(left == 100);
    ANSWERS(NYALA_OK, nyala_increment(clock.store, TEXT("k"), 1, 0, &sum));
    ANSWERS(NYALA_OK, nyala_append(clock.store, TEXT("k"), TEXT("0"), &len));
    ANSWERS(NYALA_OK, nyala_expire(clock.store, TEXT("k"), 50));
    clock.now += 50;
    ANSWERS(NYALA_NOT_FOUND, nyala_exists(clock.store, TEXT("k")));
    CHECK(clock.calls > 0 && clock.failures == 0);
    nyala_close(clock.store);
}

struct chain {
    nyala_store *store;
    int visits, right;
};

static void changes_the_store(void *userdata, size_t index, nyala_status status, const void *value, size_t value_len) {
    struct chain *chain = (struct chain *)userdata;
    char key[2], copy[8];
    size_t len = 0;
    uint64_t entries = 0;
    key[0] = (char)('a' + index);
    key[1] = 0;
    chain->visits++;
    /* What was handed over stays as it was while the entry is overwritten, deleted and cleared away. */
    if (status == NYALA_OK && value_len == 3 && nyala_set(chain->store, key, 1, TEXT("new")) == NYALA_OK &&
        memcmp(value, "old", 3) == 0 && nyala_get(chain->store, key, 1, copy, sizeof copy, &len) == NYALA_OK &&
        memcmp(copy, "new", 3) == 0 && nyala_delete(chain->store, key, 1) == NYALA_OK &&
        memcmp(value, "old", 3) == 0 && nyala_clear(chain->store) == NYALA_OK && memcmp(value, "old", 3) == 0 &&
        nyala_len(chain->store, &entries) == NYALA_OK && entries == 0) {
        chain->right++;
    }
    for (key[0] = 'a'; key[0] < 'd'; key[0]++) nyala_set(chain->store, key, 1, TEXT("old"));
}

static void visits_change_the_store(void) {
    struct chain chain;
    nyala_slice keys[3];
    keys[0] = slice_of("a", 1);
    keys[1] = slice_of("b", 1);
    keys[2] = slice_of("c", 1);
    chain.store = open_store(64 * MIB, NULL, NULL);
    chain.visits = chain.right = 0;
    nyala_set(chain.store, TEXT("a"), TEXT("old"));
    nyala_set(chain.store, TEXT("b"), TEXT("old"));
    nyala_set(chain.store, TEXT("c"), TEXT("old"));
    ANSWERS(NYALA_OK, nyala_get_many(chain.store, keys, 3, changes_the_store, &chain));
    CHECK(chain.visits == 3 && chain.right == 3);
    nyala_close(chain.store);
}

static void nests(void *userdata, size_t index, nyala_status status, const void *value, size_t value_len) {
    struct chain *chain = (struct chain *)userdata;
    nyala_slice key = slice_of("k", 1);
    (void)index, (void)value, (void)value_len;
    chain->visits++;
    if (status == NYALA_OK && chain->visits < 10) {
        if (nyala_get_many(chain->store, &key, 1, nests, chain) == NYALA_OK) chain->right++;
    }
}

static void batches_nest(void) {
    struct chain chain;
    nyala_slice key = slice_of("k", 1);
    chain.store = open_store(64 * MIB, NULL, NULL);
    chain.visits = chain.right = 0;
    nyala_set(chain.store, TEXT("k"), TEXT("v"));
    ANSWERS(NYALA_OK, nyala_get_many(chain.store, &key, 1, nests, &chain));
    CHECK(chain.visits == 10 && chain.right == 9);
    nyala_close(chain.store);
}

int main(void) {
    RUN(clock_calls_the_store);
    RUN(visits_change_the_store);
    RUN(batches_nest);
    return finish("callbacks");
}
