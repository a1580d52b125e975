// The rate of f32 multiply-adds: four independent chains of vec4 in each lane, 8 links each a round.

@group(0) @binding(0) var<storage, read> factors: array<vec4<f32>, 2>;
@group(0) @binding(1) var<storage, read_write> sums: array<vec4<f32>>;

@compute @workgroup_size(LANES)
fn multiply_add(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * LANES + lane;
    // Unknown to the compiler, or it would compute the chains itself.
    let m = factors[0];
    let c = factors[1];
    var a0 = vec4<f32>(f32(lane) * 0.01);
    var a1 = a0 + m;
    var a2 = a1 + m;
    var a3 = a2 + m;
    for (var round = 0u; round < ROUNDS; round++) {
#repeat link 8
        a0 = fma(a0, m, c);
        a1 = fma(a1, m, c);
        a2 = fma(a2, m, c);
        a3 = fma(a3, m, c);
#end
    }
    if i < arrayLength(&sums) {
        sums[i] = a0 + a1 + a2 + a3;
    }
}
