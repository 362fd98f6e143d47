//! N-dimensional arrays over buffers.

mod error;
#[cfg(feature = "faer")]
mod faer;
#[cfg(feature = "ndarray")]
mod ndarray;
mod wire;

use crate::arena::Arena;
use crate::buffer::{Buf, BufMut};
use crate::elem::Elem;
use crate::shape::{Layout, Order, ShapeError};
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Index, Range};

pub use error::TileError;

/// An array of up to [`DIMS_MAX`](crate::DIMS_MAX) dimensions whose elements clones and parts share; whoever writes
/// first takes a copy.
///
/// Large ones are in slots of an arena, at the start of a page. The first index runs fastest unless [`Order::Row`] is
/// asked for. As a value of a task, or a field of one, a tile travels by reference.
///
/// ```
/// use poniard_store::{Order, Tile};
/// let a = Tile::from_fn(&[3, 2], Order::Col, |at| (10 * at[0] + at[1]) as f64)?;
/// assert_eq!(a[[2, 1]], 21.0);
/// let column = a.slice(&[0..3, 1..2])?;
/// assert_eq!(column.as_slice(Order::Col), Some(&[1.0, 11.0, 21.0][..]));
/// let mut b = a.clone();
/// b.set(&[0, 0], 7.0)?;
/// assert_eq!((a[[0, 0]], b[[0, 0]]), (0.0, 7.0));
/// # Ok::<(), poniard_store::TileError>(())
/// ```
pub struct Tile<T: Elem> {
    /// Whole elements, aligned to them; every place of `layout` is in it.
    buf: Buf,
    layout: Layout,
    elements: PhantomData<T>,
}

impl<T: Elem> Tile<T> {
    /// The elements of a vector, side by side in `order`, without a copy.
    ///
    /// # Errors
    /// When the shape has another number of elements, or more than [`DIMS_MAX`](crate::DIMS_MAX) dimensions.
    pub fn from_vec(vec: Vec<T>, shape: &[usize], order: Order) -> Result<Tile<T>, TileError> {
        Tile::from_buf(Buf::from_vec(vec), shape, order)
    }

    /// The elements in a buffer, side by side in `order`. They are copied only if the buffer is not aligned to them.
    ///
    /// # Errors
    /// As for [`from_vec`](Tile::from_vec), and when there is no memory for the copy.
    pub fn from_buf(buf: Buf, shape: &[usize], order: Order) -> Result<Tile<T>, TileError> {
        let layout = Layout::dense(shape, order)?;
        let bytes = bytes_of::<T>(&layout)?;
        if buf.len() != bytes {
            let (len, kind) = (buf.len(), T::DTYPE);
            let what = format!("shape {shape:?} of `{kind}` takes {bytes} bytes, and there are {len}");
            return Err(ShapeError::new(what).into());
        }
        let is_aligned = buf.align() >= align_of::<T>() || buf.is_empty();
        let buf = if is_aligned { buf } else { BufMut::copy_of(&home_of(&buf), &buf)?.freeze() };
        Ok(Tile::of(buf, layout))
    }

    /// An array of zeros.
    ///
    /// # Errors
    /// When the shape is too large, or there is no memory for it.
    pub fn zeros(shape: &[usize], order: Order) -> Result<Tile<T>, TileError> {
        Tile::zeros_in(Arena::global(), shape, order)
    }

    /// An array of zeros in a slot of this arena.
    ///
    /// # Errors
    /// As for [`zeros`](Tile::zeros).
    pub fn zeros_in(arena: &Arena, shape: &[usize], order: Order) -> Result<Tile<T>, TileError> {
        let layout = Layout::dense(shape, order)?;
        Ok(Tile::of(BufMut::zeroed(arena, bytes_of::<T>(&layout)?)?.freeze(), layout))
    }

    /// An array of what `element` gives for each index; it is called in the order of memory.
    ///
    /// # Errors
    /// As for [`zeros`](Tile::zeros).
    pub fn from_fn(
        shape: &[usize],
        order: Order,
        element: impl FnMut(&[usize]) -> T,
    ) -> Result<Tile<T>, TileError> {
        Tile::from_fn_in(Arena::global(), shape, order, element)
    }

    /// The same in a slot of this arena.
    ///
    /// # Errors
    /// As for [`zeros`](Tile::zeros).
    pub fn from_fn_in(
        arena: &Arena,
        shape: &[usize],
        order: Order,
        mut element: impl FnMut(&[usize]) -> T,
    ) -> Result<Tile<T>, TileError> {
        let layout = Layout::dense(shape, order)?;
        let mut buf = BufMut::take(arena, bytes_of::<T>(&layout)?)?;
        let mut places = bytemuck::cast_slice_mut(&mut buf).iter_mut();
        layout.for_each_index(order, |index| {
            *places.next().expect("there is a place for each index") = element(index);
        });
        Ok(Tile::of(buf.freeze(), layout))
    }

    /// An array whose elements `write` writes: it is given all of them side by side in `order`, as the last user of the memory
    /// left them, or zero.
    ///
    /// ```
    /// use poniard_store::{Order, Tile};
    /// let ones: Tile<f64> = Tile::written(&[100, 100], Order::Col, |elements| elements.fill(1.0))?;
    /// assert_eq!(ones.get(&[99, 99]), Some(&1.0));
    /// # Ok::<(), poniard_store::TileError>(())
    /// ```
    ///
    /// # Errors
    /// As for [`zeros`](Tile::zeros).
    pub fn written(
        shape: &[usize],
        order: Order,
        write: impl FnOnce(&mut [T]),
    ) -> Result<Tile<T>, TileError> {
        let layout = Layout::dense(shape, order)?;
        let mut buf = BufMut::take(Arena::global(), bytes_of::<T>(&layout)?)?;
        write(bytemuck::cast_slice_mut(&mut buf));
        Ok(Tile::of(buf.freeze(), layout))
    }

    fn of(buf: Buf, layout: Layout) -> Tile<T> {
        debug_assert!(
            layout.reach().end * size_of::<T>() <= buf.len() || layout.len() == 0,
            "{layout:?} in {buf:?}"
        );
        Tile { buf, layout, elements: PhantomData }
    }

    /// Elements along each axis.
    pub fn shape(&self) -> &[usize] {
        self.layout.shape()
    }

    /// Elements from one to the next along each axis.
    pub fn strides(&self) -> &[usize] {
        self.layout.strides()
    }

    /// Dimensions.
    pub fn dims(&self) -> usize {
        self.shape().len()
    }

    /// Elements.
    pub fn len(&self) -> usize {
        self.layout.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The order in which the elements are side by side; `None` when there are others between them. [`Order::Col`]
    /// where both are right, as in one dimension.
    pub fn order(&self) -> Option<Order> {
        self.layout.order()
    }

    /// The buffer that holds the elements, and perhaps others.
    pub fn buf(&self) -> &Buf {
        &self.buf
    }

    /// Whether others share the elements, so that the next change copies them.
    pub fn is_shared(&self) -> bool {
        self.buf.is_shared()
    }

    /// An element; `None` when there is no such index.
    pub fn get(&self, index: &[usize]) -> Option<&T> {
        Some(&self.places()[self.layout.place(index)?])
    }

    /// All elements, walking the indices in `order`.
    pub fn iter(&self, order: Order) -> impl Iterator<Item = &T> {
        let places = self.places();
        let (len, stride) = (self.layout.line_len(order), self.layout.line_stride(order).max(1));
        self.layout.lines(order).flat_map(move |start| places[start..].iter().step_by(stride).take(len))
    }

    /// The elements, when they are side by side in this order.
    pub fn as_slice(&self, order: Order) -> Option<&[T]> {
        self.layout.is_dense(order).then(|| &self.places()[self.layout.reach()])
    }

    /// The bytes of the elements, when these are side by side; [`order`](Tile::order) says how.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        self.order().and_then(|order| self.as_slice(order)).map(bytemuck::cast_slice)
    }

    /// The same elements side by side in `order`; they are copied only if they are not so yet.
    ///
    /// # Errors
    /// When there is no memory for the copy.
    pub fn into_dense(self, order: Order) -> Result<Tile<T>, TileError> {
        if self.layout.is_dense(order) { Ok(self) } else { self.copied(order) }
    }

    /// A part, without a copy: a range for each axis.
    ///
    /// # Errors
    /// When a range is not within the shape, or there is not one for each axis.
    pub fn slice(&self, ranges: &[Range<usize>]) -> Result<Tile<T>, TileError> {
        Ok(Tile::of(self.buf.clone(), self.layout.slice(ranges)?))
    }

    /// The same elements with the axes in another order, without a copy: the new axis `i` is the old one `axes[i]`.
    ///
    /// # Errors
    /// When `axes` does not name each axis once.
    pub fn permuted(&self, axes: &[usize]) -> Result<Tile<T>, TileError> {
        Ok(Tile::of(self.buf.clone(), self.layout.permuted(axes)?))
    }

    /// Sets an element, after copying all when others share them.
    ///
    /// # Errors
    /// When there is no such index, or no memory for the copy.
    pub fn set(&mut self, index: &[usize], value: T) -> Result<(), TileError> {
        let place = |layout: &Layout| layout.place(index).ok_or_else(|| no_such_index(index, layout));
        place(&self.layout)?;
        self.make_mut()?;
        // Asked again: the copy has other places.
        let place = place(&self.layout)?;
        self.places_mut()[place] = value;
        Ok(())
    }

    /// The elements to write to, side by side in `order`: after copying them when others share them or they are not.
    ///
    /// # Errors
    /// When there is no memory for the copy.
    pub fn as_mut_slice(&mut self, order: Order) -> Result<&mut [T], TileError> {
        if !self.layout.is_dense(order) {
            *self = self.copied(order)?;
        }
        self.make_mut()?;
        let reach = self.layout.reach();
        Ok(&mut self.places_mut()[reach])
    }

    /// Takes a copy of the elements unless they are this tile's alone.
    fn make_mut(&mut self) -> Result<(), TileError> {
        if self.buf.as_mut().is_none() {
            *self = self.copied(self.order().unwrap_or_default())?;
        }
        Ok(())
    }

    /// A copy of the elements, in the arena that they are in.
    fn copied(&self, order: Order) -> Result<Tile<T>, TileError> {
        let layout = Layout::dense(self.shape(), order)?;
        let mut buf = BufMut::take(&home_of(&self.buf), bytes_of::<T>(&layout)?)?;
        let target: &mut [T] = bytemuck::cast_slice_mut(&mut buf);
        if let Some(elements) = self.as_slice(order) {
            target.copy_from_slice(elements);
            return Ok(Tile::of(buf.freeze(), layout));
        }
        let (places, stride) = (self.places(), self.layout.line_stride(order));
        let lines = self.layout.lines(order).zip(target.chunks_exact_mut(self.layout.line_len(order)));
        for (start, line) in lines {
            if stride == 1 {
                line.copy_from_slice(&places[start..start + line.len()]);
            } else {
                let elements = places[start..].iter().step_by(stride.max(1));
                line.iter_mut().zip(elements).for_each(|(to, from)| *to = *from);
            }
        }
        Ok(Tile::of(buf.freeze(), layout))
    }

    /// The buffer as elements, those of other parts among them.
    fn places(&self) -> &[T] {
        // An empty buffer may be aligned to nothing.
        if self.buf.is_empty() { &[] } else { bytemuck::cast_slice(&self.buf) }
    }

    /// The same to write to.
    ///
    /// # Panics
    /// When the buffer is shared: `make_mut` goes before.
    fn places_mut(&mut self) -> &mut [T] {
        if self.buf.is_empty() {
            return &mut [];
        }
        bytemuck::cast_slice_mut(
            self.buf.as_mut().expect("`make_mut` has seen to it that nobody shares them"),
        )
    }
}

/// The size of all elements; slices have at most `isize::MAX` bytes.
fn bytes_of<T: Elem>(layout: &Layout) -> Result<usize, ShapeError> {
    let bytes = layout.len().checked_mul(size_of::<T>()).filter(|bytes| isize::try_from(*bytes).is_ok());
    bytes.ok_or_else(|| {
        let (shape, kind) = (layout.shape(), T::DTYPE);
        ShapeError::new(format!("shape {shape:?} of `{kind}` takes more bytes than there are addresses"))
    })
}

/// The arena for a copy of what is in this buffer.
fn home_of(buf: &Buf) -> Arena {
    buf.arena().unwrap_or_else(|| Arena::global().clone())
}

fn no_such_index(index: &[usize], layout: &Layout) -> ShapeError {
    ShapeError::new(format!("index {index:?} is not within shape {:?}", layout.shape()))
}

impl<T: Elem> Clone for Tile<T> {
    /// Shares the elements.
    fn clone(&self) -> Tile<T> {
        Tile { buf: self.buf.clone(), layout: self.layout, elements: PhantomData }
    }
}

impl<T: Elem, const N: usize> Index<[usize; N]> for Tile<T> {
    type Output = T;

    /// # Panics
    /// When there is no such index.
    fn index(&self, index: [usize; N]) -> &T {
        self.get(&index).unwrap_or_else(|| panic!("{}", no_such_index(&index, &self.layout)))
    }
}

/// Equal in shape and elements, wherever and in whatever order these are.
impl<T: Elem> PartialEq for Tile<T> {
    fn eq(&self, other: &Tile<T>) -> bool {
        let order = self.order().unwrap_or_default();
        self.shape() == other.shape() && self.iter(order).eq(other.iter(order))
    }
}

impl<T: Elem> fmt::Debug for Tile<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = self
            .order()
            .map_or_else(|| format!("strides {:?}", self.strides()), |order| format!("{order:?}"));
        write!(f, "Tile<{}>({:?}, {order}, {:?})", T::DTYPE, self.shape(), self.buf)
    }
}

#[cfg(test)]
mod tests;
