"""Feature selection with known answers: k of ten features that decide a label."""
