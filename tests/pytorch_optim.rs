//! Optimizers, clipping, averaging and schedules against twenty steps of PyTorch (tests/fixtures/optim.json): through one
//! plan that is run twenty times, with all parameters in one flat buffer and with a buffer each.

mod common;

use common::fixture::{Fixture, mismatch};
use limbeck::gpu::{Buffer, Gpu};
use limbeck::ops::update::BLOCK;
use limbeck::optim::{
    Ema, EmaConfig, EmaUpdate, Group, Optimizer, OptimizerConfig, OptimizerUpdate, Schedule, Warmup,
};
use limbeck::tape::{Meta, Plan, Step, Tape, Tensor};
use serde_json::Value;

const STEPS: usize = 20;
const PARAMS: [&str; 2] = ["a", "b"];

/// Row `t` of a tensor with one row a step.
fn row(fixture: &Fixture, key: &str, t: usize) -> Vec<f32> {
    let all = fixture.f32s(key);
    let len = all.len() / STEPS;
    all[t * len..(t + 1) * len].to_vec()
}

fn optimizer<'a>(fixture: &'a Fixture, name: &str) -> &'a Value {
    fixture.json["optimizers"].as_array().unwrap().iter().find(|e| e["name"] == name).unwrap()
}

fn check(got: &[f32], want: &[f32], tol: f64, place: &str) {
    if let Some(words) = mismatch(got, want, tol) {
        panic!("{place}{words}");
    }
}

/// Where each parameter lies: (group, first element, elements).
struct Layout {
    groups: Vec<usize>,
    places: [(usize, usize, usize); 2],
}

fn layouts() -> [Layout; 2] {
    [
        Layout { groups: vec![2 * BLOCK], places: [(0, 0, 35), (0, BLOCK, 13)] },
        Layout { groups: vec![BLOCK, BLOCK], places: [(0, 0, 35), (1, 0, 13)] },
    ]
}

/// A compiled optimizer step on weights and gradients in buffers of its own.
struct Bench {
    gpu: Gpu,
    layout: Layout,
    weights: Vec<Buffer>,
    gradients: Vec<Buffer>,
    optimizer: Optimizer,
    update: OptimizerUpdate,
    ema: Ema,
    ema_update: EmaUpdate,
    plan: Plan,
}

impl Bench {
    fn new(
        gpu: &Gpu,
        fixture: &Fixture,
        layout: Layout,
        config: OptimizerConfig,
        max: Option<f32>,
        decay: f64,
    ) -> Self {
        let tape = Tape::new();
        let buffers = |label: &str| -> Vec<Buffer> {
            layout.groups.iter().map(|&n| gpu.buffer(label, n as u64 * 4).unwrap()).collect()
        };
        let (weights, gradients) = (buffers("weights"), buffers("gradients"));
        let groups: Vec<Group> = layout
            .groups
            .iter()
            .enumerate()
            .map(|(i, &n)| Group {
                weights: tape.external("weights", Meta::f32([n]), weights[i].whole(), true).unwrap(),
                gradients: tape.external("gradients", Meta::f32([n]), gradients[i].whole(), false).unwrap(),
                decay_mask: tape.constant([n / BLOCK], &vec![1.0; n / BLOCK]).unwrap(),
                extents: extents(gpu, &tape, &vec![BLOCK as u32; n / BLOCK]),
            })
            .collect();
        let optimizer = Optimizer::new(gpu, "optimizer", config, &layout.groups).unwrap();
        let update = optimizer.record(&tape, &groups, max).unwrap();
        let ema = Ema::new(gpu, "ema", EmaConfig { decay, warmup: false }, &layout.groups).unwrap();
        let ema_update = ema.record(&tape, &groups).unwrap();
        let plan = Plan::new(gpu, &tape, &[&update.grad_norm]).unwrap();
        let bench =
            Self { gpu: gpu.clone(), layout, weights, gradients, optimizer, update, ema, ema_update, plan };
        bench.write(&bench.weights, |name| fixture.f32s(&format!("start/{name}")));
        let slices: Vec<_> = bench.weights.iter().map(Buffer::whole).collect();
        bench.ema.reset(gpu, &slices).unwrap();
        bench
    }

    fn write(&self, to: &[Buffer], values: impl Fn(&str) -> Vec<f32>) {
        for (name, (group, first, len)) in PARAMS.iter().zip(self.layout.places) {
            let slice = to[group].slice(first as u64 * 4, len as u64 * 4).unwrap();
            self.gpu.write(&slice, &values(name)).unwrap();
        }
    }

    fn read(&self, from: &[limbeck::gpu::BufferSlice], param: usize) -> Vec<f32> {
        let (group, first, len) = self.layout.places[param];
        let slice = from[group].buffer.slice(first as u64 * 4, len as u64 * 4).unwrap();
        bytemuck::pod_collect_to_vec(&self.gpu.read(&slice).unwrap().wait().unwrap())
    }

    fn weights(&self, param: usize) -> Vec<f32> {
        let slices: Vec<_> = self.weights.iter().map(Buffer::whole).collect();
        self.read(&slices, param)
    }

    fn run(&self, t: usize, rate: f64) -> [f32; 2] {
        let mut step = Step::new(t as u32, 1);
        self.update.set_step(&mut step, rate, t as u64);
        self.ema_update.set_step(&mut step, t as u64);
        self.plan.run(&step).unwrap();
        self.plan.read_f32(&self.update.grad_norm).unwrap().try_into().unwrap()
    }

    fn state(&self) -> Vec<Vec<u8>> {
        let all = self.optimizer.state();
        all.iter().map(|(_, slice)| self.gpu.read(slice).unwrap().wait().unwrap()).collect()
    }
}

/// Splits an entry's config into ours, the learning rate and the largest gradient norm.
fn settings(entry: &Value) -> (OptimizerConfig, f64, Option<f32>) {
    let mut config = entry["config"].as_object().unwrap().clone();
    let rate = config.remove("learning_rate").unwrap().as_f64().unwrap();
    let max = config.remove("max_grad_norm").map(|v| v.as_f64().unwrap() as f32);
    config.insert("kind".into(), entry["optimizer"].clone());
    (serde_json::from_value(Value::Object(config)).unwrap(), rate, max)
}

#[test]
fn optimizers_match_pytorch() {
    let (gpu, fixture) = (common::gpu(), Fixture::load("optim"));
    let tol = fixture.json["tol"].as_f64().unwrap();
    let mut ran = 0;
    for entry in fixture.json["optimizers"].as_array().unwrap() {
        let name = entry["name"].as_str().unwrap();
        let (config, rate, max) = settings(entry);
        for layout in layouts() {
            let label = format!("{name}, {} groups", layout.groups.len());
            let bench = Bench::new(&gpu, &fixture, layout, config, max, 0.0);
            let objects = gpu.objects_created();
            for t in 0..STEPS {
                bench.write(&bench.gradients, |param| row(&fixture, &format!("grads/{param}"), t));
                let [norm, flag] = bench.run(t, rate);
                assert_eq!(flag, 0.0, "{label}");
                if let Some(key) = entry["grad_norm"].as_str() {
                    check(&[norm], &row(&fixture, key, t), tol, &format!("{label}: norm of step {t}"));
                }
                for (i, param) in PARAMS.iter().enumerate() {
                    let want = row(&fixture, entry["after"][param].as_str().unwrap(), t);
                    check(&bench.weights(i), &want, tol, &format!("{label}: {param} after step {t}"));
                }
            }
            // Readbacks of three sizes may each make a staging buffer once; the plan makes nothing.
            assert!(gpu.objects_created() - objects <= 3, "{label}: steps create objects");
            ran += 1;
        }
    }
    assert_eq!(ran, 12);
}

#[test]
fn averages_match_pytorch() {
    let (gpu, fixture) = (common::gpu(), Fixture::load("optim"));
    let (tol, ema) = (fixture.json["tol"].as_f64().unwrap(), &fixture.json["ema"]);
    let (config, rate, max) = settings(optimizer(&fixture, ema["of"].as_str().unwrap()));
    for layout in layouts() {
        let bench = Bench::new(&gpu, &fixture, layout, config, max, ema["decay"].as_f64().unwrap());
        for t in 0..STEPS {
            bench.write(&bench.gradients, |param| row(&fixture, &format!("grads/{param}"), t));
            bench.run(t, rate);
            for (i, param) in PARAMS.iter().enumerate() {
                let want = row(&fixture, ema["after"][param].as_str().unwrap(), t);
                check(&bench.read(&bench.ema.slices(), i), &want, tol, &format!("{param} after step {t}"));
            }
        }
    }
}

#[test]
fn a_gradient_that_is_not_finite_changes_nothing() {
    let (gpu, fixture) = (common::gpu(), Fixture::load("optim"));
    let sgd = OptimizerConfig::Sgd { momentum: 0.9, nesterov: false, weight_decay: 0.1 };
    for config in [sgd, OptimizerConfig::sgd(0.0), OptimizerConfig::adam(), OptimizerConfig::adamw()] {
        // 1e30 squared overflows: the norm of finite gradients can be infinite too.
        for (bad, which) in [(f32::NAN, 0), (f32::INFINITY, 1), (f32::NEG_INFINITY, 0), (1e30, 1)] {
            let layout = layouts().into_iter().nth(which).unwrap();
            let bench = Bench::new(&gpu, &fixture, layout, config, Some(1.0), 0.0);
            bench.write(&bench.gradients, |param| row(&fixture, &format!("grads/{param}"), 0));
            assert_eq!(bench.run(0, 0.1)[1], 0.0);
            let before = ([bench.weights(0), bench.weights(1)], bench.state());
            bench.write(&bench.gradients, |param| {
                let mut row = row(&fixture, &format!("grads/{param}"), 1);
                if param == "b" {
                    row[12] = bad;
                }
                row
            });
            let [norm, flag] = bench.run(1, 0.1);
            assert_eq!(flag, 1.0, "{config:?} {bad}: norm {norm}");
            assert!(!norm.is_finite(), "{config:?} {bad}: norm {norm}");
            assert!(before == ([bench.weights(0), bench.weights(1)], bench.state()), "{config:?} {bad}");
            // And the next good gradient moves the weights again.
            bench.write(&bench.gradients, |param| row(&fixture, &format!("grads/{param}"), 2));
            assert_eq!(bench.run(2, 0.1)[1], 0.0);
            assert!(before.0 != [bench.weights(0), bench.weights(1)], "{config:?} {bad}");
        }
    }
}

fn extents(gpu: &Gpu, tape: &Tape, values: &[u32]) -> Tensor {
    let buffer = gpu.buffer("extents", values.len() as u64 * 4).unwrap();
    gpu.write(&buffer.whole(), values).unwrap();
    tape.external("extents", Meta::i32([values.len()]), buffer.whole(), false).unwrap()
}

#[test]
fn padding_is_not_part_of_the_norm() {
    let gpu = common::gpu();
    let buffer = gpu.buffer("gradients", 512).unwrap();
    // Two parameters of one and two elements, 64 elements apart, and NaN around them.
    let mut values = [f32::NAN; 128];
    (values[0], values[64], values[65]) = (3.0, 4.0, 0.0);
    gpu.write(&buffer.whole(), &values).unwrap();
    let tape = Tape::new();
    let dw = tape.external("gradients", Meta::f32([67]), buffer.whole(), false).unwrap();
    let norm = Tensor::grad_norm(&[(&dw, &extents(&gpu, &tape, &[1, 2]))]).unwrap();
    let plan = Plan::new(&gpu, &tape, &[&norm]).unwrap();
    plan.run(&Step::new(0, 1)).unwrap();
    assert_eq!(plan.read_f32(&norm).unwrap(), [5.0, 0.0]);
}

#[test]
fn schedules_match_pytorch() {
    let fixture = Fixture::load("optim");
    let entries = fixture.json["schedules"].as_array().unwrap();
    assert_eq!(entries.len(), 5);
    for entry in entries {
        let (name, config) = (entry["name"].as_str().unwrap(), &entry["config"]);
        let float = |key: &str| config[key].as_f64().unwrap_or_else(|| panic!("{name} has no {key}"));
        let count = |key: &str| config[key].as_u64().unwrap_or_else(|| panic!("{name} has no {key}"));
        let (rate, warmup) = (float("learning_rate"), Warmup::default());
        let schedule = match name {
            "step" => Schedule::Step { every: count("step_size"), factor: float("gamma"), warmup },
            "multi_step" => {
                let milestones = config["milestones"].as_array().unwrap();
                let milestones = milestones.iter().map(|m| m.as_u64().unwrap()).collect();
                Schedule::MultiStep { milestones, factor: float("gamma"), warmup }
            }
            "cosine" | "cosine_floor" => {
                Schedule::Cosine { total: count("t_max"), floor: float("eta_min") / rate, warmup }
            }
            "warmup_cosine" => {
                let warmup = Warmup { steps: count("warmup_steps"), start: float("start_factor") };
                let total = warmup.steps + count("t_max");
                Schedule::Cosine { total, floor: float("eta_min") / rate, warmup }
            }
            other => panic!("no schedule for {other}"),
        };
        schedule.validate().unwrap();
        for (t, want) in entry["learning_rates"].as_array().unwrap().iter().enumerate() {
            let (got, want) = (rate * schedule.at(t as u64), want.as_f64().unwrap());
            assert!((got - want).abs() <= 1e-12 * want.abs(), "{name} at {t}: got {got}, expected {want}");
        }
    }
}

#[test]
fn mistakes_are_explained() {
    let gpu = common::gpu();
    let optimizer = Optimizer::new(&gpu, "optimizer", OptimizerConfig::adam(), &[64]).unwrap();
    let names: Vec<String> = optimizer.state().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["optimizer.m.0", "optimizer.v.0"]);
    let tape = Tape::new();
    let tensor = |name, n| tape.input(name, [n]);
    let group = |n, mask| Group {
        weights: tensor("w", n),
        gradients: tensor("dw", n),
        decay_mask: tensor("mask", mask),
        extents: tape.input_i32("extents", [n / BLOCK]),
    };
    let fail = |group: Group, max| optimizer.record(&tape, &[group], max).unwrap_err().to_string();
    assert!(fail(group(128, 2), None).contains("[64] elements"));
    assert!(fail(group(64, 2), None).contains("decay mask of 1"));
    assert!(fail(group(64, 1), Some(0.0)).contains("max_grad_norm"));
    assert!(fail(group(64, 1), Some(f32::NAN)).contains("max_grad_norm"));
}
