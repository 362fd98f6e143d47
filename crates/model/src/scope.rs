//! Where a task may run: sets of processors, built by union, meet and complement.
//!
//! A scope is an expression, not a list: it is asked of each processor when a task becomes ready,
//! so a scope can be written before the processors that it names exist.

use crate::ids::{ProcessorId, WorkerId};
use crate::topology::{Processor, Topology, Worker};
use std::fmt;
use std::ops::{BitAnd, BitOr, Not};
use std::sync::Arc;

/// A set of processors on which a task may run.
///
/// ```
/// use poniard_model::{Scope, Topology};
/// let machine = Topology::one_worker(4, "laptop".into(), vec!["bigmem".into()]);
/// let scope = (Scope::thread(1) | Scope::thread(3)) & !Scope::thread(3);
/// assert_eq!(scope.processors(&machine).len(), 1);
/// assert_eq!(scope.to_string(), "(thread 1 | thread 3) & !thread 3");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Scope(Expr);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Expr {
    Any,
    Default,
    Worker(WorkerId),
    Node(Arc<str>),
    Thread(u32),
    Exact(ProcessorId),
    Label(Arc<str>),
    Union(Arc<[Expr]>),
    Meet(Arc<[Expr]>),
    Not(Arc<Expr>),
}

impl Scope {
    /// Every processor, those included that must be asked for by name (GPUs).
    pub fn any() -> Scope {
        Scope(Expr::Any)
    }

    /// Every processor that tasks use unless they ask for another: the CPU threads.
    #[allow(clippy::should_implement_trait)] // the word that users know
    pub fn default() -> Scope {
        Scope(Expr::Default)
    }

    /// All processors of one worker process.
    pub fn worker(worker: impl Into<WorkerId>) -> Scope {
        Scope(Expr::Worker(worker.into()))
    }

    /// All processors of several workers.
    pub fn workers<W: Into<WorkerId>>(workers: impl IntoIterator<Item = W>) -> Scope {
        Scope(Expr::Union(workers.into_iter().map(|worker| Expr::Worker(worker.into())).collect()))
    }

    /// All processors of the machine with this host name.
    pub fn node(name: impl Into<Arc<str>>) -> Scope {
        Scope(Expr::Node(name.into()))
    }

    /// The CPU processor with this number, from 0, on every worker.
    ///
    /// The method of the same name, [`Narrow::thread`], narrows a scope: `Scope::worker(2).thread(1)`.
    pub fn thread(index: u32) -> Scope {
        Scope(Expr::Thread(index))
    }

    /// Exactly one processor.
    pub fn exact(processor: ProcessorId) -> Scope {
        Scope(Expr::Exact(processor))
    }

    /// All processors of the workers that carry this label (`PONIARD_LABELS=bigmem,fast`).
    pub fn label(label: impl Into<Arc<str>>) -> Scope {
        Scope(Expr::Label(label.into()))
    }

    /// Whether `processor` of `topology` is in this scope.
    pub fn contains(&self, processor: &Processor, topology: &Topology) -> bool {
        self.0.contains(processor, topology)
    }

    /// Whether it was written as all processors of this worker.
    pub fn is_worker(&self, worker: WorkerId) -> bool {
        self.0 == Expr::Worker(worker)
    }

    /// The processors of `topology` that are in this scope, in the order of their ids.
    pub fn processors(&self, topology: &Topology) -> Vec<ProcessorId> {
        self.0.select(topology)
    }

    /// Why no processor of `topology` is in this scope: what was asked, what there is, and which
    /// constraints cut the candidates, in turn, to none. `None` when some processor fits.
    pub fn why_empty(&self, topology: &Topology) -> Option<String> {
        if !self.processors(topology).is_empty() {
            return None;
        }
        Some(format!("no processor fits scope `{self}`: {}; {}", inventory(topology), self.0.cut(topology)))
    }

    /// Why no processor of `topology` is in all of these scopes, each with what it is (an option, an argument): as
    /// [`Scope::why_empty`], with the names. `None` when some processor fits.
    ///
    /// ```
    /// use poniard_model::{Scope, Topology};
    /// let machine = Topology::one_worker(1, "laptop".into(), Vec::new());
    /// let asked = [("compute_scope", Scope::thread(0)), ("result_scope", Scope::worker(2))];
    /// let why = Scope::why_apart(&asked, &machine).unwrap();
    /// assert!(why.ends_with("`worker 2` (result_scope) cut the last candidates w1/cpu0"));
    /// ```
    pub fn why_apart<N: fmt::Display>(asked: &[(N, Scope)], topology: &Topology) -> Option<String> {
        let all = asked.iter().map(|(_, scope)| scope.clone()).reduce(|left, right| left & right)?;
        if asked.len() == 1 {
            return all.why_empty(topology);
        }
        if !all.processors(topology).is_empty() {
            return None;
        }
        let parts = asked.iter().flat_map(|(name, scope)| {
            let parts =
                scope.0.flattened(|expr| if let Expr::Meet(parts) = expr { Some(parts) } else { None });
            parts.into_iter().map(move |part| (part, format!(" ({name})")))
        });
        let parts: Vec<(Expr, String)> = parts.collect();
        Some(format!("no processor fits scope `{all}`: {}; {}", inventory(topology), cut(&parts, topology)))
    }
}

/// Scopes narrowed by a method, so that they read from the outside in.
pub trait Narrow {
    /// The part of this scope that is CPU processor `index`: `Scope::worker(2).thread(1)`.
    fn thread(self, index: u32) -> Scope;
}

impl Narrow for Scope {
    fn thread(self, index: u32) -> Scope {
        self & Scope::thread(index)
    }
}

impl Expr {
    fn contains(&self, processor: &Processor, topology: &Topology) -> bool {
        match self {
            Expr::Any | Expr::Default => true,
            Expr::Worker(worker) => processor.id.worker == *worker,
            Expr::Node(name) => of(processor, topology).is_some_and(|worker| **name == *worker.node),
            Expr::Thread(index) => processor.id.index == *index,
            Expr::Exact(id) => processor.id == *id,
            Expr::Label(label) => of(processor, topology)
                .is_some_and(|worker| worker.labels.iter().any(|known| **known == **label)),
            Expr::Union(parts) => parts.iter().any(|part| part.contains(processor, topology)),
            Expr::Meet(parts) => parts.iter().all(|part| part.contains(processor, topology)),
            Expr::Not(part) => !part.contains(processor, topology),
        }
    }

    fn select(&self, topology: &Topology) -> Vec<ProcessorId> {
        let fits = |processor: &&Processor| self.contains(processor, topology);
        topology.processors.iter().filter(fits).map(|processor| processor.id).collect()
    }

    /// The constraints that leave nothing, in words: of those that all must hold, what each of them cut in turn.
    fn cut(&self, topology: &Topology) -> String {
        let Expr::Meet(parts) = self else {
            return format!("`{self}` fits none of them");
        };
        let parts: Vec<(Expr, String)> = parts.iter().map(|part| (part.clone(), String::new())).collect();
        cut(&parts, topology)
    }

    fn flattened<'a>(&'a self, same: impl Fn(&'a Expr) -> Option<&'a Arc<[Expr]>>) -> Vec<Expr> {
        same(self).map_or_else(|| vec![self.clone()], |parts| parts.to_vec())
    }
}

/// What each of these constraints cut in turn, in words; each with what stands behind it in them.
fn cut(parts: &[(Expr, String)], topology: &Topology) -> String {
    let mut left: Vec<&Processor> = topology.processors.iter().collect();
    let mut cuts = String::new();
    for (part, name) in parts {
        let (fit, cut): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|processor| part.contains(processor, topology));
        if fit.is_empty() {
            return format!("{cuts}`{part}`{name} cut the last candidates {}", list(&cut));
        }
        if !cut.is_empty() {
            cuts += &format!("`{part}`{name} cut {}; ", list(&cut));
        }
        left = fit;
    }
    "its parts exclude each other".to_owned()
}

/// The worker of a processor.
fn of<'a>(processor: &Processor, topology: &'a Topology) -> Option<&'a Worker> {
    topology.worker(processor.id.worker)
}

/// What there is, worker by worker.
fn inventory(topology: &Topology) -> String {
    let words = |worker: &Worker| {
        let processors: Vec<&Processor> = topology.processors_of(worker.id).iter().collect();
        let labels = match worker.labels.as_slice() {
            [] => "no labels".to_owned(),
            labels => format!("labels {}", labels.join(", ")),
        };
        format!("{} on node `{}` with {labels}", list(&processors), worker.node)
    };
    let shown: Vec<String> = topology.workers.iter().take(LISTED_MAX).map(words).collect();
    let more = match topology.workers.len().saturating_sub(LISTED_MAX) {
        0 => String::new(),
        more => format!(", and {more} more workers"),
    };
    let gone: Vec<String> = topology.gone.iter().map(|(worker, how)| format!("{worker} ({how})")).collect();
    let gone = if gone.is_empty() { String::new() } else { format!("; gone are {}", gone.join(", ")) };
    match shown.is_empty() {
        true => format!("there are none{gone}"),
        false => format!("there are {}{more}{gone}", shown.join(", ")),
    }
}

/// Workers, and processors of one cut, that an error message lists: more than that nobody reads.
const LISTED_MAX: usize = 16;

fn list(processors: &[&Processor]) -> String {
    if processors.is_empty() {
        return "none".to_owned();
    }
    let shown = processors.iter().take(LISTED_MAX).map(|processor| processor.id.to_string());
    let words = shown.collect::<Vec<_>>().join(", ");
    match processors.len().saturating_sub(LISTED_MAX) {
        0 => words,
        more => format!("{words} and {more} more"),
    }
}

impl BitOr for Scope {
    type Output = Scope;
    fn bitor(self, other: Scope) -> Scope {
        let parts = |expr: &Expr| {
            expr.flattened(|expr| if let Expr::Union(parts) = expr { Some(parts) } else { None })
        };
        let mut all = parts(&self.0);
        for part in parts(&other.0) {
            if !all.contains(&part) {
                all.push(part);
            }
        }
        Scope(Expr::Union(all.into()))
    }
}

impl BitAnd for Scope {
    type Output = Scope;
    fn bitand(self, other: Scope) -> Scope {
        let parts = |expr: &Expr| {
            expr.flattened(|expr| if let Expr::Meet(parts) = expr { Some(parts) } else { None })
        };
        let mut all = parts(&self.0);
        all.extend(parts(&other.0));
        Scope(Expr::Meet(all.into()))
    }
}

impl Not for Scope {
    type Output = Scope;
    fn not(self) -> Scope {
        Scope(Expr::Not(Arc::new(self.0)))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({self})")
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expr::Any => f.write_str("any"),
            Expr::Default => f.write_str("default"),
            Expr::Worker(worker) => write!(f, "worker {}", worker.0),
            Expr::Node(name) => write!(f, "node {name}"),
            Expr::Thread(index) => write!(f, "thread {index}"),
            Expr::Exact(id) => write!(f, "exactly {id}"),
            Expr::Label(label) => write!(f, "label {label}"),
            Expr::Union(parts) => joined(f, parts, " | ", "nothing"),
            Expr::Meet(parts) => joined(f, parts, " & ", "any"),
            Expr::Not(part) => write!(f, "!{}", Grouped(part)),
        }
    }
}

/// An operand: in parentheses where it has an operator of its own.
struct Grouped<'a>(&'a Expr);

impl fmt::Display for Grouped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Expr::Union(parts) | Expr::Meet(parts) if parts.len() > 1 => write!(f, "({})", self.0),
            plain => fmt::Display::fmt(plain, f),
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, parts: &[Expr], operator: &str, empty: &str) -> fmt::Result {
    if parts.is_empty() {
        return f.write_str(empty);
    }
    for (place, part) in parts.iter().enumerate() {
        if place > 0 {
            f.write_str(operator)?;
        }
        write!(f, "{}", Grouped(part))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn machine() -> Topology {
        Topology::one_worker(4, "here".into(), vec!["bigmem".into()])
    }

    fn ids(scope: &Scope) -> Vec<ProcessorId> {
        scope.processors(&two_machines())
    }

    #[test]
    fn an_empty_scope_says_what_cut_it() {
        let scope = Scope::worker(1).thread(7);
        assert_eq!(
            scope.why_empty(&machine()).unwrap(),
            "no processor fits scope `worker 1 & thread 7`: there are w1/cpu0, w1/cpu1, w1/cpu2, w1/cpu3 \
             on node `here` with labels bigmem; `thread 7` cut the last candidates w1/cpu0, w1/cpu1, w1/cpu2, w1/cpu3"
        );
        assert_eq!(Scope::label("bigmem").why_empty(&machine()), None);
        assert!(Scope::workers::<u32>([]).why_empty(&machine()).unwrap().contains("`nothing`"));
    }

    /// Two workers on two machines, with labels of their own.
    fn two_machines() -> Topology {
        let mut topology = machine();
        let labels = vec!["gpu".to_owned()];
        let worker = Worker { id: crate::WorkerId(2), node: "there".into(), labels };
        topology.join(worker, &[crate::ProcessorKind::Cpu; 2]);
        topology
    }

    #[test]
    fn an_empty_scope_over_several_workers_names_what_each_constraint_cut() {
        let scope = Scope::node("there") & Scope::thread(1) & Scope::label("bigmem");
        assert_eq!(
            scope.why_empty(&two_machines()).unwrap(),
            "no processor fits scope `node there & thread 1 & label bigmem`: there are w1/cpu0, w1/cpu1, w1/cpu2, \
             w1/cpu3 on node `here` with labels bigmem, w2/cpu0, w2/cpu1 on node `there` with labels gpu; \
             `node there` cut w1/cpu0, w1/cpu1, w1/cpu2, w1/cpu3; `thread 1` cut w2/cpu0; \
             `label bigmem` cut the last candidates w2/cpu1"
        );
        assert_eq!(Scope::label("gpu").processors(&two_machines()).len(), 2);
        assert!(Scope::any().why_empty(&Topology::default()).unwrap().contains("there are none"));
    }

    #[test]
    fn who_is_gone_is_told_with_what_became_of_it() {
        let mut machine = two_machines();
        machine.lose(crate::WorkerId(2), "its process was killed by signal 9");
        let why = Scope::worker(2).why_empty(&machine).unwrap();
        assert!(
            why.contains("bigmem; gone are w2 (its process was killed by signal 9); `worker 2` fits none"),
            "{why}"
        );
    }

    #[test]
    fn constraints_that_exclude_each_other_are_named() {
        let asked = [("scope", Scope::worker(1) & Scope::thread(1)), ("result_scope", Scope::label("gpu"))];
        assert_eq!(
            Scope::why_apart(&asked, &two_machines()).unwrap().split("; ").skip(1).collect::<Vec<_>>(),
            [
                "`worker 1` (scope) cut w2/cpu0, w2/cpu1",
                "`thread 1` (scope) cut w1/cpu0, w1/cpu2, w1/cpu3",
                "`label gpu` (result_scope) cut the last candidates w1/cpu1",
            ]
        );
        assert_eq!(Scope::why_apart(&asked[..1], &two_machines()), None);
    }

    fn any_scope() -> impl Strategy<Value = Scope> {
        let leaf = prop_oneof![
            Just(Scope::any()),
            Just(Scope::default()),
            (0u32..6).prop_map(Scope::thread),
            (1u32..3).prop_map(Scope::worker),
            prop_oneof![Just("bigmem"), Just("gpu")].prop_map(Scope::label),
            prop_oneof![Just("here"), Just("there")].prop_map(Scope::node),
        ];
        leaf.prop_recursive(4, 24, 3, |inner| {
            prop_oneof![
                (inner.clone(), inner.clone()).prop_map(|(a, b)| a | b),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| a & b),
                inner.prop_map(|a| !a),
            ]
        })
    }

    proptest! {
        /// The algebra is that of sets.
        #[test]
        fn scopes_are_a_boolean_algebra(a in any_scope(), b in any_scope()) {
            let machine = two_machines();
            for processor in &machine.processors {
                let (in_a, in_b) = (a.contains(processor, &machine), b.contains(processor, &machine));
                let is = |scope: &Scope| scope.contains(processor, &machine);
                prop_assert_eq!(is(&(a.clone() | b.clone())), in_a || in_b);
                prop_assert_eq!(is(&(a.clone() & b.clone())), in_a && in_b);
                prop_assert_eq!(is(&!a.clone()), !in_a);
            }
            prop_assert_eq!(ids(&!(a.clone() | b.clone())), ids(&(!a.clone() & !b.clone())));
            prop_assert_eq!(a.why_empty(&machine).is_some(), ids(&a).is_empty());
        }
    }
}
