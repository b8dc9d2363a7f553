"""How many rows of each class lie in each bin: by torch, or in one read of the activations by a kernel."""
