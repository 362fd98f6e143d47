//! Tiles against plain vectors, and their encoding against whatever may happen to it.

use super::*;
use crate::arena::ArenaConfig;
use crate::blob::Blob;
use crate::elem::DType;
use crate::shape::DIMS_MAX;
use poniard_model::Data;
use poniard_model::codec::{Codec, Encoded, SharedBytes};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

fn orders() -> impl Strategy<Value = Order> {
    prop_oneof![Just(Order::Col), Just(Order::Row)]
}

fn shapes() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![prop::collection::vec(0usize..6, 0..5), prop::collection::vec(1usize..40, 1..3)]
}

/// Numbers that tell the elements apart.
fn counted(shape: &[usize], order: Order) -> Tile<f64> {
    let len: usize = shape.iter().product();
    Tile::from_vec((0..len).map(|at| at as f64).collect(), shape, order).unwrap()
}

fn codec<T: Data>() -> Codec<T> {
    T::codec().expect("it is a serde type")
}

/// As if head and buffers came from a file, the buffers at addresses aligned to nothing.
fn from_afar(encoded: &Encoded) -> Encoded {
    let copy = |buffer: &Arc<dyn SharedBytes>| -> Arc<dyn SharedBytes> {
        let shifted: Vec<u8> = std::iter::once(0).chain(buffer.bytes().iter().copied()).collect();
        Arc::new(Buf::from_vec(shifted).slice(1..))
    };
    Encoded::from_parts(encoded.head().to_vec(), encoded.buffers().iter().map(copy).collect())
}

proptest! {
    #[test]
    fn from_fn_from_vec_and_the_orders_agree(shape in shapes(), order in orders(), other in orders()) {
        let tile = counted(&shape, order);
        let same = Tile::from_fn(&shape, other, |at| *tile.get(at).unwrap()).unwrap();
        prop_assert_eq!(&tile, &same);
        prop_assert!(same.iter(order).copied().eq((0..tile.len()).map(|at| at as f64)));
        let dense = same.clone().into_dense(order).unwrap();
        prop_assert_eq!(dense.as_slice(order), tile.as_slice(order));
        prop_assert_eq!(dense.as_bytes().unwrap().len(), tile.len() * 8);
        if same.layout.is_dense(order) {
            prop_assert_eq!(dense.buf.as_ptr(), same.buf.as_ptr(), "no copy without need");
        }
    }

    #[test]
    fn parts_share_until_one_is_changed(
        shape in shapes(),
        order in orders(),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 5),
    ) {
        let tile = counted(&shape, order);
        let ranges: Vec<Range<usize>> = shape.iter().zip(&cuts).map(|(len, (a, b))| {
            let (a, b) = (a.index(len + 1), b.index(len + 1));
            a.min(b)..a.max(b)
        }).collect();
        let part = tile.slice(&ranges).unwrap();
        let starts: Vec<usize> = ranges.iter().map(|range| range.start).collect();
        let expected = Tile::from_fn(part.shape(), order, |at| {
            let at: Vec<usize> = at.iter().zip(&starts).map(|(at, start)| at + start).collect();
            *tile.get(&at).unwrap()
        }).unwrap();
        prop_assert_eq!(&part, &expected);
        let mut changed = part.clone();
        changed.as_mut_slice(order).unwrap().fill(-1.0);
        prop_assert!(changed.iter(order).all(|x| *x == -1.0) && changed.len() == part.len());
        prop_assert_eq!(&part, &expected);
        prop_assert!(tile.iter(order).copied().eq((0..tile.len()).map(|at| at as f64)));
    }

    #[test]
    fn a_tile_comes_back_through_every_format(shape in shapes(), order in orders(), cut: bool) {
        let whole = counted(&shape, order);
        let half: Vec<Range<usize>> = shape.iter().map(|len| len / 2..*len).collect();
        let tile = if cut { whole.slice(&half).unwrap() } else { whole };
        let value = (tile.clone(), "text".to_owned(), Blob::from(vec![5; tile.len() * 9]));
        let codec = codec::<(Tile<f64>, String, Blob)>();
        let encoded = codec.encode(&value).unwrap();
        prop_assert!(encoded.can_leave());
        prop_assert_eq!(&codec.decode(&encoded).unwrap(), &value);
        prop_assert_eq!(&codec.decode(&from_afar(&encoded)).unwrap(), &value);
        let json = serde_json::to_string(&value).unwrap();
        prop_assert_eq!(&serde_json::from_str::<(Tile<f64>, String, Blob)>(&json).unwrap(), &value);
    }

    /// Whatever becomes of a head, reading it gives a value that its buffers can hold, or an error.
    #[test]
    fn a_damaged_head_is_an_error_or_another_tile(
        lens in (0usize..1200, 0usize..1200),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        cut in prop::option::of(any::<prop::sample::Index>()),
        lost in 0usize..3,
    ) {
        let value = (counted(&[lens.0], Order::Col), counted(&[2, lens.1 / 2], Order::Row));
        let codec = codec::<(Tile<f64>, Tile<f64>)>();
        let encoded = codec.encode(&value).unwrap();
        let mut head = encoded.head().to_vec();
        for (at, byte) in changes {
            let at = at.index(head.len());
            head[at] = byte;
        }
        if let Some(cut) = cut {
            head.truncate(cut.index(head.len()));
        }
        let buffers: Vec<_> = encoded.buffers().iter().skip(lost / 2).cloned().collect();
        let damaged = Encoded::from_parts(head, buffers);
        if let Ok((first, second)) = codec.decode(&damaged) {
            prop_assert!((first.len() + second.len()) * 8 <= damaged.total_bytes());
            prop_assert_eq!(first.iter(Order::Col).count(), first.len());
            prop_assert_eq!(second.iter(Order::Row).count(), second.len());
        }
    }
}

#[test]
fn a_large_tile_travels_by_reference_and_a_part_of_one_too() {
    let arena = Arena::new(ArenaConfig::default());
    let tile = Tile::<f64>::zeros_in(&arena, &[512, 512], Order::Col).unwrap();
    let part = tile.slice(&[0..512, 100..200]).unwrap();
    let codec = codec::<(Tile<f64>, Tile<f64>)>();
    let encoded = codec.encode(&(tile.clone(), part.clone())).unwrap();
    assert!(encoded.head().len() < 24, "{encoded:?}");
    assert_eq!(encoded.buffers()[1].bytes().len(), 512 * 100 * 8);
    let (first, second) = codec.decode(&encoded).unwrap();
    assert_eq!(first.buf.as_ptr(), tile.buf.as_ptr());
    assert_eq!(second.buf.place(), Some(part.buf.slice(512 * 100 * 8..512 * 200 * 8).place().unwrap()));
    assert_eq!(arena.usage().slots, 1);
    drop((tile, part, encoded, first, second));
    assert_eq!(arena.usage().slots, 0);
}

#[derive(Serialize, Deserialize)]
struct Named {
    name: String,
    field: Option<Tile<f32>>,
}

#[test]
fn a_field_of_a_users_type_travels_by_reference() {
    let field = Tile::<f32>::zeros(&[64, 64], Order::Row).unwrap();
    let value = Named { name: "u".to_owned(), field: Some(field) };
    let encoded = codec::<Named>().encode(&value).unwrap();
    assert_eq!(encoded.buffers().len(), 1);
    let back = codec::<Named>().decode(&encoded).unwrap();
    assert_eq!((back.name, back.field), (value.name, value.field));
}

#[test]
fn what_does_not_fit_is_refused_in_words() {
    let encoded = codec::<Tile<f64>>().encode(&counted(&[1024], Order::Col)).unwrap();
    let [dtype, order, dims, low, high, place, number] = *encoded.head() else {
        panic!("{:?}", encoded.head())
    };
    let read = |head: &[u8], len: usize| {
        let buffer: Arc<dyn SharedBytes> = Arc::new(Buf::from_vec(vec![0_u8; len]));
        let error =
            codec::<Tile<f64>>().decode(&Encoded::from_parts(head.to_vec(), vec![buffer])).unwrap_err();
        error.to_string().split_once(": ").expect("the type comes first").1.to_owned()
    };
    assert_eq!(
        read(&[dtype, order, dims, low, high, place, number], 8191),
        "shape [1024] of `f64` takes 8192 bytes, and there are 8191"
    );
    assert_eq!(
        read(&[DType::F32 as u8, order, dims, low, high, place, number], 8192),
        "a tile of `f32` was written, not of `f64`"
    );
    assert_eq!(
        read(&[dtype, order, dims, low, high, place, 5], 8192),
        "there is no buffer 5 beside it, or it was read before"
    );
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let head = [&[dtype, order, 2][..], &huge, &huge, &[place, number]].concat();
    assert!(read(&head, 8192).ends_with("has more elements than there are addresses"));
    let head = [&[dtype, order, 1][..], &huge, &[place, number]].concat();
    assert!(read(&head, 8192).ends_with("takes more bytes than there are addresses"));
}

#[test]
fn changes_are_in_place_unless_somebody_shares() {
    let mut tile = counted(&[3, 3], Order::Col);
    let first = tile.buf.as_ptr();
    tile.set(&[2, 2], 9.0).unwrap();
    assert_eq!((tile.buf.as_ptr(), tile.is_shared()), (first, false));
    let other = tile.clone();
    tile.set(&[2, 2], 10.0).unwrap();
    assert_ne!(tile.buf.as_ptr(), first);
    assert_eq!((other[[2, 2]], tile[[2, 2]], tile[[1, 2]]), (9.0, 10.0, 7.0));
    assert_eq!(tile.set(&[3, 0], 1.0).unwrap_err().to_string(), "index [3, 0] is not within shape [3, 3]");
    assert_eq!(tile.get(&[0]), None);
}

#[test]
fn a_copy_is_made_in_the_arena_of_the_original_and_may_be_refused() {
    let arena = Arena::new(ArenaConfig { in_use_bytes_max: 3 << 20, ..ArenaConfig::default() });
    let mut tile = Tile::<u8>::zeros_in(&arena, &[2 << 20], Order::Col).unwrap();
    let other = tile.clone();
    let error = tile.as_mut_slice(Order::Col).unwrap_err();
    assert!(error.is_out_of_memory());
    assert_eq!(
        error.to_string(),
        "cannot take 2 MiB of memory, a slot of 2 MiB: 2 MiB of at most 3 MiB are in use"
    );
    drop(other);
    tile.as_mut_slice(Order::Col).unwrap()[5] = 1;
    assert!(Tile::<u8>::zeros_in(&arena, &[2 << 20], Order::Col).unwrap_err().is_out_of_memory());
}

#[test]
fn shapes_that_cannot_be_are_errors() {
    let text = |result: Result<Tile<f64>, TileError>| result.unwrap_err().to_string();
    let what = "shape [2, 3] of `f64` takes 48 bytes, and there are 40";
    assert_eq!(text(Tile::from_vec(vec![0.0; 5], &[2, 3], Order::Col)), what);
    assert!(text(Tile::zeros(&[1; DIMS_MAX + 1], Order::Col)).contains("at most 8 are possible"));
    assert!(text(Tile::zeros(&[1 << 60], Order::Col)).contains("more bytes than there are addresses"));
    assert!(text(Tile::zeros(&[1 << 50], Order::Col)).contains("os error"));
    assert!(text(counted(&[4], Order::Col).slice(&[])).starts_with("0 ranges"));
    assert!(text(counted(&[4], Order::Col).permuted(&[1])).starts_with("axes [1]"));
}

#[test]
#[should_panic(expected = "index [0, 4] is not within shape [3, 4]")]
fn an_index_outside_panics_with_the_shape() {
    let _ = counted(&[3, 4], Order::Col)[[0, 4]];
}

#[test]
fn a_tile_without_dimensions_has_one_element() {
    let tile = Tile::from_vec(vec![5_i32], &[], Order::Col).unwrap();
    assert_eq!((tile.len(), tile[[]], tile.as_slice(Order::Row)), (1, 5, Some(&[5][..])));
    let empty = Tile::<i32>::from_buf(Buf::empty(), &[0, 3], Order::Row).unwrap();
    assert!(empty.is_empty() && empty.iter(Order::Col).next().is_none());
}

#[test]
fn a_tile_says_what_it_is() {
    let tile = counted(&[3, 4], Order::Col);
    assert_eq!(format!("{tile:?}"), "Tile<f64>([3, 4], Col, Buf(96 bytes, vector))");
    let part = tile.slice(&[0..2, 0..4]).unwrap();
    assert_eq!(format!("{part:?}"), "Tile<f64>([2, 4], strides [1, 3], Buf(96 bytes, vector))");
}
