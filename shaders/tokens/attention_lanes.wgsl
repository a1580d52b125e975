// attention.wgsl for subgroups of 8: a subgroup has 8 neighbouring tokens of one head, and goes through what any of them
// sees, or is seen by, in steps of 8 tokens, of which each lane loads one. What a lane's own token does not see has weight 0
// there, so that a NaN in one text may reach those beside it.

#import heads

@group(0) @binding(0) var<storage, read> q: array<Item>; // (TOKENS, HEADS, ITEMS0)
@group(0) @binding(1) var<storage, read> k: array<Item>;
@group(0) @binding(2) var<storage, read> v: array<Item>;
@group(0) @binding(3) var<storage, read> ranges: array<vec2<i32>>; // (TOKENS, 2)
@group(0) @binding(4) var<storage, read_write> o: array<Item>;
@group(0) @binding(4) var<storage, read> saved_rows: array<vec4<f32>>; // (TOKENS, HEADS, 4)
@group(0) @binding(5) var<storage, read_write> stats: array<vec2<f32>>; // (TOKENS, HEADS, 2)
@group(0) @binding(5) var<storage, read> dy: array<Item>;
@group(0) @binding(6) var<storage, read_write> dq: array<Item>;
@group(0) @binding(6) var<storage, read_write> dk: array<Item>;
@group(0) @binding(7) var<storage, read_write> dv: array<Item>;

@compute @workgroup_size(8)
fn forward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = flat_workgroup(workgroup, grid);
    let first = at % EIGHTS * 8u;
    let head = at / EIGHTS;
    let row = token(first + lane) * HEADS + head;
    let range = range_of(token(first + lane));
    let all = range_of_eight(first);
    var top = LOWEST;
    var sum = 0.0;
#repeat i ITEMS0
    let q{i} = q[row * ITEMS0 + {i}u];
    var o{i} = Item();
#end
    for (var key = all.x; key < all.y; key += 8u) {
        let begin = (token(key + lane) * HEADS + head) * ITEMS0;
#repeat t 8
        var score{t} = 0.0;
#end
#repeat i ITEMS0
        let k{i} = k[begin + {i}u];
#repeat t 8
        score{t} += item_sum(q{i} * subgroupBroadcast(k{i}, {t}u));
#end
#end
        var new_top = top;
#repeat t 8
        score{t} = select(LOWEST, score{t} * SCALE, sees(range, key + {t}u));
        new_top = max(new_top, score{t});
#end
        let kept = exp(top - new_top);
        top = new_top;
        sum *= kept;
#repeat t 8
        // Where nothing was seen yet, the largest score is as low as what is not seen.
        let p{t} = select(0.0, exp(score{t} - top), sees(range, key + {t}u));
        sum += p{t};
#end
#repeat i ITEMS0
        let v{i} = v[begin + {i}u];
        o{i} *= kept;
#repeat t 8
        o{i} += p{t} * subgroupBroadcast(v{i}, {t}u);
#end
#end
    }
    var inverse = 0.0;
    if range.x < range.y {
        inverse = 1.0 / sum;
    } else {
        top = 0.0;
    }
    if first + lane < TOKENS {
        stats[row] = vec2(top, inverse);
#repeat i ITEMS0
        o[row * ITEMS0 + {i}u] = o{i} * inverse;
#end
    }
}

@compute @workgroup_size(8)
fn backward_queries(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = flat_workgroup(workgroup, grid);
    let first = at % EIGHTS * 8u;
    let head = at / EIGHTS;
    let row = token(first + lane) * HEADS + head;
    let range = range_of(token(first + lane));
    let all = range_of_eight(first);
    let saved = saved_rows[row];
#repeat i ITEMS0
    let q{i} = q[row * ITEMS0 + {i}u];
    let dy{i} = dy[row * ITEMS0 + {i}u];
    var dq{i} = Item();
#end
    for (var key = all.x; key < all.y; key += 8u) {
        let begin = (token(key + lane) * HEADS + head) * ITEMS0;
#repeat t 8
        var score{t} = 0.0;
        var dp{t} = 0.0;
#end
#repeat i ITEMS0
        let k{i} = k[begin + {i}u];
        let v{i} = v[begin + {i}u];
#repeat t 8
        score{t} += item_sum(q{i} * subgroupBroadcast(k{i}, {t}u));
        dp{t} += item_sum(dy{i} * subgroupBroadcast(v{i}, {t}u));
#end
#end
#repeat t 8
        let p{t} = select(0.0, exp(score{t} * SCALE - saved.x) * saved.y, sees(range, key + {t}u));
        let ds{t} = p{t} * (dp{t} - saved.z);
#end
#repeat i ITEMS0
#repeat t 8
        dq{i} += ds{t} * subgroupBroadcast(k{i}, {t}u);
#end
#end
    }
    if first + lane < TOKENS {
#repeat i ITEMS0
        dq[row * ITEMS0 + {i}u] = dq{i} * SCALE;
#end
    }
}

@compute @workgroup_size(8)
fn backward_keys(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = flat_workgroup(workgroup, grid);
    let first = at % EIGHTS * 8u;
    let head = at / EIGHTS;
    let key = token(first + lane);
    let row = key * HEADS + head;
#repeat i ITEMS0
    let k{i} = k[row * ITEMS0 + {i}u];
    let v{i} = v[row * ITEMS0 + {i}u];
    var dk{i} = Item();
    var dv{i} = Item();
#end
    for (var n = first_readers(first); n < TOKENS; n += 8u) {
        if is_past(range_of(n), token(first + 7u)) {
            break;
        }
        let other = token(n + lane) * HEADS + head;
        let saved = saved_rows[other];
        // Behind the last token none that sees anything.
        let range = select(vec2(0u), range_of(token(n + lane)), n + lane < TOKENS);
#repeat t 8
        var score{t} = 0.0;
        var dp{t} = 0.0;
#end
#repeat i ITEMS0
        let q{i} = q[other * ITEMS0 + {i}u];
        let dy{i} = dy[other * ITEMS0 + {i}u];
#repeat t 8
        score{t} += item_sum(k{i} * subgroupBroadcast(q{i}, {t}u));
        dp{t} += item_sum(v{i} * subgroupBroadcast(dy{i}, {t}u));
#end
#end
#repeat t 8
        let saved{t} = subgroupBroadcast(saved, {t}u);
        let range{t} = subgroupBroadcast(range, {t}u);
        let p{t} = select(0.0, exp(score{t} * SCALE - saved{t}.x) * saved{t}.y, sees(range{t}, key));
        let ds{t} = p{t} * (dp{t} - saved{t}.z);
#end
#repeat i ITEMS0
#repeat t 8
        dk{i} += ds{t} * subgroupBroadcast(q{i}, {t}u);
        dv{i} += p{t} * subgroupBroadcast(dy{i}, {t}u);
#end
#end
    }
    if first + lane < TOKENS {
#repeat i ITEMS0
        dk[row * ITEMS0 + {i}u] = dk{i} * SCALE;
        dv[row * ITEMS0 + {i}u] = dv{i};
#end
    }
}
