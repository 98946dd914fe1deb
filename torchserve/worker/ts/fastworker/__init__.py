"""The fast TorchServe worker: it needs the standard library only, until it loads a handler."""
