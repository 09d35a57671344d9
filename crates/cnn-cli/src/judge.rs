//! A model judged by a set of images: each image's probabilities, and what follows from them.

use crate::command::{JUDGE_BATCH, class_names, likeliest};
use crate::data::Normalized;
use anyhow::Result;
use layers::ndarray::{Array2, Array4, ArrayView1, ArrayView2, Axis};
use layers::{Layer, Model, Samples, Score};
use tensor_ops::softmax;

pub struct Judgement {
    pub score: Score,
    /// A name for each class; its number where it has none.
    pub names: Vec<String>,
    pub labels: Vec<usize>,
    /// The class with the largest logit of each image.
    pub predictions: Vec<usize>,
    /// (image, class).
    probabilities: Array2<f32>,
}

/// How well one class is told from the others; `None` where nothing was counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PerClass {
    /// Images of the class.
    pub images: usize,
    /// The share of the class among what was taken for it.
    pub precision: Option<f64>,
    /// The share of its images that were taken for it.
    pub recall: Option<f64>,
    /// The harmonic mean of both.
    pub f1: Option<f64>,
}

impl Judgement {
    pub fn new(model: &Model, set: &Normalized) -> Result<Self> {
        let Model { network, parameters, .. } = model;
        network.check_samples(set)?;
        let classes = network.classes()?;
        let names = class_names(model)?;
        let batch_size = JUDGE_BATCH.min(set.len());
        let mut activations = network.activations(batch_size)?;
        let mut probabilities = Array2::zeros((set.len(), classes));
        let mut predictions = Vec::with_capacity(set.len());
        let mut score = Score::default();
        let ends_in_softmax = matches!(network.spec().layers.last(), Some(Layer::Softmax(_)));
        let [rows, columns, channels] = set.shape();
        let all: Vec<usize> = (0..set.len()).collect();
        let labels: Vec<usize> = all.iter().map(|&index| set.label(index)).collect();
        for indices in all.chunks(batch_size) {
            let mut x = Array4::zeros((indices.len(), rows, columns, channels));
            for (&index, mut image) in indices.iter().zip(x.axis_iter_mut(Axis(0))) {
                set.image(index, image.as_slice_mut().expect("an image is contiguous"));
            }
            let (first, end) = (indices[0], indices[0] + indices.len());
            let step = network.judge(parameters, x.view(), &labels[first..end], &mut activations)?;
            score.count(indices.len(), step);
            let logits = &activations.output()[..indices.len() * classes];
            let logits = ArrayView2::from_shape((indices.len(), classes), logits).expect("a logit a class");
            predictions.extend(logits.rows().into_iter().map(argmax));
            let mut part = probabilities.slice_axis_mut(Axis(0), (first..end).into());
            match ends_in_softmax {
                true => part.assign(&logits),
                false => softmax::forward(logits, part)?,
            }
        }
        Ok(Self { score, names, labels, predictions, probabilities })
    }

    pub fn classes(&self) -> usize {
        self.names.len()
    }

    pub fn is_right(&self, index: usize) -> bool {
        self.predictions[index] == self.labels[index]
    }

    /// The probabilities of an image's classes.
    pub fn probabilities(&self, index: usize) -> ArrayView1<'_, f32> {
        self.probabilities.row(index)
    }

    /// The probability of the class that an image was taken for.
    pub fn certainty(&self, index: usize) -> f32 {
        self.probabilities[[index, self.predictions[index]]]
    }

    /// The likeliest classes of an image, the likeliest first.
    pub fn top(&self, index: usize, count: usize) -> Vec<(&str, f32)> {
        let row = self.probabilities(index);
        let order = likeliest(row.as_slice().expect("a row is contiguous"));
        order.into_iter().take(count).map(|class| (self.names[class].as_str(), row[class])).collect()
    }

    /// How often each class (row) was taken for each (column).
    pub fn confusion(&self) -> Array2<usize> {
        let mut counts = Array2::zeros((self.classes(), self.classes()));
        self.labels.iter().zip(&self.predictions).for_each(|(&label, &class)| counts[[label, class]] += 1);
        counts
    }

    pub fn per_class(&self) -> Vec<PerClass> {
        per_class(&self.confusion())
    }

    /// The bounds of the accuracy with 95 % confidence.
    pub fn interval(&self) -> [f64; 2] {
        wilson(self.score.correct, self.score.images)
    }

    /// The wrong answers, those first that were the most certain.
    pub fn errors(&self) -> Vec<usize> {
        let mut wrong: Vec<usize> = (0..self.labels.len()).filter(|&index| !self.is_right(index)).collect();
        wrong.sort_by(|&a, &b| self.certainty(b).total_cmp(&self.certainty(a)));
        wrong
    }

    /// All images, those first whose two likeliest classes are the closest.
    pub fn least_certain(&self) -> Vec<usize> {
        let margin = |index: usize| {
            let [mut first, mut second] = [f32::NEG_INFINITY; 2];
            for &probability in self.probabilities(index) {
                if probability > first {
                    (first, second) = (probability, first);
                } else {
                    second = second.max(probability);
                }
            }
            first - second
        };
        let mut all: Vec<(f32, usize)> = (0..self.labels.len()).map(|index| (margin(index), index)).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        all.into_iter().map(|(_, index)| index).collect()
    }
}

/// The place of the first largest number.
fn argmax(row: ArrayView1<f32>) -> usize {
    let mut best = 0;
    for (index, value) in row.iter().enumerate() {
        if *value > row[best] {
            best = index;
        }
    }
    best
}

fn per_class(confusion: &Array2<usize>) -> Vec<PerClass> {
    let share = |part: usize, all: usize| (all > 0).then(|| part as f64 / all as f64);
    let one = |class: usize| {
        let right = confusion[[class, class]];
        let (images, taken) = (confusion.row(class).sum(), confusion.column(class).sum());
        PerClass {
            images,
            precision: share(right, taken),
            recall: share(right, images),
            f1: share(2 * right, images + taken),
        }
    };
    (0..confusion.nrows()).map(one).collect()
}

/// The bounds of a share with 95 % confidence when `correct` of `all` were counted (Wilson 1927):
/// `(p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n)` with `z = 1.96`.
fn wilson(correct: usize, all: usize) -> [f64; 2] {
    const Z: f64 = 1.959_963_984_540_054;
    let n = all as f64;
    let p = correct as f64 / n;
    let z2 = Z * Z / n;
    let half = Z * (p * (1.0 - p) / n + z2 / (4.0 * n)).sqrt();
    [-half, half].map(|side| ((p + z2 / 2.0 + side) / (1.0 + z2)).clamp(0.0, 1.0))
}

/// Two models on the same images: how often one alone was right.
pub struct Comparison {
    pub both_right: usize,
    pub first_alone: usize,
    pub second_alone: usize,
    pub both_wrong: usize,
}

impl Comparison {
    pub fn new(first: &Judgement, second: &Judgement) -> Self {
        let count = |a: bool, b: bool| {
            (0..first.labels.len()).filter(|&i| first.is_right(i) == a && second.is_right(i) == b).count()
        };
        Self {
            both_right: count(true, true),
            first_alone: count(true, false),
            second_alone: count(false, true),
            both_wrong: count(false, false),
        }
    }

    /// How likely a difference at least as large is between models that are equally good (McNemar 1947).
    pub fn p_value(&self) -> f64 {
        mcnemar(self.first_alone, self.second_alone)
    }
}

/// McNemar's test: exact, by the binomial distribution, below 25 differences; otherwise `(|b − c| − 1)² / (b + c)` against
/// the chi-square distribution with one degree of freedom (Edwards 1948).
fn mcnemar(b: usize, c: usize) -> f64 {
    let n = b + c;
    if n >= 25 {
        let difference = (b.abs_diff(c) as f64 - 1.0).max(0.0);
        return libm::erfc((difference * difference / n as f64 / 2.0).sqrt());
    }
    // 2 · Σ_{i ≤ min(b, c)} n! / (i! (n − i)!) / 2ⁿ
    let mut term = 0.5f64.powi(n as i32);
    let mut sum = 0.0;
    for i in 0..=b.min(c) {
        sum += term;
        term *= (n - i) as f64 / (i + 1) as f64;
    }
    (2.0 * sum).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use layers::ndarray::array;

    #[test]
    fn a_class_is_counted_by_hand() {
        // Of class 0, 3 of 4 were right; 5 images were taken for it. Class 2 does not occur and was never chosen.
        let confusion = array![[3, 1, 0], [2, 4, 0], [0, 0, 0]];
        let [zero, one, two] = per_class(&confusion)[..] else { panic!() };
        assert_eq!((zero.images, zero.precision, zero.recall), (4, Some(0.6), Some(0.75)));
        assert!((zero.f1.unwrap() - 2.0 * 0.6 * 0.75 / (0.6 + 0.75)).abs() < 1e-12);
        assert_eq!((one.images, one.precision, one.recall), (6, Some(0.8), Some(4.0 / 6.0)));
        assert_eq!((two.images, two.precision, two.recall, two.f1), (0, None, None, None));
    }

    /// Newcombe, "Two-sided confidence intervals for the single proportion" (1998), table I, method 3.
    #[test]
    fn intervals_are_those_of_the_literature() {
        for (correct, all, expected) in [
            (81, 263, [0.2553, 0.3662]),
            (15, 148, [0.0624, 0.1605]),
            (0, 20, [0.0, 0.1611]),
            (1, 29, [0.0061, 0.1718]),
        ] {
            for (bound, expected) in wilson(correct, all).into_iter().zip(expected) {
                assert!((bound - expected).abs() < 5e-5, "{correct} of {all}: {bound} instead of {expected}");
            }
        }
    }

    #[test]
    fn mcnemars_test() {
        // Exact: twice the lower tail, here 1 + 10 of 1,024, and a certainty where both are equal.
        assert!((mcnemar(1, 9) - 2.0 * 11.0 / 1024.0).abs() < 1e-12);
        assert_eq!(mcnemar(9, 1), mcnemar(1, 9));
        assert_eq!(mcnemar(0, 0), 1.0);
        assert_eq!(mcnemar(5, 5), 1.0);
        // Chi-square: 3.841459 is where one degree of freedom leaves 5 %.
        let chi = |p: f64| libm::erfc((p / 2.0).sqrt());
        assert!((chi(3.841_458_8) - 0.05).abs() < 1e-7);
        // (|121 − 59| − 1)² / 180 = 20.672 leaves 5.4e-6.
        assert!((mcnemar(121, 59) - 5.45e-6).abs() < 0.05e-6, "{}", mcnemar(121, 59));
        // Where one method takes over from the other, they are close.
        let exact = |b: usize, n: usize| -> f64 {
            let choose = |k: usize| (0..k).map(|i| (n - i) as f64 / (i + 1) as f64).product::<f64>();
            (2.0 * (0..=b).map(choose).sum::<f64>() / 2f64.powi(n as i32)).min(1.0)
        };
        for b in 5..=15 {
            assert!((mcnemar(b, 30 - b) - exact(b.min(30 - b), 30)).abs() < 0.02, "{b}");
        }
    }
}
