"""One pruning step of a model, with or without a Trainer: checked, scored, decided, done."""
