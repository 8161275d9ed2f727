//! include/nyala.h is what the sources say. `NYALA_BLESS=1 cargo test -p nyala-ffi --test header` writes it anew.

use std::path::Path;

#[test]
fn header_is_generated_from_these_sources() {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let committed = crate_dir.join("../include/nyala.h");
    let config =
        cbindgen::Config::from_file(crate_dir.join("cbindgen.toml")).expect("cbindgen.toml");
    let mut generated = Vec::new();
    cbindgen::Builder::new()
        .with_crate(crate_dir)
        .with_config(config)
        .generate()
        .expect("a header")
        .write(&mut generated);
    let generated = String::from_utf8(generated).expect("UTF-8");

    if std::env::var_os("NYALA_BLESS").is_some() {
        std::fs::write(&committed, &generated).expect("include/nyala.h is writable");
    }
    let committed = std::fs::read_to_string(&committed).unwrap_or_default();
    let difference = generated.lines().zip(committed.lines()).position(|(new, old)| new != old);
    assert!(
        generated == committed,
        "include/nyala.h differs from the sources, first in line {}: run NYALA_BLESS=1 cargo test -p nyala-ffi --test header",
        difference.unwrap_or_else(|| generated.lines().count().min(committed.lines().count())) + 1
    );
}
