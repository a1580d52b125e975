// softmax, or where LOG its logarithm, over COLUMNS elements that lie INNER apart. VECTOR only where INNER is 1.

#import rows

@group(0) @binding(0) var<storage, read> x: array<Elem>;
@group(0) @binding(1) var<storage, read_write> y: array<Elem>;
@group(0) @binding(0) var<storage, read> saved_y: array<Elem>;
@group(0) @binding(1) var<storage, read> dy: array<Elem>;
@group(0) @binding(2) var<storage, read_write> dx: array<Elem>;

fn start_of(row: u32) -> u32 {
    return (row / INNER) * ELEMS * INNER + row % INNER;
}

@compute @workgroup_size(WORKGROUP)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = row_of(flat_workgroup(workgroup, grid), lane);
    if row >= ROWS {
        return;
    }
    let start = start_of(row);
    let first = first_of(lane);
    var tops = Elem(LOWEST);
    for (var i = first; i < ELEMS; i += STEP) {
        tops = max(tops, x[start + i * INNER]);
    }
    let top = row_max(vec4(elem_max(tops)), lane).x;
    var exps = Elem(0.0);
    for (var i = first; i < ELEMS; i += STEP) {
        exps += exp(x[start + i * INNER] - top);
    }
    let sum = row_sum(vec4(elem_sum(exps)), lane).x;
#if LOG
    let log_sum = log(sum);
#else
    let inverse = 1.0 / sum;
#end
    for (var i = first; i < ELEMS; i += STEP) {
        let at = start + i * INNER;
#if LOG
        y[at] = (x[at] - top) - log_sum;
#else
        y[at] = exp(x[at] - top) * inverse;
#end
    }
}

@compute @workgroup_size(WORKGROUP)
fn backward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = row_of(flat_workgroup(workgroup, grid), lane);
    if row >= ROWS {
        return;
    }
    let start = start_of(row);
    let first = first_of(lane);
    var sums = Elem(0.0);
    for (var i = first; i < ELEMS; i += STEP) {
        let at = start + i * INNER;
#if LOG
        sums += dy[at];
#else
        sums += dy[at] * saved_y[at];
#end
    }
    let sum = row_sum(vec4(elem_sum(sums)), lane).x;
    for (var i = first; i < ELEMS; i += STEP) {
        let at = start + i * INNER;
#if LOG
        dx[at] = dy[at] - exp(saved_y[at]) * sum;
#else
        dx[at] = saved_y[at] * (dy[at] - sum);
#end
    }
}
