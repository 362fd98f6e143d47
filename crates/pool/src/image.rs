//! The executable as every process of the same build has it: where its code lies, and which build it is.
//!
//! Each process loads it at another address, so what two processes tell each other of code are offsets from where it begins.
//! Only the main executable counts: shared libraries lie elsewhere in each process.

use poniard_model::Site;
use std::ffi::c_void;
use std::ops::Range;
use std::sync::OnceLock;

/// The loaded executable.
#[derive(Debug, Default)]
struct Image {
    base: usize,
    segments: Vec<Segment>,
}

/// A part of it that is loaded as one.
#[derive(Debug)]
struct Segment {
    addresses: Range<usize>,
    is_writable: bool,
    is_code: bool,
}

static IMAGE: OnceLock<Image> = OnceLock::new();

fn image() -> &'static Image {
    IMAGE.get_or_init(|| {
        let mut image = Image::default();
        // SAFETY: the callback gets this image back, for as long as the call lasts, and nobody else has it.
        unsafe { libc::dl_iterate_phdr(Some(look_at_first), (&raw mut image).cast()) };
        image
    })
}

/// Notes the segments of the first object that it is called with, which is the executable, and ends the search.
///
/// # Safety
/// For `dl_iterate_phdr` only, with an [`Image`].
unsafe extern "C" fn look_at_first(
    info: *mut libc::dl_phdr_info,
    _: libc::size_t,
    image: *mut c_void,
) -> libc::c_int {
    // SAFETY: the caller's promise.
    let image = unsafe { &mut *image.cast::<Image>() };
    // SAFETY: the loader tells of an object that stays meanwhile.
    let info = unsafe { &*info };
    image.base = info.dlpi_addr as usize;
    // SAFETY: as above: so many headers lie there.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    for header in headers.iter().filter(|header| header.p_type == libc::PT_LOAD) {
        let begin = image.base + header.p_vaddr as usize;
        image.segments.push(Segment {
            addresses: begin..begin + header.p_memsz as usize,
            is_writable: header.p_flags & libc::PF_W != 0,
            is_code: header.p_flags & libc::PF_X != 0,
        });
    }
    1
}

/// Whether there is code of the executable at this address.
pub(crate) fn is_code(address: usize) -> bool {
    image().segments.iter().any(|segment| segment.is_code && segment.addresses.contains(&address))
}

/// How far from the executable's beginning an address of its code lies; `None` when it is not its code.
pub fn code_offset(address: usize) -> Option<u64> {
    is_code(address).then(|| (address - image().base) as u64)
}

/// The address of code that lies so far from the executable's beginning; `None` when there is no code.
pub fn code_at(offset: u64) -> Option<usize> {
    let address = image().base.checked_add(usize::try_from(offset).ok()?)?;
    is_code(address).then_some(address)
}

/// How far from the executable's beginning a site lies; `None` when it is not in the executable.
pub fn site_offset(site: &'static Site) -> Option<u64> {
    let address = std::ptr::from_ref(site).addr();
    holds_site(address).then(|| (address - image().base) as u64)
}

/// The address at which a site may lie so far from the executable's beginning.
fn site_address(offset: u64) -> Option<usize> {
    let address = image().base.checked_add(usize::try_from(offset).ok()?)?;
    (holds_site(address) && address.is_multiple_of(align_of::<Site>())).then_some(address)
}

/// The site that lies so far from the executable's beginning.
///
/// # Safety
/// A process of this same build has got the offset from [`site_offset`].
pub unsafe fn site_at(offset: u64) -> Option<&'static Site> {
    let address = site_address(offset)?;
    // SAFETY: the caller's promise: there is a site, which is static.
    Some(unsafe { &*std::ptr::with_exposed_provenance::<Site>(address) })
}

fn holds_site(address: usize) -> bool {
    let last = address.saturating_add(size_of::<Site>() - 1);
    let holds = |segment: &Segment| segment.addresses.contains(&address) && segment.addresses.contains(&last);
    image().segments.iter().any(|segment| holds(segment) && !segment.is_code)
}

/// What is loaded of the executable and never changes: the same bytes in every process of the same build.
pub fn constant_parts() -> Vec<&'static [u8]> {
    let constant = image().segments.iter().filter(|segment| !segment.is_writable);
    let bytes = |segment: &Segment| {
        let begin = std::ptr::with_exposed_provenance::<u8>(segment.addresses.start);
        // SAFETY: the loader keeps the segment there until the process ends, and nobody can write it.
        unsafe { std::slice::from_raw_parts(begin, segment.addresses.len()) }
    };
    constant.map(bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    static SITE: Site = Site::new("image", file!(), 1);

    #[test]
    fn code_and_sites_are_found_again_by_their_offset() {
        let address = code_offset as *const () as usize;
        let offset = code_offset(address).expect("a function of this executable");
        assert_eq!(code_at(offset), Some(address));
        let offset = site_offset(&SITE).expect("a static of this executable");
        // SAFETY: the offset comes from `site_offset`.
        assert!(std::ptr::eq(unsafe { site_at(offset) }.unwrap(), &raw const SITE));
    }

    #[test]
    fn what_lies_elsewhere_has_no_offset() {
        assert_eq!(code_offset(libc::getpid as *const () as usize), None, "a library's");
        assert_eq!(code_offset((&raw const SITE).addr()), None, "a static is no code");
        static ON_HEAP: OnceLock<Box<Site>> = OnceLock::new();
        let on_heap = ON_HEAP.get_or_init(|| Box::new(Site::new("heap", file!(), 2)));
        assert_eq!(site_offset(on_heap), None);
        for offset in [u64::MAX, u64::MAX / 2, 1 << 40] {
            assert_eq!((code_at(offset), site_address(offset)), (None, None));
        }
        let constant = code_offset(code_offset as *const () as usize).unwrap();
        assert_eq!(site_address(constant), None, "code is no site");
    }

    #[test]
    fn the_constant_parts_hold_the_code() {
        let parts = constant_parts();
        let code = code_offset as *const () as usize;
        let has_code = |part: &&[u8]| part.as_ptr_range().contains(&std::ptr::with_exposed_provenance(code));
        assert!(parts.iter().any(has_code));
        assert!(parts.iter().all(|part| part.iter().map(|byte| usize::from(*byte)).sum::<usize>() > 0));
    }
}
