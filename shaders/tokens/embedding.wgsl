// Rows of a table by number, and the table's gradient. A row is WIDTH items.

// Four numbers at once where a row has a multiple of four.
#if FOUR
alias Item = vec4<f32>;
#else
alias Item = f32;
#end

@group(0) @binding(0) var<storage, read> table: array<Item>;
@group(0) @binding(0) var<storage, read> ids: array<i32>;
@group(0) @binding(0) var<storage, read> dy: array<Item>;
@group(0) @binding(0) var<storage, read_write> cleared: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> rows: array<i32>;
@group(0) @binding(1) var<storage, read_write> order: array<i32>;
@group(0) @binding(2) var<storage, read> sorted: array<i32>;
@group(0) @binding(2) var<storage, read_write> y: array<Item>;
@group(0) @binding(3) var<storage, read_write> dtable: array<Item>;

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
        y[i] = Item(no_row(id));
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
    var sum = Item();
    for (var k = first; k < TOKENS && rows[sorted[min(k, TOKENS - 1u)]] == id; k++) {
        sum += dy[u32(sorted[k]) * WIDTH + i % WIDTH];
    }
    dtable[u32(id) * WIDTH + i % WIDTH] = sum;
}
