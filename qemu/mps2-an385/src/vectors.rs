//! The interrupts' part of the vector table (AN385 §3.8), for cortex-m-rt, which has the exceptions' part.
//!
//! Without this, the table would be as long as the architecture allows: 240 interrupts, 956 bytes more. It has one entry,
//! the least that cortex-m-rt takes, for the programs that enable no interrupt; and with the feature `interrupts` the 32
//! that the board has.

unsafe extern "C" {
    /// cortex-m-rt's, or the program's own.
    fn DefaultHandler();
}

/// An interrupt that comes all the same ends there.
#[cfg(not(feature = "interrupts"))]
// SAFETY: name and section are those that cortex-m-rt's linker script asks a device for, with an array of
// function pointers, and nobody else defines them.
#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
static __INTERRUPTS: [unsafe extern "C" fn(); 1] = [DefaultHandler];

#[cfg(feature = "interrupts")]
pub use whole::Interrupt;

/// The whole table.
#[cfg(feature = "interrupts")]
mod whole {
    use cortex_m::interrupt::InterruptNumber;

    use super::DefaultHandler;

    /// How many the board has.
    const INTERRUPTS: usize = 32;

    /// An interrupt that a program may handle: `#[interrupt] fn NAME()`.
    #[expect(non_camel_case_types, reason = "named as their handlers are")]
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    #[repr(u16)]
    pub enum Interrupt {
        /// UART 0 has received.
        UART0_RECEIVE = 0,
        /// UART 0 has sent.
        UART0_TRANSMIT = 1,
        /// UART 1 has received.
        UART1_RECEIVE = 2,
        /// UART 1 has sent.
        UART1_TRANSMIT = 3,
        /// APB timer 0 has run out.
        TIMER0 = 8,
        /// APB timer 1 has run out.
        TIMER1 = 9,
        /// One of the two timers in one has run out.
        DUAL_TIMER = 10,
        /// The LAN9118 wants something.
        ETHERNET = 13,
        /// Nobody raises it but the program itself.
        SPARE = 31,
    }

    // SAFETY: the numbers are those of AN385 §3.8, all below 32, and each has its own.
    unsafe impl InterruptNumber for Interrupt {
        fn number(self) -> u16 {
            self as u16
        }
    }

    unsafe extern "C" {
        fn UART0_RECEIVE();
        fn UART0_TRANSMIT();
        fn UART1_RECEIVE();
        fn UART1_TRANSMIT();
        fn TIMER0();
        fn TIMER1();
        fn DUAL_TIMER();
        fn ETHERNET();
        fn SPARE();
    }

    // SAFETY: as above.
    #[unsafe(link_section = ".vector_table.interrupts")]
    #[unsafe(no_mangle)]
    static __INTERRUPTS: [unsafe extern "C" fn(); INTERRUPTS] = {
        let mut table: [unsafe extern "C" fn(); INTERRUPTS] = [DefaultHandler; INTERRUPTS];
        let [
            uart0_receive,
            uart0_transmit,
            uart1_receive,
            uart1_transmit,
            ..,
        ] = &mut table;
        *uart0_receive = UART0_RECEIVE;
        *uart0_transmit = UART0_TRANSMIT;
        *uart1_receive = UART1_RECEIVE;
        *uart1_transmit = UART1_TRANSMIT;
        let [
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            _,
            timer0,
            timer1,
            dual_timer,
            _,
            _,
            ethernet,
            ..,
        ] = &mut table;
        *timer0 = TIMER0;
        *timer1 = TIMER1;
        *dual_timer = DUAL_TIMER;
        *ethernet = ETHERNET;
        let [.., spare] = &mut table;
        *spare = SPARE;
        table
    };
}
