"""What methods lose when the physics is not what they assume."""
