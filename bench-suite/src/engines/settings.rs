//! One table of how every engine is set, in each of its classes.

use super::Listed;
use super::contract::{Durability, Home, Info};
use crate::fault::Result;
use crate::files::Step;
use crate::files::scratch::Scratch;
use crate::measure::unit::{Stage, Unit};
use crate::record::Line;

/// Opens every engine in every class and prints what it says of itself, in Markdown. One that is not here says how to get it.
pub(crate) fn markdown(engines: &[&'static Listed]) -> Result<String> {
    let scratch = Scratch::below(&std::env::temp_dir(), "settings")?;
    let mut out = String::from("| Engine | Class | Version | Settings |\n|---|---|---|---|\n");
    for listed in engines {
        match (listed.introduce)() {
            Ok(infos) => infos.iter().for_each(|info| out.push_str(&row(info, Durability::D0))),
            Err(fault) => out.push_str(&missing(listed, Durability::D0, &fault.to_string())),
        }
        for class in listed.in_files {
            let folder = scratch.folder(&format!("{}-{}", listed.name, class.name()))?;
            let home = Home { durability: *class, folder, stock: listed.is_stock() };
            let unit = Unit {
                engine: listed.name.to_owned(),
                stage: Stage::Files { home, step: Step::Describe },
                threads: 1,
                block: 0,
                position: 0,
                seed: 0,
                span_ms: 0,
                stream_len: 0,
            };
            let outcome = (listed.measure)(&unit, &mut |line| {
                if let Line::FileStore(store) = line {
                    out.push_str(&row(&store.info, *class));
                }
                Ok(())
            });
            if let Err(fault) = outcome {
                out.push_str(&missing(listed, *class, &fault.to_string()));
            }
        }
    }
    Ok(out)
}

fn row(info: &Info, class: Durability) -> String {
    let notes = info.note.iter().chain(&info.build);
    let settings: Vec<&str> = info.settings.iter().chain(notes).map(String::as_str).collect();
    let (name, class) = (&info.title, class.name());
    format!("| {name} | {class} | {} | {} |\n", info.version, settings.join("; "))
}

fn missing(listed: &Listed, class: Durability, why: &str) -> String {
    format!("| {} | {} | - | not measured here: {why} |\n", listed.name, class.name())
}
