// Resizing (N, C, H, W) planes from H_IN x W_IN to H_OUT x W_OUT, nearest or (BILINEAR) bilinear.
// The gradient is gathered: each element of dx visits the outputs that may have read it, in ascending order.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(1) var<storage, read_write> dx: array<f32>;

// The two elements that output o lies between, and how far it is on the way to the second.
struct Between {
    low: u32,
    high: u32,
    share: f32,
}

#if BILINEAR
// o -> (o * up + shift) / down, never below 0, in whole numbers: no rounding decides which element is read.
// Align corners: o * (in - 1) / (out - 1). Otherwise ((2 * o + 1) * in - out) / (2 * out).
fn between(o: u32, size_in: u32, size_out: u32) -> Between {
#if ALIGN_CORNERS
    let numerator = o * (size_in - 1u);
    let denominator = max(size_out - 1u, 1u);
#else
    let numerator = max((2u * o + 1u) * size_in, size_out) - size_out;
    let denominator = 2u * size_out;
#end
    let low = min(numerator / denominator, size_in - 1u);
    return Between(low, min(low + 1u, size_in - 1u), f32(numerator % denominator) / f32(denominator));
}

fn rows(o: u32) -> Between { return between(o, H_IN, H_OUT); }
fn columns(o: u32) -> Between { return between(o, W_IN, W_OUT); }
#else
// PyTorch's rule: floor(o * scale) with the scale rounded to f32.
fn rows(o: u32) -> Between {
    let low = min(u32(floor(f32(o) * SCALE_H)), H_IN - 1u);
    return Between(low, low, 0.0);
}

fn columns(o: u32) -> Between {
    let low = min(u32(floor(f32(o) * SCALE_W)), W_IN - 1u);
    return Between(low, low, 0.0);
}
#end

fn weight(at: Between, i: u32) -> f32 {
    return select(0.0, 1.0 - at.share, at.low == i) + select(0.0, at.share, at.high == i);
}

// Outputs outside first_output .. end_output never read element i; some of those inside do not either.
fn first_output(i: u32, size_in: u32, size_out: u32) -> u32 {
#if ALIGN_CORNERS
    let least = (max(i, 1u) - 1u) * (size_out - 1u) / max(size_in - 1u, 1u);
#else
    let least = (max(i, 1u) - 1u) * size_out / size_in;
#end
    return select(max(least, 1u) - 1u, 0u, i == 0u);
}

fn end_output(i: u32, size_in: u32, size_out: u32) -> u32 {
#if ALIGN_CORNERS
    let most = (i + 2u) * (size_out - 1u) / max(size_in - 1u, 1u);
#else
    let most = (i + 2u) * size_out / size_in;
#end
    return select(min(most + 2u, size_out), size_out, i == size_in - 1u);
}

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
    let w = columns(i % W_OUT);
    let h = rows(i / W_OUT % H_OUT);
    let plane = i / (W_OUT * H_OUT) * (H_IN * W_IN);
    let upper = plane + h.low * W_IN;
#if BILINEAR
    let lower = plane + h.high * W_IN;
    let top = x[upper + w.low] * (1.0 - w.share) + x[upper + w.high] * w.share;
    let bottom = x[lower + w.low] * (1.0 - w.share) + x[lower + w.high] * w.share;
    y[i] = top * (1.0 - h.share) + bottom * h.share;
#else
    y[i] = x[upper + w.low];
#end
}

// An invocation walks down STEPS elements of a column, for which the weights across are the same: TOUCHED
// columns of dy at most, 0 where they are too many to be unrolled.
@compute @workgroup_size(64)
fn backward_x(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 64u + lane;
    let w = i % W_IN;
    let begin = i / W_IN % CHUNKS * STEPS;
    let plane = i / (W_IN * CHUNKS);
    if plane >= PLANES {
        return;
    }
    let end = end_output(w, W_IN, W_OUT);
    var first = first_output(w, W_IN, W_OUT);
    while first + 1u < end && weight(columns(first), w) == 0.0 {
        first++;
    }
#repeat k TOUCHED
    let across{k} = select(0.0, weight(columns(first + {k}u), w), first + {k}u < end);
#end
    // Rows of dy in ascending order: each is added to element h, to the next one, or to both.
    var h = begin;
    let last = min(begin + STEPS, H_IN) - 1u;
    var sum = 0.0;
    var next = 0.0;
    for (var row = first_output(begin, H_IN, H_OUT); row < end_output(last, H_IN, H_OUT); row++) {
        let at = rows(row);
        while h < at.low && h < last {
            dx[(plane * H_IN + h) * W_IN + w] = sum;
            sum = next;
            next = 0.0;
            h++;
        }
        let line = (plane * H_OUT + row) * W_OUT;
        var across_row = 0.0;
#if TOUCHED
#repeat k TOUCHED
        across_row += dy[line + min(first + {k}u, W_OUT - 1u)] * across{k};
#end
#else
        for (var column = first; column < end; column++) {
            across_row += dy[line + column] * weight(columns(column), w);
        }
#end
        sum += across_row * weight(at, h);
        next += select(0.0, across_row * at.share, at.high == h + 1u);
    }
    for (; h <= last; h++) {
        dx[(plane * H_IN + h) * W_IN + w] = sum;
        sum = next;
        next = 0.0;
    }
}
