// w -= rate * update, with momentum or Nesterov momentum, on vec4.

#import update

@group(0) @binding(5) var<storage, read_write> velocity: array<vec4<f32>>;

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
    let before = w[i];
    var g = gradient(i, total.x) + decay(i) * before;
#if MOMENTUM_ON
    let v = MOMENTUM * velocity[i] + g;
    velocity[i] = v;
#if NESTEROV
    g += MOMENTUM * v;
#else
    g = v;
#end
#end
    w[i] = before - learning_rate() * g;
}
