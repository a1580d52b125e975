// y = f(a, b) under broadcasting. One invocation writes one vec4 of y.
// FUNCTION chooses f (src/ops/binary.rs). How an operand is read: WHOLE, it has y's shape; ROW, its last dimension is
// y's, a multiple of 4; SPLAT, the four elements of y share one of it; else four single loads.

#if A_VEC4
@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
#else
@group(0) @binding(0) var<storage, read> a: array<f32>;
#end
#if B_VEC4
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
#else
@group(0) @binding(1) var<storage, read> b: array<f32>;
#end
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

fn offset_a(i: u32) -> u32 {
    var offset = i / A_OUTER_PITCH * A_OUTER_STRIDE;
#repeat d A_INNER
    offset += i / A_PITCH{d} % A_SIZE{d} * A_STRIDE{d};
#end
    return offset;
}

fn offset_b(i: u32) -> u32 {
    var offset = i / B_OUTER_PITCH * B_OUTER_STRIDE;
#repeat d B_INNER
    offset += i / B_PITCH{d} % B_SIZE{d} * B_STRIDE{d};
#end
    return offset;
}

fn load_a(i: u32) -> vec4<f32> {
#if A_WHOLE
    return a[i];
#elif A_VEC4
    return a[offset_a(4u * i) / 4u];
#elif A_SPLAT
    return vec4(a[offset_a(4u * i)]);
#else
    // Past the end, in the padding, the last element again.
    let at = min(vec4(4u * i) + vec4(0u, 1u, 2u, 3u), vec4(LEN - 1u));
    return vec4(a[offset_a(at.x)], a[offset_a(at.y)], a[offset_a(at.z)], a[offset_a(at.w)]);
#end
}

fn load_b(i: u32) -> vec4<f32> {
#if B_WHOLE
    return b[i];
#elif B_VEC4
    return b[offset_b(4u * i) / 4u];
#elif B_SPLAT
    return vec4(b[offset_b(4u * i)]);
#else
    let at = min(vec4(4u * i) + vec4(0u, 1u, 2u, 3u), vec4(LEN - 1u));
    return vec4(b[offset_b(at.x)], b[offset_b(at.y)], b[offset_b(at.z)], b[offset_b(at.w)]);
#end
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
    switch FUNCTION {
        case 0u: { y[i] = load_a(i) + load_b(i); }
        case 1u: { y[i] = load_a(i) - load_b(i); }
        case 2u: { y[i] = load_a(i) * load_b(i); }
        default: { y[i] = load_a(i) / load_b(i); }
    }
}
