//! The one list of data sets.

use std::path::Path;

use super::{Dataset, LoadOptions, boxes, cifar, digits, folder, idx, published};
use crate::{Error, Result};

/// A data set that [`super::load`] knows: what to call it, which files it needs, where they are published.
#[derive(Debug)]
pub struct DatasetInfo {
    /// As the user writes it.
    pub name: &'static str,
    /// One line on what it holds.
    pub about: &'static str,
    /// Licence, and who to credit.
    pub licence: &'static str,
    /// What its directory must hold, for messages. Empty: nothing is needed.
    pub files: &'static [&'static str],
    /// Directories of operating system packages that hold the files.
    pub system_dirs: &'static [&'static str],
    /// Whether `image_size` and `channels` apply to it; others have a fixed layout.
    pub takes_size: bool,
    /// Address that the names in `remote` are appended to.
    pub base_url: &'static str,
    /// What its samples are.
    pub content: Content,
    /// Published files. Empty: nothing to download.
    pub(super) remote: Remote,
    /// Whether a directory seems to hold this data set.
    pub(super) present: fn(&Path) -> bool,
    /// Reads (train, test) from a directory.
    pub(super) load: fn(&Path, &LoadOptions) -> Result<(Dataset, Dataset)>,
}

/// What the samples of a data set are, which says who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Images with a label each: [`super::load`].
    Images,
    /// Images with boxes, for detectors: [`super::load_boxes`].
    Boxes,
    /// Texts with a label each.
    Texts,
    /// Sentences, and pairs of them that people scored.
    Sentences,
}

impl Content {
    /// In messages.
    pub fn words(self) -> &'static str {
        match self {
            Self::Images => "images of classes",
            Self::Boxes => "images with boxes, for detectors",
            Self::Texts => "texts of classes",
            Self::Sentences => "sentences and scored pairs of them",
        }
    }
}

/// The published files of a data set.
#[derive(Debug)]
pub(super) enum Remote {
    /// Few.
    Files(&'static [RemoteFile]),
    /// Many, from a list that is unpacked when it is asked for.
    List(fn() -> &'static [RemoteFile]),
}

impl DatasetInfo {
    /// Published files. Empty: nothing to download.
    pub fn remote(&self) -> &'static [RemoteFile] {
        match self.remote {
            Remote::Files(files) => files,
            Remote::List(list) => list(),
        }
    }
}

/// A published file, known by its checksum.
#[derive(Clone, Copy, Debug)]
pub struct RemoteFile {
    /// File name, appended to the base address.
    pub name: &'static str,
    /// Where it lies in the data set's directory.
    pub place: &'static str,
    /// Length in bytes.
    pub bytes: u64,
    /// In hexadecimal.
    pub sha256: &'static str,
    /// For a .tar.gz: the file names to take out of it, from whatever folder they are in. Empty: kept as it is.
    pub unpack: &'static [&'static str],
}

/// Every data set, in the order `limbeck data list` shows. The lengths and checksums of files here are those that TensorFlow
/// Datasets publishes for the same addresses (`url_checksums/` in its repository); those of the lists in `published` were
/// taken of the files at the commit that their address names.
pub const DATASETS: &[DatasetInfo] = &[
    DatasetInfo {
        name: "digits",
        about: "1,797 handwritten digits, 1x8x8, 10 classes; built in",
        licence: "CC BY 4.0, E. Alpaydin and C. Kaynak (UCI)",
        files: &[],
        system_dirs: &[],
        takes_size: false,
        content: Content::Images,
        base_url: "",
        remote: Remote::Files(&[]),
        present: |_| true,
        load: |_, options| digits::load(options.holdout, options.seed),
    },
    DatasetInfo {
        name: "mnist",
        about: "70,000 handwritten digits, 1x28x28, 10 classes",
        licence: "Y. LeCun, C. Cortes, C. Burges; CC BY-SA 3.0",
        files: idx::FILES,
        system_dirs: &[],
        takes_size: false,
        content: Content::Images,
        base_url: "https://storage.googleapis.com/cvdf-datasets/mnist/",
        remote: Remote::Files(&[
            plain(
                "train-images-idx3-ubyte.gz",
                9_912_422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            ),
            plain(
                "train-labels-idx1-ubyte.gz",
                28_881,
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            ),
            plain(
                "t10k-images-idx3-ubyte.gz",
                1_648_877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            ),
            plain(
                "t10k-labels-idx1-ubyte.gz",
                4_542,
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
        ]),
        present: idx::present,
        load: |dir, options| idx::load(idx::IdxKind::Mnist, dir, options.max_bytes),
    },
    DatasetInfo {
        name: "fashion-mnist",
        about: "70,000 pictures of clothing, 1x28x28, 10 classes",
        licence: "MIT, Zalando SE",
        files: idx::FILES,
        system_dirs: &["/usr/share/datasets/fashion-mnist"],
        takes_size: false,
        content: Content::Images,
        base_url: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        remote: Remote::Files(&[
            plain(
                "train-images-idx3-ubyte.gz",
                26_421_880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
            plain(
                "train-labels-idx1-ubyte.gz",
                29_515,
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
            plain(
                "t10k-images-idx3-ubyte.gz",
                4_422_102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
            plain(
                "t10k-labels-idx1-ubyte.gz",
                5_148,
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        ]),
        present: idx::present,
        load: |dir, options| idx::load(idx::IdxKind::FashionMnist, dir, options.max_bytes),
    },
    DatasetInfo {
        name: "cifar10",
        about: "60,000 photographs, 3x32x32, 10 classes",
        licence: "none stated; A. Krizhevsky, \"Learning Multiple Layers of Features from Tiny Images\", 2009",
        files: &["data_batch_1.bin .. data_batch_5.bin (or train.bin)", "test_batch.bin (or test.bin)"],
        system_dirs: &[],
        takes_size: false,
        content: Content::Images,
        base_url: "https://www.cs.toronto.edu/~kriz/",
        remote: Remote::Files(&[RemoteFile {
            name: "cifar-10-binary.tar.gz",
            place: "cifar-10-binary.tar.gz",
            bytes: 170_052_171,
            sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            unpack: &[
                "data_batch_1.bin",
                "data_batch_2.bin",
                "data_batch_3.bin",
                "data_batch_4.bin",
                "data_batch_5.bin",
                "test_batch.bin",
                "batches.meta.txt",
            ],
        }]),
        present: |dir| cifar::present(cifar::CifarKind::Cifar10, dir),
        load: |dir, options| cifar::load(cifar::CifarKind::Cifar10, dir, options.max_bytes),
    },
    DatasetInfo {
        name: "cifar100",
        about: "60,000 photographs, 3x32x32, 100 classes",
        licence: "none stated; A. Krizhevsky, \"Learning Multiple Layers of Features from Tiny Images\", 2009",
        files: &["train.bin", "test.bin"],
        system_dirs: &[],
        takes_size: false,
        content: Content::Images,
        base_url: "https://www.cs.toronto.edu/~kriz/",
        remote: Remote::Files(&[RemoteFile {
            name: "cifar-100-binary.tar.gz",
            place: "cifar-100-binary.tar.gz",
            bytes: 168_513_733,
            sha256: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
            unpack: &["train.bin", "test.bin", "fine_label_names.txt", "coarse_label_names.txt"],
        }]),
        present: |dir| cifar::present(cifar::CifarKind::Cifar100, dir),
        load: |dir, options| cifar::load(cifar::CifarKind::Cifar100, dir, options.max_bytes),
    },
    DatasetInfo {
        name: "folder",
        about: "your own images: one folder a class, or train/ and test/ with one folder a class each",
        licence: "yours",
        files: &["<class>/*.png|jpg|jpeg, or train/<class>/... and test/<class>/..."],
        system_dirs: &[],
        takes_size: true,
        content: Content::Images,
        base_url: "",
        remote: Remote::Files(&[]),
        present: |dir| dir.is_dir(),
        load: folder::load,
    },
    DatasetInfo {
        name: "bccd",
        about: "364 microscope images of blood with 4,886 boxes of 3 kinds of cells, 640x480",
        licence: "MIT, shenggan",
        files: &["Annotations/*.xml", "ImageSets/Main/*.txt", "JPEGImages/*.jpg"],
        system_dirs: &[],
        takes_size: false,
        content: Content::Boxes,
        base_url: "https://raw.githubusercontent.com/Shenggan/BCCD_Dataset/d272fb14cdff6e473fafeeeba32aba5f560e9e43/",
        remote: Remote::List(published::bccd),
        present: |dir| boxes::is_there(dir) && missing(dir, published::bccd()).is_none(),
        load: |_, _| Err(no_images("bccd", Content::Boxes)),
    },
    DatasetInfo {
        name: "coco128",
        about: "256 photographs of COCO with boxes of 80 classes: 128 for training, 128 for validation",
        licence: "annotations CC BY 4.0, COCO Consortium; images by terms of their owners at Flickr",
        files: &["data.yaml", "images/", "labels/"],
        system_dirs: &[],
        takes_size: false,
        content: Content::Boxes,
        base_url: "https://raw.githubusercontent.com/lightly-ai/coco128_yolo/6d6f7a059ea63efffdbe48aca2d52c04d4c510e9/",
        remote: Remote::List(published::coco128),
        present: |dir| boxes::is_there(dir) && missing(dir, published::coco128()).is_none(),
        load: |_, _| Err(no_images("coco128", Content::Boxes)),
    },
    DatasetInfo {
        name: "boxes",
        about: "your own images with boxes: Pascal VOC, YOLO or COCO",
        licence: "yours",
        files: &[
            "Annotations/ and JPEGImages/, or data.yaml, or obj.data, or images/ and labels/, or annotations/*.json",
        ],
        system_dirs: &[],
        takes_size: false,
        content: Content::Boxes,
        base_url: "",
        remote: Remote::Files(&[]),
        present: |dir| dir.exists(),
        load: |_, _| Err(no_images("boxes", Content::Boxes)),
    },
    DatasetInfo {
        name: "sst2",
        about: "9,613 sentences of film reviews, for or against (SST-2, whole sentences)",
        licence: "none stated; R. Socher et al., 2013",
        files: &["train.tsv", "dev.tsv", "test.tsv"],
        system_dirs: &[],
        takes_size: false,
        content: Content::Texts,
        base_url: "https://raw.githubusercontent.com/clairett/pytorch-sentiment-classification/457ffd83de90a9d6d472d8ffc31bbffe40a8b236/data/SST2/",
        remote: Remote::Files(&[
            plain("train.tsv", 720_259, "ec192f833a64da08f475488a77b0d0b47db47acd0f458bd18433fc793b569920"),
            plain("dev.tsv", 92_057, "eddea6b39e601dd4e7a672b53cc40fdf6019fa80522f351206c24340ca5d9359"),
            plain("test.tsv", 188_749, "831169c7e2e429d6026e1bdbb542f33b636e3e596caad9602ebc953c205928b7"),
        ]),
        present: |dir| dir.join("train.tsv").is_file(),
        load: |_, _| Err(no_images("sst2", Content::Texts)),
    },
    DatasetInfo {
        name: "texts",
        about: "your own texts of classes: train.* and test.* as .tsv, .csv or .jsonl",
        licence: "yours",
        files: &["train.tsv|csv|jsonl", "test.tsv|csv|jsonl"],
        system_dirs: &[],
        takes_size: false,
        content: Content::Texts,
        base_url: "",
        remote: Remote::Files(&[]),
        present: |dir| dir.is_dir(),
        load: |_, _| Err(no_images("texts", Content::Texts)),
    },
    DatasetInfo {
        name: "stsb",
        about: "8,628 pairs of sentences with scores from 0 to 5 (STS benchmark)",
        licence: "scores CC BY-SA 4.0; sentences by terms of their own, see LICENSE.txt",
        files: &["sts-train.csv", "sts-dev.csv", "sts-test.csv"],
        system_dirs: &[],
        takes_size: false,
        content: Content::Sentences,
        base_url: "https://raw.githubusercontent.com/zhangzhenhu/Semantic-Texual-Similarity-Toolkits/c55a72f51bd15a8bd75114247c06984b432050f9/data/stsbenchmark/",
        remote: Remote::Files(&[
            plain(
                "sts-train.csv",
                901_177,
                "0f71910b59aa1ad973c5897f0791f3b0965a92b8f82b1a95f3eea9f4162fda82",
            ),
            plain("sts-dev.csv", 255_680, "5d7e944d8b02734b07bfdb5df67db3420c64bed153fcaa1ba47ad03480cf4234"),
            plain(
                "sts-test.csv",
                282_419,
                "affe45928a66ee5a708531233c95b7dacbbdc57f974f002a3d32ea0180cf816a",
            ),
        ]),
        present: |dir| dir.join("sts-test.csv").is_file(),
        load: |_, _| Err(no_images("stsb", Content::Sentences)),
    },
    DatasetInfo {
        name: "sentences",
        about: "your own sentences (train.*), and scored pairs of them to measure by (test.*)",
        licence: "yours",
        files: &["train.txt|tsv|csv|jsonl", "test.tsv|csv|jsonl"],
        system_dirs: &[],
        takes_size: false,
        content: Content::Sentences,
        base_url: "",
        remote: Remote::Files(&[]),
        present: |dir| dir.is_dir(),
        load: |_, _| Err(no_images("sentences", Content::Sentences)),
    },
];

/// How many of the published files a directory lacks that has the first of them and none of those after, which is what an
/// interrupted download leaves. `None` where it has all of them, and where it lacks others: then it holds a copy from
/// elsewhere. Licences do not count.
pub(super) fn missing(dir: &Path, files: &[RemoteFile]) -> Option<usize> {
    let needed = files.iter().filter(|file| file.place != "LICENSE");
    let there: Vec<bool> = needed.map(|file| dir.join(file.place).is_file()).collect();
    let first = there.iter().position(|there| !there)?;
    (first > 0 && !there[first..].contains(&true)).then_some(there.len() - first)
}

fn no_images(name: &str, content: Content) -> Error {
    Error::config("data set", format!("{name} has {}, and no label for each image", content.words()))
}

/// The entry called `name`.
///
/// # Errors
/// [`Error::Config`] listing the known names.
pub fn find(name: &str) -> Result<&'static DatasetInfo> {
    DATASETS.iter().find(|info| info.name == name).ok_or_else(|| {
        let known: Vec<&str> = DATASETS.iter().map(|info| info.name).collect();
        Error::config("data set", format!("expected one of {}, got {name:?}", known.join(", ")))
    })
}

const fn plain(name: &'static str, bytes: u64, sha256: &'static str) -> RemoteFile {
    RemoteFile { name, place: name, bytes, sha256, unpack: &[] }
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
