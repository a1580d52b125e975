// What the optimizer kernels share: flat weights and gradients, gradient norm, weight-decay mask, step scalars.

@group(0) @binding(0) var<storage, read_write> w: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> dw: array<vec4<f32>>;
// From grad_norm: x the global norm, y 1 where it is not finite.
@group(0) @binding(2) var<storage, read> norm: array<vec2<f32>>;
// One factor for BLOCK elements.
@group(0) @binding(3) var<storage, read> decay_mask: array<f32>;
// Of each BLOCK elements how many, from the first, are parameters.
@group(0) @binding(4) var<storage, read> extents: array<u32>;
@group(0) @binding(7) var<uniform> step: Step;

fn learning_rate() -> f32 {
    return step.scalars[RATE_VEC][RATE_LANE];
}

// What clipping by the global norm multiplies gradients with, as torch.nn.utils.clip_grad_norm_ has it.
fn clip(norm: f32) -> f32 {
#if CLIP
    return min(1.0, MAX_NORM / (norm + 1e-6));
#else
    return 1.0;
#end
}

// Whether anything counts of the block that vec4 `i` is in. Where nothing does, nothing changes.
fn counts(i: u32) -> bool {
    return extents[i / (BLOCK / 4u)] != 0u;
}

// The clipped gradient of vec4 `i`, given the global norm. What lies between two parameters may be NaN and counts as 0.
fn gradient(i: u32, norm: f32) -> vec4<f32> {
    let place = 4u * (i % (BLOCK / 4u));
    let left = max(extents[i / (BLOCK / 4u)], place) - place;
    return select(vec4(0.0), dw[i] * clip(norm), vec4(0u, 1u, 2u, 3u) < vec4(left));
}

// The weight-decay coefficient of vec4 `i`.
fn decay(i: u32) -> f32 {
#if DECAY
    return WEIGHT_DECAY * decay_mask[i / (BLOCK / 4u)];
#else
    return 0.0;
#end
}
