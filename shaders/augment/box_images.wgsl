// The images of a batch as their views say, (N, 3, HEIGHT, WIDTH) f32: bilinear between the pixels of a piece's source, grey
// beside it, then other colours, then (p - mean) / std. VECTOR: an invocation has four pixels of a row; else one.

#import box_view

@group(0) @binding(0) var<storage, read> pixels: array<u32>; // four u8 a word, the first in the lowest bits
@group(0) @binding(1) var<storage, read> views: array<vec4<i32>>;
#if VECTOR
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
#else
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
#end

const MEAN: vec3<f32> = vec3(MEAN0, MEAN1, MEAN2);
const STD: vec3<f32> = vec3(STD0, STD1, STD2);
const PLANE: u32 = HEIGHT * WIDTH;
const GREY: f32 = 114.0 / 255.0;
const WHOLE: i32 = 1 << FRACTION;
#if VECTOR
const EACH: u32 = 4u;
#else
const EACH: u32 = 1u;
#end

fn pixel(at: u32) -> f32 {
    return f32((pixels[at / 4u] >> (at % 4u * 8u)) & 255u);
}

// Of the four pixels at these places, the one that lies at `part` between them.
fn between(plane: u32, at: vec4<u32>, part: vec2<f32>) -> f32 {
    let top = mix(pixel(plane + at.x), pixel(plane + at.y), part.x);
    let bottom = mix(pixel(plane + at.z), pixel(plane + at.w), part.x);
    return mix(top, bottom, part.y) / 255.0;
}

// Red, green and blue, 0 to 1, of a pixel of image n.
fn colour_at(n: u32, at: vec2<i32>, cut: vec2<i32>) -> vec3<f32> {
    let q = u32(at.x >= cut.x) + 2u * u32(at.y >= cut.y);
    let view = n * VIEW + PIECES_FROM + 2u * q;
    let piece = piece_of(views[view], views[view + 1u]);
    let inner = at - piece.at;
    if any(inner < vec2(0)) || any(inner >= piece.size) {
        return vec3(GREY);
    }
    // From the middle of the first pixel.
    let last = (SIDES - 1) << vec2(FRACTION);
    var place = clamp(inner * piece.step + (piece.step >> vec2(1u)) - WHOLE / 2, vec2(0), last);
    if piece.flip {
        place.x = last.x - place.x;
    }
    let first = vec2<u32>(place >> vec2(FRACTION));
    let second = min(first + 1u, vec2<u32>(SIDES - 1));
    let part = vec2<f32>(place & vec2(WHOLE - 1)) / f32(WHOLE);
    let four = vec4(first.y, first.y, second.y, second.y) * WIDTH + vec4(first.x, second.x, first.x, second.x);
    let plane = piece.source * 3u * PLANE;
    return vec3(
        between(plane, four, part),
        between(plane + PLANE, four, part),
        between(plane + 2u * PLANE, four, part),
    );
}

// Hue, saturation and value (Smith 1978): the hue turned by change.x, the others times change.y and change.z, at most 1.
fn recolour(rgb: vec3<f32>, change: vec3<f32>) -> vec3<f32> {
    let high = max(rgb.x, max(rgb.y, rgb.z));
    let span = high - min(rgb.x, min(rgb.y, rgb.z));
    // A grey has no hue, and black no saturation: any will do.
    let inverse = 1.0 / max(span, 1e-20);
    var hue = (rgb.x - rgb.y) * inverse + 4.0;
    hue = select(hue, (rgb.z - rgb.x) * inverse + 2.0, rgb.y == high);
    hue = select(hue, (rgb.y - rgb.z) * inverse, rgb.x == high);
    let saturation = min(span / max(high, 1e-20) * change.y, 1.0);
    let value = min(high * change.z, 1.0);
    // From red, green and blue in turn, in sixths of a turn.
    let turn = hue + 6.0 * change.x + vec3(0.0, 4.0, 2.0);
    let away = abs(turn - 6.0 * floor(turn / 6.0) - 3.0) - 1.0;
    return value * (1.0 - saturation * (1.0 - clamp(away, vec3(0.0), vec3(1.0))));
}

fn shown(n: u32, at: vec2<i32>, cut: vec2<i32>) -> vec3<f32> {
    var rgb = colour_at(n, at, cut);
#if RECOLOUR
    rgb = recolour(rgb, bitcast<vec3<f32>>(views[n * VIEW + 1u].xyz));
#end
    return (rgb - MEAN) / STD;
}

@compute @workgroup_size(256)
fn images(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i >= LEN {
        return;
    }
    let n = i / (PLANE / EACH);
    let at = vec2<i32>(vec2(i % (WIDTH / EACH) * EACH, i / (WIDTH / EACH) % HEIGHT));
    let cut = views[n * VIEW].xy;
    let out = n * 3u * (PLANE / EACH) + i % (PLANE / EACH);
#if VECTOR
    let a = shown(n, at, cut);
    let b = shown(n, at + vec2(1, 0), cut);
    let c = shown(n, at + vec2(2, 0), cut);
    let d = shown(n, at + vec2(3, 0), cut);
    y[out] = vec4(a.x, b.x, c.x, d.x);
    y[out + PLANE / EACH] = vec4(a.y, b.y, c.y, d.y);
    y[out + 2u * (PLANE / EACH)] = vec4(a.z, b.z, c.z, d.z);
#else
    let rgb = shown(n, at, cut);
    y[out] = rgb.x;
    y[out + PLANE] = rgb.y;
    y[out + 2u * PLANE] = rgb.z;
#end
}
