/*
 * An application in C that updates itself.
 *
 * Its updates lie where a product would have an SD card or a second flash: behind the slots, on this board
 * at 0x21120000. What it says goes to UART 1, as text.
 *
 * -DRELEASE=1 is a sound release. 2 gives itself up on trial. 3 calls what it must not call.
 */

#include "bistable.h"

#ifndef RELEASE
#define RELEASE 1
#endif

#define UART1_DATA (*(volatile uint32_t *)0x40005000)
#define UART1_STATE (*(volatile uint32_t *)0x40005004)
#define UART1_CONTROL (*(volatile uint32_t *)0x40005008)

/* A variable, which the startup code initialises. */
static const uint8_t *volatile staging = (const uint8_t *)0x21120000;
#define STAGING_SIZE 0xE0000u

/* The product's health checks, as layout.toml numbers them. */
enum { CHECK_SELF_TEST = 1 };

static void put(char letter)
{
    while (UART1_STATE & 1) {
        /* The buffer is full. */
    }
    UART1_DATA = (uint8_t)letter;
}

static void say(const char *text)
{
    while (*text != '\0')
        put(*text++);
}

static void say_number(uint32_t number)
{
    char digits[10];
    int count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    while (count > 0)
        put(digits[--count]);
}

static void say_result(const char *what, uint16_t result)
{
    say(what);
    say(": ");
    say_number(result);
    say("\n");
}

/* Tells the reader of the UART who speaks, and that it is text. */
static void start_log(void)
{
    UART1_CONTROL = 1;
    put('\0');
    say("text log: 1 c-application");
    put('\0');
}

static void introduce(const struct bistable_status *status)
{
    static const char *const standings[] = { "unknown", "trial", "confirmed", "rejected" };
    say("version ");
    say_number(status->version[0]);
    say(".");
    say_number(status->version[1]);
    say(".");
    say_number(status->version[2]);
    say(" in slot ");
    put((char)status->slot);
    say(", ");
    say(standings[status->standing & 3]);
    say("\n");
    if (status->rejected != 0) {
        say("last verdict: B");
        say_number(status->rejected);
        say_result(", detail", status->rejected_detail);
    }
}

/* Tries the trial: keeps this release, or gives it up. */
static void judge(void)
{
    uint8_t verdict = BISTABLE_PENDING;
#if RELEASE == 2
    say_result("rejecting", bistable_reject(7));
    bistable_reset();
#endif
    say_result("confirming at once", bistable_confirm());
    bistable_check(CHECK_SELF_TEST, true);
    while (bistable_confirm() == BISTABLE_B083_CHECK_OPEN)
        bistable_feed();
    bistable_judge(&verdict);
    say(verdict == BISTABLE_HEALTHY ? "this release stays\n" : "this release is in doubt\n");
}

static int32_t read_staging(void *context, uint32_t offset, uint8_t *buffer, uint32_t len)
{
    uint32_t *reads = context;
    *reads += 1;
    if (offset > STAGING_SIZE || len > STAGING_SIZE - offset)
        return -1;
    for (uint32_t at = 0; at < len; at++)
        buffer[at] = staging[offset + at];
    return 0;
}

#if RELEASE == 3
static int32_t call_within_a_call(void *context, uint32_t offset, uint8_t *buffer, uint32_t len)
{
    (void)offset, (void)buffer, (void)len;
    *(uint16_t *)context = bistable_feed();
    return -1;
}

/* None of these may do more than return a number. */
static void call_wrongly(void)
{
    uint16_t within = BISTABLE_OK;
    say_result("no pointer to a status", bistable_status(0));
    say_result("no pointer to a verdict", bistable_judge(0));
    say_result("an odd pointer", bistable_status((struct bistable_status *)0x20001001));
    say_result("no function", bistable_download(0, 0, false));
    say_result("check 99", bistable_check(99, true));
    say_result("started twice", bistable_start());
    say_result("a source that fails", bistable_download(call_within_a_call, &within, false));
    say_result("a call within a call", within);
}
#endif

int main(void)
{
    struct bistable_status status;
    uint32_t reads = 0;
    start_log();
#if RELEASE == 3
    say_result("before the start", bistable_status(&status));
#endif
    uint16_t started = bistable_start();
    if (started != BISTABLE_OK) {
        say_result("the updater does not start", started);
        return 1;
    }
    bistable_status(&status);
    introduce(&status);
#if RELEASE == 3
    call_wrongly();
#endif
    if (status.standing == BISTABLE_TRIAL)
        judge();
    uint16_t installed = bistable_download(read_staging, &reads, false);
    say_result("installing", installed);
    if (installed == BISTABLE_OK)
        bistable_reset();
    say("nothing more to do\n");
    for (;;)
        bistable_feed();
}
