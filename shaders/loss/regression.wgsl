// Mean over all elements of f(x, target), and its gradients. FUNCTION chooses f (src/ops/loss/regression.rs).
// VECTOR and SHARED of rows are set. GROUPS workgroups sum in a fixed order; where there is one, it writes the loss.

#import rows

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> wanted: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> dy: array<f32>; // (1)
@group(0) @binding(3) var<storage, read_write> gradient: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> partials: array<f32>; // (GROUPS)
@group(0) @binding(4) var<storage, read> finished: array<f32>; // (GROUPS)
@group(0) @binding(5) var<storage, read_write> loss: array<f32>; // (1)

fn value(v: vec4<f32>, t: vec4<f32>) -> vec4<f32> {
    let d = v - t;
    let a = abs(d);
    switch FUNCTION {
        case 0u: { return d * d; }
        case 1u: { return a; }
        case 2u: { return select(a - 0.5 * BETA, 0.5 * d * d / BETA, a < vec4(BETA)); }
        default: {
            // exp of a non-positive number only; log(1 + e) loses a small e, for which it is e.
            let e = exp(-abs(v));
            return max(v, vec4(0.0)) - v * t + select(log(1.0 + e), e, e < vec4(1e-4));
        }
    }
}

// Derivative by x, or by the target where BY_TARGET.
fn derivative(v: vec4<f32>, t: vec4<f32>) -> vec4<f32> {
    let d = v - t;
    var by_x: vec4<f32>;
    switch FUNCTION {
        case 0u: { by_x = 2.0 * d; }
        case 1u: { by_x = sign(d); }
        case 2u: { by_x = select(sign(d), d / BETA, abs(d) < vec4(BETA)); }
        default: {
#if BY_TARGET
            return -v;
#else
            let e = exp(-abs(v));
            return select(e, vec4(1.0), v >= vec4(0.0)) / (1.0 + e) - t;
#end
        }
    }
#if BY_TARGET
    return -by_x;
#else
    return by_x;
#end
}

@compute @workgroup_size(WORKGROUP)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let group = flat_workgroup(workgroup, grid);
    var sum = vec4(0.0);
    for (var i = group * WORKGROUP + lane; i < VEC4S; i += GROUPS * WORKGROUP) {
        // What lies in the padding of the last vec4 is not part of the tensor.
        let inside = vec4(4u * i) + vec4(0u, 1u, 2u, 3u) < vec4(LEN);
        sum += select(vec4(0.0), value(x[i], wanted[i]), inside);
    }
    let total = elem_sum(group_sum(sum, lane));
    if lane == 0u {
#if SINGLE
        loss[0] = total / f32(LEN);
#else
        partials[group] = total;
#end
    }
}

@compute @workgroup_size(WORKGROUP)
fn finish(@builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var i = lane; i < GROUPS; i += WORKGROUP) {
        sum += finished[i];
    }
    let total = group_sum(vec4(sum, 0.0, 0.0, 0.0), lane).x;
    if lane == 0u {
        loss[0] = total / f32(LEN);
    }
}

@compute @workgroup_size(WORKGROUP)
fn backward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * WORKGROUP + lane;
    if i < VEC4S {
        gradient[i] = derivative(x[i], wanted[i]) * (dy[0] / f32(LEN));
    }
}
