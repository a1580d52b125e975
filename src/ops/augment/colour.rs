//! Colours of a pixel, in f64: what the kernel does, for references.

/// Turns the hue of red, green and blue, 0 to 1, by a share of the circle, and multiplies saturation and value, which end at 1
/// (the hexcone model of Smith, "Color gamut transform pairs", 1978).
pub fn recolour(rgb: [f64; 3], [turn, saturation, value]: [f64; 3]) -> [f64; 3] {
    let [r, g, b] = rgb;
    let high = r.max(g).max(b);
    let span = high - r.min(g).min(b);
    if span == 0.0 {
        return [(high * value).min(1.0); 3];
    }
    let hue = match high {
        _ if r == high => (g - b) / span,
        _ if g == high => (b - r) / span + 2.0,
        _ => (r - g) / span + 4.0,
    };
    let (hue, saturation, value) =
        (hue + 6.0 * turn, (span / high * saturation).min(1.0), (high * value).min(1.0));
    [0.0, 4.0, 2.0].map(|from| {
        let away = ((hue + from).rem_euclid(6.0) - 3.0).abs() - 1.0;
        value * (1.0 - saturation * (1.0 - away.clamp(0.0, 1.0)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: [f64; 3], want: [f64; 3]) -> bool {
        got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-12)
    }

    /// Python's `colorsys`: hsv_to_rgb((h + turn) % 1, min(s * saturation, 1), min(v * value, 1)) of rgb_to_hsv.
    #[test]
    fn it_is_what_colorsys_gives() {
        for (rgb, change, want) in [
            ([0.2, 0.5, 0.9], [0.0, 1.0, 1.0], [0.2, 0.5, 0.9]),
            ([0.9, 0.1, 0.3], [0.1, 0.4, 1.2], [1.0, 0.76888888888889, 0.64444444444444]),
            ([0.9, 0.1, 0.05], [-0.2, 1.7, 0.6], [0.46376470588235, 0.0, 0.54]),
            ([0.25, 0.75, 0.5], [0.5, 1.3, 1.4], [1.0, 0.13333333333333, 0.56666666666667]),
            ([0.1, 0.4, 0.39], [-0.015, 0.3, 1.4], [0.434, 0.56, 0.54446]),
            ([0.5, 0.5, 0.5], [0.3, 1.7, 1.4], [0.7, 0.7, 0.7]),
            ([0.0, 0.0, 0.0], [0.3, 1.7, 1.4], [0.0, 0.0, 0.0]),
            ([1.0, 0.0, 1.0], [0.015, 1.0, 0.6], [0.6, 0.0, 0.546]),
        ] {
            let got = recolour(rgb, change);
            assert!(near(got, want), "{rgb:?} {change:?}: got {got:?}, expected {want:?}");
        }
    }
}
