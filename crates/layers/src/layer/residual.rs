use super::{Backward, Context, Forward, Layer, Operation, Reference, Settings, Weights};
use crate::chain::Chain;
use crate::optimizer::Learner;
use crate::parallel::map_chunks;
use crate::parameters::ParameterSpec;
use crate::{Misfit, Shape};
use crate::text::{self, Words};
use serde::{Deserialize, Serialize};

/// A residual block (He et al. 2016): what its body makes of the input, added to what its shortcut makes of it.
///
/// `y = body(x) + shortcut(x)`; an empty shortcut is the input itself. Both branches must end in the same shape.
///
/// Addition hands its gradient on unchanged, so each branch is given `dy`, and the input collects from both:
/// `dx = dbody + dshortcut`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Residual {
    /// The layers of the body.
    pub body: Vec<Layer>,
    /// The layers of the shortcut; none by default.
    #[serde(default)]
    pub shortcut: Vec<Layer>,
}

impl Residual {
    /// A block around these layers, with the input itself as the shortcut.
    pub fn new(body: Vec<Layer>) -> Self {
        Self { body, shortcut: Vec::new() }
    }
}

impl Settings for Residual {
    const WORD: &'static str = "residual";

    fn parse(words: &mut Words) -> Result<Self, String> {
        words.expect("(")?;
        let body = words.layers()?;
        let shortcut = if words.take("|") { words.layers()? } else { Vec::new() };
        words.expect(")")?;
        Ok(Self { body, shortcut })
    }

    fn text(&self) -> String {
        match self.shortcut.is_empty() {
            true => format!("({})", text::layers(&self.body)),
            false => format!("({} | {})", text::layers(&self.body), text::layers(&self.shortcut)),
        }
    }

    fn plan(&self, input: Shape, context: &mut Context) -> Result<Box<dyn Operation>, Misfit> {
        let mut branch = |branch, layers| {
            let misfit = |error| Misfit::Branch { branch, error: Box::new(error) };
            Chain::plan(layers, input, context).map_err(misfit)
        };
        let (body, shortcut) = (branch("body", &self.body)?, branch("shortcut", &self.shortcut)?);
        if body.output() != shortcut.output() {
            return Err(Misfit::Branches { body: body.output(), shortcut: shortcut.output() });
        }
        Ok(Box::new(Plan { body, shortcut, input: input.len() }))
    }
}

/// Both branches keep their outputs in `saved`, behind what they save themselves: an operation at a branch's end may
/// need its output on the way back, and `y` only has the sum.
#[derive(Debug)]
struct Plan {
    body: Chain,
    shortcut: Chain,
    /// Numbers of a sample before the block.
    input: usize,
}

impl Plan {
    /// Numbers of a batch of outputs.
    fn outputs(&self, batch: usize) -> usize {
        batch * self.body.output().len()
    }

    /// Numbers of the shortcut's output, which is only kept where it is not the input.
    fn shortcut_outputs(&self, batch: usize) -> usize {
        if self.shortcut.is_identity() { 0 } else { self.outputs(batch) }
    }

    /// What the body and the shortcut saved, each with its output behind it.
    fn split<'a>(&self, batch: usize, saved: &'a [f32]) -> [(&'a [f32], &'a [f32]); 2] {
        let (body, saved) = saved.split_at(self.body.saved(batch));
        let (body_y, saved) = saved.split_at(self.outputs(batch));
        let (shortcut, saved) = saved.split_at(self.shortcut.saved(batch));
        [(body, body_y), (shortcut, &saved[..self.shortcut_outputs(batch)])]
    }

    /// Through both branches.
    fn back(&self, pass: Backward<'_, Weights<'_>>) {
        let Backward { batch, mode, parameters: mut weights, statistics, x, dy, mut dx, gradients, saved, scratch, wide, .. } = pass;
        let (body_statistics, shortcut_statistics) = statistics.split_at(self.body.statistic_count());
        let (body_gradients, shortcut_gradients) = gradients.split_at_mut(self.body.parameter_count());
        let [(body_saved, body_y), (shortcut_saved, shortcut_y)] = self.split(batch, saved);
        let pass = Backward {
            batch,
            mode,
            parameters: (),
            statistics: body_statistics,
            x,
            y: body_y,
            dy,
            dx: dx.as_deref_mut(),
            gradients: body_gradients,
            saved: body_saved,
            scratch,
            wide,
        };
        pass.run(&self.body, weights.part(0..self.body.parameter_count()));
        if self.shortcut.is_identity() {
            if let Some(dx) = dx {
                add(dx, dy);
            }
            return;
        }
        let (shortcut_dx, scratch) = scratch.split_at_mut(batch * self.input);
        let pass = Backward {
            batch,
            mode,
            parameters: (),
            statistics: shortcut_statistics,
            x,
            y: shortcut_y,
            dy,
            dx: dx.is_some().then_some(&mut *shortcut_dx),
            gradients: shortcut_gradients,
            saved: shortcut_saved,
            scratch,
            wide,
        };
        let shortcut = self.body.parameter_count()..self.body.parameter_count() + self.shortcut.parameter_count();
        pass.run(&self.shortcut, weights.part(shortcut));
        if let Some(dx) = dx {
            add(dx, shortcut_dx);
        }
    }
}

impl Operation for Plan {
    fn output(&self) -> Shape {
        self.body.output()
    }

    fn parameters(&self) -> Vec<ParameterSpec> {
        ParameterSpec::within("body", self.body.parameters())
            .chain(ParameterSpec::within("shortcut", self.shortcut.parameters()))
            .collect()
    }

    fn statistics(&self) -> Vec<ParameterSpec> {
        ParameterSpec::within("body", self.body.statistics())
            .chain(ParameterSpec::within("shortcut", self.shortcut.statistics()))
            .collect()
    }

    fn saved(&self, batch: usize) -> usize {
        let branches = self.body.saved(batch) + self.shortcut.saved(batch);
        branches + self.outputs(batch) + self.shortcut_outputs(batch)
    }

    fn forward_scratch(&self, batch: usize) -> usize {
        self.body.forward_scratch(batch).max(self.shortcut.forward_scratch(batch))
    }

    fn backward_scratch(&self, batch: usize) -> usize {
        let branches = self.body.backward_scratch(batch).max(self.shortcut.backward_scratch(batch));
        branches + if self.shortcut.is_identity() { 0 } else { batch * self.input }
    }

    fn wide_scratch(&self, batch: usize) -> usize {
        self.body.wide_scratch(batch).max(self.shortcut.wide_scratch(batch))
    }

    fn fusions(&self) -> Vec<Vec<String>> {
        let within = |branch: &'static str, groups: Vec<Vec<String>>| {
            let name = move |place: &String| format!("{branch}.{place}");
            groups.into_iter().map(move |group| group.iter().map(name).collect())
        };
        within("body", self.body.fusions()).chain(within("shortcut", self.shortcut.fusions())).collect()
    }

    fn uses_winograd(&self) -> bool {
        self.body.uses_winograd() || self.shortcut.uses_winograd()
    }

    fn smallest_batch(&self) -> usize {
        self.body.smallest_batch().max(self.shortcut.smallest_batch())
    }

    fn multiply_adds(&self) -> u64 {
        self.body.multiply_adds() + self.shortcut.multiply_adds()
    }

    fn forward(&self, pass: Forward<'_>) {
        let Forward { batch, mode, parameters, statistics, x, y, saved, scratch, wide } = pass;
        let (body_parameters, shortcut_parameters) = parameters.split_at(self.body.parameter_count());
        let (body_statistics, shortcut_statistics) = statistics.split_at(self.body.statistic_count());
        let (body_saved, saved) = saved.split_at_mut(self.body.saved(batch));
        let (body_y, saved) = saved.split_at_mut(self.outputs(batch));
        let (shortcut_saved, saved) = saved.split_at_mut(self.shortcut.saved(batch));
        self.body.forward(Forward {
            batch,
            mode,
            parameters: body_parameters,
            statistics: body_statistics,
            x,
            y: body_y,
            saved: body_saved,
            scratch,
            wide,
        });
        let shortcut_y = match self.shortcut.is_identity() {
            true => x,
            false => {
                let y = &mut saved[..self.outputs(batch)];
                self.shortcut.forward(Forward {
                    batch,
                    mode,
                    parameters: shortcut_parameters,
                    statistics: shortcut_statistics,
                    x,
                    y,
                    saved: shortcut_saved,
                    scratch,
                    wide,
                });
                y
            }
        };
        map_chunks(batch, [body_y, shortcut_y], y, |_, [a, b], y| {
            y.iter_mut().zip(a).zip(b).for_each(|((y, a), b)| *y = a + b);
        });
    }

    fn backward(&self, pass: Backward<'_>) {
        self.back(pass.into_weights());
    }

    fn learn(&self, pass: Backward<'_, Learner<'_>>) {
        self.back(pass.into_weights());
    }

    fn settle(&self, batch: usize, saved: &[f32], statistics: &mut [f32]) {
        let [(body, _), (shortcut, _)] = self.split(batch, saved);
        let (body_statistics, shortcut_statistics) = statistics.split_at_mut(self.body.statistic_count());
        self.body.settle(batch, body, body_statistics);
        self.shortcut.settle(batch, shortcut, shortcut_statistics);
    }

    fn reference(&self, pass: Reference<'_>) {
        let Reference { batch, mode, parameters, statistics, x, y } = pass;
        let (body_parameters, shortcut_parameters) = parameters.split_at(self.body.parameter_count());
        let (body_statistics, shortcut_statistics) = statistics.split_at(self.body.statistic_count());
        self.body.reference(Reference {
            batch,
            mode,
            parameters: body_parameters,
            statistics: body_statistics,
            x,
            y: &mut *y,
        });
        let mut shortcut_y = vec![0.0; y.len()];
        self.shortcut.reference(Reference {
            batch,
            mode,
            parameters: shortcut_parameters,
            statistics: shortcut_statistics,
            x,
            y: &mut shortcut_y,
        });
        y.iter_mut().zip(&shortcut_y).for_each(|(y, s)| *y += s);
    }
}

fn add(to: &mut [f32], from: &[f32]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += from);
}
