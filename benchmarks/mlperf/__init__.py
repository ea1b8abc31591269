"""MLPerf's own load generator, over the service by HTTP and over the bare engine."""
