// y[o] = x[BASE + sum over axes of o_a * STRIDE_a]: slices and permutations, on words of any type.
// Axis 0 is the innermost here. Each invocation writes four consecutive elements.
// VEC4: rows are runs of whole vec4, and SIZE and STRIDE count vec4. ROWS: four elements never cross a row's end.
// BLOCKS: an invocation transposes 4 x 4 elements, four neighbours of y by four neighbours of x. Then SIZE counts blocks, and STRIDE
// and TARGET (the stride in y) vec4; STEP_X and STEP_Y are those of single rows of a block.

#if VEC4
@group(0) @binding(0) var<storage, read> x: array<vec4<u32>>;
#else
@group(0) @binding(0) var<storage, read> x: array<u32>;
#end
@group(0) @binding(1) var<storage, read_write> y: array<vec4<u32>>;

// The remainders keep every index inside x, also those of the padding after the last element.
fn source(i: u32) -> u32 {
    var rest = i;
    var at = BASE;
#repeat a AXES
    at += rest % SIZE{a} * STRIDE{a};
    rest /= SIZE{a};
#end
    return at;
}

#if BLOCKS
@compute @workgroup_size(256)
fn blocks(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i >= LEN {
        return;
    }
    var rest = i;
    var from_x = BASE;
    var to_y = 0u;
#repeat a AXES
    from_x += rest % SIZE{a} * STRIDE{a};
    to_y += rest % SIZE{a} * TARGET{a};
    rest /= SIZE{a};
#end
    let a = x[from_x];
    let b = x[from_x + STEP_X];
    let c = x[from_x + 2u * STEP_X];
    let d = x[from_x + 3u * STEP_X];
    y[to_y] = vec4(a.x, b.x, c.x, d.x);
    y[to_y + STEP_Y] = vec4(a.y, b.y, c.y, d.y);
    y[to_y + 2u * STEP_Y] = vec4(a.z, b.z, c.z, d.z);
    y[to_y + 3u * STEP_Y] = vec4(a.w, b.w, c.w, d.w);
}
#else
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
#if VEC4
    y[i] = x[source(i)];
#elif ROWS
    let at = source(4u * i);
    y[i] = vec4(x[at], x[at + STRIDE0], x[at + 2u * STRIDE0], x[at + 3u * STRIDE0]);
#else
    let at = 4u * i;
    y[i] = vec4(x[source(at)], x[source(at + 1u)], x[source(at + 2u)], x[source(at + 3u)]);
#end
}
#end
