#!/bin/sh
# Builds the application for both slots: build.sh LIBRARY SCRIPTS OUT [RELEASE]
#
#   LIBRARY  libbistable_mps2_an385.a    SCRIPTS  folder with memory-a.x and memory-b.x
#   OUT      folder for a.elf and b.elf  RELEASE  see main.c
set -eu
here=$(cd "$(dirname "$0")" && pwd)
library=$1 scripts=$2 out=$3 release=${4:-1}
include=$here/../../../../updater/c/include

for slot in a b; do
    mkdir -p "$out/$slot"
    cp "$scripts/memory-$slot.x" "$out/$slot/memory.x"
    arm-none-eabi-gcc -mcpu=cortex-m3 -mthumb -std=c99 -Os -g -Wall -Wextra -Wpedantic -Werror \
        -ffreestanding -nostdlib -ffunction-sections -fdata-sections \
        -ffile-prefix-map="$here"=. -fdebug-prefix-map="$PWD"=. \
        -I"$include" -DRELEASE="$release" \
        "$here/startup.c" "$here/main.c" "$library" \
        -L"$out/$slot" -T"$here/link.ld" -Wl,--gc-sections,-z,noexecstack -o "$out/$slot.elf"
done
