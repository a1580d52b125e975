//! What a task's meter counts on the device, read and set back.

use crate::Result;
use crate::gpu::Gpu;
use crate::tasks::{Meter, Tally};

/// What a meter counted on the device.
pub(in crate::train) async fn tally(gpu: &Gpu, meter: &dyn Meter) -> Result<Tally> {
    let reads = meter.counts().iter().map(|(_, slice)| gpu.read(slice)).collect::<Result<Vec<_>>>()?;
    let mut counts = Vec::new();
    for read in reads {
        counts.push(read.await?);
    }
    meter.tally(&counts)
}

/// Starts counting anew.
pub(in crate::train) fn reset(gpu: &Gpu, meter: &dyn Meter) -> Result<()> {
    meter.counts().iter().try_for_each(|(_, slice)| gpu.write(slice, &vec![0u8; slice.len as usize]))
}
