// Where in a map of ROWS x COLUMNS cells truths lie, TRUTHS places for truths an image. ANCHOR_W and ANCHOR_H are the
// anchors' sides in shares of the input.

#import boxes

@group(0) @binding(0) var<storage, read> truths: array<vec4<f32>>; // (N, TRUTHS)
@group(0) @binding(1) var<storage, read> classes: array<i32>; // (N, TRUTHS)
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // (N, ROWS, COLUMNS)

const CELLS: vec2<f32> = vec2(f32(COLUMNS), f32(ROWS));

fn is_truth(t: u32) -> bool {
    return classes[t] >= 0 && truths[t].z > 0.0 && truths[t].w > 0.0;
}

fn cell_of(i: u32) -> vec2<f32> {
    return vec2(f32(i % COLUMNS), f32(i / COLUMNS % ROWS));
}

// 1 by the cells of the smallest truth that touches this one.
@compute @workgroup_size(256)
fn area(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i >= LEN {
        return;
    }
    let cell = cell_of(i);
    let first = i / (ROWS * COLUMNS) * TRUTHS;
    var weight = 0.0;
    for (var t = first; t < first + TRUTHS; t++) {
        if is_truth(t) {
            let truth = truths[t];
            let low = clamp(floor((truth.xy - 0.5 * truth.zw) * CELLS), vec2(0.0), CELLS - 1.0);
            let high = clamp(ceil((truth.xy + 0.5 * truth.zw) * CELLS) - 1.0, low, CELLS - 1.0);
            if all(cell >= low) && all(cell <= high) {
                let sides = high - low + 1.0;
                weight = max(weight, 1.0 / (sides.x * sides.y));
            }
        }
    }
    y[i] = weight;
}

// The largest overlap of an anchor at this cell with a truth.
fn best_overlap(cell: vec2<f32>, truth: vec4<f32>) -> f32 {
    let centre = (cell + 0.5) / CELLS;
    var best = 0.0;
#repeat a ANCHORS
    best = max(best, iou(vec4(centre, ANCHOR_W{a}, ANCHOR_H{a}), truth));
#end
    return best;
}

// 1 where an anchor overlaps a truth by more than SHARE of the most that any does. The overlap along an axis never grows
// with the distance along it, so that the most is in the cell whose centre is nearest.
@compute @workgroup_size(256)
fn anchors(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i >= LEN {
        return;
    }
    let cell = cell_of(i);
    let first = i / (ROWS * COLUMNS) * TRUTHS;
    var mark = 0.0;
    for (var t = first; t < first + TRUTHS; t++) {
        if is_truth(t) {
            let truth = truths[t];
            let nearest = clamp(floor(truth.xy * CELLS), vec2(0.0), CELLS - 1.0);
            if best_overlap(cell, truth) > SHARE * best_overlap(nearest, truth) {
                mark = 1.0;
            }
        }
    }
    y[i] = mark;
}
