"""How the reader of rag/reading.py is made: examples from public question sets, training, and its small file."""
