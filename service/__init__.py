"""An artifact over HTTP: mintage's BentoML service."""

VERSION = "0.1.0"
