"""Tokens that no text needs: cut from the embeddings and the tokenizer."""
