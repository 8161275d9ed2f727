/* A child process that uses its parent's store is told so, and never waits for a lock that nobody holds. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static nyala_store *store;
static nyala_pinned *pinned;
static nyala_cursor *cursor;

static void ignore(void *userdata, size_t index, nyala_status status, const void *value, size_t value_len) {
    (void)userdata, (void)index, (void)status, (void)value, (void)value_len;
}

#define FORKED(call) FAILS(NYALA_ERR_FORKED, "fork", call)

static void uses_the_parents_store(void) {
    char buffer[8];
    size_t len = 0;
    int64_t number = 0;
    uint64_t version = 0;
    nyala_pinned *other = NULL;
    nyala_cursor *walk = NULL;
    nyala_slice key = slice_of("k", 1), value;
    nyala_pair pair;
    nyala_set_options options;
    nyala_set_options_init(&options, sizeof options);
    pair.key = pair.value = key;
    FORKED(nyala_get(store, TEXT("k"), buffer, sizeof buffer, &len));
    FORKED(nyala_get(store, TEXT("nobody"), buffer, sizeof buffer, &len));
    FORKED(nyala_get_versioned(store, TEXT("k"), buffer, sizeof buffer, &len, &version));
    FORKED(nyala_set(store, TEXT("k"), TEXT("w")));
    FORKED(nyala_set_with(store, TEXT("k"), TEXT("w"), &options, NULL));
    FORKED(nyala_delete(store, TEXT("k")));
    FORKED(nyala_delete_if(store, TEXT("k"), nyala_pinned_version(pinned)));
    FORKED(nyala_exists(store, TEXT("k")));
    FORKED(nyala_expire(store, TEXT("k"), 5));
    FORKED(nyala_persist(store, TEXT("k")));
    FORKED(nyala_ttl(store, TEXT("k"), &number));
    FORKED(nyala_increment(store, TEXT("n"), 1, 0, &number));
    FORKED(nyala_append(store, TEXT("k"), TEXT("w"), &len));
    FORKED(nyala_pin(store, TEXT("k"), &other));
    FORKED(nyala_get_many(store, &key, 1, ignore, NULL));
    FORKED(nyala_set_many(store, &pair, 1));
    FORKED(nyala_set_many_atomic(store, &pair, 1));
    FORKED(nyala_delete_many(store, &key, 1, &len));
    FORKED(nyala_scan_open(store, NULL, 0, &walk));
    FORKED(nyala_scan_next(cursor, &key, &value));
    FORKED(nyala_maintain(store, 0, &version));
    FORKED(nyala_clear(store));
    FORKED(nyala_sync(store));

    /* A store of its own works; what it inherited can be let go. */
    {
        nyala_store *own = open_store(4 * MIB, NULL, NULL);
        ANSWERS(NYALA_OK, nyala_set(own, TEXT("k"), TEXT("v")));
        CHECK(has_value(own, "k", "v"));
        nyala_close(own);
    }
    nyala_unpin(pinned);
    nyala_scan_close(cursor);
    ANSWERS(NYALA_OK, nyala_close(store));
}

static void forked_children_are_told(void) {
    int status = 0;
    pid_t child;
    store = open_store(4 * MIB, NULL, NULL);
    nyala_set(store, TEXT("k"), TEXT("v"));
    ANSWERS(NYALA_OK, nyala_pin(store, TEXT("k"), &pinned));
    ANSWERS(NYALA_OK, nyala_scan_open(store, NULL, 0, &cursor));
    fflush(stdout);
    child = fork();
    if (child == 0) {
        alarm(60);
        uses_the_parents_store();
        fflush(stdout);
        _exit(checks_failed == 0 ? 0 : 1);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);

    /* The parent goes on. */
    CHECK(has_value(store, "k", "v") && memcmp(nyala_pinned_data(pinned), "v", 1) == 0);
    ANSWERS(NYALA_OK, nyala_set(store, TEXT("k"), TEXT("w")));
    nyala_unpin(pinned);
    nyala_scan_close(cursor);
    nyala_close(store);
}

int main(void) {
    RUN(forked_children_are_told);
    return finish("fork");
}
