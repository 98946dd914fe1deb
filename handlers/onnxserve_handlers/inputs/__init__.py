"""instance -> row -> tensors: one kind of input a module."""
