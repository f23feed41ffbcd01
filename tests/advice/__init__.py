"""Commands that messages print, each pasted in the situation that it is printed in."""
