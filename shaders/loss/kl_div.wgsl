// FACTOR * sum over rows of KL(softmax(z_t / T) || softmax(z_s / T)), without storing probabilities.
// A row's stats: (max z_s, log sum of the student, max z_t, log sum of the teacher).

#import rows
#if LOSS
#import row_loss
#end

@group(0) @binding(0) var<storage, read> student: array<Elem>; // (N, C)
@group(0) @binding(1) var<storage, read> teacher: array<Elem>; // (N, C)
@group(0) @binding(2) var<storage, read_write> stats: array<vec4<f32>>; // (N, 4)
@group(0) @binding(2) var<storage, read> saved_stats: array<vec4<f32>>; // (N, 4)
@group(0) @binding(3) var<storage, read> dy: array<f32>; // (1)
@group(0) @binding(4) var<storage, read_write> dx: array<Elem>; // (N, C)

fn row_loss(row: u32, lane: u32) -> vec2<f32> {
    let base = row * ELEMS;
    let first = first_of(lane);
    var tops_s = Elem(LOWEST);
    var tops_t = Elem(LOWEST);
    for (var i = first; i < ELEMS; i += STEP) {
        tops_s = max(tops_s, student[base + i]);
        tops_t = max(tops_t, teacher[base + i]);
    }
    let tops = row_max(vec4(elem_max(tops_s), elem_max(tops_t), 0.0, 0.0), lane);
    var exps_s = Elem(0.0);
    var exps_t = Elem(0.0);
    var gaps = Elem(0.0);
    for (var i = first; i < ELEMS; i += STEP) {
        let s = (student[base + i] - tops.x) * INVERSE_TEMPERATURE;
        let t = (teacher[base + i] - tops.y) * INVERSE_TEMPERATURE;
        let weight = exp(t);
        exps_s += exp(s);
        exps_t += weight;
        gaps += weight * (t - s);
    }
    let sums = row_sum(vec4(elem_sum(exps_s), elem_sum(exps_t), elem_sum(gaps), 0.0), lane);
    let logs = log(sums.xy);
    if first == 0u {
        stats[row] = vec4(tops.x, logs.x, tops.y, logs.y);
    }
    return vec2(sums.z / sums.y + (logs.x - logs.y), 1.0);
}

// d / d student = GRADIENT * (p_s - p_t).
@compute @workgroup_size(WORKGROUP)
fn backward_student(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * WORKGROUP + lane;
    if i < ROWS * ELEMS {
        let row = saved_stats[i / ELEMS];
        let p_s = exp((student[i] - row.x) * INVERSE_TEMPERATURE - row.y);
        let p_t = exp((teacher[i] - row.z) * INVERSE_TEMPERATURE - row.w);
        dx[i] = (p_s - p_t) * (GRADIENT * dy[0]);
    }
}
