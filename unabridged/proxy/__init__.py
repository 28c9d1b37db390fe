"""Everything that touches the outside world: sockets, the store, the weights."""
