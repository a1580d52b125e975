// Attention within ranges, one invocation for each token and head; heads side by side in a row, ITEMS0 items each.
// A (token, head)'s stats: (largest score, 1 / sum of exp(score - largest)).

#import heads

@group(0) @binding(0) var<storage, read> q: array<Item>; // (TOKENS, HEADS, ITEMS0)
@group(0) @binding(0) var<storage, read> saved_o: array<Item>;
@group(0) @binding(1) var<storage, read> k: array<Item>;
@group(0) @binding(1) var<storage, read> given: array<Item>;
@group(0) @binding(2) var<storage, read> v: array<Item>;
@group(0) @binding(2) var<storage, read> saved_stats: array<vec2<f32>>; // (TOKENS, HEADS, 2)
@group(0) @binding(3) var<storage, read> ranges: array<vec2<i32>>; // (TOKENS, 2)
@group(0) @binding(3) var<storage, read_write> rows: array<vec4<f32>>; // (TOKENS, HEADS, 4)
@group(0) @binding(4) var<storage, read_write> o: array<Item>;
@group(0) @binding(4) var<storage, read> saved_rows: array<vec4<f32>>; // (TOKENS, HEADS, 4)
@group(0) @binding(5) var<storage, read_write> stats: array<vec2<f32>>; // (TOKENS, HEADS, 2)
@group(0) @binding(5) var<storage, read> dy: array<Item>;
@group(0) @binding(6) var<storage, read_write> dq: array<Item>;
@group(0) @binding(6) var<storage, read_write> dk: array<Item>;
@group(0) @binding(7) var<storage, read_write> dv: array<Item>;

// Neighbouring invocations have neighbouring tokens, which read the same keys.
fn place(group: u32, lane: u32) -> vec2<u32> {
    let at = group * WORKGROUP + lane;
    return vec2(at % TOKENS, at / TOKENS);
}

@compute @workgroup_size(WORKGROUP)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = place(flat_workgroup(workgroup, grid), lane);
    if at.y >= HEADS {
        return;
    }
    let row = at.x * HEADS + at.y;
    let range = range_of(at.x);
    var top = LOWEST;
    var sum = 0.0;
#repeat i ITEMS0
    let q{i} = q[row * ITEMS0 + {i}u];
    var o{i} = Item();
#end
    for (var key = range.x; key < range.y; key += KEYS) {
        var new_top = top;
#repeat t KEYS
        // Behind the last key: that one again, with no weight.
        let begin{t} = (min(key + {t}u, range.y - 1u) * HEADS + at.y) * ITEMS0;
        var products{t} = Item();
#repeat i ITEMS0
        products{t} += q{i} * k[begin{t} + {i}u];
#end
        let score{t} = select(LOWEST, item_sum(products{t}) * SCALE, key + {t}u < range.y);
        new_top = max(new_top, score{t});
#end
        let kept = exp(top - new_top);
        top = new_top;
        sum *= kept;
#repeat i ITEMS0
        o{i} *= kept;
#end
#repeat t KEYS
        let p{t} = exp(score{t} - top);
        sum += p{t};
#repeat i ITEMS0
        o{i} += p{t} * v[begin{t} + {i}u];
#end
#end
    }
    var inverse = 0.0;
    if range.x < range.y {
        inverse = 1.0 / sum;
    } else {
        top = 0.0;
    }
    stats[row] = vec2(top, inverse);
#repeat i ITEMS0
    o[row * ITEMS0 + {i}u] = o{i} * inverse;
#end
}

// What both gradients need of a token and head: its stats, and o . do.
@compute @workgroup_size(WORKGROUP)
fn backward_rows(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = flat_workgroup(workgroup, grid) * WORKGROUP + lane;
    if row >= TOKENS * HEADS {
        return;
    }
    var products = Item();
#repeat i ITEMS0
    products += saved_o[row * ITEMS0 + {i}u] * given[row * ITEMS0 + {i}u];
#end
    rows[row] = vec4(saved_stats[row], item_sum(products), 0.0);
}

@compute @workgroup_size(WORKGROUP)
fn backward_queries(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = place(flat_workgroup(workgroup, grid), lane);
    if at.y >= HEADS {
        return;
    }
    let row = at.x * HEADS + at.y;
    let range = range_of(at.x);
    let saved = saved_rows[row];
#repeat i ITEMS0
    let q{i} = q[row * ITEMS0 + {i}u];
    let dy{i} = dy[row * ITEMS0 + {i}u];
    var dq{i} = Item();
#end
    for (var key = range.x; key < range.y; key++) {
        let begin = (key * HEADS + at.y) * ITEMS0;
        var products = Item();
        var values = Item();
#repeat i ITEMS0
        let k{i} = k[begin + {i}u];
        products += q{i} * k{i};
        values += dy{i} * v[begin + {i}u];
#end
        let p = exp(item_sum(products) * SCALE - saved.x) * saved.y;
        let ds = p * (item_sum(values) - saved.z);
#repeat i ITEMS0
        dq{i} += ds * k{i};
#end
    }
#repeat i ITEMS0
    dq[row * ITEMS0 + {i}u] = dq{i} * SCALE;
#end
}

@compute @workgroup_size(WORKGROUP)
fn backward_keys(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = place(flat_workgroup(workgroup, grid), lane);
    if at.y >= HEADS {
        return;
    }
    let key = at.x;
    let row = key * HEADS + at.y;
#repeat i ITEMS0
    let k{i} = k[row * ITEMS0 + {i}u];
    let v{i} = v[row * ITEMS0 + {i}u];
    var dk{i} = Item();
    var dv{i} = Item();
#end
    for (var n = first_reader(key); n < TOKENS; n++) {
        let range = range_of(n);
        if is_past(range, key) {
            break;
        }
        if !sees(range, key) {
            continue;
        }
        let begin = (n * HEADS + at.y) * ITEMS0;
        let saved = saved_rows[n * HEADS + at.y];
        var products = Item();
        var values = Item();
#repeat i ITEMS0
        let q{i} = q[begin + {i}u];
        let dy{i} = dy[begin + {i}u];
        products += q{i} * k{i};
        values += dy{i} * v{i};
#end
        let p = exp(item_sum(products) * SCALE - saved.x) * saved.y;
        let ds = p * (item_sum(values) - saved.z);
#repeat i ITEMS0
        dk{i} += ds * q{i};
        dv{i} += p * dy{i};
#end
    }
#repeat i ITEMS0
    dk[row * ITEMS0 + {i}u] = dk{i} * SCALE;
    dv[row * ITEMS0 + {i}u] = dv{i};
#end
}
