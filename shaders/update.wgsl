// What the optimizer kernels share: flat weights and gradients, gradient norm, weight-decay mask, step scalars.

@group(0) @binding(0) var<storage, read_write> w: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> dw: array<vec4<f32>>;
// From grad_norm: x the global norm, y 1 where it is not finite.
@group(0) @binding(2) var<storage, read> norm: array<vec2<f32>>;
// One factor for 64 elements, 16 vec4.
@group(0) @binding(3) var<storage, read> decay_mask: array<f32>;
@group(0) @binding(6) var<uniform> step: Step;

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

// The weight-decay coefficient of vec4 `i`.
fn decay(i: u32) -> f32 {
#if DECAY
    return WEIGHT_DECAY * decay_mask[i / 16u];
#else
    return 0.0;
#end
}
