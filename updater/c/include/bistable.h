/*
 * bistable.h: the Bistable updater for applications in C (C99).
 *
 * An application that was updated runs on trial first. It says how it is, and is kept, or the device goes
 * back to the image that it came from:
 *
 *     struct bistable_status status;
 *     uint8_t verdict = BISTABLE_PENDING;
 *
 *     bistable_start();
 *     bistable_status(&status);
 *     if (status.standing == BISTABLE_TRIAL) {
 *         bistable_check(1, self_test());         // as often as there is something to say
 *         do {
 *             bistable_feed();                    // on trial, the watchdog is fed here and nowhere else
 *             bistable_judge(&verdict);           // confirms what is healthy, rejects what is not
 *         } while (verdict == BISTABLE_PENDING);
 *         if (verdict == BISTABLE_UNHEALTHY)
 *             bistable_reset();                   // into the image before this one
 *     }
 *     if (bistable_download(read_a_file, &file, false) == BISTABLE_OK)
 *         bistable_reset();                       // into the trial of the new image
 *
 * Every function returns BISTABLE_OK or the number of a refusal. A call that was refused has changed
 * nothing that counts. Null pointers, calls before bistable_start and calls within another call are
 * refused too; that is what the numbers from 901 on are for.
 *
 * The functions are for one thread. From an interrupt, or from another thread while a call is under way,
 * they return BISTABLE_BUSY and do nothing.
 *
 * The library is written in Rust. Where that would panic, the board resets, and what follows is decided
 * as after any other reset. It uses no heap, at most the stack that docs/c.md says, and no interrupt.
 */
#ifndef BISTABLE_H
#define BISTABLE_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the functions return. */
enum bistable_result {
    BISTABLE_OK = 0,

    /* refusals: generated from core/src/refusal.rs */
    /* The first bytes are not those of a manifest. */
    BISTABLE_B001_NOT_A_MANIFEST = 1,
    /* A manifest, page or request of a format that this code does not know. */
    BISTABLE_B002_UNKNOWN_FORMAT = 2,
    /* Bytes that must be zero are not. */
    BISTABLE_B003_NON_ZERO_PADDING = 3,
    /* A field holds a value that the format does not allow. */
    BISTABLE_B004_FIELD_OUT_OF_RANGE = 4,
    /* Signatures are too many, not in ascending order of key, or a key's are there twice. */
    BISTABLE_B005_SIGNATURES_OUT_OF_ORDER = 5,
    /* The header's digest is not the one that was asked for, or a request names another image than the running one. */
    BISTABLE_B006_OTHER_IMAGE = 6,
    /* The bytes are not those of a request. */
    BISTABLE_B007_NOT_A_REQUEST = 7,
    /* The request names another unit. */
    BISTABLE_B008_OTHER_UNIT = 8,
    /* A key of the ring is named beside a signature that it did not make. */
    BISTABLE_B010_BAD_SIGNATURE = 10,
    /* Fewer release keys of the ring have signed than the threshold asks for. */
    BISTABLE_B011_TOO_FEW_RELEASE_SIGNATURES = 11,
    /* It revokes keys, and fewer root keys have signed than the threshold asks for. */
    BISTABLE_B012_TOO_FEW_ROOT_SIGNATURES = 12,
    /* With its revocations applied, a role would keep fewer keys than its threshold. */
    BISTABLE_B013_REVOKES_TOO_MANY = 13,
    /* The vendor id is not the board's. */
    BISTABLE_B020_OTHER_VENDOR = 20,
    /* The class id is not the board's. */
    BISTABLE_B021_OTHER_CLASS = 21,
    /* It was linked for another layout. */
    BISTABLE_B022_OTHER_LAYOUT = 22,
    /* The payload does not fit into the slot. */
    BISTABLE_B023_TOO_LARGE = 23,
    /* The payload's length is not a multiple of the flash's write size. */
    BISTABLE_B024_UNALIGNED_LENGTH = 24,
    /* Its chunks are larger than the updater's buffer, or do not divide the payload's offset. */
    BISTABLE_B025_CHUNK_SIZE = 25,
    /* It needs a newer bootloader. */
    BISTABLE_B026_BOOTLOADER_TOO_OLD = 26,
    /* It cannot read the present data schema. */
    BISTABLE_B027_OTHER_SCHEMA = 27,
    /* Its sequence is not above that of the running image. */
    BISTABLE_B030_NOT_NEWER = 30,
    /* Its sequence is not above that of a rejected image which is no longer on the list. */
    BISTABLE_B031_OLDER_THAN_FORGOTTEN = 31,
    /* It was rejected before: the journal says why. */
    BISTABLE_B032_REJECTED_BEFORE = 32,
    /* Its security counter is below the floor. */
    BISTABLE_B033_BELOW_FLOOR = 33,
    /* A newer image is being downloaded, or waits for its trial. */
    BISTABLE_B034_NEWER_IN_PROGRESS = 34,
    /* The running image is on trial: confirm or reject it first. */
    BISTABLE_B035_TRIAL_NOT_FINISHED = 35,
    /* The running image was rejected: reset first. */
    BISTABLE_B036_RESET_FIRST = 36,
    /* Too many downloads were begun: wait. */
    BISTABLE_B037_THROTTLED = 37,
    /* Handover and address name different running slots. */
    BISTABLE_B038_RUNNING_SLOT_UNCLEAR = 38,
    /* It is the image that runs. */
    BISTABLE_B039_ALREADY_RUNNING = 39,
    /* It is installed and waits for its trial: reset. */
    BISTABLE_B040_ALREADY_WAITING = 40,
    /* A page is not the one that its predecessor, or the manifest, names. */
    BISTABLE_B050_BAD_PAGE = 50,
    /* A page's records are not whole, or fix-ups are out of order or range. */
    BISTABLE_B051_MALFORMED_PAGE = 51,
    /* A chunk is not the one that its page names. */
    BISTABLE_B052_BAD_CHUNK = 52,
    /* The payload is not the one that the manifest names. */
    BISTABLE_B053_BAD_PAYLOAD = 53,
    /* A part has another length than the one that was wanted. */
    BISTABLE_B054_WRONG_LENGTH = 54,
    /* What was read back is not what was programmed. */
    BISTABLE_B055_READ_BACK = 55,
    /* The installation is not whole yet. */
    BISTABLE_B056_NOT_WHOLE = 56,
    /* The reset vector does not point to code in the payload, or the payload begins with no instruction. */
    BISTABLE_B060_BAD_RESET_VECTOR = 60,
    /* The initial stack pointer is not in the board's RAM, or not 8-aligned. */
    BISTABLE_B061_BAD_STACK_POINTER = 61,
    /* Verifying it ended in a reset twice in a row. */
    BISTABLE_B062_RESET_WHILE_VERIFYING = 62,
    /* Flash could not be read. */
    BISTABLE_B070_FLASH_READ = 70,
    /* Flash could not be erased. */
    BISTABLE_B071_FLASH_ERASE = 71,
    /* Flash could not be programmed. */
    BISTABLE_B072_FLASH_PROGRAM = 72,
    /* The journal could not be written. */
    BISTABLE_B073_JOURNAL = 73,
    /* The journal has a sector that cannot be written any more: no trial, no update. */
    BISTABLE_B074_JOURNAL_WORN_OUT = 74,
    /* There is nothing in the state that the request needs. */
    BISTABLE_B080_IMPOSSIBLE = 80,
    /* The trial's budget is used up. */
    BISTABLE_B081_BUDGET_USED_UP = 81,
    /* There is no acceptable image to go back to. */
    BISTABLE_B082_NO_ACCEPTABLE_OTHER = 82,
    /* A required health check has not passed. */
    BISTABLE_B083_CHECK_OPEN = 83,
    /* The trial's deadline is over. */
    BISTABLE_B084_DEADLINE_OVER = 84,
    /* end of refusals */

    /* mistakes: generated from updater/c/src/code.rs */
    /* bistable_start has not succeeded yet. */
    BISTABLE_NOT_STARTED = 901,
    /* bistable_start has succeeded before. */
    BISTABLE_ALREADY_STARTED = 902,
    /* Called from an interrupt, another thread or a read, within another call. */
    BISTABLE_BUSY = 903,
    /* A pointer that must not be null is, or one is not aligned. */
    BISTABLE_NULL_POINTER = 904,
    /* The product has no such health check. */
    BISTABLE_NO_SUCH_CHECK = 905,
    /* The board could not be opened. */
    BISTABLE_NO_PLATFORM = 906,
    /* A download's read failed. Trying again goes on where it was. */
    BISTABLE_READ_FAILED = 907,
    /* The trial's time is over: the watchdog was not fed, and a reset follows. */
    BISTABLE_NOT_FED = 908,
    /* end of mistakes */
};

/* How the running image stands. */
enum bistable_standing {
    BISTABLE_UNKNOWN = 0,   /* the journal does not speak of it */
    BISTABLE_TRIAL = 1,     /* confirm or reject it */
    BISTABLE_CONFIRMED = 2, /* it is kept */
    BISTABLE_REJECTED = 3   /* reset, and the other one runs */
};

/* Why the processor started. */
enum bistable_reset_reason {
    BISTABLE_RESET_UNKNOWN = 0,
    BISTABLE_RESET_POWER_ON = 1,
    BISTABLE_RESET_BROWN_OUT = 2,
    BISTABLE_RESET_PIN = 3,
    BISTABLE_RESET_SOFTWARE = 4,
    BISTABLE_RESET_WATCHDOG = 5,
    BISTABLE_RESET_LOCK_UP = 6
};

/* How the journal was found at boot. */
enum bistable_journal {
    BISTABLE_JOURNAL_WHOLE = 0,
    BISTABLE_JOURNAL_HEALED = 1,  /* the power had been cut during a write */
    BISTABLE_JOURNAL_REBUILT = 2, /* it was lost, and built anew from what lies in the slots */
    BISTABLE_JOURNAL_WORN_OUT = 3 /* a sector cannot be written any more: no trial, no update */
};

/* What the health checks say together. */
enum bistable_verdict {
    BISTABLE_PENDING = 0,  /* something is open, and there is time */
    BISTABLE_HEALTHY = 1,  /* the image is confirmed now, or was before */
    BISTABLE_UNHEALTHY = 2 /* the image is rejected now: reset */
};

/* What the device says of itself. 108 bytes, aligned to 4; no compiler pads it. */
struct bistable_status {
    uint8_t slot;                /* the slot that runs: 'A' or 'B' */
    uint8_t standing;            /* enum bistable_standing */
    uint8_t reset;               /* enum bistable_reset_reason */
    uint8_t journal;             /* enum bistable_journal */
    uint8_t digest[32];          /* the running image's name */
    uint16_t version[3];         /* its version: major, minor, patch */
    uint16_t bootloader[3];      /* the bootloader's version */
    uint32_t sequence;           /* the running image's sequence */
    uint32_t floor;              /* the smallest security counter that boots */
    uint32_t resets;             /* resets since the power came */
    uint32_t last_words;         /* the program counter when the watchdog barked before this boot, or 0 */
    uint16_t abnormal_resets;    /* of the confirmed image, which no soak period has cleared */
    uint16_t schema;             /* the schema that the application's data are in */
    uint8_t starts_left;         /* of a trial, after this one */
    uint8_t refused_slot;        /* 'A' or 'B', if the bootloader refused an image in this boot, or 0 */
    uint16_t refused;            /* why: enum bistable_result, or 0 */
    uint16_t rejected;           /* why the last rejected image was rejected: 101 is B101, or 0 */
    uint8_t rejected_detail;     /* which check failed, or the number of a request */
    uint8_t reserved;            /* 0 */
    uint8_t rejected_digest[32]; /* that image's name */
};

/*
 * Starts the updater. To be called once, early, with the watchdog running: the journal is opened, and
 * healed if the power was cut while it was written.
 */
uint16_t bistable_start(void);

/* Writes what the device says of itself to *status. */
uint16_t bistable_status(struct bistable_status *status);

/*
 * Notes the outcome of a health check, by its number in the product's layout.toml, from 1. A failure
 * stays. Returns BISTABLE_NO_SUCH_CHECK if there is none with this number.
 */
uint16_t bistable_check(uint8_t number, bool passed);

/*
 * Notes that the place where updates come from gave an answer that made sense. An image that came over
 * the network is not kept without it, if the product asks for that.
 */
uint16_t bistable_source_answered(void);

/*
 * Acts on the health checks: confirms an image that is healthy, rejects one that is not, and writes
 * which it was (enum bistable_verdict) to *verdict. To be called again and again during a trial. Does
 * nothing to a confirmed image, which is healthy. *verdict is written only if BISTABLE_OK is returned.
 */
uint16_t bistable_judge(uint8_t *verdict);

/*
 * Keeps the running image from now on. Does nothing if it is confirmed already. Returns
 * BISTABLE_B083_CHECK_OPEN as long as a required health check has not passed, or the soak is not over.
 */
uint16_t bistable_confirm(void);

/*
 * Gives the running image up, for a reason of the application's own, which the journal keeps: from the
 * next reset on the other one runs, and this one is not installed again. Returns
 * BISTABLE_B082_NO_ACCEPTABLE_OTHER if there is nothing to go back to.
 */
uint16_t bistable_reject(uint8_t number);

/*
 * Feeds the watchdog. On trial, call this and do not feed the watchdog otherwise: when the trial's time
 * is over it returns BISTABLE_NOT_FED, and a reset follows. A confirmed image may feed it as it likes.
 */
uint16_t bistable_feed(void);

/*
 * Notes that all of the application's data are in this schema now. From then on no image runs that cannot
 * read it, so do it last.
 */
uint16_t bistable_migrated(uint16_t schema);

/*
 * Reads a part of an image file: fills buffer with len bytes of the file from offset on, and returns 0.
 * Anything else says that this failed. Offsets come in ascending order, but a download that is tried
 * again begins at 0. What is read is trusted with nothing. It may feed the watchdog, for an update is
 * taken by a confirmed image only; the functions of this header return BISTABLE_BUSY to it.
 */
typedef int32_t (*bistable_read)(void *context, uint32_t offset, uint8_t *buffer, uint32_t len);

/*
 * Installs the image that read reads into the slot that does not run, checks it as it lies there, and
 * activates it: reset, and its trial begins. After BISTABLE_READ_FAILED, or a loss of power, call it
 * again: what is already there is not read again. from_network says whether a trial must reach the
 * update source to be kept.
 */
uint16_t bistable_download(bistable_read read, void *context, bool from_network);

/* Announces a reset, so that it does not count as a crash, and resets. Returns only if refused. */
uint16_t bistable_reset(void);

#ifdef __cplusplus
}
#endif

#endif /* BISTABLE_H */
