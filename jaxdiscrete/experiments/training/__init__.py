"""What all tasks share: settings, the step, the loop, the state, its checkpoints."""
