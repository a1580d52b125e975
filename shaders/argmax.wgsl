// y[o] = place of the maximum among the elements that output o reduces, the first one of equals; and the gradient of
// max, which goes to that place.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(0) var<storage, read> place: array<i32>;
@group(0) @binding(1) var<storage, read_write> y: array<i32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

// LANES of a workgroup: a multiple of 8.
var<workgroup> values: array<f32, LANES>;
var<workgroup> places: array<u32, LANES>;

struct Best {
    value: f32,
    place: u32,
}

fn kept_offset(o: u32) -> u32 {
    var offset = o / KEPT_OUTER_PITCH * KEPT_OUTER_STRIDE;
#repeat d KEPT_INNER
    offset += o / KEPT_PITCH{d} % KEPT_SIZE{d} * KEPT_STRIDE{d};
#end
    return offset;
}

fn reduced_offset(r: u32) -> u32 {
    var offset = r / REDUCED_OUTER_PITCH * REDUCED_OUTER_STRIDE;
#repeat d REDUCED_INNER
    offset += r / REDUCED_PITCH{d} % REDUCED_SIZE{d} * REDUCED_STRIDE{d};
#end
    return offset;
}

fn better(a: Best, b: Best) -> Best {
    if b.value > a.value || (b.value == a.value && b.place < a.place) {
        return b;
    }
    return a;
}

fn scan(base: u32, first: u32, step: u32) -> Best {
    // Element 0 as the start: a lane that reads nothing else then loses to its finder, or agrees with it.
    var best = Best(x[base], 0u);
    for (var r = first; r < REDUCED; r += step) {
        best = better(best, Best(x[base + reduced_offset(r)], r));
    }
    return best;
}

// One invocation an output.
@compute @workgroup_size(LANES)
fn serial(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let o = flat_workgroup(workgroup, grid) * LANES + lane;
    if o < OUTPUTS {
        y[o] = i32(scan(kept_offset(o), 1u, 1u).place);
    }
}

// One workgroup an output.
@compute @workgroup_size(LANES)
fn cooperative(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let o = flat_workgroup(workgroup, grid);
    if o >= OUTPUTS {
        return;
    }
    let mine = scan(kept_offset(o), lane, LANES);
    values[lane] = mine.value;
    places[lane] = mine.place;
    workgroupBarrier();
    // By eights: two barriers instead of one each halving.
    if lane < LANES / 8u {
        var best = Best(values[lane * 8u], places[lane * 8u]);
        for (var j = 1u; j < 8u; j++) {
            best = better(best, Best(values[lane * 8u + j], places[lane * 8u + j]));
        }
        values[lane * 8u] = best.value;
        places[lane * 8u] = best.place;
    }
    workgroupBarrier();
    if lane == 0u {
        var best = Best(values[0], places[0]);
        for (var j = 1u; j < LANES / 8u; j++) {
            best = better(best, Best(values[j * 8u], places[j * 8u]));
        }
        y[o] = i32(best.place);
    }
}

// Output that element i of x belongs to.
fn output_of(i: u32) -> u32 {
    var o = i / OUTPUT_OUTER_PITCH * OUTPUT_OUTER_STRIDE;
#repeat d OUTPUT_INNER
    o += i / OUTPUT_PITCH{d} % OUTPUT_SIZE{d} * OUTPUT_STRIDE{d};
#end
    return o;
}

// Place of element i of x among those that its output reduces.
fn place_of(i: u32) -> u32 {
    var r = i / PLACE_OUTER_PITCH * PLACE_OUTER_STRIDE;
#repeat d PLACE_INNER
    r += i / PLACE_PITCH{d} % PLACE_SIZE{d} * PLACE_STRIDE{d};
#end
    return r;
}

// dx = dy at the maximum, 0 elsewhere.
@compute @workgroup_size(256)
fn backward_max(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i < LEN {
        let o = output_of(i);
        dx[i] = select(0.0, dy[o], u32(place[o]) == place_of(i));
    }
}
