"""The engines alone: latency and images a second for each batch, next to what the machine can multiply."""
