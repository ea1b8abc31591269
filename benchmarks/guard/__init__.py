"""The regression guard: what a request costs in instructions, which no other work on the machine changes."""
