"""What an estimator does at an objective, and which one to use."""
