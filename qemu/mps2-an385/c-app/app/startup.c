/* What runs before main: the vector table, and memory as C expects it. */

#include <stdint.h>

extern uint32_t _stack_start, _data_start, _data_end, _data_load, _bss_start, _bss_end;

int main(void);
void NonMaskableInt(void); /* in the library: it notes where the watchdog barked */


void reset_handler(void)
{
    uint32_t *from = &_data_load;
    for (uint32_t *to = &_data_start; to < &_data_end; )
        *to++ = *from++;
    for (uint32_t *to = &_bss_start; to < &_bss_end; )
        *to++ = 0;
    main();
    for (;;) {
        /* The watchdog ends this. */
    }
}

static void fault_handler(void)
{
    for (;;) {
        /* The watchdog ends this, too: a trial that faults is a trial that fails. */
    }
}

/* ARMv7-M Architecture Reference Manual, B1.5.2. No interrupt is enabled, so none has an entry. */
struct vector_table {
    const void *stack;
    void (*handlers[15])(void);
};

__attribute__((section(".vectors"), used))
static const struct vector_table vectors = {
    &_stack_start,
    {
        reset_handler,
        NonMaskableInt,
        fault_handler, /* HardFault, to which all other faults escalate */
    },
};
