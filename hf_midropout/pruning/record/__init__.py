"""What happened to the neurons, as it is kept: a schema, JSON, and the arrays beside it."""
