//! The `limbeck` binary: parse, run, print the error.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Where there is no terminal for a progress bar, `train` and `distill` log a line an epoch.
    let filter = "warn,wgpu_hal=off,limbeck::cli=info";
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or(filter)).init();
    match limbeck::cli::run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", limbeck::cli::shown(&error));
            ExitCode::FAILURE
        }
    }
}
