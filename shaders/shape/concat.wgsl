// Copies one input of a concatenation to its place: each row of X_ROW elements goes to OFFSET in a row of Y_ROW.
// LEN elements in all. With VEC4 the numbers count vec4.

#if VEC4
@group(0) @binding(0) var<storage, read> x: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<u32>>;
#else
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
#end

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i < LEN {
        y[i / X_ROW * Y_ROW + OFFSET + i % X_ROW] = x[i];
    }
}
