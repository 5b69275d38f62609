"""What the losses of libraries compute on several ranks, beside what they compute on one."""
