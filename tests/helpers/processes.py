"""What a process that a test starts finds in its environment."""

import os
import re


def environment(num_devices):
    """So many CPU devices, and programs that are compiled as they are here."""
    flags = re.sub(r"(device_count)=\d+", rf"\1={num_devices}", os.environ["XLA_FLAGS"])
    return os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
