//! Kernels parsed on all cores before they are compiled one after the other: until a first step naga's parser takes most of
//! the time, in a build without optimisation nearly all of it.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, available_parallelism, scope};

use super::device::{Gpu, lock};
use super::kernel::Kernel;
use super::notice::Notice;
use super::pipeline::{key_of, parse_kernel};

/// Bytes of stack of a thread that parses: what the main thread of most systems has.
const STACK: usize = 8 << 20;

impl Gpu {
    /// Parses the kernels that no plan had before. It reports nothing: [`Gpu::pipeline`] parses what is left, and says
    /// what is wrong with it.
    pub(crate) fn parse_ahead<'a>(&self, kernels: impl Iterator<Item = &'a Kernel>, notice: &Notice) {
        let new: Vec<&Kernel> = {
            let mut known = lock(&self.pipelines().known);
            kernels.filter(|kernel| known.insert(hash(kernel))).collect()
        };
        let threads = available_parallelism().map_or(1, usize::from).min(new.len());
        if threads < 2 {
            return;
        }
        let (next, taken) = (AtomicUsize::new(0), Mutex::new(HashSet::new()));
        let work = || {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some(kernel) = new.get(at) else { break };
                notice.after(at, new.len(), "parsed");
                let Ok(source) = kernel.source() else { continue };
                let key = key_of(kernel, &source);
                if !lock(&taken).insert(key.clone()) {
                    continue;
                }
                if let Ok(parsed) = parse_kernel(kernel, &source) {
                    lock(&self.pipelines().parsed).insert(key, parsed);
                }
            }
        };
        scope(|all| {
            // Where no thread can be made, fewer parse, or none.
            let started =
                (1..threads).map_while(|_| Builder::new().stack_size(STACK).spawn_scoped(all, work).ok());
            let started = started.count();
            log::debug!("{} kernels parsed by {} threads", new.len(), started + 1);
            work();
        });
    }
}

/// The same number for the same kernel: a number that two have in common costs time, and nothing else.
fn hash(kernel: &Kernel) -> u64 {
    let mut hasher = DefaultHasher::new();
    kernel.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::{AdapterRequest, GpuOptions};

    #[test]
    fn kernels_are_parsed_once_and_what_is_wrong_is_left_to_the_pipeline() {
        let request = AdapterRequest::from_env().unwrap();
        let gpu = Gpu::open_blocking(&request, GpuOptions::default()).expect("an adapter: make setup");
        let text = "@group(0) @binding(0) var<storage, read_write> x: array<f32>;
            @compute @workgroup_size(1) fn forward() { x[0] = VALUE; }";
        let kernel = |value| Kernel::new("set", "forward", text).define_f32("VALUE", value);
        let broken =
            Kernel::new("broken", "forward", "@compute @workgroup_size(1) fn forward() { nothing(); }");
        let all = [kernel(1.0), kernel(2.0), kernel(1.0), broken.clone()];
        let parsed = || lock(&gpu.pipelines().parsed).len();
        gpu.parse_ahead(all.iter(), &Notice::new());
        // A single core parses nothing ahead.
        let one_core = available_parallelism().is_ok_and(|n| n.get() == 1);
        assert_eq!(parsed(), if one_core { 0 } else { 2 });
        for kernel in &all[..3] {
            gpu.pipeline(kernel).unwrap();
        }
        assert_eq!(parsed(), 0);
        gpu.parse_ahead(all.iter(), &Notice::new());
        assert_eq!(parsed(), 0, "what is known is not parsed again");
        let message = gpu.pipeline(&broken).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(message.contains("broken/forward") && message.contains("nothing"), "{message}");
    }
}
