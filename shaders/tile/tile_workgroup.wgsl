// Tile engine for every GPU: a workgroup of TM * TN invocations computes (4 BM TM) x (4 BN TN) outputs of
// C[m, n] = sum_k A[m, k] B[k, n], BM x BN blocks of 4 x 4 an invocation, with 16 values of k at a time staged in workgroup
// memory. An invocation's blocks lie TM (TN) blocks apart, so that neighbours read neighbouring words.
// The loader file (gemm.wgsl, conv2d.wgsl) says what A and B are; tile_store writes C.
//
// Constants: M, N, K, BATCH, K_SLICES, K_SLICE, TM, TN, BM, BN, A_K_FAST (neighbouring invocations load along k of A, where k
// is contiguous in memory), B_K_FAST likewise.

#import tile_load
#import tile_store

const TILE_K: u32 = 16u;
const QUADS_M: u32 = TM * BM;
const QUADS_N: u32 = TN * BN;
const TILE_M: u32 = 4u * QUADS_M;
const TILE_N: u32 = 4u * QUADS_N;
const TILES_M: u32 = (M + TILE_M - 1u) / TILE_M;
const TILES_N: u32 = (N + TILE_N - 1u) / TILE_N;

// Whole vec4 are written: a dynamic component store to workgroup memory races on some compilers.
var<workgroup> tile_a: array<vec4<f32>, TILE_K * QUADS_M>;
var<workgroup> tile_b: array<vec4<f32>, TILE_K * QUADS_N>;

@compute @workgroup_size(TM * TN)
fn tile(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let flat = flat_workgroup(workgroup, grid);
    // Surplus workgroups of a folded grid repeat the last tile.
    let job = min(flat, TILES_M * TILES_N * BATCH * K_SLICES - 1u);
    let m_base = (job % TILES_M) * TILE_M;
    let n_base = ((job / TILES_M) % TILES_N) * TILE_N;
    let batch = (job / (TILES_M * TILES_N)) % BATCH;
    let slice = job / (TILES_M * TILES_N * BATCH);
    let row = lane / TN;
    let column = lane % TN;
#repeat i BM
#repeat r 4
#repeat j BN
    var acc{i}_{r}_{j} = vec4<f32>();
#end
#end
#end
    let k_end = min((slice + 1u) * K_SLICE, K);
    for (var k0 = slice * K_SLICE; k0 < k_end; k0 += TILE_K) {
        for (var i = lane; i < TILE_K * QUADS_M; i += TM * TN) {
#if A_K_FAST
            let k = i % TILE_K;
            let q = i / TILE_K;
#else
            let k = i / QUADS_M;
            let q = i % QUADS_M;
#end
            let m = m_base + 4u * q;
            tile_a[k * QUADS_M + q] = vec4(
                load_a(batch, m, k0 + k, k_end),
                load_a(batch, m + 1u, k0 + k, k_end),
                load_a(batch, m + 2u, k0 + k, k_end),
                load_a(batch, m + 3u, k0 + k, k_end),
            );
        }
        for (var i = lane; i < TILE_K * QUADS_N; i += TM * TN) {
#if B_K_FAST
            let k = i % TILE_K;
            let q = i / TILE_K;
#else
            let k = i / QUADS_N;
            let q = i % QUADS_N;
#end
            let n = n_base + 4u * q;
            tile_b[k * QUADS_N + q] = vec4(
                load_b(batch, k0 + k, n),
                load_b(batch, k0 + k, n + 1u),
                load_b(batch, k0 + k, n + 2u),
                load_b(batch, k0 + k, n + 3u),
            );
        }
        workgroupBarrier();
#repeat u 16
        {
#repeat j BN
            let b{j} = tile_b[{u}u * QUADS_N + {j}u * TN + column];
#end
#repeat i BM
            let a{i} = tile_a[{u}u * QUADS_M + {i}u * TM + row];
#repeat r 4
#repeat j BN
            acc{i}_{r}_{j} = fma(vec4(a{i}[{r}]), b{j}, acc{i}_{r}_{j});
#end
#end
#end
        }
#end
        workgroupBarrier();
    }
#repeat i BM
#repeat r 4
#repeat j BN
    store(slice, batch, m_base + 4u * ({i}u * TM + row) + {r}u, n_base + 4u * ({j}u * TN + column), acc{i}_{r}_{j});
#end
#end
#end
}
