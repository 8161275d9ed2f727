#include <stdio.h>

#include <nyala.h>

int main(int count, char **arguments) {
    nyala_options options;
    nyala_store *store;
    int64_t starts;

    nyala_options_init(&options, sizeof options);
    options.path = count > 1 ? arguments[1] : "hello.nyala";
    options.durability = NYALA_DURABILITY_INTERVAL;
    options.sync_interval_ms = 100;
    if (nyala_open(&options, &store) != NYALA_OK) return puts(nyala_last_error()), 1;
    if (nyala_increment(store, "starts", 6, 1, 0, &starts) != NYALA_OK) return puts(nyala_last_error()), 1;
    if (nyala_sync(store) != NYALA_OK) return puts(nyala_last_error()), 1;
    printf("started %d times\n", (int)starts);
    return nyala_close(store);
}
