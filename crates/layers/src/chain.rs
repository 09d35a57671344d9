//! Layers one behind the other: planned, and run forwards and backwards.

use crate::layer::{Backward, Context, Forward, Operation, Reference, Weights};
use crate::optimizer::Learner;
use crate::parameters::ParameterSpec;
use crate::{Error, Layer, Result, Shape, fusion};
use std::ops::Range;

/// A sequence of operations, itself an operation: a network is one, and so is a branch of a residual block.
///
/// What lies between two operations is kept in `saved` for the way back; its gradient is needed for a moment
/// only, so two halves of `scratch` take turns.
#[derive(Debug)]
pub(crate) struct Chain {
    nodes: Vec<Node>,
    output: Shape,
    /// The most numbers of a sample between two operations.
    widest: usize,
    parameter_count: usize,
    statistic_count: usize,
}

#[derive(Debug)]
struct Node {
    operation: Box<dyn Operation>,
    /// Numbers of a sample behind it; 0 behind the last, whose output is the chain's.
    behind: usize,
    /// The place in the spec of the layer, or of the layers that run as one; parameters have the first one's name.
    layers: Range<usize>,
    /// Its part of the chain's parameters.
    parameters: Range<usize>,
    /// Its part of the chain's statistics.
    statistics: Range<usize>,
}

impl Chain {
    /// Plans `layers` on an input of this shape. A layer that only renames a shape leaves no operation behind.
    pub fn plan(layers: &[Layer], input: Shape, context: &mut Context) -> Result<Self> {
        let mut chain =
            Self { nodes: Vec::new(), output: input, widest: 0, parameter_count: 0, statistic_count: 0 };
        let mut index = 0;
        while index < layers.len() {
            let input = chain.output;
            let mut operation = chain.plan_layer(layers, index, context)?;
            let mut layers_in_one = 1;
            if let Some((count, mut fused)) = fusion::find(&layers[index..], input, context) {
                fused.stages.push(operation);
                for behind in index + 1..index + count {
                    fused.stages.push(chain.plan_layer(layers, behind, context)?);
                }
                (operation, layers_in_one) = (Box::new(fused), count);
            }
            if !operation.is_view() {
                let parameters = place(&operation.parameters(), &mut chain.parameter_count)?;
                let statistics = place(&operation.statistics(), &mut chain.statistic_count)?;
                let layers = index..index + layers_in_one;
                let behind = operation.output().len();
                chain.nodes.push(Node { operation, behind, layers, parameters, statistics });
            }
            index += layers_in_one;
        }
        if let Some(last) = chain.nodes.last_mut() {
            last.behind = 0;
        }
        chain.widest = chain.nodes.iter().map(|node| node.behind).max().unwrap_or(0);
        Ok(chain)
    }

    /// Plans one layer behind those before it.
    fn plan_layer(
        &mut self,
        layers: &[Layer],
        index: usize,
        context: &mut Context,
    ) -> Result<Box<dyn Operation>> {
        let misfit = |misfit| Error::Layer { index, kind: layers[index].kind(), misfit };
        let operation = layers[index].plan(self.output, context).map_err(misfit)?;
        self.output = operation.output();
        check_size("activations", self.output.len())?;
        Ok(operation)
    }

    /// Whether the output is the input's numbers.
    pub fn is_identity(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Numbers of all its parameters.
    pub fn parameter_count(&self) -> usize {
        self.parameter_count
    }

    /// Numbers of all its statistics.
    pub fn statistic_count(&self) -> usize {
        self.statistic_count
    }

    /// The specs of all nodes, each name behind its layer's index.
    fn specs(&self, of: impl Fn(&dyn Operation) -> Vec<ParameterSpec>) -> Vec<ParameterSpec> {
        let named = |node: &Node| {
            ParameterSpec::within(&node.layers.start.to_string(), of(&*node.operation)).collect::<Vec<_>>()
        };
        self.nodes.iter().flat_map(named).collect()
    }

    /// From the last operation to the first.
    fn back(&self, pass: Backward<'_, Weights<'_>>) {
        let Backward {
            batch,
            mode,
            parameters: mut weights,
            statistics,
            x,
            y,
            dy,
            mut dx,
            gradients,
            saved,
            scratch,
            wide,
        } = pass;
        let (turns, scratch) = scratch.split_at_mut(2 * batch * self.widest);
        let (mut from, mut to) = turns.split_at_mut(batch * self.widest);
        let (mut y, mut saved) = (y, &saved[..self.saved(batch)]);
        for (place, node) in self.nodes.iter().enumerate().rev() {
            let before = place.checked_sub(1).map(|place| &self.nodes[place]);
            saved = &saved[..saved.len() - batch * node.behind];
            let (rest, own) = saved.split_at(saved.len() - node.operation.saved(batch));
            let x = before.map_or(x, |before| &rest[rest.len() - batch * before.behind..]);
            let dy = if node.behind == 0 { dy } else { &from[..batch * node.behind] };
            let dx = match before {
                Some(before) => Some(&mut to[..batch * before.behind]),
                None => dx.as_deref_mut(),
            };
            let pass = Backward {
                batch,
                mode,
                parameters: (),
                statistics: &statistics[node.statistics.clone()],
                x,
                y,
                dy,
                dx,
                gradients: &mut gradients[node.parameters.clone()],
                saved: own,
                scratch,
                wide,
            };
            pass.run(&*node.operation, weights.part(node.parameters.clone()));
            std::mem::swap(&mut from, &mut to);
            (y, saved) = (x, rest);
        }
    }
}

/// The place behind `end` of what `specs` ask for.
fn place(specs: &[ParameterSpec], end: &mut usize) -> Result<Range<usize>> {
    let start = *end;
    for spec in specs {
        let len: usize = spec.shape.iter().product();
        check_size("parameters", len)?;
        *end += len;
    }
    check_size("parameters", *end)?;
    Ok(start..*end)
}

/// Fails beyond what any machine holds, so that no later sum of sizes overflows.
pub(crate) fn check_size(what: &'static str, numbers: usize) -> Result<()> {
    const MOST: u64 = 1 << 40;
    if numbers as u64 <= MOST { Ok(()) } else { Err(Error::Memory { what, numbers: numbers as u128 }) }
}

impl Operation for Chain {
    fn output(&self) -> Shape {
        self.output
    }

    fn parameters(&self) -> Vec<ParameterSpec> {
        self.specs(|operation| operation.parameters())
    }

    fn statistics(&self) -> Vec<ParameterSpec> {
        self.specs(|operation| operation.statistics())
    }

    fn is_view(&self) -> bool {
        self.is_identity()
    }

    fn saved(&self, batch: usize) -> usize {
        let numbers = |node: &Node| node.operation.saved(batch) + batch * node.behind;
        self.nodes.iter().map(numbers).sum()
    }

    fn forward_scratch(&self, batch: usize) -> usize {
        self.nodes.iter().map(|node| node.operation.forward_scratch(batch)).max().unwrap_or(0)
    }

    fn backward_scratch(&self, batch: usize) -> usize {
        let own = self.nodes.iter().map(|node| node.operation.backward_scratch(batch)).max().unwrap_or(0);
        2 * batch * self.widest + own
    }

    fn wide_scratch(&self, batch: usize) -> usize {
        self.nodes.iter().map(|node| node.operation.wide_scratch(batch)).max().unwrap_or(0)
    }

    fn fusions(&self) -> Vec<Vec<String>> {
        let of = |node: &Node| {
            let within = node.operation.fusions().into_iter();
            let within = within
                .map(|group| group.iter().map(|place| format!("{}.{place}", node.layers.start)).collect());
            let own =
                (node.layers.len() > 1).then(|| node.layers.clone().map(|place| place.to_string()).collect());
            own.into_iter().chain(within).collect::<Vec<_>>()
        };
        self.nodes.iter().flat_map(of).collect()
    }

    fn uses_winograd(&self) -> bool {
        self.nodes.iter().any(|node| node.operation.uses_winograd())
    }

    fn smallest_batch(&self) -> usize {
        self.nodes.iter().map(|node| node.operation.smallest_batch()).max().unwrap_or(1)
    }

    fn multiply_adds(&self) -> u64 {
        self.nodes.iter().map(|node| node.operation.multiply_adds()).sum()
    }

    fn forward(&self, pass: Forward<'_>) {
        let Forward { batch, mode, parameters, statistics, mut x, y, saved, scratch, wide } = pass;
        if self.is_identity() {
            return y.copy_from_slice(x);
        }
        let (mut y, mut saved) = (Some(y), saved);
        for node in &self.nodes {
            let (own, rest) = saved.split_at_mut(node.operation.saved(batch));
            let (between, rest) = rest.split_at_mut(batch * node.behind);
            let y = if node.behind == 0 { y.take().expect("one node is the last") } else { between };
            node.operation.forward(Forward {
                batch,
                mode,
                parameters: &parameters[node.parameters.clone()],
                statistics: &statistics[node.statistics.clone()],
                x,
                y,
                saved: own,
                scratch,
                wide,
            });
            (x, saved) = (y, rest);
        }
    }

    fn backward(&self, pass: Backward<'_>) {
        self.back(pass.into_weights());
    }

    fn learn(&self, pass: Backward<'_, Learner<'_>>) {
        self.back(pass.into_weights());
    }

    fn settle(&self, batch: usize, saved: &[f32], statistics: &mut [f32]) {
        let mut saved = saved;
        for node in &self.nodes {
            let (own, rest) = saved.split_at(node.operation.saved(batch));
            node.operation.settle(batch, own, &mut statistics[node.statistics.clone()]);
            saved = &rest[batch * node.behind..];
        }
    }

    fn reference(&self, pass: Reference<'_>) {
        let Reference { batch, mode, parameters, statistics, x, y } = pass;
        let mut x = x.to_vec();
        for node in &self.nodes {
            let mut y = vec![0.0; batch * node.operation.output().len()];
            node.operation.reference(Reference {
                batch,
                mode,
                parameters: &parameters[node.parameters.clone()],
                statistics: &statistics[node.statistics.clone()],
                x: &x,
                y: &mut y,
            });
            x = y;
        }
        y.copy_from_slice(&x);
    }
}
