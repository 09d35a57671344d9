//! A model's report: one HTML page that needs nothing else, no network and no script.

use crate::command::data::sheet::Tile;
use crate::data::Normalized;
use crate::judge::Judgement;
use crate::plot::confusion;
use anyhow::Result;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::ImageFormat;
use layers::Samples;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::io::Cursor;

/// Images in a gallery.
const GALLERY: usize = 24;

/// What the page shows.
pub struct Report<'a> {
    pub title: String,
    /// What there is to know, a name and a value each.
    pub facts: Vec<(&'static str, String)>,
    /// Plots of the training, each an SVG with what it shows.
    pub plots: Vec<(&'static str, String)>,
    pub judgement: &'a Judgement,
    /// The images that were judged.
    pub images: &'a Normalized,
    /// What the network is: [`layers::Summary`] as text.
    pub summary: String,
    /// Pictures of what is inside, each a PNG file with what it shows.
    pub pictures: Vec<(&'static str, Vec<u8>)>,
    /// The recipe, where there is one.
    pub config: Option<String>,
}

impl Report<'_> {
    pub fn to_html(&self) -> Result<String> {
        let judgement = self.judgement;
        let errors = self.gallery(&judgement.errors())?;
        let uncertain = self.gallery(&judgement.least_certain())?;
        let [low, high] = judgement.interval();
        let score = judgement.score;
        let matrix = confusion(&judgement.confusion(), &judgement.names);
        let wrong = score.images - score.correct;
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta http-equiv="Content-Security-Policy"
                        content="default-src 'none'; img-src data:; style-src 'unsafe-inline'";
                    title { (self.title) }
                    link rel="icon" href="data:,";
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    main {
                        h1 { (self.title) }
                        p.score {
                            strong { (percent(score.accuracy())) }
                            " of " (score.images) " test images right (95 % interval " (percent(low)) " to " (percent(high))
                            "), mean loss " (format!("{:.4}", score.loss()))
                        }
                        (table(&self.facts))
                        @if !self.plots.is_empty() {
                            h2 { "Training" }
                            div.plots {
                                @for (caption, svg) in &self.plots {
                                    figure { (PreEscaped(svg)) figcaption { (caption) } }
                                }
                            }
                        }
                        h2 { "Which classes are taken for which" }
                        figure.matrix { (PreEscaped(&matrix)) }
                        h2 { "Each class" }
                        (self.classes())
                        h2 { "The worst errors" }
                        @if errors.is_empty() {
                            p { "Every image was right." }
                        } @else {
                            p { (wrong) " of " (score.images) " images are wrong; these are wrong with the most certainty." }
                            div.gallery { @for image in &errors { (image) } }
                        }
                        h2 { "The least certain images" }
                        p { "Two classes are nearly as likely." }
                        div.gallery { @for image in &uncertain { (image) } }
                        h2 { "The network" }
                        pre { (self.summary) }
                        @for (caption, png) in &self.pictures {
                            figure {
                                img alt=(caption) src=(data_url(png));
                                figcaption { (caption) }
                            }
                        }
                        @if let Some(config) = &self.config {
                            h2 { "The recipe" }
                            pre { (config) }
                        }
                    }
                }
            }
        };
        Ok(page.into_string())
    }

    /// The first of these images, with what they are and what they were taken for.
    fn gallery(&self, indices: &[usize]) -> Result<Vec<Markup>> {
        let judgement = self.judgement;
        let one = |&index: &usize| -> Result<Markup> {
            let truth = &judgement.names[judgement.labels[index]];
            let class = &judgement.names[judgement.predictions[index]];
            let pixels = self.images.dataset().image(index).to_vec();
            let image = Tile::new(self.images.shape(), pixels, String::new())?.image;
            let mut png = Cursor::new(Vec::new());
            image.write_to(&mut png, ImageFormat::Png)?;
            Ok(html! {
                figure {
                    img.pixels alt=(format!("test image {index}: {truth}")) src=(data_url(png.get_ref()));
                    figcaption {
                        @if judgement.is_right(index) { b { (truth) } } @else { b { (truth) } " taken for " b { (class) } }
                        ol {
                            @for (name, probability) in judgement.top(index, 3) {
                                li {
                                    span.bar style=(format!("width:{:.1}%", 100.0 * probability)) {}
                                    (name) ": " (format!("{:.1} %", 100.0 * probability))
                                }
                            }
                        }
                        small { "test image " (index) }
                    }
                }
            })
        };
        indices.iter().take(GALLERY).map(one).collect()
    }

    fn classes(&self) -> Markup {
        let share = |share: Option<f64>| share.map_or("–".to_owned(), percent);
        html! {
            div.wide {
                table {
                    thead { tr { th { "class" } th { "images" } th { "precision" } th { "recall" } th { "F1" } } }
                    tbody {
                        @for (name, class) in self.judgement.names.iter().zip(self.judgement.per_class()) {
                            tr {
                                th scope="row" { (name) }
                                td { (class.images) }
                                td { (share(class.precision)) }
                                td { (share(class.recall)) }
                                td { (share(class.f1)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn table(rows: &[(&str, String)]) -> Markup {
    html! {
        table.facts {
            @for (name, value) in rows { tr { th scope="row" { (name) } td { (value) } } }
        }
    }
}

fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

fn data_url(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", BASE64_STANDARD.encode(png))
}

const STYLE: &str = "
:root { color-scheme: light dark; --text: #1b1b1b; --ground: #fdfdfc; --line: #d8d8d4; --bar: #56b4e9; }
@media (prefers-color-scheme: dark) { :root { --text: #e8e8e4; --ground: #181a1b; --line: #3a3d3f; --bar: #2f6f96; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 76rem; margin: 0 auto; padding: 1rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; margin: 1rem 0 .5rem; } h2 { font-size: 1.25rem; margin: 2.5rem 0 .75rem; }
.score strong { font-size: 1.6rem; }
table { border-collapse: collapse; } .wide, pre { overflow-x: auto; }
th, td { padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th[scope=row], thead th:first-child, .facts td { text-align: left; } .facts td { white-space: normal; overflow-wrap: anywhere; } .facts th { font-weight: 600; vertical-align: top; }
pre { padding: .75rem; border: 1px solid var(--line); border-radius: 6px; font-size: .85rem; line-height: 1.4; }
figure { margin: 0 0 1rem; } figcaption { font-size: .9rem; }
figure > svg, figure > img { max-width: 100%; height: auto; border-radius: 6px; }
.matrix { overflow-x: auto; } .matrix > svg { min-width: 30rem; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)); gap: 1rem; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: 1rem; }
.gallery img.pixels { width: 112px; max-width: 100%; image-rendering: pixelated; background: #000; border-radius: 0; }
.gallery figcaption { overflow-wrap: anywhere; } .gallery ol { list-style: none; margin: .25rem 0; padding: 0; }
.gallery li { position: relative; padding: 0 .25rem; z-index: 0; }
.bar { position: absolute; inset: 2px auto 2px 0; background: var(--bar); z-index: -1; border-radius: 2px; }
";
