"""The paper's comparison, repeated: every method on every dataset, at equal budgets, with paired differences."""
