// Weights (C_OUT, PER) and bias of a convolution with the batch norm behind it folded in. BIAS: there is a
// bias in between. LEN weights, at least one for each channel.

#import norm_fold

@group(0) @binding(0) var<storage, read> weights: array<f32>;
@group(0) @binding(1) var<storage, read_write> folded: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>; // (C_OUT)

@compute @workgroup_size(256)
fn fold(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i < LEN {
        folded[i] = weights[i] * norm_scale(i / PER);
    }
    if i < C_OUT {
#if BIAS
        folded_bias[i] = norm_bias(i, bias[i]);
#else
        folded_bias[i] = norm_bias(i, 0.0);
#end
    }
}
