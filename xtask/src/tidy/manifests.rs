//! Rules on manifests: who depends on whom, and what is said once for all.

use super::{File, finding};
use toml::de::{DeTable, DeValue};

/// Which of our packages a package may depend on, and on which others in its tests.
const ARROWS: [(&str, &[&str], &[&str]); 3] = [
    ("cnn-cli", &["layers", "mnist-io", "tensor-ops"], &[]),
    ("layers", &["tensor-ops"], &["mnist-io"]),
    ("xtask", &["mnist-io"], &[]),
];
/// The packages that are programs.
const PROGRAMS: [&str; 2] = ["cnn-cli", "xtask"];

/// Dependencies among our packages run one way.
pub fn arrows(files: &[File]) -> Vec<String> {
    let ours: Vec<_> = manifests(files).map(|(_, manifest)| name(&manifest)).collect();
    in_dependencies(files, |package, dependency| {
        let (normal, for_tests) =
            ARROWS.iter().find(|row| row.0 == package).map_or((&[][..], &[][..]), |row| (row.1, row.2));
        let allowed = normal.contains(&dependency.name)
            || (dependency.kind == "dev-dependencies" && for_tests.contains(&dependency.name));
        (ours.iter().any(|name| name == dependency.name) && !allowed)
            .then(|| format!("{package} may not depend on {}; see docs/ARCHITECTURE.md", dependency.name))
    })
}

/// Libraries have errors of their own, and only downloading needs an HTTP client.
pub fn heavy_dependencies(files: &[File]) -> Vec<String> {
    in_dependencies(files, |package, dependency| match dependency.name {
        "anyhow" if !PROGRAMS.contains(&package) => Some("`anyhow`; only the programs use it".to_owned()),
        "reqwest" if package != "mnist-io" => Some("`reqwest`; only mnist-io uses it".to_owned()),
        "reqwest" if !is_true(dependency.value, "optional") => {
            Some("`reqwest`; it is optional, for the feature `download`".to_owned())
        }
        _ => None,
    })
}

/// Versions stand in the root's manifest alone.
pub fn versions(files: &[File]) -> Vec<String> {
    in_dependencies(files, |_, dependency| {
        (!is_true(dependency.value, "workspace")).then(|| {
            format!("`{}`; versions stand in [workspace.dependencies]: workspace = true", dependency.name)
        })
    })
}

/// What all packages share is said once.
pub fn inheritance(files: &[File]) -> Vec<String> {
    let mut findings = Vec::new();
    for (file, manifest) in manifests(files) {
        let package = table(&manifest, "package");
        let inherits = |key| package.and_then(|package| package.get(key)).is_some_and(says_workspace);
        for key in ["version", "edition", "rust-version", "license"] {
            if !inherits(key) {
                findings.push(finding(&file.path, 1, format!("`{key}.workspace = true` is missing")));
            }
        }
        if !manifest.get("lints").is_some_and(says_workspace) {
            findings.push(finding(&file.path, 1, "`workspace = true` under [lints] is missing"));
        }
    }
    findings
}

/// Cargo's configuration is the alias of these commands: a build is the same here and elsewhere.
pub fn cargo_configuration(files: &[File]) -> Vec<String> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.path == ".cargo/config.toml") {
        for (key, value) in parsed(&file.text) {
            let alias = value.get_ref().as_table().filter(|_| key.get_ref() == "alias");
            if !alias.is_some_and(|alias| alias.keys().all(|name| name.get_ref() == "xtask")) {
                let what = format!("`{}`; only the alias `xtask` stands here", key.get_ref());
                findings.push(finding(&file.path, line(&file.text, key.span().start), what));
            }
        }
    }
    findings
}

/// A dependency as a manifest has it.
struct Dependency<'a> {
    name: &'a str,
    /// The table it stands in, such as `dev-dependencies`.
    kind: &'a str,
    value: &'a DeValue<'a>,
}

/// What is found at the dependencies of all packages; `what` gets the package's name and a dependency.
fn in_dependencies(files: &[File], what: impl Fn(&str, Dependency) -> Option<String>) -> Vec<String> {
    let mut findings = Vec::new();
    for (file, manifest) in manifests(files) {
        let package = name(&manifest);
        let targets = table(&manifest, "target").into_iter().flat_map(DeTable::values);
        let targets = targets.filter_map(|target| target.get_ref().as_table());
        for table_of_kinds in [&manifest].into_iter().chain(targets) {
            for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
                for (name, value) in table(table_of_kinds, kind).into_iter().flatten() {
                    let dependency = Dependency { name: name.get_ref(), kind, value: value.get_ref() };
                    let line = line(&file.text, name.span().start);
                    findings.extend(what(&package, dependency).map(|what| finding(&file.path, line, what)));
                }
            }
        }
    }
    findings
}

/// The manifests of the packages. A package that is a workspace of its own is none of this one's.
fn manifests(files: &[File]) -> impl Iterator<Item = (&File, DeTable<'_>)> {
    let below = files.iter().filter(|file| file.path.ends_with("/Cargo.toml"));
    below.map(|file| (file, parsed(&file.text))).filter(|(_, manifest)| !manifest.contains_key("workspace"))
}

/// The content; none if it is not TOML, which cargo will say.
fn parsed(text: &str) -> DeTable<'_> {
    DeTable::parse(text).map(|table| table.into_inner()).unwrap_or_default()
}

fn name(manifest: &DeTable) -> String {
    let name = table(manifest, "package").and_then(|package| package.get("name"));
    name.and_then(|name| name.get_ref().as_str()).unwrap_or_default().to_owned()
}

fn table<'a, 'i>(parent: &'a DeTable<'i>, key: &str) -> Option<&'a DeTable<'i>> {
    parent.get(key)?.get_ref().as_table()
}

fn is_true(value: &DeValue, key: &str) -> bool {
    value.get(key).is_some_and(|value| value.get_ref().as_bool() == Some(true))
}

fn says_workspace(value: &toml::Spanned<DeValue>) -> bool {
    is_true(value.get_ref(), "workspace")
}

/// The line, from 1, of a place in a text.
fn line(text: &str, offset: usize) -> usize {
    text[..offset].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    /// A manifest of `name` with `rest` from its fourth line on.
    fn manifest(name: &str, rest: &str) -> String {
        format!("[package]\nname = \"{name}\"\n\n{rest}\n")
    }

    /// Asserts what `rule` finds in a manifest of `package` among packages that are called as ours.
    fn row(rule: super::super::Rule, package: &str, rest: &str, expected: &[&str]) {
        let others = ["cnn-cli", "layers", "mnist-io", "tensor-ops"].map(|name| manifest(name, ""));
        let paths = ["1/Cargo.toml", "2/Cargo.toml", "3/Cargo.toml", "4/Cargo.toml"];
        let mut files: Vec<_> = paths.into_iter().zip(others.iter().map(String::as_str)).collect();
        let this = manifest(package, rest);
        files.push(("a/Cargo.toml", &this));
        let expected: Vec<_> = expected.iter().map(|what| format!("a/Cargo.toml:{what}")).collect();
        check(rule, &files, &expected.iter().map(String::as_str).collect::<Vec<_>>());
    }

    #[test]
    fn arrows_run_one_way() {
        let allowed = [
            ("cnn-cli", "[dependencies]\nlayers.workspace = true\ntensor-ops.workspace = true"),
            ("cnn-cli", "[dependencies]\nmnist-io = { workspace = true }\nserde = \"1\""),
            ("layers", "[dependencies]\ntensor-ops.workspace = true"),
            ("layers", "[dev-dependencies]\ntensor-ops.workspace = true\nmnist-io.workspace = true"),
            ("xtask", "[dependencies]\nmnist-io.workspace = true"),
            ("tensor-ops", "[dependencies]\nndarray.workspace = true"),
        ];
        for (package, rest) in allowed {
            row(arrows, package, rest, &[]);
        }
        let refused = [
            ("layers", "mnist-io", "dependencies"),
            ("layers", "cnn-cli", "dev-dependencies"),
            ("tensor-ops", "layers", "dev-dependencies"),
            ("tensor-ops", "mnist-io", "build-dependencies"),
            ("mnist-io", "tensor-ops", "dependencies"),
            ("mnist-io", "tensor-ops", "target.'cfg(unix)'.dependencies"),
            ("xtask", "layers", "dependencies"),
            ("new", "layers", "dependencies"),
        ];
        for (package, dependency, kind) in refused {
            let rest = format!("[{kind}]\n{dependency}.workspace = true");
            let what = format!("5: {package} may not depend on {dependency}; see docs/ARCHITECTURE.md");
            row(arrows, package, &rest, &[&what]);
        }
    }

    #[test]
    fn heavy_dependencies_are_found() {
        let row = |package, rest, expected: &[&str]| row(heavy_dependencies, package, rest, expected);
        row("xtask", "[dependencies]\nanyhow.workspace = true", &[]);
        row("layers", "[dependencies]\nanyhow.workspace = true", &["5: `anyhow`; only the programs use it"]);
        let optional = "[dependencies]\nreqwest = { workspace = true, optional = true }";
        row("mnist-io", optional, &[]);
        row("cnn-cli", optional, &["5: `reqwest`; only mnist-io uses it"]);
        row(
            "mnist-io",
            "[dependencies]\nreqwest.workspace = true",
            &["5: `reqwest`; it is optional, for the feature `download`"],
        );
    }

    #[test]
    fn versions_are_found() {
        let row = |line: &str, expected: &[&str]| {
            row(versions, "layers", &format!("[dev-dependencies]\n{line}"), expected);
        };
        row("rand.workspace = true", &[]);
        row("rand = { workspace = true, features = [\"std\"] }", &[]);
        for line in ["rand = \"0.10\"", "rand = { path = \"../rand\" }", "rand.workspace = false"] {
            row(line, &["5: `rand`; versions stand in [workspace.dependencies]: workspace = true"]);
        }
    }

    #[test]
    fn a_workspace_of_its_own_is_left_alone() {
        let apart = manifest("a", "[workspace]\n[dependencies]\nanyhow = \"1\"\nlayers = \"1\"");
        for rule in [arrows, heavy_dependencies, versions, inheritance] {
            check(rule, &[("a/Cargo.toml", &apart)], &[]);
        }
    }

    #[test]
    fn what_is_not_inherited_is_found() {
        let shared = "version.workspace = true\nedition.workspace = true\nrust-version.workspace = true\n";
        let good = manifest("a", &format!("{shared}license.workspace = true\n[lints]\nworkspace = true"));
        check(inheritance, &[("a/Cargo.toml", &good), ("Cargo.toml", "[workspace]")], &[]);
        let bad = manifest("a", &format!("{shared}license = \"MIT\"\n[lints.rust]\nmissing_docs = \"warn\""));
        check(
            inheritance,
            &[("a/Cargo.toml", &bad)],
            &[
                "a/Cargo.toml:1: `license.workspace = true` is missing",
                "a/Cargo.toml:1: `workspace = true` under [lints] is missing",
            ],
        );
    }

    #[test]
    fn more_than_the_alias_is_found() {
        let row = |text, expected: &[&str]| {
            check(cargo_configuration, &[(".cargo/config.toml", text)], expected);
        };
        row("[alias]\nxtask = \"run --package xtask --\"", &[]);
        row(
            "[alias]\nxtask = \"run\"\n\n[build]\nrustflags = [\"-Ctarget-cpu=native\"]",
            &[".cargo/config.toml:4: `build`; only the alias `xtask` stands here"],
        );
        row("[alias]\nb = \"build\"", &[".cargo/config.toml:1: `alias`; only the alias `xtask` stands here"]);
    }
}
