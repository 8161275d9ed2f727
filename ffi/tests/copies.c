/* Files that are only read, checked, copied and saved, and who is told how far that has come. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include <fcntl.h>

#include "folder.h"

static char path[PATH_BYTES], copy[PATH_BYTES], missing[PATH_BYTES];

#define ENTRIES 1000

static nyala_file_report new_report(void) {
    nyala_file_report report;
    ANSWERS(NYALA_OK, nyala_file_report_init(&report, sizeof report));
    return report;
}

static int entry_length(uint32_t i) {
    return 100 + (int)(i % 100);
}

static void fill(nyala_store *store) {
    char value[200];
    uint32_t i;
    memset(value, 'v', sizeof value);
    for (i = 0; i < ENTRIES; i++) {
        if (nyala_set(store, &i, sizeof i, value, (size_t)entry_length(i)) != NYALA_OK) break;
    }
    CHECK(i == ENTRIES);
}

/* The same entries in another place. */
static void start_over(void) {
    nyala_store *store;
    unlink(path);
    unlink(copy);
    store = open_file(path);
    fill(store);
    ANSWERS(NYALA_OK, nyala_close(store));
}

static int holds_all(nyala_store *store) {
    char value[200];
    uint32_t i;
    size_t len;
    for (i = 0; i < ENTRIES; i++) {
        if (nyala_get(store, &i, sizeof i, value, sizeof value, &len) != NYALA_OK || len != (size_t)entry_length(i)) break;
    }
    return i == ENTRIES;
}

static void readers_share_a_file(void) {
    nyala_options options = options_of(path), writing = options_of(path);
    nyala_store *readers[2];
    nyala_pair pair;
    nyala_set_options set;
    nyala_file_report report = new_report();
    int64_t number = 7;
    uint64_t left = 7;
    size_t before_len, after_len, deleted = 7;
    nyala_slice key = slice_of("k", 1);
    char *before, *after;
    start_over();
    before = read_file(path, &before_len);
    options.flags = NYALA_OPEN_READ_ONLY;
    readers[0] = open_with(&options);
    readers[1] = open_with(&options);
    CHECK(holds_all(readers[0]) && holds_all(readers[1]));
    REFUSED(NYALA_ERR_LOCKED, "is locked", writing);
    ANSWERS(NYALA_OK, nyala_verify(path, &report));
    CHECK(report.entries == ENTRIES);

#define READ_ONLY(call) FAILS(NYALA_ERR_READ_ONLY, "opened for reading only", call)
    READ_ONLY(nyala_set(readers[0], TEXT("k"), TEXT("v")));
    nyala_set_options_init(&set, sizeof set);
    READ_ONLY(nyala_set_with(readers[0], TEXT("k"), TEXT("v"), &set, NULL));
    READ_ONLY(nyala_delete(readers[0], "\0\0\0", 4));
    READ_ONLY(nyala_delete_if(readers[0], TEXT("k"), 1));
    READ_ONLY(nyala_increment(readers[0], TEXT("n"), 1, 0, &number));
    READ_ONLY(nyala_append(readers[0], TEXT("k"), TEXT("v"), &after_len));
    READ_ONLY(nyala_expire(readers[0], "\0\0\0", 4, 1000));
    READ_ONLY(nyala_persist(readers[0], "\0\0\0", 4));
    READ_ONLY(nyala_delete_many(readers[0], &key, 1, &deleted));
    READ_ONLY(nyala_clear(readers[0]));
    READ_ONLY(nyala_maintain(readers[0], 1000, &left));
    READ_ONLY(nyala_set_max_bytes(readers[0], 64 * MIB));
    READ_ONLY(nyala_sync(readers[0]));
    pair.key = key;
    pair.value = key;
    pair.status = NYALA_OK;
    READ_ONLY(nyala_set_many(readers[0], &pair, 1));
    CHECK(number == 7 && left == 7 && deleted == 7 && holds_all(readers[0]));

    /* What is read can be copied. */
    ANSWERS(NYALA_OK, nyala_backup(readers[0], copy));
    ANSWERS(NYALA_OK, nyala_close(readers[0]));
    ANSWERS(NYALA_OK, nyala_close(readers[1]));
    after = read_file(path, &after_len);
    CHECK(before_len == after_len && memcmp(before, after, after_len) == 0);
    free(before);
    free(after);
    readers[0] = open_file(path);
    ANSWERS(NYALA_OK, nyala_set(readers[0], TEXT("k"), TEXT("v")));
    REFUSED(NYALA_ERR_LOCKED, "is locked", options);
    FAILS(NYALA_ERR_LOCKED, path, nyala_verify(path, &report));
    FAILS(NYALA_ERR_LOCKED, path, nyala_salvage(path, missing, &report));
    nyala_close(readers[0]);
}

static void flags_that_are_refused(void) {
    nyala_options options = options_of(missing);
    options.flags = NYALA_OPEN_READ_ONLY;
    REFUSED(NYALA_ERR_IO, "No such file", options);
    CHECK(size_of(missing) == -1);
    options.flags = NYALA_OPEN_READ_ONLY | (uint64_t)1 << 63;
    REFUSED(NYALA_ERR_UNSUPPORTED, "nyala_options.flags = 0x8000000000000001", options);
    options = options_of(NULL);
    options.max_bytes = MIB;
    options.flags = NYALA_OPEN_READ_ONLY;
    REFUSED(NYALA_ERR_INVALID_ARGUMENT, "read_only asks for a file", options);
    write_file(missing, "", 0);
    options = options_of(missing);
    options.flags = NYALA_OPEN_READ_ONLY;
    REFUSED(NYALA_ERR_CORRUPT, "holds no store yet", options);
    CHECK(size_of(missing) == 0 && unlink(missing) == 0);
}

static void copies_are_stores(void) {
    nyala_options small = options_of(path);
    nyala_store *store;
    nyala_file_report report = new_report();
    nyala_statistics stats;
    uint64_t segment_bytes;
    start_over();
    unlink(path);
    small.max_bytes = 4 * MIB;
    store = open_with(&small);
    fill(store);
    ANSWERS(NYALA_OK, nyala_backup_with(store, copy, NULL, NULL, &report));
    CHECK(report.entries == ENTRIES && report.live_bytes > 100 * ENTRIES && report.file_bytes > report.live_bytes);
    CHECK(report.dead_bytes < report.live_bytes && report.file_bytes == (uint64_t)size_of(copy));
    nyala_statistics_init(&stats, sizeof stats);
    ANSWERS(NYALA_OK, nyala_stats(store, &stats));
    segment_bytes = stats.segment_bytes;
    nyala_close(store);
    small.path = copy;
    store = open_with(&small);
    ANSWERS(NYALA_OK, nyala_stats(store, &stats));
    CHECK(holds_all(store) && stats.segment_bytes == segment_bytes);
    nyala_close(store);

    /* Of memory too. */
    unlink(copy);
    store = open_store(4 * MIB, NULL, NULL);
    fill(store);
    ANSWERS(NYALA_OK, nyala_backup(store, copy));
    nyala_close(store);
    store = open_file(copy);
    CHECK(holds_all(store));
    nyala_close(store);
}

static void copies_that_cannot_be(void) {
    nyala_store *store;
    nyala_file_report report = new_report(), wrong = new_report();
    nyala_file_report *none = NULL;
    char below[PATH_BYTES];
    start_over();
    store = open_file(path);
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "store is NULL", nyala_backup(NULL, copy));
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "path is NULL", nyala_backup(store, NULL));
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "report is NULL", nyala_backup_with(store, copy, NULL, NULL, none));
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "is empty", nyala_backup(store, ""));
    FAILS(NYALA_ERR_IO, "File exists", nyala_backup(store, path));
    FAILS(NYALA_ERR_IO, "File exists", nyala_backup(store, folder));
    FAILS(NYALA_ERR_IO, "File exists", nyala_backup(store, "/dev/null"));
    name_file(below, "missing/store");
    FAILS(NYALA_ERR_IO, "No such file", nyala_backup(store, below));
    name_file(below, "store/below");
    FAILS(NYALA_ERR_IO, "Not a directory", nyala_backup(store, below));
    wrong.struct_size = 7;
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "nyala_file_report.struct_size = 7 bytes",
          nyala_backup_with(store, copy, NULL, NULL, &wrong));
    CHECK(size_of(copy) == -1);
    nyala_close(store);

    FAILS(NYALA_ERR_INVALID_ARGUMENT, "report is NULL", nyala_file_report_init(NULL, sizeof report));
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "struct_size = 8 bytes", nyala_file_report_init(&report, 8));
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "path is NULL", nyala_verify(NULL, &report));
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "report is NULL", nyala_verify(path, NULL));
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "is empty", nyala_verify("", &report));
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "is a directory", nyala_verify(folder, &report));
    FAILS(NYALA_ERR_IO, "No such file", nyala_verify(missing, &report));
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "from is NULL", nyala_salvage(NULL, copy, &report));
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "to is NULL", nyala_salvage(path, NULL, &report));
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "report is NULL", nyala_salvage(path, copy, NULL));
    FAILS(NYALA_ERR_INVALID_ARGUMENT, "is a directory", nyala_salvage(folder, copy, &report));
    FAILS(NYALA_ERR_IO, "File exists", nyala_salvage(path, path, &report));
    FAILS(NYALA_ERR_IO, "No such file", nyala_salvage(missing, copy, &report));
    CHECK(size_of(copy) == -1 && report.entries == 0);
}

static void damage_is_found_and_the_rest_is_saved(void) {
    nyala_options options = options_of(path);
    nyala_file_report report = new_report();
    nyala_store *store;
    size_t len, at;
    char *bytes, *now;
    start_over();
    ANSWERS(NYALA_OK, nyala_verify(path, &report));
    CHECK(report.entries == ENTRIES && report.file_bytes == (uint64_t)size_of(path));
    bytes = read_file(path, &len);
    for (at = 0; at + 100 < len && memcmp(bytes + at, "vvvvvvvv", 8) != 0; at++) continue;
    bytes[at + 50] ^= 1;
    write_file(path, bytes, len);
    report = new_report();
    FAILS(NYALA_ERR_CORRUPT, "corrupt at byte", nyala_verify(path, &report));
    FAILS(NYALA_ERR_CORRUPT, path, nyala_verify(path, &report));
    CHECK(report.entries == 0);
    /* One that was closed is opened without a look at its records. */
    options.flags = NYALA_OPEN_READ_ONLY;
    ANSWERS(NYALA_OK, nyala_open(&options, &store));
    CHECK(!holds_all(store));
    nyala_close(store);
    ANSWERS(NYALA_OK, nyala_salvage(path, copy, &report));
    CHECK(report.entries == ENTRIES - 1);
    now = read_file(path, &at);
    CHECK(at == len && memcmp(now, bytes, len) == 0);
    free(now);
    store = open_file(copy);
    CHECK(!holds_all(store));
    nyala_close(store);
    unlink(copy);

    memset(bytes, 7, len);
    write_file(path, bytes, len);
    FAILS(NYALA_ERR_CORRUPT, "no file of Nyala", nyala_salvage(path, copy, &report));
    FAILS(NYALA_ERR_CORRUPT, "no file of Nyala", nyala_verify(path, &report));
    CHECK(size_of(copy) == -1);
    free(bytes);
}

struct telling {
    int calls, cancels_at;
    uint64_t done, total;
};

static int32_t on_progress(void *userdata, uint64_t done, uint64_t total) {
    struct telling *telling = (struct telling *)userdata;
    telling->calls++;
    CHECK(done >= telling->done && done <= total);
    telling->done = done;
    telling->total = total;
    /* It may call the library. */
    CHECK(nyala_version() != NULL && *nyala_status_name(NYALA_ERR_CANCELLED) == 'N');
    return telling->cancels_at == telling->calls ? -1 : 0;
}

static void progress_is_told_and_can_end_it(void) {
    nyala_options options = options_of(path);
    nyala_file_report report = new_report();
    struct telling goes_on = {0, 0, 0, 0}, ends = {0, 1, 0, 0};
    nyala_store *store;
    start_over();
    options.on_progress = on_progress;
    options.on_progress_userdata = &goes_on;
    store = open_with(&options);
    CHECK(goes_on.calls >= 1 && holds_all(store));
    FAILS(NYALA_ERR_CANCELLED, "cancelled", nyala_backup_with(store, copy, on_progress, &ends, &report));
    CHECK(ends.calls == 1 && size_of(copy) == -1 && report.entries == 0);
    goes_on.calls = 0;
    goes_on.done = 0;
    ANSWERS(NYALA_OK, nyala_backup_with(store, copy, on_progress, &goes_on, &report));
    CHECK(goes_on.calls >= 1 && report.entries == ENTRIES);
    nyala_close(store);
    options.on_progress_userdata = &ends;
    ends.calls = 0;
    REFUSED(NYALA_ERR_CANCELLED, "cancelled", options);
    ends.calls = 0;
    FAILS(NYALA_ERR_CANCELLED, "cancelled", nyala_verify_with(path, on_progress, &ends, &report));
    ends.calls = 0;
    FAILS(NYALA_ERR_CANCELLED, "cancelled", nyala_salvage_with(path, missing, on_progress, &ends, &report));
    CHECK(size_of(missing) == -1);
    goes_on.done = 0;
    report = new_report();
    ANSWERS(NYALA_OK, nyala_verify_with(path, on_progress, &goes_on, &report));
    CHECK(report.entries == ENTRIES);
    goes_on.done = 0;
    ANSWERS(NYALA_OK, nyala_salvage_with(path, missing, on_progress, &goes_on, &report));
    CHECK(report.entries == ENTRIES && unlink(missing) == 0);
}

/* The number by which this process has a file open, or -1. */
static int number_of(const char *file) {
    struct stat wanted, found;
    int number;
    if (stat(file, &wanted) != 0) return -1;
    for (number = 3; number < 1024; number++) {
        if (fstat(number, &found) == 0 && found.st_dev == wanted.st_dev && found.st_ino == wanted.st_ino) return number;
    }
    return -1;
}

/* Puts something that cannot be synced in the place of the open file. */
static void break_file(const char *file) {
    int number = number_of(file), null = open("/dev/null", O_RDWR);
    CHECK(number >= 0 && null >= 0 && dup2(null, number) == number && close(null) == 0);
}

static void what_fails_in_closing_is_told(void) {
    nyala_options options = options_of(path);
    nyala_store *store;
    nyala_pinned *pinned;
    start_over();
    store = open_file(path);
    ANSWERS(NYALA_OK, nyala_set(store, TEXT("k"), TEXT("v")));
    break_file(path);
    FAILS(NYALA_ERR_IO, "cannot sync", nyala_close(store));
    store = open_file(path);
    CHECK(holds_all(store) && has_value(store, "k", "v"));
    break_file(path);
    FAILS(NYALA_ERR_IO, "cannot sync", nyala_sync(store));
    FAILS(NYALA_ERR_POISONED, "poisoned", nyala_set(store, TEXT("k"), TEXT("w")));
    FAILS(NYALA_ERR_POISONED, "poisoned", nyala_close(store));

    /* A pin keeps it open, and it is synced all the same. */
    store = open_file(path);
    ANSWERS(NYALA_OK, nyala_pin(store, TEXT("k"), &pinned));
    break_file(path);
    FAILS(NYALA_ERR_IO, "cannot sync", nyala_close(store));
    CHECK(nyala_pinned_len(pinned) == 1 && memcmp(nyala_pinned_data(pinned), "v", 1) == 0);
    nyala_unpin(pinned);
    options.flags = NYALA_OPEN_READ_ONLY;
    store = open_with(&options);
    CHECK(holds_all(store) && has_value(store, "k", "v"));
    ANSWERS(NYALA_OK, nyala_close(store));
}

int main(void) {
    make_folder();
    name_file(path, "store");
    name_file(copy, "copy");
    name_file(missing, "other");
    RUN(readers_share_a_file);
    RUN(flags_that_are_refused);
    RUN(copies_are_stores);
    RUN(copies_that_cannot_be);
    RUN(damage_is_found_and_the_rest_is_saved);
    RUN(progress_is_told_and_can_end_it);
    RUN(what_fails_in_closing_is_told);
    unlink(path);
    unlink(copy);
    /* No copy is left in part. */
    CHECK(rmdir(folder) == 0);
    return finish("copies");
}
