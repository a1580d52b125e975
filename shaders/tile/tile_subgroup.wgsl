// Tile engine for subgroups of 8: a subgroup computes (8 * ROWS) x (32 * QUADS) outputs of
// C[m, n] = sum_k A[m, k] B[k, n].
//
// Lane l owns the four columns from n_base + 32g + 4l on, for each quad g, and loads the A rows
// m_base + ROWS * l + j; every lane then gets every row by broadcast, which costs an ALU operation where a load
// costs ten. The loader file (gemm.wgsl, conv2d.wgsl) says what A and B are; tile_store writes
// C.
//
// Constants: M, N, K, BATCH, K_SLICES, K_SLICE (a multiple of UNROLL), ROWS (1..4), QUADS, UNROLL (1 to 4, a divisor of K;
// 4 where a side is read as vec4 along k),
// A_K4 / A_M4 (A is read as vec4 along k / along m), B_K4 / B_N4 (B likewise).

#import tile_store

const TILE_M: u32 = 8u * ROWS;
const TILE_N: u32 = 32u * QUADS;
const TILES_M: u32 = (M + TILE_M - 1u) / TILE_M;
const TILES_N: u32 = (N + TILE_N - 1u) / TILE_N;

@compute @workgroup_size(8)
fn tile(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let flat = flat_workgroup(workgroup, grid);
    if flat >= TILES_M * TILES_N * BATCH * K_SLICES {
        return;
    }
    let m_base = (flat % TILES_M) * TILE_M;
    let n_base = ((flat / TILES_M) % TILES_N) * TILE_N;
    let batch = (flat / (TILES_M * TILES_N)) % BATCH;
    let slice = flat / (TILES_M * TILES_N * BATCH);
    let m = m_base + ROWS * lane;
#repeat g QUADS
    let n{g} = n_base + 32u * {g}u + 4u * lane;
#repeat c 4
    // Columns and rows beyond the edge repeat the last one; they are computed and not stored.
    let column{g}_{c} = b_column(batch, min(n{g} + {c}u, N - 1u));
#end
#end
#repeat j ROWS
    let m{j} = min(m + {j}u, M - 1u);
#end
#repeat j ROWS
#repeat r 8
#repeat g QUADS
    var acc{j}_{r}_{g} = vec4<f32>();
#end
#end
#end
    let k_end = min((slice + 1u) * K_SLICE, K);
    for (var k = slice * K_SLICE; k < k_end; k += UNROLL) {
#if A_K4
#repeat j ROWS
        let a_k{j} = a_vec4(batch, m{j}, k);
#end
#end
#if B_K4
#repeat g QUADS
#repeat c 4
        let b_k{g}_{c} = b_vec4(b_row(batch, k), column{g}_{c});
#end
#end
#end
#repeat u UNROLL
        let row{u} = b_row(batch, k + {u}u);
#repeat g QUADS
#if B_K4
        let b{u}_{g} = vec4(b_k{g}_0[{u}], b_k{g}_1[{u}], b_k{g}_2[{u}], b_k{g}_3[{u}]);
#elif B_N4
        let b{u}_{g} = b_vec4(row{u}, column{g}_0);
#else
        let b{u}_{g} = vec4(
            b_at(row{u}, column{g}_0), b_at(row{u}, column{g}_1), b_at(row{u}, column{g}_2), b_at(row{u}, column{g}_3),
        );
#end
#end
#if A_K4
#elif A_M4
        let a_m{u} = a_vec4(batch, min(m, M - 4u), k + {u}u);
#else
#repeat j ROWS
        let a{u}_{j} = a_at(batch, m{j}, k + {u}u);
#end
#end
#end
        // All k of an accumulator before the next one: it then stays in a register meanwhile. All accumulators
        // together never fit the registers.
#repeat j ROWS
#repeat r 8
#repeat u UNROLL
#if A_K4
        let a{j}_{r}_{u} = vec4(subgroupBroadcast(a_k{j}[{u}], {r}u));
#elif A_M4
        let a{j}_{r}_{u} = vec4(subgroupBroadcast(a_m{u}[{j}], {r}u));
#else
        let a{j}_{r}_{u} = vec4(subgroupBroadcast(a{u}_{j}, {r}u));
#end
#end
#repeat g QUADS
#repeat u UNROLL
        acc{j}_{r}_{g} = fma(a{j}_{r}_{u}, b{u}_{g}, acc{j}_{r}_{g});
#end
#end
#end
#end
    }
#repeat j ROWS
#repeat r 8
#repeat g QUADS
    store(slice, batch, m_base + ROWS * {r}u + {j}u, n{g}, acc{j}_{r}_{g});
#end
#end
#end
}
