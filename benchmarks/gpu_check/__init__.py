"""What a GPU does with a generator: parity and speed of every way of computing it there."""
