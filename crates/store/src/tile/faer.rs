//! Two-dimensional tiles as matrices of `faer`.

use crate::elem::Elem;
use crate::tile::{Tile, TileError};
use faer::{MatMut, MatRef};

impl<T: Elem> Tile<T> {
    /// The tile as a matrix, without a copy; `None` unless it has two dimensions.
    pub fn mat(&self) -> Option<MatRef<'_, T>> {
        let (&[rows, columns], &[down, right]) = (self.shape(), self.strides()) else { return None };
        let first = self.places()[self.layout.reach()].as_ptr();
        // SAFETY: the places of the layout are within its reach, which is borrowed for as long as the matrix.
        Some(unsafe { MatRef::from_raw_parts(first, rows, columns, down as isize, right as isize) })
    }

    /// The tile as a matrix to write to, copied first when others share the elements; `None` unless it has two
    /// dimensions.
    ///
    /// # Errors
    /// When there is no memory for the copy.
    pub fn mat_mut(&mut self) -> Result<Option<MatMut<'_, T>>, TileError> {
        self.make_mut()?;
        let (&[rows, columns], &[down, right]) = (self.shape(), self.strides()) else { return Ok(None) };
        let reach = self.layout.reach();
        let first = self.places_mut()[reach].as_mut_ptr();
        // SAFETY: as in `mat`; the borrow is for writing, and no two elements share a place.
        Ok(Some(unsafe { MatMut::from_raw_parts_mut(first, rows, columns, down as isize, right as isize) }))
    }
}

#[cfg(test)]
mod tests {
    use crate::shape::Order;
    use crate::tile::Tile;

    #[test]
    fn a_matrix_shows_the_tiles_elements_in_any_order() {
        for order in [Order::Col, Order::Row] {
            let tile = Tile::from_fn(&[5, 7], order, |at| (10 * at[0] + at[1]) as f64).unwrap();
            let part = tile.slice(&[1..4, 2..7]).unwrap();
            let matrix = part.mat().unwrap();
            assert_eq!((matrix.nrows(), matrix.ncols()), (3, 5));
            assert_eq!(matrix.as_ptr(), std::ptr::from_ref(&tile[[1, 2]]), "no copy");
            assert!((0..3).all(|i| (0..5).all(|j| matrix[(i, j)] == part[[i, j]])));
        }
        assert!(Tile::<f64>::zeros(&[2, 2, 2], Order::Col).unwrap().mat().is_none());
        assert_eq!(Tile::<f64>::zeros(&[0, 4], Order::Col).unwrap().mat().unwrap().ncols(), 4);
    }

    #[test]
    fn a_matrix_is_written_in_a_copy_when_others_look() {
        let mut tile = Tile::<f64>::zeros(&[4, 4], Order::Col).unwrap();
        tile.mat_mut().unwrap().unwrap()[(1, 2)] = 5.0;
        let before = tile.clone();
        tile.mat_mut().unwrap().unwrap()[(1, 2)] = 6.0;
        assert_eq!((before[[1, 2]], tile[[1, 2]]), (5.0, 6.0));
    }
}
