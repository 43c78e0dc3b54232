"""What crosses the wire: pure, no clock, no socket, no randomness, no await."""
