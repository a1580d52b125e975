// conv2d with one input channel a group (depthwise), by lanes that walk down a strip of columns: the rows of
// the source that consecutive rows of the result share stay in registers, and what is loaded of a row serves
// all taps. M is MULTIPLIER, outputs a channel.
//   forward     y[img, co, oh, ow] = bias[co] + sum over (kh, kw) of w[co, kh, kw]
//                   * x[img, co / M, oh * S_H - P_H + kh * D_H, ow * S_W - P_W + kw * D_W]
//   backward_x  dx[img, c, h, w] = sum over (kh, kw) of w[c, kh, kw]
//                   * dy[img, c, (h + P_H - kh) / S_H, (w + P_W - kw) / S_W]
//               where these are whole numbers; a multiplier and dilations of 1.
//   backward_w  dw[co, kh, kw] = sum over (img, oh, ow) of dy[img, co, oh, ow] * x as in `forward`, in slices.
//
// Constants: as in conv2d.wgsl; COLUMNS of the result a lane owns, STEPS it walks at most: rows of the result,
// of backward_x S_H rows each. The source is a plane of X_H x X_W; of a row a strip needs NX values, the first
// HALO of them left of column SHIFT * strip. They are loaded as LEFT numbers, BODY vec4 and RIGHT numbers.
// WINDOW rows are held, KEEP of them from the step before. X_VEC4, Y_VEC4: rows of the source and of the
// result are whole vec4.

#if ACTIVATED
#import activation
#end

const MULTIPLIER: u32 = C_OUT / C_IN;

#if X_VEC4
@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
#else
@group(0) @binding(0) var<storage, read> x: array<f32>;
#end
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
#if Y_VEC4
@group(0) @binding(1) var<storage, read> dy: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> residual: array<vec4<f32>>;
#else
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<f32>;
#end
@group(0) @binding(2) var<storage, read_write> dw: array<f32>;

// Element i of the source, 0 outside.
fn x_at(i: u32, inside: bool) -> f32 {
    let at = select(0u, i, inside);
#if X_VEC4
    return select(0.0, x[at / 4u][at % 4u], inside);
#else
    return select(0.0, x[at], inside);
#end
}

// What a strip needs of row h, zero where row or column lie outside.
fn x_row(plane: u32, h: i32, strip: u32) -> array<f32, NX> {
    // A negative coordinate is a huge unsigned one.
    let inside = u32(h) < X_H;
    let row = plane + u32(h) * X_W;
    let first = strip * SHIFT - HALO;
    var values: array<f32, NX>;
#repeat i LEFT
    values[{i}] = x_at(row + first + {i}u, inside && first + {i}u < X_W);
#end
#if X_VEC4
#repeat v BODY
    let column{v} = first + LEFT + {v}u * 4u;
    let inside{v} = inside && column{v} < X_W;
    let four{v} = select(vec4<f32>(), x[select(0u, row + column{v}, inside{v}) / 4u], inside{v});
#repeat j 4
    values[LEFT + {v}u * 4u + {j}u] = four{v}[{j}];
#end
#end
#repeat i RIGHT
    let last{i} = first + LEFT + BODY * 4u + {i}u;
    values[LEFT + BODY * 4u + {i}u] = x_at(row + last{i}, inside && last{i} < X_W);
#end
#end
    return values;
}

fn weights(channel: u32) -> array<f32, TAPS> {
    var all: array<f32, TAPS>;
#repeat tap TAPS
    all[{tap}] = w[channel * TAPS + {tap}u];
#end
    return all;
}

// One row of a strip.
fn store(row: u32, strip: u32, width: u32, results: array<f32, COLUMNS>) {
    let first = strip * COLUMNS;
#if Y_VEC4
#repeat v COLUMNS_4
    if first + {v}u * 4u < width {
        let at{v} = (row + first) / 4u + {v}u;
        let low{v} = vec2(results[{v}u * 4u], results[{v}u * 4u + 1u]);
        let high{v} = vec2(results[{v}u * 4u + 2u], results[{v}u * 4u + 3u]);
        var value{v} = vec4(low{v}, high{v});
#if RESIDUAL
        value{v} += residual[at{v}];
#end
#if ACTIVATED
        value{v} = activate(value{v});
#end
        y[at{v}] = value{v};
    }
#end
#else
#repeat p COLUMNS
    if first + {p}u < width {
        var value{p} = results[{p}];
#if RESIDUAL
        value{p} += residual[row + first + {p}u];
#end
#if ACTIVATED
        value{p} = activate(vec4(value{p})).x;
#end
        y[row + first + {p}u] = value{p};
    }
#end
#end
}
