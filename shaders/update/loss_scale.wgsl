// Dynamic loss scaling: `unscale` divides gradients by the scale, `update` chooses the next one.

@group(0) @binding(0) var<storage, read_write> dw: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> divisor: array<f32>;

@group(0) @binding(0) var<storage, read_write> scale: array<f32>;
// Steps without an overflow since the scale last changed; steps that overflowed.
@group(0) @binding(1) var<storage, read_write> counts: array<u32>;
// From grad_norm: y is 1 where it is not finite.
#repeat k NORMS
@group(0) @binding(1{k}) var<storage, read> norm{k}: array<vec2<f32>>;
#end

@compute @workgroup_size(256)
fn unscale(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i < VEC4S {
        dw[i] /= divisor[0];
    }
}

@compute @workgroup_size(1)
fn update() {
    var overflows = 0.0;
#repeat k NORMS
    overflows += norm{k}[0].y;
#end
    if overflows != 0.0 {
        scale[0] *= BACKOFF;
        counts[0] = 0u;
        counts[1] += 1u;
        return;
    }
    let good = counts[0] + 1u;
    if good < INTERVAL {
        counts[0] = good;
        return;
    }
    let grown = scale[0] * GROWTH;
    scale[0] = select(scale[0], grown, is_finite(grown));
    counts[0] = 0u;
}
