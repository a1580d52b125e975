// Noise contrast of rows v (ROWS, COLUMNS) with their own and NEGATIVES drawn rows of a bank (BANK, COLUMNS).
// A workgroup takes CHUNK of the NEGATIVES + 1 rows that one v is compared with; column 0 is its own row.

@group(0) @binding(0) var<storage, read> v: array<f32>;
@group(0) @binding(1) var<storage, read> bank: array<f32>;
@group(0) @binding(2) var<storage, read> ids: array<i32>;
@group(0) @binding(3) var<storage, read> z_known: array<f32>;
@group(0) @binding(3) var<storage, read_write> estimate: array<f32>;
@group(0) @binding(4) var<uniform> step: Step;
@group(0) @binding(5) var<storage, read> sums: array<f32>;
@group(0) @binding(5) var<storage, read_write> partial: array<f32>;
@group(0) @binding(6) var<storage, read_write> loss: array<f32>;
@group(0) @binding(7) var<storage, read_write> dv: array<f32>;

// Keeps these draws apart from other uses of the same seed: "crd".
const DOMAIN: u32 = 0x637264u;
const COMPARED: u32 = NEGATIVES + 1u;

var<workgroup> index: array<u32, CHUNK>;
var<workgroup> residual: array<f32, CHUNK>;
var<workgroup> lane_sum: array<f32, 256>;

fn row_of(row: u32, k: u32) -> u32 {
    if k == 0u {
        return min(u32(max(ids[row], 0)), BANK - 1u);
    }
    return random_bits(step.seed_lo, step.seed_hi ^ DOMAIN, pcg(step.step), row * COMPARED + k) % BANK;
}

fn similarity(row: u32, other: u32) -> f32 {
    var sum = 0.0;
    for (var d = 0u; d < COLUMNS; d++) {
        sum += v[row * COLUMNS + d] * bank[other * COLUMNS + d];
    }
    return sum / TEMPERATURE;
}

// Sums of exp(similarity), one an invocation; nothing where the partition is known.
@compute @workgroup_size(64)
fn partition_sums(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = flat_workgroup(workgroup, grid);
    if at >= ROWS * CHUNKS || z_known[0] > 0.0 {
        return;
    }
    let row = at / CHUNKS;
    let end = min(at % CHUNKS * CHUNK + CHUNK, COMPARED);
    var sum = 0.0;
    for (var k = at % CHUNKS * CHUNK + lane; k < end; k += 64u) {
        sum += exp(similarity(row, row_of(row, k)));
    }
    partial[at * 64u + lane] = sum;
}

@compute @workgroup_size(256)
fn partition_finish(@builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    let known = estimate[0] > 0.0;
    if !known {
        for (var i = lane; i < ROWS * CHUNKS * 64u; i += 256u) {
            sum += sums[i];
        }
    }
    lane_sum[lane] = sum;
    workgroupBarrier();
    if lane == 0u && !known {
        var total = 0.0;
        for (var i = 0u; i < 256u; i++) {
            total += lane_sum[i];
        }
        estimate[0] = total / f32(ROWS * COMPARED) * f32(BANK);
    }
}

fn softplus(x: f32) -> f32 {
    let e = exp(-abs(x));
    return max(x, 0.0) + select(log(1.0 + e), e, e < 1e-4);
}

// For each chunk the loss and its gradient by v: partial (ROWS, CHUNKS, COLUMNS + 1), the loss behind the gradient.
@compute @workgroup_size(64)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = flat_workgroup(workgroup, grid);
    let inside = at < ROWS * CHUNKS;
    let row = min(at, ROWS * CHUNKS - 1u) / CHUNKS;
    let first = at % CHUNKS * CHUNK;
    let count = min(CHUNK, COMPARED - first);
    let offset = log(z_known[0] * (f32(NEGATIVES) / f32(BANK)));
    var own = 0.0;
    for (var j = lane; j < count; j += 64u) {
        let other = row_of(row, first + j);
        let logit = similarity(row, other) - offset;
        let positive = first + j == 0u;
        let e = exp(-abs(logit));
        // sigmoid(logit), less 1 where it should be 1: sigmoid(-logit) below zero, so that nothing cancels.
        let small = e / (1.0 + e);
        let large = 1.0 / (1.0 + e);
        index[j] = other;
        if positive {
            residual[j] = -select(large, small, logit >= 0.0);
            own += softplus(-logit);
        } else {
            residual[j] = select(small, large, logit >= 0.0);
            own += softplus(logit);
        }
    }
    lane_sum[lane] = own;
    workgroupBarrier();
    if !inside {
        return;
    }
    let base = at * (COLUMNS + 1u);
    for (var d = lane; d < COLUMNS; d += 64u) {
        var sum = 0.0;
        for (var j = 0u; j < count; j++) {
            sum += residual[j] * bank[index[j] * COLUMNS + d];
        }
        partial[base + d] = sum / TEMPERATURE;
    }
    if lane == 0u {
        var total = 0.0;
        for (var i = 0u; i < 64u; i++) {
            total += lane_sum[i];
        }
        partial[base + COLUMNS] = total;
    }
}

@compute @workgroup_size(256)
fn finish(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i >= ROWS * (COLUMNS + 1u) {
        return;
    }
    let row = i / (COLUMNS + 1u);
    let d = i % (COLUMNS + 1u);
    var sum = 0.0;
    for (var chunk = 0u; chunk < CHUNKS; chunk++) {
        sum += sums[(row * CHUNKS + chunk) * (COLUMNS + 1u) + d];
    }
    if d < COLUMNS {
        dv[row * COLUMNS + d] = sum;
    } else {
        loss[row] = sum;
    }
}
