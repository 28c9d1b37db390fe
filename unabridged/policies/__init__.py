"""What should happen to a request: declarations only, no input or output."""
