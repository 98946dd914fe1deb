"""The fast TorchServe worker: standard library only, until it loads a handler."""
