// y = f(x) and dx = dy * f'(x), element by element on vec4.
// FUNCTION chooses f (src/ops/unary.rs); the compiler drops the other cases.

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> dx: array<vec4<f32>>;

const SQRT_HALF: f32 = 0.70710678118654752;
const SQRT_2_OVER_PI: f32 = 0.79788456080286536;
const INV_SQRT_2PI: f32 = 0.39894228040143268;

fn sigmoid(v: vec4<f32>) -> vec4<f32> {
    // exp of a non-positive number only: never overflows.
    let e = exp(-abs(v));
    return select(e, vec4(1.0), v >= vec4(0.0)) / (1.0 + e);
}

fn softplus(v: vec4<f32>) -> vec4<f32> {
    let e = exp(-abs(v));
    // log(1 + e) loses e below the spacing of floats near 1: there log1p(e) is e.
    return max(v, vec4(0.0)) + select(log(1.0 + e), e, e < vec4(1e-4));
}

fn tanh4(v: vec4<f32>) -> vec4<f32> {
    return tanh(clamp(v, vec4(-15.0), vec4(15.0)));
}

// 1 - tanh(v)^2 and sigmoid(v) (1 - sigmoid(v)), written so that nothing cancels where they are small.
fn sech2(v: vec4<f32>) -> vec4<f32> {
    return 4.0 * bell(2.0 * v);
}

fn bell(v: vec4<f32>) -> vec4<f32> {
    let e = exp(-abs(v));
    return e / ((1.0 + e) * (1.0 + e));
}

// Abramowitz and Stegun 7.1.26 has error 1.5e-7: as good as f32 gets for gelu.
fn erf(v: vec4<f32>) -> vec4<f32> {
    let a = abs(v);
    let t = 1.0 / (1.0 + 0.3275911 * a);
    let p = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    return sign(v) * (1.0 - p * exp(-a * a));
}

// v - log(1 + v). Near 0, where it is v^2 / 2 and the difference would cancel, with s = v / (2 + v) by
// log(1 + v) = 2 atanh(s), of which v - 2 s = v s.
fn log_gap(v: vec4<f32>) -> vec4<f32> {
    let s = v / (2.0 + v);
    let q = s * s;
    let rest = 1.0 / 3.0 + q * (1.0 / 5.0 + q * (1.0 / 7.0 + q * (1.0 / 9.0 + q * (1.0 / 11.0))));
    return select(v - log(1.0 + v), s * (v - 2.0 * q * rest), abs(v) < vec4(0.4));
}

fn value(v: vec4<f32>) -> vec4<f32> {
    switch FUNCTION {
        case 0u: { return max(v, vec4(0.0)); }
        case 1u: { return max(v, vec4(0.0)) + PARAMETER * min(v, vec4(0.0)); }
        case 2u: { return clamp(v, vec4(0.0), vec4(6.0)); }
        case 3u: { return 0.5 * v * (1.0 + erf(v * SQRT_HALF)); }
        case 4u: { return 0.5 * v * (1.0 + tanh4(SQRT_2_OVER_PI * (v + 0.044715 * v * v * v))); }
        case 5u: { return v * sigmoid(v); }
        case 6u: { return v * clamp(v + 3.0, vec4(0.0), vec4(6.0)) / 6.0; }
        case 7u: { return sigmoid(v); }
        case 8u: { return tanh4(v); }
        case 9u: { return v * tanh4(softplus(v)); }
        case 10u: { return softplus(v); }
        case 11u: { return exp(v); }
        case 12u: { return log(v); }
        case 13u: { return sqrt(v); }
        case 14u: { return v * v; }
        case 15u: { return abs(v); }
        case 17u: { return log_gap(v); }
        default: { return select(vec4(0.0), vec4(1.0), v > vec4(0.0)); }
    }
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
        y[i] = value(x[i]);
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
