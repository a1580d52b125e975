use super::*;
use crate::data::testing::message;
use crate::data::{Batch, Loader, LoaderConfig, Split};

const SPECIAL: [u32; 3] = [0, 1, 2];

/// Texts of 3 to 42 tokens out of 1,000, with 0 before and 1 behind; the mask is 2.
fn texts(count: usize) -> MaskedTexts {
    let mut random = Stream::new(3, "texts");
    let words = |n: usize, random: &mut Stream| (0..n).map(|_| 3 + random.below(997) as u32).collect();
    let text = |at: usize| {
        let words: Vec<u32> = words(1 + at % 40, &mut random);
        [&[0], &words[..], &[1]].concat()
    };
    let set = TextSet::new("words", Split::Train, [1000, 64], (0..count).map(text).collect::<Vec<_>>());
    let masking = Masking { share: Masking::SHARE, mask: 2, special: SPECIAL.to_vec() };
    MaskedTexts::new(Arc::new(set.unwrap()), masking).unwrap()
}

fn batches(config: LoaderConfig, epoch: u64) -> Vec<Batch> {
    Loader::new(Arc::new(texts(800)), config).unwrap().epoch(epoch).map(Result::unwrap).collect()
}

#[test]
fn shares_are_those_of_bert() {
    let set = texts(800);
    let [mut chosen, mut masks, mut kept, mut words] = [0usize; 4];
    for batch in batches(LoaderConfig::in_order(50), 0) {
        let (shown, masked) = (batch.i32(TOKENS).unwrap(), batch.i32(MASKED).unwrap());
        for (slot, span) in batch.spans.iter().enumerate() {
            let span = span[0] as usize..span[1] as usize;
            let original = set.texts().tokens(batch.ids[slot] as usize).unwrap();
            let candidates = original.len() - 2;
            let of_text = masked[span.clone()].iter().filter(|&&token| token >= 0).count();
            assert_eq!(of_text, ((candidates as f64 * 0.15).round() as usize).max(1));
            for ((&shown, &masked), &original) in shown[span.clone()].iter().zip(&masked[span]).zip(original)
            {
                if masked < 0 {
                    assert_eq!(shown, original);
                    continue;
                }
                assert!(masked == original && original >= 3, "{masked} {original}");
                masks += usize::from(shown == 2);
                kept += usize::from(shown == original);
            }
            (chosen, words) = (chosen + of_text, words + candidates);
        }
    }
    let share = |part: usize, of: usize| part as f64 / of as f64;
    assert!((share(chosen, words) - 0.15).abs() < 0.01, "{chosen} of {words}");
    assert!(chosen > 2000 && (share(masks, chosen) - 0.8).abs() < 0.03, "{masks} of {chosen}");
    assert!((share(kept, chosen) - 0.1).abs() < 0.02, "{kept} of {chosen}");
}

#[test]
fn an_epoch_has_a_choice_of_its_own_on_any_number_of_threads() {
    let config = LoaderConfig { batch_size: 50, seed: 7, ..Default::default() };
    let one = batches(LoaderConfig { threads: Some(1), prefetch: 0, ..config.clone() }, 2);
    let three = batches(LoaderConfig { threads: Some(3), ..config.clone() }, 2);
    assert!(one == three);
    let loader = Loader::new(Arc::new(texts(800)), config.clone()).unwrap();
    let rest: Vec<Batch> = loader.epoch_from(2, 5).map(Result::unwrap).collect();
    assert!(rest == one[5..]);
    let fixed = |epoch: u64, seed: u64| {
        let config = LoaderConfig { seed, ..LoaderConfig::in_order(50) };
        batches(config, epoch)[3].i32(MASKED).unwrap().to_vec()
    };
    assert_ne!(fixed(0, 1), fixed(1, 1));
    assert_ne!(fixed(0, 1), fixed(0, 2));
    // Most words are hidden once in a few epochs: texts have no stream in common.
    let hidden = |epoch: u64| fixed(epoch, 1).into_iter().map(|token| token >= 0).collect::<Vec<bool>>();
    let both = hidden(0).into_iter().zip(hidden(1)).filter(|(a, b)| *a && *b).count();
    let once = hidden(0).into_iter().filter(|hidden| *hidden).count();
    assert!(both * 3 < once, "{both} of {once}");
}

#[test]
fn no_batch_has_more_than_there_is_room_for() {
    for batch in batches(LoaderConfig { batch_size: 32, ..Default::default() }, 0) {
        let masked = batch.i32(MASKED).unwrap();
        let chosen = masked.iter().filter(|&&token| token >= 0).count();
        assert!(chosen <= Masking::most_chosen(0.15, masked.len(), 32), "{chosen} of {}", masked.len());
    }
    assert_eq!(Masking::most_chosen(0.15, 0, 0), 1);
    assert_eq!(Masking::most_chosen(1.0, 10, 4), 10);
}

#[test]
fn what_can_t_be_hidden_is_said() {
    let set = |tokens: Vec<u32>| Arc::new(TextSet::new("few", Split::Train, [10, 8], [tokens]).unwrap());
    let masking = |share: f64, mask: u32| Masking { share, mask, special: SPECIAL.to_vec() };
    let fails = |share: f64, mask: u32| message(MaskedTexts::new(set(vec![5]), masking(share, mask)));
    for share in [0.0, -0.1, 1.1, f64::NAN] {
        assert!(fails(share, 2).contains("above 0 and up to 1"), "{}", fails(share, 2));
    }
    assert!(fails(0.15, 10).contains("below 10, got 10"));
    let none = MaskedTexts::new(set(vec![0, 1]), masking(0.15, 2)).unwrap();
    assert!(message(none.check()).contains("words to hide"));
    let one = MaskedTexts::new(set(vec![0, 7, 1]), masking(1.0, 2)).unwrap();
    let loader = Loader::new(Arc::new(one.clone()), LoaderConfig::in_order(2)).unwrap();
    let batch = loader.epoch(0).next().unwrap().unwrap();
    assert_eq!(batch.i32(MASKED).unwrap(), [-1, 7, -1]);
    let other = MaskedTexts::new(one.texts().clone(), masking(0.5, 2)).unwrap();
    assert_ne!(one.fingerprint(), other.fingerprint());
}
