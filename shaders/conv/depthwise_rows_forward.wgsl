// An entry point of depthwise_rows.wgsl, which has the formula and the constants.

#import depthwise_rows

@compute @workgroup_size(64)
fn forward(
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
    let co = result % C_OUT;
    let plane = (result / C_OUT * C_IN + co / MULTIPLIER) * (X_H * X_W);
    var taps = weights(co);
#if BIAS
    let b = bias[co];
#else
    let b = 0.0;
#end
    var rows: array<array<f32, NX>, WINDOW>;
    // The first step moves the rows that it keeps to the front.
#repeat k KEEP
    rows[{k}u + S_H] = x_row(plane, i32(first * S_H + {k}u * D_H) - i32(P_H), strip);
#end
    let end = min(first + STEPS, O_H);
    for (var oh = first; oh < end; oh++) {
#repeat k KEEP
        rows[{k}] = rows[{k}u + S_H];
#end
#repeat k FRESH
        rows[KEEP + {k}u] = x_row(plane, i32(oh * S_H + (KEEP + {k}u) * D_H) - i32(P_H), strip);
#end
        var results: array<f32, COLUMNS>;
#repeat p COLUMNS
        var sum{p} = b;
#repeat kh K_H
#repeat kw K_W
        sum{p} = fma(taps[{kh}u * K_W + {kw}u], rows[{kh}][{p}u * S_W + {kw}u * D_W], sum{p});
#end
#end
        results[{p}] = sum{p};
#end
        store((result * O_H + oh) * O_W, strip, O_W, results);
    }
}
