// y = f(x) and dx = dy * f'(x), element by element on vec4.
// f is `activate`.

#import activation

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4<f32>>;

const INV_SQRT_2PI: f32 = 0.39894228040143268;

// 1 - tanh(v)^2 and sigmoid(v) (1 - sigmoid(v)), written so that nothing cancels where they are small.
fn sech2(v: vec4<f32>) -> vec4<f32> {
    return 4.0 * bell(2.0 * v);
}

fn bell(v: vec4<f32>) -> vec4<f32> {
    let e = exp(-abs(v));
    return e / ((1.0 + e) * (1.0 + e));
}

fn derivative(v: vec4<f32>) -> vec4<f32> {
    let zero = vec4(0.0);
    let one = vec4(1.0);
    switch FUNCTION {
        case 0u: { return select(zero, one, v > zero); }
        case 1u: { return select(vec4(PARAMETER), one, v > zero); }
        case 2u: { return select(zero, one, v > zero & v < vec4(6.0)); }
        case 3u: { return 0.5 * (1.0 + erf(v * SQRT_HALF)) + v * INV_SQRT_2PI * exp(-0.5 * v * v); }
        case 4u: {
            let inner = SQRT_2_OVER_PI * (v + 0.044715 * v * v * v);
            let slope = SQRT_2_OVER_PI * (1.0 + 0.134145 * v * v);
            return 0.5 * (1.0 + tanh4(inner)) + 0.5 * v * sech2(inner) * slope;
        }
        case 5u: { return sigmoid(v) + v * bell(v); }
        case 6u: { return select(select((2.0 * v + 3.0) / 6.0, one, v >= vec4(3.0)), zero, v <= vec4(-3.0)); }
        case 7u: { return bell(v); }
        case 8u: { return sech2(v); }
        case 9u: {
            let s = softplus(v);
            return tanh4(s) + v * sech2(s) * sigmoid(v);
        }
        case 10u: { return sigmoid(v); }
        case 11u: { return exp(v); }
        case 12u: { return 1.0 / v; }
        case 13u: { return 0.5 / sqrt(v); }
        case 14u: { return 2.0 * v; }
        case 15u: { return sign(v); }
        case 17u: { return v / (1.0 + v); }
        default: { return zero; }
    }
}

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i < VEC4S {
        y[i] = activate(x[i]);
    }
}

@compute @workgroup_size(256)
fn backward_x(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i < VEC4S {
        dx[i] = dy[i] * derivative(x[i]);
    }
}
