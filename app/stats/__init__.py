"""What a player's games add up to."""
