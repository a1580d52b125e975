// Adds a step's loss and its right predictions to running totals.
// A label's rank is the number of classes ahead of it: those with a larger logit, or an equal one further left.
// The counts are integers, so that the order in which rows add to them makes no difference.

#import rows

@group(0) @binding(0) var<storage, read> logits: array<Elem>; // (N, C)
@group(0) @binding(1) var<storage, read> labels: array<i32>; // (N)
@group(0) @binding(2) var<storage, read> loss: array<f32>; // (1)
@group(0) @binding(3) var<storage, read_write> loss_sum: array<f32>; // (1)
@group(0) @binding(4) var<storage, read_write> counts: array<atomic<i32>>; // steps, counted, top-1, top-5

// A rank that no top-k reaches.
const LAST: f32 = 16777216.0;

fn logit(base: u32, column: u32) -> f32 {
#if VECTOR
    return logits[base + column / 4u][column % 4u];
#else
    return logits[base + column];
#end
}

// What a class adds to the rank of the label's logit `own`. A NaN anywhere makes the row wrong.
fn ahead(value: f32, column: u32, own: f32, label: u32) -> f32 {
    if (bitcast<u32>(value) & 0x7fffffffu) > 0x7f800000u {
        return LAST;
    }
    return select(0.0, 1.0, value > own || (value == own && column < label));
}

@compute @workgroup_size(WORKGROUP)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let group = flat_workgroup(workgroup, grid);
    if group == 0u && lane == 0u {
        loss_sum[0] += loss[0];
        atomicAdd(&counts[0], 1);
    }
    let row = row_of(group, lane);
    if row >= ROWS {
        return;
    }
    let label = labels[row];
    let base = row * ELEMS;
    let at = u32(clamp(label, 0, i32(COLUMNS) - 1));
    let own = logit(base, at);
    var sum = 0.0;
    for (var i = first_of(lane); i < ELEMS; i += STEP) {
        let value = logits[base + i];
#if VECTOR
#repeat c 4
        sum += ahead(value[{c}], 4u * i + {c}u, own, at);
#end
#else
        sum += ahead(value, i, own, at);
#end
    }
    let rank = row_sum(vec4(sum, 0.0, 0.0, 0.0), lane).x;
    if label == IGNORE || first_of(lane) != 0u {
        return;
    }
    atomicAdd(&counts[1], 1);
    if label < 0 || label >= i32(COLUMNS) {
        return;
    }
    if rank < 1.0 {
        atomicAdd(&counts[2], 1);
    }
    if rank < 5.0 {
        atomicAdd(&counts[3], 1);
    }
}
