// dw += strength * mask * (w - anchor) on vec4; the strength is a step scalar.

@group(0) @binding(0) var<storage, read_write> dw: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> w: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> anchor: array<vec4<f32>>;
// One factor for BLOCK elements.
@group(0) @binding(3) var<storage, read> mask: array<f32>;
@group(0) @binding(4) var<uniform> step: Step;

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i < VEC4S {
        let strength = step.scalars[STRENGTH_VEC][STRENGTH_LANE] * mask[i / (BLOCK / 4u)];
        dw[i] += strength * (w[i] - anchor[i]);
    }
}
