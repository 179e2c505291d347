# Stops at the application's `main`, in whichever slot it runs. Start `cargo run -- --debug` first; it prints
# how to call gdb: with its port, this file, and the program as it was linked for that slot.
set confirm off
set pagination off

# The bootloader runs first, and the application lies in flash: a hardware breakpoint waits for it there.
hbreak main
continue

# Here is the place for your own commands. This shows where it stopped and lets it run on.
info registers pc
backtrace 1
delete
detach
