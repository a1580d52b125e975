// conv2d with one input channel a group (depthwise, with MULTIPLIER outputs a channel): far too few rows for a tile.
// Constants as in conv2d.wgsl; BIAS: a bias by output channel; of the forward pass RESIDUAL: a tensor like y is added;
// ACTIVATED: then comes `activate`.

#if ACTIVATED
#import activation
#end

const MULTIPLIER: u32 = C_OUT / C_IN;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;
@group(0) @binding(4) var<storage, read_write> dw: array<f32>;
@group(0) @binding(5) var<storage, read> residual: array<f32>;

// One invocation an output.
@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i >= LEN {
        return;
    }
    let ow = i % O_W;
    let oh = (i / O_W) % O_H;
    let co = (i / (O_W * O_H)) % C_OUT;
    let img = i / (O_W * O_H * C_OUT);
    let plane = (img * C_IN + co / MULTIPLIER) * (H * W);
#if BIAS
    var sum = bias[co];
#else
    var sum = 0.0;
#end
    for (var kh = 0u; kh < K_H; kh++) {
        let h = oh * S_H + kh * D_H - P_H;
        for (var kw = 0u; kw < K_W; kw++) {
            let c = ow * S_W + kw * D_W - P_W;
            let inside = h < H && c < W;
            let value = x[select(0u, plane + h * W + c, inside)];
            sum += select(0.0, value, inside) * w[(co * K_H + kh) * K_W + kw];
        }
    }
#if RESIDUAL
    sum += residual[i];
#end
#if ACTIVATED
    sum = activate(vec4(sum)).x;
#end
    y[i] = sum;
}

// One invocation an input element: gathers from the windows that hold it.
@compute @workgroup_size(256)
fn backward_x(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i >= LEN {
        return;
    }
    let col = i % W;
    let row = (i / W) % H;
    let ci = (i / (W * H)) % C_IN;
    let img = i / (W * H * C_IN);
    var sum = 0.0;
    for (var r = 0u; r < MULTIPLIER; r++) {
        let co = ci * MULTIPLIER + r;
        let plane = (img * C_OUT + co) * (O_H * O_W);
        for (var kh = 0u; kh < K_H; kh++) {
            let h = row + P_H - kh * D_H;
            for (var kw = 0u; kw < K_W; kw++) {
                let c = col + P_W - kw * D_W;
                // Beyond the left or top edge the unsigned difference wraps to a huge number.
                let inside = h % S_H == 0u && c % S_W == 0u && h / S_H < O_H && c / S_W < O_W
                    && row + P_H >= kh * D_H && col + P_W >= kw * D_W;
                let value = dy[select(0u, plane + (h / S_H) * O_W + c / S_W, inside)];
                sum += select(0.0, value, inside) * w[(co * K_H + kh) * K_W + kw];
            }
        }
    }
    dx[i] = sum;
}

var<workgroup> sums: array<f32, 64>;

// One workgroup a weight: a strided sum an invocation, then a fixed tree.
@compute @workgroup_size(64)
fn backward_w(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let flat = min(flat_workgroup(workgroup, grid), LEN - 1u);
    let kw = flat % K_W;
    let kh = (flat / K_W) % K_H;
    let co = flat / (K_W * K_H);
    var sum = 0.0;
    for (var i = lane; i < IMAGES * O_H * O_W; i += 64u) {
        let ow = i % O_W;
        let oh = (i / O_W) % O_H;
        let img = i / (O_W * O_H);
        let h = oh * S_H + kh * D_H - P_H;
        let c = ow * S_W + kw * D_W - P_W;
        let inside = h < H && c < W;
        let value = x[select(0u, (img * C_IN + co / MULTIPLIER) * (H * W) + h * W + c, inside)];
        sum += select(0.0, value, inside) * dy[((img * C_OUT + co) * O_H + oh) * O_W + ow];
    }
    sums[lane] = sum;
    workgroupBarrier();
    for (var step = 32u; step > 0u; step >>= 1u) {
        if lane < step {
            sums[lane] += sums[lane + step];
        }
        workgroupBarrier();
    }
    if lane == 0u {
        dw[flat] = sums[0];
    }
}
