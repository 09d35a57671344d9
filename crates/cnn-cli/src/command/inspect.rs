//! `cnn inspect`: what is in a model, and what it makes of an image.

mod filters;
mod maps;

use super::data::sheet::Tile;
use super::predict::prepare::Preparation;
use super::predict::{open, warn};
use super::{class_names, class_number, likeliest};
use crate::console::{self, Console};
use crate::data::Source;
use crate::drawing::page::Page;
use crate::drawing::text::wrapped;
use crate::{args, output};
use anyhow::{Context, Result, ensure};
use layers::ndarray::{Array3, ArrayView2, Axis};
use layers::tensor_ops::softmax;
use layers::{Model, Summary, SummaryRow, Trace};
use mnist_io::{Normalization, Split};

use filters::filters;
use maps::{feature_maps, saliency};

/// The classes whose probabilities are named.
const NAMED: usize = 3;

/// An image to look at.
struct Subject {
    name: String,
    pixels: Vec<u8>,
}

pub fn run(args: args::Inspect) -> Result<()> {
    let model = Model::load(&args.model)?;
    if let Some(out) = &args.out {
        output::check_new(out, args.force)?;
        output::check_other(out, &args.model)?;
    }
    let (out, class) = (args.out.clone(), args.class.clone());
    let model_name = args.model.display().to_string();
    let subject = subject(args, &model)?;

    let mut page = Page::default();
    page.heading(&format!("{model_name}: {}", model.network.spec()));
    let mut console = Console::default();
    let columns = console::room();
    let say =
        |console: &mut Console, text: &str| wrapped(text, columns).iter().for_each(|line| console.line(line));
    table(&model.network.summary(), columns).iter().for_each(|line| console.line(line));
    console.line("");
    match subject {
        None => page.append(filters(&model)?),
        Some(subject) => {
            let x = input(&model, &subject.pixels)?;
            let trace = model.network.trace(&model.parameters, x.view())?;
            let names = class_names(&model)?;
            let probabilities = probabilities(&trace)?;
            let likeliest = likeliest(&probabilities);
            let class = match class {
                Some(class) => class_number(&names, &class)?,
                None => likeliest[0],
            };
            let share = |&class: &usize| format!("{} {:.1} %", names[class], 100.0 * probabilities[class]);
            let answer: Vec<_> = likeliest.iter().take(NAMED).map(share).collect();
            let answer = format!("{}: {}", subject.name, answer.join(", "));
            say(&mut console, &answer);
            page.text(&answer);
            let image = Tile::new(model.network.spec().input, subject.pixels, subject.name)?.image.to_rgb8();
            page.append(saliency(&trace, &image, class, &names[class])?);
            page.append(filters(&model)?);
            page.append(feature_maps(&trace, &names)?);
        }
    }
    match out {
        Some(out) => {
            let is_svg = out.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svg"));
            let bytes = if is_svg { page.svg()?.into_bytes() } else { page.png()? };
            output::write(&out, &bytes)?;
            let [width, height] = page.size();
            say(&mut console, &format!("{model_name} → {}: {width}×{height} pixels", out.display()));
        }
        None => say(
            &mut console,
            "-o SHEET.png draws its filters and, with an image, what each layer makes of it",
        ),
    }
    console.finish()
}

/// Of a report: the filters, and what the layers make of an image, each a PNG file with what it shows.
pub fn pictures(model: &Model, pixels: &[u8]) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let trace = model.network.trace(&model.parameters, input(model, pixels)?.view())?;
    Ok(vec![
        ("The filters", filters(model)?.png()?),
        ("What each layer makes of the first test image", feature_maps(&trace, &class_names(model)?)?.png()?),
    ])
}

/// The summary in so many columns: a table or, where that has no room, a layer below the other.
fn table(summary: &Summary, columns: usize) -> Vec<String> {
    let table: Vec<_> = summary.to_string().lines().map(|line| line.trim_end().to_owned()).collect();
    if table.iter().all(|line| line.chars().count() <= columns) {
        return table;
    }
    let row = |(place, row): (usize, &SummaryRow)| {
        let SummaryRow { layer, output, parameters, multiply_adds } = row;
        let costs = format!("{output}, learns {parameters} numbers, {multiply_adds} multiply-adds");
        let costs =
            wrapped(&costs, columns.saturating_sub(2).max(1)).into_iter().map(|line| format!("  {line}"));
        wrapped(&format!("{place} {layer}"), columns).into_iter().chain(costs)
    };
    // What stands below the table says how the layers run.
    let below = table.iter().skip(summary.rows.len() + 3).flat_map(|line| wrapped(line, columns));
    summary.rows.iter().enumerate().flat_map(row).chain(below).collect()
}

/// The picture or the test image that was named.
fn subject(args: args::Inspect, model: &Model) -> Result<Option<Subject>> {
    if let Some(path) = &args.image {
        let prepared = Preparation::new(args.prepare, model)?.apply(&open(path)?, path)?;
        let name = path.display().to_string();
        if !prepared.doubts.is_empty() {
            warn(&format!("{name}: looks like no digit: {}", prepared.doubts.join(", ")));
        }
        return Ok(Some(Subject { name, pixels: prepared.pixels }));
    }
    let Some(index) = args.sample else { return Ok(None) };
    let source = Source::for_model(args.data, model);
    let set = source.load(Split::Test)?;
    source.check_classes(&model.class_names, set.class_names())?;
    let count = set.len();
    ensure!(index < count, "--sample: expected a number below {count}, the test images, found {index}");
    let (expected, found) = (model.network.spec().input, set.shape());
    let [expected, found] = [expected, found].map(|size| size.map(|n| n.to_string()).join("×"));
    ensure!(found == expected, "{source}: expected images of {expected}, found {found}");
    let names = class_names(model)?;
    let truth =
        names.get(set.label(index)).with_context(|| format!("{source}: more classes than the model has"))?;
    let name = format!("test image {index}, a {truth}");
    Ok(Some(Subject { name, pixels: set.image(index).to_vec() }))
}

/// The image as the network is given it.
fn input(model: &Model, pixels: &[u8]) -> Result<Array3<f32>> {
    let layers::Normalization { mean, std } = model.normalization;
    let numbers = Normalization { mean, std }.table();
    let x = pixels.iter().map(|&pixel| numbers[usize::from(pixel)]).collect();
    Ok(Array3::from_shape_vec(model.network.spec().input, x)?)
}

/// Of each class.
fn probabilities(trace: &Trace) -> Result<Vec<f32>> {
    let logits = trace.logits()?;
    let logits = ArrayView2::from_shape((1, logits.len()), logits)?;
    let mut probabilities = logits.to_owned();
    softmax::forward(logits, probabilities.view_mut())?;
    Ok(probabilities.index_axis_move(Axis(0), 0).to_vec())
}
