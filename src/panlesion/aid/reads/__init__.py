"""The reading of a study: the AI's word, the reader's changes, the signed report and what is sent of it."""
