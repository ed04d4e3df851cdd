"""What all tasks share: the step, the loop, the state and its evaluation."""
