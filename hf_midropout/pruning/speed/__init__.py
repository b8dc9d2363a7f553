"""Time of forward passes, and the encoder that is as fast as asked for."""
