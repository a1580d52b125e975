// L2 distances of all pairs of COUNT rows of COLUMNS elements, and the gradient. Plain loops: the
// differences are taken before they are squared, so that near and equal rows keep their digits.

@group(0) @binding(0) var<storage, read> x: array<f32>; // (COUNT, COLUMNS)
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // (COUNT, COUNT)
@group(0) @binding(1) var<storage, read> saved_y: array<f32>; // (COUNT, COUNT)
@group(0) @binding(2) var<storage, read> dy: array<f32>; // (COUNT, COUNT)
@group(0) @binding(3) var<storage, read_write> dx: array<f32>; // (COUNT, COLUMNS)

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = flat_workgroup(workgroup, grid) * 256u + lane;
    if at >= LEN {
        return;
    }
    let a = at / COUNT * COLUMNS;
    let b = at % COUNT * COLUMNS;
    var sum = 0.0;
    for (var i = 0u; i < COLUMNS; i++) {
        let d = x[a + i] - x[b + i];
        sum += d * d;
    }
    y[at] = sqrt(sum);
}

@compute @workgroup_size(256)
fn backward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = flat_workgroup(workgroup, grid) * 256u + lane;
    if at >= LEN {
        return;
    }
    let a = at / COLUMNS;
    let column = at % COLUMNS;
    let own = x[at];
    var sum = 0.0;
    for (var b = 0u; b < COUNT; b++) {
        let distance = saved_y[a * COUNT + b];
        if distance > 0.0 {
            // A pair stands twice in y.
            let incoming = dy[a * COUNT + b] + dy[b * COUNT + a];
            sum += incoming * ((own - x[b * COLUMNS + column]) / distance);
        }
    }
    dx[at] = sum;
}
