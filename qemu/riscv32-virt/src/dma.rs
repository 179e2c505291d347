//! Memory that the network card reads and writes: pages for its queues, out of static RAM.
//!
//! On this board the card sees RAM at the addresses at which the processor sees it, and what one writes the
//! other reads: there is no cache between them.

use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};

use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};

/// Two queues, each with a page that the card reads and one that it writes.
const PAGES: usize = 4;

static POOL: [Page; PAGES] = [const { Page::new() }; PAGES];

/// A page of RAM, and whether somebody has it.
#[repr(C, align(4096))]
struct Page {
    bytes: UnsafeCell<[u8; PAGE_SIZE]>,
    in_use: AtomicBool,
}

// SAFETY: `bytes` is reached through a pointer alone that `dma_alloc` gives to whoever finds the page not in
// use and turns that over, in one step: one owner at a time.
unsafe impl Sync for Page {}

impl Page {
    const fn new() -> Self {
        Self {
            bytes: UnsafeCell::new([0; PAGE_SIZE]),
            in_use: AtomicBool::new(false),
        }
    }
}

/// The RAM of this board, for virtio devices.
pub(crate) struct Ram;

// SAFETY: of each method below.
unsafe impl Hal for Ram {
    /// A page at most. Address 0 means that there is none left.
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let free = |page: &&Page| !page.in_use.swap(true, Ordering::Acquire);
        let page = if pages == 1 { POOL.iter().find(free) } else { None };
        let Some(page) = page else {
            return (0, NonNull::dangling());
        };
        let bytes = NonNull::from(&page.bytes).cast::<u8>();
        // SAFETY: `PAGE_SIZE` bytes in an `UnsafeCell`, at the beginning of an aligned `Page`, and nobody
        // else's: the page was not in use until now.
        unsafe { bytes.write_bytes(0, PAGE_SIZE) };
        (physical(bytes), bytes)
    }

    unsafe fn dma_dealloc(address: PhysAddr, _: NonNull<u8>, _: usize) -> i32 {
        for page in &POOL {
            if physical(NonNull::from(&page.bytes).cast()) == address {
                page.in_use.store(false, Ordering::Release);
            }
        }
        0
    }

    unsafe fn mmio_phys_to_virt(address: PhysAddr, _: usize) -> NonNull<u8> {
        // For devices on PCI. The board has no address above 4 GiB that a BAR here is placed at, and none is at 0.
        let address = address as usize;
        NonNull::new(core::ptr::with_exposed_provenance_mut(address)).unwrap_or(NonNull::dangling())
    }

    unsafe fn share(buffer: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        physical(buffer.cast())
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}

/// The address at which the card sees this.
fn physical(pointer: NonNull<u8>) -> PhysAddr {
    pointer.as_ptr().expose_provenance() as PhysAddr
}
