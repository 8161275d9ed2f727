//! The program; everything is in the library.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    nyala_resp::main(std::env::args_os().skip(1))
}
