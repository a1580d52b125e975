// Batch normalisation of (N, C, plane). SHARED of rows is set. PLANE is a plane's Elems, ELEMS a channel's
// (N * PLANE), COUNT a channel's elements.
//
// Either one workgroup does a whole channel in one dispatch (`forward_channel`, `backward_channel`), or CHUNKS workgroups
// of PER Elems share it: partial, merge, then element-wise.

#import rows
#if ACTIVATED
#import activation
#end

@group(0) @binding(0) var<storage, read> x: array<Elem>; // (N, C, PLANE)
@group(0) @binding(1) var<storage, read> gamma: array<f32>; // (C)
@group(0) @binding(2) var<storage, read> beta: array<f32>; // (C)
@group(0) @binding(2) var<storage, read> dy: array<Elem>; // (N, C, PLANE)
@group(0) @binding(3) var<storage, read_write> running_mean: array<f32>; // (C), updated in place
@group(0) @binding(4) var<storage, read_write> running_var: array<f32>; // (C), updated in place
@group(0) @binding(3) var<storage, read> given_mean: array<f32>; // (C)
@group(0) @binding(4) var<storage, read> given_spread: array<f32>; // (C): TRAIN 1 / std, else the variance
@group(0) @binding(5) var<storage, read_write> y: array<Elem>;
@group(0) @binding(5) var<storage, read_write> dx: array<Elem>;
@group(0) @binding(5) var<storage, read_write> partials: array<vec4<f32>>; // (C, CHUNKS): moments and base, or sums
@group(0) @binding(0) var<storage, read> finished: array<vec4<f32>>; // (C, CHUNKS)
@group(0) @binding(6) var<storage, read_write> mean: array<f32>; // (C)
@group(0) @binding(7) var<storage, read_write> rstd: array<f32>; // (C)
@group(0) @binding(6) var<storage, read_write> dgamma: array<f32>; // (C)
@group(0) @binding(7) var<storage, read_write> dbeta: array<f32>; // (C)
@group(0) @binding(6) var<storage, read> given_dgamma: array<f32>; // (C)
@group(0) @binding(7) var<storage, read> given_dbeta: array<f32>; // (C)

// Where Elem j of a channel lies.
fn address(channel: u32, j: u32) -> u32 {
    return ((j / PLANE) * CHANNELS + channel) * PLANE + j % PLANE;
}

fn given_rstd(channel: u32) -> f32 {
#if TRAIN
    return given_spread[channel];
#else
    return 1.0 / sqrt(given_spread[channel] + EPS);
#end
}

// (count, mean, sum of squared distances from the mean) of two sets (Chan, Golub and LeVeque 1979).
fn merge(a: vec4<f32>, b: vec4<f32>) -> vec4<f32> {
    let count = a.x + b.x;
    let share = b.x / max(count, 1.0);
    let gap = b.y - a.y;
    return vec4(count, a.y + gap * share, a.z + b.z + gap * gap * a.x * share, 0.0);
}

fn group_merge(value: vec4<f32>, lane: u32) -> vec4<f32> {
    group_values[lane] = value;
    workgroupBarrier();
    for (var half = WORKGROUP / 2u; half > 0u; half /= 2u) {
        if lane < half {
            group_values[lane] = merge(group_values[lane], group_values[lane + half]);
        }
        workgroupBarrier();
    }
    let total = group_values[0];
    workgroupBarrier();
    return total;
}

// The element that a channel's means are relative to, until the last step: partial means far from zero would lose a
// little at every merge.
fn base_of(channel: u32) -> f32 {
    return first_element(x[address(channel, 0u)]);
}

// The moments of an invocation's share of Elems begin..end, the mean relative to `base`. Distances are taken from its own
// first Elem: sums of squares of numbers far from zero would lose the variance.
fn moments(channel: u32, base: f32, begin: u32, end: u32, lane: u32) -> vec4<f32> {
    let first = begin + lane;
    if first >= end {
        return vec4(0.0);
    }
    let shift = x[address(channel, first)];
    var sum = Elem(0.0);
    var squares = Elem(0.0);
    var n = 1.0;
    for (var j = first + WORKGROUP; j < end; j += WORKGROUP) {
        let d = x[address(channel, j)] - shift;
        sum += d;
        squares += d * d;
        n += 1.0;
    }
    let shifted_mean = sum / n;
    let means = (shift - base) + shifted_mean;
    let spreads = max(squares - sum * shifted_mean, Elem(0.0));
    let centre = elem_sum(means) / f32(WIDTH);
    let d = means - centre;
    return vec4(n * f32(WIDTH), centre, elem_sum(spreads) + n * elem_sum(d * d), 0.0);
}

// Keeps a channel's statistics, `total` relative to `base`, and moves the running ones. The running variance is the unbiased one, as in PyTorch.
fn publish(channel: u32, base: f32, total: vec4<f32>) {
    let batch_mean = base + total.y;
    mean[channel] = batch_mean;
    rstd[channel] = 1.0 / sqrt(total.z / f32(COUNT) + EPS);
    running_mean[channel] = (1.0 - MOMENTUM) * running_mean[channel] + MOMENTUM * batch_mean;
    let unbiased = total.z / f32(COUNT - 1u);
    running_var[channel] = (1.0 - MOMENTUM) * running_var[channel] + MOMENTUM * unbiased;
}

@compute @workgroup_size(WORKGROUP)
fn forward_channel(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let channel = flat_workgroup(workgroup, grid);
    if channel >= CHANNELS {
        return;
    }
    let base = base_of(channel);
    let total = group_merge(moments(channel, base, 0u, ELEMS, lane), lane);
    if lane == 0u {
        publish(channel, base, total);
    }
    let slope = gamma[channel] / sqrt(total.z / f32(COUNT) + EPS);
    let offset = beta[channel];
    for (var j = lane; j < ELEMS; j += WORKGROUP) {
        let i = address(channel, j);
        y[i] = ((x[i] - base) - total.y) * slope + offset;
    }
}

@compute @workgroup_size(WORKGROUP)
fn forward_partial(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let group = flat_workgroup(workgroup, grid);
    if group >= CHANNELS * CHUNKS {
        return;
    }
    let begin = (group % CHUNKS) * PER;
    let channel = group / CHUNKS;
    let base = base_of(channel);
    let total = group_merge(moments(channel, base, begin, min(begin + PER, ELEMS), lane), lane);
    if lane == 0u {
        partials[group] = vec4(total.xyz, base);
    }
}

@compute @workgroup_size(WORKGROUP)
fn forward_merge(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let channel = flat_workgroup(workgroup, grid);
    if channel >= CHANNELS {
        return;
    }
    var own = vec4(0.0);
    for (var i = lane; i < CHUNKS; i += WORKGROUP) {
        own = merge(own, finished[channel * CHUNKS + i]);
    }
    let total = group_merge(own, lane);
    if lane == 0u {
        publish(channel, finished[channel * CHUNKS].w, total);
    }
}

// An invocation handles SPAN Elems of one plane, so that it reads the channel's numbers once for all of them.
const STRIDE: u32 = PLANE / SPAN;

// Of evaluation, ACTIVATED: `activate`.
fn activated(value: Elem) -> Elem {
#if ACTIVATED
#if VECTOR
    return activate(value);
#else
    return activate(vec4(value)).x;
#end
#else
    return value;
#end
}

@compute @workgroup_size(WORKGROUP)
fn forward_elements(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = flat_workgroup(workgroup, grid) * WORKGROUP + lane;
    let plane = at / STRIDE;
    if plane >= PLANES {
        return;
    }
    let channel = plane % CHANNELS;
    let centre = given_mean[channel];
    let slope = gamma[channel] * given_rstd(channel);
    let offset = beta[channel];
    for (var k = 0u; k < SPAN; k++) {
        let i = plane * PLANE + at % STRIDE + k * STRIDE;
        y[i] = activated((x[i] - centre) * slope + offset);
    }
}

// (sum of dy, sum of dy * normalised x) over an invocation's share of Elems begin..end.
fn gradient_sums(channel: u32, begin: u32, end: u32, lane: u32) -> vec4<f32> {
    let centre = given_mean[channel];
    var sum = Elem(0.0);
    var products = Elem(0.0);
    for (var j = begin + lane; j < end; j += WORKGROUP) {
        let i = address(channel, j);
        let d = dy[i];
        sum += d;
        products += d * (x[i] - centre);
    }
    return vec4(elem_sum(sum), elem_sum(products) * given_rstd(channel), 0.0, 0.0);
}

@compute @workgroup_size(WORKGROUP)
fn backward_channel(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let channel = flat_workgroup(workgroup, grid);
    if channel >= CHANNELS {
        return;
    }
    let sums = group_sum(gradient_sums(channel, 0u, ELEMS, lane), lane);
    if lane == 0u {
        dbeta[channel] = sums.x;
        dgamma[channel] = sums.y;
    }
    let scale = given_rstd(channel);
    let slope = gamma[channel] * scale;
    let centre = given_mean[channel];
    let mean_dy = sums.x / f32(COUNT);
    let mean_product = sums.y / f32(COUNT) * scale;
    for (var j = lane; j < ELEMS; j += WORKGROUP) {
        let i = address(channel, j);
#if TRAIN
        dx[i] = slope * (dy[i] - mean_dy - (x[i] - centre) * mean_product);
#else
        dx[i] = slope * dy[i];
#end
    }
}

@compute @workgroup_size(WORKGROUP)
fn backward_partial(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let group = flat_workgroup(workgroup, grid);
    if group >= CHANNELS * CHUNKS {
        return;
    }
    let begin = (group % CHUNKS) * PER;
    let total = group_sum(gradient_sums(group / CHUNKS, begin, min(begin + PER, ELEMS), lane), lane);
    if lane == 0u {
        partials[group] = total;
    }
}

@compute @workgroup_size(WORKGROUP)
fn backward_merge(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let channel = flat_workgroup(workgroup, grid);
    if channel >= CHANNELS {
        return;
    }
    var own = vec4(0.0);
    for (var i = lane; i < CHUNKS; i += WORKGROUP) {
        own += finished[channel * CHUNKS + i];
    }
    let total = group_sum(own, lane);
    if lane == 0u {
        dbeta[channel] = total.x;
        dgamma[channel] = total.y;
    }
}

@compute @workgroup_size(WORKGROUP)
fn backward_elements(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = flat_workgroup(workgroup, grid) * WORKGROUP + lane;
    let plane = at / STRIDE;
    if plane >= PLANES {
        return;
    }
    let channel = plane % CHANNELS;
    let scale = given_rstd(channel);
    let slope = gamma[channel] * scale;
#if TRAIN
    let centre = given_mean[channel];
    let mean_dy = given_dbeta[channel] / f32(COUNT);
    let mean_product = given_dgamma[channel] / f32(COUNT) * scale;
#end
    for (var k = 0u; k < SPAN; k++) {
        let i = plane * PLANE + at % STRIDE + k * STRIDE;
#if TRAIN
        dx[i] = slope * (dy[i] - mean_dy - (x[i] - centre) * mean_product);
#else
        dx[i] = slope * dy[i];
#end
    }
}
