// Rows of unit length. A row's norm is kept for the gradient.

#import rows

@group(0) @binding(0) var<storage, read> x: array<Elem>; // (ROWS, COLUMNS)
@group(0) @binding(0) var<storage, read> saved_y: array<Elem>; // (ROWS, COLUMNS)
@group(0) @binding(1) var<storage, read_write> y: array<Elem>; // (ROWS, COLUMNS)
@group(0) @binding(1) var<storage, read> saved_norms: array<f32>; // (ROWS)
@group(0) @binding(2) var<storage, read_write> norms: array<f32>; // (ROWS)
@group(0) @binding(2) var<storage, read> dy: array<Elem>; // (ROWS, COLUMNS)
@group(0) @binding(3) var<storage, read_write> dx: array<Elem>; // (ROWS, COLUMNS)

fn largest(row: u32, lane: u32) -> f32 {
    let base = row * ELEMS;
    var tops = Elem(0.0);
    for (var i = first_of(lane); i < ELEMS; i += STEP) {
        tops = max(tops, abs(x[base + i]));
    }
    return row_max(vec4(elem_max(tops)), lane).x;
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
    // In units of the largest element: squares of small numbers would be lost, those of large ones overflow.
    let top = largest(row, lane);
    let unit = select(1.0, top, top > SMALLEST);
    var squares = Elem(0.0);
    for (var i = first; i < ELEMS; i += STEP) {
        let v = x[base + i] / unit;
        squares += v * v;
    }
    let relative = sqrt(row_sum(vec4(elem_sum(squares)), lane).x);
    let norm = unit * relative;
    if first == 0u {
        norms[row] = norm;
    }
    for (var i = first; i < ELEMS; i += STEP) {
        y[base + i] = x[base + i] / max(norm, SMALLEST);
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
    let base = row * ELEMS;
    let first = first_of(lane);
    var products = Elem(0.0);
    for (var i = first; i < ELEMS; i += STEP) {
        products += saved_y[base + i] * dy[base + i];
    }
    let product = row_sum(vec4(elem_sum(products)), lane).x;
    let norm = saved_norms[row];
    for (var i = first; i < ELEMS; i += STEP) {
        let turned = (dy[base + i] - saved_y[base + i] * product) / max(norm, SMALLEST);
        dx[base + i] = select(Elem(0.0), turned, norm > SMALLEST);
    }
}
