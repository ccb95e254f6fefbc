"""Token ids in, token ids out: the sparse model on the machine at hand. No text and no torch here."""
