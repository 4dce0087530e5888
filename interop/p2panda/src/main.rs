//! Checks operations that mesh wrote with the real p2panda-core, and writes operations for mesh to check.
//!
//! Both sides exchange files of JSON lines, `{"id": hex, "header": hex, "body": hex or null}`.

mod extensions;
mod line;
mod verify;
mod write;

use std::process::ExitCode;

const USAGE: &str = "usage: mesh-interop verify FILE | mesh-interop write FILE";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args[..] {
        ["verify", path] => verify::run(path),
        ["write", path] => write::run(path),
        _ => Err(USAGE.into()),
    };
    match outcome {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(err) => {
            eprintln!("{err}");
            ExitCode::FAILURE
        }
    }
}
