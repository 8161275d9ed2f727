#include <stdio.h>

#include <nyala.h>

int main(void) {
    static char page[20000];
    nyala_options options;
    nyala_statistics stats;
    nyala_store *cache;
    uint32_t number;

    nyala_options_init(&options, sizeof options);
    nyala_statistics_init(&stats, sizeof stats);
    options.max_bytes = 64 << 20;
    options.eviction = NYALA_EVICTION_ADAPTIVE;
    if (nyala_open(&options, &cache) != NYALA_OK) return puts(nyala_last_error()), 1;
    for (number = 0; number < 10000; number++) {
        if (nyala_set(cache, &number, sizeof number, page, sizeof page) != NYALA_OK) return puts(nyala_last_error()), 1;
    }
    nyala_stats(cache, &stats);
    printf("%u pages of %u, %u bytes\n", (unsigned)stats.entries, number, (unsigned)stats.used_bytes);
    return nyala_close(cache);
}
