//! Folders whose files are damaged in hundreds of ways: errors of one line that name a file, and no panics.

use std::fs;
use std::path::Path;

use super::*;
use crate::files::scratch::Scratch;
use crate::models::build;
use crate::models::saved::{self, ModelMetadata, Overrides};
use crate::platform::damage::damage;
use crate::rng::Stream;

const TOKENIZER: &str = r#"{"added_tokens": [{"id": 3, "content": "[PAD]"}, {"id": 5, "content": "[CLS]"}]}"#;

/// Reads a folder in both ways; says whether it could be read as what it was.
fn use_it(path: &Path, network: &Network) -> bool {
    let mut start = build(&network.name, network.config()).unwrap();
    let started = saved::start_from(&mut start, path).map(drop);
    let opened = saved::open(path, &Overrides::default());
    let same = opened.as_ref().is_ok_and(|opened| opened.network.head() == network.head());
    for e in [started.err(), opened.err()].into_iter().flatten() {
        let message = e.to_string();
        assert!(!message.contains('\n') && message.len() < 3000, "{message}");
        assert!(message.contains(&path.display().to_string()), "{message}");
    }
    same
}

#[test]
fn damaged_folders() {
    let networks = [
        ("bert:1,4,2,4,normalize=yes", Head::Numbers(3)),
        ("bert:1,4,2,4,head=pooler", Head::Classes(2)),
        ("bert:1,4,2,4,head=relu", Head::Tokens(6)),
    ];
    for (name, head) in networks {
        let dir = Scratch::new();
        let folder = dir.file("folder");
        let input = InputSpec::Tokens { vocabulary: 6, longest: 4 };
        let mut network = build(name, &ModelConfig { input, head }).unwrap();
        network.params.initialise(3);
        let names = if matches!(head, Head::Tokens(_)) { 0 } else { head.width() };
        let metadata = ModelMetadata {
            classes: (0..names).map(|n| n.to_string()).collect(),
            tokenizer: Some(TOKENIZER.into()),
            ..ModelMetadata::default()
        };
        saved::save_folder(&folder, &network, &metadata).unwrap();
        assert!(use_it(&folder, &network), "{name}");
        let inside =
            ["1_Pooling/config.json", "2_Dense/config.json", "2_Dense/model.safetensors", "modules.json"];
        let all = ["config.json", "model.safetensors", "sentence_bert_config.json", "tokenizer_config.json"];
        let files: Vec<_> = all.iter().chain(&inside).map(|file| folder.join(file)).collect();
        for file in files.iter().filter(|file| file.exists()) {
            let whole = fs::read(file).unwrap();
            let (mut stream, mut used) = (Stream::new(7, name), 0);
            for _ in 0..120 {
                fs::write(file, damage(&whole, &mut stream)).unwrap();
                used += usize::from(use_it(&folder, &network));
            }
            assert!((1..=120).contains(&used), "{}: {used} of 120 could be used", file.display());
            for end in (0..whole.len()).step_by(7) {
                fs::write(file, &whole[..end]).unwrap();
                use_it(&folder, &network);
            }
            fs::write(file, whole).unwrap();
        }
        assert!(use_it(&folder, &network), "{name}");
    }
}
