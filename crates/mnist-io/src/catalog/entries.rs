//! The facts, from the pages and papers of those who made the sets.

use super::Checksum::{Contents, Md5, Sha256};
use super::{Entry, File, Source};

const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

#[rustfmt::skip]
const LETTERS: [&str; 26] = [
    "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M",
    "N", "O", "P", "Q", "R", "S", "T", "U", "V", "W", "X", "Y", "Z",
];

/// Digits, upper case, lower case.
#[rustfmt::skip]
const CHARACTERS: [&str; 62] = [
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9",
    "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M",
    "N", "O", "P", "Q", "R", "S", "T", "U", "V", "W", "X", "Y", "Z",
    "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m",
    "n", "o", "p", "q", "r", "s", "t", "u", "v", "w", "x", "y", "z",
];

/// Digits, upper case, and the letters whose lower case looks different.
#[rustfmt::skip]
const MERGED: [&str; 47] = [
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9",
    "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M",
    "N", "O", "P", "Q", "R", "S", "T", "U", "V", "W", "X", "Y", "Z",
    "a", "b", "d", "e", "f", "g", "h", "n", "q", "r", "t",
];

const CLOTHES: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

const HIRAGANA: [&str; 10] = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"];

/// In the order of [`Set`](super::Set)'s variants.
pub(super) static ENTRIES: [Entry; 11] = [
    Entry {
        name: "mnist",
        title: "MNIST",
        train: 60_000,
        test: 10_000,
        class_names: &DIGITS,
        source: &MNIST,
    },
    Entry {
        name: "fashion-mnist",
        title: "Fashion-MNIST",
        train: 60_000,
        test: 10_000,
        class_names: &CLOTHES,
        source: &FASHION_MNIST,
    },
    Entry {
        name: "kmnist",
        title: "Kuzushiji-MNIST",
        train: 60_000,
        test: 10_000,
        class_names: &HIRAGANA,
        source: &KMNIST,
    },
    Entry {
        name: "qmnist",
        title: "QMNIST",
        train: 60_000,
        test: 10_000,
        class_names: &DIGITS,
        source: &QMNIST,
    },
    Entry {
        name: "qmnist-extra",
        title: "QMNIST, the test digits that MNIST left out",
        train: 60_000,
        test: 50_000,
        class_names: &DIGITS,
        source: &QMNIST,
    },
    Entry {
        name: "emnist-byclass",
        title: "EMNIST ByClass",
        train: 697_932,
        test: 116_323,
        class_names: &CHARACTERS,
        source: &EMNIST,
    },
    Entry {
        name: "emnist-bymerge",
        title: "EMNIST ByMerge",
        train: 697_932,
        test: 116_323,
        class_names: &MERGED,
        source: &EMNIST,
    },
    Entry {
        name: "emnist-balanced",
        title: "EMNIST Balanced",
        train: 112_800,
        test: 18_800,
        class_names: &MERGED,
        source: &EMNIST,
    },
    Entry {
        name: "emnist-letters",
        title: "EMNIST Letters",
        train: 124_800,
        test: 20_800,
        class_names: &LETTERS,
        source: &EMNIST,
    },
    Entry {
        name: "emnist-digits",
        title: "EMNIST Digits",
        train: 240_000,
        test: 40_000,
        class_names: &DIGITS,
        source: &EMNIST,
    },
    Entry {
        name: "emnist-mnist",
        title: "EMNIST MNIST",
        train: 60_000,
        test: 10_000,
        class_names: &DIGITS,
        source: &EMNIST,
    },
];

/// Lengths of the files of a set as large as MNIST.
const TRAIN_IMAGES: u64 = 47_040_016;
const TRAIN_LABELS: u64 = 60_008;
const TEST_IMAGES: u64 = 7_840_016;
const TEST_LABELS: u64 = 10_008;

/// The home that MNIST had first, yann.lecun.com, has refused downloads since 2024 and is not among the mirrors.
static MNIST: Source = Source {
    folder: "mnist",
    provenance: "Y. LeCun, C. Cortes and C. J. C. Burges, from NIST's Special Databases 3 and 1",
    licence: "CC BY-SA 3.0, © Yann LeCun and Corinna Cortes",
    citation: "Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, \"Gradient-based learning applied to document \
               recognition\", Proceedings of the IEEE 86(11), 2278–2324, 1998",
    mirrors: &[
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    ],
    files: &[
        File {
            name: "train-images-idx3-ubyte.gz",
            bytes: TRAIN_IMAGES,
            checksum: Contents("ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
        },
        File {
            name: "train-labels-idx1-ubyte.gz",
            bytes: TRAIN_LABELS,
            checksum: Contents("65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
        },
        File {
            name: "t10k-images-idx3-ubyte.gz",
            bytes: TEST_IMAGES,
            checksum: Contents("0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
        },
        File {
            name: "t10k-labels-idx1-ubyte.gz",
            bytes: TEST_LABELS,
            checksum: Contents("ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
        },
    ],
};

static FASHION_MNIST: Source = Source {
    folder: "fashion-mnist",
    provenance: "H. Xiao, K. Rasul and R. Vollgraf, from pictures of Zalando's articles",
    licence: "MIT, © 2017 Zalando SE",
    citation: "H. Xiao, K. Rasul and R. Vollgraf, \"Fashion-MNIST: a novel image dataset for benchmarking machine \
               learning algorithms\", arXiv:1708.07747, 2017",
    mirrors: &[
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    ],
    files: &[
        File {
            name: "train-images-idx3-ubyte.gz",
            bytes: TRAIN_IMAGES,
            checksum: Contents("c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
        },
        File {
            name: "train-labels-idx1-ubyte.gz",
            bytes: TRAIN_LABELS,
            checksum: Contents("bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
        },
        File {
            name: "t10k-images-idx3-ubyte.gz",
            bytes: TEST_IMAGES,
            checksum: Contents("5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
        },
        File {
            name: "t10k-labels-idx1-ubyte.gz",
            bytes: TEST_LABELS,
            checksum: Contents("0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
        },
    ],
};

static KMNIST: Source = Source {
    folder: "kmnist",
    provenance: "ROIS-DS Center for Open Data in the Humanities, from the Kuzushiji Dataset of the National \
                 Institute of Japanese Literature and others, doi:10.20676/00000341",
    licence: "CC BY-SA 4.0, \"KMNIST Dataset\" created by CODH",
    citation: "T. Clanuwat, M. Bober-Irizar, A. Kitamoto, A. Lamb, K. Yamamoto and D. Ha, \"Deep learning for \
               classical Japanese literature\", arXiv:1812.01718, 2018",
    mirrors: &["http://codh.rois.ac.jp/kmnist/dataset/kmnist/"],
    files: &[
        File {
            name: "train-images-idx3-ubyte.gz",
            bytes: TRAIN_IMAGES,
            checksum: Sha256("51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"),
        },
        File {
            name: "train-labels-idx1-ubyte.gz",
            bytes: TRAIN_LABELS,
            checksum: Sha256("e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"),
        },
        File {
            name: "t10k-images-idx3-ubyte.gz",
            bytes: TEST_IMAGES,
            checksum: Sha256("edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"),
        },
        File {
            name: "t10k-labels-idx1-ubyte.gz",
            bytes: TEST_LABELS,
            checksum: Sha256("20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"),
        },
    ],
};

/// Its labels are rows of eight numbers, the first of which is the class.
static QMNIST: Source = Source {
    folder: "qmnist",
    provenance: "C. Yadav and L. Bottou, from NIST's Special Database 19, with MNIST's preparation reconstructed",
    licence: "BSD-style, © Facebook, Inc. and its affiliates",
    citation: "C. Yadav and L. Bottou, \"Cold case: the lost MNIST digits\", Advances in Neural Information \
               Processing Systems 32, 2019",
    mirrors: &["https://raw.githubusercontent.com/facebookresearch/qmnist/master/"],
    files: &[
        File {
            name: "qmnist-train-images-idx3-ubyte.gz",
            bytes: TRAIN_IMAGES,
            checksum: Md5("ed72d4157d28c017586c42bc6afe6370"),
        },
        File {
            name: "qmnist-train-labels-idx2-int.gz",
            bytes: QMNIST_LABELS,
            checksum: Md5("0058f8dd561b90ffdd0f734c6a30e5e4"),
        },
        File {
            name: "qmnist-test-images-idx3-ubyte.gz",
            bytes: TRAIN_IMAGES,
            checksum: Md5("1394631089c404de565df7b7aeaf9412"),
        },
        File {
            name: "qmnist-test-labels-idx2-int.gz",
            bytes: QMNIST_LABELS,
            checksum: Md5("5b5b05890a5e13444e108efe57b788aa"),
        },
    ],
};

/// 60,000 rows of eight numbers of four bytes.
const QMNIST_LABELS: u64 = 1_920_012;

/// One zip archive with gzipped IDX files, from which the six sets are read as they are asked for.
static EMNIST: Source = Source {
    folder: "emnist",
    provenance: "G. Cohen, S. Afshar, J. Tapson and A. van Schaik, from NIST's Special Database 19",
    licence: "published by NIST, an agency of the US government, which names no licence",
    citation: "G. Cohen, S. Afshar, J. Tapson and A. van Schaik, \"EMNIST: extending MNIST to handwritten letters\", \
               International Joint Conference on Neural Networks, 2921–2926, 2017",
    mirrors: &["https://biometrics.nist.gov/cs_links/EMNIST/"],
    files: &[File {
        name: "gzip.zip",
        bytes: 561_753_746,
        checksum: Sha256("fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e"),
    }],
};
