// y[o, j, i] = x[o, index[o, j, i], i] along one axis, and its gradient.
// Axis 0 is the innermost here. KEEP is 0 for the axis that is indexed, 1 for the others, along which index and y may be
// smaller than x.

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> index: array<i32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
@group(0) @binding(2) var<storage, read_write> cleared: array<vec4<f32>>;

// Where i of index lies in x, with coordinate 0 along the axis.
fn place(i: u32) -> u32 {
    var rest = i;
    var at = 0u;
#repeat a AXES
    at += rest % INDEX_SIZE{a} * X_STRIDE{a} * KEEP{a};
    rest /= INDEX_SIZE{a};
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
    if i >= LEN {
        return;
    }
    let at = index[i];
    // Out of range gives NaN, and reads nothing.
    var value = 0x7fc00000u;
    if at >= 0 && u32(at) < X_AXIS {
        value = x[place(i) + u32(at) * X_AXIS_STRIDE];
    }
    y[i] = value;
}

// An invocation owns SEGMENT places along the axis in one line of dx, and adds to them the dy that were taken
// from there, in ascending order: no atomics, and each index is read by as many invocations as a line has
// segments, not by a whole line.
@compute @workgroup_size(64)
fn backward_x(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 64u + lane;
    if i >= LINES * SEGMENTS {
        return;
    }
    var rest = i % LINES;
    var taken = 0u;
    var line = 0u;
#repeat a AXES
    let size{a} = select(1u, INDEX_SIZE{a}, KEEP{a} == 1u);
    taken += rest % size{a} * INDEX_STRIDE{a};
    line += rest % size{a} * X_STRIDE{a};
    rest /= size{a};
#end
    let first = i / LINES * SEGMENT;
    let places = min(SEGMENT, X_AXIS - first);
    for (var j = 0u; j < INDEX_AXIS; j++) {
        let o = taken + j * INDEX_AXIS_STRIDE;
        // What lies before the segment, or is negative, is a huge unsigned number.
        let place = u32(index[o]) - first;
        if place < places {
            dx[line + (first + place) * X_AXIS_STRIDE] += dy[o];
        }
    }
}

// dx = 0, to add to.
@compute @workgroup_size(256)
fn clear(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i < VEC4S {
        cleared[i] = vec4<f32>();
    }
}
