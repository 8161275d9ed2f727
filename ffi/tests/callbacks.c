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

/* What a listener was told; it keeps what was evicted in another store. */
struct heard {
    nyala_store *store, *behind;
    uint64_t now, evicted, expired, removed, wrong;
};

static uint64_t time_of(void *userdata) {
    return ((struct heard *)userdata)->now;
}

static void hear(void *userdata, const void *key, size_t key_len, const void *value, size_t value_len, uint32_t cause) {
    struct heard *heard = (struct heard *)userdata;
    uint64_t entries = 0;
    if (cause == NYALA_CAUSE_EVICTED) heard->evicted++;
    if (cause == NYALA_CAUSE_EXPIRED) heard->expired++;
    if (cause == NYALA_CAUSE_REMOVED) heard->removed++;
    /* Each value begins with its key. The entry is gone, and the store can be used. */
    if (value_len < key_len || memcmp(key, value, key_len) != 0) heard->wrong++;
    if (nyala_exists(heard->store, key, key_len) != NYALA_NOT_FOUND) heard->wrong++;
    if (nyala_len(heard->store, &entries) != NYALA_OK) heard->wrong++;
    if (cause == NYALA_CAUSE_EVICTED && nyala_set(heard->behind, key, key_len, value, value_len) != NYALA_OK) heard->wrong++;
}

static void open_heard(struct heard *heard, uint32_t eviction) {
    nyala_options options;
    memset(heard, 0, sizeof *heard);
    heard->now = 1000;
    nyala_options_init(&options, sizeof options);
    options.max_bytes = MIB;
    options.eviction = eviction;
    options.now_ms = time_of;
    options.now_ms_userdata = heard;
    options.on_removal = hear;
    options.on_removal_userdata = heard;
    heard->store = open_with(&options);
    heard->behind = open_store(64 * MIB, NULL, NULL);
}

static void evictions_are_told(void) {
    struct heard heard;
    char value[100];
    uint32_t i, found = 0;
    nyala_statistics stats;
    memset(value, 'x', sizeof value);
    open_heard(&heard, NYALA_EVICTION_ADAPTIVE);
    for (i = 0; i < 20000; i++) {
        memcpy(value, &i, sizeof i);
        if (nyala_set(heard.store, &i, sizeof i, value, sizeof value) != NYALA_OK) break;
    }
    CHECK(i == 20000);
    nyala_statistics_init(&stats, sizeof stats);
    ANSWERS(NYALA_OK, nyala_stats(heard.store, &stats));
    CHECK(heard.evicted > 10000 && heard.evicted == stats.evicted && heard.evicted + stats.entries == 20000);
    CHECK(heard.expired == 0 && heard.removed == 0 && heard.wrong == 0);
    /* Nothing is lost: what the cache has not, the store behind it has. */
    for (i = 0; i < 20000; i++) {
        nyala_status here = nyala_exists(heard.store, &i, sizeof i);
        nyala_status there = nyala_exists(heard.behind, &i, sizeof i);
        if ((here == NYALA_OK) != (there == NYALA_OK)) found++;
    }
    CHECK(found == 20000);
    nyala_close(heard.store);
    CHECK(heard.evicted == stats.evicted && heard.removed == 0);
    nyala_close(heard.behind);
}

static void other_removals_are_told(void) {
    struct heard heard;
    nyala_slice keys[2];
    size_t deleted = 0;
    uint64_t version = 0, work_left = 0;
    nyala_set_options options;
    open_heard(&heard, NYALA_EVICTION_NONE);
    nyala_set_options_init(&options, sizeof options);

    /* Overwriting removes nothing, and neither does clearing. */
    nyala_set(heard.store, TEXT("a"), TEXT("a1"));
    nyala_set(heard.store, TEXT("a"), TEXT("a2"));
    nyala_clear(heard.store);
    CHECK(heard.removed == 0);
    nyala_set_with(heard.store, TEXT("a"), TEXT("a3"), &options, &version);
    ANSWERS(NYALA_OK, nyala_delete_if(heard.store, TEXT("a"), version));
    CHECK(heard.removed == 1);
    ANSWERS(NYALA_NOT_FOUND, nyala_delete(heard.store, TEXT("a")));
    CHECK(heard.removed == 1);
    nyala_set(heard.store, TEXT("a"), TEXT("a4"));
    nyala_set(heard.store, TEXT("b"), TEXT("b"));
    keys[0] = slice_of("a", 1);
    keys[1] = slice_of("b", 1);
    ANSWERS(NYALA_OK, nyala_delete_many(heard.store, keys, 2, &deleted));
    CHECK(deleted == 2 && heard.removed == 3 && heard.expired == 0);

    options.ttl_ms = 10;
    nyala_set_with(heard.store, TEXT("a"), TEXT("a5"), &options, NULL);
    heard.now += 10;
    ANSWERS(NYALA_NOT_FOUND, nyala_delete(heard.store, TEXT("a")));
    ANSWERS(NYALA_OK, nyala_maintain(heard.store, 1000000000, &work_left));
    CHECK(heard.expired == 1 && heard.removed == 3 && heard.evicted == 0 && heard.wrong == 0);
    nyala_close(heard.store);
    nyala_close(heard.behind);
}

struct hottest {
    nyala_store *store;
    uint32_t visits, number;
    uint64_t reads;
};

static void note_first(void *userdata, const void *key, size_t key_len, uint64_t reads) {
    struct hottest *hottest = (struct hottest *)userdata;
    if (hottest->visits++ == 0 && key_len == sizeof hottest->number) {
        memcpy(&hottest->number, key, key_len);
        hottest->reads = reads;
    }
    if (nyala_delete(hottest->store, key, key_len) != NYALA_OK) hottest->visits += 1000;
}

static void the_longest_values_are_named(void) {
    static char value[1000];
    nyala_options options;
    struct hottest longest;
    uint32_t i;
    nyala_options_init(&options, sizeof options);
    memset(&longest, 0, sizeof longest);
    options.max_bytes = 4 * MIB;
    longest.store = open_with(&options);
    for (i = 0; i < 1000; i++) nyala_set(longest.store, &i, sizeof i, value, i);
    ANSWERS(NYALA_OK, nyala_largest(longest.store, 0, note_first, &longest));
    CHECK(longest.visits == 0);
    ANSWERS(NYALA_OK, nyala_largest(longest.store, 3, note_first, &longest));
    CHECK(longest.visits == 3 && longest.number == 999 && longest.reads == 999);
    nyala_close(longest.store);
}

static void reads_are_counted(void) {
    static const uint32_t counts[] = {NYALA_COUNT_READS_DEFAULT, NYALA_COUNT_READS_ON, NYALA_COUNT_READS_OFF};
    nyala_options options;
    nyala_statistics stats;
    struct hottest hottest;
    uint32_t eviction, count, i;
    for (eviction = NYALA_EVICTION_NONE; eviction <= NYALA_EVICTION_ADAPTIVE; eviction++) {
        for (count = 0; count < 3; count++) {
            int counted = counts[count] == NYALA_COUNT_READS_ON ||
                          (counts[count] == NYALA_COUNT_READS_DEFAULT && eviction == NYALA_EVICTION_ADAPTIVE);
            nyala_options_init(&options, sizeof options);
            nyala_statistics_init(&stats, sizeof stats);
            memset(&hottest, 0, sizeof hottest);
            options.max_bytes = 4 * MIB;
            options.eviction = eviction;
            options.count_reads = counts[count];
            hottest.store = open_with(&options);
            for (i = 0; i < 100; i++) nyala_set(hottest.store, &i, sizeof i, "v", 1);
            for (i = 0; i < 30000; i++) {
                uint32_t key = i % 3 == 0 ? i % 200 : 7;
                nyala_exists(hottest.store, &key, sizeof key);
            }
            ANSWERS(NYALA_OK, nyala_stats(hottest.store, &stats));
            CHECK(stats.hits == (counted ? 25000 : 0) && stats.misses == (counted ? 5000 : 0));
            ANSWERS(NYALA_OK, nyala_hottest(hottest.store, 0, note_first, &hottest));
            CHECK(hottest.visits == 0);
            ANSWERS(NYALA_OK, nyala_hottest(hottest.store, 2, note_first, &hottest));
            CHECK(counted ? hottest.visits >= 1 && hottest.visits <= 2 : hottest.visits == 0);
            CHECK(!counted || (hottest.number == 7 && hottest.reads > 5000 && hottest.reads < 40000));
            nyala_close(hottest.store);
        }
    }
}

int main(void) {
    RUN(clock_calls_the_store);
    RUN(visits_change_the_store);
    RUN(batches_nest);
    RUN(evictions_are_told);
    RUN(other_removals_are_told);
    RUN(reads_are_counted);
    RUN(the_longest_values_are_named);
    return finish("callbacks");
}
