// Which truths the slots of a YOLO head learn: one slot for each anchor and cell, TRUTHS places for truths an image.
// ALL_W and ALL_H are all anchors of the network, ANCHOR_W and ANCHOR_H those of the head, in pixels; MASK the place of
// these among those. NET_W by NET_H pixels is the network's input.

#import boxes

@group(0) @binding(0) var<storage, read> truths: array<vec4<f32>>; // (N, TRUTHS)
@group(0) @binding(1) var<storage, read> classes: array<i32>; // (N, TRUTHS)
@group(0) @binding(2) var<storage, read> scores: array<f32>; // (N, TRUTHS)
@group(0) @binding(3) var<storage, read> found: array<vec4<f32>>; // (N, SLOTS)
@group(0) @binding(3) var<storage, read> owned: array<f32>; // (N, SLOTS)
@group(0) @binding(4) var<storage, read_write> targets: array<vec4<f32>>; // (N, SLOTS)
@group(0) @binding(4) var<storage, read_write> labels: array<f32>; // (N, SLOTS, CLASSES)
@group(0) @binding(5) var<storage, read_write> positive: array<f32>; // (N, SLOTS)
@group(0) @binding(6) var<storage, read_write> objectness: array<f32>; // (N, SLOTS)

const SLOTS: u32 = ANCHORS * ROWS * COLUMNS;

// What a truth counts; 0 where there is none.
fn score_of(t: u32, truth: vec4<f32>) -> f32 {
    if classes[t] < 0 || truth.z <= 0.0 || truth.w <= 0.0 {
        return 0.0;
    }
#if SCORED
    return scores[t];
#else
    return 1.0;
#end
}

// IoU of two shapes with one centre.
fn shape_iou(a: vec2<f32>, b: vec2<f32>) -> f32 {
    let inner = min(a, b);
    let intersection = inner.x * inner.y;
    return intersection / (a.x * a.y + b.x * b.y - intersection);
}

fn is_centre_in(truth: vec4<f32>, slot: u32) -> bool {
    let cells = vec2(f32(COLUMNS), f32(ROWS));
    let cell = clamp(floor(truth.xy * cells), vec2(0.0), cells - 1.0);
    return cell.x == f32(slot % COLUMNS) && cell.y == f32(slot / COLUMNS % ROWS);
}

// Whether the anchor fits the truth best of all, or well enough.
fn fits(truth: vec4<f32>, anchor: u32) -> bool {
    let sides = truth.zw * vec2(f32(NET_W), f32(NET_H));
    var best = -1.0;
    var place = 0u;
    var share = 0.0;
#repeat k ALL
    share = shape_iou(sides, vec2(ALL_W{k}, ALL_H{k}));
    if share > best {
        best = share;
        place = {k}u;
    }
#end
    var is_best = false;
    share = 0.0;
#repeat a ANCHORS
    if anchor == {a}u {
        is_best = place == MASK{a};
        share = shape_iou(sides, vec2(ANCHOR_W{a}, ANCHOR_H{a}));
    }
#end
    return is_best || share > ASSIGN_THRESHOLD;
}

fn learns(truth: vec4<f32>, slot: u32) -> bool {
    return is_centre_in(truth, slot) && fits(truth, slot / (ROWS * COLUMNS));
}

@compute @workgroup_size(256)
fn slots(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i >= LEN {
        return;
    }
    let slot = i % SLOTS;
    let first = i / SLOTS * TRUTHS;
    let own = found[i];
    var target_box = vec4(0.0);
    var weight = 0.0;
    var closest = 0.0;
    for (var t = first; t < first + TRUTHS; t++) {
        let truth = truths[t];
        let score = score_of(t, truth);
        if score > 0.0 {
            closest = max(closest, iou(own, truth));
            // The first of several gives its box.
            if weight == 0.0 && learns(truth, slot) {
                target_box = truth;
                weight = score;
            }
        }
    }
    targets[i] = target_box;
    positive[i] = weight;
    objectness[i] = select(1.0, 0.0, weight == 0.0 && closest > IGNORE_THRESHOLD);
}

// One class of a slot an invocation; few slots have truths to look through again.
@compute @workgroup_size(256)
fn slot_classes(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i >= LEN {
        return;
    }
    let row = i / CLASSES;
    var label = 0.0;
    if owned[row] > 0.0 {
        let first = row / SLOTS * TRUTHS;
        for (var t = first; t < first + TRUTHS; t++) {
            if classes[t] == i32(i % CLASSES) {
                let truth = truths[t];
                let score = score_of(t, truth);
                if score > label && learns(truth, row % SLOTS) {
                    label = score;
                }
            }
        }
    }
    labels[i] = label;
}
