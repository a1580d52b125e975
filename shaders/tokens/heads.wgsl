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

fn is_of_text(n: u32, first: u32) -> bool {
    let range = range_of(n);
    return range.x < range.y && range.x == first;
}

// Tokens of the text of token n: its neighbours that see from the same token on.
fn text_length(n: u32) -> f32 {
    let first = range_of(n).x;
    var begin = n;
    while begin > 0u && is_of_text(begin - 1u, first) {
        begin--;
    }
    var end = n + 1u;
    while end < TOKENS && is_of_text(end, first) {
        end++;
    }
    return f32(end - begin);
}

// For subgroups of 8, which take 8 neighbouring tokens of one head: what a lane loads of a row the others get by broadcast.
// Tokens behind the last are the last again.
const EIGHTS: u32 = (TOKENS + 7u) / 8u;

fn token(n: u32) -> u32 {
    return min(n, TOKENS - 1u);
}

// What any of the 8 tokens from `first` on may see, from the first to the last.
fn range_of_eight(first: u32) -> vec2<u32> {
    var all = vec2(TOKENS, 0u);
#repeat t 8
    let range{t} = range_of(token(first + {t}u));
    if range{t}.x < range{t}.y {
        all = vec2(min(all.x, range{t}.x), max(all.y, range{t}.y));
    }
#end
    return all;
}

// Like first_reader, in steps of 8 tokens: it may be too early, and is where 8 tokens begin if `key` is.
fn first_readers(key: u32) -> u32 {
    var n = key;
    while n >= 8u {
        let range = range_of(n - 1u);
        if range.x < range.y && range.y <= key {
            break;
        }
        n -= 8u;
    }
    return n;
}
