//! An op of your own: a WGSL kernel, its gradient and an f64 reference, through the public `Op` trait.
//!
//! The op is the snake activation, y = x + sin(a x)^2 / a (Ziyin et al. 2006.08195), which limbeck does not have. It is
//! then checked by the same function that checks limbeck's own ops: the kernel against the reference, the gradient
//! kernel against finite differences of the reference. Expected: errors around 1e-7, and "passed" for each shape.

use limbeck::gpu::{AdapterRequest, Gpu, GpuOptions, Grid, Kernel};
use limbeck::ops::{Case, Input, conformance};
use limbeck::tape::{Array, Backward, Lowering, Meta, Op, Plan, Slot, Step, Tape, Tensor};
use limbeck::{Error, Result};

/// Bindings: x, then dy for the gradient, then the output. Storage is padded to vec4, so no element is left over.
/// `flat_workgroup` comes from limbeck's prelude; VEC4S and A are constants given below.
const WGSL: &str = "
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(256)
fn forward(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
           @builtin(local_invocation_index) lane: u32) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i < VEC4S {
        let s = sin(A * x[i]);
        y[i] = x[i] + s * s / A;
    }
}

@compute @workgroup_size(256)
fn backward_x(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
              @builtin(local_invocation_index) lane: u32) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i < VEC4S {
        y[i] = dy[i] * (1.0 + sin(2.0 * A * x[i]));
    }
}";

/// The op, or with `gradient` set the op that computes dx from x and dy.
#[derive(Debug, Clone, Copy)]
struct Snake {
    a: f32,
    gradient: bool,
}

impl Op for Snake {
    fn name(&self) -> &'static str {
        "snake"
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
        let x = inputs.first().filter(|_| self.a > 0.0).cloned();
        x.map(|x| vec![x])
            .ok_or_else(|| Error::shape(self.name(), "an input and a above 0", self.a.to_string()))
    }

    fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        let (x, gradient) = (&at.inputs[0], Snake { gradient: true, ..*self });
        Ok(vec![Some(x.tape().record1(gradient, &[x, at.dy()?])?)])
    }

    fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
        let vec4s = to.output(0).iter().product::<usize>().div_ceil(4);
        let (entry, bindings) = match self.gradient {
            false => ("forward", vec![Slot::Input(0), Slot::Output(0)]),
            true => ("backward_x", vec![Slot::Input(0), Slot::Input(1), Slot::Output(0)]),
        };
        let kernel = Kernel::new(self.name(), entry, WGSL).define("VEC4S", vec4s).define_f32("A", self.a);
        to.dispatch(kernel, &bindings, Grid::linear(vec4s.div_ceil(256)));
        Ok(())
    }

    fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
        let a = f64::from(self.a);
        if self.gradient {
            let (x, dy) = (&inputs[0], &inputs[1]);
            let dx = x.data.iter().zip(&dy.data).map(|(x, dy)| dy * (1.0 + (2.0 * a * x).sin()));
            return vec![Array::new(x.shape.clone(), dx.collect())];
        }
        vec![inputs[0].map(|x| x + (a * x).sin().powi(2) / a)]
    }
}

fn main() -> Result<()> {
    let gpu = Gpu::open_blocking(&AdapterRequest::from_env()?, GpuOptions::default())?;
    let snake = Snake { a: 1.5, gradient: false };
    for shape in [vec![1], vec![3, 47], vec![2, 3, 8, 8], vec![4097]] {
        let case = Case::new(snake, vec![Input::normal(shape)]);
        let report = conformance::run(&gpu, &case, 1)?;
        let forward = report.forward * case.tolerance;
        let gradient = report.gradient.unwrap_or(0.0) * case.gradient_tolerance;
        let verdict = if report.failures.is_empty() { "passed" } else { "FAILED" };
        println!(
            "{:<50} forward error {forward:.1e}, gradient error {gradient:.1e}: {verdict}",
            report.label
        );
    }
    println!("expected: errors around 1e-7, \"passed\" for each shape\n");
    // In a step it is an op like any other.
    let tape = Tape::new();
    let x = tape.variable("x", [3]);
    let loss = tape.record1(snake, &[&x])?.square()?.mean(&[0], false)?;
    let gradients = loss.backward()?;
    let dx = gradients.get(&x)?;
    let plan = Plan::new(&gpu, &tape, &[&loss, dx])?;
    plan.write(&x, &[-1.0f32, 0.0, 2.0])?;
    plan.run(&Step::new(0, 0))?;
    println!("mean(snake(x)^2) = {:?}, gradient {:?}", plan.read_f32(&loss)?, plan.read_f32(dx)?);
    Ok(())
}
