//! Which engine a device takes, and what the kernels for cooperative matrices are translated to.

use super::*;
use crate::gpu::{Matrices, store_as_half};
use crate::ops::conv::conv2d::Conv2d;
use crate::ops::function::Function;

#[path = "../../../tests/common/translate.rs"]
mod translate;

const GEMM: &str = include_str!("../../../shaders/gemm/gemm.wgsl");

/// A GPU with subgroups of 32 and these matrices.
fn caps(matrices: Option<Matrices>) -> Caps {
    Caps {
        name: "made up".into(),
        backend: "vulkan".into(),
        driver: String::new(),
        is_cpu: false,
        subgroup_size: Some(32),
        max_binding_bytes: 1 << 30,
        max_workgroups: 65_535,
        storage_alignment: 256,
        timestamps: true,
        f16: true,
        pairs: false,
        tile: TileVariant::Workgroup,
        matrices,
    }
}

/// What a device of Apple has, one of NVIDIA, and one of another maker with both.
fn kinds() -> [Matrices; 3] {
    let kind = |full, half, lanes| Matrices { full, half, lanes, emulated: false };
    [kind(Some(8), Some(8), 32), kind(None, Some(16), 32), kind(Some(8), Some(16), 64)]
}

fn gemm([batch, m, n, k]: [usize; 4], trans_a: bool, trans_b: bool) -> Job {
    let along = |k_contiguous| {
        if k_contiguous { VectorAxis::K { vec4: false } } else { VectorAxis::Other { vec4: false } }
    };
    let shared = ("SHARED_B", batch > 1 && !trans_b);
    let flags = [("TRANS_A", trans_a), ("TRANS_B", trans_b), shared, ("PACKED_B", false)];
    Job {
        name: "gemm",
        loader: GEMM,
        defines: flags.map(|(name, on)| (name, on as usize)).to_vec(),
        m,
        n,
        k,
        batch,
        a: along(!trans_a),
        b: along(trans_b),
        out_n4: n.is_multiple_of(4),
        bias: Bias::None,
        epilogue: Epilogue::default(),
    }
}

/// Products whose sizes fit no tile, and convolutions with groups, strides and dilations.
fn painful() -> Vec<Job> {
    let all = Epilogue { residual: true, activation: Some(Function::LeakyRelu(0.1)) };
    let mut jobs = vec![
        gemm([1, 1, 1, 1], false, false),
        gemm([3, 7, 9, 13], true, false),
        gemm([1, 65, 130, 257], false, true),
        gemm([1, 64, 64, 4096], true, true),
        Job { bias: Bias::Column, epilogue: all, ..gemm([1, 33, 100, 300], false, false) },
        Job { bias: Bias::Row, ..gemm([2, 100, 33, 17], false, false) },
    ];
    let conv = Conv2d { stride: [2, 1], padding: [1, 2], dilation: [1, 2], groups: 2 };
    let s = conv.sizes(&[3, 6, 13, 11], &[10, 3, 3, 3]).unwrap();
    let (outputs, inputs, taps) = (3 * s.out[0] * s.out[1], 3 * 13 * 11, 9);
    jobs.push(Job { bias: Bias::Row, epilogue: all, ..s.job("FORWARD", 5, outputs, 3 * taps) });
    jobs.push(s.job("BACKWARD_X", 3, inputs, 5 * taps));
    jobs.push(s.job("BACKWARD_W", 5, 3 * taps, outputs));
    jobs
}

fn names(job: &Job, caps: &Caps, half: bool) -> Vec<String> {
    job.cuts(caps, half).iter().map(Cut::name).collect()
}

fn of_matrices(names: &[String]) -> Vec<&String> {
    names.iter().filter(|name| name.starts_with("matrix")).collect()
}

#[test]
fn matrices_are_taken_only_where_they_were_asked_for() {
    let [apple, nvidia, other] = kinds();
    let large = gemm([1, 512, 512, 512], false, false);
    let plain = names(&large, &caps(None), false);
    assert!(of_matrices(&plain).is_empty() && plain[0].starts_with("workgroup"), "{plain:?}");
    assert_eq!(plain, names(&large, &caps(None), true));
    for (matrices, half, wanted) in [
        (apple, false, Some("of f32 8x8")),
        (apple, true, Some("of f16 8x8")),
        (nvidia, false, None),
        (nvidia, true, Some("of f16 16x16")),
        (other, false, Some("of f32 8x8")),
        (other, true, Some("of f16 16x16")),
    ] {
        let offered = names(&large, &caps(Some(matrices)), half);
        match wanted {
            Some(kind) => {
                let default = &offered[0];
                assert!(default.starts_with("matrix 64x64") && default.contains(kind), "{offered:?}");
                // The other engines stay, for the tuner.
                assert!(offered.iter().any(|name| name.starts_with("workgroup")), "{offered:?}");
            }
            None => assert_eq!(offered, plain),
        }
    }
}

#[test]
fn a_job_that_no_tile_suits_offers_the_smallest_behind_the_default() {
    for matrices in kinds() {
        for size in [1, 3] {
            let job = gemm([1, size, size, 40], false, false);
            let (with, plain) = (names(&job, &caps(Some(matrices)), true), names(&job, &caps(None), true));
            assert_eq!(with[0], plain[0]);
            let found = of_matrices(&with);
            assert_eq!(found.len(), 1, "{with:?}");
        }
    }
}

/// Bytes that a kernel has in workgroup memory.
fn workgroup_bytes(source: &str) -> u32 {
    let module = naga::front::wgsl::parse_str(source).unwrap();
    let shared = module.global_variables.iter().filter(|(_, v)| v.space == naga::AddressSpace::WorkGroup);
    shared.map(|(_, v)| module.types[v.ty].inner.size(module.to_ctx())).sum()
}

#[test]
fn the_kernels_translate_to_what_vulkan_and_metal_take() {
    let mut seen = 0;
    for (job, matrices, half) in painful()
        .iter()
        .flat_map(|job| kinds().into_iter().flat_map(move |kind| [false, true].map(|half| (job, kind, half))))
    {
        for cut in job.cuts(&caps(Some(matrices)), half) {
            let Engine::Matrix(_) = cut.engine else { continue };
            let (name, kernel) = (cut.name(), job.kernel(&cut));
            let source = kernel.source().unwrap();
            translate::translate(&source, "tile").unwrap_or_else(|error| panic!("{name}: {error}\n{source}"));
            // What every WebGPU device has.
            let bytes = workgroup_bytes(&source);
            assert!(bytes <= 16_384, "{name} takes {bytes} bytes of workgroup memory");
            // A and B as f16, or C alone, which comes third where there is no bias.
            let masks: &[u32] = if half { &[0b011, 0b111] } else { &[0b001, 0b100] };
            for &mask in masks {
                let text = store_as_half(&source, "tile", mask, &name).unwrap();
                assert!(text.contains("coopMultiplyAdd") && text.contains("enable f16;"), "{text}");
                translate::translate(&text, "tile").unwrap_or_else(|error| panic!("{name}: {error}\n{text}"));
            }
            seen += 1;
        }
    }
    assert!(seen > 50, "only {seen} kernels were made");
}

/// A matrix straight from a tensor would be f16 where the kernel says f32.
#[test]
fn a_matrix_loaded_from_a_tensor_is_not_derived() {
    let source = "
        enable wgpu_cooperative_matrix;
        @group(0) @binding(0) var<storage, read> x: array<f32>;
        @group(0) @binding(1) var<storage, read_write> y: array<f32>;
        @compute @workgroup_size(32) fn tile() {
            let c = coopLoadT<coop_mat8x8<f32, C>>(&x[0], 8u);
            coopStoreT(c, &y[0], 8u);
        }";
    translate::translate(source, "tile").unwrap();
    for mask in [1, 2] {
        let refused = store_as_half(source, "tile", mask, "test/tile").unwrap_err().to_string();
        assert!(refused.contains("test/tile") && refused.to_lowercase().contains("cooperative"), "{refused}");
    }
}
