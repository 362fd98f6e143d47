//! Tiles from and as arrays of `ndarray`.

use crate::buffer::Buf;
use crate::elem::Elem;
use crate::shape::{Layout, Order};
use crate::tile::{Tile, TileError};
use ndarray::{Array, ArrayViewD, ArrayViewMutD, Dimension, IxDyn, ShapeBuilder, StrideShape};

impl<T: Elem> Tile<T> {
    /// The elements of an array, with its strides, without a copy; one with an axis that runs backwards is copied.
    ///
    /// # Errors
    /// When it has more than [`DIMS_MAX`](crate::DIMS_MAX) dimensions, or more elements than a shape may have.
    pub fn from_ndarray<D: Dimension>(array: Array<T, D>) -> Result<Tile<T>, TileError> {
        let shape = array.shape().to_vec();
        let strides: Result<Vec<usize>, _> =
            array.strides().iter().map(|stride| usize::try_from(*stride)).collect();
        let Ok(strides) = strides else {
            return Tile::from_vec(array.iter().copied().collect(), &shape, Order::Row);
        };
        let (vec, offset) = array.into_raw_vec_and_offset();
        let layout = Layout::strided(&shape, &strides, offset.unwrap_or(0))?;
        Ok(Tile::of(Buf::from_vec(vec), layout))
    }

    /// The tile as an array, without a copy.
    pub fn view(&self) -> ArrayViewD<'_, T> {
        let places = &self.places()[self.layout.reach()];
        ArrayViewD::from_shape(self.strided_shape(), places).expect("the layout lies within its reach")
    }

    /// The tile as an array to write to; the elements are copied first when others share them.
    ///
    /// # Errors
    /// When there is no memory for the copy.
    pub fn view_mut(&mut self) -> Result<ArrayViewMutD<'_, T>, TileError> {
        self.make_mut()?;
        let (shape, reach) = (self.strided_shape(), self.layout.reach());
        let places = &mut self.places_mut()[reach];
        Ok(ArrayViewMutD::from_shape(shape, places)
            .expect("the layout lies within its reach, each place once"))
    }

    fn strided_shape(&self) -> StrideShape<IxDyn> {
        let mut strides = IxDyn(self.strides());
        if self.is_empty() {
            // The strides of an empty part are those of the whole, whose places are not in the empty reach.
            strides.slice_mut().fill(0);
        }
        IxDyn(self.shape()).strides(strides)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Axis, Slice};
    use proptest::prelude::*;

    proptest! {
        /// Cut and permuted at random, a tile and an array stay the same.
        #[test]
        fn a_tile_is_what_ndarray_says(
            shape in prop::collection::vec(0usize..6, 0..5),
            is_row: bool,
            cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 5),
            axes in Just(vec![0usize, 1, 2, 3, 4]).prop_shuffle(),
            back: bool,
        ) {
            let axes: Vec<usize> = axes.into_iter().filter(|axis| *axis < shape.len()).collect();
            let mut next = 0;
            let mut array = Array::from_shape_simple_fn(IxDyn(&shape).set_f(!is_row), || { next += 1; next });
            if back && !shape.is_empty() {
                array.invert_axis(Axis(0));
            }
            let tile = Tile::from_ndarray(array.clone()).unwrap();
            prop_assert_eq!(tile.view(), array.view());

            let ranges: Vec<_> = shape.iter().zip(&cuts).map(|(len, (a, b))| {
                let (a, b) = (a.index(len + 1), b.index(len + 1));
                a.min(b)..a.max(b)
            }).collect();
            let part = tile.slice(&ranges).unwrap().permuted(&axes).unwrap();
            let mut expected = array.view();
            for (axis, range) in ranges.iter().enumerate() {
                expected.slice_axis_inplace(Axis(axis), Slice::from(range.clone()));
            }
            let expected = expected.permuted_axes(axes);
            prop_assert_eq!(part.view(), expected.view());
            prop_assert!(part.iter(Order::Row).eq(expected.iter()));
            prop_assert!(part.iter(Order::Col).eq(expected.t().iter()));
            prop_assert_eq!(&Tile::from_ndarray(expected.to_owned()).unwrap(), &part);

            // A change of one is a change of that one alone.
            let mut changed = part.clone();
            changed.view_mut().unwrap().mapv_inplace(|x| -x);
            prop_assert_eq!(changed.view(), expected.mapv(|x| -x));
            prop_assert_eq!(part.view(), expected.view());
            prop_assert_eq!(tile.view(), array.view());
            for order in [Order::Col, Order::Row] {
                let dense = part.clone().into_dense(order).unwrap();
                prop_assert_eq!(dense.view(), expected.view());
                prop_assert_eq!(dense.as_slice(order).unwrap().len(), part.len());
            }
        }
    }

    #[test]
    fn an_array_is_taken_and_changed_in_place() {
        let array = Array::<f64, _>::zeros((100, 50));
        let first = array.as_ptr();
        let mut tile = Tile::from_ndarray(array).unwrap();
        assert_eq!((tile.order(), tile.strides()), (Some(Order::Row), &[50, 1][..]));
        tile.view_mut().unwrap().fill(2.0);
        assert_eq!(tile.view().as_ptr(), first, "no copy");
        let mut part = tile.slice(&[10..20, 5..10]).unwrap();
        drop(tile);
        part.view_mut().unwrap()[[0, 0]] = 3.0;
        assert_eq!(part.view().as_ptr(), first.wrapping_add(505), "alone again, so in place");
    }

    #[test]
    fn too_many_dimensions_are_an_error() {
        let array = Array::<u8, _>::zeros(IxDyn(&[1; 9]));
        let error = Tile::from_ndarray(array).unwrap_err();
        assert!(error.to_string().ends_with("has 9 dimensions, at most 8 are possible"), "{error}");
    }
}
