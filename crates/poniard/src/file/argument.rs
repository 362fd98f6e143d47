//! Files as arguments of the function form.

use super::File;
use crate::function::{IntoArgument, OneResult, SeveralResults};
use poniard_model::Data;
use poniard_pool::{Dep, Many};

impl<T: Data> IntoArgument<OneResult> for &File<T> {
    type Argument = Dep<T>;
    fn into_argument(self) -> Dep<T> {
        Dep::new(self.reading().0)
    }
}

impl<T: Data> IntoArgument<SeveralResults> for &[File<T>] {
    type Argument = Many<T>;
    fn into_argument(self) -> Many<T> {
        Many::new(self.iter().map(|file| file.reading().0))
    }
}

impl<T: Data> IntoArgument<SeveralResults> for &Vec<File<T>> {
    type Argument = Many<T>;
    fn into_argument(self) -> Many<T> {
        self.as_slice().into_argument()
    }
}
