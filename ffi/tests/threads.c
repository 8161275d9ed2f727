/* Threads on one store. Every value says which key and write it belongs to, so that a mixture shows. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include <pthread.h>
#include <time.h>

#include "check.h"

#define THREADS 4
#define KEYS 512
#define SECONDS 2

static nyala_store *store;

struct worker {
    pthread_t thread;
    uint64_t random, operations, bad, increments;
};

static uint64_t draw(struct worker *worker) {
    worker->random ^= worker->random << 13;
    worker->random ^= worker->random >> 7;
    worker->random ^= worker->random << 17;
    return worker->random;
}

/* A value: its key's number, then words that follow from it and from the write's number. */
static size_t fill(uint64_t *value, uint64_t key, uint64_t write) {
    size_t words = 2 + (size_t)(write % 30), i;
    value[0] = key;
    value[1] = write;
    for (i = 2; i < words; i++) value[i] = key * 1000003u + write * 7919u + i;
    return words * sizeof *value;
}

static int is_whole(const uint64_t *value, size_t len, uint64_t key) {
    uint64_t expected[32];
    return len >= 16 && value[0] == key && fill(expected, key, value[1]) == len && memcmp(value, expected, len) == 0;
}

struct visited {
    const uint64_t *keys;
    uint64_t bad;
};

static void check_visit(void *userdata, size_t index, nyala_status status, const void *value, size_t value_len) {
    struct visited *visited = (struct visited *)userdata;
    uint64_t copy[32];
    if (status == NYALA_NOT_FOUND) return;
    if (status != NYALA_OK || value_len > sizeof copy) {
        visited->bad++;
        return;
    }
    memcpy(copy, value, value_len);
    if (!is_whole(copy, value_len, visited->keys[index])) visited->bad++;
}

static void step(struct worker *worker) {
    uint64_t key = draw(worker) % KEYS, value[32], version = 0, keys[8];
    size_t len = 0, i;
    int64_t sum = 0;
    nyala_status status;
    nyala_pinned *pinned = NULL;
    nyala_set_options options;
    nyala_slice slices[8];
    struct visited visited;

    switch (draw(worker) % 10) {
    case 0:
    case 1:
    case 2:
        status = nyala_get(store, &key, sizeof key, value, sizeof value, &len);
        if (status != NYALA_NOT_FOUND && !(status == NYALA_OK && is_whole(value, len, key))) worker->bad++;
        break;
    case 3:
    case 4:
        len = fill(value, key, draw(worker));
        if (nyala_set(store, &key, sizeof key, value, len) != NYALA_OK) worker->bad++;
        break;
    case 5:
        status = nyala_delete(store, &key, sizeof key);
        if (status != NYALA_OK && status != NYALA_NOT_FOUND) worker->bad++;
        break;
    case 6:
        status = nyala_pin(store, &key, sizeof key, &pinned);
        if (status == NYALA_OK) {
            uint64_t copy[32];
            len = nyala_pinned_len(pinned);
            if (len > sizeof copy) {
                worker->bad++;
            } else {
                memcpy(copy, nyala_pinned_data(pinned), len);
                if (!is_whole(copy, len, key)) worker->bad++;
                memcpy(value, nyala_pinned_data(pinned), len);
                if (memcmp(copy, value, len) != 0) worker->bad++;
            }
            nyala_unpin(pinned);
        } else if (status != NYALA_NOT_FOUND && status != NYALA_ERR_BUSY) {
            worker->bad++;
        }
        break;
    case 7:
        status = nyala_get_versioned(store, &key, sizeof key, value, sizeof value, &len, &version);
        if (status == NYALA_OK) {
            nyala_set_options_init(&options, sizeof options);
            options.condition = NYALA_SET_IF_VERSION;
            options.version = version;
            len = fill(value, key, draw(worker));
            status = nyala_set_with(store, &key, sizeof key, value, len, &options, &version);
            if (status != NYALA_OK && status != NYALA_CONFLICT && status != NYALA_NOT_FOUND) worker->bad++;
        }
        break;
    case 8:
        for (i = 0; i < 8; i++) {
            keys[i] = draw(worker) % KEYS;
            slices[i] = slice_of(&keys[i], sizeof keys[i]);
        }
        visited.keys = keys;
        visited.bad = 0;
        if (nyala_get_many(store, slices, 8, check_visit, &visited) != NYALA_OK) worker->bad++;
        worker->bad += visited.bad;
        break;
    default:
        if (nyala_increment(store, TEXT("counter"), 1, 0, &sum) != NYALA_OK || sum <= 0) worker->bad++;
        worker->increments++;
    }
}

static void *work(void *argument) {
    struct worker *worker = (struct worker *)argument;
    time_t end = time(NULL) + SECONDS;
    while (time(NULL) < end && worker->bad == 0) {
        int i;
        for (i = 0; i < 256; i++) step(worker);
        worker->operations += 256;
    }
    return NULL;
}

static void hammering(void) {
    struct worker workers[THREADS];
    uint64_t increments = 0, operations = 0;
    char counted[32];
    int i;
    store = open_store(8 * MIB, NULL, NULL);
    for (i = 0; i < THREADS; i++) {
        memset(&workers[i], 0, sizeof workers[i]);
        workers[i].random = 0x9e3779b97f4a7c15u * (uint64_t)(i + 1);
        CHECK(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
    }
    for (i = 0; i < THREADS; i++) {
        CHECK(pthread_join(workers[i].thread, NULL) == 0);
        CHECK(workers[i].bad == 0);
        increments += workers[i].increments;
        operations += workers[i].operations;
    }
    sprintf(counted, "%" PRIu64, increments);
    CHECK(has_value(store, "counter", counted));
    printf("hammering: %" PRIu64 " operations by %d threads\n", operations, THREADS);
    nyala_close(store);
}

static void *fails_elsewhere(void *unused) {
    (void)unused;
    if (nyala_last_error()[0] != 0) return NULL;
    nyala_delete(store, NULL, 5);
    return strstr(nyala_last_error(), "key is NULL") != NULL ? store : NULL;
}

static void errors_belong_to_threads(void) {
    pthread_t thread;
    void *right = NULL;
    store = open_store(8 * MIB, NULL, NULL);
    nyala_set(NULL, TEXT("k"), TEXT("v"));
    CHECK(pthread_create(&thread, NULL, fails_elsewhere, NULL) == 0);
    CHECK(pthread_join(thread, &right) == 0);
    CHECK(right == store);
    CHECK(strstr(nyala_last_error(), "store is NULL") != NULL);
    nyala_close(store);
}

int main(void) {
    RUN(hammering);
    RUN(errors_belong_to_threads);
    return finish("threads");
}
