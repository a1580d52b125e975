//! Images with boxes.

use std::sync::Arc;

use super::{Kind, Subject};
use crate::cli::run::detection::detect;
use crate::cli::run::recipe::Recipe;
use crate::data::boxes::{BoxSet, BoxSets, OpenOptions, Resize, Severity};
use crate::data::{Content, Source, Split, load_boxes};
use crate::gpu::Gpu;
use crate::models::saved::{self, ModelMetadata, Overrides, Saved};
use crate::models::{Network, base_of, native_config, reclassed};
use crate::nn::DeviceParams;
use crate::report::Section;
use crate::tasks::detect::{Detect, DetectConfig, SCORE};
use crate::tasks::{self, Task};
use crate::{Error, Result};

/// Images with boxes, as settings see them.
pub const KIND: Kind = Kind {
    task: tasks::detect::SPEC.name,
    takes: &[Content::Boxes],
    words: "images with boxes",
    samples: "images",
    settings: &[
        "letterbox",
        "mosaic",
        "close_mosaic",
        "scale",
        "translate",
        "hsv",
        "flip",
        "box_weight",
        "objectness_weight",
        "class_weight",
        "map",
    ],
    method: "obj-kd",
    defaults,
    open: |recipe| Ok(Box::new(Boxed::open(recipe)?)),
};

/// Channels, height and width of images, where no model says its own: what YOLO's networks are made for.
const DEFAULT_INPUT: [usize; 3] = [3, 416, 416];

/// Channels, height and width of the images: what the model says, or where none is trained the teacher.
fn input_of(recipe: &Recipe) -> Result<[usize; 3]> {
    if let Some(name) = recipe.model.as_deref().or(recipe.teacher_model.as_deref()) {
        return native_config(name)?.map_or(Ok(DEFAULT_INPUT), |config| config.input.image());
    }
    // A file that does not say all is asked again, and more, where the teacher is opened.
    let teacher = recipe.teacher.as_ref().and_then(|path| saved::open(path, &Overrides::default()).ok());
    teacher.map_or(Ok(DEFAULT_INPUT), |saved| saved.network.input().image())
}

/// A detector's loss is a sum over hundreds of cells, so its first gradients are large: the rate is lower than for classes, it
/// rises from nothing, and gradients are clipped.
fn defaults(given: &Recipe, steps: u64) -> Recipe {
    let sgd = given.optimizer.as_deref().is_none_or(|name| name == "sgd");
    Recipe {
        learning_rate: sgd.then_some(0.01),
        warmup_steps: Some(50.min(steps / 10)),
        max_grad_norm: Some(10.0),
        ..Default::default()
    }
}

/// Images with boxes, which are to be found.
pub struct Boxed {
    training: Arc<BoxSet>,
    validation: Option<Arc<BoxSet>>,
    test: Arc<BoxSet>,
}

impl Boxed {
    /// The data set that the settings name, with images of the size that the model wants.
    fn open(recipe: &Recipe) -> Result<Self> {
        let [_, height, width] = input_of(recipe)?;
        let resize = resize(recipe.letterbox == Some(true));
        // What is held out as the test part, and what is left of it, is the same for every seed, and for `eval`.
        let options = OpenOptions { size: [height, width], resize, ..Default::default() };
        let sets = load_boxes(recipe.data_name(), recipe.data_dir.as_deref(), &options)?;
        sets.require_training()?;
        let BoxSets { train, validation, test, traps, .. } = sets;
        for trap in traps.kinds().into_iter().filter(|trap| trap.severity() > Severity::Repaired) {
            log::info!("{}: {} ({})", trap.words(), traps.count(trap), traps.first(trap, 3));
        }
        let training = limit(train, recipe.limit_train, "--limit-train")?;
        let test = limit(test, recipe.limit_test, "--limit-test")?;
        let (training, validation) = match recipe.validation {
            Some(fraction) => {
                let (training, held_out) = training.split_holdout(fraction, recipe.seed())?;
                (training, Some(held_out.of_split(Split::Validation)))
            }
            None => (training, validation),
        };
        Ok(Self { training: Arc::new(training), validation: validation.map(Arc::new), test: Arc::new(test) })
    }
}

/// How images are brought to a network's size.
pub fn resize(letterbox: bool) -> Resize {
    if letterbox { Resize::Letterbox } else { Resize::Stretch }
}

/// `n` images of a set; all where no number is given. `flag` is where it came from.
pub fn limit(set: BoxSet, n: Option<usize>, flag: &str) -> Result<BoxSet> {
    match n {
        None => Ok(set),
        Some(0) => Err(Error::config(flag, "expected at least 1 image, got 0; leave it out to use them all")),
        Some(n) => set.sample(n.min(set.len()), 0),
    }
}

impl Subject for Boxed {
    fn training(&self) -> Arc<dyn Source> {
        self.training.clone()
    }

    fn validation(&self) -> Option<Arc<dyn Source>> {
        self.validation.clone().map(|set| set as Arc<dyn Source>)
    }

    fn test(&self) -> Arc<dyn Source> {
        self.test.clone()
    }

    fn classes(&self) -> &[String] {
        self.training.class_names()
    }

    fn task(&self, recipe: &Recipe) -> Result<Arc<dyn Task>> {
        let config = recipe.detect_config()?;
        Ok(Arc::new(Detect::new(self.training.as_ref(), self.training.class_names(), config)?))
    }

    /// Detectors read pixel / 255 as it is.
    fn normalise_as(&mut self, _: &Recipe, mean: &[f32], std: &[f32]) -> Result<()> {
        reads_plain_pixels(mean, std)
    }

    fn metadata(&self) -> ModelMetadata {
        ModelMetadata {
            classes: self.classes().to_vec(),
            mean: vec![0.0; 3],
            std: vec![1.0; 3],
            ..Default::default()
        }
    }

    fn overrides(&self) -> Overrides {
        let [height, width] = self.training.size();
        Overrides { input: Some([3, height, width]), ..overrides_from(self.classes()) }
    }

    /// In darknet's format, with `model.cfg` and `model.names` beside it; low-rank factors have no place there.
    fn exports(&self, network: &Network) -> &'static [&'static str] {
        if base_of(&network.name) == network.name { &["model.weights"] } else { &[] }
    }

    fn sections(&self, gpu: &Gpu, network: &Network, recipe: &Recipe) -> Result<Vec<Section>> {
        sections(gpu, network, &self.test, &recipe.detect_config()?)
    }

    /// Classes go by their names: of a teacher of COCO's 80 those that the data has are taken.
    fn teacher(&self, teacher: Saved) -> Result<Saved> {
        let Saved { network, metadata } = teacher;
        let [[_, height, width], size] =
            [network.input().image()?, [3, self.training.size()[0], self.training.size()[1]]];
        if [3, height, width] != size {
            let message = format!(
                "{} takes images of {height}x{width}, and the student those of {}x{}, which both are shown; name the teacher's \
                 size with its model, such as `teacher_model = yolov4:size={}`, or train it at that size",
                network.name, size[1], size[2], size[2]
            );
            return Err(Error::config("teacher", message));
        }
        let own = metadata.classes.len();
        let network = reclassed(network, &metadata.classes, self.classes())?;
        if own != self.classes().len() {
            log::info!(
                "of the {own} classes of {} those of the data teach: {}",
                network.name,
                self.classes().join(", ")
            );
        }
        Ok(Saved { network, metadata: ModelMetadata { classes: self.classes().to_vec(), ..metadata } })
    }
}

/// What a report shows of a network of the set's classes. Blocks.
pub fn sections(
    gpu: &Gpu,
    network: &Network,
    set: &Arc<BoxSet>,
    config: &DetectConfig,
) -> Result<Vec<Section>> {
    let (params, classes) = (DeviceParams::frozen(gpu, "network", &network.params)?, set.class_names());
    let gathered = detect(gpu, (network, &params), classes, set, config, None)?.gathered;
    tasks::detect::sections(&gathered.measure(config.map, SCORE, classes)?, &gathered, set)
}

/// Fails for a network that wants other pixels than those of detectors.
pub fn reads_plain_pixels(mean: &[f32], std: &[f32]) -> Result<()> {
    if mean.iter().all(|m| *m == 0.0) && std.iter().all(|s| *s == 1.0) {
        return Ok(());
    }
    let message = format!(
        "detectors read pixel / 255 as it is, so means of 0 and deviations of 1, and this one wants mean {mean:?} and std \
         {std:?}; leave out `data_mean` and `data_std`, or export it with its normalisation inside"
    );
    Err(Error::config("normalisation", message))
}

/// What data with boxes of these classes tells about a network that was trained on it.
pub fn overrides_from(classes: &[String]) -> Overrides {
    Overrides {
        classes: Some(classes.to_vec()),
        mean: Some(vec![0.0; 3]),
        std: Some(vec![1.0; 3]),
        ..Default::default()
    }
}
