"""A search over the options of training: short runs, the best options as a command line."""
