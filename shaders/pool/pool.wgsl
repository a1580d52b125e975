// Max and average pooling over (N, C, H, W) planes. H_IN x W_IN is x, H_OUT x W_OUT is y; a window covers
// rows first_row(o) to end_row(o) and columns likewise, clipped to the plane.
// The gradient is gathered: each element of dx visits the windows that contain it, in ascending order.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read> index: array<i32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;
@group(0) @binding(3) var<storage, read_write> index_out: array<i32>;

#if ADAPTIVE
// PyTorch's rule: from floor(o * in / out) up to ceil((o + 1) * in / out).
fn window_start(o: u32, size_in: u32, size_out: u32, kernel: u32, stride: u32, padding: u32) -> u32 {
    return o * size_in / size_out;
}

fn window_end(o: u32, size_in: u32, size_out: u32, kernel: u32, stride: u32, padding: u32) -> u32 {
    return ((o + 1u) * size_in + size_out - 1u) / size_out;
}

// The first window that contains element i, and the one after the last.
fn first_window(i: u32, size_in: u32, size_out: u32, kernel: u32, stride: u32, padding: u32) -> u32 {
    return i * size_out / size_in;
}

fn end_window(i: u32, size_in: u32, size_out: u32, kernel: u32, stride: u32, padding: u32) -> u32 {
    return ((i + 1u) * size_out + size_in - 1u) / size_in;
}
#else
fn window_start(o: u32, size_in: u32, size_out: u32, kernel: u32, stride: u32, padding: u32) -> u32 {
    return max(o * stride, padding) - padding;
}

fn window_end(o: u32, size_in: u32, size_out: u32, kernel: u32, stride: u32, padding: u32) -> u32 {
    return min(o * stride + kernel - padding, size_in);
}

fn first_window(i: u32, size_in: u32, size_out: u32, kernel: u32, stride: u32, padding: u32) -> u32 {
    // The smallest o with o * stride + kernel > i + padding.
    return (max(i + padding + stride, kernel) - kernel) / stride;
}

fn end_window(i: u32, size_in: u32, size_out: u32, kernel: u32, stride: u32, padding: u32) -> u32 {
    return min((i + padding) / stride + 1u, size_out);
}
#end

fn first_row(o: u32) -> u32 { return window_start(o, H_IN, H_OUT, K_H, STRIDE_H, PADDING_H); }
fn end_row(o: u32) -> u32 { return window_end(o, H_IN, H_OUT, K_H, STRIDE_H, PADDING_H); }
fn first_column(o: u32) -> u32 { return window_start(o, W_IN, W_OUT, K_W, STRIDE_W, PADDING_W); }
fn end_column(o: u32) -> u32 { return window_end(o, W_IN, W_OUT, K_W, STRIDE_W, PADDING_W); }

fn first_row_window(h: u32) -> u32 { return first_window(h, H_IN, H_OUT, K_H, STRIDE_H, PADDING_H); }
fn end_row_window(h: u32) -> u32 { return end_window(h, H_IN, H_OUT, K_H, STRIDE_H, PADDING_H); }
fn first_column_window(w: u32) -> u32 { return first_window(w, W_IN, W_OUT, K_W, STRIDE_W, PADDING_W); }
fn end_column_window(w: u32) -> u32 { return end_window(w, W_IN, W_OUT, K_W, STRIDE_W, PADDING_W); }

fn is_nan(v: f32) -> bool {
    return (bitcast<u32>(v) & 0x7fffffffu) > 0x7f800000u;
}

// How many elements the average of this window divides by.
fn divisor(row: u32, column: u32) -> f32 {
#if COUNT_PADDING
    return f32(K_H * K_W);
#else
    return f32((end_row(row) - first_row(row)) * (end_column(column) - first_column(column)));
#end
}

@compute @workgroup_size(256)
fn max_forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i >= LEN {
        return;
    }
    let column = i % W_OUT;
    let row = i / W_OUT % H_OUT;
    let plane = i / (W_OUT * H_OUT) * (H_IN * W_IN);
    var best = 0.0;
    var at = -1;
    for (var h = first_row(row); h < end_row(row); h++) {
        for (var w = first_column(column); w < end_column(column); w++) {
            let v = x[plane + h * W_IN + w];
            // Strictly greater: the first of equal maxima wins. A NaN wins over everything.
            if at < 0 || v > best || is_nan(v) {
                best = v;
                at = i32(h * W_IN + w);
            }
        }
    }
#if RELU
    // No element gets a gradient where relu is flat. A NaN is not below zero, and stays.
    if best <= 0.0 {
        best = 0.0;
        at = -1;
    }
#end
    y[i] = best;
#if INDEX
    index_out[i] = at;
#end
}

@compute @workgroup_size(256)
fn max_backward_x(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i >= LEN {
        return;
    }
    let w = i % W_IN;
    let h = i / W_IN % H_IN;
    let plane = i / (W_IN * H_IN) * (H_OUT * W_OUT);
    let here = i32(h * W_IN + w);
    var sum = 0.0;
    for (var row = first_row_window(h); row < end_row_window(h); row++) {
        for (var column = first_column_window(w); column < end_column_window(w); column++) {
            let o = plane + row * W_OUT + column;
            if index[o] == here {
                sum += dy[o];
            }
        }
    }
    dx[i] = sum;
}

@compute @workgroup_size(256)
fn average_forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i >= LEN {
        return;
    }
    let column = i % W_OUT;
    let row = i / W_OUT % H_OUT;
    let plane = i / (W_OUT * H_OUT) * (H_IN * W_IN);
    var sum = 0.0;
    for (var h = first_row(row); h < end_row(row); h++) {
        for (var w = first_column(column); w < end_column(column); w++) {
            sum += x[plane + h * W_IN + w];
        }
    }
    y[i] = sum / divisor(row, column);
}

@compute @workgroup_size(256)
fn average_backward_x(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i >= LEN {
        return;
    }
    let w = i % W_IN;
    let h = i / W_IN % H_IN;
    let plane = i / (W_IN * H_IN) * (H_OUT * W_OUT);
    var sum = 0.0;
    for (var row = first_row_window(h); row < end_row_window(h); row++) {
        for (var column = first_column_window(w); column < end_column_window(w); column++) {
            sum += dy[plane + row * W_OUT + column] / divisor(row, column);
        }
    }
    dx[i] = sum;
}
