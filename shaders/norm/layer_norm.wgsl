// Layer normalisation of (ROWS, COLUMNS) over columns. A row's stats: (mean, 1 / std). Where a residual is added to x (RESIDUAL), the
// sum is what is normalised; it is kept for the gradient (KEPT) where there will be one.

#import rows

@group(0) @binding(0) var<storage, read> x: array<Elem>; // (ROWS, COLUMNS)
@group(0) @binding(1) var<storage, read> gamma: array<Elem>; // (COLUMNS)
@group(0) @binding(2) var<storage, read> beta: array<Elem>; // (COLUMNS)
@group(0) @binding(2) var<storage, read> dy: array<Elem>; // (ROWS, COLUMNS)
@group(0) @binding(3) var<storage, read_write> y: array<Elem>;
@group(0) @binding(3) var<storage, read> saved_stats: array<vec2<f32>>; // (ROWS, 2)
@group(0) @binding(4) var<storage, read_write> stats: array<vec2<f32>>; // (ROWS, 2)
@group(0) @binding(4) var<storage, read_write> dx: array<Elem>;
@group(0) @binding(4) var<storage, read_write> partials: array<Elem>; // (CHUNKS, 2, COLUMNS)
@group(0) @binding(0) var<storage, read> finished: array<Elem>; // (CHUNKS, 2, COLUMNS)
#if RESIDUAL
@group(0) @binding(5) var<storage, read> residual: array<Elem>; // (ROWS, COLUMNS)
#end
#if KEPT
@group(0) @binding(6) var<storage, read_write> total: array<Elem>; // (ROWS, COLUMNS)
#end
@group(0) @binding(5) var<storage, read_write> dgamma: array<Elem>; // (COLUMNS)
@group(0) @binding(6) var<storage, read_write> dbeta: array<Elem>; // (COLUMNS)

// What is normalised.
fn value(i: u32) -> Elem {
#if RESIDUAL
    return x[i] + residual[i];
#else
    return x[i];
#end
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
    let base = row * ELEMS;
    let first = first_of(lane);
    // Distances from the row's first element: a plain sum of numbers far from zero would lose the mean.
    let shift = first_element(value(base));
    var sum = Elem(0.0);
    for (var i = first; i < ELEMS; i += STEP) {
        let v = value(base + i);
#if KEPT
        total[base + i] = v;
#end
        sum += v - shift;
    }
    let offset = row_sum(vec4(elem_sum(sum)), lane).x / f32(COLUMNS);
    var squares = Elem(0.0);
    // What rounding left out of the mean: sums of two f16 lie on a grid, and a long row of them rounds one way more than the other.
    var rest = Elem(0.0);
    for (var i = first; i < ELEMS; i += STEP) {
        let d = (value(base + i) - shift) - offset;
        squares += d * d;
#if RESIDUAL
        rest += d;
#end
    }
    let sums = row_sum(vec4(elem_sum(squares), elem_sum(rest), 0.0, 0.0), lane) / f32(COLUMNS);
    let rstd = 1.0 / sqrt(sums.x + EPS);
    let mean = offset + sums.y;
    if first == 0u {
        stats[row] = vec2(shift + mean, rstd);
    }
    for (var i = first; i < ELEMS; i += STEP) {
        y[base + i] = ((value(base + i) - shift) - mean) * rstd * gamma[i] + beta[i];
    }
}

@compute @workgroup_size(WORKGROUP)
fn backward_x(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = row_of(flat_workgroup(workgroup, grid), lane);
    if row >= ROWS {
        return;
    }
    let base = row * ELEMS;
    let first = first_of(lane);
    let row_stats = saved_stats[row];
    var sum = Elem(0.0);
    var products = Elem(0.0);
    for (var i = first; i < ELEMS; i += STEP) {
        let d = dy[base + i] * gamma[i];
        sum += d;
        products += d * (x[base + i] - row_stats.x);
    }
    let sums = row_sum(vec4(elem_sum(sum), elem_sum(products) * row_stats.y, 0.0, 0.0), lane) / f32(COLUMNS);
    for (var i = first; i < ELEMS; i += STEP) {
        let unit = (x[base + i] - row_stats.x) * row_stats.y;
        dx[base + i] = row_stats.y * (dy[base + i] * gamma[i] - sums.x - unit * sums.y);
    }
}

// dgamma and dbeta: an invocation sums one column over PER rows; CHUNKS of them share a column.
@compute @workgroup_size(WORKGROUP)
fn backward_affine(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = flat_workgroup(workgroup, grid) * WORKGROUP + lane;
    let chunk = at / ELEMS;
    if chunk >= CHUNKS {
        return;
    }
    let column = at % ELEMS;
    var sum = Elem(0.0);
    var products = Elem(0.0);
    for (var row = chunk * PER; row < min(chunk * PER + PER, ROWS); row++) {
        let row_stats = saved_stats[row];
        let d = dy[row * ELEMS + column];
        sum += d;
        products += d * ((x[row * ELEMS + column] - row_stats.x) * row_stats.y);
    }
#if DIRECT
    dgamma[column] = products;
    dbeta[column] = sum;
#else
    partials[2u * chunk * ELEMS + column] = products;
    partials[(2u * chunk + 1u) * ELEMS + column] = sum;
#end
}

@compute @workgroup_size(WORKGROUP)
fn backward_finish(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let column = flat_workgroup(workgroup, grid) * WORKGROUP + lane;
    if column >= ELEMS {
        return;
    }
    var sum = Elem(0.0);
    var products = Elem(0.0);
    for (var chunk = 0u; chunk < CHUNKS; chunk++) {
        products += finished[2u * chunk * ELEMS + column];
        sum += finished[(2u * chunk + 1u) * ELEMS + column];
    }
    dgamma[column] = products;
    dbeta[column] = sum;
}
