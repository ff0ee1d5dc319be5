"""What anybody may see without signing in: the status page and the badges.

Names services, never monitors, targets, hosts, people or the words of an error.
"""
