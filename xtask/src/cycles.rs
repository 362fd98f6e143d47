//! Finds the modules that import each other in a circle.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write;

use crate::finding::Finding;
use crate::imports::Imports;

/// One finding for each knot of modules that all reach each other, with the shortest circle through its first
/// module, the other imports among them, and a place for each.
pub(crate) fn cycles(package: &str, imports: &Imports) -> Vec<Finding> {
    knots(imports).iter().map(|knot| finding(package, imports, knot)).collect()
}

/// The strongly connected components of more than one module, each sorted.
fn knots(imports: &Imports) -> Vec<BTreeSet<&str>> {
    let reach: BTreeMap<&str, BTreeSet<&str>> =
        imports.keys().map(|from| (from.as_str(), reachable(imports, from))).collect();
    let mut knots: Vec<BTreeSet<&str>> = Vec::new();
    for (from, reached) in &reach {
        if reached.contains(from) && !knots.iter().any(|knot| knot.contains(from)) {
            let reaches_back = |to: &&str| reach.get(to).is_some_and(|back| back.contains(from));
            knots.push(reached.iter().copied().filter(reaches_back).collect());
        }
    }
    knots
}

fn reachable<'a>(imports: &'a Imports, from: &str) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut left = vec![from];
    while let Some(module) = left.pop() {
        for to in imports.get(module).into_iter().flat_map(BTreeMap::keys) {
            if seen.insert(to.as_str()) {
                left.push(to);
            }
        }
    }
    seen
}

fn finding(package: &str, imports: &Imports, knot: &BTreeSet<&str>) -> Finding {
    let first = knot.first().expect("a knot has modules");
    let circle = shortest_circle(imports, first);
    let arrows: Vec<(&str, &str)> = circle.windows(2).map(|pair| (pair[0], pair[1])).collect();
    let others: Vec<(&str, &str)> =
        inner_arrows(imports, knot).filter(|arrow| !arrows.contains(arrow)).collect();
    let mut what = format!("the modules of {package} import each other in a circle: {}", circle.join(" -> "));
    push_arrows(&mut what, imports, &arrows);
    if !others.is_empty() {
        let _ = write!(what, "\n  the same {} modules also reach each other like this:", knot.len());
        push_arrows(&mut what, imports, &others);
    }
    let (from, to) = arrows[0];
    Finding::new(imports[from][to].clone(), what)
}

/// Every import of one module of the knot by another.
fn inner_arrows<'a>(
    imports: &'a Imports,
    knot: &BTreeSet<&'a str>,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    let arrows = knot.iter().flat_map(|from| imports[*from].keys().map(move |to| (*from, to.as_str())));
    arrows.filter(|(_, to)| knot.contains(to))
}

fn push_arrows(what: &mut String, imports: &Imports, arrows: &[(&str, &str)]) {
    for (from, to) in arrows {
        let _ = write!(what, "\n    {from} names {to} at {}", imports[*from][*to]);
    }
}

/// The shortest way from `start` back to itself, with `start` at both ends. `start` is in a knot.
fn shortest_circle<'a>(imports: &'a Imports, start: &'a str) -> Vec<&'a str> {
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut left = VecDeque::from([start]);
    while let Some(module) = left.pop_front() {
        for to in imports.get(module).into_iter().flat_map(BTreeMap::keys) {
            if !came_from.contains_key(to.as_str()) {
                came_from.insert(to, module);
                left.push_back(to);
            }
        }
    }
    let mut circle = vec![start];
    let mut at = came_from[start];
    while at != start {
        circle.push(at);
        at = came_from[at];
    }
    circle.push(start);
    circle.reverse();
    circle
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Place;

    fn imports(arrows: &[(&str, &str)]) -> Imports {
        let mut imports = Imports::new();
        for (line, (from, to)) in arrows.iter().enumerate() {
            let place = Place::line(&format!("{from}.rs"), line + 1);
            imports.entry((*from).to_owned()).or_default().insert((*to).to_owned(), place);
        }
        imports
    }

    #[test]
    fn modules_in_layers_have_no_cycle() {
        assert_eq!(cycles("p", &imports(&[("a", "b"), ("a", "c"), ("b", "c"), ("d", "a")])), []);
    }

    #[test]
    fn a_circle_is_shown_with_a_place_for_each_arrow() {
        let found = cycles("p", &imports(&[("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("x", "a")]));
        assert_eq!(found.len(), 1);
        let expected = "a.rs:1: the modules of p import each other in a circle: a -> b -> c -> a\n    \
                        a names b at a.rs:1\n    b names c at b.rs:2\n    c names a at c.rs:3";
        assert_eq!(found[0].to_string(), expected);
    }

    #[test]
    fn every_knot_is_found_and_names_all_its_modules() {
        let arrows = [("a", "b"), ("b", "a"), ("b", "c"), ("c", "b"), ("c", "x"), ("x", "y"), ("y", "x")];
        let found: Vec<String> = cycles("p", &imports(&arrows)).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 2);
        let rest = "the same 3 modules also reach each other like this:\n    b names c at b.rs:3\n    c names b at c.rs:4";
        assert!(found[0].contains("a -> b -> a\n") && found[0].ends_with(rest), "{}", found[0]);
        assert!(found[1].contains("x -> y -> x"), "{}", found[1]);
    }
}
