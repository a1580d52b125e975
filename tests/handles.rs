//! Handles belong to their tape or parameters, and are refused elsewhere.

mod common;

use limbeck::Error;
use limbeck::gpu::Gpu;
use limbeck::nn::{DeviceParams, Forward, Init, ParamBuilder, ParamId, Params};
use limbeck::tape::{DType, Handle, Plan, Step, Tape, Tensor};

/// A tape with one input of four numbers, its ReLU, and the plan of that.
fn relu(name: &str) -> (Tape, Tensor, Tensor, Plan) {
    let (gpu, tape) = (common::gpu(), Tape::new());
    let x = tape.input(name, [4]);
    let y = x.relu().unwrap();
    let plan = Plan::new(&gpu, &tape, &[&y]).unwrap();
    (tape, x, y, plan)
}

#[track_caller]
fn is_misuse<T>(result: Result<T, Error>, parts: &[&str]) {
    let Err(error @ Error::Misuse { .. }) = result else { panic!("{:?}", result.err()) };
    let message = error.to_string();
    parts.iter().for_each(|part| assert!(message.contains(part), "{part} in {message}"));
}

#[test]
fn a_plan_takes_no_tensor_of_another_tape() {
    let (tape, x, y, plan) = relu("x");
    let (other, other_x, other_y, _) = relu("x");
    is_misuse(plan.write(&other_x, &[1.0f32; 4]), &["another tape"]);
    is_misuse(plan.read_f32(&other_y), &["another tape"]);
    assert!(plan.holds(&x) && !plan.holds(&other_x));
    is_misuse(Plan::new(plan.gpu(), &tape, &[&other_y]), &["outputs of the tape"]);
    is_misuse(tape.record(Copied, &[&other_x]), &["one tape"]);
    drop(other);
    plan.write(&x, &[1.0f32, -1.0, 2.0, -2.0]).unwrap();
    plan.run(&Step::new(0, 0)).unwrap();
    assert_eq!(plan.read_f32(&y).unwrap(), [1.0, 0.0, 2.0, 0.0]);
}

#[test]
fn a_plan_takes_the_numbers_of_its_inputs_alone() {
    let (gpu, tape) = (common::gpu(), Tape::new());
    let (labels, x) = (tape.input_i32("labels", [3]), tape.input("x", [3]));
    let plan = Plan::new(&gpu, &tape, &[&labels, &x]).unwrap();
    for (result, parts) in [
        (plan.write(&labels, &[1.0f32; 3]), ["3 values for i32 [3]", "f32 [3]"]),
        (plan.write(&x, &[1i32; 3]), ["3 values for f32 [3]", "i32 [3]"]),
        (plan.write(&x, &[1.0f32; 4]), ["3 values for f32 [3]", "f32 [4]"]),
        (plan.write_bytes(&x, &[0; 13]), ["12 bytes for f32 [3]", "13"]),
        (plan.read_f32(&labels).map(drop), ["f32 [3]", "i32 [3]"]),
        (plan.read_i32(&x).map(drop), ["i32 [3]", "f32 [3]"]),
    ] {
        let message = result.unwrap_err().to_string();
        parts.iter().for_each(|part| assert!(message.contains(part), "{part} in {message}"));
    }
    plan.write(&labels, &[7u32, 8, 9]).unwrap();
    plan.write_bytes(&x, bytemuck::cast_slice(&[0.5f32, 1.5, 2.5])).unwrap();
    assert_eq!(plan.read_i32(&labels).unwrap(), [7, 8, 9]);
    assert_eq!(plan.read_f32(&x).unwrap(), [0.5, 1.5, 2.5]);
}

/// A compiled step outlives its tape, and goes to another thread.
#[test]
fn handles_need_no_tape() {
    let (tape, x, y, plan) = relu("x");
    let [x, y]: [Handle; 2] = [x.handle(), y.handle()];
    drop(tape);
    assert_eq!((x.dtype(), x.len()), (DType::F32, 4));
    let step = move || {
        plan.write(x, &[3.0f32, -1.0, 0.0, 1.0])?;
        plan.run(&Step::new(0, 0))?;
        plan.read_f32(y)
    };
    assert_eq!(std::thread::spawn(step).join().unwrap().unwrap(), [3.0, 0.0, 0.0, 1.0]);
}

#[test]
fn gradients_are_those_of_their_tape() {
    let tape = Tape::new();
    let (x, unused) = (tape.variable("x", [4]), tape.variable("unused", [4]));
    let gradients = x.relu().unwrap().sum(&[0], false).unwrap().backward().unwrap();
    let (_, other, ..) = relu("x");
    is_misuse(gradients.find(&other), &["another one"]);
    is_misuse(gradients.get(&other), &["another one"]);
    is_misuse(gradients.get(&unused), &["depends on"]);
    assert!(gradients.find(&unused).unwrap().is_none() && gradients.get(&x).is_ok());
}

#[test]
fn a_step_with_another_tapes_scalar_is_refused() {
    let (gpu, tape) = (common::gpu(), Tape::new());
    let x = tape.input("x", [4]);
    let rate = tape.scalar("rate").unwrap();
    let y = x.scale_by(rate).unwrap();
    let plan = Plan::new(&gpu, &tape, &[&y]).unwrap();
    plan.write(&x, &[1.0f32; 4]).unwrap();
    let other = Tape::new().scalar("decay").unwrap();
    let mut step = Step::new(0, 0);
    step.set(other, 0.25);
    is_misuse(plan.run(&step), &["rate", "another tape"]);
    // One step may serve several plans, each of which sets what it needs.
    step.set(rate, 0.5);
    plan.run(&step).unwrap();
    assert_eq!(plan.read_f32(&y).unwrap(), [0.5; 4]);
}

/// Parameters `a` (2) and, where there are `two`, `b` (2).
fn params(two: bool) -> (Params, Vec<ParamId>) {
    let mut params = Params::default();
    let mut at = ParamBuilder::new(&mut params);
    let names = if two { &["a", "b"][..] } else { &["a"] };
    let ids = names.iter().map(|name| at.weight(name, [2], Init::Constant(1.0), true)).collect();
    (params, ids)
}

#[test]
fn parameters_are_not_asked_for_by_the_ids_of_others() {
    let gpu = common::gpu();
    let ((ours, own), (_, others)) = (params(false), params(true));
    assert_eq!(ours.get(own[0]).unwrap().name, "a");
    assert_eq!(ours.clone().get(own[0]).unwrap().name, "a", "a clone has the same parameters");
    let device = DeviceParams::trainable(&gpu, "net", &ours).unwrap();
    let tape = Tape::new();
    let fx = Forward::train(&tape, &device);
    for &id in &others {
        is_misuse(ours.get(id), &["of other parameters"]);
        is_misuse(fx.param(id), &["net", "of other parameters"]);
    }
    let leaf = fx.param(own[0]).unwrap();
    let gradients = leaf.sum(&[0], false).unwrap().backward().unwrap();
    is_misuse(device.place_gradient(others[1], &leaf, &gradients), &["net", "of other parameters"]);
    device.place_gradient(own[0], &leaf, &gradients).unwrap();
    // A clone that grew has ids that the first does not know.
    let mut grown = ours.clone();
    let late = ParamBuilder::new(&mut grown).weight("late", [2], Init::Constant(0.0), true);
    assert!(grown.get(late).is_ok());
    is_misuse(ours.get(late), &["number 1"]);
}

/// wgpu itself would take a buffer of another instance for the one that has the same number here.
#[test]
fn a_gpu_takes_no_buffers_of_another() {
    let (gpu, other) = (common::gpu(), common::gpu());
    let (params, ids) = params(false);
    let foreign = DeviceParams::trainable(&other, "net", &params).unwrap();
    let doubled = |device: &DeviceParams, gpu: &Gpu| {
        let tape = Tape::new();
        let y = Forward::train(&tape, device).param(ids[0]).unwrap().scale(2.0).unwrap();
        let plan = Plan::new(gpu, &tape, &[&y])?;
        plan.run(&Step::new(0, 0))?;
        plan.read_f32(&y)
    };
    is_misuse(doubled(&foreign, &gpu), &["another Gpu"]);
    assert_eq!(doubled(&foreign, &other.clone()).unwrap(), [2.0; 2]);
    let (ours, theirs) =
        (gpu.buffer("ours", 16).unwrap().whole(), other.buffer("theirs", 16).unwrap().whole());
    is_misuse(gpu.write(&theirs, &[0u32]), &["theirs", "another Gpu"]);
    is_misuse(gpu.read(&theirs), &["theirs", "another Gpu"]);
    is_misuse(gpu.copy(&ours, &theirs), &["theirs", "another Gpu"]);
    is_misuse(gpu.copy(&theirs, &ours), &["theirs", "another Gpu"]);
}

/// An op that is never lowered.
#[derive(Debug)]
struct Copied;

impl limbeck::tape::Op for Copied {
    fn name(&self) -> &'static str {
        "copied"
    }

    fn infer(&self, inputs: &[limbeck::tape::Meta]) -> limbeck::Result<Vec<limbeck::tape::Meta>> {
        Ok(inputs.to_vec())
    }

    fn lower(&self, _: &mut limbeck::tape::Lowering<'_>) -> limbeck::Result<()> {
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[limbeck::tape::Array]) -> Vec<limbeck::tape::Array> {
        inputs.to_vec()
    }
}
