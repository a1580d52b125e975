// Cross entropy from logits: of labels, or where SOFT of target probabilities.
// A row's stats: (max z, log sum exp(z - max), sum of targets, 0).

#import rows
#if LOSS
#import row_loss
#end

@group(0) @binding(0) var<storage, read> logits: array<Elem>; // (N, C)
#if SOFT
@group(0) @binding(1) var<storage, read> targets: array<Elem>; // (N, C)
#else
@group(0) @binding(1) var<storage, read> labels: array<i32>; // (N)
#end
@group(0) @binding(2) var<storage, read_write> stats: array<vec4<f32>>; // (N, 4)
@group(0) @binding(2) var<storage, read> saved_stats: array<vec4<f32>>; // (N, 4)
@group(0) @binding(3) var<storage, read> saved_inverse_count: array<f32>; // (1)
@group(0) @binding(4) var<storage, read> dy: array<f32>; // (1)
@group(0) @binding(5) var<storage, read_write> dx: array<Elem>; // (N, C)

fn row_loss(row: u32, lane: u32) -> vec2<f32> {
    let base = row * ELEMS;
    let first = first_of(lane);
    var tops = Elem(LOWEST);
    for (var i = first; i < ELEMS; i += STEP) {
        tops = max(tops, logits[base + i]);
    }
    let top = row_max(vec4(elem_max(tops)), lane).x;
    var exps = Elem(0.0);
    var shifts = Elem(0.0);
    var weights = Elem(0.0);
    for (var i = first; i < ELEMS; i += STEP) {
        let shifted = logits[base + i] - top;
        exps += exp(shifted);
#if SOFT
        let weight = targets[base + i];
        shifts += weight * shifted;
        weights += weight;
#else
        shifts += shifted;
#end
    }
    let sums = row_sum(vec4(elem_sum(exps), elem_sum(shifts), elem_sum(weights), 0.0), lane);
    let log_sum = log(sums.x);
    if first == 0u {
        stats[row] = vec4(top, log_sum, sums.z, 0.0);
    }
#if SOFT
    return vec2(sums.z * log_sum - sums.y, 1.0);
#else
    let label = labels[row];
    if label == IGNORE {
        return vec2(0.0);
    }
    if label < 0 || label >= i32(COLUMNS) {
        return vec2(nan(), 1.0);
    }
    let at = u32(label);
#if VECTOR
    let own = logits[base + at / 4u][at % 4u] - top;
#else
    let own = logits[base + at] - top;
#end
    return vec2(log_sum - (1.0 - SMOOTHING) * own - SMOOTHING / f32(COLUMNS) * sums.y, 1.0);
#end
}

fn one_hot(label: u32, column: u32) -> Elem {
#if VECTOR
    return select(vec4(0.0), vec4(1.0), vec4(label) == vec4(column) + vec4(0u, 1u, 2u, 3u));
#else
    return select(0.0, 1.0, label == column);
#end
}

@compute @workgroup_size(WORKGROUP)
fn backward_logits(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * WORKGROUP + lane;
    if i >= ROWS * ELEMS {
        return;
    }
    let row = i / ELEMS;
    let row_stats = saved_stats[row];
    let probability = exp((logits[i] - row_stats.x) - row_stats.y);
#if SOFT
    dx[i] = (probability * row_stats.z - targets[i]) * (dy[0] / f32(ROWS));
#else
    let label = labels[row];
    var gradient = Elem(0.0);
    if label != IGNORE {
        let target_row = (1.0 - SMOOTHING) * one_hot(u32(label), (i % ELEMS) * WIDTH) + SMOOTHING / f32(COLUMNS);
        gradient = (probability - target_row) * (dy[0] * saved_inverse_count[0]);
        if label < 0 || label >= i32(COLUMNS) {
            gradient = Elem(nan());
        }
    }
    dx[i] = gradient;
#end
}

#if SOFT
// d / d targets = -log softmax(logits).
@compute @workgroup_size(WORKGROUP)
fn backward_targets(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * WORKGROUP + lane;
    if i < ROWS * ELEMS {
        let row_stats = saved_stats[i / ELEMS];
        dx[i] = (row_stats.y - (logits[i] - row_stats.x)) * (dy[0] / f32(ROWS));
    }
}
#end
