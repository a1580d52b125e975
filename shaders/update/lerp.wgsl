// x += weight * (target - x) on vec4; the weight is a step scalar. With extents (PARTS), where these are not 0.

@group(0) @binding(0) var<storage, read_write> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> towards: array<vec4<f32>>;
#if PARTS
// Of each BLOCK elements how many, from the first, are parameters.
@group(0) @binding(2) var<storage, read> extents: array<u32>;
#end
@group(0) @binding(3) var<uniform> step: Step;

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
#if PARTS
    if i < VEC4S && extents[i / (BLOCK / 4u)] == 0u {
        return;
    }
#end
    if i < VEC4S {
        let before = x[i];
        x[i] = before + step.scalars[WEIGHT_VEC][WEIGHT_LANE] * (towards[i] - before);
    }
}
