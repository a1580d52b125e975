// An entry point of depthwise_rows.wgsl, which has the formula and the constants.

#import depthwise_rows

@compute @workgroup_size(64)
fn backward_x(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 64u + lane;
    if i >= LANES {
        return;
    }
    let strip = i % STRIPS;
    let first = i / STRIPS % CHUNKS * STEPS;
    let result = i / (STRIPS * CHUNKS);
    let plane = result * (X_H * X_W);
    var taps = weights(result % C_OUT);
    var rows: array<array<f32, NX>, WINDOW>;
#repeat k KEEP
    rows[{k}u + 1u] = x_row(plane, i32(first + {k}u) - i32(HALO_H), strip);
#end
    let end = min(first + STEPS, (H + S_H - 1u) / S_H);
    for (var step = first; step < end; step++) {
#repeat k KEEP
        rows[{k}] = rows[{k}u + 1u];
#end
        rows[KEEP] = x_row(plane, i32(step + KEEP) - i32(HALO_H), strip);
#repeat a S_H
        var results{a}: array<f32, COLUMNS>;
#repeat p COLUMNS
        var sum{a}_{p} = 0.0;
#repeat kh K_H
#repeat kw K_W
        // Constants: what is false costs nothing.
        if ({a}u + P_H + K_H * S_H - {kh}u) % S_H == 0u && ({p}u + P_W + K_W * S_W - {kw}u) % S_W == 0u {
            const ROW = ({a}u + P_H + K_H * S_H - {kh}u) / S_H + HALO_H - K_H;
            const COLUMN = ({p}u + P_W + K_W * S_W - {kw}u) / S_W + HALO - K_W;
            let value = rows[ROW][COLUMN];
            sum{a}_{p} = fma(taps[{kh}u * K_W + {kw}u], value, sum{a}_{p});
        }
#end
#end
        results{a}[{p}] = sum{a}_{p};
#end
        if step * S_H + {a}u < H {
            store((result * H + step * S_H + {a}u) * W, strip, W, results{a});
        }
#end
    }
}
