// The mean of each plane of PLANE elements: average pooling to 1 x 1. ROWS planes.

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read_write> dx: array<vec4<f32>>;

// Where PLANE is a multiple of 4: one invocation a plane, which on planes of this size costs less than any tree.
@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = flat_workgroup(workgroup, grid) * 256u + lane;
    if row >= LEN {
        return;
    }
    var sum = vec4(0.0);
    for (var k = 0u; k < PLANE / 4u; k++) {
        sum += x[row * (PLANE / 4u) + k];
    }
    y[row] = ((sum.x + sum.y) + (sum.z + sum.w)) / f32(PLANE);
}

@compute @workgroup_size(256)
fn backward_x(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i >= VEC4S {
        return;
    }
#if WHOLE
    dx[i] = vec4(dy[4u * i / PLANE] / f32(PLANE));
#else
    let last = ROWS - 1u; // the last vec4 may reach past the last plane
    let rows = min((vec4(4u * i) + vec4(0u, 1u, 2u, 3u)) / PLANE, vec4(last));
    dx[i] = vec4(dy[rows.x], dy[rows.y], dy[rows.z], dy[rows.w]) / f32(PLANE);
#end
}
