//! Where the elements of an array are: shape, strides and offset, in elements. Pure arithmetic, all of it checked.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;

/// Dimensions of an array: more than programs use, few enough that a shape needs no memory of its own.
pub const DIMS_MAX: usize = 8;

/// Which neighbours are next to each other in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Order {
    /// The first index runs fastest, as in Julia, Fortran, LAPACK: the default.
    #[default]
    Col,
    /// The last index runs fastest, as in C.
    Row,
}

/// A shape, or a use of it, that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeError(String);

/// The places of an array's elements within a buffer of them. No two elements share a place.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    dims: usize,
    shape: [usize; DIMS_MAX],
    strides: [usize; DIMS_MAX],
    offset: usize,
    /// The product of the shape.
    len: usize,
}

impl Layout {
    /// Of elements side by side from the start on.
    pub(crate) fn dense(shape: &[usize], order: Order) -> Result<Layout, ShapeError> {
        let dims = dims_of(shape)?;
        let mut layout = Layout { dims, shape: [1; DIMS_MAX], strides: [0; DIMS_MAX], offset: 0, len: 0 };
        layout.shape[..dims].copy_from_slice(shape);
        let mut stride = 1_usize;
        for place in 0..dims {
            let axis = order.axis(place, dims);
            layout.strides[axis] = stride;
            // With an empty axis the product is zero; the strides are those of the others.
            stride = stride.checked_mul(shape[axis].max(1)).ok_or_else(|| {
                ShapeError(format!("shape {shape:?} has more elements than there are addresses"))
            })?;
        }
        layout.len = if shape.contains(&0) { 0 } else { stride };
        Ok(layout)
    }

    /// Of an array of somebody else's, whose elements do not share places.
    #[cfg(feature = "ndarray")]
    pub(crate) fn strided(shape: &[usize], strides: &[usize], offset: usize) -> Result<Layout, ShapeError> {
        let mut layout = Layout::dense(shape, Order::Col)?;
        layout.strides[..layout.dims].copy_from_slice(strides);
        layout.offset = offset;
        Ok(layout)
    }

    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape[..self.dims]
    }

    pub(crate) fn strides(&self) -> &[usize] {
        &self.strides[..self.dims]
    }

    /// Elements.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The places from the first element's to the last one's, and how many there are between.
    pub(crate) fn reach(&self) -> Range<usize> {
        if self.len == 0 {
            return self.offset..self.offset;
        }
        let last: usize =
            self.shape().iter().zip(self.strides()).map(|(len, stride)| (len - 1) * stride).sum();
        self.offset..self.offset + last + 1
    }

    /// Whether the elements are side by side in this order.
    pub(crate) fn is_dense(&self, order: Order) -> bool {
        let mut stride = 1;
        self.len == 0
            || (0..self.dims).map(|place| order.axis(place, self.dims)).all(|axis| {
                // Of an axis with one index the stride does not matter.
                let fits = self.shape[axis] == 1 || self.strides[axis] == stride;
                stride *= self.shape[axis];
                fits
            })
    }

    /// The order in which the elements are side by side, columns first where both are right.
    pub(crate) fn order(&self) -> Option<Order> {
        [Order::Col, Order::Row].into_iter().find(|order| self.is_dense(*order))
    }

    /// The place of an element; `None` when the index is not within the shape.
    pub(crate) fn place(&self, index: &[usize]) -> Option<usize> {
        if index.len() != self.dims || index.iter().zip(self.shape()).any(|(at, len)| at >= len) {
            return None;
        }
        let steps: usize = index.iter().zip(self.strides()).map(|(at, stride)| at * stride).sum();
        Some(self.offset + steps)
    }

    /// The part within a range for each axis.
    pub(crate) fn slice(&self, ranges: &[Range<usize>]) -> Result<Layout, ShapeError> {
        let shape = self.shape();
        if ranges.len() != self.dims {
            let (given, dims) = (ranges.len(), self.dims);
            return Err(ShapeError(format!("{given} ranges for the {dims} dimensions of shape {shape:?}")));
        }
        let mut part = *self;
        for (axis, range) in ranges.iter().enumerate() {
            if range.start > range.end || range.end > shape[axis] {
                let what = format!("range {range:?} of axis {axis} is not within shape {shape:?}");
                return Err(ShapeError(what));
            }
            part.shape[axis] = range.end - range.start;
        }
        part.len = part.shape().iter().product();
        if part.len > 0 {
            part.offset +=
                ranges.iter().zip(self.strides()).map(|(range, stride)| range.start * stride).sum::<usize>();
        }
        Ok(part)
    }

    /// The same elements with other names for the axes: the new axis `i` is the old one `axes[i]`.
    pub(crate) fn permuted(&self, axes: &[usize]) -> Result<Layout, ShapeError> {
        let mut seen = [false; DIMS_MAX];
        let is_order = axes.len() == self.dims
            && axes.iter().all(|axis| *axis < self.dims && !std::mem::replace(&mut seen[*axis], true));
        if !is_order {
            let shape = self.shape();
            return Err(ShapeError(format!(
                "axes {axes:?} do not name each dimension of shape {shape:?} once"
            )));
        }
        let mut layout = *self;
        for (new, old) in axes.iter().enumerate() {
            (layout.shape[new], layout.strides[new]) = (self.shape[*old], self.strides[*old]);
        }
        Ok(layout)
    }

    /// The places of the elements, one line after the other: a line is the axis that runs fastest in `order`.
    pub(crate) fn lines(&self, order: Order) -> Lines {
        let lines = if self.len == 0 { 0 } else { self.len / self.line_len(order) };
        Lines { layout: *self, order, index: [0; DIMS_MAX], place: self.offset, left: lines }
    }

    /// Calls `each` with every index, walking in `order`.
    pub(crate) fn for_each_index(&self, order: Order, mut each: impl FnMut(&[usize])) {
        let mut lines = self.lines(order);
        loop {
            let mut index = lines.index;
            if lines.next().is_none() {
                return;
            }
            for at in 0..self.line_len(order) {
                if self.dims > 0 {
                    index[order.axis(0, self.dims)] = at;
                }
                each(&index[..self.dims]);
            }
        }
    }

    /// Elements of a line.
    pub(crate) fn line_len(&self, order: Order) -> usize {
        if self.dims == 0 { 1 } else { self.shape[order.axis(0, self.dims)] }
    }

    /// From one element of a line to the next.
    pub(crate) fn line_stride(&self, order: Order) -> usize {
        if self.dims == 0 { 1 } else { self.strides[order.axis(0, self.dims)] }
    }
}

/// The first place of each line.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    layout: Layout,
    order: Order,
    index: [usize; DIMS_MAX],
    place: usize,
    left: usize,
}

impl Iterator for Lines {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let place = self.place;
        let dims = self.layout.dims;
        for axis in (1..dims).map(|place| self.order.axis(place, dims)) {
            self.index[axis] += 1;
            self.place += self.layout.strides[axis];
            if self.index[axis] < self.layout.shape[axis] {
                break;
            }
            self.place -= self.index[axis] * self.layout.strides[axis];
            self.index[axis] = 0;
        }
        Some(place)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Lines {}

impl Order {
    /// The axis that is the `place`th fastest of `dims`.
    fn axis(self, place: usize, dims: usize) -> usize {
        match self {
            Order::Col => place,
            Order::Row => dims - 1 - place,
        }
    }
}

impl ShapeError {
    pub(crate) fn new(what: String) -> ShapeError {
        ShapeError(what)
    }
}

fn dims_of(shape: &[usize]) -> Result<usize, ShapeError> {
    let dims = shape.len();
    if dims > DIMS_MAX {
        return Err(ShapeError(format!(
            "shape {shape:?} has {dims} dimensions, at most {DIMS_MAX} are possible"
        )));
    }
    Ok(dims)
}

impl fmt::Debug for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shape {:?}, strides {:?}, from {}", self.shape(), self.strides(), self.offset)
    }
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ShapeError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn shapes() -> impl Strategy<Value = Vec<usize>> {
        prop::collection::vec(0usize..5, 0..5)
    }

    fn orders() -> impl Strategy<Value = Order> {
        prop_oneof![Just(Order::Col), Just(Order::Row)]
    }

    /// Every index of a shape, the last one fastest.
    fn indices(shape: &[usize]) -> Vec<Vec<usize>> {
        shape.iter().fold(vec![vec![]], |indices, len| {
            let with = |index: &Vec<usize>, at| index.iter().copied().chain([at]).collect();
            indices.iter().flat_map(|index| (0..*len).map(move |at| with(index, at))).collect()
        })
    }

    proptest! {
        #[test]
        fn the_elements_of_a_dense_layout_fill_their_places_once(shape in shapes(), order in orders()) {
            let layout = Layout::dense(&shape, order).unwrap();
            let mut places: Vec<usize> = indices(&shape).iter().map(|at| layout.place(at).unwrap()).collect();
            if order == Order::Row {
                prop_assert!(places.is_sorted());
            }
            places.sort_unstable();
            prop_assert_eq!(&places, &(0..layout.len()).collect::<Vec<_>>());
            prop_assert!(layout.is_dense(order));
            prop_assert_eq!(layout.reach(), 0..layout.len());
        }

        #[test]
        fn lines_visit_every_element_in_order(shape in shapes(), order in orders(), walk in orders()) {
            let layout = Layout::dense(&shape, order).unwrap();
            let (len, stride) = (layout.line_len(walk), layout.line_stride(walk));
            let walked: Vec<usize> =
                layout.lines(walk).flat_map(|start| (0..len).map(move |at| start + at * stride)).collect();
            let mut expected = indices(&shape);
            if walk == Order::Col {
                expected.sort_by_key(|index| index.iter().rev().copied().collect::<Vec<_>>());
            }
            let expected: Vec<usize> = expected.iter().map(|at| layout.place(at).unwrap()).collect();
            prop_assert_eq!(walked, expected);
        }

        #[test]
        fn shapes_too_large_are_errors_and_never_wrap(shape in prop::collection::vec(any::<usize>(), 0..10)) {
            let product = shape.iter().try_fold(1_u128, |product, len| product.checked_mul(*len.max(&1) as u128));
            let fits = product.is_some_and(|product| product <= usize::MAX as u128);
            prop_assert_eq!(Layout::dense(&shape, Order::Col).is_ok(), fits && shape.len() <= DIMS_MAX);
        }
    }

    #[test]
    fn errors_say_what_was_asked_of_which_shape() {
        let layout = Layout::dense(&[3, 4], Order::Col).unwrap();
        let text = |result: Result<Layout, ShapeError>| result.unwrap_err().to_string();
        assert_eq!(text(layout.slice(&[0..2, 1..5])), "range 1..5 of axis 1 is not within shape [3, 4]");
        assert_eq!(
            text(layout.slice(std::slice::from_ref(&(0..2)))),
            "1 ranges for the 2 dimensions of shape [3, 4]"
        );
        assert_eq!(
            text(layout.permuted(&[1, 1])),
            "axes [1, 1] do not name each dimension of shape [3, 4] once"
        );
        let huge = [usize::MAX, 2];
        let what = format!("shape {huge:?} has more elements than there are addresses");
        assert_eq!(text(Layout::dense(&huge, Order::Row)), what);
        let what = "shape [1, 1, 1, 1, 1, 1, 1, 1, 1] has 9 dimensions, at most 8 are possible";
        assert_eq!(text(Layout::dense(&[1; 9], Order::Row)), what);
    }

    #[test]
    fn one_dimension_is_dense_in_both_orders_and_a_part_of_a_matrix_in_none() {
        let line = Layout::dense(&[7], Order::Row).unwrap();
        assert!(line.is_dense(Order::Col) && line.is_dense(Order::Row));
        let matrix = Layout::dense(&[4, 6], Order::Col).unwrap();
        assert_eq!(matrix.slice(&[1..3, 0..6]).unwrap().order(), None);
        assert_eq!(matrix.slice(&[0..4, 2..5]).unwrap().order(), Some(Order::Col));
        assert_eq!(matrix.permuted(&[1, 0]).unwrap().order(), Some(Order::Row));
        assert_eq!(matrix.slice(&[2..2, 0..6]).unwrap().reach(), 0..0);
    }
}
