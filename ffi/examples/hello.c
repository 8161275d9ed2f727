#include <stdio.h>

#include <nyala.h>

int main(void) {
    nyala_options options;
    nyala_store *store;
    char value[100];
    size_t len;

    nyala_options_init(&options, sizeof options);
    options.max_bytes = 64 << 20;
    if (nyala_open(&options, &store) != NYALA_OK) return puts(nyala_last_error()), 1;
    nyala_set(store, "greeting", 8, "hello", 5);
    if (nyala_get(store, "greeting", 8, value, sizeof value, &len) == NYALA_OK) printf("%.*s\n", (int)len, value);
    return nyala_close(store);
}
