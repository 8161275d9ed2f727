/* A folder for the files of a test, below TMPDIR or /tmp, however long that is. */
#ifndef NYALA_FOLDER_H
#define NYALA_FOLDER_H

#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

#define PATH_BYTES 4096

static char folder[PATH_BYTES - 64];

/* The path of a file in the folder. The program ends if it is too long for the system. */
static MAYBE_UNUSED void name_file(char path[PATH_BYTES], const char *name) {
    int len = snprintf(path, PATH_BYTES, "%s/%s", folder, name);
    if (len < 0 || len >= PATH_BYTES) {
        printf("the path of %s has %d bytes\n", name, len);
        exit(1);
    }
}

static MAYBE_UNUSED void make_folder(void) {
    const char *below = getenv("TMPDIR");
    int len;
    if (below == NULL || *below == '\0') below = "/tmp";
    len = snprintf(folder, sizeof folder, "%s/nyala-XXXXXX", below);
    if (len < 0 || (size_t)len >= sizeof folder || mkdtemp(folder) == NULL) {
        printf("no folder below %s\n", below);
        exit(1);
    }
}

static MAYBE_UNUSED off_t size_of(const char *file) {
    struct stat found;
    return stat(file, &found) == 0 ? found.st_size : -1;
}

static MAYBE_UNUSED void write_file(const char *file, const void *bytes, size_t len) {
    FILE *out = fopen(file, "wb");
    CHECK(out != NULL && fwrite(bytes, 1, len, out) == len && fclose(out) == 0);
}

/* All bytes of a file, to be freed, and their number. */
static MAYBE_UNUSED char *read_file(const char *file, size_t *len) {
    off_t size = size_of(file);
    char *bytes = (char *)malloc(size > 0 ? (size_t)size : 1);
    FILE *in = fopen(file, "rb");
    *len = in != NULL && size >= 0 ? fread(bytes, 1, (size_t)size, in) : 0;
    CHECK(in != NULL && (off_t)*len == size && fclose(in) == 0);
    return bytes;
}

static MAYBE_UNUSED nyala_options options_of(const char *file) {
    nyala_options options;
    nyala_options_init(&options, sizeof options);
    options.path = file;
    return options;
}

static MAYBE_UNUSED nyala_store *open_file(const char *file) {
    nyala_options options = options_of(file);
    return open_with(&options);
}

/* Opening with these options fails with this status and these words, and leaves no handle. */
#define REFUSED(expected, text, options)                             \
    do {                                                             \
        nyala_store *refused = NULL;                                 \
        FAILS(expected, text, nyala_open(&options, &refused));       \
        CHECK(refused == NULL);                                      \
    } while (0)

#endif
