// Loader of the tile engines for conv2d as implicit GEMM, one product a group (batch = group). With
// co / ci counted within the group, CO_G = c_out / groups, CI_G = c_in / groups:
//   forward     C[co, (img, oh, ow)]      = sum over (ci, kh, kw)      W[co, k]            X[k, n]
//   backward_x  C[ci, (img, h, w)]        = sum over (co, kh, kw)      W[co, ci, kh, kw]   dY[k, n]
//   backward_w  C[co, (ci, kh, kw)]       = sum over (img, oh, ow)     dY[co, k]           X[k, n]
// X and dY are read where they lie: a column and a row of the virtual matrix each know their share of the address.
//
// Constants: IMAGES, C_IN, C_OUT, H, W, O_H, O_W, K_H, K_W, stride S_*, padding P_*, dilation D_*, GROUPS, and which of
// FORWARD, BACKWARD_X, BACKWARD_W this is.

#import tile_store

const CI_G: u32 = C_IN / GROUPS;
const CO_G: u32 = C_OUT / GROUPS;
const TAPS: u32 = K_H * K_W;

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

fn a_index(group: u32, m: u32, k: u32) -> u32 {
#if FORWARD
    return (group * CO_G + m) * (CI_G * TAPS) + k;
#end
#if BACKWARD_X
    return ((group * CO_G + k / TAPS) * CI_G + m) * TAPS + k % TAPS;
#end
#if BACKWARD_W
    return ((k / (O_H * O_W)) * C_OUT + group * CO_G + m) * (O_H * O_W) + k % (O_H * O_W);
#end
}

#if A_VEC4
fn a_vec4(group: u32, m: u32, k: u32) -> vec4<f32> {
    return a[a_index(group, m, k) / 4u];
}
#else
fn a_at(group: u32, m: u32, k: u32) -> f32 {
    return a[a_index(group, m, k)];
}
#end

// A share of an address: offset of the image or channel, and of row and column before padding is checked.
struct Place {
    base: u32,
    h: i32,
    w: i32,
}

// (img, oh, ow): the window's corner in X.
fn window(group: u32, i: u32) -> Place {
    let pixel = i % (O_H * O_W);
    let base = ((i / (O_H * O_W)) * C_IN + group * CI_G) * (H * W);
    return Place(base, i32((pixel / O_W) * S_H) - i32(P_H), i32((pixel % O_W) * S_W) - i32(P_W));
}

// (channel, kh, kw): the place of a kernel tap within a window.
fn kernel_tap(i: u32, plane: u32) -> Place {
    let r = i % TAPS;
    return Place((i / TAPS) * plane, i32((r / K_W) * D_H), i32((r % K_W) * D_W));
}

#if BACKWARD_X
fn b_column(group: u32, n: u32) -> Place {
    let pixel = n % (H * W);
    let base = ((n / (H * W)) * C_OUT + group * CO_G) * (O_H * O_W);
    return Place(base, i32(pixel / W + P_H), i32(pixel % W + P_W));
}

fn b_row(group: u32, k: u32) -> Place {
    return kernel_tap(k, O_H * O_W);
}

#if B_VEC4
#else
fn b_at(row: Place, column: Place) -> f32 {
    let h = column.h - row.h;
    let w = column.w - row.w;
    let oh = h / i32(S_H);
    let ow = w / i32(S_W);
    let inside = h >= 0 && w >= 0 && oh < i32(O_H) && ow < i32(O_W) && h % i32(S_H) == 0 && w % i32(S_W) == 0;
    let at = row.base + column.base + u32(oh) * O_W + u32(ow);
    return select(0.0, b[select(0u, at, inside)], inside);
}
#end
#else
#if FORWARD
fn b_column(group: u32, n: u32) -> Place {
    return window(group, n);
}

fn b_row(group: u32, k: u32) -> Place {
    return kernel_tap(k, H * W);
}
#else
fn b_column(group: u32, n: u32) -> Place {
    return kernel_tap(n, H * W);
}

fn b_row(group: u32, k: u32) -> Place {
    return window(group, k);
}
#end

#if B_VEC4
#else
fn b_at(row: Place, column: Place) -> f32 {
    let h = row.h + column.h;
    let w = row.w + column.w;
    // A negative coordinate is a huge unsigned one.
    let inside = u32(h) < H && u32(w) < W;
    let at = row.base + column.base + u32(h) * W + u32(w);
    return select(0.0, b[select(0u, at, inside)], inside);
}
#end
#end

#if B_VEC4
// Four neighbouring pixels. Only for kernels of 1x1 with a stride of 1 and no padding: all is inside then.
fn b_vec4(row: Place, column: Place) -> vec4<f32> {
    return b[(row.base + column.base + u32(row.h + column.h) * W + u32(row.w + column.w)) / 4u];
}
#end

fn out_index(group: u32, m: u32, n: u32) -> u32 {
#if FORWARD
    return ((n / (O_H * O_W)) * C_OUT + group * CO_G + m) * (O_H * O_W) + n % (O_H * O_W);
#end
#if BACKWARD_X
    return ((n / (H * W)) * C_IN + group * CI_G + m) * (H * W) + n % (H * W);
#end
#if BACKWARD_W
    return (group * CO_G + m) * (CI_G * TAPS) + n;
#end
}
