"""What every estimator stands on; nothing here knows a paper."""
