"""What makes minutes of a transcript, and answers questions from memory."""
