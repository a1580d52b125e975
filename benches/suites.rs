//! The suites of `limbeck bench` through criterion.
//!
//!     cargo bench -- kernels/gemm              # a part of a name
//!     cargo bench -- --save-baseline before    # and later: --baseline before
//!
//! Kernels are timed by the adapter's own clock where it has one. LIMBECK_BACKEND and LIMBECK_ADAPTER choose the adapter.

use std::time::{Duration, Instant};

use criterion::Criterion;
use limbeck::bench::{Options, Suite, Target};
use limbeck::gpu::{AdapterRequest, GpuOptions};

/// Work that takes longer is run once for each sample.
const LONGEST: Duration = Duration::from_millis(200);

fn main() -> limbeck::Result<()> {
    let target = Target::open(AdapterRequest::from_env()?, GpuOptions::from_env()?)?;
    println!("{} on {} ({})", target.gpu.caps().name, target.gpu.caps().backend, target.gpu.caps().driver);
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    let options = Options { suites: Suite::ALL.to_vec(), filter: Vec::new(), quick: true, repeats: None };
    for case in options.select(&target)? {
        criterion.bench_function(&case.path(), |bencher| {
            // Built only where criterion's filter wants it.
            let mut work = case.prepare(&target).unwrap_or_else(|error| panic!("{}: {error}", case.path()));
            let start = Instant::now();
            let mut time =
                |runs: u32| (work.time)(runs).unwrap_or_else(|error| panic!("{}: {error}", case.path()));
            time(1);
            // One run stands for all where it takes long.
            let most = if start.elapsed() > LONGEST { 1 } else { u32::MAX };
            bencher.iter_custom(|runs| {
                let timed = u32::try_from(runs).unwrap_or(u32::MAX).min(most);
                Duration::from_secs_f64(time(timed) * 1e-3 * runs as f64 / f64::from(timed))
            });
        });
    }
    criterion.final_summary();
    Ok(())
}
