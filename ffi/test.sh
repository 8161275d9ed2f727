#!/bin/sh
# Tests the C library: header, symbols, C and C++ programs plain and under sanitizers, installation.
#
#   ffi/test.sh            everything
#   ffi/test.sh --quick    without the library built under AddressSanitizer
#
# NYALA_CC and NYALA_CXX name other compilers. A failure does not stop the rest; the exit status tells.
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$here")
cd "$root"
target=${CARGO_TARGET_DIR:-$root/target}
work=$target/ffi-tests
cc=${NYALA_CC:-gcc}
cxx=${NYALA_CXX:-g++}
quick=no
[ "${1:-}" = --quick ] && quick=yes

passed=0
failed=0
rm -rf "$work"
mkdir -p "$work/lib"

# Runs a command, shows what it says if it fails, and its own summary if it has one.
check() {
    name=$1
    shift
    if "$@" > "$work/output" 2>&1; then
        passed=$((passed + 1))
        printf 'ok      %s' "$name"
        sed -n '$s/^[a-z_]*: \([0-9]* passed, 0 failed.*\)/: \1/p' "$work/output" | tr -d '\n'
        printf '\n'
    else
        failed=$((failed + 1))
        printf 'FAILED  %s\n' "$name"
        sed 's/^/        /' "$work/output"
    fi
}

warnings="-Wall -Wextra -pedantic -Werror -Wstrict-prototypes -Wc++-compat"
cxx_warnings="-Wall -Wextra -pedantic -Werror"
include="-I$root/include -I$here/tests"
static_libs=$(sed -n 's/^Libs.private: //p' "$here/nyala.pc.in")
programs="surface bad_input callbacks lifetime threads fork limits cache file copies"

# --- the library

cargo build --quiet --release -p nyala-ffi
ln -sf "$target/release/libnyala.so" "$work/lib/libnyala.so"
ln -sf "$target/release/libnyala.so" "$work/lib/libnyala.so.0"
shared="-L$work/lib -lnyala -Wl,-rpath,$work/lib"

rust_tests() {
    # Unoptimised: cbindgen and its parser are most of what is compiled here, and run for a tenth of a second.
    CARGO_PROFILE_DEV_OPT_LEVEL=0 cargo test --quiet -p nyala-ffi > "$work/rust" 2>&1 || { cat "$work/rust"; return 1; }
    awk '/^test result:/ { n += $4 } END { printf "rust: %d passed, 0 failed\n", n }' "$work/rust"
}
check "Rust tests, and the header is what the sources say" rust_tests

symbols() {
    nm -D --defined-only "$target/release/libnyala.so" | awk '{ print $3 }' | LC_ALL=C sort > "$work/symbols"
    diff "$here/symbols.txt" "$work/symbols"
}
check "the shared library exports the committed symbols and no others" symbols

# Functions of the header, from their declarations.
declared() {
    $cc -E -P -I"$root/include" "$root/include/nyala.h" | tr '\n' ' ' \
        | grep -o '\*\{0,1\}nyala_[a-z_]* *(' | tr -d '*( ' | LC_ALL=C sort -u > "$work/declared"
    diff "$here/symbols.txt" "$work/declared"
}
check "the header declares the same" declared

soname() {
    abi=$(sed -n 's/^#define NYALA_ABI_VERSION //p' "$root/include/nyala.h")
    readelf -d "$target/release/libnyala.so" | grep -F "soname: [libnyala.so.$abi]"
}
check "the soname ends in NYALA_ABI_VERSION" soname

# --- the header

echo '#include "nyala.h"' > "$work/header.c"
echo 'nyala_status first(void); nyala_status first(void) { return nyala_close(NULL); }' >> "$work/header.c"
for std in c99 c11 c17; do
    check "header as $std" $cc -std=$std $warnings $include -c "$work/header.c" -o "$work/header.o"
done
for std in c++11 c++17 c++20; do
    check "header as $std" $cxx -std=$std $cxx_warnings -fno-exceptions -fno-rtti $include \
        -x c++ -c "$work/header.c" -o "$work/header.o"
done

# --- C and C++ programs

# run NAME BINARY: at most two minutes.
run() {
    check "$1" timeout 120 "$2"
}

for program in $programs; do
    source=$here/tests/$program.c
    check "$program compiles as C99, shared" $cc -std=c99 -O1 -g $warnings $include "$source" \
        -o "$work/$program" $shared -lpthread
    run "$program as C99, shared" "$work/$program"
    check "$program compiles as C11, static" $cc -std=c11 -O1 -g $warnings $include "$source" \
        "$target/release/libnyala.a" -o "$work/$program.static" $static_libs
    run "$program as C11, static" "$work/$program.static"
    for std in c++11 c++17 c++20; do
        check "$program compiles as $std" $cxx -std=$std -O1 -g $cxx_warnings $include -x c++ "$source" -x none \
            -o "$work/$program.$std" $shared -lpthread
    done
    run "$program as C++17, shared" "$work/$program.c++17"
done

check "cpp compiles as C++17" $cxx -std=c++17 -O1 -g $cxx_warnings $include "$here/tests/cpp.cpp" -o "$work/cpp" $shared
run "cpp as C++17, shared" "$work/cpp"

# --- sanitizers

# sanitized KIND LINK...: the programs under ASan, UBSan and the leak check, linked with a library.
sanitized() {
    kind=$1
    shift
    for program in $programs; do
        check "$program compiles under ASan and UBSan, $kind" $cc -std=c99 -O1 -g \
            -fsanitize=address,undefined -fno-sanitize-recover=all $include "$here/tests/$program.c" \
            -o "$work/$program.$kind" "$@" -lpthread
        run "$program under ASan and UBSan, $kind" "$work/$program.$kind"
    done
}
sanitized plain-library $shared

# The library's own accesses are seen only if it is instrumented too, which stable Rust does when told to.
if [ $quick = no ]; then
    host=$(rustc -vV | sed -n 's/^host: //p')
    instrumented() {
        RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address CARGO_TARGET_DIR=$target/asan \
            cargo build --quiet -p nyala-ffi --target "$host"
    }
    check "the library builds under ASan" instrumented
    mkdir -p "$work/asan"
    ln -sf "$target/asan/$host/debug/libnyala.so" "$work/asan/libnyala.so"
    ln -sf "$target/asan/$host/debug/libnyala.so" "$work/asan/libnyala.so.0"
    asan="-L$work/asan -lnyala -Wl,-rpath,$work/asan"
    sanitized instrumented-library $asan

    sees_the_library() {
        $cc -std=c99 -g -fsanitize=address $include "$here/tests/freed_key.c" -o "$work/freed_key" $asan
        if "$work/freed_key" > "$work/freed_key.says" 2>&1; then
            echo "freed_key was not stopped"
            return 1
        fi
        grep -F heap-use-after-free "$work/freed_key.says"
    }
    check "ASan sees what the library reads" sees_the_library
fi

# --- installation

prefix=$work/prefix
version=$(sed -n 's/^#define NYALA_VERSION_[MP][A-Z]* //p' "$root/include/nyala.h" | tr '\n' . | sed 's/\.$//')
check "install" "$here/install.sh" PREFIX="$prefix"

layout() {
    (cd "$prefix" && find . -type f -o -type l) | LC_ALL=C sort > "$work/layout"
    diff - "$work/layout" <<END
./bin/nyala
./include/nyala.h
./lib/libnyala.a
./lib/libnyala.so
./lib/libnyala.so.0
./lib/libnyala.so.$version
./lib/pkgconfig/nyala.pc
END
    # The links stay within the directory, wherever it is moved to.
    [ "$(readlink "$prefix/lib/libnyala.so")" = libnyala.so.0 ]
    [ "$(readlink "$prefix/lib/libnyala.so.0")" = "libnyala.so.$version" ]
    cmp "$root/include/nyala.h" "$prefix/include/nyala.h"
}
check "the installed files, with the header's version" layout

staged() {
    "$here/install.sh" PREFIX=/opt/nyala DESTDIR="$work/stage"
    [ -f "$work/stage/opt/nyala/lib/libnyala.so.$version" ]
    grep -Fx prefix=/opt/nyala "$work/stage/opt/nyala/lib/pkgconfig/nyala.pc"
}
check "install under DESTDIR" staged

if command -v pkg-config > /dev/null; then
    export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
    flags=$(pkg-config --cflags nyala)
    libs=$(pkg-config --libs nyala)
    all_libs=$(pkg-config --static --libs nyala)
    check "pkg-config tells the version" [ "$(pkg-config --modversion nyala)" = "$version" ]
else
    echo "no pkg-config: the flags are written out"
    flags="-I$prefix/include"
    libs="-L$prefix/lib -lnyala"
    all_libs="$libs $static_libs"
fi

hello() {
    $cc -std=c99 $warnings "$here/examples/hello.c" -o "$work/hello" $flags $libs
    [ "$(LD_LIBRARY_PATH=$prefix/lib "$work/hello")" = hello ]
    # What the program will look for is the soname, not a path and not the bare name.
    readelf -d "$work/hello" | grep -F '[libnyala.so.0]'
}
check "hello.c with the installed shared library" hello

cache_example() {
    $cc -std=c99 $warnings "$here/examples/cache.c" -o "$work/cache_example" $flags $libs
    LD_LIBRARY_PATH=$prefix/lib "$work/cache_example" > "$work/cache_example.says"
    grep -x '[0-9]* pages of 10000, [0-9]* bytes' "$work/cache_example.says"
}
check "cache.c with the installed shared library" cache_example

file_example() {
    $cc -std=c99 $warnings "$here/examples/file.c" -o "$work/file_example" $flags $libs
    rm -f "$work/hello.nyala"
    [ "$(LD_LIBRARY_PATH=$prefix/lib "$work/file_example" "$work/hello.nyala")" = "started 1 times" ]
    [ "$(LD_LIBRARY_PATH=$prefix/lib "$work/file_example" "$work/hello.nyala")" = "started 2 times" ]
    # What cannot be opened is told.
    ! LD_LIBRARY_PATH=$prefix/lib "$work/file_example" "$work" > "$work/file_example.says"
    grep -F "is a directory" "$work/file_example.says"
}
check "file.c with the installed shared library" file_example

hello_static() {
    others=$(echo " $all_libs " | sed 's/ -lnyala / /')
    $cc -std=c99 $warnings "$here/examples/hello.c" -o "$work/hello.static" $flags \
        "$prefix/lib/libnyala.a" $others
    [ "$("$work/hello.static")" = hello ]
}
check "hello.c with the installed static library" hello_static

echo "ffi: $passed passed, $failed failed"
[ $failed -eq 0 ]
