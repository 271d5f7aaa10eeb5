//! The figures, for a person and for a program.

use std::io::Write;

use serde::Serializer;
use serde_json::{Map, Value, json};

use crate::args::Args;
use crate::common::{Floor, JOB_BYTES, Outcome};
use crate::figures::{FIGURES, Figure, Figures, Unit};
use crate::place::Place;
use crate::rounds::ROUNDS;

/// One object on one line, in the order of the table. What the system does not say is null.
pub(crate) fn json(place: &Place, args: &Args, figures: &Figures) -> Outcome<()> {
    let wanted = || FIGURES.iter().filter(|figure| args.deep || !figure.deep);
    let mut fields: Vec<(&str, Value)> = vec![
        ("version", json!(env!("CARGO_PKG_VERSION"))),
        ("file_system", json!(place.file_system)),
        ("cpus", json!(cpus())),
        ("floor_file", json!(Floor::STATE)),
        ("job_bytes", json!(JOB_BYTES)),
        ("jobs", json!(args.jobs)),
        ("rounds", json!(ROUNDS)),
    ];
    fields.extend(wanted().map(|figure| (figure.name, json!(figures.median(figure.name).map(rounded)))));
    let of_floor = |figure: &Figure| -> Map<String, Value> {
        figures.ratios(figure).iter().map(|(floor, ratio)| ((*floor).to_owned(), json!(rounded(*ratio)))).collect()
    };
    let ratios: Map<String, Value> = wanted()
        .filter(|figure| !figure.floors.is_empty())
        .map(|figure| (figure.name.to_owned(), Value::Object(of_floor(figure))))
        .collect();
    fields.push(("of_floor", Value::Object(ratios)));
    let mut out = std::io::stdout().lock();
    serde_json::Serializer::new(&mut out).collect_map(fields)?;
    Ok(writeln!(out)?)
}

pub(crate) fn table(place: &Place, args: &Args, figures: &Figures) -> Outcome<()> {
    let mut out = std::io::stdout().lock();
    let disk = place.file_system.as_deref().unwrap_or("unknown");
    writeln!(out, "backlog {} · file system {disk} · {} CPUs", env!("CARGO_PKG_VERSION"), cpus())?;
    writeln!(out, "jobs of {JOB_BYTES} bytes of JSON, {} a turn; medians of {ROUNDS} rounds taken in turn", args.jobs)?;
    writeln!(out, "floor: {}\n", Floor::STATE)?;
    writeln!(out, "{:<24}{:>14}{:>27}  of the floor", "figure", "median", "least … most")?;
    for figure in FIGURES {
        if let Some(median) = figures.median(figure.name) {
            writeln!(out, "{}", row(figure, median, figures).trim_end())?;
        }
    }
    writeln!(out)?;
    for figure in FIGURES.iter().filter(|figure| args.deep || !figure.deep) {
        writeln!(out, "{:<24}{}", figure.name, figure.says)?;
    }
    Ok(())
}

fn row(figure: &Figure, median: f64, figures: &Figures) -> String {
    let values = figures.values(figure.name);
    let spread = match values {
        [] | [_] => String::new(),
        _ => {
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            format!("{} … {}", shown(least, figure.unit), shown(most, figure.unit))
        }
    };
    let of_floor: Vec<String> =
        figures.ratios(figure).iter().map(|(floor, ratio)| format!("{ratio:.2} × {floor}")).collect();
    let unit = match figure.unit {
        Unit::Rate => "/s",
        Unit::Ms => "ms",
        Unit::Bytes => "B",
        Unit::Count => "",
    };
    format!("{:<24}{:>11} {unit:<2}{spread:>27}  {}", figure.name, shown(median, figure.unit), of_floor.join(", "))
}

fn shown(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Rate | Unit::Bytes => grouped(&format!("{value:.0}")),
        Unit::Ms => format!("{value:.2}"),
        Unit::Count => format!("{value:.4}"),
    }
}

/// Digits in threes.
fn grouped(digits: &str) -> String {
    let mut out = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Four digits behind the point are more than any of this repeats.
fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
