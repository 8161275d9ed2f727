/* Hands the library a key that has been freed. Under AddressSanitizer the library, not only this program, must be seen to
 * read it: test.sh expects this program to fail, else the sanitizer runs would prove nothing. */
#include "check.h"

int main(void) {
    nyala_store *store = open_store(4 * MIB, NULL, NULL);
    char *key = (char *)malloc(100);
    if (key == NULL) return 0;
    memset(key, 'k', 100);
    free(key);
    nyala_set(store, key, 100, NULL, 0);
    return nyala_close(store);
}
