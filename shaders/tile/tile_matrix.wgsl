// Tile engine for cooperative matrices: a workgroup of SUBGROUPS_M x SUBGROUPS_N subgroups computes C[m, n] =
// sum_k A[m, k] B[k, n], BM x BN matrices of SIZE x SIZE a subgroup, with TILE_K values of k at a time staged
// in workgroup memory, where matrices are loaded from. Sums are f32. tile_load fills the tiles, so that
// sizes need not be multiples of anything; the loader file (gemm.wgsl, conv2d.wgsl) says what A and B are;
// tile_store writes C.
//
// Constants: M, N, K, BATCH, K_SLICES, K_SLICE, SIZE, SIZE_16 (it is 16, else 8), TILE_K (a multiple of SIZE), STEPS = TILE_K / SIZE,
// SUBGROUPS_M, SUBGROUPS_N, BM, BN, LANES (the most invocations of a subgroup), HALF (A and B are stored as
// f16, and staged so too), A_K_FAST (neighbouring invocations load along k of A, where k is contiguous in
// memory), B_K_FAST likewise; EMULATED: for tests on adapters without such matrices,
// tile_matrix_emulated.wgsl takes the place of the five built-in calls, and SIZE invocations that of a
// subgroup.
//
// A subgroup may turn out to have fewer invocations than LANES. There are more subgroups in the workgroup
// then: those compute once more what the last one does, and put it where it is not read. So no subgroup
// leaves early, and control flow is uniform.

#import tile_load
#import tile_store

#if EMULATED
#elif SIZE_16
alias MatrixA = coop_mat16x16<Element, A>;
alias MatrixB = coop_mat16x16<Element, B>;
alias MatrixC = coop_mat16x16<f32, C>;
#else
alias MatrixA = coop_mat8x8<Element, A>;
alias MatrixB = coop_mat8x8<Element, B>;
alias MatrixC = coop_mat8x8<f32, C>;
#end
#if HALF
alias Element = f16;
// Vulkan wants every row of a matrix at a multiple of 16 bytes.
const PAD: u32 = 8u;
#else
alias Element = f32;
const PAD: u32 = 4u;
#end

const SUBGROUPS: u32 = SUBGROUPS_M * SUBGROUPS_N;
const INVOCATIONS: u32 = SUBGROUPS * LANES;
const TILE_M: u32 = SUBGROUPS_M * BM * SIZE;
const TILE_N: u32 = SUBGROUPS_N * BN * SIZE;
const TILES_M: u32 = (M + TILE_M - 1u) / TILE_M;
const TILES_N: u32 = (N + TILE_N - 1u) / TILE_N;
// The padding also spreads the rows of a matrix over the banks of the memory.
const STRIDE_A: u32 = TILE_K + PAD;
const STRIDE_B: u32 = TILE_N + PAD;
// BN matrices side by side, by which a subgroup hands its results to all invocations.
const STRIDE_C: u32 = BN * SIZE;
const STRIP: u32 = SIZE * STRIDE_C;

var<workgroup> tile_a: array<Element, TILE_M * STRIDE_A>;
var<workgroup> tile_b: array<Element, TILE_K * STRIDE_B>;
var<workgroup> strips: array<f32, (SUBGROUPS + 1u) * STRIP>;

@compute @workgroup_size(INVOCATIONS)
fn tile(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
#if EMULATED
#else
    @builtin(subgroup_id) subgroup: u32,
#end
) {
#if EMULATED
    let subgroup = lane / SIZE;
#end
    let flat = flat_workgroup(workgroup, grid);
    // Surplus workgroups of a folded grid repeat the last tile.
    let job = min(flat, TILES_M * TILES_N * BATCH * K_SLICES - 1u);
    let m_base = (job % TILES_M) * TILE_M;
    let n_base = ((job / TILES_M) % TILES_N) * TILE_N;
    let batch = (job / (TILES_M * TILES_N)) % BATCH;
    let slice = job / (TILES_M * TILES_N * BATCH);
    // Where this subgroup's matrices start in the tile, and where it puts them.
    let mine = min(subgroup, SUBGROUPS - 1u);
    let row = (mine / SUBGROUPS_N) * BM * SIZE;
    let column = (mine % SUBGROUPS_N) * BN * SIZE;
    let strip = min(subgroup, SUBGROUPS) * STRIP;

    // A matrix of zeros comes from memory too: what a new one holds is not the same in every language.
    for (var i = lane; i < STRIP; i += INVOCATIONS) {
        strips[i] = 0.0;
    }
    workgroupBarrier();
#repeat i BM
#repeat j BN
#if EMULATED
    var acc{i}_{j} = load_row(lane % SIZE, 0u, STRIDE_C);
#else
    var acc{i}_{j} = coopLoadT<MatrixC>(&strips[0], STRIDE_C);
#end
#end
#end
    let k_end = min((slice + 1u) * K_SLICE, K);
    for (var k0 = slice * K_SLICE; k0 < k_end; k0 += TILE_K) {
        for (var i = lane; i < TILE_M * TILE_K; i += INVOCATIONS) {
#if A_K_FAST
            let k = i % TILE_K;
            let m = i / TILE_K;
#else
            let k = i / TILE_M;
            let m = i % TILE_M;
#end
            tile_a[m * STRIDE_A + k] = Element(load_a(batch, m_base + m, k0 + k, k_end));
        }
        for (var i = lane; i < TILE_K * TILE_N; i += INVOCATIONS) {
#if B_K_FAST
            let k = i % TILE_K;
            let n = i / TILE_K;
#else
            let k = i / TILE_N;
            let n = i % TILE_N;
#end
            tile_b[k * STRIDE_B + n] = Element(load_b(batch, k0 + k, n_base + n));
        }
        workgroupBarrier();
#repeat s STEPS
        {
#repeat j BN
#if EMULATED
            let b{j} = {s}u * SIZE * STRIDE_B + column + {j}u * SIZE;
#else
            let b{j} = coopLoadT<MatrixB>(&tile_b[{s}u * SIZE * STRIDE_B + column + {j}u * SIZE], STRIDE_B);
#end
#end
#repeat i BM
#if EMULATED
            let a{i} = (row + {i}u * SIZE) * STRIDE_A + {s}u * SIZE;
#else
            let a{i} = coopLoadT<MatrixA>(&tile_a[(row + {i}u * SIZE) * STRIDE_A + {s}u * SIZE], STRIDE_A);
#end
#repeat j BN
#if EMULATED
            multiply_add(lane % SIZE, a{i}, STRIDE_A, b{j}, STRIDE_B, &acc{i}_{j});
#else
            acc{i}_{j} = coopMultiplyAdd(a{i}, b{j}, acc{i}_{j});
#end
#end
#end
        }
#end
        workgroupBarrier();
    }
#repeat i BM
#repeat j BN
#if EMULATED
    store_row(lane % SIZE, acc{i}_{j}, strip + {j}u * SIZE, STRIDE_C);
#else
    coopStoreT(acc{i}_{j}, &strips[strip + {j}u * SIZE], STRIDE_C);
#end
#end
    workgroupBarrier();
    for (var q = 4u * lane; q < SUBGROUPS * STRIP; q += 4u * INVOCATIONS) {
        let origin = q / STRIP;
        let m = m_base + ((origin / SUBGROUPS_N) * BM + {i}u) * SIZE + (q % STRIP) / STRIDE_C;
        let n = n_base + (origin % SUBGROUPS_N) * BN * SIZE + q % STRIDE_C;
        store(slice, batch, m, n, vec4(strips[q], strips[q + 1u], strips[q + 2u], strips[q + 3u]));
    }
    workgroupBarrier();
#end
}
