//! The convolutions and linear layers of known networks, found by recording the networks: they can't go out of date.

use std::any::Any;

use super::kernels::passes;
use crate::Result;
use crate::bench::benchmark::{Benchmark, Target};
use crate::bench::kernel::case_of;
use crate::models::{ModelConfig, build};
use crate::nn::{DeviceParams, Forward};
use crate::ops::conv2d::Conv2d;
use crate::ops::gemm::Gemm;
use crate::tape::{Meta, Op, Tape};

const NETWORKS: &[&str] = &["resnet20", "resnet56", "vgg8", "mobilenetv2"];

/// Each shape once, under the network that has it first.
pub fn cases(target: &Target, quick: bool) -> Result<Vec<Benchmark>> {
    let (networks, batch) = if quick { (&NETWORKS[..1], 8) } else { (NETWORKS, 64) };
    let mut seen = Vec::new();
    let mut all = Vec::new();
    for network in networks {
        for (op, metas) in recorded(target, network, batch)?.ops() {
            let Some((kind, name)) = name_of(op.as_ref(), &metas) else { continue };
            if !seen.contains(&name) {
                let made = case_of(op, metas, 0);
                all.extend(passes(kind, &format!("{network}: {name}"), move || Ok(made.clone())));
                seen.push(name);
            }
        }
    }
    Ok(all)
}

/// A network's inference pass.
fn recorded(target: &Target, name: &str, batch: usize) -> Result<Tape> {
    let network = build(name, &ModelConfig::classifier([3, 32, 32], 100))?;
    let params = DeviceParams::frozen(&target.gpu, name, &network.params)?;
    let tape = Tape::new();
    network.predict(&Forward::eval(&tape, &params), &tape.input("images", [batch, 3, 32, 32]))?;
    Ok(tape)
}

/// Kind and name of a convolution or a linear layer; `None` for other ops.
fn name_of(op: &dyn Op, metas: &[Meta]) -> Option<(&'static str, String)> {
    let any: &dyn Any = op;
    let dims = |i: usize| -> Option<String> {
        let sizes: Vec<String> = metas.get(i)?.shape.dims().iter().map(usize::to_string).collect();
        Some(sizes.join("x"))
    };
    if let Some(conv) = any.downcast_ref::<Conv2d>() {
        let weight = metas.get(1)?.shape.dims();
        let [c_out, .., kh, kw] = weight else { return None };
        let groups = if conv.groups > 1 { format!(" in {} groups", conv.groups) } else { String::new() };
        let stride = if conv.stride[0] > 1 { format!(" stride {}", conv.stride[0]) } else { String::new() };
        return Some(("conv", format!("{} to {c_out} {kh}x{kw}{stride}{groups}", dims(0)?)));
    }
    any.downcast_ref::<Gemm>()?;
    Some(("linear", format!("{} by {}", dims(0)?, dims(1)?)))
}
