//! Reports: from what a matrix measured to pages and pictures.
//!
//! Owns the writing of `<name>.json`, `.md`, `.html` and `.svg`. Must not measure. One thread, at the end of a matrix or
//! by itself for `mqbench report`.

pub mod aims;
pub mod charts;
pub mod figures;
pub mod html;
pub mod markdown;
pub mod model;
#[cfg(test)]
mod page_tests;
pub mod picture;
pub mod svg;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::matrix::cli;
use crate::report::model::Report;

/// `mqbench report`: renders again, with the aims judged again.
pub fn run(arguments: &cli::Report) -> Result<ExitCode, String> {
    let mut report = Report::read(&arguments.file)?;
    report.judge();
    let beside = arguments.file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = arguments.out.as_deref().unwrap_or(beside);
    for path in write_pages(&report, folder)? {
        println!("written: {}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// JSON and pages.
pub fn write_all(report: &Report, folder: &Path) -> Result<Vec<PathBuf>, String> {
    let json = serde_json::to_string_pretty(report).map_err(|error| format!("the report as JSON: {error}"))? + "\n";
    let mut written = vec![write(folder, &report.name, "json", &json)?];
    written.extend(write_pages(report, folder)?);
    Ok(written)
}

fn write_pages(report: &Report, folder: &Path) -> Result<Vec<PathBuf>, String> {
    fs::create_dir_all(folder).map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let mut written = vec![
        write(folder, &report.name, "md", &markdown::page(report))?,
        write(folder, &report.name, "html", &html::page(report))?,
    ];
    if let Some(picture) = picture::draw(report) {
        written.push(write(folder, &report.name, "svg", &picture)?);
    }
    Ok(written)
}

fn write(folder: &Path, name: &str, suffix: &str, text: &str) -> Result<PathBuf, String> {
    let path = folder.join(format!("{name}.{suffix}"));
    let partial = folder.join(format!("{name}.{suffix}.part"));
    fs::write(&partial, text)
        .and_then(|()| fs::rename(&partial, &path))
        .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    Ok(path)
}
