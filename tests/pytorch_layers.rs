//! Every case of tests/fixtures/layers.json: what PyTorch computes forward, and the gradients it gives for the case's
//! cotangent, through the tape and a plan on the adapter that LIMBECK_BACKEND and LIMBECK_ADAPTER choose.
//!
//! LIMBECK_CASES=conv2d_s2 runs only the cases whose names start so.

mod common;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use common::fixture::{Fixture, mismatch};
use limbeck::gpu::Gpu;
use limbeck::ops::conv2d::Conv2d;
use limbeck::ops::cross_entropy::CrossEntropy;
use limbeck::ops::kl_div::KlReduction;
use limbeck::ops::pool::Pool;
use limbeck::tape::{Plan, Step, Tape, Tensor};
use serde_json::Value;

/// A case's settings. All of them must be asked for: one that the harness overlooks is one that it does not test.
struct Config<'a> {
    json: &'a serde_json::Map<String, Value>,
    asked: RefCell<BTreeSet<String>>,
}

impl<'a> Config<'a> {
    fn get(&self, key: &str) -> &'a Value {
        self.asked.borrow_mut().insert(key.to_string());
        self.json.get(key).unwrap_or_else(|| panic!("no setting {key}"))
    }

    fn float(&self, key: &str) -> f32 {
        self.get(key).as_f64().unwrap() as f32
    }

    fn int(&self, key: &str) -> usize {
        self.get(key).as_u64().unwrap() as usize
    }

    fn flag(&self, key: &str) -> bool {
        self.get(key).as_bool().unwrap()
    }

    fn pair(&self, key: &str) -> [usize; 2] {
        sizes(self.get(key)).try_into().unwrap()
    }

    fn unasked(&self) -> Vec<&String> {
        self.json.keys().filter(|&key| !self.asked.borrow().contains(key)).collect()
    }
}

fn sizes(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect()
}

/// A case's inputs by their short names: `x`, `weight`.
struct Inputs {
    tape: Tape,
    tensors: BTreeMap<String, Tensor>,
}

impl Inputs {
    fn get(&self, name: &str) -> &Tensor {
        self.optional(name).unwrap_or_else(|| panic!("no input {name}"))
    }

    fn optional(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// An input that may be absent, with the value that then stands for it.
    fn or_constant(&self, name: &str, shape: &[usize], value: f32) -> Tensor {
        let constant = || self.tape.constant(shape, &vec![value; shape.iter().product()]).unwrap();
        self.optional(name).cloned().unwrap_or_else(constant)
    }
}

/// Records the op as limbeck spells it; its outputs in the fixture's order. An op that is not here is an error.
fn record(op: &str, i: &Inputs, c: &Config<'_>) -> Result<Vec<Tensor>, String> {
    let y = match op {
        "batch_norm" => return batch_norm(i, c).map_err(|e| e.to_string()),
        "relu" | "leaky_relu" | "relu6" | "gelu" | "silu" | "hardswish" | "sigmoid" | "tanh" | "mish"
        | "softplus" => activation(op, i.get("x"), c),
        "cross_entropy" | "kl_div" | "mse" | "l1" | "smooth_l1" | "cosine" | "bce_with_logits" => {
            loss(op, i, c)
        }
        "max_pool" | "avg_pool" | "adaptive_avg_pool" | "global_avg_pool" | "upsample" => {
            resize(op, i.get("x"), c)
        }
        "conv2d" => {
            let (stride, padding) = (c.pair("stride"), c.pair("padding"));
            let config = Conv2d { stride, padding, dilation: c.pair("dilation"), groups: c.int("groups") };
            i.get("x").conv2d(i.get("weight"), i.optional("bias"), config)
        }
        "linear" => i.get("x").linear(i.get("weight"), i.optional("bias")),
        "matmul" | "bmm" => i.get("a").gemm(i.get("b"), c.flag("transpose_a"), c.flag("transpose_b")),
        "layer_norm" => {
            let shape = sizes(c.get("normalized_shape"));
            let (gamma, beta) = (i.or_constant("weight", &shape, 1.0), i.or_constant("bias", &shape, 0.0));
            i.get("x").layer_norm(&gamma, &beta, c.float("eps"))
        }
        "softmax" => i.get("x").softmax(c.int("dim")),
        "log_softmax" => i.get("x").log_softmax(c.int("dim")),
        "gather" => i.get("x").gather(c.int("dim"), i.get("index")),
        "pad" => {
            let pads = c.get("pads").as_array().unwrap().iter().map(|p| (sizes(p)[0], sizes(p)[1]));
            i.get("x").pad(&pads.collect::<Vec<_>>(), c.float("value"))
        }
        "concat" => {
            let all: Vec<&Tensor> = (0..i.tensors.len()).map(|n| i.get(&format!("x{n}"))).collect();
            Tensor::concat(&all, c.int("dim"))
        }
        other => return Err(format!("this test does not know the op {other}")),
    };
    y.map(|y| vec![y]).map_err(|e| e.to_string())
}

fn batch_norm(i: &Inputs, c: &Config<'_>) -> limbeck::Result<Vec<Tensor>> {
    let (gamma, beta) = (i.get("weight"), i.get("bias"));
    let (mean, var) = (i.get("running_mean"), i.get("running_var"));
    let (momentum, eps) = (c.float("momentum"), c.float("eps"));
    Ok(if c.flag("training") {
        let y = i.get("x").batch_norm_train(gamma, beta, mean, var, momentum, eps)?;
        // Updated where they lie.
        vec![y, mean.clone(), var.clone()]
    } else {
        vec![i.get("x").batch_norm_eval(gamma, beta, mean, var, eps)?]
    })
}

fn activation(op: &str, x: &Tensor, c: &Config<'_>) -> limbeck::Result<Tensor> {
    match op {
        "relu" => x.relu(),
        "leaky_relu" => x.leaky_relu(c.float("negative_slope")),
        "relu6" => x.relu6(),
        "gelu" => match c.get("approximate").as_str().unwrap() {
            "none" => x.gelu(),
            "tanh" => x.gelu_tanh(),
            other => panic!("gelu {other}"),
        },
        "silu" => x.silu(),
        "hardswish" => x.hardswish(),
        "sigmoid" => x.sigmoid(),
        "tanh" => x.tanh(),
        "mish" => x.mish(),
        "softplus" => x.softplus(),
        other => panic!("{other}"),
    }
}

fn resize(op: &str, x: &Tensor, c: &Config<'_>) -> limbeck::Result<Tensor> {
    let pool = || Pool::new(c.pair("kernel_size"), c.pair("stride"), c.pair("padding"));
    match op {
        "max_pool" => x.max_pool2d(&pool()),
        "avg_pool" => x.avg_pool2d(&pool(), c.flag("count_include_pad")),
        "adaptive_avg_pool" => x.adaptive_avg_pool2d(c.pair("output_size")),
        "global_avg_pool" => x.global_avg_pool(),
        "upsample" => match (c.get("mode").as_str().unwrap(), c.get("align_corners").as_bool()) {
            ("nearest", None) => x.upsample_nearest(c.pair("size")),
            ("bilinear", Some(align_corners)) => x.upsample_bilinear(c.pair("size"), align_corners),
            other => panic!("upsample {other:?}"),
        },
        other => panic!("{other}"),
    }
}

fn loss(op: &str, i: &Inputs, c: &Config<'_>) -> limbeck::Result<Tensor> {
    match op {
        "cross_entropy" => cross_entropy(i, c),
        "kl_div" => i.get("student").kl_div(i.get("teacher"), c.float("temperature"), KlReduction::BatchMean),
        "mse" => i.get("x").mse_loss(i.get("target")),
        "l1" => i.get("x").l1_loss(i.get("target")),
        "smooth_l1" => i.get("x").smooth_l1_loss(i.get("target"), c.float("beta")),
        "cosine" => {
            // limbeck has no other: over everything but N, and PyTorch's default.
            assert_eq!((c.int("dim"), c.get("eps").as_f64()), (1, Some(1e-8)));
            i.get("x").cosine_loss(i.get("target"))
        }
        "bce_with_logits" => i.get("x").bce_with_logits(i.get("target")),
        other => panic!("{other}"),
    }
}

fn cross_entropy(i: &Inputs, c: &Config<'_>) -> limbeck::Result<Tensor> {
    let (logits, smoothing) = (i.get("logits"), c.float("label_smoothing"));
    let ignored = c.get("ignore_index").as_i64();
    match i.optional("soft_targets") {
        // Soft targets are smoothed like any other, by the caller.
        Some(targets) => {
            let classes = targets.dims()[1] as f32;
            logits.soft_cross_entropy(&targets.scale(1.0 - smoothing)?.add_scalar(smoothing / classes)?)
        }
        None => {
            let ignore_label = ignored.map_or(-100, |label| label as i32);
            logits.cross_entropy(i.get("labels"), &CrossEntropy { label_smoothing: smoothing, ignore_label })
        }
    }
}

/// What differs from PyTorch, in words.
fn run(gpu: &Gpu, fixture: &Fixture, case: &Value) -> Result<Vec<String>, String> {
    let keys = |name: &str| case[name].as_array().unwrap().iter().map(|k| k.as_str().unwrap());
    let pairs = |name: &str| case[name].as_object().unwrap().iter().map(|(k, v)| (k, v.as_str().unwrap()));
    let short = |key: &str| key.rsplit_once('/').unwrap().1.to_string();
    let (tape, mut tensors) = (Tape::new(), BTreeMap::new());
    for key in keys("inputs") {
        let shape = fixture.shape(key).to_vec();
        let tensor = match (fixture.is_i32(key), case["grads"][key].is_string()) {
            (true, _) => tape.input_i32(key, shape),
            (false, true) => tape.variable(key, shape),
            (false, false) => tape.input(key, shape),
        };
        tensors.insert(short(key), tensor);
    }
    let inputs = Inputs { tape: tape.clone(), tensors };
    let config = Config { json: case["config"].as_object().unwrap(), asked: RefCell::default() };
    let recorded = record(case["op"].as_str().unwrap(), &inputs, &config)?;
    if !config.unasked().is_empty() {
        return Err(format!("settings that this test overlooks: {:?}", config.unasked()));
    }
    let outputs: Vec<(&str, &Tensor)> = keys("outputs").zip(&recorded).collect();
    assert_eq!(outputs.len(), recorded.len(), "outputs");

    // The gradient of sum(y * cotangent) by y is the cotangent.
    let mut gradients = Vec::new();
    for (key, cotangent) in pairs("cotangents") {
        let (_, y) = outputs.iter().find(|(output, _)| output == key).ok_or("a cotangent of no output")?;
        let sum = |y: &Tensor| {
            let cotangent = tape.constant(y.shape().clone(), &fixture.f32s(cotangent))?;
            let product = y.mul(&cotangent)?;
            product.sum(&(0..y.dims().len()).collect::<Vec<_>>(), false)?.backward()
        };
        let all = sum(y).map_err(|e| format!("backward: {e}"))?;
        for (input, want) in pairs("grads") {
            let gradient = all.get(inputs.get(&short(input)));
            gradients.push((want, gradient.map_err(|e| format!("{input}: {e}"))?.clone()));
        }
    }
    let mut checked = outputs;
    checked.extend(gradients.iter().map(|(key, gradient)| (*key, gradient)));
    let kept: Vec<&Tensor> = checked.iter().map(|(_, tensor)| *tensor).collect();
    let plan = Plan::new(gpu, &tape, &kept).map_err(|e| e.to_string())?;
    for key in keys("inputs") {
        plan.write_bytes(inputs.get(&short(key)), fixture.bytes(key)).map_err(|e| e.to_string())?;
    }
    plan.run(&Step::new(0, 1)).map_err(|e| e.to_string())?;

    let tol = case["tol"].as_f64().unwrap();
    let mut failures = Vec::new();
    for (key, tensor) in checked {
        let name = short(key);
        // A loss is [] in PyTorch and [1] here.
        let scalar = fixture.shape(key).is_empty() && tensor.dims() == [1];
        if fixture.shape(key) != tensor.dims() && !scalar {
            failures.push(format!("{name}: shape {}, expected {:?}", tensor.shape(), fixture.shape(key)));
        }
        let got = plan.read_f32(tensor).map_err(|e| e.to_string())?;
        failures.extend(mismatch(&got, &fixture.f32s(key), tol).map(|words| format!("{name}{words}")));
    }
    Ok(failures)
}

#[test]
fn every_layer_computes_what_pytorch_computes() {
    let (gpu, fixture) = (common::gpu(), Fixture::load("layers"));
    let only = std::env::var("LIMBECK_CASES").ok();
    let mut failed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let (mut ran, mut bad) = (0, 0);
    for case in fixture.json["cases"].as_array().unwrap() {
        let (name, op) = (case["name"].as_str().unwrap(), case["op"].as_str().unwrap());
        if only.as_deref().is_some_and(|only| !name.starts_with(only)) {
            continue;
        }
        ran += 1;
        let failures = run(&gpu, &fixture, case).unwrap_or_else(|error| vec![error]);
        bad += usize::from(!failures.is_empty());
        failed.entry(op.to_string()).or_default().extend(failures.iter().map(|f| format!("{name}: {f}")));
    }
    failed.retain(|_, failures| !failures.is_empty());
    let list = failed.iter().map(|(op, failures)| format!("{op}\n    {}", failures.join("\n    ")));
    assert!(bad == 0, "{bad} of {ran} cases failed:\n{}", list.collect::<Vec<_>>().join("\n"));
    assert!(ran == 162 || only.is_some(), "{ran} cases ran");
}
