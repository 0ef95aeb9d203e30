"""The search: workers claim, keep, finish and recover trials, none lost and none done twice."""
