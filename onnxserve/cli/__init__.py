"""The command line: one module a verb, errors shown without a traceback."""
