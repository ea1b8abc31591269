"""What a run tells of itself while it trains, and the signs that it fails or has converged."""
