//! The convolutions and linear layers of known networks, found by recording the networks: they can't go out of date.

use std::any::Any;

use super::kernels::passes;
use crate::Result;
use crate::bench::case::{Case, Target};
use crate::bench::kernel::case_of;
use crate::models::{ModelConfig, build};
use crate::nn::{DeviceParams, Forward};
use crate::ops::conv2d::Conv2d;
use crate::ops::gemm::Gemm;
use crate::tape::{Meta, Op, Tape};

const NETWORKS: &[&str] = &["resnet20", "resnet56", "vgg8", "mobilenetv2"];

/// Each shape once, under the network that has it first.
pub fn cases(target: &Target, quick: bool) -> Result<Vec<Case>> {
    let (networks, batch) = if quick { (&NETWORKS[..1], 8) } else { (NETWORKS, 64) };
    let mut seen = Vec::new();
    let mut all = Vec::new();
    for network in networks {
        for (op, metas) in ops_of(target, network, batch)? {
            let Some(name) = name_of(op.as_ref(), &metas) else { continue };
            if !seen.contains(&name) {
                all.extend(passes(network, &name, &case_of(op, metas, 0)));
                seen.push(name);
            }
        }
    }
    Ok(all)
}

fn ops_of(target: &Target, name: &str, batch: usize) -> Result<Vec<(std::rc::Rc<dyn Op>, Vec<Meta>)>> {
    let network = build(name, &ModelConfig { input: [3, 32, 32], classes: 100 })?;
    let params = DeviceParams::frozen(&target.gpu, name, &network.params)?;
    let tape = Tape::new();
    network.forward(&Forward::eval(&tape, &params), &tape.input("images", [batch, 3, 32, 32]))?;
    Ok(tape.ops())
}

/// What a convolution or a linear layer is called; `None` for other ops.
fn name_of(op: &dyn Op, metas: &[Meta]) -> Option<String> {
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
        return Some(format!("conv {} to {c_out} {kh}x{kw}{stride}{groups}", dims(0)?));
    }
    any.downcast_ref::<Gemm>()?;
    Some(format!("linear {} by {}", dims(0)?, dims(1)?))
}
