//! First values of a network that is to be trained, from a file that need not fit it.

use std::path::Path;

use super::weights::{companions, text_of};
use crate::Result;
use crate::files::{self, NamedTensor};
use crate::models::darknet::{self, Cfg, Change};
use crate::models::{Network, encoder};
use crate::nn::Started;

/// Gives `network` what fits it by name and shape of a file with weights (safetensors, `.pth`, darknet's `.weights` and
/// backbones such as `yolov4.conv.137`); the rest keeps the values that it has. [`Started::summary`] says what was left.
///
/// An encoder of texts takes of a larger one, a folder or a file, its first layers, its positions as far as it has them, and where it
/// is narrower the principal components of its words.
///
/// A `.weights` file has no names. Its layers are those of the `.cfg` that has its name and lies beside it, or else the
/// network's own: for as many classes as the file's length says, and as far as a backbone goes.
///
/// # Errors
/// [`Error::File`](crate::Error::File) for a damaged file, and a `.weights` file of other layers;
/// [`Error::Config`](crate::Error::Config) where nothing fits. The network is then as before.
///
/// ```no_run
/// use limbeck::models::{build, native_config, saved};
///
/// let name = "yolov4-tiny:classes=3";
/// let mut network = build(name, &native_config(name)?.expect("a detector"))?;
/// let started = saved::start_from(&mut network, "yolov4-tiny.weights")?;
/// // Only the convolutions before the heads are of other classes.
/// assert_eq!((started.left.misshapen.len(), started.left.missing.len()), (4, 0));
/// # Ok::<(), limbeck::Error>(())
/// ```
pub fn start_from(network: &mut Network, path: impl AsRef<Path>) -> Result<Started> {
    from(network, path.as_ref(), None)
}

/// As [`start_from`], with these layers of the file's encoder, in this order: `[0, 2, 4, 7, 9, 11]` is DistilBERT's start from
/// twelve (Sanh et al. 1910.01108).
///
/// # Errors
/// As [`start_from`]; [`Error::Config`](crate::Error::Config) for a network that is no encoder, for another number of layers
/// than it has, and for one that the file does not have.
pub fn start_from_layers(network: &mut Network, path: impl AsRef<Path>, layers: &[usize]) -> Result<Started> {
    from(network, path.as_ref(), Some(layers))
}

fn from(network: &mut Network, path: &Path, layers: Option<&[usize]>) -> Result<Started> {
    let tensors = match () {
        () if path.is_dir() => encoder::folder::tensors_of(path)?,
        () if darknet::is_weights(path) => of_darknet(network, path, &files::read(path)?)?,
        () => files::read_weights(path)?.0,
    };
    let what = format!("{} as {}", path.display(), network.name);
    network.start_from(tensors, layers, &what)
}

fn of_darknet(network: &Network, path: &Path, bytes: &[u8]) -> Result<Vec<NamedTensor>> {
    let file = path.display().to_string();
    for name in companions(path, "cfg") {
        let beside = path.with_file_name(name);
        if let Some(text) = text_of(files::read(&beside))? {
            return Cfg::parse(&beside.display().to_string(), &text, None)?.read_weights(&file, bytes);
        }
    }
    let own = Cfg::of(network)?;
    let whole = own.classes_in(bytes).filter(|classes| *classes != network.head().width());
    let other =
        whole.and_then(|classes| own.with(&Change { classes: Some(classes), ..Change::default() }).ok());
    other.unwrap_or(own).read_weights(&file, bytes)
}
