// y[o, j, i] = x[o, index[o, j, i], i] along one axis, and its gradient.
// Axis 0 is the innermost here. KEEP is 0 for the axis that is indexed, 1 for the others, along which index and y may be
// smaller than x.

@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> index: array<i32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

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

// Each element of dx adds up the dy along the axis that were taken from it, in ascending order.
@compute @workgroup_size(256)
fn backward_x(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i >= LEN {
        return;
    }
    var rest = i;
    var at = 0u;
    var inside = true;
#repeat a AXES
    let t{a} = rest % X_SIZE{a};
    inside = inside && (KEEP{a} == 0u || t{a} < INDEX_SIZE{a});
    at += t{a} * INDEX_STRIDE{a} * KEEP{a};
    rest /= X_SIZE{a};
#end
    var sum = 0.0;
    if inside {
        let here = i32(i / X_AXIS_STRIDE % max(X_AXIS, 1u));
        for (var j = 0u; j < INDEX_AXIS; j++) {
            let o = at + j * INDEX_AXIS_STRIDE;
            if index[o] == here {
                sum += dy[o];
            }
        }
    }
    dx[i] = sum;
}
