"""States that are counted, exactly or in part."""
