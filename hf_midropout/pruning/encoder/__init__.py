"""The feed-forward neurons of an encoder: measured in one pass, cut, and made up for layer by layer."""
