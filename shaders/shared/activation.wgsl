// f(v) of an element-wise function. FUNCTION chooses f (src/ops/unary.rs), PARAMETER is its number; the compiler drops the
// other cases.

const SQRT_HALF: f32 = 0.70710678118654752;
const SQRT_2_OVER_PI: f32 = 0.79788456080286536;

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

// Abramowitz and Stegun 7.1.26 has error 1.5e-7: as good as f32 gets for gelu.
fn erf(v: vec4<f32>) -> vec4<f32> {
    let a = abs(v);
    let t = 1.0 / (1.0 + 0.3275911 * a);
    let p = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
    return sign(v) * (1.0 - p * exp(-a * a));
}

// v - log(1 + v). Near 0, where it is v^2 / 2 and the difference would cancel, with s = v / (2 + v) by
// log(1 + v) = 2 atanh(s), of which v - 2 s = v s.
fn x_minus_log1p(v: vec4<f32>) -> vec4<f32> {
    let s = v / (2.0 + v);
    let q = s * s;
    let rest = 1.0 / 3.0 + q * (1.0 / 5.0 + q * (1.0 / 7.0 + q * (1.0 / 9.0 + q * (1.0 / 11.0))));
    return select(v - log(1.0 + v), s * (v - 2.0 * q * rest), abs(v) < vec4(0.4));
}

fn activate(v: vec4<f32>) -> vec4<f32> {
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
        case 17u: { return x_minus_log1p(v); }
        default: { return select(vec4(0.0), vec4(1.0), v > vec4(0.0)); }
    }
}
