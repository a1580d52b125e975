// y[i, c] = 1 where labels[i] is c, else 0.

@group(0) @binding(0) var<storage, read> labels: array<i32>; // (N)
@group(0) @binding(1) var<storage, read_write> y: array<f32>; // (N, CLASSES)

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i < LEN {
        y[i] = select(0.0, 1.0, labels[i / CLASSES] == i32(i % CLASSES));
    }
}
