use super::*;
use crate::Result;
use crate::gpu::reflect::parse;

fn derive(source: &str, mask: u32) -> Result<String> {
    store_as_half(source, "main", mask, "test/main")
}

/// The derived text, which naga must take again.
fn derived(source: &str, mask: u32) -> String {
    let text = derive(source, mask).unwrap();
    parse(&text, "main", "derived").unwrap_or_else(|e| panic!("{e}\n{text}"));
    text
}

fn count(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

const SCALE: &str = "
    @group(0) @binding(0) var<storage, read> x: array<f32>;
    @group(0) @binding(3) var<storage, read_write> y: array<f32>;
    @compute @workgroup_size(64)
    fn main(@builtin(global_invocation_id) id: vec3<u32>) { y[id.x] = 2.0 * x[id.x]; }";

#[test]
fn only_marked_bindings_change() {
    for (mask, [x, y]) in [(0, ["f32", "f32"]), (1, ["f16", "f32"]), (2, ["f32", "f16"]), (3, ["f16"; 2])] {
        let text = derived(SCALE, mask);
        assert!(text.contains(&format!("x: array<{x}>")), "{text}");
        assert!(text.contains(&format!("y: array<{y}>")), "{text}");
        assert_eq!(text.contains("enable f16;"), mask != 0, "{text}");
        assert_eq!(count(&text, "f32("), usize::from(x == "f16"), "one load\n{text}");
        assert_eq!(count(&text, "f16("), usize::from(y == "f16"), "one store\n{text}");
    }
}

#[test]
fn vectors_and_their_components() {
    let source = "
        @group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
        @group(0) @binding(1) var<storage, read_write> y: array<vec2<f32>>;
        @compute @workgroup_size(64)
        fn main(@builtin(global_invocation_id) id: vec3<u32>) {
            y[id.x] = x[id.x].zw;
            y[id.x].x = x[id.x].y;
            y[id.x][id.y] += x[id.x][id.y];
        }";
    let text = derived(source, 3);
    assert!(text.contains("array<vec4<f16>>") && text.contains("array<vec2<f16>>"), "{text}");
    assert_eq!(
        count(&text, "vec4<f32>(") + count(&text, "vec2<f32>("),
        1,
        "one load of a whole vector\n{text}"
    );
    assert_eq!(count(&text, "f32(_"), 3, "three loads of a component\n{text}");
    assert_eq!(count(&text, "vec2<f16>("), 1, "{text}");
    assert_eq!(count(&text, "= f16("), 2, "{text}");
}

#[test]
fn words_are_those_of_the_f32() {
    let source = "
        @group(0) @binding(0) var<storage, read> x: array<u32>;
        @group(0) @binding(1) var<storage, read_write> y: array<vec4<u32>>;
        @compute @workgroup_size(64)
        fn main(@builtin(global_invocation_id) id: vec3<u32>) { y[id.x] = vec4(x[id.x]); }";
    let text = derived(source, 3);
    assert!(text.contains("x: array<f16>") && text.contains("y: array<vec4<f16>>"), "{text}");
    assert!(text.contains("bitcast<u32>(f32(") && text.contains("vec4<f16>(bitcast<vec4<f32>>("), "{text}");
}

#[test]
fn loops_branches_and_functions() {
    let source = "
        @group(0) @binding(0) var<storage, read> x: array<f32>;
        @group(0) @binding(1) var<storage, read_write> y: array<f32>;
        var<workgroup> shared_sums: array<f32, 64>;
        fn at(i: u32) -> f32 { return x[i] + 1.0; }
        fn put(i: u32, v: f32) {
            switch i { case 0u: { y[0] = v; } default: { y[i] = v + y[i - 1u]; } }
        }
        @compute @workgroup_size(64)
        fn main(@builtin(local_invocation_index) lane: u32) {
            var sum = x[lane];
            for (var i = lane; i < 1024u; i += 64u) {
                if x[i] > 0.0 { sum += x[i]; } else { sum -= at(i); }
            }
            shared_sums[lane] = sum;
            workgroupBarrier();
            loop {
                sum += shared_sums[0];
                continuing { break if sum > y[lane]; }
            }
            put(lane, sum);
        }";
    let text = derived(source, 3);
    assert_eq!(count(&text, "f32("), 6, "loads\n{text}");
    assert_eq!(count(&text, "f16("), 2, "stores\n{text}");
    assert!(text.contains("array<f32, 64>"), "workgroup memory stays f32\n{text}");
}

#[test]
fn another_entry_points_globals_are_not_counted() {
    let source = "
        @group(0) @binding(0) var<storage, read> x: array<f32>;
        @group(0) @binding(0) var<storage, read> other: array<f32>;
        @group(0) @binding(1) var<storage, read_write> y: array<f32>;
        @compute @workgroup_size(64)
        fn unlike(@builtin(local_invocation_index) lane: u32) { y[lane] = other[lane]; }
        @compute @workgroup_size(64)
        fn main(@builtin(local_invocation_index) lane: u32) { y[lane] = x[lane]; }";
    let text = derived(source, 1);
    assert!(text.contains("x: array<f16>") && text.contains("y: array<f32>"), "{text}");
    assert!(!text.contains("other"), "what the entry point does not use is left out\n{text}");
}

#[test]
fn what_cannot_be_stored_as_f16_is_named() {
    for (ty, body) in [
        ("array<atomic<u32>>", "atomicAdd(&x[0], 1u)"),
        ("array<vec3<f32>>", "x[0] = vec3(1.0)"),
        ("array<Pair>", "x[0].a = 1.0"),
        ("f32", "x = 1.0"),
    ] {
        let source = format!(
            "struct Pair {{ a: f32, b: f32 }}
            @group(0) @binding(0) var<storage, read_write> x: {ty};
            @compute @workgroup_size(1) fn main() {{ {body}; }}"
        );
        let message = derive(&source, 1).unwrap_err().to_string();
        for part in ["test/main", "binding x", "array of f32"] {
            assert!(message.contains(part), "{part} in {message}");
        }
    }
}

/// The kernel with vectors in 64-bit words, which naga must take again; nothing where it stays as it is.
fn paired(source: &str) -> Option<String> {
    let text = text_of(&in_pairs(&parse(source, "main", "test/main").unwrap())?).unwrap();
    parse(&text, "main", "paired").unwrap_or_else(|e| panic!("{e}\n{text}"));
    Some(text)
}

#[test]
fn vectors_become_words() {
    let source = "
        @group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
        @group(0) @binding(1) var<storage, read> at: array<vec2<i32>>;
        @group(0) @binding(2) var<storage, read> one: array<f32>;
        @group(0) @binding(3) var<storage, read_write> y: array<vec4<f32>>;
        @group(0) @binding(4) var<storage, read_write> words: array<vec2<u32>>;
        @compute @workgroup_size(64)
        fn main(@builtin(global_invocation_id) id: vec3<u32>) {
            let place = at[id.x];
            for (var i = 0u; i < 4u; i++) {
                y[id.x + i] = x[place.y] + y[id.x] * one[i];
            }
            words[id.x] = vec2(u32(place.x), 7u);
        }";
    let text = paired(source).unwrap();
    for global in [
        "x: array<vec2<u64>>",
        "at: array<u64>",
        "one: array<f32>",
        "y: array<vec2<u64>>",
        "words: array<u64>",
    ] {
        assert!(text.contains(global), "{global} in\n{text}");
    }
    assert_eq!(count(&text, ">> "), 3, "three loads of vectors\n{text}");
    assert_eq!(count(&text, "<< "), 2, "two stores\n{text}");
}

#[test]
fn components_need_their_vectors() {
    let source = |body: &str| {
        format!(
            "@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
            @group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;
            @compute @workgroup_size(64)
            fn main(@builtin(global_invocation_id) id: vec3<u32>) {{ {body} }}"
        )
    };
    let text = paired(&source("y[id.x] = vec4(x[id.x].z);")).unwrap();
    assert!(text.contains("x: array<vec4<f32>>") && text.contains("y: array<vec2<u64>>"), "{text}");
    let text = paired(&source("y[id.x][id.y] = 1.0; y[0] = x[0];")).unwrap();
    assert!(text.contains("x: array<vec2<u64>>") && text.contains("y: array<vec4<f32>>"), "{text}");
    assert!(paired(&source("y[id.x].x = x[id.x].y;")).is_none());
    assert!(paired(SCALE).is_none(), "there is no vector");
}
