//! The card of a style that was made in one run.

use std::collections::{BTreeMap, BTreeSet};

use nijigen::style::{Card, DataSource};

use super::inputs::Listed;
use super::plan::Plan;
use crate::data::pairs::Pair;
use crate::dataset::{Item, Kind};
use crate::painter;

/// What the card says of a run before its result is measured. What the user says goes before.
pub fn card(plan: &Plan, pairs: &[Pair], packed: &[Item], seconds: f64) -> Card {
    let mut card = plan.card.clone();
    let data = data(plan, pairs, packed);
    let count = |kind: &str| data.iter().filter(|data| data.name == kind).filter_map(|data| data.count).sum::<u32>();
    if card.description.is_empty() {
        let (recipe, photos, art) = (plan.recipe(), count(PHOTOS), count(ART));
        let art = if art > 0 { format!(" and {art} pictures of art") } else { String::new() };
        card.description = format!("Made from {photos} photos{art}, painted by the recipe {recipe}");
    }
    let teacher = plan.settings().teacher.as_ref();
    let taught = teacher.map(|teacher| format!("repainted by a teacher of {} steps, ", teacher.steps));
    card.recipe.get_or_insert_with(|| {
        format!(
            "painted by the recipe {} (version {} of the painter), {}distilled, all by `nijigen-train style`, version {}",
            plan.recipe(),
            painter::VERSION,
            taught.unwrap_or_default(),
            env!("CARGO_PKG_VERSION")
        )
    });
    card.device.get_or_insert_with(|| plan.device());
    card.minutes.get_or_insert((seconds / 6.0).round() / 10.0);
    if card.data.is_empty() {
        card.data = data;
    }
    card
}

const PHOTOS: &str = "photos";
const CLIPS: &str = "clips";
const ART: &str = "pictures of the style";

/// What was trained on and measured on, by kind and licence.
fn data(plan: &Plan, pairs: &[Pair], packed: &[Item]) -> Vec<DataSource> {
    // No art is looked at where there is no teacher.
    let art = packed.iter().filter(|item| item.kind == Kind::Art && plan.settings().teacher.is_some());
    let art = art.map(|item| (ART, &item.licence, &item.source, &item.source_sha256));
    let painted = pairs.iter().map(|pair| {
        let kind = if pair.frame.is_none() { PHOTOS } else { CLIPS };
        (kind, &pair.licence, &pair.source, &pair.source_sha256)
    });
    let mut groups: BTreeMap<(&str, &str), BTreeSet<(&str, &str)>> = BTreeMap::new();
    for (kind, licence, name, sha256) in painted.chain(art) {
        let licence = licence.as_deref().unwrap_or("not stated");
        groups.entry((kind, licence)).or_default().insert((name, sha256));
    }
    let source = |((kind, licence), files): ((&str, &str), BTreeSet<(&str, &str)>)| {
        let listed = Listed::of(files.into_iter());
        DataSource {
            name: kind.to_owned(),
            licence: licence.to_owned(),
            count: u32::try_from(listed.count).ok(),
            sha256: Some(listed.sha256),
        }
    };
    groups.into_iter().map(source).collect()
}
