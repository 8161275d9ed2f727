//! Gives the shared library its soname, which rustc does not: without one, whatever links the library records the
//! path it was found at, and an incompatible successor would be loaded in its place.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target_os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if target_os == "linux" {
        // The number is `NYALA_ABI_VERSION` of src/version.rs; test.sh compares them.
        println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libnyala.so.0");
    }
}
