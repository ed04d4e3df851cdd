"""One module per task: the settings of ``[model]``, and the problem that they describe.

A module of this package is a task of its name; nothing else lists them."""
