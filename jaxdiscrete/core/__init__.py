"""The ground that every estimator stands on; nothing here knows a paper."""
