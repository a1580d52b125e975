// y = FACTOR * x, repeated along some dimensions. One invocation writes one vec4 of y. ROW: four neighbours of y are
// neighbours in x; SPLAT: they are one element of x; else four single loads.

#if ROW
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
#else
@group(0) @binding(0) var<storage, read> x: array<f32>;
#end
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;

fn offset_x(i: u32) -> u32 {
    var offset = i / X_OUTER_PITCH * X_OUTER_STRIDE;
#repeat d X_INNER
    offset += i / X_PITCH{d} % X_SIZE{d} * X_STRIDE{d};
#end
    return offset;
}

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i >= VEC4S {
        return;
    }
#if ROW
    y[i] = FACTOR * x[offset_x(4u * i) / 4u];
#elif SPLAT
    y[i] = vec4(FACTOR * x[offset_x(4u * i)]);
#else
    // Past the end, in the padding, the last element again.
    let at = min(vec4(4u * i) + vec4(0u, 1u, 2u, 3u), vec4(LEN - 1u));
    y[i] = FACTOR * vec4(x[offset_x(at.x)], x[offset_x(at.y)], x[offset_x(at.z)], x[offset_x(at.w)]);
#end
}
