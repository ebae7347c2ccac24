"""The command `evaluate`: one module a verb, thin: parse, call, print."""
