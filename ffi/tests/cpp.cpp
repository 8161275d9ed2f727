// The header from C++17, without a wrapper: the calls read as they do in C.
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

#include "nyala.h"

static_assert(std::is_same<nyala_status, int32_t>::value, "a status is an int32_t");
static_assert(std::is_standard_layout<nyala_pair>::value, "structs are C structs");
static_assert(!std::is_same<nyala_store, nyala_cursor>::value, "handles are types of their own");

namespace {

int passed, failed;

void expect(bool holds, const char *what) {
    ++(holds ? passed : failed);
    if (!holds) std::printf("%s (last error: %s)\n", what, nyala_last_error());
}

struct Close {
    void operator()(nyala_store *store) const { nyala_close(store); }
    void operator()(nyala_pinned *pinned) const { nyala_unpin(pinned); }
};

}  // namespace

int main() {
    nyala_options options;
    expect(nyala_options_init(&options, sizeof options) == NYALA_OK, "options");
    options.max_bytes = 64 << 20;
    uint64_t now = 1000;
    options.now_ms = [](void *userdata) { return *static_cast<uint64_t *>(userdata); };
    options.now_ms_userdata = &now;
    nyala_store *opened = nullptr;
    expect(nyala_open(&options, &opened) == NYALA_OK, "open");
    std::unique_ptr<nyala_store, Close> store(opened);

    const std::string_view key = "colour";
    const std::string value = "amber";
    expect(nyala_set(opened, key.data(), key.size(), value.data(), value.size()) == NYALA_OK, "set");
    std::string copy(64, '\0');
    size_t len = 0;
    expect(nyala_get(opened, key.data(), key.size(), &copy[0], copy.size(), &len) == NYALA_OK, "get");
    copy.resize(len);
    expect(copy == value, "the value comes back");

    expect(nyala_expire(opened, key.data(), key.size(), 50) == NYALA_OK, "expire");
    nyala_pinned *handle = nullptr;
    expect(nyala_pin(opened, key.data(), key.size(), &handle) == NYALA_OK, "pin");
    std::unique_ptr<nyala_pinned, Close> pinned(handle);
    now += 50;
    expect(nyala_exists(opened, key.data(), key.size()) == NYALA_NOT_FOUND, "it expired");
    store.reset();
    const std::string_view bytes(static_cast<const char *>(nyala_pinned_data(handle)), nyala_pinned_len(handle));
    expect(bytes == value, "the pin outlives the store");

    options.eviction = NYALA_EVICTION_ADAPTIVE;
    options.max_bytes = 1 << 20;
    expect(nyala_open(&options, &opened) == NYALA_OK, "open a cache");
    store.reset(opened);
    const std::string page(10000, 'x');
    bool all = true;
    for (int number = 0; number < 1000; ++number) {
        const std::string name = "page:" + std::to_string(number);
        all = all && nyala_set(opened, name.data(), name.size(), page.data(), page.size()) == NYALA_OK;
    }
    expect(all, "a cache is never full");
    expect(nyala_set_max_bytes(opened, 4 << 20) == NYALA_OK, "a larger cap");

    std::printf("cpp: %d passed, %d failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
}
