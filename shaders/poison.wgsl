// Fills a buffer with what is NaN as f32 and as two f16 before its next writer, in tests: an element left unwritten shows.

@group(0) @binding(0) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(64)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 64u + lane;
    if i < LEN {
        y[i] = 0x7fff7fffu;
    }
}
