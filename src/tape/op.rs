//! What an op must say of itself.

use std::any::Any;
use std::fmt::Debug;
use std::rc::Rc;

use super::array::Array;
use super::fuse::{Consumer, Fused};
use super::lowering::Lowering;
use super::shape::Meta;
use super::step::Step;
use super::tensor::Tensor;
use crate::{Error, Result};

/// An op: shape rule, gradient, kernels and f64 reference, all in one place.
///
/// One of one's own is recorded as limbeck's are, and checked by the same function: its kernel against its reference, its
/// gradient against finite differences.
///
/// ```
/// use limbeck::Result;
/// use limbeck::gpu::{AdapterRequest, Gpu, GpuOptions, Grid, Kernel};
/// use limbeck::ops::{Case, Input, conformance};
/// use limbeck::tape::{Array, Backward, Lowering, Meta, Op, Slot, Step, Tensor};
///
/// /// Storage is padded to vec4, so no element is left over; `flat_workgroup` is of limbeck's prelude.
/// const WGSL: &str = "
/// @group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
/// @group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;
///
/// @compute @workgroup_size(256)
/// fn forward(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
///            @builtin(local_invocation_index) lane: u32) {
///     let i = flat_workgroup(workgroup, grid) * 256u + lane;
///     if i < VEC4S {
///         y[i] = x[i] * x[i] * x[i];
///     }
/// }";
///
/// /// y = x^3.
/// #[derive(Debug, Clone, Copy)]
/// struct Cube;
///
/// impl Op for Cube {
///     fn name(&self) -> &'static str {
///         "cube"
///     }
///     fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>> {
///         Ok(vec![inputs[0].clone()])
///     }
///     fn lower(&self, to: &mut Lowering<'_>) -> Result<()> {
///         let vec4s = to.output(0).iter().product::<usize>().div_ceil(4);
///         let kernel = Kernel::new("cube", "forward", WGSL).define("VEC4S", vec4s);
///         to.dispatch(kernel, &[Slot::Input(0), Slot::Output(0)], Grid::linear(vec4s.div_ceil(256)));
///         Ok(())
///     }
///     fn reference(&self, _: &Step, inputs: &[Array]) -> Vec<Array> {
///         vec![Array::new(inputs[0].shape.clone(), inputs[0].data.iter().map(|x| x.powi(3)).collect())]
///     }
///     fn backward(&self, at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
///         // dx = 3 x^2 dy
///         Ok(vec![Some(at.inputs[0].square()?.scale(3.0)?.mul(at.dy()?)?)])
///     }
/// }
///
/// # fn main() -> Result<()> {
/// let gpu = Gpu::open_blocking(&AdapterRequest::from_env()?, GpuOptions::default())?;
/// let report = conformance::run(&gpu, &Case::new(Cube, vec![Input::normal([3, 5])]), 0)?;
/// assert!(report.failures.is_empty(), "{:?}", report.failures);
/// # Ok(())
/// # }
/// ```
pub trait Op: Debug + Any {
    /// What labels, errors and cost tables call it.
    fn name(&self) -> &'static str;

    /// Shapes and types of the outputs, or an error that says what the op takes.
    fn infer(&self, inputs: &[Meta]) -> Result<Vec<Meta>>;

    /// Records the gradient of each input (`None` where an input has none), as ordinary nodes.
    fn backward(&self, _at: &Backward<'_>) -> Result<Vec<Option<Tensor>>> {
        Err(Error::misuse(self.name(), "an op with a gradient", "one that has none; detach its output"))
    }

    /// False for ops whose outputs carry no gradient (argmax, optimizer updates).
    fn differentiable(&self) -> bool {
        true
    }

    /// Appends the dispatches that compute the outputs.
    fn lower(&self, to: &mut Lowering<'_>) -> Result<()>;

    /// The same computation in f64: the outputs, then the new values of the inputs that [`Op::in_place`] lists.
    fn reference(&self, step: &Step, inputs: &[Array]) -> Vec<Array>;

    /// Floating-point operations of one run; zero where moving memory is all the work.
    fn flops(&self, _inputs: &[Meta], _outputs: &[Meta]) -> u64 {
        0
    }

    /// Inputs that the op overwrites. They must be leaves that live in a caller's buffer.
    fn in_place(&self) -> &[usize] {
        &[]
    }

    /// The op that computes the same outputs a second time, for [`super::Tape::recompute`], where this one would change
    /// something twice. `None` where it can run again as it is.
    fn recompute_as(&self) -> Option<Rc<dyn Op>> {
        None
    }

    /// Outputs that stay f32 inside [`super::Tape::half`] whatever their shape: statistics that a backward rule needs.
    fn keep_f32(&self) -> &[usize] {
        &[]
    }

    /// The node that computes this op, of the inputs `own`, and what `consumer` makes of its output, where one kernel can do
    /// the work of both: asked where the consumer's output needs no gradient. A plan takes it where nothing else reads the
    /// tensor in between.
    fn absorb(&self, _own: &[Tensor], _consumer: &Consumer<'_>) -> Option<Fused> {
        None
    }

    /// True where output 0 is input 0 under another shape, at no cost.
    fn is_alias(&self) -> bool {
        false
    }
}

/// What a backward rule gets to see.
pub struct Backward<'a> {
    /// The node's inputs.
    pub inputs: &'a [Tensor],
    /// The node's outputs.
    pub outputs: &'a [Tensor],
    /// Gradient of the loss by each output; `None` where the loss does not depend on it.
    pub douts: &'a [Option<Tensor>],
}

impl Backward<'_> {
    /// Gradient by output 0, which is there for every op with one output.
    pub fn dy(&self) -> Result<&Tensor> {
        self.douts
            .first()
            .and_then(Option::as_ref)
            .ok_or_else(|| Error::misuse("backward", "a gradient of output 0", "none"))
    }

    /// Whether input `i` wants a gradient; computing one nobody wants only costs dead nodes.
    pub fn needs(&self, i: usize) -> bool {
        self.inputs.get(i).is_some_and(Tensor::requires_grad)
    }
}
