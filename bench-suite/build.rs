//! Takes the peers' versions from Cargo.lock and the compiler's from itself, so that no report repeats a number that somebody typed.

use std::path::Path;
use std::process::Command;

/// Direct dependencies whose version the report prints.
const PEERS: [&str; 13] = [
    "hashbrown",
    "dashmap",
    "papaya",
    "scc",
    "quick_cache",
    "moka",
    "lru",
    "parking_lot",
    "foldhash",
    "rusqlite",
    "lmdb-master-sys",
    "redb",
    "fjall",
];

fn main() {
    let lock_path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
    println!("cargo::rerun-if-changed={}", lock_path.display());
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=LIBSQLITE3_FLAGS");
    let lock = std::fs::read_to_string(&lock_path).unwrap_or_default();
    for peer in PEERS {
        let variable = peer.to_uppercase().replace('-', "_");
        println!("cargo::rustc-env=VERSION_{variable}={}", direct_version(&lock, peer));
    }
    let compiler = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = Command::new(compiler)
        .arg("--version")
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_else(|_| "unknown".to_owned());
    println!("cargo::rustc-env=BUILD_RUSTC={version}");
    for (name, variable) in [
        // What SQLite's source is compiled with beside the crate's own flags.
        ("BUILD_SQLITE_FLAGS", "LIBSQLITE3_FLAGS"),
        ("BUILD_PROFILE", "PROFILE"),
        ("BUILD_TARGET", "TARGET"),
        ("BUILD_FLAGS", "CARGO_ENCODED_RUSTFLAGS"),
    ] {
        let value = std::env::var(variable).unwrap_or_default().replace('\x1f', " ");
        println!("cargo::rustc-env={name}={value}");
    }
}

/// The version of `name` that this crate itself depends on: the lock file may hold several, and then the dependency line says which.
fn direct_version(lock: &str, name: &str) -> String {
    let packages = || lock.split("[[package]]");
    let field = |package: &str, key: &str| {
        package
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{key} = \"")))
            .map(|rest| rest.trim_end_matches('"').to_owned())
    };
    let spelled = packages()
        .filter(|package| field(package, "name").as_deref() == Some("nyala-bench"))
        .flat_map(str::lines)
        .find_map(|line| {
            line.trim().strip_prefix(&format!("\"{name} "))?.split('"').next().map(str::to_owned)
        });
    spelled
        .or_else(|| {
            packages()
                .find(|package| field(package, "name").as_deref() == Some(name))
                .and_then(|package| field(package, "version"))
        })
        .unwrap_or_else(|| "unknown".to_owned())
}
