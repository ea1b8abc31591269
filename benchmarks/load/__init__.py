"""An HTTP load client whose latencies count from when a request was due, not from when it was sent."""
