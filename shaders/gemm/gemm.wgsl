// Loader of the tile engines for C = op(A) op(B): A is (BATCH, M, K) or transposed (BATCH, K, M), B is (BATCH, K, N) or
// transposed (BATCH, N, K); SHARED_B: one B for every batch; PACKED_B: columns to a panel of B, which then is
// (BATCH, N / PACKED_B, K, PACKED_B), or 0.

#import tile_store

#if A_VEC4
@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
#else
@group(0) @binding(0) var<storage, read> a: array<f32>;
#end
#if B_VEC4
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
#else
@group(0) @binding(1) var<storage, read> b: array<f32>;
#end
@group(0) @binding(2) var<storage, read> bias: array<f32>;

fn a_index(batch: u32, m: u32, k: u32) -> u32 {
#if TRANS_A
    return batch * M * K + k * M + m;
#else
    return batch * M * K + m * K + k;
#end
}

#if A_VEC4
fn a_vec4(batch: u32, m: u32, k: u32) -> vec4<f32> {
    return a[a_index(batch, m, k) / 4u];
}
#else
fn a_at(batch: u32, m: u32, k: u32) -> f32 {
    return a[a_index(batch, m, k)];
}
#end

fn b_column(batch: u32, n: u32) -> u32 {
#if TRANS_B
    return n * K;
#elif PACKED_B
    return n / PACKED_B * (K * PACKED_B) + n % PACKED_B;
#else
    return n;
#end
}

fn b_row(batch: u32, k: u32) -> u32 {
#if SHARED_B
    let start = 0u;
#else
    let start = batch * K * N;
#end
#if TRANS_B
    return start + k;
#elif PACKED_B
    return start + k * PACKED_B;
#else
    return start + k * N;
#end
}

#if B_VEC4
fn b_vec4(row: u32, column: u32) -> vec4<f32> {
    return b[(row + column) / 4u];
}
#else
fn b_at(row: u32, column: u32) -> f32 {
    return b[row + column];
}
#end

fn out_index(batch: u32, m: u32, n: u32) -> u32 {
    return (batch * M + m) * N + n;
}
