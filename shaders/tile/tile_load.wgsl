// What the tile engines that stage A and B in workgroup memory put there: zeros of A from k_end on, so that
// whole tiles can be multiplied; rows and columns beyond C repeat the last one and are not stored.

fn load_a(batch: u32, m: u32, k: u32, k_end: u32) -> f32 {
    return select(0.0, a_at(batch, min(m, M - 1u), min(k, K - 1u)), k < k_end);
}

fn load_b(batch: u32, k: u32, n: u32) -> f32 {
    // Beyond k_end the A side is zero, so any finite value will do.
    return b_at(b_row(batch, min(k, K - 1u)), b_column(batch, min(n, N - 1u)));
}
