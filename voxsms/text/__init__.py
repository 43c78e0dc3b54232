"""What a message is: its alphabet, the fragments it takes, and how it is brought back to fewer."""
