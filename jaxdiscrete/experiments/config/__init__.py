"""Settings as frozen dataclasses, and the TOML files that hold them.

Nothing here imports a network or computes on a device.
"""
