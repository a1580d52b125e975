// y = VALUE with x laid into it: element t of x's axis goes to BEFORE + t * STEP. SPAN is how far x reaches in y.
// Axis 0 is the innermost here. Each invocation writes four consecutive elements.
// VEC4: rows are runs of whole vec4, and all numbers of axis 0 and all strides count vec4.

#if VEC4
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
#else
@group(0) @binding(0) var<storage, read> x: array<f32>;
#end
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;

#if VEC4
fn element(i: u32) -> vec4<f32> {
    var value = vec4<f32>(VALUE);
#else
fn element(i: u32) -> f32 {
    var value = VALUE;
#end
    var rest = i;
    var at = 0u;
    var inside = true;
    // Before x the difference wraps to a huge number: one comparison for both ends.
#repeat a AXES
    let t{a} = rest % SIZE{a} - BEFORE{a};
    inside = inside && t{a} < SPAN{a} && t{a} % STEP{a} == 0u;
    at += t{a} / STEP{a} * STRIDE{a};
    rest /= SIZE{a};
#end
    if inside {
        value = x[at];
    }
    return value;
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
    y[i] = element(i);
#else
    y[i] = vec4(element(4u * i), element(4u * i + 1u), element(4u * i + 2u), element(4u * i + 3u));
#end
}
