//! Arrays as NumPy writes them.
//!
//! A magic number, a version, the length of the header, the header (a Python dictionary as text, padded to 64 bytes), and
//! the elements.

use crate::disk::error::{Reason, Unfit};
use crate::disk::format::Format;
use crate::disk::source::{Source, Target};
use poniard_store::{DIMS_MAX, DType, Elem, Order, Tile};
use std::io::Write;

/// NumPy's format of one array, `.npy`: for a [`Tile`] of any shape, and for a `Vec` of numbers.
///
/// Little-endian numbers of up to 64 bits; flags (`b1`) are read as `u8`. Complex numbers, texts, records and objects are
/// refused.
///
/// ```
/// use poniard::{Npy, Order, Tile, prelude::*};
/// # let path = std::env::temp_dir().join(format!("poniard-{}.npy", std::process::id()));
/// let a = Tile::from_fn(&[2, 3], Order::Row, |at| (at[0] * 3 + at[1]) as f64)?;
/// let file = to_file_with(&a, &path, Npy)?; // numpy.load(path) gives array([[0., 1., 2.], [3., 4., 5.]])
/// assert_eq!(file.fetch()?[[1, 2]], 5.0);
/// # std::fs::remove_file(path).unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Npy;

const MAGIC: &[u8] = b"\x93NUMPY";
/// Magic and version, with the longer of the two forms of the header's length.
const FRONT_BYTES: u64 = 12;
/// The header of an array with the most dimensions takes 300; NumPy too takes no more than this from strangers.
const HEADER_BYTES_MAX: u64 = 10_000;
/// What the elements start at a multiple of.
const ALIGN: usize = 64;

/// What the header says.
#[derive(Debug, PartialEq)]
struct Header {
    descr: String,
    is_fortran: bool,
    shape: Vec<usize>,
}

impl<E: Elem> Format<Tile<E>> for Npy {
    fn name(&self) -> &str {
        "npy"
    }

    fn read(&self, source: &Source) -> Result<Tile<E>, Reason> {
        let (header, start) = read_header(source)?;
        check_elements(&header.descr, E::DTYPE)?;
        let bytes = elements_len(&header.shape, E::DTYPE)?;
        let there = source.len() - start;
        if bytes != there {
            let shape = &header.shape;
            let what =
                format!("shape {shape:?} of `{}` takes {bytes} bytes, and {there} are there", E::DTYPE);
            return Err(Unfit::damaged(what));
        }
        let order = if header.is_fortran { Order::Col } else { Order::Row };
        Tile::from_buf(source.take(bytes)?, &header.shape, order)
            .map_err(|error| Unfit::other(error.to_string()))
    }

    fn write(&self, tile: &Tile<E>, target: &mut Target) -> Result<(), Reason> {
        // Where both orders are right, NumPy says that of C.
        let order = if tile.as_slice(Order::Row).is_some() { Order::Row } else { Order::Col };
        let tile = tile.clone().into_dense(order)?;
        let header = header_text(descr(E::DTYPE), order == Order::Col, tile.shape());
        target.write_all(&header)?;
        Ok(target.write_all(tile.as_bytes().expect("it is dense"))?)
    }
}

impl<E: Elem> Format<Vec<E>> for Npy {
    fn name(&self) -> &str {
        "npy"
    }

    fn read(&self, source: &Source) -> Result<Vec<E>, Reason> {
        let tile: Tile<E> = Npy.read(source)?;
        match tile.shape() {
            [_] => Ok(tile.as_slice(Order::Row).expect("elements of one axis are side by side").to_vec()),
            shape => {
                Err(Unfit::other(format!("an array of shape {shape:?} is no vector; read it as a tile")))
            }
        }
    }

    fn write(&self, numbers: &Vec<E>, target: &mut Target) -> Result<(), Reason> {
        target.write_all(&header_text(descr(E::DTYPE), false, &[numbers.len()]))?;
        Ok(target.write_all(bytemuck::cast_slice(numbers))?)
    }
}

/// How NumPy calls such elements.
fn descr(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "<f4",
        DType::F64 => "<f8",
        DType::I8 => "|i1",
        DType::I16 => "<i2",
        DType::I32 => "<i4",
        DType::I64 => "<i8",
        DType::U8 => "|u1",
        DType::U16 => "<u2",
        DType::U32 => "<u4",
        DType::U64 => "<u8",
    }
}

fn check_elements(found: &str, wanted: DType) -> Result<(), Reason> {
    let is_one_byte = wanted.bytes() == 1;
    let own = descr(wanted);
    // Of one byte the order says nothing, and is written in each way.
    let is_right = found == own || is_one_byte && found.get(1..) == own.get(1..) && found.len() == own.len();
    let is_flag = wanted == DType::U8 && matches!(found, "|b1" | "?" | "b1");
    if is_right || is_flag {
        return Ok(());
    }
    let advice = match found.as_bytes().first() {
        Some(b'>') => ": big-endian numbers must be converted first, `array.newbyteorder` in NumPy",
        _ => "",
    };
    Err(Unfit::other(format!("its elements are `{found}`, not `{own}` (`{wanted}`){advice}")))
}

fn elements_len(shape: &[usize], dtype: DType) -> Result<u64, Reason> {
    let len = shape.iter().try_fold(dtype.bytes() as u64, |bytes, len| bytes.checked_mul(*len as u64));
    // With an axis of no elements the product of the others does not matter.
    let len = if shape.contains(&0) { Some(0) } else { len };
    len.ok_or_else(|| Unfit::other(format!("shape {shape:?} has more elements than there are addresses")))
}

fn header_text(descr: &str, is_fortran: bool, shape: &[usize]) -> Vec<u8> {
    let axes: Vec<String> = shape.iter().map(usize::to_string).collect();
    let comma = if shape.len() == 1 { "," } else { "" };
    let fortran = if is_fortran { "True" } else { "False" };
    let axes = axes.join(", ");
    let text = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': ({axes}{comma}), }}");
    let front = MAGIC.len() + 4;
    let padded = (front + text.len() + 1).next_multiple_of(ALIGN) - front;
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend(u16::try_from(padded).expect("shapes are short").to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.resize(front + padded - 1, b' ');
    bytes.push(b'\n');
    bytes
}

/// The header, and where the elements start.
fn read_header(source: &Source) -> Result<(Header, u64), Reason> {
    let front = source.take_vec(source.len().min(FRONT_BYTES))?;
    if !front.starts_with(MAGIC) {
        return Err(Unfit::damaged("it does not begin as such a file does"));
    }
    let short = || Unfit::damaged("it ends within its header");
    let (len, start) = match front.get(6) {
        Some(1) => {
            let len = front.get(8..10).ok_or_else(short)?;
            (u64::from(u16::from_le_bytes(len.try_into()?)), 10)
        }
        Some(2 | 3) => {
            let len = front.get(8..12).ok_or_else(short)?;
            (u64::from(u32::from_le_bytes(len.try_into()?)), 12)
        }
        Some(version) => {
            return Err(Unfit::other(format!("version {version} of the format is not known here")));
        }
        None => return Err(short()),
    };
    if len > HEADER_BYTES_MAX {
        let what =
            format!("its header of {len} bytes is longer than {HEADER_BYTES_MAX}, as none of an array is");
        return Err(Unfit::other(what));
    }
    if start + len > source.len() {
        return Err(short());
    }
    source.rewind_to(start)?;
    let text = String::from_utf8(source.take_vec(len)?);
    let text = text.map_err(|_| Unfit::damaged("its header is no text"))?;
    let header =
        parse(&text).map_err(|what| Unfit::other(format!("its header {what}: {}", text.trim_end())))?;
    Ok((header, start + len))
}

/// Parses the dictionary; says what is wrong with it.
fn parse(text: &str) -> Result<Header, &'static str> {
    let mut rest = Rest(text);
    let (mut descr, mut is_fortran, mut shape) = (None, None, None);
    rest.expect('{')?;
    while !rest.accept('}') {
        let key = rest.text()?;
        rest.expect(':')?;
        let is_new = match key {
            "descr" => descr.replace(rest.text()?.to_owned()).is_none(),
            "fortran_order" => is_fortran.replace(rest.flag()?).is_none(),
            "shape" => shape.replace(rest.tuple()?).is_none(),
            _ => return Err("has a key that is none of `descr`, `fortran_order`, `shape`"),
        };
        if !is_new {
            return Err("has a key twice");
        }
        if !rest.accept(',') {
            rest.expect('}')?;
            break;
        }
    }
    match (rest.0.trim().is_empty(), descr, is_fortran, shape) {
        (true, Some(descr), Some(is_fortran), Some(shape)) => Ok(Header { descr, is_fortran, shape }),
        (false, ..) => Err("goes on after its end"),
        _ => Err("lacks one of `descr`, `fortran_order`, `shape`"),
    }
}

/// What is left of the header.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn accept(&mut self, wanted: char) -> bool {
        let rest = self.0.trim_start().strip_prefix(wanted);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn expect(&mut self, wanted: char) -> Result<(), &'static str> {
        if self.accept(wanted) { Ok(()) } else { Err("is no dictionary of Python's") }
    }

    /// A text in quotes, without escapes.
    fn text(&mut self) -> Result<&'a str, &'static str> {
        let rest = self.0.trim_start();
        let quote = match rest.chars().next() {
            Some(quote @ ('\'' | '"')) => quote,
            Some('[') => return Err("describes records, which are not read"),
            _ => return Err("lacks a text in quotes"),
        };
        let (text, rest) = rest[1..].split_once(quote).ok_or("has a text without an end")?;
        self.0 = rest;
        Ok(text)
    }

    fn flag(&mut self) -> Result<bool, &'static str> {
        let rest = self.0.trim_start();
        let (flag, rest) = match (rest.strip_prefix("True"), rest.strip_prefix("False")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Err("lacks `True` or `False`"),
        };
        self.0 = rest;
        Ok(flag)
    }

    fn tuple(&mut self) -> Result<Vec<usize>, &'static str> {
        self.expect('(')?;
        let mut shape = Vec::new();
        while !self.accept(')') {
            let rest = self.0.trim_start();
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let number = rest[..digits].parse().map_err(|_| "has a shape that is not of whole numbers")?;
            if shape.len() == DIMS_MAX {
                return Err("has a shape of more than 8 dimensions");
            }
            shape.push(number);
            // Python 2 wrote an `L` behind long ones.
            self.0 = rest[digits..].strip_prefix('L').unwrap_or(&rest[digits..]);
            if !self.accept(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_header_is_read_as_numpy_writes_it() {
        let header = |descr: &str, is_fortran, shape: &[usize]| Header {
            descr: descr.to_owned(),
            is_fortran,
            shape: shape.to_vec(),
        };
        let text = "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }       \n";
        assert_eq!(parse(text), Ok(header("<f8", false, &[3, 4])));
        let text = "{\"shape\":(5L,),\"descr\":\"|u1\",\"fortran_order\":True}";
        assert_eq!(parse(text), Ok(header("|u1", true, &[5])));
        let text = "{'descr': '<i2', 'fortran_order': False, 'shape': ()}";
        assert_eq!(parse(text), Ok(header("<i2", false, &[])));
    }

    #[test]
    fn wrong_headers_are_refused_in_words() {
        let wrong = |text: &str| parse(text).unwrap_err();
        assert!(
            wrong("{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (3,)}").contains("records")
        );
        assert!(wrong("{'descr': '<f8', 'fortran_order': False}").contains("lacks one"));
        assert!(wrong("{'descr': '<f8', 'descr': '<f8'}").contains("twice"));
        assert!(wrong("{'descr': '<f8', 'fortran_order': 1}").contains("`True`"));
        assert!(wrong("{'shape': (-1,)}").contains("whole numbers"));
        assert!(wrong("{'shape': (99999999999999999999999,)}").contains("whole numbers"));
        assert!(wrong("{'shape': (1,1,1,1,1,1,1,1,1)}").contains("8 dimensions"));
        assert!(wrong("[]").contains("dictionary"));
        assert!(wrong("{'descr: 1").contains("without an end"));
        let ok = "{'descr': '<f8', 'fortran_order': False, 'shape': ()}";
        assert!(wrong(&format!("{ok} x")).contains("goes on"));
    }

    proptest! {
        #[test]
        fn what_is_written_is_parsed(is_fortran: bool, shape in prop::collection::vec(any::<usize>(), 0..9)) {
            let bytes = header_text("<f4", is_fortran, &shape);
            prop_assert_eq!(bytes.len() % ALIGN, 0);
            let text = std::str::from_utf8(&bytes[10..]).unwrap();
            prop_assert_eq!(parse(text), Ok(Header { descr: "<f4".to_owned(), is_fortran, shape }));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[{}()\\[\\]'\",:a-zTrueFals0-9 é]{0,60}") {
            let _ = parse(&text);
        }
    }
}
