use super::*;
use crate::data::testing::{message, tiny};
use crate::data::{IGNORE_LABEL, LABELS, Order, PIXELS};

fn loader(n: usize, config: LoaderConfig) -> Loader {
    Loader::new(Arc::new(tiny(n, 3)), config).unwrap()
}

/// The batches of an epoch, none of which fails.
fn batches(loader: &Loader, epoch: u64) -> Vec<Batch> {
    loader.epoch(epoch).collect::<crate::Result<_>>().unwrap()
}

fn plain(batch_size: usize) -> LoaderConfig {
    LoaderConfig { batch_size, shuffle: false, ..LoaderConfig::default() }
}

#[test]
fn packs_pixels_and_fills_up_the_last_batch() {
    let batches = batches(&loader(5, plain(3)), 0);
    assert_eq!(batches.len(), 2);
    // Samples are [i, 100, 200]; nine bytes take three words.
    assert_eq!(
        batches[0].packed_u8(PIXELS).unwrap(),
        [
            u32::from_le_bytes([0, 100, 200, 1]),
            u32::from_le_bytes([100, 200, 2, 100]),
            u32::from_le_bytes([200, 0, 0, 0])
        ]
    );
    let last = &batches[1];
    assert_eq!((last.index, last.len), (1, 2));
    assert_eq!(
        last.packed_u8(PIXELS).unwrap(),
        [u32::from_le_bytes([3, 100, 200, 4]), u32::from_le_bytes([100, 200, 0, 0]), 0]
    );
    assert_eq!(last.i32(LABELS).unwrap(), [0, 1, IGNORE_LABEL]);
    assert_eq!(last.ids, [3, 4, 0]);
}

#[test]
fn drop_last_leaves_out_the_partial_batch() {
    let config = LoaderConfig { drop_last: true, ..plain(3) };
    let loader = loader(8, config.clone());
    assert_eq!((loader.batches(), loader.epoch(0).count()), (2, 2));
    assert!(batches(&loader, 0).iter().all(|batch| batch.len == 3));
    assert!(message(Loader::new(Arc::new(tiny(2, 1)), config)).contains("no batch of 3"));
}

#[test]
fn a_shuffled_epoch_visits_each_sample_once_with_its_label_and_pixels() {
    let config = LoaderConfig { batch_size: 16, seed: 9, ..LoaderConfig::default() };
    let loader = loader(100, config);
    let mut seen = vec![0; 100];
    for batch in batches(&loader, 4) {
        for (slot, &id) in batch.ids.iter().take(batch.len).enumerate() {
            seen[id as usize] += 1;
            assert_eq!(batch.i32(LABELS).unwrap()[slot], id as i32 % 3);
            assert_eq!(batch.packed_u8(PIXELS).unwrap()[slot * 3 / 4].to_le_bytes()[slot * 3 % 4], id as u8);
        }
    }
    assert_eq!(seen, [1; 100]);
    let ids = |epoch| batches(&loader, epoch).into_iter().flat_map(|b| b.ids).collect::<Vec<_>>();
    assert_eq!(ids(4), ids(4));
    assert_ne!(ids(4), ids(5));
}

#[test]
fn neither_prefetch_nor_threads_change_the_batches() {
    let made = |prefetch, threads| {
        let config = LoaderConfig { batch_size: 7, prefetch, threads, ..LoaderConfig::default() };
        batches(&loader(50, config), 1)
    };
    assert_eq!(made(0, None), made(1, None));
    assert_eq!(made(0, None), made(usize::MAX, None));
    for threads in [2, 3, 8, 100] {
        assert_eq!(made(0, None), made(1, Some(threads)), "{threads} threads");
    }
}

#[test]
fn resumes_at_any_batch() {
    let loader = loader(50, LoaderConfig { batch_size: 8, ..LoaderConfig::default() });
    let whole = batches(&loader, 2);
    for first in 0..whole.len() {
        let rest: Vec<Batch> = loader.epoch_from(2, first).collect::<crate::Result<_>>().unwrap();
        assert_eq!(rest, whole[first..]);
    }
    assert_eq!(loader.epoch_from(2, 7).count(), 0);
    assert_eq!(loader.epoch_from(2, usize::MAX).count(), 0);
}

#[test]
fn dropping_early_stops_the_thread() {
    let config = LoaderConfig { batch_size: 1, prefetch: 1, threads: Some(3), ..LoaderConfig::default() };
    let set = Arc::new(tiny(250, 3));
    let loader = Loader::new(set.clone(), config).unwrap();
    for taken in [0, 1, 2, 249] {
        let mut batches = loader.epoch(0);
        assert_eq!(batches.by_ref().take(taken).count(), taken);
        drop(batches);
    }
    // Drop joined every thread, so nothing but this handle still holds the data.
    drop(loader);
    assert_eq!(Arc::strong_count(&set), 1);
}

#[test]
fn refuses_what_makes_no_batch() {
    let refused = |n, batch_size| message(Loader::new(Arc::new(tiny(n, 1)), plain(batch_size)));
    assert!(refused(3, 0).contains("at least 1"));
    assert!(refused(3, usize::MAX).contains("at least 1"));
    assert!(refused(0, 1).contains("no batch"));
    let mut broken = tiny(3, 1);
    broken.labels[0] = 9;
    assert!(message(Loader::new(Arc::new(broken), plain(1))).contains("label 9"));
}

/// A source that fails at one sample, and says which.
struct Failing(usize);

impl Source for Failing {
    fn name(&self) -> &str {
        "failing"
    }

    fn len(&self) -> usize {
        12
    }

    fn fields(&self) -> Vec<Field> {
        vec![Field::f32("x", [1])]
    }

    fn fill(&self, id: usize, _: View, row: &mut crate::data::Row<'_>) -> crate::Result<()> {
        if id == self.0 {
            return Err(Error::config("failing", format!("sample {id} can't be read")));
        }
        row.f32("x")?[0] = id as f32;
        Ok(())
    }

    fn fingerprint(&self) -> String {
        "failing".into()
    }
}

#[test]
fn a_sample_that_fails_ends_the_epoch_with_its_error() {
    for (threads, prefetch) in [(1, 0), (1, 2), (3, 1)] {
        let config = LoaderConfig { prefetch, threads: Some(threads), ..plain(2) };
        let loader = Loader::new(Arc::new(Failing(5)), config).unwrap();
        let made: Vec<_> = loader.epoch(0).collect();
        let good = made.iter().filter(|batch| batch.is_ok()).count();
        assert_eq!((good, made.len()), (2, 3), "{threads} threads");
        let message = made[2].as_ref().unwrap_err().to_string();
        assert!(message.contains("sample 5 can't be read"), "{message}");
    }
}

/// Sample i has the numbers i * 100, i * 100 + 1, .., as many as `lengths` says, and their count once more.
struct Ragged(Vec<u32>);

impl Source for Ragged {
    fn name(&self) -> &str {
        "ragged"
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn fields(&self) -> Vec<Field> {
        vec![Field::packed("tokens"), Field::f32("count", [1])]
    }

    fn lengths(&self) -> Option<&[u32]> {
        Some(&self.0)
    }

    fn fill(&self, id: usize, _: View, row: &mut crate::data::Row<'_>) -> crate::Result<()> {
        let tokens = row.i32("tokens")?;
        assert_eq!(tokens.len(), self.0[id] as usize);
        tokens.iter_mut().zip(id as i32 * 100..).for_each(|(token, value)| *token = value);
        row.f32("count")?[0] = self.0[id] as f32;
        Ok(())
    }

    fn fingerprint(&self) -> String {
        "ragged".into()
    }
}

fn ragged(lengths: &[u32], config: LoaderConfig) -> Loader {
    Loader::new(Arc::new(Ragged(lengths.to_vec())), config).unwrap()
}

#[test]
fn packed_values_lie_one_behind_the_other() {
    let all = batches(&ragged(&[2, 0, 3, 1, 1], plain(3)), 0);
    assert_eq!(all[0].i32("tokens").unwrap(), [0, 1, 200, 201, 202]);
    assert_eq!(all[0].spans, [[0, 2], [2, 2], [2, 5]]);
    assert_eq!(all[1].i32("tokens").unwrap(), [300, 400, -1, -1, -1]);
    assert_eq!(all[1].spans, [[0, 1], [1, 2], [2, 2]]);
    assert_eq!((all[1].len, &all[1].ids[..]), (2, &[3, 4, 0][..]));
    assert_eq!(all[1].f32("count").unwrap(), [1.0, 1.0, 0.0]);
    let empty = batches(&ragged(&[0, 0], plain(2)), 0);
    assert_eq!((empty[0].i32("tokens").unwrap(), &empty[0].spans[..]), (&[-1][..], &[[0, 0], [0, 0]][..]));
    assert!(batches(&loader(5, plain(3)), 0).iter().all(|batch| batch.spans.is_empty()));
}

#[test]
fn shuffled_packed_batches_have_one_size_in_every_epoch() {
    let lengths: Vec<u32> = (0..230).map(|i| 3 + i * i % 41).collect();
    let source: Arc<dyn Source> = Arc::new(Ragged(lengths.clone()));
    let made = |prefetch, threads| {
        let config = LoaderConfig { batch_size: 16, prefetch, threads, ..LoaderConfig::default() };
        ragged(&lengths, config)
    };
    let whole = made(0, None);
    let room = |order| source.batch_fields(16, order).unwrap()[0].len();
    for epoch in 0..5 {
        let all = batches(&whole, epoch);
        let mut seen = vec![0; lengths.len()];
        for batch in &all {
            let tokens = batch.i32("tokens").unwrap();
            assert_eq!(tokens.len(), room(Order::Dealt));
            let mut end = 0;
            for (&id, &[first, last]) in batch.ids.iter().zip(&batch.spans).take(batch.len) {
                seen[id as usize] += 1;
                assert_eq!(first, end);
                end = last;
                let values: Vec<i32> =
                    (0..lengths[id as usize] as i32).map(|k| id as i32 * 100 + k).collect();
                assert_eq!(tokens[first as usize..last as usize], values);
            }
            assert!(tokens[end as usize..].iter().all(|&token| token == -1));
            assert!(batch.spans[batch.len..].iter().all(|&span| span == [end; 2]));
        }
        assert!(seen.iter().all(|&times| times == 1));
        assert_eq!(all.iter().map(|batch| batch.len).collect::<Vec<_>>(), [vec![16; 14], vec![6]].concat());
        assert_eq!(batches(&made(2, Some(3)), epoch), all);
        for first in 0..all.len() {
            let rest: Vec<Batch> = whole.epoch_from(epoch, first).collect::<crate::Result<_>>().unwrap();
            assert_eq!(rest, all[first..]);
        }
    }
    assert_ne!(batches(&whole, 0)[0].ids, batches(&whole, 1)[0].ids);
    assert_eq!(room(Order::Any), room(Order::Kept).max(room(Order::Dealt)));
    assert_eq!(room(Order::Kept), batches(&ragged(&lengths, plain(16)), 0)[0].i32("tokens").unwrap().len());
    assert!(room(Order::Kept) > room(Order::Dealt));
}

/// A source that has packed fields and says other lengths than it has samples.
struct Unmeasured(Option<Vec<u32>>);

impl Source for Unmeasured {
    fn name(&self) -> &str {
        "unmeasured"
    }

    fn len(&self) -> usize {
        3
    }

    fn fields(&self) -> Vec<Field> {
        vec![Field::packed("tokens")]
    }

    fn lengths(&self) -> Option<&[u32]> {
        self.0.as_deref()
    }

    fn fill(&self, _: usize, _: View, _: &mut crate::data::Row<'_>) -> crate::Result<()> {
        Ok(())
    }

    fn fingerprint(&self) -> String {
        String::new()
    }
}

#[test]
fn packed_fields_need_lengths() {
    for (lengths, says) in [
        (None, "there are 0"),
        (Some(vec![1, 2]), "there are 2"),
        (Some(vec![1, u32::MAX, 2]), "smaller batches"),
    ] {
        let source: Arc<dyn Source> = Arc::new(Unmeasured(lengths));
        let fields = message(source.batch_fields(3, Order::Dealt));
        let refused = message(Loader::new(source, plain(3)));
        assert!(refused.contains(says) && fields == refused, "{refused}");
    }
    let source: Arc<dyn Source> = Arc::new(Unmeasured(Some(vec![1; 3])));
    assert!(message(source.batch_fields(0, Order::Kept)).contains("at least 1"));
}
