// y[o] = FACTOR * sum of x over the reduced dimensions, or the maximum. Deterministic: every order is fixed.
//
// Indices count Values: vec4 where the innermost dimension is a multiple of 4. If that dimension is reduced (ROWS), a
// vec4 is folded at the end and y is scalar; else y is vec4 too. With CHUNKS > 1 this is the first of two stages and y
// holds partial results: [CHUNKS][OUTPUTS] from `serial`, [OUTPUTS][CHUNKS] from `cooperative`.

#if VEC4
alias Value = vec4<f32>;
#else
alias Value = f32;
#end
#if ROWS
alias Result = f32;
#else
alias Result = Value;
#end

@group(0) @binding(0) var<storage, read> x: array<Value>;
@group(0) @binding(1) var<storage, read_write> y: array<Result>;

// LANES of a workgroup: a multiple of 8.
var<workgroup> partials: array<f32, LANES>;

// Offset in x of the first element that output o reduces.
fn kept_offset(o: u32) -> u32 {
    var offset = o / KEPT_OUTER_PITCH * KEPT_OUTER_STRIDE;
#repeat d KEPT_INNER
    offset += o / KEPT_PITCH{d} % KEPT_SIZE{d} * KEPT_STRIDE{d};
#end
    return offset;
}

// Offset of the r-th reduced element from the first.
fn reduced_offset(r: u32) -> u32 {
    var offset = r / REDUCED_OUTER_PITCH * REDUCED_OUTER_STRIDE;
#repeat d REDUCED_INNER
    offset += r / REDUCED_PITCH{d} % REDUCED_SIZE{d} * REDUCED_STRIDE{d};
#end
    return offset;
}

fn combine(a: Value, b: Value) -> Value {
#if MAX
    return max(a, b);
#else
    return a + b;
#end
}

fn combine_scalars(a: f32, b: f32) -> f32 {
#if MAX
    return max(a, b);
#else
    return a + b;
#end
}

// Combines x over first, first + step, ... below end. For a maximum the start is the element `start`, which belongs to
// the same output: no number is a safe start for it.
fn reduce(base: u32, start: u32, first: u32, end: u32, step: u32) -> Value {
#if MAX
    var total = x[base + reduced_offset(start)];
#else
    var total = Value();
#end
    for (var r = first; r < end; r += step) {
        total = combine(total, x[base + reduced_offset(r)]);
    }
    return total;
}

fn finish(total: Value) -> Result {
#if ROWS
#if VEC4
    return FACTOR * combine_scalars(combine_scalars(total.x, total.y), combine_scalars(total.z, total.w));
#else
    return FACTOR * total;
#end
#else
    return FACTOR * total;
#end
}

// One invocation an output and chunk.
@compute @workgroup_size(LANES)
fn serial(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * LANES + lane;
    if i >= OUTPUTS * CHUNKS {
        return;
    }
    let start = i / OUTPUTS * CHUNK;
    let end = min(start + CHUNK, REDUCED);
    y[i] = finish(reduce(kept_offset(i % OUTPUTS), start, start, end, 1u));
}

#if ROWS
// One workgroup an output and chunk: neighbouring lanes read neighbouring elements.
@compute @workgroup_size(LANES)
fn cooperative(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid);
    if i >= OUTPUTS * CHUNKS {
        return;
    }
    let start = i % CHUNKS * CHUNK;
    let end = min(start + CHUNK, REDUCED);
    partials[lane] = finish(reduce(kept_offset(i / CHUNKS), start, start + lane, end, LANES));
    workgroupBarrier();
    // By eights: two barriers instead of one each halving.
    if lane < LANES / 8u {
        var total = partials[lane * 8u];
        for (var j = 1u; j < 8u; j++) {
            total = combine_scalars(total, partials[lane * 8u + j]);
        }
        partials[lane * 8u] = total;
    }
    workgroupBarrier();
    if lane == 0u {
        var total = partials[0];
        for (var j = 1u; j < LANES / 8u; j++) {
            total = combine_scalars(total, partials[j * 8u]);
        }
        y[i] = total;
    }
}
#end
