// bank[ids[n]] = the direction of KEEP * bank[ids[n]] + (1 - KEEP) * v[n]; a workgroup a row of v.

@group(0) @binding(0) var<storage, read_write> bank: array<f32>;
@group(0) @binding(1) var<storage, read> ids: array<i32>;
@group(0) @binding(2) var<storage, read> v: array<f32>;

var<workgroup> squares: array<f32, 64>;

@compute @workgroup_size(64)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let group = flat_workgroup(workgroup, grid);
    let n = min(group, ROWS - 1u);
    let id = ids[n];
    var mine = group < ROWS && id >= 0 && u32(id) < BANK;
    // Where several rows have one id the last is kept: two workgroups must not write one row.
    for (var later = n + 1u; later < ROWS; later++) {
        mine = mine && ids[later] != id;
    }
    let base = u32(max(id, 0)) % BANK * COLUMNS;
    var sum = 0.0;
    if mine {
        for (var d = lane; d < COLUMNS; d += 64u) {
            let mixed = KEEP * bank[base + d] + (1.0 - KEEP) * v[n * COLUMNS + d];
            sum += mixed * mixed;
        }
    }
    squares[lane] = sum;
    workgroupBarrier();
    var total = 0.0;
    for (var i = 0u; i < 64u; i++) {
        total += squares[i];
    }
    let factor = 1.0 / sqrt(max(total, 1e-24));
    if mine {
        for (var d = lane; d < COLUMNS; d += 64u) {
            let mixed = KEEP * bank[base + d] + (1.0 - KEEP) * v[n * COLUMNS + d];
            bank[base + d] = mixed * factor;
        }
    }
}
