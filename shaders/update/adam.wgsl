// Adam and AdamW (DECOUPLED) on vec4.

#import update

@group(0) @binding(5) var<storage, read_write> m: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> v: array<vec4<f32>>;

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i >= VEC4S || !counts(i) {
        return;
    }
    let total = norm[0];
    // A gradient that is not finite changes nothing.
    if total.y != 0.0 {
        return;
    }
    let rate = learning_rate();
    let correction_1 = step.scalars[CORRECTION_1_VEC][CORRECTION_1_LANE];
    let correction_2 = step.scalars[CORRECTION_2_VEC][CORRECTION_2_LANE];
    var weight = w[i];
    var g = gradient(i, total.x);
#if DECOUPLED
    weight -= rate * decay(i) * weight;
#else
    g += decay(i) * weight;
#end
    let first = BETA_1 * m[i] + ONE_MINUS_BETA_1 * g;
    let second = BETA_2 * v[i] + ONE_MINUS_BETA_2 * g * g;
    m[i] = first;
    v[i] = second;
    w[i] = weight - rate / correction_1 * first / (sqrt(second / correction_2) + EPS);
}
