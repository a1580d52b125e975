// How far the relations of a student's tokens are from those of a teacher's, one invocation for each token and head; heads
// side by side in a row, ITEMS0 items each of the student, ITEMS1 of the teacher. A score is a row of a by one of b.
//
// KL: of the softmax of the scores; else their squared difference. A (token, head)'s stats: the student's (largest score,
// weight / sum of exp(score - largest)), and the teacher's; the weight is 1 / (tokens of the text).

#import heads

@group(0) @binding(0) var<storage, read> student_a: array<Item>; // (TOKENS, HEADS, ITEMS0)
@group(0) @binding(1) var<storage, read> student_b: array<Item>;
@group(0) @binding(2) var<storage, read> teacher_a: array<Item>; // (TOKENS, HEADS, ITEMS1)
@group(0) @binding(3) var<storage, read> teacher_b: array<Item>;
@group(0) @binding(4) var<storage, read> ranges: array<vec2<i32>>; // (TOKENS, 2)
@group(0) @binding(5) var<storage, read_write> stats: array<vec4<f32>>; // (TOKENS, HEADS, 4)
@group(0) @binding(5) var<storage, read> saved_stats: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> losses: array<vec2<f32>>; // (TOKENS, HEADS, 2): loss, weight
@group(0) @binding(6) var<storage, read> factor: array<f32>; // (1)
@group(0) @binding(7) var<storage, read_write> gradient: array<Item>; // (TOKENS, HEADS, ITEMS0)

// Neighbouring invocations have neighbouring tokens, which read the same keys.
fn place(group: u32, lane: u32) -> vec2<u32> {
    let at = group * WORKGROUP + lane;
    return vec2(at % TOKENS, at / TOKENS);
}

// The gradient by the student's score, from both scores.
fn by_score(score: vec2<f32>, row: u32) -> f32 {
#if KL
    let saved = saved_stats[row];
    return exp(score.x - saved.x) * saved.y - exp(score.y - saved.z) * saved.w;
#else
    return 2.0 * (score.x - score.y);
#end
}

@compute @workgroup_size(WORKGROUP)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = place(flat_workgroup(workgroup, grid), lane);
    if at.y >= HEADS {
        return;
    }
    let row = at.x * HEADS + at.y;
    let range = range_of(at.x);
#repeat i ITEMS0
    let s{i} = student_a[row * ITEMS0 + {i}u];
#end
#repeat i ITEMS1
    let t{i} = teacher_a[row * ITEMS1 + {i}u];
#end
    var top = vec2(LOWEST);
    var sum = vec2(0.0);
    var difference = 0.0;
    for (var key = range.x; key < range.y; key++) {
        let begin = key * HEADS + at.y;
        var student = Item();
        var teacher = Item();
#repeat i ITEMS0
        student += s{i} * student_b[begin * ITEMS0 + {i}u];
#end
#repeat i ITEMS1
        teacher += t{i} * teacher_b[begin * ITEMS1 + {i}u];
#end
        let score = vec2(item_sum(student), item_sum(teacher)) * vec2(SCALE0, SCALE1);
        let apart = score.y - score.x;
#if KL
        let new_top = max(top, score);
        let kept = exp(top - new_top);
        let e = exp(score - new_top);
        top = new_top;
        sum = sum * kept + e;
        difference = difference * kept.y + e.y * apart;
#else
        difference += apart * apart;
#end
    }
#if KL
    if range.x < range.y {
        let weight = 1.0 / text_length(at.x);
        let kl = difference / sum.y - (top.y - top.x) - (log(sum.y) - log(sum.x));
        stats[row] = vec4(top.x, weight / sum.x, top.y, weight / sum.y);
        losses[row] = vec2(kl * weight, weight);
    } else {
        stats[row] = vec4(0.0);
        losses[row] = vec2(0.0);
    }
#else
    losses[row] = vec2(difference, f32(max(range.y, range.x) - range.x));
#end
}

@compute @workgroup_size(WORKGROUP)
fn backward_queries(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = place(flat_workgroup(workgroup, grid), lane);
    if at.y >= HEADS {
        return;
    }
    let row = at.x * HEADS + at.y;
    let range = range_of(at.x);
#repeat i ITEMS0
    let s{i} = student_a[row * ITEMS0 + {i}u];
    var d{i} = Item();
#end
#repeat i ITEMS1
    let t{i} = teacher_a[row * ITEMS1 + {i}u];
#end
    for (var key = range.x; key < range.y; key++) {
        let begin = key * HEADS + at.y;
        var student = Item();
        var teacher = Item();
#repeat i ITEMS0
        let b{i} = student_b[begin * ITEMS0 + {i}u];
        student += s{i} * b{i};
#end
#repeat i ITEMS1
        teacher += t{i} * teacher_b[begin * ITEMS1 + {i}u];
#end
        let score = vec2(item_sum(student), item_sum(teacher)) * vec2(SCALE0, SCALE1);
        let d = by_score(score, row);
#repeat i ITEMS0
        d{i} += d * b{i};
#end
    }
    let scale = SCALE0 * factor[0];
#repeat i ITEMS0
    gradient[row * ITEMS0 + {i}u] = d{i} * scale;
#end
}

@compute @workgroup_size(WORKGROUP)
fn backward_keys(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = place(flat_workgroup(workgroup, grid), lane);
    if at.y >= HEADS {
        return;
    }
    let key = at.x;
    let row = key * HEADS + at.y;
#repeat i ITEMS0
    let s{i} = student_b[row * ITEMS0 + {i}u];
    var d{i} = Item();
#end
#repeat i ITEMS1
    let t{i} = teacher_b[row * ITEMS1 + {i}u];
#end
    for (var n = first_reader(key); n < TOKENS; n++) {
        let range = range_of(n);
        if is_past(range, key) {
            break;
        }
        if !sees(range, key) {
            continue;
        }
        let begin = n * HEADS + at.y;
        var student = Item();
        var teacher = Item();
#repeat i ITEMS0
        let a{i} = student_a[begin * ITEMS0 + {i}u];
        student += s{i} * a{i};
#end
#repeat i ITEMS1
        teacher += t{i} * teacher_a[begin * ITEMS1 + {i}u];
#end
        let score = vec2(item_sum(student), item_sum(teacher)) * vec2(SCALE0, SCALE1);
        let d = by_score(score, begin);
#repeat i ITEMS0
        d{i} += d * a{i};
#end
    }
    let scale = SCALE0 * factor[0];
#repeat i ITEMS0
    gradient[row * ITEMS0 + {i}u] = d{i} * scale;
#end
}
