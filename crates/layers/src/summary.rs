//! A network as a table: what each layer gives, learns and costs.

use crate::{Network, Shape};
use std::fmt;

/// A network layer by layer; shown, it is a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The shape of an image.
    pub input: Shape,
    /// The layers in order.
    pub rows: Vec<SummaryRow>,
    /// The name of the kernels that run.
    pub kernels: &'static str,
    /// As [`Network::fusions`].
    pub fusions: Vec<Vec<String>>,
    /// The places of the layers in which a convolution uses Winograd's algorithm.
    pub winograd: Vec<usize>,
}

/// One layer of a [`Summary`].
#[derive(Clone, Debug, PartialEq)]
pub struct SummaryRow {
    /// The layer as a line of text.
    pub layer: String,
    /// The shape behind it.
    pub output: Shape,
    /// The numbers it learns.
    pub parameters: usize,
    /// Multiply-adds of its forward pass for one image; those of convolutions and dense layers are counted.
    pub multiply_adds: u64,
}

impl Network {
    /// What each layer gives, learns and costs.
    pub fn summary(&self) -> Summary {
        let mut input = Shape::Map(self.spec().input);
        let mut winograd = Vec::new();
        let rows = self.spec().layers.iter().enumerate().map(|(index, layer)| {
            let operation = layer.plan(input, &mut self.context()).expect("the network was planned");
            input = operation.output();
            winograd.extend(operation.uses_winograd().then_some(index));
            SummaryRow {
                layer: layer.to_string(),
                output: input,
                parameters: operation
                    .parameters()
                    .iter()
                    .map(|spec| spec.shape.iter().product::<usize>())
                    .sum(),
                multiply_adds: operation.multiply_adds(),
            }
        });
        let rows = rows.collect();
        let (input, kernels) = (Shape::Map(self.spec().input), self.kernels().name());
        Summary { input, rows, kernels, fusions: self.fusions(), winograd }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: usize = self.rows.iter().map(|row| row.parameters).sum();
        let cost: u64 = self.rows.iter().map(|row| row.multiply_adds).sum();
        let heading = ["", "layer", "output", "parameters", "multiply-adds"].map(String::from);
        let input = ["", "input", &short(self.input), "", ""].map(String::from);
        let rows = self.rows.iter().enumerate().map(|(index, row)| {
            let SummaryRow { layer, output, parameters, multiply_adds } = row;
            [
                index.to_string(),
                layer.clone(),
                short(*output),
                grouped(*parameters as u64),
                grouped(*multiply_adds),
            ]
        });
        let last = [String::new(), "all".into(), String::new(), grouped(total as u64), grouped(cost)];
        let table: Vec<[String; 5]> = [heading, input].into_iter().chain(rows).chain([last]).collect();
        let width = |column: usize| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let [index, layer, output, parameters, cost] = [0, 1, 2, 3, 4].map(width);
        for [a, b, c, d, e] in &table {
            writeln!(f, "{a:>index$}  {b:<layer$}  {c:<output$}  {d:>parameters$}  {e:>cost$}")?;
        }
        if !self.fusions.is_empty() {
            let groups: Vec<_> = self.fusions.iter().map(|group| group.join(" + ")).collect();
            writeln!(f, "run as one: {}", groups.join(", "))?;
        }
        if !self.winograd.is_empty() {
            let places: Vec<_> = self.winograd.iter().map(usize::to_string).collect();
            writeln!(f, "by Winograd's algorithm: {}", places.join(", "))?;
        }
        write!(f, "kernels: {}", self.kernels)
    }
}

fn short(shape: Shape) -> String {
    match shape {
        Shape::Map([rows, columns, channels]) => format!("{rows}×{columns}×{channels}"),
        Shape::Flat(n) => n.to_string(),
    }
}

/// A number with its digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
