// Rows of a table by number, and the table's gradient. A row is WIDTH items: vectors of four where its numbers are a multiple
// of four, else single numbers.

@group(0) @binding(0) var<storage, read> table: array<f32>;
@group(0) @binding(0) var<storage, read> table4: array<vec4<f32>>;
@group(0) @binding(0) var<storage, read> ids: array<i32>;
@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(0) var<storage, read> dy4: array<vec4<f32>>;
@group(0) @binding(0) var<storage, read_write> cleared: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> rows: array<i32>;
@group(0) @binding(1) var<storage, read_write> order: array<i32>;
@group(0) @binding(2) var<storage, read> sorted: array<i32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> y4: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> dtable: array<f32>;
@group(0) @binding(3) var<storage, read_write> dtable4: array<vec4<f32>>;

// What stands for a row that is none: 0 for -1, NaN for other numbers out of range.
fn no_row(id: i32) -> f32 {
    var nan = 0x7fc00000u;
    return select(bitcast<f32>(nan), 0.0, id == -1);
}

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i >= LEN {
        return;
    }
    let id = rows[i / WIDTH];
    if id >= 0 && id < ROWS {
        y[i] = table[u32(id) * WIDTH + i % WIDTH];
    } else {
        y[i] = no_row(id);
    }
}

@compute @workgroup_size(256)
fn forward_vectors(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i >= LEN {
        return;
    }
    let id = rows[i / WIDTH];
    if id >= 0 && id < ROWS {
        y4[i] = table4[u32(id) * WIDTH + i % WIDTH];
    } else {
        y4[i] = vec4(no_row(id));
    }
}

// Where the tokens are when they are sorted by row, those of one row in their order: the place of each is the number of
// tokens before it.
@compute @workgroup_size(256)
fn sort(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let n = flat_workgroup(workgroup, grid) * 256u + lane;
    if n >= LEN {
        return;
    }
    let id = ids[n];
    var place = 0u;
    for (var m = 0u; m < LEN; m++) {
        let other = ids[m];
        place += u32(other < id || (other == id && m < n));
    }
    order[place] = i32(n);
}

@compute @workgroup_size(256)
fn clear(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i < VEC4S {
        cleared[i] = vec4<f32>();
    }
}

// Whether token k of the sorted ones is the first of a row of the table.
fn begins(k: u32) -> bool {
    let id = rows[sorted[k]];
    return id >= 0 && id < ROWS && (k == 0u || rows[sorted[max(k, 1u) - 1u]] != id);
}

// The first token of each row adds up what all of them say, in their order: no atomics.
@compute @workgroup_size(256)
fn backward_table(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    let first = i / WIDTH;
    if i >= LEN || !begins(first) {
        return;
    }
    let id = rows[sorted[first]];
    var sum = 0.0;
    for (var k = first; k < TOKENS && rows[sorted[min(k, TOKENS - 1u)]] == id; k++) {
        sum += dy[u32(sorted[k]) * WIDTH + i % WIDTH];
    }
    dtable[u32(id) * WIDTH + i % WIDTH] = sum;
}

@compute @workgroup_size(256)
fn backward_vectors(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    let first = i / WIDTH;
    if i >= LEN || !begins(first) {
        return;
    }
    let id = rows[sorted[first]];
    var sum = vec4<f32>();
    for (var k = first; k < TOKENS && rows[sorted[min(k, TOKENS - 1u)]] == id; k++) {
        sum += dy4[u32(sorted[k]) * WIDTH + i % WIDTH];
    }
    dtable4[u32(id) * WIDTH + i % WIDTH] = sum;
}
