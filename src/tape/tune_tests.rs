use super::*;
use crate::gpu::{AdapterRequest, GpuOptions, Grid, Kernel, Tuning};
use crate::tape::{Lowering, Slot, Variant};

/// y = 2 x by kernels that turn so often before they write, and that may be wrong in the last element.
#[derive(Debug)]
struct Double {
    /// Name, turns, whether it is right.
    kernels: &'static [(&'static str, usize, bool)],
    /// One more where x is stored as f16.
    of_half: Option<(&'static str, usize, bool)>,
}

const SHADER: &str = "
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn forward(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= LEN {
        return;
    }
    // Nothing that a compiler could foresee.
    var value = x[id.x];
    for (var turn = 0u; turn < TURNS; turn++) {
        value = select(value, 1.0, value == f32(turn) + 0.123);
    }
    y[id.x] = 2.0 * value + select(0.0, 0.01, id.x + 1u == LEN && WRONG == 1u);
}
";

impl Op for Double {
    fn name(&self) -> &'static str {
        "double"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        Ok(inputs.to_vec())
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let len: usize = to.input(0).iter().product();
        let of_half = self.of_half.filter(|_| to.is_half(Slot::Input(0)));
        let variants = self.kernels.iter().copied().chain(of_half).map(|(name, turns, right)| {
            Variant::new(name, move |to: &mut Lowering<'_>| {
                let kernel = Kernel::new("double", "forward", SHADER)
                    .define("LEN", len)
                    .define("TURNS", turns)
                    .define("WRONG", usize::from(!right));
                to.dispatch(kernel, &[Slot::Input(0), Slot::Output(0)], Grid::linear(len.div_ceil(64)));
                Ok(())
            })
        });
        to.lower_by(variants.collect())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let doubled = inputs[0].data.iter().map(|x| 2.0 * x).collect();
        vec![Array::new(inputs[0].shape.clone(), doubled)]
    }
}

/// A file of this test's own, removed with it.
struct Cache(std::path::PathBuf);

impl Cache {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("limbeck-tune-{}-{name}.json", std::process::id())))
    }

    fn open(&self, tuning: Tuning) -> Gpu {
        let options = GpuOptions { tuning, tuned_file: Some(self.0.clone()), ..Default::default() };
        Gpu::open_blocking(&AdapterRequest::from_env().unwrap(), options).unwrap()
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Which variant ran, and what it gave.
fn run(gpu: &Gpu, kernels: &'static [(&'static str, usize, bool)]) -> Result<(String, Vec<f32>)> {
    let tape = Tape::new();
    let x = tape.input("x", [5000]);
    let y = tape.record1(Double { kernels, of_half: None }, &[&x])?;
    let plan = Plan::new(gpu, &tape, &[&y])?;
    plan.write(&x, &vec![1.5f32; 5000])?;
    plan.run(&Step::new(0, 0))?;
    let ran = plan.cost().nodes[0].variant.clone().unwrap_or_default();
    Ok((ran, plan.read_f32(&y)?))
}

const PLANTED: &[(&str, usize, bool)] =
    &[("usual", 4000, true), ("wrong", 0, false), ("slow", 100_000, true), ("fast", 10, true)];

#[test]
fn a_wrong_variant_is_left_out_and_a_slow_one_is_not_taken() {
    let cache = Cache::new("planted");
    let gpu = cache.open(Tuning::Measure);
    let (ran, y) = run(&gpu, PLANTED).unwrap();
    assert_eq!(ran, "fast");
    assert!(y.iter().all(|&y| y == 3.0));
    let choices = gpu.tuned().choices();
    let choice = choices.values().next().unwrap();
    assert_eq!((choice.variant.as_str(), choice.default.as_str()), ("fast", "usual"));
    assert!(choice.ms < choice.default_ms, "{choice:?}");
    assert!(
        choice.rejected.len() == 1 && choice.rejected[0].starts_with("wrong: output 0 at 4999"),
        "{choice:?}"
    );
}

/// What reads f16 is measured on f16, by the variants that there are for it, and apart from the same work in f32.
#[test]
fn work_on_halves_is_measured_on_halves() {
    let cache = Cache::new("halves");
    let gpu = cache.open(Tuning::Measure);
    if !gpu.caps().f16 {
        return;
    }
    let op = || Double { kernels: &[("usual", 100_000, true)], of_half: Some(("of halves", 10, true)) };
    let tape = Tape::new();
    let x = tape.input("x", [64, 80]);
    let y = tape.half(|| tape.record1(op(), &[&tape.record1(op(), &[&x])?])).unwrap();
    let plan = Plan::new(&gpu, &tape, &[&y]).unwrap();
    plan.write(&x, &vec![1.5f32; 5120]).unwrap();
    plan.run(&Step::new(0, 0)).unwrap();
    assert!(plan.read_f32(&y).unwrap().iter().all(|&y| y == 6.0));
    let ran: Vec<_> = plan.cost().nodes.iter().map(|node| node.variant.as_deref()).collect();
    assert_eq!(ran, [None, Some("of halves")]);
    let choices = gpu.tuned().choices();
    let (key, choice) = choices.iter().next().unwrap();
    assert!(choices.len() == 1 && key.ends_with("f32 [64, 80] as f16"), "{choices:?}");
    assert!(choice.variant == "of halves" && choice.rejected.is_empty(), "{choice:?}");
}

#[test]
fn choices_are_kept_and_no_tuning_takes_the_default() {
    let cache = Cache::new("kept");
    run(&cache.open(Tuning::Measure), PLANTED).unwrap();
    assert_eq!(run(&cache.open(Tuning::Cached), PLANTED).unwrap().0, "fast");
    assert_eq!(run(&cache.open(Tuning::Off), PLANTED).unwrap().0, "usual");
    // Other settings are other work, which `Cached` does not measure.
    const OTHER: &[(&str, usize, bool)] = &[("usual", 4001, true), ("fast", 10, true)];
    assert_eq!(run(&cache.open(Tuning::Cached), OTHER).unwrap().0, "usual");
    // What is measured later is added.
    run(&cache.open(Tuning::Measure), OTHER).unwrap();
    assert_eq!(cache.open(Tuning::Cached).tuned().choices().len(), 2);
}

#[test]
fn damaged_and_foreign_files_are_replaced() {
    let cache = Cache::new("damaged");
    let version = format!("{{\"limbeck\":\"{}\",\"adapters\":[]}}", env!("CARGO_PKG_VERSION"));
    for text in
        ["", "{\"limbeck\":", "\u{0}\u{1}", version.as_str(), "{\"limbeck\":\"0.0.1\",\"adapters\":{}}"]
    {
        std::fs::write(&cache.0, text).unwrap();
        assert_eq!(run(&cache.open(Tuning::Cached), PLANTED).unwrap().0, "usual", "{text:?}");
        assert_eq!(run(&cache.open(Tuning::Measure), PLANTED).unwrap().0, "fast", "{text:?}");
        assert_eq!(cache.open(Tuning::Cached).tuned().choices().len(), 1, "{text:?}");
    }
}

#[test]
fn choices_of_another_adapter_stay_in_the_file() {
    let cache = Cache::new("others");
    let choice = r#"{"variant":"a","ms":1.0,"default":"b","default_ms":2.0}"#;
    let text = format!(
        r#"{{"limbeck":"{}","adapters":{{"another | Vulkan | 1":{{"double":{choice}}}}}}}"#,
        env!("CARGO_PKG_VERSION")
    );
    std::fs::write(&cache.0, text).unwrap();
    run(&cache.open(Tuning::Measure), PLANTED).unwrap();
    let text = std::fs::read_to_string(&cache.0).unwrap();
    assert!(text.contains("another | Vulkan | 1"), "{text}");
}

#[test]
fn work_without_a_right_variant_is_an_error() {
    const WRONG: &[(&str, usize, bool)] = &[("one", 0, false), ("two", 1, false)];
    let message = run(&Cache::new("none").open(Tuning::Measure), WRONG).unwrap_err().to_string();
    assert!(message.contains("double") && message.contains("one: output 0"), "{message}");
}
