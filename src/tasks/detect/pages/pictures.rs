//! The images with most mistakes, and some without: what is there beside what was found.

use std::fmt::Write;
use std::io::Cursor;

use ::image::codecs::jpeg::JpegEncoder;
use ::image::imageops;
use ::image::{Rgb, RgbImage};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::data::boxes::{BoxImage, BoxSet};
use crate::report::draw::{Fitted, Labelled};
use crate::report::{Section, escape};
use crate::tasks::detect::{DetectionResult, Found, Gathered, ImageMistakes, Truth};
use crate::{Error, Result};

/// Images with mistakes, and without.
const WORST: usize = 6;
const BEST: usize = 2;
/// Most pixels of a picture's longer side.
const SIDE: u32 = 420;
/// Pixels between the two pictures of an image.
const GAP: u32 = 6;
/// JPEG's, of 100.
const QUALITY: u8 = 82;

/// Images are matched by their place.
pub fn section(result: &DetectionResult, gathered: &Gathered, set: &BoxSet) -> Result<Section> {
    let best = result.best(BEST).into_iter().filter(|place| result.by_image[*place].count() == 0);
    let places: Vec<usize> = result.worst(WORST).into_iter().chain(best).collect();
    let mut html = String::new();
    for place in places {
        let (Some(image), Some((truths, found))) = (set.image(place), gathered.image(place)) else {
            continue;
        };
        let found: Vec<Found> = found.iter().copied().filter(|f| f.score > result.confusion.score).collect();
        let picture = STANDARD.encode(beside(image, truths, &found, set.class_names())?);
        let (name, about) = (escape(&image.name), about(&result.by_image[place]));
        let _ = writeln!(
            html,
            "<figure><img alt=\"{name}: {about}\" src=\"data:image/jpeg;base64,{picture}\">\
             <figcaption>{name} <span>{about}</span></figcaption></figure>"
        );
    }
    if !html.is_empty() {
        html = format!("<div class=\"pictures\">\n{html}</div>\n");
    }
    let about = format!(
        "Left what is there, right what was found above a score of {}: images with most mistakes, and some with none.",
        result.confusion.score
    );
    Ok(Section { title: "Pictures".into(), about, html })
}

fn about(mistakes: &ImageMistakes) -> String {
    let ImageMistakes { truths, missed, wrong } = mistakes;
    format!("{missed} of {truths} missed, {wrong} wrong")
}

/// A JPEG of the image twice.
fn beside(image: &BoxImage, truths: &[Truth], found: &[Found], classes: &[String]) -> Result<Vec<u8>> {
    let picture = Fitted::new(&image.decode()?, [SIDE; 2]);
    let name = |class: usize| classes.get(class).map_or("?", String::as_str);
    let there = truths.iter().map(|truth| {
        let note = if truth.crowd {
            " (crowd)"
        } else if truth.difficult {
            " (difficult)"
        } else {
            ""
        };
        (truth.bounds, format!("{}{note}", name(truth.class)), truth.class)
    });
    let left = panel(&picture, there);
    // The surest on top.
    let found =
        found.iter().rev().map(|f| (f.bounds, format!("{} {:.0}", name(f.class), 100.0 * f.score), f.class));
    let right = panel(&picture, found);
    let mut both = RgbImage::from_pixel(2 * left.width() + GAP, left.height(), Rgb([128; 3]));
    imageops::replace(&mut both, &left, 0, 0);
    imageops::replace(&mut both, &right, i64::from(left.width() + GAP), 0);
    let mut bytes = Cursor::new(Vec::new());
    JpegEncoder::new_with_quality(&mut bytes, QUALITY)
        .encode_image(&both)
        .map_err(|e| Error::config("picture", format!("{}: {e}", image.name)))?;
    Ok(bytes.into_inner())
}

/// The picture with boxes, labels and classes.
fn panel(picture: &Fitted, boxes: impl Iterator<Item = ([f32; 4], String, usize)>) -> RgbImage {
    let boxes: Vec<_> = boxes.collect();
    let labelled: Vec<Labelled<'_>> = boxes
        .iter()
        .map(|(bounds, label, class)| Labelled { bounds: *bounds, label, class: *class })
        .collect();
    picture.with_boxes(&labelled)
}
