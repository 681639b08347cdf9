"""What all tests share."""

import signal

# A shell that starts a command in the background has it ignore SIGINT, which children inherit:
# there would be nothing to interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
