//! What everything costs beside the kernels: submits, dispatches, transfers, compilation, a first step.

use super::super::benchmark::{Benchmark, Prepared, Suite, Target};
use super::super::cnn_step;
use super::super::timed_by::TimedBy;
use crate::Result;
use crate::gpu::{Dispatch, Gpu, Grid, Kernel, Recording, Stopwatch};
use crate::platform::Instant;
use crate::tape::{Plan, Step, Tape, Tensor};

/// Elements of the smallest tensor worth the name.
const FEW: usize = 4;
const CHAIN: usize = 500;
const COPY: &str = include_str!("../../../shaders/bench/ceiling_copy.wgsl");

pub fn cases() -> Vec<Benchmark> {
    let case = |name: &str, build: fn(&Target) -> Result<Prepared>| {
        Benchmark::new(Suite::Overhead, "latency", name, build)
    };
    vec![
        case("an empty dispatch within a pass", dispatch),
        case("a step of one tiny op, to idle", |target| chain(target, 1)),
        case("a step of 500 tiny ops, to idle", |target| chain(target, CHAIN)),
        case("encode and submit 500 tiny ops, on the CPU", encode),
        case("upload 4 MiB, to idle", upload),
        case("read back 16 bytes", |target| readback(target, FEW)),
        case("read back 4 MiB", |target| readback(target, 1 << 20)),
        case("compile a pipeline", compile),
        case("open a device and run a first step, cnn 32-64-fc128", first_step),
    ]
}

/// A chain of ops on a few elements.
fn tiny(gpu: &Gpu, ops: usize) -> Result<Plan> {
    let tape = Tape::new();
    let x = tape.input("x", [FEW]);
    let y = (0..ops).try_fold(x.clone(), |y, _| y.sigmoid())?;
    let plan = Plan::new(gpu, &tape, &[&y])?;
    plan.write(&x, &[0.5f32; FEW])?;
    Ok(plan)
}

/// Adds up what `once` takes by the host's clock.
fn clocked(shape: impl Into<String>, mut once: impl FnMut() -> Result<()> + 'static) -> Prepared {
    Prepared::wall(shape, move |runs| {
        let start = Instant::now();
        (0..runs).try_for_each(|_| once())?;
        Ok(start.elapsed().as_secs_f64() * 1e3)
    })
}

/// A copy of one vector.
fn empty(gpu: &Gpu) -> Result<Recording> {
    let kernel = Kernel::new("ceiling", "copy", COPY).define("LANES", 1).define("PER_LANE", 1);
    let (from, to) = (gpu.buffer("from", 16)?, gpu.buffer("to", 16)?);
    let bindings = vec![from.whole(), to.whole()];
    let mut recording = Recording::new();
    recording.push(gpu, &Dispatch { kernel: kernel.define("VEC4S", 1), bindings, grid: Grid::linear(1) })?;
    Ok(recording)
}

fn dispatch(target: &Target) -> Result<Prepared> {
    let (recording, watch) = (empty(&target.gpu)?, Stopwatch::new(&target.gpu)?);
    let time = move |runs| watch.time(&recording, 0..1, runs);
    let work = Prepared::wall("one lane", time);
    Ok(Prepared { clock: TimedBy::of(&target.gpu), dispatches: Some(1), ..work })
}

fn chain(target: &Target, ops: usize) -> Result<Prepared> {
    let (gpu, plan) = (target.gpu.clone(), tiny(&target.gpu, ops)?);
    let dispatches = plan.cost().dispatches;
    let work = clocked(format!("[{FEW}]"), move || {
        plan.run(&Step::new(0, 0))?;
        gpu.wait_idle()
    });
    Ok(Prepared { dispatches: Some(dispatches), ..work })
}

fn encode(target: &Target) -> Result<Prepared> {
    let plan = tiny(&target.gpu, CHAIN)?;
    let dispatches = plan.cost().dispatches;
    let time = move |runs: u32| {
        let microseconds = plan.time_encoding(&Step::new(0, 0), runs as usize)?;
        Ok(microseconds.iter().sum::<f64>() * 1e-3)
    };
    Ok(Prepared { dispatches: Some(dispatches), ..Prepared::wall(format!("[{FEW}]"), time) })
}

fn upload(target: &Target) -> Result<Prepared> {
    let gpu = target.gpu.clone();
    let values = vec![0.5f32; 1 << 20];
    let (buffer, after) = (gpu.buffer("uploaded", 4 << 20)?, empty(&gpu)?);
    let work = clocked("[1048576]", move || {
        gpu.write(&buffer.whole(), &values)?;
        // A write is only sent with the next submit.
        after.submit(&gpu, 0..1)?;
        gpu.wait_idle()
    });
    Ok(Prepared { bytes: 4 << 20, ..work })
}

fn readback(target: &Target, elements: usize) -> Result<Prepared> {
    let tape = Tape::new();
    let x: Tensor = tape.input("x", [elements]);
    let y = x.sigmoid()?;
    let plan = Plan::new(&target.gpu, &tape, &[&y])?;
    plan.write(&x, &vec![0.5f32; elements])?;
    plan.run(&Step::new(0, 0))?;
    let work = clocked(format!("[{elements}]"), move || plan.read(&y)?.wait().map(drop));
    Ok(Prepared { bytes: elements as u64 * 4, ..work })
}

/// Each run compiles a kernel that was not there before; on some drivers the first dispatch compiles once more.
fn compile(target: &Target) -> Result<Prepared> {
    let gpu = target.gpu.clone();
    let mut length = 1usize;
    Ok(clocked("one kernel", move || {
        length += 1;
        let kernel = Kernel::new("ceiling", "copy", COPY).define("LANES", 64).define("PER_LANE", 1);
        gpu.pipeline(&kernel.define("VEC4S", length)).map(drop)
    }))
}

fn first_step(target: &Target) -> Result<Prepared> {
    let (request, options) = (target.request.clone(), target.gpu.options().clone());
    Ok(clocked("[64, 1, 28, 28]", move || {
        let fresh = Target::open(request.clone(), options.clone())?;
        let mut work = cnn_step::prepare(&fresh)?;
        // Everything from nothing; the second step, which this also runs, is short beside it.
        (work.time)(1).map(drop)
    }))
}
