//! Large results that stay with the process that has made them, which here is a thread of this one.

use super::away::{There, arrive, elsewhere};
use super::kept::{KEEPER, block, read_back, written};
use super::*;
use crate::travel::{Away, Outcome, Piece};
use crate::{AnyHandle, Dep, Many, Own, Value, kept};
use poniard_model::TaskId;
use std::sync::mpsc::channel;

/// Runs a task as another process does, with what its parcel names as `result`; gives what has made its result there.
fn host(away: &mut Away, result: Option<(TaskId, &AnyHandle)>) -> AnyHandle {
    let parcel = away.take_parcel();
    let arrived = |piece: &Piece| match (piece, result) {
        (Piece::Result { task, .. }, Some((named, guest))) if *task == named => Piece::Here(guest.clone()),
        (Piece::Value(value), _) => Piece::Value(value.clone()),
        (Piece::Count(count), _) => Piece::Count(*count),
        (piece, _) => panic!("{piece:?} among its arguments"),
    };
    let (sender, ended) = channel();
    let reply = Box::new(move |_, outcome| sender.send(outcome).unwrap());
    let guest = arrive(&parcel, parcel.pieces.iter().map(arrived).collect(), reply).unwrap();
    assert!(matches!(ended.recv_timeout(PATIENCE), Ok(Outcome::Made(_))), "it ends well");
    guest
}

const BYTES: u64 = 8 * 4096;

#[test]
fn a_large_result_stays_where_it_was_made_and_its_readers_go_there() {
    kept::set_keeper(&KEEPER);
    let there = There::new();
    let made = spawn_with((Value::new(5_u64),), |(first,)| Ok(block(first)), &SITE, elsewhere());
    // It waits for that, and goes there without being asked to.
    let sum = spawn((Dep::new(made.clone()),), |(block,)| Ok(block.iter().sum::<u64>()), &SITE);
    let mut away = there.next();
    assert!(away.may_rest_there());
    let guest = host(&mut away, None);
    assert!(away.finish_there(BYTES));
    assert_eq!((made.is_ended(), made.is_resident(), made.bytes()), (true, false, Some(BYTES)));
    let there_is = Some((made.id(), &guest));
    let mut away = there.next();
    assert!(away.scope().is_none(), "it could run here");
    host(&mut away, there_is);
    // Nobody knows how that ended: it comes here after all, and runs nowhere else.
    read_back(made.id().into(), written(guest.id().into()));
    away.again();
    assert_eq!(sum.get().unwrap(), &block(5).iter().sum());
    assert!(made.is_resident());
    // Now it is here.
    let last = spawn((Own::new(made.clone()),), |(block,)| Ok(block.last().copied()), &SITE);
    assert_eq!(last.get().unwrap(), &block(5).last().copied());
    let chunk = made.id().into();
    drop((made, sum, last));
    until("it is freed", || KEEPER.freed.lock().unwrap().contains(&chunk));
    assert!(there.arrivals.try_recv().is_err());
}

#[test]
fn who_is_sent_elsewhere_takes_what_is_there_by_its_name_and_the_rest_as_values() {
    kept::set_keeper(&KEEPER);
    let there = There::new();
    let made = spawn_with((Value::new(1_u64),), |(first,)| Ok(block(first)), &SITE, elsewhere());
    let mut away = there.next();
    let guest = host(&mut away, None);
    assert!(away.finish_there(BYTES));
    let here = spawn(Value::new(3_u64), |first| Ok(vec![first]), &SITE);
    let arguments = (Many::new([made.clone(), here]), Own::new(made.clone()));
    let sum = spawn_with(
        arguments,
        |(all, own)| Ok(vec![all.iter().map(|block| block.len()).sum::<usize>() + own.len()]),
        &SITE,
        elsewhere(),
    );
    let mut away = there.next();
    let guest = host(&mut away, Some((made.id(), &guest)));
    let (sender, told) = channel();
    guest.tell_large(Box::new(move |result| sender.send(result).unwrap()));
    away.finish(&told.recv_timeout(PATIENCE).unwrap().unwrap());
    assert_eq!(sum.get().unwrap(), &[2 * 4096 + 1]);
}
