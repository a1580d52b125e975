// The rate of f32 multiply-adds: CHAINS independent chains of vec4 in each lane, LINKS links of each a round.

@group(0) @binding(0) var<storage, read> factors: array<f32, 4>;
@group(0) @binding(1) var<storage, read_write> sums: array<vec4<f32>>;

@compute @workgroup_size(LANES)
fn multiply_add(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * LANES + lane;
    // Unknown to the compiler, or it would compute the chains itself.
    let m = vec4<f32>(factors[0]);
    let c = vec4<f32>(factors[1]);
#repeat chain CHAINS
    var a{chain} = vec4<f32>(f32(lane) * 0.01 + f32({chain}u));
#end
    for (var round = 0u; round < ROUNDS; round++) {
#repeat link LINKS
#repeat chain CHAINS
        a{chain} = fma(a{chain}, m, c);
#end
#end
    }
    if i < arrayLength(&sums) {
        var sum = vec4<f32>(0.0);
#repeat chain CHAINS
        sum += a{chain};
#end
        sums[i] = sum;
    }
}
