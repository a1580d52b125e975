//! `limbeck bench` and `limbeck check` through the binary and the library: what they write can be read, and a kernel that
//! is wrong shows.

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::rc::Rc;

use limbeck::bench::{
    Benchmark, KernelWork, Options, Pass, Suite, Target, compare, measure, results::Results,
};
use limbeck::gpu::{AdapterRequest, GpuOptions};
use limbeck::ops::{self, Input, conformance};
use limbeck::tape::{Array, Lowering, Meta, Op, Step};

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench").join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn bench(at: &Path, line: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_limbeck"));
    command.current_dir(at).env("XDG_RUNTIME_DIR", at).arg("bench").args(line.split_whitespace());
    command.output().expect("limbeck can be started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn what_is_written_can_be_read() {
    let at = folder("written");
    let line = "kernels overhead --quick --repeats 5 --filter gemm/256 --filter loss/kl_div --filter tiny";
    let output = bench(&at, &format!("{line} --save a.json --csv a.csv --html a.html"));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let results = Results::read(at.join("a.json")).unwrap();
    let rows = &results.adapters[0].rows;
    let names: Vec<String> = rows.iter().map(|row| row.path()).collect();
    assert!(names.contains(&"kernels/gemm/256".to_string()), "{names:?}");
    let gemm = &rows[0];
    assert_eq!((gemm.flops, gemm.samples_ms.len(), gemm.wrong), (2 * 256u64.pow(3), 5, false));
    let expected = gemm.flops as f64 * 1e-6 / gemm.median_ms;
    assert!((gemm.gflops.unwrap() - expected).abs() < 1e-9 * expected);
    assert!(gemm.q1_ms <= gemm.median_ms && gemm.median_ms <= gemm.q3_ms && gemm.median_ms > 0.0);
    assert!(rows.iter().any(|row| row.error.is_some_and(|e| e < 1e-4)), "no kernel was checked");

    let csv = std::fs::read_to_string(at.join("a.csv")).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), rows.len() + 1);
    assert!(lines[0].starts_with("adapter,backend,driver,suite,group,name,shape"));
    let page = std::fs::read_to_string(at.join("a.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("gemm") && !page.contains("NaN"), "a page without a plot");

    let again = bench(&at, &format!("{line} --compare a.json"));
    assert!(again.status.success(), "{}", text(&again.stderr));
    let table = text(&again.stdout);
    assert!(table.contains("kernels/gemm/256") && table.contains("verdict"), "{table}");
    // A file that says everything took a tenth of the time makes this run slower. A busy machine's own samples may lie ten
    // times apart, so both files get samples of which that is not so.
    let with = |samples: [f64; 5]| {
        let mut results = results.clone();
        results.adapters[0].rows.iter_mut().for_each(|row| row.samples_ms = samples.to_vec());
        results
    };
    let slow = [1.0, 1.02, 0.99, 1.01, 1.0];
    let compared = compare::compare(&with(slow), &with(slow.map(|ms| 0.1 * ms)));
    assert!(
        compared.len() == rows.len() && compared.iter().all(|c| c.ratio.verdict == compare::Verdict::Slower),
        "{compared:?}"
    );
}

#[test]
fn mistakes_are_named() {
    let at = folder("mistakes");
    std::fs::write(at.join("text.json"), "hello").unwrap();
    std::fs::write(at.join("other.json"), "{\"a\": 1}").unwrap();
    std::fs::write(at.join("newer.json"), "{\"limbeck_bench\": 99}").unwrap();
    std::fs::write(at.join("cut.json"), "{\"limbeck_bench\": 1, \"version\": \"0\"}").unwrap();
    for (line, part) in [
        ("kernel", "expected one of kernels, train, overhead"),
        ("kernels --filter nothing-has-this-name", "no case has"),
        ("--compare missing.json", "missing.json"),
        ("--compare text.json", "expected JSON"),
        ("--compare other.json", "other JSON"),
        ("--compare newer.json", "form 99"),
        ("--compare cut.json", "damaged"),
        ("kernels --quick --filter gemm/256 --adapters no-such-adapter", "no adapter has"),
    ] {
        let output = bench(&at, line);
        let error = text(&output.stderr);
        assert!(!output.status.success() && error.contains(part), "bench {line}: no {part:?} in {error}");
        assert!(!error.contains("panicked"), "{error}");
    }
}

/// Adapters side by side in one run: as many as there are, each in the file, and in one table where there are several.
#[test]
fn several_adapters_are_measured_in_one_run() {
    let at = folder("adapters");
    let output = bench(&at, "kernels --quick --repeats 3 --filter gemm/256 --adapters all --save all.json");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let (results, screen) = (Results::read(at.join("all.json")).unwrap(), text(&output.stdout));
    assert!(!results.adapters.is_empty());
    for adapter in &results.adapters {
        assert!(adapter.rows.iter().any(|row| row.path() == "kernels/gemm/256"), "{screen}");
        assert!(screen.contains(&format!("{} on {}", adapter.adapter, adapter.backend)), "{screen}");
    }
    let table = screen.lines().filter(|line| line.starts_with("median ms")).count();
    assert_eq!(table, usize::from(results.adapters.len() > 1), "{screen}");
}

/// A training step: its images a second, and where its time goes, in the file and on the page.
#[test]
fn a_training_step_is_measured() {
    let at = folder("train");
    let line = "train --quick --repeats 3 --save a.json --html a.html";
    let output = bench(&at, &format!("{line} --filter cnn:32,64,"));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let results = Results::read(at.join("a.json")).unwrap();
    let row = &results.adapters[0].rows[0];
    let images = row.images_per_second.unwrap();
    assert!(images > 0.0 && row.flops > 0 && row.dispatches.is_some(), "{row:?}");
    assert!(!results.adapters[0].breakdowns.is_empty(), "no bars");
    let page = std::fs::read_to_string(at.join("a.html")).unwrap();
    assert!(page.contains("conv2d"), "the page has no op of the step");
}

/// What the suites measure: a case that goes missing would not be missed in a table of hundreds.
#[test]
fn the_suites_are_complete() {
    let target = Target::open(AdapterRequest::from_env().unwrap(), GpuOptions::default()).unwrap();
    let options = |suite| Options { suites: vec![suite], filter: Vec::new(), quick: false, repeats: None };
    let names = |suite| -> Vec<String> {
        options(suite).select(&target).unwrap().iter().map(Benchmark::path).collect()
    };
    let kernels = names(Suite::Kernels);
    let sizes = [256, 512, 1024, 2048, 4096].map(|n| format!("kernels/gemm/{n}"));
    assert!(sizes.iter().all(|size| kernels.contains(size)), "{kernels:?}");
    let groups =
        ops::OPS.iter().map(|op| op.name).chain(["softmax", "loss", "conv forward", "conv dx", "conv dw"]);
    for group in groups {
        let part = format!("kernels/{group}/");
        assert!(kernels.iter().any(|name| name.starts_with(&part)), "no case of {group}");
    }
    for network in ["resnet20", "resnet56", "vgg8", "mobilenetv2"] {
        // A shape is there once, under the first network that has it.
        let there = kernels.iter().any(|name| name.contains(&format!("/{network}: ")));
        assert!(there || network == "resnet56", "no layer of {network}");
    }
    let train = names(Suite::Train);
    for batch in [1, 16, 64, 256] {
        let there = |name: &String| name.contains("resnet20") && name.ends_with(&format!("batch {batch}"));
        assert!(train.iter().any(there), "no resnet20 at batch {batch}: {train:?}");
    }
    assert!(train.iter().any(|name| name.contains("kd")), "no step with a distillation loss: {train:?}");
    let overhead = names(Suite::Overhead).join("\n");
    for part in ["empty dispatch", "500 tiny ops", "upload", "read back", "first step", "compile a pipeline"]
    {
        assert!(overhead.contains(part), "{part} in {overhead}");
    }
}

/// Every dispatch of a step: op, shapes, bytes and FLOPs, one after another.
#[test]
fn a_trace_has_every_dispatch() {
    let at = folder("profile");
    let mut command = Command::new(env!("CARGO_BIN_EXE_limbeck"));
    command.current_dir(&at).env("XDG_RUNTIME_DIR", &at);
    let line = "profile --model cnn:4 --teacher cnn:6 --dataset-shape 1x8x8 --batch-size 5 --repeats 2 --trace t.json";
    let output = command.args(line.split_whitespace()).output().unwrap();
    let screen = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let trace: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(at.join("t.json")).unwrap()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let (meta, dispatches): (Vec<_>, Vec<_>) = events.iter().partition(|event| event["ph"] == "M");
    assert!(meta[0]["args"]["name"].as_str().is_some_and(|adapter| screen.contains(adapter)), "{meta:?}");
    assert!(screen.contains(&format!("its {} dispatches", dispatches.len())), "{screen}");
    let mut end = 0.0;
    for event in &dispatches {
        let (args, number) = (&event["args"], |key: &str| event[key].as_f64().unwrap());
        assert_eq!(event["ph"], "X");
        assert!((number("ts") - end).abs() < 1e-3 && number("dur") >= 0.0, "{event}");
        end = number("ts") + number("dur");
        assert!(
            event["name"].as_str().is_some_and(|op| !op.is_empty()) && args["op"] == event["name"],
            "{event}"
        );
        let shapes = ["inputs", "outputs"].map(|key| args[key].as_str().unwrap());
        assert!(shapes.iter().any(|shape| shape.contains('[')), "{event}");
        assert!(args["bytes"].as_u64().is_some_and(|bytes| bytes > 0) && args["flops"].is_u64(), "{event}");
        assert!(args["kernel"].as_str().is_some_and(|kernel| kernel.contains('/')), "{event}");
    }
    // The convolutions of teacher and student by hand: 3x3 over one channel, a multiply-add counts as 2.
    for channels in [6, 4] {
        let shape = format!("[5, {channels}, 8, 8]");
        let of = |event: &&&serde_json::Value| {
            let op = event["name"].as_str().unwrap();
            // The teacher's takes over the batch norm behind it.
            (op.ends_with("/conv2d") || op.ends_with("/conv2d+norm"))
                && event["args"]["outputs"].as_str().unwrap().contains(&shape)
        };
        let flops: u64 = dispatches.iter().filter(of).map(|e| e["args"]["flops"].as_u64().unwrap()).sum();
        assert_eq!(flops, 2 * 9 * 5 * channels * 64, "{shape}");
    }
}

/// relu with a reference that is off by a thousandth: a stand-in for a kernel that is wrong.
#[derive(Debug)]
struct Wrong;

impl Op for Wrong {
    fn name(&self) -> &'static str {
        "wrong"
    }

    fn infer(&self, inputs: &[Meta]) -> limbeck::Result<Vec<Meta>> {
        right().infer(inputs)
    }

    fn lower(&self, to: &mut Lowering<'_>) -> limbeck::Result<()> {
        right().lower(to)
    }

    fn reference(&self, step: &Step, inputs: &[Array]) -> Vec<Array> {
        let mut made = right().reference(step, inputs);
        made[0].data.iter_mut().for_each(|v| *v = *v * 1.001 + 0.001);
        made
    }

    fn flops(&self, inputs: &[Meta], _: &[Meta]) -> u64 {
        inputs[0].len() as u64
    }
}

fn right() -> impl Op {
    limbeck::ops::unary::Unary(limbeck::ops::unary::Function::Relu)
}

fn wrong_case() -> ops::Case {
    let case = ops::Case::new(Wrong, vec![Input::normal([64, 64]).no_grad()]);
    ops::Case { op: Rc::new(Wrong), ..case }
}

fn right_case() -> ops::Case {
    ops::Case::new(right(), vec![Input::normal([64, 64]).no_grad()])
}

/// What `limbeck check` runs tells of it.
#[test]
fn a_broken_kernel_does_not_conform() {
    let report = conformance::run(&common::gpu(), &wrong_case(), 1).unwrap();
    assert!(!report.failures.is_empty() && report.forward > 1.0);
}

/// And so tells the summary that its table, its exit code and its report are made of.
#[test]
fn a_broken_kernel_fails_its_op_file() {
    let spec = ops::OpSpec { name: "wrong", cases: || vec![right_case(), wrong_case()] };
    let summary = conformance::check(&common::gpu(), &spec, 1).unwrap();
    assert_eq!((summary.name, summary.cases), ("wrong", 2));
    assert!(summary.forward > 1.0 && !summary.failures.is_empty(), "{summary:?}");
    assert!(summary.failures.iter().all(|f| f.starts_with("Wrong [64, 64]")), "{:?}", summary.failures);
}

#[test]
fn check_writes_a_report_for_a_bug_tracker() {
    let at = folder("check");
    let mut command = Command::new(env!("CARGO_BIN_EXE_limbeck"));
    command.current_dir(&at).env("XDG_RUNTIME_DIR", &at);
    let output = command.args(["check", "--ops", "scale,argmax", "--report", "r.json"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(at.join("r.json")).unwrap()).unwrap();
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(report["conforms"], true);
    for key in ["adapter", "backend", "driver", "system", "command", "date"] {
        assert!(report[key].as_str().is_some_and(|word| !word.is_empty()), "{key} in {report}");
    }
    assert!(report["limits"].as_object().is_some_and(|limits| limits.len() > 4), "{report}");
    let ops = report["ops"].as_array().unwrap();
    let names: Vec<&str> = ops.iter().map(|op| op["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["argmax", "scale"]);
    assert!(ops[1]["forward"].as_f64().is_some_and(|e| e <= 1.0) && ops[1]["gradient"].is_f64(), "{report}");
    assert!(ops[0]["gradient"].is_null() && ops[0]["failures"].as_array().unwrap().is_empty());
}

/// A benchmark marks it too.
#[test]
fn a_broken_kernel_is_marked_wrong() {
    let target = Target::open(AdapterRequest::from_env().unwrap(), GpuOptions::default()).unwrap();
    let case = Benchmark::new(Suite::Kernels, "planted", "wrong", |target| {
        Ok(KernelWork::new(target, &wrong_case(), Pass::Forward)?.prepare())
    });
    let effort = measure::Effort::new(true, Some(3));
    let options = Options { suites: vec![Suite::Kernels], filter: Vec::new(), quick: true, repeats: Some(3) };
    assert!(!options.select(&target).unwrap().is_empty());
    let ceilings = limbeck::bench::Ceilings::measure(&target.gpu, &effort).unwrap();
    match measure::case(&case, &target, &effort, &ceilings, &mut Default::default()).unwrap() {
        measure::Outcome::Row(row, _) => assert!(row.wrong && row.error.unwrap() > 1e-4, "{row:?}"),
        measure::Outcome::Skipped(why) => panic!("{why}"),
    }
}
