// y[o] = x[BASE + sum over axes of o_a * STRIDE_a]: slices and permutations, on words of any type.
// Axis 0 is the innermost here. Each invocation writes four consecutive elements.
// VEC4: rows are runs of whole vec4, and SIZE and STRIDE count vec4. ROWS: four elements never cross a row's end.

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
#else
#if ROWS
    let at = source(4u * i);
    y[i] = vec4(x[at], x[at + STRIDE0], x[at + 2u * STRIDE0], x[at + 3u * STRIDE0]);
#else
    let at = 4u * i;
    y[i] = vec4(x[source(at)], x[source(at + 1u)], x[source(at + 2u)], x[source(at + 3u)]);
#end
#end
}
