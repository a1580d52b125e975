//! Letters of 5 by 9 pixels, drawn for this program, for pictures with text on them.

/// Columns of a letter.
pub(super) const WIDTH: u32 = 5;
/// Rows of a letter: seven above the line that text stands on, two below.
pub(super) const HEIGHT: u32 = 9;

/// Space to tilde. A letter is its rows one behind the other, its first pixel the highest of 45 bits.
#[rustfmt::skip]
const GLYPHS: [u64; 95] = [
    0x000000000000, 0x042108401000, 0x0a5280000000, 0x0a57d5f52800, 0x047d1c5f1000,
    0x19c88889cc00, 0x0c9511593400, 0x042100000000, 0x022210820800, 0x082084222000,
    0x00255d520000, 0x00213e420000, 0x000000021100, 0x00003e000000, 0x000000063000,
    0x010888884000, 0x0e8ceb98b800, 0x046108423800, 0x0e8844447c00, 0x1f110418b800,
    0x0232a5f10800, 0x1f878218b800, 0x06443d18b800, 0x1f0888842000, 0x0e8c5d18b800,
    0x0e8c5e113000, 0x006300c60000, 0x006300c22000, 0x022220820800, 0x0007c1f00000,
    0x104104444000, 0x0e8844401000, 0x0e8deb783800, 0x0e8c7f18c400, 0x1e8c7d18f800,
    0x0e8c2108b800, 0x1e8c6318f800, 0x1f843d087c00, 0x1f843d084000, 0x0e8c2f18bc00,
    0x118c7f18c400, 0x0e2108423800, 0x071084293000, 0x119531494400, 0x108421087c00,
    0x11dd6b18c400, 0x11ce6b39c400, 0x0e8c6318b800, 0x1e8c7d084000, 0x0e8c63593400,
    0x1e8c7d494400, 0x0f841c10f800, 0x1f2108421000, 0x118c6318b800, 0x118c63151000,
    0x118c6b5dc400, 0x118a88a8c400, 0x118a88421000, 0x1f0888887c00, 0x0e4210843800,
    0x108208208400, 0x0e1084213800, 0x045440000000, 0x0000000003e0, 0x082000000000,
    0x000382f8bc00, 0x1087a318f800, 0x0003a108b800, 0x010be318bc00, 0x0003a3f83800,
    0x064790842000, 0x0003e318bc2e, 0x1087a318c400, 0x040308423800, 0x020184210a4c,
    0x1084a98a4800, 0x0c2108423800, 0x0006ab5ad400, 0x0007a318c400, 0x0003a318b800,
    0x0007a318fa10, 0x0003e318bc21, 0x0005b1084000, 0x0003e0e0f800, 0x084790841800,
    0x00046319b400, 0x000463151000, 0x0004635aa800, 0x000454454400, 0x00046318bc2e,
    0x0007c4447c00, 0x022110420800, 0x042108421080, 0x082104422000, 0x000013590000,
];

/// What stands for a letter that is not there: an empty box.
const UNKNOWN: u64 = 0x1f8c6318fc00;

/// Whether the pixel of a letter is set.
pub(super) fn is_set(letter: char, x: u32, y: u32) -> bool {
    let place = (letter as usize).checked_sub(' ' as usize);
    let glyph = place.and_then(|place| GLYPHS.get(place)).copied().unwrap_or(UNKNOWN);
    x < WIDTH && y < HEIGHT && glyph >> (WIDTH * HEIGHT - 1 - (y * WIDTH + x)) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(letter: char) -> Vec<String> {
        let row = |y: u32| (0..WIDTH).map(|x| if is_set(letter, x, y) { '#' } else { '.' }).collect();
        (0..HEIGHT).map(row).collect()
    }

    #[test]
    fn letters_are_where_they_should_be() {
        assert_eq!(
            shown('L'),
            ["#....", "#....", "#....", "#....", "#....", "#....", "#####", ".....", "....."]
        );
        assert_eq!(shown('y')[2..], ["#...#", "#...#", "#...#", "#...#", ".####", "....#", ".###."]);
        assert!(shown(' ').iter().all(|row| row == "....."));
        assert_eq!(
            shown('é'),
            ["#####", "#...#", "#...#", "#...#", "#...#", "#...#", "#####", ".....", "....."]
        );
        // No two are the same.
        let mut all: Vec<u64> = GLYPHS.to_vec();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), GLYPHS.len());
    }
}
