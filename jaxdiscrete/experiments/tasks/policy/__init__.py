"""CartPole: a policy, every decision of which is credited with what followed it."""
