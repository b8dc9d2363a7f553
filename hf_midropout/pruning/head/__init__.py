"""The neurons of a MI-Dropout head: measured, searched, refitted and dropped, without running the encoder again."""
