// An entry point of depthwise_rows.wgsl, which has the formula and the constants, for
// SLICES slices of IMAGES_EACH images each, and CHUNKS of STEPS rows. Partial sums lie as (slice, chunk,
// strip, channel, tap).

#import depthwise_rows

@compute @workgroup_size(64)
fn backward_w(
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
    let co = i / (STRIPS * CHUNKS) % C_OUT;
    let slice = i / (STRIPS * CHUNKS * C_OUT);
    let end = min(first + STEPS, O_H);
#repeat kh K_H
#repeat kw K_W
    var sum{kh}_{kw} = 0.0;
#end
#end
    for (var img = slice * IMAGES_EACH; img < min(slice * IMAGES_EACH + IMAGES_EACH, IMAGES); img++) {
        let plane = (img * C_IN + co / MULTIPLIER) * (X_H * X_W);
        var rows: array<array<f32, NX>, WINDOW>;
#repeat k KEEP
        rows[{k}u + S_H] = x_row(plane, i32(first * S_H + {k}u * D_H) - i32(P_H), strip);
#end
        for (var oh = first; oh < end; oh++) {
#repeat k KEEP
            rows[{k}] = rows[{k}u + S_H];
#end
#repeat k FRESH
            rows[KEEP + {k}u] = x_row(plane, i32(oh * S_H + (KEEP + {k}u) * D_H) - i32(P_H), strip);
#end
            let at = ((img * C_OUT + co) * O_H + oh) * O_W + strip * COLUMNS;
            var dys: array<f32, COLUMNS>;
#if Y_VEC4
#repeat v COLUMNS_4
            let inside{v} = strip * COLUMNS + {v}u * 4u < O_W;
            let four{v} = select(vec4<f32>(), dy[select(0u, at / 4u + {v}u, inside{v})], inside{v});
#repeat j 4
            dys[{v}u * 4u + {j}u] = four{v}[{j}];
#end
#end
#else
#repeat p COLUMNS
            let inside{p} = strip * COLUMNS + {p}u < O_W;
            dys[{p}] = select(0.0, dy[select(0u, at + {p}u, inside{p})], inside{p});
#end
#end
#repeat p COLUMNS
#repeat kh K_H
#repeat kw K_W
            sum{kh}_{kw} = fma(dys[{p}], rows[{kh}][{p}u * S_W + {kw}u * D_W], sum{kh}_{kw});
#end
#end
#end
        }
    }
    let to = (((slice * CHUNKS + first / STEPS) * STRIPS + strip) * C_OUT + co) * TAPS;
#repeat kh K_H
#repeat kw K_W
    dw[to + {kh}u * K_W + {kw}u] = sum{kh}_{kw};
#end
#end
}
