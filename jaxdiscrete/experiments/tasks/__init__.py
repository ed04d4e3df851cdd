"""One folder per task: the problem, and the settings of ``[model]`` that describe it.

A folder of this package is a task of its name; nothing else lists them. Its
``settings.py`` has the class ``Settings``, and its ``task.py`` a function
``make(config, placement)``.
"""
