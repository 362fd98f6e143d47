//! What the elements of a tile may be: numbers whose every pattern of bytes is a value.

use bytemuck::Pod;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A kind of number, as it is written beside the bytes of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each is the Rust type of that name")]
pub enum DType {
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
}

/// An element of a tile: `f32`, `f64`, and the integers of up to 64 bits. Flags are held as `u8`.
pub trait Elem: Pod + Send + Sync + PartialEq + fmt::Debug + sealed::Sealed {
    /// Its kind.
    const DTYPE: DType;
}

mod sealed {
    /// New elements need a `DType`, so that those who read them know them.
    pub trait Sealed {}
}

macro_rules! elements {
    ($($number:ty => $kind:ident),* $(,)?) => {
        $(
            impl sealed::Sealed for $number {}
            impl Elem for $number {
                const DTYPE: DType = DType::$kind;
            }
        )*

        impl DType {
            /// Bytes of one element.
            pub const fn bytes(self) -> usize {
                match self {
                    $(DType::$kind => size_of::<$number>(),)*
                }
            }
        }

        impl fmt::Display for DType {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(DType::$kind => stringify!($number),)*
                })
            }
        }
    };
}

elements! {
    f32 => F32, f64 => F64,
    i8 => I8, i16 => I16, i32 => I32, i64 => I64,
    u8 => U8, u16 => U16, u32 => U32, u64 => U64,
}
