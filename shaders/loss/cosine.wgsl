// Mean over rows of 1 - cos(x, t).
// A row's stats: (x . t, |x|, |t|, 0), the norms as they are.

#import rows
#if LOSS
#import row_loss
#end

@group(0) @binding(0) var<storage, read> x: array<Elem>; // (N, D)
@group(0) @binding(1) var<storage, read> wanted: array<Elem>; // (N, D)
@group(0) @binding(2) var<storage, read_write> stats: array<vec4<f32>>; // (N, 4)
@group(0) @binding(2) var<storage, read> saved_stats: array<vec4<f32>>; // (N, 4)
@group(0) @binding(3) var<storage, read> dy: array<f32>; // (1)
@group(0) @binding(4) var<storage, read_write> gradient: array<Elem>; // (N, D)

fn row_loss(row: u32, lane: u32) -> vec2<f32> {
    let base = row * ELEMS;
    let first = first_of(lane);
    var products = Elem(0.0);
    var squares_x = Elem(0.0);
    var squares_t = Elem(0.0);
    for (var i = first; i < ELEMS; i += STEP) {
        let v = x[base + i];
        let t = wanted[base + i];
        products += v * t;
        squares_x += v * v;
        squares_t += t * t;
    }
    let sums = row_sum(vec4(elem_sum(products), elem_sum(squares_x), elem_sum(squares_t), 0.0), lane);
    let norms = sqrt(sums.yz);
    if first == 0u {
        stats[row] = vec4(sums.x, norms, 0.0);
    }
    let kept = max(norms, vec2(SMALLEST));
    return vec2(1.0 - sums.x / kept.x / kept.y, 1.0);
}

// The gradient of the tensor bound as x; the cosine is symmetric, so that BY_TARGET only swaps the norms.
@compute @workgroup_size(WORKGROUP)
fn backward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * WORKGROUP + lane;
    if i >= ROWS * ELEMS {
        return;
    }
    let row = saved_stats[i / ELEMS];
#if BY_TARGET
    let norms = row.zy;
#else
    let norms = row.yz;
#end
    let kept = max(norms, vec2(SMALLEST));
    // Where the norm is held at its smallest value it is a constant.
    let cosine = select(0.0, row.x / kept.x / kept.y, norms.x > SMALLEST);
    let unit_t = wanted[i] / kept.y;
    let unit_x = x[i] / kept.x;
    gradient[i] = (cosine * unit_x - unit_t) / kept.x * (dy[0] / f32(ROWS));
}
