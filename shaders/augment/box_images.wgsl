// The images of a batch as their views say, (N, 3, HEIGHT, WIDTH) f32: bilinear between the pixels of a piece's source, grey
// beside it, then other colours, then (p - mean) / std. An invocation has RUN pixels of a row, EACH of them at once: four where VECTOR, else one.

#import box_view

@group(0) @binding(0) var<storage, read> packed: array<u32>; // red, green, blue, from the lowest bits; (N, HEIGHT, WIDTH)
@group(0) @binding(1) var<storage, read> views: array<vec4<i32>>;
#if VECTOR
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
#else
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
#end

const MEAN: vec3<f32> = vec3(MEAN0, MEAN1, MEAN2);
const STD: vec3<f32> = vec3(STD0, STD1, STD2);
const RUNS: u32 = WIDTH / RUN;
const QUADS: u32 = HEIGHT * WIDTH / EACH;
const GREY: f32 = 114.0 / 255.0;
const WHOLE: i32 = 1 << FRACTION;
const LAST: vec2<i32> = (SIDES - 1) << vec2(FRACTION);

// A row of the output as a piece shows it: the rows of its source that it lies between, and how far.
struct Line {
    above: u32,
    below: u32,
    part: f32,
    at: i32,
    // 0 above and below the piece.
    size: i32,
    step: i32,
    flip: bool,
}

// Where the middle of an output pixel lies between source pixels, counted from the middle of the first.
fn place(inner: i32, step: i32, last: i32) -> i32 {
    return clamp(inner * step + (step >> 1u) - WHOLE / 2, 0, last);
}

fn share(place: i32) -> f32 {
    return f32(place & (WHOLE - 1)) / f32(WHOLE);
}

fn line_of(view: u32, q: u32, row: i32) -> Line {
    let at = view + PIECES_FROM + 2u * q;
    let piece = piece_of(views[at], views[at + 1u]);
    let inner = row - piece.at.y;
    let shown = inner >= 0 && inner < piece.size.y;
    let down = place(select(0, inner, shown), piece.step.y, LAST.y);
    let above = u32(down >> FRACTION);
    let below = min(above + 1u, HEIGHT - 1u);
    let first = piece.source * HEIGHT;
    return Line(
        (first + above) * WIDTH,
        (first + below) * WIDTH,
        share(down),
        piece.at.x,
        select(0, piece.size.x, shown),
        piece.step.x,
        piece.flip,
    );
}

fn unpacked(at: u32) -> vec3<f32> {
    return vec3<f32>((vec3(packed[at]) >> vec3(0u, 8u, 16u)) & vec3(255u));
}

// Red, green and blue, 0 to 1.
fn colour_at(line: Line, x: i32) -> vec3<f32> {
    let inner = x - line.at;
    if inner < 0 || inner >= line.size {
        return vec3(GREY);
    }
    let right = place(inner, line.step, LAST.x);
    let along = select(right, LAST.x - right, line.flip);
    let first = u32(along >> FRACTION);
    let second = min(first + 1u, WIDTH - 1u);
    let part = share(along);
    let top = mix(unpacked(line.above + first), unpacked(line.above + second), part);
    let bottom = mix(unpacked(line.below + first), unpacked(line.below + second), part);
    return mix(top, bottom, line.part) / 255.0;
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
    let away = abs(turn - 6.0 * floor(turn * (1.0 / 6.0)) - 3.0) - 1.0;
    return value * (1.0 - saturation * (1.0 - clamp(away, vec3(0.0), vec3(1.0))));
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
    let n = i / (HEIGHT * RUNS);
    let row = i32(i / RUNS % HEIGHT);
    let view = n * VIEW;
    let cut = views[view].xy;
    let change = bitcast<vec3<f32>>(views[view + 1u].xyz);
    let lower = select(0u, 2u, row >= cut.y);
    let left = line_of(view, lower, row);
#if MOSAICS
    let right = line_of(view, lower + 1u, row);
#end
    for (var k = 0u; k < RUN; k += EACH) {
        let x = i % RUNS * RUN + k;
#repeat p EACH
        var line{p} = left;
#if MOSAICS
        if i32(x + {p}u) >= cut.x {
            line{p} = right;
        }
#end
        var rgb{p} = colour_at(line{p}, i32(x + {p}u));
#if RECOLOUR
        rgb{p} = recolour(rgb{p}, change);
#end
        rgb{p} = (rgb{p} - MEAN) / STD;
#end
        let out = n * 3u * QUADS + (u32(row) * WIDTH + x) / EACH;
#if VECTOR
        y[out] = vec4(rgb0.x, rgb1.x, rgb2.x, rgb3.x);
        y[out + QUADS] = vec4(rgb0.y, rgb1.y, rgb2.y, rgb3.y);
        y[out + 2u * QUADS] = vec4(rgb0.z, rgb1.z, rgb2.z, rgb3.z);
#else
        y[out] = rgb0.x;
        y[out + QUADS] = rgb0.y;
        y[out + 2u * QUADS] = rgb0.z;
#end
    }
}
