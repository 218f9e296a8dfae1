"""What a finished generator is given: its encoder and its attributes' directions."""
