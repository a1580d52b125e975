use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::files::{decode_weights, read_safetensors, read_weights};

/// tests/fixtures/statedicts.py makes these.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/statedicts").join(name)
}

fn refused(name: &str) -> String {
    read_weights(path(name)).expect_err("an error").to_string()
}

/// By name, as the order of files differs.
fn sorted(mut tensors: Vec<NamedTensor>) -> Vec<NamedTensor> {
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    tensors
}

#[test]
fn every_form_gives_the_values_that_pytorch_saved() {
    let want = sorted(read_safetensors(path("values.safetensors")).unwrap().0);
    assert_eq!(want.len(), 11);
    for name in ["plain.pth", "checkpoint.pt", "nested.ckpt", "protocol4.pth", "legacy.pth"] {
        let mut got = read_weights(path(name)).unwrap_or_else(|e| panic!("{name}: {e}")).0;
        assert_eq!(decode_weights("page", &fs::read(path(name)).unwrap()).unwrap().0, got, "{name}");
        for tensor in &mut got {
            // Wrappers' prefixes are the network's business: Params::load takes them off.
            tensor.name = tensor.name.replace("module._orig_mod.", "");
        }
        assert_eq!(sorted(got), want, "{name}");
    }
}

#[test]
fn what_is_no_state_dict_is_refused_by_name() {
    for (name, parts) in [
        ("evil.pth", ["print", "nothing in a pickle is executed"]),
        ("module.pth", ["torch.nn.modules.activation.ReLU", "torch.save(model.state_dict()"]),
        ("numbers.pth", ["no tensors", "\"epoch\", \"loss\""]),
        ("repeated.pth", ["1099511627776", "storage of 1"]),
        ("compressed.pth", ["compressed", "data.pkl"]),
    ] {
        let message = refused(name);
        for part in parts.iter().chain(&["state dict", name]) {
            assert!(message.contains(part), "{name}: {part} in {message}");
        }
    }
}

#[test]
fn damage_is_an_error_and_never_a_panic() {
    for name in ["plain.pth", "legacy.pth"] {
        let bytes = fs::read(path(name)).unwrap();
        for end in 0..bytes.len() {
            assert!(
                decode(Path::new(name), &bytes[..end], ReadOptions::default()).is_err(),
                "{name} cut at {end}"
            );
        }
        // A changed byte may go unnoticed in the legacy format, which has no checksums; it must not panic.
        for at in 0..bytes.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut wrong = bytes.clone();
                wrong[at] ^= flip;
                let _ = decode(Path::new(name), &wrong, ReadOptions::default());
            }
        }
    }
}

/// A legacy file whose contents are the pickle `body`.
fn legacy(body: &[u8]) -> Vec<u8> {
    let magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
    let number = b"\x80\x02K\x01.";
    [&magic[..], number, number, body, b"\x80\x02].", &[0; 64]].concat()
}

#[test]
fn a_hostile_pickle_is_refused() {
    let tensor = |storage: &str, view: &str| {
        let text = |s: &str| format!("\x55{}{s}", char::from(s.len() as u8));
        let id = format!("({}ctorch\nFloatStorage\n{}{}{storage}tQ", text("storage"), text("0"), text("cpu"));
        let body = format!("}}{}ctorch._utils\n_rebuild_tensor_v2\n({id}{view}tRs.", text("w"));
        let error = decode(Path::new("x.pth"), &legacy(body.as_bytes()), ReadOptions::default());
        error.expect_err("an error").to_string()
    };
    // Offset 0, shape and strides; J is a number of four bytes.
    for (storage, view, part) in [
        ("K\x04", "K\x00(K\x05t(K\x01t", "[5]"),
        ("K\x04", "K\x03(K\x02t(K\x01t", "at 3"),
        ("K\x04", "K\x00(K\x02K\x02t(K\x01t", "[2, 2]"),
        ("J\x00\x00\x00\x7f", "K\x00(J\x00\x00\x00\x7ft(K\x01t", "far more values"),
        ("K\x04", "K\x00(K\x04t(K\x01t", "no storage \"0\""),
        ("K\x04", "K\x00(J\x7f\x7f\x7f\x7fJ\x7f\x7f\x7f\x7fJ\x7f\x7f\x7f\x7ft(K\x01K\x01K\x01t", "strides"),
    ] {
        let message = tensor(storage, view);
        assert!(message.contains(part), "{part} in {message}");
    }
    let nested = [vec![b'('; 100_000], vec![b't'; 100_000], b".".to_vec()].concat();
    for body in [&b"N."[..], b"h\x07.", b"0.", b"]]a.", b"}Ks.", b"(K\x01u.", b"i.", &nested] {
        assert!(decode(Path::new("x.pth"), &legacy(body), ReadOptions::default()).is_err());
    }
}
