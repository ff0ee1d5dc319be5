"""What must stay true of the road to people: judged by the simulator, told when it fails."""
