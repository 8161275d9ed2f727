#!/bin/sh
# Installs the C library: shared and static library, header, pkg-config file. And the command nyala.
#
#   PREFIX=/usr/local DESTDIR= LIBDIR=$PREFIX/lib ffi/install.sh
#
# PREFIX is where the files will be used, DESTDIR where a packager wants them put meanwhile. Set both in the environment
# or as arguments (PREFIX=... DESTDIR=...).
set -eu

for argument in "$@"; do
    case $argument in
        PREFIX=*) PREFIX=${argument#*=} ;;
        DESTDIR=*) DESTDIR=${argument#*=} ;;
        LIBDIR=*) LIBDIR=${argument#*=} ;;
        *) echo "install.sh: unknown argument: $argument" >&2; exit 2 ;;
    esac
done
PREFIX=${PREFIX:-/usr/local}
LIBDIR=${LIBDIR:-$PREFIX/lib}
DESTDIR=${DESTDIR:-}

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
root=$(dirname -- "$here")
built=${CARGO_TARGET_DIR:-$root/target}/release
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version *= *"\(.*\)"/\1/p' "$root/Cargo.toml")

(cd "$root" && cargo build --quiet --release -p nyala-ffi -p nyala-cli)

install -d "$DESTDIR$LIBDIR/pkgconfig" "$DESTDIR$PREFIX/include" "$DESTDIR$PREFIX/bin"
install -m 755 "$built/libnyala.so" "$DESTDIR$LIBDIR/libnyala.so.$version"
# The soname's link is what programs load; the bare one is what they are linked with.
soname=$(readelf -d "$built/libnyala.so" | sed -n 's/.*Library soname: \[\(.*\)\].*/\1/p')
ln -sf "libnyala.so.$version" "$DESTDIR$LIBDIR/$soname"
ln -sf "$soname" "$DESTDIR$LIBDIR/libnyala.so"
install -m 644 "$built/libnyala.a" "$DESTDIR$LIBDIR/libnyala.a"
install -m 644 "$root/include/nyala.h" "$DESTDIR$PREFIX/include/nyala.h"
install -m 755 "$built/nyala" "$DESTDIR$PREFIX/bin/nyala"
sed -e "s|@PREFIX@|$PREFIX|" -e "s|@LIBDIR@|$LIBDIR|" -e "s|@VERSION@|$version|" "$here/nyala.pc.in" \
    > "$DESTDIR$LIBDIR/pkgconfig/nyala.pc"
chmod 644 "$DESTDIR$LIBDIR/pkgconfig/nyala.pc"
echo "installed nyala $version: $DESTDIR$LIBDIR, $DESTDIR$PREFIX/include, $DESTDIR$PREFIX/bin"
