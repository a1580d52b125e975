//! `limbeck bench`: how fast kernels and training steps are on this adapter, against what the adapter itself can do.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Args;

use crate::bench::compare::{Compared, caution, compare};
use crate::bench::results::FORMAT;
use crate::bench::{AdapterResults, Event, Options, Results, Row, Suite, Target, csv, html, run as measure};
use crate::cli::AdapterFlags;
use crate::cli::out::say;
use crate::cli::table::Table;
use crate::files::write_atomic;
use crate::gpu::AdapterRequest;
use crate::report::timestamp;
use crate::{Error, Result};

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
Examples:
  limbeck bench kernels --filter gemm
  limbeck bench --quick --html bench.html
  limbeck bench --save before.json                        # then change something
  limbeck bench --compare before.json
  limbeck bench kernels --adapters all --csv bench.csv";

/// Flags of `limbeck bench`.
#[derive(Debug, Args)]
pub struct BenchFlags {
    /// kernels, train, overhead [default: all three]
    #[arg(value_name = "SUITE")]
    suites: Vec<String>,
    /// Only cases with this in their name, such as gemm/512 or conv; may be repeated
    #[arg(long, value_name = "PART")]
    filter: Vec<String>,
    /// Fewer cases and samples: seconds instead of minutes
    #[arg(long)]
    quick: bool,
    /// Samples of each case, whatever time they take
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    repeats: Option<u32>,
    /// Adapters to measure side by side: all, or parts of their names or back ends
    #[arg(long, value_name = "all|NAME,..", value_delimiter = ',')]
    adapters: Vec<String>,
    /// Write all samples as JSON, for --compare here or on another machine
    #[arg(long, value_name = "FILE.json")]
    save: Option<PathBuf>,
    /// Compare with a file of --save
    #[arg(long, value_name = "FILE.json")]
    compare: Option<PathBuf>,
    /// Write the table as CSV
    #[arg(long, value_name = "FILE.csv")]
    csv: Option<PathBuf>,
    /// Write a page with a roofline and where a step's time goes
    #[arg(long, value_name = "FILE.html")]
    html: Option<PathBuf>,
}

/// Measures, prints a table, and writes what was asked for. Fails where a case failed or computed something wrong.
pub fn run(adapter: &AdapterFlags, flags: &BenchFlags) -> Result<ExitCode> {
    let then = flags.compare.as_ref().map(Results::read).transpose()?;
    let options = Options {
        suites: match flags.suites.as_slice() {
            [] => Suite::ALL.to_vec(),
            words => words.iter().map(|word| Suite::parse(word)).collect::<Result<_>>()?,
        },
        filter: flags.filter.clone(),
        quick: flags.quick,
        repeats: flags.repeats.map(|n| n as usize),
    };
    let mut results = Results {
        limbeck_bench: FORMAT,
        version: env!("CARGO_PKG_VERSION").into(),
        date: timestamp(SystemTime::now()),
        command: std::env::args().collect::<Vec<_>>().join(" "),
        adapters: Vec::new(),
    };
    for request in requests(adapter, &flags.adapters)? {
        let target = Target::open(request, adapter.options())?;
        results.adapters.push(one_adapter(&target, &options)?);
    }
    side_by_side(&results)?;
    let compared = then.map(|then| compare(&results, &then)).unwrap_or_default();
    if flags.compare.is_some() {
        print_comparison(&compared)?;
    }
    write_files(flags, &results, &compared)?;
    Ok(if results.has_failures() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The adapters to measure, each by a request of its own.
fn requests(flags: &AdapterFlags, wanted: &[String]) -> Result<Vec<AdapterRequest>> {
    if wanted.is_empty() {
        return Ok(vec![flags.request()]);
    }
    let found = pollster::block_on(flags.request().list())?;
    let fits = |name: &str| {
        let name = name.to_lowercase();
        wanted.iter().any(|part| part == "all" || name.contains(&part.to_lowercase()))
    };
    let chosen: Vec<AdapterRequest> = found
        .iter()
        .filter(|a| fits(&format!("{} ({})", a.name, a.backend)))
        .map(|a| AdapterRequest {
            backend: Some(a.backend.clone()),
            name: Some(a.name.clone()),
            ..flags.request()
        })
        .collect();
    if chosen.is_empty() {
        let names: Vec<String> = found.iter().map(|a| format!("{} ({})", a.name, a.backend)).collect();
        let message = format!(
            "no adapter has \"{}\" in its name; there are {}",
            wanted.join("\" or \""),
            names.join(", ")
        );
        return Err(Error::config("--adapters", message));
    }
    Ok(chosen)
}

fn one_adapter(target: &Target, options: &Options) -> Result<AdapterResults> {
    let caps = target.gpu.caps();
    say!("{} on {} ({})", caps.name, caps.backend, caps.driver)?;
    let results = measure(target, options, &mut |event| match event {
        Event::Ceilings(c) => say!(
            "ceilings: {:.1} GFLOP/s of f32 multiply-adds, {:.1} GB/s copied, by {}",
            c.gflops,
            c.gbs,
            c.clock.name()
        ),
        Event::Row(row) => {
            log::info!("{} {:.4} ms", row.path(), row.median_ms);
            Ok(())
        }
        Event::Note(note) if note.failed => say!("FAILED {}: {}", note.case, note.why),
        Event::Note(note) => say!("left out {}: {}", note.case, note.why),
    })?;
    say!("\n{}", table(&results.rows))?;
    Ok(results)
}

fn table(rows: &[Row]) -> Table {
    let columns = [
        "case",
        "clock",
        ">median ms",
        ">spread",
        ">GFLOP/s",
        ">GB/s",
        ">% FMA",
        ">% copy",
        ">images/s",
        ">error",
    ];
    let mut table = Table::new(&columns);
    for row in rows {
        let number =
            |value: Option<f64>, digits: usize| value.map_or("-".into(), |v| format!("{v:.digits$}"));
        let error = match (row.error, row.wrong) {
            (Some(error), true) => format!("{error:.1e} WRONG"),
            (Some(error), false) => format!("{error:.1e}"),
            (None, wrong) => if wrong { "WRONG" } else { "-" }.into(),
        };
        table.row([
            row.path(),
            row.clock.name().into(),
            format!("{:.4}", row.median_ms),
            format!("± {:.0} %", row.spread_percent()),
            number(row.gflops, 1),
            number(row.gbs, 1),
            number(row.percent_of_fma, 0),
            number(row.percent_of_copy, 0),
            number(row.images_per_second, 0),
            error,
        ]);
    }
    table
}

/// Median milliseconds of every adapter in one table, where there are several: the slowest kernels of one stand out.
fn side_by_side(results: &Results) -> Result<()> {
    if results.adapters.len() < 2 {
        return Ok(());
    }
    let labels: Vec<String> = results.adapters.iter().map(|a| format!(">{}", a.label())).collect();
    let mut table =
        Table::new(&["median ms"].into_iter().chain(labels.iter().map(String::as_str)).collect::<Vec<_>>());
    let mut seen = std::collections::BTreeSet::new();
    for path in results.adapters.iter().flat_map(|a| &a.rows).map(Row::path) {
        if !seen.insert(path.clone()) {
            continue;
        }
        let at = |a: &AdapterResults| a.rows.iter().find(|row| row.path() == path).map(|row| row.median_ms);
        let times = results.adapters.iter().map(|a| at(a).map_or("-".to_string(), |ms| format!("{ms:.4}")));
        table.row([path.clone()].into_iter().chain(times));
    }
    say!("{table}")
}

fn print_comparison(compared: &[Compared]) -> Result<()> {
    if compared.is_empty() {
        return say!("the two runs have no case in common");
    }
    for line in caution(compared) {
        say!("{line}")?;
    }
    let mut table = Table::new(&["case", ">time now / then", ">95 % interval", "verdict"]);
    for one in compared {
        let ratio = &one.ratio;
        let interval = format!("{:.3} to {:.3}", ratio.low, ratio.high);
        table.row([one.case.clone(), format!("{:.3}", ratio.ratio), interval, ratio.verdict.name().into()]);
    }
    say!("{table}")
}

fn write_files(flags: &BenchFlags, results: &Results, compared: &[Compared]) -> Result<()> {
    if let Some(path) = &flags.save {
        results.write(path)?;
        say!("wrote {}", path.display())?;
    }
    let texts = [
        (&flags.csv, flags.csv.as_ref().map(|_| csv(results))),
        (&flags.html, flags.html.as_ref().map(|_| html::page(results, compared))),
    ];
    for (path, text) in texts {
        if let (Some(path), Some(text)) = (path, text) {
            write_atomic(path, |w| w.write_all(text.as_bytes()))?;
            say!("wrote {}", path.display())?;
        }
    }
    Ok(())
}
