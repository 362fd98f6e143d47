//! Scopes as data: values that live somewhere say so to other processes.

use super::{Expr, Scope};
use crate::ids::{ProcessorId, WorkerId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An expression as it is written.
#[derive(Serialize, Deserialize)]
enum Told {
    Any,
    Default,
    Worker(WorkerId),
    Node(String),
    Thread(u32),
    Exact(ProcessorId),
    Label(String),
    Union(Vec<Told>),
    Meet(Vec<Told>),
    Not(Box<Told>),
}

impl From<&Expr> for Told {
    fn from(expr: &Expr) -> Told {
        let all = |parts: &[Expr]| parts.iter().map(Told::from).collect();
        match expr {
            Expr::Any => Told::Any,
            Expr::Default => Told::Default,
            Expr::Worker(worker) => Told::Worker(*worker),
            Expr::Node(name) => Told::Node(name.to_string()),
            Expr::Thread(index) => Told::Thread(*index),
            Expr::Exact(processor) => Told::Exact(*processor),
            Expr::Label(label) => Told::Label(label.to_string()),
            Expr::Union(parts) => Told::Union(all(parts)),
            Expr::Meet(parts) => Told::Meet(all(parts)),
            Expr::Not(part) => Told::Not(Box::new(Told::from(&**part))),
        }
    }
}

impl From<Told> for Expr {
    fn from(told: Told) -> Expr {
        let all = |parts: Vec<Told>| parts.into_iter().map(Expr::from).collect();
        match told {
            Told::Any => Expr::Any,
            Told::Default => Expr::Default,
            Told::Worker(worker) => Expr::Worker(worker),
            Told::Node(name) => Expr::Node(name.into()),
            Told::Thread(index) => Expr::Thread(index),
            Told::Exact(processor) => Expr::Exact(processor),
            Told::Label(label) => Expr::Label(label.into()),
            Told::Union(parts) => Expr::Union(all(parts)),
            Told::Meet(parts) => Expr::Meet(all(parts)),
            Told::Not(part) => Expr::Not(Expr::from(*part).into()),
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Told::from(&self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Scope, D::Error> {
        Told::deserialize(deserializer).map(|told| Scope(told.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Codec;

    #[test]
    fn a_scope_is_read_as_it_was_written() {
        let processor = ProcessorId { worker: WorkerId(3), index: 1 };
        let some = (Scope::worker(2) | Scope::exact(processor)) & !Scope::label("big");
        let all = some & (Scope::node("a") | Scope::any()) & Scope::default() & Scope::thread(7);
        let codec = Codec::<Scope>::SERDE;
        assert_eq!(codec.decode(&codec.encode(&all).unwrap()).unwrap(), all);
    }
}
