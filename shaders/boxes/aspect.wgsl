// How far the shapes of boxes a and b differ, row by row: v = (2 / pi (atan(w_b / h_b) - atan(w_a / h_a)))^2; and the
// gradient by a. Symmetric. 0 where a box has a side below LEAST_SIDE.

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> da: array<vec4<f32>>;

const TWO_OVER_PI: f32 = 0.63661977236758134;
const HALF_PI: f32 = 1.5707963267948966;

// WGSL lets atan be off by 4096 units in the last place; Abramowitz and Stegun 4.4.49 is within 2e-8 up to 1.
fn arc_tangent(x: f32) -> f32 {
    let size = abs(x);
    let t = select(size, 1.0 / size, size > 1.0);
    let s = t * t;
    let high = -0.0752896400 + s * (0.0429096138 + s * (-0.0161657367 + s * 0.0028662257));
    let angle = t * (1.0 + s * (-0.3333314528 + s * (0.1999355085 + s * (-0.1420889944 + s * (0.1065626393 + s * high)))));
    return sign(x) * select(angle, HALF_PI - angle, size > 1.0);
}

// A NaN is not.
fn is_empty(p: vec4<f32>, q: vec4<f32>) -> bool {
    return any(p.zw < vec2(LEAST_SIDE)) || any(q.zw < vec2(LEAST_SIDE));
}

// atan(w_p / h_p) - atan(w_q / h_q), by the tangent of the difference: nothing cancels but what is equal. By shares of
// the larger side, so that no product is lost.
fn angle_between(p: vec4<f32>, q: vec4<f32>) -> f32 {
    let s = p.zw / max(p.z, p.w);
    let t = q.zw / max(q.z, q.w);
    return arc_tangent((s.x * t.y - t.x * s.y) / dot(s, t));
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
    let p = a[i];
    let q = b[i];
    if is_empty(p, q) {
        y[i] = 0.0;
        return;
    }
    let turn = TWO_OVER_PI * angle_between(p, q);
    y[i] = turn * turn;
}

@compute @workgroup_size(256)
fn backward_a(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i >= LEN {
        return;
    }
    let p = a[i];
    let q = b[i];
    if is_empty(p, q) {
        da[i] = vec4(0.0);
        return;
    }
    let slope = 2.0 * TWO_OVER_PI * TWO_OVER_PI * angle_between(p, q);
    // The angle of (w, h) turns by (h, -w) / (w^2 + h^2).
    let larger = max(p.z, p.w);
    let s = p.zw / larger;
    let turn = vec2(s.y, -s.x) / dot(s, s) / larger;
    da[i] = dy[i] * slope * vec4(0.0, 0.0, turn);
}
