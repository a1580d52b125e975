// y = 1 with the chance p, else 0, drawn for each element and step.

@group(0) @binding(0) var<storage, read> p: array<f32>;
@group(0) @binding(1) var<storage, read> key: array<f32>; // a whole number
@group(0) @binding(2) var<uniform> step: Step;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

// Keeps these draws apart from other uses of the same seed: "chan".
const DOMAIN: u32 = 0x6368616eu;

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i < LEN {
        let bits = random_bits(step.seed_lo, step.seed_hi ^ DOMAIN, pcg(step.step) ^ u32(key[0]), i);
        y[i] = select(0.0, 1.0, f32(bits >> 8u) * (1.0 / 16777216.0) < p[0]);
    }
}
