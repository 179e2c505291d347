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

static POOL: [Page; PAGES] = [const { Page(UnsafeCell::new([0; PAGE_SIZE])) }; PAGES];

/// Which of them somebody has.
static IN_USE: [AtomicBool; PAGES] = [const { AtomicBool::new(false) }; PAGES];

#[repr(C, align(4096))]
struct Page(UnsafeCell<[u8; PAGE_SIZE]>);

// SAFETY: Its bytes are reached through a pointer alone that `dma_alloc` gives to whoever finds the page not
// in use and turns that over, in one step: one owner at a time.
unsafe impl Sync for Page {}

impl Page {
    fn bytes(&self) -> NonNull<u8> {
        NonNull::from(&self.0).cast()
    }
}

/// The RAM of this board, for virtio devices.
pub(crate) struct Ram;

// SAFETY: `dma_alloc` gives a page of static RAM that is aligned, all zeros and nobody else's until `dma_dealloc`, or says by
// address 0 that there is none. `mmio_phys_to_virt` gives the address itself, and nothing is mapped here. `share` gives where
// the buffer lies, which is where the card sees it, with no cache between; so `unshare` has nothing to undo.
unsafe impl Hal for Ram {
    /// A page at most. Address 0 means that there is none left.
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let mut places = POOL.iter().zip(&IN_USE);
        let free = match pages {
            1 => places.find(|(_, in_use)| !in_use.swap(true, Ordering::Acquire)),
            _ => None,
        };
        let Some((page, _)) = free else {
            return (0, NonNull::dangling());
        };
        let bytes = page.bytes();
        // SAFETY: `PAGE_SIZE` bytes in an `UnsafeCell`, at the beginning of an aligned `Page`, and nobody
        // else's: the page was not in use until now.
        unsafe { bytes.write_bytes(0, PAGE_SIZE) };
        (physical(bytes), bytes)
    }

    unsafe fn dma_dealloc(address: PhysAddr, _: NonNull<u8>, _: usize) -> i32 {
        for (page, in_use) in POOL.iter().zip(&IN_USE) {
            if physical(page.bytes()) == address {
                in_use.store(false, Ordering::Release);
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
