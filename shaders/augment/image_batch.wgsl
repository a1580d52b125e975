// Packed u8 pixels to (N, CHANNELS, HEIGHT, WIDTH) f32: (pixel / 255 - mean) / std after a random crop of the image with
// CROP_PADDING black pixels around it, and a random horizontal flip. Four consecutive outputs an invocation.
// The view depends on seed, epoch and sample id alone: every tensor decoded from them shows the same one.

@group(0) @binding(0) var<storage, read> pixels: array<u32>; // four u8 a word, the first in the lowest bits
@group(0) @binding(1) var<storage, read> ids: array<i32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;
#if RANDOM
@group(0) @binding(3) var<uniform> step: Step;
#end

// Keeps these draws apart from other uses of the same seed: "imag".
const DOMAIN: u32 = 0x696d6167u;
const MEAN: vec4<f32> = vec4(MEAN0, MEAN1, MEAN2, MEAN3);
const STD: vec4<f32> = vec4(STD0, STD1, STD2, STD3);

struct View {
    top: u32,
    left: u32,
    flip: bool,
}

fn view_of(sample: u32) -> View {
#if RANDOM
    let id = bitcast<u32>(ids[sample]);
    let choices = 2u * CROP_PADDING + 1u;
    let top = random_bits(step.seed_lo, step.seed_hi ^ DOMAIN, id, 3u * step.epoch);
    let left = random_bits(step.seed_lo, step.seed_hi ^ DOMAIN, id, 3u * step.epoch + 1u);
    let flip = random_bits(step.seed_lo, step.seed_hi ^ DOMAIN, id, 3u * step.epoch + 2u);
    return View(
        ((top >> 16u) * choices) >> 16u,
        ((left >> 16u) * choices) >> 16u,
        FLIP != 0u && (flip >> 31u) != 0u,
    );
#else
    return View(0u, 0u, false);
#end
}

fn element(i: u32) -> f32 {
    let column = i % WIDTH;
    let row = i / WIDTH % HEIGHT;
    let plane = min(i / (WIDTH * HEIGHT), PLANES - 1u);
    let channel = plane % CHANNELS;
    let view = view_of(plane / CHANNELS);
    // Outside of the image the difference wraps to a huge number.
    let h = row + view.top - CROP_PADDING;
    let w = select(column, WIDTH - 1u - column, view.flip) + view.left - CROP_PADDING;
    var pixel = 0u;
    if h < HEIGHT && w < WIDTH {
        let at = (plane * HEIGHT + h) * WIDTH + w;
        pixel = (pixels[at / 4u] >> (at % 4u * 8u)) & 255u;
    }
    return (f32(pixel) / 255.0 - MEAN[channel]) / STD[channel];
}

@compute @workgroup_size(256)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = flat_workgroup(workgroup, grid) * 256u + lane;
    if i < VEC4S {
#if WHOLE_WORDS
        // As they are, and none of a word's pixels in another plane.
        let word = pixels[i];
        let channel = i / (WIDTH * HEIGHT / 4u) % CHANNELS;
        let pixel = vec4(word, word >> 8u, word >> 16u, word >> 24u) & vec4(255u);
        y[i] = (vec4<f32>(pixel) / 255.0 - MEAN[channel]) / STD[channel];
#else
        y[i] = vec4(element(4u * i), element(4u * i + 1u), element(4u * i + 2u), element(4u * i + 3u));
#end
    }
}
