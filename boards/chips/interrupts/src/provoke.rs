//! Takes one exception with something known in every register, and looks what is there afterwards.

use core::arch::naked_asm;
use core::fmt;
use core::ptr::null_mut;

/// The stack that the program is on when the exception comes; handlers are on the main one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stack {
    Main,
    /// As the tasks of a scheduler.
    Process,
}

impl fmt::Display for Stack {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Main => "main",
            Self::Process => "process",
        })
    }
}

/// What the registers held afterwards, and should have held.
#[derive(Default)]
pub(crate) struct Registers {
    found: Found,
    expected: Found,
}

/// In the order in which they are pushed: flags, r8 to r12, LR, r0 to r7.
type Found = [u32; 15];

/// Of the flags, those that the processor has: N, Z, C, V.
const FLAGS: u32 = 0xF000_0000;

/// N and C, and what r7 holds.
const SEVENTH: u32 = 0xA777_7777;

impl Registers {
    /// A bit for each that was changed, in the order of [`Found`]; all of them if nothing was looked at.
    pub(crate) fn harmed(&self) -> u32 {
        let pairs = self.found.iter().zip(&self.expected);
        let differ = pairs.enumerate().map(|(place, (found, expected))| {
            let mask = match place {
                0 => FLAGS,
                _ => u32::MAX,
            };
            u32::from((found ^ expected) & mask != 0) << place
        });
        match self.expected[14] {
            0 => u32::MAX,
            _ => differ.sum(),
        }
    }

    fn take(
        &mut self,
        by: unsafe extern "C" fn(u32, u32, *mut ProcessStack, *mut Found),
        stack: Stack,
        address: u32,
        value: u32,
    ) {
        let mut process_stack = ProcessStack([0; 64]);
        let end = match stack {
            Stack::Main => null_mut(),
            Stack::Process => (&raw mut process_stack).wrapping_add(1),
        };
        self.expected = [
            SEVENTH & FLAGS,
            0x8888_8888,
            0x9999_9999,
            0x1010_1010,
            0x1111_1111,
            0x1212_1212,
            0x1414_1414,
            address,
            value,
            0x2222_2222,
            0x3333_3333,
            0x4444_4444,
            0x5555_5555,
            0x6666_6666,
            SEVENTH,
        ];
        // SAFETY: `by` is one of the functions below: it writes `found`, uses the stack that ends at `end`, of which it needs half, and
        // keeps what the ABI says. What it does at `address` is pend an exception, which has a handler.
        unsafe { by(address, value, end, &raw mut self.found) }
    }
}

#[repr(C, align(8))]
struct ProcessStack([u32; 64]);

/// Writes `value` to the register at `address`, which makes an exception pending.
pub(crate) fn pend(registers: &mut Registers, stack: Stack, address: u32, value: u32) {
    registers.take(by_a_write, stack, address, value);
}

/// Calls the supervisor.
pub(crate) fn supervisor_call(registers: &mut Registers, stack: Stack) {
    registers.take(by_a_call, stack, 0, 0);
}

/// Executes what is no instruction.
pub(crate) fn hard_fault(registers: &mut Registers, stack: Stack) {
    registers.take(by_a_fault, stack, 0, 0);
}

/// Counts down from `spins`, while exceptions come.
pub(crate) fn spin(registers: &mut Registers, stack: Stack, spins: u32) {
    registers.take(meanwhile, stack, 0, spins);
    // What the loop leaves: zero in r1; Z and C.
    registers.expected[8] = 0;
    registers.expected[0] = 0x6000_0000;
}

macro_rules! provoke {
    ($(#[$about:meta])* $name:ident: $($instruction:literal),+) => {
        $(#[$about])*
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
            address: u32,
            value: u32,
            process_stack_end: *mut ProcessStack,
            found: *mut Found,
        ) {
            naked_asm!(
                // What the ABI wants back, and where the result goes.
                "push {{r4, r5, r6, r7, lr}}",
                "mov r4, r8",
                "mov r5, r9",
                "mov r6, r10",
                "mov r7, r11",
                "push {{r3, r4, r5, r6, r7}}",
                // The other stack, if one is named.
                "cmp r2, #0",
                "beq 2f",
                "msr psp, r2",
                "movs r2, #2",
                "msr control, r2",
                "isb",
                "2:",
                // Something known in all but r0 and r1, and in the flags.
                "ldr r2, =0x88888888",
                "mov r8, r2",
                "ldr r2, =0x99999999",
                "mov r9, r2",
                "ldr r2, =0x10101010",
                "mov r10, r2",
                "ldr r2, =0x11111111",
                "mov r11, r2",
                "ldr r2, =0x12121212",
                "mov r12, r2",
                "ldr r2, =0x14141414",
                "mov lr, r2",
                "ldr r2, =0x22222222",
                "ldr r3, =0x33333333",
                "ldr r4, =0x44444444",
                "ldr r5, =0x55555555",
                "ldr r6, =0x66666666",
                "ldr r7, ={seventh}",
                "msr apsr_nzcvq, r7",
                $($instruction,)+
                "dsb",
                "isb",
                // What is there now, on whichever stack this is.
                "push {{r0, r1, r2, r3, r4, r5, r6, r7}}",
                "mrs r0, apsr",
                "mov r1, r8",
                "mov r2, r9",
                "mov r3, r10",
                "mov r4, r11",
                "mov r5, r12",
                "mov r6, lr",
                "push {{r0, r1, r2, r3, r4, r5, r6}}",
                // From the stack to the result, undisturbed.
                "cpsid i",
                "mov r0, sp",
                "movs r1, #0",
                "msr control, r1",
                "isb",
                "cmp r0, sp",
                "bne 3f",
                "add sp, #60",
                "3:",
                "pop {{r3, r4, r5, r6, r7}}",
                "mov r8, r4",
                "mov r9, r5",
                "mov r10, r6",
                "mov r11, r7",
                "movs r1, #15",
                "4:",
                "ldr r2, [r0]",
                "str r2, [r3]",
                "adds r0, #4",
                "adds r3, #4",
                "subs r1, #1",
                "bne 4b",
                "cpsie i",
                "pop {{r4, r5, r6, r7, pc}}",
                ".pool",
                seventh = const SEVENTH,
            )
        }
    };
}

provoke!(
    /// By writing r1 to where r0 points.
    by_a_write: "str r1, [r0]"
);
provoke!(
    /// By a supervisor call.
    by_a_call: "svc 0"
);
provoke!(
    /// By an instruction that is defined to be none.
    by_a_fault: "udf 0"
);
provoke!(
    /// None of its own: it counts r1 down.
    meanwhile: "5:", "subs r1, r1, #1", "bne 5b"
);
