//! The teachers of a sweep: trained where their files are missing, and measured once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::pair::PairFile;
use super::run::{SweepFolder, key, short_hash};
use crate::cli::out::say;
use crate::cli::run::job::{Job, Supervision};
use crate::cli::run::recipe::Recipe;
use crate::cli::run::teachers::{Teachers, teachers_of};
use crate::files::{read_text, write_atomic};
use crate::gpu::Gpu;
use crate::models::{native_config, saved};
use crate::{Error, Result};

/// Refuses files that are not there and that nothing will make, before other pairs have run for hours.
pub fn to_come(home: SweepFolder<'_>, pair: &PairFile) -> Result<()> {
    let trained = |path: &Path| pair.train_teacher.is_some() && pair.teacher.as_deref() == Some(path);
    let files = pair.files(&pair.entries(home.file), &home.file.seeds);
    let Some(missing) = files.iter().find(|path| !path.exists() && !trained(path)) else { return Ok(()) };
    let outputs = home.file.seeds.iter().any(|seed| pair.outputs(*seed).as_ref() == Some(missing));
    let message = match outputs {
        true => format!("is not there; write it with `limbeck teach`, for {}", pair.name()),
        false => format!(
            "is not there; train it with `limbeck train`, or give {} a [pair.train_teacher] with a model",
            pair.name()
        ),
    };
    Err(Error::file(missing, message))
}

/// Trains the pair's teacher where its file is missing, on the pair's data, as the sweep says.
pub fn make(gpu: &Gpu, home: SweepFolder<'_>, pair: &PairFile) -> Result<()> {
    to_come(home, pair)?;
    let Some((own, file)) = pair.train_teacher.as_ref().zip(pair.teacher.as_ref()) else { return Ok(()) };
    if file.exists() {
        return Ok(());
    }
    say!("{}: training the teacher", pair.name())?;
    let folder = home.out.join(format!("teacher-{}", short_hash(&pair.name())));
    let settings = Recipe { out: Some(folder), ..pair.settings.over(&home.file.settings)? };
    let recipe = own.over(&settings)?;
    let mut job = Job::open(gpu.clone(), recipe, true)?;
    let config = job.recipe.train_config()?;
    let mut network = job.network()?;
    job.fit("teacher", &mut network, &config, Supervision::default(), false)?;
    saved::save(file, &network, &job.metadata())
}

/// What a teacher is measured at, as the sweep's folder keeps it, under what it depends on.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Measured {
    /// For people.
    teacher: PathBuf,
    /// On the test set. Older versions knew accuracies only.
    #[serde(alias = "accuracy")]
    value: f64,
}

/// What each of the pair's teachers is measured at on the test set: once, and kept in the sweep's
/// teachers.json. None where only their outputs are there.
pub fn teacher_values(gpu: &Gpu, home: SweepFolder<'_>, pair: &PairFile) -> Result<Vec<f64>> {
    let recipe = pair.recipe(home.file, &Entry::alone(), 0, &home.out.join("teachers"))?;
    if recipe.teacher.is_none() {
        return Ok(Vec::new());
    }
    let paths: Vec<PathBuf> = teachers_of(&recipe)?.into_iter().map(|(path, _)| path).collect();
    let keys = paths.iter().map(|path| teacher_key(&recipe, path)).collect::<Result<Vec<_>>>()?;
    let file = home.out.join("teachers.json");
    let mut known = read(&file);
    if keys.iter().any(|key| !known.contains_key(key)) {
        say!("{}: measuring the teacher", pair.name())?;
        let mut job = Job::open(gpu.clone(), recipe, true)?;
        let source = Teachers::open(&mut job, None)?;
        for ((key, path), (teacher, _)) in keys.iter().zip(&paths).zip(source.live()) {
            if !known.contains_key(key) {
                let value = job.measure_test(&teacher.network)?.value();
                known.insert(key.clone(), Measured { teacher: path.clone(), value });
            }
        }
        let text = serde_json::to_string_pretty(&known).map_err(|e| Error::file(&file, e))?;
        write_atomic(&file, |w| w.write_all(text.as_bytes()))?;
    }
    Ok(keys.iter().filter_map(|key| known.get(key)).map(|measured| measured.value).collect())
}

/// What a teacher's value depends on: its bytes, what is said about it, and the test images.
fn teacher_key(recipe: &Recipe, path: &Path) -> Result<String> {
    let about = recipe.clone();
    let about = Recipe {
        teacher_model: about.teacher_model,
        data: about.data,
        data_dir: about.data_dir,
        data_mean: about.data_mean,
        data_std: about.data_std,
        letterbox: about.letterbox,
        map: about.map,
        // Of a detector it says how large the images are.
        model: about.model.filter(|model| native_config(model).is_ok_and(|own| own.is_some())),
        limit_test: about.limit_test,
        ..Default::default()
    };
    let files: Vec<PathBuf> = std::iter::once(path.to_path_buf()).chain(recipe.teacher_map.clone()).collect();
    key(&about, &files)
}

/// What is known; nothing where the file can't be read, since all of it can be measured again.
fn read(file: &Path) -> BTreeMap<String, Measured> {
    if !file.exists() {
        return BTreeMap::new();
    }
    let read = read_text(file).and_then(|text| serde_json::from_str(&text).map_err(|e| Error::file(file, e)));
    read.unwrap_or_else(|error| {
        log::warn!("the teachers are measured again: {error}");
        BTreeMap::new()
    })
}
