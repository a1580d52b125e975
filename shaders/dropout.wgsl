// y = x * (0 or SCALE) on vec4, drawn for each element and step. The draw is not stored: the gradient is the same map of
// dy under the same key.

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> key: array<f32>; // a whole number
@group(0) @binding(2) var<uniform> step: Step;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;

// Keeps these draws apart from other uses of the same seed: "drop".
const DOMAIN: u32 = 0x64726f70u;

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i < VEC4S {
        let key_c = pcg(step.step) ^ u32(key[0]);
        var factor = vec4(SCALE);
#repeat c 4
        if random_bits(step.seed_lo, step.seed_hi ^ DOMAIN, key_c, 4u * i + {c}u) < DROP_BELOW {
            factor[{c}] = 0.0;
        }
#end
        y[i] = x[i] * factor;
    }
}
