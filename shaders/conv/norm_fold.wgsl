// Batch norm by given statistics, for the kernel that prepares the weights of the convolution before it. With
// scale = gamma / sqrt(var + EPS) by output channel:
//   norm(conv(x, w) + b) = conv(x, w * scale) + beta + (b - mean) * scale

@group(0) @binding(3) var<storage, read_write> folded_bias: array<f32>; // (C_OUT), as all below
@group(0) @binding(4) var<storage, read> gamma: array<f32>;
@group(0) @binding(5) var<storage, read> beta: array<f32>;
@group(0) @binding(6) var<storage, read> mean: array<f32>;
@group(0) @binding(7) var<storage, read> variance: array<f32>;

fn norm_scale(channel: u32) -> f32 {
    return gamma[channel] / sqrt(variance[channel] + EPS);
}

fn norm_bias(channel: u32, b: f32) -> f32 {
    return beta[channel] + (b - mean[channel]) * norm_scale(channel);
}
