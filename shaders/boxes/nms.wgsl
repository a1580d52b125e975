// Greedy suppression by class: of what is left the box with the highest score stays, the first of equals, and takes away
// what overlaps it; MOST times. One workgroup an image; an invocation handles every 256th box.

#import boxes

@group(0) @binding(0) var<storage, read> boxes: array<vec4<f32>>; // (N, ROWS)
@group(0) @binding(1) var<storage, read> scores: array<f32>; // (N, ROWS)
@group(0) @binding(2) var<storage, read> classes: array<i32>; // (N, ROWS)
@group(0) @binding(3) var<storage, read_write> left: array<f32>; // (N, ROWS), scores of what is left
@group(0) @binding(4) var<storage, read_write> kept: array<vec4<f32>>; // (N, MOST)
@group(0) @binding(5) var<storage, read_write> kept_scores: array<f32>; // (N, MOST)
@group(0) @binding(6) var<storage, read_write> kept_classes: array<i32>; // (N, MOST)

// The score of a box that is gone.
const GONE: f32 = -3.0e38;

var<workgroup> top_scores: array<f32, 256>;
var<workgroup> top_rows: array<u32, 256>;
var<workgroup> winner: u32;

struct Best {
    score: f32,
    row: u32,
}

fn better(a: Best, b: Best) -> Best {
    if b.score > a.score || (b.score == a.score && b.row < a.row) {
        return b;
    }
    return a;
}

fn is_same(a: vec4<f32>, b: vec4<f32>) -> bool {
    let share = iou(a, b);
    // What is taken off below is no less than 0.
    if share <= OVERLAP {
        return false;
    }
#if DISTANCE
    let apart = a.xy - b.xy;
    let outer = outer_sides(edges_of(a, b));
    let away = dot(apart, apart) / dot(outer, outer);
    if away > 0.0 {
        return share - pow(away, BETA) > OVERLAP;
    }
#end
    return true;
}

// Of eight from `first` on, `step` apart.
fn best_of_eight(first: u32, step: u32) -> Best {
    var best = Best(top_scores[first], top_rows[first]);
    for (var j = 1u; j < 8u; j++) {
        best = better(best, Best(top_scores[first + j * step], top_rows[first + j * step]));
    }
    return best;
}

// The row of the best of all invocations, ROWS where none has one.
fn best_of_all(mine: Best, lane: u32) -> u32 {
    top_scores[lane] = mine.score;
    top_rows[lane] = mine.row;
    workgroupBarrier();
    if lane < 32u {
        let best = best_of_eight(lane * 8u, 1u);
        top_scores[lane * 8u] = best.score;
        top_rows[lane * 8u] = best.row;
    }
    workgroupBarrier();
    if lane == 0u {
        var best = best_of_eight(0u, 8u);
        for (var j = 1u; j < 4u; j++) {
            best = better(best, best_of_eight(j * 64u, 8u));
        }
        winner = best.row;
    }
    return workgroupUniformLoad(&winner);
}

@compute @workgroup_size(256)
fn suppress(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let image = flat_workgroup(workgroup, grid);
    if image >= IMAGES {
        return;
    }
    let first = image * ROWS;
    for (var row = first + lane; row < first + ROWS; row += 256u) {
        let score = scores[row];
        left[row] = select(GONE, score, score > THRESHOLD && classes[row] >= 0);
    }
    var count = 0u;
    // What stayed last: no class is negative.
    var last = vec4(0.0);
    var last_class = -1;
    for (; count < MOST; count++) {
        var best = Best(GONE, ROWS);
        for (var i = lane; i < ROWS; i += 256u) {
            let row = first + i;
            let score = left[row];
            if score > GONE {
                if classes[row] == last_class && is_same(last, boxes[row]) {
                    left[row] = GONE;
                } else if score > best.score {
                    best = Best(score, i);
                }
            }
        }
        let at = best_of_all(best, lane);
        if at == ROWS {
            break;
        }
        last = boxes[first + at];
        last_class = classes[first + at];
        if lane == at % 256u {
            let to = image * MOST + count;
            kept[to] = last;
            kept_scores[to] = left[first + at];
            kept_classes[to] = last_class;
            left[first + at] = GONE;
        }
    }
    for (var i = count + lane; i < MOST; i += 256u) {
        kept[image * MOST + i] = vec4(0.0);
        kept_scores[image * MOST + i] = 0.0;
        kept_classes[image * MOST + i] = -1;
    }
}
