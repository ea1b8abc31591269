"""The training loop next to the one of the textbook, on the same networks."""
