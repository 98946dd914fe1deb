"""instance -> row -> tensors: each module holds one kind of input."""
