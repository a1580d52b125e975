// Shared by every kernel. Unused functions are dropped by the compiler.

// What changes every step; `Step` in src/tape/step.rs writes it.
struct Step {
    step: u32,
    seed_lo: u32,
    seed_hi: u32,
    epoch: u32,
    scalars: array<vec4<f32>, 8>,
}

// Flat index of a workgroup in a grid that Grid::linear folded into two dimensions. A long dispatch is split into several
// of one kernel with different FIRST_WORKGROUP, so no kernel may know its workgroup by anything else.
fn flat_workgroup(workgroup: vec3<u32>, grid: vec3<u32>) -> u32 {
    return FIRST_WORKGROUP + workgroup.x + workgroup.y * grid.x;
}

// PCG-RXS-M-XS 32 (Jarzynski and Olano, JCGT 2020), the same as src/rng.rs.
fn pcg(value: u32) -> u32 {
    let state = value * 747796405u + 2891336453u;
    let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
    return (word >> 22u) ^ word;
}

// 32 random bits for a counter under a three-word key.
fn random_bits(key_a: u32, key_b: u32, key_c: u32, counter: u32) -> u32 {
    return pcg(counter ^ pcg(key_c ^ pcg(key_b ^ pcg(key_a))));
}

// Exponent bits decide: `x != x` may be optimised away.
fn is_finite(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}
