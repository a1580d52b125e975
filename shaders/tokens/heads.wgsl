// Rows of tokens that HEADS heads share: what ops by (token, head) have in common. `ranges` are the tokens that each token
// may see, [first, end); neither end falls from a token that sees any to the next such.

// As many numbers at once as every head has a multiple of.
#if FOUR
alias Item = vec4<f32>;
fn item_sum(v: Item) -> f32 { return (v.x + v.y) + (v.z + v.w); }
#elif TWO
alias Item = vec2<f32>;
fn item_sum(v: Item) -> f32 { return v.x + v.y; }
#else
alias Item = f32;
fn item_sum(v: Item) -> f32 { return v; }
#end

// Below every score that matters; WGSL has no infinity.
const LOWEST: f32 = -3.0e38;

// What token n may see, within the tokens there are.
fn range_of(n: u32) -> vec2<u32> {
    return vec2<u32>(clamp(ranges[n], vec2(0), vec2(i32(TOKENS))));
}

// The first of the tokens that may see `key`: before it are only such as see nothing so late.
fn first_reader(key: u32) -> u32 {
    var n = key;
    while n > 0u {
        let range = range_of(n - 1u);
        if range.x < range.y && range.y <= key {
            break;
        }
        n--;
    }
    return n;
}

// Whether no token from this one on, which sees `range`, may see `key`.
fn is_past(range: vec2<u32>, key: u32) -> bool {
    return range.x < range.y && range.x > key;
}

fn sees(range: vec2<u32>, key: u32) -> bool {
    return range.x <= key && key < range.y;
}
